//! The JSON Schema of test files, over the tables of their reader.

use super::fields;
use crate::test::{DECISIONS, ERROR_KEYS, EXPECT_KEYS, FILE_KEYS, TEST_KEYS};
use policy_grammar::{PATH_PATTERN, SCHEMA_KEY};
use serde_json::{Map, Value, json};

pub(super) fn schema() -> Value {
    let mut file = object("Tests of policies.", FILE_KEYS, &["tests"], file_key);
    let mut defs = Map::new();
    defs.insert("context".to_owned(), context());
    defs.insert(
        "test".to_owned(),
        object(
            "One test: a request and what is decided about it.",
            TEST_KEYS,
            &["name", "expect"],
            test_key,
        ),
    );
    let mut expect = object(
        "What is expected. What is not named is not compared.",
        EXPECT_KEYS,
        &[],
        expect_key,
    );
    let error = object(
        "What is expected of an error. What is not named is not compared.",
        ERROR_KEYS,
        &[],
        error_key,
    );
    if let Value::Object(expect) = &mut expect {
        expect.insert("minProperties".to_owned(), json!(1));
    }
    if let Some(Value::Object(test)) = defs.get_mut("test") {
        test.insert("not".to_owned(), json!({ "required": ["context", "contexts"] }));
    }
    defs.insert("expect".to_owned(), expect);
    defs.insert("error".to_owned(), error);
    if let Value::Object(file) = &mut file {
        file.insert(
            "$schema".to_owned(),
            json!("https://json-schema.org/draft/2020-12/schema"),
        );
        file.insert("$id".to_owned(), json!("policy-test.schema.json"));
        file.insert("title".to_owned(), json!("Tests of LLM policies"));
        file.insert("$defs".to_owned(), Value::Object(defs));
    }
    file
}

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

/// A text, or a list of texts.
fn texts(description: &str, item: &str) -> Value {
    json!({
        "description": description,
        "anyOf": [
            { "type": "string" },
            { "type": "array", "items": { "type": "string", "description": item } },
        ],
    })
}

fn file_key(key: &str) -> Value {
    match key {
        "$schema" => json!({ "type": "string", "description": SCHEMA_KEY }),
        "policies" => texts(
            "Policy files or directories, relative to this file. Default: the file that this one is named after.",
            "A policy file or a directory.",
        ),
        "import" => texts(
            "Files whose constants can be used: documents of `kind: definitions`.",
            "A path relative to this file.",
        ),
        "let" => json!({
            "type": "object",
            "description": "Constants by name: `{{ let.name }}` in a text stands for one.",
        }),
        "contexts" => json!({
            "type": "object",
            "description": "Requests by name, for tests to start from.",
            "additionalProperties": { "$ref": "#/$defs/context" },
        }),
        "tests" => json!({
            "type": "array",
            "description": "The tests. Their names differ.",
            "minItems": 1,
            "items": { "$ref": "#/$defs/test" },
        }),
        _ => Value::Bool(true),
    }
}

fn test_key(key: &str) -> Value {
    match key {
        "name" => json!({ "type": "string", "description": "What is tested, for reports." }),
        "context" => json!({
            "description": "The request: the name of one under `contexts`, or one written out. Default: an empty one.",
            "anyOf": [{ "type": "string" }, { "$ref": "#/$defs/context" }],
        }),
        "contexts" => json!({
            "type": "array",
            "description": "Several requests, each a test of its own.",
            "minItems": 1,
            "items": { "anyOf": [{ "type": "string" }, { "$ref": "#/$defs/context" }] },
        }),
        "set" => {
            let fields: Map<String, Value> = fields()
                .into_iter()
                .map(|(path, _, doc)| (path.to_owned(), json!({ "description": doc })))
                .collect();
            json!({
                "type": "object",
                "description": "Changes to the context: values by path.",
                "properties": fields,
                "propertyNames": { "pattern": PATH_PATTERN },
            })
        }
        "unset" => texts("Paths to remove from the context.", "A field path."),
        "namespace" => json!({ "type": "string", "description": "The namespace that the request names." }),
        "derive" => json!({
            "description": "Which value of a derived field is used: the computed one or the caller's. Default: missing.",
            "oneOf": [
                { "const": "always", "description": "The engine's, whatever the context says." },
                { "const": "missing", "description": "The context's where it is there, else the engine's." },
                { "const": "never", "description": "The context's; nothing is computed." },
            ],
        }),
        "expect" => json!({ "$ref": "#/$defs/expect", "description": "What is decided." }),
        _ => Value::Bool(true),
    }
}

fn expect_key(key: &str) -> Value {
    match key {
        "decision" => json!({ "description": "The decision.", "enum": DECISIONS }),
        "reason" => json!({ "type": ["string", "null"], "description": "The reason; null for none." }),
        "matchedRules" => texts("Ids of all rules that fire, in order.", "The id of a rule."),
        "matchedPolicies" => texts(
            "Ids of the policies of these rules, in order.",
            "The id of a policy.",
        ),
        "modifications" => json!({ "type": "object", "description": "New values by path." }),
        "metadata" => json!({ "type": "object", "description": "The metadata of the decision." }),
        "errors" => json!({
            "type": "array",
            "description": "The errors, in order.",
            "items": { "$ref": "#/$defs/error" },
        }),
        _ => Value::Bool(true),
    }
}

fn error_key(key: &str) -> Value {
    let description = match key {
        "policy" => "Id of the policy.",
        "rule" => "Id of the rule.",
        "field" => "The field that could not be compared.",
        "found" => "The type of its value.",
        "expected" => "The types that the operator takes.",
        "message" => "The message.",
        _ => return Value::Bool(true),
    };
    json!({ "description": description })
}

/// A request. It may hold anything, also what is wrong, because that is tested too.
fn context() -> Value {
    let mut objects = Map::new();
    for (path, _, doc) in fields() {
        match path.split_once('.') {
            None => {
                let object = json!({ "description": doc, "properties": {} });
                objects.insert(path.to_owned(), object);
            }
            Some((object, key)) => {
                let properties = objects
                    .get_mut(object)
                    .and_then(|object| object.get_mut("properties"))
                    .and_then(Value::as_object_mut);
                if let Some(properties) = properties {
                    properties.insert(key.to_owned(), json!({ "description": doc }));
                }
            }
        }
    }
    json!({
        "type": "object",
        "description": "A request as it is sent to the engine.",
        "properties": objects,
    })
}
