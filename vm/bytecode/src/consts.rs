//! The constant pool: flat, so that neither decoding nor verification recurses on hostile input.
//!
//! Arrays and objects name their items by index, and an item always stands before its collection. Equal constants are
//! stored once.

use crate::cidr::{Network, Networks};
use crate::decimal::Exact;
use crate::ids::ConstIdx;
use crate::number::Number;
use crate::time::{Instant, WINDOW_KEYS, Window};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;

/// One constant.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Const {
    /// JSON null.
    Null,
    /// A boolean.
    Bool(bool),
    /// A number.
    Number(Number),
    /// A string.
    Str(String),
    /// An array of earlier constants.
    Array(Vec<ConstIdx>),
    /// An object: keys strictly ascending by bytes, values earlier constants.
    Object(Vec<(String, ConstIdx)>),
    /// A number that is neither an integer of 64 bits nor a double, as JSON writes it.
    Decimal(String),
}

impl Const {
    /// Name of the type, as used in messages.
    #[must_use]
    pub fn type_name(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "boolean",
            Self::Number(_) | Self::Decimal(_) => "number",
            Self::Str(_) => "string",
            Self::Array(_) => "array",
            Self::Object(_) => "object",
        }
    }

    /// The text of a string.
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::Str(text) => Some(text),
            Self::Null
            | Self::Bool(_)
            | Self::Number(_)
            | Self::Decimal(_)
            | Self::Array(_)
            | Self::Object(_) => None,
        }
    }

    /// The number that it is.
    #[must_use]
    pub fn exact(&self) -> Option<Exact<'_>> {
        match self {
            Self::Number(n) => Some(Exact::Number(*n)),
            Self::Decimal(text) => Some(Exact::Decimal(text)),
            Self::Null | Self::Bool(_) | Self::Str(_) | Self::Array(_) | Self::Object(_) => None,
        }
    }
}

impl From<Exact<'_>> for Const {
    fn from(number: Exact<'_>) -> Self {
        match number {
            Exact::Number(n) => Self::Number(n),
            Exact::Decimal(text) => Self::Decimal(text.to_owned()),
        }
    }
}

/// For each constant, how much it is when written out in full: values and bytes of text, shared items counted wherever
/// they occur. Items that are not earlier constants count as nothing; [`crate::verify`] refuses them.
pub(crate) fn written_sizes(consts: &[Const]) -> Vec<u64> {
    let mut sizes: Vec<u64> = Vec::with_capacity(consts.len());
    for value in consts {
        let earlier = |k: &ConstIdx| sizes.get(k.index()).copied().unwrap_or(0);
        let own = match value {
            Const::Null | Const::Bool(_) | Const::Number(_) => 0,
            Const::Str(s) | Const::Decimal(s) => s.len() as u64,
            Const::Array(items) => items.iter().map(earlier).fold(0, u64::saturating_add),
            Const::Object(members) => members
                .iter()
                .map(|(key, k)| earlier(k).saturating_add(key.len() as u64))
                .fold(0, u64::saturating_add),
        };
        sizes.push(own.saturating_add(1));
    }
    sizes
}

/// The networks that a constant of `in_cidr` names: one text, or a list of at least one.
#[must_use]
pub fn networks(consts: &[Const], k: ConstIdx) -> Option<Networks> {
    let network = |value: &Const| value.as_str().and_then(|text| Network::parse(text).ok());
    let value = consts.get(k.index())?;
    let list: Vec<Network> = if let Const::Array(items) = value
        && !items.is_empty()
    {
        items
            .iter()
            .map(|item| consts.get(item.index()).and_then(network))
            .collect::<Option<_>>()?
    } else {
        vec![network(value)?]
    };
    Some(Networks::new(list))
}

/// The instant that a constant of `before` and `after` names.
#[must_use]
pub fn instant(value: &Const) -> Option<Instant> {
    match value {
        Const::Str(text) => Instant::parse(text),
        Const::Number(n) => Instant::from_number(*n),
        Const::Null | Const::Bool(_) | Const::Decimal(_) | Const::Array(_) | Const::Object(_) => None,
    }
}

/// The window that a constant of `time_between` describes: an object with the keys of
/// [`WINDOW_KEYS`] and no others, `days` left out at will.
#[must_use]
pub fn window(consts: &[Const], k: ConstIdx) -> Option<Window> {
    let Const::Object(members) = consts.get(k.index())? else {
        return None;
    };
    let known = |(key, _): &(String, ConstIdx)| WINDOW_KEYS.contains(&key.as_str());
    if !members.iter().all(known) {
        return None;
    }
    let member = |key: &str| {
        let found = members.iter().find(|(k, _)| k == key);
        found.and_then(|(_, k)| consts.get(k.index()))
    };
    let text = |value: Option<&'_ Const>| match value {
        Some(Const::Str(text)) => Some(text.clone()),
        Some(
            Const::Null
            | Const::Bool(_)
            | Const::Number(_)
            | Const::Decimal(_)
            | Const::Array(_)
            | Const::Object(_),
        )
        | None => None,
    };
    let days: Option<Vec<String>> = match member("days") {
        None => None,
        Some(Const::Array(items)) => Some(
            items
                .iter()
                .map(|item| text(consts.get(item.index())))
                .collect::<Option<_>>()?,
        ),
        Some(_) => return None,
    };
    let days: Option<Vec<&str>> = days
        .as_ref()
        .map(|days| days.iter().map(String::as_str).collect());
    let [start, end, zone] = ["start", "end", "timezone"].map(|key| text(member(key)));
    Window::new(&start?, &end?, days.as_deref(), &zone?).ok()
}

/// Builds a pool in which equal constants share one entry.
#[derive(Debug, Clone, Default)]
pub struct ConstPool {
    entries: Vec<Const>,
    index: HashMap<Key, ConstIdx>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Key {
    Null,
    Bool(bool),
    Int(i64),
    UInt(u64),
    Float(u64),
    Str(String),
    Array(Vec<ConstIdx>),
    Object(Vec<(String, ConstIdx)>),
    Decimal(String),
}

impl ConstPool {
    /// An empty pool.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The index of `value`, added when it is new. Object keys are put in order.
    pub fn intern(&mut self, mut value: Const) -> ConstIdx {
        let key = match &mut value {
            Const::Null => Key::Null,
            Const::Bool(b) => Key::Bool(*b),
            Const::Number(Number::Int(n)) => Key::Int(*n),
            Const::Number(Number::UInt(n)) => Key::UInt(*n),
            Const::Number(Number::Float(x)) => Key::Float(x.to_bits()),
            Const::Str(s) => Key::Str(s.clone()),
            Const::Decimal(text) => Key::Decimal(text.clone()),
            Const::Array(items) => Key::Array(items.clone()),
            Const::Object(fields) => {
                fields.sort_by(|a, b| a.0.as_bytes().cmp(b.0.as_bytes()));
                Key::Object(fields.clone())
            }
        };
        if let Some(&known) = self.index.get(&key) {
            return known;
        }
        let id = ConstIdx(u32::try_from(self.entries.len()).unwrap_or(u32::MAX));
        self.entries.push(value);
        self.index.insert(key, id);
        id
    }

    /// The constant at `index`.
    #[must_use]
    pub fn get(&self, index: ConstIdx) -> Option<&Const> {
        self.entries.get(index.index())
    }

    /// All constants.
    #[must_use]
    pub fn entries(&self) -> &[Const] {
        &self.entries
    }

    /// Gives up the pool for its entries.
    #[must_use]
    pub fn into_entries(self) -> Vec<Const> {
        self.entries
    }
}
