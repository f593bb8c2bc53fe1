//! Building the table file out of LiteLLM's published price map, with feature `refresh`.
//!
//! A tool for maintainers, [`update`] under the command
//! `cargo run -p policy-primitives --features refresh --example refresh_prices -- MAP.json DAY TABLE`: reads the map as it
//! was published on a day, lays it over the table and writes the table. Only facts are taken over (names, prices, limits,
//! dates); the same input gives the same output, byte for byte.
//!
//! # What is taken
//!
//! Every model of the map, whatever its mode: provider, limits, deprecation date and every price in dollars.
//!
//! - Prices of tokens of text by service (fields that end in `_batches`, `_flex`, `_priority` and so on) and by input
//!   tokens, in both forms that the map has: fields with `_above_128k_tokens` and the list `tiered_pricing`. The module
//!   `tiers` makes full tiers of them.
//! - Every other price, as the price of a unit; its name is the map's field, without the words about cost. So is a price
//!   of input tokens alone, where nobody says what output costs.
//!
//! Not taken: prices in units that are no dollars (`dbu`), tiers by something else than input tokens, rows without a
//! mode, which are no models.
//!
//! # What is kept
//!
//! A row of the table that the map no longer has keeps its last prices and gets the day on which it was last listed. That
//! is for models that were retired; a row that costs nothing, and one whose seller is no longer in the map at all, says
//! nothing about today and goes. A row whose answers cost nothing any more, though its input does, keeps its last prices as
//! well: that is a gap in the map.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::value::RawValue;

use super::PriceTable;
use super::decimal;
use super::entry::{Date, Entry, Mode, Price, ServiceTier, UnitPrice};
use super::error::PriceErrorKind;
use super::text::{is_name, is_unit, unit_place};
use super::tiers::{Known, Place, complete};

/// Decimal places of a price in dollars per unit, with the six of a million taken in.
const SCALE: i32 = 15;

/// Why no table came of it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RefreshError {
    /// Not a JSON object of objects, in the JSON reader's words.
    #[error("{0}")]
    Json(Box<str>),
    /// The day is not written `YYYY-MM-DD`, or is not after the one of the table.
    #[error("the day must be written `YYYY-MM-DD` and be after the one of the table")]
    Day,
    /// A field of a model that cannot be taken over.
    #[error("`{field}` of `{model}`: {kind}")]
    Field {
        /// The model.
        model: Box<str>,
        /// The field.
        field: Box<str>,
        /// What is wrong with it.
        kind: PriceErrorKind,
    },
    /// Two names that differ in case only, with different prices.
    #[error("the model `{0}` is there twice")]
    Duplicate(Box<str>),
}

