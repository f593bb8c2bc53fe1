//! Numbers: 64-bit integers and doubles, compared by value without rounding. A double stands for its shortest text;
//! what is neither is a decimal ([`crate::decimal`]).
//!
//! Shared by constant folding and the VM, so that both give one answer.

use crate::decimal;
use serde::{Deserialize, Serialize};
use std::cmp::Ordering;
use std::fmt;

/// A number in canonical form: [`Number::UInt`] only above `i64::MAX`, [`Number::Float`] never NaN.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub enum Number {
    /// An integer that fits `i64`.
    Int(i64),
    /// An integer above `i64::MAX`.
    UInt(u64),
    /// A double. No text is read as an infinite one.
    Float(f64),
}

impl Number {
    /// The canonical number of an unsigned integer.
    #[must_use]
    #[inline]
    pub fn from_u64(value: u64) -> Self {
        i64::try_from(value).map_or(Self::UInt(value), Self::Int)
    }

    /// The canonical number of a double; `None` for NaN.
    #[must_use]
    pub fn from_f64(value: f64) -> Option<Self> {
        if value.is_nan() {
            None
        } else {
            Some(Self::Float(value))
        }
    }

    /// Whether it is the one number of its value that decoding may yield; see the type's documentation.
    #[must_use]
    pub fn is_canonical(self) -> bool {
        match self {
            Self::Int(_) => true,
            Self::UInt(n) => i64::try_from(n).is_err(),
            Self::Float(x) => !x.is_nan(),
        }
    }

    /// The nearest double.
    #[must_use]
    #[expect(
        clippy::cast_precision_loss,
        reason = "nearest double is what the caller asks for"
    )]
    pub fn to_f64(self) -> f64 {
        match self {
            Self::Int(n) => n as f64,
            Self::UInt(n) => n as f64,
            Self::Float(x) => x,
        }
    }

    /// Compares by value, exactly: no operand is rounded.
    #[must_use]
    #[inline]
    pub fn compare(self, other: Self) -> Ordering {
        match (self, other) {
            (Self::Int(a), Self::Int(b)) => a.cmp(&b),
            (Self::UInt(a), Self::UInt(b)) => a.cmp(&b),
            (Self::Int(_), Self::UInt(_)) => Ordering::Less,
            (Self::UInt(_), Self::Int(_)) => Ordering::Greater,
            // Neither side is NaN; -0.0 equals 0.0.
            (Self::Float(a), Self::Float(b)) => a.partial_cmp(&b).unwrap_or(Ordering::Equal),
            (Self::Int(a), Self::Float(b)) => compare_integer(i128::from(a), b),
            (Self::UInt(a), Self::Float(b)) => compare_integer(i128::from(a), b),
            (Self::Float(a), Self::Int(b)) => compare_integer(i128::from(b), a).reverse(),
            (Self::Float(a), Self::UInt(b)) => compare_integer(i128::from(b), a).reverse(),
        }
    }

    /// Sum, difference, product: integers exactly where the result fits 64 bits, else doubles.
    #[must_use]
    pub fn arith(self, op: Arith, other: Self) -> Option<Self> {
        let (a, b) = (self.to_i128(), other.to_i128());
        match (op, a, b) {
            (Arith::Div, _, Some(0)) | (Arith::Rem, _, Some(0)) => return None,
            (Arith::Add, Some(a), Some(b)) => {
                return Self::from_i128(a + b).or_else(|| Self::float(a, b, op));
            }
            (Arith::Sub, Some(a), Some(b)) => {
                return Self::from_i128(a - b).or_else(|| Self::float(a, b, op));
            }
            (Arith::Mul, Some(a), Some(b)) => {
                return a
                    .checked_mul(b)
                    .and_then(Self::from_i128)
                    .or_else(|| Self::float(a, b, op));
            }
            (Arith::Div, Some(a), Some(b)) if a % b == 0 => return Self::from_i128(a / b),
            (Arith::Rem, Some(a), Some(b)) => return Self::from_i128(a % b),
            (Arith::Rem, ..) => return None,
            (Arith::Add | Arith::Sub | Arith::Mul | Arith::Div, ..) => {}
        }
        Self::float_arith(self.to_f64(), op, other.to_f64())
    }

    fn float(a: i128, b: i128, op: Arith) -> Option<Self> {
        #[expect(
            clippy::cast_precision_loss,
            reason = "the exact result does not fit; the nearest double is meant"
        )]
        Self::float_arith(a as f64, op, b as f64)
    }

    fn float_arith(a: f64, op: Arith, b: f64) -> Option<Self> {
        let value = match op {
            Arith::Add => a + b,
            Arith::Sub => a - b,
            Arith::Mul => a * b,
            Arith::Div if b != 0.0 => a / b,
            Arith::Div | Arith::Rem => return None,
        };
        if value.is_finite() {
            Some(Self::Float(value))
        } else {
            None
        }
    }

    fn to_i128(self) -> Option<i128> {
        match self {
            Self::Int(n) => Some(i128::from(n)),
            Self::UInt(n) => Some(i128::from(n)),
            Self::Float(_) => None,
        }
    }

    fn from_i128(value: i128) -> Option<Self> {
        i64::try_from(value)
            .map(Self::Int)
            .or_else(|_| u64::try_from(value).map(Self::UInt))
            .ok()
    }
}

