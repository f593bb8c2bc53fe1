//! Named constants: `let`, documents of `kind: definitions`, and `import`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by panicking"
)]

use policy_grammar::ast::{Condition, Operand, Policy};
use policy_grammar::{
    FileId, Limits, ParseOutput, SourceFile, SourceMap, imports, parse_source, parse_source_with, to_json,
    without_imports,
};

const SHARED: &str = "kind: definitions\nlet:\n  premium: [gpt-4, o1-pro]\n  limit: 2.5\n";

fn files(files: &[(&str, &str)]) -> SourceMap {
    let mut map = SourceMap::new();
    for (name, text) in files {
        map.add(SourceFile::new(*name, *text));
    }
    map
}

/// A policy with this beside its rule's condition and reason.
fn policy(top: &str, condition: &str, reason: &str) -> String {
    format!(
        "metadata: {{id: p, name: P}}\n{top}\nrules:\n- id: r\n  condition: {condition}\n  \
         action: {{decision: deny, reason: {reason}}}\n"
    )
}

fn one(text: &str) -> ParseOutput {
    parse_source(&files(&[("p.yaml", text)]), FileId(0))
}

fn said(output: &ParseOutput) -> Vec<String> {
    output
        .diagnostics
        .iter()
        .map(|d| {
            let help = d.help.first().map_or(String::new(), |help| format!(" ({help})"));
            format!("{} {}{help}", d.code.as_str(), d.message)
        })
        .collect()
}

fn bare(policies: &[Policy]) -> Vec<String> {
    policies
        .iter()
        .map(|policy| to_json(std::slice::from_ref(policy)))
        .collect()
}

#[test]
fn a_constant_stands_for_its_value() {
    let named = one(&policy(
        "let: {models: [gpt-4, o1], limit: 2.50, names: {eu: Europe}, big: 12345678901234567890123, none: null}",
        "{operator: and, conditions: [\
           {operator: in, field: llm.model, valueFrom: let.models}, \
           {operator: gt, field: llm.estimatedCost, valueFrom: let.limit}, \
           {operator: eq, field: user.region, valueFrom: let.names.eu}, \
           {operator: eq, field: user.team, valueFrom: let.none}, \
           {operator: eq, field: user.best, valueFrom: 'let.models[-1]'}, \
           {operator: any, field: user.roles, condition: {operator: eq, field: item, valueFrom: 'let.models[0]'}}]}",
        "'{{ let.models }} cost over {{ let.limit }} {{ let.big }} {{ let.names }}{{ let.none }} for {{ user.id }} {{{{'",
    ));
    let written = one(&policy(
        "",
        "{operator: and, conditions: [\
           {operator: in, field: llm.model, value: [gpt-4, o1]}, \
           {operator: gt, field: llm.estimatedCost, value: 2.5}, \
           {operator: eq, field: user.region, value: Europe}, \
           {operator: eq, field: user.team, value: null}, \
           {operator: eq, field: user.best, value: o1}, \
           {operator: any, field: user.roles, condition: {operator: eq, field: item, value: gpt-4}}]}",
        "'gpt-4, o1 cost over 2.5 12345678901234567890123 {\"eu\":\"Europe\"} for {{ user.id }} {{{{'",
    ));
    assert_eq!(said(&named), Vec::<String>::new());
    assert_eq!(bare(&named.policies), bare(&written.policies));
}

#[test]
fn the_name_and_the_place_of_a_constant_are_kept() {
    let text = policy(
        "let: {limit: 2}",
        "{operator: gt, field: llm.estimatedCost, valueFrom: let.limit}",
        "over",
    );
    let map = files(&[("p.yaml", &text)]);
    let output = parse_source(&map, FileId(0));
    let Condition::Test(test) = &output.policies[0].rules[0].condition else {
        panic!("a comparison")
    };
    let constant = test.constant.as_ref().unwrap();
    assert_eq!(constant.value, "let.limit");
    let Operand::Value(value) = &test.operand else {
        panic!("a value")
    };
    assert_eq!(map.file(FileId(0)).unwrap().slice(value.span), "let.limit");
}

