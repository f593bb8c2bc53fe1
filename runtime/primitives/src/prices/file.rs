//! Price files: a user's own prices in YAML or JSON; [`crate::prices`] documents the shape.
//!
//! Read by the reader of policies, so that a scalar means the same in both and every mistake has its place. Numbers come as
//! they are written and are read exactly: no floating-point number changes a price.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use policy_grammar::ast::{Literal, Number};
use policy_grammar::source::Spanned;
use policy_grammar::{SourceFile, SourceMap, Span};

use super::PriceTable;
use super::decimal;
use super::entry::{Date, Entry, Mode, Price, ServiceTier, UnitPrice};
use super::error::{PriceError, PriceErrorKind};
use super::text::{is_name, unit_place};
use super::tiers::{Known, Place, complete};

/// Decimal places of a price in dollars per million.
const SCALE: i32 = 9;
/// Decimal places of a price in dollars for one, with the six of a million taken in.
const SCALE_EACH: i32 = 15;
/// The highest price of a token: a dollar for each. What is above is a mistake in the unit.
const HIGHEST: Price = Price(1_000_000 * 1_000_000_000);
/// The highest price of anything else: a thousand dollars for each.
const HIGHEST_UNIT: Price = Price(HIGHEST.0 * 1000);

/// Keys of a file.
pub(super) const FILE_KEYS: [&str; 3] = ["$schema", "replace", "models"];
/// Keys of a model that are no prices.
pub(super) const MODEL_KEYS: [&str; 6] = [
    "provider",
    "mode",
    "max_input_tokens",
    "max_output_tokens",
    "deprecation_date",
    "tiers",
];
/// The key of a tier that is no price.
pub(super) const ABOVE: &str = "above_input_tokens";
/// Prices of units, each for one and by the million.
pub(super) const UNIT_KEYS: [&str; 2] = ["units_each", "units_per_million"];

/// Where a price of tokens goes.
type Slot = fn(&mut Known) -> &mut Option<Price>;

/// What tokens have prices for: the key without the service before it, and where it goes.
pub(super) const TOKEN_KEYS: [(&str, Slot); 7] = [
    ("input_per_million", |known| &mut known.input),
    ("output_per_million", |known| &mut known.output),
    ("cached_input_per_million", |known| &mut known.cached_input),
    ("cache_write_per_million", |known| &mut known.cache_write),
    ("cache_write_1h_per_million", |known| &mut known.cache_write_1h),
    ("cache_write_12h_per_million", |known| &mut known.cache_write_12h),
    ("reasoning_per_million", |known| &mut known.reasoning),
];

/// Every key of a price, with those of the services: `batch_input_per_million`.
pub(super) static PRICE_KEYS: LazyLock<Vec<String>> = LazyLock::new(|| {
    let mut keys = Vec::new();
    for service in ServiceTier::ALL {
        let prefix = prefix(service);
        let own = TOKEN_KEYS.iter().map(|(key, _)| *key).chain(UNIT_KEYS);
        keys.extend(own.map(|key| format!("{prefix}{key}")));
    }
    keys
});

/// The units that the built-in table has prices for.
pub(super) static UNITS: LazyLock<BTreeSet<&'static str>> = LazyLock::new(|| {
    let rows = PriceTable::builtin().entries().iter();
    rows.flat_map(|row| row.units.iter().map(|unit| &*unit.unit))
        .collect()
});

fn prefix(service: ServiceTier) -> String {
    match service {
        ServiceTier::Standard => String::new(),
        _ => format!("{}_", service.as_str()),
    }
}

/// What a file says.
pub(super) struct File {
    /// Whether no other row counts.
    pub(super) replace: bool,
    /// In the order in which they stand there; names are in lower case and distinct.
    pub(super) entries: Vec<Entry>,
}

/// A mistake and its place.
type Misplaced = (Span, PriceErrorKind);

