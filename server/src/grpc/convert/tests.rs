//! Conversions keep meaning, in both directions, and refuse what they cannot keep.

use super::json::FromJson;
use super::{definition, definition_json, response, response_of_text, timestamp, write_context};
use crate::cache::DecisionCache;
use crate::error::Code;
use policy_proto::v1;
use policy_runtime::CacheOptions;
use proptest::prelude::*;
use prost_types::{Struct, Value, value::Kind};
use serde_json::{Value as Json, json};
use std::collections::BTreeMap;

fn message(json: &Json) -> Struct {
    let read: FromJson<Struct> = serde_json::from_value(json.clone()).unwrap();
    read.0
}

fn text(context: &Struct) -> String {
    let mut out = Vec::new();
    write_context(context, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

/// Equal as values: `1` and `1.0` are the same number.
fn same(a: &Json, b: &Json) -> bool {
    match (a, b) {
        (Json::Number(x), Json::Number(y)) => x.as_f64() == y.as_f64(),
        (Json::Array(x), Json::Array(y)) => x.len() == y.len() && x.iter().zip(y).all(|(x, y)| same(x, y)),
        (Json::Object(x), Json::Object(y)) => {
            x.len() == y.len() && x.iter().all(|(k, v)| y.get(k).is_some_and(|w| same(v, w)))
        }
        (a, b) => a == b,
    }
}

fn any_json() -> impl Strategy<Value = Json> {
    let float = any::<f64>().prop_filter("JSON has no others", |n| n.is_finite());
    json_of(
        (-(1_i64 << 53)..=(1 << 53)).boxed(),
        float.boxed(),
        any::<String>().boxed(),
    )
}

/// What a document may hold and messages can carry.
fn document_json() -> impl Strategy<Value = Json> {
    const SAFE: i64 = (1 << 53) - 1;
    let float = (-1e12..1e12).prop_filter("is refused", |x| has_one_text(*x));
    json_of((-SAFE..=SAFE).boxed(), float.boxed(), "[^{}$]*".boxed())
}

/// Whether programs write a double alike: one that is halfway between two shortest texts stands for one of them only.
fn has_one_text(x: f64) -> bool {
    let digits = |text: String| {
        let mantissa = text.split('e').next().unwrap().replace(['-', '.'], "");
        mantissa.trim_matches('0').to_owned()
    };
    digits(format!("{x:e}")) == digits(Json::from(x).to_string())
}

fn json_of(
    integer: BoxedStrategy<i64>,
    float: BoxedStrategy<f64>,
    text: BoxedStrategy<String>,
) -> impl Strategy<Value = Json> {
    let key = text.clone();
    let leaf = prop_oneof![
        Just(Json::Null),
        any::<bool>().prop_map(Json::from),
        integer.prop_map(Json::from),
        float.prop_map(Json::from),
        text.prop_map(Json::from),
    ];
    leaf.prop_recursive(5, 60, 8, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Json::from),
            prop::collection::btree_map(key.clone(), inner, 0..6)
                .prop_map(|m| Json::Object(m.into_iter().collect())),
        ]
    })
}

fn any_object() -> impl Strategy<Value = Json> {
    prop::collection::btree_map(any::<String>(), any_json(), 0..6)
        .prop_map(|m| Json::Object(m.into_iter().collect()))
}

