//! Conditions: operators, and what each takes.

use super::{Vocabulary, extend, object, words};
use crate::ast::Operator;
use crate::document::schema_tables::{CONDITION_KEYS, Logic, Takes};
use serde_json::{Value, json};

pub(super) fn condition_key(key: &str) -> Value {
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

pub(super) fn condition(words: &Vocabulary<'_>) -> Value {
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
