//! 1.5, rule 6: modifications of all fired rules, composed path by path, and the request that they make.
//!
//! Paths at or below one another are composed on one value, that of the outermost one: first everything that gives a
//! value, from the outermost path inwards, then everything that hides and bounds, from the innermost path outwards.

use super::{Found, Request, expand_literal, look_up, number_value, numbers, redact, size, type_name};
use policy_grammar::ast::{FieldPath, Literal, Number as Written, Segment, Verb};
use serde_json::{Map, Value};
use std::cmp::Ordering;

/// A modification of a fired rule.
pub(super) struct Asked<'a> {
    /// Canonical.
    pub(super) path: FieldPath,
    pub(super) verb: &'a Verb,
}

/// What modifications come to.
#[derive(Default)]
pub(super) struct Composed {
    /// By canonical path; null also for what is removed.
    pub(super) entries: Map<String, Value>,
    /// The values at the outermost paths; `None` where there is none, or none any more.
    pub(super) outermost: Vec<(FieldPath, Option<Value>)>,
    /// Which of the modifications met a value of the wrong type, and its name.
    pub(super) errors: Vec<(usize, String)>,
    /// Size of all values that rules give.
    pub(super) given: usize,
}

/// Composes modifications in the order of their rules.
pub(super) fn compose(asked: &[Asked<'_>], request: &Request<'_>) -> Composed {
    let mut composed = Composed::default();
    // Every place once, the outer ones first.
    let mut places: Vec<&FieldPath> = Vec::new();
    for one in asked {
        if !places.iter().any(|place| same_place(place, &one.path)) {
            places.push(&one.path);
        }
    }
    let in_order = places.clone();
    places.sort_by(|a, b| in_order_of_steps(a, b));
    let is_below = |place: &FieldPath, outer: &FieldPath| {
        place.segments.len() > outer.segments.len()
            && outer
                .segments
                .iter()
                .zip(&place.segments)
                .all(|(a, b)| step(a) == step(b))
    };
    let mut values: Vec<(&FieldPath, Value)> = Vec::new();
    for outermost in &places {
        if places.iter().any(|outer| is_below(outermost, outer)) {
            continue;
        }
        let own: Vec<&FieldPath> = places
            .iter()
            .copied()
            .filter(|place| place == outermost || is_below(place, outermost))
            .collect();
        let mut value = present(look_up(outermost, request));
        let inside = |place: &FieldPath| place.segments[outermost.segments.len()..].to_vec();
        let wanted = |place: &FieldPath| -> Vec<(usize, &Verb)> {
            asked
                .iter()
                .enumerate()
                .filter(|(_, one)| same_place(&one.path, place))
                .map(|(i, one)| (i, one.verb))
                .collect()
        };
        let mut given: Vec<&FieldPath> = Vec::new();
        let mut removed: Vec<&FieldPath> = Vec::new();

        // "of plain values the first in order wins; then `$default`". Ruling: null is not missing.
        for place in &own {
            let plain = wanted(place).into_iter().find_map(|(_, verb)| match verb {
                Verb::Set(literal) => Some(literal),
                _ => None,
            });
            let default = wanted(place).into_iter().find_map(|(_, verb)| match verb {
                Verb::Default(literal) if get(&value, &inside(place)).is_none() => Some(literal),
                _ => None,
            });
            if let Some(literal) = plain.or(default) {
                let new = expand_literal(literal, request);
                composed.given += size(&new);
                give(&mut value, &inside(place), new, place, &mut given);
            }
        }
        // "`$append` (all, in order)", "to what is missing or no list makes a list". Ruling: what was there is its first
        // element, so that nothing is lost.
        for place in &own {
            let more: Vec<&Literal> = wanted(place)
                .into_iter()
                .filter_map(|(_, verb)| match verb {
                    Verb::Append(literal) => Some(literal),
                    _ => None,
                })
                .collect();
            if more.is_empty() {
                continue;
            }
            let mut list = match get(&value, &inside(place)) {
                None | Some(Value::Null) => Vec::new(),
                Some(Value::Array(items)) => items,
                Some(other) => vec![other],
            };
            let more: Vec<Value> = more
                .into_iter()
                .map(|literal| expand_literal(literal, request))
                .collect();
            composed.given += more.iter().map(size).sum::<usize>();
            list.extend(more);
            give(&mut value, &inside(place), Value::Array(list), place, &mut given);
        }
        // "`$redact` (union of types)". Ruling: those of paths above count here as well.
        for place in own.iter().rev() {
            let types_at = |place: &FieldPath| -> Vec<Vec<String>> {
                wanted(place)
                    .into_iter()
                    .filter_map(|(_, verb)| match verb {
                        Verb::Redact(types) => Some(types.iter().map(|t| t.value.clone()).collect()),
                        _ => None,
                    })
                    .collect()
            };
            let mut lists = types_at(place);
            if lists.is_empty() {
                continue;
            }
            for outer in own.iter().filter(|outer| is_below(place, outer)) {
                lists.extend(types_at(outer));
            }
            // No names are all types.
            let all = lists.iter().any(Vec::is_empty);
            let names: Vec<&str> = lists.iter().flatten().map(String::as_str).collect();
            if let Some(current) = get(&value, &inside(place)) {
                let new = redact(&current, place, if all { &[] } else { &names });
                give(&mut value, &inside(place), new, place, &mut given);
            }
        }
        // "`$floor` (the largest), `$cap` (the smallest; it beats `$floor`)". Ruling: the bound and an error for what is no
        // number, null included.
        for place in own.iter().rev() {
            let of = |cap: bool| -> Vec<Written> {
                wanted(place)
                    .into_iter()
                    .filter_map(|(_, verb)| match verb {
                        Verb::Cap(n) if cap => Some(n.clone()),
                        Verb::Floor(n) if !cap => Some(n.clone()),
                        _ => None,
                    })
                    .collect()
            };
            let floor = furthest(&of(false), Ordering::Greater);
            let cap = furthest(&of(true), Ordering::Less);
            let Some(bound) = floor.clone().or(cap.clone()) else {
                continue;
            };
            let current = get(&value, &inside(place));
            let mut new = match &current {
                Some(number) if numbers::is_number(number) => number.clone(),
                None => bound,
                Some(other) => {
                    for (i, verb) in wanted(place) {
                        if matches!(verb, Verb::Cap(_) | Verb::Floor(_)) {
                            composed.errors.push((i, type_name(other).to_owned()));
                        }
                    }
                    bound
                }
            };
            if let Some(floor) = floor.filter(|floor| order(&new, floor) == Ordering::Less) {
                new = floor;
            }
            if let Some(cap) = cap.filter(|cap| order(&new, cap) == Ordering::Greater) {
                new = cap;
            }
            give(&mut value, &inside(place), new, place, &mut given);
        }
        // "`$remove` beats all (null)". Ruling: nothing to say where there is nothing.
        for place in &own {
            let remove = wanted(place).iter().any(|(_, verb)| matches!(verb, Verb::Remove));
            if remove && get(&value, &inside(place)).is_some() {
                take(&mut value, &inside(place));
                removed.push(place);
            }
        }

        for place in &own {
            if removed.contains(place) {
                values.push((place, Value::Null));
            } else if let (true, Some(current)) = (given.contains(place), get(&value, &inside(place))) {
                values.push((place, current));
            }
        }
        composed.outermost.push(((*outermost).clone(), value));
    }
    for place in in_order {
        if let Some((_, value)) = values.iter().find(|(path, _)| *path == place) {
            composed.entries.insert(place.to_string(), value.clone());
        }
    }
    composed.errors.sort_by_key(|(i, _)| *i);
    composed
}

/// The request with what modifications make of it. What the paths do not lead to stays.
pub(super) fn modified(context: &Value, composed: &Composed) -> Value {
    let mut request = Some(context.clone());
    for (path, value) in &composed.outermost {
        // A modified field has one spelling.
        if let Some((object, camel, others)) = super::ALIASES.iter().find(|(object, camel, _)| {
            matches!(path.segments.as_slice(), [Segment::Key(o), Segment::Key(c), ..] if o == object && c == camel)
        }) && let Some(Value::Object(members)) = request.as_mut().and_then(|r| r.get_mut(*object))
        {
            for other in *others {
                let Some(sent) = members.remove(*other) else {
                    continue;
                };
                let held = members.entry((*camel).to_owned()).or_insert(Value::Null);
                if held.is_null() {
                    *held = sent;
                }
            }
        }
        match value {
            Some(value) => {
                put(&mut request, &path.segments, value.clone());
            }
            None => take(&mut request, &path.segments),
        }
    }
    request.unwrap_or_default()
}

fn present(found: Found) -> Option<Value> {
    match found {
        Found::Present(value) => Some(value),
        // 1.6: an unknown cost is missing; derived fields are not modified anyway.
        Found::Missing | Found::Unknown => None,
    }
}

fn give<'p>(
    value: &mut Option<Value>,
    inside: &[Segment],
    new: Value,
    place: &'p FieldPath,
    given: &mut Vec<&'p FieldPath>,
) {
    if put(value, inside, new) {
        given.push(place);
    }
}

