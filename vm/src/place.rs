//! Writing into requests: where a path leads in a value, and a request's text with other values at some paths.
//!
//! A modification names a path; what stands there may be a member, an element, or nothing yet. What is missing on the
//! way is made: an object for a key, a list for the index 0. What cannot hold the next step gives way to what is made:
//! a scalar, and a list where a key leads on. A list takes one more element directly behind its last, and none further
//! out: then nothing is written.
//!
//! [`LoadedModule::rewrite`] copies the text of a request and looks only at objects and lists on the way to a change;
//! everything else stays letter for letter.

use crate::json::{Failed, JsonError, JsonErrorKind, Reader, Result};
use crate::load::LoadedModule;
use crate::value::{Value, write_json_str};
use bumpalo::Bump;
use bumpalo::collections::Vec as BumpVec;
use policy_bytecode::module::PathSegment;
use std::cmp::Ordering;

/// One step of a path into a request.
#[derive(Debug, Clone)]
pub struct Step {
    /// The key, or the digits of the index.
    key: Box<str>,
    /// Another accepted spelling of the key.
    alias: Option<Box<str>>,
    /// The index. A key of digits is one, too: in an object both are the same member.
    index: Option<usize>,
}

impl Step {
    /// The steps of a field's path.
    #[must_use]
    pub fn path(segments: &[PathSegment]) -> Vec<Self> {
        let step = |segment: &PathSegment| match segment {
            PathSegment::Key { name, alias } => Self {
                index: name
                    .parse::<u32>()
                    .ok()
                    .filter(|n| n.to_string() == *name)
                    .and_then(|n| usize::try_from(n).ok()),
                key: name.as_str().into(),
                alias: alias.as_deref().filter(|a| a != name).map(Box::from),
            },
            PathSegment::Index(n) => Self {
                key: n.to_string().into(),
                alias: None,
                index: usize::try_from(*n).ok(),
            },
        };
        segments.iter().map(step).collect()
    }

    /// The key, or the digits of the index.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.key
    }

    /// Whether it leads into a list.
    #[must_use]
    pub fn is_index(&self) -> bool {
        self.index.is_some()
    }

    fn is_spelled(&self, key: &str) -> bool {
        *self.key == *key || self.alias.as_deref() == Some(key)
    }
}

/// Keys before indexes, indexes by number.
impl Ord for Step {
    fn cmp(&self, other: &Self) -> Ordering {
        // Digits without zeros in front: the longer, the larger.
        let order = |step: &Self| (step.index.is_some(), step.key.len());
        order(self)
            .cmp(&order(other))
            .then_with(|| self.key.cmp(&other.key))
    }
}

impl PartialOrd for Step {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Step {
    fn eq(&self, other: &Self) -> bool {
        self.key == other.key
    }
}

impl Eq for Step {}

/// What stands in `value` at the end of `steps`.
#[must_use]
pub fn get<'a>(value: Value<'a>, steps: &[Step]) -> Value<'a> {
    steps.iter().fold(value, |value, step| child(value, step))
}

fn child<'a>(value: Value<'a>, step: &Step) -> Value<'a> {
    match (value, step.index) {
        (Value::Array(items), Some(n)) => items.get(n).copied().unwrap_or(Value::Undefined),
        (value, _) => match (value.get(&step.key), &step.alias) {
            (Value::Undefined, Some(alias)) => value.get(alias),
            (found, _) => found,
        },
    }
}

/// `value` with `new` at the end of `steps`; `None` where that is beyond the end of a list. Recursion is as deep as the
/// path.
#[must_use]
pub fn put<'a>(value: Value<'a>, steps: &'a [Step], new: Value<'a>, bump: &'a Bump) -> Option<Value<'a>> {
    let Some((step, rest)) = steps.split_first() else {
        return Some(new);
    };
    let new = put(child(value, step), rest, new, bump)?;
    match (value, step.index) {
        (Value::Object(members), _) => Some(with_member(members, step, Some(new), bump)),
        (Value::Array(items), Some(n)) => (n <= items.len()).then(|| with_element(items, n, new, bump)),
        (_, Some(n)) => (n == 0).then(|| with_element(&[], n, new, bump)),
        (_, None) => Some(with_member(&[], step, Some(new), bump)),
    }
}

