//! Exact numbers of any size: what [`Number`] cannot hold is kept as its text.
//!
//! A number is what its digits say. One whose text is the shortest of its nearest double is that double; one that is an
//! integer of 64 bits is that integer; every other one (`18446744073709551617`, `1e400`, `0.1000000000000000055`) is a
//! *decimal*: its text, as JSON writes it. Nothing is ever rounded, so nothing that differs is taken for equal, and no
//! number is too large to be compared. A double stands for its shortest text: `1e23` is ten to the power of 23, though
//! its bits are not.
//!
//! Each value has one kind, so an integer or a double never equals a decimal. All work is linear in the texts, and
//! nothing is allocated.

use crate::number::Number;
use std::cmp::Ordering;
use std::fmt::{self, Write as _};

/// A number of any size.
#[derive(Debug, Clone, Copy)]
pub enum Exact<'a> {
    /// An integer of 64 bits, or a double.
    Number(Number),
    /// What is neither: its text, which [`Exact::read`] gives as a decimal.
    Decimal(&'a str),
}

impl<'a> Exact<'a> {
    /// Reads a number in the grammar of JSON. `None` for what is none, and for an exponent beyond 64 bits.
    #[must_use]
    pub fn read(text: &'a str) -> Option<Self> {
        let parts = Parts::of(text)?;
        let integer = !text.bytes().any(|b| matches!(b, b'.' | b'e' | b'E'));
        if integer && text != "-0" {
            if let Ok(n) = text.parse::<i64>() {
                return Some(Self::Number(Number::Int(n)));
            }
            if let Ok(n) = text.parse::<u64>() {
                return Some(Self::Number(Number::from_u64(n)));
            }
        }
        if let Some(x) = text.parse::<f64>().ok().filter(|x| x.is_finite())
            && parts.is_double(x)
        {
            return Some(Self::Number(Number::Float(x)));
        }
        if let Some(number) = parts.integer() {
            return Some(Self::Number(number));
        }
        Some(Self::Decimal(text))
    }

    /// Compares by value, exactly.
    #[must_use]
    #[inline]
    pub fn compare(self, other: Exact<'_>) -> Ordering {
        match (self, other) {
            (Self::Number(a), Exact::Number(b)) => a.compare(b),
            (a, b) => compare_parts(a, b),
        }
    }
}

/// Whether a text is that of a decimal: a number in the grammar of JSON that is neither an integer of 64 bits nor a
/// double.
#[must_use]
pub fn is_decimal(text: &str) -> bool {
    matches!(Exact::read(text), Some(Exact::Decimal(_)))
}

#[cold]
fn compare_parts(a: Exact<'_>, b: Exact<'_>) -> Ordering {
    // No text is read as such, but a host may compute one.
    let infinite = |number: Exact<'_>| match number {
        Exact::Number(Number::Float(x)) if x.is_infinite() => {
            if x > 0.0 {
                1
            } else {
                -1
            }
        }
        Exact::Number(_) | Exact::Decimal(_) => 0,
    };
    if infinite(a) != 0 || infinite(b) != 0 {
        return infinite(a).cmp(&infinite(b));
    }
    let (mut left, mut right) = (Digits::default(), Digits::default());
    match (left.parts(a), right.parts(b)) {
        (Some(a), Some(b)) => a.compare(&b),
        // No decimal is malformed.
        (a, b) => a.is_some().cmp(&b.is_some()),
    }
}

/// Room for the digits of any [`Number`].
#[derive(Default)]
struct Digits {
    bytes: [u8; 32],
    length: usize,
}

impl fmt::Write for Digits {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let end = self.length + text.len();
        let place = self.bytes.get_mut(self.length..end).ok_or(fmt::Error)?;
        place.copy_from_slice(text.as_bytes());
        self.length = end;
        Ok(())
    }
}

impl Digits {
    fn text(&self) -> &str {
        let written = self.bytes.get(..self.length).unwrap_or(&[]);
        std::str::from_utf8(written).unwrap_or("")
    }

    fn of(number: Number) -> Self {
        let mut out = Self::default();
        let written = match number {
            Number::Int(n) => write!(out, "{n}"),
            Number::UInt(n) => write!(out, "{n}"),
            // The shortest digits that read back as the same double.
            Number::Float(x) => write!(out, "{x:e}"),
        };
        debug_assert!(written.is_ok());
        out
    }

