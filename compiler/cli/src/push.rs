//! `policyc push`: policies, or a bundle, to a server.
//!
//! Everything is read and parsed before the first call, so that a file that is no policy stops the command while nothing has
//! changed. Each policy is then a change of its own: one that the server refuses does not undo the others, and all refusals
//! are shown. A bundle is one change.

mod answers;
mod documents;
mod dry_run;

use crate::args::Format;
use crate::exit::Exit;
use crate::remote;
use crate::remote::{Answer, Call, Content, Problem, Server, ServerArgs};
use crate::{Host, approvals, engine, history, inputs, output, project};
use answers::{reported, show, show_diagnostics, warned};
use anyhow::{Context as _, bail};
use documents::{Document, documents};
use policy_bytecode::bundle;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use ureq::http::Method;

/// Send policies or a bundle to a server
#[derive(Debug, clap::Args)]
#[command(after_help = concat!(
    "A policy that the server does not have is created, another one gets a new version, and one that has not changed is \
     left alone. A policy is identified by its namespace and id: in another namespace it is another one. Without --if-match and \
     --force, a policy is only replaced if nobody changed it since this command read it. Each policy is a change of its own; to change all or nothing, build a bundle and push that. What the server's compiler \
     warns of is shown; with --strict it is asked before anything is sent, and a warning ends the command with 1.\n\n\
     --dry-run writes nothing, needs the scope `policy:read`, and ends as the push would as far as that can be told: the server's \
     compiler looks at each policy alone, and not together with those that decide; quotas and the right to write are not asked for.\n\n",
    crate::remote::exits!(),
    "\n\nExamples:\n  policyc push policies/ --server https://policy.example.com --token-file token\n  \
     policyc push --dry-run policies/\n  policyc push cost-limit.yaml --if-match 3\n  policyc push --bundle policies.bundle"
))]
pub(crate) struct Args {
    /// Policy files or directories; `-` is standard input [default: `paths` of policyc.toml]
    #[arg(value_name = "PATH", conflicts_with = "bundle")]
    paths: Vec<PathBuf>,
    /// A bundle, which takes the place of all stored policies; `policyc delete --bundle` ends it
    #[arg(long, value_name = "FILE")]
    bundle: Option<PathBuf>,
    /// Replace only this version; for one policy
    #[arg(long, value_name = "N", conflicts_with_all = ["force", "bundle"])]
    if_match: Option<u64>,
    /// Replace whatever version is there; submit a text anew that was rejected
    #[arg(long, conflicts_with = "bundle")]
    force: bool,
    /// Send nothing when the server's compiler warns of a policy, or ours did when it made the bundle
    #[arg(long)]
    strict: bool,
    /// Send nothing: show what would be created or replaced, what the server's compiler says, and what would wait for approval
    #[arg(long, conflicts_with = "bundle")]
    dry_run: bool,
    /// How to report
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
    #[command(flatten)]
    server: ServerArgs,
}

/// What became of one.
enum Pushed {
    Created(Value),
    Updated(Value),
    Unchanged(Value),
    Refused(Problem),
}

pub(crate) fn run(args: Args, _host: Host) -> anyhow::Result<Exit> {
    if let Some(path) = &args.bundle {
        return push_bundle(&args, path);
    }
    let sources = inputs::read_sources(&project::paths(&args.paths)?)?;
    sources.mention_unused();
    let documents = documents(&sources)?;
    if args.if_match.is_some() && documents.len() > 1 {
        bail!(
            "--if-match is for one policy, and these are {}",
            output::count(documents.len(), "policy", "policies")
        );
    }
    let server = args.server.connect()?;
    if args.dry_run {
        return dry_run::run(&server, &args, &sources.map, &documents);
    }
    if args.strict
        && let Some(exit) = warned(&server, &sources.map, &documents, args.format)?
    {
        return Ok(exit);
    }
    let mut exit = Exit::Ok;
    let mut report = Vec::new();
    let mut rows = Vec::new();
    let mut pushed = Vec::new();
    for document in &documents {
        let (done, policy) = match push(&server, document, &args)? {
            Pushed::Created(policy) => ("created", policy),
            Pushed::Updated(policy) => ("updated", policy),
            Pushed::Unchanged(policy) => {
                if is_rejected(&policy) {
                    exit = exit.max(Exit::No);
                    output::error(&document.rejected());
                }
                ("unchanged", policy)
            }
            Pushed::Refused(mut problem) => {
                if problem.status == 412 {
                    problem.advice = Some(document.changed_meanwhile(&args));
                }
                exit = exit.max(problem.exit());
                show(&sources.map, document, &problem);
                report.push(json!({
                    "id": document.id,
                    "namespace": document.namespace,
                    "result": "refused",
                    "problem": problem.to_json(),
                }));
                if problem.status == 401 {
                    // The others would be refused for the same reason.
                    break;
                }
                continue;
            }
        };
        let warnings = reported(&policy, "warnings")?;
        show_diagnostics(&sources.map, document, &warnings);
        rows.push(vec![
            document.id.clone(),
            document.namespace.clone(),
            remote::cell(&policy, "version"),
            approvals::deciding(&policy),
            approvals::status(&policy),
            done.to_owned(),
        ]);
        report.push(json!({
            "id": document.id,
            "namespace": document.namespace,
            "result": done,
            "version": policy.get("version"),
            "activeVersion": policy.get("activeVersion"),
            "status": policy.get("status"),
            "pendingApproval": policy.get("pendingApproval"),
            "approval": policy.get("approval"),
            "rejection": policy.get("rejection"),
            "warnings": warnings,
        }));
        pushed.push(policy);
    }
    match args.format {
        Format::Json => output::json(&report)?,
        Format::Text if rows.is_empty() => {}
        Format::Text => {
            let headings = ["POLICY", "NAMESPACE", "VERSION", "ACTIVE", "STATUS", "RESULT"];
            remote::table(&headings, &rows)?;
            approvals::show(&pushed)?;
        }
    }
    Ok(exit)
}

