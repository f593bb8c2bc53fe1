//! The formatter: one layout for every file, without losing a comment or changing a meaning.
//!
//! Keys stand in the order of the documentation, strings in double quotes (single ones around what double ones would have
//! to escape), levels are two spaces deep (lists under a key too), and lists and mappings in flow style (`[a]`, `{ a: b }`)
//! that go beyond column 120 become block style. Comments stay with what they stand at; runs of empty lines become one,
//! line ends become LF. How scalars without quotes are written, and the order of data of people's own, stay. JSON gets
//! the same order and two spaces a level; its tokens stay as they were written.
//!
//! The result is parsed again and compared with the original, policies and comments both. What fails that test, or holds
//! what this layout does not know (anchors, tags, explicit keys, comments inside flow style), is only re-indented line by
//! line; where that fails too, only blanks and line ends are normalised. Formatting twice gives what formatting once
//! gives; where it would not, the file is left alone with an error.

mod layout;

use crate::ast::Policy;
use crate::codes::Code;
use crate::diagnostic::Diagnostic;
use crate::document::{Format, ParseOutput, definitions, parse_source};
use crate::source::{FileId, SourceFile, SourceMap, Span};
use granit_parser::{Event, Parser, ScalarStyle, StructureStyle};
use std::collections::HashSet;
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

// ----- YAML -----------------------------------------------------------------------------------------------------

/// What the events say about the lines of a text.
struct Layout {
    /// Byte offset of each line.
    starts: Vec<usize>,
    /// For lines inside a scalar or flow collection that began on an earlier line: that line.
    inside_of: Vec<Option<usize>>,
    /// Offsets of the keys of block mappings.
    keys: HashSet<usize>,
}

impl Layout {
    /// `None` for constructs that are left alone: directives and keys that are not scalars.
    fn of(text: &str) -> Option<Self> {
        let mut starts = vec![0];
        starts.extend(text.match_indices('\n').map(|(i, _)| i + 1));
        let line_of = |offset: usize| starts.partition_point(|s| *s <= offset).saturating_sub(1);
        let mut inside_of = vec![None; starts.len()];
        let mut keys = HashSet::new();
        // Open collections: whether a mapping in block style, whether its next node is a key, and where it began.
        struct Open {
            mapping: bool,
            flow: bool,
            key_next: bool,
            start: usize,
        }
        let mut open: Vec<Open> = Vec::new();
        let mut cover = |first: usize, last: usize| {
            for line in inside_of.iter_mut().take(last + 1).skip(first + 1) {
                *line = Some(first);
            }
        };
        let mut previous_end = 0;
        for event in events(text) {
            let (event, at) = event?;
            let is_key = match &event {
                Event::Scalar(..) | Event::Alias(_) | Event::SequenceStart(..) | Event::MappingStart(..) => {
                    match open.last_mut() {
                        Some(parent) if parent.mapping => {
                            let is_key = parent.key_next;
                            parent.key_next = !is_key;
                            is_key && !parent.flow
                        }
                        Some(_) | None => false,
                    }
                }
                _ => false,
            };
            match event {
                Event::Scalar(_, style, ..) => {
                    if is_key {
                        keys.insert(at.start);
                    }
                    let written = text.get(at.clone()).unwrap_or("");
                    match style {
                        ScalarStyle::Literal | ScalarStyle::Folded => {
                            let between = text.get(previous_end..at.start).unwrap_or("");
                            let header = previous_end + between.find(['|', '>'])?;
                            let keep = text
                                .get(header..at.start)
                                .and_then(|h| h.lines().next())
                                .is_some_and(|h| h.contains('+'));
                            let last = if keep {
                                at.end.max(1) - 1
                            } else {
                                at.start + written.trim_end().len()
                            };
                            cover(line_of(header), line_of(last));
                        }
                        ScalarStyle::Plain | ScalarStyle::SingleQuoted | ScalarStyle::DoubleQuoted => {
                            cover(line_of(at.start), line_of(at.start + written.trim_end().len()));
                        }
                    }
                }
                Event::Alias(_) if is_key => {
                    keys.insert(at.start);
                }
                Event::SequenceStart(style, ..) | Event::MappingStart(style, ..) => {
                    if is_key {
                        return None;
                    }
                    open.push(Open {
                        mapping: matches!(event, Event::MappingStart(..)),
                        flow: style == StructureStyle::Flow,
                        key_next: true,
                        start: at.start,
                    });
                }
                Event::SequenceEnd | Event::MappingEnd => {
                    if let Some(closed) = open.pop()
                        && closed.flow
                        && !open.iter().any(|o| o.flow)
                    {
                        cover(line_of(closed.start), line_of(at.end.max(1) - 1));
                    }
                }
                Event::DocumentStart(_, Some(_)) => return None,
                _ => {}
            }
            previous_end = previous_end.max(at.end);
        }
        Some(Self {
            starts,
            inside_of,
            keys,
        })
    }
}

