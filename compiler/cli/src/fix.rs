//! Machine-applicable replacements: which diagnostics carry one, and texts with them applied.
//!
//! **Invariant.** What a policy means never changes in silence: a replacement is used on its own only where the policy did
//! not compile, or where the warning is about a misspelt name. Others are shown, and left to people.

use crate::atomic;
use crate::inputs::{Review, Sources};
use crate::render::{self, Place};
use policy_compiler::Options;
use policy_grammar::codes::Code;
use policy_grammar::{Diagnostic, Format, SourceFile, SourceMap};
use similar::TextDiff;
use std::collections::BTreeMap;
use std::path::Path;

/// Rounds of replacing and checking again: a mended mistake may uncover the next one.
const ROUNDS: usize = 20;

/// Whether the replacement of a diagnostic may be applied without a look.
pub(crate) fn is_automatic(diagnostic: &Diagnostic) -> bool {
    let spelling = matches!(diagnostic.code, Code::UnknownField | Code::UnknownWord);
    diagnostic.fix.is_some() && (diagnostic.is_error() || spelling)
}

/// One replacement that was made.
pub(crate) struct Applied {
    /// Where, before it was made.
    pub(crate) place: String,
    /// The problem that it mends.
    pub(crate) message: String,
    /// What stood there.
    pub(crate) old: String,
    /// What stands there now.
    pub(crate) new: String,
}

/// What came of it.
pub(crate) struct Fixed {
    /// The files as they would be.
    pub(crate) sources: Sources,
    /// What is left to say of them.
    pub(crate) review: Review,
    /// In the order in which they were made.
    pub(crate) applied: Vec<Applied>,
    /// Names and texts of files that changed: before, after.
    pub(crate) changed: Vec<(String, String, String)>,
}

/// Applies replacements until none is left that may be.
pub(crate) fn fix(sources: Sources, options: &Options) -> Fixed {
    let before: Vec<(String, String)> = sources
        .map
        .iter()
        .map(|(_, file)| (file.name().to_owned(), file.text().to_owned()))
        .collect();
    let mut sources = sources;
    let (_, mut review) = sources.review(options);
    let mut applied = Vec::new();
    for _ in 0..ROUNDS {
        let texts = replace(&sources, &review.diagnostics, &mut applied);
        if texts.is_empty() {
            break;
        }
        sources = sources.with(&texts);
        review = sources.review(options).1;
    }
    let changed = before
        .into_iter()
        .zip(sources.map.iter())
        .filter(|((_, old), (_, file))| old != file.text())
        .map(|((name, old), (_, file))| (name, old, file.text().to_owned()))
        .collect();
    Fixed {
        sources,
        review,
        applied,
        changed,
    }
}

/// The texts of files, by their number, with every replacement that does not overlap an earlier one.
fn replace(
    sources: &Sources,
    diagnostics: &[Diagnostic],
    applied: &mut Vec<Applied>,
) -> BTreeMap<usize, String> {
    let map = &sources.map;
    let mut fixes: Vec<(&policy_grammar::diagnostic::Fix, &Diagnostic)> = diagnostics
        .iter()
        .filter(|d| is_automatic(d))
        .filter_map(|d| Some((d.fix.as_ref()?, d)))
        .filter(|(fix, _)| sources.is_used(fix.span.file))
        .collect();
    fixes.sort_by_key(|(fix, _)| fix.span);
    let mut texts: BTreeMap<usize, String> = BTreeMap::new();
    let mut done: BTreeMap<usize, usize> = BTreeMap::new();
    for (fix, diagnostic) in fixes {
        let number = fix.span.file.0 as usize;
        let Some(file) = map.file(fix.span.file) else {
            continue;
        };
        let from = done.get(&number).copied().unwrap_or(0);
        let (start, end) = (fix.span.start as usize, fix.span.end as usize);
        let old = file.slice(fix.span);
        let new = fix.replacement.as_str();
        if start < from || end < start || old == new {
            continue;
        }
        let Some(between) = file.text().get(from..start) else {
            continue;
        };
        let text = texts.entry(number).or_default();
        text.push_str(between);
        text.push_str(new);
        done.insert(number, end);
        let Place {
            file, line, column, ..
        } = render::place(map, fix.span);
        applied.push(Applied {
            place: format!("{file}:{line}:{column}"),
            message: diagnostic.message.clone(),
            old: old.to_owned(),
            new: new.to_owned(),
        });
    }
    for (number, text) in &mut texts {
        let from = done.get(number).copied().unwrap_or(0);
        let file = map.iter().nth(*number).map(|(_, file)| file);
        text.push_str(file.and_then(|file| file.text().get(from..)).unwrap_or(""));
    }
    texts
}

/// The same diagnostic with its replacement written as what it replaces: the compiler, which does not see how that was
/// written, puts quotes around it.
pub(crate) fn in_style(map: &SourceMap, mut diagnostic: Diagnostic) -> Diagnostic {
    if let Some(fix) = &mut diagnostic.fix
        && let Some(file) = map.file(fix.span.file)
    {
        fix.replacement = as_written(file, file.slice(fix.span), &fix.replacement).to_owned();
    }
    diagnostic
}

/// A replacement in quotes without them, where what stood there had none either and it is a plain name.
fn as_written<'f>(file: &SourceFile, old: &str, new: &'f str) -> &'f str {
    let bare = new.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    let is_name = |text: &str| {
        let words = ["true", "false", "null", "yes", "no", "on", "off"];
        text.starts_with(|c: char| c.is_ascii_alphabetic())
            && text
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-'))
            && !words.iter().any(|word| text.eq_ignore_ascii_case(word))
    };
    match bare {
        Some(bare) if Format::of(file) == Format::Yaml && is_name(old) && is_name(bare) => bare,
        Some(_) | None => new,
    }
}

/// Writes the files that changed, each whole or not at all.
pub(crate) fn write(fixed: &Fixed) -> anyhow::Result<()> {
    for (name, _, new) in &fixed.changed {
        atomic::write(Path::new(name), new.as_bytes())?;
    }
    Ok(())
}

/// How a text changes, as `diff -u` shows it.
pub(crate) fn diff(name: &str, old: &str, new: &str) -> String {
    TextDiff::from_lines(old, new)
        .unified_diff()
        .context_radius(3)
        .header(&format!("a/{name}"), &format!("b/{name}"))
        .to_string()
}
