//! Texts to and from a server: paths and queries of URLs, versions, cells and tables.

use crate::output;
use anyhow::bail;
use owo_colors::OwoColorize as _;
use serde_json::Value;
use std::io::Write as _;

/// A text of a server, as [`output::shown`].
pub(crate) fn clean(text: &str) -> String {
    output::shown(text).into_owned()
}

/// A text as part of a URL's path or query.
pub(crate) fn encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

/// The path of a policy.
pub(crate) fn policy_path(id: &str, rest: &str) -> anyhow::Result<String> {
    // URLs with these segments mean another path, however they are spelled.
    if id.is_empty() || id == "." || id == ".." {
        bail!("`{id}` is not the id of a policy");
    }
    Ok(format!("/api/v1/policies/{}{rest}", encode(id)))
}

/// The path in one namespace, or in the one that the caller's identity makes clear.
pub(crate) fn in_namespace(path: &str, namespace: Option<&str>) -> String {
    match namespace {
        Some(namespace) => format!("{path}?namespace={}", encode(namespace)),
        None => path.to_owned(),
    }
}

/// The version of an `If-Match`.
pub(crate) fn version_tag(version: u64) -> String {
    format!("\"{version}\"")
}

/// A member of an object of the server as text: strings as they are, nothing for what is missing or null.
pub(crate) fn cell(object: &Value, key: &str) -> String {
    match object.get(key) {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => clean(text),
        Some(other) => clean(&other.to_string()),
    }
}

/// Prints a table for people: headings, then rows, columns as wide as they need.
pub(crate) fn table(headings: &[&str], rows: &[Vec<String>]) -> anyhow::Result<()> {
    let mut widths: Vec<usize> = headings.iter().map(|h| h.chars().count()).collect();
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let line = |cells: &[String]| {
        let mut text = String::new();
        for (cell, width) in cells.iter().zip(&widths) {
            text.push_str(&format!("{cell:<width$}  "));
        }
        text.trim_end().to_owned()
    };
    let mut out = output::stdout();
    let headings: Vec<String> = headings.iter().map(|h| (*h).to_owned()).collect();
    writeln!(out, "{}", line(&headings).bold())?;
    for row in rows {
        writeln!(out, "{}", line(row))?;
    }
    out.flush()?;
    Ok(())
}
