//! What the caller chooses and what the caller gets: options, result and report of a compilation.
//!
//! Plain data, read and filled by [`crate::pipeline`].

use crate::limits::{CompileLimits, Usage};
use crate::schema::ContextSchema;
use policy_bytecode::Stop;
use policy_bytecode::bundle::{self, CostCertificate};
use policy_bytecode::debug::{DebugSection, SourceMapSection};
use policy_bytecode::manifest::Manifest;
use policy_bytecode::module::Limits;
use policy_bytecode::verify::VerifiedModule;
use policy_bytecode::wire::DecodeError;
use policy_grammar::Diagnostic;
use policy_grammar::codes::Code;
use std::collections::BTreeMap;
use std::time::Duration;

/// How much the passes do. Every level decides alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum OptLevel {
    /// No passes.
    O0,
    /// Folding, simplification and removal of what nobody uses.
    O1,
    /// All passes.
    #[default]
    O2,
}

impl OptLevel {
    /// Every level.
    pub const ALL: &'static [Self] = &[Self::O0, Self::O1, Self::O2];

    /// 0, 1 or 2.
    #[must_use]
    pub fn number(self) -> u8 {
        match self {
            Self::O0 => 0,
            Self::O1 => 1,
            Self::O2 => 2,
        }
    }

    /// The level of a number.
    #[must_use]
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL.iter().copied().find(|level| level.number() == number)
    }
}

/// When to print the IR into the report.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum DumpPoint {
    /// As lowered, before the first pass.
    Lowered,
    /// After the pass of this name.
    After(String),
    /// At every point above.
    All,
}

/// What the caller chooses.
#[derive(Debug, Clone)]
pub struct Options {
    /// How much the passes do.
    pub opt_level: OptLevel,
    /// Revision of the result; `None` derives one from the contents.
    pub revision: Option<String>,
    /// What the caller knows about the context beyond the known fields.
    pub schema: Option<ContextSchema>,
    /// Bounds of an evaluation, written into the module.
    pub limits: Limits,
    /// Bounds of the compilation itself.
    pub compile_limits: CompileLimits,
    /// Ends the compilation when it is asked to.
    pub stop: Stop,
    /// Bytes that the automaton of one pattern may take; a larger one is not stored.
    pub dfa_limit_bytes: usize,
    /// Bytes that the automata of all patterns may take.
    pub dfa_total_limit_bytes: usize,
    /// Units that one evaluation may cost whatever the request, see [`CostCertificate::fixed_cost`]; a set that may cost
    /// more is refused.
    pub max_cost: Option<u64>,
    /// When to print the IR into the report.
    pub dump_ir: Vec<DumpPoint>,
    /// Print the place of each instruction before it.
    pub dump_places: bool,
    /// Measure each pass. Off, the report holds no times and is reproducible.
    pub time_passes: bool,
    /// Name of the last pass to run.
    pub stop_after: Option<String>,
    /// Compile drafts and deprecated policies too, as a simulation does.
    pub include_inactive: bool,
    /// Guard every rule that can be guarded, with as many guards as can be, whether it pays or not. For tests.
    pub index_always: bool,
    /// Warn of rules that no index can reach, which have to be looked at for every request.
    pub warn_unindexed: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            opt_level: OptLevel::default(),
            revision: None,
            schema: None,
            limits: Limits::default(),
            compile_limits: CompileLimits::default(),
            stop: Stop::never(),
            dfa_limit_bytes: 64 << 10,
            dfa_total_limit_bytes: 4 << 20,
            max_cost: None,
            dump_ir: Vec::new(),
            dump_places: false,
            time_passes: false,
            stop_after: None,
            include_inactive: false,
            index_always: false,
            warn_unindexed: false,
        }
    }
}

impl Options {
    /// Whether what is made of a file with these options, and holds no error, is what `others` make of it as well.
    pub(crate) fn make_what_those_do(&self, others: &Self) -> bool {
        let Self {
            opt_level,
            revision,
            schema,
            limits,
            compile_limits,
            // Ends the work and changes nothing of it.
            stop: _,
            dfa_limit_bytes,
            dfa_total_limit_bytes,
            max_cost,
            dump_ir,
            dump_places,
            time_passes,
            stop_after,
            include_inactive,
            index_always,
            warn_unindexed,
        } = self;
        *opt_level == others.opt_level
            && *revision == others.revision
            && *schema == others.schema
            && *limits == others.limits
            && compile_limits.are_within(&others.compile_limits)
            && *dfa_limit_bytes == others.dfa_limit_bytes
            && *dfa_total_limit_bytes == others.dfa_total_limit_bytes
            && *max_cost == others.max_cost
            && *dump_ir == others.dump_ir
            && *dump_places == others.dump_places
            && *time_passes == others.time_passes
            && *stop_after == others.stop_after
            && *include_inactive == others.include_inactive
            && *index_always == others.index_always
            && *warn_unindexed == others.warn_unindexed
    }
}

