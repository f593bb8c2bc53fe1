//! Passwords in URLs: `scheme://user:password@host`.

use crate::pii::bytes::{run_end, slice};
use crate::pii::scan::Scanner;
use crate::pii::types::{Confidence, PiiType};

/// The password in `scheme://user:password@host`, found from its `@`. Returns where to go on.
pub(in crate::pii) fn scan_userinfo(scanner: &mut Scanner<'_, '_>, sign: usize) -> Option<usize> {
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
