//! PEM private keys: a first line that says so, and a body.

use super::formats::Body;
use crate::pii::bytes::{ALPHA, DIGIT, class_at, run_end, slice};
use crate::pii::scan::Scanner;
use crate::pii::types::{Confidence, PiiType};

/// A PEM private key from its first dash to the end line, or to where the base64 body breaks off.
pub(in crate::pii) fn scan_pem(scanner: &mut Scanner<'_, '_>, start: usize) -> Option<usize> {
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
