//! The JSON Schema of policy documents, for editors that complete and validate.
//!
//! Written by hand over the same tables that the parser uses: keys, operators and what they take, decisions, verbs,
//! states. A key or an operator that is in a table and has no description here fails a test. The schema accepts what
//! the parser accepts as far as JSON Schema can tell; ids and patterns are checked by the parser alone. Paths and words of
//! requests, which this crate does not know, come as a [`Vocabulary`]: they are offered, and any other path is as good.

use crate::ast::{Decision, OnError, Operator, Status, Verb};
use crate::document::schema_tables::{
    ACTION_KEYS, CONDITION_KEYS, DEFAULT_NAMESPACE, DEFAULT_VERSION, DEFINITIONS, DEFINITIONS_KEYS, Logic,
    METADATA_KEYS, POLICY_KEYS, RULE_KEYS, Takes,
};
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

fn definitions_key(key: &str) -> Value {
    match key {
        "kind" => {
            json!({ "const": DEFINITIONS, "description": "Says that the document defines constants and is no policy." })
        }
        "description" => or_null("Free text.", &json!({ "type": "string" })),
        "import" | "let" => policy_key(key),
        _ => Value::Bool(true),
    }
}

fn policy_key(key: &str) -> Value {
    match key {
        "import" => or_null(
            "Files whose constants can be used, relative to this one: documents of `kind: definitions`.",
            &json!({
                "type": "array",
                "items": { "type": "string", "minLength": 1, "description": "A path relative to this file." },
                "examples": [["../shared.yaml"]],
            }),
        ),
        "let" => or_null(
            "Constants by name, used as `valueFrom: let.name` and `{{ let.name }}`.",
            &json!({
                "type": "object",
                // Without classes of Unicode, which validators in Python do not read: outside of ASCII everything passes here.
                "propertyNames": {
                    "pattern": "^[^\\u0000-@\\[-\\^`{-\\u007f][^\\u0000-,./:-@\\[-\\^`{-\\u007f]*$",
                },
                "examples": [{ "limit": 2.5, "premium": ["gpt-4", "o1-pro"] }],
            }),
        ),
        "metadata" => json!({ "$ref": "#/$defs/metadata", "description": "Who the policy is." }),
        "rules" => json!({
            "type": "array",
            "description": "Rules, looked at in the order in which they stand.",
            "items": { "$ref": "#/$defs/rule" },
        }),
        "status" => or_null(
            "Only active policies take part in decisions. Default: active.",
            &json!({ "oneOf": words(Status::ALL, Status::as_str, |s| match s {
                Status::Active => "Takes part in decisions.",
                Status::Draft => "Being written; ignored by decisions.",
                Status::Deprecated => "No longer used; ignored by decisions.",
            }) }),
        ),
        "onError" => or_null(
            "What a rule (other than allow) does when its condition cannot be evaluated. Default: match.",
            &json!({ "oneOf": words(OnError::ALL, OnError::as_str, |s| match s {
                OnError::Match => "The rule fires: a deny rule that cannot be evaluated must not turn into an allow.",
                OnError::Skip => "The rule does not fire; the error is still listed.",
            }) }),
        ),
        _ => Value::Bool(true),
    }
}

fn metadata_key(key: &str) -> Value {
    let text = json!({ "type": "string", "minLength": 1 });
    match key {
        "id" => {
            json!({
                "type": "string",
                "minLength": 1,
                "description": "Unique among the policies of its namespace.",
                "examples": ["cost-cap"],
            })
        }
        "name" => json!({ "type": "string", "minLength": 1, "description": "Display name." }),
        "version" => {
            let description = format!("Semantic version, in quotes. Default: {DEFAULT_VERSION}.");
            or_null(&description, &text)
        }
        "namespace" => {
            let description = format!(
                "Requests may ask for one namespace; policies of `global` apply to all. Default: {DEFAULT_NAMESPACE}."
            );
            or_null(&description, &text)
        }
        "description" => or_null("Free text.", &json!({ "type": "string" })),
        "tags" => or_null(
            "Free labels.",
            &json!({ "type": "array", "items": { "type": "string", "description": "A label." } }),
        ),
        "priority" => or_null(
            "Policies of higher priority come first. Default: 0.",
            &json!({ "type": "integer", "minimum": i64::MIN, "maximum": i64::MAX }),
        ),
        _ => Value::Bool(true),
    }
}

