//! Predicates at run time: the meaning of every comparison operator, in one place.
//!
//! The table of operators in the language's semantics is this file's contract: a missing field makes every operator
//! false, never an error, but for `all`, which it makes true; equality and membership never fail; ordering, substring and pattern operators fail on values
//! of the wrong type. An unknown derived value fails everything but `exists`.

use crate::load::LoadedConst;
use crate::quantifier::body_of;
use crate::scan::ScanPlace;
use crate::value::Value;
use foldhash::fast::FixedState;
use memchr::memmem::Finder;
use policy_bytecode::context::Derived;
use policy_bytecode::predicate::{PredOp, PredOperand, Predicate};
use policy_bytecode::{BodyIdx, ConstIdx, Exact, FieldIdx, Number, Outcome, PatternIdx};
use std::cmp::Ordering;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

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
            | PredOp::Exists
            | PredOp::Any
            | PredOp::All => None,
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
    /// Where its answer stands when a scan of its field answers it.
    pub(crate) scan: Option<ScanPlace>,
}

/// What is asked of the field's value, specialised by the constant's type.
#[derive(Debug)]
pub(crate) enum Test {
    EqStr(Arc<str>),
    EqBool(bool),
    EqNumber(Number),
    EqConst(LoadedConst),
    CompareNumber(Comparison, Number),
    CompareDecimal(Comparison, Arc<str>),
    CompareStr(Comparison, Arc<str>),
    In(Arc<InSet>),
    ContainsStr(Box<ContainsStr>),
    ContainsConst(LoadedConst),
    StartsWith(Arc<str>),
    EndsWith(Arc<str>),
    Matches(PatternIdx),
    Exists,
    /// The right side is another field.
    Dynamic(PredOp, FieldIdx),
    /// `any`, or `all`: the body is asked of each element.
    Quantified {
        all: bool,
        body: BodyIdx,
    },
}

/// `contains` with a string constant: substring of a string, element of an array.
#[derive(Debug)]
pub(crate) struct ContainsStr {
    finder: Finder<'static>,
    needle: Arc<str>,
}

/// A constant list: strings hashed, numbers in order.
#[derive(Debug)]
pub(crate) struct InSet {
    strings: HashSet<Arc<str>, FixedState>,
    numbers: Box<[Number]>,
    others: Box<[LoadedConst]>,
}

impl InSet {
    fn new(items: &[LoadedConst]) -> Self {
        let mut strings = HashSet::with_hasher(FixedState::with_seed(0x51_7c_c1_b7));
        let mut numbers = Vec::new();
        let mut others = Vec::new();
        for item in items {
            match item {
                LoadedConst::Str(s) => {
                    strings.insert(s.clone());
                }
                LoadedConst::Number(n) => numbers.push(*n),
                LoadedConst::Null
                | LoadedConst::Bool(_)
                | LoadedConst::Array(_)
                | LoadedConst::Object(_)
                | LoadedConst::Decimal(_) => others.push(item.clone()),
            }
        }
        numbers.sort_unstable_by(|a, b| a.compare(*b));
        Self {
            strings,
            numbers: numbers.into(),
            others: others.into(),
        }
    }

    #[inline]
    fn holds(&self, value: &Value<'_>) -> bool {
        match value {
            Value::Str(s) => self.strings.contains(*s),
            Value::Number(n) => self.numbers.binary_search_by(|item| item.compare(*n)).is_ok(),
            other => self.others.iter().any(|item| equals_const(other, item)),
        }
    }
}

/// Turns stored predicates into the form that the interpreter reads. What is made of a constant is made once, however
/// many predicates name it.
#[derive(Debug)]
pub(crate) struct PredicateLoader<'c> {
    consts: &'c [LoadedConst],
    sets: HashMap<ConstIdx, Arc<InSet>>,
}

impl<'c> PredicateLoader<'c> {
    pub(crate) fn new(consts: &'c [LoadedConst]) -> Self {
        Self {
            consts,
            sets: HashMap::new(),
        }
    }

    pub(crate) fn load(&mut self, predicate: &Predicate, derived: Option<Derived>) -> LoadedPredicate {
        let test = self.test(predicate.op, predicate.operand, predicate.field);
        LoadedPredicate {
            field: predicate.field,
            memo: predicate.memo.map(|m| m.0),
            derived,
            test,
            scan: None,
        }
    }

    /// What is asked. `field` stands in for an operand that is not there, which no verified module has (V5, V26).
    pub(crate) fn test(&mut self, op: PredOp, operand: PredOperand, field: FieldIdx) -> Test {
        match operand {
            PredOperand::None => Test::Exists,
            PredOperand::Pattern(x) => Test::Matches(x),
            PredOperand::Field(f) => Test::Dynamic(op, f),
            PredOperand::Body(_) => body_of(op, operand).unwrap_or(Test::Dynamic(op, field)),
            PredOperand::Const(k) => match (op, self.consts.get(k.index())) {
                (PredOp::In, Some(LoadedConst::Array(items))) => {
                    let set = self.sets.entry(k).or_insert_with(|| Arc::new(InSet::new(items)));
                    Test::In(Arc::clone(set))
                }
                (op, Some(constant)) => load_const(op, constant),
                (op, None) => Test::Dynamic(op, field),
            },
        }
    }
}

