//! Numbers (1.3): "compare exactly at any size". Read from text and compared digit by digit, as on paper.
//!
//! `serde_json` holds integers of 64 bits and doubles. A number that is neither stands here as an object of one member,
//! `{"$number": "1e400"}`: in contexts, policies and answers of the whole suite. [`read`] makes them from the text of a
//! body, [`write()`] writes them back as they were.
//!
//! Ruling: a double stands for its shortest text, so a number is one when its digits say the same. An exponent beyond 64
//! bits is malformed.

use serde_json::{Map, Value, json};
use std::cmp::Ordering;

/// The only member of an object that stands for a number.
pub const MARK: &str = "$number";

/// A number that `serde_json` cannot hold.
#[must_use]
pub fn marked(text: &str) -> Value {
    json!({ MARK: text })
}

/// The text of a number that `serde_json` cannot hold.
#[must_use]
pub fn mark_of(value: &Value) -> Option<&str> {
    let members: &Map<String, Value> = value.as_object()?;
    match (members.len(), members.get(MARK)) {
        (1, Some(Value::String(text))) => Some(text),
        _ => None,
    }
}

/// Digits on paper: the sign, the digits without zeros at either end, and the power of ten of the first digit.
struct Paper {
    negative: bool,
    digits: String,
    place: i128,
}

/// A number in the grammar of JSON; `None` for an exponent beyond 64 bits.
fn paper(text: &str) -> Option<Paper> {
    let (mantissa, exponent) = match text.find(['e', 'E']) {
        Some(at) => (&text[..at], text[at + 1..].parse::<i64>().ok()?),
        None => (text, 0),
    };
    let negative = mantissa.starts_with('-');
    let mantissa = mantissa.trim_start_matches('-');
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let all: String = [whole, fraction].concat();
    let digits = all.trim_start_matches('0');
    if digits.is_empty() {
        return Some(Paper {
            negative: false,
            digits: String::new(),
            place: 0,
        });
    }
    let leading = all.len() - digits.len();
    Some(Paper {
        negative,
        digits: digits.trim_end_matches('0').to_owned(),
        place: whole.len() as i128 - leading as i128 - 1 + i128::from(exponent),
    })
}

/// The digits of a number; `None` for a value that is none.
fn of(value: &Value) -> Option<Paper> {
    match value {
        Value::Number(n) if n.is_f64() => paper(&format!("{:e}", n.as_f64()?)),
        Value::Number(n) => paper(&n.to_string()),
        other => paper(mark_of(other)?),
    }
}

/// Whether a value is a number.
#[must_use]
pub fn is_number(value: &Value) -> bool {
    value.is_number() || mark_of(value).is_some()
}

/// Order of two numbers; `None` when one is none.
#[must_use]
pub fn compare(a: &Value, b: &Value) -> Option<Ordering> {
    let (a, b) = (of(a)?, of(b)?);
    let sign = |n: &Paper| match (n.digits.is_empty(), n.negative) {
        (true, _) => 0,
        (false, true) => -1,
        (false, false) => 1,
    };
    if sign(&a) != sign(&b) {
        return Some(sign(&a).cmp(&sign(&b)));
    }
    if sign(&a) == 0 {
        return Some(Ordering::Equal);
    }
    // Digits of one place compare like words.
    let larger = a.place.cmp(&b.place).then_with(|| a.digits.cmp(&b.digits));
    Some(if a.negative { larger.reverse() } else { larger })
}

/// One number of a body. Integers of 64 bits and doubles as `serde_json` has them, everything else as its text.
fn number(text: &str) -> Option<Value> {
    let own = paper(text)?;
    let plain = !text.contains(['.', 'e', 'E']) && text != "-0";
    if plain && let Ok(n) = text.parse::<i64>() {
        return Some(json!(n));
    }
    if plain && let Ok(n) = text.parse::<u64>() {
        return Some(json!(n));
    }
    let double: f64 = text.parse().ok()?;
    if double.is_finite() {
        let shortest = paper(&format!("{double:e}"))?;
        if shortest.digits == own.digits && shortest.place == own.place && shortest.negative == own.negative {
            return Some(json!(double));
        }
    }
    // A whole number that is written with a fraction or an exponent.
    let digits = own.digits.len() as i128;
    if (digits - 1..20).contains(&own.place) {
        let zeros = "0".repeat(usize::try_from(own.place + 1 - digits).ok()?);
        let whole = format!("{}{}{zeros}", if own.negative { "-" } else { "" }, own.digits);
        if let Ok(n) = whole.parse::<i64>() {
            return Some(json!(n));
        }
        if let Ok(n) = whole.parse::<u64>() {
            return Some(json!(n));
        }
    }
    Some(marked(text))
}

/// Whether a text is a number in the grammar of JSON.
fn is_json_number(text: &str) -> bool {
    // Its grammar is what `serde_json` skips over.
    serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok()
}

