//! Assembler and disassembler: the full form loses nothing, the reading form reads well, and no text makes the
//! assembler panic.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests fail by panicking, their helpers too"
)]

#[path = "common/arbitrary.rs"]
mod arbitrary;

use arbitrary::module;
use policy_bytecode::asm::{AsmError, assemble};
use policy_bytecode::disasm::{DisasmOptions, disassemble};
use policy_bytecode::{Const, ConstIdx, Module};
use proptest::collection::vec;
use proptest::prelude::*;

const FULL: DisasmOptions = DisasmOptions { full: true };
const READING: DisasmOptions = DisasmOptions { full: false };

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn the_full_form_loses_nothing(module in module()) {
        let text = disassemble(&module, &FULL);
        let read = assemble(&text);
        prop_assert!(read.is_ok(), "{:?}\n{text}", read);
        prop_assert_eq!(format!("{:?}", read.unwrap()), format!("{module:?}"), "{}", text);
    }

    #[test]
    fn the_reading_form_is_one_item_a_line(module in module()) {
        let text = disassemble(&module, &READING);
        let items = module.fields.len() + module.consts.len() + module.patterns.len() + module.predicates.len()
            + module.functions.iter().map(|f| f.code.len()).sum::<usize>();
        prop_assert!(text.lines().count() >= items);
        prop_assert!(!text.chars().any(|c| c.is_control() && c != '\n'));
    }

    #[test]
    fn any_text_is_assembled_or_refused(text: String) {
        let _outcome = assemble(&text).is_ok();
    }

    #[test]
    fn any_lines_in_any_section_are_assembled_or_refused(lines in vec((
        prop_oneof![
            Just(".fields\nf0:"), Just(".fields\nf0: a = "), Just(".known\n"), Just(".constants\nk0:"), Just(".patterns\nx0:"), Just(".predicates\np0:"), Just(".scans\ns0: f0\n"), Just(".scans\n"),
            Just(".function fn0"), Just(".rules\nrule0:"), Just(".policies\npolicy0:"), Just(".limits"),
            Just(".function fn0 flags=1\n test p0,"), Just("x:"),
        ],
        "[ -~\n\u{e9}\u{1f600}]{0,24}",
    ), 0..4)) {
        let text: String = lines.iter().map(|(a, b)| format!("{a} {b}\n")).collect();
        if let Err(error) = assemble(&text) {
            prop_assert!(error.line >= 1 && error.line <= text.lines().count());
            prop_assert!(error.column >= 1);
        }
    }

    #[test]
    fn damaged_text_is_assembled_or_refused(module in module(), at: usize, new: char) {
        let mut text: Vec<char> = disassemble(&module, &FULL).chars().collect();
        let at = at % text.len();
        text[at] = new;
        let _outcome = assemble(&text.iter().collect::<String>()).is_ok();
    }
}

const SAMPLE: &str = r#"
.limits fuel=1000
.memo_cells 1
.fields
  f0: llm.model
  f1: llm.maxTokens|max_tokens
  f2: user.roles
  f3: metadata."a key"[2]
  f4: metadata.cost = llm.canonical_model(f0, f3)
.known
  metadata: object
  metadata."a key": list answered
.constants
  k0: 4096
  k1: "admin"
  k2: "root"
  k3: [k1, k2]
  k4: {"limit": k0, "roles": k3}
.patterns
  x0: /^gpt-4\b/ dfa hex 00ff
  x1: "https?://" source "too large"
.predicates
  p0: f0 matches x0 memo m0
  p1: f1 gt k0
  p2: f2 in k3
  p3: f3 exists
  p4: f3 eq f0
  p5: f2 all q1 memo m1
.bodies
  q0:
    test not item."a b"[0] eq k1
  q1:
    pred p1
    test item.parts any q0
    test f0 contains item
    and n1 n2
    or n0 n3
.function fn0 flags=1
    test_memo p0, 0, e0, no      ; a comment
    test p1, 1, e0, L5
    br_flag e0, unknown
 no:
    ret_false
 unknown:
    ret_error
    ret_test p2, 0
.function fn1 registers=3 memoised
    load_field r0, f3
    load_const r1, k4
    get_const r2, r1, k1
    call r0, fn0, r0+0
    ret r0
.rules
  rule0: policy0 deny fn0 fires_on_error
  rule1: policy0 warn fn1
.policies
  policy0: rule0+2
