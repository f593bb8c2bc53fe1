//! Work grows with the policies, not with their square: inputs of many shapes, each in two sizes.
//!
//! What is compared are the times of the two sizes on one machine, so that it does not matter how quick it is: four times
//! the input may take [`MOST`] times as long, where a square would take sixteen times. The least of several runs counts,
//! and a shape fails only when every attempt says so.

use policy_compiler::{CompileLimits, Options, compile};
use policy_grammar::{SourceFile, SourceMap};
use std::fmt::Write as _;
use std::time::{Duration, Instant};

/// How many times longer the larger input may take.
const MOST: f64 = 10.0;
/// The smaller size, and how many times larger the other is.
const SMALL: usize = 700;
const TIMES: usize = 4;
const ATTEMPTS: usize = 4;

/// A policy of these rules, in YAML.
fn policy(rules: &str) -> String {
    format!("metadata: {{id: p, name: P}}\nrules:\n{rules}")
}

/// Rules, one for each number.
fn rules(n: usize, rule: impl Fn(usize) -> (String, String)) -> String {
    let mut out = String::new();
    for i in 0..n {
        let (condition, action) = rule(i);
        writeln!(out, "- {{id: r{i}, condition: {condition}, action: {action}}}").unwrap();
    }
    policy(&out)
}

fn deny() -> String {
    "{decision: deny}".to_owned()
}

fn list(n: usize, item: impl Fn(usize) -> String) -> String {
    (0..n).map(item).collect::<Vec<_>>().join(", ")
}

fn one(condition: &str) -> String {
    policy(&format!("- {{id: r, condition: {condition}, action: {{decision: deny}}}}\n"))
}

fn eq(field: &str, value: impl std::fmt::Display) -> String {
    format!("{{operator: eq, field: {field}, value: {value}}}")
}

