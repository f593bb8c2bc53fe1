//! What receivers get of records.

use super::{Events, MASKED};
use crate::audit;
use crate::decisions::config::WebhookFormat;
use crate::storage::model::{AuditRecord, DecisionId, DecisionRecord, NewAudit};
use policy_integrations::event::CloudEvent;
use serde_json::{Value, json};

fn events(format: WebhookFormat, most: usize, most_bytes: usize) -> Events {
    Events {
        format,
        source: "/policyd".to_owned(),
        most,
        most_bytes,
    }
}

fn record(n: u32) -> DecisionRecord {
    DecisionRecord {
        seq: 0,
        id: Some(DecisionId::fresh()),
        request_id: format!("r{n}"),
        at_ms: 1_764_460_800_000 + i64::from(n),
        namespace: String::new(),
        subject: "gateway".to_owned(),
        decision: "deny".to_owned(),
        reason: Some("too heavy".to_owned()),
        matched_rules: vec!["limit/weight".to_owned()],
        matched_policies: vec!["limit".to_owned()],
        errors: 2,
        revision: "7".to_owned(),
        duration_ns: 1000,
        cached: false,
        context: Some(json!({"llm": {"prompt": MASKED}}).to_string()),
    }
}

fn body(events: &Events, records: &[DecisionRecord]) -> (String, &'static str, Value) {
    let all: Vec<_> = records
        .iter()
        .map(|record| events.event(&events.keep(record).unwrap()).unwrap())
        .collect();
    let request = events.request(&all).unwrap();
    let body = serde_json::from_slice(&request.body).unwrap();
    (request.id, request.content_type, body)
}

#[test]
fn cloud_events_hold_the_decision_and_no_context() {
    let events = events(WebhookFormat::CloudEvents, 100, 1 << 20);
    let records = [record(1), record(2)];
    let (id, kind, list) = body(&events, &records);
    assert_eq!(kind, "application/cloudevents-batch+json; charset=utf-8");
    assert!(id.starts_with("msg_") && id.len() == 36, "{id}");
    assert_eq!(list.as_array().unwrap().len(), 2);
    let event = CloudEvent::from_json(list[1].to_string().as_bytes()).unwrap();
    assert_eq!(event.id, records[1].id().to_string());
    assert_eq!(event.time.as_deref(), Some("2025-11-30T00:00:00.002Z"));
    assert_eq!(event.subject.as_deref(), Some("limit"));
    assert_eq!(event.source, "/policyd");
    assert_eq!(
        Value::Object(event.data),
        json!({
            "requestId": "r2", "decision": "deny", "reason": "too heavy", "subject": "gateway", "revision": "7",
            "matchedPolicies": ["limit"], "matchedRules": ["limit/weight"], "errors": 2,
        })
    );
    assert!(!list.to_string().contains("prompt"));
    assert_eq!(
        events.keep(&records[0]).unwrap().context,
        None,
        "nor does the spool"
    );

    // The same events are the same request; others are another.
    assert_eq!(body(&events, &records).0, id);
    assert_ne!(body(&events, &records[..1]).0, id);
    assert_eq!(body(&events, &records[..1]).0, records[0].id().to_string());
    // A time outside of the calendar is no time, and holds nothing up.
    let late = DecisionRecord {
        at_ms: i64::MAX,
        ..record(3)
    };
    assert_eq!(body(&events, &[late]).2[0].get("time"), None);
}

#[test]
fn with_a_batch_of_one_a_body_is_an_event() {
    let events = events(WebhookFormat::CloudEvents, 1, 1 << 20);
    let record = record(1);
    let (id, kind, event) = body(&events, std::slice::from_ref(&record));
    assert_eq!(kind, "application/cloudevents+json; charset=utf-8");
    assert_eq!(
        (event["id"].as_str(), id.as_str()),
        (Some(&*id), &*record.id().to_string())
    );
}

