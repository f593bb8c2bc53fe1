//! What a request costs: a table of prices per model, the search for a model's row, and exact arithmetic on money.
//!
//! Called by the runtime for `llm.estimatedCost` and `llm.maxCost`, with token counts from [`crate::tokens`].
//! [`PriceTable::builtin`] is the table compiled into the program; [`PriceTable::parse`] reads another one and
//! `PriceTable::with_file` lays a user's own models over either. [`PriceTable::resolve`] finds the row for the
//! name a request gives, and the row ([`Entry`]) answers with [`NanoDollars`].
//!
//! # Invariants
//!
//! - No floating point between the published price and the result: prices are integers of 10⁻¹⁵ dollars per token,
//!   sums are 128-bit, and a cost is rounded once, upwards, to a nano-dollar.
//! - Unknown is not free. A model that is not in the table, or whose row has no price, resolves to
//!   [`Resolution::Unknown`]; a row whose price is written as 0 is known and costs nothing. A row that is paid for by
//!   something else than tokens of text (images, seconds, pages, queries) has no [`Entry::estimate`].
//! - Names match without regard to ASCII case. Looking up and pricing allocate nothing.
//!
//! # Table file
//!
//! Text, one model per line, fields separated by tabs, trailing empty fields left out, sorted by name; lines that
//! start with `#` are comments, the first of which names the format, and the second the day of the published prices.
//! All prices are dollars per million of their unit.
//!
//! ```text
//! #policy-prices 2
//! #listed 2026-11-20
//! name  provider  mode  max_input  max_output  deprecated  listed  prices  units
//! ```
//!
//! `prices` is a list, separated by `;`, of `service>above:input,output,cached,write,write_1h,write_12h,reasoning` by
//! service and rising border: these prices replace all others once a request of that service has more than `above` input
//! tokens. `>0` is left out, and so are empty prices at the end. `units` is a list, separated by `;`, of
//! `unit@service>above=price` for what is no token of text; `@standard` is left out. `listed` is the last day on which a
//! model was listed that the published prices no longer have.
//!
//! The file under `data/` is generated:
//! `cargo run -p policy-primitives --features refresh --example refresh_prices -- MAP.json DAY data/prices.tsv` lays the
//! published map of a day over it; `refresh.rs` says what is taken and what is kept.
//!
//! # A price file
//!
//! A user's own prices, in YAML or JSON; needs the feature `price-files`. `models` maps a name to its row. A row replaces the
//! built-in one of that name completely; all other rows stay, unless the file says `replace: true`. Prices are dollars per
//! million tokens; `units_each` holds dollars for one image, second, page or search. Keys with a service before them
//! (`batch_`, `flex_`, `priority_` and so on) hold its prices. `provider` and a price are required, everything else is
//! optional. Unknown keys, a name given twice (also in another case), negative prices, prices finer than 10⁻⁹ dollars per
//! million tokens and prices above a dollar for a token are refused with their place.
//!
#![cfg_attr(feature = "price-files", doc = "```")]
#![cfg_attr(not(feature = "price-files"), doc = "```ignore")]
//! use policy_primitives::prices::{PriceTable, Resolution};
//!
//! let table = PriceTable::builtin().with_file("prices.yaml", r#"
//! models:
//!   my-model:
//!     provider: acme
//!     mode: chat
//!     input_per_million: 1.5
//!     output_per_million: 2
//!     cached_input_per_million: 0.15
//!     cache_write_per_million: 1.875
//!     cache_write_1h_per_million: 3
//!     reasoning_per_million: 4
//!     batch_input_per_million: 0.75
//!     batch_output_per_million: 1
//!     max_input_tokens: 128000
//!     max_output_tokens: 16000
//!     deprecation_date: 2027-06-30
//!     tiers:
//!       - above_input_tokens: 100000
//!         input_per_million: 3
//!         output_per_million: 4
//!   my-painter:
//!     provider: acme
//!     mode: image_generation
//!     units_each: { output_image: 0.04 }
//! "#)?;
//! assert!(matches!(table.resolve(None, "My-Model"), Resolution::Known { .. }));
//! # Ok::<(), policy_primitives::prices::PriceError>(())
//! ```
//!
//! # Not done here
//!
//! Counting what is no token of text: seconds, pages, searches, images that are made. Their prices are in the rows, for
//! those who know how many there were.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::sync::LazyLock;

