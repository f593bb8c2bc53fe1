//! A row of the price table.
//!
//! Plain data, made by the readers ([`super::text`], `super::file`, `super::refresh`) and read by
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

/// The prices of tokens that hold together: those of a model at one service tier above one number of input tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rates {
    /// Per input token.
    pub input: Price,
    /// Per output token.
    pub output: Price,
    /// Per input token read from the provider's cache; without one it costs what input costs.
    pub cached_input: Option<Price>,
    /// Per input token written to the provider's cache; without one it costs what input costs.
    pub cache_write: Option<Price>,
    /// Per input token written to the cache for an hour; without one it costs what [`Rates::cache_write`] does.
    pub cache_write_1h: Option<Price>,
    /// Per input token written to the cache for twelve hours; without one it costs what [`Rates::cache_write_1h`] does.
    pub cache_write_12h: Option<Price>,
    /// Per output token of reasoning; without one it costs what output costs.
    pub reasoning: Option<Price>,
}

/// How fast, or how late, a provider answers for the money.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum ServiceTier {
    /// What a request gets that asks for nothing else.
    #[default]
    Standard,
    /// Answered within a day.
    Batch,
    /// Answered when there is room.
    Flex,
    /// Answered before others.
    Priority,
    /// Between flex and standard, as some sellers of open models have it.
    Balanced,
    /// Faster than priority.
    Ultrafast,
    /// For choices between given answers.
    Decisions,
}

impl ServiceTier {
    /// Every tier.
    pub const ALL: [Self; 7] = [
        Self::Standard,
        Self::Batch,
        Self::Flex,
        Self::Priority,
        Self::Balanced,
        Self::Ultrafast,
        Self::Decisions,
    ];

    /// `standard`, `batch` and so on, as in the table file and in `llm.serviceTier`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Standard => "standard",
            Self::Batch => "batch",
            Self::Flex => "flex",
            Self::Priority => "priority",
            Self::Balanced => "balanced",
            Self::Ultrafast => "ultrafast",
            Self::Decisions => "decisions",
        }
    }

    /// The tier that a request names, in any case; [`ServiceTier::Standard`] for every other name, such as `auto`.
    pub fn asked(name: &str) -> Self {
        let name = name.trim();
        Self::ALL
            .into_iter()
            .find(|tier| tier.as_str().eq_ignore_ascii_case(name))
            .unwrap_or_default()
    }

    /// The inverse of [`ServiceTier::as_str`].
    pub(super) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|tier| tier.as_str() == name)
    }
}

/// Prices of a service tier for requests of more than a number of input tokens. They apply to the whole request, not to
/// the tokens above the border.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tier {
    /// The service.
    pub service: ServiceTier,
    /// Applies to requests with more input tokens than this; 0 for the lowest tier of a service.
    pub above_input_tokens: u64,
    /// What they cost.
    pub rates: Rates,
}

/// The price of something other than a token of text: an image, a second, a page, a query, a token of audio.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnitPrice {
    /// What is counted: `output_image`, `input_second`, `input_audio_token`, `ocr_page`, `input_query`,
    /// `input_request` and so on, in lower case.
    pub unit: Box<str>,
    /// The service.
    pub service: ServiceTier,
    /// Applies to requests with more input tokens than this.
    pub above_input_tokens: u64,
    /// For each of them.
    pub price: Price,
}

/// What a model is called through.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[expect(missing_docs, reason = "`as_str` names them")]
pub enum Mode {
    Chat,
    Completion,
    Responses,
    Embedding,
    Rerank,
    ImageGeneration,
    ImageEdit,
    VideoGeneration,
    AudioTranscription,
    AudioSpeech,
    Realtime,
    Moderation,
    Ocr,
    Search,
    VectorStore,
    Evaluation,
    Decisions,
    Extraction,
    Guardrail,
    Other,
}

impl Mode {
    const NAMES: [(Self, &'static str); 20] = [
        (Self::Chat, "chat"),
        (Self::Completion, "completion"),
        (Self::Responses, "responses"),
        (Self::Embedding, "embedding"),
        (Self::Rerank, "rerank"),
        (Self::ImageGeneration, "image_generation"),
        (Self::ImageEdit, "image_edit"),
        (Self::VideoGeneration, "video_generation"),
        (Self::AudioTranscription, "audio_transcription"),
        (Self::AudioSpeech, "audio_speech"),
        (Self::Realtime, "realtime"),
        (Self::Moderation, "moderation"),
        (Self::Ocr, "ocr"),
        (Self::Search, "search"),
        (Self::VectorStore, "vector_store"),
        (Self::Evaluation, "evaluation"),
        (Self::Decisions, "decisions"),
        (Self::Extraction, "extraction"),
        (Self::Guardrail, "guardrail"),
        (Self::Other, "other"),
    ];

    /// `chat`, `embedding`, `image_generation` and so on, as in the table file.
    pub fn as_str(self) -> &'static str {
        Self::NAMES
            .iter()
            .find(|(mode, _)| *mode == self)
            .map_or("other", |(_, name)| name)
    }

