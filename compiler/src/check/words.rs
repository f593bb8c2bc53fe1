//! Words: comparisons with a word that the field never holds, because all of its words are known.
//!
//! Where the engine computes the field, a misspelt word makes a rule that never fires and looks as if it did.

use super::each_test;
use crate::fields::{dotted, nearest};
use crate::hir::{Program, Test};
use policy_bytecode::predicate::{PredOp, PredOperand};
use policy_bytecode::quantifier::{ItemOperand, Subject};
use policy_bytecode::{Const, ConstIdx};
use policy_grammar::Diagnostic;
use policy_grammar::codes::Code;
use policy_primitives::injection::InjectionSignal;
use policy_primitives::pii::PiiType;

/// What `llm.unreadContent` can hold.
const UNREAD_KINDS: &[&str] = &["image", "audio", "file", "video", "encrypted", "unknown"];

/// Lists whose elements are all known, and what an element is.
const LISTS: &[(&str, &[&str], &str)] = &[
    ("llm.piiTypes", PiiType::NAMES, "type of personal data"),
    (
        "llm.injectionSignals",
        InjectionSignal::NAMES,
        "category of prompt injection",
    ),
    ("llm.unreadContent", UNREAD_KINDS, "kind of unread content"),
];

pub(super) fn check(program: &Program, diagnostics: &mut Vec<Diagnostic>) {
    each_test(program, &mut |test| words(program, test, diagnostics));
}

fn words(program: &Program, test: &Test, diagnostics: &mut Vec<Diagnostic>) {
    let Some(predicate) = program.predicates.get(test.pred.index()) else {
        return;
    };
    let path = program.fields.get(predicate.field).and_then(|f| dotted(&f.field));
    let Some(list) = LISTS.iter().find(|(list, ..)| path.as_deref() == Some(list)) else {
        return;
    };
    match predicate.operand {
        PredOperand::Const(k) => {
            let fix = predicate.op == PredOp::Contains;
            unknown(
                program,
                list,
                items(program, predicate.op, &k),
                test,
                fix,
                diagnostics,
            );
        }
        PredOperand::Body(body) => {
            let Some(body) = program.bodies.get(body.index()) else {
                return;
            };
            for item in body.body.tests() {
                if let (Subject::Item(path), ItemOperand::Plain(PredOperand::Const(k))) =
                    (&item.subject, &item.operand)
                    && path.is_empty()
                {
                    // To ask whether an element is a word is to ask whether the list contains it.
                    let op = if item.op == PredOp::Eq {
                        PredOp::Contains
                    } else {
                        item.op
                    };
                    unknown(program, list, items(program, op, k), test, false, diagnostics);
                }
            }
        }
        PredOperand::None | PredOperand::Pattern(_) | PredOperand::Field(_) => {}
    }
}

/// The words that a comparison of a list looks for. Another comparison of it with a text is never true, which is said
/// elsewhere.
fn items<'p>(program: &'p Program, op: PredOp, k: &'p ConstIdx) -> &'p [ConstIdx] {
    match (op, program.consts.get(*k)) {
        (PredOp::In | PredOp::Eq, Some(Const::Array(items))) => items.as_slice(),
        (PredOp::Contains, Some(Const::Str(_))) => std::slice::from_ref(k),
        _other => &[],
    }
}

fn unknown(
    program: &Program,
    (path, known, what): &(&str, &[&str], &str),
    items: &[ConstIdx],
    test: &Test,
    fix: bool,
    diagnostics: &mut Vec<Diagnostic>,
) {
    let text = |k: &ConstIdx| match program.consts.get(*k) {
        Some(Const::Str(text)) => Some(text),
        _other => None,
    };
    for word in items
        .iter()
        .filter_map(text)
        .filter(|w| !known.contains(&w.as_str()))
    {
        let d = Diagnostic::new(
            Code::UnknownWord,
            test.operand_span,
            format!("`{word}` is no {what}, so `{path}` never holds it"),
        );
        diagnostics.push(match nearest(word, known.iter().copied()) {
            Some(near) => {
                let d = d.help(format!("did you mean `{near}`?"));
                // A list has one place for all its items, so a fix of one would replace them all.
                if fix {
                    d.fix(test.operand_span, format!("\"{near}\""))
                } else {
                    d
                }
            }
            None => d.help(format!("it holds {}", known.join(", "))),
        });
    }
}
