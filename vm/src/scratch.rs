//! Per-worker memory: the arena, memo cells, hit list, answers of scans and pattern caches that one evaluation after another reuses.

use crate::index::Candidates;
use crate::memo::Memo;
use crate::module::LoadedModule;
use crate::pattern::PatternCaches;
use crate::project::Hints;
use crate::query::Hit;
use crate::scan::ScanAnswers;
use bumpalo::Bump;

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
        self.caches = PatternCaches::of(module.patterns.len());
        self.scans = ScanAnswers::of(&module.scans);
        self.module = module.identity();
    }
}

/// Arenas larger than this are given back after the evaluation that made them so, in bytes: one hostile request must
/// not cost each worker its limit for good.
const KEPT_ARENA: usize = 16 << 20;
