//! Literals that every match of a pattern holds, proved from its syntax tree.
//!
//! ```text
//! \bAKIA[0-9A-Z]{16}\b                "akia", exactly "AKIA", where a match starts
//! (?i)ignore (all )?previous          "ignore ", where a match starts
//! (?i)\b(password|pwd)\s*[=:]         "password" or "pwd", where a match starts
//! \b\d{3}-\d{2}-\d{4}\b               "000-00-0000"        (digits fold to 0)
//! \w+@\w+                             "@", anywhere in a match
//! [a-z]{20,}                          none
//! ```
//!
//! Texts are compared folded ([`policy_bytecode::fold`]): a character class whose members fold to one character, such as
//! what `(?i)` makes of a letter (`[kK\u{212A}]`) or `\d`, is that character. From the leaves up, each node of the tree
//! has a [`Summary`]: what its matches start and end with, all of what they are where these are few, and the best set of
//! literals of which every match holds one. A concatenation joins neighbours (crossing what one ends with and the next
//! starts with), an alternation unites its branches, a repetition that may be left out proves nothing.
//!
//! Where a literal stands in a match is known too, as a range of bytes before it, in texts without special characters;
//! the VM does not use it in others.

use policy_bytecode::fold::{fold, is_shared, is_special};
use policy_bytecode::scan::{Literal, commonness};
use regex_syntax::hir::{Class, Hir, HirKind, Repetition};
use std::collections::{BTreeMap, BTreeSet};

/// Literals of one pattern. More of them are found more often than the pattern is run.
const MAX_SET: usize = 64;
/// Characters that a class may fold to before it stands for nothing.
const MAX_CLASS: usize = 12;
/// Members of a class that are looked at.
const MAX_MEMBERS: u32 = 1024;
/// Bytes after which a literal is cut: more say nothing new.
const MAX_BYTES: usize = 32;

/// Literals of which every match holds at least one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Required {
    /// Which; not empty, and none of them is.
    pub(crate) literals: Vec<Literal>,
    /// Bytes of a match before them, at least and at most; `None` when there is no bound.
    pub(crate) before: (u32, Option<u32>),
}

/// What every match of `hir` holds; `None` when nothing is proved that is rare enough to look for.
pub(crate) fn required(hir: &Hir) -> Option<Required> {
    let best = summary(hir)
        .best
        .filter(|best| best.pieces.iter().all(Piece::is_rare))?;
    Some(Required {
        literals: best.pieces.iter().map(Piece::literal).collect(),
        before: (best.before.min, best.before.max),
    })
}

/// The literal that is `text` and nothing else.
pub(crate) fn literal_of(text: &str) -> Literal {
    Piece::of(text).literal()
}

/// A text, folded, and beside it the text itself with NUL where anything that folds alike will do.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default)]
struct Piece {
    folded: String,
    exact: String,
}

impl Piece {
    fn of(text: &str) -> Self {
        let mut piece = Self::default();
        for c in text.chars() {
            piece.push(fold(c), Some(c).filter(|c| !is_special(*c)));
        }
        piece
    }

    fn push(&mut self, folded: char, exact: Option<char>) {
        self.folded.push(folded);
        match exact {
            Some(c) => self.exact.push(c),
            // As many bytes as the folded character, so that places agree.
            None => self.exact.extend(std::iter::repeat_n('\0', folded.len_utf8())),
        }
    }

    fn join(&self, next: &Self) -> Self {
        Self {
            folded: format!("{}{}", self.folded, next.folded),
            exact: format!("{}{}", self.exact, next.exact),
        }
    }

    fn len(&self) -> u32 {
        u32::try_from(self.folded.len()).unwrap_or(u32::MAX)
    }

    fn literal(&self) -> Literal {
        let pinned = self.exact.chars().any(|c| c != '\0' && is_shared(fold(c)));
        Literal {
            folded: self.folded.clone(),
            exact: if pinned { self.exact.clone() } else { String::new() },
        }
    }

