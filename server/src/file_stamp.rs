//! Whether a file changed: what `auth` and `tls` ask before they read a file of keys again.
//!
//! Links are followed, so a mounted secret that is replaced by switching a link counts as changed. Nothing here reads
//! contents.

use std::io;
use std::path::Path;
use std::time::SystemTime;

/// Time of the last change and length of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FileStamp {
    modified: SystemTime,
    bytes: u64,
}

impl FileStamp {
    /// The stamp of a file as it is now. Take it before reading the file: a change in between is then seen next time.
    pub(crate) fn of(path: &Path) -> io::Result<Self> {
        let data = std::fs::metadata(path)?;
        Ok(Self {
            modified: data.modified()?,
            bytes: data.len(),
        })
    }
}
