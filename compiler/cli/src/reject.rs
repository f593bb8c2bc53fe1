//! `policyc reject`: a version that waits for approval does not become active.

use crate::Host;
use crate::activate::report_policy;
use crate::args::Format;
use crate::exit::Exit;
use crate::remote::{self, ServerArgs};
use serde_json::{Value, json};
use ureq::http::Method;

/// Reject the version of a policy that waits for approval
#[derive(Debug, clap::Args)]
#[command(after_help = concat!(
    "What is active stays active. The rejected version does not become active any more; its author reads the comment in \
     `policyc history`, and submits a new version with `policyc push`. Whoever may approve may reject; whoever wrote a version \
     may take it back. `policyc approvals` shows what waits.\n\n",
    crate::remote::exits!(),
    "\n\nExample:\n  policyc reject cost-limit --version 4 --comment 'the cap of the free tier is gone'"
))]
pub(crate) struct Args {
    /// The policy
    #[arg(value_name = "ID")]
    id: String,
    /// The version that waits
    #[arg(long, value_name = "N")]
    version: u64,
    /// Why, for the author: at most 2000 bytes, in one line
    #[arg(long, value_name = "TEXT")]
    comment: String,
    /// The namespace of the policy, where several have one of this id
    #[arg(long, value_name = "NAME")]
    namespace: Option<String>,
    /// How to report
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
    #[command(flatten)]
    server: ServerArgs,
}

pub(crate) fn run(args: Args, _host: Host) -> anyhow::Result<Exit> {
    let path = remote::policy_path(&args.id, "/reject")?;
    let path = remote::in_namespace(&path, args.namespace.as_deref());
    let server = args.server.connect()?;
    let body = json!({ "version": args.version, "comment": args.comment });
    let policy: Value = server.send(&Method::POST, &path, None, &body)?;
    report_policy(&policy, args.format)
}
