//! Constants in the form that comparisons read, and as values.

use crate::value::Value;
use bumpalo::Bump;
use bumpalo::collections::Vec as BumpVec;
use policy_bytecode::instr::Role;
use policy_bytecode::{Const, ConstIdx, Instr, Number};
use std::sync::Arc;

/// A constant in the form that comparisons read.
#[derive(Debug, Clone)]
pub(crate) enum LoadedConst {
    Null,
    Bool(bool),
    Number(Number),
    Str(Arc<str>),
    /// Shared, as in the constant pool: written out, a small pool can be very large.
    Array(Arc<[LoadedConst]>),
    /// Keys strictly ascending by bytes.
    Object(Arc<[(Box<str>, LoadedConst)]>),
    /// A number that is neither an integer of 64 bits nor a double.
    Decimal(Arc<str>),
}

/// Verified: collections name earlier constants only, so one pass builds every tree.
pub(crate) fn load_consts(consts: &[Const]) -> Vec<LoadedConst> {
    let mut out: Vec<LoadedConst> = Vec::with_capacity(consts.len());
    for value in consts {
        let earlier = |k: &ConstIdx| out.get(k.index()).cloned().unwrap_or(LoadedConst::Null);
        let loaded = match value {
            Const::Null => LoadedConst::Null,
            Const::Bool(b) => LoadedConst::Bool(*b),
            Const::Number(n) => LoadedConst::Number(*n),
            Const::Decimal(text) => LoadedConst::Decimal(text.as_str().into()),
            Const::Str(s) => LoadedConst::Str(s.as_str().into()),
            Const::Array(items) => LoadedConst::Array(items.iter().map(earlier).collect()),
            Const::Object(members) => LoadedConst::Object(
                members
                    .iter()
                    .map(|(k, v)| (k.as_str().into(), earlier(v)))
                    .collect(),
            ),
        };
        out.push(loaded);
    }
    out
}

impl LoadedConst {
    /// The constant as a value; collections are built in the arena.
    pub(crate) fn to_value<'a>(&'a self, bump: &'a Bump) -> Value<'a> {
        match self {
            Self::Null => Value::Null,
            Self::Bool(b) => Value::Bool(*b),
            Self::Number(n) => Value::Number(*n),
            Self::Decimal(text) => Value::Decimal(text),
            Self::Str(s) => Value::Str(s),
            Self::Array(items) => {
                Value::Array(bump.alloc_slice_fill_iter(items.iter().map(|i| i.to_value(bump))))
            }
            Self::Object(members) => Value::Object(
                bump.alloc_slice_fill_iter(members.iter().map(|(k, v)| (&**k, v.to_value(bump)))),
            ),
        }
    }

    /// As [`Self::to_value`], unless the constant is larger than `left`, which becomes less by its size.
    pub(crate) fn to_value_within<'a>(&'a self, bump: &'a Bump, left: &mut usize) -> Option<Value<'a>> {
        let own = match self {
            Self::Str(text) => text.len(),
            Self::Null | Self::Bool(_) | Self::Number(_) | Self::Decimal(_) => 0,
            // Each is one at the least: told before room is made for them.
            Self::Array(items) if items.len() > *left => return None,
            Self::Object(members) if members.len() > *left => return None,
            Self::Array(_) => 0,
            Self::Object(members) => members.iter().map(|(key, _)| key.len()).sum(),
        };
        *left = left.checked_sub(own.saturating_add(1))?;
        Some(match self {
            Self::Array(items) => {
                let mut out = BumpVec::with_capacity_in(items.len(), bump);
                for item in items.iter() {
                    out.push(item.to_value_within(bump, left)?);
                }
                Value::Array(out.into_bump_slice())
            }
            Self::Object(members) => {
                let mut out = BumpVec::with_capacity_in(members.len(), bump);
                for (key, value) in members.iter() {
                    out.push((&**key, value.to_value_within(bump, left)?));
                }
                Value::Object(out.into_bump_slice())
            }
            Self::Null | Self::Bool(_) | Self::Number(_) | Self::Str(_) | Self::Decimal(_) => {
                self.to_value(bump)
            }
        })
    }
}

/// Collection constants that code loads, and how many values each has when written out.
pub(crate) fn collections(consts: &[Const], code: &[Instr]) -> Vec<(ConstIdx, u64)> {
    let loaded = |instr: &Instr| {
        let mut loaded = None;
        instr.roles(|role| {
            if let Role::Const(k) = role {
                loaded = Some(k);
            }
        });
        loaded
    };
    let is_collection =
        |k: &ConstIdx| matches!(consts.get(k.index()), Some(Const::Array(_) | Const::Object(_)));
    let mut indexes: Vec<ConstIdx> = code.iter().filter_map(loaded).filter(is_collection).collect();
    indexes.sort_unstable();
    indexes.dedup();
    if indexes.is_empty() {
        return Vec::new();
    }
    // Items stand before their collections, so one pass knows every size.
    let mut sizes: Vec<u64> = Vec::with_capacity(consts.len());
    for value in consts {
        let size = |k: &ConstIdx| sizes.get(k.index()).copied().unwrap_or(0);
        let items = match value {
            Const::Array(items) => items.iter().map(size).fold(0, u64::saturating_add),
            Const::Object(members) => members.iter().map(|(_, k)| size(k)).fold(0, u64::saturating_add),
            Const::Null | Const::Bool(_) | Const::Number(_) | Const::Str(_) | Const::Decimal(_) => 0,
        };
        sizes.push(items.saturating_add(1));
    }
    let size = |k: ConstIdx| (k, sizes.get(k.index()).copied().unwrap_or(0));
    indexes.into_iter().map(size).collect()
}
