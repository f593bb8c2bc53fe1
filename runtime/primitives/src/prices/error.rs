//! What can be wrong with a table file or a user's prices.

use std::fmt;

/// A mistake, and where it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PriceError {
    /// Line, from 1.
    pub line: usize,
    /// Byte within the line, from 1.
    pub column: usize,
    /// What is wrong there.
    pub kind: PriceErrorKind,
}

/// A kind of mistake.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum PriceErrorKind {
    /// The first line does not name a format that this version reads.
    UnknownFormat,
    /// A line has more or fewer fields than it may.
    FieldCount,
    /// The model has no name, or one that is not printable ASCII without spaces.
    BadName,
    /// The provider has no name, or one that is not printable ASCII without spaces.
    BadProvider,
    /// Not one of the modes that the table knows, such as `chat` or `embedding`.
    BadMode,
    /// Not a decimal number.
    BadNumber,
    /// A price below zero.
    NegativePrice,
    /// A price finer than 10⁻⁹ dollars per million tokens, or too large to hold.
    InexactPrice,
    /// Only one of the two prices that belong together.
    HalfPriced,
    /// Not a whole number of tokens.
    BadTokens,
    /// Not a day written `YYYY-MM-DD`.
    BadDate,
    /// Tiers that are malformed, not by service and rising border, or without a standard one to begin with.
    BadTiers,
    /// Prices of units that are malformed, or not in order.
    BadUnits,
    /// A model that is there twice, with its name.
    Duplicate(Box<str>),
    /// JSON that is malformed or not of the documented shape, in the JSON reader's words.
    Json(Box<str>),
}

impl fmt::Display for PriceErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::UnknownFormat => "the first line must be `#policy-prices 2`",
            Self::FieldCount => "a model needs 3 to 9 fields separated by tabs",
            Self::BadName => "a model's name must be printable ASCII without spaces",
            Self::BadProvider => "a provider's name must be printable ASCII without spaces",
            Self::BadMode => "the mode must be one such as `chat`, `completion`, `responses` or `embedding`",
            Self::BadNumber => "a price must be a decimal number",
            Self::NegativePrice => "a price cannot be negative",
            Self::InexactPrice => "a price must be a multiple of 0.000000001 dollars per million tokens",
            Self::HalfPriced => "input and output prices must be given together",
            Self::BadTokens => "a number of tokens must be a whole number",
            Self::BadDate => "a date must be written `YYYY-MM-DD`",
            Self::BadTiers => "tiers must rise, and the first one of each service must begin at 0",
            Self::BadUnits => "a unit must be written `name=price`, and units must be in order",
            Self::Duplicate(name) => return write!(f, "the model `{name}` is there twice"),
            Self::Json(message) => message,
        })
    }
}

impl fmt::Display for PriceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}: {}", self.line, self.column, self.kind)
    }
}

impl std::error::Error for PriceError {}

impl PriceError {
    /// An error at a byte of `text`.
    pub(super) fn at(text: &str, offset: usize, kind: PriceErrorKind) -> Self {
        let before = text.as_bytes().get(..offset).unwrap_or(text.as_bytes());
        let line_start = before
            .iter()
            .rposition(|&byte| byte == b'\n')
            .map_or(0, |at| at + 1);
        let line = 1 + before.iter().filter(|&&byte| byte == b'\n').count();
        Self {
            line,
            column: 1 + before.len() - line_start,
            kind,
        }
    }
}
