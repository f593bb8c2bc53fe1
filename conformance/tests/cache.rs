//! Equal keys mean equal decisions, letter for letter.
//!
//! Generated policies, and contexts that are nearly alike: each is asked for as it stands and with one change after the
//! other, of the kind that a key must not miss (a number as a fraction, null for nothing, a member less, other spellings)
//! and of the kind that it should not mind (order, layout, what is not read). All share one cache that is asked for every
//! request; every answer is compared with an evaluation that no cache takes part in. `DIFF_CASES` and `DIFF_SEED` as in the
//! differential tests.

#![expect(clippy::unwrap_used, reason = "helpers of tests may panic like the tests")]

use policy_conformance::generate::{Dials, contexts};
use policy_conformance::reference::{Derive, Mode, numbers};
use policy_conformance::rng::Rng;
use policy_grammar::ast::Decision;
use policy_runtime::{
    Answer, CacheOptions, DefaultDecision, DeriveMode, EvaluateError, EvaluateOptions, LocalCache, Origin,
    PolicyEngine, Worker, Worth,
};
use serde_json::{Map, Value, json};
use std::borrow::Cow;

fn variable(name: &str) -> Option<u64> {
    std::env::var(name).ok().and_then(|text| text.parse().ok())
}

/// Every value with one place changed, as far as the changes go; at most `limit` of them.
fn variants(value: &Value, limit: usize) -> Vec<Value> {
    let mut out = Vec::new();
    let others = match value {
        Value::Null => vec![json!("")],
        Value::Bool(b) => vec![json!(!b), json!(b.to_string())],
        Value::Number(n) => {
            let mut others = vec![json!(n.to_string()), Value::Null];
            others.extend(n.as_i64().map(|i| json!(i as f64)));
            others.extend(n.as_f64().map(|x| json!(x + 0.5)));
            others.extend(n.as_f64().filter(|x| *x == 0.0).map(|_| json!(-0.0)));
            others
        }
        Value::String(s) => vec![json!(format!("{s} ")), json!([s]), json!({"text": s}), json!("")],
        Value::Array(items) => {
            let mut turned = items.clone();
            turned.reverse();
            vec![
                json!(items.get(1..).unwrap_or(&[])),
                json!(turned),
                json!({"0": items}),
            ]
        }
        Value::Object(_) => vec![json!([]), Value::Null],
    };
    out.extend(others);
    match value {
        Value::Array(items) => {
            for (i, item) in items.iter().enumerate() {
                for variant in variants(item, limit / 2) {
                    let mut items = items.clone();
                    items[i] = variant;
                    out.push(Value::Array(items));
                }
            }
        }
        Value::Object(members) => {
            for (key, member) in members {
                let mut without = members.clone();
                without.remove(key);
                out.push(Value::Object(without));
                for variant in variants(member, limit / 2) {
                    let mut members = members.clone();
                    members.insert(key.clone(), variant);
                    out.push(Value::Object(members));
                }
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
    // Spread over the whole, not the first ones.
    let step = out.len().div_ceil(limit.max(1)).max(1);
    out.into_iter().step_by(step).collect()
}

/// The same context, written otherwise: members the other way round, with spaces, and one more that nothing reads.
fn rewritten(context: &Value) -> String {
    fn write(value: &Value, out: &mut String) {
        if let Some(number) = numbers::mark_of(value) {
            out.push_str(number);
            return;
        }
        match value {
            Value::Object(members) => {
                out.push('{');
                for (i, (key, member)) in members.iter().rev().enumerate() {
                    out.push_str(if i == 0 { " " } else { " ,\n" });
                    out.push_str(&json!(key).to_string());
                    out.push_str(" : ");
                    write(member, out);
                }
                out.push('}');
            }
            Value::Array(items) => {
                out.push('[');
                for (i, item) in items.iter().enumerate() {
                    out.push_str(if i == 0 { " " } else { " , " });
                    write(item, out);
                }
                out.push(']');
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
                out.push_str(&value.to_string())
            }
        }
    }
    let mut wider = context.as_object().cloned().unwrap_or_else(Map::new);
    wider.insert("nothing-reads-this".to_owned(), json!([1, {"a": null}]));
    let mut out = String::new();
    write(&Value::Object(wider), &mut out);
    out
}

/// The text of a response between the request id and the revision, without times and `cached`.
fn lasting(answer: &Answer<'_>) -> String {
    let (decision, rest) = answer.json.split_once(",\"evaluationTimeMs\":").unwrap();
    let (time, rest) = rest.split_at(rest.find([',', '}']).unwrap());
    assert!(time.parse::<f64>().is_ok(), "{time}");
    let (body, end) = rest.rsplit_once("},\"timestamp\":").unwrap();
    let (_, revision) = end.split_once(",\"bundle\":").unwrap();
    format!("{decision}{body}{revision}")
}

#[test]
fn equal_keys_mean_equal_decisions() {
    let sets = variable("DIFF_CASES").unwrap_or(20_000) / 100;
    let seed = variable("DIFF_SEED").unwrap_or(1);
    let dials = Dials {
        derived: 25,
        templates: 70,
        ..Dials::default()
    };
    // One cache for everything: other sets and settings must not be found either.
    let cache = LocalCache::new(CacheOptions {
        worth: Worth::ALWAYS,
        bytes: 256 << 20,
        ..CacheOptions::default()
    });
    let (mut worker, mut other) = (Worker::new(), Worker::new());
    let (mut hits, mut missed, mut failing, mut refused, mut spoilt) = (0_u64, 0_u64, 0_u64, 0_u64, 0_u64);
    for n in 0..sets {
        let (pair, contexts) = contexts(&mut Rng::seeded(seed.wrapping_add(n)), &dials, 6);
        let text = pair.policies_text();
        // What the generator makes and the compiler refuses is the business of the differential tests.
        let Ok(builder) = PolicyEngine::builder().policies_from_yaml(&text) else {
            continue;
        };
        let derive = match pair.settings.derive {
            Derive::Never => DeriveMode::Never,
            Derive::Missing => DeriveMode::Missing,
            Derive::Always => DeriveMode::Always,
        };
        let default = match pair.settings.default_decision {
            Decision::Deny => DefaultDecision::Deny,
            Decision::Allow | Decision::Warn | Decision::Modify => DefaultDecision::Allow,
        };
        let Ok(engine) = builder.derive(derive).default_decision(default).build() else {
            continue;
        };
        let ids: Option<Vec<Cow<'_, str>>> = pair
            .request
            .policies
            .as_ref()
            .map(|ids| ids.iter().map(|id| Cow::Borrowed(id.as_str())).collect());
        let options = EvaluateOptions {
            request_id: Some("c"),
            namespace: pair.request.namespace.as_deref(),
            policies: ids.as_deref(),
            chosen: None,
            mode: match pair.request.mode {
                Mode::FirstDeny => policy_runtime::Mode::FirstDeny,
                Mode::All => policy_runtime::Mode::All,
            },
            trace: false,
            stop: None,
        };
        for context in &contexts {
            let mut all = variants(context, 60);
            all.insert(0, context.clone());
            let mut bodies: Vec<String> = all.iter().map(numbers::write).collect();
            bodies.extend(all.iter().take(20).map(rewritten));
            for body in &bodies {
                let cached = engine.evaluate_cached(&mut worker, &cache, body.as_bytes(), &options);
                let direct = engine.answer(&mut other, body.as_bytes(), &options);
                match (cached, direct) {
                    (Ok(cached), Ok(direct)) => {
                        assert_eq!(lasting(&cached), lasting(&direct), "on {body}\n{text}");
                        assert_eq!((cached.decision, cached.errors), (direct.decision, direct.errors));
                        hits += u64::from(cached.origin == Origin::Cached);
                        missed += u64::from(cached.origin == Origin::Missed);
                        failing += u64::from(cached.errors > 0);
                    }
                    (Err(cached), Err(direct)) => {
                        assert_eq!(cached, direct, "on {body}\n{text}");
                        refused += 1;
                        // Looked for, and then nothing to keep.
                        spoilt += u64::from(matches!(cached, EvaluateError::Modified(_)));
                    }
                    (cached, direct) => panic!("{cached:?} and {direct:?} on {body}\n{text}"),
                }
            }
        }
    }
    let stats = cache.stats();
    assert_eq!((stats.hits(), stats.misses()), (hits, missed + spoilt));
    println!("{hits} hits, {missed} misses, {failing} with errors, {refused} refused");
    if variable("DIFF_CASES").is_none() {
        assert!(
            hits > 5_000 && missed > 5_000 && failing > 500,
            "{hits} hits, {missed} misses, {failing} with errors"
        );
    }
}
