//! `policyc delete`: a policy of a server decides no more.

use crate::exit::Exit;
use crate::remote::{self, Call, ServerArgs};
use crate::{Host, output};
use ureq::http::Method;

/// Remove a policy from a server
#[derive(Debug, clap::Args)]
#[command(after_help = concat!(
    "Its versions stay readable: `policyc get ID --version N`, `policyc history ID`.\n\n",
    crate::remote::exits!(),
    "\n\nExample:\n  policyc delete cost-limit --if-match 4"
))]
pub(crate) struct Args {
    /// The policy
    #[arg(value_name = "ID")]
    id: String,
    /// The namespace of the policy, where several have one of this id
    #[arg(long, value_name = "NAME")]
    namespace: Option<String>,
    /// Only if this is the newest version of the policy
    #[arg(long, value_name = "N")]
    if_match: Option<u64>,
    #[command(flatten)]
    server: ServerArgs,
}

pub(crate) fn run(args: Args, _host: Host) -> anyhow::Result<Exit> {
    let path = remote::policy_path(&args.id, "")?;
    let path = remote::in_namespace(&path, args.namespace.as_deref());
    let tag = args.if_match.map_or_else(|| "*".to_owned(), remote::version_tag);
    let call = Call {
        method: &Method::DELETE,
        path: &path,
        if_match: Some(&tag),
        body: None,
    };
    args.server.connect()?.call(call)?.accepted()?;
    output::summary(&format!("{} is removed", output::shown(&args.id)));
    Ok(Exit::Ok)
}
