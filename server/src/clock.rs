//! What time it is, as the store, keys and tokens count it.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Time since the epoch; zero on a clock that is set before it.
pub(crate) fn since_epoch() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// Milliseconds since the epoch.
#[must_use]
pub fn now_ms() -> i64 {
    i64::try_from(since_epoch().as_millis()).unwrap_or(i64::MAX)
}
