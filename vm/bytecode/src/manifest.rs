//! The manifest: what a decision needs beyond the code, in rule order of the module.
//!
//! Reasons, metadata, modifications and condition trees. The VM never looks at it; the runtime builds responses from
//! it and from the fired rules, and explanations by walking the condition trees over the predicate table. Everything
//! is flat, so that decoding never recurses.

use crate::ids::{ConstIdx, FieldIdx, PredIdx};
use crate::module::{Decision, Module};
use serde::{Deserialize, Serialize};

/// See the module documentation.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Manifest {
    /// Chosen by whoever built it, or derived from the contents.
    pub revision: String,
    /// Version of the compiler.
    pub compiler: String,
    /// 0, 1 or 2.
    pub opt_level: u8,
    /// Display names of the source files.
    pub files: Vec<String>,
    /// Parallel to [`Module::policies`].
    pub policies: Vec<PolicyInfo>,
    /// Parallel to [`Module::rules`].
    pub rules: Vec<RuleInfo>,
    /// Condition trees; children stand before their parents.
    pub conditions: Vec<CondNode>,
    /// Parsed `{{ path }}` texts.
    pub templates: Vec<Vec<TemplatePart>>,
    /// Values with templates in them; children stand before their parents.
    pub values: Vec<ValueNode>,
}

/// A policy as far as decisions and listings need it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyInfo {
    /// Unique.
    pub id: String,
    /// Display name.
    pub name: String,
    /// Version text of its author.
    pub version: String,
    /// Namespace; `global` applies to every request.
    pub namespace: String,
    /// Free text.
    pub description: String,
    /// Free labels.
    pub tags: Vec<String>,
    /// Higher is earlier.
    pub priority: i64,
    /// Index into [`Manifest::files`].
    pub file: u32,
}

/// A rule as far as decisions and listings need it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleInfo {
    /// Unique in its policy.
    pub id: String,
    /// Whether another policy has a rule of the same id: then responses say `policyId/ruleId`.
    pub qualified: bool,
    /// Display name.
    pub name: String,
    /// Index into [`Manifest::templates`].
    pub reason: Option<u32>,
    /// Action metadata: key and index into [`Manifest::values`].
    pub metadata: Vec<(String, u32)>,
    /// Only for modify rules.
    pub modifications: Vec<ModificationInfo>,
    /// Index into [`Manifest::conditions`]: the condition as written.
    pub condition: u32,
    /// 1-based line in the source file.
    pub line: u32,
    /// 1-based column in the source file.
    pub column: u32,
}

/// One modification.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModificationInfo {
    /// Canonical spelling of the path.
    pub path: String,
    /// The field of that path.
    pub field: FieldIdx,
    /// How it changes.
    pub verb: VerbInfo,
}

/// How a modification changes a value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum VerbInfo {
    /// Replaces it by a value.
    Set(u32),
    /// The smaller of it and a number constant.
    Cap(ConstIdx),
    /// The larger of it and a number constant.
    Floor(ConstIdx),
    /// A value where it is missing.
    Default(u32),
    /// One more element.
    Append(u32),
    /// Dropped.
    Remove,
    /// PII of these types replaced; empty means all types.
    Redact(Vec<String>),
}

/// A node of a condition tree, as written in the policy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum CondNode {
    /// A constant outcome.
    Const(bool),
    /// Conjunction.
    And(Vec<u32>),
    /// Disjunction.
    Or(Vec<u32>),
    /// Negation.
    Not(u32),
    /// A predicate; negated for `ne`, `not_in`, `not_contains`.
    Test {
        /// The predicate.
        pred: PredIdx,
        /// Whether its outcome is negated.
        negated: bool,
    },
}

/// A piece of a template.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum TemplatePart {
    /// Copied.
    Text(String),
    /// The field's value.
    Field(FieldIdx),
}

/// A value that may hold templates.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ValueNode {
    /// A constant of the module.
    Const(ConstIdx),
    /// A text with placeholders: index into [`Manifest::templates`].
    Template(u32),
    /// An array of values.
    Array(Vec<u32>),
    /// An object of values, keys as written.
    Object(Vec<(String, u32)>),
}

