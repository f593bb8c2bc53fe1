//! Models: deny rules that list models by `llm.model`, the text that the caller chose.
//!
//! Providers take other spellings of a model for the same one (`openai/gpt-4o`, `GPT-4o`, `gpt-4o-2024-08-06`), and a
//! list in a deny rule lets through what is not on it. `llm.canonicalModel` is one name for all of them. Only names that
//! this field can have are reported: a deployment's own name, a dated version or a prefix such as `ft:` is meant as it
//! is. Lists of what is allowed are not reported, because they refuse other spellings.

use crate::fields::dotted;
use crate::hir::{Cond, Program, Rule, Test};
use policy_bytecode::Const;
use policy_bytecode::module::Decision;
use policy_bytecode::predicate::{PredOp, PredOperand};
use policy_grammar::Diagnostic;
use policy_grammar::codes::Code;
use policy_primitives::prices::{PriceTable, canonical_name, family_name};
use std::collections::BTreeSet;
use std::sync::LazyLock;

/// Every name that `llm.canonicalModel` has, by the built-in price table, where `llm.model` is that name.
static NAMES: LazyLock<BTreeSet<String>> = LazyLock::new(|| {
    let table = PriceTable::builtin();
    let canonical = |entry| {
        let mut name = String::new();
        canonical_name(entry, &mut name);
        name
    };
    let mut names: BTreeSet<String> = table.entries().iter().map(canonical).collect();
    names.retain(|name| {
        table
            .identify(None, name)
            .is_some_and(|entry| canonical(entry) == *name)
    });
    names
});

/// Every family that `llm.modelFamily` has, by the built-in price table.
pub(super) static FAMILIES: LazyLock<BTreeSet<&str>> =
    LazyLock::new(|| NAMES.iter().map(|name| family_name(name)).collect());

pub(super) fn check(program: &Program, diagnostics: &mut Vec<Diagnostic>) {
    for rule in program.policies.iter().flat_map(|p| &p.rules) {
        if rule.decision == Decision::Deny {
            check_rule(program, rule, diagnostics);
        }
    }
}

fn check_rule(program: &Program, rule: &Rule, diagnostics: &mut Vec<Diagnostic>) {
    let mut found = Found::default();
    search(program, &rule.condition, false, &mut found);
    if found.canonical {
        return;
    }
    for (test, name) in found.spellings {
        diagnostics.push(
            Diagnostic::new(
                Code::ModelSpelling,
                test.field_span,
                format!("other spellings of `{name}` pass this comparison of `llm.model`"),
            )
            .label(format!("such as `openai/{name}`, or `{}`", name.to_uppercase()))
            .help("compare `llm.canonicalModel`, which is the same for every spelling and date of a model"),
        );
    }
}

/// What a rule says of the model.
#[derive(Default)]
struct Found<'p> {
    /// It looks at what the name stands for.
    canonical: bool,
    /// Comparisons with a name of a model, of which others escape, and that name.
    spellings: Vec<(&'p Test, &'p str)>,
}

fn search<'p>(program: &'p Program, cond: &'p Cond, negate: bool, found: &mut Found<'p>) {
    match cond {
        Cond::And { operands, .. } | Cond::Or { operands, .. } => operands
            .iter()
            .for_each(|operand| search(program, operand, negate, found)),
        Cond::Not { operand, .. } => search(program, operand, !negate, found),
        Cond::Test(test) => {
            let Some(predicate) = program.predicates.get(test.pred.index()) else {
                return;
            };
            let field = program.fields.get(predicate.field);
            match field.and_then(|f| dotted(&f.field)).as_deref() {
                Some("llm.canonicalModel" | "llm.modelFamily") => found.canonical = true,
                Some("llm.model") if test.negated == negate => {
                    let name = spelling(program, predicate.op, predicate.operand);
                    found.spellings.extend(name.map(|name| (test, name)));
                }
                Some(_) | None => {}
            }
        }
    }
}

/// The name of a model that a comparison looks for letter by letter.
fn spelling(program: &Program, op: PredOp, operand: PredOperand) -> Option<&str> {
    let PredOperand::Const(k) = operand else {
        return None;
    };
    let text = |k| match program.consts.get(k) {
        Some(Const::Str(text)) => Some(text.as_str()),
        _other => None,
    };
    let listed = |name: &&str| NAMES.contains(name.to_ascii_lowercase().as_str());
    if op == PredOp::In {
        let Some(Const::Array(items)) = program.consts.get(k) else {
            return None;
        };
        return items.iter().filter_map(|k| text(*k)).find(listed);
    }
    let name = text(k)?;
    // A part of a name counts where names begin with it: other parts are often what `llm.canonicalModel` leaves out.
    let begins = |name: &str| {
        let wanted = name.to_ascii_lowercase();
        let next = NAMES.range(wanted.clone()..).next();
        wanted.len() > 1 && next.is_some_and(|known| known.starts_with(wanted.as_str()))
    };
    let escapes = (op == PredOp::Eq && listed(&name))
        || (matches!(op, PredOp::StartsWith | PredOp::Contains) && begins(name));
    escapes.then_some(name)
}
