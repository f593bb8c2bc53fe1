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
//!
//! Every value that lowering makes knows the place that it was written at ([`Function::loc`]). What a pass makes has the place
//! of what it is made for, and of two equal values that become one the first stays.

mod function;
mod inst;
mod loc;
mod pattern;
pub(crate) mod renumber;
pub mod text;
pub mod verify;

pub use function::{Block, Function, Terminator};
pub(crate) use inst::no_outcome;
pub use inst::{Inst, Kind, Negated, Operands, Ref, RefMut};
pub use loc::{Loc, Locs};
pub use pattern::{Engine, Pattern, Reason};

use crate::context::can_mismatch;
use crate::fields::is_computed;
use policy_bytecode::manifest::Manifest;
use policy_bytecode::module::{Decision, Field};
use policy_bytecode::predicate::{PredOp, PredOperand};
use policy_bytecode::quantifier::Body;
use policy_bytecode::scan::Scan;
use policy_bytecode::{Const, FieldIdx, PredIdx};
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
    /// Where each node of the condition trees was written, parallel to [`Manifest::conditions`]; empty in programs read from
    /// text.
    pub condition_locs: Vec<Loc>,
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
    pub loc: Option<Loc>,
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
    pub loc: Option<Loc>,
}

impl Program {
    /// Gives back memory that its tables do not use: programs of units are kept for as long as their policies stay.
    pub(crate) fn shrink(&mut self) {
        let Self {
            fields,
            consts,
            patterns,
            predicates,
            bodies,
            scans,
            functions,
            rules,
            policies,
            manifest,
            condition_locs,
        } = self;
        fields.shrink_to_fit();
        consts.shrink_to_fit();
        patterns.shrink_to_fit();
        predicates.shrink_to_fit();
        bodies.shrink_to_fit();
        scans.shrink_to_fit();
        functions.shrink_to_fit();
        functions.iter_mut().for_each(Function::shrink);
        rules.shrink_to_fit();
        policies.shrink_to_fit();
        condition_locs.shrink_to_fit();
        manifest.policies.shrink_to_fit();
        manifest.rules.shrink_to_fit();
        manifest.conditions.shrink_to_fit();
        manifest.templates.shrink_to_fit();
        manifest.values.shrink_to_fit();
    }

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
                .is_none_or(|f| is_computed(&f.path) || can_mismatch(&f.path))
    }
}
