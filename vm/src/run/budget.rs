//! What an evaluation may take: instructions, memory, nesting. What exceeds it is a [`Trap`].

use super::Evaluation;
use crate::heap::arena_used;
use crate::host::Host;
use crate::json::MAX_DEPTH;
use crate::predicate::{LoadedPredicate, Test};
use crate::query::Trap;
use crate::value::Value;

/// Deepest nesting of a value that code builds; requests and constants stay below it.
const MAX_NESTING: u32 = MAX_DEPTH + 256;

impl<'a, H: Host> Evaluation<'a, H> {
    pub(crate) fn fuel_left(&self) -> u64 {
        self.fuel
    }

    pub(crate) fn count_node(&mut self) {
        if cfg!(debug_assertions) {
            self.tally.nodes += 1;
        }
    }

    pub(crate) fn burn(&mut self, fuel: u64) -> Result<(), Trap> {
        match self.fuel.checked_sub(fuel) {
            Some(left) => {
                self.fuel = left;
                Ok(())
            }
            None => {
                self.fuel = 0;
                Err(Trap::OutOfFuel)
            }
        }
    }

    /// Pays for looking at all of `value`: one unit for each element and each 64 bytes of text. Also what bounds the
    /// nesting of values that code builds, and so the recursion of everything that walks them.
    pub(crate) fn weigh(&mut self, value: &Value<'a>) -> Result<(), Trap> {
        let mut left = self.fuel;
        match value.weigh(MAX_NESTING, &mut left) {
            Some(()) => {
                self.fuel = left;
                Ok(())
            }
            None if left == 0 => {
                self.fuel = 0;
                Err(Trap::OutOfFuel)
            }
            None => Err(Trap::OutOfMemory),
        }
    }

    /// Pays for evaluating a predicate in code that may run again. A derived field that is not computed yet is for the
    /// host to bound.
    pub(super) fn weigh_predicate(&mut self, predicate: &LoadedPredicate) -> Result<(), Trap> {
        let right = match &predicate.test {
            Test::Dynamic(_, right) => Some(*right),
            Test::EqStr(_)
            | Test::EqBool(_)
            | Test::EqNumber(_)
            | Test::EqConst(_)
            | Test::CompareNumber(..)
            | Test::CompareDecimal(..)
            | Test::CompareStr(..)
            | Test::In(_)
            | Test::ContainsStr(_)
            | Test::ContainsConst(_)
            | Test::StartsWith(_)
            | Test::EndsWith(_)
            | Test::Matches(_)
            | Test::Exists
            | Test::EqFold(_)
            | Test::InFold(_)
            | Test::ContainsStrFold(_)
            | Test::ContainsConstFold(_)
            | Test::StartsWithFold(_)
            | Test::EndsWithFold(_)
            | Test::InCidr(_)
            | Test::Before(_)
            | Test::After(_)
            | Test::TimeBetween(_)
            | Test::Quantified { .. } => None,
        };
        for field in [Some(predicate.field), right].into_iter().flatten() {
            if let Some(&value) = self.slots.get(field.index()) {
                self.weigh(&value)?;
            }
        }
        Ok(())
    }

    /// Refuses to go on when the arena, with `more` bytes on top, is beyond its limit.
    pub(super) fn check_arena(&self, more: u64) -> Result<(), Trap> {
        if (arena_used(self.bump) as u64).saturating_add(more) > self.module.limits.arena_bytes {
            return Err(Trap::OutOfMemory);
        }
        Ok(())
    }
}
