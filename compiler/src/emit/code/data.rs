//! Data to registers, and terminators to jumps.

use super::{Code, Targets};
use crate::emit::CodeError;
use crate::ir::{BlockId, Inst, Kind, Terminator, ValueId};
use policy_bytecode::instr::{Dst, Src, SrcRange};
use policy_bytecode::{FuncIdx, Instr, Reg};

impl Code<'_> {
    pub(super) fn fresh(&mut self) -> Result<Reg, CodeError> {
        let register = Reg(self.next_register);
        self.next_register = self
            .next_register
            .checked_add(1)
            .ok_or(CodeError::TooManyRegisters)?;
        Ok(register)
    }

    pub(super) fn register(&mut self, id: ValueId) -> Result<Reg, CodeError> {
        let register = self.fresh()?;
        let place = self
            .registers
            .get_mut(id.index())
            .ok_or(CodeError::Malformed("a value does not exist"))?;
        *place = Some(register);
        Ok(register)
    }

    pub(super) fn read(&self, id: ValueId) -> Result<Src, CodeError> {
        self.registers
            .get(id.index())
            .copied()
            .flatten()
            .map(Src)
            .ok_or(CodeError::Malformed("data are read before they are made"))
    }

    pub(super) fn binary(
        &mut self,
        id: ValueId,
        lhs: ValueId,
        rhs: ValueId,
        make: fn(Dst, Src, Src) -> Instr,
    ) -> Result<Instr, CodeError> {
        let (lhs, rhs) = (self.read(lhs)?, self.read(rhs)?);
        Ok(make(Dst(self.register(id)?), lhs, rhs))
    }

    pub(super) fn inst(&mut self, id: ValueId) -> Result<(), CodeError> {
        let function = self.function;
        let inst = function
            .value(id)
            .ok_or(CodeError::Malformed("a value does not exist"))?;
        self.at = function.loc(id);
        let instr = match inst {
            // Outcomes are code only where they are asked for.
            Inst::Test { .. }
            | Inst::Const { .. }
            | Inst::And { .. }
            | Inst::Or { .. }
            | Inst::Not { .. }
            | Inst::Truth { .. } => {
                return Ok(());
            }
            Inst::Param {} => return Err(CodeError::Malformed("a parameter among instructions")),
            Inst::LoadField { field } => Instr::LoadField {
                dst: Dst(self.register(id)?),
                field: *field,
            },
            Inst::LoadConst { k } => Instr::LoadConst {
                dst: Dst(self.register(id)?),
                k: *k,
            },
            Inst::Undefined {} => Instr::LoadUndefined {
                dst: Dst(self.register(id)?),
            },
            Inst::Get { object, key } => {
                let (object, key) = (self.read(*object)?, self.read(*key)?);
                Instr::Get {
                    dst: Dst(self.register(id)?),
                    object,
                    key,
                }
            }
            Inst::Len { src } => {
                let src = self.read(*src)?;
                Instr::Len {
                    dst: Dst(self.register(id)?),
                    src,
                }
            }
            Inst::Eq { lhs, rhs } => {
                self.binary(id, *lhs, *rhs, |dst, lhs, rhs| Instr::Eq { dst, lhs, rhs })?
            }
            Inst::Lt { lhs, rhs } => {
                self.binary(id, *lhs, *rhs, |dst, lhs, rhs| Instr::Lt { dst, lhs, rhs })?
            }
            Inst::Lte { lhs, rhs } => {
                self.binary(id, *lhs, *rhs, |dst, lhs, rhs| Instr::Lte { dst, lhs, rhs })?
            }
            Inst::Add { lhs, rhs } => {
                self.binary(id, *lhs, *rhs, |dst, lhs, rhs| Instr::Add { dst, lhs, rhs })?
            }
            Inst::Sub { lhs, rhs } => {
                self.binary(id, *lhs, *rhs, |dst, lhs, rhs| Instr::Sub { dst, lhs, rhs })?
            }
            Inst::Mul { lhs, rhs } => {
                self.binary(id, *lhs, *rhs, |dst, lhs, rhs| Instr::Mul { dst, lhs, rhs })?
            }
            Inst::Div { lhs, rhs } => {
                self.binary(id, *lhs, *rhs, |dst, lhs, rhs| Instr::Div { dst, lhs, rhs })?
            }
            Inst::Rem { lhs, rhs } => {
                self.binary(id, *lhs, *rhs, |dst, lhs, rhs| Instr::Rem { dst, lhs, rhs })?
            }
            Inst::Call { function, args } => {
                let values = args
                    .iter()
                    .map(|a| self.read(*a))
                    .collect::<Result<Vec<_>, _>>()?;
                // Arguments stand in consecutive registers.
                let first = Reg(self.next_register);
                for src in values {
                    let dst = Dst(self.fresh()?);
                    self.push(Instr::Mov { dst, src });
                }
                let count = u8::try_from(args.len()).map_err(|_| CodeError::TooManyRegisters)?;
                Instr::Call {
                    dst: Dst(self.register(id)?),
                    f: FuncIdx(function.0),
                    args: SrcRange { first, count },
                }
            }
            Inst::IterBegin { iter, src } => Instr::IterBegin {
                iter: *iter,
                src: self.read(*src)?,
            },
            Inst::BuildArray { builder } => Instr::BuildArray { builder: *builder },
            Inst::BuildObject { builder } => Instr::BuildObject { builder: *builder },
            Inst::BuildSet { builder } => Instr::BuildSet { builder: *builder },
            Inst::BuildPush { builder, value } => Instr::BuildPush {
                builder: *builder,
                value: self.read(*value)?,
            },
            Inst::BuildInsert { builder, key, value } => Instr::BuildInsert {
                builder: *builder,
                key: self.read(*key)?,
                value: self.read(*value)?,
            },
            Inst::BuildEnd { builder } => Instr::BuildEnd {
                dst: Dst(self.register(id)?),
                builder: *builder,
            },
        };
        self.push(instr);
        Ok(())
    }

    pub(super) fn terminator(&mut self, end: &Terminator) -> Result<(), CodeError> {
        let read = match end {
            Terminator::Ret(v) | Terminator::Split { cond: v, .. } | Terminator::Defined { src: v, .. } => {
                Some(*v)
            }
            Terminator::Jump { .. } | Terminator::IterNext { .. } => None,
        };
        self.at = read.and_then(|v| self.function.loc(v)).or(self.at);
        match end {
            Terminator::Ret(v) => match self.function.value(*v).map(Inst::kind) {
                Some(Kind::Outcome) => self.return_outcome(*v, false)?,
                Some(Kind::Data) => {
                    let value = self.read(*v)?;
                    self.push(Instr::Ret { value });
                }
                Some(Kind::Effect) | None => return Err(CodeError::Malformed("an effect is returned")),
            },
            Terminator::Jump { target, args } => {
                self.hand_over(*target, args)?;
                let label = self.block(*target)?;
                self.jump(label);
            }
            Terminator::Split {
                cond,
                on_true,
                on_false,
                on_error,
            } => {
                let to = Targets {
                    on_true: self.block(*on_true)?,
                    on_false: self.block(*on_false)?,
                    on_error: self.block(*on_error)?,
                };
                self.split(*cond, false, 0, to)?;
            }
            Terminator::Defined {
                src,
                defined,
                undefined,
            } => {
                let src = self.read(*src)?;
                let target = self.block(*undefined)?;
                self.push(Instr::BrUndefined { src, target });
                let label = self.block(*defined)?;
                self.jump(label);
            }
            Terminator::IterNext { iter, body, done } => {
                let target = self.function.blocks.get(body.index());
                let Some([key, value]) = target.map(|b| b.params.as_slice()) else {
                    return Err(CodeError::Malformed(
                        "the body of an iteration takes a key and a value",
                    ));
                };
                let (Src(key), Src(value)) = (self.read(*key)?, self.read(*value)?);
                let done = self.block(*done)?;
                self.push(Instr::IterNext {
                    iter: *iter,
                    key: Dst(key),
                    value: Dst(value),
                    done,
                });
                let label = self.block(*body)?;
                self.jump(label);
            }
        }
        Ok(())
    }

    /// Puts `args` into the parameters of `target`, all at once: an argument may itself be one of the parameters.
    pub(super) fn hand_over(&mut self, target: BlockId, args: &[ValueId]) -> Result<(), CodeError> {
        let params = self
            .function
            .blocks
            .get(target.index())
            .map_or(&[][..], |b| b.params.as_slice());
        if params.len() != args.len() {
            return Err(CodeError::Malformed("a jump passes the wrong number of values"));
        }
        let mut moves = Vec::with_capacity(args.len());
        for (param, arg) in params.iter().zip(args) {
            let (Src(dst), src) = (self.read(*param)?, self.read(*arg)?);
            if dst != src.0 {
                moves.push((dst, src));
            }
        }
        let overlap = moves
            .iter()
            .any(|(_, src)| moves.iter().any(|(dst, _)| *dst == src.0));
        if overlap {
            for (_, src) in &mut moves {
                let temporary = self.fresh()?;
                self.push(Instr::Mov {
                    dst: Dst(temporary),
                    src: *src,
                });
                *src = Src(temporary);
            }
        }
        for (dst, src) in moves {
            self.push(Instr::Mov { dst: Dst(dst), src });
        }
        Ok(())
    }
}
