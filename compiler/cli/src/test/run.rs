//! Running test files: compile their policies, evaluate each test, compare.

use super::coverage::Coverage;
use super::file::{Expect, Test, TestFile, body, exact, parse};
use super::{Failure, FileReport, Said, TestReport};
use crate::engine::Derive;
use crate::inputs::{self, Input, Sources};
use anyhow::Context as _;
use policy_compiler::Compiled;
use policy_grammar::codes::Code;
use policy_grammar::source::Spanned;
use policy_grammar::{Diagnostic, SourceMap, Span, names};
use policy_runtime::primitives::prices::PriceTable;
use policy_runtime::{Decision, EvaluateOptions, Mode, Policies, PolicyEngine};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

/// What all test files share.
pub(super) struct Settings {
    pub(super) options: policy_compiler::Options,
    pub(super) prices: Option<Arc<PriceTable>>,
    pub(super) filter: Option<String>,
}

/// Runs one test file.
pub(super) fn file(
    path: &Path,
    settings: &Settings,
    coverage: Option<&mut Coverage>,
) -> anyhow::Result<FileReport> {
    let name = inputs::display(path);
    let mut map = SourceMap::new();
    let bytes = inputs::open(path, false).with_context(|| format!("cannot read `{name}`"))?;
    let loaded = policy_grammar::load_bytes(&mut map, name.as_str(), bytes);
    inputs::follow_imports(&mut map, loaded.file);
    let parsed = match loaded.diagnostic {
        Some(diagnostic) => Err(vec![diagnostic]),
        None => parse(&map, loaded.file),
    };
    let parsed = parsed.and_then(|file| policy_paths(path, &map, &file).map(|paths| (file, paths)));
    let (file, paths) = match parsed {
        Ok(parsed) => parsed,
        Err(diagnostics) => {
            return Ok(FileReport {
                name,
                warnings: None,
                outcome: Err(Said { map, diagnostics }),
            });
        }
    };
    let sources = inputs::read_sources(&paths).with_context(|| format!("in `{name}`"))?;
    sources.mention_unused();
    let compiled = match sources.compile(&settings.options) {
        Ok(compiled) => compiled,
        Err(diagnostics) => {
            let refusal = Said {
                map: sources.map,
                diagnostics,
            };
            return Ok(FileReport {
                name,
                warnings: None,
                outcome: Err(refusal),
            });
        }
    };
    let mut engines = BTreeMap::new();
    let mut tests = Vec::new();
    let mut seen = Vec::new();
    let wanted = |test: &&Test| {
        settings
            .filter
            .as_deref()
            .is_none_or(|f| test.name.value.contains(f))
    };
    for test in file.tests.iter().filter(wanted) {
        let engine = engine(&mut engines, test.derive, &compiled, settings)?;
        tests.push(one(test, engine, &map, coverage.is_some().then_some(&mut seen)));
    }
    if let Some(coverage) = coverage {
        coverage.add(&compiled, &seen);
        coverage.loaded.extend(canonical(&sources));
    }
    let warnings = (!file.warnings.is_empty()).then_some(Said {
        map,
        diagnostics: file.warnings,
    });
    Ok(FileReport {
        name,
        warnings,
        outcome: Ok(tests),
    })
}

/// The files themselves, however they are named.
fn canonical(sources: &Sources) -> impl Iterator<Item = PathBuf> {
    sources.used().map(|(_, file)| {
        let path = Path::new(file.name());
        path.canonicalize().unwrap_or_else(|_| path.to_owned())
    })
}

