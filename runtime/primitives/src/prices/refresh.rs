//! Building the table file out of LiteLLM's published price map, with feature `refresh`.
//!
//! A tool for maintainers: `cargo run -p policy-primitives --features refresh --example refresh_prices -- IN.json OUT`
//! reads the map and writes our table. Only facts are taken over (names, prices, limits, dates); the same input gives
//! the same output, byte for byte.
//!
//! # What is taken
//!
//! Models whose mode is chat, completion or responses. Prices per token for input, output, cached input and batches;
//! those above a number of input tokens, in both forms the map has: fields with `_above_128k_tokens` and the list
//! `tiered_pricing`. Limits, provider and deprecation date. Everything else is left out. A model with only one of the
//! two prices is kept without any, so that its name is not taken for a relative's.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::value::RawValue;

use super::PriceTable;
use super::decimal;
use super::entry::{Date, Entry, Mode, Price, Rates, Tier};
use super::error::PriceErrorKind;
use super::text::is_name;

/// Decimal places of a price in dollars per token, with the six of a million taken in.
const SCALE: i32 = 15;

/// Why no table came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum RefreshError {
    /// Not a JSON object of objects, in the JSON reader's words.
    Json(Box<str>),
    /// A field of a model that cannot be taken over.
    Field {
        /// The model.
        model: Box<str>,
        /// The field.
        field: Box<str>,
        /// What is wrong with it.
        kind: PriceErrorKind,
    },
    /// Two names that differ in case only.
    Duplicate(Box<str>),
}

impl fmt::Display for RefreshError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Json(message) => f.write_str(message),
            Self::Field { model, field, kind } => write!(f, "`{field}` of `{model}`: {kind}"),
            Self::Duplicate(name) => write!(f, "the model `{name}` is there twice"),
        }
    }
}

impl std::error::Error for RefreshError {}

type Fields<'a> = BTreeMap<&'a str, &'a RawValue>;

/// The table file for LiteLLM's price map `json`.
///
/// # Errors
///
/// - [`RefreshError::Json`] — `json` is not an object of objects.
/// - [`RefreshError::Field`] — a price that is not exact in our unit, a limit that is no whole number, a bad date.
/// - [`RefreshError::Duplicate`] — two names that differ in case only.
pub fn from_litellm_json(json: &str) -> Result<String, RefreshError> {
    let error = |error: serde_json::Error| RefreshError::Json(error.to_string().into());
    let models: BTreeMap<&str, &RawValue> = serde_json::from_str(json).map_err(error)?;
    let mut entries = Vec::with_capacity(models.len());
    for (name, fields) in models {
        // A row that documents the map's own fields.
        if name == "sample_spec" {
            continue;
        }
        let fields: Fields<'_> = serde_json::from_str(fields.get()).map_err(error)?;
        let model = Model { name, fields };
        if let Some(entry) = model.entry().map_err(|(field, kind)| model.error(field, kind))? {
            entries.push(entry);
        }
    }
    let table = PriceTable::from_entries(entries).map_err(RefreshError::Duplicate)?;
    Ok(table.to_text())
}

struct Model<'a> {
    name: &'a str,
    fields: Fields<'a>,
}

/// A field, and what is wrong with it.
type Wrong<'a> = (&'a str, PriceErrorKind);

/// Prices as far as a source gives them.
#[derive(Clone, Copy, Default)]
struct Known {
    input: Option<Price>,
    output: Option<Price>,
    cached_input: Option<Price>,
    batch_input: Option<Price>,
    batch_output: Option<Price>,
}

impl Known {
    /// The place of a price field, by its name without the part about its tier.
    fn slot(&mut self, field: &str) -> Option<&mut Option<Price>> {
        match field {
            "input_cost_per_token" => Some(&mut self.input),
            "output_cost_per_token" => Some(&mut self.output),
            "cache_read_input_token_cost" => Some(&mut self.cached_input),
            "input_cost_per_token_batches" => Some(&mut self.batch_input),
            "output_cost_per_token_batches" => Some(&mut self.batch_output),
            _ => None,
        }
    }

    fn rates(self) -> Option<Rates> {
        let (input, output) = (self.input?, self.output?);
        let Self {
            cached_input,
            batch_input,
            batch_output,
            ..
        } = self;
        Some(Rates {
            input,
            output,
            cached_input,
            batch_input,
            batch_output,
        })
    }
}

impl<'a> Model<'a> {
    fn error(&self, field: &str, kind: PriceErrorKind) -> RefreshError {
        RefreshError::Field {
            model: self.name.into(),
            field: field.into(),
            kind,
        }
    }

