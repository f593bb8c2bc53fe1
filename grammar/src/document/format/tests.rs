//! Tests of `format`.

use super::*;

fn fmt(name: &str, text: &str) -> String {
    let mut map = SourceMap::new();
    let file = map.add(SourceFile::new(name, text));
    let once = format_source(&map, file).unwrap();
    let file = map.add(SourceFile::new(name, once.as_str()));
    assert_eq!(format_source(&map, file).unwrap(), once, "formatting twice");
    once
}

#[test]
fn indentation_blanks_and_comments() {
    let text = "\u{feff}# head\r\n\r\n\r\nmetadata:   # who\r\n    id:   a   \r\n    name: A\r\n    # about\r\n    description: |  # text\r\n        one\r\n          two   \r\n\r\n        three\r\n    tags: [a,\r\n       b]\r\nrules:\r\n# first\r\n-   id: r\r\n    # inner\r\n    condition:\r\n       operator: and\r\n       conditions:\r\n       -  operator: in\r\n          field: a\r\n          value:\r\n          - x\r\n          -   - y\r\n              # deep\r\n       # - operator: off\r\n       - {operator: exists, field: b}\r\n    action:\r\n        decision: deny\r\n        reason:\r\n            \"quoted\r\n            on two lines\"\r\n# between\r\n-\r\n    id: s\r\n    condition: {operator: exists, field: b}\r\n    action: {decision: allow}\r\n# end\r\n\r\n\r\n";
    let want = "\
# head

metadata: # who
  id: a
  name: A
  # about
  description: | # text
    one
      two   

    three
  tags: [a, b]
rules:
  # first
  - id: r
    # inner
    condition:
      operator: and
      conditions:
        - operator: in
          field: a
          value:
            - x
            - - y
              # deep
        # - operator: off
        - { operator: exists, field: b }
    action:
      decision: deny
      reason: \"quoted
        on two lines\"
  # between
  - id: s
    condition: { operator: exists, field: b }
    action: { decision: allow }
# end
";
    assert_eq!(fmt("a.yaml", text), want);
}

/// What the layout does not know is only re-indented.
#[test]
fn comments_inside_flow_style_and_anchors_survive() {
    let text = "--- # one\nmetadata: {id: a,\n  name: A}   # trailing\nrules: []\n...\n---\n{metadata: {id: b, name: B}, # inside\n\n  rules: []}\n";
    assert_eq!(fmt("a.yaml", text), text);
    let text = "rules: []\nmetadata: {id: &x a, name: *x}\n";
    assert_eq!(fmt("a.yaml", text), text);
}

#[test]
fn documents_keep_their_comments() {
    let text = "# all\n\n# one\nrules: []\nmetadata: {name: A, id: a}\n# end of one\n---\n# two\n\nstatus: draft # not yet\nrules: []\nmetadata:\n    name: B\n\n    # the id\n    id: b\n";
    let want = "# all\n\nmetadata: { id: a, name: A }\n# one\nrules: []\n# end of one\n---\n# two\n\nmetadata:\n  # the id\n  id: b\n  name: B\nrules: []\nstatus: draft # not yet\n";
    assert_eq!(fmt("a.yaml", text), want);
}

#[test]
fn comments_and_empty_lines_stay_with_what_they_stand_at() {
    let text = "# License\n\n# the policy\nmetadata:\n  id: a    # trailing\n  name: A\n\n\n  # tags\n  tags:\n  - x   # tag\n  # end of tags\nrules:\n# about r\n- id: r\n\n  # about the condition\n  condition:\n    # first\n    operator: and\n    conditions:\n      # about eq\n      - operator: eq # op\n        # val\n        value: 1\n        field: a.b\n\n      -   {operator: exists, field: b}  # exists\n      # end of conditions\n    # end of the condition\n  action:\n    reason: |\n      Text\n        indented\n\n      # no comment\n    # about the decision\n    decision: deny\n\n# end\n";
    let want = "# License\n\n# the policy\nmetadata:\n  id: a # trailing\n  name: A\n\n  # tags\n  tags:\n    - x # tag\n  # end of tags\nrules:\n  # about r\n  - id: r\n\n    # about the condition\n    condition:\n      # first\n      operator: and\n      conditions:\n        # about eq\n        - operator: eq # op\n          field: a.b\n          # val\n          value: 1\n\n        - { operator: exists, field: b } # exists\n        # end of conditions\n      # end of the condition\n    action:\n      # about the decision\n      decision: deny\n      reason: |\n        Text\n          indented\n\n        # no comment\n\n# end\n";
    assert_eq!(fmt("a.yaml", text), want);
}