#[test]
fn parts_are_bounded_in_number_and_bytes_and_hold_one_event_at_least() {
    let make = |most, bytes| events(WebhookFormat::CloudEvents, most, bytes);
    let of = make(1, 1);
    let all: Vec<_> = (0..10).map(|n| of.event(&record(n)).unwrap()).collect();
    let sizes =
        |events: &Events| -> Vec<usize> { events.parts(&all).iter().map(|part| part.len()).collect() };
    assert_eq!(sizes(&make(4, 1 << 20)), [4, 4, 2]);
    assert_eq!(sizes(&make(100, 1)), [1; 10]);
    assert_eq!(sizes(&make(100, 1 << 20)), [10]);
    let three = make(100, 3 * all[0].json.len() + 4);
    assert_eq!(sizes(&three), [3, 3, 3, 1]);
    for part in three.parts(&all) {
        assert!(three.request(part).unwrap().body.len() <= three.most_bytes);
    }
    let ids: Vec<&str> = three.parts(&all).concat_ids();
    assert_eq!(ids, all.iter().map(|event| event.id.as_str()).collect::<Vec<_>>());
    assert!(make(4, 1).parts(&[]).is_empty());
}

trait ConcatIds<'e> {
    fn concat_ids(&self) -> Vec<&'e str>;
}

impl<'e> ConcatIds<'e> for Vec<&'e [super::Event]> {
    fn concat_ids(&self) -> Vec<&'e str> {
        self.iter()
            .flat_map(|part| part.iter().map(|event| event.id.as_str()))
            .collect()
    }
}

#[test]
fn governance_gets_one_entry_a_request() {
    let events = Events {
        most: 1,
        ..events(WebhookFormat::Governance, 1, 1 << 20)
    };
    let record = record(1);
    let (id, kind, entry) = body(&events, std::slice::from_ref(&record));
    assert_eq!(
        (id.as_str(), kind),
        (&*record.id().to_string(), "application/json")
    );
    assert_eq!(entry["action"], "policy.deny");
    assert_eq!(entry["resource_type"], "policy");
    assert_eq!(entry["resource_id"], "limit");
    assert_eq!(entry["details"]["event_id"], *id);
    assert_eq!(entry["details"]["timestamp"], "2025-11-30T00:00:00.001Z");
}

#[test]
fn usage_goes_out_only_where_all_of_it_is_known() {
    let events = events(WebhookFormat::CostOps, 100, 1 << 20);
    let whole = json!({
        "llm": {"provider": "openai", "model": "gpt-4o", "prompt": MASKED},
        "team": {"id": "example"},
        "project": {"id": "p"},
        "user": {"id": MASKED},
        "metadata": {"inputTokens": 1200, "outputTokens": 0},
    });
    let with = |context: &Value| DecisionRecord {
        context: Some(context.to_string()),
        ..record(1)
    };
    let (first, second) = (with(&whole), with(&whole));
    let kept = events.keep(&first).unwrap();
    assert!(
        !kept.context.unwrap().contains("prompt"),
        "of the context only usage is kept"
    );
    let (_, kind, batch) = body(&events, &[first.clone(), second]);
    assert_eq!(kind, "application/json");
    assert_eq!(batch["source"], "policy-engine");
    assert_eq!(batch["batch_id"].as_str().unwrap().len(), 36);
    let record = &batch["records"][0];
    assert_eq!(record["request_id"], *first.id().to_string());
    assert_eq!(record["organization_id"], "example");
    assert_eq!(
        record["usage"],
        json!({"prompt_tokens": 1200, "completion_tokens": 0, "total_tokens": 1200})
    );
    assert_eq!(record["project_id"], "p");
    assert_eq!(record.get("user_id"), None, "a mask is nobody");

    for path in [
        "/llm/provider",
        "/llm/model",
        "/team/id",
        "/metadata/inputTokens",
        "/metadata/outputTokens",
    ] {
        for unknown in [Value::Null, json!(MASKED), json!(-1), json!(1.5), json!("")] {
            let mut context = whole.clone();
            *context.pointer_mut(path).unwrap() = unknown.clone();
            assert!(events.keep(&with(&context)).is_none(), "{path} {unknown}");
        }
    }
    let sealed = DecisionRecord {
        context: Some("enc:v1:a:b".to_owned()),
        ..first.clone()
    };
    assert!(events.keep(&sealed).is_none());
    let mut long = whole.clone();
    long["team"]["id"] = json!("x".repeat(101));
    assert!(events.keep(&with(&long)).is_none(), "CostOps takes no such name");
    assert!(
        events
            .keep(&DecisionRecord {
                context: None,
                ..first
            })
            .is_none()
    );
}

