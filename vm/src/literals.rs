//! Finds every occurrence of many literals in one folded text, in one pass or nearly so.
//!
//! Four searchers share the work, by length of the literals, because what is fast for one is not for another:
//!
//! | bytes | searcher |
//! |---|---|
//! | 5 and more | [`Grams`]: looks at four bytes at every second place, in a table of hashes that says what may lie there |
//! | 3 and 4 | packed search (Teddy) of a few literals at a time; it slows down with more |
//! | 3 and 4, many with one mark at one place | [`Marked`]: `memchr` for the mark, then a look around it |
//! | 1 and 2 | one `memmem` each |
//!
//! One automaton for all takes four to six times as long on 4 KB: each of its steps waits for the one before.
//!
//! Time is linear in the text on any input: each place of the text is compared with the literals of at most one entry of
//! the table. What is compared most is up to the literals, so [`Grams`] hashes the four bytes of each that are rarest in
//! prose, and compares eight bytes before it looks at a literal.
//!
//! What a machine does slowly here is to wait for a table that its fastest cache does not hold, and to foresee branches that
//! depend on the text: so the table takes half of the smallest such cache, and places are kept without a branch.

use aho_corasick::packed;
use memchr::memmem;
use policy_bytecode::scan::commonness;
use std::collections::BTreeMap;

/// Zero bytes that must follow a folded text, so that no searcher has a last place of its own.
pub(crate) const PADDING: usize = 64;

/// Literals that one packed search looks for; twice as many take several times as long.
const PACKED: usize = 24;

/// Literals that share a mark before they are looked for by it.
const MARKED: usize = 12;

/// Finds literals; see the module documentation.
#[derive(Debug)]
pub(crate) struct Literals {
    texts: Box<[Box<[u8]>]>,
    grams: Option<Grams>,
    marked: Vec<Marked>,
    packed: Vec<Packed>,
    single: Vec<Single>,
}

/// A packed search of texts of one length, so that no two of them start at one place.
#[derive(Debug)]
struct Packed {
    searcher: packed::Searcher,
    /// By text: the literals that are it. Some differ only in what they ask of the text that is not folded.
    literals: Vec<Vec<u32>>,
}

/// Texts of one length, at most four bytes, that have one punctuation mark at one place: what a few classes around a mark
/// expand to, such as two hexadecimal digits and the colon between them.
#[derive(Debug)]
struct Marked {
    mark: u8,
    offset: usize,
    length: usize,
    /// Ascending; with the literals that are this text.
    texts: Vec<(u32, Vec<u32>)>,
}

impl Marked {
    fn each(&self, text: &[u8], hit: &mut impl FnMut(u32, usize) -> bool) {
        for mark in memchr::memchr_iter(self.mark, text) {
            let found = mark.checked_sub(self.offset).and_then(|start| {
                let around = text.get(start..start + self.length)?;
                let at = self
                    .texts
                    .binary_search_by_key(&number(around), |(text, _)| *text)
                    .ok()?;
                Some((start, &self.texts.get(at)?.1))
            });
            if let Some((start, literals)) = found {
                literals.iter().for_each(|literal| {
                    hit(*literal, start);
                });
            }
        }
    }
}

/// Up to four bytes as a number.
fn number(bytes: &[u8]) -> u32 {
    bytes
        .iter()
        .fold(0, |number, byte| number << 8 | u32::from(*byte))
}

/// The mark that most of these texts have at one place, where enough have one.
fn common_mark(texts: &[ShortText<'_>]) -> Option<(usize, u8)> {
    let mut counts: BTreeMap<(usize, u8), usize> = BTreeMap::new();
    for ((_, text), _) in texts {
        for (offset, byte) in text
            .iter()
            .enumerate()
            .filter(|(_, byte)| byte.is_ascii_punctuation())
        {
            *counts.entry((offset, *byte)).or_default() += 1;
        }
    }
    let most = counts.into_iter().max_by_key(|(_, count)| *count);
    most.filter(|(_, count)| *count >= MARKED).map(|(mark, _)| mark)
}

/// A text below five bytes after its length, and the literals that are it.
type ShortText<'t> = ((usize, &'t [u8]), Vec<u32>);

#[derive(Debug)]
struct Single {
    finder: memmem::Finder<'static>,
    literal: u32,
}

