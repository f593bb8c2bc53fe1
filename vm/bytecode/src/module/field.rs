//! The fields that a module reads: where each stands in a request, or what computes it.

use crate::ids::FieldIdx;
use crate::intrinsics::IntrinsicId;
use serde::{Deserialize, Serialize};

/// One request field.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Field {
    /// Where it stands in the request; never empty, the first step is a key.
    pub path: Vec<PathSegment>,
    /// What computes it, when it is computed.
    pub derived: Option<Derived>,
}

/// What computes a field: a host intrinsic, applied to what the request holds at other fields.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Derived {
    /// The intrinsic.
    pub intrinsic: IntrinsicId,
    /// Its arguments, in order; none of them is computed itself.
    pub args: Vec<FieldIdx>,
}

/// One step of a field's path.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum PathSegment {
    /// A key of an object, and other spellings of it. A request that holds two of them with different values is refused.
    Key {
        /// Canonical spelling.
        name: String,
        /// Accepted other spellings.
        aliases: Vec<String>,
    },
    /// An element of an array, or the object key of that decimal spelling.
    Index(u32),
    /// An element of an array, counted from its end: 1 is the last one.
    FromEnd(u32),
}

/// Whether `path` is `above` or leads further from there, whatever other spellings the keys have.
#[must_use]
pub fn is_at_or_below(path: &[PathSegment], above: &[PathSegment]) -> bool {
    let same = |steps: (&PathSegment, &PathSegment)| match steps {
        (PathSegment::Key { name: a, .. }, PathSegment::Key { name: b, .. }) => a == b,
        (PathSegment::Index(a), PathSegment::Index(b))
        | (PathSegment::FromEnd(a), PathSegment::FromEnd(b)) => a == b,
        (PathSegment::Key { .. } | PathSegment::Index(_) | PathSegment::FromEnd(_), _) => false,
    };
    path.len() >= above.len() && path.iter().zip(above).all(same)
}
