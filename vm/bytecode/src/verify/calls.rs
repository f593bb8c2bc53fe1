//! V13, V14, V20: calls have the right number of arguments, and the call graph has no cycle and bounded depth and width.
//!
//! Sixth of the checkers; assumes the rules of those before. Iterative, so that a long call chain cannot overflow the stack.

use super::VerifyError;
use crate::instr::Instr;
use crate::module::Module;

/// Registers that the frames of nested calls may hold together.
const MAX_STACK_REGISTERS: u64 = 1 << 18;

/// What a call of a function can lead to.
#[derive(Clone, Copy)]
struct Reach {
    /// Longest chain of calls below it.
    depth: u32,
    /// Registers of its frame and of the widest chain of frames below it.
    registers: u64,
}

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
    // Depth-first with an explicit stack.
    let mut reach: Vec<Option<Reach>> = vec![None; callees.len()];
    let mut open = vec![false; callees.len()];
    for root in 0..callees.len() {
        let mut stack = vec![(root, 0usize)];
        while let Some((f, next)) = stack.pop() {
            if next == 0 {
                if reach.get(f).copied().flatten().is_some() {
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
            let below = own.iter().filter_map(|c| reach.get(*c).copied().flatten());
            let (depth, registers) = below.fold((0, 0), |(depth, registers), callee| {
                (depth.max(callee.depth + 1), registers.max(callee.registers))
            });
            if depth > module.limits.call_depth {
                return Err(VerifyError::function(14, f, "calls nest too deeply"));
            }
            let frame = module.functions.get(f).map_or(0, |g| u64::from(g.registers));
            let registers = registers + frame;
            if registers > MAX_STACK_REGISTERS {
                return Err(VerifyError::function(
                    20,
                    f,
                    "the frames of nested calls hold too many registers",
                ));
            }
            if let (Some(known), Some(o)) = (reach.get_mut(f), open.get_mut(f)) {
                *known = Some(Reach { depth, registers });
                *o = false;
            }
        }
    }
    Ok(())
}
