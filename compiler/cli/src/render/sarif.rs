//! Diagnostics as SARIF 2.1.0, for code-scanning services. The rules are the table of codes.

use super::{level, place};
use crate::inputs::{By, Review};
use policy_grammar::codes::Code;
use policy_grammar::{Diagnostic, SourceMap, Span};
use serde_json::{Value, json};

/// The log with its one run. What is silenced is in it as such.
pub(crate) fn log(map: &SourceMap, review: &Review) -> Value {
    let rules: Vec<Value> = Code::ALL
        .iter()
        .map(|code| {
            json!({
                "id": code.as_str(),
                "name": pascal_case(code.name()),
                "shortDescription": { "text": code.name() },
                "fullDescription": { "text": code.explanation() },
                "defaultConfiguration": { "level": level(code.severity()) },
            })
        })
        .collect();
    let silenced = review.silenced.iter().map(|silenced| {
        let mut value = result(map, &silenced.diagnostic);
        let (kind, why) = match &silenced.by {
            By::Comment(reason) => ("inSource", reason.as_str()),
            By::Project => ("external", "allowed by policyc.toml"),
        };
        if let Value::Object(members) = &mut value {
            let list = json!([{ "kind": kind, "status": "accepted", "justification": why }]);
            members.insert("suppressions".to_owned(), list);
        }
        value
    });
    let left = review.diagnostics.iter().map(|d| {
        let mut value = result(map, d);
        // A run that knows suppressions says of every result whether there are any.
        if let (false, Value::Object(members)) = (review.silenced.is_empty(), &mut value) {
            members.insert("suppressions".to_owned(), json!([]));
        }
        value
    });
    let results: Vec<Value> = left.chain(silenced).collect();
    json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": {
                "name": "policyc",
                "semanticVersion": env!("CARGO_PKG_VERSION"),
                "rules": rules,
            } },
            "columnKind": "unicodeCodePoints",
            "results": results,
        }],
    })
}

fn result(map: &SourceMap, d: &Diagnostic) -> Value {
    let mut text = d.message.clone();
    if !d.primary.message.is_empty() {
        text.push_str(&format!(" ({})", d.primary.message));
    }
    for help in &d.help {
        text.push_str(&format!("\nhelp: {help}"));
    }
    let mut result = json!({
        "ruleId": d.code.as_str(),
        "ruleIndex": Code::ALL.iter().position(|c| *c == d.code),
        "level": level(d.severity),
        "message": { "text": text },
        "locations": [location(map, d.primary.span)],
    });
    let Value::Object(members) = &mut result else {
        return result;
    };
    if !d.secondary.is_empty() {
        let related: Vec<Value> = d
            .secondary
            .iter()
            .enumerate()
            .map(|(i, label)| {
                let mut value = location(map, label.span);
                if let Value::Object(members) = &mut value {
                    members.insert("id".to_owned(), json!(i));
                    members.insert("message".to_owned(), json!({ "text": label.message }));
                }
                value
            })
            .collect();
        members.insert("relatedLocations".to_owned(), json!(related));
    }
    if let Some(fix) = &d.fix {
        let change = json!([{
            "description": { "text": format!("replace with `{}`", fix.replacement) },
            "artifactChanges": [{
                "artifactLocation": { "uri": uri(place(map, fix.span).file) },
                "replacements": [{
                    "deletedRegion": region(map, fix.span),
                    "insertedContent": { "text": fix.replacement },
                }],
            }],
        }]);
        members.insert("fixes".to_owned(), change);
    }
    result
}

fn location(map: &SourceMap, span: Span) -> Value {
    json!({ "physicalLocation": {
        "artifactLocation": { "uri": uri(place(map, span).file) },
        "region": region(map, span),
    } })
}

fn region(map: &SourceMap, span: Span) -> Value {
    let place = place(map, span);
    json!({
        "startLine": place.line,
        "startColumn": place.column,
        "endLine": place.end_line,
        "endColumn": place.end_column,
    })
}

/// A path as a URI reference: separators are slashes, everything that is not allowed is percent-encoded.
fn uri(path: &str) -> String {
    let mut out = String::new();
    if path.starts_with('/') {
        out.push_str("file://");
    }
    for byte in path.bytes() {
        match byte {
            b'\\' => out.push('/'),
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'-' | b'.' | b'_' | b'~' => {
                out.push(char::from(byte));
            }
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

fn pascal_case(name: &str) -> String {
    name.split('-')
        .map(|word| {
            let mut chars = word.chars();
            chars
                .next()
                .map_or_else(String::new, |c| c.to_uppercase().chain(chars).collect())
        })
        .collect()
}
