//! IR: functions of basic blocks over two kinds of values. Made by `lower`, rewritten by `passes`, read by `emit`.
//!
//! - **Outcomes** are true, false or error. `test`, `const`, `and`, `or`, `not` and `truth` make them. They are pure and
//!   evaluated lazily where a terminator asks for them; an operand that decides ends the evaluation of its `and` or
//!   `or`. Their meaning does not depend on the order of operands, so passes may choose it.
//! - **Data** are JSON values or undefined. The instructions that make them mirror the instruction set one to one, run
//!   where they stand, and live in registers. Conditions of documents use none; a front end with variables,
//!   iteration and calls lowers to them.
//!
//! ```text
//! rule "gateway-policy/r03" deny on_error=match {
//! b0:
//!   v0 = test llm.model matches "^gpt-4"
//!   v1 = test team.tier eq "free"
//!   v2 = and v0, v1
//!   ret v2
//! }
//! ```
//!
//! Values are in static single assignment form: a value is defined once, before its uses, in a block that dominates
//! them; blocks take parameters where paths meet. [`text`] prints and parses this form, [`verify`] checks it.

pub(crate) mod renumber;
pub mod text;
pub mod verify;

use crate::fields::is_computed;
use policy_bytecode::context::Shape;
use policy_bytecode::manifest::Manifest;
use policy_bytecode::module::{Decision, Field, Pattern};
use policy_bytecode::number::Arith;
use policy_bytecode::predicate::{PredOp, PredOperand};
use policy_bytecode::quantifier::Body;
use policy_bytecode::scan::Scan;
use policy_bytecode::{BuilderIdx, Const, ConstIdx, FieldIdx, IterIdx, PredIdx};
use policy_grammar::Span;
use std::fmt;

macro_rules! ids {
    ($( $(#[$doc:meta])* $name:ident = $prefix:literal; )*) => { $(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub u32);

        impl $name {
            /// As an index into its table.
            #[must_use]
            pub fn index(self) -> usize { self.0 as usize }

            /// From an index into its table.
            #[must_use]
            pub fn from_index(index: usize) -> Self { Self(u32::try_from(index).unwrap_or(u32::MAX)) }

            /// What its text form starts with.
            pub const PREFIX: &'static str = $prefix;
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { write!(f, "{}{}", $prefix, self.0) }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { write!(f, "{}{}", $prefix, self.0) }
        }
    )* };
}

ids! {
    /// A value of a function.
    ValueId = "v";
    /// A block of a function.
    BlockId = "b";
    /// A function of a program.
    FuncId = "fn";
}

/// Everything that will be one module, with the manifest that goes with it.
///
/// The manifest travels along because it names entries of the tables: whoever renumbers a table renumbers it too.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Program {
    /// Request fields.
    pub fields: Vec<Field>,
    /// Constants, items before their collections.
    pub consts: Vec<Const>,
    /// Regular expressions.
    pub patterns: Vec<Pattern>,
    /// Comparisons.
    pub predicates: Vec<Predicate>,
    /// What `any` and `all` ask of each element. A body stands behind what it names, as does a comparison that has it.
    pub bodies: Vec<Body>,
    /// Comparisons that are answered together by one pass over a text.
    pub scans: Vec<Scan>,
    /// Code.
    pub functions: Vec<Function>,
    /// In evaluation order.
    pub rules: Vec<Rule>,
    /// Ids of the policies, in evaluation order.
    pub policies: Vec<String>,
    /// Reasons, metadata, modifications, condition trees.
    pub manifest: Manifest,
}

/// One comparison.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Predicate {
    /// What is asked.
    pub op: PredOp,
    /// Of which field.
    pub field: FieldIdx,
    /// Compared with what.
    pub operand: PredOperand,
    /// Its outcome is kept, because several places ask.
    pub shared: bool,
    /// The first place that asks; `None` in programs read from text.
    pub span: Option<Span>,
}

