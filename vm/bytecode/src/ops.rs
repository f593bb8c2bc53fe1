//! Three-valued outcomes of conditions, shared by constant folding, the VM and explanations.

use serde::{Deserialize, Serialize};

/// Result of a predicate or condition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[repr(u8)]
pub enum Outcome {
    /// Does not hold.
    False = 0,
    /// Holds.
    True = 1,
    /// Cannot be told.
    Error = 2,
}

impl Outcome {
    /// True and false change places; an error stays an error.
    #[must_use]
    #[inline]
    pub fn negate(self) -> Self {
        match self {
            Self::False => Self::True,
            Self::True => Self::False,
            Self::Error => Self::Error,
        }
    }

    /// Three-valued conjunction: a false operand decides, on either side.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::False, _) | (_, Self::False) => Self::False,
            (Self::Error, _) | (_, Self::Error) => Self::Error,
            (Self::True, Self::True) => Self::True,
        }
    }

    /// Three-valued disjunction: a true operand decides, on either side.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        self.negate().and(other.negate()).negate()
    }
}

impl From<bool> for Outcome {
    #[inline]
    fn from(value: bool) -> Self {
        if value { Self::True } else { Self::False }
    }
}

#[cfg(test)]
mod tests {
    use super::Outcome::{Error, False, True};

    #[test]
    fn a_deciding_operand_beats_an_error_on_either_side() {
        assert_eq!(False.and(Error), False);
        assert_eq!(Error.and(False), False);
        assert_eq!(True.and(Error), Error);
        assert_eq!(True.or(Error), True);
        assert_eq!(Error.or(True), True);
        assert_eq!(False.or(Error), Error);
        assert_eq!(Error.negate(), Error);
    }
}
