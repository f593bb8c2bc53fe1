//! A set that is edited and built again gives what compiling the same files from nothing gives: the same bytes, the
//! same diagnostics, the same report. So does one that takes over what was made of its files elsewhere.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on has failed"
)]

use policy_compiler::{
    CompileLimits, Compiler, ContextSchema, DumpPoint, OptLevel, Options, Stop, Work, compile,
};
use policy_grammar::{SourceFile, SourceMap};
use proptest::prelude::*;
use std::collections::BTreeMap;

/// One change of the set.
#[derive(Debug, Clone)]
enum Edit {
    Set { name: usize, text: String },
    Remove { name: usize },
}

/// Names whose order is not the order in which they are added.
fn name(i: usize) -> String {
    let ending = if i % 5 == 4 { "json" } else { "yaml" };
    format!("{}{i}.{ending}", ["m", "b", "z"][i % 3])
}

/// Rules over few fields and values, so that policies share entries of every table.
fn rule(i: usize, pick: u32) -> String {
    let condition = [
        "{operator: eq, field: team.tier, value: free}",
        "{operator: matches, field: llm.prompt, value: '(?i)secret'}",
        "{operator: and, conditions: [{operator: gt, field: llm.max_tokens, value: 100}, {operator: eq, field: team.tier, value: free}]}",
        "{operator: or, conditions: [{operator: matches, field: llm.model, value: '^gpt-4'}, {operator: in, field: team.tier, value: [free, pro]}]}",
        "{operator: gt, field: llm.estimatedCost, value: 2.5}",
        "{operator: not, conditions: [{operator: contains, field: user.roles, value: admin}]}",
        // Warnings: a contradiction, an unknown field, a list without items.
        "{operator: and, conditions: [{operator: eq, field: team.tier, value: a}, {operator: eq, field: team.tier, value: b}]}",
        "{operator: exists, field: llm.modle, value: true}",
        "{operator: in, field: team.id, value: []}",
        // An error.
        "{operator: gt, field: llm.maxTokens, value: true}",
    ];
    let action = [
        "{decision: deny, reason: 'no {{ llm.model }}'}",
        "{decision: warn, reason: shared, metadata: {list: [1, 2, {a: free}], text: '{{ team.id }}'}}",
        "{decision: modify, modifications: {llm.maxTokens: {$cap: 100}, llm.model: small}}",
        "{decision: allow}",
    ];
    let condition = condition[match pick % 40 {
        n @ 0..9 => n as usize,
        39 => 9,
        n => n as usize % 6,
    }];
    let enabled = !pick.is_multiple_of(7);
    format!(
        "- id: r{i}\n  enabled: {enabled}\n  condition: {condition}\n  action: {}\n",
        action[pick as usize / 64 % 4]
    )
}

fn policy() -> impl Strategy<Value = String> {
    (
        0u32..60,
        0u32..4,
        0u32..8,
        prop::collection::vec(any::<u32>(), 0..4),
    )
        .prop_map(|(id, priority, status, rules)| {
            let status = if status == 0 { "draft" } else { "active" };
            let mut text = format!(
                "metadata: {{id: p{id}, name: P{id}, priority: {priority}}}\nstatus: {status}\nrules:{}\n",
                if rules.is_empty() { " []" } else { "" }
            );
            for (i, pick) in rules.into_iter().enumerate() {
                text += &rule(i, pick);
            }
            text
        })
}

fn edit() -> impl Strategy<Value = Edit> {
    let text = prop_oneof![
        12 => prop::collection::vec(policy(), 1..3).prop_map(|documents| documents.join("---\n")),
        1 => Just("metadata: [\n".to_owned()),
        1 => Just(String::new()),
    ];
    prop_oneof![
        4 => (0usize..8, text).prop_map(|(name, text)| Edit::Set { name, text }),
        1 => (0usize..8).prop_map(|name| Edit::Remove { name }),
    ]
}

fn options() -> Vec<Options> {
    let default = Options::default;
    vec![
        default(),
        Options {
            opt_level: OptLevel::O0,
            include_inactive: true,
            ..default()
        },
        Options {
            dump_ir: vec![DumpPoint::All],
            dfa_total_limit_bytes: 1000,
            ..default()
        },
        Options {
            index_always: true,
            warn_unindexed: true,
            ..default()
        },
        Options {
            stop_after: Some("simplify".to_owned()),
            ..default()
        },
    ]
}

/// A compiler that was asked to compile one file.
fn alone(name: &str, text: &str, options: &Options) -> Compiler {
    let mut compiler = Compiler::new(options.clone());
    compiler.set(name, text);
    drop(compiler.build());
    compiler
}