/// One rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// `policy/rule`, for people.
    pub name: String,
    /// Index of its policy.
    pub policy: u32,
    /// A function without parameters that returns an outcome.
    pub condition: FuncId,
    /// What it decides.
    pub decision: Decision,
    /// Whether it fires when its condition is an error.
    pub fires_on_error: bool,
    /// Where its id stands; `None` in programs read from text.
    pub span: Option<Span>,
}

/// One function. Block 0 is the entry; its parameters are the function's.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Function {
    /// What the values are, by [`ValueId`]. A value that no block lists is dead.
    pub values: Vec<Inst>,
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

/// Kind of a collection under construction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Collection {
    /// Array.
    Array,
    /// Object.
    Object,
    /// Set.
    Set,
}

/// An instruction. All but the effects (`iter_begin`, `build_…` except `build_end`) define a value.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Inst {
    /// A parameter of a block.
    Param,
    /// Outcome: a comparison, negated when `negated`.
    Test {
        /// The comparison.
        pred: PredIdx,
        /// Whether its outcome is negated.
        negated: bool,
    },
    /// Outcome: a constant.
    Const(bool),
    /// Outcome: three-valued conjunction of at least one operand.
    And(Vec<ValueId>),
    /// Outcome: three-valued disjunction of at least one operand.
    Or(Vec<ValueId>),
    /// Outcome: negation.
    Not(ValueId),
    /// Outcome of data: true for exactly `true`, else false.
    Truth(ValueId),
    /// Data: a request field.
    LoadField(FieldIdx),
    /// Data: a constant.
    LoadConst(ConstIdx),
    /// Data: undefined.
    Undefined,
    /// Data: an element or member.
    Get {
        /// Of what.
        object: ValueId,
        /// Which.
        key: ValueId,
    },
    /// Data: number of elements, members or characters.
    Len(ValueId),
    /// Data: deep equality.
    Eq(ValueId, ValueId),
    /// Data: less.
    Lt(ValueId, ValueId),
    /// Data: less or equal.
    Lte(ValueId, ValueId),
    /// Data: arithmetic on numbers.
    Arith(Arith, ValueId, ValueId),
    /// Data: the result of a function.
    Call {
        /// Which.
        function: FuncId,
        /// As many as it has parameters.
        args: Vec<ValueId>,
    },
    /// Effect: starts an iterator.
    IterBegin {
        /// Which.
        iter: IterIdx,
        /// Over what.
        src: ValueId,
    },
    /// Effect: starts a collection.
    BuildBegin {
        /// Where.
        builder: BuilderIdx,
        /// Of which kind.
        kind: Collection,
    },
    /// Effect: adds an element.
    BuildPush {
        /// Where.
        builder: BuilderIdx,
        /// Which.
        value: ValueId,
    },
    /// Effect: adds a member.
    BuildInsert {
        /// Where.
        builder: BuilderIdx,
        /// Under which key.
        key: ValueId,
        /// Which.
        value: ValueId,
    },
    /// Data: the finished collection.
    BuildEnd(BuilderIdx),
}

/// How a block ends.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Terminator {
    /// Leaves the function with an outcome or with data.
    Ret(ValueId),
    /// Goes on at a block.
    Jump {
        /// Where.
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
        /// Which.
        iter: IterIdx,
        /// Where with them: a block of two parameters.
        body: BlockId,
        /// Where when there is none: a block without parameters.
        done: BlockId,
    },
}

/// What a value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// True, false or error; evaluated lazily.
    Outcome,
    /// JSON or undefined; in a register.
    Data,
    /// Nothing: done for its effect.
    Effect,
}

