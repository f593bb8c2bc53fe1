//! `policyc rollback`: an earlier version of a policy, or an earlier bundle, decides again.

use crate::Host;
use crate::activate::{report_bundle, report_policy};
use crate::args::Format;
use crate::exit::Exit;
use crate::remote::{self, ServerArgs};
use anyhow::{Context as _, anyhow, bail};
use serde_json::{Value, json};
use ureq::http::Method;

/// Go back to an earlier version of a policy, or to an earlier bundle
#[derive(Debug, clap::Args)]
#[command(after_help = concat!(
    "Going back writes a new version with the text of the earlier one, so that nothing is lost from the history. Where the \
     server asks for approval, a bundle has to be named with --to, and the new version of a policy waits for somebody \
     else.\n\n",
    crate::remote::exits!(),
    "\n\nExamples:\n  policyc rollback cost-limit\n  policyc rollback cost-limit --to 3\n  policyc rollback --bundle\n  \
     policyc rollback --bundle --to sha256:9f86d0…"
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
    /// The bundle that decided before the present one
    #[arg(long)]
    bundle: bool,
    /// The version, or with --bundle the digest of a bundle [default: the one before the one that decides, rejected ones aside]
    #[arg(long, value_name = "N|DIGEST", alias = "version")]
    to: Option<String>,
    /// Only if this is the newest version of the policy
    #[arg(long, value_name = "N", conflicts_with = "bundle")]
    if_match: Option<u64>,
    /// How to report
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
    #[command(flatten)]
    server: ServerArgs,
}

pub(crate) fn run(args: Args, _host: Host) -> anyhow::Result<Exit> {
    if args.bundle {
        let body = args
            .to
            .as_ref()
            .map_or_else(|| json!({}), |digest| json!({ "digest": digest }));
        let server = args.server.connect()?;
        let record: Value = server.send(&Method::POST, "/api/v1/bundle/rollback", None, &body)?;
        return report_bundle(&record, args.format);
    }
    let id = args.id.as_deref().context("no policy is named")?;
    let namespaced = |rest: &str| -> anyhow::Result<String> {
        Ok(remote::in_namespace(
            &remote::policy_path(id, rest)?,
            args.namespace.as_deref(),
        ))
    };
    let path = namespaced("/rollback")?;
    let named = match &args.to {
        None => None,
        Some(to) => match to.parse::<u64>() {
            Ok(version) => Some(version),
            Err(_) => bail!("`{to}` is not the number of a version; see `policyc history`"),
        },
    };
    let server = args.server.connect()?;
    let (version, seen) = match named {
        Some(version) => (version, None),
        None => {
            let policy: Value = server.get(&namespaced("")?)?;
            let newest = policy.get("version").and_then(Value::as_u64);
            let namespace = policy.get("namespace").and_then(Value::as_str);
            let query: Vec<(&str, &str)> = namespace.map(|name| ("namespace", name)).into_iter().collect();
            let versions = server.list(&remote::policy_path(id, "/versions")?, &query, None)?;
            (before(&policy, &versions)?, newest)
        }
    };
    let tag = args.if_match.or(seen);
    let tag = tag.map_or_else(|| "*".to_owned(), remote::version_tag);
    let body = json!({ "version": version });
    let answer = server.change(&Method::POST, &path, Some(&tag), &body)?;
    if answer.status() == 412 {
        let again = |version| match args.if_match {
            Some(_) => format!("give --if-match {version}"),
            None => "run this again".to_owned(),
        };
        return Err(server.newer(&answer, id, args.namespace.as_deref(), again));
    }
    report_policy(&answer.accepted()?.json()?, args.format)
}

/// The version before the one that decides, those aside that somebody rejected.
fn before(policy: &Value, versions: &[Value]) -> anyhow::Result<u64> {
    let Some(active) = policy.get("activeVersion").and_then(Value::as_u64) else {
        bail!("no version of this policy decides; say which one is to, with --to N");
    };
    let rejected = |version: &Value| version.get("rejection").is_some_and(Value::is_object);
    let earlier = versions
        .iter()
        .filter(|version| !rejected(version))
        .filter_map(|version| version.get("version").and_then(Value::as_u64))
        .find(|number| *number < active);
    earlier.ok_or_else(|| anyhow!("version {active} decides, and there is none before it"))
}

#[cfg(test)]
mod tests {
    use super::before;
    use serde_json::json;

    #[test]
    fn what_was_rejected_is_not_gone_back_to() {
        let versions = [
            json!({"version": 4}),
            json!({"version": 3, "rejection": {"by": "bob"}}),
            json!({"version": 2, "rejection": null}),
            json!({"version": 1}),
        ];
        let to = |active: u64| before(&json!({"activeVersion": active}), &versions).ok();
        assert_eq!((to(4), to(2), to(1)), (Some(2), Some(1), None));
        assert!(before(&json!({"activeVersion": null}), &versions).is_err());
    }
}
