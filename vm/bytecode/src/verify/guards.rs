//! V21, V22: the rule index prunes only what cannot matter.
//!
//! Last of the checkers; assumes all other rules.

use super::VerifyError;
use crate::guard::{MAX_GUARD, MAX_GUARDS, Prover};
use crate::module::Module;
use crate::stop::Stop;

pub(super) fn check(module: &Module, stop: &Stop) -> Result<(), VerifyError> {
    let mut prover = Prover::new(module);
    for (f, function) in module.functions.iter().enumerate() {
        stop.check()?;
        if function.guards.len() > MAX_GUARDS {
            return Err(VerifyError::function(22, f, "too many guards"));
        }
        for guard in &function.guards {
            if guard.is_empty() || guard.len() > MAX_GUARD {
                return Err(VerifyError::function(22, f, "a guard is empty or too long"));
            }
            let scan = guard.first().and_then(|p| prover.scan_of(*p));
            let scanned = scan.is_some() && guard.iter().all(|p| prover.scan_of(*p) == scan);
            let alone = function.guards.len() == 1;
            if !(guard.iter().all(|p| prover.indexable(*p)) || scanned && alone) {
                return Err(VerifyError::function(
                    22,
                    f,
                    "a guard names a predicate that no index can answer for",
                ));
            }
            if !prover.proves(function, guard) {
                return Err(VerifyError::function(
                    21,
                    f,
                    "the result can be other than false where the guard is false",
                ));
            }
        }
    }
    Ok(())
}
