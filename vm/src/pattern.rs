//! Patterns at run time: stored automata where the bundle has them, else an engine made from the source when the module
//! is loaded, with caches per worker.

use crate::lazy::{self, Lazy};
use policy_bytecode::module::{Pattern, PatternEngine};
use regex_automata::dfa::{Automaton as _, dense};
use regex_automata::{Anchored, Input, meta};

/// One loaded pattern.
#[derive(Debug)]
pub(crate) struct LoadedPattern {
    dfa: Option<dense::DFA<Vec<u32>>>,
    /// Run where there is no automaton, or on text that is not ASCII where the automaton would give up on it.
    source: Option<Source>,
}

/// An engine made from the source.
#[derive(Debug)]
enum Source {
    /// For patterns that are run over whole texts.
    Whole(Box<meta::Regex>),
    /// For patterns that a scan looks for.
    Scanned(Box<Lazy>),
}

#[derive(Debug)]
enum Cache {
    Whole(Box<meta::Cache>),
    Scanned(Box<lazy::Cache>),
}

/// Search memory of each pattern that needs some, made on first use.
#[derive(Debug, Default)]
pub(crate) struct PatternCaches {
    caches: Vec<Option<Cache>>,
}

impl PatternCaches {
    /// None yet, for so many patterns.
    pub(crate) fn of(patterns: usize) -> Self {
        let caches = std::iter::repeat_with(|| None).take(patterns);
        Self {
            caches: caches.collect(),
        }
    }
}

/// Memory that one pattern's lazily built automaton may take in each worker, in bytes.
const LAZY_CACHE_BYTES: usize = 256 << 10;

impl LoadedPattern {
    /// Loads a pattern; `None` when its stored automaton or its source is not usable. `scanned` when only scans ask for
    /// it.
    pub(crate) fn load(pattern: &Pattern, scanned: bool) -> Option<Self> {
        let (dfa, needs_source) = match &pattern.engine {
            PatternEngine::Dfa { bytes, ascii_only } => (Some(load_dfa(bytes)?), *ascii_only),
            PatternEngine::Source { .. } => (None, true),
        };
        let source = match (needs_source, scanned) {
            (false, _) => None,
            (true, true) => Some(Source::Scanned(Box::new(Lazy::new(&pattern.translated)?))),
            (true, false) => Some(Source::Whole(Box::new(compile(&pattern.translated)?))),
        };
        Some(Self { dfa, source })
    }

    /// Whether a match starts at byte `at` of `text`; `None` when only the whole text can be searched.
    pub(crate) fn starts_at(
        &self,
        text: &str,
        at: usize,
        index: usize,
        caches: &mut PatternCaches,
    ) -> Option<bool> {
        let source = self.source.as_ref()?;
        if !text.is_char_boundary(at) {
            return Some(false);
        }
        source.is_match(
            Input::new(text).range(at..).anchored(Anchored::Yes),
            index,
            caches,
        )
    }

    /// Whether the pattern is found in `text`; `None` when its automaton gave up and there is no other engine, which
    /// only a bundle that states its automata wrongly can bring about. Linear in the text.
    #[inline(always)]
    pub(crate) fn is_match(&self, text: &str, index: usize, caches: &mut PatternCaches) -> Option<bool> {
        let input = Input::new(text).earliest(true);
        // Asked beforehand: an automaton that gives up takes memory from the heap to say so.
        let usable = self.source.is_none() || text.is_ascii();
        if let Some(dfa) = self.dfa.as_ref().filter(|_| usable)
            && let Ok(found) = dfa.try_search_fwd(&input)
        {
            return Some(found.is_some());
        }
        self.source.as_ref()?.is_match(input, index, caches)
    }
}

impl Source {
    fn is_match(&self, input: Input<'_>, index: usize, caches: &mut PatternCaches) -> Option<bool> {
        let cache = caches.caches.get_mut(index)?;
        let cache = cache.get_or_insert_with(|| match self {
            Self::Whole(regex) => Cache::Whole(Box::new(regex.create_cache())),
            Self::Scanned(lazy) => Cache::Scanned(Box::new(lazy.create_cache())),
        });
        match (self, cache) {
            (Self::Whole(regex), Cache::Whole(cache)) => {
                Some(regex.search_half_with(cache, &input.earliest(true)).is_some())
            }
            (Self::Scanned(lazy), Cache::Scanned(cache)) => Some(lazy.is_match(cache, input)),
            (Self::Whole(_), Cache::Scanned(_)) | (Self::Scanned(_), Cache::Whole(_)) => None,
        }
    }
}

fn compile(source: &str) -> Option<meta::Regex> {
    meta::Regex::builder()
        .configure(
            meta::Config::new()
                .hybrid_cache_capacity(LAZY_CACHE_BYTES)
                .utf8_empty(true),
        )
        .build(source)
        .ok()
}

fn load_dfa(bytes: &[u8]) -> Option<dense::DFA<Vec<u32>>> {
    // The automaton's tables must be aligned; where `bytes` landed is chance.
    let mut padded = vec![0u8; bytes.len() + 8];
    let shift = padded.as_ptr().align_offset(8);
    let aligned = padded.get_mut(shift..shift + bytes.len())?;
    aligned.copy_from_slice(bytes);
    let (dfa, read) = dense::DFA::from_bytes(aligned).ok()?;
    if read == bytes.len() {
        Some(dfa.to_owned())
    } else {
        None
    }
}
