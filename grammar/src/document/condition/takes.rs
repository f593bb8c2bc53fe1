//! The operators of the language in documents: what each takes as `value`, and those that combine conditions.
//!
//! Checks and the JSON Schema both follow from [`Takes`].

use crate::ast::{Literal, Operator};

/// What an operator takes as `value`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Takes {
    /// Any constant.
    Any,
    /// A number or a string.
    Ordered,
    /// A list.
    List,
    /// A string.
    Text,
    /// A string that is a regular expression; never `valueFrom`.
    Pattern,
    /// `true` (the default) or `false`; never `valueFrom`.
    Presence,
    /// No value: a condition on each element, under `condition`.
    Condition,
    /// A network, or a list of them.
    Networks,
    /// RFC 3339 text or epoch milliseconds.
    Instant,
    /// A mapping that describes a window of time; never `valueFrom`.
    Window,
}

impl Takes {
    /// What `operator` takes.
    pub(crate) fn of(operator: Operator) -> Self {
        match operator {
            Operator::Eq | Operator::Ne | Operator::Contains | Operator::NotContains => Self::Any,
            Operator::Gt | Operator::Gte | Operator::Lt | Operator::Lte => Self::Ordered,
            Operator::In | Operator::NotIn => Self::List,
            Operator::StartsWith | Operator::NotStartsWith | Operator::EndsWith | Operator::NotEndsWith => {
                Self::Text
            }
            Operator::Matches | Operator::NotMatches => Self::Pattern,
            Operator::Exists => Self::Presence,
            Operator::Any | Operator::All => Self::Condition,
            Operator::InCidr => Self::Networks,
            Operator::Before | Operator::After => Self::Instant,
            Operator::TimeBetween => Self::Window,
        }
    }

    /// In words.
    pub(crate) fn words(self) -> &'static str {
        match self {
            Self::Any => "a value",
            Self::Ordered => "a number or a string",
            Self::List => "a list",
            Self::Text => "a string",
            Self::Pattern => "a string with a regular expression",
            Self::Presence => "`true` or `false`",
            Self::Condition => "a condition",
            Self::Networks => "a network such as `10.0.0.0/8`, or a list of networks",
            Self::Instant => "a time such as `2025-03-01T12:00:00Z`, or epoch milliseconds",
            Self::Window => "a mapping with `start`, `end` and `timezone`",
        }
    }

    pub(super) fn accepts(self, literal: &Literal) -> bool {
        match self {
            Self::Any => true,
            Self::Ordered => matches!(literal, Literal::Number(_) | Literal::String(_)),
            Self::List => matches!(literal, Literal::Array(_)),
            Self::Text | Self::Pattern => matches!(literal, Literal::String(_)),
            Self::Presence => matches!(literal, Literal::Bool(_)),
            Self::Condition => false,
            Self::Networks => matches!(literal, Literal::String(_) | Literal::Array(_)),
            Self::Instant => matches!(literal, Literal::Number(_) | Literal::String(_)),
            Self::Window => matches!(literal, Literal::Object(_)),
        }
    }

    /// Whether the right-hand side may come from a field.
    pub(crate) fn allows_field(self) -> bool {
        match self {
            Self::Any | Self::Ordered | Self::List | Self::Text | Self::Networks | Self::Instant => true,
            Self::Pattern | Self::Presence | Self::Window | Self::Condition => false,
        }
    }
}

/// The operators that combine conditions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Logic {
    /// All of them.
    And,
    /// At least one.
    Or,
    /// Not the one.
    Not,
}

impl Logic {
    /// Every one, in documentation order.
    pub(crate) const ALL: [Self; 3] = [Self::And, Self::Or, Self::Not];

    /// Spelling in documents.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::And => "and",
            Self::Or => "or",
            Self::Not => "not",
        }
    }
}

#[derive(Clone, Copy)]
pub(super) enum AnyOperator {
    Logic(Logic),
    Test(Operator),
}

impl AnyOperator {
    pub(super) fn parse(text: &str) -> Option<Self> {
        Logic::ALL
            .iter()
            .find(|o| o.as_str() == text)
            .map(|o| Self::Logic(*o))
            .or_else(|| {
                Operator::ALL
                    .iter()
                    .find(|o| o.as_str() == text)
                    .map(|o| Self::Test(*o))
            })
    }
}

/// Spellings of all operators.
pub(crate) fn operator_names() -> Vec<&'static str> {
    Operator::ALL
        .iter()
        .map(|o| o.as_str())
        .chain(Logic::ALL.iter().map(|o| o.as_str()))
        .collect()
}
