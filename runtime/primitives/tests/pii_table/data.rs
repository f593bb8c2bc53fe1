//! Texts of others: labelled personal data, harmless prompts, prompts that attack, and strings of published rules.
//!
//! They stand under `$POLICY_TEST_DATA`, else under `../shared/data` beside the workspace; without them a row says so.

use std::path::PathBuf;

use policy_primitives::pii::{Confidence, Findings, PiiType, PiiTypeSet, scan, types_in};
use proptest::strategy::{Strategy, ValueTree};
use proptest::string::string_regex;
use proptest::test_runner::{Config, RngSeed, TestRunner};
use serde_json::Value;

/// The file `name` of the test data.
fn file(name: &str) -> Option<String> {
    let root = std::env::var_os("POLICY_TEST_DATA").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data"),
        PathBuf::from,
    );
    std::fs::read_to_string(root.join(name)).ok()
}

/// A share of a set of texts.
#[derive(Debug)]
pub(crate) struct Share {
    pub(crate) name: &'static str,
    pub(crate) count: usize,
    pub(crate) all: usize,
    pub(crate) texts: Vec<String>,
}

/// Texts in which something is found, and what.
fn flagged(name: &'static str, path: &str, keep: impl Fn(&Value) -> bool) -> Option<Share> {
    let mut share = Share {
        name,
        count: 0,
        all: 0,
        texts: Vec::new(),
    };
    let mut findings = Findings::new();
    for line in file(path)?.lines() {
        let value: Value = serde_json::from_str(line).unwrap();
        if !keep(&value) {
            continue;
        }
        let text = value["text"]
            .as_str()
            .or(value["input"].as_str())
            .or(value["prompt"].as_str())
            .unwrap();
        share.all += 1;
        scan(text, &mut findings);
        let found: Vec<_> = findings
            .iter()
            .filter(|found| found.confidence >= Confidence::Medium)
            .map(|found| format!("{} {:?}", found.kind, &text[found.start..found.end]))
            .collect();
        if !found.is_empty() {
            share.count += 1;
            share.texts.push(found.join(", "));
        }
    }
    Some(share)
}

/// Labels of claimed types that are covered, and findings of them that no label has.
fn labelled(name: &'static str, wrong: &'static str, path: &str) -> Option<[Share; 2]> {
    const CLAIMED: [(&str, PiiType); 6] = [
        ("CREDIT_CARD", PiiType::CreditCard),
        ("US_SSN", PiiType::Ssn),
        ("IBAN_CODE", PiiType::Iban),
        ("EMAIL_ADDRESS", PiiType::Email),
        ("IP_ADDRESS", PiiType::IpAddress),
        ("PHONE_NUMBER", PiiType::Phone),
    ];
    let records: Vec<Value> = serde_json::from_str(&file(path)?).unwrap();
    let share = |name| Share {
        name,
        count: 0,
        all: 0,
        texts: Vec::new(),
    };
    let (mut right, mut false_alarms) = (share(name), share(wrong));
    let mut findings = Findings::new();
    for record in &records {
        let text = record["text"].as_str().or(record["full_text"].as_str()).unwrap();
        let byte = |value: &Value| {
            let place = value.as_u64().unwrap() as usize;
            text.char_indices()
                .nth(place)
                .map_or(text.len(), |(offset, _)| offset)
        };
        let labels: Vec<(&str, usize, usize)> = record["spans"]
            .as_array()
            .unwrap()
            .iter()
            .map(|span| {
                let either = |a: &str, b: &str| {
                    if span[a].is_null() {
                        span[b].clone()
                    } else {
                        span[a].clone()
                    }
                };
                let kind = span["type"].as_str().or(span["entity_type"].as_str()).unwrap();
                (
                    kind,
                    byte(&either("start", "start_position")),
                    byte(&either("end", "end_position")),
                )
            })
            .collect();
        scan(text, &mut findings);
        let counted = || {
            findings
                .iter()
                .filter(|found| found.confidence >= Confidence::Medium)
        };
        for (label, kind) in CLAIMED {
            for (_, start, end) in labels.iter().filter(|(name, _, _)| *name == label) {
                right.all += 1;
                if counted().any(|found| found.kind == kind && found.start <= *start && found.end >= *end) {
                    right.count += 1;
                } else {
                    right.texts.push(format!("{label} {:?}", &text[*start..*end]));
                }
            }
            for found in counted().filter(|found| found.kind == kind) {
                false_alarms.all += 1;
                if !labels
                    .iter()
                    .any(|(_, start, end)| found.start < *end && found.end > *start)
                {
                    false_alarms.count += 1;
                    false_alarms
                        .texts
                        .push(format!("{kind} {:?}", &text[found.start..found.end]));
                }
            }
        }
    }
    Some([right, false_alarms])
}

/// Strings drawn from the patterns of a published rule set, by rule.
fn published_rules(samples: usize) -> Option<Share> {
    let toml = file("secrets/gitleaks.toml")?;
    let secrets = PiiTypeSet::EMPTY
        .with(PiiType::ApiKey)
        .with(PiiType::PrivateKey)
        .with(PiiType::Jwt);
    let mut share = Share {
        name: "gitleaks: rules of which nine strings in ten are found",
        count: 0,
        all: 0,
        texts: Vec::new(),
    };
    let mut runner = TestRunner::new(Config {
        rng_seed: RngSeed::Fixed(11),
        ..Config::default()
    });
    let mut id = "";
    for line in toml.lines() {
        if let Some(rest) = line.strip_prefix("id = \"") {
            id = rest.trim_end_matches('"');
            continue;
        }
        let Some(pattern) = line.strip_prefix("regex = '''") else {
            continue;
        };
        let mut pattern = pattern
            .trim_end_matches("'''")
            .replace("(?i)", "")
            .replace("(?i:", "(?:")
            .replace(r"\b", "")
            .replace(r"[\s\S-]", "[a-zA-Z0-9+/]")
            .replace(r"[\w-]", "[0-9A-Za-z_-]")
            .replace(r"\w", "[0-9A-Za-z_]");
        if let Some(end) = pattern.rfind(r"(?:[\x60'") {
            pattern.truncate(end);
        }
        let Ok(strategy) = string_regex(&pattern) else {
            continue;
        };
        let found = (0..samples)
            .filter(|_| {
                let key = strategy.new_tree(&mut runner).unwrap().current();
                types_in(&format!("x = \"{key}\"\n"))
                    .iter()
                    .any(|kind| secrets.contains(kind))
            })
            .count();
        share.all += 1;
        if found * 10 >= samples * 9 {
            share.count += 1;
        } else {
            share.texts.push(format!("{id} {found} of {samples}"));
        }
    }
    Some(share)
}

/// The rows of the data that is here.
pub(crate) fn shares(samples: usize) -> Vec<Share> {
    let mut shares = Vec::new();
    shares.extend(
        labelled(
            "labelled texts, labels covered",
            "labelled texts, findings beside every label",
            "pii/labelled_dev.json",
        )
        .into_iter()
        .flatten(),
    );
    shares.extend(
        labelled(
            "a hundred more, labels covered",
            "a hundred more, findings beside every label",
            "pii/presidio_research_generated_small.json",
        )
        .into_iter()
        .flatten(),
    );
    shares.extend(flagged(
        "harmless prompts flagged",
        "prompts/benign_dev.jsonl",
        |_| true,
    ));
    shares.extend(flagged(
        "attacks and their harmless neighbours flagged",
        "injection/agt_injection_smoke.jsonl",
        |_| true,
    ));
    shares.extend(published_rules(samples));
    shares
}