/// A step as the key that it is in an object.
fn step(segment: &Segment) -> String {
    match segment {
        Segment::Key(key) => key.clone(),
        Segment::Index(n) => n.to_string(),
        // No key of an object.
        Segment::FromEnd(n) => format!("[-{n}]"),
    }
}

/// The element of a list that a step leads to.
fn position(segment: &Segment, items: &[Value]) -> Option<usize> {
    match segment {
        Segment::FromEnd(n) => items.len().checked_sub(*n as usize),
        Segment::Key(_) | Segment::Index(_) => index(segment),
    }
}

/// Ruling: a key of digits and an index are one place.
fn same_place(a: &FieldPath, b: &FieldPath) -> bool {
    let steps = |path: &FieldPath| path.segments.iter().map(step).collect::<Vec<_>>();
    steps(a) == steps(b)
}

fn index(segment: &Segment) -> Option<usize> {
    let key = step(segment);
    key.parse::<u32>()
        .ok()
        .filter(|n| n.to_string() == key)
        .map(|n| n as usize)
}

/// Outer paths before inner ones, keys before indexes, indexes by number.
fn in_order_of_steps(a: &FieldPath, b: &FieldPath) -> Ordering {
    let steps = |path: &FieldPath| {
        path.segments
            .iter()
            .map(|segment| (index(segment), step(segment).len(), step(segment)))
            .collect::<Vec<_>>()
    };
    steps(a).cmp(&steps(b))
}

