//! Tests of `schema`.

use super::action::{action_key, verb_operand};
use super::condition::condition_key;
use super::*;
use crate::ast::Verb;
use crate::document::schema_tables::{ACTION_KEYS, CONDITION_KEYS};

#[test]
fn every_key_and_verb_is_described() {
    for (keys, property) in [
        (&POLICY_KEYS[..], policy_key as fn(&str) -> Value),
        (&DEFINITIONS_KEYS, definitions_key),
        (&METADATA_KEYS, metadata_key),
        (&RULE_KEYS, rule_key),
        (&CONDITION_KEYS, condition_key),
        (&ACTION_KEYS, action_key),
    ] {
        for key in keys {
            assert_ne!(property(key), Value::Bool(true), "{key}");
        }
    }
    for verb in Verb::NAMES {
        assert_ne!(verb_operand(verb).0, "", "{verb}");
    }
}

const WORDS: Vocabulary<'static> = Vocabulary {
    fields: &[
        ("llm.model", true, "The model."),
        ("llm.piiTypes", false, "Types."),
    ],
    pii_types: &["email"],
    injection_signals: &["override"],
};

#[test]
fn references_lead_somewhere() {
    fn visit(value: &Value, defs: &Value) {
        match value {
            Value::Object(map) => {
                if let Some(Value::String(target)) = map.get("$ref") {
                    let name = target.strip_prefix("#/$defs/").unwrap();
                    assert!(defs.get(name).is_some(), "{target}");
                }
                map.values().for_each(|v| visit(v, defs));
            }
            Value::Array(items) => items.iter().for_each(|v| visit(v, defs)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }
    let schema = json_schema(&WORDS);
    visit(&schema, &schema["$defs"]);
}

#[test]
fn the_pattern_of_paths_takes_every_path() {
    let pattern = regex::Regex::new(PATH_PATTERN).unwrap();
    for (path, good) in [
        ("llm.model", true),
        ("a", true),
        ("list[0].id", true),
        ("list.0.id", true),
        ("list[-1]", true),
        ("metadata[\"a.b\"]", true),
        ("metadata['a \\' b'][\"c\\\"]\"].d", true),
        ("[\"a b\"].c", true),
        ("ключ.ключ", true),
        ("$a.b", true),
        ("a.$", true),
        ("", false),
        ("$", false),
        ("$.a", false),
        ("a..b", false),
        ("a.", false),
        ("[0]", false),
        ("a[00]", false),
        ("a[-0]", false),
        ("a b", false),
        ("a,b", false),
        ("{{ a }}", false),
        ("a[*]", false),
    ] {
        assert_eq!(crate::ast::FieldPath::parse(path).is_ok(), good, "{path}");
        assert_eq!(pattern.is_match(path), good, "{path}");
    }
}
