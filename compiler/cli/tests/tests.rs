//! `policyc test`: outcomes, reports, coverage, and test files that are refused.

mod support;

use std::io::{BufRead as _, BufReader};
use std::process::Stdio;
use std::sync::mpsc;
use std::time::Duration;
use support::{Dir, QUICKSTART, repository};

const TESTS: &str = "\
policies: [cost.yaml]
contexts:
  free: { llm: { provider: openai, model: gpt-4, prompt: Hello, maxTokens: 10 }, team: { tier: free } }
  paid: { team: { tier: paid } }
tests:
  - { name: cheap passes, context: free, expect: { decision: allow, matchedRules: [], reason: null } }
  - name: dear is denied
    context: free
    set: { llm.estimatedCost: 2 }
    expect:
      decision: deny
      reason: Cost exceeds free tier limit ($1.00)
      matchedRules: [deny-expensive-models]
      matchedPolicies: [cost-limit-policy]
  - { name: namespace, contexts: [free, paid], namespace: production, expect: { decision: allow } }
  - { name: computed, context: free, set: { llm.estimatedCost: 2 }, derive: always, expect: { decision: allow } }
  - name: wrong type
    context: { team: { tier: free } }
    set: { llm.estimatedCost: high }
    expect: { decision: deny, errors: [ { rule: deny-expensive-models, field: llm.estimatedCost, found: string } ] }
";

fn dir(tests: &str) -> Dir {
    Dir::with(&[("p/cost.yaml", QUICKSTART), ("p/cost_test.yaml", tests)])
}

#[test]
fn passing_tests_exit_with_0_however_they_are_named() {
    let dir = dir(TESTS);
    for path in ["p", "p/cost.yaml", "p/cost_test.yaml"] {
        let ran = dir.run(&["test", path]).exits(0);
        assert!(ran.out.contains("6 passed, 0 failed (1 file"), "{}", ran.out);
        assert!(ran.out.contains("ok   namespace [paid]"), "{}", ran.out);
    }
    let filtered = dir.run(&["test", "p", "--filter", "dear"]).exits(0);
    assert!(filtered.out.contains("1 passed"), "{}", filtered.out);
    dir.run(&["test", "p", "--filter", "nothing is called so"])
        .exits(2);
}

#[test]
fn policies_default_to_the_file_that_the_tests_are_named_after() {
    dir(TESTS.strip_prefix("policies: [cost.yaml]\n").unwrap())
        .run(&["test", "p"])
        .exits(0);
}

#[test]
fn a_namespace_that_no_policy_is_of_fails_the_test() {
    let ran = dir(&TESTS.replace("namespace: production", "namespace: Production"))
        .run(&["test", "p/cost_test.yaml"])
        .exits(1);
    let said = "no decision: namespace `Production` has no active policy";
    assert!(ran.out.contains(said), "{}", ran.out);
}

#[test]
fn a_context_with_a_text_for_an_object_says_so() {
    let ran =
        dir("policies: [cost.yaml]\ntests: [{name: x, context: {llm: gpt-4}, expect: {decision: deny}}]\n")
            .run(&["test", "p/cost_test.yaml"])
            .exits(1);
    let said = "no decision: malformed context: `llm` must be an object, found a string";
    assert!(ran.out.contains(said), "{}", ran.out);
}

#[test]
fn a_directory_by_its_dot_has_no_part_in_the_names_of_files() {
    let one = TESTS.split("  - name: dear is denied").next().unwrap();
    let dir = dir(&one.replace("policies: [cost.yaml]", "policies: [.]"));
    let out = dir.run(&["test", "p", "--coverage"]).exits(0).out;
    assert!(
        out.contains("  p/cost.yaml:9:9: cost-limit-policy/deny-expensive-models never fired"),
        "{out}"
    );
}

#[test]
fn a_failing_test_shows_what_differs_and_exits_with_1() {
    let wrong = TESTS
        .replace("decision: deny\n      reason", "decision: warn\n      reason")
        .replace("[deny-expensive-models]", "[some-rule]");
    let dir = dir(&wrong);
    let text = dir.run(&["test", "p"]).exits(1).out;
    assert!(text.contains("FAIL dear is denied  p/cost_test.yaml:7"), "{text}");
    assert!(
        text.contains("decision: expected \"warn\", got \"deny\""),
        "{text}"
    );
    assert!(
        text.contains("-   \"some-rule\"") && text.contains("+   \"deny-expensive-models\""),
        "{text}"
    );
    let json = dir.run(&["test", "p", "--format", "json"]).exits(1).json();
    assert_eq!((&json["passed"], &json["failed"]), (&5.into(), &1.into()));
    assert_eq!(json["files"][0]["tests"][1]["failures"][0]["what"], "decision");
}

