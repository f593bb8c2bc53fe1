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
//!
//! # Places
//!
//! An instruction has the place of the value that it belongs to: a test that of its comparison, what joins operands that of
//! the operator. A terminator has that of the value that it reads, otherwise that of the instruction before it in its block.

mod data;
mod outcome;

use super::CodeError;
use crate::ir::{BlockId, Function, Inst, Loc, Program, Ref, ValueId, no_outcome};
use policy_bytecode::{Instr, Label, PredIdx, Reg, module};

/// Flags of a frame.
pub(super) const MAX_FLAGS: usize = 64;

/// The code of a function.
pub(super) struct Coded {
    pub(super) function: module::Function,
    /// Where each instruction was written.
    pub(super) locs: Vec<Option<Loc>>,
}

pub(super) fn function(program: &Program, function: &Function) -> Result<Coded, CodeError> {
    let mut cx = Code {
        program,
        function,
        fallible: fallible(program, function),
        code: Vec::new(),
        locs: Vec::new(),
        at: None,
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
    Ok(Coded {
        function: module::Function {
            params: narrow(function.blocks.first().map_or(0, |b| b.params.len()))?,
            registers: cx.next_register,
            flags: u8::try_from(cx.flags).map_err(|_| CodeError::TooManyFlags)?,
            iterators,
            builders,
            memoised: function.shared,
            guards: guards(function),
            code: cx.code,
        },
        locs: cx.locs,
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
    /// Parallel to `code`: where each instruction was written.
    locs: Vec<Option<Loc>>,
    /// Where what is being generated was written.
    at: Option<Loc>,
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
            self.at = None;
            for id in &block.insts {
                self.inst(*id)?;
            }
            self.terminator(&block.end)?;
        }
        self.at = function.single_outcome().and_then(|root| function.loc(root));
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
            self.locs.pop();
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
        self.locs.push(self.at);
    }

    /// Generates what belongs to a value at its place.
    fn at<T>(&mut self, id: ValueId, generate: impl FnOnce(&mut Self) -> T) -> T {
        let around = self.at;
        self.at = self.function.loc(id).or(around);
        let done = generate(self);
        self.at = around;
        done
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
}
