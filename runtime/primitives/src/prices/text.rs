//! The table file: reading and printing. [`crate::prices`] documents the format.

use std::fmt::Write as _;

use super::decimal;
use super::entry::{Date, Entry, Mode, Price, Rates, ServiceTier, Tier, UnitPrice};
use super::error::{PriceError, PriceErrorKind};
use super::{PriceTable, lower_case};

const HEADER: &str = "#policy-prices 2";
/// Begins the comment with the day of the map that the table was made of.
const LISTED: &str = "#listed ";
const COLUMNS: &str = "#name\tprovider\tmode\tmax_input\tmax_output\tdeprecated\tlisted\tprices\tunits";
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
    let mut listed = None;
    for (number, line) in (1..).zip(text.lines()) {
        if let Some(day) = line.strip_prefix(LISTED) {
            let day = Date::parse(day).ok_or(PriceError {
                line: number,
                column: LISTED.len() + 1,
                kind: PriceErrorKind::BadDate,
            })?;
            listed = Some(day);
        }
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
    let table = PriceTable::from_entries(entries).map_err(|name| {
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
    })?;
    Ok(PriceTable { listed, ..table })
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
    use PriceErrorKind::{BadMode, BadName, BadProvider, FieldCount};
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
    let max_input_tokens = fields.read(tokens)?;
    let max_output_tokens = fields.read(tokens)?;
    let deprecation_date = fields.read(date)?;
    let last_listed = fields.read(date)?;
    let tiers = fields.read(parse_tiers)?;
    let units = fields.read(parse_units)?;
    if fields.rest.is_some() {
        return Err((fields.next_column, FieldCount));
    }
    Ok(Entry {
        name: name.into(),
        provider: provider.into(),
        mode,
        tiers,
        units,
        max_input_tokens,
        max_output_tokens,
        deprecation_date,
        last_listed,
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

fn date(field: &str) -> Result<Option<Date>, PriceErrorKind> {
    match field {
        "" => Ok(None),
        _ => Date::parse(field).map(Some).ok_or(PriceErrorKind::BadDate),
    }
}

/// `batch>200000` as a service and a border.
fn parse_place(text: &str) -> Option<(ServiceTier, u64)> {
    let (service, above) = match text.split_once('>') {
        Some((service, above)) => (service, tokens(above).ok()??),
        None => (text, 0),
    };
    Some((ServiceTier::named(service)?, above))
}

fn parse_tiers(field: &str) -> Result<Box<[Tier]>, PriceErrorKind> {
    const BAD: PriceErrorKind = PriceErrorKind::BadTiers;
    if field.is_empty() {
        return Ok(Box::default());
    }
    let tiers = field.split(';').map(|tier| {
        let (place, prices) = tier.split_once(':').ok_or(BAD)?;
        let (service, above_input_tokens) = parse_place(place).ok_or(BAD)?;
        let mut prices = prices.split(',');
        let mut next = || price(prices.next().unwrap_or_default());
        let (Some(input), Some(output)) = (next()?, next()?) else {
            return Err(PriceErrorKind::HalfPriced);
        };
        let rates = Rates {
            input,
            output,
            cached_input: next()?,
            cache_write: next()?,
            cache_write_1h: next()?,
            cache_write_12h: next()?,
            reasoning: next()?,
        };
        if prices.next().is_some() {
            return Err(BAD);
        }
        Ok(Tier {
            service,
            above_input_tokens,
            rates,
        })
    });
    let tiers: Box<[Tier]> = tiers.collect::<Result<_, _>>()?;
    if are_tiers(&tiers) { Ok(tiers) } else { Err(BAD) }
}

/// Whether tiers are as [`Entry::tiers`] must be.
pub(super) fn are_tiers(tiers: &[Tier]) -> bool {
    let place = |tier: &Tier| (tier.service, tier.above_input_tokens);
    let starts = tiers
        .first()
        .is_none_or(|tier| place(tier) == (ServiceTier::Standard, 0));
    starts
        && tiers.is_sorted_by(|a, b| place(a) < place(b))
        && tiers
            .windows(2)
            .all(|pair| pair[0].service == pair[1].service || pair[1].above_input_tokens == 0)
}

fn parse_units(field: &str) -> Result<Box<[UnitPrice]>, PriceErrorKind> {
    const BAD: PriceErrorKind = PriceErrorKind::BadUnits;
    if field.is_empty() {
        return Ok(Box::default());
    }
    let units = field.split(';').map(|unit| {
        let (head, number) = unit.split_once('=').ok_or(BAD)?;
        let (name, place) = match head.split_once('@') {
            Some((name, place)) => (name, parse_place(place).ok_or(BAD)?),
            None => (head, (ServiceTier::Standard, 0)),
        };
        if !is_unit(name) {
            return Err(BAD);
        }
        Ok(UnitPrice {
            unit: name.into(),
            service: place.0,
            above_input_tokens: place.1,
            price: price(number)?.ok_or(BAD)?,
        })
    });
    let units: Box<[UnitPrice]> = units.collect::<Result<_, _>>()?;
    if units.is_sorted_by(|a, b| unit_place(a) < unit_place(b)) {
        Ok(units)
    } else {
        Err(BAD)
    }
}

/// Whether `text` can stand as the name of a unit.
pub(super) fn is_unit(text: &str) -> bool {
    let ours = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'_' | b'.');
    !text.is_empty() && text.bytes().all(ours)
}

/// What orders the units of a row.
pub(super) fn unit_place(unit: &UnitPrice) -> (&str, ServiceTier, u64) {
    (&unit.unit, unit.service, unit.above_input_tokens)
}

pub(super) fn print(table: &PriceTable) -> String {
    let mut text = format!("{HEADER}\n");
    if let Some(day) = table.listed {
        // Writing to a string cannot fail.
        writeln!(text, "{LISTED}{day}").unwrap_or_default();
    }
    text.push_str(COLUMNS);
    text.push('\n');
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
    let day = |date: Option<Date>| date.map(|date| date.to_string()).unwrap_or_default();
    let tiers: Vec<String> = entry.tiers.iter().map(print_tier).collect();
    let units: Vec<String> = entry.units.iter().map(print_unit).collect();
    let fields = [
        entry.name.to_string(),
        entry.provider.to_string(),
        entry.mode.as_str().to_owned(),
        optional(entry.max_input_tokens),
        optional(entry.max_output_tokens),
        day(entry.deprecation_date),
        day(entry.last_listed),
        tiers.join(";"),
        units.join(";"),
    ];
    line.push_str(&fields.join("\t"));
}

fn print_place(service: ServiceTier, above: u64) -> String {
    match above {
        0 => service.as_str().to_owned(),
        _ => format!("{}>{above}", service.as_str()),
    }
}

fn print_tier(tier: &Tier) -> String {
    let rates = print_rates(&tier.rates);
    format!("{}:{rates}", print_place(tier.service, tier.above_input_tokens))
}

fn print_unit(unit: &UnitPrice) -> String {
    match (unit.service, unit.above_input_tokens) {
        (ServiceTier::Standard, 0) => format!("{}={}", unit.unit, unit.price),
        (service, above) => format!("{}@{}={}", unit.unit, print_place(service, above), unit.price),
    }
}

fn print_rates(rates: &Rates) -> String {
    let mut text = format!("{},{}", rates.input, rates.output);
    for price in [
        rates.cached_input,
        rates.cache_write,
        rates.cache_write_1h,
        rates.cache_write_12h,
        rates.reasoning,
    ] {
        text.push(',');
        if let Some(price) = price {
            // Writing to a string cannot fail.
            write!(text, "{price}").unwrap_or_default();
        }
    }
    text.truncate(text.trim_end_matches(',').len());
    text
}
