//! Places of instructions and conditions: what stands in a bundle leads back to what was written, at every level.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on has failed"
)]

use policy_bytecode::bundle::Bundle;
use policy_bytecode::debug::SourcePlace;
use policy_bytecode::instr::Role;
use policy_bytecode::manifest::CondNode;
use policy_bytecode::{FuncIdx, PredIdx};
use policy_compiler::{Compiler, OptLevel, Options, compile, ir, passes};
use policy_grammar::ast::Condition;
use policy_grammar::{SourceFile, SourceMap, parse_source};
use std::collections::BTreeSet;
use std::path::Path;

const POLICY: &str = "\
metadata: {id: p, name: P}
rules:
  - id: both
    condition:
      operator: and
      conditions:
        - {operator: eq, field: team.tier, value: free}
        - operator: not
          conditions:
            - {operator: gt, field: llm.maxTokens, value: 100}
    action: {decision: deny}
  - id: again
    condition:
      operator: and
      conditions:
        - {operator: lte, field: team.limit, value: 9}
        - {operator: eq, field: team.tier, value: free}
    action: {decision: warn}
  - id: same
    condition: {operator: and, conditions: [{operator: eq, field: team.tier, value: free}, {operator: lte, field: team.limit, value: 9}]}
    action: {decision: warn}
";

fn sources(files: &[(&str, &str)]) -> SourceMap {
    let mut sources = SourceMap::new();
    for (name, text) in files {
        sources.add(SourceFile::new(*name, *text));
    }
    sources
}

fn bundle(sources: &SourceMap, opt_level: OptLevel) -> Bundle {
    let options = Options {
        opt_level,
        ..Options::default()
    };
    let compiled = compile(sources, &options).unwrap_or_else(|e| panic!("{e}"));
    Bundle::decode(&compiled.to_bundle().unwrap()).unwrap()
}

/// Line and column of each instruction of a function, beside its spelling.
fn places(bundle: &Bundle, function: u32) -> Vec<String> {
    let debug = bundle.debug.as_ref().unwrap();
    let code = bundle.module.functions[function as usize].code.iter().enumerate();
    code.map(|(i, instr)| {
        let place = debug.instruction(FuncIdx(function), i).unwrap();
        format!("{}:{} {}", place.line, place.column, instr.opcode().mnemonic())
    })
    .collect()
}

#[test]
fn an_instruction_stands_where_it_was_written() {
    let bundle = bundle(&sources(&[("a.yaml", POLICY)]), OptLevel::O0);
    assert_eq!(
        places(&bundle, 0),
        [
            "7:11 test",
            "10:15 test",
            "5:17 br_flag",
            "5:17 ret_true",
            "5:17 ret_false",
            "5:17 ret_error"
        ]
    );
    let conditions = &bundle.debug.as_ref().unwrap().conditions;
    let found: Vec<(u32, u32)> = conditions
        .iter()
        .map(|place| (place.line, place.column))
        .collect();
    // Children stand before their parents.
    assert_eq!(found[..4], [(7, 11), (10, 15), (8, 21), (5, 17)]);
}

/// A function that rules share, and a comparison that stands twice, have the places that were written first.
#[test]
fn what_becomes_one_keeps_the_first_place() {
    let bundle = bundle(&sources(&[("a.yaml", POLICY)]), OptLevel::O2);
    let rules = &bundle.module.rules;
    assert_eq!(rules[1].condition, rules[2].condition);
    let shared = places(&bundle, rules[1].condition.0);
    let lines: BTreeSet<&str> = shared
        .iter()
        .filter_map(|p| p.split_once(':'))
        .map(|(line, _)| line)
        .collect();
    assert_eq!(lines, BTreeSet::from(["14", "16", "17"]), "{shared:?}");
    // Conditions are not shared, nor are their places.
    let debug = bundle.debug.as_ref().unwrap();
    let of_same = debug.condition(bundle.manifest.rules[2].condition).unwrap();
    assert_eq!((of_same.line, of_same.column), (20, 27));
}

