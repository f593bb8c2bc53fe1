//! The cost table: what a comparison costs, in units of roughly a nanosecond on a current server core.
//!
//! One table for two uses: the `order` pass puts cheap operands first with it, and the certificate that `emit` writes
//! into the bundle adds it up, together with what responses cost. A computed field costs most by far on its first use; it is charged to every comparison
//! that may be the first.

use crate::ir::{Engine, Pattern};
use crate::ir::{Predicate, Program};
use policy_bytecode::intrinsics::IntrinsicId;
use policy_bytecode::manifest::VerbInfo;
use policy_bytecode::module::PathSegment;
use policy_bytecode::predicate::{PredOp, PredOperand};
use policy_bytecode::quantifier::{ItemOperand, ItemTest, Node};
use policy_bytecode::{BodyIdx, Const, FieldIdx};

/// Cost of something: a fixed part, and a part that grows with the text of the request.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Cost {
    /// Units, whatever the request.
    pub fixed: u64,
    /// Units per kilobyte of text.
    pub per_text_kb: u64,
    /// Passes over the text.
    pub scans: u64,
}

/// Units of one instruction.
pub const INSTRUCTION: u64 = 1;

const CONTAINS: Cost = cost(15, 100, 1);
/// Two passes: the text is folded first, once for all of its comparisons.
const CONTAINS_FOLD: Cost = cost(40, 600, 2);
const MATCHES_DFA: Cost = cost(25, 1_000, 1);

/// Length of text that `order` reckons with, in bytes: of prompts, and of every other text.
const PROMPT_BYTES: u64 = 2048;
const SHORT_TEXT_BYTES: u64 = 48;

const fn cost(fixed: u64, per_text_kb: u64, scans: u64) -> Cost {
    Cost {
        fixed,
        per_text_kb,
        scans,
    }
}

/// What calling an intrinsic costs.
#[must_use]
pub fn intrinsic(id: IntrinsicId) -> Cost {
    id.row().map_or_else(Cost::default, |row| {
        cost(row.cost.fixed, row.cost.per_text_kb, row.cost.scans)
    })
}

/// What rendering so many placeholders costs: each may stand for the whole request.
#[must_use]
pub fn placeholders(count: u64) -> Cost {
    const EACH: Cost = cost(30, 250, 1);
    Cost {
        fixed: EACH.fixed.saturating_mul(count),
        per_text_kb: EACH.per_text_kb.saturating_mul(count),
        scans: EACH.scans.saturating_mul(count),
    }
}

/// What composing a modification costs, placeholders aside.
#[must_use]
pub fn modification(verb: &VerbInfo) -> Cost {
    match verb {
        VerbInfo::Cap(_) | VerbInfo::Floor(_) | VerbInfo::Remove => cost(150, 50, 0),
        VerbInfo::Set(_) | VerbInfo::Default(_) | VerbInfo::Append(_) => cost(150, 100, 0),
        VerbInfo::Redact(_) => cost(300, 6_000, 1),
    }
}

/// What a comparison costs once its field is there.
#[must_use]
pub fn predicate(program: &Program, predicate: &Predicate) -> Cost {
    let constant = match predicate.operand {
        PredOperand::Const(k) => program.consts.get(k.index()),
        PredOperand::None | PredOperand::Pattern(_) | PredOperand::Field(_) | PredOperand::Body(_) => None,
    };
    let pattern = match predicate.operand {
        PredOperand::Pattern(x) => program.patterns.get(x.index()),
        PredOperand::None | PredOperand::Const(_) | PredOperand::Field(_) | PredOperand::Body(_) => None,
    };
    compare(predicate.op, constant, pattern, || match predicate.operand {
        PredOperand::Body(q) => quantifier(program, q),
        PredOperand::None | PredOperand::Const(_) | PredOperand::Pattern(_) | PredOperand::Field(_) => {
            Cost::default()
        }
    })
}

