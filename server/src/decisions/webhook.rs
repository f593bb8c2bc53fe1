//! Webhooks: decisions and the audit trail go to a receiver over HTTP, signed as Standard Webhooks say, at least once and each
//! of the two in its order.
//!
//! ```text
//! writer ─► Writer: what may go out ─► spool on disk ─► Sender ──┐
//!                 events.rs            webhook-spool    sender.rs├─► Delivery: one request at a time ─► receiver
//! audit trail in the database ─────────────────────► Follower ───┘      each; delivery.rs
//!                 behind a place on disk (cursor.rs)    trail.rs
//! ```
//!
//! # Invariants
//!
//! - A batch has left the queue when it is on disk in a spool of its own. What waits there survives a crash, and is removed when
//!   the receiver answered 2xx to all of it. So each decision arrives at least once; one that comes again has the same id, and a
//!   request that comes again the same `webhook-id`, also after a restart.
//! - Nothing is passed over but what no receiver could ever get (an event that cannot be written, or is larger than the spool),
//!   which is counted as `refused` and stands in the server's own log. What the receiver refuses waits, with all behind it.
//! - No context leaves: events have no field for one, and the spool holds none. Of usage, its numbers and names do.
//! - Decisions do not wait for the audit trail, nor it for them: an event that the receiver refuses holds up its own kind.

mod cursor;
mod delivery;
mod events;
mod sender;
mod trail;

pub(crate) use sender::Sender;
pub(crate) use trail::Follower;

use super::config;
use super::spool::Spool;
use super::thread::Thread;
use super::writer::push;
use super::{LogError, Shared};
use crate::storage::model::DecisionRecord;
use crate::telemetry::Metrics;
use crate::telemetry::metrics::{Dropped, WebhookMetrics};
use arc_swap::ArcSwap;
use events::{Events, Request};
use policy_integrations::webhook::{Key, WebhookError, sign};
use policy_integrations::{BreakerSettings, Call, Failure, Repeat, RetrySettings, Settings, Transport};
use secrecy::{ExposeSecret as _, SecretString};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::time::timeout;
use zeroize::Zeroizing;

/// The spool as readiness calls it.
const SPOOL: &str = "webhook spool";

/// The audit trail as readiness is told of it.
pub(super) const AUDIT: &str = "webhook, audit trail";

/// How long is waited where the spool takes nothing; then that is tried again.
const RETRY: Duration = Duration::from_secs(5);

/// What requests are signed with, and what proves to the receiver who sends them; may be replaced. Cheap to clone; clones are
/// one.
#[derive(Debug, Clone)]
pub struct Secrets(Arc<ArcSwap<Keys>>);

#[derive(Debug)]
struct Keys {
    keys: Vec<Key>,
    token: Option<SecretString>,
}

impl Keys {
    fn of(webhook: &config::Webhook) -> Result<Self, WebhookError> {
        Ok(Self {
            keys: webhook.secrets.iter().map(Key::parse).collect::<Result<_, _>>()?,
            token: webhook.token.clone(),
        })
    }
}

impl Secrets {
    /// Signs with these from now on.
    ///
    /// # Errors
    ///
    /// When one of them is none; those before stay.
    pub fn replace(&self, webhook: &config::Webhook) -> Result<(), WebhookError> {
        self.0.store(Arc::new(Keys::of(webhook)?));
        Ok(())
    }
}

/// The receiver, and what waits for it.
#[derive(Debug)]
pub(crate) struct Webhook {
    spool: Arc<Spool>,
    events: Events,
    transport: Transport,
    /// Path and query of the receiver.
    path: String,
    secrets: Secrets,
    backoff: Duration,
    metrics: WebhookMetrics,
}

