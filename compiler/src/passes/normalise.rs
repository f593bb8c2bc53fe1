//! Normalise: pushes negation down to the comparisons, where it is only the sense of a branch.
//!
//! ```text
//! v0 = test a eq 1                  v0 = test_not a eq 1
//! v1 = test b eq 2                  v1 = test_not b eq 2
//! v2 = and v0, v1            =>     v2 = or v0, v1
//! v3 = not v2                       ret v2
//! ret v3
//! ```
//!
//! De Morgan's rules and double negation hold in three-valued logic: an error stays an error under `not`, and what
//! decides an `and` decides, negated, the `or`. `not` remains only on `truth`, which has no negated form.
//!
//! Preserves: the order of operands. Leaves behind: nested operators of one kind, for `simplify`.

use super::rewrite::{Rebuild, Rewrite, rebuild_all};
use super::{OptLevel, Options, Pass, Program};
use crate::ir::{Inst, Negated, ValueId, no_outcome};

/// See the module documentation.
#[derive(Debug)]
pub(super) struct Normalise;

impl Pass for Normalise {
    fn name(&self) -> &'static str {
        "normalise"
    }

    fn level(&self) -> OptLevel {
        OptLevel::O2
    }

    fn run(&self, program: &mut Program, options: &Options) -> usize {
        rebuild_all(&mut program.functions, self, &options.stop)
    }
}

impl Rewrite for Normalise {
    fn outcome(&self, cx: &mut Rebuild<'_>, id: ValueId, negate: bool) -> ValueId {
        match cx.old(id).clone() {
            Inst::Not { operand: inner } => cx.outcome(inner, !negate),
            Inst::Test {
                pred,
                negated: Negated(negated),
            } => cx.make(Inst::Test {
                pred,
                negated: Negated(negated != negate),
            }),
            Inst::Const { value } => cx.make(Inst::Const {
                value: value != negate,
            }),
            Inst::And { operands } => {
                let operands = operands.into_iter().map(|v| cx.outcome(v, negate)).collect();
                cx.make(if negate {
                    Inst::Or { operands }
                } else {
                    Inst::And { operands }
                })
            }
            Inst::Or { operands } => {
                let operands = operands.into_iter().map(|v| cx.outcome(v, negate)).collect();
                cx.make(if negate {
                    Inst::And { operands }
                } else {
                    Inst::Or { operands }
                })
            }
            Inst::Truth { .. } | no_outcome!() => {
                let plain = cx.copy(id);
                if negate {
                    cx.make(Inst::Not { operand: plain })
                } else {
                    plain
                }
            }
        }
    }
}
