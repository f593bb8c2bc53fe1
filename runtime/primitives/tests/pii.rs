//! Detection and redaction, type by type, and the promises that hold for any text.

use policy_primitives::pii::{
    Confidence, Findings, Match, PiiType, PiiTypeSet, Redactor, contains, contains_any, redact, scan,
    types_in, visit,
};
use proptest::prelude::*;

fn findings(text: &str) -> Vec<Match> {
    let mut findings = Findings::new();
    scan(text, &mut findings);
    findings.as_slice().to_vec()
}

/// Type and text of what counts.
fn counted(text: &str) -> Vec<(PiiType, &str)> {
    findings(text)
        .into_iter()
        .filter(|found| found.confidence >= Confidence::Medium)
        .map(|found| (found.kind, &text[found.start..found.end]))
        .collect()
}

fn redacted(text: &str) -> String {
    let mut out = String::new();
    redact(text, PiiTypeSet::ALL, &mut out);
    out
}

/// Each line is one piece of the type, whatever stands around it.
fn assert_all(kind: PiiType, cases: &[(&str, &str)]) {
    let wrong: Vec<_> = cases
        .iter()
        .filter(|(text, expected)| counted(text) != [(kind, *expected)])
        .map(|(text, _)| (text, findings(text)))
        .collect();
    assert!(wrong.is_empty(), "{kind}: {wrong:#?}");
}

