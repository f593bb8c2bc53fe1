//! Scans: predicates on one field that are answered together by one pass over its text.
//!
//! The compiler proves of each pattern that every match holds at least one of a few literals, and of each `contains`
//! that its constant is one. The VM looks for all literals at once, in the folded text ([`crate::fold`]). A predicate
//! none of whose literals occurs is false; what a literal that does occur says is its [`OnHit`].
//!
//! That a pattern needs its literals is the compiler's promise, as the code of a rule is: it cannot be checked here.

use crate::casefold::has_case;
use crate::fold::{fold, is_shared};
use crate::ids::{FieldIdx, PredIdx};
use serde::{Deserialize, Serialize};

/// Predicates on one field that are answered by one pass over its text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scan {
    /// Whose text.
    pub field: FieldIdx,
    /// What is looked for.
    pub literals: Vec<Literal>,
    /// What is answered.
    pub predicates: Vec<Scanned>,
}

/// One text that is looked for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Literal {
    /// What the folded text has to hold; folded itself.
    pub folded: String,
    /// What the text itself has to hold at that place, where that is less than everything that folds alike: as long as
    /// `folded`, with NUL wherever the fold decides. Empty when it decides everywhere.
    pub exact: String,
}

impl Literal {
    /// Whether a text holds `text` wherever this literal is found, and nowhere else.
    #[must_use]
    pub fn is_exactly(&self, text: &str) -> bool {
        if self.exact.is_empty() {
            self.folded == text && !text.chars().any(is_shared)
        } else {
            self.exact == text
        }
    }

    /// The literal that a text holds exactly where it holds `text` by simple case folding ([`crate::casefold`]). `None`
    /// for the empty text, and where the two folds differ: letters outside ASCII, and digits other than `0` to `9`.
    #[must_use]
    pub fn ignoring_case(text: &str) -> Option<Self> {
        let alike = |c: char| c.is_ascii() || !has_case(c) && fold(c) == c;
        if text.is_empty() || !text.chars().all(alike) {
            return None;
        }
        let exact: String = if text.contains(|c: char| c.is_ascii_digit()) {
            let pinned = |c: char| if c.is_ascii_alphabetic() { '\0' } else { c };
            text.chars().map(pinned).collect()
        } else {
            String::new()
        };
        Some(Self {
            folded: text.chars().map(fold).collect(),
            exact,
        })
    }

    /// Whether both texts fit each other: rule V31.
    #[must_use]
    pub fn is_well_formed(&self) -> bool {
        let folded = self.folded.chars().all(|c| fold(c) == c);
        let pair = |(folded, exact): (char, char)| exact == '\0' || fold(exact) == folded;
        let fits = self.exact.len() == self.folded.len()
            && self.exact.chars().count() == self.folded.chars().count()
            && self.folded.chars().zip(self.exact.chars()).all(pair);
        !self.folded.is_empty() && folded && (self.exact.is_empty() || fits)
    }
}

/// Starts of a match that are tried for one predicate before it is left to be evaluated on its own.
pub const TRIES: u8 = 16;

/// One predicate of a scan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scanned {
    /// The predicate that the scan answers.
    pub predicate: PredIdx,
    /// It is false of a text that holds none of these: indexes of the scan's literals.
    pub literals: Vec<u32>,
    /// What one of them says.
    pub on_hit: OnHit,
}

/// What a literal that was found says of a predicate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum OnHit {
    /// The predicate is true: it asks for that very text.
    True,
    /// It may be true anywhere in the text.
    Search,
    /// A match starts so many bytes before the literal, or there is none that holds it.
    Near {
        /// Fewest bytes.
        min: u32,
        /// Most bytes.
        max: u32,
    },
}

/// How common a byte is in folded prose, for choosing what to look for: the higher, the more often it occurs.
#[must_use]
pub fn commonness(folded: u8) -> u32 {
    const LETTERS: &[u8; 27] = b"zqxjkvbpygfwmucldrhsnioate ";
    match LETTERS.iter().zip(8..).find(|(letter, _)| **letter == folded) {
        Some((_, rank)) => 8 * rank - 40,
        None if matches!(folded, b'0' | b'.' | b',' | b'-' | b'\n') => 60,
        None if matches!(folded, b'\'' | b'"' | b'(' | b')' | b'_' | b'/' | b':') => 40,
        None => 12,
    }
}

#[cfg(test)]
mod tests {
    use super::Literal;

    #[test]
    fn literals_without_case() {
        let literal = |text| Literal::ignoring_case(text).map(|l| (l.folded, l.exact.replace('\0', "~")));
        let some = |folded: &str, exact: &str| Some((folded.to_owned(), exact.to_owned()));
        assert_eq!(literal("Ignore ALL"), some("ignore all", ""));
        assert_eq!(literal("GPT-4o 你"), some("gpt-0o 你", "~~~-4~ 你"));
        for text in ["", "é", "straße", "\u{212a}", "٣"] {
            assert_eq!(literal(text), None, "{text}");
        }
    }
}
