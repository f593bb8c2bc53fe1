//! `any` and `all`: what a body asks of each element of a list, and how it is asked.
//!
//! The body is walked for one element after another until one decides. Everything is paid for: a unit for each node, and
//! for each comparison what it reads of the request, because a list may be as long as the request allows and both sides
//! of a comparison may come from it. What does not look at the element is a predicate with a memo cell, so it costs
//! nothing but its first time.

use super::Evaluation;
use crate::body::{LoadedBody, LoadedItemTest, LoadedNode, LoadedSubject, Right};
use crate::host::Host;
use crate::predicate::Test;
use crate::query::Trap;
use crate::value::{Array, Value, mismatches};
use policy_bytecode::predicate::{PredOp, Takes};
use policy_bytecode::{BodyIdx, Outcome};

/// Comparisons of two lists that cost less than a sorted copy.
const FEW: usize = 1024;

impl<'a, H: Host> Evaluation<'a, H> {
    /// Whether a body holds for some element, or for every one.
    ///
    /// # Errors
    ///
    /// The trap that ended the walk.
    pub(crate) fn quantify(&mut self, all: bool, body: BodyIdx, items: Array<'a>) -> Result<Outcome, Trap> {
        let Some(body) = self.module().body_at(body) else {
            return Ok(Outcome::Error);
        };
        let mut result = Outcome::from(all);
        for item in items {
            match self.node(body, body.root(), item)? {
                Outcome::Error => result = Outcome::Error,
                decides if decides != Outcome::from(all) => return Ok(decides),
                Outcome::False | Outcome::True => {}
            }
        }
        Ok(result)
    }

    /// Outcome of a node for an element. Recursion is bounded by the verifier (V27).
    pub(super) fn node(&mut self, body: &'a LoadedBody, at: u32, item: Value<'a>) -> Result<Outcome, Trap> {
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

    pub(super) fn junction(
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
                Outcome::False | Outcome::True => {}
            }
        }
        Ok(result)
    }

    pub(super) fn item_test(&mut self, test: &'a LoadedItemTest, item: Value<'a>) -> Result<Outcome, Trap> {
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
            Right::Plain(Test::Quantified { all, body }) => match left.as_array() {
                Some(items) => self.quantify(*all, *body, items),
                None => Ok(Outcome::Error),
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
    pub(super) fn weigh_pair(
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
            PredOp::In
            | PredOp::Contains
            | PredOp::Matches
            | PredOp::Exists
            | PredOp::Any
            | PredOp::All
            | PredOp::EqFold
            | PredOp::InFold
            | PredOp::ContainsFold
            | PredOp::StartsWithFold
            | PredOp::EndsWithFold
            | PredOp::InCidr
            | PredOp::Before
            | PredOp::After
            | PredOp::TimeBetween => {
                let before = self.fuel_left();
                self.weigh(left)?;
                let own = before - self.fuel_left();
                let (Value::Array(list), Takes::List) = (right, op.takes()) else {
                    return self.weigh(right);
                };
                // Each item with the whole of the left side at worst, where the lists are not sorted.
                let elements = left.as_array().map_or(0, |elements| elements.len());
                self.burn((list.len() as u64).saturating_mul(1 + own.min(1 << 20)))?;
                if elements.saturating_mul(list.len()) > FEW {
                    // Sorting and looking up: some steps for each.
                    self.burn(16 * (elements as u64 + list.len() as u64))?;
                }
                Ok(())
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
