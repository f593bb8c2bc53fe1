//! Scalars: what a plain scalar stands for, and where in the file a byte of a scalar's value was written.
//!
//! Resolution follows the core schema of YAML 1.2, made safer for policies: `yes`, `no`, `on`, `off` are strings, and
//! so are digits with a leading zero (`007`) or underscores (`1_000`), which other readers turn into numbers
//! that nobody wrote. Dates are strings.

use super::number;
use super::tree::Style;
use crate::ast::Number;
use std::borrow::Cow;

/// What a scalar stands for.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Scalar {
    /// `null`, `~` or nothing.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A finite number.
    Number(Number),
    /// `.inf`, `.nan`, or a number that is too long or whose exponent is beyond 64 bits.
    NotFinite,
    /// Everything else: the text itself.
    String,
}

/// What a plain scalar stands for.
pub(crate) fn resolve(text: &str) -> Scalar {
    let Some(first) = text.bytes().next() else {
        return Scalar::Null;
    };
    match first {
        b'n' | b'N' | b'~' => match text {
            "null" | "Null" | "NULL" | "~" => Scalar::Null,
            _ => Scalar::String,
        },
        b't' | b'T' => match text {
            "true" | "True" | "TRUE" => Scalar::Bool(true),
            _ => Scalar::String,
        },
        b'f' | b'F' => match text {
            "false" | "False" | "FALSE" => Scalar::Bool(false),
            _ => Scalar::String,
        },
        b'0'..=b'9' | b'+' | b'-' | b'.' => number(text),
        _ => Scalar::String,
    }
}

fn number(text: &str) -> Scalar {
    let radix = |digits: &str, radix: u32| {
        if !digits.is_empty() && digits.chars().all(|c| c.is_digit(radix)) {
            match u64::from_str_radix(digits, radix) {
                Ok(n) => Scalar::Number(unsigned(n)),
                Err(_) => number::in_base_ten(digits, radix).map_or(Scalar::NotFinite, |text| decimal(&text)),
            }
        } else {
            Scalar::String
        }
    };
    if let Some(digits) = text.strip_prefix("0x") {
        return radix(digits, 16);
    }
    if let Some(digits) = text.strip_prefix("0o") {
        return radix(digits, 8);
    }
    let unsigned_text = text.strip_prefix(['+', '-']).unwrap_or(text);
    match unsigned_text {
        ".inf" | ".Inf" | ".INF" => return Scalar::NotFinite,
        ".nan" | ".NaN" | ".NAN" if unsigned_text.len() == text.len() => return Scalar::NotFinite,
        _ => {}
    }
    // digits [ "." digits ] [ e [sign] digits ], with at least one digit before the exponent.
    let bytes = unsigned_text.as_bytes();
    let run = |from: usize| {
        bytes
            .get(from..)
            .unwrap_or(&[])
            .iter()
            .take_while(|b| b.is_ascii_digit())
            .count()
    };
    let whole = run(0);
    if whole > 1 && bytes.first() == Some(&b'0') {
        return Scalar::String;
    }
    let mut at = whole;
    let mut digits = whole;
    if bytes.get(at) == Some(&b'.') {
        let fraction = run(at + 1);
        digits += fraction;
        at += 1 + fraction;
    }
    if digits == 0 {
        return Scalar::String;
    }
    if matches!(bytes.get(at), Some(b'e' | b'E')) {
        at += 1;
        if matches!(bytes.get(at), Some(b'+' | b'-')) {
            at += 1;
        }
        let exponent = run(at);
        if exponent == 0 {
            return Scalar::String;
        }
        at += exponent;
    }
    if at != bytes.len() {
        return Scalar::String;
    }
    decimal(&as_json(text))
}

/// A number of YAML in the grammar of JSON: without `+`, with digits on both sides of the point.
fn as_json(text: &str) -> Cow<'_, str> {
    let text = text.strip_prefix('+').unwrap_or(text);
    let (sign, rest) = match text.strip_prefix('-') {
        Some(rest) => ("-", rest),
        None => ("", text),
    };
    let Some((whole, after)) = rest.split_once('.') else {
        return Cow::Borrowed(text);
    };
    let zero = |part: &str| if part.is_empty() { "0" } else { "" };
    let end = after.find(['e', 'E']).unwrap_or(after.len());
    let (fraction, exponent) = after.split_at(end);
    if !whole.is_empty() && !fraction.is_empty() {
        return Cow::Borrowed(text);
    }
    let (no_whole, no_fraction) = (zero(whole), zero(fraction));
    Cow::Owned(format!(
        "{sign}{no_whole}{whole}.{no_fraction}{fraction}{exponent}"
    ))
}

/// The number of a text that is known to be a number of JSON.
pub(crate) fn decimal(text: &str) -> Scalar {
    number::read(text).map_or(Scalar::NotFinite, Scalar::Number)
}

fn unsigned(n: u64) -> Number {
    i64::try_from(n).map_or(Number::UInt(n), Number::Int)
}

