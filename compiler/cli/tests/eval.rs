//! `policyc eval`: verdicts, formats, exit codes, streams, and the inputs they come from.

mod support;

use serde_json::json;
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::Stdio;
use support::{Dir, QUICKSTART, command};

const DEAR: &str =
    r#"{"llm": {"model": "gpt-4", "prompt": "hi", "maxTokens": 200000}, "team": {"tier": "free"}}"#;
const CHEAP: &str =
    r#"{"llm": {"model": "gpt-4", "prompt": "hi", "maxTokens": 2000}, "team": {"tier": "free"}}"#;

fn dir() -> Dir {
    Dir::with(&[("my-policy.yaml", QUICKSTART)])
}

#[test]
fn the_quick_start_denies_above_a_dollar_and_allows_below() {
    let dir = dir();
    let denied = dir.run(&["eval", "my-policy.yaml", "--context", DEAR]).exits(1);
    assert!(
        denied
            .out
            .starts_with("DENY  Cost exceeds free tier limit ($1.00)\n"),
        "{}",
        denied.out
    );
    assert!(denied.out.contains("my-policy.yaml:9:"), "{}", denied.out);
    let allowed = dir.run(&["eval", "my-policy.yaml", "--context", CHEAP]).exits(0);
    assert_eq!(allowed.out, "ALLOW  no rule fired\n");
}

#[test]
fn the_form_of_the_readme_computes_the_cost() {
    let context = r#"{
  "llm": { "provider": "openai", "model": "gpt-4", "prompt": "Write a long essay...", "maxTokens": 2000 },
  "team": { "id": "team-123", "tier": "free" }
}"#;
    let ran = dir()
        .run(&["evaluate", "my-policy.yaml", "--context", context])
        .exits(0);
    assert_eq!(ran.out, "ALLOW  no rule fired\n");
    let dear = context.replace("2000", "200000");
    dir()
        .run(&["evaluate", "my-policy.yaml", "--context", &dear])
        .exits(1);
}

#[test]
fn json_is_the_documented_response() {
    let ran = dir()
        .run(&["eval", "my-policy.yaml", "--context", DEAR, "--format", "json"])
        .exits(1);
    let response = ran.json();
    let decision = &response["decision"];
    assert_eq!(decision["decision"], "deny");
    assert_eq!(decision["allowed"], false);
    assert_eq!(decision["reason"], "Cost exceeds free tier limit ($1.00)");
    assert_eq!(decision["matchedPolicies"], json!(["cost-limit-policy"]));
    assert_eq!(decision["matchedRules"], json!(["deny-expensive-models"]));
    assert_eq!(
        decision["matched"],
        json!([{
            "policy": "cost-limit-policy",
            "rule": "deny-expensive-models",
            "decision": "deny",
            "reason": "Cost exceeds free tier limit ($1.00)",
        }])
    );
    assert!(decision["evaluationTimeMs"].is_number());
    assert!(decision.get("trace").is_none());
    assert!(response["requestId"].is_string() && response["timestamp"].is_number());
    assert!(response["bundle"]["revision"].is_string());
}

/// Nothing to ask is an error of the command, never an allow.
#[test]
fn a_namespace_without_policies_and_a_set_without_active_ones_are_refused() {
    let dir = dir();
    dir.write(
        "draft.yaml",
        format!("{QUICKSTART}\nstatus: draft\n")
            .replace("status: active\n", "")
            .as_bytes(),
    );
    dir.write("contexts.jsonl", format!("{CHEAP}\n{DEAR}\n").as_bytes());
    dir.write("none.jsonl", b"");
    let ways: &[&[&str]] = &[
        &["eval", "-c", CHEAP],
        &["eval", "-c", CHEAP, "--format", "json"],
        &["eval", "--contexts", "contexts.jsonl"],
        &["eval", "--contexts", "none.jsonl"],
        &["explain", "-c", CHEAP],
    ];
    for way in ways {
        for namespace in ["nope", "Production", ""] {
            let ran = dir
                .run(&[*way, &["my-policy.yaml", "--namespace", namespace]].concat())
                .exits(2);
            assert_eq!(ran.out, "", "{way:?}");
            let said = format!("no decision: namespace `{namespace}` has no active policy");
            assert!(ran.err.contains(&said), "{}", ran.err);
        }
        let ran = dir.run(&[*way, &["draft.yaml"]].concat()).exits(2);
        assert_eq!(ran.out, "", "{way:?}");
        let said = "no decision: no policy is active, so nothing can be decided";
        assert!(ran.err.contains(said), "{}", ran.err);
    }
}

