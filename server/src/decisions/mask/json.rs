//! JSON as masking reads it: where tokens end, without building anything.
//!
//! Accepts exactly what `serde_json` accepts when it ignores a value: numbers of any size, halves of surrogate pairs, any
//! depth. What is rare (escapes, whole values that are skipped) is left to `serde_json` itself; what is in every context
//! (plain strings, short numbers, brackets) is found here, by the word or by the block.
//!
//! # Not done here
//!
//! No recursion and no stack: brackets are matched by the caller.

use super::{MaskError, SHORTEST_HIDDEN};
use serde::de::IgnoredAny;
use std::borrow::Cow;

/// The context as text that is known to be JSON, however deep.
pub(super) fn validated(context: &[u8]) -> Result<&str, MaskError> {
    let text = std::str::from_utf8(context).map_err(|_| MaskError::NotJson)?;
    valid(text)?;
    Ok(text)
}

/// Whether it is one JSON value. Does not recurse.
fn valid(text: &str) -> Result<(), MaskError> {
    serde_json::from_str::<IgnoredAny>(text).map_err(|_| MaskError::NotJson)?;
    Ok(())
}

/// The byte at `at`; NUL, which is no JSON outside strings, at the end.
#[inline]
pub(super) fn byte(text: &str, at: usize) -> u8 {
    byte_at(text.as_bytes(), at)
}

/// The same of bytes.
#[inline(always)]
pub(super) fn byte_at(bytes: &[u8], at: usize) -> u8 {
    bytes.get(at).copied().unwrap_or(0)
}

/// Where the next token starts: `at`, or behind the whitespace there.
#[inline]
pub(super) fn token(text: &str, at: usize) -> usize {
    if byte(text, at) > b' ' {
        return at;
    }
    let rest = text.as_bytes().get(at..).unwrap_or(&[]);
    let space = |byte: &u8| matches!(byte, b' ' | b'\n' | b'\r' | b'\t');
    at + rest.iter().position(|byte| !space(byte)).unwrap_or(rest.len())
}

/// A string as it stands in the text.
#[derive(Clone, Copy)]
pub(super) struct Raw<'t> {
    text: &'t str,
    /// Its quotes.
    open: usize,
    close: usize,
    /// Whether there is a backslash.
    pub(super) escaped: bool,
}

impl<'t> Raw<'t> {
    /// The string at `at`, and where it ends.
    #[inline]
    pub(super) fn read(text: &'t str, at: usize) -> Result<(Self, usize), MaskError> {
        if byte(text, at) != b'"' {
            return Err(MaskError::NotJson);
        }
        let mut close = plain_end(text.as_bytes(), at + 1);
        let mut escaped = false;
        if byte(text, close) != b'"' {
            close = escaped_end(text, at, close)?;
            escaped = true;
        }
        let raw = Self {
            text,
            open: at,
            close,
            escaped,
        };
        Ok((raw, close + 1))
    }

    /// What it says; `None` when its escapes are no text (half of a surrogate pair).
    #[inline]
    pub(super) fn text(self) -> Option<Cow<'t, str>> {
        if self.escaped {
            let whole = self.text.get(self.open..=self.close)?;
            return serde_json::from_str(whole).ok().map(Cow::Owned);
        }
        self.text.get(self.open + 1..self.close).map(Cow::Borrowed)
    }
}

/// The closing quote of the string from `open` on, in which a byte that is not plain is first at `at`.
#[cold]
#[inline(never)]
fn escaped_end(text: &str, open: usize, mut at: usize) -> Result<usize, MaskError> {
    while byte(text, at) == b'\\' {
        at = plain_end(text.as_bytes(), at + 2);
    }
    // Says no to a text that ends before its string, to control characters, and to escapes that there are not.
    valid(text.get(open..=at).ok_or(MaskError::NotJson)?)?;
    Ok(at)
}

/// The first quote, backslash or control character from `at` on, else the end.
#[inline]
pub(super) fn plain_end(bytes: &[u8], mut at: usize) -> usize {
    // Most strings end in the first words.
    for _ in 0..4 {
        let Some(word) = bytes.get(at..).and_then(<[u8]>::first_chunk) else {
            return plain_tail(bytes, at);
        };
        let found = stops(u64::from_le_bytes(*word));
        if found != 0 {
            return at + found.trailing_zeros() as usize / 8;
        }
        at += 8;
    }
    plain_long(bytes, at)
}

/// As [`plain_end`], in blocks of a size that compilers turn into vector instructions.
#[inline(never)]
fn plain_long(bytes: &[u8], mut at: usize) -> usize {
    let rest = bytes.get(at..).unwrap_or(&[]);
    let stop = |byte: u8| u8::from(byte < 0x20) | u8::from(byte == b'"') | u8::from(byte == b'\\');
    for block in rest.as_chunks::<64>().0 {
        if block.iter().fold(0, |any, byte| any | stop(*byte)) != 0 {
            break;
        }
        at += 64;
    }
    while let Some(word) = bytes.get(at..).and_then(<[u8]>::first_chunk) {
        let found = stops(u64::from_le_bytes(*word));
        if found != 0 {
            return at + found.trailing_zeros() as usize / 8;
        }
        at += 8;
    }
    plain_tail(bytes, at)
}