fn load_const(op: PredOp, constant: &LoadedConst) -> Test {
    if let Some(comparison) = Comparison::of(op) {
        match constant {
            LoadedConst::Number(n) => return Test::CompareNumber(comparison, *n),
            LoadedConst::Decimal(text) => return Test::CompareDecimal(comparison, text.clone()),
            LoadedConst::Str(s) => return Test::CompareStr(comparison, s.clone()),
            // Verified: V5.
            LoadedConst::Null | LoadedConst::Bool(_) | LoadedConst::Array(_) | LoadedConst::Object(_) => {}
        }
    }
    match (op, constant) {
        (PredOp::Eq, LoadedConst::Str(s)) => Test::EqStr(s.clone()),
        (PredOp::Eq, LoadedConst::Bool(b)) => Test::EqBool(*b),
        (PredOp::Eq, LoadedConst::Number(n)) => Test::EqNumber(*n),
        (PredOp::Contains, LoadedConst::Str(s)) => Test::ContainsStr(Box::new(ContainsStr {
            finder: Finder::new(s.as_bytes()).into_owned(),
            needle: s.clone(),
        })),
        (PredOp::Contains, other) => Test::ContainsConst(other.clone()),
        (PredOp::StartsWith, LoadedConst::Str(s)) => Test::StartsWith(s.clone()),
        (PredOp::EndsWith, LoadedConst::Str(s)) => Test::EndsWith(s.clone()),
        (_, other) => Test::EqConst(other.clone()),
    }
}

impl Test {
    /// Outcome where the field is missing.
    #[inline]
    pub(crate) fn of_missing(&self) -> Outcome {
        matches!(self, Self::Quantified { all: true, .. }).into()
    }

    /// Outcome for a value that is present. `Matches`, `Dynamic` and `Quantified` are the interpreter's.
    #[inline]
    pub(crate) fn apply(&self, value: &Value<'_>) -> Outcome {
        match (self, value) {
            (Self::EqStr(c), Value::Str(s)) => (**c == **s).into(),
            (Self::EqBool(c), Value::Bool(b)) => (c == b).into(),
            (Self::EqNumber(c), Value::Number(n)) => (c == n).into(),
            (Self::EqStr(_) | Self::EqBool(_) | Self::EqNumber(_), _) => Outcome::False,
            (Self::EqConst(c), v) => equals_const(v, c).into(),
            (Self::CompareNumber(op, c), Value::Number(n)) => op.accepts(n.compare(*c)).into(),
            (Self::CompareNumber(op, c), Value::Decimal(text)) => {
                op.accepts(Exact::Decimal(text).compare(Exact::Number(*c))).into()
            }
            (Self::CompareDecimal(op, c), Value::Number(_) | Value::Decimal(_)) => {
                value.exact().map_or(Outcome::Error, |n| {
                    op.accepts(n.compare(Exact::Decimal(c))).into()
                })
            }
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
                | Self::CompareDecimal(..)
                | Self::CompareStr(..)
                | Self::ContainsStr(_)
                | Self::ContainsConst(_)
                | Self::StartsWith(_)
                | Self::EndsWith(_)
                | Self::Matches(_)
                | Self::Dynamic(..)
                | Self::Quantified { .. },
                _,
            ) => Outcome::Error,
        }
    }
}

/// Whether `list` has an item that equals `value` or, where that is an array, one of its elements. Both lists may come
/// from a request, so two long ones are not compared item by item: `sorted`, the list in the total order of values, is
/// asked for where n × m is much.
pub(crate) fn is_in<'a>(
    value: &Value<'a>,
    list: &[Value<'a>],
    sorted: impl FnOnce() -> &'a [Value<'a>],
) -> bool {
    /// Comparisons that cost less than a sorted copy.
    const FEW: usize = 1024;
    let elements = match value {
        Value::Array(items) => *items,
        _scalar => &[],
    };
    if list.iter().any(|item| item.equals(value)) {
        return true;
    }
    if elements.len().saturating_mul(list.len()) <= FEW {
        return elements.iter().any(|e| list.iter().any(|item| item.equals(e)));
    }
    let sorted = sorted();
    elements
        .iter()
        .any(|e| sorted.binary_search_by(|item| item.total_cmp(e)).is_ok())
}

/// Outcome of an operator between two values, both present. `In` with a list is the interpreter's.
pub(crate) fn apply_dynamic(op: PredOp, left: &Value<'_>, right: &Value<'_>) -> Outcome {
    if let Some(comparison) = Comparison::of(op) {
        if let (Some(a), Some(b)) = (left.exact(), right.exact()) {
            return comparison.accepts(a.compare(b)).into();
        }
        return match (left, right) {
            (Value::Str(a), Value::Str(b)) => comparison.accepts(a.as_bytes().cmp(b.as_bytes())).into(),
            _other => Outcome::Error,
        };
    }
    match (op, left, right) {
        (PredOp::Eq, a, b) => a.equals(b).into(),
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
        (Value::Decimal(a), LoadedConst::Decimal(b)) => Exact::Decimal(a).compare(Exact::Decimal(b)).is_eq(),
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
