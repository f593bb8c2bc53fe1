//! A user's own prices in JSON; [`crate::prices`] documents the shape.
//!
//! Prices are kept as the text they are written in until they are read exactly: no floating-point number between.

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

use serde::Deserialize;
use serde::de::{MapAccess, Visitor};
use serde_json::value::RawValue;

use super::decimal;
use super::entry::{Date, Entry, Mode, Price, ServiceTier};
use super::error::{PriceError, PriceErrorKind};
use super::text::is_name;
use super::tiers::{Known, Place, complete};

/// Decimal places of a price in dollars per million tokens.
const SCALE: i32 = 9;

/// The models of `text`, in the order they stand there.
pub(super) fn parse(text: &str) -> Result<Vec<Entry>, PriceError> {
    let file: File<'_> = serde_json::from_str(text).map_err(|error| json_error(&error))?;
    let mut entries: Vec<Entry> = Vec::with_capacity(file.models.0.len());
    for (key, model) in &file.models.0 {
        let error = |raw: &RawValue, kind| PriceError::at(text, offset(text, raw.get()), kind);
        let name: String = serde_json::from_str(key.get())
            .map_err(|json| error(key, PriceErrorKind::Json(message(&json).into())))?;
        let name = name.to_ascii_lowercase();
        if !is_name(&name) {
            return Err(error(key, PriceErrorKind::BadName));
        }
        if entries.iter().any(|entry| *entry.name == *name) {
            return Err(error(key, PriceErrorKind::Duplicate(name.into())));
        }
        let entry = model
            .entry(&name)
            .map_err(|(place, kind)| error(place.unwrap_or(key), kind))?;
        entries.push(entry);
    }
    Ok(entries)
}

fn json_error(error: &serde_json::Error) -> PriceError {
    let kind = PriceErrorKind::Json(message(error).into());
    PriceError {
        line: error.line().max(1),
        column: error.column().max(1),
        kind,
    }
}

/// The reader's message without the place, which the error carries itself.
fn message(error: &serde_json::Error) -> String {
    let text = error.to_string();
    match text.rfind(" at line ") {
        Some(at) => text[..at].to_owned(),
        None => text,
    }
}

/// Where `part`, which was borrowed from `text`, starts in it.
fn offset(text: &str, part: &str) -> usize {
    (part.as_ptr() as usize).saturating_sub(text.as_ptr() as usize)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File<'a> {
    #[serde(borrow)]
    models: Models<'a>,
}

/// The models with their names as they are written, so that a name given twice is seen and can be pointed at.
struct Models<'a>(Vec<(&'a RawValue, Model<'a>)>);

impl<'de: 'a, 'a> Deserialize<'de> for Models<'a> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Pairs<'a>(PhantomData<&'a str>);
        impl<'de: 'a, 'a> Visitor<'de> for Pairs<'a> {
            type Value = Models<'a>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of models by name")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut models: Vec<(&'de RawValue, Model<'de>)> = Vec::new();
                while let Some(pair) = map.next_entry()? {
                    models.push(pair);
                }
                Ok(Models(models))
            }
        }
        deserializer.deserialize_map(Pairs(PhantomData))
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Model<'a> {
    provider: String,
    #[serde(borrow)]
    mode: Option<&'a RawValue>,
    input_per_million: &'a RawValue,
    output_per_million: &'a RawValue,
    cached_input_per_million: Option<&'a RawValue>,
    cache_write_per_million: Option<&'a RawValue>,
    cache_write_1h_per_million: Option<&'a RawValue>,
    reasoning_per_million: Option<&'a RawValue>,
    batch_input_per_million: Option<&'a RawValue>,
    batch_output_per_million: Option<&'a RawValue>,
    flex_input_per_million: Option<&'a RawValue>,
    flex_output_per_million: Option<&'a RawValue>,
    priority_input_per_million: Option<&'a RawValue>,
    priority_output_per_million: Option<&'a RawValue>,
    max_input_tokens: Option<u64>,
    max_output_tokens: Option<u64>,
    deprecation_date: Option<&'a RawValue>,
    #[serde(default)]
    tiers: Vec<TierText<'a>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TierText<'a> {
    above_input_tokens: u64,
    #[serde(borrow)]
    input_per_million: &'a RawValue,
    output_per_million: &'a RawValue,
    cached_input_per_million: Option<&'a RawValue>,
    cache_write_per_million: Option<&'a RawValue>,
    cache_write_1h_per_million: Option<&'a RawValue>,
    reasoning_per_million: Option<&'a RawValue>,
    batch_input_per_million: Option<&'a RawValue>,
    batch_output_per_million: Option<&'a RawValue>,
    flex_input_per_million: Option<&'a RawValue>,
    flex_output_per_million: Option<&'a RawValue>,
    priority_input_per_million: Option<&'a RawValue>,
    priority_output_per_million: Option<&'a RawValue>,
}

