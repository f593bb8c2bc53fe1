//! Bytes as a request: projection against `serde_json` and the reference.
//!
//! See `policy_conformance::fuzz_entry::request`, which ordinary tests call too.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| policy_conformance::fuzz_entry::request(bytes));
