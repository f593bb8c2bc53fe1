//! `policyc check`: places, formats, exit codes.

mod support;

use serde_json::Value;
use support::{Dir, QUICKSTART, repository};

const WARNS: &str = "\
metadata: { id: w, name: W, version: '1.0' }
rules:
  - id: r
    condition: { operator: eq, field: team.tier, value: free }
    action: { decision: deny }
";

fn ten() -> String {
    repository("grammar/resources/err/ten-mistakes.yaml")
        .display()
        .to_string()
}

#[test]
fn ten_mistakes_give_ten_diagnostics_at_their_places() {
    let dir = Dir::new();
    let text = dir.run(&["check", &ten()]).exits(2);
    assert!(text.out.is_empty());
    for place in [
        "5:3", "6:12", "7:9", "11:17", "15:17", "16:21", "21:18", "23:9", "26:7", "30:25",
    ] {
        assert!(
            text.err.contains(&format!("ten-mistakes.yaml:{place}\n")),
            "{place} in {}",
            text.err
        );
    }
    assert!(text.err.contains("did you mean `priority`?"));
    assert!(
        text.err.ends_with("1 file: 9 errors, 1 warning\n"),
        "{}",
        text.err
    );
}

#[test]
fn json_has_every_key_of_every_diagnostic() {
    let list = Dir::new()
        .run(&["check", "--format", "json", &ten()])
        .exits(2)
        .json();
    let list = list.as_array().unwrap();
    assert_eq!(list.len(), 10);
    for diagnostic in list {
        for key in [
            "file",
            "line",
            "column",
            "endLine",
            "endColumn",
            "code",
            "severity",
            "message",
            "help",
            "fix",
        ] {
            assert!(diagnostic.get(key).is_some(), "{key} in {diagnostic}");
        }
    }
    let first = &list[0];
    assert_eq!(
        (&first["line"], &first["column"], &first["endColumn"]),
        (&5.into(), &3.into(), &10.into())
    );
    assert_eq!(first["code"], "E0004");
    assert_eq!(first["fix"]["replacement"], "priority");
    assert_eq!(
        Dir::with(&[("p.yaml", QUICKSTART)])
            .run(&["check", "--format", "json", "p.yaml"])
            .exits(0)
            .out,
        "[]\n"
    );
}

#[test]
fn sarif_has_rules_results_and_regions() {
    let log = Dir::new()
        .run(&["check", "--format", "sarif", &ten()])
        .exits(2)
        .json();
    assert_eq!(log["version"], "2.1.0");
    let run = &log["runs"][0];
    let rules = run["tool"]["driver"]["rules"].as_array().unwrap();
    let results = run["results"].as_array().unwrap();
    assert_eq!(results.len(), 10);
    for result in results {
        let index = usize::try_from(result["ruleIndex"].as_u64().unwrap()).unwrap();
        assert_eq!(rules[index]["id"], result["ruleId"]);
        assert!(["error", "warning"].contains(&result["level"].as_str().unwrap()));
        assert!(result["message"]["text"].is_string());
        let region = &result["locations"][0]["physicalLocation"]["region"];
        for key in ["startLine", "startColumn", "endLine", "endColumn"] {
            assert!(region[key].as_u64().unwrap() > 0, "{region}");
        }
    }
    let twice = results.iter().find(|r| r["ruleId"] == "E0012").unwrap();
    assert_eq!(
        twice["relatedLocations"][0]["physicalLocation"]["region"]["startLine"],
        9
    );
}

#[test]
fn github_annotations_are_one_line_each() {
    let ran = Dir::new().run(&["check", "--format", "github", &ten()]).exits(2);
    assert_eq!(ran.out.lines().count(), 10);
    for line in ran.out.lines() {
        assert!(
            line.starts_with("::error file=") || line.starts_with("::warning file="),
            "{line}"
        );
        assert!(line.contains(",line=") && line.contains(",col="), "{line}");
    }
    assert!(ran.out.contains("%0Ahelp: did you mean `priority`?"));
}

#[test]
fn warnings_fail_only_when_strict() {
    let dir = Dir::with(&[("w.yaml", WARNS)]);
    let ran = dir.run(&["check", "w.yaml"]).exits(0);
    assert!(ran.err.contains("warning[W0001]"), "{}", ran.err);
    dir.run(&["check", "--strict", "w.yaml"]).exits(1);
    dir.run_with(&["check", "-"], WARNS.as_bytes()).exits(0);
}

#[test]
fn one_bad_file_does_not_hide_the_others() {
    let dir = Dir::with(&[
        ("p/good.yaml", WARNS),
        ("p/wrong.yaml", "metadata: {id: a, name: A}\nruls: []\n"),
    ]);
    dir.write("p/latin.yaml", b"metadata: {id: caf\xe9}\n");
    let list = dir.run(&["check", "--format", "json", "p"]).exits(2).json();
    let codes = |file: &str| -> Vec<&str> {
        let of_file = |d: &&Value| d["file"] == file;
        list.as_array()
            .unwrap()
            .iter()
            .filter(of_file)
            .map(|d| d["code"].as_str().unwrap())
            .collect()
    };
    assert_eq!(codes("p/good.yaml"), ["W0001"]);
    assert_eq!(codes("p/latin.yaml"), ["E0010"]);
    assert!(codes("p/wrong.yaml").contains(&"E0004"));
}

