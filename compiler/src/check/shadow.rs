//! Shadowed rules: rules that fire only when an earlier deny rule of the same policy fires as well.
//!
//! Evaluation stops at the first deny, and a later deny decides the same, so such a rule never changes anything. The
//! earlier rule is the witness. A rule is compared as a set of literals that must hold together, one set for each
//! alternative of a top-level `or`; it is shadowed when each of its sets implies, literal by literal, some set of an
//! earlier deny rule. That holds for errors as well: where no literal of the later set is false, no literal of the
//! earlier one is, so the earlier condition is true or an error, and an error fires a deny rule just as it fires the
//! later rule.
//!
//! Sets are found by their rarest literal, by their field for single thresholds, and a rule looks at a bounded number
//! of them: the work is linear in the number of literals.

use super::Work;
use super::constants::constant;
use super::literals::{Literal, conjuncts, disjuncts, field, implies};
use crate::hir::{Cond, Policy, Program, Rule};
use policy_bytecode::module::Decision;
use policy_bytecode::{FieldIdx, PredIdx, Stop};
use policy_grammar::Diagnostic;
use policy_grammar::codes::Code;
use std::collections::HashMap;

/// Sets that are looked at for one literal.
const MAX_CANDIDATES: usize = 16;
/// Literals of a set beyond which it is not looked at.
const MAX_LITERALS: usize = 64;

pub(super) fn check(program: &Program, work: &Work, stop: &Stop, diagnostics: &mut Vec<Diagnostic>) {
    for policy in &program.policies {
        if policy.rules.len() > 1 {
            check_policy(program, policy, work, stop, diagnostics);
        }
    }
}

fn check_policy(
    program: &Program,
    policy: &Policy,
    work: &Work,
    stop: &Stop,
    diagnostics: &mut Vec<Diagnostic>,
) {
    let sets: Vec<Vec<Alternative>> = policy
        .rules
        .iter()
        .map(|rule| alternatives(&rule.condition))
        .collect();
    let mut counts: HashMap<(PredIdx, bool), u32> = HashMap::new();
    for literal in sets.iter().flatten().flat_map(|a| &a.literals) {
        *counts.entry(literal.key()).or_insert(0) += 1;
    }
    let mut known = Known::default();
    let mut always: Option<&Rule> = None;
    for (rule, own) in policy.rules.iter().zip(&sets) {
        if stop.is_asked() {
            return;
        }
        if let Some(first) = always {
            diagnostics.push(
                Diagnostic::new(
                    Code::UnreachableRule,
                    rule.span,
                    format!("the rule `{}` can never change a decision", rule.id),
                )
                .also(first.span, "this rule denies every request"),
            );
            continue;
        }
        let shadows = own
            .iter()
            .map(|set| known.covering(program, &set.literals, work))
            .collect::<Option<Vec<usize>>>();
        if let Some(first) = shadows.and_then(|s| s.first().and_then(|i| policy.rules.get(*i))) {
            diagnostics.push(
                Diagnostic::new(
                    Code::ShadowedRule,
                    rule.span,
                    format!(
                        "whenever the rule `{}` fires, the earlier rule `{}` has denied the request already",
                        rule.id, first.id
                    ),
                )
                .label("never changes a decision")
                .also(first.span, "denies first"),
            );
            continue;
        }
        if rule.decision == Decision::Deny {
            if constant(program, &rule.condition) == Some(true) {
                always = Some(rule);
            }
            for set in own.iter().filter(|set| set.exact) {
                known.add(program, &set.literals, &counts);
            }
        }
        known.next_rule();
    }
}

/// Literals that hold together when one alternative of a condition does.
#[derive(Debug)]
pub(super) struct Alternative {
    pub(super) literals: Vec<Literal>,
    /// They are all of it. Other parts narrow it down further, which matters for the earlier rule only.
    pub(super) exact: bool,
}

/// The alternatives of a condition; none when there are too many to look at.
pub(super) fn alternatives(cond: &Cond) -> Vec<Alternative> {
    let mut parts = Vec::new();
    disjuncts(cond, false, &mut parts);
    if parts.len() > MAX_LITERALS {
        return Vec::new();
    }
    let mut out = Vec::with_capacity(parts.len());
    for (part, negate) in parts {
        let mut literals = Vec::new();
        let mut rest = Vec::new();
        conjuncts(part, negate, &mut literals, &mut rest);
        if literals.len() > MAX_LITERALS {
            return Vec::new();
        }
        out.push(Alternative {
            literals,
            exact: rest.is_empty(),
        });
    }
    out
}

/// A literal set of an earlier deny rule.
#[derive(Debug)]
struct Set {
    rule: usize,
    literals: Vec<Literal>,
}

/// What earlier deny rules cover.
#[derive(Debug, Default)]
struct Known {
    rule: usize,
    sets: Vec<Set>,
    by_rarest: HashMap<(PredIdx, bool), Vec<usize>>,
    /// Sets of one literal, by its field: they may cover a comparison with another constant.
    single: HashMap<FieldIdx, Vec<usize>>,
}

impl Known {
    fn next_rule(&mut self) {
        self.rule += 1;
    }

    fn add(&mut self, program: &Program, literals: &[Literal], counts: &HashMap<(PredIdx, bool), u32>) {
        let rarest = literals
            .iter()
            .min_by_key(|l| counts.get(&l.key()).copied().unwrap_or(0));
        let Some(rarest) = rarest else { return };
        let index = self.sets.len();
        let bucket = self.by_rarest.entry(rarest.key()).or_default();
        if bucket.len() < MAX_CANDIDATES {
            bucket.push(index);
        }
        if let ([only], Some(field)) = (literals, field(program, *rarest))
            && !only.negated
        {
            let bucket = self.single.entry(field).or_default();
            if bucket.len() < MAX_CANDIDATES {
                bucket.push(index);
            }
        }
        self.sets.push(Set {
            rule: self.rule,
            literals: literals.to_vec(),
        });
    }

    /// The first earlier rule that fires whenever all of `literals` hold.
    fn covering(&self, program: &Program, literals: &[Literal], work: &Work) -> Option<usize> {
        let candidates = literals.iter().flat_map(|l| {
            let same = self.by_rarest.get(&l.key());
            let field = field(program, *l).and_then(|f| self.single.get(&f));
            [same, field].into_iter().flatten().flatten()
        });
        candidates
            .filter_map(|i| self.sets.get(*i))
            .filter(|set| {
                set.literals
                    .iter()
                    .all(|wanted| literals.iter().any(|own| implies(program, *own, *wanted, work)))
            })
            .map(|set| set.rule)
            .min()
    }
}
