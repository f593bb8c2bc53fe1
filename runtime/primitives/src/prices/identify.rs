//! From the name that a request gives to the model that is meant, whatever it costs there.
//!
//! Called through [`PriceTable::identify`] for `llm.canonicalModel`. A rule that names a model must see it in every
//! spelling, so more is taken away here than [`super::resolve`] may: places, previews, sellers. What is left is looked up
//! as a whole name: a `gpt-4o` is never a `gpt-4`, nor a `claude-sonnet-4-7` a `claude-sonnet-4`.
//!
//! # Method
//!
//! [`Reading`]s of the name are listed: as it stands, under its provider, behind a gateway's or provider's prefix,
//! without a region. Then they are looked up whole, in that order; then without dates and versions; then by family.
//! All keys are concatenations of borrowed parts that are compared in place, so nothing is allocated. O(readings ×
//! borders in the name × log of the table), some microseconds for a name that is not found.

use super::entry::Entry;
use super::resolve::is_claude;
use super::spelling::{
    MARKETS, PROXIES, Rest, borders, contains, is_provider, is_region, known_as, swapped,
    without_tuning_owner,
};
use super::{How, PriceTable};

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
        let provider = provider.filter(|provider| !is_gateway(provider));
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
            if is_gateway(segment) {
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

/// Whether a prefix says nothing about the model.
fn is_gateway(name: &str) -> bool {
    contains(&PROXIES, name) || contains(&MARKETS, name) || name.eq_ignore_ascii_case("models")
}

pub(super) fn identify<'t>(table: &'t PriceTable, provider: Option<&str>, model: &str) -> Option<&'t Entry> {
    let provider = provider.map(str::trim).filter(|provider| !provider.is_empty());
    let model = without_tuning_owner(model.trim());
    // `:free`, `:online`: what a gateway does with it.
    let plain = match model.rsplit_once(':') {
        Some((plain, how)) if !how.is_empty() && how.bytes().all(|byte| byte.is_ascii_alphabetic()) => plain,
        Some(_) | None => model,
    };
    let once = |model: &str| search(table, &Readings::of(provider, model));
    once(model)
        .or_else(|| (plain.len() < model.len()).then(|| once(plain)).flatten())
        .or_else(|| {
            // Claude's names in their other spellings stand in the table without what gateways put in front.
            let name = plain.rsplit('/').next().filter(|name| is_claude(name))?;
            let parts = [name, "", "", "", ""];
            [Some(parts), swapped(name)]
                .into_iter()
                .flatten()
                .find_map(|parts| {
                    table
                        .find(&parts)
                        .or_else(|| table.find_undotted(&parts))
                        .or_else(|| dated(table, &parts, true, |_| true))
                })
        })
}

fn search<'t>(table: &'t PriceTable, readings: &Readings<'_>) -> Option<&'t Entry> {
    let whole = [How::Exact, How::ProviderQualified, How::Stripped]
        .into_iter()
        .find_map(|how| {
            let mut readings = readings.iter().filter(|reading| reading.how == how);
            readings.find_map(|reading| find(table, reading, reading.name.len()))
        });
    whole
        .or_else(|| {
            [Rest::Version, Rest::Words].into_iter().find_map(|allowed| {
                readings
                    .iter()
                    .find_map(|reading| find_shortened(table, reading, allowed))
            })
        })
        .or_else(|| readings.iter().find_map(|reading| find_dated(table, reading)))
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

/// A row for a name that is in the table only with dates or versions behind it.
fn find_dated<'t>(table: &'t PriceTable, reading: Reading<'_>) -> Option<&'t Entry> {
    let whole = std::iter::once(reading.name.len());
    let shortened =
        borders(reading.name).filter(|&at| reading.name.get(at + 1..).and_then(Rest::of).is_some());
    whole
        .chain(shortened)
        .find_map(|end| dated(table, &reading.key(end), false, |entry| reading.accepts(entry)))
}

/// A row whose name is `key` with dates or versions behind it.
fn dated<'t>(
    table: &'t PriceTable,
    key: &[&str],
    undot: bool,
    accepts: impl Fn(&Entry) -> bool,
) -> Option<&'t Entry> {
    let length = key.iter().map(|part| part.len()).sum::<usize>();
    table.starting_with(key, undot).iter().find(|entry| {
        let rest = entry
            .name
            .get(length..)
            .and_then(|rest| rest.strip_prefix(['-', '@', ':']));
        accepts(entry) && rest.and_then(Rest::of) == Some(Rest::Version)
    })
}