/// Reads JSON, numbers of any size included.
///
/// # Errors
///
/// What is not JSON, and exponents beyond 64 bits.
pub fn read(body: &str) -> Result<Value, String> {
    let mut plain = String::new();
    let mut rest = body;
    while let Some(c) = rest.chars().next() {
        if c == '"' {
            let mut escaped = false;
            let end = rest
                .char_indices()
                .skip(1)
                .find(|(_, c)| {
                    let closes = *c == '"' && !escaped;
                    escaped = *c == '\\' && !escaped;
                    closes
                })
                .map_or(rest.len(), |(at, _)| at + 1);
            plain.push_str(&rest[..end]);
            rest = &rest[end..];
        } else if c == '-' || c.is_ascii_digit() {
            let end = rest
                .find(|c: char| !c.is_ascii_digit() && !matches!(c, '+' | '-' | '.' | 'e' | 'E'))
                .unwrap_or(rest.len());
            let text = &rest[..end];
            if is_json_number(text) {
                let value = number(text).ok_or_else(|| format!("the exponent of {text}"))?;
                // What is an integer in another spelling, or no number of `serde_json`, is written as that.
                match &value {
                    Value::Number(n) if n.is_f64() => plain.push_str(text),
                    other => plain.push_str(&other.to_string()),
                }
            } else {
                plain.push_str(text);
            }
            rest = &rest[end..];
        } else {
            plain.push(c);
            rest = &rest[c.len_utf8()..];
        }
    }
    serde_json::from_str(&plain).map_err(|error| error.to_string())
}

/// Writes JSON, numbers of any size included.
#[must_use]
pub fn write(value: &Value) -> String {
    if let Some(text) = mark_of(value) {
        return text.to_owned();
    }
    match value {
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(write).collect();
            format!("[{}]", items.join(","))
        }
        Value::Object(members) => {
            let members: Vec<String> = members
                .iter()
                .map(|(key, value)| format!("{}:{}", Value::from(key.as_str()), write(value)))
                .collect();
            format!("{{{}}}", members.join(","))
        }
        scalar => scalar.to_string(),
    }
}

/// Whether a number that `serde_json` cannot hold is somewhere in a value.
#[must_use]
pub fn has_marks(value: &Value) -> bool {
    mark_of(value).is_some()
        || match value {
            Value::Array(items) => items.iter().any(has_marks),
            Value::Object(members) => members.values().any(has_marks),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
        }
}

/// As the owned response has it: the nearest double, or the text where it is beyond all of them.
#[must_use]
pub fn rounded(value: &Value) -> Value {
    if let Some(text) = mark_of(value) {
        return match text.parse::<f64>() {
            Ok(double) if double.is_finite() => json!(double),
            Ok(_) | Err(_) => json!(text),
        };
    }
    match value {
        Value::Array(items) => items.iter().map(rounded).collect(),
        Value::Object(members) => {
            Value::Object(members.iter().map(|(k, v)| (k.clone(), rounded(v))).collect())
        }
        scalar => scalar.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::{compare, is_number, marked, read, write};
    use serde_json::json;
    use std::cmp::Ordering;

    #[test]
    fn bodies_are_read_as_they_are() {
        let body = r#"{"a":[1e400,-1E+400,18446744073709551617,0.1000000000000000055,5,1.0,9007199254740993.0],"b":"1e400 \" 1e400"}"#;
        let value = read(body).unwrap();
        assert_eq!(
            value["a"],
            json!([
                marked("1e400"),
                marked("-1E+400"),
                marked("18446744073709551617"),
                marked("0.1000000000000000055"),
                5,
                1.0,
                9_007_199_254_740_993_i64
            ])
        );
        assert_eq!(value["b"], "1e400 \" 1e400");
        assert_eq!(
            write(&value).replace("9007199254740993", "9007199254740993.0"),
            body
        );
        for bad in [
            "01",
            "1.",
            "{\"a\":1e9223372036854775808}",
            "0e9223372036854775808",
            "[1e+]",
            "--1",
            "1e400 2",
        ] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn digits_compare_like_on_paper() {
        let order = |a: &str, b: &str| compare(&read(a).unwrap(), &read(b).unwrap());
        for (a, b, expected) in [
            ("1e400", "10e399", Ordering::Equal),
            ("1e400", "1e401", Ordering::Less),
            ("-1e400", "-1e401", Ordering::Greater),
            ("18446744073709551617", "18446744073709551616", Ordering::Greater),
            ("9223372036854776000", "9.223372036854776e18", Ordering::Equal),
            ("9007199254740993", "9007199254740992.0", Ordering::Greater),
            ("0.1", "0.1000000000000000055", Ordering::Less),
            ("-0.0", "0", Ordering::Equal),
            ("5", "12", Ordering::Less),
        ] {
            assert_eq!(order(a, b), Some(expected), "{a} and {b}");
        }
        assert_eq!(compare(&json!("1"), &json!(1)), None);
        assert!(is_number(&marked("1e400")) && !is_number(&json!({})));
    }
}