fn rule_key(key: &str) -> Value {
    match key {
        "id" => json!({ "type": "string", "minLength": 1, "description": "Unique in the policy." }),
        "name" => or_null("Display name. Default: the id.", &json!({ "type": "string" })),
        "description" => or_null("Free text.", &json!({ "type": "string" })),
        "enabled" => or_null(
            "A disabled rule never fires. Default: true.",
            &json!({ "type": "boolean" }),
        ),
        "condition" => json!({ "$ref": "#/$defs/condition", "description": "When the rule fires." }),
        "when" => {
            json!({ "type": "string", "description": "A rule body of the text DSL, in place of `condition`." })
        }
        "action" => json!({ "$ref": "#/$defs/action", "description": "What the rule does." }),
        _ => Value::Bool(true),
    }
}

fn condition_key(key: &str) -> Value {
    match key {
        "operator" => {
            let mut all = words(Operator::ALL, Operator::as_str, operator_description);
            if let Value::Array(all) = &mut all {
                for logic in Logic::ALL {
                    let description = match logic {
                        Logic::And => "All of `conditions` are true.",
                        Logic::Or => "At least one of `conditions` is true.",
                        Logic::Not => "The one condition in `conditions` is false.",
                    };
                    all.push(json!({ "const": logic.as_str(), "description": description }));
                }
            }
            json!({ "description": "How the field is compared, or how conditions are combined.", "oneOf": all })
        }
        "field" => json!({ "$ref": "#/$defs/path", "description": "What is compared." }),
        "value" => json!({ "description": "The constant that the field is compared with." }),
        "valueFrom" => {
            json!({ "$ref": "#/$defs/path", "description": "The other field that the field is compared with." })
        }
        "conditions" => json!({
            "type": "array",
            "description": "The conditions that `and`, `or` and `not` combine.",
            "minItems": 1,
            "items": { "$ref": "#/$defs/condition" },
        }),
        "condition" => json!({
            "$ref": "#/$defs/condition",
            "description": "What `any` and `all` ask of each element, which is `item` in its paths.",
        }),
        "ignoreCase" => json!({
            "type": "boolean",
            "description": "Texts are compared by simple Unicode case folding. Default: false.",
        }),
        _ => Value::Bool(true),
    }
}

fn operator_description(operator: Operator) -> &'static str {
    match operator {
        Operator::Eq => "Same type and equal; numbers by value. False when the field is missing.",
        Operator::Ne => "Not `eq`. True when the field is missing.",
        Operator::Gt => "Greater than: numbers by value, strings by code point.",
        Operator::Gte => "Greater than or equal.",
        Operator::Lt => "Less than.",
        Operator::Lte => "Less than or equal.",
        Operator::In => "Some item of the list equals the field, or one of its elements.",
        Operator::NotIn => "Not `in`. True when the field is missing.",
        Operator::Contains => "Substring of a string, or element of an array.",
        Operator::NotContains => "Not `contains`. True when the field is missing.",
        Operator::StartsWith => "The field, a string, starts with the value.",
        Operator::NotStartsWith => "Not `starts_with`. True when the field is missing.",
        Operator::EndsWith => "The field, a string, ends with the value.",
        Operator::NotEndsWith => "Not `ends_with`. True when the field is missing.",
        Operator::Matches => "The regular expression is found in the field, a string; `(?i)` ignores case.",
        Operator::NotMatches => "Not `matches`. True when the field is missing.",
        Operator::Exists => "The field is present and not null; `value: false` asks for the opposite.",
        Operator::Any => "`condition` holds for some element of the list. False when the field is missing.",
        Operator::All => "`condition` holds for every element of the list. True when the field is missing.",
        Operator::InCidr => "The field, an IP address, is in the network, or in one of the list.",
        Operator::Before => "The field, an instant, is earlier than the value.",
        Operator::After => "The field, an instant, is later than the value.",
        Operator::TimeBetween => {
            "The clock of the time zone shows a time from `start` to `end` at the instant in the field, on one of `days`."
        }
    }
}

