//! Constants: conditions and parts of conditions that are true or false for every request.
//!
//! Only what holds for missing fields and for every type counts; a part that can be an error is never a constant.

use crate::fields::is_computed;
use crate::hir::{Cond, Program, Rule};
use policy_bytecode::predicate::{PredOperand, Takes};
use policy_bytecode::{Const, PredIdx};
use policy_grammar::codes::Code;
use policy_grammar::{Diagnostic, Span};
use std::collections::HashMap;

pub(super) fn check(program: &Program, diagnostics: &mut Vec<Diagnostic>) {
    for rule in program.policies.iter().flat_map(|p| &p.rules) {
        let mut causes = Vec::new();
        find(program, &rule.condition, &mut causes);
        if causes.is_empty() {
            continue;
        }
        let whole = constant(program, &rule.condition);
        for (span, value) in causes {
            diagnostics.push(report(rule, span, value, whole));
        }
    }
}

fn report(rule: &Rule, span: Span, value: bool, whole: Option<bool>) -> Diagnostic {
    let code = if value {
        Code::AlwaysTrue
    } else {
        Code::AlwaysFalse
    };
    let d = Diagnostic::new(code, span, format!("this is {value} for every request"));
    match whole {
        Some(true) => d.label(format!("so the rule `{}` always fires", rule.id)),
        Some(false) => d.label(format!("so the rule `{}` never fires", rule.id)),
        None => d,
    }
}

/// The value that a condition has for every request, when it can be told.
pub(super) fn constant(program: &Program, cond: &Cond) -> Option<bool> {
    match cond {
        Cond::And { operands, .. } => junction(program, operands, false),
        Cond::Or { operands, .. } => junction(program, operands, true),
        Cond::Not { operand, .. } => constant(program, operand).map(|value| !value),
        Cond::Test(test) => leaf(program, test.pred).map(|value| value != test.negated),
    }
}

fn junction(program: &Program, operands: &[Cond], deciding: bool) -> Option<bool> {
    let values: Vec<Option<bool>> = operands.iter().map(|c| constant(program, c)).collect();
    if values.contains(&Some(deciding)) || complementary(program, operands).is_some() {
        return Some(deciding);
    }
    values.iter().all(|v| *v == Some(!deciding)).then_some(!deciding)
}

/// Membership in the empty list is false for every value and for a missing field.
fn leaf(program: &Program, pred: PredIdx) -> Option<bool> {
    let predicate = program.predicates.get(pred.index())?;
    let PredOperand::Const(k) = predicate.operand else {
        return None;
    };
    let empty = matches!(program.consts.get(k), Some(Const::Array(items)) if items.is_empty());
    (predicate.op.takes() == Takes::List && empty && !fallible(program, pred)).then_some(false)
}

/// Whether a comparison can be an error on a request that holds what belongs there; see [`crate::ir::Program::fallible`].
pub(super) fn fallible(program: &Program, pred: PredIdx) -> bool {
    program.predicates.get(pred.index()).is_none_or(|p| {
        p.op.fallible()
            || matches!(p.operand, PredOperand::Field(_))
            || program
                .fields
                .get(p.field)
                .is_none_or(|f| is_computed(&f.field.path))
    })
}

/// Two direct operands of which one is the negation of the other, and neither can be an error: places of both.
fn complementary(program: &Program, operands: &[Cond]) -> Option<(Span, Span)> {
    let mut seen: HashMap<(PredIdx, bool), Span> = HashMap::new();
    for operand in operands {
        let (test, negated) = match operand {
            Cond::Test(test) => (test, test.negated),
            Cond::Not { operand, .. } => match operand.as_ref() {
                Cond::Test(test) => (test, !test.negated),
                Cond::And { .. } | Cond::Or { .. } | Cond::Not { .. } => continue,
            },
            Cond::And { .. } | Cond::Or { .. } => continue,
        };
        if let Some(first) = seen.get(&(test.pred, !negated))
            && !fallible(program, test.pred)
        {
            return Some((*first, operand.span()));
        }
        seen.insert((test.pred, negated), operand.span());
    }
    None
}

/// The innermost parts that are constant. Contradictions inside an `and` are reported as such elsewhere.
fn find(program: &Program, cond: &Cond, out: &mut Vec<(Span, bool)>) {
    match cond {
        Cond::And { operands, .. } => operands.iter().for_each(|c| find(program, c, out)),
        Cond::Or { span, operands } => {
            operands.iter().for_each(|c| find(program, c, out));
            if complementary(program, operands).is_some() {
                out.push((*span, true));
            }
        }
        Cond::Not { operand, .. } => find(program, operand, out),
        Cond::Test(test) => {
            if let Some(value) = leaf(program, test.pred) {
                out.push((test.span, value != test.negated));
            }
        }
    }
}
