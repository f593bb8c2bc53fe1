//! What became of the last write: readiness asks for it, and makes one itself only where that is not known.

use super::{Result, StoreError};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// When a write last succeeded; `None` before the first, and after one that found the database unavailable.
#[derive(Debug, Default)]
pub(super) struct Writes(Mutex<Option<Instant>>);

impl Writes {
    /// Notes a write. What was refused for what it is says nothing about the database.
    pub(super) fn note<T>(&self, result: &Result<T>) {
        let last = match result {
            Ok(_) => Some(Instant::now()),
            Err(StoreError::Unavailable(_) | StoreError::Corrupt(_)) => None,
            Err(
                StoreError::Missing(_)
                | StoreError::Exists(_)
                | StoreError::VersionMismatch { .. }
                | StoreError::Conflict
                | StoreError::NotWaiting(_)
                | StoreError::Rejected(_)
                | StoreError::Quota(_)
                | StoreError::Refused(_)
                | StoreError::Changed(_),
            ) => return,
        };
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = last;
    }

    /// Whether a write succeeded within this time, and none failed since.
    pub(super) fn succeeded_within(&self, fresh: Duration) -> bool {
        let last = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        last.is_some_and(|at| at.elapsed() < fresh)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_is_remembered_until_a_write_succeeds() {
        const LONG: Duration = Duration::from_secs(3600);
        let writes = Writes::default();
        assert!(!writes.succeeded_within(LONG), "nothing is known at first");
        writes.note(&Ok(()));
        assert!(writes.succeeded_within(LONG));
        assert!(!writes.succeeded_within(Duration::ZERO));
        writes.note::<()>(&Err(StoreError::Conflict));
        assert!(writes.succeeded_within(LONG), "the database answered");
        writes.note::<()>(&Err(StoreError::Unavailable("full".to_owned())));
        assert!(!writes.succeeded_within(LONG));
        writes.note::<()>(&Err(StoreError::Conflict));
        assert!(!writes.succeeded_within(LONG), "nothing was written");
        writes.note(&Ok(7));
        assert!(writes.succeeded_within(LONG));
    }
}
