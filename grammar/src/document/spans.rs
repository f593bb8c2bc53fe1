//! Policies without their places, for comparing what two texts mean.
//!
//! Used by the formatter, which must not change a meaning, and by round-trip tests. Every node is visited by name, so
//! that a new field with a span cannot be forgotten silently.

use crate::ast::{Action, Condition, Literal, Metadata, Modification, Operand, Policy, Rule, Test, Verb};
use crate::source::{FileId, Span, Spanned};

const NOWHERE: Span = Span {
    file: FileId(0),
    start: 0,
    end: 0,
};

impl Policy {
    /// The same policy with every span empty at the start of file 0: equal for texts that mean the same.
    #[must_use]
    pub fn without_spans(&self) -> Self {
        let Self {
            span: _,
            metadata,
            rules,
            status,
            on_error,
        } = self;
        let Metadata {
            id,
            name,
            version,
            namespace,
            description,
            tags,
            priority,
        } = metadata;
        Self {
            span: NOWHERE,
            metadata: Metadata {
                id: bare(id),
                name: bare(name),
                version: bare(version),
                namespace: bare(namespace),
                description: description.as_ref().map(bare),
                tags: tags.iter().map(bare).collect(),
                priority: bare(priority),
            },
            rules: rules.iter().map(rule).collect(),
            status: *status,
            on_error: *on_error,
        }
    }
}

fn bare<T: Clone>(value: &Spanned<T>) -> Spanned<T> {
    Spanned::new(value.value.clone(), NOWHERE)
}

fn rule(rule: &Rule) -> Rule {
    let Rule {
        span: _,
        id,
        name,
        description,
        enabled,
        condition: tree,
        action: act,
    } = rule;
    Rule {
        span: NOWHERE,
        id: bare(id),
        name: name.as_ref().map(bare),
        description: description.as_ref().map(bare),
        enabled: *enabled,
        condition: condition(tree),
        action: action(act),
    }
}

fn condition(tree: &Condition) -> Condition {
    match tree {
        Condition::And { span: _, operands } => Condition::And {
            span: NOWHERE,
            operands: operands.iter().map(condition).collect(),
        },
        Condition::Or { span: _, operands } => Condition::Or {
            span: NOWHERE,
            operands: operands.iter().map(condition).collect(),
        },
        Condition::Not { span: _, operand } => Condition::Not {
            span: NOWHERE,
            operand: Box::new(condition(operand)),
        },
        Condition::Test(Test {
            span: _,
            field,
            operator,
            operand,
            constant,
            ignore_case,
        }) => Condition::Test(Test {
            span: NOWHERE,
            field: bare(field),
            operator: bare(operator),
            operand: match operand {
                Operand::Value(value) => Operand::Value(spanned(value)),
                Operand::Path(path) => Operand::Path(bare(path)),
                Operand::Condition(body) => Operand::Condition(Box::new(condition(body))),
            },
            constant: constant.as_ref().map(bare),
            ignore_case: *ignore_case,
        }),
    }
}

fn action(act: &Action) -> Action {
    let Action {
        span: _,
        decision,
        reason,
        metadata,
        modifications,
    } = act;
    Action {
        span: NOWHERE,
        decision: bare(decision),
        reason: reason.as_ref().map(bare),
        metadata: metadata.iter().map(|(k, v)| (bare(k), spanned(v))).collect(),
        modifications: modifications
            .iter()
            .map(|Modification { path, verb, span: _ }| Modification {
                path: bare(path),
                verb: match verb {
                    Verb::Set(value) => Verb::Set(literal(value)),
                    Verb::Cap(n) => Verb::Cap(n.clone()),
                    Verb::Floor(n) => Verb::Floor(n.clone()),
                    Verb::Default(value) => Verb::Default(literal(value)),
                    Verb::Append(value) => Verb::Append(literal(value)),
                    Verb::Remove => Verb::Remove,
                    Verb::Redact(types) => Verb::Redact(types.iter().map(bare).collect()),
                },
                span: NOWHERE,
            })
            .collect(),
    }
}

fn spanned(value: &Spanned<Literal>) -> Spanned<Literal> {
    Spanned::new(literal(&value.value), NOWHERE)
}

fn literal(value: &Literal) -> Literal {
    match value {
        Literal::Null => Literal::Null,
        Literal::Bool(b) => Literal::Bool(*b),
        Literal::Number(n) => Literal::Number(n.clone()),
        Literal::String(s) => Literal::String(s.clone()),
        Literal::Array(items) => Literal::Array(items.iter().map(spanned).collect()),
        Literal::Object(entries) => {
            Literal::Object(entries.iter().map(|(k, v)| (bare(k), spanned(v))).collect())
        }
    }
}
