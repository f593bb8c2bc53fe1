//! The loaded form of a module: what the interpreter reads, built once from a verified module.
//!
//! Constants become comparable values, `in` lists become sets, patterns become automata, field paths become a trie for
//! projection. The bundle's own tables are not kept.

mod load;

pub use load::LoadError;

use crate::body::LoadedBody;
use crate::heap::Frozen;
use crate::index::RuleIndex;
use crate::pattern::LoadedPattern;
use crate::predicate::LoadedPredicate;
use crate::project::{Projected, Trie};
use crate::scan::{LoadedScan, Searched};
use crate::value::Value;
use policy_bytecode::context::Shape;
use policy_bytecode::intrinsics::IntrinsicId;
use policy_bytecode::module::{DecisionRule, Limits, PathSegment, PolicyRange};
use policy_bytecode::predicate::Predicate;
use policy_bytecode::quantifier::Body;
use policy_bytecode::{BodyIdx, ConstIdx, FieldIdx, Instr, PatternIdx, PredIdx};
use std::sync::Arc;

/// A module ready to run. Immutable; shared by all workers.
#[derive(Debug)]
pub struct LoadedModule {
    identity: u64,
    pub(crate) limits: Limits,
    trie: Trie,
    /// Without what derived fields alone are computed from.
    as_sent: Option<Trie>,
    pub(crate) field_count: usize,
    pub(crate) fields: Vec<Vec<PathSegment>>,
    /// What each field may hold.
    shapes: Vec<Shape>,
    /// Derived fields that the module reads.
    pub(crate) derived: Vec<LoadedDerived>,
    /// Fields inside the value of a derived field, and the derived field of each: they are what was computed, not what
    /// was sent.
    pub(crate) inside_derived: Vec<(FieldIdx, FieldIdx)>,
    pub(crate) consts: Arc<Frozen>,
    pub(crate) patterns: Vec<LoadedPattern>,
    pub(crate) predicates: Vec<LoadedPredicate>,
    bodies: Vec<LoadedBody>,
    pub(crate) scans: Vec<LoadedScan>,
    /// As stored, for explanations.
    raw_predicates: Vec<Predicate>,
    raw_bodies: Vec<Body>,
    pattern_sources: Vec<String>,
    memo_cells: u32,
    /// Memo cells below this one belong to predicates.
    pub(crate) first_function_cell: u32,
    /// What the frames of the widest chain of calls take.
    pub(crate) stack: FrameSize,
    pub(crate) functions: Vec<FunctionShape>,
    pub(crate) code: Vec<Instr>,
    pub(crate) rules: Vec<DecisionRule>,
    pub(crate) policies: Vec<PolicyRange>,
    /// Which rules may be anything but false; `None` to run them all.
    pub(crate) index: Option<RuleIndex>,
}

/// A function's frame and where its code lies.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FunctionShape {
    pub(crate) start: u32,
    pub(crate) len: u32,
    pub(crate) registers: u16,
    pub(crate) iterators: u8,
    pub(crate) builders: u8,
    /// It has a jump back.
    pub(crate) loops: bool,
    /// It needs no frame: tests, flags, jumps ahead and outcomes are all there is.
    pub(crate) bare: bool,
    /// Memo cell of a memoised function, after those of the predicates.
    pub(crate) memo: Option<u32>,
}

/// What frames are made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct FrameSize {
    pub(crate) registers: usize,
    pub(crate) iterators: usize,
    pub(crate) builders: usize,
}

/// A derived field, and what computes it.
#[derive(Debug)]
pub(crate) struct LoadedDerived {
    pub(crate) field: FieldIdx,
    pub(crate) intrinsic: IntrinsicId,
    /// Fields whose values are its arguments: at most [`MAX_ARITY`](policy_bytecode::intrinsics::MAX_ARITY), and none of them
    /// computed (V3).
    pub(crate) args: Box<[FieldIdx]>,
}

impl LoadedModule {
    /// What to read of requests, for a host that computes derived fields or not.
    pub(crate) fn projected(&self, computes: bool) -> Projected<'_> {
        Projected {
            trie: match &self.as_sent {
                Some(as_sent) if !computes => as_sent,
                Some(_) | None => &self.trie,
            },
            identity: (self.identity, computes),
            slots: self.field_count + self.derived.len(),
            limits: &self.limits,
        }
    }

    /// What scans read.
    pub(crate) fn searched(&self) -> Searched<'_> {
        Searched {
            scans: &self.scans,
            patterns: &self.patterns,
            arena_bytes: self.limits.arena_bytes,
        }
    }

    /// Distinguishes loaded modules, so that worker memory notices a change.
    pub(crate) fn identity(&self) -> u64 {
        self.identity
    }

    pub(crate) fn memo_cells(&self) -> usize {
        self.memo_cells as usize
    }

    /// Intrinsics of the host that compute fields of the module.
    pub fn host_intrinsics(&self) -> impl Iterator<Item = IntrinsicId> {
        self.derived.iter().map(|derived| derived.intrinsic)
    }

    /// Number of rules.
    #[must_use]
    pub fn rule_count(&self) -> usize {
        self.rules.len()
    }

    /// Number of policies.
    #[must_use]
    pub fn policy_count(&self) -> usize {
        self.policies.len()
    }

    /// Path of a field.
    #[must_use]
    pub fn field_path(&self, field: FieldIdx) -> Option<&[PathSegment]> {
        self.fields.get(field.index()).map(Vec::as_slice)
    }

    /// What a field of the request may hold.
    #[must_use]
    pub fn shape(&self, field: FieldIdx) -> Shape {
        self.shapes.get(field.index()).copied().unwrap_or(Shape::Any)
    }

    /// A predicate as stored.
    #[must_use]
    pub fn predicate(&self, pred: PredIdx) -> Option<&Predicate> {
        self.raw_predicates.get(pred.index())
    }

    /// A body as stored.
    #[must_use]
    pub fn body(&self, body: BodyIdx) -> Option<&Body> {
        self.raw_bodies.get(body.index())
    }

    pub(crate) fn body_at(&self, body: BodyIdx) -> Option<&LoadedBody> {
        self.bodies.get(body.index())
    }

    /// The text of a pattern.
    #[must_use]
    pub fn pattern_source(&self, pattern: PatternIdx) -> Option<&str> {
        self.pattern_sources.get(pattern.index()).map(String::as_str)
    }

    /// The rule at `index`.
    #[must_use]
    pub fn rule(&self, index: usize) -> Option<&DecisionRule> {
        self.rules.get(index)
    }
}

impl LoadedModule {
    /// The constant at `index`, unless it is larger than `left`, which becomes less by its size: one for each value in it,
    /// and the bytes of its texts and keys.
    #[must_use]
    pub fn constant_within(&self, index: ConstIdx, left: &mut usize) -> Option<Value<'_>> {
        let value = self.constant(index);
        if value.is_present() {
            value.measure(left)?;
        }
        Some(value)
    }

    /// Bounds of an evaluation.
    #[must_use]
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// The constant at `index`, in place. O(1).
    #[must_use]
    #[inline]
    pub fn constant(&self, index: ConstIdx) -> Value<'_> {
        self.consts.value(index)
    }
}

impl FrameSize {
    fn max(self, other: Self) -> Self {
        Self {
            registers: self.registers.max(other.registers),
            iterators: self.iterators.max(other.iterators),
            builders: self.builders.max(other.builders),
        }
    }
}
