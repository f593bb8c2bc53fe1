//! Scans at run time: one pass over a text that answers many predicates of its field.
//!
//! The text is folded into the arena and all literals are looked for in it ([`crate::literals`]). What is found makes a
//! predicate true, or tries its pattern where a match would have to start, or leaves the predicate to be evaluated on
//! its own; what is not found is false. A scan runs when the first of its predicates is asked, and once in an evaluation.
//!
//! Tries are few for each predicate: after that it is left to be evaluated on its own, so that a text made of hits costs
//! no more than a few passes.

use crate::heap::arena_used;
use crate::literals::{Literals, PADDING};
use crate::pattern::{LoadedPattern, PatternCaches};
use crate::predicate::ScanPlace;
use bumpalo::Bump;
use bumpalo::collections::Vec as BumpVec;
use policy_bytecode::fold::{fold, fold_ascii, has_special};
use policy_bytecode::predicate::PredOperand;
use policy_bytecode::quantifier::{Body, ItemOperand};
use policy_bytecode::scan::{OnHit, Scan, TRIES};
use policy_bytecode::{Outcome, PatternIdx, PredIdx, VerifiedModule};

/// What a scan reads of its module.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Searched<'m> {
    pub(crate) scans: &'m [LoadedScan],
    pub(crate) patterns: &'m [LoadedPattern],
    /// Most bytes of the arena.
    pub(crate) arena_bytes: u64,
}

/// A scan in the form that runs.
#[derive(Debug)]
pub(crate) struct LoadedScan {
    literals: Literals,
    /// By literal: what the text itself must hold, with NUL where it may hold anything that folds alike.
    exact: Box<[Box<[u8]>]>,
    /// By literal: where its users start in `users`; they end where the next one's start.
    starts: Box<[u32]>,
    users: Box<[User]>,
    predicates: Box<[PredIdx]>,
}

/// A predicate that waits for a literal.
#[derive(Debug, Clone, Copy)]
struct User {
    answer: u32,
    pattern: PatternIdx,
    on_hit: OnHit,
}

/// An answer that is below [`TRIES`] is false, after so many tries; else it is one of these.
const OPEN: u8 = TRIES;
const TRUE: u8 = TRIES + 1;

/// Answers of every scan of a module, for one evaluation. Clearing costs what was written, not what exists.
#[derive(Debug, Default)]
pub(crate) struct ScanAnswers {
    scans: Vec<Answers>,
}

#[derive(Debug, Default)]
struct Answers {
    ran: bool,
    answers: Vec<u8>,
    touched: Vec<u32>,
}

impl ScanAnswers {
    /// None yet, for these scans.
    pub(crate) fn of(scans: &[LoadedScan]) -> Self {
        let answers = scans.iter().map(|scan| Answers {
            ran: false,
            answers: vec![0; scan.predicates.len()],
            touched: Vec::with_capacity(scan.predicates.len()),
        });
        Self {
            scans: answers.collect(),
        }
    }

    #[inline]
    pub(crate) fn clear(&mut self) {
        for scan in &mut self.scans {
            scan.ran = false;
            for answer in scan.touched.drain(..) {
                if let Some(answer) = scan.answers.get_mut(answer as usize) {
                    *answer = 0;
                }
            }
        }
    }

    /// What the scan says of a predicate of the field that holds `text`; `None` when the predicate has to be evaluated
    /// on its own.
    #[inline]
    pub(crate) fn answer(
        &mut self,
        place: ScanPlace,
        text: &str,
        searched: &Searched<'_>,
        bump: &Bump,
        caches: &mut PatternCaches,
    ) -> Option<Outcome> {
        let answers = self.scans.get_mut(place.scan as usize)?;
        if !answers.ran {
            answers.ran = true;
            searched
                .scans
                .get(place.scan as usize)?
                .run(text, answers, searched, bump, caches);
        }
        match *answers.answers.get(place.answer as usize)? {
            TRUE => Some(Outcome::True),
            OPEN => None,
            _tries => Some(Outcome::False),
        }
    }

    /// The answers of a scan of `text` that are not false. All others of it are.
    pub(crate) fn possible(
        &mut self,
        scan: u32,
        text: &str,
        searched: &Searched<'_>,
        bump: &Bump,
        caches: &mut PatternCaches,
    ) -> impl Iterator<Item = u32> {
        // Any of its answers makes it run.
        self.answer(ScanPlace { scan, answer: 0 }, text, searched, bump, caches);
        let answers = self.scans.get(scan as usize);
        answers.into_iter().flat_map(|answers| {
            let possible = |answer: &u32| answers.answers.get(*answer as usize).is_some_and(|a| *a >= OPEN);
            answers.touched.iter().copied().filter(possible)
        })
    }
}

impl Answers {
    fn get(&self, answer: u32) -> u8 {
        self.answers.get(answer as usize).copied().unwrap_or(OPEN)
    }

    fn set(&mut self, answer: u32, value: u8) {
        if let Some(place) = self.answers.get_mut(answer as usize) {
            if *place == 0 {
                self.touched.push(answer);
            }
            *place = value;
        }
    }
}

