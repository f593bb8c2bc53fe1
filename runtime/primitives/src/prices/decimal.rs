//! Decimal numbers in text, read exactly into integers of a smaller unit.

use super::error::PriceErrorKind;

/// `text × 10^scale`, as an integer.
///
/// * `text` — a number as in JSON (`2`, `0.15`, `1.25e-08`).
/// * `scale` — decimal places of the unit: 15 for dollars per token, 9 for dollars per million tokens.
///
/// # Errors
///
/// - [`PriceErrorKind::BadNumber`] — not such a number.
/// - [`PriceErrorKind::NegativePrice`] — below zero (−0 is zero).
/// - [`PriceErrorKind::InexactPrice`] — has a remainder below the unit, or does not fit 64 bits.
pub(super) fn parse(text: &str, scale: i32) -> Result<u64, PriceErrorKind> {
    scaled(&Decimal::read(text)?, scale)
}

/// As [`parse`], for text that a program printed from a binary floating-point number.
///
/// Any decimal of up to 15 significant digits survives a binary double, so longer ones are results of arithmetic:
/// they are rounded to 15 digits, which undoes its error (`2.0000000000000002e-07`). What then still has digits below
/// the unit is a quotient, such as a price converted from another currency, and is rounded up to the unit. Shorter
/// numbers are what somebody wrote and have to fit exactly.
#[cfg(feature = "refresh")]
pub(super) fn parse_printed_double(text: &str, scale: i32) -> Result<u64, PriceErrorKind> {
    const LIMIT: u64 = 10u64.pow(15);
    let mut number = Decimal::read(text)?;
    if number.digits < LIMIT {
        return scaled(&number, scale);
    }
    while number.digits >= LIMIT {
        number.digits = number.digits / 10 + u64::from(number.digits % 10 >= 5);
        number.exponent += 1;
    }
    scaled(&rounded_up(number, scale), scale)
}

/// As [`parse`], where digits below the unit are rounded up: prices of pixels and the like.
#[cfg(feature = "refresh")]
pub(super) fn parse_rounding_up(text: &str, scale: i32) -> Result<u64, PriceErrorKind> {
    scaled(&rounded_up(Decimal::read(text)?, scale), scale)
}

#[cfg(feature = "refresh")]
fn rounded_up(mut number: Decimal, scale: i32) -> Decimal {
    while number.digits != 0 && number.exponent.saturating_add(scale) < 0 {
        number.digits = number.digits.div_ceil(10);
        number.exponent += 1;
    }
    number
}

/// `digits × 10^exponent`.
struct Decimal {
    negative: bool,
    digits: u64,
    exponent: i32,
}

impl Decimal {
    fn read(text: &str) -> Result<Self, PriceErrorKind> {
        const BAD: PriceErrorKind = PriceErrorKind::BadNumber;
        let (negative, rest) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
        let (mantissa, exponent) = match rest.find(['e', 'E']) {
            Some(at) => (&rest[..at], &rest[at + 1..]),
            None => (rest, "0"),
        };
        let (whole, fraction) = match mantissa.split_once('.') {
            Some((_, "")) => return Err(BAD),
            Some(parts) => parts,
            None => (mantissa, ""),
        };
        let leading_zero = whole.len() > 1 && whole.starts_with('0');
        let all_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        if whole.is_empty() || leading_zero || !all_digits(whole) || !all_digits(fraction) {
            return Err(BAD);
        }
        let unsigned = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
        if unsigned.is_empty() || !all_digits(unsigned) {
            return Err(BAD);
        }
        // An exponent beyond 32 bits or more digits than 64 bits hold: a number, but none that fits.
        let mut exponent: i32 = exponent.parse().map_err(|_| PriceErrorKind::InexactPrice)?;
        let mut digits = 0u64;
        // Zeros are held back until a digit follows, so that trailing ones cost nothing.
        let mut zeros = 0u32;
        for digit in whole.bytes().chain(fraction.bytes()) {
            if digit == b'0' {
                zeros += 1;
                continue;
            }
            let shift = 10u64.checked_pow(zeros + 1);
            digits = match shift {
                _ if digits == 0 => Some(u64::from(digit - b'0')),
                Some(shift) => digits
                    .checked_mul(shift)
                    .and_then(|d| d.checked_add(u64::from(digit - b'0'))),
                None => None,
            }
            .ok_or(PriceErrorKind::InexactPrice)?;
            zeros = 0;
        }
        let places = i32::try_from(fraction.len()).map_err(|_| PriceErrorKind::InexactPrice)?;
        let zeros = i32::try_from(zeros).map_err(|_| PriceErrorKind::InexactPrice)?;
        exponent = exponent.saturating_add(zeros).saturating_sub(places);
        Ok(Self {
            negative,
            digits,
            exponent,
        })
    }
}

fn scaled(number: &Decimal, scale: i32) -> Result<u64, PriceErrorKind> {
    if number.digits == 0 {
        return Ok(0);
    }
    if number.negative {
        return Err(PriceErrorKind::NegativePrice);
    }
    let shift = number.exponent.saturating_add(scale);
    let power = 10u64
        .checked_pow(shift.unsigned_abs())
        .ok_or(PriceErrorKind::InexactPrice)?;
    if shift >= 0 {
        number
            .digits
            .checked_mul(power)
            .ok_or(PriceErrorKind::InexactPrice)
    } else if number.digits.is_multiple_of(power) {
        Ok(number.digits / power)
    } else {
        Err(PriceErrorKind::InexactPrice)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_are_read_exactly() {
        for (text, scale, value) in [
            ("1.25e-08", 15, 12_500_000),
            ("2.5e-06", 15, 2_500_000_000),
            ("0.0000025", 15, 2_500_000_000),
            ("0", 15, 0),
            ("-0.0", 15, 0),
            ("2", 9, 2_000_000_000),
            ("0.15", 9, 150_000_000),
            ("1500e-3", 9, 1_500_000_000),
            ("100.00000000000000000000000", 9, 100_000_000_000),
            ("1E+1", 9, 10_000_000_000),
        ] {
            assert_eq!(parse(text, scale), Ok(value), "{text}");
        }
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        use PriceErrorKind::*;
        for (text, error) in [
            ("1e-16", InexactPrice),
            ("1e30", InexactPrice),
            ("1e99999999999", InexactPrice),
            ("123456789012345678901234567890", InexactPrice),
            ("-1", NegativePrice),
            ("", BadNumber),
            (".5", BadNumber),
            ("5.", BadNumber),
            ("1e", BadNumber),
            ("01", BadNumber),
            ("0x10", BadNumber),
            ("NaN", BadNumber),
            ("1 ", BadNumber),
        ] {
            assert_eq!(parse(text, 15), Err(error), "{text}");
        }
    }

    #[test]
    #[cfg(feature = "refresh")]
    fn errors_of_binary_arithmetic_are_undone() {
        assert_eq!(
            parse_printed_double("2.0000000000000002e-07", 15),
            Ok(200_000_000)
        );
        assert_eq!(parse_printed_double("9.499999999999999e-07", 15), Ok(950_000_000));
        assert_eq!(parse_printed_double("1.25e-08", 15), Ok(12_500_000));
        assert_eq!(
            parse_printed_double("1.1428571428571428e-06", 15),
            Ok(1_142_857_143)
        );
        assert_eq!(
            parse_printed_double("1.23e-16", 15),
            Err(PriceErrorKind::InexactPrice)
        );
        assert_eq!(parse_rounding_up("1.23e-15", 15), Ok(2));
        assert_eq!(parse_rounding_up("2.5e-06", 15), Ok(2_500_000_000));
    }
}
