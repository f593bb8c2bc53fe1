//! What is kept of a decision under each setting, and its line of JSON.

use super::{ContextFate, Entry, Preparer, Seal, associated_data, push_line, push_prepared};
use crate::decisions::config::Kept;
use crate::storage::model::{DecisionId, DecisionRecord};
use crate::telemetry::metrics::Withheld;
use bytes::Bytes;
use serde_json::Value;
use std::sync::Arc;

fn record() -> DecisionRecord {
    DecisionRecord {
        seq: 9,
        id: None,
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
    }
}

fn entry_of(record: DecisionRecord, context: &'static str) -> Entry {
    Entry {
        record: Box::new(record),
        context: Some(Bytes::from_static(context.as_bytes())),
        owner: [0; 32],
    }
}

fn entry(context: &'static str) -> Entry {
    entry_of(record(), context)
}

const CONTEXT: &str = r#"{ "llm": {"prompt": "tell me"}, "user": {"id": "u1"} }"#;

fn prepare(kept: Kept, seal: Option<Seal>, context: &'static str) -> (DecisionRecord, ContextFate) {
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
    assert_eq!(record.reason, self::record().reason);
}

#[test]
fn a_context_that_cannot_be_masked_is_left_out() {
    for context in ["{\"llm\": {\"prompt\": \"secret\"", "", "secret"] {
        let (record, outcome) = prepare(Kept::Masked, None, context);
        assert_eq!(record.context, None);
        assert_eq!(outcome, ContextFate::Withheld(Withheld::Mask));
        assert_eq!(record.reason.as_deref(), Some("no `tell me` from [EMAIL]"));
    }
}

#[test]
fn contexts_are_sealed_after_masking_and_left_out_when_that_fails() {
    let seal: Seal = Arc::new(|text, data| Ok(format!("enc:v1:{data}:{}", text.len())));
    let (record, outcome) = prepare(Kept::Masked, Some(seal), CONTEXT);
    let id = record.id();
    assert_eq!(
        record.context,
        Some(format!("enc:v1:decision:r1:1767225600123:{id}:48"))
    );
    assert_eq!(outcome, ContextFate::Done);

    let broken: Seal = Arc::new(|_, _| Err("no entropy".to_owned()));
    let (record, outcome) = prepare(Kept::Full, Some(broken), CONTEXT);
    assert_eq!(record.context, None);
    assert_eq!(outcome, ContextFate::Withheld(Withheld::Seal));
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
        ..record.clone()
    };
    push_line(&broken, &mut lines);
    let values: Vec<Value> = lines.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    assert_eq!(values.len(), 3);
    assert_eq!(values[0]["context"]["user"]["id"], "u1");
    assert_eq!(values[0]["timestamp"], "2026-01-01T00:00:00.123Z");
    assert_eq!(values[0]["matchedRules"][0], "p/r");
    assert_eq!(values[0]["evaluationTimeMs"], 0.0015);
    assert_eq!(values[0].get("seq"), None);
    assert_eq!(values[0]["id"], record.id().to_string());
    assert_eq!(values[1]["context"], "enc:v1:k:abc");
    assert_eq!(values[1].get("seq"), None);
    assert_eq!(values[2]["context"], "{\"a\":\n1}");
    assert_eq!(values[2].get("reason"), None);
}

#[test]
fn debug_output_holds_no_context() {
    let shown = format!("{:?}", entry(CONTEXT));
    assert_eq!(shown, format!("Entry {{ bytes: Some({}), .. }}", CONTEXT.len()));
}

/// The line that `serde_json` makes of a record, its context put in as it is.
fn line_by_serde(record: &DecisionRecord) -> String {
    let text = |text: &str| Value::from(text).to_string();
    let at = jiff::Timestamp::from_millisecond(record.at_ms);
    let mut fields = vec![
        format!("\"id\":\"{}\"", record.id()),
        format!(
            "\"timestamp\":{}",
            text(&at.map_or_else(|_| record.at_ms.to_string(), |at| format!("{at:.3}")))
        ),
        format!("\"requestId\":{}", text(&record.request_id)),
        format!("\"namespace\":{}", text(&record.namespace)),
        format!("\"subject\":{}", text(&record.subject)),
        format!("\"decision\":{}", text(&record.decision)),
    ];
    fields.extend(
        record
            .reason
            .as_ref()
            .map(|reason| format!("\"reason\":{}", text(reason))),
    );
    fields.extend([
        format!(
            "\"matchedRules\":{}",
            serde_json::to_string(&record.matched_rules).unwrap()
        ),
        format!(
            "\"matchedPolicies\":{}",
            serde_json::to_string(&record.matched_policies).unwrap()
        ),
        format!("\"errors\":{}", record.errors),
        format!("\"revision\":{}", text(&record.revision)),
        format!(
            "\"evaluationTimeMs\":{}",
            Value::from(record.duration_ns as f64 / 1e6)
        ),
        format!("\"cached\":{}", record.cached),
    ]);
    fields.extend(
        record
            .context
            .as_ref()
            .map(|context| format!("\"context\":{context}")),
    );
    format!("{{{}}}\n", fields.join(","))
}

