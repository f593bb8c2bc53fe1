//! From fired rules to a decision: strongest verb, first reason, matches, composed modifications, merged metadata, errors.

use crate::derive::DeriveHost;
use crate::error::EvaluateError;
use crate::explain::{self, Blame};
use crate::modify::{self, Composed};
use crate::names::View;
use crate::response::{DecisionView, ErrorView, MatchView};
use crate::snapshot::Policies;
use crate::template::{self, CUT, MAX_METADATA, MAX_REASONS, Room};
use crate::trace::RuleTrace;
use bumpalo::collections::Vec as BumpVec;
use policy_bytecode::RuleIdx;
use policy_bytecode::manifest::Manifest;
use policy_bytecode::module::Decision as Verb;
use policy_vm::{Bump, Evaluation, Hit, Host, Value};
use std::collections::HashSet;

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

/// Builds the decision of an evaluation that has decided, and what the modifications come to. Everything lives in the
/// evaluation's arena.
///
/// # Errors
///
/// [`EvaluateError::ModificationsTooLarge`] when a modification is larger than a request may be.
pub(crate) fn assemble<'a>(
    policies: &'a Policies,
    names: View<'a>,
    default: Verb,
    eval: &mut Evaluation<'a, DeriveHost<'_>>,
) -> Result<(DecisionView<'a>, Option<Composed<'a>>), EvaluateError> {
    let bump = eval.bump();
    let manifest = &policies.manifest;
    let hits: &'a [Hit] = bump.alloc_slice_copy(eval.hits());
    let Strongest { verb, rule: decisive } = strongest(default, eval);

    // First, so that there is room for it whatever other rules say.
    let mut reasons = Room::new(MAX_REASONS);
    let template = decisive.and_then(|rule| manifest.rules.get(rule.index())?.reason);
    let reason = template.map(|t| template::render(manifest, t, eval, &mut reasons));
    let mut errors: BumpVec<'a, ErrorView<'a>> = BumpVec::new_in(bump);
    let mut matched_rules: BumpVec<'a, &'a str> = BumpVec::with_capacity_in(hits.len(), bump);
    let mut matched_policies: BumpVec<'a, &'a str> = BumpVec::new_in(bump);
    let mut matched: BumpVec<'a, MatchView<'a>> = BumpVec::with_capacity_in(hits.len(), bump);
    let mut metadata = Metadata::new(bump);
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
        let own = match info.and_then(|info| info.reason) {
            Some(_) if decisive == Some(hit.rule) => reason,
            Some(t) => Some(template::render(manifest, t, eval, &mut reasons)),
            None => None,
        };
        matched.push(MatchView {
            policy: blame.policy,
            rule: blame.rule,
            decision: rule.decision,
            reason: own,
        });
        for (key, value) in info.iter().flat_map(|info| &info.metadata) {
            metadata.add(manifest, key, *value, eval, |value| value);
        }
    }

    let composed = match verb {
        // There are none.
        Verb::Deny => None,
        Verb::Allow | Verb::Warn | Verb::Modify => {
            Some(modify::compose(policies, names, hits, eval, &mut errors)?)
        }
    };
    let view = DecisionView {
        verb,
        reason,
        matched_policies: matched_policies.into_bump_slice(),
        matched_rules: matched_rules.into_bump_slice(),
        matched: matched.into_bump_slice(),
        modifications: composed.map_or(&[], |composed| composed.entries),
        metadata: metadata.entries.into_bump_slice(),
        errors: errors.into_bump_slice(),
    };
    Ok((view, composed))
}

/// Metadata of fired rules, of which the first of each key counts.
pub(crate) struct Metadata<'a> {
    pub(crate) entries: BumpVec<'a, (&'a str, Value<'a>)>,
    /// Keys of the entries, once there are many.
    many: HashSet<&'a str>,
    room: Room,
}

/// Keys that are compared one by one; of more of them a set is kept, which takes memory from the heap.
const FEW_KEYS: usize = 16;

