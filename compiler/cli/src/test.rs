//! `policyc test`: test files beside policies.
//!
//! `file` reads a test file, `run` evaluates its tests, `coverage` counts what they reached, `report` shows the outcome.
//!
//! Two settings differ from `eval`, so that tests say what they mean. Derived fields are computed only where the context
//! does not give them (`derive: missing`), because a test states a cost or a finding to see what a rule does with it.
//! And every rule is evaluated, also after a deny, so that `matchedRules` lists everything that fires.

mod coverage;
mod file;
mod report;
mod run;

pub(crate) use file::{DECISIONS, ERROR_KEYS, EXPECT_KEYS, FILE_KEYS, TEST_KEYS};

use crate::engine::OptArgs;
use crate::exit::Exit;
use crate::{Host, inputs, output, project, render, walk};
use anyhow::{Context as _, bail};
use clap::ValueEnum;
use coverage::Coverage;
use notify::Watcher as _;
use policy_grammar::{Diagnostic, SourceMap, names};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::time::{Duration, Instant};

/// Run the tests of policies
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Directories are searched for *_test.yaml (*.yml, *.json); a policy file stands for the test file beside \
it. A test file:\n\n  \
policies: [quickstart.yaml]        # relative to this file; default: the file it is named after\n  \
contexts:\n    \
free: { llm: { model: gpt-4 }, team: { tier: free } }\n  \
tests:\n    \
- name: more than a dollar is denied\n      \
context: free                  # or contexts: [a, b], or a context written out\n      \
set: { llm.estimatedCost: 2 }  # also unset: [paths], namespace, derive\n      \
expect: { decision: deny, matchedRules: [deny-expensive-models] }\n\n\
`expect` takes decision, reason, matchedRules, matchedPolicies, modifications, metadata and errors; what it does not name \
is not compared. All rules are evaluated, and computed fields that the context gives are kept (derive: missing).\n\
Ends with 1 when a test fails or coverage is too low, with --strict also for warnings.\n\nExample:\n  policyc test policies/ --coverage=condition --min-coverage 90"
)]
pub(crate) struct Args {
    /// Test files, policy files or directories [default: `paths` of policyc.toml]
    #[arg(value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// Report which rules fired, or which conditions were seen true and false. Policies in the directories that no test file
    /// loads count as not covered
    #[arg(long, value_enum, value_name = "OF", num_args = 0..=1, require_equals = true, default_missing_value = "rule")]
    coverage: Option<Of>,
    /// Fail when less than this percentage is covered
    #[arg(long, value_name = "PERCENT", value_parser = clap::value_parser!(u8).range(0..=100))]
    min_coverage: Option<u8>,
    /// How to report
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
    /// Only tests whose name contains this text
    #[arg(long, value_name = "TEXT")]
    filter: Option<String>,
    /// Fail when a test file gives a warning: an unknown path, a context that no test uses
    #[arg(long)]
    strict: bool,
    /// Do not fail on warnings, whatever policyc.toml says
    #[arg(long, conflicts_with = "strict")]
    no_strict: bool,
    /// Run again whenever a file changes
    #[arg(long)]
    watch: bool,
    /// Prices of models, YAML or JSON: added to the built-in table, or instead of it with `replace: true`
    #[arg(long, value_name = "FILE")]
    prices: Option<PathBuf>,
    #[command(flatten)]
    optimise: OptArgs,
}

/// What coverage counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Of {
    /// Rules that fired
    Rule,
    /// Conditions that were true, and that were false
    Condition,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people
    Text,
    /// For machines
    Json,
    /// JUnit XML, for CI systems
    Junit,
}

/// One test file and what came of it.
pub(crate) struct FileReport {
    /// Path of the test file.
    pub(crate) name: String,
    /// What is probably not meant so.
    pub(crate) warnings: Option<Said>,
    /// Its tests, or what is wrong with it or its policies.
    pub(crate) outcome: Result<Vec<TestReport>, Said>,
}

/// What is to be said of a test file, or of its policies.
pub(crate) struct Said {
    /// Files that the diagnostics point into.
    pub(crate) map: SourceMap,
    /// What is wrong.
    pub(crate) diagnostics: Vec<Diagnostic>,
}

/// One test on one context.
pub(crate) struct TestReport {
    /// Its name, with the context in brackets where it has several.
    pub(crate) name: String,
    /// Line in the test file.
    pub(crate) line: u32,
    /// How long the evaluation took.
    pub(crate) time: Duration,
    /// Why it failed; empty when it passed.
    pub(crate) failures: Vec<Failure>,
}

/// One expectation that was not met.
pub(crate) struct Failure {
    /// The key of `expect` that was not met.
    pub(crate) what: &'static str,
    /// As in the test file.
    pub(crate) expected: serde_json::Value,
    /// What came out.
    pub(crate) actual: serde_json::Value,
}

/// Everything that one run found.
pub(crate) struct Report {
    pub(crate) files: Vec<FileReport>,
    pub(crate) coverage: Option<Coverage>,
    pub(crate) of: Option<Of>,
    pub(crate) min_coverage: Option<u8>,
    /// Whether a warning is a failure.
    pub(crate) strict: bool,
    pub(crate) time: Duration,
}

impl Report {
    /// Tests that passed, tests that failed, files that were not run.
    pub(crate) fn totals(&self) -> (usize, usize, usize) {
        let (mut passed, mut failed, mut refused) = (0, 0, 0);
        for file in &self.files {
            match &file.outcome {
                Ok(tests) => {
                    let bad = tests.iter().filter(|t| !t.failures.is_empty()).count();
                    failed += bad;
                    passed += tests.len() - bad;
                }
                Err(_) => refused += 1,
            }
        }
        (passed, failed, refused)
    }

