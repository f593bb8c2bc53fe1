//! [`Node`] and [`Editor`] for `serde_json::Value`: for tests, and for gateways that hold bodies that way.

use crate::node::{Node, Number, View};
use crate::piece::Place;
use crate::rewrite::Editor;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// Members of an object.
#[derive(Debug, Clone)]
pub struct Members<'a>(serde_json::map::Iter<'a>);

impl<'a> Iterator for Members<'a> {
    type Item = (&'a str, &'a Value);

    fn next(&mut self) -> Option<Self::Item> {
        self.0.next().map(|(name, value)| (name.as_str(), value))
    }
}

impl<'a> Node<'a> for &'a Value {
    type Items = std::slice::Iter<'a, Value>;
    type Members = Members<'a>;

    fn view(self) -> View<'a, Self> {
        match self {
            Value::Null => View::Null,
            Value::Bool(truth) => View::Bool(*truth),
            Value::Number(number) => View::Number(if let Some(n) = number.as_i64() {
                Number::Int(n)
            } else if let Some(n) = number.as_u64() {
                Number::UInt(n)
            } else {
                Number::Float(number.as_f64().unwrap_or(f64::NAN))
            }),
            Value::String(text) => View::Str(text),
            Value::Array(items) => View::Array(items.iter()),
            Value::Object(members) => View::Object(Members(members.iter())),
        }
    }

    fn get(self, name: &str) -> Option<Self> {
        self.as_object()?.get(name)
    }
}

/// An [`Editor`] that gives every text, number and name to a function. Names that become equal get `_2`, `_3` … .
#[derive(Debug)]
pub struct JsonEditor<F>(
    /// What to put in place of a text, or of a number as JSON writes it; `None` leaves it.
    pub F,
);

impl<'a, F: FnMut(&str, Place) -> Option<String>> Editor<'a, &'a Value> for JsonEditor<F> {
    type Out = Value;
    type Name = String;
    type List = Vec<Value>;
    type Map = Vec<(String, Value)>;

    fn text(&mut self, text: &'a str, place: Place) -> Option<Value> {
        (self.0)(text, place).map(Value::String)
    }
    fn number(&mut self, number: Number<'a>, place: Place) -> Option<Value> {
        let text = match number {
            Number::Int(n) => n.to_string(),
            Number::UInt(n) => n.to_string(),
            Number::Float(x) => format!("{x:?}"),
            Number::Text(text) => text.to_owned(),
        };
        (self.0)(&text, place).map(Value::String)
    }
    fn name(&mut self, name: &'a str, place: Place) -> Option<String> {
        (self.0)(name, place)
    }
    fn list(&mut self, original: &'a Value) -> Vec<Value> {
        original.as_array().cloned().unwrap_or_default()
    }
    fn put(&mut self, list: &mut Vec<Value>, index: usize, value: Value) {
        if let Some(place) = list.get_mut(index) {
            *place = value;
        }
    }
    fn close_list(&mut self, list: Vec<Value>) -> Value {
        Value::Array(list)
    }
    fn map(&mut self, original: &'a Value) -> Self::Map {
        let members = original.as_object().into_iter().flatten();
        members
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect()
    }
    fn put_member(&mut self, map: &mut Self::Map, index: usize, value: Value) {
        if let Some((_, place)) = map.get_mut(index) {
            *place = value;
        }
    }
    fn rename(&mut self, map: &mut Self::Map, index: usize, name: String) {
        if let Some((place, _)) = map.get_mut(index) {
            *place = name;
        }
    }
    fn close_map(&mut self, map: Self::Map) -> Value {
        let mut members = Map::new();
        // Where to go on counting for a name, so that many equal ones cost no more than others.
        let mut counts = BTreeMap::new();
        for (name, value) in map {
            if !members.contains_key(&name) {
                members.insert(name, value);
                continue;
            }
            let count = counts.entry(name.clone()).or_insert(2usize);
            let free = loop {
                let numbered = format!("{name}_{count}");
                *count += 1;
                if !members.contains_key(&numbered) {
                    break numbered;
                }
            };
            members.insert(free, value);
        }
        Value::Object(members)
    }
}
