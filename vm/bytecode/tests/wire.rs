//! The wire form of modules: it loses nothing, and no bytes make the decoder or the verifier panic.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests fail by panicking, their helpers too"
)]

#[path = "common/arbitrary.rs"]
mod arbitrary;
#[path = "common/damage.rs"]
mod damage;

use arbitrary::module;
use damage::{apply, damage};
use policy_bytecode::module::{ISA_VERSION, Module};
use policy_bytecode::verify::{HostLimits, verify};
use policy_bytecode::wire::DecodeError;
use proptest::collection::vec;
use proptest::prelude::*;

/// Small host limits, so that hostile sizes are refused and not tried.
fn host() -> HostLimits {
    HostLimits {
        table_entries: 1 << 16,
        instructions: 1 << 16,
        ..HostLimits::default()
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn decode_gives_back_what_encode_was_given(module in module()) {
        let bytes = module.encode().unwrap();
        let decoded = Module::decode(&bytes).unwrap();
        // NaN equals nothing, so the second encoding is compared as well as the module.
        prop_assert_eq!(decoded.encode().unwrap(), bytes);
        prop_assert_eq!(format!("{decoded:?}"), format!("{module:?}"));
    }

    #[test]
    fn any_bytes_are_decoded_or_refused(bytes in vec(any::<u8>(), 0..256)) {
        if let Ok(module) = Module::decode(&bytes) {
            let _outcome = verify(module, &host()).is_ok();
        }
    }

    #[test]
    fn any_bytes_behind_the_version_are_decoded_or_refused(tail in vec(any::<u8>(), 0..256)) {
        let mut bytes = vec![u8::try_from(ISA_VERSION).unwrap()];
        bytes.extend(tail);
        if let Ok(module) = Module::decode(&bytes) {
            let _outcome = verify(module, &host()).is_ok();
        }
    }

    #[test]
    fn damaged_modules_are_decoded_or_refused(module in module(), damages in vec(damage(), 1..6)) {
        let mut bytes = module.encode().unwrap();
        damages.iter().for_each(|d| apply(d, &mut bytes));
        if let Ok(module) = Module::decode(&bytes) {
            let _outcome = verify(module, &host()).is_ok();
        }
    }
}

/// One bit or byte changed in modules that do pass: most of them reach the later checkers.
#[test]
fn damaged_verified_modules_are_decoded_or_refused() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/verify");
    let mut verified = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if !path.to_str().unwrap().contains("_accept_") {
            continue;
        }
        let text = std::fs::read_to_string(&path).unwrap();
        let bytes = policy_bytecode::asm::assemble(&text).unwrap().encode().unwrap();
        for at in 0..bytes.len().min(1_000) {
            for bit in 0..8 {
                let mut bytes = bytes.clone();
                bytes[at] ^= 1 << bit;
                if let Ok(module) = Module::decode(&bytes) {
                    verified += usize::from(verify(module, &host()).is_ok());
                }
            }
            assert!(
                Module::decode(&bytes[..at]).is_err(),
                "a truncated module is refused"
            );
        }
    }
    assert!(verified > 0);
}

#[test]
fn another_instruction_set_is_refused_by_name_and_version() {
    let mut bytes = Module::default().encode().unwrap();
    bytes[0] = 9;
    let error = Module::decode(&bytes).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("instruction set version 9 is not supported; this build reads version {ISA_VERSION}")
    );
}

#[test]
fn bytes_behind_the_module_are_refused() {
    let mut bytes = Module::default().encode().unwrap();
    let offset = bytes.len();
    bytes.push(0);
    assert_eq!(
        Module::decode(&bytes).unwrap_err(),
        DecodeError::TrailingBytes { offset }
    );
}

/// A table that claims 2^32 − 1 entries and holds none: refused at the end of the bytes, before memory is taken.
#[test]
fn hostile_lengths_take_no_memory() {
    let empty = Module::default().encode().unwrap();
    // From the back: policies, rules, functions, memo cells, predicates, patterns, constants, fields.
    for from_back in 1..=8 {
        let mut bytes = empty[..empty.len() - from_back].to_vec();
        bytes.extend([0xff, 0xff, 0xff, 0xff, 0x0f]);
        assert!(Module::decode(&bytes).is_err());
    }
}
