//! Every instruction, through text form, verifier and interpreter. A table of small programs whose outcome says whether
//! the instruction does what its line in the table of instructions promises.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

mod common;

use common::{Answer, TestHost, decide, decide_with, load, module, one_rule, outcome, outcome_of};
use policy_bytecode::{Opcode, Outcome};
use policy_vm::{Mode, Scope, Scratch, Trap, Value};
use std::collections::BTreeSet;

/// Tables that the programs below refer to.
const TABLES: &str = r#"
.memo_cells 2
.fields
  f0: a
  f1: b
  f2: c.d
  f3: llm.estimatedCost|estimated_cost = llm.estimated_cost(f4, f6, f7, f8, f9)
  f4: llm
  f5: llm.n
  f6: llm.model
  f7: llm.provider
  f8: llm.maxTokens|max_tokens
  f9: llm.serviceTier
.constants
  k0: 1
  k1: "x"
  k2: [k0, k1]
  k3: {"x": k0}
  k4: 2
  k5: 1.0
  k6: "né"
  k7: null
  k8: 7
  k9: 0
  k10: []
  k11: [k2, k3, k2]
  k12: {}
  k13: 4
  k14: -1
.predicates
  p0: f0 eq k0
  p1: f0 gt k0
  p2: f0 eq k0 memo m0
  p3: f0 gt k0 memo m1
  p4: f1 exists
"#;

/// Frame of the programs below.
const FRAME: &str = "registers=8 flags=64 iterators=16 builders=16";