/// Counts the policies in this directory that no test file loads: nothing of them is covered.
pub(super) fn untested(
    directory: &Path,
    settings: &Settings,
    coverage: &mut Coverage,
) -> anyhow::Result<Option<FileReport>> {
    let mut paths = inputs::expand(directory)?.files;
    paths.retain(|path| {
        path.canonicalize()
            .is_ok_and(|path| !coverage.loaded.contains(&path))
    });
    if paths.is_empty() {
        return Ok(None);
    }
    let sources = match inputs::read_found(paths)? {
        Input::Sources(sources) if sources.files() == 0 => return Ok(None),
        Input::Sources(sources) => sources,
        // Made from policies that are counted where they stand.
        Input::Bundle { .. } => return Ok(None),
    };
    match sources.compile(&settings.options) {
        Ok(compiled) => {
            coverage.add(&compiled, &[]);
            coverage.loaded.extend(canonical(&sources));
            // Definitions alone decide nothing.
            let decides = |id| !policy_grammar::parse_source(&sources.map, id).policies.is_empty();
            let untested = sources.used().filter(|(id, _)| decides(*id));
            coverage
                .untested
                .extend(untested.map(|(_, file)| file.name().to_owned()));
            Ok(None)
        }
        Err(diagnostics) => Ok(Some(FileReport {
            name: inputs::display(directory),
            warnings: None,
            outcome: Err(Said {
                map: sources.map,
                diagnostics,
            }),
        })),
    }
}

/// Where the policies of a test file are. Each path must exist.
fn policy_paths(path: &Path, map: &SourceMap, file: &TestFile) -> Result<Vec<PathBuf>, Vec<Diagnostic>> {
    let Some(listed) = &file.policies else {
        return beside(path).map(|found| vec![found]).ok_or_else(|| {
            let start = map
                .iter()
                .next()
                .map_or(Span::new(policy_grammar::FileId(0), 0, 0), |(id, _)| {
                    Span::new(id, 0, 0)
                });
            vec![
                Diagnostic::new(Code::MissingKey, start, "no policy stands beside this test file")
                    .help("list the policies under `policies`, relative to this file"),
            ]
        });
    };
    let directory = path.parent().unwrap_or(Path::new(""));
    let mut paths = Vec::new();
    let mut problems = Vec::new();
    for Spanned { value, span } in listed {
        // `.` is the directory itself, and has no part in the names of its files.
        let path: PathBuf = directory.join(value).components().collect();
        let path = match path.as_os_str().is_empty() {
            true => PathBuf::from("."),
            false => path,
        };
        if path.exists() {
            paths.push(path);
        } else {
            let diagnostic = Diagnostic::new(
                Code::Unreadable,
                *span,
                format!("there is no file `{}`", path.display()),
            );
            problems.push(match near_file(&path) {
                Some(name) => {
                    let near = Path::new(value).with_file_name(name);
                    diagnostic.help(format!("did you mean `{}`?", near.display()))
                }
                None => diagnostic,
            });
        }
    }
    if let (true, true, Some((id, _))) = (paths.is_empty(), problems.is_empty(), map.iter().next()) {
        problems.push(Diagnostic::new(
            Code::InvalidValue,
            Span::new(id, 0, 0),
            "`policies` is empty",
        ));
    }
    if problems.is_empty() {
        Ok(paths)
    } else {
        Err(problems)
    }
}

/// The policy file of this directory whose name is most like that of a file that is not there.
fn near_file(missing: &Path) -> Option<String> {
    let name = missing.file_name()?.to_string_lossy();
    let directory = match missing.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        Some(_) | None => Path::new("."),
    };
    let entries = std::fs::read_dir(directory).ok()?;
    let names: Vec<String> = entries
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| names::is_policy_file(name) && !names::is_test_file(name))
        .collect();
    policy_grammar::near(&name, names.iter().map(String::as_str)).map(str::to_owned)
}

/// The policy file that a test file is named after.
fn beside(path: &Path) -> Option<PathBuf> {
    let name = path.file_name()?.to_string_lossy();
    inputs::beside(path, names::stem(&name)?.strip_suffix("_test")?)
}

/// The engine of a way to derive, made when a test first asks for it.
fn engine<'e>(
    engines: &'e mut BTreeMap<Derive, PolicyEngine>,
    derive: Derive,
    compiled: &Compiled,
    settings: &Settings,
) -> anyhow::Result<&'e PolicyEngine> {
    use std::collections::btree_map::Entry;
    Ok(match engines.entry(derive) {
        Entry::Occupied(entry) => entry.into_mut(),
        Entry::Vacant(entry) => {
            let mut builder = PolicyEngine::builder()
                .policies(Policies::from_compiled(compiled.clone())?)
                .derive(derive.mode());
            if let Some(prices) = &settings.prices {
                builder = builder.prices(Arc::clone(prices));
            }
            entry.insert(builder.build()?)
        }
    })
}

