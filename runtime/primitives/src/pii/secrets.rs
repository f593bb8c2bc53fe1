//! Secrets: keys and tokens of known services, JSON web tokens, PEM private keys, passwords in URLs, and values
//! that stand behind a name such as `api_key`.
//!
//! # What is found how
//!
//! | form | found from | by |
//! | --- | --- | --- |
//! | a key of a known service | the start of its first word | a row of the table in `formats` |
//! | `eyJ….eyJ….…` | the same | its three parts |
//! | `name = value`, `"name": "value"`, `name => value`, `<name>value</name>`, `environ["name"] = "value"` | `=`, `:`, `>` | what `names` says of the name and `values` of the value |
//! | `--name value` | the second dash | the same |
//! | a cell of a table | a word in it | what `names` says of its column |
//! | `curl -u user:value` | the colon | the flag before it |
//! | `Bearer value`, `setenv("NAME", "value")`, `#define NAME "value"`, `login x password value`, `the password is value` | the value | the words before it |
//! | `-----BEGIN PRIVATE KEY-----` and a body | the first dash | its lines |
//! | `scheme://user:password@host` | `@` | the colon before it |
//!
//! Words are looked at only where enough bytes without a space follow, which prose lacks. Placeholders (`sk-xxxxxxxx`,
//! `your-api-key`) do not count, nor does what a program calls or reads (`token = tokens.next()`).

mod formats;
mod names;
mod values;

use self::formats::Body;
use self::names::Weight;
pub(super) use self::names::speaks_of_secret;
use self::values::{
    Shape, is_address, is_algorithm, is_basic, is_escaped_word, is_file, is_host, is_placeholder, is_uuid,
};
use super::bytes::{ALPHA, CLASS, DIGIT, VALUE, WORD, at, class_at, is_solid, is_word, run_end, slice};
use super::scan::Scanner;
use super::table::is_in_first_line;
use super::types::{Confidence, PiiType};

/// Fewest bytes without a space that a secret has which nothing before it names.
pub(super) const SHORTEST: usize = 16;
/// Fewest bytes of a name, what assigns, and a value.
pub(super) const SHORTEST_ASSIGNED: usize = 2 + 1 + SHORTEST_PASSWORD;
/// Characters of a password, at least.
const SHORTEST_PASSWORD: usize = 8;
/// Characters of a key behind a telling name, at least.
const SHORTEST_KEY: usize = 14;
/// Characters of a key behind a name that may mean other keys, at least.
const SHORTEST_WEAK: usize = 20;
/// Longest value assigned to a name.
const LONGEST_VALUE: usize = 4096;
/// Longest name, with the words before it.
const LONGEST_NAME: usize = 48;
/// A run that was read and is no secret is jumped over when it is longer than this: reading it again from each of its
/// words would be quadratic.
const JUMP: usize = 128;

/// Looks at the word `start..end`, behind which bytes are known to be solid up to `solid`. Returns the end of the secret
/// that starts there.
#[inline(always)]
pub(super) fn scan_word(
    scanner: &mut Scanner<'_, '_>,
    start: usize,
    end: usize,
    solid: usize,
) -> Option<usize> {
    let text = scanner.text;
    if formats::may_begin(text, start, end) || may_be_spoken(text, start) {
        return roomy_word(scanner, start, end, solid);
    }
    None
}

/// As [`scan_word`].
fn roomy_word(scanner: &mut Scanner<'_, '_>, start: usize, end: usize, solid: usize) -> Option<usize> {
    let text = scanner.text;
    // A word has no space.
    let known = end.max(solid);
    let missing = SHORTEST.saturating_sub(known - start);
    let solid = run_end(text, known, missing, is_solid);
    scanner.step(solid - known);
    if solid - start < SHORTEST {
        return None;
    }
    let lead = before_marks(scanner, start);
    // Grafana's old keys begin as a token does.
    if slice(text, start, start + 3) == b"eyJ"
        && slice(text, start, start + 8) != b"eyJrIjoi"
        && let Some(next) = jwt(scanner, start)
    {
        return Some(next);
    }
    formats::scan(scanner, start, end)
        .or_else(|| in_column(scanner, start))
        .or_else(|| spoken(scanner, lead))
}

