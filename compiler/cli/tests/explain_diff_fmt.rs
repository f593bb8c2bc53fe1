//! `explain`, `diff`, `fmt`, `bench`, and what prints documentation.

mod support;

use serde_json::json;
use support::{Dir, QUICKSTART, command};

const DEAR: &str =
    r#"{"llm": {"model": "gpt-4", "prompt": "hi", "maxTokens": 200000}, "team": {"tier": "free"}}"#;
const CHEAP: &str =
    r#"{"llm": {"model": "gpt-4", "prompt": "hi", "maxTokens": 2000}, "team": {"tier": "free"}}"#;

#[test]
fn explain_says_what_would_have_to_change() {
    let dir = Dir::with(&[("p.yaml", QUICKSTART)]);
    let denied = dir.run(&["explain", "p.yaml", "-c", DEAR]).exits(1).out;
    assert!(
        denied.contains("it would not fire if:\n      llm.estimatedCost lte 1"),
        "{denied}"
    );
    assert!(denied.contains("p.yaml:9:9"), "{denied}");
    let allowed = dir.run(&["explain", "p.yaml", "-c", CHEAP]).exits(0).out;
    assert!(
        allowed.contains("held back by one condition; it would fire if:\n      llm.estimatedCost gt 1"),
        "{allowed}"
    );
    assert!(allowed.contains("(it is 0.12"), "{allowed}");
    let json = dir
        .run(&["explain", "p.yaml", "-c", "{}", "--format", "json"])
        .exits(0)
        .json();
    assert_eq!(json["rules"][0]["toFire"].as_array().unwrap().len(), 2);
    assert_eq!(json["rules"][0]["line"], 9);
}

/// What decided comes first and alone; the rest is counted, and shown on demand. JSON has all of it.
#[test]
fn explain_shows_what_decided_and_counts_the_rest() {
    let rule = |id: &str, decision: &str, least: u32| {
        format!(
            "  - id: {id}\n    condition: {{operator: gt, field: llm.maxTokens, value: {least}}}\n    action: {{decision: {decision}, reason: {id}}}\n"
        )
    };
    let rules: String = [
        rule("note", "warn", 1),
        rule("first", "deny", 10),
        rule("second", "deny", 20),
        rule("far", "deny", 1000),
    ]
    .concat();
    let text = format!("metadata: {{id: p, name: P}}\nrules:\n{rules}");
    let dir = Dir::with(&[("p.yaml", &text)]);
    let explain = |tokens: u32, more: &[&str]| {
        let context = format!("{{\"llm\": {{\"maxTokens\": {tokens}}}}}");
        let fixed = ["explain", "p.yaml", "-c", context.as_str()];
        dir.run(&[&fixed[..], more].concat())
    };
    let denied = explain(50, &[]).exits(1).out;
    assert!(
        denied.starts_with("DENY  first\n\ndecided\n\n  p/first (deny)"),
        "{denied}"
    );
    assert!(denied.contains("llm.maxTokens lte 10 (it is 50)"), "{denied}");
    for hidden in ["p/note", "p/second", "p/far"] {
        assert!(!denied.contains(hidden), "{denied}");
    }
    assert!(
        denied.ends_with("\n2 other rules fired too, 1 other rule did not fire; --all shows them\n"),
        "{denied}"
    );
    let all = explain(50, &["--all"]).exits(1).out;
    let order: Vec<_> = [
        "p/first",
        "fired too",
        "p/note",
        "p/second",
        "did not fire",
        "p/far",
    ]
    .iter()
    .map(|part| all.find(part))
    .collect();
    assert!(order.iter().all(Option::is_some) && order.is_sorted(), "{all}");
    assert!(!all.contains("--all"), "{all}");

    // Where nothing fired, the rule that came nearest says what would have to change.
    let allowed = explain(1, &[]).exits(0).out;
    assert!(allowed.starts_with("ALLOW  no rule fired"), "{allowed}");
    assert!(allowed.contains("nearest to firing\n\n  p/note"), "{allowed}");
    assert!(
        allowed.ends_with("\n3 other rules did not fire; --all shows them\n"),
        "{allowed}"
    );
    let json = explain(50, &["--format", "json"]).exits(1).json();
    assert_eq!(json["rules"].as_array().unwrap().len(), 4);
}

/// The names that other tools give to what `check` does.
#[test]
fn validate_and_lint_are_check() {
    let dir = Dir::with(&[("p.yaml", QUICKSTART), ("broken.yaml", "rules: 1\n")]);
    for name in ["validate", "lint"] {
        dir.run(&[name, "p.yaml"]).exits(0);
        dir.run(&[name, "broken.yaml"]).exits(2);
    }
    let help = dir.run(&["--help"]).exits(0).out;
    assert!(help.contains("[aliases: validate, lint]"), "{help}");
}

