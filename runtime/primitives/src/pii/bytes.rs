//! Byte classes, and small bounded helpers over byte slices that every detector uses.
//!
//! The class table is what lets the scanner skip ordinary prose: one load per byte says whether the byte belongs to
//! a word, which kind of byte it is there, and whether it triggers a detector.

/// Letter, digit or underscore.
pub(super) const WORD: u8 = 1;
/// `0`–`9`.
pub(super) const DIGIT: u8 = 2;
/// ASCII letter.
pub(super) const ALPHA: u8 = 4;
/// `_`.
pub(super) const UNDERSCORE: u8 = 8;
/// `0`–`9`, `a`–`f`, `A`–`F`.
pub(super) const HEX: u8 = 16;
/// Starts a detector although it is not part of a word: `@ : + ( -`.
pub(super) const TRIGGER: u8 = 32;

/// The classes of each byte value.
pub(super) static CLASS: [u8; 256] = class_table();

const fn class_table() -> [u8; 256] {
    let mut table = [0u8; 256];
    let mut value = 0usize;
    while value < 256 {
        let byte = value as u8;
        let mut class = 0;
        if byte.is_ascii_digit() {
            class |= WORD | DIGIT;
        }
        if byte.is_ascii_alphabetic() {
            class |= WORD | ALPHA;
        }
        if byte == b'_' {
            class |= WORD | UNDERSCORE;
        }
        if byte.is_ascii_hexdigit() {
            class |= HEX;
        }
        if matches!(byte, b'@' | b':' | b'+' | b'(' | b'-') {
            class |= TRIGGER;
        }
        table[value] = class;
        value += 1;
    }
    table
}

/// The byte at `index`, or 0 beyond the end. No detector treats 0 as meaningful.
#[inline(always)]
pub(super) fn at(text: &[u8], index: usize) -> u8 {
    text.get(index).copied().unwrap_or(0)
}

/// The class of the byte at `index`, 0 beyond the end.
#[inline(always)]
pub(super) fn class_at(text: &[u8], index: usize) -> u8 {
    CLASS[at(text, index) as usize]
}

/// Whether the byte at `index` could continue a word that ends before it.
#[inline(always)]
pub(super) fn is_word(text: &[u8], index: usize) -> bool {
    class_at(text, index) & WORD != 0
}

/// Whether the byte at `index` is a digit.
#[inline(always)]
pub(super) fn is_digit(text: &[u8], index: usize) -> bool {
    class_at(text, index) & DIGIT != 0
}

/// The end of the run of bytes from `start` that satisfy `keep`, at most `cap` bytes long.
#[inline]
pub(super) fn run_end(text: &[u8], start: usize, cap: usize, keep: impl Fn(u8) -> bool) -> usize {
    let limit = text.len().min(start.saturating_add(cap));
    let mut end = start;
    while end < limit && keep(text[end]) {
        end += 1;
    }
    end
}

/// The slice `start..end`, empty when out of bounds.
#[inline]
pub(super) fn slice(text: &[u8], start: usize, end: usize) -> &[u8] {
    text.get(start..end).unwrap_or(&[])
}