/// `value` without what stands at the end of `steps`. An element of a list becomes null, so that those behind it keep
/// their places. Recursion is as deep as the path.
#[must_use]
pub fn take<'a>(value: Value<'a>, steps: &'a [Step], bump: &'a Bump) -> Value<'a> {
    let Some((step, rest)) = steps.split_first() else {
        return Value::Undefined;
    };
    let old = child(value, step);
    if matches!(old, Value::Undefined) {
        return value;
    }
    let left = take(old, rest, bump);
    match (value, step.index, left) {
        (Value::Object(members), _, Value::Undefined) => with_member(members, step, None, bump),
        (Value::Object(members), _, left) => with_member(members, step, Some(left), bump),
        (Value::Array(items), Some(n), Value::Undefined) => with_element(items, n, Value::Null, bump),
        (Value::Array(items), Some(n), left) => with_element(items, n, left, bump),
        (other, _, _) => other,
    }
}

fn with_member<'a>(
    members: &'a [(&'a str, Value<'a>)],
    step: &'a Step,
    new: Option<Value<'a>>,
    bump: &'a Bump,
) -> Value<'a> {
    let mut out = BumpVec::with_capacity_in(members.len() + 1, bump);
    out.extend(members.iter().filter(|(key, _)| !step.is_spelled(key)).copied());
    if let Some(new) = new {
        let key: &'a str = &step.key;
        let place = out.partition_point(|(k, _): &(&str, Value<'_>)| k.as_bytes() < key.as_bytes());
        out.insert(place, (key, new));
    }
    Value::Object(out.into_bump_slice())
}

/// The list with another element, or with one more.
fn with_element<'a>(items: &'a [Value<'a>], n: usize, new: Value<'a>, bump: &'a Bump) -> Value<'a> {
    let mut out = BumpVec::with_capacity_in(items.len() + 1, bump);
    out.extend_from_slice(items);
    match out.get_mut(n) {
        Some(place) => *place = new,
        None => out.push(new),
    }
    Value::Array(out.into_bump_slice())
}

/// A value that is to stand elsewhere in a request than it did.
#[derive(Debug, Clone, Copy)]
pub struct Change<'a> {
    /// Where; never empty.
    pub steps: &'a [Step],
    /// What; [`Value::Undefined`] for nothing.
    pub value: Value<'a>,
}

impl<'a> Change<'a> {
    fn writes(&self) -> bool {
        !matches!(self.value, Value::Undefined)
    }

    fn step(&self, depth: usize) -> Option<&'a Step> {
        self.steps.get(depth)
    }
}

impl LoadedModule {
    /// Appends to `out` the request `body`, which [`LoadedModule::begin`] has taken, as `changes` make it. They are in the
    /// order of their steps, and none is at or below another. Allocates only where `out` has to grow.
    ///
    /// # Errors
    ///
    /// [`JsonError`] for a body that cannot be read.
    pub fn rewrite<'a>(
        &self,
        body: &'a [u8],
        changes: &[Change<'_>],
        bump: &'a Bump,
        out: &mut String,
    ) -> std::result::Result<(), JsonError> {
        let text = std::str::from_utf8(body).map_err(|e| JsonError {
            kind: JsonErrorKind::NotUtf8,
            offset: e.valid_up_to(),
        })?;
        let arena = usize::try_from(self.limits.arena_bytes).unwrap_or(usize::MAX);
        let mut rewriting = Rewriting {
            reader: Reader::new(text, bump, self.limits.depth, arena),
            out,
        };
        let done = bump.alloc_slice_fill_copy(changes.len(), false);
        let (byte, at) = rewriting.reader.token(0);
        match rewriting.value(changes, done, 0, byte, at) {
            Ok(_end) => Ok(()),
            Err(Failed) => Err(rewriting.reader.error()),
        }
    }
}