impl Literals {
    /// For these literals, which are folded and not empty.
    pub(crate) fn new(texts: Vec<Box<[u8]>>) -> Self {
        let numbered = || texts.iter().zip(0u32..);
        // Texts that look alike are neighbours, and so share the buckets of a packed search.
        let mut short: BTreeMap<(usize, &[u8]), Vec<u32>> = BTreeMap::new();
        for (text, literal) in numbered().filter(|(text, _)| text.len() < Grams::SHORTEST) {
            short.entry((text.len(), text)).or_default().push(literal);
        }
        let short: Vec<ShortText<'_>> = short.into_iter().collect();
        let (mut marked, mut packed, mut single) = (Vec::new(), Vec::new(), Vec::new());
        for same_length in short.chunk_by(|((a, _), _), ((b, _), _)| a == b) {
            let mut rest = same_length.to_vec();
            while let Some((offset, mark)) = common_mark(&rest) {
                let (with, without) = rest
                    .into_iter()
                    .partition::<Vec<_>, _>(|((_, text), _)| text.get(offset) == Some(&mark));
                rest = without;
                marked.push(Marked {
                    mark,
                    offset,
                    length: with.first().map_or(0, |((length, _), _)| *length),
                    texts: with
                        .into_iter()
                        .map(|((_, text), literals)| (number(text), literals))
                        .collect(),
                });
            }
            for chunk in rest.chunks(PACKED) {
                let literals: Vec<Vec<u32>> = chunk.iter().map(|(_, literals)| literals.clone()).collect();
                let mut builder = packed::Config::new().builder();
                builder.extend(chunk.iter().map(|((_, text), _)| text));
                match builder
                    .build()
                    .filter(|_| chunk.iter().all(|((length, _), _)| *length >= 3))
                {
                    Some(searcher) => packed.push(Packed { searcher, literals }),
                    // Too short, or not on this processor.
                    None => single.extend(literals.into_iter().flatten()),
                }
            }
        }
        let single = single.into_iter().filter_map(|literal| {
            let finder = memmem::Finder::new(texts.get(literal as usize)?).into_owned();
            Some(Single { finder, literal })
        });
        Self {
            single: single.collect(),
            marked,
            packed,
            grams: Grams::new(&texts),
            texts: texts.into(),
        }
    }

    /// Calls `hit` with every literal and the place where it starts in `padded`, which is a folded text and
    /// [`PADDING`]. Places of one literal ascend. Once `hit` says that it wants no more of a literal it may still get
    /// some.
    #[inline]
    pub(crate) fn each(&self, padded: &[u8], mut hit: impl FnMut(u32, usize) -> bool) {
        let text = padded.get(..padded.len().saturating_sub(PADDING)).unwrap_or(&[]);
        if let Some(grams) = &self.grams {
            grams.each(&self.texts, padded, text, &mut hit);
        }
        for marked in &self.marked {
            marked.each(text, &mut hit);
        }
        for Packed { searcher, literals } in &self.packed {
            let mut from = 0;
            while let Some(found) = searcher.find_in(text, (from..text.len()).into()) {
                from = found.start() + 1;
                for literal in literals.get(found.pattern().as_usize()).into_iter().flatten() {
                    hit(*literal, found.start());
                }
            }
        }
        for Single { finder, literal } in &self.single {
            let mut from = 0;
            while let Some(at) = text.get(from..).and_then(|rest| finder.find(rest)) {
                if !hit(*literal, from + at) {
                    break;
                }
                from += at + 1;
            }
        }
    }
}

#[inline]
fn starts_with(text: &[u8], at: usize, literal: &[u8]) -> bool {
    text.get(at..).is_some_and(|rest| rest.starts_with(literal))
}

/// Looks at four bytes at every second place of the text. Of each literal two overlapping pieces of four bytes are in
/// the table, so that one of them is looked at wherever the literal stands.
#[derive(Debug)]
struct Grams {
    /// By hash: 0, or the list of places that may lie here.
    table: Box<[u8; Self::ENTRIES]>,
    /// Where each list starts in `places`; a list ends where the next one starts.
    starts: Box<[u32; 257]>,
    places: Box<[Place]>,
    candidates: Box<[Candidate]>,
}

/// A piece of literals, and what is around it in them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Place {
    around: Around,
    /// Those literals in [`Grams::candidates`].
    first: u32,
    end: u32,
}

/// Up to eight bytes of a literal with a piece among them. Most pieces that are found stand in other words, and this tells
/// so without a look at the literal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Around {
    bytes: u64,
    /// Which of the eight bytes there are.
    mask: u64,
    /// Bytes before the piece.
    back: u32,
}

/// A literal that has a piece.
#[derive(Debug, Clone, Copy)]
struct Candidate {
    literal: u32,
    /// Bytes of the literal before those around the piece.
    before: u32,
}

