//! Values in a row, wherever they lie.

use super::Value;
use crate::heap::Frozen;
use bumpalo::Bump;
use policy_bytecode::ConstIdx;
use std::slice;

/// Values in a row: built in the arena of an evaluation, or frozen in the loaded module.
#[derive(Clone, Copy)]
pub(super) enum Items<'a> {
    /// Through a reference, so that a value stays as small as a text.
    Built(&'a &'a [Value<'a>]),
    /// A frozen array.
    Frozen(&'a Frozen, ConstIdx),
}

impl<'a> Items<'a> {
    pub(super) const EMPTY: Self = Items::Built(&(&[] as &[Value<'_>]));

    pub(super) fn new_in(items: &'a [Value<'a>], bump: &'a Bump) -> Self {
        if items.is_empty() {
            return Self::EMPTY;
        }
        Self::Built(bump.alloc(items))
    }

    #[inline]
    pub(super) fn len(self) -> usize {
        match self {
            Self::Built(items) => items.len(),
            Self::Frozen(heap, at) => heap.items(at).len(),
        }
    }

    #[inline]
    pub(super) fn get(self, index: usize) -> Option<Value<'a>> {
        match self {
            Self::Built(items) => items.get(index).copied(),
            Self::Frozen(heap, at) => heap.items(at).get(index).map(|item| heap.value(*item)),
        }
    }

    #[inline]
    pub(super) fn iter(self) -> Iter<'a> {
        Iter(match self {
            Self::Built(items) => Inner::Built(items.iter()),
            Self::Frozen(heap, at) => Inner::Frozen(heap, heap.items(at).iter()),
        })
    }

    pub(super) fn place(self) -> Place {
        match self {
            Self::Built(items) => Place::of_row(items),
            Self::Frozen(heap, at) => Place::in_heap(heap, at),
        }
    }
}

/// Where a collection stands in memory. Two of one kind that stand at one place at one time are the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    address: usize,
    within: usize,
}

impl Place {
    pub(super) fn of_row<T>(row: &[T]) -> Self {
        Self {
            address: row.as_ptr().addr(),
            within: row.len(),
        }
    }

    pub(super) fn in_heap(heap: &Frozen, at: ConstIdx) -> Self {
        Self {
            address: std::ptr::from_ref(heap).addr(),
            within: at.index(),
        }
    }
}

/// The values of an array or a set, in order.
#[derive(Clone)]
pub struct Iter<'a>(Inner<'a>);

#[derive(Clone)]
enum Inner<'a> {
    Built(slice::Iter<'a, Value<'a>>),
    Frozen(&'a Frozen, slice::Iter<'a, ConstIdx>),
}

impl<'a> Iterator for Iter<'a> {
    type Item = Value<'a>;

    #[inline]
    fn next(&mut self) -> Option<Value<'a>> {
        match &mut self.0 {
            Inner::Built(items) => items.next().copied(),
            Inner::Frozen(heap, items) => items.next().map(|item| heap.value(*item)),
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        match &self.0 {
            Inner::Built(items) => items.size_hint(),
            Inner::Frozen(_, items) => items.size_hint(),
        }
    }

    #[inline]
    fn any<F: FnMut(Value<'a>) -> bool>(&mut self, mut test: F) -> bool {
        match &mut self.0 {
            Inner::Built(items) => items.any(|item| test(*item)),
            Inner::Frozen(heap, items) => items.any(|item| test(heap.value(*item))),
        }
    }
}

impl ExactSizeIterator for Iter<'_> {}

impl std::fmt::Debug for Iter<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.clone()).finish()
    }
}
