//! Test reports: for people, as JSON, as JUnit XML.

use super::{Failure, Of, Report, TestReport};
use crate::output::{self, shown};
use owo_colors::OwoColorize as _;
use serde_json::{Value, json};
use similar::{ChangeTag, TextDiff};
use std::io::Write;
use std::time::Duration;

pub(super) fn text(report: &Report) -> anyhow::Result<()> {
    let mut out = output::stdout();
    let quiet = output::volume() == output::Volume::Quiet;
    for file in &report.files {
        let passed = |tests: &Vec<TestReport>| tests.iter().all(|test| test.failures.is_empty());
        if quiet && file.outcome.as_ref().is_ok_and(passed) {
            continue;
        }
        writeln!(out, "{}", shown(&file.name).bold())?;
        let tests = match &file.outcome {
            Ok(tests) => tests,
            Err(refusal) => {
                let problems = output::count(refusal.diagnostics.len(), "problem", "problems");
                writeln!(out, "  {} {problems}, see above", "not run:".red())?;
                continue;
            }
        };
        for test in tests {
            if test.failures.is_empty() {
                if !quiet {
                    writeln!(out, "  {} {}", "ok  ".green(), shown(&test.name))?;
                }
                continue;
            }
            let place = format!("{}:{}", file.name, test.line);
            let (name, place) = (shown(&test.name), shown(&place));
            writeln!(out, "  {} {name}  {}", "FAIL".red().bold(), place.dimmed())?;
            for failure in &test.failures {
                difference(&mut out, failure)?;
            }
        }
    }
    if let (Some(coverage), Some(of)) = (&report.coverage, report.of) {
        let (reached, all) = coverage.totals(of);
        let what = match of {
            Of::Rule => "rules fired",
            Of::Condition => "condition outcomes seen",
        };
        writeln!(
            out,
            "\n{}: {reached} of {all} {what} ({:.1} %)",
            "coverage".bold(),
            coverage.percent(of)
        )?;
        for gap in coverage.gaps(of) {
            let text = format!("{}:{}:{}: {}", gap.file, gap.line, gap.column, gap.text);
            writeln!(out, "  {}", shown(&text))?;
        }
    }
    let (passed, failed, refused) = report.totals();
    if quiet && failed == 0 && refused == 0 && !report.uncovered() {
        out.flush()?;
        return Ok(());
    }
    let failed_text = format!("{failed} failed");
    write!(
        out,
        "\n{passed} passed, {}",
        if failed > 0 {
            failed_text.red().bold().to_string()
        } else {
            failed_text
        }
    )?;
    if refused > 0 {
        write!(out, ", {} not run", output::count(refused, "file", "files"))?;
    }
    writeln!(
        out,
        " ({}, {:.0?})",
        output::count(report.files.len(), "file", "files"),
        report.time
    )?;
    if report.uncovered() {
        writeln!(
            out,
            "{} is below the minimum of {} %",
            "coverage".red().bold(),
            report.min_coverage.unwrap_or(0)
        )?;
    }
    out.flush()?;
    Ok(())
}

/// One line for short values, a line diff for longer ones.
fn difference(out: &mut impl Write, failure: &Failure) -> anyhow::Result<()> {
    let scalar = |v: &Value| !matches!(v, Value::Array(_) | Value::Object(_));
    if scalar(&failure.expected) && scalar(&failure.actual) {
        writeln!(
            out,
            "         {}: expected {}, got {}",
            failure.what,
            shown(&failure.expected.to_string()).green(),
            shown(&failure.actual.to_string()).red()
        )?;
        return Ok(());
    }
    let pretty = |v: &Value| serde_json::to_string_pretty(v).unwrap_or_default();
    let (expected, actual) = (pretty(&failure.expected), pretty(&failure.actual));
    writeln!(
        out,
        "         {}: expected ({}), got ({})",
        failure.what,
        "-".green(),
        "+".red()
    )?;
    for change in TextDiff::from_lines(&expected, &actual).iter_all_changes() {
        let line = shown(change.value().trim_end_matches('\n'));
        match change.tag() {
            ChangeTag::Delete => writeln!(out, "           {}", format!("- {line}").green())?,
            ChangeTag::Insert => writeln!(out, "           {}", format!("+ {line}").red())?,
            ChangeTag::Equal => writeln!(out, "             {line}")?,
        }
    }
    Ok(())
}

