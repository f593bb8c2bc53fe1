//! Settings of the storage: `DATABASE_…`, `DATA_DIR`, `POLL_INTERVAL`.

use crate::settings::{Parser, url};
use secrecy::SecretString;
use std::path::PathBuf;
use std::time::Duration;

/// Storage.
#[derive(Debug)]
pub struct Config {
    /// Which database.
    pub database: Database,
    /// Where files are kept.
    pub data_dir: PathBuf,
    /// Connections at most.
    pub pool: u32,
    /// How often the revision is asked for.
    pub poll: Duration,
}

/// Which database.
#[derive(Debug)]
pub enum Database {
    /// SQLite in this file.
    SqliteFile(PathBuf),
    /// SQLite in memory.
    SqliteMemory,
    /// PostgreSQL.
    Postgres(Postgres),
}

/// How to reach PostgreSQL: by URL, by parts, or by a URL and the parts that it leaves open. What is `None` in all of them is
/// as PostgreSQL's own clients have it.
#[derive(Debug, Default)]
pub struct Postgres {
    /// URL.
    pub url: Option<SecretString>,
    /// Host.
    pub host: Option<String>,
    /// Port.
    pub port: Option<u16>,
    /// User.
    pub user: Option<String>,
    /// Password.
    pub password: Option<SecretString>,
    /// Database.
    pub database: Option<String>,
    /// One of libpq's modes.
    pub ssl_mode: Option<String>,
    /// Certificates that are trusted besides the public ones.
    pub ssl_root_cert: Option<PathBuf>,
    /// A pooler between gives away connections for a transaction only.
    pub pooled: bool,
}

impl Postgres {
    /// What a URL says, and nothing else.
    #[must_use]
    pub fn by_url(url: SecretString) -> Self {
        Self {
            url: Some(url),
            ..Self::default()
        }
    }
}

const SSL_MODES: [&str; 5] = ["disable", "prefer", "require", "verify-ca", "verify-full"];

pub(crate) fn read(p: &mut Parser<'_>) -> Config {
    let data_dir = p.path("DATA_DIR").unwrap_or_default();
    let url = p.text("DATABASE_URL").map(str::to_owned);
    let database = match (url.as_deref(), p.text("DATABASE_HOST")) {
        (Some(url), _) if url.starts_with("postgres://") || url.starts_with("postgresql://") => {
            Database::Postgres(postgres_by_url(p, url))
        }
        (Some("sqlite::memory:"), _) => Database::SqliteMemory,
        (Some(url), _) if url.starts_with("sqlite:") => Database::SqliteFile(PathBuf::from(
            url.trim_start_matches("sqlite:").trim_start_matches("//"),
        )),
        (Some(_), _) => {
            p.problem("DATABASE_URL", "expected postgresql://… or sqlite:…");
            Database::SqliteMemory
        }
        (None, Some(_)) => Database::Postgres(postgres_by_parts(p)),
        (None, None) => Database::SqliteFile(data_dir.join("policyd.db")),
    };
    Config {
        database,
        data_dir,
        pool: p.number::<u32>("DATABASE_POOL").max(1),
        poll: p.pause("POLL_INTERVAL"),
    }
}

/// Checks those parts of PostgreSQL's settings that are not any text.
fn postgres_parts(p: &mut Parser<'_>) -> (u16, String) {
    let port = p.number("DATABASE_PORT");
    let ssl_mode = p.value("DATABASE_SSL_MODE", String::new(), |text| {
        SSL_MODES.contains(&text).then(|| text.to_owned())
    });
    (port, ssl_mode)
}

/// Whether a pooler gives away connections for a transaction only.
fn pooled(p: &mut Parser<'_>) -> bool {
    p.value("DATABASE_POOL_MODE", false, |text| match text {
        "session" => Some(false),
        "transaction" => Some(true),
        _ => None,
    })
}

fn postgres_by_parts(p: &mut Parser<'_>) -> Postgres {
    let (port, ssl_mode) = postgres_parts(p);
    let pooled = pooled(p);
    let text = |name: &str| p.text(name).map(str::to_owned);
    Postgres {
        url: None,
        host: text("DATABASE_HOST"),
        port: Some(port),
        user: text("DATABASE_USERNAME"),
        password: p.secret("DATABASE_PASSWORD"),
        database: text("DATABASE_NAME"),
        ssl_mode: Some(ssl_mode),
        ssl_root_cert: p.path("DATABASE_SSL_ROOT_CERT"),
        pooled,
    }
}

/// The URL and what it leaves open.
fn postgres_by_url(p: &mut Parser<'_>, url: &str) -> Postgres {
    let (port, _) = postgres_parts(p);
    // What is no URL is said by whoever opens it.
    let said = url::postgres_says(url).unwrap_or_default();
    let tls = ["DATABASE_SSL_MODE", "DATABASE_SSL_ROOT_CERT"];
    if p.is_elsewhere("DATABASE_URL", "DATABASE_HOST", &said)
        && !tls.iter().any(|name| said.contains_key(name))
    {
        return postgres_by_parts(p);
    }
    let pooled = pooled(p);
    let mut open = |name| p.left_open("DATABASE_URL", name, &said);
    Postgres {
        url: Some(SecretString::from(url)),
        host: open("DATABASE_HOST"),
        port: open("DATABASE_PORT").map(|_| port),
        user: open("DATABASE_USERNAME"),
        password: open("DATABASE_PASSWORD").map(SecretString::from),
        database: open("DATABASE_NAME"),
        ssl_mode: open("DATABASE_SSL_MODE"),
        ssl_root_cert: open("DATABASE_SSL_ROOT_CERT").map(PathBuf::from),
        pooled,
    }
}
