//! Escapes: characters by name and by number, classes by letter and by property.

use super::{PatternError, Translator, UNSUPPORTED, literal};
use crate::codes::Code;

const DIGIT: &str = "0-9";
const WORD: &str = "0-9A-Za-z_";
const SPACE: &str = r"\t\n\x0C\r ";

/// What an escape stands for.
pub(super) enum Escape {
    /// One character.
    Char(char),
    /// Members of a class, and whether it is all else that is meant.
    Class(&'static str, bool),
    /// `\p…`, in the engine's spelling.
    Property(String),
}

impl Translator<'_> {
    /// An escape outside classes.
    pub(super) fn escaped(&mut self) -> Result<(), PatternError> {
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
    pub(super) fn escape(&mut self) -> Result<Escape, PatternError> {
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
}