/// An arithmetic operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Arith {
    /// Sum.
    Add,
    /// Difference.
    Sub,
    /// Product.
    Mul,
    /// Quotient; undefined for a divisor of zero.
    Div,
    /// Remainder of integers with the sign of the dividend; undefined otherwise.
    Rem,
}

/// Compares an integer of at most 65 bits with what a double stands for, exactly.
fn compare_integer(a: i128, b: f64) -> Ordering {
    const LIMIT: f64 = 36_893_488_147_419_103_232.0; // 2^65: above every integer that occurs
    if b >= LIMIT {
        return Ordering::Less;
    }
    if b <= -LIMIT {
        return Ordering::Greater;
    }
    // From here on a double's shortest text is not its binary value: that of 2^63 is 9223372036854776000.
    const INTEGERS: f64 = 9_007_199_254_740_992.0; // 2^53
    if b.abs() > INTEGERS {
        return a.cmp(&decimal::whole(b));
    }
    #[expect(
        clippy::cast_possible_truncation,
        reason = "|b| <= 2^53, and the fraction is compared below"
    )]
    let whole = b as i128;
    a.cmp(&whole).then_with(|| {
        let fraction = b.fract();
        if fraction > 0.0 {
            Ordering::Less
        } else if fraction < 0.0 {
            Ordering::Greater
        } else {
            Ordering::Equal
        }
    })
}

impl PartialEq for Number {
    fn eq(&self, other: &Self) -> bool {
        self.compare(*other) == Ordering::Equal
    }
}

impl Eq for Number {}

impl fmt::Display for Number {
    /// JSON spelling. A double with an integral value keeps its `.0`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Int(n) => write!(f, "{n}"),
            Self::UInt(n) => write!(f, "{n}"),
            Self::Float(x) => write!(f, "{x:?}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Arith, Number};
    use std::cmp::Ordering;

    #[test]
    fn integers_and_doubles_compare_without_rounding() {
        let max = Number::Int(i64::MAX);
        let near = Number::Float(9_223_372_036_854_775_808.0);
        assert_eq!(max.compare(near), Ordering::Less);
        assert_eq!(near.compare(max), Ordering::Greater);
        // What the double stands for is its shortest text.
        assert_eq!(Number::UInt(1 << 63).compare(near), Ordering::Less);
        assert_eq!(
            Number::UInt(9_223_372_036_854_776_000).compare(near),
            Ordering::Equal
        );
        assert_eq!(Number::Int(1).compare(Number::Float(1.0)), Ordering::Equal);
        assert_eq!(Number::Int(-1).compare(Number::Float(-1.5)), Ordering::Greater);
        assert_eq!(
            Number::Int(9_007_199_254_740_993).compare(Number::Float(9_007_199_254_740_992.0)),
            Ordering::Greater
        );
        assert_eq!(Number::Int(0).compare(Number::Float(-0.0)), Ordering::Equal);
        assert_eq!(
            Number::UInt(u64::MAX).compare(Number::Float(f64::INFINITY)),
            Ordering::Less
        );
    }

    #[test]
    fn arithmetic_is_exact_for_integers_and_undefined_for_zero_divisors() {
        assert_eq!(
            Number::Int(i64::MAX).arith(Arith::Add, Number::Int(1)),
            Some(Number::UInt(1 << 63))
        );
        assert_eq!(
            Number::Int(7).arith(Arith::Div, Number::Int(2)),
            Some(Number::Float(3.5))
        );
        assert_eq!(
            Number::Int(7).arith(Arith::Rem, Number::Int(-2)),
            Some(Number::Int(1))
        );
        assert_eq!(Number::Int(7).arith(Arith::Div, Number::Int(0)), None);
        assert_eq!(Number::Float(1.0).arith(Arith::Div, Number::Float(0.0)), None);
    }
}
