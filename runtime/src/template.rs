//! `{{ path }}` texts and values that hold them, rendered in the evaluation arena, within bounds.
//!
//! A placeholder repeats a part of the request, policies hold as many of them as somebody writes, and a request is as
//! large as somebody sends: without bounds, a response is the product of both. So whatever is rendered takes from a
//! [`Room`], and rendering ends where that ends, not behind it. What does not fit never changes what is decided: reasons
//! are cut, metadata stands aside, and a modification that does not fit leaves nothing to be applied
//! ([`crate::modify`]).

use bumpalo::collections::{String as BumpString, Vec as BumpVec};
use policy_bytecode::manifest::{Manifest, TemplatePart, ValueNode};
use policy_vm::{Array, Bump, Evaluation, Host, Object, Value};
use std::fmt::{self, Write as _};

/// Bytes of all reasons that one look at a request gives.
pub(crate) const MAX_REASONS: usize = 1 << 20;
/// Size of all metadata that one look at a request gives, see [`Room`].
pub(crate) const MAX_METADATA: usize = 1 << 20;
/// What stands where there is no room for more.
pub(crate) const CUT: &str = "…";

/// What stands for a value that cannot be told.
const UNKNOWN: &str = "unknown";

/// What may still be rendered: texts by their bytes; values by one for each value in them, and the bytes of their texts
/// and keys.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Room {
    left: usize,
}

impl Room {
    pub(crate) fn new(left: usize) -> Self {
        Self { left }
    }
}

/// A text that takes no more than there is room for: writing fails where that ends.
struct Bounded<'a> {
    text: BumpString<'a>,
    left: usize,
}

impl fmt::Write for Bounded<'_> {
    fn write_str(&mut self, more: &str) -> fmt::Result {
        match self.left.checked_sub(more.len()) {
            Some(left) => {
                self.left = left;
                self.text.push_str(more);
                Ok(())
            }
            None => {
                let fits = more.floor_char_boundary(self.left);
                self.text.push_str(more.get(..fits).unwrap_or(""));
                self.left = 0;
                Err(fmt::Error)
            }
        }
    }
}

/// The parts of a template.
fn parts(manifest: &Manifest, index: u32) -> &[TemplatePart] {
    manifest
        .templates
        .get(index as usize)
        .map_or(&[][..], Vec::as_slice)
}

/// Writes a template; fails where `out` does.
fn write<'a, H: Host>(
    parts: &'a [TemplatePart],
    eval: &mut Evaluation<'a, H>,
    out: &mut Bounded<'_>,
) -> fmt::Result {
    for part in parts {
        match part {
            TemplatePart::Text(text) => out.write_str(text)?,
            TemplatePart::Field(field) => match eval.field(*field) {
                Value::Null | Value::Undefined => {}
                Value::Unknown => out.write_str(UNKNOWN)?,
                Value::Array(items) => {
                    for (i, item) in items.iter().enumerate() {
                        out.write_str(if i > 0 { ", " } else { "" })?;
                        one(&item, out)?;
                    }
                }
                value => one(&value, out)?,
            },
        }
    }
    Ok(())
}

/// Writes a value: a text as it is, everything else as JSON.
fn one(value: &Value<'_>, out: &mut Bounded<'_>) -> fmt::Result {
    match value {
        Value::Str(text) => out.write_str(text),
        value => value.write_json(out),
    }
}

/// Renders a text for people: strings as they are, elements of a list one after the other, nothing for what is missing or
/// null, `unknown` for what is, JSON for everything else. One that there is no room for is cut and ends in `…`. A template that is plain text is borrowed.
pub(crate) fn render<'a, H: Host>(
    manifest: &'a Manifest,
    index: u32,
    eval: &mut Evaluation<'a, H>,
    room: &mut Room,
) -> &'a str {
    let parts = parts(manifest, index);
    match parts {
        [] => return "",
        [TemplatePart::Text(text)] if text.len() <= room.left => {
            room.left -= text.len();
            return text;
        }
        _rendered => {}
    }
    let mut out = Bounded {
        text: BumpString::new_in(eval.bump()),
        left: room.left,
    };
    let whole = write(parts, eval, &mut out).is_ok();
    room.left = out.left;
    if !whole {
        out.text.push_str(CUT);
    }
    out.text.into_bump_str()
}

/// Builds a value that may hold templates; `None`, with as much room as before, where there is not enough. Recursion is
/// bounded by [`Manifest::MAX_DEPTH`].
pub(crate) fn build<'a, H: Host>(
    manifest: &'a Manifest,
    index: u32,
    eval: &mut Evaluation<'a, H>,
    room: &mut Room,
) -> Option<Value<'a>> {
    let mut left = room.left;
    let value = build_within(manifest, index, eval, &mut left)?;
    room.left = left;
    Some(value)
}

fn build_within<'a, H: Host>(
    manifest: &'a Manifest,
    index: u32,
    eval: &mut Evaluation<'a, H>,
    left: &mut usize,
) -> Option<Value<'a>> {
    let node = manifest.values.get(index as usize);
    if let Some(ValueNode::Const(k)) = node {
        return eval.module().constant_within(*k, left);
    }
    *left = left.checked_sub(1)?;
    match node {
        Some(ValueNode::Template(t)) => {
            let mut out = Bounded {
                text: BumpString::new_in(eval.bump()),
                left: *left,
            };
            write(parts(manifest, *t), eval, &mut out).ok()?;
            *left = out.left;
            Some(Value::Str(out.text.into_bump_str()))
        }
        // Each is one at least: told before room is made for them.
        Some(ValueNode::Array(items)) if items.len() > *left => None,
        Some(ValueNode::Object(members)) if members.len() > *left => None,
        Some(ValueNode::Array(items)) => {
            let mut out = BumpVec::with_capacity_in(items.len(), eval.bump());
            for item in items {
                out.push(build_within(manifest, *item, eval, left)?);
            }
            Some(Value::Array(Array::new_in(out.into_bump_slice(), eval.bump())))
        }
        Some(ValueNode::Object(members)) => {
            let mut out: BumpVec<'a, (&'a str, Value<'a>)> =
                BumpVec::with_capacity_in(members.len(), eval.bump());
            for (key, value) in members {
                *left = left.checked_sub(key.len())?;
                out.push((key, build_within(manifest, *value, eval, left)?));
            }
            out.sort_unstable_by(|a, b| a.0.as_bytes().cmp(b.0.as_bytes()));
            Some(Value::Object(Object::new_in(out.into_bump_slice(), eval.bump())))
        }
        // Constants are above; nothing else is missing (Manifest::check).
        Some(ValueNode::Const(_)) | None => Some(Value::Null),
    }
}

/// Formats into the arena.
pub(crate) fn text<'a>(bump: &'a Bump, args: fmt::Arguments<'_>) -> &'a str {
    let mut out = BumpString::new_in(bump);
    match out.write_fmt(args) {
        Ok(()) => out.into_bump_str(),
        Err(fmt::Error) => "",
    }
}
