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
//!
//! # Policies of others
//!
//! Whoever compiles what others wrote bounds it twice. [`CompileLimits`] say how much there may be of anything that work
//! grows with; what exceeds one is a diagnostic (`E04xx`) before anything is made of it. [`Stop`] ends a compilation
//! that is under way, at a deadline or because nobody waits for it any more: every stage looks at it between rules,
//! before each automaton and inside long passes. What is stopped fails ([`Failed::is_stopped`]); there is no half of a
//! bundle. The same handle stops verifying and loading.
//!
//! ```
//! use policy_compiler::{CompileLimits, Options, Stop, compile};
//! use policy_grammar::{SourceFile, SourceMap};
//! use std::time::{Duration, Instant};
//!
//! let rule = |n: u32| format!(
//!     "- id: r{n}\n  condition: {{operator: eq, field: llm.model, value: m{n}}}\n  action: {{decision: deny}}\n"
//! );
//! let rules: String = (0..20).map(rule).collect();
//! let mut sources = SourceMap::new();
//! sources.add(SourceFile::new("p.yaml", format!("metadata: {{id: p, name: P}}\nrules:\n{rules}")));
//!
//! let few = CompileLimits { rules: 10, ..CompileLimits::default() };
//! let failed = compile(&sources, &Options { compile_limits: few, ..Options::default() }).unwrap_err();
//! assert_eq!(failed.diagnostics[0].code.as_str(), "E0402");
//!
//! let stop = Stop::at(Instant::now() + Duration::from_secs(60));
//! stop.ask(); // the caller has gone
//! let failed = compile(&sources, &Options { stop, ..Options::default() }).unwrap_err();
//! assert!(failed.is_stopped());
//! ```

#![forbid(unsafe_code)]
#![warn(missing_docs)]
// A new instruction, comparison or constant must be looked at wherever one is told from another.
#![warn(clippy::wildcard_enum_match_arm)]

mod check;
mod compiler;
pub mod context;
pub mod cost;
mod emit;
mod fields;
pub mod hir;
pub mod ir;
pub mod limits;
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

pub use compiler::{Compiler, Work};
pub use fields::unknown_field;
pub use limits::{CompileLimits, Resource, Usage};
pub use options::{
    BuildReport, BuildStats, Compiled, DumpPoint, Failed, IrDump, OptLevel, Options, PassReport,
    PatternReport,
};
pub use pipeline::{check, compile, compile_policies};
pub use policy_bytecode::{Stop, Stopped};
pub use policy_grammar::Diagnostic;
pub use schema::{ContextSchema, SchemaError};
