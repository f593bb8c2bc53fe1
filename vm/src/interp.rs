//! The interpreter: rules in order, predicates at most once where they are shared, derived fields on first use.
//!
//! Code was verified when it was loaded, so operands are in range, registers are written before they are read, and
//! calls do not recurse without bound. What can still go wrong is the closed list in [`Trap`]; a trap makes the rule at
//! hand an error in the sense of three-valued logic.

use crate::index::{Candidates, Cursor, RuleIndex, Search};
use crate::json::{JsonError, MAX_DEPTH};
use crate::load::{FrameSize, FunctionShape, LoadedModule};
use crate::pattern::PatternCaches;
use crate::predicate::{self, Comparison, LoadedPredicate, Test};
use crate::scan::ScanAnswers;
use crate::scratch::{Memo, Scratch, arena_used};
use crate::value::{Value, mismatches};
use bumpalo::Bump;
use bumpalo::collections::Vec as BumpVec;
use policy_bytecode::context::Derived;
use policy_bytecode::instr::{Dst, Src};
use policy_bytecode::module::{Decision, PathSegment, Rule};
use policy_bytecode::number::Arith;
use policy_bytecode::predicate::PredOp;
use policy_bytecode::{
    BuilderIdx, ConstIdx, FieldIdx, FuncIdx, Instr, IterIdx, Label, Number, Outcome, PolicyIdx, PredIdx,
    RuleIdx, Stop, casefold,
};

/// Computes derived fields. Called at most once per field and evaluation, and only when a rule that runs needs it.
pub trait Host {
    /// The value of `what`. `sent` is what the request holds at that path; `bump` is where new text and lists go.
    /// [`Value::Unknown`] when it cannot be computed.
    fn derive<'a>(
        &mut self,
        what: Derived,
        sent: Value<'a>,
        inputs: &Inputs<'a>,
        bump: &'a Bump,
    ) -> Value<'a>;

    /// Answers `what <comparison> constant` without computing `what`, where bounds decide it. `None` to compute.
    fn compare<'a>(
        &mut self,
        what: Derived,
        comparison: Comparison,
        constant: Number,
        sent: Value<'a>,
        inputs: &Inputs<'a>,
        bump: &'a Bump,
    ) -> Option<Outcome>;

    /// Whether it computes anything. Where it does not, what the request holds is the value, and is not asked for.
    fn computes(&self) -> bool {
        true
    }
}

/// What derived fields are computed from, as the request holds it.
#[derive(Debug, Clone, Copy)]
pub struct Inputs<'a> {
    /// `llm`, whole.
    pub llm: Value<'a>,
    /// `llm.model`.
    pub model: Value<'a>,
    /// `llm.provider`.
    pub provider: Value<'a>,
    /// `llm.maxTokens`.
    pub max_tokens: Value<'a>,
    /// `llm.serviceTier`.
    pub service_tier: Value<'a>,
}

/// Which policies take part.
#[derive(Debug, Clone, Copy)]
pub enum Scope<'s> {
    /// All of them.
    All,
    /// Those whose entry is true, by policy index.
    Only(&'s [bool]),
    /// Those of one group, and those of group 0, which are of every group; by policy index.
    Group {
        /// The group of each policy.
        of: &'s [u32],
        /// Which one.
        own: u32,
    },
}

impl Scope<'_> {
    /// Whether a policy takes part.
    #[must_use]
    pub fn holds(&self, policy: usize) -> bool {
        match self {
            Self::All => true,
            Self::Only(mask) => mask.get(policy).copied().unwrap_or(false),
            Self::Group { of, own } => of.get(policy).is_some_and(|group| group == own || *group == 0),
        }
    }
}

/// When to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// At the first deny.
    FirstDeny,
    /// After every rule.
    All,
}

/// A rule whose condition was not false.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hit {
    /// The rule.
    pub rule: RuleIdx,
    /// Whether it fired. An `allow` rule, or one of a policy that skips errors, does not fire on an error.
    pub fired: bool,
    /// Its condition could not be told.
    pub error: bool,
    /// Why evaluation broke off, when it did.
    pub trap: Option<Trap>,
}

/// Why evaluation of a rule broke off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trap {
    /// The instruction budget of the evaluation is used up.
    OutOfFuel,
    /// The arena budget of the evaluation is used up.
    OutOfMemory,
}

impl Trap {
    /// One sentence without a final stop.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::OutOfFuel => "the evaluation exceeds its instruction budget",
            Self::OutOfMemory => "the evaluation exceeds its memory budget",
        }
    }
}

