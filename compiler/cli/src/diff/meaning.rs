//! Conditions, templates and values of a module as texts, for comparing and showing.

use policy_bytecode::manifest::{CondNode, Manifest, TemplatePart, ValueNode, VerbInfo};
use policy_bytecode::module::PathSegment;
use policy_bytecode::predicate::{PredOperand, Predicate};
use policy_bytecode::quantifier::{ItemOperand, Node, Subject};
use policy_bytecode::{BodyIdx, Const, Module, Number, disasm};
use serde_json::{Value, json};

/// Prints what a manifest holds, in full.
pub(super) struct Show<'p> {
    pub(super) module: &'p Module,
    pub(super) manifest: &'p Manifest,
}

impl Show<'_> {
    pub(super) fn condition(&self, node: u32) -> String {
        let list = |children: &[u32], word: &str| {
            let parts: Vec<String> = children.iter().map(|c| self.condition(*c)).collect();
            format!("({})", parts.join(&format!(" {word} ")))
        };
        match self.manifest.conditions.get(node as usize) {
            Some(CondNode::Const(value)) => value.to_string(),
            Some(CondNode::And(children)) => list(children, "and"),
            Some(CondNode::Or(children)) => list(children, "or"),
            Some(CondNode::Not(child)) => format!("not {}", self.condition(*child)),
            Some(CondNode::Test { pred, negated, .. }) => {
                let Some(predicate) = self.module.predicates.get(pred.index()) else {
                    return "?".to_owned();
                };
                self.predicate(predicate, *negated)
            }
            None => "?".to_owned(),
        }
    }

    pub(super) fn predicate(&self, predicate: &Predicate, negated: bool) -> String {
        let not = if negated { "not " } else { "" };
        let field = self.field(predicate.field.index());
        let operand = self.operand(predicate.operand);
        let (op, folded) = predicate.op.unfolded();
        let ignoring = if folded { crate::eval::IGNORING_CASE } else { "" };
        format!("{field} {not}{}{operand}{ignoring}", op.as_str())
    }

    /// An operand with a space in front. What a body names stands before it, so this ends.
    fn operand(&self, operand: PredOperand) -> String {
        match operand {
            PredOperand::None => String::new(),
            PredOperand::Const(k) => format!(" {}", self.constant(k.index())),
            PredOperand::Pattern(p) => {
                let pattern = self.module.patterns.get(p.index());
                format!(" /{}/", pattern.map_or("?", |p| p.source.as_str()))
            }
            PredOperand::Field(f) => format!(" {}", self.field(f.index())),
            PredOperand::Body(q) => format!(" {}", self.body(q)),
        }
    }

    fn body(&self, q: BodyIdx) -> String {
        let item = |path: &[PathSegment]| {
            let mut steps = vec![PathSegment::Key {
                name: "item".to_owned(),
                aliases: Vec::new(),
            }];
            steps.extend_from_slice(path);
            disasm::path_text(&steps)
        };
        let mut texts: Vec<String> = Vec::new();
        let nodes = self
            .module
            .bodies
            .get(q.index())
            .map_or(&[][..], |body| &body.nodes);
        for node in nodes {
            let child = |n: &u32| texts.get(*n as usize).map_or("?", String::as_str);
            let list = |nodes: &[u32], word: &str| {
                let parts: Vec<&str> = nodes.iter().map(child).collect();
                format!("({})", parts.join(&format!(" {word} ")))
            };
            let text = match node {
                Node::And(nodes) => list(nodes, "and"),
                Node::Or(nodes) => list(nodes, "or"),
                Node::Not(n) => format!("not {}", child(n)),
                Node::Pred { pred, negated } => match self.module.predicates.get(pred.index()) {
                    Some(predicate) => self.predicate(predicate, *negated),
                    None => "?".to_owned(),
                },
                Node::Test(test) => {
                    let left = match &test.subject {
                        Subject::Item(path) => item(path),
                        Subject::Field(f) => self.field(f.index()),
                    };
                    let right = match &test.operand {
                        ItemOperand::Item(path) => format!(" {}", item(path)),
                        ItemOperand::Plain(operand) => self.operand(*operand),
                    };
                    let not = if test.negated { "not " } else { "" };
                    let (op, folded) = test.op.unfolded();
                    let ignoring = if folded { crate::eval::IGNORING_CASE } else { "" };
                    format!("{left} {not}{}{right}{ignoring}", op.as_str())
                }
            };
            texts.push(text);
        }
        format!("[{}]", texts.pop().unwrap_or_default())
    }

    fn field(&self, index: usize) -> String {
        self.module
            .fields
            .get(index)
            .map_or_else(|| "?".to_owned(), disasm::field_path)
    }

    /// Constants refer to earlier ones only, so this ends.
    fn constant(&self, index: usize) -> Value {
        match self.module.consts.get(index) {
            Some(Const::Bool(b)) => json!(b),
            Some(Const::Number(Number::Int(n))) => json!(n),
            Some(Const::Number(Number::UInt(n))) => json!(n),
            Some(Const::Number(Number::Float(x))) => json!(x),
            // As a text: it is there to be read and compared, and nothing else holds it.
            Some(Const::Str(s) | Const::Decimal(s)) => json!(s),
            Some(Const::Array(items)) => items.iter().map(|k| self.constant(k.index())).collect(),
            Some(Const::Object(members)) => Value::Object(
                members
                    .iter()
                    .map(|(key, k)| (key.clone(), self.constant(k.index())))
                    .collect(),
            ),
            Some(Const::Null) | None => Value::Null,
        }
    }

    pub(super) fn template(&self, index: u32) -> String {
        let parts = self
            .manifest
            .templates
            .get(index as usize)
            .map_or(&[][..], Vec::as_slice);
        parts
            .iter()
            .map(|part| match part {
                TemplatePart::Text(text) => text.clone(),
                TemplatePart::Field(f) => format!("{{{{ {} }}}}", self.field(f.index())),
            })
            .collect()
    }

    pub(super) fn value(&self, index: u32) -> Value {
        match self.manifest.values.get(index as usize) {
            Some(ValueNode::Const(k)) => self.constant(k.index()),
            Some(ValueNode::Template(t)) => Value::String(self.template(*t)),
            Some(ValueNode::Array(items)) => items.iter().map(|v| self.value(*v)).collect(),
            Some(ValueNode::Object(members)) => {
                Value::Object(members.iter().map(|(k, v)| (k.clone(), self.value(*v))).collect())
            }
            None => Value::Null,
        }
    }

    pub(super) fn verb(&self, verb: &VerbInfo) -> String {
        match verb {
            VerbInfo::Set(v) => format!("set to {}", self.value(*v)),
            VerbInfo::Cap(k) => format!("cap at {}", self.constant(k.index())),
            VerbInfo::Floor(k) => format!("floor at {}", self.constant(k.index())),
            VerbInfo::Default(v) => format!("default {}", self.value(*v)),
            VerbInfo::Append(v) => format!("append {}", self.value(*v)),
            VerbInfo::Remove => "remove".to_owned(),
            VerbInfo::Redact(types) if types.is_empty() => "redact all".to_owned(),
            VerbInfo::Redact(types) => format!("redact {}", types.join(", ")),
        }
    }
}
