//! From the name that a request gives to the row of the table.
//!
//! Called through [`PriceTable::resolve`]. A wrong price is worse than none, so every step takes away only what is
//! known not to change the model: a `gpt-4o` never gets the price of a `gpt-4`, nor a `claude-sonnet-4-7` that of a
//! `claude-sonnet-4`. What remains is looked up as a whole name.
//!
//! # Method
//!
//! [`Reading`]s of the name are listed: as it stands, under its provider, behind a gateway's or provider's prefix,
//! without a region. Then they are looked up whole, in that order; then without dates and versions; then by family.
//! All keys are concatenations of borrowed parts that are compared in place, so nothing is allocated. O(readings ×
//! borders in the name × log of the table), some microseconds for a name that is not found.

use super::PriceTable;
use super::entry::{Entry, Rates};

/// How a row was found; each is tried only if those before it found nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum How {
    /// The model's name is in the table as the request gives it (and is that provider's, if it names one).
    Exact,
    /// The name is there with the provider's prefix (`gpt-4o` from `azure` as `azure/gpt-4o`), or without one
    /// (`openai/gpt-4o` as `gpt-4o`), or behind a gateway's (`openrouter/openai/gpt-4o`).
    ProviderQualified,
    /// The name is there without its region, date or version (`eu.`, `azure/westeurope/`, `-2099-01-01`, `@001`,
    /// `-v1:0`).
    Stripped,
    /// The name is there without a word such as `latest` or `preview`, or only with dates (`ft:gpt-4o` where all
    /// dated versions cost the same).
    Family,
}

/// The outcome of a search.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resolution<'t> {
    /// The model has a price; it may be 0.
    Known {
        /// Its row. INVARIANT: has prices.
        entry: &'t Entry,
        /// How it was found.
        how: How,
    },
    /// The model, or its price, is not known. Never to be taken for 0.
    Unknown,
}

/// Gateways that sell other providers' models at their prices: their prefix says nothing about the price.
const GATEWAYS: [&str; 6] = [
    "openrouter",
    "litellm",
    "litellm_proxy",
    "portkey",
    "helicone",
    "models",
];

/// Other names of providers, and the names that the table uses.
const ALIASES: [(&str, &str); 24] = [
    ("azure_openai", "azure"),
    ("azure-openai", "azure"),
    ("azureopenai", "azure"),
    ("google", "gemini"),
    ("google-ai-studio", "gemini"),
    ("googleai", "gemini"),
    ("vertex", "vertex_ai"),
    ("vertexai", "vertex_ai"),
    ("vertex-ai", "vertex_ai"),
    ("google-vertex", "vertex_ai"),
    ("aws", "bedrock"),
    ("aws-bedrock", "bedrock"),
    ("aws_bedrock", "bedrock"),
    ("amazon-bedrock", "bedrock"),
    ("amazon", "bedrock"),
    ("together", "together_ai"),
    ("togetherai", "together_ai"),
    ("fireworks", "fireworks_ai"),
    ("x-ai", "xai"),
    ("mistralai", "mistral"),
    ("moonshotai", "moonshot"),
    ("z-ai", "zai"),
    ("z.ai", "zai"),
    ("claude", "anthropic"),
];

/// Path segments and Bedrock prefixes that name a place or a kind of deployment.
const REGIONS: [&str; 19] = [
    "us",
    "eu",
    "apac",
    "ap",
    "jp",
    "au",
    "ca",
    "sa",
    "uk",
    "in",
    "us-gov",
    "global",
    "global-standard",
    "datazone",
    "us-datazone",
    "eu-datazone",
    "invoke",
    "converse",
    "regional",
];

/// Words behind a name that do not make another model of it.
const WORDS: [&str; 8] = [
    "latest",
    "preview",
    "exp",
    "experimental",
    "beta",
    "default",
    "stable",
    "ga",
];

