//! V30–V32: scans look for well-formed literals and answer predicates that a text alone decides.
//!
//! Last of the checkers of tables; assumes V5.

use super::VerifyError;
use crate::consts::Const;
use crate::fold::fold_text;
use crate::guard::searchable_fields;
use crate::module::Module;
use crate::predicate::{PredOp, PredOperand};
use crate::scan::{Literal, OnHit, Scan, Scanned};
use std::collections::HashSet;

/// Starts of a match that one hit may leave open.
const MAX_STARTS: u32 = 16;
/// Bytes of one literal.
const MAX_LITERAL: usize = 255;

pub(super) fn check(module: &Module) -> Result<(), VerifyError> {
    let searchable = searchable_fields(&module.fields);
    let mut fields = HashSet::new();
    let mut answered = HashSet::new();
    for (i, scan) in module.scans.iter().enumerate() {
        let searchable = searchable.get(scan.field.index()).copied().unwrap_or(false);
        if !searchable || !fields.insert(scan.field) {
            return Err(VerifyError::table(
                30,
                i,
                "the field of a scan does not exist, is computed and no text, or has another scan",
            ));
        }
        let fits =
            |literal: &crate::scan::Literal| literal.folded.len() <= MAX_LITERAL && literal.is_well_formed();
        if !scan.literals.iter().all(fits) {
            return Err(VerifyError::table(
                31,
                i,
                "a literal is empty, too long or not folded",
            ));
        }
        for scanned in &scan.predicates {
            if !answered.insert(scanned.predicate) || !answers(module, scan, scanned) {
                return Err(VerifyError::table(
                    32,
                    i,
                    "a predicate of a scan is on another field, answered twice, of the wrong kind or without its literals",
                ));
            }
        }
    }
    Ok(())
}

/// Whether `scan` can answer `scanned`.
fn answers(module: &Module, scan: &Scan, scanned: &Scanned) -> bool {
    let Some(predicate) = module.predicates.get(scanned.predicate.index()) else {
        return false;
    };
    let literals: Option<Vec<_>> = scanned
        .literals
        .iter()
        .map(|l| scan.literals.get(*l as usize))
        .collect();
    let Some(literals) = literals.filter(|found| !found.is_empty()) else {
        return false;
    };
    let text = match predicate.operand {
        PredOperand::Const(k) => match module.consts.get(k.index()) {
            Some(Const::Str(text)) => Some(text),
            Some(_) | None => None,
        },
        PredOperand::None | PredOperand::Pattern(_) | PredOperand::Field(_) | PredOperand::Body(_) => None,
    };
    let kind = match (predicate.op, text, literals.as_slice()) {
        (PredOp::Matches, None, _) => match scanned.on_hit {
            OnHit::True => false,
            OnHit::Search => true,
            OnHit::Near { min, max } => min <= max && max - min < MAX_STARTS,
        },
        (PredOp::Contains, Some(text), [literal]) => match scanned.on_hit {
            OnHit::True => literal.is_exactly(text),
            OnHit::Search => literal.folded == fold_text(text),
            OnHit::Near { .. } => false,
        },
        (PredOp::ContainsFold, Some(text), [literal]) => {
            scanned.on_hit == OnHit::True
                && text.len() <= MAX_LITERAL
                && Literal::ignoring_case(text).is_some_and(|own| own == **literal)
        }
        _other => false,
    };
    kind && predicate.field == scan.field
}
