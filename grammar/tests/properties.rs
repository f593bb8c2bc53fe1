//! Properties over generated input: no text panics, printing is the inverse of parsing, formatting keeps the meaning.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by panicking"
)]

mod support;

use policy_grammar::ast::{
    Action, Condition, Decision, FieldPath, Literal, Metadata, Modification, Number, OnError, Operand,
    Operator, Policy, Rule, Segment, Status, Template, Test, Verb,
};
use policy_grammar::source::Spanned;
use policy_grammar::{FileId, SourceFile, SourceMap, Span, format_source, to_json, to_yaml};
use proptest::collection::vec;
use proptest::prelude::*;
use support::{parse, render};

const NOWHERE: Span = Span {
    file: FileId(0),
    start: 0,
    end: 0,
};

fn s<T>(value: T) -> Spanned<T> {
    Spanned::new(value, NOWHERE)
}

/// Text of every kind that has ever been a problem to YAML.
fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-z]{1,8}",
        "\\PC{0,12}",
        ".{0,12}",
        "[ \\t\\n:#'\"\\\\{}\\[\\],&*!|>%@`~?-]{0,8}",
        Just("null".to_owned()),
        Just("yes".to_owned()),
        Just("1.0".to_owned()),
        Just("0x1F".to_owned()),
        Just("---".to_owned()),
        Just("two\nlines".to_owned()),
        Just("two\n  lines\n\nmore\n".to_owned()),
        Just("\u{85}\u{2028}\u{feff}\u{7f}\u{0}\u{10ffff}".to_owned()),
        Just("<<".to_owned()),
    ]
    .prop_map(|t| t.replace("{{", "{"))
}

fn name() -> impl Strategy<Value = String> {
    text().prop_map(|t| if t.trim().is_empty() { format!("{t}x") } else { t })
}

/// A key of a free mapping; `<<` alone is refused and `$` begins verbs.
fn key() -> impl Strategy<Value = String> {
    text().prop_filter("verbs", |t| !t.starts_with('$'))
}

fn path() -> impl Strategy<Value = FieldPath> {
    let segment = prop_oneof![
        "[a-z_][a-zA-Z0-9_-]{0,6}".prop_map(Segment::Key),
        text().prop_map(Segment::Key),
        Just(Segment::Key("007".to_owned())),
        any::<u32>().prop_map(Segment::Index),
        (1..=u32::MAX).prop_map(Segment::FromEnd),
    ];
    (
        // Paths that begin with `let` name constants, and none of those is left where values stand.
        prop_oneof!["[a-km-z][a-z]{0,5}", text(), Just("0".to_owned())]
            .prop_filter("no constant", |first| first != "let"),
        vec(segment, 0..4),
    )
        .prop_map(|(first, rest)| {
            let mut segments = vec![Segment::Key(first)];
            segments.extend(rest);
            FieldPath { segments }
        })
}

fn number() -> impl Strategy<Value = Number> {
    prop_oneof![
        any::<i64>().prop_map(Number::Int),
        (i64::MAX as u64 + 1..).prop_map(Number::UInt),
        any::<f64>()
            .prop_filter("finite", |f| f.is_finite())
            .prop_map(Number::Float),
        "-?[1-9][0-9]{25,60}[1-9]".prop_map(|text| Number::Decimal(text.into())),
        "-?[0-9]\\.[0-9]{20,40}[1-9]([eE][-+]?[0-9]{1,4})?".prop_map(|text| Number::Decimal(text.into())),
        "[1-9][eE]\\+?[4-9][0-9]{2,17}".prop_map(|text| Number::Decimal(text.into())),
    ]
}

fn literal() -> impl Strategy<Value = Literal> {
    let leaf = prop_oneof![
        Just(Literal::Null),
        any::<bool>().prop_map(Literal::Bool),
        number().prop_map(Literal::Number),
        text().prop_map(Literal::String),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(|items| Literal::Array(items.into_iter().map(s).collect())),
            entries(inner).prop_map(Literal::Object),
        ]
    })
}

