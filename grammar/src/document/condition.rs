//! Conditions: operator trees from the node tree, and everything that an operator needs or refuses.
//!
//! Each operator has one [`Takes`], from which the checks here and the JSON Schema both follow. What a field's type
//! makes of an operator is the business of the compiler.

use super::dialect;
use super::scalar::Scalar;
use super::suggest::{self, Words, suggest};
use super::tree::{Kind, NodeId};
use super::walk::{Entry, Walk, list, requote, shorten};
use crate::ast::{Condition, FieldPath, Literal, Operand, Operator, Template, TemplatePart, Test};
use crate::codes::Code;
use crate::diagnostic::Diagnostic;
use crate::print::plain_text;
use crate::regex;
use crate::source::{Span, Spanned};

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

    fn accepts(self, literal: &Literal) -> bool {
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
enum AnyOperator {
    Logic(Logic),
    Test(Operator),
}

impl AnyOperator {
    fn parse(text: &str) -> Option<Self> {
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
                let diagnostic = match suggest::negates(&text.value, &names) {
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

    fn test(
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

    /// The value of a named constant, which is held to what one that is written there would be.
    fn constant_operand(
        &mut self,
        operator: Operator,
        takes: Takes,
        id: NodeId,
        path: &Spanned<FieldPath>,
    ) -> Option<Operand> {
        let literal = self.constant(&path.value, path.span, Some(path.span))?;
        let literal = Spanned::new(literal, path.span);
        if !takes.accepts(&literal.value) {
            self.report(
                Diagnostic::new(
                    Code::OperandType,
                    path.span,
                    format!(
                        "`{}` takes {}, found a constant of type {}",
                        operator.as_str(),
                        takes.words(),
                        literal.value.type_name()
                    ),
                )
                .help(format!(
                    "`{}` is {}",
                    path.value,
                    shorten(&plain_text(&literal.value))
                )),
            );
            return None;
        }
        self.operand(operator, takes, id, literal, true)
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
    fn quantifier(
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
    fn ignore_case(&mut self, operator: Operator, entry: Option<Entry>) -> bool {
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

    fn value(&mut self, operator: Operator, takes: Takes, id: NodeId) -> Option<Operand> {
        if takes == Takes::Presence && self.is_null(id) {
            return Some(Operand::Value(Spanned::new(Literal::Bool(true), self.extent(id))));
        }
        let literal = self.literal(id, false)?;
        if !takes.accepts(&literal.value) {
            self.report_operand(operator, takes, id, &literal);
            return None;
        }
        if let Literal::String(text) = &literal.value
            && self.is_placeholder(id, text)
        {
            return None;
        }
        self.operand(operator, takes, id, literal, false)
    }

    /// Reports a placeholder of a constant as the value of a comparison, which holds no placeholders.
    fn is_placeholder(&mut self, id: NodeId, text: &str) -> bool {
        let template = Template::parse(text).map(|template| template.parts);
        let path = match template.as_deref() {
            Ok([TemplatePart::Path(path)]) if path.is_constant() => path.clone(),
            // As behind `valueFrom`, where there is such a constant: a text of this form may be meant.
            _ => match FieldPath::parse(text) {
                Ok(path) if self.is_known(&path) => path,
                Ok(_) | Err(_) => return false,
            },
        };
        let span = self.extent(id);
        self.report(
            Diagnostic::new(
                Code::UnknownConstant,
                span,
                format!("`value` is compared as it is, and `{}` is a constant", path),
            )
            .help(format!("write `valueFrom: {path}` instead of `value`")),
        );
        true
    }

    /// A value that the operator takes, with what else is to be said of it. `named`: it is that of a constant.
    fn operand(
        &mut self,
        operator: Operator,
        takes: Takes,
        id: NodeId,
        literal: Spanned<Literal>,
        named: bool,
    ) -> Option<Operand> {
        if matches!(operator, Operator::Contains | Operator::NotContains)
            && matches!(literal.value, Literal::Array(_))
        {
            let message = format!(
                "`{}` looks for the list as one element, not for any of its items",
                operator.as_str()
            );
            self.report(Diagnostic::new(Code::ListInContains, self.head(id), message).help(
                "to look for any of several values, combine one condition for each with `or`, or use `in` on a list field",
            ));
        }
        if let (Takes::Pattern, Literal::String(text)) = (takes, &literal.value)
            && let Some(diagnostic) = self.problems.pattern(text, literal.span)
        {
            self.report(diagnostic);
            return None;
        }
        if let (Takes::Pattern, Literal::String(text)) = (takes, &literal.value)
            && let Err(error) = regex::translate(text)
        {
            let span = if named {
                literal.span
            } else {
                self.inside(id, error.start, error.end)
            };
            let mut diagnostic = Diagnostic::new(error.code, span, error.message);
            diagnostic.help.extend(error.help);
            self.report(diagnostic);
            return None;
        }
        if let (Takes::Pattern, Literal::String(text)) = (takes, &literal.value) {
            self.doubt_pattern(id, text, named);
        }
        Some(Operand::Value(literal))
    }

    fn report_operand(&mut self, operator: Operator, takes: Takes, id: NodeId, literal: &Spanned<Literal>) {
        let name = operator.as_str();
        let span = self.head(id);
        let diagnostic = Diagnostic::new(
            Code::OperandType,
            span,
            format!("`{name}` takes {}, found {}", takes.words(), self.found(id)),
        );
        let node = self.tree.node(id);
        let written = self
            .text
            .get(node.start as usize..node.end as usize)
            .unwrap_or("");
        let single = matches!(
            literal.value,
            Literal::String(_) | Literal::Number(_) | Literal::Bool(_)
        );
        self.report(match takes {
            Takes::List if single && !written.contains('\n') => {
                let other = if operator == Operator::NotIn { "ne" } else { "eq" };
                diagnostic
                    .help(format!("put it into a list, or use `{other}` for a single value"))
                    .fix(span, format!("[{written}]"))
            }
            Takes::Text | Takes::Pattern if single => diagnostic
                .help("put it in quotes")
                .fix(span, format!("\"{written}\"")),
            Takes::Ordered if matches!(literal.value, Literal::Null | Literal::Bool(_)) => {
                diagnostic.help("use `eq` or `ne`")
            }
            Takes::Presence => diagnostic.help("`value: false` asks for the field to be absent"),
            Takes::Window => diagnostic.help(
                "for example `{start: \"22:00\", end: \"06:00\", days: [fri, sat], timezone: Europe/Berlin}`",
            ),
            Takes::Any
            | Takes::Ordered
            | Takes::List
            | Takes::Text
            | Takes::Pattern
            | Takes::Networks
            | Takes::Instant
            | Takes::Condition => diagnostic,
        });
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