#[test]
fn a_whole_placeholder_of_an_action_keeps_the_type() {
    let action = |limit: &str, types: &str, set: &str| {
        let action = format!(
            "{{decision: modify, metadata: {{m: {set}}}, modifications: {{llm.maxTokens: {{$cap: {limit}}}, \
             llm.prompt: {{$redact: {types}}}, metadata.list: {set}}}}}"
        );
        format!(
            "metadata: {{id: p, name: P}}\nlet: {{limit: 100, types: [email, phone], set: [1, two]}}\nrules:\n\
             - {{id: r, condition: {{operator: exists, field: llm}}, action: {action}}}\n"
        )
    };
    let named = one(&action("'{{ let.limit }}'", "'{{let.types}}'", "'{{ let.set }}'"));
    let written = one(&action("100", "[email, phone]", "[1, two]"));
    assert_eq!(said(&named), Vec::<String>::new());
    assert_eq!(bare(&named.policies), bare(&written.policies));
    assert_eq!(
        said(&one(&action("'{{ let.types }}'", "all", "1"))),
        ["E0204 `$cap` takes a finite number, found `{{ let.types }}`"]
    );
}

#[test]
fn what_names_nothing_is_said() {
    let errors = |top: &str, condition: &str, reason: &str| said(&one(&policy(top, condition, reason)));
    let gt = |path: &str| format!("{{operator: gt, field: llm.maxCost, valueFrom: {path}}}");
    assert_eq!(
        errors("let: {limit: 1}", &gt("let.limt"), "x"),
        ["E0018 there is no constant `limt` (did you mean `let.limit`?)"]
    );
    assert_eq!(
        errors("", &gt("let.limit"), "x"),
        [
            "E0018 there is no constant `limit` (define it at the top of the file, as in `let: {limit: …}`, or \
             `import` the file that does)"
        ]
    );
    assert_eq!(
        errors("let: {a: {low: 1}}", &gt("let.a.lou"), "x"),
        ["E0018 the constant `let.a` has nothing at `let.a.lou` (did you mean `let.a.low`?)"]
    );
    assert_eq!(
        errors("let: {a: 1}", &gt("let"), "x"),
        ["E0018 `let` is no constant: `let.` and its name is (write `let.name`)"]
    );
    assert_eq!(
        errors("let: {a: 1}", "{operator: exists, field: let.a}", "x"),
        [
            "E0018 `field` is a place in the request, and `let.a` is a constant (a constant is what a field is \
             compared with: `valueFrom: let.name`)"
        ]
    );
    assert_eq!(
        errors(
            "let: {a: 1}",
            "{operator: eq, field: llm.n, value: '{{ let.a }}'}",
            "x"
        ),
        [
            "E0018 `value` is compared as it is, and `let.a` is a constant (write `valueFrom: let.a` instead of \
             `value`)"
        ]
    );
    let written = |path: &str| format!("{{operator: eq, field: llm.model, value: {path}}}");
    assert_eq!(
        errors("let: {a: x}", &written("let.a"), "x")[..1],
        [
            "E0018 `value` is compared as it is, and `let.a` is a constant (write `valueFrom: let.a` instead of \
             `value`)"
        ]
    );
    assert_eq!(errors("", &written("let.a"), "x"), Vec::<String>::new());
    assert_eq!(
        errors("let: {a: 1}", &gt("let.a"), "'{{ let.b }}'"),
        ["E0018 there is no constant `b` (constants are `a`)"]
    );
}

