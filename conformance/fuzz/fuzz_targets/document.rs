//! Bytes as a policy file: parsing and compiling never panic.
//!
//! See `policy_conformance::fuzz_entry::document`, which ordinary tests call too.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| policy_conformance::fuzz_entry::document(bytes));