impl<'a> Metadata<'a> {
    pub(crate) fn new(bump: &'a Bump) -> Self {
        Self {
            entries: BumpVec::new_in(bump),
            many: HashSet::new(),
            room: Room::new(MAX_METADATA),
        }
    }

    /// Adds a value, put where it has to be kept by `kept`, unless there is one of this key. One that there is no room
    /// for is `…`.
    pub(crate) fn add<'e, H: Host>(
        &mut self,
        manifest: &'e Manifest,
        key: &'a str,
        value: u32,
        eval: &mut Evaluation<'e, H>,
        kept: impl FnOnce(Value<'e>) -> Value<'a>,
    ) {
        if self.holds(key) {
            return;
        }
        let value = template::build(manifest, value, eval, &mut self.room);
        self.entries.push((key, value.map_or(Value::Str(CUT), kept)));
    }

    fn holds(&mut self, key: &'a str) -> bool {
        if self.entries.len() < FEW_KEYS {
            return self.entries.iter().any(|(known, _)| *known == key);
        }
        if self.many.is_empty() {
            self.many.extend(self.entries.iter().map(|(known, _)| *known));
        }
        !self.many.insert(key)
    }
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

/// What the second look denies a request with, in the arena of the first.
#[derive(Debug)]
pub(crate) struct Denial<'a> {
    /// The first rule that denies; `None` where the default does.
    pub(crate) rule: Option<RuleIdx>,
    /// Whether the condition of a rule that denies could not be evaluated.
    pub(crate) failed: bool,
    /// How responses name the rules that deny.
    pub(crate) labels: &'a [&'a str],
    /// The rules that deny.
    pub(crate) matched: &'a [MatchView<'a>],
    pub(crate) metadata: &'a [(&'a str, Value<'a>)],
    pub(crate) errors: &'a [ErrorView<'a>],
    /// Every rule, where a trace is asked for.
    pub(crate) trace: Option<Vec<RuleTrace>>,
}

impl<'a> DecisionView<'a> {
    /// The decision after a look at the modified request that found it denied: its rules come behind those that fired
    /// before, and nothing is modified.
    pub(crate) fn overruled(self, denial: &Denial<'a>, bump: &'a Bump) -> Self {
        let matched = denial.matched.iter();
        let matched_policies = added(
            self.matched_policies,
            matched.map(|fired| fired.policy),
            |id| id,
            bump,
        );
        let metadata = added(
            self.metadata,
            denial.metadata.iter().copied(),
            |(key, _)| key,
            bump,
        );
        Self {
            verb: Verb::Deny,
            reason: denial.matched.first().and_then(|fired| fired.reason),
            matched_policies,
            matched_rules: joined(self.matched_rules, denial.labels, bump),
            matched: joined(self.matched, denial.matched, bump),
            modifications: &[],
            metadata,
            errors: joined(self.errors, denial.errors, bump),
        }
    }
}

/// What is there, and behind it what is named otherwise than all before it.
fn added<'a, T: Copy>(
    first: &[T],
    more: impl Iterator<Item = T>,
    name: impl Fn(T) -> &'a str,
    bump: &'a Bump,
) -> &'a [T] {
    let mut out: BumpVec<'a, T> = BumpVec::new_in(bump);
    out.extend_from_slice(first);
    let mut many: HashSet<&str> = HashSet::new();
    for one in more {
        let new = if out.len() < FEW_KEYS {
            !out.iter().any(|known| name(*known) == name(one))
        } else {
            if many.is_empty() {
                many.extend(out.iter().map(|known| name(*known)));
            }
            many.insert(name(one))
        };
        if new {
            out.push(one);
        }
    }
    out.into_bump_slice()
}

fn joined<'a, T: Copy>(first: &[T], second: &[T], bump: &'a Bump) -> &'a [T] {
    let mut out = BumpVec::with_capacity_in(first.len() + second.len(), bump);
    out.extend_from_slice(first);
    out.extend_from_slice(second);
    out.into_bump_slice()
}
