//! `policyc build`: policies to one bundle.

use crate::engine::OptArgs;
use crate::exit::{Bug, Exit};
use crate::{Host, atomic, inputs, output, project, render};
use anyhow::{Context as _, bail};
use policy_bytecode::bundle::{self, PrivateKey};
use policy_bytecode::manifest::{Manifest, WarningInfo};
use policy_compiler::{BuildReport, Compiled, DumpPoint, Options, PatternReport};
use policy_grammar::{Diagnostic, Severity, SourceMap};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Compile policies to a bundle
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Equal policies, options and versions give equal bytes. The file is written whole or not at all;\n\
                        pipes and devices are written to, never replaced.\n\n\
                        Example:\n  policyc build policies/ -o policies.bundle --revision 2026-11-23 --sign team.pem"
)]
pub(crate) struct Args {
    /// Policy files or directories; `-` is standard input [default: `paths` of policyc.toml]
    #[arg(value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// Where the bundle goes; `-` is standard output
    #[arg(long, short, value_name = "FILE|-")]
    output: PathBuf,
    #[command(flatten)]
    optimise: OptArgs,
    /// Sign with this private key
    #[arg(long, value_name = "KEY")]
    sign: Option<PathBuf>,
    /// Revision that decisions report [default: derived from the contents]
    #[arg(long, value_name = "TEXT")]
    revision: Option<String>,
    /// JSON Schema of the context, for fields that the engine does not know
    #[arg(long, value_name = "FILE")]
    schema: Option<PathBuf>,
    /// Print the intermediate code: `lowered`, `after=PASS`, or everywhere. From `regex_dfa` on, comments (lines that begin with
    /// `#`) say of each pattern which automaton it has, how large it is, and which literals are looked for first; after
    /// `patterns`, which comparisons are answered by one pass over a text
    #[arg(long, value_name = "POINT", num_args = 0..=1, require_equals = true, default_missing_value = "all")]
    dump_ir: Vec<String>,
    /// With --dump-ir: the place of each instruction before it, as `@FILE:FIRST..END` (number of the file, bytes)
    #[arg(long, requires = "dump_ir")]
    places: bool,
    /// Print how long each pass took
    #[arg(long)]
    time_passes: bool,
    /// Stop after this pass
    #[arg(long, value_name = "PASS")]
    stop_after: Option<String>,
    /// Bytes that the automaton of one pattern may take; a larger one is built when the bundle is loaded
    #[arg(long, value_name = "BYTES")]
    dfa_limit: Option<usize>,
}

pub(crate) fn run(args: Args, _host: Host) -> anyhow::Result<Exit> {
    if !args.dump_ir.is_empty() && atomic::is_stdout(&args.output) {
        bail!("standard output can hold the bundle or what --dump-ir prints, not both");
    }
    let key = args.sign.as_deref().map(private_key).transpose()?;
    let mut options = Options {
        opt_level: args.optimise.level,
        revision: args.revision.clone(),
        schema: project::schema(args.schema.as_deref())?,
        dump_ir: args
            .dump_ir
            .iter()
            .map(|text| dump_point(text))
            .collect::<Result<_, _>>()?,
        dump_places: args.places,
        time_passes: args.time_passes,
        stop_after: args.stop_after.clone(),
        ..Options::default()
    };
    if let Some(limit) = args.dfa_limit {
        options.dfa_limit_bytes = limit;
    }
    let sources = inputs::read_sources(&project::paths(&args.paths)?)?;
    let (compiled, review) = sources.review(&options);
    output::stderr(&render::text(&sources.map, &review.diagnostics));
    let Some(mut compiled) = compiled else {
        return Ok(inputs::refusal(&review.diagnostics));
    };
    warn(&mut compiled.manifest, &sources.map, &review.diagnostics);
    review.mention_allowed();
    known_passes(&args, &compiled.report)?;

    let mut bytes = compiled
        .to_bundle()
        .map_err(|e| Bug(format!("the bundle cannot be encoded: {e}")))?;
    if let Some(key) = &key {
        bytes = bundle::sign(&bytes, key).context("cannot sign the bundle")?;
    }
    dumps(&compiled.report)?;
    atomic::write(&args.output, &bytes)?;
    summary(&args, &compiled, bytes.len(), key.as_ref());
    Ok(Exit::Ok)
}

