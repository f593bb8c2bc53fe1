//! In steady state nothing is allocated between the request bytes and the hits, and no body takes more memory than the
//! module's limits say. Counted by a global allocator, so this is a test binary of its own.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

mod common;

use common::{Answer, TestHost, load, load_module, module};
use policy_bytecode::module::PatternEngine;
use policy_vm::{LoadedModule, Mode, Scope, Scratch, write_json_str};
use regex_automata::MatchKind;
use regex_automata::dfa::{StartKind, dense};

/// Projection into many slots, patterns of both kinds, a scan, memo cells, memoised functions, calls, iterators, builders,
/// constants, long lists.
const EVERYTHING: &str = r#"
.memo_cells 4
.fields
  f0: llm.estimatedCost|estimated_cost = llm.estimated_cost(f6, f3, f4, f5, f2)
  f1: llm.n
  f2: llm.serviceTier
  f3: llm.model
  f4: llm.provider
  f5: llm.maxTokens|max_tokens
  f6: llm
  f7: user.roles
  f8: user.roles[0]
  f9: metadata."a.b"
  f10: metadata.ip
  f11: metadata.at
  f12: metadata.networks
.constants
  k0: 1
  k1: "x"
  k2: [k0, k1]
  k3: {"x": k2}
  k4: "role"
  k5: "key"
  k6: "10.0.0.0/8"
  k7: "::1"
  k8: [k6, k7]
  k9: "2025-03-01T12:00:00Z"
  k10: "22:00"
  k11: "06:00"
  k12: "America/New_York"
  k13: {"end": k11, "start": k10, "timezone": k12}
  k14: "Сло́ВО"
.patterns
  x0: /(?i)secret \d+/ source "test"
  x1: /\b\w{3,40}\s+[а-я]+\b/ source "test"
  x2: /pass(word|phrase)/ source "test"
  x3: /(?-u:\b)key(?-u:\b)/ source "test"
  x4: /\bsecret \w+\b!/ source "test"
  x5: /\w+pass\w+\b/ source "test"
.predicates
  p0: f1 matches x0
  p1: f1 matches x1 memo m0
  p2: f1 matches x2
  p3: f1 matches x3
  p4: f0 gt k0
  p5: f7 in f9 memo m1
  p6: f6 eq k3
  p7: f1 contains k4
  p8: f1 matches x4
  p9: f1 contains k5
  p10: f1 matches x5
  p11: f7 exists memo m2
  p12: f2 any q1 memo m3
  p13: f1 contains_fold k14
  p14: f1 contains_fold f3
  p15: f7 in_fold f9
  p16: f7 in_fold k2
  p17: f6 eq_fold k3
  p18: f3 starts_with_fold k5
  p19: f3 ends_with_fold f4
  p20: f10 in_cidr k8
  p21: f10 in_cidr f12
  p22: f11 before k9
  p23: f11 after f11
  p24: f11 time_between k13
.bodies
  q0:
    test item.text matches x1
  q1:
    test item.content any q0
    test not item.role in f9
    test f6 eq item[0]
    test item contains item.role
    pred p11
    not n4
    or n0 n1 n2 n3 n5
.scans
  s0: f1
    literal "pass"
    literal "secret " exact "secret "
    literal "key" exact "key"
  predicate p8 near 0 0 l1
  predicate p9 true l2
  predicate p10 search l0
.function fn0 flags=4
  test p0, 1, e0, no
  test_memo p1, 1, e1, no
  test p2, 1, e2, no
  test p3, 1, e3, no
 no:
  test p8, 1, e0, done
  test p9, 1, e0, done
  test p10, 1, e0, done
 done:
  ret_test_memo p1, 1
.function fn1 flags=1
  test p4, 1, e0, on
 on:
  test_memo p5, 1, e0, yes
  ret_test p6, 0
 yes:
  test_memo p12, 1, e0, more
 more:
  ret_test p7, 0
