//! International bank account numbers: country, length of that country, mod 97.
//!
//! Found from a word that starts with two letters and two digits. Written in one piece or in groups of four, joined by
//! single spaces or dashes; in either case.

use super::bytes::{at, is_word, slice};
use super::checksum::iban_mod97;
use super::scan::Scanner;
use super::types::{Confidence, PiiType};

/// Longest IBAN.
const MAX: usize = 34;

/// Country code and length, from the IBAN registry.
const LENGTHS: &[(&[u8; 2], u8)] = &[
    (b"AD", 24),
    (b"AE", 23),
    (b"AL", 28),
    (b"AT", 20),
    (b"AZ", 28),
    (b"BA", 20),
    (b"BE", 16),
    (b"BG", 22),
    (b"BH", 22),
    (b"BI", 27),
    (b"BR", 29),
    (b"BY", 28),
    (b"CH", 21),
    (b"CR", 22),
    (b"CY", 28),
    (b"CZ", 24),
    (b"DE", 22),
    (b"DJ", 27),
    (b"DK", 18),
    (b"DO", 28),
    (b"EE", 20),
    (b"EG", 29),
    (b"ES", 24),
    (b"FI", 18),
    (b"FK", 18),
    (b"FO", 18),
    (b"FR", 27),
    (b"GB", 22),
    (b"GE", 22),
    (b"GI", 23),
    (b"GL", 18),
    (b"GR", 27),
    (b"GT", 28),
    (b"HR", 21),
    (b"HU", 28),
    (b"IE", 22),
    (b"IL", 23),
    (b"IQ", 23),
    (b"IS", 26),
    (b"IT", 27),
    (b"JO", 30),
    (b"KW", 30),
    (b"KZ", 20),
    (b"LB", 28),
    (b"LC", 32),
    (b"LI", 21),
    (b"LT", 20),
    (b"LU", 20),
    (b"LV", 21),
    (b"LY", 25),
    (b"MC", 27),
    (b"MD", 24),
    (b"ME", 22),
    (b"MK", 19),
    (b"MN", 20),
    (b"MR", 27),
    (b"MT", 31),
    (b"MU", 30),
    (b"NI", 28),
    (b"NL", 18),
    (b"NO", 15),
    (b"OM", 23),
    (b"PK", 24),
    (b"PL", 28),
    (b"PS", 29),
    (b"PT", 25),
    (b"QA", 29),
    (b"RO", 24),
    (b"RS", 22),
    (b"RU", 33),
    (b"SA", 24),
    (b"SC", 31),
    (b"SD", 18),
    (b"SE", 24),
    (b"SI", 19),
    (b"SK", 24),
    (b"SM", 27),
    (b"SO", 23),
    (b"ST", 25),
    (b"SV", 28),
    (b"TL", 23),
    (b"TN", 24),
    (b"TR", 26),
    (b"UA", 29),
    (b"VA", 22),
    (b"VG", 24),
    (b"XK", 20),
    (b"YE", 30),
];

/// Characters of the shortest.
pub(super) const SHORTEST: usize = shortest();

const fn shortest() -> usize {
    let mut shortest = MAX;
    let mut row = 0;
    while row < LENGTHS.len() {
        if (LENGTHS[row].1 as usize) < shortest {
            shortest = LENGTHS[row].1 as usize;
        }
        row += 1;
    }
    shortest
}

/// Looks at the word `start..end`. Returns the end of the account number, which may be words later.
pub(super) fn scan_word(scanner: &mut Scanner<'_, '_>, start: usize, end: usize) -> Option<usize> {
    let text = scanner.text;
    if end - start < 4 || end - start > MAX {
        return None;
    }
    let [a, b, c, d] = *slice(text, start, start + 4) else {
        return None;
    };
    if !(a.is_ascii_alphabetic() && b.is_ascii_alphabetic() && c.is_ascii_digit() && d.is_ascii_digit()) {
        return None;
    }
    let country = [a.to_ascii_uppercase(), b.to_ascii_uppercase()];
    let length = LENGTHS
        .iter()
        .find(|(code, _)| **code == country)
        .map(|(_, length)| usize::from(*length))?;

    let mut number = [0u8; MAX];
    let mut count = 0;
    let mut position = start;
    while count < length {
        let byte = at(text, position);
        if byte.is_ascii_alphanumeric() {
            number[count] = byte;
            count += 1;
        } else if !(matches!(byte, b' ' | b'-') && count.is_multiple_of(4) && is_word(text, position + 1)) {
            return None;
        }
        position += 1;
    }
    scanner.step(position - start);
    if is_word(text, position) || !iban_mod97(&number[..length]) {
        return None;
    }
    scanner.emit(PiiType::Iban, start, position, Confidence::High);
    Some(position)
}
