//! Why a text is not taken as JSON, and where.

use std::sync::Arc;

/// Why a request body is refused, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{kind} (byte {offset})")]
pub struct JsonError {
    /// What is wrong.
    pub kind: JsonErrorKind,
    /// Byte offset in the body.
    pub offset: usize,
}

/// What is wrong with a request body.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum JsonErrorKind {
    /// Not UTF-8.
    #[error("the body is not valid UTF-8")]
    NotUtf8,
    /// The body ends too early.
    #[error("the JSON document ends too early")]
    UnexpectedEnd,
    /// Not JSON.
    #[error("unexpected character in the JSON document")]
    UnexpectedByte,
    /// A control character inside a string.
    #[error("control character inside a JSON string")]
    ControlCharacter,
    /// An escape that does not exist, or half of a surrogate pair.
    #[error("invalid escape in a JSON string")]
    BadEscape,
    /// A malformed number, or an exponent beyond 64 bits.
    #[error("invalid JSON number")]
    BadNumber,
    /// Something after the document.
    #[error("unexpected characters after the JSON document")]
    TrailingBytes,
    /// The same key twice in one object that is read.
    #[error("the same key occurs twice in one object")]
    DuplicateKey,
    /// Two spellings of one key with different values in one object that is read.
    #[error("two spellings of one field hold different values")]
    ConflictingKeys,
    /// The document is not an object.
    #[error("the context is not a JSON object")]
    NotAnObject,
    /// A place of the document that is known to hold an object holds something else.
    #[error("`{root}` must be an object, found {found}")]
    RootNotAnObject {
        /// Its keys, with dots between them, such as `llm`.
        root: Arc<str>,
        /// What it is, such as `a string`.
        found: &'static str,
    },
    /// Nested too deeply.
    #[error("the JSON document is nested too deeply")]
    TooDeep,
    /// Larger than allowed.
    #[error("the request exceeds a size limit")]
    TooLarge,
}

/// The text of a request body.
///
/// # Errors
///
/// [`JsonErrorKind::NotUtf8`], at the first byte that is none.
#[inline(always)]
pub(crate) fn utf8(body: &[u8]) -> Result<&str, JsonError> {
    match simdutf8::basic::from_utf8(body) {
        Ok(text) => Ok(text),
        Err(_) => where_it_is_none(body),
    }
}

#[cold]
#[inline(never)]
fn where_it_is_none(body: &[u8]) -> Result<&str, JsonError> {
    std::str::from_utf8(body).map_err(|error| JsonError {
        kind: JsonErrorKind::NotUtf8,
        offset: error.valid_up_to(),
    })
}