"#;

#[test]
fn the_reading_form_spells_operands_out() {
    insta::assert_snapshot!("reading_form", disassemble(&assemble(SAMPLE).unwrap(), &READING));
}

#[test]
fn the_full_form_names_table_entries() {
    insta::assert_snapshot!("full_form", disassemble(&assemble(SAMPLE).unwrap(), &FULL));
}

#[test]
fn errors_say_where_and_what() {
    let cases = [
        ("f0: a", "1:1: a section such as `.fields` is expected first"),
        (".nothing", "1:2: unknown directive"),
        (".fields\n  f1: a", "2:3: f0 is expected"),
        (".fields\n  f0: a..b", "2:9: a key is expected"),
        (".fields\n  f0: a b", "2:9: the end of the line is expected"),
        (
            ".fields\n  f0: a = llm.nothing(f0)",
            "2:11: no intrinsic has this name",
        ),
        (
            ".fields\n  f0: a = #65536()",
            "2:12: a number in range is expected",
        ),
        (".fields\n  f0: a = llm.text(f0", "2:22: `,` is expected"),
        (".known\n  a", "2:4: `:` is expected"),
        (
            ".known\n  a: text",
            "2:6: any, scalar, list or object is expected",
        ),
        (".known\n  a: list twice", "2:11: `answered` is expected"),
        (".constants\n  k0: 1.5.5", "2:7: a constant is expected"),
        (
            ".constants\n  k0: 99999999999999999999999",
            "2:7: a constant is expected",
        ),
        (".constants\n  k0: \"é", "2:7: this text has no closing quote"),
        (
            ".constants\n  k0: \"\\q\"",
            "2:7: an escape in this text is not understood",
        ),
        (
            ".constants\n  k0: null null",
            "2:12: the end of the line is expected",
        ),
        (".patterns\n  x0: /a", "2:7: this pattern has no closing slash"),
        (
            ".patterns\n  x0: /a/ dfa 12 bytes",
            "2:15: `hex` and the automaton's bytes are expected; the reading form cannot be assembled",
        ),
        (
            ".patterns\n  x0: /a/ dfa hex 0",
            "2:19: two hexadecimal digits a byte are expected",
        ),
        (".predicates\n  p0: f0 is k0", "2:10: unknown operator"),
        (".function fn0 width=1", "1:15: unknown property of a function"),
        (".function fn0\n  jmp L0", "2:3: unknown instruction"),
        (".function fn0\n  jump away", "2:8: this label is not defined"),
        (
            ".function fn0\n  load_bool r0, 2",
            "2:3: load_bool takes: register (written), 0 or 1",
        ),
        (".function fn0\n  load_bool r0", "2:15: `,` is expected"),
        (
            ".function fn0\n a:\n ret_true\n a:",
            "4:2: this label is defined twice",
        ),
        (
            ".function fn0\n L1:",
            "2:2: this label stands before instruction 0",
        ),
        (".rules\n  rule0: policy0 maybe fn0", "2:18: unknown decision"),
    ];
    for (text, expected) in cases {
        assert_eq!(assemble(text).unwrap_err().to_string(), expected, "{text}");
    }
}

#[test]
fn labels_by_name_and_by_number_are_the_same() {
    let by_name = assemble(".function fn0 flags=1\n br_flag e0, end\n ret_true\n end:\n ret_false").unwrap();
    let by_number = assemble(".function fn0 flags=1\n br_flag e0, L2\n ret_true\n L2:\n ret_false").unwrap();
    assert_eq!(by_name, by_number);
}

#[test]
fn the_empty_text_is_the_default_module() {
    assert_eq!(assemble(""), Ok(Module::default()) as Result<Module, AsmError>);
    assert_eq!(assemble("; nothing\n\n"), Ok(Module::default()));
}

/// Unverified modules can hold constants that name each other; comments end all the same.
#[test]
fn comments_on_circular_and_shared_constants_are_short() {
    let mut module = Module {
        consts: vec![Const::Array(vec![ConstIdx(0); 1000])],
        ..Module::default()
    };
    for i in 0..100 {
        module.consts.push(Const::Array(vec![ConstIdx(i); 2]));
    }
    let text = disassemble(&module, &READING);
    for line in text.lines() {
        let comment = line.split_once(';').map_or("", |(_, comment)| comment);
        assert!(comment.chars().count() < 100, "{line}");
    }
}