#[test]
fn quiet_leaves_errors_and_results() {
    let test = "tests:\n  - name: t\n    context: {}\n    expect: { decision: allow }\n";
    let failing = test.replace("decision: allow", "decision: deny");
    let dir = Dir::with(&[
        ("p.yaml", QUICKSTART),
        ("p_test.yaml", test),
        ("broken.yaml", "rules: 1\n"),
    ]);
    for arguments in [
        &["check", "-q", "p.yaml"][..],
        &["build", "--quiet", "p.yaml", "-o", "p.bundle"],
        &["-q", "fmt", "p.yaml"],
        &["test", "-q", "."],
        &["keygen", "-q", "-o", "team"],
    ] {
        let ran = dir.run(arguments).exits(0);
        assert_eq!((ran.out.as_str(), ran.err.as_str()), ("", ""), "{arguments:?}");
    }
    let ran = dir.run(&["check", "-q", "broken.yaml"]).exits(2);
    assert!(
        ran.err.contains("error[") && !ran.err.contains("1 file:"),
        "{}",
        ran.err
    );
    assert!(
        !dir.run(&["eval", "-q", "p.yaml", "-c", "{}"])
            .exits(0)
            .out
            .is_empty()
    );
    dir.write("p_test.yaml", failing.as_bytes());
    let ran = dir.run(&["test", "-q", "p_test.yaml"]).exits(1);
    assert!(
        ran.out.contains("FAIL") && ran.out.contains("1 failed"),
        "{}",
        ran.out
    );
    dir.run(&["check", "-q", "-v", "p.yaml"]).exits(2);
}

#[test]
fn diff_compares_meaning_and_decisions() {
    let stricter = QUICKSTART.replace("1.0\n", "0.1\n").replace("$1.00", "$0.10");
    let relaid = QUICKSTART.replace("status: active\n", "status: active # as before\n");
    let dir = Dir::with(&[
        ("old.yaml", QUICKSTART),
        ("new.yaml", &stricter),
        ("same.yaml", &relaid),
    ]);
    dir.write("contexts.jsonl", format!("{CHEAP}\n{DEAR}\n{{}}\n").as_bytes());
    dir.write("dear.jsonl", b"{}\n{\"llm\": 1}\n");

    let same = dir.run(&["diff", "old.yaml", "same.yaml"]).exits(0);
    assert_eq!(same.out, "the policies mean the same\n");
    let differs = dir.run(&["diff", "old.yaml", "new.yaml"]).exits(1);
    assert!(
        differs
            .out
            .contains("~ rule cost-limit-policy/deny-expensive-models"),
        "{}",
        differs.out
    );
    assert!(
        differs.out.contains("llm.estimatedCost gt 0.1"),
        "{}",
        differs.out
    );

    let contexts = dir
        .run(&["diff", "old.yaml", "new.yaml", "--contexts", "contexts.jsonl"])
        .exits(1);
    assert!(
        contexts.out.contains("2 of 3 contexts decided differently"),
        "{}",
        contexts.out
    );
    let refused = dir
        .run(&["diff", "old.yaml", "new.yaml", "--contexts", "dear.jsonl"])
        .exits(2);
    let said = "line 2 of `dear.jsonl` is no context";
    assert!(refused.err.contains(said), "{}", refused.err);
    dir.write("odd.jsonl", b"{\"llm\": \"gpt-4\"}\n");
    let odd = dir
        .run(&["diff", "old.yaml", "new.yaml", "--contexts", "odd.jsonl"])
        .exits(2);
    let said = "line 1 of `odd.jsonl` is no context: malformed context: `llm` must be an object, found a string (byte 8)";
    assert!(odd.err.contains(said), "{}", odd.err);
    let json = dir
        .run(&[
            "diff",
            "old.yaml",
            "new.yaml",
            "--contexts",
            "contexts.jsonl",
            "--format",
            "json",
        ])
        .exits(1)
        .json();
    assert_eq!(json["decisions"][0]["line"], 1);
    assert_eq!(
        json["decisions"][0]["aspects"][0],
        json!({"what": "decision", "old": "allow", "new": "deny"})
    );
    assert_eq!(json["contexts"], 3);

    dir.run(&["build", "old.yaml", "-o", "old.bundle", "-O0"])
        .exits(0);
    dir.run(&["diff", "old.bundle", "same.yaml"]).exits(0);
    let more = QUICKSTART
        .replace("id: cost-limit-policy", "id: another")
        .replace("id: deny-", "id: also-deny-");
    dir.write("more/a.yaml", QUICKSTART.as_bytes());
    dir.write("more/b.yaml", more.as_bytes());
    let added = dir.run(&["diff", "old.yaml", "more"]).exits(1);
    assert!(
        added.out.contains("+ policy another")
            && added.out.contains("+ rule another/also-deny-expensive-models")
    );
    let removed = dir.run(&["diff", "more", "old.yaml"]).exits(1);
    assert!(removed.out.contains("- policy another"), "{}", removed.out);
}