.function fn2 registers=8 iterators=1 builders=3
  build_array b0
  build_set b1
  build_object b2
  load_field r0, f2
  iter_begin it0, r0
 next:
  iter_next it0, r1, r2, done
  get_const r3, r2, k4
  build_push b0, r2
  build_push b1, r3
  build_insert b2, r3, r2
  jump next
 done:
  build_end r0, b0
  build_end r1, b1
  build_end r2, b2
  load_const r3, k3
  call r4, fn3, r0+0
  call r5, fn3, r0+0
  call r6, fn4, r2+2
  eq r7, r4, r5
  ret r7
.function fn3 registers=1 memoised
  load_const r0, k2
  ret r0
.function fn4 params=2 registers=4 builders=1
  build_array b0
  build_push b0, r0
  build_end r2, b0
  len r3, r2
  ret r3
.function fn5 flags=12
  test p11, 1, e0, a
a:
  test p12, 1, e1, b
b:
  test p13, 1, e2, c
c:
  test p14, 1, e3, d
d:
  test p15, 1, e4, e
e:
  test p16, 1, e5, f
f:
  test p17, 1, e6, g
g:
  test p18, 1, e7, h
h:
  test p19, 1, e8, i
i:
  test p20, 1, e9, j
j:
  test p21, 1, e10, k
k:
  test p22, 1, e11, l
l:
  ret_true
.rules
  rule0: policy0 warn fn0 fires_on_error
  rule1: policy0 modify fn1 fires_on_error
  rule2: policy0 deny fn2 fires_on_error
  rule3: policy0 warn fn5 fires_on_error
.policies
  policy0: rule0+4
"#;

/// The module above; two of its patterns as stored automata, one of which gives up on text that is not ASCII.
fn everything() -> LoadedModule {
    let mut module = module(EVERYTHING);
    for (index, ascii_only) in [(2, false), (0, true)] {
        let config = dense::Config::new()
            .match_kind(MatchKind::All)
            .start_kind(StartKind::Unanchored)
            .unicode_word_boundary(true);
        let pattern = if ascii_only {
            r"(?i)secret (?-u:\d)+\b"
        } else {
            r"pass(word|phrase)"
        };
        let dfa = dense::Builder::new().configure(config).build(pattern).unwrap();
        let (bytes, padding) = dfa.to_bytes_little_endian();
        let bytes = bytes.get(padding..).unwrap().into();
        let slot = module.patterns.get_mut(index).unwrap();
        slot.source = pattern.to_owned();
        slot.translated = pattern.to_owned();
        slot.engine = PatternEngine::Dfa { bytes, ascii_only };
    }
    load_module(module)
}