mod cost;
mod decimal;
mod entry;
mod error;
#[cfg(feature = "price-files")]
mod file;
mod identify;
mod names;
#[cfg(feature = "refresh")]
pub mod refresh;
mod resolve;
mod spelling;
mod text;
#[cfg(any(feature = "price-files", feature = "refresh"))]
mod tiers;

pub use cost::{CostBounds, CostInput, DEFAULT_COMPLETION_TOKENS, NanoDollars};
pub use entry::{Date, Entry, Mode, Price, Rates, ServiceTier, Tier, UnitPrice};
pub use error::{PriceError, PriceErrorKind};
pub use names::{canonical_name, family_name};

/// How a row was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum How {
    /// The model's name is in the table as the request gives it (and is that provider's, if it names one).
    Exact,
    /// The name is there with the provider's prefix (`gpt-4o` from `azure` as `azure/gpt-4o`), or without one
    /// (`openai/gpt-4o` as `gpt-4o`), behind a gateway's (`litellm/gpt-4o`), or in another spelling of Claude's
    /// (`claude-3.5-sonnet`).
    ProviderQualified,
    /// The name is there without a place, date or version that makes no other price.
    Stripped,
    /// The name is there without `latest`, or only with dates (`ft:gpt-4o` where all dated versions cost the same).
    Family,
}

/// The outcome of a search.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resolution<'t> {
    /// The model has a price; it may be 0.
    Known {
        /// Its row. INVARIANT: has prices, if only of units.
        entry: &'t Entry,
        /// How it was found.
        how: How,
        /// What the seller adds to each request for what the name asks for, such as a search.
        surcharge: NanoDollars,
    },
    /// The model, or its price, is not known. Never to be taken for 0.
    Unknown,
}

/// Words of price files.
#[cfg(feature = "price-files")]
#[derive(Debug, Clone)]
pub struct FileWords {
    /// Keys of prices: `input_per_million`, `batch_units_each` and so on.
    pub prices: &'static [String],
    /// What can have a price beside tokens: `output_image`, `input_second` and so on.
    pub units: Vec<&'static str>,
}

static BUILTIN: LazyLock<PriceTable> = LazyLock::new(|| {
    // A test parses the same text and fails if this could; then no model would be known.
    PriceTable::parse(include_str!("../data/prices.tsv")).unwrap_or_default()
});

/// Prices by model name.
///
/// Immutable once made. The built-in table has some 5,000 rows and takes about 3 MB of memory.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PriceTable {
    /// INVARIANT: sorted by name; names are in lower case and distinct.
    entries: Vec<Entry>,
    /// The day of the published map that the table was made of.
    listed: Option<Date>,
}