    fn parts<'s>(&'s mut self, number: Exact<'s>) -> Option<Parts<'s>> {
        match number {
            Exact::Decimal(text) => Parts::of(text),
            Exact::Number(number) => {
                *self = Self::of(number);
                Parts::of(self.text())
            }
        }
    }
}

/// The whole number that a double of at least 2^53 stands for, where it is below 2^65 or so.
pub(crate) fn whole(x: f64) -> i128 {
    let digits = Digits::of(Number::Float(x));
    let parts = Parts::of(digits.text());
    parts.and_then(|parts| parts.whole()).unwrap_or(0)
}

/// A number taken apart: its digits from the first that is not zero on, and the power of ten of that one.
#[derive(Debug, Clone, Copy)]
struct Parts<'a> {
    negative: bool,
    /// Significant digits, those before the point and those behind it. Both empty for zero.
    head: &'a [u8],
    tail: &'a [u8],
    /// Power of ten of the first significant digit. Wide enough for any exponent and any text.
    place: i128,
}

impl<'a> Parts<'a> {
    fn of(text: &'a str) -> Option<Self> {
        let (negative, rest) = match text.as_bytes() {
            [b'-', rest @ ..] => (true, rest),
            rest => (false, rest),
        };
        let (whole, rest) = digits(rest);
        if whole.is_empty() || (whole.len() > 1 && whole.first() == Some(&b'0')) {
            return None;
        }
        let (fraction, rest) = match rest {
            [b'.', rest @ ..] => {
                let (fraction, rest) = digits(rest);
                if fraction.is_empty() {
                    return None;
                }
                (fraction, rest)
            }
            rest => (&[][..], rest),
        };
        let exponent = match rest {
            [] => 0,
            [b'e' | b'E', rest @ ..] => exponent(rest)?,
            _other => return None,
        };
        let leading = |digits: &[u8]| digits.iter().take_while(|d| **d == b'0').count();
        let zeros = leading(whole);
        let (head, tail, above) = if zeros < whole.len() {
            (
                whole.get(zeros..).unwrap_or(&[]),
                fraction,
                // How many digits stand before the point.
                i128::try_from(whole.len() - zeros).ok()?,
            )
        } else {
            let zeros = leading(fraction);
            (
                &[][..],
                fraction.get(zeros..).unwrap_or(&[]),
                -i128::try_from(zeros).ok()?,
            )
        };
        Some(Self {
            negative,
            head,
            tail,
            place: i128::from(exponent) + above - 1,
        })
    }

    fn is_zero(&self) -> bool {
        self.head.is_empty() && self.tail.is_empty()
    }

    fn digits(&self) -> impl Iterator<Item = u8> + '_ {
        self.head.iter().chain(self.tail).copied()
    }

    fn sign(&self) -> i8 {
        match (self.is_zero(), self.negative) {
            (true, _) => 0,
            (false, true) => -1,
            (false, false) => 1,
        }
    }

    fn compare(&self, other: &Parts<'_>) -> Ordering {
        let sign = self.sign();
        sign.cmp(&other.sign()).then_with(|| {
            if sign == 0 {
                return Ordering::Equal;
            }
            let order = self
                .place
                .cmp(&other.place)
                .then_with(|| compare_digits(self.digits(), other.digits()));
            if sign < 0 { order.reverse() } else { order }
        })
    }

    fn is_double(&self, x: f64) -> bool {
        let shortest = Digits::of(Number::Float(x));
        Parts::of(shortest.text()).is_some_and(|parts| self.compare(&parts).is_eq())
    }

    /// The whole number that this is, where it has at most 38 digits.
    fn whole(&self) -> Option<i128> {
        if self.is_zero() {
            return Some(0);
        }
        let count = usize::try_from(self.place.checked_add(1)?)
            .ok()
            .filter(|n| (1..=38).contains(n))?;
        if self.digits().skip(count).any(|d| d != b'0') {
            return None;
        }
        let digits = self.digits().chain(std::iter::repeat(b'0')).take(count);
        let value = digits.fold(0i128, |value, d| value * 10 + i128::from(d - b'0'));
        Some(if self.negative { -value } else { value })
    }

    /// The integer of 64 bits that this is.
    fn integer(&self) -> Option<Number> {
        let whole = self.whole()?;
        let signed = i64::try_from(whole).map(Number::Int);
        signed.or_else(|_| u64::try_from(whole).map(Number::UInt)).ok()
    }
}

