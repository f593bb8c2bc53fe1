//! Every operator on every kind of value, with a constant and with another field as its operand, against the table of
//! operators in the language's semantics written down once more in the plainest way.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

mod common;

use common::{Answer, TestHost, decide_with, load, outcome, outcome_of};
use policy_bytecode::Outcome;
use policy_bytecode::predicate::PredOp;
use policy_vm::{LoadedModule, Mode};
use serde_json::{Value, json};

/// One of each kind, and the neighbours that are easily taken for each other.
fn values() -> Vec<Value> {
    vec![
        json!(null),
        json!(true),
        json!(false),
        json!(0),
        json!(1),
        json!(1.0),
        json!(-1.5),
        json!(i64::MAX),
        json!(i64::MIN),
        json!(u64::MAX),
        json!(9_007_199_254_740_993_u64),
        json!(9_007_199_254_740_992.0),
        json!(""),
        json!("a"),
        json!("ab"),
        json!("abc"),
        json!("é"),
        json!("1"),
        json!("AB"),
        json!("É"),
        json!("1970-01-01T00:00:00.001Z"),
        json!("10.0.0.1"),
        json!("10.0.0.0/8"),
        json!(["10.0.0.0/8", "10.0.0.1"]),
        json!(["A"]),
        json!({ "a": "x" }),
        json!({ "a": "X" }),
        json!({ "A": "x" }),
        json!([]),
        json!(["a"]),
        json!([1, "b", null]),
        json!([["a"]]),
        json!([[]]),
        json!([{ "a": 1 }]),
        json!({}),
        json!({ "a": 1 }),
        json!({ "a": 1.0, "b": [true] }),
    ]
}

fn number_cmp(a: &serde_json::Number, b: &serde_json::Number) -> std::cmp::Ordering {
    let integer = |n: &serde_json::Number| n.as_i64().map(i128::from).or(n.as_u64().map(i128::from));
    match (integer(a), integer(b)) {
        (Some(a), Some(b)) => a.cmp(&b),
        // The doubles above are exact as 128-bit halves.
        _fractional => {
            let halves = |n: &serde_json::Number| {
                integer(n).map_or_else(|| (n.as_f64().unwrap() * 2.0) as i128, |n| n * 2)
            };
            halves(a).cmp(&halves(b))
        }
    }
}

fn equal(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => number_cmp(a, b).is_eq(),
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| equal(a, b)),
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(k, v)| b.get(k).is_some_and(|w| equal(v, w)))
        }
        (a, b) => a == b,
    }
}

/// The value with its texts in small letters; keys stay.
fn lower(value: &Value) -> Value {
    match value {
        Value::String(text) => json!(text.to_lowercase()),
        Value::Array(items) => items.iter().map(lower).collect(),
        Value::Object(members) => Value::Object(members.iter().map(|(k, v)| (k.clone(), lower(v))).collect()),
        scalar => scalar.clone(),
    }
}

/// Half milliseconds of the instants among the values above.
fn instant(value: &Value) -> Option<i128> {
    match value {
        Value::String(text) => (text == "1970-01-01T00:00:00.001Z").then_some(2),
        Value::Number(n) => {
            let halves = n.as_i64().map_or_else(
                || n.as_f64().map_or(0, |x| (x * 2.0) as i128),
                |n| i128::from(n) * 2,
            );
            (halves.abs() <= 2 * 8_640_000_000_000_000).then_some(halves)
        }
        _other => None,
    }
}

/// Whether a value is one of the networks above, or a list of them. The one address is in both.
fn networks(value: &Value) -> Option<bool> {
    match value {
        Value::String(text) => (text == "10.0.0.1" || text == "10.0.0.0/8").then_some(true),
        Value::Array(items) => items
            .iter()
            .filter(|i| !i.is_array())
            .map(networks)
            .chain(items.iter().filter(|i| i.is_array()).map(|_| None))
            .try_fold(false, |_, item| item),
        _other => None,
    }
}