/// Reads a file; the ending of `name` says whether it is YAML or JSON.
pub(super) fn parse(name: &str, text: &str) -> Result<File, PriceError> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    // A comment in YAML, and what follows would be one long text.
    if text.starts_with("#policy-prices") {
        return Err(PriceError {
            line: 1,
            column: 1,
            kind: PriceErrorKind::TableText,
        });
    }
    let mut map = SourceMap::new();
    let id = map.add(SourceFile::new(name, text));
    let error = |(span, kind): Misplaced| {
        let place = map.file(id).map(|file| file.line_column(span.start));
        let (line, column) = place.unwrap_or((1, 1));
        PriceError {
            line: line as usize,
            column: column as usize,
            kind,
        }
    };
    let root = match policy_grammar::parse_data(&map, id) {
        Ok(root) => root,
        Err(problems) => {
            let Some(first) = problems.into_iter().find(policy_grammar::Diagnostic::is_error) else {
                return Err(error((
                    Span::new(id, 0, 0),
                    PriceErrorKind::File("the file cannot be read".into()),
                )));
            };
            let mut message = first.message;
            for help in &first.help {
                message.push_str("; ");
                message.push_str(help);
            }
            return Err(error((first.primary.span, PriceErrorKind::File(message.into()))));
        }
    };
    file(&root).map_err(error)
}

fn file(root: &Spanned<Literal>) -> Result<File, Misplaced> {
    let wrong = |span, message: &str| (span, PriceErrorKind::File(message.into()));
    let members = mapping(
        root,
        "a price file must be a mapping with `models`, such as \
         `models: {my-model: {provider: acme, input_per_million: 1.5, output_per_million: 2}}`",
    )?;
    let mut replace = false;
    let mut models = None;
    for (key, value) in members {
        match (key.value.as_str(), &value.value) {
            ("$schema", Literal::String(_)) => {}
            ("$schema", _) => return Err(wrong(value.span, "`$schema` must be a text")),
            ("replace", Literal::Bool(yes)) => replace = *yes,
            ("replace", _) => return Err(wrong(value.span, "`replace` must be `true` or `false`")),
            ("models", _) => models = Some(mapping(value, "`models` must be a mapping of names to prices")?),
            _ => return Err(unknown(key, "a price file has no key", "keys", &FILE_KEYS)),
        }
    }
    let Some(models) = models else {
        return Err(wrong(root.span, "a price file needs `models`"));
    };
    let mut entries: Vec<Entry> = Vec::with_capacity(models.len());
    let mut names = BTreeSet::new();
    for (key, value) in models {
        let name = key.value.to_ascii_lowercase();
        if !is_name(&name) {
            return Err((key.span, PriceErrorKind::BadName));
        }
        let entry = model(key, &name, value)?;
        if !names.insert(name) {
            return Err((key.span, PriceErrorKind::Duplicate(entry.name)));
        }
        entries.push(entry);
    }
    Ok(File { replace, entries })
}

/// Prices under construction.
#[derive(Default)]
struct Prices {
    known: BTreeMap<Place, Known>,
    units: Vec<UnitPrice>,
}

