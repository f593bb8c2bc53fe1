//! Listeners: from a socket to connections that are served, each within limits of its own.
//!
//! [`Listener::run`] accepts, hands each connection to a task, and ends when all of them have ended after a stop.
//!
//! ```text
//! accept ─► a place (Shares) ─► TLS ─► HTTP/1 or HTTP/2 ─► requests ─► Serve
//!           └──────── Deadlines::head ──────────────────┘ └─ Deadlines::idle between them
//! ```
//!
//! # Invariants
//!
//! - There are never more connections than places, nor more from one address than its share. Who comes when there is none is
//!   closed at once: the files that the process may open do not run out, and whatever else needs one gets it.
//! - A connection that does not ask in time is closed, whether it is silent, slow in TLS, or sends its first bytes one by one.
//! - A connection on which nothing happens between requests or in an answer is closed; who answers pings is not asking. With
//!   HTTP/2 an answer that is not taken ends by itself, whatever else happens on its connection ([`crate::answer`]).
//! - Over HTTP/2 a connection that is older than [`Listener::age`] is told to go away, so that clients open another one, maybe
//!   with another server. Requests under way end first, for as long as at a stop. With HTTP/1 it is not told: a client may
//!   just have sent its next request, and would not know whether that counts.
//! - Once the server is about to stop, answers over HTTP/1 say that their connection ends, so that no client sends a request
//!   on a connection that is closed meanwhile.
//! - After a stop nobody is accepted. Requests under way end first, for as long as the server waits.
//!
//! How long the body of a request may take is said in [`crate::body`], how long a request may in the fronts.

use crate::answer::{self, Answers, Streams, Watching};
use crate::body::Arriving;
use crate::shares::{Address, Full, Shares, Taken};
use crate::telemetry::Metrics;
use crate::tls;
use axum::response::Response;
use http::{HeaderValue, Request, Version, header};
use hyper::body::Incoming;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::net::IpAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Bytes of heads of a request that are held at the most, over HTTP/1. Longer ones are refused with 431.
const HEADS: usize = 64 << 10;

/// How often a client with HTTP/2 is asked whether it is still there, and how long it may take to say so.
const PING: Duration = Duration::from_secs(30);
const PONG: Duration = Duration::from_secs(10);

/// How long a connection that was idle for too long has to end by itself, once it was told.
const LINGER: Duration = Duration::from_secs(2);

/// How soon a connection that was too old before its first request is looked at again.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// Pause when the system does not accept.
const PAUSE: Duration = Duration::from_millis(50);

/// How often the log says that connections are refused.
const COMPLAIN: Duration = Duration::from_secs(10);

/// With HTTP/2, smaller writes say nothing of an answer: pings are answered with 17 bytes.
const AN_ANSWER: usize = 1 << 10;

/// What a listener serves.
pub trait Serve: Clone + Send + Sync + 'static {
    /// Answers a request of a caller at this address. Each connection has a reference of its own, so that counting who holds it
    /// moves nothing between processors.
    fn serve(self: Arc<Self>, address: IpAddr, request: Request<Arriving>) -> Answer;
}

/// An answer that is being made.
pub type Answer = Pin<Box<dyn Future<Output = Response> + Send>>;

/// How long connections may do nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deadlines {
    /// From accepting to the first request, TLS included; and for the head of each request from its first byte on, half as
    /// much again at the most.
    pub head: Duration,
    /// From the last that happened to the next request, likewise.
    pub idle: Duration,
}

/// How old connections with HTTP/2 may become.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Age {
    /// At this age, or a tenth more or less, they are told to go away.
    pub most: Duration,
    /// For so long requests under way then go on.
    pub grace: Duration,
}

impl Age {
    /// When a connection that begins now is too old. Not all at once, so that clients do not all come back at once.
    fn end(&self) -> Instant {
        let tenth = self.most / 10;
        // Without random numbers, all live for as long.
        let share = getrandom::u32().map_or(0.5, |random| f64::from(random) / f64::from(u32::MAX));
        Instant::now() + self.most - tenth + (2 * tenth).mul_f64(share)
    }
}

/// Ends listeners and their connections.
#[derive(Debug, Clone, Default)]
pub struct Stop {
    soon: Arc<AtomicBool>,
    gently: CancellationToken,
    at_once: CancellationToken,
    connections: TaskTracker,
}

impl Stop {
    /// Goes on, and has clients with HTTP/1 leave with their next answer.
    pub fn soon(&self) {
        self.soon.store(true, Ordering::Release);
    }