/// The table: what an operator gives for a present F and V.
fn expected(op: PredOp, f: &Value, v: &Value) -> Outcome {
    let ordering = match (f, v) {
        (Value::Number(a), Value::Number(b)) => Some(number_cmp(a, b)),
        (Value::String(a), Value::String(b)) => Some(a.chars().cmp(b.chars())),
        _other => None,
    };
    let compare =
        |accepts: fn(std::cmp::Ordering) -> bool| ordering.map_or(Outcome::Error, |o| accepts(o).into());
    let texts = match (f, v) {
        (Value::String(a), Value::String(b)) => Some((a.as_str(), b.as_str())),
        _other => None,
    };
    match op {
        PredOp::Eq => equal(f, v).into(),
        PredOp::Gt => compare(|o| o.is_gt()),
        PredOp::Gte => compare(|o| o.is_ge()),
        PredOp::Lt => compare(|o| o.is_lt()),
        PredOp::Lte => compare(|o| o.is_le()),
        PredOp::In => match v {
            Value::Array(items) => {
                let holds = |x: &Value| items.iter().any(|item| equal(item, x));
                let element = f.as_array().is_some_and(|elements| elements.iter().any(holds));
                (holds(f) || element).into()
            }
            _no_list => Outcome::Error,
        },
        PredOp::Contains => match (f, texts) {
            (Value::Array(items), _) => items.iter().any(|item| equal(item, v)).into(),
            (_, Some((a, b))) => a.contains(b).into(),
            (_, None) => Outcome::Error,
        },
        PredOp::StartsWith => texts.map_or(Outcome::Error, |(a, b)| a.starts_with(b).into()),
        PredOp::EndsWith => texts.map_or(Outcome::Error, |(a, b)| a.ends_with(b).into()),
        PredOp::Exists => (!f.is_null()).into(),
        PredOp::EqFold => expected(PredOp::Eq, &lower(f), &lower(v)),
        PredOp::InFold => expected(PredOp::In, &lower(f), &lower(v)),
        PredOp::ContainsFold => expected(PredOp::Contains, &lower(f), &lower(v)),
        PredOp::StartsWithFold => expected(PredOp::StartsWith, &lower(f), &lower(v)),
        PredOp::EndsWithFold => expected(PredOp::EndsWith, &lower(f), &lower(v)),
        PredOp::InCidr => match networks(v) {
            Some(found) if *f == json!("10.0.0.1") => found.into(),
            _other => Outcome::Error,
        },
        PredOp::Before | PredOp::After => match (instant(f), instant(v)) {
            (Some(f), Some(v)) => (if op == PredOp::Before { f < v } else { f > v }).into(),
            _other => Outcome::Error,
        },
        // `tests/quantifiers.rs` has the last two.
        PredOp::Matches | PredOp::TimeBetween | PredOp::Any | PredOp::All => unreachable!(),
    }
}

/// Whether the verifier takes the operator with this constant.
fn takes(op: PredOp, v: &Value) -> bool {
    match op {
        PredOp::Eq | PredOp::Contains | PredOp::EqFold | PredOp::ContainsFold => true,
        PredOp::Gt | PredOp::Gte | PredOp::Lt | PredOp::Lte => v.is_number() || v.is_string(),
        PredOp::In | PredOp::InFold => v.is_array(),
        PredOp::StartsWith | PredOp::EndsWith | PredOp::StartsWithFold | PredOp::EndsWithFold => {
            v.is_string()
        }
        PredOp::InCidr => networks(v) == Some(true),
        PredOp::Before | PredOp::After => instant(v).is_some(),
        PredOp::Exists | PredOp::Matches | PredOp::TimeBetween | PredOp::Any | PredOp::All => false,
    }
}

/// Constants of a value, the last one the value itself.
fn constants(value: &Value, next: usize) -> (String, usize) {
    let mut text = String::new();
    let mut next = next;
    let mut item = |value: &Value| {
        let (own, used) = constants(value, next);
        text.push_str(&own);
        next = used;
        format!("k{}", used - 1)
    };
    let own = match value {
        Value::Array(items) => {
            let items: Vec<_> = items.iter().map(&mut item).collect();
            format!("[{}]", items.join(", "))
        }
        Value::Object(members) => {
            let members: Vec<_> = members
                .iter()
                .map(|(k, v)| format!("{k:?}: {}", item(v)))
                .collect();
            format!("{{{}}}", members.join(", "))
        }
        scalar => scalar.to_string(),
    };
    text.push_str(&format!(" k{next}: {own}\n"));
    (text, next + 1)
}

/// Three rules: the predicate, its negation through the memo cell, and a branch on it.
fn predicate_module(constants: &str, predicate: &str) -> LoadedModule {
    load(&format!(
        ".memo_cells 1\n.fields\n f0: f\n f1: v\n{constants}.patterns\n x0: /^a.c$|\\d/ source \"test\"\n\
         .predicates\n p0: f0 {predicate}\n p1: f0 {predicate} memo m0\n\
         .function fn0\n ret_test p0, 1\n.function fn1\n ret_test_memo p1, 0\n\
         .function fn2 flags=1\n test_memo p1, 1, e0, yes\n br_flag e0, error\n ret_false\nyes:\n ret_true\nerror:\n ret_error\n\
         .rules\n rule0: policy0 warn fn0\n rule1: policy0 warn fn1\n rule2: policy0 warn fn2\n.policies\n policy0: rule0+3\n"
    ))
}

fn check(module: &LoadedModule, body: &Value, expected: Outcome, what: &str) {
    let hits = common::decide(module, &body.to_string(), Mode::All);
    let outcomes = [0, 1, 2].map(|rule| outcome_of(&hits, rule));
    assert_eq!(outcomes, [expected, expected.negate(), expected], "{what} {body}");
}

