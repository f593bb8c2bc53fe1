//! Cuts a text into the pieces that byte-pair encoding may not cross: words, numbers, punctuation, white space.
//!
//! First step of an exact count; [`super::vocabulary`] counts each piece. A hand-written scanner instead of the
//! published regular expressions: one pass, no cache to warm up, no allocation, linear on any input. The expressions
//! it reproduces stand beside the code, branch for branch; the tests compare against an implementation that runs them.
//!
//! # Invariants
//!
//! The pieces are non-empty, adjacent, and cover the text. Every piece starts and ends at a character border.

use super::Encoding;

/// Bits of a character class; `build/classes.rs` writes the same ones. Characters without a bit are punctuation,
/// symbols, control characters and unassigned code points.
mod class {
    /// May stand before the lower-case part of a word: `\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}`.
    pub(super) const UPPER: u8 = 1;
    /// May stand in the lower-case part of a word: `\p{Ll}\p{Lm}\p{Lo}\p{M}`.
    pub(super) const LOWER: u8 = 2;
    /// `\p{M}`, which is both of the above but no letter.
    pub(super) const MARK: u8 = 4;
    /// `\p{N}`.
    pub(super) const NUMBER: u8 = 8;
    /// `\s`.
    pub(super) const SPACE: u8 = 16;
    /// `\r` and `\n`, which are also `\s`.
    pub(super) const NEWLINE: u8 = 32;
    /// Behind the last character.
    pub(super) const END: u8 = 64;
}
use class::{END, LOWER, MARK, NEWLINE, NUMBER, SPACE, UPPER};

static BLOCKS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/class_blocks.bin"));
static CLASSES: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/class_bytes.bin"));

/// The end of the piece that starts at byte `start` of `text`, a character border before its end.
///
/// Returns `start` only if `start` is the end of the text.
#[inline]
pub(super) fn piece_end(text: &str, start: usize, encoding: Encoding) -> usize {
    let text = Text(text.as_bytes());
    let first = text.at(start);
    match encoding {
        Encoding::O200k => text.o200k_piece(start, first),
        Encoding::Cl100k => text.cl100k_piece(start, first),
    }
}

/// A character's class and its length in bytes; both are [`END`] and 0 behind the last character.
#[derive(Clone, Copy)]
struct Char {
    class: u8,
    len: usize,
}

impl Char {
    fn is_letter(self) -> bool {
        self.class & (UPPER | LOWER) != 0 && self.class & MARK == 0
    }

    /// `[^\r\n\p{L}\p{N}]`: what may precede the letters of a word.
    fn is_word_prefix(self) -> bool {
        self.class & (NEWLINE | NUMBER | END) == 0 && !self.is_letter()
    }

    /// `[^\s\p{L}\p{N}]`.
    fn is_symbol(self) -> bool {
        self.class & (SPACE | NUMBER | END) == 0 && !self.is_letter()
    }
}

/// The bytes of a `str`.
#[derive(Clone, Copy)]
struct Text<'a>(&'a [u8]);