/// The table for LiteLLM's price map `json` as it was published on `day`, with the rows of `before` that it retired.
///
/// * `before` — the table so far; one without rows to begin with.
/// * `day` — `YYYY-MM-DD`, after that of `before`.
///
/// # Errors
///
/// - [`RefreshError::Json`] — `json` is not an object of objects.
/// - [`RefreshError::Day`] — no such day, or an earlier one.
/// - [`RefreshError::Field`] — a price that is not exact in our unit, a limit that is no whole number, a bad date.
/// - [`RefreshError::Duplicate`] — two names that differ in case only.
pub fn update(before: &PriceTable, json: &str, day: &str) -> Result<PriceTable, RefreshError> {
    let day = Date::parse(day)
        .filter(|day| before.listed.is_none_or(|before| before < *day))
        .ok_or(RefreshError::Day)?;
    let error = |error: serde_json::Error| RefreshError::Json(error.to_string().into());
    let models: BTreeMap<&str, &RawValue> = serde_json::from_str(json).map_err(error)?;
    let mut entries: Vec<Entry> = Vec::with_capacity(models.len());
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
    // Some names are there in two spellings, with the same prices.
    entries.sort_by(|a, b| a.name.cmp(&b.name));
    entries.dedup_by(|later, kept| {
        later.name == kept.name && later.tiers == kept.tiers && later.units == kept.units
    });
    let mut table = PriceTable::from_entries(entries).map_err(RefreshError::Duplicate)?;
    for entry in &mut table.entries {
        let known = before
            .find(&[&entry.name])
            .filter(|known| known.is_priced_by_tokens());
        if let Some(known) = known
            && matches!(known.mode, Mode::Chat | Mode::Completion | Mode::Responses)
            && entry.rates().is_some_and(|rates| rates.output.0 == 0)
            && known.rates().is_some_and(|rates| rates.output.0 != 0)
            && !entry.is_free()
        {
            *entry = Entry {
                last_listed: known.last_listed.or(before.listed),
                ..known.clone()
            };
        }
    }
    let sellers: BTreeSet<&str> = table.entries.iter().map(|entry| &*entry.provider).collect();
    let retired: Vec<Entry> = before
        .entries
        .iter()
        .filter(|entry| {
            table.find(&[&entry.name]).is_none()
                && entry.has_price()
                && !entry.is_free()
                && sellers.contains(&*entry.provider)
        })
        .map(|entry| Entry {
            last_listed: entry.last_listed.or(before.listed),
            ..entry.clone()
        })
        .collect();
    table.entries.extend(retired);
    table.entries.sort_by(|a, b| a.name.cmp(&b.name));
    table.listed = Some(day);
    Ok(table)
}

type Fields<'a> = BTreeMap<&'a str, &'a RawValue>;

struct Model<'a> {
    name: &'a str,
    fields: Fields<'a>,
}

/// A field, and what is wrong with it.
type Wrong<'a> = (&'a str, PriceErrorKind);

/// All prices of a model, as the map gives them.
#[derive(Default)]
struct Prices {
    tokens: BTreeMap<Place, Known>,
    units: Vec<UnitPrice>,
}

