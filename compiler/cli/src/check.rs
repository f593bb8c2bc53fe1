//! `policyc check`: every problem of the policies, and nothing else.

use crate::exit::Exit;
use crate::inputs::Review;
use crate::{Host, fix, inputs, output, project, render};
use anyhow::{Context as _, bail};
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
                        Directories are searched for *.yaml, *.yml and *.json (also in capitals). Skipped are hidden\n\
                        directories, those that tools make (node_modules, target, vendor), what .policycignore and\n\
                        .gitignore list, and files that are certainly no policies. What looks like a policy and is\n\
                        passed over is named on stderr; what cannot be told is a policy. See docs/project-file.md.\n\n\
                        Example:\n  policyc check --strict --format sarif policies/ > report.sarif"
)]
pub(crate) struct Args {
    /// Policy files or directories; `-` is standard input [default: `paths` of policyc.toml]
    #[arg(value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// How to report
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
    /// Apply the replacements that errors and misspelt names come with, then report what is left. What a policy means is
    /// never changed: other replacements are only shown
    #[arg(long, conflicts_with = "diff")]
    fix: bool,
    /// Show what --fix would change, as `diff -u` does, and change nothing; ends with 1 when there is something
    #[arg(long, conflicts_with = "format")]
    diff: bool,
    /// Fail on warnings too
    #[arg(long)]
    strict: bool,
    /// Do not fail on warnings, whatever policyc.toml says
    #[arg(long, conflicts_with = "strict")]
    no_strict: bool,
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
    let sources = inputs::read_sources(&project::paths(&args.paths)?)?;
    let mut options = Options {
        warn_unindexed: args.require_indexed,
        schema: project::schema(args.schema.as_deref())?,
        max_cost: args.max_cost,
        ..Options::default()
    };
    // The last stages have problems of their own to report, which take no optimisation to find. How a rule is reached
    // and what it costs at most is what the optimiser makes of it, as in the bundle that `policyc build` makes.
    if args.max_cost.is_none() && !args.require_indexed {
        options.opt_level = OptLevel::O0;
    }
    if args.fix || args.diff {
        return mend(&args, sources, &options);
    }
    let (_, review) = sources.review(&options);
    report(&args, &sources, &review)?;
    Ok(exit(&args, &review.diagnostics))
}

fn report(args: &Args, sources: &inputs::Sources, review: &Review) -> anyhow::Result<()> {
    let mut out = output::machine();
    match args.format {
        Format::Text => {
            output::stderr(&render::text(&sources.map, &review.diagnostics));
            summary(sources, review);
        }
        Format::Json => output::json_pretty(&render::json::review(&sources.map, review))?,
        Format::Sarif => output::json_pretty(&render::sarif::log(&sources.map, review))?,
        Format::Github => {
            out.write_all(render::github::annotations(&sources.map, &review.diagnostics).as_bytes())?
        }
    }
    out.flush()?;
    review.mention_allowed();
    Ok(())
}

fn exit(args: &Args, diagnostics: &[Diagnostic]) -> Exit {
    let unindexed = diagnostics.iter().any(|d| d.code == Code::UnindexedRule);
    match render::totals(diagnostics) {
        (0, 0) => Exit::Ok,
        (0, _) if project::strict(args.strict, args.no_strict) || unindexed => Exit::No,
        (0, _) => Exit::Ok,
        (_, _) => inputs::refusal(diagnostics),
    }
}

/// `--fix` and `--diff`.
fn mend(args: &Args, sources: inputs::Sources, options: &Options) -> anyhow::Result<Exit> {
    let is_file = |name: &str| Path::new(name).is_file();
    if args.fix
        && let Some((_, file)) = sources.map.iter().find(|(_, file)| !is_file(file.name()))
    {
        bail!(
            "`{}` is no file that could be changed; --diff shows what would be",
            file.name()
        );
    }
    let fixed = fix::fix(sources, options);
    if args.diff {
        let mut out = output::machine();
        for (name, old, new) in &fixed.changed {
            out.write_all(fix::diff(name, old, new).as_bytes())?;
        }
        out.flush()?;
    } else {
        fix::write(&fixed)?;
    }
    for applied in &fixed.applied {
        output::note(&output::shown(&format!(
            "{}: {}: `{}` {} `{}`",
            applied.place,
            applied.message,
            applied.old,
            if args.diff { "would become" } else { "is now" },
            applied.new
        )));
    }
    if !args.diff {
        report(args, &fixed.sources, &fixed.review)?;
    }
    let left = exit(args, &fixed.review.diagnostics);
    if !args.diff {
        return Ok(left);
    }
    let (errors, _) = render::totals(&fixed.review.diagnostics);
    if errors > 0 {
        output::note(&format!(
            "{} cannot be fixed this way",
            output::count(errors, "error", "errors")
        ));
    }
    Ok(if fixed.changed.is_empty() {
        left
    } else {
        left.max(Exit::No)
    })
}

/// Reads a context schema.
pub(crate) fn schema(path: &Path) -> anyhow::Result<ContextSchema> {
    let text = output::read_text(path)?;
    ContextSchema::parse(&text).with_context(|| format!("in `{}`", path.display()))
}

fn summary(sources: &inputs::Sources, review: &Review) {
    let files = output::count(sources.files(), "file", "files");
    let mut line = match render::totals(&review.diagnostics) {
        (0, 0) => format!("{files}: no problems"),
        (errors, warnings) => format!(
            "{files}: {}, {}",
            output::count(errors, "error", "errors"),
            output::count(warnings, "warning", "warnings")
        ),
    };
    if review.suppressed() > 0 {
        line.push_str(&format!(", {} suppressed", review.suppressed()));
    }
    output::summary(&line);
}