#[test]
fn junit_counts_and_escapes() {
    let wrong = TESTS
        .replace("name: cheap passes", "name: 'a < b & \"c\"'")
        .replace("decision: deny\n", "decision: warn\n");
    let out = dir(&wrong).run(&["test", "p", "--format", "junit"]).exits(1).out;
    assert!(
        out.starts_with("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites"),
        "{out}"
    );
    assert!(out.contains("tests=\"6\" failures=\"1\" errors=\"0\""), "{out}");
    assert!(out.contains("name=\"a &lt; b &amp; &quot;c&quot;\""), "{out}");
    assert!(out.contains("<failure message=\"decision\">"), "{out}");
    assert_eq!(out.matches("<testcase").count(), 6);
    assert!(out.trim_end().ends_with("</testsuites>"));
}

#[test]
fn coverage_names_what_was_not_reached() {
    let one = TESTS.split("  - name: dear is denied").next().unwrap();
    let dir = dir(one);
    let rule = dir.run(&["test", "p", "--coverage"]).exits(0).out;
    assert!(rule.contains("0 of 1 rules fired (0.0 %)"), "{rule}");
    assert!(
        rule.contains("p/cost.yaml:9:9: cost-limit-policy/deny-expensive-models never fired"),
        "{rule}"
    );
    let condition = dir.run(&["test", "p", "--coverage=condition"]).exits(0).out;
    assert!(
        condition.contains("2 of 4 condition outcomes seen (50.0 %)"),
        "{condition}"
    );
    assert!(
        condition.contains("p/cost.yaml:14:11:") && condition.contains("was never true"),
        "{condition}"
    );
    dir.run(&["test", "p", "--coverage=condition", "--min-coverage", "50"])
        .exits(0);
    dir.run(&["test", "p", "--coverage=condition", "--min-coverage", "51"])
        .exits(1);
    dir.run(&["test", "p", "--min-coverage", "1"]).exits(1);
    let json = dir
        .run(&["test", "p", "--coverage=condition", "--format", "json"])
        .exits(0)
        .json();
    assert_eq!(json["coverage"]["covered"], 2);
}

/// Rules of equal conditions share their code, and equal comparisons are one; each place is covered by itself all the same.
#[test]
fn coverage_knows_each_place_of_a_comparison() {
    let policy = "\
metadata: { id: twice, name: Twice }
rules:
  - id: first
    condition: { operator: eq, field: team.tier, value: free }
    action: { decision: warn }
  - id: second
    condition:
      operator: not
      conditions:
        - operator: or
          conditions:
            - { operator: ne, field: team.tier, value: free }
            - { operator: in, field: team.id, value: [] }
    action: { decision: warn }
";
    let tests = "\
policies: [twice.yaml]
tests:
  - { name: free, context: { team: { tier: free } }, expect: { decision: warn } }
";
    let dir = Dir::with(&[("p/twice.yaml", policy), ("p/twice_test.yaml", tests)]);
    let out = dir.run(&["test", "p", "--coverage=condition"]).exits(0).out;
    for gap in [
        "p/twice.yaml:4:16: twice/first: `team.tier eq \"free\"` was never false",
        "p/twice.yaml:12:15: twice/second: `team.tier ne \"free\"` was never true",
        "p/twice.yaml:13:15: twice/second: `team.id in []` was never true",
    ] {
        assert!(out.contains(gap), "{gap}\n{out}");
    }
}

