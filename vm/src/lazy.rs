//! The engine of a pattern that a scan looks for: run seldom, and mostly for a few bytes.
//!
//! An automaton that is determinised while it runs, and simulation of the same program where that gives up. Made of one
//! compiled program, it takes a third of the time to load that `meta::Regex` takes, and none of what that adds is of use
//! here: the scan has looked for literals already, and where matches lie is not asked.

use regex_automata::hybrid::dfa::{self, DFA};
use regex_automata::nfa::thompson::backtrack::{self, BoundedBacktracker};
use regex_automata::nfa::thompson::pikevm::{self, PikeVM};
use regex_automata::nfa::thompson::{self, WhichCaptures};
use regex_automata::{Anchored, Input};

/// Memory that the automaton of one pattern may take in each worker, in bytes.
const CACHE_BYTES: usize = 128 << 10;
/// Bytes of a compiled program: as many as `meta::Regex` takes by default.
const PROGRAM_BYTES: usize = 10 << 20;

/// One pattern.
#[derive(Debug)]
pub(crate) struct Lazy {
    automaton: DFA,
    backtracker: BoundedBacktracker,
    simulation: PikeVM,
    /// Its automaton gives up on text that is not ASCII: Unicode word boundaries.
    ascii_only: bool,
}

/// Search memory of one pattern in one worker.
#[derive(Debug)]
pub(crate) struct Cache {
    automaton: dfa::Cache,
    backtracker: Option<backtrack::Cache>,
    simulation: Option<pikevm::Cache>,
}

impl Lazy {
    /// Compiles a pattern; `None` when it is not one, or too large.
    pub(crate) fn new(source: &str) -> Option<Self> {
        let config = thompson::Config::new()
            .which_captures(WhichCaptures::None)
            .nfa_size_limit(Some(PROGRAM_BYTES));
        let program = thompson::NFA::compiler().configure(config).build(source).ok()?;
        let config = dfa::Config::new()
            .unicode_word_boundary(true)
            .cache_capacity(CACHE_BYTES)
            .skip_cache_capacity_check(true)
            .minimum_cache_clear_count(Some(3))
            .minimum_bytes_per_state(Some(10));
        let mut automaton = DFA::builder();
        automaton.configure(config);
        Some(Self {
            ascii_only: program.look_set_any().contains_word_unicode(),
            automaton: automaton.build_from_nfa(program.clone()).ok()?,
            backtracker: BoundedBacktracker::builder()
                .build_from_nfa(program.clone())
                .ok()?,
            simulation: PikeVM::builder().build_from_nfa(program).ok()?,
        })
    }

    pub(crate) fn create_cache(&self) -> Cache {
        Cache {
            automaton: self.automaton.create_cache(),
            backtracker: None,
            simulation: None,
        }
    }

    /// Whether the pattern is found in what `input` says. Linear in the text.
    pub(crate) fn is_match(&self, cache: &mut Cache, input: Input<'_>) -> bool {
        let input = input.earliest(true);
        // Asked beforehand: an automaton that gives up takes memory from the heap to say so.
        let usable = !self.ascii_only || input.haystack().is_ascii();
        if usable && let Ok(found) = self.automaton.try_search_fwd(&mut cache.automaton, &input) {
            return found.is_some();
        }
        let anchored = input.get_anchored() != Anchored::No;
        // Clears memory for the whole of the text first, which a try that soon ends is not worth.
        if !anchored && input.get_span().len() <= self.backtracker.max_haystack_len() {
            let memory = cache
                .backtracker
                .get_or_insert_with(|| self.backtracker.create_cache());
            if let Ok(found) = self.backtracker.try_is_match(memory, input.clone()) {
                return found;
            }
        }
        let memory = cache
            .simulation
            .get_or_insert_with(|| self.simulation.create_cache());
        self.simulation.is_match(memory, input)
    }
}
