//! One scan per text: comparisons that search the same field are answered together by one pass over it.
//!
//! ```text
//! p0 = llm.prompt matches "\bAKIA[0-9A-Z]{16}\b"         scan of llm.prompt:
//! p1 = llm.prompt matches "(?i)ignore (all )?rules"  =>    "akia" exactly "AKIA"      p0 near 0 0
//! p2 = llm.prompt contains "###"                           "ignore " …                p1 near 0 0
//! p3 = llm.prompt matches "[a-z]{20,}"                     "###"                      p2 true
//! ```
//!
//! A `matches` takes part when literals are proved that each of its matches holds ([`literals`]); a `contains` is a
//! literal itself. Whatever is not found is false. `p3` has no literal and is run alone, as without the scan; so are
//! `starts_with` and `ends_with`, which look at no more of the text than their constant is long, and patterns that are
//! tied to the start of the text, which give up at once.
//!
//! A pattern of a scan seldom runs, and mostly for a few bytes, so no automaton is stored for it: `dfa_limit` drops the
//! one that `regex_dfa` made, and it is determinised while it runs. A scan costs a pass over the text, so a field has one only where the comparisons
//! that it answers cost several.

pub(crate) mod literals;

use super::{OptLevel, Options, Pass, Program};
use crate::cost;
use crate::ir::{Inst, Predicate};
use literals::Required;
use policy_bytecode::guard::searchable_fields;
use policy_bytecode::predicate::{PredOp, PredOperand};
use policy_bytecode::scan::{Literal, OnHit, Scan, Scanned};
use policy_bytecode::{Const, FieldIdx, PredIdx};
use regex_syntax::hir::{Hir, Look};
use std::collections::{BTreeMap, BTreeSet};

/// See the module documentation.
#[derive(Debug)]
pub(super) struct Patterns;

/// How many times its cost a scan must save.
const WORTH: u64 = 3;
/// Starts of a match that may be tried at one hit; with more, searching the text once is cheaper.
const STARTS: u32 = 4;
/// Bytes between the start of a match and a literal, when matches are tried there.
const REACH: u32 = 256;
/// Bytes of a constant that is looked for.
const LONGEST: usize = 255;

impl Pass for Patterns {
    fn name(&self) -> &'static str {
        "patterns"
    }

    fn level(&self) -> OptLevel {
        OptLevel::O2
    }

    fn run(&self, program: &mut Program, options: &Options) -> usize {
        let searchable = searchable_fields(&program.fields);
        let mut fields: BTreeMap<FieldIdx, Vec<Candidate>> = BTreeMap::new();
        for pred in asked(program)
            .into_iter()
            .take_while(|_| !options.stop.is_asked())
        {
            let Some(predicate) = program.predicates.get(pred.index()) else {
                continue;
            };
            if !searchable.get(predicate.field.index()).copied().unwrap_or(false) {
                continue;
            }
            if let Some(candidate) = candidate(program, pred, predicate) {
                fields.entry(predicate.field).or_default().push(candidate);
            }
        }
        let mut scans = Vec::new();
        for (field, candidates) in fields {
            let alone = candidates
                .iter()
                .filter_map(|c| program.predicates.get(c.pred.index()));
            let alone: u64 = alone.map(|p| cost::searched_alone(program, p)).sum();
            if alone > WORTH * cost::scan(program, field) {
                scans.push(scan(field, candidates));
            }
        }
        let changes = if program.scans == scans {
            0
        } else {
            scans.iter().map(|scan| scan.predicates.len()).sum()
        };
        program.scans = scans;
        changes
    }
}

/// How a pattern can be searched for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Search {
    /// Every match holds one of these.
    Literals(Required),
    /// A match starts where the text does.
    AtStart,
    /// Only by running it over the whole text.
    Whole,
}

/// How a pattern can be searched for, given its syntax tree.
pub(crate) fn search(hir: &Hir) -> Search {
    if hir.properties().look_set_prefix().contains(Look::Start) {
        return Search::AtStart;
    }
    literals::required(hir).map_or(Search::Whole, Search::Literals)
}

/// A predicate that a scan can answer.
struct Candidate {
    pred: PredIdx,
    literals: Vec<Literal>,
    on_hit: OnHit,
}

/// Predicates that code asks.
fn asked(program: &Program) -> BTreeSet<PredIdx> {
    let mut asked = BTreeSet::new();
    for function in &program.functions {
        function.each_inst(|_, inst| {
            if let Inst::Test { pred, .. } = inst {
                asked.insert(*pred);
            }
        });
    }
    asked
}

/// Whether a scan could answer a comparison with a field that can be searched, if it were not the only one on its field.
pub(crate) fn can_be_scanned(program: &Program, predicate: &Predicate) -> bool {
    candidate(program, PredIdx(0), predicate).is_some()
}

fn candidate(program: &Program, pred: PredIdx, predicate: &Predicate) -> Option<Candidate> {
    match (predicate.op, predicate.operand) {
        (PredOp::Contains, PredOperand::Const(k)) => {
            let Some(Const::Str(text)) = program.consts.get(k.index()) else {
                return None;
            };
            let literal = literals::literal_of(text);
            let fits = (1..=LONGEST).contains(&literal.folded.len());
            fits.then(|| Candidate {
                pred,
                on_hit: if literal.is_exactly(text) {
                    OnHit::True
                } else {
                    OnHit::Search
                },
                literals: vec![literal],
            })
        }
        (PredOp::ContainsFold, PredOperand::Const(k)) => {
            let Some(Const::Str(text)) = program.consts.get(k.index()) else {
                return None;
            };
            let literal = Literal::ignoring_case(text).filter(|l| l.folded.len() <= LONGEST)?;
            Some(Candidate {
                pred,
                on_hit: OnHit::True,
                literals: vec![literal],
            })
        }
        (PredOp::Matches, PredOperand::Pattern(x)) => {
            let Search::Literals(required) = &*program.patterns.get(x.index())?.search else {
                return None;
            };
            let on_hit = match required.before {
                (min, Some(max)) if max - min < STARTS && max <= REACH => OnHit::Near { min, max },
                _far => OnHit::Search,
            };
            Some(Candidate {
                pred,
                literals: required.literals.clone(),
                on_hit,
            })
        }
        _other => None,
    }
}

fn scan(field: FieldIdx, candidates: Vec<Candidate>) -> Scan {
    let all: BTreeSet<Literal> = candidates
        .iter()
        .flat_map(|c| c.literals.iter().cloned())
        .collect();
    let numbers: BTreeMap<Literal, u32> = all.iter().cloned().zip(0..).collect();
    Scan {
        field,
        literals: all.into_iter().collect(),
        predicates: candidates
            .into_iter()
            .map(|candidate| Scanned {
                predicate: candidate.pred,
                literals: candidate
                    .literals
                    .iter()
                    .filter_map(|l| numbers.get(l).copied())
                    .collect(),
                on_hit: candidate.on_hit,
            })
            .collect(),
    }
}
