//! TLS of the REST and gRPC listeners: certificates from files, clients' certificates (mTLS), new files without a restart.
//! And what clients of other servers need: the provider, certificates to trust.
//!
//! `server` builds a [`Tls`], gives [`Tls::acceptor`] to both listeners and runs [`Tls::watch`] beside them. All of the process
//! uses `ring`; `main` calls [`install_provider`] first, and so does everything here that needs it.
//!
//! # Invariants
//!
//! - TLS 1.2 and 1.3 only. With a client CA, no connection without a certificate of it gets as far as a request.
//! - New files replace the old ones together, once all of them are good; until then the old ones stay and the log says why.
//!   Connections that are open stay with what they began with.

pub mod config;

use crate::file_stamp::FileStamp;
use arc_swap::ArcSwap;
pub use config::Config;
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use zeroize::Zeroizing;

/// How often files are looked at.
pub const POLL: Duration = Duration::from_secs(3);

/// Why TLS could not be set up.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read, or does not hold what it should.
    #[error("cannot use {file}: {reason}", file = .path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The files do not go together.
    #[error("cannot use the TLS files: {0}")]
    Config(String),
}

/// Makes `ring` the cryptography of every TLS connection of the process. May be called often; what was installed before
/// stays.
pub fn install_provider() {
    if rustls::crypto::CryptoProvider::get_default().is_none() {
        // An error means that another thread came first, with the same one.
        drop(rustls::crypto::ring::default_provider().install_default());
    }
}

/// Reads the files and builds the configuration of a listener. Blocks for the reading.
///
/// # Errors
///
/// - [`TlsError::File`]: a file cannot be read or does not hold what it should.
/// - [`TlsError::Config`]: key and certificate do not go together.
pub fn server_config(tls: &Config) -> Result<Arc<ServerConfig>, TlsError> {
    install_provider();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = |error: rustls::Error| TlsError::Config(error.to_string());
    let chain = certificates(&tls.cert)?;
    let key = private_key(&tls.key)?;
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
        .map_err(config)?;
    let builder = match &tls.client_ca {
        None => builder.with_no_client_auth(),
        Some(path) => {
            let roots = Arc::new(roots(path, certificates(path)?)?);
            let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider)
                .build()
                .map_err(|e| file(path, e))?;
            builder.with_client_cert_verifier(verifier)
        }
    };
    let mut server = builder.with_single_cert(chain, key).map_err(config)?;
    server.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Arc::new(server))
}

/// Everything that is wrong with the files, under their settings: with each by itself and, where nothing is, with all of
/// them together. Blocks for the reading.
#[must_use]
pub fn problems(tls: &Config) -> Vec<(&'static str, TlsError)> {
    let mut found = Vec::new();
    let mut note = |setting, error: Option<TlsError>| found.extend(error.map(|error| (setting, error)));
    note("TLS_CERT", certificates(&tls.cert).err());
    note("TLS_KEY", private_key(&tls.key).err());
    let client_ca = tls.client_ca.as_deref();
    note(
        "TLS_CLIENT_CA",
        client_ca.and_then(|path| authorities(path).err()),
    );
    if found.is_empty() {
        found.extend(server_config(tls).err().map(|error| ("TLS_CERT", error)));
    }
    found
}

fn file(path: &Path, reason: impl fmt::Display) -> TlsError {
    TlsError::File {
        path: path.to_owned(),
        reason: reason.to_string(),
    }
}

/// The PEM text of certificates that are to be trusted, for libraries that read it themselves. Blocks for the reading.
///
/// # Errors
///
/// [`TlsError::File`]: it cannot be read, or holds no certificate, or one that nothing can be signed by.
pub fn authorities(path: &Path) -> Result<Vec<u8>, TlsError> {
    let bytes = std::fs::read(path).map_err(|e| file(path, e))?;
    roots(path, parsed(path, &bytes)?)?;
    Ok(bytes)
}

