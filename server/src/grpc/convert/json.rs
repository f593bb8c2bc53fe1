//! Values of messages to and from JSON, without a tree of JSON values in between.
//!
//! # Invariants
//!
//! - A number that JSON does not have (NaN, an infinity) and a `Value` of no kind are refused.

use super::malformed;
use crate::error::Result;
use prost_types::{Struct, Value, value::Kind};
use serde::de::{self, MapAccess, SeqAccess, Visitor};
use serde::ser::{Error as _, SerializeMap as _};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::collections::BTreeMap;
use std::fmt;

/// A context as the JSON text that the engine takes. Appends to `out`; on an error `out` holds an unfinished text.
///
/// # Errors
///
/// `malformed_request` for a number that JSON does not have, and for a value of no kind.
pub fn write_context(context: &Struct, out: &mut Vec<u8>) -> Result<()> {
    serde_json::to_writer(out, &AsJson(context)).map_err(|e| malformed(format!("context: {e}")))
}

/// What serialises as the JSON that a message stands for.
pub(super) struct AsJson<'a, T>(pub(super) &'a T);

impl Serialize for AsJson<'_, Struct> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.fields.len()))?;
        for (key, value) in &self.0.fields {
            map.serialize_entry(key, &AsJson(value))?;
        }
        map.end()
    }
}

impl Serialize for AsJson<'_, Value> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.0.kind {
            Some(Kind::NullValue(_)) => serializer.serialize_unit(),
            Some(Kind::BoolValue(b)) => serializer.serialize_bool(*b),
            Some(Kind::StringValue(text)) => serializer.serialize_str(text),
            Some(Kind::NumberValue(n)) => number(*n, serializer),
            Some(Kind::ListValue(list)) => serializer.collect_seq(list.values.iter().map(AsJson)),
            Some(Kind::StructValue(object)) => AsJson(object).serialize(serializer),
            None => Err(S::Error::custom("a google.protobuf.Value has no kind")),
        }
    }
}

/// A number; whole numbers within 64 bits as integers, which is what callers mean by them.
fn number<S: Serializer>(n: f64, serializer: S) -> Result<S::Ok, S::Error> {
    // 2^63 as a double; every whole double below it is exactly an `i64`.
    const END: f64 = 9_223_372_036_854_775_808.0;
    if !n.is_finite() {
        return Err(S::Error::custom(format!("{n} is not a JSON number")));
    }
    if n.fract() == 0.0 && (-END..END).contains(&n) {
        #[expect(clippy::cast_possible_truncation, reason = "whole and in range")]
        return serializer.serialize_i64(n as i64);
    }
    serializer.serialize_f64(n)
}

/// A message read from the JSON that it stands for.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct FromJson<T>(pub(super) T);

impl<'de> Deserialize<'de> for FromJson<Value> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ValueVisitor).map(Self)
    }
}

impl<'de> Deserialize<'de> for FromJson<Struct> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(StructVisitor).map(Self)
    }
}

struct ValueVisitor;

pub(super) fn value(kind: Kind) -> Value {
    Value { kind: Some(kind) }
}

impl<'de> Visitor<'de> for ValueVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(value(Kind::NullValue(0)))
    }

    fn visit_bool<E>(self, b: bool) -> Result<Value, E> {
        Ok(value(Kind::BoolValue(b)))
    }

    #[expect(
        clippy::cast_precision_loss,
        reason = "the nearest double, as the interface says"
    )]
    fn visit_i64<E>(self, n: i64) -> Result<Value, E> {
        Ok(value(Kind::NumberValue(n as f64)))
    }

    #[expect(
        clippy::cast_precision_loss,
        reason = "the nearest double, as the interface says"
    )]
    fn visit_u64<E>(self, n: u64) -> Result<Value, E> {
        Ok(value(Kind::NumberValue(n as f64)))
    }

    fn visit_f64<E>(self, n: f64) -> Result<Value, E> {
        Ok(value(Kind::NumberValue(n)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(value(Kind::StringValue(text.to_owned())))
    }

    fn visit_string<E>(self, text: String) -> Result<Value, E> {
        Ok(value(Kind::StringValue(text)))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let mut values = Vec::new();
        while let Some(FromJson(item)) = seq.next_element()? {
            values.push(item);
        }
        Ok(value(Kind::ListValue(prost_types::ListValue { values })))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Value, A::Error> {
        Ok(value(Kind::StructValue(StructVisitor.visit_map(map)?)))
    }
}

struct StructVisitor;

impl<'de> Visitor<'de> for StructVisitor {
    type Value = Struct;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Struct, A::Error> {
        let mut fields = BTreeMap::new();
        while let Some((key, FromJson(value))) = map.next_entry::<String, _>()? {
            if let Some(_earlier) = fields.insert(key, value) {
                return Err(de::Error::custom("a key occurs twice"));
            }
        }
        Ok(Struct { fields })
    }
}

/// Reads JSON of the engine. Numbers beyond all doubles, which messages have no place for, are read as texts.
pub(super) fn in_doubles<T: serde::de::DeserializeOwned>(json: &[u8]) -> serde_json::Result<T> {
    serde_json::from_slice(json).or_else(|error| match std::str::from_utf8(json) {
        Ok(text) => serde_json::from_str(&huge_numbers_quoted(text)),
        Err(_) => Err(error),
    })
}

/// JSON with quotes around the numbers that are beyond all doubles.
fn huge_numbers_quoted(json: &str) -> String {
    let mut out = String::with_capacity(json.len() + 16);
    let mut rest = json;
    let mut in_string = false;
    while let Some(c) = rest.chars().next() {
        let length = match c {
            '\\' if in_string => rest.chars().take(2).map(char::len_utf8).sum(),
            '"' => {
                in_string = !in_string;
                1
            }
            '-' | '0'..='9' if !in_string => {
                let end = rest.find(|c: char| !matches!(c, '0'..='9' | '+' | '-' | '.' | 'e' | 'E'));
                end.unwrap_or(rest.len())
            }
            other => other.len_utf8(),
        };
        let (token, more) = rest.split_at(length);
        if !in_string && token.parse::<f64>().is_ok_and(f64::is_infinite) {
            out.push('"');
            out.push_str(token);
            out.push('"');
        } else {
            out.push_str(token);
        }
        rest = more;
    }
    out
}
