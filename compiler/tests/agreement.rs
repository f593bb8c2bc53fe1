//! Optimisation changes no outcome: for random conditions and random outcomes of their comparisons, the source tree,
//! the IR after every pass and the emitted code of every level say the same, in three-valued logic.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on has failed"
)]

use policy_bytecode::module::{Module, PathSegment};
use policy_bytecode::{FieldIdx, Instr, Outcome, PredIdx};
use policy_compiler::ir::{self, Inst, Negated, Terminator, ValueId};
use policy_compiler::{Compiled, DumpPoint, OptLevel, Options, compile_policies};
use policy_grammar::ast::*;
use policy_grammar::source::Spanned;
use policy_grammar::{FileId, SourceFile, SourceMap, Span};
use proptest::prelude::*;

/// Comparisons that cannot be errors; the rest can.
const INFALLIBLE: usize = 4;
const FIELDS: usize = 8;

#[derive(Debug, Clone)]
enum Tree {
    And(Vec<Tree>),
    Or(Vec<Tree>),
    Not(Box<Tree>),
    /// A comparison of this field, negated by its operator or not.
    Leaf(usize, bool),
    /// Membership in the empty list: never true.
    Never(usize),
}

impl Tree {
    fn eval(&self, outcomes: &[Outcome]) -> Outcome {
        match self {
            Self::And(ts) => ts.iter().fold(Outcome::True, |acc, t| acc.and(t.eval(outcomes))),
            Self::Or(ts) => ts.iter().fold(Outcome::False, |acc, t| acc.or(t.eval(outcomes))),
            Self::Not(t) => t.eval(outcomes).negate(),
            Self::Leaf(i, false) => outcomes[*i],
            Self::Leaf(i, true) => outcomes[*i].negate(),
            Self::Never(_) => Outcome::False,
        }
    }

    fn condition(&self) -> Condition {
        match self {
            Self::And(ts) => Condition::And {
                span: span(),
                operands: ts.iter().map(Self::condition).collect(),
            },
            Self::Or(ts) => Condition::Or {
                span: span(),
                operands: ts.iter().map(Self::condition).collect(),
            },
            Self::Not(t) => Condition::Not {
                span: span(),
                operand: Box::new(t.condition()),
            },
            // `not_contains` is the negated operator that can be an error; `gt` has none.
            Self::Leaf(i, negated) => {
                let operator = match (*i < INFALLIBLE, negated) {
                    (true, false) => Operator::Eq,
                    (true, true) => Operator::Ne,
                    (false, false) => Operator::Contains,
                    (false, true) => Operator::NotContains,
                };
                test(*i, operator, Literal::String("x".to_owned()))
            }
            Self::Never(i) => test(*i, Operator::In, Literal::Array(Vec::new())),
        }
    }
}

fn span() -> Span {
    Span::new(FileId(0), 0, 1)
}

fn spanned<T>(value: T) -> Spanned<T> {
    Spanned::new(value, span())
}

fn test(field: usize, operator: Operator, value: Literal) -> Condition {
    Condition::Test(Test {
        span: span(),
        field: spanned(FieldPath::parse(&format!("f{field}")).unwrap()),
        operator: spanned(operator),
        operand: Operand::Value(spanned(value)),
        constant: None,
        ignore_case: false,
    })
}

fn policy(trees: &[Tree]) -> Policy {
    Policy {
        span: span(),
        metadata: Metadata {
            id: spanned("p".to_owned()),
            name: spanned("p".to_owned()),
            version: spanned("1.0.0".to_owned()),
            namespace: spanned("default".to_owned()),
            description: None,
            tags: Vec::new(),
            priority: spanned(0),
        },
        rules: trees
            .iter()
            .enumerate()
            .map(|(i, tree)| Rule {
                span: span(),
                id: spanned(format!("r{i}")),
                name: None,
                description: None,
                enabled: true,
                condition: tree.condition(),
                action: Action {
                    span: span(),
                    decision: spanned(Decision::Deny),
                    reason: None,
                    metadata: Vec::new(),
                    modifications: Vec::new(),
                },
            })
            .collect(),
        status: Status::Active,
        on_error: OnError::Match,
    }
}

fn compile(trees: &[Tree], opt_level: OptLevel) -> Compiled {
    let mut sources = SourceMap::new();
    sources.add(SourceFile::new("p.yaml", "x"));
    let options = Options {
        opt_level,
        dump_ir: vec![DumpPoint::All],
        ..Options::default()
    };
    compile_policies(&sources, vec![policy(trees)], &options).unwrap()
}