    /// How rare it is in prose, in bits.
    fn bits(&self) -> f64 {
        let mut previous = 0;
        let mut bits = 0.0;
        for (folded, exact) in self.folded.bytes().zip(self.exact.bytes()) {
            // One digit is rare, the next one is not.
            bits += match (folded, previous) {
                (b'0', b'0') => 1.0,
                // Letters come in words.
                (b'a'..=b'z' | b' ', _) => 0.75 * (9.0 - f64::from(commonness(folded)) / 32.0),
                (b, _) => 9.0 - f64::from(commonness(b)) / 32.0,
            };
            // A capital, and one digit among ten.
            if exact.is_ascii_uppercase() || exact.is_ascii_digit() {
                bits += 2.0;
            }
            previous = folded;
        }
        bits
    }

    /// What looking for one more literal costs, as the bits of one that is found so often that it is as bad. The VM
    /// takes longer for short ones.
    fn own_bits(&self) -> f64 {
        if self.folded.len() < 5 { 13.0 } else { 15.0 }
    }

    /// Whether looking for it is better than running the pattern.
    fn is_rare(&self) -> bool {
        match self.folded.as_bytes() {
            [] => false,
            [byte] => byte.is_ascii_punctuation() && commonness(*byte) == commonness(b'@'),
            _more => self.bits() >= 10.0,
        }
    }
}

/// A range of lengths in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Span {
    min: u32,
    max: Option<u32>,
}

impl Span {
    const NONE: Self = Self { min: 0, max: Some(0) };
    const ANY: Self = Self { min: 0, max: None };

    fn plus(self, other: Self) -> Self {
        let max = self.max.zip(other.max).and_then(|(a, b)| a.checked_add(b));
        Self {
            min: self.min.saturating_add(other.min),
            max,
        }
    }

    fn or(self, other: Self) -> Self {
        Self {
            min: self.min.min(other.min),
            max: self.max.zip(other.max).map(|(a, b)| a.max(b)),
        }
    }

    fn times(self, min: u32, max: Option<u32>) -> Self {
        let most = match self.max {
            Some(0) => Some(0),
            most => most.zip(max).and_then(|(a, b)| a.checked_mul(b)),
        };
        Self {
            min: self.min.saturating_mul(min),
            max: most,
        }
    }
}

/// Pieces of which every match holds one, that many bytes after its start.
#[derive(Debug, Clone)]
struct Factor {
    pieces: BTreeSet<Piece>,
    before: Span,
}

impl Factor {
    /// How often one of the pieces is expected, lower is better.
    fn cost(&self) -> f64 {
        let often = |p: &Piece| (-p.bits()).exp2() + (-p.own_bits()).exp2();
        let often: f64 = self.pieces.iter().map(often).sum();
        // Where matches start is worth knowing: then a hit costs a look, not a pass.
        let near = self
            .before
            .max
            .is_some_and(|max| max - self.before.min.min(max) < 4);
        let common = self.pieces.iter().any(|p| !p.is_rare());
        often * if near { 1.0 } else { 16.0 } + if common { 1.0 } else { 0.0 }
    }
}

/// What is known of the matches of a node.
#[derive(Debug, Clone)]
struct Summary {
    /// Every match is one of `starts`, as a whole.
    whole: bool,
    /// Every match starts with one of these; the empty piece says nothing.
    starts: BTreeSet<Piece>,
    /// Every match ends with one of these.
    ends: BTreeSet<Piece>,
    best: Option<Factor>,
    length: Span,
}

impl Summary {
    fn whole(pieces: BTreeSet<Piece>, length: Span) -> Self {
        Self {
            whole: true,
            best: factor(&pieces, Span::NONE),
            ends: pieces.clone(),
            starts: pieces,
            length,
        }
    }

    fn unknown(length: Span) -> Self {
        Self {
            whole: false,
            starts: nothing(),
            ends: nothing(),
            best: None,
            length,
        }
    }
}

