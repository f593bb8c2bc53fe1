//! The formatter: one layout for every file, without losing a comment or changing a meaning.
//!
//! Keys stand in the order of the documentation, strings in double quotes (single ones around what double ones would have
//! to escape), levels are two spaces deep (lists under a key too), and lists and mappings in flow style (`[a]`, `{ a: b }`)
//! that go beyond column 120 become block style. Comments stay with what they stand at; runs of empty lines become one,
//! line ends become LF. How scalars without quotes are written, and the order of data of people's own, stay. JSON gets
//! the same order and two spaces a level; its tokens stay as they were written.
//!
//! `layout` lays documents out; `reindent` for YAML and `json` for JSON do so line by line and token by token where it cannot.
//!
//! The result is parsed again and compared with the original, policies and comments both. What fails that test, or holds
//! what this layout does not know (anchors, tags, explicit keys, comments inside flow style), is only re-indented line by
//! line; where that fails too, only blanks and line ends are normalised. Formatting twice gives what formatting once
//! gives; where it would not, the file is left alone with an error.

mod json;
mod layout;
mod reindent;

use crate::ast::Policy;
use crate::codes::Code;
use crate::diagnostic::Diagnostic;
use crate::document::{Format, ParseOutput, definitions, parse_source};
use crate::source::{FileId, SourceFile, SourceMap, Span};
use granit_parser::{Event, Parser};
use json::json;
use reindent::{Layout, reindent, trim};
use std::sync::Arc;

/// Formats a file.
///
/// # Errors
///
/// The diagnostics of the file if one of them is an error: what is not understood is not touched. A diagnostic of
/// code `B0001` if no layout passed the comparison with the original; the file must then stay as it is.
pub fn format_source(map: &SourceMap, file: FileId) -> Result<String, Vec<Diagnostic>> {
    let output = parse_source(map, file);
    if output.has_errors() {
        return Err(output.diagnostics);
    }
    let Some(source) = map.file(file) else {
        return Ok(String::new());
    };
    let name = source.name();
    let original = source.text().trim_start_matches('\u{feff}').replace("\r\n", "\n");
    let before = Meaning::of(map, file, &output);
    let mut text = once(&before, name, &original);
    // A layout that only the second look gives is still one layout in the end.
    for _ in 0..ROUNDS {
        let Some(now) = text else { break };
        let again = once(&before, name, &now);
        if again.as_deref() == Some(now.as_str()) {
            return Ok(now);
        }
        text = again;
    }
    Err(vec![
        Diagnostic::new(
            Code::Internal,
            Span::new(file, 0, 0),
            "this file cannot be formatted without changing its meaning",
        )
        .help("the file is left as it is; please report it"),
    ])
}

/// Times that a text may be formatted until it stays the same.
const ROUNDS: usize = 4;

/// What a file says, and the files that it needs for that.
struct Meaning {
    policies: Vec<Policy>,
    definitions: Vec<String>,
    imports: Vec<Arc<SourceFile>>,
}

impl Meaning {
    fn of(map: &SourceMap, file: FileId, output: &ParseOutput) -> Self {
        let imported = output
            .imports
            .iter()
            .filter_map(|name| map.shared(map.named(name)?));
        Self {
            policies: output.policies.iter().map(Policy::without_spans).collect(),
            definitions: definitions(map, file),
            imports: imported.cloned().collect(),
        }
    }
}

/// The first layout of a text that means the same and has the same comments.
fn once(before: &Meaning, name: &str, text: &str) -> Option<String> {
    let format = Format::of(&SourceFile::new(name, text));
    let candidates = match format {
        Format::Json => vec![layout::json(text), Some(json(text))],
        Format::Yaml | Format::Rego => {
            let lines = Layout::of(text);
            vec![
                layout::yaml(text),
                lines.as_ref().and_then(|lines| reindent(text, lines)),
                lines.as_ref().map(|lines| trim(text, lines)),
            ]
        }
    };
    let comments_before = comments(text, format);
    candidates.into_iter().flatten().find(|candidate| {
        let mut map = SourceMap::new();
        // The name decides on the format, so it stays.
        let file = map.add(SourceFile::new(name, candidate.as_str()));
        for imported in &before.imports {
            map.add(Arc::clone(imported));
        }
        let again = parse_source(&map, file);
        let after = Meaning::of(&map, file, &again);
        !again.has_errors()
            && before.policies == after.policies
            && before.definitions == after.definitions
            && comments(candidate, format) == comments_before
    })
}

fn events(text: &str) -> impl Iterator<Item = Option<(Event<'_>, std::ops::Range<usize>)>> {
    let options = granit_parser::options! { max_buffered_comment_events: usize::MAX };
    Parser::new_from_str_with_options(text, options).map(|event| {
        event
            .ok()
            .map(|(event, span)| (event, span.byte_range().unwrap_or(0..0)))
    })
}

/// All comments, sorted by their text: with keys they move.
fn comments(text: &str, format: Format) -> Option<Vec<String>> {
    if format == Format::Json {
        return Some(Vec::new());
    }
    let mut found = Vec::new();
    for event in events(text) {
        if let (Event::Comment(comment, _), at) = event? {
            found.push((at.start, comment.trim_end().to_owned()));
        }
    }
    // The parser may report one twice.
    found.sort();
    found.dedup();
    let mut texts: Vec<_> = found.into_iter().map(|(_, comment)| comment).collect();
    texts.sort();
    Some(texts)
}

// ----- JSON -----------------------------------------------------------------------------------------------------

#[cfg(test)]
mod tests;
