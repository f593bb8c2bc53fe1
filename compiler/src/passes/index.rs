//! Index: chooses, for each rule, the comparisons through which it is reached, so that rules which cannot fire for a
//! request are not looked at.
//!
//! ```text
//! rule "tenants/t17" deny … {                  rule "tenants/t17" deny … {
//! b0:                                          b0:
//!   v0 = test team.id eq "team-17"               v0 = test team.id eq "team-17"
//!   v1 = test llm.model matches "^o1"     =>     v1 = test llm.model matches "^o1"
//!   v2 = and v0, v1                              v2 = and v0, v1
//!   ret v2                                       ret v2
//! }                                            guard v0
//!                                              }
//! ```
//!
//! An operand of an `and` guards it; an `or` is guarded by a guard of each operand together. Of the guards that a rule
//! could have, the one that fewest requests pass is taken, reckoned from the constants of all policies: of ten thousand
//! different `team.id eq …` one passes, of `llm.provider eq …` a fourth of the requests. A field serves as a guard only
//! where that saves more than looking it up costs, so small policy sets have few guards or none. Where many rules share
//! a comparison, a second guard on another field tells them apart below it.
//!
//! A rule without such a guard whose condition starts by searching a text that is scanned ([`super::patterns`]) hangs on
//! the scan, which would run for it anyway: a `matches` or `contains`, an `or` of them, or an `and` that begins with one.
//!
//! Guards are facts about the code, proved again by the verifier (V21), and change no decision.

mod searches;

use super::{OptLevel, Options, Pass, Program};
use crate::context;
use crate::fields::dotted;
use crate::ir::{Function, Inst, Negated, Rule, ValueId};
use policy_bytecode::guard::{MAX_GUARD, MAX_GUARDS, indexable, plain_fields};
use policy_bytecode::module::Field;
use policy_bytecode::predicate::{Lookup, PredOp, PredOperand};
use policy_bytecode::{Const, FieldIdx, PredIdx, Stop};
use searches::Searches;
use std::collections::{HashMap, HashSet};

/// Cost of looking one field up, in the units of [`crate::cost`].
const LOOK_UP: f64 = 20.0;
/// Cost of running a rule that turns out false.
const RULE: f64 = 15.0;
/// Guards that are weighed for one function.
const CONSIDERED: usize = 8;
/// Rules that share a comparison from which a second guard is worth having.
const CROWD: u32 = 16;
/// A second guard that more of the requests pass than this is not worth having.
const NARROW: f64 = 0.5;

/// See the module documentation.
#[derive(Debug)]
pub(super) struct Index;

impl Pass for Index {
    fn name(&self) -> &'static str {
        "index"
    }

    fn level(&self) -> OptLevel {
        OptLevel::O2
    }

    fn run(&self, program: &mut Program, options: &Options) -> usize {
        let guards = choose(program, options.index_always, &options.stop);
        let mut changes = 0;
        for (function, guards) in program.functions.iter_mut().zip(guards) {
            changes += usize::from(function.guards != guards);
            function.guards = guards;
        }
        changes
    }
}

/// Rules that could not be guarded, however many there were of them.
pub(super) fn out_of_reach(program: &Program) -> Vec<&Rule> {
    let shares = shares(program);
    let searches = Searches::possible(program);
    let guarded = |rule: &&Rule| {
        let function = program.functions.get(rule.condition.index());
        function.is_some_and(|function| {
            let finder = Finder {
                program,
                function,
                shares: &shares,
            };
            function.single_outcome().is_some_and(|root| {
                !finder.guards(root).is_empty() || searches.guard(function, root).is_some()
            })
        })
    };
    program.rules.iter().filter(|rule| !guarded(rule)).collect()
}

/// One way to guard a function.
#[derive(Debug, Clone)]
struct Guard {
    /// Its tests.
    tests: Vec<ValueId>,
    /// Fields that they ask for, each once.
    fields: Vec<FieldIdx>,
    /// Share of requests that pass it.
    share: f64,
}

