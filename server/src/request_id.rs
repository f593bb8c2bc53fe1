//! The id of a request, over both transports: the caller's, or a new one. Ids stand in answers, logs and records, so they are
//! bounded and can be read.
//!
//! One in a header that cannot be taken is replaced: whoever stands in between may have put it there. One in a body is refused.

use crate::error::{Code, ServiceError};
use http::{HeaderMap, HeaderName, HeaderValue};
use std::sync::Arc;

/// Header, and key of gRPC metadata.
pub const NAME: &str = "x-request-id";
/// The same, for REST.
pub const HEADER: HeaderName = HeaderName::from_static(NAME);

/// Bytes of an id at most.
const LONGEST: usize = 128;

/// Whether everybody sees all of a text: no control characters, no marks that change or hide what stands beside them.
#[must_use]
pub fn is_printable(text: &str) -> bool {
    !text.chars().any(|c| {
        c.is_control()
            || matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
            || matches!(c, '\u{fff9}'..='\u{ffff}' | '\u{e0000}'..='\u{e007f}')
    })
}

/// The id that a body gives; none where it is empty.
///
/// # Errors
///
/// [`Code::MalformedRequest`] for one that is too long or cannot be read.
pub fn given(id: &str) -> Result<Option<&str>, ServiceError> {
    if id.len() > LONGEST || !is_printable(id) {
        return Err(ServiceError::new(
            Code::MalformedRequest,
            format!(
                "the id of the request is longer than {LONGEST} bytes or holds characters that nobody sees"
            ),
        ));
    }
    Ok((!id.is_empty()).then_some(id))
}

/// The id that the caller gave, where it is one that can be logged, or a new one.
#[must_use]
pub fn of(headers: &HeaderMap) -> Arc<str> {
    let given = headers
        .get(HEADER)
        .and_then(|value| value.to_str().ok())
        .filter(|id| !id.is_empty() && id.len() <= LONGEST && id.bytes().all(|b| b.is_ascii_graphic()));
    match given {
        Some(id) => Arc::from(id),
        None => {
            let mut buffer = uuid::Uuid::encode_buffer();
            Arc::from(&*uuid::Uuid::now_v7().hyphenated().encode_lower(&mut buffer))
        }
    }
}

/// The header of an answer. Hardly one has the id of another, so HTTP/2 does not keep it for those that follow.
#[must_use]
pub fn header(id: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(id).ok()?;
    value.set_sensitive(true);
    Some(value)
}

#[cfg(test)]
mod tests {
    use super::{LONGEST, given, of};
    use http::{HeaderMap, HeaderValue};

    #[test]
    fn the_proto_says_how_long_ids_may_be() {
        let proto = include_str!("../../proto/policy.proto");
        for limit in ["generated when empty. At most", "where that has at most"] {
            assert!(proto.contains(&format!("{limit} {LONGEST} bytes")), "{limit}");
        }
    }

    #[test]
    fn ids_in_bodies_are_bounded_and_can_be_read() {
        let (longest, longer) = ("x".repeat(LONGEST), "x".repeat(LONGEST + 1));
        assert_eq!(given(""), Ok(None));
        for id in ["r-1", "a b", "größe", "日本", &longest] {
            assert_eq!(given(id), Ok(Some(id)), "{id}");
        }
        for id in [
            "a\nb",
            "a\tb",
            "\0",
            "\u{1b}[31m",
            "\u{85}",
            "a\u{202e}b",
            "a\u{200b}",
            "\u{feff}a",
            &longer,
        ] {
            assert!(given(id).is_err(), "{id:?}");
        }
    }

    #[test]
    fn ids_in_headers_are_taken_or_replaced() {
        let id = |value: &[u8]| {
            let mut headers = HeaderMap::new();
            headers.insert("x-request-id", HeaderValue::from_bytes(value).unwrap());
            of(&headers)
        };
        assert_eq!(&*id(b"r-1"), "r-1");
        for value in [&b""[..], b"a b", b"a\tb", b"gr\xfc\xdfe", &[b'x'; LONGEST + 1]] {
            assert_eq!(id(value).len(), 36, "{value:?}");
        }
    }
}