    /// Accepts nobody any more; connections end with the requests under way.
    pub fn gently(&self) {
        self.gently.cancel();
    }

    /// Cuts what is left, and says how many connections that were.
    pub fn at_once(&self) -> usize {
        self.gently.cancel();
        let left = self.connections.len();
        self.at_once.cancel();
        left
    }
}

/// A socket that is bound, and how its connections are limited.
#[derive(Debug)]
pub struct Listener {
    /// The socket; does not block.
    pub socket: std::net::TcpListener,
    /// TLS, where it is spoken.
    pub tls: Option<tls::Acceptor>,
    /// Places for connections.
    pub places: Shares,
    /// How long they may do nothing.
    pub deadlines: Deadlines,
    /// How old they may become; `None` is no limit.
    pub age: Option<Age>,
    /// Memory of their answers.
    pub answers: Answers,
    /// Counts what is refused and closed.
    pub metrics: Arc<Metrics>,
}

impl Listener {
    /// Serves until it is stopped and every connection has ended. Needs a Tokio runtime.
    ///
    /// # Errors
    ///
    /// When the socket cannot be waited for.
    pub async fn run(self, front: impl Serve, stop: &Stop) -> io::Result<()> {
        let socket = TcpListener::from_std(self.socket)?;
        let connections = Arc::new(Connections {
            builder: builder(Streams {
                patience: self.deadlines.idle,
                metrics: Arc::clone(&self.metrics),
            }),
            answers: self.answers,
            deadlines: self.deadlines,
            age: self.age,
            metrics: self.metrics,
            stop: stop.clone(),
        });
        let mut complained: Option<Instant> = None;
        let mut complain = |refused: &str, reason: &dyn std::fmt::Display| {
            if complained.is_none_or(|at| at.elapsed() >= COMPLAIN) {
                complained = Some(Instant::now());
                tracing::warn!(%reason, "{refused}");
            }
        };
        loop {
            let accepted = tokio::select! {
                biased;
                () = stop.gently.cancelled() => break,
                accepted = socket.accept() => accepted,
            };
            let (stream, peer) = match accepted {
                Ok(accepted) => accepted,
                // Who is gone already is no reason to wait.
                Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => continue,
                Err(error) => {
                    complain("no connection can be accepted", &error);
                    sleep(PAUSE).await;
                    continue;
                }
            };
            let address = peer.ip();
            let place = match self.places.take(Address::of(address), 1) {
                Ok(place) => place,
                Err(full) => {
                    connections.metrics.connection_refused(full);
                    match full {
                        Full::All => complain("connections are refused", &"MAX_CONNECTIONS are open"),
                        Full::Address => complain(
                            "connections are refused",
                            &format_args!("MAX_CONNECTIONS_PER_ADDRESS are open from {address}"),
                        ),
                    }
                    continue;
                }
            };
            let (front, tls) = (front.clone(), self.tls.clone());
            let connections = Arc::clone(&connections);
            stop.connections
                .spawn(async move { connections.serve(stream, address, tls, front, place).await });
        }
        drop(socket);
        stop.connections.close();
        stop.connections.wait().await;
        Ok(())
    }
}

fn builder(streams: Streams) -> Builder<Streams> {
    let mut builder = Builder::new(streams);
    // Its time for heads runs while a connection is idle as well; ours is below.
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(None::<Duration>)
        .max_buf_size(HEADS);
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(PING)
        .keep_alive_timeout(PONG);
    builder
}

/// What all connections of a listener have in common.
struct Connections {
    builder: Builder<Streams>,
    answers: Answers,
    deadlines: Deadlines,
    age: Option<Age>,
    metrics: Arc<Metrics>,
    stop: Stop,
}

impl Connections {
    async fn serve(
        &self,
        stream: TcpStream,
        address: IpAddr,
        tls: Option<tls::Acceptor>,
        front: impl Serve,
        place: Taken,
    ) {
        let watch = Arc::new(Watch::new());
        // An answer may be written in parts, and the last must not wait until the first is acknowledged: up to 40 ms. Where
        // that cannot be set, answers come all the same.
        drop(stream.set_nodelay(true));
        match tls {
            None => self.http(stream, address, front, &watch).await,
            Some(tls) => {
                let handshake = tokio::select! {
                    handshake = tls.accept(stream) => handshake,
                    late = watch.overdue(&self.deadlines) => return self.metrics.connection_closed(late.as_str()),
                    () = self.stop.gently.cancelled() => return,
                };
                match handshake {
                    Ok(stream) => self.http(stream, address, front, &watch).await,
                    Err(error) => tracing::debug!(%error, %address, "a TLS handshake failed"),
                }
            }
        }
        drop(place);
    }

