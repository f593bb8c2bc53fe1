//! The rule index: what it finds for every kind of value, and that cost follows what it finds.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

mod common;

use common::{decide, load, module};
use policy_bytecode::module::Module;
use policy_vm::{Hit, LoadedModule, Mode};
use std::fmt::Write as _;

/// One rule for each predicate in `preds`, with a guard on it or not.
fn rules(preds: &[&str], guarded: bool) -> LoadedModule {
    let mut text = String::from(
        ".fields\n f0: a\n f1: b\n.constants\n k0: 1\n k1: \"x\"\n k2: true\n k3: null\n k4: [k0, k1, k2]\n k5: 5\n \
         k6: \"xy\"\n k7: \"\"\n k8: [k5, k3]\n k9: 1.5\n.predicates\n",
    );
    for (i, pred) in preds.iter().enumerate() {
        writeln!(text, " p{i}: {pred}").unwrap();
    }
    for (i, _) in preds.iter().enumerate() {
        let guard = if guarded {
            format!(" guard=p{i}")
        } else {
            String::new()
        };
        writeln!(text, ".function fn{i}{guard}\n ret_test p{i}, 1").unwrap();
    }
    text.push_str(".rules\n");
    for (i, _) in preds.iter().enumerate() {
        writeln!(text, " rule{i}: policy0 warn fn{i} fires_on_error").unwrap();
    }
    writeln!(text, ".policies\n policy0: rule0+{}", preds.len()).unwrap();
    load(&text)
}

/// Every operator that can be looked up against a value of every type and around every bound, with and without the
/// index.
#[test]
fn every_kind_of_key_finds_what_the_predicates_would() {
    let mut preds = Vec::new();
    for operand in ["k0", "k1", "k2", "k3", "k5", "k6", "k7", "k9"] {
        preds.push(format!("f0 eq {operand}"));
        preds.push(format!("f0 contains {operand}"));
    }
    for list in ["k4", "k8"] {
        preds.push(format!("f0 in {list}"));
    }
    for bound in ["k0", "k5", "k9"] {
        preds.extend(["gt", "gte", "lt", "lte"].map(|op| format!("f0 {op} {bound}")));
    }
    for text in ["k1", "k6"] {
        preds.extend(["starts_with", "ends_with"].map(|op| format!("f0 {op} {text}")));
    }
    preds.push("f0 exists".to_owned());
    preds.push("f1 exists".to_owned());
    let preds: Vec<&str> = preds.iter().map(String::as_str).collect();
    let (plain, indexed) = (rules(&preds, false), rules(&preds, true));
    let values = [
        "null",
        "true",
        "false",
        "0",
        "1",
        "1.0",
        "1.5",
        "2",
        "5",
        "6",
        "-1",
        "1e300",
        "18446744073709551615",
        "\"\"",
        "\"x\"",
        "\"xy\"",
        "\"xyx\"",
        "\"yx\"",
        "\"é\"",
        "[]",
        "[1]",
        "[\"x\", 5]",
        "[null, true]",
        "[[1]]",
        "{}",
        "{\"x\": 1}",
    ];
    let bodies = values.iter().map(|value| format!("{{\"a\": {value}}}"));
    let mut fired = 0;
    for body in bodies.chain([
        "{}".to_owned(),
        "{\"a\": 1, \"b\": null}".to_owned(),
        "{\"b\": 1}".to_owned(),
    ]) {
        let expected = decide(&plain, &body, Mode::All);
        assert_eq!(decide(&indexed, &body, Mode::All), expected, "{body}");
        fired += expected.len();
    }
    assert!(fired > 100, "{fired}");
}

/// `count` rules that ask for different keys. `fuel` is what the module allows for one evaluation.
fn tenants(count: usize, fuel: usize, guard: &str) -> Module {
    let mut text = format!(".limits fuel={fuel}\n.fields\n f0: team.id\n f1: region\n.constants\n");
    for i in 0..count {
        writeln!(text, " k{i}: \"team-{i}\"").unwrap();
    }
    text.push_str(".predicates\n");
    for i in 0..count {
        writeln!(text, " p{i}: f0 eq k{i}").unwrap();
    }
    for i in 0..count {
        let guard = guard.replace('#', &i.to_string());
        writeln!(text, ".function fn{i}{guard}\n ret_test p{i}, 1").unwrap();
    }
    text.push_str(".rules\n");
    for i in 0..count {
        writeln!(text, " rule{i}: policy0 deny fn{i} fires_on_error").unwrap();
    }
    writeln!(text, ".policies\n policy0: rule0+{count}").unwrap();
    module(&text)
}

fn denied_by(hits: &[Hit]) -> Vec<u32> {
    hits.iter()
        .filter(|hit| !hit.error)
        .map(|hit| hit.rule.0)
        .collect()
}