proptest! {
    #[test]
    fn a_context_keeps_its_meaning_through_messages(json in any_object()) {
        let back: Json = serde_json::from_str(&text(&message(&json))).unwrap();
        prop_assert!(same(&json, &back), "{} became {}", json, back);
    }

    #[test]
    fn whole_numbers_are_written_as_integers(n in -(1_i64 << 53)..=(1 << 53)) {
        prop_assert_eq!(text(&message(&json!({ "n": n }))), format!("{{\"n\":{n}}}"));
    }

    #[test]
    fn a_typed_policy_says_what_its_document_says(
        value in document_json(),
        metadata in prop::collection::btree_map("[^{}$]*", document_json(), 0..6),
    ) {
        let document = json!({
            "metadata": { "id": "p", "name": "P", "tags": ["a"], "priority": -3 },
            "rules": [{
                "id": "r",
                "condition": { "operator": "and", "conditions": [
                    { "operator": "eq", "field": "metadata[\"a.b\"]", "value": value },
                    { "operator": "not", "conditions": [{ "operator": "eq", "field": "a", "valueFrom": "b[0].c" }] },
                    { "operator": "not_starts_with", "field": "a", "value": "x", "ignoreCase": true },
                ]},
                "action": { "decision": "deny", "reason": "no", "metadata": metadata },
            }],
            "onError": "skip",
        });
        let typed = definition(&document.to_string(), "json").map_err(|e| TestCaseError::fail(e.to_string()))?;
        let again = definition(&definition_json(&typed).unwrap(), "json").unwrap();
        prop_assert_eq!(&typed, &again);
        let rewritten: Json = serde_json::from_str(&definition_json(&typed).unwrap()).unwrap();
        let condition = &rewritten["rules"][0]["condition"]["conditions"][0]["value"];
        prop_assert!(same(condition, &document["rules"][0]["condition"]["conditions"][0]["value"]));
        let folded = &rewritten["rules"][0]["condition"]["conditions"][2];
        prop_assert_eq!(folded, &document["rules"][0]["condition"]["conditions"][2]);
        let kept = &rewritten["rules"][0]["action"]["metadata"];
        let given = &document["rules"][0]["action"]["metadata"];
        let dropped = kept.is_null() && given.as_object().is_some_and(serde_json::Map::is_empty);
        prop_assert!(same(kept, given) || dropped, "{} became {}", given, kept);
    }
}

#[test]
fn a_number_that_programs_write_differently_is_refused() {
    // Of a double that is as far from …7812 as from …7813, JSON writers give the first, and the second is what it stands for.
    let x = -593_027_427_767.781_3;
    assert!(!has_one_text(x) && has_one_text(0.1) && has_one_text(1e12));
    let policy = json!({"metadata": {"id": "p", "name": "P"}, "rules": [{"id": "r", "action": {"decision": "deny"},
        "condition": {"operator": "eq", "field": "a", "value": x}}]});
    let error = definition(&policy.to_string(), "json").unwrap_err();
    assert!(
        error.detail.contains("-593027427767.7812 is no double"),
        "{error:?}"
    );
}

fn refused(kind: Option<Kind>) -> String {
    let context = Struct {
        fields: BTreeMap::from([("x".to_owned(), Value { kind })]),
    };
    let error = write_context(&context, &mut Vec::new()).unwrap_err();
    assert_eq!(error.code, Code::MalformedRequest);
    error.detail
}

#[test]
fn what_json_does_not_have_is_refused() {
    for n in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        assert!(refused(Some(Kind::NumberValue(n))).contains("is not a JSON number"));
    }
    assert!(refused(None).contains("has no kind"));
}

#[test]
fn numbers_are_written_as_callers_mean_them() {
    let cases = [
        (0.0, "0"),
        (-0.0, "0"),
        (1.0, "1"),
        (-1.5, "-1.5"),
        (0.1, "0.1"),
        (9_007_199_254_740_992.0, "9007199254740992"),
        (-9_223_372_036_854_775_808.0, "-9223372036854775808"),
        (9_223_372_036_854_775_808.0, "9.223372036854776e+18"),
        (1e300, "1e+300"),
        (5e-324, "5e-324"),
    ];
    for (n, expected) in cases {
        let context = Struct {
            fields: BTreeMap::from([(
                "n".to_owned(),
                Value {
                    kind: Some(Kind::NumberValue(n)),
                },
            )]),
        };
        assert_eq!(text(&context), format!("{{\"n\":{expected}}}"));
    }
}

