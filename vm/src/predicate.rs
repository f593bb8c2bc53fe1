//! Predicates at run time: the meaning of every comparison operator, in one place.
//!
//! The table of operators in the language's semantics is this file's contract: a missing field makes every operator
//! false, never an error, but for `all`, which it makes true; equality and membership never fail; ordering, substring and
//! pattern operators fail on values of the wrong type; addresses and instants also on texts that are none. An unknown
//! derived value fails everything but `exists`, and a known field that holds what does not belong there ([`Shape`]) fails
//! everything; the interpreter looks at both first.

use crate::heap::{Frozen, FrozenConst, Texts};
use crate::value::{Array, Kinds, Value};
use memchr::memmem::Finder;
use policy_bytecode::cidr::{Address, Network, Networks};
use policy_bytecode::context::Shape;
use policy_bytecode::predicate::{PredOp, PredOperand, Predicate};
use policy_bytecode::time::{Instant, Window};
use policy_bytecode::{
    BodyIdx, Const, ConstIdx, Exact, FieldIdx, Number, Outcome, PatternIdx, casefold, consts,
};
use std::cmp::Ordering;
use std::collections::HashMap;
use std::sync::Arc;

/// Where a predicate's answer stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ScanPlace {
    pub(crate) scan: u32,
    pub(crate) answer: u32,
}

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
            | PredOp::EqFold
            | PredOp::InFold
            | PredOp::ContainsFold
            | PredOp::StartsWithFold
            | PredOp::EndsWithFold
            | PredOp::InCidr
            | PredOp::Before
            | PredOp::After
            | PredOp::TimeBetween
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
    pub(crate) derived: bool,
    /// What is there and may be: the operator is asked. On what may not be there every operator is an error.
    pub(crate) plain: Kinds,
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
    EqConst(FrozenConst),
    CompareNumber(Comparison, Number),
    CompareDecimal(Comparison, Arc<str>),
    CompareStr(Comparison, Arc<str>),
    In(Arc<InSet>),
    ContainsStr(Box<ContainsStr>),
    ContainsConst(FrozenConst),
    StartsWith(Arc<str>),
    EndsWith(Arc<str>),
    Matches(PatternIdx),
    Exists,
    EqFold(FrozenConst),
    InFold(Arc<FoldedSet>),
    ContainsStrFold(Box<ContainsStr>),
    ContainsConstFold(FrozenConst),
    StartsWithFold(Arc<str>),
    EndsWithFold(Arc<str>),
    InCidr(Arc<Networks>),
    Before(Instant),
    After(Instant),
    TimeBetween(Arc<Window>),
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

impl ContainsStr {
    fn new(text: &str) -> Self {
        Self {
            finder: Finder::new(text.as_bytes()).into_owned(),
            needle: text.into(),
        }
    }

    /// Whether it is found in a text that is folded as it is itself.
    #[inline]
    pub(crate) fn is_in(&self, text: &[u8]) -> bool {
        self.finder.find(text).is_some()
    }
}

/// A constant list whose strings are compared folded.
#[derive(Debug)]
pub(crate) struct FoldedSet {
    /// Folded, in order.
    strings: Box<[Box<str>]>,
    /// Without texts in them.
    scalars: InSet,
    collections: Box<[FrozenConst]>,
}

impl FoldedSet {
    fn new(heap: &Arc<Frozen>, list: ConstIdx) -> Self {
        let mut strings: Vec<Box<str>> = Vec::new();
        let mut scalars = Vec::new();
        let mut collections = Vec::new();
        for item in heap.items(list) {
            match heap.value(*item) {
                Value::Str(s) => strings.push(casefold::fold_text(s).into()),
                Value::Array(_) | Value::Object(_) | Value::Set(_) => {
                    collections.push(FrozenConst::new(heap, *item));
                }
                Value::Undefined
                | Value::Unknown
                | Value::Pending
                | Value::Null
                | Value::Bool(_)
                | Value::Number(_)
                | Value::Decimal(_) => scalars.push(*item),
            }
        }
        strings.sort_unstable_by(|a, b| casefold::cmp(a, b));
        Self {
            strings: strings.into(),
            scalars: InSet::new(Texts::none(heap), heap, &scalars),
            collections: collections.into(),
        }
    }

