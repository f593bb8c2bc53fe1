//! The engine as its users see it: decisions, what surrounds them, replacing policies, and what it costs.

#![cfg(feature = "compile")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

use policy_runtime::{
    Compiler, DefaultDecision, DeriveMode, EvaluateError, EvaluateOptions, JsonError, Mode, Policies,
    PolicyEngine, UnknownNamespace, Verb, Worker,
};
use serde_json::{Value, json};
use std::borrow::Cow;
use std::sync::atomic::{AtomicBool, Ordering};

const POLICIES: &str = r#"
metadata: { id: p-first, name: First, priority: 10, namespace: global }
rules:
  - id: warn-big
    condition: { operator: gt, field: llm.maxTokens, value: 100 }
    action: { decision: warn, reason: 'asks for {{ llm.maxTokens }}', metadata: { level: first, who: '{{ user.id }}' } }
  - id: clamp
    condition: { operator: exists, field: llm.model }
    action:
      decision: modify
      reason: clamped
      modifications: { llm.maxTokens: { $cap: 50 }, metadata.seen: true }
---
metadata: { id: p-second, name: Second, priority: 5, namespace: team-a }
rules:
  - id: no-mail
    condition: { operator: contains, field: user.email, value: '@bad.example' }
    action: { decision: deny, reason: 'no {{ user.email }} here{{ user.missing }}' }
  - id: clamp
    condition: { operator: starts_with, field: llm.model, value: gpt }
    action: { decision: modify, reason: late, modifications: { llm.maxTokens: { $cap: 20 }, metadata.late: [1, '{{ user.id }}'] } }
---
metadata: { id: p-third, name: Third, namespace: team-b }
onError: skip
rules:
  - id: skipped
    condition: { operator: gt, field: user.id, value: 5 }
    action: { decision: deny, reason: never }
  - id: fine
    condition: { operator: eq, field: user.id, value: u }
    action: { decision: allow, metadata: { level: third, third: 3 } }
"#;

fn engine() -> PolicyEngine {
    PolicyEngine::builder()
        .policies_from_yaml(POLICIES)
        .unwrap()
        .build()
        .unwrap()
}

/// The response in both forms, which have to agree; what differs from call to call is taken out.
fn decide(engine: &PolicyEngine, context: &Value, options: &EvaluateOptions<'_>) -> Value {
    let context = context.to_string();
    let owned = engine.evaluate_json_with(context.as_bytes(), options).unwrap();
    let mut worker = Worker::new();
    let written = engine
        .evaluate_into(&mut worker, context.as_bytes(), options)
        .unwrap();
    assert_eq!(written.decision, owned.decision.decision);
    let strip = |mut response: Value| {
        assert!(response["timestamp"].is_u64() && response["decision"]["evaluationTimeMs"].is_number());
        response["timestamp"].take();
        response["requestId"].take();
        response["decision"]["evaluationTimeMs"].take();
        response
    };
    let owned = strip(serde_json::to_value(&owned).unwrap());
    assert_eq!(strip(serde_json::from_str(written.json).unwrap()), owned);
    let mut decision = owned["decision"].clone();
    decision.as_object_mut().unwrap().remove("evaluationTimeMs");
    decision
}

fn all() -> EvaluateOptions<'static> {
    EvaluateOptions {
        mode: Mode::All,
        ..EvaluateOptions::default()
    }
}

