//! V25–V28: bodies are trees of well-formed conditions, end, and what they share is kept.
//!
//! Third of the checkers; assumes V1–V7. Iterative: a body names earlier ones only.

use super::VerifyError;
use super::tables::fits;
use crate::module::{Module, PathSegment};
use crate::predicate::PredOperand;
use crate::quantifier::{Body, ItemOperand, ItemTest, MAX_LEVELS, MAX_STEPS, Node, Subject};

pub(super) fn check(module: &Module) -> Result<(), VerifyError> {
    let mut reach: Vec<Reach> = Vec::with_capacity(module.bodies.len());
    for (i, body) in module.bodies.iter().enumerate() {
        tree(body).map_err(|detail| VerifyError::table(25, i, detail))?;
        for test in body.tests() {
            comparison(module, test).map_err(|detail| VerifyError::table(26, i, detail))?;
        }
        let below = Reach::of(body, &reach).map_err(|detail| VerifyError::table(27, i, detail))?;
        reach.push(below);
        let (mut there, mut kept) = (true, true);
        body.preds(|pred| {
            let predicate = module.predicates.get(pred.index());
            there &= predicate.is_some();
            kept &= predicate.is_none_or(|p| p.memo.is_some());
        });
        if !there {
            return Err(VerifyError::table(
                26,
                i,
                "a body names a predicate that does not exist",
            ));
        }
        if !kept {
            return Err(VerifyError::table(
                28,
                i,
                "a predicate of a body has no memo cell",
            ));
        }
    }
    predicates(module, &reach)
}

/// Levels of each predicate and body, in an order in which what is named comes first.
fn predicates(module: &Module, reach: &[Reach]) -> Result<(), VerifyError> {
    let mut levels: Vec<u32> = Vec::with_capacity(module.predicates.len());
    let mut body_levels: Vec<u32> = Vec::with_capacity(module.bodies.len());
    for (i, predicate) in module.predicates.iter().enumerate() {
        let PredOperand::Body(q) = predicate.operand else {
            levels.push(0);
            continue;
        };
        if predicate.memo.is_none() {
            return Err(VerifyError::table(
                28,
                i,
                "a predicate with a body has no memo cell",
            ));
        }
        while let (true, Some(body)) = (
            body_levels.len() <= q.index(),
            module.bodies.get(body_levels.len()),
        ) {
            let at = body_levels.len();
            let last = reach.get(at).and_then(|reach| reach.last_pred);
            if last.is_some_and(|last| last as usize >= i) {
                return Err(VerifyError::table(
                    27,
                    i,
                    "the body of a predicate, or one before it, names that predicate or a later one",
                ));
            }
            let own = depth(body, &levels, &body_levels);
            if own > MAX_LEVELS {
                return Err(VerifyError::table(27, at, "a body nests too deeply"));
            }
            body_levels.push(own);
        }
        levels.push(body_levels.get(q.index()).copied().unwrap_or(0));
    }
    Ok(())
}

/// Levels of a body whose predicates and bodies are known.
fn depth(body: &Body, preds: &[u32], bodies: &[u32]) -> u32 {
    let mut known: Vec<u32> = Vec::with_capacity(body.nodes.len());
    for node in &body.nodes {
        let child = |n: &u32| known.get(*n as usize).copied().unwrap_or(0);
        let below = match node {
            Node::And(nodes) | Node::Or(nodes) => nodes.iter().map(child).max().unwrap_or(0),
            Node::Not(n) => child(n),
            Node::Pred { pred, .. } => preds.get(pred.index()).copied().unwrap_or(0),
            Node::Test(test) => test
                .body()
                .and_then(|q| bodies.get(q.index()).copied())
                .unwrap_or(0),
        };
        known.push(below.saturating_add(1));
    }
    known.last().copied().unwrap_or(0)
}

/// What a body leads to.
struct Reach {
    /// The last predicate that it names, or a body below it.
    last_pred: Option<u32>,
}

impl Reach {
    fn of(body: &Body, earlier: &[Self]) -> Result<Self, &'static str> {
        let mut last_pred = None;
        body.preds(|pred| last_pred = last_pred.max(Some(pred.0)));
        for test in body.tests() {
            if let Some(q) = test.body() {
                let below = earlier
                    .get(q.index())
                    .ok_or("a body names itself or a later one")?;
                last_pred = last_pred.max(below.last_pred);
            }
        }
        Ok(Self { last_pred })
    }
}

fn tree(body: &Body) -> Result<(), &'static str> {
    let mut named = vec![false; body.nodes.len()];
    for (i, node) in body.nodes.iter().enumerate() {
        let children = match node {
            Node::And(nodes) | Node::Or(nodes) => {
                if nodes.is_empty() {
                    return Err("a node without operands");
                }
                nodes.as_slice()
            }
            Node::Not(n) => std::slice::from_ref(n),
            Node::Pred { .. } | Node::Test(_) => &[],
        };
        for child in children {
            let child = *child as usize;
            if child >= i {
                return Err("a node names itself or a later one");
            }
            if named
                .get_mut(child)
                .is_none_or(|seen| std::mem::replace(seen, true))
            {
                return Err("a node is named twice");
            }
        }
    }
    match named.split_last() {
        None => Err("a body without nodes"),
        Some((_root, others)) if others.iter().all(|named| *named) => Ok(()),
        Some(_) => Err("a node that is not the root is named by none"),
    }
}

fn comparison(module: &Module, test: &ItemTest) -> Result<(), &'static str> {
    let paths = [
        match &test.subject {
            Subject::Item(path) => Some(path),
            Subject::Field(_) => None,
        },
        match &test.operand {
            ItemOperand::Item(path) => Some(path),
            ItemOperand::Plain(_) => None,
        },
    ];
    if paths.iter().all(Option::is_none) {
        return Err("a comparison does not look at the element");
    }
    let plain = |step: &PathSegment| match step {
        PathSegment::Key { aliases, .. } => aliases.is_empty(),
        PathSegment::Index(_) | PathSegment::FromEnd(_) => true,
    };
    if !paths
        .into_iter()
        .flatten()
        .all(|path| path.len() <= MAX_STEPS && path.iter().all(plain))
    {
        return Err("a path into the element is too long or has a second spelling");
    }
    if let Subject::Field(f) = test.subject
        && f.index() >= module.fields.len()
    {
        return Err("a comparison names a field that does not exist");
    }
    let (operand, constant) = match test.operand {
        // Read at run time, as a field is.
        ItemOperand::Item(_) => (PredOperand::Field(crate::FieldIdx(0)), None),
        ItemOperand::Plain(operand) => {
            let (exists, constant) = match operand {
                PredOperand::None => (true, None),
                PredOperand::Const(k) => {
                    let constant = module.consts.get(k.index());
                    (constant.is_some(), constant)
                }
                PredOperand::Pattern(x) => (x.index() < module.patterns.len(), None),
                PredOperand::Field(f) => (f.index() < module.fields.len(), None),
                // V27.
                PredOperand::Body(_) => (true, None),
            };
            if !exists {
                return Err("a comparison names an entry that does not exist");
            }
            (operand, constant)
        }
    };
    if fits(test.op, operand, constant) {
        Ok(())
    } else {
        Err("a comparison has an operand that its operator does not take")
    }
}
