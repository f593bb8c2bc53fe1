//! V8, V9, V15: operands name what exists, and frames are well-formed.
//!
//! Third of the checkers; assumes V1–V7.

use super::VerifyError;
use crate::instr::{Instr, Role};
use crate::module::Module;

const MAX_FLAGS: u8 = 64;
const MAX_ITERATORS: u8 = 16;
const MAX_BUILDERS: u8 = 16;

pub(super) fn check(module: &Module) -> Result<(), VerifyError> {
    for (f, function) in module.functions.iter().enumerate() {
        if function.params > function.registers {
            return Err(VerifyError::function(15, f, "parameters do not fit the frame"));
        }
        if function.memoised && function.params != 0 {
            return Err(VerifyError::function(15, f, "a memoised function has parameters"));
        }
        if function.flags > MAX_FLAGS
            || function.iterators > MAX_ITERATORS
            || function.builders > MAX_BUILDERS
        {
            return Err(VerifyError::function(
                15,
                f,
                "too many flags, iterators or builders",
            ));
        }
        for (i, instr) in function.code.iter().enumerate() {
            let mut problem: Option<&'static str> = None;
            instr.roles(|role| {
                let ok = match role {
                    Role::Def(r) => r.0 < function.registers,
                    Role::Use(range) => {
                        u32::from(range.first.0) + u32::from(range.count) <= u32::from(function.registers)
                    }
                    Role::Const(k) => k.index() < module.consts.len(),
                    Role::Field(x) => x.index() < module.fields.len(),
                    Role::Pred(p) => p.index() < module.predicates.len(),
                    Role::Func(g) => g.index() < module.functions.len(),
                    Role::Flag(e) => e.0 < function.flags,
                    Role::Iter(it) => it.0 < function.iterators,
                    Role::Builder(b) => b.0 < function.builders,
                    Role::Jump(_) | Role::Immediate => true,
                };
                if !ok {
                    problem = Some(match role {
                        Role::Def(_) | Role::Use(_) => "a register outside the frame",
                        Role::Const(_) => "a constant that does not exist",
                        Role::Field(_) => "a field that does not exist",
                        Role::Pred(_) => "a predicate that does not exist",
                        Role::Func(_) => "a function that does not exist",
                        Role::Flag(_) => "a flag outside the frame",
                        Role::Iter(_) => "an iterator outside the frame",
                        Role::Builder(_) => "a builder outside the frame",
                        Role::Jump(_) | Role::Immediate => "an operand",
                    });
                }
            });
            if let Some(detail) = problem {
                return Err(VerifyError::code(8, f, i, detail));
            }
            if let Instr::TestMemo { pred, .. } | Instr::RetTestMemo { pred, .. } = instr
                && module
                    .predicates
                    .get(pred.index())
                    .is_none_or(|p| p.memo.is_none())
            {
                return Err(VerifyError::code(9, f, i, "the predicate has no memo cell"));
            }
        }
    }
    Ok(())
}
