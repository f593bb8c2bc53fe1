//! Storage in PostgreSQL: for several servers that share their policies.
//!
//! What is the same for both databases is in `queries.rs`; here are the connections, the locks, the notifications and the
//! fragments of SQL that differ.
//!
//! # Invariants
//!
//! - [`Postgres::connect`] does not wait for the database. A task of the handle, its keeper, brings the tables up to date as
//!   soon as it can connect, and tries again until it could; until then operations fail with [`StoreError::Unavailable`] and
//!   the reason of the last attempt. Servers that start at once queue for an advisory lock.
//! - Afterwards the keeper listens for the notifications that every change sends in its transaction, and listens again
//!   after a lost connection. It has a connection of its own, so that listening takes none from the pool.
//! - Connections that were lost are replaced by the pool; an operation waits two seconds for one.
//! - User and password may change ([`Login`]). New ones are taken once the database lets them in and gives them the tables;
//!   connections of the old ones finish what is under way and are replaced when they are next taken.
//! - Behind a pooler that gives away connections for a transaction only (`DATABASE_POOL_MODE=transaction`), every statement
//!   is part of a transaction, has no name, and leaves nothing behind in the session: settings and locks are those of the
//!   transaction. Nobody listens there; the revision is asked for every `POLL_INTERVAL` as everywhere.
//! - Writers lock the row of the state. It is the first lock that they take, so that they cannot block each other in a
//!   circle.

use super::config;
use super::signal::Signal;
use super::writes::Writes;
use super::{Result, StoreError};
use secrecy::ExposeSecret as _;
use sqlx::migrate::{MigrateError, Migrator};
use sqlx::postgres::{PgConnectOptions, PgListener, PgPoolOptions, PgSslMode};
use sqlx::{ConnectOptions as _, Connection as _, Executor as _, Pool, raw_sql};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::{Notify, watch};
use tokio_util::task::AbortOnDropHandle;

// Compiled once for each database: the queries are the same, the types of connections and rows are not.
#[expect(clippy::duplicate_mod, reason = "the same queries for another database")]
#[path = "queries.rs"]
mod queries;

static MIGRATIONS: Migrator = sqlx::migrate!("migrations/postgres");

/// How long an operation waits for a connection.
const ACQUIRE: Duration = Duration::from_secs(2);

/// How long the keeper waits between two attempts: at first, and at most.
const RETRY: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(2));

type Db = sqlx::Postgres;
type Handle = Postgres;

const NAME: &str = "postgres";
/// Several queries see one moment.
macro_rules! begin_read {
    () => {
        "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
    };
}
/// After the lock on the state was waited for, queries see what the writer before committed.
macro_rules! begin_write {
    () => {
        "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE"
    };
}
const LOCK_STATE: &str =
    "SELECT revision, audit_seq, audit_hash, bundle, changed_ms FROM state WHERE id = 1 FOR UPDATE";
/// Opens the condition that a rule, bound next, is among those that fired. As the index is declared.
const RULE_FIRED: &str = " AND d.matched_rules::jsonb @> jsonb_build_array(";
/// The same of a policy.
const POLICY_FIRED: &str = " AND d.matched_policies::jsonb @> jsonb_build_array(";
/// The indexes of these two conditions need no table of their own.
const MATCHED: Option<&str> = None;
/// One row for each rule that fired.
const RULES: &str = "CROSS JOIN LATERAL jsonb_array_elements_text(d.matched_rules::jsonb) AS r(value)";
/// Compares texts by their bytes.
const BYTES: &str = "COLLATE \"C\"";
/// Where changes are announced. Channels belong to one database.
const CHANNEL: &str = "policyd_changed";

/// Settings of every connection of the pool, or of every transaction. A query that nobody waits for any more ends, a
/// transaction of a server that hangs gives up its lock, and a commit is on disk even where the database would rather be fast.
macro_rules! settings {
    (of_transaction: $local:literal) => {
        concat!(
            "SELECT set_config('statement_timeout', '60000', ",
            $local,
            "), set_config('idle_in_transaction_session_timeout', '30000', ",
            $local,
            "), set_config('synchronous_commit', CASE current_setting('synchronous_commit') WHEN 'off' THEN 'on' \
             ELSE current_setting('synchronous_commit') END, ",
            $local,
            ")"
        )
    };
}
const SETTINGS: &str = settings!(of_transaction: "false");
/// The beginning of a transaction and its settings in one message, where the connection is ours no longer than that. Whoever
/// had it before may have left it listening, and the driver takes no notification between answers.
const POOLED_READ: &str = concat!(begin_read!(), "; UNLISTEN *; ", settings!(of_transaction: "true"));
const POOLED_WRITE: &str = concat!(
    begin_write!(),
    "; UNLISTEN *; ",
    settings!(of_transaction: "true")
);

