//! What one compilation may take, and that it can be ended at any moment.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on has failed"
)]

use policy_compiler::{CompileLimits, Compiler, Options, Stop, Usage, check, compile};
use policy_grammar::{Diagnostic, Limits, SourceFile, SourceMap};

fn sources(text: &str) -> SourceMap {
    let mut sources = SourceMap::new();
    sources.add(SourceFile::new("p.yaml", text));
    sources
}

fn policy(id: &str, rules: impl IntoIterator<Item = String>) -> String {
    let rules: Vec<String> = rules.into_iter().collect();
    format!("metadata: {{id: {id}, name: P}}\nrules:\n{}", rules.join(""))
}

fn rule(id: usize, condition: &str, action: &str) -> String {
    format!("- {{id: r{id}, condition: {condition}, action: {action}}}\n")
}

fn plain(n: usize) -> String {
    let one = |i| {
        rule(
            i,
            &format!("{{operator: eq, field: llm.model, value: m{i}}}"),
            "{decision: deny}",
        )
    };
    policy("p", (0..n).map(one))
}

fn limited(limits: CompileLimits) -> Options {
    Options {
        compile_limits: limits,
        ..Options::default()
    }
}

/// The one error of a set that is just beyond a limit, and where it is.
fn refused(text: &str, limits: CompileLimits) -> (Diagnostic, String) {
    let sources = sources(text);
    let options = limited(limits);
    let failed = compile(&sources, &options).unwrap_err();
    let errors: Vec<&Diagnostic> = failed.diagnostics.iter().filter(|d| d.is_error()).collect();
    let [only] = errors.as_slice() else {
        panic!("{errors:#?}");
    };
    assert!(
        check(&sources, &options).iter().any(|d| d == *only),
        "`check` says the same"
    );
    let (_, file) = sources.iter().next().unwrap();
    ((*only).clone(), file.slice(only.primary.span).to_owned())
}

/// Of each limit, a set that is within it and one that is one beyond, with the place of what is too much.
#[test]
fn every_limit_has_a_code_and_a_place() {
    let full = CompileLimits::default;
    let two_texts = |texts: &str| {
        policy(
            "p",
            [rule(
                0,
                "{operator: eq, field: llm.model, value: m}",
                &format!("{{decision: deny, reason: '{texts}'}}"),
            )],
        )
    };
    let set_to = |value: &str| {
        policy(
            "p",
            [rule(
                0,
                "{operator: eq, field: llm.model, value: m}",
                &format!("{{decision: modify, modifications: {{metadata.a: {value}}}}}"),
            )],
        )
    };
    let matches = |pattern: &str| {
        policy(
            "p",
            [rule(
                0,
                &format!("{{operator: matches, field: llm.model, value: '{pattern}'}}"),
                "{decision: deny}",
            )],
        )
    };
    let nested = |levels: usize| {
        let inner = "{operator: eq, field: llm.model, value: m}".to_owned();
        let condition = (0..levels).fold(inner, |c, _| format!("{{operator: not, conditions: [{c}]}}"));
        policy("p", [rule(0, &condition, "{decision: deny}")])
    };
    let cases: Vec<(&str, String, String, CompileLimits, &str)> = vec![
        (
            "E0402",
            plain(3),
            plain(4),
            CompileLimits { rules: 3, ..full() },
            "r3",
        ),
        (
            "E0403",
            plain(3),
            plain(4),
            CompileLimits {
                conditions: 3,
                ..full()
            },
            "{operator: eq, field: llm.model, value: m3}",
        ),
        (
            "E0404",
            nested(4),
            nested(5),
            CompileLimits { depth: 5, ..full() },
            "{operator: eq, field: llm.model, value: m}",
        ),
        (
            "E0405",
            plain(3),
            plain(4),
            CompileLimits {
                constants: 3,
                ..full()
            },
            "m3",
        ),
        (
            // A text of 1 in a list in a list is written out three times; the value of the condition counts too.
            "E0412",
            set_to("[[a], [b]]"),
            set_to("[[a], [bc]]"),
            CompileLimits {
                constant_bytes: 2 + 1 + 2 * 2 + 2 * 3 * 2,
                ..full()
            },
            "bc",
        ),
        (
            "E0406",
            matches("abc"),
            matches("abcd"),
            CompileLimits {
                pattern_bytes: 3,
                ..full()
            },
            "'abcd'",
        ),
        (
            "E0407",
            matches("a{2}"),
            matches("a{2000}"),
            CompileLimits {
                automata_bytes: 64 << 10,
                ..full()
            },
            "'a{2000}'",
        ),
        (
            "E0408",
            two_texts("{{ llm.model }}"),
            two_texts("{{ llm.model }}{{ llm.model }}"),
            CompileLimits {
                placeholders: 1,
                ..full()
            },
            "'{{ llm.model }}{{ llm.model }}'",
        ),
        (
            "E0409",
            plain(1),
            plain(1).replace("id: p", "id: far-too-long"),
            CompileLimits {
                name_bytes: 10,
                ..full()
            },
            "far-too-long",
        ),
        (
            "E0401",
            plain(1),
            plain(2),
            CompileLimits {
                source_bytes: plain(1).len(),
                ..full()
            },
            "",
        ),
        (
            "E0002",
            plain(1),
            plain(2),
            CompileLimits {
                file: Limits {
                    max_bytes: plain(1).len(),
                    ..Limits::default()
                },
                ..full()
            },
            "",
        ),
    ];
    let aliases = |times: usize| {
        let one = |i| {
            let text = if i == 0 { "&t ten-bytes-" } else { "*t" };
            rule(
                i,
                "{operator: exists, field: llm.model}",
                &format!("{{decision: deny, reason: {text}}}"),
            )
        };
        policy("p", (0..=times).map(one))
    };
    let of_file = |file: Limits| CompileLimits {
        file,
        ..CompileLimits::default()
    };
    let cases = cases.into_iter().chain([
        (
            "E0002",
            matches(r"\pL"),
            matches(r"\pL\PN"),
            of_file(Limits {
                max_pattern_classes: 1,
                ..Limits::default()
            }),
            r"'\pL\PN'",
        ),
        (
            "E0002",
            aliases(2),
            aliases(3),
            of_file(Limits {
                max_alias_bytes: 20,
                ..Limits::default()
            }),
            "*t",
        ),
    ]);
    for (code, within, beyond, limits, place) in cases {
        let found = compile(&sources(&within), &limited(limits.clone()));
        let errors = found.err().map(|failed| failed.diagnostics);
        let told = errors.is_some_and(|d| d.iter().any(|d| d.code.as_str() == code));
        assert!(!told, "{code}");
        let (diagnostic, found) = refused(&beyond, limits);
        assert_eq!(
            (diagnostic.code.as_str(), found.as_str()),
            (code, place),
            "{diagnostic:#?}"
        );
    }
}

