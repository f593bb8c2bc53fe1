//! `any` and `all`: what a body asks of each element of a list, in the form that the interpreter reads, and how it is
//! asked.
//!
//! The body is walked for one element after another until one decides. Everything is paid for: a unit for each node, and
//! for each comparison what it reads of the request, because a list may be as long as the request allows and both sides
//! of a comparison may come from it. What does not look at the element is a predicate with a memo cell, so it costs
//! nothing but its first time.

use crate::interp::{Evaluation, Host, Trap};
use crate::predicate::{PredicateLoader, Test};
use crate::value::{Value, mismatches};
use policy_bytecode::module::PathSegment;
use policy_bytecode::predicate::{PredOp, PredOperand};
use policy_bytecode::quantifier::{Body, ItemOperand, ItemTest, Node, Subject};
use policy_bytecode::{BodyIdx, FieldIdx, Outcome, PredIdx};

/// A body.
#[derive(Debug)]
pub(crate) struct LoadedBody {
    /// Children before parents; the last is the root.
    nodes: Box<[LoadedNode]>,
}

#[derive(Debug)]
enum LoadedNode {
    And(Box<[u32]>),
    Or(Box<[u32]>),
    Not(u32),
    Pred { pred: PredIdx, negated: bool },
    Test(Box<LoadedItemTest>),
}

#[derive(Debug)]
struct LoadedItemTest {
    subject: LoadedSubject,
    right: Right,
    negated: bool,
}

#[derive(Debug)]
enum LoadedSubject {
    Item(Path),
    Field(FieldIdx),
}

#[derive(Debug)]
enum Right {
    /// As in a predicate.
    Plain(Test),
    /// What lies in the element.
    Item(PredOp, Path),
}

