//! The one pass over the text: finds marks, cuts the words around them, hands candidates to the detectors.
//!
//! Entry points of the module for reading (redaction is in `redact`). The detectors receive the [`Scanner`], or a
//! candidate cut out by `number`, and report through [`Scanner::emit`]; the position they return is where the pass
//! goes on, which is never before the byte after the trigger.

use std::ops::ControlFlow;

use super::bytes::{self, ALPHA, BLOCK, CLASS, DIGIT, ENDS_WORD, Kinds, TRIGGER, WORD, at, is_word, slice};
use super::context::{self, Barrier, Nearby};
use super::table::Table;
use super::types::{Confidence, Match, PiiType, PiiTypeSet};
use super::{disguise, email, iban, ip, national, number, secrets, short, wallet};

/// A reusable list of matches. Keeps its memory between scans.
#[derive(Debug, Clone, Default)]
pub struct Findings {
    matches: Vec<Match>,
}

impl Findings {
    /// An empty list; allocates at the first match.
    #[must_use]
    pub const fn new() -> Findings {
        Findings { matches: Vec::new() }
    }

    /// The matches by start, longer ones first. Matches of different types may overlap.
    #[must_use]
    pub fn as_slice(&self) -> &[Match] {
        &self.matches
    }

    /// The matches in the order of [`Findings::as_slice`].
    pub fn iter(&self) -> std::slice::Iter<'_, Match> {
        self.matches.iter()
    }

    /// How many matches there are, of any confidence.
    #[must_use]
    pub fn len(&self) -> usize {
        self.matches.len()
    }

    /// Whether nothing was found, at any confidence.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.matches.is_empty()
    }

    /// The types found with at least confidence `min`.
    #[must_use]
    pub fn types(&self, min: Confidence) -> PiiTypeSet {
        self.matches
            .iter()
            .filter(|found| found.confidence >= min)
            .map(|found| found.kind)
            .collect()
    }

    /// Forgets the matches and keeps the memory.
    pub fn clear(&mut self) {
        self.matches.clear();
    }
}