#[test]
fn fmt_is_idempotent_and_keeps_comments() {
    let ugly = QUICKSTART
        .replace("  id: cost", "  id:   cost")
        .replace("rules:\n", "rules:   # the rules   \n\n\n");
    let dir = Dir::with(&[("p.yaml", &ugly), ("broken.yaml", "nonsense")]);
    let check = dir.run(&["fmt", "--check", "p.yaml"]).exits(1);
    assert_eq!(check.out, "p.yaml\n");
    assert_eq!(dir.read("p.yaml"), ugly.as_bytes());
    dir.run(&["fmt", "p.yaml"]).exits(0);
    let once = dir.read("p.yaml");
    assert!(String::from_utf8_lossy(&once).contains("# the rules"));
    dir.run(&["fmt", "p.yaml"]).exits(0);
    assert_eq!(dir.read("p.yaml"), once);
    dir.run(&["fmt", "--check", "p.yaml"]).exits(0);
    assert_eq!(
        dir.run_with(&["fmt", "-"], ugly.as_bytes())
            .exits(0)
            .out
            .as_bytes(),
        once
    );
    dir.run(&["fmt", "broken.yaml"]).exits(2);
    assert_eq!(dir.read("broken.yaml"), b"nonsense");
}

#[test]
fn fmt_lays_out_anew() {
    let ugly = "\
# Who wrote this

rules:
  # about r
  - condition: { value: 1, field: 'llm.model', operator: eq }   # here
    action: {metadata: {b: 1, a: 2}, reason: 'it\\s', decision: deny}
    id: r
  - {id: s, condition: {operator: and, conditions: [{operator: eq, field: team.tier, value: free}, {operator: exists, field: llm.model}]}, action: {decision: warn}}
status: active
metadata: {name: A, id: a}
";
    let want = "\
# Who wrote this

metadata: { id: a, name: A }
rules:
  # about r
  - id: r
    condition: { operator: eq, field: \"llm.model\", value: 1 } # here
    action: { decision: deny, reason: 'it\\s', metadata: { b: 1, a: 2 } }
  - id: s
    condition:
      operator: and
      conditions: [{ operator: eq, field: team.tier, value: free }, { operator: exists, field: llm.model }]
    action: { decision: warn }
status: active
";
    let dir = Dir::with(&[("p.yaml", ugly)]);
    let shown = dir.run(&["fmt", "--diff", "p.yaml"]).exits(1);
    assert!(
        shown.out.starts_with("--- a/p.yaml\n+++ b/p.yaml\n@@")
            && shown.out.contains("+metadata: { id: a, name: A }\n"),
        "{}",
        shown.out
    );
    assert_eq!(dir.read("p.yaml"), ugly.as_bytes());
    dir.run(&["fmt", "p.yaml"]).exits(0);
    assert_eq!(String::from_utf8(dir.read("p.yaml")).unwrap(), want);
    let again = dir.run(&["fmt", "--diff", "p.yaml"]).exits(0);
    assert_eq!(again.out, "");
    dir.write(
        "p.json",
        br#"{"rules": [], "metadata": {"name": "A", "id": "a", "tags": []}}"#,
    );
    dir.run(&["fmt", "p.json"]).exits(0);
    assert_eq!(
        String::from_utf8(dir.read("p.json")).unwrap(),
        "{\n  \"metadata\": {\n    \"id\": \"a\",\n    \"name\": \"A\",\n    \"tags\": []\n  },\n  \"rules\": []\n}\n"
    );
}

#[test]
fn bench_reports_times_rate_and_allocations() {
    let dir = Dir::with(&[("p.yaml", QUICKSTART)]);
    dir.write("contexts.jsonl", format!("{CHEAP}\n{DEAR}\n").as_bytes());
    let arguments = [
        "bench",
        "p.yaml",
        "--contexts",
        "contexts.jsonl",
        "--time",
        "0.05",
        "--format",
        "json",
    ];
    let json = dir.run(&arguments).exits(0).json();
    assert!(json["nsPerDecision"]["p50"].as_u64().unwrap() > 0);
    assert!(json["nsPerDecision"]["p99"].as_u64() >= json["nsPerDecision"]["p50"].as_u64());
    assert!(json["nsPerDecision"]["p999"].as_u64() >= json["nsPerDecision"]["p99"].as_u64());
    assert!(json["nsPerDecision"]["mean"].as_f64().unwrap() > 0.0);
    assert!(json["nsPerDecision"]["verdictOnly"].as_f64().unwrap() > 0.0);
    assert!(json["loadMs"].as_f64().unwrap() > 0.0);
    assert!(json["evaluationsPerSecond"].as_f64().unwrap() > 0.0);
    assert_eq!(json["allocationsPerEvaluation"], 0.0);
    dir.run(&[
        "bench",
        "p.yaml",
        "--contexts",
        "contexts.jsonl",
        "--time",
        "0.05",
    ])
    .exits(0);
    dir.write("bad.jsonl", b"{}\n{\n");
    let bad = dir.run(&["bench", "p.yaml", "--contexts", "bad.jsonl"]).exits(2);
    assert!(bad.err.contains("context 2"), "{}", bad.err);
    dir.run(&["bench", "p.yaml", "--contexts", "contexts.jsonl", "--time", "-1"])
        .exits(2);
}

#[test]
fn documentation_prints() {
    let dir = Dir::new();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        assert!(dir.run(&["completions", shell]).exits(0).out.contains("policyc"));
    }
    assert!(dir.run(&["man"]).exits(0).out.contains(".TH policyc"));
    dir.run(&["man", "-o", "pages"]).exits(0);
    for page in ["policyc", "policyc-eval", "policyc-keys", "policyc-keys-create"] {
        assert!(dir.exists(&format!("pages/{page}.1")), "{page}");
    }
    let schema = dir.run(&["schema"]).exits(0).json();
    assert!(schema["$schema"].is_string());
    assert!(dir.run(&["--version"]).exits(0).out.starts_with("policyc "));
}

