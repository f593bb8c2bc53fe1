//! Small inputs, each of one kind: what must be found is found whole, and nothing is found in the others.
//!
//! Reads `detect/open.jsonl` under `$POLICY_TEST_DATA`, else under `../shared/data` beside the workspace; skipped, by name,
//! without it.

use std::path::PathBuf;

use policy_primitives::pii::{Confidence, Findings, contains, scan};
use serde_json::Value;

#[test]
fn each_kind_of_input_is_right() {
    let root = std::env::var_os("POLICY_TEST_DATA").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data"),
        PathBuf::from,
    );
    let Ok(lines) = std::fs::read_to_string(root.join("detect/open.jsonl")) else {
        println!("skipped: detect/open.jsonl (no test data)");
        return;
    };
    let mut findings = Findings::new();
    let mut wrong = Vec::new();
    for line in lines.lines() {
        let case: Value = serde_json::from_str(line).unwrap();
        let field = |name: &str| case[name].as_str().unwrap().to_owned();
        let (text, want, value) = (field("text"), field("want"), field("value"));
        scan(&text, &mut findings);
        let right = if want == "nothing" {
            !contains(&text)
        } else {
            let start = text.find(&value).unwrap();
            findings.iter().any(|found| {
                found.confidence >= Confidence::Medium
                    && found.kind.name() == want
                    && (found.start, found.end) == (start, start + value.len())
            })
        };
        if !right {
            let found: Vec<_> = findings
                .iter()
                .map(|found| (found.kind, found.confidence, &text[found.start..found.end]))
                .collect();
            wrong.push(format!(
                "{}: {text:?} wants {want} {value:?}, found {found:?}",
                field("kind")
            ));
        }
    }
    assert!(wrong.is_empty(), "{} wrong: {wrong:#?}", wrong.len());
}