/// What the server says of a policy without storing it.
fn validate(server: &Server, document: &Document) -> anyhow::Result<Value> {
    server
        .call(Call {
            method: &Method::POST,
            path: "/api/v1/policies/validate",
            if_match: None,
            body: Some(document.content()),
        })?
        .accepted()?
        .json()
}

fn push(server: &Server, document: &Document, args: &Args) -> anyhow::Result<Pushed> {
    let path = document.path()?;
    let content = document.content();
    let create = || -> anyhow::Result<Pushed> {
        let answer = server.call(Call {
            method: &Method::POST,
            path: "/api/v1/policies",
            if_match: None,
            body: Some(content),
        })?;
        outcome(&answer, Pushed::Created)
    };
    let replace = |tag: &str| -> anyhow::Result<Answer> {
        server.call(Call {
            method: &Method::PUT,
            path: &path,
            if_match: Some(tag),
            body: Some(content),
        })
    };
    if let Some(version) = args.if_match {
        return outcome(&replace(&remote::version_tag(version))?, Pushed::Updated);
    }
    let current = server.call(Call::get(&path))?;
    if current.status() == 404 {
        return create();
    }
    if !current.is_success() {
        return Ok(Pushed::Refused(current.problem()));
    }
    let policy: Value = current.json()?;
    if document.is(&policy) && !(is_rejected(&policy) && args.force) {
        return Ok(Pushed::Unchanged(policy));
    }
    let tag = if args.force {
        "*"
    } else {
        current
            .etag()
            .context("the server's answer has no ETag, so that the policy cannot be replaced safely")?
    };
    outcome(&replace(tag)?, Pushed::Updated)
}

/// Whether somebody rejected the newest version.
fn is_rejected(policy: &Value) -> bool {
    policy.get("rejection").is_some_and(Value::is_object)
}

fn outcome(answer: &Answer, done: fn(Value) -> Pushed) -> anyhow::Result<Pushed> {
    if answer.is_success() {
        Ok(done(answer.json()?))
    } else {
        Ok(Pushed::Refused(answer.problem()))
    }
}

fn push_bundle(args: &Args, path: &Path) -> anyhow::Result<Exit> {
    let bytes = output::read(path)?;
    if !bytes.starts_with(bundle::MAGIC) {
        bail!(
            "`{}` is not a bundle; make one with `policyc build`",
            path.display()
        );
    }
    // What the server can read, which may be of another version, it says itself.
    let warned = match args.strict {
        true => bundle::Bundle::decode(&bytes)
            .map(|bundle| bundle.manifest.warnings.len())
            .map_err(|error| engine::unusable(&path.display().to_string(), error))?,
        false => 0,
    };
    if warned > 0 {
        let warnings = output::count(warned, "warning", "warnings");
        output::error(&format!(
            "nothing was sent, because the compiler had {warnings} when it made the bundle (--strict); `policyc inspect` shows them"
        ));
        return Ok(Exit::No);
    }
    let server = args.server.connect()?;
    let answer = server
        .call(Call {
            method: &Method::PUT,
            path: "/api/v1/bundle",
            if_match: None,
            body: Some(Content {
                kind: "application/octet-stream",
                bytes: &bytes,
            }),
        })?
        .accepted()?;
    let record: Value = answer.json()?;
    for warning in reported(&record, "warnings")? {
        output::note(&warning.line_of(&warning.file));
    }
    match args.format {
        Format::Json => output::json(&record)?,
        Format::Text => {
            remote::table(
                &["BUNDLE", "REVISION", "POLICIES", "RULES", "STATUS"],
                &[vec![
                    remote::cell(&record, "digest"),
                    remote::cell(&record, "revision"),
                    remote::cell(&record, "policies"),
                    remote::cell(&record, "rules"),
                    history::bundle_state(&record).to_owned(),
                ]],
            )?;
            if approvals::waits(&record) {
                let digest = remote::cell(&record, "digest");
                output::note(&format!(
                    "the bundle waits for approval; somebody else approves it with: policyc activate --bundle {digest}"
                ));
            }
        }
    }
    Ok(Exit::Ok)
}

#[cfg(test)]
mod tests;
