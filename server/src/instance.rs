//! A mark that a server works with a database file: a lock on a file beside it, released when the process ends, however it ends.
//!
//! Two servers on one SQLite file do not see each other's changes at once, and share nothing else. That is told, not refused: a
//! restart may begin before the old process has ended, and some file systems know no locks.

use crate::storage::Database;
use std::fs::{File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};

/// Where the lock of a database file is.
fn lock_path(database: &Path) -> PathBuf {
    let mut path = database.as_os_str().to_owned();
    path.push(".lock");
    path.into()
}

/// Takes the lock of the database, and warns in the log where another process has it. Hold the file as long as the database is used.
#[must_use]
pub fn lock(database: &Database) -> Option<File> {
    let Database::SqliteFile(database) = database else {
        return None;
    };
    let path = lock_path(database);
    let mut options = OpenOptions::new();
    options.create(true).truncate(false).write(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        options.mode(0o600);
    }
    let taken = options
        .open(&path)
        .map_err(TryLockError::Error)
        .and_then(|file| file.try_lock().map(|()| file));
    match taken {
        Ok(file) => Some(file),
        Err(TryLockError::WouldBlock) => {
            tracing::warn!(
                database = %database.display(),
                "another policyd uses this SQLite database; give each server its own DATA_DIR, or use PostgreSQL"
            );
            None
        }
        Err(TryLockError::Error(error)) => {
            tracing::warn!(
                lock = %path.display(),
                %error,
                "cannot take the lock of the database, so another policyd on it would not be noticed"
            );
            None
        }
    }
}
