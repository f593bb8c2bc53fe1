//! Values at run time: small, `Copy`, borrowed from the request body, from the evaluation arena, or from the loaded module.

mod array;
mod items;
mod object;

pub use array::{Array, Set};
pub use items::{Iter, Place};
pub use object::{Member, Members, Object};

use crate::plain::plain_prefix;
use policy_bytecode::context::Shape;
use policy_bytecode::{Exact, Number, casefold};
use std::cmp::Ordering;
use std::fmt;

/// Whether a known field holds what does not belong there.
#[must_use]
#[inline]
pub fn mismatches(shape: Shape, value: &Value<'_>) -> bool {
    match value {
        Value::Undefined | Value::Unknown | Value::Pending | Value::Null => false,
        Value::Bool(_) | Value::Number(_) | Value::Decimal(_) | Value::Str(_) => shape == Shape::List,
        Value::Object(_) => shape != Shape::Any,
        Value::Array(_) | Value::Set(_) => shape == Shape::Scalar,
    }
}

/// Kinds of values that are there, as a set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Kinds(u16);

impl Kinds {
    /// What a field of this shape may hold.
    pub(crate) fn of(shape: Shape) -> Self {
        let values = [
            Value::Null,
            Value::Bool(false),
            Value::Number(Number::Int(0)),
            Value::Decimal(""),
            Value::Str(""),
            Value::Array(Array::EMPTY),
            Value::Object(Object::EMPTY),
            Value::Set(Set::EMPTY),
        ];
        let may_be = |value: &&Value<'_>| !mismatches(shape, value);
        Self(
            values
                .iter()
                .filter(may_be)
                .fold(0, |set, value| set | Self::bit(value)),
        )
    }

    #[inline(always)]
    pub(crate) fn holds(self, value: &Value<'_>) -> bool {
        self.0 & Self::bit(value) != 0
    }

    #[inline(always)]
    fn bit(value: &Value<'_>) -> u16 {
        1 << match value {
            Value::Undefined => 0,
            Value::Unknown => 1,
            Value::Pending => 2,
            Value::Null => 3,
            Value::Bool(_) => 4,
            Value::Number(_) => 5,
            Value::Decimal(_) => 6,
            Value::Str(_) => 7,
            Value::Array(_) => 8,
            Value::Object(_) => 9,
            Value::Set(_) => 10,
        }
    }
}

