//! The dialect of `matches` against RE2 itself.
//!
//! `re2.jsonl` holds what RE2 (release 2025-11-05, through its Python binding) says of a few thousand patterns, chosen
//! and made of pieces where dialects differ: the first line is a list of texts, every other one a pattern and, for each
//! text, whether it is found; `null` where RE2 refuses the pattern.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use policy_grammar::codes::Code;
use policy_grammar::text::pattern::{read, translate};
use regex::Regex;

/// What we take and RE2 does not: more names of classes, and counts that RE2 limits to 1,000 and we by size.
const MORE: &[&str] = &["a{1001}", r"\p{greek}"];

/// What RE2 takes and we refuse: bytes that are no characters, names of groups, repetitions of flags.
fn is_less(pattern: &str) -> bool {
    let repeated_flags = Regex::new(r"\(\?[imsU-]+\)[*+?{]").unwrap();
    let others = [r"\C", r"\x{d800}", "(?P<1>a)", "(?P<n>a)(?P<n>b)"];
    others.contains(&pattern) || repeated_flags.is_match(pattern)
}

#[test]
fn the_dialect_is_that_of_re2() {
    let file = include_str!("re2.jsonl");
    let mut lines = file.lines();
    let texts: Vec<String> = serde_json::from_str(lines.next().unwrap()).unwrap();
    let mut wrong = Vec::new();
    let mut found = 0;
    for line in lines {
        let (pattern, expected): (String, Option<String>) = serde_json::from_str(line).unwrap();
        let translated = translate(&pattern);
        match (&translated, &expected) {
            (Err(_), None) => {}
            (Err(error), Some(_)) if !is_less(&pattern) => {
                wrong.push(format!("{pattern:?} is refused: {}", error.message));
            }
            (Ok(text), None) if !MORE.contains(&pattern.as_str()) => {
                wrong.push(format!("{pattern:?} is taken, as {text:?}"));
            }
            (Ok(_), None) | (Err(_), Some(_)) => {}
            (Ok(translated), Some(expected)) => {
                let tree = read(&pattern).unwrap().tree;
                assert_eq!(tree, regex_syntax::parse(translated).unwrap(), "{pattern:?}");
                let regex = Regex::new(translated).unwrap();
                let bits: String = texts
                    .iter()
                    .map(|text| if regex.is_match(text) { '1' } else { '0' })
                    .collect();
                found += bits.matches('1').count();
                for ((text, own), theirs) in texts.iter().zip(bits.chars()).zip(expected.chars()) {
                    if own != theirs {
                        wrong.push(format!(
                            "{pattern:?} on {text:?}: RE2 says {theirs}; {translated:?}"
                        ));
                    }
                }
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "{} differences:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
    assert!(found > 5_000);
}

#[test]
fn places_and_codes() {
    let check = |p: &str| {
        let e = translate(p).unwrap_err();
        (e.code, e.start, e.end)
    };
    assert_eq!(check("a(b"), (Code::InvalidRegex, 1, 2));
    assert_eq!(check("[z-a]"), (Code::InvalidRegex, 1, 4));
    assert_eq!(check(r"\d[z-a]"), (Code::InvalidRegex, 3, 6));
    assert_eq!(check("é(?=x)"), (Code::UnsupportedRegex, 2, 5));
    assert_eq!(check(r"\w\b(?=x)"), (Code::UnsupportedRegex, 4, 7));
    assert_eq!(check("(?<!x)y"), (Code::UnsupportedRegex, 0, 4));
    assert_eq!(check(r"(a)\1"), (Code::UnsupportedRegex, 3, 5));
    assert_eq!(check(r"(?P<n>a)\k<n>"), (Code::UnsupportedRegex, 8, 10));
    assert_eq!(check(r"\p{Nope}"), (Code::InvalidRegex, 0, 8));
    assert_eq!(check(r"\s\p{Nope}"), (Code::InvalidRegex, 2, 10));
    assert_eq!(check("*a"), (Code::InvalidRegex, 0, 1));
    assert_eq!(check(r"\d(*a)"), (Code::InvalidRegex, 3, 4));
    assert_eq!(check("a++"), (Code::InvalidRegex, 1, 3));
    assert_eq!(check("(?ix)a"), (Code::InvalidRegex, 3, 4));
    assert_eq!(check(r"\Qa\E(b"), (Code::InvalidRegex, 5, 6));
    assert_eq!(check("[[:nope:]]"), (Code::InvalidRegex, 1, 9));
    assert_eq!(check("a\\"), (Code::InvalidRegex, 1, 2));
    assert_eq!(check(r"\y"), (Code::InvalidRegex, 0, 2));
    assert_eq!(check("[a"), (Code::InvalidRegex, 0, 1));
}

#[test]
fn plain_patterns_stay_as_they_are() {
    for pattern in [
        "",
        "(?i)drop|table",
        r"\p{Greek}+\.",
        "a{1,3}?",
        "[a-z0-9_.]+@[^@]+",
        r"^(gpt|claude)-[0-9]+$",
        "(?s:.)x(?-i:y)",
        "(?P<who>a)(?<what>b)",
    ] {
        assert_eq!(translate(pattern).as_deref(), Ok(pattern));
    }
}

/// Long patterns that a careless reader would go over again and again.
#[test]
fn reading_takes_linear_time() {
    for piece in [
        "{", "[:", "{1", "{1,", "\\Q", "\\x{0", "(?P<", "[[:", "\\p{", "a{2,3", "(?i", "[^",
    ] {
        let pattern = piece.repeat(200_000 / piece.len());
        let start = std::time::Instant::now();
        let _outcome = translate(&pattern);
        let braces = format!("{pattern}}}");
        let _outcome = translate(&braces);
        assert!(start.elapsed() < std::time::Duration::from_secs(5), "{piece}");
    }
}
