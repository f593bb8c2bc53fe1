//! What masking hides and what it keeps; no planted secret survives it.

use super::{MaskError, Masker, compact, push_string, reference};
use proptest::prelude::*;
use serde_json::{Value, json};

fn masked(paths: &[&str], context: &str) -> String {
    let paths: Vec<String> = paths.iter().map(|&path| path.to_owned()).collect();
    Masker::new(&paths).mask(context.as_bytes()).unwrap().json
}

/// Paths of the default configuration.
const DEFAULT: &[&str] = &[
    "llm.prompt",
    "llm.messages",
    "llm.tools",
    "user.email",
    "request.ipAddress",
];

#[test]
fn values_at_paths_go_whole_and_the_rest_stays() {
    let context = r#"{
        "llm": {"model": "gpt-4o", "prompt": "tell me", "messages": [{"role": "user", "content": ["a", {"b": 1}]}]},
        "request": {"ip_address": "2001:db8::1", "timestamp": 1767225600000},
        "user": {"email": null, "id": "u1", "roles": []},
        "metadata": {"prompt": "stays", "n": 1.50, "big": 123456789012345678901234567890, "e": 1e5, "t": true}
    }"#;
    assert_eq!(
        masked(DEFAULT, context),
        concat!(
            r#"{"llm":{"model":"gpt-4o","prompt":"[masked]","messages":"[masked]"},"#,
            r#""request":{"ip_address":"[masked]","timestamp":1767225600000},"#,
            r#""user":{"email":"[masked]","id":"u1","roles":[]},"#,
            r#""metadata":{"prompt":"stays","n":1.50,"big":123456789012345678901234567890,"e":1e5,"t":true}}"#
        )
    );
}

