//! What can be wrong with a table file or a price file.

/// A mistake, and where it is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}, column {column}: {kind}")]
pub struct PriceError {
    /// Line, from 1.
    pub line: usize,
    /// Character within the line, from 1.
    pub column: usize,
    /// What is wrong there.
    pub kind: PriceErrorKind,
}

/// A kind of mistake.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PriceErrorKind {
    /// The first line does not name a format that this version reads.
    #[error("the first line must be `#policy-prices 2`")]
    UnknownFormat,
    /// A line has more or fewer fields than it may.
    #[error("a model needs 3 to 9 fields separated by tabs")]
    FieldCount,
    /// The model has no name, or one that is not printable ASCII without spaces.
    #[error("a model's name must be printable ASCII without spaces")]
    BadName,
    /// The provider has no name, or one that is not printable ASCII without spaces.
    #[error("a provider's name must be printable ASCII without spaces")]
    BadProvider,
    /// Not one of the modes that the table knows, such as `chat` or `embedding`.
    #[error("the mode must be one such as `chat`, `completion`, `responses` or `embedding`")]
    BadMode,
    /// Not a decimal number.
    #[error("a price must be a decimal number")]
    BadNumber,
    /// A price below zero.
    #[error("a price cannot be negative")]
    NegativePrice,
    /// A price finer than 10⁻⁹ dollars per million tokens, or too large to hold.
    #[error("a price must be a multiple of 0.000000001 dollars per million tokens")]
    InexactPrice,
    /// Only one of the two prices that belong together.
    #[error("input and output prices must be given together")]
    HalfPriced,
    /// Not a whole number of tokens, or none.
    #[error("a number of tokens must be a whole number above 0")]
    BadTokens,
    /// Not a day written `YYYY-MM-DD`.
    #[error("a date must be written `YYYY-MM-DD`")]
    BadDate,
    /// Tiers that are malformed, not by service and rising border, or without a standard one to begin with.
    #[error("tiers must rise, and the first one of each service must begin at 0")]
    BadTiers,
    /// Prices of units that are malformed, or not in order.
    #[error("a unit must be written `name=price`, and units must be in order")]
    BadUnits,
    /// A model that is there twice, with its name.
    #[error("the model `{0}` is there twice")]
    Duplicate(Box<str>),
    /// A price above a dollar for a token, or above a thousand dollars for anything else.
    #[error(
        "the price is too high: prices are dollars per million tokens, at most 1000000, or dollars for one unit, at most 1000"
    )]
    TooHigh,
    /// A model or a tier without a price.
    #[error("there is no price: write `input_per_million` and `output_per_million`, or `units_each`")]
    NoPrice,
    /// A table file where a price file is expected.
    #[error(
        "a table separated by tabs is no price file: write YAML or JSON such as \
         `models: {{my-model: {{provider: acme, input_per_million: 1.5, output_per_million: 2}}}}`, \
         with `replace: true` where these are to be the only prices"
    )]
    TableText,
    /// A price file that is malformed or not of the documented shape, in words.
    #[error("{0}")]
    File(Box<str>),
}
