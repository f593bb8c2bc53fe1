//! `policyc check`: every problem of the policies, and nothing else.

use crate::exit::Exit;
use crate::{Host, inputs, output, render};
use anyhow::Context as _;
use clap::ValueEnum;
use policy_compiler::{ContextSchema, OptLevel, Options};
use policy_grammar::Diagnostic;
use policy_grammar::codes::Code;
use std::io::Write as _;
use std::path::{Path, PathBuf};

/// Report every problem of policies, without building anything
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Ends with 2 when a policy does not compile or --max-cost is exceeded, with 1 when --strict finds a\n\
                        warning or --require-indexed a rule that is not indexed.\n\n\
                        Directories are searched for *.yaml, *.yml and *.json (also in capitals). What looks like a\n\
                        policy and is passed over (hidden, another ending, a link to a directory) is named on stderr.\n\n\
                        Example:\n  policyc check --strict --format sarif policies/ > report.sarif"
)]
pub(crate) struct Args {
    /// Policy files or directories; `-` is standard input
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// How to report
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
    /// Fail on warnings too
    #[arg(long)]
    strict: bool,
    /// Fail on rules that no index can reach: their cost grows with their number
    #[arg(long)]
    require_indexed: bool,
    /// JSON Schema of the context, for fields that the engine does not know
    #[arg(long, value_name = "FILE")]
    schema: Option<PathBuf>,
    /// Refuse policies of which one evaluation may cost more than this many units, whatever the request; a unit is
    /// roughly a nanosecond, and `policyc inspect` shows the bound of a bundle
    #[arg(long, value_name = "UNITS")]
    max_cost: Option<u64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// Source excerpts, for people
    Text,
    /// An array of objects
    Json,
    /// SARIF 2.1.0
    Sarif,
    /// Annotations of GitHub workflows
    Github,
}

pub(crate) fn run(args: Args, _host: Host) -> anyhow::Result<Exit> {
    let sources = inputs::read_sources(&args.paths)?;
    let mut options = Options {
        warn_unindexed: args.require_indexed,
        schema: args.schema.as_deref().map(schema).transpose()?,
        max_cost: args.max_cost,
        ..Options::default()
    };
    // The last stages have problems of their own to report, which take no optimisation to find. How a rule is reached
    // and what it costs at the most is what the optimiser makes of it, as in the bundle that `policyc build` makes.
    if args.max_cost.is_none() && !args.require_indexed {
        options.opt_level = OptLevel::O0;
        options.dfa_limit_bytes = 0;
    }
    let diagnostics = match sources.compile(&options) {
        Ok(compiled) => compiled.diagnostics,
        Err(diagnostics) => diagnostics,
    };
    let mut out = output::machine();
    match args.format {
        Format::Text => {
            output::stderr(&render::text(&sources.map, &diagnostics));
            summary(&sources, &diagnostics);
        }
        Format::Json => output::json_pretty(&render::json::diagnostics(&sources.map, &diagnostics))?,
        Format::Sarif => output::json_pretty(&render::sarif::log(&sources.map, &diagnostics))?,
        Format::Github => {
            out.write_all(render::github::annotations(&sources.map, &diagnostics).as_bytes())?
        }
    }
    out.flush()?;
    let unindexed = diagnostics.iter().any(|d| d.code == Code::UnindexedRule);
    Ok(match render::totals(&diagnostics) {
        (0, 0) => Exit::Ok,
        (0, _) if args.strict || unindexed => Exit::No,
        (0, _) => Exit::Ok,
        (_, _) => inputs::refusal(&diagnostics),
    })
}

/// Reads a context schema.
pub(crate) fn schema(path: &Path) -> anyhow::Result<ContextSchema> {
    let text = output::read_text(path)?;
    ContextSchema::parse(&text).with_context(|| format!("in `{}`", path.display()))
}

fn summary(sources: &inputs::Sources, diagnostics: &[Diagnostic]) {
    let files = output::count(sources.map.iter().count(), "file", "files");
    output::note(&match render::totals(diagnostics) {
        (0, 0) => format!("{files}: no problems"),
        (errors, warnings) => format!(
            "{files}: {}, {}",
            output::count(errors, "error", "errors"),
            output::count(warnings, "warning", "warnings")
        ),
    });
}