    fn holds(&self, value: &Value<'_>) -> bool {
        match value {
            Value::Str(s) => self
                .strings
                .binary_search_by(|item| casefold::cmp(item, s))
                .is_ok(),
            Value::Array(_) | Value::Object(_) => self
                .collections
                .iter()
                .any(|item| value.equals_folded(&item.value())),
            scalar @ (Value::Undefined
            | Value::Unknown
            | Value::Pending
            | Value::Null
            | Value::Bool(_)
            | Value::Number(_)
            | Value::Decimal(_)
            | Value::Set(_)) => self.scalars.holds(scalar),
        }
    }
}

/// A constant list: strings hashed, numbers in order.
#[derive(Debug)]
pub(crate) struct InSet {
    strings: Texts,
    numbers: Box<[Number]>,
    others: Box<[FrozenConst]>,
}

impl InSet {
    fn of(heap: &Arc<Frozen>, list: ConstIdx) -> Self {
        Self::new(Texts::of(heap, list), heap, heap.items(list))
    }

    /// `items` without their strings, which `strings` finds.
    fn new(strings: Texts, heap: &Arc<Frozen>, items: &[ConstIdx]) -> Self {
        let mut numbers = Vec::new();
        let mut others = Vec::new();
        for item in items {
            match heap.value(*item) {
                Value::Str(_) => {}
                Value::Number(n) => numbers.push(n),
                Value::Undefined
                | Value::Unknown
                | Value::Pending
                | Value::Null
                | Value::Bool(_)
                | Value::Decimal(_)
                | Value::Array(_)
                | Value::Object(_)
                | Value::Set(_) => others.push(FrozenConst::new(heap, *item)),
            }
        }
        numbers.sort_unstable_by(|a, b| a.compare(*b));
        Self {
            strings,
            numbers: numbers.into(),
            others: others.into(),
        }
    }

    #[inline(always)]
    fn holds(&self, value: &Value<'_>) -> bool {
        match value {
            Value::Str(s) => self.strings.contains(s),
            Value::Number(n) => self.numbers.binary_search_by(|item| item.compare(*n)).is_ok(),
            other @ (Value::Undefined
            | Value::Unknown
            | Value::Pending
            | Value::Null
            | Value::Bool(_)
            | Value::Decimal(_)
            | Value::Array(_)
            | Value::Object(_)
            | Value::Set(_)) => self.others.iter().any(|item| other.equals(&item.value())),
        }
    }
}

/// Turns stored predicates into the form that the interpreter reads. What is made of a constant is made once, however
/// many predicates name it.
#[derive(Debug)]
pub(crate) struct PredicateLoader<'c> {
    consts: &'c Arc<Frozen>,
    texts: HashMap<ConstIdx, Arc<str>>,
    sets: HashMap<ConstIdx, Arc<InSet>>,
    folded_sets: HashMap<ConstIdx, Arc<FoldedSet>>,
    networks: HashMap<ConstIdx, Arc<Networks>>,
    windows: HashMap<ConstIdx, Arc<Window>>,
    /// As stored.
    raw: &'c [Const],
}

impl<'c> PredicateLoader<'c> {
    pub(crate) fn new(consts: &'c Arc<Frozen>, raw: &'c [Const]) -> Self {
        Self {
            consts,
            texts: HashMap::new(),
            sets: HashMap::new(),
            folded_sets: HashMap::new(),
            networks: HashMap::new(),
            windows: HashMap::new(),
            raw,
        }
    }

