//! Texts as they look, not as they are spelled: `llm.normalizedText`, so that a phrase is found however it is disguised.
//!
//! # Method
//!
//! In one pass, for each character:
//!
//! 1. compatibility decomposition, as NFKC does: full-width, circled, mathematical and other variants become the plain
//!    letter;
//! 2. what has no looks of its own goes: format characters, variation selectors, joiners, fillers, control characters
//!    that are no white space, and marks that strike through or enclose a letter;
//! 3. what looks like an ASCII letter, digit or punctuation mark becomes it (`normalize/look_alikes.rs`);
//! 4. simple case folding, and looks once more;
//! 5. canonical ordering and composition, as NFKC does;
//! 6. every run of white space, control characters that are white space among it, becomes one space; none stands at the
//!    start or the end.
//!
//! Normalising twice gives what normalising once gives. A text of another alphabet stays a text, but letters of it that
//! look Latin become Latin: this is for finding, not for reading.
//!
//! # Cost
//!
//! Linear in the text. ASCII costs a table look-up a byte. The [`Normalizer`] keeps the marks of one letter, and that
//! memory is reused.

use unicode_normalization::char::{canonical_combining_class, compose, decompose_compatible};

mod look_alikes;

/// The ASCII character that `c` looks like, as the table of disguises has it; `c` where it looks like none.
pub(crate) fn looks_like(c: char) -> char {
    look_alikes::plain(c)
}

/// Marks of one letter up to here are sorted by insertion, more by counting.
const FEW_MARKS: usize = 32;

/// Normalises `text` into `out`, replacing what is there. Keeps nothing; use a [`Normalizer`] where it happens often.
///
/// ```
/// let mut out = String::new();
/// policy_primitives::normalize::normalize(" Ｉgn\u{200b}оre  ALL\n", &mut out);
/// assert_eq!(out, "ignore all");
/// ```
pub fn normalize(text: &str, out: &mut String) {
    Normalizer::default().normalize(text, out);
}

/// Normalises texts, whole or in pieces, with memory that is kept.
#[derive(Debug, Default)]
pub struct Normalizer {
    /// The last character that others may join.
    starter: Option<char>,
    /// Marks behind it, with their combining classes.
    marks: Vec<(u8, char)>,
    sorted: Vec<(u8, char)>,
    /// White space was seen behind the last character that was written.
    space: bool,
    /// Something was written since the text began.
    written: bool,
}

impl Normalizer {
    /// Normalises `text` into `out`, replacing what is there.
    pub fn normalize(&mut self, text: &str, out: &mut String) {
        let whole = self.normalize_within(text, out, usize::MAX);
        debug_assert!(whole);
    }

    /// As [`Normalizer::normalize`], unless that gives more than about `most` bytes: some characters stand for many, so
    /// that a text can become eleven times as long. Says whether `out` is all of it.
    pub fn normalize_within(&mut self, text: &str, out: &mut String, most: usize) -> bool {
        /// Bytes that are normalised between two looks at how much there is.
        const PIECE: usize = 64 << 10;
        out.clear();
        self.begin();
        let mut rest = text;
        while !rest.is_empty() {
            let (piece, more) = rest.split_at(rest.floor_char_boundary(PIECE.min(rest.len())));
            self.push(piece, out);
            if out.len() > most {
                return false;
            }
            rest = more;
        }
        self.finish(out);
        out.len() <= most
    }

    /// Begins a text that comes in pieces. What was not finished is forgotten.
    pub fn begin(&mut self) {
        self.starter = None;
        self.marks.clear();
        self.space = false;
        self.written = false;
    }

    /// Appends the next piece to `out`. The last character is held back until it is known that nothing joins it.
    ///
    /// Pieces are read as one text: put a `"\n"` between them where they are not.
    pub fn push(&mut self, text: &str, out: &mut String) {
        let mut rest = text;
        loop {
            let ascii = rest.bytes().position(|b| !b.is_ascii()).unwrap_or(rest.len());
            let (run, others) = rest.split_at(ascii);
            self.ascii(run, out);
            let end = others.bytes().position(|b| b.is_ascii()).unwrap_or(others.len());
            let (run, more) = others.split_at(end);
            for c in run.chars() {
                self.decomposed(c, out);
            }
            if more.is_empty() {
                return;
            }
            rest = more;
        }
    }

    /// Appends what was held back. The text is complete.
    pub fn finish(&mut self, out: &mut String) {
        self.flush(out);
    }

    fn ascii(&mut self, run: &str, out: &mut String) {
        // Only the last one that stays can be joined by what follows.
        let mut held = None;
        for &byte in run.as_bytes() {
            let plain = ASCII[usize::from(byte & 0x7f)];
            if plain == 0 {
                continue;
            }
            match held.replace(plain) {
                None => self.flush(out),
                Some(b' ') => self.space = true,
                Some(before) => self.write(char::from(before), out),
            }
        }
        if held.is_some() {
            self.starter = held.map(char::from);
        }
    }

    fn decomposed(&mut self, c: char, out: &mut String) {
        if is_invisible(c) {
            return;
        }
        // A letter of one of the large scripts neither decomposes nor looks like anything else.
        if matches!(c, '\u{4e00}'..='\u{9fff}' | '\u{3041}'..='\u{304a}') {
            self.one(c, 0, out);
            return;
        }
        decompose_compatible(c, |part| {
            if !is_invisible(part) {
                // What is folded may look like something else than its capital did.
                let part = look_alikes::plain(fold(look_alikes::plain(part)));
                let class = canonical_combining_class(part);
                self.one(part, class, out);
            }
        });
    }

