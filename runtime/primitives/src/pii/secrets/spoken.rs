//! Values that words before them call secret: `Bearer …`, `password is …`, `("API_KEY", "…")`.

use super::formats::Body;
use super::names::Weight;
use super::value::{LONGEST_VALUE, Opened, name_before, solid_end, value};
use super::values::{Shape, is_basic};
use super::{LONGEST_NAME, SHORTEST, names};
use crate::pii::bytes::{is_word, run_end, slice};
use crate::pii::scan::Scanner;
use crate::pii::types::{Confidence, PiiType};

/// Whether something that [`roomy_word`] knows may stand before the word at `start`: a blank behind a word that names it, a
/// quotation mark, what separates the cells of a table, a mark of a password.
#[inline(always)]
pub(super) fn may_be_spoken(text: &[u8], start: usize) -> bool {
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
pub(super) fn spoken(scanner: &mut Scanner<'_, '_>, start: usize) -> Option<usize> {
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

/// A value that is too short for a key, where it may be a password that words name: behind one word and a blank.
pub(super) fn spoken_password(scanner: &mut Scanner<'_, '_>, start: usize) -> Option<usize> {
    let before = slice(scanner.text, start.wrapping_sub(2), start);
    // The last letters of `password`, of `is` in the languages of [`spoken`] and of `-p`; what stands before a text.
    let spoken_before = matches!(
        before,
        [b'd' | b's' | b't' | b'r' | b'p', b' ' | b'\n'] | [b' ' | b',', b'"' | b'\'']
    );
    spoken_before.then(|| spoken(scanner, start)).flatten()
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
