//! Documents of a set: some beside those that decide, and one of several in a file as a text of its own.

use super::Extra;
use crate::active::Origin;
use crate::document::{self, Format, file_name};
use crate::error::Result;
use crate::heavy::Stop;
use crate::storage::model::PolicyKey;
use policy_compiler::Compiler;
use policy_grammar::ast::{Policy, Status};
use policy_grammar::{SourceFile, parse_source};
use serde_json::value::RawValue;
use std::collections::HashSet;

/// Which policy a document is.
pub(in crate::service) fn key_of(policy: &Policy) -> PolicyKey {
    PolicyKey::new(&policy.metadata.namespace.value, &policy.metadata.id.value)
}

/// The policies that decide, with others in their place or beside them, and the names of the others.
pub(super) fn with_extra(
    mut compiler: Compiler,
    origin: &Origin,
    extra: Extra,
    stop: &Stop,
) -> Result<(Compiler, Vec<String>)> {
    if let Origin::Directory(_) = origin {
        // Drafts are tried whatever their status is, so the deciding policies are chosen here and not by the compiler.
        let replaced: HashSet<PolicyKey> = extra
            .documents
            .iter()
            .map(|(document, _)| document.key())
            .collect();
        let wanted = |policy: &Policy| {
            let key = key_of(policy);
            !replaced.contains(&key) && (policy.status == Status::Active || extra.inactive.contains(&key))
        };
        keep(&mut compiler, wanted, || stop.check())?;
        compiler.set_options(document::options());
    } else {
        for (document, _) in &extra.documents {
            for format in [Format::Yaml, Format::Json] {
                compiler.remove(&file_name(&document.key(), format.as_str()));
            }
        }
    }
    let mut drafts = Vec::with_capacity(extra.documents.len());
    for (document, alone) in extra.documents {
        let mut name = file_name(&document.key(), &document.format);
        // Two drafts of one id are both kept: the compiler says what is wrong with that.
        while compiler.file(&name).is_some() {
            name = format!("{name}.{}", document.format);
        }
        compiler.set(&name, &*document.source);
        if let Some(alone) = alone {
            alone.give(&mut compiler, &name);
        }
        drafts.push(name);
    }
    Ok((compiler, drafts))
}

/// Removes the policies that are not wanted; the places of the others in their files stay as they are.
pub(super) fn keep(
    compiler: &mut Compiler,
    wanted: impl Fn(&Policy) -> bool,
    go_on: impl Fn() -> Result<()>,
) -> Result<()> {
    let sources = compiler.sources();
    for (id, file) in sources.iter() {
        go_on()?;
        let policies = parse_source(&sources, id).policies;
        if policies.iter().all(&wanted) {
            continue;
        }
        compiler.remove(file.name());
        let is_json = file.name().ends_with(".json");
        for (i, policy) in policies.iter().enumerate().filter(|(_, policy)| wanted(policy)) {
            let text = match policies.len() {
                1 => file.text().to_owned(),
                _ => only(file, policy, is_json),
            };
            let format = if is_json { Format::Json } else { Format::Yaml };
            compiler.set(format!("{}/{i}.{}", file.name(), format.as_str()), text);
        }
    }
    Ok(())
}

/// One policy of a file that holds several, at the line and column where it stands there.
pub(in crate::service) fn only(file: &SourceFile, policy: &Policy, is_json: bool) -> String {
    let start = policy.span.start;
    let (line, column) = file.line_column(start);
    let rest = file.text().get(start as usize..).unwrap_or_default();
    let text = if is_json {
        let mut values = serde_json::Deserializer::from_str(rest).into_iter::<&RawValue>();
        values.next().and_then(Result::ok).map_or(rest, RawValue::get)
    } else {
        let end = end_of_document(rest).unwrap_or(rest.len());
        rest.get(..end).unwrap_or(rest)
    };
    let (above, before) = (line.saturating_sub(1) as usize, column.saturating_sub(1) as usize);
    format!("{}{}{text}\n", "\n".repeat(above), " ".repeat(before))
}

/// Where the first YAML document of a text ends, if a line ends it: `---`, or `...`, behind which another one may stand too.
pub(in crate::service) fn end_of_document(text: &str) -> Option<usize> {
    let ends = |at: &usize| {
        let line = text.get(at + 1..).unwrap_or_default();
        let behind = line.strip_prefix("---").or_else(|| line.strip_prefix("..."));
        behind.is_some_and(|behind| behind.is_empty() || behind.starts_with(char::is_whitespace))
    };
    text.match_indices('\n').map(|(at, _)| at).find(ends)
}

#[cfg(test)]
mod tests;
