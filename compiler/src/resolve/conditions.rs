//! Resolving conditions: comparisons become predicates of the shared table.
//!
//! The conditions of `any` and `all` are resolved in `quantifiers.rs`. Negated operators and `exists: false` become negated
//! uses of the positive predicate, so that a
//! comparison and its negation share one entry.

use super::{MAX_DEPTH, Resolver, index_u32, operands};
use crate::hir::{Cond, Pattern, Test};
use crate::limits::pattern_size;
use crate::passes::patterns::search;
use policy_bytecode::PatternIdx;
use policy_bytecode::predicate::{PredOp, PredOperand, Takes};
use policy_grammar::ast::{self, Condition, Literal, Operand, Operator};
use policy_grammar::codes::Code;
use policy_grammar::source::Spanned;
use policy_grammar::text::pattern::{self, Translated};
use policy_grammar::{Diagnostic, Span};
use regex_automata::meta;
use std::sync::{Arc, OnceLock};

/// Reckoned size beyond which a pattern is compiled to see whether the engine takes it. Reckoning is not exact; the engine
/// takes ten times as much.
const LARGE_PATTERN: usize = 1 << 20;

/// The predicate that an operator stands for, and whether it is negated.
pub(crate) fn predicate_op(operator: Operator) -> (PredOp, bool) {
    match operator {
        Operator::Eq => (PredOp::Eq, false),
        Operator::Ne => (PredOp::Eq, true),
        Operator::Gt => (PredOp::Gt, false),
        Operator::Gte => (PredOp::Gte, false),
        Operator::Lt => (PredOp::Lt, false),
        Operator::Lte => (PredOp::Lte, false),
        Operator::In => (PredOp::In, false),
        Operator::NotIn => (PredOp::In, true),
        Operator::Contains => (PredOp::Contains, false),
        Operator::NotContains => (PredOp::Contains, true),
        Operator::StartsWith => (PredOp::StartsWith, false),
        Operator::NotStartsWith => (PredOp::StartsWith, true),
        Operator::EndsWith => (PredOp::EndsWith, false),
        Operator::NotEndsWith => (PredOp::EndsWith, true),
        Operator::Matches => (PredOp::Matches, false),
        Operator::NotMatches => (PredOp::Matches, true),
        Operator::Exists => (PredOp::Exists, false),
        Operator::Any => (PredOp::Any, false),
        Operator::All => (PredOp::All, false),
        Operator::InCidr => (PredOp::InCidr, false),
        Operator::Before => (PredOp::Before, false),
        Operator::After => (PredOp::After, false),
        Operator::TimeBetween => (PredOp::TimeBetween, false),
    }
}

/// The predicate that a comparison stands for, and whether it is negated.
pub(super) fn predicate_of(test: &ast::Test) -> (PredOp, bool) {
    let (op, negated) = predicate_op(test.operator.value);
    let op = if test.ignore_case {
        op.folded().unwrap_or(op)
    } else {
        op
    };
    (op, negated)
}

impl Resolver<'_, '_> {
    pub(super) fn condition(&mut self, condition: &Condition, depth: usize) -> Option<Cond> {
        if depth > MAX_DEPTH {
            self.too_deep(condition.span(), "the condition");
            return None;
        }
        match condition {
            Condition::And { span, operands } => Some(Cond::And {
                span: *span,
                operands: self.operands(operands, depth)?,
            }),
            Condition::Or { span, operands } => Some(Cond::Or {
                span: *span,
                operands: self.operands(operands, depth)?,
            }),
            Condition::Not { span, operand } => Some(Cond::Not {
                span: *span,
                operand: Box::new(self.condition(operand, depth + 1)?),
            }),
            Condition::Test(test) => self.test(test, depth).map(Cond::Test),
        }
    }

    /// All operands, each resolved even when an earlier one failed, so that every problem is reported.
    fn operands(&mut self, operands: &[Condition], depth: usize) -> Option<Vec<Cond>> {
        let resolved: Vec<Option<Cond>> = operands.iter().map(|c| self.condition(c, depth + 1)).collect();
        resolved.into_iter().collect()
    }

    pub(super) fn test(&mut self, test: &ast::Test, depth: usize) -> Option<Test> {
        let (op, mut negated) = predicate_of(test);
        let field = self.read_field(&test.field);
        let mut names = Vec::new();
        let (operand, operand_span) = match &test.operand {
            Operand::Path(path) => {
                self.takes_field(op, test.operator.value, path.span)?;
                (PredOperand::Field(self.read_field(path)), path.span)
            }
            Operand::Condition(body) => {
                let element = self.field_info(field).map(|info| info.items);
                let (body, below) = self.body(test, body, element, depth)?;
                names = below;
                (PredOperand::Body(body), test.operator.span)
            }
            Operand::Value(value) => (
                self.value(op, test.operator.value, value, &mut negated)?,
                value.span,
            ),
        };
        let constant = self.constant_name(test);
        let first = index_u32(self.program.item_names.len());
        self.program.item_names.extend(names);
        let items = (first, index_u32(self.program.item_names.len()));
        Some(Test {
            span: test.span,
            pred: self.predicate(op, field, operand, test.span),
            negated,
            operator: test.operator.value,
            constant,
            items,
            field_span: test.field.span,
            operand_span,
        })
    }