fn model(key: &Spanned<String>, name: &str, value: &Spanned<Literal>) -> Result<Entry, Misplaced> {
    let members = mapping(value, "a model must be a mapping with `provider` and prices")?;
    let mut prices = Prices::default();
    let mut provider = None;
    let mut mode = Mode::Chat;
    let (mut max_input_tokens, mut max_output_tokens) = (None, None);
    let mut deprecation_date = None;
    let mut tiers = None;
    for (key, value) in members {
        let at = value.span;
        match key.value.as_str() {
            "provider" => {
                let text = text(value).filter(|text| is_name(text));
                provider = Some(text.ok_or((at, PriceErrorKind::BadProvider))?);
            }
            "mode" => {
                let named = text(value).and_then(Mode::named);
                mode = named.ok_or((at, PriceErrorKind::BadMode))?;
            }
            "max_input_tokens" => max_input_tokens = Some(tokens(value, 1)?),
            "max_output_tokens" => max_output_tokens = Some(tokens(value, 1)?),
            "deprecation_date" => {
                let date = text(value).and_then(Date::parse).filter(|date| date.is_real());
                deprecation_date = Some(date.ok_or((at, PriceErrorKind::BadDate))?);
            }
            "tiers" => tiers = Some(list(value, "`tiers` must be a list")?),
            _ => {
                if !prices.take(key, value, 0)? {
                    let keys = MODEL_KEYS
                        .into_iter()
                        .chain(PRICE_KEYS.iter().map(String::as_str));
                    return Err(unknown(
                        key,
                        "a model has no key",
                        "keys",
                        &keys.collect::<Vec<_>>(),
                    ));
                }
            }
        }
    }
    prices.check_pairs(key.span, 0)?;
    let mut below = 0;
    for item in tiers.unwrap_or_default() {
        below = prices.tier(item, below)?;
    }
    let Some(provider) = provider else {
        let message = format!("the model `{name}` needs a `provider`");
        return Err((key.span, PriceErrorKind::File(message.into())));
    };
    let Prices { known, mut units } = prices;
    if !known.contains_key(&(ServiceTier::Standard, 0)) && (!known.is_empty() || units.is_empty()) {
        return Err((key.span, PriceErrorKind::NoPrice));
    }
    units.sort_by(|a, b| unit_place(a).cmp(&unit_place(b)));
    Ok(Entry {
        name: name.into(),
        provider: provider.to_ascii_lowercase().into(),
        mode,
        tiers: complete(&known),
        units: units.into(),
        max_input_tokens,
        max_output_tokens,
        deprecation_date,
        last_listed: None,
    })
}

impl Prices {
    /// Takes a price over; false for a key that is none.
    fn take(
        &mut self,
        key: &Spanned<String>,
        value: &Spanned<Literal>,
        above: u64,
    ) -> Result<bool, Misplaced> {
        let named = ServiceTier::ALL
            .into_iter()
            .filter(|s| *s != ServiceTier::Standard);
        let (service, rest) = named
            .filter_map(|service| Some((service, key.value.strip_prefix(&prefix(service))?)))
            .next()
            .unwrap_or((ServiceTier::Standard, key.value.as_str()));
        if let Some((_, slot)) = TOKEN_KEYS.iter().find(|(own, _)| *own == rest) {
            let price = price(value, SCALE, HIGHEST)?;
            *slot(self.known.entry((service, above)).or_default()) = Some(price);
            return Ok(true);
        }
        let scale = match UNIT_KEYS.iter().position(|own| *own == rest) {
            Some(0) => SCALE_EACH,
            Some(_) => SCALE,
            None => return Ok(false),
        };
        let units = mapping(
            value,
            "prices of units must be a mapping, such as `output_image: 0.04`",
        )?;
        for (name, value) in units {
            let unit = UnitPrice {
                unit: name.value.as_str().into(),
                service,
                above_input_tokens: above,
                price: price(value, scale, HIGHEST_UNIT)?,
            };
            if !UNITS.contains(name.value.as_str()) {
                let known: Vec<&str> = UNITS.iter().copied().collect();
                return Err(unknown(name, "there is no unit", "units", &known));
            }
            if self.units.iter().any(|own| unit_place(own) == unit_place(&unit)) {
                let message = format!("the unit `{}` has a price already", name.value);
                return Err((name.span, PriceErrorKind::File(message.into())));
            }
            self.units.push(unit);
        }
        Ok(true)
    }