#[inline(never)]
fn plain_tail(bytes: &[u8], at: usize) -> usize {
    let rest = bytes.get(at..).unwrap_or(&[]);
    let stop = |byte: &u8| matches!(byte, 0..0x20 | b'"' | b'\\');
    at + rest.iter().position(stop).unwrap_or(rest.len())
}

/// The highest bit of each byte that is a quote, a backslash or a control character; bits above the lowest may be wrong.
#[inline]
fn stops(word: u64) -> u64 {
    const ONES: u64 = u64::MAX / 0xFF;
    const HIGH: u64 = ONES << 7;
    // A byte that is zero, or smaller, borrows; only from bytes above it.
    let zero = |word: u64| word.wrapping_sub(ONES) & !word;
    let quote = zero(word ^ (ONES * b'"' as u64));
    let backslash = zero(word ^ (ONES * b'\\' as u64));
    let control = word.wrapping_sub(ONES * 0x20) & !word;
    (quote | backslash | control) & HIGH
}

/// Where the number, `true`, `false` or `null` at `at` ends.
#[inline]
pub(super) fn scalar_end(text: &str, at: usize) -> Result<usize, MaskError> {
    let word: &[u8] = match byte(text, at) {
        b't' => b"true",
        b'f' => b"false",
        b'n' => b"null",
        _ => return number_end(text, at),
    };
    let end = at + word.len();
    if text.as_bytes().get(at..end) == Some(word) {
        return Ok(end);
    }
    Err(MaskError::NotJson)
}

fn number_end(text: &str, at: usize) -> Result<usize, MaskError> {
    let whole = at + usize::from(byte(text, at) == b'-');
    let mut end = digits_end(text, whole)?;
    if byte(text, whole) == b'0' && end > whole + 1 {
        return Err(MaskError::NotJson);
    }
    if byte(text, end) == b'.' {
        end = digits_end(text, end + 1)?;
    }
    if matches!(byte(text, end), b'e' | b'E') {
        let sign = usize::from(matches!(byte(text, end + 1), b'+' | b'-'));
        end = digits_end(text, end + 1 + sign)?;
    }
    Ok(end)
}

/// Where the digits at `at` end, of which there must be one.
fn digits_end(text: &str, at: usize) -> Result<usize, MaskError> {
    let mut end = at;
    while byte(text, end).is_ascii_digit() {
        end += 1;
    }
    if end == at {
        return Err(MaskError::NotJson);
    }
    Ok(end)
}

/// Where the value at `at` ends, however deep it is.
pub(super) fn value_end(text: &str, at: usize) -> Result<usize, MaskError> {
    match byte(text, at) {
        b'"' => Ok(Raw::read(text, at)?.1),
        b'{' | b'[' => {
            let rest = text.get(at..).unwrap_or("");
            let mut values = serde_json::Deserializer::from_str(rest).into_iter::<IgnoredAny>();
            match values.next() {
                Some(Ok(IgnoredAny)) => Ok(at + values.byte_offset()),
                Some(Err(_)) | None => Err(MaskError::NotJson),
            }
        }
        _ => scalar_end(text, at),
    }
}

/// Calls `found` with every string in a value, and with every number of digits alone that is not too short. `value` is valid.
pub(super) fn texts<'t>(value: &'t str, mut found: impl FnMut(Cow<'t, str>)) {
    let mut at = 0;
    while at < value.len() {
        match byte(value, at) {
            b'"' => {
                let Ok((raw, end)) = Raw::read(value, at) else {
                    return;
                };
                raw.text().into_iter().for_each(&mut found);
                at = end;
            }
            b'0'..=b'9' | b'-' => {
                let Ok(end) = scalar_end(value, at) else { return };
                let number = value.get(at..end).unwrap_or("");
                // A masked number may have been quoted as well.
                if number.len() > SHORTEST_HIDDEN && number.bytes().all(|b| b.is_ascii_digit()) {
                    found(Cow::Borrowed(number));
                }
                at = end;
            }
            _ => at += 1,
        }
    }
}

/// The context in one line, otherwise as it is.
///
/// # Errors
///
/// [`MaskError::NotJson`].
pub fn compact(context: &[u8]) -> Result<String, MaskError> {
    let text = validated(context)?;
    let mut out = String::with_capacity(text.len());
    let (mut at, mut copied) = (0, 0);
    while at < text.len() {
        match byte(text, at) {
            b'"' => at = Raw::read(text, at)?.1,
            0..=b' ' => {
                out.push_str(text.get(copied..at).unwrap_or(""));
                at = token(text, at);
                copied = at;
            }
            _ => at += 1,
        }
    }
    out.push_str(text.get(copied..).unwrap_or(""));
    Ok(out)
}

/// Appends a text as a JSON string.
pub(in crate::decisions) fn push_string(text: &str, out: &mut String) {
    if plain_end(text.as_bytes(), 0) == text.len() {
        out.push('"');
        out.push_str(text);
        out.push('"');
        return;
    }
    // A text always serialises.
    out.push_str(serde_json::to_string(text).as_deref().unwrap_or("\"\""));
}
