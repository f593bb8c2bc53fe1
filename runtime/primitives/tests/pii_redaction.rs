//! Redaction among characters of all kinds: what is personal goes, every other byte stays.
//!
//! Values stand alone, in a row, in other scripts and spelled with other digits, between emoji, CJK, right-to-left letters,
//! combining marks and characters beyond the basic plane. `PII_REDACTIONS=n` tries n texts instead of a few hundred.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use policy_primitives::pii::{Confidence, Findings, PiiType, PiiTypeSet, redact, scan};
use proptest::prelude::*;
use proptest::test_runner::{Config, RngSeed, TestRunner};

/// Values that need no word before them.
const VALUES: &[(PiiType, &str)] = &[
    (PiiType::CreditCard, "4111 1111 1111 1111"),
    (PiiType::CreditCard, "5500-0000-0000-0004"),
    (PiiType::CreditCard, "378282246310005"),
    (PiiType::Ssn, "536-22-8726"),
    (PiiType::Phone, "+49 170 1234567"),
    (PiiType::Phone, "(415) 555-2671"),
    (PiiType::Phone, "+81 90-1234-5678"),
    (PiiType::Email, "ann.lee@example.com"),
    (PiiType::Email, "bob+tag@mail.example.org"),
    (PiiType::Iban, "DE89 3704 0044 0532 0130 00"),
    (PiiType::Iban, "GB82WEST12345698765432"),
    (PiiType::IpAddress, "203.0.113.7"),
    (PiiType::IpAddress, "2001:db8:85a3:8d3:1319:8a2e:370:7348"),
    (PiiType::MacAddress, "01:23:45:67:89:ab"),
    (PiiType::ApiKey, "AKIAIOSFODNN7EXAMPLE"),
    (PiiType::ApiKey, "ghp_16C7e42F292c6912E7710c838347Ae178B4a"),
    (PiiType::BrCpf, "529.982.247-25"),
    (PiiType::UkNino, "AB123456C"),
    (PiiType::CryptoWallet, "1BoatSLRHtKNngkdXEeobR76b53LETtpyT"),
];

/// First code points of digits that values may be spelled with. ASCII is the most frequent.
const ZEROS: &[u32] = &[0x30, 0x30, 0x30, 0x30, 0xFF10, 0x0660, 0x06F0, 0x0966, 0x1D7CE];

/// What stands around values: no piece holds digits, and none ends or begins with what joins a value.
const NOISE: &[&str] = &[
    "",
    " ",
    "\n",
    "😀",
    "👨‍👩‍👧‍👦",
    "👍🏽",
    "🇩🇪🇫🇷",
    "🏴󠁧󠁢󠁥󠁮󠁧󠁿",
    "❤️",
    "日本語",
    "中文，字符。",
    "한국어",
    "ｶﾀｶﾅ",
    "「",
    "」",
    "、",
    "。",
    " שלום ",
    " مرحبا ",
    "\u{202B} שלום \u{202C}",
    "\u{2067}",
    "\u{2069}",
    " e\u{301}a\u{308}o\u{302} ",
    " z\u{334}\u{335}\u{336} ",
    "𝒳𝓎 ",
    "𠀀𠀁",
    "𐍈𐍉 ",
    "🂡",
    "— ",
    "… ",
    " Привет ",
    " ελληνικά ",
    " हिन्दी ",
    " ไทย ",
    "\u{a0}",
    "\u{2003}",
    "\u{3000}",
    "\t",
    "ﬁ ",
    " ß ",
    "\u{200b}",
    "\u{200d}",
    "\u{200f}",
    "\u{feff}",
    "\u{ad}",
    " ǅ ",
];

/// `value` with its digits in another script.
fn spelled(value: &str, zero: u32) -> String {
    value
        .chars()
        .map(|c| {
            c.to_digit(10)
                .map_or(c, |digit| char::from_u32(zero + digit).unwrap())
        })
        .collect()
}

fn redacted(text: &str) -> String {
    let mut out = String::new();
    redact(text, PiiTypeSet::ALL, &mut out);
    out
}

/// Places in [`VALUES`] and [`ZEROS`], and the noise behind it.
type Piece = (usize, usize, Vec<usize>);

#[test]
fn what_is_personal_goes_and_every_other_byte_stays() {
    let cases = std::env::var("PII_REDACTIONS").map_or(400, |value| value.parse().unwrap());
    let noise = || prop::collection::vec(0..NOISE.len(), 1..5);
    let pieces = prop::collection::vec((0..VALUES.len(), 0..ZEROS.len(), noise()), 1..5);
    let mut runner = TestRunner::new(Config {
        cases,
        rng_seed: RngSeed::Fixed(3),
        failure_persistence: None,
        ..Config::default()
    });
    let mut findings = Findings::new();
    let findings = std::cell::RefCell::new(&mut findings);
    let replaced = std::cell::Cell::new(0usize);
    runner
        .run(
            &(noise(), pieces),
            |(before, pieces): (Vec<usize>, Vec<Piece>)| {
                let joined = |places: &[usize]| places.iter().map(|place| NOISE[*place]).collect::<String>();
                let mut text = joined(&before);
                let mut expected = text.clone();
                for (value, zero, behind) in &pieces {
                    let (kind, value) = VALUES[*value];
                    // Hexadecimal digits, words and key ids keep their own spelling.
                    let plain = matches!(
                        kind,
                        PiiType::ApiKey | PiiType::CryptoWallet | PiiType::MacAddress | PiiType::UkNino
                    ) || value.contains("::")
                        || value.contains("db8");
                    text += &if plain {
                        value.to_owned()
                    } else {
                        spelled(value, ZEROS[*zero])
                    };
                    expected += kind.placeholder();
                    // Two values never touch.
                    let behind = format!("{} x ", joined(behind));
                    text += &behind;
                    expected += &behind;
                    replaced.set(replaced.get() + 1);
                }
                let mut findings = findings.borrow_mut();
                scan(&text, &mut findings);
                for found in findings.iter() {
                    prop_assert!(text.is_char_boundary(found.start) && text.is_char_boundary(found.end));
                    prop_assert!(found.start < found.end && found.confidence >= Confidence::Low);
                }
                let once = redacted(&text);
                prop_assert_eq!(&once, &expected, "of {:?}", text);
                prop_assert_eq!(redacted(&once), expected);
                Ok(())
            },
        )
        .unwrap();
    println!("{} values in {cases} texts", replaced.get());
}
