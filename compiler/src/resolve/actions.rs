//! Resolving actions: templates are parsed, values go to the value table, modified paths become fields.

use super::conditions::depth;
use super::{MAX_DEPTH, Resolver, index_u32, is_const, number};
use crate::context;
use crate::fields::{Suspicion, describe};
use policy_bytecode::disasm::path_text;
use policy_bytecode::manifest::{ModificationInfo, TemplatePart, ValueNode, VerbInfo};
use policy_bytecode::module::PathSegment;
use policy_bytecode::{Const, ConstIdx};
use policy_grammar::ast::{self, Action, Literal, Modification, Template, Verb};
use policy_grammar::codes::Code;
use policy_grammar::source::Spanned;
use policy_grammar::{Diagnostic, Span};
use policy_primitives::pii::PiiType;

/// A resolved action, without its decision.
#[derive(Debug, Default)]
pub(super) struct ResolvedAction {
    pub(super) reason: Option<u32>,
    pub(super) metadata: Vec<(String, u32)>,
    pub(super) modifications: Vec<ModificationInfo>,
}

/// Whether the modification can make a known object at the top of the request something else: by a value, or by an
/// element that is put where there is nothing yet.
fn breaks_root(root: &[PathSegment], segments: &[ast::Segment], verb: &Verb) -> bool {
    context::is_root(root)
        && match segments.get(1) {
            Some(second) => second.is_element(),
            None => match verb {
                Verb::Set(value) | Verb::Default(value) => {
                    !matches!(value, Literal::Object(_) | Literal::Null)
                }
                Verb::Cap(_) | Verb::Floor(_) | Verb::Append(_) => true,
                Verb::Remove | Verb::Redact(_) => false,
            },
        }
}

impl Resolver<'_, '_> {
    pub(super) fn action(&mut self, action: &Action) -> ResolvedAction {
        ResolvedAction {
            reason: action
                .reason
                .as_ref()
                .and_then(|reason| self.template(&reason.value, reason.span)),
            metadata: action
                .metadata
                .iter()
                .filter_map(|(key, value)| {
                    self.action_value(&value.value, value.span)
                        .map(|v| (key.value.clone(), v))
                })
                .collect(),
            modifications: action
                .modifications
                .iter()
                .filter_map(|m| self.modification(m))
                .collect(),
        }
    }

    /// Index of the parsed text; `None` after a diagnostic.
    fn template(&mut self, text: &str, span: Span) -> Option<u32> {
        if let Some(&known) = self.template_index.get(text) {
            return Some(known);
        }
        let template = match Template::parse(text) {
            Ok(template) => template,
            Err(error) => {
                self.diagnostics
                    .push(Diagnostic::new(Code::InvalidTemplate, span, error.message));
                return None;
            }
        };
        let parts = template
            .parts
            .into_iter()
            .map(|part| match part {
                ast::TemplatePart::Text(text) => TemplatePart::Text(text),
                ast::TemplatePart::Path(path) => {
                    let field = self.program.fields.intern(&path, self.schema);
                    let unknown = self
                        .field_info(field)
                        .filter(|info| !info.known)
                        .map(|info| info.suspicion.clone());
                    if let Some(suspicion) = unknown {
                        let mut d = Diagnostic::new(
                            Code::UnknownTemplateField,
                            span,
                            format!("`{{{{ {path} }}}}` is not a known context field"),
                        )
                        .label("empty where the request does not hold it");
                        if let Some(
                            Suspicion::UnknownKey { near: Some(near), .. } | Suspicion::NearRoot { near },
                        ) = suspicion
                        {
                            d = d.help(format!("did you mean `{near}`?"));
                        }
                        self.diagnostics.push(d);
                    }
                    TemplatePart::Field(field)
                }
            })
            .collect();
        let id = index_u32(self.program.templates.len());
        self.program.templates.push(parts);
        self.template_index.insert(text.to_owned(), id);
        Some(id)
    }

    fn action_value(&mut self, literal: &Literal, span: Span) -> Option<u32> {
        if depth(literal) > MAX_DEPTH {
            self.too_deep(span, "the value");
            return None;
        }
        self.value_node(literal, span)
    }

