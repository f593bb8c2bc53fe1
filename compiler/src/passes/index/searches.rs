//! Comparisons that search a text, and what guards rules by them.

use crate::ir::{Function, Inst, Negated, ValueId, no_outcome};
use crate::passes::{Program, patterns};
use policy_bytecode::FieldIdx;
use policy_bytecode::guard::{MAX_GUARD, searchable_fields};

/// Which text each comparison searches, for those that scans answer.
pub(super) struct Searches(pub(super) Vec<Option<FieldIdx>>);

impl Searches {
    /// Those that the program's scans answer.
    pub(super) fn new(program: &Program) -> Self {
        let mut fields = vec![None; program.predicates.len()];
        for scan in &program.scans {
            for scanned in &scan.predicates {
                if let Some(place) = fields.get_mut(scanned.predicate.index()) {
                    *place = Some(scan.field);
                }
            }
        }
        Self(fields)
    }

    /// Those that a scan could answer if there were enough of them.
    pub(super) fn possible(program: &Program) -> Self {
        let searchable = searchable_fields(&program.fields);
        let field = |p: &crate::ir::Predicate| {
            let searchable = searchable.get(p.field.index()).copied().unwrap_or(false);
            (searchable && patterns::can_be_scanned(program, p)).then_some(p.field)
        };
        Self(program.predicates.iter().map(field).collect())
    }

    /// Tests of which one is asked whenever the outcome `id` is, and that are all false when none of them is found.
    pub(super) fn guard(&self, function: &Function, id: ValueId) -> Option<(FieldIdx, Vec<ValueId>)> {
        match function.value(id)? {
            Inst::Test {
                pred,
                negated: Negated(false),
            } => {
                let field = self.0.get(pred.index()).copied().flatten()?;
                Some((field, vec![id]))
            }
            Inst::And { operands } => self.guard(function, *operands.first()?),
            Inst::Or { operands } => {
                let own = operands.iter().map(|v| self.guard(function, *v));
                let own = own.collect::<Option<Vec<_>>>()?;
                let field = own.first()?.0;
                let same = own.iter().all(|(other, _)| *other == field);
                let tests: Vec<ValueId> = own.into_iter().flat_map(|(_, tests)| tests).collect();
                (same && tests.len() <= MAX_GUARD).then_some((field, tests))
            }
            Inst::Test { .. }
            | Inst::Const { .. }
            | Inst::Not { .. }
            | Inst::Truth { .. }
            | no_outcome!() => None,
        }
    }
}