    async fn http<I>(&self, stream: I, address: IpAddr, front: impl Serve, watch: &Arc<Watch>)
    where
        I: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let io = TokioIo::new(Watched {
            stream,
            watch: Arc::clone(watch),
        });
        let requests = Requests(Arc::new(Own {
            front: Arc::new(front),
            address,
            answers: self.answers.clone(),
            watch: Arc::clone(watch),
            leaves: Arc::clone(&self.stop.soon),
        }));
        let mut connection = pin!(self.builder.serve_connection(io, requests));
        let told = tokio::select! {
            ended = connection.as_mut() => return debug(ended),
            late = watch.overdue(&self.deadlines) => {
                self.metrics.connection_closed(late.as_str());
                if late == Late::Head {
                    return;
                }
                Some(Instant::now() + LINGER)
            }
            grace = watch.old(self.age) => {
                self.metrics.connection_closed("age");
                Some(Instant::now() + grace.max(LINGER))
            }
            () = self.stop.gently.cancelled() => None,
        };
        connection.as_mut().graceful_shutdown();
        let lingered = async {
            match told {
                Some(until) => sleep_until(until).await,
                // Of the requests under way, those that do nothing are not waited for longer than otherwise.
                None => drop(watch.overdue(&self.deadlines).await),
            }
        };
        tokio::select! {
            ended = connection => debug(ended),
            () = self.stop.at_once.cancelled() => {}
            () = lingered => {}
        }
    }
}

/// What goes wrong with a connection is its caller's business, most of the time.
fn debug(ended: Result<(), Box<dyn std::error::Error + Send + Sync>>) {
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection ended");
    }
}

/// Why a connection is closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Late {
    /// A request did not come, or not to the end of its head.
    Head,
    /// Nothing happened.
    Idle,
}

impl Late {
    fn as_str(self) -> &'static str {
        match self {
            Self::Head => "head",
            Self::Idle => "idle",
        }
    }
}

/// What happens on a connection.
#[derive(Debug)]
struct Watch {
    start: Instant,
    /// Whether there was a request.
    asked: AtomicBool,
    /// Whether requests share the connection: then bytes need not be those of a head.
    multiplexed: AtomicBool,
    /// Requests without an answer yet.
    working: AtomicUsize,
    /// When anything last happened, in milliseconds after `start`.
    last: AtomicU64,
    /// When the head of the next request began to arrive, likewise; 0 while none does.
    head: AtomicU64,
}

impl Watch {
    fn new() -> Self {
        Self {
            start: Instant::now(),
            asked: AtomicBool::new(false),
            multiplexed: AtomicBool::new(false),
            working: AtomicUsize::new(0),
            last: AtomicU64::new(0),
            head: AtomicU64::new(0),
        }
    }

