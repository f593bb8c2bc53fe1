//! Edge servers: they pull what a central `policyd` decides with, and report what they run.
//!
//! Pulling is `GET /api/v1/bundle` of `policyd`, by this repository's own OpenAPI document. The edge agent of `LLM-Dev-Ops`
//! (commit c50c47e) has no route to deploy to, so that nothing is pushed. Reports go to a URL that the operator names; `policyd` takes them
//! at `POST /api/v1/edges/{id}/status`.
//!
//! # Not done here
//!
//! The bytes are not looked at: load them with `policy_runtime`, which verifies digest and signatures, and keep what runs when that
//! fails.

use crate::failure::Failure;
use crate::json::write_json;
use crate::settings::{Settings, SettingsError};
use crate::transport::{Call, Repeat, Transport};
use bytes::Bytes;
use http::StatusCode;
use http::header::{CONTENT_TYPE, ETAG};
use serde::Serialize;

/// Bytes of a bundle that are read, where the settings say nothing: 64 MiB.
const MAX_BUNDLE: usize = 64 * 1024 * 1024;

/// A client of a central `policyd`. Cheap to clone.
///
/// ```no_run
/// use policy_integrations::{EdgeClient, Fetched, Settings};
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let central = Settings::new("https://policies.example.org")?.bearer("token".to_owned().into());
/// let edge = EdgeClient::from_settings(central, None)?;
/// match edge.bundle(None).await? {
///     Fetched::New { bytes, tag } => println!("{} bytes, {tag}", bytes.len()),
///     Fetched::Unchanged => println!("as before"),
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct EdgeClient {
    central: Transport,
    status: Transport,
}

/// What the central server decides with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fetched {
    /// What the caller has already.
    Unchanged,
    /// A bundle that the caller does not have.
    New {
        /// The bundle, not verified.
        bytes: Bytes,
        /// Its `ETag`, for the next call.
        tag: String,
    },
}

/// What an edge server runs, for a report.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct EdgeStatus {
    /// Which edge server.
    pub edge_id: String,
    /// The revision of the bundle that decides; `None` where none does.
    pub revision: Option<String>,
    /// The digest of the bundle that decides; `None` where none does.
    pub digest: Option<String>,
    /// Since when it decides, as RFC 3339 writes it.
    pub since: Option<String>,
    /// What goes wrong at the moment.
    pub errors: Vec<String>,
    /// The version of the program.
    pub version: String,
}

impl EdgeClient {
    /// A client with the usual settings, which reports to nobody.
    ///
    /// # Errors
    ///
    /// What is wrong with the URL.
    pub fn new(url: &str) -> Result<Self, SettingsError> {
        Self::from_settings(Settings::new(url)?, None)
    }

    /// A client of a central server, which reports to the URL of `status`, if there is one. Answers of 64 MiB are read where
    /// the settings of the central server say nothing.
    ///
    /// # Errors
    ///
    /// What is wrong with the settings.
    pub fn from_settings(central: Settings, status: Option<Settings>) -> Result<Self, SettingsError> {
        Ok(Self {
            central: Transport::with_max_answer(central, MAX_BUNDLE)?,
            status: status.map_or_else(|| Ok(Transport::disabled()), Transport::new)?,
        })
    }

    /// No server: every call is [`Failure::Disabled`].
    #[must_use]
    pub fn disabled() -> Self {
        Self {
            central: Transport::disabled(),
            status: Transport::disabled(),
        }
    }

    /// The way to the central server, for the state of its circuit breaker.
    #[must_use]
    pub fn transport(&self) -> &Transport {
        &self.central
    }

    /// The bundle that is deployed on the central server and decides there, unless it is the one with this tag. Needs `policy:read`,
    /// and no limit to namespaces.
    ///
    /// # Errors
    ///
    /// Why it is not known. Keep what runs.
    pub async fn bundle(&self, known: Option<&str>) -> Result<Fetched, Failure> {
        let mut call = Call::get("/api/v1/bundle").header("accept", "application/octet-stream")?;
        if let Some(tag) = known {
            call = call
                .header("if-none-match", tag)?
                .expect(&[StatusCode::OK, StatusCode::NOT_MODIFIED]);
        }
        let answer = self.central.call(&call).await?;
        if answer.status == StatusCode::NOT_MODIFIED {
            return Ok(Fetched::Unchanged);
        }
        let header = |name| answer.headers.get(name).and_then(|value| value.to_str().ok());
        if header(CONTENT_TYPE) != Some("application/octet-stream") || answer.body.is_empty() {
            return Err(Failure::OddAnswer("it is no bundle".to_owned()));
        }
        let tag = header(ETAG).ok_or_else(|| Failure::OddAnswer("it has no `ETag`".to_owned()))?;
        Ok(Fetched::New {
            tag: tag.to_owned(),
            bytes: answer.body,
        })
    }

    /// Reports what runs here. A later report replaces an earlier one, so that it may be sent again.
    ///
    /// # Errors
    ///
    /// Why it is not known that it arrived.
    pub async fn report(&self, status: &EdgeStatus) -> Result<(), Failure> {
        let body = write_json(status)?;
        let call = Call::post("", "application/json", Bytes::from(body))
            .repeat(Repeat::Idempotent)
            .expect(&[
                StatusCode::OK,
                StatusCode::CREATED,
                StatusCode::ACCEPTED,
                StatusCode::NO_CONTENT,
            ]);
        self.status.call(&call).await.map(|_| ())
    }
}