/// Code, request, outcome.
const PROGRAMS: &[(&str, &str, Outcome)] = &[
    // load_const: scalars and collections; eq: deep, by value, across representations.
    (
        "load_const r0, k2\nload_field r1, f0\neq r2, r0, r1\nret r2",
        r#"{"a":[1.0,"x"]}"#,
        Outcome::True,
    ),
    (
        "load_const r0, k3\nload_field r1, f0\neq r2, r0, r1\nret r2",
        r#"{"a":{"x":1}}"#,
        Outcome::True,
    ),
    (
        "load_const r0, k3\nload_field r1, f0\neq r2, r0, r1\nret r2",
        r#"{"a":{"x":1,"y":1}}"#,
        Outcome::False,
    ),
    (
        "load_const r0, k0\nload_const r1, k5\neq r2, r0, r1\nret r2",
        "{}",
        Outcome::True,
    ),
    (
        "load_const r0, k7\nload_field r1, f0\neq r2, r0, r1\nret r2",
        r#"{"a":null}"#,
        Outcome::True,
    ),
    (
        "load_const r0, k7\nload_field r1, f0\neq r2, r0, r1\nret r2",
        "{}",
        Outcome::False,
    ),
    (
        "load_const r0, k11\nload_const r1, k11\neq r2, r0, r1\nret r2",
        "{}",
        Outcome::True,
    ),
    (
        "load_const r0, k10\nload_const r1, k12\neq r2, r0, r1\nbr_undefined r2, no\nbr_if r2, no\nret_true\nno:\nret_false",
        "{}",
        Outcome::True,
    ),
    // load_field: missing is undefined, null is not.
    (
        "load_field r0, f2\nbr_undefined r0, yes\nret_false\nyes:\nret_true",
        r#"{"c":{}}"#,
        Outcome::True,
    ),
    (
        "load_field r0, f2\nbr_undefined r0, yes\nret_false\nyes:\nret_true",
        r#"{"c":{"d":null}}"#,
        Outcome::False,
    ),
    // mov, load_bool, load_undefined.
    (
        "load_bool r0, 1\nmov r1, r0\nload_bool r0, 0\nret r1",
        "{}",
        Outcome::True,
    ),
    ("load_bool r0, 0\nret r0", "{}", Outcome::False),
    (
        "load_undefined r0\nbr_undefined r0, yes\nret_error\nyes:\nret_true",
        "{}",
        Outcome::True,
    ),
    ("load_undefined r0\nret r0", "{}", Outcome::False),
    // ret: only exactly true is true.
    ("load_const r0, k0\nret r0", "{}", Outcome::False),
    ("load_const r0, k1\nret r0", "{}", Outcome::False),
    // get, get_const: members, elements, nothing.
    (
        "load_field r0, f0\nload_const r1, k1\nget r2, r0, r1\nret r2",
        r#"{"a":{"x":true}}"#,
        Outcome::True,
    ),
    (
        "load_field r0, f0\nload_const r1, k0\nget r2, r0, r1\nret r2",
        r#"{"a":[false,true]}"#,
        Outcome::True,
    ),
    (
        "load_field r0, f0\nload_const r1, k14\nget r2, r0, r1\nbr_undefined r2, yes\nret_false\nyes:\nret_true",
        r#"{"a":[false,true]}"#,
        Outcome::True,
    ),
    (
        "load_field r0, f0\nget_const r1, r0, k4\nbr_undefined r1, yes\nret_false\nyes:\nret_true",
        r#"{"a":[false,true]}"#,
        Outcome::True,
    ),
    (
        "load_field r0, f0\nget_const r1, r0, k1\nret r1",
        r#"{"a":{"w":false,"x":true}}"#,
        Outcome::True,
    ),
    (
        "load_field r0, f0\nget_const r1, r0, k1\nbr_undefined r1, yes\nret_false\nyes:\nret_true",
        r#"{"a":"x"}"#,
        Outcome::True,
    ),
    // len: elements, members, characters; nothing else.
    (
        "load_const r0, k2\nlen r1, r0\nload_const r2, k4\neq r3, r1, r2\nret r3",
        "{}",
        Outcome::True,
    ),
    (
        "load_const r0, k3\nlen r1, r0\nload_const r2, k0\neq r3, r1, r2\nret r3",
        "{}",
        Outcome::True,
    ),
    (
        "load_const r0, k6\nlen r1, r0\nload_const r2, k4\neq r3, r1, r2\nret r3",
        "{}",
        Outcome::True,
    ),
    (
        "load_const r0, k0\nlen r1, r0\nbr_undefined r1, yes\nret_false\nyes:\nret_true",
        "{}",
        Outcome::True,
    ),
    // lt, lte: numbers with numbers, texts with texts.
    (
        "load_const r0, k0\nload_const r1, k4\nlt r2, r0, r1\nret r2",
        "{}",
        Outcome::True,
    ),
    (
        "load_const r0, k0\nload_const r1, k5\nlt r2, r0, r1\nret r2",
        "{}",
        Outcome::False,
    ),
    (
        "load_const r0, k0\nload_const r1, k5\nlte r2, r0, r1\nret r2",
        "{}",
        Outcome::True,
    ),
    (
        "load_const r0, k6\nload_const r1, k1\nlt r2, r0, r1\nret r2",
        "{}",
        Outcome::True,
    ),
    (
        "load_const r0, k0\nload_const r1, k1\nlt r2, r0, r1\nbr_undefined r2, yes\nret_false\nyes:\nret_true",
        "{}",
        Outcome::True,
    ),
    (
        "load_const r0, k0\nload_undefined r1\nlte r2, r0, r1\nbr_undefined r2, yes\nret_false\nyes:\nret_true",
        "{}",
        Outcome::True,
    ),
    // add, sub, mul, div, rem.
    (
        "load_const r0, k0\nload_const r1, k4\nadd r2, r0, r1\nsub r3, r2, r1\neq r4, r3, r0\nret r4",
        "{}",
        Outcome::True,
    ),
    (
        "load_const r0, k4\nload_const r1, k4\nmul r2, r0, r1\nload_const r3, k13\neq r4, r2, r3\nret r4",
        "{}",
        Outcome::True,
    ),
    (
        "load_const r0, k8\nload_const r1, k4\ndiv r2, r0, r1\nmul r3, r2, r1\neq r4, r3, r0\nret r4",
        "{}",
        Outcome::True,
    ),
    (
        "load_const r0, k8\nload_const r1, k4\nrem r2, r0, r1\nload_const r3, k0\neq r4, r2, r3\nret r4",
        "{}",
        Outcome::True,
    ),
    (
        "load_const r0, k8\nload_const r1, k9\ndiv r2, r0, r1\nbr_undefined r2, yes\nret_false\nyes:\nret_true",
        "{}",
        Outcome::True,
    ),
    (
        "load_const r0, k8\nload_const r1, k9\nrem r2, r0, r1\nbr_undefined r2, yes\nret_false\nyes:\nret_true",
        "{}",
        Outcome::True,
    ),
    (
        "load_const r0, k8\nload_const r1, k1\nadd r2, r0, r1\nbr_undefined r2, yes\nret_false\nyes:\nret_true",
        "{}",
        Outcome::True,
    ),
    // jump, br_if, br_unless: exactly true.
    ("jump over\nret_error\nover:\nret_true", "{}", Outcome::True),
    (
        "load_const r0, k0\nbr_if r0, no\nload_bool r0, 1\nbr_if r0, yes\nno:\nret_false\nyes:\nret_true",
        "{}",
        Outcome::True,
    ),
    (
        "load_bool r0, 1\nbr_unless r0, no\nload_const r0, k0\nbr_unless r0, yes\nno:\nret_false\nyes:\nret_true",
        "{}",
        Outcome::True,
    ),
    // test: jumps on its sense, raises its flag on an error and goes on.
    (
        "test p0, 1, e0, yes\nret_false\nyes:\nret_true",
        r#"{"a":1}"#,
        Outcome::True,
    ),
    (
        "test p0, 0, e0, yes\nret_false\nyes:\nret_true",
        r#"{"a":2}"#,
        Outcome::True,
    ),
    (
        "test p0, 1, e0, yes\nret_false\nyes:\nret_true",
        "{}",
        Outcome::False,
    ),
    (
        "test p1, 1, e63, no\nbr_flag e63, yes\nno:\nret_false\nyes:\nret_true",
        r#"{"a":"x"}"#,
        Outcome::True,
    ),
    (
        "test p1, 0, e1, no\nbr_flag e0, no\nbr_flag e1, yes\nno:\nret_false\nyes:\nret_true",
        r#"{"a":"x"}"#,
        Outcome::True,
    ),
    // test_memo: the same twice.
    (
        "test_memo p2, 1, e0, on\nret_false\non:\ntest_memo p2, 1, e0, yes\nret_false\nyes:\nret_true",
        r#"{"a":1}"#,
        Outcome::True,
    ),
    (
        "test_memo p3, 1, e0, no\ntest_memo p3, 0, e1, no\nbr_flag e0, on\nno:\nret_false\non:\nbr_flag e1, yes\nret_false\nyes:\nret_true",
        r#"{"a":"x"}"#,
        Outcome::True,
    ),
    (
        "test_memo p2, 0, e0, yes\nret_false\nyes:\nret_true",
        "{}",
        Outcome::True,
    ),
    // ret_test, ret_test_memo: with sense; an error stays one.
    ("ret_test p0, 1", r#"{"a":1}"#, Outcome::True),
    ("ret_test p0, 0", r#"{"a":1}"#, Outcome::False),
    ("ret_test p0, 0", "{}", Outcome::True),
    ("ret_test p1, 0", r#"{"a":[]}"#, Outcome::Error),
    ("ret_test_memo p2, 1", r#"{"a":1}"#, Outcome::True),
    ("ret_test_memo p2, 0", r#"{"a":2}"#, Outcome::True),
    ("ret_test_memo p3, 1", r#"{"a":true}"#, Outcome::Error),
    // flags: lowered at the start, raised, lowered again; all 64 are apart.
    (
        "br_flag e0, no\nraise_flag e0\nbr_flag e0, on\nno:\nret_false\non:\nclear_flag e0\nbr_flag e0, no\nret_true",
        "{}",
        Outcome::True,
    ),
    (
        "raise_flag e63\nraise_flag e0\nclear_flag e63\nbr_flag e62, no\nbr_flag e63, no\nbr_flag e0, yes\nno:\nret_false\nyes:\nret_true",
        "{}",
        Outcome::True,
    ),
    // outcomes.
    ("ret_true", "{}", Outcome::True),
    ("ret_false", "{}", Outcome::False),
    ("ret_error", "{}", Outcome::Error),
    // iterators: arrays by index, objects by key, sets by element, nothing else.
    (
        "load_field r0, f0\niter_begin it0, r0\nload_const r3, k9\nnext:\niter_next it0, r1, r2, done\nadd r3, r3, r2\njump next\ndone:\nload_const r4, k8\neq r5, r3, r4\nret r5",
        r#"{"a":[1,2,4]}"#,
        Outcome::True,
    ),
    (
        "load_field r0, f0\niter_begin it0, r0\nload_const r3, k9\nnext:\niter_next it0, r1, r2, done\nadd r3, r3, r1\njump next\ndone:\nload_const r4, k0\neq r5, r3, r4\nret r5",
        r#"{"a":["p","q"]}"#,
        Outcome::True,
    ),
    (
        "load_field r0, f0\niter_begin it15, r0\niter_next it15, r1, r2, no\nload_const r3, k1\neq r4, r1, r3\nbr_unless r4, no\niter_next it15, r1, r2, end\nno:\nret_false\nend:\nret r2",
        r#"{"a":{"x":true}}"#,
        Outcome::True,
    ),
    (
        "load_field r0, f0\niter_begin it0, r0\niter_next it0, r1, r2, yes\nret_false\nyes:\nret_true",
        r#"{"a":"text"}"#,
        Outcome::True,
    ),
    (
        "load_undefined r0\niter_begin it0, r0\niter_next it0, r1, r2, yes\nret_false\nyes:\niter_next it0, r1, r2, again\nret_false\nagain:\nret_true",
        "{}",
        Outcome::True,
    ),
    // An iterator may be started over while another runs.
    (
        "load_const r0, k2\niter_begin it0, r0\niter_begin it1, r0\niter_next it0, r1, r2, no\niter_begin it0, r0\niter_next it0, r3, r4, no\neq r5, r1, r3\nbr_unless r5, no\niter_next it1, r1, r2, no\neq r5, r1, r3\nret r5\nno:\nret_false",
        "{}",
        Outcome::True,
    ),
    // builders: arrays keep order and leave undefined out.
    (
        "build_array b0\nload_const r0, k0\nbuild_push b0, r0\nload_undefined r1\nbuild_push b0, r1\nload_const r1, k1\nbuild_push b0, r1\nbuild_end r2, b0\nload_const r3, k2\neq r4, r2, r3\nret r4",
        "{}",
        Outcome::True,
    ),
    // Sets: order and repetition do not count; a set is no array.
    (
        "build_set b0\nload_const r0, k1\nbuild_push b0, r0\nload_const r1, k0\nbuild_push b0, r1\nload_const r1, k5\nbuild_push b0, r1\nbuild_end r2, b0\nbuild_set b1\nbuild_push b1, r1\nbuild_push b1, r0\nbuild_push b1, r0\nbuild_end r3, b1\neq r4, r2, r3\nbr_unless r4, no\nlen r5, r2\nload_const r6, k4\neq r4, r5, r6\nbr_unless r4, no\nget r5, r2, r0\neq r4, r5, r0\nbr_unless r4, no\nload_const r6, k2\neq r4, r2, r6\nbr_if r4, no\nret_true\nno:\nret_false",
        "{}",
        Outcome::True,
    ),
    (
        "build_set b0\nload_const r0, k8\nbuild_push b0, r0\nbuild_end r1, b0\nload_const r2, k0\nget r3, r1, r2\nbr_undefined r3, on\nret_false\non:\niter_begin it0, r1\niter_next it0, r4, r5, no\neq r6, r4, r5\nbr_unless r6, no\niter_next it0, r4, r5, yes\nno:\nret_false\nyes:\nret_true",
        "{}",
        Outcome::True,
    ),
    // Objects: the last of a key wins, keys that are no text and undefined values are left out.
    (
        "build_object b0\nload_const r0, k1\nload_const r1, k4\nbuild_insert b0, r0, r1\nload_const r1, k0\nbuild_insert b0, r0, r1\nbuild_insert b0, r1, r1\nload_const r2, k6\nload_undefined r3\nbuild_insert b0, r2, r3\nbuild_end r4, b0\nload_const r5, k3\neq r6, r4, r5\nret r6",
        "{}",
        Outcome::True,
    ),
    // A builder may be started over, in another kind.
    (
        "build_array b0\nload_const r0, k0\nbuild_push b0, r0\nbuild_object b0\nbuild_end r1, b0\nload_const r2, k12\neq r3, r1, r2\nret r3",
        "{}",
        Outcome::True,
    ),
    // An unknown value makes what rests on it an error, not false.
    ("load_field r0, f3\nret r0", r#"{"unknown":1}"#, Outcome::Error),
    (
        "load_field r0, f3\nload_const r1, k0\nlt r2, r1, r0\nret r2",
        r#"{"unknown":1}"#,
        Outcome::Error,
    ),
    (
        "load_field r0, f3\nload_const r1, k0\neq r2, r1, r0\nret r2",
        r#"{"unknown":1}"#,
        Outcome::Error,
    ),
    (
        "load_field r0, f3\nload_const r1, k0\nadd r2, r1, r0\nret r2",
        r#"{"unknown":1}"#,
        Outcome::Error,
    ),
    (
        "load_field r0, f3\nload_undefined r1\nadd r2, r1, r0\nret r2",
        r#"{"unknown":1}"#,
        Outcome::Error,
    ),
    (
        "load_field r0, f3\nload_bool r1, 1\nret r1",
        r#"{"unknown":1}"#,
        Outcome::True,
    ),
];

const CALLS: &str = "
.function fn0 params=0 registers=4
  load_bool r1, 1
  load_bool r2, 0
  load_bool r3, 1
  call r0, fn1, r1+2
  br_unless r0, no
  call r0, fn1, r2+2
  br_if r0, no
  call r0, fn2, r0+0
  br_undefined r0, unknown
 no:
  ret_false
 unknown:
  call r3, fn3, r0+0
  br_unless r3, no
  call r3, fn4, r0+0
  br_if r3, no
  ret_true
; the first argument; the second is written over, which the caller does not see
.function fn1 params=2 registers=2
  mov r1, r0
  ret r0
.function fn2 params=0
  ret_error
.function fn3 params=0
  ret_true
.function fn4 params=0
  ret_false
.rules
  rule0: policy0 deny fn0 fires_on_error
.policies
  policy0: rule0+1
";

#[test]
fn every_program_has_its_outcome() {
    for (code, body, expected) in PROGRAMS {
        let module = load(&one_rule(TABLES, FRAME, code));
        let mut host = TestHost::default();
        if body.contains("unknown") {
            host.answer = Answer::Unknown;
        }
        let actual = outcome_of(&decide_with(&module, body, Mode::All, &mut host), 0);
        assert_eq!(actual, *expected, "\n{code}\n{body}");
    }
    assert_eq!(outcome(&load(CALLS), "{}"), Outcome::True, "{CALLS}");
}

#[test]
fn no_instruction_of_the_table_is_left_out() {
    let texts = PROGRAMS.iter().map(|(code, ..)| one_rule(TABLES, FRAME, code));
    let mut exercised = BTreeSet::new();
    for text in texts.chain([CALLS.to_owned()]) {
        for function in module(&text).functions {
            exercised.extend(function.code.iter().map(|instr| instr.opcode()));
        }
    }
    let missing: Vec<_> = Opcode::ALL.iter().filter(|op| !exercised.contains(*op)).collect();
    assert!(missing.is_empty(), "no program exercises {missing:?}");
}

/// Rules that call one memoised function, which counts how often it runs by using fuel.
#[test]
fn memoised_functions_run_once() {
    let text = |memoised: &str| {
        let functions: String = (0..40)
            .map(|i| {
                format!(".function fn{i}\n call r0, fn40, r0+0\n ret r0\n")
                    .replace("\n call", " registers=1\n call")
            })
            .collect();
        let rules: String = (0..40)
            .map(|i| format!(" rule{i}: policy0 warn fn{i}\n"))
            .collect();
        // 50 rounds of 3 instructions.
        format!(
            ".limits fuel=1000\n.constants\n k0: 1\n k1: 50\n k2: 0\n k3: [k0]\n{functions}\
             .function fn40 registers=4 {memoised}\n load_const r0, k2\n load_const r1, k0\n load_const r2, k1\n\
             again:\n add r0, r0, r1\n lt r3, r0, r2\n br_if r3, again\n load_bool r3, 1\n ret r3\n\
             .rules\n{rules}.policies\n policy0: rule0+40\n"
        )
    };
    let traps = |memoised: &str| {
        let hits = decide(&load(&text(memoised)), "{}", Mode::All);
        assert_eq!(hits.len(), 40);
        hits.iter().filter(|h| h.trap.is_some()).count()
    };
    assert_eq!(traps("memoised"), 0);
    assert!(traps("") > 30);
}

/// Several memoised functions do not get in each other's way, whatever they return.
#[test]
fn memoised_results_are_kept_apart() {
    let text = "
.memo_cells 1
.fields
  f0: a
.constants
  k0: 1
  k1: 2
.predicates
  p0: f0 eq k0 memo m0
.function fn0 registers=6
  call r0, fn1, r0+0
  call r1, fn2, r0+0
  call r2, fn3, r0+0
  call r3, fn1, r0+0
  call r4, fn2, r0+0
  eq r5, r0, r3
  br_unless r5, no
  eq r5, r1, r4
  br_unless r5, no
  eq r5, r0, r1
  br_if r5, no
  call r3, fn3, r0+0
  eq r5, r2, r3
  br_unless r5, no
  call r4, fn4, r0+0
  call r4, fn4, r0+0
  br_undefined r4, yes
 no:
  ret_false
 yes:
  test_memo p0, 1, e0, no
  ret_true
.function fn1 registers=1 memoised
  load_const r0, k0
  ret r0
.function fn2 registers=1 memoised
  load_const r0, k1
  ret r0
.function fn3 memoised
  ret_true
.function fn4 memoised
  ret_error
.rules
  rule0: policy0 deny fn0
.policies
  policy0: rule0+1
"
    .replace(".function fn0 registers=6", ".function fn0 registers=6 flags=1");
    assert_eq!(outcome(&load(&text), "{}"), Outcome::True);
}

fn trap_of(text: &str, body: &str) -> Option<Trap> {
    let hits = decide(&load(text), body, Mode::All);
    assert_eq!(hits.len(), 1, "{hits:?}");
    assert!(hits[0].error && hits[0].fired);
    hits[0].trap
}

#[test]
fn loops_run_out_of_fuel() {
    let endless = [
        // Jumps to itself, forward and back.
        "here:\n test p0, 0, e0, here\n ret_true",
        "here:\n test_memo p2, 0, e0, here\n ret_true",
        "here:\n jump here",
        "jump far\n here:\n jump far\n far:\n jump here",
        "load_undefined r0\n here:\n br_undefined r0, here\n ret_true",
        "load_bool r0, 0\n here:\n br_unless r0, here\n ret_true",
        "load_bool r0, 1\n here:\n br_if r0, here\n ret_true",
        "raise_flag e0\n here:\n br_flag e0, here\n ret_true",
        "load_undefined r0\n iter_begin it0, r0\n here:\n iter_next it0, r1, r2, here\n ret_true",
        "load_const r0, k2\n here:\n iter_begin it0, r0\n iter_next it0, r1, r2, here\n jump here",
    ];
    for code in endless {
        let text = format!(".limits fuel=10000\n{}", one_rule(TABLES, FRAME, code));
        assert_eq!(trap_of(&text, "{}"), Some(Trap::OutOfFuel), "{code}");
    }
}

#[test]
fn straight_code_is_paid_for_and_the_budget_is_one_for_all_rules() {
    let rules = |fuel: u64| {
        format!(
            ".limits fuel={fuel}\n.function fn0\n ret_true\n.function fn1\n ret_false\n.rules\n rule0: policy0 warn fn0\n \
             rule1: policy0 deny fn1 fires_on_error\n rule2: policy0 allow fn0\n rule3: policy0 deny fn0 fires_on_error\n\
             .policies\n policy0: rule0+4\n"
        )
    };
    let enough = decide(&load(&rules(4)), "{}", Mode::All);
    assert!(enough.iter().all(|h| h.trap.is_none() && h.fired));
    assert_eq!(enough.len(), 3);
    // What the budget does not reach is an error: deny fires, allow does not.
    let short = decide(&load(&rules(1)), "{}", Mode::All);
    let fired: Vec<_> = short.iter().map(|h| (h.rule.0, h.fired, h.trap)).collect();
    let out = Some(Trap::OutOfFuel);
    assert_eq!(
        fired,
        [(0, true, None), (1, true, out), (2, false, out), (3, true, out)]
    );
}

/// Work that grows with the request is paid for where it may be done again and again.
#[test]
fn loops_pay_for_what_they_look_at() {
    let big = format!(r#"{{"a":"{}"}}"#, "y".repeat(1 << 20));
    let list = format!(r#"{{"a":[{}0]}}"#, "1,".repeat(1 << 16));
    let programs = [
        (
            "again:\n load_field r0, f0\n load_field r1, f0\n eq r2, r0, r1\n jump again",
            &list,
        ),
        ("again:\n load_field r0, f0\n len r2, r0\n jump again", &big),
        ("again:\n load_field r0, f0\n lt r2, r0, r0\n jump again", &big),
        ("again:\n test p0, 1, e0, again\n jump again", &big),
        (
            "again:\n build_set b0\n load_field r0, f0\n build_push b0, r0\n build_end r1, b0\n jump again",
            &list,
        ),
    ];
    for (code, body) in programs {
        let text = format!(".limits fuel=5000000\n{}", one_rule(TABLES, FRAME, code));
        let start = std::time::Instant::now();
        assert_eq!(trap_of(&text, body), Some(Trap::OutOfFuel), "{code}");
        assert!(start.elapsed().as_secs() < 30, "{code}");
    }
}

/// Memory is bounded whatever a loop does: what it builds, loads or calls.
#[test]
fn loops_run_out_of_memory_not_of_the_machines() {
    const CONSTANTS: &str = ".constants\n k0: 1\n k1: [k0, k0, k0, k0, k0, k0, k0, k0, k0, k0]\n k2: [k1, k1, k1, k1, k1, k1, k1, k1, k1, k1]\n k3: [k2, k2, k2, k2, k2, k2, k2, k2, k2, k2]\n k4: [k3, k3, k3, k3, k3, k3, k3, k3, k3, k3]\n k5: \"key\"\n";
    let memory = Some(Trap::OutOfMemory);
    let fuel = Some(Trap::OutOfFuel);
    let programs = [
        // One huge array, set, object.
        (
            "load_const r0, k0\n build_array b0\n again:\n build_push b0, r0\n jump again",
            memory,
        ),
        (
            "load_const r0, k0\n build_set b0\n again:\n build_push b0, r0\n jump again",
            memory,
        ),
        (
            "load_const r0, k5\n build_object b0\n again:\n build_insert b0, r0, r0\n jump again",
            memory,
        ),
        // Many small ones.
        (
            "load_const r0, k0\n again:\n build_array b0\n build_push b0, r0\n build_end r1, b0\n jump again",
            memory,
        ),
        // Nested ever deeper, which recursion must not follow; and ever wider, which looks must not follow.
        (
            "load_const r0, k0\n again:\n build_array b0\n build_push b0, r0\n build_end r0, b0\n jump again",
            memory,
        ),
        (
            "load_const r0, k0\n again:\n build_array b0\n build_push b0, r0\n build_push b0, r0\n build_end r0, b0\n jump again",
            fuel,
        ),
        // Constants and frames are not made anew in each round.
        ("again:\n load_const r0, k4\n jump again", fuel),
        (
            "load_const r0, k0\n again:\n get_const r1, r0, k4\n jump again",
            fuel,
        ),
        (
            "load_const r0, k0\n again:\n call r1, fn1, r0+1\n jump again",
            fuel,
        ),
    ];
    for (code, expected) in programs {
        let text = format!(
            ".limits fuel=3000000 arena_bytes=2000000\n{CONSTANTS}.function fn0 registers=4 builders=1\n {code}\n\
             .function fn1 params=1 registers=60000 iterators=16 builders=16\n ret r0\n\
             .rules\n rule0: policy0 deny fn0 fires_on_error\n.policies\n policy0: rule0+1\n"
        );
        let module = load(&text);
        let mut scratch = Scratch::new();
        let mut host = TestHost::default();
        let mut eval = module.begin(&mut scratch, &mut host, b"{}").unwrap();
        let trap = eval.decide(Scope::All, Mode::All)[0].trap;
        assert_eq!(trap, expected, "{code}");
        assert!(
            eval.bump().allocated_bytes() < 10_000_000,
            "{code}: {}",
            eval.bump().allocated_bytes()
        );
    }
}

/// A large arena of one module is no burden of another that shares the scratch.
#[test]
fn memory_of_an_earlier_request_does_not_count() {
    let keeps = load(
        ".fields\n f0: a\n.function fn0\n ret_true\n.rules\n rule0: policy0 warn fn0\n.policies\n policy0: rule0+1\n",
    );
    let builds = load(
        ".limits arena_bytes=10000\n.constants\n k0: 1\n.function fn0 registers=1 builders=1\n load_const r0, k0\n build_array b0\n \
         build_push b0, r0\n build_end r0, b0\n ret_true\n.rules\n rule0: policy0 deny fn0 fires_on_error\n.policies\n policy0: rule0+1\n",
    );
    let mut scratch = Scratch::new();
    let mut host = TestHost::default();
    let body = format!(r#"{{"a":[{}0]}}"#, "[1,2],".repeat(50_000));
    keeps
        .begin(&mut scratch, &mut host, body.as_bytes())
        .unwrap()
        .decide(Scope::All, Mode::All);
    let mut eval = builds.begin(&mut scratch, &mut host, b"{}").unwrap();
    assert_eq!(eval.decide(Scope::All, Mode::All)[0].trap, None);
}

/// One hostile request does not cost the worker its arena for good.
#[test]
fn large_arenas_are_given_back() {
    let module = load(
        ".fields\n f0: a\n.function fn0\n ret_true\n.rules\n rule0: policy0 warn fn0\n.policies\n policy0: rule0+1\n",
    );
    let mut scratch = Scratch::new();
    let mut host = TestHost::default();
    let body = format!(r#"{{"a":[{}0]}}"#, "[1],".repeat(500_000));
    let eval = module.begin(&mut scratch, &mut host, body.as_bytes()).unwrap();
    assert!(eval.bump().allocated_bytes() > 30_000_000);
    drop(eval);
    let eval = module.begin(&mut scratch, &mut host, b"{}").unwrap();
    assert!(
        eval.bump().allocated_bytes() < 1_000_000,
        "{}",
        eval.bump().allocated_bytes()
    );
}

/// As deep and wide as verification allows, arguments and results intact, on the stack of a test thread.
#[test]
fn calls_nest_to_their_limit() {
    let mut text = String::from(".limits call_depth=256\n.constants\n k0: 1\n k1: 0\n k2: 255\n");
    for i in 0..255 {
        let next = i + 1;
        text.push_str(&format!(
            ".function fn{i} params={} registers=900 iterators=1 builders=1\n{} build_array b0\n load_const r2, k0\n \
             call r1, fn{next}, r0+1\n build_push b0, r1\n build_end r3, b0\n add r1, r1, r2\n ret r1\n",
            u8::from(i > 0),
            if i > 0 { "" } else { " load_const r0, k1\n" },
        ));
    }
    text.push_str(".function fn255 params=1 registers=1\n ret r0\n.function fn256 registers=3\n call r0, fn0, r0+0\n load_const r1, k2\n eq r2, r0, r1\n ret r2\n");
    text.push_str(".rules\n rule0: policy0 deny fn256\n.policies\n policy0: rule0+1\n");
    assert_eq!(outcome(&load(&text), "{}"), Outcome::True);
}

const FOUR_RULES: &str = "
.fields
  f0: a
.constants
  k0: 1
.predicates
  p0: f0 gt k0
.function fn0
  ret_test p0, 1
.function fn1
  ret_true
.rules
  rule0: policy0 warn fn0 fires_on_error
  rule1: policy0 deny fn0
  rule2: policy1 allow fn0
  rule3: policy2 deny fn0 fires_on_error
  rule4: policy2 modify fn1 fires_on_error
.policies
  policy0: rule0+2
  policy1: rule2+1
  policy2: rule3+2
";

fn rules(hits: &[policy_vm::Hit]) -> Vec<(u32, bool, bool)> {
    hits.iter().map(|h| (h.rule.0, h.fired, h.error)).collect()
}

#[test]
fn errors_fire_where_the_rule_says_so_and_the_first_deny_stops() {
    let module = load(FOUR_RULES);
    let erring = r#"{"a":"x"}"#;
    let all = [
        (0, true, true),
        (1, false, true),
        (2, false, true),
        (3, true, true),
        (4, true, false),
    ];
    assert_eq!(rules(&decide(&module, erring, Mode::All)), all);
    assert_eq!(rules(&decide(&module, erring, Mode::FirstDeny)), all[..4]);
    assert_eq!(
        rules(&decide(&module, r#"{"a":2}"#, Mode::FirstDeny)),
        [(0, true, false), (1, true, false)]
    );
    assert_eq!(
        rules(&decide(&module, r#"{"a":1}"#, Mode::FirstDeny)),
        [(4, true, false)]
    );
}

#[test]
fn scopes_choose_policies_and_deciding_again_starts_over() {
    let module = load(FOUR_RULES);
    let mut scratch = Scratch::new();
    let mut host = TestHost::default();
    let mut eval = module.begin(&mut scratch, &mut host, br#"{"a":2}"#).unwrap();
    assert_eq!(
        rules(eval.decide(Scope::Only(&[false, true, false]), Mode::FirstDeny)),
        [(2, true, false)]
    );
    assert!(!eval.denied());
    // A mask that is too short leaves policies out.
    assert_eq!(eval.decide(Scope::Only(&[true]), Mode::All).len(), 2);
    assert!(eval.denied());
    assert_eq!(eval.decide(Scope::Only(&[]), Mode::All).len(), 0);
    assert!(!eval.denied() && eval.hits().is_empty());
    assert_eq!(eval.decide(Scope::All, Mode::FirstDeny).len(), 2);
    assert_eq!(eval.decide(Scope::All, Mode::All).len(), 5);
    assert_eq!(eval.hits().len(), 5);
    assert_eq!(eval.policy_of(policy_bytecode::RuleIdx(4)).map(|p| p.0), Some(2));
}

/// Fuel is for one run of the rules; what a run has used up is not missing from the next.
#[test]
fn deciding_again_has_the_full_budget() {
    let module = load(
        ".limits fuel=9\n.constants\n k0: 1\n.function fn0 registers=2\n load_const r0, k0\n load_const r1, k0\n eq r0, r0, r1\n ret r0\n\
         .rules\n rule0: policy0 warn fn0\n rule1: policy0 warn fn0\n.policies\n policy0: rule0+2\n",
    );
    let mut scratch = Scratch::new();
    let mut host = TestHost::default();
    let mut eval = module.begin(&mut scratch, &mut host, b"{}").unwrap();
    for _ in 0..3 {
        assert!(
            eval.decide(Scope::All, Mode::All)
                .iter()
                .all(|h| h.fired && h.trap.is_none())
        );
    }
}

const DERIVED: &str = "
.memo_cells 1
.fields
  f0: llm.estimatedCost|estimated_cost = llm.estimated_cost(f1, f3, f4, f5, f6)
  f1: llm
  f2: llm.n
  f3: llm.model
  f4: llm.provider
  f5: llm.maxTokens|max_tokens
  f6: llm.serviceTier
.constants
  k0: 1
  k1: 5
.predicates
  p0: f0 gt k0
  p1: f0 gt k1
  p2: f0 exists
  p3: f0 lt k0 memo m0
.function fn0
  ret_test p0, 1
.function fn1
  ret_test p1, 0
.function fn2
  ret_test p2, 1
.function fn3
  ret_test_memo p3, 1
.function fn4 registers=1
  load_field r0, f0
  br_undefined r0, no
  ret_true
 no:
  ret_false
.rules
  rule0: policy0 warn fn0 fires_on_error
  rule1: policy0 warn fn1 fires_on_error
  rule2: policy0 warn fn2 fires_on_error
  rule3: policy0 warn fn3 fires_on_error
  rule4: policy0 warn fn4 fires_on_error
.policies
  policy0: rule0+5
";

#[test]
fn derived_fields_are_computed_at_most_once_and_only_on_need() {
    let module = load(DERIVED);
    let outcomes = |host: &mut TestHost, body: &str| {
        let hits = decide_with(&module, body, Mode::All, host);
        (0..5).map(|rule| outcome_of(&hits, rule)).collect::<Vec<_>>()
    };
    use Outcome::{Error, False, True};
    let sent = r#"{"llm":{"estimated_cost":2}}"#;
    let two = || TestHost {
        answer: Answer::Number(2.0),
        ..TestHost::default()
    };
    let mut host = two();
    assert_eq!(outcomes(&mut host, "{}"), [True, True, True, False, True]);
    assert_eq!(
        (host.derived, host.compared),
        (1, 1),
        "computed by the first comparison"
    );
    host = TestHost::default();
    assert_eq!(outcomes(&mut host, sent), [True, True, True, False, True]);
    assert_eq!(
        (host.derived, host.compared),
        (0, 0),
        "what was sent is the value"
    );
    assert_eq!(outcomes(&mut host, "{}"), [False, True, False, False, False]);
    assert_eq!((host.derived, host.compared), (1, 1), "nothing was sent");
    host = TestHost {
        answer: Answer::Number(7.0),
        ..TestHost::default()
    };
    assert_eq!(outcomes(&mut host, sent), [True, False, True, False, True]);
    host = TestHost {
        answer: Answer::Unknown,
        ..TestHost::default()
    };
    assert_eq!(outcomes(&mut host, sent), [Error, Error, False, Error, False]);
    assert_eq!(host.derived, 1, "unknown is an answer too");
    // Comparisons answered early do not compute; what needs the value does, and later comparisons use it.
    host = TestHost {
        answer: Answer::Number(7.0),
        early: Some(True),
        ..TestHost::default()
    };
    assert_eq!(outcomes(&mut host, sent), [True, False, True, False, True]);
    assert_eq!((host.derived, host.compared), (1, 2));
    // Nothing that no rule asks for is computed.
    let mut scratch = Scratch::new();
    host = two();
    let mut eval = module.begin(&mut scratch, &mut host, sent.as_bytes()).unwrap();
    eval.decide(Scope::Only(&[false]), Mode::All);
    assert_eq!(eval.host().derived, 0);
    let cost = eval.field(policy_bytecode::FieldIdx(0));
    assert!(matches!(cost, Value::Number(n) if n == policy_bytecode::Number::Int(2)));
    assert_eq!(eval.host().derived, 1);
}

/// What stands inside a derived field is what was computed, not what the caller sent.
#[test]
fn elements_of_derived_fields_are_derived() {
    let module = load(
        r#"
.fields
  f0: llm.piiTypes[0]
  f1: llm.piiTypes|pii_types = llm.pii_types(f2)
  f2: llm
  f3: llm.messages
  f4: llm.piiTypes[1]
  f5: llm.piiTypes.x
.constants
  k0: "email"
.predicates
  p0: f0 eq k0
  p1: f4 exists
  p2: f5 exists
.function fn0
  ret_test p0, 1
.function fn1
  ret_test p1, 1
.function fn2
  ret_test p2, 1
.rules
  rule0: policy0 warn fn0 fires_on_error
  rule1: policy0 warn fn1 fires_on_error
  rule2: policy0 warn fn2 fires_on_error
.policies
  policy0: rule0+3
"#,
    );
    let outcomes = |answer: Answer| {
        let mut host = TestHost {
            answer,
            ..TestHost::default()
        };
        let hits = decide_with(
            &module,
            r#"{"llm":{"piiTypes":["none","of","it"]}}"#,
            Mode::All,
            &mut host,
        );
        assert_eq!(host.derived, usize::from(!matches!(answer, Answer::Sent)));
        [0, 1, 2].map(|rule| outcome_of(&hits, rule))
    };
    use Outcome::{Error, False, True};
    assert_eq!(outcomes(Answer::Texts(&["email"])), [True, False, False]);
    assert_eq!(outcomes(Answer::Texts(&["ssn", "email"])), [False, True, False]);
    assert_eq!(outcomes(Answer::Sent), [False, True, False]);
    assert_eq!(outcomes(Answer::Unknown), [Error, False, False]);
}

/// The state before the first use is never seen outside, even when a host returns it.
#[test]
fn pending_is_not_observable() {
    let module = load(DERIVED);
    let mut host = TestHost {
        answer: Answer::Pending,
        ..TestHost::default()
    };
    let mut scratch = Scratch::new();
    let mut eval = module.begin(&mut scratch, &mut host, b"{}").unwrap();
    for field in 0..7 {
        assert!(matches!(
            eval.field(policy_bytecode::FieldIdx(field)),
            Value::Undefined
        ));
    }
    assert!(matches!(
        eval.field(policy_bytecode::FieldIdx(99)),
        Value::Unknown
    ));
    eval.decide(Scope::All, Mode::All);
    assert_eq!(eval.host().derived, 1);
}
