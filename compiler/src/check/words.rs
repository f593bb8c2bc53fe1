//! Words: comparisons with a word that the field never holds, because all of its words are known.
//!
//! Where the engine computes the field, a misspelt word makes a rule that never fires and looks as if it did.

use super::each_test;
use crate::fields::{dotted, nearest};
use crate::hir::{Program, Test};
use policy_bytecode::context::PII_TYPES;
use policy_bytecode::predicate::{PredOp, PredOperand};
use policy_bytecode::{Const, ConstIdx};
use policy_grammar::Diagnostic;
use policy_grammar::codes::Code;

/// What `llm.unreadContent` can hold.
const UNREAD_KINDS: &[&str] = &["image", "audio", "file", "video", "encrypted", "unknown"];

/// Lists whose elements are all known, and what an element is.
const LISTS: &[(&str, &[&str], &str)] = &[
    ("llm.piiTypes", PII_TYPES, "type of personal data"),
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
    let list = LISTS.iter().find(|(list, ..)| path.as_deref() == Some(list));
    let (Some((path, known, what)), PredOperand::Const(k)) = (list, predicate.operand) else {
        return;
    };
    let items = match (predicate.op, program.consts.get(k)) {
        (PredOp::In | PredOp::Eq, Some(Const::Array(items))) => items.as_slice(),
        // Another comparison of the list with a text is never true, which is said elsewhere.
        (PredOp::Contains, Some(Const::Str(_))) => &[k],
        _other => return,
    };
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
                if items == [k] {
                    d.fix(test.operand_span, format!("\"{near}\""))
                } else {
                    d
                }
            }
            None => d.help(format!("it holds {}", known.join(", "))),
        });
    }
}
