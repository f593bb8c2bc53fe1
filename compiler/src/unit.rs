//! Units: what one source file contributes to a set, whatever the other files hold.
//!
//! ```text
//! file ─parse→ policies, each: resolve → check → lower → local passes ─► unit ─┐
//! file ─ … ───────────────────────────────────────────────────────────► unit ─┴ link → passes → emit
//! ```
//!
//! A unit depends on the text and the language of its file, on the files that it imports, and on the options, on nothing else: it may be kept for as
//! long as these stay, and is used again wherever the file stands in the set. Each of its policies is a program with
//! small tables of its own, which `link` puts together. Patterns are the exception: their automata are the dearest
//! thing that a compilation makes, so all units of a compiler share them through [`Automata`].

use crate::ir::{Engine, Pattern};
use crate::ir::{Program, text};
use crate::limits::{Ended, Room, Usage, stopped};
use crate::options::{BuildReport, DumpPoint, IrDump, OptLevel, Options};
use crate::resolve::Resolved;
use crate::set::in_file;
use crate::{check, lower, passes, resolve};
use policy_bytecode::Stopped;
use policy_grammar::ast::{Condition, FieldPath, Operand, Policy, Segment};
use policy_grammar::source::Spanned;
use policy_grammar::{Diagnostic, FileId, Limits, ParseOutput, SourceFile, SourceMap, Span};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// Normalised names of the files that a file imports, and what stood there.
#[derive(Debug, Clone, Default)]
pub(crate) struct Imports(Vec<(String, Option<Arc<SourceFile>>)>);

/// What the parser made of one file.
#[derive(Debug, Clone)]
pub(crate) struct Parsed {
    /// The number that the file had.
    file: FileId,
    imports: Imports,
    pub(crate) output: Arc<ParseOutput>,
}

/// What one file contributes. All spans point into that file, under the number that it had when the unit was made.
#[derive(Debug)]
pub(crate) struct Unit {
    pub(crate) imports: Imports,
    /// What parser, resolver and checks said.
    pub(crate) diagnostics: Vec<Diagnostic>,
    /// In file order.
    pub(crate) policies: Vec<PolicyUnit>,
}

/// What one policy contributes.
#[derive(Debug)]
pub(crate) struct PolicyUnit {
    pub(crate) head: Head,
    /// `None` when the policy takes no part in decisions or cannot be compiled.
    pub(crate) program: Option<Program>,
    /// Of the local passes.
    pub(crate) report: BuildReport,
}

/// What the checks of the whole set look at.
#[derive(Debug)]
pub(crate) struct Head {
    pub(crate) id: String,
    pub(crate) id_span: Span,
    pub(crate) namespace: String,
    pub(crate) priority: i64,
    /// It takes part in decisions.
    pub(crate) live: bool,
    /// Places inside lists that rules modify.
    pub(crate) elements: Vec<Spanned<FieldPath>>,
    /// To be reported where nothing in the set is an error.
    pub(crate) never_fires: Option<Diagnostic>,
    /// What it takes of the room that the set has, but for the text of its file and its patterns.
    pub(crate) used: Usage,
    /// Its patterns as written, and their sizes.
    pub(crate) patterns: Vec<(String, usize)>,
}

/// What the patterns of a compiler were compiled to.
#[derive(Debug, Clone, Default)]
pub(crate) struct Automata(HashMap<String, Engine>);

impl Automata {
    fn fill(&self, patterns: &mut [Pattern]) {
        for pattern in patterns {
            if let Some(known) = self.0.get(&pattern.source) {
                pattern.engine = known.clone();
            }
        }
    }

    /// Keeps what the patterns of a unit were compiled to elsewhere.
    pub(crate) fn keep_those_of(&mut self, unit: &Unit) {
        for program in unit.policies.iter().filter_map(|policy| policy.program.as_ref()) {
            self.keep(&program.patterns);
        }
    }

    fn keep(&mut self, patterns: &[Pattern]) {
        for pattern in patterns.iter().filter(|p| !passes::untried(&p.engine)) {
            if !self.0.contains_key(&pattern.source) {
                self.0.insert(pattern.source.clone(), pattern.engine.clone());
            }
        }
    }