impl PriceTable {
    /// The table that is compiled into the program; read on first use, which takes some 2 ms.
    pub fn builtin() -> &'static Self {
        &BUILTIN
    }

    /// Reads a table file; the [module documentation](self) describes the format.
    ///
    /// # Errors
    ///
    /// The first line that is not as described: [`PriceErrorKind`] says how, with line and column.
    pub fn parse(text: &str) -> Result<Self, PriceError> {
        text::parse(text)
    }

    /// The table as a file that [`PriceTable::parse`] reads back; equal tables give equal text.
    pub fn to_text(&self) -> String {
        text::print(self)
    }

    /// This table with the models of a price file added, or put in place of those of the same name; only those of the file
    /// where it says `replace: true`.
    ///
    /// * `name` — name of the file; by its ending it is YAML or JSON, by its first character where it has none of these.
    /// * `text` — YAML or JSON as in the [module documentation](self).
    ///
    /// # Errors
    ///
    /// The first mistake in `text`, with line and column; see [`PriceErrorKind`].
    #[cfg(feature = "price-files")]
    pub fn with_file(&self, name: &str, text: &str) -> Result<Self, PriceError> {
        let file::File { replace, mut entries } = file::parse(name, text)?;
        let listed = if replace { None } else { self.listed };
        if !replace {
            // Stable and in front, so that the user's row is the one that stays.
            entries.extend(self.entries.iter().cloned());
        }
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        entries.dedup_by(|later, kept| later.name == kept.name);
        Ok(Self { entries, listed })
    }

    /// Keys of prices in a price file, and the units that it may name: for its JSON Schema.
    #[cfg(feature = "price-files")]
    pub fn file_words() -> FileWords {
        FileWords {
            prices: &file::PRICE_KEYS,
            units: file::UNITS.iter().copied().collect(),
        }
    }

    /// The day of the published price map that the table was made of; `None` if it was made by hand.
    pub fn listed(&self) -> Option<Date> {
        self.listed
    }

    /// All rows, sorted by name.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The row for the model that a request names.
    ///
    /// * `provider` — the request's provider, if it says; empty means that it does not.
    /// * `model` — the model as the request names it, with or without a provider's prefix.
    ///
    /// The seller is the provider, or the prefix of the name, and no other seller's row counts; a place with a premium and
    /// a date keep theirs. What the table does not say is unknown. See [`How`] for what is taken away from a name.
    /// Allocates nothing.
    pub fn resolve(&self, provider: Option<&str>, model: &str) -> Resolution<'_> {
        resolve::resolve(self, provider, model)
    }

    /// A row of the model that a request names, whatever it costs there: for [`canonical_name`], not for prices.
    ///
    /// Takes away sellers, places, dates, previews and what gateways append, so that a rule about a model sees it in every
    /// spelling. Allocates nothing.
    pub fn identify(&self, provider: Option<&str>, model: &str) -> Option<&Entry> {
        identify::identify(self, provider, model)
    }

    /// Makes a table of rows in any order; the name of the first one that occurs twice is the error.
    fn from_entries(mut entries: Vec<Entry>) -> Result<Self, Box<str>> {
        if !entries.is_sorted_by(|a, b| a.name < b.name) {
            entries.sort_by(|a, b| a.name.cmp(&b.name));
        }
        let twice = entries.windows(2).find(|pair| pair[0].name == pair[1].name);
        match twice {
            Some(pair) => Err(pair[0].name.clone()),
            None => Ok(Self {
                entries,
                listed: None,
            }),
        }
    }

    /// The row whose name is the concatenation of `parts`, in any case.
    fn find(&self, parts: &[&str]) -> Option<&Entry> {
        let at = self
            .entries
            .binary_search_by(|entry| compare(entry.name.as_bytes(), parts, false))
            .ok()?;
        self.entries.get(at)
    }

    /// As [`PriceTable::find`], with a dash for each dot between digits.
    fn find_undotted(&self, parts: &[&str]) -> Option<&Entry> {
        let at = self
            .entries
            .binary_search_by(|entry| compare(entry.name.as_bytes(), parts, true))
            .ok()?;
        self.entries.get(at)
    }

    /// The rows whose names start with the concatenation of `parts`, in any case; with `undot`, with a dash for each dot
    /// between digits.
    fn starting_with(&self, parts: &[&str], undot: bool) -> &[Entry] {
        let length = parts.iter().map(|part| part.len()).sum::<usize>();
        let head = |entry: &Entry| {
            let name = entry.name.as_bytes();
            compare(name.get(..length).unwrap_or(name), parts, undot)
        };
        let start = self
            .entries
            .partition_point(|entry| head(entry) == Ordering::Less);
        let rest = self.entries.get(start..).unwrap_or_default();
        rest.get(..rest.partition_point(|entry| head(entry) == Ordering::Equal))
            .unwrap_or_default()
    }
}

/// Compares a name in lower case with the concatenation of `parts` turned to lower case; with `undot`, and with a dash
/// for each dot between digits.
fn compare(name: &[u8], parts: &[&str], undot: bool) -> Ordering {
    let key = parts.iter().flat_map(|part| {
        let part = part.as_bytes();
        part.iter().enumerate().map(move |(at, byte)| {
            let digit = |at: Option<usize>| at.and_then(|at| part.get(at)).is_some_and(u8::is_ascii_digit);
            if undot && *byte == b'.' && digit(at.checked_sub(1)) && digit(at.checked_add(1)) {
                b'-'
            } else {
                byte.to_ascii_lowercase()
            }
        })
    });
    name.iter().copied().cmp(key)
}

/// `text` in lower case, borrowed if it is already.
fn lower_case(text: &str) -> Cow<'_, str> {
    if text.bytes().any(|byte| byte.is_ascii_uppercase()) {
        Cow::Owned(text.to_ascii_lowercase())
    } else {
        Cow::Borrowed(text)
    }
}

#[cfg(test)]
mod tests;
