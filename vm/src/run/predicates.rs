//! Predicates: at most once where they are shared, with what bounds, scans and lists in order save.

use super::Evaluation;
use crate::host::Host;
use crate::predicate::{self, LoadedPredicate, Test};
use crate::query::Trap;
use crate::value::{Array, Value, mismatches};
use policy_bytecode::predicate::{PredOp, Takes};
use policy_bytecode::{FieldIdx, Outcome, PredIdx, casefold};

/// Of the lists that were sorted, and of the texts that were folded, so many of the latest are looked for when another
/// one may be the same.
const REMEMBERED: usize = 8;

impl<'a, H: Host> Evaluation<'a, H> {
    /// Outcome of a predicate, through its memo cell when it has one. For explanations.
    pub fn predicate(&mut self, pred: PredIdx) -> Outcome {
        let outcome = match self.module.predicates.get(pred.index()) {
            Some(p) if p.memo.is_some() => self.test_memo(p),
            Some(p) => self.test(p),
            None => Outcome::Error,
        };
        self.trap = None;
        outcome
    }

    /// Outcome of a predicate that a body names.
    pub(crate) fn predicate_in_body(&mut self, pred: PredIdx) -> Result<Outcome, Trap> {
        // Verified: it has a memo cell (V28).
        let outcome = match self.module.predicates.get(pred.index()) {
            Some(p) => self.test_memo(p),
            None => Outcome::Error,
        };
        match self.trap {
            Some(trap) => Err(trap),
            None => Ok(outcome),
        }
    }

    /// Keeps an outcome, unless it is one only because something ran out: another rule may have more left.
    #[inline]
    pub(super) fn keep(&mut self, cell: u32, outcome: Outcome) {
        if self.trap.is_none() {
            self.memo.set(cell, 1 + outcome as u8);
        }
    }

    #[inline]
    pub(super) fn test_memo(&mut self, predicate: &'a LoadedPredicate) -> Outcome {
        let Some(cell) = predicate.memo else {
            return self.test(predicate);
        };
        if let Some(known) = self.memo.outcome(cell) {
            return known;
        }
        let outcome = self.test(predicate);
        self.keep(cell, outcome);
        outcome
    }

    #[inline]
    pub(super) fn test(&mut self, predicate: &'a LoadedPredicate) -> Outcome {
        if cfg!(debug_assertions) {
            self.tally.predicates += 1;
        }
        let mut value = match self.slots.get(predicate.field.index()) {
            Some(value) => *value,
            // Verified: V5.
            None => Value::Unknown,
        };
        if !predicate.plain.holds(&value) {
            value = match self.present(predicate, value) {
                Ok(value) => value,
                Err(outcome) => return outcome,
            };
        }
        if self.stop.is_some() && self.is_stopped_before(&value) {
            return Outcome::Error;
        }
        if let (Some(place), Value::Str(text)) = (predicate.scan, value)
            && let Some(outcome) =
                self.scans
                    .answer(place, text, &self.module.searched(), self.bump, self.caches)
        {
            return outcome;
        }
        self.apply(&predicate.test, value)
    }

