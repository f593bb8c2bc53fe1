//! Changed requests: the rewritten text is what putting values one after another into the parsed request gives.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

use policy_bytecode::module::{Decision, DecisionRule, Field, Function, Module, PathSegment, PolicyRange};
use policy_bytecode::verify::{HostLimits, verify};
use policy_bytecode::{FuncIdx, Instr, PolicyIdx};
use policy_vm::place::{Change, Step, get, put, take};
use policy_vm::{Array, Bump, LoadedModule, Object, Value};
use proptest::prelude::*;
use serde_json::{Value as Json, json};

fn module() -> LoadedModule {
    let module = Module {
        fields: vec![Field {
            path: path("a"),
            derived: None,
        }],
        functions: vec![Function {
            code: vec![Instr::RetTrue {}],
            ..Function::default()
        }],
        rules: vec![DecisionRule {
            condition: FuncIdx(0),
            policy: PolicyIdx(0),
            decision: Decision::Deny,
            fires_on_error: true,
        }],
        policies: vec![PolicyRange {
            first_rule: 0,
            rule_count: 1,
        }],
        ..Module::default()
    };
    LoadedModule::new(&verify(module, &HostLimits::default()).unwrap()).unwrap()
}

/// `a.b|other.0`: keys with other spellings; a number is an index.
fn path(text: &str) -> Vec<PathSegment> {
    let key = |name: &str, alias: Option<&str>| PathSegment::Key {
        name: name.to_owned(),
        aliases: alias.map(str::to_owned).into_iter().collect(),
    };
    let segment = |s: &str| match (s.parse(), s.split_once('|')) {
        (Ok(n), _) => PathSegment::Index(n),
        (Err(_), Some((name, alias))) => key(name, Some(alias)),
        (Err(_), None) => key(s, None),
    };
    text.split('.').map(segment).collect()
}

fn value<'a>(json: &Json, bump: &'a Bump) -> Value<'a> {
    match json {
        Json::Null => Value::Null,
        Json::Bool(b) => Value::Bool(*b),
        Json::Number(n) => Value::Number(policy_bytecode::Number::Int(n.as_i64().unwrap())),
        Json::String(s) => Value::Str(bump.alloc_str(s)),
        Json::Array(items) => {
            let items: Vec<Value<'a>> = items.iter().map(|item| value(item, bump)).collect();
            Value::Array(Array::new_in(bump.alloc_slice_copy(&items), bump))
        }
        Json::Object(members) => {
            let mut out: Vec<(&'a str, Value<'a>)> = members
                .iter()
                .map(|(k, v)| (&*bump.alloc_str(k), value(v, bump)))
                .collect();
            out.sort_by(|a, b| a.0.cmp(b.0));
            Value::Object(Object::new_in(bump.alloc_slice_copy(&out), bump))
        }
    }
}

fn json(value: Value<'_>) -> Json {
    let mut text = String::new();
    value.write_json(&mut text).unwrap();
    serde_json::from_str(&text).unwrap()
}

