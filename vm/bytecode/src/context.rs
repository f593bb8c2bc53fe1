//! What a module says of the requests that it decides: at which places they hold lists, single values or objects, and what a service
//! answers.
//!
//! Whoever knows the requests makes these entries: the compiler, from the fields that it knows. The verifier rests its proofs on
//! them, and the machine holds requests to them. No field has a name here.

use crate::module::PathSegment;
use serde::{Deserialize, Serialize};

/// What stands at one place of every request.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Known {
    /// Its keys, from the top of the request, in canonical spelling.
    pub path: Vec<String>,
    /// What may stand there.
    pub holds: Holds,
    /// A service says what stands there. Where a request does not hold it, or holds null, it is unknown and not missing: every
    /// operator but `exists` is an error there, so that no answer is never taken for one that is fine.
    pub answered: bool,
}

/// What may stand at a known place, besides null.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Holds {
    /// Anything.
    Any,
    /// Neither an array nor an object. On anything else every operator is an error.
    Scalar,
    /// An array. On anything else every operator is an error, and what would stand below is unknown.
    List,
    /// An object. A request that has something else there is malformed.
    Object,
}

impl Holds {
    /// Every variant, by number.
    pub const ALL: &'static [Self] = &[Self::Any, Self::Scalar, Self::List, Self::Object];

    /// Spelling in listings.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Any => "any",
            Self::Scalar => "scalar",
            Self::List => "list",
            Self::Object => "object",
        }
    }

    /// What a value there may be without an error of every operator.
    #[must_use]
    pub fn shape(self) -> Shape {
        match self {
            Self::Any | Self::Object => Shape::Any,
            Self::Scalar => Shape::Scalar,
            Self::List => Shape::List,
        }
    }
}

/// What a known field may hold; everything else there is a mistake of the caller, on which every operator is an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// Anything.
    Any,
    /// Neither an array nor an object.
    Scalar,
    /// An array, or null.
    List,
}

/// What is known of a request, for looking up paths.
#[derive(Debug, Default)]
pub struct Knowledge<'k> {
    /// The entries, by path.
    entries: Vec<&'k Known>,
}

impl<'k> Knowledge<'k> {
    /// Of these entries. O(n log n).
    #[must_use]
    pub fn new(known: &'k [Known]) -> Self {
        let mut entries: Vec<&Known> = known.iter().collect();
        entries.sort_by(|a, b| a.path.cmp(&b.path));
        Self { entries }
    }

    /// What is known of the place at `path`.
    #[must_use]
    pub fn at(&self, path: &[PathSegment]) -> Option<&'k Known> {
        // A step that is no key is no step to a known place.
        let names = || {
            path.iter().map(|step| match step {
                PathSegment::Key { name, .. } => Some(name.as_str()),
                PathSegment::Index(_) | PathSegment::FromEnd(_) => None,
            })
        };
        let found = self
            .entries
            .binary_search_by(|known| known.path.iter().map(|key| Some(key.as_str())).cmp(names()))
            .ok()?;
        self.entries.get(found).copied()
    }

    /// What a value at `path` may be.
    #[must_use]
    pub fn shape(&self, path: &[PathSegment]) -> Shape {
        self.at(path).map_or(Shape::Any, |known| known.holds.shape())
    }

    /// Whether a comparison of the field at `path` can be an error because of what the request holds, whatever the operator.
    #[must_use]
    pub fn can_mismatch(&self, path: &[PathSegment]) -> bool {
        let mut above = (1..path.len()).filter_map(|steps| self.at(path.get(..steps)?));
        self.shape(path) != Shape::Any
            || self.at(path).is_some_and(|known| known.answered)
            || above.any(|known| known.holds == Holds::List || known.answered)
    }

    /// Whether a service says what stands at `path`, or above it.
    #[must_use]
    pub fn is_answered(&self, path: &[PathSegment]) -> bool {
        let mut ways = (1..=path.len()).filter_map(|steps| path.get(..steps));
        ways.any(|way| self.at(way).is_some_and(|known| known.answered))
    }
}

#[cfg(test)]
mod tests {
    use super::{Holds, Knowledge, Known, Shape};
    use crate::module::PathSegment;

    fn known(path: &[&str], holds: Holds, answered: bool) -> Known {
        Known {
            path: path.iter().map(|key| (*key).to_owned()).collect(),
            holds,
            answered,
        }
    }

    fn path(text: &str) -> Vec<PathSegment> {
        let segment = |step: &str| match step.parse() {
            Ok(n) => PathSegment::Index(n),
            Err(_) => PathSegment::Key {
                name: step.to_owned(),
                aliases: vec!["another".to_owned()],
            },
        };
        text.split('.').map(segment).collect()
    }

    #[test]
    fn what_is_known_of_a_place_is_found_by_its_canonical_keys() {
        let entries = [
            known(&["s"], Holds::Object, false),
            known(&["s", "list"], Holds::List, true),
            known(&["s", "n"], Holds::Scalar, false),
            known(&["a"], Holds::Any, true),
        ];
        let knowledge = Knowledge::new(&entries);
        assert_eq!(knowledge.at(&path("s")), Some(&entries[0]));
        assert_eq!(knowledge.at(&path("s.list")), Some(&entries[1]));
        for none in ["t", "s.x", "s.list.0", "s.0", "s.list.n", "another"] {
            assert_eq!(knowledge.at(&path(none)), None, "{none}");
        }
        assert_eq!(knowledge.shape(&path("s")), Shape::Any);
        assert_eq!(knowledge.shape(&path("s.n")), Shape::Scalar);
        for (text, mismatches, answered) in [
            ("s", false, false),
            ("s.n", true, false),
            ("s.n.x", false, false),
            ("s.list", true, true),
            ("s.list.0.x", true, true),
            ("a", true, true),
            ("a.b", true, true),
            ("b", false, false),
        ] {
            assert_eq!(knowledge.can_mismatch(&path(text)), mismatches, "{text}");
            assert_eq!(knowledge.is_answered(&path(text)), answered, "{text}");
        }
    }
}
