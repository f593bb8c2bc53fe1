//! Dates of birth: any date, but only next to a word that speaks of birth.
//!
//! Numeric dates come as groups of digits (`1980-03-14`, `3/14/80`, `14.03.1980`). Dates with the month's name are
//! found from their year, looking back over day and month (`14 March 1980`, `March 3rd, 1980`). Other dates are not
//! reported at all; [`is_date`] only keeps them from being read as telephone numbers.

use super::bytes::{at, is_word, run_end, slice};
use super::context::{Topic, topic_after};
use super::dictionary::Dictionary;
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
    let birth = |candidate: &mut Candidate<'_>| {
        candidate.nearby().has(Topic::Birth)
            || topic_after(candidate.text, candidate.group(2).end, Topic::Birth)
    };
    if !date || !birth(candidate) {
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
    let (start, end) = match date_after_year(text, year.end) {
        Some(end) => (year.start, end),
        None => (date_before_year(text, year.start, floor)?, year.end),
    };
    if !scanner.nearby(start).has(Topic::Birth) && !topic_after(text, end, Topic::Birth) {
        return None;
    }
    Some(Found {
        kind: PiiType::DateOfBirth,
        start,
        end,
        confidence: Confidence::High,
    })
}

/// The end of `年3月14日` or `년 3월 14일` at `position`.
fn date_after_year(text: &[u8], position: usize) -> Option<usize> {
    if at(text, position) < 0x80 {
        return None;
    }
    let mut position = position;
    for (step, signs) in [["年", "년"], ["月", "월"], ["日", "일"]].iter().enumerate() {
        if step > 0 {
            position = run_end(text, position, 1, |b| b == b' ');
            let digits = run_end(text, position, 2, |b| b.is_ascii_digit());
            if digits == position {
                return None;
            }
            position = digits;
        }
        let sign = signs
            .iter()
            .find(|sign| slice(text, position, position + sign.len()) == sign.as_bytes())?;
        position += sign.len();
    }
    Some(position)
}

/// The start of `March 3, `, `March 3rd `, `3 March `, `3rd of March, ` or `March ` that ends at `end`.
fn date_before_year(text: &[u8], end: usize, floor: usize) -> Option<usize> {
    let mut month = None;
    let mut start = None;
    let mut position = end;
    for _ in 0..5 {
        let Some(word) = word_before(text, position, floor) else {
            break;
        };
        let bytes = slice(text, word.0, word.1);
        if month.is_none() && is_month(bytes) {
            month = Some(word.0);
            start = Some(word.0);
        } else if is_day(bytes) {
            start = Some(word.0);
            if month.is_some() {
                break;
            }
        } else if !(month.is_some() && matches!(bytes, b"of" | b"de") || month.is_none() && bytes == b"de") {
            break;
        }
        position = word.0;
    }
    month.and(start)
}

