//! Numbers of any size: which of them a double is, and which are kept as their text.
//!
//! A double stands for its shortest text. So a text is read as a double where it says the same as that one's shortest
//! text, and kept as it is where it says something else: nothing is rounded.

use crate::ast::Number;

/// The number that `text`, in the grammar of JSON, stands for. `None` for an exponent beyond 64 bits.
pub(crate) fn read(text: &str) -> Option<Number> {
    let value = Decimal::of(text)?;
    let integer = !text.contains(['.', 'e', 'E']);
    if integer {
        if let Ok(n) = text.parse::<i64>() {
            return Some(Number::Int(n));
        }
        if let Ok(n) = text.parse::<u64>() {
            return Some(Number::UInt(n));
        }
    }
    if let Some(x) = text.parse::<f64>().ok().filter(|x| x.is_finite())
        && Decimal::of(&format!("{x:e}")).as_ref() == Some(&value)
    {
        return Some(Number::Float(x));
    }
    Some(value.integer().unwrap_or_else(|| Number::Decimal(text.into())))
}

/// Digits of a number in another base than ten that does not fit 64 bits, in base ten. `None` for more digits than
/// anybody writes, because the work is quadratic.
pub(crate) fn in_base_ten(digits: &str, radix: u32) -> Option<String> {
    const MOST: usize = 4096;
    const LIMB: u64 = 1_000_000_000;
    if digits.len() > MOST {
        return None;
    }
    // Limbs of nine digits, the lowest first.
    let mut limbs: Vec<u64> = vec![0];
    for digit in digits.chars() {
        let mut carry = u64::from(digit.to_digit(radix)?);
        for limb in &mut limbs {
            let value = *limb * u64::from(radix) + carry;
            *limb = value % LIMB;
            carry = value / LIMB;
        }
        if carry > 0 {
            limbs.push(carry);
        }
    }
    let mut text = String::new();
    for limb in limbs.iter().rev() {
        text.push_str(&format!("{limb:09}"));
    }
    let text = text.trim_start_matches('0');
    Some(if text.is_empty() {
        "0".to_owned()
    } else {
        text.to_owned()
    })
}

/// A value in one form: its sign, its digits without zeros at either end, and the power of ten of the first. Zero has no
/// digits.
#[derive(PartialEq, Eq)]
struct Decimal {
    negative: bool,
    digits: String,
    place: i128,
}

impl Decimal {
    fn of(text: &str) -> Option<Self> {
        let (mantissa, exponent) = match text.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, exponent.parse::<i64>().ok()?),
            None => (text, 0),
        };
        let (negative, mantissa) = match mantissa.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, mantissa),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let all = format!("{whole}{fraction}");
        let significant = all.trim_start_matches('0');
        let zeros = all.len() - significant.len();
        let digits = significant.trim_end_matches('0').to_owned();
        if digits.is_empty() {
            return Some(Self {
                negative: false,
                digits,
                place: 0,
            });
        }
        let place =
            i128::try_from(whole.len()).ok()? - i128::try_from(zeros).ok()? - 1 + i128::from(exponent);
        Some(Self {
            negative,
            digits,
            place,
        })
    }

    /// The integer of 64 bits that it is.
    fn integer(&self) -> Option<Number> {
        let count = usize::try_from(self.place + 1).ok().filter(|n| *n <= 20)?;
        if self.digits.len() > count {
            return None;
        }
        let sign = if self.negative { "-" } else { "" };
        let text = format!("{sign}{:0<count$}", self.digits);
        let signed = text.parse().map(Number::Int);
        signed.or_else(|_| text.parse().map(Number::UInt)).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::{in_base_ten, read};
    use crate::ast::Number;

    #[test]
    fn each_number_has_its_kind() {
        let decimal = |text: &str| Some(Number::Decimal(text.into()));
        for (text, expected) in [
            ("0", Some(Number::Int(0))),
            ("1.0", Some(Number::Float(1.0))),
            ("1e3", Some(Number::Float(1000.0))),
            ("18446744073709551615", Some(Number::UInt(u64::MAX))),
            ("18446744073709551616", decimal("18446744073709551616")),
            (
                "18446744073709552000",
                Some(Number::Float(18_446_744_073_709_552_000.0)),
            ),
            ("9007199254740993.0", Some(Number::Int(9_007_199_254_740_993))),
            ("-9223372036854775808.000", Some(Number::Int(i64::MIN))),
            ("9223372036854775809e0", Some(Number::UInt((1 << 63) + 1))),
            ("0.1", Some(Number::Float(0.1))),
            ("0.1000000000000000055", decimal("0.1000000000000000055")),
            ("1e400", decimal("1e400")),
            ("-1E+400", decimal("-1E+400")),
            ("1e-400", decimal("1e-400")),
            ("0e400", Some(Number::Float(0.0))),
            ("5e-324", Some(Number::Float(5e-324))),
            ("1e9223372036854775807", decimal("1e9223372036854775807")),
            ("1e9223372036854775808", None),
        ] {
            assert_eq!(read(text), expected, "{text}");
        }
    }

    #[test]
    fn other_bases() {
        assert_eq!(
            in_base_ten("ffffffffffffffff", 16).as_deref(),
            Some("18446744073709551615")
        );
        assert_eq!(
            in_base_ten("10000000000000001", 16).as_deref(),
            Some("18446744073709551617")
        );
        assert_eq!(in_base_ten("0000", 8).as_deref(), Some("0"));
        let power = in_base_ten(&format!("1{}", "0".repeat(332)), 8).unwrap();
        assert_eq!(power.len(), 300);
        assert!(power.ends_with("336"), "{power}");
        assert_eq!(in_base_ten(&"1".repeat(5000), 8), None);
    }
}
