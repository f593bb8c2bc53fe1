//! What an evaluation may take and what a response may hold, whatever policies repeat of a request and however large
//! that is. The decision stands in any case.

#![cfg(feature = "compile")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

use policy_runtime::{EvaluateError, EvaluateOptions, PolicyEngine, Stop, Verb, Worker};
use serde_json::{Value, json};

const MEBIBYTE: usize = 1 << 20;

fn engine(rules: &str) -> PolicyEngine {
    PolicyEngine::builder()
        .policies_from_yaml(&format!("metadata: {{id: p, name: P}}\nrules:\n{rules}"))
        .unwrap()
        .build()
        .unwrap()
}

fn always(id: &str, action: &str) -> String {
    format!("- {{id: {id}, condition: {{operator: exists, field: llm.model}}, action: {action}}}\n")
}

fn request(prompt: &str) -> String {
    json!({ "llm": { "model": "m", "prompt": prompt } }).to_string()
}

/// The response, and the bytes that were in use for it at most.
fn answer(engine: &PolicyEngine, body: &str, trace: bool) -> (Result<String, EvaluateError>, u64) {
    let options = EvaluateOptions {
        trace,
        ..EvaluateOptions::default()
    };
    let mut out = Ok(String::new());
    let counted = allocation_counter::measure(|| {
        let mut worker = Worker::new();
        out = engine
            .evaluate_into(&mut worker, body.as_bytes(), &options)
            .map(|evaluated| evaluated.json.to_owned());
    });
    (out, counted.bytes_max)
}

fn read(json: &str) -> Value {
    serde_json::from_str(json).unwrap()
}

/// A policy of some kilobytes and one request must not fill the memory: ten thousand placeholders of one large value.
#[test]
fn a_reason_is_cut_and_the_denial_stands() {
    let reason = "{{ llm.prompt }}".repeat(10_000);
    let engine = engine(&always(
        "no",
        &format!("{{decision: deny, reason: 'first {reason}'}}"),
    ));
    let (response, most) = answer(&engine, &request(&"é".repeat(MEBIBYTE)), false);
    let response = response.unwrap();
    let decision = &read(&response)["decision"];
    assert_eq!(decision["allowed"], false);
    let reason = decision["reason"].as_str().unwrap();
    assert!(
        reason.starts_with("first é") && reason.ends_with("é…"),
        "{}",
        &reason[..20]
    );
    assert!(
        reason.len() <= MEBIBYTE + '…'.len_utf8() && reason.len() > MEBIBYTE - 2,
        "{}",
        reason.len()
    );
    assert!(
        response.len() < 3 * MEBIBYTE,
        "{} bytes of response",
        response.len()
    );
    assert!(most < 32 << 20, "{most} bytes");
}

/// The reason of the decision has its room, whatever the rules before it say; the others share what is left.
#[test]
fn reasons_share_their_room_and_that_of_the_decision_comes_first() {
    let mut rules = String::new();
    for i in 0..500 {
        rules.push_str(&always(
            &format!("w{i}"),
            "{decision: warn, reason: '{{ llm.prompt }}'}",
        ));
    }
    rules.push_str(&always(
        "no",
        "{decision: deny, reason: 'denied: {{ llm.prompt }}'}",
    ));
    let prompt = "x".repeat(MEBIBYTE / 4);
    let (response, most) = answer(&engine(&rules), &request(&prompt), false);
    let response = response.unwrap();
    let decision = &read(&response)["decision"];
    assert_eq!(decision["reason"], format!("denied: {prompt}"));
    let matched = decision["matched"].as_array().unwrap();
    assert_eq!(matched.len(), 501);
    let whole = matched.iter().filter(|m| m["reason"] == prompt.as_str()).count();
    assert_eq!(whole, 2, "a quarter is the decision's, and the next is cut");
    assert_eq!(matched[400]["reason"], "…");
    assert!(
        response.len() < 3 * MEBIBYTE && most < 32 << 20,
        "{} bytes of response, {most} in use",
        response.len()
    );
}

#[test]
fn metadata_that_does_not_fit_stands_aside() {
    let members: Vec<String> = (0..3000)
        .map(|i| format!("k{i}: ['{{{{ llm.prompt }}}}']"))
        .collect();
    let rules = always(
        "no",
        &format!(
            "{{decision: deny, metadata: {{small: 1, {}, last: [a]}}}}",
            members.join(", ")
        ),
    );
    let prompt = "x".repeat(MEBIBYTE * 2 / 5);
    let (response, most) = answer(&engine(&rules), &request(&prompt), false);
    let response = response.unwrap();
    let decision = &read(&response)["decision"];
    assert_eq!(decision["allowed"], false);
    let metadata = decision["metadata"].as_object().unwrap();
    assert_eq!(metadata.len(), 3002);
    assert_eq!(metadata["k0"], json!([prompt]));
    assert_eq!(metadata["k1"], json!([prompt]));
    assert_eq!(metadata["k2"], "…");
    assert_eq!(metadata["k2999"], "…");
    // What is small enough still fits.
    assert_eq!(metadata["last"], json!(["a"]));
    assert!(
        response.len() < 3 * MEBIBYTE && most < 32 << 20,
        "{} bytes of response, {most} in use",
        response.len()
    );
}

