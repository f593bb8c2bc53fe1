//! The dialect of `matches`: RE2's, and its translation to what the engine takes.
//!
//! The engine's own syntax (that of Rust's `regex`) is close to RE2's but not the same: `\d`, `\w`, `\s` and `\b` mean
//! Unicode there, classes have set operations, `\<` is a word boundary, `(?x)` changes how a pattern is read. What a
//! policy says must not depend on such things, least of all an allow list. So a pattern is read once, here, as RE2 reads
//! it, and written out again in a form that the engine cannot take for anything else. Everybody who runs or analyses a
//! pattern does so on [`translate`]d text; the text as written is for people.
//!
//! | as written | meaning |
//! |---|---|
//! | `\d \D` | `0` to `9`, and all else |
//! | `\w \W` | `0` to `9`, `A` to `Z`, `a` to `z`, `_`, and all else |
//! | `\s \S` | tab, line feed, form feed, carriage return, space, and all else |
//! | `\b \B` | where `\w` and `\W` meet, or the text starts or ends beside a `\w`; and where not |
//! | `\Q…\E` | the text between, as it is; without `\E`, to the end |
//! | `\141`, `\0` | a character by octal number; `\1` alone would be a back-reference, and is refused |
//! | `{` | itself, unless it starts `{2}`, `{2,}` or `{2,5}` |
//! | `[` in a class | itself, unless it starts `[:alpha:]` and the like |
//! | `&&`, `--`, `~~` in a class | themselves |
//! | `(?i) (?m) (?s) (?U)` | the only flags |
//!
//! Less than RE2 takes are single bytes (`\C`), halves of surrogate pairs, names of groups that occur twice or start with
//! a digit, and repetitions of `(?i)`; more, names of classes that RE2 does not know (`\p{Alphabetic}`, `\p{greek}`).
//! Tests hold this to RE2's own answers.
//!
//! This file reads the pattern as a whole; `class` reads classes in brackets, `escape` what a backslash begins.
//!
//! With `(?i)`, classes take in what folds alike, as in RE2: `(?i)\w` and `(?i)[a-z]` hold U+017F and U+212A.

mod class;
mod escape;

use crate::codes::Code;
use regex_syntax::hir::Hir;

/// What is wrong with a pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PatternError {
    /// Whether it is malformed, or well-formed and not possible here.
    pub code: Code,
    /// One sentence without a final stop.
    pub message: String,
    /// What to do instead.
    pub help: Option<String>,
    /// Where it starts: a byte of the pattern as written.
    pub start: usize,
    /// Where it ends.
    pub end: usize,
}

/// A pattern that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Translated {
    /// It in the engine's syntax.
    pub text: String,
    /// The syntax tree of that.
    pub tree: Hir,
}

/// The pattern in the engine's syntax.
///
/// # Errors
///
/// [`PatternError`] for what is no pattern of the dialect. What passes here fails in the engine at most for its size.
pub fn translate(pattern: &str) -> Result<String, PatternError> {
    read(pattern).map(|translated| translated.text)
}

/// As [`translate`], with the syntax tree, for whoever analyses the pattern.
///
/// # Errors
///
/// As [`translate`].
pub fn read(pattern: &str) -> Result<Translated, PatternError> {
    let mut translator = Translator {
        text: pattern,
        at: 0,
        out: String::with_capacity(pattern.len()),
        pieces: Vec::new(),
        no_posix: false,
    };
    translator.pattern()?;
    match regex_syntax::ParserBuilder::new().build().parse(&translator.out) {
        Ok(tree) => Ok(Translated {
            text: translator.out,
            tree,
        }),
        Err(error) => Err(translator.engine_error(&error)),
    }
}

/// A piece of the translation and where it comes from.
#[derive(Debug, Clone, Copy)]
struct Piece {
    /// In the translation.
    out: usize,
    /// In the pattern as written.
    start: usize,
    end: usize,
}

struct Translator<'p> {
    text: &'p str,
    /// How far it is read.
    at: usize,
    out: String,
    pieces: Vec<Piece>,
    /// No `:]` stands anywhere behind here.
    no_posix: bool,
}

