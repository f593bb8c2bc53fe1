//! The JSON reader against `serde_json`, on texts and on mutations of them.

use super::{JsonErrorKind, Reader, utf8};
use crate::plain::plain_prefix;
use crate::value::Value;
use bumpalo::Bump;
use proptest::prelude::*;

fn ours(text: &str, skip: bool) -> Option<String> {
    let bump = Bump::new();
    let mut reader = Reader::new(text, &bump, 128, 1 << 24);
    let (byte, at) = reader.token(0);
    let mut value = None;
    let at = if skip {
        reader.skip(byte, at)
    } else {
        reader.value(byte, at, value.insert(Value::Undefined))
    };
    reader.end(at.ok()?).ok()?;
    let mut out = String::new();
    if let Some(value) = value {
        value.write_json(&mut out).ok()?;
    }
    Some(out)
}

/// What `serde_json` reads. `Err` of whether it is JSON, where a number is beyond a double.
fn theirs(text: &str) -> Result<Option<serde_json::Value>, bool> {
    match serde_json::from_str(text) {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.to_string().starts_with("number out of range") => {
            Err(serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok())
        }
        Err(_) => Ok(None),
    }
}

/// Whether some exponent has so many digits that it may be beyond 64 bits, where the readers differ on purpose.
fn has_wide_exponent(text: &str) -> bool {
    text.split(['e', 'E']).skip(1).any(|rest| {
        let digits = rest.trim_start_matches(['+', '-']);
        digits.bytes().take_while(u8::is_ascii_digit).count() > 18
    })
}

/// The reader agrees with `serde_json` on what is JSON and on what it means; it is stricter only on duplicate keys and
/// exponents beyond 64 bits, and reads numbers of any size.
fn agree(text: &str) {
    if has_wide_exponent(text) {
        return;
    }
    let expected = theirs(text);
    let skipped = ours(text, true);
    let valid = match &expected {
        Ok(value) => value.is_some(),
        Err(valid) => *valid,
    };
    assert_eq!(skipped.is_some(), valid, "skip: {text:?}");
    match (ours(text, false), expected) {
        (Some(json), Ok(expected)) => assert_eq!(
            serde_json::from_str::<serde_json::Value>(&json).ok(),
            expected,
            "{text:?}"
        ),
        (Some(_), Err(valid)) => assert!(valid, "{text:?}"),
        (None, _) => assert!(!valid || text.contains('{'), "{text:?}"),
    }
}

#[test]
fn numbers_are_what_they_are() {
    for (text, written) in [
        ("18446744073709551615", "18446744073709551615"),
        ("18446744073709551617", "18446744073709551617"),
        ("1e400", "1e400"),
        ("-1E+400", "-1E+400"),
        ("0.1000000000000000055", "0.1000000000000000055"),
        ("0.10", "0.1"),
        ("-0", "-0.0"),
        ("9007199254740993.0", "9007199254740993"),
        ("[1e-400,1e23]", "[1e-400,1e23]"),
        ("1e9223372036854775807", "1e9223372036854775807"),
    ] {
        assert_eq!(ours(text, false).as_deref(), Some(written), "{text}");
        assert!(ours(text, true).is_some(), "{text}");
    }
    for text in [
        "1e9223372036854775808",
        "0e9223372036854775808",
        "[1e-9223372036854775809]",
    ] {
        assert_eq!(ours(text, false), None, "{text}");
        assert_eq!(ours(text, true), None, "{text}");
    }
}

#[test]
fn hand_picked_documents_agree_with_serde_json() {
    let cases = [
        "",
        " ",
        "{",
        "}",
        "[]",
        "[ ]",
        "{}",
        "{ }",
        "[1,]",
        "[,1]",
        "{\"a\":1,}",
        "{\"a\"}",
        "{\"a\":}",
        "nul",
        "null",
        "nulll",
        "true",
        "tru",
        "-",
        "-0",
        "0",
        "00",
        "01",
        "1.",
        ".1",
        "1.5",
        "-1.5e3",
        "1e",
        "1e+",
        "1E-2",
        "1e999",
        "[1e999]",
        "-1e999",
        "18446744073709551615",
        "18446744073709551616",
        "-9223372036854775808",
        "-9223372036854775809",
        "9007199254740993",
        "\"",
        "\"\\",
        "\"\\u12\"",
        "\"\\u0041\"",
        "\"\\ud83d\\ude00\"",
        "\"\\ud83d\"",
        "\"\\ude00\"",
        "\"\\ud83dx\"",
        "\"\\ud83d\\u0041\"",
        "\"a\tb\"",
        "\"a\\tb\"",
        "\"\u{1}\"",
        "\"\u{7f}\"",
        "{\"a\":[{\"b\":{}},[],\"x\"]}",
        "[1 2]",
        "{\"a\" 1}",
        "{1:2}",
        "[\"\\q\"]",
        "\u{feff}{}",
        "[0.1,1e-7,123456789012345678901234567890]",
        "{\"a\":1}x",
        "1 1",
        "\"\\/\"",
        "2.5e-324",
        "[-]",
        "[--1]",
    ];
    for case in cases {
        agree(case);
    }
    agree(&"9".repeat(400));
    agree(&"[".repeat(200));
}

