//! Writes objects as YAML, one way: what renders the manifests must not decide about their bytes.

use serde_json::Value;
use std::fmt::Write as _;

/// Words that are no text in some version of YAML.
const WORDS: &[&str] = &["y", "n", "yes", "no", "on", "off", "true", "false", "null"];

/// A document: a mapping at the outermost level, keys in their order, `apiVersion`, `kind`, `metadata` first.
pub(crate) fn document(value: &Value) -> String {
    let mut out = String::new();
    node(&mut out, value, 0);
    out
}

fn node(out: &mut String, value: &Value, indent: usize) {
    match value {
        Value::Object(map) if !map.is_empty() => {
            let mut keys: Vec<&String> = map.keys().collect();
            keys.sort_by_key(|key| (rank(key), key.as_str()));
            for (number, key) in keys.into_iter().enumerate() {
                if number > 0 {
                    pad(out, indent);
                }
                out.push_str(&scalar(key));
                out.push(':');
                below(out, &map[key], indent);
            }
        }
        Value::Array(items) if !items.is_empty() => {
            for (number, item) in items.iter().enumerate() {
                if number > 0 {
                    pad(out, indent);
                }
                out.push('-');
                match item {
                    Value::Object(map) if !map.is_empty() => {
                        out.push(' ');
                        node(out, item, indent + 2);
                    }
                    _ => below(out, item, indent),
                }
            }
        }
        value => {
            out.push_str(&plain(value));
            out.push('\n');
        }
    }
}

/// The value of a key or an element of a list.
fn below(out: &mut String, value: &Value, indent: usize) {
    match value {
        Value::Object(map) if !map.is_empty() => {
            out.push('\n');
            pad(out, indent + 2);
            node(out, value, indent + 2);
        }
        Value::Array(items) if !items.is_empty() => {
            out.push('\n');
            pad(out, indent + 2);
            node(out, value, indent + 2);
        }
        Value::String(text) if is_block(text) => {
            out.push_str(if text.ends_with('\n') { " |\n" } else { " |-\n" });
            for line in text.trim_end_matches('\n').split('\n') {
                if !line.is_empty() {
                    pad(out, indent + 2);
                    out.push_str(line);
                }
                out.push('\n');
            }
        }
        value => {
            out.push(' ');
            out.push_str(&plain(value));
            out.push('\n');
        }
    }
}

/// Names say what the rest is about.
fn rank(key: &str) -> usize {
    ["apiVersion", "kind", "metadata", "name"]
        .iter()
        .position(|first| *first == key)
        .unwrap_or(usize::MAX)
}

fn pad(out: &mut String, indent: usize) {
    let _infallible = write!(out, "{:indent$}", "");
}

/// Several lines that a block holds as they are.
fn is_block(text: &str) -> bool {
    let body = text.strip_suffix('\n').unwrap_or(text);
    body.contains('\n')
        && !body.ends_with('\n')
        && !body.starts_with([' ', '\n'])
        && body
            .split('\n')
            .all(|line| !line.ends_with(' ') && !line.contains(|c: char| c.is_control()))
}

fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => scalar(text),
        Value::Object(_) => "{}".to_owned(),
        Value::Array(_) => "[]".to_owned(),
        Value::Null | Value::Bool(_) | Value::Number(_) => value.to_string(),
    }
}

/// A text, in quotes unless every version of YAML takes it for a text without.
fn scalar(text: &str) -> String {
    let head = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '/');
    let body = text
        .chars()
        .all(|c| c.is_ascii_alphanumeric() || "-_./:".contains(c));
    let word = WORDS.iter().any(|word| text.eq_ignore_ascii_case(word));
    if head && body && !word && !text.ends_with(':') {
        return text.to_owned();
    }
    Value::String(text.to_owned()).to_string()
}

#[cfg(test)]
mod tests {
    use super::document;
    use serde_json::{Value, json};

    #[test]
    fn what_is_written_reads_back() {
        let value = json!({
            "metadata": {"name": "a", "labels": {"app.kubernetes.io/name": "x", "on": "off"}},
            "kind": "K",
            "spec": [
                {"a": [1, 2, [3]], "b": {}, "c": [], "d": null, "e": true},
                "0x1", "1e3", "yes", "~", "", "a: b", "a #b", "http://x:1", "x:", "-", "0.0.0.0", "${v}", "é",
                "two\nlines", "two\nlines\n", "two\n\nlines", " two\nlines", "two \nlines", "three\n\n", "tab\there",
            ],
        });
        let text = document(&value);
        assert!(text.starts_with("kind: K\nmetadata:\n  name: a\n"), "{text}");
        let back: Value = serde_yaml::from_str(&text).unwrap();
        assert_eq!(back, value, "{text}");
    }
}