    fn value_node(&mut self, literal: &Literal, span: Span) -> Option<u32> {
        let node = match literal {
            Literal::String(text) if text.contains("{{") => ValueNode::Template(self.template(text, span)?),
            Literal::Null | Literal::Bool(_) | Literal::Number(_) | Literal::String(_) => {
                ValueNode::Const(self.constant(literal))
            }
            Literal::Array(items) => {
                let nodes = items
                    .iter()
                    .map(|i| self.value_node(&i.value, i.span))
                    .collect::<Option<Vec<_>>>()?;
                match self.all_const(&nodes) {
                    Some(items) => ValueNode::Const(self.program.consts.intern(Const::Array(items))),
                    None => ValueNode::Array(nodes),
                }
            }
            Literal::Object(members) => {
                let nodes = members
                    .iter()
                    .map(|(key, v)| Some((key.value.clone(), self.value_node(&v.value, v.span)?)))
                    .collect::<Option<Vec<_>>>()?;
                // Always a node: a constant would lose the order of the keys.
                ValueNode::Object(nodes)
            }
        };
        if let ValueNode::Const(k) = node
            && let Some(&known) = self.value_index.get(&k)
        {
            return Some(known);
        }
        let id = index_u32(self.program.values.len());
        if let ValueNode::Const(k) = node {
            self.value_index.insert(k, id);
        }
        self.program.values.push(node);
        Some(id)
    }

    fn all_const(&self, nodes: &[u32]) -> Option<Vec<ConstIdx>> {
        nodes
            .iter()
            .map(|n| is_const(self.program.values.get(*n as usize)))
            .collect()
    }

    fn modification(&mut self, modification: &Modification) -> Option<ModificationInfo> {
        let path = &modification.path;
        let info = describe(&path.value, self.schema);
        if let Some(computed) = info.computed {
            self.diagnostics.push(
                Diagnostic::new(
                    Code::ReadOnlyField,
                    path.span,
                    format!("`{}` is computed by the engine and cannot be changed", info.path),
                )
                .help(format!(
                    "change what it is computed from: {}",
                    computed
                        .args
                        .iter()
                        .map(|i| format!("`{i}`"))
                        .collect::<Vec<_>>()
                        .join(", ")
                )),
            );
            return None;
        }
        let root = info.field.path.get(..1).unwrap_or_default();
        if breaks_root(root, &path.value.segments, &modification.verb) {
            self.diagnostics.push(
                Diagnostic::new(
                    Code::BreaksContext,
                    path.span,
                    format!("this would make `{}` something else than an object", path_text(root)),
                )
                .help("a request like that is malformed, so nothing could decide it; change fields inside of it"),
            );
            return None;
        }
        // New keys are legitimate in a modification (providers add parameters), so only near misses are reported.
        if let Some(suspicion) = &info.suspicion {
            let message = match suspicion {
                Suspicion::UnknownKey {
                    parent,
                    near: Some(_),
                } => Some(format!("`{}` is not a known field of `{parent}`", path.value)),
                Suspicion::NearRoot { .. } => Some(format!("`{}` is not a known field", path.value)),
                Suspicion::UnknownKey { near: None, .. } | Suspicion::BelowScalar { .. } => None,
            };
            if let Some(message) = message {
                let d = Diagnostic::new(Code::UnknownField, path.span, message);
                self.diagnostics.push(suspicion.advise(d, path));
            }
        }
        let field = self.program.fields.intern(&path.value, self.schema);
        let span = modification.span;
        let verb = match &modification.verb {
            Verb::Set(value) => VerbInfo::Set(self.action_value(value, span)?),
            Verb::Cap(n) => VerbInfo::Cap(self.number_const(n)),
            Verb::Floor(n) => VerbInfo::Floor(self.number_const(n)),
            Verb::Default(value) => VerbInfo::Default(self.action_value(value, span)?),
            Verb::Append(value) => VerbInfo::Append(self.action_value(value, span)?),
            Verb::Remove => VerbInfo::Remove,
            Verb::Redact(types) => VerbInfo::Redact(self.redact(types)?),
        };
        Some(ModificationInfo {
            path: info.path.to_string(),
            field,
            verb,
        })
    }

    fn number_const(&mut self, n: &ast::Number) -> ConstIdx {
        self.program.consts.intern(number(n))
    }

    fn redact(&mut self, types: &[Spanned<String>]) -> Option<Vec<String>> {
        let mut ok = true;
        for ty in types {
            if PiiType::NAMES.contains(&ty.value.as_str()) {
                continue;
            }
            ok = false;
            let mut d = Diagnostic::new(
                Code::InvalidVerb,
                ty.span,
                format!("`{}` is not a type of personal data", ty.value),
            );
            d = match crate::fields::nearest(&ty.value, PiiType::NAMES.iter().copied()) {
                Some(near) => d.help(format!("did you mean `{near}`?")).fix(ty.span, near),
                None => d.help(format!("the types are {}", PiiType::NAMES.join(", "))),
            };
            self.diagnostics.push(d);
        }
        ok.then(|| types.iter().map(|t| t.value.clone()).collect())
    }
}