/// The set of the empty piece.
fn nothing() -> BTreeSet<Piece> {
    BTreeSet::from([Piece::default()])
}

/// The factor of these pieces; `None` when one of them is empty.
fn factor(pieces: &BTreeSet<Piece>, before: Span) -> Option<Factor> {
    let useful = !pieces.is_empty() && pieces.iter().all(|p| !p.folded.is_empty());
    useful.then(|| Factor {
        pieces: shortest(pieces),
        before,
    })
}

/// Without pieces that start with another one: where they are, that one is.
fn shortest(pieces: &BTreeSet<Piece>) -> BTreeSet<Piece> {
    let starts = |long: &Piece, short: &Piece| {
        let alike = |(a, b): (u8, u8)| b == 0 || a == b;
        long != short
            && long.folded.starts_with(&short.folded)
            && long.exact.bytes().zip(short.exact.bytes()).all(alike)
    };
    let implied = |long: &&Piece| pieces.iter().any(|short| starts(long, short));
    pieces.iter().filter(|piece| !implied(piece)).cloned().collect()
}

fn better(a: Option<Factor>, b: Option<Factor>) -> Option<Factor> {
    match (a, b) {
        (Some(a), Some(b)) => Some(if b.cost() < a.cost() { b } else { a }),
        (a, b) => a.or(b),
    }
}

/// Every piece of `a` before every piece of `b`; `None` when that is too much.
fn cross(a: &BTreeSet<Piece>, b: &BTreeSet<Piece>) -> Option<BTreeSet<Piece>> {
    let longest = |set: &BTreeSet<Piece>| set.iter().map(|p| p.folded.len()).max().unwrap_or(0);
    if a.len() * b.len() > MAX_SET || longest(a) + longest(b) > MAX_BYTES {
        return None;
    }
    Some(a.iter().flat_map(|x| b.iter().map(|y| x.join(y))).collect())
}

/// Not recursive without bound: the parser refuses patterns that nest deeply.
fn summary(hir: &Hir) -> Summary {
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => Summary::whole(nothing(), Span::NONE),
        HirKind::Literal(literal) => match std::str::from_utf8(&literal.0) {
            Ok(text) => text_summary(text),
            Err(_) => Summary::unknown(Span::ANY),
        },
        HirKind::Class(class) => class_summary(class),
        HirKind::Capture(capture) => summary(&capture.sub),
        HirKind::Repetition(repetition) => repetition_summary(repetition),
        HirKind::Concat(parts) => concat(&parts.iter().map(summary).collect::<Vec<_>>()),
        HirKind::Alternation(branches) => alternation(branches.iter().map(summary)),
    }
}

/// A text may be longer than a piece: then it is several.
fn text_summary(text: &str) -> Summary {
    let parts: Vec<Summary> = text
        .chars()
        .map(|c| {
            Summary::whole(
                BTreeSet::from([Piece::of(c.encode_utf8(&mut [0; 4]))]),
                char_length(c),
            )
        })
        .collect();
    concat(&parts)
}

fn char_length(c: char) -> Span {
    // A special character folds to a shorter one, but where one occurs places are not used.
    let length = if is_special(c) { 1 } else { c.len_utf8() };
    let length = u32::try_from(length).unwrap_or(4);
    Span {
        min: length,
        max: Some(length),
    }
}

