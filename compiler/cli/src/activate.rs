//! `policyc activate`: a stored policy, or a stored bundle, starts to decide.

use crate::approvals;
use crate::args::Format;
use crate::exit::Exit;
use crate::list::Status;
use crate::remote::{self, ServerArgs};
use crate::{Host, output};
use anyhow::{Context as _, bail};
use serde_json::{Value, json};
use ureq::http::Method;

/// Let a stored policy or bundle decide
#[derive(Debug, clap::Args)]
#[command(after_help = concat!(
    "To activate a policy, name the version that you looked at with --if-match, so that a later one does not become active \
     unseen. Where the server asks for approval, this is how a version that somebody else wrote is approved: `policyc approvals` \
     shows what waits, and `approve` is another name of this command.\n\n",
    crate::remote::exits!(),
    "\n\nExamples:\n  policyc activate cost-limit --if-match 4\n  policyc activate cost-limit --status deprecated\n  \
     policyc activate --bundle sha256:9f86d0…"
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
    /// The status that it gets
    #[arg(long, value_enum, default_value = "active", conflicts_with = "bundle")]
    status: Status,
    /// Only if this is its newest version; needed to activate
    #[arg(long, value_name = "N", conflicts_with = "bundle")]
    if_match: Option<u64>,
    /// A bundle that was pushed, by its digest
    #[arg(long, value_name = "DIGEST")]
    bundle: Option<String>,
    /// How to report
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
    #[command(flatten)]
    server: ServerArgs,
}

pub(crate) fn run(args: Args, _host: Host) -> anyhow::Result<Exit> {
    if let Some(digest) = &args.bundle {
        let server = args.server.connect()?;
        let body = json!({ "digest": digest });
        let record: Value = server.send(&Method::POST, "/api/v1/bundle/activate", None, &body)?;
        return report_bundle(&record, args.format);
    }
    let id = args.id.as_deref().context("no policy is named")?;
    let path = remote::policy_path(id, "/status")?;
    let path = remote::in_namespace(&path, args.namespace.as_deref());
    if args.if_match.is_none() && args.status == Status::Active {
        bail!("say which version becomes active, with --if-match N; see `policyc history`");
    }
    let tag = args.if_match.map_or_else(|| "*".to_owned(), remote::version_tag);
    let server = args.server.connect()?;
    let body = json!({ "status": args.status.as_str() });
    let answer = server.change(&Method::PATCH, &path, Some(&tag), &body)?;
    if answer.status() == 412 {
        let again = |version| format!("give --if-match {version}");
        return Err(server.newer(&answer, id, args.namespace.as_deref(), again));
    }
    report_policy(&answer.accepted()?.json()?, args.format)
}

/// Shows the policy that was changed.
pub(crate) fn report_policy(policy: &Value, format: Format) -> anyhow::Result<Exit> {
    match format {
        Format::Json => output::json(policy)?,
        Format::Text => {
            let row = vec![
                remote::cell(policy, "id"),
                remote::cell(policy, "namespace"),
                remote::cell(policy, "version"),
                approvals::deciding(policy),
                approvals::status(policy),
            ];
            remote::table(&["POLICY", "NAMESPACE", "VERSION", "ACTIVE", "STATUS"], &[row])?;
            approvals::show(std::slice::from_ref(policy))?;
        }
    }
    Ok(Exit::Ok)
}

/// Shows the bundle that decides now.
pub(crate) fn report_bundle(record: &Value, format: Format) -> anyhow::Result<Exit> {
    match format {
        Format::Json => output::json(record)?,
        Format::Text => {
            let row = ["digest", "revision", "policies", "rules"].map(|key| remote::cell(record, key));
            remote::table(&["BUNDLE", "REVISION", "POLICIES", "RULES"], &[row.to_vec()])?;
        }
    }
    Ok(Exit::Ok)
}