/// One way to read the name: the key `prefix`/`name`, or `name` alone if `prefix` is empty.
#[derive(Clone, Copy)]
struct Reading<'a> {
    prefix: &'a str,
    name: &'a str,
    /// If not empty, only rows of this provider count.
    provider: &'a str,
    /// How a row found under it as a whole was found.
    how: How,
}

impl<'a> Reading<'a> {
    /// The parts of the key for `name` cut to its first `end` bytes.
    fn key(self, end: usize) -> [&'a str; 3] {
        let separator = if self.prefix.is_empty() { "" } else { "/" };
        [self.prefix, separator, self.name.get(..end).unwrap_or(self.name)]
    }

    fn accepts(self, entry: &Entry) -> bool {
        self.provider.is_empty() || is_provider(&entry.provider, self.provider)
    }
}

/// Readings, at most as many as fit; a name with more segments than that is not in any table.
struct Readings<'a> {
    list: [Option<Reading<'a>>; 16],
    length: usize,
}

impl<'a> Readings<'a> {
    fn push(&mut self, prefix: &'a str, name: &'a str, provider: &'a str, how: How) {
        if let Some(slot) = self.list.get_mut(self.length)
            && !name.is_empty()
        {
            *slot = Some(Reading {
                prefix,
                name,
                provider,
                how,
            });
            self.length += 1;
        }
    }

    /// A name that `provider` sells: under its prefix, or bare if the row is the provider's.
    fn push_sold_by(&mut self, provider: &'a str, name: &'a str, how: How) {
        let known = known_as(provider);
        self.push(known, name, "", how);
        self.push("", name, known, how);
    }

    fn iter(&self) -> impl Iterator<Item = Reading<'a>> {
        self.list.iter().flatten().copied()
    }

    /// Lists the readings of `model`, most literal first.
    fn of(provider: Option<&'a str>, model: &'a str) -> Self {
        use How::{Exact, ProviderQualified, Stripped};
        let mut readings = Self {
            list: [None; 16],
            length: 0,
        };
        let provider = provider.filter(|provider| !contains(&GATEWAYS, provider));
        readings.push("", model, provider.map(known_as).unwrap_or_default(), Exact);
        if let Some(provider) = provider {
            readings.push_sold_by(provider, model, ProviderQualified);
            // The name is in the table as it stands, though under another seller.
            readings.push("", model, "", ProviderQualified);
        }
        let mut seller = provider;
        let mut name = model;
        while let Some((segment, rest)) = name.split_once('/') {
            name = rest;
            if contains(&GATEWAYS, segment) {
                readings.push("", name, "", ProviderQualified);
            } else if is_region(segment) {
                if let Some(seller) = seller {
                    readings.push_sold_by(seller, name, Stripped);
                }
            } else {
                seller = Some(segment);
                readings.push_sold_by(segment, name, ProviderQualified);
            }
        }
        // `eu.anthropic.claude-…`: a region before the vendor, on Bedrock only.
        if let Some((region, rest)) = name.split_once('.')
            && is_region(region)
        {
            readings.push("", rest, "bedrock", Stripped);
        }
        readings
    }
}

pub(super) fn resolve<'t>(table: &'t PriceTable, provider: Option<&str>, model: &str) -> Resolution<'t> {
    let provider = provider.map(str::trim).filter(|provider| !provider.is_empty());
    let readings = Readings::of(provider, without_tuning_owner(model.trim()));
    let whole = [How::Exact, How::ProviderQualified, How::Stripped]
        .into_iter()
        .find_map(|how| {
            let readings = readings.iter().filter(|reading| reading.how == how);
            let entry = readings
                .into_iter()
                .find_map(|reading| find(table, reading, reading.name.len()))?;
            Some((entry, how))
        });
    let shortened = || {
        [(Rest::Version, How::Stripped), (Rest::Words, How::Family)]
            .into_iter()
            .find_map(|(allowed, how)| {
                let entry = readings
                    .iter()
                    .find_map(|reading| find_shortened(table, reading, allowed))?;
                Some((entry, how))
            })
    };
    let dated = || {
        Some((
            readings.iter().find_map(|reading| find_dated(table, reading))?,
            How::Family,
        ))
    };
    match whole.or_else(shortened).or_else(dated) {
        // A row without prices ends the search: its name is known, and no relative's price is its own.
        Some((entry, how)) if entry.rates.is_some() => Resolution::Known { entry, how },
        Some(_) | None => Resolution::Unknown,
    }
}

