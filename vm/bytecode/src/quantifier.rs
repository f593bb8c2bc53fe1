//! Bodies: what the predicates `any` and `all` ask of each element of a list.
//!
//! ```text
//! p1: llm.messages any q0        q0:  n0  test item.role eq k0           looks at the element
//!                                     n1  pred p0                        does not: one predicate for all elements
//!                                     n2  test f3 contains item.name     a field compared with the element
//!                                     n3  test item.parts any q…         a list inside the element
//!                                     n4  and n0 n1 n2 n3                the root is the last
//! ```
//!
//! A body is a tree of conditions in a flat list, children before their parents. Its comparisons are those that look at
//! the element; what does not look at it is an ordinary predicate, evaluated once and kept. A body inside a body sees its
//! own element only.

use crate::ids::{BodyIdx, FieldIdx, PredIdx};
use crate::module::PathSegment;
use crate::predicate::{PredOp, PredOperand};
use serde::{Deserialize, Serialize};

/// Levels that a body may nest, with the bodies below it.
pub const MAX_LEVELS: u32 = 256;
/// Steps of a path into an element, at most.
pub const MAX_STEPS: usize = 64;

/// One entry of the body table.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub struct Body {
    /// Children before parents; the last is the root.
    pub nodes: Vec<Node>,
}

/// A condition on an element.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Node {
    /// Three-valued conjunction of earlier nodes.
    And(Vec<u32>),
    /// Three-valued disjunction of earlier nodes.
    Or(Vec<u32>),
    /// Negation of an earlier node.
    Not(u32),
    /// A predicate that does not look at the element.
    Pred {
        /// The predicate that is asked.
        pred: PredIdx,
        /// Whether its outcome is negated.
        negated: bool,
    },
    /// A comparison that looks at the element.
    Test(ItemTest),
}

/// A comparison of which at least one side lies in the element.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ItemTest {
    /// What is asked.
    pub op: PredOp,
    /// Of what.
    pub subject: Subject,
    /// Compared with what.
    pub operand: ItemOperand,
    /// Whether the outcome is negated.
    pub negated: bool,
}

/// What a comparison looks at.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Subject {
    /// A path into the element; empty for the element itself.
    Item(Vec<PathSegment>),
    /// A field of the request.
    Field(FieldIdx),
}

/// What a comparison of a body compares with.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ItemOperand {
    /// As in a predicate.
    Plain(PredOperand),
    /// A path into the element.
    Item(Vec<PathSegment>),
}

impl Body {
    /// Calls `visit` with each predicate that it names.
    pub fn preds(&self, mut visit: impl FnMut(PredIdx)) {
        for node in &self.nodes {
            if let Node::Pred { pred, .. } = node {
                visit(*pred);
            }
        }
    }

    /// Its comparisons.
    pub fn tests(&self) -> impl Iterator<Item = &ItemTest> {
        self.nodes.iter().filter_map(|node| match node {
            Node::Test(test) => Some(test),
            Node::And(_) | Node::Or(_) | Node::Not(_) | Node::Pred { .. } => None,
        })
    }

    /// Whether a comparison sets a field of the request beside the element: then the work grows with both.
    #[must_use]
    pub fn crosses(&self) -> bool {
        self.tests().any(|test| {
            matches!(test.subject, Subject::Field(_))
                || matches!(test.operand, ItemOperand::Plain(PredOperand::Field(_)))
        })
    }
}

impl ItemTest {
    /// The fields of the request that it looks at.
    pub fn fields(&self) -> impl Iterator<Item = FieldIdx> {
        let subject = match &self.subject {
            Subject::Field(field) => Some(*field),
            Subject::Item(_) => None,
        };
        let operand = match &self.operand {
            ItemOperand::Plain(PredOperand::Field(field)) => Some(*field),
            ItemOperand::Plain(
                PredOperand::None | PredOperand::Const(_) | PredOperand::Pattern(_) | PredOperand::Body(_),
            )
            | ItemOperand::Item(_) => None,
        };
        subject.into_iter().chain(operand)
    }

    /// The body that it asks of each element of a list in the element.
    #[must_use]
    pub fn body(&self) -> Option<BodyIdx> {
        match self.operand {
            ItemOperand::Plain(PredOperand::Body(body)) => Some(body),
            ItemOperand::Plain(
                PredOperand::None | PredOperand::Const(_) | PredOperand::Pattern(_) | PredOperand::Field(_),
            )
            | ItemOperand::Item(_) => None,
        }
    }
}
