//! A place in a line, and the words that stand there.

use super::AsmError;
use std::str::FromStr;

/// A place in one line. Columns are counted only when an error is made.
#[derive(Clone)]
pub(super) struct Cursor<'a> {
    pub(super) line: usize,
    pub(super) text: &'a str,
    pub(super) at: usize,
}

impl<'a> Cursor<'a> {
    pub(super) fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or("")
    }

    pub(super) fn error(&self, message: &str) -> AsmError {
        self.error_at(self.at, message)
    }

    pub(super) fn error_at(&self, at: usize, message: &str) -> AsmError {
        AsmError {
            line: self.line,
            column: self.text.get(..at).unwrap_or(self.text).chars().count() + 1,
            message: message.to_owned(),
        }
    }

    pub(super) fn skip_space(&mut self) {
        let rest = self.rest();
        self.at += rest.len() - rest.trim_start().len();
    }

    /// Whether nothing but a comment is left.
    pub(super) fn at_end(&mut self) -> bool {
        self.skip_space();
        self.rest().is_empty() || self.rest().starts_with(';')
    }

    pub(super) fn end(&mut self) -> Result<(), AsmError> {
        if self.at_end() {
            Ok(())
        } else {
            Err(self.error("the end of the line is expected"))
        }
    }

    pub(super) fn eat(&mut self, token: &str) -> bool {
        self.skip_space();
        let found = self.rest().starts_with(token);
        if found {
            self.at += token.len();
        }
        found
    }

    pub(super) fn expect(&mut self, token: &str) -> Result<(), AsmError> {
        if self.eat(token) {
            Ok(())
        } else {
            Err(self.error(&format!("`{token}` is expected")))
        }
    }

    /// Letters, digits, `_` and `-`; empty when none stands here.
    pub(super) fn word(&mut self) -> &'a str {
        self.skip_space();
        self.while_matching(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-'))
    }

    pub(super) fn while_matching(&mut self, matching: impl Fn(char) -> bool) -> &'a str {
        let rest = self.rest();
        let length = rest.find(|c| !matching(c)).unwrap_or(rest.len());
        self.at += length;
        rest.get(..length).unwrap_or("")
    }

    pub(super) fn integer<T: FromStr>(&mut self) -> Result<T, AsmError> {
        self.skip_space();
        let start = self.at;
        self.while_matching(|c| c.is_ascii_digit())
            .parse()
            .map_err(|_| self.error_at(start, "a number in range is expected"))
    }

    /// An index with its prefix: `k3`.
    pub(super) fn index<T: FromStr>(&mut self, prefix: &str) -> Result<T, AsmError> {
        self.skip_space();
        let start = self.at;
        self.word()
            .strip_prefix(prefix)
            .filter(|digits| digits.bytes().all(|b| b.is_ascii_digit()))
            .and_then(|digits| digits.parse().ok())
            .ok_or_else(|| self.error_at(start, &format!("`{prefix}` and a number in range are expected")))
    }

    /// The start of a table entry, which has to be the next one.
    pub(super) fn entry(&mut self, prefix: &str, next: usize) -> Result<(), AsmError> {
        self.skip_space();
        let start = self.at;
        let index: usize = self.index(prefix)?;
        if index != next {
            return Err(self.error_at(start, &format!("{prefix}{next} is expected")));
        }
        self.expect(":")
    }

    pub(super) fn quoted(&mut self) -> Result<String, AsmError> {
        self.skip_space();
        let start = self.at;
        let bad = |cursor: &Self, what: &str| cursor.error_at(start, what);
        let mut chars = self.rest().char_indices();
        if chars.next().is_none_or(|(_, c)| c != '"') {
            return Err(bad(self, "a quoted text is expected"));
        }
        let mut out = String::new();
        while let Some((offset, c)) = chars.next() {
            match c {
                '"' => {
                    self.at += offset + 1;
                    return Ok(out);
                }
                '\\' => {
                    let escaped = match chars.next().map(|(_, c)| c) {
                        Some('n') => Some('\n'),
                        Some('r') => Some('\r'),
                        Some('t') => Some('\t'),
                        Some('0') => Some('\0'),
                        Some(c @ ('"' | '\'' | '\\')) => Some(c),
                        Some('u') => unicode_escape(chars.by_ref().map(|(_, c)| c)),
                        Some(_) | None => None,
                    };
                    out.push(escaped.ok_or_else(|| bad(self, "an escape in this text is not understood"))?);
                }
                plain => out.push(plain),
            }
        }
        Err(bad(self, "this text has no closing quote"))
    }

    pub(super) fn peek(&mut self) -> Option<char> {
        self.skip_space();
        self.rest().chars().next()
    }
}

/// The rest of `\u{…}`.
fn unicode_escape(mut chars: impl Iterator<Item = char>) -> Option<char> {
    if chars.next() != Some('{') {
        return None;
    }
    let mut code: u32 = 0;
    for _ in 0..7 {
        match chars.next()? {
            '}' => return char::from_u32(code),
            digit => code = code.checked_mul(16)?.checked_add(digit.to_digit(16)?)?,
        }
    }
    None
}