/// Held by who changes tables through a pooler.
const MIGRATION_LOCK: i64 = 0x706f_6c69_6379_6431;
/// Where sqlx notes which migrations were made; as it declares it.
const MIGRATION_TABLE: &str = "CREATE TABLE IF NOT EXISTS _sqlx_migrations (\
     version BIGINT PRIMARY KEY, description TEXT NOT NULL, installed_on TIMESTAMPTZ NOT NULL DEFAULT now(), \
     success BOOLEAN NOT NULL, checksum BYTEA NOT NULL, execution_time BIGINT NOT NULL)";

/// Whether statements go without names: set for good by the first store of this process that is reached through a pooler,
/// which gives one name of ours to two connections. A store beside it only prepares more often than it had to.
static UNNAMED: AtomicBool = AtomicBool::new(false);

/// Whether connections keep the statements that they have prepared.
fn is_kept() -> bool {
    !UNNAMED.load(Ordering::Relaxed)
}

/// Whether a login may do what a server does: it reads every table, and writes where each decision and each change does.
const RIGHTS: &str = "SELECT coalesce(bool_and(has_table_privilege(name, 'SELECT')), false) \
     AND has_table_privilege('state', 'UPDATE') AND has_table_privilege('decisions', 'INSERT') \
     AND has_table_privilege('audit', 'INSERT') \
     FROM unnest(ARRAY['state', 'policies', 'policy_versions', 'policy_rejections', 'namespace_usage', 'bundles', 'api_keys', \
     'decisions', 'audit']) AS name";

/// How far the keeper has come.
#[derive(Debug, Clone)]
enum Ready {
    /// The first attempt goes on.
    NotYet,
    /// The last attempt failed; another will follow.
    Failed(StoreError),
    /// The tables are up to date.
    Yes,
}

/// Storage in PostgreSQL.
pub struct Postgres {
    pool: Pool<Db>,
    listener: Pool<Db>,
    signal: Arc<Signal>,
    writes: Writes,
    ready: watch::Receiver<Ready>,
    renewed: Arc<Renewed>,
    pooled: bool,
    keeper: AbortOnDropHandle<()>,
}

/// Since when connections log in as they do now.
#[derive(Debug)]
struct Renewed {
    start: Instant,
    /// Microseconds after `start`; connections that were opened before are replaced.
    at: AtomicU64,
    /// Wakes the keeper, whose connection nobody takes.
    again: Notify,
}

impl Renewed {
    fn new() -> Self {
        Self {
            start: Instant::now(),
            at: AtomicU64::new(0),
            again: Notify::new(),
        }
    }

    /// Whether a connection of this age is of the login of now.
    fn is_of_now(&self, age: Duration) -> bool {
        let opened = self.start.elapsed().saturating_sub(age);
        opened >= Duration::from_micros(self.at.load(Ordering::Acquire))
    }

    /// Connections that were opened before this are of another login.
    fn since(&self, moment: Instant) {
        let at = moment.saturating_duration_since(self.start).as_micros();
        let at = u64::try_from(at).unwrap_or(u64::MAX);
        self.at.fetch_max(at, Ordering::AcqRel);
        self.again.notify_one();
    }
}

/// Changes whom connections to PostgreSQL log in as. Cheap to clone.
#[derive(Clone)]
pub struct Login {
    pools: [Pool<Db>; 2],
    ready: watch::Receiver<Ready>,
    renewed: Arc<Renewed>,
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Login")
            .field("renewed", &self.renewed)
            .finish_non_exhaustive()
    }
}

