//! The forms of keys that services issue: a table, and how a key is compared with it.
//!
//! A row is what a key begins with, the characters after that, how many, and what follows them. Rows are tried only at the
//! start of a word, and are found by the first three bytes of it: trying them all would take longer than everything else.
//! Forms that begin with no fixed letters ([`INNER`]) are told by the byte behind their first word.
//!
//! The rows stand in `services`, what they are made of in `parts` and `body`.
//!
//! No checksum is asked for, although some keys have one: what was rotated, cut from a document or made before the checksum
//! came is still a key.

mod body;
mod parts;
mod services;

use super::values::{DISTINCT, Shape, is_placeholder};
use crate::pii::bytes::{CLASSES, WORD, at, is_word, run_end, slice};
use crate::pii::scan::Scanner;
use crate::pii::types::{Confidence, PiiType};
pub(super) use body::Body;
use parts::{Format, Part};
use services::{FORMATS, INNER, SHORT};

use Body::{Alnum, Hex, Lower, Upper, Url};
use Part::{Run, Text};

/// By the byte behind a first word, a bit for each length that it has in [`INNER`].
static FIRST_WORDS: [u64; 256] = first_words();

const fn first_words() -> [u64; 256] {
    let mut lengths = [0; 256];
    let mut row = 0;
    while row < INNER.len() {
        let (behind, parts) = INNER[row];
        let (mut shortest, mut longest) = (0, 0);
        let mut part = 0;
        let mut ended = false;
        while part < parts.len() && !ended {
            match parts[part] {
                Run(_, fewest, most) => {
                    shortest += fewest;
                    longest += most;
                }
                Text(fixed) => {
                    let fixed = fixed.as_bytes();
                    let mut byte = 0;
                    while byte < fixed.len() && CLASSES[fixed[byte] as usize] & WORD != 0 {
                        byte += 1;
                    }
                    shortest += byte;
                    longest += byte;
                    ended = byte < fixed.len();
                    assert!(
                        !ended || fixed[byte] == behind,
                        "the byte behind the first word is another one"
                    );
                }
            }
            part += 1;
        }
        assert!(longest < 64, "lengths are bits");
        let mut length = shortest;
        while length <= longest {
            lengths[behind as usize] |= 1 << length;
            length += 1;
        }
        row += 1;
    }
    lengths
}

/// The end of `parts` at `start`, when they stand there.
fn parts_end(text: &[u8], start: usize, parts: &[Part]) -> Option<usize> {
    let mut position = start;
    for part in parts {
        match *part {
            Text(fixed) => {
                let end = position + fixed.len();
                if slice(text, position, end) != fixed.as_bytes() {
                    return None;
                }
                position = end;
            }
            Run(body, shortest, longest) => {
                let end = run_end(text, position, longest, |b| body.has(b));
                if end - position < shortest {
                    return None;
                }
                position = end;
            }
        }
    }
    Some(position)
}

/// Buckets of rows by their first three bytes.
const BUCKETS: usize = 1024;

/// The first three bytes of a key.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Beginning(u32);

impl Beginning {
    #[inline(always)]
    const fn of(first: u8, second: u8, third: u8) -> Beginning {
        Beginning((first as u32) << 16 | (second as u32) << 8 | third as u32)
    }

    #[inline(always)]
    fn at(text: &[u8], start: usize) -> Beginning {
        match text.get(start..).and_then(<[u8]>::first_chunk) {
            Some([first, second, third]) => Beginning::of(*first, *second, *third),
            None => Beginning(0),
        }
    }

    #[inline(always)]
    const fn bucket(self) -> usize {
        (self.0.wrapping_mul(0x9E37_79B1) >> (u32::BITS - BUCKETS.ilog2())) as usize
    }
}

/// Rows of [`FORMATS`] by their first three bytes, in order.
struct Rows {
    first: [u16; BUCKETS],
    next: [u16; FORMATS.len()],
    beginnings: [Beginning; FORMATS.len()],
}

/// No row; also how many rows there can be.
const NO_ROW: u16 = u16::MAX;

static ROWS: Rows = rows();

const fn rows() -> Rows {
    assert!(FORMATS.len() < NO_ROW as usize, "rows are numbered by two bytes");
    let mut rows = Rows {
        first: [NO_ROW; BUCKETS],
        next: [NO_ROW; FORMATS.len()],
        beginnings: [Beginning(0); FORMATS.len()],
    };
    let mut row = FORMATS.len();
    while row > 0 {
        row -= 1;
        let prefix = FORMATS[row].prefix;
        assert!(prefix.len() >= 3, "shorter ones stand in the other table");
        let beginning = Beginning::of(prefix[0], prefix[1], prefix[2]);
        let bucket = beginning.bucket();
        rows.beginnings[row] = beginning;
        rows.next[row] = rows.first[bucket];
        rows.first[bucket] = row as u16;
    }
    rows
}

/// The bytes that rows of [`SHORT`] begin with.
static SHORT_BEGINS: [bool; 256] = short_begins();

const fn short_begins() -> [bool; 256] {
    let mut begins = [false; 256];
    let mut row = 0;
    while row < SHORT.len() {
        begins[SHORT[row].prefix[0] as usize] = true;
        row += 1;
    }
    begins
}

/// Whether a key of a known form, or a JSON web token, may begin at `start`, where the first word ends at `word_end`.
#[inline(always)]
pub(super) fn may_begin(text: &[u8], start: usize, word_end: usize) -> bool {
    let beginning = Beginning::at(text, start);
    let length = word_end - start;
    ROWS.first[beginning.bucket()] != NO_ROW
        || SHORT_BEGINS[usize::from(at(text, start))]
        || beginning == Beginning::of(b'e', b'y', b'J')
        || FIRST_WORDS[usize::from(at(text, word_end))] >> (length % 64) & 1 != 0
        || length == MAXMIND
}