fn assert_none(cases: &[&str]) {
    let wrong: Vec<_> = cases
        .iter()
        .filter(|text| contains(text))
        .map(|text| (text, counted(text)))
        .collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn email_addresses() {
    assert_all(
        PiiType::Email,
        &[
            (
                "write to ann.o'neil+news@mail.example.co.uk.",
                "ann.o'neil+news@mail.example.co.uk",
            ),
            ("<bob@example.com>", "bob@example.com"),
            ("mailto:bob@example.com?subject=x", "bob@example.com"),
            ("JOSÉ@EXAMPLE.ORG", "JOSÉ@EXAMPLE.ORG"),
            ("müller@bücher.de!", "müller@bücher.de"),
            ("请联系abc@example.com谢谢", "abc@example.com"),
            ("bob@example.com.Then we left", "bob@example.com"),
            ("a@x.museum", "a@x.museum"),
            ("it is bob@example.com: really", "bob@example.com"),
        ],
    );
    assert_none(&[
        "@example.com",
        "bob@",
        "bob@localhost",
        "logo@2x.png",
        "@websocket.route",
        "react@18.2.0",
        "a@b.c",
        "git@github.com:owner/repo.git",
        "ssh ubuntu@host.example.com",
        "@tanstack/vue-query",
        "x@y.py",
        "user@1.2.3.4x",
        "bob@-example-.com-",
        ".@.com",
    ]);
}

#[test]
fn cards() {
    assert_all(
        PiiType::CreditCard,
        &[
            ("My card 4111111111111111", "4111111111111111"),
            ("4111 1111 1111 1111", "4111 1111 1111 1111"),
            ("4111-1111-1111-1111,", "4111-1111-1111-1111"),
            ("3782 822463 10005", "3782 822463 10005"),
            ("378282246310005", "378282246310005"),
            ("30569309025904", "30569309025904"),
            ("6011111111111117", "6011111111111117"),
            ("3530111333300000", "3530111333300000"),
            ("2223003122003222", "2223003122003222"),
            ("card 501800000009", "501800000009"),
            ("card 4222222222222", "4222222222222"),
            ("card 6304000000000000000 ", "6304000000000000000"),
            ("pan=4111111111111111&x=1", "4111111111111111"),
            (
                "4111\u{a0}1111\u{a0}1111\u{a0}1111",
                "4111\u{a0}1111\u{a0}1111\u{a0}1111",
            ),
            (
                "4111\u{200b}1111\u{200b}1111\u{200b}1111",
                "4111\u{200b}1111\u{200b}1111\u{200b}1111",
            ),
        ],
    );
    assert_none(&[
        "4111111111111112",
        "my card 4111111111111112",
        "1234567890123456",
        "41111111111111111111111",
        "id a4111111111111111",
        "0.4111111111111111",
        "550e8400-e29b-41d4-a716-446655440000",
        "4222222222222",
        "501800000009",
        "1700000000000",
        "4111111111111111_suffix",
    ]);
    assert_eq!(
        findings("my card 4111111111111112")[0].confidence,
        Confidence::Low
    );
}

#[test]
fn us_numbers() {
    assert_all(
        PiiType::Ssn,
        &[
            ("my ssn is 123-45-6789", "123-45-6789"),
            ("536-32-3065.", "536-32-3065"),
            ("SSN: 536323065", "536323065"),
            ("social security number 536 32 3065", "536 32 3065"),
        ],
    );
    assert_all(
        PiiType::UsItin,
        &[("912-70-1234", "912-70-1234"), ("itin 912701234", "912701234")],
    );
    assert_none(&[
        "000-12-3456",
        "666-12-3456",
        "900-12-3456",
        "123-00-4567",
        "123-45-0000",
        "536323065",
        "536 32 3065",
        "1-536-32-3065",
        "536-32-3065-1",
        "078-05-1120",
        "part 536-32-30651",
    ]);
}

#[test]
fn bank_accounts() {
    assert_all(
        PiiType::Iban,
        &[
            ("GB82WEST12345698765432", "GB82WEST12345698765432"),
            (
                "gb82 west 1234 5698 7654 32 is mine",
                "gb82 west 1234 5698 7654 32",
            ),
            ("IBAN:DE89370400440532013000.", "DE89370400440532013000"),
            (
                "FR14 2004 1010 0505 0001 3M02 606",
                "FR14 2004 1010 0505 0001 3M02 606",
            ),
            ("NO9386011117947", "NO9386011117947"),
        ],
    );
    assert_none(&[
        "GB82WEST12345698765433",
        "GB82WEST1234569876543",
        "XX82WEST12345698765432",
        "GB82WEST123456987654321",
    ]);
}

#[test]
fn network_addresses() {
    assert_all(
        PiiType::IpAddress,
        &[
            ("from 203.0.113.7.", "203.0.113.7"),
            ("http://203.0.113.7:8080/x", "203.0.113.7"),
            ("my ip is 192.168.1.10", "192.168.1.10"),
            (
                "2001:0db8:85a3:0000:0000:8a2e:0370:7334",
                "2001:0db8:85a3:0000:0000:8a2e:0370:7334",
            ),
            ("[2001:db8::1]", "2001:db8::1"),
            ("at fe80::1ff:fe23:4567:890a, yes", "fe80::1ff:fe23:4567:890a"),
            ("::ffff:203.0.113.7", "::ffff:203.0.113.7"),
        ],
    );
    assert_all(
        PiiType::MacAddress,
        &[
            ("00:1B:44:11:3A:B7", "00:1B:44:11:3A:B7"),
            ("mac 00-1B-44-11-3A-B7.", "00-1B-44-11-3A-B7"),
        ],
    );
    assert_none(&[
        "version 1.2.3.4",
        "v10.2.3.4",
        "1.2.3.4",
        "Chrome version 120.0.6099.109",
        "256.1.1.1",
        "1.2.3.4.5",
        "01.2.3.4",
        "127.0.0.1",
        "0.0.0.0",
        "255.255.255.0",
        "10.0.0.0/8",
        "std::vec",
        "a::b",
        "Face::Add",
        "::1",
        "::",
        "12:30:45",
        "00:00:00:00:00:00",
        "dead::beef",
        "10:20:30:40:50:60:70",
    ]);
}

#[test]
fn phones() {
    assert_all(
        PiiType::Phone,
        &[
            ("+1 415 555 2671", "+1 415 555 2671"),
            ("+14155552671", "+14155552671"),
            ("+1 (415) 555-2671", "+1 (415) 555-2671"),
            ("(415) 555-2671", "(415) 555-2671"),
            ("415-555-2671", "415-555-2671"),
            ("415.555.2671 x12", "415.555.2671 x12"),
            ("1-800-555-2671", "1-800-555-2671"),
            ("+44 (0)20 7946 0958", "+44 (0)20 7946 0958"),
            ("020 7946 0958", "020 7946 0958"),
            ("07700 900123", "07700 900123"),
            ("+49 30 123456", "+49 30 123456"),
            ("030/1234567", "030/1234567"),
            ("01 23 45 67 89", "01 23 45 67 89"),
            ("+33 1 23 45 67 89", "+33 1 23 45 67 89"),
            ("02.27.96.63.08", "02.27.96.63.08"),
            ("+972 54-123-4567", "+972 54-123-4567"),
            ("+91 98765 43210", "+91 98765 43210"),
            ("(11) 98765-4321", "(11) 98765-4321"),
            ("11 98765-4321", "11 98765-4321"),
            ("0412 345 678", "0412 345 678"),
            ("03-1234-5678", "03-1234-5678"),
            ("044 668 18 00", "044 668 18 00"),
            ("08-123 456 78", "08-123 456 78"),
            ("0041 44 668 18 00", "0041 44 668 18 00"),
            ("001-425-335-7509x38548", "001-425-335-7509x38548"),
            ("call me at 5552671", "5552671"),
            ("Phone: 4155552671", "4155552671"),
            ("tel:4155552671", "4155552671"),
            ("69 987 88 37 office", "69 987 88 37"),
            ("电话+8613812345678。", "+8613812345678"),
        ],
    );
    assert_none(&[
        "4155552671",
        "1700000000",
        "order 415-555-2671",
        "2023-01-01 10:20:30",
        "call on 12-05-2023",
        "$415.555.2671",
        "01 02 03 04 05",
        "100 200 3000",
        "range 20000-30000",
        "12345-67890",
        "1234567",
        "call us in 2023",
        "3.14159265",
        "SELECT 1+1234567890",
        "id=000095037",
        "call account 12345678",
        "reach 1000000 users",
        "+1",
        "(2019) 123-456",
        "vol. (96) 627-631",
        "550e8400-e29b-41d4-a716-446655440000",
        "115-555-2671",
        "C++11 1234567",
    ]);
}

#[test]
fn dates_of_birth_need_a_word() {
    assert_all(
        PiiType::DateOfBirth,
        &[
            ("born on 3/23/1940.", "3/23/1940"),
            ("DOB: 1980-03-14", "1980-03-14"),
            ("date of birth 14.03.1980", "14.03.1980"),
            ("She was born on March 3rd, 1980", "March 3rd, 1980"),
            ("born 14 March 1980", "14 March 1980"),
            ("my birthday is 03/14/80", "03/14/80"),
            ("geboren am 3.4.1980", "3.4.1980"),
        ],
    );
    assert_none(&[
        "on 3/23/1940",
        "March 3rd, 1980",
        "seaborn 2023-01-01",
        "born in 1961",
        "born 99/99/1980",
    ]);
}

#[test]
fn addresses() {
    assert_all(
        PiiType::Address,
        &[
            ("at 221B Baker Street, London", "221B Baker Street"),
            (
                "1600 Amphitheatre Parkway, Mountain View, CA 94043",
                "1600 Amphitheatre Parkway, Mountain View, CA 94043",
            ),
            ("10 Main St., Apt 4B", "10 Main St., Apt 4B"),
            ("350 5th Ave", "350 5th Ave"),
            ("she lives at 8 wressle road", "8 wressle road"),
            ("lives at 1755 Nelson Mandela Drive", "1755 Nelson Mandela Drive"),
            ("12 rue Descartes", "12 rue Descartes"),
            ("Hauptstraße 5", "Hauptstraße 5"),
            ("P.O. Box 1234", "P.O. Box 1234"),
        ],
    );
    assert_none(&[
        "a 2 lane road",
        "Main St",
        "5 minutes down the road",
        "2 Google Drive",
        "in 3 Easy Steps",
    ]);
}

/// A body of `length` characters that looks drawn at random.
fn body(alphabet: &str, length: usize) -> String {
    let alphabet = alphabet.as_bytes();
    (0..length)
        .map(|i| char::from(alphabet[(i * 37 + i / 7 * 11 + 5) % alphabet.len()]))
        .collect()
}

const ALNUM: &str = "aB3dE5gH7jK9mN1pQ2rS4tU6vW8xYz0";
const HEX: &str = "0a1b2c3d4e5f6789";

#[test]
fn service_keys() {
    let keys = [
        "AKIAIOSFODNN7EXAMPLE".to_owned(),
        format!("ASIA{}", body("ABCDEFGHIJ234567", 16)),
        format!("ghp_{}", body(ALNUM, 36)),
        format!("gho_{}", body(ALNUM, 36)),
        format!("ghs_{}", body(ALNUM, 36)),
        format!("github_pat_{}_{}", body(ALNUM, 22), body(ALNUM, 59)),
        format!("glpat-{}", body(ALNUM, 20)),
        format!("xoxb-123456789012-1234567890123-{}", body(ALNUM, 24)),
        format!("sk_live_{}", body(ALNUM, 24)),
        format!("rk_live_{}", body(ALNUM, 24)),
        format!("sk-{}", body(ALNUM, 48)),
        "sk-abcdefghijklmnopqrstuvwxyz123456".to_owned(),
        format!(
            "sk-proj-{}-{}_{}",
            body(ALNUM, 40),
            body(ALNUM, 40),
            body(ALNUM, 30)
        ),
        format!("sk-ant-api03-{}AA", body(ALNUM, 93)),
        format!("AIza{}", body(ALNUM, 35)),
        format!("SG.{}.{}", body(ALNUM, 22), body(ALNUM, 43)),
        format!("npm_{}", body(ALNUM, 36)),
        format!("pypi-AgEIcHlwaS5vcmc{}", body(ALNUM, 60)),
        format!("hf_{}", body("aBcDeFgHiJkLmNoP", 34)),
        format!("SK{}", body(HEX, 32)),
        format!("dapi{}", body(HEX, 32)),
        format!("dop_v1_{}", body(HEX, 64)),
        format!("hvs.{}", body(ALNUM, 95)),
        format!("shpat_{}", body(HEX, 32)),
    ];
    for key in &keys {
        for text in [
            key.clone(),
            format!("key: \"{key}\", next"),
            format!("export X={key}\n"),
            format!("it is {key}."),
        ] {
            assert_eq!(counted(&text), [(PiiType::ApiKey, key.as_str())], "{text:?}");
        }
    }
    let jwt = format!(
        "eyJ{}.eyJ{}.{}",
        body(ALNUM, 30),
        body(ALNUM, 40),
        body(ALNUM, 43)
    );
    assert_eq!(
        counted(&format!("Authorization: Bearer {jwt}")),
        [(PiiType::Jwt, jwt.as_str())]
    );
    assert_none(&[
        "sk-xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
        "AKIA",
        "task-based-approach-to-learning-things",
        "sk-loading-spinner-abc-1",
        "ghp_short",
        "x509KeyUsage: X509RequestInheritOptions2",
        "hf_transfer",
        "npm_config_registry",
        "AKIAXXXXXXXXXXXXXXXX",
        "eyJhbGciOi",
        "the api_key is secret",
    ]);
}

#[test]
fn other_secrets() {
    let pem = format!(
        "-----BEGIN RSA PRIVATE KEY-----\n{}\n-----END RSA PRIVATE KEY-----",
        body(ALNUM, 200)
    );
    assert_eq!(
        counted(&format!("key:\n{pem}\nend")),
        [(PiiType::PrivateKey, pem.as_str())]
    );
    // However short: what stands between the two lines is the key. Nothing, or words, are none.
    for inside in ["MIIEow", "\\nMIIEow\\n", "\nMIIEow\n"] {
        let pem = format!("-----BEGIN RSA PRIVATE KEY-----{inside}-----END RSA PRIVATE KEY-----");
        assert_eq!(
            counted(&format!("key: {pem}")),
            [(PiiType::PrivateKey, pem.as_str())]
        );
    }
    for inside in [
        "",
        "\n\n\n\n\n\n\n\n",
        "\n...\n",
        "\nyour key goes here\n",
        " and ends with ",
    ] {
        let named = format!("-----BEGIN PRIVATE KEY-----{inside}-----END PRIVATE KEY-----");
        assert_eq!(counted(&named), []);
    }
    let cut = format!("-----BEGIN PRIVATE KEY-----\n{}", body(ALNUM, 200));
    assert_eq!(
        counted(&format!("{cut}\n")),
        [(PiiType::PrivateKey, cut.as_str())]
    );
    assert_all(
        PiiType::ApiKey,
        &[
            ("postgres://app:hunter2x@db.example.com/app", "hunter2x"),
            (
                "aws_secret_access_key = wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
                "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
            ),
            (
                "{\"api_key\": \"aB3dE5gH7jK9mN1pQ2rS4tU6\"}",
                "aB3dE5gH7jK9mN1pQ2rS4tU6",
            ),
        ],
    );
    assert_none(&[
        "postgres://app:${PASSWORD}@db/app",
        "-----BEGIN PUBLIC KEY-----\nabc",
        "token = tokenizer.encode_plus_1(text)",
        "key = \"primary_key_of_the_table_1\"",
    ]);
}

#[test]
fn national_numbers_and_wallets() {
    for (kind, text, expected) in [
        (PiiType::UkNino, "AB123456C", "AB123456C"),
        (PiiType::UkNino, "nino AB 12 34 56 C.", "AB 12 34 56 C"),
        (PiiType::UkNhs, "NHS number 943 476 5919", "943 476 5919"),
        (PiiType::CaSin, "SIN 130 692 544", "130 692 544"),
        (PiiType::BrCpf, "529.982.247-25", "529.982.247-25"),
        (PiiType::InAadhaar, "aadhaar 2341 2341 2346", "2341 2341 2346"),
        (
            PiiType::DriverLicense,
            "My driver's license number is 425700624",
            "425700624",
        ),
        (
            PiiType::DriverLicense,
            "my driver's license number is A56319335",
            "A56319335",
        ),
        (PiiType::Passport, "passport no. 425700624", "425700624"),
        (
            PiiType::CryptoWallet,
            "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa",
            "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa",
        ),
        (
            PiiType::CryptoWallet,
            "to bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4",
            "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4",
        ),
        (
            PiiType::CryptoWallet,
            "wallet 0x52908400098527886e0f7030069857d2e4169ee7",
            "0x52908400098527886e0f7030069857d2e4169ee7",
        ),
    ] {
        assert_eq!(
            counted(text),
            [(kind, expected)],
            "{text:?}: {:?}",
            findings(text)
        );
    }
    assert_none(&[
        "NHS number 943 476 5918",
        "130 692 544",
        "529.982.247-26",
        "QQ123456C",
        "2341 2341 2346",
    ]);
}

#[test]
fn prose_is_not_personal() {
    assert_none(&[
        "",
        " ",
        "Explain Quantum Computing",
        "The New York office",
        "In 2023 we had 365 days and 1,000,000 users.",
        "C++17 (2017) and 3.14",
        "a@b",
        "12:30-13:45",
        "1/2/3",
        "1.2.3",
        "x = 10 - 20 + 30",
        "node_modules/@types",
        "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    ]);
}

#[test]
fn one_table_of_types() {
    assert_eq!("credit_card".parse(), Ok(PiiType::CreditCard));
    assert!("name".parse::<PiiType>().is_err());
    for kind in PiiType::ALL {
        assert_eq!(kind.name().parse(), Ok(*kind));
        assert_eq!(kind.placeholder(), format!("[{}]", kind.name().to_uppercase()));
        assert!(PiiTypeSet::ALL.contains(*kind));
        assert_none(&[kind.placeholder()]);
    }
    assert_eq!(PiiTypeSet::ALL.len(), PiiType::ALL.len());
    assert!(PiiTypeSet::ALL.iter().eq(PiiType::ALL.iter().copied()));
    let types = types_in("card 4111111111111111 of bob@example.com");
    assert_eq!(types.names().collect::<Vec<_>>(), ["email", "credit_card"]);
}

#[test]
fn redaction_examples() {
    for (text, expected) in [
        ("My card 4111111111111111", "My card [CREDIT_CARD]"),
        (
            "mail bob@example.com or call 415-555-2671!",
            "mail [EMAIL] or call [PHONE]!",
        ),
        ("4111111111111111@example.com", "[EMAIL]"),
        ("日本 bob@example.com 語", "日本 [EMAIL] 語"),
        ("phone: 782 2652, 782 2653", "phone: [PHONE], [PHONE]"),
        ("version 1.2.3.4", "version 1.2.3.4"),
        ("", ""),
    ] {
        assert_eq!(redacted(text), expected);
    }
}

#[test]
fn redaction_of_some_types_and_confidences() {
    let text = "bob@example.com, 4111 1111 1111 1111, my card 4111111111111112";
    let cards = PiiTypeSet::EMPTY.with(PiiType::CreditCard);
    let mut out = String::new();
    redact(text, cards, &mut out);
    assert_eq!(out, "bob@example.com, [CREDIT_CARD], my card 4111111111111112");
    let mut redactor = Redactor::new();
    assert_eq!(redactor.redact(text, cards, Confidence::Low, &mut out), cards);
    assert_eq!(out, "bob@example.com, [CREDIT_CARD], my card [CREDIT_CARD]");
    assert!(
        redactor
            .redact(text, PiiTypeSet::EMPTY, Confidence::Low, &mut out)
            .is_empty()
    );
    assert_eq!(out, text);
}

#[test]
fn steady_state_does_not_allocate() {
    let text =
        "Call 415-555-2671, write to ann@example.com, card 4111 1111 1111 1111, 10 Main Street. ".repeat(20);
    let mut findings = Findings::new();
    let mut redactor = Redactor::new();
    let mut out = String::new();
    let mut work = || {
        scan(&text, &mut findings);
        assert!(contains(&text) && types_in(&text).len() == 4);
        redactor.redact(&text, PiiTypeSet::ALL, Confidence::Medium, &mut out);
    };
    work();
    let counts = allocation_counter::measure(work);
    assert_eq!(counts.count_total, 0);
}

/// Texts made of pieces that detectors start on, in any order and glued in any way.
fn pieces() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        3 => prop::sample::select(vec![
            "4111111111111111", "4111 1111 1111 1111", "415-555-2671", "(415) 555-2671", "+14155552671", "782 2652",
            "536-32-3065", "bob@example.com", "@example.com", "bob@", "203.0.113.7", "192.168.1.1", "1.2.3.4", "::1",
            "2001:db8::1", "00:1B:44:11:3A:B7", "GB82WEST12345698765432", "GB82 WEST 1234 5698 7654 32", "1980-03-14",
            "March 3, 1980", "10 Main Street", "Apt 4", "AKIAIOSFODNN7EXAMPLE", "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abc",
            "-----BEGIN PRIVATE KEY-----", "AB123456C", "AB 12 34 56 C", "postgres://a:b1@h", "12", "345", "6789", "0",
        ]).prop_map(str::to_owned),
        2 => prop::sample::select(vec![
            "phone", "call", "card", "ssn", "born", "version", "order", "ip", "passport", "fax", "lives at", "key=", "x12",
            "driver license", "nhs", "[PHONE]", "[EMAIL]", "[", "]", "é", "日", "\u{200b}",
        ]).prop_map(str::to_owned),
        3 => prop::sample::select(vec![" ", " ", "-", ".", "/", ":", "@", "+", "(", ")", ",", "\n", "_", "", ""]).prop_map(str::to_owned),
        1 => "[ -~]{0,4}",
        1 => "\\PC{0,3}",
    ];
    prop::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat())
}

