//! What an evaluation is asked for, and what it answers.

use policy_bytecode::RuleIdx;

/// Which policies take part.
#[derive(Debug, Clone, Copy)]
pub enum Scope<'s> {
    /// All of them.
    All,
    /// Those whose entry is true, by policy index.
    Only(&'s [bool]),
    /// Those of one group, and those of group 0, which are of every group; by policy index.
    Group {
        /// The group of each policy.
        of: &'s [u32],
        /// Which one.
        own: u32,
    },
}

impl Scope<'_> {
    /// Whether a policy takes part.
    #[must_use]
    pub fn holds(&self, policy: usize) -> bool {
        match self {
            Self::All => true,
            Self::Only(mask) => mask.get(policy).copied().unwrap_or(false),
            Self::Group { of, own } => of.get(policy).is_some_and(|group| group == own || *group == 0),
        }
    }
}

/// When to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// At the first deny.
    FirstDeny,
    /// After every rule.
    All,
}

/// A rule whose condition was not false.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hit {
    /// The rule.
    pub rule: RuleIdx,
    /// Whether it fired. An `allow` rule, or one of a policy that skips errors, does not fire on an error.
    pub fired: bool,
    /// Its condition could not be told.
    pub error: bool,
    /// Why evaluation broke off, when it did.
    pub trap: Option<Trap>,
}

/// Why evaluation of a rule broke off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trap {
    /// The instruction budget of the evaluation is used up.
    OutOfFuel,
    /// The arena budget of the evaluation is used up.
    OutOfMemory,
}

impl Trap {
    /// One sentence without a final stop.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::OutOfFuel => "the evaluation exceeds its instruction budget",
            Self::OutOfMemory => "the evaluation exceeds its memory budget",
        }
    }
}

/// Work that an evaluation has done, as the cost certificate of a bundle bounds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tally {
    /// Instructions executed.
    pub instructions: u64,
    /// Predicates evaluated; one whose outcome was kept counts once.
    pub predicates: u64,
    /// Nodes of bodies, each once for every element that it was asked of.
    pub nodes: u64,
}