#[test]
fn the_strongest_verb_decides_and_the_first_rule_with_it_gives_the_reason() {
    let context = json!({ "llm": { "model": "gpt-4", "maxTokens": 200 }, "user": { "id": "u" } });
    assert_eq!(
        decide(&engine(), &context, &EvaluateOptions::default()),
        json!({
            "decision": "modify",
            "allowed": true,
            "reason": "clamped",
            "matchedPolicies": ["p-first", "p-second", "p-third"],
            "matchedRules": ["warn-big", "p-first/clamp", "p-second/clamp", "fine"],
            "matched": [
                { "policy": "p-first", "rule": "warn-big", "decision": "warn", "reason": "asks for 200" },
                { "policy": "p-first", "rule": "clamp", "decision": "modify", "reason": "clamped" },
                { "policy": "p-second", "rule": "clamp", "decision": "modify", "reason": "late" },
                { "policy": "p-third", "rule": "fine", "decision": "allow" },
            ],
            "modifications": { "llm.maxTokens": 20, "metadata.seen": true, "metadata.late": [1, "u"] },
            "metadata": { "level": "first", "who": "u", "third": 3 },
            "errors": [{
                "policy": "p-third", "rule": "skipped", "field": "user.id", "found": "string", "expected": "number",
                "message": "`gt` on `user.id` needs number, found string",
            }],
        })
    );
}

#[test]
fn a_deny_ends_evaluation_and_decides_alike_in_both_modes() {
    let context =
        json!({ "llm": { "model": "gpt-4", "max_tokens": 200 }, "user": { "email": "x@bad.example" } });
    let first = decide(&engine(), &context, &EvaluateOptions::default());
    assert_eq!(first["decision"], "deny");
    assert_eq!(first["allowed"], false);
    assert_eq!(first["reason"], "no x@bad.example here");
    assert_eq!(
        first["matchedRules"],
        json!(["warn-big", "p-first/clamp", "no-mail"])
    );
    assert_eq!(first["modifications"], Value::Null);
    assert_eq!(first["metadata"], json!({ "level": "first", "who": "" }));
    let every = decide(&engine(), &context, &all());
    assert_eq!(
        (&every["decision"], &every["reason"]),
        (&first["decision"], &first["reason"])
    );
    assert_eq!(
        every["matchedRules"],
        json!(["warn-big", "p-first/clamp", "no-mail", "p-second/clamp"])
    );
    // An error fires a deny unless the policy says otherwise.
    let context = json!({ "user": { "email": 5, "id": 9 } });
    let erring = decide(&engine(), &context, &all());
    assert_eq!(erring["decision"], "deny");
    assert_eq!(erring["reason"], "no 5 here");
    assert_eq!(erring["matchedRules"], json!(["no-mail", "skipped"]));
}

#[test]
fn nothing_that_fires_gives_the_default() {
    let nothing = decide(&engine(), &json!({}), &EvaluateOptions::default());
    assert_eq!(
        nothing,
        json!({ "decision": "allow", "allowed": true, "matchedPolicies": [], "matchedRules": [], "matched": [] })
    );
    let strict = PolicyEngine::builder()
        .policies_from_yaml(POLICIES)
        .unwrap()
        .default_decision(DefaultDecision::Deny)
        .build()
        .unwrap();
    assert_eq!(
        decide(&strict, &json!({}), &EvaluateOptions::default())["allowed"],
        false
    );
    assert_eq!(
        decide(
            &strict,
            &json!({ "user": { "id": "u" } }),
            &EvaluateOptions::default()
        )["allowed"],
        true
    );
}

