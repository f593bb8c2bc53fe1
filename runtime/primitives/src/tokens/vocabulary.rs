//! Exact token counts of one piece of text: vocabularies as read-only tables, and the encoder over them.
//!
//! Called by [`crate::tokens`] for every piece that [`super::pieces`] cuts. The tables are made at build time (see
//! `build/vocabulary.rs`) and lie in the program's read-only data: nothing is parsed, built or allocated to use them,
//! and only the pages that a count touches become resident.
//!
//! # Method
//!
//! A piece that is a token counts one. Any other piece goes through backtracking byte-pair encoding: take the longest
//! token that may follow the previous one ([`can_be_neighbours`]), fall back to shorter ones, and undo the previous
//! token when none fits, never trying a dead end twice. That finds the one sequence that byte-pair encoding would
//! produce. The method is that of the `bpe` crate (GitHub, `rust-gems`); the tables and the code are ours.
//!
//! # Invariants
//!
//! The tables are trusted: the build script checked that every byte is a token and every token is a byte or a merge.

use super::table_format::{EMPTY, NO_TOKEN, can_be_neighbours, hash_bytes, hash_pair, slot_token};
use super::{Encoding, LONGEST_TOKEN_BYTES};

type Words = &'static [[u8; 4]];

/// The tables of one encoding; the build script's documentation describes each.
pub(super) struct Vocabulary {
    bytes: &'static [u8],
    starts: Words,
    tokens: Words,
    splits: Words,
    pairs: Words,
    prefixes: Words,
    trie_children: Words,
    trie_labels: &'static [u8],
    trie_tokens: Words,
}

macro_rules! vocabulary {
    ($folder:literal) => {
        Vocabulary {
            bytes: include_bytes!(concat!(env!("OUT_DIR"), "/", $folder, "/bytes.bin")),
            starts: words(include_bytes!(concat!(
                env!("OUT_DIR"),
                "/",
                $folder,
                "/starts.bin"
            ))),
            tokens: words(include_bytes!(concat!(
                env!("OUT_DIR"),
                "/",
                $folder,
                "/tokens.bin"
            ))),
            splits: words(include_bytes!(concat!(
                env!("OUT_DIR"),
                "/",
                $folder,
                "/splits.bin"
            ))),
            pairs: words(include_bytes!(concat!(
                env!("OUT_DIR"),
                "/",
                $folder,
                "/pairs.bin"
            ))),
            prefixes: words(include_bytes!(concat!(
                env!("OUT_DIR"),
                "/",
                $folder,
                "/prefixes.bin"
            ))),
            trie_children: words(include_bytes!(concat!(
                env!("OUT_DIR"),
                "/",
                $folder,
                "/trie_children.bin"
            ))),
            trie_labels: include_bytes!(concat!(env!("OUT_DIR"), "/", $folder, "/trie_labels.bin")),
            trie_tokens: words(include_bytes!(concat!(
                env!("OUT_DIR"),
                "/",
                $folder,
                "/trie_tokens.bin"
            ))),
        }
    };
}

static O200K: Vocabulary = vocabulary!("o200k");
static CL100K: Vocabulary = vocabulary!("cl100k");

// The lower bound on counts rests on this.
const _: () = assert!(include!(concat!(env!("OUT_DIR"), "/o200k/limits.rs")) <= LONGEST_TOKEN_BYTES);
const _: () = assert!(include!(concat!(env!("OUT_DIR"), "/cl100k/limits.rs")) <= LONGEST_TOKEN_BYTES);

const fn words(bytes: &'static [u8]) -> Words {
    bytes.as_chunks().0
}

#[inline]
fn word(table: Words, index: usize) -> u32 {
    u32::from_le_bytes(table[index])
}

/// A table index. Ids are below 2^18, so this never truncates.
#[inline]
fn index(id: u32) -> usize {
    id as usize
}

/// Marks a chosen token that was not the first in line, so that longer ones are still to be tried. Above all ids.
const HINTED: u32 = 1 << 31;

/// Working memory of the encoder, reused from piece to piece.
///
/// Grows to the longest piece that is not itself a token (5 bytes of memory per 4 bytes of it, at worst 4⅛ per byte)
/// and then stays: a worker that keeps its scratch does not allocate once it has seen its longest piece.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    /// The tokens chosen so far, in text order, some of them [`HINTED`].
    chosen: Vec<u32>,
    /// One bit per byte position: set when no valid encoding ends a token there.
    dead_ends: Vec<u64>,
}