/// Byte offset in `raw` (the scalar as written, quotes included) at which byte `offset` of its value stands.
///
/// `None` where the two cannot be matched: folded and multi-line flow scalars, aliases, keys of another style.
pub(crate) fn offset_in_source(raw: &str, value: &str, style: Style, offset: usize) -> Option<usize> {
    match style {
        Style::Plain => (raw == value).then_some(offset),
        Style::Single => {
            let body = raw.strip_prefix('\'')?;
            if raw.contains('\n') {
                return None;
            }
            let mut chars = body.char_indices();
            let mut produced = 0;
            loop {
                let (i, c) = chars.next()?;
                if produced >= offset {
                    return Some(i + 1);
                }
                if c == '\'' {
                    chars.next();
                }
                produced += c.len_utf8();
            }
        }
        Style::Double => {
            if raw.contains('\n') {
                return None;
            }
            offset_in_double_quotes(raw, offset)
        }
        Style::Literal => {
            let mut raw_start = 0;
            let mut value_start = 0;
            let mut raw_lines = raw.split_inclusive('\n');
            for line in value.split_inclusive('\n') {
                let written = raw_lines.next()?;
                let content = line.trim_end_matches('\n');
                let visible = written.trim_end_matches(['\n', '\r']);
                if !visible.ends_with(content) {
                    return None;
                }
                let indent = visible.len() - content.len();
                if offset <= value_start + content.len() {
                    return Some(raw_start + indent + (offset - value_start));
                }
                raw_start += written.len();
                value_start += line.len();
            }
            None
        }
        Style::Folded | Style::Block | Style::Flow | Style::Alias => None,
    }
}

fn offset_in_double_quotes(raw: &str, offset: usize) -> Option<usize> {
    let bytes = raw.as_bytes();
    let hex = |from: usize, digits: usize| {
        raw.get(from..from + digits)
            .and_then(|h| u32::from_str_radix(h, 16).ok())
    };
    let mut at = 1;
    let mut produced = 0;
    while at < raw.len() {
        if produced >= offset {
            return Some(at);
        }
        let here = bytes.get(at)?;
        if *here != b'\\' {
            let length = raw.get(at..)?.chars().next()?.len_utf8();
            at += length;
            produced += length;
            continue;
        }
        let (width, code) = match bytes.get(at + 1)? {
            b'x' => (4, hex(at + 2, 2)?),
            b'u' => {
                let code = hex(at + 2, 4)?;
                if (0xD800..0xDC00).contains(&code) {
                    (12, 0x1_0000)
                } else {
                    (6, code)
                }
            }
            b'U' => (10, hex(at + 2, 8)?),
            b'N' | b'_' => (2, 0x85),
            b'L' | b'P' => (2, 0x2028),
            _ => (2, 0x20),
        };
        at += width;
        produced += char::from_u32(code)?.len_utf8();
    }
    Some(raw.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn core_schema_with_safer_numbers() {
        let int = |n| Scalar::Number(Number::Int(n));
        let float = |n| Scalar::Number(Number::Float(n));
        let decimal = |text: &str| Scalar::Number(Number::Decimal(text.into()));
        for (text, want) in [
            ("", Scalar::Null),
            ("~", Scalar::Null),
            ("null", Scalar::Null),
            ("nul", Scalar::String),
            ("True", Scalar::Bool(true)),
            ("FALSE", Scalar::Bool(false)),
            ("yes", Scalar::String),
            ("NO", Scalar::String),
            ("0", int(0)),
            ("-0", int(0)),
            ("+5", int(5)),
            ("-12", int(-12)),
            ("007", Scalar::String),
            ("-007", Scalar::String),
            ("1_000", Scalar::String),
            ("0x1F", int(31)),
            ("0o17", int(15)),
            ("0xG", Scalar::String),
            ("9223372036854775807", int(i64::MAX)),
            ("-9223372036854775808", int(i64::MIN)),
            ("9223372036854775808", Scalar::Number(Number::UInt(1 << 63))),
            ("18446744073709551615", Scalar::Number(Number::UInt(u64::MAX))),
            ("18446744073709551616", decimal("18446744073709551616")),
            ("0x10000000000000001", decimal("18446744073709551617")),
            ("0o2000000000000000000001", decimal("18446744073709551617")),
            ("0.1000000000000000055", decimal("0.1000000000000000055")),
            ("+.1000000000000000055", decimal("0.1000000000000000055")),
            ("-18446744073709551617.", decimal("-18446744073709551617.0")),
            ("9007199254740993.0", int(9_007_199_254_740_993)),
            ("1e9223372036854775808", Scalar::NotFinite),
            ("1.0", float(1.0)),
            ("1.", float(1.0)),
            (".5", float(0.5)),
            ("1e3", float(1000.0)),
            ("1E-2", float(0.01)),
            ("1e", Scalar::String),
            ("1e400", decimal("1e400")),
            ("+1E+400", decimal("1E+400")),
            (".inf", Scalar::NotFinite),
            ("-.INF", Scalar::NotFinite),
            (".nan", Scalar::NotFinite),
            (".", Scalar::String),
            ("-", Scalar::String),
            ("1.0.0", Scalar::String),
            ("2025-11-17", Scalar::String),
            ("12:30", Scalar::String),
            ("00.5", Scalar::String),
        ] {
            assert_eq!(resolve(text), want, "{text}");
        }
    }

    #[test]
    fn offsets_map_back() {
        assert_eq!(offset_in_source("abc", "abc", Style::Plain, 2), Some(2));
        assert_eq!(offset_in_source("'a''b'", "a'b", Style::Single, 2), Some(4));
        assert_eq!(offset_in_source("'é('", "é(", Style::Single, 2), Some(3));
        assert_eq!(offset_in_source(r#""\\d(""#, r"\d(", Style::Double, 2), Some(4));
        assert_eq!(
            offset_in_source(r#""\ud83d\ude00(""#, "😀(", Style::Double, 4),
            Some(13)
        );
        assert_eq!(offset_in_source(r#""\u00e9(""#, "é(", Style::Double, 2), Some(7));
        assert_eq!(
            offset_in_source("one\n    two", "one\ntwo\n", Style::Literal, 5),
            Some(9)
        );
        assert_eq!(offset_in_source("a b", "a\nb", Style::Folded, 1), None);
    }
}