/// A change that cannot be made whole must not look as if it had been made.
#[test]
fn a_modification_that_does_not_fit_lets_nothing_pass() {
    let text = "{{ llm.prompt }}".repeat(8000);
    for change in [
        format!("{{llm.system: '{text}'}}"),
        format!("{{llm.system: {{$default: '{text}'}}}}"),
        format!("{{llm.stop: {{$append: '{text}'}}}}"),
        format!("{{metadata.x: [1, {{a: '{text}'}}]}}"),
        format!(
            "{{metadata.a: '{{{{ llm.prompt }}}}', metadata.b: '{}'}}",
            "{{ llm.prompt }}".repeat(16)
        ),
    ] {
        let modify = always(
            "change",
            &format!("{{decision: modify, modifications: {change}}}"),
        );
        let body = request(&"x".repeat(MEBIBYTE));
        let engine_of_change = engine(&modify);
        let (response, most) = answer(&engine_of_change, &body, false);
        assert_eq!(
            response,
            Err(EvaluateError::ModificationsTooLarge),
            "{}",
            &change[..30]
        );
        let mut worker = Worker::new();
        let verdict = engine_of_change.decide(&mut worker, body.as_bytes(), &EvaluateOptions::default());
        assert_eq!(verdict, Err(EvaluateError::ModificationsTooLarge));
        assert!(most < 128 << 20, "{most} bytes");
        // A denial stands, and needs no modification.
        let denied = engine(&format!(
            "{modify}{}",
            always("no", "{decision: deny, reason: no}")
        ));
        let (response, _) = answer(&denied, &body, false);
        assert_eq!(read(&response.unwrap())["decision"]["decision"], "deny");
        // What fits is given whole.
        let small = request("x");
        let (response, _) = answer(&engine_of_change, &small, false);
        assert_eq!(read(&response.unwrap())["decision"]["decision"], "modify");
    }
}

/// Every write into a list copies it: many of them into a long one take more than there is.
#[test]
fn modifications_of_many_elements_are_bounded_too() {
    let changes: Vec<String> = (0..3000).map(|i| format!("'metadata.list[{i}]': {i}")).collect();
    let engine = engine(&always(
        "change",
        &format!(
            "{{decision: modify, modifications: {{metadata.list: {{$append: 1}}, {}}}}}",
            changes.join(", ")
        ),
    ));
    let body = |n: usize| json!({ "llm": { "model": "m" }, "metadata": { "list": vec![0; n] } }).to_string();
    let (response, _) = answer(&engine, &body(3000), false);
    assert_eq!(response, Err(EvaluateError::ModificationsTooLarge));
    let (response, _) = answer(&engine, &body(20), false);
    assert_eq!(read(&response.unwrap())["decision"]["decision"], "modify");
}

/// Every comparison shows what it found, and a thousand of them may find one large value.
#[test]
fn a_trace_shows_as_much_as_there_is_room_for() {
    let mut rules = String::new();
    for i in 0..400 {
        rules.push_str(&format!(
            "- {{id: r{i}, condition: {{operator: eq, field: metadata, value: {i}}}, action: {{decision: deny}}}}\n"
        ));
    }
    let long = "x".repeat(300);
    let body = json!({ "metadata": { "numbers": vec![1.5; 40_000], "text": long, "a": 1 } }).to_string();
    let (response, most) = answer(&engine(&rules), &body, true);
    let response = response.unwrap();
    let trace = &read(&response)["decision"]["trace"]["rules"];
    assert_eq!(trace.as_array().unwrap().len(), 400);
    let actual = &trace[0]["condition"]["actual"];
    assert_eq!(actual["a"], 1);
    let numbers = actual["numbers"].as_array().unwrap();
    assert!(
        numbers.len() <= 1000 && numbers.last().unwrap() == "…",
        "{}",
        numbers.len()
    );
    assert!(
        response.len() < 8 * MEBIBYTE && most < 128 << 20,
        "{} bytes, {most} in use",
        response.len()
    );
}

/// Some characters stand for eighteen others. A text of them is unknown, which fires rules, and never takes the memory of
/// what it stands for.
#[test]
fn a_text_that_explodes_when_normalised_is_unknown() {
    let engine = engine(
        "- {id: bad, condition: {operator: contains, field: llm.normalizedText, value: bad}, action: {decision: deny, reason: r}}\n",
    );
    let verdict = |prompt: &str| {
        let body = request(prompt);
        let (response, most) = answer(&engine, &body, false);
        let decision = read(&response.unwrap())["decision"].clone();
        assert!(most < 64 << 20, "{most} bytes");
        (decision["decision"].clone(), decision["errors"].is_array())
    };
    assert_eq!(verdict(&"\u{fdfa}".repeat(10_000)), (json!("allow"), false));
    assert_eq!(verdict(&"\u{fdfa}".repeat(600_000)), (json!("deny"), true));
    assert_eq!(verdict(&"plain text ".repeat(200_000)), (json!("allow"), false));
    // So are the signs of injection in it: no answer is no sign that there is none.
    for condition in [
        "{operator: contains, field: llm.injectionSignals, value: override}",
        "{operator: gte, field: llm.injectionScore, value: 0.5}",
    ] {
        let engine = self::engine(&format!(
            "- {{id: bad, condition: {condition}, action: {{decision: deny, reason: r}}}}\n"
        ));
        let fires = |prompt: &str| {
            let (response, _) = answer(&engine, &request(prompt), false);
            read(&response.unwrap())["decision"]["decision"] == json!("deny")
        };
        assert!(fires(&"\u{fdfa}".repeat(600_000)));
        assert!(!fires(&"\u{fdfa}".repeat(10_000)));
    }
    let body = request("\u{fdfa}");
    let mut worker = Worker::new();
    let decided = engine.decide(&mut worker, body.as_bytes(), &EvaluateOptions::default());
    assert_eq!(decided.map(|verdict| verdict.decision), Ok(Verb::Allow));
}

