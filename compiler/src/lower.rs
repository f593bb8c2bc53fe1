//! Lower: HIR → IR. One function per rule, plus the manifest, whose condition trees keep the source shape. Instructions and
//! nodes of these trees get the places that they were written at.
//!
//! Fourth stage, one policy at a time; cannot fail. Conditions become one block of outcome instructions in source
//! order. Nothing is improved here: that is what the passes are for. What the manifest says of the whole set (revision,
//! files, which rule ids collide) is left to `link`.

use crate::hir;
use crate::ir::{
    BlockId, Engine, FuncId, Function, Inst, Loc, Negated, Pattern, Predicate, Program, Reason, Rule,
    Terminator, ValueId,
};
use crate::resolve::module_fields;
use policy_bytecode::manifest::{CondNode, ItemConstant, Manifest, PolicyInfo, RuleInfo};
use policy_bytecode::module::Decision;
use policy_grammar::{FileId, SourceFile, Span};
use std::sync::Arc;

/// A place of the front end in the IR, where files keep their numbers.
pub(crate) fn loc(span: Span) -> Loc {
    Loc {
        file: span.file.0,
        start: span.start,
        end: span.end,
    }
}

/// The place of the front end that [`loc`] was given.
pub(crate) fn span(loc: Loc) -> Span {
    Span::new(FileId(loc.file), loc.start, loc.end)
}

/// Lowers the program of one policy, which stands in `file`.
pub(crate) fn lower(program: &hir::Program, file: Option<&SourceFile>) -> Program {
    let mut out = Program {
        fields: module_fields(&program.fields),
        consts: program.consts.entries().to_vec(),
        patterns: program
            .patterns
            .iter()
            .map(|pattern| Pattern {
                source: pattern.source.clone(),
                translated: pattern.translated.clone(),
                search: Arc::clone(&pattern.search),
                made: pattern.automaton.get().cloned(),
                engine: Engine::Source(Reason::Untried),
            })
            .collect(),
        bodies: program.bodies.iter().map(|body| body.body.clone()).collect(),
        scans: Vec::new(),
        predicates: program
            .predicates
            .iter()
            .map(|p| Predicate {
                op: p.op,
                field: p.field,
                operand: p.operand,
                shared: false,
                loc: Some(loc(p.span)),
            })
            .collect(),
        functions: Vec::new(),
        rules: Vec::new(),
        policies: program.policies.iter().map(|p| p.id.clone()).collect(),
        manifest: Manifest {
            templates: program.templates.clone(),
            values: program.values.clone(),
            ..Manifest::default()
        },
        condition_locs: Vec::new(),
    };
    out.keep_what_bodies_share();
    for (policy, index) in program.policies.iter().zip(0u32..) {
        out.manifest.policies.push(PolicyInfo {
            id: policy.id.clone(),
            name: policy.name.clone(),
            version: policy.version.clone(),
            namespace: policy.namespace.clone(),
            description: policy.description.clone(),
            tags: policy.tags.clone(),
            priority: policy.priority,
            file: 0,
        });
        for rule in &policy.rules {
            let mut function = Function::new();
            let value = condition(&rule.condition, &mut function);
            if let Some(block) = function.blocks.first_mut() {
                block.end = Terminator::Ret(value);
            }
            out.rules.push(Rule {
                name: format!("{}/{}", policy.id, rule.id),
                policy: index,
                condition: FuncId::from_index(out.functions.len()),
                decision: rule.decision,
                fires_on_error: !policy.skip_errors && rule.decision != Decision::Allow,
                loc: Some(loc(rule.span)),
            });
            out.functions.push(function);
            let (line, column) = file.map_or((1, 1), |file| file.line_column(rule.span.start));
            let condition = cond_tree(&rule.condition, program, &mut out);
            out.manifest.rules.push(RuleInfo {
                id: rule.id.clone(),
                qualified: false,
                name: rule.name.clone(),
                reason: rule.reason,
                metadata: rule.metadata.clone(),
                modifications: rule.modifications.clone(),
                condition,
                line,
                column,
            });
        }
    }
    out
}

fn condition(cond: &hir::Cond, function: &mut Function) -> ValueId {
    let inst = match cond {
        hir::Cond::And { operands, .. } => Inst::And {
            operands: operands.iter().map(|c| condition(c, function)).collect(),
        },
        hir::Cond::Or { operands, .. } => Inst::Or {
            operands: operands.iter().map(|c| condition(c, function)).collect(),
        },
        hir::Cond::Not { operand, .. } => Inst::Not {
            operand: condition(operand, function),
        },
        hir::Cond::Test(test) => Inst::Test {
            pred: test.pred,
            negated: Negated(test.negated),
        },
    };
    function.push(BlockId(0), inst, Some(loc(cond.span())))
}

/// Appends the tree of `cond` and its places, children first, and returns the index of its root.
fn cond_tree(cond: &hir::Cond, program: &hir::Program, out: &mut Program) -> u32 {
    let name = |name: u32| program.names.get(name as usize).cloned();
    let node = match cond {
        hir::Cond::And { operands, .. } => {
            CondNode::And(operands.iter().map(|c| cond_tree(c, program, out)).collect())
        }
        hir::Cond::Or { operands, .. } => {
            CondNode::Or(operands.iter().map(|c| cond_tree(c, program, out)).collect())
        }
        hir::Cond::Not { operand, .. } => CondNode::Not(cond_tree(operand, program, out)),
        hir::Cond::Test(test) => CondNode::Test {
            pred: test.pred,
            negated: test.negated,
            constant: test.constant.and_then(name),
            items: program
                .item_names
                .get(test.items.0 as usize..test.items.1 as usize)
                .unwrap_or_default()
                .iter()
                .filter_map(|(way, index)| {
                    Some(ItemConstant {
                        way: way.clone(),
                        name: name(*index)?,
                    })
                })
                .collect(),
        },
    };
    let nodes = &mut out.manifest.conditions;
    nodes.push(node);
    let root = u32::try_from(nodes.len() - 1).unwrap_or(u32::MAX);
    out.condition_locs.push(loc(cond.span()));
    root
}
