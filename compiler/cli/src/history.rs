//! `policyc history`: the versions of a policy, or the bundles of a server, newest first.

use crate::approvals;
use crate::args::Format;
use crate::exit::Exit;
use crate::remote::{self, ServerArgs};
use crate::{Host, output};
use anyhow::Context as _;
use serde_json::Value;

/// Show the versions of a policy on a server, or its bundles
#[derive(Debug, clap::Args)]
#[command(after_help = concat!(
    crate::remote::exits!(),
    "\n\nExamples:\n  policyc history cost-limit\n  policyc history --bundle --limit 5"
))]
pub(crate) struct Args {
    /// The policy
    #[arg(
        value_name = "ID",
        required_unless_present = "bundle",
        conflicts_with = "bundle"
    )]
    id: Option<String>,
    /// The namespace of the policy, where several have one of this id
    #[arg(long, value_name = "NAME", conflicts_with = "bundle")]
    namespace: Option<String>,
    /// The bundles that were pushed
    #[arg(long)]
    bundle: bool,
    /// Show at most this many entries [default: all]
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
    /// How to report
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
    #[command(flatten)]
    server: ServerArgs,
}

/// Whether a bundle decides, or never did.
pub(crate) fn bundle_state(bundle: &Value) -> &'static str {
    match (bundle.get("active"), bundle.get("activatedAt")) {
        (Some(Value::Bool(true)), _) => "active",
        (_, None | Some(Value::Null)) => "waits for approval",
        _ => "",
    }
}

pub(crate) fn run(args: Args, _host: Host) -> anyhow::Result<Exit> {
    let server = args.server.connect()?;
    let path = if args.bundle {
        "/api/v1/bundle/history".to_owned()
    } else {
        remote::policy_path(args.id.as_deref().context("no policy is named")?, "/versions")?
    };
    let namespace = args.namespace.as_deref().map(|name| ("namespace", name));
    let items = server.list(&path, namespace.as_slice(), args.limit)?;
    if args.format == Format::Json {
        output::json(&items)?;
        return Ok(Exit::Ok);
    }
    let row = |item: &Value, keys: &[&str]| keys.iter().map(|key| remote::cell(item, key)).collect();
    if args.bundle {
        let keys = [
            "digest",
            "revision",
            "policies",
            "rules",
            "author",
            "createdAt",
            "activatedAt",
        ];
        let rows: Vec<Vec<String>> = items
            .iter()
            .map(|item| {
                let mut row: Vec<String> = row(item, &keys);
                row.push(bundle_state(item).to_owned());
                row
            })
            .collect();
        remote::table(
            &[
                "BUNDLE",
                "REVISION",
                "POLICIES",
                "RULES",
                "AUTHOR",
                "CREATED",
                "ACTIVATED",
                "STATUS",
            ],
            &rows,
        )?;
    } else {
        let keys = [
            "version",
            "documentVersion",
            "status",
            "author",
            "createdAt",
            "digest",
        ];
        let rows: Vec<Vec<String>> = items
            .iter()
            .enumerate()
            .map(|(at, item)| {
                let mut row: Vec<String> = row(item, &keys);
                row.push(approvals::state(item, at == 0).to_owned());
                row
            })
            .collect();
        remote::table(
            &[
                "VERSION", "DOCUMENT", "STATUS", "AUTHOR", "CREATED", "DIGEST", "STATE",
            ],
            &rows,
        )?;
        approvals::show(&items)?;
    }
    Ok(Exit::Ok)
}
