//! A row of the price table.
//!
//! Plain data, made by the readers ([`super::text`], [`super::overrides`], `super::refresh`) and read by
//! [`super::resolve`] and [`super::cost`].

use std::fmt;

/// A price in nano-dollars per million tokens, that is in units of 10⁻¹⁵ dollars per token.
///
/// Prints as dollars per million tokens, without trailing zeros: `2.5`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Price(pub u64);

impl fmt::Display for Price {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const UNIT: u64 = 1_000_000_000;
        let (dollars, mut rest) = (self.0 / UNIT, self.0 % UNIT);
        write!(f, "{dollars}")?;
        if rest != 0 {
            let mut digits = 9;
            while rest.is_multiple_of(10) {
                rest /= 10;
                digits -= 1;
            }
            write!(f, ".{rest:0digits$}")?;
        }
        Ok(())
    }
}

/// The prices that hold together: those of a model, or of a model above a number of input tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rates {
    /// Per input token.
    pub input: Price,
    /// Per output token.
    pub output: Price,
    /// Per input token read from the provider's cache; without one it costs what input costs.
    pub cached_input: Option<Price>,
    /// Per input token of a batch request; without one it costs what input costs.
    pub batch_input: Option<Price>,
    /// Per output token of a batch request; without one it costs what output costs.
    pub batch_output: Option<Price>,
}

/// Prices for long requests. They apply to the whole request, not to the tokens above the border.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tier {
    /// Applies to requests with more input tokens than this.
    pub above_input_tokens: u64,
    /// What they cost.
    pub rates: Rates,
}

/// What a model is called through.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Mode {
    /// Chat completions.
    Chat,
    /// Plain completions.
    Completion,
    /// OpenAI's responses API only.
    Responses,
}

impl Mode {
    /// `chat`, `completion` or `responses`, as in the table file.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Chat => "chat",
            Self::Completion => "completion",
            Self::Responses => "responses",
        }
    }

    /// The inverse of [`Mode::as_str`].
    pub(super) fn named(name: &str) -> Option<Self> {
        [Self::Chat, Self::Completion, Self::Responses]
            .into_iter()
            .find(|mode| mode.as_str() == name)
    }
}

/// A calendar day, ordered by time. Prints as `2026-11-23`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Date {
    /// Four digits.
    pub year: u16,
    /// 1 to 12.
    pub month: u8,
    /// 1 to 31.
    pub day: u8,
}

impl Date {
    /// Reads `YYYY-MM-DD`; months have up to 31 days here.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (year, rest) = text.split_once('-')?;
        let (month, day) = rest.split_once('-')?;
        let digits = |text: &str, length| text.len() == length && text.bytes().all(|b| b.is_ascii_digit());
        if !digits(year, 4) || !digits(month, 2) || !digits(day, 2) {
            return None;
        }
        let date = Self {
            year: year.parse().ok()?,
            month: month.parse().ok()?,
            day: day.parse().ok()?,
        };
        ((1..=12).contains(&date.month) && (1..=31).contains(&date.day)).then_some(date)
    }
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}-{:02}", self.year, self.month, self.day)
    }
}

/// A model's row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The model's name, in lower case, with the provider's prefix where it has one.
    pub name: Box<str>,
    /// Who sells it.
    pub provider: Box<str>,
    /// What it is called through.
    pub mode: Mode,
    /// Its prices; `None` if it is known by name only, and then it resolves to unknown.
    pub rates: Option<Rates>,
    /// Prices of long requests. INVARIANT: by rising border; empty without `rates`.
    pub tiers: Box<[Tier]>,
    /// The longest prompt it takes, in tokens.
    pub max_input_tokens: Option<u64>,
    /// The longest completion it makes, in tokens.
    pub max_output_tokens: Option<u64>,
    /// The day from which the provider no longer serves it.
    pub deprecation_date: Option<Date>,
}
