//! How many files and sockets the process may have open. Connections get what is left of them, see [`crate::listen`].

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Kept for everything that is neither the database nor a connection: files, watched folders, Redis, key sets.
const OTHERS: usize = 128;

/// For each connection to the database: SQLite has three files open for one.
const DATABASE: usize = 3;

/// Lets the process open as many files as the system lets it. Services are often started with fewer.
pub fn raise() {
    let limit = getrlimit(Resource::Nofile);
    if limit.current != limit.maximum {
        let raised = Rlimit {
            current: limit.maximum,
            maximum: limit.maximum,
        };
        if let Err(error) = setrlimit(Resource::Nofile, raised) {
            tracing::warn!(%error, "the process may not open more files");
        }
    }
}

/// How many connections there may be beside a pool to the database and connections of the admin port, if that is limited.
#[must_use]
pub fn for_connections(pool: u32, admin: usize) -> Option<usize> {
    let files = usize::try_from(getrlimit(Resource::Nofile).current?).unwrap_or(usize::MAX);
    let pool = usize::try_from(pool).unwrap_or(usize::MAX);
    let kept = OTHERS
        .saturating_add(admin)
        .saturating_add(pool.saturating_mul(DATABASE));
    Some(files.saturating_sub(kept))
}