/// Names of files belong to the set: a unit that was made under another number is moved.
#[test]
fn places_move_with_their_file() {
    let other = POLICY.replace("id: p,", "id: q,");
    let mut compiler = Compiler::new(Options::default());
    compiler.set("b.yaml", POLICY);
    compiler.build().unwrap();
    compiler.set("a.yaml", other.as_str());
    let kept = compiler.build().unwrap();
    let clean = compile(
        &sources(&[("a.yaml", &other), ("b.yaml", POLICY)]),
        &Options::default(),
    )
    .unwrap();
    assert_eq!(kept.debug, clean.debug);
    let files: BTreeSet<u32> = kept.debug.conditions.iter().map(|place| place.file).collect();
    assert_eq!(files, BTreeSet::from([0, 1]));
}

/// Where each comparison of each rule stands, in document order, by parsing.
fn written(sources: &SourceMap) -> Vec<(String, String, Vec<SourcePlace>)> {
    fn leaves(condition: &Condition, visit: &mut impl FnMut(u32)) {
        match condition {
            Condition::And { operands, .. } | Condition::Or { operands, .. } => {
                operands.iter().for_each(|operand| leaves(operand, visit));
            }
            Condition::Not { operand, .. } => leaves(operand, visit),
            Condition::Test(test) => visit(test.span.start),
        }
    }
    let mut rules = Vec::new();
    for (id, file) in sources.iter() {
        for policy in parse_source(sources, id).policies {
            for rule in &policy.rules {
                let mut places = Vec::new();
                leaves(&rule.condition, &mut |start| {
                    let (line, column) = file.line_column(start);
                    places.push(SourcePlace {
                        file: id.0,
                        line,
                        column,
                    });
                });
                rules.push((policy.metadata.id.value.clone(), rule.id.value.clone(), places));
            }
        }
    }
    rules
}

fn leaves(bundle: &Bundle, node: u32, found: &mut Vec<SourcePlace>) {
    match &bundle.manifest.conditions[node as usize] {
        CondNode::And(children) | CondNode::Or(children) => {
            children.iter().for_each(|child| leaves(bundle, *child, found));
        }
        CondNode::Not(child) => leaves(bundle, *child, found),
        CondNode::Test { .. } => found.push(bundle.debug.as_ref().unwrap().condition(node).unwrap()),
        CondNode::Const(_) => {}
    }
}

fn examples() -> SourceMap {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut sources = SourceMap::new();
    for folder in ["examples/policies", "compiler/tests/emit"] {
        let mut files: Vec<_> = std::fs::read_dir(root.join(folder))
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.extension().is_some_and(|e| e == "yaml"))
            .filter(|path| !path.file_stem().unwrap().to_str().unwrap().ends_with("_test"))
            .collect();
        files.sort();
        for path in files {
            let name = path.file_name().unwrap().to_str().unwrap();
            sources.add(SourceFile::new(name, std::fs::read_to_string(&path).unwrap()));
        }
    }
    sources
}

#[test]
fn comparisons_stand_where_the_parser_finds_them() {
    let sources = examples();
    let written = written(&sources);
    for level in OptLevel::ALL {
        let bundle = bundle(&sources, *level);
        let mut compared = 0;
        for (rule, info) in bundle.module.rules.iter().zip(&bundle.manifest.rules) {
            let policy = &bundle.manifest.policies[rule.policy.index()];
            let (.., places) = written
                .iter()
                .find(|(id, rule, _)| *id == policy.id && *rule == info.id)
                .unwrap();
            let mut found = Vec::new();
            leaves(&bundle, info.condition, &mut found);
            assert_eq!(found, *places, "{}/{}", policy.id, info.id);
            compared += found.len();
        }
        assert!(compared > 50, "{compared}");
    }
}