fn audit_record(seq: u64, action: &str, target: &str, detail: &str) -> AuditRecord {
    let entry = NewAudit {
        at_ms: 1_764_460_800_000,
        actor: "ann".to_owned(),
        action: action.to_owned(),
        target: target.to_owned(),
        namespace: "default".to_owned(),
        request_id: "r1".to_owned(),
        detail: detail.to_owned(),
    };
    AuditRecord {
        seq,
        revision: 3,
        previous: audit::GENESIS,
        hash: audit::hash(&audit::GENESIS, seq, 3, &entry),
        entry,
    }
}

fn audit_body(format: WebhookFormat, record: &AuditRecord) -> Value {
    let events = events(format, 1, 1 << 20);
    let request = events.request(&[events.audit(record).unwrap()]).unwrap();
    assert_eq!(request.id, super::audit_id(record));
    serde_json::from_slice(&request.body).unwrap()
}

#[test]
fn audit_records_go_out_with_all_that_they_are_hashed_from() {
    let detail = r#"{"active":2,"digest":"sha256:00","latest":2}"#;
    let record = audit_record(7, "policy.update", "limit", detail);
    let text = audit_body(WebhookFormat::CloudEvents, &record).to_string();
    let event = CloudEvent::from_json(text.as_bytes()).unwrap();
    assert_eq!(event.kind, "dev.llm-policy-engine.audit.v1");
    assert_eq!(event.id, format!("7-{}", &crate::hex::of(&record.hash)[..32]));
    assert_eq!(event.time.as_deref(), Some("2025-11-30T00:00:00.000Z"));
    assert_eq!(event.subject.as_deref(), Some("limit"));
    assert_eq!(event.data["detail"].to_string(), detail, "as it was hashed");
    assert_eq!(
        Value::Object(event.data),
        json!({
            "seq": 7, "at": "2025-11-30T00:00:00.000Z", "actor": "ann", "action": "policy.update", "target": "limit",
            "namespace": "default", "requestId": "r1", "revision": 3,
            "detail": {"active": 2, "digest": "sha256:00", "latest": 2},
            "previous": "0".repeat(64), "hash": crate::hex::of(&record.hash),
        })
    );
    // The same number in a trail that differs is another event.
    let other = audit_record(7, "policy.update", "other", detail);
    assert_ne!(super::audit_id(&record), super::audit_id(&other));

    let entry = audit_body(WebhookFormat::Governance, &record);
    assert_eq!(
        (&entry["action"], &entry["resource_type"], &entry["resource_id"]),
        (&json!("policy.update"), &json!("policy"), &json!("limit"))
    );
    assert_eq!(entry["details"]["event_id"], super::audit_id(&record));
    assert_eq!(entry["details"]["detail"]["latest"], 2);
    assert_eq!(entry["details"]["source"], "/policyd");
}

#[test]
fn odd_audit_records_hold_nothing_up() {
    for (action, target, detail) in [
        ("", "", ""),
        ("odd", "", "{"),
        (".", "t", "[1]"),
        ("a.b", "", "\u{0}"),
    ] {
        let mut record = audit_record(1, action, target, detail);
        record.entry.at_ms = i64::MAX;
        let event = audit_body(WebhookFormat::CloudEvents, &record);
        let found = event["data"]["detail"].clone();
        assert_eq!(
            found,
            if detail == "[1]" {
                json!([1])
            } else {
                json!(detail)
            }
        );
        assert_eq!(event.get("time"), None);
        if !action.is_empty() {
            let entry = audit_body(WebhookFormat::Governance, &record);
            assert_eq!(entry["resource_type"], "audit", "{entry}");
            assert_eq!(entry["resource_id"], super::audit_id(&record));
        }
    }
    let record = audit_record(1, "policy.create", "p", "{}");
    assert!(events(WebhookFormat::CostOps, 1, 1 << 20).audit(&record).is_err());
}
