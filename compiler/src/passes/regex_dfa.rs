//! Precompiles regular expressions to automata where these stay small.
//!
//! ```text
//! x0 "^gpt-4"       source: not precompiled        x0 "^gpt-4"       dfa, 1.2 KiB
//! x1 "\bfoo\b"      source: not precompiled   =>   x1 "\bfoo\b"      dfa, 1.9 KiB
//! x2 "\p{L}{1,99}"  source: not precompiled        x2 "\p{L}{1,99}"  source: too large to determinise
//! ```
//!
//! The automaton answers whether the pattern is found anywhere (unanchored), with Unicode on, so it means exactly what
//! the pattern means. A dense automaton cannot decide Unicode word boundaries: it would give up on the first byte that is
//! not ASCII. The dialect has none (`\b` is ASCII); the module says so of each automaton. Sizes are limited while building, not
//! after, so that no pattern costs more than a fixed amount of time. A pattern that was looked at before keeps what was
//! found. Whether all automata together fit their limit is the business of `dfa_limit`.
//!
//! The IR text has no place for automata; dumps show them as comments from this pass on, the build report and `inspect` in full.

use super::{OptLevel, Options, Pass, Program};
use crate::ir::{Engine, Reason};
use regex_automata::dfa::{Automaton as _, StartKind, dense};
use regex_automata::nfa::thompson;
use regex_automata::util::start;
use regex_automata::{Anchored, MatchKind};
use regex_syntax::hir::{Hir, Look};
use std::collections::BTreeSet;
use std::sync::Arc;

/// See the module documentation.
#[derive(Debug)]
pub(super) struct RegexDfa;

/// Memory that building one automaton may take beyond the automaton itself, in multiples of its limit.
const SCRATCH_FACTOR: usize = 4;
/// Bytes of the non-deterministic automaton above which determinising is not tried: it would run into its limit.
const NFA_LIMIT_BYTES: usize = 256 << 10;

impl Pass for RegexDfa {
    fn name(&self) -> &'static str {
        "regex_dfa"
    }

    fn level(&self) -> OptLevel {
        OptLevel::O2
    }

    fn run(&self, program: &mut Program, options: &Options) -> usize {
        let mut changes = 0;
        // Nobody asks for it behind this pass.
        let made = program.patterns.iter_mut().map(|p| (p.made.take(), p));
        let untried = made.filter(|(_, p)| untried(&p.engine));
        for (made, pattern) in untried.take_while(|_| !options.stop.is_asked()) {
            let limit = options.dfa_limit_bytes;
            pattern.engine = match made.unwrap_or_else(|| parse_and_precompile(&pattern.translated, limit)) {
                Ok((bytes, ascii_only)) => Engine::Dfa { bytes, ascii_only },
                Err(why) => Engine::Source(Reason::Refused(why)),
            };
            changes += 1;
        }
        changes
    }
}

/// Whether nobody has tried to make an automaton yet.
pub(crate) fn untried(engine: &Engine) -> bool {
    *engine == Engine::Source(Reason::Untried)
}

/// States in which the stored automaton can be, the dead one aside; `None` for what is no automaton.
pub(crate) fn states(bytes: &[u8]) -> Option<usize> {
    // Its tables must be aligned; where `bytes` landed is chance.
    let mut padded = vec![0u8; bytes.len() + 8];
    let shift = padded.as_ptr().align_offset(8);
    let aligned = padded.get_mut(shift..shift + bytes.len())?;
    aligned.copy_from_slice(bytes);
    let (dfa, _) = dense::DFA::from_bytes(aligned).ok()?;
    // What stands before a search decides where it starts.
    let before = std::iter::once(None).chain((0..=u8::MAX).map(Some));
    let starts = before.filter_map(|byte| {
        let config = start::Config::new().anchored(Anchored::No).look_behind(byte);
        dfa.start_state(&config).ok()
    });
    let mut seen = BTreeSet::new();
    let mut open: Vec<_> = starts.collect();
    while let Some(state) = open.pop() {
        if dfa.is_dead_state(state) || dfa.is_quit_state(state) || !seen.insert(state) {
            continue;
        }
        open.extend((0..=u8::MAX).map(|byte| dfa.next_state(state, byte)));
        open.push(dfa.next_eoi_state(state));
    }
    Some(seen.len())
}

/// An automaton, and whether it gives up on text that is not ASCII; or why there is none.
pub(crate) type Automaton = Result<(Arc<[u8]>, bool), String>;

fn parse_and_precompile(translated: &str, limit: usize) -> Automaton {
    let hir = regex_syntax::parse(translated).map_err(|e| format!("the pattern does not parse: {e}"))?;
    precompile(&hir, limit)
}

/// The automaton of a pattern, given its syntax tree.
pub(crate) fn precompile(hir: &Hir, limit: usize) -> Automaton {
    let looks = hir.properties().look_set();
    let ascii_only = [
        Look::WordUnicode,
        Look::WordUnicodeNegate,
        Look::WordStartUnicode,
        Look::WordEndUnicode,
        Look::WordStartHalfUnicode,
        Look::WordEndHalfUnicode,
    ]
    .into_iter()
    .any(|look| looks.contains(look));
    let nfa = thompson::Compiler::new()
        .configure(
            thompson::Config::new()
                .which_captures(thompson::WhichCaptures::None)
                .nfa_size_limit(Some(NFA_LIMIT_BYTES)),
        )
        .build_from_hir(hir)
        .map_err(|_| {
            format!(
                "the pattern is larger than {} KiB before determinising",
                NFA_LIMIT_BYTES >> 10
            )
        })?;
    let config = dense::Config::new()
        .start_kind(StartKind::Unanchored)
        .match_kind(MatchKind::LeftmostFirst)
        .unicode_word_boundary(true)
        .dfa_size_limit(Some(limit))
        .determinize_size_limit(Some(limit.saturating_mul(SCRATCH_FACTOR)));
    let dfa = dense::Builder::new()
        .configure(config)
        .build_from_nfa(&nfa)
        .map_err(|_| format!("its automaton is larger than {} KiB", limit >> 10))?;
    let (bytes, padding) = dfa.to_bytes_little_endian();
    let bytes: Arc<[u8]> = bytes.get(padding..).unwrap_or(&[]).into();
    if bytes.len() > limit {
        return Err(format!("its automaton is larger than {} KiB", limit >> 10));
    }
    Ok((bytes, ascii_only))
}
