//! Redis, opened in one way for the cache and for the rate limits.
//!
//! # Invariants
//!
//! - No message holds the URL: it may hold a password.
//! - With certificates of our own nothing else is trusted. A file that holds none is refused here: the library takes it,
//!   and then trusts nobody.
//!
//! # Not done here
//!
//! Connecting. The certificates are read once; new ones need a restart.

use crate::config;
use crate::tls::{self, TlsError};
use redis::{Client, RedisError, TlsCertificates};
use secrecy::ExposeSecret as _;
use std::fmt;

/// Why Redis cannot be used as it is configured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unusable {
    /// What the library says about the URL, without it.
    Url(String),
    /// The certificates to trust.
    Ca(TlsError),
}

impl fmt::Display for Unusable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Url(reason) => write!(f, "REDIS_URL: cannot use Redis: {reason}"),
            Self::Ca(error) => write!(f, "REDIS_TLS_CA: {error}"),
        }
    }
}

impl std::error::Error for Unusable {}

impl From<RedisError> for Unusable {
    /// Errors of the library may quote the URL, so only their kind is told.
    fn from(error: RedisError) -> Self {
        Self::Url(format!("{:?}", error.kind()))
    }
}

/// A client that is not connected yet. Blocks for the reading of the certificates.
///
/// # Errors
///
/// See [`Unusable`].
pub fn open(config: &config::Redis) -> Result<Client, Unusable> {
    tls::install_provider();
    let url = config.url.expose_secret();
    Ok(match &config.ca {
        None => Client::open(url)?,
        Some(path) => {
            let trusted = TlsCertificates {
                client_tls: None,
                root_cert: Some(tls::authorities(path).map_err(Unusable::Ca)?),
            };
            Client::build_with_tls(url, trusted)?
        }
    })
}