impl Around {
    /// What is around the piece that stands `offset` bytes from the start of `text`, and how many bytes before that.
    fn new(text: &[u8], offset: u32) -> Option<(Self, u32)> {
        const LENGTH: usize = size_of::<u64>();
        let last = u32::try_from(text.len().saturating_sub(LENGTH)).ok()?;
        // As many bytes behind the piece as before it, where there are as many.
        let before = offset.saturating_sub(2).min(last);
        let known = text.get(before as usize..)?.iter().take(LENGTH);
        let (mut bytes, mut mask) = ([0; LENGTH], [0; LENGTH]);
        for ((byte, mask), known) in bytes.iter_mut().zip(&mut mask).zip(known) {
            (*byte, *mask) = (*known, u8::MAX);
        }
        let around = Self {
            bytes: u64::from_le_bytes(bytes),
            mask: u64::from_le_bytes(mask),
            back: offset - before,
        };
        Some((around, before))
    }

    /// Where these bytes stand in `padded` when the piece is found at `at`.
    #[inline]
    fn find(self, padded: &[u8], at: usize) -> Option<usize> {
        let first = at.checked_sub(self.back as usize)?;
        let found = padded.get(first..)?.first_chunk()?;
        (u64::from_le_bytes(*found) & self.mask == self.bytes).then_some(first)
    }
}

impl Grams {
    /// As much as leaves room for the text in a cache of 32 KiB.
    const ENTRIES: usize = 1 << 14;
    const STRIDE: usize = 2;
    /// Four bytes, and one more for the second piece.
    const SHORTEST: usize = 3 + Self::STRIDE;
    /// Places that are looked up at once.
    const BLOCK: usize = 16;
    /// Halves of blocks that are looked up before the first piece is compared, and two.
    const KEPT: usize = 64;

    fn new(texts: &[Box<[u8]>]) -> Option<Self> {
        let mut table = Box::new([0u8; Self::ENTRIES]);
        let mut lists: Vec<Vec<(Around, Vec<Candidate>)>> = vec![Vec::new()];
        for (text, literal) in texts.iter().zip(0u32..) {
            let windows = text.windows(Self::SHORTEST).zip(0u32..);
            let common = |window: &[u8]| window.iter().map(|b| commonness(*b)).sum::<u32>();
            let Some((window, offset)) = windows.min_by_key(|(window, _)| common(window)) else {
                continue;
            };
            for (piece, offset) in window.windows(4).zip(offset..) {
                let Ok(piece) = <[u8; 4]>::try_from(piece) else {
                    continue;
                };
                let hash = Self::hash(piece);
                let Some(entry) = table.get_mut(hash) else {
                    continue;
                };
                if *entry == 0 {
                    *entry = match u8::try_from(lists.len()) {
                        Ok(fresh) => {
                            lists.push(Vec::new());
                            fresh
                        }
                        // All numbers are taken: from here on lists are shared.
                        Err(_) => u8::try_from(1 + hash % 255).unwrap_or(u8::MAX),
                    };
                }
                let (Some(list), Some((around, before))) =
                    (lists.get_mut(usize::from(*entry)), Around::new(text, offset))
                else {
                    continue;
                };
                let candidate = Candidate { literal, before };
                // Literals that begin alike are told from other words by one comparison.
                match list.iter_mut().find(|(known, _)| *known == around) {
                    Some((_, candidates)) => candidates.push(candidate),
                    None => list.push((around, vec![candidate])),
                }
            }
        }
        if lists.len() == 1 {
            return None;
        }
        let mut starts = Box::new([0u32; 257]);
        let (mut places, mut candidates) = (Vec::new(), Vec::new());
        for (list, start) in (0..).zip(starts.iter_mut()) {
            *start = u32::try_from(places.len()).ok()?;
            for (around, literals) in lists.get(list).into_iter().flatten() {
                let first = u32::try_from(candidates.len()).ok()?;
                candidates.extend(literals);
                places.push(Place {
                    around: *around,
                    first,
                    end: u32::try_from(candidates.len()).ok()?,
                });
            }
        }
        Some(Self {
            table,
            starts,
            places: places.into(),
            candidates: candidates.into(),
        })
    }

    #[inline]
    fn hash(piece: [u8; 4]) -> usize {
        let mixed = u32::from_le_bytes(piece).wrapping_mul(0x9E37_79B1);
        (mixed >> (u32::BITS - Self::ENTRIES.trailing_zeros())) as usize
    }

