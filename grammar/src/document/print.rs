//! The printer: policies to canonical YAML or JSON.
//!
//! Inverse of the document parser: parsing what is printed gives the same policies, spans aside. One order of keys,
//! defaults left out except `version`, `namespace` and `status`, strings plain where that is safe beyond doubt.
//! Comments are not part of the AST; to format a file and keep them, use [`format_source`](crate::format_source).

use crate::ast::{Action, Condition, Literal, Number, OnError, Operand, Operator, Policy, Rule, Verb};
use crate::document::plain_scalar_is_string;
use std::fmt::Write as _;

/// Prints policies as YAML, one document each.
#[must_use]
pub fn to_yaml(policies: &[Policy]) -> String {
    let mut text = String::new();
    for (i, policy) in policies.iter().enumerate() {
        if i > 0 {
            text.push_str("---\n");
        }
        block(&policy_value(policy), 0, &mut text);
    }
    text
}

/// Prints policies as JSON with two spaces of indentation: an object for a single policy, else an array.
#[must_use]
pub fn to_json(policies: &[Policy]) -> String {
    let mut text = String::new();
    match policies {
        [policy] => json(&policy_value(policy), 0, &mut text),
        many => json(
            &Value::List(many.iter().map(policy_value).collect()),
            0,
            &mut text,
        ),
    }
    text.push('\n');
    text
}

/// What both formats have in common.
enum Value {
    /// A word that both formats spell alike: null, booleans, numbers.
    Word(String),
    Text(String),
    List(Vec<Value>),
    Map(Vec<(String, Value)>),
}

impl Value {
    fn text(text: &str) -> Self {
        Self::Text(text.to_owned())
    }

    fn is_empty(&self) -> bool {
        match self {
            Self::Word(_) | Self::Text(_) => false,
            Self::List(items) => items.is_empty(),
            Self::Map(entries) => entries.is_empty(),
        }
    }
}

fn entry(key: &str, value: Value) -> (String, Value) {
    (key.to_owned(), value)
}

fn policy_value(policy: &Policy) -> Value {
    let metadata = &policy.metadata;
    let mut head = vec![
        entry("id", Value::text(&metadata.id.value)),
        entry("name", Value::text(&metadata.name.value)),
        entry("version", Value::text(&metadata.version.value)),
        entry("namespace", Value::text(&metadata.namespace.value)),
    ];
    if let Some(description) = &metadata.description {
        head.push(entry("description", Value::text(&description.value)));
    }
    if !metadata.tags.is_empty() {
        let tags = metadata.tags.iter().map(|tag| Value::text(&tag.value)).collect();
        head.push(entry("tags", Value::List(tags)));
    }
    if metadata.priority.value != 0 {
        head.push(entry(
            "priority",
            Value::Word(metadata.priority.value.to_string()),
        ));
    }
    let mut document = vec![
        entry("metadata", Value::Map(head)),
        entry("status", Value::text(policy.status.as_str())),
    ];
    if policy.on_error != OnError::Match {
        document.push(entry("onError", Value::text(policy.on_error.as_str())));
    }
    document.push(entry(
        "rules",
        Value::List(policy.rules.iter().map(rule_value).collect()),
    ));
    Value::Map(document)
}

fn rule_value(rule: &Rule) -> Value {
    let mut entries = vec![entry("id", Value::text(&rule.id.value))];
    if let Some(name) = &rule.name {
        entries.push(entry("name", Value::text(&name.value)));
    }
    if let Some(description) = &rule.description {
        entries.push(entry("description", Value::text(&description.value)));
    }
    if !rule.enabled {
        entries.push(entry("enabled", Value::Word("false".to_owned())));
    }
    entries.push(entry("condition", condition_value(&rule.condition)));
    entries.push(entry("action", action_value(&rule.action)));
    Value::Map(entries)
}