pub(super) fn json(report: &Report) -> anyhow::Result<()> {
    let files: Vec<Value> = report
        .files
        .iter()
        .map(|file| match &file.outcome {
            Ok(tests) => json!({ "file": file.name, "tests": tests.iter().map(test).collect::<Vec<_>>() }),
            Err(refusal) => json!({
                "file": file.name,
                "diagnostics": crate::render::json::diagnostics(&refusal.map, &refusal.diagnostics),
            }),
        })
        .collect();
    let coverage = report.coverage.as_ref().zip(report.of).map(|(coverage, of)| {
        let (reached, all) = coverage.totals(of);
        let gaps: Vec<Value> = coverage
            .gaps(of)
            .iter()
            .map(|g| json!({ "file": g.file, "line": g.line, "column": g.column, "message": g.text }))
            .collect();
        json!({
            "of": match of { Of::Rule => "rule", Of::Condition => "condition" },
            "covered": reached, "total": all, "percent": coverage.percent(of), "gaps": gaps,
        })
    });
    let (passed, failed, refused) = report.totals();
    output::json_pretty(&json!({
        "passed": passed,
        "failed": failed,
        "notRun": refused,
        "timeMs": milliseconds(report.time),
        "files": files,
        "coverage": coverage,
    }))
}

fn test(test: &TestReport) -> Value {
    let failures: Vec<Value> = test
        .failures
        .iter()
        .map(|f| json!({ "what": f.what, "expected": f.expected, "actual": f.actual }))
        .collect();
    json!({
        "name": test.name,
        "line": test.line,
        "passed": test.failures.is_empty(),
        "timeMs": milliseconds(test.time),
        "failures": failures,
    })
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

pub(super) fn junit(report: &Report) -> anyhow::Result<()> {
    let mut out = output::machine();
    let (passed, failed, refused) = report.totals();
    writeln!(out, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>")?;
    writeln!(
        out,
        "<testsuites name=\"policyc\" tests=\"{}\" failures=\"{failed}\" errors=\"{refused}\" time=\"{:.6}\">",
        passed + failed + refused,
        report.time.as_secs_f64()
    )?;
    for file in &report.files {
        let name = xml(&file.name);
        match &file.outcome {
            Ok(tests) => {
                let failed = tests.iter().filter(|t| !t.failures.is_empty()).count();
                let time: Duration = tests.iter().map(|t| t.time).sum();
                writeln!(
                    out,
                    "  <testsuite name=\"{name}\" tests=\"{}\" failures=\"{failed}\" errors=\"0\" time=\"{:.6}\">",
                    tests.len(),
                    time.as_secs_f64()
                )?;
                for test in tests {
                    case(&mut out, &name, test)?;
                }
            }
            Err(refusal) => {
                writeln!(
                    out,
                    "  <testsuite name=\"{name}\" tests=\"1\" failures=\"0\" errors=\"1\" time=\"0\">"
                )?;
                writeln!(out, "    <testcase name=\"{name}\" classname=\"{name}\">")?;
                for d in &refusal.diagnostics {
                    let place = crate::render::place(&refusal.map, d.primary.span);
                    writeln!(
                        out,
                        "      <error type=\"{}\" message=\"{}\"/>",
                        d.code.as_str(),
                        xml(&format!(
                            "{}:{}:{}: {}",
                            place.file, place.line, place.column, d.message
                        ))
                    )?;
                }
                writeln!(out, "    </testcase>")?;
            }
        }
        writeln!(out, "  </testsuite>")?;
    }
    writeln!(out, "</testsuites>")?;
    out.flush()?;
    Ok(())
}

fn case(out: &mut impl Write, file: &str, test: &TestReport) -> anyhow::Result<()> {
    write!(
        out,
        "    <testcase name=\"{}\" classname=\"{file}\" file=\"{file}\" line=\"{}\" time=\"{:.6}\"",
        xml(&test.name),
        test.line,
        test.time.as_secs_f64()
    )?;
    if test.failures.is_empty() {
        writeln!(out, "/>")?;
        return Ok(());
    }
    writeln!(out, ">")?;
    for failure in &test.failures {
        writeln!(
            out,
            "      <failure message=\"{}\">{}</failure>",
            xml(failure.what),
            xml(&format!("expected {}\ngot {}", failure.expected, failure.actual))
        )?;
    }
    writeln!(out, "    </testcase>")?;
    Ok(())
}

/// Text as XML takes it: markup escaped, characters that XML has no way to write replaced.
fn xml(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&apos;"),
            '\n' => out.push_str("&#10;"),
            '\t' | '\r' => out.push(' '),
            c if (c as u32) < 0x20 || c == '\u{fffe}' || c == '\u{ffff}' => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}