    /// Takes a tier over; returns its border.
    fn tier(&mut self, item: &Spanned<Literal>, below: u64) -> Result<u64, Misplaced> {
        let members = mapping(
            item,
            "a tier must be a mapping with `above_input_tokens` and prices",
        )?;
        let Some((_, border)) = members.iter().find(|(key, _)| key.value == ABOVE) else {
            let message = format!("a tier needs `{ABOVE}`");
            return Err((item.span, PriceErrorKind::File(message.into())));
        };
        let above = tokens(border, 1)?;
        if above <= below {
            return Err((border.span, PriceErrorKind::BadTiers));
        }
        for (key, value) in members.iter().filter(|(key, _)| key.value != ABOVE) {
            if !self.take(key, value, above)? {
                let keys = [ABOVE].into_iter().chain(PRICE_KEYS.iter().map(String::as_str));
                return Err(unknown(
                    key,
                    "a tier has no key",
                    "keys",
                    &keys.collect::<Vec<_>>(),
                ));
            }
        }
        let tokens = self.known.keys().any(|(_, own)| *own == above);
        let units = self.units.iter().any(|unit| unit.above_input_tokens == above);
        if !tokens && !units {
            return Err((item.span, PriceErrorKind::NoPrice));
        }
        self.check_pairs(item.span, above)?;
        Ok(above)
    }

    /// Input and output have prices together, in each service.
    fn check_pairs(&self, at: Span, above: u64) -> Result<(), Misplaced> {
        let own = self.known.iter().filter(|((_, own), _)| *own == above);
        for (_, known) in own {
            if known.input.is_none() || known.output.is_none() {
                return Err((at, PriceErrorKind::HalfPriced));
            }
        }
        Ok(())
    }
}

type Members<'l> = &'l [(Spanned<String>, Spanned<Literal>)];

fn mapping<'l>(value: &'l Spanned<Literal>, message: &str) -> Result<Members<'l>, Misplaced> {
    match &value.value {
        Literal::Object(members) => Ok(members),
        _ => Err((value.span, PriceErrorKind::File(message.into()))),
    }
}

fn list<'l>(value: &'l Spanned<Literal>, message: &str) -> Result<&'l [Spanned<Literal>], Misplaced> {
    match &value.value {
        Literal::Array(items) => Ok(items),
        _ => Err((value.span, PriceErrorKind::File(message.into()))),
    }
}

fn text(value: &Spanned<Literal>) -> Option<&str> {
    match &value.value {
        Literal::String(text) => Some(text),
        _ => None,
    }
}

/// A whole number of tokens, at least `least`.
fn tokens(value: &Spanned<Literal>, least: u64) -> Result<u64, Misplaced> {
    let number = match &value.value {
        Literal::Number(Number::Int(n)) => u64::try_from(*n).ok(),
        _ => None,
    };
    number
        .filter(|n| *n >= least)
        .ok_or((value.span, PriceErrorKind::BadTokens))
}

fn price(value: &Spanned<Literal>, scale: i32, highest: Price) -> Result<Price, Misplaced> {
    let error = |kind| (value.span, kind);
    let Literal::Number(number) = &value.value else {
        return Err(error(PriceErrorKind::BadNumber));
    };
    let written = match number {
        Number::Int(n) => n.to_string(),
        Number::UInt(n) => n.to_string(),
        // Says what was written: that is what makes it this variant.
        Number::Float(x) => format!("{x:e}"),
        Number::Decimal(text) => text.to_string(),
    };
    let read = decimal::parse(&written, scale).map(Price);
    match read {
        Ok(price) if price > highest => Err(error(PriceErrorKind::TooHigh)),
        Ok(price) => Ok(price),
        Err(PriceErrorKind::InexactPrice) if is_above_one(&written) => Err(error(PriceErrorKind::TooHigh)),
        Err(kind) => Err(error(kind)),
    }
}

/// Whether a number that does not fit is too large, rather than too fine.
fn is_above_one(written: &str) -> bool {
    written.parse::<f64>().is_ok_and(|x| x > 1e6)
}

fn unknown(key: &Spanned<String>, what: &str, words: &str, keys: &[&str]) -> Misplaced {
    let word = &key.value;
    let advice = match policy_grammar::near(word, keys.iter().copied()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("the {words} are {}", keys.join(", ")),
    };
    let message = format!("{what} `{word}`; {advice}");
    (key.span, PriceErrorKind::File(message.into()))
}