const FULL: &str = r#"
metadata:
  id: full
  name: Full
  version: 2.1.0
  namespace: production
  description: All there is
  tags: [a, b]
  priority: 7
rules:
  - id: first
    name: First
    description: One
    enabled: false
    condition:
      operator: or
      conditions:
        - { operator: in, field: llm.model, value: [gpt-4o, "x"] }
        - { operator: exists, field: user.id, value: false }
        - { operator: gt, field: llm.maxTokens, valueFrom: metadata.limit }
        - { operator: eq, field: metadata.o, value: { a: [1, 2.5, null, true], b: {} } }
    action: { decision: deny, reason: 'no {{ llm.model }}', metadata: { team: x, n: 1 } }
  - id: second
    condition: { operator: eq, field: a, value: 1 }
    action:
      decision: modify
      modifications:
        llm.maxTokens: { $cap: 100 }
        llm.temperature: { $floor: 0.5 }
        llm.model: gpt-4o-mini
        metadata.d: { $default: [1] }
        metadata.e: { $append: x }
        metadata.f: { $remove: true }
        llm.prompt: { $redact: all }
        metadata.g: { $redact: [email, phone] }
status: draft
onError: skip
"#;

#[test]
fn a_document_with_everything_goes_through_messages_unchanged() {
    let typed = definition(FULL, "yaml").unwrap();
    let rule = &typed.rules[0];
    assert_eq!(rule.enabled, Some(false));
    assert_eq!(rule.condition.as_ref().unwrap().conditions.len(), 4);
    assert_eq!(typed.status(), v1::PolicyStatus::Draft);
    assert_eq!(typed.on_error(), v1::OnError::Skip);
    let json = definition_json(&typed).unwrap();
    assert_eq!(definition(&json, "json").unwrap(), typed);
    let tree = |source: &str, name: &str| {
        let mut map = policy_grammar::SourceMap::new();
        let file = map.add(policy_grammar::SourceFile::new(name, source));
        let parsed = policy_grammar::parse_source(&map, file);
        assert!(!parsed.has_errors());
        let text = policy_grammar::to_json(&parsed.policies);
        serde_json::from_str::<Json>(&text).unwrap()
    };
    assert!(same(&tree(FULL, "a.yaml"), &tree(&json, "a.json")));
}

#[test]
fn what_a_typed_policy_leaves_out_is_left_out_of_its_document() {
    let empty = v1::PolicyDefinition::default();
    assert_eq!(
        serde_json::from_str::<Json>(&definition_json(&empty).unwrap()).unwrap(),
        json!({ "rules": [] })
    );
    let rule = v1::Rule {
        id: "r".to_owned(),
        condition: Some(v1::Condition {
            operator: "and".to_owned(),
            ..Default::default()
        }),
        ..Default::default()
    };
    let one = v1::PolicyDefinition {
        rules: vec![rule],
        ..Default::default()
    };
    assert_eq!(
        serde_json::from_str::<Json>(&definition_json(&one).unwrap()).unwrap(),
        json!({ "rules": [{ "id": "r", "condition": { "operator": "and", "conditions": [] } }] })
    );
}

#[test]
fn unknown_enum_numbers_are_refused_and_not_read_as_defaults() {
    let status = v1::PolicyDefinition {
        status: 9,
        ..Default::default()
    };
    let on_error = v1::PolicyDefinition {
        on_error: 9,
        ..Default::default()
    };
    let decision = v1::PolicyDefinition {
        rules: vec![v1::Rule {
            action: Some(v1::Action {
                decision: 9,
                ..Default::default()
            }),
            ..Default::default()
        }],
        ..Default::default()
    };
    for (policy, word) in [
        (status, "PolicyStatus 9"),
        (on_error, "OnError 9"),
        (decision, "rules[0]: action: there is no Decision 9"),
    ] {
        let error = definition_json(&policy).unwrap_err();
        assert_eq!(error.code, Code::MalformedRequest);
        assert!(error.detail.contains(word), "{}", error.detail);
    }
}

