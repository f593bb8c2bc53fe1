//! Literals: comparisons with their sense, and what one says about another on the same field.
//!
//! [`contradicts`] and [`implies`] speak of being *true*: two literals contradict each other when no request makes both
//! true; one implies another when every request that makes it true makes the other true. Both decide only what they
//! can be certain of, missing fields, `null`, arrays and errors included.

use super::Work;
use crate::fields::FieldInfo;
use crate::hir::{Cond, Predicate, Program};
use crate::types::TypeSet;
use policy_bytecode::cidr::Address;
use policy_bytecode::predicate::{PredOp, PredOperand, Reads, Takes};
use policy_bytecode::{Const, ConstIdx, FieldIdx, PredIdx, casefold, consts};
use policy_grammar::Span;
use std::cmp::Ordering;

/// A comparison with its sense.
#[derive(Debug, Clone, Copy)]
pub(super) struct Literal {
    pub(super) pred: PredIdx,
    pub(super) negated: bool,
    pub(super) span: Span,
}

impl Literal {
    /// Equal for equal comparisons of equal sense.
    pub(super) fn key(self) -> (PredIdx, bool) {
        (self.pred, self.negated)
    }
}

/// Collects the literals that must all be true for `cond`, negated when `negate`, to be true. Other parts of the
/// conjunction go to `rest`, with their sense.
pub(super) fn conjuncts<'a>(
    cond: &'a Cond,
    negate: bool,
    out: &mut Vec<Literal>,
    rest: &mut Vec<(&'a Cond, bool)>,
) {
    match cond {
        Cond::Test(test) => out.push(Literal {
            pred: test.pred,
            negated: test.negated != negate,
            span: test.span,
        }),
        Cond::Not { operand, .. } => conjuncts(operand, !negate, out, rest),
        Cond::And { operands, .. } if !negate => {
            operands.iter().for_each(|c| conjuncts(c, negate, out, rest));
        }
        Cond::Or { operands, .. } if negate => {
            operands.iter().for_each(|c| conjuncts(c, negate, out, rest));
        }
        Cond::And { .. } | Cond::Or { .. } => rest.push((cond, negate)),
    }
}

/// The parts of which at least one must be true for `cond`, negated when `negate`, to be true.
pub(super) fn disjuncts<'a>(cond: &'a Cond, negate: bool, out: &mut Vec<(&'a Cond, bool)>) {
    match cond {
        Cond::Not { operand, .. } => disjuncts(operand, !negate, out),
        Cond::Or { operands, .. } if !negate => operands.iter().for_each(|c| disjuncts(c, negate, out)),
        Cond::And { operands, .. } if negate => operands.iter().for_each(|c| disjuncts(c, negate, out)),
        Cond::And { .. } | Cond::Or { .. } | Cond::Test(_) => out.push((cond, negate)),
    }
}

/// What [`contradicts`] and [`implies`] look at.
struct View<'a> {
    predicate: &'a Predicate,
    field: &'a FieldInfo,
    negated: bool,
    constant: Option<&'a Const>,
}

fn view(program: &Program, literal: Literal) -> Option<View<'_>> {
    let predicate = program.predicates.get(literal.pred.index())?;
    Some(View {
        predicate,
        field: program.fields.get(predicate.field)?,
        negated: literal.negated,
        constant: match predicate.operand {
            PredOperand::Const(k) => program.consts.get(k),
            PredOperand::None | PredOperand::Pattern(_) | PredOperand::Field(_) | PredOperand::Body(_) => {
                None
            }
        },
    })
}

/// The field that a literal speaks of.
pub(super) fn field(program: &Program, literal: Literal) -> Option<FieldIdx> {
    program.predicates.get(literal.pred.index()).map(|p| p.field)
}

/// Whether no request makes both true. Both speak of one field. False also where the steps of `work` end.
pub(super) fn contradicts(program: &Program, a: Literal, b: Literal, work: &Work) -> bool {
    work.step() && work.certain(are_contrary(program, a, b, work)) == Some(true)
}

