//! The key of a decision: everything that the decision depends on, in one canonical form.
//!
//! ```text
//! format · version of this crate · digest of the policies · derive mode · default decision · unknown namespaces ·
//! price table
//! mode · namespace · policies asked for · each field that the module reads, as projected
//! ```
//!
//! Texts and lists stand behind their lengths and values behind their types, so no two inputs have one key. Fields stand
//! in the module's order and members of objects in that of their keys; what a request holds beside them, and how it
//! is laid out, is not in the key. Numbers are kept apart where their texts differ (`1` and `1.0`): rendered reasons
//! and modifications show them. What is missing differs from null.
//!
//! **Invariant.** Equal keys mean equal decisions, letter for letter. Nothing in a decision may come from anywhere else:
//! not from a clock, a counter or another request. [`pure`] has to be asked about every field that the engine computes.

use crate::derive::DeriveMode;
use crate::options::{DefaultDecision, Settings, UnknownNamespace, asks_prices};
use crate::worker::Request;
use policy_bytecode::Number;
use policy_bytecode::intrinsics::IntrinsicId;
use policy_vm::{Mode, Value};
use sha2::{Digest as _, Sha256};

/// Changes whenever the layout of keys or of kept decisions does.
pub(super) const FORMAT: u8 = 2;

/// Keys of other versions of this crate never match: it may count, find or render otherwise.
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Whether what an intrinsic computes follows from the request and the price table alone. Decisions on one that asks a clock or a
/// counter must not be kept.
pub(super) fn pure(id: IntrinsicId) -> bool {
    id.row().is_some_and(|row| row.flags.pure)
}

/// Writes the key of a request over `out`. `fields` are its projected fields; says how many bytes of text they have, as
/// [`text_bytes`] counts them.
pub(super) fn write<'v, 'a: 'v>(
    request: &Request<'_>,
    fields: impl Iterator<Item = &'v Value<'a>>,
    out: &mut Vec<u8>,
) -> usize {
    let Request {
        policies,
        settings,
        options,
        ..
    } = request;
    out.clear();
    out.push(FORMAT);
    text(VERSION, out);
    out.push(u8::from(cfg!(feature = "tokenizers")));
    out.extend_from_slice(&policies.identity);
    out.push(match settings.derive {
        DeriveMode::Always => 0,
        DeriveMode::Missing => 1,
        DeriveMode::Never => 2,
    });
    out.push(match settings.default_decision {
        DefaultDecision::Allow => 0,
        DefaultDecision::Deny => 1,
    });
    out.push(match settings.unknown_namespace {
        UnknownNamespace::Error => 0,
        UnknownNamespace::Global => 1,
    });
    if policies.module.host_intrinsics().any(asks_prices) {
        out.push(1);
        out.extend_from_slice(prices(settings));
    } else {
        out.push(0);
    }
    out.push(match options.mode {
        Mode::FirstDeny => 0,
        Mode::All => 1,
    });
    match options.namespace {
        Some(namespace) => {
            out.push(1);
            text(namespace, out);
        }
        None => out.push(0),
    }
    match (options.policies, request.scope) {
        // The set that was asked for, in whatever order.
        (Some(_), policy_vm::Scope::Only(mask)) => {
            out.push(1);
            length(mask.len(), out);
            out.extend(mask.iter().map(|asked| u8::from(*asked)));
        }
        (Some(_), policy_vm::Scope::All | policy_vm::Scope::Group { .. }) | (None, _) => out.push(0),
    }
    fields.map(|value| write_value(value, out)).sum()
}

/// Digest of the price table. Made once for an engine, when a key first needs it.
fn prices(settings: &Settings) -> &[u8; 32] {
    settings.price_identity.get_or_init(|| {
        let table = match &settings.prices {
            Some(table) => table,
            None => policy_primitives::prices::PriceTable::builtin(),
        };
        Sha256::digest(table.to_text()).into()
    })
}

fn length(n: usize, out: &mut Vec<u8>) {
    out.extend_from_slice(&(n as u64).to_le_bytes());
}

fn text(text: &str, out: &mut Vec<u8>) {
    length(text.len(), out);
    out.extend_from_slice(text.as_bytes());
}

