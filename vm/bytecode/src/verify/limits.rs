//! V1: limits and table sizes. First of the checkers; assumes nothing.

use super::{HostLimits, VerifyError};
use crate::module::Module;

pub(super) fn check(module: &Module, host: &HostLimits) -> Result<(), VerifyError> {
    let (own, max) = (&module.limits, &host.evaluation);
    let fail = |detail| {
        Err(VerifyError {
            rule: 1,
            function: None,
            index: None,
            detail,
        })
    };
    if own.fuel == 0 || own.body_bytes == 0 || own.depth == 0 || own.arena_bytes == 0 || own.call_depth == 0 {
        return fail("a limit is zero");
    }
    if own.fuel > max.fuel
        || own.body_bytes > max.body_bytes
        || own.depth > max.depth
        || own.arena_bytes > max.arena_bytes
        || own.call_depth > max.call_depth
    {
        return fail("a limit is above what the host allows");
    }
    let tables = [
        module.fields.len(),
        module.known.len(),
        module.consts.len(),
        module.patterns.len(),
        module.predicates.len(),
        module.bodies.len(),
        module.bodies.iter().map(|body| body.nodes.len()).sum(),
        module.scans.len(),
        module.memo_cells as usize,
        module.functions.len(),
        module.rules.len(),
        module.policies.len(),
    ];
    if tables.iter().any(|n| *n > host.table_entries) {
        return fail("a table is longer than the host allows");
    }
    if module.functions.iter().map(|f| f.code.len()).sum::<usize>() > host.instructions {
        return fail("more instructions than the host allows");
    }
    Ok(())
}