/// What is wrong with a manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ManifestError {
    /// Which table.
    pub table: &'static str,
    /// Which entry.
    pub index: usize,
}

impl std::fmt::Display for ManifestError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "manifest entry {} of `{}` points outside its table",
            self.index, self.table
        )
    }
}

impl std::error::Error for ManifestError {}

impl Manifest {
    /// Nesting depth that condition trees and values may have.
    pub const MAX_DEPTH: usize = 256;

    /// Checks every index against its table and the nesting of trees, so that readers need not.
    ///
    /// # Errors
    ///
    /// The first entry that points outside its table, forward, or nests too deeply.
    pub fn check(&self, module: &Module) -> Result<(), ManifestError> {
        let fail = |table, index| Err(ManifestError { table, index });
        if self.policies.len() != module.policies.len() {
            return fail("policies", self.policies.len());
        }
        if self.rules.len() != module.rules.len() {
            return fail("rules", self.rules.len());
        }
        for (i, policy) in self.policies.iter().enumerate() {
            if policy.file as usize >= self.files.len() {
                return fail("policies", i);
            }
        }
        let field_ok = |f: FieldIdx| f.index() < module.fields.len();
        for (i, parts) in self.templates.iter().enumerate() {
            if !parts.iter().all(|p| {
                matches!(p, TemplatePart::Text(_)) || matches!(p, TemplatePart::Field(f) if field_ok(*f))
            }) {
                return fail("templates", i);
            }
        }
        let mut depths: Vec<usize> = Vec::with_capacity(self.conditions.len());
        for (i, node) in self.conditions.iter().enumerate() {
            let mut depth = 0;
            let mut child = |c: u32| depths.get(c as usize).map(|d| depth = depth.max(d + 1)).is_some();
            let ok = match node {
                CondNode::Const(_) => true,
                CondNode::And(children) | CondNode::Or(children) => {
                    !children.is_empty() && children.iter().all(|c| child(*c))
                }
                CondNode::Not(c) => child(*c),
                CondNode::Test { pred, .. } => pred.index() < module.predicates.len(),
            };
            if !ok || depth > Self::MAX_DEPTH {
                return fail("conditions", i);
            }
            depths.push(depth);
        }
        depths.clear();
        for (i, node) in self.values.iter().enumerate() {
            let mut depth = 0;
            let mut child = |c: u32| depths.get(c as usize).map(|d| depth = depth.max(d + 1)).is_some();
            let ok = match node {
                ValueNode::Const(k) => k.index() < module.consts.len(),
                ValueNode::Template(t) => (*t as usize) < self.templates.len(),
                ValueNode::Array(items) => items.iter().all(|c| child(*c)),
                ValueNode::Object(fields) => fields.iter().all(|(_, c)| child(*c)),
            };
            if !ok || depth > Self::MAX_DEPTH {
                return fail("values", i);
            }
            depths.push(depth);
        }
        let value_ok = |v: u32| (v as usize) < self.values.len();
        for (i, (info, rule)) in self.rules.iter().zip(&module.rules).enumerate() {
            let ok = info.reason.is_none_or(|t| (t as usize) < self.templates.len())
                && info.metadata.iter().all(|(_, v)| value_ok(*v))
                && (info.condition as usize) < self.conditions.len()
                && (rule.decision == Decision::Modify || info.modifications.is_empty())
                && info.modifications.iter().all(|m| {
                    field_ok(m.field)
                        && match &m.verb {
                            VerbInfo::Set(v) | VerbInfo::Default(v) | VerbInfo::Append(v) => value_ok(*v),
                            VerbInfo::Cap(k) | VerbInfo::Floor(k) => {
                                matches!(module.consts.get(k.index()), Some(crate::Const::Number(_)))
                            }
                            VerbInfo::Remove | VerbInfo::Redact(_) => true,
                        }
                });
            if !ok {
                return fail("rules", i);
            }
        }
        Ok(())
    }
}
