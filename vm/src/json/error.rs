//! Why a text is not taken as JSON, and where.

use std::fmt;

/// Why a request body is refused, and where.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JsonError {
    /// What is wrong.
    pub kind: JsonErrorKind,
    /// Byte offset in the body.
    pub offset: usize,
}

/// What is wrong with a request body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum JsonErrorKind {
    /// Not UTF-8.
    NotUtf8,
    /// The body ends too early.
    UnexpectedEnd,
    /// Not JSON.
    UnexpectedByte,
    /// A control character inside a string.
    ControlCharacter,
    /// An escape that does not exist, or half of a surrogate pair.
    BadEscape,
    /// A malformed number, or an exponent beyond 64 bits.
    BadNumber,
    /// Something after the document.
    TrailingBytes,
    /// The same key twice in one object that is read.
    DuplicateKey,
    /// Two spellings of one key with different values in one object that is read.
    ConflictingKeys,
    /// The document is not an object.
    NotAnObject,
    /// A known object at the top of the document is something else.
    RootNotAnObject {
        /// Its name, such as `llm`.
        root: &'static str,
        /// What it is, such as `a string`.
        found: &'static str,
    },
    /// Nested too deeply.
    TooDeep,
    /// Larger than allowed.
    TooLarge,
}

impl fmt::Display for JsonErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotUtf8 => "the body is not valid UTF-8",
            Self::UnexpectedEnd => "the JSON document ends too early",
            Self::UnexpectedByte => "unexpected character in the JSON document",
            Self::ControlCharacter => "control character inside a JSON string",
            Self::BadEscape => "invalid escape in a JSON string",
            Self::BadNumber => "invalid JSON number",
            Self::TrailingBytes => "unexpected characters after the JSON document",
            Self::DuplicateKey => "the same key occurs twice in one object",
            Self::ConflictingKeys => "two spellings of one field hold different values",
            Self::NotAnObject => "the context is not a JSON object",
            Self::RootNotAnObject { root, found } => {
                return write!(f, "`{root}` must be an object, found {found}");
            }
            Self::TooDeep => "the JSON document is nested too deeply",
            Self::TooLarge => "the request exceeds a size limit",
        })
    }
}

impl fmt::Display for JsonError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (byte {})", self.kind, self.offset)
    }
}

impl std::error::Error for JsonError {}
