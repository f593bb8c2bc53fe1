//! V33: what a module says of requests is said once, of places that there can be.
//!
//! Third of the checkers; assumes V1. Proofs of guards rest on it.

use super::VerifyError;
use crate::module::Module;
use std::collections::HashSet;

pub(super) fn check(module: &Module) -> Result<(), VerifyError> {
    let mut seen: HashSet<&[String]> = HashSet::with_capacity(module.known.len());
    for (i, known) in module.known.iter().enumerate() {
        if known.path.is_empty() || known.path.len() > super::MAX_PATH {
            return Err(VerifyError::table(
                33,
                i,
                "the path of a known place is empty or too long",
            ));
        }
        if !seen.insert(&known.path) {
            return Err(VerifyError::table(33, i, "two entries are about the same place"));
        }
    }
    Ok(())
}
