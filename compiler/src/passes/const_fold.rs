//! Constant folding: evaluates what does not depend on the request.
//!
//! ```text
//! v0 = test team.id in []           v0 = const false
//! v1 = test llm.maxTokens gt 5  =>  ret v0
//! v2 = and v0, v1
//! ret v2
//! ```
//!
//! A false operand decides an `and` even beside an operand that may be an error; a true one is dropped from it. `or` is
//! the dual. `and(x, not x)` is left alone: it is an error when `x` is. Membership in the empty list is false for every
//! value and for a missing one, but not for a computed field, which may be an error. Data: comparisons and arithmetic
//! on scalar constants, with the operators that the machine uses.
//!
//! Leaves behind: data and table entries that nobody uses, for `dce`.

use super::rewrite::{Rebuild, Rewrite, rebuild_all};
use super::{OptLevel, Options, Pass, Program};
use crate::ir::{Function, Inst, Negated, Terminator, ValueId, no_outcome};
use policy_bytecode::predicate::{PredOperand, Takes};
use policy_bytecode::{Const, ConstIdx, PredIdx};
use std::cmp::Ordering;

/// See the module documentation.
#[derive(Debug)]
pub(super) struct ConstFold;

impl Pass for ConstFold {
    fn name(&self) -> &'static str {
        "const_fold"
    }

    fn level(&self) -> OptLevel {
        OptLevel::O1
    }

    fn run(&self, program: &mut Program, options: &Options) -> usize {
        let mut changes = 0;
        for function in &mut program.functions {
            changes += fold_data(function, &mut program.consts);
        }
        let known: Vec<Option<bool>> = (0..program.predicates.len())
            .map(|i| PredIdx::from_index(i).and_then(|p| known_outcome(program, p)))
            .collect();
        let truths = Truths {
            known,
            consts: program.consts.clone(),
        };
        changes += rebuild_all(&mut program.functions, &truths, &options.stop);
        for function in &mut program.functions {
            changes += fold_splits(function);
        }
        changes
    }
}

/// The outcome that a comparison has for every request.
fn known_outcome(program: &Program, pred: PredIdx) -> Option<bool> {
    let predicate = program.predicates.get(pred.index())?;
    let PredOperand::Const(k) = predicate.operand else {
        return None;
    };
    let empty = matches!(program.consts.get(k.index()), Some(Const::Array(items)) if items.is_empty());
    (predicate.op.takes() == Takes::List && empty && !program.fallible(pred)).then_some(false)
}

struct Truths {
    /// By predicate.
    known: Vec<Option<bool>>,
    consts: Vec<Const>,
}

impl Rewrite for Truths {
    fn outcome(&self, cx: &mut Rebuild<'_>, id: ValueId, _negate: bool) -> ValueId {
        match cx.old(id).clone() {
            Inst::Test {
                pred,
                negated: Negated(negated),
            } => match self.known.get(pred.index()).copied().flatten() {
                Some(value) => cx.make(Inst::Const {
                    value: value != negated,
                }),
                None => cx.copy(id),
            },
            Inst::And { operands } => fold(cx, &operands, false),
            Inst::Or { operands } => fold(cx, &operands, true),
            Inst::Not { operand: inner } => {
                let inner = cx.outcome(inner, false);
                if let Inst::Const { value } = cx.new_inst(inner) {
                    let value = !value;
                    cx.make(Inst::Const { value })
                } else {
                    cx.make(Inst::Not { operand: inner })
                }
            }
            Inst::Truth { value } => {
                if let Inst::LoadConst { k } = cx.old(value) {
                    let value = matches!(self.consts.get(k.index()), Some(Const::Bool(true)));
                    cx.make(Inst::Const { value })
                } else if let Inst::Undefined {} = cx.old(value) {
                    cx.make(Inst::Const { value: false })
                } else {
                    cx.copy(id)
                }
            }
            Inst::Const { .. } | no_outcome!() => cx.copy(id),
        }
    }
}

/// An `and` (`deciding` false) or `or` (`deciding` true) of old operands.
fn fold(cx: &mut Rebuild<'_>, operands: &[ValueId], deciding: bool) -> ValueId {
    let mut rest = Vec::with_capacity(operands.len());
    for operand in operands {
        let new = cx.outcome(*operand, false);
        if let Inst::Const { value } = cx.new_inst(new) {
            if *value == deciding {
                return new;
            }
        } else {
            rest.push(new);
        }
    }
    if rest.is_empty() {
        return cx.make(Inst::Const { value: !deciding });
    }
    cx.make(if deciding {
        Inst::Or { operands: rest }
    } else {
        Inst::And { operands: rest }
    })
}