/// Work that an evaluation has done, as the cost certificate of a bundle bounds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tally {
    /// Instructions executed.
    pub instructions: u64,
    /// Predicates evaluated; one whose outcome was kept counts once.
    pub predicates: u64,
    /// Nodes of bodies, each once for every element that it was asked of.
    pub nodes: u64,
}

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
    /// Collection constants that code has loaded, parallel to the module's list of them; `Pending` until then.
    built: &'a mut [Value<'a>],
    /// Long lists of the request that `in` compared other lists with, and the same in order; whether in that of folded
    /// texts.
    sorted: BumpVec<'a, (&'a [Value<'a>], bool, &'a [Value<'a>])>,
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

/// Of the lists that were sorted, and of the texts that were folded, so many of the latest are looked for when another
/// one may be the same.
const REMEMBERED: usize = 8;

/// Bytes of a text from which on searching it may take longer than looking at the clock matters.
const LONG_TEXT: usize = 4 << 10;

/// State of a memo cell whose function returned a value.
const KEPT_VALUE: u8 = 4;

/// How a function ended.
enum Return<'a> {
    Outcome(Outcome),
    Value(Value<'a>),
}

impl Return<'_> {
    /// A condition's outcome; a value is true when it is exactly `true`, and an error when it cannot be known.
    fn outcome(&self) -> Outcome {
        match self {
            Self::Outcome(outcome) => *outcome,
            Self::Value(Value::Unknown) => Outcome::Error,
            Self::Value(value) => matches!(value, Value::Bool(true)).into(),
        }
    }
}

/// A position in a collection.
#[derive(Clone, Copy)]
enum Iterator<'a> {
    Done,
    Array(&'a [Value<'a>], usize),
    Object(&'a [(&'a str, Value<'a>)], usize),
    Set(&'a [Value<'a>], usize),
}

/// A collection under construction.
enum Builder<'a> {
    Array(BumpVec<'a, Value<'a>>),
    Object(BumpVec<'a, (&'a str, Value<'a>)>),
    Set(BumpVec<'a, Value<'a>>),
}

/// Memory that frames are cut from: a call takes its part from the front and hands on the rest.
///
/// Frames are not cleared. Verified: nothing in a frame is read before it was written (V12).
#[derive(Default)]
struct Stack<'s, 'a> {
    registers: &'s mut [Value<'a>],
    iterators: &'s mut [Iterator<'a>],
    builders: &'s mut [Builder<'a>],
}

impl<'a> Stack<'a, 'a> {
    #[inline]
    fn new(size: FrameSize, bump: &'a Bump) -> Self {
        if size == FrameSize::default() {
            return Self::default();
        }
        Self {
            registers: bump.alloc_slice_fill_copy(size.registers, Value::Undefined),
            iterators: bump.alloc_slice_fill_copy(size.iterators, Iterator::Done),
            builders: bump.alloc_slice_fill_with(size.builders, |_| Builder::Array(BumpVec::new_in(bump))),
        }
    }
}

impl<'s, 'a> Stack<'s, 'a> {
    fn reborrow(&mut self) -> Stack<'_, 'a> {
        Stack {
            registers: &mut *self.registers,
            iterators: &mut *self.iterators,
            builders: &mut *self.builders,
        }
    }

    /// Cuts a frame off. The stack is as large as the widest chain of calls, so the parts are there.
    fn frame(self, shape: &FunctionShape, in_loop: bool) -> Frame<'s, 'a> {
        fn cut<T>(memory: &mut [T], at: usize) -> (&mut [T], &mut [T]) {
            memory.split_at_mut_checked(at).unwrap_or_default()
        }
        let (registers, more_registers) = cut(self.registers, usize::from(shape.registers));
        let (iterators, more_iterators) = cut(self.iterators, usize::from(shape.iterators));
        let (builders, more_builders) = cut(self.builders, usize::from(shape.builders));
        Frame {
            registers,
            iterators,
            builders,
            flags: 0,
            in_loop: in_loop || shape.loops,
            rest: Stack {
                registers: more_registers,
                iterators: more_iterators,
                builders: more_builders,
            },
        }
    }
}

/// Registers, iterators and builders of one call.
struct Frame<'f, 'a> {
    registers: &'f mut [Value<'a>],
    iterators: &'f mut [Iterator<'a>],
    builders: &'f mut [Builder<'a>],
    flags: u64,
    /// This code may run again: then work that grows with the request is paid for, not instructions alone.
    in_loop: bool,
    /// Memory for the frames of calls from here.
    rest: Stack<'f, 'a>,
}

