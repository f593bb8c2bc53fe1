//! Settings of TLS to callers: `TLS_…`.

use crate::settings::Parser;
use std::path::PathBuf;

/// TLS of REST and gRPC.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// PEM certificate chain.
    pub cert: PathBuf,
    /// PEM private key.
    pub key: PathBuf,
    /// PEM certificates of those who sign clients' certificates.
    pub client_ca: Option<PathBuf>,
}

/// Certificate and key where both are given; that one of them is missing is said by the table.
pub(crate) fn read(p: &mut Parser<'_>) -> Option<Config> {
    match (p.path("TLS_CERT"), p.path("TLS_KEY")) {
        (Some(cert), Some(key)) => Some(Config {
            cert,
            key,
            client_ca: p.path("TLS_CLIENT_CA"),
        }),
        _ => None,
    }
}
