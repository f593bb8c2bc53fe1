//! Predicates at run time: the meaning of every comparison operator, in one place.
//!
//! The table of operators in the language's semantics is this file's contract: a missing field makes every operator
//! false, never an error; equality and membership never fail; ordering, substring and pattern operators fail on values
//! of the wrong type. An unknown derived value fails everything but `exists`.

use crate::load::LoadedConst;
use crate::value::Value;
use foldhash::fast::FixedState;
use memchr::memmem::Finder;
use policy_bytecode::context::Derived;
use policy_bytecode::predicate::{PredOp, PredOperand, Predicate};
use policy_bytecode::{FieldIdx, Number, Outcome, PatternIdx};
use std::cmp::Ordering;
use std::collections::HashSet;

/// An ordering comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comparison {
    /// `<`
    Lt,
    /// `<=`
    Lte,
    /// `>`
    Gt,
    /// `>=`
    Gte,
}

impl Comparison {
    /// Whether an ordering of left to right satisfies it.
    #[must_use]
    #[inline]
    pub fn accepts(self, ordering: Ordering) -> bool {
        match self {
            Self::Lt => ordering.is_lt(),
            Self::Lte => ordering.is_le(),
            Self::Gt => ordering.is_gt(),
            Self::Gte => ordering.is_ge(),
        }
    }

    pub(crate) fn of(op: PredOp) -> Option<Self> {
        match op {
            PredOp::Lt => Some(Self::Lt),
            PredOp::Lte => Some(Self::Lte),
            PredOp::Gt => Some(Self::Gt),
            PredOp::Gte => Some(Self::Gte),
            PredOp::Eq
            | PredOp::In
            | PredOp::Contains
            | PredOp::StartsWith
            | PredOp::EndsWith
            | PredOp::Matches
            | PredOp::Exists => None,
        }
    }
}

/// A predicate in the form that the interpreter reads.
#[derive(Debug)]
pub(crate) struct LoadedPredicate {
    pub(crate) field: FieldIdx,
    pub(crate) memo: Option<u32>,
    /// Set when the field is computed by the host: then a comparison may be answered without computing it.
    pub(crate) derived: Option<Derived>,
    pub(crate) test: Test,
}

/// What is asked of the field's value, specialised by the constant's type.
#[derive(Debug)]
pub(crate) enum Test {
    EqStr(Box<str>),
    EqBool(bool),
    EqNumber(Number),
    EqConst(Box<LoadedConst>),
    CompareNumber(Comparison, Number),
    CompareStr(Comparison, Box<str>),
    In(Box<InSet>),
    ContainsStr(Box<ContainsStr>),
    ContainsConst(Box<LoadedConst>),
    StartsWith(Box<str>),
    EndsWith(Box<str>),
    Matches(PatternIdx),
    Exists,
    /// The right side is another field.
    Dynamic(PredOp, FieldIdx),
}

/// `contains` with a string constant: substring of a string, element of an array.
#[derive(Debug)]
pub(crate) struct ContainsStr {
    finder: Finder<'static>,
    needle: Box<str>,
}

/// A constant list, strings hashed.
#[derive(Debug)]
pub(crate) struct InSet {
    strings: HashSet<Box<str>, FixedState>,
    others: Box<[LoadedConst]>,
}

impl InSet {
    fn new(items: &[LoadedConst]) -> Self {
        let mut strings = HashSet::with_hasher(FixedState::with_seed(0x51_7c_c1_b7));
        let mut others = Vec::new();
        for item in items {
            match item {
                LoadedConst::Str(s) => {
                    strings.insert(s.clone());
                }
                LoadedConst::Null
                | LoadedConst::Bool(_)
                | LoadedConst::Number(_)
                | LoadedConst::Array(_)
                | LoadedConst::Object(_) => others.push(item.clone()),
            }
        }
        Self {
            strings,
            others: others.into(),
        }
    }

    #[inline]
    fn holds(&self, value: &Value<'_>) -> bool {
        match value {
            Value::Str(s) => self.strings.contains(*s),
            other => self.others.iter().any(|item| equals_const(other, item)),
        }
    }
}

impl LoadedPredicate {
    pub(crate) fn load(predicate: &Predicate, consts: &[LoadedConst], derived: Option<Derived>) -> Self {
        let test = match predicate.operand {
            PredOperand::None => Test::Exists,
            PredOperand::Pattern(x) => Test::Matches(x),
            PredOperand::Field(f) => Test::Dynamic(predicate.op, f),
            PredOperand::Const(k) => match consts.get(k.index()) {
                Some(constant) => Self::load_const(predicate.op, constant),
                // Verified: V5.
                None => Test::Dynamic(predicate.op, predicate.field),
            },
        };
        Self {
            field: predicate.field,
            memo: predicate.memo.map(|m| m.0),
            derived,
            test,
        }
    }