#[test]
fn policies_without_a_test_file_are_not_covered() {
    let other = QUICKSTART
        .replace("cost-limit-policy", "other")
        .replace("deny-expensive-models", "dear");
    let dir = dir(TESTS);
    dir.run(&["test", "p", "--min-coverage", "100"]).exits(0);
    dir.write("p/deep/other.yaml", other.as_bytes());
    let ran = dir.run(&["test", "p", "--min-coverage", "51"]).exits(1);
    for said in [
        "coverage: 1 of 2 rules fired (50.0 %)",
        "p/deep/other.yaml:1:1: no test file loads these policies",
        "other/dear never fired",
    ] {
        assert!(ran.out.contains(said), "{}", ran.out);
    }
    // A test that names its policies in another way loads the same files, and whoever asks for one file asks for no other.
    dir.run(&["test", "p/cost_test.yaml", "--min-coverage", "100"])
        .exits(0);
    let tests = TESTS
        .replace("[cost.yaml]", "[../deep/other.yaml]")
        .replace("cost-limit-policy", "other")
        .replace("deny-expensive-models", "dear");
    dir.write("p/deep/other_test.yaml", tests.as_bytes());
    dir.run(&["test", "p", "--min-coverage", "100"]).exits(0);
    // What is not tested has to be a policy all the same.
    dir.write("p/broken.yaml", b"metadata: { id: b, name: B }\nrules: 7\n");
    let broken = dir.run(&["test", "p", "--coverage"]).exits(2);
    assert!(broken.err.contains("p/broken.yaml:2"), "{}", broken.err);
    dir.run(&["test", "p"]).exits(0);
}

