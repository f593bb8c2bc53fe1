//! Bytes as choices of the generators: engine against the reference.
//!
//! See `policy_conformance::fuzz_entry::evaluation`, which ordinary tests call too.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| policy_conformance::fuzz_entry::evaluation(bytes));