    /// The named constant that a comparison is made with, as an index into the names of the program.
    pub(super) fn constant_name(&mut self, test: &ast::Test) -> Option<u32> {
        let constant = test.constant.as_ref()?;
        self.program.names.push(constant.value.clone());
        Some(index_u32(self.program.names.len() - 1))
    }

    /// `None` after a diagnostic, where the operand cannot come from the request.
    pub(super) fn takes_field(&mut self, op: PredOp, operator: Operator, span: Span) -> Option<()> {
        if op.takes().field() {
            return Some(());
        }
        let diagnostic = Diagnostic::new(
            Code::UnexpectedOperand,
            span,
            format!("`{}` takes a `value`, not a `valueFrom`", operator.as_str()),
        );
        self.diagnostics
            .push(diagnostic.help("patterns are compiled ahead of time and cannot come from the request"));
        None
    }

    pub(super) fn value(
        &mut self,
        op: PredOp,
        operator: Operator,
        value: &Spanned<Literal>,
        negated: &mut bool,
    ) -> Option<PredOperand> {
        match (op.takes(), &value.value) {
            (Takes::Nothing, Literal::Bool(wanted)) => {
                *negated ^= !wanted;
                return Some(PredOperand::None);
            }
            (Takes::Pattern, Literal::String(source)) => {
                return self.pattern(source, value.span).map(PredOperand::Pattern);
            }
            (Takes::List, Literal::Array(_))
            | (Takes::Text, Literal::String(_))
            | (Takes::Ordered | Takes::Instant, Literal::Number(_) | Literal::String(_))
            | (Takes::Networks, Literal::String(_) | Literal::Array(_))
            | (Takes::Window, Literal::Object(_))
            | (Takes::Json, _) => {
                if depth(&value.value) > MAX_DEPTH {
                    self.too_deep(value.span, "the value");
                    return None;
                }
                let problems = operands::problems(op, value, &mut || self.room.suggests());
                if !problems.is_empty() {
                    self.diagnostics.extend(problems);
                    return None;
                }
                return Some(PredOperand::Const(self.constant(&value.value)));
            }
            (
                Takes::Nothing
                | Takes::Pattern
                | Takes::List
                | Takes::Text
                | Takes::Ordered
                | Takes::Instant
                | Takes::Networks
                | Takes::Window
                | Takes::Body,
                _,
            ) => {}
        }
        let expected = op.takes().expected();
        self.diagnostics.push(
            Diagnostic::new(
                Code::OperandType,
                value.span,
                format!(
                    "`{}` takes {expected}, not a value of type {}",
                    operator.as_str(),
                    value.value.type_name()
                ),
            )
            .label(format!("expected {expected}")),
        );
        None
    }

    fn pattern(&mut self, source: &str, span: Span) -> Option<PatternIdx> {
        if let Some(&known) = self.pattern_index.get(source) {
            return Some(known);
        }
        let Translated { text, tree } = match pattern::read(source) {
            Ok(translated) => translated,
            // The parser has said so already, at its place in the pattern.
            Err(error) => {
                let mut d = Diagnostic::new(error.code, span, error.message);
                d.help.extend(error.help);
                self.diagnostics.push(d);
                return None;
            }
        };
        let size = pattern_size(&tree);
        if let Err(why) = self.room.pattern(source, size, span) {
            self.ended = Some(why);
            return None;
        }
        // The sum of sizes is bounded, so no set of patterns makes this dear.
        if size > LARGE_PATTERN
            && let Err(error) = meta::Regex::new(&text)
        {
            self.diagnostics.push(match error.size_limit() {
                Some(limit) => Diagnostic::new(
                    Code::InvalidRegex,
                    span,
                    format!("the pattern takes more than {} MiB when compiled", limit >> 20),
                )
                .help("repeat less: `{1000}` copies what stands before it a thousand times"),
                None => Diagnostic::new(
                    Code::InvalidRegex,
                    span,
                    "the pattern is not a valid regular expression",
                ),
            });
            return None;
        }
        let id = PatternIdx(index_u32(self.program.patterns.len()));
        self.program.patterns.push(Pattern {
            source: source.to_owned(),
            translated: text,
            search: Arc::new(search(&tree)),
            tree,
            size,
            automaton: OnceLock::new(),
        });
        self.pattern_index.insert(source.to_owned(), id);
        Some(id)
    }
}

/// Nesting depth of a literal, counted no further than it takes to refuse it.
pub(super) fn depth(literal: &Literal) -> usize {
    fn walk(literal: &Literal, left: usize) -> usize {
        if left == 0 {
            return 0;
        }
        let below = match literal {
            Literal::Null | Literal::Bool(_) | Literal::Number(_) | Literal::String(_) => 0,
            Literal::Array(items) => items.iter().map(|i| walk(&i.value, left - 1)).max().unwrap_or(0),
            Literal::Object(members) => members
                .iter()
                .map(|(_, v)| walk(&v.value, left - 1))
                .max()
                .unwrap_or(0),
        };
        below + 1
    }
    walk(literal, MAX_DEPTH + 2)
}
