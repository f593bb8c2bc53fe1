//! Storage in SQLite: one file, or memory. The default, which needs no other server.
//!
//! What is the same for both databases is in `queries.rs`; here are the connections, the locks and the fragments of SQL that
//! differ.
//!
//! # Invariants
//!
//! - The file is in WAL mode with `synchronous=FULL`: a commit returns after the log is on disk.
//! - Writers of this process queue for one connection and take SQLite's write lock as their transaction begins, so that
//!   what they read stays true until they commit. Writers of other processes are waited for, five seconds at the
//!   most.
//! - A connection whose transaction did not end well is closed and replaced, so that a disk that was full, failed or was
//!   read-only for a while is written to again without a restart.
//! - The file, its log and its index (`-wal`, `-shm`) are for their owner only, whatever the folder and the umask.
//! - In memory there is one connection, which is never given up: the data lives in it.
//!
//! # Not done here
//!
//! [`changed`](super::Store::changed) hears of changes by this process only; others show when the revision is read again.

use super::signal::Signal;
use super::writes::Writes;
use super::{Result, StoreError};
use sqlx::migrate::Migrator;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{ConnectOptions as _, Pool, Transaction};
use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

// Compiled once for each database: the queries are the same, the types of connections and rows are not.
#[expect(clippy::duplicate_mod, reason = "the same queries for another database")]
#[path = "queries.rs"]
mod queries;

static MIGRATIONS: Migrator = sqlx::migrate!("migrations/sqlite");

/// How long an operation waits for a connection.
const ACQUIRE: Duration = Duration::from_secs(2);

/// How long a writer waits for another process.
const BUSY: Duration = Duration::from_secs(5);

/// How long it waits where SQLite does not do so itself.
const AGAIN: Duration = Duration::from_millis(10);

/// Bytes in a page: decisions are 1 to 2 KB, and pages of 4 would leave a quarter of the file empty. Only new files get it.
const PAGE: u32 = 16 << 10;

/// Memory for pages of the connection that writes, at most: the ends of all indexes of the decision log.
const WRITER_CACHE: &str = "-32000";

/// Pages in the log from which on it is written back: 64 MB, so that a page that changes often is written back once.
const CHECKPOINT: &str = "4000";

type Db = sqlx::Sqlite;
type Handle = Sqlite;

const NAME: &str = "sqlite";
/// A read sees one moment from its first query on.
const BEGIN_READ: &str = "BEGIN";
/// A write locks at once. A transaction that began as a reader could find that another writer came between.
const BEGIN_WRITE: &str = "BEGIN IMMEDIATE";
/// Locked with the rest of the file by [`BEGIN_WRITE`].
const LOCK_STATE: &str = "SELECT revision, audit_seq, audit_hash, bundle, changed_ms FROM state WHERE id = 1";
/// Opens the condition that a rule, bound next, is among those that fired.
const RULE_FIRED: &str = " AND EXISTS (SELECT 1 FROM json_each(d.matched_rules) WHERE value = ";
/// The same of a policy.
const POLICY_FIRED: &str = " AND EXISTS (SELECT 1 FROM json_each(d.matched_policies) WHERE value = ";
/// Decisions through what they are found by: its kind and its name follow, bound. The planner knows nothing of what is in the
/// table, so that the order of the two is said.
const MATCHED: Option<&str> =
    Some(" FROM decision_matches m CROSS JOIN decisions d ON d.seq = m.seq AND m.kind = ");
/// One row for each rule that fired.
const RULES: &str = "JOIN json_each(d.matched_rules) AS r";
/// Compares texts by their bytes.
const BYTES: &str = "COLLATE BINARY";

/// Storage in SQLite.
pub struct Sqlite {
    readers: Pool<Db>,
    writer: Pool<Db>,
    signal: Signal,
    writes: Writes,
    /// The data live in a file, and not in the one connection.
    in_file: bool,
}

impl fmt::Debug for Sqlite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sqlite").finish_non_exhaustive()
    }
}

/// Connections keep the statements that they have prepared.
const fn is_kept() -> bool {
    true
}

impl Sqlite {
    /// Whether every statement has to be part of a transaction.
    #[expect(clippy::unused_self, reason = "one of the differences between the databases")]
    fn only_transactions(&self) -> bool {
        false
    }