#[test]
fn keys_have_one_order_and_data_keeps_its_own() {
    let text = "status: active\nrules:\n  - action: {metadata: {b: 1, a: {id: 1, operator: 2, field: 3}}, reason: why, decision: deny}\n    condition:\n      conditions:\n        - {value: {value: 1, operator: x}, field: a, operator: eq}\n      operator: and\n    id: r\nonError: match\nmetadata: {name: A, id: a}\n";
    let want = "metadata: { id: a, name: A }\nrules:\n  - id: r\n    condition:\n      operator: and\n      conditions:\n        - { operator: eq, field: a, value: { value: 1, operator: x } }\n    action: { decision: deny, reason: why, metadata: { b: 1, a: { id: 1, operator: 2, field: 3 } } }\nstatus: active\nonError: match\n";
    assert_eq!(fmt("a.yaml", text), want);
}

#[test]
fn quotes_are_those_that_need_no_escapes() {
    for (written, want) in [
        ("'a'", "\"a\""),
        ("\"a\"", "\"a\""),
        ("'it''s'", "\"it's\""),
        ("'\\d+'", "'\\d+'"),
        ("\"\\\\d+\"", "'\\d+'"),
        ("\"say \\\"hi\\\"\"", "'say \"hi\"'"),
        ("\"it's \\\"hi\\\"\"", "\"it's \\\"hi\\\"\""),
        ("\"tab\\there\"", "\"tab\\there\""),
        ("\"\\u00e9\"", "\"\\u00e9\""),
        ("'{{ a }}'", "\"{{ a }}\""),
        ("plain", "plain"),
    ] {
        let file =
            |value: &str| format!("metadata:\n  id: a\n  name: A\n  description: {value}\nrules: []\n");
        assert_eq!(fmt("a.yaml", &file(written)), file(want), "{written}");
    }
}

#[test]
fn long_flow_style_becomes_block_style() {
    let models: Vec<String> = (0..30).map(|i| format!("model-{i}")).collect();
    let text = format!(
        "metadata: {{ id: a, name: A }}\nrules:\n  - id: r\n    condition: {{ operator: in, field: llm.model, value: [{}] }} # models\n    action: {{ decision: deny }}\n",
        models.join(", ")
    );
    let found = fmt("a.yaml", &text);
    let begin = "    condition: # models\n      operator: in\n      field: llm.model\n      value:\n        - model-0\n        - model-1\n";
    assert!(found.contains(begin), "{found}");
    assert!(found.lines().all(|line| line.len() <= 120), "{found}");
}

/// A comment that allows a warning in a line would not in several.
#[test]
fn a_line_that_a_comment_speaks_of_stays_one() {
    let long = "x".repeat(120);
    let text = format!(
        "metadata: {{ id: a, name: A }}\nrules:\n  - id: r\n    # policyc: allow W0112 -- why\n    condition: {{ operator: eq, field: llm.model, value: {long} }}\n    action: {{ decision: deny, reason: {long} }} # policyc: allow W0112 -- why\n"
    );
    assert_eq!(fmt("a.yaml", &text), text);
}

#[test]
fn what_cannot_be_laid_out_is_left_alone() {
    let mut map = SourceMap::new();
    let file = map.add(SourceFile::new(
        "a.yaml",
        "%YAML 1.2\n---\nmetadata: {id: a, name: A}\nrules: []\n",
    ));
    let errors = format_source(&map, file).unwrap_err();
    assert_eq!(errors[0].code, Code::Internal);
}

#[test]
fn json_is_laid_out() {
    assert_eq!(
        fmt(
            "a.json",
            "{\"metadata\":{\"id\":\"a,[\\\"\",\"name\":\"\\u0041\"},\n\n\"rules\": [ ]}"
        ),
        "{\n  \"metadata\": {\n    \"id\": \"a,[\\\"\",\n    \"name\": \"\\u0041\"\n  },\n  \"rules\": []\n}\n"
    );
}

#[test]
fn json_gets_the_same_order_and_keeps_its_tokens() {
    assert_eq!(
        fmt(
            "a.json",
            r#"{"rules":[],"metadata":{"name":"\\d \"A\"","priority":1,"id":"a"}}"#
        ),
        "{\n  \"metadata\": {\n    \"id\": \"a\",\n    \"name\": \"\\\\d \\\"A\\\"\",\n    \"priority\": 1\n  },\n  \"rules\": []\n}\n"
    );
}

#[test]
fn broken_files_are_refused() {
    let mut map = SourceMap::new();
    let file = map.add(SourceFile::new("a.yaml", "metadata: {}\n"));
    assert!(format_source(&map, file).is_err());
}
