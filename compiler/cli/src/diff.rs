//! `policyc diff`: how two policy sets differ in meaning, and on which contexts they decide differently.
//!
//! Both sides are compared as compiled, so sources and bundles can be mixed, and layout, comments, key order and
//! optimisation do not show. Inactive policies and disabled rules are not part of what is compared. The old side may be what
//! decides on a server; both sides are compiled and evaluated here, with the flags of this command.

mod changes;
mod meaning;
mod server;

use crate::args::Format;
use crate::contexts::{self, Masked};
use crate::engine::{EngineArgs, RequestArgs};
use crate::exit::Exit;
use crate::remote::ServerArgs;
use crate::{Host, inputs, output, project};
use anyhow::{Context as _, bail};
use changes::changes;
use owo_colors::OwoColorize as _;
use policy_runtime::{EvaluateError, EvaluateOptions, Response};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};

/// Compare two policy sets in meaning, and over contexts
#[derive(Debug, clap::Args)]
#[command(
    after_help = "With --contexts, ends with 1 when a decision differs; without, when the policies differ in meaning. Lines may \
be contexts, requests of the REST API or decisions of `policyc decisions` and `policyd decisions export`; what nothing can be \
decided on ends the comparison with 2.\n\n\
With --server, the old side is what decides on that server, as far as the caller may read it, and the new side is the only \
path, or `paths` of policyc.toml. Needs the scope `policy:read`. Both sides are evaluated here: with the engine's flags of this command, not with the \
settings of the server.\n\n\
Examples:\n  policyc diff live.bundle policies/ --contexts requests.jsonl\n  \
policyc diff policies/ --server https://policy.example.com --token-file token"
)]
pub(crate) struct Args {
    /// Policy file, directory or bundle; the new side with --server [default with --server: `paths` of policyc.toml]
    #[arg(value_name = "OLD", required_unless_present = "server")]
    old: Option<PathBuf>,
    /// Policy file, directory or bundle [default: `paths` of policyc.toml]
    #[arg(value_name = "NEW", conflicts_with = "server")]
    new: Option<PathBuf>,
    /// A file with one context, or one decision of a log, a line, or - for standard input
    #[arg(long, value_name = "FILE|-")]
    contexts: Option<PathBuf>,
    /// Contexts to show in text; all are counted
    #[arg(long, value_name = "N", default_value_t = 20)]
    show: usize,
    /// Output
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
    #[command(flatten)]
    request: RequestArgs,
    #[command(flatten)]
    engine: EngineArgs,
    #[command(flatten)]
    server: ServerArgs,
}

/// One difference in meaning.
struct Change {
    kind: &'static str,
    what: &'static str,
    /// Policy id, or `policy/rule`; the namespace in front where policies share an id.
    id: String,
    /// For a changed one: aspect, old, new.
    aspects: Vec<(String, String, String)>,
}

