//! Actions: decisions and modifications.

use super::{PATH_PATTERN, Vocabulary, extend, object, or_null, words};
use crate::ast::{Decision, Verb};
use crate::document::schema_tables::ACTION_KEYS;
use serde_json::{Map, Value, json};

pub(super) fn action_key(key: &str) -> Value {
    match key {
        "decision" => json!({
            "description": "deny is stronger than modify, modify than warn, warn than allow.",
            "oneOf": words(Decision::ALL, Decision::as_str, |d| match d {
                Decision::Allow => "Let the request pass.",
                Decision::Deny => "Refuse the request.",
                Decision::Warn => "Let the request pass, with a reason.",
                Decision::Modify => "Let the request pass changed; needs `modifications`.",
            }),
        }),
        "reason" => or_null(
            "Shown to the caller. `{{ path }}` is replaced by the value at that path.",
            &json!({ "type": "string" }),
        ),
        "metadata" => or_null(
            "Returned to the caller; strings may hold `{{ path }}`.",
            &json!({ "type": "object" }),
        ),
        "modifications" => or_null(
            "Changes by field path: a value to set, or a verb.",
            &json!({
                "type": "object",
                "minProperties": 1,
                "propertyNames": { "pattern": PATH_PATTERN },
                "additionalProperties": { "$ref": "#/$defs/modification" },
            }),
        ),
        _ => Value::Bool(true),
    }
}

pub(super) fn action(words: &Vocabulary<'_>) -> Value {
    let mut schema = object("What the rule does.", &ACTION_KEYS, &["decision"], action_key);
    let fields: Map<String, Value> = words
        .fields
        .iter()
        .filter(|(path, sent, _)| *sent && path.starts_with("llm."))
        .map(|(path, _, doc)| {
            let value = json!({ "$ref": "#/$defs/modification", "description": doc });
            ((*path).to_owned(), value)
        })
        .collect();
    if let Some(changes) = schema.pointer_mut("/properties/modifications/anyOf/0") {
        extend(changes, "properties", Value::Object(fields));
    }
    let modify = Decision::Modify.as_str();
    extend(
        &mut schema,
        "if",
        json!({ "properties": { "decision": { "const": modify } }, "required": ["decision"] }),
    );
    extend(
        &mut schema,
        "then",
        json!({ "required": ["modifications"], "properties": { "modifications": { "type": "object" } } }),
    );
    extend(
        &mut schema,
        "else",
        json!({ "properties": { "modifications": { "type": "null" } } }),
    );
    schema
}

pub(super) fn modification() -> Value {
    let mut cases: Vec<Value> = Verb::NAMES
        .iter()
        .map(|name| {
            let (description, operand) = verb_operand(name);
            let operand = match operand {
                Value::Object(mut operand) => {
                    operand.insert("description".to_owned(), json!(description));
                    Value::Object(operand)
                }
                _ => json!({ "description": description }),
            };
            let properties: Map<String, Value> = [((*name).to_owned(), operand)].into_iter().collect();
            json!({
                "type": "object",
                "description": description,
                "properties": properties,
                "required": [name],
                "additionalProperties": false,
            })
        })
        .collect();
    // A plain value: anything but an object with a key that starts with `$`.
    cases.push(json!({
        "description": "The value to set; strings may hold `{{ path }}`.",
        "if": { "type": "object" },
        "then": { "propertyNames": { "pattern": "^([^$]|$)" } },
    }));
    json!({ "description": "A value to set, or a verb.", "oneOf": cases })
}

/// A text that stands for the value of a constant.
fn constant() -> Value {
    json!({
        "type": "string",
        "pattern": "^\\{\\{\\s*let[.\\[].*\\}\\}$",
        "description": "A constant: `{{ let.name }}`.",
    })
}

pub(super) fn verb_operand(name: &str) -> (&'static str, Value) {
    match name {
        "$cap" => (
            "The smaller of the present number and this one; this one when missing.",
            json!({ "anyOf": [{ "type": "number", "description": "The number." }, constant()] }),
        ),
        "$floor" => (
            "The larger of the present number and this one; this one when missing.",
            json!({ "anyOf": [{ "type": "number", "description": "The number." }, constant()] }),
        ),
        "$default" => ("This value, only when the field is missing.", Value::Bool(true)),
        "$append" => (
            "One more element at the end of the array; what is no array becomes the first element of one.",
            Value::Bool(true),
        ),
        "$remove" => ("The value is dropped.", json!({ "const": true })),
        "$redact" => (
            "Personal data of these types is replaced by placeholders such as `[EMAIL]`.",
            json!({ "oneOf": [
                { "const": "all", "description": "Every type." },
                { "type": "array", "minItems": 1, "items": { "$ref": "#/$defs/piiType" } },
                constant(),
            ] }),
        ),
        _ => ("", Value::Bool(true)),
    }
}
