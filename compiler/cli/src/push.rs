//! `policyc push`: policies, or a bundle, to a server.
//!
//! Everything is read and parsed before the first call, so that a file that is no policy stops the command while nothing has
//! changed. Each policy is then a change of its own: one that the server refuses does not undo the others, and all refusals
//! are shown. A bundle is one change.

mod dry_run;

use crate::args::Format;
use crate::exit::{Exit, Shown};
use crate::inputs::Sources;
use crate::remote::{self, Answer, Call, Content, Problem, Reported, Server, ServerArgs};
use crate::{Host, approvals, engine, history, inputs, output, project, render};
use anyhow::{Context as _, bail};
use policy_bytecode::bundle;
use policy_grammar::ast::Status;
use policy_grammar::codes::Code;
use policy_grammar::{Diagnostic, FileId, Severity, SourceFile, SourceMap, Span, names};
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

/// One policy to send.
#[derive(Debug, PartialEq, Eq)]
struct Document {
    /// Its namespace.
    namespace: String,
    /// Its id.
    id: String,
    /// Its text alone.
    text: String,
    /// `yaml` or `json`.
    format: &'static str,
    /// Whether it is to decide, and is no draft.
    active: bool,
    /// The file that it is in.
    file: FileId,
    /// Lines of the file before it; `None` where the text was written anew and its places are not those of the file.
    lines_before: Option<u32>,
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

/// Diagnostics that a server's answer holds.
fn reported(answer: &Value, key: &str) -> anyhow::Result<Vec<Reported>> {
    match answer.get(key) {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(list) => serde_json::from_value(list.clone())
            .with_context(|| format!("`{key}` in the server's answer is not what policyd answers")),
    }
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

/// Asks what the server's compiler says of all policies, and shows it. How to end, where it says anything: nothing was changed.
fn warned(
    server: &Server,
    map: &SourceMap,
    documents: &[Document],
    format: Format,
) -> anyhow::Result<Option<Exit>> {
    let mut exit = None;
    let mut report = Vec::new();
    for document in documents {
        let said = reported(&validate(server, document)?, "diagnostics")?;
        show_diagnostics(map, document, &said);
        let own = match said.iter().any(|one| one.severity != "warning") {
            _ if said.is_empty() => None,
            true => Some(Exit::Usage),
            false => Some(Exit::No),
        };
        exit = exit.max(own);
        report.push(json!({
            "id": document.id,
            "namespace": document.namespace,
            "result": if own.is_some() { "refused" } else { "unsent" },
            "diagnostics": said,
        }));
    }
    if exit.is_some() {
        output::error("nothing was sent, because the compiler says something (--strict)");
        if format == Format::Json {
            output::json(&report)?;
        }
    }
    Ok(exit)
}

impl Document {
    /// How messages name it.
    fn name(&self) -> String {
        format!("{} ({})", remote::clean(&self.id), remote::clean(&self.namespace))
    }

    /// What is said where somebody rejected its text.
    fn rejected(&self) -> String {
        let name = self.name();
        format!("{name}: somebody rejected this text: change it, or submit it anew with --force")
    }

    /// What to do where the server holds another version than expected.
    fn changed_meanwhile(&self, args: &Args) -> String {
        let again = match args.if_match {
            Some(_) => "give the newest version to --if-match",
            None => "push again",
        };
        format!(
            "somebody else changed it: look at `policyc history {} --namespace {}`, then {again}",
            remote::clean(&self.id),
            remote::clean(&self.namespace)
        )
    }

    /// Its path on a server.
    fn path(&self) -> anyhow::Result<String> {
        Ok(remote::in_namespace(
            &remote::policy_path(&self.id, "")?,
            Some(&self.namespace),
        ))
    }

    /// Whether a policy of a server has this text.
    fn is(&self, policy: &Value) -> bool {
        let same = policy.get("source").and_then(Value::as_str) == Some(self.text.as_str());
        same && policy.get("format").and_then(Value::as_str) == Some(self.format)
    }

    /// What is sent.
    fn content(&self) -> Content<'_> {
        Content {
            kind: if self.format == "json" {
                "application/json"
            } else {
                "application/yaml"
            },
            bytes: self.text.as_bytes(),
        }
    }
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

/// The policies of the files, one text each. Shows what does not parse and fails then.
fn documents(sources: &Sources) -> anyhow::Result<Vec<Document>> {
    let mut documents = Vec::new();
    let mut problems = sources.problems.clone();
    for (file, source) in sources.used() {
        if problems.iter().any(|p| p.primary.span.file == file) {
            continue;
        }
        let parsed = policy_grammar::parse_source(&sources.map, file);
        if parsed.has_errors() {
            problems.extend(parsed.diagnostics);
            continue;
        }
        let format = if source.name().ends_with(".json") {
            "json"
        } else {
            "yaml"
        };
        // The server has no files to import: what is used of them stands in what is sent.
        let alone = parsed.imports.is_empty();
        let text = if alone {
            source.text().to_owned()
        } else {
            policy_grammar::without_imports(&sources.map, file).with_context(|| {
                format!(
                    "the imports of `{}` cannot be written into its text; write the constants into its `let`",
                    source.name()
                )
            })?
        };
        match parsed.policies.as_slice() {
            // Definitions, which stand in the policies that import them.
            [] => {}
            [policy] if format == "yaml" || source.text().trim_start().starts_with('{') => {
                documents.push(Document {
                    namespace: policy.metadata.namespace.value.clone(),
                    id: policy.metadata.id.value.clone(),
                    text,
                    format,
                    active: policy.status == Status::Active,
                    file,
                    lines_before: alone.then_some(0),
                });
            }
            // JSON has no comments to lose, and a list of policies is not a policy.
            several if format == "json" => documents.extend(several.iter().map(|policy| Document {
                namespace: policy.metadata.namespace.value.clone(),
                id: policy.metadata.id.value.clone(),
                text: policy_grammar::to_json(std::slice::from_ref(policy)),
                format,
                active: policy.status == Status::Active,
                file,
                lines_before: None,
            })),
            several => {
                let ids: Vec<&str> = several.iter().map(|p| p.metadata.id.value.as_str()).collect();
                let Some(parts) = split(&text, &ids) else {
                    bail!(
                        "`{}` holds several policies that cannot be told apart; put each into a file of its own",
                        source.name()
                    );
                };
                documents.extend(
                    several
                        .iter()
                        .zip(parts)
                        .map(|(policy, (lines_before, text))| Document {
                            namespace: policy.metadata.namespace.value.clone(),
                            id: policy.metadata.id.value.clone(),
                            text,
                            format,
                            active: policy.status == Status::Active,
                            file,
                            lines_before: alone.then_some(lines_before),
                        }),
                );
            }
        }
    }
    if !problems.is_empty() {
        output::stderr(&render::text(&sources.map, &problems));
        return Err(Shown(inputs::refusal(&problems)).into());
    }
    if documents.is_empty() {
        bail!("the files hold definitions and no policy");
    }
    let mut seen = std::collections::BTreeSet::new();
    let mut twice = documents
        .iter()
        .filter(|d| !seen.insert((d.namespace.as_str(), d.id.as_str())));
    if let Some(twice) = twice.next() {
        bail!("the policy `{}` occurs twice", twice.id);
    }
    Ok(documents)
}

/// The documents of a YAML text, each with the lines before it; comments stay with the document that they stand in.
/// `None` when what comes out does not hold exactly these policies, one each.
fn split(text: &str, ids: &[&str]) -> Option<Vec<(u32, String)>> {
    let marker = |line: &str| {
        let line = line.trim_end_matches(['\n', '\r']);
        // At the beginning of a line these are markers wherever they stand, also inside texts.
        ["---", "..."].iter().any(|m| {
            line.strip_prefix(m)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', '\t']))
        })
    };
    let mut parts: Vec<(u32, String)> = vec![(0, String::new())];
    for (number, line) in (0_u32..).zip(text.split_inclusive('\n')) {
        if marker(line) {
            parts.push((number, String::new()));
        }
        if let Some((_, part)) = parts.last_mut() {
            part.push_str(line);
        }
    }
    let mut documents = Vec::with_capacity(ids.len());
    for (lines_before, part) in parts {
        let mut map = SourceMap::new();
        let file = map.add(SourceFile::new("part.yaml", part.as_str()));
        let parsed = policy_grammar::parse_source(&map, file);
        match parsed.policies.as_slice() {
            // Comments, or a marker at the end.
            [] => {}
            [policy] => {
                let expected = ids.get(documents.len())?;
                if parsed.has_errors() || policy.metadata.id.value != *expected {
                    return None;
                }
                documents.push((lines_before, part));
            }
            _ => return None,
        }
    }
    (documents.len() == ids.len()).then_some(documents)
}

/// Shows why a policy was refused.
fn show(map: &SourceMap, document: &Document, problem: &Problem) {
    show_diagnostics(map, document, &problem.diagnostics);
    output::error(&format!("{}: {}", document.name(), problem.headline()));
    problem.show_rest();
}

/// Shows diagnostics of a server as `policyc check` shows them, where their places are known.
fn show_diagnostics(map: &SourceMap, document: &Document, diagnostics: &[Reported]) {
    let name = map.file(document.file).map_or("", SourceFile::name);
    let mut shown = Vec::new();
    for reported in diagnostics {
        match diagnostic(map, document, reported) {
            Some(diagnostic) => shown.push(diagnostic),
            None if reported.is_ours() => output::note(&reported.line_of(name)),
            None => output::note(&reported.line_of(&reported.file)),
        }
    }
    if !shown.is_empty() {
        output::stderr(&render::text(map, &shown));
    }
}

/// A server's diagnostic with its place in the file, when we know its code too.
fn diagnostic(map: &SourceMap, document: &Document, reported: &Reported) -> Option<Diagnostic> {
    let own_name = names::stored(&document.namespace, &document.id, document.format);
    if !reported.is_ours() && reported.file != own_name {
        return None;
    }
    let code = Code::ALL.iter().find(|c| c.as_str() == reported.code)?;
    let file = map.file(document.file)?;
    let line = reported.line.checked_add(document.lines_before?)?;
    let start = offset(file.text(), line, reported.column)?;
    let rest = file.text().get(start..)?;
    let word = rest
        .find(|c: char| c.is_whitespace() || ",:{}[]".contains(c))
        .unwrap_or(rest.len());
    let end = start + word.max(rest.chars().next().map_or(0, char::len_utf8));
    let span = Span::new(
        document.file,
        u32::try_from(start).ok()?,
        u32::try_from(end).ok()?,
    );
    let mut diagnostic = Diagnostic::new(*code, span, remote::clean(&reported.message));
    diagnostic.severity = match reported.severity.as_str() {
        "error" => Severity::Error,
        "bug" => Severity::Bug,
        _ => Severity::Warning,
    };
    diagnostic.help = reported.help.iter().map(|h| remote::clean(h)).collect();
    Some(diagnostic)
}

/// Byte offset of a line and a column in characters, both from 1.
fn offset(text: &str, line: u32, column: u32) -> Option<usize> {
    let before: usize = text
        .split_inclusive('\n')
        .take(line.checked_sub(1)? as usize)
        .map(str::len)
        .sum();
    let rest = text.get(before..)?;
    let skipped: usize = rest
        .chars()
        .take(column.checked_sub(1)? as usize)
        .map(char::len_utf8)
        .sum();
    Some(before + skipped)
}

#[cfg(test)]
mod tests {
    use super::{offset, split};

    const ONE: &str = "metadata: { id: one, name: One }\nrules: []\n";
    const TWO: &str = "metadata: { id: two, name: Two }\nrules: []\n";

    #[test]
    fn documents_of_a_file_keep_their_comments_and_places() {
        let text = format!("# about one\n{ONE}---\n# about two\n{TWO}...\n---\n# nothing\n");
        let parts = split(&text, &["one", "two"]).unwrap();
        assert_eq!(parts[0], (0, format!("# about one\n{ONE}")));
        assert_eq!(parts[1], (3, format!("---\n# about two\n{TWO}")));
    }

    #[test]
    fn a_split_that_does_not_come_out_is_refused() {
        let text = format!("{ONE}---\n{TWO}");
        assert!(split(&text, &["one"]).is_none());
        assert!(split(&text, &["two", "one"]).is_none());
        assert!(split(&text, &["one", "two", "three"]).is_none());
    }

    #[test]
    fn places_are_counted_in_characters() {
        let text = "a\nüb c\n";
        assert_eq!(offset(text, 2, 2), Some(4));
        assert_eq!(offset(text, 1, 1), Some(0));
        assert_eq!(offset(text, 0, 1), None);
    }
}