/// The value inside another one.
fn get(value: &Option<Value>, inside: &[Segment]) -> Option<Value> {
    let mut at = value.as_ref()?;
    for segment in inside {
        at = match at {
            number if numbers::is_number(number) => return None,
            Value::Object(_) if matches!(segment, Segment::FromEnd(_)) => return None,
            Value::Object(members) => members.get(&step(segment))?,
            Value::Array(items) => items.get(position(segment, items)?)?,
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => return None,
        };
    }
    Some(at.clone())
}

/// Puts a value inside another one; whether that is possible. Ruling: what is missing on the way is made, a list for the
/// index 0 and an object for a key, also in place of what cannot hold it; a list takes one more element behind its last.
fn put(value: &mut Option<Value>, inside: &[Segment], new: Value) -> bool {
    let Some((first, rest)) = inside.split_first() else {
        *value = Some(new);
        return true;
    };
    let mut child = get(value, std::slice::from_ref(first));
    // Ruling: counted from the end, an element has to be there.
    if matches!(first, Segment::FromEnd(_)) {
        if child.is_none() || !put(&mut child, rest, new) {
            return false;
        }
        if let Some(Value::Array(items)) = value
            && let Some(item) = position(first, items).and_then(|n| items.get_mut(n))
        {
            *item = child.expect("it was just put there");
        }
        return true;
    }
    if !put(&mut child, rest, new) {
        return false;
    }
    let child = child.expect("it was just put there");
    // One that is written as an object here is no object.
    if value.as_ref().is_some_and(numbers::is_number) {
        if index(first).is_some_and(|n| n > 0) {
            return false;
        }
        *value = None;
    }
    match (value.as_mut(), index(first)) {
        (Some(Value::Object(members)), _) => {
            members.insert(step(first), child);
        }
        (Some(Value::Array(items)), Some(n)) if n < items.len() => items[n] = child,
        (Some(Value::Array(items)), Some(n)) if n == items.len() => items.push(child),
        (Some(Value::Array(_)), Some(_)) => return false,
        (_, Some(0)) => *value = Some(Value::Array(vec![child])),
        (_, Some(_)) => return false,
        (_, None) => *value = Some(Value::Object(Map::from_iter([(step(first), child)]))),
    }
    true
}

/// Takes a value out of another one. Ruling: an element of a list leaves null, so that the others keep their places.
fn take(value: &mut Option<Value>, inside: &[Segment]) {
    let Some((first, rest)) = inside.split_first() else {
        *value = None;
        return;
    };
    let mut child = get(value, std::slice::from_ref(first));
    if child.is_none() {
        return;
    }
    take(&mut child, rest);
    match (value.as_mut(), child) {
        (Some(Value::Object(members)), Some(child)) => {
            members.insert(step(first), child);
        }
        (Some(Value::Object(members)), None) => {
            members.remove(&step(first));
        }
        (Some(Value::Array(items)), child) => {
            if let Some(item) = position(first, items).and_then(|n| items.get_mut(n)) {
                *item = child.unwrap_or_default();
            }
        }
        _ => {}
    }
}

/// The first of the numbers that lies furthest in one direction.
fn furthest(numbers: &[Written], direction: Ordering) -> Option<Value> {
    let mut best: Option<Value> = None;
    for number in numbers {
        let number = number_value(number);
        if best.as_ref().is_none_or(|best| order(&number, best) == direction) {
            best = Some(number);
        }
    }
    best
}

fn order(a: &Value, b: &Value) -> Ordering {
    numbers::compare(a, b).expect("bounds are numbers")
}
