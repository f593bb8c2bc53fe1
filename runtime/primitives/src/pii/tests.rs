//! What can only be tested from inside: check digits against independent formulations, and the number of steps.

use std::ops::ControlFlow;

use proptest::prelude::*;

use super::bytes::{BLOCK, marks};
use super::checksum::{base58check, bech32, cpf, iban_mod97, luhn, nhs, verhoeff};
use super::scan::{Findings, Scanner, scan};
use super::{is_silent, short};

/// Digits of a number with `width` places.
fn digits_of(mut number: u64, width: usize) -> Vec<u8> {
    let mut digits = vec![0; width];
    for digit in digits.iter_mut().rev() {
        *digit = (number % 10) as u8;
        number /= 10;
    }
    digits
}

/// Luhn by the table of doubled digits.
fn luhn_by_table(digits: &[u8]) -> bool {
    const DOUBLED: [u32; 10] = [0, 2, 4, 6, 8, 1, 3, 5, 7, 9];
    let parity = digits.len() % 2;
    let sum: u32 = digits
        .iter()
        .enumerate()
        .map(|(place, d)| {
            if place % 2 == parity {
                DOUBLED[usize::from(*d)]
            } else {
                u32::from(*d)
            }
        })
        .sum();
    sum.is_multiple_of(10)
}

/// Mod 97 of the whole number, by long division of its decimal text.
fn mod97_of_text(iban: &str) -> u32 {
    let moved = format!("{}{}", &iban[4..], &iban[..4]);
    let decimal: String = moved
        .chars()
        .map(|c| c.to_digit(36).unwrap().to_string())
        .collect();
    decimal
        .bytes()
        .fold(0, |rest, digit| (rest * 10 + u32::from(digit - b'0')) % 97)
}

#[test]
fn luhn_agrees_with_a_table_on_all_short_numbers() {
    for number in 0..200_000 {
        let digits = digits_of(number, 6);
        assert_eq!(luhn(&digits), luhn_by_table(&digits), "{digits:?}");
    }
    assert!(!luhn(&[]));
}

#[test]
fn exactly_one_check_digit_fits() {
    for number in 0..20_000u64 {
        let fits = |check: fn(&[u8]) -> bool, scale: u64| {
            (0..10)
                .filter(|last| check(&digits_of(number * scale * 10 + last, 12)))
                .count()
        };
        assert_eq!(fits(luhn, 7919), 1);
        assert_eq!(fits(verhoeff, 7919), 1);
    }
}

#[test]
fn verhoeff_sees_every_swap_of_neighbours() {
    for number in (0..50_000u64).map(|n| n * 104_729 % 100_000_000_000) {
        let Some(last) = (0..10).find(|last| verhoeff(&digits_of(number * 10 + last, 12))) else {
            unreachable!()
        };
        let digits = digits_of(number * 10 + last, 12);
        for place in 0..11 {
            let mut swapped = digits.clone();
            swapped.swap(place, place + 1);
            assert_eq!(
                verhoeff(&swapped),
                digits[place] == digits[place + 1],
                "{digits:?} {place}"
            );
        }
    }
}

#[test]
fn nhs_and_cpf_have_published_examples() {
    assert!(nhs(&digits_of(9_434_765_919, 10)));
    assert!(nhs(&digits_of(4_505_577_104, 10)));
    assert!(!nhs(&digits_of(4_505_577_105, 10)));
    assert!(cpf(&digits_of(52_998_224_725, 11)));
    assert!(!cpf(&digits_of(52_998_224_735, 11)));
    assert!(!cpf(&[1; 11]));
    assert!(verhoeff(&[2, 3, 6, 3]));
    assert!(!verhoeff(&[2, 3, 6, 4]));
}

#[test]
fn nhs_check_digit_is_the_weighted_sum() {
    for number in 0..100_000u64 {
        let digits = digits_of(number * 9973 % 10_000_000_000, 10);
        // With the check digit weighted 1, the sum of a valid number is a multiple of 11.
        let sum: usize = digits
            .iter()
            .enumerate()
            .map(|(place, d)| usize::from(*d) * (10 - place))
            .sum();
        assert_eq!(nhs(&digits), sum.is_multiple_of(11), "{digits:?}");
    }
}

