//! Inputs: from paths on the command line to policy sources or a bundle.
//!
//! A path is a file, a directory (searched for `*.yaml`, `*.yml` and `*.json`, also in capitals, in sorted order; hidden
//! entries, test files `*_test.yaml` and links to directories are passed over, see `walk` for what else), a bundle (told
//! by its first bytes), or `-` for standard input. Test files that are named, as shells do for `*.yaml`, are passed over
//! with a note. Files that cannot be read or are not UTF-8 become diagnostics, so that one bad file does not hide the
//! problems of the others.
//!
//! **Nothing that may be a policy is passed over in silence.** A file that a search found is skipped only when it certainly
//! holds something else; what looks like policies but for its name is named on stderr; a policy that `.gitignore` lists is
//! a warning. A path of which nothing is left is an error. A file that is named on the command line is always used.

mod found;
mod review;

use crate::exit::Shown;
use crate::walk::{Found, walk};
use crate::{output, render};
use anyhow::{Context as _, bail};
pub(crate) use found::mention;
use found::{nothing, unused_policies};
use policy_bytecode::bundle;
use policy_compiler::{Compiled, Options};
use policy_grammar::codes::Code;
use policy_grammar::names::{ENDINGS, is_policy_file, is_test_file};
use policy_grammar::{Diagnostic, FileId, Holds, Limits, SourceFile, SourceMap, Span, holds};
pub(crate) use review::{By, Review, refusal};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

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
    /// Every file. Those that the compiler may see stand first, those that are not used last.
    pub(crate) map: SourceMap,
    /// How many of them the compiler may see.
    usable: usize,
    /// Those among them that no path led to, but an `import`.
    imported: Range<u32>,
    /// What was wrong with others.
    pub(crate) problems: Vec<Diagnostic>,
    /// Warnings of files that are not used. The files stand last.
    passed: Vec<Diagnostic>,
}

/// A file to read.
struct Item {
    path: PathBuf,
    /// Whether it was named, so that it is used whatever it holds.
    named: bool,
    /// Which of the paths led to it.
    from: usize,
}

/// Reads everything that `paths` name.
pub(crate) fn read(paths: &[PathBuf]) -> anyhow::Result<Input> {
    let mut items = Vec::new();
    let mut tests = Vec::new();
    let mut ignored = Vec::new();
    for (from, path) in paths.iter().enumerate() {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if is_test_file(&name) && path.is_file() {
            tests.push(path);
            continue;
        }
        let named = path.as_os_str() == "-" || !path.is_dir();
        let found = expand(path)?;
        mention(&found);
        if found.files.is_empty() {
            bail!("{}", nothing(path, &found));
        }
        ignored.extend(found.ignored);
        items.extend(found.files.into_iter().map(|path| Item { path, named, from }));
    }
    match (tests.as_slice(), items.is_empty()) {
        ([first, ..], true) => bail!(
            "`{0}` holds tests, not policies; run them with `policyc test {0}`",
            first.display()
        ),
        ([], _) => {}
        (several, false) => output::summary(&format!(
            "{} passed over (run with `policyc test`)",
            output::count(several.len(), "test file", "test files")
        )),
    }
    load(items, &ignored, paths)
}

/// Reads the policies among files that a search found; none is no error.
pub(crate) fn read_found(files: Vec<PathBuf>) -> anyhow::Result<Input> {
    let item = |path| Item {
        path,
        named: false,
        from: 0,
    };
    load(files.into_iter().map(item).collect(), &[], &[])
}