fn class_summary(class: &Class) -> Summary {
    let ranges: Vec<(char, char)> = match class {
        Class::Unicode(class) => class.ranges().iter().map(|r| (r.start(), r.end())).collect(),
        Class::Bytes(class) if class.is_ascii() => {
            let ranges = class.ranges().iter();
            ranges
                .map(|r| (char::from(r.start()), char::from(r.end())))
                .collect()
        }
        Class::Bytes(_) => return Summary::unknown(Span { min: 1, max: Some(1) }),
    };
    let members = ranges.iter().map(|(a, b)| u32::from(*b) - u32::from(*a) + 1);
    if members.fold(0, u32::saturating_add) > MAX_MEMBERS {
        return Summary::unknown(Span { min: 1, max: Some(4) });
    }
    // What each folded character comes from; `None` for several.
    let mut folds: BTreeMap<char, Option<char>> = BTreeMap::new();
    let mut length: Option<Span> = None;
    for c in ranges.iter().flat_map(|(a, b)| *a..=*b) {
        let own = char_length(c);
        length = Some(length.map_or(own, |length| length.or(own)));
        let source = Some(c).filter(|c| !is_special(*c));
        folds
            .entry(fold(c))
            .and_modify(|known| *known = None)
            .or_insert(source);
    }
    // A class without members never matches; nothing has to be said of it.
    let length = length.unwrap_or(Span::ANY);
    // One of several kinds of white space is everywhere, and five literals in place of one.
    let is_space = folds.len() > 1 && folds.keys().all(|c| c.is_whitespace());
    if folds.is_empty() || folds.len() > MAX_CLASS || is_space {
        return Summary::unknown(length);
    }
    let piece = |(folded, exact): (&char, &Option<char>)| {
        let mut piece = Piece::default();
        piece.push(*folded, *exact);
        piece
    };
    Summary::whole(folds.iter().map(piece).collect(), length)
}

fn repetition_summary(repetition: &Repetition) -> Summary {
    /// Copies that are written out.
    const COPIES: u32 = 32;
    let one = summary(&repetition.sub);
    let length = one.length.times(repetition.min, repetition.max);
    if repetition.min == 0 {
        if repetition.max == Some(1) && one.whole && one.starts.len() < MAX_SET {
            let mut pieces = one.starts;
            pieces.insert(Piece::default());
            return Summary::whole(pieces, length);
        }
        return Summary::unknown(length);
    }
    let copies = usize::try_from(repetition.min.min(COPIES)).unwrap_or(1);
    let mut all = concat(&vec![one; copies]);
    if repetition.max != Some(repetition.min) || repetition.min > COPIES {
        // The copies are the first ones, and the last ones as well.
        all.whole = false;
    }
    all.length = length;
    all
}

fn alternation(branches: impl Iterator<Item = Summary>) -> Summary {
    let unite = |a: Summary, b: Summary| {
        let united = |a: BTreeSet<Piece>, b: BTreeSet<Piece>| {
            let both: BTreeSet<Piece> = a.into_iter().chain(b).collect();
            Some(both).filter(|both| both.len() <= MAX_SET)
        };
        let (starts, ends) = (united(a.starts, b.starts), united(a.ends, b.ends));
        let best = a.best.zip(b.best).and_then(|(a, b)| {
            Some(Factor {
                before: a.before.or(b.before),
                pieces: united(a.pieces, b.pieces)?,
            })
        });
        Summary {
            whole: a.whole && b.whole && starts.is_some(),
            starts: starts.unwrap_or_else(nothing),
            ends: ends.unwrap_or_else(nothing),
            best,
            length: a.length.or(b.length),
        }
    };
    let united = branches
        .reduce(unite)
        .unwrap_or_else(|| Summary::unknown(Span::ANY));
    let whole = factor(&united.starts, Span::NONE);
    Summary {
        best: better(united.best, whole),
        ..united
    }
}

/// Joins neighbours: what the text so far ends with, and what the next part starts with.
fn concat(parts: &[Summary]) -> Summary {
    let mut length = Span::NONE;
    let mut best = None;
    let mut starts: Option<BTreeSet<Piece>> = None;
    // What all of the text so far, or the end of it, is; and how much stands before that.
    let mut run = nothing();
    let mut before = Span::NONE;
    let mut whole = true;
    for part in parts {
        let shifted = part.best.clone().map(|best| Factor {
            before: length.plus(best.before),
            pieces: best.pieces,
        });
        best = better(best, shifted);
        if part.starts.len() > 1 {
            // Joining makes more of them; these may do.
            best = better(best, factor(&run, before));
        }
        let joined = cross(&run, &part.starts);
        let after = length.plus(part.length);
        match joined {
            Some(joined) if part.whole => run = joined,
            joined => {
                let seen = joined.unwrap_or_else(|| run.clone());
                best = better(best, factor(&seen, before));
                starts.get_or_insert(seen);
                before = start_of(&part.ends, length, part);
                run = part.ends.clone();
                whole = false;
            }
        }
        length = after;
    }
    best = better(best, factor(&run, before));
    Summary {
        whole,
        starts: starts.unwrap_or_else(|| run.clone()),
        ends: run,
        best,
        length,
    }
}

