//! The loaded form of a module: what the interpreter reads, built once from a verified module.
//!
//! Constants become comparable values, `in` lists become sets, patterns become automata, field paths become a trie for
//! projection. The bundle's own tables are not kept.

use crate::index::RuleIndex;
use crate::pattern::LoadedPattern;
use crate::predicate::{LoadedPredicate, PredicateLoader};
use crate::project::Trie;
use crate::quantifier::LoadedBody;
use crate::scan::{self, LoadedScan, ScanPlace};
use policy_bytecode::context::{Derived, Shape};
use policy_bytecode::instr::Role;
use policy_bytecode::module::{Function, Limits, PathSegment, PolicyRange, Rule, is_at_or_below};
use policy_bytecode::predicate::Predicate;
use policy_bytecode::quantifier::Body;
use policy_bytecode::{
    BodyIdx, Const, ConstIdx, FieldIdx, Instr, Number, PatternIdx, PredIdx, Stop, Stopped, VerifiedModule,
};
use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

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
    /// Derived fields that the module reads, and the slot of each.
    pub(crate) derived: Vec<(Derived, FieldIdx)>,
    /// Fields inside the value of a derived field, and the derived field of each: they are what was computed, not what
    /// was sent.
    pub(crate) inside_derived: Vec<(FieldIdx, FieldIdx)>,
    /// Slots of what derived fields are computed from.
    pub(crate) inputs: InputSlots,
    pub(crate) consts: Vec<LoadedConst>,
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
    /// Collection constants that code loads, ascending, and how many values each has when written out.
    pub(crate) collections: Vec<(ConstIdx, u64)>,
    pub(crate) functions: Vec<FunctionShape>,
    pub(crate) code: Vec<Instr>,
    pub(crate) rules: Vec<Rule>,
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

/// Slots of the fields that derived fields are computed from.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct InputSlots {
    pub(crate) llm: Option<FieldIdx>,
    pub(crate) model: Option<FieldIdx>,
    pub(crate) provider: Option<FieldIdx>,
    pub(crate) max_tokens: Option<FieldIdx>,
    pub(crate) service_tier: Option<FieldIdx>,
}

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

/// Why a verified module cannot be loaded.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum LoadError {
    /// A stored automaton or a pattern's source is not usable by this build.
    Pattern {
        /// Index in the pattern table.
        index: usize,
        /// The pattern.
        source: String,
    },
    /// The module is too large for this machine's index range.
    TooLarge,
    /// Whoever asked for it does not want it any more.
    Stopped,
}

impl From<Stopped> for LoadError {
    fn from(_: Stopped) -> Self {
        Self::Stopped
    }
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pattern { index, source } => write!(f, "pattern {index} (`{source}`) cannot be loaded"),
            Self::TooLarge => f.write_str("the module is too large"),
            Self::Stopped => Stopped.fmt(f),
        }
    }
}

impl std::error::Error for LoadError {}

static NEXT_IDENTITY: AtomicU64 = AtomicU64::new(1);

impl LoadedModule {
    /// Builds the loaded form. O(size of the module), plus building the patterns that have no stored automaton.
    ///
    /// # Errors
    ///
    /// [`LoadError::Pattern`] for an automaton or pattern that this build cannot run, [`LoadError::TooLarge`].
    pub fn new(module: &VerifiedModule) -> Result<Self, LoadError> {
        Self::load(module, None, &Stop::never())
    }

    /// As [`LoadedModule::new`], for a host that reads the fields `shown` besides those that the module itself reads:
    /// where it [computes](crate::Host::computes) nothing, the inputs of derived fields are not read from requests.
    ///
    /// # Errors
    ///
    /// As [`LoadedModule::new`].
    pub fn showing(module: &VerifiedModule, shown: &[FieldIdx]) -> Result<Self, LoadError> {
        Self::load(module, Some(shown), &Stop::never())
    }

    /// As [`LoadedModule::showing`], unless `stop` is asked to.
    ///
    /// # Errors
    ///
    /// As [`LoadedModule::new`], and [`LoadError::Stopped`].
    pub fn showing_until(
        module: &VerifiedModule,
        shown: &[FieldIdx],
        stop: &Stop,
    ) -> Result<Self, LoadError> {
        Self::load(module, Some(shown), stop)
    }

