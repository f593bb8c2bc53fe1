//! `{{ path }}` texts and values that hold them, rendered in the evaluation arena.

use bumpalo::collections::{String as BumpString, Vec as BumpVec};
use policy_bytecode::manifest::{Manifest, TemplatePart, ValueNode};
use policy_vm::{Evaluation, Host, Value};
use std::fmt::Write as _;

/// Bytes after which a rendered text is cut: a reason that repeats a prompt must not multiply the request.
const MAX_TEXT: usize = 1 << 20;

/// Renders a template. One that is plain text is borrowed.
pub(crate) fn render<'a, H: Host>(
    manifest: &'a Manifest,
    index: u32,
    eval: &mut Evaluation<'a, H>,
) -> &'a str {
    let parts = manifest
        .templates
        .get(index as usize)
        .map_or(&[][..], Vec::as_slice);
    match parts {
        [] => "",
        [TemplatePart::Text(text)] => text,
        parts => {
            let mut out = BumpString::new_in(eval.bump());
            for part in parts {
                match part {
                    TemplatePart::Text(text) => out.push_str(text),
                    TemplatePart::Field(field) => push_value(&eval.field(*field), &mut out),
                }
                if out.len() > MAX_TEXT {
                    out.push('…');
                    break;
                }
            }
            out.into_bump_str()
        }
    }
}

/// Strings as they are, nothing for what is missing or null, JSON for everything else.
fn push_value(value: &Value<'_>, out: &mut BumpString<'_>) {
    match value {
        Value::Str(text) => out.push_str(text),
        Value::Null | Value::Undefined | Value::Unknown => {}
        // Writing to an arena string cannot fail.
        value => value.write_json(out).unwrap_or_default(),
    }
}

/// Builds a value that may hold templates. Recursion is bounded by [`Manifest::MAX_DEPTH`].
pub(crate) fn build<'a, H: Host>(
    manifest: &'a Manifest,
    index: u32,
    eval: &mut Evaluation<'a, H>,
) -> Value<'a> {
    match manifest.values.get(index as usize) {
        Some(ValueNode::Const(k)) => eval.module().constant(*k, eval.bump()),
        Some(ValueNode::Template(t)) => Value::Str(render(manifest, *t, eval)),
        Some(ValueNode::Array(items)) => {
            let mut out = BumpVec::with_capacity_in(items.len(), eval.bump());
            for item in items {
                out.push(build(manifest, *item, eval));
            }
            Value::Array(out.into_bump_slice())
        }
        Some(ValueNode::Object(members)) => {
            let mut out: BumpVec<'a, (&'a str, Value<'a>)> =
                BumpVec::with_capacity_in(members.len(), eval.bump());
            for (key, value) in members {
                out.push((key, build(manifest, *value, eval)));
            }
            out.sort_unstable_by(|a, b| a.0.as_bytes().cmp(b.0.as_bytes()));
            Value::Object(out.into_bump_slice())
        }
        // Checked: Manifest::check.
        None => Value::Null,
    }
}

/// Formats into the arena.
pub(crate) fn text<'a>(bump: &'a policy_vm::Bump, args: std::fmt::Arguments<'_>) -> &'a str {
    let mut out = BumpString::new_in(bump);
    match out.write_fmt(args) {
        Ok(()) => out.into_bump_str(),
        Err(std::fmt::Error) => "",
    }
}