fn load(items: Vec<Item>, ignored: &[PathBuf], paths: &[PathBuf]) -> anyhow::Result<Input> {
    let items = normalise(items);
    let mut good = Vec::new();
    let mut bad = Vec::new();
    let mut skipped = Vec::new();
    let mut used = BTreeSet::new();
    for item in &items {
        let name = display(&item.path);
        let mut keep = true;
        match open(&item.path, item.named) {
            Ok(bytes) if bytes.starts_with(bundle::MAGIC) => {
                if items.len() > 1 {
                    bail!("`{name}` is a bundle: give it alone, not together with other files");
                }
                return Ok(Input::Bundle { name, bytes });
            }
            Ok(bytes) => match String::from_utf8(bytes) {
                Ok(text) => {
                    let file = SourceFile::new(name.as_str(), text);
                    match holds(&file) {
                        Holds::Other(what) if !item.named => {
                            keep = false;
                            skipped.push(format!("`{name}` is no policy: {what}"));
                        }
                        Holds::Other(_) | Holds::Policies => good.push(file),
                    }
                }
                Err(error) => bad.push((name, Ok(error.into_bytes()))),
            },
            Err(error) => bad.push((name, Err(error))),
        }
        if keep {
            used.insert(item.from);
        }
    }
    for line in &skipped {
        output::detail(&output::shown(line));
    }
    if let Some(empty) = items
        .iter()
        .map(|item| item.from)
        .find(|from| !used.contains(from))
        && let Some(path) = paths.get(empty)
    {
        bail!(
            "`{}` holds no policies: {} of another kind (-v lists them)",
            path.display(),
            output::count(
                items.iter().filter(|item| item.from == empty).count(),
                "file is",
                "files are"
            )
        );
    }
    match skipped.len() {
        0 => {}
        1 => output::summary("skipped 1 file that is no policy (-v lists it)"),
        n => output::summary(&format!("skipped {n} files that are no policies (-v lists them)")),
    }
    let mut sources = Sources::default();
    for file in good {
        sources.map.add(file);
        sources.usable += 1;
    }
    let named = u32::try_from(sources.usable).unwrap_or(u32::MAX);
    sources.usable += follow_imports(&mut sources.map, FileId(0));
    sources.imported = named..u32::try_from(sources.usable).unwrap_or(u32::MAX);
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
    sources.passed = unused_policies(ignored, &mut sources.map);
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

/// What `kind` says of a document that can be imported.
const DEFINITIONS: &str = "definitions";

/// Adds the files that the files from this one on import, and those that these import; says how many. One that cannot be
/// read is left out: the import of it is an error, at its place.
pub(crate) fn follow_imports(map: &mut SourceMap, from: FileId) -> usize {
    let (mut added, mut next) = (0, from);
    while map.file(next).is_some() {
        for name in policy_grammar::imports(map, next) {
            if map.named(&name).is_some() {
                continue;
            }
            // What is large, or no file, is not read: a definition is neither.
            let path = Path::new(&name);
            let fits = fs::metadata(path)
                .is_ok_and(|file| file.is_file() && file.len() <= Limits::default().max_bytes as u64);
            if fits && let Ok(text) = fs::read_to_string(path) {
                // A policy may name any file. Of one that defines nothing no line is shown, in whatever message.
                let text = if text.contains(DEFINITIONS) {
                    text
                } else {
                    String::new()
                };
                map.add(SourceFile::new(name, text));
                added += 1;
            }
        }
        next = FileId(next.0 + 1);
    }
    added
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

    /// With other texts in some files, by their number.
    pub(crate) fn with(self, texts: &BTreeMap<usize, String>) -> Self {
        let mut map = SourceMap::new();
        for (number, (_, file)) in self.map.iter().enumerate() {
            match texts.get(&number) {
                Some(text) => map.add(SourceFile::new(file.name(), text.as_str())),
                None => map.add(Arc::clone(file)),
            };
        }
        Self { map, ..self }
    }

    /// The files that were read. Others in the map are only there to be pointed at.
    pub(crate) fn used(&self) -> impl Iterator<Item = (FileId, &Arc<SourceFile>)> {
        let read = self.map.iter().count() - self.passed.len();
        self.map.iter().take(read).filter(|(id, _)| self.is_used(*id))
    }

    /// Whether a path led to a file, and not only an `import`.
    pub(crate) fn is_used(&self, file: FileId) -> bool {
        !self.imported.contains(&file.0)
    }

    /// How many files were read, those included that could not be used.
    pub(crate) fn files(&self) -> usize {
        self.map.iter().count() - self.passed.len() - self.imported.len()
    }

    /// Compiles the usable files. Fails with every diagnostic when one is an error.
    pub(crate) fn compile(&self, options: &Options) -> Result<Compiled, Vec<Diagnostic>> {
        let (compiled, review) = self.review(options);
        let mut compiled = compiled.ok_or_else(|| review.diagnostics.clone())?;
        compiled.diagnostics = review.diagnostics;
        Ok(compiled)
    }

    /// As [`Sources::compile`], with what comments and the project file make of the diagnostics. Nothing is made when one
    /// is an error.
    pub(crate) fn review(&self, options: &Options) -> (Option<Compiled>, Review) {
        let compiled = if self.usable == self.map.iter().count() {
            policy_compiler::compile(&self.map, options)
        } else {
            let mut usable = SourceMap::new();
            for (_, file) in self.map.iter().take(self.usable) {
                usable.add(Arc::clone(file));
            }
            policy_compiler::compile(&usable, options)
        };
        let (compiled, mut diagnostics) = match compiled {
            Ok(mut compiled) => {
                let diagnostics = std::mem::take(&mut compiled.diagnostics);
                (Some(compiled), diagnostics)
            }
            Err(failed) => (None, failed.diagnostics),
        };
        diagnostics.extend(self.problems.iter().chain(&self.passed).cloned());
        let review = Review::of(&self.map, diagnostics, options);
        let failed = review.diagnostics.iter().any(Diagnostic::is_error);
        (compiled.filter(|_| !failed), review)
    }

    /// Shows the warnings of files that are not used, for commands that show no other warnings.
    pub(crate) fn mention_unused(&self) {
        output::stderr(&render::text(&self.map, &self.passed));
    }

    /// As [`Sources::compile`], with the diagnostics shown on stderr when it fails.
    pub(crate) fn compile_or_show(&self, options: &Options) -> anyhow::Result<Compiled> {
        let compiled = self.compile(options).map_err(|diagnostics| {
            output::stderr(&render::text(&self.map, &diagnostics));
            Shown(refusal(&diagnostics))
        })?;
        self.mention_unused();
        Ok(compiled)
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

/// The files of one path: itself, or what a directory holds.
pub(crate) fn expand(path: &Path) -> anyhow::Result<Found> {
    let single = || Found {
        files: vec![path.to_owned()],
        ..Found::default()
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

/// The file beside `path` with this name and an ending of policy files, as they are written or in capitals.
pub(crate) fn beside(path: &Path, stem: &str) -> Option<PathBuf> {
    let endings = || ENDINGS.iter().map(|ending| (*ending).to_owned());
    endings()
        .chain(endings().map(|ending| ending.to_ascii_uppercase()))
        .map(|ending| path.with_file_name(format!("{stem}{ending}")))
        .find(|path| path.is_file())
}

/// A file that is named twice, or named and found, is read once, as a named one; the order of arguments does not matter.
fn normalise(mut items: Vec<Item>) -> Vec<Item> {
    if items.len() < 2 {
        return items;
    }
    items.sort_by(|a, b| a.path.cmp(&b.path));
    let mut seen = BTreeMap::new();
    let mut kept: Vec<Item> = Vec::new();
    for item in items {
        let real = fs::canonicalize(&item.path).unwrap_or_else(|_| item.path.clone());
        match seen.get(&real).and_then(|at: &usize| kept.get_mut(*at)) {
            Some(first) => first.named |= item.named,
            None => {
                seen.insert(real, kept.len());
                kept.push(item);
            }
        }
    }
    kept
}

/// How a path is shown: as given, without a leading `./`.
pub(crate) fn display(path: &Path) -> String {
    if path.as_os_str() == "-" {
        return "<stdin>".to_owned();
    }
    path.strip_prefix("./").unwrap_or(path).display().to_string()
}
