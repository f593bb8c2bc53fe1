//! What a client is told of its service: URL, deadlines, credentials, certificates.
//!
//! # Invariants
//!
//! - A URL holds no credentials: what is in a URL gets into logs.
//! - Credentials go over TLS or to this machine, unless the settings say that plain HTTP may carry them.
//! - No secret is printed: [`SecretString`] stands for them all, and `Debug` shows none.

use crate::breaker::BreakerSettings;
use crate::clock::{Clock, SystemClock};
use crate::connect::certificates;
use crate::retry::RetrySettings;
use http::Uri;
use http::uri::Scheme;
use rustls_pki_types::CertificateDer;
use secrecy::{ExposeSecret as _, SecretString};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// Bytes of an answer that are read, where nothing else is said: 1 MiB.
pub const DEFAULT_MAX_ANSWER: usize = 1024 * 1024;

/// What a client is told of its service.
///
/// ```
/// use policy_integrations::Settings;
/// use std::time::Duration;
///
/// let settings = Settings::new("https://shield.example.org")?
///     .bearer("a-secret-token".to_owned().into())
///     .attempt_timeout(Duration::from_millis(150))
///     .total_timeout(Duration::from_millis(400));
/// assert!(!format!("{settings:?}").contains("a-secret-token"));
/// # Ok::<(), policy_integrations::SettingsError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Settings {
    pub(crate) url: BaseUrl,
    pub(crate) attempt: Duration,
    pub(crate) total: Duration,
    pub(crate) retry: RetrySettings,
    pub(crate) breaker: BreakerSettings,
    pub(crate) max_answer: Option<usize>,
    pub(crate) ca: Option<Vec<CertificateDer<'static>>>,
    pub(crate) credentials: Credentials,
    pub(crate) plain_credentials: bool,
    pub(crate) clock: Arc<dyn Clock>,
}

/// Who the client says that it is.
#[derive(Clone, Debug)]
pub(crate) enum Credentials {
    Nobody,
    Bearer(SecretString),
    Caller { id: String, secret: SecretString },
}

/// Why settings are refused. Repeats neither URLs nor secrets.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SettingsError {
    /// The URL is not `http://` or `https://` with a host.
    #[error("the URL is not usable: {0}")]
    Url(&'static str),
    /// The PEM text holds no certificate, or one that cannot be read.
    #[error("the CA certificates are not usable: {0}")]
    Certificate(String),
    /// A token or id that cannot stand in a header.
    #[error("the credentials are not usable: {0}")]
    Credentials(&'static str),
    /// Credentials would go over plain HTTP to another machine.
    #[error("credentials are not sent over plain HTTP to another machine; use https")]
    PlainCredentials,
    /// A deadline of zero.
    #[error("the deadlines are not usable: {0}")]
    Deadlines(&'static str),
}

impl Settings {
    /// Settings for the service at a URL: two seconds for an attempt, five for a call, two retries, 1 MiB of answer, the usual roots
    /// of the web, no credentials.
    ///
    /// # Errors
    ///
    /// [`SettingsError::Url`] for anything but `http://` or `https://` with a host and, perhaps, a path.
    pub fn new(url: &str) -> Result<Self, SettingsError> {
        Ok(Self {
            url: BaseUrl::parse(url)?,
            attempt: Duration::from_secs(2),
            total: Duration::from_secs(5),
            retry: RetrySettings::default(),
            breaker: BreakerSettings::default(),
            max_answer: None,
            ca: None,
            credentials: Credentials::Nobody,
            plain_credentials: false,
            clock: Arc::new(SystemClock),
        })
    }

    /// The time of one attempt, from connecting to the last byte of the answer.
    #[must_use]
    pub fn attempt_timeout(mut self, time: Duration) -> Self {
        self.attempt = time;
        self
    }

    /// The time of a call with all its attempts and pauses.
    #[must_use]
    pub fn total_timeout(mut self, time: Duration) -> Self {
        self.total = time;
        self
    }

    /// How often and with what pauses calls are made again that may be.
    #[must_use]
    pub fn retry(mut self, retry: RetrySettings) -> Self {
        self.retry = retry;
        self
    }

    /// When the circuit breaker opens.
    #[must_use]
    pub fn breaker(mut self, breaker: BreakerSettings) -> Self {
        self.breaker = breaker;
        self
    }

    /// How many bytes of an answer are read; a longer answer is a failure.
    #[must_use]
    pub fn max_answer(mut self, bytes: usize) -> Self {
        self.max_answer = Some(bytes);
        self
    }

    /// Trusts the certificate authorities of this PEM text, and no others.
    ///
    /// # Errors
    ///
    /// [`SettingsError::Certificate`] where it holds no certificate, or one that cannot be read.
    pub fn ca_pem(mut self, pem: &[u8]) -> Result<Self, SettingsError> {
        self.ca = Some(certificates(pem)?);
        Ok(self)
    }

    /// Sends `Authorization: Bearer TOKEN`.
    #[must_use]
    pub fn bearer(mut self, token: SecretString) -> Self {
        self.credentials = Credentials::Bearer(token);
        self
    }

    /// Signs calls with a secret that both sides know: `x-caller-id`, `x-caller-issued-at` and `x-caller-signature`, which is the
    /// HMAC-SHA256 of `id|issued-at` in hexadecimal digits. This is what Shield expects behind `GATEWAY_SHARED_SECRET`. The
    /// signature covers neither path nor body, so it needs TLS.
    #[must_use]
    pub fn caller(mut self, id: String, secret: SecretString) -> Self {
        self.credentials = Credentials::Caller { id, secret };
        self
    }

    /// Lets credentials go over plain HTTP to other machines, for networks that encrypt by themselves.
    #[must_use]
    pub fn plain_http_credentials(mut self, allowed: bool) -> Self {
        self.plain_credentials = allowed;
        self
    }

    /// The clock of the circuit breaker and of signatures.
    #[must_use]
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// What can only be said of all settings together.
    pub(crate) fn check(&self) -> Result<(), SettingsError> {
        if self.attempt.is_zero() || self.total.is_zero() {
            return Err(SettingsError::Deadlines("zero"));
        }
        let usable = |text: &str| !text.is_empty() && text.bytes().all(|byte| (0x21..=0x7e).contains(&byte));
        match &self.credentials {
            Credentials::Nobody => return Ok(()),
            Credentials::Bearer(token) if usable(token.expose_secret()) => {}
            Credentials::Bearer(_) => {
                return Err(SettingsError::Credentials(
                    "the token is empty or no visible ASCII",
                ));
            }
            Credentials::Caller { id, secret } => {
                if !usable(id) || id.contains('|') {
                    return Err(SettingsError::Credentials(
                        "the caller's id is empty, no visible ASCII, or has a `|` in it",
                    ));
                }
                if secret.expose_secret().is_empty() {
                    return Err(SettingsError::Credentials("the secret is empty"));
                }
            }
        }
        if self.url.encrypted || self.url.local || self.plain_credentials {
            Ok(())
        } else {
            Err(SettingsError::PlainCredentials)
        }
    }
}

/// Scheme, host, port and perhaps a path in front of all paths. `Debug` shows no path: some services put a secret there.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct BaseUrl {
    pub(crate) encrypted: bool,
    /// Without the brackets of IPv6.
    pub(crate) host: String,
    pub(crate) port: u16,
    /// Host and port as they stand in URLs.
    pub(crate) authority: String,
    /// Without a slash at its end; often empty.
    pub(crate) path: String,
    local: bool,
}

impl fmt::Debug for BaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}/…", self.scheme(), self.authority)
    }
}

