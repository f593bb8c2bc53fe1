//! A set that is edited and built again gives what compiling the same files from nothing gives: the same bytes, the
//! same diagnostics, the same report.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on has failed"
)]

use policy_compiler::{Compiler, DumpPoint, OptLevel, Options, compile};
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
    fn edits_give_what_a_clean_build_gives(edits in prop::collection::vec((edit(), any::<bool>()), 1..14)) {
        for options in options() {
            let mut compiler = Compiler::new(options.clone());
            let mut files = BTreeMap::new();
            for (edit, build) in &edits {
                match edit.clone() {
                    Edit::Set { name: i, text } => {
                        compiler.set(name(i), text.clone());
                        files.insert(name(i), text);
                    }
                    Edit::Remove { name: i } => {
                        prop_assert_eq!(compiler.remove(&name(i)), files.remove(&name(i)).is_some());
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
