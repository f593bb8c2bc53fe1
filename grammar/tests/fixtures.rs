//! Every file of `resources/`: what parses is shown as its canonical print and its spans, what does not as its
//! diagnostics. A new file needs no code: accept its snapshot.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by panicking"
)]

mod support;

use policy_grammar::ast::Policy;
use policy_grammar::codes::Code;
use policy_grammar::{SourceFile, SourceMap, format_source, parse_source, to_json, to_yaml};
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use support::{parse, render};

fn files(folder: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("resources")
        .join(folder);
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e != "snap"))
        .collect();
    files.sort();
    files
}

fn name(path: &Path) -> String {
    path.file_name().unwrap().to_str().unwrap().to_owned()
}

/// The places of ids, conditions and actions as source text.
fn places(map: &SourceMap, policies: &[Policy]) -> String {
    let mut text = String::new();
    for policy in policies {
        let file = map.file(policy.span.file).unwrap();
        let mut place = |what: &str, span| {
            let (line, column) = file.line_column(policy_grammar::Span { ..span }.start);
            writeln!(text, "{what} {line}:{column} {:?}", file.slice(span)).unwrap();
        };
        place("policy", policy.span);
        place("id", policy.metadata.id.span);
        place("version", policy.metadata.version.span);
        for rule in &policy.rules {
            place("rule", rule.span);
            place("rule id", rule.id.span);
            place("condition", rule.condition.span());
            place("action", rule.action.span);
            for change in &rule.action.modifications {
                place("modified path", change.path.span);
                place("modification", change.span);
            }
        }
    }
    text
}

#[test]
fn ok() {
    for path in files("ok") {
        let (map, output) = parse(&name(&path), &std::fs::read_to_string(&path).unwrap());
        assert_eq!(render(&map, &output.diagnostics), "", "{path:?}");
        let text = format!(
            "{}\n# Places\n{}",
            to_yaml(&output.policies),
            places(&map, &output.policies)
        );
        insta::with_settings!({ prepend_module_to_snapshot => false, snapshot_path => "snapshots" }, {
            insta::assert_snapshot!(format!("ok-{}", name(&path)), text);
        });
        // Printing and parsing again gives the same.
        for (name, text) in [
            ("p.yaml", to_yaml(&output.policies)),
            ("p.json", to_json(&output.policies)),
        ] {
            let (map, again) = parse(name, &text);
            assert_eq!(render(&map, &again.diagnostics), "", "{text}");
            let bare = |policies: &[Policy]| policies.iter().map(Policy::without_spans).collect::<Vec<_>>();
            assert_eq!(bare(&again.policies), bare(&output.policies));
        }
    }
}

#[test]
fn err() {
    for path in files("err") {
        let (map, output) = parse(&name(&path), &std::fs::read_to_string(&path).unwrap());
        assert!(
            output
                .diagnostics
                .iter()
                .any(policy_grammar::Diagnostic::is_error),
            "{path:?}"
        );
        let sound: Vec<_> = output
            .policies
            .iter()
            .map(|p| p.metadata.id.value.as_str())
            .collect();
        let text = format!(
            "{}\nsound policies: {sound:?}\n",
            render(&map, &output.diagnostics)
        );
        insta::with_settings!({ prepend_module_to_snapshot => false, snapshot_path => "snapshots" }, {
            insta::assert_snapshot!(format!("err-{}", name(&path)), text);
        });
    }
}

#[test]
fn ten_mistakes() {
    let text = include_str!("../resources/err/ten-mistakes.yaml");
    let (map, output) = parse("ten-mistakes.yaml", text);
    let file = map.iter().next().unwrap().1;
    let found: Vec<_> = output
        .diagnostics
        .iter()
        .map(|d| {
            (
                file.line_column(d.primary.span.start),
                file.slice(d.primary.span),
                d.code.as_str(),
            )
        })
        .collect();
    assert_eq!(
        found,
        [
            ((5, 3), "priorty", "E0004"),
            ((6, 12), "\"1.0\"", "W0001"),
            ((7, 9), "demo", "E0003"),
            ((11, 17), "greater_than", "E0101"),
            ((15, 17), "block", "E0008"),
            ((16, 21), "{{", "E0205"),
            ((21, 18), "(?!", "E0107"),
            ((23, 9), "cost-cap", "E0012"),
            ((26, 7), "conditions", "E0104"),
            ((30, 25), "$max", "E0203"),
        ]
    );
    assert!(output.policies.is_empty());
}