    fn load(
        module: &VerifiedModule,
        shown: Option<&[FieldIdx]>,
        stop: &Stop,
    ) -> Result<Self, LoadError> {
        let consts = load_consts(&module.consts);
        let scanned = scan::only_scanned(module);
        let patterns = module
            .patterns
            .iter()
            .zip(scanned)
            .enumerate()
            .map(|(index, (p, scanned))| {
                stop.check()?;
                LoadedPattern::load(p, scanned).ok_or_else(|| LoadError::Pattern {
                    index,
                    source: p.source.clone(),
                })
            })
            .collect::<Result<Vec<_>, _>>()?;
        let mut code = Vec::with_capacity(module.functions.iter().map(|f| f.code.len()).sum());
        let mut memo_cells = module.memo_cells;
        let mut functions = Vec::with_capacity(module.functions.len());
        for function in &module.functions {
            functions.push(shape(function, code.len(), &mut memo_cells)?);
            code.extend_from_slice(&function.code);
        }
        let slot = |dotted: &str| {
            let found = module
                .fields
                .iter()
                .position(|f| f.derived.is_none() && is_path(&f.path, dotted));
            found.and_then(FieldIdx::from_index)
        };
        let derived: Vec<_> = module
            .fields
            .iter()
            .enumerate()
            .filter_map(|(i, f)| f.derived.zip(FieldIdx::from_index(i)))
            .collect();
        let parent = |path: &[PathSegment]| {
            let above = |field: &FieldIdx| {
                let own = module.fields.get(field.index()).map(|f| f.path.as_slice());
                own.is_some_and(|own| path.len() > own.len() && is_at_or_below(path, own))
            };
            derived.iter().map(|(_, field)| *field).find(above)
        };
        let inside_derived = module.fields.iter().enumerate();
        let inside_derived = inside_derived
            .filter_map(|(i, field)| FieldIdx::from_index(i).zip(parent(&field.path)))
            .collect();
        let shapes: Vec<Shape> = module.fields.iter().map(|f| Shape::of(&f.path)).collect();
        let mut predicate_loader = PredicateLoader::new(&consts, &module.consts);
        let mut predicates: Vec<LoadedPredicate> = module
            .predicates
            .iter()
            .map(|p| {
                let derived = derived.iter().find(|(_, f)| *f == p.field).map(|(d, _)| *d);
                let shape = shapes.get(p.field.index()).copied().unwrap_or(Shape::Any);
                predicate_loader.load(p, derived, shape)
            })
            .collect();
        stop.check()?;
        let bodies = module
            .bodies
            .iter()
            .map(|body| LoadedBody::load(body, &mut predicate_loader))
            .collect();
        let scans = load_scans(module, &mut predicates);
        stop.check()?;
        let index = RuleIndex::new(module, &consts, &predicates, &shapes);
        stop.check()?;
        let stack = widest_stack(&module.functions);
        let collections = collections(&module.consts, &code);
        Ok(Self {
            identity: NEXT_IDENTITY.fetch_add(1, Ordering::Relaxed),
            limits: module.limits,
            trie: Trie::build(&module.fields, &derived, |_| true),
            as_sent: shown.filter(|_| !derived.is_empty()).map(|shown| {
                let read: HashSet<usize> = module
                    .fields_read()
                    .chain(shown.iter().copied())
                    .chain(derived.iter().map(|(_, field)| *field))
                    .map(FieldIdx::index)
                    .collect();
                Trie::build(&module.fields, &derived, |index| read.contains(&index))
            }),
            field_count: module.fields.len(),
            fields: module.fields.iter().map(|f| f.path.clone()).collect(),
            shapes,
            inputs: InputSlots {
                llm: slot("llm"),
                model: slot("llm.model"),
                provider: slot("llm.provider"),
                max_tokens: slot("llm.maxTokens"),
                service_tier: slot("llm.serviceTier"),
            },
            derived,
            inside_derived,
            consts,
            patterns,
            predicates,
            bodies,
            scans,
            raw_predicates: module.predicates.clone(),
            raw_bodies: module.bodies.clone(),
            pattern_sources: module.patterns.iter().map(|p| p.source.clone()).collect(),
            memo_cells,
            first_function_cell: module.memo_cells,
            stack,
            collections,
            functions,
            code,
            rules: module.rules.clone(),
            policies: module.policies.clone(),
            index,
        })
    }