    #[expect(clippy::unused_self, reason = "one of the differences between the databases")]
    fn begins_read(&self) -> &'static str {
        BEGIN_READ
    }

    #[expect(clippy::unused_self, reason = "one of the differences between the databases")]
    fn begins_write(&self) -> &'static str {
        BEGIN_WRITE
    }

    /// Opens a file with at most `readers` connections besides the one that writes; creates it, and the directories above
    /// it, where they are missing. Directories that it creates are for the owner only.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`] when the file cannot be opened or created, [`StoreError::Corrupt`] when it is something
    /// else or of a later version.
    pub async fn open(path: &Path, readers: u32) -> Result<Self> {
        if let Some(directory) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
            let mut builder = tokio::fs::DirBuilder::new();
            builder.recursive(true);
            #[cfg(unix)]
            builder.mode(0o700);
            builder.create(directory).await.map_err(|error| {
                StoreError::Unavailable(format!("cannot create {}: {error}", directory.display()))
            })?;
        }
        own(path).map_err(|error| StoreError::Unavailable(format!("{}: {error}", path.display())))?;
        let options = common().filename(path).journal_mode(SqliteJournalMode::Wal);
        let pool = SqlitePoolOptions::new().acquire_timeout(ACQUIRE);
        let writing = options
            .clone()
            .pragma("cache_size", WRITER_CACHE)
            .pragma("wal_autocheckpoint", CHECKPOINT);
        let writer = pool.clone().max_connections(1).connect_lazy_with(writing);
        prepare(&writer, path).await?;
        Ok(Self {
            readers: pool.max_connections(readers.max(1)).connect_lazy_with(options),
            writer,
            signal: Signal::default(),
            writes: Writes::default(),
            in_file: true,
        })
    }

    /// Opens an empty database in memory, gone when the last handle is.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`] when there is not enough memory.
    pub async fn in_memory() -> Result<Self> {
        let writer = SqlitePoolOptions::new()
            .min_connections(1)
            .max_connections(1)
            .max_lifetime(None)
            .idle_timeout(None)
            .test_before_acquire(false)
            .acquire_timeout(ACQUIRE)
            .connect_lazy_with(common().in_memory(true).filename(":memory:"));
        prepare(&writer, Path::new(":memory:")).await?;
        Ok(Self {
            readers: writer.clone(),
            writer,
            signal: Signal::default(),
            writes: Writes::default(),
            in_file: false,
        })
    }

    async fn readers(&self) -> Result<&Pool<Db>> {
        Ok(&self.readers)
    }

    async fn writers(&self) -> Result<&Pool<Db>> {
        Ok(&self.writer)
    }

    /// Whether a connection may be closed without its data.
    fn replaceable(&self) -> bool {
        self.in_file
    }

    /// Tells other processes in the transaction of a change: SQLite has no means.
    async fn announce(&self, _: &mut sqlx::SqliteConnection, _revision: u64) -> Result<()> {
        Ok(())
    }

    async fn shut(&self) {
        self.readers.close().await;
        self.writer.close().await;
    }
}

/// Instructions of SQLite between two looks at the clock: about a millisecond.
const LOOK: i32 = 100_000;

/// Ends the queries of a connection at a time, as long as it lives.
pub(super) struct Bound(Arc<AtomicBool>);

impl Drop for Bound {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}

/// Ends what a connection does at `until`, as long as the answer lives.
async fn bound(connection: &mut sqlx::SqliteConnection, until: Instant) -> Result<Bound> {
    let armed = Arc::new(AtomicBool::new(true));
    let bound = Bound(Arc::clone(&armed));
    connection
        .lock_handle()
        .await?
        .set_progress_handler(LOOK, move || {
            !armed.load(Ordering::Acquire) || Instant::now() < until
        });
    Ok(bound)
}

/// Makes the file where it is missing, and sees to it that only its owner may read or write it. SQLite gives its log and its
/// index the permissions of the file; those of an earlier version may have others.
fn own(path: &Path) -> std::io::Result<()> {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(false);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        options.mode(0o600);
    }
    options.open(path)?;
    #[cfg(unix)]
    for ending in ["", "-wal", "-shm"] {
        let mut name = path.as_os_str().to_owned();
        name.push(ending);
        let path = Path::new(&name);
        match restrict(path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                tracing::warn!(file = %path.display(), %error, "others than the owner can read the database");
            }
            Ok(()) | Err(_) => {}
        }
    }
    Ok(())
}

/// Takes from everybody but the owner what a file allows them.
#[cfg(unix)]
fn restrict(path: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    let mode = std::fs::metadata(path)?.permissions().mode();
    if mode & 0o077 == 0 {
        return Ok(());
    }
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode & 0o700))
}

fn common() -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .create_if_missing(true)
        .foreign_keys(true)
        .synchronous(SqliteSynchronous::Full)
        .page_size(PAGE)
        .busy_timeout(BUSY)
        .disable_statement_logging()
}

/// Brings the tables up to date. Several processes may do so at once: each takes the write lock of the whole file first,
/// then finds what is left to do.
async fn prepare(pool: &Pool<Db>, path: &Path) -> Result<()> {
    let prepared = async {
        let mut transaction = lock(pool).await?;
        MIGRATIONS.run_direct(None, &mut *transaction, false).await?;
        transaction.commit().await?;
        Ok(())
    };
    prepared.await.map_err(|error| match error {
        StoreError::Unavailable(detail) => StoreError::Unavailable(format!("{}: {detail}", path.display())),
        StoreError::Corrupt(detail) => StoreError::Corrupt(format!("{}: {detail}", path.display())),
        other => other,
    })
}

/// Takes the write lock of the whole file. The first connection makes the file a WAL file, and to that SQLite says that
/// others are busy at once, whatever the time that it may wait.
async fn lock(pool: &Pool<Db>) -> sqlx::Result<Transaction<'static, Db>> {
    const BUSY_CODE: u32 = 5;
    let begin = Instant::now();
    loop {
        let result = pool.begin_with("BEGIN EXCLUSIVE").await;
        let busy = match &result {
            Err(sqlx::Error::Database(error)) => error
                .code()
                .and_then(|code| code.parse::<u32>().ok())
                .is_some_and(|code| code & 0xff == BUSY_CODE),
            _ => false,
        };
        if !busy || begin.elapsed() > BUSY {
            return result;
        }
        tokio::time::sleep(AGAIN).await;
    }
}

#[cfg(test)]
mod tests;
