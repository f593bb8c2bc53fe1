//! Classes in brackets: ranges, escapes and the classes of POSIX.

use super::escape::Escape;
use super::{PatternError, Translator};

/// Classes of `[:name:]`.
const POSIX: [&str; 14] = [
    "alnum", "alpha", "ascii", "blank", "cntrl", "digit", "graph", "lower", "print", "punct", "space",
    "upper", "word", "xdigit",
];

impl Translator<'_> {
    pub(super) fn class(&mut self) -> Result<(), PatternError> {
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
}

/// A character of a class.
fn member(c: char) -> String {
    match c {
        '\\' | '[' | ']' | '^' | '-' | '&' | '~' => format!("\\{c}"),
        c => c.to_string(),
    }
}
