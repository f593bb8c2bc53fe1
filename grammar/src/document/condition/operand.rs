//! The right-hand side of a comparison: a constant, a named constant or a field, held to what the operator takes.

use super::takes::Takes;
use crate::ast::{FieldPath, Literal, Operand, Operator, Template, TemplatePart};
use crate::codes::Code;
use crate::diagnostic::Diagnostic;
use crate::document::print::plain_text;
use crate::document::tree::NodeId;
use crate::document::walk::{Walk, shorten};
use crate::source::Spanned;
use crate::text::pattern;

impl Walk<'_, '_> {
    /// The value of a named constant, which is held to what one that is written there would be.
    pub(super) fn constant_operand(
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

    pub(super) fn value(&mut self, operator: Operator, takes: Takes, id: NodeId) -> Option<Operand> {
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
            && let Err(error) = pattern::translate(text)
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