/// The word that ends before `end`, skipping at most two spaces, commas or dots.
fn word_before(text: &[u8], end: usize, floor: usize) -> Option<(usize, usize)> {
    const LONGEST: usize = 20;
    let mut last = end;
    while last > floor && end - last < 2 && matches!(text[last - 1], b' ' | b',' | b'.' | b'-') {
        last -= 1;
    }
    let mut first = last;
    while first > floor && last - first < LONGEST && (is_word(text, first - 1) || text[first - 1] >= 0x80) {
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
        .or_else(|| word.strip_suffix(b"er"))
        .unwrap_or(word);
    match number {
        [a @ b'1'..=b'9'] => *a <= b'9',
        [a @ b'0'..=b'3', b @ b'0'..=b'9'] => (1..=31).contains(&((a - b'0') * 10 + (b - b'0'))),
        _ => false,
    }
}

/// Whether `word` is the name of a month, full or short, in the languages of [`MONTHS`].
fn is_month(word: &[u8]) -> bool {
    let short = (3..=4).contains(&word.len());
    word.len() >= 3
        && MONTHS.alike(word).any(|(month, ())| {
            let month = month.as_bytes();
            let shortened = short && month.len() > word.len() && month.is_ascii();
            word.eq_ignore_ascii_case(month) || shortened && month[..word.len()].eq_ignore_ascii_case(word)
        })
}

/// English, and where they are not written as in a row before: German, French, Spanish, Italian, Portuguese, Dutch, Polish (of
/// a month), Czech (of a month), Swedish, Danish, Turkish, Russian and Ukrainian (of a month).
static MONTHS: Dictionary<(), 135> = Dictionary::of(&[
    ("january", ()),
    ("february", ()),
    ("march", ()),
    ("april", ()),
    ("may", ()),
    ("june", ()),
    ("july", ()),
    ("august", ()),
    ("september", ()),
    ("october", ()),
    ("november", ()),
    ("december", ()),
    ("januar", ()),
    ("februar", ()),
    ("märz", ()),
    ("maerz", ()),
    ("mai", ()),
    ("juni", ()),
    ("juli", ()),
    ("oktober", ()),
    ("dezember", ()),
    ("desember", ()),
    ("janvier", ()),
    ("février", ()),
    ("fevrier", ()),
    ("mars", ()),
    ("avril", ()),
    ("juin", ()),
    ("juillet", ()),
    ("août", ()),
    ("aout", ()),
    ("septembre", ()),
    ("octobre", ()),
    ("novembre", ()),
    ("décembre", ()),
    ("decembre", ()),
    ("enero", ()),
    ("febrero", ()),
    ("marzo", ()),
    ("abril", ()),
    ("mayo", ()),
    ("junio", ()),
    ("julio", ()),
    ("agosto", ()),
    ("septiembre", ()),
    ("octubre", ()),
    ("noviembre", ()),
    ("diciembre", ()),
    ("gennaio", ()),
    ("febbraio", ()),
    ("aprile", ()),
    ("maggio", ()),
    ("giugno", ()),
    ("luglio", ()),
    ("settembre", ()),
    ("ottobre", ()),
    ("dicembre", ()),
    ("janeiro", ()),
    ("fevereiro", ()),
    ("março", ()),
    ("maio", ()),
    ("junho", ()),
    ("julho", ()),
    ("setembro", ()),
    ("outubro", ()),
    ("novembro", ()),
    ("dezembro", ()),
    ("januari", ()),
    ("februari", ()),
    ("maart", ()),
    ("mei", ()),
    ("augustus", ()),
    ("stycznia", ()),
    ("lutego", ()),
    ("marca", ()),
    ("kwietnia", ()),
    ("maja", ()),
    ("czerwca", ()),
    ("lipca", ()),
    ("sierpnia", ()),
    ("września", ()),
    ("października", ()),
    ("listopada", ()),
    ("grudnia", ()),
    ("ledna", ()),
    ("února", ()),
    ("března", ()),
    ("dubna", ()),
    ("května", ()),
    ("června", ()),
    ("července", ()),
    ("srpna", ()),
    ("září", ()),
    ("října", ()),
    ("listopadu", ()),
    ("prosince", ()),
    ("maj", ()),
    ("augusti", ()),
    ("ocak", ()),
    ("şubat", ()),
    ("Şubat", ()),
    ("mart", ()),
    ("nisan", ()),
    ("mayıs", ()),
    ("haziran", ()),
    ("temmuz", ()),
    ("ağustos", ()),
    ("eylül", ()),
    ("ekim", ()),
    ("kasım", ()),
    ("aralık", ()),
    ("января", ()),
    ("февраля", ()),
    ("марта", ()),
    ("апреля", ()),
    ("мая", ()),
    ("июня", ()),
    ("июля", ()),
    ("августа", ()),
    ("сентября", ()),
    ("октября", ()),
    ("ноября", ()),
    ("декабря", ()),
    ("січня", ()),
    ("лютого", ()),
    ("березня", ()),
    ("квітня", ()),
    ("травня", ()),
    ("червня", ()),
    ("липня", ()),
    ("серпня", ()),
    ("вересня", ()),
    ("жовтня", ()),
    ("листопада", ()),
    ("грудня", ()),
]);
