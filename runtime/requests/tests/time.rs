//! Time in proportion to what is sent, also where somebody sends what costs most.

use policy_requests::{JsonEditor, Piece, Place, Step, read, rewrite, tools};
use serde_json::{Map, Value, json};
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

/// Asserts that sixteen times as much takes less than 130 times as long: memory that no cache holds makes it slower
/// than sixteen times, a square would make it 256.
#[track_caller]
fn linear(what: &str, small: usize, body: impl Fn(usize) -> Value, run: impl Fn(&Value)) {
    let time = |size: usize| {
        let body = body(size);
        (0..5)
            .map(|_| {
                let start = Instant::now();
                run(&body);
                start.elapsed()
            })
            .min()
            .unwrap_or_default()
    };
    let (short, long) = (time(small), time(small * 16));
    assert!(
        long < short * 130 + Duration::from_millis(20),
        "{what}: {short:?} {long:?}"
    );
}

fn walk(llm: &Value) {
    let mut sink = |_: Piece<'_, &Value>, _: Place| ControlFlow::Continue(());
    assert!(read(llm, &mut sink).is_continue());
}

fn members(count: usize, name: impl Fn(usize) -> String, value: &Value) -> Value {
    let members: Map<String, Value> = (0..count).map(|index| (name(index), value.clone())).collect();
    Value::Object(members)
}

#[test]
fn reading_is_linear() {
    linear(
        "parts",
        2_000,
        |n| json!({"messages": [{"role": "user", "content": vec![json!({"id": "x"}); n]}]}),
        walk,
    );
    linear(
        "numbers and a text",
        20_000,
        |n| {
            let mut items = vec![json!(1); n];
            items.push(json!("x"));
            json!({ "input": [items] })
        },
        walk,
    );
    linear(
        "parts and no part",
        5_000,
        |n| {
            let mut items = vec![json!({"type": "text", "text": "x"}); n];
            items.push(json!(1));
            json!({"input": [{"type": "function_call_output", "output": items}]})
        },
        walk,
    );
    linear(
        "members",
        2_000,
        |n| json!({"messages": [members(n, |i| format!("a b {i}"), &json!("x"))]}),
        walk,
    );
    linear(
        "data",
        200_000,
        |n| json!({"url": format!("data:image/png;base64,{} ", "QUJD".repeat(n))}),
        walk,
    );
}

#[test]
fn rewriting_is_linear() {
    let change = |llm: &Value| {
        let mut same = JsonEditor(|_: &str, _: Place| Some("[GONE]".to_owned()));
        assert!(rewrite(llm, &[Step::Key("llm")], &mut same).is_some());
    };
    linear(
        "texts",
        2_000,
        |n| json!({"messages": vec![json!({"content": "x"}); n]}),
        change,
    );
    linear(
        "names that become equal",
        1_000,
        |n| json!({"messages": [members(n, |i| format!("a b {i}"), &json!(1))]}),
        change,
    );
}

#[test]
fn rendering_is_linear() {
    let render = |tool: &Value| {
        let mut out = String::new();
        tools::render(tool, &mut out);
        assert!(out.len() > 1000);
    };
    linear(
        "required properties",
        1_000,
        |n| {
            let names: Vec<String> = (0..n).rev().map(|i| format!("p{i}")).collect();
            json!({"name": "f", "parameters": {"type": "object", "required": names, "properties": members(n, |i| format!("p{i}"), &json!({"type": "string"}))}})
        },
        render,
    );
    linear(
        "unknown members",
        1_000,
        |n| json!({"name": "f", "parameters": members(n, |i| format!("k{i}"), &json!({"x": "y"}))}),
        render,
    );
}
