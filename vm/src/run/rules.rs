//! Rules in order: which of them run, and what their conditions are.

use super::Evaluation;
use super::frame::Stack;
use crate::host::Host;
use crate::index::{Cursor, RuleIndex, Search};
use crate::query::{Hit, Mode, Scope, Tally, Trap};
use crate::value::Value;
use crate::verified::broken;
use policy_bytecode::module::{Decision, DecisionRule};
use policy_bytecode::{FuncIdx, Outcome, RuleIdx};

impl<'a, H: Host> Evaluation<'a, H> {
    /// Runs the rules in order and lists those whose condition is not false. May be called again with another mode or
    /// scope; the list is made anew with a full instruction budget, what was computed is kept.
    pub fn decide(&mut self, scope: Scope<'_>, mode: Mode) -> &[Hit] {
        let mut stack = std::mem::take(&mut self.stack);
        self.run_rules(scope, mode, &mut stack);
        self.stack = stack;
        // What explanations ask afterwards has a budget of its own.
        self.fuel = self.module.limits.fuel;
        self.hits
    }

    pub(super) fn run_rules(&mut self, scope: Scope<'_>, mode: Mode, stack: &mut Stack<'_, 'a>) {
        self.hits.clear();
        self.denied = false;
        self.fuel = self.module.limits.fuel;
        if cfg!(debug_assertions) {
            self.tally = Tally::default();
        }
        let module = self.module;
        let Some(index) = &module.index else {
            for (policy, range) in module.policies.iter().enumerate() {
                if !scope.holds(policy) {
                    continue;
                }
                let first = range.first_rule;
                let rules = module
                    .rules
                    .get(first as usize..(first + range.rule_count) as usize);
                let rules = rules.unwrap_or_else(|| {
                    broken(6);
                    &[]
                });
                for (rule, number) in rules.iter().zip(first..) {
                    if self.is_stopped() {
                        return;
                    }
                    if self.run_rule(RuleIdx(number), rule, stack) && mode == Mode::FirstDeny {
                        return;
                    }
                }
            }
            return;
        };
        index.collect(self.slots, self.candidates);
        let mut cursor = Cursor::default();
        let mut searches = index.searches();
        let mut next = searches.next();
        while let Some(number) = self.candidates.next(&mut cursor) {
            while let Some(search) = next.filter(|search| search.first() <= number) {
                self.search(index, search, &mut cursor, number);
                next = searches.next();
            }
            let Some(rule) = module.rules.get(number as usize) else {
                continue;
            };
            if self.is_stopped() {
                return;
            }
            if scope.holds(rule.policy.index())
                && self.run_rule(RuleIdx(number), rule, stack)
                && mode == Mode::FirstDeny
            {
                return;
            }
        }
    }

    /// Runs the scan that rules hang on, because the first of them is reached, and adds those that it does not show to
    /// be false.
    pub(super) fn search(&mut self, index: &RuleIndex, search: &Search, cursor: &mut Cursor, reached: u32) {
        let value = self.field(search.field());
        let Some(text) = value.as_str() else {
            if !matches!(value, Value::Undefined) {
                // A computed text that is none, or cannot be computed.
                index.take_all(search, self.candidates);
                self.candidates.refill(cursor, reached);
            }
            return;
        };
        let searched = self.module.searched();
        let found = self
            .scans
            .possible(search.scan(), text, &searched, self.bump, self.caches);
        for answer in found {
            index.take_answer(search, answer, self.candidates);
        }
        self.candidates.refill(cursor, reached);
    }

    /// Runs one rule and lists it unless its condition is false. Says whether it is a deny that fired.
    #[inline]
    pub(super) fn run_rule(
        &mut self,
        index: RuleIdx,
        rule: &DecisionRule,
        stack: &mut Stack<'_, 'a>,
    ) -> bool {
        self.trap = None;
        let (fired, error, trap) = match self.condition(rule.condition, stack) {
            Ok(Outcome::False) => return false,
            Ok(Outcome::True) => (true, false, None),
            Ok(Outcome::Error) => (rule.fires_on_error, true, self.trap),
            Err(trap) => (rule.fires_on_error, true, Some(trap)),
        };
        self.hits.push(Hit {
            rule: index,
            fired,
            error,
            trap,
        });
        let denies = fired && rule.decision == Decision::Deny;
        self.denied |= denies;
        denies
    }

    /// Outcome of a rule's condition. Most need no frame, and nothing goes through memory for those.
    #[inline]
    pub(super) fn condition(
        &mut self,
        function: FuncIdx,
        stack: &mut Stack<'_, 'a>,
    ) -> Result<Outcome, Trap> {
        let module = self.module;
        let Some(shape) = module.functions.get(function.index()).filter(|shape| shape.bare) else {
            return self
                .call(function, stack.reborrow(), false)
                .map(|end| end.outcome());
        };
        if let Some(known) = shape.memo.and_then(|cell| self.memo.outcome(cell)) {
            return Ok(known);
        }
        self.burn(u64::from(shape.len))?;
        let code = shape.start as usize..shape.start as usize + shape.len as usize;
        let outcome = self.run_bare(module.code.get(code).unwrap_or(&[]));
        if let Some(cell) = shape.memo {
            self.keep(cell, outcome);
        }
        Ok(outcome)
    }
}
