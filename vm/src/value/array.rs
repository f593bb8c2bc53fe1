//! Arrays and sets.

use super::Value;
use super::items::{Items, Iter, Place};
use crate::heap::Frozen;
use bumpalo::Bump;
use policy_bytecode::ConstIdx;
use std::fmt;

/// An array. Lies in the arena of an evaluation or, as a constant, in the loaded module: nobody sees which.
#[derive(Clone, Copy)]
pub struct Array<'a>(Items<'a>);

/// A set. Its elements are distinct and ascend in the total order of values.
#[derive(Clone, Copy)]
pub struct Set<'a>(Items<'a>);

impl<'a> Array<'a> {
    /// The array without elements.
    pub const EMPTY: Self = Self(Items::EMPTY);

    /// An array of elements that lie in an arena. Takes 16 bytes of it.
    #[must_use]
    #[inline]
    pub fn new_in(items: &'a [Value<'a>], bump: &'a Bump) -> Self {
        Self(Items::new_in(items, bump))
    }

    /// An array of elements that lie anywhere.
    #[must_use]
    pub const fn of(items: &'a &'a [Value<'a>]) -> Self {
        Self(Items::Built(items))
    }

    /// The array constant at `at`.
    pub(crate) fn frozen(heap: &'a Frozen, at: ConstIdx) -> Self {
        Self(Items::Frozen(heap, at))
    }

    /// Number of elements.
    #[must_use]
    #[inline]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The element at `index`. O(1).
    #[must_use]
    #[inline]
    pub fn get(&self, index: usize) -> Option<Value<'a>> {
        self.0.get(index)
    }

    /// The element `n` before the end: 1 is the last one. O(1).
    #[must_use]
    pub fn from_end(&self, n: usize) -> Option<Value<'a>> {
        self.len().checked_sub(n).and_then(|at| self.get(at))
    }

    /// The elements in order.
    #[must_use]
    #[inline]
    pub fn iter(&self) -> Iter<'a> {
        self.0.iter()
    }

    /// Where it stands. O(1).
    #[must_use]
    pub fn place(&self) -> Place {
        self.0.place()
    }

    /// Whether both are the same piece of memory, and so equal. O(1).
    #[must_use]
    pub fn is(&self, other: &Self) -> bool {
        self.place() == other.place()
    }
}

impl<'a> Set<'a> {
    /// The set without elements.
    pub const EMPTY: Self = Self(Items::EMPTY);

    /// A set of elements that lie in an arena, distinct and ascending in the total order of values. Takes 16 bytes of it.
    #[must_use]
    pub fn new_in(items: &'a [Value<'a>], bump: &'a Bump) -> Self {
        Self(Items::new_in(items, bump))
    }

    /// Number of elements.
    #[must_use]
    #[inline]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The element at `index`, in the total order of values. O(1).
    #[must_use]
    pub fn get(&self, index: usize) -> Option<Value<'a>> {
        self.0.get(index)
    }

    /// Where it stands. O(1).
    #[must_use]
    pub fn place(&self) -> Place {
        self.0.place()
    }

    /// Whether `value` is an element. O(log elements) comparisons.
    #[must_use]
    pub fn contains(&self, value: &Value<'_>) -> bool {
        let (mut low, mut high) = (0, self.len());
        while low < high {
            let middle = low + (high - low) / 2;
            match self.get(middle).map(|element| element.total_cmp(value)) {
                Some(std::cmp::Ordering::Less) => low = middle + 1,
                Some(std::cmp::Ordering::Greater) | None => high = middle,
                Some(std::cmp::Ordering::Equal) => return true,
            }
        }
        false
    }

    /// The elements in order.
    #[must_use]
    #[inline]
    pub fn iter(&self) -> Iter<'a> {
        self.0.iter()
    }
}

impl<'a> IntoIterator for Array<'a> {
    type Item = Value<'a>;
    type IntoIter = Iter<'a>;

    #[inline]
    fn into_iter(self) -> Iter<'a> {
        self.iter()
    }
}

impl<'a> IntoIterator for Set<'a> {
    type Item = Value<'a>;
    type IntoIter = Iter<'a>;

    #[inline]
    fn into_iter(self) -> Iter<'a> {
        self.iter()
    }
}

impl fmt::Debug for Array<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

impl fmt::Debug for Set<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}
