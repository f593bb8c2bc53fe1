//! The manifest: what a decision needs beyond the code, in rule order of the module.
//!
//! Reasons, metadata, modifications and condition trees. The VM never looks at it; the runtime builds responses from
//! it and from the fired rules, and explanations by walking the condition trees over the predicate table. Everything
//! is flat, so that decoding never recurses.

use crate::consts::written_sizes;
use crate::ids::{ConstIdx, FieldIdx, PredIdx};
use crate::module::{Decision, Module};
use serde::{Deserialize, Serialize};
use std::collections::HashSet;

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
    /// What the compiler warned of and nothing allows: the first [`Manifest::MAX_WARNINGS`].
    pub warnings: Vec<WarningInfo>,
    /// How many more there were.
    pub more_warnings: u32,
}

/// A warning of the compiler, for those who load the bundle.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WarningInfo {
    /// Stable code, such as `W0112`.
    pub code: String,
    /// One sentence.
    pub message: String,
    /// Display name of the source file.
    pub file: String,
    /// 1-based line.
    pub line: u32,
    /// 1-based column.
    pub column: u32,
    /// Advice, one sentence each.
    pub help: Vec<String>,
}

/// A policy as far as decisions and listings need it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyInfo {
    /// Unique in its namespace.
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
    /// Whether another policy has a rule of the same id. Only then may responses have to say `policyId/ruleId`; whether they
    /// do depends on what the request sees.
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
        /// The named constant that the field is compared with, as `let.limit`; the predicate has its value.
        constant: Option<String>,
        /// The named constants inside of `any` and `all`.
        items: Vec<ItemConstant>,
    },
}

/// The named constant of a comparison inside of `any` or `all`. Bodies are shared between rules, and rules may name one value
/// in several ways, so names stand with the rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ItemConstant {
    /// The nodes that lead to the comparison: one of each body, the outermost first.
    pub way: Vec<u32>,
    /// Its name, as `let.limit`.
    pub name: String,
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
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("manifest entry {index} of `{table}`: {detail}")]
pub struct ManifestError {
    /// Which table.
    pub table: &'static str,
    /// Which entry.
    pub index: usize,
    /// What is wrong with it.
    pub detail: &'static str,
}

impl Manifest {
    /// Nesting depth that condition trees and values may have.
    pub const MAX_DEPTH: usize = 256;
    /// Warnings that a compiler puts into a manifest.
    pub const MAX_WARNINGS: usize = 100;
    /// Nodes of a condition tree, a shared node counted wherever it occurs.
    pub const MAX_CONDITION_NODES: u64 = 1 << 20;
    /// Values and bytes of text of a value written out, a shared node counted wherever it occurs. Templates count as
    /// one: what they become depends on the request.
    pub const MAX_VALUE_SIZE: u64 = 1 << 24;

    /// The fields that responses are made from: those of modifications and templates. With repetitions.
    #[must_use]
    pub fn fields(&self) -> Vec<FieldIdx> {
        let modified = self.rules.iter().flat_map(|rule| &rule.modifications);
        let shown = self.templates.iter().flatten().filter_map(|part| match part {
            TemplatePart::Text(_) => None,
            TemplatePart::Field(field) => Some(*field),
        });
        modified
            .map(|modification| modification.field)
            .chain(shown)
            .collect()
    }

    /// Checks every index against its table, the nesting and the size of trees, and that ids are unique, so that
    /// readers need not. Trees may share nodes, which is why their written-out size is bounded and not only their
    /// depth: readers walk them as trees.
    ///
    /// # Errors
    ///
    /// The first entry that points outside its table or forward, nests too deeply, is too large, or repeats an id.
    pub fn check(&self, module: &Module) -> Result<(), ManifestError> {
        if self.policies.len() != module.policies.len() {
            return fail(
                "policies",
                self.policies.len(),
                "there are not as many entries as policies",
            );
        }
        if self.rules.len() != module.rules.len() {
            return fail(
                "rules",
                self.rules.len(),
                "there are not as many entries as rules",
            );
        }
        let mut ids = HashSet::with_capacity(self.policies.len());
        for (i, policy) in self.policies.iter().enumerate() {
            if policy.file as usize >= self.files.len() {
                return fail("policies", i, OUTSIDE);
            }
            if !ids.insert((policy.namespace.as_str(), policy.id.as_str())) {
                return fail("policies", i, "its id occurs twice in its namespace");
            }
        }
        self.check_templates(module)?;
        self.check_conditions(module)?;
        self.check_values(module)?;
        self.check_rules(module)
    }

