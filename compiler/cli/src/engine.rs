//! The flags that describe an engine, shared by the commands that evaluate, and the engine made from them.

use crate::inputs::{self, Input};
use crate::{output, project};
use anyhow::{Context as _, anyhow, bail};
use clap::ValueEnum;
use policy_bytecode::Module;
use policy_bytecode::bundle::{Bundle, BundleError, PublicKey};
use policy_bytecode::manifest::Manifest;
use policy_bytecode::wire::DecodeError;
use policy_compiler::{Compiled, OptLevel, Options};
use policy_runtime::primitives::prices::PriceTable;
use policy_runtime::{
    DefaultDecision, DeriveMode, EngineBuilder, EvaluateOptions, LoadError, Mode, Policies, PolicyEngine,
};
use std::borrow::Cow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Flags of the engine.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "Engine")]
pub(crate) struct EngineArgs {
    /// Which value of a derived field is used: the computed one or the caller's [default: always]
    #[arg(long, value_enum, value_name = "WHEN")]
    pub(crate) derive: Option<Derive>,
    /// Decision where no rule fires [default: allow]
    #[arg(long, value_enum, value_name = "DECISION")]
    pub(crate) default_decision: Option<Fallback>,
    /// Prices of models, YAML or JSON: added to the built-in table, or instead of it with `replace: true`
    #[arg(long, value_name = "FILE")]
    pub(crate) prices: Option<PathBuf>,
    /// Accept only bundles signed by this key; may be given several times
    #[arg(long = "public-key", value_name = "FILE")]
    pub(crate) public_keys: Vec<PathBuf>,
    #[command(flatten)]
    pub(crate) optimise: OptArgs,
}

/// The optimisation level.
#[derive(Debug, Clone, Copy, Default, clap::Args)]
pub(crate) struct OptArgs {
    /// Optimisation: 0 none, 1 some, 2 all; every level decides alike
    #[arg(short = 'O', value_name = "LEVEL", default_value = "2", value_parser = level)]
    pub(crate) level: OptLevel,
}

fn level(text: &str) -> Result<OptLevel, String> {
    text.parse()
        .ok()
        .and_then(OptLevel::from_number)
        .ok_or_else(|| "the levels are 0, 1 and 2, as in -O2".to_owned())
}

/// Which value of a derived field is used: the computed one or the caller's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub(crate) enum Derive {
    /// The engine's, whatever the request says, also where there is no text
    Always,
    /// The request's where it is there, else the engine's
    Missing,
    /// The request's; nothing is computed
    Never,
}

impl Derive {
    /// As the engine takes it.
    pub(crate) fn mode(self) -> DeriveMode {
        match self {
            Self::Always => DeriveMode::Always,
            Self::Missing => DeriveMode::Missing,
            Self::Never => DeriveMode::Never,
        }
    }
}

/// Decision where no rule fires.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub(crate) enum Fallback {
    /// Let it pass
    Allow,
    /// Refuse it
    Deny,
}

impl Fallback {
    /// As the engine takes it.
    pub(crate) fn decision(self) -> DefaultDecision {
        match self {
            Self::Allow => DefaultDecision::Allow,
            Self::Deny => DefaultDecision::Deny,
        }
    }
}

/// Flags of one request.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "Request")]
pub(crate) struct RequestArgs {
    #[command(flatten)]
    pub(crate) scope: ScopeArgs,
    /// Evaluate every rule instead of stopping at the first deny
    #[arg(long)]
    pub(crate) all: bool,
}

/// Flags that choose the policies for a request.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "Request")]
pub(crate) struct ScopeArgs {
    /// Only policies of this namespace and of `global`
    #[arg(long, value_name = "NAME")]
    pub(crate) namespace: Option<String>,
    /// Only these policies
    #[arg(long, value_name = "ID,…", value_delimiter = ',')]
    pub(crate) policies: Option<Vec<String>>,
}

/// A request's options, borrowed from its flags.
pub(crate) struct RequestOptions<'a> {
    namespace: Option<&'a str>,
    policies: Option<Vec<Cow<'a, str>>>,
    mode: Mode,
}

impl RequestArgs {
    /// As the engine takes them.
    pub(crate) fn options(&self) -> RequestOptions<'_> {
        self.scope
            .options(if self.all { Mode::All } else { Mode::FirstDeny })
    }
}