impl Vocabulary {
    /// The tables of `encoding`.
    pub(super) fn of(encoding: Encoding) -> &'static Self {
        match encoding {
            Encoding::O200k => &O200K,
            Encoding::Cl100k => &CL100K,
        }
    }

    /// Number of tokens that byte-pair encoding makes of `piece`; 0 for an empty piece.
    #[inline]
    pub(super) fn count(&self, piece: &[u8], scratch: &mut Scratch) -> u64 {
        if self.token(piece).is_some() {
            1
        } else {
            self.count_by_backtracking(piece, scratch)
        }
    }

    fn count_by_backtracking(&self, piece: &[u8], scratch: &mut Scratch) -> u64 {
        let Scratch { chosen, dead_ends } = scratch;
        chosen.clear();
        dead_ends.clear();
        dead_ends.resize(piece.len() / 64 + 1, 0);
        let mut start = 0;
        // The longest match at `start`, and the token that is tried there now.
        let mut longest = self.longest_match(piece);
        let mut candidate = longest;
        // The last choice made behind some token at some longest match. In a long run of one character the same
        // situation comes up again and again, and finding the choice takes a thousand steps; so where it comes up
        // next, the choice is tried first. Only the order of trying changes, never the outcome, which is unique.
        let mut remembered = (NO_TOKEN, NO_TOKEN, NO_TOKEN);
        let mut hinted = 0;
        while candidate != NO_TOKEN {
            let last = chosen.last().map(|last| last & !HINTED);
            let end = start + self.token_len(candidate);
            let alive = dead_ends[end / 64] & (1 << (end % 64)) == 0;
            if alive && last.is_none_or(|last| hinted != 0 || self.fits(last, candidate)) {
                if let Some(last) = last {
                    remembered = (last, longest, candidate);
                }
                chosen.push(candidate | hinted);
                start = end;
                longest = self.longest_match(&piece[end..]);
                (candidate, hinted) = match remembered {
                    (last, same, choice) if (last, same) == (candidate, longest) => (choice, HINTED),
                    _ => (longest, 0),
                };
                continue;
            }
            // After a failed hint the others are tried from the longest down, and then the next shorter each.
            candidate = if hinted != 0 {
                longest
            } else {
                word(self.prefixes, index(candidate))
            };
            hinted = 0;
            if candidate == NO_TOKEN {
                dead_ends[start / 64] |= 1 << (start % 64);
                // Without a last token there is nothing left to try, which cannot happen: single bytes always fit
                // somewhere. Were it to happen, the loop ends here.
                let Some(popped) = chosen.pop() else { break };
                candidate = popped & !HINTED;
                start -= self.token_len(candidate);
                longest = self.longest_match(&piece[start..]);
                // Its end is a dead end now, so the loop goes on to what comes after it.
                hinted = popped & HINTED;
            }
        }
        chosen.len() as u64
    }

    /// The token with exactly these bytes.
    #[inline]
    fn token(&self, piece: &[u8]) -> Option<u32> {
        let hash = hash_bytes(piece);
        let mask = self.tokens.len() - 1;
        // Only the low bits count; truncation is harmless.
        let mut at = hash as usize & mask;
        loop {
            let slot = word(self.tokens, at);
            if slot == EMPTY {
                return None;
            }
            if let Some(token) = slot_token(slot, hash)
                && self.token_bytes(token) == piece
            {
                return Some(token);
            }
            at = (at + 1) & mask;
        }
    }

    /// The token that `left` and `right` merge into.
    #[inline]
    fn merge(&self, left: u32, right: u32) -> Option<u32> {
        let hash = hash_pair(left, right);
        let mask = self.pairs.len() - 1;
        // Only the low bits count; truncation is harmless.
        let mut at = hash as usize & mask;
        loop {
            let slot = word(self.pairs, at);
            if slot == EMPTY {
                return None;
            }
            if let Some(token) = slot_token(slot, hash)
                && self.split(token) == (left, right)
            {
                return Some(token);
            }
            at = (at + 1) & mask;
        }
    }

    fn fits(&self, left: u32, right: u32) -> bool {
        can_be_neighbours(
            left,
            right,
            |left, right| self.merge(left, right),
            |token| self.split(token),
        )
    }

    #[inline]
    fn split(&self, token: u32) -> (u32, u32) {
        let at = 2 * index(token);
        (word(self.splits, at), word(self.splits, at + 1))
    }

    #[inline]
    fn token_bytes(&self, token: u32) -> &'static [u8] {
        let at = index(token);
        &self.bytes[index(word(self.starts, at))..index(word(self.starts, at + 1))]
    }

    #[inline]
    fn token_len(&self, token: u32) -> usize {
        let at = index(token);
        index(word(self.starts, at + 1) - word(self.starts, at))
    }

    /// The longest token that `text` starts with; [`NO_TOKEN`] if `text` is empty.
    fn longest_match(&self, text: &[u8]) -> u32 {
        let Some((&first, rest)) = text.split_first() else {
            return NO_TOKEN;
        };
        let mut node = 1 + usize::from(first);
        let mut longest = word(self.trie_tokens, node);
        for byte in rest {
            let first_child = index(word(self.trie_children, node));
            let end = index(word(self.trie_children, node + 1));
            let Ok(child) = self.trie_labels[first_child..end].binary_search(byte) else {
                break;
            };
            node = first_child + child;
            let token = word(self.trie_tokens, node);
            if token != NO_TOKEN {
                longest = token;
            }
        }
        longest
    }

    /// All tokens, for tests of the bounds.
    #[cfg(test)]
    pub(super) fn all_tokens(&self) -> impl Iterator<Item = &'static [u8]> {
        self.starts.windows(2).map(|pair| {
            let [start, end] = [pair[0], pair[1]].map(|word| index(u32::from_le_bytes(word)));
            &self.bytes[start..end]
        })
    }
}