struct Rewriting<'o, 'a> {
    reader: Reader<'a>,
    out: &'o mut String,
}

/// The next changes of `changes` that share their step at `depth`: how many they are.
fn group(changes: &[Change<'_>], depth: usize) -> usize {
    let first = changes.first().and_then(|change| change.step(depth));
    changes
        .iter()
        .take_while(|change| change.step(depth) == first)
        .count()
}

/// Calls `visit` for each group of changes that share their step at `depth`, with where it begins and how many it has.
fn groups<'s, 'c>(
    changes: &'s [Change<'c>],
    depth: usize,
) -> impl Iterator<Item = (usize, &'s [Change<'c>], &'c Step)> {
    let mut first = 0;
    std::iter::from_fn(move || {
        let rest = changes.get(first..)?;
        let step = rest.first()?.step(depth)?;
        let own = rest.get(..group(rest, depth))?;
        let start = first;
        first += own.len();
        Some((start, own, step))
    })
}

/// Whether the changes make something where there was nothing: whether one of them writes, and leads through keys and
/// through firsts of lists.
fn makes(changes: &[Change<'_>], depth: usize) -> bool {
    let mut into_list = false;
    for (_, own, step) in groups(changes, depth) {
        match step.index {
            _ if !makes_below(own, depth) => {}
            None => return true,
            Some(n) => into_list |= n == 0,
        }
    }
    into_list
}

/// Whether a group that shares its step at `depth` makes something there.
fn makes_below(own: &[Change<'_>], depth: usize) -> bool {
    match own {
        [leaf] if leaf.steps.len() == depth + 1 => leaf.writes(),
        own => makes(own, depth + 1),
    }
}

/// Whether one of the changes writes to a key.
fn makes_object(changes: &[Change<'_>], depth: usize) -> bool {
    groups(changes, depth).any(|(_, own, step)| !step.is_index() && makes_below(own, depth))
}

impl<'a> Rewriting<'_, 'a> {
    /// Writes the value that starts with `byte` at `at` as the changes below it make it. Returns where it ended.
    /// Recursion is as deep as paths are.
    fn value(
        &mut self,
        changes: &[Change<'_>],
        done: &mut [bool],
        depth: usize,
        byte: u8,
        at: usize,
    ) -> Result<usize> {
        match byte {
            b'{' => self.object(changes, done, depth, at),
            b'[' if !makes_object(changes, depth) => self.array(changes, done, depth, at),
            _in_the_way => {
                let end = self.reader.skip(byte, at)?;
                if makes(changes, depth) {
                    self.fresh(changes, depth);
                } else {
                    self.out.push_str(self.reader.text(at, end));
                }
                Ok(end)
            }
        }
    }

    fn object(
        &mut self,
        changes: &[Change<'_>],
        done: &mut [bool],
        depth: usize,
        at: usize,
    ) -> Result<usize> {
        self.reader.enter(at)?;
        self.out.push('{');
        let mut first = true;
        let (mut byte, mut at) = self.reader.token(at + 1);
        while byte != b'}' {
            let key = self.reader.key(byte, at)?;
            let text = self.reader.key_text(key)?;
            let (value, start) = self.reader.token(key.after);
            let found = groups(changes, depth).find(|(_, _, step)| step.is_spelled(text));
            let end = match found {
                // Written at the end, in its canonical spelling.
                Some((_, [leaf], _)) if leaf.steps.len() == depth + 1 => self.reader.skip(value, start)?,
                Some((place, own, _)) => {
                    self.comma(&mut first);
                    self.out.push_str(self.reader.text(at, start));
                    let mut none = [];
                    let done = done.get_mut(place..place + own.len()).unwrap_or(&mut none);
                    let end = self.value(own, done, depth + 1, value, start)?;
                    done.fill(true);
                    end
                }
                None => {
                    let end = self.reader.skip(value, start)?;
                    self.comma(&mut first);
                    self.out.push_str(self.reader.text(at, end));
                    end
                }
            };
            (byte, at) = self.reader.token(end);
            match byte {
                b',' => (byte, at) = self.reader.token(at + 1),
                b'}' => {}
                _other => return self.reader.unexpected(at),
            }
        }
        self.reader.leave();
        for (place, own, step) in groups(changes, depth) {
            if done.get(place) == Some(&false) && makes_below(own, depth) {
                self.comma(&mut first);
                self.member(own, step, depth);
            }
        }
        self.out.push('}');
        Ok(at + 1)
    }

    fn array(&mut self, changes: &[Change<'_>], done: &mut [bool], depth: usize, at: usize) -> Result<usize> {
        self.reader.enter(at)?;
        self.out.push('[');
        let mut length = 0;
        let (mut byte, mut at) = self.reader.token(at + 1);
        while byte != b']' {
            if length > 0 {
                self.out.push(',');
            }
            let found = groups(changes, depth).find(|(_, _, step)| step.index == Some(length));
            let end = match found {
                Some((_, [leaf], _)) if leaf.steps.len() == depth + 1 => {
                    self.write(leaf.value);
                    self.reader.skip(byte, at)?
                }
                Some((place, own, _)) => {
                    let mut none = [];
                    let done = done.get_mut(place..place + own.len()).unwrap_or(&mut none);
                    self.value(own, done, depth + 1, byte, at)?
                }
                None => {
                    let end = self.reader.skip(byte, at)?;
                    self.out.push_str(self.reader.text(at, end));
                    end
                }
            };
            length += 1;
            (byte, at) = self.reader.token(end);
            match byte {
                b',' => (byte, at) = self.reader.token(at + 1),
                b']' => {}
                _other => return self.reader.unexpected(at),
            }
        }
        self.reader.leave();
        self.more(changes, depth, length);
        self.out.push(']');
        Ok(at + 1)
    }

    /// Writes what is made where nothing was that could hold it.
    fn fresh(&mut self, changes: &[Change<'_>], depth: usize) {
        if !makes_object(changes, depth) {
            self.out.push('[');
            self.more(changes, depth, 0);
            self.out.push(']');
            return;
        }
        self.out.push('{');
        let mut first = true;
        for (_, own, step) in groups(changes, depth) {
            if makes_below(own, depth) {
                self.comma(&mut first);
                self.member(own, step, depth);
            }
        }
        self.out.push('}');
    }

    /// Writes the elements that come directly behind the `length` that a list has.
    fn more(&mut self, changes: &[Change<'_>], depth: usize, mut length: usize) {
        for (_, own, step) in groups(changes, depth) {
            if step.index == Some(length) && makes_below(own, depth) {
                if length > 0 {
                    self.out.push(',');
                }
                self.made(own, depth);
                length += 1;
            }
        }
    }

    /// Writes a member that was not there.
    fn member(&mut self, own: &[Change<'_>], step: &Step, depth: usize) {
        // Writing to a string cannot fail.
        write_json_str(&step.key, self.out).unwrap_or_default();
        self.out.push(':');
        self.made(own, depth);
    }

    /// Writes what a group of changes makes of nothing.
    fn made(&mut self, own: &[Change<'_>], depth: usize) {
        match own {
            [leaf] if leaf.steps.len() == depth + 1 => self.write(leaf.value),
            own => self.fresh(own, depth + 1),
        }
    }

    /// Writes a value; what is taken out of a list leaves null.
    fn write(&mut self, value: Value<'_>) {
        // Writing to a string cannot fail.
        value.write_json(self.out).unwrap_or_default();
    }

    fn comma(&mut self, first: &mut bool) {
        if !std::mem::take(first) {
            self.out.push(',');
        }
    }
}