/// The guards of every function.
fn choose(program: &Program, always: bool, stop: &Stop) -> Vec<Vec<Vec<ValueId>>> {
    let shares = shares(program);
    let mut uses = vec![0u32; program.functions.len()];
    for rule in &program.rules {
        if let Some(n) = uses.get_mut(rule.condition.index()) {
            *n += 1;
        }
    }
    let possible: Vec<Vec<Guard>> = program
        .functions
        .iter()
        .zip(&uses)
        .take_while(|_| !stop.is_asked())
        .map(|(function, uses)| match function.single_outcome() {
            Some(root) if *uses > 0 => Finder {
                program,
                function,
                shares: &shares,
            }
            .guards(root),
            Some(_) | None => Vec::new(),
        })
        .collect();
    let fields = if always {
        vec![true; program.fields.len()]
    } else {
        worthwhile(&possible, &uses, program.fields.len())
    };
    let kept: Vec<Vec<&Guard>> = possible
        .iter()
        .map(|guards| {
            let all_kept = |g: &&Guard| {
                g.fields
                    .iter()
                    .all(|f| fields.get(f.index()).copied().unwrap_or(false))
            };
            guards.iter().filter(all_kept).collect()
        })
        .collect();
    let crowds = crowds(program, &kept, &uses);
    let searches = Searches::new(program);
    kept.iter()
        .zip(&program.functions)
        .map(|(guards, function)| {
            let Some((first, others)) = guards.split_first() else {
                let searched = function
                    .single_outcome()
                    .and_then(|root| searches.guard(function, root));
                return searched.map(|(_, tests)| tests).into_iter().collect();
            };
            let mut chosen = vec![first.tests.clone()];
            let crowded = first.tests.iter().any(|test| {
                pred(function, *test).is_some_and(|p| crowds.get(&p).copied().unwrap_or(0) > CROWD)
            });
            if crowded || always {
                let new = |g: &&&Guard| {
                    (g.share <= NARROW || always) && !g.fields.iter().any(|f| first.fields.contains(f))
                };
                let narrower = others.iter().filter(new).take(MAX_GUARDS - 1);
                chosen.extend(narrower.map(|g| g.tests.clone()));
            }
            chosen
        })
        .collect()
}

fn pred(function: &Function, test: ValueId) -> Option<PredIdx> {
    match function.value(test) {
        Some(Inst::Test { pred, .. }) => Some(*pred),
        _other => None,
    }
}

/// How many rules are reached through each comparison by their first guard.
fn crowds(program: &Program, kept: &[Vec<&Guard>], uses: &[u32]) -> HashMap<PredIdx, u32> {
    let mut crowds = HashMap::new();
    for ((guards, function), uses) in kept.iter().zip(&program.functions).zip(uses) {
        for test in guards.first().into_iter().flat_map(|g| &g.tests) {
            if let Some(pred) = pred(function, *test) {
                *crowds.entry(pred).or_insert(0) += uses;
            }
        }
    }
    crowds
}

/// Fields whose guards save more than looking them up costs. Every rule is counted for its best guard; fields that do
/// not pay go out by halves, worst first, and the rules that relied on them turn to their next.
fn worthwhile(possible: &[Vec<Guard>], uses: &[u32], fields: usize) -> Vec<bool> {
    let mut kept = vec![true; fields];
    loop {
        let mut saved: Vec<Option<f64>> = vec![None; fields];
        for (guards, uses) in possible.iter().zip(uses) {
            let usable = |g: &&Guard| {
                g.fields
                    .iter()
                    .all(|f| kept.get(f.index()).copied().unwrap_or(false))
            };
            let Some(best) = guards.iter().find(usable) else {
                continue;
            };
            let gain = f64::from(*uses) * RULE * (1.0 - best.share);
            for field in &best.fields {
                if let Some(place) = saved.get_mut(field.index()) {
                    // Fields of one guard share what it saves.
                    *place.get_or_insert(0.0) += gain / count(best.fields.len());
                }
            }
        }
        let mut losing: Vec<(f64, usize)> = saved
            .iter()
            .enumerate()
            .filter_map(|(field, saved)| saved.filter(|s| *s < LOOK_UP).map(|s| (s, field)))
            .collect();
        if losing.is_empty() {
            break;
        }
        losing.sort_by(|a, b| a.0.total_cmp(&b.0).then(b.1.cmp(&a.1)));
        for (_, field) in losing.iter().take(losing.len().div_ceil(2)) {
            if let Some(place) = kept.get_mut(*field) {
                *place = false;
            }
        }
    }
    kept
}

fn count(n: usize) -> f64 {
    f64::from(u32::try_from(n).unwrap_or(u32::MAX))
}

