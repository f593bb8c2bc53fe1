//! Where sealed segments lie: a folder, which may be one of a network. A bucket is another place for them (`bucket.rs`).
//!
//! # Invariants
//!
//! - A segment has its name once it is whole and on disk. To publish one again changes nothing.
//! - Only its owner can read a folder that is made here, and what is in it. Who may read one that was there may read the
//!   segments in it: others are to read them in place.

use super::name::{ENDING, Name};
use crate::decisions::disk;
use bytes::Bytes;
use policy_segments::ReadAt;
use std::fmt;
use std::fs::File;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A place for segments. All methods block.
pub(super) trait Archive: fmt::Debug + Send + Sync {
    /// Names of all segments, and what else ends like one.
    fn list(&self) -> io::Result<(Vec<Name>, Vec<String>)>;

    /// Moves a file here.
    fn publish(&self, file: &Path, name: &Name) -> io::Result<()>;

    /// Removes a segment. One that is not there is removed already.
    fn remove(&self, name: &Name) -> io::Result<()>;

    /// The bytes of a segment.
    fn open(&self, name: &Name) -> io::Result<Arc<dyn ReadAt>>;

    /// Whether it outlives this machine: what is here is to get there before a stop.
    fn is_remote(&self) -> bool {
        false
    }
}

/// A folder with a folder for each day.
#[derive(Debug)]
pub(super) struct Folder(PathBuf);

impl Folder {
    /// Makes it where it is not there.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        if !path.is_dir() {
            disk::make(path)?;
        }
        Ok(Self(path.to_owned()))
    }

    /// The folder of a day, which may be read by whoever may read all of them.
    fn day(&self, name: &Name) -> io::Result<PathBuf> {
        let day = self.0.join(name.day());
        if !day.is_dir() {
            disk::make(&day)?;
            self.show(&day)?;
        }
        Ok(day)
    }

    /// Lets those read a file or a folder who may read this folder.
    fn show(&self, path: &Path) -> io::Result<()> {
        #[cfg(unix)]
        {
            use std::fs::Permissions;
            use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
            let (ours, of) = (std::fs::metadata(&self.0)?, std::fs::metadata(path)?);
            if ours.gid() != of.gid() && chown(path, None, Some(ours.gid())).is_err() {
                // A group that we are not of. Nobody reads more than before.
                return Ok(());
            }
            let seen = if of.is_dir() { 0o055 } else { 0o044 };
            let mode = of.permissions().mode() & 0o700 | ours.permissions().mode() & seen;
            std::fs::set_permissions(path, Permissions::from_mode(mode))?;
        }
        #[cfg(not(unix))]
        let _ = path;
        Ok(())
    }
}

impl Archive for Folder {
    fn list(&self) -> io::Result<(Vec<Name>, Vec<String>)> {
        let (mut names, mut others) = (Vec::new(), Vec::new());
        for day in std::fs::read_dir(&self.0)? {
            let day = day?;
            if !day.file_type()?.is_dir() {
                continue;
            }
            let files = match std::fs::read_dir(day.path()) {
                Ok(files) => files,
                // Its last segment was removed a moment ago.
                Err(error) if error.kind() == ErrorKind::NotFound => continue,
                Err(error) => return Err(error),
            };
            for file in files {
                let path = Path::new(&day.file_name()).join(file?.file_name());
                let text = path.to_string_lossy();
                match text.parse::<Name>() {
                    Ok(name) => names.push(name),
                    Err(_) if text.ends_with(ENDING) => others.push(text.into_owned()),
                    Err(_) => {}
                }
            }
        }
        Ok((names, others))
    }

    fn publish(&self, file: &Path, name: &Name) -> io::Result<()> {
        let day = self.day(name)?;
        let to = self.0.join(name.to_string());
        match self.show(file).and_then(|()| std::fs::rename(file, &to)) {
            Ok(()) => {}
            // Moved before an earlier stop.
            Err(error) if error.kind() == ErrorKind::NotFound && to.exists() => {}
            Err(error) if error.kind() == ErrorKind::CrossesDevices => {
                let part = to.with_extension("part");
                // With its permissions.
                std::fs::copy(file, &part)?;
                File::open(&part)?.sync_all()?;
                std::fs::rename(&part, &to)?;
                disk::sync_directory(&day)?;
                std::fs::remove_file(file)?;
            }
            Err(error) => return Err(error),
        }
        disk::sync_directory(&day)?;
        disk::sync_directory(&self.0)
    }

    fn remove(&self, name: &Name) -> io::Result<()> {
        let path = self.0.join(name.to_string());
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        // The day ends with its last segment; until then this fails, as it should.
        if let Some(day) = path.parent() {
            drop(std::fs::remove_dir(day));
        }
        Ok(())
    }

    fn open(&self, name: &Name) -> io::Result<Arc<dyn ReadAt>> {
        LocalFile::open(&self.0.join(name.to_string()))
    }
}

/// A file that is open only while it is read: there may be thousands of segments.
#[derive(Debug)]
pub(super) struct LocalFile {
    path: PathBuf,
    length: u64,
}

impl LocalFile {
    pub(super) fn open(path: &Path) -> io::Result<Arc<dyn ReadAt>> {
        let length = std::fs::metadata(path)?.len();
        let path = path.to_owned();
        Ok(Arc::new(Self { path, length }))
    }
}

impl ReadAt for LocalFile {
    fn length(&self) -> u64 {
        self.length
    }

    fn read_at(&self, from: u64, length: usize) -> io::Result<Bytes> {
        use std::io::{Read as _, Seek as _, SeekFrom};
        if from.saturating_add(length as u64) > self.length {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        let mut file = File::open(&self.path)?;
        file.seek(SeekFrom::Start(from))?;
        let mut bytes = vec![0; length];
        file.read_exact(&mut bytes)?;
        Ok(bytes.into())
    }
}
