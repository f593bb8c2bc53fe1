//! The dashboard and the alerts use only metrics and labels that there are.

use super::FAMILIES;
use super::FamilyInfo;
use serde_json::Value;
use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("observability")
        .join(name)
}

fn read(name: &str) -> String {
    std::fs::read_to_string(file(name)).unwrap()
}

/// The family of a series: histograms have three names more.
fn family(name: &str) -> Option<&'static FamilyInfo> {
    FAMILIES.iter().find(|family| {
        let parts = ["_bucket", "_sum", "_count"];
        if family.kind == "histogram" {
            parts
                .iter()
                .any(|part| name.strip_suffix(part) == Some(family.name))
        } else {
            family.name == name
        }
    })
}

/// The families in a query, or which name or label of it there is not.
fn check(query: &str) -> Result<BTreeSet<&'static str>, String> {
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let first = |text: &str| text[..text.find(|c| !word(c)).unwrap_or(text.len())].to_owned();
    let target = BTreeSet::from(["job", "instance", "le"]);
    let mut families = BTreeSet::new();
    let mut labels = target.clone();
    let mut rest = query;
    while let Some(at) = rest.find("llm_policy_") {
        let name = first(&rest[at..]);
        let info = family(&name).ok_or(format!("`{name}` is in no row of the table"))?;
        families.insert(info.name);
        labels.extend(info.labels);
        rest = &rest[at + name.len()..];
        let matchers = rest.strip_prefix('{').and_then(|m| m.split_once('}'));
        for matcher in matchers.into_iter().flat_map(|(m, _)| m.split("\",")) {
            let label = first(matcher);
            if !info.labels.contains(&label.as_str()) && !target.contains(label.as_str()) {
                return Err(format!("`{name}` has no label `{label}`"));
            }
        }
    }
    let groups = query
        .split("by (")
        .skip(1)
        .filter_map(|text| text.split(')').next());
    let legends = query
        .split("{{")
        .skip(1)
        .filter_map(|text| text.split("}}").next());
    for label in groups.flat_map(|group| group.split(',')).chain(legends) {
        if !labels.contains(label.trim()) {
            return Err(format!("no metric here has a label `{label}`"));
        }
    }
    Ok(families)
}

#[test]
fn the_dashboard_shows_every_family_and_nothing_else() {
    let board: Value = serde_json::from_str(&read("grafana-dashboard.json")).unwrap();
    let mut shown = BTreeSet::new();
    let mut ids = BTreeSet::new();
    let mut places = BTreeSet::new();
    for panel in board["panels"].as_array().unwrap() {
        assert!(ids.insert(panel["id"].as_u64().unwrap()));
        let place = &panel["gridPos"];
        let (x, y, w) = (
            &place["x"],
            place["y"].as_u64().unwrap(),
            place["w"].as_u64().unwrap(),
        );
        let x = x.as_u64().unwrap();
        assert!(x + w <= 24, "{panel}");
        for column in x..x + w {
            assert!(places.insert((column, y)), "panels lie on each other: {panel}");
        }
        let Some(targets) = panel["targets"].as_array() else {
            assert_eq!(panel["type"], "row");
            continue;
        };
        assert!(!targets.is_empty());
        for target in targets {
            let query = target["expr"].as_str().unwrap();
            let legend = target["legendFormat"].as_str().unwrap();
            shown.extend(check(&format!("{query} {legend}")).unwrap());
        }
    }
    let every: BTreeSet<&str> = FAMILIES.iter().map(|family| family.name).collect();
    assert_eq!(shown, every);
}

#[test]
fn every_alert_uses_metrics_that_there_are_and_says_what_to_do() {
    let rules: Value = serde_yaml::from_str(&read("alerts.yaml")).unwrap();
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/observability.md");
    let page = std::fs::read_to_string(page).unwrap();
    let tests = read("alerts_test.yaml");
    let mut used = BTreeSet::new();
    let mut names = BTreeSet::new();
    for rule in rules["groups"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|g| g["rules"].as_array().unwrap())
    {
        let name = rule["alert"].as_str().unwrap();
        assert!(names.insert(name), "{name} is there twice");
        let families = check(rule["expr"].as_str().unwrap()).unwrap();
        assert!(!families.is_empty(), "{name}");
        used.extend(families);
        assert!(
            ["page", "ticket"].contains(&rule["labels"]["severity"].as_str().unwrap()),
            "{name}"
        );
        for text in ["summary", "description"] {
            assert!(
                rule["annotations"][text].as_str().is_some(),
                "{name} has no {text}"
            );
        }
        assert!(
            page.contains(&format!("\n### {name}\n")),
            "{name} is not on the page"
        );
        assert!(tests.contains(&format!("\"{name}\"")), "{name} has no test");
    }
    for needed in [
        super::names::EVALUATION_DURATION,
        super::names::EVALUATION_ERRORS,
        super::names::RELOAD_FAILURES,
        super::names::DECISION_LOG_DROPPED,
        super::names::DEPENDENCY_UP,
        super::names::BUNDLE_AGE,
    ] {
        assert!(used.contains(needed), "no alert looks at {needed}");
    }
    let series = tests.split("'").filter(|text| text.starts_with("llm_policy_"));
    for series in series {
        check(series).unwrap();
    }
}

/// Needs `promtool`, of Prometheus; says so where it is not there.
#[test]
fn the_alerts_fire_on_what_they_are_for() {
    for arguments in [
        ["check", "rules", "alerts.yaml"],
        ["test", "rules", "alerts_test.yaml"],
    ] {
        let run = Command::new("promtool")
            .args(arguments)
            .current_dir(file(""))
            .output();
        match run {
            Ok(output) => assert!(
                output.status.success(),
                "{}{}",
                String::from_utf8_lossy(&output.stdout),
                String::from_utf8_lossy(&output.stderr)
            ),
            // Past the capture of the test harness.
            Err(_) => writeln!(std::io::stderr(), "skipped: alerts are not run (no promtool)").unwrap(),
        }
    }
}

#[test]
fn what_is_not_in_the_table_is_found() {
    for (query, problem) in [
        (
            "rate(llm_policy_evaluation_total[5m])",
            "`llm_policy_evaluation_total` is in no row of the table",
        ),
        (
            "llm_policy_evaluation_duration_seconds",
            "`llm_policy_evaluation_duration_seconds` is in no row of the table",
        ),
        (
            "llm_policy_evaluations_total{job=\"x\",verb=\"deny\"}",
            "`llm_policy_evaluations_total` has no label `verb`",
        ),
        (
            "sum by (reason) (llm_policy_evaluations_total)",
            "no metric here has a label `reason`",
        ),
    ] {
        assert_eq!(check(query), Err(problem.to_owned()));
    }
}