/// Puts what is warned of into a manifest, for whoever loads the bundle and has no source text.
fn warn(manifest: &mut Manifest, map: &SourceMap, diagnostics: &[Diagnostic]) {
    let warnings = diagnostics.iter().filter(|d| d.severity == Severity::Warning);
    let count = warnings.clone().count();
    manifest.warnings = warnings
        .take(Manifest::MAX_WARNINGS)
        .map(|d| {
            let render::Place {
                file, line, column, ..
            } = render::place(map, d.primary.span);
            WarningInfo {
                code: d.code.as_str().to_owned(),
                message: d.message.clone(),
                file: file.to_owned(),
                line,
                column,
                help: d.help.clone(),
            }
        })
        .collect();
    manifest.more_warnings = u32::try_from(count - manifest.warnings.len()).unwrap_or(u32::MAX);
}

/// Reads a private key.
pub(crate) fn private_key(path: &Path) -> anyhow::Result<PrivateKey> {
    PrivateKey::from_pem(&output::read_text(path)?)
        .with_context(|| format!("in `{}` (make a key with `policyc keygen`)", path.display()))
}

fn dump_point(text: &str) -> anyhow::Result<DumpPoint> {
    match text {
        "all" => Ok(DumpPoint::All),
        "lowered" => Ok(DumpPoint::Lowered),
        _ => match text.strip_prefix("after=") {
            Some(pass) => Ok(DumpPoint::After(pass.to_owned())),
            None => bail!("--dump-ir takes `lowered`, `after=PASS` or nothing, not `{text}`"),
        },
    }
}

/// A pass that did not run would silently dump nothing.
fn known_passes(args: &Args, report: &BuildReport) -> anyhow::Result<()> {
    let asked = args
        .dump_ir
        .iter()
        .filter_map(|text| text.strip_prefix("after="))
        .chain(args.stop_after.as_deref());
    for pass in asked {
        if !report.passes.iter().any(|p| p.name == pass) {
            let names: Vec<_> = report.passes.iter().map(|p| p.name).collect();
            bail!(
                "no pass `{pass}` ran at -O{}; the passes were: {}",
                args.optimise.level.number(),
                if names.is_empty() {
                    "none".to_owned()
                } else {
                    names.join(", ")
                }
            );
        }
    }
    Ok(())
}

fn dumps(report: &BuildReport) -> anyhow::Result<()> {
    let mut out = output::machine();
    for dump in &report.dumps {
        writeln!(out, "; after {}\n{}", dump.after, dump.text)?;
    }
    out.flush()?;
    Ok(())
}

fn summary(args: &Args, compiled: &Compiled, bytes: usize, key: Option<&PrivateKey>) {
    let report = &compiled.report;
    if args.time_passes {
        for pass in &report.passes {
            let time = pass.time.unwrap_or(Duration::ZERO);
            output::note(&format!(
                "{:>12.3?}  {:<16} {}",
                time,
                pass.name,
                output::count(pass.changes, "change", "changes")
            ));
        }
    }
    let stats = &report.stats;
    let slow = |p: &&PatternReport| p.fallback.is_some() && !p.scanned;
    let fallbacks = report.patterns.iter().filter(slow).count();
    let mut line = format!(
        "{}: {}, {}, {}, {}, revision {}",
        atomic::name(&args.output),
        output::count(stats.policies, "policy", "policies"),
        output::count(stats.rules, "rule", "rules"),
        output::count(stats.instructions, "instruction", "instructions"),
        output::bytes(bytes),
        compiled.manifest.revision,
    );
    if let Some(key) = key {
        line.push_str(&format!(", signed by {}", key.public().id()));
    }
    output::summary(&line);
    if fallbacks > 0 {
        output::summary(&format!(
            "{} without a stored automaton, see `policyc inspect`",
            output::count(fallbacks, "pattern", "patterns")
        ));
    }
}
