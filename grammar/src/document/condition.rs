//! Conditions: operator trees from the node tree, and everything that an operator needs or refuses.
//!
//! This file tells which keys stand in a condition and which operator it has; `takes` says what each operator takes, `test`
//! reads comparisons and quantifiers, `operand` their right-hand side. What a field's type makes of an operator is the
//! business of the compiler.

mod operand;
mod takes;
mod test;

use super::dialect;
use super::scalar::Scalar;
use super::tree::{Kind, NodeId};
use super::walk::{Entry, Walk, list, requote, shorten};
use super::words::{self, Words, suggest};
use crate::ast::{Condition, Operator};
use crate::codes::Code;
use crate::diagnostic::Diagnostic;
use crate::source::{Span, Spanned};
use takes::AnyOperator;
pub(crate) use takes::{Logic, Takes, operator_names};

/// Keys of a condition.
pub(crate) const CONDITION_KEYS: [&str; 7] = [
    "operator",
    "field",
    "value",
    "valueFrom",
    "conditions",
    "condition",
    "ignoreCase",
];

impl Walk<'_, '_> {
    /// One condition with everything below it. Depth is bounded by that of the document.
    pub(crate) fn condition(&mut self, id: NodeId) -> Option<Condition> {
        let children =
            match &self.tree.node(id).kind {
                Kind::Mapping(children) => *children,
                Kind::Scalar(text, Scalar::String) => {
                    let text = text.clone();
                    dialect::expression(self, id, &text);
                    return None;
                }
                Kind::Sequence(_) => {
                    if let Some(diagnostic) = self.wrong_type(id, "a condition", "a mapping") {
                        self.report(diagnostic.help(
                            "to combine conditions, write `operator: and` (or `or`) with `conditions:`",
                        ));
                    }
                    return None;
                }
                Kind::Scalar(..) | Kind::Broken => {
                    self.report_wrong_type(id, "a condition", "a mapping");
                    return None;
                }
            };
        let mut shorthand = false;
        let tree = self.tree;
        for (key, _) in tree.pairs(children) {
            if let Kind::Scalar(text, _) = &tree.node(key).kind {
                shorthand |= shorthand_advice(text).is_some();
            }
        }
        let [operator, field, value, value_from, conditions, body, ignore_case] =
            self.fields(children, "a condition", &CONDITION_KEYS, shorthand_advice);
        let Some(operator_entry) = operator else {
            if !shorthand {
                let missing = Diagnostic::new(
                    Code::MissingOperand,
                    self.head(id),
                    "the condition lacks `operator`",
                );
                self.report(missing.help(format!("it is one of {}", list(&operator_names()))));
            }
            // What hangs below may have problems of its own.
            if let Some(entry) = self.present(conditions) {
                self.children_of(entry);
            }
            if let Some(entry) = self.present(body) {
                self.condition(entry.value);
            }
            return None;
        };
        let operator = self.operator(operator_entry.value);
        let place = self.extent(operator_entry.value);
        match operator {
            Some(AnyOperator::Logic(logic)) => {
                for (entry, name) in [
                    (field, "field"),
                    (value, "value"),
                    (value_from, "valueFrom"),
                    (ignore_case, "ignoreCase"),
                ] {
                    if let Some(entry) = entry {
                        self.report(
                            Diagnostic::new(
                                Code::UnexpectedOperand,
                                self.head(entry.key),
                                format!("`{}` takes no `{name}`", logic.as_str()),
                            )
                            .help("it combines the conditions in `conditions:`"),
                        );
                    }
                }
                if let Some(entry) = self.present(body) {
                    let diagnostic = Diagnostic::new(
                        Code::UnexpectedOperand,
                        self.head(entry.key),
                        format!("`{}` takes no `condition`", logic.as_str()),
                    )
                    .help("put the conditions that it combines into a list under `conditions:`");
                    let Some(list) = self.present(conditions) else {
                        let style = self.tree.node(entry.key).style;
                        let span = self.head(entry.key);
                        self.report(diagnostic.fix(span, requote("conditions", style)));
                        return self.logic(logic, place, body);
                    };
                    self.report(diagnostic);
                    self.condition(entry.value);
                    return self.logic(logic, place, Some(list));
                }
                self.logic(logic, place, conditions)
            }
            Some(AnyOperator::Test(operator)) => {
                let quantifier = Takes::of(operator) == Takes::Condition;
                if let Some(entry) = self.present(conditions) {
                    self.report(
                        Diagnostic::new(
                            Code::UnexpectedOperand,
                            self.head(entry.key),
                            format!("`{}` takes no `conditions`", operator.as_str()),
                        )
                        .help(if quantifier {
                            "put one condition under `condition:`; `and` and `or` combine several"
                        } else {
                            "only `and`, `or` and `not` combine conditions"
                        }),
                    );
                    self.children_of(entry);
                }
                let ignore_case = self.ignore_case(operator, ignore_case);
                if quantifier {
                    let given = [("value", value), ("valueFrom", self.present(value_from))];
                    let missing = self.present(conditions).is_none();
                    return self.quantifier(id, Spanned::new(operator, place), field, given, body, missing);
                }
                if let Some(entry) = self.present(body) {
                    self.report(
                        Diagnostic::new(
                            Code::UnexpectedOperand,
                            self.head(entry.key),
                            format!("`{}` takes no `condition`", operator.as_str()),
                        )
                        .help("only `any` and `all` ask something of each element"),
                    );
                    self.condition(entry.value);
                }
                let sides = [field, value, value_from];
                self.test(id, Spanned::new(operator, place), sides, ignore_case)
            }
            None => {
                if let Some(entry) = self.present(conditions) {
                    self.children_of(entry);
                }
                if let Some(entry) = self.present(body) {
                    self.condition(entry.value);
                }
                if let Some(entry) = field {
                    self.path(entry.value, "`field`");
                }
                if let Some(entry) = self.present(value_from) {
                    self.path(entry.value, "`valueFrom`");
                }
                None
            }
        }
    }

