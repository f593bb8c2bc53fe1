//! Verification: proves everything that the VM relies on, once, when a module is loaded.
//!
//! [`verify`] is the only constructor of [`VerifiedModule`], and the VM takes nothing else. The checkers run in the
//! order of the calls in it, and each assumes the ones above it. Errors name the rule; [`REQUIREMENTS`] lists the rules.

mod bodies;
mod calls;
mod flow;
mod frames;
mod guards;
mod known;
mod limits;
mod operands;
mod scans;
mod tables;

use crate::module::Module;
use crate::stop::{Stop, Stopped};
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

/// Steps of a path, at most.
const MAX_PATH: usize = 64;

/// One thing that holds for every verified module.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Requirement {
    /// `V1`….
    pub number: u8,
    /// What holds for every verified module.
    pub sentence: &'static str,
    /// The file in `verify/` that checks it.
    pub checker: &'static str,
}

macro_rules! rules {
    ($( $number:literal $checker:literal $sentence:literal; )*) => {
        /// Every rule, by number. The accepted and rejected modules of rule *n* are `tests/verify/V<n>_*.asm`.
        pub const REQUIREMENTS: &[Requirement] = &[ $( Requirement { number: $number, sentence: $sentence, checker: $checker }, )* ];
    };
}

rules! {
    1 "limits" "the module's limits are positive and within what the host allows, and no table is longer than the host allows";
    2 "tables" "every field has a path of 1 to 64 steps that starts with a key, and no two fields have the same path";
    3 "tables" "at most 64 fields are derived, and none lies in another; a derived field names a host intrinsic and, for each of its parameters, a field of the table that is neither derived nor in one that is";
    4 "tables" "array and object constants name earlier constants only, nest at most 128 deep, and object keys ascend strictly";
    5 "tables" "every predicate names entries of its tables, its operand is of the kind that its operator takes, and its memo cell exists";
    6 "tables" "the rules of the policies are consecutive, in order, and cover the rule table exactly";
    7 "tables" "every rule's condition is a function without parameters";
    8 "operands" "every operand names an entry of its table, or a register, flag, iterator or builder that the frame has";
    9 "operands" "a memo instruction names a predicate that has a memo cell";
    10 "flow" "every jump target is an instruction of the same function";
    11 "flow" "every function has code, and no path runs past its end";
    12 "frames" "every register, iterator and builder is written on every path before it is read, and so is a builder again after its end; 64 passes over the function and 2^24 words of state suffice to prove it";
    13 "calls" "calls pass as many arguments as the callee has parameters";
    14 "calls" "no function calls itself, directly or through others, and calls nest at most as deep as the limits say";
    15 "operands" "a memoised function has no parameters; parameters fit the frame; a frame has at most 64 flags, 16 iterators and 16 builders";
    16 "tables" "number constants are canonical: no NaN, unsigned only above the range of signed integers, decimals only what is neither an integer of 64 bits nor a double";
    17 "tables" "constants hold at most as many values and bytes of text as the host allows when each is written out in full, shared items wherever they occur";
    18 "tables" "no two predicates share a memo cell";
    19 "frames" "elements are added to builders that were started as an array or a set, members to builders that were started as an object";
    20 "calls" "the frames of any chain of calls hold at most 262144 registers together";
    21 "guards" "where every predicate of a guard is false, so is the function: proved on its code";
    22 "guards" "a function has at most 4 guards of 1 to 1024 predicates, each of which compares a plain field with constants that can be looked up; or one guard, whose predicates are answered by one scan";
    25 "bodies" "every body has nodes; each names earlier ones, `and` and `or` at least one, and is named by one node, but for the last, which is the root";
    26 "bodies" "every predicate that a body names exists; every comparison of a body looks at the element, in paths of at most 64 steps that have no second spelling; it names entries of its tables, and its operand is of the kind that its operator takes";
    27 "bodies" "bodies name earlier bodies only; the body of a predicate and those before it name only predicates that stand before it; with all that is below it a body nests at most 256 levels";
    28 "bodies" "every predicate with a body, and every predicate that a body names, has a memo cell";
    30 "scans" "every scan is of a field of the request or of a computed text, and no two are of the same";
    31 "scans" "literals of a scan have 1 to 255 bytes and are folded, and what they ask of the text itself folds to them";
    32 "scans" "every predicate of a scan is on its field, in no other scan, and names at least one literal; it is `matches`, with at most 16 starts of a match to a hit, or `contains` with a string constant that folds to its one literal, and is true on a hit only where the literal is that very string";
    33 "known" "what is known of requests stands at paths of 1 to 64 keys, once for each path";
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
    /// Values and bytes of text that all constants have together when each is written out in full.
    pub constant_size: u64,
}

impl Default for HostLimits {
    fn default() -> Self {
        Self {
            evaluation: crate::module::Limits {
                fuel: 8_000_000,
                body_bytes: 1 << 30,
                depth: 1024,
                arena_bytes: 1 << 32,
                call_depth: 256,
            },
            table_entries: 8_000_000,
            instructions: 64_000_000,
            constant_size: 1 << 27,
        }
    }
}

/// Which rule a module breaks, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifyError {
    /// Number of the rule: `V1`…; 0 where no rule is broken and the verification was stopped.
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
        if self.is_stopped() {
            return Stopped.fmt(f);
        }
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

impl From<Stopped> for VerifyError {
    fn from(_: Stopped) -> Self {
        Self {
            rule: 0,
            function: None,
            index: None,
            detail: "the verification was stopped",
        }
    }
}

impl VerifyError {
    /// Whether nothing is wrong with the module that anybody knows of: whoever looked was [stopped](Stop).
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        self.rule == 0
    }

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

/// Checks every rule. Linear in the size of the module, but for V12, which takes at most 64 × (instructions + basic
/// blocks × words of the frame's bit set) steps for each function.
///
/// # Errors
///
/// The first broken rule that the checkers come upon.
pub fn verify(module: Module, host: &HostLimits) -> Result<VerifiedModule, VerifyError> {
    verify_until(module, host, &Stop::never())
}

/// As [`verify`], unless `stop` is asked to.
///
/// # Errors
///
/// The first broken rule that the checkers come upon, or an error that [is none](VerifyError::is_stopped).
pub fn verify_until(module: Module, host: &HostLimits, stop: &Stop) -> Result<VerifiedModule, VerifyError> {
    limits::check(&module, host)?;
    tables::check(&module, host)?;
    known::check(&module)?;
    stop.check()?;
    bodies::check(&module)?;
    scans::check(&module)?;
    stop.check()?;
    operands::check(&module)?;
    stop.check()?;
    flow::check(&module)?;
    frames::check(&module, stop)?;
    calls::check(&module)?;
    guards::check(&module, stop)?;
    Ok(VerifiedModule(module))
}
