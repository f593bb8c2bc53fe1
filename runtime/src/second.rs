//! The second look: a modified request is evaluated once more, because a modification must not make a request that
//! policies deny.
//!
//! The changed places are written into the text of the request, and that is evaluated like any other, with the same scope
//! and mode. A deny there is the decision, be it that of a rule or the default; whatever else fires there changes nothing,
//! and there is no third look. Where no condition looks at what changed, the outcome is known and nothing is done.
//!
//! Memory for it belongs to the worker: nothing is allocated once it has grown to the size of the traffic.

use crate::decision::{self, Denial, Metadata, Strongest};
use crate::derive::DeriveHost;
use crate::error::EvaluateError;
use crate::explain;
use crate::modify::Composed;
use crate::names::View;
use crate::response::{ErrorView, MatchView};
use crate::snapshot::Policies;
use crate::template::{self, MAX_REASONS, Room};
use bumpalo::collections::Vec as BumpVec;
use policy_bytecode::Stop;
use policy_bytecode::module::Decision as Verb;
use policy_vm::{Array, Bump, Evaluation, Hit, Iter, Mode, Object, Scope, Scratch, Set, Value};

/// Memory of one worker for second looks. Empty until the first.
#[derive(Debug, Default)]
pub(crate) struct Second {
    scratch: Scratch,
    body: String,
}

/// Bytes of a modified request that are kept for the next. One hostile request must not cost each worker its size.
const KEPT_BODY: usize = 4 << 20;

/// What a request is looked at with, the first time and the second.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Look<'a> {
    pub(crate) policies: &'a Policies,
    /// How the request sees policies and rules named.
    pub(crate) names: View<'a>,
    pub(crate) scope: Scope<'a>,
    /// The text of the request.
    pub(crate) context: &'a [u8],
    pub(crate) mode: Mode,
    /// Decision where no rule fires.
    pub(crate) default: Verb,
    pub(crate) trace: bool,
    pub(crate) stop: Option<&'a Stop>,
}

/// Evaluates the request as `composed` makes it. `None` unless it is denied.
pub(crate) fn look<'a>(
    look: Look<'a>,
    composed: &Composed<'_>,
    eval: &mut Evaluation<'a, DeriveHost<'_>>,
    second: &mut Second,
) -> Result<Option<Denial<'a>>, EvaluateError> {
    let Look {
        policies,
        names,
        scope,
        context,
        mode,
        default,
        trace,
        stop,
    } = look;
    if !composed.read {
        return Ok(None);
    }
    let bump = eval.bump();
    let Second { scratch, body } = second;
    if body.capacity() > KEPT_BODY {
        *body = String::new();
    }
    body.clear();
    policies
        .module
        .rewrite(context, composed.changes, bump, body)
        .map_err(EvaluateError::Modified)?;
    let mut host = eval.host().again();
    let mut again = policies
        .module
        .begin(scratch, &mut host, body.as_bytes())
        .map_err(EvaluateError::Modified)?;
    again.stop_when(stop);
    again.decide(scope, mode);
    let Strongest { verb, rule } = decision::strongest(default, &again);
    if verb != Verb::Deny {
        return Ok(None);
    }

    let hits: &[Hit] = again.bump().alloc_slice_copy(again.hits());
    let denies = |hit: &&Hit| {
        let rule = policies.module.rule(hit.rule.index());
        hit.fired && rule.is_some_and(|rule| rule.decision == Verb::Deny)
    };
    let mut labels = BumpVec::new_in(bump);
    let mut matched = BumpVec::new_in(bump);
    let mut metadata = Metadata::new(bump);
    let mut reasons = Room::new(MAX_REASONS);
    let mut errors = BumpVec::new_in(again.bump());
    for hit in hits.iter().filter(denies) {
        let Some(rule) = policies.module.rule(hit.rule.index()) else {
            continue;
        };
        let blame = explain::blame(names, hit.rule, rule.policy.index());
        decision::hit_errors(policies, hit, blame, &mut again, &mut errors);
        labels.push(names.rule(hit.rule.index()));
        let info = policies.manifest.rules.get(hit.rule.index());
        let reason = info.and_then(|info| info.reason);
        let reason = reason.map(|t| template::render(&policies.manifest, t, &mut again, &mut reasons));
        matched.push(MatchView {
            policy: blame.policy,
            rule: blame.rule,
            decision: rule.decision,
            reason: reason.map(|text| &*bump.alloc_str(text)),
        });
        for (key, value) in info.iter().flat_map(|info| &info.metadata) {
            metadata.add(&policies.manifest, key, *value, &mut again, |value| {
                kept(&value, bump)
            });
        }
    }
    let kept_errors = errors.iter().map(|error| ErrorView {
        policy: bump.alloc_str(error.policy),
        rule: bump.alloc_str(error.rule),
        field: bump.alloc_str(error.field),
        found: bump.alloc_str(error.found),
        expected: bump.alloc_str(error.expected),
        message: bump.alloc_str(error.message),
    });
    let mut errors = BumpVec::new_in(bump);
    errors.extend(kept_errors);
    let trace = trace.then(|| explain::rules(policies, names, |policy| scope.holds(policy), &mut again));
    Ok(Some(Denial {
        rule,
        failed: hits.iter().filter(denies).any(|hit| hit.error),
        labels: labels.into_bump_slice(),
        matched: matched.into_bump_slice(),
        metadata: metadata.entries.into_bump_slice(),
        errors: errors.into_bump_slice(),
        trace,
    }))
}

/// A value in another arena. Recursion is bounded by the depth limits of requests and policies.
fn kept<'a>(value: &Value<'_>, bump: &'a Bump) -> Value<'a> {
    match value {
        Value::Undefined | Value::Pending => Value::Undefined,
        Value::Unknown => Value::Unknown,
        Value::Null => Value::Null,
        Value::Bool(b) => Value::Bool(*b),
        Value::Number(n) => Value::Number(*n),
        Value::Str(text) => Value::Str(bump.alloc_str(text)),
        Value::Decimal(text) => Value::Decimal(bump.alloc_str(text)),
        Value::Array(items) => Value::Array(Array::new_in(kept_items(items.iter(), bump), bump)),
        Value::Set(items) => Value::Set(Set::new_in(kept_items(items.iter(), bump), bump)),
        Value::Object(members) => {
            let mut out: BumpVec<'a, (&'a str, Value<'a>)> = BumpVec::with_capacity_in(members.len(), bump);
            out.extend(
                members
                    .iter()
                    .map(|(key, value)| (&*bump.alloc_str(key), kept(&value, bump))),
            );
            Value::Object(Object::new_in(out.into_bump_slice(), bump))
        }
    }
}

fn kept_items<'a>(items: Iter<'_>, bump: &'a Bump) -> &'a [Value<'a>] {
    let mut out = BumpVec::with_capacity_in(items.len(), bump);
    out.extend(items.map(|item| kept(&item, bump)));
    out.into_bump_slice()
}
