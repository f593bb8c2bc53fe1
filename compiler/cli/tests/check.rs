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
        let operator = if i % 100 == 7 { "eqq" } else { "eq" };
        format!(
            r#"{{"id":"ré{i}","condition":{{"operator":"{operator}","field":"llm.model","value":"m{i}"}},"action":{{"decision":"deny"}}}}"#
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
        .match_indices(r#""eqq""#)
        .map(|(at, _)| text[..at].chars().count() + 1)
        .collect();
    assert_eq!(columns.len(), 31);

    let shown = dir.run(&["check", "one-line.json"]).exits(2).err;
    for column in &columns {
        assert!(shown.contains(&format!("one-line.json:1:{column}\n")), "{column}");
    }
    // The two rules of one id lie far apart: each is shown by itself.
    assert!(
        shown.contains("again here") && shown.contains("first here"),
        "{shown}"
    );
    assert!(shown.contains(r#""operator":"eqq","field""#));
    assert!(!shown.lines().any(|line| line.trim() == ":::"), "{shown}");
    let longest = shown.lines().map(|line| line.chars().count()).max().unwrap();
    assert!(longest < 400, "{longest} characters in one line");
    assert!(shown.len() < 32 * 2000, "{} bytes for 32 problems", shown.len());

    let list = dir
        .run(&["check", "--format", "json", "one-line.json"])
        .exits(2)
        .json();
    let of_json = list.as_array().unwrap().iter().filter(|d| d["code"] == "E0101");
    let of_json: Vec<u64> = of_json.map(|d| d["column"].as_u64().unwrap()).collect();
    assert_eq!(of_json, columns.iter().map(|c| *c as u64).collect::<Vec<_>>());
    for format in ["sarif", "github"] {
        let out = dir
            .run(&["check", "--format", format, "one-line.json"])
            .exits(2)
            .out;
        let spelt = |column: &usize| match format {
            "sarif" => format!("\"startColumn\": {column}"),
            _ => format!("col={column},"),
        };
        assert!(
            columns.iter().all(|column| out.contains(&spelt(column))),
            "{format}"
        );
    }
}

/// A comment allows a warning where it stands, and nothing else. What it does is counted and shown.
#[test]
fn a_comment_allows_one_warning_at_one_place() {
    let with = |comment: &str| QUICKSTART.replace("version: 1.0.0", &format!("version: '1.0' {comment}"));
    let allowed = with("# policyc: allow W0001 -- the old tool wants two numbers");
    let dir = Dir::with(&[("p.yaml", &allowed), ("plain.yaml", &with(""))]);
    let ran = dir.run(&["check", "--strict", "p.yaml"]).exits(0);
    assert_eq!(ran.err, "1 file: no problems, 1 suppressed\n");
    dir.run(&["check", "--strict", "plain.yaml"]).exits(1);
    let list = dir.run(&["check", "--format", "json", "p.yaml"]).exits(0).json();
    assert_eq!(
        (
            &list[0]["code"],
            &list[0]["suppressed"]["by"],
            &list[0]["suppressed"]["reason"]
        ),
        (
            &"W0001".into(),
            &"comment".into(),
            &"the old tool wants two numbers".into()
        )
    );
    let plain = dir
        .run(&["check", "--format", "json", "plain.yaml"])
        .exits(0)
        .json();
    assert!(plain[0]["suppressed"].is_null() && plain[0].as_object().unwrap().contains_key("suppressed"));
    let log = dir.run(&["check", "--format", "sarif", "p.yaml"]).exits(0).json();
    let suppression = &log["runs"][0]["results"][0]["suppressions"][0];
    assert_eq!(suppression["kind"], "inSource");
    assert_eq!(suppression["justification"], "the old tool wants two numbers");
    let annotations = dir.run(&["check", "--format", "github", "p.yaml"]).exits(0).out;
    assert_eq!(annotations, "");

    // Without a reason, of an unknown code, and where nothing is: each is a warning, and the first one stays.
    for (comment, codes) in [
        ("# policyc: allow W0001", &["W0001", "W0205"][..]),
        ("# policyc: allow W0101 -- another", &["W0001", "W0206"]),
        // Another schema, or other policies beside this one, may give these.
        ("# policyc: allow W0002, W0113 -- another", &["W0001"]),
        ("# policyc: allow W9999 -- none", &["W0001", "W0205"]),
        ("# policyc: allow E0004 -- an error", &["W0001", "W0205"]),
    ] {
        dir.write("p.yaml", with(comment).as_bytes());
        let list = dir.run(&["check", "--format", "json", "p.yaml"]).exits(0).json();
        let mut found: Vec<_> = list
            .as_array()
            .unwrap()
            .iter()
            .map(|d| d["code"].as_str().unwrap())
            .collect();
        found.sort_unstable();
        assert_eq!(found, codes, "{comment}");
    }
    // An error cannot be allowed, whatever the comment says.
    let broken = QUICKSTART.replace("operator: gt", "operator: gtt # policyc: allow E0101 -- no");
    dir.write("p.yaml", broken.as_bytes());
    let ran = dir.run(&["check", "p.yaml"]).exits(2);
    assert!(ran.err.contains("error[E0101]"), "{}", ran.err);
}

/// Misspelt names are mended, one after the other, until nothing is left that may be; the rest is reported.
#[test]
fn fix_mends_what_did_not_compile() {
    let broken = QUICKSTART
        .replace("priority:", "priorty:")
        .replace("operator: gt", "operator: greater_than")
        .replace("decision: deny", "decision: dney")
        .replace("rules:", "Rules:");
    let dir = Dir::with(&[("p.yaml", &broken)]);
    let shown = dir.run(&["check", "--diff", "p.yaml"]).exits(1);
    assert!(
        shown.out.starts_with("--- a/p.yaml\n+++ b/p.yaml\n@@")
            && shown.out.contains("-  priorty: 100\n+  priority: 100\n"),
        "{}",
        shown.out
    );
    assert_eq!(dir.read("p.yaml"), broken.as_bytes());
    let list = dir.run(&["check", "--format", "json", "p.yaml"]).exits(2).json();
    assert!(
        list.as_array()
            .unwrap()
            .iter()
            .all(|d| d["fix"]["automatic"] == true),
        "{list}"
    );

    let fixed = dir.run(&["check", "--fix", "p.yaml"]).exits(0);
    assert!(
        fixed
            .err
            .contains("p.yaml:6:3: unknown key `priorty` in `metadata`: `priorty` is now `priority`\n")
            && fixed.err.ends_with("1 file: no problems\n"),
        "{}",
        fixed.err
    );
    assert_eq!(String::from_utf8(dir.read("p.yaml")).unwrap(), QUICKSTART);
    dir.run(&["check", "--diff", "p.yaml"]).exits(0);

    // What has no replacement is left, and said.
    let rest = QUICKSTART
        .replace("priority:", "priorty:")
        .replace("operator: gt", "operator: nothing_like_it");
    dir.write("p.yaml", rest.as_bytes());
    let ran = dir.run(&["check", "--fix", "p.yaml"]).exits(2);
    assert!(ran.err.contains("error[E0101]"), "{}", ran.err);
    assert_eq!(
        String::from_utf8(dir.read("p.yaml")).unwrap(),
        rest.replace("priorty", "priority")
    );
    let ran = dir.run_with(&["check", "--fix", "-"], broken.as_bytes()).exits(2);
    assert!(ran.err.contains("--diff"), "{}", ran.err);
    assert!(
        dir.run_with(&["check", "--diff", "-"], broken.as_bytes())
            .exits(1)
            .out
            .contains("+  priority")
    );
}

/// A policy that compiles means something: a warning changes that only where a name is misspelt.
#[test]
fn fix_never_changes_a_meaning_in_silence() {
    let cut = QUICKSTART.replace("($1.00)", "#1 of {{ team.tier }}");
    let list = |dir: &Dir| dir.run(&["check", "--format", "json", "p.yaml"]).exits(0).json();
    let dir = Dir::with(&[("p.yaml", &cut)]);
    let found = list(&dir);
    assert_eq!(
        (&found[0]["code"], &found[0]["fix"]["automatic"]),
        (&"W0202".into(), &false.into())
    );
    dir.run(&["check", "--fix", "p.yaml"]).exits(0);
    assert_eq!(dir.read("p.yaml"), cut.as_bytes());

    let misspelt = QUICKSTART.replace("llm.estimatedCost", "llm.estimatedCst");
    dir.write("p.yaml", misspelt.as_bytes());
    let found = list(&dir);
    let fixable = found[0]["fix"]["automatic"] == true;
    assert_eq!(found[0]["code"], "W0002");
    assert!(
        fixable && found[0]["fix"]["replacement"] == "llm.estimatedCost",
        "{found}"
    );
    dir.run(&["check", "--fix", "p.yaml"]).exits(0);
    assert_eq!(dir.read("p.yaml"), QUICKSTART.as_bytes());
    // In JSON the quotes stay.
    let json = |field: &str| {
        format!(
            r#"{{"metadata":{{"id":"a","name":"A"}},"rules":[{{"id":"r","condition":{{"operator":"exists","field":"{field}"}},"action":{{"decision":"deny"}}}}]}}"#
        )
    };
    dir.write("p.json", json("llm.modle").as_bytes());
    dir.run(&["check", "--fix", "p.json"]).exits(0);
    assert_eq!(String::from_utf8(dir.read("p.json")).unwrap(), json("llm.model"));
}
