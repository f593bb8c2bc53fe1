//! Sends what waits in the spool until the receiver has it ([`Delivery`]).
//!
//! # Invariants
//!
//! - A segment is removed when the receiver has all that can be read of it. Stopped before, all of it is sent again, in the same
//!   requests with the same ids.

use super::Webhook;
use super::delivery::{Delivery, Of};
use crate::decisions::Shared;
use crate::decisions::config::Sink;
use crate::decisions::drain::Drain;
use crate::telemetry::metrics::Dropped;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// Sends webhooks of decisions.
pub(crate) struct Sender {
    webhook: Arc<Webhook>,
    shared: Arc<Shared>,
    delivery: Delivery,
}

impl Sender {
    pub(crate) fn new(webhook: Arc<Webhook>, shared: &Arc<Shared>) -> Self {
        let label = Sink::Webhook.label();
        let of = Of {
            label,
            one: "decision",
            sent: shared.metrics.written(label),
            refused: shared.metrics.dropped(Dropped::Refused),
            errors: shared.metrics.errors(label),
            lag: webhook.metrics.lag.clone(),
        };
        Self {
            delivery: Delivery::new(&webhook, &shared.failing, of),
            webhook,
            shared: Arc::clone(shared),
        }
    }

    /// Runs until `last` is cancelled, and from then on for as long as there is something and the receiver takes it.
    pub(crate) async fn run(mut self, last: &CancellationToken) {
        let Webhook {
            spool,
            events,
            metrics,
            ..
        } = &*self.webhook;
        let names = (super::SPOOL, "events");
        let mut drain = match Drain::start(spool, names, &self.shared.metrics, &self.shared.failing) {
            Ok(drain) => drain,
            Err(error) => {
                tracing::error!(%error, "webhooks have no thread; what is in their spool waits for the next start");
                return last.cancelled().await;
            }
        };
        loop {
            if spool.is_empty() {
                self.delivery.nothing_waits();
            }
            let Some(segment) = drain.next(last).await else {
                return;
            };
            let all = self.delivery.events(
                segment.records(),
                |record| events.event(record),
                |record| record.id().to_string(),
            );
            if !self.delivery.send(&all, last).await {
                return;
            }
            drain.done(segment).await;
            metrics.spool.set(spool.bytes() as f64);
        }
    }
}