/// A split on a constant becomes a jump.
fn fold_splits(function: &mut Function) -> usize {
    let mut changes = 0;
    for block in &mut function.blocks {
        let Terminator::Split {
            cond,
            on_true,
            on_false,
            ..
        } = block.end
        else {
            continue;
        };
        if let Some(Inst::Const { value }) = function.values.get(cond.index()) {
            block.end = Terminator::Jump {
                target: if *value { on_true } else { on_false },
                args: Vec::new(),
            };
            changes += 1;
        }
    }
    changes
}

/// Folds data in place: an instruction on constants becomes `load_const` or `undefined`.
fn fold_data(function: &mut Function, consts: &mut Vec<Const>) -> usize {
    let mut changes = 0;
    let order: Vec<ValueId> = function.blocks.iter().flat_map(|b| &b.insts).copied().collect();
    for id in order {
        let scalar = |v: ValueId| match function.value(v) {
            Some(Inst::LoadConst { k }) => consts.get(k.index()).cloned(),
            _other => None,
        };
        let both = |lhs: &ValueId, rhs: &ValueId| scalar(*lhs).zip(scalar(*rhs));
        let folded: Option<Option<Const>> = match function.value(id) {
            Some(Inst::Eq { lhs, rhs }) => both(lhs, rhs).and_then(|(a, b)| equal(&a, &b).map(bool_const)),
            Some(Inst::Lt { lhs, rhs }) => {
                both(lhs, rhs).map(|(a, b)| compare(&a, &b).and_then(|o| bool_const(o == Ordering::Less)))
            }
            Some(Inst::Lte { lhs, rhs }) => {
                both(lhs, rhs).map(|(a, b)| compare(&a, &b).and_then(|o| bool_const(o != Ordering::Greater)))
            }
            Some(other) => other.arith().and_then(|(op, lhs, rhs)| {
                both(&lhs, &rhs).map(|(a, b)| match (a, b) {
                    (Const::Number(a), Const::Number(b)) => a.arith(op, b).map(Const::Number),
                    _other => None,
                })
            }),
            None => None,
        };
        let inst = match folded {
            None => continue,
            Some(None) => Inst::Undefined {},
            Some(Some(value)) => Inst::LoadConst {
                k: intern(consts, value),
            },
        };
        if let Some(place) = function.values.get_mut(id.index()) {
            *place = inst;
            changes += 1;
        }
    }
    changes
}

fn bool_const(value: bool) -> Option<Const> {
    Some(Const::Bool(value))
}

fn intern(consts: &mut Vec<Const>, value: Const) -> ConstIdx {
    let index = consts.iter().position(|c| same(c, &value)).unwrap_or_else(|| {
        consts.push(value);
        consts.len() - 1
    });
    ConstIdx::from_index(index).unwrap_or(ConstIdx(u32::MAX))
}

/// Same entry: integers and doubles of one value stay apart.
fn same(a: &Const, b: &Const) -> bool {
    use policy_bytecode::Number::{Float, Int, UInt};
    match (a, b) {
        (Const::Number(Float(a)), Const::Number(Float(b))) => a.to_bits() == b.to_bits(),
        (Const::Number(a), Const::Number(b)) => {
            matches!((a, b), (Int(_), Int(_)) | (UInt(_), UInt(_))) && a == b
        }
        (a, b) => a == b,
    }
}

/// Equality of scalars; `None` for collections, which are left to the machine.
fn equal(a: &Const, b: &Const) -> Option<bool> {
    match (a, b) {
        (Const::Array(_) | Const::Object(_), _) | (_, Const::Array(_) | Const::Object(_)) => None,
        (a, b) => Some(match (a.exact(), b.exact()) {
            (Some(a), Some(b)) => a.compare(b).is_eq(),
            (a_number, b_number) => a_number.is_none() && b_number.is_none() && a == b,
        }),
    }
}

/// Order of two numbers or two strings; `None` is undefined.
fn compare(a: &Const, b: &Const) -> Option<Ordering> {
    match (a, b) {
        (Const::Str(a), Const::Str(b)) => Some(a.cmp(b)),
        (a, b) => a.exact().zip(b.exact()).map(|(a, b)| a.compare(b)),
    }
}