fn compare(
    op: PredOp,
    constant: Option<&Const>,
    pattern: Option<&Pattern>,
    body: impl FnOnce() -> Cost,
) -> Cost {
    match op {
        PredOp::Exists => cost(2, 0, 0),
        PredOp::Eq => match constant {
            Some(Const::Array(items)) => cost(8 + 4 * len(items.len()), 0, 0),
            Some(Const::Object(members)) => cost(8 + 8 * len(members.len()), 0, 0),
            Some(Const::Null | Const::Bool(_) | Const::Number(_) | Const::Decimal(_)) => cost(3, 0, 0),
            Some(Const::Str(_)) | None => cost(5, 0, 0),
        },
        PredOp::Gt | PredOp::Gte | PredOp::Lt | PredOp::Lte => cost(4, 0, 0),
        PredOp::In => match constant {
            Some(Const::Array(items)) => cost(6 + 2 * len(items.len()), 0, 0),
            Some(
                Const::Null
                | Const::Bool(_)
                | Const::Number(_)
                | Const::Decimal(_)
                | Const::Str(_)
                | Const::Object(_),
            )
            | None => cost(20, 0, 0),
        },
        PredOp::StartsWith | PredOp::EndsWith => cost(6, 0, 0),
        PredOp::Contains => CONTAINS,
        PredOp::Matches => match pattern {
            Some(Pattern {
                engine: Engine::Dfa { .. },
                ..
            }) => MATCHES_DFA,
            Some(Pattern {
                engine: Engine::Source(_),
                ..
            })
            | None => cost(60, 1_500, 1),
        },
        PredOp::Any | PredOp::All => body(),
        PredOp::EqFold => match constant {
            Some(Const::Array(items)) => cost(8 + 8 * len(items.len()), 0, 0),
            Some(Const::Object(members)) => cost(8 + 12 * len(members.len()), 0, 0),
            Some(Const::Null | Const::Bool(_) | Const::Number(_) | Const::Decimal(_)) => cost(3, 0, 0),
            Some(Const::Str(_)) | None => cost(15, 0, 0),
        },
        PredOp::InFold => match constant {
            Some(Const::Array(items)) => cost(30 + 4 * len(items.len()), 0, 0),
            Some(
                Const::Null
                | Const::Bool(_)
                | Const::Number(_)
                | Const::Decimal(_)
                | Const::Str(_)
                | Const::Object(_),
            )
            | None => cost(40, 0, 0),
        },
        PredOp::StartsWithFold | PredOp::EndsWithFold => cost(20, 0, 0),
        PredOp::ContainsFold => CONTAINS_FOLD,
        PredOp::InCidr => cost(60, 0, 0),
        PredOp::Before | PredOp::After => cost(40, 0, 0),
        PredOp::TimeBetween => cost(120, 0, 0),
    }
}

/// Elements that a kilobyte of a request holds at most: each takes a byte and a comma.
const ELEMENTS_PER_KB: u64 = 512;
/// What goes on around the nodes of a body, for each of them.
const NODE: u64 = 2;

/// What asking a body of the elements of a list costs: it grows with the list, and with the text in it.
fn quantifier(program: &Program, q: BodyIdx) -> Cost {
    let own = body(program, q);
    Cost {
        fixed: 10,
        per_text_kb: own
            .fixed
            .saturating_mul(ELEMENTS_PER_KB)
            .saturating_add(own.per_text_kb),
        scans: own.scans,
    }
}

/// What asking a body of one element costs. A body in it is asked of elements that lie in this one, so that together
/// they are no more than the request holds.
fn body(program: &Program, q: BodyIdx) -> Cost {
    let mut total = Cost::default();
    let nodes = program.bodies.get(q.index()).map_or(&[][..], |body| &body.nodes);
    for node in nodes {
        let own = match node {
            // A predicate is evaluated once, and counted there.
            Node::And(_) | Node::Or(_) | Node::Not(_) | Node::Pred { .. } => Cost::default(),
            Node::Test(test) => item_test(program, test),
        };
        total.fixed = total.fixed.saturating_add(own.fixed).saturating_add(NODE);
        total.per_text_kb = total.per_text_kb.saturating_add(own.per_text_kb);
        total.scans = total.scans.saturating_add(own.scans);
    }
    total
}

