//! Automata mean what their patterns mean, stay within their limits, and say why one is missing; scans take what a text
//! of the request alone decides, where it pays.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on has failed"
)]

use policy_bytecode::disasm::{DisasmOptions, disassemble};
use policy_bytecode::module::{Pattern, PatternEngine};
use policy_compiler::{OptLevel, Options, PassReport, compile};
use policy_grammar::{SourceFile, SourceMap};
use proptest::prelude::*;
use regex_automata::Input;
use regex_automata::dfa::{Automaton as _, dense};
use regex_automata::meta::Regex;

const PATTERNS: &[&str] = &[
    "^gpt-4",
    "gpt-4$",
    "^$",
    "",
    "(?i)straße",
    r"\bfoo\b",
    r"\bo",
    r"\d{3}-\d{2}",
    r"[^a-z]+x",
    r"(?m)^a$",
    r"(?s)a.b",
    r"a.b",
    r"\Bo",
    r"é|ß+",
    r"\p{Greek}",
    r"(a|b)*c",
    r"\w+@\w+",
];

fn compiled(patterns: &[&str], options: &Options) -> Vec<Pattern> {
    let mut text = "metadata: {id: p, name: p}\nrules:\n".to_owned();
    for (i, pattern) in patterns.iter().enumerate() {
        let pattern = pattern.replace('\'', "''");
        text += &format!(
            "  - id: r{i}\n    condition: {{operator: matches, field: metadata.f{i}, value: '{pattern}'}}\n    \
             action: {{decision: deny}}\n"
        );
    }
    let mut sources = SourceMap::new();
    sources.add(SourceFile::new("p.yaml", text));
    compile(&sources, options).unwrap().module.patterns.clone()
}

fn automaton(bytes: &[u8]) -> dense::DFA<Vec<u32>> {
    let mut aligned = vec![0u8; bytes.len() + 8];
    let shift = aligned.as_ptr().align_offset(8);
    aligned[shift..shift + bytes.len()].copy_from_slice(bytes);
    let (dfa, read) = dense::DFA::from_bytes(&aligned[shift..shift + bytes.len()]).unwrap();
    assert_eq!(read, bytes.len());
    dfa.to_owned()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn automata_find_what_the_regex_finds(texts in prop::collection::vec("[a-dfgopt0-9 éßα@\n.x-]{0,12}", 8)) {
        for pattern in compiled(PATTERNS, &Options::default()) {
            let regex = Regex::new(&pattern.translated).unwrap();
            let PatternEngine::Dfa { bytes, ascii_only } = &pattern.engine else { continue };
            let dfa = automaton(bytes);
            for text in texts.iter().map(String::as_str).chain(["", "foo", "ofo", "gpt-4"]) {
                match dfa.try_search_fwd(&Input::new(text).earliest(true)) {
                    Ok(found) => prop_assert_eq!(found.is_some(), regex.is_match(text), "{} on {:?}", pattern.source, text),
                    Err(_) => prop_assert!(*ascii_only && !text.is_ascii(), "{} gave up on {:?}", pattern.source, text),
                }
            }
        }
    }
}

/// Whether a pattern is slow on long texts is found out by making its automaton, which is not made again.
#[test]
fn a_pattern_that_was_checked_is_run_as_one_that_was_not() {
    for pattern in ["[a-z]{20,}", r"[\pL.-]{5,20}@[\pL.-]{5,20}", "(a|b)*c"] {
        let of = |field: &str| {
            let mut sources = SourceMap::new();
            sources.add(SourceFile::new(
                "p.yaml",
                format!(
                    "metadata: {{id: p, name: p}}\nrules:\n  - id: r\n    condition: {{operator: matches, field: {field}, \
                     value: '{pattern}'}}\n    action: {{decision: deny}}\n"
                ),
            ));
            let compiled = compile(&sources, &Options::default()).unwrap();
            (compiled.module.patterns.clone(), compiled.report.passes)
        };
        let (checked, of_checked) = of("llm.prompt");
        let (other, of_other) = of("metadata.text");
        assert_eq!(checked, other, "{pattern}");
        let changes =
            |passes: &[PassReport]| passes.iter().find(|p| p.name == "regex_dfa").map(|p| p.changes);
        assert_eq!(changes(&of_checked), changes(&of_other));
    }
}

#[test]
fn small_patterns_get_automata_and_large_ones_say_why_not() {
    let large = r"\b[\pL.-]{5,20}@[\pL.-]{5,20}\b";
    let found = compiled(&["^gpt-4", r"\bfoo\b", large], &Options::default());
    assert!(
        matches!(&found[0].engine, PatternEngine::Dfa { ascii_only: false, bytes } if bytes.len() < 4096)
    );
    // Word boundaries are ASCII, so that automata decide them in any text.
    assert!(matches!(
        &found[1].engine,
        PatternEngine::Dfa {
            ascii_only: false,
            ..
        }
    ));
    assert_eq!(found[1].source, r"\bfoo\b");
    assert_eq!(found[1].translated, r"(?-u:\b)foo(?-u:\b)");
    assert!(matches!(&found[2].engine, PatternEngine::Source { reason } if reason.contains("larger than")));
    let none = compiled(
        &["^gpt-4"],
        &Options {
            opt_level: OptLevel::O0,
            ..Options::default()
        },
    );
    assert!(matches!(&none[0].engine, PatternEngine::Source { .. }));
    let total = Options {
        dfa_total_limit_bytes: 10,
        ..Options::default()
    };
    assert!(matches!(&compiled(&["^gpt-4"], &total)[0].engine,
        PatternEngine::Source { reason } if reason.contains("all automata")));
}