fn are_contrary(program: &Program, a: Literal, b: Literal, work: &Work) -> bool {
    if a.pred == b.pred {
        return a.negated != b.negated;
    }
    let (Some(a), Some(b)) = (view(program, a), view(program, b)) else {
        return false;
    };
    if a.predicate.field != b.predicate.field {
        return false;
    }
    if a.is_eq() {
        return b.on(program, a.constant, work) == Some(false);
    }
    if b.is_eq() {
        return a.on(program, b.constant, work) == Some(false);
    }
    a.excludes_presence_of(program, &b)
        || b.excludes_presence_of(program, &a)
        || !a.types().meets(b.types())
        || empty_interval(&a, &b)
        || empty_interval(&b, &a)
        || empty_span(&a, &b)
        || empty_span(&b, &a)
        || disjoint_lists(program, &a, &b, work)
}

/// Whether every request that makes `a` true makes `b` true, and `b` is an error only where `a` is one. False also where
/// the steps of `work` end.
pub(super) fn implies(program: &Program, a: Literal, b: Literal, work: &Work) -> bool {
    work.step() && work.certain(is_implied(program, a, b, work)) == Some(true)
}

fn is_implied(program: &Program, a: Literal, b: Literal, work: &Work) -> bool {
    if a.pred == b.pred {
        return a.negated == b.negated;
    }
    let (Some(a), Some(b)) = (view(program, a), view(program, b)) else {
        return false;
    };
    if a.predicate.field != b.predicate.field || a.negated {
        return false;
    }
    if a.is_eq() {
        return b.on(program, a.constant, work) == Some(true);
    }
    if b.negated {
        return false;
    }
    let stricter = |strict: Ordering| match (a.constant, b.constant) {
        (Some(x), Some(y)) => match order(x, y) {
            Some(Ordering::Equal) => {
                // `gt 5` implies `gte 5`, not the other way round.
                matches!(a.predicate.op, PredOp::Gt | PredOp::Lt)
                    || matches!(b.predicate.op, PredOp::Gte | PredOp::Lte)
            }
            Some(found) => found == strict,
            None => false,
        },
        _other => false,
    };
    match (a.predicate.op, b.predicate.op) {
        (PredOp::Gt | PredOp::Gte, PredOp::Gt | PredOp::Gte) => stricter(Ordering::Greater),
        (PredOp::Lt | PredOp::Lte, PredOp::Lt | PredOp::Lte) => stricter(Ordering::Less),
        (PredOp::In, PredOp::In) => match (a.constant, b.constant) {
            (Some(Const::Array(x)), Some(Const::Array(y))) => {
                !x.is_empty() && bounded(x, y) && x.iter().all(|k| holds(program, y, *k, work))
            }
            _other => false,
        },
        _other => false,
    }
}

/// Whether the literal is true when its field is `value`, where that can be told; false when it is an error then.
pub(super) fn holds_on(program: &Program, literal: Literal, value: &Const, work: &Work) -> Option<bool> {
    if !work.step() {
        return None;
    }
    work.certain(view(program, literal)?.on(program, Some(value), work))
        .flatten()
}

/// Lists longer than this together are not compared item by item.
fn bounded(x: &[ConstIdx], y: &[ConstIdx]) -> bool {
    x.len().saturating_mul(y.len()) <= 4096
}

fn holds(program: &Program, items: &[ConstIdx], wanted: ConstIdx, work: &Work) -> bool {
    items.iter().any(|k| equal(program, *k, wanted, work))
}

fn empty_interval(low: &View<'_>, high: &View<'_>) -> bool {
    if low.negated || high.negated {
        return false;
    }
    if !matches!(low.predicate.op, PredOp::Gt | PredOp::Gte)
        || !matches!(high.predicate.op, PredOp::Lt | PredOp::Lte)
    {
        return false;
    }
    match low.constant.zip(high.constant).and_then(|(l, h)| order(l, h)) {
        Some(Ordering::Greater) => true,
        Some(Ordering::Equal) => low.predicate.op == PredOp::Gt || high.predicate.op == PredOp::Lt,
        Some(Ordering::Less) | None => false,
    }
}