/// A value of the request, a derived field, or a result of code.
#[derive(Debug, Clone, Copy)]
pub enum Value<'a> {
    /// Missing: a path that leads nowhere. A state, not an error, and not null.
    Undefined,
    /// A derived field that cannot be computed, such as the cost of a model without a known price.
    Unknown,
    /// A derived field before its first use. Never leaves this crate.
    #[doc(hidden)]
    Pending,
    /// JSON null.
    Null,
    /// A boolean.
    Bool(bool),
    /// A number of 64 bits.
    Number(Number),
    /// A number that is neither an integer of 64 bits nor a double: its text, as the request writes it. Never equals a
    /// [`Value::Number`].
    Decimal(&'a str),
    /// A string.
    Str(&'a str),
    /// An array.
    Array(Array<'a>),
    /// An object.
    Object(Object<'a>),
    /// A set.
    Set(Set<'a>),
}

// Registers, slots and elements are values.
const _: () = assert!(size_of::<Value<'_>>() == 24);

impl<'a> Value<'a> {
    /// Name of the type, as used in messages.
    #[must_use]
    pub fn type_name(&self) -> &'static str {
        match self {
            Self::Undefined | Self::Pending => "missing",
            Self::Unknown => "unknown",
            Self::Null => "null",
            Self::Bool(_) => "boolean",
            Self::Number(_) | Self::Decimal(_) => "number",
            Self::Str(_) => "string",
            Self::Array(_) => "array",
            Self::Object(_) => "object",
            Self::Set(_) => "set",
        }
    }

    /// Whether there is a value at all.
    #[must_use]
    pub fn is_present(&self) -> bool {
        !matches!(self, Self::Undefined | Self::Unknown | Self::Pending)
    }

    /// The number that it is.
    #[must_use]
    #[inline]
    pub fn exact(&self) -> Option<Exact<'a>> {
        match self {
            Self::Number(n) => Some(Exact::Number(*n)),
            Self::Decimal(text) => Some(Exact::Decimal(text)),
            Self::Undefined
            | Self::Unknown
            | Self::Pending
            | Self::Null
            | Self::Bool(_)
            | Self::Str(_)
            | Self::Array(_)
            | Self::Object(_)
            | Self::Set(_) => None,
        }
    }

    /// The array that it is.
    #[must_use]
    #[inline]
    pub fn as_array(&self) -> Option<Array<'a>> {
        match self {
            Self::Array(items) => Some(*items),
            Self::Undefined
            | Self::Unknown
            | Self::Pending
            | Self::Null
            | Self::Bool(_)
            | Self::Number(_)
            | Self::Decimal(_)
            | Self::Str(_)
            | Self::Object(_)
            | Self::Set(_) => None,
        }
    }

    /// The text of a string.
    #[must_use]
    pub fn as_str(&self) -> Option<&'a str> {
        match self {
            Self::Str(s) => Some(s),
            Self::Undefined
            | Self::Unknown
            | Self::Pending
            | Self::Null
            | Self::Bool(_)
            | Self::Number(_)
            | Self::Decimal(_)
            | Self::Array(_)
            | Self::Object(_)
            | Self::Set(_) => None,
        }
    }

    /// The member of an object, or `Undefined`; see [`Object::get`] for the cost.
    #[must_use]
    pub fn get(&self, key: &str) -> Self {
        match self {
            Self::Object(members) => members.get(key).unwrap_or(Self::Undefined),
            Self::Undefined
            | Self::Unknown
            | Self::Pending
            | Self::Null
            | Self::Bool(_)
            | Self::Number(_)
            | Self::Decimal(_)
            | Self::Str(_)
            | Self::Array(_)
            | Self::Set(_) => Self::Undefined,
        }
    }

    /// Deep equality: same type and equal; numbers by value, key order ignored. Undefined equals nothing.
    #[must_use]
    pub fn equals(&self, other: &Value<'_>) -> bool {
        match (self, other) {
            (Self::Null, Value::Null) => true,
            (Self::Bool(a), Value::Bool(b)) => a == b,
            (Self::Number(a), Value::Number(b)) => a == b,
            (Self::Decimal(a), Value::Decimal(b)) => Exact::Decimal(a).compare(Exact::Decimal(b)).is_eq(),
            (Self::Str(a), Value::Str(b)) => a == b,
            (Self::Array(a), Value::Array(b)) => all_equal(a.iter(), b.iter(), |x, y| x.equals(y)),
            (Self::Set(a), Value::Set(b)) => all_equal(a.iter(), b.iter(), |x, y| x.equals(y)),
            (Self::Object(a), Value::Object(b)) => {
                all_equal(a.iter(), b.iter(), |(k, x), (l, y)| k == l && x.equals(y))
            }
            _different => false,
        }
    }

    /// The total order of values: by kind, then by value. Used for sets.
    #[must_use]
    pub fn total_cmp(&self, other: &Value<'_>) -> Ordering {
        match (self, other) {
            (Self::Bool(a), Value::Bool(b)) => a.cmp(b),
            (Self::Number(a), Value::Number(b)) => a.compare(*b),
            (Self::Str(a), Value::Str(b)) => a.as_bytes().cmp(b.as_bytes()),
            (Self::Array(a), Value::Array(b)) => in_order(a.iter(), b.iter(), |x, y| x.total_cmp(y)),
            (Self::Set(a), Value::Set(b)) => in_order(a.iter(), b.iter(), |x, y| x.total_cmp(y)),
            (Self::Object(a), Value::Object(b)) => in_order(a.iter(), b.iter(), |(k, x), (l, y)| {
                k.as_bytes().cmp(l.as_bytes()).then_with(|| x.total_cmp(y))
            }),
            (Self::Number(_) | Self::Decimal(_), Value::Number(_) | Value::Decimal(_)) => {
                match (self.exact(), other.exact()) {
                    (Some(a), Some(b)) => a.compare(b),
                    _never => Ordering::Equal,
                }
            }
            _different => self.rank().cmp(&other.rank()),
        }
    }

    /// As [`Value::equals`], with strings at any depth compared by simple case folding, keys as they are.
    #[must_use]
    pub fn equals_folded(&self, other: &Value<'_>) -> bool {
        match (self, other) {
            (Self::Str(a), Value::Str(b)) => casefold::eq(a, b),
            (Self::Array(a), Value::Array(b)) => all_equal(a.iter(), b.iter(), |x, y| x.equals_folded(y)),
            (Self::Set(a), Value::Set(b)) => all_equal(a.iter(), b.iter(), |x, y| x.equals_folded(y)),
            (Self::Object(a), Value::Object(b)) => {
                all_equal(a.iter(), b.iter(), |(k, x), (l, y)| k == l && x.equals_folded(y))
            }
            _without_text => self.equals(other),
        }
    }

    /// As [`Value::total_cmp`], with strings at any depth compared by simple case folding, keys as they are.
    #[must_use]
    pub fn total_cmp_folded(&self, other: &Value<'_>) -> Ordering {
        match (self, other) {
            (Self::Str(a), Value::Str(b)) => casefold::cmp(a, b),
            (Self::Array(a), Value::Array(b)) => in_order(a.iter(), b.iter(), |x, y| x.total_cmp_folded(y)),
            (Self::Set(a), Value::Set(b)) => in_order(a.iter(), b.iter(), |x, y| x.total_cmp_folded(y)),
            (Self::Object(a), Value::Object(b)) => in_order(a.iter(), b.iter(), |(k, x), (l, y)| {
                k.as_bytes().cmp(l.as_bytes()).then_with(|| x.total_cmp_folded(y))
            }),
            _without_text => self.total_cmp(other),
        }
    }

    /// Takes from `left` what it is when written out: one for each value, and the bytes of its texts and keys. `None` when
    /// that is not enough. Recursion is as deep as the value.
    pub(crate) fn measure(&self, left: &mut usize) -> Option<()> {
        let own = match self {
            Self::Str(text) => text.len(),
            Self::Object(members) => members.iter().map(|(key, _)| key.len()).sum(),
            Self::Undefined
            | Self::Unknown
            | Self::Pending
            | Self::Null
            | Self::Bool(_)
            | Self::Number(_)
            | Self::Decimal(_)
            | Self::Array(_)
            | Self::Set(_) => 0,
        };
        *left = left.checked_sub(own.saturating_add(1))?;
        self.try_inside(|value| value.measure(left))
    }

    /// Asks `visit` of each value that lies directly in this one, until one of them says `None`.
    fn try_inside(&self, mut visit: impl FnMut(Value<'a>) -> Option<()>) -> Option<()> {
        match self {
            Self::Array(items) => items.iter().try_for_each(visit),
            Self::Set(items) => items.iter().try_for_each(visit),
            Self::Object(members) => members.iter().try_for_each(|(_, value)| visit(value)),
            Self::Undefined
            | Self::Unknown
            | Self::Pending
            | Self::Null
            | Self::Bool(_)
            | Self::Number(_)
            | Self::Decimal(_)
            | Self::Str(_) => Some(()),
        }
    }

    /// Takes one from `left` for each element and each 64 bytes of text. `None` when that is not enough, which leaves
    /// nothing, or when the value nests deeper than `levels`.
    pub(crate) fn weigh(&self, levels: u32, left: &mut u64) -> Option<()> {
        let weight = match self {
            Self::Str(text) | Self::Decimal(text) => text.len() as u64 / 64,
            Self::Array(items) => items.len() as u64,
            Self::Set(items) => items.len() as u64,
            Self::Object(members) => members.len() as u64,
            Self::Undefined
            | Self::Unknown
            | Self::Pending
            | Self::Null
            | Self::Bool(_)
            | Self::Number(_) => return Some(()),
        };
        let enough = left.checked_sub(weight);
        *left = enough.unwrap_or(0);
        enough?;
        match self {
            Self::Array(_) | Self::Set(_) | Self::Object(_) => {
                let levels = levels.checked_sub(1)?;
                self.try_inside(|value| value.weigh(levels, left))
            }
            Self::Undefined
            | Self::Unknown
            | Self::Pending
            | Self::Null
            | Self::Bool(_)
            | Self::Number(_)
            | Self::Decimal(_)
            | Self::Str(_) => Some(()),
        }
    }

    fn rank(&self) -> u8 {
        match self {
            Self::Undefined | Self::Pending => 0,
            Self::Unknown => 1,
            Self::Null => 2,
            Self::Bool(_) => 3,
            Self::Number(_) | Self::Decimal(_) => 4,
            Self::Str(_) => 5,
            Self::Array(_) => 6,
            Self::Object(_) => 7,
            Self::Set(_) => 8,
        }
    }

    /// Writes compact JSON; sets as arrays, what is missing as `null`.
    ///
    /// # Errors
    ///
    /// Whatever `out` returns.
    pub fn write_json(&self, out: &mut impl fmt::Write) -> fmt::Result {
        match self {
            Self::Undefined | Self::Unknown | Self::Pending | Self::Null => out.write_str("null"),
            Self::Bool(b) => out.write_str(if *b { "true" } else { "false" }),
            // No text is read as one that is infinite; a module of bytes may hold it.
            Self::Number(n) if !n.to_f64().is_finite() => out.write_str("null"),
            Self::Number(n) => write!(out, "{n}"),
            Self::Decimal(text) => out.write_str(text),
            Self::Str(s) => write_json_str(s, out),
            Self::Array(items) => write_items(items.iter(), out),
            Self::Set(items) => write_items(items.iter(), out),
            Self::Object(members) => {
                out.write_char('{')?;
                for (i, (key, value)) in members.iter().enumerate() {
                    if i > 0 {
                        out.write_char(',')?;
                    }
                    write_json_str(key, out)?;
                    out.write_char(':')?;
                    value.write_json(out)?;
                }
                out.write_char('}')
            }
        }
    }
}

/// Whether two rows are as long as each other and equal one by one.
fn all_equal<A, B>(
    a: impl ExactSizeIterator<Item = A>,
    b: impl ExactSizeIterator<Item = B>,
    equal: impl Fn(&A, &B) -> bool,
) -> bool {
    a.len() == b.len() && a.zip(b).all(|(x, y)| equal(&x, &y))
}

/// The order of two rows: of the first pair that differs, else the shorter first.
fn in_order<A, B>(
    a: impl ExactSizeIterator<Item = A>,
    b: impl ExactSizeIterator<Item = B>,
    order: impl Fn(&A, &B) -> Ordering,
) -> Ordering {
    let lengths = a.len().cmp(&b.len());
    let different = a.zip(b).map(|(x, y)| order(&x, &y)).find(|o| o.is_ne());
    different.unwrap_or(lengths)
}

fn write_items(items: Iter<'_>, out: &mut impl fmt::Write) -> fmt::Result {
    out.write_char('[')?;
    for (i, item) in items.enumerate() {
        if i > 0 {
            out.write_char(',')?;
        }
        item.write_json(out)?;
    }
    out.write_char(']')
}

/// Writes a JSON string with its quotes.
///
/// # Errors
///
/// Whatever `out` returns.
pub fn write_json_str(text: &str, out: &mut impl fmt::Write) -> fmt::Result {
    out.write_char('"')?;
    let mut rest = text;
    loop {
        let clean = plain_prefix(rest.as_bytes());
        out.write_str(rest.get(..clean).unwrap_or(""))?;
        let Some(b) = rest.as_bytes().get(clean) else {
            break;
        };
        match b {
            b'"' => out.write_str("\\\"")?,
            b'\\' => out.write_str("\\\\")?,
            b'\n' => out.write_str("\\n")?,
            b'\r' => out.write_str("\\r")?,
            b'\t' => out.write_str("\\t")?,
            0x08 => out.write_str("\\b")?,
            0x0C => out.write_str("\\f")?,
            control => write!(out, "\\u{control:04x}")?,
        }
        // Every stop is one ASCII byte.
        rest = rest.get(clean + 1..).unwrap_or("");
    }
    out.write_char('"')
}
