//! `policyc approvals`: what waits for approval on a server; and how other commands show that a version waits or was rejected.

use crate::args::Format;
use crate::exit::Exit;
use crate::remote::{self, Call, Server, ServerArgs};
use crate::{Host, list, output};
use serde_json::Value;
use std::io::Write as _;

/// List the versions and bundles that wait for approval
#[derive(Debug, clap::Args)]
#[command(after_help = concat!(
    "DECIDES is the version that decides now. MAY APPROVE says whether you may: nobody approves a text that they wrote, nor does a key that an author made or rotated. \
     `policyc activate ID --if-match VERSION` approves a version, `policyc reject` rejects it. Without --namespace, bundles that wait \
     are listed too, though not with --format json; `policyc activate --bundle DIGEST` approves one.\n\n",
    crate::remote::exits!(),
    "\n\nExample:\n  policyc approvals --namespace production"
))]
pub(crate) struct Args {
    /// Only of this namespace
    #[arg(long, value_name = "NAME")]
    namespace: Option<String>,
    /// How to report
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
    #[command(flatten)]
    server: ServerArgs,
}

pub(crate) fn run(args: Args, _host: Host) -> anyhow::Result<Exit> {
    let server = args.server.connect()?;
    let namespace = args.namespace.as_deref().map(|name| ("namespace", name));
    let query: Vec<(&str, &str)> = namespace.into_iter().chain([("approval", "waiting")]).collect();
    let items = server.list("/api/v1/policies", &query, None)?;
    if args.format == Format::Json {
        output::json(&items)?;
        return Ok(Exit::Ok);
    }
    // A bundle is of no namespace.
    let bundles = match args.namespace {
        Some(_) => Vec::new(),
        None => waiting_bundles(&server)?,
    };
    match (items.is_empty(), bundles.is_empty()) {
        (true, true) => output::note("nothing waits for approval"),
        (true, false) => {}
        (false, _) => {
            let row = |item: &Value| {
                let waiting = item.get("approval").unwrap_or(&Value::Null);
                let may = waiting.get("mayApprove") == Some(&Value::Bool(true));
                vec![
                    remote::cell(item, "id"),
                    remote::cell(item, "namespace"),
                    remote::cell(item, "version"),
                    deciding(item),
                    remote::cell(item, "author"),
                    remote::cell(waiting, "since"),
                    if may { "yes" } else { "no" }.to_owned(),
                ]
            };
            let rows: Vec<Vec<String>> = items.iter().map(row).collect();
            remote::table(
                &[
                    "POLICY",
                    "NAMESPACE",
                    "VERSION",
                    "DECIDES",
                    "AUTHOR",
                    "SINCE",
                    "MAY APPROVE",
                ],
                &rows,
            )?;
            show(&items)?;
        }
    }
    if items.is_empty() {
        list::mention_empty(&server, args.namespace.as_deref())?;
    }
    if !bundles.is_empty() {
        if !items.is_empty() {
            writeln!(output::stdout())?;
        }
        let keys = ["digest", "revision", "author", "createdAt"];
        let rows: Vec<Vec<String>> = bundles
            .iter()
            .map(|bundle| keys.iter().map(|key| remote::cell(bundle, key)).collect())
            .collect();
        remote::table(&["BUNDLE", "REVISION", "AUTHOR", "CREATED"], &rows)?;
        output::note(
            "somebody other than its author approves a bundle with: policyc activate --bundle DIGEST",
        );
    }
    Ok(Exit::Ok)
}

/// Whether a bundle was deployed and never active.
pub(crate) fn waits(bundle: &Value) -> bool {
    bundle.get("active") != Some(&Value::Bool(true)) && bundle.get("activatedAt").is_none_or(Value::is_null)
}

/// Bundles that wait for approval. Callers who are limited to namespaces hear of no bundles.
fn waiting_bundles(server: &Server) -> anyhow::Result<Vec<Value>> {
    let path = "/api/v1/bundle/history";
    if server.call(Call::get(&format!("{path}?limit=1")))?.status() == 403 {
        return Ok(Vec::new());
    }
    let bundles = server.list(path, &[], None)?;
    Ok(bundles.into_iter().filter(waits).collect())
}

/// The version of a policy that decides.
pub(crate) fn deciding(policy: &Value) -> String {
    match remote::cell(policy, "activeVersion") {
        number if number.is_empty() => "none".to_owned(),
        number => number,
    }
}

/// The status of a policy, and what becomes of its newest version where that does not decide.
pub(crate) fn status(policy: &Value) -> String {
    let status = remote::cell(policy, "status");
    match () {
        () if is_waiting(policy) => format!("{status}, waits for approval"),
        () if rejection(policy).is_some() => format!("{status}, rejected"),
        () => status,
    }
}

/// What a version of a history is to its policy now; `newest` says whether no other one came after it.
pub(crate) fn state(version: &Value, newest: bool) -> &'static str {
    match () {
        () if version.get("active") == Some(&Value::Bool(true)) => "decides",
        () if is_waiting(version) => "waits for approval",
        () if rejection(version).is_some() => "rejected",
        () if !newest => "superseded",
        () => "",
    }
}

fn is_waiting(item: &Value) -> bool {
    item.get("pendingApproval") == Some(&Value::Bool(true))
}

/// Why a version was rejected, where it was.
fn rejection(item: &Value) -> Option<&Value> {
    item.get("rejection").filter(|rejection| rejection.is_object())
}

