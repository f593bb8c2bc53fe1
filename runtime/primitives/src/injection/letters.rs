//! Letters as the phrases spell them: without accents, and the scripts that write no blanks between words.
//!
//! Shared with the build script, which spells the words of `data/injection.txt` the same way.

use unicode_normalization::char::{canonical_combining_class, decompose_canonical};

/// Longest word of the table, in bytes; longer ones are no words of any phrase.
pub(crate) const MAX_WORD: usize = 32;

/// Factor of the hash of words.
const FACTOR: u32 = 0x9e37_79b1;

/// The hash of no bytes.
pub(crate) const SEED: u32 = 0x811c_9dc5;

/// The hash of what `hash` is of, and `byte`.
#[inline]
pub(crate) const fn step(hash: u32, byte: u8) -> u32 {
    (hash ^ byte as u32).wrapping_mul(FACTOR)
}

/// Where in a table of `slots` (a power of two) the search for `hash` begins, and the bits that are compared first.
#[inline]
pub(crate) const fn place(hash: u32, slots: usize) -> (usize, u16) {
    let mixed = hash ^ (hash >> 15);
    (mixed as usize & (slots - 1), (hash >> 16) as u16)
}

/// The place of three letters in a table of such beginnings; `None` where they are no letters.
#[inline]
pub(crate) fn beginning(three: [u8; 3]) -> Option<usize> {
    three.iter().try_fold(0, |at, byte| {
        byte.is_ascii_lowercase()
            .then(|| at << 5 | usize::from(byte & 0x1f))
    })
}

/// What a character beyond ASCII is in a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Letter {
    /// A letter with this plain spelling.
    Plain(&'static str),
    /// A Latin letter with marks: this one.
    Latin(u8),
    /// A letter of another script.
    Other,
    /// A character of a script that writes no blanks between words.
    Unspaced,
    /// A mark on the letter before.
    Mark,
    /// No letter.
    None,
}

/// What `c` is. Only for characters beyond ASCII.
pub(crate) fn letter(c: char) -> Letter {
    let spelt = match c {
        'ß' => "ss",
        'æ' => "ae",
        'œ' => "oe",
        'ø' => "o",
        'đ' | 'ð' => "d",
        'ł' => "l",
        'ħ' => "h",
        _ => "",
    };
    if !spelt.is_empty() {
        return Letter::Plain(spelt);
    }
    if matches!(c,
        '\u{0e00}'..='\u{0eff}' | '\u{1100}'..='\u{11ff}' | '\u{3005}'..='\u{3007}' | '\u{3040}'..='\u{30ff}'
        | '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}' | '\u{ac00}'..='\u{d7af}' | '\u{20000}'..='\u{3ffff}')
    {
        return Letter::Unspaced;
    }
    if canonical_combining_class(c) != 0 {
        return Letter::Mark;
    }
    let mut first = None;
    decompose_canonical(c, |part| first = first.or(Some(part)));
    match first {
        Some(base) if base.is_ascii_lowercase() => u8::try_from(base).map_or(Letter::Other, Letter::Latin),
        // Vowel signs of Indian scripts are letters of the word that they stand in.
        _ if c.is_alphanumeric() || matches!(c, '\u{900}'..='\u{dff}') => Letter::Other,
        _ => Letter::None,
    }
}
