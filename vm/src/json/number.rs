//! Numbers: short integers at once, all others exactly as they are written.

use super::{JsonErrorKind, Reader, Result};
use crate::value::Value;
use policy_bytecode::{Exact, Number};

/// Digits that an integer of 64 bits holds in any case.
const SHORT_DIGITS: usize = 18;

/// Exact as doubles.
const POWERS_OF_TEN: [f64; EXACT_DIGITS + 1] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
];

/// Digits that a double holds in any case.
const EXACT_DIGITS: usize = 15;

impl<'a> Reader<'a> {
    /// End of the number that starts at `at`.
    #[inline(always)]
    pub(super) fn number_end(&mut self, at: usize) -> Result<usize> {
        let whole = at + usize::from(self.byte(at) == b'-');
        let mut end = self.digits_end(whole);
        let leading_zero = self.byte(whole) == b'0' && end > whole + 1;
        if end == whole || leading_zero {
            return self.fail(JsonErrorKind::BadNumber, whole);
        }
        if self.byte(end) == b'.' {
            let point = end;
            end = self.digits_end(point + 1);
            if end == point + 1 {
                return self.fail(JsonErrorKind::BadNumber, point);
            }
        }
        if matches!(self.byte(end), b'e' | b'E') {
            let exponent = end + 1;
            let digits = exponent + usize::from(matches!(self.byte(exponent), b'+' | b'-'));
            end = self.digits_end(digits);
            let beyond = end - digits > SHORT_DIGITS && self.text(exponent, end).parse::<i64>().is_err();
            if end == digits || beyond {
                return self.fail(JsonErrorKind::BadNumber, digits);
            }
        }
        Ok(end)
    }

    #[inline]
    fn digits_end(&self, mut at: usize) -> usize {
        while self.byte(at).is_ascii_digit() {
            at += 1;
        }
        at
    }

    /// The number that starts at `at`, where it is a short one.
    #[inline]
    fn short_number(&self, at: usize) -> Option<(Number, usize)> {
        let negative = self.byte(at) == b'-';
        let whole = at + usize::from(negative);
        let (digits, mut end) = self.digits(whole, 0);
        let mut count = end - whole;
        if count == 0 || (count > 1 && self.byte(whole) == b'0') {
            return None;
        }
        let next = self.byte(end);
        let fraction = next == b'.';
        let mut mantissa = digits;
        if fraction {
            let point = end;
            (mantissa, end) = self.digits(point + 1, digits);
            count += end - point - 1;
            if end == point + 1 {
                return None;
            }
            let next = self.byte(end);
            let scale = POWERS_OF_TEN.get(end - point - 1)?;
            // Both are exact as doubles, so that one division rounds once: this is the nearest double.
            if count > EXACT_DIGITS || matches!(next, b'e' | b'E') {
                return None;
            }
            #[expect(clippy::cast_precision_loss, reason = "fifteen digits are exact")]
            let value = mantissa as f64 / scale;
            return Some((Number::Float(if negative { -value } else { value }), end));
        }
        if count > SHORT_DIGITS || matches!(next, b'e' | b'E') {
            return None;
        }
        let number = match (negative, mantissa) {
            // `-0` is a double in JSON implementations; keep its sign.
            (true, 0) => Number::Float(-0.0),
            (true, n) => Number::Int(-n),
            (false, n) => Number::Int(n),
        };
        Some((number, end))
    }

    /// `value` with the decimal digits from `at` on appended, and where they end. Wraps.
    #[inline]
    fn digits(&self, mut at: usize, mut value: i64) -> (i64, usize) {
        loop {
            let digit = self.byte(at).wrapping_sub(b'0');
            if digit > 9 {
                return (value, at);
            }
            value = value.wrapping_mul(10).wrapping_add(i64::from(digit));
            at += 1;
        }
    }

    #[inline]
    pub(super) fn number(&mut self, at: usize, out: &mut Value<'a>) -> Result<usize> {
        if let Some((number, end)) = self.short_number(at) {
            *out = Value::Number(number);
            return Ok(end);
        }
        self.any_number(at, out)
    }

    #[inline(never)]
    fn any_number(&mut self, at: usize, out: &mut Value<'a>) -> Result<usize> {
        let end = self.number_end(at)?;
        *out = match Exact::read(self.text(at, end)) {
            Some(Exact::Number(n)) => Value::Number(n),
            Some(Exact::Decimal(text)) => Value::Decimal(text),
            None => return self.fail(JsonErrorKind::BadNumber, at),
        };
        Ok(end)
    }
}