#[test]
fn wallets_have_published_examples() {
    assert!(base58check(b"1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa"));
    assert!(base58check(b"3J98t1WpEZ73CNmQviecrnyiWrnqRhWNLy"));
    assert!(!base58check(b"1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNb"));
    assert!(bech32(b"bc", b"qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4"));
    assert!(bech32(
        b"bc",
        b"p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqzk5jj0"
    ));
    assert!(!bech32(b"bc", b"qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t5"));
}

proptest! {
    #[test]
    fn mod97_agrees_with_long_division(iban in "[A-Z]{2}[0-9]{2}[A-Z0-9]{11,30}") {
        prop_assert_eq!(iban_mod97(iban.as_bytes()), mod97_of_text(&iban) == 1);
        prop_assert_eq!(iban_mod97(iban.to_lowercase().as_bytes()), mod97_of_text(&iban) == 1);
    }
}

proptest! {
    #[test]
    fn marks_are_digits_and_signs(bytes in proptest::array::uniform32(any::<u8>()), ascii in "([ -~]|[A-Z]{12}){32}") {
        let mut block = [0; BLOCK];
        block[..32].copy_from_slice(&bytes);
        block[32..].copy_from_slice(&ascii.as_bytes()[..32]);
        for (place, byte) in block.iter().enumerate() {
            let row = |from: usize| block.get(from..from + 10).is_some_and(|row| row.iter().all(u8::is_ascii_uppercase));
            let begins = row(place) && (place == 0 || !block[place - 1].is_ascii_uppercase());
            let expected = byte.is_ascii_digit() || b"_@:+-./=>?".contains(byte) || begins;
            prop_assert_eq!(marks(&block) >> place & 1 == 1, expected, "{}", byte);
        }
    }
}

/// One key id in 28 has no digit: it is found wherever it stands.
#[test]
fn keys_of_letters_alone_are_found_at_every_place_of_a_block() {
    let mut findings = Findings::new();
    for indent in 0..2 * BLOCK {
        let text = format!("{}AKIAQWERTYASDFGHZXCV and on", " ".repeat(indent));
        scan(&text, &mut findings);
        let places: Vec<_> = findings.iter().map(|found| (found.start, found.end)).collect();
        assert_eq!(places, [(indent, indent + 20)]);
    }
}

#[test]
fn matches_do_not_depend_on_where_blocks_end() {
    let text = "mail ann@example.com or call +1 (415) 555-2671, card 4111 1111 1111 1111, 12 Baker Street, \
                AKIAIOSFODNN7EXAMPLE, fe80::1ff:fe23:4567:890a, born 14 March 1980, GB82 WEST 1234 5698 7654 32, \
                postgres://user:hunter22@db, 00-1B-44-11-3A-B7, token = Zk3vQ9xT1bLm7Rw2Yp5S.";
    let mut findings = Findings::new();
    let mut found = |indent: usize| {
        scan(&("\n".repeat(indent) + text), &mut findings);
        let matches = findings.iter();
        matches
            .map(|m| (m.kind, m.start - indent, m.end - indent, m.confidence))
            .collect::<Vec<_>>()
    };
    let expected = found(1);
    assert!(expected.len() >= 11, "{expected:?}");
    for indent in 2..2 * BLOCK + 2 {
        assert_eq!(found(indent), expected, "{indent} lines before");
    }
}

/// Bytes read for `text`.
fn steps(text: &str) -> usize {
    let mut sink = |_| ControlFlow::Continue(());
    let mut scanner = Scanner::new(text, &mut sink);
    scanner.run();
    scanner.steps
}

