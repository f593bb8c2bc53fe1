//! Conformance: what the language means, in executable form.
//!
//! - [`mod@reference`]: the naive evaluator that reads the semantics page word for word.
//! - `cases/`: the cases, in files; [`case`] reads them, `tests/cases.rs` runs each on every engine configuration.
//! - [`generate`]: policy sets and contexts that collide; `tests/differential.rs` compares engines on them.
//! - [`bodies`]: bodies of model calls in every shape, and in none; `tests/requests.rs` compares readers on them.
//! - [`fuzz_entry`]: what the fuzz targets run, callable from ordinary tests.
//! - [`pairs`], [`tables`]: the commands of the `conformance` binary.
//!
//! Test infrastructure: nothing of the product depends on it.

#![forbid(unsafe_code)]

pub mod bodies;
pub mod case;
pub mod compare;
pub mod data;
pub mod engine;
pub mod fuzz_entry;
pub mod generate;
pub mod metamorphic;
pub mod pairs;
pub mod product;
pub mod reference;
pub mod rng;
pub mod tables;