    /// Forgets everything when more patterns are known than a set of `live` patterns accounts for, so that years of
    /// edits do not pile up. Units keep theirs.
    pub(crate) fn trim(&mut self, live: usize) {
        if self.0.len() > 2 * live + 64 {
            self.0.clear();
        }
    }
}

/// Compiles one file. `known` is what it was parsed to already.
///
/// # Errors
///
/// A diagnostic that ends the compilation: a limit of the set is exceeded, or it is to stop. There is no unit then,
/// because nothing of it may be kept.
pub(crate) fn of_file(
    sources: &SourceMap,
    file: FileId,
    known: Option<Parsed>,
    options: &Options,
    automata: &mut Automata,
    room: &mut Room<'_>,
) -> Result<Unit, Ended> {
    options.stop.check().map_err(stopped)?;
    if let Some(source) = sources.file(file) {
        room.source(file, source)?;
    }
    let Parsed { imports, output, .. } = match known {
        Some(parsed) => parsed,
        None => parse(sources, file, options)?,
    };
    let mut unit = of_policies(sources.file(file), &output.policies, options, automata, room)?;
    unit.diagnostics.splice(..0, output.diagnostics.iter().cloned());
    unit.imports = imports;
    Ok(unit)
}

/// The file that an import of this name leads to.
fn imported<'s>(sources: &'s SourceMap, name: &str) -> Option<&'s Arc<SourceFile>> {
    sources.named(name).and_then(|id| sources.shared(id))
}

/// Parses one file.
pub(crate) fn parse(sources: &SourceMap, file: FileId, options: &Options) -> Result<Parsed, Ended> {
    let stop = options.stop.clone();
    let limits = &options.compile_limits;
    let limits = Limits {
        // Long patterns are refused before they are read.
        max_pattern_bytes: limits.pattern_bytes.min(limits.file.max_pattern_bytes),
        ..limits.file.clone()
    };
    let output = policy_grammar::parse_source_until(sources, file, &limits, move || stop.is_asked())
        .ok_or_else(|| stopped(Stopped))?;
    let with_file = |name: &String| (name.clone(), imported(sources, name).cloned());
    Ok(Parsed {
        file,
        imports: Imports(output.imports.iter().map(with_file).collect()),
        output: Arc::new(output),
    })
}

/// Compiles policies that are parsed already; all of them stand in `source`.
pub(crate) fn of_policies(
    source: Option<&SourceFile>,
    policies: &[Policy],
    options: &Options,
    automata: &mut Automata,
    room: &mut Room<'_>,
) -> Result<Unit, Ended> {
    let mut diagnostics = Vec::new();
    let policies = policies
        .iter()
        .map(|policy| of_policy(source, policy, options, automata, room, &mut diagnostics))
        .collect::<Result<_, _>>()?;
    Ok(Unit {
        imports: Imports::default(),
        diagnostics,
        policies,
    })
}

fn of_policy(
    source: Option<&SourceFile>,
    policy: &Policy,
    options: &Options,
    automata: &mut Automata,
    room: &mut Room<'_>,
    diagnostics: &mut Vec<Diagnostic>,
) -> Result<PolicyUnit, Ended> {
    let known = diagnostics.len();
    let (head, resolved) = examine(policy, options, room, diagnostics)?;
    let mut unit = PolicyUnit {
        head,
        program: None,
        report: BuildReport::default(),
    };
    let broken = diagnostics.iter().skip(known).any(Diagnostic::is_error);
    if !unit.head.live || broken {
        return Ok(unit);
    }
    let mut program = lower::lower(&resolved.live, source);
    if options.opt_level >= OptLevel::O2 {
        automata.fill(&mut program.patterns);
    }
    if options
        .dump_ir
        .iter()
        .any(|p| matches!(p, DumpPoint::Lowered | DumpPoint::All))
    {
        unit.report.dumps.push(IrDump {
            after: "lowered",
            text: text::dump(&program, options.dump_places),
        });
    }
    passes::run(passes::LOCAL, &mut program, options, &mut unit.report)?;
    automata.keep(&program.patterns);
    program.shrink();
    unit.program = Some(program);
    Ok(unit)
}