#[test]
fn every_command_has_help_with_an_example() {
    let dir = Dir::new();
    let help = dir.run(&["--help"]).exits(0).out;
    let commands: Vec<&str> = help
        .lines()
        .skip_while(|l| !l.starts_with("Commands:"))
        .skip(1)
        .take_while(|l| !l.is_empty())
        .filter_map(|l| l.split_whitespace().next())
        .filter(|name| *name != "help")
        .collect();
    assert!(commands.len() >= 15, "{commands:?}");
    for name in commands {
        let help = dir.run(&[name, "--help"]).exits(0).out;
        assert!(help.contains("Example"), "{name}: {help}");
    }
}

#[test]
fn wrong_usage_exits_with_2_and_says_so_on_stderr() {
    let dir = Dir::new();
    for arguments in [
        &["nonsense"][..],
        &["check"],
        &["eval", "--nonsense"],
        &["build", "x.yaml"],
        &[],
    ] {
        let ran = dir.run(arguments).exits(2);
        assert!(ran.out.is_empty() && !ran.err.is_empty(), "{arguments:?}");
    }
    let status = command(&["--help"]).output().unwrap().status;
    assert!(status.success());
}

/// Comparisons inside of `any` and `all` show the name of a constant as others do, each rule its own, also from a bundle.
#[test]
fn constants_inside_of_any_and_all_are_shown_with_their_names() {
    let policies = r#"
metadata: { id: lists, name: Lists }
let: { bad: forbidden, also: forbidden, tier: free, few: [a, b] }
rules:
  - id: first
    condition:
      operator: any
      field: llm.messages
      condition:
        operator: and
        conditions:
          - { operator: contains, field: item.content, valueFrom: let.bad }
          - { operator: eq, field: team.tier, valueFrom: let.tier }
    action: { decision: warn, reason: first }
  - id: second
    condition:
      operator: any
      field: llm.messages
      condition:
        operator: and
        conditions:
          - { operator: contains, field: item.content, valueFrom: let.also }
          - { operator: eq, field: team.tier, value: free }
    action: { decision: warn, reason: second }
  - id: nested
    condition:
      operator: any
      field: metadata.groups
      condition:
        operator: any
        field: item.tags
        condition: { operator: in, field: item, valueFrom: let.few }
    action: { decision: warn, reason: nested }
"#;
    let dir = Dir::with(&[("lists.yaml", policies)]);
    dir.run(&["build", "lists.yaml", "-o", "lists.bundle"]).exits(0);
    let context = r#"{"llm": {"model": "gpt-4o", "messages": [{"role": "user", "content": "forbidden"}]}, "team": {"tier": "free"},
        "metadata": {"groups": [{"tags": ["x", "b"]}]}}"#;
    for policies in ["lists.yaml", "lists.bundle"] {
        let shown = dir.run(&["explain", policies, "--context", context]).exits(0).out;
        for line in [
            "item.content contains let.bad (\"forbidden\")",
            "team.tier eq let.tier (\"free\")",
            "item.content contains let.also (\"forbidden\")",
            "team.tier eq \"free\"",
            "item in let.few ([\"a\",\"b\"])",
        ] {
            assert!(shown.contains(line), "{line}\n{shown}");
        }
        assert_eq!(shown.matches("let.bad").count(), 1, "{shown}");
        assert_eq!(shown.matches("let.tier").count(), 1, "{shown}");
    }
}
