//! An object of a bucket, read in pieces: blocks of it, which stay in memory for a while.
//!
//! Readers of Parquet ask for a page at a time, and each question to a bucket takes tens of milliseconds. So what is asked for is
//! fetched in blocks, the more of them at once the longer one reads on, and all objects share a bounded memory of blocks.
//!
//! # Invariants
//!
//! - Objects never change: a block that was read stays right.
//! - The memory of blocks has a bound, whatever is asked. A read returns what it was asked for, or an error.

use super::Remote;
use bytes::Bytes;
use object_store::path::Path as Key;
use policy_segments::ReadAt;
use quick_cache::Weighter;
use quick_cache::sync::Cache;
use std::io::{self, ErrorKind};
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// Bytes of a block.
const BLOCK: u64 = 256 << 10;

/// Blocks that are fetched at once, at most.
const MOST: u64 = 16;

/// Bytes of blocks that stay in memory.
const MEMORY: u64 = 64 << 20;

/// Blocks of objects, by numbers of both.
pub(super) type Blocks = Cache<(u64, u64), Bytes, Weight>;

/// How much memory a block takes.
#[derive(Debug, Clone)]
pub(super) struct Weight;

impl Weighter<(u64, u64), Bytes> for Weight {
    fn weight(&self, _: &(u64, u64), block: &Bytes) -> u64 {
        block.len() as u64 + 64
    }
}

/// A memory for blocks.
pub(super) fn blocks() -> Blocks {
    let items = usize::try_from(MEMORY / BLOCK).unwrap_or(usize::MAX);
    Cache::with_weighter(items, MEMORY, Weight)
}

/// An object.
#[derive(Debug)]
pub(super) struct Object {
    remote: Arc<Remote>,
    key: Key,
    length: u64,
    number: u64,
    /// Where the last fetch ended, and how many blocks it was.
    last: Mutex<(u64, u64)>,
}

impl Object {
    pub(super) fn new(remote: Arc<Remote>, key: Key, length: u64) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Self {
            remote,
            key,
            length,
            number: NEXT.fetch_add(1, Ordering::Relaxed),
            last: Mutex::new((u64::MAX, 0)),
        }
    }

    /// How many blocks to fetch from this one on, where so many are asked for: more, when somebody reads on.
    fn width(&self, block: u64, asked: u64) -> u64 {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let ahead = if last.0 == block { last.1 * 2 } else { 1 };
        let width = ahead.max(asked).min(MOST);
        *last = (block + width, width);
        width
    }

    /// Fetches a block, and those behind it that are needed or will be.
    fn fetch(&self, block: u64, asked: u64) -> io::Result<Bytes> {
        let from = block * BLOCK;
        let to = (from + self.width(block, asked) * BLOCK).min(self.length);
        let bytes = self.remote.range(&self.key, from..to)?;
        let short = || {
            let (key, found) = (&self.key, bytes.len());
            let message = format!("{key}: {found} bytes came of {} that were asked for", to - from);
            io::Error::new(ErrorKind::UnexpectedEof, message)
        };
        if bytes.len() as u64 != to - from {
            return Err(short());
        }
        let size = usize::try_from(BLOCK).map_err(io::Error::other)?;
        let mut first = None;
        for (at, piece) in (block..).zip(bytes.chunks(size)) {
            // Of its own: a slice would keep all of what was fetched.
            let piece = Bytes::copy_from_slice(piece);
            self.remote.blocks.insert((self.number, at), piece.clone());
            first.get_or_insert(piece);
        }
        first.ok_or_else(short)
    }
}

/// The part of a block, which begins at `start`, that lies in a range.
fn part(block: &Bytes, start: u64, wanted: &Range<u64>) -> io::Result<Bytes> {
    let end = start + block.len() as u64;
    let from = usize::try_from(wanted.start.max(start) - start).map_err(io::Error::other)?;
    let to = usize::try_from(wanted.end.min(end).saturating_sub(start)).map_err(io::Error::other)?;
    match from <= to && to <= block.len() {
        true => Ok(block.slice(from..to)),
        false => Err(ErrorKind::UnexpectedEof.into()),
    }
}

impl ReadAt for Object {
    fn length(&self) -> u64 {
        self.length
    }

    fn read_at(&self, from: u64, length: usize) -> io::Result<Bytes> {
        let wanted = from..from.saturating_add(length as u64);
        if wanted.end > self.length {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        if wanted.is_empty() {
            return Ok(Bytes::new());
        }
        let (first, last) = (wanted.start / BLOCK, (wanted.end - 1) / BLOCK);
        let mut read = Vec::new();
        for block in first..=last {
            let bytes = match self.remote.blocks.get(&(self.number, block)) {
                Some(bytes) => bytes,
                None => self.fetch(block, last + 1 - block)?,
            };
            let bytes = part(&bytes, block * BLOCK, &wanted)?;
            if first == last {
                return Ok(bytes);
            }
            read.extend_from_slice(&bytes);
        }
        Ok(read.into())
    }
}