    /// Whether coverage was asked to be higher than it is.
    pub(crate) fn uncovered(&self) -> bool {
        match (&self.coverage, self.of, self.min_coverage) {
            (Some(coverage), Some(of), Some(minimum)) => coverage.percent(of) < f64::from(minimum),
            _ => false,
        }
    }

    fn exit(&self) -> Exit {
        let refusals = self.files.iter().filter_map(|f| f.outcome.as_ref().err());
        if let Some(worst) = refusals.map(|r| inputs::refusal(&r.diagnostics)).max() {
            return worst;
        }
        match self.totals() {
            _ if self.strict && self.files.iter().any(|file| file.warnings.is_some()) => Exit::No,
            (_, 0, _) if !self.uncovered() => Exit::Ok,
            _ => Exit::No,
        }
    }
}

pub(crate) fn run(args: Args, _host: Host) -> anyhow::Result<Exit> {
    if args.watch {
        return watch(&args);
    }
    once(&args)
}

fn once(args: &Args) -> anyhow::Result<Exit> {
    let start = Instant::now();
    let paths = project::paths(&args.paths)?;
    let files = discover(&paths)?;
    // A part of the tests does not cover what all of them do.
    let of_project = project::get().and_then(|project| project.min_coverage);
    let min_coverage = args.min_coverage.or(of_project.filter(|_| args.filter.is_none()));
    let of = args.coverage.or(min_coverage.map(|_| Of::Rule));
    let settings = run::Settings {
        options: policy_compiler::Options {
            opt_level: args.optimise.level,
            ..policy_compiler::Options::default()
        },
        prices: crate::engine::prices_or_project(args.prices.as_deref())?,
        filter: args.filter.clone(),
    };
    let mut coverage = of.map(|_| Coverage::default());
    let mut files = files
        .iter()
        .map(|path| run::file(path, &settings, coverage.as_mut()))
        .collect::<anyhow::Result<Vec<_>>>()?;
    // Which policies a refused file is for is not known, and so is what is covered.
    if files.iter().any(|file| file.outcome.is_err()) {
        coverage = None;
    }
    if let Some(coverage) = &mut coverage {
        for directory in paths.iter().filter(|path| path.is_dir()) {
            files.extend(run::untested(directory, &settings, coverage)?);
        }
    }
    let report = Report {
        files,
        coverage,
        of,
        min_coverage,
        strict: project::strict(args.strict, args.no_strict),
        time: start.elapsed(),
    };
    if args.filter.is_some() && report.totals() == (0, 0, 0) {
        bail!("no test has a name that contains the text of --filter");
    }
    for file in &report.files {
        for said in file.warnings.iter().chain(file.outcome.as_ref().err()) {
            output::stderr(&render::text(&said.map, &said.diagnostics));
        }
    }
    match args.format {
        Format::Text => report::text(&report)?,
        Format::Json => report::json(&report)?,
        Format::Junit => report::junit(&report)?,
    }
    Ok(report.exit())
}

/// The test files of the paths, sorted and each once.
fn discover(paths: &[PathBuf]) -> anyhow::Result<Vec<PathBuf>> {
    let mut files = BTreeSet::new();
    for path in paths {
        let metadata =
            std::fs::metadata(path).with_context(|| format!("cannot read `{}`", path.display()))?;
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if metadata.is_dir() {
            let searched = walk::walk(path, &names::is_test_file)?;
            let left_out = searched.ignored.len() + searched.excluded.len();
            if left_out > 0 {
                output::summary(&format!(
                    "{} in .gitignore, .policycignore or `exclude` of the project file not run",
                    output::count(left_out, "test file or directory", "test files or directories")
                ));
            }
            let found = searched.files;
            if found.is_empty() {
                bail!(
                    "`{}` holds no test files (*_test.yaml, *_test.yml, *_test.json)",
                    path.display()
                );
            }
            files.extend(found);
        } else if names::is_test_file(&name) {
            files.insert(path.clone());
        } else if let Some(found) = test_of(path, &name) {
            files.insert(found);
        } else {
            bail!(
                "`{}` is not a test file, and there is none beside it: its tests would stand in `{}_test.yaml`",
                path.display(),
                names::stem(&name).unwrap_or(&name)
            );
        }
    }
    Ok(files.into_iter().collect())
}

/// The test file beside a policy file.
fn test_of(path: &Path, name: &str) -> Option<PathBuf> {
    inputs::beside(path, &format!("{}_test", names::stem(name)?))
}

/// Runs, waits for a change, runs again, until the program is ended.
fn watch(args: &Args) -> anyhow::Result<Exit> {
    let (sender, events) = mpsc::channel();
    let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        // The receiver is gone only when the program ends.
        if event.is_ok_and(|e| !e.kind.is_access()) {
            sender.send(()).unwrap_or(());
        }
    })
    .context("cannot watch for changes")?;
    let mut paths = project::paths(&args.paths)?;
    paths.extend(args.prices.clone().or_else(|| project::get()?.prices.clone()));
    for path in &paths {
        // The directory, because editors replace files.
        let directory = if path.is_dir() {
            path.as_path()
        } else {
            path.parent().unwrap_or(path)
        };
        let directory = if directory.as_os_str().is_empty() {
            Path::new(".")
        } else {
            directory
        };
        watcher
            .watch(directory, notify::RecursiveMode::Recursive)
            .with_context(|| format!("cannot watch `{}`", directory.display()))?;
    }
    loop {
        if let Err(error) = once(args) {
            output::error(&output::chain(&error));
        }
        output::summary("waiting for changes (Ctrl-C ends)");
        if events.recv().is_err() {
            return Ok(Exit::Ok);
        }
        // One save is several events.
        while events.recv_timeout(Duration::from_millis(200)).is_ok() {}
    }
}
