//! What can be wrong with a table file or a price file.

use std::fmt;

/// A mistake, and where it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PriceError {
    /// Line, from 1.
    pub line: usize,
    /// Character within the line, from 1.
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
    /// Not a whole number of tokens, or none.
    BadTokens,
    /// Not a day written `YYYY-MM-DD`.
    BadDate,
    /// Tiers that are malformed, not by service and rising border, or without a standard one to begin with.
    BadTiers,
    /// Prices of units that are malformed, or not in order.
    BadUnits,
    /// A model that is there twice, with its name.
    Duplicate(Box<str>),
    /// A price above a dollar for a token, or above a thousand dollars for anything else.
    TooHigh,
    /// A model or a tier without a price.
    NoPrice,
    /// A table file where a price file is expected.
    TableText,
    /// A price file that is malformed or not of the documented shape, in words.
    File(Box<str>),
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
            Self::BadTokens => "a number of tokens must be a whole number above 0",
            Self::BadDate => "a date must be written `YYYY-MM-DD`",
            Self::BadTiers => "tiers must rise, and the first one of each service must begin at 0",
            Self::BadUnits => "a unit must be written `name=price`, and units must be in order",
            Self::Duplicate(name) => return write!(f, "the model `{name}` is there twice"),
            Self::TooHigh => {
                "the price is too high: prices are dollars per million tokens, at most 1000000, or dollars for one unit, at most 1000"
            }
            Self::NoPrice => {
                "there is no price: write `input_per_million` and `output_per_million`, or `units_each`"
            }
            Self::TableText => {
                "a table separated by tabs is no price file: write YAML or JSON such as \
                 `models: {my-model: {provider: acme, input_per_million: 1.5, output_per_million: 2}}`, \
                 with `replace: true` where these are to be the only prices"
            }
            Self::File(message) => message,
        })
    }
}

impl fmt::Display for PriceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}: {}", self.line, self.column, self.kind)
    }
}

impl std::error::Error for PriceError {}
