//! `policyc delete`: a policy of a server, or the bundle that is active, decides no more.

use crate::exit::Exit;
use crate::remote::{self, Call, ServerArgs};
use crate::{Host, output};
use anyhow::{Context as _, anyhow};
use ureq::http::Method;

/// Remove a policy from a server, or end its bundle
#[derive(Debug, clap::Args)]
#[command(after_help = concat!(
    "The versions of a policy stay readable: `policyc get ID --version N`, `policyc history ID`. With --bundle, the stored policies \
     are active again; where the server asks for approval, --if-match with the digest of the bundle is needed.\n\n",
    crate::remote::exits!(),
    "\n\nExamples:\n  policyc delete cost-limit --if-match 4\n  policyc delete --bundle --if-match sha256:9f86d0…"
))]
pub(crate) struct Args {
    /// The policy
    #[arg(
        value_name = "ID",
        required_unless_present = "bundle",
        conflicts_with = "bundle"
    )]
    id: Option<String>,
    /// End the active bundle, so that the stored policies are active again
    #[arg(long)]
    bundle: bool,
    /// The namespace of the policy, where several have one of this id
    #[arg(long, value_name = "NAME", conflicts_with = "bundle")]
    namespace: Option<String>,
    /// Only if this is the newest version of the policy, or the digest of the active bundle
    #[arg(long, value_name = "N|DIGEST")]
    if_match: Option<String>,
    #[command(flatten)]
    server: ServerArgs,
}

pub(crate) fn run(args: Args, _host: Host) -> anyhow::Result<Exit> {
    let server = || args.server.connect();
    if args.bundle {
        let tag = args.if_match.as_ref().map(|digest| format!("\"{digest}\""));
        let call = Call {
            method: &Method::DELETE,
            path: "/api/v1/bundle",
            if_match: tag.as_deref(),
            body: None,
        };
        server()?.call(call)?.accepted()?;
        output::summary("the bundle is ended; the stored policies are active");
        return Ok(Exit::Ok);
    }
    let id = args.id.as_deref().context("no policy is named")?;
    let version = match &args.if_match {
        None => None,
        Some(text) => Some(text.parse::<u64>().map_err(|_| {
            anyhow!(
                "--if-match is the number of a version, not `{}`",
                output::shown(text)
            )
        })?),
    };
    let path = remote::policy_path(id, "")?;
    let path = remote::in_namespace(&path, args.namespace.as_deref());
    let tag = version.map_or_else(|| "*".to_owned(), remote::version_tag);
    let call = Call {
        method: &Method::DELETE,
        path: &path,
        if_match: Some(&tag),
        body: None,
    };
    server()?.call(call)?.accepted()?;
    output::summary(&format!("{} is removed", output::shown(id)));
    Ok(Exit::Ok)
}
