//! What a segment of the spool looks like: frames, one behind the other, one for each decision.
//!
//! ```text
//! frame:  mark (4) │ length of the record (4, little endian) │ sum (8) │ record, see record/binary.rs; JSON before that
//! ```
//!
//! # Invariants
//!
//! - A frame with the right sum is given back as it was written; what has another sum is never given back. The sum covers
//!   the number of the segment and the place in it, so no frame passes for one of another place.
//! - After damage, reading goes on at the next mark with a right sum behind it: one flipped bit costs one decision. Bytes of a
//!   record that look like a mark have another sum.
//! - [`decode`] takes any bytes, never panics, and needs no more memory than the records that it gives back.
//!
//! # Not done here
//!
//! Protection against those who may write to the folder: the sum finds accidents, and needs no key. Versions: the name of
//! the file has it.

use crate::decisions::record::{push_binary, read_binary};
use crate::storage::model::DecisionRecord;
use sha2::{Digest as _, Sha256};
use std::io;
use twox_hash::XxHash3_64;

/// Where a frame begins.
const MARK: [u8; 4] = [0xff, b'd', b'l', 0xfe];

/// Bytes in front of a record.
const HEAD: usize = 16;

/// Bytes of a sum. Chance lets one in 2^64 pass.
const SUM: usize = 8;

/// What was found in a segment.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Decoded {
    /// The decisions, in the order in which they were written.
    pub(crate) records: Vec<DecisionRecord>,
    /// Stretches that cannot be read, with something readable behind them. How many decisions were in one, nobody knows.
    pub(crate) damaged: u64,
    /// Bytes at the end that are no whole frame: writing them was cut short.
    pub(crate) torn: usize,
}

/// What the sums of a segment are made with. It goes by the version of the segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sums {
    /// XXH3, seeded with the place.
    Xxh3,
    /// The first bytes of SHA-256: versions 1 and 2.
    Sha256,
}

impl Sums {
    fn of(self, segment: u64, at: u64, record: &[u8]) -> [u8; SUM] {
        match self {
            // Other places are other seeds: an odd factor gives each segment its own, and segments are short.
            Self::Xxh3 => {
                let seed = segment.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ at;
                XxHash3_64::oneshot_with_seed(seed, record).to_le_bytes()
            }
            Self::Sha256 => {
                let mut hash = Sha256::new();
                hash.update(segment.to_le_bytes());
                hash.update(at.to_le_bytes());
                hash.update(record);
                let mut sum = [0; SUM];
                for (to, from) in sum.iter_mut().zip(hash.finalize()) {
                    *to = from;
                }
                sum
            }
        }
    }
}

/// Appends the frame of a record that will begin at byte `at` of a segment. On an error `out` is as it was.
pub(crate) fn push(record: &DecisionRecord, segment: u64, at: u64, out: &mut Vec<u8>) -> io::Result<()> {
    let before = out.len();
    out.extend([0; HEAD]);
    push_binary(record, out);
    let body = before + HEAD;
    let bytes = out.get(body..).unwrap_or_default();
    let Ok(length) = u32::try_from(bytes.len()) else {
        out.truncate(before);
        return Err(io::Error::other("a decision of more than 4 GB is not kept"));
    };
    let sum = Sums::Xxh3.of(segment, at, bytes);
    let head = MARK.into_iter().chain(length.to_le_bytes()).chain(sum);
    let place = out.get_mut(before..body).unwrap_or_default();
    place.iter_mut().zip(head).for_each(|(to, from)| *to = from);
    Ok(())
}

/// A record, in the form of versions 2 and 3, or in that of version 1, which is JSON.
fn record(bytes: &[u8]) -> Option<DecisionRecord> {
    match bytes.first() {
        Some(b'{') => serde_json::from_slice(bytes).ok(),
        _ => read_binary(bytes).ok(),
    }
}

/// The record in the frame at the front of `bytes`, and the length of the frame; `None` where there is no whole one.
fn frame(sums: Sums, segment: u64, at: usize, bytes: &[u8]) -> Option<(&[u8], usize)> {
    let rest = bytes.strip_prefix(&MARK)?;
    let (length, rest) = rest.split_first_chunk::<4>()?;
    let (found, rest) = rest.split_first_chunk::<SUM>()?;
    let length = usize::try_from(u32::from_le_bytes(*length)).ok()?;
    let record = rest.get(..length)?;
    (sums.of(segment, at as u64, record) == *found).then_some((record, HEAD + length))
}

/// The next place from `at` on where a whole frame stands.
fn resume(sums: Sums, segment: u64, mut at: usize, bytes: &[u8]) -> Option<usize> {
    loop {
        let rest = bytes.get(at..)?;
        at += rest.windows(MARK.len()).position(|window| window == MARK)?;
        if frame(sums, segment, at, bytes.get(at..)?).is_some() {
            return Some(at);
        }
        at += 1;
    }
}

/// Everything readable in the bytes of a segment.
pub(crate) fn decode(sums: Sums, segment: u64, bytes: &[u8]) -> Decoded {
    let mut found = Decoded::default();
    let mut at = 0;
    while let Some(rest) = bytes.get(at..).filter(|rest| !rest.is_empty()) {
        match frame(sums, segment, at, rest) {
            Some((bytes, length)) => {
                match record(bytes) {
                    Some(record) => found.records.push(record),
                    None => found.damaged += 1,
                }
                at += length;
            }
            None => match resume(sums, segment, at + 1, bytes) {
                Some(next) => {
                    found.damaged += 1;
                    at = next;
                }
                None => {
                    found.torn = rest.len();
                    return found;
                }
            },
        }
    }
    found
}

#[cfg(test)]
mod tests;
