//! Texts of others: labelled personal data, harmless prompts, prompts that attack, and strings of published rules.
//!
//! They stand under `$POLICY_TEST_DATA`, else under `../shared/data` beside the workspace; without them a row says so.

use std::path::PathBuf;

use policy_primitives::pii::{Confidence, Findings, PiiType, PiiTypeSet, scan, types_in};
use regex_syntax::hir::{Class, Hir, HirKind};
use serde_json::Value;

use super::draw::Draw;

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

/// `pattern` with the ranges of digits that stand outside of classes in brackets.
fn bracketed(pattern: &str) -> String {
    let (mut out, mut inside, mut rest) = (String::new(), false, pattern);
    while let Some(c) = rest.chars().next() {
        let escaped = c == '\\';
        if !inside && ["0-9A-Za-z_", "0-9"].iter().any(|range| rest.starts_with(range)) {
            let range = if rest.starts_with("0-9A-Za-z_") {
                "0-9A-Za-z_"
            } else {
                "0-9"
            };
            out += &format!("[{range}]");
            rest = &rest[range.len()..];
            continue;
        }
        inside = !escaped && (inside && c != ']' || c == '[');
        let length = if escaped {
            1 + rest[1..].chars().next().map_or(0, char::len_utf8)
        } else {
            c.len_utf8()
        };
        out += &rest[..length];
        rest = &rest[length..];
    }
    out
}

/// How many more characters are drawn, at most, where a pattern names no bound.
const OPEN: usize = 24;

/// Appends a string of `hir`, each character of a class as likely as the others.
fn push(draw: &mut Draw, hir: &Hir, out: &mut String) {
    match hir.kind() {
        HirKind::Literal(text) => out.push_str(std::str::from_utf8(&text.0).unwrap()),
        HirKind::Class(Class::Unicode(class)) => {
            let has = |c: &char| {
                class
                    .iter()
                    .any(|range| (range.start()..=range.end()).contains(c))
            };
            let all: Vec<char> = ('!'..='~').filter(|c| *c != '"' && has(c)).collect();
            // A full stop that was meant as it stands matches anything.
            match all.len() {
                0 => {}
                1..=90 => out.push(*draw.one(&all)),
                _ => out.push('.'),
            }
        }
        HirKind::Repetition(repetition) => {
            let least = repetition.min as usize;
            let most = repetition.max.map_or(least + OPEN, |most| most as usize);
            (0..least + draw.below(most - least + 1)).for_each(|_| push(draw, &repetition.sub, out));
        }
        HirKind::Capture(capture) => push(draw, &capture.sub, out),
        HirKind::Concat(parts) => parts.iter().for_each(|part| push(draw, part, out)),
        HirKind::Alternation(parts) => {
            let part = draw.below(parts.len());
            push(draw, &parts[part], out);
        }
        HirKind::Empty | HirKind::Look(_) | HirKind::Class(Class::Bytes(_)) => {}
    }
}

/// Strings drawn from the patterns of a published rule set: of rules that know a key by its form, and of those that know
/// only the service before a value, behind the name of a key of that service.
fn published_rules(samples: usize) -> Option<[Share; 2]> {
    /// What assigns a value, in the rules that know only the service.
    const ASSIGNED: &str = r#"[\x60'"\s=]{0,5}"#;
    /// What must follow a key.
    const BEHIND: &str = r"(?:[\x60'";
    let toml = file("secrets/gitleaks.toml")?;
    let share = |name| Share {
        name,
        count: 0,
        all: 0,
        texts: Vec::new(),
    };
    let mut formed = share("gitleaks, rules of a form: nine strings in ten found");
    let mut named = share(
        "gitleaks, rules of a service's name: nine values in ten found behind it and `key`, `token`, `secret`",
    );
    let secrets = PiiTypeSet::EMPTY
        .with(PiiType::ApiKey)
        .with(PiiType::PrivateKey)
        .with(PiiType::Jwt);
    let mut id = "";
    for line in toml.lines() {
        if let Some(rest) = line.strip_prefix("id = \"") {
            id = rest.trim_end_matches('"');
            continue;
        }
        let Some(pattern) = line.strip_prefix("regex = '''") else {
            continue;
        };
        let pattern = pattern.trim_end_matches("'''");
        let by_name = pattern.rfind(ASSIGNED).map(|place| place + ASSIGNED.len());
        // What identifies an application is no secret.
        if by_name.is_some() && id.ends_with("-id") {
            continue;
        }
        let value = &pattern[by_name.unwrap_or(0)..];
        let value = &value[..value.rfind(BEHIND).unwrap_or(value.len())];
        // Ranges of ASCII instead of those of Unicode, and lower case where case does not matter.
        let value = value
            .replace("(?i)", "")
            .replace("(?i:", "(?:")
            .replace(r"[\s\S-]", "[0-9A-Za-z+/]")
            .replace(r"\w", r"0-9A-Za-z_")
            .replace(r"\S", r"0-9A-Za-z")
            .replace(r"\s", " ")
            .replace(r"\d", "0-9");
        let value = bracketed(&value);
        let Ok(hir) = regex_syntax::parse(&value) else {
            continue;
        };
        let draw = &mut Draw::new(id);
        let service = id.split('-').next().unwrap_or(id);
        let found = (0..samples)
            .filter(|sample| {
                let mut key = String::new();
                push(draw, &hir, &mut key);
                let text = match (by_name.is_some(), sample % 3) {
                    (false, _) => format!("x = \"{key}\"\n"),
                    (true, 0) => format!("{service}_api_key = \"{key}\"\n"),
                    (true, 1) => format!("{service}Token: {key}\n"),
                    (true, _) => format!("{{\"{service}_secret\": \"{key}\"}}"),
                };
                types_in(&text).iter().any(|kind| secrets.contains(kind))
            })
            .count();
        let share = if by_name.is_some() {
            &mut named
        } else {
            &mut formed
        };
        share.all += 1;
        if found * 10 >= samples * 9 {
            share.count += 1;
        } else {
            share.texts.push(format!("{id} {found} of {samples}"));
        }
    }
    Some([formed, named])
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
    shares.extend(published_rules(samples.max(30)).into_iter().flatten());
    shares
}