fn condition(words: &Vocabulary<'_>) -> Value {
    let mut schema = object(
        "A comparison of a field, or a combination of conditions.",
        &CONDITION_KEYS,
        &["operator"],
        condition_key,
    );
    let mut cases = Vec::new();
    for operator in Operator::ALL {
        let takes = Takes::of(*operator);
        if takes == Takes::Condition {
            let then = json!({
                "required": ["field", "condition"],
                "properties": { "value": false, "valueFrom": false, "conditions": false, "ignoreCase": false },
            });
            cases.push(case(operator.as_str(), &then));
            continue;
        }
        let value = match takes {
            Takes::Any | Takes::Condition => Value::Bool(true),
            Takes::Ordered => json!({ "type": ["number", "string"] }),
            Takes::List => json!({ "type": "array" }),
            // No `format: regex`: that would be the dialect of ECMAScript, which has no `(?i)`.
            Takes::Text | Takes::Pattern => json!({ "type": "string" }),
            Takes::Presence => json!({ "type": ["boolean", "null"] }),
            Takes::Networks => json!({
                "type": ["string", "array"],
                "minItems": 1,
                "items": { "type": "string" },
            }),
            Takes::Instant => json!({ "type": ["number", "string"] }),
            Takes::Window => window(),
        };
        let mut properties = json!({ "value": value, "conditions": false, "condition": false });
        if !takes.allows_field() {
            extend(&mut properties, "valueFrom", Value::Bool(false));
        }
        if !operator.takes_ignore_case() {
            extend(&mut properties, "ignoreCase", Value::Bool(false));
        }
        let mut then = json!({ "required": ["field"], "properties": properties });
        if takes != Takes::Presence {
            let one_of = if takes.allows_field() {
                json!([{ "required": ["value"] }, { "required": ["valueFrom"] }])
            } else {
                json!([{ "required": ["value"] }])
            };
            extend(&mut then, "oneOf", one_of);
        }
        cases.push(case(operator.as_str(), &then));
    }
    for logic in Logic::ALL {
        let mut conditions = json!({ "minItems": 1 });
        if logic == Logic::Not {
            extend(&mut conditions, "maxItems", json!(1));
        }
        cases.push(case(
            logic.as_str(),
            &json!({
                "required": ["conditions"],
                "properties": {
                    "conditions": conditions,
                    "field": false,
                    "value": false,
                    "valueFrom": false,
                    "condition": false,
                    "ignoreCase": false,
                },
            }),
        ));
    }
    for (field, all) in [
        ("llm.piiTypes", words.pii_types),
        ("llm.injectionSignals", words.injection_signals),
    ] {
        // Offers the words of the field. What it does not hold is a warning of the compiler.
        let word = json!({ "anyOf": [{ "enum": all }, true] });
        cases.push(json!({
            "if": { "properties": { "field": { "const": field } }, "required": ["field"] },
            "then": { "properties": { "value": { "anyOf": [
                { "enum": all },
                { "type": "array", "items": word },
                true,
            ] } } },
        }));
    }
    extend(&mut schema, "allOf", Value::Array(cases));
    schema
}

/// The value of `time_between`.
fn window() -> Value {
    let time = |description: &str| json!({ "type": "string", "description": description });
    json!({
        "type": "object",
        "description": "Times of the day, on some days of the week, in a time zone.",
        "properties": {
            "start": time("`HH:MM` or `HH:MM:SS`; included."),
            "end": time("`HH:MM` or `HH:MM:SS`, also `24:00`; not included. Before `start`, it is on the next day."),
            "days": {
                "type": "array",
                "description": "Days on which it starts. Default: every day.",
                "minItems": 1,
                "items": { "description": "A day of the week.", "enum": ["mon", "tue", "wed", "thu", "fri", "sat", "sun"] },
            },
            "timezone": time("IANA name such as `Europe/Berlin`, or `UTC`."),
        },
        "required": ["start", "end", "timezone"],
        "additionalProperties": false,
    })
}

fn case(operator: &str, then: &Value) -> Value {
    json!({
        "if": { "properties": { "operator": { "const": operator } }, "required": ["operator"] },
        "then": then,
    })
}

fn action_key(key: &str) -> Value {
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

fn action(words: &Vocabulary<'_>) -> Value {
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

fn modification() -> Value {
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

fn verb_operand(name: &str) -> (&'static str, Value) {
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

#[cfg(test)]
mod tests;
