//! Responses that would repeat a request more often than there is room for: every engine and level against the reference,
//! at the bounds and on both sides of them.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use policy_compiler::OptLevel;
use policy_conformance::compare::{Verdict, judge_parsed};
use policy_conformance::engine::{Engine, RequestOptions, Settings, parse};
use policy_conformance::generate::Pair;
use policy_conformance::product::Product;
use serde_json::{Value, json};

const ROOM: usize = 1 << 20;

fn agree(policies: &str, context: &Value) {
    let parsed = parse(policies).unwrap();
    let pair = Pair {
        documents: Vec::new(),
        json: false,
        context: Value::Null,
        settings: Settings::default(),
        request: RequestOptions::default(),
    };
    for engine in [Product::at(OptLevel::O0), Product::at(OptLevel::O2)] {
        let loaded = engine.load(policies, pair.settings).unwrap();
        match judge_parsed(loaded.as_ref(), &parsed, &pair, &context.to_string()) {
            Verdict::Agree(_) => {}
            Verdict::Disagree(differences) => {
                // Texts are too large to be shown.
                let short = |text: &String| text.chars().take(300).collect::<String>();
                let short: Vec<String> = differences.iter().map(short).collect();
                panic!("{}: {short:#?}", engine.name());
            }
            Verdict::Refused(errors) => panic!("{}: {errors:?}", engine.name()),
        }
    }
}

fn rules(rules: &[(&str, &str)]) -> String {
    let mut out = "metadata: {id: p, name: P}\nrules:\n".to_owned();
    for (i, (field, action)) in rules.iter().enumerate() {
        out.push_str(&format!(
            "- {{id: r{i}, condition: {{operator: exists, field: {field}}}, action: {action}}}\n"
        ));
    }
    out
}

#[test]
fn reasons_metadata_and_modifications_end_where_the_reference_says() {
    let warn = "{decision: warn, reason: 'w {{ metadata.t }}', metadata: {k: '{{ metadata.t }}', o: {a: ['{{ metadata.t }}', 1, true, null]}}}";
    let other = "{decision: warn, reason: 'é{{ metadata.t }}é', metadata: {k: shadowed, l: '{{ metadata.o }}', s: small}}";
    let deny = "{decision: deny, reason: 'no {{ metadata.t }}', metadata: {d: '{{ metadata.t }}'}}";
    let modify = "{decision: modify, reason: 'm {{ metadata.t }}', modifications: {metadata.x: 'a {{ metadata.t }}', metadata.y: {$append: ['{{ metadata.t }}']}, metadata.z: {$default: {b: '{{ metadata.o }}'}}}}";
    // What the modification makes is denied.
    let second = "- {id: second, condition: {operator: exists, field: metadata.x}, action: {decision: deny, reason: '{{ metadata.x }}', metadata: {k: '{{ metadata.x }}', n: '{{ metadata.t }}'}}}\n";
    let sets = [
        rules(&[("llm", warn), ("llm", other), ("llm", deny)]),
        rules(&[("llm", warn), ("llm", other)]),
        rules(&[("llm", warn), ("llm", modify)]),
        format!("{}{second}", rules(&[("llm", warn), ("llm", modify)])),
    ];
    let context = |text: &str| json!({ "llm": { "model": "m" }, "metadata": { "t": text, "o": { "n": vec![1e300; 20], "t": text } } });
    for set in &sets {
        agree(set, &context("small"));
        for length in [ROOM / 2 - 3, ROOM + 1] {
            agree(set, &context(&"é".repeat(length / 2)));
        }
    }
    // With and without room for what stands before the placeholder: `no `, and the mark.
    for length in [ROOM - 4, ROOM - 3, ROOM - 2, ROOM] {
        agree(&sets[0], &context(&"x".repeat(length)));
    }
}

/// Sixteen mebibytes are what a request may have; one more and nothing is decided.
#[test]
fn modifications_larger_than_a_request_are_refused_alike() {
    for copies in [15, 16] {
        let text = "{{ metadata.t }}".repeat(copies);
        let set = rules(&[(
            "llm",
            &format!("{{decision: modify, modifications: {{metadata.x: '{text}'}}}}"),
        )]);
        agree(&set, &json!({ "llm": {}, "metadata": { "t": "x".repeat(ROOM) } }));
    }
}

#[test]
fn a_text_that_explodes_is_unknown_alike() {
    let set = "metadata: {id: p, name: P}\nrules:\n- {id: r, condition: {operator: contains, field: llm.normalizedText, value: bad}, action: {decision: deny}}\n";
    for length in [1000, 100_000] {
        agree(set, &json!({ "llm": { "prompt": "\u{fdfa}".repeat(length) } }));
    }
    let set = "metadata: {id: p, name: P}\nrules:\n- {id: s, condition: {operator: contains, field: llm.injectionSignals, value: override}, action: {decision: deny}}\n- {id: w, condition: {operator: gte, field: llm.injectionScore, value: 0.5}, action: {decision: warn}}\n";
    agree(set, &json!({ "llm": { "prompt": "\u{fdfa}".repeat(40_000) } }));
}