impl Login {
    /// Has connections log in by these settings from now on, once that was tried.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`]: the database does not let them in, does not give them the tables, or cannot be asked; or
    /// the settings name another database than the one that is open. Connections go on as before then.
    pub async fn change(&self, settings: &config::Postgres) -> Result<()> {
        let unavailable = |reason: &str| Err(StoreError::Unavailable(reason.to_owned()));
        let options = options(settings)?;
        let [pool, _] = &self.pools;
        if place(&options) != place(&pool.connect_options()) {
            return unavailable(
                "only user and password can change while the server runs; the rest needs a restart",
            );
        }
        let attempt = async {
            let mut connection = sqlx::PgConnection::connect_with(&options).await?;
            let mut transaction = connection.begin().await?;
            transaction.execute(SETTINGS).await?;
            // Before the tables are there, nobody can have them.
            let is_ready = matches!(*self.ready.borrow(), Ready::Yes);
            let rights = sqlx::query_scalar::<_, bool>(RIGHTS).persistent(false);
            let has_rights = !is_ready || rights.fetch_one(&mut *transaction).await?;
            transaction.rollback().await?;
            connection.close().await?;
            Ok::<bool, sqlx::Error>(has_rights)
        };
        match tokio::time::timeout(2 * ACQUIRE, attempt).await {
            Ok(has_rights) => {
                if !has_rights? {
                    return unavailable("the login may not read and write the tables of this server");
                }
            }
            Err(_elapsed) => return unavailable("no connection in time"),
        }
        for pool in &self.pools {
            pool.set_connect_options(options.clone());
        }
        let now = Instant::now();
        self.renewed.since(now);
        // Who began to connect before that is of the old login, however late it is done.
        let renewed = Arc::clone(&self.renewed);
        tokio::spawn(async move {
            tokio::time::sleep(2 * ACQUIRE).await;
            renewed.since(now + ACQUIRE);
        });
        Ok(())
    }
}

/// All of the options that is not user and password, as far as it can be asked for.
fn place(options: &PgConnectOptions) -> String {
    format!(
        "{} {} {:?} {:?} {:?} {:?}",
        options.get_host(),
        options.get_port(),
        options.get_socket(),
        options.get_database(),
        options.get_ssl_mode(),
        options.get_options(),
    )
}

impl fmt::Debug for Postgres {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Postgres")
            .field("ready", &*self.ready.borrow())
            .finish_non_exhaustive()
    }
}

impl Postgres {
    /// What changes user and password of its connections.
    pub fn login(&self) -> Login {
        Login {
            pools: [self.pool.clone(), self.listener.clone()],
            ready: self.ready.clone(),
            renewed: Arc::clone(&self.renewed),
        }
    }

    /// A handle with at most `connections` connections, and one more to listen. Returns at once, whether or not the
    /// database answers. Must be called within a tokio runtime.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`] when the settings are not valid; the text does not repeat them.
    pub fn connect(settings: &config::Postgres, connections: u32) -> Result<Self> {
        let options = options(settings)?;
        let pooled = settings.pooled;
        if pooled {
            UNNAMED.store(true, Ordering::Relaxed);
        }
        let renewed = Arc::new(Renewed::new());
        let of_now = |renewed: &Arc<Renewed>| {
            let renewed = Arc::clone(renewed);
            PgPoolOptions::new()
                .acquire_timeout(ACQUIRE)
                .before_acquire(move |_, connection| {
                    let is_of_now = renewed.is_of_now(connection.age);
                    Box::pin(async move { Ok(is_of_now) })
                })
        };
        let pool = of_now(&renewed)
            .max_connections(connections.max(1))
            .after_connect(move |connection, _| {
                Box::pin(async move {
                    // Through a pooler they are those of each transaction.
                    if !pooled {
                        connection.execute(SETTINGS).await?;
                    }
                    Ok(())
                })
            })
            .connect_lazy_with(options.clone());
        let listener = of_now(&renewed)
            .max_connections(1)
            .idle_timeout(None)
            .max_lifetime(None)
            .connect_lazy_with(options);
        let signal = Arc::new(Signal::default());
        let (sender, ready) = watch::channel(Ready::NotYet);
        let keeper = tokio::spawn(keep(
            listener.clone(),
            pooled,
            sender,
            Arc::clone(&signal),
            Arc::clone(&renewed),
        ));
        Ok(Self {
            pool,
            listener,
            signal,
            writes: Writes::default(),
            ready,
            renewed,
            pooled,
            keeper: AbortOnDropHandle::new(keeper),
        })
    }

