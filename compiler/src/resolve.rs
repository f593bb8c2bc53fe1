//! Resolve: AST → HIR. Every path becomes a field, every comparison a predicate, every template its parts.
//!
//! Second stage, one policy at a time. What takes part in decisions goes into one program; drafts, deprecated policies
//! and disabled rules go into another, which is checked but never compiled, so that nothing of theirs reaches the
//! tables of the module.
//!
//! Reports: operands that an operator can never take, unknown fields, unknown fields in templates, modifications of
//! computed fields, documents that are too deep. Types are the business of `check`, duplicate ids that of `set`.

mod actions;
mod conditions;
mod operands;
mod quantifiers;

use crate::fields::{FieldInfo, FieldTable};
use crate::hir::{Policy, Predicate, Program, Rule};
use crate::limits::{Ended, Room, stopped};
use crate::options::Options;
use crate::schema::ContextSchema;
use policy_bytecode::manifest::ValueNode;
use policy_bytecode::module::Decision;
use policy_bytecode::predicate::{PredOp, PredOperand};
use policy_bytecode::quantifier;
use policy_bytecode::{BodyIdx, Const, ConstIdx, Exact, FieldIdx, Number, PatternIdx, PredIdx};
use policy_grammar::ast::{self, FieldPath, Literal, OnError, Status};
use policy_grammar::codes::Code;
use policy_grammar::source::Spanned;
use policy_grammar::{Diagnostic, Span};
use std::collections::HashMap;

/// Levels that conditions and values may nest; deeper ones are refused. Within what the format allows.
const MAX_DEPTH: usize = 120;

/// What `resolve` hands over: two programs of at most one policy.
#[derive(Debug)]
pub(crate) struct Resolved {
    /// What will be compiled; without a policy when this one takes no part in decisions.
    pub(crate) live: Program,
    /// What is only checked.
    pub(crate) idle: Program,
}

/// Whether a policy takes part in decisions.
pub(crate) fn is_live(policy: &ast::Policy, options: &Options) -> bool {
    policy.status == Status::Active || options.include_inactive
}

/// Resolves one policy; every problem goes to `diagnostics`.
///
/// # Errors
///
/// A diagnostic that ends the compilation.
pub(crate) fn resolve(
    policy: &ast::Policy,
    options: &Options,
    room: &mut Room<'_>,
    diagnostics: &mut Vec<Diagnostic>,
) -> Result<Resolved, Ended> {
    let live = is_live(policy, options);
    let mut active = Resolver::new(options, room, diagnostics);
    if live {
        active.policy(policy, |rule| rule.enabled);
    }
    let active = active.finish()?;
    let mut idle = Resolver::new(options, room, diagnostics);
    if !live {
        idle.policy(policy, |_| true);
    } else if policy.rules.iter().any(|rule| !rule.enabled) {
        idle.policy(policy, |rule| !rule.enabled);
    }
    Ok(Resolved {
        live: active,
        idle: idle.finish()?,
    })
}

/// Builds one [`Program`].
struct Resolver<'a, 'o> {
    program: Program,
    options: &'a Options,
    schema: Option<&'a ContextSchema>,
    room: &'a mut Room<'o>,
    diagnostics: &'a mut Vec<Diagnostic>,
    /// What ends the compilation, once something does.
    ended: Option<Ended>,
    predicate_index: HashMap<(PredOp, FieldIdx, PredOperand), PredIdx>,
    pattern_index: HashMap<String, PatternIdx>,
    body_index: HashMap<quantifier::Body, BodyIdx>,
    template_index: HashMap<String, u32>,
    value_index: HashMap<ConstIdx, u32>,
}

fn index_u32(index: usize) -> u32 {
    u32::try_from(index).unwrap_or(u32::MAX)
}

impl<'a, 'o> Resolver<'a, 'o> {
    fn new(options: &'a Options, room: &'a mut Room<'o>, diagnostics: &'a mut Vec<Diagnostic>) -> Self {
        Self {
            program: Program::default(),
            options,
            schema: options.schema.as_ref(),
            room,
            diagnostics,
            ended: None,
            predicate_index: HashMap::new(),
            pattern_index: HashMap::new(),
            body_index: HashMap::new(),
            template_index: HashMap::new(),
            value_index: HashMap::new(),
        }
    }

    fn finish(self) -> Result<Program, Ended> {
        match self.ended {
            Some(why) => Err(why),
            None => Ok(self.program),
        }
    }

