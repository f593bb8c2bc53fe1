//! Writing into requests: where a path leads in a value, and a request's text with other values at some paths.
//!
//! A modification names a path; what stands there may be a member, an element, or nothing yet. What is missing on the
//! way is made: an object for a key, a list for the index 0. What cannot hold the next step gives way to what is made:
//! a scalar, and a list where a key leads on. A list takes one more element directly behind its last, and none further
//! out: then nothing is written.
//!
//! [`LoadedModule::rewrite`] copies the text of a request and looks only at objects and lists on the way to a change;
//! everything else stays letter for letter.

use crate::json::{Failed, JsonError, Reader, Result, utf8};
use crate::module::LoadedModule;
use crate::value::{Array, Object, Value, write_json_str};
use bumpalo::Bump;
use bumpalo::collections::Vec as BumpVec;
use policy_bytecode::module::PathSegment;
use std::cmp::Ordering;

/// One step of a path into a request.
#[derive(Debug, Clone)]
pub struct Step {
    /// The key, or the digits of the index.
    key: Box<str>,
    /// Other accepted spellings of the key.
    aliases: Box<[Box<str>]>,
    /// The index. A key of digits is one, too: in an object both are the same member.
    index: Option<usize>,
    /// The index from the end of a list; 1 is the last element. It leads into lists only.
    from_end: Option<usize>,
}

