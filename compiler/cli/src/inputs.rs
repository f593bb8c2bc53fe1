//! Inputs: from paths on the command line to policy sources or a bundle.
//!
//! A path is a file, a directory (searched for `*.yaml`, `*.yml` and `*.json`, also in capitals, in sorted order; hidden
//! entries, test files `*_test.yaml` and links to directories are passed over), a bundle (told by its first bytes), or
//! `-` for standard input. What is passed over although it looks like policies is named on stderr. Test files that are
//! named, as shells do for `*.yaml`, are passed over with a note. Files that cannot be read or are not UTF-8 become
//! diagnostics, so that one bad file does not hide the problems of the others.

use crate::exit::{Exit, Shown};
use crate::{output, render};
use anyhow::{Context as _, bail};
use policy_bytecode::bundle;
use policy_compiler::{Compiled, Options};
use policy_grammar::codes::Code;
use policy_grammar::names::{ENDINGS, is_hidden, is_policy_file, is_test_file, looks_like_policy};
use policy_grammar::{Diagnostic, SourceFile, SourceMap, Span};
use std::collections::BTreeSet;
use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};

/// What the paths of a command hold.
pub(crate) enum Input {
    /// One bundle.
    Bundle {
        /// Its path, for messages.
        name: String,
        /// Its bytes.
        bytes: Vec<u8>,
    },
    /// Policy sources.
    Sources(Sources),
}

/// Policy files, and what was wrong with those that could not be used.
#[derive(Default)]
pub(crate) struct Sources {
    /// Every file. Those that the compiler may see stand first.
    pub(crate) map: SourceMap,
    /// How many of them the compiler may see.
    usable: usize,
    /// What was wrong with the others.
    pub(crate) problems: Vec<Diagnostic>,
}

/// Reads everything that `paths` name.
pub(crate) fn read(paths: &[PathBuf]) -> anyhow::Result<Input> {
    let mut files = Vec::new();
    let mut tests = Vec::new();
    for path in paths {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if is_test_file(&name) && path.is_file() {
            tests.push(path);
            continue;
        }
        let found = expand(path)?;
        mention(&found.passed);
        if found.files.is_empty() {
            bail!(
                "`{}` holds no policy files (*.yaml, *.yml, *.json)",
                path.display()
            );
        }
        files.extend(found.files);
    }
    match (tests.as_slice(), files.is_empty()) {
        ([first, ..], true) => bail!(
            "`{0}` holds tests, not policies; run them with `policyc test {0}`",
            first.display()
        ),
        ([], _) => {}
        (several, false) => output::note(&format!(
            "{} passed over (run with `policyc test`)",
            output::count(several.len(), "test file", "test files")
        )),
    }
    normalise(&mut files);

    let mut good = Vec::new();
    let mut bad = Vec::new();
    for path in &files {
        let name = display(path);
        match open(path, paths.contains(path)) {
            Ok(bytes) if bytes.starts_with(bundle::MAGIC) => {
                if files.len() > 1 {
                    bail!("`{name}` is a bundle: give it alone, not together with other files");
                }
                return Ok(Input::Bundle { name, bytes });
            }
            Ok(bytes) if std::str::from_utf8(&bytes).is_ok() => good.push((name, bytes)),
            Ok(bytes) => bad.push((name, Ok(bytes))),
            Err(error) => bad.push((name, Err(error))),
        }
    }
    let mut sources = Sources::default();
    for (name, bytes) in good {
        let loaded = policy_grammar::load_bytes(&mut sources.map, name, bytes);
        sources.problems.extend(loaded.diagnostic);
        sources.usable += 1;
    }
    for (name, content) in bad {
        match content {
            Ok(bytes) => {
                let loaded = policy_grammar::load_bytes(&mut sources.map, name, bytes);
                sources.problems.extend(loaded.diagnostic);
            }
            Err(error) => {
                let file = sources.map.add(SourceFile::new(name, ""));
                let cause = error.root_cause();
                sources.problems.push(Diagnostic::new(
                    Code::Unreadable,
                    Span::new(file, 0, 0),
                    format!("the file cannot be read: {cause}"),
                ));
            }
        }
    }
    Ok(Input::Sources(sources))
}

/// As [`read`], for commands that take no bundles.
pub(crate) fn read_sources(paths: &[PathBuf]) -> anyhow::Result<Sources> {
    match read(paths)? {
        Input::Sources(sources) => Ok(sources),
        Input::Bundle { name, .. } => {
            bail!(
                "`{name}` is a bundle; this command reads policy sources (see `policyc inspect` and `policyc verify`)"
            )
        }
    }
}

impl Sources {
    /// Texts that did not come from files, with their names.
    pub(crate) fn of_texts(texts: impl IntoIterator<Item = (String, String)>) -> Self {
        let mut sources = Self::default();
        for (name, text) in texts {
            sources.map.add(SourceFile::new(name, text));
            sources.usable += 1;
        }
        sources
    }

