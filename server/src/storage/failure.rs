//! What an error of the database means in the words of the domain.
//!
//! Both backends use it through `?`. Queries that expect a particular violation look for it themselves before an error gets
//! here. Texts name what the database said, which holds no values that were bound and no password.

use super::StoreError;
use sqlx::migrate::MigrateError;
use sqlx::postgres::PgDatabaseError;
use sqlx::sqlite::SqliteError;

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        use sqlx::Error as E;
        match error {
            E::Database(error) => {
                let text = error.to_string();
                if let Some(error) = error.try_downcast_ref::<PgDatabaseError>() {
                    of_postgres(error.code(), text)
                } else if error.try_downcast_ref::<SqliteError>().is_some() {
                    let code = error.code().and_then(|code| code.parse::<u32>().ok());
                    of_sqlite(code, text)
                } else {
                    Self::Corrupt(text)
                }
            }
            E::PoolTimedOut => Self::Unavailable("no connection in time".to_owned()),
            E::PoolClosed => Self::Unavailable("the store is closed".to_owned()),
            // The text may repeat parts of a connection URL.
            E::Configuration(_) => Self::Unavailable("the connection settings are not valid".to_owned()),
            E::Io(error) => Self::Unavailable(error.to_string()),
            E::Tls(error) => Self::Unavailable(format!("TLS: {error}")),
            // The other side hung up in the middle of a message, or is no PostgreSQL.
            E::Protocol(text) => Self::Unavailable(text),
            // The last: a connection that is left from a transaction whose end failed. Another one will do.
            E::WorkerCrashed | E::BeginFailed | E::InvalidSavePointStatement => {
                Self::Unavailable(error.to_string())
            }
            E::Migrate(error) => Self::from(*error),
            E::Encode(error) => Self::Refused(error.to_string()),
            other => Self::Corrupt(other.to_string()),
        }
    }
}

impl From<MigrateError> for StoreError {
    fn from(error: MigrateError) -> Self {
        match error {
            MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => Self::from(error),
            other => Self::Corrupt(format!(
                "the tables were made by another version of this program: {other}"
            )),
        }
    }
}

/// By SQLSTATE, see appendix A of PostgreSQL's manual.
fn of_postgres(code: &str, text: String) -> StoreError {
    match code {
        // Two writers met where the lock on the state row does not reach; one of them has to come again.
        "40001" | "40P01" | "23505" => StoreError::Conflict,
        // A standby after a fail-over, a lock that does not come free, a query that was cancelled by a time-out.
        "25006" | "55P03" | "57014" => StoreError::Unavailable(text),
        // A statement that another client of the pooler made, or one of ours that it has.
        "42P05" | "26000" => StoreError::Unavailable(format!(
            "{text}; where a pooler gives away connections for a transaction only, set DATABASE_POOL_MODE=transaction"
        )),
        // No such database, no right to its tables: the server is there but not for us.
        "3D000" | "42501" => StoreError::Unavailable(text),
        _ => match code.get(..2) {
            // Connection, log-in, resources, the operator's intervention, the system.
            Some("08" | "28" | "53" | "57" | "58") => StoreError::Unavailable(text),
            // Values: their form, what they contradict, their size, what a trigger says of them.
            Some("22" | "23" | "54" | "P0") => StoreError::Refused(text),
            _ => StoreError::Corrupt(text),
        },
    }
}

/// By result code, see <https://sqlite.org/rescode.html>. The low byte is the primary code.
fn of_sqlite(code: Option<u32>, text: String) -> StoreError {
    const PRIMARY_KEY: u32 = 1555;
    const UNIQUE: u32 = 2067;
    match code {
        Some(PRIMARY_KEY | UNIQUE) => StoreError::Conflict,
        Some(code) => match code & 0xff {
            // Permission, busy, locked, out of memory, read-only, interrupted, I/O, full, cannot open, protocol.
            3 | 5 | 6 | 7 | 8 | 9 | 10 | 13 | 14 | 15 => StoreError::Unavailable(text),
            // Too large, a constraint, another type.
            18..=20 => StoreError::Refused(text),
            _ => StoreError::Corrupt(text),
        },
        None => StoreError::Corrupt(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_mean_what_their_manuals_say() {
        let postgres = |code| of_postgres(code, String::new());
        let unavailable = StoreError::Unavailable(String::new());
        for code in ["08006", "57P01", "57P03", "53300", "28P01", "3D000", "25006"] {
            assert_eq!(postgres(code), unavailable, "{code}");
        }
        for code in ["40001", "40P01", "23505"] {
            assert_eq!(postgres(code), StoreError::Conflict, "{code}");
        }
        for code in ["42P01", "XX001", "é"] {
            assert_eq!(postgres(code), StoreError::Corrupt(String::new()), "{code}");
        }
        for code in ["22021", "23503", "54000", "P0001"] {
            assert_eq!(postgres(code), StoreError::Refused(String::new()), "{code}");
        }
        for code in ["42P05", "26000"] {
            assert!(
                matches!(postgres(code), StoreError::Unavailable(text) if text.contains("DATABASE_POOL_MODE")),
                "{code}"
            );
        }
        let sqlite = |code| of_sqlite(code, String::new());
        for code in [5, 261, 10, 522, 13, 14, 8] {
            assert_eq!(sqlite(Some(code)), unavailable, "{code}");
        }
        assert_eq!(sqlite(Some(1555)), StoreError::Conflict);
        assert_eq!(sqlite(Some(2067)), StoreError::Conflict);
        for code in [Some(11), Some(26), Some(1), None] {
            assert_eq!(sqlite(code), StoreError::Corrupt(String::new()), "{code:?}");
        }
        for code in [18, 787, 20] {
            assert_eq!(sqlite(Some(code)), StoreError::Refused(String::new()), "{code}");
        }
    }

    #[test]
    fn only_what_is_wrong_with_a_value_is_refused() {
        // A transaction that an earlier failure left open, and its like: nothing that a record could help.
        for error in [
            sqlx::Error::InvalidSavePointStatement,
            sqlx::Error::BeginFailed,
            sqlx::Error::WorkerCrashed,
            sqlx::Error::PoolTimedOut,
            sqlx::Error::Io(std::io::ErrorKind::StorageFull.into()),
        ] {
            let text = error.to_string();
            assert!(
                matches!(StoreError::from(error), StoreError::Unavailable(_)),
                "{text}"
            );
        }
    }

    #[test]
    fn settings_do_not_show_in_errors() {
        let error = sqlx::Error::Configuration("postgres://ann:secret@host".into());
        assert!(!StoreError::from(error).to_string().contains("secret"));
    }
}
