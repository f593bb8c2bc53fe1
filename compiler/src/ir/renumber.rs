//! New numbers for the entries of tables, written into everything that names them.
//!
//! Shared by `link`, which appends the tables of many programs to one, and `dce`, which drops entries. Both say how the
//! numbers of each table change; here is the one list of the places that hold them.

use crate::ir::{FuncId, Function, Predicate, RefMut, Rule};
use policy_bytecode::manifest::{CondNode, RuleInfo, TemplatePart, ValueNode, VerbInfo};
use policy_bytecode::module::Field;
use policy_bytecode::predicate::PredOperand;
use policy_bytecode::quantifier::{Body, ItemOperand, Node, Subject};
use policy_bytecode::scan::Scan;
use policy_bytecode::{Const, ConstIdx, FieldIdx, PatternIdx, PredIdx};

/// How the numbers of one table change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Table {
    /// Each entry moves on by this many.
    Shift(u32),
    /// The new number of each old one.
    To(Vec<u32>),
}

impl Default for Table {
    fn default() -> Self {
        Self::Shift(0)
    }
}

impl Table {
    /// Adds the number of the next entry of a table that is being made.
    pub(crate) fn push(&mut self, new: u32) {
        if let Self::To(numbers) = self {
            numbers.push(new);
        }
    }

    fn get(&self, old: u32) -> u32 {
        match self {
            Self::Shift(by) => old.saturating_add(*by),
            Self::To(new) => new.get(old as usize).copied().unwrap_or(u32::MAX),
        }
    }
}

/// How the numbers of every table change; by default not at all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Numbers {
    pub(crate) functions: Table,
    pub(crate) predicates: Table,
    pub(crate) bodies: Table,
    pub(crate) patterns: Table,
    pub(crate) consts: Table,
    pub(crate) fields: Table,
    pub(crate) templates: Table,
    pub(crate) values: Table,
    pub(crate) conditions: Table,
}

impl Numbers {
    pub(crate) fn field(&self, field: &mut FieldIdx) {
        field.0 = self.fields.get(field.0);
    }

    /// What computes a field.
    pub(crate) fn derived(&self, field: &mut Field) {
        let args = field.derived.iter_mut().flat_map(|derived| &mut derived.args);
        args.for_each(|arg| self.field(arg));
    }

    pub(crate) fn constant(&self, constant: &mut ConstIdx) {
        constant.0 = self.consts.get(constant.0);
    }

    fn pred(&self, pred: &mut PredIdx) {
        pred.0 = self.predicates.get(pred.0);
    }

    fn pattern(&self, pattern: &mut PatternIdx) {
        pattern.0 = self.patterns.get(pattern.0);
    }

    fn func(&self, function: &mut FuncId) {
        function.0 = self.functions.get(function.0);
    }

    fn value_node(&self, value: &mut u32) {
        *value = self.values.get(*value);
    }

    /// The items of a constant.
    pub(crate) fn items(&self, value: &mut Const) {
        match value {
            Const::Array(items) => items.iter_mut().for_each(|k| self.constant(k)),
            Const::Object(members) => members.iter_mut().for_each(|(_, k)| self.constant(k)),
            Const::Null | Const::Bool(_) | Const::Number(_) | Const::Str(_) | Const::Decimal(_) => {}
        }
    }

    /// The field and the operand of a comparison.
    pub(crate) fn predicate(&self, predicate: &mut Predicate) {
        self.field(&mut predicate.field);
        self.operand(&mut predicate.operand);
    }

    fn operand(&self, operand: &mut PredOperand) {
        match operand {
            PredOperand::None => {}
            PredOperand::Const(k) => self.constant(k),
            PredOperand::Pattern(x) => self.pattern(x),
            PredOperand::Field(f) => self.field(f),
            PredOperand::Body(q) => q.0 = self.bodies.get(q.0),
        }
    }

    /// What a body names.
    pub(crate) fn body(&self, body: &mut Body) {
        for node in &mut body.nodes {
            match node {
                Node::And(_) | Node::Or(_) | Node::Not(_) => {}
                Node::Pred { pred, .. } => self.pred(pred),
                Node::Test(test) => {
                    if let Subject::Field(f) = &mut test.subject {
                        self.field(f);
                    }
                    if let ItemOperand::Plain(operand) = &mut test.operand {
                        self.operand(operand);
                    }
                }
            }
        }
    }

    /// The field and the comparisons of a scan.
    pub(crate) fn scan(&self, scan: &mut Scan) {
        self.field(&mut scan.field);
        let predicates = scan.predicates.iter_mut();
        predicates.for_each(|scanned| self.pred(&mut scanned.predicate));
    }

    /// The code of a function.
    pub(crate) fn function(&self, function: &mut Function) {
        for inst in &mut function.values {
            inst.refs_mut(|named| match named {
                RefMut::Pred(pred) => self.pred(pred),
                RefMut::Field(field) => self.field(field),
                RefMut::Const(k) => self.constant(k),
                RefMut::Func(function) => self.func(function),
                // Numbers of the function itself.
                RefMut::Value(_) | RefMut::Iter(_) | RefMut::Builder(_) => {}
            });
        }
    }

    /// The condition of a rule.
    pub(crate) fn rule(&self, rule: &mut Rule) {
        self.func(&mut rule.condition);
    }

    /// What the manifest says of a rule.
    pub(crate) fn rule_info(&self, info: &mut RuleInfo) {
        if let Some(reason) = &mut info.reason {
            *reason = self.templates.get(*reason);
        }
        info.metadata.iter_mut().for_each(|(_, v)| self.value_node(v));
        info.condition = self.conditions.get(info.condition);
        for modification in &mut info.modifications {
            self.field(&mut modification.field);
            match &mut modification.verb {
                VerbInfo::Set(v) | VerbInfo::Default(v) | VerbInfo::Append(v) => self.value_node(v),
                VerbInfo::Cap(k) | VerbInfo::Floor(k) => self.constant(k),
                VerbInfo::Remove | VerbInfo::Redact(_) => {}
            }
        }
    }

    /// A node of a condition tree.
    pub(crate) fn condition(&self, node: &mut CondNode) {
        match node {
            CondNode::Const(_) => {}
            CondNode::And(parts) | CondNode::Or(parts) => {
                parts.iter_mut().for_each(|c| *c = self.conditions.get(*c));
            }
            CondNode::Not(part) => *part = self.conditions.get(*part),
            CondNode::Test { pred, .. } => self.pred(pred),
        }
    }

    /// A piece of a template.
    pub(crate) fn template_part(&self, part: &mut TemplatePart) {
        match part {
            TemplatePart::Text(_) => {}
            TemplatePart::Field(f) => self.field(f),
        }
    }

    /// An action value.
    pub(crate) fn value(&self, node: &mut ValueNode) {
        match node {
            ValueNode::Const(k) => self.constant(k),
            ValueNode::Template(t) => *t = self.templates.get(*t),
            ValueNode::Array(items) => items.iter_mut().for_each(|v| self.value_node(v)),
            ValueNode::Object(members) => members.iter_mut().for_each(|(_, v)| self.value_node(v)),
        }
    }
}
