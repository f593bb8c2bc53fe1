//! From a verified module to its loaded form.

use super::{FrameSize, FunctionShape, LoadedDerived, LoadedModule};
use crate::body::LoadedBody;
use crate::heap::Frozen;
use crate::index::RuleIndex;
use crate::pattern::LoadedPattern;
use crate::predicate::{LoadedPredicate, PredicateLoader, ScanPlace};
use crate::project::Trie;
use crate::scan::{self, LoadedScan};
use policy_bytecode::context::{Knowledge, Shape};
use policy_bytecode::module::{Function, PathSegment, is_at_or_below};
use policy_bytecode::{FieldIdx, FuncIdx, Instr, Stop, Stopped, VerifiedModule};
use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Why a verified module cannot be loaded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// A stored automaton or a pattern's source is not usable by this build.
    #[error("pattern {index} (`{pattern}`) cannot be loaded")]
    Pattern {
        /// Index in the pattern table.
        index: usize,
        /// The pattern.
        pattern: String,
    },
    /// The module is too large for this machine's index range.
    #[error("the module is too large")]
    TooLarge,
    /// Whoever asked for it does not want it any more.
    #[error("{Stopped}")]
    Stopped,
}

impl From<Stopped> for LoadError {
    fn from(_: Stopped) -> Self {
        Self::Stopped
    }
}

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
    /// where it computes [nothing](crate::Sent::Alone), the inputs of derived fields are not read from requests.
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

    fn load(module: &VerifiedModule, shown: Option<&[FieldIdx]>, stop: &Stop) -> Result<Self, LoadError> {
        let consts = Arc::new(Frozen::new(&module.consts)?);
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
                    pattern: p.source.clone(),
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
        let derived: Vec<LoadedDerived> = module
            .fields
            .iter()
            .enumerate()
            .filter_map(|(i, f)| {
                let derived = f.derived.as_ref()?;
                Some(LoadedDerived {
                    field: FieldIdx::from_index(i)?,
                    intrinsic: derived.intrinsic,
                    args: derived.args.as_slice().into(),
                })
            })
            .collect();
        let computed: Vec<FieldIdx> = derived.iter().map(|derived| derived.field).collect();
        let parent = |path: &[PathSegment]| {
            let above = |field: &FieldIdx| {
                let own = module.fields.get(field.index()).map(|f| f.path.as_slice());
                own.is_some_and(|own| path.len() > own.len() && is_at_or_below(path, own))
            };
            computed.iter().copied().find(above)
        };
        let inside_derived = module.fields.iter().enumerate();
        let inside_derived = inside_derived
            .filter_map(|(i, field)| FieldIdx::from_index(i).zip(parent(&field.path)))
            .collect();
        let knowledge = Knowledge::new(&module.known);
        let shapes: Vec<Shape> = module.fields.iter().map(|f| knowledge.shape(&f.path)).collect();
        let mut predicate_loader = PredicateLoader::new(&consts, &module.consts);
        let mut predicates: Vec<LoadedPredicate> = module
            .predicates
            .iter()
            .map(|p| {
                let derived = computed.contains(&p.field);
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
        Ok(Self {
            identity: NEXT_IDENTITY.fetch_add(1, Ordering::Relaxed),
            limits: module.limits,
            trie: Trie::build(&module.fields, &computed, &knowledge, |_| true),
            as_sent: shown.filter(|_| !derived.is_empty()).map(|shown| {
                let read: HashSet<usize> = module
                    .fields_read()
                    .chain(shown.iter().copied())
                    .chain(computed.iter().copied())
                    .map(FieldIdx::index)
                    .collect();
                Trie::build(&module.fields, &computed, &knowledge, |index| {
                    read.contains(&index)
                })
            }),
            field_count: module.fields.len(),
            fields: module.fields.iter().map(|f| f.path.clone()).collect(),
            shapes,
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
            functions,
            code,
            rules: module.rules.clone(),
            policies: module.policies.clone(),
            index,
        })
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
    let loops = function.loops();
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

/// What the widest chain of calls takes. Verified: calls do not go in circles (V14).
fn widest_stack(functions: &[Function]) -> FrameSize {
    let callees = |function: &Function| function.callees().map(FuncIdx::index).collect();
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
