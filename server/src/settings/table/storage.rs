//! Settings below the heading "Storage".

use super::{POSTGRES, Setting, of, secret};

const GROUP: &str = "Storage";

/// In the order of the reference page.
pub(super) const ROWS: &[Setting] = &[
    of(
        GROUP,
        "DATA_DIR",
        "./data",
        "DIR",
        "Directory for SQLite, the last good bundle, and decisions that wait for PostgreSQL. Each server needs its own.",
    ),
    secret(
        GROUP,
        "DATABASE_URL",
        "URL",
        "`postgresql://…` or `sqlite:FILE` or `sqlite::memory:`; SQLite under DATA_DIR when neither this nor DATABASE_HOST is given.",
    ),
    of(
        GROUP,
        "DATABASE_HOST",
        "",
        "HOST",
        "PostgreSQL host. This and the settings below fill in what DATABASE_URL does not set. If both set a value, they must agree.",
    ).contradicts(&["DATABASE_URL=sqlite"]),
    of(GROUP, "DATABASE_PORT", "5432", "PORT", "PostgreSQL port.").needs(&[POSTGRES]),
    of(
        GROUP,
        "DATABASE_USERNAME",
        "llm_policy_engine",
        "NAME",
        "PostgreSQL user.",
    ).or_in_file().needs(&[POSTGRES]),
    secret(GROUP, "DATABASE_PASSWORD", "TEXT", "PostgreSQL password.").needs(&[POSTGRES]),
    of(
        GROUP,
        "DATABASE_NAME",
        "llm_policy_engine",
        "NAME",
        "PostgreSQL database.",
    ).needs(&[POSTGRES]),
    of(
        GROUP,
        "DATABASE_SSL_MODE",
        "prefer",
        "disable|prefer|require|verify-ca|verify-full",
        "TLS to PostgreSQL.",
    ).needs(&[POSTGRES]),
    of(
        GROUP,
        "DATABASE_SSL_ROOT_CERT",
        "",
        "FILE",
        "PEM certificates of authorities to trust for PostgreSQL, in addition to the public ones, with verify-ca and verify-full.",
    ).needs(&[POSTGRES]),
    of(
        GROUP,
        "DATABASE_POOL",
        "10",
        "NUMBER",
        "Highest number of connections to the database.",
    ),
    of(
        GROUP,
        "DATABASE_POOL_MODE",
        "session",
        "session|transaction",
        "How long a pooler between `policyd` and PostgreSQL, such as PgBouncer, gives away a connection. With `transaction`, changes of other servers are found by asking every POLL_INTERVAL, and not by listening.",
    ).needs(&[POSTGRES]),
    of(
        GROUP,
        "POLL_INTERVAL",
        "250ms",
        "DURATION",
        "How often the database is asked whether another server changed something.",
    ),
];