impl ScopeArgs {
    /// As the engine takes them.
    pub(crate) fn options(&self, mode: Mode) -> RequestOptions<'_> {
        RequestOptions {
            namespace: self.namespace.as_deref(),
            policies: self
                .policies
                .as_ref()
                .map(|list| list.iter().map(|id| Cow::Borrowed(id.as_str())).collect()),
            mode,
        }
    }
}

impl RequestOptions<'_> {
    /// With the namespace of the project file where none was given.
    pub(crate) fn or_project(self) -> Self {
        Self {
            namespace: self.namespace.or(project::namespace()),
            ..self
        }
    }

    /// Options of one evaluation.
    pub(crate) fn evaluate(&self, trace: bool) -> EvaluateOptions<'_> {
        EvaluateOptions {
            request_id: None,
            namespace: self.namespace,
            policies: self.policies.as_deref(),
            chosen: None,
            mode: self.mode,
            trace,
            stop: None,
        }
    }
}

/// What a policy set is made of, for commands that look into it.
pub(crate) struct Parts {
    /// Code and tables.
    pub(crate) module: Module,
    /// Reasons, condition trees, places.
    pub(crate) manifest: Manifest,
}

/// Reads the public keys of `--public-key`.
pub(crate) fn public_keys(paths: &[PathBuf]) -> anyhow::Result<Vec<PublicKey>> {
    paths
        .iter()
        .map(|path| {
            PublicKey::from_pem(&output::read_text(path)?).with_context(|| format!("in `{}`", path.display()))
        })
        .collect()
}

/// Why a bundle is refused, and what to do about it.
pub(crate) fn refused(name: &str, error: impl Into<LoadError>) -> anyhow::Error {
    let error = error.into();
    match &error {
        LoadError::Bundle(BundleError::Decode(DecodeError::BadMagic)) => {
            anyhow!("`{name}` is not a bundle; make one with `policyc build`")
        }
        LoadError::Bundle(BundleError::Decode(decode @ DecodeError::UnsupportedVersion { .. })) => {
            anyhow!("`{name}` is refused: {decode}; build it again with this version")
        }
        LoadError::Bundle(BundleError::Untrusted { signed_by }) if signed_by.is_empty() => {
            anyhow!("`{name}` is refused: it is not signed; sign it with `policyc sign`")
        }
        _ => anyhow::Error::new(error).context(format!("`{name}` is refused")),
    }
}

/// Why bytes cannot be used as a bundle, whoever signed them.
pub(crate) fn unusable(name: &str, error: BundleError) -> anyhow::Error {
    match &error {
        BundleError::Decode(DecodeError::BadMagic | DecodeError::UnsupportedVersion { .. }) => {
            refused(name, error)
        }
        _ => anyhow::Error::new(error).context(format!("`{name}` is not a usable bundle")),
    }
}

/// Reads `--prices`.
fn prices(path: &Path) -> anyhow::Result<Arc<PriceTable>> {
    let table = PriceTable::builtin()
        .with_file(&path.to_string_lossy(), &output::read_text(path)?)
        .with_context(|| format!("in the price file `{}`", path.display()))?;
    Ok(Arc::new(table))
}

/// The prices given, else those of the project file.
pub(crate) fn prices_or_project(given: Option<&Path>) -> anyhow::Result<Option<Arc<PriceTable>>> {
    let path = given.or_else(|| project::get()?.prices.as_deref());
    path.map(prices).transpose()
}

impl EngineArgs {
    /// A builder with every flag but the policies applied.
    pub(crate) fn builder(&self) -> anyhow::Result<EngineBuilder> {
        let mut builder = PolicyEngine::builder()
            .trusted_keys(public_keys(&self.public_keys)?)
            .derive(self.derive.unwrap_or(Derive::Always).mode())
            .default_decision(self.default_decision.unwrap_or(Fallback::Allow).decision());
        if let Some(table) = prices_or_project(self.prices.as_deref())? {
            builder = builder.prices(table);
        }
        Ok(builder)
    }

    /// The engine for `paths`. Shows diagnostics and fails when policies do not compile.
    pub(crate) fn load(&self, paths: &[PathBuf]) -> anyhow::Result<PolicyEngine> {
        let policies = match inputs::read(paths)? {
            Input::Bundle { name, bytes } => self.bundle(&name, &bytes)?,
            Input::Sources(sources) => self.compiled(self.compile(&sources)?)?,
        };
        Ok(self.builder()?.policies(policies).build()?)
    }

    /// As [`EngineArgs::load`], together with what the policies are made of.
    pub(crate) fn load_with_parts(&self, paths: &[PathBuf]) -> anyhow::Result<(PolicyEngine, Parts)> {
        self.with_parts(inputs::read(paths)?)
    }