    /// The operator, or the one that was most likely meant: then the error is reported and the rest still looked at.
    fn operator(&mut self, id: NodeId) -> Option<AnyOperator> {
        let text = self.string(id, "`operator`")?;
        if let Some(operator) = AnyOperator::parse(&text.value) {
            return Some(operator);
        }
        let diagnostic = Diagnostic::new(
            Code::UnknownOperator,
            text.span,
            format!("unknown operator `{}`", shorten(&text.value)),
        );
        let plain = text.value.replace(['_', '-'], "").to_ascii_lowercase();
        if matches!(
            plain.as_str(),
            "notexists" | "missing" | "absent" | "isnull" | "notpresent"
        ) {
            self.report(diagnostic.help("write `operator: exists` with `value: false`"));
            return None;
        }
        let names = operator_names();
        match suggest(&text.value, Words::Operator, &names) {
            Some(near) => {
                let style = self.tree.node(id).style;
                self.report(
                    diagnostic
                        .help(format!("did you mean `{near}`?"))
                        .fix(text.span, requote(near, style)),
                );
                AnyOperator::parse(near)
            }
            None => {
                let diagnostic = match words::negates(&text.value, &names) {
                    Some("exists") => diagnostic.help("write `operator: exists` with `value: false`"),
                    Some(operator) => diagnostic.help(format!(
                        "to negate it, put a condition with `{operator}` under `operator: not`"
                    )),
                    None => diagnostic,
                };
                self.report(diagnostic.help(format!("operators are {}", list(&names))));
                None
            }
        }
    }

    /// Walks what stands under `conditions:` and returns what of it is sound.
    fn children_of(&mut self, entry: Entry) -> Option<Vec<Condition>> {
        match self.tree.node(entry.value).kind {
            Kind::Sequence(items) => {
                let tree = self.tree;
                let items = tree.children(items);
                let sound: Vec<_> = items.iter().filter_map(|item| self.condition(*item)).collect();
                (sound.len() == items.len()).then_some(sound)
            }
            Kind::Mapping(_) => {
                if let Some(diagnostic) = self.wrong_type(entry.value, "`conditions`", "a list") {
                    self.report(
                        diagnostic.help("start each condition with `- operator: …`, even a single one"),
                    );
                }
                self.condition(entry.value);
                None
            }
            Kind::Scalar(..) | Kind::Broken => {
                self.report_wrong_type(entry.value, "`conditions`", "a list");
                None
            }
        }
    }

    fn logic(&mut self, logic: Logic, span: Span, conditions: Option<Entry>) -> Option<Condition> {
        let Some(entry) = self.present(conditions) else {
            self.report(
                Diagnostic::new(
                    Code::MissingOperand,
                    span,
                    format!("`{}` lacks `conditions`", logic.as_str()),
                )
                .help("add `conditions:` with a list of conditions"),
            );
            return None;
        };
        if let Kind::Sequence(items) = self.tree.node(entry.value).kind {
            let count = self.tree.children(items).len();
            let place = self.head(entry.key);
            match logic {
                Logic::And | Logic::Or if count == 0 => {
                    let meaning = if logic == Logic::And {
                        "every request"
                    } else {
                        "no request"
                    };
                    self.report(
                        Diagnostic::new(
                            Code::EmptyConditions,
                            place,
                            format!("`{}` needs at least one condition", logic.as_str()),
                        )
                        .help(format!("as it stands it would be true for {meaning}")),
                    );
                    return None;
                }
                Logic::Not if count != 1 => {
                    let diagnostic = Diagnostic::new(
                        Code::NotArity,
                        place,
                        format!("`not` takes exactly one condition, found {count}"),
                    );
                    self.report(if count == 0 {
                        diagnostic
                    } else {
                        diagnostic.help("put them under one `and` or `or`, to say which is meant")
                    });
                    self.children_of(entry);
                    return None;
                }
                Logic::And | Logic::Or | Logic::Not => {}
            }
        }
        let operands = self.children_of(entry)?;
        match logic {
            Logic::And => Some(Condition::And { span, operands }),
            Logic::Or => Some(Condition::Or { span, operands }),
            Logic::Not => operands.into_iter().next().map(|operand| Condition::Not {
                span,
                operand: Box::new(operand),
            }),
        }
    }
}

/// Conditions written as `{and: […]}` or `{eq: …}`.
fn shorthand_advice(key: &str) -> Option<(Code, String)> {
    if Logic::ALL.iter().any(|o| o.as_str() == key) {
        return Some((
            Code::OtherDialect,
            format!("write `operator: {key}` and put the list under `conditions:`"),
        ));
    }
    match key {
        "all" => Some((
            Code::OtherDialect,
            "write `operator: and` and put the list under `conditions:`".to_owned(),
        )),
        "any" => Some((
            Code::OtherDialect,
            "write `operator: or` and put the list under `conditions:`".to_owned(),
        )),
        "match" | "expression" | "expr" => Some((
            Code::OtherDialect,
            "write `operator`, `field` and `value` instead of an expression".to_owned(),
        )),
        _ if Operator::ALL.iter().any(|o| o.as_str() == key) => Some((
            Code::OtherDialect,
            format!("write `operator: {key}` with `field:` and `value:`"),
        )),
        _ => None,
    }
}
