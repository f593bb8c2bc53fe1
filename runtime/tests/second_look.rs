//! The second look: a request that modifications make and policies deny does not pass, whichever way one asks.

#![cfg(feature = "compile")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

use policy_runtime::{DefaultDecision, EvaluateError, EvaluateOptions, Mode, PolicyEngine, Verb, Worker};
use serde_json::{Value, json};

const POLICIES: &str = r#"
metadata: { id: sizes, name: Sizes }
rules:
  - id: shrink
    condition: { operator: eq, field: llm.model, value: big }
    action: { decision: modify, reason: shrunk, modifications: { llm.model: small, llm.maxTokens: { $cap: 100 } } }
  - id: redact
    condition: { operator: eq, field: llm.containsPII, value: true }
    action: { decision: modify, reason: hidden, modifications: { llm.prompt: { $redact: all } } }
---
metadata: { id: limits, name: Limits, priority: -1 }
rules:
  - id: no-small
    condition: { operator: and, conditions: [
      { operator: eq, field: llm.model, value: small }, { operator: eq, field: team.tier, value: gold } ] }
    action: { decision: deny, reason: 'no {{ llm.model }} for {{ team.tier }}', metadata: { asked: '{{ llm.maxTokens }}' } }
  - id: no-secrets
    condition: { operator: contains, field: llm.prompt, value: '[SSN]' }
    action: { decision: deny, reason: a secret was in it }
"#;

fn engine() -> PolicyEngine {
    PolicyEngine::builder()
        .policies_from_yaml(POLICIES)
        .unwrap()
        .build()
        .unwrap()
}

fn denied() -> String {
    json!({ "llm": { "model": "big", "max_tokens": 500, "prompt": "hello" }, "team": { "tier": "gold" } })
        .to_string()
}

fn passed() -> String {
    json!({ "llm": { "model": "big", "max_tokens": 500, "prompt": "to jo@example.org" }, "team": { "tier": "tin" } })
        .to_string()
}

#[test]
fn a_modified_request_that_is_denied_is_denied_with_the_rules_that_deny_it() {
    let response = engine().evaluate_json(denied()).unwrap();
    let decision = serde_json::to_value(&response.decision).unwrap();
    assert_eq!(decision["decision"], "deny");
    assert_eq!(decision["reason"], "no small for gold");
    assert_eq!(decision["matchedRules"], json!(["shrink", "no-small"]));
    assert_eq!(decision["matchedPolicies"], json!(["sizes", "limits"]));
    assert_eq!(
        decision["matched"],
        json!([
            { "policy": "sizes", "rule": "shrink", "decision": "modify", "reason": "shrunk" },
            { "policy": "limits", "rule": "no-small", "decision": "deny", "reason": "no small for gold" },
        ])
    );
    assert_eq!(decision["metadata"], json!({ "asked": "100" }));
    assert_eq!(decision["modifications"], Value::Null);

    let response = engine().evaluate_json(passed()).unwrap();
    assert_eq!(response.decision.decision, Verb::Modify);
    assert_eq!(
        Value::Object(response.decision.modifications),
        json!({ "llm.model": "small", "llm.maxTokens": 100, "llm.prompt": "to [EMAIL]" })
    );
}

#[test]
fn every_way_to_ask_says_the_same() {
    let (engine, mut worker) = (engine(), Worker::new());
    for (body, decision, rule) in [
        (denied(), Verb::Deny, "no-small"),
        (passed(), Verb::Modify, "shrink"),
    ] {
        for mode in [Mode::FirstDeny, Mode::All] {
            let options = EvaluateOptions {
                mode,
                ..EvaluateOptions::default()
            };
            let owned = engine.evaluate_json_with(body.as_bytes(), &options).unwrap();
            assert_eq!(owned.decision.decision, decision);
            let written = engine
                .evaluate_into(&mut worker, body.as_bytes(), &options)
                .unwrap();
            assert_eq!(written.decision, decision);
            let written: Value = serde_json::from_str(written.json).unwrap();
            assert_eq!(written["decision"]["reason"], json!(owned.decision.reason));
            let verdict = engine.decide(&mut worker, body.as_bytes(), &options).unwrap();
            assert_eq!((verdict.decision, verdict.rule), (decision, Some(rule)));
        }
    }
}

#[test]
fn a_trace_says_when_the_second_look_decided() {
    let options = EvaluateOptions {
        trace: true,
        ..EvaluateOptions::default()
    };
    let trace = |body: String| {
        let response = engine().evaluate_json_with(body.as_bytes(), &options).unwrap();
        serde_json::to_value(response.decision.trace.unwrap()).unwrap()
    };
    let trace_of_denied = trace(denied());
    let outcomes = |list: &Value| -> Vec<(String, String)> {
        let text = |rule: &Value, key: &str| rule[key].as_str().unwrap().to_owned();
        let rules = list.as_array().unwrap().iter();
        rules
            .map(|rule| (text(rule, "rule"), text(rule, "outcome")))
            .collect()
    };
    let expected = |list: [(&str, &str); 4]| list.map(|(a, b)| (a.to_owned(), b.to_owned())).to_vec();
    assert_eq!(
        outcomes(&trace_of_denied["rules"]),
        expected([
            ("shrink", "true"),
            ("redact", "false"),
            ("no-small", "false"),
            ("no-secrets", "false")
        ])
    );
    assert_eq!(
        outcomes(&trace_of_denied["secondLook"]),
        expected([
            ("shrink", "false"),
            ("redact", "false"),
            ("no-small", "true"),
            ("no-secrets", "false")
        ])
    );
    assert_eq!(
        trace_of_denied["secondLook"][2]["condition"]["conditions"][0]["actual"],
        "small"
    );
    assert_eq!(trace(passed())["secondLook"], Value::Null);
}

