//! What a server says about itself: logs, metrics and traces.
//!
//! `main` calls [`start`] before anything else that may log, hands the [`Metrics`] to the parts, and
//! [`Telemetry::shutdown`] after the last of them has stopped.
//!
//! # Invariants
//!
//! - Nothing here makes a request fail or wait: logs go to stderr, metrics are atomics, spans that cannot be sent are
//!   dropped by the exporter.
//! - Metrics have no global state. The subscriber of `tracing` is the one global, set once by [`start`].
//!
//! # Not done here
//!
//! The decision log is no telemetry: nothing of it may be lost. It lives in [`crate::decisions`].

pub mod config;
pub mod logs;
pub mod metrics;
pub mod request;
mod sparing;
pub mod traces;

use std::time::Duration;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

pub use logs::LevelHandle;
pub use metrics::Metrics;
pub use request::Request;
pub use traces::Traces;

/// Target of the lines about what the compiler warns of.
pub const WARNINGS: &str = "policy_server::warnings";
/// Target of the lines about changes that callers made.
pub const WRITES: &str = "policy_server::writes";
/// Target of the lines about requests that were refused.
pub const REFUSALS: &str = "policy_server::refusals";
/// Target of the lines about single decisions.
pub const EVALUATIONS: &str = "policy_server::evaluations";

/// Why telemetry could not be started.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TelemetryError {
    /// `LOG_LEVEL` is not a filter.
    #[error("LOG_LEVEL is not a filter: {0}")]
    Level(String),
    /// `OTLP_ENDPOINT` is not an address that spans can be sent to.
    #[error("OTLP_ENDPOINT cannot be used: {0}")]
    Exporter(String),
    /// A subscriber is set already.
    #[error("logging is started already")]
    AlreadyStarted,
}

/// Running logs and traces.
#[derive(Debug)]
pub struct Telemetry {
    /// Changes the log level of the running server.
    pub level: LevelHandle,
    /// Sends spans; `None` where `TRACE_ENABLED` is off.
    pub traces: Option<Traces>,
}

/// Starts logs, and traces where they are on. Call it inside a tokio runtime: the exporter's connection lives there.
///
/// # Errors
///
/// - [`TelemetryError::Level`] — the level is not a filter.
/// - [`TelemetryError::Exporter`] — the endpoint is no address. A collector that is down is no error.
/// - [`TelemetryError::AlreadyStarted`] — it was called before.
pub fn start(config: &config::Config) -> Result<Telemetry, TelemetryError> {
    let (log_layer, level) = logs::layer(config, std::io::stderr)?;
    let traces = config
        .otlp
        .as_deref()
        .map(|endpoint| Traces::start(endpoint, config.sample))
        .transpose()?;
    let registry = tracing_subscriber::registry().with(log_layer);
    // Without a layer for traces, and not with an empty one: it would ask for every span.
    match &traces {
        Some(traces) => registry.with(traces.layer()).try_init(),
        None => registry.try_init(),
    }
    .map_err(|_| TelemetryError::AlreadyStarted)?;
    Ok(Telemetry { level, traces })
}

impl Telemetry {
    /// Sends the spans that wait, for at most `deadline`. Says whether all of them could be handed over.
    pub async fn shutdown(self, deadline: Duration) -> bool {
        match self.traces {
            Some(traces) => traces.shutdown(deadline).await,
            None => true,
        }
    }
}