fn find<'t>(table: &'t PriceTable, reading: Reading<'_>, end: usize) -> Option<&'t Entry> {
    table
        .find(&reading.key(end))
        .filter(|entry| reading.accepts(entry))
}

/// The row for the longest start of the name whose rest is of a kind that `allowed` includes.
fn find_shortened<'t>(table: &'t PriceTable, reading: Reading<'_>, allowed: Rest) -> Option<&'t Entry> {
    borders(reading.name).find_map(|at| {
        let rest = Rest::of(reading.name.get(at + 1..)?)?;
        if rest <= allowed {
            find(table, reading, at)
        } else {
            None
        }
    })
}

/// The row for a name that is in the table only with dates or versions behind it, if all of those cost the same for
/// input and output.
fn find_dated<'t>(table: &'t PriceTable, reading: Reading<'_>) -> Option<&'t Entry> {
    let whole = std::iter::once(reading.name.len());
    let shortened =
        borders(reading.name).filter(|&at| reading.name.get(at + 1..).and_then(Rest::of).is_some());
    whole.chain(shortened).find_map(|end| {
        let key = reading.key(end);
        let length = key.iter().map(|part| part.len()).sum::<usize>();
        let dated = table.starting_with(&key).iter().filter(|entry| {
            let rest = entry
                .name
                .get(length..)
                .and_then(|rest| rest.strip_prefix(['-', '@', ':']));
            reading.accepts(entry) && rest.and_then(Rest::of) == Some(Rest::Version)
        });
        let prices = |entry: &Entry| entry.rates.map(|rates| (rates.input, rates.output));
        let first = dated.clone().next()?;
        let agree = dated
            .clone()
            .all(|entry| prices(entry) == prices(first) && entry.tiers == first.tiers);
        // Where they differ in discounts only, the one that grants least.
        let discounted = |entry: &&Entry| {
            entry.rates.map(|rates| {
                let Rates {
                    input,
                    output,
                    cached_input,
                    batch_input,
                    batch_output,
                } = rates;
                let cached = cached_input.unwrap_or(input);
                (
                    cached,
                    batch_input.unwrap_or(input),
                    batch_output.unwrap_or(output),
                )
            })
        };
        if agree { dated.max_by_key(discounted) } else { None }
    })
}

/// Positions of the separators in `name`, last first.
pub(super) fn borders(name: &str) -> impl Iterator<Item = usize> {
    name.bytes()
        .enumerate()
        .rev()
        .filter(|&(_, byte)| is_separator(byte))
        .map(|(at, _)| at)
}

fn is_separator(byte: u8) -> bool {
    matches!(byte, b'-' | b'.' | b':' | b'@' | b'_')
}

/// What stands behind a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Rest {
    /// Dates, versions and revisions only.
    Version,
    /// Also words such as `latest`.
    Words,
}

impl Rest {
    /// What `text` is; `None` if some part of it may make another model of the name before it.
    pub(super) fn of(text: &str) -> Option<Self> {
        let mut rest = Self::Version;
        let mut parts = text
            .split(|c: char| c.is_ascii() && is_separator(c as u8))
            .peekable();
        while let Some(part) = parts.next() {
            if contains(&WORDS, part) {
                rest = Self::Words;
                // `preview-06-05`: a month and a day.
                let mut ahead = parts.clone();
                if let (Some(month), Some(day)) = (ahead.next(), ahead.next())
                    && is_number(month, 2, 1..=12)
                    && is_number(day, 2, 1..=31)
                {
                    parts = ahead;
                }
            } else if is_number(part, 4, 2015..=2199) {
                // A year, with or without a month and a day.
                if parts.next_if(|part| is_number(part, 2, 1..=12)).is_some() {
                    parts.next_if(|part| is_number(part, 2, 1..=31));
                }
            } else if is_number(part, 2, 1..=12) {
                // `08-2024`; a number of one or two digits alone is a version of another model.
                parts.next_if(|part| is_number(part, 4, 2015..=2199))?;
            } else if part
                .strip_prefix(['v', 'V'])
                .is_some_and(|digits| is_digits(digits) && digits.len() <= 2)
            {
                // `v1:0`, a version and its revision.
                parts.next_if(|part| part.len() == 1 && is_digits(part));
            } else if !is_date(part) && !is_number(part, 3, 1..=99) {
                return None;
            }
        }
        Some(rest)
    }
}

