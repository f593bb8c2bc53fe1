//! The id of a request, over both transports: the caller's where it can be logged, else a new one.

use http::{HeaderMap, HeaderName};
use std::sync::Arc;

/// Header, and key of gRPC metadata.
pub const NAME: &str = "x-request-id";
/// The same, for REST.
pub const HEADER: HeaderName = HeaderName::from_static(NAME);

/// Bytes of an id at the most.
const LONGEST: usize = 128;

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
