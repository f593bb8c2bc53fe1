//! From tokens and prices to money.

use std::fmt;

use super::entry::{Entry, Mode, Price, Rates, ServiceTier};
use crate::tokens::TokenBounds;

/// The unit that every request pays once.
const PER_REQUEST: &str = "input_request";
/// Units of searches, by how much of what is found the model reads.
const SEARCH: &str = "search_context_query";

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
    /// Tokens of the prompt, those read from and written to a cache included.
    pub input_tokens: u64,
    /// How many of them the provider reads from its cache.
    pub cached_input_tokens: u64,
    /// How many of them the provider writes to its cache for some minutes.
    pub cache_write_tokens: u64,
    /// How many of them the provider writes to its cache for an hour.
    pub cache_write_1h_tokens: u64,
    /// How many of them the provider writes to its cache for twelve hours.
    pub cache_write_12h_tokens: u64,
    /// Tokens of the completion, those of reasoning included.
    pub output_tokens: u64,
    /// How many of them are reasoning; more than `output_tokens` counts as all.
    pub reasoning_tokens: u64,
    /// What each token of the output that is no reasoning costs, where it may be other than text: [`Entry::output_of`]. The price
    /// of text counts where it is higher.
    pub output_price: Option<Price>,
    /// The service that is asked for. A model that does not have it serves at its standard one.
    pub service: ServiceTier,
    /// What the seller adds to each request; [`super::Resolution::Known`] says it.
    pub surcharge: NanoDollars,
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
    /// A special price that is missing is the ordinary one. More special tokens than there are count as all, in the order
    /// of the fields.
    fn cost(&self, request: CostInput) -> u128 {
        let times = |tokens: u64, price: Price| u128::from(tokens) * u128::from(price.0);
        let write = self.cache_write.unwrap_or(self.input);
        let write_1h = self.cache_write_1h.unwrap_or(write);
        let mut rest = request.input_tokens;
        let mut sum = 0u128;
        for (tokens, price) in [
            (
                request.cached_input_tokens,
                self.cached_input.unwrap_or(self.input),
            ),
            (request.cache_write_tokens, write),
            (request.cache_write_1h_tokens, write_1h),
            (
                request.cache_write_12h_tokens,
                self.cache_write_12h.unwrap_or(write_1h),
            ),
        ] {
            let tokens = tokens.min(rest);
            rest -= tokens;
            sum = sum.saturating_add(times(tokens, price));
        }
        let reasoning = request.reasoning_tokens.min(request.output_tokens);
        let output = self.output.max(request.output_price.unwrap_or_default());
        // Each product fits 128 bits; a sum that does not is astronomical, and saturates.
        sum.saturating_add(times(rest, self.input))
            .saturating_add(times(reasoning, self.reasoning.unwrap_or(self.output)))
            .saturating_add(times(request.output_tokens - reasoning, output))
    }
}

impl Entry {
    /// Whether the tokens of texts say what a request costs. They do not where an answer is an image or sound, or
    /// may be video, nor where pages, seconds, queries and the like are what is paid for.
    pub fn is_priced_by_tokens(&self) -> bool {
        let text = match self.mode {
            Mode::Chat
            | Mode::Completion
            | Mode::Responses
            | Mode::Embedding
            | Mode::Rerank
            | Mode::Moderation
            | Mode::Evaluation
            | Mode::Decisions
            | Mode::Extraction
            | Mode::Other => true,
            Mode::ImageGeneration
            | Mode::ImageEdit
            | Mode::VideoGeneration
            | Mode::AudioTranscription
            | Mode::AudioSpeech
            | Mode::Realtime
            | Mode::Ocr
            | Mode::Search
            | Mode::VectorStore
            | Mode::Guardrail => false,
        };
        let free = self
            .rates()
            .is_some_and(|rates| rates.input.0 == 0 && rates.output.0 == 0);
        // An answer that costs nothing beside an input that does: a gap in what is published, or a fee beside the price.
        let gap = matches!(self.mode, Mode::Chat | Mode::Completion | Mode::Responses)
            && self
                .rates()
                .is_some_and(|rates| rates.input.0 != 0 && rates.output.0 == 0);
        let pays_otherwise = self
            .units
            .iter()
            .any(|unit| unit.price.0 != 0 && &*unit.unit != PER_REQUEST);
        // Answers that may be video: how much of it there will be is known to nobody.
        let films = self.output_of("video").is_some();
        let researches = self.always_searches() && self.name.contains("deep-research");
        self.rates().is_some()
            && (text || self.is_free())
            && !gap
            && !films
            && !researches
            && !(free && pays_otherwise)
    }

    /// Whether each request to it is a search, whose fee is part of what the request costs. Others search when they are asked to.
    fn always_searches(&self) -> bool {
        &*self.provider == "perplexity"
            || self.name.contains("-search-preview")
            || self.name.contains("-search-api")
    }

