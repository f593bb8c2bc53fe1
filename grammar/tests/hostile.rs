//! Documents made to hurt: each is refused or read in bounded time, with a diagnostic that has a place.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by panicking"
)]

mod support;

use policy_grammar::{Limits, SourceFile, SourceMap, parse_source_with};
use std::time::{Duration, Instant};
use support::{parse, render};

fn codes(name: &str, text: &str) -> Vec<&'static str> {
    let start = Instant::now();
    let (map, output) = parse(name, text);
    assert!(start.elapsed() < Duration::from_secs(20), "too slow");
    for d in &output.diagnostics {
        let file = map.file(d.primary.span.file).unwrap();
        assert!(d.primary.span.start <= d.primary.span.end);
        assert!(d.primary.span.end as usize <= file.text().len());
        assert!(
            file.text().is_char_boundary(d.primary.span.start as usize),
            "{d:?}"
        );
        assert!(file.text().is_char_boundary(d.primary.span.end as usize), "{d:?}");
    }
    output.diagnostics.iter().map(|d| d.code.as_str()).collect()
}

#[test]
fn alias_bomb() {
    let mut text = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x]\n");
    for i in 1..12 {
        let items = vec![format!("*a{}", i - 1); 9].join(", ");
        text += &format!("a{i}: &a{i} [{items}]\n");
    }
    assert_eq!(codes("a.yaml", &text), ["E0002"]);
}

#[test]
fn aliases_of_moderate_size_are_fine() {
    let mut text = String::from(
        "metadata: {id: a, name: A}\nrules:\n  - {id: r0, condition: &c {operator: exists, field: a}, action: &a {decision: allow}}\n",
    );
    for i in 1..2_000 {
        text += &format!("  - {{id: r{i}, condition: *c, action: *a}}\n");
    }
    assert_eq!(codes("a.yaml", &text), [""; 0]);
}

#[test]
fn an_alias_inside_its_own_anchor() {
    assert_eq!(
        codes("a.yaml", "metadata: &m {id: a, name: A, tags: *m}\nrules: []\n"),
        ["E0001"]
    );
}

#[test]
fn depth() {
    assert_eq!(codes("a.yaml", &"[".repeat(20_000)), ["E0002"]);
    assert_eq!(codes("a.yaml", &"- ".repeat(20_000)), ["E0002"]);
    assert_eq!(codes("a.yaml", &"{a: ".repeat(20_000)), ["E0002"]);
    let deep: String = (0..5_000).map(|i| " ".repeat(i) + "a:\n").collect();
    assert_eq!(codes("a.yaml", &deep), ["E0002"]);
    let json = "[".repeat(20_000) + &"]".repeat(20_000);
    assert_eq!(codes("a.json", &json), ["E0002"]);
    let json = "{\"a\":".repeat(20_000) + "1" + &"}".repeat(20_000);
    assert_eq!(codes("a.json", &json), ["E0002"]);
}

#[test]
fn depth_through_aliases() {
    let mut text = format!("a0: &a0 {}x{}\n", "[".repeat(60), "]".repeat(60));
    text += &format!("a1: &a1 {}*a0{}\n", "[".repeat(60), "]".repeat(60));
    text += "a2: [[[[[[[[[[*a1]]]]]]]]]]\n";
    assert_eq!(codes("a.yaml", &text), ["E0002"]);
}

#[test]
fn the_deepest_condition_allowed_is_read() {
    let mut condition = String::from("{operator: exists, field: a}");
    for _ in 0..60 {
        condition = format!("{{operator: not, conditions: [{condition}]}}");
    }
    let text = format!(
        "metadata: {{id: a, name: A}}\nrules:\n  - id: r\n    condition: {condition}\n    action: {{decision: deny}}\n"
    );
    assert_eq!(codes("a.yaml", &text), [""; 0]);
}

#[test]
fn size() {
    let text = "#".repeat(50_000_000);
    assert_eq!(codes("a.yaml", &text), ["E0002"]);
    assert_eq!(codes("a.json", &text), ["E0002"]);
}

#[test]
fn number_of_nodes() {
    let limits = Limits {
        max_nodes: 100,
        ..Limits::default()
    };
    for (name, text) in [
        ("a.yaml", format!("[{}]", "a,".repeat(1000))),
        ("a.json", format!("[{}1]", "1,".repeat(1000))),
        ("a.yaml", "---\na\n".repeat(1000)),
    ] {
        let mut map = SourceMap::new();
        let file = map.add(SourceFile::new(name, text));
        let output = parse_source_with(&map, file, &limits);
        assert!(output.diagnostics.iter().any(|d| d.code.as_str() == "E0002"));
    }
}

