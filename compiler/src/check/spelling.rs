//! Spelling: comparisons with a text that the field never holds, because the engine computes the field in one spelling.
//!
//! `llm.normalizedText` is folded, and `llm.canonicalModel` is one name for every spelling of a model: a constant that
//! is spelt otherwise makes a rule that never fires and looks as if it did.

use super::each_test;
use super::models::FAMILIES;
use crate::fields::dotted;
use crate::hir::{Program, Test};
use policy_bytecode::Const;
use policy_bytecode::predicate::{PredOp, PredOperand};
use policy_grammar::Diagnostic;
use policy_grammar::codes::Code;
use policy_primitives::normalize::normalize;
use policy_primitives::prices::{PriceTable, canonical_name};
use regex_syntax::hir::{Hir, HirKind};

/// A field that the engine spells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Spelt {
    Text,
    Model,
    Family,
}

impl Spelt {
    fn of(path: &str) -> Option<Self> {
        match path {
            "llm.normalizedText" => Some(Self::Text),
            "llm.canonicalModel" => Some(Self::Model),
            "llm.modelFamily" => Some(Self::Family),
            _other => None,
        }
    }

    /// The spelling that the field has for what `text` means, where that is another one.
    fn instead(self, text: &str) -> Option<String> {
        let mut name = String::new();
        match self {
            Self::Text => {
                normalize(text, &mut name);
                // A blank at an end stands for one between words.
                if !name.is_empty() {
                    let blank = |ends: bool| if ends { " " } else { "" };
                    let before = blank(text.starts_with(char::is_whitespace));
                    name = format!("{before}{name}{}", blank(text.ends_with(char::is_whitespace)));
                }
                (name != text).then_some(name)
            }
            Self::Model => {
                let entry = PriceTable::builtin().identify(None, text)?;
                canonical_name(entry, &mut name);
                (name != text).then_some(name)
            }
            Self::Family => {
                let lower = text.to_lowercase();
                (lower != text && FAMILIES.contains(lower.as_str())).then_some(lower)
            }
        }
    }

    fn why(self) -> &'static str {
        match self {
            Self::Text => {
                "is in lower case, with plain letters for look-alikes and one blank for white space"
            }
            Self::Model => "is one name for every spelling of a model",
            Self::Family => "is in lower case",
        }
    }
}

pub(super) fn check(program: &Program, diagnostics: &mut Vec<Diagnostic>) {
    each_test(program, &mut |test| spelling(program, test, diagnostics));
}

fn spelling(program: &Program, test: &Test, diagnostics: &mut Vec<Diagnostic>) {
    let Some(predicate) = program.predicates.get(test.pred.index()) else {
        return;
    };
    let path = program.fields.get(predicate.field).and_then(|f| dotted(&f.field));
    let Some((path, spelt)) = path.and_then(|path| Spelt::of(&path).map(|spelt| (path, spelt))) else {
        return;
    };
    match predicate.operand {
        PredOperand::Const(k) => {
            let items = match (predicate.op, program.consts.get(k)) {
                (PredOp::In, Some(Const::Array(items))) => items.as_slice(),
                (PredOp::Eq, _) => std::slice::from_ref(&k),
                (PredOp::Contains | PredOp::StartsWith | PredOp::EndsWith, _) if spelt == Spelt::Text => {
                    std::slice::from_ref(&k)
                }
                _other => return,
            };
            for item in items {
                let Some(Const::Str(text)) = program.consts.get(*item) else {
                    continue;
                };
                if let Some(instead) = spelt.instead(text) {
                    let d = never(test, text, &path, spelt);
                    diagnostics.push(if instead.is_empty() {
                        d
                    } else {
                        d.help(format!("write `{instead}`"))
                    });
                }
            }
        }
        PredOperand::Pattern(x) if spelt == Spelt::Text => {
            let pattern = program.patterns.get(x.index());
            if let Some(literal) = pattern.and_then(|pattern| unfolded(&pattern.tree)) {
                diagnostics.push(
                    never(test, &literal, &path, spelt)
                        .help("write the pattern in lower case, or begin it with `(?i)`"),
                );
            }
        }
        PredOperand::None | PredOperand::Pattern(_) | PredOperand::Field(_) | PredOperand::Body(_) => {}
    }
}

fn never(test: &Test, text: &str, path: &str, spelt: Spelt) -> Diagnostic {
    Diagnostic::new(
        Code::UnknownWord,
        test.operand_span,
        format!("`{path}` never holds `{}`", text.escape_debug()),
    )
    .label(format!("this field {}", spelt.why()))
}

/// A literal of the pattern that normalised text never holds.
fn unfolded(hir: &Hir) -> Option<String> {
    match hir.kind() {
        HirKind::Literal(literal) => {
            let text = std::str::from_utf8(&literal.0).ok()?;
            let capital = |c: char| c.is_uppercase() && !c.is_lowercase();
            text.contains(capital).then(|| text.to_owned())
        }
        HirKind::Repetition(repetition) => unfolded(&repetition.sub),
        HirKind::Capture(capture) => unfolded(&capture.sub),
        HirKind::Concat(parts) | HirKind::Alternation(parts) => parts.iter().find_map(unfolded),
        HirKind::Empty | HirKind::Class(_) | HirKind::Look(_) => None,
    }
}
