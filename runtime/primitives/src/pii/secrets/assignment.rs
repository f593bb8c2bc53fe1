//! Values that a sign, an element or a flag gives to a name: `name = value`, `<name>value</name>`, `--name value`.

use super::formats::Body;
use super::names::Weight;
use super::value::{LONGEST_VALUE, Opened, SHORTEST_WEAK, name_before, scheme_end, solid_end, value};
use super::values::{Shape, is_basic};
use super::{JUMP, LONGEST_NAME, SHORTEST_PASSWORD, names};
use crate::pii::bytes::{CLASS, DIGIT, VALUE, at, is_word, run_end, slice};
use crate::pii::scan::Scanner;
use crate::pii::types::{Confidence, PiiType};

/// Looks at the `=`, `:` or `>` at `sign`: the last of what assigns a value to a name. Returns where to go on.
#[inline(always)]
pub(in crate::pii) fn scan_assignment(scanner: &mut Scanner<'_, '_>, sign: usize) -> Option<usize> {
    let text = scanner.text;
    if text[sign] != b'>' && is_brief(text, sign + 1) || is_of_a_path(text, sign) {
        return None;
    }
    assignment(scanner, sign)
}

/// As [`scan_assignment`].
fn assignment(scanner: &mut Scanner<'_, '_>, sign: usize) -> Option<usize> {
    let text = scanner.text;
    let element = text[sign] == b'>';
    let opened = Opened::after(text, sign + 1, text[sign] != b'=')?;
    // Most of what follows is no secret: too short, or a word. Looking at it is less work than reading the name.
    let (start, end, telling) = if element {
        let start = scheme_end(text, opened.start).unwrap_or(opened.start);
        if !has_long_word(text, start) {
            return None;
        }
        let end = run_end(text, start, SHORTEST_WEAK, |b| b != b'<');
        (start, end, slice(text, start, end).iter().any(u8::is_ascii_digit))
    } else {
        let start = opened.start;
        let (end, telling) = beginning(text, start, opened.quote);
        // A scheme ends with a blank, as few values do.
        let scheme = if at(text, end) == b' ' {
            scheme_end(text, start)
        } else {
            None
        };
        match scheme {
            Some(start) => {
                let (end, telling) = beginning(text, start, opened.quote);
                (start, end, telling)
            }
            None => (start, end, telling),
        }
    };
    scanner.step(end - sign);
    // `Pass->run(…)` of programs; an arrow that stands for a sign has a blank behind it.
    if element && sign > 0 && text[sign - 1] == b'-' && opened.start == sign + 1 {
        return None;
    }
    if end - start < SHORTEST_PASSWORD || end - start < SHORTEST_WEAK && !telling {
        return None;
    }
    let weight = match weight_before(scanner, sign) {
        Some(weight) => weight,
        None if start == sign + 1 && is_login(text, sign, scanner.barrier.end) => Weight::PlainPassword,
        None => return None,
    };
    if element {
        return self::element(scanner, start, weight);
    }
    // `Authorization: Basic …`.
    if start > opened.start && slice(text, opened.start, opened.start + 6).eq_ignore_ascii_case(b"basic ") {
        let last = run_end(text, start, LONGEST_VALUE, |b| Body::Base64.has(b));
        scanner.step(last - start);
        if is_basic(slice(text, start, last)) && !is_word(text, last) {
            scanner.emit(PiiType::ApiKey, start, last, Confidence::Medium);
            return Some(last);
        }
    }
    value(scanner, start, weight, &opened)
}

