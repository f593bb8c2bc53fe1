//! Tests of emission: general code, the certificate of what it calls, and the places of what ends blocks.

use super::emit;
use crate::ir::{text, verify};
use crate::options::Options;
use policy_bytecode::FuncIdx;
use policy_bytecode::verify::{HostLimits, verify as verify_module};
use policy_grammar::{SourceFile, SourceMap};

/// Data, calls, loops and collections, as a front end with variables lowers to them.
const PROGRAM: &str = r#"
function fn0 {
b0(v0, v1):
  v2 = add v0, v1
  ret v2
}
policy "p"
rule "p/r" deny on_error=match {
b0:
  v0 = load_field user.roles
  v1 = load_const 0
  iter_begin it0, v0
  build_array b0
  jump b1(v1, v1)
b1(v2, v3):
  iter_next it0, b2, b3
b2(v4, v5):
  v6 = call fn0, v2, v4
  build_push b0, v5
  jump b1(v3, v6)
b3:
  v7 = build_end b0
  defined v7, b4, b6
b4:
  v8 = len v7
  v9 = lt v1, v8
  v10 = truth v9
  v11 = test team.tier contains "free"
  v12 = and v10, v11
  split v12, b5, b6, b7
b5:
  v13 = not v12
  ret v13
b6:
  v14 = const false
  ret v14
b7:
  v15 = test team.tier exists
  ret v15
}
"#;

#[test]
fn general_code_passes_the_verifiers() {
    let program = text::parse(PROGRAM).unwrap();
    verify::verify(&program).unwrap();
    let emitted = emit(program, &SourceMap::new(), &Options::default()).unwrap();
    let module = verify_module(emitted.module, &HostLimits::default()).unwrap();
    let code: Vec<String> = module.functions[1].code.iter().map(ToString::to_string).collect();
    // Both parameters of the loop are handed over at once.
    let moves = code.iter().filter(|i| i.starts_with("mov")).count();
    assert!(moves >= 5, "{code:#?}");
    assert_eq!(emitted.certificate.instructions, Options::default().limits.fuel);
}

/// Calls without loops: what is called is counted at each place that calls it.
#[test]
fn calls_are_part_of_the_certificate() {
    let text = r#"
function fn0 {
b0(v0, v1):
  v2 = add v0, v1
  v3 = test team.tier exists
  split v3, b1, b1, b1
b1:
  ret v2
}
function fn1 {
b0(v0):
  v1 = call fn0, v0, v0
  v2 = call fn0, v1, v1
  ret v2
}
policy "p"
rule "p/r" deny on_error=match {
b0:
  v0 = load_const 1
  v1 = call fn1, v0
  v2 = load_const 4
  v3 = eq v1, v2
  v4 = truth v3
  ret v4
}
"#;
    let program = text::parse(text).unwrap();
    verify::verify(&program).unwrap();
    let options = Options::default();
    let emitted = emit(program, &SourceMap::new(), &options).unwrap();
    let module = verify_module(emitted.module, &HostLimits::default()).unwrap();
    let longest = module.functions.iter().map(|f| f.code.len() as u64);
    let [callee, caller, rule] = <[u64; 3]>::try_from(longest.collect::<Vec<_>>()).unwrap();
    let bound = emitted.certificate.instructions;
    let all = rule + caller + 2 * callee;
    assert!(bound <= all && bound + 8 > all, "{bound} of {all}");
    assert_eq!(emitted.certificate.predicates, 2);
}

#[test]
fn what_ends_a_block_has_the_place_of_what_it_reads_or_of_what_stands_before() {
    let program = r#"
policy "p"
rule "p/r" deny on_error=match {
b0:
  @0:1..2 v0 = load_field user.roles
  @0:3..4 iter_begin it0, v0
  jump b3
b1(v1, v2):
  @0:5..6 v3 = truth v2
  @0:7..8 v4 = test team.tier contains "free"
  @0:9..9 v5 = or v3, v4
  split v5, b4, b3, b2
b2:
  @0:10..11 v6 = const false
  ret v6
b3:
  iter_next it0, b1, b2
b4:
  v7 = const true
  ret v7
}
"#;
    let mut sources = SourceMap::new();
    sources.add(SourceFile::new("a.yaml", "0123456789ab"));
    let program = text::parse(program).unwrap();
    verify::verify(&program).unwrap();
    let emitted = emit(program, &sources, &Options::default()).unwrap();
    let code = emitted.module.functions[0].code.iter().enumerate();
    let columns: Vec<String> = code
        .map(|(i, instr)| {
            let place = emitted.debug.instruction(FuncIdx(0), i);
            let column = place.map_or_else(|| "-".to_owned(), |place| (place.column - 1).to_string());
            format!("{column} {}", instr.opcode().mnemonic())
        })
        .collect();
    let expected = [
        "1 load_field",
        "3 iter_begin",
        "3 jump",
        "9 clear_flag",
        "5 br_if",
        "7 test",
        "9 br_flag",
        "9 jump",
        "10 ret_false",
        "- iter_next",
        "- jump",
        "- ret_true",
    ];
    assert_eq!(columns, expected);
}