/// The scans that policies with these conditions have, as a listing.
fn scans(conditions: &[&str]) -> String {
    let mut text = "metadata: {id: p, name: p}\nrules:\n".to_owned();
    for (i, condition) in conditions.iter().enumerate() {
        text +=
            &format!("  - id: r{i}\n    condition: {condition}\n    action: {{decision: warn, reason: r}}\n");
    }
    let mut sources = SourceMap::new();
    sources.add(SourceFile::new("p.yaml", text));
    let module = compile(&sources, &Options::default()).unwrap().module;
    let listing = disassemble(&module, &DisasmOptions { full: true });
    let scans = listing.lines().skip_while(|line| *line != ".scans").skip(1);
    let lines = scans
        .take_while(|line| !line.is_empty())
        .map(|line| line.split(';').next().unwrap().trim());
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn searches_of_one_text_are_one_scan() {
    let found = scans(&[
        r"{operator: matches, field: llm.prompt, value: '\bAKIA[0-9A-Z]{16}\b'}",
        r"{operator: matches, field: llm.prompt, value: '(?i)\bsecret:\s'}",
        r"{operator: matches, field: llm.prompt, value: '[a-z]{20,}'}",
        r"{operator: matches, field: llm.prompt, value: '^system prompt'}",
        r"{operator: not_contains, field: llm.prompt, value: 'Key #1'}",
        r"{operator: contains, field: llm.prompt, value: '<<<'}",
        r"{operator: starts_with, field: llm.prompt, value: 'Key'}",
        r"{operator: contains, field: user.roles, value: admin}",
    ]);
    let expected = r#"s0: f0
literal "<<<"
literal "akia" exact "AKIA"
literal "key #0" exact "Key #1"
literal "secret:"
predicate p0 near 0 0 l1
predicate p1 near 0 0 l3
predicate p4 true l2
predicate p5 true l0"#;
    assert_eq!(found, expected);
}

#[test]
fn a_scan_has_to_pay() {
    let one = r"{operator: matches, field: llm.prompt, value: 'secret'}";
    let short = r"{operator: contains, field: llm.model, value: 'gpt'}";
    let other = r"{operator: contains, field: llm.model, value: 'mini'}";
    assert_eq!(scans(&[one, short, other]), "");
}

/// The comments of a dump after a pass, and the dump.
fn dumped(patterns: &[&str], pass: &str, options: Options) -> (Vec<String>, String) {
    let mut text = "metadata: {id: p, name: p}\nrules:\n".to_owned();
    for (i, pattern) in patterns.iter().enumerate() {
        text += &format!(
            "  - id: r{i}\n    condition: {{operator: matches, field: llm.prompt, value: '{pattern}'}}\n    action: {{decision: deny}}\n"
        );
    }
    let mut sources = SourceMap::new();
    sources.add(SourceFile::new("p.yaml", text));
    let options = Options {
        dump_ir: vec![policy_compiler::DumpPoint::After(pass.to_owned())],
        ..options
    };
    let mut dumps = compile(&sources, &options).unwrap().report.dumps;
    let dump = dumps.remove(0).text;
    let comments = dump.lines().filter(|line| line.starts_with('#'));
    (comments.map(str::to_owned).collect(), dump)
}

#[test]
fn dumps_show_automata_and_scans() {
    let patterns = [
        "^gpt-4",
        "(?i)ignore all rules",
        "(?i)rm -rf [a-z/]+",
        "[a-z]{3,}",
        r"\p{L}{1,99}",
    ];
    let (comments, dump) = dumped(&patterns, "regex_dfa", Options::default());
    assert_eq!(comments.len(), patterns.len(), "{comments:#?}");
    // As many states as the automaton of a minimal matcher needs at least: one for each byte, the start and the match.
    let states = |line: &str| -> usize {
        let (_, rest) = line.split_once("dense automaton, ").unwrap();
        rest.split(' ').next().unwrap().parse().unwrap()
    };
    assert!((7..=16).contains(&states(&comments[0])), "{}", comments[0]);
    assert!(
        comments[0].starts_with("# pattern \"^gpt-4\": dense automaton, "),
        "{}",
        comments[0]
    );
    assert!(
        comments[0].ends_with(" bytes; matches begin where the text does"),
        "{}",
        comments[0]
    );
    assert!(states(&comments[1]) > states(&comments[0]), "{comments:#?}");
    assert!(comments[1].contains("; prefilter \"ignore "), "{}", comments[1]);
    assert!(comments[3].ends_with("; no prefilter"), "{}", comments[3]);
    assert_eq!(
        comments[4],
        "# pattern \"\\\\p{L}{1,99}\": lazy automaton (the pattern is larger than 256 KiB before determinising); no prefilter"
    );
    // What is dumped is read as it was; the comments are not part of it.
    let program = policy_compiler::ir::text::parse(&dump).unwrap();
    let printed = policy_compiler::ir::text::print(&program);
    let plain: String = dump
        .split_inclusive('\n')
        .filter(|line| !line.starts_with('#'))
        .collect();
    assert_eq!(printed, plain);

    let (comments, _) = dumped(&patterns, "dfa_limit", Options::default());
    assert!(
        comments[1].contains("lazy automaton (a scan of the text looks for its literals first)"),
        "{comments:#?}"
    );
    let scan = comments.last().unwrap();
    assert!(
        scan.starts_with("# scan of llm.prompt: 2 comparisons by 2 literals: ") && scan.contains("\"rm -rf "),
        "{scan}"
    );
    // Where no automata are made, nothing is said of them.
    let low = Options {
        opt_level: OptLevel::O1,
        ..Options::default()
    };
    assert!(dumped(&patterns, "simplify", low).0.is_empty());
    assert!(dumped(&patterns, "simplify", Options::default()).0.is_empty());
}