impl Step {
    /// The steps of a field's path.
    #[must_use]
    pub fn path(segments: &[PathSegment]) -> Vec<Self> {
        let step = |segment: &PathSegment| match segment {
            PathSegment::Key { name, aliases } => Self {
                index: name
                    .parse::<u32>()
                    .ok()
                    .filter(|n| n.to_string() == *name)
                    .and_then(|n| usize::try_from(n).ok()),
                from_end: None,
                key: name.as_str().into(),
                aliases: aliases
                    .iter()
                    .filter(|alias| *alias != name)
                    .map(|alias| alias.as_str().into())
                    .collect(),
            },
            PathSegment::Index(n) => Self {
                key: n.to_string().into(),
                aliases: Box::default(),
                index: usize::try_from(*n).ok(),
                from_end: None,
            },
            PathSegment::FromEnd(n) => Self {
                key: format!("[-{n}]").into(),
                aliases: Box::default(),
                index: None,
                from_end: usize::try_from(*n).ok(),
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
        self.index.is_some() || self.from_end.is_some()
    }

    /// Whether it leads to an element that is counted from the end: then nobody knows which one it is.
    #[must_use]
    pub fn is_from_end(&self) -> bool {
        self.from_end.is_some()
    }

    fn is_spelled(&self, key: &str) -> bool {
        self.from_end.is_none() && (*self.key == *key || self.aliases.iter().any(|alias| **alias == *key))
    }

    /// The position in a list of this length.
    fn position(&self, length: usize) -> Option<usize> {
        self.index
            .or_else(|| self.from_end.and_then(|n| length.checked_sub(n)))
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
    match (value, step.from_end) {
        (Value::Array(items), _) if step.is_index() => {
            let found = step.position(items.len()).and_then(|n| items.get(n));
            found.unwrap_or(Value::Undefined)
        }
        (_, Some(_)) => Value::Undefined,
        // Spellings agree, or all but one are null.
        (value, None) => step.aliases.iter().fold(value.get(&step.key), |found, alias| {
            match (found, value.get(alias)) {
                (found, Value::Undefined) => found,
                (Value::Undefined | Value::Null, other) => other,
                (found, _) => found,
            }
        }),
    }
}

/// `value` with `new` at the end of `steps`; `None` where that is beyond the end of a list. Recursion is as deep as the
/// path.
#[must_use]
pub fn put<'a>(value: Value<'a>, steps: &'a [Step], new: Value<'a>, bump: &'a Bump) -> Option<Value<'a>> {
    let Some((step, rest)) = steps.split_first() else {
        return Some(new);
    };
    if step.from_end.is_some() {
        let Value::Array(items) = value else { return None };
        let n = step.position(items.len())?;
        let new = put(child(value, step), rest, new, bump)?;
        return Some(with_element(items, n, new, bump));
    }
    let new = put(child(value, step), rest, new, bump)?;
    match (value, step.index) {
        (Value::Object(members), _) => Some(with_member(members, step, Some(new), bump)),
        (Value::Array(items), Some(n)) => (n <= items.len()).then(|| with_element(items, n, new, bump)),
        (_, Some(n)) => (n == 0).then(|| with_element(Array::EMPTY, n, new, bump)),
        (_, None) => Some(with_member(Object::EMPTY, step, Some(new), bump)),
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
    match (value, left) {
        (Value::Object(members), Value::Undefined) => with_member(members, step, None, bump),
        (Value::Object(members), left) => with_member(members, step, Some(left), bump),
        (Value::Array(items), left) => match (step.position(items.len()), left) {
            (Some(n), Value::Undefined) => with_element(items, n, Value::Null, bump),
            (Some(n), left) => with_element(items, n, left, bump),
            (None, _) => value,
        },
        (other, _) => other,
    }
}

fn with_member<'a>(members: Object<'a>, step: &'a Step, new: Option<Value<'a>>, bump: &'a Bump) -> Value<'a> {
    let mut out = BumpVec::with_capacity_in(members.len() + 1, bump);
    out.extend(members.iter().filter(|(key, _)| !step.is_spelled(key)));
    if let Some(new) = new {
        let key: &'a str = &step.key;
        let place = out.partition_point(|(k, _): &(&str, Value<'_>)| k.as_bytes() < key.as_bytes());
        out.insert(place, (key, new));
    }
    Value::Object(Object::new_in(out.into_bump_slice(), bump))
}

/// The list with another element, or with one more.
fn with_element<'a>(items: Array<'a>, n: usize, new: Value<'a>, bump: &'a Bump) -> Value<'a> {
    let mut out = BumpVec::with_capacity_in(items.len() + 1, bump);
    out.extend(items);
    match out.get_mut(n) {
        Some(place) => *place = new,
        None => out.push(new),
    }
    Value::Array(Array::new_in(out.into_bump_slice(), bump))
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
        let text = utf8(body)?;
        // An element may be counted from both ends: such changes are made one after the other.
        let several = changes.len() > 1;
        if several
            && changes
                .iter()
                .any(|change| change.steps.iter().any(Step::is_from_end))
        {
            let mut text: &str = text;
            for change in changes {
                out.clear();
                self.write_changes(text, std::slice::from_ref(change), bump, out)?;
                text = bump.alloc_str(out);
            }
            return Ok(());
        }
        self.write_changes(text, changes, bump, out)
    }

    fn write_changes<'a>(
        &self,
        text: &'a str,
        changes: &[Change<'_>],
        bump: &'a Bump,
        out: &mut String,
    ) -> std::result::Result<(), JsonError> {
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
            _ if step.is_from_end() || !makes_below(own, depth) => {}
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
                // As good as not there, beside another spelling.
                Some((_, _, step)) if value == b'n' && !step.aliases.is_empty() => {
                    self.reader.skip(value, start)?
                }
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
            if done.get(place) == Some(&false) && !step.is_from_end() && makes_below(own, depth) {
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
        let from_end = groups(changes, depth).any(|(_, _, step)| step.is_from_end());
        let all = if from_end { self.elements(at)? } else { 0 };
        let mut length = 0;
        let (mut byte, mut at) = self.reader.token(at + 1);
        while byte != b']' {
            if length > 0 {
                self.out.push(',');
            }
            let found = groups(changes, depth).find(|(_, _, step)| {
                step.index == Some(length)
                    || step.from_end.is_some_and(|n| length.checked_add(n) == Some(all))
            });
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

    /// How many elements the list at `at` has.
    fn elements(&mut self, at: usize) -> Result<usize> {
        let mut count = 0;
        let (mut byte, mut at) = self.reader.token(at + 1);
        while byte != b']' {
            count += 1;
            let end = self.reader.skip(byte, at)?;
            (byte, at) = self.reader.token(end);
            match byte {
                b',' => (byte, at) = self.reader.token(at + 1),
                b']' => {}
                _other => return self.reader.unexpected(at),
            }
        }
        Ok(count)
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
            if !step.is_from_end() && makes_below(own, depth) {
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