/// Steps into an element.
#[derive(Debug)]
struct Path(Box<[Step]>);

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
    fn of<'a>(&self, item: Value<'a>) -> Value<'a> {
        self.0.iter().fold(item, |value, step| match (value, step) {
            (Value::Array(items), Step::Index(n, _)) => {
                items.get(*n as usize).copied().unwrap_or(Value::Undefined)
            }
            (Value::Array(items), Step::FromEnd(n)) => {
                let found = items.len().checked_sub(*n as usize).and_then(|at| items.get(at));
                found.copied().unwrap_or(Value::Undefined)
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

    fn root(&self) -> u32 {
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

    fn is_exists(&self) -> bool {
        matches!(self.right, Right::Plain(Test::Exists))
    }

    fn of_missing(&self) -> Outcome {
        match &self.right {
            Right::Plain(test) => test.of_missing(),
            Right::Item(op, _) => op.of_missing().into(),
        }
    }
}

/// Comparisons of two lists that cost less than a sorted copy.
const FEW: usize = 1024;

impl<'a, H: Host> Evaluation<'a, H> {
    /// Whether a body holds for some element, or for every one.
    ///
    /// # Errors
    ///
    /// The trap that ended the walk.
    pub(crate) fn quantify(
        &mut self,
        all: bool,
        body: BodyIdx,
        items: &'a [Value<'a>],
    ) -> Result<Outcome, Trap> {
        let Some(body) = self.module().body_at(body) else {
            return Ok(Outcome::Error);
        };
        let mut result = Outcome::from(all);
        for item in items {
            match self.node(body, body.root(), *item)? {
                Outcome::Error => result = Outcome::Error,
                decides if decides != Outcome::from(all) => return Ok(decides),
                _goes_on => {}
            }
        }
        Ok(result)
    }

    /// Outcome of a node for an element. Recursion is bounded by the verifier (V27).
    fn node(&mut self, body: &'a LoadedBody, at: u32, item: Value<'a>) -> Result<Outcome, Trap> {
        self.burn(1)?;
        self.count_node();
        match body.nodes.get(at as usize) {
            Some(LoadedNode::And(nodes)) => self.junction(body, nodes, item, Outcome::False),
            Some(LoadedNode::Or(nodes)) => self.junction(body, nodes, item, Outcome::True),
            Some(LoadedNode::Not(n)) => Ok(self.node(body, *n, item)?.negate()),
            Some(LoadedNode::Pred { pred, negated }) => {
                let outcome = self.predicate_in_body(*pred)?;
                Ok(if *negated { outcome.negate() } else { outcome })
            }
            Some(LoadedNode::Test(test)) => {
                let outcome = self.item_test(test, item)?;
                Ok(if test.negated { outcome.negate() } else { outcome })
            }
            None => Ok(Outcome::Error),
        }
    }

    fn junction(
        &mut self,
        body: &'a LoadedBody,
        nodes: &'a [u32],
        item: Value<'a>,
        deciding: Outcome,
    ) -> Result<Outcome, Trap> {
        let mut result = deciding.negate();
        for n in nodes {
            match self.node(body, *n, item)? {
                Outcome::Error => result = Outcome::Error,
                outcome if outcome == deciding => return Ok(deciding),
                _goes_on => {}
            }
        }
        Ok(result)
    }

    fn item_test(&mut self, test: &'a LoadedItemTest, item: Value<'a>) -> Result<Outcome, Trap> {
        let (left, of_item) = match &test.subject {
            LoadedSubject::Item(path) => (path.of(item), true),
            LoadedSubject::Field(field) => {
                let value = self.field(*field);
                if mismatches(self.module().shape(*field), &value) {
                    return Ok(Outcome::Error);
                }
                (value, false)
            }
        };
        match left {
            Value::Undefined | Value::Pending => return Ok(test.of_missing()),
            Value::Unknown if test.is_exists() => return Ok(Outcome::False),
            Value::Unknown => return Ok(Outcome::Error),
            Value::Null
            | Value::Bool(_)
            | Value::Number(_)
            | Value::Decimal(_)
            | Value::Str(_)
            | Value::Array(_)
            | Value::Object(_)
            | Value::Set(_) => {}
        }
        match &test.right {
            Right::Plain(Test::Quantified { all, body }) => match left {
                Value::Array(items) => self.quantify(*all, *body, items),
                _no_list => Ok(Outcome::Error),
            },
            Right::Plain(Test::Exists) => Ok(Outcome::from(!matches!(left, Value::Null))),
            Right::Plain(Test::Dynamic(op, field)) => {
                let right = self.field(*field);
                self.weigh_pair(*op, &left, &right, of_item)?;
                Ok(self.dynamic(*op, left, right, Some(*field)))
            }
            Right::Plain(test) => {
                self.weigh(&left)?;
                Ok(self.apply_to_element(test, left))
            }
            Right::Item(op, path) => {
                let right = path.of(item);
                self.weigh_pair(*op, &left, &right, of_item)?;
                Ok(self.dynamic(*op, left, right, None))
            }
        }
    }

    /// Pays for comparing two values that both come from the request. `of_item`: the left one lies in the element, else
    /// the right one does. What stops at the first difference costs no more than the one in the element is long.
    fn weigh_pair(
        &mut self,
        op: PredOp,
        left: &Value<'a>,
        right: &Value<'a>,
        of_item: bool,
    ) -> Result<(), Trap> {
        match op {
            PredOp::Eq
            | PredOp::Gt
            | PredOp::Gte
            | PredOp::Lt
            | PredOp::Lte
            | PredOp::StartsWith
            | PredOp::EndsWith => self.weigh(if of_item { left } else { right }),
            _grows_with_both => {
                let before = self.fuel_left();
                self.weigh(left)?;
                let own = before - self.fuel_left();
                match right {
                    // Each item with the whole of the left side at worst, where the lists are not sorted.
                    Value::Array(list) if matches!(op, PredOp::In | PredOp::InFold) => {
                        let elements = match left {
                            Value::Array(elements) => elements.len(),
                            _scalar => 0,
                        };
                        self.burn((list.len() as u64).saturating_mul(1 + own.min(1 << 20)))?;
                        if elements.saturating_mul(list.len()) > FEW {
                            // Sorting and looking up: some steps for each.
                            self.burn(16 * (elements as u64 + list.len() as u64))?;
                        }
                        Ok(())
                    }
                    right => self.weigh(right),
                }
            }
        }
    }

    /// Outcome of one node of a body for one element. For explanations.
    pub fn body_outcome(&mut self, body: BodyIdx, node: u32, item: Value<'a>) -> Outcome {
        match self.module().body_at(body) {
            Some(body) => self.node(body, node, item).unwrap_or(Outcome::Error),
            None => Outcome::Error,
        }
    }
}

/// What lies at a path in an element. For explanations.
#[must_use]
pub fn in_element<'a>(item: Value<'a>, path: &[PathSegment]) -> Value<'a> {
    Path::new(path).of(item)
}

/// Whether an operand needs a body.
pub(crate) fn body_of(op: PredOp, operand: PredOperand) -> Option<Test> {
    match (op, operand) {
        (PredOp::Any, PredOperand::Body(body)) => Some(Test::Quantified { all: false, body }),
        (PredOp::All, PredOperand::Body(body)) => Some(Test::Quantified { all: true, body }),
        (_, PredOperand::Body(_))
        | (_, PredOperand::None | PredOperand::Const(_) | PredOperand::Pattern(_) | PredOperand::Field(_)) => {
            None
        }
    }
}