    /// Constants that are read as something else than JSON. Verified: they can be (V5).
    fn read(&mut self, op: PredOp, k: ConstIdx) -> Option<Test> {
        let raw = self.raw;
        match op {
            PredOp::InCidr => {
                if let Some(known) = self.networks.get(&k) {
                    return Some(Test::InCidr(Arc::clone(known)));
                }
                let networks = Arc::new(consts::networks(raw, k)?);
                self.networks.insert(k, Arc::clone(&networks));
                Some(Test::InCidr(networks))
            }
            PredOp::Before => consts::instant(raw.get(k.index())?).map(Test::Before),
            PredOp::After => consts::instant(raw.get(k.index())?).map(Test::After),
            PredOp::TimeBetween => {
                if let Some(known) = self.windows.get(&k) {
                    return Some(Test::TimeBetween(Arc::clone(known)));
                }
                let window = Arc::new(consts::window(raw, k)?);
                self.windows.insert(k, Arc::clone(&window));
                Some(Test::TimeBetween(window))
            }
            PredOp::Eq
            | PredOp::Gt
            | PredOp::Gte
            | PredOp::Lt
            | PredOp::Lte
            | PredOp::In
            | PredOp::Contains
            | PredOp::StartsWith
            | PredOp::EndsWith
            | PredOp::Matches
            | PredOp::Exists
            | PredOp::EqFold
            | PredOp::InFold
            | PredOp::ContainsFold
            | PredOp::StartsWithFold
            | PredOp::EndsWithFold
            | PredOp::Any
            | PredOp::All => None,
        }
    }

    pub(crate) fn load(&mut self, predicate: &Predicate, derived: bool, shape: Shape) -> LoadedPredicate {
        let test = self.test(predicate.op, predicate.operand, predicate.field);
        LoadedPredicate {
            field: predicate.field,
            memo: predicate.memo.map(|m| m.0),
            derived,
            plain: Kinds::of(shape),
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
            PredOperand::Const(k) => match (op, self.consts.value(k)) {
                (PredOp::InFold, Value::Array(_)) => {
                    let set = self.folded_sets.entry(k);
                    let set = set.or_insert_with(|| Arc::new(FoldedSet::new(self.consts, k)));
                    Test::InFold(Arc::clone(set))
                }
                (PredOp::InCidr | PredOp::Before | PredOp::After | PredOp::TimeBetween, _) => self
                    .read(op, k)
                    // Verified: V5.
                    .unwrap_or(Test::Dynamic(op, field)),
                (PredOp::In, Value::Array(_)) => {
                    let set = self.sets.entry(k);
                    Test::In(Arc::clone(
                        set.or_insert_with(|| Arc::new(InSet::of(self.consts, k))),
                    ))
                }
                (op, Value::Unknown) => Test::Dynamic(op, field),
                (op, constant) => self.with_const(op, k, constant),
            },
        }
    }

    fn text(&mut self, k: ConstIdx, text: &str) -> Arc<str> {
        Arc::clone(self.texts.entry(k).or_insert_with(|| text.into()))
    }

    fn with_const(&mut self, op: PredOp, k: ConstIdx, constant: Value<'_>) -> Test {
        if let Some(comparison) = Comparison::of(op) {
            match constant {
                Value::Number(n) => return Test::CompareNumber(comparison, n),
                Value::Decimal(text) => return Test::CompareDecimal(comparison, text.into()),
                Value::Str(s) => return Test::CompareStr(comparison, self.text(k, s)),
                // Verified: V5.
                Value::Undefined
                | Value::Unknown
                | Value::Pending
                | Value::Null
                | Value::Bool(_)
                | Value::Array(_)
                | Value::Object(_)
                | Value::Set(_) => {}
            }
        }
        let whole = FrozenConst::new(self.consts, k);
        match (op, constant) {
            (PredOp::Eq, Value::Str(s)) => Test::EqStr(self.text(k, s)),
            (PredOp::Eq, Value::Bool(b)) => Test::EqBool(b),
            (PredOp::Eq, Value::Number(n)) => Test::EqNumber(n),
            (PredOp::Contains, Value::Str(s)) => Test::ContainsStr(Box::new(ContainsStr::new(s))),
            (PredOp::Contains, _) => Test::ContainsConst(whole),
            (PredOp::StartsWith, Value::Str(s)) => Test::StartsWith(self.text(k, s)),
            (PredOp::EndsWith, Value::Str(s)) => Test::EndsWith(self.text(k, s)),
            (PredOp::EqFold, _) => Test::EqFold(whole),
            (PredOp::ContainsFold, Value::Str(s)) => {
                Test::ContainsStrFold(Box::new(ContainsStr::new(&casefold::fold_text(s))))
            }
            (PredOp::ContainsFold, _) => Test::ContainsConstFold(whole),
            (PredOp::StartsWithFold, Value::Str(s)) => Test::StartsWithFold(self.text(k, s)),
            (PredOp::EndsWithFold, Value::Str(s)) => Test::EndsWithFold(self.text(k, s)),
            _other => Test::EqConst(whole),
        }
    }
}