/// Every instruction has a place; one that asks something stands where a condition asks that.
#[test]
fn every_instruction_that_asks_stands_where_that_is_asked() {
    let sources = examples();
    for level in OptLevel::ALL {
        let bundle = bundle(&sources, *level);
        let debug = bundle.debug.as_ref().unwrap();
        let nodes = bundle.manifest.conditions.iter().zip(&debug.conditions);
        let mut asked: BTreeSet<(PredIdx, u32, u32, u32)> = BTreeSet::new();
        for (node, place) in nodes {
            if let CondNode::Test { pred, .. } = node {
                asked.insert((*pred, place.file, place.line, place.column));
            }
        }
        for (function, id) in bundle.module.functions.iter().zip(0u32..) {
            for (i, instr) in function.code.iter().enumerate() {
                let place = debug.instruction(FuncIdx(id), i).unwrap();
                instr.roles(|role| {
                    if let Role::Pred(pred) = role {
                        assert!(
                            asked.contains(&(pred, place.file, place.line, place.column)),
                            "{instr} of fn{id} stands at {place:?}"
                        );
                    }
                });
            }
        }
    }
}

/// Of what is merged the first place stays; what a pass makes has the place of what it is made for.
#[test]
fn passes_keep_places() {
    let after = |pass: &str, before: &str| {
        let mut program = ir::text::parse(before).unwrap();
        let pass = passes::by_name(pass).unwrap();
        pass.run(&mut program, &Options::default());
        ir::verify::verify(&program).unwrap();
        let text = ir::text::print_with_places(&program);
        // Places are a part of this text.
        assert_eq!(
            ir::text::print_with_places(&ir::text::parse(&text).unwrap()),
            text
        );
        let lines = text.lines().filter(|line| line.starts_with("  "));
        lines.map(|line| line.trim().to_owned()).collect::<Vec<_>>()
    };
    let nested = r#"policy "p"
rule "p/r" deny on_error=match {
b0:
  @0:20..24 v0 = test team.tier eq "free"
  @0:30..34 v1 = test team.tier eq "free"
  @0:40..44 v2 = test llm.model exists
  @0:25..50 v3 = and v1, v2
  @0:10..60 v4 = and v0, v3
  @0:5..60 v5 = not v4
  ret v5
}
"#;
    assert_eq!(
        after("normalise", nested),
        [
            r#"@0:20..24 v0 = test_not team.tier eq "free""#,
            "@0:40..44 v1 = test_not llm.model exists",
            "@0:25..50 v2 = or v0, v1",
            "@0:10..60 v3 = or v0, v2",
            "ret v3",
        ]
    );
    assert_eq!(
        after("simplify", nested),
        [
            r#"@0:20..24 v0 = test team.tier eq "free""#,
            "@0:40..44 v1 = test llm.model exists",
            // The outer operator has become equal to the inner one, which was made first.
            "@0:25..50 v2 = and v0, v1",
            "@0:5..60 v3 = not v2",
            "ret v3",
        ]
    );
    let folded = r#"policy "p"
rule "p/r" deny on_error=match {
b0:
  @1:2..4 v0 = load_const 1
  @1:6..8 v1 = load_const 2
  @1:2..8 v2 = lt v0, v1
  @1:0..9 v3 = truth v2
  @1:20..24 v4 = test team.tier eq "free"
  @1:0..30 v5 = and v3, v4
  ret v5
}
"#;
    assert_eq!(
        after("const_fold", folded),
        [
            "@1:2..4 v0 = load_const 1",
            "@1:6..8 v1 = load_const 2",
            "@1:2..8 v2 = load_const true",
            r#"@1:20..24 v3 = test team.tier eq "free""#,
            "@1:0..30 v4 = and v3",
            "ret v4",
        ]
    );
}

#[test]
fn places_that_make_no_sense_are_refused() {
    let text = |place: &str| {
        format!(
            "policy \"p\"\nrule \"p/r\" deny on_error=match {{\nb0:\n  {place} v0 = const true\n  ret v0\n}}\n"
        )
    };
    for place in ["@", "@0", "@0:1", "@0:1..", "@x:1..2", "@0:1..2x"] {
        let error = ir::text::parse(&text(place)).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("line 4: `{place}` is not a place such as `@0:12..34`")
        );
    }
    let backwards = ir::text::parse(&text("@0:2..1")).unwrap();
    let error = ir::verify::verify(&backwards).unwrap_err().to_string();
    assert!(error.contains("a place that ends before it starts"), "{error}");
    let ending = text("").replace("ret v0", "@0:1..2 ret v0");
    let error = ir::text::parse(&ending).unwrap_err().to_string();
    assert_eq!(error, "line 5: what ends a block has no place of its own");
}