fn roots(path: &Path, certificates: Vec<CertificateDer<'static>>) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates {
        roots.add(certificate).map_err(|e| file(path, e))?;
    }
    Ok(roots)
}

fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    let key = Zeroizing::new(std::fs::read(path).map_err(|e| file(path, e))?);
    PrivateKeyDer::from_pem_slice(&key).map_err(|e| file(path, e))
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    parsed(path, &std::fs::read(path).map_err(|e| file(path, e))?)
}

fn parsed(path: &Path, bytes: &[u8]) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let list = CertificateDer::pem_slice_iter(bytes)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|e| file(path, e))?;
    if list.is_empty() {
        return Err(file(path, "it holds no certificate"));
    }
    Ok(list)
}

/// Stamps of all files; `None` for one that cannot be looked at.
type Stamps = [Option<FileStamp>; 3];

fn stamps(tls: &Config) -> Stamps {
    let of = |path: &Path| FileStamp::of(path).ok();
    [of(&tls.cert), of(&tls.key), tls.client_ca.as_deref().and_then(of)]
}

/// What listeners speak TLS with: always what was read last.
#[derive(Debug, Clone)]
pub struct Acceptor(Arc<ArcSwap<ServerConfig>>);

impl Acceptor {
    /// Speaks TLS on a new connection. Waits for the client as long as it takes.
    ///
    /// # Errors
    ///
    /// When the two do not come to terms.
    pub async fn accept(&self, stream: TcpStream) -> std::io::Result<TlsStream<TcpStream>> {
        TlsAcceptor::from(self.0.load_full()).accept(stream).await
    }
}

/// TLS of listeners, kept up to date.
pub struct Tls {
    files: Config,
    acceptor: Acceptor,
    /// Of the files in use.
    used: Stamps,
    /// Of the files that the log complained about.
    refused: Option<Stamps>,
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls")
            .field("files", &self.files)
            .finish_non_exhaustive()
    }
}

impl Tls {
    /// Reads the files. Blocks for the reading.
    ///
    /// # Errors
    ///
    /// As [`server_config`].
    pub fn build(tls: &Config) -> Result<Self, TlsError> {
        // ORDER: stamps first. A file that changes while it is read is then read once more.
        let used = stamps(tls);
        Ok(Self {
            files: tls.clone(),
            acceptor: Acceptor(Arc::new(ArcSwap::new(server_config(tls)?))),
            used,
            refused: None,
        })
    }

    /// What listeners take. All that come from here change together.
    #[must_use]
    pub fn acceptor(&self) -> Acceptor {
        self.acceptor.clone()
    }

    /// Reads the files again if one of them changed; says whether listeners have new ones now. Blocks for the reading.
    ///
    /// # Errors
    ///
    /// As [`server_config`]; listeners keep what they have.
    pub fn reload(&mut self) -> Result<bool, TlsError> {
        let found = stamps(&self.files);
        if found == self.used {
            self.refused = None;
            return Ok(false);
        }
        let config = server_config(&self.files)?;
        self.acceptor.0.store(config);
        (self.used, self.refused) = (found, None);
        Ok(true)
    }

    /// Reads changed files every so often, for ever; drop the future to end it.
    pub async fn watch(mut self, every: Duration) {
        loop {
            tokio::time::sleep(every).await;
            let turn = tokio::task::spawn_blocking(move || {
                self.reload_and_log();
                self
            });
            match turn.await {
                Ok(tls) => self = tls,
                Err(error) => {
                    tracing::error!(%error, "TLS files are not watched any more");
                    return;
                }
            }
        }
    }

    fn reload_and_log(&mut self) {
        match self.reload() {
            Ok(false) => {}
            Ok(true) => tracing::info!(cert = %self.files.cert.display(), "took the new TLS files"),
            Err(error) => {
                let found = Some(stamps(&self.files));
                // Said once for each state of the files.
                if self.refused != found {
                    tracing::warn!(%error, "the new TLS files cannot be used; the old ones stay");
                    self.refused = found;
                }
            }
        }
    }
}