/// `20241022`, `0613` (month and day) or `2407` (year and month).
fn is_date(part: &str) -> bool {
    let two = |at: usize, range| {
        part.get(at..at + 2)
            .is_some_and(|digits| is_number(digits, 2, range))
    };
    match part.len() {
        8 => is_number(part, 8, 20150101..=21991231) && two(4, 1..=12) && two(6, 1..=31),
        4 => two(0, 1..=12) && two(2, 1..=31) || two(0, 20..=99) && two(2, 1..=12),
        _ => false,
    }
}

/// Whether `part` is a number of exactly `length` digits within `range`.
fn is_number(part: &str, length: usize, range: std::ops::RangeInclusive<u32>) -> bool {
    part.len() == length && is_digits(part) && part.parse().is_ok_and(|number| range.contains(&number))
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// `ft:gpt-4o-2024-08-06:acme::id` without the owner, who does not change the price. Tuned models have rows of their
/// own, so `ft:` itself stays.
fn without_tuning_owner(model: &str) -> &str {
    let tuned = model
        .get(..3)
        .is_some_and(|prefix| prefix.eq_ignore_ascii_case("ft:"));
    let owner = model.get(3..).and_then(|rest| rest.find(':')).filter(|_| tuned);
    owner.and_then(|at| model.get(..3 + at)).unwrap_or(model)
}

/// The table's name of a provider.
fn known_as(provider: &str) -> &str {
    let alias = ALIASES
        .iter()
        .find(|(alias, _)| alias.eq_ignore_ascii_case(provider));
    alias.map_or(provider, |(_, known)| known)
}

/// Whether a row of `seller` is one of `provider`'s: `bedrock_converse` is Bedrock, `vertex_ai-language-models` is
/// Vertex.
fn is_provider(seller: &str, provider: &str) -> bool {
    let split = seller.split_at_checked(provider.len());
    split.is_some_and(|(head, rest)| {
        head.eq_ignore_ascii_case(provider) && (rest.is_empty() || rest.starts_with(['_', '-']))
    })
}

/// A listed place, or a cloud's region: `us-east-1`, `westeurope`, `europe-west4`.
pub(super) fn is_region(segment: &str) -> bool {
    let numbered = segment.bytes().last().is_some_and(|byte| byte.is_ascii_digit())
        && segment.contains('-')
        && [
            "us-",
            "eu-",
            "ap-",
            "ca-",
            "sa-",
            "me-",
            "af-",
            "il-",
            "mx-",
            "europe-",
            "asia-",
            "northamerica-",
        ]
        .iter()
        .any(|start| {
            segment
                .get(..start.len())
                .is_some_and(|head| head.eq_ignore_ascii_case(start))
        });
    let azure = [
        "eastus",
        "eastus2",
        "westus",
        "westus3",
        "northcentralus",
        "southcentralus",
        "westeurope",
        "northeurope",
        "swedencentral",
        "francecentral",
        "germanywestcentral",
        "switzerlandnorth",
        "uksouth",
        "japaneast",
        "australiaeast",
        "canadaeast",
        "southindia",
        "koreacentral",
    ];
    numbered || contains(&REGIONS, segment) || contains(&azure, segment)
}

fn contains(list: &[&str], word: &str) -> bool {
    list.iter().any(|entry| entry.eq_ignore_ascii_case(word))
}
