//! Conjunctions: parts of one `and` (or of one negated `or`) that contradict or repeat each other.
//!
//! Comparisons of one field are compared in pairs; groups of more than [`MAX_GROUP`] are left alone, so that the work
//! stays linear.

use super::Work;
use super::constants::fallible;
use super::literals::{Literal, conjuncts, contradicts, field, implies};
use crate::hir::{Cond, Program};
use policy_bytecode::FieldIdx;
use policy_bytecode::predicate::PredOp;
use policy_grammar::codes::Code;
use policy_grammar::{Diagnostic, Span};
use std::collections::BTreeMap;

/// Comparisons of one field in one `and` that are compared in pairs.
const MAX_GROUP: usize = 24;

pub(super) fn check(program: &Program, work: &Work, diagnostics: &mut Vec<Diagnostic>) {
    for rule in program.policies.iter().flat_map(|p| &p.rules) {
        conjunction(program, &rule.condition, false, work, diagnostics);
    }
}

fn conjunction(
    program: &Program,
    cond: &Cond,
    negate: bool,
    work: &Work,
    diagnostics: &mut Vec<Diagnostic>,
) {
    let mut literals = Vec::new();
    let mut rest = Vec::new();
    conjuncts(cond, negate, &mut literals, &mut rest);
    let mut groups: BTreeMap<FieldIdx, Vec<Literal>> = BTreeMap::new();
    if literals.len() > 1 {
        for literal in literals {
            if let Some(field) = field(program, literal) {
                groups.entry(field).or_default().push(literal);
            }
        }
    }
    for (field, group) in groups
        .into_iter()
        .filter(|(_, g)| g.len() > 1 && g.len() <= MAX_GROUP)
    {
        pairs(program, field, &group, work, diagnostics);
    }
    for (part, negate) in rest {
        alternatives(program, part, negate, work, diagnostics);
    }
}

/// Each alternative of an `or` is a conjunction of its own.
fn alternatives(
    program: &Program,
    cond: &Cond,
    negate: bool,
    work: &Work,
    diagnostics: &mut Vec<Diagnostic>,
) {
    match cond {
        Cond::And { operands, .. } | Cond::Or { operands, .. } => {
            repeated(program, operands, negate, work, diagnostics);
            for operand in operands {
                conjunction(program, operand, negate, work, diagnostics);
            }
        }
        Cond::Not { operand, .. } => conjunction(program, operand, !negate, work, diagnostics),
        Cond::Test(_) => {}
    }
}

/// Single comparisons among the alternatives of an `or` that another one covers.
fn repeated(
    program: &Program,
    operands: &[Cond],
    negate: bool,
    work: &Work,
    diagnostics: &mut Vec<Diagnostic>,
) {
    let mut groups: BTreeMap<FieldIdx, Vec<Literal>> = BTreeMap::new();
    for operand in operands {
        let mut literals = Vec::new();
        let mut rest = Vec::new();
        conjuncts(operand, negate, &mut literals, &mut rest);
        if let ([only], true) = (literals.as_slice(), rest.is_empty())
            && let Some(field) = field(program, *only)
        {
            groups.entry(field).or_default().push(*only);
        }
    }
    for (field, group) in groups
        .into_iter()
        .filter(|(_, g)| g.len() > 1 && g.len() <= MAX_GROUP)
    {
        let path = program
            .fields
            .get(field)
            .map(|f| f.path.to_string())
            .unwrap_or_default();
        for (i, b) in group.iter().enumerate() {
            let covered = group
                .iter()
                .enumerate()
                // Of two equal alternatives the later one is reported.
                .find(|(j, a)| {
                    *j != i
                        && implies(program, *b, **a, work)
                        && (*j < i || !implies(program, **a, *b, work))
                });
            if let Some((_, a)) = covered {
                diagnostics.push(
                    Diagnostic::new(
                        Code::RedundantCondition,
                        b.span,
                        format!("this alternative on `{path}` is covered by another one"),
                    )
                    .label("has no effect")
                    .also(a.span, "covered by this"),
                );
            }
        }
    }
}

/// Reports the first contradiction of a group; without one, the parts that others imply.
fn pairs(
    program: &Program,
    field: FieldIdx,
    group: &[Literal],
    work: &Work,
    diagnostics: &mut Vec<Diagnostic>,
) {
    let all = || {
        group
            .iter()
            .enumerate()
            .flat_map(|(i, a)| group.iter().skip(i + 1).map(move |b| (*a, *b)))
    };
    let path = program
        .fields
        .get(field)
        .map(|f| f.path.to_string())
        .unwrap_or_default();
    if let Some((a, b)) = all().find(|(a, b)| contradicts(program, *a, *b, work)) {
        let mut d = Diagnostic::new(
            Code::Contradiction,
            b.span,
            format!("two conditions on `{path}` are never true together"),
        )
        .label("contradicts the other")
        .also(a.span, "this one");
        if fallible(program, a.pred) || fallible(program, b.pred) {
            d = d.help("a value that cannot be compared is still an error, and an error fires the rule");
        }
        diagnostics.push(d);
        return;
    }
    let mut reported: Vec<Span> = Vec::new();
    for (a, b) in all() {
        // `exists` beside a comparison is redundant too, but it says what its author cares about.
        let quiet = |l: Literal| {
            program
                .predicates
                .get(l.pred.index())
                .is_some_and(|p| p.op == PredOp::Exists)
        };
        let (strong, weak) = if implies(program, a, b, work) {
            (a, b)
        } else if implies(program, b, a, work) {
            (b, a)
        } else {
            continue;
        };
        if reported.contains(&weak.span) || (quiet(weak) && strong.key() != weak.key()) {
            continue;
        }
        reported.push(weak.span);
        diagnostics.push(
            Diagnostic::new(
                Code::RedundantCondition,
                weak.span,
                format!("this condition on `{path}` is implied by another one"),
            )
            .label("has no effect")
            .also(strong.span, "implied by this"),
        );
    }
}
