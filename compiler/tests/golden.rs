//! Golden tests: passes as IR text before and after, emission as policies and their listings.
//!
//! - `tests/passes/<pass>/<rewrite>.ir` with `<rewrite>.snap` beside it: IR, and the IR after that pass alone.
//! - `tests/emit/<name>.yaml` with `<name>.O0.snap` and `<name>.O2.snap` beside it: the disassemblies.
//!
//! A new input needs no code: accept its snapshot.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on has failed"
)]

use policy_bytecode::disasm::{DisasmOptions, disassemble};
use policy_compiler::{OptLevel, Options, compile, ir, passes};
use policy_grammar::{SourceFile, SourceMap};
use std::path::{Path, PathBuf};

fn files(dir: &Path, extension: &str) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = std::fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == extension))
        .collect();
    found.sort();
    assert!(!found.is_empty(), "{} holds no .{extension}", dir.display());
    found
}

/// Compares with the snapshot of this name beside an input.
fn check(input: &Path, name: &str, found: &str) {
    insta::with_settings!({
        prepend_module_to_snapshot => false,
        snapshot_path => input.parent().unwrap(),
        input_file => input,
        omit_expression => true,
    }, {
        insta::assert_snapshot!(name, found);
    });
}

fn stem(path: &Path) -> &str {
    path.file_stem().unwrap().to_str().unwrap()
}

#[test]
fn every_pass_rewrites_what_its_goldens_say() {
    for pass in passes::all() {
        let dir = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("tests/passes")
            .join(pass.name());
        // Automata and scans are not part of the IR text; `tests/patterns.rs` tests these passes.
        if matches!(pass.name(), "regex_dfa" | "dfa_limit" | "patterns") {
            continue;
        }
        for path in files(&dir, "ir") {
            let text = std::fs::read_to_string(&path).unwrap();
            let mut program = ir::text::parse(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
            ir::verify::verify(&program).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
            pass.run(&mut program, &Options::default());
            ir::verify::verify(&program).unwrap_or_else(|e| panic!("{} after: {e}", path.display()));
            check(&path, stem(&path), &ir::text::print(&program));
        }
    }
}

#[test]
fn emitted_code_is_what_the_listings_say() {
    for path in files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/emit"), "yaml") {
        let mut sources = SourceMap::new();
        let name = path.file_name().unwrap().to_str().unwrap();
        sources.add(SourceFile::new(name, std::fs::read_to_string(&path).unwrap()));
        for (opt_level, level) in [(OptLevel::O0, "O0"), (OptLevel::O2, "O2")] {
            let options = Options {
                opt_level,
                ..Options::default()
            };
            let compiled = compile(&sources, &options).unwrap_or_else(|e| panic!("{name}: {e}"));
            let found = disassemble(&compiled.module, &DisasmOptions::default());
            check(&path, &format!("{}.{level}", stem(&path)), &found);
        }
    }
}

#[test]
fn ir_text_of_every_instruction_round_trips() {
    let text = r#"pred p0 = team.tier eq "free"
pred p1 = list all (not (test_not item exists))
pred p2 = list any (and (pred_not p0) (test item["a b"][0] matches "^(a)\\.b") (test limit gte field item.limit) (or (pred p1) (test_not item.parts any (test item in ["x)", 1])) (test item eq field team.limit)))

function fn0 {
b0(v0, v1):
  v2 = add v0, v1
  ret v2
}

function fn1 shared {
b0:
  v0 = load_field metadata["a b"].list[0]
  v1 = load_const {"k": [1, 2.5, -3, 18446744073709551615, 1e300, "x\n", null, true]}
  v2 = undefined
  iter_begin it0, v0
  build_array b0
  jump b1(v2)
b1(v3):
  iter_next it0, b2, b3
b2(v4, v5):
  v6 = get v5, v4
  v7 = len v6
  v8 = call fn0, v6, v7
  v9 = eq v8, v1
  v10 = lt v6, v7
  v11 = lte v6, v7
  v12 = sub v6, v7
  v13 = mul v12, v7
  v14 = div v13, v7
  v15 = rem v14, v7
  build_push b0, v15
  v16 = truth v9
  v17 = test_not p0
  v18 = and v16, v17
  split v18, b1x, b1x, b1x
b3:
  v19 = build_end b0
  build_object b1
  build_insert b1, v3, v19
  v20 = build_end b1
  build_set b2
  build_push b2, v20
  v21 = build_end b2
  defined v21, b4, b5
b4:
  ret v21
b5:
  v22 = const true
  v23 = not v22
  v24 = test limit gte field team.limit
  v25 = test name matches "^a\\.b"
  v26 = test name exists
  v27 = test p2
  v28 = or v23, v24, v25, v26, v27
  ret v28
}

policy "p"
"#
    .replace("b1x", "b5");
    let program = ir::text::parse(&text).unwrap();
    assert_eq!(ir::text::print(&program), text);
    assert_eq!(ir::text::parse(&ir::text::print(&program)).unwrap(), program);
}

#[test]
fn ir_text_errors_name_the_line() {
    let error = |text: &str| ir::text::parse(text).unwrap_err();
    assert_eq!(
        error("policy \"p\"\nrule \"r\" deny on_error=match {\nb0:\n  v0 = tset a exists\n}").line,
        4
    );
    assert_eq!(
        error("\n\nrule \"r\" deny on_error=match {").message,
        "a rule before its policy"
    );
    assert_eq!(error("pred p0 = a eq [1").message, "expected `,` or `]`");
    assert_eq!(
        error("pred p0 = a any (and (test item exists)").message,
        "expected `(`"
    );
    assert_eq!(error("pred p0 = a any (not)").message, "`not` takes one operand");
    assert_eq!(
        error("pred p0 = a any (pred p0)").message,
        "not a comparison above"
    );
}

#[test]
fn what_is_no_instruction_is_refused_with_its_line() {
    for (line, said) in [
        ("v0 = and_not v1", "`v1` is not a value above"),
        ("v0 = const_not true", "`const_not` is not an instruction"),
        ("v0 = nothing v1", "`nothing` is not an instruction"),
        ("v0 = const maybe", "`maybe` is not an outcome"),
        ("v0 = const", "an operand is missing"),
        ("v0 = const true, false", "unexpected `false`"),
        ("v0 = call fn7", "`fn7` is not a function above"),
        ("build_end x0", "`x0` is not a builder"),
    ] {
        let text =
            format!("policy \"p\"\nrule \"p/r\" deny on_error=match {{\nb0:\n  {line}\n  ret v0\n}}\n");
        let error = ir::text::parse(&text).unwrap_err();
        assert_eq!((error.line, error.message.as_str()), (4, said));
        assert_eq!(error.to_string(), format!("line 4: {said}"));
    }
}
