//! `policyc push --dry-run`: what a push would do, and nothing is written.
//!
//! Asks the server for each policy as it is there, and for what its compiler says of the new text. Both only read. What the
//! server finds out when it writes (quotas, policies that do not compile together, the right to write) is not known here.

use super::{Args, Document, is_rejected, reported, show, show_diagnostics, validate};
use crate::args::Format;
use crate::exit::Exit;
use crate::remote::{self, Call, Problem, Server};
use crate::{approvals, output};
use policy_grammar::SourceMap;
use serde_json::{Value, json};

/// What a push would do with a policy.
enum Plan {
    Create,
    /// Replace this one.
    Update(Value),
    /// Leave this one alone.
    Unchanged(Value),
    Refused(Problem),
}

pub(super) fn run(
    server: &Server,
    args: &Args,
    map: &SourceMap,
    documents: &[Document],
) -> anyhow::Result<Exit> {
    let mut exit = Exit::Ok;
    let mut is_unknown = false;
    let (mut report, mut rows, mut waiting) = (Vec::new(), Vec::new(), Vec::new());
    for document in documents {
        let mut entry = json!({ "id": document.id, "namespace": document.namespace });
        let put = |entry: &mut Value, key: &str, value: Value| {
            if let Value::Object(members) = entry {
                members.insert(key.to_owned(), value);
            }
        };
        let (mut result, now) = match plan(server, document, args)? {
            Plan::Create => ("create", Value::Null),
            Plan::Update(now) => ("update", now),
            Plan::Unchanged(now) => ("unchanged", now),
            Plan::Refused(mut problem) => {
                if problem.status == 412 {
                    problem.advice = Some(document.changed_meanwhile(args));
                }
                exit = exit.max(problem.exit());
                show(map, document, &problem);
                put(&mut entry, "result", json!("refused"));
                put(&mut entry, "problem", problem.to_json());
                report.push(entry);
                if problem.status == 401 {
                    break;
                }
                continue;
            }
        };
        if result == "unchanged" {
            if is_rejected(&now) {
                exit = exit.max(Exit::No);
                output::error(&document.rejected());
            }
        } else {
            let said = validate(server, document)?;
            let diagnostics = reported(&said, "diagnostics")?;
            show_diagnostics(map, document, &diagnostics);
            if said.get("valid") != Some(&Value::Bool(true)) {
                exit = exit.max(Exit::Usage);
                result = "refused";
                output::error(&format!("{}: the server would refuse it", document.name()));
            } else if args.strict && !diagnostics.is_empty() {
                exit = exit.max(Exit::No);
                result = "refused";
                output::error(&format!(
                    "{}: it would not be sent, because the compiler warns of it (--strict)",
                    document.name()
                ));
            }
            put(&mut entry, "diagnostics", json!(diagnostics));
            // A server of an earlier version does not say it, and then nobody knows.
            let required = said.get("approvalRequired").and_then(Value::as_bool);
            let waits = required.map(|required| required && document.active && result != "refused");
            put(&mut entry, "wouldWaitForApproval", json!(waits));
            match waits {
                Some(true) => waiting.push(document.name()),
                Some(false) => {}
                None => is_unknown = true,
            }
        }
        put(&mut entry, "result", json!(result));
        put(
            &mut entry,
            "version",
            now.get("version").cloned().unwrap_or_default(),
        );
        put(
            &mut entry,
            "activeVersion",
            now.get("activeVersion").cloned().unwrap_or_default(),
        );
        report.push(entry);
        rows.push(vec![
            document.id.clone(),
            document.namespace.clone(),
            match remote::cell(&now, "version") {
                none if none.is_empty() => "none".to_owned(),
                number => number,
            },
            approvals::deciding(&now),
            match result {
                "create" => "would be created",
                "update" => "would be updated",
                "unchanged" => "unchanged",
                _ => "would be refused",
            }
            .to_owned(),
        ]);
    }
    match args.format {
        Format::Json => output::json(&report)?,
        Format::Text => {
            if !rows.is_empty() {
                remote::table(&["POLICY", "NAMESPACE", "VERSION", "ACTIVE", "RESULT"], &rows)?;
            }
            if !waiting.is_empty() {
                output::note(&format!("would wait for approval: {}", waiting.join(", ")));
            }
            if is_unknown {
                output::note("this server does not say whether versions wait for approval");
            }
            output::note("nothing was sent (--dry-run)");
        }
    }
    Ok(exit)
}

fn plan(server: &Server, document: &Document, args: &Args) -> anyhow::Result<Plan> {
    let current = server.call(Call::get(&document.path()?))?;
    if current.status() == 404 && args.if_match.is_none() {
        return Ok(Plan::Create);
    }
    if !current.is_success() {
        return Ok(Plan::Refused(current.problem()));
    }
    let now: Value = current.json()?;
    if let Some(wanted) = args.if_match
        && now.get("version").and_then(Value::as_u64) != Some(wanted)
    {
        return Ok(Plan::Refused(Problem {
            status: 412,
            code: "version_mismatch".to_owned(),
            detail: format!("the current version is {}", remote::cell(&now, "version")),
            ..Problem::default()
        }));
    }
    // With --if-match, a push writes whatever the text is.
    let again = args.if_match.is_some() || (is_rejected(&now) && args.force);
    Ok(if document.is(&now) && !again {
        Plan::Unchanged(now)
    } else {
        Plan::Update(now)
    })
}
