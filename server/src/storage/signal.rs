//! The hint that something may have changed, inside one process.
//!
//! Raised after each commit and by PostgreSQL's listener, awaited through [`Store::changed`](super::Store::changed).

use tokio::sync::Notify;

/// A hint. One that is raised while nobody waits is kept for the next who does.
#[derive(Debug, Default)]
pub(super) struct Signal(Notify);

impl Signal {
    /// Wakes everybody who waits, and the next who comes.
    pub(super) fn raise(&self) {
        self.0.notify_waiters();
        self.0.notify_one();
    }

    /// Resolves when the hint was raised.
    pub(super) async fn wait(&self) {
        self.0.notified().await;
    }
}
