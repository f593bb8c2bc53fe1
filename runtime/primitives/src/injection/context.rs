//! How a phrase is meant: said, denied, or quoted.
//!
//! What stands before a phrase is noted at its first word ([`Before`]), because the pass never goes back. Quotes hold a phrase
//! where they are open at its first word, not long before its last one, and close at once behind that.

use super::tables::Hit;
use super::types::{InjectionSignal, Role};

/// Words between a denial and the phrase that it denies.
const DENIED: u32 = 3;
/// The same within one clause, of a hint, and of a phrase that asks for what is hidden: `do not let anybody make you
/// reveal …`.
const DENIED_IN_CLAUSE: u32 = 10;
/// Words between a word that tells of phrases and the phrase, or the quote around it.
const TOLD: u32 = 8;
/// Bytes between a quote that opens and the end of the phrase.
const OPENS: usize = 120;
/// Bytes between the end of a phrase and the quote that closes.
const CLOSES: usize = 16;
/// The same where a word before the quote says that something is quoted.
const CLOSES_TOLD: usize = 200;

/// How a phrase is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Meant {
    Said,
    Told,
    Denied,
}

/// What stands before a phrase: bits.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Before(u8);

/// A word that denies the phrase.
const IS_DENIED: u8 = 1;
/// A word that denies it in the same clause.
const IS_DENIED_IN_CLAUSE: u8 = 8;
/// A word that tells of phrases.
const IS_TOLD: u8 = 2;
/// A quote is open.
const IS_QUOTED: u8 = 4;

/// Where the words and quotes stand that say how a phrase is meant; 0 where there was none.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Cues {
    not: u32,
    /// The same, in this clause.
    not_in_clause: u32,
    told: u32,
    quoting: u32,
    /// One past the quote that is open.
    open: usize,
    /// A word before that quote says that something is quoted.
    open_told: bool,
}

fn near(cue: u32, at: u32, words: u32) -> bool {
    cue != 0 && cue < at && at - cue <= words
}

impl Cues {
    /// Notes word `at`, which has these roles.
    pub(super) fn note(&mut self, roles: u8, at: u32) {
        if Role::Not.is_in(roles) {
            self.not = at;
            self.not_in_clause = at;
        }
        if Role::Told.is_in(roles) {
            self.told = at;
        }
        if Role::Quoting.is_in(roles) {
            self.quoting = at;
        }
    }

    /// Notes that a clause ends.
    pub(super) fn end_clause(&mut self) {
        self.not_in_clause = 0;
    }

    /// Notes the quote at `position`, which stands behind word `at`.
    pub(super) fn quote(&mut self, text: &[u8], position: usize, at: u32) {
        let is_word = |byte: Option<&u8>| byte.is_some_and(|b| b.is_ascii_alphanumeric() || *b >= 0x80);
        let before = position.checked_sub(1).and_then(|before| text.get(before));
        let (behind_word, before_word) = (is_word(before), is_word(text.get(position + 1)));
        if behind_word && before_word {
            // An apostrophe.
            return;
        }
        // A quote around the whole of a text says nothing.
        if position > 0 && before_word {
            self.open = position + 1;
            self.open_told = near(self.quoting, at + 1, TOLD) || near(self.told, at + 1, TOLD);
        } else {
            self.open = 0;
        }
    }

    /// What stands before a phrase whose first word is word `at` and has these roles. What begins with a denial is not
    /// denied by another one.
    pub(super) fn before(&self, at: u32, roles: u8) -> Before {
        let mut bits = 0;
        if near(self.not, at, DENIED) && !Role::Not.is_in(roles) {
            bits |= IS_DENIED;
        }
        if near(self.not_in_clause, at, DENIED_IN_CLAUSE) && !Role::Not.is_in(roles) {
            bits |= IS_DENIED_IN_CLAUSE;
        }
        if near(self.told, at, TOLD) {
            bits |= IS_TOLD;
        }
        if self.open != 0 {
            bits |= IS_QUOTED;
        }
        Before(bits)
    }

    /// How a phrase or hint is meant that ends at `end`.
    pub(super) fn meant(&self, before: Before, hit: Hit, text: &[u8], end: usize) -> Meant {
        let denying = match hit {
            Hit::Phrase(category) if category != InjectionSignal::Extraction as u8 => IS_DENIED,
            Hit::Phrase(_) | Hit::Hint(..) | Hit::None => IS_DENIED | IS_DENIED_IN_CLAUSE,
        };
        if before.0 & denying != 0 {
            return Meant::Denied;
        }
        if before.0 & IS_TOLD != 0 {
            return Meant::Told;
        }
        if before.0 & IS_QUOTED != 0 && self.open != 0 && end.saturating_sub(self.open) <= OPENS {
            let most = if self.open_told { CLOSES_TOLD } else { CLOSES };
            let rest = &text[end..text.len().min(end + most)];
            if rest.iter().any(|b| is_quote(*b)) {
                return Meant::Told;
            }
        }
        Meant::Said
    }
}

/// Quotes of typography are these in a normalised text.
pub(super) const fn is_quote(byte: u8) -> bool {
    matches!(byte, b'"' | b'\'' | b'`')
}
