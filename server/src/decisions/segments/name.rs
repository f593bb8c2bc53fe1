//! Names of segments, which say what is in them: nobody has to open a file to know that it holds nothing of a query.
//!
//! ```text
//! day=2026-01-31/1769817600000_1769817660000_4711_<first id>_<last id>.parquet
//!                first and last time, ms   rows
//! ```

use crate::storage::model::{DecisionId, DecisionRecord};
use std::fmt;
use std::str::FromStr;

/// What files of segments end with.
pub(super) const ENDING: &str = ".parquet";

/// The name of a segment. In the order of time.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Name {
    pub(super) first_ms: i64,
    pub(super) last_ms: i64,
    pub(super) rows: u64,
    pub(super) first: DecisionId,
    pub(super) last: DecisionId,
}

/// The day of a time in UTC, as the folder of its decisions is called: partitions as Hive names them, those without a day too.
pub(super) fn day(at_ms: i64) -> String {
    match jiff::Timestamp::from_millisecond(at_ms) {
        Ok(at) => format!("day={}", at.strftime("%Y-%m-%d")),
        Err(_) => "day=__HIVE_DEFAULT_PARTITION__".to_owned(),
    }
}

impl Name {
    /// That of decisions of one day, in the order of their keys; `None` where there are none.
    pub(super) fn of(records: &[DecisionRecord]) -> Option<Self> {
        let times = records.iter().map(|record| record.at_ms);
        Some(Self {
            first_ms: times.clone().min()?,
            last_ms: times.max()?,
            rows: records.len() as u64,
            first: records.first()?.id(),
            last: records.last()?.id(),
        })
    }

    /// The folder that it is in.
    pub(super) fn day(&self) -> String {
        day(self.first_ms)
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            first_ms,
            last_ms,
            rows,
            first,
            last,
        } = self;
        write!(
            f,
            "{}/{first_ms}_{last_ms}_{rows}_{first}_{last}{ENDING}",
            self.day()
        )
    }
}

/// A name that no segment has.
#[derive(Debug)]
pub(super) struct NoName;

impl FromStr for Name {
    type Err = NoName;

    fn from_str(text: &str) -> Result<Self, NoName> {
        let (_, file) = text.rsplit_once('/').ok_or(NoName)?;
        let mut parts = file.strip_suffix(ENDING).ok_or(NoName)?.split('_');
        let mut next = || parts.next().ok_or(NoName);
        let name = Self {
            first_ms: next()?.parse().map_err(|_| NoName)?,
            last_ms: next()?.parse().map_err(|_| NoName)?,
            rows: next()?.parse().map_err(|_| NoName)?,
            first: next()?.parse().map_err(|_| NoName)?,
            last: next()?.parse().map_err(|_| NoName)?,
        };
        // One spelling, so that a name is a path and back.
        match name.to_string() == text {
            true => Ok(name),
            false => Err(NoName),
        }
    }
}
