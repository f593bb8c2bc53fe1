//! Decisions that wait on disk until the database takes them: a folder of segments, filled at one end and emptied at the
//! other.
//!
//! ```text
//! writer ─► push ─► segment 7 (being written)   segment 6   segment 5 ─► oldest ─► replayer ─► remove
//! ```
//!
//! # Invariants
//!
//! - What [`Spool::push`] says is kept survives a crash of the process and of the machine: it was on disk (`fdatasync`, and
//!   the directory where the file is new) before.
//! - Decisions come out in the order in which they went in, also after a restart; only a segment that cannot be read for now
//!   lets others pass. A segment is read only when nobody writes to it any more, and stays until [`Spool::remove`]: what was
//!   read and not stored is read again.
//! - Never more bytes on disk than the bound; a decision that does not fit is not taken.
//! - A folder belongs to one process at a time, by a lock that ends with the process. Only its owner can read it.
//! - Only what [`super::record::Preparer`] made gets here: masked, and sealed where keys are given.
//!
//! # Not done here
//!
//! Waiting, repeating, counting: `writer.rs` and `replay.rs`. All methods that touch the disk block.

mod format;

use super::disk;
use crate::storage::model::DecisionRecord;
pub(crate) use format::Decoded;
use format::Sums;
use std::collections::VecDeque;
use std::fmt;
use std::fs::{File, TryLockError};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;

/// A segment that has reached this size is ended. What is read at once, and what is sent again after a restart.
const SEGMENT: u64 = 4 << 20;

/// Ending of the names of segments, which is the version of their format.
const VERSION: &str = "v3";

/// Those of segments of earlier versions, which are read as well.
const EARLIER: [&str; 2] = ["v2", "v1"];

/// Bytes of memory for frames that are kept from one push to the next.
const FRAMES: usize = 8 << 20;

/// The file that is locked.
const LOCK: &str = "lock";

/// Why a spool could not be opened.
#[derive(Debug)]
pub enum OpenError {
    /// Another process has it.
    Locked,
    /// It holds a file of another version of this program.
    Foreign(PathBuf),
    /// The folder cannot be made, read or written.
    Io(io::Error),
}

impl From<io::Error> for OpenError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Locked => f.write_str("another policyd uses it; each needs a DATA_DIR of its own"),
            Self::Foreign(path) => write!(f, "{} is of another version of policyd", path.display()),
            Self::Io(error) => error.fmt(f),
        }
    }
}

/// What became of decisions that were pushed: the first `kept` of them are on disk.
#[derive(Debug)]
#[must_use]
pub(crate) struct Pushed {
    /// How many are kept.
    pub(crate) kept: usize,
    /// Why not more, where that is not for want of room.
    pub(crate) failed: Option<io::Error>,
}

/// Decisions of a segment.
#[derive(Debug)]
pub(crate) struct Segment {
    /// Which one.
    pub(crate) number: u64,
    /// Where it is.
    pub(crate) path: PathBuf,
    /// What is in it, or why it cannot be read.
    pub(crate) found: io::Result<Decoded>,
}

/// The folder.
#[derive(Debug)]
pub(crate) struct Spool {
    directory: PathBuf,
    most: u64,
    inner: Mutex<Inner>,
    /// Bytes in all segments; a copy for those who do not want to wait for a disk.
    bytes: AtomicU64,
    /// Told when there is something in it.
    pub(crate) filled: Notify,
    /// Told when there is room in it.
    pub(crate) room: Notify,
    /// Held until the end.
    _lock: File,
}

#[derive(Debug)]
struct Inner {
    /// Number and size of those that are not written to any more, oldest first.
    ended: VecDeque<(u64, u64)>,
    /// The one that is written to, with its number and size.
    current: Option<(File, u64, u64)>,
    next: u64,
    /// Memory for frames: most pushes are as large as the one before.
    frames: Vec<u8>,
}

impl Inner {
    fn bytes(&self) -> u64 {
        let ended = self.ended.iter().map(|(_, bytes)| bytes).sum::<u64>();
        ended + self.current.as_ref().map_or(0, |(_, _, bytes)| *bytes)
    }

    /// Nothing more is written to the current segment.
    fn end(&mut self) {
        if let Some((_, number, bytes)) = self.current.take() {
            self.ended.push_back((number, bytes));
        }
    }
}

/// Number of a segment, by the name of its file.
fn number(name: &str) -> Option<u64> {
    let (number, version) = name.split_once('.')?;
    (is_ours(version) && number.len() == 20)
        .then(|| number.parse().ok())
        .flatten()
}

/// Whether segments of a version can be read.
fn is_ours(version: &str) -> bool {
    version == VERSION || EARLIER.contains(&version)
}

