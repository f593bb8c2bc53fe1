//! Effects: modify rules whose change no request ever sees, because a deny rule of the same policy refuses it.
//!
//! A deny beats a modification, and what a modification makes is looked at once more. So a change is in vain when a deny
//! rule fires wherever the modify rule does, or fires on the value that the change makes. As for shadowed rules (which
//! are those that an *earlier* deny rule makes superfluous), rules are compared as sets of literals, one for each
//! alternative of a top-level `or`. Pairs of rules are compared as long as there is [`Work`] left; values are looked up by
//! their field.

use super::Work;
use super::literals::{Literal, field, holds_on, implies};
use super::shadow::{Alternative, alternatives};
use crate::hir::{Policy, Program, Rule};
use policy_bytecode::manifest::{ModificationInfo, ValueNode, VerbInfo};
use policy_bytecode::module::Decision;
use policy_bytecode::{Const, FieldIdx, Stop};
use policy_grammar::Diagnostic;
use policy_grammar::codes::Code;
use std::collections::BTreeMap;

pub(super) fn check(program: &Program, work: &Work, stop: &Stop, diagnostics: &mut Vec<Diagnostic>) {
    for policy in &program.policies {
        check_policy(program, policy, work, stop, diagnostics);
    }
}

/// A deny rule, its place among the rules, and its alternatives that are known in full.
struct Denial<'p> {
    at: usize,
    rule: &'p Rule,
    sets: Vec<Alternative>,
}

fn check_policy(
    program: &Program,
    policy: &Policy,
    work: &Work,
    stop: &Stop,
    diagnostics: &mut Vec<Diagnostic>,
) {
    if !policy.rules.iter().any(|rule| rule.decision == Decision::Modify) {
        return;
    }
    let denials: Vec<Denial<'_>> = policy
        .rules
        .iter()
        .enumerate()
        .filter(|(_, rule)| rule.decision == Decision::Deny)
        .map(|(at, rule)| Denial {
            at,
            rule,
            sets: alternatives(&rule.condition)
                .into_iter()
                .filter(|set| set.exact && !set.literals.is_empty())
                .collect(),
        })
        .collect();
    // A change that another rule may join or replace says nothing about what comes out.
    let mut writers: BTreeMap<FieldIdx, usize> = BTreeMap::new();
    for modification in policy.rules.iter().flat_map(|rule| &rule.modifications) {
        *writers.entry(modification.field).or_insert(0) += 1;
    }
    let by_field = by_field(program, &denials);
    for (at, rule) in policy.rules.iter().enumerate() {
        if stop.is_asked() {
            return;
        }
        if rule.decision != Decision::Modify {
            continue;
        }
        let own = alternatives(&rule.condition);
        if let Some(denial) = always_denied(program, &own, &denials, work) {
            // Of an earlier deny rule, the look at shadowed rules has said so.
            if denial.at > at {
                diagnostics.push(report(
                    rule,
                    denial.rule,
                    format!(
                        "whenever the rule `{}` fires, the rule `{}` denies the request",
                        rule.id, denial.rule.id
                    ),
                    "never changes a request",
                ));
            }
            continue;
        }
        for modification in &rule.modifications {
            if writers.get(&modification.field) != Some(&1) {
                continue;
            }
            let Some(value) = made(program, modification) else {
                continue;
            };
            let fires = |(_, literals): &&(&Rule, &[Literal])| {
                literals
                    .iter()
                    .all(|literal| holds_on(program, *literal, value, work) == Some(true))
            };
            let denials = by_field.get(&modification.field).map_or(&[][..], Vec::as_slice);
            if let Some((denial, _)) = denials.iter().find(fires) {
                diagnostics.push(report(
                    rule,
                    denial,
                    format!(
                        "the rule `{}` denies what the rule `{}` makes of `{}`",
                        denial.id, rule.id, modification.path
                    ),
                    "changes only requests that are denied",
                ));
            }
        }
    }
}

fn report(rule: &Rule, denial: &Rule, message: String, label: &str) -> Diagnostic {
    Diagnostic::new(Code::VainModification, rule.span, message)
        .label(label)
        .also(denial.span, "a deny beats every modification")
}

/// The literal sets of deny rules that speak of one field only, by that field.
fn by_field<'d>(
    program: &Program,
    denials: &'d [Denial<'_>],
) -> BTreeMap<FieldIdx, Vec<(&'d Rule, &'d [Literal])>> {
    let mut map: BTreeMap<FieldIdx, Vec<_>> = BTreeMap::new();
    for denial in denials {
        for set in &denial.sets {
            let mut fields = set.literals.iter().map(|literal| field(program, *literal));
            if let Some(Some(first)) = fields.next()
                && fields.all(|other| other == Some(first))
            {
                map.entry(first)
                    .or_default()
                    .push((denial.rule, set.literals.as_slice()));
            }
        }
    }
    map
}

/// The deny rule that fires whenever one of `own` holds; `None` also when looking takes too long.
fn always_denied<'d, 'p>(
    program: &Program,
    own: &[Alternative],
    denials: &'d [Denial<'p>],
    work: &Work,
) -> Option<&'d Denial<'p>> {
    if own.is_empty() {
        return None;
    }
    let covers = |literals: &[Literal], set: &Alternative| {
        set.literals
            .iter()
            .all(|wanted| literals.iter().any(|own| implies(program, *own, *wanted, work)))
    };
    let covered = |denial: &&Denial<'_>| {
        work.step()
            && own
                .iter()
                .all(|own| denial.sets.iter().any(|set| covers(&own.literals, set)))
    };
    denials
        .iter()
        .take_while(|_| work.certain(()).is_some())
        .find(covered)
}

/// The value that a modification leaves where it changes anything, when it is a constant.
fn made<'p>(program: &'p Program, modification: &ModificationInfo) -> Option<&'p Const> {
    let constant = |value: &u32| match program.values.get(*value as usize) {
        Some(ValueNode::Const(k)) => program.consts.get(*k),
        Some(ValueNode::Template(_) | ValueNode::Array(_) | ValueNode::Object(_)) | None => None,
    };
    match &modification.verb {
        VerbInfo::Set(value) | VerbInfo::Default(value) => constant(value),
        VerbInfo::Cap(k) | VerbInfo::Floor(k) => program.consts.get(*k),
        VerbInfo::Remove => Some(&Const::Null),
        VerbInfo::Append(_) | VerbInfo::Redact(_) => None,
    }
}