/// Trailing blanks, runs of empty lines and the end of the file.
fn trim(text: &str, layout: &Layout) -> String {
    let mut out = Out::default();
    for (line, content) in text.split('\n').enumerate() {
        match layout.inside_of.get(line).copied().flatten() {
            Some(_) => out.verbatim(content),
            None => out.line(0, content.trim_end()),
        }
    }
    out.finish()
}

/// Lines of the result.
#[derive(Default)]
struct Out {
    text: String,
    blank: bool,
}

impl Out {
    /// A line of content, or an empty one: runs of these become one.
    fn line(&mut self, indent: usize, content: &str) {
        if content.is_empty() {
            self.blank = !self.text.is_empty();
            return;
        }
        if std::mem::take(&mut self.blank) {
            self.text.push('\n');
        }
        self.text.extend(std::iter::repeat_n(' ', indent));
        self.text.push_str(content);
        self.text.push('\n');
    }

    /// A line of a scalar.
    fn verbatim(&mut self, content: &str) {
        if std::mem::take(&mut self.blank) {
            self.text.push('\n');
        }
        self.text.push_str(content);
        self.text.push('\n');
    }

    fn finish(self) -> String {
        self.text
    }
}

/// An open block collection.
#[derive(Clone, Copy)]
struct Level {
    old: usize,
    new: usize,
    list: bool,
}

/// The new column of a collection whose items stand at column `old`.
fn column(levels: &mut Vec<Level>, old: usize, list: bool, forced: Option<usize>) -> usize {
    while let Some(top) = levels.last() {
        if top.old > old || (top.old == old && top.list && !list) {
            levels.pop();
        } else if top.old == old && top.list == list {
            return top.new;
        } else {
            // Deeper than the innermost one, or a list that is not indented under its key.
            break;
        }
    }
    let new = forced.unwrap_or_else(|| levels.last().map_or(0, |top| top.new + 2));
    levels.push(Level { old, new, list });
    new
}

/// Lines that wait for the next content line, which decides on their column.
enum Waiting<'t> {
    Comment(usize, &'t str),
    Empty,
}

fn flush(waiting: &mut Vec<Waiting<'_>>, levels: &[Level], next: Option<(usize, usize)>, out: &mut Out) {
    for line in waiting.drain(..) {
        match line {
            Waiting::Empty => out.line(0, ""),
            Waiting::Comment(old, text) => {
                let of_level = levels.iter().rev().find(|l| l.old == old).map(|l| l.new);
                let indent = match next {
                    Some((next_old, next_new)) if next_old == old => next_new,
                    Some((_, next_new)) => of_level.unwrap_or(next_new),
                    // At the end, a list that is not indented under its key stands where the key does.
                    None => levels
                        .iter()
                        .find(|l| l.old == old)
                        .map(|l| l.new)
                        .or_else(|| levels.iter().rev().find(|l| l.old <= old).map(|l| l.new))
                        .unwrap_or(0),
                };
                out.line(indent, text);
            }
        }
    }
}