/// Whether a name is that of a segment of another version.
fn foreign(name: &str) -> bool {
    name.split_once(".v").is_some_and(|(number, version)| {
        number.len() == 20
            && [number, version]
                .iter()
                .all(|part| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit()))
            && !is_ours(&format!("v{version}"))
    })
}

/// The decisions in the first `size` bytes of a segment. `memory` holds its bytes meanwhile.
pub(crate) fn read(directory: &Path, number: u64, size: u64, memory: &mut Vec<u8>) -> io::Result<Decoded> {
    let path = path(directory, number);
    memory.clear();
    File::open(&path)?.take(size).read_to_end(memory)?;
    Ok(format::decode(sums(&path), number, memory))
}

/// What the sums in a segment are made with.
fn sums(path: &Path) -> Sums {
    match path.extension().is_some_and(|version| version == VERSION) {
        true => Sums::Xxh3,
        false => Sums::Sha256,
    }
}

/// Numbers and sizes of the segments in a folder that another process may have, oldest first.
pub(crate) fn look(directory: &Path) -> io::Result<Vec<(u64, u64)>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory)? {
        let entry = entry?;
        if let Some(number) = entry.file_name().to_str().and_then(number) {
            found.push((number, entry.metadata()?.len()));
        }
    }
    found.sort_unstable();
    Ok(found)
}

/// Where a segment is, or will be.
fn path(directory: &Path, number: u64) -> PathBuf {
    let of = |version| directory.join(format!("{number:020}.{version}"));
    let path = of(VERSION);
    if path.exists() {
        return path;
    }
    let earlier = EARLIER.into_iter().map(of).find(|path| path.exists());
    earlier.unwrap_or(path)
}

/// Whether segments stand in a folder that nobody opens.
pub(crate) fn is_left_behind(directory: &Path) -> bool {
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
    entries
        .filter(|entry| entry.metadata().is_ok_and(|meta| meta.len() > 0))
        .any(|entry| entry.file_name().to_str().and_then(number).is_some())
}

