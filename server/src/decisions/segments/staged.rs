//! Segments that are written and not in the archive yet: folders of their own beside the journal.
//!
//! ```text
//! sealing/            being written; worth nothing after a stop
//! sealed-<id>/        whole: its decisions are no longer those of the journal
//!   journal           numbers of the journal's files that they came from; removed when those are gone
//!   day=…/….parquet
//! ```
//!
//! # Invariants
//!
//! - The name `sealed-…` is the moment in which decisions change hands. Before, they are the journal's; from then on they
//!   are the segments', and the journal's files are removed, at the next start at the latest. So each is there once.

use super::name::{self, Name};
use crate::decisions::disk;
use crate::storage::model::{DecisionId, DecisionKey, DecisionRecord};
use std::io::{self, ErrorKind, Write as _};
use std::path::{Path, PathBuf};

/// Name of a segment that is being written.
const SEALING: &str = "sealing";
/// What the names of segments that are whole start with.
const SEALED: &str = "sealed-";
/// The numbers of the journal's files.
const NUMBERS: &str = "journal";

/// A folder of segments that are whole.
#[derive(Debug)]
pub(super) struct Staged {
    pub(super) directory: PathBuf,
    /// The segments, with their files.
    pub(super) files: Vec<(Name, PathBuf)>,
}

/// Writes decisions as segments, one a day; they were in these files of the journal.
pub(super) fn stage(journal: &Path, numbers: &[u64], mut records: Vec<DecisionRecord>) -> io::Result<Staged> {
    records.sort_by_cached_key(DecisionKey::of);
    records.dedup_by(|a, b| DecisionKey::of(a) == DecisionKey::of(b));
    let mut days: Vec<(String, Vec<DecisionRecord>)> = Vec::new();
    for record in records {
        let day = name::day(record.at_ms);
        match days.iter_mut().find(|(other, _)| *other == day) {
            Some((_, of_it)) => of_it.push(record),
            None => days.push((day, vec![record])),
        }
    }
    let sealing = journal.join(SEALING);
    remove_all(&sealing)?;
    disk::make(&sealing)?;
    let mut names = Vec::new();
    for (day, of_it) in days {
        let Some(name) = Name::of(&of_it) else { continue };
        let day = sealing.join(day);
        disk::make(&day)?;
        let path = sealing.join(name.to_string());
        let file = disk::options().write(true).create_new(true).open(&path)?;
        let written = policy_segments::write(&of_it, io::BufWriter::new(file));
        let buffer = written.map_err(|error| match error {
            policy_segments::Error::Io(error) => error,
            other => io::Error::other(other.to_string()),
        })?;
        buffer
            .into_inner()
            .map_err(io::IntoInnerError::into_error)?
            .sync_all()?;
        disk::sync_directory(&day)?;
        names.push(name);
    }
    let list: Vec<String> = numbers.iter().map(u64::to_string).collect();
    let mut file = disk::options()
        .write(true)
        .create_new(true)
        .open(sealing.join(NUMBERS))?;
    file.write_all(list.join("\n").as_bytes())?;
    file.sync_all()?;
    disk::sync_directory(&sealing)?;
    // Numbers come again once the journal was empty; ids do not.
    let directory = journal.join(format!("{SEALED}{}", DecisionId::fresh()));
    std::fs::rename(&sealing, &directory)?;
    disk::sync_directory(journal)?;
    let files = names
        .into_iter()
        .map(|name| {
            let path = directory.join(name.to_string());
            (name, path)
        })
        .collect();
    Ok(Staged { directory, files })
}

fn remove_all(directory: &Path) -> io::Result<()> {
    match std::fs::remove_dir_all(directory) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

impl Staged {
    /// All that are beside a journal.
    pub(super) fn all(journal: &Path) -> io::Result<Vec<Self>> {
        let mut all = Vec::new();
        for entry in std::fs::read_dir(journal)? {
            let entry = entry?;
            let is_one = entry.file_name().to_string_lossy().starts_with(SEALED);
            if is_one && entry.file_type()?.is_dir() {
                all.extend(Self::at(entry.path())?);
            }
        }
        Ok(all)
    }

    /// The one in a folder; `None` where it is gone.
    fn at(directory: PathBuf) -> io::Result<Option<Self>> {
        let gone = |error: &io::Error| error.kind() == ErrorKind::NotFound;
        let days = match std::fs::read_dir(&directory) {
            Ok(days) => days,
            Err(error) if gone(&error) => return Ok(None),
            Err(error) => return Err(error),
        };
        let mut files = Vec::new();
        for day in days {
            let day = day?;
            if !day.file_type()?.is_dir() {
                continue;
            }
            for file in std::fs::read_dir(day.path())? {
                let file = file?;
                let text = Path::new(&day.file_name()).join(file.file_name());
                match text.to_string_lossy().parse() {
                    Ok(name) => files.push((name, file.path())),
                    Err(_) => {
                        let message = format!("{} is no segment of decisions", file.path().display());
                        return Err(io::Error::new(ErrorKind::InvalidData, message));
                    }
                }
            }
        }
        Ok(Some(Self { directory, files }))
    }

    /// The files of the journal whose decisions it has.
    pub(super) fn numbers(&self) -> io::Result<Vec<u64>> {
        let text = match std::fs::read_to_string(self.directory.join(NUMBERS)) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        text.lines()
            .map(|line| line.parse().map_err(|_| ErrorKind::InvalidData.into()))
            .collect()
    }

    /// Notes that the files of the journal are gone, and waits until that is on disk: their numbers may come again.
    pub(super) fn journal_is_gone(&self) -> io::Result<()> {
        match std::fs::remove_file(self.directory.join(NUMBERS)) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
            _ => disk::sync_directory(&self.directory),
        }
    }

    /// Removes the folder, whose files were moved; what was not stays, and is an error.
    pub(super) fn remove(&self) -> io::Result<()> {
        for day in std::fs::read_dir(&self.directory)? {
            std::fs::remove_dir(day?.path())?;
        }
        std::fs::remove_dir(&self.directory)
    }
}

/// Removes what was being written before a stop.
pub(super) fn clean(journal: &Path) -> io::Result<()> {
    remove_all(&journal.join(SEALING))
}
