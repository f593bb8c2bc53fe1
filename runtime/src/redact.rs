//! Gives a value back in its own shape without personal data.

use crate::derive::DeriveHost;
use crate::json::Json;
use crate::request::{is_json, spell, undone};
use bumpalo::collections::Vec as BumpVec;
use policy_bytecode::module::PathSegment;
use policy_primitives::pii::PiiTypeSet;
use policy_requests::{Editor, JsonEditor, Number as Count, Place, Step};
use policy_vm::{Array, Bump, Object, Value};
use std::collections::{HashMap, HashSet};

/// The value at `path` of the context without personal data of `types`, in its own shape.
pub(crate) fn redact<'a>(
    value: Value<'a>,
    path: &[PathSegment],
    types: PiiTypeSet,
    host: &mut DeriveHost<'_>,
    bump: &'a Bump,
) -> Value<'a> {
    let steps = path.iter().map(|segment| match segment {
        PathSegment::Key { name, .. } => Step::Key(name),
        PathSegment::Index(n) => Step::Index(i64::from(*n)),
        PathSegment::FromEnd(n) => Step::Index(-i64::from(*n)),
    });
    let steps = BumpVec::from_iter_in(steps, bump);
    let mut editor = Redaction { types, host, bump };
    policy_requests::rewrite(Json(value), &steps, &mut editor).unwrap_or(value)
}

/// How often JSON in a string in JSON is looked into.
const JSON_IN_JSON: u32 = 4;

struct Redaction<'a, 'h, 'w> {
    types: PiiTypeSet,
    host: &'h mut DeriveHost<'w>,
    bump: &'a Bump,
}

impl<'a> Redaction<'a, '_, '_> {
    /// The text without personal data; `None` where it has none. JSON stays JSON, and what only shows once escapes are
    /// undone goes as well.
    fn redacted(&mut self, text: &'a str) -> Option<&'a str> {
        self.redacted_to(text, JSON_IN_JSON)
    }

    fn redacted_to(&mut self, text: &'a str, levels: u32) -> Option<&'a str> {
        let mut current = text;
        if levels > 0
            && is_json(text)
            && let Ok(value) = serde_json::from_str::<serde_json::Value>(text)
        {
            let bump = self.bump;
            let mut inside = JsonEditor(|text: &str, _: Place| {
                let redacted = self.redacted_to(bump.alloc_str(text), levels - 1);
                redacted.map(str::to_owned)
            });
            if let Some(changed) = policy_requests::rewrite(&value, &[], &mut inside) {
                current = bump.alloc_str(&changed.to_string());
            }
        }
        current = self.host.redact(current, self.types, self.bump);
        if let Some(undone) = undone(current, self.bump) {
            let plain = self.host.redact(undone, self.types, self.bump);
            if !std::ptr::eq(plain, undone) {
                current = plain;
            }
        }
        (!std::ptr::eq(current, text)).then_some(current)
    }
}

impl<'a> Editor<'a, Json<'a>> for Redaction<'a, '_, '_> {
    type Out = Value<'a>;
    type Name = &'a str;
    type List = BumpVec<'a, Value<'a>>;
    type Map = BumpVec<'a, (&'a str, Value<'a>)>;

    fn text(&mut self, text: &'a str, _: Place) -> Option<Value<'a>> {
        self.redacted(text).map(Value::Str)
    }

    fn number(&mut self, number: Count<'a>, _: Place) -> Option<Value<'a>> {
        self.redacted(spell(number, self.bump)).map(Value::Str)
    }

    fn name(&mut self, name: &'a str, _: Place) -> Option<&'a str> {
        self.redacted(name)
    }

    fn list(&mut self, original: Json<'a>) -> Self::List {
        let mut list = BumpVec::new_in(self.bump);
        match original.0 {
            Value::Array(items) => list.extend(items),
            Value::Set(items) => list.extend(items),
            _no_list => {}
        }
        list
    }

    fn put(&mut self, list: &mut Self::List, index: usize, value: Value<'a>) {
        if let Some(place) = list.get_mut(index) {
            *place = value;
        }
    }

    fn close_list(&mut self, list: Self::List) -> Value<'a> {
        Value::Array(Array::new_in(list.into_bump_slice(), self.bump))
    }

    fn map(&mut self, original: Json<'a>) -> Self::Map {
        let mut map = BumpVec::new_in(self.bump);
        if let Value::Object(members) = original.0 {
            map.extend(members);
        }
        map
    }

    fn put_member(&mut self, map: &mut Self::Map, index: usize, value: Value<'a>) {
        if let Some((_, place)) = map.get_mut(index) {
            *place = value;
        }
    }

    fn rename(&mut self, map: &mut Self::Map, index: usize, name: &'a str) {
        if let Some((place, _)) = map.get_mut(index) {
            *place = name;
        }
    }

    /// Keys of an object are in order and distinct; names that became the same are told apart by a number.
    fn close_map(&mut self, mut map: Self::Map) -> Value<'a> {
        let by_name = |(a, _): &(&str, Value<'_>), (b, _): &(&str, Value<'_>)| a.as_bytes().cmp(b.as_bytes());
        let mut in_order = map.clone();
        in_order.sort_unstable_by(by_name);
        if in_order
            .iter()
            .zip(in_order.iter().skip(1))
            .all(|((a, _), (b, _))| a != b)
        {
            return Value::Object(Object::new_in(in_order.into_bump_slice(), self.bump));
        }
        // Rare, so off the arena. The number to go on with for each name makes many equal ones cost no more than others.
        let mut taken = HashSet::new();
        let mut numbers = HashMap::new();
        for (name, _) in &mut map {
            let own = *name;
            while !taken.insert(*name) {
                let number = numbers.entry(own).or_insert(2_usize);
                *name = bumpalo::format!(in self.bump, "{}_{}", own, number).into_bump_str();
                *number += 1;
            }
        }
        map.sort_unstable_by(by_name);
        Value::Object(Object::new_in(map.into_bump_slice(), self.bump))
    }
}