/// A mistake at a value, or at the model's name if there is no value to point at.
type Misplaced<'a> = (Option<&'a RawValue>, PriceErrorKind);

/// The prices of a model or of one of its tiers, above a border.
macro_rules! prices {
    ($text:expr, $above:expr, $known:expr) => {{
        let text = $text;
        let some = |raw: Option<_>| raw.map(price).transpose();
        let standard = Known {
            input: Some(price(text.input_per_million)?),
            output: Some(price(text.output_per_million)?),
            cached_input: some(text.cached_input_per_million)?,
            cache_write: some(text.cache_write_per_million)?,
            cache_write_1h: some(text.cache_write_1h_per_million)?,
            cache_write_12h: None,
            reasoning: some(text.reasoning_per_million)?,
        };
        $known.insert((ServiceTier::Standard, $above), standard);
        for (service, input, output) in [
            (
                ServiceTier::Batch,
                text.batch_input_per_million,
                text.batch_output_per_million,
            ),
            (
                ServiceTier::Flex,
                text.flex_input_per_million,
                text.flex_output_per_million,
            ),
            (
                ServiceTier::Priority,
                text.priority_input_per_million,
                text.priority_output_per_million,
            ),
        ] {
            let known = Known {
                input: some(input)?,
                output: some(output)?,
                ..Known::default()
            };
            if known != Known::default() {
                $known.insert((service, $above), known);
            }
        }
    }};
}

impl<'a> Model<'a> {
    fn entry(&self, name: &str) -> Result<Entry, Misplaced<'a>> {
        if !is_name(&self.provider) {
            return Err((None, PriceErrorKind::BadProvider));
        }
        let mode = match self.mode {
            Some(raw) => Mode::named(unquoted(raw)).ok_or((Some(raw), PriceErrorKind::BadMode))?,
            None => Mode::Chat,
        };
        let deprecation_date = match self.deprecation_date {
            Some(raw) => Some(Date::parse(unquoted(raw)).ok_or((Some(raw), PriceErrorKind::BadDate))?),
            None => None,
        };
        let mut known: BTreeMap<Place, Known> = BTreeMap::new();
        prices!(self, 0, known);
        let mut below = 0;
        for tier in &self.tiers {
            // The first border may not be 0: that is what the model's own prices are for.
            if tier.above_input_tokens <= below {
                return Err((Some(tier.input_per_million), PriceErrorKind::BadTiers));
            }
            below = tier.above_input_tokens;
            prices!(tier, tier.above_input_tokens, known);
        }
        Ok(Entry {
            name: name.into(),
            provider: self.provider.to_ascii_lowercase().into(),
            mode,
            tiers: complete(&known),
            units: Box::default(),
            max_input_tokens: self.max_input_tokens,
            max_output_tokens: self.max_output_tokens,
            deprecation_date,
            last_listed: None,
        })
    }
}

fn price(raw: &RawValue) -> Result<Price, Misplaced<'_>> {
    decimal::parse(raw.get(), SCALE)
        .map(Price)
        .map_err(|kind| (Some(raw), kind))
}

/// The text between the quotes of a JSON string; neither modes nor dates contain what needs escaping.
fn unquoted(raw: &RawValue) -> &str {
    raw.get().trim_matches('"')
}
