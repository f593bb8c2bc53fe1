//! What the build script writes and the counter reads: hashing, slot layout and the rule for neighbouring tokens.
//!
//! Compiled twice, into the build script (which makes the tables out of a vocabulary) and into the crate (which only
//! looks things up), so that the two cannot drift. Pure functions; no table lives here.
//!
//! # Slots
//!
//! Both hash tables (bytes → token, pair of tokens → token) are arrays of `u32` with linear probing, a power of two
//! long and less than half full. A slot holds the token's id in its low [`ID_BITS`] bits and a fingerprint of the
//! key above them, so that a miss rarely needs a second memory access; [`EMPTY`] marks a free slot. The key itself
//! is not stored: a hit is confirmed against the token's bytes or its split.

/// Bits of a slot that hold the token's id; ids stay below `2^ID_BITS - 1`, which the build script checks.
pub(crate) const ID_BITS: u32 = 18;

/// A slot that holds nothing. No token has this id, so no occupied slot has this value.
pub(crate) const EMPTY: u32 = u32::MAX;

/// "No such token" in tables that are indexed by token or by trie node.
pub(crate) const NO_TOKEN: u32 = u32::MAX;

const ID_MASK: u32 = (1 << ID_BITS) - 1;
const MULTIPLIER: u64 = 0x9e37_79b9_7f4a_7c15;

/// Hash of a byte string. Not keyed: the tables are fixed at build time, so nobody can make them collide later.
#[inline]
pub(crate) fn hash_bytes(bytes: &[u8]) -> u64 {
    let mut hash = MULTIPLIER ^ (bytes.len() as u64);
    let (words, rest) = bytes.as_chunks::<8>();
    for word in words {
        hash = mix(hash ^ u64::from_le_bytes(*word));
    }
    let mut last = 0;
    for &byte in rest {
        last = (last << 8) | u64::from(byte);
    }
    mix(hash ^ last)
}

/// Hash of a pair of token ids.
#[inline]
pub(crate) fn hash_pair(left: u32, right: u32) -> u64 {
    mix(MULTIPLIER ^ (u64::from(left) << 32 | u64::from(right)))
}

/// Multiplies to 128 bits and folds the halves: every input bit reaches every output bit's neighbourhood.
#[inline]
fn mix(value: u64) -> u64 {
    let product = u128::from(value) * u128::from(MULTIPLIER);
    // Both halves are taken on purpose; neither cast loses more than the other keeps.
    (product as u64) ^ ((product >> 64) as u64)
}

/// The fingerprint of `hash`: its top bits (the low bits choose the slot), as many as a slot has room for.
#[inline]
pub(crate) fn fingerprint(hash: u64) -> u32 {
    (hash >> (32 + ID_BITS)) as u32
}

/// The token in an occupied slot, if its fingerprint is that of `hash`.
#[inline]
pub(crate) fn slot_token(slot: u32, hash: u64) -> Option<u32> {
    (slot >> ID_BITS == fingerprint(hash)).then_some(slot & ID_MASK)
}

/// Whether byte-pair encoding can leave `left` and `right` standing side by side.
///
/// Undoes the merges of both tokens along their common border, latest first, and asks at every step whether the two
/// tokens at the border would have been merged before the pieces they became part of. Token ids are merge ranks.
///
/// * `merge` — the token that a pair of tokens merges into, if any.
/// * `split` — the two tokens that a token was merged from; a token that is no merge splits into itself twice.
///
/// Takes at most as many steps as the two tokens have bytes.
#[inline]
pub(crate) fn can_be_neighbours(
    mut left: u32,
    mut right: u32,
    merge: impl Fn(u32, u32) -> Option<u32>,
    split: impl Fn(u32) -> (u32, u32),
) -> bool {
    // The rank below which a merge across the border would have happened first.
    let mut limit = u32::MAX;
    loop {
        if merge(left, right).is_some_and(|merged| merged < limit) {
            return false;
        }
        // Undo the later of the two merges. A tie is two equal tokens: the left merge happens first, so the right
        // one is undone, and a merge of the same rank across the border still precedes it (hence the `+ 1`).
        if left > right {
            limit = left;
            left = split(left).1;
            if left == limit {
                limit = right + 1;
                right = split(right).0;
                if right + 1 == limit {
                    return true;
                }
            }
        } else {
            limit = right + 1;
            right = split(right).0;
            if right + 1 == limit {
                limit = left;
                left = split(left).1;
                if left == limit {
                    return true;
                }
            }
        }
    }
}