#[test]
fn a_denied_modification_is_shown_with_the_rule_that_denies_it() {
    let dir = Dir::with(&[(
        "p.yaml",
        "metadata: { id: p, name: P }\nrules:\n  - id: shrink\n    condition: { operator: eq, field: llm.model, value: big }\n    \
         action: { decision: modify, reason: shrunk, modifications: { llm.model: small } }\n  - id: no-small\n    condition: { \
         operator: eq, field: llm.model, value: small }\n    action: { decision: deny, reason: too small }\n",
    )]);
    let context = r#"{"llm": {"model": "big"}}"#;
    let ran = dir.run(&["eval", "p.yaml", "-c", context, "--trace"]).exits(1);
    assert!(ran.out.starts_with("DENY  too small\n"), "{}", ran.out);
    let second = ran
        .out
        .split("trace of the modified request, which is denied")
        .nth(1);
    let second = second.unwrap_or_else(|| panic!("{}", ran.out));
    assert!(second.contains("true  p/no-small (deny) fired"), "{second}");
    let ran = dir.run(&["explain", "p.yaml", "-c", context]).exits(1);
    assert!(
        ran.out.contains("the modified request is denied, so this one is"),
        "{}",
        ran.out
    );
    let explained = dir
        .run(&["explain", "p.yaml", "-c", context, "--format", "json"])
        .exits(1)
        .json();
    assert_eq!(explained["secondLook"][1]["fired"], true);
    assert_eq!(explained["rules"][1]["fired"], false);
}

#[test]
fn contexts_come_from_text_file_and_standard_input() {
    let dir = dir();
    dir.write("context.json", DEAR.as_bytes());
    dir.run(&["eval", "my-policy.yaml", "-c", "@context.json"])
        .exits(1);
    dir.run_with(&["eval", "my-policy.yaml", "-c", "-"], DEAR.as_bytes())
        .exits(1);
    dir.run_with(&["eval", "-", "-c", DEAR], QUICKSTART.as_bytes())
        .exits(1);
    let hint = dir
        .run(&["eval", "my-policy.yaml", "-c", "context.json"])
        .exits(2);
    assert!(hint.err.contains("--context @context.json"), "{}", hint.err);
    let both = dir.run(&["eval", "-", "-c", "-"]).exits(2);
    assert!(both.err.contains("not both"), "{}", both.err);
}

#[test]
fn what_cannot_be_evaluated_exits_with_2() {
    let dir = dir();
    dir.run(&["eval", "my-policy.yaml", "-c", "{"]).exits(2);
    dir.run(&["eval", "my-policy.yaml", "-c", "[]"]).exits(2);
    dir.run(&["eval", "my-policy.yaml", "-c", "@missing.json"])
        .exits(2);
    dir.run(&["eval", "missing.yaml", "-c", "{}"]).exits(2);
    dir.run(&["eval", "my-policy.yaml"]).exits(2);
    dir.run(&["eval", "my-policy.yaml", "-c", "{}", "-O3"]).exits(2);
    dir.run(&["eval", "my-policy.yaml", "-c", "{}", "--policies", "nobody"])
        .exits(2);
    dir.write("broken.yaml", b"metadata: {id: a, name: A}\nruls: []\n");
    let broken = dir.run(&["eval", "broken.yaml", "-c", "{}"]).exits(2);
    assert!(
        broken.err.contains("did you mean `rules`?") && broken.out.is_empty(),
        "{}",
        broken.err
    );
}