fn condition_value(condition: &Condition) -> Value {
    let logic = |operator: &str, operands: Vec<Value>| {
        Value::Map(vec![
            entry("operator", Value::text(operator)),
            entry("conditions", Value::List(operands)),
        ])
    };
    match condition {
        Condition::And { operands, .. } => logic("and", operands.iter().map(condition_value).collect()),
        Condition::Or { operands, .. } => logic("or", operands.iter().map(condition_value).collect()),
        Condition::Not { operand, .. } => logic("not", vec![condition_value(operand)]),
        Condition::Test(test) => {
            let mut entries = vec![
                entry("operator", Value::text(test.operator.value.as_str())),
                entry("field", Value::Text(test.field.value.to_string())),
            ];
            match &test.operand {
                Operand::Value(value) => {
                    let default =
                        test.operator.value == Operator::Exists && value.value == Literal::Bool(true);
                    if !default {
                        entries.push(entry("value", literal_value(&value.value)));
                    }
                }
                Operand::Path(path) => entries.push(entry("valueFrom", Value::Text(path.value.to_string()))),
                Operand::Condition(body) => entries.push(entry("condition", condition_value(body))),
            }
            if test.ignore_case {
                entries.push(entry("ignoreCase", Value::Word("true".to_owned())));
            }
            Value::Map(entries)
        }
    }
}

fn action_value(action: &Action) -> Value {
    let mut entries = vec![entry("decision", Value::text(action.decision.value.as_str()))];
    if let Some(reason) = &action.reason {
        entries.push(entry("reason", Value::text(&reason.value)));
    }
    if !action.modifications.is_empty() {
        let changes = action
            .modifications
            .iter()
            .map(|change| (change.path.value.to_string(), verb_value(&change.verb)))
            .collect();
        entries.push(entry("modifications", Value::Map(changes)));
    }
    if !action.metadata.is_empty() {
        let metadata = action
            .metadata
            .iter()
            .map(|(key, value)| (key.value.clone(), literal_value(&value.value)))
            .collect();
        entries.push(entry("metadata", Value::Map(metadata)));
    }
    Value::Map(entries)
}

fn verb_value(verb: &Verb) -> Value {
    let named = |name: &str, operand: Value| Value::Map(vec![entry(name, operand)]);
    match verb {
        Verb::Set(value) => literal_value(value),
        Verb::Cap(n) => named("$cap", Value::Word(number_text(n))),
        Verb::Floor(n) => named("$floor", Value::Word(number_text(n))),
        Verb::Default(value) => named("$default", literal_value(value)),
        Verb::Append(value) => named("$append", literal_value(value)),
        Verb::Remove => named("$remove", Value::Word("true".to_owned())),
        Verb::Redact(types) if types.is_empty() => named("$redact", Value::text("all")),
        Verb::Redact(types) => named(
            "$redact",
            Value::List(types.iter().map(|t| Value::text(&t.value)).collect()),
        ),
    }
}

fn literal_value(literal: &Literal) -> Value {
    match literal {
        Literal::Null => Value::Word("null".to_owned()),
        Literal::Bool(b) => Value::Word(b.to_string()),
        Literal::Number(n) => Value::Word(number_text(n)),
        Literal::String(s) => Value::text(s),
        Literal::Array(items) => Value::List(items.iter().map(|i| literal_value(&i.value)).collect()),
        Literal::Object(entries) => Value::Map(
            entries
                .iter()
                .map(|(key, value)| (key.value.clone(), literal_value(&value.value)))
                .collect(),
        ),
    }
}

fn number_text(number: &Number) -> String {
    match number {
        Number::Int(n) => n.to_string(),
        Number::UInt(n) => n.to_string(),
        // The shortest digits that read back as the same double, always with a point or an exponent.
        Number::Float(n) => format!("{n:?}"),
        Number::Decimal(text) => text.to_string(),
    }
}

