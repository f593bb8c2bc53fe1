//! The compiler: policies in, one verified module with its manifest out.
//!
//! ```text
//! each policy: text ─parse→ AST ─resolve→ HIR ─check→ facts ─lower→ IR ─local passes→ unit
//! all of them: units ─link→ IR ─global passes→ IR ─emit→ module ─verify→ verified module
//! ```
//!
//! Start reading at [`pipeline`], which shows that journey on one screen; every stage is a module of the same name.
//! [`Compiler`] keeps the units of a set that is edited.
//!
//! **Invariants.** Equal inputs give equal bytes. Optimisation never changes a decision: level 0 and level 2 agree on
//! every request. No interpreter is started here: constant folding calls the scalar operators of `policy-bytecode`.
//! Mistakes in policies are [`Diagnostic`]s, several per run, never a panic.

#![forbid(unsafe_code)]

mod check;
mod compiler;
pub mod cost;
mod emit;
mod fields;
pub mod hir;
pub mod ir;
mod link;
mod lower;
mod options;
pub mod passes;
pub mod pipeline;
mod resolve;
mod schema;
mod set;
mod types;
mod unit;

pub use compiler::Compiler;
pub use options::{
    BuildReport, BuildStats, Compiled, DumpPoint, Failed, IrDump, OptLevel, Options, PassReport,
    PatternReport,
};
pub use pipeline::{check, compile, compile_policies};
pub use policy_grammar::Diagnostic;
pub use schema::{ContextSchema, SchemaError};
