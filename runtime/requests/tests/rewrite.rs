//! Redaction in shape: texts change, everything else is given back as it came.

mod common;

use policy_requests::{JsonEditor, Place, Step, rewrite};
use serde_json::{Value, json};

/// `value` with every `4111…` in a text replaced.
fn redacted(value: &Value, path: &[Step<'_>]) -> Option<Value> {
    let edit = |text: &str, _place: Place| {
        let new = text
            .replace("4111 1111 1111 1111", "[CARD]")
            .replace("4111111111111111", "[CARD]");
        (new != text).then_some(new)
    };
    rewrite(value, path, &mut JsonEditor(edit))
}

const LLM: &[Step<'_>] = &[Step::Key("llm")];

#[test]
fn every_place_is_given_back_in_its_shape() {
    let secret = "card 4111 1111 1111 1111";
    let cases = [
        (json!({"prompt": secret}), json!({"prompt": "card [CARD]"})),
        (
            json!({"prompt": ["a", secret, [1, 2]]}),
            json!({"prompt": ["a", "card [CARD]", [1, 2]]}),
        ),
        (
            json!({"messages": [
                {"role": "assistant", "content": null, "tool_calls": [{"id": "4111111111111111", "type": "function", "function": {"name": "f", "arguments": "{\"card\": \"4111111111111111\"}"}}]},
                {"role": "user", "content": [{"type": "text", "text": secret}, {"type": "image_url", "image_url": {"url": "https://x.test/4111111111111111.png"}}]},
            ]}),
            json!({"messages": [
                {"role": "assistant", "content": null, "tool_calls": [{"id": "4111111111111111", "type": "function", "function": {"name": "f", "arguments": "{\"card\": \"[CARD]\"}"}}]},
                {"role": "user", "content": [{"type": "text", "text": "card [CARD]"}, {"type": "image_url", "image_url": {"url": "https://x.test/4111111111111111.png"}}]},
            ]}),
        ),
        (
            json!({"system": [{"type": "text", "text": secret}], "messages": [{"role": "assistant", "content": [{"type": "tool_use", "id": "t", "name": "pay", "input": {"card": 4_111_111_111_111_111_u64, "id": "4111111111111111", "n": 1}}]}]}),
            json!({"system": [{"type": "text", "text": "card [CARD]"}], "messages": [{"role": "assistant", "content": [{"type": "tool_use", "id": "t", "name": "pay", "input": {"card": "[CARD]", "id": "[CARD]", "n": 1}}]}]}),
        ),
        (
            json!({"contents": [{"role": "user", "parts": [{"text": secret}, {"inlineData": {"mimeType": "image/png", "data": "QUJD4111111111111111"}}]}]}),
            json!({"contents": [{"role": "user", "parts": [{"text": "card [CARD]"}, {"inlineData": {"mimeType": "image/png", "data": "QUJD4111111111111111"}}]}]}),
        ),
        (
            json!({"tools": [{"type": "function", "function": {"name": "f", "description": secret}}], "model": "m"}),
            json!({"tools": [{"type": "function", "function": {"name": "f", "description": "card [CARD]"}}], "model": "m"}),
        ),
        (
            json!({"input": [{"type": "function_call_output", "call_id": "c", "output": {"card 4111 1111 1111 1111": 1, "card [CARD]": 2}}]}),
            json!({"input": [{"type": "function_call_output", "call_id": "c", "output": {"card [CARD]": 1, "card [CARD]_2": 2}}]}),
        ),
    ];
    for (llm, expected) in cases {
        assert_eq!(redacted(&llm, LLM), Some(expected.clone()), "{llm}");
        // A second time there is nothing left to change.
        assert_eq!(redacted(&expected, LLM), None, "{llm}");
        // Each member alone gives the same.
        for (name, value) in llm.as_object().unwrap() {
            let alone = redacted(value, &[Step::Key("llm"), Step::Key(name)]);
            assert_eq!(alone.as_ref().unwrap_or(value), &expected[name], "{llm}");
        }
    }
}

#[test]
fn a_path_into_a_request_knows_what_stands_there() {
    let key = Step::Key;
    let cases = [
        (
            vec![key("llm"), key("messages"), Step::Index(0)],
            json!({"role": "user", "content": "4111111111111111"}),
            json!({"role": "user", "content": "[CARD]"}),
        ),
        (
            vec![key("llm"), key("messages"), Step::Index(-1), key("content")],
            json!("4111111111111111"),
            json!("[CARD]"),
        ),
        (
            vec![key("llm"), key("messages"), Step::Index(0), key("content")],
            json!([{"id": "4111111111111111", "text": "4111111111111111"}]),
            json!([{"id": "4111111111111111", "text": "[CARD]"}]),
        ),
        (
            vec![
                key("llm"),
                key("messages"),
                Step::Index(0),
                key("content"),
                Step::Index(1),
                key("input"),
            ],
            json!({"id": "4111111111111111"}),
            json!({"id": "[CARD]"}),
        ),
        (
            vec![
                key("llm"),
                key("contents"),
                Step::Index(0),
                key("parts"),
                Step::Index(0),
                key("functionCall"),
                key("args"),
                key("list"),
            ],
            json!(["a", 4_111_111_111_111_111_u64]),
            json!(["a", "[CARD]"]),
        ),
        (
            vec![key("llm"), key("prompt"), key("variables")],
            json!({"id": "4111111111111111"}),
            json!({"id": "[CARD]"}),
        ),
        (
            vec![key("llm"), key("tools"), Step::Index(0), key("function")],
            json!({"description": "4111 1111 1111 1111", "name": "x"}),
            json!({"description": "[CARD]", "name": "x"}),
        ),
        // A text alone is a text, even where an identifier stands.
        (
            vec![key("llm"), key("user")],
            json!("4111111111111111"),
            json!("[CARD]"),
        ),
        // Outside of a model call everything is read.
        (
            vec![key("metadata")],
            json!({"id": "4111111111111111", "n": [4_111_111_111_111_111_u64]}),
            json!({"id": "[CARD]", "n": ["[CARD]"]}),
        ),
        (
            vec![key("metadata"), key("note")],
            json!("4111111111111111"),
            json!("[CARD]"),
        ),
    ];
    for (path, value, expected) in cases {
        assert_eq!(redacted(&value, &path), Some(expected), "{path:?} {value}");
    }
    for value in [json!(null), json!(true), json!([]), json!({}), json!([1, 2, 3])] {
        assert_eq!(redacted(&value, &[key("llm"), key("prompt")]), None, "{value}");
    }
}

/// What is changed is exactly what is read: a rewriting that changes every text leaves none of the old ones.
#[test]
fn what_is_read_is_what_is_changed() {
    for llm in common::bodies() {
        let mut seen = Vec::new();
        let edit = |text: &str, _place: Place| {
            seen.push(text.to_owned());
            Some(format!("new {}", seen.len()))
        };
        let changed = rewrite(&llm, LLM, &mut JsonEditor(edit)).unwrap_or_else(|| llm.clone());
        let mut read = common::texts_and_numbers(&llm);
        read.sort();
        seen.sort();
        assert_eq!(read, seen, "{llm}");
        assert_eq!(common::texts_and_numbers(&changed).len(), seen.len(), "{changed}");
        assert_eq!(common::unread(&changed), common::unread(&llm), "{changed}");
    }
}
