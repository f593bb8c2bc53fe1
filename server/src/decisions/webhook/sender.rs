//! Sends what waits in the spool, one request at a time, until the receiver takes it.
//!
//! # Invariants
//!
//! - Only 2xx says that the receiver has a request. Whatever else it answers, or does not, the request is sent again, after a
//!   pause that grows, and nothing behind it is sent before: events arrive in their order.
//! - 400, 413 and 422 may be for what one event is, or for how many there are: the request is halved, until it holds one event.
//!   That one is tried for ever, and readiness says which.
//! - A segment is removed when the receiver has all that can be read of it. Stopped before, all of it is sent again, in the same
//!   requests with the same ids.

use super::Webhook;
use super::events::Event;
use crate::clock::now_ms;
use crate::decisions::Shared;
use crate::decisions::replay::{Pause, no_answer};
use crate::decisions::spool::Segment;
use crate::decisions::thread::Thread;
use crate::telemetry::metrics::{Dropped, sink_label};
use policy_integrations::Failure;
use prometheus_client::metrics::counter::Counter;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

/// The longest first pause; it doubles with each attempt.
const FIRST: Duration = Duration::from_millis(500);

/// However long the receiver asks to be left alone, it is asked again after this time.
const LONGEST: Duration = Duration::from_secs(3600);

/// How often a segment that cannot be read is tried again before the others.
const READS: u32 = 6;

/// Sends webhooks.
pub(crate) struct Sender {
    webhook: Arc<Webhook>,
    shared: Arc<Shared>,
    written: Counter,
    errors: Counter,
    /// Attempts that failed since the last one that did not.
    failed: u32,
    /// Between attempts to read.
    reading: Pause,
    /// How often the segment at hand could not be read.
    unread: u32,
}

/// The pause after so many failures: between half and all of a time that doubles, so that senders that failed together do not
/// come back together.
fn pause(failures: u32, cap: Duration, random: u64) -> Duration {
    let doubled = 1_u32.checked_shl(failures).unwrap_or(u32::MAX);
    let longest = FIRST.saturating_mul(doubled).min(cap);
    // 53 bits, as many as a double holds: a share below 1.
    let share = (random >> 11) as f64 / (1_u64 << 53) as f64;
    longest.mul_f64(0.5 + share / 2.0)
}

fn status(failure: &Failure) -> Option<u16> {
    match failure {
        Failure::Status { status, .. } => Some(*status),
        // Without the number, which does not matter for its class.
        Failure::Redirect => Some(302),
        _ => None,
    }
}

impl Sender {
    pub(crate) fn new(webhook: Arc<Webhook>, shared: &Arc<Shared>) -> Self {
        let label = sink_label(&crate::config::Sink::Webhook);
        Self {
            webhook,
            written: shared.metrics.written(label),
            errors: shared.metrics.errors(label),
            failed: 0,
            reading: Pause::new(super::SPOOL, &shared.failing),
            shared: Arc::clone(shared),
            unread: 0,
        }
    }

    /// Runs until `last` is cancelled, and from then on for as long as there is something and the receiver takes it.
    pub(crate) async fn run(mut self, last: &CancellationToken) {
        let thread = match Thread::start("webhook-spool") {
            Ok(thread) => thread,
            Err(error) => {
                tracing::error!(%error, "webhooks have no thread; what is in their spool waits for the next start");
                return last.cancelled().await;
            }
        };
        let webhook = Arc::clone(&self.webhook);
        loop {
            while webhook.spool.is_empty() {
                webhook.metrics.lag.set(0.0);
                if last.is_cancelled() {
                    return;
                }
                tokio::select! {
                    () = webhook.spool.filled.notified() => {}
                    () = last.cancelled() => {}
                }
            }
            if !self.send_oldest(&thread, last).await {
                return;
            }
            webhook.metrics.spool.set(webhook.spool.bytes() as f64);
        }
    }

    /// Sends the oldest segment, and removes it. Says whether to go on.
    async fn send_oldest(&mut self, thread: &Thread, last: &CancellationToken) -> bool {
        let spool = Arc::clone(&self.webhook.spool);
        let segment = match thread.run(move || spool.oldest()).await {
            Ok(Some(segment)) => segment,
            Ok(None) => return true,
            Err(error) => return self.wait(&error, last).await,
        };
        let Segment { number, path, found } = segment;
        let found = match found {
            Ok(found) => found,
            Err(error) => return self.unreadable(number, &path, &error, last).await,
        };
        self.unread = 0;
        self.reading.over();
        let mut events = Vec::with_capacity(found.records.len());
        for record in &found.records {
            match self.webhook.events.event(record) {
                Ok(event) => events.push(event),
                Err(error) => self.leave_out(&record.id().to_string(), &error),
            }
        }
        if !self.send(&events, last).await {
            return false;
        }
        let file = path.display();
        if found.damaged > 0 {
            let stretches = found.damaged;
            tracing::error!(%file, stretches, "events that waited on disk were damaged there; they are lost");
            self.shared.metrics.dropped(Dropped::Damaged).inc_by(stretches);
        }
        if found.torn > 0 {
            let bytes = found.torn;
            tracing::warn!(%file, bytes, "the last event that was written to disk before a stop is not whole; it is lost");
            self.shared.metrics.dropped(Dropped::Torn).inc();
        }
        let spool = Arc::clone(&self.webhook.spool);
        let removed = thread.run(move || spool.remove(number)).await;
        if let Err(error) = removed.and_then(|removed| removed) {
            tracing::warn!(%file, %error, "a file of events that were sent cannot be removed");
        }
        true
    }