#[test]
fn a_schema_tells_unknown_fields() {
    let dir = Dir::with(&[
        (
            "p.yaml",
            &WARNS.replace("'1.0'", "1.0.0").replace("team.tier", "order.totl"),
        ),
        (
            "schema.json",
            r#"{"properties": {"order": {"properties": {"total": {"type": "string"}}, "additionalProperties": false}}}"#,
        ),
        ("bad.json", r#"{"allOf": []}"#),
    ]);
    dir.run(&["check", "p.yaml"]).exits(0);
    let ran = dir.run(&["check", "--strict", "--schema", "schema.json", "p.yaml"]);
    assert_ne!(ran.code, 0, "{}", ran.err);
    let bad = dir.run(&["check", "--schema", "bad.json", "p.yaml"]).exits(2);
    assert!(bad.err.contains("bad.json"), "{}", bad.err);
}

#[test]
fn a_duplicate_id_is_shown_at_both_places() {
    let dir = Dir::with(&[("a.yaml", QUICKSTART), ("b.yaml", QUICKSTART)]);
    let ran = dir.run(&["check", "a.yaml", "b.yaml"]).exits(2);
    assert!(
        ran.err.contains("a.yaml:2:7") && ran.err.contains("b.yaml:2:7"),
        "{}",
        ran.err
    );
}

/// A rule that is reached by nothing but running it fails the gate, one of a few that could be looked up does not.
#[test]
fn rules_that_no_index_reaches_can_be_refused() {
    let dir = Dir::new();
    dir.write("free.yaml", QUICKSTART.as_bytes());
    dir.run(&["check", "--require-indexed", "free.yaml"]).exits(0);
    dir.write(
        "any.yaml",
        QUICKSTART.replace("operator: and", "operator: or").as_bytes(),
    );
    dir.run(&["check", "any.yaml"]).exits(0);
    let ran = dir.run(&["check", "--require-indexed", "any.yaml"]).exits(1);
    assert!(
        ran.err.contains("W0107") && ran.err.contains("any.yaml:9:9\n"),
        "{}",
        ran.err
    );
}

/// The bound that `check` holds policies to is the one that a bundle of them states.
#[test]
fn a_limit_of_cost_refuses_what_may_cost_more() {
    let dir = Dir::new();
    dir.write("p.yaml", QUICKSTART.as_bytes());
    dir.run(&["build", "p.yaml", "-o", "p.bundle"]).exits(0);
    let stated = dir.run(&["inspect", "--json", "p.bundle"]).exits(0).json();
    let cost = stated["cost"]["fixedCost"].as_u64().unwrap();
    let text = dir.run(&["inspect", "p.bundle"]).exits(0).out;
    assert!(text.contains(&format!("  {cost} units, and ")), "{text}");
    assert!(text.contains("a unit is roughly a nanosecond"), "{text}");

    dir.run(&["check", "--max-cost", &cost.to_string(), "p.yaml"])
        .exits(0);
    let below = (cost - 1).to_string();
    let refused = dir.run(&["check", "--max-cost", &below, "p.yaml"]).exits(2);
    assert!(
        refused.err.contains(&format!(
            "one evaluation may cost {cost} units, more than the {below} allowed"
        )),
        "{}",
        refused.err
    );
    let list = dir
        .run(&["check", "--max-cost", "0", "--format", "json", "p.yaml"])
        .exits(2)
        .json();
    assert_eq!(list[0]["code"], "E0306");
    dir.run(&["check", "--max-cost", "few", "p.yaml"]).exits(2);
}

/// A policy that is one line of hundreds of kilobytes, with mistakes all along it: each is shown with what stands around it,
/// in every format with its own column.
#[test]
fn a_mistake_in_a_long_line_is_shown_with_what_stands_around_it() {
    let rule = |i: usize| {
        let field = if i % 100 == 7 { "llm.modle" } else { "llm.model" };
        format!(
            r#"{{"id":"ré{i}","condition":{{"operator":"eq","field":"{field}","value":"m{i}"}},"action":{{"decision":"deny"}}}}"#
        )
    };
    let rules: Vec<String> = (0..3000).map(rule).collect();
    let text = format!(
        r#"{{"metadata":{{"id":"p","name":"P"}},"rules":[{},{}]}}"#,
        rules.join(","),
        rule(7)
    );
    let dir = Dir::with(&[("one-line.json", &text)]);
    let columns: Vec<usize> = text
        .match_indices(r#""llm.modle""#)
        .map(|(at, _)| text[..at].chars().count() + 1)
        .collect();
    assert_eq!(columns.len(), 31);

    let shown = dir.run(&["check", "one-line.json"]).exits(2).err;
    for column in &columns {
        assert!(shown.contains(&format!("one-line.json:1:{column}\n")), "{column}");
    }
    // The two rules of one id lie far apart: each is shown by itself.
    assert!(shown.contains("again here") && shown.contains("first here"), "{shown}");
    assert!(shown.contains(r#""field":"llm.modle","value""#));
    let longest = shown.lines().map(|line| line.chars().count()).max().unwrap();
    assert!(longest < 400, "{longest} characters in one line");
    assert!(shown.len() < 32 * 2000, "{} bytes for 32 problems", shown.len());

    let list = dir.run(&["check", "--format", "json", "one-line.json"]).exits(2).json();
    let of_json = list.as_array().unwrap().iter().filter(|d| d["code"] == "W0002");
    let of_json: Vec<u64> = of_json.map(|d| d["column"].as_u64().unwrap()).collect();
    assert_eq!(of_json, columns.iter().map(|c| *c as u64).collect::<Vec<_>>());
    for format in ["sarif", "github"] {
        let out = dir.run(&["check", "--format", format, "one-line.json"]).exits(2).out;
        let spelt = |column: &usize| match format {
            "sarif" => format!("\"startColumn\": {column}"),
            _ => format!("col={column},"),
        };
        assert!(columns.iter().all(|column| out.contains(&spelt(column))), "{format}");
    }
}
