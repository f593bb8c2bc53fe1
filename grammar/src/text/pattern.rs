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
//! With `(?i)`, classes take in what folds alike, as in RE2: `(?i)\w` and `(?i)[a-z]` hold U+017F and U+212A.

use crate::codes::Code;

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

/// The pattern in the engine's syntax.
///
/// # Errors
///
/// [`PatternError`] for what is no pattern of the dialect. What passes here fails in the engine at most for its size.
pub fn translate(pattern: &str) -> Result<String, PatternError> {
    let mut translator = Translator {
        text: pattern,
        at: 0,
        out: String::with_capacity(pattern.len()),
        pieces: Vec::new(),
        no_posix: false,
    };
    translator.pattern()?;
    match regex_syntax::ParserBuilder::new().build().parse(&translator.out) {
        Ok(_) => Ok(translator.out),
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

const DIGIT: &str = "0-9";
const WORD: &str = "0-9A-Za-z_";
const SPACE: &str = r"\t\n\x0C\r ";

/// Classes of `[:name:]`.
const POSIX: [&str; 14] = [
    "alnum", "alpha", "ascii", "blank", "cntrl", "digit", "graph", "lower", "print", "punct", "space",
    "upper", "word", "xdigit",
];

/// What an escape stands for.
enum Escape {
    /// One character.
    Char(char),
    /// Members of a class, and whether it is all else that is meant.
    Class(&'static str, bool),
    /// `\p…`, in the engine's spelling.
    Property(String),
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

    /// An escape outside classes.
    fn escaped(&mut self) -> Result<(), PatternError> {
        let start = self.at;
        for (escape, meaning) in [
            (r"\b", r"(?-u:\b)"),
            (r"\B", r"(?-u:\B)"),
            (r"\A", r"\A"),
            (r"\z", r"\z"),
        ] {
            if self.eat(escape) {
                self.emit(start, meaning);
                return Ok(());
            }
        }
        if self.eat(r"\Q") {
            while !self.rest().is_empty() && !self.eat(r"\E") {
                let start = self.at;
                if let Some(c) = self.next() {
                    self.emit(start, &literal(c));
                }
            }
            return Ok(());
        }
        let text = match self.escape()? {
            Escape::Char(c) => literal(c),
            Escape::Class(members, false) => format!("[{members}]"),
            Escape::Class(members, true) => format!("[^{members}]"),
            Escape::Property(text) => text,
        };
        self.emit(start, &text);
        Ok(())
    }

    /// An escape that can stand in a class as well.
    fn escape(&mut self) -> Result<Escape, PatternError> {
        let start = self.at;
        self.at += 1;
        let Some(c) = self.next() else {
            return Err(self.error(start, "a backslash at the end"));
        };
        Ok(match c {
            'd' => Escape::Class(DIGIT, false),
            'D' => Escape::Class(DIGIT, true),
            'w' => Escape::Class(WORD, false),
            'W' => Escape::Class(WORD, true),
            's' => Escape::Class(SPACE, false),
            'S' => Escape::Class(SPACE, true),
            'p' | 'P' => self.property(c == 'P')?,
            'a' => Escape::Char('\x07'),
            'f' => Escape::Char('\x0C'),
            't' => Escape::Char('\t'),
            'n' => Escape::Char('\n'),
            'r' => Escape::Char('\r'),
            'v' => Escape::Char('\x0B'),
            'x' => Escape::Char(self.hexadecimal(start)?),
            '0'..='7' if c == '0' || self.peek().is_some_and(|next| next.is_digit(8)) => {
                let mut number = c.to_digit(8).unwrap_or(0);
                for _ in 0..2 {
                    let Some(digit) = self.peek().and_then(|c| c.to_digit(8)) else {
                        break;
                    };
                    self.at += 1;
                    number = number * 8 + digit;
                }
                // At most 0o777.
                Escape::Char(char::from_u32(number).unwrap_or('\0'))
            }
            '1'..='9' | 'k' | 'g' => {
                return Err(PatternError {
                    code: Code::UnsupportedRegex,
                    message: UNSUPPORTED.replace("{}", "back-references"),
                    help: Some(
                        "write the alternatives out, or compare two fields with `valueFrom`".to_owned(),
                    ),
                    start,
                    end: self.at,
                });
            }
            c if c.is_ascii() && !c.is_ascii_alphanumeric() => Escape::Char(c),
            _ => return Err(self.error(start, "unrecognized escape sequence")),
        })
    }

    /// The digits behind `\x`.
    fn hexadecimal(&mut self, start: usize) -> Result<char, PatternError> {
        let braces = self.eat("{");
        let most = if braces { usize::MAX } else { 2 };
        let rest = self.rest();
        let digits: usize = rest.bytes().take_while(u8::is_ascii_hexdigit).count().min(most);
        // Longer ones are zeros in front, or too large.
        let value = rest.get(..digits).unwrap_or("").trim_start_matches('0');
        let value = match value {
            "" => Some(0),
            value => u32::from_str_radix(value, 16).ok(),
        };
        self.at += digits;
        let complete = if braces {
            digits > 0 && self.eat("}")
        } else {
            digits == 2
        };
        if !complete {
            return Err(self.error(start, "`\\x` takes two hexadecimal digits, or some in braces"));
        }
        value
            .and_then(char::from_u32)
            .ok_or_else(|| self.error(start, "there is no such character"))
    }

    /// What stands behind `\p` or `\P`.
    fn property(&mut self, negated: bool) -> Result<Escape, PatternError> {
        let start = self.at - 2;
        let Some(c) = self.next() else {
            return Err(self.error(start, "`\\p` lacks the name of a class"));
        };
        if c != '{' {
            let letter = if negated { 'P' } else { 'p' };
            return Ok(Escape::Property(format!("\\{letter}{c}")));
        }
        let Some(length) = self.rest().find('}') else {
            self.at = self.text.len();
            return Err(self.error(start, "`\\p{` has no closing brace"));
        };
        let name = self.rest().get(..length).unwrap_or("").to_owned();
        self.at += length + 1;
        let (name, caret) = match name.strip_prefix('^') {
            Some(name) => (name.to_owned(), true),
            None => (name, false),
        };
        let letter = if negated == caret { 'p' } else { 'P' };
        Ok(Escape::Property(format!("\\{letter}{{{name}}}")))
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

    fn class(&mut self) -> Result<(), PatternError> {
        let start = self.at;
        self.at += 1;
        let open = if self.eat("^") { "[^" } else { "[" };
        self.emit(start, open);
        let mut first = true;
        loop {
            let from = self.at;
            match self.peek() {
                None => {
                    self.at = start + 1;
                    return Err(self.error(start, "unclosed character class"));
                }
                Some(']') if !first => {
                    self.at += 1;
                    self.copy(from);
                    return Ok(());
                }
                Some('[') if self.posix()? => {}
                Some(_) => self.class_item()?,
            }
            first = false;
        }
    }

    /// `[:alpha:]`; whether there was one.
    fn posix(&mut self) -> Result<bool, PatternError> {
        let start = self.at;
        if self.no_posix {
            return Ok(false);
        }
        let Some(rest) = self.rest().strip_prefix("[:") else {
            return Ok(false);
        };
        let Some(length) = rest.find(":]") else {
            self.no_posix = true;
            return Ok(false);
        };
        let name = rest.get(..length).unwrap_or("");
        let known = POSIX.contains(&name.strip_prefix('^').unwrap_or(name));
        self.at += length + 4;
        if !known {
            return Err(self.error(start, "there is no class of this name"));
        }
        self.copy(start);
        Ok(true)
    }

    /// A character, a range, or an escape that stands for several characters.
    fn class_item(&mut self) -> Result<(), PatternError> {
        let start = self.at;
        let low = match self.class_char()? {
            Escape::Char(c) => c,
            Escape::Class(members, false) => {
                self.emit(start, members);
                return Ok(());
            }
            Escape::Class(members, true) => {
                self.emit(start, &format!("[^{members}]"));
                return Ok(());
            }
            Escape::Property(text) => {
                self.emit(start, &text);
                return Ok(());
            }
        };
        let mut after = self.rest().chars();
        if (after.next(), after.next().is_some_and(|c| c != ']')) != (Some('-'), true) {
            self.emit(start, &member(low));
            return Ok(());
        }
        self.at += 1;
        let Escape::Char(high) = self.class_char()? else {
            return Err(self.error(start, "a range ends with one character"));
        };
        if low > high {
            return Err(self.error(start, "the range ends before it starts"));
        }
        self.emit(start, &format!("{}-{}", member(low), member(high)));
        Ok(())
    }

    fn class_char(&mut self) -> Result<Escape, PatternError> {
        if self.peek() == Some('\\') {
            return self.escape();
        }
        let start = self.at;
        let c = self.next();
        c.map(Escape::Char)
            .ok_or_else(|| self.error(start, "unclosed character class"))
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

/// A character of a class.
fn member(c: char) -> String {
    match c {
        '\\' | '[' | ']' | '^' | '-' | '&' | '~' => format!("\\{c}"),
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
