//! Bodies of `any` and `all` in the form that the interpreter reads.

use crate::predicate::{PredicateLoader, Test};
use crate::value::Value;
use policy_bytecode::module::PathSegment;
use policy_bytecode::predicate::PredOp;
use policy_bytecode::quantifier::{Body, ItemOperand, ItemTest, Node, Subject};
use policy_bytecode::{FieldIdx, Outcome, PredIdx};

/// A body.
#[derive(Debug)]
pub(crate) struct LoadedBody {
    /// Children before parents; the last is the root.
    pub(crate) nodes: Box<[LoadedNode]>,
}

#[derive(Debug)]
pub(crate) enum LoadedNode {
    And(Box<[u32]>),
    Or(Box<[u32]>),
    Not(u32),
    Pred { pred: PredIdx, negated: bool },
    Test(Box<LoadedItemTest>),
}

#[derive(Debug)]
pub(crate) struct LoadedItemTest {
    pub(crate) subject: LoadedSubject,
    pub(crate) right: Right,
    pub(crate) negated: bool,
}

#[derive(Debug)]
pub(crate) enum LoadedSubject {
    Item(Path),
    Field(FieldIdx),
}

#[derive(Debug)]
pub(crate) enum Right {
    /// As in a predicate.
    Plain(Test),
    /// What lies in the element.
    Item(PredOp, Path),
}

/// Steps into an element.
#[derive(Debug)]
pub(crate) struct Path(Box<[Step]>);

#[derive(Debug)]
enum Step {
    Key(Box<str>),
    /// An element of an array, or the key of that spelling.
    Index(u32, Box<str>),
    /// An element of an array, counted from its end.
    FromEnd(u32),
}

impl Path {
    fn new(segments: &[PathSegment]) -> Self {
        let step = |segment: &PathSegment| match segment {
            PathSegment::Key { name, .. } => Step::Key(name.as_str().into()),
            PathSegment::Index(n) => Step::Index(*n, n.to_string().into()),
            PathSegment::FromEnd(n) => Step::FromEnd(*n),
        };
        Self(segments.iter().map(step).collect())
    }

    /// What lies there.
    #[inline]
    pub(crate) fn of<'a>(&self, item: Value<'a>) -> Value<'a> {
        self.0.iter().fold(item, |value, step| match (value, step) {
            (Value::Array(items), Step::Index(n, _)) => items.get(*n as usize).unwrap_or(Value::Undefined),
            (Value::Array(items), Step::FromEnd(n)) => {
                items.from_end(*n as usize).unwrap_or(Value::Undefined)
            }
            (_, Step::FromEnd(_)) => Value::Undefined,
            (value, Step::Key(key) | Step::Index(_, key)) => value.get(key),
        })
    }
}

impl LoadedBody {
    pub(crate) fn load(body: &Body, loader: &mut PredicateLoader<'_>) -> Self {
        let node = |node: &Node| match node {
            Node::And(nodes) => LoadedNode::And(nodes.as_slice().into()),
            Node::Or(nodes) => LoadedNode::Or(nodes.as_slice().into()),
            Node::Not(n) => LoadedNode::Not(*n),
            Node::Pred { pred, negated } => LoadedNode::Pred {
                pred: *pred,
                negated: *negated,
            },
            Node::Test(test) => LoadedNode::Test(Box::new(LoadedItemTest::load(test, loader))),
        };
        Self {
            nodes: body.nodes.iter().map(node).collect(),
        }
    }

    pub(crate) fn root(&self) -> u32 {
        // Verified: a body has nodes (V25).
        u32::try_from(self.nodes.len().saturating_sub(1)).unwrap_or(0)
    }
}

impl LoadedItemTest {
    fn load(test: &ItemTest, loader: &mut PredicateLoader<'_>) -> Self {
        Self {
            subject: match &test.subject {
                Subject::Item(path) => LoadedSubject::Item(Path::new(path)),
                Subject::Field(field) => LoadedSubject::Field(*field),
            },
            right: match &test.operand {
                ItemOperand::Item(path) => Right::Item(test.op, Path::new(path)),
                ItemOperand::Plain(operand) => Right::Plain(loader.test(test.op, *operand, FieldIdx(0))),
            },
            negated: test.negated,
        }
    }

    pub(crate) fn is_exists(&self) -> bool {
        matches!(self.right, Right::Plain(Test::Exists))
    }

    pub(crate) fn of_missing(&self) -> Outcome {
        match &self.right {
            Right::Plain(test) => test.of_missing(),
            Right::Item(op, _) => op.of_missing().into(),
        }
    }
}

/// What lies at a path in an element. For explanations.
#[must_use]
pub fn in_element<'a>(item: Value<'a>, path: &[PathSegment]) -> Value<'a> {
    Path::new(path).of(item)
}