impl BaseUrl {
    fn parse(text: &str) -> Result<Self, SettingsError> {
        if text.contains(['#', '?']) {
            return Err(SettingsError::Url("it has a query or a fragment"));
        }
        let uri: Uri = text
            .parse()
            .map_err(|_| SettingsError::Url("it is not `http://HOST` or `https://HOST`"))?;
        let encrypted = match uri.scheme() {
            Some(scheme) if *scheme == Scheme::HTTPS => true,
            Some(scheme) if *scheme == Scheme::HTTP => false,
            _ => {
                return Err(SettingsError::Url(
                    "it does not begin with `http://` or `https://`",
                ));
            }
        };
        let authority = uri.authority().ok_or(SettingsError::Url("it has no host"))?;
        if authority.as_str().contains('@') {
            return Err(SettingsError::Url(
                "it holds credentials; give them in settings of their own",
            ));
        }
        let host = authority.host().trim_start_matches('[').trim_end_matches(']');
        if host.is_empty() {
            return Err(SettingsError::Url("it has no host"));
        }
        let ends_in_port = authority.as_str().len() > authority.host().len();
        let port = match authority.port_u16() {
            Some(0) => return Err(SettingsError::Url("port 0")),
            Some(port) => port,
            None if ends_in_port => return Err(SettingsError::Url("the port is no port")),
            None if encrypted => 443,
            None => 80,
        };
        let host = host.to_ascii_lowercase();
        let local = host == "localhost"
            || host
                .parse::<std::net::IpAddr>()
                .is_ok_and(|address| address.is_loopback());
        Ok(Self {
            encrypted,
            port,
            authority: authority.as_str().to_owned(),
            path: uri.path().trim_end_matches('/').to_owned(),
            local,
            host,
        })
    }

    /// The URL of a path behind this one.
    pub(crate) fn join(&self, path: &str) -> String {
        let slash = if path.is_empty() && self.path.is_empty() {
            "/"
        } else {
            ""
        };
        format!("{}://{}{}{slash}{path}", self.scheme(), self.authority, self.path)
    }

    fn scheme(&self) -> &'static str {
        if self.encrypted { "https" } else { "http" }
    }

    /// Where a `Location` leads, if it is on this very server: same scheme, host and port.
    pub(crate) fn redirected(&self, location: &str) -> Option<String> {
        let location = location.split('#').next().unwrap_or_default();
        if location.starts_with('/') && !location.starts_with("//") {
            let url = format!("{}://{}{location}", self.scheme(), self.authority);
            return url.parse::<Uri>().is_ok().then_some(url);
        }
        let uri: Uri = location.parse().ok()?;
        let bare = format!("{}://{}", uri.scheme_str()?, uri.authority()?);
        let there = Self::parse(&bare).ok()?;
        let same = (there.encrypted, &there.host, there.port) == (self.encrypted, &self.host, self.port);
        same.then(|| location.to_owned())
    }
}

#[cfg(test)]
mod tests;
