//! Runs of digit groups: cut out once, then offered to the detectors in order of how strict they are.
//!
//! A run is up to [`MAX_GROUPS`] groups of digits, joined by one space, dash, dot, slash or bracket, in any of their
//! typographic forms. Detectors look at the first `k` groups only; the pass offers every group as a first group in
//! turn, so that a run costs a bounded number of bytes per group.

use super::bytes::{at, is_digit, is_word, run_end, slice};
use super::context::{self, Barrier, Nearby};
use super::scan::Scanner;
use super::table::Table;
use super::types::{Confidence, PiiType};
use super::{address, cards, dates, ip, national, phone};

/// Most groups in a run.
const MAX_GROUPS: usize = 8;
/// Longest group that can be part of anything; a longer one is cut here and matches nothing.
pub(super) const MAX_GROUP_DIGITS: usize = 20;
/// Fewest digits in one group that are a number of some kind whatever the words around them.
const MIN_DIGITS: usize = 6;
/// Most digits that [`Candidate::digits`] returns.
pub(super) const MAX_DIGITS: usize = 24;

/// What joins a group to the one before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Separator {
    /// The first group.
    Start,
    Space,
    Dash,
    Dot,
    Slash,
    /// A bracket on either side, with whatever else is there.
    Bracket,
}

/// How a run may be joined.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Joints {
    /// Without blanks around dashes.
    Tight,
    /// `536 - 22 - 8726`: the blanks count as part of the dash.
    Loose,
}

/// A group of digits.
#[derive(Debug, Clone, Copy)]
pub(super) struct Group {
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) separator: Separator,
    /// In brackets of its own: `(415)`.
    pub(super) bracketed: bool,
}

impl Group {
    /// Digits in the group.
    pub(super) fn len(self) -> usize {
        self.end - self.start
    }
}

const NO_GROUP: Group = Group {
    start: 0,
    end: 0,
    separator: Separator::Start,
    bracketed: false,
};

/// A run of groups, and what surrounds it.
pub(super) struct Candidate<'t> {
    pub(super) text: &'t [u8],
    /// Where the candidate starts: a sign, a bracket or the first digit.
    pub(super) start: usize,
    /// A plus sign stands before the first group.
    pub(super) plus: bool,
    /// The first group stands in brackets that the candidate includes.
    pub(super) bracket: bool,
    groups: [Group; MAX_GROUPS],
    count: usize,
    barrier: Barrier,
    table: Table,
    nearby: Option<Nearby>,
}

/// What a detector found in a candidate.
#[derive(Debug, Clone, Copy)]
pub(super) struct Found {
    pub(super) kind: PiiType,
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) confidence: Confidence,
}