#[test]
fn nesting_is_refused_not_overflowed() {
    let deep = "[".repeat(100_000);
    assert!(ours(&deep, true).is_none());
    assert!(ours(&deep, false).is_none());
    let fits = format!("{}{}", "[".repeat(128), "]".repeat(128));
    assert!(ours(&fits, true).is_some());
}

#[test]
fn duplicate_keys_of_what_is_read_are_refused() {
    assert!(ours(r#"{"a":1,"\u0061":2}"#, false).is_none());
    assert!(ours(r#"{"a":1,"a":2}"#, true).is_some());
}

fn json_text() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("null".to_owned()),
        Just("true".to_owned()),
        any::<i64>().prop_map(|n| n.to_string()),
        any::<f64>()
            .prop_filter("finite", |x| x.is_finite())
            .prop_map(|x| format!("{x:?}")),
        any::<String>().prop_map(|s| serde_json::to_string(&s).unwrap_or_default()),
    ];
    leaf.prop_recursive(5, 40, 6, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..6).prop_map(|v| format!("[{}]", v.join(" ,"))),
            proptest::collection::vec((any::<String>(), inner), 0..6).prop_map(|v| {
                let members: Vec<_> = v
                    .into_iter()
                    .map(|(k, v)| format!("{}: {v}", serde_json::to_string(&k).unwrap_or_default()))
                    .collect();
                format!("{{{}}}", members.join(","))
            }),
        ]
    })
}

#[test]
fn plain_prefix_finds_a_stop_at_every_place_of_a_long_text() {
    for length in [0, 7, 8, 31, 32, 33, 95, 543, 544, 545, 1200] {
        for at in 0..=length {
            for stop in [b'"', b'\\', 0x1f, 0] {
                let mut text = vec![b'a'; length];
                text.insert(at, stop);
                assert_eq!(plain_prefix(&text), at);
            }
        }
        assert_eq!(plain_prefix(&vec![0xff; length]), length);
    }
}

proptest! {
    #[test]
    fn arbitrary_text_agrees_with_serde_json(text in "[\\[\\]{}\",:0-9eE+.\\\\untrfals \t-]{0,24}") { agree(&text); }

    #[test]
    fn generated_documents_agree_with_serde_json(text in json_text(), cut in any::<prop::sample::Index>()) {
        agree(&text);
        let mut at = cut.index(text.len() + 1);
        while !text.is_char_boundary(at) { at -= 1; }
        agree(&text[..at]);
    }

    #[test]
    fn plain_prefix_finds_the_first_stop(bytes: Vec<u8>) {
        let expected = bytes.iter().position(|b| matches!(b, b'"' | b'\\' | 0..0x20)).unwrap_or(bytes.len());
        prop_assert_eq!(plain_prefix(&bytes), expected);
    }
}

/// The end of a body is looked at with other instructions than the rest.
#[test]
fn what_is_no_text_is_found_in_short_and_in_long_bodies() {
    for length in [1, 63, 64, 65, 127, 128, 5000] {
        for at in [0, length / 2, length - 1] {
            let mut body = vec![b'a'; length];
            assert!(utf8(&body).is_ok());
            if let Some(byte) = body.get_mut(at) {
                *byte = 0xff;
            }
            let found = utf8(&body).unwrap_err();
            assert_eq!(
                (found.kind, found.offset),
                (JsonErrorKind::NotUtf8, at),
                "{length}"
            );
        }
    }
    assert_eq!(utf8("é".repeat(400).as_bytes()).map(str::len), Ok(800));
}