    /// One character that is decomposed and folded.
    fn one(&mut self, c: char, class: u8, out: &mut String) {
        if class != 0 {
            let base = self.starter.unwrap_or(' ');
            // A stroke through a letter disguises it; through a sign it makes another one. The dot that Turkish puts on
            // a capital i is on every small one.
            let disguise = (c == '\u{338}' && base.is_alphanumeric()) || (c == '\u{307}' && base == 'i');
            if !disguise {
                self.marks.push((class, c));
            }
            return;
        }
        if !self.marks.is_empty() {
            self.join_marks();
        }
        if let Some(starter) = self.starter
            && self.marks.is_empty()
            && let Some(joined) = compose(starter, c)
        {
            self.starter = Some(joined);
            return;
        }
        self.flush_joined(out);
        self.starter = Some(c);
    }

    /// Puts the marks in order and joins those to the starter that join.
    fn join_marks(&mut self) {
        if self.marks.len() <= FEW_MARKS {
            for end in 1..self.marks.len() {
                let mut at = end;
                while at > 0 && self.marks[at - 1].0 > self.marks[at].0 {
                    self.marks.swap(at - 1, at);
                    at -= 1;
                }
            }
        } else {
            self.sort_many();
        }
        let Some(mut starter) = self.starter else {
            return;
        };
        let mut last_kept = 0;
        self.marks.retain(|&(class, mark)| {
            if last_kept < class
                && let Some(joined) = compose(starter, mark)
            {
                starter = joined;
                return false;
            }
            last_kept = class;
            true
        });
        self.starter = Some(starter);
    }

    /// Sorts by class and keeps the order within each; linear, whatever was sent.
    fn sort_many(&mut self) {
        let mut ends = [0usize; 256];
        for (class, _) in &self.marks {
            ends[usize::from(*class)] += 1;
        }
        let mut sum = 0;
        for end in &mut ends {
            sum += *end;
            *end = sum;
        }
        self.sorted.clear();
        self.sorted.resize(self.marks.len(), (0, '\0'));
        for mark in self.marks.iter().rev() {
            let end = &mut ends[usize::from(mark.0)];
            *end -= 1;
            self.sorted[*end] = *mark;
        }
        std::mem::swap(&mut self.marks, &mut self.sorted);
    }

    fn flush(&mut self, out: &mut String) {
        if !self.marks.is_empty() {
            self.join_marks();
        }
        self.flush_joined(out);
    }

    fn flush_joined(&mut self, out: &mut String) {
        if let Some(starter) = self.starter.take() {
            if starter.is_whitespace() {
                self.space = true;
            } else {
                self.write(starter, out);
            }
        }
        for at in 0..self.marks.len() {
            let (_, mark) = self.marks[at];
            self.write(mark, out);
        }
        self.marks.clear();
    }

    fn write(&mut self, c: char, out: &mut String) {
        if self.space && self.written {
            out.push(' ');
        }
        self.space = false;
        self.written = true;
        out.push(c);
    }
}

/// What an ASCII character becomes; 0 where it goes.
const ASCII: [u8; 128] = {
    let mut table = [0u8; 128];
    let mut byte = 0u8;
    while byte < 128 {
        table[byte as usize] = match byte {
            // The information separators are white space for many programs.
            b'\t'..=b'\r' | 0x1c..=0x1f | b' ' => b' ',
            0..=0x1b | 0x7f => 0,
            _ => byte.to_ascii_lowercase(),
        };
        byte += 1;
    }
    table
};

/// Whether a character has no looks of its own: format characters, variation selectors, fillers and all others that
/// Unicode calls ignorable, control characters outside ASCII, and marks that strike through or enclose.
pub(crate) fn is_invisible(c: char) -> bool {
    matches!(
        c,
        '\u{80}'..='\u{84}' | '\u{86}'..='\u{9f}' | '\u{ad}' | '\u{334}'..='\u{337}' | '\u{34f}'
        | '\u{600}'..='\u{605}' | '\u{61c}' | '\u{6dd}' | '\u{70f}' | '\u{890}'..='\u{891}' | '\u{8e2}'
        | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}' | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}'
        | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{20d2}'..='\u{20d3}' | '\u{20d8}'..='\u{20da}'
        | '\u{20dd}'..='\u{20e0}' | '\u{20e2}'..='\u{20e6}' | '\u{20ea}'..='\u{20eb}' | '\u{3164}'
        | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{110bd}' | '\u{110cd}'
        | '\u{13430}'..='\u{1343f}' | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}'
        | '\u{e0000}'..='\u{e0fff}'
    )
}

/// Simple case folding.
fn fold(c: char) -> char {
    match c {
        'A'..='Z' => c.to_ascii_lowercase(),
        '\0'..='\u{7f}' => c,
        // Where folding is not the lower case: final sigma, the iota subscript, old Cyrillic forms, and Cherokee, which
        // folds to its capitals.
        'ς' => 'σ',
        '\u{345}' | '\u{1fbe}' => 'ι',
        '\u{1c80}' => 'в',
        '\u{1c81}' => 'д',
        '\u{1c82}' => 'о',
        '\u{1c83}' => 'с',
        '\u{1c84}' | '\u{1c85}' => 'т',
        '\u{1c86}' => 'ъ',
        '\u{1c87}' => 'ѣ',
        '\u{1c88}' => '\u{a64b}',
        '\u{13a0}'..='\u{13f5}' => c,
        '\u{13f8}'..='\u{13fd}' => char::from_u32(u32::from(c) - 8).unwrap_or(c),
        '\u{ab70}'..='\u{abbf}' => char::from_u32(u32::from(c) - 0xab70 + 0x13a0).unwrap_or(c),
        _ => {
            let mut lower = c.to_lowercase();
            match (lower.next(), lower.next()) {
                (Some(one), None) => one,
                _several => c,
            }
        }
    }
}

#[cfg(test)]
mod tests;
