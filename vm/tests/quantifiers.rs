//! `any` and `all`: three-valued over the elements, with paths into them, fields beside them and lists inside them; and
//! bounded whatever the request holds.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

mod common;

use common::{TestHost, decide, load, one_rule, outcome};
use policy_bytecode::Outcome::{Error, False, True};
use policy_bytecode::{Outcome, PredIdx};
use policy_vm::{LoadedModule, Mode, Scope, Scratch, Trap};

const TABLES: &str = r#"
.memo_cells 3
.fields
  f0: list
  f1: one
  f2: many
.constants
  k0: "x"
  k1: 3
  k2: [k0, k1]
.patterns
  x0: /^a+$/ source "test"
.predicates
  p0: f1 exists memo m0
"#;

/// A module whose only rule is `list op (body)`.
fn quantified(op: &str, bodies: &str) -> LoadedModule {
    let last = bodies.matches("  q").count() - 1;
    let sections = format!("{TABLES}  p1: f0 {op} q{last} memo m1\n.bodies\n{bodies}");
    load(&one_rule(&sections, "", " ret_test_memo p1, 1"))
}

fn check(op: &str, bodies: &str, cases: &[(&str, Outcome)]) {
    let module = quantified(op, bodies);
    for (list, expected) in cases {
        let body = format!("{{\"list\":{list},\"one\":\"xy\",\"many\":[1,\"x\",{{\"a\":1}}]}}");
        assert_eq!(outcome(&module, &body), *expected, "{op} {bodies} of {list}");
    }
}

#[test]
fn three_valued_over_the_elements() {
    let above = "  q0:\n test item gt k1\n";
    check(
        "any",
        above,
        &[
            ("[]", False),
            ("[1]", False),
            ("[1,4]", True),
            ("[\"s\"]", Error),
            ("[\"s\",1]", Error),
            ("[\"s\",4]", True),
            ("[4,\"s\"]", True),
            ("null", Error),
            ("4", Error),
            ("\"4\"", Error),
            ("{\"0\":4}", Error),
        ],
    );
    check(
        "all",
        above,
        &[
            ("[]", True),
            ("[1]", False),
            ("[4]", True),
            ("[4,1]", False),
            ("[\"s\"]", Error),
            ("[\"s\",1]", False),
            ("[1,\"s\"]", False),
            ("[\"s\",4]", Error),
            ("null", Error),
            ("{}", Error),
        ],
    );
    for (op, expected) in [("any", False), ("all", True)] {
        assert_eq!(outcome(&quantified(op, above), "{}"), expected);
    }
}

#[test]
fn nodes_paths_and_fields() {
    check(
        "any",
        "  q0:\n test item.a[1] eq k0\n test not item[0] exists\n pred not p0\n not n2\n and n0 n1 n3\n",
        &[
            ("[{\"a\":[0,\"x\"]}]", True),
            ("[{\"a\":{\"1\":\"x\"}}]", True),
            ("[{\"a\":[\"x\"]}]", False),
            ("[{\"a\":[0,\"x\"],\"0\":1}]", False),
            ("[[\"x\"],\"x\",null]", False),
        ],
    );
    check(
        "any",
        "  q0:\n test f1 contains item\n",
        &[
            ("[\"z\",\"y\"]", True),
            ("[\"z\"]", False),
            ("[1]", Error),
            ("[1,\"y\"]", True),
        ],
    );
    check(
        "all",
        "  q0:\n test item in f2\n",
        &[
            ("[\"x\",1.0,{\"a\":1}]", True),
            ("[[7,\"x\"]]", True),
            ("[\"y\"]", False),
            ("[null]", False),
        ],
    );
    check(
        "any",
        "  q0:\n test item.a eq item.b\n",
        &[
            ("[{\"a\":1,\"b\":1.0}]", True),
            ("[{\"a\":1,\"b\":2}]", False),
            // Missing on either side is false.
            ("[{\"a\":1},{\"b\":1}]", False),
        ],
    );
    check(
        "any",
        "  q0:\n test item in item\n",
        &[("[[[1],1]]", True), ("[[]]", False), ("[1]", Error)],
    );
    check(
        "any",
        "  q0:\n test item in k2\n test item matches x0\n or n0 n1\n",
        &[
            ("[\"b\",\"aa\"]", True),
            ("[3]", True),
            ("[\"b\"]", False),
            ("[4]", Error),
        ],
    );
}