impl<'t> Candidate<'t> {
    /// Cuts the run that starts at `start`: a digit, `+` or `(`.
    #[inline(always)]
    fn cut(
        text: &'t [u8],
        start: usize,
        barrier: Barrier,
        table: Table,
        joints: Joints,
    ) -> Option<Candidate<'t>> {
        let mut position = start;
        let mut plus = false;
        let mut bracket = false;
        for _ in 0..2 {
            match at(text, position) {
                b'+' if !plus => plus = true,
                b'(' if !bracket => bracket = true,
                _ => break,
            }
            position += 1;
        }
        if !is_digit(text, position) {
            return None;
        }
        let mut groups = [NO_GROUP; MAX_GROUPS];
        let mut count = 0;
        let mut separator = Separator::Start;
        let mut open = bracket;
        while count < MAX_GROUPS {
            let end = run_end(text, position, MAX_GROUP_DIGITS, |b| b.is_ascii_digit());
            let bracketed = open && at(text, end) == b')';
            if open && !bracketed {
                // An opening bracket that does not close after its digits belongs to the sentence.
                break;
            }
            groups[count] = Group {
                start: position,
                end,
                separator,
                bracketed,
            };
            count += 1;
            match next_group(text, end, bracketed, joints) {
                Some((next, kind, opens)) => {
                    position = next;
                    separator = kind;
                    open = opens;
                }
                None => break,
            }
        }
        (count > 0).then_some(Candidate {
            text,
            start,
            plus,
            bracket,
            groups,
            count,
            barrier,
            table,
            nearby: None,
        })
    }

    /// The groups of the run.
    pub(super) fn groups(&self) -> &[Group] {
        &self.groups[..self.count]
    }

    /// Group `index`; an empty group beyond the last.
    pub(super) fn group(&self, index: usize) -> Group {
        self.groups().get(index).copied().unwrap_or(NO_GROUP)
    }

    /// Whether the first groups have exactly these lengths.
    pub(super) fn has_lengths(&self, lengths: &[usize]) -> bool {
        self.count >= lengths.len()
            && self
                .groups()
                .iter()
                .zip(lengths)
                .all(|(group, len)| group.len() == *len)
    }

    /// Whether groups `1..k` are all joined by `separator`.
    pub(super) fn joined_by(&self, k: usize, separator: Separator) -> bool {
        k <= self.count
            && self.groups()[..k]
                .iter()
                .skip(1)
                .all(|group| group.separator == separator)
    }

    /// The separator that joins the first `k` groups, if it is the same everywhere.
    pub(super) fn uniform_separator(&self, k: usize) -> Option<Separator> {
        let separator = self.group(1).separator;
        (k >= 2 && self.joined_by(k, separator)).then_some(separator)
    }

    /// Digits in the first `k` groups.
    pub(super) fn total(&self, k: usize) -> usize {
        self.groups().iter().take(k).map(|group| group.len()).sum()
    }

    /// The values of the digits in the first `k` groups, at most [`MAX_DIGITS`], and how many there are.
    pub(super) fn digits(&self, k: usize) -> ([u8; MAX_DIGITS], usize) {
        let mut digits = [0; MAX_DIGITS];
        let mut count = 0;
        for group in self.groups().iter().take(k) {
            for &byte in &self.text[group.start..group.end] {
                if count < MAX_DIGITS {
                    digits[count] = byte - b'0';
                    count += 1;
                }
            }
        }
        (digits, count)
    }

    /// The number in group `index`, saturating.
    pub(super) fn value(&self, index: usize) -> u32 {
        let group = self.group(index);
        self.text[group.start..group.end]
            .iter()
            .fold(0u32, |value, byte| {
                value.saturating_mul(10).saturating_add(u32::from(byte - b'0'))
            })
    }

    /// Whether the candidate can end after its first `k` groups: no letter follows, and no dash, dot or slash that
    /// leads to more digits.
    pub(super) fn ends_after(&self, k: usize) -> bool {
        let end = self.group(k - 1).end;
        if is_word(self.text, end) || at(self.text, end) == b'@' {
            return false;
        }
        let joined = matches!(at(self.text, end), b'-' | b'.' | b'/') && is_digit(self.text, end + 1);
        !joined
    }

    /// The words before the candidate; read once.
    pub(super) fn nearby(&mut self) -> Nearby {
        *self
            .nearby
            .get_or_insert_with(|| context::before(self.text, self.start, self.barrier, &mut self.table))
    }

    /// A match of the first `k` groups.
    pub(super) fn found(&self, kind: PiiType, k: usize, confidence: Confidence) -> Found {
        Found {
            kind,
            start: self.start,
            end: self.group(k - 1).end,
            confidence,
        }
    }

    /// The byte before the candidate; 0 at the start of the text or right after a match.
    pub(super) fn byte_before(&self) -> u8 {
        if self.start <= self.barrier.end {
            0
        } else {
            self.text[self.start - 1]
        }
    }

    /// Whether the first digits continue something: `1.2.` before `3.4`, `v` before `1.2`, a UUID before its last part.
    fn glued(&self) -> bool {
        glued(self.text, self.start, self.barrier.end)
    }
}

/// [`Candidate::glued`] of a candidate that starts at `start`, where nothing before `floor` counts.
fn glued(text: &[u8], start: usize, floor: usize) -> bool {
    if start <= floor {
        return false;
    }
    let before = text[start - 1];
    match before {
        b'.' | b'-' | b'/' | b':' | b',' | b'+' => {
            let mut position = start - 1;
            let stop = floor.max(position.saturating_sub(16));
            // A range: `2901d1e..0095198`.
            if before == b'.' && position > stop && text[position - 1] == b'.' {
                position -= 1;
            }
            if matches!(before, b':' | b',' | b'/' | b'+') {
                return position > stop && is_digit(text, position - 1) && before != b',';
            }
            let mut digit = false;
            while position > stop && is_word(text, position - 1) {
                position -= 1;
                digit |= is_digit(text, position);
            }
            digit
        }
        _ => is_word(text, start - 1),
    }
}

/// The start of the group after one that ends at `end`, how it is joined, and whether a bracket opens before it.
fn next_group(text: &[u8], end: usize, bracketed: bool, joints: Joints) -> Option<(usize, Separator, bool)> {
    let mut position = end;
    let mut mark = None;
    let mut spaces = 0;
    let mut bracket = false;
    let mut opens = false;
    if bracketed {
        position += 1;
        bracket = true;
    }
    for _ in 0..4 {
        let (width, seen) = match at(text, position) {
            b' ' => (1, Separator::Space),
            b'-' => (1, Separator::Dash),
            b'.' => (1, Separator::Dot),
            b'/' => (1, Separator::Slash),
            b'(' if !opens => (1, Separator::Bracket),
            // No-break space.
            0xC2 if at(text, position + 1) == 0xA0 => (2, Separator::Space),
            0xE2 if at(text, position + 1) == 0x80 => match at(text, position + 2) {
                // Thin spaces. What has no width is undone before (`disguise`).
                0x89 | 0x8A | 0xAF => (3, Separator::Space),
                // Hyphen, no-break hyphen, figure dash, en dash.
                0x90..=0x93 => (3, Separator::Dash),
                _ => break,
            },
            _ => break,
        };
        match seen {
            Separator::Space => spaces += 1,
            Separator::Bracket => opens = true,
            Separator::Dash | Separator::Dot | Separator::Slash | Separator::Start => {
                if mark.is_some() {
                    return None;
                }
                mark = Some(seen);
            }
        }
        position += width;
        if opens {
            break;
        }
    }
    if joints == Joints::Loose {
        let spaced = mark == Some(Separator::Dash) && spaces == 2 && is_digit(text, position);
        return spaced.then_some((position, Separator::Dash, false));
    }
    if position == end || !is_digit(text, position) || spaces > 1 {
        return None;
    }
    let separator = match mark {
        _ if bracket || opens => Separator::Bracket,
        Some(_) if spaces > 0 => return None,
        Some(mark) => mark,
        None => Separator::Space,
    };
    Some((position, separator, opens))
}

