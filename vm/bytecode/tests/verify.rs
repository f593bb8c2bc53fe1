//! Every rule of the verifier has modules that it accepts and modules that it rejects: `verify/V<n>_{accept,reject}_*.asm`.
//!
//! Rules whose breach takes more than a page of text (`V12`: effort) are tested here in code.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests fail by panicking, their helpers too"
)]

use policy_bytecode::asm::assemble;
use policy_bytecode::disasm::{DisasmOptions, disassemble};
use policy_bytecode::module::{Function, Module};
use policy_bytecode::verify::{HostLimits, REQUIREMENTS, verify};
use policy_bytecode::{Instr, Label, Reg};
use std::collections::BTreeMap;
use std::path::Path;

struct Case {
    name: String,
    rule: u8,
    accept: bool,
    module: Module,
}

fn cases() -> Vec<Case> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/verify");
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    files
        .into_iter()
        .map(|path| {
            let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
            let mut parts = name.splitn(3, '_');
            let rule = parts.next().unwrap().strip_prefix('V').unwrap().parse().unwrap();
            let accept = match parts.next().unwrap() {
                "accept" => true,
                "reject" => false,
                other => panic!("{name}: `{other}` is neither accept nor reject"),
            };
            let text = std::fs::read_to_string(&path).unwrap();
            let module = assemble(&text).unwrap_or_else(|e| panic!("{name}:{e}"));
            Case {
                name,
                rule,
                accept,
                module,
            }
        })
        .collect()
}

#[test]
fn every_rule_accepts_and_rejects() {
    let mut seen: BTreeMap<u8, (usize, usize)> =
        REQUIREMENTS.iter().map(|rule| (rule.number, (0, 0))).collect();
    for case in cases() {
        let counts = seen
            .get_mut(&case.rule)
            .unwrap_or_else(|| panic!("{}: no such rule", case.name));
        match (verify(case.module, &HostLimits::default()), case.accept) {
            (Ok(_), true) => counts.0 += 1,
            (Err(error), false) => {
                assert_eq!(error.rule, case.rule, "{}: rejected, but by {error}", case.name);
                assert!(error.to_string().starts_with(&format!("V{}: ", case.rule)));
                counts.1 += 1;
            }
            (Ok(_), false) => panic!("{}: accepted", case.name),
            (Err(error), true) => panic!("{}: {error}", case.name),
        }
    }
    for (rule, (accepted, rejected)) in seen {
        assert!(
            accepted > 0 && rejected > 0,
            "V{rule}: {accepted} accepted, {rejected} rejected"
        );
    }
}

#[test]
fn rules_are_numbered_from_one_in_order() {
    assert_eq!(REQUIREMENTS.first().map(|rule| rule.number), Some(1));
    assert!(
        REQUIREMENTS
            .windows(2)
            .all(|pair| pair[0].number < pair[1].number)
    );
    for rule in REQUIREMENTS {
        let file = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("src/verify")
            .join(rule.checker)
            .with_extension("rs");
        let source = std::fs::read_to_string(&file).unwrap();
        assert!(source.starts_with("//! V"), "{}: rules first", file.display());
    }
}

#[test]
fn the_cases_survive_the_text_and_wire_forms() {
    for case in cases() {
        let text = disassemble(&case.module, &DisasmOptions { full: true });
        let read = assemble(&text).unwrap_or_else(|e| panic!("{}: {e}\n{text}", case.name));
        let wire = case.module.encode().unwrap();
        assert_eq!(read.encode().unwrap(), wire, "{}", case.name);
        assert_eq!(
            Module::decode(&wire).unwrap().encode().unwrap(),
            wire,
            "{}",
            case.name
        );
    }
}

fn function(registers: u16, code: Vec<Instr>) -> Module {
    Module {
        functions: vec![Function {
            registers,
            flags: 1,
            builders: 1,
            code,
            ..Function::default()
        }],
        ..Module::default()
    }
}

fn instr(text: &str) -> Instr {
    Instr::parse(text).unwrap()
}

/// States of 50,000 blocks with 1,024 words each would be 400 MB.
#[test]
fn long_functions_with_wide_frames_are_refused_before_memory_is_taken() {
    let mut code: Vec<Instr> = (0..50_000).map(|i| instr(&format!("br_flag e0, L{i}"))).collect();
    code.push(instr("ret_true"));
    let error = verify(function(u16::MAX, code.clone()), &HostLimits::default()).unwrap_err();
    assert_eq!(error.rule, 12, "{error}");
    verify(function(64, code), &HostLimits::default()).unwrap();
}

/// A fixed point that loses one register at a time, each time before a long body is gone over again: steps are bounded
/// by a number of passes, not by blocks × registers.
#[test]
fn fixed_points_that_take_many_passes_are_refused() {
    let (registers, body): (u16, u32) = (1_000, 20_000);
    let start = 2 * u32::from(registers);
    let exits = start + body + 1;
    let mut code = Vec::new();
    for r in 0..registers {
        // The later the exit, the more is written, and the earlier it is visited.
        code.push(instr(&format!("load_bool r{r}, 1")));
        code.push(instr(&format!(
            "br_flag e0, L{}",
            exits + u32::from(registers - 1 - r)
        )));
    }
    code.extend((0..body).map(|_| instr("clear_flag e0")));
    code.push(instr("ret_true"));
    code.extend((0..registers).map(|_| instr(&format!("jump L{start}"))));
    let error = verify(function(registers, code), &HostLimits::default()).unwrap_err();
    assert_eq!(error.rule, 12);
    assert!(error.detail.contains("passes"), "{error}");
}

/// A straight line of branches to one place: every one of them is a way there, and none is a reason to go over it again.
#[test]
fn many_ways_to_one_place_are_cheap() {
    let n: u32 = 200_000;
    let mut code = vec![instr("load_bool r0, 1")];
    for _ in 0..n {
        code.push(Instr::BrIf {
            cond: policy_bytecode::instr::Src(Reg(0)),
            target: Label(n + 1),
        });
    }
    code.push(instr("ret r0"));
    verify(function(64, code), &HostLimits::default()).unwrap();
}

/// Call chains are followed with a stack on the heap.
#[test]
fn long_call_chains_do_not_overflow_the_stack() {
    let n: u32 = 200_000;
    let mut functions: Vec<Function> = (1..n)
        .map(|next| Function {
            registers: 1,
            code: vec![instr(&format!("call r0, fn{next}, r0+0")), instr("ret r0")],
            ..Function::default()
        })
        .collect();
    functions.push(Function {
        code: vec![instr("ret_true")],
        ..Function::default()
    });
    let module = Module {
        functions,
        ..Module::default()
    };
    assert_eq!(verify(module, &HostLimits::default()).unwrap_err().rule, 14);
}
