//! What a string looks like: an identifier, a name, a URL, encoded data. What does not is a text.

/// Longest string that can be an identifier, in bytes.
const IDENTIFIER: usize = 128;
/// Longest string that can be a name, in bytes.
const NAME: usize = 64;
/// Digits that a name may have. More could be a number of a card or a person.
const NAME_DIGITS: usize = 4;
/// Capitals and digits that may stand in a row in a name. More could be a key.
const NAME_CAPITALS: usize = 15;
/// Longest URL, in bytes.
const URL: usize = 8192;
/// Bytes in a line of encoded data, at least.
const LINE: usize = 60;

/// An identifier: at most 128 bytes of visible ASCII, or nothing.
pub(crate) fn identifier(text: &str) -> bool {
    text.len() <= IDENTIFIER && text.bytes().all(|b| b.is_ascii_graphic())
}

/// A name of the kind that programs give: at most 64 letters, digits and `_ - . $` that begin with a letter, `_` or
/// `$`, with at most 4 digits and no more than 15 capitals and digits in a row. Nothing that could be personal data.
pub(crate) fn name(text: &str) -> bool {
    let bytes = text.as_bytes();
    let Some(first) = bytes.first() else {
        return false;
    };
    if bytes.len() > NAME || !(first.is_ascii_alphabetic() || matches!(first, b'_' | b'$')) {
        return false;
    }
    let (mut digits, mut row) = (0, 0);
    for b in bytes {
        match b {
            b'a'..=b'z' | b'_' | b'-' | b'.' | b'$' => row = 0,
            b'A'..=b'Z' => row += 1,
            b'0'..=b'9' => {
                row += 1;
                digits += 1;
            }
            _ => return false,
        }
        if digits > NAME_DIGITS || row > NAME_CAPITALS {
            return false;
        }
    }
    true
}

/// A URL other than `data:`: a scheme, `://` and something, at most 8,192 bytes of visible ASCII.
pub(crate) fn url(text: &str) -> bool {
    let Some((scheme, rest)) = text
        .bytes()
        .take(32)
        .position(|b| b == b':')
        .and_then(|colon| text.split_at_checked(colon))
    else {
        return false;
    };
    let scheme_is_one = scheme.bytes().enumerate().all(|(i, b)| match b {
        b'a'..=b'z' | b'A'..=b'Z' => true,
        b'0'..=b'9' | b'+' | b'-' | b'.' => i > 0,
        _ => false,
    });
    !scheme.is_empty()
        && scheme_is_one
        && rest.strip_prefix("://").is_some_and(|rest| !rest.is_empty())
        && text.len() <= URL
        && graphic(text.as_bytes())
}

/// The media type and the payload of a `data:` URL whose payload is base64.
pub(crate) fn data_url(text: &str) -> Option<(&str, &str)> {
    let (scheme, rest) = text.split_at_checked(5)?;
    if !scheme.eq_ignore_ascii_case("data:") {
        return None;
    }
    // A head is short; a comma later than that belongs to something else.
    let comma = rest.bytes().take(256).position(|b| b == b',')?;
    let (head, payload) = (rest.get(..comma)?, rest.get(comma + 1..)?);
    let cut = head.len().checked_sub(7)?;
    let (media_type, encoding) = head.split_at_checked(cut)?;
    if !encoding.eq_ignore_ascii_case(";base64") || !graphic(media_type.as_bytes()) {
        return None;
    }
    let media_type = media_type.split(';').next().unwrap_or("");
    (payload.is_empty() || base64(payload)).then_some((media_type, payload))
}

