//! The table file: reading and printing. [`crate::prices`] documents the format.

use std::fmt::Write as _;

use super::decimal;
use super::entry::{Date, Entry, Mode, Price, Rates, Tier};
use super::error::{PriceError, PriceErrorKind};
use super::{PriceTable, lower_case};

const HEADER: &str = "#policy-prices 1";
const COLUMNS: &str = "#name\tprovider\tmode\tinput\toutput\tcached\tbatch_in\tbatch_out\tmax_input\tmax_output\tdeprecated\ttiers";
/// Decimal places of a price in dollars per million tokens.
const SCALE: i32 = 9;

pub(super) fn parse(text: &str) -> Result<PriceTable, PriceError> {
    if text.lines().next() != Some(HEADER) {
        return Err(PriceError {
            line: 1,
            column: 1,
            kind: PriceErrorKind::UnknownFormat,
        });
    }
    let mut entries = Vec::with_capacity(text.len() / 64);
    for (number, line) in (1..).zip(text.lines()) {
        if line.starts_with('#') || line.is_empty() {
            continue;
        }
        let entry = parse_line(line).map_err(|(column, kind)| PriceError {
            line: number,
            column,
            kind,
        })?;
        entries.push(entry);
    }
    PriceTable::from_entries(entries).map_err(|name| {
        // Only to place the error: the second line that starts with the name.
        let mut lines = text.lines().zip(1..).filter(|(line, _)| {
            line.split('\t')
                .next()
                .is_some_and(|first| first.eq_ignore_ascii_case(&name))
        });
        let line = lines.nth(1).map_or(1, |(_, number)| number);
        PriceError {
            line,
            column: 1,
            kind: PriceErrorKind::Duplicate(name),
        }
    })
}

/// Whether `text` can stand as a name: something, and nothing that a tab-separated line could not hold.
pub(super) fn is_name(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic())
}

/// The fields of a line, with the column of the last one taken.
struct Fields<'a> {
    rest: Option<&'a str>,
    next_column: usize,
    column: usize,
}

impl<'a> Fields<'a> {
    /// The next field; empty if the line ended.
    fn next(&mut self) -> &'a str {
        self.column = self.next_column;
        let Some(rest) = self.rest else { return "" };
        let (field, rest) = match rest.split_once('\t') {
            Some((field, rest)) => (field, Some(rest)),
            None => (rest, None),
        };
        self.rest = rest;
        self.next_column += field.len() + 1;
        field
    }

    fn read<T>(
        &mut self,
        read: impl FnOnce(&'a str) -> Result<T, PriceErrorKind>,
    ) -> Result<T, (usize, PriceErrorKind)> {
        let field = self.next();
        read(field).map_err(|kind| (self.column, kind))
    }
}

fn parse_line(line: &str) -> Result<Entry, (usize, PriceErrorKind)> {
    use PriceErrorKind::{BadDate, BadMode, BadName, BadProvider, FieldCount, HalfPriced};
    let mut fields = Fields {
        rest: Some(line),
        next_column: 1,
        column: 1,
    };
    let name = fields.read(|name| {
        if is_name(name) {
            Ok(lower_case(name))
        } else {
            Err(BadName)
        }
    })?;
    let provider = fields.read(|name| if is_name(name) { Ok(name) } else { Err(BadProvider) })?;
    let mode = fields.read(|mode| Mode::named(mode).ok_or(BadMode))?;
    let input = fields.read(price)?;
    let output = fields.read(price)?;
    let prices_column = fields.column;
    let (cached_input, batch_input, batch_output) =
        (fields.read(price)?, fields.read(price)?, fields.read(price)?);
    let rates = match (input, output) {
        (Some(input), Some(output)) => Some(Rates {
            input,
            output,
            cached_input,
            batch_input,
            batch_output,
        }),
        (None, None) => None,
        (Some(_), None) | (None, Some(_)) => return Err((prices_column, HalfPriced)),
    };
    let max_input_tokens = fields.read(tokens)?;
    let max_output_tokens = fields.read(tokens)?;
    let date = |date: &str| {
        if date.is_empty() {
            Ok(None)
        } else {
            Date::parse(date).map(Some).ok_or(BadDate)
        }
    };
    let deprecation_date = fields.read(date)?;
    let tiers = fields.read(|tiers| parse_tiers(tiers, rates.is_some()))?;
    if fields.rest.is_some() {
        return Err((fields.next_column, FieldCount));
    }
    Ok(Entry {
        name: name.into(),
        provider: provider.into(),
        mode,
        rates,
        tiers,
        max_input_tokens,
        max_output_tokens,
        deprecation_date,
    })
}

