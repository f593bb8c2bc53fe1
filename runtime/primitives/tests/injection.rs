//! Recall and false alarms of the phrases of injection, on texts that were written to measure them, on phrases of every
//! category and language, and on data sets.
//!
//! Reads `injection/agt_injection_smoke.jsonl` and `prompts/benign_dev.jsonl` under `$POLICY_TEST_DATA`, else under
//! `../shared/data` beside the workspace; a test whose data is missing says so and passes. What is found is printed:
//! `cargo test -p policy-primitives --test injection -- --nocapture`.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::PathBuf;

use policy_primitives::injection::{Injection, InjectionSignal, THRESHOLD, detect};
use policy_primitives::normalize::normalize;
use serde_json::Value;

fn found(text: &str) -> Injection {
    let mut normal = String::new();
    normalize(text, &mut normal);
    detect(&normal)
}

fn is_found(text: &str) -> bool {
    found(text).score >= THRESHOLD
}

/// The texts of a file, one a line, without headings and comments.
fn lines(file: &str) -> Vec<String> {
    file.lines()
        .filter(|line| !line.is_empty() && !line.starts_with("# "))
        .map(|line| line.replace("\\n", "\n"))
        .collect()
}

/// How many of `texts` are found, after printing it and what is not as it should be.
fn share(name: &str, texts: &[String], should: bool) -> usize {
    let wrong: Vec<_> = texts.iter().filter(|text| is_found(text) != should).collect();
    let found = if should {
        texts.len() - wrong.len()
    } else {
        wrong.len()
    };
    println!("{name}: {found} of {} found", texts.len());
    for text in wrong {
        let shown: String = text.chars().take(120).collect();
        println!("  {} {shown:?}", if should { "missed" } else { "false alarm" });
    }
    found
}

/// The file `name` of the test data, or `None` after saying that the test was skipped.
fn data(name: &str) -> Option<Vec<Value>> {
    let root = std::env::var_os("POLICY_TEST_DATA")
        .map(PathBuf::from)
        .unwrap_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data"));
    match std::fs::read_to_string(root.join(name)) {
        Ok(text) => Some(
            text.lines()
                .map(|line| serde_json::from_str(line).unwrap())
                .collect(),
        ),
        Err(_) => {
            println!("skipped: {name} (no test data)");
            None
        }
    }
}

/// The texts that were written to measure: attacks, how many are found at least, harmless ones, how many at most. The first
/// were written before the phrases; what was missed of the first three made more phrases; no phrase was changed for the last.
#[test]
fn texts_that_were_written_to_measure() {
    let sets = [
        (
            "1",
            include_str!("injection/attacks_1.txt"),
            135,
            include_str!("injection/benign_1.txt"),
            0,
        ),
        (
            "2",
            include_str!("injection/attacks_2.txt"),
            40,
            include_str!("injection/benign_2.txt"),
            1,
        ),
        (
            "3",
            include_str!("injection/attacks_3.txt"),
            48,
            include_str!("injection/benign_3.txt"),
            0,
        ),
        (
            "4",
            include_str!("injection/attacks_4.txt"),
            29,
            include_str!("injection/benign_4.txt"),
            0,
        ),
        (
            "5",
            include_str!("injection/attacks_5.txt"),
            33,
            include_str!("injection/benign_5.txt"),
            1,
        ),
        (
            "6",
            include_str!("injection/attacks_6.txt"),
            19,
            include_str!("injection/benign_6.txt"),
            1,
        ),
    ];
    for (name, attacks, least, benign, most) in sets {
        let found = share(&format!("attacks {name}"), &lines(attacks), true);
        let alarms = share(&format!("benign {name}"), &lines(benign), false);
        assert!(found >= least && alarms <= most, "{name}: {found} {alarms}");
    }
}

/// `category language text` with `-` for a text in which nothing is found.
#[test]
fn phrases_of_every_category_and_language() {
    let mut seen = Vec::new();
    for line in lines(include_str!("injection/phrases.txt")) {
        let (category, rest) = line.split_once(' ').unwrap();
        let (language, text) = rest.split_once(' ').unwrap();
        let signals: Vec<&str> = found(text).signals.iter().map(InjectionSignal::name).collect();
        if category == "-" {
            assert!(signals.is_empty(), "{signals:?}: {text}");
        } else {
            assert!(
                signals.contains(&category),
                "{category} is not in {signals:?}: {text}"
            );
        }
        seen.push(format!("{category} {language}"));
    }
    for category in InjectionSignal::ALL.iter().map(|s| s.name()).chain(["-"]) {
        for language in ["en", "de", "fr", "es", "pt", "it", "ru", "zh"] {
            // Markup has no language.
            let wanted = format!("{category} {language}");
            assert!(
                category == "delimiters" || seen.contains(&wanted),
                "no text for {wanted}"
            );
        }
    }
}

/// Prompts of people who want nothing bad.
#[test]
fn benign_prompts_raise_few_alarms() {
    let Some(rows) = data("prompts/benign_dev.jsonl") else {
        return;
    };
    let texts: Vec<_> = rows
        .iter()
        .map(|row| row["text"].as_str().unwrap().to_owned())
        .collect();
    let alarms = share("benign prompts", &texts, false);
    assert!(alarms * 200 <= texts.len(), "{alarms}");
}

/// Labelled texts, most of them in a disguise: what is encoded is out of reach.
#[test]
fn labelled_texts() {
    let Some(rows) = data("injection/agt_injection_smoke.jsonl") else {
        return;
    };
    let text = |row: &Value| row["text"].as_str().unwrap().to_owned();
    let is = |row: &&Value, key: &str, value: &str| row[key] == value;
    let benign: Vec<_> = rows
        .iter()
        .filter(|r| is(r, "expected_action", "allow"))
        .map(text)
        .collect();
    let attacks: Vec<_> = rows
        .iter()
        .filter(|r| !is(r, "expected_action", "allow"))
        .collect();
    let encoded = |r: &&&Value| {
        ["encoding", "rot13", "chunked_leet"]
            .iter()
            .any(|k| is(r, "bypass_class", k))
    };
    let readable: Vec<_> = attacks.iter().filter(|r| !encoded(r)).map(|r| text(r)).collect();
    let found = share("readable attacks", &readable, true);
    let alarms = share("benign", &benign, false);
    assert!(found * 4 >= readable.len() * 3, "{found}");
    assert!(alarms * 100 <= benign.len(), "{alarms}");
}