/// A test whose path is misspelt tests nothing, and looks as if it did.
#[test]
fn what_tests_nothing_is_said() {
    let dir = dir("\
policies: [cost.yaml]
contexts:
  free: { llm: { modle: gpt-4, stop: x }, team: { tier: gold } }
  paid: { team: { tier: paid } }
tests:
  - name: one
    context: free
    set: { llm.estimatedCots: 2, metadata.anything: 1 }
    unset: [user.rolls]
    expect: { decision: allow }
");
    let ran = dir.run(&["test", "p"]).exits(0);
    for said in [
        "warning[W0002]: `llm.modle` is not a known field of `llm`\n --> p/cost_test.yaml:3:18",
        "warning[W0002]: `llm.estimatedCots` is not a known field of `llm`\n --> p/cost_test.yaml:8:12",
        "warning[W0002]: `user.rolls` is not a known field of `user`\n --> p/cost_test.yaml:9:13",
        "warning[W0203]: no test uses the context `paid`\n --> p/cost_test.yaml:4:3",
    ] {
        assert!(ran.err.contains(said), "{said}: {}", ran.err);
    }
    assert_eq!(ran.err.matches("warning[").count(), 4, "{}", ran.err);
    dir.run(&["test", "p", "--strict"]).exits(1);
    dir.write("p/cost_test.yaml", TESTS.as_bytes());
    assert_eq!(dir.run(&["test", "p", "--strict"]).exits(0).err, "");
    let twice = TESTS.replace("dear is denied", "cheap passes");
    dir.write("p/cost_test.yaml", twice.as_bytes());
    let ran = dir.run(&["test", "p"]).exits(2);
    let said = "error[E0015]: two tests are named `cheap passes`\n --> p/cost_test.yaml:7:11";
    assert!(ran.err.contains(said), "{}", ran.err);
}

#[test]
fn mistakes_in_test_files_are_shown_at_their_place() {
    for (text, place, message) in [
        (
            "tests:\n  - nam: x\n    expect: {decision: deny}\n",
            "2:5",
            "did you mean `name`?",
        ),
        (
            "tests:\n  - name: x\n    expect: {decison: deny}\n",
            "3:14",
            "did you mean `decision`?",
        ),
        (
            "tests:\n  - name: x\n    expect: {decision: block}\n",
            "3:24",
            "there is no decision `block`",
        ),
        ("tests:\n  - name: x\n", "2:5", "a test needs `expect`"),
        (
            "tests:\n  - {name: x, context: nobody, expect: {decision: deny}}\n",
            "2:24",
            "there is no context `nobody`",
        ),
        ("tests: []\n", "1:8", "a list with at least one test"),
        (
            "tests:\n  - {name: x, set: {a..b: 1}, expect: {decision: deny}}\n",
            "2:21",
            "field path",
        ),
        (
            "policies: [nowhere.yaml]\ntests:\n  - {name: x, expect: {decision: deny}}\n",
            "1:12",
            "there is no file",
        ),
        (
            "tests:\n  - {name: x, name: y, expect: {decision: deny}}\n",
            "2:15",
            "twice",
        ),
    ] {
        let ran = dir(text).run(&["test", "p"]).exits(2);
        assert!(
            ran.err.contains(&format!("p/cost_test.yaml:{place}\n")),
            "{place} in {}",
            ran.err
        );
        assert!(ran.err.contains(message), "{message} in {}", ran.err);
    }
}

#[test]
fn policies_that_do_not_compile_and_missing_tests_exit_with_2() {
    let broken = Dir::with(&[("p/cost.yaml", "nonsense"), ("p/cost_test.yaml", TESTS)]);
    let ran = broken.run(&["test", "p"]).exits(2);
    assert!(
        ran.out.contains("not run:") && ran.err.contains("p/cost.yaml"),
        "{}{}",
        ran.out,
        ran.err
    );
    let none = Dir::with(&[("p/cost.yaml", QUICKSTART)]);
    none.run(&["test", "p"]).exits(2);
    none.run(&["test", "p/cost.yaml"]).exits(2);
    none.run(&["test", "nowhere"]).exits(2);
}

#[test]
fn the_shipped_examples_pass() {
    let examples = repository("examples/policies").display().to_string();
    let ran = Dir::new().run(&["test", &examples]);
    assert_eq!(
        ran.code,
        0,
        "{}",
        ran.out
            .lines()
            .filter(|l| !l.contains("  ok "))
            .collect::<Vec<_>>()
            .join("\n")
    );
}

const NAMED: &str = "\
import: [../shared.yaml]
metadata: {id: cost, name: Cost}
rules:
- id: over
  condition: {operator: gt, field: llm.estimatedCost, valueFrom: let.limit}
  action: {decision: deny, reason: 'over {{ let.limit }}'}
";

#[test]
fn tests_name_the_constants_of_policies() {
    let tests = "import: [../shared.yaml]\ntests:\n- {name: over, set: {llm.estimatedCost: 3}, expect: {decision: deny, \
                 reason: 'over {{ let.limit }}'}}\n- {name: at, set: {llm.estimatedCost: '{{ let.limit }}'}, expect: \
                 {decision: allow}}\n";
    let shared = "kind: definitions\nlet: {limit: 2.5}\n";
    let dir = Dir::with(&[
        ("p/cost.yaml", NAMED),
        ("p/cost_test.yaml", tests),
        ("shared.yaml", shared),
    ]);
    let ran = dir.run(&["test", "p"]).exits(0);
    assert!(ran.out.contains("2 passed"), "{}", ran.out);
    let explained = dir
        .run(&[
            "explain",
            "p/cost.yaml",
            "-c",
            r#"{"llm": {"estimatedCost": 3}}"#,
            "--derive",
            "never",
        ])
        .exits(1);
    assert!(
        explained.out.contains("llm.estimatedCost gt let.limit (2.5)"),
        "{}",
        explained.out
    );
    // A bundle holds the values, and knows the names.
    dir.run(&["build", "p", "-o", "b.bundle"]).exits(0);
    let explained = dir
        .run(&[
            "explain",
            "b.bundle",
            "-c",
            r#"{"llm": {"estimatedCost": 3}}"#,
            "--derive",
            "never",
        ])
        .exits(1);
    assert!(explained.out.contains("let.limit (2.5)"), "{}", explained.out);

    let misspelt = tests
        .replace("let.limit}}'}}\n- ", "let.limt }}'}}\n- ")
        .replace("{{ let.limit }}'}}", "{{ let.limt }}'}}");
    let dir = Dir::with(&[
        ("p/cost.yaml", NAMED),
        ("p/cost_test.yaml", &misspelt),
        ("shared.yaml", shared),
    ]);
    let ran = dir.run(&["test", "p"]).exits(2);
    assert!(ran.err.contains("did you mean `let.limit`?"), "{}", ran.err);
}

#[test]
fn an_import_that_cannot_be_read_is_an_error_at_its_place() {
    let dir = Dir::with(&[("p/cost.yaml", NAMED)]);
    let ran = dir.run(&["check", "p"]).exits(2);
    assert!(
        ran.err.contains("p/cost.yaml:1:10") && ran.err.contains("`shared.yaml` is not there"),
        "{}",
        ran.err
    );
}

/// The price file is outside the directories of the tests.
#[test]
fn a_changed_price_file_runs_the_watched_tests_again() {
    let tests = "\
tests:
  - name: dear
    context: { llm: { provider: acme, model: house, prompt: Hello, maxTokens: 10 }, team: { tier: free } }
    expect: { decision: deny, reason: \"Cost exceeds free tier limit ($1.00)\" }
";
    let prices = |dollars: u32| {
        format!("models:\n  house: {{provider: acme, input_per_million: 1, output_per_million: {dollars}}}\n")
    };
    let dir = Dir::with(&[
        ("p/cost.yaml", QUICKSTART),
        ("p/cost_test.yaml", tests),
        ("money/prices.yaml", &prices(1)),
    ]);
    let mut child = support::command(&["test", "p", "--prices", "money/prices.yaml", "--watch"])
        .current_dir(&dir.0)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let (sender, lines) = mpsc::channel();
    let stdout = BufReader::new(child.stdout.take().unwrap());
    let reader = std::thread::spawn(move || {
        for line in stdout.lines().map_while(Result::ok) {
            // Nobody listens when the test is over.
            sender.send(line).unwrap_or(());
        }
    });
    let wait = |text: &str| {
        let patience = Duration::from_secs(60);
        while let Ok(line) = lines.recv_timeout(patience) {
            if line.contains(text) {
                return true;
            }
        }
        false
    };
    let failed = wait("0 passed, 1 failed");
    dir.write("money/prices.yaml", prices(900_000).as_bytes());
    let passed = wait("1 passed, 0 failed");
    child.kill().unwrap();
    child.wait().unwrap();
    drop(lines);
    drop(reader);
    assert!(failed && passed, "{failed} {passed}");
}

#[test]
fn a_placeholder_of_a_constant_that_is_not_there_is_an_error() {
    let dir = Dir::with(&[
        ("q.yaml", support::QUICKSTART),
        (
            "q_test.yaml",
            "tests:\n- {name: t, set: {llm.model: 'a {{ let.x }}'}, expect: {decision: allow}}\n",
        ),
    ]);
    let ran = dir.run(&["test", "q_test.yaml"]).exits(2);
    assert!(
        ran.err.contains("error[E0018]: there is no constant `x`"),
        "{}",
        ran.err
    );
    assert!(ran.err.contains("q_test.yaml:2:"), "{}", ran.err);
}

#[test]
fn a_misspelt_name_in_a_context_is_replaced_by_a_name() {
    let dir = Dir::with(&[
        ("q.yaml", support::QUICKSTART),
        (
            "q_test.yaml",
            "tests:\n- {name: t, context: {llm: {modle: x}}, expect: {decision: allow}}\n",
        ),
    ]);
    let ran = dir.run(&["test", "q_test.yaml"]).exits(0);
    assert!(ran.err.contains("did you mean `model`?"), "{}", ran.err);
    assert!(
        ran.err.contains("{\"model\": x}") && !ran.err.contains("llm.model\""),
        "{}",
        ran.err
    );
}

#[test]
fn coverage_is_of_policies_and_of_files_that_ran() {
    let test =
        "tests:\n- {name: t, set: {llm.estimatedCost: 2, team.tier: free}, expect: {decision: deny}}\n";
    let dir = Dir::with(&[
        ("p/q.yaml", support::QUICKSTART),
        ("p/q_test.yaml", test),
        ("p/shared.yaml", "kind: definitions\nlet: {limit: 2.5}\n"),
    ]);
    let ran = dir.run(&["test", "p", "--coverage"]).exits(0);
    assert!(
        ran.out.contains("1 of 1 rules fired") && !ran.out.contains("shared.yaml"),
        "{}",
        ran.out
    );
    dir.write("p/q_test.yaml", b"tests: 1\n");
    let ran = dir.run(&["test", "p", "--coverage"]).exits(2);
    assert!(!ran.out.contains("coverage"), "{}", ran.out);
}

#[test]
fn a_policy_file_that_is_not_there_has_a_near_one() {
    let dir = Dir::with(&[
        ("p/quota.yaml", support::QUICKSTART),
        (
            "p/all_test.yaml",
            "policies: [qouta.yaml]\ntests: [{name: t, expect: {decision: allow}}]\n",
        ),
    ]);
    let ran = dir.run(&["test", "p"]).exits(2);
    assert!(ran.err.contains("did you mean `quota.yaml`?"), "{}", ran.err);
}

/// A policy that somebody sends may import whatever lies on the machine.
#[test]
fn an_import_shows_no_line_of_what_defines_nothing() {
    let dir = Dir::with(&[
        ("p/cost.yaml", NAMED),
        ("shared.yaml", "users:\n- token: hunter2: a\n"),
    ]);
    let ran = dir.run(&["check", "p"]).exits(2);
    assert!(ran.err.contains("`shared.yaml` defines nothing"), "{}", ran.err);
    for stream in [&ran.out, &ran.err] {
        assert!(!stream.contains("hunter2"), "{stream}");
    }
}