#[test]
fn a_constant_is_held_to_what_a_value_is() {
    let errors = |value: &str, operator: &str| {
        said(&one(&policy(
            &format!("let: {{x: {value}}}"),
            &format!("{{operator: {operator}, field: llm.model, valueFrom: let.x}}"),
            "x",
        )))
    };
    assert_eq!(
        errors("[a]", "gt"),
        ["E0109 `gt` takes a number or a string, found a constant of type array (`let.x` is a)"]
    );
    assert_eq!(errors("a", "in")[0].split(' ').next(), Some("E0109"));
    assert_eq!(errors("'(?=a)'", "matches")[0].split(' ').next(), Some("E0107"));
    assert_eq!(errors("\"\\bx\"", "matches")[0].split(' ').next(), Some("W0111"));
    assert_eq!(errors("[a]", "contains")[0].split(' ').next(), Some("W0003"));
    assert_eq!(errors("'a.*b'", "matches"), Vec::<String>::new());
}

#[test]
fn unused_constants_are_said() {
    let unused = |top: &str, others: &[(&str, &str)]| {
        let text = policy(top, "{operator: exists, field: llm.model}", "x");
        let map = files(&[&[("p.yaml", text.as_str())], others].concat());
        said(&parse_source(&map, FileId(0)))
    };
    assert_eq!(
        unused("let: {a: 1}", &[]),
        ["W0005 nothing uses the constant `a` (use it as `valueFrom: let.a` or `{{ let.a }}`, or remove it)"]
    );
    assert_eq!(
        unused("import: [shared.yaml]", &[("shared.yaml", SHARED)]),
        ["W0005 nothing uses a constant of this file (remove it from `import`)"]
    );
}

#[test]
fn shapes_of_let_and_import_are_checked() {
    let errors = |top: &str| said(&one(&policy(top, "{operator: exists, field: llm.model}", "x")));
    assert!(
        errors("let: [1]")[0].starts_with("E0003 `let` takes a mapping of names and values, found a list")
    );
    assert!(errors("let: {1a: 2}")[0].starts_with("E0008 `1a` cannot be the name of a constant"));
    assert!(errors("let: {a: 1, a: 2}")[0].starts_with("E0005"));
    assert!(
        errors("import: shared.yaml")[0].starts_with("E0003 `import` takes a list of files, found a string")
    );
    for (path, why) in [
        ("/etc/a.yaml", "relative"),
        ("https://a/b.yaml", "relative"),
        ("'C:/a.yaml'", "relative"),
        ("'a\\b.yaml'", "separated"),
        ("notes.txt", "end in"),
    ] {
        let found = errors(&format!("import: [{path}]"));
        assert!(
            found[0].starts_with("E0016") && found[0].contains(why),
            "{found:?}"
        );
    }
    let near = one("kind: definition\nlet: {a: 1}\n");
    assert_eq!(
        said(&near),
        ["E0008 `kind` cannot be `definition` (did you mean `definitions`?)"]
    );
    let both = one("kind: definitions\nmetadata: {id: a, name: A}\nlet: {a: 1}\nrules: []\n");
    assert_eq!(both.diagnostics.len(), 2, "{:?}", said(&both));
    assert!(said(&one("kind: definitions\n"))[0].starts_with("E0006"));
    let twice = one("kind: definitions\nlet: {a: 1}\n---\nkind: definitions\nlet: {a: 2}\n");
    assert!(
        said(&twice)[0].starts_with("E0017 `a` is defined twice in this file"),
        "{:?}",
        said(&twice)
    );
}

fn importing(import: &str) -> String {
    policy(
        &format!("import: [{import}]"),
        "{operator: in, field: llm.model, valueFrom: let.premium}",
        "'over {{ let.limit }}'",
    )
}

