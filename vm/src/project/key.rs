//! Keys of objects: compared by the word, and recognised in their quotes.

use crate::plain::{plain_prefix, word};

/// What most keys differ in, and short ones always: the first eight bytes, the last eight, and the length.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Fingerprint {
    pub(super) head: u64,
    pub(super) tail: u64,
    pub(super) length: usize,
}

impl Fingerprint {
    /// Longest key that is told from others by its fingerprint alone.
    pub(super) const WHOLE: usize = 16;

    #[inline]
    pub(super) fn of(key: &[u8]) -> Self {
        let (head, tail) = match (key.first_chunk::<8>(), key.last_chunk::<8>()) {
            (Some(first), Some(last)) => (u64::from_le_bytes(*first), u64::from_le_bytes(*last)),
            _short => (head(key), 0),
        };
        Self {
            head,
            tail,
            length: key.len(),
        }
    }

    /// Of the key between `start` and `end`, by the words of the body that it lies in.
    #[inline(always)]
    pub(super) fn within(body: &[u8], start: usize, end: usize) -> Self {
        let length = end - start;
        match word(body, start) {
            Some(head) if length < 8 => Self {
                head: head & !(u64::MAX << (8 * length)),
                tail: 0,
                length,
            },
            Some(head) => Self {
                head,
                tail: word(body, end - 8).unwrap_or(0),
                length,
            },
            None => Self::of(body.get(start..end).unwrap_or(&[])),
        }
    }

    #[inline]
    pub(super) fn mixed(self) -> u64 {
        self.head ^ self.tail.rotate_left(23) ^ self.length as u64
    }
}

/// First bytes of a key of less than eight, little-endian, zero-padded.
#[inline]
fn head(key: &[u8]) -> u64 {
    // Two overlapping halves: what both hold agrees.
    match (key.first_chunk::<4>(), key.last_chunk::<4>()) {
        (Some(low), Some(high)) => {
            let shift = 8 * (key.len() - 4);
            u64::from(u32::from_le_bytes(*low)) | u64::from(u32::from_le_bytes(*high)) << shift
        }
        _short => key.iter().rev().fold(0, |h, b| h << 8 | u64::from(*b)),
    }
}

/// A key as it stands in most bodies: behind its opening quote, with the closing quote and a colon.
#[derive(Debug)]
pub(super) struct Quoted {
    /// The first eight bytes, and those of them that there are.
    pub(super) head: u64,
    pub(super) mask: u64,
    /// The last eight; all of them again where there are less.
    pub(super) tail: u64,
    pub(super) tail_at: usize,
    pub(super) text: Box<[u8]>,
}

impl Quoted {
    pub(super) fn new(key: &str) -> Self {
        let mut text = key.as_bytes().to_vec();
        text.extend_from_slice(b"\":");
        // Such keys are never written as they are, and this byte never stands in UTF-8.
        if plain_prefix(key.as_bytes()) < key.len() {
            text = vec![u8::MAX];
        }
        let mut padded = text.clone();
        padded.resize(text.len().max(8), 0);
        let tail_at = text.len().saturating_sub(8);
        Self {
            head: word(&padded, 0).unwrap_or(0),
            mask: u64::MAX >> (64 - 8 * text.len().min(8)),
            tail: word(&padded, tail_at).unwrap_or(0),
            tail_at,
            text: text.into(),
        }
    }

    /// Whether it stands at `at`. It may be missed in the last few bytes of a body.
    #[inline(always)]
    pub(super) fn is_at(&self, at: usize, body: &[u8]) -> bool {
        let (Some(head), Some(tail)) = (word(body, at), word(body, at + self.tail_at)) else {
            return false;
        };
        ((head ^ self.head) | (tail ^ self.tail)) & self.mask == 0
            && (self.text.len() <= 16 || body.get(at..at + self.text.len()) == Some(&*self.text))
    }
}
