//! Parser of field paths: `llm.model`, `list[0].id`, `list.0.id`, `metadata["a.b"]`.
//!
//! Called by the document parser for `field`, `valueFrom`, the keys of `modifications` and the placeholders of
//! templates. The inverse of [`FieldPath`]'s `Display`: parsing what it prints gives the same path. Whether a path
//! names a known field is not looked at here; the compiler resolves it.
//!
//! ```text
//! path    = first { "." bare | "[" index "]" | "[" quoted "]" }
//! first   = bare, but not "$", | "[" quoted "]"
//! bare    = one or more characters other than . [ ] { } " ' , white space and control characters
//! index   = "0" | a number without leading zero, at most 4294967295 | "-" and such a number but 0, in brackets only
//! quoted  = "…" or '…' with the escapes of JSON, and \' as well
//! ```
//!
//! A bare step that is a decimal number without leading zero is an index, except in first place; `007` is a key.

use crate::ast::{FieldPath, Segment};

/// The most steps a path may have: far above any real document, low enough for recursive consumers.
pub const MAX_SEGMENTS: usize = 64;

/// Why a text is not a field path.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct PathError {
    /// Byte offset into the text at which the problem begins.
    pub offset: usize,
    /// One sentence in the style of diagnostics.
    pub message: String,
}

impl PathError {
    fn new(offset: usize, message: impl Into<String>) -> Self {
        Self {
            offset,
            message: message.into(),
        }
    }
}

impl FieldPath {
    /// Parses a field path.
    ///
    /// # Errors
    ///
    /// [`PathError`] with the byte offset of the first offending character: an empty path or step, an unclosed
    /// bracket or quote, an index that does not fit 32 bits or stands in first place, a character that needs
    /// quotes, or more than [`MAX_SEGMENTS`] steps.
    ///
    /// # Examples
    ///
    /// ```
    /// use policy_grammar::ast::{FieldPath, Segment};
    ///
    /// let path = FieldPath::parse("list.0.id").unwrap();
    /// assert_eq!(path.segments[1], Segment::Index(0));
    /// assert_eq!(path.to_string(), "list[0].id");
    /// assert_eq!(FieldPath::parse("a..b").unwrap_err().offset, 2);
    /// ```
    pub fn parse(text: &str) -> Result<Self, PathError> {
        if text.is_empty() {
            return Err(PathError::new(0, "a field path must not be empty"));
        }
        let mut segments = Vec::new();
        let mut at = 0;
        while at < text.len() {
            if segments.len() == MAX_SEGMENTS {
                return Err(PathError::new(
                    at,
                    format!("a field path has at most {MAX_SEGMENTS} steps"),
                ));
            }
            let first = segments.is_empty();
            let rest = text.get(at..).unwrap_or("");
            if rest.starts_with('[') {
                let (segment, next) = bracket(text, at)?;
                if first && matches!(segment, Segment::Index(_) | Segment::FromEnd(_)) {
                    return Err(PathError::new(
                        at,
                        "a field path starts with a key, not with an index",
                    ));
                }
                segments.push(segment);
                at = next;
            } else {
                if !first {
                    if !rest.starts_with('.') {
                        return Err(PathError::new(at, "expected `.` or `[` after `]`"));
                    }
                    at += 1;
                }
                let (segment, next) = bare(text, at, first)?;
                segments.push(segment);
                at = next;
            }
        }
        Ok(Self { segments })
    }
}

/// Whether a character ends or forbids a bare step.
fn is_special(c: char) -> bool {
    matches!(c, '.' | '[' | ']' | '{' | '}' | '"' | '\'' | ',') || c.is_whitespace() || c.is_control()
}