/// Units that make some detector start, over and over.
const HOSTILE: &[&str] = &[
    "a",
    "1",
    "1-",
    "@",
    "1 ",
    "+1",
    ":",
    "a@a.",
    "1.",
    "1/",
    "(",
    "(1",
    "(1)",
    "-",
    "a-",
    "a.",
    "a1-",
    "A1 ",
    "_",
    "::",
    "a:",
    "1:",
    "a@",
    "@a.a",
    "@a.",
    "a.a@",
    "sk-",
    "sk-a1",
    "eyJ",
    "eyJ.",
    "eyJa.eyJa.",
    "AKIA",
    "-----BEGIN ",
    "-----BEGIN PRIVATE KEY-----",
    "GB82",
    "GB82 ",
    "call 1234567 ",
    "phone 12 34 56 ",
    "123-45-6789",
    "1234567 ",
    "4111 1111 1111 1111 ",
    "4111111111111111 ",
    "0x",
    "1 Main ",
    "1 A ",
    "a 1 ",
    "Box 1 ",
    "straße 1 ",
    "1900 ",
    "May 1900 ",
    "born 1/1/1990 ",
    "://a:a@",
    "://a:",
    "key=a1b2",
    "key=a1/",
    "key=a1B2c3/",
    "token: a1B2-",
    "a1B2c3",
    "é",
    "é1",
    "1é",
    "a1.a1",
    "\u{200b}1",
    "bc1q",
    "00-",
    "00:",
    "ext",
    "1x",
    "1 x1",
    "[EMAIL] ",
    "]1",
    "Aa1=",
    "hooks.slack.com/services/",
    "1234567890123456789 ",
    "1 1 1 1-",
    "eyJeyJ-",
    "=",
    ">",
    "=>",
    "\"",
    "a_",
    "_1",
    "a_1",
    "AAAAAAAAAA_",
    "key: ",
    "key=",
    "key=\"",
    "password = a1 ",
    "password is ",
    "key: aaaaaaaaaaaaaaaaaaaaaa1 ",
    "<key>a ",
    "<key>aaaaaaaa ",
    "--key ",
    "a,b,1234567\n",
    "|1 1234567\n",
    "phone\n",
    "Bearer ",
    "((((1",
    "(+1",
    ":aaaa",
];

#[test]
fn work_grows_with_the_text_and_not_faster() {
    for unit in HOSTILE {
        let short = unit.repeat(50_000 / unit.len());
        let long = unit.repeat(100_000 / unit.len());
        let (few, many) = (steps(&short), steps(&long));
        assert!(
            many * 10 <= few * 25,
            "{unit:?}: {few} steps for 50 KB, {many} for 100 KB"
        );
        assert!(
            many <= long.len() * 60,
            "{unit:?}: {} steps a byte",
            many / long.len()
        );
    }
}

#[test]
fn prose_costs_little_more_than_one_look_a_byte() {
    let prose = "The quick brown fox jumps over the lazy dog, and nobody minds. It was a well-known trick. "
        .repeat(500);
    assert!(
        steps(&prose) * 4 < prose.len() * 6,
        "{} steps for {} bytes",
        steps(&prose),
        prose.len()
    );
}

/// Whether the pass finds anything, at any confidence, without asking [`short`] first.
fn finds_anything(text: &str) -> bool {
    let mut any = false;
    Scanner::new(text, &mut |_| {
        any = true;
        ControlFlow::Break(())
    })
    .run_all();
    any
}

/// Pieces of numbers, keys and addresses, and words that detectors listen for.
fn piece() -> impl Strategy<Value = String> {
    let known = prop::sample::select(vec![
        "dob",
        "born",
        "né",
        "ip",
        "ssn",
        "sin",
        "nhs",
        "dl",
        "driver",
        "passport",
        "license",
        "tel",
        "call",
        "card",
        "visa",
        "btc",
        "host",
        "ver",
        "lives",
        "address",
        "Box",
        "PO ",
        "P.O. ",
        "may",
        "March ",
        "rue",
        "Via ",
        "St",
        "Way",
        "Hill",
        "Laan",
        "5 ",
        "AKIA",
        "sk-",
        "eyJ",
        "key",
        "x",
        "ext",
        "#",
        "[PHONE]",
        "AB",
        "DE89",
        "NO93",
        "bc1",
        "0x",
        "1a",
        "a::b",
        "::1",
        "fe80",
        "00-1B",
        "1B:",
        "@b.de",
        "git@",
        "+44",
        "(415)",
        "(020)",
        "8 (9",
        "555",
        "415-",
        "12",
        "1980",
        "3/14/80",
        "1.2.3.4",
        "10.0",
        "123-45",
        "6789",
        "AB123456C",
        "A1234567",
        "4111111111111111",
        "415-555-2671",
        "jane@example.com",
        "%40",
        "&#64;",
        "\\u0040",
        "b.de",
        "-may-",
        "dob",
        "geb",
        "90256",
        "2041",
        "943 476 5919",
        "221B Baker Street",
        "5 main street",
        "Hauptstraße 5",
        "Zx8Kq2Lw9Vb4Nm7Rt1Yp5Hs3",
        "5552671",
        "46454286",
        "12345678901",
        "046454286",
        "2341 2341 2346",
        "0x52908400098527886e0f7030069857d2e4169ee7",
        "12 34 56 C",
        "14 March 1980",
        "X1234567",
    ]);
    prop_oneof![
        4 => known.prop_map(str::to_owned),
        2 => prop::sample::select(vec![" ", "-", ".", ":", ": ", ", ", "/", "(", ")", "_", "@", "+", "=", "\"", "]", "é", "\u{a0}", "\u{2011}"])
            .prop_map(str::to_owned),
        2 => "[0-9]{1,6}",
        1 => "[a-zA-Z]{1,4}",
        1 => "[ -~]{1,3}",
    ]
}

