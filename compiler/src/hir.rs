//! HIR: policies with every name resolved. Made by `resolve`, read by `check` and `lower`.
//!
//! Conditions keep the shape and the spans of the source, because diagnostics and explanations speak of them; fields,
//! constants, patterns and predicates are entries of shared tables. A negated operator (`ne`, `exists: false`) is its
//! predicate with [`Test::negated`].

pub use crate::fields::{FieldInfo, FieldTable, Suspicion};
use crate::passes::patterns::Search;
use crate::passes::regex_dfa::{Automaton, precompile};
use policy_bytecode::manifest::{ModificationInfo, TemplatePart, ValueNode};
use policy_bytecode::module::Decision;
use policy_bytecode::predicate::{PredOp, PredOperand};
use policy_bytecode::quantifier;
use policy_bytecode::{ConstPool, FieldIdx, PredIdx};
use policy_grammar::Span;
use policy_grammar::ast::Operator;
use regex_syntax::hir::Hir;
use std::sync::{Arc, OnceLock};

/// Policies with their tables.
#[derive(Debug, Clone, Default)]
pub struct Program {
    /// Fields that are read or changed.
    pub fields: FieldTable,
    /// Constants.
    pub consts: ConstPool,
    /// Regular expressions.
    pub patterns: Vec<Pattern>,
    /// Comparisons, each once.
    pub predicates: Vec<Predicate>,
    /// What `any` and `all` ask of each element, each once.
    pub bodies: Vec<Body>,
    /// Parsed `{{ path }}` texts.
    pub templates: Vec<Vec<TemplatePart>>,
    /// Names of constants that conditions use.
    pub names: Vec<String>,
    /// Constants inside of `any` and `all`: the nodes that lead to the comparison, one of each body, and the name.
    pub item_names: Vec<(Vec<u32>, u32)>,
    /// Action values, children before parents.
    pub values: Vec<ValueNode>,
    /// In evaluation order.
    pub policies: Vec<Policy>,
}

/// One regular expression.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern {
    /// As written.
    pub source: String,
    /// In the engine's syntax.
    pub translated: String,
    /// The syntax tree of that.
    pub tree: Hir,
    /// How it can be searched for.
    pub(crate) search: Arc<Search>,
    /// Bytes that it takes once compiled, as [`crate::limits::pattern_size`] reckons.
    pub size: usize,
    /// What came of making an automaton of it, where a check had to know.
    pub(crate) automaton: OnceLock<Automaton>,
}

impl Pattern {
    /// Whether an automaton of at most `limit` bytes can be made of it, where all who ask have the same limit.
    pub(crate) fn has_automaton(&self, limit: usize) -> bool {
        self.automaton
            .get_or_init(|| precompile(&self.tree, limit))
            .is_ok()
    }
}

/// One comparison.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Predicate {
    /// What is asked.
    pub op: PredOp,
    /// Of which field.
    pub field: FieldIdx,
    /// Compared with what.
    pub operand: PredOperand,
    /// The first place that asks.
    pub span: Span,
}

/// The condition of `any` or `all`.
#[derive(Debug, Clone, PartialEq)]
pub struct Body {
    /// As it goes into the module.
    pub body: quantifier::Body,
    /// Its comparisons that do not look at the element.
    pub tests: Vec<Test>,
}

/// One policy.
#[derive(Debug, Clone, PartialEq)]
pub struct Policy {
    /// First token of the document.
    pub span: Span,
    /// Unique.
    pub id: String,
    /// Display name.
    pub name: String,
    /// Version text.
    pub version: String,
    /// Namespace.
    pub namespace: String,
    /// Free text.
    pub description: String,
    /// Free labels.
    pub tags: Vec<String>,
    /// Higher is earlier.
    pub priority: i64,
    /// A condition that cannot be evaluated does not fire its rule.
    pub skip_errors: bool,
    /// In document order.
    pub rules: Vec<Rule>,
}

/// One rule.
#[derive(Debug, Clone, PartialEq)]
pub struct Rule {
    /// Where its id stands.
    pub span: Span,
    /// Unique in its policy.
    pub id: String,
    /// Display name.
    pub name: String,
    /// When it fires.
    pub condition: Cond,
    /// What it decides.
    pub decision: Decision,
    /// Index into [`Program::templates`].
    pub reason: Option<u32>,
    /// Key and index into [`Program::values`].
    pub metadata: Vec<(String, u32)>,
    /// What it changes.
    pub modifications: Vec<ModificationInfo>,
}

/// A condition tree in source shape.
#[derive(Debug, Clone, PartialEq)]
pub enum Cond {
    /// Conjunction; never empty.
    And {
        /// The operator's place.
        span: Span,
        /// The parts.
        operands: Vec<Cond>,
    },
    /// Disjunction; never empty.
    Or {
        /// The operator's place.
        span: Span,
        /// The parts.
        operands: Vec<Cond>,
    },
    /// Negation.
    Not {
        /// The operator's place.
        span: Span,
        /// What is negated.
        operand: Box<Cond>,
    },
    /// A comparison.
    Test(Test),
}

impl Cond {
    /// Where it was written.
    #[must_use]
    pub fn span(&self) -> Span {
        match self {
            Self::And { span, .. } | Self::Or { span, .. } | Self::Not { span, .. } => *span,
            Self::Test(test) => test.span,
        }
    }
}

/// A use of a predicate.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Test {
    /// Place of the comparison.
    pub span: Span,
    /// The predicate.
    pub pred: PredIdx,
    /// Whether its outcome is negated.
    pub negated: bool,
    /// The operator as written.
    pub operator: Operator,
    /// The constant whose value it is compared with, as `let.limit`; index into [`Program::names`].
    pub constant: Option<u32>,
    /// Named constants inside of its body: a part of [`Program::item_names`], from and up to.
    pub items: (u32, u32),
    /// Place of the field.
    pub field_span: Span,
    /// Place of the value or of the other field.
    pub operand_span: Span,
}
