//! Bytes as a choice of fields and the bodies of requests: projection against `serde_json::Value`.
//!
//! See `policy_conformance::fuzz_entry::projection`, which ordinary tests call too.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| policy_conformance::fuzz_entry::projection(bytes));
