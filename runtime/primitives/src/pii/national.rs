//! National identifiers: US SSN and ITIN, UK NHS number and NINO, Canadian SIN, Aadhaar, CPF, and the identifiers
//! that only a word gives away (driver's licence, passport).
//!
//! Called by `number` for groups of digits ([`find`]) and by the scanner for words that mix letters and digits
//! ([`scan_word`]).

use super::bytes::{at, is_word, slice};
use super::checksum::{cpf, luhn, nhs, verhoeff};
use super::context::Topic;
use super::number::{Candidate, Found, Separator};
use super::scan::Scanner;
use super::types::{Confidence, PiiType};

/// Fewest bytes of a word that is an identifier. At least half of them are digits.
pub(super) const SHORTEST_WORD: usize = 7;

/// A national number at the start of the candidate.
pub(super) fn find(candidate: &mut Candidate<'_>) -> Option<Found> {
    let groups = candidate.groups().len();
    if candidate.total(groups) < 6 {
        return None;
    }
    us_number(candidate)
        .or_else(|| br_cpf(candidate))
        .or_else(|| uk_nhs(candidate))
        .or_else(|| ca_sin(candidate))
        .or_else(|| in_aadhaar(candidate))
        .or_else(|| spaced_nino(candidate))
        .or_else(|| named_identifier(candidate))
}

/// An SSN with blanks around its dashes, behind a word that names it.
pub(super) fn find_spaced(candidate: &mut Candidate<'_>) -> Option<Found> {
    candidate
        .nearby()
        .has(Topic::Ssn)
        .then(|| us_number(candidate))
        .flatten()
}

/// SSN or ITIN: `123-45-6789`; with spaces or without separators only next to a telling word.
fn us_number(candidate: &mut Candidate<'_>) -> Option<Found> {
    let (k, separator) = if candidate.has_lengths(&[3, 2, 4]) {
        (3, candidate.uniform_separator(3)?)
    } else if candidate.has_lengths(&[9]) {
        (1, Separator::Start)
    } else {
        return None;
    };
    if !candidate.ends_after(k) {
        return None;
    }
    let (digits, length) = candidate.digits(k);
    let issued = us_number_kind(&digits[..length]);
    let nearby = candidate.nearby();
    let named = nearby.favours(Topic::Ssn, Topic::Identifier) && nearby.favours(Topic::Ssn, Topic::Goods);
    // Whoever says that it is one may have mistyped it, or made it up: it is kept all the same.
    let kind = match issued {
        Some(kind) => kind,
        None if named => PiiType::Ssn,
        None => return None,
    };
    let confidence = match separator {
        Separator::Dash if nearby.has(Topic::Goods) && !named => Confidence::Low,
        Separator::Dash => Confidence::High,
        _ if named => Confidence::High,
        Separator::Space | Separator::Dot => Confidence::Low,
        Separator::Start | Separator::Slash | Separator::Bracket => return None,
    };
    Some(candidate.found(kind, k, confidence))
}

/// Which of the two US numbers nine digits can be.
fn us_number_kind(digits: &[u8]) -> Option<PiiType> {
    let number = |range: std::ops::Range<usize>| {
        digits
            .get(range)
            .unwrap_or(&[])
            .iter()
            .fold(0u32, |value, digit| value * 10 + u32::from(*digit))
    };
    let (area, group, serial) = (number(0..3), number(3..5), number(5..9));
    if area == 0 || area == 666 || group == 0 || serial == 0 {
        return None;
    }
    // Printed in advertisements; never anyone's number.
    if matches!((area, group, serial), (78, 5, 1120) | (219, 9, 9999)) {
        return None;
    }
    match area {
        900.. => matches!(group, 50..=65 | 70..=88 | 90..=92 | 94..=99).then_some(PiiType::UsItin),
        _ => Some(PiiType::Ssn),
    }
}

/// CPF: `123.456.789-09`; without separators only behind its name.
fn br_cpf(candidate: &mut Candidate<'_>) -> Option<Found> {
    if candidate.has_lengths(&[11]) && candidate.ends_after(1) {
        let (digits, length) = candidate.digits(1);
        let named = cpf(&digits[..length]) && candidate.nearby().has(Topic::Cpf);
        return named.then(|| candidate.found(PiiType::BrCpf, 1, Confidence::High));
    }
    let layout = candidate.has_lengths(&[3, 3, 3, 2])
        && candidate.joined_by(3, Separator::Dot)
        && candidate.group(3).separator == Separator::Dash;
    let (digits, length) = candidate.digits(4);
    (layout && candidate.ends_after(4) && cpf(&digits[..length]))
        .then(|| candidate.found(PiiType::BrCpf, 4, Confidence::High))
}

/// The number of groups when the candidate starts with these lengths, or with their sum in one group.
fn grouped(candidate: &Candidate<'_>, lengths: &[usize]) -> Option<usize> {
    let k = if candidate.has_lengths(&[lengths.iter().sum()]) {
        1
    } else if candidate.has_lengths(lengths)
        && matches!(
            candidate.uniform_separator(lengths.len()),
            Some(Separator::Space | Separator::Dash)
        )
    {
        lengths.len()
    } else {
        return None;
    };
    candidate.ends_after(k).then_some(k)
}

