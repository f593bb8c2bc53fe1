//! Where decisions are written: the database, standard output, a file. One attempt each; the writer repeats.
//!
//! # Invariants
//!
//! - A batch is written to a file whole or, when that fails, taken back: no half line stays, no line twice.
//! - A batch that was acknowledged is on disk (`fdatasync`, and the directory where the file is new).
//! - The file is opened by its name for every batch, so that one that was rotated away is left alone from then on.
//! - A line that a crash left unfinished is ended before the next one begins.
//!
//! # Not done here
//!
//! Rotating: `logrotate` and its like move the file. Two servers do not share one file.

use super::thread::Thread;
use super::webhook::Webhook;
use super::{Segments, disk};
use crate::decisions::config::Sink;
use crate::storage::Store;
use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A sink that can be written to.
#[derive(Debug, Clone)]
pub(crate) enum Output {
    /// The database.
    Store(Arc<dyn Store>),
    /// Standard output.
    Stdout,
    /// A file.
    File(PathBuf),
    /// The journal of segments.
    Segments(Arc<Segments>),
    /// The receiver of webhooks.
    Webhook(Arc<Webhook>),
}

impl Output {
    /// The sink of a setting; `None` where what it needs is not there.
    pub(crate) fn of(
        sink: &Sink,
        store: Option<&Arc<dyn Store>>,
        segments: Option<&Arc<Segments>>,
        webhook: Option<&Arc<Webhook>>,
    ) -> Option<Self> {
        match sink {
            Sink::Segments => segments.map(|segments| Self::Segments(Arc::clone(segments))),
            Sink::Store => store.map(|store| Self::Store(Arc::clone(store))),
            Sink::Stdout => Some(Self::Stdout),
            Sink::File(path) => Some(Self::File(path.clone())),
            Sink::Webhook => webhook.map(|webhook| Self::Webhook(Arc::clone(webhook))),
        }
    }

    /// The database, where it is one.
    pub(crate) fn store(&self) -> Option<Arc<dyn Store>> {
        match self {
            Self::Store(store) => Some(Arc::clone(store)),
            Self::Stdout | Self::File(_) | Self::Segments(_) | Self::Webhook(_) => None,
        }
    }

    /// As labels spell it.
    pub(crate) fn label(&self) -> &'static str {
        match self {
            Self::Store(_) => Sink::Store.label(),
            Self::Stdout => Sink::Stdout.label(),
            Self::File(_) => "file",
            Self::Segments(_) => Sink::Segments.label(),
            Self::Webhook(_) => Sink::Webhook.label(),
        }
    }
}

/// Writes lines to standard output.
pub(crate) async fn write_stdout(thread: &Thread, lines: Arc<str>) -> io::Result<()> {
    thread
        .run(move || {
            let mut out = io::stdout().lock();
            out.write_all(lines.as_bytes())?;
            out.flush()
        })
        .await?
}

/// Appends lines to a file, and waits until they are on disk.
pub(crate) async fn write_file(thread: &Thread, path: PathBuf, lines: Arc<str>) -> io::Result<()> {
    thread.run(move || append(&path, lines.as_bytes())).await?
}

/// Opens the file for appending, as only its owner may read it: decisions are nobody else's business.
fn open(path: &Path) -> io::Result<File> {
    disk::options().read(true).append(true).create(true).open(path)
}

/// Whether lines can be appended to the file; makes it where it is not there.
pub(crate) fn check(path: &Path) -> io::Result<()> {
    open(path).map(drop)
}

fn append(path: &Path, lines: &[u8]) -> io::Result<()> {
    let mut file = open(path)?;
    let length = file.metadata()?.len();
    let unfinished = length > 0 && {
        file.seek(SeekFrom::Start(length - 1))?;
        let mut last = [0];
        file.read_exact(&mut last)?;
        last != [b'\n']
    };
    let written = (if unfinished { file.write_all(b"\n") } else { Ok(()) })
        .and_then(|()| file.write_all(lines))
        .and_then(|()| file.sync_data())
        .and_then(|()| if length == 0 { sync_directory(path) } else { Ok(()) });
    if let Err(error) = written {
        // What got there is written again; if it cannot be taken back either, the next attempt ends its line.
        file.set_len(length)?;
        return Err(error);
    }
    Ok(())
}

/// Waits until the name of a new file is on disk.
fn sync_directory(path: &Path) -> io::Result<()> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    disk::sync_directory(parent.unwrap_or(Path::new(".")))
}

#[cfg(test)]
mod tests;
