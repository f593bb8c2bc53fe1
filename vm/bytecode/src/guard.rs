//! Guards: what the rule index may rest on, and the proof that it may.
//!
//! A guard of a function is a list of predicates. Where all of them are false, the function returns false, so a rule
//! whose condition it is need not be looked at. The compiler chooses guards; nobody has to believe it, because the proof
//! is a walk over the code: take each predicate of the guard as false and every other one as anything, and see whether
//! an end that is not false can be reached.
//!
//! ```text
//! test p0, 0, e0, L4      ; p0 is no guard: goes on, e0 raised or not, or to L4
//! test p1, 0, e0, L4      ; p1 is the guard, so false: goes to L4
//! br_flag e0, L5          ; not reached
//! ret_true
//! L4: ret_false
//! ```
//!
//! A guard of searches that one scan answers ([`crate::scan`]) serves as well: what the scan does not find is false. It
//! runs when the first rule that hangs on it is reached, and so it is the only guard of its function.

use crate::consts::Const;
use crate::context::Knowledge;
use crate::ids::{FlagIdx, PredIdx};
use crate::instr::Instr;
use crate::intrinsics::Type;
use crate::module::{Derived, Field, Function, Module, PathSegment, is_at_or_below};
use crate::predicate::{Lookup, PredOp, PredOperand, Predicate};

/// Predicates of one guard, at most.
pub const MAX_GUARD: usize = 1024;
/// Guards of one function, at most.
pub const MAX_GUARDS: usize = 4;

/// Whether an index can tell, from the value of the field alone and without running the predicate, where a comparison
/// of this kind may be anything but false.
///
/// Equality with scalars, membership in lists of scalars, elements of arrays, order among numbers, prefixes, suffixes
/// and presence can be looked up. Comparisons with collections, with other fields, with patterns and of folded texts,
/// addresses and instants cannot.
#[must_use]
pub fn indexable(op: PredOp, operand: PredOperand, consts: &[Const]) -> bool {
    let constant = match operand {
        PredOperand::Const(k) => consts.get(k.index()),
        PredOperand::None | PredOperand::Pattern(_) | PredOperand::Field(_) | PredOperand::Body(_) => None,
    };
    let scalar = |c: &Const| matches!(c, Const::Null | Const::Bool(_) | Const::Number(_) | Const::Str(_));
    match (op.lookup(), constant) {
        (Lookup::Presence, _) => operand == PredOperand::None,
        (Lookup::Key | Lookup::Element, Some(c)) => scalar(c),
        (Lookup::Keys, Some(Const::Array(items))) => {
            items.iter().all(|k| consts.get(k.index()).is_some_and(scalar))
        }
        (Lookup::Threshold, Some(c)) => matches!(c, Const::Number(_)),
        (Lookup::Affix, Some(c)) => c.as_str().is_some_and(|text| !text.is_empty()),
        (Lookup::Key | Lookup::Element | Lookup::Keys | Lookup::Threshold | Lookup::Affix, None)
        | (Lookup::Keys, Some(_))
        | (Lookup::No, _) => false,
    }
}

/// For each field, whether its value stands in the request as it is: neither computed, nor inside what is computed.
#[must_use]
pub fn plain_fields(fields: &[Field]) -> Vec<bool> {
    let derived: Vec<&[PathSegment]> = fields
        .iter()
        .filter(|f| f.derived.is_some())
        .map(|f| f.path.as_slice())
        .collect();
    fields
        .iter()
        .map(|f| !derived.iter().any(|above| is_at_or_below(&f.path, above)))
        .collect()
}

/// For each field, whether one scan may answer what is searched in it: fields of the request, and computed texts.
#[must_use]
pub fn searchable_fields(fields: &[Field]) -> Vec<bool> {
    let plain = plain_fields(fields);
    fields
        .iter()
        .zip(plain)
        .map(|(field, plain)| plain || field.derived.as_ref().is_some_and(is_text))
        .collect()
}

/// Whether what is computed is a text, where it can be.
fn is_text(derived: &Derived) -> bool {
    let row = derived.intrinsic.row();
    row.is_some_and(|row| row.signature.result == Type::Text)
}

/// Checks the guards of functions, one after the other.
#[derive(Debug)]
pub struct Prover<'m> {
    predicates: &'m [Predicate],
    consts: &'m [Const],
    plain: Vec<bool>,
    /// Fields that every operator can be an error on ([`Knowledge::can_mismatch`]).
    mismatched: Vec<bool>,
    /// For each predicate, the scan that answers it.
    scans: Vec<Option<u32>>,
    /// The number of the guard that named a predicate last: no list to clear between guards.
    named: Vec<u32>,
    guard: u32,
    /// For each instruction that can be reached, the flags that may be raised when it is.
    states: Vec<Option<u64>>,
}

impl<'m> Prover<'m> {
    /// For the functions of a module.
    #[must_use]
    pub fn new(module: &'m Module) -> Self {
        let mut scans = vec![None; module.predicates.len()];
        for (scan, number) in module.scans.iter().zip(0u32..) {
            for scanned in &scan.predicates {
                if let Some(place) = scans.get_mut(scanned.predicate.index()) {
                    *place = Some(number);
                }
            }
        }
        let known = Knowledge::new(&module.known);
        Self {
            scans,
            predicates: &module.predicates,
            consts: &module.consts,
            plain: plain_fields(&module.fields),
            mismatched: module
                .fields
                .iter()
                .map(|f| known.can_mismatch(&f.path))
                .collect(),
            named: vec![0; module.predicates.len()],
            guard: 0,
            states: Vec::new(),
        }
    }

