//! The JSON Schema of policy documents, for editors that complete and validate.
//!
//! Written by hand over the same tables that the parser uses: keys, operators and what they take, decisions, verbs,
//! states. A key or an operator that is in a table and has no description here fails a test. The schema accepts what
//! the parser accepts as far as JSON Schema can tell; ids and patterns are checked by the parser alone. Paths and words of
//! requests, which this crate does not know, come as a [`Vocabulary`]: they are offered, and any other path is as good.

mod action;
mod condition;
mod keys;

use crate::document::schema_tables::{DEFINITIONS_KEYS, METADATA_KEYS, POLICY_KEYS, RULE_KEYS};
use action::{action, modification};
use condition::condition;
use keys::{definitions_key, metadata_key, policy_key, rule_key};
use serde_json::{Map, Value, json};

/// Words that this crate does not know: fields of requests and what they hold. Editors offer them.
#[derive(Debug, Clone, Copy)]
pub struct Vocabulary<'a> {
    /// Known fields: path, whether a caller sends it, and what it is.
    pub fields: &'a [(&'a str, bool, &'a str)],
    /// Types of personal data: what `$redact` takes and `llm.piiTypes` holds.
    pub pii_types: &'a [&'a str],
    /// What `llm.injectionSignals` holds.
    pub injection_signals: &'a [&'a str],
}

/// What a field path looks like. Every path matches; not everything that matches is one.
pub const PATH_PATTERN: &str = r#"^([^$.\[\]{}"', ][^.\[\]{}"', ]*|\$[^.\[\]{}"', ]+|\[("([^"\\]|\\.)*"|'([^'\\]|\\.)*')\])(\.[^.\[\]{}"', ]+|\[(0|-?[1-9][0-9]*|"([^"\\]|\\.)*"|'([^'\\]|\\.)*')\])*$"#;

/// The description of the key `$schema`, which is for editors.
pub const SCHEMA_KEY: &str = "Where an editor finds the JSON Schema of this file. Nothing else reads it.";

/// The schema of a policy document, or of a JSON file that holds a list of them, in JSON Schema draft 2020-12.
#[must_use]
pub fn json_schema(words: &Vocabulary<'_>) -> Value {
    let mut policy = object(
        "A policy: who it is, its rules, and whether it takes part in decisions.",
        &POLICY_KEYS,
        &["metadata", "rules"],
        policy_key,
    );
    let mut definitions = object(
        "Constants that policies import.",
        &DEFINITIONS_KEYS,
        &["kind"],
        definitions_key,
    );
    for document in [&mut policy, &mut definitions] {
        if let Some(Value::Object(properties)) = document.get_mut("properties") {
            properties.insert(
                "$schema".to_owned(),
                json!({ "type": "string", "description": SCHEMA_KEY }),
            );
        }
    }
    let mut defs = Map::new();
    defs.insert("policy".to_owned(), policy);
    defs.insert("definitions".to_owned(), definitions);
    defs.insert(
        "metadata".to_owned(),
        object(
            "Who the policy is.",
            &METADATA_KEYS,
            &["id", "name"],
            metadata_key,
        ),
    );
    let mut rule = object(
        "One rule: when the condition is true, the action is taken.",
        &RULE_KEYS,
        &["id", "action"],
        rule_key,
    );
    extend(
        &mut rule,
        "oneOf",
        json!([{ "required": ["condition"] }, { "required": ["when"] }]),
    );
    defs.insert("rule".to_owned(), rule);
    defs.insert("condition".to_owned(), condition(words));
    defs.insert("action".to_owned(), action(words));
    defs.insert("modification".to_owned(), modification());
    defs.insert(
        "piiType".to_owned(),
        json!({ "description": "A type of personal data or of a secret.", "enum": words.pii_types }),
    );
    let mut paths: Vec<Value> = words
        .fields
        .iter()
        .map(|(path, _, doc)| json!({ "const": path, "description": doc }))
        .collect();
    paths.push(json!({ "const": "item", "description": "Below `any` and `all`: the element of the list." }));
    paths.push(json!({
        "type": "string",
        "minLength": 1,
        "pattern": PATH_PATTERN,
        "description": "Any other field: `metadata.costCenter`, `list[0].id`, `list[-1]`, `metadata[\"a.b\"]`.",
    }));
    defs.insert(
        "path".to_owned(),
        json!({
            "description": "A field path: `llm.model`, `list[0].id`, `metadata[\"a.b\"]`.",
            "anyOf": paths,
        }),
    );
    // What says its kind is held to it alone, so that a mistake is reported where it is.
    defs.insert(
        "document".to_owned(),
        json!({
            "description": "A policy, or constants that policies import.",
            "if": { "required": ["kind"] },
            "then": { "$ref": "#/$defs/definitions" },
            "else": { "$ref": "#/$defs/policy" },
        }),
    );
    let whole = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": "policy.schema.json",
        "title": "LLM policy",
        "description": "A policy, or constants that policies import; a JSON file may also hold a list of them.",
        "if": { "type": "array" },
        "then": { "items": { "$ref": "#/$defs/document" } },
        "else": { "$ref": "#/$defs/document" },
        "$defs": defs,
    });
    whole
}

/// An object that takes exactly `keys`.
fn object(description: &str, keys: &[&str], required: &[&str], property: fn(&str) -> Value) -> Value {
    let properties: Map<String, Value> = keys
        .iter()
        .map(|key| ((*key).to_owned(), property(key)))
        .collect();
    json!({
        "type": "object",
        "description": description,
        "properties": properties,
        "required": required,
        "additionalProperties": false,
    })
}

fn extend(schema: &mut Value, key: &str, value: Value) {
    if let Value::Object(map) = schema {
        map.insert(key.to_owned(), value);
    }
}

fn words<T: Copy>(all: &[T], name: fn(T) -> &'static str, description: impl Fn(T) -> &'static str) -> Value {
    Value::Array(
        all.iter()
            .map(|w| json!({ "const": name(*w), "description": description(*w) }))
            .collect(),
    )
}

/// Null stands for an absent optional key.
fn or_null(description: &str, schema: &Value) -> Value {
    json!({ "description": description, "anyOf": [schema, { "type": "null" }] })
}

#[cfg(test)]
mod tests;