fn check_promises(text: &str, types: PiiTypeSet, min: Confidence) -> Result<(), TestCaseError> {
    let all = findings(text);
    for found in &all {
        prop_assert!(found.start < found.end);
        prop_assert!(
            text.is_char_boundary(found.start) && text.is_char_boundary(found.end),
            "{found:?} in {text:?}"
        );
    }
    let mut visited = Vec::new();
    visit(text, |found| {
        visited.push(found);
        std::ops::ControlFlow::Continue(())
    });
    visited.sort_by_key(|found| (found.start, std::cmp::Reverse(found.end), found.kind));
    prop_assert_eq!(&visited, &all);
    let counts = |found: &&Match| found.confidence >= Confidence::Medium;
    let kinds: PiiTypeSet = all.iter().filter(counts).map(|found| found.kind).collect();
    prop_assert_eq!(types_in(text), kinds);
    prop_assert_eq!(contains(text), !kinds.is_empty());

    let mut redactor = Redactor::new();
    let (mut once, mut twice) = (String::new(), String::new());
    redactor.redact(text, types, min, &mut once);
    prop_assert!(!contains_any(&once, types, min), "{text:?} -> {once:?}");
    redactor.redact(&once, types, min, &mut twice);
    prop_assert_eq!(once, twice);
    Ok(())
}

