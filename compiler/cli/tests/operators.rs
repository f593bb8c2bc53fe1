//! Operators that have a spelling of their own for people: without case, negated, of networks and times.

mod support;

use serde_json::json;
use support::Dir;

const POLICY: &str = "\
metadata: {id: p, name: P}
rules:
  - id: model
    condition: {operator: not_starts_with, field: llm.model, value: GPT-, ignoreCase: true}
    action: {decision: deny, reason: other model}
  - id: network
    condition:
      operator: not
      conditions: [{operator: in_cidr, field: request.ipAddress, value: 10.0.0.0/8}]
    action: {decision: deny, reason: other network}
  - id: night
    condition:
      operator: time_between
      field: request.timestamp
      value: {start: \"22:00\", end: \"06:00\", timezone: Europe/Berlin}
    action: {decision: warn, reason: at night}
";

const FINE: &str = r#"{"llm": {"model": "gpt-4o"}, "request": {"ipAddress": "10.1.2.3", "timestamp": "2025-03-03T12:00:00Z"}}"#;
const ODD: &str =
    r#"{"llm": {"model": "claude"}, "request": {"ipAddress": "10.1.2.3, 8.8.8.8", "timestamp": "noon"}}"#;

#[test]
fn traces_and_explanations_spell_operators_as_policies_do() {
    let dir = Dir::with(&[("p.yaml", POLICY)]);
    let trace = dir.run(&["eval", "p.yaml", "-c", FINE, "--trace"]).exits(0).out;
    assert!(
        trace.contains(r#"llm.model not_starts_with "GPT-" ignoring case  ("gpt-4o")"#),
        "{trace}"
    );
    assert!(
        trace.contains(r#"request.ipAddress in_cidr "10.0.0.0/8""#),
        "{trace}"
    );
    let explained = dir.run(&["explain", "p.yaml", "-c", FINE]).exits(0).out;
    assert!(
        explained.contains(r#"llm.model not_starts_with "GPT-" ignoring case (it is "gpt-4o")"#),
        "{explained}"
    );
    let json = dir
        .run(&["explain", "p.yaml", "-c", ODD, "--format", "json"])
        .exits(1)
        .json();
    let condition = &json["rules"][0]["condition"];
    assert_eq!(condition["operator"], "not_starts_with");
    assert_eq!(condition["ignoreCase"], true);
    assert!(json["rules"][1]["condition"].get("ignoreCase").is_none());
}

#[test]
fn errors_say_what_was_expected() {
    let dir = Dir::with(&[("p.yaml", POLICY)]);
    let out = dir
        .run(&["eval", "p.yaml", "-c", ODD, "--trace", "--format", "json"])
        .exits(1)
        .json();
    let errors = &out["decision"]["errors"];
    assert_eq!(
        errors[0]["message"],
        "`in_cidr` on `request.ipAddress` needs an IP address, found string"
    );
    assert_eq!(
        errors[1]["message"],
        "`time_between` on `request.timestamp` needs an RFC 3339 time with an offset, or epoch milliseconds, found string"
    );
    let model = r#"{"llm": {"model": 5}, "request": {"ipAddress": "10.1.2.3", "timestamp": 0}}"#;
    let out = dir
        .run(&["eval", "p.yaml", "-c", model, "--format", "json"])
        .exits(1)
        .json();
    assert_eq!(
        out["decision"]["errors"],
        json!([{
            "policy": "p", "rule": "model", "field": "llm.model", "found": "number", "expected": "string",
            "message": "`starts_with` on `llm.model` needs string, found number",
        }])
    );
}

#[test]
fn differences_and_coverage_spell_them_likewise() {
    let strict = POLICY.replace(", ignoreCase: true", "");
    let dir = Dir::with(&[
        ("p.yaml", POLICY),
        ("strict.yaml", &strict),
        (
            "p_test.yaml",
            &format!(
                "policies: [p.yaml]\ntests:\n  - name: fine\n    context: {FINE}\n    expect: {{decision: allow}}\n"
            ),
        ),
    ]);
    let diff = dir.run(&["diff", "p.yaml", "strict.yaml"]).exits(1).out;
    assert!(
        diff.contains(r#"llm.model not starts_with "GPT-" ignoring case"#),
        "{diff}"
    );
    assert!(diff.contains(r#"llm.model not starts_with "GPT-""#), "{diff}");
    let coverage = dir.run(&["test", ".", "--coverage=condition"]);
    assert!(
        coverage
            .out
            .contains(r#"llm.model not_starts_with "GPT-" ignoring case"#),
        "{}\n{}",
        coverage.out,
        coverage.err
    );
}