#[test]
fn more_problems_than_anyone_reads() {
    let mut text = String::from("metadata: {id: a, name: A}\nrules:\n");
    for _ in 0..5_000 {
        text += "  - x\n";
    }
    let (map, output) = parse("a.yaml", &text);
    assert_eq!(output.diagnostics.len(), 1_001);
    let last = render(&map, &output.diagnostics[1_000..]);
    assert!(last.contains("4000 more problems"), "{last}");
    assert!(output.policies.is_empty());
}

#[test]
fn a_mapping_with_many_keys_and_many_duplicates() {
    let mut text = String::from(
        "metadata: {id: a, name: A}\nrules:\n  - id: r\n    condition: {operator: exists, field: a}\n    action:\n      decision: deny\n      metadata:\n",
    );
    for i in 0..100_000 {
        text += &format!("        k{i}: 1\n");
    }
    assert_eq!(codes("a.yaml", &text), [""; 0]);
    text += "        k5: 2\n";
    assert_eq!(codes("a.yaml", &text), ["E0005"]);
}

#[test]
fn surrogates() {
    let json = |s: &str| format!("{{\"metadata\":{{\"id\":\"{s}\",\"name\":\"A\"}},\"rules\":[]}}");
    assert_eq!(codes("a.json", &json(r"\ud83d\ude00")), [""; 0]);
    assert_eq!(codes("a.yaml", &json(r"\ud83d\ude00")), [""; 0]);
    for bad in [r"\ud83d", r"\ude00", r"\ud83d\u0041", r"\ud83dx"] {
        assert_eq!(codes("a.json", &json(bad)), ["E0001"], "{bad}");
        assert_eq!(codes("a.yaml", &json(bad)), ["E0001"], "{bad}");
    }
}

#[test]
fn blanks_line_ends_and_marks() {
    let good = "metadata: {id: a, name: A}\nrules: []\n";
    assert_eq!(codes("a.yaml", &good.replace('\n', "\r\n")), [""; 0]);
    assert_eq!(codes("a.yaml", &format!("\u{feff}{good}")), [""; 0]);
    assert_eq!(
        codes(
            "a.json",
            "\u{feff}{\"metadata\":{\"id\":\"a\",\"name\":\"A\"},\"rules\":[]}"
        ),
        [""; 0]
    );
    assert_eq!(codes("a.yaml", "metadata:\n\tid: a\n"), ["E0001"]);
    assert_eq!(
        codes("a.yaml", "metadata: {id: a,\tname: A}\nrules: []\n"),
        [""; 0]
    );
    assert_eq!(codes("a.yaml", "a: \u{0}\n").len(), 1);
    assert!(!codes("a.yaml", "%YAML 3.0\n---\na\n").is_empty());
    assert!(!codes("a.yaml", "%TAG ! !\n%TAG ! !\n---\na\n").is_empty());
}

#[test]
fn strict_json() {
    for bad in [
        "{'a': 1}",
        "{\"a\": 1,}",
        "{a: 1}",
        "// x\n{}",
        "{} {}",
        "[1, 2",
        "{\"a\" 1}",
        "{\"a\": 01}",
        "{\"a\": NaN}",
        "\u{1}",
        "{\"a\": \"\t\"}",
        "{\"日本\": ]}",
    ] {
        assert_eq!(codes("a.json", bad), ["E0001"], "{bad}");
    }
}

#[test]
fn long_scalars_and_regexes() {
    let long = "a".repeat(1_000_000);
    let text = format!(
        "metadata: {{id: {long}, name: A}}\nrules:\n  - id: r\n    condition: {{operator: {long}, field: {long}, value: 1}}\n    action: {{decision: deny}}\n"
    );
    assert_eq!(codes("a.yaml", &text), ["E0101"]);
    for pattern in [
        "(".repeat(50_000),
        "a{1000}{1000}{1000}".to_owned(),
        "(?:a|".repeat(300),
        "[".repeat(10_000),
    ] {
        let text = format!(
            "{{\"metadata\":{{\"id\":\"a\",\"name\":\"A\"}},\"rules\":[{{\"id\":\"r\",\"condition\":{{\"operator\":\"matches\",\"field\":\"a\",\"value\":\"{pattern}\"}},\"action\":{{\"decision\":\"deny\"}}}}]}}"
        );
        assert!(codes("a.json", &text).len() <= 1);
    }
}