/// Looks for a key of a known form at `start`, whose first word ends at `word_end`. Returns where to go on when it was one,
/// or when it was too long to be read again.
pub(super) fn scan(scanner: &mut Scanner<'_, '_>, start: usize, word_end: usize) -> Option<usize> {
    let text = scanner.text;
    let beginning = Beginning::at(text, start);
    let mut row = ROWS.first[beginning.bucket()];
    while let Some(known) = ROWS.beginnings.get(usize::from(row)) {
        if *known == beginning
            && let Some(next) = FORMATS
                .get(usize::from(row))
                .and_then(|format| keyed(scanner, start, format))
        {
            return Some(next);
        }
        row = ROWS.next[usize::from(row)];
    }
    let first = at(text, start);
    if SHORT_BEGINS[usize::from(first)] {
        let mut rows = SHORT.iter().filter(|format| format.prefix[0] == first);
        let next = rows.find_map(|format| keyed(scanner, start, format));
        if next.is_some() {
            return next;
        }
    }
    inner(scanner, start, word_end)
}

/// A key that begins as one row says.
fn keyed(scanner: &mut Scanner<'_, '_>, start: usize, format: &Format) -> Option<usize> {
    let prefix = slice(scanner.text, start, start + format.prefix.len());
    (prefix == format.prefix)
        .then(|| one(scanner, start, format))
        .flatten()
}

/// A key whose form is that of one row.
fn one(scanner: &mut Scanner<'_, '_>, start: usize, format: &Format) -> Option<usize> {
    let text = scanner.text;
    let body = start + format.prefix.len();
    let (shortest, longest) = format.lengths;
    let mut end = run_end(text, body, longest + 1, |b| format.body.has(b));
    scanner.step(end - start);
    if !format.tail.is_empty() {
        // What follows says where the body ends.
        let body_end = (shortest..=(end - body).min(longest))
            .rev()
            .find(|length| parts_end(text, body + length, format.tail).is_some())?;
        let end = parts_end(text, body + body_end, format.tail)?;
        scanner.step((end - body) * 2);
        let shape = Shape::of(slice(text, body, end));
        if is_word(text, end) || shape.distinct < DISTINCT || shape.digits == 0 && !shape.is_jumbled() {
            return None;
        }
        scanner.emit(PiiType::ApiKey, start, end, Confidence::High);
        return Some(end);
    }
    // A full stop or dash after the token belongs to the sentence, unless the token would be too short without it, or a
    // quotation mark ends it.
    let closed = matches!(at(text, end), b'"' | b'\'' | b'`');
    while end > body + shortest && !closed && matches!(text[end - 1], b'.' | b'-' | b'/' | b'=') {
        end -= 1;
    }
    let length = end - body;
    if length > longest && length > super::JUMP {
        return Some(end);
    }
    if length < shortest || length > longest || is_word(text, end) {
        return None;
    }
    let shape = Shape::of(slice(text, body, end));
    // A short prefix followed by dashes and words is a name (`sk-loading-spinner`), unless the words look random; and so is
    // a word behind three letters (`as-internationalisation`).
    let short = format.prefix.len() <= 3 && length <= 24 && matches!(format.body, Alnum | Url);
    let brief = format.prefix.len() <= 4 || format.prefix.len() == 5 && format.prefix.ends_with(b"_");
    let named = short || brief && format.body == Url && shape.marks > 0;
    // No word is so long, in whatever case its letters are.
    let long = length >= 30 && matches!(format.body, Alnum | Lower);
    // A number with letters before it is an identifier, unless keys of the form are numbers.
    let number = shape.digits == shape.length && !matches!(format.body, Body::Digit | Hex | Upper);
    // Letters that are called are a function: `test_aVeryLongName()`.
    let called = shape.digits == 0 && at(text, end) == b'(';
    let telling = !(number || called)
        && shape.distinct >= DISTINCT.min(shape.length as u32 / 2)
        && (shape.digits > 0 || shape.is_jumbled() || shape.is_lettered() || long || format.body == Upper)
        && (!named || shape.is_random() || shape.is_jumbled() && shape.is_key());
    if !telling {
        return None;
    }
    scanner.emit(PiiType::ApiKey, start, end, Confidence::High);
    Some(end)
}

/// Characters of a licence key of MaxMind.
const MAXMIND: usize = 40;

/// A key of one of the forms in [`INNER`].
fn inner(scanner: &mut Scanner<'_, '_>, start: usize, word_end: usize) -> Option<usize> {
    let text = scanner.text;
    let behind = at(text, word_end);
    let length = u32::try_from(word_end - start).unwrap_or(u32::MAX);
    let lengths = FIRST_WORDS[usize::from(behind)].checked_shr(length).unwrap_or(0);
    let may_begin = if lengths & 1 != 0 { INNER } else { &[] };
    for (_, parts) in may_begin.iter().filter(|(byte, _)| *byte == behind) {
        let Some(end) = parts_end(text, start, parts) else {
            continue;
        };
        scanner.step(end - start);
        let key = slice(text, start, end);
        if !is_word(text, end) && Shape::of(key).distinct >= DISTINCT && !is_placeholder(key) {
            scanner.emit(PiiType::ApiKey, start, end, Confidence::High);
            return Some(end);
        }
    }
    // MaxMind: a licence key says so in its last letters.
    let word = slice(text, start, word_end);
    if word.len() == MAXMIND && word.ends_with(b"_mmk") && word[6] == b'_' {
        scanner.emit(PiiType::ApiKey, start, word_end, Confidence::High);
        return Some(word_end);
    }
    None
}