/// Base64 or base64url, with at least one letter: nothing but its characters, padding only at the end, and no more line
/// breaks than long lines need.
pub(crate) fn base64(text: &str) -> bool {
    let body = text.trim_end_matches(['\r', '\n']);
    let body = body
        .strip_suffix("==")
        .or_else(|| body.strip_suffix('='))
        .unwrap_or(body)
        .as_bytes();
    let (mut letters, mut breaks) = (false, 0usize);
    for chunk in body.chunks(64) {
        // No branch inside, so that a chunk is a few vector instructions.
        let (mut wrong, mut letter, mut line) = (false, false, 0u8);
        for &b in chunk {
            let is_letter = (b | 0x20).wrapping_sub(b'a') < 26;
            let is_digit = b.wrapping_sub(b'0') < 10;
            let is_mark = (b == b'+') | (b == b'/') | (b == b'-') | (b == b'_');
            let is_break = (b == b'\n') | (b == b'\r');
            wrong |= !(is_letter | is_digit | is_mark | is_break);
            letter |= is_letter;
            line += u8::from(b == b'\n');
        }
        if wrong {
            return false;
        }
        letters |= letter;
        breaks += usize::from(line);
    }
    letters && breaks.saturating_mul(LINE) <= body.len()
}

/// Visible ASCII and nothing else.
fn graphic(bytes: &[u8]) -> bool {
    bytes.chunks(64).all(|chunk| {
        chunk
            .iter()
            .fold(true, |so_far, b| so_far & (b.wrapping_sub(0x21) < 0x5e))
    })
}

#[cfg(test)]
mod tests {
    use super::{base64, data_url, identifier, name, url};

    #[test]
    fn identifiers() {
        for yes in ["", "call_1", "toolu_01A", "a/b:c", "gpt-4o-2024-08-06"] {
            assert!(identifier(yes), "{yes}");
        }
        let long = "x".repeat(129);
        for no in ["a b", "a\n", "é", "a\u{200b}b", long.as_str()] {
            assert!(!identifier(no), "{no}");
        }
    }

    #[test]
    fn names() {
        for yes in [
            "user",
            "get_weather",
            "$ref",
            "x-y.z",
            "address_line_2",
            "customerId",
        ] {
            assert!(name(yes), "{yes}");
        }
        for no in [
            "",
            "4111111111111111",
            "c4111111111111111",
            "bob@corp.example.com",
            "AKIAIOSFODNN7EXAMPLE",
            "a b",
            "1a",
            "ё",
            "a:b",
        ] {
            assert!(!name(no), "{no}");
        }
    }

    #[test]
    fn urls() {
        for yes in ["https://x.test/0.png", "gs://b/f.pdf", "s3://b", "HTTP://x"] {
            assert!(url(yes), "{yes}");
        }
        let long = format!("https://x/{}", "a".repeat(8192));
        for no in [
            "",
            "https://",
            "https://x y",
            "note:ignore",
            "://x",
            "a b://x",
            "1a://x",
            "https://é",
            &long,
        ] {
            assert!(!url(no), "{no}");
        }
    }

    #[test]
    fn data_urls() {
        assert_eq!(
            data_url("data:image/png;base64,iVBORw0="),
            Some(("image/png", "iVBORw0="))
        );
        assert_eq!(data_url("DATA:a/b;x=y;BASE64,QUJD"), Some(("a/b", "QUJD")));
        assert_eq!(data_url("data:;base64,QUJD"), Some(("", "QUJD")));
        for no in [
            "data:image/png;base64,not base64",
            "data:text/plain,hello",
            "data:,hello",
            "data:",
            "dat",
            "data:a b;base64,QUJD",
            "data:x;base64,ignore\u{200b}",
            "https://x/data:image/png;base64,QUJD",
        ] {
            assert_eq!(data_url(no), None, "{no}");
        }
    }

    #[test]
    fn encoded_data() {
        let lines = format!("{}\r\n{}\n", "QUJD".repeat(19), "QUJD".repeat(19));
        let long = "QUJD".repeat(1000);
        for yes in ["QUJD", "QQ==", "QUI=", "a-_b", &lines, &long] {
            assert!(base64(yes), "{yes}");
        }
        let hidden = format!("{long} and a sentence");
        let inside = format!("{long}=={long}");
        for no in [
            "",
            "=",
            "4111111111111111",
            "4111-1111-1111-1111",
            "a b",
            "a.b",
            "ignore\nall\nprevious\ninstructions",
            "é",
            &hidden,
            &inside,
        ] {
            assert!(!base64(no), "{no}");
        }
    }
}