/// The decimal digits that `text` starts with, and what follows them.
fn digits(text: &[u8]) -> (&[u8], &[u8]) {
    let count = text.iter().take_while(|b| b.is_ascii_digit()).count();
    text.split_at_checked(count).unwrap_or((text, &[]))
}

fn exponent(text: &[u8]) -> Option<i64> {
    let (negative, unsigned) = match text {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        rest => (false, rest),
    };
    if unsigned.is_empty() || !unsigned.iter().all(u8::is_ascii_digit) {
        return None;
    }
    // Towards its sign, so that the lowest is reached.
    unsigned.iter().try_fold(0i64, |value, d| {
        let digit = i64::from(d - b'0');
        let value = value.checked_mul(10)?;
        if negative {
            value.checked_sub(digit)
        } else {
            value.checked_add(digit)
        }
    })
}

/// Digits of two numbers of one place; what is missing at the end is zero.
fn compare_digits(a: impl Iterator<Item = u8>, b: impl Iterator<Item = u8>) -> Ordering {
    let (mut a, mut b) = (a, b);
    loop {
        match (a.next(), b.next()) {
            (None, None) => return Ordering::Equal,
            (x, y) => match x.unwrap_or(b'0').cmp(&y.unwrap_or(b'0')) {
                Ordering::Equal => {}
                order @ (Ordering::Less | Ordering::Greater) => return order,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Exact, is_decimal};
    use crate::number::Number;
    use proptest::prelude::*;
    use std::cmp::Ordering;

    fn kind(text: &str) -> String {
        match Exact::read(text) {
            Some(Exact::Number(Number::Int(n))) => format!("int {n}"),
            Some(Exact::Number(Number::UInt(n))) => format!("uint {n}"),
            Some(Exact::Number(Number::Float(x))) => format!("float {x:?}"),
            Some(Exact::Decimal(text)) => format!("decimal {text}"),
            None => "none".to_owned(),
        }
    }

    #[test]
    fn each_number_has_its_kind() {
        for (text, expected) in [
            ("0", "int 0"),
            ("-0", "float -0.0"),
            ("-0.0", "float -0.0"),
            ("0e9", "float 0.0"),
            ("1", "int 1"),
            ("1.0", "float 1.0"),
            ("1e3", "float 1000.0"),
            ("1E+2", "float 100.0"),
            ("9223372036854775807", "int 9223372036854775807"),
            ("-9223372036854775808", "int -9223372036854775808"),
            ("9223372036854775808", "uint 9223372036854775808"),
            ("18446744073709551615", "uint 18446744073709551615"),
            ("18446744073709551616", "decimal 18446744073709551616"),
            ("18446744073709552000", "float 1.8446744073709552e19"),
            ("-9223372036854775809", "decimal -9223372036854775809"),
            ("9007199254740993.0", "int 9007199254740993"),
            ("9007199254740993e0", "int 9007199254740993"),
            ("900719925474099300e-2", "int 9007199254740993"),
            ("0.1", "float 0.1"),
            ("0.1000000000000000055", "decimal 0.1000000000000000055"),
            ("0.30000000000000004", "float 0.30000000000000004"),
            ("1e23", "float 1e23"),
            ("1e400", "decimal 1e400"),
            ("-1e400", "decimal -1e400"),
            ("1e-400", "decimal 1e-400"),
            ("5e-324", "float 5e-324"),
            ("4.9e-324", "decimal 4.9e-324"),
            ("1.7976931348623157e308", "float 1.7976931348623157e308"),
            ("1.7976931348623158e308", "decimal 1.7976931348623158e308"),
            ("1e9223372036854775807", "decimal 1e9223372036854775807"),
            ("1e-9223372036854775808", "decimal 1e-9223372036854775808"),
            ("1e9223372036854775808", "none"),
            ("0e9223372036854775808", "none"),
            ("1e00000000000000000000000000000000003", "float 1000.0"),
            ("", "none"),
            ("-", "none"),
            ("01", "none"),
            ("+1", "none"),
            ("1.", "none"),
            (".5", "none"),
            ("1e", "none"),
            ("1e+", "none"),
            ("1x", "none"),
            ("inf", "none"),
            ("NaN", "none"),
        ] {
            assert_eq!(kind(text), expected, "{text}");
            assert_eq!(is_decimal(text), expected.starts_with("decimal"), "{text}");
        }
    }

    fn compare(a: &str, b: &str) -> Ordering {
        Exact::read(a).unwrap().compare(Exact::read(b).unwrap())
    }

    #[test]
    fn numbers_compare_by_value() {
        let ascending = [
            "-1e9223372036854775807",
            "-1e400",
            "-18446744073709551616",
            "-9223372036854775809",
            "-9223372036854775808",
            "-1",
            "-0.1000000000000000055",
            "-0.1",
            "-1e-400",
            "0",
            "1e-9223372036854775808",
            "1e-400",
            "5e-324",
            "0.1",
            "0.1000000000000000055",
            "0.10000000000000001",
            "1",
            "9007199254740992",
            "9007199254740993",
            "9223372036854775807",
            "9223372036854775808",
            "9.223372036854776e18",
            "18446744073709551615",
            "18446744073709551616",
            "18446744073709551617",
            "18446744073709552000",
            "1e400",
            "10000000000000000000000000000001e370",
            "1e9223372036854775807",
        ];
        for (i, a) in ascending.iter().enumerate() {
            for (j, b) in ascending.iter().enumerate() {
                assert_eq!(compare(a, b), i.cmp(&j), "{a} and {b}");
            }
        }
        for (a, b) in [
            ("1e400", "10e399"),
            ("1e400", "0.001e403"),
            ("18446744073709551617", "18446744073709551617.000"),
            ("18446744073709551617", "1.8446744073709551617E+19"),
            ("9223372036854776000", "9.223372036854776e18"),
            ("-0", "0.00"),
            ("0e-400", "0"),
        ] {
            assert_eq!(compare(a, b), Ordering::Equal, "{a} and {b}");
        }
        let infinity = |x| Exact::Number(Number::Float(x));
        assert!(infinity(f64::INFINITY).compare(Exact::Decimal("1e400")).is_gt());
        assert!(
            Exact::Decimal("-1e400")
                .compare(infinity(f64::NEG_INFINITY))
                .is_gt()
        );
        let long = "9".repeat(100_000);
        assert_eq!(compare(&long, &format!("{long}.0")), Ordering::Equal);
        assert_eq!(compare(&long, "1e100000"), Ordering::Less);
        assert_eq!(compare(&long, "1e99999"), Ordering::Greater);
    }

    proptest! {
        /// A double is what its shortest text says, and read as such.
        #[test]
        fn doubles_are_read_back(bits in any::<u64>()) {
            let x = f64::from_bits(bits);
            prop_assume!(x.is_finite());
            for text in [format!("{x:e}"), format!("{x:?}")] {
                let Some(Exact::Number(n)) = Exact::read(&text) else {
                    panic!("{text}");
                };
                prop_assert_eq!(n.compare(Number::Float(x)), Ordering::Equal);
            }
        }

        /// A digit more is another number.
        #[test]
        fn one_digit_more_is_another_number(bits in any::<u64>(), digit in 1u8..10) {
            let x = f64::from_bits(bits);
            prop_assume!(x.is_finite() && x != 0.0);
            let text = format!("{x:e}");
            let (mantissa, exponent) = text.split_once('e').unwrap();
            let point = if mantissa.contains('.') { "" } else { "." };
            let longer = format!("{mantissa}{point}000000000000000000{digit}e{exponent}");
            let expected = if x > 0.0 { Ordering::Greater } else { Ordering::Less };
            prop_assert_eq!(compare(&longer, &text), expected);
        }

        /// As with integers of 128 bits.
        #[test]
        fn integers_compare_as_integers(a in any::<i128>(), b in any::<i128>(), shift in 0u32..100) {
            let (a, b) = (a >> shift, b >> shift);
            prop_assert_eq!(compare(&a.to_string(), &b.to_string()), a.cmp(&b));
            prop_assert_eq!(compare(&a.to_string(), &format!("{a}.00")), Ordering::Equal);
        }

        #[test]
        fn any_text_is_read_or_refused(text in "[-+0-9.eE]{0,12}") {
            if let Some(number) = Exact::read(&text) {
                prop_assert!(number.compare(number).is_eq());
                prop_assert!(text.parse::<f64>().is_ok());
            }
        }
    }
}
