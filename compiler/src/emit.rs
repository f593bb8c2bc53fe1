//! Emit: IR → module, manifest, source map, debug section and cost certificate.
//!
//! Sixth stage. Code generation is in `emit/code.rs`, the certificate in `emit/certificate.rs`, places in `emit/debug.rs`; here
//! the tables are laid out. Shared predicates get memo cells, in table order. Nothing is reordered or dropped: what the passes left is
//! what the module holds.

mod certificate;
mod code;
mod debug;

use crate::context::known_places;
use crate::ir::{Function, Pattern, Program};
use crate::limits::stopped;
use crate::lower;
use crate::options::{BuildStats, Options, PatternReport};
use crate::pipeline::internal;
use policy_bytecode::bundle::{self, CostCertificate};
use policy_bytecode::debug::{DebugSection, SourceMapSection};
use policy_bytecode::manifest::Manifest;
use policy_bytecode::module::{DecisionRule, Module, PatternEngine, PolicyRange};
use policy_bytecode::predicate::{PredOperand, Predicate};
use policy_bytecode::quantifier::{Body, ItemOperand};
use policy_bytecode::{FuncIdx, MemoIdx, PatternIdx, PolicyIdx, PredIdx};
use policy_grammar::codes::Code;
use policy_grammar::{Diagnostic, FileId, SourceMap, Span};
use sha2::{Digest as _, Sha256};
use std::collections::BTreeSet;

/// What `emit` hands over.
#[derive(Debug)]
pub(crate) struct Emitted {
    pub(crate) module: Module,
    pub(crate) manifest: Manifest,
    pub(crate) source_map: SourceMapSection,
    pub(crate) certificate: CostCertificate,
    pub(crate) debug: DebugSection,
}

/// Lays out the module.
///
/// # Errors
///
/// A diagnostic when the program exceeds the format: a condition that nests too deeply, or code that is too long; or when
/// the compilation is to stop.
pub(crate) fn emit(
    program: Program,
    sources: &SourceMap,
    options: &Options,
) -> Result<Emitted, Box<Diagnostic>> {
    let mut functions = Vec::with_capacity(program.functions.len());
    let mut locs = Vec::with_capacity(program.functions.len());
    for function in &program.functions {
        options.stop.check().map_err(stopped)?;
        let coded =
            code::function(&program, function).map_err(|e| Box::new(e.diagnostic(first_span(function))))?;
        functions.push(coded.function);
        locs.push(coded.locs);
    }
    let mut memo_cells = 0;
    let predicates = program
        .predicates
        .iter()
        .map(|p| Predicate {
            op: p.op,
            field: p.field,
            operand: p.operand,
            memo: p.shared.then(|| {
                memo_cells += 1;
                MemoIdx(memo_cells - 1)
            }),
        })
        .collect();
    let rules: Vec<DecisionRule> = program
        .rules
        .iter()
        .map(|rule| DecisionRule {
            condition: FuncIdx(rule.condition.0),
            policy: PolicyIdx(rule.policy),
            decision: rule.decision,
            fires_on_error: rule.fires_on_error,
        })
        .collect();
    options.stop.check().map_err(stopped)?;
    let certificate = certificate::certificate(&program, &functions, options);
    let source_map = debug::source_map(&program, sources);
    let debug = debug::section(&program, &locs, sources);
    let policies = ranges(&program);
    let module = Module {
        limits: options.limits,
        known: known_places(&program.fields),
        fields: program.fields,
        consts: program.consts,
        patterns: program.patterns.iter().map(Pattern::to_module).collect(),
        predicates,
        bodies: program.bodies,
        scans: program.scans,
        memo_cells,
        functions,
        rules,
        policies,
    };
    let mut manifest = program.manifest;
    manifest.revision = match &options.revision {
        Some(revision) => revision.clone(),
        None => revision(&module, &manifest, &source_map, &certificate)
            .map_err(|e| Box::new(Diagnostic::new(Code::TooLarge, start(), e.to_string())))?,
    };
    Ok(Emitted {
        module,
        manifest,
        source_map,
        certificate,
        debug,
    })
}

fn start() -> Span {
    Span::new(FileId(0), 0, 0)
}

/// The rules of each policy; they are consecutive because lowering made them so.
fn ranges(program: &Program) -> Vec<PolicyRange> {
    let mut ranges: Vec<PolicyRange> = Vec::with_capacity(program.policies.len());
    let mut next = 0;
    for (_, policy) in program.policies.iter().zip(0u32..) {
        let first_rule = next;
        while program
            .rules
            .get(next as usize)
            .is_some_and(|r| r.policy == policy)
        {
            next += 1;
        }
        ranges.push(PolicyRange {
            first_rule,
            rule_count: next - first_rule,
        });
    }
    ranges
}