/// Looks at the word at `start`, which holds a digit and stands among bytes that are too few for a key: for a password in a
/// table, or one that words name. Returns where to go on.
pub(super) fn scan_short(scanner: &mut Scanner<'_, '_>, start: usize) -> Option<usize> {
    const LONGEST_LEAD: usize = SHORTEST;
    let text = scanner.text;
    let inside =
        |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\'' | b'`' | b',' | b';' | b'|');
    let floor = scanner.barrier.end.max(start.saturating_sub(LONGEST_LEAD));
    let mut lead = start;
    while lead > floor && inside(text[lead - 1]) {
        lead -= 1;
    }
    let end = run_end(text, start, SHORTEST_PASSWORD, is_solid);
    scanner.step(end - lead);
    if end - lead < SHORTEST_PASSWORD {
        return None;
    }
    in_column(scanner, start).or_else(|| spoken_password(scanner, lead))
}

/// The start of a password of which the word at `start` is the rest: letters and a mark may stand before it, at which nothing
/// else starts.
fn before_marks(scanner: &mut Scanner<'_, '_>, start: usize) -> usize {
    const LONGEST_LEAD: usize = 32;
    let text = scanner.text;
    let marks = |byte: u8| matches!(byte, b'@' | b'$' | b'!' | b'#' | b'%' | b'&' | b'*' | b'^');
    let floor = scanner.barrier.end.max(start.saturating_sub(LONGEST_LEAD));
    if start <= floor || !marks(text[start - 1]) {
        return start;
    }
    let mut lead = start;
    while lead > floor && (is_word(text, lead - 1) || marks(text[lead - 1])) {
        lead -= 1;
    }
    scanner.step(start - lead);
    lead
}

/// A value that is too short for a key, where it may be a password that words name: behind one word and a blank.
fn spoken_password(scanner: &mut Scanner<'_, '_>, start: usize) -> Option<usize> {
    let before = slice(scanner.text, start.wrapping_sub(2), start);
    // The last letters of `password`, of `is` in the languages of [`spoken`] and of `-p`; what stands before a text.
    let spoken_before = matches!(
        before,
        [b'd' | b's' | b't' | b'r' | b'p', b' ' | b'\n'] | [b' ' | b',', b'"' | b'\'']
    );
    spoken_before.then(|| spoken(scanner, start)).flatten()
}

/// A value in a table, around the word at `start`, whose column has the name of a secret. Returns where to go on.
fn in_column(scanner: &mut Scanner<'_, '_>, start: usize) -> Option<usize> {
    /// Bytes of a value before the word that was looked at.
    const LONGEST_LEAD: usize = 32;
    let separates = |byte: u8| matches!(byte, b',' | b';' | b'\t' | b'|' | b'\n');
    let wraps = |byte: u8| matches!(byte, b'"' | b'`' | b' ');
    let text = scanner.text;
    // In programs most words stand behind one of these.
    if matches!(
        at(text, start.wrapping_sub(1)),
        b'(' | b'.' | b'[' | b'{' | b'<' | b':' | b'=' | b'/' | b'&'
    ) || is_in_first_line(text, start)
    {
        return None;
    }
    let floor = scanner.barrier.end.max(start.saturating_sub(LONGEST_LEAD));
    let inside = |byte: u8| byte.is_ascii_graphic() && !separates(byte) && !wraps(byte);
    let mut first = start;
    while first > floor && inside(text[first - 1]) {
        first -= 1;
    }
    let mut edge = first;
    while edge > floor && first - edge < 2 && wraps(text[edge - 1]) {
        edge -= 1;
    }
    let before = edge.checked_sub(1).map_or(b'\n', |place| text[place]);
    if edge == floor && floor > 0 || !separates(before) {
        return None;
    }
    let end = run_end(text, start, LONGEST_VALUE, inside);
    let after = at(text, run_end(text, end, 2, wraps));
    scanner.step(end - first);
    let bounded = after == 0 || after == b'\r' || separates(after);
    if !bounded
        || !slice(text, start, end).iter().any(u8::is_ascii_digit)
        || before == b'\n' && matches!(after, 0 | b'\r' | b'\n')
        || end - first < SHORTEST_PASSWORD
    {
        return None;
    }
    let (header, read) = scanner.table.header_of(text, first);
    scanner.step(read);
    let weight = names::weigh(header?);
    // The name of a column ends with what is in it.
    if weight == Weight::Password {
        return None;
    }
    if !is_secret(slice(text, first, end), weight, true) {
        return None;
    }
    scanner.emit(PiiType::ApiKey, first, end, Confidence::Medium);
    Some(end)
}

