//! Diagnostics for people and machines. The diagnostics themselves are plain data of `policy-grammar`; everything that
//! depends on a renderer or a report format is here.

pub(crate) mod github;
pub(crate) mod json;
pub(crate) mod sarif;
mod snippet;

use policy_grammar::{Diagnostic, Severity, SourceMap, Span};

pub(crate) use snippet::text;

/// A span in lines and columns, 1-based, columns in characters; the end is exclusive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place<'m> {
    pub(crate) file: &'m str,
    pub(crate) line: u32,
    pub(crate) column: u32,
    pub(crate) end_line: u32,
    pub(crate) end_column: u32,
}

/// Where a span is.
pub(crate) fn place(map: &SourceMap, span: Span) -> Place<'_> {
    let Some(file) = map.file(span.file) else {
        return Place {
            file: "",
            line: 1,
            column: 1,
            end_line: 1,
            end_column: 1,
        };
    };
    let (line, column) = file.line_column(span.start);
    let (end_line, end_column) = file.line_column(span.end);
    Place {
        file: file.name(),
        line,
        column,
        end_line,
        end_column,
    }
}

/// How many errors and warnings.
pub(crate) fn totals(diagnostics: &[Diagnostic]) -> (usize, usize) {
    let errors = diagnostics.iter().filter(|d| d.is_error()).count();
    (errors, diagnostics.len() - errors)
}

/// `error`, `warning`, as reports spell it; a bug is an error to them.
pub(crate) fn level(severity: Severity) -> &'static str {
    match severity {
        Severity::Warning => "warning",
        Severity::Error | Severity::Bug => "error",
    }
}