    fn now(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn at(&self, milliseconds: u64) -> Instant {
        self.start + Duration::from_millis(milliseconds)
    }

    /// Something happened.
    fn touch(&self) {
        self.last.store(self.now(), Ordering::Relaxed);
    }

    /// A request has come.
    fn begin(self: &Arc<Self>, version: Version) -> Working {
        self.multiplexed
            .store(version >= Version::HTTP_2, Ordering::Relaxed);
        self.asked.store(true, Ordering::Relaxed);
        self.head.store(0, Ordering::Relaxed);
        self.working.fetch_add(1, Ordering::AcqRel);
        Working(Arc::clone(self))
    }

    /// Bytes have come.
    fn read(&self) {
        let is_head = self.asked.load(Ordering::Relaxed)
            && !self.multiplexed.load(Ordering::Relaxed)
            && self.working.load(Ordering::Acquire) == 0
            && self.head.load(Ordering::Relaxed) == 0;
        if is_head {
            self.head.store(self.now().max(1), Ordering::Relaxed);
        }
    }

    /// So many bytes were sent.
    fn written(&self, bytes: usize) {
        if bytes >= AN_ANSWER || !self.multiplexed.load(Ordering::Relaxed) {
            self.touch();
        }
    }

    /// When the connection is to be closed, and why, if nothing happens until then.
    fn due(&self, deadlines: &Deadlines) -> (Instant, Late) {
        if !self.asked.load(Ordering::Relaxed) {
            return (self.start + deadlines.head, Late::Head);
        }
        if self.working.load(Ordering::Acquire) > 0 {
            return (Instant::now() + deadlines.idle, Late::Idle);
        }
        let idle = self.at(self.last.load(Ordering::Relaxed)) + deadlines.idle;
        match self.head.load(Ordering::Relaxed) {
            0 => (idle, Late::Idle),
            began => (self.at(began) + deadlines.head, Late::Head),
        }
    }

    /// Waits until the connection is too old, and says for how long requests under way may go on. For ever where it cannot be
    /// too old.
    async fn old(&self, age: Option<Age>) -> Duration {
        let Some(age) = age else {
            return std::future::pending().await;
        };
        let end = age.end();
        loop {
            sleep_until(end).await;
            if self.multiplexed.load(Ordering::Relaxed) {
                return age.grace;
            }
            // What speaks HTTP/1, and what has not asked yet, has limits of its own.
            if self.asked.load(Ordering::Relaxed) {
                return std::future::pending().await;
            }
            sleep(LOOK_AGAIN).await;
        }
    }

    /// Waits until the connection is to be closed.
    async fn overdue(&self, deadlines: &Deadlines) -> Late {
        // A request may come and go and the next head begin while we sleep.
        let look = deadlines.head.min(deadlines.idle) / 2;
        loop {
            let now = Instant::now();
            let (due, late) = self.due(deadlines);
            if due <= now {
                return late;
            }
            sleep_until(due.min(now + look)).await;
        }
    }
}

/// A request without an answer yet.
#[derive(Debug)]
struct Working(Arc<Watch>);

impl Drop for Working {
    fn drop(&mut self) {
        self.0.touch();
        self.0.working.fetch_sub(1, Ordering::AcqRel);
    }
}

/// The requests of one connection.
struct Requests<S>(Arc<Own<S>>);

/// What they have in common, and no other connection has: what all share is not counted for each request.
struct Own<S> {
    front: Arc<S>,
    address: IpAddr,
    answers: Answers,
    watch: Arc<Watch>,
    /// Set when the server is about to stop.
    leaves: Arc<AtomicBool>,
}

impl<S: Serve> hyper::service::Service<Request<Incoming>> for Requests<S> {
    type Response = http::Response<Answered>;
    type Error = Infallible;
    type Future = Answering<S>;

    fn call(&self, request: Request<Incoming>) -> Answering<S> {
        let Self(own) = self;
        let working = own.watch.begin(request.version());
        Answering {
            answer: Arc::clone(&own.front).serve(own.address, Arriving::of(request)),
            working,
            own: Arc::clone(own),
        }
    }
}

/// An answer that is being made, on its connection.
struct Answering<S> {
    answer: Answer,
    working: Working,
    own: Arc<Own<S>>,
}

impl<S> Future for Answering<S> {
    type Output = Result<http::Response<Answered>, Infallible>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut response = ready!(self.answer.as_mut().poll(context));
        let Own {
            address,
            answers,
            leaves,
            ..
        } = &*self.own;
        let watch = Arc::clone(&self.working.0);
        if leaves.load(Ordering::Acquire) && !watch.multiplexed.load(Ordering::Relaxed) {
            let close = HeaderValue::from_static("close");
            response.headers_mut().insert(header::CONNECTION, close);
        }
        Poll::Ready(Ok(answers.give(response, Address::of(*address), watch)))
    }
}

/// The body of an answer on its connection.
type Answered = answer::Answer<Arc<Watch>>;

impl Watching for Arc<Watch> {
    fn moves(&self) {
        self.touch();
    }
}

/// The bytes of a connection.
struct Watched<I> {
    stream: I,
    watch: Arc<Watch>,
}

impl<I: AsyncRead + Unpin> AsyncRead for Watched<I> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = ready!(Pin::new(&mut self.stream).poll_read(context, buffer));
        if buffer.filled().len() > before {
            self.watch.read();
        }
        Poll::Ready(read)
    }
}

impl<I: AsyncWrite + Unpin> Watched<I> {
    fn wrote(&self, written: &io::Result<usize>) {
        if let Ok(bytes) = written {
            self.watch.written(*bytes);
        }
    }
}

impl<I: AsyncWrite + Unpin> AsyncWrite for Watched<I> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.stream).poll_write(context, bytes));
        self.wrote(&written);
        Poll::Ready(written)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.stream).poll_write_vectored(context, parts));
        self.wrote(&written);
        Poll::Ready(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
