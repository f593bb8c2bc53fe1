//! From tokens and prices to money.

use std::fmt;

use super::entry::{Entry, Price, Rates};
use crate::tokens::TokenBounds;

/// Tokens of a completion that `estimatedCost` assumes when a request does not limit it.
pub const DEFAULT_COMPLETION_TOKENS: u64 = 500;

/// An amount of money in units of 10⁻⁹ dollars.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct NanoDollars(pub u128);

impl NanoDollars {
    /// The double nearest to the amount in dollars; ties go to the even one. Allocates nothing.
    pub fn to_dollars_f64(self) -> f64 {
        if self.0 < 1 << 53 {
            // Both operands are exact, so the division rounds once. The cast is exact below 2^53.
            return self.0 as f64 / 1e9;
        }
        // The standard library reads decimal numbers with correct rounding: up to 39 digits, then `e-9`.
        let mut text = *b"0000000000000000000000000000000000000000e-9";
        let mut rest = self.0;
        for digit in text[..40].iter_mut().rev() {
            // A single digit.
            *digit = b'0' + (rest % 10) as u8;
            rest /= 10;
        }
        std::str::from_utf8(&text)
            .ok()
            .and_then(|text| text.parse().ok())
            .unwrap_or(f64::INFINITY)
    }
}

/// Prints the exact amount in dollars, with nine decimals: `0.001250000`.
impl fmt::Display for NanoDollars {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:09}", self.0 / 1_000_000_000, self.0 % 1_000_000_000)
    }
}

/// What a request uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CostInput {
    /// Tokens of the prompt, cached ones included.
    pub input_tokens: u64,
    /// How many of them the provider reads from its cache; more than `input_tokens` counts as all.
    pub cached_input_tokens: u64,
    /// Tokens of the completion.
    pub output_tokens: u64,
    /// Whether it goes through the provider's batch interface.
    pub batch: bool,
}

/// What a cost lies between, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CostBounds {
    /// The cost is at least this.
    pub lower: NanoDollars,
    /// The cost is at most this.
    pub upper: NanoDollars,
}

impl Rates {
    /// The cost of a request at these prices, whatever its length.
    ///
    /// A special price that is missing is the ordinary one, so that a cost is never understated.
    fn cost(&self, request: CostInput) -> NanoDollars {
        let (input, output) = if request.batch {
            (
                self.batch_input.unwrap_or(self.input),
                self.batch_output.unwrap_or(self.output),
            )
        } else {
            (self.input, self.output)
        };
        let cached_price = self.cached_input.unwrap_or(input);
        let cached = request.cached_input_tokens.min(request.input_tokens);
        let times = |tokens: u64, price: Price| u128::from(tokens) * u128::from(price.0);
        // Each product fits 128 bits; a sum that does not is astronomical, and saturates.
        let sum = times(request.input_tokens - cached, input)
            .saturating_add(times(cached, cached_price))
            .saturating_add(times(request.output_tokens, output));
        NanoDollars(sum.div_ceil(1_000_000))
    }
}

impl Entry {
    /// What a request costs; `None` if the row has no price.
    ///
    /// The number of input tokens chooses the tier, whose prices then hold for the whole request. Rounded once,
    /// upwards, to a nano-dollar.
    pub fn estimate(&self, request: CostInput) -> Option<NanoDollars> {
        let tier = self
            .tiers
            .iter()
            .rev()
            .find(|tier| request.input_tokens > tier.above_input_tokens);
        let rates = tier.map(|tier| tier.rates).or(self.rates)?;
        Some(rates.cost(request))
    }

    /// `estimatedCost`: the prompt, and a completion of `max_tokens` or else [`DEFAULT_COMPLETION_TOKENS`].
    pub fn estimated_cost(&self, input_tokens: u64, max_tokens: Option<u64>) -> Option<NanoDollars> {
        let output_tokens = max_tokens.unwrap_or(DEFAULT_COMPLETION_TOKENS);
        self.estimate(CostInput {
            input_tokens,
            output_tokens,
            ..CostInput::default()
        })
    }

    /// `maxCost`: the prompt, and a completion of `max_tokens` or else the longest that the model makes; `None` if
    /// that is not known either.
    pub fn max_cost(&self, input_tokens: u64, max_tokens: Option<u64>) -> Option<NanoDollars> {
        let output_tokens = max_tokens.or(self.max_output_tokens)?;
        self.estimate(CostInput {
            input_tokens,
            output_tokens,
            ..CostInput::default()
        })
    }

    /// What [`Entry::estimate`] lies between when the tokens lie between bounds; `None` if the row has no price.
    ///
    /// * `request` — its `input_tokens` and `output_tokens` are not read.
    ///
    /// Takes every tier into account that the input can fall into, since a longer request need not cost more where
    /// a tier is cheaper. Within a tier costs rise with the tokens, so the ends of its range are the extremes: both
    /// bounds are reached by some request unless `cached_input_tokens` is above the input.
    pub fn bounds(&self, input: TokenBounds, output: TokenBounds, request: CostInput) -> Option<CostBounds> {
        let base = self.rates?;
        // Ranges of input tokens, both ends included: the base's, then each tier's.
        let starts = std::iter::once((0, base)).chain(
            self.tiers
                .iter()
                .map(|tier| (tier.above_input_tokens.saturating_add(1), tier.rates)),
        );
        let ends = self
            .tiers
            .iter()
            .map(|tier| tier.above_input_tokens)
            .chain([u64::MAX]);
        let mut bounds: Option<CostBounds> = None;
        for ((start, rates), end) in starts.zip(ends) {
            let (low, high) = (start.max(input.lower), end.min(input.upper));
            if low > high {
                continue;
            }
            let cost = |input_tokens, output_tokens| {
                rates.cost(CostInput {
                    input_tokens,
                    output_tokens,
                    ..request
                })
            };
            let (lower, upper) = (cost(low, output.lower), cost(high, output.upper));
            bounds = Some(match bounds {
                Some(known) => CostBounds {
                    lower: known.lower.min(lower),
                    upper: known.upper.max(upper),
                },
                None => CostBounds { lower, upper },
            });
        }
        bounds
    }
}
