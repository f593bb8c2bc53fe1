//! Webhooks against signatures of another implementation, events against CloudEvents 1.0, and what presets make of decisions and
//! usage.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::let_underscore_must_use,
    reason = "tests fail with a panic"
)]

use policy_integrations::Failure;
use policy_integrations::event::CloudEvent;
use policy_integrations::presets::{
    AUDIT, Audit, Cost, DECISION, Decision, USAGE, audit_entry, audit_event, cost_event, decision_entry,
    decision_event,
};
use policy_integrations::webhook::{Key, Signed, TOLERANCE, WebhookError, sign, verify};
use proptest::prelude::*;
use serde_json::json;
use std::time::{Duration, SystemTime};

const SECRET: &str = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";
const OTHER: &str = "whsec_/+7dzLuqmYh3ZlVEMyIRAP/u3cy7qpmI";

fn key(secret: &str) -> Key {
    Key::parse(&secret.to_owned().into()).unwrap()
}

fn at(seconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
}

/// Made by the package `standardwebhooks` 1.1.0 of PyPI.
const VECTORS: [(&str, &str, &str, &str); 2] = [
    (
        SECRET,
        "msg_0193a0b0",
        r#"{"specversion":"1.0","id":"1"}"#,
        "v1,q2/7gHf7WIw3Kkc7YrgsHc7lyMa+6TkXyhwiFEXoMmY=",
    ),
    (
        OTHER,
        "evt-2",
        "héllo\n",
        "v1,oXN0qrknIQGRnoQ41lY8+wPXq3s7JKr0HbM5gHTUUaQ=",
    ),
];

#[test]
fn signatures_are_those_of_another_implementation() {
    for (secret, id, body, signature) in VECTORS {
        let signed = sign(&[&key(secret)], id, at(1_764_504_000), body.as_bytes()).unwrap();
        assert_eq!(signed.signature, signature);
        assert_eq!(
            signed.headers(),
            [
                ("webhook-id", id),
                ("webhook-timestamp", "1764504000"),
                ("webhook-signature", signature)
            ]
        );
        verify(
            &[&key(secret)],
            &signed,
            body.as_bytes(),
            at(1_764_504_000),
            TOLERANCE,
        )
        .unwrap();
    }
}

#[test]
fn secrets_change_without_a_pause() {
    let (old, new) = (key(SECRET), key(OTHER));
    let now = at(1_764_504_000);
    let signed = sign(&[&new, &old], "evt", now, b"{}").unwrap();
    assert_eq!(signed.signature.split(' ').count(), 2);
    for keys in [&[&old][..], &[&new], &[&old, &new]] {
        verify(keys, &signed, b"{}", now, TOLERANCE).unwrap();
    }
    let signed = sign(&[&old], "evt", now, b"{}").unwrap();
    assert_eq!(
        verify(&[&new], &signed, b"{}", now, TOLERANCE),
        Err(WebhookError::Signature)
    );
    verify(&[&new, &old], &signed, b"{}", now, TOLERANCE).unwrap();
}

#[test]
fn secrets_are_long_enough_and_never_printed() {
    for secret in [
        "",
        "whsec_",
        "whsec_c2hvcnQ=",
        "whsec_!!",
        "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY",
    ] {
        assert_eq!(
            Key::parse(&secret.to_owned().into()).unwrap_err(),
            WebhookError::Secret,
            "{secret}"
        );
    }
    assert_eq!(format!("{:?}", key(SECRET)), "Key([REDACTED])");
}