/// `after` and `before` that leave no instant between them. Instants are nanoseconds here, as at run time.
fn empty_span(low: &View<'_>, high: &View<'_>) -> bool {
    if low.negated || high.negated {
        return false;
    }
    let ops = (low.predicate.op, high.predicate.op);
    let bounds = low
        .constant
        .and_then(consts::instant)
        .zip(high.constant.and_then(consts::instant));
    ops == (PredOp::After, PredOp::Before) && bounds.is_some_and(|(low, high)| low >= high)
}

/// Two lists without a common item, on a field that is never an array (an array may hold an element of each).
fn disjoint_lists(program: &Program, a: &View<'_>, b: &View<'_>, work: &Work) -> bool {
    if a.negated || b.negated || a.field.types.meets(TypeSet::ARRAY) {
        return false;
    }
    match (a.predicate.op, b.predicate.op, a.constant, b.constant) {
        (PredOp::In, PredOp::In, Some(Const::Array(x)), Some(Const::Array(y))) => {
            bounded(x, y) && !x.iter().any(|k| holds(program, y, *k, work))
        }
        _other => false,
    }
}

impl View<'_> {
    fn is_eq(&self) -> bool {
        self.predicate.op == PredOp::Eq && !self.negated && self.constant.is_some()
    }

    /// Types of the field for which the literal can be true. Negated literals are true for a missing field, which has
    /// none, so they rule out nothing.
    fn types(&self) -> TypeSet {
        if self.negated {
            return TypeSet::ANY;
        }
        match (self.predicate.op.reads(), self.constant) {
            (Reads::Ordered, Some(value)) => TypeSet::of_const(value),
            // `all` is true for a missing field too, where no other plain literal is.
            (reads, _) => super::types::types(reads),
        }
    }

    /// `self` is true only where the field is missing or null, and `other` never is there.
    fn excludes_presence_of(&self, program: &Program, other: &View<'_>) -> bool {
        if self.predicate.op != PredOp::Exists || !self.negated || other.negated {
            return false;
        }
        let op = other.predicate.op;
        match (op.takes(), op.reads()) {
            _missing_too if op.of_missing() => false,
            (Takes::Json, Reads::Anything) => other.constant.is_some_and(|c| !matches!(c, Const::Null)),
            (Takes::List, _) => match other.constant {
                Some(Const::Array(items)) => !items
                    .iter()
                    .any(|k| matches!(program.consts.get(*k), Some(Const::Null))),
                _other => false,
            },
            _of_what_is_there => true,
        }
    }

    /// Whether the literal is true when the field is `value`: `Some(false)` also when it is an error then.
    fn on(&self, program: &Program, value: Option<&Const>, work: &Work) -> Option<bool> {
        let value = value?;
        let outcome = match (self.predicate.op, self.constant) {
            (PredOp::Exists, _) => Some(!matches!(value, Const::Null)),
            (PredOp::Eq, Some(wanted)) => Some(same(program, value, wanted, work)),
            (PredOp::In, Some(Const::Array(items))) => {
                let among = |v: &Const| {
                    items
                        .iter()
                        .filter_map(|k| program.consts.get(*k))
                        .any(|item| work.is_over() || same(program, v, item, work))
                };
                Some(match value {
                    Const::Array(elements) => {
                        among(value) || elements.iter().filter_map(|k| program.consts.get(*k)).any(among)
                    }
                    Const::Null
                    | Const::Bool(_)
                    | Const::Number(_)
                    | Const::Decimal(_)
                    | Const::Str(_)
                    | Const::Object(_) => among(value),
                })
            }
            (op @ (PredOp::Gt | PredOp::Gte | PredOp::Lt | PredOp::Lte), Some(limit)) => {
                let Some(found) = order(value, limit) else {
                    return Some(false);
                };
                Some(match found {
                    Ordering::Less => matches!(op, PredOp::Lt | PredOp::Lte),
                    Ordering::Equal => matches!(op, PredOp::Gte | PredOp::Lte),
                    Ordering::Greater => matches!(op, PredOp::Gt | PredOp::Gte),
                })
            }
            (PredOp::StartsWith, Some(Const::Str(affix))) => match value.as_str() {
                Some(text) => Some(text.starts_with(affix.as_str())),
                None => return Some(false),
            },
            (PredOp::EndsWith, Some(Const::Str(affix))) => match value.as_str() {
                Some(text) => Some(text.ends_with(affix.as_str())),
                None => return Some(false),
            },
            (PredOp::Contains, Some(Const::Str(part))) => {
                value.as_str().map(|text| text.contains(part.as_str()))
            }
            (PredOp::Matches, _) if value.as_str().is_none() => return Some(false),
            (PredOp::EqFold, Some(Const::Str(wanted))) => {
                Some(value.as_str().is_some_and(|text| casefold::eq(text, wanted)))
            }
            (PredOp::StartsWithFold, Some(Const::Str(affix))) => match value.as_str() {
                Some(text) => Some(casefold::starts_with(text, affix)),
                None => return Some(false),
            },
            (PredOp::EndsWithFold, Some(Const::Str(affix))) => match value.as_str() {
                Some(text) => Some(casefold::ends_with(text, affix)),
                None => return Some(false),
            },
            (PredOp::InCidr, Some(_)) => {
                let address = value.as_str().and_then(Address::parse);
                match (address, self.predicate.operand) {
                    (Some(address), PredOperand::Const(k)) => {
                        consts::networks(program.consts.entries(), k).map(|networks| networks.hold(address))
                    }
                    // An error.
                    (None, _) => return Some(false),
                    (Some(_), _) => None,
                }
            }
            (op @ (PredOp::Before | PredOp::After), Some(limit)) => {
                match (consts::instant(value), consts::instant(limit)) {
                    (Some(at), Some(limit)) => Some(if op == PredOp::Before {
                        at < limit
                    } else {
                        at > limit
                    }),
                    _error => return Some(false),
                }
            }
            (PredOp::TimeBetween, Some(_)) if consts::instant(value).is_none() => return Some(false),
            _undecided => None,
        };
        outcome.map(|o| o != self.negated)
    }
}

