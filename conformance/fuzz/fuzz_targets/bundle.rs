//! Bytes as a bundle: refused, or verified and run within its limits.
//!
//! See `policy_conformance::fuzz_entry::bundle`, which ordinary tests call too.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| policy_conformance::fuzz_entry::bundle(bytes));
