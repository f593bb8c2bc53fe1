//! `policyc edges`: the edge servers that report to a central server, and what they run.

use crate::args::Format;
use crate::exit::Exit;
use crate::remote::{self, ServerArgs};
use crate::{Host, output};
use serde_json::Value;
use std::io::Write as _;

/// List the edge servers that report to a server, and what they run
#[derive(Debug, clap::Args)]
#[command(after_help = concat!(
    "Needs the scope `policy:read`, and no limit to namespaces. CURRENT says whether the edge runs the bundle that decides on the \
     server. A server lists what was reported to it since it started; edges that stopped stay in the list with the time when they were \
     last heard of (SEEN).\n\n",
    crate::remote::exits!(),
    "\n\nExample:\n  policyc edges --server https://policies.example.org"
))]
pub(crate) struct Args {
    /// Show at most this many edges [default: all]
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
    /// How to report
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
    #[command(flatten)]
    server: ServerArgs,
}

pub(crate) fn run(args: Args, _host: Host) -> anyhow::Result<Exit> {
    let items = args.server.connect()?.list("/api/v1/edges", &[], args.limit)?;
    if args.format == Format::Json {
        output::json(&items)?;
        return Ok(Exit::Ok);
    }
    if items.is_empty() {
        output::note("no edge server has reported to this server since it started");
        return Ok(Exit::Ok);
    }
    let rows: Vec<Vec<String>> = items
        .iter()
        .map(|edge| {
            let current = match edge.get("current") {
                Some(Value::Bool(true)) => "yes",
                Some(Value::Bool(false)) => "no",
                _ => "",
            };
            vec![
                remote::cell(edge, "id"),
                remote::cell(edge, "revision"),
                current.to_owned(),
                remote::cell(edge, "since"),
                remote::cell(edge, "lastSeen"),
                remote::cell(edge, "version"),
                errors(edge).len().to_string(),
            ]
        })
        .collect();
    remote::table(
        &[
            "EDGE", "REVISION", "CURRENT", "SINCE", "SEEN", "VERSION", "ERRORS",
        ],
        &rows,
    )?;
    let mut out = output::stdout();
    for edge in &items {
        for error in errors(edge) {
            writeln!(out, "{}: {}", remote::cell(edge, "id"), remote::clean(error))?;
        }
    }
    Ok(Exit::Ok)
}

fn errors(edge: &Value) -> Vec<&str> {
    let errors = edge.get("errors").and_then(Value::as_array);
    errors.into_iter().flatten().filter_map(Value::as_str).collect()
}
