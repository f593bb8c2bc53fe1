//! JSON of requests, and of answers, which is read more strictly than serde reads it by itself.
//!
//! # Invariants
//!
//! - A text is UTF-8 as a whole, also where nobody looks.
//! - An object is an object: what serde derives for a struct would take a list of the values of its fields as well.
//! - A key that a shape names stands there once. Keys that it does not name are passed over.

use crate::failure::Failure;
use serde::de::value::MapAccessDeserializer;
use serde::de::{DeserializeOwned, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::error::Category;
use std::fmt;
use std::marker::PhantomData;

/// Writes a value.
///
/// # Errors
///
/// [`Failure::InvalidRequest`] where it has no form in JSON.
pub(crate) fn write_json(value: &impl Serialize) -> Result<Vec<u8>, Failure> {
    serde_json::to_vec(value).map_err(|_| Failure::InvalidRequest("it cannot be written as JSON".to_owned()))
}

/// Reads an object of a shape. Fields of it that are objects, or lists of them, are to be read with [`object`] and [`objects`].
///
/// # Errors
///
/// [`Failure::OddAnswer`], which says where, and repeats nothing of the text.
pub(crate) fn read_json<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Failure> {
    let text = std::str::from_utf8(bytes).map_err(|_| Failure::OddAnswer("no UTF-8".to_owned()))?;
    let Object(value) = serde_json::from_str(text).map_err(|error| {
        let what = match error.classify() {
            Category::Io | Category::Eof => "JSON that ends too early",
            Category::Syntax => "no JSON",
            Category::Data => "JSON of another shape than this route's",
        };
        Failure::OddAnswer(format!(
            "{what}, at line {} column {}",
            error.line(),
            error.column()
        ))
    })?;
    Ok(value)
}

/// For `deserialize_with` of a field that is an object.
#[cfg(any(feature = "shield", feature = "costops", feature = "governance"))]
pub(crate) fn object<'de, D: Deserializer<'de>, T: Deserialize<'de>>(input: D) -> Result<T, D::Error> {
    Object::deserialize(input).map(|Object(value)| value)
}

/// For `deserialize_with` of a field that is a list of objects.
#[cfg(any(feature = "shield", feature = "costops"))]
pub(crate) fn objects<'de, D: Deserializer<'de>, T: Deserialize<'de>>(input: D) -> Result<Vec<T>, D::Error> {
    let list = Vec::<Object<T>>::deserialize(input)?;
    Ok(list.into_iter().map(|Object(value)| value).collect())
}

struct Object<T>(T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        struct OnlyMap<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for OnlyMap<T> {
            type Value = Object<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Object<T>, A::Error> {
                T::deserialize(MapAccessDeserializer::new(map)).map(Object)
            }
        }

        input.deserialize_map(OnlyMap(PhantomData))
    }
}