/// Everything that can be said about one policy, without making anything of it.
///
/// # Errors
///
/// As [`of_file`].
pub(crate) fn examine(
    policy: &Policy,
    options: &Options,
    room: &mut Room<'_>,
    diagnostics: &mut Vec<Diagnostic>,
) -> Result<(Head, Resolved), Ended> {
    let known = diagnostics.len();
    let used = room.policy(policy)?;
    let resolved = resolve::resolve(policy, options, room, diagnostics)?;
    check::check(&resolved, options, diagnostics)?;
    keep_names(policy, diagnostics.get_mut(known..).unwrap_or_default());
    let id = &policy.metadata.id;
    let programs = [&resolved.live, &resolved.idle];
    let patterns = programs.into_iter().flat_map(|program| &program.patterns);
    let head = Head {
        id: id.value.clone(),
        id_span: id.span,
        namespace: policy.metadata.namespace.value.clone(),
        priority: policy.metadata.priority.value,
        live: resolve::is_live(policy, options),
        elements: elements(policy),
        never_fires: check::never_fires(&resolved.live),
        used,
        patterns: patterns.map(|p| (p.source.clone(), p.size)).collect(),
    };
    Ok((head, resolved))
}

/// Takes back replacements of values that stand under the name of a constant: a value in the place of `let.limit` behind
/// `valueFrom` would be a path.
fn keep_names(policy: &Policy, diagnostics: &mut [Diagnostic]) {
    fn names(condition: &Condition, spans: &mut HashSet<Span>) {
        match condition {
            Condition::And { operands, .. } | Condition::Or { operands, .. } => {
                operands.iter().for_each(|operand| names(operand, spans));
            }
            Condition::Not { operand, .. } => names(operand, spans),
            Condition::Test(test) => {
                spans.extend(test.constant.as_ref().map(|constant| constant.span));
                if let Operand::Condition(body) = &test.operand {
                    names(body, spans);
                }
            }
        }
    }
    if diagnostics.iter().all(|diagnostic| diagnostic.fix.is_none()) {
        return;
    }
    let mut spans = HashSet::new();
    for rule in &policy.rules {
        names(&rule.condition, &mut spans);
    }
    for diagnostic in diagnostics {
        if diagnostic
            .fix
            .as_ref()
            .is_some_and(|fix| spans.contains(&fix.span))
        {
            diagnostic.fix = None;
        }
    }
}

impl Imports {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether everything that is imported is still what it was.
    pub(crate) fn stand(&self, sources: &SourceMap) -> bool {
        self.0
            .iter()
            .all(|(name, known)| match (known, imported(sources, name)) {
                (Some(known), Some(now)) => Arc::ptr_eq(known, now) || known.text() == now.text(),
                (None, None) => true,
                (Some(_), None) | (None, Some(_)) => false,
            })
    }
}

impl Parsed {
    /// Whether parsing the file again, under this number, would give the same.
    pub(crate) fn stands(&self, sources: &SourceMap, file: FileId) -> bool {
        self.file == file && self.imports.stand(sources)
    }
}

impl Unit {
    /// Counts a unit of an earlier compilation, whose file has this number now.
    pub(crate) fn again(&self, file: FileId, room: &mut Room<'_>) -> Result<(), Ended> {
        for head in self.policies.iter().map(|policy| &policy.head) {
            let at = in_file(head.id_span, file);
            room.again(&head.used, at)?;
            for (source, size) in &head.patterns {
                room.pattern(source, *size, at)?;
            }
        }
        Ok(())
    }
}

/// What the enabled rules of a policy modify inside lists, every place once.
fn elements(policy: &Policy) -> Vec<Spanned<FieldPath>> {
    let rules = policy.rules.iter().filter(|rule| rule.enabled);
    let modified = rules.flat_map(|rule| &rule.action.modifications);
    let mut seen: HashSet<&FieldPath> = HashSet::new();
    modified
        .map(|modification| &modification.path)
        .filter(|path| path.value.segments.iter().any(Segment::is_element) && seen.insert(&path.value))
        .cloned()
        .collect()
}