    fn check_templates(&self, module: &Module) -> Result<(), ManifestError> {
        for (i, parts) in self.templates.iter().enumerate() {
            let ok = parts.iter().all(|p| match p {
                TemplatePart::Text(_) => true,
                TemplatePart::Field(f) => f.index() < module.fields.len(),
            });
            if !ok {
                return fail("templates", i, OUTSIDE);
            }
        }
        Ok(())
    }

    fn check_conditions(&self, module: &Module) -> Result<(), ManifestError> {
        let mut trees: Vec<Tree> = Vec::with_capacity(self.conditions.len());
        for (i, node) in self.conditions.iter().enumerate() {
            let mut tree = Tree::LEAF;
            let ok = match node {
                CondNode::Const(_) => true,
                CondNode::And(children) | CondNode::Or(children) => {
                    !children.is_empty() && children.iter().all(|c| tree.adopt(&trees, *c))
                }
                CondNode::Not(c) => tree.adopt(&trees, *c),
                CondNode::Test { pred, .. } => pred.index() < module.predicates.len(),
            };
            tree.check("conditions", i, ok, Self::MAX_CONDITION_NODES)?;
            trees.push(tree);
        }
        Ok(())
    }

    fn check_values(&self, module: &Module) -> Result<(), ManifestError> {
        let consts = written_sizes(&module.consts);
        let mut trees: Vec<Tree> = Vec::with_capacity(self.values.len());
        for (i, node) in self.values.iter().enumerate() {
            let mut tree = Tree::LEAF;
            let ok = match node {
                ValueNode::Const(k) => match consts.get(k.index()) {
                    Some(size) => {
                        tree.size = *size;
                        true
                    }
                    None => false,
                },
                ValueNode::Template(t) => (*t as usize) < self.templates.len(),
                ValueNode::Array(items) => items.iter().all(|c| tree.adopt(&trees, *c)),
                ValueNode::Object(members) => members.iter().all(|(key, c)| {
                    tree.size = tree.size.saturating_add(key.len() as u64);
                    tree.adopt(&trees, *c)
                }),
            };
            tree.check("values", i, ok, Self::MAX_VALUE_SIZE)?;
            trees.push(tree);
        }
        Ok(())
    }

    fn check_rules(&self, module: &Module) -> Result<(), ManifestError> {
        let value_ok = |v: u32| (v as usize) < self.values.len();
        let mut ids = HashSet::with_capacity(self.rules.len());
        for (i, (info, rule)) in self.rules.iter().zip(&module.rules).enumerate() {
            let ok = info.reason.is_none_or(|t| (t as usize) < self.templates.len())
                && info.metadata.iter().all(|(_, v)| value_ok(*v))
                && (info.condition as usize) < self.conditions.len()
                && info.modifications.iter().all(|m| {
                    m.field.index() < module.fields.len()
                        && match &m.verb {
                            VerbInfo::Set(v) | VerbInfo::Default(v) | VerbInfo::Append(v) => value_ok(*v),
                            VerbInfo::Cap(k) | VerbInfo::Floor(k) => {
                                module.consts.get(k.index()).is_some_and(|k| k.exact().is_some())
                            }
                            VerbInfo::Remove | VerbInfo::Redact(_) => true,
                        }
                });
            if !ok {
                return fail("rules", i, OUTSIDE);
            }
            if rule.decision != Decision::Modify && !info.modifications.is_empty() {
                return fail(
                    "rules",
                    i,
                    "it has modifications, but its decision is not `modify`",
                );
            }
            if !ids.insert((rule.policy, info.id.as_str())) {
                return fail("rules", i, "its id occurs twice in its policy");
            }
        }
        Ok(())
    }
}

const OUTSIDE: &str = "it points outside a table, or forward";

fn fail(table: &'static str, index: usize, detail: &'static str) -> Result<(), ManifestError> {
    Err(ManifestError { table, index, detail })
}

/// How deep and how large the tree under a node is.
#[derive(Clone, Copy)]
struct Tree {
    depth: usize,
    size: u64,
}

impl Tree {
    const LEAF: Self = Self { depth: 0, size: 1 };

    /// Hangs an earlier node under this one; false when there is none.
    fn adopt(&mut self, earlier: &[Self], child: u32) -> bool {
        match earlier.get(child as usize) {
            Some(child) => {
                self.depth = self.depth.max(child.depth + 1);
                self.size = self.size.saturating_add(child.size);
                true
            }
            None => false,
        }
    }

    fn check(
        self,
        table: &'static str,
        index: usize,
        in_table: bool,
        max_size: u64,
    ) -> Result<(), ManifestError> {
        if !in_table {
            fail(table, index, OUTSIDE)
        } else if self.depth > Manifest::MAX_DEPTH {
            fail(table, index, "it nests too deeply")
        } else if self.size > max_size {
            fail(table, index, "it is too large when written out")
        } else {
            Ok(())
        }
    }
}
