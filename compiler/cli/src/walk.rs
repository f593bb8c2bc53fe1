//! The search of a directory for policies or tests, as all commands make it.
//!
//! Not entered are hidden directories and those that tools make (`node_modules`; `target` and `vendor` where what makes
//! them stands beside them or has left its mark in them; others of these names are entered). `.policycignore` files, from
//! the root of the git repository down, and `exclude` of the project file leave files out: they are about policies, so
//! whoever writes them means it. `.gitignore` is not: what it lists is left out as well, but kept apart, so that
//! a policy among it is not passed over in silence. Directories named on the command line are always entered.

use crate::{output, project};
use anyhow::{Context as _, anyhow};
use ignore::Match;
use ignore::gitignore::{Gitignore, GitignoreBuilder};
use policy_grammar::names::is_hidden;
use std::fs;
use std::path::{Path, PathBuf};
use std::rc::Rc;

/// The file that leaves things out for this program only. Its syntax is that of `.gitignore`.
pub(crate) const IGNORE_FILE: &str = ".policycignore";

/// What a search found.
#[derive(Debug, Default)]
pub(crate) struct Found {
    /// What was looked for, sorted by path.
    pub(crate) files: Vec<PathBuf>,
    /// The rest but for hidden directories and links to nothing, sorted by path.
    pub(crate) passed: Vec<PathBuf>,
    /// What was looked for and is listed in a `.gitignore`, sorted by path.
    pub(crate) ignored: Vec<PathBuf>,
    /// Files and directories that a `.policycignore` or the project file leaves out, sorted by path.
    pub(crate) excluded: Vec<PathBuf>,
    /// Directories that were not entered because a tool made them, sorted by path.
    pub(crate) closed: Vec<PathBuf>,
    /// Directories that were not entered because they are hidden, sorted by path.
    pub(crate) hidden: Vec<PathBuf>,
    /// Whether there is more below ignored directories than was looked at.
    pub(crate) cut: bool,
}

/// Entries of ignored directories that are looked at: what tools make may be large.
const MAX_IGNORED: usize = 20_000;

/// A directory to search.
struct Open {
    path: PathBuf,
    /// The same without links, which patterns are compared with.
    real: PathBuf,
    rules: Option<Rc<Rules>>,
    ignored: bool,
}

/// The patterns that hold in a directory.
struct Rules {
    parent: Option<Rc<Self>>,
    git: Option<Gitignore>,
    own: Option<Gitignore>,
}

/// What patterns say of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Keep,
    Git,
    Own,
}

impl Rules {
    /// The patterns of one directory, after those of the directories above it.
    fn read(directory: &Path, parent: Option<Rc<Self>>, git: bool) -> anyhow::Result<Option<Rc<Self>>> {
        let git = git
            .then(|| {
                patterns(directory, ".gitignore").map(|(found, problem)| {
                    // git reads on as well. Less is left out then, which is the safe side.
                    if let Some(problem) = problem {
                        output::detail(&format!(
                            "in a .gitignore: {}",
                            output::shown(&problem.to_string())
                        ));
                    }
                    found
                })
            })
            .flatten();
        let own = match patterns(directory, IGNORE_FILE) {
            Some((_, Some(problem))) => {
                return Err(
                    anyhow!(problem).context(format!("in `{}`", directory.join(IGNORE_FILE).display()))
                );
            }
            Some((found, None)) => Some(found),
            None => None,
        };
        if git.is_none() && own.is_none() {
            return Ok(parent);
        }
        Ok(Some(Rc::new(Self { parent, git, own })))
    }

    /// The nearest file that speaks of an entry decides; this program's own before those of git.
    fn verdict(rules: Option<&Rc<Self>>, real: &Path, directory: bool) -> Verdict {
        let chain = || std::iter::successors(rules, |rules| rules.parent.as_ref());
        let ask = |one: fn(&Self) -> Option<&Gitignore>| {
            chain()
                .filter_map(|rules| one(rules))
                .map(|patterns| patterns.matched(real, directory))
                .find(|found| !found.is_none())
                .map(|found| found.is_ignore())
        };
        let exclude = project::get().and_then(|project| project.exclude.as_ref());
        // Patterns speak of what is below them only.
        let excluded = |patterns: &Gitignore| {
            real.starts_with(patterns.path()) && matches!(patterns.matched(real, directory), Match::Ignore(_))
        };
        if exclude.is_some_and(excluded) {
            return Verdict::Own;
        }
        match ask(|rules| rules.own.as_ref()) {
            Some(true) => Verdict::Own,
            Some(false) => Verdict::Keep,
            None if ask(|rules| rules.git.as_ref()) == Some(true) => Verdict::Git,
            None => Verdict::Keep,
        }
    }
}

