//! What is kept of a decision under each setting, and its line of JSON.

use super::{Entry, Outcome, Preparer, Seal, push_line};
use crate::config::Kept;
use crate::storage::model::DecisionRecord;
use crate::telemetry::metrics::Withheld;
use bytes::Bytes;
use serde_json::Value;
use std::sync::Arc;

fn entry(context: &'static str) -> Entry {
    Entry {
        record: DecisionRecord {
            seq: 9,
            request_id: "r1".to_owned(),
            at_ms: 1_767_225_600_123,
            namespace: String::new(),
            subject: "gateway\0".to_owned(),
            decision: "deny".to_owned(),
            reason: Some("no `tell me` from jane@example.com".to_owned()),
            matched_rules: vec!["p/r".to_owned()],
            matched_policies: vec!["p".to_owned()],
            errors: 1,
            revision: "sha256:aa".to_owned(),
            duration_ns: 1500,
            cached: false,
            context: Some("never looked at".to_owned()),
        },
        context: Some(Bytes::from_static(context.as_bytes())),
    }
}

const CONTEXT: &str = r#"{ "llm": {"prompt": "tell me"}, "user": {"id": "u1"} }"#;

fn prepare(kept: Kept, seal: Option<Seal>, context: &'static str) -> (DecisionRecord, Outcome) {
    Preparer::new(kept, &["llm.prompt".to_owned()], seal).prepare(&entry(context))
}

#[test]
fn each_setting_keeps_what_it_says() {
    let (record, _) = prepare(Kept::Masked, None, CONTEXT);
    let masked = r#"{"llm":{"prompt":"[masked]"},"user":{"id":"u1"}}"#;
    assert_eq!(record.context.as_deref(), Some(masked));
    assert_eq!(record.reason.as_deref(), Some("no `[masked]` from [EMAIL]"));
    assert_eq!((record.seq, record.subject.as_str()), (0, "gateway\u{fffd}"));

    let (record, _) = prepare(Kept::None, None, CONTEXT);
    assert_eq!(record.context, None);
    assert_eq!(record.reason.as_deref(), Some("no `[masked]` from [EMAIL]"));

    let (record, _) = prepare(Kept::Full, None, CONTEXT);
    let full = r#"{"llm":{"prompt":"tell me"},"user":{"id":"u1"}}"#;
    assert_eq!(record.context.as_deref(), Some(full));
    assert_eq!(record.reason, entry(CONTEXT).record.reason);
}

#[test]
fn a_context_that_cannot_be_masked_is_left_out() {
    for context in ["{\"llm\": {\"prompt\": \"secret\"", "", "secret"] {
        let (record, outcome) = prepare(Kept::Masked, None, context);
        assert_eq!(record.context, None);
        assert_eq!(outcome, Outcome::Withheld(Withheld::Mask));
        assert_eq!(record.reason.as_deref(), Some("no `tell me` from [EMAIL]"));
    }
}

#[test]
fn contexts_are_sealed_after_masking_and_left_out_when_that_fails() {
    let seal: Seal = Arc::new(|text, data| Ok(format!("enc:v1:{data}:{}", text.len())));
    let (record, outcome) = prepare(Kept::Masked, Some(seal), CONTEXT);
    assert_eq!(
        record.context.as_deref(),
        Some("enc:v1:decision:r1:1767225600123:48")
    );
    assert_eq!(outcome, Outcome::Done);

    let broken: Seal = Arc::new(|_, _| Err("no entropy".to_owned()));
    let (record, outcome) = prepare(Kept::Full, Some(broken), CONTEXT);
    assert_eq!(record.context, None);
    assert_eq!(outcome, Outcome::Withheld(Withheld::Seal));
}

#[test]
fn a_line_is_one_object_with_the_context_in_it() {
    let mut lines = String::new();
    let (record, _) = prepare(Kept::Masked, None, CONTEXT);
    push_line(&record, &mut lines);
    let sealed = DecisionRecord {
        context: Some("enc:v1:k:abc".to_owned()),
        seq: 3,
        ..record.clone()
    };
    push_line(&sealed, &mut lines);
    let broken = DecisionRecord {
        context: Some("{\"a\":\n1}".to_owned()),
        reason: None,
        ..record
    };
    push_line(&broken, &mut lines);
    let values: Vec<Value> = lines.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    assert_eq!(values.len(), 3);
    assert_eq!(values[0]["context"]["user"]["id"], "u1");
    assert_eq!(values[0]["timestamp"], "2026-01-01T00:00:00.123Z");
    assert_eq!(values[0]["matchedRules"][0], "p/r");
    assert_eq!(values[0]["durationNs"], 1500);
    assert_eq!(values[0].get("seq"), None);
    assert_eq!(values[1]["context"], "enc:v1:k:abc");
    assert_eq!(values[1]["seq"], 3);
    assert_eq!(values[2]["context"], "{\"a\":\n1}");
    assert_eq!(values[2].get("reason"), None);
}

#[test]
fn debug_output_holds_no_context() {
    let shown = format!("{:?}", entry(CONTEXT));
    assert!(!shown.contains("tell me") && shown.contains("r1"), "{shown}");
}