/// What cannot be told about the modified request must not let it pass.
#[test]
fn a_modified_request_that_is_malformed_does_not_pass() {
    let engine = PolicyEngine::builder()
        .policies_from_yaml(
            "metadata: {id: p, name: P}\nrules:\n- id: grow\n  condition: {operator: exists, field: a}\n  action: {decision: \
             modify, modifications: {b: '{{ a }}{{ a }}'}}\n- id: read\n  condition: {operator: eq, field: b, value: x}\n  \
             action: {decision: deny}\n",
        )
        .unwrap()
        .build()
        .unwrap();
    let options = EvaluateOptions::default();
    let refused = |mebibytes: usize| {
        let body = json!({ "a": "a".repeat(mebibytes << 20) }).to_string();
        let refused = engine.evaluate_json(&body).unwrap_err();
        assert_eq!(refused.code(), "modification_refused");
        let mut worker = Worker::new();
        let decided = engine.decide(&mut worker, body.as_bytes(), &options);
        assert_eq!(decided, Err(refused.clone()));
        refused
    };
    // Three times this is more than a request may have.
    let whole = refused(7);
    assert!(matches!(whole, EvaluateError::Modified(_)), "{whole}");
    // Twice this is.
    assert_eq!(refused(9), EvaluateError::ModificationsTooLarge);
}

#[test]
fn the_default_counts_for_the_modified_request() {
    let engine = PolicyEngine::builder()
        .policies_from_yaml(POLICIES)
        .unwrap()
        .default_decision(DefaultDecision::Deny)
        .build()
        .unwrap();
    let mut worker = Worker::new();
    let body = json!({ "llm": { "model": "big" } }).to_string();
    let verdict = engine.decide(&mut worker, body.as_bytes(), &EvaluateOptions::default());
    let verdict = verdict.unwrap();
    assert_eq!((verdict.decision, verdict.rule), (Verb::Deny, None));
    let response = engine.evaluate_json(&body).unwrap();
    assert_eq!(response.decision.reason, None);
    assert_eq!(response.decision.matched_rules, ["shrink"]);
}

#[test]
fn nothing_is_allocated_for_a_second_look() {
    let (engine, mut worker) = (engine(), Worker::new());
    let bodies = [
        denied(),
        passed(),
        json!({ "llm": { "model": "small" } }).to_string(),
    ];
    let options = EvaluateOptions::default();
    let mut round = || {
        for body in &bodies {
            engine
                .evaluate_into(&mut worker, body.as_bytes(), &options)
                .unwrap();
            engine.decide(&mut worker, body.as_bytes(), &options).unwrap();
        }
    };
    round();
    round();
    let counted = allocation_counter::measure(round);
    assert_eq!(counted.count_total, 0, "{counted:?}");
}

#[cfg(feature = "cache")]
mod cached {
    use super::{denied, engine, passed};
    use policy_runtime::{
        CacheOptions, EvaluateOptions, LocalCache, Origin, PolicyEngine, Verb, Worker, Worth,
    };
    use serde_json::{Value, json};

    fn cache() -> LocalCache {
        LocalCache::new(CacheOptions {
            worth: Worth::ALWAYS,
            ..CacheOptions::default()
        })
    }

    #[test]
    fn decisions_after_a_second_look_are_kept() {
        let (engine, cache, mut worker) = (engine(), cache(), Worker::new());
        for (body, decision) in [(denied(), Verb::Deny), (passed(), Verb::Modify)] {
            let mut answers = Vec::new();
            for origin in [Origin::Missed, Origin::Cached] {
                let options = EvaluateOptions::default();
                let answer = engine.evaluate_cached(&mut worker, &cache, body.as_bytes(), &options);
                let answer = answer.unwrap();
                assert_eq!((answer.origin, answer.decision), (origin, decision));
                let json: Value = serde_json::from_str(answer.json).unwrap();
                let matched: Value = serde_json::from_str(answer.parts.matched(answer.json)).unwrap();
                assert_eq!(matched, json["decision"]["matched"]);
                answers.push((matched, json["decision"]["modifications"].clone()));
            }
            assert_eq!(answers[0], answers[1]);
        }
    }

    /// An element can be written directly behind the end of a list, and where that is no field says.
    #[test]
    fn decisions_about_elements_of_lists_are_not_kept() {
        let engine = PolicyEngine::builder()
            .policies_from_yaml(
                "metadata: {id: p, name: P}\nrules:\n- id: m\n  condition: {operator: exists, field: go}\n  action: \
                 {decision: modify, modifications: {'l[1]': x}}\n- id: d\n  condition: {operator: eq, field: 'l[1]', value: \
                 x}\n  action: {decision: deny}\n",
            )
            .unwrap()
            .build()
            .unwrap();
        let (cache, mut worker) = (cache(), Worker::new());
        for (list, decision) in [
            (json!([]), Verb::Modify),
            (json!(["a"]), Verb::Deny),
            (json!({}), Verb::Deny),
            (json!(null), Verb::Modify),
        ] {
            let body = json!({ "go": 1, "l": list }).to_string();
            let options = EvaluateOptions::default();
            let answer = engine.evaluate_cached(&mut worker, &cache, body.as_bytes(), &options);
            assert_eq!(answer.unwrap().decision, decision, "{body}");
        }
        assert!(cache.is_empty());
    }
}