/// A constant in a text for people, as the runtime writes a value there: a text as it is, nothing for null, the items of a
/// list one after the other, JSON for everything else.
pub(crate) fn plain_text(literal: &Literal) -> String {
    fn one(literal: &Literal, out: &mut String) {
        match literal {
            Literal::String(text) => out.push_str(text),
            other => compact(other, out),
        }
    }
    let mut out = String::new();
    match literal {
        Literal::Null => {}
        Literal::Array(items) => {
            for (i, item) in items.iter().enumerate() {
                out.push_str(if i > 0 { ", " } else { "" });
                one(&item.value, &mut out);
            }
        }
        other => one(other, &mut out),
    }
    out
}

/// A constant as JSON in one line.
pub(crate) fn json_text(literal: &Literal) -> String {
    let mut out = String::new();
    compact(literal, &mut out);
    out
}

/// JSON without blanks, the keys of objects in the order of their bytes.
fn compact(literal: &Literal, out: &mut String) {
    match literal {
        Literal::Null => out.push_str("null"),
        Literal::Bool(b) => out.push_str(if *b { "true" } else { "false" }),
        Literal::Number(n) => out.push_str(&number_text(n)),
        Literal::String(text) => out.push_str(&serde_json::Value::from(text.as_str()).to_string()),
        Literal::Array(items) => {
            out.push('[');
            for (i, item) in items.iter().enumerate() {
                out.push_str(if i > 0 { "," } else { "" });
                compact(&item.value, out);
            }
            out.push(']');
        }
        Literal::Object(entries) => {
            let mut entries: Vec<_> = entries.iter().collect();
            entries.sort_by(|(a, _), (b, _)| a.value.as_bytes().cmp(b.value.as_bytes()));
            out.push('{');
            for (i, (key, value)) in entries.into_iter().enumerate() {
                out.push_str(if i > 0 { "," } else { "" });
                out.push_str(&serde_json::Value::from(key.value.as_str()).to_string());
                out.push(':');
                compact(&value.value, out);
            }
            out.push('}');
        }
    }
}

// ----- YAML -----------------------------------------------------------------------------------------------------

/// Longest key that YAML reads without `?`.
const MAX_SIMPLE_KEY: usize = 1000;

/// A value in block style, each line indented by `indent` and ended.
fn block(value: &Value, indent: usize, out: &mut String) {
    match value {
        Value::Map(entries) if !entries.is_empty() => {
            for (i, (key, value)) in entries.iter().enumerate() {
                if i > 0 || !out.ends_with("- ") {
                    pad(indent, out);
                }
                let key = quoted_if_needed(key);
                if key.len() > MAX_SIMPLE_KEY {
                    out.push_str("? ");
                    out.push_str(&key);
                    out.push('\n');
                    pad(indent, out);
                } else {
                    out.push_str(&key);
                }
                out.push(':');
                after_key(value, indent, out);
            }
        }
        Value::List(items) if !items.is_empty() => {
            for (i, item) in items.iter().enumerate() {
                if i > 0 || !out.ends_with("- ") {
                    pad(indent, out);
                }
                out.push_str("- ");
                if matches!(item, Value::Map(_) | Value::List(_)) && !item.is_empty() {
                    block(item, indent + 2, out);
                } else {
                    inline(item, indent, out);
                    out.push('\n');
                }
            }
        }
        Value::Map(_) | Value::List(_) | Value::Word(_) | Value::Text(_) => {
            inline(value, indent, out);
            out.push('\n');
        }
    }
}

fn after_key(value: &Value, indent: usize, out: &mut String) {
    if matches!(value, Value::Map(_) | Value::List(_)) && !value.is_empty() {
        out.push('\n');
        block(value, indent + 2, out);
    } else {
        out.push(' ');
        inline(value, indent, out);
        out.push('\n');
    }
}

/// A scalar or an empty collection behind a key or a dash.
fn inline(value: &Value, indent: usize, out: &mut String) {
    match value {
        Value::Word(word) => out.push_str(word),
        Value::List(_) => out.push_str("[]"),
        Value::Map(_) => out.push_str("{}"),
        Value::Text(text) => match block_scalar(text) {
            Some((header, body)) => {
                out.push_str(header);
                for line in body.split('\n') {
                    out.push('\n');
                    if !line.is_empty() {
                        pad(indent + 2, out);
                        out.push_str(line);
                    }
                }
            }
            None => out.push_str(&quoted_if_needed(text)),
        },
    }
}