#[test]
fn flags_choose_policies_defaults_and_derivation() {
    let dir = dir();
    let eval = |more: &[&str], code: i32| {
        let mut arguments = vec!["eval", "my-policy.yaml", "-c", DEAR];
        arguments.extend(more);
        dir.run(&arguments).exits(code)
    };
    eval(&["--namespace", "production"], 1);
    eval(&["--namespace", "staging"], 2);
    eval(&["--policies", "cost-limit-policy"], 1);
    dir.run(&[
        "eval",
        "my-policy.yaml",
        "-c",
        CHEAP,
        "--default-decision",
        "deny",
    ])
    .exits(1);
    eval(&["--all", "-O0"], 1);
    let prompt =
        r#"{"llm": {"model": "gpt-4", "prompt": "hi", "estimatedCost": 2}, "team": {"tier": "free"}}"#;
    dir.run(&["eval", "my-policy.yaml", "-c", prompt]).exits(0);
    dir.run(&["eval", "my-policy.yaml", "-c", prompt, "--derive", "missing"])
        .exits(1);
    dir.run(&["eval", "my-policy.yaml", "-c", prompt, "--derive", "never"])
        .exits(1);
}

#[test]
fn a_price_file_adds_to_the_table_unless_it_replaces_it() {
    let dir = dir();
    let row = "{provider: openai, input_per_million: 1, output_per_million: 1000000}";
    dir.write("dear.yaml", format!("models:\n  gpt-4: {row}\n").as_bytes());
    dir.write(
        "dear.json",
        br#"{"models": {"gpt-4": {"provider": "openai", "input_per_million": 1, "output_per_million": 1000000}}}"#,
    );
    dir.write("other.yaml", format!("models:\n  house: {row}\n").as_bytes());
    dir.write(
        "only.yaml",
        format!("replace: true\nmodels:\n  house: {row}\n").as_bytes(),
    );
    let context = r#"{"llm": {"model": "gpt-4", "prompt": "hi", "maxTokens": 2}, "team": {"tier": "free"}}"#;
    let eval = |file: &str| dir.run(&["eval", "my-policy.yaml", "-c", context, "--prices", file]);
    dir.run(&["eval", "my-policy.yaml", "-c", context]).exits(0);
    eval("dear.yaml").exits(1);
    eval("dear.json").exits(1);
    // The built-in row of another model stays, unless nothing else is to count: then the cost is unknown, and that denies.
    eval("other.yaml").exits(0);
    eval("only.yaml").exits(1);
    dir.write("bad.json", b"{");
    assert!(eval("bad.json").exits(2).err.contains("bad.json"));
    dir.write(
        "typo.yaml",
        b"models:\n  house:\n    provider: acme\n    input_per_milion: 1\n",
    );
    let refused = eval("typo.yaml").exits(2).err;
    assert!(
        refused.contains(
            "in the price file `typo.yaml`: line 4, column 5: a model has no key `input_per_milion`; did you mean \
             `input_per_million`?"
        ),
        "{refused}"
    );
    dir.write(
        "old.tsv",
        b"#policy-prices 2\nhouse\tacme\tchat\t\t\t\t\tstandard:1,2\n",
    );
    let refused = eval("old.tsv").exits(2).err;
    assert!(
        refused.contains("a table separated by tabs is no price file: write YAML or JSON such as `models:"),
        "{refused}"
    );
}

#[test]
fn the_trace_shows_every_condition() {
    let dir = dir();
    let text = dir
        .run(&["eval", "my-policy.yaml", "-c", CHEAP, "--trace"])
        .exits(0);
    assert!(text.out.contains("llm.estimatedCost gt 1"), "{}", text.out);
    let json = dir
        .run(&[
            "eval",
            "my-policy.yaml",
            "-c",
            CHEAP,
            "--trace",
            "--format",
            "json",
        ])
        .exits(0)
        .json();
    let rule = &json["decision"]["trace"]["rules"][0];
    assert_eq!(rule["fired"], false);
    assert_eq!(rule["condition"]["conditions"][1]["outcome"], "true");
}