/// For each comparison that an index can answer for, the share of requests on which it may be anything but false.
fn shares(program: &Program) -> Vec<Option<f64>> {
    let plain = plain_fields(&program.fields);
    let answers = |p: &crate::ir::Predicate| {
        plain.get(p.field.index()).copied().unwrap_or(false)
            && indexable(p.op, p.operand, &program.consts)
            && !(p.op == PredOp::Contains && is_text(program.fields.get(p.field.index())))
    };
    // Different constants that each field is compared with: the more, the fewer requests hold one of them.
    let mut keys: HashMap<FieldIdx, HashSet<u32>> = HashMap::new();
    for predicate in program.predicates.iter().filter(|p| answers(p)) {
        let own = keys.entry(predicate.field).or_default();
        if let PredOperand::Const(k) = predicate.operand {
            match program.consts.get(k.index()) {
                Some(Const::Array(items)) => own.extend(items.iter().map(|k| k.0)),
                Some(_) | None => {
                    own.insert(k.0);
                }
            }
        }
    }
    program
        .predicates
        .iter()
        .map(|predicate| {
            if !answers(predicate) {
                return None;
            }
            let constant = match predicate.operand {
                PredOperand::Const(k) => program.consts.get(k.index()),
                PredOperand::None
                | PredOperand::Pattern(_)
                | PredOperand::Field(_)
                | PredOperand::Body(_) => None,
            };
            let others = keys.get(&predicate.field).map_or(1.0, |own| count(own.len())) + 1.0;
            Some(match (predicate.op.lookup(), constant) {
                (Lookup::Key, Some(Const::Bool(_))) => 0.5,
                (Lookup::Key, _) => 1.0 / others,
                (Lookup::Keys, Some(Const::Array(items))) => (count(items.len()) / others).min(1.0),
                (Lookup::Element, _) => (2.0 / others).min(0.6),
                (Lookup::Affix, _) => (2.0 / others).min(0.5),
                (Lookup::Threshold, _) => 0.5,
                (Lookup::Keys | Lookup::Presence | Lookup::No, _) => 0.8,
            })
        })
        .collect()
}

/// Whether a field is known to hold text: then `contains` asks for a substring, which cannot be looked up.
fn is_text(field: Option<&Field>) -> bool {
    let known = field.and_then(dotted).and_then(|path| context::known(&path));
    known.is_some_and(|f| f.ty == context::FieldType::String)
}

struct Finder<'a> {
    program: &'a Program,
    function: &'a Function,
    shares: &'a [Option<f64>],
}

impl Finder<'_> {
    /// Ways to guard the outcome `id`, best first.
    fn guards(&self, id: ValueId) -> Vec<Guard> {
        let mut guards = match self.function.value(id) {
            Some(Inst::Test {
                pred,
                negated: Negated(false),
            }) => {
                let share = self.shares.get(pred.index()).copied().flatten();
                let field = self.program.predicates.get(pred.index()).map(|p| p.field);
                share
                    .zip(field)
                    .map(|(share, field)| Guard {
                        tests: vec![id],
                        fields: vec![field],
                        share,
                    })
                    .into_iter()
                    .collect()
            }
            Some(Inst::And { operands }) => operands.iter().flat_map(|v| self.guards(*v)).collect(),
            Some(Inst::Or { operands }) => self.united(operands).into_iter().collect(),
            _other => Vec::new(),
        };
        guards.sort_by(|a, b| {
            let by_fields = || {
                a.fields
                    .len()
                    .cmp(&b.fields.len())
                    .then_with(|| a.fields.cmp(&b.fields))
            };
            a.share.total_cmp(&b.share).then_with(by_fields)
        });
        guards.truncate(CONSIDERED);
        guards
    }

    /// A guard of each operand, together.
    fn united(&self, operands: &[ValueId]) -> Option<Guard> {
        let mut all = Guard {
            tests: Vec::new(),
            fields: Vec::new(),
            share: 0.0,
        };
        for operand in operands {
            let best = self.guards(*operand).into_iter().next()?;
            all.tests.extend(best.tests);
            all.fields.extend(best.fields);
            all.share += best.share;
        }
        all.fields.sort_unstable();
        all.fields.dedup();
        all.share = all.share.min(1.0);
        (all.tests.len() <= MAX_GUARD && !all.tests.is_empty()).then_some(all)
    }
}