/// A compiled policy set.
#[derive(Debug, Clone)]
pub struct Compiled {
    /// Code and tables, verified.
    pub module: VerifiedModule,
    /// Reasons, metadata, modifications, condition trees.
    pub manifest: Manifest,
    /// Source places.
    pub source_map: SourceMapSection,
    /// What one evaluation can cost at most.
    pub certificate: CostCertificate,
    /// Places of instructions and conditions.
    pub debug: DebugSection,
    /// Warnings.
    pub diagnostics: Vec<Diagnostic>,
    /// What the policies of each namespace take of [`CompileLimits`], those that take no part in decisions included. The text
    /// of a file counts for every namespace that has a policy in it, and a pattern once for every namespace that has it.
    pub usage: BTreeMap<String, Usage>,
    /// How it was made.
    pub report: BuildReport,
}

impl Compiled {
    /// Packs everything into an unsigned bundle. Equal policies, options and compilers give equal bytes.
    ///
    /// # Errors
    ///
    /// [`DecodeError::LimitExceeded`] when something is too large for the format.
    pub fn to_bundle(&self) -> Result<Vec<u8>, DecodeError> {
        bundle::encode(bundle::Contents {
            module: &self.module,
            manifest: &self.manifest,
            source_map: &self.source_map,
            certificate: &self.certificate,
            debug: Some(&self.debug),
        })
    }
}

/// Why nothing was compiled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failed {
    /// Everything found, warnings included; at least one is an error.
    pub diagnostics: Vec<Diagnostic>,
}

impl Failed {
    /// Whether the compilation was [stopped](Options::stop): then nothing is known of the policies.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        self.diagnostics.iter().any(|d| d.code == Code::Stopped)
    }
}

impl std::fmt::Display for Failed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let errors = self.diagnostics.iter().filter(|d| d.is_error()).count();
        match self.diagnostics.iter().find(|d| d.is_error()) {
            Some(first) if errors == 1 => write!(f, "{}: {}", first.code.as_str(), first.message),
            Some(first) => write!(
                f,
                "{}: {} (and {} more errors)",
                first.code.as_str(),
                first.message,
                errors - 1
            ),
            None => f.write_str("the policies do not compile"),
        }
    }
}

impl std::error::Error for Failed {}

/// How a module was made.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BuildReport {
    /// The passes that ran, in order.
    pub passes: Vec<PassReport>,
    /// The IR where it was asked for, in order.
    pub dumps: Vec<IrDump>,
    /// Every pattern of the module and how it will be run.
    pub patterns: Vec<PatternReport>,
    /// Sizes of the module.
    pub stats: BuildStats,
}

impl BuildReport {
    /// Adds what another part of the same build reports of the same passes.
    pub(crate) fn absorb(&mut self, part: &Self) {
        for pass in &part.passes {
            match self.passes.iter_mut().find(|p| p.name == pass.name) {
                Some(known) => {
                    known.changes += pass.changes;
                    known.time = known.time.zip(pass.time).map(|(a, b)| a + b);
                }
                None => self.passes.push(pass.clone()),
            }
        }
        for dump in &part.dumps {
            match self.dumps.iter_mut().find(|d| d.after == dump.after) {
                Some(known) => {
                    known.text.push('\n');
                    known.text.push_str(&dump.text);
                }
                None => self.dumps.push(dump.clone()),
            }
        }
    }
}

/// One pass that ran.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PassReport {
    /// Its name.
    pub name: &'static str,
    /// How many places it changed.
    pub changes: usize,
    /// How long it took, when asked for.
    pub time: Option<Duration>,
}

/// The IR at one point.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IrDump {
    /// `lowered`, or the name of the pass that ran last.
    pub after: &'static str,
    /// The text form.
    pub text: String,
}

/// How one pattern will be run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PatternReport {
    /// As written.
    pub source: String,
    /// Bytes of its stored automaton; `None` when it is built from its source at load time.
    pub automaton_bytes: Option<usize>,
    /// Why no automaton is stored.
    pub fallback: Option<String>,
    /// A scan looks for its literals, so that it seldom runs and needs none.
    pub scanned: bool,
}

/// Sizes of a module.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct BuildStats {
    /// Policies.
    pub policies: usize,
    /// Rules.
    pub rules: usize,
    /// Request fields read.
    pub fields: usize,
    /// Constants.
    pub consts: usize,
    /// Regular expressions.
    pub patterns: usize,
    /// Comparisons.
    pub predicates: usize,
    /// Comparisons whose outcome is kept.
    pub memo_cells: usize,
    /// Functions.
    pub functions: usize,
    /// Instructions.
    pub instructions: usize,
    /// Bytes of stored automata.
    pub automaton_bytes: usize,
}