impl Test {
    /// Outcome where the field is missing.
    #[inline]
    pub(crate) fn of_missing(&self) -> Outcome {
        matches!(self, Self::Quantified { all: true, .. }).into()
    }

    /// Outcome for a value that is present. `Matches`, `Dynamic`, `Quantified`, and `ContainsStrFold` on a string are the
    /// interpreter's.
    #[inline(always)]
    pub(crate) fn apply(&self, value: &Value<'_>) -> Outcome {
        match (self, value) {
            (Self::EqStr(c), Value::Str(s)) => (**c == **s).into(),
            (Self::EqBool(c), Value::Bool(b)) => (c == b).into(),
            (Self::EqNumber(c), Value::Number(n)) => (c == n).into(),
            (Self::EqStr(_) | Self::EqBool(_) | Self::EqNumber(_), _) => Outcome::False,
            (Self::EqConst(c), v) => v.equals(&c.value()).into(),
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
                let element = matches!(v, Value::Array(items) if items.iter().any(|i| set.holds(&i)));
                (element || set.holds(v)).into()
            }
            (Self::ContainsStr(c), Value::Str(s)) => c.finder.find(s.as_bytes()).is_some().into(),
            (Self::ContainsStr(c), Value::Array(items)) => items
                .iter()
                .any(|i| matches!(i, Value::Str(s) if *s == *c.needle))
                .into(),
            (Self::ContainsConst(c), Value::Array(items)) => {
                let constant = c.value();
                items.iter().any(|i| i.equals(&constant)).into()
            }
            (Self::StartsWith(c), Value::Str(s)) => s.as_bytes().starts_with(c.as_bytes()).into(),
            (Self::EndsWith(c), Value::Str(s)) => s.as_bytes().ends_with(c.as_bytes()).into(),
            (Self::Exists, v) => (!matches!(v, Value::Null)).into(),
            (Self::EqFold(c), v) => v.equals_folded(&c.value()).into(),
            (Self::InFold(set), v) => {
                let element = matches!(v, Value::Array(items) if items.iter().any(|i| set.holds(&i)));
                (element || set.holds(v)).into()
            }
            (Self::ContainsStrFold(c), Value::Array(items)) => items
                .iter()
                .any(|i| matches!(i, Value::Str(s) if casefold::eq(s, &c.needle)))
                .into(),
            (Self::ContainsConstFold(c), Value::Array(items)) => {
                let constant = c.value();
                items.iter().any(|i| i.equals_folded(&constant)).into()
            }
            (Self::StartsWithFold(c), Value::Str(s)) => casefold::starts_with(s, c).into(),
            (Self::EndsWithFold(c), Value::Str(s)) => casefold::ends_with(s, c).into(),
            (Self::InCidr(networks), Value::Str(s)) => match Address::parse(s) {
                Some(address) => networks.hold(address).into(),
                None => Outcome::Error,
            },
            (Self::Before(c), v) => instant(v).map_or(Outcome::Error, |at| (at < *c).into()),
            (Self::After(c), v) => instant(v).map_or(Outcome::Error, |at| (at > *c).into()),
            (Self::TimeBetween(window), v) => instant(v).map_or(Outcome::Error, |at| window.holds(at).into()),
            (
                Self::CompareNumber(..)
                | Self::CompareDecimal(..)
                | Self::CompareStr(..)
                | Self::ContainsStr(_)
                | Self::ContainsConst(_)
                | Self::StartsWith(_)
                | Self::EndsWith(_)
                | Self::Matches(_)
                | Self::ContainsStrFold(_)
                | Self::ContainsConstFold(_)
                | Self::StartsWithFold(_)
                | Self::EndsWithFold(_)
                | Self::InCidr(_)
                | Self::Dynamic(..)
                | Self::Quantified { .. },
                _,
            ) => Outcome::Error,
        }
    }
}

