//! Where the plain part of a text of JSON ends: the first quote, backslash or control character, found by the word and, in long
//! texts, by the block.

/// Bytes before the first quote, backslash or control character.
#[inline]
pub(crate) fn plain_prefix(bytes: &[u8]) -> usize {
    plain_end(bytes, 0)
}

/// Position of the first quote, backslash or control character from `at` on, else the end.
#[inline(always)]
pub(crate) fn plain_end(bytes: &[u8], at: usize) -> usize {
    let Some(first) = word(bytes, at) else {
        return plain_tail(bytes, at);
    };
    let found = stops(first);
    if found != 0 {
        return at + found.trailing_zeros() as usize / 8;
    }
    plain_long(bytes, at + 8)
}

#[inline]
pub(crate) fn word(bytes: &[u8], at: usize) -> Option<u64> {
    let chunk = bytes.get(at..)?.first_chunk::<8>()?;
    Some(u64::from_le_bytes(*chunk))
}

/// Bytes that are searched at once in long texts; a multiple of the blocks' size.
const WINDOW: usize = 512;

/// As [`plain_end`], by the word at first, then in blocks of a size that compilers turn into vector instructions.
#[inline(never)]
fn plain_long(bytes: &[u8], mut at: usize) -> usize {
    for _word in 0..3 {
        let Some(word) = word(bytes, at) else {
            return plain_tail(bytes, at);
        };
        let found = stops(word);
        if found != 0 {
            return at + found.trailing_zeros() as usize / 8;
        }
        at += 8;
    }
    // By windows, so that texts with many control characters are not searched to their end for each of them.
    'windows: for window in bytes.get(at..).unwrap_or(&[]).chunks(WINDOW) {
        let plain = memchr::memchr2(b'"', b'\\', window).unwrap_or(window.len());
        for block in window.get(..plain).unwrap_or(&[]).as_chunks::<64>().0 {
            if block.iter().fold(u8::MAX, |least, byte| least.min(*byte)) < 0x20 {
                break 'windows;
            }
            at += 64;
        }
        if plain < window.len() {
            break;
        }
    }
    while let Some(word) = word(bytes, at) {
        let found = stops(word);
        if found != 0 {
            return at + found.trailing_zeros() as usize / 8;
        }
        at += 8;
    }
    plain_tail(bytes, at)
}

/// As [`plain_end`], where less than a word is left.
#[inline(never)]
fn plain_tail(bytes: &[u8], at: usize) -> usize {
    let Some(last) = bytes.last_chunk::<8>() else {
        let rest = bytes.get(at..).unwrap_or(&[]);
        return at + rest.iter().position(|b| is_stop(*b)).unwrap_or(rest.len());
    };
    // The last word without what lies before `at`: the zeros that move in are stops, just behind the end.
    let before = u32::try_from(8 * (at + 8 - bytes.len())).unwrap_or(u32::MAX);
    let rest = u64::from_le_bytes(*last).checked_shr(before).unwrap_or(0);
    at + stops(rest).trailing_zeros() as usize / 8
}

#[inline]
fn is_stop(byte: u8) -> bool {
    (byte == b'"') | (byte == b'\\') | (byte < 0x20)
}

/// The high bit of each byte that is a stop; exact for the lowest, which is all that is used.
#[inline]
fn stops(word: u64) -> u64 {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = 0x8080_8080_8080_8080;
    // With its second bit flipped, a quote follows directly on the control characters, and a space no longer does.
    let low = (word ^ (ONES * 0x02)).wrapping_sub(ONES * 0x21);
    let backslash = word ^ (ONES * b'\\' as u64);
    (low & !word | backslash.wrapping_sub(ONES) & !backslash) & HIGH
}
