//! Escapes of JSON in texts: the arguments of a tool call are JSON in a string, and `x\n123-45-6789` in it is a line of
//! its own to a model.

use std::fmt::{self, Write};

/// Appends `text` to `out` with its escapes undone, and says whether there were any.
///
/// A run of backslashes before one of `n t r b f / "`, or before `u` and four hexadecimal digits, is that character,
/// however often JSON was put into JSON; halves of a surrogate pair that stand alone are U+FFFD. Everything else stays.
/// O(n).
///
/// ```
/// let mut out = String::new();
/// assert!(policy_primitives::escapes::undo(r"mail\tjo\u0040example.org \\n \d", &mut out).unwrap());
/// assert_eq!(out, "mail\tjo@example.org \n \\d");
/// ```
///
/// # Errors
///
/// Those of `out`; a `String` has none.
pub fn undo(text: &str, out: &mut impl Write) -> Result<bool, fmt::Error> {
    let mut any = false;
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        let (before, from) = rest.split_at(at);
        out.write_str(before)?;
        let behind = from.trim_start_matches('\\');
        if let Some((c, length)) = escape(behind) {
            out.write_char(c)?;
            rest = behind.get(length..).unwrap_or("");
            any = true;
        } else {
            out.write_str(from.get(..from.len() - behind.len()).unwrap_or(from))?;
            rest = behind;
        }
    }
    out.write_str(rest)?;
    Ok(any)
}

/// The character that `text` begins with the escape of, behind its backslashes, and how many bytes that takes.
fn escape(text: &str) -> Option<(char, usize)> {
    let plain = match text.as_bytes().first()? {
        b'n' => '\n',
        b't' => '\t',
        b'r' => '\r',
        b'b' => '\u{8}',
        b'f' => '\u{c}',
        b'/' => '/',
        b'"' => '"',
        b'u' => {
            let unit = unit(text)?;
            if !(0xd800..0xe000).contains(&unit) {
                return Some((char::from_u32(unit)?, 5));
            }
            let second = text.get(5..).map(|more| (more, more.trim_start_matches('\\')));
            let low = second
                .filter(|(more, behind)| more.len() > behind.len())
                .and_then(|(more, behind)| Some((unit_of_pair(behind)?, more.len() - behind.len())));
            return Some(match low {
                Some((low, backslashes)) if unit < 0xdc00 => {
                    let c = 0x1_0000 + ((unit - 0xd800) << 10) + (low - 0xdc00);
                    (char::from_u32(c)?, 10 + backslashes)
                }
                Some(_) | None => (char::REPLACEMENT_CHARACTER, 5),
            });
        }
        _ => return None,
    };
    Some((plain, 1))
}

/// The code unit of `uXXXX`.
fn unit(text: &str) -> Option<u32> {
    let digits = text.strip_prefix('u')?.get(..4)?;
    let all = digits.bytes().all(|b| b.is_ascii_hexdigit());
    all.then(|| u32::from_str_radix(digits, 16).ok())?
}

fn unit_of_pair(text: &str) -> Option<u32> {
    unit(text).filter(|unit| (0xdc00..0xe000).contains(unit))
}

#[cfg(test)]
mod tests {
    use super::undo;

    fn undone(text: &str) -> (String, bool) {
        let mut out = String::new();
        let any = undo(text, &mut out).unwrap();
        (out, any)
    }

    #[test]
    fn escapes_are_undone() {
        for (text, expected) in [
            (r#"{"a": "x\n123-45-6789"}"#, "{\"a\": \"x\n123-45-6789\"}"),
            (r#"{\"a\":\"x\\n1\"}"#, "{\"a\":\"x\n1\"}"),
            (r"\u0041\\u0042\/\b\f\r", "AB/\u{8}\u{c}\r"),
            (r"\ud83d\ude00 \\ud83d\\ude00", "😀 😀"),
            (
                r"\ud83d \ude00 \ud83dx\ud83d\u0041",
                "\u{fffd} \u{fffd} \u{fffd}x\u{fffd}A",
            ),
        ] {
            assert_eq!(undone(text), (expected.to_owned(), true), "{text}");
        }
    }

    #[test]
    fn everything_else_stays() {
        for text in [
            "",
            "plain",
            r"\d+\s",
            r"C:\Users",
            r"\\",
            r"\",
            r"\u12",
            r"\u12é4",
            r"\uzzzz",
            "é\\é",
        ] {
            assert_eq!(undone(text), (text.to_owned(), false), "{text}");
        }
    }
}