    /// The pool, once the tables are up to date.
    async fn readers(&self) -> Result<&Pool<Db>> {
        let mut ready = self.ready.clone();
        let waited =
            tokio::time::timeout(ACQUIRE, ready.wait_for(|state| !matches!(state, Ready::NotYet))).await;
        match waited {
            Ok(Ok(state)) => match &*state {
                Ready::Yes => Ok(&self.pool),
                Ready::Failed(error) => Err(error.clone()),
                Ready::NotYet => Err(StoreError::Unavailable("no answer yet".to_owned())),
            },
            Ok(Err(_)) => Err(StoreError::Unavailable("the store is closed".to_owned())),
            Err(_) => Err(StoreError::Unavailable("no answer yet".to_owned())),
        }
    }

    async fn writers(&self) -> Result<&Pool<Db>> {
        self.readers().await
    }

    /// The data live in the server, whatever becomes of a connection.
    #[expect(clippy::unused_self, reason = "one of the differences between the databases")]
    fn replaceable(&self) -> bool {
        true
    }

    /// Whether every statement has to be part of a transaction.
    fn only_transactions(&self) -> bool {
        self.pooled
    }

    fn begins_read(&self) -> &'static str {
        if self.pooled { POOLED_READ } else { begin_read!() }
    }

    fn begins_write(&self) -> &'static str {
        if self.pooled { POOLED_WRITE } else { begin_write!() }
    }

    /// Tells every server that listens, when the transaction commits.
    async fn announce(&self, connection: &mut sqlx::PgConnection, revision: u64) -> Result<()> {
        sqlx::query("SELECT pg_notify($1, $2)")
            .persistent(is_kept())
            .bind(CHANNEL)
            .bind(revision.to_string())
            .execute(connection)
            .await?;
        Ok(())
    }

    async fn shut(&self) {
        self.keeper.abort();
        self.listener.close().await;
        self.pool.close().await;
    }
}

/// Nothing to undo: what ends the queries ends with the transaction.
pub(super) struct Bound;

/// Ends the queries of a transaction at `until`.
async fn bound(connection: &mut sqlx::PgConnection, until: Instant) -> Result<Bound> {
    let left = until.saturating_duration_since(Instant::now()).as_millis().max(1);
    sqlx::query("SELECT set_config('statement_timeout', $1, true)")
        .persistent(is_kept())
        .bind(left.to_string())
        .execute(connection)
        .await?;
    Ok(Bound)
}

fn options(settings: &config::Postgres) -> Result<PgConnectOptions> {
    let invalid = |what: &str| StoreError::Unavailable(format!("{what} is not valid"));
    let mut options = match &settings.url {
        Some(url) => url
            .expose_secret()
            .parse::<PgConnectOptions>()
            .map_err(|_| invalid("DATABASE_URL"))?,
        None => PgConnectOptions::new_without_pgpass(),
    };
    if let Some(host) = &settings.host {
        options = options.host(host);
    }
    if let Some(port) = settings.port {
        options = options.port(port);
    }
    if let Some(user) = &settings.user {
        options = options.username(user);
    }
    if let Some(password) = &settings.password {
        options = options.password(password.expose_secret());
    }
    if let Some(database) = &settings.database {
        options = options.database(database);
    }
    if let Some(mode) = &settings.ssl_mode {
        let mode = mode
            .parse::<PgSslMode>()
            .map_err(|_| invalid("DATABASE_SSL_MODE"))?;
        options = options.ssl_mode(mode);
    }
    if let Some(path) = &settings.ssl_root_cert {
        options = options.ssl_root_cert(path);
    }
    // Poolers refuse the parameter, and only floating-point numbers in texts need it, of which there are none.
    options = options.extra_float_digits(None);
    if settings.pooled {
        options = options.statement_cache_capacity(0);
    }
    Ok(options.application_name("policyd").disable_statement_logging())
}

