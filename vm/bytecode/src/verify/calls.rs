//! V13, V14: calls have the right number of arguments, and the call graph has no cycle and bounded depth.
//!
//! Last of the checkers; assumes V1–V12 and V15. Iterative, so that a long call chain cannot overflow the stack.

use super::VerifyError;
use crate::instr::Instr;
use crate::module::Module;

pub(super) fn check(module: &Module) -> Result<(), VerifyError> {
    let mut callees: Vec<Vec<usize>> = Vec::with_capacity(module.functions.len());
    for (f, function) in module.functions.iter().enumerate() {
        let mut own = Vec::new();
        for (i, instr) in function.code.iter().enumerate() {
            let Instr::Call { f: callee, args, .. } = instr else {
                continue;
            };
            let params = module.functions.get(callee.index()).map(|g| g.params);
            if params != Some(u16::from(args.count)) {
                return Err(VerifyError::code(
                    13,
                    f,
                    i,
                    "a call passes the wrong number of arguments",
                ));
            }
            own.push(callee.index());
        }
        callees.push(own);
    }
    // Depth-first with an explicit stack. Depth of a function: longest chain of calls below it.
    let mut depth: Vec<Option<u32>> = vec![None; callees.len()];
    let mut open = vec![false; callees.len()];
    for root in 0..callees.len() {
        let mut stack = vec![(root, 0usize)];
        while let Some((f, next)) = stack.pop() {
            if next == 0 {
                if depth.get(f).copied().flatten().is_some() {
                    continue;
                }
                if let Some(o) = open.get_mut(f) {
                    *o = true;
                }
            }
            let own = callees.get(f).map_or(&[][..], Vec::as_slice);
            if let Some(&callee) = own.get(next) {
                if open.get(callee).copied().unwrap_or(false) {
                    return Err(VerifyError::function(14, f, "a function calls itself"));
                }
                stack.push((f, next + 1));
                stack.push((callee, 0));
                continue;
            }
            let below = own
                .iter()
                .filter_map(|c| depth.get(*c).copied().flatten())
                .map(|d| d + 1)
                .max()
                .unwrap_or(0);
            if below > module.limits.call_depth {
                return Err(VerifyError::function(14, f, "calls nest too deeply"));
            }
            if let (Some(d), Some(o)) = (depth.get_mut(f), open.get_mut(f)) {
                *d = Some(below);
                *o = false;
            }
        }
    }
    Ok(())
}
