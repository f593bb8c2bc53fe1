//! The compiler: policies in, one verified module with its manifest out.
//!
//! ```text
//! policies ─parse→ AST ─resolve→ HIR ─check→ facts ─lower→ IR ─passes→ IR ─emit→ module ─verify→ verified module
//! ```
//!
//! Start reading at [`pipeline`], which shows that journey on one screen; every stage is a module of the same name.
//!
//! **Invariants.** Equal inputs give equal bytes. Optimisation never changes a decision: level 0 and level 2 agree on
//! every request. No interpreter is started here: constant folding calls the scalar operators of `policy-bytecode`.
//! Mistakes in policies are [`Diagnostic`]s, several per run, never a panic.

#![forbid(unsafe_code)]

mod check;
pub mod cost;
mod emit;
mod fields;
pub mod hir;
pub mod ir;
mod lower;
mod options;
pub mod passes;
pub mod pipeline;
mod resolve;
mod schema;
mod types;

pub use options::{
    BuildReport, BuildStats, Compiled, DumpPoint, Failed, IrDump, OptLevel, Options, PassReport,
    PatternReport,
};
pub use pipeline::{check, compile, compile_policies};
pub use policy_grammar::Diagnostic;
pub use schema::{ContextSchema, SchemaError};