/// How much stands before the end `ends` of `part`, which itself stands after `length`.
fn start_of(ends: &BTreeSet<Piece>, length: Span, part: &Summary) -> Span {
    let lengths = || ends.iter().map(Piece::len);
    let (shortest, longest) = (lengths().min().unwrap_or(0), lengths().max().unwrap_or(0));
    length.plus(Span {
        min: part.length.min.saturating_sub(longest),
        max: part.length.max.map(|max| max.saturating_sub(shortest)),
    })
}

#[cfg(test)]
mod tests {
    use super::{required, summary};

    fn found(pattern: &str) -> String {
        let hir = regex_syntax::parse(pattern).unwrap();
        let Some(required) = required(&hir) else {
            return "none".to_owned();
        };
        let literal = |l: &policy_bytecode::scan::Literal| match l.exact.as_str() {
            "" => l.folded.clone(),
            exact => format!("{}={}", l.folded, exact.replace('\0', "~")),
        };
        let literals: Vec<String> = required.literals.iter().map(literal).collect();
        let after = match required.before {
            (0, Some(0)) => String::new(),
            (min, Some(max)) => format!(" after {min}..{max}"),
            (min, None) => format!(" after {min}.."),
        };
        literals.join(" ") + &after
    }

    #[test]
    fn literals_are_the_rarest_that_are_proved() {
        for (pattern, expected) in [
            (r"\bAKIA[0-9A-Z]{16}\b", "akia=AKIA"),
            (r"(?i)\bkiss\b", "kiss"),
            (r"(?i)ignore (all )?previous", "ignore "),
            (r"(?i)\b(password|pwd)\s*[=:]", "password pwd"),
            (r"\b\d{3}-\d{2}-\d{4}\b", "000-00-0000"),
            (
                r"\b4\d{3}[ -]?\d{4}\b",
                "0000 0000=4~~~ ~~~~ 0000-0000=4~~~-~~~~ 00000000=4~~~~~~~",
            ),
            (
                r"[A-Z]{2}\d{6}[A-D]",
                "000000a=~~~~~~A 000000b=~~~~~~B 000000c=~~~~~~C 000000d=~~~~~~D after 2..2",
            ),
            (r"\w+@\w+", "@ after 1.."),
            (r"[a-z]{20,}", "none"),
            (r"", "none"),
            (r"^$", "none"),
            (r"(secret)?", "none"),
            (r"(secret)*x", "none"),
            (r"secret|", "none"),
            (r"secret|[a-z]{9}", "none"),
            (r"(?:secret|token)+", "secret=secret token=token"),
            (r".{3,5}secret", "secret=secret after 3..20"),
            (r".*secret", "secret=secret after 0.."),
            (r"(?:[a-z]+:){3}//", ":// after 5.."),
            (r"é(?i)é", "é"),
            (r"(?:25[0-5]|\d)\.\d", "0.0 000.0=25~.~"),
            (r"\u{212a}elvin", "kelvin=~elvin"),
        ] {
            assert_eq!(found(pattern), expected, "{pattern}");
        }
    }

    #[test]
    fn digits_of_the_pattern_syntax_fold_to_one() {
        let digits = summary(&regex_syntax::parse(r"\d").unwrap());
        assert!(digits.whole && digits.starts.len() == 1);
    }
}
