//! Constants as values: read in place, found by key and by element, whatever their size.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

mod common;

use common::{TestHost, load, load_module, module};
use policy_bytecode::consts::{Const, ConstPool};
use policy_bytecode::{ConstIdx, Number, Outcome};
use policy_vm::{LoadedModule, Mode, Scope, Scratch, Value};
use proptest::prelude::*;
use std::fmt::Write as _;

/// A module with these constants and one rule, which always fires.
fn with_constants(consts: Vec<Const>) -> LoadedModule {
    let mut module =
        module(".function fn0\n ret_true\n.rules\n rule0: policy0 deny fn0\n.policies\n policy0: rule0+1\n");
    module.consts = consts;
    load_module(module)
}

/// Adds a JSON value to a pool.
fn intern(pool: &mut ConstPool, value: &serde_json::Value) -> ConstIdx {
    let new = match value {
        serde_json::Value::Null => Const::Null,
        serde_json::Value::Bool(b) => Const::Bool(*b),
        serde_json::Value::Number(n) => Const::Number(match (n.as_i64(), n.as_u64()) {
            (Some(n), _) => Number::Int(n),
            (None, Some(n)) => Number::UInt(n),
            (None, None) => Number::Float(n.as_f64().unwrap()),
        }),
        serde_json::Value::String(s) => Const::Str(s.clone()),
        serde_json::Value::Array(items) => Const::Array(items.iter().map(|i| intern(pool, i)).collect()),
        serde_json::Value::Object(members) => Const::Object(
            members
                .iter()
                .map(|(k, v)| (k.clone(), intern(pool, v)))
                .collect(),
        ),
    };
    pool.intern(new)
}

fn json() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(serde_json::Value::from),
        any::<i64>().prop_map(serde_json::Value::from),
        any::<u64>().prop_map(serde_json::Value::from),
        "[a-e\u{e9}]{0,3}".prop_map(serde_json::Value::from),
    ];
    leaf.prop_recursive(4, 200, 24, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(serde_json::Value::from),
            prop::collection::btree_map("[a-e\u{e9}]{0,3}", inner, 0..24)
                .prop_map(|members| serde_json::Value::Object(members.into_iter().collect())),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// A constant reads as what it was made of: written out, by index, by key, and for keys that it has not.
    #[test]
    fn a_constant_is_what_it_was_made_of(wanted in json(), other in "[a-f]{0,3}") {
        let mut pool = ConstPool::new();
        let at = intern(&mut pool, &wanted);
        let module = with_constants(pool.into_entries());
        check(&module.constant(at), &wanted, &other)?;
        let mut text = String::new();
        module.constant(at).write_json(&mut text).unwrap();
        prop_assert_eq!(serde_json::from_str::<serde_json::Value>(&text).unwrap(), wanted);
    }
}

fn check(value: &Value<'_>, wanted: &serde_json::Value, other: &str) -> Result<(), TestCaseError> {
    match (value, wanted) {
        (Value::Array(items), serde_json::Value::Array(wanted)) => {
            prop_assert_eq!(items.len(), wanted.len());
            prop_assert!(items.get(wanted.len()).is_none());
            for (i, wanted) in wanted.iter().enumerate() {
                check(&items.get(i).unwrap(), wanted, other)?;
            }
        }
        (Value::Object(members), serde_json::Value::Object(wanted)) => {
            prop_assert_eq!(members.len(), wanted.len());
            for ((key, inner), (wanted_key, wanted)) in members.iter().zip(wanted) {
                prop_assert_eq!(key, wanted_key);
                prop_assert!(members.get(key).is_some_and(|found| same(&found, &inner)));
                check(&inner, wanted, other)?;
            }
            prop_assert_eq!(members.get(other).is_some(), wanted.contains_key(other));
        }
        _scalar => {}
    }
    Ok(())
}

/// Equal, and of the same spelling.
fn same(a: &Value<'_>, b: &Value<'_>) -> bool {
    let text = |value: &Value<'_>| {
        let mut out = String::new();
        value.write_json(&mut out).unwrap();
        out
    };
    a.equals(b) && a.total_cmp(b).is_eq() && text(a) == text(b)
}