impl Text<'_> {
    #[inline]
    fn at(self, at: usize) -> Char {
        match self.0.get(at) {
            // Code points below 256 are in block 0, which comes first.
            Some(&byte) if byte < 0x80 => Char {
                class: CLASSES[usize::from(byte)],
                len: 1,
            },
            Some(&byte) => self.wide_at(at, byte),
            None => Char { class: END, len: 0 },
        }
    }

    /// A character of two to four bytes; the text is valid UTF-8, so the bytes are there.
    fn wide_at(self, at: usize, lead: u8) -> Char {
        let more = |offset: usize| usize::from(self.0.get(at + offset).copied().unwrap_or(0) & 0x3f);
        let lead = usize::from(lead);
        let (point, len) = match lead {
            0..0xe0 => ((lead & 0x1f) << 6 | more(1), 2),
            0xe0..0xf0 => ((lead & 0x0f) << 12 | more(1) << 6 | more(2), 3),
            _ => ((lead & 0x07) << 18 | more(1) << 12 | more(2) << 6 | more(3), 4),
        };
        let block = usize::from(BLOCKS[point >> 8]);
        Char {
            class: CLASSES[block << 8 | point & 0xff],
            len,
        }
    }

    /// The first position at or after `at` whose character has none of the bits of `classes`.
    #[inline]
    fn skip(self, mut at: usize, classes: u8) -> usize {
        loop {
            let next = self.at(at);
            if next.class & classes == 0 {
                return at;
            }
            at += next.len;
        }
    }

    /// ```text
    /// 1  [^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?
    /// 2  [^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?
    /// 3  \p{N}{1,3}
    /// 4   ?[^\s\p{L}\p{N}]+[\r\n/]*
    /// 5  \s*[\r\n]+
    /// 6  \s+(?!\S)
    /// 7  \s+
    /// ```
    fn o200k_piece(self, start: usize, first: Char) -> usize {
        if first.is_letter() {
            if let Some(end) = self.o200k_letters(start) {
                return self.contraction(end).unwrap_or(end);
            }
        } else if first.is_word_prefix() {
            if let Some(end) = self.o200k_letters(start + first.len) {
                // A mark before capitals that nothing of lower case follows: branch 1 matches the mark alone, as
                // its lower-case part, before branch 2 gets to see the capitals.
                let after_mark = start + first.len;
                let end = if first.class & MARK != 0 && self.only_capitals(after_mark, end) {
                    after_mark
                } else {
                    end
                };
                return self.contraction(end).unwrap_or(end);
            }
            if first.class & MARK != 0 {
                let end = start + first.len;
                return self.contraction(end).unwrap_or(end);
            }
        }
        if first.class & NUMBER != 0 {
            return self.number(start);
        }
        if let Some(end) = self.symbols(start) {
            let mut end = end;
            while matches!(self.0.get(end), Some(b'\r' | b'\n' | b'/')) {
                end += 1;
            }
            return end;
        }
        let space = self.space(start);
        if space.after_newline > start {
            space.after_newline
        } else {
            self.space_before_text(start, space)
        }
    }

    /// ```text
    /// 1  '(?i:[sdmt]|ll|ve|re)
    /// 2  [^\r\n\p{L}\p{N}]?+\p{L}++
    /// 3  \p{N}{1,3}+
    /// 4   ?[^\s\p{L}\p{N}]++[\r\n]*+
    /// 5  \s++$
    /// 6  \s*[\r\n]
    /// 7  \s+(?!\S)
    /// 8  \s
    /// ```
    fn cl100k_piece(self, start: usize, first: Char) -> usize {
        if let Some(end) = self.contraction(start) {
            return end;
        }
        let letters = if first.is_word_prefix() {
            start + first.len
        } else {
            start
        };
        let mut end = letters;
        loop {
            let next = self.at(end);
            if !next.is_letter() {
                break;
            }
            end += next.len;
        }
        if end > letters {
            return end;
        }
        if first.class & NUMBER != 0 {
            return self.number(start);
        }
        if let Some(mut end) = self.symbols(start) {
            while matches!(self.0.get(end), Some(b'\r' | b'\n')) {
                end += 1;
            }
            return end;
        }
        let space = self.space(start);
        let to_the_end = space.end == self.0.len();
        if space.after_newline > start && !to_the_end {
            space.after_newline
        } else {
            self.space_before_text(start, space)
        }
    }

    /// The letters and marks of a word from `start`, by branches 1 and 2 of o200k without prefix and contraction.
    fn o200k_letters(self, start: usize) -> Option<usize> {
        let mut after_caseless = None;
        let mut at = start;
        loop {
            let next = self.at(at);
            if next.class & UPPER == 0 {
                let lower = next.class & LOWER != 0;
                // Branch 1 takes what is of lower case; failing that it gives capitals back until its last caseless
                // character; failing that, branch 2 takes the capitals alone.
                return match after_caseless {
                    _ if lower => Some(self.skip(at, LOWER)),
                    Some(end) => Some(end),
                    None => (at > start).then_some(at),
                };
            }
            at += next.len;
            if next.class & LOWER != 0 {
                after_caseless = Some(at);
            }
        }
    }

    /// Whether the characters from `start` to `end` are all `[\p{Lu}\p{Lt}]`.
    fn only_capitals(self, start: usize, end: usize) -> bool {
        let mut at = start;
        while at < end {
            let next = self.at(at);
            if next.class & (UPPER | LOWER) != UPPER {
                return false;
            }
            at += next.len;
        }
        true
    }

    /// `'s`, `'t`, `'re`, `'ve`, `'m`, `'ll`, `'d` at `at`, in either case; the long s folds to s.
    fn contraction(self, at: usize) -> Option<usize> {
        let rest = self.0.get(at..)?;
        let [b'\'', first, rest @ ..] = rest else {
            return None;
        };
        match (
            first.to_ascii_lowercase(),
            rest.first().map(u8::to_ascii_lowercase),
        ) {
            (b's' | b't' | b'm' | b'd', _) => Some(at + 2),
            (b'r' | b'v', Some(b'e')) | (b'l', Some(b'l')) | (0xc5, Some(0xbf)) => Some(at + 3),
            _ => None,
        }
    }

    /// Up to three numeric characters from `start`, the first of which is known to be one.
    fn number(self, start: usize) -> usize {
        let mut end = start;
        for _ in 0..3 {
            let next = self.at(end);
            if next.class & NUMBER == 0 {
                break;
            }
            end += next.len;
        }
        end
    }

    /// ` ?[^\s\p{L}\p{N}]+`.
    fn symbols(self, start: usize) -> Option<usize> {
        let from = if self.0.get(start) == Some(&b' ') {
            start + 1
        } else {
            start
        };
        let mut end = from;
        loop {
            let next = self.at(end);
            if !next.is_symbol() {
                return (end > from).then_some(end);
            }
            end += next.len;
        }
    }

    /// Measures the run of white space at `start`.
    fn space(self, start: usize) -> Space {
        let mut space = Space {
            last: start,
            after_newline: start,
            end: start,
        };
        loop {
            let next = self.at(space.end);
            if next.class & SPACE == 0 {
                return space;
            }
            space.last = space.end;
            space.end += next.len;
            if next.class & NEWLINE != 0 {
                space.after_newline = space.end;
            }
        }
    }

    /// White space without its last character, which belongs to the word that follows; all of it at the end of the
    /// text or if it is a single character.
    fn space_before_text(self, start: usize, space: Space) -> usize {
        if space.end == self.0.len() || space.last == start {
            space.end
        } else {
            space.last
        }
    }
}

/// A run of white space, as byte positions.
#[derive(Clone, Copy)]
struct Space {
    /// Start of its last character.
    last: usize,
    /// Behind its last `\r` or `\n`; its start if it has none.
    after_newline: usize,
    end: usize,
}
