//! A value behind a name: where it begins and ends, and whether it is a secret for a name of that weight.
//!
//! What the bytes of a value look like is the business of [`super::values`].

use super::formats::Body;
use super::jwt::jwt;
use super::names::Weight;
use super::values::{
    Shape, is_address, is_algorithm, is_escaped_word, is_file, is_host, is_placeholder, is_uuid,
};
use super::{JUMP, LONGEST_NAME, SHORTEST, SHORTEST_PASSWORD, formats};
use crate::pii::bytes::{ALPHA, CLASS, DIGIT, VALUE, WORD, at, class_at, is_word, run_end, slice};
use crate::pii::scan::Scanner;
use crate::pii::types::{Confidence, PiiType};

/// Characters of a key behind a telling name, at least.
pub(super) const SHORTEST_KEY: usize = 14;
/// Characters of a key behind a name that may mean other keys, at least.
pub(super) const SHORTEST_WEAK: usize = 20;
/// Longest value assigned to a name.
pub(super) const LONGEST_VALUE: usize = 4096;

/// The end of the bytes without a space from `start`, at most [`SHORTEST`].
pub(super) fn solid_end(text: &[u8], start: usize) -> usize {
    run_end(text, start, SHORTEST, |b| b.is_ascii_graphic())
}

/// Where a value begins.
pub(super) struct Opened {
    pub(super) start: usize,
    /// The quotation mark before it; 0 without.
    pub(super) quote: u8,
}

impl Opened {
    /// The value behind blanks and a quotation mark from `position` on; `lines` says whether it may stand on the next line.
    #[inline(always)]
    pub(super) fn after(text: &[u8], position: usize, lines: bool) -> Option<Opened> {
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
pub(super) fn scheme_end(text: &[u8], start: usize) -> Option<usize> {
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

/// The name that ends before `end`, behind blanks, quotation marks and brackets: start and end, which are equal without one.
pub(super) fn name_before(text: &[u8], end: usize, floor: usize) -> (usize, usize) {
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
pub(super) fn value(
    scanner: &mut Scanner<'_, '_>,
    start: usize,
    weight: Weight,
    opened: &Opened,
) -> Option<usize> {
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
pub(super) fn is_secret(bytes: &[u8], weight: Weight, quoted: bool) -> bool {
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
