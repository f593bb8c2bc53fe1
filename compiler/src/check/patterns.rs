//! Patterns that each take a slow pass of their own over the long texts of a request.
//!
//! Most patterns cost next to nothing: a scan looks for literals that their matches hold, all in one pass, or a stored
//! automaton runs them fast, or they are tied to the start of the text. Only what is none of these is worth a word, and
//! only on fields that hold long texts: so the warning names patterns that somebody can do something about.

use crate::cost::holds_long_text;
use crate::hir::Program;
use crate::options::Options;
use crate::passes::patterns::Search;
use policy_bytecode::predicate::PredOperand;
use policy_grammar::Diagnostic;
use policy_grammar::codes::Code;

pub(super) fn check(program: &Program, options: &Options, diagnostics: &mut Vec<Diagnostic>) {
    let (limit, stop) = (options.dfa_limit_bytes, &options.stop);
    for predicate in &program.predicates {
        let PredOperand::Pattern(x) = predicate.operand else {
            continue;
        };
        let (Some(field), Some(pattern)) = (
            program.fields.get(predicate.field),
            program.patterns.get(x.index()),
        ) else {
            continue;
        };
        if !holds_long_text(&field.field.path) {
            continue;
        }
        if stop.is_asked() {
            return;
        }
        if *pattern.search == Search::Whole && !pattern.has_automaton(limit) {
            diagnostics.push(
                Diagnostic::new(
                    Code::SlowPattern,
                    predicate.span,
                    format!("this pattern takes a slow pass of its own over every `{}`", field.path),
                )
                .label("no text is part of every match, and its automaton is large")
                .help("add something fixed that every match has, such as a keyword before it, or shorten its repetitions"),
            );
        }
    }
}
