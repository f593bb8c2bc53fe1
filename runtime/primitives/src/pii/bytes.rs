//! Byte classes, and small bounded helpers over byte slices that every detector uses.
//!
//! [`marks`] is what lets the scanner skip ordinary prose: it looks at [`BLOCK`] bytes at once for those at which a
//! detector could start. Around these the class table says whether a byte belongs to a word, which kind of byte it is
//! there, and whether it triggers a detector.

/// Letter, digit or underscore.
pub(super) const WORD: u8 = 1;
/// `0`–`9`.
pub(super) const DIGIT: u8 = 2;
/// ASCII letter.
pub(super) const ALPHA: u8 = 4;
/// Stands after the first word of some secrets, and so makes letters before it worth a look: `- . / +`.
pub(super) const ENDS_WORD: u8 = 8;
/// `0`–`9`, `a`–`f`, `A`–`F`.
pub(super) const HEX: u8 = 16;
/// Starts a detector although it is not part of a word: `@ : + ( - = >`.
pub(super) const TRIGGER: u8 = 32;
/// Part of a street's name: a letter of any script, a digit, `'` or `-`. Bytes of multi-byte characters are letters.
pub(super) const NAME: u8 = 64;

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
            class |= WORD;
        }
        if byte.is_ascii_hexdigit() {
            class |= HEX;
        }
        if matches!(byte, b'@' | b':' | b'+' | b'(' | b'-' | b'=' | b'>') {
            class |= TRIGGER;
        }
        if matches!(byte, b'-' | b'.' | b'/' | b'+') {
            class |= ENDS_WORD;
        }
        if byte.is_ascii_alphanumeric() || matches!(byte, b'\'' | b'-') || byte >= 0x80 {
            class |= NAME;
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

/// Bytes that [`marks`] answers for.
pub(super) const BLOCK: usize = 64;

/// Capital letters in a row, in one block, that are worth a look: the key ids of AWS have twice as many, and some of them no
/// digit, which would be a mark.
const CAPITALS: u32 = 10;

/// Where in `block` a detector could have something to do: a bit for each digit, each of `_ @ : + ( - . / = >`, and
/// the start of each row of [`CAPITALS`].
///
/// Comparisons and no table, so that the compiler makes vector instructions of them.
#[inline]
pub(super) fn marks(block: &[u8; BLOCK]) -> u64 {
    let mut found = [0u8; BLOCK];
    let mut capitals = 0u8;
    for (found, byte) in found.iter_mut().zip(block) {
        // From `-` to `:` in one comparison: `- . /`, the digits, `:`; and `= >` in one.
        let range = byte.wrapping_sub(b'-') <= b':' - b'-';
        let signs = (byte.wrapping_sub(b'=') <= 1) | (*byte == b'(') | (*byte == b'+');
        *found = u8::from(range | signs | (*byte == b'_') | (*byte == b'@'));
        // Capital letters, and six signs.
        capitals += u8::from(*byte & 0xE0 == 0x40);
    }
    let mut marks = 0;
    let (eights, _) = found.as_chunks::<8>();
    for (eight, place) in eights.iter().zip((0..).step_by(8)) {
        // Gathers the lowest bit of each byte in the highest byte: none of the partial products meet.
        let gathered = u64::from_le_bytes(*eight).wrapping_mul(0x0102_0408_1020_4080) >> 56;
        marks |= gathered << place;
    }
    if u32::from(capitals) >= CAPITALS {
        marks |= rows_of_capitals(block);
    }
    marks
}

/// The start of each row of [`CAPITALS`] in `block`.
#[cold]
fn rows_of_capitals(block: &[u8; BLOCK]) -> u64 {
    let mut rows = 0;
    let mut length = 0;
    for (place, byte) in (0u32..).zip(block) {
        length = if byte.is_ascii_uppercase() { length + 1 } else { 0 };
        if length == CAPITALS {
            rows |= 1 << (place + 1 - CAPITALS);
        }
    }
    rows
}