#[test]
fn a_prepared_line_is_what_serde_json_writes() {
    for (kept, context, reason, at_ms) in [
        (
            Kept::Masked,
            CONTEXT,
            Some("a \"b\"\n\\ \u{1}\u{2028} ä"),
            1_767_225_600_123,
        ),
        (Kept::Masked, "\"text\"", None, -1),
        (Kept::Full, "[1.50, \"x\"]", Some(""), 0),
        (Kept::None, CONTEXT, None, i64::MAX),
    ] {
        let record = DecisionRecord {
            reason: reason.map(str::to_owned),
            at_ms,
            matched_rules: vec!["p/r \"1\"".to_owned(), "p/s".to_owned()],
            ..record()
        };
        let (mut record, _) = Preparer::new(kept, &[], None).prepare(&entry_of(record, context));
        for (seq, cached, errors) in [(0, false, 0), (u64::MAX, true, u32::MAX)] {
            (record.seq, record.cached, record.errors) = (seq, cached, errors);
            let (mut prepared, mut any) = (String::new(), String::new());
            push_prepared(&record, &mut prepared);
            push_line(&record, &mut any);
            assert_eq!(prepared, line_by_serde(&record));
            assert_eq!(any, prepared);
        }
    }
    let seal: Seal = Arc::new(|text, _| Ok(format!("enc:v1:{text}")));
    let (record, _) = Preparer::new(Kept::Masked, &[], Some(seal)).prepare(&entry(CONTEXT));
    let (mut prepared, mut any) = (String::new(), String::new());
    push_prepared(&record, &mut prepared);
    push_line(&record, &mut any);
    assert_eq!(prepared, any);
    let line: Value = serde_json::from_str(&prepared).unwrap();
    assert_eq!(line["context"], record.context.unwrap());
}

#[test]
fn a_request_id_that_is_used_again_moves_no_time() {
    let mut preparer = Preparer::new(Kept::None, &[], None);
    let mut ids = Vec::new();
    for at_ms in [5, 5, 4, 9, 9] {
        let record = DecisionRecord { at_ms, ..record() };
        let (prepared, _) = preparer.prepare(&entry_of(record, CONTEXT));
        assert_eq!(prepared.at_ms, at_ms);
        ids.push(prepared.id());
    }
    assert!(ids.is_sorted_by(|a, b| a < b), "{ids:?}");
}

#[test]
fn an_id_is_read_as_it_is_written() {
    for id in [DecisionId::fresh(), DecisionId::of_time(1_767_225_600_123)] {
        let text = id.to_string();
        assert_eq!((text.len(), text.parse()), (32, Ok(id)));
        assert_eq!(DecisionId::try_from(&id.as_bytes()[..]), Ok(id));
        let json = serde_json::to_string(&id).unwrap();
        assert_eq!(serde_json::from_str::<DecisionId>(&json).unwrap(), id);
    }
    for text in [
        "",
        "1",
        "01890a5d-ac96-774b-bcce-b302099a8057",
        &"x".repeat(32),
        &"1".repeat(33),
    ] {
        assert!(text.parse::<DecisionId>().is_err(), "{text}");
    }
    // What earlier versions logged, and what they spooled, has the id of its time.
    let earlier = r#"{"seq":0,"request_id":"r","at_ms":1767225600123,"namespace":"","subject":"s","decision":"deny","reason":null,"matched_rules":[],"matched_policies":[],"errors":0,"revision":"7","duration_ns":1,"cached":false,"context":null}"#;
    let record: DecisionRecord = serde_json::from_str(earlier).unwrap();
    assert_eq!(record.id(), DecisionId::of_time(1_767_225_600_123));
    assert_eq!(record.id().to_string(), "019b76daa87b00000000000000000000");
    assert_eq!(associated_data(&record), "decision:r:1767225600123");
    assert!(!DecisionId::fresh().is_of_time());
    assert!(DecisionId::of_time(1_767_225_600_123) < DecisionId::fresh());
}

/// One set of names: lines of every sink and of the export, `GET /api/v1/decisions`, and the documentation.
#[test]
fn every_form_of_a_decision_has_the_same_names() {
    let keys = |value: &Value| -> Vec<String> {
        let mut keys: Vec<String> = value.as_object().unwrap().keys().cloned().collect();
        keys.sort();
        keys
    };
    let mut line = String::new();
    let (record, _) = prepare(Kept::Masked, None, CONTEXT);
    push_line(&record, &mut line);
    let names = keys(&serde_json::from_str(&line).unwrap());
    assert_eq!(names.len(), 14);
    let document = serde_json::to_value(crate::http::document()).unwrap();
    assert_eq!(
        keys(&document["components"]["schemas"]["LoggedDecision"]["properties"]),
        names
    );
    // Names that answers to requests have as well mean the same there.
    let decision = &document["components"]["schemas"]["DecisionView"]["properties"];
    for name in [
        "decision",
        "reason",
        "matchedRules",
        "matchedPolicies",
        "evaluationTimeMs",
    ] {
        assert!(
            decision.get(name).is_some() && names.contains(&name.to_owned()),
            "{name}"
        );
    }
    let page = include_str!("../../../../docs/observability.md");
    let section = page.split_once("\n## Decision log\n").unwrap().1;
    let example = section
        .split_once("```json\n")
        .unwrap()
        .1
        .split_once("\n```")
        .unwrap()
        .0;
    assert_eq!(keys(&serde_json::from_str(example).unwrap()), names);
    let mut rows: Vec<String> = section
        .split_once("\n## ")
        .unwrap()
        .0
        .lines()
        .filter_map(|row| Some(row.strip_prefix("| `")?.split_once('`')?.0.to_owned()))
        .collect();
    rows.sort();
    assert_eq!(rows, names);
}
