//! The library users embed: load policies, verify, activate, evaluate.
//!
//! ```
//! # #[cfg(feature = "compile")] {
//! use policy_runtime::PolicyEngine;
//!
//! let engine = PolicyEngine::builder()
//!     .policies_from_yaml("
//! metadata: { id: models, name: Allowed models }
//! rules:
//!   - id: allow-list
//!     condition: { operator: not_in, field: llm.model, value: [gpt-4o, gpt-4o-mini] }
//!     action: { decision: deny, reason: 'model {{ llm.model }} is not approved' }
//! ")?
//!     .build()?;
//! let response = engine.evaluate_json(br#"{"llm": {"model": "gpt-3.5-turbo"}}"#)?;
//! assert!(!response.decision.allowed);
//! assert_eq!(response.decision.reason.as_deref(), Some("model gpt-3.5-turbo is not approved"));
//! # }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! [`PolicyEngine`] is `Send + Sync`, cheap to clone, and replaces its policies atomically. It has no network or disk
//! in it. [`Worker`] is the allocation-free path for servers: one per thread, with buffers that are reused. With the
//! feature `cache`, `LocalCache` answers equal requests that cost more to decide than to recognise.
//!
//! **Invariants.** A request sees one snapshot of the policies from start to end. Whatever cannot be evaluated is an
//! error in the decision's `errors` and fires its rule; nothing that fails turns into an allow. Where nothing is active,
//! nothing is decided. A request that modifications made is itself evaluated before it may pass.

#![forbid(unsafe_code)]
#![warn(missing_docs)]

/// The page on embedding, whose blocks are tests.
#[cfg(all(doctest, feature = "compile"))]
#[doc = include_str!("../../docs/library.md")]
mod library {}

mod asking;
#[cfg(feature = "cache")]
mod cache;
mod cost;
mod decision;
mod derive;
mod engine;
mod error;
mod explain;
mod inputs;
mod json;
mod modify;
mod names;
mod options;
mod redact;
mod request;
mod response;
mod second;
mod snapshot;
#[cfg(feature = "compile")]
mod sources;
mod target;
mod template;
mod text;
#[cfg(feature = "cache")]
mod timings;
mod trace;
mod worker;

pub use asking::SERVICE;
#[cfg(feature = "cache")]
pub use cache::{CacheOptions, Fresh, KeptDecision, LocalCache, LocalStats, LookUp, Worth};
pub use derive::DeriveMode;
pub use engine::{EngineBuilder, PolicyEngine};
pub use error::{BuildError, EvaluateError, LoadError};
pub use options::{Chosen, DefaultDecision, EvaluateOptions, UnknownNamespace};
pub use policy_bytecode::bundle::{PrivateKey, PublicKey};
pub use policy_bytecode::module::Decision as Verb;
pub use policy_bytecode::{Stop, Stopped};
#[cfg(feature = "compile")]
pub use policy_compiler::Compiler;
pub use policy_primitives as primitives;
pub use policy_vm::{JsonError, JsonErrorKind, Mode};
pub use response::{BundleRef, Decision, ErrorEntry, Match, Parts, Response};
pub use snapshot::Policies;
pub use text::{Said, TextReader};
pub use trace::{ConditionTrace, RuleTrace, Trace};
pub use worker::{Answer, Evaluated, Origin, Verdict, Worker};
