//! Decisions in Parquet: the segments of the decision log.
//!
//! ```text
//! records, sorted ─► write ─► one file ─► Segment::open ─► Found: keys and places ─► fetch: records
//!                    schema.rs, write.rs    read.rs           query.rs                └► count
//! ```
//!
//! A file is read by everybody who reads Parquet (DuckDB, Spark, Trino, Athena). Its columns have the names of a line of the
//! decision log.
//!
//! # Invariants
//!
//! - What [`write()`] took, [`Segment`] gives back, to the nanosecond of an evaluation of less than ten days.
//! - Rows stand in the order of their [`Key`]s, which tells them apart; statistics and Bloom filters rule out row groups, and
//!   never rule out one that holds what is asked for.
//! - Opening and reading takes any bytes: what is no such file is an error.
//!
//! # Not done here
//!
//! Where files lie, when they are made and removed, masking and encryption: the server. All functions block.
#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod query;
mod read;
mod record;
mod schema;
mod write;

pub use query::{Asked, Found, Place, Source, Tally, fetch};
pub use read::{ReadAt, Segment};
pub use record::{DecisionFilter, DecisionId, DecisionRecord, Key, NoDecisionId};
pub use write::write;

/// Why a segment could not be written or read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The disk or the network failed.
    #[error("{0}")]
    Io(std::io::Error),
    /// It is no file of decisions, or is damaged.
    #[error("{0}")]
    Format(String),
    /// Nobody waits for the answer any more.
    #[error("there was no time to read all of it")]
    Stopped,
}

/// Result of this crate.
pub type Result<T> = std::result::Result<T, Error>;

impl From<std::io::Error> for Error {
    fn from(error: std::io::Error) -> Self {
        Self::Io(error)
    }
}

impl From<parquet::errors::ParquetError> for Error {
    fn from(error: parquet::errors::ParquetError) -> Self {
        match error {
            parquet::errors::ParquetError::External(inner) => read::Unread::find(inner),
            other => Self::Format(other.to_string()),
        }
    }
}
