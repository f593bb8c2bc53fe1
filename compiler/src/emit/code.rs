//! Code generation for one function: outcome trees become short-circuit code, data become registers.
//!
//! # Outcomes
//!
//! An `and` leaves at once with the first operand that is false. An operand that is an error raises the flag of the
//! `and` and the next operand is tried, because a false one may still follow:
//!
//! ```text
//! and a, b  →  T, F, E          or a, b  →  T, F, E
//!   test a, 0, e0, F              test a, 1, e0, T
//!   test b, 0, e0, F              test b, 1, e0, T
//!   br_flag e0, E                 br_flag e0, E
//!   jump T                        jump F
//! ```
//!
//! `not` changes the sense and costs nothing. A nested operator uses the next flag, lowers it first when code before
//! may have raised it, and turns its own error into the flag of the operator around it. Where no operand can be an
//! error, the `br_flag` is left out; then the last operand of a returned condition becomes a `ret_test`.
//!
//! # Data
//!
//! Every value has a register of its own. Reusing registers is not worth its complexity for frames of this size.

use super::CodeError;
use crate::ir::{BlockId, Function, Inst, Kind, Negated, Program, Ref, Terminator, ValueId, no_outcome};
use policy_bytecode::instr::{Dst, Flag01, Src, SrcRange};
use policy_bytecode::{FlagIdx, FuncIdx, Instr, Label, PredIdx, Reg, module};

/// Flags of a frame.
pub(super) const MAX_FLAGS: usize = 64;

pub(super) fn function(program: &Program, function: &Function) -> Result<module::Function, CodeError> {
    let mut cx = Code {
        program,
        function,
        fallible: fallible(program, function),
        code: Vec::new(),
        labels: Vec::new(),
        bound_here: Vec::new(),
        // A block may be entered again, so nothing is known about flags in functions of several.
        dirty: [function.blocks.len() > 1; MAX_FLAGS],
        flags: 0,
        registers: vec![None; function.values.len()],
        next_register: 0,
        blocks: Vec::new(),
        rets: [None; 3],
    };
    cx.generate()?;
    let (iterators, builders) = frame_counts(function);
    Ok(module::Function {
        params: narrow(function.blocks.first().map_or(0, |b| b.params.len()))?,
        registers: cx.next_register,
        flags: u8::try_from(cx.flags).map_err(|_| CodeError::TooManyFlags)?,
        iterators,
        builders,
        memoised: function.shared,
        guards: guards(function),
        code: cx.code,
    })
}

fn narrow(n: usize) -> Result<u16, CodeError> {
    u16::try_from(n).map_err(|_| CodeError::TooManyRegisters)
}

/// The guards, by predicate.
fn guards(function: &Function) -> Vec<Vec<PredIdx>> {
    let pred = |test: &ValueId| match function.value(*test) {
        Some(Inst::Test { pred, .. }) => Some(*pred),
        _other => None,
    };
    let guards = function.guards.iter();
    guards
        .map(|guard| guard.iter().filter_map(pred).collect())
        .collect()
}

/// Iterators and builders that a frame needs.
fn frame_counts(function: &Function) -> (u8, u8) {
    let (mut iterators, mut builders) = (0, 0);
    for inst in &function.values {
        inst.refs(|named| match named {
            Ref::Iter(iter) => iterators = iterators.max(iter.0.saturating_add(1)),
            Ref::Builder(builder) => builders = builders.max(builder.0.saturating_add(1)),
            Ref::Value(_) | Ref::Pred(_) | Ref::Field(_) | Ref::Const(_) | Ref::Func(_) => {}
        });
    }
    (iterators, builders)
}

/// Which outcomes can be errors, by value.
fn fallible(program: &Program, function: &Function) -> Vec<bool> {
    let mut out = vec![false; function.values.len()];
    function.each_inst(|id, inst| {
        let own = match inst {
            Inst::Test { pred, .. } => program.fallible(*pred),
            Inst::And { operands } | Inst::Or { operands } => operands
                .iter()
                .any(|v| out.get(v.index()).copied().unwrap_or(true)),
            Inst::Not { operand: v } => out.get(v.index()).copied().unwrap_or(true),
            Inst::Const { .. } | Inst::Truth { .. } | no_outcome!() => false,
        };
        if let Some(place) = out.get_mut(id.index()) {
            *place = own;
        }
    });
    out
}