#[test]
fn scopes_are_namespaces_and_lists_and_never_empty_by_mistake() {
    let context = json!({ "llm": { "model": "gpt-4" }, "user": { "id": "u" } });
    let ask = |engine: &PolicyEngine, namespace: Option<&str>, ids: Option<&[&str]>| {
        let ids: Option<Vec<Cow<'_, str>>> = ids.map(|ids| ids.iter().map(|id| Cow::Borrowed(*id)).collect());
        let options = EvaluateOptions {
            namespace,
            policies: ids.as_deref(),
            ..EvaluateOptions::default()
        };
        assert_eq!(
            engine.choose(&options).err(),
            engine
                .decide(&mut Worker::new(), context.to_string().as_bytes(), &options)
                .err()
        );
        match engine.evaluate_json_with(context.to_string().as_bytes(), &options) {
            Ok(response) => Ok(response.decision.matched_policies.join(" ")),
            Err(e) => Err(e),
        }
    };
    let matched = |namespace: Option<&str>, ids: Option<&[&str]>| ask(&engine(), namespace, ids);
    assert_eq!(matched(None, None).unwrap(), "p-first p-second p-third");
    assert_eq!(matched(Some("team-a"), None).unwrap(), "p-first p-second");
    let lenient = PolicyEngine::builder()
        .policies_from_yaml(POLICIES)
        .unwrap()
        .unknown_namespace(UnknownNamespace::Global)
        .build()
        .unwrap();
    for name in ["nowhere", "Team-a", "team-a ", ""] {
        let unknown = EvaluateError::UnknownNamespace(name.to_owned());
        assert_eq!(unknown.code(), "unknown_namespace");
        assert_eq!(matched(Some(name), None), Err(unknown.clone()));
        assert_eq!(matched(Some(name), Some(&["p-first"])), Err(unknown));
        assert_eq!(ask(&lenient, Some(name), None).unwrap(), "p-first");
        assert_eq!(
            ask(&lenient, Some(name), Some(&["p-second"])),
            Err(EvaluateError::UnknownPolicy("p-second".to_owned()))
        );
    }
    assert_eq!(matched(Some("global"), None).unwrap(), "p-first");
    assert_eq!(matched(None, Some(&["p-third"])).unwrap(), "p-third");
    assert_eq!(
        matched(Some("team-b"), Some(&["p-third", "p-first"])).unwrap(),
        "p-first p-third"
    );
    assert_eq!(matched(None, Some(&[])), Err(EvaluateError::NoPolicies));
    for (namespace, ids) in [
        (None, ["p-first", "gone"]),
        (Some("team-a"), ["p-first", "p-third"]),
    ] {
        let unknown = EvaluateError::UnknownPolicy(ids[1].to_owned());
        assert_eq!(matched(namespace, Some(&ids)), Err(unknown));
    }
}

/// Nothing to ask is never "nothing forbids it": not without policies, and not without a `global` to fall back on.
#[test]
fn an_engine_without_active_policies_decides_nothing() {
    let draft = "metadata: {id: p, name: P, namespace: team}\nstatus: draft\nrules:\n- id: r\n  condition: {operator: \
                 exists, field: user}\n  action: {decision: deny}\n";
    let engine = |text: &str| {
        let mut compiler = Compiler::default();
        if !text.is_empty() {
            compiler.set("p.yaml", text);
        }
        PolicyEngine::builder()
            .policies(Policies::from_sources(&mut compiler).unwrap())
            .unknown_namespace(UnknownNamespace::Global)
            .build()
            .unwrap()
    };
    for text in ["", draft] {
        let (engine, mut worker) = (engine(text), Worker::new());
        for namespace in [None, Some("team"), Some("global")] {
            let options = EvaluateOptions {
                namespace,
                ..EvaluateOptions::default()
            };
            let refused = engine.evaluate_json_with(b"{}", &options).unwrap_err();
            assert_eq!(
                (&refused, refused.code()),
                (&EvaluateError::NothingActive, "not_ready")
            );
            assert_eq!(
                engine.evaluate_into(&mut worker, b"{}", &options).unwrap_err(),
                refused
            );
            assert_eq!(engine.decide(&mut worker, b"{}", &options).unwrap_err(), refused);
            assert_eq!(engine.choose(&options).unwrap_err(), refused);
        }
    }
    let engine = engine(&draft.replace("draft", "active"));
    let options = EvaluateOptions {
        namespace: Some("other"),
        ..EvaluateOptions::default()
    };
    let refused = engine.evaluate_json_with(b"{}", &options).unwrap_err();
    assert_eq!(refused, EvaluateError::UnknownNamespace("other".to_owned()));
}

