//! From a URL to a connection, with TLS where the URL says so: to the one server of some settings ([`Connector`]), or to whichever
//! a URL names ([`Anywhere`]).

use crate::settings::{BaseUrl, Settings, SettingsError};
use http::Uri;
use hyper_util::client::legacy::connect::{Connected, Connection};
use hyper_util::rt::TokioIo;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, ServerName};
use std::fmt;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// Connects to the one server of its settings, whatever URL it is asked for: nothing else is ever asked.
#[derive(Clone)]
pub(crate) struct Connector {
    url: Arc<BaseUrl>,
    tls: Option<(TlsConnector, ServerName<'static>)>,
}

impl fmt::Debug for Connector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connector")
            .field("url", &self.url)
            .finish_non_exhaustive()
    }
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// Nobody could be reached.
    #[error("{0}")]
    Tcp(io::Error),
    /// The server is not who it should be, or speaks no TLS.
    #[error("{0}")]
    Tls(io::Error),
}

impl Connector {
    pub(crate) fn new(settings: &Settings) -> Result<Self, SettingsError> {
        let tls = if settings.url.encrypted {
            let name = ServerName::try_from(settings.url.host.clone())
                .map_err(|_| SettingsError::Url("the host is no name that a certificate can have"))?;
            Some((
                TlsConnector::from(Arc::new(client_config(settings.ca.as_deref())?)),
                name,
            ))
        } else {
            None
        };
        Ok(Self {
            url: Arc::new(settings.url.clone()),
            tls,
        })
    }

    async fn connect(self) -> Result<TokioIo<Stream>, ConnectError> {
        open(&self.url.host, self.url.port, self.tls).await
    }
}

async fn open(
    host: &str,
    port: u16,
    tls: Option<(TlsConnector, ServerName<'static>)>,
) -> Result<TokioIo<Stream>, ConnectError> {
    let stream = TcpStream::connect((host, port))
        .await
        .map_err(ConnectError::Tcp)?;
    stream.set_nodelay(true).map_err(ConnectError::Tcp)?;
    let Some((tls, name)) = tls else {
        return Ok(TokioIo::new(Stream(Box::new(stream))));
    };
    let stream = tls
        .connect(name, stream)
        .await
        .map_err(|error| match error.get_ref() {
            Some(inner) if inner.is::<rustls::Error>() => ConnectError::Tls(error),
            _ => ConnectError::Tcp(error),
        })?;
    Ok(TokioIo::new(Stream(Box::new(stream))))
}

/// With these authorities, or the public ones.
fn client_config(ca: Option<&[CertificateDer<'static>]>) -> Result<ClientConfig, SettingsError> {
    let mut roots = RootCertStore::empty();
    match ca {
        Some(certificates) => {
            for certificate in certificates {
                roots
                    .add(certificate.clone())
                    .map_err(|error| SettingsError::Certificate(error.to_string()))?;
            }
        }
        None => roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned()),
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| SettingsError::Certificate(error.to_string()))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(config)
}

/// The certificates in a text.
pub(crate) fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, SettingsError> {
    let mut certificates = Vec::new();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        certificates.push(certificate.map_err(|error| SettingsError::Certificate(error.to_string()))?);
    }
    if certificates.is_empty() {
        return Err(SettingsError::Certificate("no certificate in it".to_owned()));
    }
    Ok(certificates)
}

impl tower_service::Service<Uri> for Connector {
    type Response = TokioIo<Stream>;
    type Error = ConnectError;
    type Future = Pin<Box<dyn Future<Output = Result<TokioIo<Stream>, ConnectError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), ConnectError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        Box::pin(self.clone().connect())
    }
}

/// Connects to whichever server a URL names, with TLS where it is `https`: for clients that choose their servers themselves.
#[derive(Clone)]
pub struct Anywhere {
    tls: TlsConnector,
    time: Duration,
}

impl fmt::Debug for Anywhere {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Anywhere")
            .field("time", &self.time)
            .finish_non_exhaustive()
    }
}

impl Anywhere {
    /// With the authorities in this text (PEM), or the public ones; a connection takes at most `time`.
    ///
    /// # Errors
    ///
    /// [`SettingsError::Certificate`] where the text holds no certificate, or one that cannot be used.
    pub fn new(ca: Option<&[u8]>, time: Duration) -> Result<Self, SettingsError> {
        let ca = ca.map(certificates).transpose()?;
        let tls = TlsConnector::from(Arc::new(client_config(ca.as_deref())?));
        Ok(Self { tls, time })
    }

    /// The same, with another time.
    #[must_use]
    pub fn within(&self, time: Duration) -> Self {
        Self {
            tls: self.tls.clone(),
            time,
        }
    }

    async fn connect(self, url: Uri) -> Result<TokioIo<Stream>, ConnectError> {
        let no_name =
            || ConnectError::Tcp(io::Error::new(io::ErrorKind::InvalidInput, "the URL has no host"));
        let host = url.host().ok_or_else(no_name)?;
        // As it stands in a URL, an address of IPv6 is in brackets.
        let host = host
            .strip_prefix('[')
            .and_then(|host| host.strip_suffix(']'))
            .unwrap_or(host);
        let encrypted = url.scheme_str() == Some("https");
        let port = url.port_u16().unwrap_or(if encrypted { 443 } else { 80 });
        let tls = match encrypted {
            true => Some((
                self.tls,
                ServerName::try_from(host.to_owned()).map_err(|_| no_name())?,
            )),
            false => None,
        };
        tokio::time::timeout(self.time, open(host, port, tls))
            .await
            .unwrap_or_else(|_| Err(ConnectError::Tcp(io::ErrorKind::TimedOut.into())))
    }
}

impl tower_service::Service<Uri> for Anywhere {
    type Response = TokioIo<Stream>;
    type Error = ConnectError;
    type Future = Pin<Box<dyn Future<Output = Result<TokioIo<Stream>, ConnectError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), ConnectError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, url: Uri) -> Self::Future {
        Box::pin(self.clone().connect(url))
    }
}

trait Io: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Io for T {}

/// A connection, encrypted or not.
pub struct Stream(Box<dyn Io>);

impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Stream")
    }
}

impl Connection for Stream {
    fn connected(&self) -> Connected {
        Connected::new()
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Stream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}
