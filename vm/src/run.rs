//! The interpreter: rules in order, predicates at most once where they are shared, derived fields on first use.
//!
//! Code was verified when it was loaded, so operands are in range, registers are written before they are read, and
//! calls do not recurse without bound. What can still go wrong is the closed list in [`Trap`]; a trap makes the rule at
//! hand an error in the sense of three-valued logic.

mod budget;
mod dispatch;
mod fields;
mod frame;
mod predicates;
mod quantifier;
mod rules;

use crate::heap::arena_used;
use crate::host::{Host, Sent};
use crate::index::Candidates;
use crate::json::JsonError;
use crate::memo::Memo;
use crate::module::LoadedModule;
use crate::pattern::PatternCaches;
use crate::project::project;
use crate::query::{Hit, Tally, Trap};
use crate::scan::ScanAnswers;
use crate::scratch::Scratch;
use crate::value::{Array, Value};
use bumpalo::Bump;
use bumpalo::collections::Vec as BumpVec;
use frame::Stack;
use policy_bytecode::{PolicyIdx, RuleIdx, Stop};

/// One evaluation of one request.
pub struct Evaluation<'a, H> {
    module: &'a LoadedModule,
    host: &'a mut H,
    bump: &'a Bump,
    slots: &'a mut [Value<'a>],
    /// What the request held at derived paths, parallel to the module's derived fields.
    sent: &'a [Value<'a>],
    memo: &'a mut Memo,
    candidates: &'a mut Candidates,
    hits: &'a mut Vec<Hit>,
    caches: &'a mut PatternCaches,
    scans: &'a mut ScanAnswers,
    /// Memory of the frames of nested calls, as much as the widest chain of calls takes.
    stack: Stack<'a, 'a>,
    /// Results of memoised functions that returned values, from the first memo cell of a function on.
    results: &'a mut [Value<'a>],
    /// Long lists of the request that `in` compared other lists with, and the same in order; whether in that of folded
    /// texts.
    sorted: BumpVec<'a, (Array<'a>, bool, &'a [Value<'a>])>,
    /// Texts that were searched for folded texts, and the same folded.
    folded: BumpVec<'a, (&'a str, &'a [u8])>,
    fuel: u64,
    /// Why a predicate of the rule at hand is an error, when it is not its values.
    trap: Option<Trap>,
    /// Counted in builds with debug assertions only, where tests look at it.
    tally: Tally,
    denied: bool,
    /// Whether anybody still waits for the outcome.
    stop: Option<&'a Stop>,
}

impl<H> std::fmt::Debug for Evaluation<'_, H> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Evaluation")
            .field("slots", &self.slots)
            .field("hits", &self.hits)
            .finish_non_exhaustive()
    }
}

/// Bytes of a text from which on searching it may take longer than looking at the clock matters.
const LONG_TEXT: usize = 4 << 10;

impl LoadedModule {
    /// Projects `body` (a JSON object) and stands ready to run rules on it.
    ///
    /// # Errors
    ///
    /// [`JsonError`] when the body is not JSON, not an object, holds a key twice on a path that is read, or exceeds a
    /// limit of the module.
    pub fn begin<'a, H: Host>(
        &'a self,
        scratch: &'a mut Scratch,
        host: &'a mut H,
        body: &'a [u8],
    ) -> Result<Evaluation<'a, H>, JsonError> {
        scratch.reset(self);
        let Scratch {
            bump,
            memo,
            candidates,
            hits,
            caches,
            hints,
            scans,
            ..
        } = scratch;
        let bump: &'a Bump = bump;
        let kept = host.sent();
        let slots = project(&self.projected(kept != Sent::Alone), body, bump, hints)?;
        let (slots, sent) = slots.split_at_mut_checked(self.field_count).unwrap_or_default();
        for (derived, sent) in self.derived.iter().zip(&*sent) {
            let is_value = match kept {
                Sent::Ignored => false,
                Sent::Preferred => sent.is_present(),
                Sent::Alone => true,
            };
            if let Some(slot) = slots.get_mut(derived.field.index()) {
                *slot = if is_value { *sent } else { Value::Pending };
            }
        }
        if kept != Sent::Alone {
            for (field, _) in &self.inside_derived {
                if let Some(slot) = slots.get_mut(field.index()) {
                    *slot = Value::Pending;
                }
            }
        }
        Ok(Evaluation {
            module: self,
            host,
            bump,
            slots,
            sent,
            memo,
            candidates,
            hits,
            caches,
            scans,
            stack: Stack::new(self.stack, bump),
            results: &mut [],
            sorted: BumpVec::new_in(bump),
            folded: BumpVec::new_in(bump),
            fuel: self.limits.fuel,
            trap: None,
            tally: Tally::default(),
            denied: false,
            stop: None,
        })
    }
}

impl<H> Evaluation<'_, H> {
    /// Bytes of the arena that are in use.
    #[must_use]
    pub fn arena_used(&self) -> usize {
        arena_used(self.bump)
    }
}

impl<'a, H: Host> Evaluation<'a, H> {
    /// Has the evaluation look at a handle between rules, and before it searches a long text. Once that says stop, rules are left
    /// out and predicates are errors: whoever gives the handle looks at it afterwards, and then there is no outcome.
    pub fn stop_when(&mut self, stop: Option<&'a Stop>) {
        self.stop = stop;
    }

    #[inline]
    fn is_stopped(&self) -> bool {
        self.stop.is_some_and(Stop::is_asked)
    }

    /// Whether to stop instead of searching this value.
    #[cold]
    fn is_stopped_before(&self, value: &Value<'a>) -> bool {
        value.as_str().is_some_and(|text| text.len() >= LONG_TEXT) && self.is_stopped()
    }

    /// The rules that [`Evaluation::decide`] listed.
    #[must_use]
    pub fn hits(&self) -> &[Hit] {
        self.hits
    }

    /// What the last [`Evaluation::decide`] did. `None` in builds without debug assertions, which do not count.
    #[must_use]
    pub fn tally(&self) -> Option<Tally> {
        cfg!(debug_assertions).then_some(self.tally)
    }

    /// All that the request says to the module: each of its fields as projected, then what was sent in place of each
    /// derived field. Equal values here mean equal evaluations. Before [`Evaluation::decide`] only: what that computes
    /// stands in the same slots.
    pub fn projected(&self) -> impl std::iter::Iterator<Item = &Value<'a>> {
        self.slots.iter().chain(self.sent)
    }

    /// Whether a deny rule fired.
    #[must_use]
    pub fn denied(&self) -> bool {
        self.denied
    }

    /// The module that runs.
    #[must_use]
    pub fn module(&self) -> &'a LoadedModule {
        self.module
    }

    /// The arena of this evaluation.
    #[must_use]
    pub fn bump(&self) -> &'a Bump {
        self.bump
    }

    /// The host.
    pub fn host(&mut self) -> &mut H {
        self.host
    }

    /// Policy of a rule.
    #[must_use]
    pub fn policy_of(&self, rule: RuleIdx) -> Option<PolicyIdx> {
        self.module.rules.get(rule.index()).map(|r| r.policy)
    }
}