#[test]
fn names_follow_from_what_the_namespace_of_the_request_sees() {
    let policy = |id: &str, namespace: &str, rules: &[&str]| {
        let rules = rules.iter().map(|rule| {
            format!(
                "- id: {rule}\n  condition: {{operator: exists, field: x}}\n  action: {{decision: warn}}\n"
            )
        });
        let rules: String = rules.collect();
        format!("metadata: {{id: {id}, name: N, namespace: {namespace}}}\nrules:\n{rules}")
    };
    let global = [policy("p", "global", &["r", "s"]), policy("q", "global", &["r"])];
    let own = policy("p", "red", &["s", "own"]);
    let foreign = [policy("q", "blue", &["own", "r"]), policy("p", "blue", &["own"])];
    let build = |policies: &[String]| {
        PolicyEngine::builder()
            .policies_from_yaml(&policies.join("---\n"))
            .unwrap()
            .build()
            .unwrap()
    };
    let red = EvaluateOptions {
        namespace: Some("red"),
        ..all()
    };
    let global_alone = EvaluateOptions {
        namespace: Some("global"),
        ..all()
    };
    let context = json!({"x": 1});
    let [first, second] = global;
    let without = build(&[first.clone(), second.clone(), own.clone()]);
    let with = build(&[&[first, second, own][..], &foreign].concat());
    let told = decide(&without, &context, &red);
    assert_eq!(
        told["matchedRules"],
        json!(["global/p/r", "global/p/s", "red/p/s", "own", "q/r"])
    );
    assert_eq!(told["matchedPolicies"], json!(["global/p", "red/p", "q"]));
    assert_eq!(decide(&with, &context, &red), told);
    assert_eq!(
        decide(&with, &context, &global_alone)["matchedRules"],
        json!(["p/r", "s", "q/r"])
    );
    assert_eq!(
        decide(&with, &context, &all())["matchedRules"],
        json!([
            "blue/p/own",
            "global/p/r",
            "global/p/s",
            "red/p/s",
            "red/p/own",
            "blue/q/own",
            "blue/q/r",
            "global/q/r"
        ])
    );
    let mut worker = Worker::new();
    let verdict = with.decide(&mut worker, b"{\"x\":1}", &red).unwrap();
    assert_eq!(verdict.rule, Some("global/p/r"));
    // An id names both policies that the request sees, and no other.
    let named = [Cow::Borrowed("p")];
    let options = EvaluateOptions {
        policies: Some(&named),
        ..red.clone()
    };
    assert_eq!(
        decide(&with, &context, &options)["matchedRules"],
        json!(["global/p/r", "global/p/s", "red/p/s", "own"])
    );
    let policies = with.policies();
    for (i, rule) in policies.manifest().rules.iter().enumerate() {
        assert!(policies.rule_name(Some("red"), i).ends_with(&rule.id));
    }
}

