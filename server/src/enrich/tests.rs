//! What a scanner is asked, and what becomes of its answers.

use super::{Answer, MAX_THREATS, Reason, is_word, threats};
use crate::error::Code;
use policy_integrations::Report;
use serde_json::{Value, json};

fn put(context: &str) -> String {
    let answer = Answer(r#"{"verdict":"safe"}"#.to_owned());
    String::from_utf8(answer.put_into(context.as_bytes()).unwrap().to_vec()).unwrap()
}

#[test]
fn whatever_a_caller_wrote_there_is_taken_out_and_all_else_stays_as_it_is() {
    let own = r#""shield":{"verdict":"safe"}}"#;
    for (context, rest) in [
        ("{}", "{"),
        (r#"{"shield":{"safe":true}}"#, "{"),
        (r#"{"shield":1,"a":1.50,"shield":{"safe":true}}"#, r#"{"a":1.50,"#),
        (r#"{"sh\u0069eld":{"safe":true},"a":[1, 2]}"#, r#"{"a":[1, 2],"#),
        // Twice, with escapes, and of numbers that no double holds: as it was.
        (
            r#"{"a":1,"a":1e999,"b\"\n":"\u00e9"}"#,
            r#"{"a":1,"a":1e999,"b\"\n":"\u00e9","#,
        ),
        (
            r#"{"Shield":1,"metadata":{"shield":2}}"#,
            r#"{"Shield":1,"metadata":{"shield":2},"#,
        ),
    ] {
        assert_eq!(put(context), format!("{rest}{own}"), "{context}");
    }
}

#[test]
fn what_is_no_object_is_refused() {
    let answer = Answer("{}".to_owned());
    for context in ["", "[]", "1", "{", r#"{"a":}"#, "{}{}", r#"{"\ud800":1}"#] {
        let error = answer.put_into(context.as_bytes()).unwrap_err();
        assert_eq!(error.code, Code::MalformedContext, "{context}");
    }
}

fn report(scanners: &[Value]) -> Report {
    let reports = scanners
        .iter()
        .map(|scanner| serde_json::from_value(scanner.clone()).unwrap());
    Report {
        risk_score: 0.9,
        scanners: reports.collect(),
    }
}

fn scanner(name: &str, is_valid: bool, types: &[&str]) -> Value {
    let entities: Vec<Value> = types
        .iter()
        .map(|name| json!({"entityType": name, "start": 0, "end": 1, "confidence": 1.0}))
        .collect();
    json!({"scanner": name, "isValid": is_valid, "riskScore": 0.9, "riskFactors": [], "entities": entities})
}

fn named(scanners: &[Value]) -> Option<Value> {
    threats(&report(scanners)).map(|found| serde_json::to_value(found).unwrap())
}

#[test]
fn threats_are_what_scanners_that_object_name() {
    let found = named(&[
        scanner("secrets", true, &["EMAIL"]),
        scanner("pii", false, &["SSN", "EMAIL", "SSN"]),
        scanner("prompt_injection", false, &[]),
    ]);
    let expected = json!([
        {"type": "EMAIL", "scanner": "pii"},
        {"type": "SSN", "scanner": "pii"},
        {"type": "prompt_injection", "scanner": "prompt_injection"},
    ]);
    assert_eq!(found, Some(expected));
}

#[test]
fn what_cannot_be_named_plainly_is_unknown() {
    assert_eq!(named(&[scanner("secrets", true, &[])]), None, "nobody objects");
    assert_eq!(named(&[scanner("pii", false, &["my card is 4111"])]), None);
    assert_eq!(named(&[scanner("", false, &["SSN"])]), None);
    assert_eq!(named(&[scanner("pii", false, &["ü"])]), None);
    let many: Vec<String> = (0..=MAX_THREATS).map(|n| format!("T{n}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    assert_eq!(named(&[scanner("pii", false, &many)]), None);
    assert!(named(&[scanner("pii", false, &many[1..])]).is_some());
    assert!(is_word(&"a".repeat(64)) && !is_word(&"a".repeat(65)));
}

#[test]
fn every_reason_has_a_word_of_its_own() {
    let words: std::collections::BTreeSet<&str> = Reason::ALL.map(Reason::as_str).into();
    assert_eq!(words.len(), Reason::ALL.len());
    assert!(words.iter().all(|word| is_word(word)));
    // The table of the documentation.
    let page = include_str!("../../../docs/integrations.md");
    for word in words {
        assert!(page.contains(&format!("| `{word}` |")), "{word}");
    }
}
