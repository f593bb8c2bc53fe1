//! Per-worker memory: the arena, memo cells, hit list, answers of scans and pattern caches that one evaluation after another reuses.

use crate::index::Candidates;
use crate::interp::Hit;
use crate::load::LoadedModule;
use crate::pattern::PatternCaches;
use crate::project::Hints;
use crate::scan::ScanAnswers;
use bumpalo::Bump;
use policy_bytecode::Outcome;

/// Reusable memory of one worker. Grows to what the largest request needed and then stays.
///
/// Belongs to the [`LoadedModule`] that it was made for; with another one it is resized first.
#[derive(Debug, Default)]
pub struct Scratch {
    pub(crate) bump: Bump,
    pub(crate) memo: Memo,
    pub(crate) candidates: Candidates,
    pub(crate) hits: Vec<Hit>,
    pub(crate) caches: PatternCaches,
    pub(crate) hints: Hints,
    pub(crate) scans: ScanAnswers,
    /// Whose sizes these have: [`LoadedModule::identity`], 0 for nobody's.
    module: u64,
}

impl Scratch {
    /// Empty memory; the first evaluations fill it.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Makes it ready for the next evaluation of `module`. O(what the last evaluation touched).
    #[inline]
    pub(crate) fn reset(&mut self, module: &LoadedModule) {
        self.bump.reset();
        if self.bump.allocated_bytes() > KEPT_ARENA {
            self.bump = Bump::new();
        }
        self.hits.clear();
        if self.module == module.identity() {
            self.memo.clear();
            self.scans.clear();
        } else {
            self.fit(module);
        }
    }

    /// Gives everything the sizes of `module`.
    #[cold]
    fn fit(&mut self, module: &LoadedModule) {
        self.memo = Memo::of(module.memo_cells());
        self.candidates = Candidates::of(module.rules.len());
        self.caches = PatternCaches::of(module);
        self.scans = ScanAnswers::of(module);
        self.module = module.identity();
    }
}

/// Bytes of an arena that are in use. What is left of its newest chunk is not: a chunk that an earlier evaluation made
/// large is no burden of this one.
pub(crate) fn arena_used(bump: &Bump) -> usize {
    bump.allocated_bytes().saturating_sub(bump.chunk_capacity())
}

/// Arenas larger than this are given back after the evaluation that made them so, in bytes: one hostile request must
/// not cost each worker its limit for good.
const KEPT_ARENA: usize = 16 << 20;

/// Memo cells: outcomes of shared predicates. Clearing costs what was written, not what exists.
#[derive(Debug, Default)]
pub(crate) struct Memo {
    /// 0 = unknown, else 1 + outcome.
    cells: Vec<u8>,
    touched: Vec<u32>,
}

impl Memo {
    fn of(cells: usize) -> Self {
        Self {
            cells: vec![0; cells],
            touched: Vec::with_capacity(cells),
        }
    }

    #[inline]
    fn clear(&mut self) {
        for cell in self.touched.drain(..) {
            if let Some(c) = self.cells.get_mut(cell as usize) {
                *c = 0;
            }
        }
    }

    #[inline]
    pub(crate) fn get(&self, cell: u32) -> u8 {
        self.cells.get(cell as usize).copied().unwrap_or(0)
    }

    /// The outcome that a cell keeps.
    #[inline]
    pub(crate) fn outcome(&self, cell: u32) -> Option<Outcome> {
        match self.get(cell) {
            1 => Some(Outcome::False),
            2 => Some(Outcome::True),
            3 => Some(Outcome::Error),
            _unknown => None,
        }
    }

    #[inline]
    pub(crate) fn set(&mut self, cell: u32, state: u8) {
        if let Some(c) = self.cells.get_mut(cell as usize) {
            *c = state;
            self.touched.push(cell);
        }
    }
}
