//! What a server says of a document that was sent, shown at the place in the file that it came from.

use super::documents::Document;
use super::validate;
use crate::args::Format;
use crate::exit::Exit;
use crate::remote::{Problem, Reported, Server};
use crate::{output, remote, render};
use anyhow::Context as _;
use policy_grammar::codes::Code;
use policy_grammar::{Diagnostic, Severity, SourceFile, SourceMap, Span, names};
use serde_json::{Value, json};

/// Diagnostics that a server's answer holds.
pub(super) fn reported(answer: &Value, key: &str) -> anyhow::Result<Vec<Reported>> {
    match answer.get(key) {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(list) => serde_json::from_value(list.clone())
            .with_context(|| format!("`{key}` in the server's answer is not what policyd answers")),
    }
}

/// Asks what the server's compiler says of all policies, and shows it. How to end, where it says anything: nothing was changed.
pub(super) fn warned(
    server: &Server,
    map: &SourceMap,
    documents: &[Document],
    format: Format,
) -> anyhow::Result<Option<Exit>> {
    let mut exit = None;
    let mut report = Vec::new();
    for document in documents {
        let said = reported(&validate(server, document)?, "diagnostics")?;
        show_diagnostics(map, document, &said);
        let own = match said.iter().any(|one| one.severity != "warning") {
            _ if said.is_empty() => None,
            true => Some(Exit::Usage),
            false => Some(Exit::No),
        };
        exit = exit.max(own);
        report.push(json!({
            "id": document.id,
            "namespace": document.namespace,
            "result": if own.is_some() { "refused" } else { "unsent" },
            "diagnostics": said,
        }));
    }
    if exit.is_some() {
        output::error("nothing was sent, because the compiler says something (--strict)");
        if format == Format::Json {
            output::json(&report)?;
        }
    }
    Ok(exit)
}

/// Shows why a policy was refused.
pub(super) fn show(map: &SourceMap, document: &Document, problem: &Problem) {
    show_diagnostics(map, document, &problem.diagnostics);
    output::error(&format!("{}: {}", document.name(), problem.headline()));
    problem.show_rest();
}

/// Shows diagnostics of a server as `policyc check` shows them, where their places are known.
pub(super) fn show_diagnostics(map: &SourceMap, document: &Document, diagnostics: &[Reported]) {
    let name = map.file(document.file).map_or("", SourceFile::name);
    let mut shown = Vec::new();
    for reported in diagnostics {
        match diagnostic(map, document, reported) {
            Some(diagnostic) => shown.push(diagnostic),
            None if reported.is_ours() => output::note(&reported.line_of(name)),
            None => output::note(&reported.line_of(&reported.file)),
        }
    }
    if !shown.is_empty() {
        output::stderr(&render::text(map, &shown));
    }
}

/// A server's diagnostic with its place in the file, when we know its code too.
fn diagnostic(map: &SourceMap, document: &Document, reported: &Reported) -> Option<Diagnostic> {
    let own_name = names::stored(&document.namespace, &document.id, document.format);
    if !reported.is_ours() && reported.file != own_name {
        return None;
    }
    let code = Code::ALL.iter().find(|c| c.as_str() == reported.code)?;
    let file = map.file(document.file)?;
    let line = reported.line.checked_add(document.lines_before?)?;
    let start = offset(file.text(), line, reported.column)?;
    let rest = file.text().get(start..)?;
    let word = rest
        .find(|c: char| c.is_whitespace() || ",:{}[]".contains(c))
        .unwrap_or(rest.len());
    let end = start + word.max(rest.chars().next().map_or(0, char::len_utf8));
    let span = Span::new(
        document.file,
        u32::try_from(start).ok()?,
        u32::try_from(end).ok()?,
    );
    let mut diagnostic = Diagnostic::new(*code, span, remote::clean(&reported.message));
    diagnostic.severity = match reported.severity.as_str() {
        "error" => Severity::Error,
        "bug" => Severity::Bug,
        _ => Severity::Warning,
    };
    diagnostic.help = reported.help.iter().map(|h| remote::clean(h)).collect();
    Some(diagnostic)
}

/// Byte offset of a line and a column in characters, both from 1.
pub(super) fn offset(text: &str, line: u32, column: u32) -> Option<usize> {
    let before: usize = text
        .split_inclusive('\n')
        .take(line.checked_sub(1)? as usize)
        .map(str::len)
        .sum();
    let rest = text.get(before..)?;
    let skipped: usize = rest
        .chars()
        .take(column.checked_sub(1)? as usize)
        .map(char::len_utf8)
        .sum();
    Some(before + skipped)
}