/// Code that reads a constant much larger than the arena, as a whole, by a key of the request, and one by one: nothing of it
/// is copied.
#[test]
fn constants_are_read_in_place() {
    let count = 20_000;
    let mut text = String::from(".limits arena_bytes=4000\n.fields\n f0: key\n.constants\n k0: 1\n");
    let members: Vec<String> = (0..count).map(|i| format!("\"key-{i:05}\": k0")).collect();
    let items = vec!["k0"; count].join(", ");
    writeln!(
        text,
        " k1: {{{}}}\n k2: [{items}]\n k3: {}",
        members.join(", "),
        2 * count
    )
    .unwrap();
    text.push_str(
        ".function fn0 registers=8 iterators=2\n load_const r0, k1\n load_field r1, f0\n get r2, r0, r1\n load_const r3, k0\n \
         eq r2, r2, r3\n br_unless r2, no\n len r4, r0\n load_const r5, k2\n len r6, r5\n add r4, r4, r6\n load_const r6, k3\n eq r4, r4, r6\n \
         br_unless r4, no\n iter_begin it0, r5\n next:\n iter_next it0, r6, r7, done\n eq r6, r7, r3\n br_if r6, next\n no:\n ret_false\n \
         done:\n ret_true\n.rules\n rule0: policy0 deny fn0 fires_on_error\n.policies\n policy0: rule0+1\n",
    );
    let module = load(&text);
    let mut scratch = Scratch::new();
    for (key, fires) in [
        ("key-00000", true),
        ("key-19999", true),
        ("key-20000", false),
        ("key-0", false),
    ] {
        let body = format!(r#"{{"key":"{key}"}}"#);
        let mut host = TestHost::default();
        let mut eval = module.begin(&mut scratch, &mut host, body.as_bytes()).unwrap();
        let before = eval.arena_used();
        let hits = eval.decide(Scope::All, Mode::All);
        assert_eq!(
            hits.first().map(|hit| (hit.fired, hit.trap)),
            fires.then_some((true, None)),
            "{key}"
        );
        assert_eq!(eval.arena_used(), before, "{key}");
    }
}

/// A list that is too long for the rule index to hold each of its items says the same with a guard on it and without.
#[test]
fn long_lists_are_found_with_and_without_a_guard() {
    let build = |guard: &str| {
        let mut text = String::from(".fields\n f0: a\n.constants\n k0: null\n k1: 7\n k2: true\n");
        for i in 3..6000 {
            writeln!(text, " k{i}: \"item-{i}\"").unwrap();
        }
        let items: Vec<String> = (0..6000).map(|i| format!("k{i}")).collect();
        writeln!(
            text,
            " k6000: [{}]\n.predicates\n p0: f0 in k6000",
            items.join(", ")
        )
        .unwrap();
        writeln!(
            text,
            ".function fn0{guard}\n ret_test p0, 1\n.rules\n rule0: policy0 warn fn0 fires_on_error\n.policies\n policy0: rule0+1"
        )
        .unwrap();
        load(&text)
    };
    let (plain, guarded) = (build(""), build(" guard=p0"));
    for (value, expected) in [
        ("null", true),
        ("7", true),
        ("7.0", true),
        ("8", false),
        ("[7]", true),
        ("[8, \"item-5999\"]", true),
        ("[8]", false),
        ("{}", false),
        ("true", true),
        ("false", false),
        ("\"item-3\"", true),
        ("\"item-5999\"", true),
        ("\"item-6000\"", false),
    ] {
        let body = format!(r#"{{"a":{value}}}"#);
        for module in [&plain, &guarded] {
            let hits = common::decide(module, &body, Mode::All);
            assert_eq!(hits.first().is_some_and(|hit| hit.fired), expected, "{body}");
        }
    }
    assert_eq!(common::outcome(&plain, "{}"), Outcome::False);
}