/// Loading can be ended at every look, and nothing half loaded comes of it.
#[test]
fn loading_a_bundle_can_be_ended_at_every_look() {
    use policy_runtime::{BuildError, Compiler, LoadError, Policies, Stop};
    let mut compiler = Compiler::default();
    let rule = |i: usize| {
        format!(
            "- {{id: r{i}, condition: {{operator: matches, field: llm.model, value: '[a-c]+{i}'}}, action: {{decision: deny}}}}\n"
        )
    };
    let rules: String = (0..5).map(rule).collect();
    compiler.set("p.yaml", format!("metadata: {{id: p, name: P}}\nrules:\n{rules}"));
    let bytes = compiler.build().unwrap().to_bundle().unwrap();
    let counter = Stop::after(u64::MAX);
    Policies::from_bundle_until(&bytes, &[], &counter).unwrap();
    let looks = u64::MAX - counter.looks_left().unwrap();
    assert!(looks > 10, "{looks} looks for 5 rules and 5 patterns");
    for looks in 0..looks {
        let stopped = Policies::from_bundle_until(&bytes, &[], &Stop::after(looks));
        assert_eq!(stopped.map(|_| ()), Err(LoadError::Stopped), "{looks}");
    }
    assert!(Policies::from_bundle_until(&bytes, &[], &Stop::after(looks)).is_ok());

    // From sources the compiler's handle ends both halves.
    let counter = Stop::after(u64::MAX);
    compiler.set_stop(counter.clone());
    Policies::from_sources(&mut compiler).unwrap();
    let looks = u64::MAX - counter.looks_left().unwrap();
    for looks in 0..looks {
        compiler.set_stop(Stop::after(looks));
        let stopped = Policies::from_sources(&mut compiler);
        assert_eq!(stopped.map(|_| ()), Err(BuildError::Stopped), "{looks}");
    }
    compiler.set_stop(Stop::never());
    assert!(Policies::from_sources(&mut compiler).is_ok());
}

/// However far an evaluation has got when it is stopped, nothing is decided, and soon nothing is done any more.
#[test]
fn what_is_stopped_decides_nothing() {
    const RULES: usize = 8;
    let search = |i: usize| {
        format!(
            "- {{id: r{i}, condition: {{operator: matches, field: llm.prompt, value: '[0-9]{{{},}}[a-f]'}}, action: \
             {{decision: warn}}}}\n",
            i + 1
        )
    };
    let capped = "- {id: cap, condition: {operator: exists, field: llm.prompt}, action: {decision: modify, modifications: \
                  {llm.model: small}}}\n- {id: no, condition: {operator: eq, field: llm.model, value: small}, action: \
                  {decision: deny}}\n";
    let rules: String = (0..RULES).map(search).collect();
    let engine = engine(&(rules + capped));
    let body = request(&"0123456789".repeat(500));
    for trace in [false, true] {
        let ask = |stop: &Stop| {
            let options = EvaluateOptions {
                trace,
                stop: Some(stop),
                ..EvaluateOptions::default()
            };
            let owned = engine.evaluate_json_with(body.as_bytes(), &options);
            owned.map(|response| (response.decision.decision, response.decision.matched_rules))
        };
        let unstopped = ask(&Stop::never()).unwrap();
        assert_eq!(unstopped.0, Verb::Deny);
        let mut looks = 0;
        let whole = loop {
            match ask(&Stop::after(looks)) {
                Err(EvaluateError::Stopped) => looks += 1,
                other => break other.unwrap(),
            }
            assert!(looks < 100 * RULES as u64, "it never ends");
        };
        assert_eq!(whole, unstopped);
        // Each rule, twice, and each search of a long text.
        assert!(looks > 3 * RULES as u64, "{looks} looks");
        let mut worker = Worker::new();
        let asked = Stop::when_asked();
        asked.ask();
        let options = EvaluateOptions {
            trace,
            stop: Some(&asked),
            ..EvaluateOptions::default()
        };
        let decided = engine.decide(&mut worker, body.as_bytes(), &options);
        assert_eq!(
            decided.map(|verdict| verdict.decision),
            Err(EvaluateError::Stopped)
        );
    }
}