/// A context on which the two sides differ.
struct Differing {
    line: usize,
    aspects: Vec<(&'static str, Value, Value)>,
}

pub(crate) fn run(args: Args, _host: Host) -> anyhow::Result<Exit> {
    let is_stdin = |path: &Path| path.as_os_str() == "-";
    let paths = [args.old.as_ref(), args.new.as_ref(), args.contexts.as_ref()];
    if paths.into_iter().flatten().filter(|path| is_stdin(path)).count() > 1 {
        bail!("standard input can hold one side, or the contexts");
    }
    let of_path = |path: &PathBuf| inputs::read(std::slice::from_ref(path));
    let of_new = |path: &Option<PathBuf>| inputs::read(&project::paths(path.as_slice())?);
    let (old, new) = if args.server.server.is_some() {
        // Before the server is asked: what is wrong with the files shows at once.
        let new = args.engine.with_parts(of_new(&args.old)?)?;
        let old = args
            .engine
            .with_parts(server::deciding(&args.server.connect()?)?)
            .context("what decides on the server cannot be compared")?;
        (old, new)
    } else {
        if let Some(flag) = args.server.given() {
            bail!("{flag} is for --server");
        }
        let old = args.old.as_ref().context("no old side is named")?;
        (
            args.engine.with_parts(of_path(old)?)?,
            args.engine.with_parts(of_new(&args.new)?)?,
        )
    };
    let ((old_engine, old), (new_engine, new)) = (old, new);
    let changes = changes(&old, &new);
    let mut differing = Vec::new();
    let mut total = 0;
    let mut masked = Masked::default();
    if let Some(path) = &args.contexts {
        let text = output::read(path)?;
        let options = args.request.options();
        let options = options.evaluate(false);
        for (i, line) in text.split(|b| *b == b'\n').enumerate() {
            let line = output::unmarked(line).trim_ascii();
            if line.is_empty() {
                continue;
            }
            total += 1;
            let read = match contexts::read(line) {
                Ok(read) => read,
                Err(error) => bail!("line {} of `{}`: {}", i + 1, path.display(), error.message),
            };
            masked.add(read.context);
            let options = EvaluateOptions {
                namespace: options
                    .namespace
                    .or(read.namespace.as_deref())
                    .or(project::namespace()),
                ..options.clone()
            };
            let old = old_engine.evaluate_json_with(read.context, &options);
            let new = new_engine.evaluate_json_with(read.context, &options);
            if let (Err(error @ EvaluateError::Context(_)), Err(_)) = (&old, &new) {
                bail!("line {} of `{}` is no context: {error}", i + 1, path.display());
            }
            let aspects = compare(old, new);
            if !aspects.is_empty() {
                differing.push(Differing { line: i + 1, aspects });
            }
        }
        if total == 0 {
            bail!("`{}` holds no contexts", path.display());
        }
        masked.mention(&[&old, &new]);
    }
    match args.format {
        Format::Json => output::json(&document(
            &changes,
            &differing,
            args.contexts.is_some().then_some(total),
        ))?,
        Format::Text => text(&args, &changes, &differing, total)?,
    }
    let differs = if args.contexts.is_some() {
        !differing.is_empty()
    } else {
        !changes.is_empty()
    };
    Ok(if differs { Exit::No } else { Exit::Ok })
}

fn document(changes: &[Change], differing: &[Differing], contexts: Option<usize>) -> Value {
    let changes: Vec<Value> = changes
        .iter()
        .map(|c| {
            let aspects: Vec<Value> = c
                .aspects
                .iter()
                .map(|(what, old, new)| json!({ "what": what, "old": old, "new": new }))
                .collect();
            json!({ "change": c.kind, "kind": c.what, "id": c.id, "aspects": aspects })
        })
        .collect();
    let decisions: Vec<Value> = differing
        .iter()
        .map(|d| {
            let aspects: Vec<Value> = d
                .aspects
                .iter()
                .map(|(what, old, new)| json!({ "what": what, "old": old, "new": new }))
                .collect();
            json!({ "line": d.line, "aspects": aspects })
        })
        .collect();
    json!({ "policies": changes, "contexts": contexts, "decisions": decisions })
}

fn text(args: &Args, changes: &[Change], differing: &[Differing], total: usize) -> anyhow::Result<()> {
    let mut out = output::stdout();
    if changes.is_empty() {
        writeln!(out, "the policies mean the same")?;
    }
    for change in changes {
        let sign = match change.kind {
            "added" => "+".green().to_string(),
            "removed" => "-".red().to_string(),
            _ => "~".yellow().to_string(),
        };
        writeln!(out, "{sign} {} {}", change.what, output::shown(&change.id).bold())?;
        for (what, old, new) in &change.aspects {
            writeln!(out, "    {}", output::shown(what))?;
            writeln!(out, "      {} {}", "-".red(), output::shown(old))?;
            writeln!(out, "      {} {}", "+".green(), output::shown(new))?;
        }
    }
    if args.contexts.is_some() {
        writeln!(
            out,
            "\n{} of {} decided differently",
            differing.len(),
            output::count(total, "context", "contexts")
        )?;
    }
    for d in differing.iter().take(args.show) {
        writeln!(out, "  {}", format!("line {}", d.line).bold())?;
        for (what, old, new) in &d.aspects {
            let [old, new] = [old, new].map(|value| output::shown(&value.to_string()).into_owned());
            writeln!(out, "    {what}: {} {} {}", old.red(), "→".dimmed(), new.green())?;
        }
    }
    if differing.len() > args.show {
        writeln!(
            out,
            "  … {} more (--show, or --format json)",
            differing.len() - args.show
        )?;
    }
    out.flush()?;
    Ok(())
}

/// The aspects in which two answers differ.
fn compare(
    old: Result<Response, EvaluateError>,
    new: Result<Response, EvaluateError>,
) -> Vec<(&'static str, Value, Value)> {
    let aspects = |answer: Result<Response, EvaluateError>| -> Vec<(&'static str, Value)> {
        match answer {
            Ok(response) => {
                let d = response.decision;
                vec![
                    ("decision", json!(d.decision.as_str())),
                    ("reason", json!(d.reason)),
                    ("matchedRules", json!(d.matched_rules)),
                    ("modifications", json!(d.modifications)),
                    ("metadata", json!(d.metadata)),
                    ("errors", json!(d.errors)),
                ]
            }
            Err(error) => vec![("decision", json!(format!("refused: {error}")))],
        }
    };
    let mut new: BTreeMap<&str, Value> = aspects(new).into_iter().collect();
    let mut differences = Vec::new();
    for (what, old) in aspects(old) {
        let new = new.remove(what).unwrap_or(Value::Null);
        if old != new {
            differences.push((what, old, new));
        }
    }
    differences
}
