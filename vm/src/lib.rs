//! Runs verified bytecode against requests: projection into slots, the interpreter, limits.
//!
//! The journey of a request: [`LoadedModule::begin`] projects the request body into slots in one pass over its JSON
//! (only the fields that the module reads; everything else is validated and skipped), [`Evaluation::decide`] runs the
//! rules in order and lists those that fired, and the caller builds its response from that list and from
//! [`Evaluation::field`].
//!
//! **Invariants.** Takes only a [`policy_bytecode::VerifiedModule`]; never sees an AST or a policy language. In steady
//! state nothing is allocated: values live in the arena of a [`Scratch`] that one worker reuses. Every evaluation is
//! bounded by the module's limits; exceeding one makes the rule at hand an error, never an allow. Values that the
//! request does not hold (tokens, cost, PII) come from a [`Host`], lazily and at most once.

#![forbid(unsafe_code)]
#![warn(missing_docs)]
// A new instruction, comparison or constant must be looked at wherever one is told from another.
#![warn(clippy::wildcard_enum_match_arm)]

mod body;
mod heap;
mod host;
mod index;
mod json;
mod lazy;
mod literals;
mod memo;
mod module;
mod pattern;
pub mod place;
mod plain;
mod predicate;
mod project;
mod query;
mod run;
mod scan;
mod scratch;
mod value;
mod verified;

pub use body::in_element;
pub use host::{AsSent, Host, Sent};
pub use json::{JsonError, JsonErrorKind};
pub use module::{LoadError, LoadedModule};
pub use predicate::{Comparison, is_readable};
pub use query::{Hit, Mode, Scope, Tally, Trap};
pub use run::Evaluation;
pub use scratch::Scratch;
pub use value::{Array, Iter, Member, Members, Object, Place, Set, Value, mismatches, write_json_str};

/// The arena that values of one evaluation live in.
pub use bumpalo::Bump;
