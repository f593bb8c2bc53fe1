//! Whatever a server answers: a verdict is safe only if status and body say so explicitly, and unsafe only if the body says so. What
//! they say is read here in another way than in the client: as a tree of values.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::let_underscore_must_use,
    reason = "tests fail with a panic"
)]

mod common;

use common::{Mock, Reply, http};
use policy_integrations::{BreakerSettings, RetrySettings, ScanRequest, Settings, ShieldClient, Verdict};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// A body of the contract, valid or not.
fn whole(valid: bool) -> Value {
    json!({
        "result": {
            "isValid": valid, "riskScore": 0.0, "sanitizedText": "secrets", "scanTimeMs": 4, "cacheHit": false,
            "scannerResults": [
                {"scanner": "secrets", "isValid": valid, "riskScore": 0.0, "riskFactors": [], "entities": []},
                {"scanner": "toxicity", "isValid": true, "riskScore": 0.1, "riskFactors": [], "entities": []},
            ],
        },
        "execution": {"executionId": "exec-1"},
    })
}

/// What a body says explicitly: `Some(true)` for valid in every respect.
fn says(body: &[u8]) -> Option<bool> {
    let body: Value = serde_json::from_slice(body).ok()?;
    if body["execution"]["executionId"] != "exec-1" {
        return None;
    }
    let result = &body["result"];
    let scanners = result["scannerResults"].as_array()?;
    let valid = result["isValid"].as_bool()?;
    let scores = scanners
        .iter()
        .map(|one| &one["riskScore"])
        .chain([&result["riskScore"]]);
    for score in scores {
        if !(0.0..=1.0).contains(&score.as_f64()?) {
            return None;
        }
    }
    let all = !scanners.is_empty() && scanners.iter().all(|one| one["isValid"] == true);
    (!valid || all).then_some(valid)
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (-2.0..2.0).prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        Just(json!(0)),
        Just(json!(1)),
        Just(json!("true")),
        Just(json!("exec-1")),
        // Lists of the values of objects, in the order in which the contract names them.
        Just(json!(["exec-1"])),
        Just(json!(["secrets", true, 0.0, [], []])),
        Just(
            json!([true, 0.0, [{"scanner": "s", "isValid": true, "riskScore": 0, "riskFactors": [], "entities": []}]])
        ),
        "[a-z]{0,6}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        let key = prop_oneof![
            Just("isValid".to_owned()),
            Just("riskScore".to_owned()),
            Just("result".to_owned()),
            Just("scannerResults".to_owned()),
            Just("execution".to_owned()),
            "[a-z]{1,4}"
        ];
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((key, inner), 0..4)
                .prop_map(|pairs| Value::Object(pairs.into_iter().collect())),
        ]
    })
}

/// Such a body with some of its places replaced, removed or kept.
fn mutated() -> impl Strategy<Value = Vec<u8>> {
    const PLACES: [&str; 12] = [
        "/result",
        "/result/isValid",
        "/result/riskScore",
        "/result/scannerResults",
        "/result/scannerResults/0",
        "/result/scannerResults/0/isValid",
        "/result/scannerResults/1/isValid",
        "/result/scannerResults/0/riskScore",
        "/result/scannerResults/0/scanner",
        "/execution",
        "/execution/executionId",
        "",
    ];
    let new = prop_oneof![1 => any::<bool>().prop_map(Value::from), 1 => value()];
    let change = (
        prop::sample::select(&PLACES[..]),
        prop::option::weighted(0.7, new),
    );
    (prop::bool::weighted(0.7), prop::collection::vec(change, 0..4)).prop_map(|(valid, changes)| {
        let mut body = whole(valid);
        for (place, new) in changes {
            match new {
                Some(new) => {
                    if let Some(old) = body.pointer_mut(place) {
                        *old = new;
                    }
                }
                None => {
                    let (parent, key) = place.rsplit_once('/').unwrap_or(("", ""));
                    if let Some(Value::Object(object)) = body.pointer_mut(parent) {
                        object.remove(key);
                    }
                }
            }
        }
        body.to_string().into_bytes()
    })
}

fn body() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        6 => mutated(),
        1 => (mutated(), any::<prop::sample::Index>()).prop_map(|(mut body, at)| {
            let length = at.index(body.len() + 1);
            body.truncate(length);
            body
        }),
        1 => (mutated(), any::<prop::sample::Index>(), any::<u8>()).prop_map(|(mut body, at, byte)| {
            let at = at.index(body.len());
            body[at] = byte;
            body
        }),
        1 => value().prop_map(|value| value.to_string().into_bytes()),
        1 => prop::collection::vec(any::<u8>(), 0..200),
    ]
}

/// Bytes on the wire, and what they say, if they are an answer of this route.
fn answer() -> impl Strategy<Value = (Vec<u8>, Option<bool>)> {
    let status = prop_oneof![6 => Just(200_u16), 1 => Just(202), 1 => Just(204), 2 => 200_u16..600];
    prop_oneof![
        8 => (status, body()).prop_map(|(status, body)| {
            let says = if status == 200 { says(&body) } else { None };
            (http(status, "content-type: application/json\r\n", &body), says)
        }),
        1 => (mutated(), any::<prop::sample::Index>()).prop_map(|(body, at)| {
            let mut bytes = http(200, "", &body);
            let length = at.index(bytes.len());
            bytes.truncate(length);
            (bytes, None)
        }),
        1 => prop::collection::vec(any::<u8>(), 0..300).prop_map(|bytes| (bytes, None)),
    ]
}

#[test]
fn no_answer_whatever_is_safe_unless_it_says_so() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let reply = Arc::new(Mutex::new(Vec::new()));
    let scripted = Arc::clone(&reply);
    let mock = runtime.block_on(Mock::start(move |_, _| {
        Reply::Bytes(scripted.lock().unwrap().clone())
    }));
    let settings = Settings::new(&mock.url)
        .unwrap()
        .attempt_timeout(Duration::from_secs(2))
        .retry(RetrySettings {
            retries: 0,
            ..RetrySettings::default()
        })
        .breaker(BreakerSettings {
            failures: 0,
            ..BreakerSettings::default()
        });
    let shield = ShieldClient::from_settings(settings).unwrap();
    let request = ScanRequest::prompt("Hello").trace("exec-1", "span-1");
    let seen = Mutex::new([0_u32; 3]);
    let mut runner = TestRunner::new(Config {
        cases: 4000,
        failure_persistence: None,
        ..Config::default()
    });
    let result = runner.run(&answer(), |(bytes, says)| {
        *reply.lock().unwrap() = bytes;
        let verdict = runtime.block_on(shield.scan(&request));
        let kind = match &verdict {
            Verdict::Safe(_) => 0,
            Verdict::Unsafe(_) => 1,
            Verdict::Unknown(_) => 2,
        };
        seen.lock().unwrap()[kind] += 1;
        match verdict {
            Verdict::Safe(_) => prop_assert_eq!(says, Some(true)),
            Verdict::Unsafe(_) => prop_assert_eq!(says, Some(false)),
            Verdict::Unknown(_) => {}
        }
        Ok(())
    });
    assert!(result.is_ok(), "{result:?}");
    // Otherwise it was not tested.
    let seen = seen.into_inner().unwrap();
    assert!(
        seen.iter().all(|count| *count >= 10),
        "safe, unsafe, unknown: {seen:?}"
    );
}