fn entries(
    value: impl Strategy<Value = Literal>,
) -> impl Strategy<Value = Vec<(Spanned<String>, Spanned<Literal>)>> {
    vec((key(), value), 0..4).prop_map(|entries| {
        let mut seen = std::collections::BTreeSet::new();
        entries
            .into_iter()
            .filter(|(k, _)| seen.insert(k.clone()))
            .map(|(k, v)| (s(k), s(v)))
            .collect()
    })
}

fn test() -> impl Strategy<Value = Condition> {
    let simple: Vec<Operator> = Operator::ALL
        .iter()
        .copied()
        .filter(|o| !matches!(o, Operator::Any | Operator::All))
        .collect();
    let operator = proptest::sample::select(simple);
    (
        operator,
        path(),
        path(),
        literal(),
        text(),
        number(),
        any::<bool>(),
        any::<bool>(),
    )
        .prop_map(
            |(operator, field, other, literal, text, number, from_field, flag)| {
                let value = match operator {
                    Operator::Eq | Operator::Ne => literal,
                    Operator::Gt | Operator::Gte | Operator::Lt | Operator::Lte if flag => {
                        Literal::Number(number)
                    }
                    Operator::Gt | Operator::Gte | Operator::Lt | Operator::Lte => Literal::String(text),
                    Operator::In | Operator::NotIn => Literal::Array(vec![s(literal)]),
                    Operator::Contains | Operator::NotContains if flag => Literal::Null,
                    Operator::Contains
                    | Operator::NotContains
                    | Operator::StartsWith
                    | Operator::NotStartsWith
                    | Operator::EndsWith
                    | Operator::NotEndsWith => Literal::String(text),
                    Operator::Matches | Operator::NotMatches => Literal::String("(?i)a\\s+\"b\"".to_owned()),
                    Operator::Exists | Operator::Any | Operator::All => Literal::Bool(flag),
                    Operator::InCidr if flag => Literal::Array(vec![s(Literal::String(text))]),
                    Operator::InCidr => Literal::String(text),
                    Operator::Before | Operator::After if flag => Literal::Number(number),
                    Operator::Before | Operator::After => Literal::String(text),
                    Operator::TimeBetween => Literal::Object(vec![(s("start".to_owned()), s(literal))]),
                };
                let operand = if from_field
                    && !matches!(
                        operator,
                        Operator::Matches | Operator::NotMatches | Operator::Exists | Operator::TimeBetween
                    ) {
                    Operand::Path(s(other))
                } else {
                    Operand::Value(s(value))
                };
                Condition::Test(Test {
                    span: NOWHERE,
                    field: s(field),
                    operator: s(operator),
                    operand,
                    constant: None,
                    ignore_case: flag && operator.takes_ignore_case(),
                })
            },
        )
}

fn condition() -> impl Strategy<Value = Condition> {
    test().prop_recursive(4, 12, 3, |inner| {
        prop_oneof![
            vec(inner.clone(), 1..4).prop_map(|operands| Condition::And {
                span: NOWHERE,
                operands
            }),
            vec(inner.clone(), 1..4).prop_map(|operands| Condition::Or {
                span: NOWHERE,
                operands
            }),
            inner.clone().prop_map(|c| Condition::Not {
                span: NOWHERE,
                operand: Box::new(c)
            }),
            (path(), any::<bool>(), inner).prop_map(|(field, all, body)| Condition::Test(Test {
                span: NOWHERE,
                field: s(field),
                operator: s(if all { Operator::All } else { Operator::Any }),
                operand: Operand::Condition(Box::new(body)),
                constant: None,
                ignore_case: false,
            })),
        ]
    })
}