    /// As [`EngineArgs::load_with_parts`], of what was read.
    pub(crate) fn with_parts(&self, input: Input) -> anyhow::Result<(PolicyEngine, Parts)> {
        let (policies, parts) = match input {
            Input::Bundle { name, bytes } => {
                let policies = self.bundle(&name, &bytes)?;
                let bundle = Bundle::decode(&bytes).map_err(|error| unusable(&name, error))?;
                let parts = Parts {
                    module: bundle.module,
                    manifest: bundle.manifest,
                };
                (policies, parts)
            }
            Input::Sources(sources) => {
                let compiled = self.compile(&sources)?;
                let parts = Parts {
                    module: (*compiled.module).clone(),
                    manifest: compiled.manifest.clone(),
                };
                (self.compiled(compiled)?, parts)
            }
        };
        Ok((self.builder()?.policies(policies).build()?, parts))
    }

    fn bundle(&self, name: &str, bytes: &[u8]) -> anyhow::Result<Policies> {
        Policies::from_bundle(bytes, &public_keys(&self.public_keys)?).map_err(|error| refused(name, error))
    }

    fn compiled(&self, compiled: Compiled) -> anyhow::Result<Policies> {
        Ok(Policies::from_compiled(compiled)?)
    }

    fn compile(&self, sources: &inputs::Sources) -> anyhow::Result<Compiled> {
        if !self.public_keys.is_empty() {
            bail!(
                "--public-key asks for a signed bundle, but these are policy sources: make one with `policyc build --sign`"
            );
        }
        sources.compile_or_show(&Options {
            opt_level: self.optimise.level,
            ..Options::default()
        })
    }
}

/// A context given on the command line: JSON text, `@FILE`, or `-` for standard input.
pub(crate) fn context(argument: &str) -> anyhow::Result<Vec<u8>> {
    if argument == "-" {
        return output::read_unmarked(Path::new("-"));
    }
    if let Some(path) = argument.strip_prefix('@') {
        return output::read_unmarked(Path::new(path));
    }
    if !argument.trim_start().starts_with(['{', '[', '"']) && Path::new(argument).is_file() {
        bail!("the context is not JSON; to read the file `{argument}`, write `--context @{argument}`");
    }
    Ok(output::unmarked(argument.as_bytes()).to_vec())
}

/// The namespace whose policies every request sees.
const GLOBAL: &str = "global";

/// One rule as decisions name it, and where it was written.
pub(crate) struct RuleEntry<'p> {
    /// Namespace of its policy.
    pub(crate) namespace: &'p str,
    /// Id of its policy.
    pub(crate) policy: &'p str,
    /// Id of the rule, unique in its policy.
    pub(crate) rule: &'p str,
    /// Display name of the rule.
    pub(crate) name: &'p str,
    /// Its source file.
    pub(crate) file: &'p str,
    /// Line in that file.
    pub(crate) line: u32,
    /// Column in that line.
    pub(crate) column: u32,
}

impl Parts {
    /// Every rule, in evaluation order.
    pub(crate) fn rules(&self) -> impl Iterator<Item = RuleEntry<'_>> {
        self.manifest
            .rules
            .iter()
            .zip(&self.module.rules)
            .filter_map(|(info, rule)| {
                let policy = self.manifest.policies.get(rule.policy.index())?;
                Some(RuleEntry {
                    namespace: &policy.namespace,
                    policy: &policy.id,
                    rule: &info.id,
                    name: &info.name,
                    file: self
                        .manifest
                        .files
                        .get(policy.file as usize)
                        .map_or("", String::as_str),
                    line: info.line,
                    column: info.column,
                })
            })
    }

    /// The rule that decisions of these policies name `label`, for requests that name this namespace.
    pub(crate) fn rule(
        &self,
        policies: &Policies,
        namespace: Option<&str>,
        label: &str,
    ) -> Option<RuleEntry<'_>> {
        // Names are told apart among the policies that such a request sees, not from those of other namespaces.
        let sees = |rule: &RuleEntry<'_>| {
            namespace.is_none_or(|own| rule.namespace == own || rule.namespace == GLOBAL)
        };
        let mut rules = self.rules().enumerate();
        rules.find_map(|(i, rule)| (sees(&rule) && policies.rule_name(namespace, i) == label).then_some(rule))
    }
}

impl RuleEntry<'_> {
    /// `file:line:column`.
    pub(crate) fn place(&self) -> String {
        format!("{}:{}:{}", self.file, self.line, self.column)
    }
}
