//! Diagnostics as a JSON array: one object each, keys always present.

use super::place;
use crate::fix;
use crate::inputs::{By, Review};
use policy_grammar::{Diagnostic, SourceMap, Span};
use serde_json::{Value, json};

/// The array: what is left, then what is silenced.
pub(crate) fn review(map: &SourceMap, review: &Review) -> Value {
    let left = review.diagnostics.iter().map(|d| diagnostic(map, d));
    let silenced = review.silenced.iter().map(|silenced| {
        let mut value = diagnostic(map, &silenced.diagnostic);
        let by = match &silenced.by {
            By::Comment(reason) => json!({ "by": "comment", "reason": reason }),
            By::Project => json!({ "by": "project", "reason": null }),
        };
        set(&mut value, "suppressed", by);
        value
    });
    left.chain(silenced).collect()
}

/// The array of diagnostics of which none is silenced.
pub(crate) fn diagnostics(map: &SourceMap, diagnostics: &[Diagnostic]) -> Value {
    diagnostics.iter().map(|d| diagnostic(map, d)).collect()
}

fn diagnostic(map: &SourceMap, d: &Diagnostic) -> Value {
    let mut value = at(map, d.primary.span);
    let related: Vec<Value> = d
        .secondary
        .iter()
        .map(|label| {
            let mut value = at(map, label.span);
            set(&mut value, "message", json!(label.message));
            value
        })
        .collect();
    let fix = d.fix.as_ref().map(|found| {
        let mut value = at(map, found.span);
        set(&mut value, "replacement", json!(found.replacement));
        set(&mut value, "automatic", json!(fix::is_automatic(d)));
        value
    });
    set(&mut value, "code", json!(d.code.as_str()));
    set(&mut value, "name", json!(d.code.name()));
    set(&mut value, "severity", json!(d.severity.as_str()));
    set(&mut value, "message", json!(d.message));
    set(&mut value, "label", json!(d.primary.message));
    set(&mut value, "help", json!(d.help));
    set(&mut value, "fix", json!(fix));
    set(&mut value, "related", json!(related));
    set(&mut value, "suppressed", Value::Null);
    value
}

fn at(map: &SourceMap, span: Span) -> Value {
    let place = place(map, span);
    json!({
        "file": place.file,
        "line": place.line,
        "column": place.column,
        "endLine": place.end_line,
        "endColumn": place.end_column,
    })
}

fn set(value: &mut Value, key: &str, member: Value) {
    if let Value::Object(map) = value {
        map.insert(key.to_owned(), member);
    }
}