#[test]
fn imports_are_relative_and_go_on() {
    let text = importing("../base/all.yaml");
    let map = files(&[
        ("teams/p.yaml", &text),
        (
            "base/all.yaml",
            "kind: definitions\nimport: [./more/shared.yaml]\n",
        ),
        ("base/more/shared.yaml", SHARED),
    ]);
    let output = parse_source(&map, FileId(0));
    assert_eq!(said(&output), Vec::<String>::new());
    assert_eq!(output.imports, ["base/all.yaml", "base/more/shared.yaml"]);
    assert_eq!(imports(&map, FileId(0)), ["base/all.yaml"]);
    assert_eq!(imports(&map, FileId(1)), ["base/more/shared.yaml"]);
    let written = one(&policy(
        "",
        "{operator: in, field: llm.model, value: [gpt-4, o1-pro]}",
        "over 2.5",
    ));
    assert_eq!(bare(&output.policies), bare(&written.policies));
    // Every place lies in the file of the policy: a set is put together from files that move.
    let Condition::Test(test) = &output.policies[0].rules[0].condition else {
        panic!("a comparison")
    };
    assert_eq!(test.constant.as_ref().unwrap().span.file, FileId(0));
}

#[test]
fn imports_that_lead_nowhere_are_said() {
    let errors = |others: &[(&str, &str)]| {
        let text = importing("shared.yaml");
        let map = files(&[&[("p.yaml", text.as_str())], others].concat());
        let output = parse_source(&map, FileId(0));
        assert!(output.policies.is_empty());
        let said = said(&output);
        assert_eq!(said.len(), 1, "{said:?}");
        said[0].clone()
    };
    assert!(errors(&[]).starts_with("E0016 the imported file `shared.yaml` is not there"));
    assert!(
        errors(&[("shared.yaml", "metadata: {id: x, name: X}\nrules: []\n")])
            .starts_with("E0016 the imported file `shared.yaml` defines nothing")
    );
    for broken in [
        "kind: definitions\nlet: [1]\n",
        "kind: definitions\nlet: {a: 1\n",
        "kind: definitions\nlet: {a: 1, a: 2}\n",
    ] {
        assert_eq!(
            errors(&[("shared.yaml", broken)]),
            "E0016 the imported file `shared.yaml` has errors"
        );
    }
    assert_eq!(
        errors(&[
            ("shared.yaml", "kind: definitions\nimport: [b.yaml]\n"),
            ("b.yaml", "kind: definitions\nimport: [shared.yaml]\n"),
        ]),
        "E0016 files import each other: `shared.yaml` imports `b.yaml` imports `shared.yaml`"
    );
    assert!(
        errors(&[
            (
                "shared.yaml",
                "kind: definitions\nimport: [b.yaml]\nlet: {limit: 1}\n"
            ),
            ("b.yaml", SHARED),
        ])
        .starts_with("E0017 `limit` is defined in b.yaml:4 and in shared.yaml:3")
    );
}

#[test]
fn a_name_in_let_and_in_an_import_is_an_error() {
    let text = format!("let: {{limit: 1}}\n{}", importing("shared.yaml"));
    let map = files(&[("p.yaml", &text), ("shared.yaml", SHARED)]);
    assert_eq!(
        said(&parse_source(&map, FileId(0))),
        ["E0017 `limit` is defined here and in shared.yaml:4 (give each constant a name of its own)"]
    );
}

#[test]
fn one_definition_may_be_reached_twice() {
    let text = importing("a.yaml, b.yaml, shared.yaml, a.yaml");
    let by = "kind: definitions\nimport: [shared.yaml]\n";
    let map = files(&[
        ("p.yaml", &text),
        ("a.yaml", by),
        ("b.yaml", by),
        ("shared.yaml", SHARED),
    ]);
    let output = parse_source(&map, FileId(0));
    assert!(!output.has_errors(), "{:?}", said(&output));
    assert_eq!(output.policies.len(), 1);
}

#[test]
fn a_file_of_definitions_holds_no_policy_and_is_no_error() {
    let output = one(SHARED);
    assert_eq!(output, ParseOutput::default());
    let looped = parse_source(
        &files(&[("a.yaml", "kind: definitions\nimport: [a.yaml]\n")]),
        FileId(0),
    );
    assert_eq!(
        said(&looped),
        ["E0016 files import each other: `a.yaml` imports `a.yaml`"]
    );
}