impl Known {
    /// The place of a price of tokens, by the name of its field without the parts about service and border.
    fn slot(&mut self, field: &str) -> Option<&mut Option<Price>> {
        match field {
            "input_cost_per_token" => Some(&mut self.input),
            "output_cost_per_token" => Some(&mut self.output),
            "cache_read_input_token_cost" => Some(&mut self.cached_input),
            "cache_creation_input_token_cost" => Some(&mut self.cache_write),
            "cache_creation_input_token_cost_above_1hr" => Some(&mut self.cache_write_1h),
            "cache_creation_input_token_cost_above_12hr" => Some(&mut self.cache_write_12h),
            "output_cost_per_reasoning_token" => Some(&mut self.reasoning),
            _ => None,
        }
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

    /// A number of tokens. Some are written as floating-point numbers, some as text.
    fn tokens(&self, field: &'static str) -> Result<Option<u64>, Wrong<'a>> {
        match self.fields.get(field).map(|raw| raw.get().trim_matches('"')) {
            None | Some("null") => Ok(None),
            Some(text) => match decimal::parse(text, 0) {
                Ok(tokens) => Ok(Some(tokens)),
                Err(_) => Err((field, PriceErrorKind::BadTokens)),
            },
        }
    }

    /// The model's row; `None` if it is no model.
    fn entry(&self) -> Result<Option<Entry>, Wrong<'a>> {
        let Some(mode) = self.string("mode") else {
            return Ok(None);
        };
        // An older spelling.
        let mode = if mode == "moderations" { "moderation" } else { mode };
        let mode = Mode::named(mode).ok_or(("mode", PriceErrorKind::BadMode))?;
        if !is_name(self.name) {
            return Err(("name", PriceErrorKind::BadName));
        }
        let provider = self.string("litellm_provider").filter(|name| is_name(name));
        let provider = provider.ok_or(("litellm_provider", PriceErrorKind::BadProvider))?;
        let mut prices = self.prices()?;
        if mode.has_no_output() {
            for known in prices.tokens.values_mut().filter(|known| known.input.is_some()) {
                known.output.get_or_insert(Price(0));
            }
        }
        let tiers = complete(&prices.tokens);
        if tiers.is_empty() {
            prices.halves();
        }
        let mut units = prices.units;
        units.sort_by(|a, b| unit_place(a).cmp(&unit_place(b)));
        units.dedup_by(|later, kept| unit_place(later) == unit_place(kept));
        let deprecation_date = match self.string("deprecation_date") {
            Some(date) => Some(Date::parse(date).ok_or(("deprecation_date", PriceErrorKind::BadDate))?),
            None => None,
        };
        Ok(Some(Entry {
            name: self.name.to_ascii_lowercase().into(),
            provider: provider.to_ascii_lowercase().into(),
            mode,
            tiers,
            units: units.into(),
            max_input_tokens: self.tokens("max_input_tokens")?,
            max_output_tokens: self.tokens("max_output_tokens")?,
            deprecation_date,
            last_listed: None,
        }))
    }

    fn prices(&self) -> Result<Prices, Wrong<'a>> {
        let mut prices = Prices::default();
        if let Some(raw) = self.fields.get("tiered_pricing") {
            tiered_pricing(raw, &mut prices)?;
        }
        // An old name of the price of cached tokens; the new one, which is read later, is the one that counts.
        let cache_hit = self.fields.get_key_value("input_cost_per_token_cache_hit");
        if let Some((&field, raw)) = cache_hit {
            let price = number(raw.get(), field)?;
            prices.tokens.entry(Place::default()).or_default().cached_input = price;
        }
        for (&field, raw) in &self.fields {
            if !field.contains("cost") || field.contains("_dbu_") || field == "input_cost_per_token_cache_hit"
            {
                continue;
            }
            let (plain, service, above) = split(field);
            if Known::default().slot(&plain).is_some() {
                // What somebody wrote as the price of a token fits; a quotient of it need not.
                let price = match plain.as_str() {
                    "input_cost_per_token" | "output_cost_per_token" => number(raw.get(), field)?,
                    _ => unit_number(raw.get(), field)?,
                };
                if let Some(price) = price
                    && let Some(slot) = prices.tokens.entry((service, above)).or_default().slot(&plain)
                {
                    *slot = Some(price);
                }
                continue;
            }
            let name = unit_name(&plain);
            match serde_json::from_str::<Fields<'_>>(raw.get()) {
                // One price for each of several kinds.
                Ok(kinds) => {
                    for (kind, raw) in kinds {
                        let name = format!("{name}_{}", kind.trim_start_matches("search_context_size_"));
                        prices.unit(&name, service, above, unit_number(raw.get(), field)?, field)?;
                    }
                }
                Err(_) => prices.unit(&name, service, above, unit_number(raw.get(), field)?, field)?,
            }
        }
        Ok(prices)
    }
}

impl Prices {
    fn unit<'a>(
        &mut self,
        name: &str,
        service: ServiceTier,
        above_input_tokens: u64,
        price: Option<Price>,
        field: &'a str,
    ) -> Result<(), Wrong<'a>> {
        let Some(price) = price else { return Ok(()) };
        let unit = name.to_ascii_lowercase();
        if !is_unit(&unit) {
            return Err((field, PriceErrorKind::BadUnits));
        }
        self.units.push(UnitPrice {
            unit: unit.into(),
            service,
            above_input_tokens,
            price,
        });
        Ok(())
    }

    /// Prices of tokens that are no tiers, as those of units.
    fn halves(&mut self) {
        for (&(service, above_input_tokens), known) in &self.tokens {
            let Known {
                input,
                output,
                cached_input,
                cache_write,
                cache_write_1h,
                cache_write_12h,
                reasoning,
            } = *known;
            for (unit, price) in [
                ("input_token", input),
                ("output_token", output),
                ("cache_read_input_token", cached_input),
                ("cache_creation_input_token", cache_write),
                ("cache_creation_input_token_above_1hr", cache_write_1h),
                ("cache_creation_input_token_above_12hr", cache_write_12h),
                ("output_reasoning_token", reasoning),
            ] {
                self.units.extend(price.map(|price| UnitPrice {
                    unit: unit.into(),
                    service,
                    above_input_tokens,
                    price,
                }));
            }
        }
    }
}

