//! Precision and recall on labelled texts, and the share of harmless prompts that are flagged.
//!
//! Reads `pii/*.json` and `prompts/benign_dev.jsonl` under `$POLICY_TEST_DATA`, else under `../shared/data` beside the
//! workspace; a test whose data is missing says so and passes. A finding is right when it overlaps a label of its type:
//! labels and detectors disagree on brackets and extensions, which is not what is measured here.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::path::PathBuf;

use policy_primitives::pii::{Confidence, Findings, PiiType, contains, scan};
use serde_json::Value;

/// The file `name` of the test data, or `None` after saying that the test was skipped.
fn data(name: &str) -> Option<String> {
    let root = std::env::var_os("POLICY_TEST_DATA")
        .map(PathBuf::from)
        .unwrap_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data"));
    match std::fs::read_to_string(root.join(name)) {
        Ok(text) => Some(text),
        Err(_) => {
            println!("skipped: {name} (no test data)");
            None
        }
    }
}

/// Labels that we claim to find, and the type they correspond to.
const CLAIMED: &[(&str, PiiType, f64)] = &[
    ("CREDIT_CARD", PiiType::CreditCard, 0.99),
    ("US_SSN", PiiType::Ssn, 0.99),
    ("IBAN_CODE", PiiType::Iban, 0.99),
    ("EMAIL_ADDRESS", PiiType::Email, 0.99),
    ("IP_ADDRESS", PiiType::IpAddress, 0.99),
    ("PHONE_NUMBER", PiiType::Phone, 0.85),
];

/// Counts of one type.
#[derive(Debug, Default, Clone, Copy)]
struct Score {
    labels: usize,
    labels_found: usize,
    findings: usize,
    findings_right: usize,
}

impl Score {
    fn precision(self) -> f64 {
        if self.findings == 0 {
            1.0
        } else {
            self.findings_right as f64 / self.findings as f64
        }
    }

    fn recall(self) -> f64 {
        if self.labels == 0 {
            1.0
        } else {
            self.labels_found as f64 / self.labels as f64
        }
    }
}

/// A label: type, first and last-plus-one byte.
struct Label {
    kind: String,
    start: usize,
    end: usize,
}

/// The byte offset of a character offset.
fn byte_offset(text: &str, chars: usize) -> usize {
    text.char_indices()
        .nth(chars)
        .map_or(text.len(), |(offset, _)| offset)
}

/// Text and labels of one record; the two files spell their keys differently.
fn record(value: &Value) -> (String, Vec<Label>) {
    let field =
        |value: &Value, names: [&str; 2]| names.iter().find_map(|name| value.get(*name).cloned()).unwrap();
    let text = field(value, ["text", "full_text"]).as_str().unwrap().to_owned();
    let labels = value["spans"]
        .as_array()
        .unwrap()
        .iter()
        .map(|span| Label {
            kind: field(span, ["type", "entity_type"]).as_str().unwrap().to_owned(),
            start: byte_offset(
                &text,
                field(span, ["start", "start_position"]).as_u64().unwrap() as usize,
            ),
            end: byte_offset(
                &text,
                field(span, ["end", "end_position"]).as_u64().unwrap() as usize,
            ),
        })
        .collect();
    (text, labels)
}

fn check(name: &str) {
    let Some(json) = data(name) else { return };
    let records: Vec<Value> = serde_json::from_str(&json).unwrap();
    let mut scores: BTreeMap<PiiType, Score> = BTreeMap::new();
    let mut findings = Findings::new();
    for value in &records {
        let (text, labels) = record(value);
        scan(&text, &mut findings);
        let found: Vec<_> = findings
            .iter()
            .filter(|found| found.confidence >= Confidence::Medium)
            .collect();
        for (label_kind, kind, _) in CLAIMED {
            let score = scores.entry(*kind).or_default();
            let labels: Vec<_> = labels.iter().filter(|label| label.kind == *label_kind).collect();
            let found: Vec<_> = found.iter().filter(|found| found.kind == *kind).collect();
            score.labels += labels.len();
            score.findings += found.len();
            for label in &labels {
                // Redaction must leave nothing, so the whole label has to be covered.
                let whole = found
                    .iter()
                    .any(|found| found.start <= label.start && found.end >= label.end);
                score.labels_found += usize::from(whole);
                if !whole {
                    println!("missed {label_kind}: {:?}", &text[label.start..label.end]);
                }
            }
            for found in &found {
                let right = labels
                    .iter()
                    .any(|label| found.start < label.end && found.end > label.start);
                score.findings_right += usize::from(right);
                if !right {
                    println!("wrong {kind}: {:?}", &text[found.start..found.end]);
                }
            }
        }
    }
    println!("{name}: {} texts", records.len());
    println!(
        "{:<14} {:>6} {:>8} {:>9} {:>7}",
        "type", "labels", "findings", "precision", "recall"
    );
    for (_, kind, floor) in CLAIMED {
        let score = scores[kind];
        let (precision, recall) = (score.precision(), score.recall());
        println!(
            "{kind:<14} {:>6} {:>8} {precision:>9.3} {recall:>7.3}",
            score.labels, score.findings
        );
        assert!(precision >= *floor, "{name}: precision of {kind} is {precision}");
        assert!(recall >= *floor, "{name}: recall of {kind} is {recall}");
    }
}

#[test]
fn labelled_texts() {
    check("pii/labelled_dev.json");
}

#[test]
fn labelled_texts_small() {
    check("pii/presidio_research_generated_small.json");
}

#[test]
fn harmless_prompts_are_rarely_flagged() {
    let Some(lines) = data("prompts/benign_dev.jsonl") else {
        return;
    };
    let mut findings = Findings::new();
    let (mut prompts, mut flagged) = (0, 0);
    for line in lines.lines() {
        let value: Value = serde_json::from_str(line).unwrap();
        let text = value["text"].as_str().unwrap();
        prompts += 1;
        scan(text, &mut findings);
        for found in findings.iter() {
            println!(
                "{} {:?} {}",
                found.kind,
                &text[found.start..found.end],
                found.confidence.name()
            );
        }
        flagged += usize::from(contains(text));
    }
    println!("flagged {flagged} of {prompts} prompts");
    assert!(flagged * 100 < prompts, "{flagged} of {prompts} prompts flagged");
}
