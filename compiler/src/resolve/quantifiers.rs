//! Resolving the conditions of `any` and `all`: trees of comparisons, some of which look at the element.
//!
//! A comparison of which no side lies in the element is an ordinary predicate, so that it is evaluated once for all
//! elements. Bodies are interned like predicates, and after the predicates that they name: so what is named always
//! stands before what names it.

use super::conditions::predicate_of;
use super::{MAX_DEPTH, Resolver, index_u32};
use crate::fields::describe;
use crate::hir::{self, Test};
use crate::types::TypeSet;
use policy_bytecode::BodyIdx;
use policy_bytecode::module::PathSegment;
use policy_bytecode::predicate::{PredOp, PredOperand};
use policy_bytecode::quantifier::{Body, ItemOperand, ItemTest, Node, Subject};
use policy_grammar::Diagnostic;
use policy_grammar::ast::{self, Condition, FieldPath, ITEM, Operand, Segment};
use policy_grammar::codes::Code;
use policy_grammar::source::Spanned;

/// A body in the making.
#[derive(Default)]
struct Draft {
    nodes: Vec<Node>,
    tests: Vec<Test>,
    names: Names,
}

/// Named constants below a place: the nodes that lead to the comparison, one of each body, and the name.
pub(super) type Names = Vec<(Vec<u32>, u32)>;

impl Draft {
    fn push(&mut self, node: Node) -> u32 {
        self.nodes.push(node);
        index_u32(self.nodes.len() - 1)
    }

    /// Notes the names of a comparison that is the node `at`, and of what is below it.
    fn note(&mut self, at: u32, names: impl IntoIterator<Item = (Vec<u32>, u32)>) {
        for (mut way, name) in names {
            way.insert(0, at);
            self.names.push((way, name));
        }
    }
}

impl Resolver<'_, '_> {
    /// What `quantifier` asks of each element, and the named constants in it; `element` is what the elements can be, where that is
    /// known. `None` after a diagnostic.
    pub(super) fn body(
        &mut self,
        quantifier: &ast::Test,
        condition: &Condition,
        element: Option<TypeSet>,
        depth: usize,
    ) -> Option<(BodyIdx, Names)> {
        let mut draft = Draft::default();
        self.node(condition, element, depth + 1, &mut draft)?;
        if !draft.nodes.iter().any(|node| matches!(node, Node::Test(_))) {
            let message = format!(
                "the condition of `{}` does not look at `item`",
                quantifier.operator.value.as_str()
            );
            self.diagnostics.push(
                Diagnostic::new(Code::ItemUnused, condition.span(), message)
                    .label("the same for every element")
                    .help(
                        "the element is `item` in its paths: write `item.role` for the `role` of an element",
                    ),
            );
        }
        let body = Body { nodes: draft.nodes };
        let next = BodyIdx(index_u32(self.program.bodies.len()));
        let id = *self.body_index.entry(body.clone()).or_insert(next);
        if id == next {
            self.program.bodies.push(hir::Body {
                body,
                tests: draft.tests,
            });
        }
        Some((id, draft.names))
    }

