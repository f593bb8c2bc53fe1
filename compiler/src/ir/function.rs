//! Functions of basic blocks, how blocks end, and the walks over both.

use super::{BlockId, Inst, Kind, Loc, Locs, ValueId};
use policy_bytecode::IterIdx;

/// One function. Block 0 is the entry; its parameters are the function's.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Function {
    /// What the values are, by [`ValueId`]. A value that no block lists is dead.
    pub values: Vec<Inst>,
    /// Where they were written. No part of what makes two functions equal.
    pub locs: Locs,
    /// Code.
    pub blocks: Vec<Block>,
    /// Its result is kept within one evaluation, because several places ask.
    pub shared: bool,
    /// Lists of `test`s without negation. Where all of one list are false, so is the function: what the index reaches
    /// rules through. Chosen by the last pass; a function that is rebuilt has none.
    pub guards: Vec<Vec<ValueId>>,
}

/// One basic block.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Block {
    /// Values that whoever jumps here hands over; all are [`Inst::Param`].
    pub params: Vec<ValueId>,
    /// Instructions, in order; values are defined before they are used.
    pub insts: Vec<ValueId>,
    /// How it ends.
    pub end: Terminator,
}

/// How a block ends.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Terminator {
    /// Leaves the function with an outcome or with data.
    Ret(ValueId),
    /// Goes on at a block.
    Jump {
        /// The block that follows.
        target: BlockId,
        /// As many as it has parameters.
        args: Vec<ValueId>,
    },
    /// Goes on by an outcome; the blocks have no parameters.
    Split {
        /// The outcome.
        cond: ValueId,
        /// Where when true.
        on_true: BlockId,
        /// Where when false.
        on_false: BlockId,
        /// Where when it is an error.
        on_error: BlockId,
    },
    /// Goes on by whether data are undefined; the blocks have no parameters.
    Defined {
        /// The data.
        src: ValueId,
        /// Where when they are there.
        defined: BlockId,
        /// Where when not.
        undefined: BlockId,
    },
    /// Takes the next key and value of an iterator.
    IterNext {
        /// The iterator that is advanced.
        iter: IterIdx,
        /// Where with them: a block of two parameters.
        body: BlockId,
        /// Where when there is none: a block without parameters.
        done: BlockId,
    },
}

impl Terminator {
    /// Calls `visit` with each value that it reads.
    pub fn operands(&self, mut visit: impl FnMut(ValueId)) {
        match self {
            Self::Ret(v) | Self::Split { cond: v, .. } | Self::Defined { src: v, .. } => visit(*v),
            Self::Jump { args, .. } => args.iter().copied().for_each(visit),
            Self::IterNext { .. } => {}
        }
    }

    /// Replaces each value that it reads by what `map` says.
    pub fn map_operands(&mut self, mut map: impl FnMut(ValueId) -> ValueId) {
        match self {
            Self::Ret(v) | Self::Split { cond: v, .. } | Self::Defined { src: v, .. } => *v = map(*v),
            Self::Jump { args, .. } => args.iter_mut().for_each(|v| *v = map(*v)),
            Self::IterNext { .. } => {}
        }
    }

    /// Calls `visit` with each block that may come next.
    pub fn targets(&self, mut visit: impl FnMut(BlockId)) {
        match self {
            Self::Ret(_) => {}
            Self::Jump { target, .. } => visit(*target),
            Self::Split {
                on_true,
                on_false,
                on_error,
                ..
            } => {
                visit(*on_true);
                visit(*on_false);
                visit(*on_error);
            }
            Self::Defined {
                defined, undefined, ..
            } => {
                visit(*defined);
                visit(*undefined);
            }
            Self::IterNext { body, done, .. } => {
                visit(*body);
                visit(*done);
            }
        }
    }
}

impl Function {
    /// A function of one empty block that returns nothing yet; see [`Function::push`].
    #[must_use]
    pub fn new() -> Self {
        Self {
            values: Vec::new(),
            locs: Locs::default(),
            blocks: vec![Block {
                params: Vec::new(),
                insts: Vec::new(),
                end: Terminator::Ret(ValueId(u32::MAX)),
            }],
            shared: false,
            guards: Vec::new(),
        }
    }

    /// What a value is; `None` for an id of another function.
    #[must_use]
    pub fn value(&self, id: ValueId) -> Option<&Inst> {
        self.values.get(id.index())
    }

    /// Gives back memory that its tables do not use.
    pub(super) fn shrink(&mut self) {
        self.values.shrink_to_fit();
        self.locs.shrink();
        self.blocks.shrink_to_fit();
        for block in &mut self.blocks {
            block.params.shrink_to_fit();
            block.insts.shrink_to_fit();
        }
    }

    /// Where a value was written; `None` where that is not known.
    #[must_use]
    pub fn loc(&self, id: ValueId) -> Option<Loc> {
        self.locs.get(id)
    }

    /// Makes a value that no block lists yet, written at `loc`.
    pub fn add(&mut self, inst: Inst, loc: Option<Loc>) -> ValueId {
        let id = ValueId::from_index(self.values.len());
        self.values.push(inst);
        self.locs.set(id, loc);
        id
    }

    /// Appends an instruction, written at `loc`, to a block and returns its value.
    pub fn push(&mut self, block: BlockId, inst: Inst, loc: Option<Loc>) -> ValueId {
        let id = self.add(inst, loc);
        if let Some(block) = self.blocks.get_mut(block.index()) {
            block.insts.push(id);
        }
        id
    }

    /// The outcome that a function of one block returns; `None` for any other function.
    #[must_use]
    pub fn single_outcome(&self) -> Option<ValueId> {
        match self.blocks.as_slice() {
            [
                Block {
                    end: Terminator::Ret(v),
                    ..
                },
            ] if self.value(*v)?.kind() == Kind::Outcome => Some(*v),
            _ => None,
        }
    }

    /// Calls `visit` with every listed instruction, block by block.
    pub fn each_inst(&self, mut visit: impl FnMut(ValueId, &Inst)) {
        for id in self.blocks.iter().flat_map(|b| &b.insts) {
            if let Some(inst) = self.value(*id) {
                visit(*id, inst);
            }
        }
    }
}
