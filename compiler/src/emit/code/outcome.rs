//! Outcome trees to short-circuit code.

use super::{Code, RetKind, Targets};
use crate::emit::CodeError;
use crate::ir::{Inst, Kind, Negated, ValueId, no_outcome};
use policy_bytecode::instr::Flag01;
use policy_bytecode::{FlagIdx, Instr, Label, PredIdx};

impl Code<'_> {
    pub(super) fn outcome(&self, id: ValueId) -> Result<&Inst, CodeError> {
        self.function
            .values
            .get(id.index())
            .filter(|inst| inst.kind() == Kind::Outcome)
            .ok_or(CodeError::Malformed("an outcome is expected"))
    }

    pub(super) fn can_err(&self, id: ValueId) -> bool {
        self.fallible.get(id.index()).copied().unwrap_or(true)
    }

    /// The flag of nesting depth `depth`, lowered.
    ///
    /// A flag that was raised once stays suspect to the end: the instruction that lowers it may itself be jumped over
    /// by an operand that decides early.
    pub(super) fn flag(&mut self, depth: usize) -> Result<FlagIdx, CodeError> {
        let dirty = *self.dirty.get(depth).ok_or(CodeError::TooManyFlags)?;
        let flag = FlagIdx(u8::try_from(depth).map_err(|_| CodeError::TooManyFlags)?);
        self.flags = self.flags.max(depth + 1);
        if dirty {
            self.push(Instr::ClearFlag { flag });
        }
        Ok(flag)
    }

    pub(super) fn raised(&mut self, flag: FlagIdx) {
        if let Some(dirty) = self.dirty.get_mut(flag.index()) {
            *dirty = true;
        }
    }

    pub(super) fn test(&mut self, pred: PredIdx, sense: bool, flag: FlagIdx, target: Label) {
        if self.program.fallible(pred) {
            self.raised(flag);
        }
        let sense = Flag01(sense);
        self.push(if self.is_shared(pred) {
            Instr::TestMemo {
                pred,
                sense,
                flag,
                target,
            }
        } else {
            Instr::Test {
                pred,
                sense,
                flag,
                target,
            }
        });
    }

    pub(super) fn is_shared(&self, pred: PredIdx) -> bool {
        self.program
            .predicates
            .get(pred.index())
            .is_some_and(|p| p.shared)
    }

    /// Goes to one of three places by the outcome `id`, negated when `negate`. Never falls through.
    pub(super) fn split(
        &mut self,
        id: ValueId,
        negate: bool,
        depth: usize,
        to: Targets,
    ) -> Result<(), CodeError> {
        self.at(id, |code| code.split_here(id, negate, depth, to))
    }

    fn split_here(&mut self, id: ValueId, negate: bool, depth: usize, to: Targets) -> Result<(), CodeError> {
        match self.outcome(id)? {
            Inst::Const { value } => {
                self.jump(if *value != negate { to.on_true } else { to.on_false });
            }
            Inst::Not { operand: inner } => return self.split(*inner, !negate, depth, to),
            Inst::Truth { value } => {
                let cond = self.read(*value)?;
                let (yes, no) = if negate {
                    (to.on_false, to.on_true)
                } else {
                    (to.on_true, to.on_false)
                };
                self.push(Instr::BrIf { cond, target: yes });
                self.jump(no);
            }
            Inst::Test {
                pred,
                negated: Negated(negated),
            } => {
                let (pred, sense) = (*pred, *negated == negate);
                let flag = self.flag(depth)?;
                self.test(pred, sense, flag, to.on_true);
                if self.can_err(id) {
                    self.push(Instr::BrFlag {
                        flag,
                        target: to.on_error,
                    });
                }
                self.jump(to.on_false);
            }
            inst @ (Inst::And { operands } | Inst::Or { operands }) => {
                let conjunction = matches!(inst, Inst::And { .. }) != negate;
                let operands = operands.clone();
                let flag = self.flag(depth)?;
                let (exit, end) = if conjunction {
                    (to.on_false, to.on_true)
                } else {
                    (to.on_true, to.on_false)
                };
                for operand in &operands {
                    self.operand(*operand, negate, !conjunction, exit, flag, depth)?;
                }
                if self.can_err(id) {
                    self.push(Instr::BrFlag {
                        flag,
                        target: to.on_error,
                    });
                }
                self.jump(end);
            }
            no_outcome!() => return Err(CodeError::Malformed("an outcome is expected")),
        }
        Ok(())
    }

    /// One operand of an `and` or `or`: goes to `exit` when it is `deciding`, else falls through, with `flag` raised
    /// when it is an error.
    pub(super) fn operand(
        &mut self,
        id: ValueId,
        negate: bool,
        deciding: bool,
        exit: Label,
        flag: FlagIdx,
        depth: usize,
    ) -> Result<(), CodeError> {
        self.at(id, |code| {
            code.operand_here(id, negate, deciding, exit, flag, depth)
        })
    }

    fn operand_here(
        &mut self,
        id: ValueId,
        negate: bool,
        deciding: bool,
        exit: Label,
        flag: FlagIdx,
        depth: usize,
    ) -> Result<(), CodeError> {
        match self.outcome(id)? {
            Inst::Test {
                pred,
                negated: Negated(negated),
            } => {
                let (pred, sense) = (*pred, deciding != (*negated != negate));
                self.test(pred, sense, flag, exit);
            }
            Inst::Not { operand: inner } => {
                return self.operand(*inner, !negate, deciding, exit, flag, depth);
            }
            Inst::Const { value } => {
                if (*value != negate) == deciding {
                    self.jump(exit);
                }
            }
            Inst::Truth { value } => {
                let cond = self.read(*value)?;
                self.push(if deciding != negate {
                    Instr::BrIf { cond, target: exit }
                } else {
                    Instr::BrUnless { cond, target: exit }
                });
            }
            Inst::And { .. } | Inst::Or { .. } | no_outcome!() => {
                let next = self.label();
                let error = self.label();
                let to = Targets {
                    on_true: if deciding { exit } else { next },
                    on_false: if deciding { next } else { exit },
                    on_error: error,
                };
                self.split(id, negate, depth + 1, to)?;
                self.bind(error);
                if self.can_err(id) {
                    self.push(Instr::RaiseFlag { flag });
                    self.raised(flag);
                }
                self.bind(next);
            }
        }
        Ok(())
    }

    /// Returns the outcome `id`, negated when `negate`.
    pub(super) fn return_outcome(&mut self, id: ValueId, negate: bool) -> Result<(), CodeError> {
        self.at(id, |code| code.return_here(id, negate))
    }

    fn return_here(&mut self, id: ValueId, negate: bool) -> Result<(), CodeError> {
        match self.outcome(id)? {
            Inst::Const { value } => {
                let value = *value != negate;
                self.ret_bool(value);
            }
            Inst::Not { operand: inner } => return self.return_outcome(*inner, !negate),
            Inst::Test {
                pred,
                negated: Negated(negated),
            } => {
                let (pred, sense) = (*pred, Flag01(*negated == negate));
                self.push(if self.is_shared(pred) {
                    Instr::RetTestMemo { pred, sense }
                } else {
                    Instr::RetTest { pred, sense }
                });
            }
            inst @ (Inst::And { operands } | Inst::Or { operands }) => {
                let conjunction = matches!(inst, Inst::And { .. }) != negate;
                let operands = operands.clone();
                let Some((last, first)) = operands.split_last() else {
                    return Err(CodeError::Malformed("an operator without operands"));
                };
                let exit = self.ret_label(if conjunction {
                    RetKind::False
                } else {
                    RetKind::True
                });
                let pending = first.iter().any(|v| self.can_err(*v));
                if !first.is_empty() {
                    let flag = self.flag(0)?;
                    for operand in first {
                        self.operand(*operand, negate, !conjunction, exit, flag, 0)?;
                    }
                    if pending {
                        self.operand(*last, negate, !conjunction, exit, flag, 0)?;
                        let target = self.ret_label(RetKind::Error);
                        self.push(Instr::BrFlag { flag, target });
                        self.ret_bool(conjunction);
                        return Ok(());
                    }
                }
                return self.return_outcome(*last, negate);
            }
            Inst::Truth { value } => {
                let cond = self.read(*value)?;
                let target = self.ret_label(RetKind::True);
                self.push(if negate {
                    Instr::BrUnless { cond, target }
                } else {
                    Instr::BrIf { cond, target }
                });
                self.ret(RetKind::False);
            }
            no_outcome!() => return Err(CodeError::Malformed("an outcome is expected")),
        }
        Ok(())
    }
}
