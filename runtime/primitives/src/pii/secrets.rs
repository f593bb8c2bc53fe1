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
//! `assignment`, `spoken`, `jwt`, `pem` and `userinfo` look for one form each; `value` decides on what stands behind a name.
//!
//! Words are looked at only where enough bytes without a space follow, which prose lacks. Placeholders (`sk-xxxxxxxx`,
//! `your-api-key`) do not count, nor does what a program calls or reads (`token = tokens.next()`).

mod assignment;
mod formats;
mod jwt;
mod names;
mod pem;
mod spoken;
mod userinfo;
mod value;
mod values;

use self::names::Weight;
pub(super) use self::names::speaks_of_secret;
use super::bytes::{at, is_solid, is_word, run_end, slice};
use super::scan::Scanner;
use super::table::is_in_first_line;
use super::types::{Confidence, PiiType};
pub(super) use assignment::{scan_assignment, scan_flag};
use jwt::jwt;
pub(super) use pem::scan_pem;
use spoken::{may_be_spoken, spoken, spoken_password};
pub(super) use userinfo::scan_userinfo;
use value::{LONGEST_VALUE, is_secret};

/// Fewest bytes without a space that a secret has which nothing before it names.
pub(super) const SHORTEST: usize = 16;
/// Fewest bytes of a name, what assigns, and a value.
pub(super) const SHORTEST_ASSIGNED: usize = 2 + 1 + SHORTEST_PASSWORD;
/// Characters of a password, at least.
const SHORTEST_PASSWORD: usize = 8;
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
