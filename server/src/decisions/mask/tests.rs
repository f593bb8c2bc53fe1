//! What masking hides and what it keeps; no planted secret survives it.

use super::{MaskError, Masker, compact};
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