#[test]
fn what_is_old_new_or_changed_is_not_accepted() {
    let key = key(SECRET);
    let signed = sign(&[&key], "evt", at(1000), b"{}").unwrap();
    let check = |signed: &Signed, body: &[u8], now: u64| verify(&[&key], signed, body, at(now), TOLERANCE);
    assert_eq!(check(&signed, b"{}", 1300), Ok(()));
    assert_eq!(check(&signed, b"{}", 1301), Err(WebhookError::TooOld));
    assert_eq!(check(&signed, b"{}", 700), Ok(()));
    assert_eq!(check(&signed, b"{}", 699), Err(WebhookError::TooNew));
    assert_eq!(check(&signed, b"{} ", 1000), Err(WebhookError::Signature));
    assert_eq!(
        verify(&[], &signed, b"{}", at(1000), TOLERANCE),
        Err(WebhookError::NoKey)
    );
    let with = |change: &dyn Fn(&mut Signed)| {
        let mut signed = signed.clone();
        change(&mut signed);
        check(&signed, b"{}", 1000).unwrap_err()
    };
    assert_eq!(with(&|s| s.id = "evt2".to_owned()), WebhookError::Signature);
    assert_eq!(
        with(&|s| s.timestamp = "1001".to_owned()),
        WebhookError::Signature
    );
    for timestamp in ["", "+1000", "-1000", "1000.0", " 1000", "99999999999999999999"] {
        assert_eq!(
            with(&|s| s.timestamp = timestamp.to_owned()),
            WebhookError::Timestamp,
            "{timestamp}"
        );
    }
    for signature in ["", " ", "v1", "v1,", "v2,AAAA", "v1a,AAAA", "v1,AAAA"] {
        assert_eq!(
            with(&|s| s.signature = signature.to_owned()),
            WebhookError::Signature,
            "{signature}"
        );
    }
    let bare = signed.signature.trim_start_matches("v1,").to_owned();
    assert_eq!(with(&|s| s.signature.clone_from(&bare)), WebhookError::Signature);
    // Where the id may hold the separator, one signature would stand for two contents.
    for id in ["", "a.b", "a b", "ä"] {
        assert_eq!(
            sign(&[&key], id, at(1000), b"{}").unwrap_err(),
            WebhookError::Id,
            "{id}"
        );
    }
    assert_eq!(
        sign(&[], "evt", at(1000), b"{}").unwrap_err(),
        WebhookError::NoKey
    );
}

proptest! {
    #[test]
    fn only_the_very_bytes_are_accepted(
        body in prop::collection::vec(any::<u8>(), 0..100),
        other in prop::collection::vec(any::<u8>(), 0..100),
        header in "[ -~]{0,80}",
    ) {
        let key = key(SECRET);
        let signed = sign(&[&key], "evt", at(1000), &body).unwrap();
        prop_assert_eq!(verify(&[&key], &signed, &body, at(1000), TOLERANCE), Ok(()));
        prop_assert_eq!(verify(&[&key], &signed, &other, at(1000), TOLERANCE).is_ok(), body == other);
        let forged = Signed { signature: header, ..signed };
        prop_assert!(verify(&[&key], &forged, &body, at(1000), TOLERANCE).is_err());
    }
}

fn decision() -> Decision {
    Decision {
        id: "0193a0b0".to_owned(),
        request_id: None,
        timestamp: "2025-11-30T12:00:00.123Z".to_owned(),
        decision: "deny".to_owned(),
        reason: Some("too expensive".to_owned()),
        matched_policies: vec!["limit-cost".to_owned()],
        matched_rules: vec!["too-much".to_owned()],
        namespace: Some("team-a".to_owned()),
        subject: Some("gateway".to_owned()),
        revision: Some("7".to_owned()),
        errors: 0,
    }
}

#[test]
fn events_of_decisions() {
    let event = decision_event(&decision(), "/policyd/eu").unwrap();
    let value: serde_json::Value = serde_json::from_slice(&event.to_json().unwrap()).unwrap();
    assert_eq!(
        value,
        json!({
            "specversion": "1.0", "id": "0193a0b0", "source": "/policyd/eu", "type": DECISION, "subject": "limit-cost",
            "time": "2025-11-30T12:00:00.123Z", "datacontenttype": "application/json",
            "data": {
                "decision": "deny", "reason": "too expensive", "matchedPolicies": ["limit-cost"],
                "matchedRules": ["too-much"], "namespace": "team-a", "subject": "gateway", "revision": "7", "errors": 0,
            },
        })
    );
    let bare = Decision {
        matched_policies: Vec::new(),
        ..decision()
    };
    let event = decision_event(&bare, "/policyd/eu").unwrap();
    assert_eq!(event.subject, None);
    let entry = decision_entry(&bare, "/policyd/eu").unwrap();
    assert_eq!(
        (entry.resource_type.as_str(), entry.resource_id.as_str()),
        ("decision", "0193a0b0")
    );
    assert!(
        decision_event(&Decision::default(), "/policyd/eu").is_err(),
        "no id"
    );
    assert!(decision_event(&decision(), "").is_err(), "no source");
}