impl<'a> Frame<'_, 'a> {
    #[inline]
    fn read(&self, Src(r): Src) -> Value<'a> {
        self.registers.get(r.index()).copied().unwrap_or(Value::Undefined)
    }

    #[inline]
    fn write(&mut self, Dst(r): Dst, value: Value<'a>) {
        if let Some(register) = self.registers.get_mut(r.index()) {
            *register = value;
        }
    }
}

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
        let computes = host.computes();
        let slots = crate::project::project(self, body, bump, hints, computes)?;
        let (slots, sent) = slots.split_at_mut_checked(self.field_count).unwrap_or_default();
        if computes {
            let fields = self.derived.iter().map(|(_, field)| field);
            for field in fields.chain(self.inside_derived.iter().map(|(field, _)| field)) {
                if let Some(slot) = slots.get_mut(field.index()) {
                    *slot = Value::Pending;
                }
            }
        } else {
            for ((_, field), sent) in self.derived.iter().zip(&*sent) {
                if let Some(slot) = slots.get_mut(field.index()) {
                    *slot = *sent;
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
            built: &mut [],
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

    fn run_rules(&mut self, scope: Scope<'_>, mode: Mode, stack: &mut Stack<'_, 'a>) {
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
                for (rule, number) in rules.unwrap_or(&[]).iter().zip(first..) {
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
    fn search(&mut self, index: &RuleIndex, search: &Search, cursor: &mut Cursor, reached: u32) {
        let text = match self.field(search.field()) {
            Value::Str(text) => text,
            Value::Undefined => return,
            // A computed text that is none, or cannot be computed.
            _other => {
                index.take_all(search, self.candidates);
                self.candidates.refill(cursor, reached);
                return;
            }
        };
        let found = self
            .scans
            .possible(search.scan(), text, self.module, self.bump, self.caches);
        for answer in found {
            index.take_answer(search, answer, self.candidates);
        }
        self.candidates.refill(cursor, reached);
    }

    /// Runs one rule and lists it unless its condition is false. Says whether it is a deny that fired.
    #[inline]
    fn run_rule(&mut self, index: RuleIdx, rule: &Rule, stack: &mut Stack<'_, 'a>) -> bool {
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
    fn condition(&mut self, function: FuncIdx, stack: &mut Stack<'_, 'a>) -> Result<Outcome, Trap> {
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

    /// Value of a field; computes it when it is derived and was not needed so far.
    #[inline]
    pub fn field(&mut self, field: FieldIdx) -> Value<'a> {
        match self.slots.get(field.index()) {
            Some(Value::Pending) => self.derive(field),
            Some(value) => *value,
            None => Value::Undefined,
        }
    }

    #[cold]
    fn derive(&mut self, field: FieldIdx) -> Value<'a> {
        let Some((what, sent)) = self.pending(field) else {
            let value = self.inside_derived(field);
            if let Some(slot) = self.slots.get_mut(field.index()) {
                *slot = value;
            }
            return value;
        };
        let inputs = self.inputs();
        let value = match self.host.derive(what, sent, &inputs, self.bump) {
            // A host has no business with this state; taken over, it would be computed again and again.
            Value::Pending => Value::Undefined,
            value => value,
        };
        if let Some(slot) = self.slots.get_mut(field.index()) {
            *slot = value;
        }
        value
    }

    /// Value of a field inside a derived one.
    fn inside_derived(&mut self, field: FieldIdx) -> Value<'a> {
        let module = self.module;
        let found = module.inside_derived.iter().find(|(f, _)| *f == field);
        let Some((_, parent)) = found else {
            return Value::Undefined;
        };
        let whole = self.field(*parent);
        let path = |f: FieldIdx| module.fields.get(f.index()).map_or(&[][..], Vec::as_slice);
        let rest = path(field).get(path(*parent).len()..).unwrap_or(&[]);
        let bump = self.bump;
        rest.iter().fold(whole, |value, step| match (value, step) {
            // What cannot be known holds nothing that can.
            (Value::Unknown, _) => Value::Unknown,
            (Value::Array(items), PathSegment::Index(n)) => {
                items.get(*n as usize).copied().unwrap_or(Value::Undefined)
            }
            (Value::Array(items), PathSegment::FromEnd(n)) => {
                let found = items.len().checked_sub(*n as usize).and_then(|at| items.get(at));
                found.copied().unwrap_or(Value::Undefined)
            }
            (_, PathSegment::FromEnd(_)) => Value::Undefined,
            (value, PathSegment::Key { name, .. }) => value.get(name),
            (value, PathSegment::Index(n)) => value.get(&bumpalo::format!(in bump, "{}", n)),
        })
    }

    fn pending(&self, field: FieldIdx) -> Option<(Derived, Value<'a>)> {
        let found = self
            .module
            .derived
            .iter()
            .zip(self.sent)
            .find(|((_, f), _)| *f == field);
        found.map(|((what, _), sent)| (*what, *sent))
    }

    /// What derived fields are computed from.
    pub fn inputs(&self) -> Inputs<'a> {
        let input = |slot: Option<FieldIdx>| {
            slot.and_then(|f| self.slots.get(f.index()))
                .copied()
                .unwrap_or(Value::Undefined)
        };
        let slots = &self.module.inputs;
        Inputs {
            llm: input(slots.llm),
            model: input(slots.model),
            provider: input(slots.provider),
            max_tokens: input(slots.max_tokens),
            service_tier: input(slots.service_tier),
        }
    }

    /// Outcome of a predicate, through its memo cell when it has one. For explanations.
    pub fn predicate(&mut self, pred: PredIdx) -> Outcome {
        let outcome = match self.module.predicates.get(pred.index()) {
            Some(p) if p.memo.is_some() => self.test_memo(p),
            Some(p) => self.test(p),
            None => Outcome::Error,
        };
        self.trap = None;
        outcome
    }

    /// Outcome of a predicate that a body names.
    pub(crate) fn predicate_in_body(&mut self, pred: PredIdx) -> Result<Outcome, Trap> {
        // Verified: it has a memo cell (V28).
        let outcome = match self.module.predicates.get(pred.index()) {
            Some(p) => self.test_memo(p),
            None => Outcome::Error,
        };
        match self.trap {
            Some(trap) => Err(trap),
            None => Ok(outcome),
        }
    }

    /// Keeps an outcome, unless it is one only because something ran out: another rule may have more left.
    #[inline]
    fn keep(&mut self, cell: u32, outcome: Outcome) {
        if self.trap.is_none() {
            self.memo.set(cell, 1 + outcome as u8);
        }
    }

    #[inline]
    fn test_memo(&mut self, predicate: &'a LoadedPredicate) -> Outcome {
        let Some(cell) = predicate.memo else {
            return self.test(predicate);
        };
        if let Some(known) = self.memo.outcome(cell) {
            return known;
        }
        let outcome = self.test(predicate);
        self.keep(cell, outcome);
        outcome
    }

    #[inline]
    fn test(&mut self, predicate: &'a LoadedPredicate) -> Outcome {
        if cfg!(debug_assertions) {
            self.tally.predicates += 1;
        }
        let mut value = match self.slots.get(predicate.field.index()) {
            Some(value) => *value,
            None => Value::Undefined,
        };
        if !predicate.plain.holds(&value) {
            value = match self.present(predicate, value) {
                Ok(value) => value,
                Err(outcome) => return outcome,
            };
        }
        if self.stop.is_some() && self.is_stopped_before(&value) {
            return Outcome::Error;
        }
        if let (Some(place), Value::Str(text)) = (predicate.scan, value)
            && let Some(outcome) = self
                .scans
                .answer(place, text, self.module, self.bump, self.caches)
        {
            return outcome;
        }
        self.apply(&predicate.test, value)
    }

    /// What stands for a value that is missing, not computed yet, or of a type that its field never has: a value to ask,
    /// or the outcome.
    #[inline(never)]
    fn present(
        &mut self,
        predicate: &'a LoadedPredicate,
        mut value: Value<'a>,
    ) -> Result<Value<'a>, Outcome> {
        if matches!(value, Value::Pending) {
            if let Some(outcome) = self.compare_early(predicate) {
                return Err(outcome);
            }
            value = self.derive(predicate.field);
        }
        match value {
            Value::Undefined | Value::Pending => Err(predicate.test.of_missing()),
            Value::Unknown if matches!(predicate.test, Test::Exists) => Err(Outcome::False),
            value if predicate.plain.holds(&value) => Ok(value),
            _unknown_or_mismatch => Err(Outcome::Error),
        }
    }

    /// Outcome of what is asked of an element, which is present.
    #[inline(never)]
    pub(crate) fn apply_to_element(&mut self, test: &'a Test, element: Value<'a>) -> Outcome {
        self.apply(test, element)
    }

    /// Outcome of what is asked of a value that is present.
    #[inline(always)]
    fn apply(&mut self, test: &'a Test, value: Value<'a>) -> Outcome {
        match test {
            Test::Matches(x) => match (self.module.patterns.get(x.index()), value) {
                (Some(pattern), Value::Str(text)) => pattern
                    .is_match(text, x.index(), self.caches)
                    .map_or(Outcome::Error, Outcome::from),
                _wrong_type => Outcome::Error,
            },
            Test::Dynamic(op, right) => {
                let other = self.field(*right);
                self.dynamic(*op, value, other, Some(*right))
            }
            Test::Quantified { all, body } => match value {
                Value::Array(items) => self.quantify(*all, *body, items).unwrap_or_else(|trap| {
                    self.trap = Some(trap);
                    Outcome::Error
                }),
                _no_list => Outcome::Error,
            },
            Test::ContainsStrFold(needle) if matches!(value, Value::Str(_)) => {
                match value.as_str().and_then(|text| self.folded(text)) {
                    Some(text) => needle.is_in(text).into(),
                    None => Outcome::Error,
                }
            }
            test => test.apply(&value),
        }
    }

    /// Outcome of an operator between a value that is present and another one, which is that of `field`, if of any.
    pub(crate) fn dynamic(
        &mut self,
        op: PredOp,
        value: Value<'a>,
        right: Value<'a>,
        field: Option<FieldIdx>,
    ) -> Outcome {
        match right {
            Value::Undefined | Value::Pending => Outcome::False,
            Value::Unknown => Outcome::Error,
            right if field.is_some_and(|f| mismatches(self.module.shape(f), &right)) => Outcome::Error,
            Value::Array(list) if matches!(op, PredOp::In | PredOp::InFold) => {
                let folded = op == PredOp::InFold;
                let sorted = || self.sorted(list, folded);
                predicate::is_in(&value, list, folded, sorted).into()
            }
            Value::Str(needle) if op == PredOp::ContainsFold && matches!(value, Value::Str(_)) => {
                self.contains_folded(&value, needle)
            }
            right => predicate::apply_dynamic(op, &value, &right),
        }
    }

    /// A list in the total order of values, or of values with folded texts; sorted once for each field.
    fn sorted(&mut self, list: &'a [Value<'a>], folded: bool) -> &'a [Value<'a>] {
        let known = self.sorted.iter().rev().take(REMEMBERED);
        let mut known = known.filter(|(of, how, _)| std::ptr::eq(*of, list) && *how == folded);
        if let Some((_, _, known)) = known.next() {
            return known;
        }
        let sorted = self.bump.alloc_slice_copy(list);
        sorted.sort_unstable_by(|a, b| predicate::order(folded, a, b));
        self.sorted.push((list, folded, sorted));
        sorted
    }

    /// A text by simple case folding, folded once for each field; `None` when the arena has no room for it.
    fn folded(&mut self, text: &'a str) -> Option<&'a [u8]> {
        let mut known = self.folded.iter().rev().take(REMEMBERED);
        if let Some((_, known)) = known.find(|(of, _)| std::ptr::eq(*of, text)) {
            return Some(known);
        }
        let room = casefold::max_len(text.len());
        self.check_arena(room as u64).ok()?;
        let out = self.bump.alloc_slice_fill_copy(room, 0u8);
        let length = casefold::fold_into(text, out);
        let out: &'a [u8] = out.get(..length)?;
        self.folded.push((text, out));
        Some(out)
    }

    /// `contains` of two texts of the request, folded.
    fn contains_folded(&mut self, text: &Value<'a>, needle: &'a str) -> Outcome {
        let text = text.as_str().and_then(|text| self.folded(text));
        match (text, self.folded(needle)) {
            (Some(text), Some(needle)) => memchr::memmem::find(text, needle).is_some().into(),
            _no_room => Outcome::Error,
        }
    }

    /// Answers a comparison of a derived field with a number from bounds, where they decide it.
    #[cold]
    fn compare_early(&mut self, predicate: &LoadedPredicate) -> Option<Outcome> {
        let (Some(_), Test::CompareNumber(comparison, constant)) = (predicate.derived, &predicate.test)
        else {
            return None;
        };
        let (what, sent) = self.pending(predicate.field)?;
        let inputs = self.inputs();
        self.host
            .compare(what, *comparison, *constant, sent, &inputs, self.bump)
    }

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

    /// Runs a function whose arguments are the first registers of `stack`. Straight code is paid for on entry, loops
    /// when they jump back.
    fn call(&mut self, function: FuncIdx, stack: Stack<'_, 'a>, in_loop: bool) -> Result<Return<'a>, Trap> {
        let module = self.module;
        let Some(shape) = module.functions.get(function.index()) else {
            return Ok(Return::Outcome(Outcome::Error));
        };
        if let Some(cell) = shape.memo {
            if let Some(outcome) = self.memo.outcome(cell) {
                return Ok(Return::Outcome(outcome));
            }
            if self.memo.get(cell) == KEPT_VALUE {
                return Ok(Return::Value(self.result(cell)));
            }
        }
        self.burn(u64::from(shape.len))?;
        let code = module
            .code
            .get(shape.start as usize..shape.start as usize + shape.len as usize)
            .unwrap_or(&[]);
        let mut frame = stack.frame(shape, in_loop);
        let end = self.run(code, &mut frame)?;
        if let Some(cell) = shape.memo {
            match &end {
                Return::Outcome(outcome) => self.keep(cell, *outcome),
                Return::Value(value) => {
                    self.memo.set(cell, KEPT_VALUE);
                    self.keep_result(cell, *value);
                }
            }
        }
        Ok(end)
    }

    fn result(&self, cell: u32) -> Value<'a> {
        let position = cell.checked_sub(self.module.first_function_cell);
        position
            .and_then(|at| self.results.get(at as usize))
            .copied()
            .unwrap_or(Value::Undefined)
    }

    fn keep_result(&mut self, cell: u32, value: Value<'a>) {
        if self.results.is_empty() {
            let functions = self
                .module
                .memo_cells()
                .saturating_sub(self.module.first_function_cell as usize);
            self.results = self.bump.alloc_slice_fill_copy(functions, Value::Undefined);
        }
        let position = cell.checked_sub(self.module.first_function_cell);
        if let Some(slot) = position.and_then(|at| self.results.get_mut(at as usize)) {
            *slot = value;
        }
    }

    /// The constant as a value. Collections are built in the arena once, however often code loads them.
    fn constant(&mut self, k: ConstIdx) -> Result<Value<'a>, Trap> {
        let Some(constant) = self.module.consts.get(k.index()) else {
            return Ok(Value::Undefined);
        };
        let Some((position, values)) = self.module.collection(k) else {
            return Ok(constant.to_value(self.bump));
        };
        if self.built.is_empty() {
            let count = self.module.collections.len();
            self.built = self.bump.alloc_slice_fill_copy(count, Value::Pending);
        }
        match self.built.get(position) {
            Some(Value::Pending) | None => {}
            Some(known) => return Ok(*known),
        }
        self.burn(values)?;
        self.check_arena(values.saturating_mul(size_of::<(&str, Value<'_>)>() as u64))?;
        let value = constant.to_value(self.bump);
        if let Some(slot) = self.built.get_mut(position) {
            *slot = value;
        }
        Ok(value)
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
    fn weigh_predicate(&mut self, predicate: &LoadedPredicate) -> Result<(), Trap> {
        let right = match &predicate.test {
            Test::Dynamic(_, right) => Some(*right),
            _constant => None,
        };
        for field in [Some(predicate.field), right].into_iter().flatten() {
            if let Some(&value) = self.slots.get(field.index()) {
                self.weigh(&value)?;
            }
        }
        Ok(())
    }

    /// Runs code that needs no frame: most conditions are nothing else. Ends, because it only jumps ahead.
    fn run_bare(&mut self, code: &'a [Instr]) -> Outcome {
        let module = self.module;
        let mut flags = 0u64;
        let mut pc = 0usize;
        // Verified: no path runs past the end (V11), and operands are in range (V8).
        while let Some(instr) = code.get(pc) {
            pc += 1;
            if cfg!(debug_assertions) {
                self.tally.instructions += 1;
            }
            match *instr {
                Instr::Test {
                    pred,
                    sense,
                    flag,
                    target,
                } => {
                    let Some(predicate) = module.predicates.get(pred.index()) else {
                        break;
                    };
                    let outcome = self.test(predicate);
                    if outcome as u8 == u8::from(sense.0) {
                        pc = target.index();
                    } else if outcome == Outcome::Error {
                        flags |= 1 << flag.0;
                    }
                }
                Instr::TestMemo {
                    pred,
                    sense,
                    flag,
                    target,
                } => {
                    let Some(predicate) = module.predicates.get(pred.index()) else {
                        break;
                    };
                    let outcome = self.test_memo(predicate);
                    if outcome as u8 == u8::from(sense.0) {
                        pc = target.index();
                    } else if outcome == Outcome::Error {
                        flags |= 1 << flag.0;
                    }
                }
                Instr::RetTest { pred, sense } => {
                    let Some(predicate) = module.predicates.get(pred.index()) else {
                        break;
                    };
                    let outcome = self.test(predicate);
                    return if sense.0 { outcome } else { outcome.negate() };
                }
                Instr::RetTestMemo { pred, sense } => {
                    let Some(predicate) = module.predicates.get(pred.index()) else {
                        break;
                    };
                    let outcome = self.test_memo(predicate);
                    return if sense.0 { outcome } else { outcome.negate() };
                }
                Instr::BrFlag { flag, target } => {
                    if flags >> flag.0 & 1 == 1 {
                        pc = target.index();
                    }
                }
                Instr::RaiseFlag { flag } => flags |= 1 << flag.0,
                Instr::ClearFlag { flag } => flags &= !(1 << flag.0),
                Instr::Jump { target } => pc = target.index(),
                Instr::RetTrue {} => return Outcome::True,
                Instr::RetFalse {} => return Outcome::False,
                // `load::is_bare` lets nothing else through.
                _error => return Outcome::Error,
            }
        }
        Outcome::Error
    }

    fn run(&mut self, code: &'a [Instr], frame: &mut Frame<'_, 'a>) -> Result<Return<'a>, Trap> {
        let module = self.module;
        let mut pc = 0usize;
        loop {
            // Verified: no path runs past the end (V11).
            let Some(instr) = code.get(pc) else {
                return Ok(Return::Outcome(Outcome::Error));
            };
            pc += 1;
            if cfg!(debug_assertions) {
                self.tally.instructions += 1;
            }
            match *instr {
                Instr::Test {
                    pred,
                    sense,
                    flag,
                    target,
                } => {
                    let outcome = match module.predicates.get(pred.index()) {
                        Some(p) => {
                            if frame.in_loop {
                                self.weigh_predicate(p)?;
                            }
                            self.test(p)
                        }
                        None => Outcome::Error,
                    };
                    if outcome as u8 == u8::from(sense.0) {
                        self.jump(target, &mut pc)?;
                    } else if outcome == Outcome::Error {
                        frame.flags |= 1 << flag.0;
                    }
                }
                Instr::TestMemo {
                    pred,
                    sense,
                    flag,
                    target,
                } => {
                    let outcome = match module.predicates.get(pred.index()) {
                        Some(p) => self.test_memo(p),
                        None => Outcome::Error,
                    };
                    if outcome as u8 == u8::from(sense.0) {
                        self.jump(target, &mut pc)?;
                    } else if outcome == Outcome::Error {
                        frame.flags |= 1 << flag.0;
                    }
                }
                Instr::RetTest { pred, sense } => {
                    let outcome = match module.predicates.get(pred.index()) {
                        Some(p) => {
                            if frame.in_loop {
                                self.weigh_predicate(p)?;
                            }
                            self.test(p)
                        }
                        None => Outcome::Error,
                    };
                    return Ok(Return::Outcome(if sense.0 { outcome } else { outcome.negate() }));
                }
                Instr::RetTestMemo { pred, sense } => {
                    let outcome = match module.predicates.get(pred.index()) {
                        Some(p) => self.test_memo(p),
                        None => Outcome::Error,
                    };
                    return Ok(Return::Outcome(if sense.0 { outcome } else { outcome.negate() }));
                }
                Instr::BrFlag { flag, target } => {
                    if frame.flags >> flag.0 & 1 == 1 {
                        self.jump(target, &mut pc)?;
                    }
                }
                Instr::RaiseFlag { flag } => frame.flags |= 1 << flag.0,
                Instr::ClearFlag { flag } => frame.flags &= !(1 << flag.0),
                Instr::RetTrue {} => return Ok(Return::Outcome(Outcome::True)),
                Instr::RetFalse {} => return Ok(Return::Outcome(Outcome::False)),
                Instr::RetError {} => return Ok(Return::Outcome(Outcome::Error)),
                Instr::Ret { value } => return Ok(Return::Value(frame.read(value))),
                Instr::Jump { target } => self.jump(target, &mut pc)?,
                Instr::BrIf { cond, target } => {
                    if matches!(frame.read(cond), Value::Bool(true)) {
                        self.jump(target, &mut pc)?;
                    }
                }
                Instr::BrUnless { cond, target } => {
                    if !matches!(frame.read(cond), Value::Bool(true)) {
                        self.jump(target, &mut pc)?;
                    }
                }
                Instr::BrUndefined { src, target } => {
                    if !frame.read(src).is_present() {
                        self.jump(target, &mut pc)?;
                    }
                }
                Instr::LoadConst { dst, k } => {
                    let value = self.constant(k)?;
                    frame.write(dst, value);
                }
                Instr::LoadField { dst, field } => {
                    let value = self.field(field);
                    frame.write(dst, value);
                }
                Instr::Mov { dst, src } => frame.write(dst, frame.read(src)),
                Instr::LoadUndefined { dst } => frame.write(dst, Value::Undefined),
                Instr::LoadBool { dst, value } => frame.write(dst, Value::Bool(value.0)),
                Instr::Get { dst, object, key } => {
                    let (object, key) = (frame.read(object), frame.read(key));
                    self.weigh(&key)?;
                    frame.write(dst, element(&object, &key));
                }
                Instr::GetConst { dst, object, k } => {
                    let key = self.constant(k)?;
                    frame.write(dst, element(&frame.read(object), &key));
                }
                Instr::Len { dst, src } => {
                    let value = frame.read(src);
                    if let Value::Str(text) = value {
                        self.burn(text.len() as u64 / 64)?;
                    }
                    frame.write(dst, length(&value));
                }
                Instr::Eq { dst, lhs, rhs } => {
                    let (a, b) = (frame.read(lhs), frame.read(rhs));
                    self.weigh(&a)?;
                    let value = missing(&a, &b).unwrap_or_else(|| Value::Bool(a.equals(&b)));
                    frame.write(dst, value);
                }
                Instr::Lt { dst, lhs, rhs } => {
                    let (a, b) = (frame.read(lhs), frame.read(rhs));
                    self.weigh(&a)?;
                    frame.write(dst, ordered(Comparison::Lt, &a, &b));
                }
                Instr::Lte { dst, lhs, rhs } => {
                    let (a, b) = (frame.read(lhs), frame.read(rhs));
                    self.weigh(&a)?;
                    frame.write(dst, ordered(Comparison::Lte, &a, &b));
                }
                Instr::Add { dst, lhs, rhs } => arithmetic(Arith::Add, dst, lhs, rhs, frame),
                Instr::Sub { dst, lhs, rhs } => arithmetic(Arith::Sub, dst, lhs, rhs, frame),
                Instr::Mul { dst, lhs, rhs } => arithmetic(Arith::Mul, dst, lhs, rhs, frame),
                Instr::Div { dst, lhs, rhs } => arithmetic(Arith::Div, dst, lhs, rhs, frame),
                Instr::Rem { dst, lhs, rhs } => arithmetic(Arith::Rem, dst, lhs, rhs, frame),
                Instr::IterBegin { iter, src } => {
                    let state = match frame.read(src) {
                        Value::Array(items) => Iterator::Array(items, 0),
                        Value::Object(members) => Iterator::Object(members, 0),
                        Value::Set(items) => Iterator::Set(items, 0),
                        Value::Undefined
                        | Value::Unknown
                        | Value::Pending
                        | Value::Null
                        | Value::Bool(_)
                        | Value::Number(_)
                        | Value::Decimal(_)
                        | Value::Str(_) => Iterator::Done,
                    };
                    set_iterator(frame, iter, state);
                }
                Instr::IterNext {
                    iter,
                    key,
                    value,
                    done,
                } => match advance(frame, iter) {
                    Some((k, v)) => {
                        frame.write(key, k);
                        frame.write(value, v);
                    }
                    None => self.jump(done, &mut pc)?,
                },
                Instr::BuildArray { builder } => {
                    self.build(frame, builder, Builder::Array(BumpVec::new_in(self.bump)))
                }
                Instr::BuildObject { builder } => {
                    self.build(frame, builder, Builder::Object(BumpVec::new_in(self.bump)));
                }
                Instr::BuildSet { builder } => {
                    self.build(frame, builder, Builder::Set(BumpVec::new_in(self.bump)))
                }
                Instr::BuildPush { builder, value } => {
                    let value = frame.read(value);
                    self.check_arena(0)?;
                    if value.is_present()
                        && let Some(Builder::Array(items) | Builder::Set(items)) =
                            frame.builders.get_mut(builder.index())
                    {
                        items.push(value);
                    }
                }
                Instr::BuildInsert { builder, key, value } => {
                    let (key, value) = (frame.read(key), frame.read(value));
                    self.check_arena(0)?;
                    if let (Value::Str(key), true) = (key, value.is_present())
                        && let Some(Builder::Object(members)) = frame.builders.get_mut(builder.index())
                    {
                        members.push((key, value));
                    }
                }
                Instr::BuildEnd { dst, builder } => {
                    let value = self.finish(frame, builder)?;
                    frame.write(dst, value);
                }
                Instr::Call { dst, f, args } => {
                    let first = args.first.index();
                    let passed = frame.registers.get(first..first + usize::from(args.count));
                    for (to, from) in frame.rest.registers.iter_mut().zip(passed.unwrap_or(&[])) {
                        *to = *from;
                    }
                    let value = match self.call(f, frame.rest.reborrow(), frame.in_loop)? {
                        Return::Value(value) => value,
                        Return::Outcome(Outcome::True) => Value::Bool(true),
                        Return::Outcome(Outcome::False) => Value::Bool(false),
                        Return::Outcome(Outcome::Error) => Value::Unknown,
                    };
                    frame.write(dst, value);
                }
            }
        }
    }

    /// Continues at `target`; a jump back pays for the code that runs again.
    #[inline]
    fn jump(&mut self, target: Label, pc: &mut usize) -> Result<(), Trap> {
        let to = target.index();
        if to < *pc {
            self.burn((*pc - to) as u64)?;
        }
        *pc = to;
        Ok(())
    }

    /// Refuses to go on when the arena, with `more` bytes on top, is beyond its limit.
    fn check_arena(&self, more: u64) -> Result<(), Trap> {
        if (arena_used(self.bump) as u64).saturating_add(more) > self.module.limits.arena_bytes {
            return Err(Trap::OutOfMemory);
        }
        Ok(())
    }

    fn build(&self, frame: &mut Frame<'_, 'a>, builder: BuilderIdx, empty: Builder<'a>) {
        if let Some(slot) = frame.builders.get_mut(builder.index()) {
            *slot = empty;
        }
    }

    fn finish(&mut self, frame: &mut Frame<'_, 'a>, builder: BuilderIdx) -> Result<Value<'a>, Trap> {
        let Some(slot) = frame.builders.get_mut(builder.index()) else {
            return Ok(Value::Undefined);
        };
        let value = match std::mem::replace(slot, Builder::Array(BumpVec::new_in(self.bump))) {
            Builder::Array(items) => Value::Array(items.into_bump_slice()),
            Builder::Set(mut items) => {
                // Before sorting compares them.
                for item in &items {
                    self.weigh(item)?;
                }
                items.sort_unstable_by(Value::total_cmp);
                items.dedup_by(|a, b| a.equals(b));
                Value::Set(items.into_bump_slice())
            }
            Builder::Object(members) => {
                // Two copies below; a stable sort would not need them, but takes memory from the heap.
                self.check_arena(3 * size_of_val::<[_]>(&members) as u64)?;
                // The last of a key wins: order by key, later first, then keep the first of each.
                let mut ordered: BumpVec<'a, (usize, (&'a str, Value<'a>))> =
                    BumpVec::from_iter_in(members.into_iter().enumerate(), self.bump);
                ordered.sort_unstable_by(|(i, a), (j, b)| a.0.as_bytes().cmp(b.0.as_bytes()).then(j.cmp(i)));
                ordered.dedup_by(|a, b| a.1.0 == b.1.0);
                let members = BumpVec::from_iter_in(ordered.into_iter().map(|(_, m)| m), self.bump);
                Value::Object(members.into_bump_slice())
            }
        };
        self.weigh(&value)?;
        Ok(value)
    }
}

/// Deepest nesting of a value that code builds; requests and constants stay below it.
const MAX_NESTING: u32 = MAX_DEPTH + 256;

/// What an operator gives when an operand is not there: unknown where one is unknown, so that a condition that rests on
/// it is an error, else undefined.
fn missing<'a>(a: &Value<'a>, b: &Value<'a>) -> Option<Value<'a>> {
    if matches!(a, Value::Unknown) || matches!(b, Value::Unknown) {
        Some(Value::Unknown)
    } else if a.is_present() && b.is_present() {
        None
    } else {
        Some(Value::Undefined)
    }
}

fn arithmetic(op: Arith, dst: Dst, lhs: Src, rhs: Src, frame: &mut Frame<'_, '_>) {
    let value = match (frame.read(lhs), frame.read(rhs)) {
        (Value::Number(a), Value::Number(b)) => a.arith(op, b).map_or(Value::Undefined, Value::Number),
        (a, b) => missing(&a, &b).unwrap_or(Value::Undefined),
    };
    frame.write(dst, value);
}

fn ordered<'a>(comparison: Comparison, a: &Value<'a>, b: &Value<'a>) -> Value<'a> {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => Value::Bool(comparison.accepts(a.compare(*b))),
        (a, b) if a.exact().is_some() && b.exact().is_some() => {
            Value::Bool(comparison.accepts(a.total_cmp(b)))
        }
        (Value::Str(a), Value::Str(b)) => Value::Bool(comparison.accepts(a.as_bytes().cmp(b.as_bytes()))),
        (a, b) => missing(a, b).unwrap_or(Value::Undefined),
    }
}

fn length<'a>(value: &Value<'a>) -> Value<'a> {
    let count = match value {
        Value::Str(s) => s.chars().count(),
        Value::Array(items) | Value::Set(items) => items.len(),
        Value::Object(members) => members.len(),
        Value::Undefined
        | Value::Unknown
        | Value::Pending
        | Value::Null
        | Value::Bool(_)
        | Value::Number(_)
        | Value::Decimal(_) => {
            return Value::Undefined;
        }
    };
    Value::Number(Number::from_u64(count as u64))
}