    fn policy(&mut self, policy: &ast::Policy, wanted: impl Fn(&ast::Rule) -> bool) {
        let rules = policy
            .rules
            .iter()
            .filter(|r| wanted(r))
            .map_while(|rule| {
                if self.ended.is_none() {
                    self.ended = self.options.stop.check().err().map(stopped);
                }
                self.ended.is_none().then(|| self.rule(rule))
            })
            .flatten()
            .collect();
        let metadata = &policy.metadata;
        self.program.policies.push(Policy {
            span: policy.span,
            id: metadata.id.value.clone(),
            name: metadata.name.value.clone(),
            version: metadata.version.value.clone(),
            namespace: metadata.namespace.value.clone(),
            description: metadata
                .description
                .as_ref()
                .map(|d| d.value.clone())
                .unwrap_or_default(),
            tags: metadata.tags.iter().map(|t| t.value.clone()).collect(),
            priority: metadata.priority.value,
            skip_errors: policy.on_error == OnError::Skip,
            rules,
        });
    }

    /// `None` when the condition could not be resolved; then a diagnostic says why.
    fn rule(&mut self, rule: &ast::Rule) -> Option<Rule> {
        let condition = self.condition(&rule.condition, 0);
        let action = self.action(&rule.action);
        Some(Rule {
            span: rule.id.span,
            id: rule.id.value.clone(),
            name: rule.name.as_ref().unwrap_or(&rule.id).value.clone(),
            condition: condition?,
            decision: decision(rule.action.decision.value),
            reason: action.reason,
            metadata: action.metadata,
            modifications: action.modifications,
        })
    }

    /// The field of a path that a condition reads.
    fn read_field(&mut self, path: &Spanned<FieldPath>) -> FieldIdx {
        let field = self.program.fields.intern(&path.value, self.schema);
        let suspicion = self.field_info(field).and_then(|f| f.suspicion.as_ref());
        self.diagnostics
            .extend(suspicion.map(|suspicion| suspicion.diagnostic(path)));
        field
    }

    fn field_info(&self, field: FieldIdx) -> Option<&FieldInfo> {
        self.program.fields.get(field)
    }

    fn constant(&mut self, literal: &Literal) -> ConstIdx {
        let value = match literal {
            Literal::Null => Const::Null,
            Literal::Bool(b) => Const::Bool(*b),
            Literal::Number(n) => number(n),
            Literal::String(s) => Const::Str(s.clone()),
            Literal::Array(items) => Const::Array(items.iter().map(|i| self.constant(&i.value)).collect()),
            Literal::Object(members) => Const::Object(
                members
                    .iter()
                    .map(|(key, value)| (key.value.clone(), self.constant(&value.value)))
                    .collect(),
            ),
        };
        self.program.consts.intern(value)
    }

    fn predicate(&mut self, op: PredOp, field: FieldIdx, operand: PredOperand, span: Span) -> PredIdx {
        let next = PredIdx(index_u32(self.program.predicates.len()));
        let id = *self.predicate_index.entry((op, field, operand)).or_insert(next);
        if id == next {
            self.program.predicates.push(Predicate {
                op,
                field,
                operand,
                span,
            });
        }
        id
    }

    fn too_deep(&mut self, span: Span, what: &str) {
        self.diagnostics.push(Diagnostic::new(
            Code::TooLarge,
            span,
            format!("{what} nests deeper than {MAX_DEPTH} levels"),
        ));
    }
}

/// Fields of a table, without what only the checks need.
pub(crate) fn module_fields(table: &FieldTable) -> Vec<policy_bytecode::module::Field> {
    table.entries().iter().map(|info| info.field.clone()).collect()
}

fn number(n: &ast::Number) -> Const {
    Const::Number(match n {
        ast::Number::Int(n) => Number::Int(*n),
        ast::Number::UInt(n) => Number::from_u64(*n),
        // INVARIANT: literals are finite, so the fallback is never taken.
        ast::Number::Float(x) => Number::from_f64(*x).unwrap_or(Number::Int(0)),
        // INVARIANT: the parser reads numbers as the machine does, so the fallback is never taken.
        ast::Number::Decimal(text) => return Exact::read(text).map_or(Const::Null, Const::from),
    })
}

fn decision(d: ast::Decision) -> Decision {
    match d {
        ast::Decision::Allow => Decision::Allow,
        ast::Decision::Warn => Decision::Warn,
        ast::Decision::Modify => Decision::Modify,
        ast::Decision::Deny => Decision::Deny,
    }
}

/// A value node that is not a plain constant is never shared.
fn is_const(node: Option<&ValueNode>) -> Option<ConstIdx> {
    match node {
        Some(ValueNode::Const(k)) => Some(*k),
        Some(ValueNode::Template(_) | ValueNode::Array(_) | ValueNode::Object(_)) | None => None,
    }
}