    /// Compiles the usable files. Fails with every diagnostic when one is an error.
    pub(crate) fn compile(&self, options: &Options) -> Result<Compiled, Vec<Diagnostic>> {
        let compiled = if self.problems.is_empty() {
            policy_compiler::compile(&self.map, options)
        } else {
            let mut usable = SourceMap::new();
            for (_, file) in self.map.iter().take(self.usable) {
                usable.add(std::sync::Arc::clone(file));
            }
            policy_compiler::compile(&usable, options)
        };
        match compiled {
            Ok(compiled) if self.problems.is_empty() => Ok(compiled),
            Ok(compiled) => Err([compiled.diagnostics, self.problems.clone()].concat()),
            Err(failed) => Err([failed.diagnostics, self.problems.clone()].concat()),
        }
    }

    /// As [`Sources::compile`], with the diagnostics shown on stderr when it fails.
    pub(crate) fn compile_or_show(&self, options: &Options) -> anyhow::Result<Compiled> {
        self.compile(options).map_err(|diagnostics| {
            output::stderr(&render::text(&self.map, &diagnostics));
            Shown(refusal(&diagnostics)).into()
        })
    }
}

/// The exit of a command whose policies do not compile.
pub(crate) fn refusal(diagnostics: &[Diagnostic]) -> Exit {
    if diagnostics.iter().any(|d| d.code == Code::Internal) {
        Exit::Internal
    } else {
        Exit::Usage
    }
}

/// What stands at a path. A pipe or a device may be named, as shells do for `<(…)`, but nobody means to read one that
/// just lies in a directory, and it may have no end.
pub(crate) fn open(path: &Path, named: bool) -> anyhow::Result<Vec<u8>> {
    if !named && fs::metadata(path).is_ok_and(|m| !m.is_file()) {
        bail!("it is no regular file");
    }
    output::read(path)
}

/// What a search found.
#[derive(Debug, Default)]
pub(crate) struct Found {
    /// What was looked for, sorted by path.
    pub(crate) files: Vec<PathBuf>,
    /// The rest but for hidden directories and links to nothing, sorted by path.
    pub(crate) passed: Vec<PathBuf>,
}

/// The files of one path: itself, or what a directory holds.
pub(crate) fn expand(path: &Path) -> anyhow::Result<Found> {
    let single = || Found {
        files: vec![path.to_owned()],
        passed: Vec::new(),
    };
    if path.as_os_str() == "-" {
        return Ok(single());
    }
    let metadata = fs::metadata(path).with_context(|| format!("cannot read `{}`", path.display()))?;
    if !metadata.is_dir() {
        return Ok(single());
    }
    walk(path, &is_policy_file)
}

/// Names what was passed over although it looks like policies: a policy that is silently not there is an allow.
fn mention(passed: &[PathBuf]) {
    const MAX_NAMED: usize = 10;
    /// Of a whole repository not every file is opened.
    const MAX_OPENED: usize = 10_000;
    let mut more = 0;
    let mut named = 0;
    for path in passed.iter().take(MAX_OPENED) {
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
}

/// Why something that looks like policies is not among them.
fn missed(path: &Path) -> Option<&'static str> {
    /// Bytes of a file that say what it holds.
    const START: u64 = 16 << 10;
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
    let mut start = Vec::new();
    fs::File::open(path)
        .and_then(|file| file.take(START).read_to_end(&mut start))
        .ok()?;
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

/// Searches `directory` for files whose name is wanted.
pub(crate) fn walk(directory: &Path, wanted: &dyn Fn(&str) -> bool) -> anyhow::Result<Found> {
    let mut found = Found::default();
    let mut open = vec![directory.to_owned()];
    while let Some(directory) = open.pop() {
        let entries = fs::read_dir(&directory)
            .with_context(|| format!("cannot list the directory `{}`", directory.display()))?;
        for entry in entries {
            let entry =
                entry.with_context(|| format!("cannot list the directory `{}`", directory.display()))?;
            let name = entry.file_name();
            let name = name.to_string_lossy();
            let kind = entry.file_type()?;
            if kind.is_dir() {
                if !is_hidden(&name) {
                    open.push(entry.path());
                }
            } else if wanted(&name) && !is_hidden(&name) && !entry.path().is_dir() {
                found.files.push(entry.path());
            } else if !(is_hidden(&name) && entry.path().is_dir()) {
                found.passed.push(entry.path());
            }
        }
    }
    found.files.sort();
    found.passed.sort();
    Ok(found)
}

/// The file beside `path` with this name and an ending of policy files, as they are written or in capitals.
pub(crate) fn beside(path: &Path, stem: &str) -> Option<PathBuf> {
    let endings = || ENDINGS.iter().map(|ending| (*ending).to_owned());
    endings()
        .chain(endings().map(|ending| ending.to_ascii_uppercase()))
        .map(|ending| path.with_file_name(format!("{stem}{ending}")))
        .find(|path| path.is_file())
}

/// A file that is named twice, or named and found, is read once; the order of arguments does not matter.
fn normalise(files: &mut Vec<PathBuf>) {
    if files.len() < 2 {
        return;
    }
    files.sort();
    let mut seen = BTreeSet::new();
    files.retain(|path| seen.insert(fs::canonicalize(path).unwrap_or_else(|_| path.clone())));
}

/// How a path is shown: as given, without a leading `./`.
pub(crate) fn display(path: &Path) -> String {
    if path.as_os_str() == "-" {
        return "<stdin>".to_owned();
    }
    path.strip_prefix("./").unwrap_or(path).display().to_string()
}