/// The table in `docs/policy-language.md`.
#[test]
fn the_documented_limits_are_the_limits() {
    let page = include_str!("../../docs/policy-language.md");
    let table = page.split("<!-- compile limits -->").nth(1).unwrap();
    let table = table.split("<!-- /compile limits -->").next().unwrap();
    let documented: Vec<(String, usize)> = table
        .lines()
        .filter(|line| line.starts_with("| `E"))
        .map(|line| {
            let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
            (cells[0].trim_matches('`').to_owned(), cells[2].parse().unwrap())
        })
        .collect();
    let CompileLimits {
        file,
        source_bytes,
        rules,
        conditions,
        depth,
        constants,
        constant_bytes,
        pattern_bytes,
        automata_bytes,
        placeholders,
        name_bytes,
        diagnostics,
    } = CompileLimits::default();
    assert_eq!(pattern_bytes, file.max_pattern_bytes);
    let limits = [
        ("E0002", file.max_bytes),
        ("E0002", file.max_depth),
        ("E0002", file.max_nodes),
        ("E0002", file.max_alias_nodes),
        ("E0002", file.max_alias_bytes),
        ("E0002", file.max_pattern_classes),
        ("E0401", source_bytes),
        ("E0402", rules),
        ("E0403", conditions),
        ("E0404", depth),
        ("E0405", constants),
        ("E0412", constant_bytes),
        ("E0406", pattern_bytes),
        ("E0407", automata_bytes),
        ("E0408", placeholders),
        ("E0409", name_bytes),
        ("E0410", diagnostics),
    ];
    assert_eq!(documented, limits.map(|(code, limit)| (code.to_owned(), limit)));
}

/// Limits are of the set, whatever was compiled before and is kept.
#[test]
fn what_is_kept_counts_as_what_is_new() {
    let limits = CompileLimits {
        rules: 3,
        ..CompileLimits::default()
    };
    let mut compiler = Compiler::new(limited(limits));
    compiler.set("a.yaml", plain(2).replace("id: p", "id: a"));
    compiler.build().unwrap();
    compiler.set("b.yaml", plain(2).replace("id: p", "id: b"));
    let failed = compiler.build().unwrap_err();
    assert_eq!(failed.diagnostics[0].code.as_str(), "E0402");
    // The other way round as well: what is kept comes behind what is new.
    compiler.set("a.yaml", plain(1).replace("id: p", "id: a"));
    compiler.build().unwrap();
    compiler.set("a.yaml", plain(2).replace("id: p", "id: a"));
    let failed = compiler.build().unwrap_err();
    assert_eq!(failed.diagnostics[0].code.as_str(), "E0402");
    let source = compiler.sources();
    let name = source
        .file(failed.diagnostics[0].primary.span.file)
        .unwrap()
        .name();
    assert_eq!(name, "b.yaml");
}