/// Labels, of words that topics are and of words that end like them.
fn label() -> impl Strategy<Value = String> {
    let word = prop::sample::select(vec![
        "id",
        "model",
        "version",
        "user",
        "agent",
        "name",
        "tags",
        "cost",
        "center",
        "region",
        "basin",
        "turbo",
        "order",
        "code",
        "team",
        "phone",
        "ssn",
        "sin",
        "nhs",
        "passport",
        "driver",
        "license",
        "born",
        "birth",
        "card",
        "wallet",
        "address",
        "home",
        "host",
        "ip",
        "key",
        "token",
        "auth",
        "author",
        "secret",
        "monkey",
        "public",
        "credential",
        "ssh",
        "nino",
        "uid",
        "box",
        "po",
        "st",
        "call",
    ]);
    let word = prop_oneof![4 => word.prop_map(str::to_owned), 1 => "[a-z]{0,9}"];
    prop::collection::vec(word, 1..5).prop_map(|words| words.join(" "))
}

/// What is short and looks like an id is none where it is an address in disguise, or says when somebody was born.
#[test]
fn short_texts_with_few_digits_are_found_all_the_same() {
    for text in [
        "joe%40acme.com",
        "a%4012.com",
        "j&#64;acme.com",
        "j\\u0040ac.com",
        "dob-may-1980",
    ] {
        assert!(text.len() <= 14 && super::contains(text), "{text}");
    }
    for text in ["user-90256", "team-5693", "CC-1042", "proj-405", "eu-west-1"] {
        assert!(
            short::holds_nothing(text.as_bytes()) && !finds_anything(text),
            "{text}"
        );
    }
}

/// `PROPTEST_CASES` where it asks for more.
fn many() -> ProptestConfig {
    let usual = ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    ProptestConfig {
        cases: usual.cases.max(20_000),
        ..usual
    }
}

proptest! {
    #![proptest_config(many())]

    #[test]
    fn the_short_cut_misses_nothing(pieces in prop::collection::vec(piece(), 1..6)) {
        let mut text = pieces.concat();
        text.truncate(text.floor_char_boundary(14));
        prop_assert!(!short::holds_nothing(text.as_bytes()) || !finds_anything(&text), "{:?}", text);
    }

    #[test]
    fn silent_labels_make_nothing_suspicious(
        label in label(),
        pieces in prop::collection::vec(piece(), 1..6),
        far in 0_usize..80,
    ) {
        // Far enough from the label that the window of words cuts it.
        let words = "and so on it goes for some time, in words that mean nothing to those who listen, ";
        let text = format!("{}{}", &words[words.len() - far..], pieces.concat());
        if is_silent(&label) && !finds_anything(&text) {
            let labelled = format!("{label}: {text}");
            prop_assert!(!finds_anything(&labelled), "{labelled:?}");
        }
    }
}

#[test]
fn labels_that_say_something_are_not_silent() {
    for silent in [
        "",
        " ",
        "id",
        "model",
        "user agent",
        "trace parent",
        "data classification",
        "version",
    ] {
        assert!(is_silent(silent), "{silent:?}");
    }
    for loud in [
        "phone",
        "phones",
        "passport number",
        "ssn",
        "basin",
        "basins",
        "api key",
        "author",
        "key ",
        "Ip",
        "né",
        "a1",
        "a:b",
        "a_b",
        "date of birth",
        "shipping address",
        "wallet",
        "card",
    ] {
        assert!(!is_silent(loud), "{loud:?}");
    }
    assert!(!is_silent(&"a".repeat(80)));
}