fn field_number(path: &[PathSegment]) -> usize {
    match path {
        [PathSegment::Key { name, .. }] => name[1..].parse().unwrap(),
        other => panic!("unexpected field {other:?}"),
    }
}

/// Outcome of a comparison: that of its field, but for membership in the empty list.
fn outcome(op: policy_bytecode::predicate::PredOp, field: usize, outcomes: &[Outcome]) -> Outcome {
    if op == policy_bytecode::predicate::PredOp::In {
        Outcome::False
    } else {
        outcomes[field]
    }
}

/// Runs the condition code of one rule.
fn run(module: &Module, rule: usize, outcomes: &[Outcome]) -> Outcome {
    let function = &module.functions[module.rules[rule].condition.index()];
    let pred = |p: PredIdx| {
        let p = &module.predicates[p.index()];
        let field = |f: FieldIdx| field_number(&module.fields[f.index()].path);
        outcome(p.op, field(p.field), outcomes)
    };
    let mut flags = [false; 64];
    let mut pc = 0;
    loop {
        let at = pc;
        pc += 1;
        match function.code[at] {
            Instr::Test {
                pred: p,
                sense,
                flag,
                target,
            }
            | Instr::TestMemo {
                pred: p,
                sense,
                flag,
                target,
            } => match pred(p) {
                Outcome::Error => flags[flag.index()] = true,
                outcome if outcome == Outcome::from(sense.0) => pc = target.index(),
                _ => {}
            },
            Instr::BrFlag { flag, target } => {
                if flags[flag.index()] {
                    pc = target.index();
                }
            }
            Instr::RaiseFlag { flag } => flags[flag.index()] = true,
            Instr::ClearFlag { flag } => flags[flag.index()] = false,
            Instr::Jump { target } => pc = target.index(),
            Instr::RetTrue {} => return Outcome::True,
            Instr::RetFalse {} => return Outcome::False,
            Instr::RetError {} => return Outcome::Error,
            Instr::RetTest { pred: p, sense } | Instr::RetTestMemo { pred: p, sense } => {
                return if sense.0 { pred(p) } else { pred(p).negate() };
            }
            other => panic!("unexpected instruction {other}"),
        }
    }
}

/// Evaluates the condition of one rule of an IR program.
fn eval_ir(program: &ir::Program, rule: usize, outcomes: &[Outcome]) -> Outcome {
    fn value(program: &ir::Program, function: &ir::Function, v: ValueId, outcomes: &[Outcome]) -> Outcome {
        match function.value(v).unwrap() {
            Inst::Test {
                pred,
                negated: Negated(negated),
            } => {
                let p = &program.predicates[pred.index()];
                let field = field_number(&program.fields[p.field.index()].path);
                let own = outcome(p.op, field, outcomes);
                if *negated { own.negate() } else { own }
            }
            Inst::Const { value } => Outcome::from(*value),
            Inst::And { operands: vs } => vs.iter().fold(Outcome::True, |acc, v| {
                acc.and(value(program, function, *v, outcomes))
            }),
            Inst::Or { operands: vs } => vs.iter().fold(Outcome::False, |acc, v| {
                acc.or(value(program, function, *v, outcomes))
            }),
            Inst::Not { operand: v } => value(program, function, *v, outcomes).negate(),
            other => panic!("unexpected instruction {other:?}"),
        }
    }
    let function = &program.functions[program.rules[rule].condition.index()];
    let Terminator::Ret(v) = function.blocks[0].end else {
        panic!("one block is expected");
    };
    value(program, function, v, outcomes)
}

fn tree() -> impl Strategy<Value = Tree> {
    let leaf = prop_oneof![
        8 => (0..FIELDS, any::<bool>()).prop_map(|(i, negated)| Tree::Leaf(i, negated)),
        1 => (0..FIELDS).prop_map(Tree::Never),
    ];
    leaf.prop_recursive(6, 40, 4, |inner| {
        prop_oneof![
            3 => prop::collection::vec(inner.clone(), 1..4).prop_map(Tree::And),
            3 => prop::collection::vec(inner.clone(), 1..4).prop_map(Tree::Or),
            1 => inner.prop_map(|t| Tree::Not(Box::new(t))),
        ]
    })
}

fn outcomes() -> impl Strategy<Value = Vec<Outcome>> {
    (0..FIELDS)
        .map(|i| {
            let values = if i < INFALLIBLE {
                vec![Outcome::False, Outcome::True]
            } else {
                vec![Outcome::False, Outcome::True, Outcome::Error]
            };
            prop::sample::select(values)
        })
        .collect::<Vec<_>>()
}