impl Webhook {
    /// Opens the spool; connects to nobody yet. Blocks for the reading of files.
    pub(crate) fn open(config: &config::Webhook, metrics: &Metrics) -> Result<Self, LogError> {
        let unusable = |why: &dyn std::fmt::Display| LogError::Webhook(why.to_string());
        let uri: http::Uri = config
            .url
            .expose()
            .parse()
            .map_err(|_| unusable(&"the URL is none"))?;
        let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
            return Err(unusable(&"the URL has no host"));
        };
        let mut settings = Settings::new(&format!("{scheme}://{authority}"))
            .map_err(|error| unusable(&error))?
            .attempt_timeout(config.timeout)
            .total_timeout(config.timeout.saturating_mul(2))
            // The sender repeats, for as long as it takes.
            .retry(RetrySettings {
                retries: 0,
                ..RetrySettings::default()
            })
            .breaker(BreakerSettings {
                failures: 0,
                ..BreakerSettings::default()
            });
        if let Some(path) = &config.ca {
            let pem = crate::tls::authorities(path).map_err(|error| unusable(&error))?;
            settings = settings.ca_pem(&pem).map_err(|error| unusable(&error))?;
        }
        let keys = Keys::of(config).map_err(|error| unusable(&error))?;
        let place = &config.spool.directory;
        let spool = Spool::open(place, config.spool.bytes).map_err(|error| {
            unusable(&format_args!(
                "cannot keep events in {}: {error}",
                place.display()
            ))
        })?;
        let metrics = metrics.webhook(spool.most());
        metrics.spool.set(spool.bytes() as f64);
        if !spool.is_empty() {
            tracing::info!(
                bytes = spool.bytes(),
                "events of an earlier run wait for the receiver of webhooks"
            );
        }
        Ok(Self {
            spool: Arc::new(spool),
            events: Events::of(config),
            transport: Transport::new(settings).map_err(|error| unusable(&error))?,
            path: uri.path_and_query().map_or("/", |path| path.as_str()).to_owned(),
            secrets: Secrets(Arc::new(ArcSwap::from_pointee(keys))),
            backoff: config.backoff,
            metrics,
        })
    }

    /// What requests are signed with.
    pub(crate) fn secrets(&self) -> &Secrets {
        &self.secrets
    }

    /// Says what is left for the next start.
    pub(crate) fn say_what_is_left(&self) {
        if !self.spool.is_empty() {
            tracing::warn!(
                bytes = self.spool.bytes(),
                directory = %self.spool.directory().display(),
                "events are kept on disk, and are sent to the receiver of webhooks after the next start"
            );
        }
    }

    /// One attempt. `Ok` is that the receiver has it.
    async fn post(&self, request: &Request) -> Result<(), Failure> {
        let secrets = self.secrets.0.load_full();
        let keys: Vec<&Key> = secrets.keys.iter().collect();
        let signed = sign(&keys, &request.id, SystemTime::now(), &request.body)
            .map_err(|error| Failure::InvalidRequest(error.to_string()))?;
        let mut call = Call::post(&self.path, request.content_type, request.body.clone())
            .repeat(Repeat::Key(request.id.clone()))
            .status_only();
        for (name, value) in signed.headers() {
            call = call.header(name, value)?;
        }
        if let Some(token) = &secrets.token {
            let token = Zeroizing::new(format!("Bearer {}", token.expose_secret()));
            call = call.header("authorization", &token)?;
        }
        self.transport.call(&call).await.map(drop)
    }
}

/// Warns where events wait and nobody sends them.
pub(crate) fn look_for_left_behind(data_dir: &Path) {
    let directory = data_dir.join(config::WEBHOOK_SPOOL);
    if super::spool::is_left_behind(&directory) {
        let directory = directory.display();
        tracing::warn!(%directory, "events wait on disk for a receiver of webhooks, and DECISION_LOG names none");
    }
}

/// Puts decisions into the spool.
#[derive(Debug)]
pub(crate) struct Writer {
    webhook: Arc<Webhook>,
    shared: Arc<Shared>,
    /// It was said that the disk takes nothing more.
    stuck: bool,
}

impl Writer {
    pub(crate) fn new(webhook: Arc<Webhook>, shared: &Arc<Shared>) -> Self {
        Self {
            webhook,
            shared: Arc::clone(shared),
            stuck: false,
        }
    }

    /// Keeps a batch, however often it takes.
    pub(crate) async fn write(&mut self, disk: &Thread, records: &[DecisionRecord]) {
        let Webhook {
            spool,
            events,
            metrics,
            ..
        } = &*self.webhook;
        let kept: Vec<DecisionRecord> = records.iter().filter_map(|record| events.keep(record)).collect();
        metrics.skipped.inc_by((records.len() - kept.len()) as u64);
        let (kept, mut done) = (Arc::new(kept), 0);
        while let Some(next) = kept.get(done) {
            let pushed = push(disk, spool, &kept, done).await;
            done += pushed.kept;
            metrics.spool.set(spool.bytes() as f64);
            if done == kept.len() {
                break;
            }
            let news = !std::mem::replace(&mut self.stuck, true);
            let directory = spool.directory().display();
            if let Some(error) = pushed.failed {
                self.shared.metrics.errors(SPOOL).inc();
                self.shared.failing.note(SPOOL, Some(error.to_string()));
                if news {
                    tracing::error!(%error, %directory, "events cannot be kept on disk; decisions wait in the queue");
                }
            } else if spool.is_empty() && pushed.kept == 0 {
                let decision = next.id();
                tracing::error!(%decision, most = spool.most(), "a decision is larger than WEBHOOK_SPOOL, and is not sent");
                self.shared.metrics.dropped(Dropped::Refused).inc();
                done += 1;
                continue;
            } else {
                self.shared.failing.note(SPOOL, Some("it is full".to_owned()));
                if news {
                    tracing::error!(most = spool.most(), %directory, "the spool of webhooks is full; decisions wait in the queue");
                }
            }
            // The sender makes room. What others remove from a full disk nobody tells, so the wait has an end.
            drop(timeout(RETRY, spool.room.notified()).await);
        }
        if std::mem::take(&mut self.stuck) {
            self.shared.failing.note(SPOOL, None);
        }
    }
}