/// A JSON web token: `eyJ….eyJ….signature`, the signature possibly empty.
fn jwt(scanner: &mut Scanner<'_, '_>, start: usize) -> Option<usize> {
    const LONGEST_PART: usize = 16 * 1024;
    let text = scanner.text;
    let part = |from: usize| run_end(text, from, LONGEST_PART, |b| Body::Url.has(b));
    let header = part(start);
    let payload = part(header + 1);
    scanner.step(payload - start);
    let shaped = at(text, header) == b'.'
        && header - start >= 15
        && slice(text, header + 1, payload).starts_with(b"ey")
        && payload - header >= 10
        && at(text, payload) == b'.';
    if !shaped {
        return (header - start > JUMP).then_some(header);
    }
    let end = part(payload + 1);
    scanner.step(end - payload);
    scanner.emit(PiiType::Jwt, start, end, Confidence::High);
    Some(end)
}

/// Looks at the `=`, `:` or `>` at `sign`: the last of what assigns a value to a name. Returns where to go on.
#[inline(always)]
pub(super) fn scan_assignment(scanner: &mut Scanner<'_, '_>, sign: usize) -> Option<usize> {
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
pub(super) fn scan_flag(scanner: &mut Scanner<'_, '_>, dash: usize) -> Option<usize> {
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

/// The end of the bytes without a space from `start`, at most [`SHORTEST`].
fn solid_end(text: &[u8], start: usize) -> usize {
    run_end(text, start, SHORTEST, |b| b.is_ascii_graphic())
}

/// Where a value begins.
struct Opened {
    start: usize,
    /// The quotation mark before it; 0 without.
    quote: u8,
}

impl Opened {
    /// The value behind blanks and a quotation mark from `position` on; `lines` says whether it may stand on the next line.
    #[inline(always)]
    fn after(text: &[u8], position: usize, lines: bool) -> Option<Opened> {
        let start = position + usize::from(at(text, position) == b' ');
        let byte = at(text, start);
        // Most values begin here, unless what follows makes the first byte one of the marks that may stand before them.
        let marked = matches!(at(text, start + 1), b'"' | b'\'' | b'\n' | b'-');
        let opens = matches!(byte, b'(' | b'[' | b'{' | b'&' | b',' | b';' | b'<');
        if CLASS[usize::from(byte)] & VALUE != 0 && !marked || opens {
            return Some(Opened { start, quote: 0 });
        }
        if byte == b'"' {
            return Some(Opened::quoted_at(text, start));
        }
        Opened::behind_marks(text, position, lines)
    }

    /// The value behind the quotation mark at `mark`.
    #[inline(always)]
    fn quoted_at(text: &[u8], mark: usize) -> Opened {
        // A blank before the value was pasted with it.
        let start = mark + 1 + usize::from(at(text, mark + 1) == b' ');
        Opened {
            start,
            quote: text[mark],
        }
    }

    /// As [`Opened::after`].
    fn behind_marks(text: &[u8], position: usize, lines: bool) -> Option<Opened> {
        const LONGEST: usize = 40;
        let mut start = position;
        let limit = position + LONGEST;
        while start < limit {
            match at(text, start) {
                b' ' | b'\t' => {}
                b'\n' | b'\r' if lines => {}
                // `|` and `>-` of YAML before a value that stands on lines of its own.
                b'|' | b'>' | b'-' if lines && matches!(at(text, start + 1), b'\n' | b'-') => {}
                // Escaped quotation marks of JSON in JSON.
                b'\\' if matches!(at(text, start + 1), b'"' | b'\'') => {}
                // Marks before texts in C, C#, Python and Rust.
                b'b' | b'r' | b'f' | b'u' | b'L' | b'@' | b'$'
                    if matches!(at(text, start + 1), b'"' | b'\'') => {}
                b'"' | b'\'' | b'`' => {
                    return Some(Opened::quoted_at(text, start));
                }
                byte if byte.is_ascii_graphic() => return Some(Opened { start, quote: 0 }),
                _ => return None,
            }
            start += 1;
        }
        None
    }

    fn quoted(&self) -> bool {
        self.quote != 0
    }
}

/// Where the credentials of `Bearer …` and the like begin, when `start` is at the word.
fn scheme_end(text: &[u8], start: usize) -> Option<usize> {
    const SCHEMES: [&[u8]; 9] = [
        b"bearer",
        b"basic",
        b"token",
        b"ssws",
        b"bot",
        b"key",
        b"apikey",
        b"api-token",
        b"api-key",
    ];
    const LONGEST: usize = 9;
    if !matches!(at(text, start) | 0x20, b'a' | b'b' | b'k' | b's' | b't') {
        return None;
    }
    let end = run_end(text, start, LONGEST, |b| {
        CLASS[usize::from(b)] & ALPHA != 0 || b == b'-'
    });
    if at(text, end) != b' ' {
        return None;
    }
    let word = slice(text, start, end);
    let known = SCHEMES.iter().any(|scheme| word.eq_ignore_ascii_case(scheme));
    known.then(|| run_end(text, end + 1, 2, |b| matches!(b, b' ' | b'"' | b'\'')))
}

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

/// The name that ends before `end`, behind blanks, quotation marks and brackets: start and end, which are equal without one.
fn name_before(text: &[u8], end: usize, floor: usize) -> (usize, usize) {
    let mut last = end;
    while last > floor
        && end - last < 8
        && matches!(
            text[last - 1],
            b' ' | b'\t' | b'"' | b'\'' | b'`' | b'\\' | b']' | b')' | b'*'
        )
    {
        last -= 1;
    }
    let mut start = last;
    while start > floor && last - start < LONGEST_NAME {
        let byte = text[start - 1];
        if CLASS[usize::from(byte)] & WORD != 0 || byte >= 0x80 {
            start -= 1;
            continue;
        }
        let spaced =
            byte == b' ' && start - 1 > floor && (is_word(text, start - 2) || text[start - 2] >= 0x80);
        let joins = matches!(byte, b'-' | b'.') || spaced;
        if !joins {
            break;
        }
        start -= 1;
    }
    (start, last)
}

/// A value at `start` behind a name of some weight. Returns where to go on.
fn value(scanner: &mut Scanner<'_, '_>, start: usize, weight: Weight, opened: &Opened) -> Option<usize> {
    let text = scanner.text;
    let word_end = run_end(text, start, LONGEST_VALUE, |b| {
        class_at(&[b], 0) & (ALPHA | DIGIT) != 0 || b == b'_'
    });
    if word_end > start {
        if slice(text, start, start + 3) == b"eyJ"
            && let Some(next) = jwt(scanner, start)
        {
            return Some(next);
        }
        if let Some(next) = formats::scan(scanner, start, word_end) {
            return Some(next);
        }
    }
    let password = weight.is_password();
    let mut end = run_end(text, start, LONGEST_VALUE, |b| {
        if password && opened.quoted() {
            b.is_ascii_graphic() && b != opened.quote
        } else if password {
            CLASS[usize::from(b)] & VALUE != 0
        } else {
            Body::Wide.has(b) && (b != b'=' || opened.quoted()) || matches!(b, b'~' | b'%')
        }
    });
    if !password {
        end = run_end(text, end, 3, |b| b == b'=');
    }
    scanner.step(end - start);
    let after = at(text, end);
    let closed = opened.quoted() && after == opened.quote;
    while end > start && !closed && matches!(text[end - 1], b'.' | b'-' | b'\\') {
        end -= 1;
    }
    let bytes = slice(text, start, end);
    // A call, an index, a path or a type of a program; and the first word of several in quotation marks.
    let code = if opened.quoted() {
        after == b'{' || after == b' ' && at(text, end + 1) != opened.quote
    } else {
        matches!(after, b'(' | b'[' | b'{' | b':') || after == b'<' && at(text, end + 1) != b'/'
    };
    if code || !is_secret(bytes, weight, opened.quoted()) {
        return (bytes.len() > JUMP).then_some(end);
    }
    scanner.emit(PiiType::ApiKey, start, end, Confidence::Medium);
    Some(end)
}

/// Whether a value is a secret, behind a name of some weight.
fn is_secret(bytes: &[u8], weight: Weight, quoted: bool) -> bool {
    if is_placeholder(bytes) {
        return false;
    }
    let shape = Shape::of(bytes);
    // What a program reads: `config.auth.token1`, `path/to/key.pem`.
    let path = bytes.contains(&b'.') && bytes.contains(&b'/');
    // What is secret in an address is found from its `@`. A path of a program: `Pass::First1`.
    let holds = |part: &[u8]| bytes.windows(part.len()).any(|window| window == part);
    if holds(b"://") || !quoted && holds(b"::") {
        return false;
    }
    match weight {
        Weight::None => false,
        Weight::Weak => {
            bytes.len() >= SHORTEST_WEAK && !path && (shape.is_surely_random() || shape.is_plain_key())
        }
        Weight::Key => {
            bytes.len() >= SHORTEST_KEY && !path && !is_host(bytes) && (shape.is_key() || is_uuid(bytes))
        }
        Weight::Password | Weight::PlainPassword => {
            let plain = weight == Weight::PlainPassword;
            bytes.len() >= SHORTEST_PASSWORD
                && !is_algorithm(bytes)
                && (shape.is_password(quoted)
                    || is_uuid(bytes)
                    || plain && (shape.is_number_to_remember() || shape.is_word_with_number()))
                && !(is_address(bytes) || path && is_file(bytes) || is_escaped_word(bytes, shape.digits))
        }
    }
}

/// Whether something that [`roomy_word`] knows may stand before the word at `start`: a blank behind a word that names it, a
/// quotation mark, what separates the cells of a table, a mark of a password.
#[inline(always)]
fn may_be_spoken(text: &[u8], start: usize) -> bool {
    let before = start.checked_sub(1).map_or(0, |place| text[place]);
    matches!(
        before,
        b' ' | b'\t' | b'\n' | b'"' | b'\'' | b'`' | b',' | b';' | b'|'
    ) || matches!(
        before,
        b'@' | b'$' | b'!' | b'#' | b'%' | b'&' | b'*' | b'^' | b'+'
    )
}

/// A random-looking value at `start` that words before it call secret: `Bearer …`, `("API_KEY", "…")`, `password is …`, and
/// `login … password …` of a `.netrc` file.
fn spoken(scanner: &mut Scanner<'_, '_>, start: usize) -> Option<usize> {
    let text = scanner.text;
    let floor = scanner.barrier.end.max(start.saturating_sub(2 * LONGEST_NAME));
    let mut end = start;
    let mut quote = 0;
    while end > floor
        && start - end < 6
        && matches!(text[end - 1], b' ' | b'\t' | b'\n' | b'"' | b'\'' | b'`')
    {
        end -= 1;
        if matches!(text[end], b'"' | b'\'' | b'`') {
            quote = text[end];
        }
    }
    if end == start || end == floor {
        return None;
    }
    let opened = Opened { start, quote };
    // A list of texts goes on in the next line.
    if text[end - 1] == b',' && quote != 0 && !slice(text, end, start).contains(&b'\n') {
        let (name, last) = name_before(text, end - 1, floor);
        scanner.step(start - name);
        let weight = names::weigh(slice(text, name, last));
        if weight == Weight::None || !weight.is_password() && solid_end(text, start) - start < SHORTEST {
            return None;
        }
        return value(scanner, start, weight, &opened);
    }
    let mut word = end;
    while word > floor && end - word < LONGEST_NAME && is_word(text, word - 1) {
        word -= 1;
    }
    scanner.step(start - word);
    let before = slice(text, word, end);
    if before.eq_ignore_ascii_case(b"bearer") || before == b"SSWS" {
        return value(scanner, start, Weight::Key, &opened);
    }
    if before.eq_ignore_ascii_case(b"basic") {
        let last = run_end(text, start, LONGEST_VALUE, |b| Body::Base64.has(b));
        scanner.step(last - start);
        if is_basic(slice(text, start, last)) && !is_word(text, last) {
            scanner.emit(PiiType::ApiKey, start, last, Confidence::Medium);
            return Some(last);
        }
        return None;
    }
    // `my API key 0123…`: only what is random, since no sign assigns it.
    if text[start - 1] == b' ' && start - end == 1 && names::weigh(before) != Weight::None {
        let (name, last) = name_before(text, end, floor);
        let key = run_end(text, start, LONGEST_VALUE, |b| Body::Wide.has(b));
        scanner.step(key - name);
        let weight = names::weigh(slice(text, name, last));
        let random = key - start >= SHORTEST && Shape::of(slice(text, start, key)).is_random();
        if random && weight > Weight::Weak && !is_word(text, name.wrapping_sub(1)) {
            return value(scanner, start, Weight::Key, &opened);
        }
    }
    if matches!(before, b"is" | b"ist" | b"est" | b"es" | b"er") {
        let (name, last) = name_before(text, word, floor);
        return match names::weigh(slice(text, name, last)) {
            Weight::None | Weight::Weak => None,
            weight => value(scanner, start, weight, &opened),
        };
    }
    // `WITH PASSWORD '…'`, `IDENTIFIED BY '…'`.
    let set = before.eq_ignore_ascii_case(b"password")
        || before == b"BY" && slice(text, floor, word).ends_with(b"IDENTIFIED ");
    if set && quote != 0 {
        return value(scanner, start, Weight::PlainPassword, &opened);
    }
    if before == b"p" && is_login_flag(text, word, floor) {
        return value(scanner, start, Weight::PlainPassword, &opened);
    }
    // `#define API_KEY "…"`, `ENV API_TOKEN …`.
    if before.contains(&b'_') && !before.iter().any(u8::is_ascii_lowercase) {
        return match names::weigh(before) {
            Weight::None | Weight::Weak => None,
            weight => value(scanner, start, weight, &opened),
        };
    }
    if before == b"password" {
        let mut login = word;
        for _ in 0..2 {
            while login > floor && text[login - 1].is_ascii_whitespace() {
                login -= 1;
            }
            while login > floor && !text[login - 1].is_ascii_whitespace() {
                login -= 1;
            }
        }
        scanner.step(word - login);
        if slice(text, login, login + 6) == b"login " || slice(text, login, login + 6) == b"login\n" {
            return value(scanner, start, Weight::PlainPassword, &opened);
        }
    }
    None
}

/// Whether the `p` at `word` is the flag of a program that takes a password there: `sshpass -p …`, `docker login -u ann -p …`.
fn is_login_flag(text: &[u8], word: usize, floor: usize) -> bool {
    let line = slice(text, floor, word);
    let line = line.rsplit(|b| *b == b'\n').next().unwrap_or(line);
    line.ends_with(b" -")
        && [&b"sshpass "[..], b" login "]
            .iter()
            .any(|program| line.windows(program.len()).any(|window| window == *program))
}

/// A PEM private key from its first dash to the end line, or to where the base64 body breaks off.
pub(super) fn scan_pem(scanner: &mut Scanner<'_, '_>, start: usize) -> Option<usize> {
    const BEGIN: &[u8] = b"-----BEGIN ";
    const LABEL: &[u8] = b"PRIVATE KEY";
    const LONGEST_BODY: usize = 64 * 1024;
    /// Characters of the longest line of a key, at least, where its end is not shown or something else stands inside.
    const SHORTEST_LINE: usize = 24;
    /// Characters of all of a key whose end is shown, at least.
    const SHORTEST_KEY: usize = 6;
    let text = scanner.text;
    if !slice(text, start, text.len()).starts_with(BEGIN) {
        return None;
    }
    let label_start = start + BEGIN.len();
    let label_end = run_end(text, label_start, 40, |b| b.is_ascii_uppercase() || b == b' ');
    let label = slice(text, label_start, label_end);
    let label = label.strip_suffix(b" BLOCK").unwrap_or(label);
    if !label.ends_with(LABEL) || !slice(text, label_end, label_end + 5).starts_with(b"-----") {
        return None;
    }
    let body = label_end + 5;
    let mut end = run_end(text, body, LONGEST_BODY, |b| {
        class_at(&[b], 0) & (ALPHA | DIGIT) != 0
            || matches!(b, b'+' | b'/' | b'=' | b'\n' | b'\r' | b' ' | b'\\' | b':' | b',')
    });
    scanner.step(end - start);
    let inside = slice(text, body, end);
    let closing = slice(text, end, text.len().min(end + 60));
    let is_closed = closing.starts_with(b"-----END ");
    if is_closed {
        let line = run_end(closing, 9, 51, |b| b.is_ascii_uppercase() || b == b' ');
        end += run_end(closing, line, 5, |b| b == b'-');
    } else {
        while end > body && matches!(text[end - 1], b' ' | b'\n' | b'\r' | b'\\') {
            end -= 1;
        }
    }
    // Who names the first line, or the first and the last, has no key to show. Lines may be parted as in a text of JSON.
    let is_body = |b: &u8| Body::Base64.has(*b) || matches!(b, b'\n' | b'\r' | b'\\');
    let characters = inside.iter().filter(|b| Body::Base64.has(**b)).count();
    let shows_all = is_closed && characters >= SHORTEST_KEY && inside.iter().all(is_body);
    let lines = inside.split(|b| !Body::Base64.has(*b));
    if !shows_all && lines.map(<[u8]>::len).max() < Some(SHORTEST_LINE) {
        return None;
    }
    scanner.emit(PiiType::PrivateKey, start, end, Confidence::High);
    Some(end)
}

/// The password in `scheme://user:password@host`, found from its `@`. Returns where to go on.
pub(super) fn scan_userinfo(scanner: &mut Scanner<'_, '_>, sign: usize) -> Option<usize> {
    const LONGEST: usize = 128;
    let text = scanner.text;
    let floor = scanner.barrier.end.max(sign.saturating_sub(LONGEST));
    let mut start = sign;
    let mut colon = None;
    while start > floor
        && text[start - 1].is_ascii_graphic()
        && !matches!(text[start - 1], b'/' | b'@' | b'"' | b'<' | b'>')
    {
        start -= 1;
        if text[start] == b':' {
            colon = Some(start);
        }
    }
    scanner.step(sign - start);
    let password = colon? + 1;
    let in_url = start >= floor + 3 && slice(text, start - 3, start) == b"://";
    let bytes = slice(text, password, sign);
    // `${PASSWORD}`, `[API_KEY]` and `password` stand for a secret and are none.
    let placeholder = matches!(bytes.first(), None | Some(b'$' | b'{' | b'[' | b'*' | b'%'))
        || [&b"password"[..], b"pass", b"pwd", b"passwd"]
            .iter()
            .any(|word| bytes.eq_ignore_ascii_case(word));
    if !in_url || placeholder {
        return None;
    }
    // A password may hold the sign itself: the host stands behind the last one.
    let host = run_end(text, sign, LONGEST, |b| {
        b.is_ascii_graphic() && !matches!(b, b'/' | b'?' | b'#' | b'"' | b'\'' | b'<' | b'>' | b',' | b'`')
    });
    let last = slice(text, sign, host).iter().rposition(|b| *b == b'@')?;
    scanner.step(host - sign);
    scanner.emit(PiiType::ApiKey, password, sign + last, Confidence::Medium);
    Some(sign + last + 1)
}
