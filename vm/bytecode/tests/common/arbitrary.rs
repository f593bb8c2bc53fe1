//! Generators of modules: any module that the types can hold, most of it small numbers so that tables are hit.

use policy_bytecode::context::{Holds, Known};
use policy_bytecode::intrinsics::{IntrinsicId, all};
use policy_bytecode::module::{
    Decision, DecisionRule, Derived, Field, Function, Limits, Module, PathSegment, Pattern, PatternEngine,
    PolicyRange,
};
use policy_bytecode::predicate::{PredOp, PredOperand, Predicate};
use policy_bytecode::quantifier::{Body, ItemOperand, ItemTest, Node, Subject};
use policy_bytecode::scan::{Literal, OnHit, Scan, Scanned};
use policy_bytecode::wire::{Reader, Writer};
use policy_bytecode::{
    BodyIdx, Const, ConstIdx, FieldIdx, FuncIdx, Instr, MemoIdx, Number, Opcode, PatternIdx, PolicyIdx,
    PredIdx,
};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

/// An index: mostly one that a small table has, sometimes any.
fn index() -> impl Strategy<Value = u32> {
    prop_oneof![8 => 0u32..6, 1 => any::<u32>()]
}

/// Text: plain words, and whatever else a string can hold.
fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => "[a-z_][a-zA-Z0-9_-]{0,8}",
        2 => any::<String>(),
        1 => "[\\\\/\"';:.|(){}\\[\\]\u{0}-\u{1f}\u{2028}\u{202e}\u{301} -]{0,6}",
    ]
}

fn number() -> impl Strategy<Value = Number> {
    prop_oneof![
        any::<i64>().prop_map(Number::Int),
        any::<u64>().prop_map(Number::UInt),
        (0u64..3).prop_map(Number::UInt),
        any::<u64>().prop_map(|bits| Number::Float(f64::from_bits(bits))),
        select(vec![
            0.0,
            -0.0,
            1.0,
            f64::INFINITY,
            f64::NEG_INFINITY,
            f64::NAN,
            1e21
        ])
        .prop_map(Number::Float),
    ]
}

fn constant() -> impl Strategy<Value = Const> {
    let item = || index().prop_map(ConstIdx);
    prop_oneof![
        Just(Const::Null),
        any::<bool>().prop_map(Const::Bool),
        number().prop_map(Const::Number),
        text().prop_map(Const::Str),
        text().prop_map(Const::Decimal),
        vec(item(), 0..4).prop_map(Const::Array),
        vec((text(), item()), 0..4).prop_map(Const::Object),
    ]
}

fn segment() -> impl Strategy<Value = PathSegment> {
    prop_oneof![
        4 => (text(), vec(text(), 0..3)).prop_map(|(name, aliases)| PathSegment::Key { name, aliases }),
        1 => index().prop_map(PathSegment::Index),
        1 => index().prop_map(PathSegment::FromEnd),
    ]
}

fn field() -> impl Strategy<Value = Field> {
    let ids: Vec<IntrinsicId> = all().map(|row| row.id).collect();
    let intrinsic = prop_oneof![4 => select(ids), 1 => any::<u16>().prop_map(IntrinsicId)];
    let args = vec(index().prop_map(FieldIdx), 0..6);
    let derived = (intrinsic, args).prop_map(|(intrinsic, args)| Derived { intrinsic, args });
    (vec(segment(), 0..4), option::weighted(0.2, derived)).prop_map(|(path, derived)| Field { path, derived })
}

fn known() -> impl Strategy<Value = Known> {
    let place = (vec(text(), 0..3), select(Holds::ALL), any::<bool>());
    place.prop_map(|(path, holds, answered)| Known {
        path,
        holds,
        answered,
    })
}

fn pattern() -> impl Strategy<Value = Pattern> {
    let engine = prop_oneof![
        (vec(any::<u8>(), 0..20), any::<bool>()).prop_map(|(bytes, ascii_only)| PatternEngine::Dfa {
            bytes: bytes.into(),
            ascii_only
        }),
        text().prop_map(|reason| PatternEngine::Source { reason }),
    ];
    (text(), option::of(text()), engine).prop_map(|(source, other, engine)| Pattern {
        translated: other.unwrap_or_else(|| source.clone()),
        source,
        engine,
    })
}

fn operand() -> impl Strategy<Value = PredOperand> {
    prop_oneof![
        Just(PredOperand::None),
        index().prop_map(|k| PredOperand::Const(ConstIdx(k))),
        index().prop_map(|x| PredOperand::Pattern(PatternIdx(x))),
        index().prop_map(|f| PredOperand::Field(FieldIdx(f))),
        index().prop_map(|q| PredOperand::Body(BodyIdx(q))),
    ]
}

fn body() -> impl Strategy<Value = Body> {
    let subject = prop_oneof![
        3 => vec(segment(), 0..3).prop_map(Subject::Item),
        1 => index().prop_map(|f| Subject::Field(FieldIdx(f))),
    ];
    let right = prop_oneof![
        3 => operand().prop_map(ItemOperand::Plain),
        1 => vec(segment(), 0..3).prop_map(ItemOperand::Item),
    ];
    let test = (select(PredOp::ALL), subject, right, any::<bool>());
    let node = prop_oneof![
        vec(index(), 0..3).prop_map(Node::And),
        vec(index(), 0..3).prop_map(Node::Or),
        index().prop_map(Node::Not),
        (index(), any::<bool>()).prop_map(|(pred, negated)| Node::Pred {
            pred: PredIdx(pred),
            negated
        }),
        test.prop_map(|(op, subject, operand, negated)| Node::Test(ItemTest {
            op,
            subject,
            operand,
            negated
        })),
    ];
    vec(node, 0..5).prop_map(|nodes| Body { nodes })
}

