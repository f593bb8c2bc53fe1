//! Sends the audit trail: reads the records behind the last one that the receiver has, gives them to it, and notes how far it
//! came.
//!
//! # Invariants
//!
//! - The trail in the database is the queue: a record that was not acknowledged is read again, whatever happens here. So there is
//!   no second copy on disk, no bound that it could reach, and nothing to lose but the database.
//! - Records are sent in the order of their numbers. The store gives out numbers under a lock that is held until the change is
//!   committed (`storage/queries.rs`), so no record ever appears behind one with a higher number.
//! - The next record is sent when the place behind the last one is on disk. What was sent after the last place that is on disk
//!   comes again after a restart, with the same ids.
//! - Where the trail has not the record of the place (another database, one restored from a backup, a file that cannot be understood),
//!   it is sent from its first record on. Nobody knows what the receiver has of it then; its ids tell.
//! - A number that is missing is counted and said, and what follows is sent.
//!
//! # Not done here
//!
//! Sending once where several servers share a database: each of them sends all records. They have the same ids.

use super::cursor::{Cursor, Found, Place};
use super::delivery::{Delivery, Of};
use super::{AUDIT, Webhook, events};
use crate::decisions::Shared;
use crate::decisions::config;
use crate::decisions::replay::{Pause, no_answer};
use crate::decisions::thread::Thread;
use crate::storage::Store;
use crate::storage::model::AuditRecord;
use prometheus_client::metrics::counter::Counter;
use std::sync::Arc;
use std::time::Duration;
use std::{fmt, io};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

/// Records read at once.
const PAGE: u32 = 100;

/// How often is looked for new records.
const POLL: Duration = Duration::from_secs(1);

/// How long a start waits for the place to begin at.
const FIRST: Duration = Duration::from_secs(2);

/// Follows the audit trail of a store.
pub(crate) struct Follower {
    webhook: Arc<Webhook>,
    store: Arc<dyn Store>,
    cursor: Cursor,
    /// Up to where the receiver has the trail.
    found: Found,
    /// That is on disk.
    noted: bool,
    /// Without a place, begins before the first record.
    all: bool,
    thread: Thread,
    delivery: Delivery,
    pause: Pause,
    missing: Counter,
}

/// How far a step came.
enum Step {
    /// There may be more.
    More,
    /// There is nothing for now.
    End,
    /// There was no time to go on.
    Stopped,
}

impl Follower {
    /// Reads how far an earlier run came. Blocks for the reading of a file.
    ///
    /// # Errors
    ///
    /// When there is such a file and it cannot be read, or the system has no thread left.
    pub(crate) fn open(
        webhook: &Arc<Webhook>,
        store: Arc<dyn Store>,
        shared: &Shared,
        config: &config::WebhookAudit,
    ) -> io::Result<Self> {
        let failing = &shared.failing;
        let metrics = &webhook.metrics;
        let of = Of {
            label: AUDIT,
            one: "audit record",
            sent: metrics.audit_sent.clone(),
            refused: metrics.audit_missing.clone(),
            errors: shared.metrics.errors(config::Sink::Webhook.label()),
            lag: metrics.audit_lag.clone(),
        };
        let lines = [
            "audit records cannot be sent; they wait in the database",
            "audit records are sent again",
        ];
        let cursor = Cursor {
            path: config.cursor.clone(),
        };
        let found = cursor.read()?;
        Ok(Self {
            store,
            noted: matches!(found, Found::Place(_)),
            found,
            cursor,
            all: config.all,
            thread: Thread::start("webhook-audit")?,
            delivery: Delivery::new(webhook, failing, of),
            pause: Pause::with_lines(AUDIT, lines, failing),
            missing: metrics.audit_missing.clone(),
            webhook: Arc::clone(webhook),
        })
    }

    /// Finds the place to begin at, before anything is changed through this server. Where that fails, [`Follower::run`] does it.
    pub(crate) async fn begin(&mut self) {
        let error = match timeout(FIRST, self.place()).await {
            Ok(Ok(_)) => return,
            Ok(Err(error)) => error,
            Err(_) => format!("no answer within {FIRST:?}"),
        };
        tracing::warn!(%error, "it cannot be noted yet from where on the audit trail is sent");
    }