impl Inst {
    /// What it makes.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Self::Test { .. }
            | Self::Const(_)
            | Self::And(_)
            | Self::Or(_)
            | Self::Not(_)
            | Self::Truth(_) => Kind::Outcome,
            Self::Param
            | Self::LoadField(_)
            | Self::LoadConst(_)
            | Self::Undefined
            | Self::Get { .. }
            | Self::Len(_)
            | Self::Eq(..)
            | Self::Lt(..)
            | Self::Lte(..)
            | Self::Arith(..)
            | Self::Call { .. }
            | Self::BuildEnd(_) => Kind::Data,
            Self::IterBegin { .. }
            | Self::BuildBegin { .. }
            | Self::BuildPush { .. }
            | Self::BuildInsert { .. } => Kind::Effect,
        }
    }

    /// Calls `visit` with each operand, in order.
    pub fn operands(&self, mut visit: impl FnMut(ValueId)) {
        match self {
            Self::And(vs) | Self::Or(vs) | Self::Call { args: vs, .. } => vs.iter().copied().for_each(visit),
            Self::Not(v) | Self::Truth(v) | Self::Len(v) => visit(*v),
            Self::IterBegin { src: v, .. } | Self::BuildPush { value: v, .. } => visit(*v),
            Self::Get { object: a, key: b }
            | Self::Eq(a, b)
            | Self::Lt(a, b)
            | Self::Lte(a, b)
            | Self::Arith(_, a, b)
            | Self::BuildInsert { key: a, value: b, .. } => {
                visit(*a);
                visit(*b);
            }
            Self::Param
            | Self::Test { .. }
            | Self::Const(_)
            | Self::LoadField(_)
            | Self::LoadConst(_)
            | Self::Undefined
            | Self::BuildBegin { .. }
            | Self::BuildEnd(_) => {}
        }
    }

    /// Replaces each operand by what `map` says.
    pub fn map_operands(&mut self, mut map: impl FnMut(ValueId) -> ValueId) {
        match self {
            Self::And(vs) | Self::Or(vs) | Self::Call { args: vs, .. } => {
                vs.iter_mut().for_each(|v| *v = map(*v));
            }
            Self::Not(v) | Self::Truth(v) | Self::Len(v) => *v = map(*v),
            Self::IterBegin { src: v, .. } | Self::BuildPush { value: v, .. } => *v = map(*v),
            Self::Get { object: a, key: b }
            | Self::Eq(a, b)
            | Self::Lt(a, b)
            | Self::Lte(a, b)
            | Self::Arith(_, a, b)
            | Self::BuildInsert { key: a, value: b, .. } => {
                *a = map(*a);
                *b = map(*b);
            }
            Self::Param
            | Self::Test { .. }
            | Self::Const(_)
            | Self::LoadField(_)
            | Self::LoadConst(_)
            | Self::Undefined
            | Self::BuildBegin { .. }
            | Self::BuildEnd(_) => {}
        }
    }
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

    /// Appends an instruction to a block and returns its value.
    pub fn push(&mut self, block: BlockId, inst: Inst) -> ValueId {
        let id = ValueId::from_index(self.values.len());
        self.values.push(inst);
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

impl Program {
    /// For each comparison, whether its outcome has to be kept: it asks a body, which is dear, or is asked by one, for
    /// every element anew.
    #[must_use]
    pub fn kept(&self) -> Vec<bool> {
        let asks = |p: &Predicate| matches!(p.operand, PredOperand::Body(_));
        let mut kept: Vec<bool> = self.predicates.iter().map(asks).collect();
        for body in &self.bodies {
            body.preds(|pred| {
                if let Some(place) = kept.get_mut(pred.index()) {
                    *place = true;
                }
            });
        }
        kept
    }

    /// Marks what has to be kept as shared.
    pub(crate) fn keep_what_bodies_share(&mut self) {
        if self.bodies.is_empty() {
            return;
        }
        for (predicate, kept) in self.kept().into_iter().enumerate() {
            if let Some(predicate) = self.predicates.get_mut(predicate).filter(|_| kept) {
                predicate.shared = true;
            }
        }
    }

    /// Whether a predicate can be an error. Missing fields never are; computed ones, and what lies in them, can be for
    /// every operator, because a price may be unknown, and so can known fields, because a request may hold a list where
    /// a text belongs.
    #[must_use]
    pub fn fallible(&self, pred: PredIdx) -> bool {
        let Some(predicate) = self.predicates.get(pred.index()) else {
            return true;
        };
        predicate.op.fallible()
            || matches!(predicate.operand, PredOperand::Field(_))
            || self
                .fields
                .get(predicate.field.index())
                .is_none_or(|f| is_computed(&f.path) || Shape::can_mismatch(&f.path))
    }
}
