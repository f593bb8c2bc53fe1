//! Order: the operand that ends the evaluation soonest for the least work goes first.
//!
//! ```text
//! v0 = test llm.prompt matches "secret"      v0 = test team.tier eq "free"
//! v1 = test team.tier eq "free"         =>   v1 = test llm.prompt matches "secret"
//! v2 = and v0, v1                            v2 = and v0, v1
//! ret v2                                     ret v2
//! ```
//!
//! Operands of an `and` go by cost divided by the chance to be false, those of an `or` by cost divided by the chance to
//! be true, which gives the least expected cost for independent operands. Costs come from [`crate::cost`], chances from
//! the kind of comparison. Three-valued `and` and `or` do not depend on the order of their operands, so no result
//! changes, errors included. Ties keep their order.

use super::rewrite::{Rebuild, Rewrite, rebuild_all};
use super::{OptLevel, Options, Pass, Program};
use crate::cost;
use crate::ir::{Inst, Negated, Predicate, ValueId, no_outcome};
use policy_bytecode::Const;
use policy_bytecode::predicate::{PredOp, PredOperand};

/// See the module documentation.
#[derive(Debug)]
pub(super) struct Order;

impl Pass for Order {
    fn name(&self) -> &'static str {
        "order"
    }

    fn level(&self) -> OptLevel {
        OptLevel::O2
    }

    fn run(&self, program: &mut Program, options: &Options) -> usize {
        let estimates = Estimates {
            predicates: program.predicates.iter().map(|p| estimate(program, p)).collect(),
        };
        rebuild_all(&mut program.functions, &estimates, &options.stop)
    }
}

/// Expected cost of an outcome and its chance to be true.
#[derive(Debug, Clone, Copy)]
struct Estimate {
    cost: f64,
    chance: f64,
}

struct Estimates {
    predicates: Vec<Estimate>,
}

fn estimate(program: &Program, predicate: &Predicate) -> Estimate {
    let items = match predicate.operand {
        PredOperand::Const(k) => match program.consts.get(k.index()) {
            Some(Const::Array(items)) => items.len(),
            Some(_) | None => 1,
        },
        PredOperand::None | PredOperand::Pattern(_) | PredOperand::Field(_) | PredOperand::Body(_) => 1,
    };
    let chance = match predicate.op {
        PredOp::Eq => 0.1,
        PredOp::In => (0.1 * f64::from(u16::try_from(items).unwrap_or(u16::MAX))).min(0.5),
        PredOp::Gt | PredOp::Gte | PredOp::Lt | PredOp::Lte => 0.4,
        PredOp::Contains => 0.15,
        PredOp::StartsWith | PredOp::EndsWith => 0.15,
        PredOp::Matches => 0.1,
        PredOp::Exists => 0.8,
        PredOp::Any => 0.2,
        PredOp::All => 0.5,
        PredOp::EqFold => 0.1,
        PredOp::InFold => (0.1 * f64::from(u16::try_from(items).unwrap_or(u16::MAX))).min(0.5),
        PredOp::ContainsFold | PredOp::StartsWithFold | PredOp::EndsWithFold => 0.15,
        PredOp::InCidr | PredOp::Before | PredOp::After | PredOp::TimeBetween => 0.4,
    };
    // Sixty-four bits of cost are far more than a double needs to tell operands apart.
    let cost = cost::expected(program, predicate).min(1 << 50);
    Estimate {
        cost: f64::from(u32::try_from(cost).unwrap_or(u32::MAX)),
        chance,
    }
}

impl Estimates {
    /// Of a value that is already rebuilt, its operands in their final order.
    fn of(&self, cx: &Rebuild<'_>, id: ValueId) -> Estimate {
        match cx.new_inst(id) {
            Inst::Test {
                pred,
                negated: Negated(negated),
            } => {
                let own = self.predicates.get(pred.index()).copied().unwrap_or(Estimate {
                    cost: 1.0,
                    chance: 0.5,
                });
                Estimate {
                    cost: own.cost,
                    chance: if *negated { 1.0 - own.chance } else { own.chance },
                }
            }
            Inst::Const { value } => Estimate {
                cost: 0.0,
                chance: if *value { 1.0 } else { 0.0 },
            },
            Inst::Not { operand: inner } => {
                let own = self.of(cx, *inner);
                Estimate {
                    cost: own.cost,
                    chance: 1.0 - own.chance,
                }
            }
            inst @ (Inst::And { operands } | Inst::Or { operands }) => {
                let and = matches!(inst, Inst::And { .. });
                // Chance that the evaluation gets as far as the next operand.
                let mut reached = 1.0;
                let mut cost = 0.0;
                for operand in operands {
                    let own = self.of(cx, *operand);
                    cost += own.cost * reached;
                    reached *= if and { own.chance } else { 1.0 - own.chance };
                }
                Estimate {
                    cost,
                    chance: if and { reached } else { 1.0 - reached },
                }
            }
            Inst::Truth { .. } | no_outcome!() => Estimate {
                cost: 1.0,
                chance: 0.5,
            },
        }
    }

    fn sorted(&self, cx: &mut Rebuild<'_>, operands: &[ValueId], and: bool) -> Vec<ValueId> {
        let mut ranked: Vec<(f64, ValueId)> = operands
            .iter()
            .map(|operand| {
                let new = cx.outcome(*operand, false);
                let own = self.of(cx, new);
                let decides = if and { 1.0 - own.chance } else { own.chance };
                (own.cost / decides.max(1e-6), new)
            })
            .collect();
        ranked.sort_by(|a, b| a.0.total_cmp(&b.0));
        ranked.into_iter().map(|(_, id)| id).collect()
    }
}

impl Rewrite for Estimates {
    fn outcome(&self, cx: &mut Rebuild<'_>, id: ValueId, _negate: bool) -> ValueId {
        match cx.old(id).clone() {
            Inst::And { operands } => {
                let operands = self.sorted(cx, &operands, true);
                cx.make(Inst::And { operands })
            }
            Inst::Or { operands } => {
                let operands = self.sorted(cx, &operands, false);
                cx.make(Inst::Or { operands })
            }
            Inst::Test { .. }
            | Inst::Const { .. }
            | Inst::Not { .. }
            | Inst::Truth { .. }
            | no_outcome!() => cx.copy(id),
        }
    }
}
