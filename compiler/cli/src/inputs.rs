//! Inputs: from paths on the command line to policy sources or a bundle.
//!
//! A path is a file, a directory (searched for `*.yaml`, `*.yml` and `*.json`, in sorted order; hidden entries, test
//! files `*_test.yaml` and links to directories are passed over), a bundle (told by its first bytes), or `-` for
//! standard input. Test files that are named, as shells do for `*.yaml`, are passed over with a note. Files that cannot be read or are not UTF-8 become diagnostics, so that one bad file does not hide
//! the problems of the others.

use crate::exit::{Exit, Shown};
use crate::{output, render};
use anyhow::{Context as _, bail};
use policy_bytecode::bundle;
use policy_compiler::{Compiled, Options};
use policy_grammar::codes::Code;
use policy_grammar::names::{is_hidden, is_policy_file, is_test_file};
use policy_grammar::{Diagnostic, SourceFile, SourceMap, Span};
use std::collections::BTreeSet;
use std::fs;
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
        if found.is_empty() {
            bail!(
                "`{}` holds no policy files (*.yaml, *.yml, *.json)",
                path.display()
            );
        }
        files.extend(found);
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
        match output::read(path) {
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

/// The files of one path: itself, or what a directory holds.
fn expand(path: &Path) -> anyhow::Result<Vec<PathBuf>> {
    if path.as_os_str() == "-" {
        return Ok(vec![path.to_owned()]);
    }
    let metadata = fs::metadata(path).with_context(|| format!("cannot read `{}`", path.display()))?;
    if !metadata.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    walk(path, &is_policy_file)
}

/// Files below `directory` whose name is wanted, sorted by path.
pub(crate) fn walk(directory: &Path, wanted: &dyn Fn(&str) -> bool) -> anyhow::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    let mut open = vec![directory.to_owned()];
    while let Some(directory) = open.pop() {
        let entries = fs::read_dir(&directory)
            .with_context(|| format!("cannot list the directory `{}`", directory.display()))?;
        for entry in entries {
            let entry =
                entry.with_context(|| format!("cannot list the directory `{}`", directory.display()))?;
            let name = entry.file_name();
            let name = name.to_string_lossy();
            if is_hidden(&name) {
                continue;
            }
            let kind = entry.file_type()?;
            if kind.is_dir() {
                open.push(entry.path());
            } else if wanted(&name) && !entry.path().is_dir() {
                files.push(entry.path());
            }
        }
    }
    files.sort();
    Ok(files)
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