#[test]
fn malformed_contexts_are_refused_and_the_worker_goes_on() {
    let engine = engine();
    let mut worker = Worker::new();
    let options = EvaluateOptions {
        request_id: Some("r \"1\"\n"),
        ..EvaluateOptions::default()
    };
    for context in [
        "",
        "[]",
        "{",
        r#"{"user":{"id":1,"id":2}}"#,
        "{} {}",
        "\u{feff}{}",
    ] {
        let refused = engine.evaluate_into(&mut worker, context.as_bytes(), &options);
        assert!(
            matches!(refused, Err(EvaluateError::Context(JsonError { .. }))),
            "{context}"
        );
        assert_eq!(
            engine.evaluate_json(context).unwrap_err().code(),
            "malformed_context"
        );
        let fine = engine
            .evaluate_into(&mut worker, br#"{"user":{"id":"u"}}"#, &options)
            .unwrap();
        assert_eq!(fine.decision, Verb::Allow);
        assert_eq!(
            serde_json::from_str::<Value>(fine.json).unwrap()["requestId"],
            "r \"1\"\n"
        );
    }
}

#[test]
fn traces_show_every_rule_and_change_nothing() {
    let context =
        json!({ "llm": { "model": "gpt-4", "maxTokens": 200 }, "user": { "email": "x@bad.example" } });
    let options = EvaluateOptions {
        trace: true,
        ..EvaluateOptions::default()
    };
    let mut traced = decide(&engine(), &context, &options);
    let trace = traced.as_object_mut().unwrap().remove("trace").unwrap();
    assert_eq!(traced, decide(&engine(), &context, &all()));
    let rules = trace["rules"].as_array().unwrap();
    let outcomes: Vec<_> = rules
        .iter()
        .map(|r| (r["rule"].as_str().unwrap(), r["outcome"].as_str().unwrap()))
        .collect();
    assert_eq!(
        outcomes,
        [
            ("warn-big", "true"),
            ("clamp", "true"),
            ("no-mail", "true"),
            ("clamp", "true"),
            ("skipped", "false"),
            ("fine", "false")
        ]
    );
    assert_eq!(rules[0]["condition"]["actual"], 200);
}

/// The element that decided, and the condition for it.
#[test]
fn traces_show_the_element_that_decided() {
    let policy = "
metadata: { id: p, name: P }
rules:
  - id: any
    condition:
      operator: any
      field: llm.messages
      condition:
        operator: and
        conditions:
          - { operator: eq, field: item.role, value: user }
          - { operator: ne, field: user.id, valueFrom: item.name }
          - { operator: all, field: item.parts, condition: { operator: gt, field: item, value: 0 } }
    action: { decision: warn }
  - id: all
    condition: { operator: all, field: list, condition: { operator: gt, field: item, value: 1 } }
    action: { decision: deny }
";
    let engine = PolicyEngine::builder()
        .policies_from_yaml(policy)
        .unwrap()
        .build()
        .unwrap();
    let context = json!({
        "llm": { "messages": [{ "role": "system" }, { "role": "user", "name": "n", "parts": [1, 2] }] },
        "user": { "id": "u" },
        "list": [2, "x", null],
    });
    let options = EvaluateOptions {
        trace: true,
        ..EvaluateOptions::default()
    };
    let response = decide(&engine, &context, &options);
    let rules = response["trace"]["rules"].as_array().unwrap();
    let any = &rules[0]["condition"];
    assert_eq!(any["operator"], "any");
    assert_eq!(any["outcome"], "true");
    assert_eq!(any["element"], 1);
    assert_eq!(
        any["condition"],
        json!({
            "operator": "and",
            "outcome": "true",
            "conditions": [
                { "operator": "eq", "outcome": "true", "field": "item.role", "actual": "user", "value": "user" },
                { "operator": "ne", "outcome": "true", "field": "user.id", "actual": "u", "valueFrom": "item.name" },
                { "operator": "all", "outcome": "true", "field": "item.parts", "actual": [1, 2] },
            ],
        })
    );
    // An error where no element decides: the first one that cannot be told.
    let all = &rules[1]["condition"];
    assert_eq!((&all["outcome"], &all["element"]), (&json!("error"), &json!(1)));
    assert_eq!(
        all["condition"],
        json!({ "operator": "gt", "outcome": "error", "field": "item", "actual": "x", "value": 1 })
    );
    let error = &response["errors"][0];
    assert_eq!(
        (&error["field"], &error["found"]),
        (&json!("list"), &json!("array"))
    );
}

#[test]
fn hostile_text_leaves_the_response_well_formed() {
    let texts = [
        "\"",
        "\\",
        "\u{0}\u{1f}\u{7f}\u{2028}",
        "{{ user.id }}",
        "é😀",
        "</script>",
    ];
    for text in texts {
        let email = format!("{text}@bad.example");
        let context =
            json!({ "user": { "email": email, "id": text }, "llm": { "model": text, "maxTokens": 101 } });
        let denied = decide(&engine(), &context, &all());
        assert_eq!(denied["reason"], format!("no {email} here"));
        assert_eq!(denied["metadata"]["who"], text);
    }
}

/// One deny rule; `n` is in its ids and its constant.
fn numbered(n: usize) -> Policies {
    let text = format!(
        "metadata: {{ id: p{n}, name: P }}\nrules:\n  - id: r{n}\n    condition: {{ operator: eq, field: user.id, value: u{n} }}\n    \
         action: {{ decision: deny, reason: 'r{n}' }}\n"
    );
    let mut sources = policy_grammar::SourceMap::new();
    sources.add(policy_grammar::SourceFile::new("p.yaml", &text));
    let compiled = policy_compiler::compile(&sources, &policy_compiler::Options::default());
    Policies::from_compiled(compiled.unwrap_or_else(|_| panic!("{text}"))).unwrap()
}

/// Policies are replaced while others evaluate: every answer is that of one set or the other.
#[test]
fn replacing_policies_under_load_mixes_nothing() {
    let engine = PolicyEngine::builder().policies(numbered(0)).build().unwrap();
    let done = AtomicBool::new(false);
    let done = &done;
    std::thread::scope(|threads| {
        for _ in 0..2 {
            let engine = engine.clone();
            threads.spawn(move || {
                let mut worker = Worker::new();
                while !done.load(Ordering::Relaxed) {
                    let answer = engine.evaluate_into(
                        &mut worker,
                        br#"{"user":{"id":"u1"}}"#,
                        &EvaluateOptions::default(),
                    );
                    let answer: Value = serde_json::from_str(answer.unwrap().json).unwrap();
                    let decision = &answer["decision"];
                    match decision["decision"].as_str().unwrap() {
                        "deny" => assert_eq!(decision["matchedRules"], json!(["r1"])),
                        allow => assert_eq!((allow, &decision["matchedRules"]), ("allow", &json!([]))),
                    }
                }
            });
        }
        for i in 0..100 {
            engine.activate(numbered(i % 2));
        }
        done.store(true, Ordering::Relaxed);
    });
}

#[test]
fn nothing_is_allocated_from_request_bytes_to_response() {
    let engine = PolicyEngine::builder()
        .policies_from_yaml(POLICIES)
        .unwrap()
        .derive(DeriveMode::Never)
        .build()
        .unwrap();
    let contexts = [
        json!({ "llm": { "model": "gpt-4", "maxTokens": 200 }, "user": { "id": "u\n\"", "email": "x@bad.example" } }).to_string(),
        json!({ "llm": { "model": "gpt-4", "max_tokens": 2 }, "user": { "id": "u" }, "metadata": { "a": [1, { "b": 2 }] } }).to_string(),
        json!({ "user": { "id": [1], "email": 4 } }).to_string(),
    ];
    let ids = [Cow::Borrowed("p-first"), Cow::Borrowed("p-third")];
    let options = [
        EvaluateOptions::default(),
        all(),
        EvaluateOptions {
            namespace: Some("team-a"),
            ..EvaluateOptions::default()
        },
        EvaluateOptions {
            policies: Some(&ids),
            request_id: Some("r1"),
            ..EvaluateOptions::default()
        },
    ];
    let mut worker = Worker::new();
    let mut round = || {
        for context in &contexts {
            for options in &options {
                engine
                    .evaluate_into(&mut worker, context.as_bytes(), options)
                    .unwrap();
            }
        }
    };
    round();
    round();
    let counted = allocation_counter::measure(round);
    assert_eq!(counted.count_total, 0, "{counted:?}");
}

/// A policy of one rule that denies every model but one.
fn only(id: &str, model: &str) -> String {
    format!(
        "metadata: {{id: {id}, name: {id}}}\nrules:\n- id: only\n  condition: {{operator: ne, field: llm.model, value: \
         {model}}}\n  action: {{decision: deny}}\n"
    )
}

#[test]
fn edits_of_a_set_are_activated_or_leave_everything_as_it_is() {
    let mut compiler = Compiler::default();
    for i in 0..20 {
        compiler.set(format!("{i}.yaml"), only(&format!("p{i}"), "gpt-4o"));
    }
    let engine = PolicyEngine::builder()
        .policies(Policies::from_sources(&mut compiler).unwrap())
        .build()
        .unwrap();
    let denies = |model: &str| {
        let context = format!(r#"{{"llm": {{"model": "{model}"}}}}"#);
        engine.evaluate_json(context).unwrap().decision.matched_policies
    };
    assert!(denies("gpt-4o").is_empty());

    compiler.set("7.yaml", only("p7", "o3"));
    engine.activate_sources(&mut compiler).unwrap();
    assert_eq!(denies("gpt-4o"), ["p7"]);

    compiler.set("8.yaml", only("p7", "o3"));
    let error = engine.activate_sources(&mut compiler).unwrap_err().to_string();
    assert!(error.contains("8.yaml:1:16: error[E0301]"), "{error}");
    assert_eq!(denies("gpt-4o"), ["p7"]);

    assert!(compiler.remove("7.yaml"));
    engine.activate_sources(&mut compiler).unwrap();
    assert_eq!(denies("gpt-4o"), ["p7"]);
    assert!(compiler.remove("8.yaml"));
    engine.activate_sources(&mut compiler).unwrap();
    assert!(denies("gpt-4o").is_empty());
}

#[test]
fn sources_of_one_name_are_refused() {
    let builder = || {
        PolicyEngine::builder()
            .policies_from_source("a.yaml", &only("a", "x"))
            .unwrap()
    };
    let error = builder()
        .policies_from_source("a.yaml", &only("b", "x"))
        .unwrap_err();
    assert_eq!(error.to_string(), "two sources of policies have the same name");
    let mut sources = policy_grammar::SourceMap::new();
    sources.add(policy_grammar::SourceFile::new("a.yaml", only("b", "x")));
    let error = builder().policies_from_sources(sources).build().unwrap_err();
    assert_eq!(error.to_string(), "two sources of policies have the same name");
}

#[test]
fn what_was_chosen_decides_whatever_is_active_by_then() {
    let policy = |id: &str, reason: &str| {
        format!(
            "metadata: {{id: {id}, name: N}}\nrules: [{{id: r, condition: {{operator: exists, field: x}}, action: {{decision: \
             deny, reason: {reason}}}}}]\n"
        )
    };
    let set = |reason: &str| {
        let mut compiler = policy_runtime::Compiler::default();
        compiler.set("a.yaml", policy("a", reason));
        compiler.set("b.yaml", policy("b", reason));
        Policies::from_sources(&mut compiler).unwrap()
    };
    let engine = PolicyEngine::builder().policies(set("old")).build().unwrap();
    let twice = [Cow::Borrowed("a"), Cow::Borrowed("b"), Cow::Borrowed("a")];
    let options = EvaluateOptions {
        policies: Some(&twice),
        ..EvaluateOptions::default()
    };
    let refused = EvaluateError::DuplicatePolicy("a".to_owned());
    assert_eq!(engine.choose(&options).unwrap_err(), refused);
    assert_eq!(engine.evaluate_json_with(b"{}", &options).unwrap_err(), refused);
    for list in [None, Some([Cow::Borrowed("b")])] {
        engine.activate(set("old"));
        let options = EvaluateOptions {
            policies: list.as_ref().map(|ids| &ids[..]),
            ..EvaluateOptions::default()
        };
        let chosen = engine.choose(&options).unwrap();
        let chosen = EvaluateOptions {
            chosen: Some(&chosen),
            ..options.clone()
        };
        engine.activate(set("new"));
        for (options, reason) in [(&chosen, "old"), (&options, "new")] {
            let response = engine.evaluate_json_with(br#"{"x": 1}"#, options).unwrap();
            assert_eq!(response.decision.reason.as_deref(), Some(reason));
            let expected = if list.is_some() { "b" } else { "a" };
            assert_eq!(response.decision.matched_policies, [expected]);
        }
    }
}