    #[inline]
    fn each(
        &self,
        texts: &[Box<[u8]>],
        padded: &[u8],
        text: &[u8],
        hit: &mut impl FnMut(u32, usize) -> bool,
    ) {
        const WINDOW: usize = Grams::BLOCK * Grams::STRIDE + 3;
        let mut blocks = (0..text.len()).step_by(Self::BLOCK * Self::STRIDE);
        loop {
            // Halves of blocks with lists that are not empty. Every half is written and few are kept, so that no branch depends
            // on the text: which of them hold something is hard to foresee.
            let (mut kept, mut places) = ([0u64; Self::KEPT], [0usize; Self::KEPT]);
            let mut count = 0;
            let mut more = false;
            for start in blocks.by_ref().take(Self::KEPT / 2 - 1) {
                more = true;
                // There is padding enough.
                let window = padded.get(start..start + WINDOW);
                let Some(window) = window.and_then(|w| <&[u8; WINDOW]>::try_from(w).ok()) else {
                    break;
                };
                let mut found = [0u8; Self::BLOCK];
                for (i, found) in found.iter_mut().enumerate() {
                    let at = i * Self::STRIDE;
                    let piece = [window[at], window[at + 1], window[at + 2], window[at + 3]];
                    *found = self.table[Self::hash(piece) % Self::ENTRIES];
                }
                let (halves, _) = found.as_chunks();
                for (half, start) in halves.iter().zip([start, start + Self::BLOCK / 2 * Self::STRIDE]) {
                    let lists = u64::from_le_bytes(*half);
                    kept[count % Self::KEPT] = lists;
                    places[count % Self::KEPT] = start;
                    count += usize::from(lists != 0);
                }
            }
            if !more {
                return;
            }
            let mut block = 0;
            let mut lists = kept[0];
            while block < count {
                let i = lists.trailing_zeros() / u8::BITS;
                let list = (lists >> (i * u8::BITS)) as u8;
                let at = places[block % Self::KEPT] + i as usize * Self::STRIDE;
                lists &= !(u64::from(u8::MAX) << (i * u8::BITS));
                block += usize::from(lists == 0);
                let next = kept[block % Self::KEPT];
                lists = if lists == 0 { next } else { lists };
                self.look(list, at, texts, padded, text, hit);
            }
        }
    }

    /// Looks for the literals of one list, of which a piece may stand at `at`.
    #[inline(always)]
    fn look(
        &self,
        list: u8,
        at: usize,
        texts: &[Box<[u8]>],
        padded: &[u8],
        text: &[u8],
        hit: &mut impl FnMut(u32, usize) -> bool,
    ) {
        for place in self.places_of(list) {
            let Some(found) = place.around.find(padded, at) else {
                continue;
            };
            let candidates = self.candidates.get(place.first as usize..place.end as usize);
            for candidate in candidates.unwrap_or(&[]) {
                let literal = texts.get(candidate.literal as usize).map_or(&[][..], |t| t);
                let from = found.checked_sub(candidate.before as usize);
                if let Some(from) = from.filter(|from| starts_with(text, *from, literal)) {
                    hit(candidate.literal, from);
                }
            }
        }
    }

    fn places_of(&self, list: u8) -> &[Place] {
        let list = usize::from(list);
        let (from, to) = (self.starts[list], self.starts[list + 1]);
        self.places.get(from as usize..to as usize).unwrap_or(&[])
    }
}

#[cfg(test)]
mod tests {
    use super::{Literals, PADDING};
    use proptest::collection::vec;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_occurrence_is_found_once(
            literals in vec("[ab0-]{1,7}|[a-e]:[a-e]|[a-z]{5,12}|é{1,4}", 1..60),
            pieces in vec("[ab0:-]{0,9}|[a-zé ]{0,40}", 0..20),
            picks in vec(any::<prop::sample::Index>(), 20),
        ) {
            let mut literals = literals;
            literals.sort();
            literals.dedup();
            let mut text = String::new();
            for (piece, pick) in pieces.iter().zip(&picks) {
                text += piece;
                text += pick.get(&literals).as_str();
            }
            let mut padded = text.clone().into_bytes();
            padded.resize(text.len() + PADDING, 0);
            let found = Literals::new(literals.iter().map(|l| l.as_bytes().into()).collect());
            let mut hits = Vec::new();
            found.each(&padded, |literal, at| {
                hits.push((literal, at));
                true
            });
            hits.sort_unstable();
            let mut expected = Vec::new();
            for (literal, l) in literals.iter().zip(0u32..) {
                for at in 0..text.len() {
                    if text.as_bytes()[at..].starts_with(literal.as_bytes()) {
                        expected.push((l, at));
                    }
                }
            }
            expected.sort_unstable();
            prop_assert_eq!(hits, expected);
        }
    }
}