impl LoadedScan {
    pub(crate) fn load(scan: &Scan, module: &VerifiedModule) -> Self {
        let mut users: Vec<Vec<User>> = vec![Vec::new(); scan.literals.len()];
        for (scanned, answer) in scan.predicates.iter().zip(0u32..) {
            let operand = module
                .predicates
                .get(scanned.predicate.index())
                .map(|p| p.operand);
            let pattern = match operand {
                Some(PredOperand::Pattern(x)) => x,
                // `contains`: has no use for it.
                Some(
                    PredOperand::None | PredOperand::Const(_) | PredOperand::Field(_) | PredOperand::Body(_),
                )
                | None => PatternIdx(u32::MAX),
            };
            for literal in &scanned.literals {
                if let Some(users) = users.get_mut(*literal as usize) {
                    users.push(User {
                        answer,
                        pattern,
                        on_hit: scanned.on_hit,
                    });
                }
            }
        }
        let mut next = 0;
        let counts = users
            .iter()
            .map(|users| u32::try_from(users.len()).unwrap_or(u32::MAX));
        let starts = std::iter::once(0).chain(counts.map(|count| {
            next += count;
            next
        }));
        Self {
            literals: Literals::new(scan.literals.iter().map(|l| l.folded.as_bytes().into()).collect()),
            exact: scan.literals.iter().map(|l| l.exact.as_bytes().into()).collect(),
            starts: starts.collect(),
            users: users.into_iter().flatten().collect(),
            predicates: scan.predicates.iter().map(|s| s.predicate).collect(),
        }
    }

    /// The predicates that it answers, in the order of their answers.
    pub(crate) fn predicates(&self) -> &[PredIdx] {
        &self.predicates
    }

    fn users_of(&self, literal: u32) -> &[User] {
        let bound = |at: usize| self.starts.get(at).map_or(0, |start| *start as usize);
        let literal = literal as usize;
        self.users.get(bound(literal)..bound(literal + 1)).unwrap_or(&[])
    }

    fn run(
        &self,
        text: &str,
        answers: &mut Answers,
        searched: &Searched<'_>,
        bump: &Bump,
        caches: &mut PatternCaches,
    ) {
        let room = searched.arena_bytes.saturating_sub(arena_used(bump) as u64);
        if (text.len() + PADDING) as u64 > room {
            for answer in (0..).take(self.predicates.len()) {
                answers.set(answer, OPEN);
            }
            return;
        }
        if has_special(text) {
            // Places in the text are not known then, so every hit leaves its predicates open.
            let padded = bump.alloc_slice_fill_copy(text.len() + PADDING, 0u8);
            let length = fold_special(text, padded);
            let padded = padded.get(..length + PADDING).unwrap_or(padded);
            self.literals.each(padded, |literal, _| {
                self.users_of(literal)
                    .iter()
                    .for_each(|user| answers.set(user.answer, OPEN));
                false
            });
            return;
        }
        let mut padded = BumpVec::with_capacity_in(text.len() + PADDING, bump);
        padded.extend_from_slice_copy(text.as_bytes());
        padded.iter_mut().for_each(|byte| *byte = fold_ascii(*byte));
        padded.extend_from_slice_copy(&[0; PADDING]);
        self.literals.each(&padded, |literal, at| {
            if !self.is_exact(literal, text, at) {
                return true;
            }
            let mut more = false;
            for user in self.users_of(literal) {
                more |= user.hit(text, at, answers, searched, caches);
            }
            more
        });
    }

    #[inline]
    fn is_exact(&self, literal: u32, text: &str, at: usize) -> bool {
        let exact = self.exact.get(literal as usize).map_or(&[][..], |exact| exact);
        let found = text.as_bytes().get(at..).unwrap_or(&[]);
        found.len() >= exact.len()
            && exact
                .iter()
                .zip(found)
                .all(|(want, byte)| *want == 0 || want == byte)
    }
}

impl User {
    /// Takes a hit into account; whether another one may matter.
    fn hit(
        &self,
        text: &str,
        at: usize,
        answers: &mut Answers,
        searched: &Searched<'_>,
        caches: &mut PatternCaches,
    ) -> bool {
        let mut tries = answers.get(self.answer);
        if tries >= OPEN {
            return false;
        }
        match self.on_hit {
            OnHit::True => answers.set(self.answer, TRUE),
            OnHit::Search => answers.set(self.answer, OPEN),
            OnHit::Near { min, max } => {
                for before in min..=max {
                    let Some(start) = at.checked_sub(before as usize) else {
                        break;
                    };
                    let pattern = searched.patterns.get(self.pattern.index());
                    let found = pattern.and_then(|p| p.starts_at(text, start, self.pattern.index(), caches));
                    tries = match found {
                        Some(true) => TRUE,
                        Some(false) => tries + 1,
                        None => OPEN,
                    };
                    answers.set(self.answer, tries);
                    if tries >= OPEN {
                        return false;
                    }
                }
                return true;
            }
        }
        false
    }
}

/// By pattern: whether every predicate that has it is answered by a scan.
pub(crate) fn only_scanned(module: &VerifiedModule) -> Vec<bool> {
    let mut answered = vec![false; module.predicates.len()];
    for scanned in module.scans.iter().flat_map(|scan| &scan.predicates) {
        if let Some(answered) = answered.get_mut(scanned.predicate.index()) {
            *answered = true;
        }
    }
    let mut only = vec![true; module.patterns.len()];
    for (predicate, answered) in module.predicates.iter().zip(answered) {
        if let (PredOperand::Pattern(x), false) = (predicate.operand, answered)
            && let Some(only) = only.get_mut(x.index())
        {
            *only = false;
        }
    }
    // Texts in elements are searched as a whole.
    for test in module.bodies.iter().flat_map(Body::tests) {
        if let ItemOperand::Plain(PredOperand::Pattern(x)) = test.operand
            && let Some(only) = only.get_mut(x.index())
        {
            *only = false;
        }
    }
    only
}

/// Folds a text that has special characters; returns how many bytes were written.
#[cold]
fn fold_special(text: &str, out: &mut [u8]) -> usize {
    let mut length = 0;
    for c in text.chars() {
        let mut buffer = [0; 4];
        let folded = fold(c).encode_utf8(&mut buffer).as_bytes();
        if let Some(place) = out.get_mut(length..length + folded.len()) {
            place.copy_from_slice(folded);
            length += folded.len();
        }
    }
    length
}