/// Whether the colon at `sign` stands behind the user of `curl -u user:password`.
fn is_login(text: &[u8], sign: usize, barrier: usize) -> bool {
    const LONGEST_USER: usize = 64;
    let floor = barrier.max(sign.saturating_sub(LONGEST_USER));
    let mut start = sign;
    while start > floor
        && (is_word(text, start - 1) || matches!(text[start - 1], b'.' | b'-' | b'@' | b'+' | b'%'))
    {
        start -= 1;
    }
    let quoted = start > floor && matches!(text[start - 1], b'"' | b'\'');
    // `-uuser:password`.
    if slice(text, start, start + 2) == b"-u" && !quoted {
        start += 2;
    }
    let flag = slice(text, floor, start - usize::from(quoted));
    start < sign
        && text[sign] == b':'
        && [&b" -u "[..], b" -u", b" --user ", b" --user=", b" --proxy-user "]
            .iter()
            .any(|login| flag.ends_with(login))
}

/// Whether what begins at `position`, behind one blank at most, is shorter than any value, and no word or mark that may stand
/// before one. `false` is no answer.
#[inline(always)]
fn is_brief(text: &[u8], position: usize) -> bool {
    let start = position + usize::from(at(text, position) == b' ');
    let Some(bytes) = text
        .get(start..)
        .and_then(<[u8]>::first_chunk::<SHORTEST_PASSWORD>)
    else {
        return false;
    };
    let is_value = |byte: &u8| CLASS[usize::from(*byte)] & VALUE != 0;
    match bytes.iter().position(|byte| !is_value(byte)) {
        // What opens no quotation, goes on on no other line, and hides no quotation mark.
        Some(0) => matches!(
            bytes[0],
            b'(' | b'[' | b'{' | b'}' | b')' | b']' | b'&' | b',' | b';' | b'<'
        ),
        // `b"…"`; a scheme before a blank; `|` and `>-` before a line.
        Some(end) => !matches!(bytes[end], b' ' | b'"' | b'\'' | b'\n') && bytes[1] != b'-',
        None => false,
    }
}

/// Whether one of the words that [`element`] looks at, from `start` on, is as long as a secret.
fn has_long_word(text: &[u8], start: usize) -> bool {
    let mut position = start;
    for _ in 0..MOST_WORDS {
        position = run_end(text, position, 2, is_before_word);
        let end = run_end(text, position, SHORTEST_PASSWORD, is_in_element);
        if end - position >= SHORTEST_PASSWORD {
            return true;
        }
        if at(text, end) != b' ' {
            return false;
        }
        position = end;
    }
    false
}

/// Words of an XML element that are looked at.
const MOST_WORDS: usize = 6;

/// What may stand before a word of an XML element.
fn is_before_word(byte: u8) -> bool {
    matches!(byte, b' ' | b'{' | b'"' | b'\'')
}

/// Part of a word of an XML element.
fn is_in_element(byte: u8) -> bool {
    byte.is_ascii_graphic() && byte != b'<'
}

/// Whether the colon at `sign` is the second of two in a path: `auth::Token`.
#[inline(always)]
fn is_of_a_path(text: &[u8], sign: usize) -> bool {
    let before = |place: usize| sign.checked_sub(place).map_or(0, |place| text[place]);
    text[sign] == b':' && before(1) == b':' && at(text, sign + 1) != b' ' && !assigns(before(2))
}

/// Whether `byte` may stand before the sign that gives a value: `==`, `:=`, `=>`, `->`, `?=`, `.=`, `||=`.
fn assigns(byte: u8) -> bool {
    matches!(byte, b'=' | b':' | b'-' | b'?' | b'.' | b'|' | b'+' | b'!')
}

/// The end of the value at `start`, or of its first [`SHORTEST_WEAK`] bytes, and whether they hold a digit. `quote` is the
/// quotation mark before it; 0 without.
#[inline(always)]
fn beginning(text: &[u8], start: usize, quote: u8) -> (usize, bool) {
    let (mut end, mut seen) = (start, 0);
    for byte in slice(text, start, text.len().min(start + SHORTEST_WEAK)) {
        let class = CLASS[usize::from(*byte)];
        if class & VALUE == 0 && !(quote != 0 && byte.is_ascii_graphic() && *byte != quote) {
            break;
        }
        seen |= class;
        end += 1;
    }
    (end, seen & DIGIT != 0)
}