/// Prepares the tables, then listens, for as long as the handle lives.
async fn keep(
    listener: Pool<Db>,
    pooled: bool,
    ready: watch::Sender<Ready>,
    signal: Arc<Signal>,
    renewed: Arc<Renewed>,
) {
    let mut wait = RETRY.0;
    // Each attempt logs in as connections do by then.
    while let Err(error) = prepare(&listener.connect_options(), pooled).await {
        tracing::warn!(%error, "the database is not ready, trying again");
        ready.send_replace(Ready::Failed(error));
        tokio::time::sleep(wait).await;
        wait = (wait * 2).min(RETRY.1);
    }
    ready.send_replace(Ready::Yes);
    if pooled {
        tracing::info!(
            "DATABASE_POOL_MODE is transaction: changes of other servers are found by asking every POLL_INTERVAL"
        );
        return;
    }
    let mut wait = RETRY.0;
    loop {
        let listened = tokio::select! {
            listened = listen(&listener, &signal, &mut wait) => listened,
            () = renewed.again.notified() => {
                Err(StoreError::Unavailable("the connection is of the login before".to_owned()))
            }
        };
        match listened {
            Ok(never) => match never {},
            Err(error) => {
                tracing::debug!(%error, "not listening for changes, trying again");
                tokio::time::sleep(wait).await;
                wait = (wait * 2).min(RETRY.1);
            }
        }
    }
}

/// Brings the tables up to date, on a connection of its own: a failure in the middle would leave the advisory lock with a
/// connection of the pool. There is no limit on the time once connected, as a change of large tables takes long.
async fn prepare(options: &PgConnectOptions, pooled: bool) -> Result<()> {
    let mut connection = tokio::time::timeout(ACQUIRE, sqlx::PgConnection::connect_with(options))
        .await
        .map_err(|_| StoreError::Unavailable("no connection in time".to_owned()))??;
    if pooled {
        migrate_in_a_transaction(&mut connection).await?;
    } else {
        MIGRATIONS.run_direct(None, &mut connection, false).await?;
    }
    connection.close().await?;
    Ok(())
}

/// What [`Migrator::run_direct`] does, in one transaction and with its lock: a lock of the session would stay with a
/// connection that the pooler gives to somebody else, and named statements too.
async fn migrate_in_a_transaction(connection: &mut sqlx::PgConnection) -> Result<()> {
    let mut transaction = connection.begin().await?;
    sqlx::query("SELECT pg_advisory_xact_lock($1)")
        .bind(MIGRATION_LOCK)
        .persistent(false)
        .execute(&mut *transaction)
        .await?;
    raw_sql(MIGRATION_TABLE).execute(&mut *transaction).await?;
    let made = sqlx::query_as::<_, (i64, Vec<u8>, bool)>(
        "SELECT version, checksum, success FROM _sqlx_migrations ORDER BY version",
    )
    .persistent(false)
    .fetch_all(&mut *transaction)
    .await?;
    let mut checksums = BTreeMap::new();
    for (version, checksum, success) in made {
        if !success {
            return Err(MigrateError::Dirty(version).into());
        }
        if !MIGRATIONS.version_exists(version) {
            return Err(MigrateError::VersionMissing(version).into());
        }
        checksums.insert(version, checksum);
    }
    for migration in MIGRATIONS.iter() {
        match checksums.get(&migration.version) {
            Some(checksum) if *checksum == *migration.checksum => {}
            Some(_) => return Err(MigrateError::VersionMismatch(migration.version).into()),
            None => {
                raw_sql(migration.sql.clone()).execute(&mut *transaction).await?;
                sqlx::query(
                    "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
                     VALUES ($1, $2, TRUE, $3, -1)",
                )
                .bind(migration.version)
                .bind(&*migration.description)
                .bind(&*migration.checksum)
                .persistent(false)
                .execute(&mut *transaction)
                .await?;
            }
        }
    }
    transaction.commit().await?;
    Ok(())
}

/// Raises the signal on each notification; ends when the connection is lost.
async fn listen(pool: &Pool<Db>, signal: &Signal, wait: &mut Duration) -> Result<std::convert::Infallible> {
    let mut listener = PgListener::connect_with(pool).await?;
    listener.listen(CHANNEL).await?;
    *wait = RETRY.0;
    // What came while nobody listened.
    signal.raise();
    loop {
        if listener.try_recv().await?.is_none() {
            return Err(StoreError::Unavailable("the connection was lost".to_owned()));
        }
        signal.raise();
    }
}