    /// What to read of requests.
    pub(crate) fn trie(&self, computes: bool) -> &Trie {
        match &self.as_sent {
            Some(as_sent) if !computes => as_sent,
            Some(_) | None => &self.trie,
        }
    }

    /// Distinguishes loaded modules, so that worker memory notices a change.
    pub(crate) fn identity(&self) -> u64 {
        self.identity
    }

    /// Position of a collection constant in the list of those that code loads, and its size written out.
    pub(crate) fn collection(&self, k: ConstIdx) -> Option<(usize, u64)> {
        let position = self.collections.binary_search_by_key(&k, |(k, _)| *k).ok()?;
        self.collections.get(position).map(|(_, size)| (position, *size))
    }

    pub(crate) fn pattern_count(&self) -> usize {
        self.patterns.len()
    }

    pub(crate) fn memo_cells(&self) -> usize {
        self.memo_cells as usize
    }

    /// Derived fields that the module reads.
    pub fn derived_fields(&self) -> impl Iterator<Item = Derived> {
        self.derived.iter().map(|(derived, _)| *derived)
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
    pub fn rule(&self, index: usize) -> Option<&Rule> {
        self.rules.get(index)
    }
}

/// Builds the scans and tells their predicates where the answers will stand.
fn load_scans(module: &VerifiedModule, predicates: &mut [LoadedPredicate]) -> Vec<LoadedScan> {
    let scans: Vec<LoadedScan> = module
        .scans
        .iter()
        .map(|scan| LoadedScan::load(scan, module))
        .collect();
    for (loaded, scan) in scans.iter().zip(0..) {
        for (predicate, answer) in loaded.predicates().iter().zip(0..) {
            if let Some(predicate) = predicates.get_mut(predicate.index()) {
                predicate.scan = Some(ScanPlace { scan, answer });
            }
        }
    }
    scans
}

fn shape(function: &Function, start: usize, memo_cells: &mut u32) -> Result<FunctionShape, LoadError> {
    let memo = if function.memoised {
        let cell = *memo_cells;
        *memo_cells = memo_cells.checked_add(1).ok_or(LoadError::TooLarge)?;
        Some(cell)
    } else {
        None
    };
    let loops = jumps_back(&function.code);
    Ok(FunctionShape {
        start: u32::try_from(start).map_err(|_| LoadError::TooLarge)?,
        len: u32::try_from(function.code.len()).map_err(|_| LoadError::TooLarge)?,
        registers: function.registers,
        iterators: function.iterators,
        builders: function.builders,
        loops,
        bare: !loops && function.code.iter().all(is_bare),
        memo,
    })
}

fn is_bare(instr: &Instr) -> bool {
    matches!(
        instr,
        Instr::Test { .. }
            | Instr::TestMemo { .. }
            | Instr::RetTest { .. }
            | Instr::RetTestMemo { .. }
            | Instr::BrFlag { .. }
            | Instr::RaiseFlag { .. }
            | Instr::ClearFlag { .. }
            | Instr::Jump { .. }
            | Instr::RetTrue {}
            | Instr::RetFalse {}
            | Instr::RetError {}
    )
}

fn jumps_back(code: &[Instr]) -> bool {
    code.iter().enumerate().any(|(at, instr)| {
        let mut back = false;
        instr.roles(|role| back |= matches!(role, Role::Jump(target) if target.index() <= at));
        back
    })
}

/// What the widest chain of calls takes. Verified: calls do not go in circles (V14).
fn widest_stack(functions: &[Function]) -> FrameSize {
    let callees = |function: &Function| {
        let calls = function.code.iter().filter_map(|instr| match instr {
            Instr::Call { f, .. } => Some(f.index()),
            _other => None,
        });
        calls.collect::<Vec<_>>()
    };
    let callees: Vec<Vec<usize>> = functions.iter().map(callees).collect();
    let mut known: Vec<Option<FrameSize>> = vec![None; functions.len()];
    let mut widest = FrameSize::default();
    for root in 0..functions.len() {
        // Depth first with an explicit stack of functions and the next callee to look at.
        let mut open = vec![(root, 0)];
        while let Some((at, next)) = open.pop() {
            let (Some(function), Some(own)) = (functions.get(at), callees.get(at)) else {
                continue;
            };
            if let Some(&callee) = own.get(next) {
                open.push((at, next + 1));
                if matches!(known.get(callee), Some(None)) {
                    open.push((callee, 0));
                }
                continue;
            }
            let below = own.iter().filter_map(|f| known.get(*f).copied().flatten());
            let below = below.fold(FrameSize::default(), FrameSize::max);
            let size = FrameSize {
                registers: below.registers + usize::from(function.registers),
                iterators: below.iterators + usize::from(function.iterators),
                builders: below.builders + usize::from(function.builders),
            };
            widest = widest.max(size);
            if let Some(slot) = known.get_mut(at) {
                *slot = Some(size);
            }
        }
    }
    widest
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

/// Collection constants that code loads, and how many values each has when written out.
fn collections(consts: &[Const], code: &[Instr]) -> Vec<(ConstIdx, u64)> {
    let loaded = |instr: &Instr| match instr {
        Instr::LoadConst { k, .. } | Instr::GetConst { k, .. } => Some(*k),
        _other => None,
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

/// Whether `path` is the canonical dotted spelling `dotted`.
fn is_path(path: &[PathSegment], dotted: &str) -> bool {
    let mut keys = dotted.split('.');
    path.iter()
        .all(|s| matches!(s, PathSegment::Key { name, .. } if keys.next() == Some(name.as_str())))
        && keys.next().is_none()
}

/// Verified: collections name earlier constants only, so one pass builds every tree.
fn load_consts(consts: &[Const]) -> Vec<LoadedConst> {
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
    pub(crate) fn to_value<'a>(&'a self, bump: &'a bumpalo::Bump) -> crate::Value<'a> {
        use crate::Value;
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
}

impl LoadedConst {
    /// As [`Self::to_value`], unless the constant is larger than `left`, which becomes less by its size.
    fn to_value_within<'a>(&'a self, bump: &'a bumpalo::Bump, left: &mut usize) -> Option<crate::Value<'a>> {
        use crate::Value;
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
                let mut out = bumpalo::collections::Vec::with_capacity_in(items.len(), bump);
                for item in items.iter() {
                    out.push(item.to_value_within(bump, left)?);
                }
                Value::Array(out.into_bump_slice())
            }
            Self::Object(members) => {
                let mut out = bumpalo::collections::Vec::with_capacity_in(members.len(), bump);
                for (key, value) in members.iter() {
                    out.push((&**key, value.to_value_within(bump, left)?));
                }
                Value::Object(out.into_bump_slice())
            }
            scalar => scalar.to_value(bump),
        })
    }
}

impl LoadedModule {
    /// The constant at `index` as a value, unless it is larger than `left`, which becomes less by its size: one for each
    /// value in it, and the bytes of its texts and keys.
    #[must_use]
    pub fn constant_within<'a>(
        &'a self,
        index: ConstIdx,
        bump: &'a bumpalo::Bump,
        left: &mut usize,
    ) -> Option<crate::Value<'a>> {
        match self.consts.get(index.index()) {
            Some(constant) => constant.to_value_within(bump, left),
            None => Some(crate::Value::Undefined),
        }
    }

    /// Bounds of an evaluation.
    #[must_use]
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// The constant at `index` as a value; collections are built in `bump`.
    #[must_use]
    pub fn constant<'a>(&'a self, index: ConstIdx, bump: &'a bumpalo::Bump) -> crate::Value<'a> {
        self.consts
            .get(index.index())
            .map_or(crate::Value::Undefined, |c| c.to_value(bump))
    }
}