impl Spool {
    /// Opens the folder, which is made where it is not there. What an earlier process left in it comes out first.
    pub(crate) fn open(directory: &Path, most: u64) -> Result<Self, OpenError> {
        disk::make(directory)?;
        let lock = disk::options()
            .write(true)
            .create(true)
            .truncate(false)
            .open(directory.join(LOCK))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(OpenError::Locked),
            Err(TryLockError::Error(error)) => return Err(error.into()),
        }
        let mut ended = Vec::new();
        for entry in std::fs::read_dir(directory)? {
            let entry = entry?;
            let name = entry.file_name();
            let Some(name) = name.to_str() else { continue };
            if let Some(number) = number(name) {
                match entry.metadata()?.len() {
                    // Made, and nothing written before the end.
                    0 => std::fs::remove_file(entry.path())?,
                    size => ended.push((number, size)),
                }
            } else if foreign(name) {
                return Err(OpenError::Foreign(entry.path()));
            }
        }
        ended.sort_unstable();
        let inner = Inner {
            next: ended.last().map_or(0, |(number, _)| number.saturating_add(1)),
            ended: ended.into(),
            current: None,
            frames: Vec::new(),
        };
        Ok(Self {
            directory: directory.to_owned(),
            most,
            bytes: AtomicU64::new(inner.bytes()),
            inner: Mutex::new(inner),
            filled: Notify::new(),
            room: Notify::new(),
            _lock: lock,
        })
    }

    /// Bytes on disk. Right for the one who pushes: nobody else makes it more.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Acquire)
    }

    /// Whether nothing waits.
    pub(crate) fn is_empty(&self) -> bool {
        self.bytes() == 0
    }

    /// The most bytes on disk.
    pub(crate) fn most(&self) -> u64 {
        self.most
    }

    /// Where it is.
    pub(crate) fn directory(&self) -> &Path {
        &self.directory
    }

    fn path(&self, number: u64) -> PathBuf {
        path(&self.directory, number)
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Appends decisions, from the first one on as many as there is room for.
    pub(crate) fn push(&self, records: &[DecisionRecord]) -> Pushed {
        let mut inner = self.lock();
        let mut pushed = Pushed {
            kept: 0,
            failed: None,
        };
        while let Some(rest) = records.get(pushed.kept..).filter(|rest| !rest.is_empty()) {
            match self.push_some(&mut inner, rest) {
                Ok(0) => break,
                Ok(kept) => pushed.kept += kept,
                Err(error) => {
                    pushed.failed = Some(error);
                    break;
                }
            }
        }
        self.bytes.store(inner.bytes(), Ordering::Release);
        drop(inner);
        if pushed.kept > 0 {
            self.filled.notify_one();
        }
        pushed
    }

    /// Appends decisions to one segment; says how many.
    fn push_some(&self, inner: &mut Inner, records: &[DecisionRecord]) -> io::Result<usize> {
        if inner
            .current
            .as_ref()
            .is_some_and(|(_, _, size)| *size >= SEGMENT)
        {
            inner.end();
        }
        let (segment, size) = match &inner.current {
            Some((_, number, size)) => (*number, *size),
            None => (inner.next, 0),
        };
        let room = self.most.saturating_sub(inner.bytes());
        let mut frames = std::mem::take(&mut inner.frames);
        frames.clear();
        let mut kept = 0;
        for record in records {
            let before = frames.len();
            format::push(record, segment, size + before as u64, &mut frames)?;
            if frames.len() as u64 > room {
                frames.truncate(before);
                break;
            }
            kept += 1;
            if size + frames.len() as u64 >= SEGMENT {
                break;
            }
        }
        if kept > 0 {
            self.write(inner, &frames)?;
        }
        if frames.capacity() <= FRAMES {
            inner.frames = frames;
        }
        Ok(kept)
    }

    /// Writes frames behind the current segment, or to a new one, and waits until they are on disk.
    fn write(&self, inner: &mut Inner, frames: &[u8]) -> io::Result<()> {
        let Some((mut file, number, size)) = inner.current.take() else {
            let number = inner.next;
            let path = self.path(number);
            let mut file = disk::options().write(true).create_new(true).open(&path)?;
            // Whatever becomes of it, the number is used up.
            inner.next = number.saturating_add(1);
            let written = file
                .write_all(frames)
                .and_then(|()| file.sync_data())
                .and_then(|()| disk::sync_directory(&self.directory));
            if let Err(error) = written {
                drop(file);
                if std::fs::remove_file(&path).is_err() {
                    // It counts, and reading it shows what is in it.
                    inner.ended.push_back((number, frames.len() as u64));
                }
                return Err(error);
            }
            inner.current = Some((file, number, frames.len() as u64));
            return Ok(());
        };
        match file.write_all(frames).and_then(|()| file.sync_data()) {
            Ok(()) => {
                inner.current = Some((file, number, size + frames.len() as u64));
                Ok(())
            }
            Err(error) => {
                // What is in doubt is taken back, and nothing more is written behind it: the pages of a file whose
                // `fdatasync` failed may be gone without another error. Where it stays, it is read as a torn end, or as
                // decisions that come again.
                let taken_back = file
                    .set_len(size)
                    .and_then(|()| file.seek(SeekFrom::Start(size)))
                    .is_ok();
                let left = if taken_back { 0 } else { frames.len() as u64 };
                inner.ended.push_back((number, size + left));
                Err(error)
            }
        }
    }

    /// Number and size of all segments, oldest first, and whether nothing more is written to them.
    pub(crate) fn segments(&self) -> Vec<(u64, u64, bool)> {
        let inner = self.lock();
        let ended = inner.ended.iter().map(|(number, size)| (*number, *size, true));
        let current = inner
            .current
            .as_ref()
            .map(|(_, number, size)| (*number, *size, false));
        ended.chain(current).collect()
    }

    /// Nothing more is written to the segment at hand.
    pub(crate) fn end(&self) {
        self.lock().end();
    }

    /// The oldest segment that is not removed; `None` where there is none. Nothing more is written to it then.
    pub(crate) fn oldest(&self) -> Option<Segment> {
        let mut inner = self.lock();
        if inner.ended.is_empty() {
            inner.end();
        }
        let number = inner.ended.front().map(|(number, _)| *number)?;
        drop(inner);
        let path = self.path(number);
        let found = std::fs::read(&path).map(|bytes| format::decode(sums(&path), number, &bytes));
        Some(Segment { number, path, found })
    }

    /// Forgets a segment whose decisions are stored, and removes its file.
    ///
    /// # Errors
    ///
    /// When the file stays. It is forgotten all the same: read again at the next start, it does no harm.
    pub(crate) fn remove(&self, number: u64) -> io::Result<()> {
        let removed = std::fs::remove_file(self.path(number));
        self.forget(number);
        removed
    }

    /// Lets the other segments come out before this one.
    pub(crate) fn put_behind(&self, number: u64) {
        let mut inner = self.lock();
        let at = inner.ended.iter().position(|(other, _)| *other == number);
        if let Some(segment) = at.and_then(|at| inner.ended.remove(at)) {
            // Also the one that is written to: what comes later comes out later.
            inner.end();
            inner.ended.push_back(segment);
        }
    }

    /// Forgets a segment, and leaves its file to those who look into it.
    pub(crate) fn forget(&self, number: u64) {
        let mut inner = self.lock();
        inner.ended.retain(|(other, _)| *other != number);
        self.bytes.store(inner.bytes(), Ordering::Release);
        drop(inner);
        self.room.notify_one();
    }
}

#[cfg(test)]
mod tests;
