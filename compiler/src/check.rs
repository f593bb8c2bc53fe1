//! Check: what can be said about policies before any request. Adds errors and warnings, changes nothing.
//!
//! Third stage, one policy at a time. Nine looks, each a file:
//!
//! - `types`: comparisons that the type of their field rules out;
//! - `words`: comparisons with a word that the field never holds;
//! - `spelling`: comparisons with a text in a spelling that the field never has;
//! - `models`: deny rules that other spellings of a model pass;
//! - `constants`: conditions that are true or false for every request;
//! - `conjunctions`: parts of one `and` that contradict or repeat each other;
//! - `shadow`: rules that an earlier deny rule of the same policy makes superfluous;
//! - `effects`: modifications that a deny rule of the same policy makes superfluous;
//! - `patterns`: patterns that each take a pass of their own over long texts.
//!
//! Everything said is exact in three-valued logic with missing fields and errors: where a condition can still be an
//! error, and so fire its rule, the text says "never true", not "never fires". Only cheap cases are decided: the work
//! is linear in the number of comparisons. Where pairs are compared, the looks have so many steps for each comparison of
//! the policy ([`Work`]); what would take more is not said.

mod conjunctions;
mod constants;
mod effects;
mod literals;
mod models;
mod patterns;
mod shadow;
mod spelling;
mod types;
mod words;

use crate::hir::{Cond, Program, Test};
use crate::limits::{Ended, stopped};
use crate::options::Options;
use crate::resolve::Resolved;
use policy_grammar::Diagnostic;
use policy_grammar::codes::Code;
use std::cell::Cell;

/// Checks one policy.
///
/// # Errors
///
/// A diagnostic that ends the compilation when it is stopped.
pub(crate) fn check(
    resolved: &Resolved,
    options: &Options,
    diagnostics: &mut Vec<Diagnostic>,
) -> Result<(), Ended> {
    let go_on = || options.stop.check().map_err(stopped);
    for program in [&resolved.live, &resolved.idle] {
        types::check(program, diagnostics);
        words::check(program, diagnostics);
        spelling::check(program, diagnostics);
        models::check(program, diagnostics);
        go_on()?;
        conjunctions::check(program, &Work::of(program), diagnostics);
        go_on()?;
    }
    for program in [&resolved.live, &resolved.idle] {
        constants::check(program, diagnostics);
    }
    let work = Work::of(&resolved.live);
    shadow::check(&resolved.live, &work, &options.stop, diagnostics);
    go_on()?;
    effects::check(&resolved.live, &work, &options.stop, diagnostics);
    go_on()?;
    patterns::check(&resolved.live, options, diagnostics);
    go_on()
}

/// Steps that looks at pairs may take: so many for each comparison, so that all of them together are linear.
#[derive(Debug)]
struct Work(Cell<usize>);

impl Work {
    /// Steps for each comparison of a policy: a hundred times what policies of people take.
    const FOR_EACH: usize = 1024;

    fn of(program: &Program) -> Self {
        let mut comparisons = 16;
        each_test(program, &mut |_| comparisons += 1);
        Self(Cell::new(Self::FOR_EACH.saturating_mul(comparisons)))
    }

    /// Takes a step; false where none is left.
    fn step(&self) -> bool {
        let left = self.0.get();
        self.0.set(left.saturating_sub(1));
        left > 0
    }

    fn is_over(&self) -> bool {
        self.0.get() == 0
    }

    /// What was found, unless the steps ended while it was looked for: then nobody knows.
    fn certain<T>(&self, found: T) -> Option<T> {
        (!self.is_over()).then_some(found)
    }
}

/// Calls `each` with every comparison of the program that looks at the request.
fn each_test<'p>(program: &'p Program, each: &mut impl FnMut(&'p Test)) {
    fn walk<'p>(cond: &'p Cond, each: &mut impl FnMut(&'p Test)) {
        match cond {
            Cond::And { operands, .. } | Cond::Or { operands, .. } => {
                operands.iter().for_each(|operand| walk(operand, each));
            }
            Cond::Not { operand, .. } => walk(operand, each),
            Cond::Test(test) => each(test),
        }
    }
    for rule in program.policies.iter().flat_map(|p| &p.rules) {
        walk(&rule.condition, each);
    }
    program.bodies.iter().flat_map(|body| &body.tests).for_each(each);
}

/// Whether a policy can never take part in a decision. To be reported only where nothing is an error: a rule that
/// could not be resolved is absent here, but nobody knows that it never fires.
pub(crate) fn never_fires(program: &Program) -> Option<Diagnostic> {
    let policy = program.policies.first()?;
    let never = |rule: &crate::hir::Rule| constants::constant(program, &rule.condition) == Some(false);
    policy.rules.iter().all(never).then(|| {
        let why = if policy.rules.is_empty() {
            "it has no enabled rule"
        } else {
            "every condition is false for every request"
        };
        Diagnostic::new(
            Code::DisabledRule,
            policy.span,
            format!("no rule of the policy `{}` can ever fire: {why}", policy.id),
        )
    })
}
