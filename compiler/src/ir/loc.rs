//! Places in sources, without a front end: whoever lowers to the IR numbers files as it likes.
//!
//! Instructions carry their places in a table beside them ([`Locs`]), as in Cranelift: no pass that looks at instructions sees
//! them, and what only differs in places is equal.

use super::ValueId;
use std::fmt;
use std::hash::{Hash, Hasher};

/// A place that something was written at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Loc {
    /// Number of the file.
    pub file: u32,
    /// First byte.
    pub start: u32,
    /// One past the last byte.
    pub end: u32,
}

impl fmt::Display for Loc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "@{}:{}..{}", self.file, self.start, self.end)
    }
}

impl Loc {
    /// What its text form starts with.
    pub(super) const MARK: char = '@';

    /// Reads the text form.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (file, bytes) = text.strip_prefix(Self::MARK)?.split_once(':')?;
        let (start, end) = bytes.split_once("..")?;
        Some(Self {
            file: file.parse().ok()?,
            start: start.parse().ok()?,
            end: end.parse().ok()?,
        })
    }
}

/// Where the values of a function were written. Any two tables are equal: places are no part of what a function is.
#[derive(Debug, Clone, Default)]
pub struct Locs(Vec<Option<Loc>>);

impl Locs {
    /// The place of a value; `None` where there is none.
    #[must_use]
    pub fn get(&self, id: ValueId) -> Option<Loc> {
        self.0.get(id.index()).copied().flatten()
    }

    /// Says where a value was written.
    pub fn set(&mut self, id: ValueId, loc: Option<Loc>) {
        if let Some(place) = self.0.get_mut(id.index()) {
            *place = loc;
        } else if loc.is_some() {
            self.0.resize(id.index(), None);
            self.0.push(loc);
        }
    }

    /// The places that are known, in order of the values.
    pub fn known(&self) -> impl Iterator<Item = Loc> {
        self.0.iter().copied().flatten()
    }

    /// Values up to the last one that has a place.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether no place is known.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn shrink(&mut self) {
        self.0.shrink_to_fit();
    }

    /// Gives the file another number.
    pub(crate) fn move_to(&mut self, file: u32) {
        self.0.iter_mut().flatten().for_each(|loc| loc.file = file);
    }
}

impl PartialEq for Locs {
    fn eq(&self, _other: &Self) -> bool {
        true
    }
}

impl Eq for Locs {}

impl Hash for Locs {
    fn hash<H: Hasher>(&self, _state: &mut H) {}
}