    /// Runs until `last` is cancelled, and from then on until all records are sent, or something fails.
    pub(crate) async fn run(mut self, last: &CancellationToken) {
        loop {
            match self.step(last).await {
                Ok(step) => {
                    self.pause.over();
                    match step {
                        Step::More => {}
                        Step::Stopped => return,
                        Step::End if last.is_cancelled() => return,
                        Step::End => tokio::select! {
                            () = sleep(POLL) => {}
                            () = last.cancelled() => {}
                        },
                    }
                }
                Err(error) => tokio::select! {
                    () = self.pause.after(&error) => {}
                    () = last.cancelled() => return,
                },
            }
        }
    }

    /// Sends the next records.
    async fn step(&mut self, last: &CancellationToken) -> Result<Step, String> {
        let place = self.place().await?;
        let records = tokio::select! {
            records = self.behind(place) => records?,
            () = no_answer(last) => return Ok(Step::Stopped),
        };
        let Some(records) = records else {
            tracing::warn!(
                seq = place.seq,
                "the audit trail has not the record up to which it was sent; it is sent from its first record on"
            );
            self.moved_to(Place::START);
            return Ok(Step::More);
        };
        let Some(end) = records.last().map(Place::of) else {
            self.delivery.nothing_waits();
            return Ok(Step::End);
        };
        self.look_for_gaps(place, &records);
        let events = self.delivery.events(
            &records,
            |record| self.webhook.events.audit(record),
            events::audit_id,
        );
        if !self.delivery.send(&events, last).await {
            return Ok(Step::Stopped);
        }
        self.moved_to(end);
        self.place().await?;
        Ok(Step::More)
    }

    /// Up to where the receiver has the trail, or shall not get it. That is on disk then.
    async fn place(&mut self) -> Result<Place, String> {
        let place = match self.found {
            Found::Place(place) => place,
            Found::Damaged => {
                let file = self.cursor.path.display();
                tracing::error!(%file, "it is not known up to where the audit trail was sent; it is sent from its first record on");
                Place::START
            }
            Found::Nothing if self.all => Place::START,
            Found::Nothing => {
                let head = self.store.audit_head().await;
                let (seq, hash) = head.map_err(|error| error.to_string())?;
                Place { seq, hash }
            }
        };
        if self.found == Found::Nothing {
            let after = place.seq;
            tracing::info!(
                after,
                "the audit trail is sent by webhook from after this record on"
            );
        }
        if self.found != Found::Place(place) {
            self.moved_to(place);
        }
        if !self.noted {
            let cursor = self.cursor.clone();
            let written = self.thread.run(move || cursor.write(place)).await;
            written.and_then(|written| written).map_err(|error| {
                let file = self.cursor.path.display();
                format!("{file} cannot be written: {error}")
            })?;
            self.noted = true;
        }
        Ok(place)
    }

    fn moved_to(&mut self, place: Place) {
        self.found = Found::Place(place);
        self.noted = false;
    }

    /// Records behind a place; `None` where the trail has not this place.
    async fn behind(&self, place: Place) -> Result<Option<Vec<AuditRecord>>, String> {
        let read = self.store.audit(place.seq.saturating_sub(1), PAGE).await;
        let mut records = read.map_err(|error| error.to_string())?;
        if place != Place::START {
            if records.first().map(Place::of) != Some(place) {
                return Ok(None);
            }
            records.remove(0);
        }
        Ok(Some(records))
    }

    fn look_for_gaps(&self, place: Place, records: &[AuditRecord]) {
        let mut before = place.seq;
        for record in records {
            let missing = record.seq.saturating_sub(before).saturating_sub(1);
            if missing > 0 {
                let (after, seq) = (before, record.seq);
                tracing::error!(
                    after,
                    seq,
                    missing,
                    "audit records between these two are missing in the database"
                );
                self.missing.inc_by(missing);
            }
            before = record.seq;
        }
    }
}

impl fmt::Debug for Follower {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Follower")
            .field("found", &self.found)
            .finish_non_exhaustive()
    }
}