    fn load_const(op: PredOp, constant: &LoadedConst) -> Test {
        if let Some(comparison) = Comparison::of(op) {
            match constant {
                LoadedConst::Number(n) => return Test::CompareNumber(comparison, *n),
                LoadedConst::Str(s) => return Test::CompareStr(comparison, s.clone()),
                // Verified: V5.
                LoadedConst::Null | LoadedConst::Bool(_) | LoadedConst::Array(_) | LoadedConst::Object(_) => {
                }
            }
        }
        match (op, constant) {
            (PredOp::Eq, LoadedConst::Str(s)) => Test::EqStr(s.clone()),
            (PredOp::Eq, LoadedConst::Bool(b)) => Test::EqBool(*b),
            (PredOp::Eq, LoadedConst::Number(n)) => Test::EqNumber(*n),
            (PredOp::In, LoadedConst::Array(items)) => Test::In(Box::new(InSet::new(items))),
            (PredOp::Contains, LoadedConst::Str(s)) => Test::ContainsStr(Box::new(ContainsStr {
                finder: Finder::new(s.as_bytes()).into_owned(),
                needle: s.clone(),
            })),
            (PredOp::Contains, other) => Test::ContainsConst(Box::new(other.clone())),
            (PredOp::StartsWith, LoadedConst::Str(s)) => Test::StartsWith(s.clone()),
            (PredOp::EndsWith, LoadedConst::Str(s)) => Test::EndsWith(s.clone()),
            (_, other) => Test::EqConst(Box::new(other.clone())),
        }
    }
}

impl Test {
    /// Outcome for a value that is present. `Matches` and `Dynamic` are the interpreter's.
    #[inline]
    pub(crate) fn apply(&self, value: &Value<'_>) -> Outcome {
        match (self, value) {
            (Self::EqStr(c), Value::Str(s)) => (**c == **s).into(),
            (Self::EqBool(c), Value::Bool(b)) => (c == b).into(),
            (Self::EqNumber(c), Value::Number(n)) => (c == n).into(),
            (Self::EqStr(_) | Self::EqBool(_) | Self::EqNumber(_), _) => Outcome::False,
            (Self::EqConst(c), v) => equals_const(v, c).into(),
            (Self::CompareNumber(op, c), Value::Number(n)) => op.accepts(n.compare(*c)).into(),
            (Self::CompareStr(op, c), Value::Str(s)) => op.accepts(s.as_bytes().cmp(c.as_bytes())).into(),
            (Self::In(set), v) => {
                let element = matches!(v, Value::Array(items) if items.iter().any(|i| set.holds(i)));
                (element || set.holds(v)).into()
            }
            (Self::ContainsStr(c), Value::Str(s)) => c.finder.find(s.as_bytes()).is_some().into(),
            (Self::ContainsStr(c), Value::Array(items)) => items
                .iter()
                .any(|i| matches!(i, Value::Str(s) if **s == *c.needle))
                .into(),
            (Self::ContainsConst(c), Value::Array(items)) => items.iter().any(|i| equals_const(i, c)).into(),
            (Self::StartsWith(c), Value::Str(s)) => s.as_bytes().starts_with(c.as_bytes()).into(),
            (Self::EndsWith(c), Value::Str(s)) => s.as_bytes().ends_with(c.as_bytes()).into(),
            (Self::Exists, v) => (!matches!(v, Value::Null)).into(),
            (
                Self::CompareNumber(..)
                | Self::CompareStr(..)
                | Self::ContainsStr(_)
                | Self::ContainsConst(_)
                | Self::StartsWith(_)
                | Self::EndsWith(_)
                | Self::Matches(_)
                | Self::Dynamic(..),
                _,
            ) => Outcome::Error,
        }
    }
}

/// Outcome of an operator between two values, both present.
pub(crate) fn apply_dynamic(op: PredOp, left: &Value<'_>, right: &Value<'_>) -> Outcome {
    if let Some(comparison) = Comparison::of(op) {
        return match (left, right) {
            (Value::Number(a), Value::Number(b)) => comparison.accepts(a.compare(*b)).into(),
            (Value::Str(a), Value::Str(b)) => comparison.accepts(a.as_bytes().cmp(b.as_bytes())).into(),
            _other => Outcome::Error,
        };
    }
    match (op, left, right) {
        (PredOp::Eq, a, b) => a.equals(b).into(),
        (PredOp::In, a, Value::Array(list)) => {
            let holds = |v: &Value<'_>| list.iter().any(|item| item.equals(v));
            let element = matches!(a, Value::Array(items) if items.iter().any(holds));
            (element || holds(a)).into()
        }
        (PredOp::Contains, Value::Str(a), Value::Str(b)) => {
            memchr::memmem::find(a.as_bytes(), b.as_bytes()).is_some().into()
        }
        (PredOp::Contains, Value::Array(items), b) => items.iter().any(|i| i.equals(b)).into(),
        (PredOp::StartsWith, Value::Str(a), Value::Str(b)) => a.as_bytes().starts_with(b.as_bytes()).into(),
        (PredOp::EndsWith, Value::Str(a), Value::Str(b)) => a.as_bytes().ends_with(b.as_bytes()).into(),
        (PredOp::Exists, a, _) => (!matches!(a, Value::Null)).into(),
        _wrong_types => Outcome::Error,
    }
}

/// Deep equality of a value and a constant.
pub(crate) fn equals_const(value: &Value<'_>, constant: &LoadedConst) -> bool {
    match (value, constant) {
        (Value::Null, LoadedConst::Null) => true,
        (Value::Bool(a), LoadedConst::Bool(b)) => a == b,
        (Value::Number(a), LoadedConst::Number(b)) => a == b,
        (Value::Str(a), LoadedConst::Str(b)) => **a == **b,
        (Value::Array(a), LoadedConst::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b.iter()).all(|(x, y)| equals_const(x, y))
        }
        (Value::Object(a), LoadedConst::Object(b)) => {
            a.len() == b.len()
                && a.iter()
                    .zip(b.iter())
                    .all(|((k, x), (l, y))| **k == **l && equals_const(x, y))
        }
        _different => false,
    }
}
