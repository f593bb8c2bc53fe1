//! Numbers, times and ids as lines of the log write them, without the machinery of formatting: every line has several.
//!
//! # Invariants
//!
//! - What is written is what `jiff`, `serde_json` and `uuid` write; the tests hold both against each other.

use std::fmt::Write as _;

/// Milliseconds of a day.
const DAY: i64 = 86_400_000;
/// Days since 1970 of the last days of 9999, behind which the calendar of `jiff` ends.
const LAST_DAY: i64 = 2_932_890;
/// Nanoseconds that a double holds as milliseconds with all their digits, and that it writes without an exponent.
const PLAIN: std::ops::Range<u64> = 10..1_000_000_000_000_000;

/// Appends a number.
pub(super) fn push_number(number: u64, out: &mut String) {
    push_digits(number, 1, out);
}

/// Appends the digits of a number, zeros in front up to `width`.
fn push_digits(mut number: u64, width: usize, out: &mut String) {
    // No `u64` has more.
    let mut digits = [b'0'; 20];
    let mut first = digits.len();
    for (at, digit) in digits.iter_mut().enumerate().rev() {
        if number == 0 && first + width <= 20 {
            break;
        }
        *digit = b'0' + (number % 10) as u8;
        number /= 10;
        first = at;
    }
    push_ascii(digits.get(first..).unwrap_or(&[]), out);
}

fn push_ascii(bytes: &[u8], out: &mut String) {
    let text = str::from_utf8(bytes);
    debug_assert!(text.is_ok(), "digits are text");
    out.push_str(text.unwrap_or("0"));
}

/// Appends nanoseconds as milliseconds, with a fraction at least, as `serde_json` writes a double.
pub(super) fn push_milliseconds(ns: u64, out: &mut String) {
    if !PLAIN.contains(&ns) {
        // Of two texts that are as near, it may take another one than the standard library does. Writing to a `String` cannot fail.
        if write!(out, "{}", serde_json::Value::from(ns as f64 / 1e6)).is_err() {
            out.push('0');
        }
        return;
    }
    push_digits(ns / 1_000_000, 1, out);
    out.push('.');
    let (mut fraction, mut width) = (ns % 1_000_000, 6);
    while fraction.is_multiple_of(10) && width > 1 {
        (fraction, width) = (fraction / 10, width - 1);
    }
    push_digits(fraction, width, out);
}

/// Appends a time in RFC 3339 with milliseconds; where the calendar ends, the number.
pub(super) fn push_time(at_ms: i64, out: &mut String) {
    let day = at_ms.div_euclid(DAY);
    if !(0..LAST_DAY).contains(&day) {
        let written = match jiff::Timestamp::from_millisecond(at_ms) {
            Ok(at) => write!(out, "{at:.3}"),
            Err(_) => write!(out, "{at_ms}"),
        };
        if written.is_err() {
            out.push('0');
        }
        return;
    }
    let (year, month, day) = date(day);
    let time = at_ms.rem_euclid(DAY);
    let (seconds, milliseconds) = (time / 1000, time % 1000);
    let mut text = *b"0000-00-00T00:00:00.000Z";
    for (place, value, digits) in [
        (0, year, 4),
        (5, month, 2),
        (8, day, 2),
        (11, seconds / 3600, 2),
        (14, seconds / 60 % 60, 2),
        (17, seconds % 60, 2),
        (20, milliseconds, 3),
    ] {
        let mut value = value;
        for digit in text.iter_mut().skip(place).take(digits).rev() {
            *digit = b'0' + (value % 10) as u8;
            value /= 10;
        }
    }
    push_ascii(&text, out);
}

/// Year, month and day of a day since 1970. Counts in cycles of 400 years that begin in March, so that the day that leap years
/// have more is the last of its year.
fn date(day: i64) -> (i64, i64, i64) {
    const CYCLE: i64 = 146_097;
    let since = day + 719_468;
    let of_cycle = since.rem_euclid(CYCLE);
    let year = (of_cycle - of_cycle / 1460 + of_cycle / 36_524 - of_cycle / 146_096) / 365;
    let of_year = of_cycle - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = year + since.div_euclid(CYCLE) * 400 + i64::from(month <= 2);
    (year, month, day)
}

/// Appends sixteen bytes as hexadecimal digits.
pub(super) fn push_hex(bytes: &[u8; 16], out: &mut String) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = [b'0'; 32];
    for (two, byte) in text.as_chunks_mut::<2>().0.iter_mut().zip(bytes) {
        *two = [byte >> 4, byte & 15].map(|digit| DIGITS.get(usize::from(digit)).copied().unwrap_or(b'0'));
    }
    push_ascii(&text, out);
}

#[cfg(test)]
mod tests {
    use super::{LAST_DAY, push_hex, push_milliseconds, push_number, push_time};
    use crate::storage::model::DecisionId;
    use proptest::prelude::*;

    fn written(push: impl FnOnce(&mut String)) -> String {
        let mut text = "x".to_owned();
        push(&mut text);
        text.split_off(1)
    }

    fn same_time(at_ms: i64) {
        let at = jiff::Timestamp::from_millisecond(at_ms);
        let expected = at.map_or_else(|_| at_ms.to_string(), |at| format!("{at:.3}"));
        assert_eq!(written(|out| push_time(at_ms, out)), expected);
    }

    #[test]
    fn every_day_has_the_date_that_jiff_gives_it() {
        for day in -1000..=LAST_DAY + 10 {
            same_time(day * 86_400_000 + day.rem_euclid(86_399) * 1000 + 7);
        }
        for at_ms in [i64::MIN, -1, 0, 1, i64::MAX] {
            same_time(at_ms);
        }
    }

    #[test]
    fn numbers_at_the_edges_are_those_of_serde_json() {
        let edges = [
            0, 1, 9, 10, 99, 100, 999_999, 1_000_000, 1_000_001, 1_500_000, 10_000_000,
        ];
        let powers = (0..64).flat_map(|bits| [1_u64 << bits, (1 << bits) - 1]);
        let tens = (0..20).map(|power| 10_u64.pow(power));
        // 12304130385378.0625 ms: as near to .062 as to .063.
        let ties = [12_304_130_385_378_062_613];
        let all = edges.into_iter().chain(powers).chain(tens).chain(ties);
        for number in all.chain([u64::MAX]) {
            same_number(number);
        }
    }

    fn same_number(number: u64) {
        assert_eq!(written(|out| push_number(number, out)), number.to_string());
        let milliseconds = serde_json::Value::from(number as f64 / 1e6).to_string();
        assert_eq!(
            written(|out| push_milliseconds(number, out)),
            milliseconds,
            "{number}"
        );
    }

    proptest! {
        #[test]
        fn times_and_numbers_are_those_of_others(at_ms in any::<i64>(), number in any::<u64>(), bits in 0..64_u32) {
            same_time(at_ms >> bits);
            same_number(number >> bits);
        }

        #[test]
        fn an_id_is_written_as_it_is_shown(bytes in any::<[u8; 16]>()) {
            let id = DecisionId::from(bytes);
            prop_assert_eq!(written(|out| push_hex(id.as_bytes(), out)), id.to_string());
        }
    }
}
