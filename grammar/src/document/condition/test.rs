//! Comparisons and the quantifiers `any` and `all`: their field, their right-hand side, `ignoreCase`.

use super::takes::Takes;
use crate::ast::{Condition, FieldPath, Literal, Operand, Operator, Test};
use crate::codes::Code;
use crate::diagnostic::Diagnostic;
use crate::document::tree::NodeId;
use crate::document::walk::{Entry, Walk, list};
use crate::source::Spanned;

impl Walk<'_, '_> {
    pub(super) fn test(
        &mut self,
        id: NodeId,
        operator: Spanned<Operator>,
        [field, value, value_from]: [Option<Entry>; 3],
        ignore_case: bool,
    ) -> Option<Condition> {
        let name = operator.value.as_str();
        let takes = Takes::of(operator.value);
        let field = self.subject(&operator, field);
        let mut constant = None;
        let operand = match (value, self.present(value_from)) {
            (Some(value), Some(from)) => {
                self.report(
                    Diagnostic::new(
                        Code::UnexpectedOperand,
                        self.head(from.key),
                        "a condition has either `value` or `valueFrom`",
                    )
                    .also(self.head(value.key), "`value` is here")
                    .help(
                        "keep `value` to compare with a constant, `valueFrom` to compare with another field",
                    ),
                );
                self.value(operator.value, takes, value.value);
                self.path(from.value, "`valueFrom`");
                None
            }
            (Some(value), None) => self.value(operator.value, takes, value.value),
            (None, Some(from)) => {
                let path = self.path(from.value, "`valueFrom`");
                if let Some(named) = path.as_ref().filter(|path| path.value.is_constant()) {
                    let named = named.clone();
                    constant = Some(Spanned::new(named.value.to_string(), named.span));
                    self.constant_operand(operator.value, takes, from.value, &named)
                } else if takes.allows_field() {
                    path.map(Operand::Path)
                } else {
                    let why = match takes {
                        Takes::Pattern => {
                            "a pattern is checked and compiled with the policy, so it must be a constant; use `contains`, `starts_with` or `ends_with` to compare with a field"
                        }
                        Takes::Window => {
                            "its times are checked with the policy, so they must be constants; use `before` and `after` to compare with a field"
                        }
                        Takes::Presence
                        | Takes::Any
                        | Takes::Ordered
                        | Takes::List
                        | Takes::Text
                        | Takes::Networks
                        | Takes::Instant
                        | Takes::Condition => {
                            "it asks whether the field is there: `value` is `true` or `false`"
                        }
                    };
                    self.report(
                        Diagnostic::new(
                            Code::UnexpectedOperand,
                            self.head(from.key),
                            format!("`{name}` takes no `valueFrom`"),
                        )
                        .help(why),
                    );
                    None
                }
            }
            (None, None) if takes == Takes::Presence => {
                Some(Operand::Value(Spanned::new(Literal::Bool(true), operator.span)))
            }
            (None, None) => {
                let or_field = if takes.allows_field() {
                    ", or `valueFrom:` with a field path"
                } else {
                    ""
                };
                self.report(
                    Diagnostic::new(
                        Code::MissingOperand,
                        operator.span,
                        format!("`{name}` lacks `value`"),
                    )
                    .help(format!("add `value:` with {}{or_field}", takes.words())),
                );
                None
            }
        };
        Some(Condition::Test(Test {
            span: self.extent(id),
            field: field?,
            operator,
            operand: operand?,
            constant,
            ignore_case,
        }))
    }

    /// What a comparison looks at.
    fn subject(&mut self, operator: &Spanned<Operator>, field: Option<Entry>) -> Option<Spanned<FieldPath>> {
        match field {
            Some(entry) => {
                let path = self.path(entry.value, "`field`");
                self.place_in_request(path, "`field`")
            }
            None => {
                self.report(
                    Diagnostic::new(
                        Code::MissingOperand,
                        operator.span,
                        format!("`{}` lacks `field`", operator.value.as_str()),
                    )
                    .help("add `field:` with a path such as `llm.model`"),
                );
                None
            }
        }
    }

    /// `any` or `all`. `missing`: nothing stands in place of `condition` that was reported already.
    pub(super) fn quantifier(
        &mut self,
        id: NodeId,
        operator: Spanned<Operator>,
        field: Option<Entry>,
        given: [(&str, Option<Entry>); 2],
        body: Option<Entry>,
        missing: bool,
    ) -> Option<Condition> {
        let name = operator.value.as_str();
        let field = self.subject(&operator, field);
        for (key, entry) in given {
            if let Some(entry) = entry {
                self.report(
                    Diagnostic::new(
                        Code::UnexpectedOperand,
                        self.head(entry.key),
                        format!("`{name}` takes no `{key}`"),
                    )
                    .help("put what is asked of each element under `condition:`, with `item` as the element"),
                );
            }
        }
        let body = match self.present(body) {
            Some(entry) => self.condition(entry.value),
            None => {
                if missing {
                    self.report(
                        Diagnostic::new(
                            Code::MissingOperand,
                            operator.span,
                            format!("`{name}` lacks `condition`"),
                        )
                        .help(
                            "add `condition:` with what is asked of each element, such as \
                             `{operator: eq, field: item.role, value: user}`",
                        ),
                    );
                }
                None
            }
        };
        if given.iter().any(|(_, entry)| entry.is_some()) || !missing {
            return None;
        }
        Some(Condition::Test(Test {
            span: self.extent(id),
            field: field?,
            operator,
            operand: Operand::Condition(Box::new(body?)),
            constant: None,
            ignore_case: false,
        }))
    }

    /// Whether `ignoreCase` is there and true; reports it where the operator does not take it.
    pub(super) fn ignore_case(&mut self, operator: Operator, entry: Option<Entry>) -> bool {
        let Some(entry) = entry else { return false };
        if operator.takes_ignore_case() {
            return self
                .boolean(entry.value, "`ignoreCase`")
                .is_some_and(|given| given.value);
        }
        let diagnostic = Diagnostic::new(
            Code::UnexpectedOperand,
            self.head(entry.key),
            format!("`{}` takes no `ignoreCase`", operator.as_str()),
        );
        self.report(match Takes::of(operator) {
            Takes::Pattern => diagnostic.help("start the pattern with `(?i)` instead"),
            Takes::Any
            | Takes::Ordered
            | Takes::List
            | Takes::Text
            | Takes::Presence
            | Takes::Networks
            | Takes::Instant
            | Takes::Window
            | Takes::Condition => {
                let takes = Operator::ALL.iter().filter(|o| o.takes_ignore_case());
                let names: Vec<&str> = takes.map(|o| o.as_str()).collect();
                diagnostic.help(format!("it stands beside {}", list(&names)))
            }
        });
        false
    }
}
