//! Gives events to the receiver, one request at a time, until it has them.
//!
//! # Invariants
//!
//! - Only 2xx says that the receiver has a request. Whatever else it answers, or does not, the request is sent again, after a
//!   pause that grows, and nothing behind it is sent before: events arrive in their order.
//! - 400, 413 and 422 may be for what one event is, or for how many there are: the request is halved, until it holds one event.
//!   That one is tried for ever, and readiness says which.

use super::Webhook;
use super::events::Event;
use crate::clock::now_ms;
use crate::decisions::Failing;
use crate::decisions::replay::no_answer;
use policy_integrations::Failure;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

/// The longest first pause; it doubles with each attempt.
const FIRST: Duration = Duration::from_millis(500);

/// However long the receiver asks to be left alone, it is asked again after this time.
const LONGEST: Duration = Duration::from_secs(3600);

/// What the events are of, and where that is counted.
pub(super) struct Of {
    /// As readiness calls them.
    pub(super) label: &'static str,
    /// One of them, for people.
    pub(super) one: &'static str,
    /// What the receiver has.
    pub(super) sent: Counter,
    /// What can be no event.
    pub(super) refused: Counter,
    /// Attempts that failed.
    pub(super) errors: Counter,
    /// Age of the first event of the last attempt.
    pub(super) lag: Gauge<f64, AtomicU64>,
}

/// The way to the receiver, for events of one kind.
pub(super) struct Delivery {
    webhook: Arc<Webhook>,
    failing: Arc<Failing>,
    of: Of,
    /// Attempts that failed since the last one that did not.
    failed: u32,
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

impl Delivery {
    pub(super) fn new(webhook: &Arc<Webhook>, failing: &Arc<Failing>, of: Of) -> Self {
        Self {
            webhook: Arc::clone(webhook),
            failing: Arc::clone(failing),
            of,
            failed: 0,
        }
    }

    /// Nothing waits.
    pub(super) fn nothing_waits(&self) {
        self.of.lag.set(0.0);
    }

    /// The events of records, in their order, without those that can be none. These stand in the server's own log then.
    pub(super) fn events<T>(
        &self,
        records: &[T],
        event: impl Fn(&T) -> Result<Event, Failure>,
        id: impl Fn(&T) -> String,
    ) -> Vec<Event> {
        let mut events = Vec::with_capacity(records.len());
        for record in records {
            match event(record) {
                Ok(event) => events.push(event),
                Err(error) => self.leave_out(&id(record), &error),
            }
        }
        events
    }

    /// Sends events until the receiver has all of them. Says whether it has: once `last` is cancelled, a failure is the end.
    pub(super) async fn send(&mut self, events: &[Event], last: &CancellationToken) -> bool {
        let webhook = Arc::clone(&self.webhook);
        let mut parts = webhook.events.parts(events);
        parts.reverse();
        while let Some(part) = parts.pop() {
            let Some(first) = part.first() else { continue };
            let age = now_ms().saturating_sub(first.at_ms).max(0);
            self.of.lag.set(age as f64 / 1e3);
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
                    self.of.sent.inc_by(part.len() as u64);
                    self.over();
                    continue;
                }
                Err(failure) => failure,
            };
            self.of.errors.inc();
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
        let one = self.of.one;
        if self.failed == 0 {
            tracing::warn!(error = %failure, event = id, "the receiver does not take webhooks; the events of each {one} wait");
        }
        let why = format!("{failure}; {one} {id} waits");
        self.failing.note(self.of.label, Some(why));
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
            self.failing.note(self.of.label, None);
            self.failed = 0;
        }
    }

    fn leave_out(&self, id: &str, error: &Failure) {
        let one = self.of.one;
        tracing::error!(event = id, %error, "what is no event cannot be sent: {one}");
        self.of.refused.inc();
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