/// Shows below a table since when versions wait and for whom, and why they were rejected.
pub(crate) fn show(items: &[Value]) -> anyhow::Result<()> {
    let notes: Vec<Vec<String>> = items
        .iter()
        .map(notes)
        .filter(|notes| !notes.is_empty())
        .collect();
    if notes.is_empty() {
        return Ok(());
    }
    let mut out = output::stdout();
    writeln!(out)?;
    let below = |notes: &[String]| notes.get(1..).unwrap_or_default().to_vec();
    for (i, own) in notes.iter().enumerate() {
        if let Some(first) = own.first() {
            writeln!(out, "{first}")?;
        }
        // What holds for several that follow each other is said once, below the last of them.
        if notes.get(i + 1).is_none_or(|next| below(next) != below(own)) {
            for note in below(own) {
                writeln!(out, "{note}")?;
            }
        }
    }
    out.flush()?;
    Ok(())
}

/// What people are told of a policy, or of a version in its history, that waits or was rejected; nothing of others.
fn notes(item: &Value) -> Vec<String> {
    let [id, namespace, version] = ["id", "namespace", "version"].map(|key| remote::cell(item, key));
    let mut decides = String::new();
    // Versions of a history say of themselves alone whether they decide.
    if item.get("activeVersion").is_some() {
        decides = match deciding(item) {
            none if none == "none" => "; no version decides".to_owned(),
            number => format!("; version {number} decides"),
        };
    }
    let name = format!("{id} ({namespace}): version {version}");
    if let Some(rejection) = rejection(item) {
        let [by, at, comment] = ["by", "at", "comment"].map(|key| remote::cell(rejection, key));
        return vec![
            format!("{name} was rejected by {by}, {at}{decides}"),
            format!("  {comment}"),
        ];
    }
    if !is_waiting(item) {
        return Vec::new();
    }
    let Some(waiting) = item.get("approval").filter(|waiting| waiting.is_object()) else {
        return vec![format!("{name} waits for approval{decides}")];
    };
    let [since, scope] = ["since", "scope"].map(|key| remote::cell(waiting, key));
    let mut notes = vec![format!("{name} waits for approval since {since}{decides}")];
    let authors = waiting.get("authors").and_then(Value::as_array);
    let authors: Vec<String> = authors
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .map(remote::clean)
        .collect();
    notes.push(match authors.as_slice() {
        [] => format!("  can be approved by anyone with {scope}"),
        authors => format!(
            "  can be approved by anyone with {scope}, except: {}",
            authors.join(", ")
        ),
    });
    if waiting.get("mayApprove") == Some(&Value::Bool(true)) {
        notes.push(format!(
            "  you may: policyc activate {} --namespace {} --if-match {version}",
            word(&id),
            word(&namespace)
        ));
    } else if waiting.get("mayApprove") == Some(&Value::Bool(false)) {
        notes.push(format!(
            "  you may not: you lack {scope}, or count as one of those who wrote the text, as all keys do that one of them made or \
             rotated"
        ));
    }
    notes
}

/// A text as one word of a command line.
fn word(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '/' | ':' | '@' | '+');
    if !text.is_empty() && !text.starts_with('-') && text.chars().all(plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use super::{notes, state, status, word};
    use serde_json::json;

    #[test]
    fn what_waits_says_since_when_and_for_whom() {
        let policy = json!({
            "id": "p", "namespace": "team", "version": 3, "activeVersion": 2, "status": "active", "pendingApproval": true,
            "approval": {"since": "T", "scope": "policy:approve", "authors": ["ann", "a\u{1b}[31m"], "mayApprove": true},
        });
        assert_eq!(status(&policy), "active, waits for approval");
        assert_eq!(
            notes(&policy),
            [
                "p (team): version 3 waits for approval since T; version 2 decides",
                "  can be approved by anyone with policy:approve, except: ann, a\\u{1b}[31m",
                "  you may: policyc activate p --namespace team --if-match 3",
            ]
        );
        // A server of an earlier version.
        let old = json!({"id": "p", "namespace": "team", "version": 1, "activeVersion": null, "pendingApproval": true});
        assert_eq!(
            notes(&old),
            ["p (team): version 1 waits for approval; no version decides"]
        );
        assert!(notes(&json!({"id": "p", "version": 1, "activeVersion": 1})).is_empty());
    }

    #[test]
    fn who_may_not_approve_is_told_why() {
        let policy = json!({
            "id": "p", "namespace": "team", "version": 1, "pendingApproval": true,
            "approval": {"since": "T", "scope": "policy:approve", "authors": ["ann"], "mayApprove": false},
        });
        let told = notes(&policy).pop().unwrap();
        assert!(
            told.contains("you may not: you lack policy:approve, or count as one"),
            "{told}"
        );
    }

    #[test]
    fn a_rejection_says_who_and_why() {
        let version = json!({
            "id": "p", "namespace": "team", "version": 3, "active": false, "pendingApproval": false, "status": "active",
            "rejection": {"by": "bob", "at": "T", "comment": "too\ndear"},
        });
        assert_eq!(
            (state(&version, true), status(&version).as_str()),
            ("rejected", "active, rejected")
        );
        assert_eq!(
            notes(&version),
            ["p (team): version 3 was rejected by bob, T", "  too\\ndear"]
        );
    }

    #[test]
    fn an_old_version_is_superseded() {
        let version = json!({"version": 1, "active": false, "pendingApproval": false});
        assert_eq!(
            (state(&version, false), state(&version, true)),
            ("superseded", "")
        );
        let active = json!({"version": 1, "active": true});
        assert_eq!(state(&active, false), "decides");
    }

    #[test]
    fn ids_are_words_of_a_command() {
        assert_eq!(word("a/b-c"), "a/b-c");
        assert_eq!(word("--all"), "'--all'");
        assert_eq!(word("a b'c"), "'a b'\\''c'");
    }
}