/// A price, rounded up where it is finer than ours; `None` for null.
fn unit_number<'a>(text: &str, field: &'a str) -> Result<Option<Price>, Wrong<'a>> {
    match number(text, field) {
        Err((_, PriceErrorKind::InexactPrice)) => decimal::parse_rounding_up(text.trim_matches('"'), SCALE)
            .map(|price| Some(Price(price)))
            .map_err(|kind| (field, kind)),
        exact => exact,
    }
}

/// A price that is exact in our unit; `None` for null.
fn number<'a>(text: &str, field: &'a str) -> Result<Option<Price>, Wrong<'a>> {
    let text = text.trim_matches('"');
    if text == "null" {
        return Ok(None);
    }
    decimal::parse_printed_double(text, SCALE)
        .map(|price| Some(Price(price)))
        .map_err(|kind| (field, kind))
}

/// A list of ranges of input tokens with their prices; the lowest one is the base.
fn tiered_pricing<'a>(raw: &'a RawValue, prices: &mut Prices) -> Result<(), Wrong<'a>> {
    const FIELD: &str = "tiered_pricing";
    const BAD: Wrong<'static> = (FIELD, PriceErrorKind::BadTiers);
    let ranges: Vec<&RawValue> = serde_json::from_str(raw.get()).map_err(|_| BAD)?;
    for raw in ranges {
        let fields: Fields<'_> = serde_json::from_str(raw.get()).map_err(|_| BAD)?;
        let Some(range) = fields.get("range") else {
            continue; // tiers by something else than input tokens
        };
        let range: Vec<&RawValue> = serde_json::from_str(range.get()).map_err(|_| BAD)?;
        let start = range.first().ok_or(BAD)?;
        let start = decimal::parse(start.get(), 0).map_err(|_| BAD)?;
        let known = prices.tokens.entry((ServiceTier::Standard, start)).or_default();
        for (field, raw) in fields.iter().filter(|(field, _)| **field != "range") {
            *known.slot(field).ok_or(BAD)? = number(raw.get(), FIELD)?;
        }
    }
    Ok(())
}

/// `input_cost_per_token_above_200k_tokens_batches` as `input_cost_per_token`, batch and 200,000.
fn split(field: &str) -> (String, ServiceTier, u64) {
    let ends = [
        ("_batches", ServiceTier::Batch),
        ("_flex", ServiceTier::Flex),
        ("_priority", ServiceTier::Priority),
        ("_balanced", ServiceTier::Balanced),
        ("_ultrafast", ServiceTier::Ultrafast),
        ("_decisions", ServiceTier::Decisions),
    ];
    let (field, service) = ends
        .into_iter()
        .find_map(|(end, service)| Some((field.strip_suffix(end)?, service)))
        .unwrap_or((field, ServiceTier::Standard));
    let border = field.match_indices("_above_").find_map(|(at, above)| {
        let (thousands, tail) = field.get(at + above.len()..)?.split_once("k_tokens")?;
        let border = thousands.parse::<u64>().ok()?.checked_mul(1000)?;
        Some((format!("{}{tail}", field.get(..at)?), border))
    });
    match border {
        Some((plain, border)) => (plain, service, border),
        None => (field.to_owned(), service, 0),
    }
}

/// `output_cost_per_image` as `output_image`.
fn unit_name(field: &str) -> String {
    field
        .replace("_cost_per_", "_")
        .replace("_token_cost", "_token")
        .trim_start_matches("cost_per_")
        .to_owned()
}