#[test]
fn operators_with_constants_agree_with_the_table() {
    for op in PredOp::ALL.iter().copied() {
        for constant in values().iter().filter(|v| takes(op, v)) {
            let (text, count) = constants(constant, 0);
            let predicate = format!("{} k{}", op.as_str(), count - 1);
            let module = predicate_module(&format!(".constants\n{text}"), &predicate);
            let what = format!("{} {constant}", op.as_str());
            for value in values() {
                check(
                    &module,
                    &json!({ "f": value }),
                    expected(op, &value, constant),
                    &what,
                );
            }
            check(&module, &json!({}), Outcome::False, &what);
        }
    }
}

#[test]
fn operators_with_fields_agree_with_the_table() {
    for op in PredOp::ALL.iter().copied().filter(|op| {
        !matches!(
            op,
            PredOp::Exists | PredOp::Matches | PredOp::TimeBetween | PredOp::Any | PredOp::All
        )
    }) {
        let module = predicate_module("", &format!("{} f1", op.as_str()));
        for f in values() {
            for v in values() {
                check(
                    &module,
                    &json!({ "f": f, "v": v }),
                    expected(op, &f, &v),
                    op.as_str(),
                );
            }
            // A missing V counts like a missing F.
            check(&module, &json!({ "f": f }), Outcome::False, op.as_str());
            check(&module, &json!({ "v": f }), Outcome::False, op.as_str());
        }
    }
}

#[test]
fn exists_and_matches_agree_with_the_table() {
    let exists = predicate_module("", "exists");
    let matches = predicate_module("", "matches x0");
    for value in values() {
        let body = json!({ "f": value });
        check(&exists, &body, (!value.is_null()).into(), "exists");
        let found = match value.as_str() {
            Some(text) => (text == "abc" || text.contains(|c: char| c.is_ascii_digit())).into(),
            None => Outcome::Error,
        };
        check(&matches, &body, found, "matches");
    }
    check(&exists, &json!({}), Outcome::False, "exists");
    check(&matches, &json!({}), Outcome::False, "matches");
}

/// Lists of a request are compared in another way when they are long; the meaning is the same.
#[test]
fn long_lists_mean_what_short_ones_mean() {
    let module = predicate_module("", "in f1");
    let pool = values();
    for n in [1, 30, 40, 500] {
        let list: Vec<Value> = (0..n)
            .map(|i| {
                if i % 3 == 0 {
                    json!(i)
                } else {
                    json!(format!("s{i}"))
                }
            })
            .collect();
        for value in &pool {
            let mut f = vec![json!("no"); n];
            f.push(value.clone());
            let mut v = list.clone();
            let body = json!({ "f": f, "v": v });
            check(
                &module,
                &body,
                expected(PredOp::In, &body["f"], &body["v"]),
                "without",
            );
            v.insert(n / 2, value.clone());
            let body = json!({ "f": f, "v": v });
            check(&module, &body, Outcome::True, "with");
        }
        // A list that is itself an item.
        let f: Vec<Value> = (0..n).map(|i| json!(i)).collect();
        let mut v = list.clone();
        v.push(json!(f));
        check(&module, &json!({ "f": f, "v": v }), Outcome::True, "nested");
    }
}