fn bare(text: &str, at: usize, first: bool) -> Result<(Segment, usize), PathError> {
    let rest = text.get(at..).unwrap_or("");
    let length = rest.find(is_special).unwrap_or(rest.len());
    let step = rest.get(..length).unwrap_or("");
    match rest.get(length..).and_then(|r| r.chars().next()) {
        None | Some('.' | '[') => {}
        Some(c) => {
            return Err(PathError::new(
                at + length,
                format!(
                    "`{}` cannot stand in a field path unless the key is quoted as in `a[\"b c\"]`",
                    c.escape_debug()
                ),
            ));
        }
    }
    if step.is_empty() {
        return Err(PathError::new(at, "a step of a field path must not be empty"));
    }
    if first && step == "$" {
        return Err(PathError::new(
            at,
            "a field path starts at the root of the context as in `llm.model`, without `$`",
        ));
    }
    let digits = step.bytes().all(|b| b.is_ascii_digit());
    if !first && digits && (step == "0" || !step.starts_with('0')) {
        return Ok((Segment::Index(index(step, at)?), at + length));
    }
    Ok((Segment::Key(step.to_owned()), at + length))
}

fn index(digits: &str, at: usize) -> Result<u32, PathError> {
    digits
        .parse()
        .map_err(|_| PathError::new(at, format!("index `{digits}` is too large")))
}

/// A bracketed step; `at` is the place of `[`.
fn bracket(text: &str, at: usize) -> Result<(Segment, usize), PathError> {
    let inside = at + 1;
    let rest = text.get(inside..).unwrap_or("");
    let (segment, next) = match rest.chars().next() {
        None => return Err(PathError::new(at, "`[` is not closed")),
        Some(quote @ ('"' | '\'')) => {
            let (key, next) = quoted(text, inside, quote)?;
            (Segment::Key(key), next)
        }
        Some(']') => return Err(PathError::new(inside, "a step of a field path must not be empty")),
        Some(c) if c.is_ascii_digit() => {
            let length = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
            let digits = rest.get(..length).unwrap_or("");
            if length > 1 && digits.starts_with('0') {
                return Err(PathError::new(inside, "an index has no leading zero"));
            }
            (Segment::Index(index(digits, inside)?), inside + length)
        }
        Some('-') => {
            let digits = rest.get(1..).unwrap_or("");
            let length = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
            let digits = digits.get(..length).unwrap_or("");
            if digits.is_empty() || digits.starts_with('0') {
                return Err(PathError::new(
                    inside,
                    "an index from the end is `-` and a number from 1 on: `[-1]` is the last element",
                ));
            }
            (Segment::FromEnd(index(digits, inside)?), inside + 1 + length)
        }
        Some('*') => {
            return Err(PathError::new(
                inside,
                "there is no `[*]`: to ask about every element use `operator: any` or `all` on the list, with the element as `item`",
            ));
        }
        Some(_) => {
            return Err(PathError::new(
                inside,
                "brackets hold an index as in `[0]` or `[-1]`, or a quoted key as in `[\"a.b\"]`",
            ));
        }
    };
    match text.get(next..).and_then(|r| r.chars().next()) {
        Some(']') => Ok((segment, next + 1)),
        None => Err(PathError::new(at, "`[` is not closed")),
        Some(_) => Err(PathError::new(next, "expected `]`")),
    }
}

/// A quoted key; `at` is the place of the opening quote. Returns the key and the offset after the closing quote.
fn quoted(text: &str, at: usize, quote: char) -> Result<(String, usize), PathError> {
    let mut key = String::new();
    let body = at + 1;
    let mut chars = text.get(body..).unwrap_or("").char_indices();
    while let Some((i, c)) = chars.next() {
        let here = body + i;
        if c == quote {
            return Ok((key, here + 1));
        }
        if c != '\\' {
            key.push(c);
            continue;
        }
        let bad = || PathError::new(here, "unknown escape in a quoted key");
        let Some((_, escape)) = chars.next() else {
            break;
        };
        match escape {
            '"' | '\'' | '\\' | '/' => key.push(escape),
            'b' => key.push('\u{8}'),
            'f' => key.push('\u{c}'),
            'n' => key.push('\n'),
            'r' => key.push('\r'),
            't' => key.push('\t'),
            'u' => {
                let high = hex4(&mut chars).ok_or_else(bad)?;
                let code = if (0xD800..0xDC00).contains(&high) {
                    let pair = chars.next().map(|(_, c)| c) == Some('\\')
                        && chars.next().map(|(_, c)| c) == Some('u');
                    let low = if pair { hex4(&mut chars) } else { None };
                    match low {
                        Some(low) if (0xDC00..0xE000).contains(&low) => {
                            0x1_0000 + ((high - 0xD800) << 10) + (low - 0xDC00)
                        }
                        Some(_) | None => return Err(bad()),
                    }
                } else {
                    high
                };
                key.push(char::from_u32(code).ok_or_else(bad)?);
            }
            _ => return Err(bad()),
        }
    }
    Err(PathError::new(at, "the quoted key is not closed"))
}