/// Ten instructions are enough for ten thousand rules when one can fire, and not without the index.
#[test]
fn cost_follows_the_rules_that_can_fire() {
    let body = r#"{"team": {"id": "team-9999"}}"#;
    let indexed = common::load_module(tenants(10_000, 10, " guard=p#"));
    let hits = decide(&indexed, body, Mode::FirstDeny);
    assert_eq!((denied_by(&hits), hits.len()), (vec![9_999], 1));
    assert!(decide(&indexed, r#"{"team": {"id": "other"}}"#, Mode::All).is_empty());

    let plain = common::load_module(tenants(10_000, 10, ""));
    assert!(
        decide(&plain, body, Mode::FirstDeny)
            .iter()
            .any(|hit| hit.trap.is_some())
    );
}

/// Rules that share a key are told apart by their second guard: a hundred rules for one team, one of them for the region.
#[test]
fn a_second_guard_narrows_what_the_first_leaves() {
    let mut text = String::from(".limits fuel=6\n.fields\n f0: group\n f1: region\n.constants\n");
    for i in 0..200 {
        writeln!(text, " k{i}: \"v{i}\"").unwrap();
    }
    text.push_str(".predicates\n");
    // p0, p1: the team; p2…: the region.
    text.push_str(" p0: f0 eq k0\n p1: f0 eq k1\n");
    for i in 2..102 {
        writeln!(text, " p{i}: f1 eq k{i}").unwrap();
    }
    for i in 0..200 {
        let (team, region) = (i % 2, 2 + i / 2);
        writeln!(
            text,
            ".function fn{i} flags=1 guard=p{team} guard=p{region}\n test p{team}, 0, e0, L2\n ret_test p{region}, 1\n ret_false"
        )
        .unwrap();
    }
    text.push_str(".rules\n");
    for i in 0..200 {
        writeln!(text, " rule{i}: policy0 deny fn{i} fires_on_error").unwrap();
    }
    text.push_str(".policies\n policy0: rule0+200\n");
    let module = load(&text);
    let hits = decide(&module, r#"{"group": "v1", "region": "v52"}"#, Mode::All);
    assert_eq!((denied_by(&hits), hits.len()), (vec![101], 1));
    assert!(decide(&module, r#"{"group": "v1", "region": "v150"}"#, Mode::All).is_empty());
    assert!(decide(&module, r#"{"group": "v2", "region": "v52"}"#, Mode::All).is_empty());
}

/// Six hundred rules that look for a word each, with policies of one rule in front; guarded by the scan or not.
fn words(fuel: usize, guarded: bool) -> LoadedModule {
    let words: Vec<String> = ('a'..='z')
        .flat_map(|a| ('a'..='z').map(move |b| format!("q{a}{b}x")))
        .take(600)
        .collect();
    let mut text = format!(".limits fuel={fuel}\n.fields\n f0: prompt\n f1: caller\n.constants\n");
    for (i, word) in words.iter().enumerate() {
        writeln!(text, " k{i}: \"{word}\"").unwrap();
    }
    text.push_str(".predicates\n");
    for (i, _) in words.iter().enumerate() {
        writeln!(text, " p{i}: f0 contains k{i}").unwrap();
    }
    text.push_str(" p600: f1 exists\n.scans\n s0: f0\n");
    for word in &words {
        writeln!(text, " literal \"{word}\" exact \"{word}\"").unwrap();
    }
    for (i, _) in words.iter().enumerate() {
        writeln!(text, " predicate p{i} true l{i}").unwrap();
    }
    for (i, _) in words.iter().enumerate() {
        let guard = if guarded {
            format!(" guard=p{i}")
        } else {
            String::new()
        };
        writeln!(text, ".function fn{i}{guard}\n ret_test p{i}, 1").unwrap();
    }
    text.push_str(".function fn600\n ret_test p600, 1\n.rules\n rule0: policy0 deny fn600 fires_on_error\n");
    for (i, _) in words.iter().enumerate() {
        writeln!(text, " rule{}: policy0 warn fn{i} fires_on_error", i + 1).unwrap();
    }
    text.push_str(".policies\n policy0: rule0+601\n");
    load(&text)
}

/// Rules that hang on a scan are run where it finds something, in order, among the others.
#[test]
fn a_scan_leads_to_the_rules_that_may_fire() {
    let (few, plain) = (words(8, true), words(100_000, false));
    for body in [
        r#"{"prompt": "nothing"}"#,
        r#"{"prompt": "xx qzzx qaax qadx QABX qnnx"}"#,
        r#"{"prompt": "qabx", "caller": 1}"#,
        r#"{"caller": 1}"#,
        "{}",
    ] {
        for mode in [Mode::All, Mode::FirstDeny] {
            let hits = decide(&few, body, mode);
            assert_eq!(hits, decide(&plain, body, mode), "{body}");
            assert!(hits.iter().all(|hit| hit.trap.is_none()));
        }
    }
    // No text: an error of every rule, and elements of an array are compared one by one.
    let (all, plain) = (words(100_000, true), words(100_000, false));
    for body in [
        r#"{"prompt": 7}"#,
        r#"{"prompt": ["qabx"]}"#,
        r#"{"prompt": null}"#,
    ] {
        let hits = decide(&all, body, Mode::All);
        assert!(!hits.is_empty());
        assert_eq!(hits, decide(&plain, body, Mode::All), "{body}");
    }
}