    /// Whether an index can answer for this predicate.
    #[must_use]
    pub fn indexable(&self, pred: PredIdx) -> bool {
        self.predicates.get(pred.index()).is_some_and(|p| {
            indexable(p.op, p.operand, self.consts)
                && self.plain.get(p.field.index()).copied().unwrap_or(false)
        })
    }

    /// Whether a predicate can be an error.
    fn fallible(&self, pred: PredIdx) -> bool {
        self.predicates.get(pred.index()).is_none_or(|p| {
            p.op.fallible()
                || matches!(p.operand, PredOperand::Field(_))
                || !self.plain.get(p.field.index()).copied().unwrap_or(false)
                || self.mismatched.get(p.field.index()).copied().unwrap_or(true)
        })
    }

    /// The scan that answers a predicate.
    #[must_use]
    pub fn scan_of(&self, pred: PredIdx) -> Option<u32> {
        self.scans.get(pred.index()).copied().flatten()
    }

    /// Whether `function` returns false wherever every predicate of `guard` is false. O(code): code that jumps back in
    /// ways that take more than a few passes to follow is not proved.
    #[must_use]
    pub fn proves(&mut self, function: &Function, guard: &[PredIdx]) -> bool {
        self.guard = self.guard.wrapping_add(1);
        for pred in guard {
            if let Some(place) = self.named.get_mut(pred.index()) {
                *place = self.guard;
            }
        }
        self.states.clear();
        self.states.resize(function.code.len(), None);
        match self.states.first_mut() {
            Some(entry) => *entry = Some(0),
            None => return false,
        }
        for _ in 0..PASSES {
            match self.pass(&function.code) {
                Pass::Settled => return true,
                Pass::Changed => {}
                Pass::Refuted => return false,
            }
        }
        false
    }

    /// One walk over the code in order. Only a jump back can leave work for another.
    fn pass(&mut self, code: &[Instr]) -> Pass {
        let mut outcome = Pass::Settled;
        for (at, instr) in code.iter().enumerate() {
            let Some(flags) = self.states.get(at).copied().flatten() else {
                continue;
            };
            let is_false = |pred: PredIdx| self.named.get(pred.index()) == Some(&self.guard);
            let (next, jump) = match *instr {
                Instr::Test {
                    pred,
                    sense,
                    flag,
                    target,
                }
                | Instr::TestMemo {
                    pred,
                    sense,
                    flag,
                    target,
                } => match (is_false(pred), sense.0) {
                    (true, true) => (Some(flags), None),
                    (true, false) => (None, Some((target, flags))),
                    (false, _) if self.fallible(pred) => (Some(flags | bit(flag)), Some((target, flags))),
                    (false, _) => (Some(flags), Some((target, flags))),
                },
                Instr::RetTest { pred, sense } | Instr::RetTestMemo { pred, sense } => {
                    if !is_false(pred) || !sense.0 {
                        return Pass::Refuted;
                    }
                    (None, None)
                }
                Instr::RetFalse {} => (None, None),
                Instr::RetTrue {} | Instr::RetError {} | Instr::Ret { .. } => return Pass::Refuted,
                Instr::Jump { target } => (None, Some((target, flags))),
                Instr::BrFlag { flag, target } => {
                    let raised = flags & bit(flag) != 0;
                    (Some(flags & !bit(flag)), raised.then_some((target, flags)))
                }
                Instr::RaiseFlag { flag } => (Some(flags | bit(flag)), None),
                Instr::ClearFlag { flag } => (Some(flags & !bit(flag)), None),
                Instr::BrIf { target, .. }
                | Instr::BrUnless { target, .. }
                | Instr::BrUndefined { target, .. }
                | Instr::IterNext { done: target, .. } => (Some(flags), Some((target, flags))),
                Instr::LoadConst { .. }
                | Instr::LoadField { .. }
                | Instr::Mov { .. }
                | Instr::LoadUndefined { .. }
                | Instr::LoadBool { .. }
                | Instr::Get { .. }
                | Instr::GetConst { .. }
                | Instr::Len { .. }
                | Instr::Eq { .. }
                | Instr::Lt { .. }
                | Instr::Lte { .. }
                | Instr::Add { .. }
                | Instr::Sub { .. }
                | Instr::Mul { .. }
                | Instr::Div { .. }
                | Instr::Rem { .. }
                | Instr::IterBegin { .. }
                | Instr::BuildArray { .. }
                | Instr::BuildObject { .. }
                | Instr::BuildSet { .. }
                | Instr::BuildPush { .. }
                | Instr::BuildInsert { .. }
                | Instr::BuildEnd { .. }
                | Instr::Call { .. } => (Some(flags), None),
            };
            if let Some(flags) = next {
                // Past the end is not false either.
                if at + 1 == code.len() {
                    return Pass::Refuted;
                }
                self.join(at + 1, flags);
            }
            if let Some((target, flags)) = jump {
                let news = self.join(target.index(), flags);
                if news && target.index() <= at {
                    outcome = Pass::Changed;
                }
            }
        }
        outcome
    }

    /// Notes that an instruction can be reached; says whether that is news.
    fn join(&mut self, at: usize, flags: u64) -> bool {
        let Some(state) = self.states.get_mut(at) else {
            return false;
        };
        let joined = state.map_or(flags, |known| known | flags);
        let news = *state != Some(joined);
        *state = Some(joined);
        news
    }
}

/// How often code is walked before a proof is given up.
const PASSES: usize = 8;

/// What one walk came to.
enum Pass {
    Settled,
    Changed,
    Refuted,
}

/// A flag's bit. A frame has at most 64 (V15).
fn bit(flag: FlagIdx) -> u64 {
    1u64.checked_shl(u32::from(flag.0)).unwrap_or(0)
}
