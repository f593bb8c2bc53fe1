//! Modification verbs: from the present value and the policy's operand to the value that the caller has to use.
//!
//! A verb that meets a value of the wrong type never lets it pass as it is where the policy wanted a bound: `$cap` and
//! `$floor` then give their own number, and the response lists an error.

use crate::derive::DeriveHost;
use crate::explain::Blame;
use crate::response::ErrorView;
use crate::snapshot::Policies;
use crate::template;
use bumpalo::collections::Vec as BumpVec;
use policy_bytecode::ConstIdx;
use policy_bytecode::manifest::{ModificationInfo, VerbInfo};
use policy_primitives::pii::{PiiType, PiiTypeSet};
use policy_vm::{Evaluation, Value};
use std::cmp::Ordering;

/// The value that `modification` gives, or `None` when there is nothing to change.
pub(crate) fn apply<'a>(
    policies: &'a Policies,
    modification: &'a ModificationInfo,
    blame: Blame<'a>,
    eval: &mut Evaluation<'a, DeriveHost<'_>>,
    errors: &mut BumpVec<'a, ErrorView<'a>>,
) -> Option<Value<'a>> {
    let manifest = &policies.manifest;
    let current = eval.field(modification.field);
    let missing = !current.is_present();
    match &modification.verb {
        VerbInfo::Set(v) => Some(template::build(manifest, *v, eval)),
        VerbInfo::Default(v) => missing.then(|| template::build(manifest, *v, eval)),
        VerbInfo::Remove => (!missing).then_some(Value::Null),
        VerbInfo::Cap(k) => Some(bound(
            *k,
            Ordering::Greater,
            modification,
            current,
            blame,
            eval,
            errors,
        )),
        VerbInfo::Floor(k) => Some(bound(
            *k,
            Ordering::Less,
            modification,
            current,
            blame,
            eval,
            errors,
        )),
        VerbInfo::Append(v) => {
            let value = template::build(manifest, *v, eval);
            append(modification, current, value, blame, eval, errors)
        }
        VerbInfo::Redact(types) => {
            if missing {
                return None;
            }
            let types = wanted(types);
            Some(redact(current, types, eval))
        }
    }
}

/// The present number, or the constant where the number lies beyond it, is missing, or is no number.
fn bound<'a>(
    constant: ConstIdx,
    beyond: Ordering,
    modification: &'a ModificationInfo,
    current: Value<'a>,
    blame: Blame<'a>,
    eval: &mut Evaluation<'a, DeriveHost<'_>>,
    errors: &mut BumpVec<'a, ErrorView<'a>>,
) -> Value<'a> {
    let limit = eval.module().constant(constant, eval.bump());
    match (current, current.exact().zip(limit.exact())) {
        (value, Some((n, max))) if n.compare(max) != beyond => value,
        (_number, Some(_)) => limit,
        (value, None) => {
            if value.is_present() {
                errors.push(wrong_type(modification, value, "number", blame, eval));
            }
            limit
        }
    }
}

fn append<'a>(
    modification: &'a ModificationInfo,
    current: Value<'a>,
    value: Value<'a>,
    blame: Blame<'a>,
    eval: &mut Evaluation<'a, DeriveHost<'_>>,
    errors: &mut BumpVec<'a, ErrorView<'a>>,
) -> Option<Value<'a>> {
    let bump = eval.bump();
    match (current, value) {
        (Value::Array(items), value) => {
            let mut out = BumpVec::with_capacity_in(items.len() + 1, bump);
            out.extend_from_slice(items);
            out.push(value);
            Some(Value::Array(out.into_bump_slice()))
        }
        (Value::Str(text), Value::Str(more)) => {
            Some(Value::Str(template::text(bump, format_args!("{text}{more}"))))
        }
        (Value::Null | Value::Undefined | Value::Unknown, value) => {
            Some(Value::Array(bump.alloc_slice_copy(&[value])))
        }
        (other, value) => {
            let expected = if matches!(value, Value::Str(_)) {
                "array or string"
            } else {
                "array"
            };
            errors.push(wrong_type(modification, other, expected, blame, eval));
            None
        }
    }
}

fn wrong_type<'a>(
    modification: &'a ModificationInfo,
    found: Value<'a>,
    expected: &'a str,
    blame: Blame<'a>,
    eval: &Evaluation<'a, DeriveHost<'_>>,
) -> ErrorView<'a> {
    let found = found.type_name();
    let path = modification.path.as_str();
    let message = template::text(
        eval.bump(),
        format_args!("the modification of `{path}` needs {expected}, found {found}"),
    );
    ErrorView {
        policy: blame.policy,
        rule: blame.rule,
        field: path,
        found,
        expected,
        message,
    }
}

/// No names mean all types.
fn wanted(names: &[String]) -> PiiTypeSet {
    if names.is_empty() {
        return PiiTypeSet::ALL;
    }
    // Names were checked when the policy was compiled; one that this build does not know redacts everything, because
    // leaving something in is the worse mistake.
    let mut types = PiiTypeSet::EMPTY;
    for name in names {
        match name.parse::<PiiType>() {
            Ok(kind) => types.insert(kind),
            Err(_unknown) => return PiiTypeSet::ALL,
        }
    }
    types
}

/// Redacts every string of a value. Recursion is bounded by the depth limit of the request.
fn redact<'a>(value: Value<'a>, types: PiiTypeSet, eval: &mut Evaluation<'a, DeriveHost<'_>>) -> Value<'a> {
    let bump = eval.bump();
    match value {
        Value::Str(text) => Value::Str(eval.host().redact(text, types, bump)),
        Value::Array(items) => {
            let mut out = BumpVec::with_capacity_in(items.len(), bump);
            for item in items {
                out.push(redact(*item, types, eval));
            }
            Value::Array(out.into_bump_slice())
        }
        Value::Object(members) => {
            let mut out: BumpVec<'a, (&'a str, Value<'a>)> = BumpVec::with_capacity_in(members.len(), bump);
            for (key, value) in members {
                out.push((key, redact(*value, types, eval)));
            }
            Value::Object(out.into_bump_slice())
        }
        other => other,
    }
}
