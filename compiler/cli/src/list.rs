//! `policyc list`: the policies of a server.

use crate::approvals;
use crate::args::Format;
use crate::exit::Exit;
use crate::remote::{self, Server, ServerArgs};
use crate::{Host, output};
use clap::ValueEnum;
use serde_json::Value;

/// List the policies of a server
#[derive(Debug, clap::Args)]
#[command(after_help = concat!(
    crate::remote::exits!(),
    "\n\nExample:\n  policyc list --namespace production --status draft"
))]
pub(crate) struct Args {
    /// Only of this namespace
    #[arg(long, value_name = "NAME")]
    namespace: Option<String>,
    /// Only where the newest version has this status
    #[arg(long, value_enum)]
    status: Option<Status>,
    /// Show at most this many policies [default: all]
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
    /// How to report
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
    #[command(flatten)]
    server: ServerArgs,
}

/// Status of a policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Status {
    /// It decides
    Active,
    /// It does not decide yet
    Draft,
    /// It does not decide any more
    Deprecated,
}

impl Status {
    /// As documents spell it.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Draft => "draft",
            Self::Deprecated => "deprecated",
        }
    }
}

/// Says where a namespace that was asked for has no policy at all: its name may be misspelt.
pub(crate) fn mention_empty(server: &Server, namespace: Option<&str>) -> anyhow::Result<()> {
    let Some(namespace) = namespace else {
        return Ok(());
    };
    let any = server.list("/api/v1/policies", &[("namespace", namespace)], Some(1))?;
    if any.is_empty() {
        output::note(&format!(
            "note: the namespace `{}` has no policy",
            remote::clean(namespace)
        ));
    }
    Ok(())
}

pub(crate) fn run(args: Args, _host: Host) -> anyhow::Result<Exit> {
    let server = args.server.connect()?;
    let namespace = args.namespace.as_deref().map(|n| ("namespace", n));
    let status = args.status.map(|s| ("status", s.as_str()));
    let query: Vec<(&str, &str)> = namespace.into_iter().chain(status).collect();
    let items = server.list("/api/v1/policies", &query, args.limit)?;
    match args.format {
        Format::Json => output::json(&items)?,
        Format::Text => {
            let row = |item: &Value| {
                vec![
                    remote::cell(item, "id"),
                    remote::cell(item, "namespace"),
                    remote::cell(item, "version"),
                    approvals::deciding(item),
                    approvals::status(item),
                    remote::cell(item, "author"),
                    remote::cell(item, "updatedAt"),
                    remote::cell(item, "name"),
                ]
            };
            let rows: Vec<Vec<String>> = items.iter().map(row).collect();
            remote::table(
                &[
                    "POLICY",
                    "NAMESPACE",
                    "VERSION",
                    "ACTIVE",
                    "STATUS",
                    "AUTHOR",
                    "UPDATED",
                    "NAME",
                ],
                &rows,
            )?;
            approvals::show(&items)?;
        }
    }
    if items.is_empty() {
        mention_empty(&server, args.namespace.as_deref())?;
    }
    Ok(Exit::Ok)
}
