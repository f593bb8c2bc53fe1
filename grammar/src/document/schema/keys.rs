//! The keys of policies, of `metadata`, of rules and of documents of definitions.

use super::{or_null, words};
use crate::ast::{OnError, Status};
use crate::document::schema_tables::{DEFAULT_NAMESPACE, DEFAULT_VERSION, DEFINITIONS};
use serde_json::{Value, json};

pub(super) fn definitions_key(key: &str) -> Value {
    match key {
        "kind" => {
            json!({ "const": DEFINITIONS, "description": "Says that the document defines constants and is no policy." })
        }
        "description" => or_null("Free text.", &json!({ "type": "string" })),
        "import" | "let" => policy_key(key),
        _ => Value::Bool(true),
    }
}

pub(super) fn policy_key(key: &str) -> Value {
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

pub(super) fn metadata_key(key: &str) -> Value {
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

pub(super) fn rule_key(key: &str) -> Value {
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
