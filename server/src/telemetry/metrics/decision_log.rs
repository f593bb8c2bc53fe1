//! What the decision log and its webhooks are counted with.

use super::families::Families;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

/// What the decision log counts with.
#[derive(Debug, Clone)]
pub(crate) struct LogMetrics {
    pub(crate) queue: Gauge<f64, AtomicU64>,
    pub(crate) pruned: Counter,
    /// Bytes on disk.
    pub(crate) spool: Gauge<f64, AtomicU64>,
    pub(crate) spooled: Counter,
    pub(crate) replayed: Counter,
    pub(crate) sealed: Counter,
    pub(super) families: Arc<Families>,
}

impl LogMetrics {
    pub(crate) fn written(&self, sink: &'static str) -> Counter {
        self.families.log_written.with([sink])
    }

    pub(crate) fn errors(&self, sink: &'static str) -> Counter {
        self.families.log_errors.with([sink])
    }

    pub(crate) fn dropped(&self, why: Dropped) -> Counter {
        self.families.log_dropped.with([why.as_str()])
    }

    pub(crate) fn withheld(&self, why: Withheld) -> Counter {
        self.families.log_withheld.with([why.as_str()])
    }
}

/// Why a decision is not in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dropped {
    /// The queue was full, and `DECISION_LOG_OVERFLOW` is `drop`.
    Overflow,
    /// It came after the log was closed.
    Closed,
    /// A sink refused it for what it is.
    Refused,
    /// The time to write it at the end was over.
    Shutdown,
    /// It waited on disk, and was damaged there.
    Damaged,
    /// It was being put on disk when the process ended.
    Torn,
}

impl Dropped {
    pub(crate) const ALL: [Self; 6] = [
        Self::Overflow,
        Self::Closed,
        Self::Refused,
        Self::Shutdown,
        Self::Damaged,
        Self::Torn,
    ];

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Overflow => "overflow",
            Self::Closed => "closed",
            Self::Refused => "refused",
            Self::Shutdown => "shutdown",
            Self::Damaged => "damaged",
            Self::Torn => "torn",
        }
    }
}

/// Why a decision is in the log without its context.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Withheld {
    /// It could not be masked.
    Mask,
    /// It could not be encrypted.
    Seal,
}

impl Withheld {
    pub(crate) const ALL: [Self; 2] = [Self::Mask, Self::Seal];

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Mask => "mask",
            Self::Seal => "seal",
        }
    }
}

/// What webhooks are counted with.
#[derive(Debug, Clone)]
pub(crate) struct WebhookMetrics {
    /// Bytes on disk.
    pub(crate) spool: Gauge<f64, AtomicU64>,
    pub(crate) lag: Gauge<f64, AtomicU64>,
    pub(crate) skipped: Counter,
    pub(crate) audit_sent: Counter,
    pub(crate) audit_lag: Gauge<f64, AtomicU64>,
    pub(crate) audit_missing: Counter,
    pub(super) families: Arc<Families>,
}

impl WebhookMetrics {
    /// A request was answered with this status, or not at all.
    pub(crate) fn answered(&self, status: Option<u16>) {
        let label = match status.map(|status| status / 100) {
            Some(2) => "2xx",
            Some(3) => "3xx",
            Some(4) => "4xx",
            Some(5) => "5xx",
            Some(_) | None => "none",
        };
        self.families.webhook_answers.with([label]).inc();
    }
}