fn verb() -> impl Strategy<Value = Verb> {
    prop_oneof![
        literal().prop_map(Verb::Set),
        number().prop_map(Verb::Cap),
        number().prop_map(Verb::Floor),
        literal().prop_map(Verb::Default),
        literal().prop_map(Verb::Append),
        Just(Verb::Remove),
        vec(name(), 0..3).prop_map(|types| Verb::Redact(types.into_iter().map(s).collect())),
    ]
}

fn action() -> impl Strategy<Value = Action> {
    let decision = proptest::sample::select(Decision::ALL);
    (
        decision,
        proptest::option::of(text()),
        entries(literal()),
        vec((path(), verb()), 1..4),
    )
        .prop_map(|(decision, reason, metadata, changes)| {
            let mut seen = std::collections::BTreeSet::new();
            Action {
                span: NOWHERE,
                decision: s(decision),
                reason: reason.map(s),
                metadata,
                modifications: changes
                    .into_iter()
                    .filter(|(p, _)| decision == Decision::Modify && seen.insert(p.to_string()))
                    .map(|(path, verb)| Modification {
                        path: s(path),
                        verb,
                        span: NOWHERE,
                    })
                    .collect(),
            }
        })
}

fn policy() -> impl Strategy<Value = Policy> {
    let rule = (
        proptest::option::of(text()),
        proptest::option::of(text()),
        any::<bool>(),
        condition(),
        action(),
    );
    (
        (
            name(),
            name(),
            name(),
            name(),
            proptest::option::of(text()),
            vec(text(), 0..3),
            any::<i64>(),
        ),
        vec(rule, 0..3),
        proptest::sample::select(Status::ALL),
        proptest::sample::select(OnError::ALL),
    )
        .prop_map(
            |((id, name, version, namespace, description, tags, priority), rules, status, on_error)| Policy {
                span: NOWHERE,
                metadata: Metadata {
                    id: s(id),
                    name: s(name),
                    version: s(version),
                    namespace: s(namespace),
                    description: description.map(s),
                    tags: tags.into_iter().map(s).collect(),
                    priority: s(priority),
                },
                rules: rules
                    .into_iter()
                    .enumerate()
                    .map(|(i, (name, description, enabled, condition, action))| Rule {
                        span: NOWHERE,
                        id: s(format!("rule-{i}")),
                        name: name.map(s),
                        description: description.map(s),
                        enabled,
                        condition,
                        action,
                    })
                    .collect(),
                status,
                on_error,
            },
        )
}

fn reparse(name: &str, text: &str) -> Vec<Policy> {
    let (map, output) = parse(name, text);
    assert!(
        !output.has_errors(),
        "{}\n{text}",
        render(&map, &output.diagnostics)
    );
    output.policies.iter().map(Policy::without_spans).collect()
}