/// Compares a build with a compilation of the same files from nothing.
fn same(
    compiler: &mut Compiler,
    files: &BTreeMap<String, String>,
    options: &Options,
) -> Result<(), TestCaseError> {
    let mut sources = SourceMap::new();
    for (name, text) in files {
        sources.add(SourceFile::new(name.as_str(), text.as_str()));
    }
    match (compiler.build(), compile(&sources, options)) {
        (Ok(kept), Ok(clean)) => {
            prop_assert!(
                kept.to_bundle().unwrap() == clean.to_bundle().unwrap(),
                "other bytes"
            );
            prop_assert_eq!(kept.diagnostics, clean.diagnostics);
            // Not how often passes had to change something: automata that are known are not made again.
            prop_assert_eq!(kept.report.dumps, clean.report.dumps);
            prop_assert_eq!(kept.report.patterns, clean.report.patterns);
            prop_assert_eq!(kept.report.stats, clean.report.stats);
        }
        (Err(kept), Err(clean)) => prop_assert_eq!(kept.diagnostics, clean.diagnostics),
        (kept, clean) => {
            return Err(TestCaseError::fail(format!(
                "kept: {:?}, clean: {:?}",
                kept.map(|c| c.diagnostics),
                clean.map(|c| c.diagnostics)
            )));
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn edits_give_what_a_clean_build_gives(edits in prop::collection::vec((edit(), any::<[bool; 3]>()), 1..14)) {
        for options in options() {
            let mut compiler = Compiler::new(options.clone());
            let mut files = BTreeMap::new();
            for (edit, [adopt, parse, build]) in &edits {
                match edit.clone() {
                    Edit::Set { name: i, text } => {
                        compiler.set(name(i), text.clone());
                        if *adopt {
                            let alone = alone(&name(i), &text, &options);
                            compiler.adopt(&alone, &name(i), &name(i));
                        }
                        files.insert(name(i), text);
                    }
                    Edit::Remove { name: i } => {
                        prop_assert_eq!(compiler.remove(&name(i)), files.remove(&name(i)).is_some());
                    }
                }
                if *parse {
                    for name in files.keys() {
                        prop_assert!(compiler.parse(name).is_some());
                    }
                }
                if *build {
                    same(&mut compiler, &files, &options)?;
                }
            }
            same(&mut compiler, &files, &options)?;
        }
    }
}

#[test]
fn files_may_come_in_any_order() {
    let policy = |i: u32| {
        format!(
            "metadata: {{id: p{i}, name: P, priority: {}}}\nrules:\n{}{}",
            i % 3,
            rule(0, i % 30),
            rule(1, i * 6 % 30 + 64)
        )
    };
    let build = |order: &[u32]| {
        let mut compiler = Compiler::new(Options::default());
        for i in order {
            compiler.set(format!("{i}.yaml"), policy(*i));
        }
        let compiled = compiler.build().unwrap();
        (compiled.to_bundle().unwrap(), compiled.diagnostics)
    };
    let up: Vec<u32> = (1..30).collect();
    let down: Vec<u32> = up.iter().rev().copied().collect();
    assert!(build(&up) == build(&down));
}

#[test]
fn problems_of_a_file_are_told_at_once() {
    let mut compiler = Compiler::new(Options::default());
    compiler.set("b.yaml", "metadata: {id: b, name: B}\nrules:\n- id: r\n  condition: {operator: exists, field: llm.modle, value: true}\n  action: {decision: deny}\n");
    compiler.set("a.yaml", "metadata: {id: a, name: A}\nrules: []\n");
    let problems = compiler.problems("b.yaml").unwrap();
    assert_eq!(problems.len(), 1);
    let file = problems[0].primary.span.file;
    assert_eq!(compiler.sources().file(file).unwrap().name(), "b.yaml");
    assert!(compiler.problems("c.yaml").is_none());
    assert!(compiler.build().unwrap().diagnostics.contains(&problems[0]));
}

/// What a file imports is part of what it means: a changed, new or removed definition compiles it again, and nothing else.
#[test]
fn imported_constants_are_followed() {
    let importing = "import: [shared.yaml]\nmetadata: {id: a, name: A}\nrules:\n- id: r\n  condition: {operator: gt, \
                     field: llm.maxTokens, valueFrom: let.limit}\n  action: {decision: deny}\n";
    let definitions = |limit: u32| format!("kind: definitions\nlet: {{limit: {limit}}}\n");
    let mut compiler = Compiler::new(Options::default());
    let mut files = BTreeMap::new();
    for edit in [
        Edit::Set {
            name: 0,
            text: importing.replace("shared.yaml", &name(1)),
        },
        Edit::Set {
            name: 1,
            text: definitions(1),
        },
        Edit::Set {
            name: 2,
            text: rule_alone("c"),
        },
        Edit::Set {
            name: 1,
            text: definitions(2),
        },
        Edit::Remove { name: 1 },
        Edit::Set {
            name: 1,
            text: format!("kind: definitions\nimport: [{}]\n", name(3)),
        },
        Edit::Set {
            name: 3,
            text: definitions(3),
        },
        Edit::Set {
            name: 3,
            text: definitions(4),
        },
    ] {
        match edit {
            Edit::Set { name: n, text } => {
                compiler.set(name(n), text.as_str());
                files.insert(name(n), text);
            }
            Edit::Remove { name: n } => {
                assert!(compiler.remove(&name(n)));
                files.remove(&name(n));
            }
        }
        let mut sources = SourceMap::new();
        for (name, text) in &files {
            sources.add(SourceFile::new(name, text));
        }
        let anew = compile(&sources, &Options::default());
        let said = compiler.problems(&name(0)).unwrap();
        match (compiler.build(), anew) {
            (Ok(kept), Ok(anew)) => {
                assert_eq!(kept.module, anew.module, "{files:?}");
                assert!(said.is_empty(), "{said:?}");
            }
            (Err(kept), Err(anew)) => {
                assert_eq!(kept.diagnostics, anew.diagnostics, "{files:?}");
                let own = files.keys().position(|file| *file == name(0)).unwrap() as u32;
                let theirs = anew.diagnostics.iter().filter(|d| d.primary.span.file.0 == own);
                assert_eq!(
                    said.iter().collect::<Vec<_>>(),
                    theirs.collect::<Vec<_>>(),
                    "{files:?}"
                );
            }
            (kept, anew) => panic!("{} and {} for {files:?}", kept.is_ok(), anew.is_ok()),
        }
    }
}

fn rule_alone(id: &str) -> String {
    format!("metadata: {{id: {id}, name: {id}}}\nrules:\n{}", rule(0, 0))
}

#[test]
fn a_text_is_parsed_and_compiled_once() {
    let mut alone = Compiler::new(Options::default());
    alone.set("policy.yaml", rule_alone("p"));
    assert_eq!(alone.work(), Work::default());
    let parsed = alone.parse("policy.yaml").unwrap();
    assert_eq!(parsed.policies[0].metadata.id.value, "p");
    let read = Work {
        parsed: 1,
        compiled: 0,
    };
    assert_eq!(alone.work(), read);
    alone.parse("policy.yaml").unwrap();
    assert_eq!(alone.work(), read);
    alone.build().unwrap();
    let made = Work {
        parsed: 1,
        compiled: 1,
    };
    assert_eq!(alone.work(), made);

    let mut set = Compiler::new(Options::default());
    set.set("a.yaml", rule_alone("a"));
    set.build().unwrap();
    assert_eq!(set.work(), made);
    let mut without = set.clone();
    set.set("team/p.yaml", rule_alone("p"));
    assert!(set.adopt(&alone, "policy.yaml", "team/p.yaml"));
    assert!(
        !set.adopt(&alone, "policy.yaml", "team/p.yaml"),
        "it was taken already"
    );
    let taken = set.build().unwrap();
    assert_eq!(set.work(), made);
    assert_eq!(set.problems("team/p.yaml"), Some(Vec::new()));
    set.build().unwrap();
    assert_eq!(set.work(), made);

    without.set("team/p.yaml", rule_alone("p"));
    let own = without.build().unwrap();
    assert_eq!(taken.to_bundle().unwrap(), own.to_bundle().unwrap());
    assert_eq!(taken.usage, own.usage);
    assert_eq!(set.usage(), without.usage());
    let twice = Work {
        parsed: 2,
        compiled: 2,
    };
    assert_eq!(without.work(), twice);

    let stop = Stop::when_asked();
    stop.ask();
    alone.set("policy.yaml", rule_alone("q"));
    alone.set_stop(stop);
    assert!(alone.parse("policy.yaml").is_none());
    assert!(alone.parse("other.yaml").is_none());
}

#[test]
fn nothing_is_adopted_of_another_text_or_with_other_options() {
    let options = Options::default;
    let limits = |limits: fn(&mut CompileLimits)| {
        let mut options = options();
        limits(&mut options.compile_limits);
        options
    };
    let text = rule_alone("p");
    let adopts = |alone: &Compiler, theirs: &str, name: &str, text: &str, options: Options| {
        let mut set = Compiler::new(options.clone());
        set.set(name, text);
        let taken = set.adopt(alone, theirs, name);
        drop(set.build());
        assert_eq!(set.work().compiled, usize::from(!taken));
        taken
    };
    let made = alone("p.yaml", &text, &options());
    assert!(adopts(&made, "p.yaml", "t/p.yml", &text, options()));
    assert!(
        !adopts(&made, "q.yaml", "p.yaml", &text, options()),
        "no such file"
    );
    assert!(!adopts(&made, "p.yaml", "p.yaml", &rule_alone("q"), options()));
    assert!(!adopts(&made, "p.yaml", "p.yaml", &format!("{text} "), options()));
    assert!(!adopts(&made, "p.yaml", "p.json", &text, options()));

    // Not what is only parsed, and not what was set anew.
    let mut changed = made.clone();
    changed.set("p.yaml", rule_alone("q"));
    changed.set("p.yaml", text.clone());
    changed.parse("p.yaml").unwrap();
    assert!(!adopts(&changed, "p.yaml", "p.yaml", &text, options()));

    let schema = ContextSchema::parse("{}").unwrap();
    let others = [
        Options {
            opt_level: OptLevel::O1,
            ..options()
        },
        Options {
            schema: Some(schema),
            ..options()
        },
        Options {
            dfa_limit_bytes: 1000,
            ..options()
        },
        Options {
            include_inactive: true,
            ..options()
        },
        Options {
            index_always: true,
            ..options()
        },
        Options {
            dump_ir: vec![DumpPoint::All],
            ..options()
        },
        Options {
            stop_after: Some("simplify".to_owned()),
            ..options()
        },
        limits(|l| l.file.max_diagnostics -= 1),
        limits(|l| l.diagnostics -= 1),
        limits(|l| l.name_bytes -= 1),
        limits(|l| l.pattern_bytes -= 1),
        limits(|l| l.placeholders -= 1),
        limits(|l| l.rules -= 1),
    ];
    for other in others {
        assert!(
            !adopts(&made, "p.yaml", "p.yaml", &text, other.clone()),
            "{other:?}"
        );
    }
    // What keeps within less keeps within more.
    let strict = limits(|l| (l.name_bytes, l.pattern_bytes, l.placeholders) = (255, 4 << 10, 20_000));
    assert!(adopts(
        &alone("p.yaml", &text, &strict),
        "p.yaml",
        "p.yaml",
        &text,
        options()
    ));

    // What imports means something else beside other files, and what is wrong may be right there.
    let imports = format!("import: [c.yaml]\n{text}");
    let mut with_imports = Compiler::new(options());
    with_imports.set("c.yaml", "kind: definitions\nlet: {x: 1}\n");
    with_imports.set("p.yaml", imports.as_str());
    with_imports.build().unwrap();
    assert!(!adopts(&with_imports, "p.yaml", "p.yaml", &imports, options()));
    let broken = format!("metadata: {{id: p, name: P}}\nrules:\n{}", rule(0, 39));
    assert!(!adopts(
        &alone("p.yaml", &broken, &options()),
        "p.yaml",
        "p.yaml",
        &broken,
        options()
    ));
}

/// A limit of the set is exceeded at the place where a text does it, whoever compiled the text.
#[test]
fn what_was_adopted_keeps_within_the_limits_of_the_set() {
    let three = |id: &str| {
        let rule = |n: u32| {
            format!(
                "- id: r{n}\n  condition: {{operator: exists, field: a, value: true}}\n  action: {{decision: warn}}\n"
            )
        };
        format!(
            "metadata: {{id: {id}, name: P}}\nrules:\n{}{}{}",
            rule(0),
            rule(1),
            rule(2)
        )
    };
    let options = |rules| Options {
        compile_limits: CompileLimits {
            rules,
            ..CompileLimits::default()
        },
        ..Options::default()
    };
    let alone = alone("p.yaml", &three("b"), &options(3));
    let build = |adopt: bool| {
        let mut set = Compiler::new(options(5));
        set.set("a.yaml", three("a"));
        set.build().unwrap();
        set.set("b.yaml", three("b"));
        if adopt {
            assert!(set.adopt(&alone, "p.yaml", "b.yaml"));
        }
        let failed = set.build().unwrap_err();
        let sources = set.sources();
        let at = failed.diagnostics[0].primary.span;
        assert_eq!(sources.file(at.file).unwrap().line_column(at.start), (9, 7));
        failed
    };
    assert_eq!(build(true), build(false));
}