#[test]
fn equal_patterns_count_once() {
    let matches = |field: &str| format!("{{operator: matches, field: {field}, value: 'a{{200}}'}}");
    let fields = ["llm.model", "team.id", "user.id", "user.email"];
    let text = policy(
        "p",
        fields
            .iter()
            .enumerate()
            .map(|(i, f)| rule(i, &matches(f), "{decision: deny}")),
    );
    let limits = CompileLimits {
        automata_bytes: 64 << 10,
        ..CompileLimits::default()
    };
    assert!(compile(&sources(&text), &limited(limits)).is_ok());
}

#[test]
fn the_first_errors_are_reported_and_how_many_there_are() {
    let unknown = |i| {
        rule(
            i,
            &format!("{{operator: eq, field: llm.modle{i}, value: 1}}"),
            "{decision: deny}",
        )
    };
    let broken = |i| {
        rule(
            i,
            "{operator: in_cidr, field: request.ipAddress, value: x}",
            "{decision: deny}",
        )
    };
    let text = policy("p", (0..20).map(unknown).chain((20..30).map(broken)));
    let limits = CompileLimits {
        diagnostics: 12,
        ..CompileLimits::default()
    };
    let failed = compile(&sources(&text), &limited(limits)).unwrap_err();
    assert_eq!(failed.diagnostics.len(), 13);
    let errors = failed
        .diagnostics
        .iter()
        .filter(|d| d.code.as_str() == "E0307")
        .count();
    assert_eq!(errors, 10, "errors come before warnings");
    let last = failed.diagnostics.last().unwrap();
    assert_eq!(last.code.as_str(), "E0410");
    assert!(last.message.starts_with("18 more"), "{}", last.message);
}

/// Every look that a compilation takes is one at which it can be ended: it then has no result and says so, and what it
/// does otherwise stays as it is.
#[test]
fn a_compilation_can_be_ended_at_every_look() {
    let patterns = (0..3).map(|i| {
        rule(
            i,
            &format!("{{operator: matches, field: llm.text, value: 'abc[{i}x]+'}}"),
            "{decision: deny}",
        )
    });
    let text = format!("{}---\n{}", plain(6), policy("q", patterns));
    let sources = sources(&text);
    let until = |stop: Stop| {
        compile(
            &sources,
            &Options {
                stop,
                ..Options::default()
            },
        )
    };
    let whole = until(Stop::never()).unwrap().to_bundle().unwrap();
    let counter = Stop::after(u64::MAX);
    until(counter.clone()).unwrap();
    let looks = u64::MAX - counter.looks_left().unwrap();
    for looks in 0..looks {
        let failed = until(Stop::after(looks)).unwrap_err();
        assert!(
            failed.is_stopped() && failed.diagnostics.len() == 1,
            "{looks}: {failed}"
        );
    }
    assert_eq!(until(Stop::after(looks)).unwrap().to_bundle().unwrap(), whole);
}

/// Work between two looks does not grow with the policies: twice the rules are twice the looks.
#[test]
fn looks_are_as_many_as_rules_and_patterns() {
    let looks = |text: &str| {
        let stop = Stop::after(u64::MAX);
        compile(
            &sources(text),
            &Options {
                stop: stop.clone(),
                ..Options::default()
            },
        )
        .unwrap();
        u64::MAX - stop.looks_left().unwrap()
    };
    let (few, many) = (looks(&plain(100)), looks(&plain(200)));
    assert!(many - few >= 5 * 100, "{few} looks for 100 rules, {many} for 200");
    let matching = |n: usize| {
        let one = |i| {
            rule(
                i,
                &format!("{{operator: matches, field: llm.model, value: 'abc{i}+'}}"),
                "{decision: deny}",
            )
        };
        policy("p", (0..n).map(one))
    };
    // One more for each automaton.
    let (few, many) = (looks(&matching(100)), looks(&matching(200)));
    assert!(
        many - few >= 6 * 100,
        "{few} looks for 100 patterns, {many} for 200"
    );
}

#[test]
fn a_stopped_build_keeps_nothing_that_is_half_made() {
    let mut compiler = Compiler::default();
    for name in ["a", "b", "c"] {
        compiler.set(
            format!("{name}.yaml"),
            plain(4).replace("id: p", &format!("id: {name}")),
        );
    }
    let whole = compiler.clone().build().unwrap().to_bundle().unwrap();
    for looks in 0..200 {
        compiler.set_stop(Stop::after(looks));
        if let Err(failed) = compiler.build() {
            assert!(failed.is_stopped());
        }
    }
    compiler.set_stop(Stop::never());
    assert_eq!(compiler.build().unwrap().to_bundle().unwrap(), whole);
}