    /// A text field; `None` if it is missing or not a string.
    fn string(&self, field: &str) -> Option<&'a str> {
        self.fields.get(field)?.get().strip_prefix('"')?.strip_suffix('"')
    }

    /// A number of tokens. Some are written as floating-point numbers.
    fn tokens(&self, field: &'static str) -> Result<Option<u64>, Wrong<'a>> {
        match self.fields.get(field).map(|raw| raw.get()) {
            None | Some("null") => Ok(None),
            Some(text) => match decimal::parse(text, 0) {
                Ok(tokens) => Ok(Some(tokens)),
                Err(_) => Err((field, PriceErrorKind::BadTokens)),
            },
        }
    }

    /// The model's row; `None` if it is not a text model.
    fn entry(&self) -> Result<Option<Entry>, Wrong<'a>> {
        let Some(mode) = self.string("mode").and_then(Mode::named) else {
            return Ok(None);
        };
        if !is_name(self.name) {
            return Err(("name", PriceErrorKind::BadName));
        }
        let provider = self.string("litellm_provider").filter(|name| is_name(name));
        let provider = provider.ok_or(("litellm_provider", PriceErrorKind::BadProvider))?;
        let (base, tiers) = self.prices()?;
        let rates = base.rates();
        let deprecation_date = match self.string("deprecation_date") {
            Some(date) => Some(Date::parse(date).ok_or(("deprecation_date", PriceErrorKind::BadDate))?),
            None => None,
        };
        Ok(Some(Entry {
            name: self.name.to_ascii_lowercase().into(),
            provider: provider.to_ascii_lowercase().into(),
            mode,
            rates,
            tiers: rates.map(|rates| complete(tiers, rates)).unwrap_or_default(),
            max_input_tokens: self.tokens("max_input_tokens")?,
            max_output_tokens: self.tokens("max_output_tokens")?,
            deprecation_date,
        }))
    }

    /// The base prices, and those above numbers of input tokens.
    fn prices(&self) -> Result<(Known, BTreeMap<u64, Known>), Wrong<'a>> {
        let mut base = Known::default();
        let mut tiers: BTreeMap<u64, Known> = BTreeMap::new();
        if let Some(raw) = self.fields.get("tiered_pricing") {
            self.tiered_pricing(raw, &mut base, &mut tiers)?;
        }
        for (&field, raw) in &self.fields {
            if raw.get() == "null" {
                continue;
            }
            let (plain, above) = match split_tier(field) {
                Some((plain, above)) => (plain, Some(above)),
                None => (field.to_owned(), None),
            };
            // The place is looked up first: a tier that only has fields we do not take is no tier of ours.
            if Known::default().slot(&plain).is_none() {
                continue;
            }
            let known = above.map_or(&mut base, |above| tiers.entry(above).or_default());
            if let Some(slot) = known.slot(&plain) {
                let price = decimal::parse_printed_double(raw.get(), SCALE).map_err(|kind| (field, kind))?;
                *slot = Some(Price(price));
            }
        }
        Ok((base, tiers))
    }

    /// A list of ranges of input tokens with their prices; the lowest one is the base.
    fn tiered_pricing(
        &self,
        raw: &'a RawValue,
        base: &mut Known,
        tiers: &mut BTreeMap<u64, Known>,
    ) -> Result<(), Wrong<'a>> {
        const BAD: Wrong<'static> = ("tiered_pricing", PriceErrorKind::BadTiers);
        let ranges: Vec<&RawValue> = serde_json::from_str(raw.get()).map_err(|_| BAD)?;
        for raw in ranges {
            let fields: Fields<'_> = serde_json::from_str(raw.get()).map_err(|_| BAD)?;
            let Some(range) = fields.get("range") else {
                continue; // tiers by something else than input tokens
            };
            let range: Vec<&RawValue> = serde_json::from_str(range.get()).map_err(|_| BAD)?;
            let start = range.first().ok_or(BAD)?;
            let start = decimal::parse(start.get(), 0).map_err(|_| BAD)?;
            let known = if start == 0 {
                &mut *base
            } else {
                tiers.entry(start).or_default()
            };
            for (field, raw) in fields {
                if let Some(slot) = known.slot(field) {
                    let price = decimal::parse_printed_double(raw.get(), SCALE);
                    *slot = Some(Price(price.map_err(|kind| ("tiered_pricing", kind))?));
                }
            }
        }
        Ok(())
    }
}

/// `input_cost_per_token_above_200k_tokens_batches` as `input_cost_per_token_batches` and 200,000.
fn split_tier(field: &str) -> Option<(String, u64)> {
    let (head, rest) = field.split_once("_above_")?;
    let (thousands, tail) = rest.split_once("k_tokens")?;
    let above = thousands.parse::<u64>().ok()?.checked_mul(1000)?;
    Some((format!("{head}{tail}"), above))
}

/// Tiers in full: what a tier does not say about input and output holds on from below it.
fn complete(tiers: BTreeMap<u64, Known>, mut below: Rates) -> Box<[Tier]> {
    let complete = tiers.into_iter().map(|(above_input_tokens, tier)| {
        let rates = Rates {
            input: tier.input.unwrap_or(below.input),
            output: tier.output.unwrap_or(below.output),
            cached_input: tier.cached_input,
            batch_input: tier.batch_input,
            batch_output: tier.batch_output,
        };
        below = rates;
        Tier {
            above_input_tokens,
            rates,
        }
    });
    complete.collect()
}