/// The patterns of a file, and what is wrong with some of them; `None` where there is no such file.
fn patterns(directory: &Path, name: &str) -> Option<(Gitignore, Option<ignore::Error>)> {
    let path = directory.join(name);
    if !path.is_file() {
        return None;
    }
    let mut builder = GitignoreBuilder::new(directory);
    let problem = builder.add(&path);
    match builder.build() {
        Ok(found) => Some((found, problem)),
        Err(error) => Some((Gitignore::empty(), Some(error))),
    }
}

/// The root of the git repository that a directory is in.
pub(crate) fn git_root(directory: &Path) -> Option<&Path> {
    directory.ancestors().find(|above| above.join(".git").exists())
}

/// Searches `directory` for files whose name is wanted.
pub(crate) fn walk(directory: &Path, wanted: &dyn Fn(&str) -> bool) -> anyhow::Result<Found> {
    let real = fs::canonicalize(directory)
        .with_context(|| format!("cannot list the directory `{}`", directory.display()))?;
    let root = git_root(&real).map(Path::to_owned);
    let git = root.is_some();
    let mut rules = None;
    if let Some(root) = &root {
        let mut above: Vec<&Path> = real
            .ancestors()
            .skip(1)
            .take_while(|a| a.starts_with(root))
            .collect();
        above.reverse();
        for directory in above {
            rules = Rules::read(directory, rules, git)?;
        }
    }
    let mut found = Found::default();
    let mut looked = 0usize;
    let mut open = vec![Open {
        path: directory.to_owned(),
        real,
        rules,
        ignored: false,
    }];
    while let Some(at) = open.pop() {
        let list = || format!("cannot list the directory `{}`", at.path.display());
        let rules = Rules::read(&at.real, at.rules.clone(), git)?;
        for entry in fs::read_dir(&at.path).with_context(list)? {
            let entry = entry.with_context(list)?;
            let name = entry.file_name();
            let name = name.to_string_lossy();
            let (path, real) = (entry.path(), at.real.join(entry.file_name()));
            let directory = entry.file_type()?.is_dir();
            if directory && is_hidden(&name) {
                found.hidden.push(path);
                continue;
            }
            if at.ignored {
                looked += 1;
                if looked > MAX_IGNORED {
                    found.cut = true;
                    break;
                }
            }
            let verdict = Rules::verdict(rules.as_ref(), &real, directory);
            let ignored = at.ignored || verdict == Verdict::Git;
            if verdict == Verdict::Own {
                if directory || wanted(&name) {
                    found.excluded.push(path);
                }
            } else if directory {
                if is_made_by_a_tool(&at.real, &name) {
                    found.closed.push(path);
                } else {
                    open.push(Open {
                        path,
                        real,
                        rules: rules.clone(),
                        ignored,
                    });
                }
            } else if wanted(&name) && !is_hidden(&name) && !path.is_dir() {
                if ignored {
                    found.ignored.push(path);
                } else {
                    found.files.push(path);
                }
            } else if !(ignored || is_hidden(&name) && path.is_dir()) {
                found.passed.push(path);
            }
        }
    }
    for list in [
        &mut found.files,
        &mut found.passed,
        &mut found.ignored,
        &mut found.excluded,
        &mut found.closed,
        &mut found.hidden,
    ] {
        list.sort();
    }
    Ok(found)
}

/// Whether a tool made the directory `name` of `parent`, and policies in it are copies of other people's.
fn is_made_by_a_tool(parent: &Path, name: &str) -> bool {
    let (beside, inside): (&[&str], &[&str]) = match name {
        "node_modules" => return true,
        "target" => (
            &[
                "Cargo.toml",
                "pom.xml",
                "build.sbt",
                "project.clj",
                "dbt_project.yml",
            ],
            &["CACHEDIR.TAG", ".rustc_info.json"],
        ),
        "vendor" => (
            &["go.mod", "go.work", "composer.json", "Gemfile", "Cargo.toml"],
            &["modules.txt", "autoload.php"],
        ),
        _ => return false,
    };
    beside.iter().any(|file| parent.join(file).is_file())
        || inside.iter().any(|file| parent.join(name).join(file).is_file())
}
