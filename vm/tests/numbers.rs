//! Numbers of any size in every comparison, with constants and with other fields, alone, in lists and in collections.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

mod common;

use common::{decide, load, outcome_of};
use policy_bytecode::Outcome;
use policy_bytecode::decimal::is_decimal;
use policy_vm::{Array, LoadedModule, Mode, Value};
use std::cmp::Ordering;

/// In ascending order; those of one line are equal.
const NUMBERS: &[&[&str]] = &[
    &["-1e400", "-10E399"],
    &["-18446744073709551617"],
    &["-9223372036854775808", "-9223372036854775808.0"],
    &["-0.1000000000000000055"],
    &["-0.1", "-1e-1"],
    &["0", "-0", "-0.0", "0e99"],
    &["1e-400", "0.1e-399"],
    &["0.1"],
    &["0.1000000000000000055", "0.10000000000000000550"],
    &["1", "1.0", "10e-1"],
    &["9007199254740992", "9007199254740992.0"],
    &["9007199254740993", "9007199254740993.0"],
    &["9223372036854776000", "9.223372036854776e18"],
    &["18446744073709551615"],
    &["18446744073709551616"],
    &["18446744073709551617", "18446744073709551617.00"],
    &["1e400"],
];

fn constant(text: &str) -> String {
    if is_decimal(text) {
        format!("decimal {text:?}")
    } else if text == "-0" || text.contains(['.', 'e', 'E']) {
        let value: f64 = text.parse().unwrap();
        // What the compiler makes of an integer with a fraction of zero.
        match text.strip_suffix(".0") {
            Some(whole) if whole.len() > 15 => whole.to_owned(),
            Some(_) | None => format!("{value:?}"),
        }
    } else {
        text.to_owned()
    }
}

/// Rules: each comparison with a constant, then with a field, then membership and elements.
fn module(text: &str) -> LoadedModule {
    let ops = ["eq", "gt", "gte", "lt", "lte"];
    let mut predicates = String::new();
    for op in ops {
        predicates.push_str(&format!(" p{}: f0 {op} k0\n", predicates.lines().count()));
    }
    for op in ops {
        predicates.push_str(&format!(" p{}: f0 {op} f1\n", predicates.lines().count()));
    }
    predicates.push_str(
        " p10: f0 in k2\n p11: f2 contains k0\n p12: f2 contains f0\n p13: f0 in f2\n p14: f3 eq k3\n",
    );
    let mut code = String::new();
    let mut rules = String::new();
    for i in 0..15 {
        code.push_str(&format!(".function fn{i}\n ret_test p{i}, 1\n"));
        rules.push_str(&format!(" rule{i}: policy0 warn fn{i}\n"));
    }
    load(&format!(
        ".fields\n f0: a\n f1: b\n f2: list\n f3: object\n.constants\n k0: {}\n k1: \"x\"\n k2: [k1, k0]\n k3: {{\"n\": k0}}\n\
         .predicates\n{predicates}{code}.rules\n{rules}.policies\n policy0: rule0+15\n",
        constant(text)
    ))
}

#[test]
fn every_comparison_of_every_pair() {
    for (i, right) in NUMBERS.iter().enumerate() {
        for right in *right {
            let module = module(right);
            for (j, left) in NUMBERS.iter().enumerate() {
                for left in *left {
                    let body = format!(
                        "{{\"a\":{left},\"b\":{right},\"list\":[null,{left}],\"object\":{{\"n\":{left}}}}}"
                    );
                    let hits = decide(&module, &body, Mode::All);
                    let order = j.cmp(&i);
                    let compared = [
                        order.is_eq(),
                        order.is_gt(),
                        order.is_ge(),
                        order.is_lt(),
                        order.is_le(),
                    ];
                    let equal = order.is_eq();
                    let members = [equal, equal, true, true, equal];
                    let expected = compared.iter().chain(&compared).chain(&members);
                    for (rule, expected) in (0..).zip(expected) {
                        assert_eq!(
                            outcome_of(&hits, rule),
                            Outcome::from(*expected),
                            "rule {rule} on {left} and {right}"
                        );
                    }
                }
            }
        }
    }
}

#[test]
fn numbers_have_one_order_and_are_no_texts() {
    let module = module("1e400");
    for body in ["{\"a\":\"1e400\"}", "{\"a\":[1e400]}", "{\"a\":null}"] {
        let hits = decide(&module, body, Mode::All);
        assert_eq!(outcome_of(&hits, 0), Outcome::False, "{body}");
        assert_eq!(outcome_of(&hits, 1), Outcome::Error, "{body}");
    }
    let value = |text: &'static str| Value::Decimal(text);
    assert_eq!(value("1e400").total_cmp(&value("10e399")), Ordering::Equal);
    assert!(value("1e400").equals(&value("10e399")));
    assert_eq!(value("-1e400").total_cmp(&Value::Bool(true)), Ordering::Greater);
    assert_eq!(value("1e400").type_name(), "number");
    let mut out = String::new();
    let items: &[Value<'_>] = &[value("1E+400")];
    Value::Array(Array::of(&items)).write_json(&mut out).unwrap();
    assert_eq!(out, "[1E+400]");
}
