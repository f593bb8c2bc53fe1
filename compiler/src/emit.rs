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
mod tests {
    use super::emit;
    use crate::ir::{text, verify};
    use crate::options::Options;
    use policy_bytecode::FuncIdx;
    use policy_bytecode::verify::{HostLimits, verify as verify_module};
    use policy_grammar::{SourceFile, SourceMap};

    /// Data, calls, loops and collections, as a front end with variables lowers to them.
    const PROGRAM: &str = r#"
function fn0 {
b0(v0, v1):
  v2 = add v0, v1
  ret v2
}
policy "p"
rule "p/r" deny on_error=match {
b0:
  v0 = load_field user.roles
  v1 = load_const 0
  iter_begin it0, v0
  build_array b0
  jump b1(v1, v1)
b1(v2, v3):
  iter_next it0, b2, b3
b2(v4, v5):
  v6 = call fn0, v2, v4
  build_push b0, v5
  jump b1(v3, v6)
b3:
  v7 = build_end b0
  defined v7, b4, b6
b4:
  v8 = len v7
  v9 = lt v1, v8
  v10 = truth v9
  v11 = test team.tier contains "free"
  v12 = and v10, v11
  split v12, b5, b6, b7
b5:
  v13 = not v12
  ret v13
b6:
  v14 = const false
  ret v14
b7:
  v15 = test team.tier exists
  ret v15
}
"#;

    #[test]
    fn general_code_passes_the_verifiers() {
        let program = text::parse(PROGRAM).unwrap();
        verify::verify(&program).unwrap();
        let emitted = emit(program, &SourceMap::new(), &Options::default()).unwrap();
        let module = verify_module(emitted.module, &HostLimits::default()).unwrap();
        let code: Vec<String> = module.functions[1].code.iter().map(ToString::to_string).collect();
        // Both parameters of the loop are handed over at once.
        let moves = code.iter().filter(|i| i.starts_with("mov")).count();
        assert!(moves >= 5, "{code:#?}");
        assert_eq!(emitted.certificate.instructions, Options::default().limits.fuel);
    }

    /// Calls without loops: what is called is counted at each place that calls it.
    #[test]
    fn calls_are_part_of_the_certificate() {
        let text = r#"
function fn0 {
b0(v0, v1):
  v2 = add v0, v1
  v3 = test team.tier exists
  split v3, b1, b1, b1
b1:
  ret v2
}
function fn1 {
b0(v0):
  v1 = call fn0, v0, v0
  v2 = call fn0, v1, v1
  ret v2
}
policy "p"
rule "p/r" deny on_error=match {
b0:
  v0 = load_const 1
  v1 = call fn1, v0
  v2 = load_const 4
  v3 = eq v1, v2
  v4 = truth v3
  ret v4
}
"#;
        let program = text::parse(text).unwrap();
        verify::verify(&program).unwrap();
        let options = Options::default();
        let emitted = emit(program, &SourceMap::new(), &options).unwrap();
        let module = verify_module(emitted.module, &HostLimits::default()).unwrap();
        let longest = module.functions.iter().map(|f| f.code.len() as u64);
        let [callee, caller, rule] = <[u64; 3]>::try_from(longest.collect::<Vec<_>>()).unwrap();
        let bound = emitted.certificate.instructions;
        let all = rule + caller + 2 * callee;
        assert!(bound <= all && bound + 8 > all, "{bound} of {all}");
        assert_eq!(emitted.certificate.predicates, 2);
    }

    #[test]
    fn what_ends_a_block_has_the_place_of_what_it_reads_or_of_what_stands_before() {
        let program = r#"
policy "p"
rule "p/r" deny on_error=match {
b0:
  @0:1..2 v0 = load_field user.roles
  @0:3..4 iter_begin it0, v0
  jump b3
b1(v1, v2):
  @0:5..6 v3 = truth v2
  @0:7..8 v4 = test team.tier contains "free"
  @0:9..9 v5 = or v3, v4
  split v5, b4, b3, b2
b2:
  @0:10..11 v6 = const false
  ret v6
b3:
  iter_next it0, b1, b2
b4:
  v7 = const true
  ret v7
}
"#;
        let mut sources = SourceMap::new();
        sources.add(SourceFile::new("a.yaml", "0123456789ab"));
        let program = text::parse(program).unwrap();
        verify::verify(&program).unwrap();
        let emitted = emit(program, &sources, &Options::default()).unwrap();
        let code = emitted.module.functions[0].code.iter().enumerate();
        let columns: Vec<String> = code
            .map(|(i, instr)| {
                let place = emitted.debug.instruction(FuncIdx(0), i);
                let column = place.map_or_else(|| "-".to_owned(), |place| (place.column - 1).to_string());
                format!("{column} {}", instr.opcode().mnemonic())
            })
            .collect();
        let expected = [
            "1 load_field",
            "3 iter_begin",
            "3 jump",
            "9 clear_flag",
            "5 br_if",
            "7 test",
            "9 br_flag",
            "9 jump",
            "10 ret_false",
            "- iter_next",
            "- jump",
            "- ret_true",
        ];
        assert_eq!(columns, expected);
    }
}