fn element<'a>(object: &Value<'a>, key: &Value<'a>) -> Value<'a> {
    match (object, key) {
        (Value::Object(_), Value::Str(key)) => object.get(key),
        (Value::Array(items), Value::Number(Number::Int(n))) => usize::try_from(*n)
            .ok()
            .and_then(|n| items.get(n))
            .copied()
            .unwrap_or(Value::Undefined),
        (Value::Set(items), key) => items
            .binary_search_by(|item| item.total_cmp(key))
            .map_or(Value::Undefined, |_| *key),
        _other => Value::Undefined,
    }
}

fn set_iterator<'a>(frame: &mut Frame<'_, 'a>, iter: IterIdx, state: Iterator<'a>) {
    if let Some(slot) = frame.iterators.get_mut(iter.index()) {
        *slot = state;
    }
}

/// Key and value of the next element; the index of an array, the element itself of a set.
fn advance<'a>(frame: &mut Frame<'_, 'a>, iter: IterIdx) -> Option<(Value<'a>, Value<'a>)> {
    let slot = frame.iterators.get_mut(iter.index())?;
    match slot {
        Iterator::Done => None,
        Iterator::Array(items, at) => {
            let value = *items.get(*at)?;
            let key = Value::Number(Number::from_u64(*at as u64));
            *at += 1;
            Some((key, value))
        }
        Iterator::Object(members, at) => {
            let (key, value) = *members.get(*at)?;
            *at += 1;
            Some((Value::Str(key), value))
        }
        Iterator::Set(items, at) => {
            let value = *items.get(*at)?;
            *at += 1;
            Some((value, value))
        }
    }
}
