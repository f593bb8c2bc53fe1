//! The JSON Schemas of policies, test files and price files: they accept what the readers accept, refuse what they can know to
//! be wrong, describe every key, and are named by the examples; and the editor settings in the documentation work as written.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod support;

use jsonschema::Validator;
use policy_compiler::Options;
use policy_grammar::{Diagnostic, SourceFile, SourceMap};
use regex::Regex;
use serde::Deserialize as _;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use support::{Dir, repository};

fn validator(schema: &Value) -> Validator {
    assert!(jsonschema::meta::is_valid(schema), "no schema of its draft");
    jsonschema::validator_for(schema).unwrap()
}

/// The documents of a YAML or JSON text, where all of them are values of JSON.
fn read(text: &str) -> Option<Vec<Value>> {
    let text = text.trim_start_matches('\u{feff}');
    let found = serde_yaml::Deserializer::from_str(text).map(Value::deserialize);
    let found: Vec<Value> = found.collect::<Result<_, _>>().ok()?;
    Some(found.into_iter().filter(|document| !document.is_null()).collect())
}

#[track_caller]
fn documents(text: &str) -> Vec<Value> {
    read(text).unwrap()
}

fn files(directory: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut open = vec![repository(directory)];
    while let Some(directory) = open.pop() {
        for entry in std::fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

fn is_test(path: &Path) -> bool {
    path.file_stem().unwrap().to_str().unwrap().ends_with("_test")
}

#[track_caller]
fn accepts(validator: &Validator, value: &Value, what: &str) {
    let problems: Vec<String> = validator
        .iter_errors(value)
        .map(|error| format!("{}: {error}", error.instance_path()))
        .collect();
    assert!(problems.is_empty(), "{what}: {problems:#?}");
}

#[test]
fn schemas_accept_every_example_and_name_themselves_there() {
    let (policy, test) = (
        validator(&policyc::policy_schema()),
        validator(&policyc::test_schema()),
    );
    let prices = validator(&policyc::prices_schema());
    let mut paths = files("examples/policies");
    assert!(paths.len() > 70, "{}", paths.len());
    paths.push(repository("examples/prices.yaml"));
    for path in paths {
        let text = std::fs::read_to_string(&path).unwrap();
        let (validator, schema) = if path.ends_with("prices.yaml") {
            (&prices, "prices.schema.json")
        } else if is_test(&path) {
            (&test, "policy-test.schema.json")
        } else {
            (&policy, "policy.schema.json")
        };
        let named = text.lines().next().unwrap();
        let named = named
            .strip_prefix("# yaml-language-server: $schema=")
            .unwrap_or_else(|| panic!("{path:?}: {named}"));
        let place = path.parent().unwrap().join(named).canonicalize().unwrap();
        assert_eq!(
            place,
            repository("docs").join(schema).canonicalize().unwrap(),
            "{path:?}"
        );
        for document in documents(&text) {
            accepts(validator, &document, &path.display().to_string());
        }
    }
}

#[test]
fn the_schema_accepts_what_the_compiler_accepts() {
    let policy = validator(&policyc::policy_schema());
    let mut seen = 0;
    let mut check = |name: &str, text: &str| {
        let mut map = SourceMap::new();
        map.add(SourceFile::new(name, text));
        if policy_compiler::check(&map, &Options::default())
            .iter()
            .any(Diagnostic::is_error)
        {
            return;
        }
        // Numbers that no double holds are beyond the reader of this test.
        for document in read(text).into_iter().flatten() {
            seen += 1;
            accepts(&policy, &document, name);
        }
    };
    for path in files("grammar/resources/ok") {
        check(path.to_str().unwrap(), &std::fs::read_to_string(&path).unwrap());
    }
    for path in files("conformance/cases") {
        for case in documents(&std::fs::read_to_string(&path).unwrap()) {
            let own = case["cases"]
                .as_array()
                .into_iter()
                .flatten()
                .map(|one| &one["policies"]);
            for policies in own.chain([&case["policies"]]).filter_map(Value::as_str) {
                check(&format!("{}.yaml", path.display()), policies);
            }
        }
    }
    assert!(seen > 100, "{seen}");
}

/// What a schema cannot know is left to the parser, and listed here.
#[test]
fn the_schema_refuses_what_it_can_know_to_be_wrong() {
    let policy = validator(&policyc::policy_schema());
    for path in files("grammar/resources/err") {
        let name = path.file_name().unwrap().to_str().unwrap();
        // No YAML or JSON at all, a key twice in JSON, and what only a look at words or numbers shows.
        let beyond = [
            "json-syntax.json",
            "json-dup.json",
            "escape.yaml",
            "tab.yaml",
            "placeholder.yaml",
        ];
        if beyond.contains(&name) {
            continue;
        }
        let text = std::fs::read_to_string(&path).unwrap();
        // A key that is a mapping is nothing that JSON has.
        let refused = read(&text).is_none_or(|all| all.iter().any(|document| !policy.is_valid(document)));
        assert!(refused, "{name}");
    }
    let rule = |rule: Value| json!({"metadata": {"id": "a", "name": "A"}, "rules": [rule]});
    let when =
        |condition: Value| rule(json!({"id": "r", "condition": condition, "action": {"decision": "deny"}}));
    let change = |changes: Value| {
        rule(
            json!({"id": "r", "condition": {"operator": "exists", "field": "a"},
                    "action": {"decision": "modify", "modifications": changes}}),
        )
    };
    for (good, document) in [
        (
            true,
            when(json!({"operator": "eq", "field": "llm.model", "value": "a"})),
        ),
        (
            true,
            when(json!({"operator": "eq", "field": "metadata.costCenter", "value": 1})),
        ),
        (
            true,
            when(json!({"operator": "contains", "field": "llm.piiTypes", "value": "email"})),
        ),
        (
            true,
            when(json!({"operator": "in", "field": "llm.piiTypes", "value": ["email", "ours"]})),
        ),
        (
            true,
            change(json!({"llm.maxTokens": {"$cap": 5}, "metadata.x": 1, "llm": {"$redact": ["email"]}})),
        ),
        (true, json!([when(json!({"operator": "exists", "field": "a"}))])),
        (
            false,
            when(json!({"operator": "eq", "field": "llm..model", "value": "a"})),
        ),
        (
            false,
            when(json!({"operator": "eq", "field": "{{ llm.model }}", "value": "a"})),
        ),
        (
            false,
            when(json!({"operator": "equals", "field": "llm.model", "value": "a"})),
        ),
        (false, when(json!({"operator": "eq", "field": "llm.model"}))),
        (
            false,
            when(json!({"operator": "eq", "field": "llm.model", "value": 1, "valueFrom": "b"})),
        ),
        (false, change(json!({"llm": {"$redact": ["emails"]}}))),
        (false, change(json!({"a b": 1}))),
        (
            false,
            json!({"metadata": {"id": "a", "name": "A"}, "rules": [], "kinds": 1}),
        ),
        (false, json!([{"metadata": {"id": "a"}, "rules": []}])),
    ] {
        assert_eq!(policy.is_valid(&document), good, "{document}");
    }
    let test = validator(&policyc::test_schema());
    let one = |test: Value| json!({"tests": [test]});
    for (good, document) in [
        (true, one(json!({"name": "n", "expect": {"decision": "deny"}}))),
        (
            true,
            one(
                json!({"name": "n", "context": {"llm": 5}, "set": {"metadata.x": 1}, "expect": {"errors": [{"found": "number"}]}}),
            ),
        ),
        (false, json!({"tests": []})),
        (false, one(json!({"name": "n", "expect": {}}))),
        (false, one(json!({"name": "n", "expect": {"decision": "denied"}}))),
        (
            false,
            one(json!({"name": "n", "context": "a", "contexts": ["a"], "expect": {"decision": "deny"}})),
        ),
        (
            false,
            one(json!({"name": "n", "derive": "sometimes", "expect": {"decision": "deny"}})),
        ),
        (
            false,
            one(json!({"name": "n", "set": {"a b": 1}, "expect": {"decision": "deny"}})),
        ),
        (false, one(json!({"expect": {"decision": "deny"}}))),
    ] {
        assert_eq!(test.is_valid(&document), good, "{document}");
    }
}

/// Files that the schema of prices accepts are read, and what it refuses is refused.
/// Validators of other languages read the schema too: nothing in its patterns is known to some engines of regular expressions only.
#[test]
fn patterns_are_such_that_every_validator_reads_them() {
    let schema = policyc::policy_schema();
    fn patterns(value: &Value, found: &mut Vec<String>) {
        match value {
            Value::Object(members) => {
                found.extend(members.get("pattern").and_then(Value::as_str).map(str::to_owned));
                members.values().for_each(|value| patterns(value, found));
            }
            Value::Array(items) => items.iter().for_each(|value| patterns(value, found)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }
    let mut found = Vec::new();
    patterns(&schema, &mut found);
    assert!(!found.is_empty());
    for pattern in found {
        assert!(!pattern.contains("\\p{"), "{pattern}");
    }
    let validator = validator(&schema);
    for (name, is_name) in [
        ("limit", true),
        ("_a-1", true),
        ("größe", true),
        ("名", true),
        ("1a", false),
        ("-a", false),
        ("a.b", false),
        ("a b", false),
        ("a[0]", false),
        ("a}", false),
    ] {
        let definitions = json!({ "kind": "definitions", "let": { name: 1 } });
        assert_eq!(validator.is_valid(&definitions), is_name, "{name}");
        let mut map = SourceMap::new();
        let file = map.add(SourceFile::new("a.json", definitions.to_string()));
        assert_eq!(
            !policy_grammar::parse_source(&map, file).has_errors(),
            is_name,
            "{name}"
        );
    }
}

#[test]
fn the_schema_of_prices_says_what_the_reader_says() {
    let prices = validator(&policyc::prices_schema());
    let dir = Dir::with(&[("p.yaml", support::QUICKSTART)]);
    let both = "provider: p, input_per_million: 1, output_per_million: 2";
    for (good, text) in [
        (true, format!("models: {{m: {{{both}}}}}")),
        (
            true,
            format!("$schema: prices.schema.json\nreplace: true\nmodels: {{m: {{{both}, mode: embedding}}}}"),
        ),
        (
            true,
            format!("models: {{m: {{{both}, batch_input_per_million: 1, batch_output_per_million: 1}}}}"),
        ),
        (
            true,
            format!(
                "models: {{m: {{{both}, tiers: [{{above_input_tokens: 9, units_each: {{output_image: 1}}}}]}}}}"
            ),
        ),
        (
            true,
            "models: {m: {provider: p, units_each: {output_image: 0.04}}}".to_owned(),
        ),
        (true, "models: {}".to_owned()),
        (false, "replace: true".to_owned()),
        (false, format!("models: {{m: {{{both}}}}}\nmodles: 1")),
        (false, format!("models: {{m: {{{both}, inptu_per_million: 1}}}}")),
        (false, format!("models: {{m m: {{{both}}}}}")),
        (
            false,
            "models: {m: {provider: p, input_per_million: 1}}".to_owned(),
        ),
        (
            false,
            "models: {m: {provider: p, max_input_tokens: 1}}".to_owned(),
        ),
        (
            false,
            "models: {m: {input_per_million: 1, output_per_million: 2}}".to_owned(),
        ),
        (
            false,
            "models: {m: {provider: p, input_per_million: -1, output_per_million: 2}}".to_owned(),
        ),
        (
            false,
            "models: {m: {provider: p, input_per_million: 1000001, output_per_million: 2}}".to_owned(),
        ),
        (
            false,
            "models: {m: {provider: p, input_per_million: '1', output_per_million: 2}}".to_owned(),
        ),
        (
            false,
            "models: {m: {provider: p, units_each: {output_imag: 1}}}".to_owned(),
        ),
        (
            false,
            "models: {m: {provider: p, units_each: {output_image: 1001}}}".to_owned(),
        ),
        (false, format!("models: {{m: {{{both}, mode: image}}}}")),
        (
            false,
            format!("models: {{m: {{{both}, flex_cached_input_per_million: 1}}}}"),
        ),
        (false, format!("models: {{m: {{{both}, max_output_tokens: 0}}}}")),
        (
            false,
            format!("models: {{m: {{{both}, deprecation_date: soon}}}}"),
        ),
        (
            false,
            format!("models: {{m: {{{both}, tiers: [{{above_input_tokens: 9}}]}}}}"),
        ),
        (false, format!("models: {{m: {{{both}, tiers: [{{{both}}}]}}}}")),
    ] {
        assert_eq!(prices.is_valid(&documents(&text)[0]), good, "{text}");
        dir.write("prices.yaml", text.as_bytes());
        let ran = dir.run(&["eval", "p.yaml", "-c", "{}", "--prices", "prices.yaml"]);
        assert_eq!(ran.code == 2, !good, "{text}: {}", ran.err);
    }
}

#[test]
fn every_key_and_word_is_described() {
    /// Whether a schema, or what it refers to, says what it is.
    fn described(schema: &Value, whole: &Value) -> bool {
        if schema["description"].as_str().is_some_and(|text| text.len() > 3) {
            return true;
        }
        let target = schema["$ref"]
            .as_str()
            .and_then(|target| target.strip_prefix('#'));
        target.is_some_and(|target| {
            whole
                .pointer(target)
                .is_some_and(|schema| described(schema, whole))
        })
    }
    fn visit(schema: &Value, whole: &Value, path: &str, seen: &mut usize) {
        for group in ["properties", "$defs"] {
            for (name, value) in schema[group].as_object().into_iter().flatten() {
                *seen += 1;
                assert!(described(value, whole), "{path}/{group}/{name}");
                visit(value, whole, &format!("{path}/{group}/{name}"), seen);
            }
        }
        for key in ["items", "additionalProperties"] {
            if schema[key].is_object() {
                let alternatives = schema[key]["anyOf"].is_array();
                assert!(alternatives || described(&schema[key], whole), "{path}/{key}");
                visit(&schema[key], whole, &format!("{path}/{key}"), seen);
            }
        }
        for key in ["oneOf", "anyOf"] {
            for (n, value) in schema[key].as_array().into_iter().flatten().enumerate() {
                let word = value.get("const").is_some();
                assert!(!word || described(value, whole), "{path}/{key}/{n}");
                // Requirements that are no alternatives to write.
                if value.get("required").is_none() || value.get("properties").is_some() {
                    visit(value, whole, &format!("{path}/{key}/{n}"), seen);
                }
            }
        }
    }
    for (schema, least) in [
        (policyc::policy_schema(), 60),
        (policyc::test_schema(), 100),
        (policyc::prices_schema(), 500),
    ] {
        let mut seen = 0;
        visit(&schema, &schema, "", &mut seen);
        assert!(seen > least, "{seen}");
    }
}

#[test]
fn the_command_prints_each_schema() {
    let dir = Dir::new();
    for (of, file) in [
        (None, "policy.schema.json"),
        (Some("policy"), "policy.schema.json"),
        (Some("test"), "policy-test.schema.json"),
        (Some("prices"), "prices.schema.json"),
    ] {
        let arguments: Vec<&str> = ["schema"].into_iter().chain(of).collect();
        let printed = dir.run(&arguments).exits(0).json();
        let text = std::fs::read_to_string(repository("docs").join(file)).unwrap();
        // Compared so that a failure does not print both.
        assert!(printed == serde_json::from_str::<Value>(&text).unwrap(), "{file}");
        assert_eq!(printed["$id"], file);
    }
}

#[test]
fn a_file_may_name_its_schema() {
    let rules = "rules: [{id: r, condition: {operator: exists, field: llm.model}, action: {decision: deny, reason: no}}]\n";
    let head = "metadata: {id: a, name: A}\n";
    let dir = Dir::with(&[
        (
            "a.yaml",
            &format!("$schema: ../policy.schema.json\n{head}{rules}"),
        ),
        (
            "b.json",
            r#"{"$schema": "x", "metadata": {"id": "b", "name": "B"}, "rules": [
            {"id": "s", "condition": {"operator": "exists", "field": "llm.prompt"}, "action": {"decision": "warn", "reason": "why"}}]}"#,
        ),
        (
            "a_test.yaml",
            "$schema: x\ntests:\n  - {name: n, expect: {decision: allow}}\n",
        ),
        ("bad/a.yaml", &format!("$schema: 1\n{head}{rules}")),
        (
            "bad/b.yaml",
            &format!(
                "{head}rules:\n  - {{id: r, $schema: x, condition: {{operator: exists, field: llm.model}}, action: {{decision: deny}}}}\n"
            ),
        ),
        (
            "bad/c_test.yaml",
            "$schema: 1\ntests:\n  - {name: n, expect: {decision: allow}}\n",
        ),
        ("bad/c.yaml", &format!("{head}{rules}")),
    ]);
    dir.run(&["check", "--strict", "a.yaml", "b.json"]).exits(0);
    dir.run(&["test", "--strict", "a_test.yaml"]).exits(0);
    // It stays where a file is formatted.
    dir.run(&["fmt", "a.yaml", "b.json"]).exits(0);
    for name in ["a.yaml", "b.json"] {
        let text = String::from_utf8(dir.read(name)).unwrap();
        assert!(text.contains("$schema"), "{text}");
    }
    assert!(
        dir.run(&["check", "bad/a.yaml"])
            .exits(2)
            .err
            .contains("`$schema` takes a string")
    );
    assert!(
        dir.run(&["check", "bad/b.yaml"])
            .exits(2)
            .err
            .contains("unknown key `$schema` in a rule")
    );
    assert!(
        dir.run(&["test", "bad/c_test.yaml"])
            .exits(2)
            .err
            .contains("`$schema` must be a text")
    );
}

/// The block of `docs/editors.md` below a line that names a file.
fn recipe(name: &str) -> Value {
    let page = std::fs::read_to_string(repository("docs/editors.md")).unwrap();
    let below = page.split_once(&format!("`.vscode/{name}`")).unwrap().1;
    let block = below.split_once("```json\n").unwrap().1;
    serde_json::from_str(block.split_once("```").unwrap().0).unwrap()
}

#[test]
fn the_problem_matcher_finds_every_problem() {
    let tasks = recipe("tasks.json");
    let task = &tasks["tasks"][0];
    let matcher = &task["problemMatcher"];
    let patterns: Vec<Regex> = matcher["pattern"]
        .as_array()
        .unwrap()
        .iter()
        .map(|pattern| Regex::new(pattern["regexp"].as_str().unwrap()).unwrap())
        .collect();
    let [first, second] = patterns.as_slice() else {
        panic!("two lines make a problem")
    };
    let dir = Dir::new();
    for name in ["ten-mistakes.yaml", "operators.yaml", "shape.yaml"] {
        let text = std::fs::read(repository("grammar/resources/err").join(name)).unwrap();
        dir.write(&format!("policies/{name}"), &text);
    }
    dir.write(
        "policies/warning.yaml",
        b"metadata: {id: w, name: W, version: one}\nrules: []\n",
    );
    assert_eq!(task["command"], "policyc");
    let arguments: Vec<&str> = task["args"]
        .as_array()
        .unwrap()
        .iter()
        .map(|argument| argument.as_str().unwrap())
        .collect();
    let shown = dir.run(&arguments).exits(2).err;
    let lines: Vec<&str> = shown.lines().collect();
    let mut found = BTreeSet::new();
    for pair in lines.windows(2) {
        let (Some(head), Some(place)) = (first.captures(pair[0]), second.captures(pair[1])) else {
            continue;
        };
        let group = |pattern: &Value, captures: &regex::Captures<'_>, key: &str| {
            let n = usize::try_from(pattern[key].as_u64().unwrap()).unwrap();
            captures[n].to_owned()
        };
        let (one, two) = (&matcher["pattern"][0], &matcher["pattern"][1]);
        found.insert((
            group(two, &place, "file"),
            group(two, &place, "line"),
            group(two, &place, "column"),
            group(one, &head, "severity"),
            group(one, &head, "code"),
            group(one, &head, "message"),
        ));
    }
    let reported = dir
        .run(&["check", "--format", "json", "policies"])
        .exits(2)
        .json();
    let wanted: BTreeSet<_> = reported
        .as_array()
        .unwrap()
        .iter()
        .map(|problem| {
            let text = |key: &str| match &problem[key] {
                Value::String(text) => text.clone(),
                other => other.to_string(),
            };
            (
                text("file"),
                text("line"),
                text("column"),
                text("severity"),
                text("code"),
                text("message"),
            )
        })
        .collect();
    assert!(
        wanted.len() > 10 && wanted.iter().any(|problem| problem.3 == "warning"),
        "{wanted:#?}"
    );
    assert_eq!(found, wanted);
    // The other task shows a test file's problems in the same form.
    assert_eq!(tasks["tasks"][1]["command"], "policyc");
    assert_eq!(tasks["tasks"][1]["problemMatcher"], *matcher);
}

#[test]
fn the_settings_name_schemas_that_the_commands_write() {
    let settings = recipe("settings.json");
    let page = std::fs::read_to_string(repository("docs/editors.md")).unwrap();
    let mut named = 0;
    for key in ["yaml.schemas", "json.schemas"] {
        let paths: Vec<String> = match &settings[key] {
            Value::Object(map) => map.keys().cloned().collect(),
            Value::Array(list) => list
                .iter()
                .map(|one| one["url"].as_str().unwrap().to_owned())
                .collect(),
            other => panic!("{other}"),
        };
        for path in paths {
            named += 1;
            let file = path.strip_prefix("./").unwrap();
            assert!(page.contains(&format!("> {file}\n")), "no command writes {file}");
        }
    }
    assert_eq!(named, 6);
    assert_eq!(
        recipe("extensions.json")["recommendations"],
        json!(["redhat.vscode-yaml"])
    );
}
