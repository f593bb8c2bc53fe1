//! Patterns at run time: stored automata where the bundle has them, `meta::Regex` otherwise, caches per worker.

use crate::load::LoadedModule;
use policy_bytecode::module::{Pattern, PatternEngine};
use regex_automata::dfa::{Automaton as _, dense};
use regex_automata::{Anchored, Input, meta};

/// One loaded pattern.
#[derive(Debug)]
pub(crate) struct LoadedPattern {
    dfa: Option<dense::DFA<Vec<u32>>>,
    /// Run where there is no automaton, or on text that is not ASCII where the automaton would give up on it.
    regex: Option<meta::Regex>,
}

/// Search memory of each pattern that needs some, made on first use.
#[derive(Debug, Default)]
pub(crate) struct PatternCaches {
    caches: Vec<Option<meta::Cache>>,
    module: u64,
}

impl PatternCaches {
    pub(crate) fn reset(&mut self, module: &LoadedModule) {
        if self.module != module.identity() {
            self.module = module.identity();
            self.caches.clear();
            self.caches.resize_with(module.pattern_count(), || None);
        }
    }
}

impl PatternCaches {
    /// The search memory of the pattern at `index`.
    fn of(&mut self, index: usize, regex: &meta::Regex) -> Option<&mut meta::Cache> {
        let cache = self.caches.get_mut(index)?;
        Some(cache.get_or_insert_with(|| regex.create_cache()))
    }
}

/// Memory that one pattern's lazily built automaton may take in each worker, in bytes.
const LAZY_CACHE_BYTES: usize = 256 << 10;

impl LoadedPattern {
    /// Loads a pattern; `None` when its stored automaton or its source is not usable.
    pub(crate) fn load(pattern: &Pattern) -> Option<Self> {
        match &pattern.engine {
            PatternEngine::Dfa { bytes, ascii_only } => {
                let dfa = load_dfa(bytes)?;
                let regex = if *ascii_only {
                    Some(compile(&pattern.source)?)
                } else {
                    None
                };
                Some(Self {
                    dfa: Some(dfa),
                    regex,
                })
            }
            PatternEngine::Source { .. } => Some(Self {
                dfa: None,
                regex: Some(compile(&pattern.source)?),
            }),
        }
    }

    /// Whether a match starts at byte `at` of `text`; `None` when only the whole text can be searched.
    pub(crate) fn starts_at(
        &self,
        text: &str,
        at: usize,
        index: usize,
        caches: &mut PatternCaches,
    ) -> Option<bool> {
        let regex = self.regex.as_ref()?;
        if !text.is_char_boundary(at) {
            return Some(false);
        }
        let input = Input::new(text).range(at..).anchored(Anchored::Yes).earliest(true);
        Some(regex.search_half_with(caches.of(index, regex)?, &input).is_some())
    }

    /// Whether the pattern is found in `text`; `None` when its automaton gave up and there is no other engine, which
    /// only a bundle that states its automata wrongly can bring about. Linear in the text.
    #[inline]
    pub(crate) fn is_match(&self, text: &str, index: usize, caches: &mut PatternCaches) -> Option<bool> {
        let input = Input::new(text).earliest(true);
        // Asked beforehand: an automaton that gives up takes memory from the heap to say so.
        let usable = self.regex.is_none() || text.is_ascii();
        if let Some(dfa) = self.dfa.as_ref().filter(|_| usable)
            && let Ok(found) = dfa.try_search_fwd(&input)
        {
            return Some(found.is_some());
        }
        let regex = self.regex.as_ref()?;
        Some(regex.search_half_with(caches.of(index, regex)?, &input).is_some())
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
