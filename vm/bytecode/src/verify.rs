//! Verification: proves everything that the VM relies on, once, when a module is loaded.
//!
//! [`verify`] is the only constructor of [`VerifiedModule`], and the VM takes nothing else. The checkers run in the
//! order below, and each assumes the ones above it. Errors name the rule.
//!
//! | rule | sentence | checker |
//! |---|---|---|
//! | V1 | the module's limits are positive and within what the host allows, and no table is longer than the host allows | [`limits`] |
//! | V2 | every field has a path of 1 to 64 steps that starts with a key, no two fields have the same path, and a derived field has its own canonical path | [`tables`] |
//! | V3 | the fields that a derived field is computed from are in the field table | [`tables`] |
//! | V4 | array and object constants name earlier constants only, nest at most 128 deep, and object keys ascend strictly | [`tables`] |
//! | V5 | every predicate names entries of its tables, its operand is of the kind that its operator takes, and its memo cell exists | [`tables`] |
//! | V6 | the rules of the policies are consecutive, in order, and cover the rule table exactly | [`tables`] |
//! | V7 | every rule's condition is a function without parameters | [`tables`] |
//! | V8 | every operand names an entry of its table, or a register, flag, iterator or builder that the frame has | [`operands`] |
//! | V9 | a memo instruction names a predicate that has a memo cell | [`operands`] |
//! | V10 | every jump target is an instruction of the same function | [`flow`] |
//! | V11 | every function has code, and no path runs past its end | [`flow`] |
//! | V12 | every register, iterator and builder is written on every path before it is read | [`frames`] |
//! | V13 | calls pass as many arguments as the callee has parameters | [`calls`] |
//! | V14 | no function calls itself, directly or through others, and calls nest at most as deep as the limits say | [`calls`] |
//! | V15 | a memoised function has no parameters; parameters fit the frame; a frame has at most 64 flags, 16 iterators and 16 builders | [`operands`] |

mod calls;
mod flow;
mod frames;
mod limits;
mod operands;
mod tables;

use crate::module::Module;
use std::fmt;
use std::ops::Deref;

/// A module that passed every rule.
#[derive(Debug, Clone, PartialEq)]
pub struct VerifiedModule(Module);

impl VerifiedModule {
    /// Gives the module back, for encoding it again.
    #[must_use]
    pub fn into_inner(self) -> Module {
        self.0
    }
}

impl Deref for VerifiedModule {
    type Target = Module;
    fn deref(&self) -> &Module {
        &self.0
    }
}

/// Ceilings chosen by the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HostLimits {
    /// Upper bounds of the module's own limits.
    pub evaluation: crate::module::Limits,
    /// Entries of any one table.
    pub table_entries: usize,
    /// Instructions of the whole module.
    pub instructions: usize,
}

impl Default for HostLimits {
    fn default() -> Self {
        Self {
            evaluation: crate::module::Limits {
                fuel: 1 << 40,
                body_bytes: 1 << 30,
                depth: 1024,
                arena_bytes: 1 << 32,
                call_depth: 256,
            },
            table_entries: 8_000_000,
            instructions: 64_000_000,
        }
    }
}

/// Which rule a module breaks, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifyError {
    /// Number of the rule: `V1`….
    pub rule: u8,
    /// The function, when the place is in code.
    pub function: Option<u32>,
    /// The instruction in that function, or the entry of the table.
    pub index: Option<usize>,
    /// What was found.
    pub detail: &'static str,
}

impl fmt::Display for VerifyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "V{}: {}", self.rule, self.detail)?;
        match (self.function, self.index) {
            (Some(function), Some(index)) => write!(f, " (function {function}, instruction {index})"),
            (Some(function), None) => write!(f, " (function {function})"),
            (None, Some(index)) => write!(f, " (entry {index})"),
            (None, None) => Ok(()),
        }
    }
}

impl std::error::Error for VerifyError {}

impl VerifyError {
    fn table(rule: u8, index: usize, detail: &'static str) -> Self {
        Self {
            rule,
            function: None,
            index: Some(index),
            detail,
        }
    }

    fn code(rule: u8, function: usize, index: usize, detail: &'static str) -> Self {
        Self {
            rule,
            function: u32::try_from(function).ok(),
            index: Some(index),
            detail,
        }
    }

    fn function(rule: u8, function: usize, detail: &'static str) -> Self {
        Self {
            rule,
            function: u32::try_from(function).ok(),
            index: None,
            detail,
        }
    }
}

/// Checks every rule. Linear in the size of the module, but for V12, which takes at most blocks × frame size steps.
///
/// # Errors
///
/// The first broken rule, in the order of the table above.
pub fn verify(module: Module, host: &HostLimits) -> Result<VerifiedModule, VerifyError> {
    limits::check(&module, host)?;
    tables::check(&module)?;
    operands::check(&module)?;
    flow::check(&module)?;
    frames::check(&module)?;
    calls::check(&module)?;
    Ok(VerifiedModule(module))
}
