//! Predicates: the atoms of conditions. One entry of the predicate table is one comparison of a field with a constant,
//! a pattern or another field, or of the elements of a field with a body.
//!
//! Predicates are data, not code, so that one comparison that occurs in many policies is evaluated once, an index can
//! be built over them, and explanations can name them.

use crate::ids::{BodyIdx, ConstIdx, FieldIdx, MemoIdx, PatternIdx};
pub use crate::operators::{Lookup, PredOp, Reads, Takes};
use serde::{Deserialize, Serialize};

/// What a predicate compares its field with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum PredOperand {
    /// Nothing: `exists`.
    None,
    /// A constant.
    Const(ConstIdx),
    /// A pattern: `matches`.
    Pattern(PatternIdx),
    /// Another field, read at run time.
    Field(FieldIdx),
    /// What is asked of each element: `any` and `all`.
    Body(BodyIdx),
}

/// One entry of the predicate table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Predicate {
    /// What is asked.
    pub op: PredOp,
    /// Of which field.
    pub field: FieldIdx,
    /// Compared with what.
    pub operand: PredOperand,
    /// Where its outcome is kept once known, when several places ask for it.
    pub memo: Option<MemoIdx>,
}

impl Predicate {
    /// The fields that it looks at.
    pub fn fields(&self) -> impl Iterator<Item = FieldIdx> {
        let other = match self.operand {
            PredOperand::Field(field) => Some(field),
            PredOperand::None | PredOperand::Const(_) | PredOperand::Pattern(_) | PredOperand::Body(_) => {
                None
            }
        };
        std::iter::once(self.field).chain(other)
    }
}
