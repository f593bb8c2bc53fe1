//! Objects.

use super::Value;
use super::items::Place;
use crate::heap::{Frozen, Member as FrozenMember};
use bumpalo::Bump;
use policy_bytecode::ConstIdx;
use std::{fmt, slice};

/// Key and value.
pub type Member<'a> = (&'a str, Value<'a>);

/// An object. Its keys are distinct and ascend by bytes. Lies in the arena of an evaluation or, as a constant, in the
/// loaded module: nobody sees which.
#[derive(Clone, Copy)]
pub struct Object<'a>(Inner<'a>);

#[derive(Clone, Copy)]
enum Inner<'a> {
    /// Through a reference, so that a value stays as small as a text.
    Built(&'a &'a [Member<'a>]),
    Frozen(&'a Frozen, ConstIdx),
}

impl<'a> Object<'a> {
    /// The object without members.
    pub const EMPTY: Self = Self(Inner::Built(&(&[] as &[Member<'_>])));

    /// An object of members that lie in an arena, keys strictly ascending by bytes. Takes 16 bytes of it.
    #[must_use]
    #[inline]
    pub fn new_in(members: &'a [Member<'a>], bump: &'a Bump) -> Self {
        if members.is_empty() {
            return Self::EMPTY;
        }
        Self(Inner::Built(bump.alloc(members)))
    }

    /// The object constant at `at`.
    pub(crate) fn frozen(heap: &'a Frozen, at: ConstIdx) -> Self {
        Self(Inner::Frozen(heap, at))
    }

    /// Number of members.
    #[must_use]
    #[inline]
    pub fn len(&self) -> usize {
        match self.0 {
            Inner::Built(members) => members.len(),
            Inner::Frozen(heap, at) => heap.members(at).len(),
        }
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The value of a key. O(log members); O(1) in a constant of more than eight members.
    #[must_use]
    #[inline]
    pub fn get(&self, key: &str) -> Option<Value<'a>> {
        match self.0 {
            Inner::Built(members) => members
                .binary_search_by(|(k, _)| k.as_bytes().cmp(key.as_bytes()))
                .ok()
                .and_then(|at| members.get(at))
                .map(|(_, value)| *value),
            Inner::Frozen(heap, at) => heap.member(at, key),
        }
    }

    /// The member at `index`, in the order of keys. O(1).
    #[must_use]
    #[inline]
    pub fn member(&self, index: usize) -> Option<Member<'a>> {
        match self.0 {
            Inner::Built(members) => members.get(index).copied(),
            Inner::Frozen(heap, at) => heap.members(at).get(index).map(|member| heap.entry(member)),
        }
    }

    /// The members in the order of their keys.
    #[must_use]
    #[inline]
    pub fn iter(&self) -> Members<'a> {
        Members(match self.0 {
            Inner::Built(members) => Walk::Built(members.iter()),
            Inner::Frozen(heap, at) => Walk::Frozen(heap, heap.members(at).iter()),
        })
    }

    /// Where it stands. O(1).
    #[must_use]
    pub fn place(&self) -> Place {
        match self.0 {
            Inner::Built(members) => Place::of_row(members),
            Inner::Frozen(heap, at) => Place::in_heap(heap, at),
        }
    }

    /// Whether both are the same piece of memory, and so equal. O(1).
    #[must_use]
    pub fn is(&self, other: &Self) -> bool {
        self.place() == other.place()
    }
}

/// The members of an object in the order of their keys.
#[derive(Clone)]
pub struct Members<'a>(Walk<'a>);

#[derive(Clone)]
enum Walk<'a> {
    Built(slice::Iter<'a, Member<'a>>),
    Frozen(&'a Frozen, slice::Iter<'a, FrozenMember>),
}

impl<'a> Iterator for Members<'a> {
    type Item = Member<'a>;

    #[inline]
    fn next(&mut self) -> Option<Member<'a>> {
        match &mut self.0 {
            Walk::Built(members) => members.next().copied(),
            Walk::Frozen(heap, members) => members.next().map(|member| heap.entry(member)),
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        match &self.0 {
            Walk::Built(members) => members.size_hint(),
            Walk::Frozen(_, members) => members.size_hint(),
        }
    }
}

impl ExactSizeIterator for Members<'_> {}

impl fmt::Debug for Members<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.clone()).finish()
    }
}

impl<'a> IntoIterator for Object<'a> {
    type Item = Member<'a>;
    type IntoIter = Members<'a>;

    #[inline]
    fn into_iter(self) -> Members<'a> {
        self.iter()
    }
}

impl fmt::Debug for Object<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}