fn item_test(program: &Program, test: &ItemTest) -> Cost {
    let (constant, pattern) = match test.operand {
        ItemOperand::Plain(PredOperand::Const(k)) => (program.consts.get(k.index()), None),
        ItemOperand::Plain(PredOperand::Pattern(x)) => (None, program.patterns.get(x.index())),
        ItemOperand::Plain(PredOperand::None | PredOperand::Field(_) | PredOperand::Body(_))
        | ItemOperand::Item(_) => (None, None),
    };
    compare(test.op, constant, pattern, || {
        test.body().map(|q| body(program, q)).unwrap_or_default()
    })
}

/// Whether a body, or one below it, sets fields of the request beside elements: then nothing but the fuel bounds it.
#[must_use]
pub fn crosses(program: &Program, q: BodyIdx) -> bool {
    program.bodies.get(q.index()).is_some_and(|body| {
        body.crosses()
            || body
                .tests()
                .filter_map(ItemTest::body)
                .any(|q| crosses(program, q))
    })
}

/// What a comparison is expected to cost, its field included, for ordering operands.
#[must_use]
pub fn expected(program: &Program, pred: &Predicate) -> u64 {
    let own = predicate(program, pred);
    let other = match pred.operand {
        PredOperand::Field(f) => field(program, f),
        PredOperand::None | PredOperand::Const(_) | PredOperand::Pattern(_) | PredOperand::Body(_) => 0,
    };
    own.fixed + own.per_text_kb * text_bytes(program, pred.field) / 1024 + field(program, pred.field) + other
}

/// What one scan of a field costs, hits aside.
pub const SCAN: Cost = cost(80, 600, 1);

/// What a scan of `field` is expected to cost.
#[must_use]
pub fn scan(program: &Program, field: FieldIdx) -> u64 {
    SCAN.fixed + SCAN.per_text_kb * text_bytes(program, field) / 1024
}

/// What a comparison that a scan could answer is expected to cost without it, with an automaton for its pattern.
#[must_use]
pub fn searched_alone(program: &Program, predicate: &Predicate) -> u64 {
    let own = if predicate.op == PredOp::Contains {
        CONTAINS
    } else if predicate.op == PredOp::ContainsFold {
        CONTAINS_FOLD
    } else {
        MATCHES_DFA
    };
    own.fixed + own.per_text_kb * text_bytes(program, predicate.field) / 1024
}

fn text_bytes(program: &Program, field: FieldIdx) -> u64 {
    if is_prompt(program, field) {
        PROMPT_BYTES
    } else {
        SHORT_TEXT_BYTES
    }
}

fn field(program: &Program, field: FieldIdx) -> u64 {
    let computed = program
        .fields
        .get(field.index())
        .and_then(|f| f.derived.as_ref())
        .map(|derived| intrinsic(derived.intrinsic))
        .unwrap_or_default();
    computed.fixed + computed.per_text_kb * PROMPT_BYTES / 1024
}

fn is_prompt(program: &Program, field: FieldIdx) -> bool {
    program
        .fields
        .get(field.index())
        .is_some_and(|f| holds_long_text(&f.path))
}

/// Whether a field holds the long texts of a request.
#[must_use]
pub fn holds_long_text(path: &[PathSegment]) -> bool {
    const LONG: [&str; 9] = [
        "prompt",
        "messages",
        "system",
        "input",
        "instructions",
        "contents",
        "text",
        "normalizedText",
        "lastUserText",
    ];
    let key = |at: usize| match path.get(at) {
        Some(PathSegment::Key { name, .. }) => Some(name.as_str()),
        Some(PathSegment::Index(_) | PathSegment::FromEnd(_)) | None => None,
    };
    key(0) == Some("llm") && key(1).is_some_and(|name| LONG.contains(&name))
}

fn len(n: usize) -> u64 {
    u64::try_from(n).unwrap_or(u64::MAX / 16).min(1 << 32)
}