/// A name and what makes the input of a size.
type Shape = (&'static str, fn(usize) -> String);

const SHAPES: &[Shape] = &[
    ("json on one line", |n| {
        let rule = |i: usize| {
            format!(
                r#"{{"id":"r{i}","condition":{{"operator":"eq","field":"llm.modle","value":"m{i}"}},"action":{{"decision":"deny","reason":"no {{{{ llm.model }}}}"}}}}"#
            )
        };
        let rules: Vec<String> = (0..n).map(rule).collect();
        format!(r#"{{"metadata":{{"id":"p","name":"P"}},"rules":[{}]}}"#, rules.join(","))
    }),
    ("yaml on one line", |n| {
        let rule = |i: usize| format!("{{id: r{i}, condition: {}, action: {{decision: deny, reason: no}}}}", eq("llm.model", i));
        format!("{{metadata: {{id: p, name: P}}, rules: [{}]}}", list(n, rule))
    }),
    ("rules of different models", |n| rules(n, |i| (eq("llm.model", format!("m{i}")), deny()))),
    ("equal rules", |n| rules(n, |_| (eq("llm.model", "m"), deny()))),
    ("rules of different fields", |n| rules(n, |i| (eq(&format!("metadata.k{i}"), i), deny()))),
    ("misspelt fields", |n| rules(n, |i| (eq(&format!("llm.modl{i}"), i), deny()))),
    ("misspelt keys", |n| rules(n, |i| (format!("{{operatr: eq, field: llm.model, value: {i}}}"), deny()))),
    ("unknown operators", |n| rules(n, |i| (format!("{{operator: eqals{i}, field: llm.model, value: {i}}}"), deny()))),
    ("misspelt zones", |n| {
        rules(n, |i| {
            (
                format!("{{operator: time_between, field: request.timestamp, value: {{start: '22:00', end: '06:00', timezone: Eurpe/Berln{}}}}}", i % 10),
                deny(),
            )
        })
    }),
    ("duplicate ids", |n| policy(&format!("- {{id: r, condition: {}, action: {{decision: deny}}}}\n", eq("llm.model", 1)).repeat(n))),
    ("duplicate keys", |n| policy(&format!("- {{id: r, condition: {}, action: {{decision: deny, metadata: {{{}}}}}}}\n", eq("llm.model", 1), list(n, |_| "k: 1".to_owned())))),
    ("one and of one field", |n| one(&format!("{{operator: and, conditions: [{}]}}", list(n, |i| format!("{{operator: ne, field: llm.model, value: m{i}}}"))))),
    ("one and of many fields", |n| one(&format!("{{operator: and, conditions: [{}]}}", list(n, |i| eq(&format!("metadata.k{i}"), i))))),
    ("one or of one field", |n| one(&format!("{{operator: or, conditions: [{}]}}", list(n, |i| eq("llm.model", format!("m{i}")))))),
    ("one or of many ands", |n| {
        one(&format!(
            "{{operator: or, conditions: [{}]}}",
            list(n / 2, |i| format!("{{operator: and, conditions: [{}, {}]}}", eq("llm.model", i), eq("team.id", i % 7)))
        ))
    }),
    ("nested conditions", |n| {
        rules(n / 20, |i| {
            let mut condition = eq("llm.model", format!("m{i}"));
            for level in 0..20 {
                let kind = if level % 2 == 0 { "and" } else { "or" };
                condition = format!("{{operator: {kind}, conditions: [{}, {condition}]}}", eq(&format!("metadata.k{level}"), i));
            }
            (condition, deny())
        })
    }),
    ("lists of one field that contain each other", |n| {
        rules(n / 16, |i| {
            let item = |j: usize| format!("v{}", (i % 5) + j);
            (
                format!(
                    "{{operator: and, conditions: [{}]}}",
                    list(8, |k| format!("{{operator: in, field: llm.model, value: [{}]}}", list(8 + k, item)))
                ),
                deny(),
            )
        })
    }),
    ("one long list", |n| one(&format!("{{operator: in, field: llm.model, value: [{}]}}", list(n, |i| format!("m{i}"))))),
    ("a list equal to one of a list", |n| {
        one(&format!(
            "{{operator: and, conditions: [{{operator: eq, field: metadata.l, value: [{}]}}, {{operator: in, field: metadata.l, value: [{}]}}]}}",
            list(n, |i| format!("a{i}")),
            list(n, |i| format!("b{i}"))
        ))
    }),
    ("denials and changes", |n| {
        rules(n, |i| {
            let action = if i % 2 == 0 { deny() } else { format!("{{decision: modify, modifications: {{metadata.m{i}: 1}}}}") };
            (format!("{{operator: and, conditions: [{}, {}]}}", eq("llm.model", i), eq("team.id", i % 3)), action)
        })
    }),
    ("elements from both ends", |n| {
        rules(n, |i| {
            let at = if i % 2 == 0 { format!("[{i}]") } else { format!("[-{i}]") };
            (eq("llm.model", 1), format!("{{decision: modify, modifications: {{'metadata.l{i}{at}': 1}}}}"))
        })
    }),
    ("elements of one list", |n| rules(n, |i| (eq("llm.model", 1), format!("{{decision: modify, modifications: {{'metadata.l[{i}].x': 1}}}}")))),
    ("metadata and templates", |n| {
        rules(n, |i| (eq("llm.model", i), format!("{{decision: warn, reason: 'a {{{{ llm.model }}}} {i}', metadata: {{k{i}: '{{{{ team.id }}}}'}}}}")))
    }),
    ("one text of many placeholders", |n| {
        policy(&format!(
            "- {{id: r, condition: {}, action: {{decision: deny, reason: '{}'}}}}\n",
            eq("llm.model", 1),
            "{{ llm.model }} ".repeat(n)
        ))
    }),
    ("comparisons of elements", |n| {
        one(&format!(
            "{{operator: any, field: user.roles, condition: {{operator: or, conditions: [{}]}}}}",
            list(n, |i| eq("item", format!("r{i}")))
        ))
    }),
    ("policies with names of their own", |n| {
        let mut out = String::new();
        for i in 0..n / 2 {
            writeln!(out, "---\nmetadata: {{id: p{i}, name: P, namespace: n{i}}}\nrules: [{{id: r, condition: {}, action: {{decision: deny}}}}]", eq("llm.model", i)).unwrap();
        }
        out
    }),
    ("policies of one id", |n| {
        let mut out = String::new();
        for i in 0..n / 2 {
            writeln!(out, "---\nmetadata: {{id: p, name: P}}\nrules: [{{id: r, condition: {}, action: {{decision: deny}}}}]", eq("llm.model", i)).unwrap();
        }
        out
    }),
    ("words that are looked for", |n| rules(n, |i| (format!("{{operator: contains, field: llm.text, value: 'word {i}'}}"), deny()))),
    ("thresholds", |n| rules(n, |i| (format!("{{operator: gt, field: llm.maxTokens, value: {i}}}"), deny()))),
    ("prefixes", |n| rules(n, |i| (format!("{{operator: starts_with, field: llm.model, value: {}}}", "a".repeat(i % 97 + 1)), deny()))),
    ("networks", |n| one(&format!("{{operator: in_cidr, field: request.ipAddress, value: [{}]}}", list(n, |i| format!("10.{}.{}.0/24", i / 256, i % 256))))),
    ("one pattern of many fields", |n| rules(n / 10, |i| (format!("{{operator: matches, field: 'llm.messages[{i}].content', value: '[a-z]{{20,}}[0-9]'}}"), deny()))),
];

fn took(text: &str) -> Duration {
    let mut sources = SourceMap::new();
    sources.add(SourceFile::new("p", text));
    let options = Options {
        compile_limits: CompileLimits::default(),
        ..Options::default()
    };
    let start = Instant::now();
    // Whether it compiles is not asked here: mistakes must not take longer either.
    let compiled = compile(&sources, &options);
    let took = start.elapsed();
    drop(compiled);
    took
}

#[test]
fn no_shape_of_input_takes_more_than_its_share() {
    let mut failed = Vec::new();
    for (name, make) in SHAPES {
        let (small, large) = (make(SMALL), make(SMALL * TIMES));
        let mut best = f64::INFINITY;
        for _ in 0..ATTEMPTS {
            let few = took(&small).min(took(&small)).max(Duration::from_micros(50));
            let ratio = took(&large).as_secs_f64() / few.as_secs_f64();
            best = best.min(ratio);
            if best <= MOST {
                break;
            }
        }
        if std::env::var_os("GROWTH").is_some() {
            eprintln!("{best:6.1}  {:>9.1} ms  {name}", took(&large).as_secs_f64() * 1000.0);
        }
        if best > MOST {
            failed.push(format!("{name}: {best:.1} times as long for {TIMES} times the input"));
        }
    }
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}
