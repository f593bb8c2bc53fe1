//! Token counts without a vocabulary: an estimate of the o200k count from the scripts a text is written in.
//!
//! Used when the crate is built without feature `tokenizers`. One pass, no tables, no allocation. Always an
//! estimate: over 500 real English prompts 5 per cent above the exact sum, with a mean error of 6 per cent and 95 of
//! 100 prompts within 20. Other scripts were not measured.
//!
//! # Rule
//!
//! | run of | tokens |
//! |---|---|
//! | Latin letters | 1 for up to 9, then 1 more for each further 4 |
//! | digits | 1 per 3 |
//! | ASCII punctuation | 1 per 2 |
//! | white space | 1; none for the single space before a word |
//! | Chinese characters, kana, hangul | 3 per 4 |
//! | other letters | 1 per 3 |
//! | anything else (emoji, control characters) | 2 each |
//!
//! The result is kept within the bounds that hold for exact counts, so that callers may rely on those either way.

use super::weights::{Weights, weigh};
use super::{LONGEST_TOKEN_BYTES, THOUSANDTHS};

#[derive(Clone, Copy, PartialEq, Eq)]
enum Script {
    Latin,
    Digit,
    Punctuation,
    Space,
    EastAsian,
    OtherLetter,
    Other,
}

impl Script {
    fn of(c: char) -> Self {
        match c {
            'a'..='z' | 'A'..='Z' | '\u{c0}'..='\u{24f}' => Self::Latin,
            '0'..='9' => Self::Digit,
            '!'..='~' => Self::Punctuation,
            '\u{2e80}'..='\u{9fff}'
            | '\u{ac00}'..='\u{d7af}'
            | '\u{f900}'..='\u{faff}'
            | '\u{20000}'..='\u{3ffff}' => Self::EastAsian,
            c if c.is_whitespace() => Self::Space,
            c if c.is_alphabetic() => Self::OtherLetter,
            c if c.is_numeric() => Self::Digit,
            _ => Self::Other,
        }
    }

    fn tokens(self, length: u64) -> u64 {
        match self {
            Self::Latin => 1 + length.saturating_sub(9).div_ceil(4),
            Self::Digit | Self::OtherLetter => length.div_ceil(3),
            Self::Punctuation => length.div_ceil(2),
            Self::Space => 1,
            Self::EastAsian => (length * 3).div_ceil(4),
            Self::Other => length * 2,
        }
    }
}

/// Estimated thousandths of tokens of `text`, of o200k or by the weights of another family; 0 for an empty text, never more
/// than a token a byte. O(bytes).
pub(super) fn count(text: &str, weights: Option<&Weights>) -> u64 {
    let mut thousandths = 0u64;
    let mut add = |script: Script, length: u64, run: &str| {
        let tokens = script.tokens(length);
        thousandths += match weights {
            None => tokens * THOUSANDTHS,
            Some(weights) => weigh(weights, run, tokens),
        };
    };
    let mut run: Option<(Script, u64, usize)> = None;
    let mut single_space = false;
    for (at, c) in text.char_indices() {
        let script = Script::of(c);
        match &mut run {
            Some((current, length, _)) if *current == script => {
                *length += 1;
                single_space = false;
            }
            _ => {
                if let Some((script, length, start)) = run
                    && !single_space
                {
                    add(script, length, &text[start..at]);
                }
                run = Some((script, 1, at));
                single_space = c == ' ';
            }
        }
    }
    if let Some((script, length, start)) = run {
        add(script, length, &text[start..]);
    }
    let bytes = text.len() as u64;
    thousandths.clamp(
        bytes.div_ceil(LONGEST_TOKEN_BYTES) * THOUSANDTHS,
        bytes * THOUSANDTHS,
    )
}

#[cfg(test)]
mod tests {
    use super::{THOUSANDTHS, count};

    #[test]
    fn runs_are_counted_by_script() {
        for (text, tokens) in [
            ("", 0),
            ("hello world", 2),
            ("1234567", 3),
            ("internationalisation", 4),
            ("a  b", 3),
            ("你好世界", 3),
            ("привет мир", 3),
            ("!!", 1),
        ] {
            assert_eq!(count(text, None), tokens * THOUSANDTHS, "{text:?}");
        }
    }
}