/// Looks at the digits, sign or bracket at `start`. Returns the end of what was found, if it counts.
pub(super) fn scan_at(scanner: &mut Scanner<'_, '_>, start: usize) -> Option<usize> {
    let found = match short_number(scanner.text, start) {
        Some(group) => words_around(scanner, group)?,
        None => {
            let mut candidate = cut(scanner, start, Joints::Tight)?;
            let mut found = detect(&mut candidate);
            end_with(scanner, &candidate);
            // What is written with blanks around the dashes is taken apart by the first look.
            if found.is_none()
                && candidate.count == 1
                && slice(scanner.text, candidate.group(0).end, candidate.group(0).end + 3) == b" - "
            {
                found = loose_number(scanner, start);
            }
            match found {
                Some(found) => found,
                None if candidate.plus || candidate.bracket => return None,
                None => words_around(scanner, candidate.group(0))?,
            }
        }
    };
    scanner.emit(found.kind, found.start, found.end, found.confidence);
    (found.confidence >= Confidence::Medium).then_some(found.end)
}

/// Looks at the number at `start` that has blanks around its dashes.
fn loose_number(scanner: &mut Scanner<'_, '_>, start: usize) -> Option<Found> {
    let mut candidate = cut(scanner, start, Joints::Loose)?;
    let found = detect_loose(&mut candidate);
    end_with(scanner, &candidate);
    found
}

/// Cuts the run that starts at `start`.
#[inline(always)]
fn cut<'t>(scanner: &mut Scanner<'t, '_>, start: usize, joints: Joints) -> Option<Candidate<'t>> {
    let candidate = Candidate::cut(scanner.text, start, scanner.barrier, scanner.table, joints)?;
    scanner.step(candidate.group(candidate.count - 1).end - start);
    Some(candidate)
}

/// Takes back what a candidate learned, and counts what it read.
fn end_with(scanner: &mut Scanner<'_, '_>, candidate: &Candidate<'_>) {
    scanner.table = candidate.table;
    if let Some(nearby) = candidate.nearby {
        scanner.step(nearby.bytes_read);
    }
}

/// A number with blanks around its dashes: only what a checksum or a word vouches for.
fn detect_loose(candidate: &mut Candidate<'_>) -> Option<Found> {
    if candidate.plus || candidate.bracket || candidate.glued() {
        return None;
    }
    cards::find(candidate).or_else(|| national::find_spaced(candidate))
}

/// The digits at `start` where no group follows, and which are too few for anything that digits alone can be. Most
/// numbers in a text are such, and a [`Candidate`] is large. `None` is no answer.
fn short_number(text: &[u8], start: usize) -> Option<Group> {
    let joins = |byte: u8| matches!(byte, b' ' | b'-' | b'.' | b'/' | b'(');
    let end = run_end(text, start, MIN_DIGITS, |b| b.is_ascii_digit());
    let (first, second) = (at(text, end), at(text, end + 1));
    let goes_on =
        first >= 0x80 || joins(first) && (joins(second) || second >= 0x80 || second.is_ascii_digit());
    let short = end > start && end - start < MIN_DIGITS && !goes_on;
    short.then_some(Group {
        start,
        end,
        separator: Separator::Start,
        bracketed: false,
    })
}

/// The strictest detector that accepts the candidate; a finding that counts wins over one that does not.
fn detect(candidate: &mut Candidate<'_>) -> Option<Found> {
    if candidate.group(0).len() >= MAX_GROUP_DIGITS || candidate.glued() {
        return None;
    }
    if candidate.plus || candidate.bracket {
        return phone::find(candidate);
    }
    let mut doubtful = None;
    let detectors: [fn(&mut Candidate<'_>) -> Option<Found>; 4] =
        [ip::find_v4, dates::find_numeric, cards::find, national::find];
    for detector in detectors {
        match detector(candidate) {
            Some(found) if found.confidence >= Confidence::Medium => return Some(found),
            Some(found) => doubtful = doubtful.or(Some(found)),
            None => {}
        }
    }
    if doubtful.is_none() && !dates::is_date(candidate) {
        return phone::find(candidate);
    }
    doubtful
}

/// Findings that need the words around a number: a date with the month's name, a street address.
fn words_around(scanner: &mut Scanner<'_, '_>, number: Group) -> Option<Found> {
    if glued(scanner.text, number.start, scanner.barrier.end) {
        return None;
    }
    dates::find_textual(scanner, number).or_else(|| address::find(scanner, number))
}