fn uk_nhs(candidate: &mut Candidate<'_>) -> Option<Found> {
    let k = grouped(candidate, &[3, 3, 4])?;
    let (digits, length) = candidate.digits(k);
    (nhs(&digits[..length]) && candidate.nearby().has(Topic::Nhs))
        .then(|| candidate.found(PiiType::UkNhs, k, Confidence::High))
}

fn ca_sin(candidate: &mut Candidate<'_>) -> Option<Found> {
    let k = grouped(candidate, &[3, 3, 3])?;
    let (digits, length) = candidate.digits(k);
    let digits = &digits[..length];
    let issued = !matches!(digits.first(), Some(0 | 8));
    let nearby = candidate.nearby();
    // `social insurance number` says the same as `SIN`.
    let named = nearby.has(Topic::Sin) || nearby.has(Topic::Ssn) && nearby.has(Topic::Nino);
    (issued && luhn(digits) && named).then(|| candidate.found(PiiType::CaSin, k, Confidence::High))
}

fn in_aadhaar(candidate: &mut Candidate<'_>) -> Option<Found> {
    let k = grouped(candidate, &[4, 4, 4])?;
    let (digits, length) = candidate.digits(k);
    let digits = &digits[..length];
    let issued = digits.first().is_some_and(|digit| *digit >= 2);
    (issued && verhoeff(digits) && candidate.nearby().has(Topic::Aadhaar))
        .then(|| candidate.found(PiiType::InAadhaar, k, Confidence::High))
}

/// `AB 12 34 56 C`, found from its digits.
fn spaced_nino(candidate: &mut Candidate<'_>) -> Option<Found> {
    let layout = candidate.has_lengths(&[2, 2, 2]) && candidate.joined_by(3, Separator::Space);
    let start = candidate.start.checked_sub(3)?;
    let end = candidate.group(2).end;
    if !layout || candidate.byte_before() != b' ' || at(candidate.text, end) != b' ' {
        return None;
    }
    let prefix = slice(candidate.text, start, start + 2);
    let fits = is_nino_prefix(prefix)
        && matches!(at(candidate.text, end + 1), b'A'..=b'D')
        && !is_word(candidate.text, end + 2)
        && (start == 0 || !is_word(candidate.text, start - 1));
    fits.then_some(Found {
        kind: PiiType::UkNino,
        start,
        end: end + 2,
        confidence: Confidence::High,
    })
}

/// The letters that a NINO may start with.
fn is_nino_prefix(prefix: &[u8]) -> bool {
    let [first, second] = prefix else { return false };
    let never = matches!(prefix, b"BG" | b"GB" | b"KN" | b"NK" | b"NT" | b"TN" | b"ZZ");
    let letters = first.is_ascii_uppercase()
        && second.is_ascii_uppercase()
        && !matches!(first, b'D' | b'F' | b'I' | b'Q' | b'U' | b'V')
        && !matches!(second, b'D' | b'F' | b'I' | b'O' | b'Q' | b'U' | b'V');
    letters && !never
}

/// Digits that are an identifier because a word says so.
fn named_identifier(candidate: &mut Candidate<'_>) -> Option<Found> {
    let length = candidate.group(0).len();
    if !(7..=18).contains(&length) || !candidate.ends_after(1) {
        return None;
    }
    let kind = identifier_kind(&candidate.nearby())?;
    Some(candidate.found(kind, 1, Confidence::Medium))
}

/// Which identifier the words before announce.
fn identifier_kind(nearby: &super::context::Nearby) -> Option<PiiType> {
    if nearby.has(Topic::License) && nearby.has(Topic::Driver) {
        Some(PiiType::DriverLicense)
    } else if nearby.has(Topic::Passport) {
        Some(PiiType::Passport)
    } else {
        None
    }
}

/// A word of letters and digits: NINO, driver's licence, passport.
pub(super) fn scan_word(scanner: &mut Scanner<'_, '_>, start: usize, end: usize) -> Option<usize> {
    let text = scanner.text;
    let word = slice(text, start, end);
    if !(SHORTEST_WORD..=18).contains(&word.len()) || !word.iter().all(u8::is_ascii_alphanumeric) {
        return None;
    }
    let digits = word.iter().filter(|b| b.is_ascii_digit()).count();
    if word.len() == 9
        && is_nino_prefix(&word[..2])
        && word[2..8].iter().all(u8::is_ascii_digit)
        && matches!(word[8], b'A'..=b'D')
    {
        let confidence = if scanner.nearby(start).has(Topic::Nino) {
            Confidence::High
        } else {
            Confidence::Medium
        };
        scanner.emit(PiiType::UkNino, start, end, confidence);
        return Some(end);
    }
    if digits * 2 < word.len() {
        return None;
    }
    let kind = identifier_kind(&scanner.nearby(start))?;
    scanner.emit(kind, start, end, Confidence::Medium);
    Some(end)
}