fn price(field: &str) -> Result<Option<Price>, PriceErrorKind> {
    if field.is_empty() {
        return Ok(None);
    }
    decimal::parse(field, SCALE).map(|price| Some(Price(price)))
}

fn tokens(field: &str) -> Result<Option<u64>, PriceErrorKind> {
    let digits = field.bytes().all(|byte| byte.is_ascii_digit());
    match field {
        "" => Ok(None),
        _ if digits => field.parse().map(Some).map_err(|_| PriceErrorKind::BadTokens),
        _ => Err(PriceErrorKind::BadTokens),
    }
}

fn parse_tiers(field: &str, priced: bool) -> Result<Box<[Tier]>, PriceErrorKind> {
    const BAD: PriceErrorKind = PriceErrorKind::BadTiers;
    if field.is_empty() {
        return Ok(Box::default());
    }
    let tiers = field.split(';').map(|tier| {
        let (above, prices) = tier.split_once(':').ok_or(BAD)?;
        let mut prices = prices.split(',');
        let mut next = || price(prices.next().unwrap_or_default());
        let (input, output) = (next()?.ok_or(BAD)?, next()?.ok_or(BAD)?);
        let rates = Rates {
            input,
            output,
            cached_input: next()?,
            batch_input: next()?,
            batch_output: next()?,
        };
        if prices.next().is_some() {
            return Err(BAD);
        }
        Ok(Tier {
            above_input_tokens: tokens(above)?.ok_or(BAD)?,
            rates,
        })
    });
    let tiers: Box<[Tier]> = tiers.collect::<Result<_, _>>()?;
    if priced && tiers.is_sorted_by(|a, b| a.above_input_tokens < b.above_input_tokens) {
        Ok(tiers)
    } else {
        Err(BAD)
    }
}

pub(super) fn print(table: &PriceTable) -> String {
    let mut text = format!("{HEADER}\n{COLUMNS}\n");
    for entry in &table.entries {
        let start = text.len();
        print_line(&mut text, entry);
        let end = start
            + text
                .get(start..)
                .map_or(0, |line| line.trim_end_matches('\t').len());
        text.truncate(end);
        text.push('\n');
    }
    text
}

fn print_line(line: &mut String, entry: &Entry) {
    let optional = |value: Option<u64>| value.map(|value| value.to_string()).unwrap_or_default();
    let tiers: Vec<String> = entry.tiers.iter().map(print_tier).collect();
    let fields = [
        entry.name.to_string(),
        entry.provider.to_string(),
        entry.mode.as_str().to_owned(),
        entry
            .rates
            .map(|rates| print_rates(&rates, "\t"))
            .unwrap_or_else(|| "\t\t\t\t".to_owned()),
        optional(entry.max_input_tokens),
        optional(entry.max_output_tokens),
        entry
            .deprecation_date
            .map(|date| date.to_string())
            .unwrap_or_default(),
        tiers.join(";"),
    ];
    line.push_str(&fields.join("\t"));
}

fn print_tier(tier: &Tier) -> String {
    let rates = print_rates(&tier.rates, ",");
    format!("{}:{}", tier.above_input_tokens, rates.trim_end_matches(','))
}

fn print_rates(rates: &Rates, separator: &str) -> String {
    let mut text = format!("{}{separator}{}", rates.input, rates.output);
    for price in [rates.cached_input, rates.batch_input, rates.batch_output] {
        text.push_str(separator);
        if let Some(price) = price {
            // Writing to a string cannot fail.
            write!(text, "{price}").unwrap_or_default();
        }
    }
    text
}