impl Translator<'_> {
    fn rest(&self) -> &str {
        self.text.get(self.at..).unwrap_or("")
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn next(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.at += c.len_utf8();
        Some(c)
    }

    fn eat(&mut self, text: &str) -> bool {
        let found = self.rest().starts_with(text);
        if found {
            self.at += text.len();
        }
        found
    }

    /// Writes what stands for the pattern from `start` to here.
    fn emit(&mut self, start: usize, text: &str) {
        self.pieces.push(Piece {
            out: self.out.len(),
            start,
            end: self.at,
        });
        self.out.push_str(text);
    }

    /// Writes the pattern from `start` to here as it is.
    fn copy(&mut self, start: usize) {
        let text = self.text.get(start..self.at).unwrap_or("");
        self.emit(start, text);
    }

    fn error(&self, start: usize, message: impl Into<String>) -> PatternError {
        PatternError {
            code: Code::InvalidRegex,
            message: format!("invalid regular expression: {}", message.into()),
            help: None,
            start,
            end: self.at,
        }
    }

    fn pattern(&mut self) -> Result<(), PatternError> {
        // Where the repetition operator before this place starts, if one stands directly before it.
        let mut repeated: Option<usize> = None;
        while let Some(c) = self.peek() {
            let start = self.at;
            let before = repeated.take();
            match c {
                '\\' => self.escaped()?,
                '[' => self.class()?,
                '(' if self.rest().starts_with("(?") => self.group()?,
                '*' | '+' | '?' => {
                    self.at += 1;
                    self.repetition(start, before)?;
                    repeated = Some(start);
                }
                '{' => match repetition_length(self.rest()) {
                    Some(length) => {
                        self.at += length;
                        self.repetition(start, before)?;
                        repeated = Some(start);
                    }
                    None => {
                        self.at += 1;
                        self.emit(start, r"\{");
                    }
                },
                _ => {
                    self.next();
                    self.copy(start);
                }
            }
        }
        Ok(())
    }

    /// A repetition operator that is read but for the `?` behind it.
    fn repetition(&mut self, start: usize, before: Option<usize>) -> Result<(), PatternError> {
        self.eat("?");
        if let Some(before) = before {
            let mut error = self.error(before, "a repetition of a repetition");
            error.help = Some("put the first one into a group: `(?:a+)+`".to_owned());
            return Err(error);
        }
        self.copy(start);
        Ok(())
    }

    /// `(?…`: flags, a group without a number, a named one, or what the engine refuses.
    fn group(&mut self) -> Result<(), PatternError> {
        let start = self.at;
        // Look-around is reported by the engine; what is no group at all, too.
        let lookaround = ["(?=", "(?!", "(?<=", "(?<!"];
        if lookaround.iter().any(|open| self.rest().starts_with(open)) || self.rest() == "(?" {
            self.at = self.text.len();
            self.copy(start);
            return Ok(());
        }
        if self.eat("(?P<") || self.eat("(?<") {
            let length = self.rest().find('>').map_or(self.rest().len(), |at| at + 1);
            self.at += length;
            self.copy(start);
            return Ok(());
        }
        self.at += 2;
        let (mut on, mut off) = (String::new(), String::new());
        let mut negative = false;
        let mut lacking = false;
        loop {
            let flag = self.at;
            match self.next() {
                Some(c @ ('i' | 'm' | 's' | 'U')) => {
                    let (to, from) = if negative {
                        (&mut off, &mut on)
                    } else {
                        (&mut on, &mut off)
                    };
                    from.retain(|known| known != c);
                    if !to.contains(c) {
                        to.push(c);
                    }
                    lacking = false;
                }
                Some('-') if !negative => {
                    negative = true;
                    lacking = true;
                }
                Some(c @ (':' | ')')) if !lacking => {
                    let mut text = format!("(?{on}");
                    if !off.is_empty() {
                        text.push('-');
                        text.push_str(&off);
                    }
                    // `(?)` says nothing, and the engine does not take it.
                    text.push_str(if c == ')' && on.is_empty() && off.is_empty() {
                        ":)"
                    } else {
                        ""
                    });
                    if !text.ends_with(":)") {
                        text.push(c);
                    }
                    self.emit(start, &text);
                    return Ok(());
                }
                Some('x' | 'u' | 'R') => {
                    let mut error = self.error(flag, "this flag is no part of the dialect");
                    error.help = Some("flags are `i`, `m`, `s` and `U`".to_owned());
                    return Err(error);
                }
                Some(_) => return Err(self.error(flag, "unrecognized flag")),
                None => return Err(self.error(start, "unclosed group")),
            }
        }
    }

    /// An error of the engine, at its place in the pattern as written.
    fn engine_error(&self, error: &regex_syntax::Error) -> PatternError {
        let (text, start, end, lookaround) = match error {
            regex_syntax::Error::Parse(error) => (
                error.kind().to_string(),
                error.span().start.offset,
                error.span().end.offset,
                matches!(error.kind(), regex_syntax::ast::ErrorKind::UnsupportedLookAround),
            ),
            regex_syntax::Error::Translate(error) => (
                error.kind().to_string(),
                error.span().start.offset,
                error.span().end.offset,
                false,
            ),
            // A foreign enum that may grow.
            _ => (error.to_string(), 0, self.out.len(), false),
        };
        let start = self.place(start, false);
        let end = if end > start { self.place(end, true) } else { start };
        // Something is underlined even where the parser names a point.
        let rest = self.text.get(start..).unwrap_or("");
        let end = if end > start {
            end
        } else {
            start + rest.chars().next().map_or(0, char::len_utf8)
        };
        if lookaround {
            return PatternError {
                code: Code::UnsupportedRegex,
                message: UNSUPPORTED.replace("{}", "look-around"),
                help: Some(
                    "say it with conditions: `and` of two `matches`, or `not` around the part that must be absent"
                        .to_owned(),
                ),
                start,
                end,
            };
        }
        PatternError {
            code: Code::InvalidRegex,
            message: format!("invalid regular expression: {}", one_sentence(&text)),
            help: None,
            start,
            end,
        }
    }

    /// The place in the pattern of a place in the translation.
    fn place(&self, out: usize, end: bool) -> usize {
        let wanted = if end { out.saturating_sub(1) } else { out };
        let after = self.pieces.partition_point(|piece| piece.out <= wanted);
        let Some(piece) = after.checked_sub(1).and_then(|at| self.pieces.get(at)) else {
            return 0;
        };
        let length = self.pieces.get(after).map_or(self.out.len(), |next| next.out) - piece.out;
        if length == piece.end - piece.start {
            (piece.start + (out - piece.out)).min(piece.end)
        } else if end {
            piece.end
        } else {
            piece.start
        }
    }
}