#[test]
fn what_constants_stand_for_is_bounded() {
    let list = (0..100).map(|n| n.to_string()).collect::<Vec<_>>().join(",");
    let uses = "{operator: in, field: llm.n, valueFrom: let.list}, ".repeat(50);
    let text = policy(
        &format!("let: {{list: [{list}]}}"),
        &format!("{{operator: or, conditions: [{uses}]}}"),
        "x",
    );
    let map = files(&[("p.yaml", &text)]);
    let parse = |nodes: usize| {
        let limits = Limits {
            max_constant_nodes: nodes,
            ..Limits::default()
        };
        parse_source_with(&map, FileId(0), &limits)
    };
    assert!(!parse(50 * 101).has_errors());
    assert!(said(&parse(50 * 101 - 1))[0].starts_with("E0002"));

    let chain: Vec<(String, String)> = (0..70)
        .map(|n| {
            (
                format!("f{n}.yaml"),
                format!("kind: definitions\nimport: [f{}.yaml]\n", n + 1),
            )
        })
        .collect();
    let text = importing("f0.yaml");
    let mut map = files(&[("p.yaml", &text)]);
    for (name, text) in chain {
        map.add(SourceFile::new(name, text));
    }
    let output = parse_source(&map, FileId(0));
    assert!(
        said(&output)[0].contains("imports more than 64 files"),
        "{:?}",
        said(&output)
    );
}

#[test]
fn imports_can_be_written_into_the_text() {
    let rest = "metadata: {id: p, name: P}\nrules:\n- id: r\n  condition: {operator: in, field: llm.model, \
                valueFrom: let.premium}\n  action: {decision: deny, reason: 'over {{ let.limit }} {{ let.own }}'}\n";
    let without = rest.replace(" {{ let.own }}", "");
    for (text, expected) in [
        (
            format!("import: [shared.yaml] # shared\n{without}"),
            format!("let: {{\"limit\": 2.5, \"premium\": [\"gpt-4\",\"o1-pro\"]}} # shared\n{without}"),
        ),
        (
            format!("# head\nimport:\n  - shared.yaml\n# mine\nlet:\n  # one\n  own: 1\n{rest}"),
            format!(
                "# head\n# mine\nlet:\n  # one\n  limit: 2.5\n  premium: [\"gpt-4\",\"o1-pro\"]\n  own: 1\n{rest}"
            ),
        ),
        (
            format!("let: {{own: 1}}\nimport: [shared.yaml]\n{rest}"),
            format!("let: {{\"limit\": 2.5, \"premium\": [\"gpt-4\",\"o1-pro\"], own: 1}}\n{rest}"),
        ),
        (
            format!("let:\nimport: [shared.yaml]\n{without}"),
            format!("let: {{\"limit\": 2.5, \"premium\": [\"gpt-4\",\"o1-pro\"]}}\n{without}"),
        ),
        (
            without
                .replace("let.premium", "user.models")
                .replace("{{ let.limit }}", "")
                + "import: [shared.yaml]\n",
            without
                .replace("let.premium", "user.models")
                .replace("{{ let.limit }}", ""),
        ),
    ] {
        let map = files(&[("p.yaml", &text), ("shared.yaml", SHARED)]);
        assert_eq!(without_imports(&map, FileId(0)).unwrap(), expected, "{text}");
    }
    // JSON, with the import first, last and alone.
    let json = |before: &str, after: &str| {
        format!(
            "{{{before}\"metadata\": {{\"id\": \"p\", \"name\": \"P\"}}, \"rules\": [{{\"id\": \"r\", \"condition\": \
             {{\"operator\": \"gt\", \"field\": \"llm.maxCost\", \"valueFrom\": \"let.limit\"}}, \"action\": \
             {{\"decision\": \"deny\"}}}}]{after}}}"
        )
    };
    let import = "\"import\": [\"shared.yaml\"]";
    for text in [
        json(&format!("{import}, "), ""),
        json("", &format!(", {import}")),
        json("\"let\": {\"x\": 1}, ", &format!(", {import}")),
        json(&format!("{import}, \"let\": {{}}, "), ""),
        json(&format!("{import},\n"), ""),
    ] {
        let map = files(&[("p.json", &text), ("shared.yaml", SHARED)]);
        let written = without_imports(&map, FileId(0)).expect(&text);
        assert!(!written.contains("import"), "{written}");
        serde_json::from_str::<serde_json::Value>(&written).expect(&written);
    }
}