/// Two lists of a request: their product must not be what an evaluation takes.
#[test]
fn lists_of_a_request_are_compared_in_less_than_quadratic_time() {
    let module = predicate_module("", "in f1");
    let list = |text: &str| vec![text; 200_000].join(",");
    let body = format!(r#"{{"f":[{}],"v":[{}]}}"#, list("1"), list("2"));
    let start = std::time::Instant::now();
    assert_eq!(outcome(&module, &body), Outcome::False);
    assert!(start.elapsed().as_secs() < 20);
}

/// Arrays and objects of the same constant in many predicates are stored once.
#[test]
fn constants_that_share_items_stay_small() {
    // 10^7 values when written out, in eight entries; each predicate of the table compares with it.
    let mut constants = String::from(".constants\n k0: 1\n");
    for i in 1..8 {
        let items = vec![format!("k{}", i - 1); 10].join(", ");
        constants.push_str(&format!(" k{i}: [{items}]\n"));
    }
    let predicates: String = (0..3000)
        .map(|i| format!(" p{i}: f0 {} k7\n", ["eq", "contains", "in"][i % 3]))
        .collect();
    let module = load(&format!(
        ".fields\n f0: f\n{constants}.predicates\n{predicates}.function fn0\n ret_test p0, 1\n.function fn1\n ret_test p2, 1\n\
         .rules\n rule0: policy0 warn fn0\n rule1: policy0 warn fn1\n.policies\n policy0: rule0+2\n"
    ));
    let hits = common::decide(&module, r#"{"f":[[[[[[[1]]]]]]]}"#, Mode::All);
    assert!(hits.is_empty());
}

const UNKNOWN: &str = "
.fields
  f0: llm.estimatedCost = llm.estimated_cost(f1, f3, f4, f5, f6)
  f1: llm
  f2: llm.n
  f3: llm.model
  f4: llm.provider
  f5: llm.maxTokens|max_tokens
  f6: llm.serviceTier
";

#[test]
fn unknown_values_are_errors_of_everything_but_exists() {
    let run = |predicate: &str, body: &str| {
        let module = load(&format!(
            "{UNKNOWN}.constants\n k0: 1\n k1: \"x\"\n k2: [k0]\n k3: null\n.patterns\n x0: /x/ source \"test\"\n\
             .predicates\n p0: {predicate}\n.function fn0\n ret_test p0, 1\n.rules\n rule0: policy0 warn fn0\n.policies\n policy0: rule0+1\n"
        ));
        let mut host = TestHost {
            answer: Answer::Unknown,
            ..TestHost::default()
        };
        outcome_of(&decide_with(&module, body, Mode::All, &mut host), 0)
    };
    for op in [
        "eq k0",
        "eq k3",
        "gt k0",
        "gte k0",
        "lt k0",
        "lte k1",
        "in k2",
        "contains k0",
        "starts_with k1",
        "ends_with k1",
        "matches x0",
        "eq f5",
        "gt f5",
        "in f5",
        "contains f5",
    ] {
        assert_eq!(
            run(&format!("f0 {op}"), r#"{"llm":{"maxTokens":1}}"#),
            Outcome::Error,
            "{op}"
        );
        assert_eq!(run(&format!("f0 {op}"), "{}"), Outcome::Error, "{op}");
    }
    assert_eq!(run("f0 exists", "{}"), Outcome::False);
    // Where one is missing and the other unknown, the field decides.
    assert_eq!(run("f5 eq f0", "{}"), Outcome::False);
    assert_eq!(run("f5 eq f0", r#"{"llm":{"maxTokens":1}}"#), Outcome::Error);
    assert_eq!(run("f5 in f0", r#"{"llm":{"maxTokens":1}}"#), Outcome::Error);
}

/// An answer from bounds and the computed value decide alike, in whatever order they come.
#[test]
fn early_answers_and_values_mix() {
    let module = load(&format!(
        "{UNKNOWN}.constants\n k0: 1\n k1: 9\n.predicates\n p0: f0 gt k0\n p1: f0 eq k1\n p2: f0 lt k0\n p3: f0 gt f5\n\
         .function fn0\n ret_test p0, 1\n.function fn1\n ret_test p1, 1\n.function fn2\n ret_test p2, 0\n.function fn3\n ret_test p3, 1\n\
         .rules\n rule0: policy0 warn fn0\n rule1: policy0 warn fn1\n rule2: policy0 warn fn2\n rule3: policy0 warn fn3\n.policies\n policy0: rule0+4\n"
    ));
    for early in [None, Some(Outcome::True)] {
        let mut host = TestHost {
            answer: Answer::Number(9.0),
            early,
            ..TestHost::default()
        };
        let hits = decide_with(&module, r#"{"llm":{"maxTokens":1}}"#, Mode::All, &mut host);
        assert_eq!(hits.len(), 4);
        assert!(hits.iter().all(|h| h.fired));
        // Only the comparison before the first need of the value is answered from bounds.
        assert_eq!((host.compared, host.derived), (1, 1));
    }
}

/// Windows of local time: when they hold, and what is an error.
#[test]
fn windows_of_time() {
    let constants = ".constants\n k0: \"22:00\"\n k1: \"06:00\"\n k2: \"Europe/Berlin\"\n k3: \"fri\"\n k4: [k3]\n\
                     \x20k5: {\"days\": k4, \"end\": k1, \"start\": k0, \"timezone\": k2}\n";
    let module = predicate_module(constants, "time_between k5");
    for (value, outcome) in [
        (json!("2025-03-07T21:00:00Z"), Outcome::True),
        (json!("2025-03-07T20:59:59Z"), Outcome::False),
        (json!("2025-03-08T04:59:59Z"), Outcome::True),
        (json!("2025-03-08T05:00:00Z"), Outcome::False),
        (json!(1_741_384_800_000_i64), Outcome::True),
        (json!(1_741_384_800_000.5), Outcome::True),
        (json!("2025-03-07T22:00:00"), Outcome::Error),
        (json!(1e300), Outcome::Error),
        (json!(null), Outcome::Error),
        (json!([1_741_384_800_000_i64]), Outcome::Error),
    ] {
        check(&module, &json!({ "f": value }), outcome, "time_between");
    }
    check(&module, &json!({}), Outcome::False, "time_between");
}