/// The three ways out of an outcome.
#[derive(Clone, Copy)]
struct Targets {
    on_true: Label,
    on_false: Label,
    on_error: Label,
}

/// Which `ret_…` a label stands for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum RetKind {
    True = 0,
    False = 1,
    Error = 2,
}

struct Code<'a> {
    program: &'a Program,
    function: &'a Function,
    fallible: Vec<bool>,
    /// Jump targets are numbers of `labels` until the end.
    code: Vec<Instr>,
    /// Instruction of each label, once bound.
    labels: Vec<Option<u32>>,
    /// Labels bound to the next instruction.
    bound_here: Vec<Label>,
    /// Flags that code so far may have raised.
    dirty: [bool; MAX_FLAGS],
    /// Flags in use.
    flags: usize,
    registers: Vec<Option<Reg>>,
    next_register: u16,
    blocks: Vec<Label>,
    /// Labels of the `ret_…` instructions at the end, where something jumps to them.
    rets: [Option<Label>; 3],
}

impl Code<'_> {
    fn generate(&mut self) -> Result<(), CodeError> {
        let function = self.function;
        self.blocks = function.blocks.iter().map(|_| self.label()).collect();
        for block in &function.blocks {
            for param in &block.params {
                self.register(*param)?;
            }
        }
        for (i, block) in function.blocks.iter().enumerate() {
            self.bind(self.block(BlockId::from_index(i))?);
            for id in &block.insts {
                self.inst(*id)?;
            }
            self.terminator(&block.end)?;
        }
        for kind in [RetKind::True, RetKind::False, RetKind::Error] {
            if let Some(label) = self.rets.get(kind as usize).copied().flatten() {
                self.bind(label);
                self.ret(kind);
            }
        }
        self.patch()
    }

    // Labels

    fn label(&mut self) -> Label {
        self.labels.push(None);
        Label(u32::try_from(self.labels.len() - 1).unwrap_or(u32::MAX))
    }

    fn block(&self, block: BlockId) -> Result<Label, CodeError> {
        self.blocks
            .get(block.index())
            .copied()
            .ok_or(CodeError::Malformed("a block does not exist"))
    }

    fn ret_label(&mut self, kind: RetKind) -> Label {
        if let Some(label) = self.rets.get(kind as usize).copied().flatten() {
            return label;
        }
        let label = self.label();
        if let Some(place) = self.rets.get_mut(kind as usize) {
            *place = Some(label);
        }
        label
    }

    /// The next instruction is where `label` leads. A jump there that would be the instruction before is dropped.
    fn bind(&mut self, label: Label) {
        if matches!(self.code.last(), Some(Instr::Jump { target }) if *target == label) {
            self.code.pop();
            let here = self.here();
            for bound in std::mem::take(&mut self.bound_here) {
                self.set(bound, here);
                self.bound_here.push(bound);
            }
        }
        let here = self.here();
        self.set(label, here);
        self.bound_here.push(label);
    }

    fn here(&self) -> u32 {
        u32::try_from(self.code.len()).unwrap_or(u32::MAX)
    }

    fn set(&mut self, label: Label, at: u32) {
        if let Some(place) = self.labels.get_mut(label.index()) {
            *place = Some(at);
        }
    }

    fn patch(&mut self) -> Result<(), CodeError> {
        if u32::try_from(self.code.len()).is_err() {
            return Err(CodeError::TooLong);
        }
        let labels = &self.labels;
        let mut unbound = false;
        for instr in &mut self.code {
            *instr = instr.map_labels(|label| match labels.get(label.index()).copied().flatten() {
                Some(at) => Label(at),
                None => {
                    unbound = true;
                    label
                }
            });
        }
        if unbound {
            return Err(CodeError::Malformed("a label is never bound"));
        }
        Ok(())
    }

    fn push(&mut self, instr: Instr) {
        self.bound_here.clear();
        self.code.push(instr);
    }

    /// Goes to `label`; directly returns where that is all the label does.
    fn jump(&mut self, label: Label) {
        for kind in [RetKind::True, RetKind::False, RetKind::Error] {
            if self.rets.get(kind as usize).copied().flatten() == Some(label) {
                return self.ret(kind);
            }
        }
        self.push(Instr::Jump { target: label });
    }

    fn ret(&mut self, kind: RetKind) {
        self.push(match kind {
            RetKind::True => Instr::RetTrue {},
            RetKind::False => Instr::RetFalse {},
            RetKind::Error => Instr::RetError {},
        });
    }

    fn ret_bool(&mut self, value: bool) {
        self.ret(if value { RetKind::True } else { RetKind::False });
    }

    // Outcomes

    fn outcome(&self, id: ValueId) -> Result<&Inst, CodeError> {
        self.function
            .values
            .get(id.index())
            .filter(|inst| inst.kind() == Kind::Outcome)
            .ok_or(CodeError::Malformed("an outcome is expected"))
    }

    fn can_err(&self, id: ValueId) -> bool {
        self.fallible.get(id.index()).copied().unwrap_or(true)
    }

    /// The flag of nesting depth `depth`, lowered.
    ///
    /// A flag that was raised once stays suspect to the end: the instruction that lowers it may itself be jumped over
    /// by an operand that decides early.
    fn flag(&mut self, depth: usize) -> Result<FlagIdx, CodeError> {
        let dirty = *self.dirty.get(depth).ok_or(CodeError::TooManyFlags)?;
        let flag = FlagIdx(u8::try_from(depth).map_err(|_| CodeError::TooManyFlags)?);
        self.flags = self.flags.max(depth + 1);
        if dirty {
            self.push(Instr::ClearFlag { flag });
        }
        Ok(flag)
    }

    fn raised(&mut self, flag: FlagIdx) {
        if let Some(dirty) = self.dirty.get_mut(flag.index()) {
            *dirty = true;
        }
    }

    fn test(&mut self, pred: PredIdx, sense: bool, flag: FlagIdx, target: Label) {
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

    fn is_shared(&self, pred: PredIdx) -> bool {
        self.program
            .predicates
            .get(pred.index())
            .is_some_and(|p| p.shared)
    }

    /// Goes to one of three places by the outcome `id`, negated when `negate`. Never falls through.
    fn split(&mut self, id: ValueId, negate: bool, depth: usize, to: Targets) -> Result<(), CodeError> {
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
    fn operand(
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
    fn return_outcome(&mut self, id: ValueId, negate: bool) -> Result<(), CodeError> {
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

    // Data

    fn fresh(&mut self) -> Result<Reg, CodeError> {
        let register = Reg(self.next_register);
        self.next_register = self
            .next_register
            .checked_add(1)
            .ok_or(CodeError::TooManyRegisters)?;
        Ok(register)
    }

    fn register(&mut self, id: ValueId) -> Result<Reg, CodeError> {
        let register = self.fresh()?;
        let place = self
            .registers
            .get_mut(id.index())
            .ok_or(CodeError::Malformed("a value does not exist"))?;
        *place = Some(register);
        Ok(register)
    }

    fn read(&self, id: ValueId) -> Result<Src, CodeError> {
        self.registers
            .get(id.index())
            .copied()
            .flatten()
            .map(Src)
            .ok_or(CodeError::Malformed("data are read before they are made"))
    }

    fn binary(
        &mut self,
        id: ValueId,
        lhs: ValueId,
        rhs: ValueId,
        make: fn(Dst, Src, Src) -> Instr,
    ) -> Result<Instr, CodeError> {
        let (lhs, rhs) = (self.read(lhs)?, self.read(rhs)?);
        Ok(make(Dst(self.register(id)?), lhs, rhs))
    }

    fn inst(&mut self, id: ValueId) -> Result<(), CodeError> {
        let function = self.function;
        let inst = function
            .value(id)
            .ok_or(CodeError::Malformed("a value does not exist"))?;
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

    fn terminator(&mut self, end: &Terminator) -> Result<(), CodeError> {
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
    fn hand_over(&mut self, target: BlockId, args: &[ValueId]) -> Result<(), CodeError> {
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