#[test]
fn data_beside_policies_names_constants_too() {
    let read = |text: &str| {
        let map = files(&[("a_test.yaml", text), ("shared.yaml", SHARED)]);
        policy_grammar::parse_data_with_constants(&map, FileId(0))
            .map(|(value, warnings)| (format!("{:?}", strip(&value.value)), warnings.len()))
            .map_err(|list| list.into_iter().map(|d| d.message).collect::<Vec<_>>())
    };
    let named = read(
        "import: [shared.yaml]\nlet: {team: blue}\na: ['{{ let.limit }}', 'over {{let.limit}} {{ x }} {{{{ {{ let.team }}', '{{ let.premium }}']\n",
    );
    let written = read("a: [2.5, 'over 2.5 {{ x }} {{{{ blue', [gpt-4, o1-pro]]\n");
    assert_eq!(named.unwrap(), written.unwrap());
    assert_eq!(
        read("a: 'to {{ let.limit }}'\n").unwrap_err(),
        ["there is no constant `limit`"]
    );
    let others = "{{ let }} {{ name }} {{ let.x | upper }} {{ let.";
    assert_eq!(
        read(&format!("a: '{others}'\n")).unwrap(),
        (format!("Object([(\"a\", String(\"{others}\"))])"), 0)
    );
    assert_eq!(
        read("let: {a: 1}\nb: '{{ let.b }}'\n").unwrap_err(),
        ["there is no constant `b`"]
    );
    assert_eq!(read("let: {a: 1}\nb: 1\n").unwrap().1, 1);
}

/// A value without its places.
#[derive(Debug)]
#[allow(dead_code, reason = "read by Debug")]
enum Bare {
    Object(Vec<(String, Bare)>),
    Array(Vec<Bare>),
    String(String),
    Other(String),
}

fn strip(value: &policy_grammar::ast::Literal) -> Bare {
    use policy_grammar::ast::Literal;
    match value {
        Literal::Object(entries) => Bare::Object(
            entries
                .iter()
                .map(|(k, v)| (k.value.clone(), strip(&v.value)))
                .collect(),
        ),
        Literal::Array(items) => Bare::Array(items.iter().map(|item| strip(&item.value)).collect()),
        Literal::String(text) => Bare::String(text.clone()),
        other => Bare::Other(format!("{other:?}")),
    }
}

#[test]
fn files_with_constants_are_laid_out() {
    let text = "rules:\n- id: r\n  condition: {operator: in, field: llm.model, valueFrom: let.premium}\n  action: {decision: \
                deny, reason: 'over {{ let.limit }}'}\nlet: {own: 1}\nmetadata: {id: p, name: P}\nimport: [shared.yaml]\n";
    let map = files(&[
        ("p.yaml", text),
        (
            "shared.yaml",
            "let: {b: 2, premium: [x], limit: 1}\nkind: definitions\n",
        ),
    ]);
    let laid_out = policy_grammar::format_source(&map, FileId(0)).unwrap();
    let order = ["metadata:", "import:", "let:", "rules:"].map(|key| laid_out.find(key).unwrap());
    assert!(order.is_sorted(), "{laid_out}");
    assert!(laid_out.contains("{{ let.limit }}"), "{laid_out}");
    let shared = policy_grammar::format_source(&map, FileId(1)).unwrap();
    assert!(shared.starts_with("kind: definitions\nlet: "), "{shared}");
}