#[test]
fn rego_is_not_supported_yet() {
    let (map, output) = parse("a/b.rego", "package x");
    assert_eq!(
        render(&map, &output.diagnostics),
        "E0011 1:1-1:1 \"\" `.rego` files are not supported by this version\n    help write the policy in YAML or JSON\n"
    );
}

#[test]
fn empty_files() {
    for (name, text) in [
        ("a.yaml", ""),
        ("a.yaml", "# only a comment\n"),
        ("a.yaml", "---\n---\n"),
        ("a.json", " \n"),
        ("a.json", "[]"),
        ("stdin", ""),
    ] {
        let (_, output) = parse(name, text);
        let codes: Vec<_> = output.diagnostics.iter().map(|d| d.code.as_str()).collect();
        assert_eq!(codes, ["E0007"], "{text:?}");
    }
}

#[test]
fn the_file_kind_follows_the_name_and_then_the_first_character() {
    let yaml_only = "{metadata: {id: a, name: A}, rules: []}";
    assert!(parse("a.yml", yaml_only).1.diagnostics.is_empty());
    assert!(parse("a.YAML", yaml_only).1.diagnostics.is_empty());
    assert!(parse("a.json", yaml_only).1.has_errors());
    assert!(parse("-", yaml_only).1.has_errors());
    assert!(
        parse("-", "metadata: {id: a, name: A}\nrules: []")
            .1
            .diagnostics
            .is_empty()
    );
    assert!(
        parse("dir.json/a", "metadata: {id: a, name: A}\nrules: []")
            .1
            .diagnostics
            .is_empty()
    );
}

#[test]
fn bytes_that_are_not_utf8_have_a_place() {
    let mut map = SourceMap::new();
    let (file, output) =
        policy_grammar::parse_bytes(&mut map, "a.yaml", b"metadata:\n  id: \xff\xfe\n".to_vec());
    assert_eq!(output.diagnostics[0].code.as_str(), "E0010");
    assert_eq!(
        map.file(file)
            .unwrap()
            .line_column(output.diagnostics[0].primary.span.start),
        (2, 7)
    );
    let (file, output) = policy_grammar::parse_bytes(&mut map, "m.yaml", b"\xef\xbb\xbfruls: []\n".to_vec());
    let place = output.diagnostics[0].primary.span.start;
    assert_eq!((place, map.file(file).unwrap().line_column(place)), (3, (1, 1)));
    let (_, output) = policy_grammar::parse_bytes(&mut map, "b.yaml", b"\xff\xfem\0e\0".to_vec());
    assert!(output.diagnostics[0].help[0].contains("UTF-16"));
    let (_, output) = policy_grammar::parse_bytes(
        &mut map,
        "c.yaml",
        b"metadata: {id: a, name: A}\nrules: []".to_vec(),
    );
    assert_eq!(output.policies.len(), 1);
}

/// A word with a negation before it never becomes the word, least of all by a fix that machines apply.
#[test]
fn negated_operators_are_told_how_to_negate() {
    for (word, help) in [
        ("not_exist", "write `operator: exists` with `value: false`"),
        (
            "not_gte",
            "to negate it, put a condition with `gte` under `operator: not`",
        ),
        (
            "isnt_in",
            "to negate it, put a condition with `in` under `operator: not`",
        ),
    ] {
        let text = format!(
            "metadata: {{id: a, name: A}}\nrules:\n  - id: r\n    condition: {{operator: {word}, field: llm.n, value: 1}}\n    \
             action: {{decision: deny}}\n"
        );
        let (_, output) = parse("p.yaml", &text);
        let first = &output.diagnostics[0];
        assert_eq!(
            (first.code.as_str(), first.help[0].as_str()),
            ("E0101", help),
            "{word}"
        );
        assert!(first.fix.is_none(), "{word}");
    }
}