fn hex4(chars: &mut std::str::CharIndices<'_>) -> Option<u32> {
    let mut value = 0;
    for _ in 0..4 {
        value = value * 16 + chars.next()?.1.to_digit(16)?;
    }
    Some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(text: &str) -> Vec<Segment> {
        FieldPath::parse(text).unwrap().segments
    }

    fn k(s: &str) -> Segment {
        Segment::Key(s.to_owned())
    }

    #[test]
    fn spellings() {
        assert_eq!(keys("llm.model"), [k("llm"), k("model")]);
        assert_eq!(keys("list[0].id"), [k("list"), Segment::Index(0), k("id")]);
        assert_eq!(keys("list.0.id"), keys("list[0].id"));
        assert_eq!(keys(r#"metadata["a.b"]"#), [k("metadata"), k("a.b")]);
        assert_eq!(keys("metadata['a']"), [k("metadata"), k("a")]);
        assert_eq!(keys(r#"["a b"].c"#), [k("a b"), k("c")]);
        assert_eq!(keys("$a.$"), [k("$a"), k("$")]);
        assert_eq!(keys(r#"["$"].a"#), [k("$"), k("a")]);
        assert_eq!(keys("a.007"), [k("a"), k("007")]);
        assert_eq!(keys("0.a"), [k("0"), k("a")]);
        assert_eq!(keys("数据.größe-x_1"), [k("数据"), k("größe-x_1")]);
        assert_eq!(keys(r#"a["\ud83d\ude00\n\"'"]"#), [k("a"), k("😀\n\"'")]);
        assert_eq!(keys(r"a['it\'s']"), [k("a"), k("it's")]);
        assert_eq!(keys("a[0][1]"), [k("a"), Segment::Index(0), Segment::Index(1)]);
        assert_eq!(keys("headers.x-team@eu/1"), [k("headers"), k("x-team@eu/1")]);
    }

    #[test]
    fn errors_carry_the_offset() {
        let at = |text: &str| FieldPath::parse(text).unwrap_err().offset;
        assert_eq!(at(""), 0);
        assert_eq!(at(".a"), 0);
        assert_eq!(at("a."), 2);
        assert_eq!(at("a..b"), 2);
        assert_eq!(at("[0]"), 0);
        assert_eq!(at("a[0"), 1);
        assert_eq!(at("a[]"), 2);
        assert_eq!(at("a[x]"), 2);
        assert_eq!(at("a[007]"), 2);
        assert_eq!(at("a[4294967296]"), 2);
        assert_eq!(at("a.4294967296"), 2);
        assert_eq!(at("$.a"), 0);
        assert_eq!(at("a b"), 1);
        assert_eq!(at("a[0]b"), 4);
        assert_eq!(at(r#"a["b"#), 2);
        assert_eq!(at(r#"a["\q"]"#), 3);
        assert_eq!(at(r#"a["\ud83d"]"#), 3);
        assert_eq!(at(r#"a["b"x]"#), 5);
        assert_eq!(at(&"a.".repeat(MAX_SEGMENTS + 1)), 2 * MAX_SEGMENTS - 1);
    }
}
