//! `policyc get`: the text of a policy that a server stores.

use crate::args::Format;
use crate::exit::Exit;
use crate::remote::{self, ServerArgs};
use crate::{Host, output};
use anyhow::Context as _;
use serde_json::Value;
use std::io::{IsTerminal as _, Write as _};

/// Print a policy that a server stores
#[derive(Debug, clap::Args)]
#[command(after_help = concat!(
    "Prints the text as it was stored, comments included: the newest version, or the one that --version names.\n\n",
    crate::remote::exits!(),
    "\n\nExamples:\n  policyc get cost-limit > cost-limit.yaml\n  policyc get cost-limit --version 3"
))]
pub(crate) struct Args {
    /// The policy
    #[arg(value_name = "ID")]
    id: String,
    /// The namespace of the policy, where several have one of this id
    #[arg(long, value_name = "NAME")]
    namespace: Option<String>,
    /// A version that is not the newest
    #[arg(long, value_name = "N")]
    version: Option<u64>,
    /// The text, or all that the server says of it
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
    #[command(flatten)]
    server: ServerArgs,
}

pub(crate) fn run(args: Args, _host: Host) -> anyhow::Result<Exit> {
    let rest = args
        .version
        .map_or_else(String::new, |version| format!("/versions/{version}"));
    let path = remote::policy_path(&args.id, &rest)?;
    let path = remote::in_namespace(&path, args.namespace.as_deref());
    let policy: Value = args.server.connect()?.get(&path)?;
    if args.format == Format::Json {
        output::json(&policy)?;
        return Ok(Exit::Ok);
    }
    let text = policy
        .get("source")
        .and_then(Value::as_str)
        .context("the server's answer holds no text of the policy")?;
    let mut out = output::machine();
    if std::io::stdout().is_terminal() {
        for line in text.lines() {
            writeln!(out, "{}", output::shown(line))?;
        }
    } else {
        out.write_all(text.as_bytes())?;
    }
    out.flush()?;
    Ok(Exit::Ok)
}