#[test]
fn events_of_audit_records_leave_nothing_out() {
    let audit = Audit {
        id: "1-00ff".to_owned(),
        seq: 1,
        at: "2025-11-30T12:00:00.123Z".to_owned(),
        actor: "ann".to_owned(),
        action: "key.create".to_owned(),
        target: "k1".to_owned(),
        detail: json!({"name": "ci"}),
        previous: "00".to_owned(),
        hash: "00ff".to_owned(),
        ..Audit::default()
    };
    let event = audit_event(&audit, "/policyd/eu").unwrap();
    let value: serde_json::Value = serde_json::from_slice(&event.to_json().unwrap()).unwrap();
    let data = json!({
        "seq": 1, "at": "2025-11-30T12:00:00.123Z", "actor": "ann", "action": "key.create", "target": "k1", "namespace": "",
        "requestId": "", "revision": 0, "detail": {"name": "ci"}, "previous": "00", "hash": "00ff",
    });
    assert_eq!(
        value,
        json!({
            "specversion": "1.0", "id": "1-00ff", "source": "/policyd/eu", "type": AUDIT, "subject": "k1",
            "time": "2025-11-30T12:00:00.123Z", "datacontenttype": "application/json", "data": data,
        })
    );
    let entry = audit_entry(&audit, "/policyd/eu").unwrap();
    assert_eq!(
        [
            &entry.event_id,
            &entry.action,
            &entry.resource_type,
            &entry.resource_id
        ],
        ["1-00ff", "key.create", "key", "k1"]
    );
    assert_eq!(entry.details.get("detail"), data.get("detail"));
    assert_eq!(entry.details.get("source"), Some(&json!("/policyd/eu")));
    assert!(audit_event(&Audit::default(), "/policyd").is_err(), "no id");
}

#[test]
fn a_cost_of_zero_is_written_and_an_unknown_one_is_not() {
    let cost = Cost {
        id: "u1".to_owned(),
        timestamp: "2025-11-30T12:00:00Z".to_owned(),
        organization: "example".to_owned(),
        provider: "openai".to_owned(),
        model: "gpt-4o".to_owned(),
        input_tokens: 0,
        output_tokens: 5,
        ..Cost::default()
    };
    let with = |usd| {
        let cost = Cost {
            cost_usd: usd,
            ..cost.clone()
        };
        cost_event(&cost, "/policyd")
    };
    let event = with(None).unwrap();
    assert_eq!(event.kind, USAGE);
    assert_eq!(event.data.get("costUsd"), None);
    assert_eq!(event.data.get("inputTokens"), Some(&json!(0)));
    assert_eq!(with(Some(0.0)).unwrap().data.get("costUsd"), Some(&json!(0.0)));
    for usd in [-0.01, f64::NAN, f64::INFINITY] {
        assert!(
            matches!(with(Some(usd)), Err(Failure::InvalidRequest(_))),
            "{usd}"
        );
    }
}

#[test]
fn what_is_no_event_is_not_read_or_written() {
    let event = decision_event(&decision(), "/policyd").unwrap();
    let text = String::from_utf8(event.to_json().unwrap()).unwrap();
    assert_eq!(CloudEvent::from_json(text.as_bytes()).unwrap(), event);
    for (from, to) in [
        (r#""specversion":"1.0""#, r#""specversion":"0.3""#),
        (r#""specversion":"1.0","#, ""),
        (r#""id":"0193a0b0","#, ""),
        (r#""id":"0193a0b0""#, r#""id":"""#),
        (r#""source":"/policyd","#, ""),
        ("2025-11-30T12:00:00.123Z", "yesterday"),
        ("2025-11-30T12:00:00.123Z", "2025-11-30 12:00:00Z"),
        ("2025-11-30T12:00:00.123Z", "2025-11-30T12:00:00,123Z"),
        ("2025-11-30T12:00:00.123Z", "2025-11-30T12Z"),
        ("2025-11-30T12:00:00.123Z", "2025-11-30T12:00:00+00:00[UTC]"),
        ("2025-11-30T12:00:00.123Z", "2025-02-30T12:00:00Z"),
        ("application/json", "text/plain"),
        (r#""subject":"limit-cost""#, r#""subject":"""#),
        (r#""id":"0193a0b0""#, r#""id":"0193a0b0","id":"other""#),
    ] {
        assert!(text.contains(from), "{from}");
        let changed = text.replacen(from, to, 1);
        let result = CloudEvent::from_json(changed.as_bytes());
        assert!(matches!(result, Err(Failure::OddAnswer(_))), "{changed}");
    }
    let elsewhere = text.replacen("2025-11-30T12:00:00.123Z", "2025-11-30T13:00:00+01:00", 1);
    assert!(CloudEvent::from_json(elsewhere.as_bytes()).is_ok());
    let mut event = event;
    event.time = Some("yesterday".to_owned());
    assert!(matches!(event.to_json(), Err(Failure::InvalidRequest(_))));
}
