//! The fold: what texts and literals have done to them before they are compared in a scan.
//!
//! One character becomes one character, so if a text holds a piece, the folded text holds the folded piece. That is all
//! that a scan relies on. Letters lose their case, and every decimal digit becomes `0`, because `(?i)` and `\d` are
//! what patterns say most: `(?i)key` and `\d{3}-\d{2}` each fold to one literal instead of one for each spelling.
//!
//! | character | becomes |
//! |---|---|
//! | `A` to `Z` | the lower-case letter |
//! | `0` to `9`, and every other decimal digit of Unicode 16 | `0` |
//! | U+212A KELVIN SIGN, U+017F LATIN SMALL LETTER LONG S | `k`, `s`: `(?i)` takes them for these letters |
//! | every other | itself |
//!
//! The table is part of the format: compiler and VM must fold alike, so it does not come from a library that updates.
//! Folding ASCII keeps its length. Folding other text can shorten it, where it holds a [special](is_special) character.

/// First characters of the runs of decimal digits outside ASCII, and how many each run has.
const DIGITS: [(u32, u32); 70] = [
    (0x0660, 10),
    (0x06f0, 10),
    (0x07c0, 10),
    (0x0966, 10),
    (0x09e6, 10),
    (0x0a66, 10),
    (0x0ae6, 10),
    (0x0b66, 10),
    (0x0be6, 10),
    (0x0c66, 10),
    (0x0ce6, 10),
    (0x0d66, 10),
    (0x0de6, 10),
    (0x0e50, 10),
    (0x0ed0, 10),
    (0x0f20, 10),
    (0x1040, 10),
    (0x1090, 10),
    (0x17e0, 10),
    (0x1810, 10),
    (0x1946, 10),
    (0x19d0, 10),
    (0x1a80, 10),
    (0x1a90, 10),
    (0x1b50, 10),
    (0x1bb0, 10),
    (0x1c40, 10),
    (0x1c50, 10),
    (0xa620, 10),
    (0xa8d0, 10),
    (0xa900, 10),
    (0xa9d0, 10),
    (0xa9f0, 10),
    (0xaa50, 10),
    (0xabf0, 10),
    (0xff10, 10),
    (0x104a0, 10),
    (0x10d30, 10),
    (0x10d40, 10),
    (0x11066, 10),
    (0x110f0, 10),
    (0x11136, 10),
    (0x111d0, 10),
    (0x112f0, 10),
    (0x11450, 10),
    (0x114d0, 10),
    (0x11650, 10),
    (0x116c0, 10),
    (0x116d0, 20),
    (0x11730, 10),
    (0x118e0, 10),
    (0x11950, 10),
    (0x11bf0, 10),
    (0x11c50, 10),
    (0x11d50, 10),
    (0x11da0, 10),
    (0x11f50, 10),
    (0x16130, 10),
    (0x16a60, 10),
    (0x16ac0, 10),
    (0x16b50, 10),
    (0x16d70, 10),
    (0x1ccf0, 10),
    (0x1d7ce, 50),
    (0x1e140, 10),
    (0x1e2f0, 10),
    (0x1e4f0, 10),
    (0x1e5f1, 10),
    (0x1e950, 10),
    (0x1fbf0, 10),
];

/// Bytes that the UTF-8 form of a special character starts with.
const SPECIAL_LEADS: [u8; 10] = [0xC5, 0xD9, 0xDB, 0xDF, 0xE0, 0xE1, 0xE2, 0xEA, 0xEF, 0xF0];

/// By byte: whether it is one of these.
const MAY_BE_SPECIAL: [bool; 256] = {
    let mut table = [false; 256];
    let mut i = 0;
    while i < SPECIAL_LEADS.len() {
        table[SPECIAL_LEADS[i] as usize] = true;
        i += 1;
    }
    table
};

/// The folded character.
#[must_use]
#[inline]
pub fn fold(c: char) -> char {
    match u8::try_from(c) {
        Ok(byte) if byte < 0x80 => char::from(fold_ascii(byte)),
        _other => fold_other(c),
    }
}

/// The folded byte of an ASCII character; every other byte as it is.
#[must_use]
#[inline]
pub fn fold_ascii(byte: u8) -> u8 {
    // No branches and no table, so that a loop over a text is done sixteen bytes at a time.
    let upper = byte.wrapping_sub(b'A') < 26;
    let digit = byte.wrapping_sub(b'0') < 10;
    if digit {
        b'0'
    } else {
        byte | (u8::from(upper) << 5)
    }
}

fn fold_other(c: char) -> char {
    match c {
        '\u{212a}' => 'k',
        '\u{17f}' => 's',
        c if is_digit(u32::from(c)) => '0',
        c => c,
    }
}

fn is_digit(c: u32) -> bool {
    let after = DIGITS.partition_point(|(first, _)| *first <= c);
    let run = after.checked_sub(1).and_then(|at| DIGITS.get(at));
    run.is_some_and(|(first, count)| c - first < *count)
}

/// Whether a character outside ASCII does not stay itself. Such a character takes fewer bytes when folded.
#[must_use]
pub fn is_special(c: char) -> bool {
    !c.is_ascii() && fold_other(c) != c
}

/// Whether `text` holds a special character, so that places in it and in its folded form differ.
#[must_use]
pub fn has_special(text: &str) -> bool {
    if text.is_ascii() {
        return false;
    }
    let starts = text
        .bytes()
        .enumerate()
        .filter(|(_, byte)| MAY_BE_SPECIAL[usize::from(*byte)]);
    starts
        .filter_map(|(at, _)| text.get(at..)?.chars().next())
        .any(is_special)
}

/// Whether characters other than this folded one fold to it.
#[must_use]
pub fn is_shared(folded: char) -> bool {
    folded.is_ascii_lowercase() || folded == '0'
}

/// The folded text.
#[must_use]
pub fn fold_text(text: &str) -> String {
    text.chars().map(fold).collect()
}

#[cfg(test)]
mod tests {
    use super::{DIGITS, SPECIAL_LEADS, fold, has_special, is_shared, is_special};

    #[test]
    fn folding_twice_is_folding_once_and_sharing_is_told() {
        let mut sources = [0u32; 0x80];
        for c in '\0'..=char::MAX {
            let folded = fold(c);
            assert_eq!(fold(folded), folded, "{c:?}");
            assert!(folded.len_utf8() <= c.len_utf8());
            if let Some(count) = sources.get_mut(folded as usize) {
                *count += 1;
            } else {
                assert_eq!(folded, c);
            }
            if is_special(c) {
                let mut buffer = [0; 4];
                let lead = c.encode_utf8(&mut buffer).as_bytes()[0];
                assert!(SPECIAL_LEADS.contains(&lead), "{c:?}");
                assert!(has_special(&format!("a{c}")) && has_special(&format!("é{c}.")));
            }
        }
        for (c, count) in ('\0'..).zip(sources) {
            assert!(is_shared(c) == (count > 1) || c.is_ascii_uppercase() || c.is_ascii_digit());
        }
        assert!(!has_special("plain 0") && !has_special("é ß 你好 —"));
    }

    #[test]
    fn runs_ascend() {
        assert!(DIGITS.windows(2).all(|pair| pair[0].0 + pair[0].1 <= pair[1].0));
    }
}