    /// The name of every mode, as in the table file.
    pub fn names() -> impl Iterator<Item = &'static str> {
        Self::NAMES.iter().map(|(_, name)| *name)
    }

    /// The inverse of [`Mode::as_str`].
    pub(super) fn named(name: &str) -> Option<Self> {
        Self::NAMES
            .iter()
            .find(|(_, own)| *own == name)
            .map(|(mode, _)| *mode)
    }

    #[cfg(feature = "refresh")]
    /// Whether an answer is no text: nothing that costs as output, or a score or a vector.
    pub(super) fn has_no_output(self) -> bool {
        matches!(self, Self::Embedding | Self::Rerank | Self::Moderation)
    }
}

/// A calendar day, ordered by time. Prints as `2026-11-23`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Date {
    /// Year of the common era, 0 to 9999.
    pub year: u16,
    /// 1 to 12.
    pub month: u8,
    /// 1 to 31.
    pub day: u8,
}

impl Date {
    /// Whether the calendar has this day.
    #[cfg(feature = "price-files")]
    pub(super) fn is_real(self) -> bool {
        let leap =
            self.year.is_multiple_of(4) && (!self.year.is_multiple_of(100) || self.year.is_multiple_of(400));
        let days = match self.month {
            2 if leap => 29,
            2 => 28,
            4 | 6 | 9 | 11 => 30,
            _ => 31,
        };
        self.day <= days
    }

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
    /// Prices of tokens, by service and then by rising border; empty if tokens have no price.
    ///
    /// INVARIANT: the standard service is there if any is, and each service begins with the border 0.
    pub tiers: Box<[Tier]>,
    /// Prices of what is not a token of text.
    pub units: Box<[UnitPrice]>,
    /// The longest prompt it takes, in tokens.
    pub max_input_tokens: Option<u64>,
    /// The longest completion it makes, in tokens.
    pub max_output_tokens: Option<u64>,
    /// The day from which the provider no longer serves it.
    pub deprecation_date: Option<Date>,
    /// The last day on which the published map had this row, where it no longer does: its prices are of that day.
    pub last_listed: Option<Date>,
}

impl Entry {
    /// What tokens cost at the standard service, in the lowest tier; `None` if they have no price.
    pub fn rates(&self) -> Option<&Rates> {
        self.tiers.first().map(|tier| &tier.rates)
    }

    /// The tiers of a service, by rising border; those of the standard service where the model has none of its own.
    pub fn tiers_of(&self, service: ServiceTier) -> &[Tier] {
        let of = |service| {
            let start = self.tiers.partition_point(|tier| tier.service < service);
            let rest = self.tiers.get(start..).unwrap_or_default();
            rest.get(..rest.partition_point(|tier| tier.service == service))
                .unwrap_or_default()
        };
        match of(service) {
            [] => of(ServiceTier::Standard),
            own => own,
        }
    }

    /// The price of a unit at the standard service in the lowest tier: `unit("output_image")`.
    pub fn unit(&self, name: &str) -> Option<Price> {
        self.units
            .iter()
            .find(|unit| {
                *unit.unit == *name && unit.service == ServiceTier::Standard && unit.above_input_tokens == 0
            })
            .map(|unit| unit.price)
    }

    /// Whether it has a price of any kind.
    pub fn has_price(&self) -> bool {
        !self.tiers.is_empty() || !self.units.is_empty()
    }

    /// Whether all that it has a price for costs nothing.
    pub fn is_free(&self) -> bool {
        let free = |rates: &Rates| {
            let Rates {
                input,
                output,
                cached_input,
                cache_write,
                cache_write_1h,
                cache_write_12h,
                reasoning,
            } = *rates;
            let others = [
                cached_input,
                cache_write,
                cache_write_1h,
                cache_write_12h,
                reasoning,
            ];
            input.0 == 0 && output.0 == 0 && others.into_iter().flatten().all(|price| price.0 == 0)
        };
        self.has_price()
            && self.tiers.iter().all(|tier| free(&tier.rates))
            && self.units.iter().all(|unit| unit.price.0 == 0)
    }
}