#[test]
fn a_carriage_return_alone_ends_no_line() {
    let policy = "metadata: { id: p, name: P }\r\nrules: [] # none\r\n";
    assert_eq!(parse("p.yaml", policy).1.policies.len(), 1);
    let hidden = policy.replace(" # none\r\n", " # none\rstatus: draft\r\n");
    let (_, output) = parse("p.yaml", &hidden);
    assert!(output.policies.is_empty());
    let [only] = output.diagnostics.as_slice() else {
        panic!("{:?}", output.diagnostics);
    };
    assert_eq!((only.code, only.primary.span.start), (Code::Syntax, 46));
    assert_eq!(
        only.message,
        "a carriage return alone cannot be used to end a line"
    );
}

#[test]
fn policy_ids_are_compared_over_files_by_one_call() {
    let mut map = SourceMap::new();
    let mut policies = Vec::new();
    // Namespaces do not know of each other's ids.
    for (name, namespace) in [
        ("a.yaml", "default"),
        ("b.yaml", "default"),
        ("c.yaml", "team"),
        ("d.yaml", "global"),
    ] {
        let text = format!("metadata: {{id: same, name: A, namespace: {namespace}}}\nrules: []\n");
        let file = map.add(policy_grammar::SourceFile::new(name, text.as_str()));
        let output = parse_source(&map, file);
        assert!(output.diagnostics.is_empty());
        policies.extend(output.policies);
    }
    let diagnostics = policy_grammar::duplicate_policy_ids(&policies);
    assert_eq!(diagnostics.len(), 1);
    assert_eq!(diagnostics[0].primary.span.file.0, 1);
    assert_eq!(diagnostics[0].secondary[0].span.file.0, 0);
}

#[test]
fn every_code_of_the_document_stage_has_a_fixture() {
    let mut shown: BTreeSet<&str> = files("err")
        .iter()
        .flat_map(|path| {
            let (_, output) = parse(&name(path), &std::fs::read_to_string(path).unwrap());
            output.diagnostics.into_iter().map(|d| d.code.as_str())
        })
        .collect();
    // Shown by tests of their own: limits, empty files, other encodings; files that cannot be read and tests of one name are
    // the command's.
    shown.extend(["E0002", "E0007", "E0010", "E0014", "E0015"]);
    let ours = |code: &&str| code.starts_with("E00") || code.starts_with("E01") || code.starts_with("E02");
    let all: Vec<_> = Code::ALL.iter().map(|c| c.as_str()).filter(ours).collect();
    let missing: Vec<_> = all.iter().filter(|code| !shown.contains(**code)).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

/// Every policy that is in this repository: formatting keeps its meaning, and doing it twice changes nothing more.
#[test]
fn formatting_keeps_the_meaning_of_every_policy_and_is_done_once() {
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/policies");
    let examples = std::fs::read_dir(examples)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let is_policy = |path: &PathBuf| policy_grammar::names::is_policy_file(&name(path));
    let all: Vec<PathBuf> = files("ok")
        .into_iter()
        .chain(examples.filter(is_policy))
        .collect();
    assert!(all.len() > 40, "{}", all.len());
    let bare = |policies: &[Policy]| policies.iter().map(Policy::without_spans).collect::<Vec<_>>();
    for path in all {
        let read = |text: &str| {
            let mut map = SourceMap::new();
            let file = map.add(SourceFile::new(name(&path), text));
            let policies = bare(&parse_source(&map, file).policies);
            (policies, format_source(&map, file).unwrap())
        };
        let text = std::fs::read_to_string(&path).unwrap();
        let (policies, once) = read(&text);
        let (again, twice) = read(&once);
        assert_eq!(policies, again, "{}", path.display());
        assert_eq!(once, twice, "{}", path.display());
    }
}
