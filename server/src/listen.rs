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

pub mod config;
mod requests;
mod watch;

use self::requests::{Own, Requests};
use self::watch::{Late, Watch, Watched};
use crate::answer::{Answers, Streams};
use crate::body::Arriving;
use crate::shares::{Address, Full, Shares, Taken};
use crate::telemetry::Metrics;
use crate::tls;
use axum::response::Response;
use http::Request;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use std::future::Future;
use std::io;
use std::net::IpAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Bytes of heads of a request that are held at most, over HTTP/1. Longer ones are refused with 431.
const HEADS: usize = 64 << 10;

/// How often a client with HTTP/2 is asked whether it is still there, and how long it may take to say so.
const PING: Duration = Duration::from_secs(30);
const PONG: Duration = Duration::from_secs(10);

/// How long a connection that was idle for too long has to end by itself, once it was told.
const LINGER: Duration = Duration::from_secs(2);

/// Pause when the system does not accept.
const PAUSE: Duration = Duration::from_millis(50);

/// How often the log says that connections are refused.
const COMPLAIN: Duration = Duration::from_secs(10);

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
    /// much again at most.
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