const UNSUPPORTED: &str = "{} cannot be used: patterns run in linear time whatever the text, and {} cannot";

/// Bytes of `{2}`, `{2,}` or `{2,5}` at the start of a text, numbers without zeros in front. Looks no further than that.
fn repetition_length(text: &str) -> Option<usize> {
    let inside = text.strip_prefix('{')?;
    let rest = after_number(inside)?;
    let rest = match rest.strip_prefix(',') {
        Some(rest) if rest.starts_with('}') => rest,
        Some(rest) => after_number(rest)?,
        None => rest,
    };
    let end = rest.strip_prefix('}')?;
    Some(text.len() - end.len())
}

/// What stands behind a number without zeros in front.
fn after_number(text: &str) -> Option<&str> {
    let rest = text.trim_start_matches(|c: char| c.is_ascii_digit());
    let length = text.len() - rest.len();
    (length == 1 || length > 1 && !text.starts_with('0')).then_some(rest)
}

/// A character outside classes.
fn literal(c: char) -> String {
    match c {
        '\\' | '.' | '+' | '*' | '?' | '(' | ')' | '|' | '[' | ']' | '{' | '}' | '^' | '$' => {
            format!("\\{c}")
        }
        c => c.to_string(),
    }
}

/// Lower case at the start, one line, no full stop.
fn one_sentence(text: &str) -> String {
    let text = text.lines().next().unwrap_or("").trim_end_matches('.');
    let mut chars = text.chars();
    match chars.next() {
        Some(first) => first.to_lowercase().chain(chars).collect(),
        None => String::new(),
    }
}