/// Writes a value; says how many bytes of text it has, as [`text_bytes`] counts them. Recursion is bounded by the depth limit
/// of the request.
fn write_value(value: &Value<'_>, out: &mut Vec<u8>) -> usize {
    match value {
        Value::Undefined => out.push(0),
        Value::Unknown => out.push(1),
        Value::Pending => out.push(2),
        Value::Null => out.push(3),
        Value::Bool(false) => out.push(4),
        Value::Bool(true) => out.push(5),
        Value::Number(Number::Int(n)) => {
            out.push(6);
            out.extend_from_slice(&n.to_le_bytes());
        }
        Value::Number(Number::UInt(n)) => {
            out.push(7);
            out.extend_from_slice(&n.to_le_bytes());
        }
        // By bits: `-0.0` and `0.0` are written differently.
        Value::Number(Number::Float(x)) => {
            out.push(8);
            out.extend_from_slice(&x.to_bits().to_le_bytes());
        }
        Value::Str(s) => {
            out.push(9);
            text(s, out);
            return s.len();
        }
        // By text: two spellings of one number are written differently.
        Value::Decimal(number) => {
            out.push(13);
            text(number, out);
        }
        Value::Array(items) => {
            out.push(10);
            length(items.len(), out);
            return items.iter().map(|item| write_value(&item, out)).sum();
        }
        Value::Object(members) => {
            out.push(11);
            length(members.len(), out);
            let member = |(key, value): (&str, Value<'_>)| {
                text(key, out);
                key.len() + write_value(&value, out)
            };
            return members.iter().map(member).sum();
        }
        Value::Set(items) => {
            out.push(12);
            length(items.len(), out);
            return items.iter().map(|item| write_value(&item, out)).sum();
        }
    }
    0
}

/// Bytes of all texts in a value: what token counts and searches grow with. Recursion as in [`write_value`].
pub(super) fn text_bytes(value: &Value<'_>) -> usize {
    match value {
        Value::Str(text) => text.len(),
        Value::Array(items) => items.iter().map(|item| text_bytes(&item)).sum(),
        Value::Set(items) => items.iter().map(|item| text_bytes(&item)).sum(),
        Value::Object(members) => members
            .iter()
            .map(|(key, value)| key.len() + text_bytes(&value))
            .sum(),
        Value::Undefined
        | Value::Unknown
        | Value::Pending
        | Value::Null
        | Value::Bool(_)
        | Value::Number(_)
        | Value::Decimal(_) => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::{text_bytes, write_value};
    use policy_bytecode::Number;
    use policy_vm::{Array, Bump, Member, Object, Set, Value};
    use std::collections::HashMap;

    #[test]
    fn values_that_can_be_told_apart_have_different_keys() {
        let bump = Bump::new();
        let array = |items: &'static [Value<'static>]| Value::Array(Array::new_in(items, &bump));
        let object = |members: &'static [Member<'static>]| Value::Object(Object::new_in(members, &bump));
        let values = [
            Value::Undefined,
            Value::Unknown,
            Value::Pending,
            Value::Null,
            Value::Bool(false),
            Value::Bool(true),
            Value::Number(Number::Int(0)),
            Value::Number(Number::Int(1)),
            Value::Number(Number::UInt(u64::MAX)),
            Value::Number(Number::Int(-1)),
            Value::Number(Number::Float(0.0)),
            Value::Number(Number::Float(-0.0)),
            Value::Number(Number::Float(1.0)),
            Value::Str(""),
            Value::Str("\0"),
            Value::Decimal("1e400"),
            Value::Decimal("10e399"),
            Value::Str("1e400"),
            Value::Str("1"),
            Value::Array(Array::EMPTY),
            array(&[Value::Null]),
            array(&[Value::Array(Array::EMPTY)]),
            array(&[Value::Str("a"), Value::Str("b")]),
            array(&[Value::Str("ab")]),
            Value::Object(Object::EMPTY),
            object(&[("", Value::Null)]),
            object(&[("a", Value::Str("b"))]),
            object(&[("ab", Value::Str(""))]),
            Value::Set(Set::EMPTY),
        ];
        // Pairs too: what one value leaves off must not be read as part of the next.
        let mut seen: HashMap<Vec<u8>, (usize, usize)> = HashMap::new();
        for (i, a) in values.iter().enumerate() {
            for (j, b) in values.iter().enumerate() {
                let mut key = Vec::new();
                assert_eq!(write_value(a, &mut key), text_bytes(a), "{a:?}");
                write_value(b, &mut key);
                assert_eq!(seen.insert(key, (i, j)), None, "{a:?} and {b:?}");
            }
        }
    }
}
