//! Simplify: one operator instead of several that say the same.
//!
//! ```text
//! v0 = test a eq 1                  v0 = test a eq 1
//! v1 = test b eq 2                  v1 = test b eq 2
//! v2 = and v0, v1            =>     v2 = and v0, v1
//! v3 = and v2, v0                   ret v2
//! ret v3
//! ```
//!
//! Nested operators of one kind become one list, operands that occur twice are kept once (`and(x, x)` is `x`, errors
//! included), an operator of one operand is that operand, and `not` of `not` goes. Operands absorb: `and(x, or(x, y))`
//! is `x`, which holds in three-valued logic as well.
//!
//! Preserves: the order of operands.

use super::rewrite::{Rebuild, Rewrite, rebuild_all};
use super::{OptLevel, Options, Pass, Program};
use crate::ir::{Inst, ValueId, no_outcome};
use std::collections::HashSet;

/// See the module documentation.
#[derive(Debug)]
pub(super) struct Simplify;

impl Pass for Simplify {
    fn name(&self) -> &'static str {
        "simplify"
    }

    fn level(&self) -> OptLevel {
        OptLevel::O1
    }

    fn run(&self, program: &mut Program, options: &Options) -> usize {
        rebuild_all(&mut program.functions, self, &options.stop)
    }
}

impl Rewrite for Simplify {
    fn outcome(&self, cx: &mut Rebuild<'_>, id: ValueId, _negate: bool) -> ValueId {
        match cx.old(id).clone() {
            Inst::And { operands } => list(cx, &operands, true),
            Inst::Or { operands } => list(cx, &operands, false),
            Inst::Not { operand: inner } => {
                let inner = cx.outcome(inner, false);
                if let Inst::Not { operand: twice } = cx.new_inst(inner) {
                    *twice
                } else {
                    cx.make(Inst::Not { operand: inner })
                }
            }
            Inst::Test { .. } | Inst::Const { .. } | Inst::Truth { .. } | no_outcome!() => cx.copy(id),
        }
    }
}

/// Operands of `inst` when it is an operator of this kind.
fn operands_of(inst: &Inst, and: bool) -> Option<&[ValueId]> {
    if let (Inst::And { operands }, true) | (Inst::Or { operands }, false) = (inst, and) {
        Some(operands)
    } else {
        None
    }
}

fn list(cx: &mut Rebuild<'_>, operands: &[ValueId], and: bool) -> ValueId {
    let mut seen = HashSet::with_capacity(operands.len());
    let mut flat = Vec::with_capacity(operands.len());
    for operand in operands {
        let new = cx.outcome(*operand, false);
        // Operands are simplified already, so one level is enough.
        let parts = match operands_of(cx.new_inst(new), and) {
            Some(parts) => parts.to_vec(),
            None => vec![new],
        };
        flat.extend(parts.into_iter().filter(|part| seen.insert(*part)));
    }
    flat.retain(|part| {
        operands_of(cx.new_inst(*part), !and).is_none_or(|inner| !inner.iter().any(|v| seen.contains(v)))
    });
    match flat.as_slice() {
        [only] => *only,
        _several => cx.make(if and {
            Inst::And { operands: flat }
        } else {
            Inst::Or { operands: flat }
        }),
    }
}
