//! What a search passed over, said where somebody may have meant it.

use super::{display, open};
use crate::output;
use crate::walk::Found;
use policy_grammar::codes::Code;
use policy_grammar::names::{is_hidden, is_policy_file, is_test_file, looks_like_policy};
use policy_grammar::{Diagnostic, Holds, SourceFile, SourceMap, Span, holds};
use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};

/// Why nothing of a path can be used.
pub(super) fn nothing(path: &Path, found: &Found) -> String {
    let path = path.display();
    let count = |n: usize, why: &str| (n > 0).then(|| format!("{} {why}", output::count(n, "file", "files")));
    let left: Vec<String> = [
        count(found.ignored.len(), "in .gitignore"),
        count(
            found.excluded.len(),
            "in .policycignore or `exclude` of the project file",
        ),
    ]
    .into_iter()
    .flatten()
    .collect();
    let but = if left.is_empty() {
        String::new()
    } else {
        format!(", but for {}", left.join(" and "))
    };
    format!("`{path}` holds no policy files (*.yaml, *.yml, *.json){but}")
}

/// Warnings of policies that are not read because a `.gitignore` lists them. The file is checked out or made all the same,
/// and a server that reads the directory uses it.
pub(super) fn unused_policies(ignored: &[PathBuf], map: &mut SourceMap) -> Vec<Diagnostic> {
    let mut warnings = Vec::new();
    for path in ignored.iter().take(MAX_OPENED) {
        let name = display(path);
        // Data that nobody keeps in git may be large; of that only the beginning is looked at.
        let large = fs::metadata(path).is_ok_and(|m| !m.is_file() || m.len() > MAX_UNUSED_BYTES);
        let file = if large {
            match beginning(path) {
                Some(start) if looks_like_policy(&name, &start) => {
                    SourceFile::new(name, String::from_utf8_lossy(&start))
                }
                Some(_) | None => continue,
            }
        } else {
            // What cannot be read cannot be told to be anything else.
            let bytes = open(path, false).unwrap_or_default();
            let file = SourceFile::new(name, String::from_utf8_lossy(&bytes));
            if holds(&file) != Holds::Policies {
                continue;
            }
            file
        };
        let span = Span::new(map.add(file), 0, 0);
        warnings.push(
            Diagnostic::new(
                Code::IgnoredPolicy,
                span,
                "this file looks like a policy and is not read, because a .gitignore lists it",
            )
            .help(
                "name the file to use it, or list it in .policycignore to leave it out without this warning",
            ),
        );
    }
    warnings
}

/// Of a whole repository not every file is opened that is not used.
const MAX_OPENED: usize = 10_000;
/// Larger files that are not used are not read whole.
const MAX_UNUSED_BYTES: u64 = 256 << 10;
/// Paths that are listed at most.
const MAX_NAMED: usize = 10;

/// Names what was passed over although it looks like policies, which is an allow where a policy is missing; and says what
/// was not searched.
pub(crate) fn mention(found: &Found) {
    let mut more = 0;
    let mut named = 0;
    for path in found.passed.iter().take(MAX_OPENED) {
        let Some(why) = missed(path) else { continue };
        if named < MAX_NAMED {
            named += 1;
            let path = display(path);
            output::note(&format!("`{}` is passed over: {why}", output::shown(&path)));
        } else {
            more += 1;
        }
    }
    if more > 0 {
        let files = output::count(more, "more file that looks", "more files that look");
        output::note(&format!("{files} like policies passed over"));
    }
    if output::volume() == output::Volume::Verbose {
        listed("not entered, because it is hidden", &found.hidden);
    }
    listed("not entered, because a tool made it", &found.closed);
    listed("left out by .policycignore or the project file", &found.excluded);
    if found.cut || found.ignored.len() > MAX_OPENED {
        output::note(
            "directories that .gitignore lists hold too many files to look for policies in them; list them in .policycignore too",
        );
    }
    for path in &found.ignored {
        output::detail(&format!("`{}` is in a .gitignore", output::shown(&display(path))));
    }
}

/// One line about some paths.
fn listed(what: &str, paths: &[PathBuf]) {
    if paths.is_empty() {
        return;
    }
    let most = if output::volume() == output::Volume::Verbose {
        usize::MAX
    } else {
        MAX_NAMED
    };
    let names: Vec<String> = paths
        .iter()
        .take(most)
        .map(|path| format!("`{}`", display(path)))
        .collect();
    let more = match paths.len().saturating_sub(most) {
        0 => String::new(),
        n => format!(" and {n} more"),
    };
    output::summary(&format!("{what}: {}{more}", output::shown(&names.join(", "))));
}

/// The first bytes of a file, which say what it holds.
fn beginning(path: &Path) -> Option<Vec<u8>> {
    const START: u64 = 16 << 10;
    if !fs::metadata(path).ok()?.is_file() {
        return None;
    }
    let mut start = Vec::new();
    let file = fs::File::open(path).ok()?;
    file.take(START).read_to_end(&mut start).ok()?;
    Some(start)
}

/// Why something that looks like policies is not among them.
fn missed(path: &Path) -> Option<&'static str> {
    let name = path.file_name()?.to_string_lossy();
    let metadata = fs::metadata(path).ok()?;
    if metadata.is_dir() {
        let policies = fs::read_dir(path).ok()?.any(|entry| {
            entry.is_ok_and(|e| is_policy_file(&e.file_name().to_string_lossy()) && e.path().is_file())
        });
        return policies.then_some("links to directories are not followed");
    }
    if !metadata.is_file() {
        return None;
    }
    let start = beginning(path)?;
    if !looks_like_policy(&name, &start) {
        return None;
    }
    Some(if is_hidden(&name) {
        "its name starts with a dot"
    } else if is_test_file(&name) {
        "its name says that it holds tests (see `policyc test`), but it looks like a policy"
    } else {
        "its name does not end in .yaml, .yml or .json"
    })
}