/// Paths with what is written there, or nothing.
type Changes<'a> = &'a [(&'a str, Option<Json>)];

/// The request by text and by value.
fn both(body: &str, changes: Changes<'_>) -> (Json, Json) {
    let bump = Bump::new();
    let places: Vec<(Vec<Step>, Value<'_>)> = changes
        .iter()
        .map(|(p, v)| {
            let new = v.as_ref().map_or(Value::Undefined, |v| value(v, &bump));
            (Step::path(&path(p)), new)
        })
        .collect();
    let mut ordered: Vec<Change<'_>> = places
        .iter()
        .map(|(steps, value)| Change { steps, value: *value })
        .collect();
    ordered.sort_by(|a, b| a.steps.cmp(b.steps));
    let mut text = String::new();
    module()
        .rewrite(body.as_bytes(), &ordered, &bump, &mut text)
        .unwrap();
    let parsed: Json = serde_json::from_str(body).unwrap();
    let mut tree = value(&parsed, &bump);
    for change in &ordered {
        tree = match change.value {
            Value::Undefined => take(tree, change.steps, &bump),
            new => put(tree, change.steps, new, &bump).unwrap_or(tree),
        };
    }
    let text = serde_json::from_str(&text).unwrap_or_else(|e| panic!("{e}: {text}"));
    (text, json(tree))
}

#[test]
fn values_are_placed_where_paths_lead() {
    let one = || Some(json!(1));
    let cases: &[(&str, Changes<'_>, Json)] = &[
        ("{}", &[("a.b", one())], json!({"a": {"b": 1}})),
        (
            r#"{"a": {"c": 2}}"#,
            &[("a.b", one())],
            json!({"a": {"b": 1, "c": 2}}),
        ),
        // Other spellings go, also escaped ones.
        (
            r#"{"a": {"\u0078": 2, "c": 3}}"#,
            &[("a.b|x", one())],
            json!({"a": {"b": 1, "c": 3}}),
        ),
        // What is in the way gives way.
        (r#"{"a": "text"}"#, &[("a.b", one())], json!({"a": {"b": 1}})),
        (r#"{"a": null}"#, &[("a.0", one())], json!({"a": [1]})),
        (r#"{"a": [5]}"#, &[("a.b", one())], json!({"a": {"b": 1}})),
        // Lists take elements that they have and the next one.
        (r#"{"a": [5, 6]}"#, &[("a.1", one())], json!({"a": [5, 1]})),
        (r#"{"a": [5, 6]}"#, &[("a.2", one())], json!({"a": [5, 6, 1]})),
        (r#"{"a": [5, 6]}"#, &[("a.3", one())], json!({"a": [5, 6]})),
        (
            r#"{"a": []}"#,
            &[("a.0.b", one()), ("a.1.c", one())],
            json!({"a": [{"b": 1}, {"c": 1}]}),
        ),
        ("{}", &[("a.1", one())], json!({})),
        ("{}", &[("a.0.c.1", one())], json!({})),
        ("{}", &[("a.4000000000", one())], json!({})),
        (r#"{"a": {}}"#, &[("a.7", one())], json!({"a": {"7": 1}})),
        (
            "{}",
            &[("a.0", one()), ("a.b", one())],
            json!({"a": {"b": 1, "0": 1}}),
        ),
        // Taken out.
        (
            r#"{"a": {"b": 1, "c": 2}}"#,
            &[("a.b", None)],
            json!({"a": {"c": 2}}),
        ),
        (r#"{"a": {"x": 1, "b": 3}}"#, &[("a.b|x", None)], json!({"a": {}})),
        (r#"{"a": [1, 2]}"#, &[("a.0", None)], json!({"a": [null, 2]})),
        (
            r#"{"a": [1, 2]}"#,
            &[("a.5", None), ("a.b", None)],
            json!({"a": [1, 2]}),
        ),
        (r#"{"a": 1}"#, &[("a.b", None)], json!({"a": 1})),
        ("{}", &[("a.b", None)], json!({})),
    ];
    for (body, changes, wanted) in cases {
        let (text, tree) = both(body, changes);
        assert_eq!(text, *wanted, "text of {body} with {changes:?}");
        assert_eq!(tree, *wanted, "value of {body} with {changes:?}");
    }
}

/// What nobody changes is copied letter for letter, also what would be refused if it were read.
#[test]
fn the_rest_stays_letter_for_letter() {
    let body = r#" { "n" : 1e40 , "d":{"k":1,"k":2}, "a":{"b":0, "z" : [ 1.50 ] } } "#;
    let bump = Bump::new();
    let steps = Step::path(&path("a.b"));
    let change = Change {
        steps: &steps,
        value: Value::Str("\n"),
    };
    let mut out = String::new();
    module()
        .rewrite(body.as_bytes(), &[change], &bump, &mut out)
        .unwrap();
    assert_eq!(
        out,
        r#"{"n" : 1e40,"d":{"k":1,"k":2},"a":{"z" : [ 1.50 ],"b":"\n"}}"#
    );
}

#[test]
fn other_spellings_are_found() {
    let bump = Bump::new();
    let steps = Step::path(&path("a|A.0"));
    let found = |request: Json| json(get(value(&request, &bump), &steps));
    assert_eq!(found(json!({"A": [3]})), json!(3));
    assert_eq!(found(json!({"a": {"0": 4}, "A": [3]})), json!(4));
    assert_eq!(found(json!({"a": [], "A": [3]})), json!(null));
}

fn any_json() -> impl Strategy<Value = Json> {
    let leaf = prop_oneof![
        Just(json!(null)),
        Just(json!("t")),
        (0..3i64).prop_map(|n| json!(n)),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Json::Array),
            proptest::collection::btree_map("[abxy01]", inner, 0..4)
                .prop_map(|m| Json::Object(m.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn text_and_values_are_changed_alike(
        body in proptest::collection::btree_map("[abxy01]", any_json(), 0..4),
        mut changes in proptest::collection::vec(
            (proptest::collection::vec("a|x|b|0|1|2", 1..4), proptest::option::of(any_json())), 1..5),
    ) {
        let mut paths: Vec<(String, Option<Json>)> = Vec::new();
        changes.retain(|(steps, _)| steps[0].parse::<u32>().is_err());
        for (steps, new) in changes {
            // Another spelling on the way is left as it is, which is the same place and another text.
            let text = steps.join(".");
            let text = if text.ends_with('a') { format!("{text}|x") } else { text };
            let plain = |path: &str| format!("{}.", path.trim_end_matches("|x"));
            let nested = |other: &str| {
                let (own, other) = (plain(&text), plain(other));
                own.starts_with(&other) || other.starts_with(&own)
            };
            if !paths.iter().any(|(other, _)| nested(other)) {
                paths.push((text, new));
            }
        }
        let body = Json::Object(body.into_iter().collect());
        let changes: Vec<(&str, Option<Json>)> = paths.iter().map(|(p, v)| (p.as_str(), v.clone())).collect();
        let (text, tree) = both(&body.to_string(), &changes);
        prop_assert_eq!(text, tree, "{} with {:?}", body, changes);
    }
}
