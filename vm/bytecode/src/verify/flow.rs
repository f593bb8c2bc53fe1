//! V10, V11: control stays inside its function. Fourth of the checkers; assumes V1–V9 and V15.

use super::VerifyError;
use crate::instr::Role;
use crate::module::Module;

pub(super) fn check(module: &Module) -> Result<(), VerifyError> {
    for (f, function) in module.functions.iter().enumerate() {
        for (i, instr) in function.code.iter().enumerate() {
            let mut inside = true;
            instr.roles(|role| {
                if let Role::Jump(target) = role {
                    inside &= target.index() < function.code.len();
                }
            });
            if !inside {
                return Err(VerifyError::code(10, f, i, "a jump leaves the function"));
            }
        }
        if !function
            .code
            .last()
            .is_some_and(|last| last.opcode().is_terminator())
        {
            return Err(VerifyError::function(
                11,
                f,
                "the function has no code, or a path runs past its end",
            ));
        }
    }
    Ok(())
}