/// The whole text with two spaces a level; `None` where that is not safe.
fn reindent(text: &str, layout: &Layout) -> Option<String> {
    let mut out = Out::default();
    let mut levels: Vec<Level> = Vec::new();
    let mut waiting = Vec::new();
    // How far each line moved, for the lines inside of what it began.
    let mut shifts = vec![0isize; layout.starts.len()];
    for (line, content) in text.split('\n').enumerate() {
        let start = layout.starts.get(line).copied()?;
        if let Some(owner) = layout.inside_of.get(line).copied().flatten() {
            out.verbatim(&shifted(content, shifts.get(owner).copied().unwrap_or(0)));
            continue;
        }
        let content = content.trim_end();
        let body = content.trim_start_matches(' ');
        let old = content.len() - body.len();
        if body.is_empty() {
            waiting.push(Waiting::Empty);
            continue;
        }
        if body.starts_with('#') {
            waiting.push(Waiting::Comment(old, body));
            continue;
        }
        if old == 0
            && (body.starts_with("---") || body.starts_with("..."))
            && body.get(3..4).is_none_or(|c| c == " ")
        {
            flush(&mut waiting, &levels, None, &mut out);
            levels.clear();
            out.line(0, body);
            continue;
        }
        if body.starts_with(['%', '?', '\t']) || body.starts_with(": ") {
            return None;
        }
        let before = levels.clone();
        let mut at = old;
        let mut forced = None;
        let mut first = None;
        let mut rebuilt = String::new();
        let shift;
        loop {
            let rest = content.get(at..)?;
            let dash = rest.starts_with('-') && matches!(rest.get(1..2), None | Some(" "));
            if dash {
                let new = column(&mut levels, at, true, forced);
                first.get_or_insert(new);
                rebuilt.push('-');
                let behind = rest.get(1..)?.trim_start_matches(' ');
                if behind.is_empty() {
                    shift = signed(new)? - signed(at)?;
                    break;
                }
                rebuilt.push(' ');
                at = content.len() - behind.len();
                forced = Some(new + 2);
                continue;
            }
            let new = if layout.keys.contains(&(start + at)) {
                column(&mut levels, at, false, forced)
            } else {
                forced.unwrap_or_else(|| levels.last().map_or(0, |top| top.new + 2))
            };
            first.get_or_insert(new);
            rebuilt.push_str(rest);
            shift = signed(new)? - signed(at)?;
            break;
        }
        let indent = first.unwrap_or(0);
        flush(&mut waiting, &before, Some((old, indent)), &mut out);
        out.line(indent, &rebuilt);
        *shifts.get_mut(line)? = shift;
    }
    flush(&mut waiting, &levels, None, &mut out);
    Some(out.finish())
}

fn signed(column: usize) -> Option<isize> {
    isize::try_from(column).ok()
}

/// A line moved to the right, or to the left as far as its blanks allow.
fn shifted(line: &str, shift: isize) -> String {
    if line.trim().is_empty() && shift > 0 {
        return line.to_owned();
    }
    if shift >= 0 {
        return " ".repeat(shift.unsigned_abs()) + line;
    }
    let blanks = line.len() - line.trim_start_matches(' ').len();
    line.get(blanks.min(shift.unsigned_abs())..)
        .unwrap_or(line)
        .to_owned()
}

// ----- JSON -----------------------------------------------------------------------------------------------------

/// Valid JSON with two spaces a level; tokens as written.
fn json(text: &str) -> String {
    let mut out = String::with_capacity(text.len() * 2);
    let mut depth = 0usize;
    let mut chars = text.char_indices().peekable();
    let break_line = |out: &mut String, depth: usize| {
        out.push('\n');
        out.extend(std::iter::repeat_n("  ", depth));
    };
    while let Some((start, c)) = chars.next() {
        match c {
            ' ' | '\t' | '\r' | '\n' => {}
            '"' => {
                let mut end = start + 1;
                let mut escaped = false;
                for (i, c) in chars.by_ref() {
                    end = i + c.len_utf8();
                    if escaped {
                        escaped = false;
                    } else if c == '\\' {
                        escaped = true;
                    } else if c == '"' {
                        break;
                    }
                }
                out.push_str(text.get(start..end).unwrap_or(""));
            }
            '{' | '[' => {
                out.push(c);
                while chars.next_if(|(_, c)| c.is_ascii_whitespace()).is_some() {}
                if let Some((_, close)) = chars.next_if(|(_, c)| matches!(c, '}' | ']')) {
                    out.push(close);
                } else {
                    depth += 1;
                    break_line(&mut out, depth);
                }
            }
            '}' | ']' => {
                depth = depth.saturating_sub(1);
                break_line(&mut out, depth);
                out.push(c);
            }
            ',' => {
                out.push(c);
                break_line(&mut out, depth);
            }
            ':' => out.push_str(": "),
            _ => out.push(c),
        }
    }
    out.push('\n');
    out
}

#[cfg(test)]
mod tests;
