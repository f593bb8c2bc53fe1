//! What time it is, as the store, keys and tokens count it; and how long work may take.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::Poll;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::time::error::Elapsed;
use tokio::time::timeout;

/// Work, in so long from when it first waits: most never does, and needs no timer. It stays where the caller pinned it: to
/// move it would take longer than much of what it does.
///
/// # Errors
///
/// When it takes longer.
pub(crate) async fn in_time<T>(
    limit: Duration,
    mut work: Pin<&mut impl Future<Output = T>>,
) -> Result<T, Elapsed> {
    match poll_fn(|context| Poll::Ready(work.as_mut().poll(context))).await {
        Poll::Ready(done) => Ok(done),
        Poll::Pending => timeout(limit, work).await,
    }
}

/// Time since the epoch; zero on a clock that is set before it.
pub(crate) fn since_epoch() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// Milliseconds since the epoch.
#[must_use]
pub fn now_ms() -> i64 {
    i64::try_from(since_epoch().as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::in_time;
    use std::future::pending;
    use std::pin::pin;
    use std::time::Duration;
    use tokio::time::{Instant, sleep};

    #[tokio::test]
    async fn work_that_waits_is_ended_in_time() {
        let (limit, long) = (Duration::from_millis(50), Duration::from_secs(3600));
        assert!(matches!(in_time(Duration::ZERO, pin!(async { 1 })).await, Ok(1)));
        let short = pin!(async {
            sleep(Duration::from_millis(1)).await;
            2
        });
        assert!(matches!(in_time(long, short).await, Ok(2)));
        let start = Instant::now();
        assert!(in_time(limit, pin!(pending::<()>())).await.is_err());
        assert!(start.elapsed() >= limit);
    }
}