    /// Sends events until the receiver has all of them. Says whether it has.
    async fn send(&mut self, events: &[Event], last: &CancellationToken) -> bool {
        let webhook = Arc::clone(&self.webhook);
        let mut parts = webhook.events.parts(events);
        parts.reverse();
        while let Some(part) = parts.pop() {
            let Some(first) = part.first() else { continue };
            let age = now_ms().saturating_sub(first.at_ms).max(0);
            webhook.metrics.lag.set(age as f64 / 1e3);
            let request = match webhook.events.request(part) {
                Ok(request) => request,
                Err(error) => {
                    part.iter().for_each(|event| self.leave_out(&event.id, &error));
                    continue;
                }
            };
            let attempt = tokio::select! {
                attempt = webhook.post(&request) => attempt,
                // It failed a moment ago, and there is no time to wait for another answer of that kind.
                () = last.cancelled(), if self.failed > 0 => return false,
                () = no_answer(last) => return false,
            };
            let failure = match attempt {
                Ok(()) => {
                    webhook.metrics.answered(Some(200));
                    self.written.inc_by(part.len() as u64);
                    self.over();
                    continue;
                }
                Err(failure) => failure,
            };
            self.errors.inc();
            webhook.metrics.answered(status(&failure));
            if matches!(status(&failure), Some(400 | 413 | 422))
                && let (before, behind @ [_, ..]) = part.split_at(part.len() / 2)
                && !before.is_empty()
            {
                parts.push(behind);
                parts.push(before);
                continue;
            }
            parts.push(part);
            if last.is_cancelled() || !self.pause(&failure, &first.id, last).await {
                return false;
            }
        }
        true
    }

    /// Waits before another attempt. Says whether there is time for one.
    async fn pause(&mut self, failure: &Failure, id: &str, last: &CancellationToken) -> bool {
        if self.failed == 0 {
            tracing::warn!(error = %failure, decision = id, "the receiver does not take webhooks; events wait on disk");
        }
        let why = format!("{failure}; decision {id} waits");
        let label = sink_label(&crate::config::Sink::Webhook);
        self.shared.failing.note(label, Some(why));
        let random = getrandom::u64().unwrap_or(u64::MAX);
        let mut time = pause(self.failed, self.webhook.backoff, random);
        if let Failure::Status {
            retry_after: Some(wait),
            ..
        } = failure
        {
            time = time.max((*wait).min(LONGEST));
        }
        self.failed = self.failed.saturating_add(1);
        tokio::select! {
            () = sleep(time) => true,
            () = last.cancelled() => false,
        }
    }

    fn over(&mut self) {
        if self.failed > 0 {
            tracing::info!("the receiver takes webhooks again");
            self.shared
                .failing
                .note(sink_label(&crate::config::Sink::Webhook), None);
            self.failed = 0;
        }
    }

    /// Leaves out what can be no event. It stands in the server's own log then.
    fn leave_out(&self, id: &str, error: &Failure) {
        tracing::error!(decision = id, %error, "a decision cannot be an event, and is not sent");
        self.shared.metrics.dropped(Dropped::Refused).inc();
    }

    /// What cannot be read is tried again, and after a few times it lets the others pass first. What is not there any more is
    /// counted. Says whether to go on.
    async fn unreadable(
        &mut self,
        number: u64,
        path: &Path,
        error: &io::Error,
        last: &CancellationToken,
    ) -> bool {
        let spool = &self.webhook.spool;
        if error.kind() == io::ErrorKind::NotFound {
            tracing::error!(file = %path.display(), "events that waited on disk were removed by somebody else");
            self.shared.metrics.dropped(Dropped::Damaged).inc();
            spool.forget(number);
            return true;
        }
        self.unread += 1;
        if self.unread.is_multiple_of(READS) {
            tracing::error!(file = %path.display(), %error, "events that wait on disk cannot be read; tried again later");
            spool.put_behind(number);
        }
        self.wait(error, last).await
    }

    async fn wait(&mut self, error: &io::Error, last: &CancellationToken) -> bool {
        tokio::select! {
            () = self.reading.after(error) => true,
            () = last.cancelled() => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{FIRST, pause};
    use std::time::Duration;

    #[test]
    fn pauses_double_up_to_the_cap_and_are_at_least_half() {
        let cap = Duration::from_secs(60);
        let near = |pause: Duration, wanted: Duration| {
            assert!(
                pause.as_millis().abs_diff(wanted.as_millis()) <= 1,
                "{pause:?} {wanted:?}"
            );
        };
        near(pause(0, cap, u64::MAX), FIRST);
        near(pause(0, cap, 0), FIRST / 2);
        near(pause(3, cap, u64::MAX), FIRST * 8);
        near(pause(20, cap, u64::MAX), cap);
        near(pause(u32::MAX, cap, 0), cap / 2);
        near(
            pause(0, Duration::from_millis(20), u64::MAX),
            Duration::from_millis(20),
        );
    }
}
