//! The LLM primitives that policies can ask for: token counts, prices and cost, PII, prompt injection.
//!
//! Pure functions over text and numbers: no I/O, no clock, no request or policy types. `policy-runtime` calls them
//! lazily, when a rule that can fire reads a derived field.

#![forbid(unsafe_code)]
#![warn(missing_docs)]

pub mod escapes;
pub mod injection;
pub mod normalize;
pub mod pii;
pub mod prices;
pub mod tokens;
