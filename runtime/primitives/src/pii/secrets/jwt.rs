//! JSON web tokens: three parts in base64url, of which the first two begin as JSON objects do.

use super::JUMP;
use super::formats::Body;
use crate::pii::bytes::{at, run_end, slice};
use crate::pii::scan::Scanner;
use crate::pii::types::{Confidence, PiiType};

/// A JSON web token: `eyJ….eyJ….signature`, the signature possibly empty.
pub(super) fn jwt(scanner: &mut Scanner<'_, '_>, start: usize) -> Option<usize> {
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
