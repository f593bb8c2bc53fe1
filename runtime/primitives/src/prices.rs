//! What a request costs: a table of prices per model, the search for a model's row, and exact arithmetic on money.
//!
//! Called by the runtime for `llm.estimatedCost` and `llm.maxCost`, with token counts from [`crate::tokens`].
//! [`PriceTable::builtin`] is the table compiled into the program; [`PriceTable::parse`] reads another one and
//! [`PriceTable::with_overrides`] lays a user's own models over either. [`PriceTable::resolve`] finds the row for the
//! name a request gives, and the row ([`Entry`]) answers with [`NanoDollars`].
//!
//! # Invariants
//!
//! - No floating point between the published price and the result: prices are integers of 10⁻¹⁵ dollars per token,
//!   sums are 128-bit, and a cost is rounded once, upwards, to a nano-dollar.
//! - Unknown is not free. A model that is not in the table, or whose row has no price, resolves to
//!   [`Resolution::Unknown`]; a row whose price is written as 0 is known and costs nothing.
//! - Names match without regard to ASCII case. Looking up and pricing allocate nothing.
//!
//! # Table file
//!
//! Text, one model per line, fields separated by tabs, trailing empty fields left out, sorted by name; lines that
//! start with `#` are comments, the first of which names the format. Prices are dollars per million tokens.
//!
//! ```text
//! #policy-prices 1
//! name  provider  mode  input  output  cached  batch_in  batch_out  max_input  max_output  deprecated  tiers
//! ```
//!
//! `tiers` is a list, separated by `;`, of `above:input,output,cached,batch_in,batch_out`: these prices replace all
//! others once the request has more than `above` input tokens. The file under `data/` is generated:
//! `cargo run -p policy-primitives --features refresh --example refresh_prices -- IN.json OUT`.
//!
//! # A user's own prices
//!
//! JSON; unknown keys, a key given twice, negative prices and prices finer than 10⁻⁹ dollars per million tokens are
//! refused with their place. A model named here replaces the table's row of the same name completely. `provider`
//! and both prices are required; everything else is optional.
//!
//! ```
//! use policy_primitives::prices::{PriceTable, Resolution};
//!
//! let table = PriceTable::builtin().with_overrides(r#"{
//!   "models": {
//!     "my-model": {
//!       "provider": "acme",
//!       "mode": "chat",
//!       "input_per_million": 1.5,
//!       "output_per_million": 2,
//!       "cached_input_per_million": 0.15,
//!       "batch_input_per_million": 0.75,
//!       "batch_output_per_million": 1,
//!       "max_input_tokens": 128000,
//!       "max_output_tokens": 16000,
//!       "deprecation_date": "2027-06-30",
//!       "tiers": [
//!         {"above_input_tokens": 100000, "input_per_million": 3, "output_per_million": 4}
//!       ]
//!     }
//!   }
//! }"#)?;
//! assert!(matches!(table.resolve(None, "My-Model"), Resolution::Known { .. }));
//! # Ok::<(), policy_primitives::prices::PriceError>(())
//! ```
//!
//! # Not done here
//!
//! Surcharges that depend on more than tokens (regions, priority service, images, searches, cache writes).

use std::borrow::Cow;
use std::cmp::Ordering;
use std::sync::LazyLock;

mod cost;
mod decimal;
mod entry;
mod error;
mod names;
mod overrides;
#[cfg(feature = "refresh")]
pub mod refresh;
mod resolve;
mod text;

pub use cost::{CostBounds, CostInput, DEFAULT_COMPLETION_TOKENS, NanoDollars};
pub use entry::{Date, Entry, Mode, Price, Rates, Tier};
pub use error::{PriceError, PriceErrorKind};
pub use names::{canonical_name, family_name};
pub use resolve::{How, Resolution};

static BUILTIN: LazyLock<PriceTable> = LazyLock::new(|| {
    // A test parses the same text and fails if this could; then no model would be known.
    PriceTable::parse(include_str!("../data/prices.tsv")).unwrap_or_default()
});

/// Prices by model name.
///
/// Immutable once made. The built-in table has some 3,500 rows and takes about 1 MB of memory.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PriceTable {
    /// INVARIANT: sorted by name; names are in lower case and distinct.
    entries: Vec<Entry>,
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

    /// This table with a user's models added, or put in place of those of the same name.
    ///
    /// * `user_text` — JSON as in the [module documentation](self).
    ///
    /// # Errors
    ///
    /// The first mistake in `user_text`, with line and column; see [`PriceErrorKind`].
    pub fn with_overrides(&self, user_text: &str) -> Result<Self, PriceError> {
        let mut entries = overrides::parse(user_text)?;
        // Stable and in front, so that the user's row is the one that stays.
        entries.extend(self.entries.iter().cloned());
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        entries.dedup_by(|later, kept| later.name == kept.name);
        Ok(Self { entries })
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
    /// Tried in this order: the name as it stands; the name with its provider; the name without region, date and
    /// version; the name of a family. See [`How`] for what each of them allows. Allocates nothing.
    pub fn resolve(&self, provider: Option<&str>, model: &str) -> Resolution<'_> {
        resolve::resolve(self, provider, model)
    }

    /// Makes a table of rows in any order; the name of the first one that occurs twice is the error.
    fn from_entries(mut entries: Vec<Entry>) -> Result<Self, Box<str>> {
        if !entries.is_sorted_by(|a, b| a.name < b.name) {
            entries.sort_by(|a, b| a.name.cmp(&b.name));
        }
        let twice = entries.windows(2).find(|pair| pair[0].name == pair[1].name);
        match twice {
            Some(pair) => Err(pair[0].name.clone()),
            None => Ok(Self { entries }),
        }
    }

    /// The row whose name is the concatenation of `parts`, in any case.
    fn find(&self, parts: &[&str]) -> Option<&Entry> {
        let at = self
            .entries
            .binary_search_by(|entry| compare(entry.name.as_bytes(), parts))
            .ok()?;
        self.entries.get(at)
    }

    /// The rows whose names start with the concatenation of `parts`, in any case.
    fn starting_with(&self, parts: &[&str]) -> &[Entry] {
        let length = parts.iter().map(|part| part.len()).sum::<usize>();
        let head = |entry: &Entry| {
            let name = entry.name.as_bytes();
            compare(name.get(..length).unwrap_or(name), parts)
        };
        let start = self
            .entries
            .partition_point(|entry| head(entry) == Ordering::Less);
        let rest = self.entries.get(start..).unwrap_or_default();
        rest.get(..rest.partition_point(|entry| head(entry) == Ordering::Equal))
            .unwrap_or_default()
    }
}

/// Compares a name in lower case with the concatenation of `parts` turned to lower case.
fn compare(name: &[u8], parts: &[&str]) -> Ordering {
    let key = parts
        .iter()
        .flat_map(|part| part.bytes())
        .map(|byte| byte.to_ascii_lowercase());
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