fn in_namespace(id: &str, namespace: &str, rules: impl IntoIterator<Item = String>) -> String {
    policy(id, rules).replace("name: P", &format!("name: P, namespace: {namespace}"))
}

fn matching(n: usize, pattern: &str) -> String {
    let condition = format!("{{operator: matches, field: llm.model, value: '{pattern}'}}");
    rule(n, &condition, "{decision: deny, reason: '{{ llm.model }}'}")
}

/// What each namespace takes is told, whether the set is compiled at once or edited: a pattern counts once for each namespace,
/// and what is removed does not count any more.
#[test]
fn what_a_namespace_takes_is_told() {
    let files = [
        (
            "a.yaml",
            in_namespace("a", "one", [matching(0, "a{9}"), matching(1, "b{9}")]),
        ),
        ("b.yaml", in_namespace("b", "one", [matching(0, "a{9}")])),
        ("c.yaml", in_namespace("c", "two", [matching(0, "a{9}")])),
        (
            "d.yaml",
            in_namespace(
                "d",
                "two",
                [rule(
                    0,
                    "{operator: in, field: llm.model, value: [x, yz]}",
                    "{decision: deny}",
                )],
            ),
        ),
    ];
    let mut sources = SourceMap::new();
    let mut compiler = Compiler::default();
    for (name, text) in &files {
        sources.add(SourceFile::new(*name, text.as_str()));
        compiler.set(*name, text.as_str());
    }
    let usage = compile(&sources, &Options::default()).unwrap().usage;
    let bytes =
        |names: std::ops::Range<usize>| files[names].iter().map(|(_, text)| text.len()).sum::<usize>();
    let one = usage["one"];
    let two = usage["two"];
    assert_eq!(
        (one.rules, one.conditions, one.constants, one.placeholders),
        (3, 3, 3, 3)
    );
    assert_eq!(
        (two.rules, two.conditions, two.constants, two.placeholders),
        (2, 2, 4, 1)
    );
    assert_eq!((one.source_bytes, two.source_bytes), (bytes(0..2), bytes(2..4)));
    assert_eq!(
        (one.constant_bytes, two.constant_bytes),
        (3 * 5, 5 + 1 + 2 * 2 + 2 * 3)
    );
    // Two patterns of one size, however often.
    assert_eq!(one.automata_bytes, 2 * two.automata_bytes);
    assert!(two.automata_bytes > 0);
    assert_eq!(usage.len(), 2);

    assert!(compiler.usage().is_empty(), "nothing is compiled yet");
    assert_eq!(compiler.build().unwrap().usage, usage);
    assert_eq!(compiler.usage(), usage);
    compiler.set("e.yaml", in_namespace("e", "three", [matching(0, "c{9}")]));
    assert_eq!(compiler.build().unwrap().usage.len(), 3);
    compiler.remove("e.yaml");
    assert_eq!(compiler.usage(), usage);

    // A file that several namespaces share counts for each of them, and its policies each for their own.
    let text = format!("{}---\n{}", files[0].1, files[2].1);
    compiler.set("a.yaml", text.as_str());
    compiler.remove("c.yaml");
    let usage = compiler.build().unwrap().usage;
    let grown = text.len() - files[0].1.len();
    assert_eq!(
        usage["one"],
        Usage {
            source_bytes: one.source_bytes + grown,
            ..one
        }
    );
    let d = files[3].1.len();
    assert_eq!(
        usage["two"],
        Usage {
            source_bytes: d + text.len(),
            ..two
        }
    );
}

/// No values, however they are nested or repeated by aliases, are too large for the host once they are written out: that would
/// be an internal error of whoever compiles next.
#[test]
fn values_that_no_host_runs_are_refused_with_their_place() {
    let long = "x".repeat(2 << 20);
    let nested = |levels: usize| format!("{}{long}{}", "[".repeat(levels), "]".repeat(levels));
    let set = |id: &str, levels| {
        policy(
            id,
            [rule(
                0,
                "{operator: exists, field: llm.model}",
                &format!(
                    "{{decision: modify, modifications: {{metadata.a: {}}}}}",
                    nested(levels)
                ),
            )],
        )
    };
    let mut compiler = Compiler::default();
    compiler.set("a.yaml", set("a", 20));
    compiler.set("b.yaml", set("b", 20));
    compiler.build().unwrap();
    compiler.set("c.yaml", set("c", 20));
    compiler.set("d.yaml", set("d", 20));
    let failed = compiler.build().unwrap_err();
    let errors: Vec<&Diagnostic> = failed.diagnostics.iter().filter(|d| d.is_error()).collect();
    assert_eq!(
        errors.iter().map(|d| d.code.as_str()).collect::<Vec<_>>(),
        ["E0412"]
    );
}