#[test]
fn a_stream_keeps_order_and_goes_on_after_malformed_lines() {
    let dir = dir();
    let input = format!("{DEAR}\n{{bad\n\n{CHEAP}\r\n[1]\n{DEAR}");
    dir.write("contexts.jsonl", input.as_bytes());
    let file = dir
        .run(&[
            "eval",
            "my-policy.yaml",
            "--contexts",
            "contexts.jsonl",
            "--format",
            "json",
        ])
        .exits(2);
    let stdin = dir
        .run_with(&["eval", "my-policy.yaml", "--contexts", "-"], input.as_bytes())
        .exits(2);
    for ran in [file, stdin] {
        let lines = ran.json_lines();
        assert_eq!(lines.len(), 6, "{}", ran.out);
        let decision = |i: usize| lines[i]["decision"]["decision"].clone();
        assert_eq!([decision(0), decision(3), decision(5)], ["deny", "allow", "deny"]);
        for i in [1, 2, 4] {
            assert_eq!(lines[i]["line"], i + 1);
            assert_eq!(lines[i]["error"]["code"], "malformed_context");
            assert!(lines[i]["error"]["message"].is_string());
        }
    }
    let text = dir
        .run(&[
            "eval",
            "my-policy.yaml",
            "--contexts",
            "contexts.jsonl",
            "--format",
            "text",
        ])
        .exits(2);
    assert_eq!(text.out.lines().next(), Some("1: deny"));
}

