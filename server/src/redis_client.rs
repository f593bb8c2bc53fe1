//! Redis, opened in one way for the cache and for the rate limits, and opened anew when its password changes.
//!
//! # Invariants
//!
//! - No message holds the URL: it may hold a password.
//! - With certificates of our own nothing else is trusted. A file that holds none is refused here: the library takes it,
//!   and then trusts nobody.
//! - Connections are replaced all or none, once another one was let in for each. What is under way on the old ones ends there.
//!
//! # Not done here
//!
//! Watching the certificates: they are read at the start and when connections are replaced.

pub mod config;

use crate::tls::{self, TlsError};
use arc_swap::ArcSwap;
pub use config::Config;
use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use redis::{Client, RedisError, TlsCertificates};
use secrecy::ExposeSecret as _;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// How long a new connection may take to be let in.
const LET_IN: Duration = Duration::from_secs(2);

/// Why Redis cannot be used as it is configured.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unusable {
    /// What the library says about the URL, without it.
    #[error("REDIS_URL: cannot use Redis: {0}")]
    Url(String),
    /// The certificates to trust.
    #[error("REDIS_TLS_CA: {0}")]
    Ca(TlsError),
}

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
pub fn open(config: &Config) -> Result<Client, Unusable> {
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

/// A connection that is opened again when it is lost, and replaced when the settings change.
pub struct Managed {
    how: ConnectionManagerConfig,
    connection: ArcSwap<ConnectionManager>,
}

impl fmt::Debug for Managed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The connection knows the password.
        f.write_str("Managed")
    }
}

impl Managed {
    /// One that begins to connect with the first command. Needs a Tokio runtime.
    ///
    /// # Errors
    ///
    /// As [`open`].
    pub fn new(redis: &Config, how: ConnectionManagerConfig) -> Result<Self, Unusable> {
        let connection = open(redis)?.get_connection_manager_lazy(how.clone())?;
        Ok(Self {
            how,
            connection: ArcSwap::from_pointee(connection),
        })
    }

    /// The connection of the moment. Whoever keeps it for long misses its replacement.
    #[must_use]
    pub fn get(&self) -> ConnectionManager {
        ConnectionManager::clone(&self.connection.load())
    }
}

/// Replaces connections, once one by these settings was let in for each of them.
///
/// # Errors
///
/// Why one was not; all connections stay then.
pub async fn replace(all: &[&Managed], settings: &Config) -> Result<(), Unusable> {
    let settings = settings.clone();
    // The certificates may be in a folder of another machine, which may not answer.
    let client = tokio::task::spawn_blocking(move || open(&settings))
        .await
        .map_err(|_| Unusable::Url("the settings could not be looked at".to_owned()))??;
    let mut let_in = Vec::with_capacity(all.len());
    for managed in all {
        let mut connection = client.get_connection_manager_lazy(managed.how.clone())?;
        let ping = redis::cmd("PING");
        match tokio::time::timeout(LET_IN, ping.query_async::<()>(&mut connection)).await {
            Ok(answer) => answer?,
            Err(_elapsed) => return Err(Unusable::Url("no answer in time".to_owned())),
        }
        let_in.push(Arc::new(connection));
    }
    for (managed, connection) in all.iter().zip(let_in) {
        managed.connection.store(connection);
    }
    Ok(())
}