/// The content of an XML element at `start` whose name has some weight: its first word that is secret. Returns where to go on.
fn element(scanner: &mut Scanner<'_, '_>, start: usize, weight: Weight) -> Option<usize> {
    let text = scanner.text;
    let opened = Opened { start, quote: 0 };
    let mut position = start;
    for word in 0..MOST_WORDS {
        position = run_end(text, position, 2, is_before_word);
        let end = run_end(text, position, JUMP, is_in_element);
        // Behind other words only what is random is the value.
        let may_be = word == 0 || Shape::of(slice(text, position, end)).is_random();
        if may_be && let Some(next) = value(scanner, position, weight, &opened) {
            return Some(next);
        }
        scanner.step(end - position);
        if at(text, end) != b' ' {
            return None;
        }
        position = end;
    }
    None
}

/// Looks at the dashes of `--name value`, of which the second is at `dash`. Returns where to go on.
pub(in crate::pii) fn scan_flag(scanner: &mut Scanner<'_, '_>, dash: usize) -> Option<usize> {
    let text = scanner.text;
    let first = dash.checked_sub(1)?;
    let begins =
        first <= scanner.barrier.end || matches!(text[first - 1], b' ' | b'\n' | b'\t' | b'"' | b'\'' | b'`');
    if first < scanner.barrier.end || text[first] != b'-' || !begins {
        return None;
    }
    let end = run_end(text, dash + 1, LONGEST_NAME, |b| {
        b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_')
    });
    scanner.step(end - dash);
    let weight = names::weigh(slice(text, dash + 1, end));
    if weight == Weight::None || at(text, end) != b' ' {
        return None;
    }
    let opened = Opened::after(text, end, false)?;
    let password = solid_end(text, opened.start) - opened.start < SHORTEST_FLAG;
    if weight.is_password() && password {
        return None;
    }
    value(scanner, opened.start, weight, &opened)
}

/// Characters of a password behind a flag, at least: shorter ones are words of the sentence.
const SHORTEST_FLAG: usize = 10;

/// What the name says that the sign at `sign` gives a value to, when it says anything.
fn weight_before(scanner: &mut Scanner<'_, '_>, sign: usize) -> Option<Weight> {
    let text = scanner.text;
    let floor = scanner.barrier.end.max(sign.saturating_sub(2 * LONGEST_NAME));
    let mut end = sign;
    while end > floor && sign - end < 3 && assigns(text[end - 1]) {
        end -= 1;
    }
    // A path: `auth::Token`.
    if text[sign] == b':' && end < sign && text[end] == b':' && at(text, sign + 1) != b' ' {
        return None;
    }
    let (start, last) = name_before(text, end, floor);
    scanner.step(sign - start);
    let mut weight = names::weigh(slice(text, start, last));
    if weight == Weight::None {
        // The type stands between: `token: String =`, `token: &'static str =`.
        let typed = matches!(
            slice(text, start, last),
            b"String" | b"string" | b"str" | b"static str" | b"any" | b"Secret"
        );
        let mut colon = start;
        while colon > floor && matches!(text[colon - 1], b'&' | b'\'' | b' ') {
            colon -= 1;
        }
        // The name stands in an attribute or a field of its own: `key="password" value="…"`, `name: X, value: …`.
        let paired = matches!(
            slice(text, start, last),
            b"value" | b"Value" | b"val" | b"string" | b"default"
        );
        if typed && colon > floor && text[colon - 1] == b':' {
            let (start, last) = name_before(text, colon - 1, floor);
            scanner.step(colon - start);
            weight = names::weigh(slice(text, start, last));
        } else if paired {
            let mut end = start;
            while end > floor
                && matches!(
                    text[end - 1],
                    b' ' | b'"' | b'\'' | b',' | b'\n' | b'\r' | b'\t' | b'-'
                )
            {
                end -= 1;
            }
            let (start, last) = name_before(text, end, floor);
            scanner.step(end - start);
            weight = names::weigh(slice(text, start, last));
        }
    }
    (weight != Weight::None).then_some(weight)
}