fn equal(program: &Program, a: ConstIdx, b: ConstIdx, work: &Work) -> bool {
    match (program.consts.get(a), program.consts.get(b)) {
        (Some(x), Some(y)) => a == b || same(program, x, y, work),
        _missing => false,
    }
}

/// Deep equality; numbers by value. Depth is bounded by what the resolver lets through. Means nothing where the steps of
/// `work` end.
fn same(program: &Program, a: &Const, b: &Const, work: &Work) -> bool {
    if !work.step() {
        return false;
    }
    match (a, b) {
        (Const::Array(x), Const::Array(y)) => {
            x.len() == y.len() && x.iter().zip(y).all(|(x, y)| equal(program, *x, *y, work))
        }
        (Const::Object(x), Const::Object(y)) => {
            x.len() == y.len()
                && x.iter()
                    .zip(y)
                    .all(|((k, x), (l, y))| k == l && equal(program, *x, *y, work))
        }
        (a, b) => match (a.exact(), b.exact()) {
            (Some(a), Some(b)) => a.compare(b).is_eq(),
            (a_number, b_number) => a_number.is_none() && b_number.is_none() && a == b,
        },
    }
}

/// Order of two numbers or two strings.
fn order(a: &Const, b: &Const) -> Option<Ordering> {
    match (a, b) {
        (Const::Str(a), Const::Str(b)) => Some(a.as_bytes().cmp(b.as_bytes())),
        (a, b) => a.exact().zip(b.exact()).map(|(a, b)| a.compare(b)),
    }
}
