//! A server on loopback that answers as a test says, byte for byte, and remembers what it was asked.
#![allow(dead_code, reason = "each test uses a part of it")]

use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

/// A request, as it was received.
#[derive(Clone, Debug, Default)]
pub(crate) struct Asked {
    pub(crate) line: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Asked {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let (_, value) = self.headers.iter().find(|(one, _)| one == name)?;
        Some(value)
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).expect("a JSON body")
    }
}

/// What to do with a request.
#[derive(Clone, Debug)]
pub(crate) enum Reply {
    /// These bytes, and the end of the connection.
    Bytes(Vec<u8>),
    /// These bytes after a pause.
    Slow(Duration, Vec<u8>),
    /// One byte of these every so often.
    Drip(Duration, Vec<u8>),
    /// The connection is reset before the request was read.
    Reset,
}

impl Reply {
    /// An answer with a JSON body and further lines of its head.
    pub(crate) fn json(status: u16, head: &str, body: impl AsRef<[u8]>) -> Self {
        Self::Bytes(http(
            status,
            &format!("content-type: application/json\r\n{head}"),
            body.as_ref(),
        ))
    }
}

/// The bytes of an answer.
pub(crate) fn http(status: u16, head: &str, body: &[u8]) -> Vec<u8> {
    let mut bytes = format!(
        "HTTP/1.1 {status} X\r\nconnection: close\r\ncontent-length: {}\r\n{head}\r\n",
        body.len()
    )
    .into_bytes();
    bytes.extend_from_slice(body);
    bytes
}

type Script = Arc<dyn Fn(usize, &Asked) -> Reply + Send + Sync>;

/// The server; it ends with the runtime of its test.
#[derive(Clone)]
pub(crate) struct Mock {
    pub(crate) url: String,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Mock {
    /// Answers request number `n` (from 0) as the script says.
    pub(crate) async fn start(script: impl Fn(usize, &Asked) -> Reply + Send + Sync + 'static) -> Self {
        Self::listen("http", None, Arc::new(script)).await
    }

    /// The same over TLS, for the name `localhost`.
    pub(crate) async fn start_tls(
        acceptor: TlsAcceptor,
        script: impl Fn(usize, &Asked) -> Reply + Send + Sync + 'static,
    ) -> Self {
        Self::listen("https", Some(acceptor), Arc::new(script)).await
    }

    async fn listen(scheme: &str, acceptor: Option<TlsAcceptor>, script: Script) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let host = if acceptor.is_some() {
            "localhost"
        } else {
            "127.0.0.1"
        };
        let mock = Self {
            url: format!("{scheme}://{host}:{port}"),
            asked: Arc::default(),
        };
        let asked = Arc::clone(&mock.asked);
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let (acceptor, asked, script) = (acceptor.clone(), Arc::clone(&asked), Arc::clone(&script));
                tokio::spawn(async move {
                    // Data that nobody read makes the system reset the connection when it is dropped.
                    let begun = asked.lock().unwrap().len();
                    if matches!(script(begun, &Asked::default()), Reply::Reset) {
                        asked.lock().unwrap().push(Asked::default());
                        let mut byte = [0; 1];
                        let _ = stream.peek(&mut byte).await;
                        return;
                    }
                    match acceptor {
                        None => serve(stream, &asked, &script).await,
                        Some(acceptor) => {
                            if let Ok(stream) = acceptor.accept(stream).await {
                                serve(stream, &asked, &script).await;
                            }
                        }
                    }
                });
            }
        });
        mock
    }

    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }
}

async fn serve(mut stream: impl AsyncRead + AsyncWrite + Unpin, asked: &Mutex<Vec<Asked>>, script: &Script) {
    let Some(request) = read(&mut stream).await else {
        return;
    };
    let number = {
        let mut asked = asked.lock().unwrap();
        asked.push(request.clone());
        asked.len() - 1
    };
    // Whoever has heard enough is gone, which is no failure of the mock.
    let _ = match script(number, &request) {
        Reply::Bytes(bytes) => stream.write_all(&bytes).await,
        Reply::Slow(pause, bytes) => {
            tokio::time::sleep(pause).await;
            stream.write_all(&bytes).await
        }
        Reply::Drip(pause, bytes) => drip(&mut stream, pause, &bytes).await,
        Reply::Reset => Ok(()),
    };
    let _ = stream.shutdown().await;
}

async fn drip(stream: &mut (impl AsyncWrite + Unpin), pause: Duration, bytes: &[u8]) -> std::io::Result<()> {
    for byte in bytes {
        stream.write_all(&[*byte]).await?;
        stream.flush().await?;
        tokio::time::sleep(pause).await;
    }
    Ok(())
}

async fn read(stream: &mut (impl AsyncRead + Unpin)) -> Option<Asked> {
    let mut bytes = Vec::new();
    let end = loop {
        if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            break end;
        }
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    };
    let head = String::from_utf8(bytes[..end].to_vec()).ok()?;
    let mut lines = head.split("\r\n");
    let line = lines.next()?.to_owned();
    let headers: Vec<(String, String)> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    let length = headers
        .iter()
        .find(|(name, _)| name == "content-length")
        .map_or(0, |(_, value)| value.parse().unwrap());
    let mut body = bytes[end + 4..].to_vec();
    while body.len() < length {
        if stream.read_buf(&mut body).await.ok()? == 0 {
            return None;
        }
    }
    Some(Asked { line, headers, body })
}