/// A text that looks like a policy, with pieces of YAML in wrong places.
fn mangled() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        proptest::sample::select(
            &[
                "metadata:",
                "rules:",
                "  - id: r",
                "    condition:",
                "      operator: and",
                "      operator: gt",
                "      field: a.b",
                "      value: 1",
                "      conditions:",
                "        - {operator: exists, field: a}",
                "    action: {decision: deny}",
                "    action:",
                "      decision: modify",
                "      modifications:",
                "        a: {$cap: 1}",
                "        b: {$remove: true, x: 1}",
                "---",
                "...",
                "# comment",
                "status: active",
                "  id: x",
                "  name: y",
                "- *a",
                "&a ",
                "!!str ",
                "? ",
                ": ",
                "{",
                "}",
                "[",
                "]",
                "|",
                ">-",
                "\"",
                "'",
                "  reason: '{{ a'",
                "\t",
                "<<: *a",
                "%YAML 1.2",
                "    when: x",
                "conditions: {match: 'a > 1'}",
            ][..]
        )
        .prop_map(str::to_owned),
        ".{0,6}",
    ];
    vec(
        (
            piece,
            prop_oneof![3 => Just("\n"), 1 => Just(" "), 1 => Just("\r\n")],
        ),
        0..40,
    )
    .prop_map(|pieces| pieces.into_iter().map(|(p, end)| p + end).collect())
}

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: Some(Box::new(proptest::test_runner::FileFailurePersistence::WithSource("regressions"))),
        ..ProptestConfig::default()
    })]

    #[test]
    fn no_text_panics(text in "\\PC{0,200}|.{0,200}|[-a: \\n#'\"{}\\[\\],&*!|>%@`\\\\{}$]{0,120}") {
        for name in ["a.yaml", "a.json", "a"] {
            let (map, _) = parse(name, &text);
            prop_assert_eq!(map.iter().count(), 1);
        }
        FieldPath::parse(&text).ok();
        Template::parse(&text).ok();
    }

    #[test]
    fn no_mangled_policy_panics(text in mangled()) {
        let (map, output) = parse("a.yaml", &text);
        for d in &output.diagnostics {
            let file = map.file(d.primary.span.file).unwrap();
            for span in std::iter::once(d.primary.span).chain(d.secondary.iter().map(|l| l.span)) {
                prop_assert!(file.text().get(span.start as usize..span.end as usize).is_some(), "{d:?}");
            }
            prop_assert!(!d.message.contains('\n'));
        }
    }

    #[test]
    fn bytes_never_panic(bytes in vec(any::<u8>(), 0..200)) {
        let mut map = SourceMap::new();
        let (file, _) = policy_grammar::parse_bytes(&mut map, "a.yaml", bytes);
        prop_assert!(map.file(file).is_some());
    }

    #[test]
    fn paths_print_and_parse(path in path()) {
        prop_assert_eq!(FieldPath::parse(&path.to_string()).unwrap(), path);
    }

    #[test]
    fn policies_print_and_parse(policies in vec(policy(), 1..3)) {
        prop_assert_eq!(&reparse("a.yaml", &to_yaml(&policies)), &policies);
        prop_assert_eq!(&reparse("a.json", &to_json(&policies)), &policies);
    }

    #[test]
    fn formatting_changes_no_meaning_and_is_done_once(
        policies in vec(policy(), 1..3),
        widen in 1usize..4,
        comments in vec((0usize..60, 0usize..9), 0..6),
    ) {
        // A valid file with odd indentation and comments in odd places.
        let mut lines: Vec<String> = Vec::new();
        for line in to_yaml(&policies).split_inclusive('\n') {
            let body = line.trim_start_matches(' ');
            lines.push(" ".repeat((line.len() - body.len()) * widen) + body);
        }
        for (at, indent) in comments {
            let at = at.min(lines.len());
            lines.insert(at, " ".repeat(indent) + "# comment   \n\n\n");
        }
        let text = lines.concat();
        let (map, output) = parse("a.yaml", &text);
        // A comment in the middle of a multi-line string may have broken it.
        if output.has_errors() {
            return Ok(());
        }
        let file = map.iter().next().unwrap().0;
        let once = format_source(&map, file).unwrap();
        let mut map = SourceMap::new();
        let file = map.add(SourceFile::new("a.yaml", once.as_str()));
        prop_assert_eq!(format_source(&map, file).unwrap(), once);
    }

    #[test]
    fn formatting_flow_style_keeps_the_meaning(policies in vec(policy(), 1..2)) {
        // JSON is YAML in flow style, with everything quoted.
        for name in ["a.yaml", "a.json"] {
            let (map, output) = parse(name, &to_json(&policies));
            // Some escapes of JSON are none in YAML.
            if name == "a.yaml" && output.has_errors() {
                continue;
            }
            prop_assert!(!output.has_errors());
            let before: Vec<_> = output.policies.iter().map(Policy::without_spans).collect();
            let once = format_source(&map, map.iter().next().unwrap().0).unwrap();
            let (map, output) = parse(name, &once);
            let after: Vec<_> = output.policies.iter().map(Policy::without_spans).collect();
            prop_assert_eq!(before, after);
            prop_assert_eq!(format_source(&map, map.iter().next().unwrap().0).unwrap(), once);
        }
    }
}