/// Header and text of a literal block for a text of several plain lines.
fn block_scalar(text: &str) -> Option<(&'static str, &str)> {
    let (header, body) = match text.strip_suffix('\n') {
        Some(body) => ("|", body),
        None => ("|-", text),
    };
    let plain = |line: &str| {
        !line.ends_with(' ') && !line.starts_with(' ') && line.chars().all(|c| printable(c) && c != '\t')
    };
    let good = body.contains('\n')
        && !body.starts_with('\n')
        && !body.ends_with('\n')
        && body.split('\n').all(plain);
    good.then_some((header, body))
}

/// Plain where no reader of YAML could take it for anything but this string, else in double quotes.
fn quoted_if_needed(text: &str) -> String {
    let mut chars = text.chars();
    let starts_well = chars.next().is_some_and(|c| {
        c.is_ascii_alphabetic() || (c.is_alphabetic() && printable(c)) || matches!(c, '_' | '/' | '$')
    });
    let goes_well = text.chars().all(|c| {
        c.is_ascii_alphanumeric()
            || matches!(
                c,
                '_' | '-' | '.' | '/' | ' ' | '$' | '+' | '@' | '(' | ')' | ';' | '=' | '[' | ']'
            )
            || (c.is_alphabetic() && printable(c))
    });
    // Brackets are plain text in block style, which is the only one that is printed.
    let words_of_old = matches!(
        text.to_ascii_lowercase().as_str(),
        "yes" | "no" | "on" | "off" | "y" | "n"
    );
    if starts_well && goes_well && !text.ends_with(' ') && !words_of_old && plain_scalar_is_string(text) {
        return text.to_owned();
    }
    if text.contains(['\\', '"']) && text.chars().all(printable) {
        return format!("'{}'", text.replace('\'', "''"));
    }
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for c in text.chars() {
        match c {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            c if printable(c) => quoted.push(c),
            c if u32::from(c) <= 0xFFFF => {
                // Writing to a string cannot fail.
                write!(quoted, "\\u{:04x}", u32::from(c)).unwrap_or_default();
            }
            c => write!(quoted, "\\U{:08x}", u32::from(c)).unwrap_or_default(),
        }
    }
    quoted.push('"');
    quoted
}

/// Whether YAML takes a character as it is, and people see it.
fn printable(c: char) -> bool {
    !c.is_control()
        && !matches!(
            c,
            '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{ffff}'
        )
        && (u32::from(c) & 0xFFFE) != 0xFFFE
}

fn pad(indent: usize, out: &mut String) {
    out.extend(std::iter::repeat_n(' ', indent));
}

// ----- JSON -----------------------------------------------------------------------------------------------------

fn json(value: &Value, indent: usize, out: &mut String) {
    match value {
        Value::Word(word) => out.push_str(word),
        Value::Text(text) => out.push_str(&serde_json::Value::from(text.as_str()).to_string()),
        Value::List(items) if items.is_empty() => out.push_str("[]"),
        Value::Map(entries) if entries.is_empty() => out.push_str("{}"),
        Value::List(items) => {
            out.push('[');
            for (i, item) in items.iter().enumerate() {
                out.push_str(if i > 0 { ",\n" } else { "\n" });
                pad(indent + 2, out);
                json(item, indent + 2, out);
            }
            out.push('\n');
            pad(indent, out);
            out.push(']');
        }
        Value::Map(entries) => {
            out.push('{');
            for (i, (key, value)) in entries.iter().enumerate() {
                out.push_str(if i > 0 { ",\n" } else { "\n" });
                pad(indent + 2, out);
                out.push_str(&serde_json::Value::from(key.as_str()).to_string());
                out.push_str(": ");
                json(value, indent + 2, out);
            }
            out.push('\n');
            pad(indent, out);
            out.push('}');
        }
    }
}