/// Where to point for a function: the first of its places.
fn first_span(function: &Function) -> Span {
    function.locs.known().next().map_or_else(start, lower::span)
}

/// Derived from the contents, so that equal policies have equal revisions on every machine. Says what is decided and shown,
/// which the debug section has no part in.
fn revision(
    module: &Module,
    manifest: &Manifest,
    source_map: &SourceMapSection,
    certificate: &CostCertificate,
) -> Result<String, policy_bytecode::wire::DecodeError> {
    let bytes = bundle::encode(bundle::Contents {
        module,
        manifest,
        source_map,
        certificate,
        debug: None,
    })?;
    let digest = Sha256::digest(&bytes);
    let hex: String = digest.iter().take(6).map(|b| format!("{b:02x}")).collect();
    Ok(format!("sha256:{hex}"))
}

/// Sizes of a module.
pub(crate) fn stats(module: &Module) -> BuildStats {
    BuildStats {
        policies: module.policies.len(),
        rules: module.rules.len(),
        fields: module.fields.len(),
        consts: module.consts.len(),
        patterns: module.patterns.len(),
        predicates: module.predicates.len(),
        memo_cells: module.memo_cells as usize,
        functions: module.functions.len(),
        instructions: module.functions.iter().map(|f| f.code.len()).sum(),
        automaton_bytes: module
            .patterns
            .iter()
            .map(|p| match &p.engine {
                PatternEngine::Dfa { bytes, .. } => bytes.len(),
                PatternEngine::Source { .. } => 0,
            })
            .sum(),
    }
}

/// How each pattern of a module will be run.
pub(crate) fn pattern_reports(module: &Module) -> Vec<PatternReport> {
    let scans = module.scans.iter().flat_map(|scan| &scan.predicates);
    let answered: BTreeSet<PredIdx> = scans.map(|scanned| scanned.predicate).collect();
    let alone: BTreeSet<PatternIdx> = module
        .predicates
        .iter()
        .zip(0..)
        .filter_map(|(predicate, index)| match predicate.operand {
            PredOperand::Pattern(x) => (!answered.contains(&PredIdx(index))).then_some(x),
            PredOperand::None | PredOperand::Const(_) | PredOperand::Field(_) | PredOperand::Body(_) => None,
        })
        .chain(in_elements(&module.bodies))
        .collect();
    module
        .patterns
        .iter()
        .zip(0..)
        .map(|(pattern, index)| (pattern, !alone.contains(&PatternIdx(index))))
        .map(|(pattern, scanned)| match &pattern.engine {
            PatternEngine::Dfa { bytes, .. } => PatternReport {
                source: pattern.source.clone(),
                automaton_bytes: Some(bytes.len()),
                fallback: None,
                scanned,
            },
            PatternEngine::Source { reason } => PatternReport {
                source: pattern.source.clone(),
                automaton_bytes: None,
                fallback: Some(reason.clone()),
                scanned,
            },
        })
        .collect()
}

/// Patterns that are run over texts in elements.
pub(crate) fn in_elements(bodies: &[Body]) -> impl Iterator<Item = PatternIdx> {
    bodies
        .iter()
        .flat_map(Body::tests)
        .filter_map(|test| match test.operand {
            ItemOperand::Plain(PredOperand::Pattern(x)) => Some(x),
            ItemOperand::Plain(
                PredOperand::None | PredOperand::Const(_) | PredOperand::Field(_) | PredOperand::Body(_),
            )
            | ItemOperand::Item(_) => None,
        })
}

/// What a function of the IR can ask for that the format cannot express.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CodeError {
    /// More nested operators that can be errors than a frame has flags.
    TooManyFlags,
    /// More values than a frame has registers.
    TooManyRegisters,
    /// More instructions than a label reaches.
    TooLong,
    /// The IR is not well-formed.
    Malformed(&'static str),
}

impl CodeError {
    fn diagnostic(self, span: Span) -> Diagnostic {
        match self {
            Self::TooManyFlags => Diagnostic::new(
                Code::TooLarge,
                span,
                format!("the condition nests deeper than {} operators", code::MAX_FLAGS),
            )
            .help("write nested `and`s and `or`s of one kind as one list"),
            Self::TooManyRegisters => {
                Diagnostic::new(Code::TooLarge, span, "the rule needs too many registers")
            }
            Self::TooLong => Diagnostic::new(Code::TooLarge, span, "the condition is too long"),
            Self::Malformed(detail) => internal(format!("the program is malformed: {detail}")),
        }
    }
}

#[cfg(test)]
mod tests;
