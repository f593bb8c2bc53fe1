//! Up to which record of the audit trail the receiver has it: a file beside the spool.
//!
//! # Invariants
//!
//! - The file is replaced as a whole (written beside it, synced, renamed, and the directory synced), so that after a crash it
//!   is the one before or the new one.
//! - It names a record by its number and its hash. A trail that has no such record is another one: a number alone would pass
//!   for a place in any trail, and what comes before it would never be sent.
//! - Three things are told apart: no file (nothing was sent yet), a file that says nothing that can be read (then nobody knows
//!   what was sent), and a file that cannot be opened, which is an error.

use crate::audit::GENESIS;
use crate::decisions::disk;
use crate::hex;
use crate::storage::model::AuditRecord;
use serde::{Deserialize, Serialize};
use std::io::{self, Write as _};
use std::path::PathBuf;

/// A record of a trail, or with 0 and zeros the place before the first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) seq: u64,
    pub(super) hash: [u8; 32],
}

impl Place {
    /// Before the first record.
    pub(super) const START: Self = Self {
        seq: 0,
        hash: GENESIS,
    };

    pub(super) fn of(record: &AuditRecord) -> Self {
        Self {
            seq: record.seq,
            hash: record.hash,
        }
    }
}

/// What a file says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Found {
    /// There is none.
    Nothing,
    /// It cannot be understood.
    Damaged,
    /// The receiver has everything up to here.
    Place(Place),
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    seq: u64,
    hash: String,
}

/// The file.
#[derive(Debug, Clone)]
pub(super) struct Cursor {
    pub(super) path: PathBuf,
}

impl Cursor {
    /// # Errors
    ///
    /// When there is a file and it cannot be read.
    pub(super) fn read(&self) -> io::Result<Found> {
        let bytes = match std::fs::read(&self.path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Found::Nothing),
            Err(error) => return Err(error),
        };
        Ok(place(&bytes).map_or(Found::Damaged, Found::Place))
    }

    /// # Errors
    ///
    /// When the place is not on disk; the one before is then, or it.
    pub(super) fn write(&self, place: Place) -> io::Result<()> {
        let mut text = serde_json::to_vec(&Written {
            seq: place.seq,
            hash: hex::of(&place.hash),
        })?;
        text.push(b'\n');
        let part = self.path.with_extension("part");
        let mut file = disk::options()
            .write(true)
            .create(true)
            .truncate(true)
            .open(&part)?;
        file.write_all(&text)?;
        file.sync_all()?;
        std::fs::rename(&part, &self.path)?;
        match self.path.parent() {
            Some(directory) => disk::sync_directory(directory),
            None => Ok(()),
        }
    }
}

fn place(bytes: &[u8]) -> Option<Place> {
    let written: Written = serde_json::from_slice(bytes).ok()?;
    let digits = written.hash.as_bytes();
    let mut hash = [0; 32];
    if digits.len() != 2 * hash.len() {
        return None;
    }
    for (byte, pair) in hash.iter_mut().zip(digits.chunks_exact(2)) {
        let mut value = 0;
        for digit in pair {
            value = value * 16 + char::from(*digit).to_digit(16)?;
        }
        *byte = u8::try_from(value).ok()?;
    }
    let seq = written.seq;
    Some(Place { seq, hash })
}

#[cfg(test)]
mod tests {
    use super::{Cursor, Found, Place};

    #[test]
    fn a_place_comes_back_as_it_was_written_and_what_is_none_is_said() {
        let directory = tempfile::tempdir().unwrap();
        let cursor = Cursor {
            path: directory.path().join("webhook-audit.json"),
        };
        assert_eq!(cursor.read().unwrap(), Found::Nothing);
        let mut hash = [0xa7; 32];
        hash[31] = 9;
        for place in [
            Place::START,
            Place { seq: 1, hash },
            Place {
                seq: u64::MAX,
                hash: [0xff; 32],
            },
        ] {
            cursor.write(place).unwrap();
            assert_eq!(cursor.read().unwrap(), Found::Place(place));
        }
        let whole = std::fs::read(&cursor.path).unwrap();
        for end in 0..whole.len() - 1 {
            std::fs::write(&cursor.path, &whole[..end]).unwrap();
            assert_eq!(cursor.read().unwrap(), Found::Damaged, "{end} bytes");
        }
        for text in [
            "12",
            r#"{"seq":1}"#,
            r#"{"seq":-1,"hash":""}"#,
            r#"{"seq":1,"hash":"zz"}"#,
        ] {
            std::fs::write(&cursor.path, text).unwrap();
            assert_eq!(cursor.read().unwrap(), Found::Damaged, "{text}");
        }
        // A file that is there and cannot be read is no new beginning.
        std::fs::remove_file(&cursor.path).unwrap();
        std::fs::create_dir(&cursor.path).unwrap();
        assert!(cursor.read().is_err() && cursor.write(Place::START).is_err());
        let left = std::fs::read_dir(directory.path()).unwrap().count();
        assert!(left <= 2, "{left} files");
    }
}