/// The instant that a value names.
fn instant(value: &Value<'_>) -> Option<Instant> {
    match value {
        Value::Str(text) => Instant::parse(text),
        Value::Number(n) => Instant::from_number(*n),
        Value::Undefined
        | Value::Unknown
        | Value::Pending
        | Value::Null
        | Value::Bool(_)
        | Value::Decimal(_)
        | Value::Array(_)
        | Value::Object(_)
        | Value::Set(_) => None,
    }
}

/// Whether an operator can read a value on its left side, for telling which side of a comparison is at fault.
#[must_use]
pub fn is_readable(op: PredOp, value: &Value<'_>) -> bool {
    match (op, value) {
        (PredOp::InCidr, Value::Str(text)) => Address::parse(text).is_some(),
        (PredOp::Before | PredOp::After | PredOp::TimeBetween, value) => instant(value).is_some(),
        _other => false,
    }
}

/// `in_cidr` with networks of the request: each of them has to be one.
fn in_cidr(address: &Value<'_>, networks: &Value<'_>) -> Outcome {
    let Some(address) = address.as_str().and_then(Address::parse) else {
        return Outcome::Error;
    };
    let one = std::slice::from_ref(networks);
    let list = networks.as_array().unwrap_or(Array::of(&one));
    let mut found = false;
    for item in list {
        match item.as_str().map(Network::parse) {
            Some(Ok(network)) => found |= network.holds(address),
            Some(Err(_)) | None => return Outcome::Error,
        }
    }
    found.into()
}

/// Whether `list` has an item that equals `value` or, where that is an array, one of its elements. Both lists may come
/// from a request, so two long ones are not compared item by item: `sorted`, the list in the total order of values, is
/// asked for where n × m is much.
pub(crate) fn is_in<'a>(
    value: &Value<'a>,
    list: Array<'a>,
    folded: bool,
    sorted: impl FnOnce() -> &'a [Value<'a>],
) -> bool {
    let equals = |a: &Value<'a>, b: &Value<'a>| {
        if folded { a.equals_folded(b) } else { a.equals(b) }
    };
    /// Comparisons that cost less than a sorted copy.
    const FEW: usize = 1024;
    let elements = value.as_array().unwrap_or(Array::EMPTY);
    if list.iter().any(|item| equals(&item, value)) {
        return true;
    }
    if elements.len().saturating_mul(list.len()) <= FEW {
        return elements.iter().any(|e| list.iter().any(|item| equals(&item, &e)));
    }
    let sorted = sorted();
    elements
        .iter()
        .any(|e| sorted.binary_search_by(|item| order(folded, item, &e)).is_ok())
}

/// The order in which lists are sorted for [`is_in`].
pub(crate) fn order(folded: bool, a: &Value<'_>, b: &Value<'_>) -> Ordering {
    if folded {
        a.total_cmp_folded(b)
    } else {
        a.total_cmp(b)
    }
}

/// Outcome of an operator between two values, both present. `In` with a list, and `ContainsFold` of two texts, are the
/// interpreter's.
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
        (PredOp::EqFold, a, b) => a.equals_folded(b).into(),
        (PredOp::ContainsFold, Value::Array(items), b) => items.iter().any(|i| i.equals_folded(b)).into(),
        (PredOp::StartsWithFold, Value::Str(a), Value::Str(b)) => casefold::starts_with(a, b).into(),
        (PredOp::EndsWithFold, Value::Str(a), Value::Str(b)) => casefold::ends_with(a, b).into(),
        (PredOp::InCidr, a, b) => in_cidr(a, b),
        (PredOp::Before | PredOp::After, a, b) => match (instant(a), instant(b)) {
            (Some(a), Some(b)) => (if op == PredOp::Before { a < b } else { a > b }).into(),
            _no_instants => Outcome::Error,
        },
        _wrong_types => Outcome::Error,
    }
}

/// Whether an operand needs a body.
fn body_of(op: PredOp, operand: PredOperand) -> Option<Test> {
    match (op, operand) {
        (PredOp::Any, PredOperand::Body(body)) => Some(Test::Quantified { all: false, body }),
        (PredOp::All, PredOperand::Body(body)) => Some(Test::Quantified { all: true, body }),
        (_, PredOperand::Body(_))
        | (_, PredOperand::None | PredOperand::Const(_) | PredOperand::Pattern(_) | PredOperand::Field(_)) => {
            None
        }
    }
}
