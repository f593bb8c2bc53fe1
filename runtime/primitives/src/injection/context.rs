//! How a phrase is meant: said, denied, or quoted.
//!
//! What stands before a phrase is noted at its first word ([`Before`]), because the pass never goes back. Quotes hold a phrase
//! where they are open at its first word, not long before its last one, and close at once behind that.

use super::types::Role;

/// Words between a denial and the phrase that it denies.
const DENIED: u32 = 3;
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
/// A word that tells of phrases.
const IS_TOLD: u8 = 2;
/// A quote is open.
const IS_QUOTED: u8 = 4;

/// Where the words and quotes stand that say how a phrase is meant; 0 where there was none.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Cues {
    not: u32,
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
        }
        if Role::Told.is_in(roles) {
            self.told = at;
        }
        if Role::Quoting.is_in(roles) {
            self.quoting = at;
        }
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
        let denied = near(self.not, at, DENIED) && !Role::Not.is_in(roles);
        let told = near(self.told, at, TOLD);
        let quoted = self.open != 0;
        Before(u8::from(denied) * IS_DENIED | u8::from(told) * IS_TOLD | u8::from(quoted) * IS_QUOTED)
    }

    /// How a phrase is meant that ends at `end`.
    pub(super) fn meant(&self, before: Before, text: &[u8], end: usize) -> Meant {
        if before.0 & IS_DENIED != 0 {
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