fn one(
    test: &Test,
    engine: &PolicyEngine,
    map: &SourceMap,
    seen: Option<&mut Vec<policy_runtime::Trace>>,
) -> TestReport {
    let line = map
        .file(test.name.span.file)
        .map_or(1, |file| file.line_column(test.name.span.start).0);
    let options = EvaluateOptions {
        request_id: Some("test"),
        namespace: test.namespace.as_deref(),
        policies: None,
        chosen: None,
        mode: Mode::All,
        trace: seen.is_some(),
        stop: None,
    };
    let mut context = String::new();
    body(&test.context, &mut context);
    let start = Instant::now();
    let answer = engine.evaluate_json_with(context.as_bytes(), &options);
    let time = start.elapsed();
    let failures = match answer {
        Ok(response) => {
            let failures = compare(&test.expect, &response.decision);
            if let (Some(seen), Some(trace)) = (seen, response.decision.trace) {
                seen.push(trace);
            }
            failures
        }
        Err(error) => vec![Failure {
            what: "decision",
            expected: json!(test.expect.decision),
            actual: json!(format!("no decision: {error}")),
        }],
    };
    TestReport {
        name: test.name.value.clone(),
        line,
        time,
        failures,
    }
}

fn compare(expect: &Expect, decision: &Decision) -> Vec<Failure> {
    let pairs = [
        (
            "decision",
            expect.decision.as_ref().map(|text| json!(text)),
            json!(decision.decision.as_str()),
        ),
        ("reason", expect.reason.clone(), json!(decision.reason)),
        (
            "matchedRules",
            expect.matched_rules.clone(),
            json!(decision.matched_rules),
        ),
        (
            "matchedPolicies",
            expect.matched_policies.clone(),
            json!(decision.matched_policies),
        ),
        (
            "modifications",
            expect.modifications.clone(),
            json!(decision.modifications),
        ),
        ("metadata", expect.metadata.clone(), json!(decision.metadata)),
    ];
    let mut failures = Vec::new();
    for (what, expected, actual) in pairs {
        if let Some(expected) = expected
            && !same(&expected, &actual)
        {
            failures.push(Failure {
                what,
                expected,
                actual,
            });
        }
    }
    if let Some(expected) = &expect.errors {
        let actual: Vec<Value> = decision.errors.iter().map(|e| json!(e)).collect();
        let met = expected.len() == actual.len()
            && expected
                .iter()
                .zip(&actual)
                .all(|(expected, actual)| part_of(expected, actual));
        if !met {
            failures.push(Failure {
                what: "errors",
                expected: json!(expected),
                actual: json!(actual),
            });
        }
    }
    failures
}

/// Equality of JSON with numbers by value, as the response holds them.
fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (a, Value::Number(y)) if exact(a).is_some() => {
            exact(a).and_then(|text| text.parse::<f64>().ok()) == y.as_f64()
        }
        (a, Value::String(y)) if exact(a).is_some() => exact(a) == Some(y),
        (Value::Number(x), Value::Number(y)) => x == y || x.as_f64() == y.as_f64(),
        (Value::Array(x), Value::Array(y)) => x.len() == y.len() && x.iter().zip(y).all(|(x, y)| same(x, y)),
        (Value::Object(x), Value::Object(y)) => {
            x.len() == y.len() && x.iter().all(|(key, x)| y.get(key).is_some_and(|y| same(x, y)))
        }
        (a, b) => a == b,
    }
}

/// Whether every member of the expected error is one of the actual error.
fn part_of(expected: &Value, actual: &Value) -> bool {
    match (expected, actual) {
        (Value::Object(expected), Value::Object(actual)) => expected
            .iter()
            .all(|(key, value)| actual.get(key).is_some_and(|actual| same(value, actual))),
        (expected, actual) => same(expected, actual),
    }
}
