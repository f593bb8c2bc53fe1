//! A client that speaks HTTP/2 itself, for tests that look at streams and not only at what comes of them; and one that speaks
//! HTTP/1.1 byte by byte.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a helper of tests fails as tests do"
)]
#![allow(dead_code, reason = "each test file uses a part of it")]

use bytes::Bytes;
use h2::client::{ResponseFuture, SendRequest};
use h2::{RecvStream, SendStream};
use http::{HeaderMap, Request, Response};
use policy_proto::v1::policy_service_client::PolicyServiceClient;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tonic::transport::Channel;

/// How long anything may take that has to happen; generous, because machines are busy.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// Waits for something that has to happen.
pub(crate) async fn soon<T>(what: &str, work: impl Future<Output = T>) -> T {
    match timeout(PATIENCE, work).await {
        Ok(done) => done,
        Err(_) => panic!("not in time: {what}"),
    }
}

/// A socket from an address of this machine.
pub(crate) async fn socket(from: &str, to: SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(format!("{from}:0").parse().unwrap()).unwrap();
    soon("a connection", socket.connect(to)).await.unwrap()
}

/// One that takes little before it is read.
pub(crate) async fn narrow_socket(from: &str, to: SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4 << 10).unwrap();
    socket.bind(format!("{from}:0").parse().unwrap()).unwrap();
    soon("a connection", socket.connect(to)).await.unwrap()
}

/// Waits until the other side has closed, whatever it says before.
pub(crate) async fn closed(what: &str, mut stream: TcpStream) -> Vec<u8> {
    let mut said = Vec::new();
    // An error is an end too: what was not read on the other side makes one.
    drop(soon(what, stream.read_to_end(&mut said)).await);
    said
}

/// Sends bytes and gives everything that comes until the other side closes.
pub(crate) async fn exchange(to: SocketAddr, bytes: &[u8]) -> String {
    let mut stream = socket("127.0.0.1", to).await;
    soon("the request is taken", stream.write_all(bytes))
        .await
        .unwrap();
    let mut answer = Vec::new();
    soon("an answer", stream.read_to_end(&mut answer)).await.unwrap();
    String::from_utf8_lossy(&answer).into_owned()
}

/// The generated client, on a connection of its own.
pub(crate) async fn grpc(to: SocketAddr) -> PolicyServiceClient<Channel> {
    let endpoint = Channel::from_shared(format!("http://{to}")).unwrap();
    PolicyServiceClient::new(soon("gRPC", endpoint.connect()).await.unwrap())
}

/// A connection with HTTP/2.
pub(crate) struct Connection {
    sender: SendRequest<Bytes>,
    /// Ends with the connection; says how.
    pub(crate) driver: JoinHandle<Result<(), h2::Error>>,
}

/// A request under way.
pub(crate) struct Exchange {
    response: ResponseFuture,
    body: SendStream<Bytes>,
}

impl Connection {
    pub(crate) async fn open(to: SocketAddr) -> Self {
        let stream = socket("127.0.0.1", to).await;
        // What is not read of one stream must not hold up the others.
        let mut builder = h2::client::Builder::new();
        builder.initial_connection_window_size(64 << 20);
        let (sender, connection) = soon("HTTP/2", builder.handshake(stream)).await.unwrap();
        Self {
            sender,
            driver: tokio::spawn(connection),
        }
    }

    /// Sends the head of a request. Its body follows.
    pub(crate) async fn begin(&mut self, to: SocketAddr, path: &str, headers: &[(&str, &str)]) -> Exchange {
        let mut request = Request::builder()
            .method("POST")
            .uri(format!("http://{to}{path}"));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let mut sender = soon("a stream", self.sender.clone().ready()).await.unwrap();
        let (response, body) = sender.send_request(request.body(()).unwrap(), false).unwrap();
        Exchange { response, body }
    }
}

impl Exchange {
    /// Sends a part of the body, as the other side takes it. Fails when the stream has ended.
    pub(crate) async fn send(&mut self, mut bytes: Bytes, end: bool) -> Result<(), h2::Error> {
        while !bytes.is_empty() {
            self.body.reserve_capacity(bytes.len());
            let capacity = soon("the body is taken", poll_fn(|cx| self.body.poll_capacity(cx))).await;
            let Some(capacity) = capacity else {
                // The stream is gone; the reset says why.
                let reason = soon("the reset", poll_fn(|cx| self.body.poll_reset(cx))).await?;
                return Err(reason.into());
            };
            let part = bytes.split_to(capacity?.min(bytes.len()));
            self.body.send_data(part, false)?;
        }
        if end {
            self.body.send_data(Bytes::new(), true)?;
        }
        Ok(())
    }

    /// The head of the answer, which may come before the body was sent.
    pub(crate) async fn answer(&mut self) -> Result<Response<RecvStream>, h2::Error> {
        soon("an answer", &mut self.response).await
    }
}

/// All of an answer's body, and its trailers.
pub(crate) async fn rest(answer: Response<RecvStream>) -> Result<(Bytes, HeaderMap), h2::Error> {
    let mut stream = answer.into_body();
    let mut body = Vec::new();
    while let Some(piece) = soon("the body of the answer", stream.data()).await {
        let piece = piece?;
        stream.flow_control().release_capacity(piece.len())?;
        body.extend_from_slice(&piece);
    }
    let trailers = soon("the trailers", stream.trailers()).await?;
    Ok((body.into(), trailers.unwrap_or_default()))
}