    /// What each request costs beside its tokens: a fee, and the dearest search of a model that always searches.
    fn fee(&self) -> Price {
        let search = self
            .units
            .iter()
            .filter(|unit| unit.unit.starts_with(SEARCH) && self.always_searches())
            .map(|unit| unit.price)
            .max();
        let fee = self.unit(PER_REQUEST).unwrap_or_default();
        Price(fee.0.saturating_add(search.unwrap_or_default().0))
    }

    /// Whether it answers in sound unless it is asked for text.
    pub fn speaks(&self) -> bool {
        let names = ["realtime", "-live", "-tts", "native-audio"];
        self.output_of("audio").is_some() && names.iter().any(|name| self.name.contains(name))
    }

    /// The highest price of a token of sound (`audio`), of an image (`image`) or of video (`video`) in an answer, over all
    /// services; `None` where such tokens have none.
    pub fn output_of(&self, kind: &str) -> Option<Price> {
        let of = |unit: &str| {
            let kind_of = unit
                .strip_prefix("output_")
                .and_then(|rest| rest.strip_suffix("_token"));
            kind_of == Some(kind)
        };
        self.units
            .iter()
            .filter(|unit| of(&unit.unit))
            .map(|unit| unit.price)
            .max()
    }

    fn sum(&self, rates: &Rates, request: CostInput) -> NanoDollars {
        let tokens = rates.cost(request).saturating_add(u128::from(self.fee().0));
        NanoDollars(tokens.div_ceil(1_000_000).saturating_add(request.surcharge.0))
    }

    /// What a request costs; `None` unless it is [priced by tokens](Entry::is_priced_by_tokens).
    ///
    /// The number of input tokens chooses the tier, whose prices then hold for the whole request. Rounded once,
    /// upwards, to a nano-dollar.
    pub fn estimate(&self, request: CostInput) -> Option<NanoDollars> {
        if !self.is_priced_by_tokens() {
            return None;
        }
        let tiers = self.tiers_of(request.service);
        let tier = tiers
            .iter()
            .rev()
            .find(|tier| request.input_tokens > tier.above_input_tokens);
        let tier = tier.or_else(|| tiers.first())?;
        Some(self.sum(&tier.rates, request))
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

    /// `maxCost`: the prompt, and a completion of `max_tokens` or else the [longest](Entry::longest_completion) that the
    /// model makes, all of it reasoning where that is dearer; `None` if that is not known either.
    pub fn max_cost(&self, input_tokens: u64, max_tokens: Option<u64>) -> Option<NanoDollars> {
        let output_tokens = max_tokens.or(self.longest_completion())?;
        self.estimate(CostInput {
            input_tokens,
            output_tokens,
            reasoning_tokens: if self.reasoning_is_dearer() {
                output_tokens
            } else {
                0
            },
            ..CostInput::default()
        })
    }

    /// Tokens of the longest completion; 0 where completions cost nothing, and `None` where nobody knows.
    pub fn longest_completion(&self) -> Option<u64> {
        let costs = self
            .tiers
            .iter()
            .any(|tier| tier.rates.output.0 != 0 || tier.rates.reasoning.is_some_and(|price| price.0 != 0));
        if costs { self.max_output_tokens } else { Some(0) }
    }

    /// Whether a token of reasoning costs more than another token of the output, in some tier.
    pub fn reasoning_is_dearer(&self) -> bool {
        self.tiers.iter().any(|tier| {
            tier.rates
                .reasoning
                .is_some_and(|price| price > tier.rates.output)
        })
    }

    /// What [`Entry::estimate`] lies between when the tokens lie between bounds; `None` where that gives none.
    ///
    /// * `request` — its `input_tokens` and `output_tokens` are not read.
    ///
    /// Takes every tier into account that the input can fall into, since a longer request need not cost more where
    /// a tier is cheaper. Within a tier costs rise with the tokens, so the ends of its range are the extremes: both
    /// bounds are reached by some request unless more tokens are special than there are.
    pub fn bounds(&self, input: TokenBounds, output: TokenBounds, request: CostInput) -> Option<CostBounds> {
        if !self.is_priced_by_tokens() {
            return None;
        }
        let tiers = self.tiers_of(request.service);
        // Ranges of input tokens, both ends included.
        let starts = tiers.iter().enumerate().map(|(at, tier)| match at {
            0 => 0,
            _ => tier.above_input_tokens.saturating_add(1),
        });
        let ends = tiers
            .iter()
            .skip(1)
            .map(|tier| tier.above_input_tokens)
            .chain([u64::MAX]);
        let mut bounds: Option<CostBounds> = None;
        for ((tier, start), end) in tiers.iter().zip(starts).zip(ends) {
            let (low, high) = (start.max(input.lower), end.min(input.upper));
            if low > high {
                continue;
            }
            let cost = |input_tokens, output_tokens| {
                self.sum(
                    &tier.rates,
                    CostInput {
                        input_tokens,
                        output_tokens,
                        ..request
                    },
                )
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
