//! From fired rules to a decision: strongest verb, first reason, matches, composed modifications, merged metadata, errors.

use crate::derive::DeriveHost;
use crate::explain::{self, Blame};
use crate::modify::{self, Composed};
use crate::names::View;
use crate::response::{DecisionView, ErrorView, MatchView};
use crate::second::Denial;
use crate::snapshot::Policies;
use crate::template;
use bumpalo::collections::Vec as BumpVec;
use policy_bytecode::RuleIdx;
use policy_bytecode::module::Decision as Verb;
use policy_vm::{Bump, Evaluation, Hit, Host, Value};

/// What an evaluation comes to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Strongest {
    pub(crate) verb: Verb,
    /// The first fired rule with that verb; `None` where the default decided.
    pub(crate) rule: Option<RuleIdx>,
}

/// The strongest verb of the fired rules, or `default` where none fired.
///
/// A rule that fired because its condition could not be told takes the place of the default only where it is stronger:
/// what cannot be evaluated must not turn a default deny into a warning that lets the request pass.
pub(crate) fn strongest<H: Host>(default: Verb, eval: &Evaluation<'_, H>) -> Strongest {
    let mut best: Option<(Verb, RuleIdx)> = None;
    let mut told = false;
    for hit in eval.hits().iter().filter(|hit| hit.fired) {
        told |= !hit.error;
        let Some(rule) = eval.module().rule(hit.rule.index()) else {
            continue;
        };
        if best.is_none_or(|(verb, _)| rule.decision > verb) {
            best = Some((rule.decision, hit.rule));
        }
    }
    match best {
        Some((verb, rule)) if told || verb >= default => Strongest {
            verb,
            rule: Some(rule),
        },
        Some(_) | None => Strongest {
            verb: default,
            rule: None,
        },
    }
}

/// Bytes of all reasons of a response after which no more are rendered: each may repeat a prompt.
const MAX_REASONS: usize = 1 << 20;

/// Builds the decision of an evaluation that has decided, and what the modifications come to. Everything lives in the
/// evaluation's arena.
pub(crate) fn assemble<'a>(
    policies: &'a Policies,
    names: View<'a>,
    default: Verb,
    eval: &mut Evaluation<'a, DeriveHost<'_>>,
) -> (DecisionView<'a>, Option<Composed<'a>>) {
    let bump = eval.bump();
    let manifest = &policies.manifest;
    let hits: &'a [Hit] = bump.alloc_slice_copy(eval.hits());
    let Strongest { verb, rule: decisive } = strongest(default, eval);

    let mut reason = None;
    let mut reasons = 0;
    let mut errors: BumpVec<'a, ErrorView<'a>> = BumpVec::new_in(bump);
    let mut matched_rules: BumpVec<'a, &'a str> = BumpVec::with_capacity_in(hits.len(), bump);
    let mut matched_policies: BumpVec<'a, &'a str> = BumpVec::new_in(bump);
    let mut matched: BumpVec<'a, MatchView<'a>> = BumpVec::with_capacity_in(hits.len(), bump);
    let mut metadata: BumpVec<'a, (&'a str, Value<'a>)> = BumpVec::new_in(bump);
    let mut last_policy = usize::MAX;
    for hit in hits {
        let Some(rule) = eval.module().rule(hit.rule.index()).copied() else {
            continue;
        };
        let blame = explain::blame(names, hit.rule, rule.policy.index());
        hit_errors(policies, hit, blame, eval, &mut errors);
        if !hit.fired {
            continue;
        }
        matched_rules.push(names.rule(hit.rule.index()));
        // Rules of one policy are consecutive, so this alone removes duplicates.
        if rule.policy.index() != last_policy {
            last_policy = rule.policy.index();
            matched_policies.push(blame.policy);
        }
        let info = manifest.rules.get(hit.rule.index());
        let template = info.and_then(|info| info.reason);
        let is_decisive = decisive == Some(hit.rule);
        let own = template.map(|t| match reasons <= MAX_REASONS || is_decisive {
            true => template::render(manifest, t, eval),
            false => "…",
        });
        reasons += own.map_or(0, str::len);
        if is_decisive {
            reason = own;
        }
        matched.push(MatchView {
            policy: blame.policy,
            rule: blame.rule,
            decision: rule.decision,
            reason: own,
        });
        for (key, value) in info.iter().flat_map(|info| &info.metadata) {
            if !metadata.iter().any(|(k, _)| k == key) {
                let value = template::build(manifest, *value, eval);
                metadata.push((key, value));
            }
        }
    }

    // With a deny there are none.
    let composed = (verb != Verb::Deny).then(|| modify::compose(policies, names, hits, eval, &mut errors));
    let view = DecisionView {
        verb,
        reason,
        matched_policies: matched_policies.into_bump_slice(),
        matched_rules: matched_rules.into_bump_slice(),
        matched: matched.into_bump_slice(),
        modifications: composed.map_or(&[], |composed| composed.entries),
        metadata: metadata.into_bump_slice(),
        errors: errors.into_bump_slice(),
    };
    (view, composed)
}

/// Appends the errors of a rule whose condition could not be told.
pub(crate) fn hit_errors<'a>(
    policies: &'a Policies,
    hit: &Hit,
    blame: Blame<'a>,
    eval: &mut Evaluation<'a, DeriveHost<'_>>,
    errors: &mut BumpVec<'a, ErrorView<'a>>,
) {
    if let Some(trap) = hit.trap {
        errors.push(explain::trap_error(trap, blame));
    } else if hit.error
        && let Some(info) = policies.manifest.rules.get(hit.rule.index())
    {
        explain::errors(policies, info.condition, blame, eval, errors);
    }
}

impl<'a> DecisionView<'a> {
    /// The decision after a look at the modified request that found it denied: its rules come behind those that fired
    /// before, and nothing is modified.
    pub(crate) fn overruled(self, denial: &Denial<'a>, bump: &'a Bump) -> Self {
        let mut matched_policies = BumpVec::new_in(bump);
        matched_policies.extend_from_slice(self.matched_policies);
        for fired in denial.matched {
            if !matched_policies.contains(&fired.policy) {
                matched_policies.push(fired.policy);
            }
        }
        let mut metadata = BumpVec::new_in(bump);
        metadata.extend_from_slice(self.metadata);
        for (key, value) in denial.metadata {
            if !metadata.iter().any(|(k, _)| k == key) {
                metadata.push((*key, *value));
            }
        }
        Self {
            verb: Verb::Deny,
            reason: denial.matched.first().and_then(|fired| fired.reason),
            matched_policies: matched_policies.into_bump_slice(),
            matched_rules: joined(self.matched_rules, denial.labels, bump),
            matched: joined(self.matched, denial.matched, bump),
            modifications: &[],
            metadata: metadata.into_bump_slice(),
            errors: joined(self.errors, denial.errors, bump),
        }
    }
}

fn joined<'a, T: Copy>(first: &[T], second: &[T], bump: &'a Bump) -> &'a [T] {
    let mut out = BumpVec::with_capacity_in(first.len() + second.len(), bump);
    out.extend_from_slice(first);
    out.extend_from_slice(second);
    out.into_bump_slice()
}