#[test]
fn other_spellings_of_a_path_are_the_same_path() {
    for key in [
        "ipAddress",
        "ip_address",
        "ip-address",
        "IPADDRESS",
        "ip\\u0041ddress",
    ] {
        let context = format!(r#"{{"request":{{"{key}":"here"}}}}"#);
        let shown = masked(DEFAULT, &context);
        assert!(shown.contains("[masked]") && !shown.contains("here"), "{shown}");
    }
    // A key with a dot in it reads like two.
    assert_eq!(
        masked(DEFAULT, r#"{"llm.prompt":"here"}"#),
        r#"{"llm.prompt":"[masked]"}"#
    );
}

#[test]
fn elements_stand_at_the_path_of_their_array_and_a_star_is_any_one_key() {
    let context =
        r#"{"m":[{"content":"x","role":"r"},[{"content":"y"}]],"a":{"b":{"c":1},"d":{"c":2,"e":3}}}"#;
    assert_eq!(
        masked(&["m.content", "a.*.c"], context),
        r#"{"m":[{"content":"[masked]","role":"r"},[{"content":"[masked]"}]],"a":{"b":{"c":"[masked]"},"d":{"c":"[masked]","e":3}}}"#
    );
    assert_eq!(
        masked(&["m.1"], context)[..60],
        context.replace("[{\"content\":\"y\"}]", "\"[masked]\"")[..60]
    );
    assert_eq!(
        masked(&["*"], r#"{"a":1,"b":[2]}"#),
        r#"{"a":"[masked]","b":"[masked]"}"#
    );
    // Two levels are not one.
    assert_eq!(
        masked(&["a.*"], r#"{"a":{"b":1},"c":{"a":2}}"#),
        r#"{"a":{"b":"[masked]"},"c":{"a":2}}"#
    );
}

#[test]
fn personal_data_goes_wherever_it_is() {
    for (context, gone) in [
        (
            r#"{"metadata":{"note":"write to jane.doe@example.com"}}"#,
            "jane.doe",
        ),
        (r#"{"metadata":{"jane.doe@example.com":1}}"#, "jane.doe"),
        (r#"{"metadata":[[{"x":"card 4111 1111 1111 1111"}]]}"#, "4111"),
        (r#"{"metadata":{"card":4111111111111111}}"#, "4111"),
        // The key says what the value is.
        (r#"{"passportNumber":"C01X00T47"}"#, "C01X00T47"),
        (r#"{"driver_license":"D1234567"}"#, "D1234567"),
        // What the key says does not make it harmless.
        (r#"{"version":"81.2.69.142 is my ip"}"#, "81.2.69.142"),
        (r#"{"escaped":"jane.doe\u0040example.com"}"#, "example.com"),
        (r#""jane.doe@example.com""#, "jane.doe"),
    ] {
        let shown = masked(&[], context);
        assert!(!shown.contains(gone), "{shown}");
        assert!(serde_json::from_str::<Value>(&shown).is_ok(), "{shown}");
    }
}

#[test]
fn what_a_key_calls_a_secret_goes_whole() {
    for key in [
        "apiKey",
        "api_key",
        "X-Api-Key",
        "openaiApiKey",
        "password",
        "clientSecret",
        "Authorization",
        "access_token",
        "cookie",
    ] {
        let context = json!({"metadata": {key: {"value": ["hunter2", 1]}}}).to_string();
        assert_eq!(
            masked(&[], &context),
            json!({"metadata": {key: "[masked]"}}).to_string()
        );
    }
    // These count, they are no secrets.
    let context = r#"{"llm":{"maxTokens":5,"estimatedTokens":7,"tokens":1}}"#;
    assert_eq!(masked(&[], context), context);
}

#[test]
fn what_is_no_text_is_not_shown() {
    let context = r#"{"a":"\ud800 jane@example.com","\ud800":"b","c":"d"}"#;
    assert_eq!(
        masked(&[], context),
        r#"{"a":"[masked]","[masked]":"[masked]","c":"d"}"#
    );
}

#[test]
fn what_is_not_json_is_refused() {
    let mut masker = Masker::new(&[]);
    for wrong in [
        "",
        " ",
        "{",
        "{\"a\":}",
        "{\"a\" 1}",
        "[1,]",
        "nul",
        "{\"a\":1}}",
        "{'a':1}",
        "{\"a\":1,}",
        "\"\n\"",
        "01",
    ] {
        assert_eq!(masker.mask(wrong.as_bytes()), Err(MaskError::NotJson), "{wrong}");
        assert_eq!(compact(wrong.as_bytes()), Err(MaskError::NotJson), "{wrong}");
    }
    assert_eq!(masker.mask(b"{\"a\":\"\xff\"}"), Err(MaskError::NotJson));
}

#[test]
fn depth_is_bounded_and_takes_no_stack() {
    let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    let mut masker = Masker::new(&[]);
    let deep = nested(1000);
    assert_eq!(masker.mask(deep.as_bytes()).unwrap().json, deep);
    assert_eq!(masker.mask(nested(1_000_000).as_bytes()), Err(MaskError::TooDeep));
}

#[test]
fn duplicate_keys_are_both_masked() {
    assert_eq!(
        masked(&["a"], r#"{"a":"one","b":1,"a":"two"}"#),
        r#"{"a":"[masked]","b":1,"a":"[masked]"}"#
    );
}

#[test]
fn reasons_do_not_quote_what_is_masked() {
    let mut masker = Masker::new(&["llm.prompt".to_owned(), "llm.messages".to_owned()]);
    let context =
        r#"{"llm":{"prompt":"the plan","messages":[{"content":"the plan of the year"},{"n":88442211}]}}"#;
    let masked = masker.mask(context.as_bytes()).unwrap();
    let reason = "`the plan of the year`, `the plan`, 88442211 and jane@example.com are not allowed";
    assert_eq!(
        masker.reason(reason, Some(&masked)),
        "`[masked]`, `[masked]`, [masked] and [EMAIL] are not allowed"
    );
    assert_eq!(masker.reason("card 4111111111111111", None), "card [CREDIT_CARD]");
}

#[test]
fn compacting_changes_nothing_but_spaces_between_tokens() {
    let context = "{ \"a b\" :\t[ 1.50 , \"x \\\" y\\\\\" ] ,\n\"c\" : null }";
    assert_eq!(
        compact(context.as_bytes()).unwrap(),
        r#"{"a b":[1.50,"x \" y\\"],"c":null}"#
    );
}

/// A value of every shape; strings from an alphabet that no detector knows.
fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i32>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "[ -~äß漢😀]{0,12}".prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 40, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::hash_map("[a-zA-Z_.\\-]{0,10}", inner, 0..5)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

/// Whether a key looks as if it was drawn at random; the detectors leave others alone.
fn random(key: &str) -> bool {
    key.bytes().collect::<std::collections::BTreeSet<u8>>().len() >= 12
}

/// Secrets that must never be seen again, each with what of it would give it away.
fn secret() -> impl Strategy<Value = (String, String)> {
    let luhn = |body: String| {
        let sum: u32 = body
            .bytes()
            .rev()
            .enumerate()
            .map(|(i, b)| {
                let digit = u32::from(b - b'0');
                match (i % 2, digit * 2) {
                    (0, double) if double > 9 => double - 9,
                    (0, double) => double,
                    _ => digit,
                }
            })
            .sum();
        format!("{body}{}", (10 - sum % 10) % 10)
    };
    prop_oneof![
        "[a-z]{5,9}[.][a-z]{3,9}@[a-z]{4,9}[.](com|org|de)".prop_map(|s| (s.clone(), s)),
        "4[0-9]{14}".prop_map(move |body| {
            let card = luhn(body);
            (card.clone(), card)
        }),
        "sk-proj-[A-Za-z0-9]{48}"
            .prop_filter("random", |s| random(s))
            .prop_map(|s| (s.clone(), s[8..].to_owned())),
        "ghp_[A-Za-z0-9]{36}"
            .prop_filter("random", |s| random(s))
            .prop_map(|s| (s.clone(), s[4..].to_owned())),
        "AKIA[A-Z2-7]{16}"
            .prop_filter("random", |s| random(s))
            .prop_map(|s| (s.clone(), s[4..].to_owned())),
    ]
}

/// Puts a text somewhere into a value: into a string, beside one, or into a key.
fn plant(value: &mut Value, text: &str, place: usize) {
    let (turn, place) = (place % 7, place / 7);
    match value {
        Value::Array(items) if !items.is_empty() && turn > 1 => {
            let at = place % items.len();
            plant(&mut items[at], text, place / 5);
        }
        Value::Array(items) => items.push(Value::from(format!("so {text} it is"))),
        Value::Object(map) if !map.is_empty() && turn > 2 => {
            let at = place % map.len();
            plant(map.values_mut().nth(at).unwrap(), text, place / 5);
        }
        Value::Object(map) if turn == 0 => drop(map.insert(text.to_owned(), Value::from(1))),
        Value::Object(map) => drop(map.insert("note".to_owned(), Value::from(text))),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
            *value = Value::from(format!("this is {text} and more"));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_planted_secret_survives(
        mut context in value(),
        secrets in prop::collection::vec((secret(), any::<usize>()), 1..4),
        pretty in any::<bool>(),
    ) {
        for ((text, _), place) in &secrets {
            plant(&mut context, text, *place);
        }
        let text = if pretty { format!("{context:#}") } else { context.to_string() };
        let mut masker = Masker::new(&["llm.prompt".to_owned()]);
        let shown = masker.mask(text.as_bytes()).unwrap();
        prop_assert!(serde_json::from_str::<Value>(&shown.json).is_ok(), "{}", shown.json);
        prop_assert!(!shown.json.contains('\n'));
        for ((text, core), _) in &secrets {
            prop_assert!(!shown.json.contains(core.as_str()), "{core} is in {}", shown.json);
            let reason = masker.reason(&format!("because of {text} in the prompt"), Some(&shown));
            prop_assert!(!reason.contains(core.as_str()), "{}", reason);
        }
    }

    #[test]
    fn nothing_at_a_masked_path_survives(inner in value(), key in "[a-z]{1,5}") {
        let context = json!({"llm": {"prompt": {key: ["zzqqzz", inner]}, "model": "m"}});
        let shown = masked(&["llm.prompt"], &context.to_string());
        prop_assert_eq!(shown, r#"{"llm":{"model":"m","prompt":"[masked]"}}"#);
    }

    #[test]
    fn a_walk_with_nothing_to_hide_is_the_same_json(context in value()) {
        let text = format!("{context:#}");
        let plain = compact(text.as_bytes()).unwrap();
        let same: Value = serde_json::from_str(&plain).unwrap();
        prop_assert_eq!(&same, &context);
        // Shape and keys of what is masked stay, whatever is hidden in it.
        let shown: Value = serde_json::from_str(&masked(&[], &text)).unwrap();
        prop_assert_eq!(shown.is_object(), context.is_object());
        prop_assert_eq!(shown.is_array(), context.is_array());
    }
}

/// Keys: of paths, of secrets, with personal data, in words that detectors listen for, and others.
fn key() -> impl Strategy<Value = String> {
    let known = prop::sample::select(vec![
        "llm",
        "prompt",
        "messages",
        "content",
        "role",
        "request",
        "ipAddress",
        "ip_address",
        "user",
        "email",
        "id",
        "1",
        "0",
        "10",
        "*",
        "_",
        "",
        ".",
        "llm.prompt",
        "m.1",
        "-",
        "apiKey",
        "api_key",
        "password",
        "Authorization",
        "maxTokens",
        "token",
        "phone",
        "phone number",
        "passport",
        "driver_license",
        "ssn",
        "nhs number",
        "sin",
        "basin",
        "dateOfBirth",
        "born",
        "version",
        "modelVersion",
        "order",
        "invoice id",
        "card",
        "creditCard",
        "address",
        "shipping address",
        "home",
        "authors",
        "public_key",
        "keyboard",
        "monkey",
        "wallet",
        "host",
        "client ip",
        "nino",
        "aadhaar",
        "ssh",
        "git",
        "né",
        "Straße",
        "SELECT",
        "jane.doe@example.com",
        "4111111111111111",
        "+1 415 555 2671",
        "10.0.0.1",
        "a:b",
        "a-1",
        "::1",
        "a\"b",
        "\\",
        "\n",
        "\u{1}",
        "😀",
        "a key that is much longer than the keys that are remembered, by far, and so on",
    ]);
    prop_oneof![
        6 => known.prop_map(str::to_owned),
        2 => "[a-z]{1,12}",
        1 => "[a-zA-Z_. -]{0,20}",
        1 => "[ -~äß漢]{0,8}",
    ]
}

/// Pieces of texts: personal data, secrets, what nearly is, and what stands beside it.
fn piece() -> impl Strategy<Value = String> {
    let known = prop::sample::select(vec![
        "jane.doe@example.com",
        "x@y.py",
        "root@host",
        "ssh root@host.example.com",
        "https://u:hunter2@example.com/",
        "@",
        "@b.de",
        "4111 1111 1111 1111",
        "4111111111111111",
        "4222222222222",
        "6759649826438453",
        "123-45-6789",
        "123 45 6789",
        "123456789",
        "219-09-9999",
        "900-70-1234",
        "943 476 5919",
        "9434765919",
        "046 454 286",
        "046454286",
        "2341 2341 2346",
        "390.533.447-05",
        "AB123456C",
        "AB 12 34 56 C",
        "C01X00T47",
        "D1234567",
        "X1234567",
        "12345678",
        "1234567",
        "81.2.69.142",
        "10.0.0.1",
        "127.0.0.1",
        "1.2.3.4",
        "1.2.3",
        "2001:db8::1",
        "fe80::1",
        "::1",
        "a::b",
        "00:1B:44:11:3A:B7",
        "00-1B-44-11-3A-B7",
        "+1 415 555 2671",
        "(415) 555-2671",
        "415-555-2671",
        "020 7946 0958",
        "8 (912) 345-67-89",
        "11 98765-4321",
        "+44 (0)20 7946 0958",
        "030/1234567",
        "5552671",
        "555 2671",
        "x751",
        "ext. 12",
        "1980-03-14",
        "3/14/80",
        "14.03.1980",
        "14 March 1980",
        "March 3rd, 1980",
        "may-1980",
        "221B Baker Street",
        "12 rue Descartes",
        "Hauptstraße 5",
        "P.O. Box 12",
        "Box 12",
        "12 main street",
        "5 hill",
        "Apt. 4B",
        ", Springfield, IL 62704",
        "GB82 WEST 1234 5698 7654 32",
        "DE89370400440532013000",
        "NO9386011117947",
        "1BoatSLRHtKNngkdXEeobR76b53LETtpyT",
        "0x52908400098527886E0F7030069857D2E4169EE7",
        "0x52908400098527886e0f7030069857d2e4169ee7",
        "sk-proj-Ab3dEf6hIj9kLm2nOp5qRs8tUv",
        "ghp_Ab3dEf6hIj9kLm2nOp5qRs8tUv1wXy4zAb7d",
        "AKIAQ3EXAMPLE7ZWK4T2",
        "xoxb-123456789012-abcdefGHIJ",
        "hf_abcdefghijKLMNOPQRSTuvwxyzABCDEFGH",
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N",
        "-----BEGIN PRIVATE KEY-----",
        "-----END PRIVATE KEY-----",
        "Bearer Zx8Kq2Lw9Vb4Nm7Rt1Yp5Hs3",
        "Zx8Kq2Lw9Vb4Nm7Rt1Yp5Hs3",
        "api_key=",
        "token: ",
        "\"key\": \"",
        "passport",
        "driver license",
        "phone",
        "call",
        "born",
        "née",
        "card",
        "ssn",
        "nhs",
        "sin",
        "aadhaar",
        "version",
        "order",
        "ip",
        "server",
        "lives at",
        "wallet",
        "nino",
        "office",
        "[EMAIL]",
        "[PHONE]",
        "[CREDIT_CARD]",
        "chat",
        "gpt-4o",
        "o3-mini",
        "eu-west-1",
        "team-5693",
        "llm:read",
        "the quarterly report",
        "v2",
        "9.99",
        "$5",
        "#1",
        "00",
        "7",
        "\"",
        "\\",
        "\n",
        "\t",
        "\u{1}",
        "\u{2028}",
        "é",
        "😀",
        "\u{a0}",
        "\u{200b}",
        "\u{2011}",
    ]);
    prop_oneof![
        5 => known.prop_map(str::to_owned),
        2 => prop::sample::select(vec![" ", " ", "-", ".", ": ", ", ", "/", "(", ")", "_", "\u{7f}"]).prop_map(str::to_owned),
        1 => "[0-9]{1,20}",
        1 => "[a-zA-Z]{1,12}",
        1 => "[ -~]{0,6}",
    ]
}

fn text() -> impl Strategy<Value = String> {
    prop::collection::vec(piece(), 0..5).prop_map(|pieces| pieces.concat())
}

/// A text as a JSON string, with escapes here and there that need not be.
fn quoted(text: &str, salt: u64) -> String {
    let mut out = String::new();
    push_string(text, &mut out);
    match salt % 8 {
        0 => {
            let at = 1 + (salt as usize / 8) % out.len();
            let simple = !text.contains(['\\', '"']) && !text.chars().any(char::is_control);
            let plain = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '@' | ' ');
            let here = out.get(at..).and_then(|rest| rest.chars().next());
            if let Some(c) = here.filter(|c| simple && plain(c)) {
                out.replace_range(at..=at, &format!("\\u{:04x}", c as u32));
            }
            out
        }
        1 => out.replace('/', "\\/"),
        // Half of a pair, and a pair.
        2 if salt.is_multiple_of(5) => format!("{}\\uD83d\"", &out[..out.len() - 1]),
        3 if salt.is_multiple_of(3) => format!("{}\\ud83d\\ude00\"", &out[..out.len() - 1]),
        _ => out,
    }
}

/// JSON as text: values of every shape, keys twice, space between tokens, escapes that need not be.
fn json_text() -> impl Strategy<Value = String> {
    let space = || prop_oneof![9 => Just(""), 1 => Just(" "), 1 => Just("\n\t "), 1 => Just("\r\n")];
    let number = prop::sample::select(vec![
        "0",
        "-0",
        "1",
        "12345678",
        "123456789",
        "4111111111111111",
        "-4111111111111111",
        "415.5552671",
        "1e400",
        "1E-7",
        "0.1",
        "123456789012345678901234567890",
        "1767225600000",
        "4222222222222.0",
        "3141592653.58979",
    ]);
    let leaf = prop_oneof![
        1 => prop::sample::select(vec!["null", "true", "false", "{}", "[]", "[ ]"]).prop_map(str::to_owned),
        2 => number.prop_map(str::to_owned),
        1 => any::<i64>().prop_map(|n| n.to_string()),
        6 => (text(), any::<u64>()).prop_map(|(text, salt)| quoted(&text, salt)),
    ];
    leaf.prop_recursive(5, 24, 5, move |inner| {
        let member = (key(), any::<u64>(), space(), inner.clone(), space());
        let element = (space(), inner, space()).prop_map(|(before, inner, after)| format!("{before}{inner}{after}"));
        prop_oneof![
            2 => prop::collection::vec(element, 0..4).prop_map(|items| format!("[{}]", items.join(","))),
            5 => prop::collection::vec(member, 0..5).prop_map(|members| {
                let members: Vec<String> = members
                    .into_iter()
                    .map(|(key, salt, before, value, after)| format!("{before}{}{after}:{before}{value}{after}", quoted(&key, salt)))
                    .collect();
                format!("{{{}}}", members.join(","))
            }),
        ]
    })
}

/// Paths of keys that contexts have.
fn paths() -> impl Strategy<Value = Vec<String>> {
    let path = || {
        prop::collection::vec(
            prop_oneof![3 => key(), 1 => Just("*".to_owned()), 1 => Just("1".to_owned())],
            1..5,
        )
    };
    prop_oneof![
        2 => Just(DEFAULT.iter().map(|&path| path.to_owned()).collect::<Vec<_>>()),
        5 => prop::collection::vec(path().prop_map(|keys| keys.join(".")), 0..4),
        // More keys than a word has bits.
        1 => prop::collection::vec(path().prop_map(|keys| keys.join(".")), 30..40),
    ]
}

/// A context, most often JSON.
fn context() -> impl Strategy<Value = Vec<u8>> {
    let broken = (json_text(), any::<prop::sample::Index>(), any::<u8>(), 0..4_u8).prop_map(
        |(text, at, byte, how)| {
            let mut bytes = text.into_bytes();
            let at = at.index(bytes.len());
            let signs = b"{}[]\",:\\ \n0-+.e1tu\x00\x1f\x0c\xff";
            let sign = signs[usize::from(byte) % signs.len()];
            match how {
                0 => drop(bytes.remove(at)),
                1 => bytes.insert(at, sign),
                2 => bytes[at] = sign,
                _ => bytes.truncate(at),
            }
            bytes
        },
    );
    prop_oneof![4 => json_text().prop_map(String::into_bytes), 1 => broken]
}

/// Both maskers must say the same of a context, and of a reason that quotes it.
fn agree(
    fast: &mut Masker,
    slow: &mut reference::Masker,
    context: &[u8],
    reason: &str,
) -> Result<(), TestCaseError> {
    let shown = String::from_utf8_lossy(context);
    let (fast_masked, slow_masked) = (fast.mask(context), slow.mask(context));
    prop_assert_eq!(
        fast_masked
            .as_ref()
            .map(|masked| masked.json.as_str())
            .map_err(|error| *error),
        slow_masked
            .as_ref()
            .map(|masked| masked.json.as_str())
            .map_err(|error| *error),
        "{}",
        shown
    );
    prop_assert_eq!(
        fast.reason(reason, fast_masked.as_ref().ok()),
        slow.reason(reason, slow_masked.as_ref().ok()),
        "{} because {}",
        shown,
        reason
    );
    prop_assert_eq!(compact(context), reference::compact(context), "{}", shown);
    Ok(())
}

/// `PROPTEST_CASES` where it asks for more than continuous integration has time for.
fn many() -> ProptestConfig {
    let usual = ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    ProptestConfig {
        cases: usual.cases.max(600),
        ..usual
    }
}

proptest! {
    #![proptest_config(many())]

    #[test]
    fn contexts_are_masked_as_the_reference_says(
        paths in paths(),
        contexts in prop::collection::vec((context(), text(), any::<prop::sample::Index>()), 1..5),
    ) {
        // One for all: what was learned of earlier contexts must not show.
        let (mut fast, mut slow) = (Masker::new(&paths), reference::Masker::new(&paths));
        for (context, reason, at) in &contexts {
            // A reason quotes what a request says.
            let text = String::from_utf8_lossy(context);
            let quotes: Vec<&str> = text.split('"').collect();
            let reason = format!("{reason} {} {reason}", quotes[at.index(quotes.len())]);
            agree(&mut fast, &mut slow, context, &reason)?;
        }
    }

    #[test]
    fn strings_are_written_as_serde_json_writes_them(text in "[\u{0}-\u{ff}漢😀\u{2028}]{0,90}") {
        let mut out = String::new();
        push_string(&text, &mut out);
        prop_assert_eq!(out, Value::from(text).to_string());
    }
}

/// The labelled texts of the test data; `None` after saying that they are not there.
fn labelled() -> Option<Vec<String>> {
    let root = std::env::var_os("POLICY_TEST_DATA").map_or_else(
        || std::path::PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/data"),
        std::path::PathBuf::from,
    );
    let Ok(files) = std::fs::read_dir(root.join("pii")) else {
        println!("skipped: pii (no test data)");
        return None;
    };
    let mut texts = Vec::new();
    for file in files {
        let path = file.unwrap().path();
        if path.extension().is_some_and(|ending| ending == "json") {
            let value: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
            strings(value, &mut texts);
        }
    }
    Some(texts)
}

fn strings(value: Value, out: &mut Vec<String>) {
    match value {
        Value::String(text) => out.push(text),
        Value::Array(items) => items.into_iter().for_each(|item| strings(item, out)),
        Value::Object(members) => members.into_iter().for_each(|(_, member)| strings(member, out)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

#[test]
fn labelled_texts_are_masked_as_the_reference_says() {
    let Some(texts) = labelled() else { return };
    assert!(texts.len() > 1000);
    let paths = ["secret.*".to_owned(), "list.1".to_owned()];
    let (mut fast, mut slow) = (Masker::new(&paths), reference::Masker::new(&paths));
    for (at, text) in texts.iter().enumerate() {
        let other = &texts[(at * 7 + 1) % texts.len()];
        for key in [
            "note",
            "id",
            "userAgent",
            "version",
            "phoneNumber",
            "passport",
            "address",
            "apiToken.hint",
        ] {
            let context = json!({key: text, "list": [text, other, {"x": text}], "secret": {"y": other}});
            agree(
                &mut fast,
                &mut slow,
                context.to_string().as_bytes(),
                &format!("{text} and {other}"),
            )
            .unwrap();
        }
        // As short as most values are.
        let words: Vec<&str> = text.split_whitespace().collect();
        let pairs: Vec<String> = words.windows(2).map(|pair| pair.join(" ")).collect();
        let context =
            json!({"id": words, "phone": words, "name": pairs, "born": pairs, "lives": pairs}).to_string();
        agree(&mut fast, &mut slow, context.as_bytes(), text).unwrap();
    }
}

#[test]
fn more_keys_than_are_remembered_are_masked_alike() {
    let (mut fast, mut slow) = (
        Masker::new(&["k77.*.b".to_owned()]),
        reference::Masker::new(&["k77.*.b".to_owned()]),
    );
    for from in [0, 1500, 3000] {
        let members: Vec<String> = (from..from + 3000)
            .map(|n| format!(r#""k{n}":{{"b":"10.0.0.{n}","long key {n} {n:080}":[{{"b":{n}}}],"b":["4111111111111111"]}}"#))
            .collect();
        let context = format!(
            r#"{{"k77":{{"a":{{"b":1}}}},{},"k77":[{{"b":2}}]}}"#,
            members.join(",")
        );
        agree(&mut fast, &mut slow, context.as_bytes(), "k77").unwrap();
    }
}

#[test]
fn a_context_that_is_too_deep_is_read_to_its_end() {
    let mut masker = Masker::new(&["a".to_owned()]);
    let deep = "[".repeat(2000);
    assert_eq!(masker.mask(deep.as_bytes()), Err(MaskError::NotJson));
    let hidden = format!(r#"{{"a":{deep}{}}}"#, "]".repeat(2000));
    assert_eq!(
        masker.mask(hidden.as_bytes()).unwrap().json,
        r#"{"a":"[masked]"}"#
    );
    let shown = hidden.replace('a', "b");
    assert_eq!(masker.mask(shown.as_bytes()), Err(MaskError::TooDeep));
    // And the next one is none the worse.
    assert_eq!(masker.mask(b"[1]").unwrap().json, "[1]");
}

#[test]
fn the_grammar_is_that_of_serde_json() {
    let pieces = [
        "0",
        "-0",
        "01",
        "-01",
        "00",
        "-",
        "+1",
        "1.",
        ".5",
        "1.5",
        "1.e1",
        "1e",
        "1e+",
        "1e-07",
        "1E5",
        "1e999",
        "0x1",
        "1_0",
        "1a",
        "true",
        "tru",
        "truee",
        "True",
        "null",
        "nul",
        "falsey",
        "NaN",
        "",
        " ",
        "\u{feff}1",
        "\u{c}1",
        "1\u{a0}",
        "[1 2]",
        "[,1]",
        "[1,,2]",
        "[1,]",
        "[1}",
        "{]",
        "{,}",
        "{\"a\"}",
        "{\"a\":}",
        "{\"a\":1 \"b\":2}",
        "{\"a\" \"b\"}",
        "{1:2}",
        "{null:1}",
        "[1]]",
        "\"",
        "\"a",
        "\"\\\"",
        "\"\\x\"",
        "\"\\u12\"",
        "\"\\u12g4\"",
        "\"\\ud800\"",
        "\"\\udc00\\ud800\"",
        "\"\\ud83d\\ude00\"",
        "\"\t\"",
        "\"a\u{1f}b\"",
        "\"\u{7f}\"",
        "\"\\/\\b\\f\\n\\r\\t\\\"\"",
        "'a'",
        "\"a\"b",
        "// a\n1",
        "1 1",
        "\u{0}",
        "1\u{0}",
    ];
    let (mut fast, mut slow) = (
        Masker::new(&["m".to_owned()]),
        reference::Masker::new(&["m".to_owned()]),
    );
    for piece in pieces {
        // In strings that end in each place of a word and of a block as well.
        let long = (0..140).map(|n| format!("[\"{}\",{piece}]", "x".repeat(n)));
        let inside = (0..140).map(|n| format!("\"{}{}", "x".repeat(n), piece.trim_start_matches('"')));
        let places = [
            piece.to_owned(),
            format!(" {piece}\n"),
            format!("[{piece}]"),
            format!("[{piece},{piece}]"),
            format!("{{\"k\":{piece}}}"),
            format!("{{\"m\": {piece}}}"),
            format!("{{\"m\":[{piece}],\"\\ud800\":{piece}}}"),
            format!("{{{piece}:1}}"),
        ];
        for context in places.into_iter().chain(long).chain(inside) {
            agree(&mut fast, &mut slow, context.as_bytes(), "because").unwrap();
        }
    }
}