fn bodies() -> Vec<String> {
    let plain = r#"{"llm":{"provider":"openai","model":"m","maxTokens":5,"prompt":"a secret 12 and the key","messages":[{"role":"user","content":"x"},{"role":"system","content":[1,2,{"k":"v"}]},{"role":"user"}]},"user":{"roles":["dev","ops"]},"metadata":{"a.b":["x","ops"],"ip":"10.0.0.7","at":"2025-03-01T05:00:00.5Z","networks":["10.0.0.0/8"]},"more":[1,[2,{"x":"y"}],"z"]}"#;
    let escaped = r#"{"\u006clm":{"max_tokens":1e3,"maxTokens":1000,"prompt":"\u0441екрет\n\ud83d\ude00 password сло́во passphrase secret 1","messages":{}},"user":{"roles":["\n","\t",{"a":[[],[]]}]},"metadata":{"a.b":"\\","ip":"::ffff:10.0.0.7","at":-1.5,"networks":"::/0"}}"#;
    let wrong = r#"{"llm":null,"user":{"roles":"dev"},"metadata":{"a.b":{}}}"#;
    let decimals = r#"{"llm":{"maxTokens":18446744073709551617,"messages":[{"role":1e400,"content":[0.1000000000000000055]}]},"user":{"roles":[0.30000000000000004,1e400]},"metadata":{"a.b":[1e400,10e399]}}"#;
    let roles = vec![r#""employee","#; 60].concat();
    let long = format!(
        r#"{{"llm":{{"prompt":"{}"}},"user":{{"roles":[{roles}"z"]}},"metadata":{{"a.b":[{roles}"y"]}}}}"#,
        "lorem ipsum привет мир secret ".repeat(200),
    );
    vec![
        plain.to_owned(),
        escaped.to_owned(),
        wrong.to_owned(),
        decimals.to_owned(),
        long,
        "{}".to_owned(),
    ]
}

#[test]
fn nothing_is_allocated_in_steady_state() {
    let module = everything();
    let bodies = bodies();
    let mut scratch = Scratch::new();
    let mut out = String::new();
    let mut round = |answer: Answer| {
        let mut fired = 0;
        for body in &bodies {
            for mode in [Mode::All, Mode::FirstDeny] {
                let mut host = TestHost {
                    answer,
                    ..TestHost::default()
                };
                let mut eval = module.begin(&mut scratch, &mut host, body.as_bytes()).unwrap();
                fired += eval.decide(Scope::All, mode).iter().filter(|h| h.fired).count();
                fired += eval.decide(Scope::Only(&[true]), Mode::All).len();
                out.clear();
                for field in 0..10 {
                    eval.field(policy_bytecode::FieldIdx(field))
                        .write_json(&mut out)
                        .unwrap();
                }
                write_json_str("\u{1}\"\\ plain", &mut out).unwrap();
            }
            // A refused body costs nothing either, wherever it breaks off.
            for cut in (0..body.len().min(400)).step_by(7) {
                let mut host = TestHost::default();
                assert!(
                    module
                        .begin(&mut scratch, &mut host, &body.as_bytes()[..cut])
                        .is_err()
                );
            }
        }
        fired
    };
    let first = round(Answer::Number(3.0)) + round(Answer::Unknown);
    assert!(first > 20, "the rules run: {first}");
    round(Answer::Number(3.0));
    let mut second = 0;
    let counted =
        allocation_counter::measure(|| second = round(Answer::Number(3.0)) + round(Answer::Unknown));
    assert_eq!(second, first);
    assert_eq!(counted.count_total, 0, "{counted:?}");
}

/// Memory of one evaluation: what the limit of the arena says, twice over because chunks of an arena double, whatever
/// the body holds and whether it is accepted or refused.
#[test]
fn no_body_takes_more_than_the_arena() {
    let module = load(
        ".limits arena_bytes=8000000\n.fields\n f0: a\n.function fn0\n ret_true\n.rules\n rule0: policy0 deny fn0\n.policies\n policy0: rule0+1\n",
    );
    let units = [
        "1,",
        "[],",
        "[[]],",
        "[1],",
        "[[1]],",
        r#"{"a":1},"#,
        r#"{"a":[{}]},"#,
        r#""\n","#,
        r#""x","#,
        "[1,1,1,1,1],",
        r#"{"a":1,"b":1,"c":1,"d":1,"e":1},"#,
    ];
    for unit in units {
        // As much as fits, more, and far more.
        for n in [20_000, 100_000, 400_000, 2_000_000] {
            let body = format!(r#"{{"a":[{}0]}}"#, unit.repeat(n));
            let counted = allocation_counter::measure(|| {
                let mut scratch = Scratch::new();
                let mut host = TestHost::default();
                drop(module.begin(&mut scratch, &mut host, body.as_bytes()));
            });
            assert!(counted.bytes_max < 25_000_000, "{unit} {n}: {counted:?}");
        }
    }
}

/// A bundle that is small stays small when it is loaded.
#[test]
fn loading_takes_memory_in_proportion_to_the_module() {
    let mut text = String::from(".fields\n f0: a\n.constants\n k0: 1\n");
    for i in 1..8 {
        let items = vec![format!("k{}", i - 1); 10].join(", ");
        text.push_str(&format!(" k{i}: [{items}]\n"));
    }
    text.push_str(".predicates\n");
    for i in 0..3000 {
        text.push_str(&format!(" p{i}: f0 {} k7\n", ["eq", "contains", "in"][i % 3]));
    }
    text.push_str(
        ".function fn0\n ret_true\n.rules\n rule0: policy0 deny fn0\n.policies\n policy0: rule0+1\n",
    );
    let module = module(&text);
    let counted = allocation_counter::measure(|| drop(load_module(module)));
    assert!(counted.bytes_max < 2_000_000, "{counted:?}");
}
