//! Precompiles regular expressions to automata where these stay small.
//!
//! ```text
//! x0 "^gpt-4"       source: not precompiled        x0 "^gpt-4"       dfa, 1.2 KiB
//! x1 "\bfoo\b"      source: not precompiled   =>   x1 "\bfoo\b"      dfa, 1.9 KiB, ASCII text only
//! x2 "[\w-]{1,99}"  source: not precompiled        x2 "[\w-]{1,99}"  source: larger than 64 KiB
//! ```
//!
//! The automaton answers whether the pattern is found anywhere (unanchored), with Unicode on, so it means exactly what
//! the pattern means. A dense automaton cannot decide Unicode word boundaries: it gives up on the first byte that is
//! not ASCII, and the pattern is then run from its source; the module says so. Sizes are limited while building, not
//! after, so that no pattern costs more than a fixed amount of time. Equal patterns are one table entry already. Patterns that only
//! scans ask for ([`super::patterns`]) get none: they seldom run.
//!
//! The IR text does not show engines; the build report and `inspect` do.

use super::{OptLevel, Options, Pass, Program};
use policy_bytecode::PredIdx;
use policy_bytecode::module::PatternEngine;
use policy_bytecode::predicate::PredOperand;
use regex_automata::MatchKind;
use regex_automata::dfa::{StartKind, dense};
use regex_automata::nfa::thompson;
use regex_syntax::hir::Look;
use std::collections::BTreeSet;

/// See the module documentation.
#[derive(Debug)]
pub(super) struct RegexDfa;

/// Why a pattern that a scan looks for has no automaton.
const SCANNED: &str = "a scan of the text looks for its literals first";
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
        let mut left = options.dfa_total_limit_bytes;
        let mut changes = 0;
        let scanned = scanned(program);
        for (pattern, scanned) in program.patterns.iter_mut().zip(scanned) {
            if let PatternEngine::Dfa { bytes, .. } = &pattern.engine {
                left = left.saturating_sub(bytes.len());
                continue;
            }
            if scanned {
                let reason = SCANNED.to_owned();
                changes += usize::from(
                    !matches!(&pattern.engine, PatternEngine::Source { reason } if reason == SCANNED),
                );
                pattern.engine = PatternEngine::Source { reason };
                continue;
            }
            let engine = match precompile(&pattern.source, options.dfa_limit_bytes) {
                Ok((bytes, ascii_only)) if bytes.len() <= left => {
                    left -= bytes.len();
                    PatternEngine::Dfa { bytes, ascii_only }
                }
                Ok((bytes, _)) => PatternEngine::Source {
                    reason: format!(
                        "its automaton of {} bytes does not fit the {} bytes for all automata",
                        bytes.len(),
                        options.dfa_total_limit_bytes
                    ),
                },
                Err(reason) => PatternEngine::Source { reason },
            };
            changes += usize::from(engine != pattern.engine);
            pattern.engine = engine;
        }
        changes
    }
}

/// Whether an automaton of the pattern fits into `limit` bytes.
pub(crate) fn fits(source: &str, limit: usize) -> bool {
    precompile(source, limit).is_ok()
}

/// By pattern: whether a scan answers every comparison with it.
fn scanned(program: &Program) -> Vec<bool> {
    let answered = program.scans.iter().flat_map(|scan| &scan.predicates);
    let answered: BTreeSet<PredIdx> = answered.map(|scanned| scanned.predicate).collect();
    let mut scanned = vec![true; program.patterns.len()];
    for (predicate, index) in program.predicates.iter().zip(0..) {
        if let PredOperand::Pattern(x) = predicate.operand
            && !answered.contains(&PredIdx(index))
            && let Some(scanned) = scanned.get_mut(x.index())
        {
            *scanned = false;
        }
    }
    scanned
}

/// The automaton, and whether it gives up on text that is not ASCII.
fn precompile(source: &str, limit: usize) -> Result<(Vec<u8>, bool), String> {
    let hir = regex_syntax::parse(source).map_err(|e| format!("the pattern does not parse: {e}"))?;
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
        .build_from_hir(&hir)
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
    let bytes = bytes.get(padding..).unwrap_or(&[]).to_vec();
    if bytes.len() > limit {
        return Err(format!("its automaton is larger than {} KiB", limit >> 10));
    }
    Ok((bytes, ascii_only))
}