/// A dump without what it says of automata, which the text form does not hold.
fn without_comments(text: &str) -> String {
    text.split_inclusive('\n')
        .filter(|line| !line.starts_with('#'))
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_level_and_every_pass_decides_as_the_source_does(
        trees in prop::collection::vec(tree(), 1..4),
        requests in prop::collection::vec(outcomes(), 8),
    ) {
        for level in OptLevel::ALL {
            let compiled = compile(&trees, *level);
            let dumps: Vec<(&str, ir::Program)> = compiled
                .report
                .dumps
                .iter()
                .map(|d| (d.after, ir::text::parse(&d.text).unwrap()))
                .collect();
            for (i, (after, program)) in dumps.iter().enumerate() {
                let text = without_comments(&compiled.report.dumps[i].text);
                prop_assert_eq!(ir::text::print(program), text, "text after {}", after);
                ir::verify::verify(program).unwrap();
            }
            for outcomes in &requests {
                for (rule, tree) in trees.iter().enumerate() {
                    let expected = tree.eval(outcomes);
                    for (after, program) in &dumps {
                        prop_assert_eq!(eval_ir(program, rule, outcomes), expected, "{:?} after {}", level, after);
                    }
                    prop_assert_eq!(run(&compiled.module, rule, outcomes), expected, "{:?} emitted", level);
                }
            }
        }
    }

    #[test]
    fn passes_are_idempotent(trees in prop::collection::vec(tree(), 1..4)) {
        let compiled = compile(&trees, OptLevel::O0);
        let mut program = ir::text::parse(&compiled.report.dumps[0].text).unwrap();
        for pass in policy_compiler::passes::all() {
            pass.run(&mut program, &Options::default());
            let once = ir::text::print(&program);
            pass.run(&mut program, &Options::default());
            prop_assert_eq!(once, ir::text::print(&program), "{}", pass.name());
        }
    }
}

/// Shapes that use every part of the emission scheme, with every combination of outcomes.
#[test]
fn nested_operators_that_can_be_errors_on_every_outcome() {
    let leaf = |i| Tree::Leaf(i, false);
    let shapes = vec![
        Tree::And(vec![leaf(4), leaf(5)]),
        Tree::Or(vec![
            Tree::And(vec![leaf(4), leaf(5)]),
            Tree::And(vec![leaf(6), leaf(7)]),
        ]),
        Tree::And(vec![
            Tree::Or(vec![leaf(4), leaf(5)]),
            Tree::Or(vec![leaf(5), leaf(6)]),
            Tree::Not(Box::new(Tree::Or(vec![leaf(6), leaf(0)]))),
        ]),
        Tree::Or(vec![
            leaf(7),
            Tree::And(vec![
                leaf(4),
                Tree::Or(vec![leaf(5), Tree::And(vec![leaf(6), leaf(1)])]),
            ]),
        ]),
    ];
    let all = [Outcome::False, Outcome::True, Outcome::Error];
    for level in OptLevel::ALL {
        let compiled = compile(&shapes, *level);
        for code in 0..3usize.pow(4) * 4 {
            let mut outcomes = vec![Outcome::False; FIELDS];
            outcomes[0] = Outcome::from(code & 1 == 1);
            outcomes[1] = Outcome::from(code & 2 == 2);
            let mut rest = code / 4;
            for place in &mut outcomes[4..] {
                *place = all[rest % 3];
                rest /= 3;
            }
            for (rule, tree) in shapes.iter().enumerate() {
                assert_eq!(
                    run(&compiled.module, rule, &outcomes),
                    tree.eval(&outcomes),
                    "{level:?} rule {rule} {outcomes:?}"
                );
            }
        }
    }
}

/// Sixty-four flags are enough for any condition that the parser lets through; beyond them there is a diagnostic.
#[test]
fn nesting_beyond_the_flags_of_a_frame_is_a_diagnostic() {
    let nested = |levels: usize| {
        (0..levels).fold(Tree::Leaf(4, false), |tree, i| {
            let parts = vec![Tree::Leaf(5 + i % 3, false), tree];
            if i % 2 == 0 {
                Tree::And(parts)
            } else {
                Tree::Or(parts)
            }
        })
    };
    let mut sources = SourceMap::new();
    sources.add(SourceFile::new("p.yaml", "x"));
    let compile = |tree| compile_policies(&sources, vec![policy(&[tree])], &Options::default());
    assert!(compile(nested(60)).is_ok());
    // Before that, the limit of what is compiled at all.
    for (levels, code) in [(100, "E0305"), (200, "E0404")] {
        let failed = compile(nested(levels)).unwrap_err();
        assert_eq!(failed.diagnostics.last().unwrap().code.as_str(), code, "{levels}");
    }
}