    /// What stands for a value that is missing, not computed yet, or of a type that its field never has: a value to ask,
    /// or the outcome.
    #[inline(never)]
    pub(super) fn present(
        &mut self,
        predicate: &'a LoadedPredicate,
        mut value: Value<'a>,
    ) -> Result<Value<'a>, Outcome> {
        if matches!(value, Value::Pending) {
            if let Some(outcome) = self.compare_early(predicate) {
                return Err(outcome);
            }
            value = self.derive(predicate.field);
        }
        match value {
            Value::Undefined | Value::Pending => Err(predicate.test.of_missing()),
            Value::Unknown if matches!(predicate.test, Test::Exists) => Err(Outcome::False),
            value if predicate.plain.holds(&value) => Ok(value),
            Value::Unknown
            | Value::Null
            | Value::Bool(_)
            | Value::Number(_)
            | Value::Decimal(_)
            | Value::Str(_)
            | Value::Array(_)
            | Value::Object(_)
            | Value::Set(_) => Err(Outcome::Error),
        }
    }

    /// Outcome of what is asked of an element, which is present.
    #[inline(never)]
    pub(crate) fn apply_to_element(&mut self, test: &'a Test, element: Value<'a>) -> Outcome {
        self.apply(test, element)
    }

    /// Outcome of what is asked of a value that is present.
    #[inline(always)]
    pub(super) fn apply(&mut self, test: &'a Test, value: Value<'a>) -> Outcome {
        match test {
            Test::Matches(x) => match (self.module.patterns.get(x.index()), value) {
                (Some(pattern), Value::Str(text)) => pattern
                    .is_match(text, x.index(), self.caches)
                    .map_or(Outcome::Error, Outcome::from),
                _wrong_type => Outcome::Error,
            },
            Test::Dynamic(op, right) => {
                let other = self.field(*right);
                self.dynamic(*op, value, other, Some(*right))
            }
            Test::Quantified { all, body } => match value.as_array() {
                Some(items) => self.quantify(*all, *body, items).unwrap_or_else(|trap| {
                    self.trap = Some(trap);
                    Outcome::Error
                }),
                None => Outcome::Error,
            },
            Test::ContainsStrFold(needle) if matches!(value, Value::Str(_)) => {
                match value.as_str().and_then(|text| self.folded(text)) {
                    Some(text) => needle.is_in(text).into(),
                    None => Outcome::Error,
                }
            }
            test @ (Test::EqStr(_)
            | Test::EqBool(_)
            | Test::EqNumber(_)
            | Test::EqConst(_)
            | Test::CompareNumber(..)
            | Test::CompareDecimal(..)
            | Test::CompareStr(..)
            | Test::In(_)
            | Test::ContainsStr(_)
            | Test::ContainsConst(_)
            | Test::StartsWith(_)
            | Test::EndsWith(_)
            | Test::Exists
            | Test::EqFold(_)
            | Test::InFold(_)
            | Test::ContainsStrFold(_)
            | Test::ContainsConstFold(_)
            | Test::StartsWithFold(_)
            | Test::EndsWithFold(_)
            | Test::InCidr(_)
            | Test::Before(_)
            | Test::After(_)
            | Test::TimeBetween(_)) => test.apply(&value),
        }
    }

    /// Outcome of an operator between a value that is present and another one, which is that of `field`, if of any.
    pub(crate) fn dynamic(
        &mut self,
        op: PredOp,
        value: Value<'a>,
        right: Value<'a>,
        field: Option<FieldIdx>,
    ) -> Outcome {
        if matches!(right, Value::Undefined | Value::Pending) {
            return Outcome::False;
        }
        if matches!(right, Value::Unknown) || field.is_some_and(|f| mismatches(self.module.shape(f), &right))
        {
            return Outcome::Error;
        }
        if let (Value::Array(list), Takes::List) = (right, op.takes()) {
            let folded = op == PredOp::InFold;
            let sorted = || self.sorted(list, folded);
            return predicate::is_in(&value, list, folded, sorted).into();
        }
        if let (Value::Str(needle), Value::Str(_), PredOp::ContainsFold) = (right, value, op) {
            return self.contains_folded(&value, needle);
        }
        predicate::apply_dynamic(op, &value, &right)
    }

    /// A list in the total order of values, or of values with folded texts; sorted once for each field.
    pub(super) fn sorted(&mut self, list: Array<'a>, folded: bool) -> &'a [Value<'a>] {
        let known = self.sorted.iter().rev().take(REMEMBERED);
        let mut known = known.filter(|(of, how, _)| of.is(&list) && *how == folded);
        if let Some((_, _, known)) = known.next() {
            return known;
        }
        let sorted = self.bump.alloc_slice_fill_iter(list);
        sorted.sort_unstable_by(|a, b| predicate::order(folded, a, b));
        self.sorted.push((list, folded, sorted));
        sorted
    }

    /// A text by simple case folding, folded once for each field; `None` when the arena has no room for it.
    pub(super) fn folded(&mut self, text: &'a str) -> Option<&'a [u8]> {
        let mut known = self.folded.iter().rev().take(REMEMBERED);
        if let Some((_, known)) = known.find(|(of, _)| std::ptr::eq(*of, text)) {
            return Some(known);
        }
        let room = casefold::max_len(text.len());
        self.check_arena(room as u64).ok()?;
        let out = self.bump.alloc_slice_fill_copy(room, 0u8);
        let length = casefold::fold_into(text, out);
        let out: &'a [u8] = out.get(..length)?;
        self.folded.push((text, out));
        Some(out)
    }

    /// `contains` of two texts of the request, folded.
    pub(super) fn contains_folded(&mut self, text: &Value<'a>, needle: &'a str) -> Outcome {
        let text = text.as_str().and_then(|text| self.folded(text));
        match (text, self.folded(needle)) {
            (Some(text), Some(needle)) => memchr::memmem::find(text, needle).is_some().into(),
            _no_room => Outcome::Error,
        }
    }
}
