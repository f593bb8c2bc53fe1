//! Dates of birth: any date, but only next to a word that speaks of birth.
//!
//! Numeric dates come as groups of digits (`1980-03-14`, `3/14/80`, `14.03.1980`). Dates with the month's name are
//! found from their year, looking back over day and month (`14 March 1980`, `March 3rd, 1980`). Other dates are not
//! reported at all; [`is_date`] only keeps them from being read as telephone numbers.

use super::bytes::{at, is_word, slice};
use super::context::Topic;
use super::number::{Candidate, Found, Group, Separator};
use super::scan::Scanner;
use super::types::{Confidence, PiiType};

/// Whether the first three groups are a calendar date, in any of the usual orders.
pub(super) fn is_date(candidate: &Candidate<'_>) -> bool {
    let separated = matches!(
        candidate.uniform_separator(3),
        Some(Separator::Dash | Separator::Slash | Separator::Dot | Separator::Space)
    );
    let goes_on =
        candidate.groups().len() > 3 && candidate.group(3).separator == candidate.group(2).separator;
    if !separated || goes_on {
        return false;
    }
    let (a, b, c) = (candidate.value(0), candidate.value(1), candidate.value(2));
    match (
        candidate.group(0).len(),
        candidate.group(1).len(),
        candidate.group(2).len(),
    ) {
        (4, 1..=2, 1..=2) => is_year(a) && is_day_and_month(b, c),
        (1..=2, 1..=2, 4) => is_year(c) && is_day_and_month(a, b),
        (1..=2, 1..=2, 2) => candidate.group(1).separator != Separator::Space && is_day_and_month(a, b),
        _ => false,
    }
}

/// Years that a date in a text is likely to have.
fn is_year(year: u32) -> bool {
    (1880..=2099).contains(&year)
}

/// Day and month in either order.
fn is_day_and_month(a: u32, b: u32) -> bool {
    let fits = |day: u32, month: u32| (1..=31).contains(&day) && (1..=12).contains(&month);
    fits(a, b) || fits(b, a)
}

/// A numeric date of birth.
pub(super) fn find_numeric(candidate: &mut Candidate<'_>) -> Option<Found> {
    // `1980-03-14T00:00` goes on with a letter, so the end is not checked beyond digits.
    let date = is_date(candidate) && !at(candidate.text, candidate.group(2).end).is_ascii_digit();
    if !date || !candidate.nearby().has(Topic::Birth) {
        return None;
    }
    Some(candidate.found(PiiType::DateOfBirth, 3, Confidence::High))
}

/// A date of birth whose year is `year`, written with the month's name before it.
pub(super) fn find_textual(scanner: &mut Scanner<'_, '_>, year: Group) -> Option<Found> {
    let text = scanner.text;
    if year.len() != 4 || is_word(text, year.end) {
        return None;
    }
    let value = slice(text, year.start, year.end)
        .iter()
        .fold(0u32, |value, byte| value * 10 + u32::from(byte - b'0'));
    if !is_year(value) {
        return None;
    }
    let floor = scanner.barrier.end;
    let start = date_before_year(text, year.start, floor)?;
    if !scanner.nearby(start).has(Topic::Birth) {
        return None;
    }
    Some(Found {
        kind: PiiType::DateOfBirth,
        start,
        end: year.end,
        confidence: Confidence::High,
    })
}

/// The start of `March 3, `, `March 3rd `, `3 March `, `3rd of March, ` or `March ` that ends at `end`.
fn date_before_year(text: &[u8], end: usize, floor: usize) -> Option<usize> {
    let mut month = None;
    let mut start = None;
    let mut position = end;
    for _ in 0..3 {
        let word = word_before(text, position, floor)?;
        let bytes = slice(text, word.0, word.1);
        if month.is_none() && is_month(bytes) {
            month = Some(word.0);
            start = Some(word.0);
        } else if is_day(bytes) {
            start = Some(word.0);
            if month.is_some() {
                break;
            }
        } else if !(month.is_some() && matches!(bytes, b"of" | b"de")) {
            break;
        }
        position = word.0;
    }
    month.and(start)
}

/// The word that ends before `end`, skipping at most two spaces, commas or dots.
fn word_before(text: &[u8], end: usize, floor: usize) -> Option<(usize, usize)> {
    const LONGEST: usize = 12;
    let mut last = end;
    while last > floor && end - last < 2 && matches!(text[last - 1], b' ' | b',' | b'.' | b'-') {
        last -= 1;
    }
    let mut first = last;
    while first > floor && last - first < LONGEST && is_word(text, first - 1) {
        first -= 1;
    }
    (first < last).then_some((first, last))
}

/// A day of the month, with or without an English ending.
fn is_day(word: &[u8]) -> bool {
    let number = word
        .strip_suffix(b"st")
        .or_else(|| word.strip_suffix(b"nd"))
        .or_else(|| word.strip_suffix(b"rd"))
        .or_else(|| word.strip_suffix(b"th"))
        .unwrap_or(word);
    match number {
        [a @ b'1'..=b'9'] => *a <= b'9',
        [a @ b'0'..=b'3', b @ b'0'..=b'9'] => (1..=31).contains(&((a - b'0') * 10 + (b - b'0'))),
        _ => false,
    }
}

/// The name of a month in English, full or short.
fn is_month(word: &[u8]) -> bool {
    const MONTHS: [&[u8]; 12] = [
        b"january",
        b"february",
        b"march",
        b"april",
        b"may",
        b"june",
        b"july",
        b"august",
        b"september",
        b"october",
        b"november",
        b"december",
    ];
    word.len() >= 3
        && MONTHS.iter().any(|month| {
            word.eq_ignore_ascii_case(month)
                || word.len() <= 4 && month.len() > 4 && month[..word.len()].eq_ignore_ascii_case(word)
        })
}