fn predicate() -> impl Strategy<Value = Predicate> {
    (select(PredOp::ALL), index(), operand(), option::of(index())).prop_map(|(op, field, operand, memo)| {
        Predicate {
            op,
            field: FieldIdx(field),
            operand,
            memo: memo.map(MemoIdx),
        }
    })
}

fn scan() -> impl Strategy<Value = Scan> {
    let literal = (text(), text()).prop_map(|(folded, exact)| Literal { folded, exact });
    let on_hit = prop_oneof![
        Just(OnHit::True),
        Just(OnHit::Search),
        (index(), index()).prop_map(|(min, max)| OnHit::Near { min, max }),
    ];
    let scanned = (index(), vec(index(), 0..3), on_hit).prop_map(|(predicate, literals, on_hit)| Scanned {
        predicate: PredIdx(predicate),
        literals,
        on_hit,
    });
    (index(), vec(literal, 0..3), vec(scanned, 0..3)).prop_map(|(field, literals, predicates)| Scan {
        field: FieldIdx(field),
        literals,
        predicates,
    })
}

/// Any instruction: an opcode and operands that fit it.
fn instr() -> impl Strategy<Value = Instr> {
    (select(Opcode::ALL), vec(index(), 8)).prop_map(|(opcode, numbers)| {
        let mut numbers = numbers.into_iter();
        let mut next = |max: u32| numbers.next().unwrap_or(0) % max.saturating_add(1);
        let mut writer = Writer::new();
        writer.byte(opcode as u8);
        for (_, kind) in opcode.operands() {
            match *kind {
                "0 or 1" => writer.byte((next(1)) as u8),
                "registers (read)" => {
                    writer.varint(next(u32::from(u16::MAX)));
                    writer.varint(next(u32::from(u8::MAX)));
                }
                "register (read)" | "register (written)" => writer.varint(next(u32::from(u16::MAX))),
                "flag" | "iterator" | "builder" => writer.varint(next(u32::from(u8::MAX))),
                _index => writer.varint(next(u32::MAX)),
            }
        }
        let bytes = writer.into_bytes();
        Instr::decode(&mut Reader::new(&bytes)).expect("operands fit their kinds")
    })
}

fn function() -> impl Strategy<Value = Function> {
    (
        (0u16..3, 0u16..8, any::<bool>()),
        (0u8..3, 0u8..3, 0u8..3),
        vec(instr(), 0..12),
        any::<bool>(),
        vec(vec(index().prop_map(PredIdx), 1..4), 0..3),
    )
        .prop_map(
            |((params, registers, memoised), (flags, iterators, builders), code, full, guards)| Function {
                params,
                registers: if full { u16::MAX } else { registers },
                flags,
                iterators,
                builders,
                memoised,
                guards,
                code,
            },
        )
}

fn rule() -> impl Strategy<Value = DecisionRule> {
    let decision = select(vec![
        Decision::Allow,
        Decision::Warn,
        Decision::Modify,
        Decision::Deny,
    ]);
    (index(), index(), decision, any::<bool>()).prop_map(|(condition, policy, decision, fires_on_error)| {
        DecisionRule {
            condition: FuncIdx(condition),
            policy: PolicyIdx(policy),
            decision,
            fires_on_error,
        }
    })
}

fn limits() -> impl Strategy<Value = Limits> {
    prop_oneof![
        Just(Limits::default()),
        (
            any::<u64>(),
            any::<u64>(),
            any::<u32>(),
            any::<u64>(),
            any::<u32>()
        )
            .prop_map(|(fuel, body_bytes, depth, arena_bytes, call_depth)| Limits {
                fuel,
                body_bytes,
                depth,
                arena_bytes,
                call_depth,
            }),
    ]
}

/// Any module; hardly one of them passes verification.
pub(crate) fn module() -> impl Strategy<Value = Module> {
    (
        (limits(), index()),
        (vec(field(), 0..6), vec(known(), 0..4)),
        vec(constant(), 0..6),
        vec(pattern(), 0..4),
        (vec(predicate(), 0..6), vec(body(), 0..3), vec(scan(), 0..3)),
        vec(function(), 0..5),
        vec(rule(), 0..4),
        vec((index(), index()), 0..4),
    )
        .prop_map(
            |(
                (limits, memo_cells),
                (fields, known),
                consts,
                patterns,
                (predicates, bodies, scans),
                functions,
                rules,
                policies,
            )| {
                Module {
                    limits,
                    fields,
                    known,
                    consts,
                    patterns,
                    predicates,
                    bodies,
                    scans,
                    memo_cells,
                    functions,
                    rules,
                    policies: policies
                        .into_iter()
                        .map(|(first_rule, rule_count)| PolicyRange {
                            first_rule,
                            rule_count,
                        })
                        .collect(),
                }
            },
        )
}