impl<'f> IntoIterator for &'f Findings {
    type Item = &'f Match;
    type IntoIter = std::slice::Iter<'f, Match>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

/// Replaces the contents of `findings` with every match in `text`, of any confidence.
///
/// O(length of `text`) time; allocates only when `findings` has to grow.
pub fn scan(text: &str, findings: &mut Findings) {
    findings.clear();
    let matches = &mut findings.matches;
    Scanner::new(text, &mut |found| {
        matches.push(found);
        ControlFlow::Continue(())
    })
    .run();
    // Almost always in order already: only an e-mail address starts before its trigger.
    matches.sort_unstable_by(|a, b| {
        a.start
            .cmp(&b.start)
            .then(b.end.cmp(&a.end))
            .then(a.kind.cmp(&b.kind))
    });
}

/// Calls `visitor` with every match as it is found, of any confidence, until it breaks.
///
/// The order is that of the triggers, which is not always that of the starts. Does not allocate.
pub fn visit(text: &str, mut visitor: impl FnMut(Match) -> ControlFlow<()>) {
    Scanner::new(text, &mut visitor).run();
}

/// Whether `text` holds any type with confidence medium or high: what `containsPII` answers.
///
/// Stops at the first such match. Does not allocate.
#[must_use]
pub fn contains(text: &str) -> bool {
    contains_any(text, PiiTypeSet::ALL, Confidence::Medium)
}

/// Whether `text` holds one of `types` with at least confidence `min`. Stops at the first such match.
#[must_use]
pub fn contains_any(text: &str, types: PiiTypeSet, min: Confidence) -> bool {
    let mut any = false;
    visit(text, |found| {
        if found.confidence >= min && types.contains(found.kind) {
            any = true;
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    });
    any
}

/// Whether `text` is so short and holds so few digits and signs that nothing can be found in it, at any confidence. `false`
/// is no answer.
#[must_use]
#[inline]
pub fn is_bare(text: &[u8]) -> bool {
    short::holds_nothing(text)
}

/// The types in `text` with confidence medium or high: what `piiTypes` answers. Does not allocate.
#[must_use]
pub fn types_in(text: &str) -> PiiTypeSet {
    let mut types = PiiTypeSet::EMPTY;
    visit(text, |found| {
        if found.confidence >= Confidence::Medium {
            types.insert(found.kind);
        }
        ControlFlow::Continue(())
    });
    types
}

/// The state of one pass.
pub(super) struct Scanner<'t, 's> {
    /// The whole text.
    pub(super) source: &'t str,
    /// Its bytes, which detectors look at.
    pub(super) text: &'t [u8],
    /// The end of the last match that counts; see `context`.
    pub(super) barrier: Barrier,
    /// Where in a table the pass is.
    pub(super) table: Table,
    /// Colons before this offset belong to a run that was looked at already.
    pub(super) colons_done: usize,
    sink: &'s mut dyn FnMut(Match) -> ControlFlow<()>,
    stopped: bool,
    /// Bytes read by detectors and by the pass itself: what the growth test counts.
    #[cfg(test)]
    pub(super) steps: usize,
}

impl<'t, 's> Scanner<'t, 's> {
    pub(super) fn new(text: &'t str, sink: &'s mut dyn FnMut(Match) -> ControlFlow<()>) -> Self {
        Scanner {
            source: text,
            text: text.as_bytes(),
            barrier: Barrier { end: 0, kind: None },
            table: Table::default(),
            colons_done: 0,
            sink,
            stopped: false,
            #[cfg(test)]
            steps: 0,
        }
    }

    /// Scans the text from start to end, or until the sink breaks.
    pub(super) fn run(&mut self) {
        if short::holds_nothing(self.text) {
            self.step(self.text.len());
            return;
        }
        self.run_all();
    }

    /// As [`Scanner::run`], without the short cut.
    pub(super) fn run_all(&mut self) {
        self.run_plain();
        if !self.stopped {
            disguise::scan(self);
        }
    }

    /// Scans the text as it is spelled.
    pub(super) fn run_plain(&mut self) {
        let (blocks, rest) = self.text.as_chunks::<BLOCK>();
        let (mut start, mut position) = (0, 0);
        for block in blocks {
            if position < start + BLOCK {
                position = self.block(block, start, position);
                if self.stopped {
                    return;
                }
            }
            self.step(BLOCK);
            start += BLOCK;
        }
        let mut last = [0; BLOCK];
        last[..rest.len()].copy_from_slice(rest);
        self.step(BLOCK);
        self.block(&last, start, position);
    }

    /// Looks at the marks of `block`, which starts at `start`, that stand at `position` or later. Returns where to go on.
    #[inline(always)]
    fn block(&mut self, block: &[u8; BLOCK], start: usize, mut position: usize) -> usize {
        let mut marks = bytes::marks(block);
        if position > start {
            marks &= u64::MAX.checked_shl((position - start) as u32).unwrap_or(0);
        }
        if marks == 0 {
            return position;
        }
        let kinds = Kinds::of(self.text, block, start);
        while marks != 0 {
            let mark = start + marks.trailing_zeros() as usize;
            marks &= marks - 1;
            let next = self.mark(mark, position, &kinds);
            if self.stopped {
                break;
            }
            let Some(next) = next else { continue };
            position = next;
            // What was looked at is done, the marks of a long number at once.
            match u32::try_from(position - start)
                .ok()
                .and_then(|done| u64::MAX.checked_shl(done))
            {
                Some(open) => marks &= open,
                None => break,
            }
        }
        position
    }

    /// Looks at the mark at `mark`, and at the word that it is in or ends, which starts at `floor` or later. Returns
    /// where to go on, when that is not the next mark.
    #[inline(always)]
    fn mark(&mut self, mark: usize, floor: usize, kinds: &Kinds) -> Option<usize> {
        let text = self.text;
        let byte = text[mark];
        let class = CLASS[usize::from(byte)];
        if class & DIGIT != 0 {
            return Some(self.digit(mark, floor, kinds));
        }
        if class & WORD != 0 {
            // Where digits follow they are marks too.
            return kinds.is_in_roomy(mark).then(|| self.joined(mark, floor, kinds));
        }
        if class & ENDS_WORD != 0 {
            // What is written with dashes is found from its first dash.
            if kinds.is_after_roomy(mark) || byte == b'.' && ip::may_be_dotted(text, mark) {
                let (start, end) = kinds.word_around(text, mark, floor);
                let next = self.word(start, end, kinds.solid_end(start));
                if let Some(next) = next.filter(|next| *next > mark) {
                    return Some(next);
                }
            }
            if byte == b'+'
                && let Some(next) = self.bracket(mark, floor)
            {
                return Some(next);
            }
        }
        if class & TRIGGER == 0 {
            return None;
        }
        let next = self.trigger(mark, byte);
        self.step(next.unwrap_or(mark + 1) - mark);
        next
    }

    /// Looks at the word `start..end`, which may be empty, and from which on bytes are solid up to `solid`. Returns where to
    /// go on.
    fn word(&mut self, start: usize, end: usize, solid: usize) -> Option<usize> {
        self.step(end - start);
        if start == end {
            return None;
        }
        let next =
            ip::scan_mac_word(self, start, end).or_else(|| secrets::scan_word(self, start, end, solid));
        next.map(|next| next.max(end))
    }

    /// Looks at what an opening bracket before `position` begins: a telephone number. Returns where to go on.
    #[inline(always)]
    fn bracket(&mut self, position: usize, floor: usize) -> Option<usize> {
        if position == floor || self.text[position - 1] != b'(' {
            return None;
        }
        number::scan_at(self, position - 1)
    }

    /// Looks at the word around the digit at `mark`, its first. Returns where to go on.
    #[inline(always)]
    fn digit(&mut self, mark: usize, floor: usize, kinds: &Kinds) -> usize {
        let text = self.text;
        if let Some(next) = self.bracket(mark, floor) {
            return next;
        }
        let (start, end) = kinds.word_around(text, mark, floor);
        self.step(end - start);
        if let Some(next) = ip::scan_mac_word(self, start, end) {
            return next.max(end);
        }
        // Most words have blanks around them.
        let secret = if kinds.is_in_roomy(mark) {
            secrets::scan_word(self, start, end, kinds.solid_end(start))
        } else {
            secrets::scan_short(self, start)
        };
        if let Some(next) = secret {
            return next.max(end);
        }
        let next = if start == mark {
            self.number(start, end)
        } else {
            self.identifier(start, end)
        };
        next.map_or(end, |next| next.max(end))
    }

    /// Looks at the word around the underscore or capital at `mark`, its first mark. Returns where to go on.
    fn joined(&mut self, mark: usize, floor: usize, kinds: &Kinds) -> usize {
        let (start, end) = kinds.word_around(self.text, mark, floor);
        if let Some(next) = self.word(start, end, kinds.solid_end(start)) {
            return next;
        }
        let digits = slice(self.text, mark, end).iter().any(u8::is_ascii_digit);
        let next = if digits { self.identifier(start, end) } else { None };
        next.map_or(end, |next| next.max(end))
    }

    /// Looks at the word `start..end`, which begins with a letter and holds a digit. Returns where to go on.
    fn identifier(&mut self, start: usize, end: usize) -> Option<usize> {
        email::scan_escaped(self, start)
            .or_else(|| iban::scan_word(self, start, end))
            .or_else(|| national::scan_word(self, start, end))
            .or_else(|| wallet::scan_word(self, start, end))
    }

    /// Looks at the word `start..end`, which begins with a digit. Returns where to go on.
    #[inline(always)]
    fn number(&mut self, start: usize, end: usize) -> Option<usize> {
        if let Some(next) = email::scan_escaped(self, start) {
            return Some(next);
        }
        if let Some(next) = number::scan_at(self, start) {
            return Some(next);
        }
        let letters = |word: &[u8]| word.iter().any(|byte| CLASS[usize::from(*byte)] & ALPHA != 0);
        letters(slice(self.text, start, end))
            .then(|| national::scan_word(self, start, end).or_else(|| wallet::scan_word(self, start, end)))
            .flatten()
    }

    /// Looks at a trigger byte outside words. Returns where to go on.
    #[inline(always)]
    fn trigger(&mut self, position: usize, byte: u8) -> Option<usize> {
        match byte {
            b'-' => self.dash(position),
            b'@' => email::scan_at(self, position),
            b'+' if matches!(at(self.text, position + 1), b'0'..=b'9' | b'(' | b'+') => {
                number::scan_at(self, position)
            }
            b'+' => None,
            _ => secrets::scan_assignment(self, position).or_else(|| {
                if byte == b':' {
                    ip::scan_colon(self, position)
                } else {
                    None
                }
            }),
        }
    }

    /// Looks at the dash at `dash`. Most stand between words.
    #[inline(always)]
    fn dash(&mut self, dash: usize) -> Option<usize> {
        let text = self.text;
        let is_dash = |place: usize| at(text, place) == b'-';
        if is_dash(dash + 1)
            && let Some(next) = secrets::scan_pem(self, dash)
        {
            return Some(next);
        }
        if is_dash(dash.wrapping_sub(1))
            && let Some(next) = secrets::scan_flag(self, dash)
        {
            return Some(next);
        }
        is_dash(dash + 3)
            .then(|| ip::scan_dashed_mac(self, dash))
            .flatten()
    }

    /// Reports a match.
    pub(super) fn emit(&mut self, kind: PiiType, start: usize, end: usize, confidence: Confidence) {
        if confidence >= Confidence::Medium && end > self.barrier.end {
            self.barrier = Barrier {
                end,
                kind: Some(kind),
            };
        }
        // The pass itself looks at `stopped`.
        let _flow = self.report(Match {
            kind,
            start,
            end,
            confidence,
        });
    }

    /// Gives a match to the sink, unless that had enough.
    pub(super) fn report(&mut self, found: Match) -> ControlFlow<()> {
        if self.stopped {
            return ControlFlow::Break(());
        }
        let flow = (self.sink)(found);
        self.stopped |= flow.is_break();
        flow
    }

    /// Whether the sink wants no more.
    pub(super) fn stopped(&self) -> bool {
        self.stopped
    }

    /// The words before `position`.
    pub(super) fn nearby(&mut self, position: usize) -> Nearby {
        let nearby = context::before(self.text, position, self.barrier, &mut self.table);
        self.step(nearby.bytes_read);
        nearby
    }

    /// Whether a word may start at `position`: nothing before it, a match, or a byte that is not of a word.
    pub(super) fn starts_word(&self, position: usize) -> bool {
        position <= self.barrier.end || !is_word(self.text, position - 1)
    }

    /// Work counted so far; 0 outside tests.
    pub(super) fn steps(&self) -> usize {
        #[cfg(test)]
        {
            self.steps
        }
        #[cfg(not(test))]
        0
    }

    /// Counts work, in bytes read. Nothing outside tests.
    #[inline(always)]
    pub(super) fn step(&mut self, bytes: usize) {
        #[cfg(test)]
        {
            self.steps += bytes;
        }
        #[cfg(not(test))]
        let _ = bytes;
    }
}