fn some_types() -> impl Strategy<Value = PiiTypeSet> {
    prop_oneof![
        Just(PiiTypeSet::ALL),
        prop::sample::subsequence(PiiType::ALL.to_vec(), 0..=PiiType::ALL.len())
            .prop_map(|kinds| kinds.into_iter().collect()),
    ]
}

fn some_confidence() -> impl Strategy<Value = Confidence> {
    prop::sample::select(vec![Confidence::Low, Confidence::Medium, Confidence::High])
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn promises_hold_for_pieces(text in pieces(), types in some_types(), min in some_confidence()) {
        check_promises(&text, types, min)?;
    }

    #[test]
    fn promises_hold_for_any_text(text in "\\PC{0,60}", types in some_types(), min in some_confidence()) {
        check_promises(&text, types, min)?;
    }

    #[test]
    fn promises_hold_for_digits_and_marks(text in "[0-9 ().+@:/x-]{0,60}", types in some_types()) {
        check_promises(&text, types, Confidence::Low)?;
    }

    #[test]
    fn redaction_leaves_no_digit_of_a_match(text in pieces()) {
        // Every byte outside the matches survives in order; nothing inside them does.
        let mut kept = String::new();
        let mut position = 0;
        for found in findings(&text).iter().filter(|found| found.confidence >= Confidence::Medium) {
            if found.start > position {
                kept.push_str(&text[position..found.start]);
            }
            position = position.max(found.end);
        }
        kept.push_str(&text[position..]);
        let digits = |text: &str| text.bytes().filter(u8::is_ascii_digit).count();
        prop_assert!(digits(&redacted(&text)) <= digits(&kept));
    }
}

#[test]
fn context_words_reach_odd_groupings() {
    assert_all(
        PiiType::Phone,
        &[
            ("call me on (963)627-2770x0012", "(963)627-2770x0012"),
            ("call me at +210 12 34 56", "+210 12 34 56"),
            ("Fax: +46 (0)11 12 13 14", "+46 (0)11 12 13 14"),
            ("069 12 34 56 78 office", "069 12 34 56 78"),
            ("8 (912) 345-67-89", "8 (912) 345-67-89"),
            ("(+44) 20 7946 0958", "(+44) 20 7946 0958"),
            ("{\"phone\":\"4155552671\"}", "4155552671"),
        ],
    );
}