    /// Appends the nodes of a condition, children first; returns the number of its root.
    fn node(
        &mut self,
        condition: &Condition,
        element: Option<TypeSet>,
        depth: usize,
        draft: &mut Draft,
    ) -> Option<u32> {
        if depth > MAX_DEPTH {
            self.too_deep(condition.span(), "the condition");
            return None;
        }
        match condition {
            Condition::And { operands, .. } => {
                let nodes = self.nodes(operands, element, depth, draft)?;
                Some(draft.push(Node::And(nodes)))
            }
            Condition::Or { operands, .. } => {
                let nodes = self.nodes(operands, element, depth, draft)?;
                Some(draft.push(Node::Or(nodes)))
            }
            Condition::Not { operand, .. } => {
                let inner = self.node(operand, element, depth + 1, draft)?;
                Some(draft.push(Node::Not(inner)))
            }
            Condition::Test(test) => {
                let looks = in_element(&test.field.value)
                    || matches!(&test.operand, Operand::Path(path) if in_element(&path.value));
                let (node, below) = if looks {
                    let (item, below) = self.item_test(test, element, depth)?;
                    (Node::Test(item), below)
                } else {
                    let own = self.test(test, depth)?;
                    draft.tests.push(own);
                    let node = Node::Pred {
                        pred: own.pred,
                        negated: own.negated,
                    };
                    let items = self
                        .program
                        .item_names
                        .get(own.items.0 as usize..own.items.1 as usize);
                    let mut below = items.unwrap_or_default().to_vec();
                    below.extend(own.constant.map(|name| (Vec::new(), name)));
                    (node, below)
                };
                let at = draft.push(node);
                draft.note(at, below);
                Some(at)
            }
        }
    }

    /// All operands, each resolved even when an earlier one failed, so that every problem is reported.
    fn nodes(
        &mut self,
        operands: &[Condition],
        element: Option<TypeSet>,
        depth: usize,
        draft: &mut Draft,
    ) -> Option<Vec<u32>> {
        let nodes: Vec<Option<u32>> = operands
            .iter()
            .map(|c| self.node(c, element, depth + 1, draft))
            .collect();
        nodes.into_iter().collect()
    }

    /// A comparison that looks at the element, and the named constants of it and below it.
    fn item_test(
        &mut self,
        test: &ast::Test,
        element: Option<TypeSet>,
        depth: usize,
    ) -> Option<(ItemTest, Names)> {
        let mut names = Names::new();
        let (op, mut negated) = predicate_of(test);
        let subject = match self.element_path(&test.field, element) {
            Some(path) => Subject::Item(path),
            None => Subject::Field(self.read_field(&test.field)),
        };
        let operand = match &test.operand {
            Operand::Path(path) => {
                self.takes_field(op, test.operator.value, path.span)?;
                match self.element_path(path, element) {
                    Some(path) => ItemOperand::Item(path),
                    None => ItemOperand::Plain(PredOperand::Field(self.read_field(path))),
                }
            }
            Operand::Condition(body) => {
                let (body, below) = self.body(test, body, None, depth)?;
                names = below;
                ItemOperand::Plain(PredOperand::Body(body))
            }
            Operand::Value(value) => {
                ItemOperand::Plain(self.value(op, test.operator.value, value, &mut negated)?)
            }
        };
        debug_assert!(!matches!(
            (op, &operand),
            (PredOp::Any | PredOp::All, ItemOperand::Item(_))
        ));
        names.extend(self.constant_name(test).map(|name| (Vec::new(), name)));
        let test = ItemTest {
            op,
            subject,
            operand,
            negated,
        };
        Some((test, names))
    }

    /// The path into the element; `None` for a path of the request.
    fn element_path(
        &mut self,
        path: &Spanned<FieldPath>,
        element: Option<TypeSet>,
    ) -> Option<Vec<PathSegment>> {
        let (first, rest) = path.value.segments.split_first()?;
        if !matches!(first, Segment::Key(key) if key == ITEM) {
            return None;
        }
        if let Some(types) = element.filter(|types| !types.has_parts() && !rest.is_empty()) {
            self.diagnostics.push(
                Diagnostic::new(
                    Code::UnknownField,
                    path.span,
                    format!("`{}` leads nowhere: the elements are of type {types}", path.value),
                )
                .label("always missing"),
            );
        }
        // Elements have no known fields, so no step has a second spelling.
        let segments = describe(&path.value, None).field.path;
        Some(segments.into_iter().skip(1).collect())
    }
}

/// Whether a path leads into the element.
fn in_element(path: &FieldPath) -> bool {
    matches!(path.segments.first(), Some(Segment::Key(key)) if key == ITEM)
}