#[test]
fn integers_that_a_double_may_have_changed_are_refused_in_policies() {
    let document = |n: &str| {
        format!(
            r#"{{"metadata":{{"id":"p","name":"P"}},"rules":[{{"id":"r","condition":{{"operator":"eq","field":"a","value":[{n}]}},"action":{{"decision":"deny"}}}}]}}"#
        )
    };
    for n in ["9007199254740991", "-9007199254740991", "0.5", "1e-300"] {
        assert!(definition(&document(n), "json").is_ok(), "{n}");
    }
    for n in [
        "9007199254740992",
        "9007199254740993",
        "18446744073709551615",
        "1e300",
    ] {
        let error = definition(&document(n), "json").unwrap_err();
        assert_eq!(error.code, Code::MalformedRequest);
        assert!(error.detail.contains("2^53"), "{}", error.detail);
    }
    let mut typed = definition(&document("1"), "json").unwrap();
    typed.rules[0].condition.as_mut().unwrap().value = Some(Value {
        kind: Some(Kind::NumberValue(9_007_199_254_740_992.0)),
    });
    assert!(definition_json(&typed).unwrap_err().detail.contains("2^53"));
}

#[test]
fn a_response_becomes_the_same_message() {
    let text = json!({
        "requestId": "r-1",
        "decision": {
            "decision": "modify", "allowed": true, "reason": "why",
            "matchedPolicies": ["p"], "matchedRules": ["a", "b"], "evaluationTimeMs": 0.012345,
            "matched": [
                { "policy": "p", "rule": "a", "decision": "modify", "reason": "why" },
                { "policy": "p", "rule": "b", "decision": "warn" },
            ],
            "modifications": { "llm.maxTokens": 10, "x": [1.5, null, { "a": "b" }] },
            "metadata": { "m": true },
            "errors": [{ "policy": "p", "rule": "b", "found": "f", "expected": "e", "message": "m" }],
            "trace": { "rules": [{ "rule": "a", "fired": true }] },
        },
        "timestamp": 1_760_000_000_123_u64, "cached": true, "bundle": { "revision": "7" },
    })
    .to_string();
    let got = response_of_text(bytes::Bytes::from(text.clone()), false).unwrap();
    assert_eq!(got.decision(), v1::Decision::Modify);
    assert!(got.allowed && got.cached);
    assert_eq!(got.reason.as_deref(), Some("why"));
    assert_eq!(got.evaluation_time_ns, 12_345);
    assert_eq!(
        got.modifications,
        Some(message(
            &json!({ "llm.maxTokens": 10, "x": [1.5, null, { "a": "b" }] })
        ))
    );
    assert_eq!(got.metadata, Some(message(&json!({ "m": true }))));
    assert_eq!(
        (got.errors[0].rule.as_str(), got.errors[0].field.as_str()),
        ("b", "")
    );
    assert_eq!(
        got.trace,
        Some(message(&json!({ "rules": [{ "rule": "a", "fired": true }] })))
    );
    let [first, second] = got.matched.as_slice() else {
        panic!("{:?}", got.matched)
    };
    assert_eq!(
        (first.decision(), first.reason.as_deref()),
        (v1::Decision::Modify, Some("why"))
    );
    assert_eq!((second.policy.as_str(), second.rule.as_str()), ("p", "b"));
    assert_eq!(
        (second.decision(), second.reason.as_deref()),
        (v1::Decision::Warn, None)
    );
    let at = got.timestamp.unwrap();
    assert_eq!((at.seconds, at.nanos), (1_760_000_000, 123_000_000));
    assert_eq!(got.bundle_revision, "7");
    assert!(got.response_json.is_empty());

    let lean = response_of_text(bytes::Bytes::from(text.clone()), true).unwrap();
    assert_eq!(lean.response_json, text);
    assert_eq!((lean.decision(), lean.allowed), (v1::Decision::Modify, true));
    assert_eq!(
        (lean.modifications, lean.trace, lean.errors.len()),
        (None, None, 0)
    );
}

