//! One module in several threads, several modules with one scratch, and a scratch after errors.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

mod common;

use common::{TestHost, load};
use policy_vm::{Hit, LoadedModule, Mode, Scope, Scratch, Value};

/// Two memoised predicates, a pattern run from its source and a memoised function; `pattern` and `number` tell modules
/// apart, `extra` fields and memo cells their sizes.
fn numbered(pattern: &str, number: usize, extra: usize) -> LoadedModule {
    let fields: String = (0..extra).map(|i| format!(" f{}: x{i}\n", i + 2)).collect();
    load(&format!(
        ".memo_cells {}\n.fields\n f0: a\n f1: b\n{fields}.constants\n k0: {number}\n.patterns\n x0: /{pattern}/ source \"test\"\n\
         .predicates\n p0: f0 eq k0 memo m0\n p1: f1 matches x0 memo m1\n\
         .function fn0\n ret_test_memo p0, 1\n.function fn1\n ret_test_memo p1, 1\n.function fn2 registers=1\n call r0, fn3, r0+0\n ret r0\n\
         .function fn3 registers=2 memoised\n load_field r0, f0\n load_const r1, k0\n eq r0, r0, r1\n ret r0\n\
         .rules\n rule0: policy0 warn fn0\n rule1: policy0 warn fn1 fires_on_error\n rule2: policy0 warn fn2\n.policies\n policy0: rule0+3\n",
        2 + extra,
    ))
}

fn run(module: &LoadedModule, scratch: &mut Scratch, body: &str) -> Vec<u32> {
    let mut host = TestHost::default();
    let mut eval = module.begin(scratch, &mut host, body.as_bytes()).unwrap();
    eval.decide(Scope::All, Mode::All)
        .iter()
        .map(|h: &Hit| h.rule.0)
        .collect()
}

#[test]
fn threads_share_one_module() {
    fn shareable<T: Send + Sync>(_: &T) {}
    let module = numbered(r"^\w+ ж+$", 7, 0);
    shareable(&module);
    std::thread::scope(|threads| {
        for t in 0..2 {
            let module = &module;
            threads.spawn(move || {
                let mut scratch = Scratch::new();
                for i in 0..500 {
                    let number = if (i + t) % 2 == 0 { 7 } else { i };
                    let text = if i % 3 == 0 {
                        "слово жжж"
                    } else {
                        "слово"
                    };
                    let mut expected = Vec::new();
                    expected.extend((number == 7).then_some(0));
                    expected.extend((i % 3 == 0).then_some(1));
                    expected.extend((number == 7).then_some(2));
                    let body = format!(r#"{{"a":{number},"b":"{text}"}}"#);
                    assert_eq!(run(module, &mut scratch, &body), expected, "{body}");
                }
            });
        }
    });
}

/// Nothing of one module shows in another that uses the same scratch: neither memo cells (as many or not) nor pattern
/// caches, also when the first one is gone and another may have its address.
#[test]
fn one_scratch_serves_modules_in_turn() {
    let mut scratch = Scratch::new();
    let body = r#"{"a":1,"b":"abc"}"#;
    for round in 0..20 {
        let first = numbered("^abc$", 1, 0);
        let second = numbered("^abd$", 2, 0);
        let wide = numbered("c$", 1, 300 * (round % 2));
        for _ in 0..2 {
            assert_eq!(run(&first, &mut scratch, body), [0, 1, 2]);
            assert_eq!(run(&second, &mut scratch, body), [0; 0]);
            assert_eq!(run(&wide, &mut scratch, body), [0, 1, 2]);
            assert_eq!(run(&second, &mut scratch, r#"{"a":2,"b":3}"#), [0, 1, 2]);
        }
    }
}

#[test]
fn a_scratch_is_as_good_as_new_after_errors() {
    let module = numbered("^abc$", 1, 0);
    let mut scratch = Scratch::new();
    let bad = [
        "",
        "{",
        "[]",
        r#"{"a":1,"a":2}"#,
        r#"{"a":{"x":[[[1"#,
        r#"{"b":"\u00"}"#,
        r#"{"a":[1,2,{"k":"\n"},}"#,
        "\u{feff}{}",
    ];
    for body in bad {
        let mut host = TestHost::default();
        assert!(
            module.begin(&mut scratch, &mut host, body.as_bytes()).is_err(),
            "{body}"
        );
        assert_eq!(
            run(&module, &mut scratch, r#"{"a":1,"b":"abc"}"#),
            [0, 1, 2],
            "after {body}"
        );
        assert_eq!(run(&module, &mut scratch, "{}"), [0; 0], "after {body}");
    }
    // An evaluation that is begun and dropped leaves nothing behind.
    let mut host = TestHost::default();
    drop(module.begin(&mut scratch, &mut host, br#"{"a":1}"#));
    assert_eq!(run(&module, &mut scratch, "{}"), [0; 0]);
}

/// Outcomes asked for one by one, as explanations do, are those of the rules.
#[test]
fn predicates_can_be_asked_for_before_and_after() {
    use policy_bytecode::{Outcome, PredIdx};
    let module = numbered("^abc$", 1, 0);
    let mut scratch = Scratch::new();
    let mut host = TestHost::default();
    let mut eval = module
        .begin(&mut scratch, &mut host, br#"{"a":1,"b":4}"#)
        .unwrap();
    for _ in 0..2 {
        assert_eq!(eval.predicate(PredIdx(0)), Outcome::True);
        assert_eq!(eval.predicate(PredIdx(1)), Outcome::Error);
        assert_eq!(eval.predicate(PredIdx(9)), Outcome::Error);
        assert_eq!(eval.decide(Scope::All, Mode::All).len(), 3);
    }
    assert!(matches!(
        eval.field(policy_bytecode::FieldIdx(1)),
        Value::Number(_)
    ));
}
