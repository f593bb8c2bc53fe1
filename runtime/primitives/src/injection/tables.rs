//! The words and phrases of `data/injection.txt`, as `build/phrases.rs` lays them out.

use super::letters::{MAX_WORD, beginning, place};

/// What a phrase says that ends at a node.
#[derive(Debug, Clone, Copy)]
pub(super) enum Hit {
    /// No phrase ends here.
    None,
    /// A phrase of this category.
    Phrase(u8),
    /// A hint of this category, in this group of hints.
    Hint(u8, u8),
}

/// What a step of phrases comes to.
#[derive(Debug, Clone, Copy)]
pub(super) struct Node {
    /// The phrase that ends here ends its sentence as well.
    pub(super) last: bool,
    pub(super) hit: Hit,
}

/// A word of the table: `LISTS[first..starts]` are its later steps, the deepest first, `LISTS[starts..end]` its first ones.
/// Beside them, in `WAITS`, stands what each waits for: see [`parent`] and [`reach`].
#[derive(Debug, Clone, Copy)]
pub(super) struct Word {
    pub(super) first: u16,
    pub(super) starts: u16,
    pub(super) end: u16,
    /// Bits of [`super::types::Role`].
    pub(super) roles: u8,
}

/// The step before; 0 where there is none.
#[inline]
pub(super) const fn parent(wait: u32) -> usize {
    (wait & 0xffff) as usize
}

/// How many words after the step before this one may be. Of a first step, how far into its sentence, or 0 for anywhere.
#[inline]
pub(super) const fn reach(wait: u32) -> u32 {
    wait >> 16
}

include!(concat!(env!("OUT_DIR"), "/injection.rs"));

/// The spelling of a word.
fn spelling(id: u16) -> &'static [u8] {
    let id = usize::from(id);
    let (start, end) = (ENDS[id] as usize, ENDS[id + 1] as usize);
    &SPELLINGS.as_bytes()[start..end]
}

/// The number of a word with this hash, if it is in the table.
#[inline]
pub(super) fn word(hash: u32, bytes: &[u8]) -> Option<u16> {
    let (mut slot, tag) = place(hash, SLOTS.len());
    loop {
        let entry = SLOTS[slot];
        if entry == 0 {
            return None;
        }
        let id = (entry & 0xffff) as u16;
        if (entry >> 16) as u16 == tag && bytes.len() <= MAX_WORD && spelling(id) == bytes {
            return Some(id);
        }
        slot = (slot + 1) & (SLOTS.len() - 1);
    }
}

/// Whether a word of three letters or more may begin as `rest` does.
#[inline]
pub(super) fn begins(rest: &[u8]) -> bool {
    match rest {
        [a, b, c, ..] => match beginning([*a, *b, *c]) {
            Some(at) => BEGINNINGS[at / 64] & (1 << (at % 64)) != 0,
            None => false,
        },
        _short => false,
    }
}

/// The sign at the start of `rest`, and its length.
pub(super) fn sign(rest: &[u8]) -> Option<(u16, usize)> {
    let first = rest.first()?;
    SIGNS[usize::from(SIGN_STARTS[usize::from(*first)])..]
        .iter()
        .take_while(|(sign, _)| sign.as_bytes().first() == Some(first))
        .find(|(sign, _)| rest.starts_with(sign.as_bytes()))
        .map(|(sign, id)| (*id, sign.len()))
}
