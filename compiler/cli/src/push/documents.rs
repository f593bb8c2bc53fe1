//! The documents of files: what is sent of each, under which id, with its comments and at its place.

use super::Args;
use crate::exit::Shown;
use crate::inputs::Sources;
use crate::remote::Content;
use crate::{inputs, output, remote, render};
use anyhow::{Context as _, bail};
use policy_grammar::ast::Status;
use policy_grammar::{FileId, SourceFile, SourceMap};
use serde_json::Value;

/// One policy to send.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Document {
    /// Namespace of the policy.
    pub(super) namespace: String,
    /// Id of the policy, unique in its namespace.
    pub(super) id: String,
    /// Its text alone.
    pub(super) text: String,
    /// `yaml` or `json`.
    pub(super) format: &'static str,
    /// Whether it is to decide, and is no draft.
    pub(super) active: bool,
    /// The file that it is in.
    pub(super) file: FileId,
    /// Lines of the file before it; `None` where the text was written anew and its places are not those of the file.
    pub(super) lines_before: Option<u32>,
}

impl Document {
    /// How messages name it.
    pub(super) fn name(&self) -> String {
        format!("{} ({})", remote::clean(&self.id), remote::clean(&self.namespace))
    }

    /// What is said where somebody rejected its text.
    pub(super) fn rejected(&self) -> String {
        let name = self.name();
        format!("{name}: somebody rejected this text: change it, or submit it anew with --force")
    }

    /// What to do where the server holds another version than expected.
    pub(super) fn changed_meanwhile(&self, args: &Args) -> String {
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
    pub(super) fn path(&self) -> anyhow::Result<String> {
        Ok(remote::in_namespace(
            &remote::policy_path(&self.id, "")?,
            Some(&self.namespace),
        ))
    }

    /// Whether a policy of a server has this text.
    pub(super) fn is(&self, policy: &Value) -> bool {
        let same = policy.get("source").and_then(Value::as_str) == Some(self.text.as_str());
        same && policy.get("format").and_then(Value::as_str) == Some(self.format)
    }

    /// What is sent.
    pub(super) fn content(&self) -> Content<'_> {
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

/// The policies of the files, one text each. Shows what does not parse and fails then.
pub(super) fn documents(sources: &Sources) -> anyhow::Result<Vec<Document>> {
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
pub(super) fn split(text: &str, ids: &[&str]) -> Option<Vec<(u32, String)>> {
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
