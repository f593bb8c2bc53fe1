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
/// Starts a detector although it is not part of a word: `@ : + - = >`.
pub(super) const TRIGGER: u8 = 32;
/// Part of a street's name: a letter of any script, a digit, `'` or `-`. Bytes of multi-byte characters are letters.
pub(super) const NAME: u8 = 64;
/// Part of a value without quotation marks: graphic, and neither a quotation mark nor a bracket nor one of `; , & \\`.
pub(super) const VALUE: u8 = 128;

/// The classes of each byte value.
pub(super) static CLASS: [u8; 256] = CLASSES;

/// The same for constants.
pub(super) const CLASSES: [u8; 256] = class_table();

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
        if matches!(byte, b'@' | b':' | b'+' | b'-' | b'=' | b'>') {
            class |= TRIGGER;
        }
        if matches!(byte, b'-' | b'.' | b'/' | b'+') {
            class |= ENDS_WORD;
        }
        if byte.is_ascii_alphanumeric() || matches!(byte, b'\'' | b'-') || byte >= 0x80 {
            class |= NAME;
        }
        let ends_value = matches!(
            byte,
            b'"' | b'\''
                | b'`'
                | b'<'
                | b'>'
                | b'('
                | b')'
                | b'['
                | b']'
                | b'{'
                | b'}'
                | b';'
                | b','
                | b'&'
                | b'\\'
        );
        if byte.is_ascii_graphic() && !ends_value {
            class |= VALUE;
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

/// Where in `block` a detector could have something to do: a bit for each digit, each of `_ @ : + - . / = >`, and the start
/// of each row of [`CAPITALS`]. And for `?`, where nothing is done: it stands among them.
#[inline(always)]
pub(super) fn marks(block: &[u8; BLOCK]) -> u64 {
    let turned = turned_bits(block, |byte| {
        // `+ - . /`, the digits, `:`; and `= > ? @`.
        let range = (byte.wrapping_sub(b'+') <= b':' - b'+') & (byte != b',');
        range | (byte.wrapping_sub(b'=') <= b'@' - b'=') | (byte == b'_')
    });
    let capitals: u8 = block.iter().map(|byte| u8::from(is_capital(*byte))).sum();
    let rows = if u32::from(capitals) >= CAPITALS {
        rows_of_capitals(block)
    } else {
        0
    };
    if turned == 0 { rows } else { turn(turned) | rows }
}

#[inline(always)]
fn is_capital(byte: u8) -> bool {
    byte.wrapping_sub(b'A') <= b'Z' - b'A'
}

/// The start of each row of [`CAPITALS`] in `block`.
#[cold]
fn rows_of_capitals(block: &[u8; BLOCK]) -> u64 {
    let capitals = bits(block, is_capital);
    let rows = (1..CAPITALS).fold(capitals, |rows, _| capitals & rows >> 1);
    rows & !(capitals << 1)
}

/// A bit for each byte of `block` that satisfies `keep`: comparisons and no table, so that the compiler makes vector
/// instructions of them.
#[inline(always)]
fn bits(block: &[u8; BLOCK], keep: impl Fn(u8) -> bool) -> u64 {
    turn(turned_bits(block, keep))
}

/// As [`bits`], but the bit of byte `8 * i + j` is bit `8 * j + i`.
#[inline(always)]
fn turned_bits(block: &[u8; BLOCK], keep: impl Fn(u8) -> bool) -> u64 {
    let mut found = [0u8; BLOCK];
    for (place, (found, byte)) in found.iter_mut().zip(block).enumerate() {
        *found = if keep(*byte) { 1 << (place / 8) } else { 0 };
    }
    let (eights, _) = found.as_chunks::<8>();
    eights
        .iter()
        .fold(0, |all, eight| all | u64::from_le_bytes(*eight))
}

/// Puts bit `8 * j + i` where bit `8 * i + j` is.
#[inline(always)]
fn turn(bits: u64) -> u64 {
    // Swaps single bits beside the diagonal, then squares of two, then of four.
    let swap = |bits: u64, distance: u32, mask: u64| {
        let change = (bits ^ bits >> distance) & mask;
        bits ^ change ^ change << distance
    };
    let bits = swap(bits, 7, 0x00AA_00AA_00AA_00AA);
    let bits = swap(bits, 14, 0x0000_CCCC_0000_CCCC);
    swap(bits, 28, 0x0000_0000_F0F0_F0F0)
}

/// What the bytes of a block are, a bit for each.
pub(super) struct Kinds {
    /// Where in the text the block starts.
    start: usize,
    words: u64,
    /// The words that so many solid bytes begin with as a secret has. What is outside of the block counts as solid.
    roomy: u64,
    /// A word ends before the block or goes on in it.
    goes_on: bool,
}

impl Kinds {
    /// The kinds of the bytes in `block`, which starts at `start` in `text`.
    #[inline(always)]
    pub(super) fn of(text: &[u8], block: &[u8; BLOCK], start: usize) -> Kinds {
        let words = bits(block, |byte| {
            let letter = (byte | 0x20).wrapping_sub(b'a') <= b'z' - b'a';
            letter | (byte.wrapping_sub(b'0') <= 9) | (byte == b'_')
        });
        let goes_on = start > 0 && is_word(text, start - 1);
        let room = runs(bits(block, is_solid), super::secrets::SHORTEST as u32) | u64::from(goes_on);
        // Adding its first bit to a word clears it.
        let first = words & !(words << 1) & room;
        Kinds {
            start,
            words,
            roomy: words & !words.wrapping_add(first),
            goes_on,
        }
    }

    /// Whether the byte at `mark` stands in a word that may begin a secret.
    #[inline(always)]
    pub(super) fn is_in_roomy(&self, mark: usize) -> bool {
        self.roomy >> (mark - self.start) & 1 != 0
    }

    /// Whether a word that may begin a secret ends before `mark`.
    #[inline(always)]
    pub(super) fn is_after_roomy(&self, mark: usize) -> bool {
        (self.roomy << 1 | u64::from(self.goes_on)) >> (mark - self.start) & 1 != 0
    }

    /// Where bytes known to be solid end, from the start of a roomy word on.
    #[inline(always)]
    pub(super) fn solid_end(&self, start: usize) -> usize {
        if start < self.start {
            start
        } else {
            (start + super::secrets::SHORTEST).min(self.start + BLOCK)
        }
    }

    /// The word around the byte at `mark`, or that ends there; it starts at `floor` or later.
    #[inline(always)]
    pub(super) fn word_around(&self, text: &[u8], mark: usize, floor: usize) -> (usize, usize) {
        let place = mark - self.start;
        let before = (self.words << (BLOCK - 1 - place) << 1).leading_ones() as usize;
        let mut start = mark - before.min(place);
        if start == self.start {
            while start > floor && is_word(text, start - 1) {
                start -= 1;
            }
        }
        let mut end = mark + (self.words >> place).trailing_ones() as usize;
        if end == self.start + BLOCK {
            while is_word(text, end) {
                end += 1;
            }
        }
        (start.max(floor), end)
    }
}

/// Where in `bits` a row of `length` set bits begins, of which those behind the last bit are set.
#[inline(always)]
fn runs(bits: u64, length: u32) -> u64 {
    let mut runs = bits;
    let mut have = 1;
    while have < length {
        let more = have.min(length - have);
        runs &= !(!runs >> more);
        have += more;
    }
    runs
}

/// Whether `byte` can stand in what is solid: neither a blank nor a comma, and ASCII.
#[inline(always)]
pub(super) fn is_solid(byte: u8) -> bool {
    (byte > b' ') & (byte != b',') & (byte < 0x80)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pii::secrets::SHORTEST;

    #[test]
    fn kinds_of_a_block_are_those_of_its_bytes() {
        let mut block = [0u8; BLOCK];
        for round in 0u32..2048 {
            for (place, byte) in (0u32..).zip(&mut block) {
                // All bytes at all places, beside different ones, and rows of capitals.
                *byte = match round % 4 {
                    0 if place % 19 < round / 64 => b'A' + (place % 26) as u8,
                    _ => (round.wrapping_mul(97) + place * (1 + round / 256)) as u8,
                };
            }
            let marks = marks(&block);
            let kinds = Kinds::of(&block, &block, 0);
            for (place, &byte) in block.iter().enumerate() {
                let class = CLASS[usize::from(byte)];
                let has = |bits: u64| bits >> place & 1 != 0;
                let marked = class & (DIGIT | ENDS_WORD | TRIGGER) != 0 || matches!(byte, b'_' | b'?');
                assert_eq!(has(marks & !rows_of_capitals(&block)), marked, "{byte}");
                let row = run_end(&block, place, BLOCK, |byte| byte.is_ascii_uppercase()) - place;
                let begins = place == 0 || !block[place - 1].is_ascii_uppercase();
                let long = begins && row >= CAPITALS as usize;
                assert_eq!(has(rows_of_capitals(&block)), long, "{byte}");
                assert!(!long || has(marks), "{byte}");
                let word = class & WORD != 0;
                assert_eq!(has(kinds.words), word, "{byte}");
                let (start, end) = kinds.word_around(&block, place, 0);
                assert!(
                    block[start..end]
                        .iter()
                        .all(|byte| CLASS[usize::from(*byte)] & WORD != 0)
                );
                assert!(start == 0 || !is_word(&block, start - 1));
                assert!(!is_word(&block, end));
                let solid = run_end(&block, start, SHORTEST, is_solid);
                let roomy = solid - start == SHORTEST || solid == BLOCK;
                assert_eq!(kinds.is_in_roomy(place), word && roomy, "{byte}");
                let ends = !word && start < end;
                assert!(!ends || kinds.is_after_roomy(place) == roomy, "{byte}");
            }
        }
    }

    #[test]
    fn rows_of_bits_begin_where_so_many_follow() {
        let mut bits = 0x9E37_79B9_7F4A_7C15_u64;
        for round in 0..500 {
            bits = bits.rotate_left(7).wrapping_mul(0xBF58_476D_1CE4_E5B9)
                | u64::MAX << (round % 64) >> (round % 11);
            for length in 1..=32 {
                let begins =
                    |place: u32| (place..place + length).all(|place| place >= 64 || bits >> place & 1 != 0);
                let expected = (0..64).fold(0, |found, place| found | u64::from(begins(place)) << place);
                assert_eq!(runs(bits, length), expected);
            }
        }
    }
}
