//! From fired rules to a decision: strongest verb, first reason, matches, merged modifications and metadata, errors.

use crate::derive::DeriveHost;
use crate::explain::{self, Blame};
use crate::modify;
use crate::response::{DecisionView, ErrorView};
use crate::snapshot::Policies;
use crate::template;
use bumpalo::collections::Vec as BumpVec;
use policy_bytecode::RuleIdx;
use policy_bytecode::module::Decision as Verb;
use policy_vm::{Evaluation, Hit, Host, Value};

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

/// Builds the decision of an evaluation that has decided. Everything lives in the evaluation's arena.
pub(crate) fn assemble<'a>(
    policies: &'a Policies,
    default: Verb,
    eval: &mut Evaluation<'a, DeriveHost<'_>>,
) -> DecisionView<'a> {
    let bump = eval.bump();
    let manifest = &policies.manifest;
    let hits: &'a [Hit] = bump.alloc_slice_copy(eval.hits());

    let mut errors: BumpVec<'a, ErrorView<'a>> = BumpVec::new_in(bump);
    let mut matched_rules: BumpVec<'a, &'a str> = BumpVec::with_capacity_in(hits.len(), bump);
    let mut matched_policies: BumpVec<'a, &'a str> = BumpVec::new_in(bump);
    let mut last_policy = usize::MAX;
    for hit in hits {
        let Some(rule) = eval.module().rule(hit.rule.index()).copied() else {
            continue;
        };
        let blame = explain::blame(policies, hit.rule, rule.policy.index());
        if let Some(trap) = hit.trap {
            errors.push(explain::trap_error(trap, blame));
        } else if hit.error
            && let Some(info) = manifest.rules.get(hit.rule.index())
        {
            explain::errors(policies, info.condition, blame, eval, &mut errors);
        }
        if !hit.fired {
            continue;
        }
        matched_rules.push(
            policies
                .rule_labels
                .get(hit.rule.index())
                .map_or("", String::as_str),
        );
        // Rules of one policy are consecutive, so this alone removes duplicates.
        if rule.policy.index() != last_policy {
            last_policy = rule.policy.index();
            matched_policies.push(blame.policy);
        }
    }

    let Strongest { verb, rule } = strongest(default, eval);
    let reason = rule
        .and_then(|rule| manifest.rules.get(rule.index()))
        .and_then(|info| info.reason)
        .map(|t| template::render(manifest, t, eval));

    let mut modifications: BumpVec<'a, (&'a str, Value<'a>)> = BumpVec::new_in(bump);
    let mut metadata: BumpVec<'a, (&'a str, Value<'a>)> = BumpVec::new_in(bump);
    for hit in hits.iter().filter(|h| h.fired) {
        let Some(info) = manifest.rules.get(hit.rule.index()) else {
            continue;
        };
        let policy = eval.policy_of(hit.rule).map_or(usize::MAX, |p| p.index());
        let blame: Blame<'a> = explain::blame(policies, hit.rule, policy);
        if verb != Verb::Deny {
            for modification in &info.modifications {
                // The rule first in order wins; a verb that has nothing to change (`$default` of what is there) leaves
                // the path to the next rule, so that it cannot switch off another rule's `$cap`.
                if modifications.iter().any(|(path, _)| *path == modification.path) {
                    continue;
                }
                if let Some(value) = modify::apply(policies, modification, blame, eval, &mut errors) {
                    modifications.push((&modification.path, value));
                }
            }
        }
        for (key, value) in &info.metadata {
            if !metadata.iter().any(|(k, _)| k == key) {
                let value = template::build(manifest, *value, eval);
                metadata.push((key, value));
            }
        }
    }

    DecisionView {
        verb,
        reason,
        matched_policies: matched_policies.into_bump_slice(),
        matched_rules: matched_rules.into_bump_slice(),
        modifications: modifications.into_bump_slice(),
        metadata: metadata.into_bump_slice(),
        errors: errors.into_bump_slice(),
    }
}
