//! Settings of segments: `DECISION_LOG_SEGMENTS`, `DECISION_LOG_SEAL_…`.

use super::bucket::Bucket;
use crate::settings::{Parser, value};
use crate::storage;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

/// Segments of decisions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Segments {
    /// The folder of the journal.
    pub journal: PathBuf,
    /// Bytes of it at most.
    pub bytes: u64,
    /// Where segments are kept.
    pub archive: Archive,
    /// Bytes of the journal that are sealed.
    pub seal_bytes: u64,
    /// When fewer are.
    pub seal_after: Duration,
}

/// Where segments are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Archive {
    /// A folder.
    Folder(PathBuf),
    /// A bucket, or a part of one.
    Bucket(Bucket),
}

impl fmt::Display for Archive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Folder(path) => path.display().fmt(f),
            Self::Bucket(bucket) => bucket.fmt(f),
        }
    }
}

/// The least that is sealed at once: smaller segments are more files than anybody wants to read.
const LEAST_SEAL: u64 = 1 << 20;

pub(super) fn read(p: &mut Parser<'_>, store: &storage::Config) -> Option<Segments> {
    let name = "DECISION_LOG_SEAL_BYTES";
    let seal_bytes = p.value(name, 64 << 20, value::bytes);
    if seal_bytes < LEAST_SEAL {
        p.problem(name, "must be at least 1MB");
    }
    // The journal goes on while what is in it is sealed.
    let bytes = p.value("DECISION_LOG_SPOOL", 0, value::bytes);
    if p.list("DECISION_LOG").iter().any(|sink| sink == "segments") && bytes < seal_bytes.saturating_mul(2) {
        p.problem(
            "DECISION_LOG_SPOOL",
            "must be at least twice DECISION_LOG_SEAL_BYTES with DECISION_LOG=segments",
        );
    }
    let name = "DECISION_LOG_SEGMENTS";
    let ca = p.path("DECISION_LOG_SEGMENTS_TLS_CA");
    let archive = p.path(name);
    let archive = match archive.as_ref().and_then(|path| path.to_str()) {
        Some(url) if url.contains("://") => match Bucket::parse(url) {
            Ok(bucket) => Archive::Bucket(Bucket { ca, ..bucket }),
            Err(problem) => {
                p.problem(name, problem);
                return None;
            }
        },
        _ => {
            if ca.is_some() {
                let problem = "is for a bucket, and DECISION_LOG_SEGMENTS names a folder";
                p.problem("DECISION_LOG_SEGMENTS_TLS_CA", problem);
            }
            Archive::Folder(archive.unwrap_or_else(|| store.data_dir.join("decisions")))
        }
    };
    Some(Segments {
        journal: store.data_dir.join("decisions-journal"),
        bytes,
        archive,
        seal_bytes,
        seal_after: p.duration("DECISION_LOG_SEAL_AFTER"),
    })
}