#[test]
fn lists_in_elements() {
    let nested = "  q0:\n test item eq k0\n  q1:\n test item.parts all q0\n";
    check(
        "any",
        nested,
        &[
            ("[{\"parts\":[\"x\",\"x\"]}]", True),
            ("[{\"parts\":[\"x\",\"y\"]}]", False),
            ("[{\"parts\":[]}]", True),
            ("[{}]", True),
            ("[{\"parts\":null}]", Error),
            ("[{\"parts\":\"x\"},{\"parts\":[\"x\"]}]", True),
        ],
    );
    check(
        "all",
        "  q0:\n test item eq k0\n  q1:\n test not item any q0\n",
        &[("[[1],[]]", True), ("[[1],[\"x\"]]", False), ("[[1],1]", Error)],
    );
}

/// Half a million elements beside a text of a megabyte: the work would be half a terabyte.
#[test]
fn hostile_lists_run_out_of_fuel_and_fire() {
    let module = quantified("any", "  q0:\n test f1 contains item\n");
    let list = format!("[{}\"0\"]", "\"0\",".repeat(500_000));
    let body = format!("{{\"list\":{list},\"one\":\"{}\"}}", "1".repeat(1 << 20));
    let started = std::time::Instant::now();
    let hits = decide(&module, &body, Mode::All);
    assert_eq!(hits.len(), 1);
    assert!(hits[0].fired && hits[0].error);
    assert_eq!(hits[0].trap, Some(Trap::OutOfFuel));
    // Generous, for builds without optimisation on a busy machine.
    assert!(started.elapsed().as_secs() < 20, "{:?}", started.elapsed());

    // Two lists, both long.
    let module = quantified("all", "  q0:\n test not item in f2\n");
    let list = format!("[{}0]", "1,".repeat(300_000));
    let body = format!("{{\"list\":{list},\"many\":[{}2]}}", "3,".repeat(300_000));
    assert_eq!(decide(&module, &body, Mode::All)[0].trap, Some(Trap::OutOfFuel));

    // As long, without a second side: that is what a list may be.
    let module = quantified("all", "  q0:\n test item lt k1\n");
    assert_eq!(outcome(&module, &format!("{{\"list\":{list}}}")), True);
}

/// An operand that decides does so whatever ran out.
#[test]
fn a_deciding_operand_beats_what_ran_out() {
    let sections = format!(
        "{TABLES}  p1: f0 any q0 memo m1\n  p2: f1 exists memo m2\n.bodies\n  q0:\n test f1 contains item\n"
    );
    let code = " test_memo p1, 1, e0, yes\n test_memo p2, 1, e0, yes\n br_flag e0, unknown\n ret_false\n yes:\n \
                ret_true\n unknown:\n ret_error";
    let module = load(&one_rule(&sections, "flags=1", code));
    let list = format!("[{}\"0\"]", "\"0\",".repeat(100_000));
    let body = format!("{{\"list\":{list},\"one\":\"{}\"}}", "1".repeat(1 << 20));
    let hits = decide(&module, &body, Mode::All);
    assert!(hits[0].fired && !hits[0].error && hits[0].trap.is_none());
}

/// What is found afterwards, for explanations, has a budget of its own and is not taken for what the rule found.
#[test]
fn what_ran_out_is_not_kept() {
    let module = quantified("any", "  q0:\n test f1 contains item\n");
    let list = format!("[{}\"1\"]", "\"0\",".repeat(1_000));
    let body = format!("{{\"list\":{list},\"one\":\"{}\"}}", "1".repeat(1 << 20));
    let (mut scratch, mut host) = (Scratch::new(), TestHost::default());
    let mut eval = module.begin(&mut scratch, &mut host, body.as_bytes()).unwrap();
    assert_eq!(eval.decide(Scope::All, Mode::All)[0].trap, Some(Trap::OutOfFuel));
    assert_eq!(eval.decide(Scope::All, Mode::All)[0].trap, Some(Trap::OutOfFuel));
    assert_eq!(eval.predicate(PredIdx(1)), Error);
    let list = "[\"0\",\"1\"]";
    let body = format!("{{\"list\":{list},\"one\":\"{}\"}}", "1".repeat(1 << 20));
    drop(eval);
    let mut eval = module.begin(&mut scratch, &mut host, body.as_bytes()).unwrap();
    assert!(eval.decide(Scope::All, Mode::All)[0].trap.is_none());
}
