//! Reports what this server runs to the central server that it follows: `STATUS_URL`.
//!
//! A report goes out every `STATUS_INTERVAL`, and at once when something else decides. One that does not arrive is not kept:
//! the next one says what is so then. Readiness is degraded meanwhile, and decisions are made as ever.

pub mod config;

use super::bundle::Token;
use crate::active::Info;
use crate::edges::{LONGEST_TEXT, MOST_ERRORS};
use crate::state::App;
use policy_integrations::{EdgeClient, EdgeStatus, Settings, SettingsError};
use secrecy::{ExposeSecret as _, SecretString};
use std::time::Duration;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// What readiness calls it.
const DEPENDENCY: &str = "status reports";

/// How often is looked whether something else decides.
const LOOK: Duration = Duration::from_millis(500);

/// Reports to one central server.
#[derive(Debug)]
pub struct Reporter {
    /// Where this edge reports.
    url: String,
    edge: String,
    interval: Duration,
    token: Token,
}

impl Reporter {
    /// One that has not reported yet, and sends this token.
    #[must_use]
    pub fn new(config: &config::Config, token: Token) -> Self {
        let base = config.url.expose().trim_end_matches('/');
        Self {
            url: format!("{base}/api/v1/edges/{}/status", config.edge),
            edge: config.edge.clone(),
            interval: config.interval,
            token,
        }
    }

    /// Runs until cancelled.
    pub async fn run(self, app: App, stop: CancellationToken) {
        let mut reported: Option<(String, Option<String>)> = None;
        let mut next = Instant::now();
        loop {
            let info = app.service.active.info();
            let runs = info.ready.then(|| (info.revision.clone(), info.digest.clone()));
            // Before anything is loaded there is nothing to say that would be true a moment later.
            let news = runs.is_some() && runs != reported;
            if (news && reported.is_some()) || Instant::now() >= next && runs.is_some() {
                let result = tokio::select! {
                    () = stop.cancelled() => return,
                    result = self.report(&app, &info) => result,
                };
                next = Instant::now() + self.interval;
                // What did not arrive is not sent again at once, but when it is due.
                reported = runs;
                app.health.note(DEPENDENCY, result.err());
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(LOOK.min(self.interval)) => {}
            }
        }
    }

    async fn report(&self, app: &App, info: &Info) -> Result<(), String> {
        let client = self.client().map_err(|error| error.to_string())?;
        client
            .report(&self.status(app, info))
            .await
            .map_err(|error| error.to_string())
    }

    /// Made anew for each report, because the token may be another one.
    fn client(&self) -> Result<EdgeClient, SettingsError> {
        let mut settings = Settings::new(&self.url)?;
        if let Some(token) = self.token.current() {
            settings = settings.bearer(SecretString::from(token.expose_secret().to_owned()));
        }
        EdgeClient::from_settings(settings.clone(), Some(settings))
    }

    fn status(&self, app: &App, info: &Info) -> EdgeStatus {
        let own = format!("{DEPENDENCY}: ");
        let errors = app.health.readiness(info).reasons.into_iter();
        let since = jiff::Timestamp::from_millisecond(info.activated_ms).ok();
        EdgeStatus {
            edge_id: self.edge.clone(),
            revision: Some(cut(info.revision.clone())),
            digest: info.digest.clone(),
            since: since.map(|since| format!("{since:.3}")),
            errors: errors
                .filter(|error| !error.starts_with(&own))
                .map(cut)
                .take(MOST_ERRORS)
                .collect(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
        }
    }
}

/// A text as long as a report takes.
fn cut(mut text: String) -> String {
    text.truncate(text.floor_char_boundary(LONGEST_TEXT));
    text
}
