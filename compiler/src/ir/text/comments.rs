//! What dumps say of automata and scans beside the IR, as comments: they are no part of the text form, which cannot give an
//! automaton back, and [`parse`](super::parse) passes them over.
//!
//! ```text
//! # pattern "^gpt-4": dense automaton, 8 states, 1892 bytes; matches begin where the text does
//! # pattern "(?i)rm -rf": lazy automaton (a scan of the text looks for its literals first); prefilter "rm -rf"
//! # pattern "\\p{L}{1,99}": lazy automaton (the pattern is larger than 256 KiB before determinising); no prefilter
//! # scan of llm.prompt: 2 comparisons by 2 literals: "###", "rm -rf"
//! ```
//!
//! Patterns stand in the order of their table. The prefilter of a pattern are the literals of which each of its matches holds
//! one; a scan looks for those of its comparisons in one pass over the text.

use super::print::{field, quote};
use crate::ir::Program;
use crate::ir::{Engine, Pattern};
use crate::passes::patterns::Search;
use crate::passes::regex_dfa::states;
use policy_bytecode::scan::{Literal, Scan};

/// Literals that one line names.
const NAMED: usize = 8;

/// The comments of a program, a line each; empty where it has no patterns and no scans.
pub(crate) fn automata(program: &Program) -> String {
    let patterns = program.patterns.iter().map(pattern);
    let scans = program.scans.iter().map(|s| scan(program, s));
    patterns.chain(scans).fold(String::new(), |mut out, line| {
        out.push_str("# ");
        out.push_str(&line);
        out.push('\n');
        out
    })
}

fn pattern(pattern: &Pattern) -> String {
    let mut line = format!("pattern {}: ", quote(&pattern.source));
    match &pattern.engine {
        Engine::Dfa { bytes, ascii_only } => {
            let states = states(bytes).map_or_else(|| "?".to_owned(), |n| n.to_string());
            let only = if *ascii_only { ", for text in ASCII" } else { "" };
            line.push_str(&format!(
                "dense automaton, {states} states, {} bytes{only}",
                bytes.len()
            ));
        }
        Engine::Source(reason) => line.push_str(&format!("lazy automaton ({reason})")),
    }
    line.push_str("; ");
    match &*pattern.search {
        Search::Literals(required) => {
            line.push_str("prefilter ");
            line.push_str(&listed(&required.literals));
        }
        Search::AtStart => line.push_str("matches begin where the text does"),
        Search::Whole => line.push_str("no prefilter"),
    }
    line
}

fn scan(program: &Program, scan: &Scan) -> String {
    format!(
        "scan of {}: {} comparisons by {} literals: {}",
        field(program.fields.get(scan.field.index())),
        scan.predicates.len(),
        scan.literals.len(),
        listed(&scan.literals)
    )
}

fn listed(literals: &[Literal]) -> String {
    let mut texts: Vec<String> = literals.iter().take(NAMED).map(|l| quote(&l.folded)).collect();
    if let Some(more) = literals.len().checked_sub(NAMED).filter(|n| *n > 0) {
        texts.push(format!("… {more} more"));
    }
    texts.join(", ")
}