/// Whoever replays a log must not take what was masked for what was sent.
#[test]
fn a_stream_understands_decisions_of_a_log() {
    let dir = dir();
    let log = |context: &str| {
        format!(
            r#"{{"id":"1","requestId":"r","namespace":"production","decision":"allow","context":{context}}}"#
        )
    };
    let masked = DEAR.replace("\"hi\"", "\"[masked]\"");
    let lines = [
        log(DEAR),
        format!(r#"{{"context":{CHEAP},"trace":true}}"#),
        log(&masked),
    ];
    dir.write("log.jsonl", lines.join("\n").as_bytes());
    let arguments = ["eval", "my-policy.yaml", "--contexts", "log.jsonl"];
    let ran = dir.run(&arguments).exits(0);
    let decided: Vec<_> = ran
        .json_lines()
        .iter()
        .map(|line| line["decision"]["decision"].clone())
        .collect();
    assert_eq!(decided, ["deny", "allow", "deny"]);
    let answers = ran.json_lines();
    // What has no id is given one.
    assert_eq!([&answers[0]["requestId"], &answers[2]["requestId"]], ["r", "r"]);
    assert!(
        answers[1]["requestId"].as_str().is_some_and(|id| id.len() > 1),
        "{}",
        answers[1]
    );
    let said = "llm.prompt was masked in the log, so these rules may decide differently than they did: \
                cost-limit-policy/deny-expensive-models";
    assert!(ran.err.contains(said), "{}", ran.err);
    // So is what stands for personal data in a text.
    dir.write("log.jsonl", log(&DEAR.replace("free", "[EMAIL] x")).as_bytes());
    let ran = dir.run(&arguments).exits(0);
    assert!(ran.err.contains("team.tier was masked in the log"), "{}", ran.err);
    // The namespace is the one that the decision was about, and what is not there is not decided on.
    let other = log(DEAR).replace("production", "elsewhere");
    let lines = [log("null"), log("\"enc:v1:x\""), other];
    dir.write("log.jsonl", lines.join("\n").as_bytes());
    let ran = dir.run(&arguments).exits(2);
    let codes: Vec<_> = ran
        .json_lines()
        .iter()
        .map(|line| line["error"]["code"].clone())
        .collect();
    assert_eq!(codes, ["no_context", "no_context", "unknown_namespace"]);
    assert!(
        ran.json_lines().iter().all(|line| line["requestId"] == "r"),
        "{}",
        ran.out
    );
    assert!(ran.err.contains("3 lines could not be decided"), "{}", ran.err);
    let diff = [
        "diff",
        "my-policy.yaml",
        "my-policy.yaml",
        "--contexts",
        "log.jsonl",
    ];
    let ran = dir.run(&diff).exits(2);
    let said = "line 1 of `log.jsonl`: this decision has no context";
    assert!(ran.err.contains(said), "{}", ran.err);
}

#[test]
fn a_stream_ends_at_once_when_its_flags_are_wrong() {
    let dir = dir();
    let ran = dir
        .run_with(
            &[
                "eval",
                "my-policy.yaml",
                "--contexts",
                "-",
                "--policies",
                "nobody",
            ],
            b"{}\n{}\n",
        )
        .exits(2);
    assert!(
        ran.out.is_empty() && ran.err.contains("`nobody`"),
        "{}{}",
        ran.out,
        ran.err
    );
}

#[test]
fn a_stream_answers_before_the_next_line_is_written() {
    let dir = dir();
    let mut child = command(&["eval", "my-policy.yaml", "--contexts", "-"])
        .current_dir(&dir.0)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    for (context, wanted) in [(DEAR, "\"deny\""), (CHEAP, "\"allow\"")] {
        writeln!(stdin, "{context}").unwrap();
        stdin.flush().unwrap();
        let mut line = String::new();
        stdout.read_line(&mut line).unwrap();
        assert!(line.contains(wanted), "{line}");
    }
    drop(stdin);
    assert!(child.wait().unwrap().success());
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let dir = dir();
    dir.write("contexts.jsonl", format!("{CHEAP}\n").repeat(20_000).as_bytes());
    let mut child = command(&["eval", "my-policy.yaml", "--contexts", "contexts.jsonl"])
        .current_dir(&dir.0)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert!(
        output.stderr.is_empty(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

#[test]
fn directories_are_searched_and_test_files_left_out() {
    let other = QUICKSTART
        .replace("cost-limit-policy", "other")
        .replace("production", "default");
    let dir = Dir::with(&[
        ("policies/a.yaml", QUICKSTART),
        ("policies/deep/b.yml", &other),
        ("policies/a_test.yaml", "tests: []"),
        ("policies/.hidden.yaml", "nonsense"),
        ("policies/notes.txt", "nonsense"),
    ]);
    let ran = dir
        .run(&["eval", "policies", "-c", DEAR, "--all", "--format", "json"])
        .exits(1)
        .json();
    let rules = &ran["decision"]["matchedRules"];
    assert_eq!(
        *rules,
        json!([
            "cost-limit-policy/deny-expensive-models",
            "other/deny-expensive-models"
        ])
    );
    let same = dir
        .run(&["eval", "policies/a.yaml", "./policies/a.yaml", "-c", DEAR])
        .exits(1);
    assert!(same.err.is_empty(), "{}", same.err);
    let globbed = dir
        .run(&["eval", "policies/a.yaml", "policies/a_test.yaml", "-c", DEAR])
        .exits(1);
    assert!(globbed.err.contains("1 test file passed over"), "{}", globbed.err);
    let tests = dir.run(&["eval", "policies/a_test.yaml", "-c", DEAR]).exits(2);
    assert!(
        tests.err.contains("policyc test policies/a_test.yaml"),
        "{}",
        tests.err
    );
    let empty = Dir::with(&[("empty/notes.txt", "")]);
    empty.run(&["eval", "empty", "-c", "{}"]).exits(2);
}

#[test]
fn colours_only_where_they_are_wanted() {
    let dir = dir();
    let plain = dir.run(&["eval", "my-policy.yaml", "-c", DEAR]).exits(1);
    assert!(!plain.out.contains('\u{1b}'));
    let coloured = dir
        .run(&["eval", "my-policy.yaml", "-c", DEAR, "--color", "always"])
        .exits(1);
    assert!(coloured.out.contains('\u{1b}'));
}

/// What a request holds must not pass for lines of ours, nor for orders to the terminal, whether there is one or not.
#[test]
fn texts_of_requests_stay_on_their_line() {
    let policy = "\
metadata: { id: p, name: P }
rules:
  - id: r
    condition: { operator: starts_with, field: llm.model, value: x }
    action:
      decision: modify
      reason: 'model {{ llm.model }} changed'
      modifications: { llm.note: '{{ llm.model }}' }
  - id: s
    condition: { operator: gt, field: metadata.n, value: 1 }
    action: { decision: warn, reason: \"two\\nlines\\n\" }
";
    let context = r#"{"llm": {"model": "x\nALLOW  no rule fired\u001b[2J\u009b1m\u202e\u2028\r"}, "metadata": {"n": "\nALLOW"}}"#;
    let dir = Dir::with(&[
        ("p.yaml", policy),
        ("c.jsonl", &format!("{context}\n")),
        (
            "p_test.yaml",
            &format!("tests:\n  - name: t\n    context: {context}\n    expect: {{ reason: a }}\n"),
        ),
        ("q.yaml", &policy.replace("changed", "kept")),
    ]);
    for arguments in [
        &["eval", "p.yaml", "--trace", "-c", context][..],
        &["explain", "p.yaml", "-c", context],
        &["test", "p_test.yaml"],
        &["diff", "p.yaml", "q.yaml", "--contexts", "c.jsonl"],
        &["eval", "p.yaml", "--format", "text", "--contexts", "c.jsonl"],
    ] {
        for colour in ["always", "never"] {
            let ran = dir.run(&[arguments, &["--color", colour]].concat());
            let text = format!("{}{}", ran.out, ran.err);
            let plain = without_styles(&text);
            for c in ['\u{1b}', '\u{9b}', '\u{202e}', '\u{2028}', '\r'] {
                assert!(!plain.contains(c), "{arguments:?}: {c:?} in {text:?}");
            }
            assert!(
                !plain.lines().any(|line| line.trim_start().starts_with("ALLOW")),
                "{text}"
            );
        }
    }
    let ran = dir.run(&["eval", "p.yaml", "-c", context]);
    assert!(
        ran.out.starts_with(
            "MODIFY  model x\\nALLOW  no rule fired\\u{1b}[2J\\u{9b}1m\\u{202e}\\u{2028}\\r changed\n"
        ),
        "{}",
        ran.out
    );
    // Machines get it as it is.
    let json = dir
        .run(&["eval", "p.yaml", "-c", context, "--format", "json"])
        .json();
    assert_eq!(
        json["decision"]["reason"],
        "model x\nALLOW  no rule fired\u{1b}[2J\u{9b}1m\u{202e}\u{2028}\r changed"
    );
}

/// Nor may policies that others wrote, and the names of their files.
#[test]
fn texts_of_policies_stay_on_their_line() {
    let policy = "metadata: { id: \"a\\e[2J\\nALLOW\", name: P }\nrules:\n  - id: \"r\\e[2J\\nALLOW\"\n    \
        condition: { operator: matches, field: llm.prompt, value: \"x\\u009b\" }\n    action: { decision: deny }\n";
    let dir = Dir::with(&[
        ("a.yaml", policy),
        ("b\u{1b}[2J\nALLOW.yaml", policy),
        ("c/x\u{1b}[2J.bak", policy),
        ("c/a.yaml", policy),
    ]);
    dir.run(&["build", "a.yaml", "-o", "p.bundle"]).exits(0);
    for arguments in [
        &["check", "."][..],
        &["check", "c"],
        &["inspect", "p.bundle"],
        &["inspect", "--index", "p.bundle"],
    ] {
        let ran = dir.run(&[arguments, &["--color", "always"]].concat());
        let text = format!("{}{}", ran.out, ran.err);
        let plain = without_styles(&text);
        assert!(!plain.contains(['\u{1b}', '\u{9b}']), "{arguments:?}: {text:?}");
        assert!(
            !plain.lines().any(|line| line.trim_start().starts_with("ALLOW")),
            "{arguments:?}: {text}"
        );
    }
}

/// A text without the escapes that only choose colours and weights.
fn without_styles(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("\u{1b}[") {
        out.push_str(before);
        let end = after.find(|c: char| !c.is_ascii_digit() && c != ';').unwrap_or(0);
        if after[end..].starts_with('m') {
            rest = &after[end + 1..];
        } else {
            out.push('\u{1b}');
            rest = after;
        }
    }
    out + rest
}

/// Standard output is closed before the program writes: what was decided stands.
#[test]
fn a_closed_pipe_changes_no_exit_code() {
    let dir = dir();
    dir.write("bad.yaml", b"metadata: {id: b, name: B}\nrules: 1\n");
    dir.write(
        "my-policy_test.yaml",
        b"tests: [{name: t, expect: {decision: deny}}]\n",
    );
    dir.write("contexts.jsonl", format!("{DEAR}\n").as_bytes());
    dir.write("other.yaml", QUICKSTART.replace("1.0\n", "2.0\n").as_bytes());
    for (arguments, code) in [
        (&["eval", "my-policy.yaml", "--context", DEAR][..], 1),
        (
            &["eval", "my-policy.yaml", "--context", DEAR, "--format", "json"],
            1,
        ),
        (&["eval", "my-policy.yaml", "--context", CHEAP], 0),
        (&["eval", "my-policy.yaml", "--contexts", "contexts.jsonl"], 0),
        (&["explain", "my-policy.yaml", "--context", DEAR], 1),
        (&["test", "my-policy_test.yaml"], 1),
        (&["diff", "my-policy.yaml", "other.yaml"], 1),
        (&["check", "bad.yaml", "--format", "json"], 2),
        (&["schema", "policy"], 0),
    ] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let status = command(arguments)
            .current_dir(&dir.0)
            .stdin(Stdio::null())
            .stdout(writer)
            .stderr(Stdio::null())
            .status()
            .unwrap();
        assert_eq!(status.code(), Some(code), "{arguments:?}");
    }
}

#[test]
fn a_rule_is_shown_with_the_file_of_its_own_namespace() {
    let of =
        |namespace: &str| QUICKSTART.replace("namespace: production", &format!("namespace: {namespace}"));
    let dir = Dir::with(&[
        ("policies/ads.yaml", &of("ads")),
        ("policies/search.yaml", &of("search")),
    ]);
    for (namespace, other) in [("search", "ads"), ("ads", "search")] {
        let ran = dir
            .run(&["eval", "policies", "--namespace", namespace, "--context", DEAR])
            .exits(1);
        assert!(
            ran.out.contains(&format!("policies/{namespace}.yaml:")),
            "{}",
            ran.out
        );
        assert!(
            !ran.out.contains(&format!("policies/{other}.yaml:")),
            "{}",
            ran.out
        );
    }
}

#[test]
fn names_that_requests_never_hold_are_noted() {
    let dir = dir();
    let context =
        r#"{"llm": {"modle": "gpt-4", "prompt": "hi"}, "custom": {"modle": 1}, "metadata": {"x": 1}}"#;
    let ran = dir
        .run(&["eval", "my-policy.yaml", "--context", context])
        .exits(0);
    assert_eq!(
        ran.err,
        "note: `llm.modle` is not a known field of `llm` (did you mean `model`?)\n"
    );
    let quiet = dir
        .run(&["eval", "my-policy.yaml", "--context", context, "-q"])
        .exits(0);
    assert_eq!(quiet.err, "");
    dir.write("contexts.jsonl", context.as_bytes());
    let lines = dir
        .run(&["eval", "my-policy.yaml", "--contexts", "contexts.jsonl"])
        .exits(0);
    assert_eq!(lines.err, "");
}

#[test]
fn a_context_that_is_not_meant_so_says_how_to_write_it() {
    let dir = dir();
    let said = |context: &str| {
        dir.run(&["eval", "my-policy.yaml", "--context", context])
            .exits(2)
            .err
    };
    let bare = said("{llm: {model: gpt-4}}");
    assert!(
        bare.contains(r#"JSON has names in double quotes, as in {"llm": …}"#),
        "{bare}"
    );
    let part = said(r#"{"llm":"gpt-4"}"#);
    assert!(
        part.contains("no decision: `llm` must be an object, found a string (byte 7)"),
        "{part}"
    );
    let bare = said("missing.json");
    assert!(bare.contains("to read it from a file, write @FILE"), "{bare}");
    dir.write("ctx.json", DEAR.as_bytes());
    assert!(said("ctx.json").contains("write `--context @ctx.json`"));
    // What looks like a known object and is none is mentioned, what a gateway adds is not.
    let odd = dir
        .run(&[
            "eval",
            "my-policy.yaml",
            "--context",
            r#"{"lllm": {}, "budgt": {}, "tenant": {}}"#,
        ])
        .exits(0)
        .err;
    assert!(
        odd.contains("`lllm` is not a known object (did you mean `llm`?)"),
        "{odd}"
    );
    assert!(
        odd.contains("did you mean `budget`?") && !odd.contains("tenant"),
        "{odd}"
    );
}