#[test]
fn what_the_engine_writes_is_read_whole() {
    let engine = policy_runtime::PolicyEngine::builder()
        .policies_from_yaml(
            "metadata: { id: p, name: P }\nrules:\n  - id: bad\n    condition: { operator: gt, field: a, value: 1 }\n    \
             action: { decision: modify, metadata: { k: '{{ a }}' }, modifications: { b: { $cap: 3 } } }\n",
        )
        .unwrap()
        .build()
        .unwrap();
    let cache = DecisionCache::new(Some(CacheOptions::default()), None);
    for (context, trace) in [r#"{"a": 2, "b": 9}"#, r#"{"a": "text"}"#, "{}", r#"{"a": 0}"#]
        .into_iter()
        .flat_map(|context| [(context, true), (context, false)])
    {
        let options = policy_runtime::EvaluateOptions {
            request_id: Some("r \"1\""),
            trace,
            ..Default::default()
        };
        let owned = engine.evaluate_json_with(context.as_bytes(), &options).unwrap();
        let got = response_of_text(serde_json::to_vec(&owned).unwrap().into(), false).unwrap();
        assert_eq!(
            got.decision().as_str_name(),
            format!("DECISION_{}", owned.decision.decision.as_str().to_uppercase())
        );
        assert_eq!(got.allowed, owned.decision.allowed);
        assert_eq!(got.errors.len(), owned.decision.errors.len());
        assert_eq!(got.trace.is_some(), trace);
        let json = serde_json::to_value(&owned.decision.modifications).unwrap();
        assert_eq!(got.modifications.unwrap_or_default(), message(&json));

        // Decided, and then from the cache.
        for _ in 0..2 {
            let decided = cache.evaluate_now(&engine, context.as_bytes(), &options).unwrap();
            for as_json in [false, true] {
                let long = response_of_text(decided.json.clone(), as_json).unwrap();
                let short = response(decided.clone(), as_json).unwrap();
                assert_eq!(short, long, "{context}");
            }
        }
    }
}

#[test]
fn a_response_that_is_none_is_a_fault_and_not_a_decision() {
    for text in [
        "",
        "{}",
        r#"{"requestId":"r","decision":{"decision":"maybe","allowed":true,"matchedPolicies":[],"matchedRules":[],"matched":[],"evaluationTimeMs":0},"timestamp":0,"cached":false,"bundle":{"revision":""}}"#,
    ] {
        for as_json in [false, true] {
            let error =
                response_of_text(bytes::Bytes::copy_from_slice(text.as_bytes()), as_json).unwrap_err();
            assert_eq!(error.code, Code::Internal);
        }
    }
}

#[test]
fn numbers_beyond_all_doubles_are_texts() {
    let text = r#"{"requestId":"1e999","decision":{"decision":"modify","allowed":true,"matchedPolicies":[],"matchedRules":[],"matched":[],"evaluationTimeMs":0,"modifications":{"a\"1e400":[1e400,-1E+400,1e-400,5],"b":"\\"}},"timestamp":0,"cached":false,"bundle":{"revision":""}}"#;
    let read = response_of_text(bytes::Bytes::from_static(text.as_bytes()), false).unwrap();
    assert_eq!(read.request_id, "1e999");
    let expected = json!({"a\"1e400": ["1e400", "-1E+400", 0.0, 5.0], "b": "\\"});
    assert_eq!(read.modifications.unwrap(), message(&expected));
}

#[test]
fn times_before_the_epoch_have_positive_nanoseconds() {
    let at = timestamp(-1);
    assert_eq!((at.seconds, at.nanos), (-1, 999_000_000));
}
