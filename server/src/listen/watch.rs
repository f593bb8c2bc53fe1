//! What happens on one connection, and when it is closed because nothing does.

use super::{Age, Deadlines};
use crate::answer::Watching;
use http::Version;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, sleep, sleep_until};

/// Why a connection is closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Late {
    /// A request did not come, or not to the end of its head.
    Head,
    /// Nothing happened.
    Idle,
}

impl Late {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Head => "head",
            Self::Idle => "idle",
        }
    }
}

/// What happens on a connection.
#[derive(Debug)]
pub(super) struct Watch {
    pub(super) start: Instant,
    /// Whether there was a request.
    pub(super) asked: AtomicBool,
    /// Whether requests share the connection: then bytes need not be those of a head.
    pub(super) multiplexed: AtomicBool,
    /// Requests without an answer yet.
    pub(super) working: AtomicUsize,
    /// When anything last happened, in milliseconds after `start`.
    pub(super) last: AtomicU64,
    /// When the head of the next request began to arrive, likewise; 0 while none does.
    pub(super) head: AtomicU64,
}

impl Watch {
    pub(super) fn new() -> Self {
        Self {
            start: Instant::now(),
            asked: AtomicBool::new(false),
            multiplexed: AtomicBool::new(false),
            working: AtomicUsize::new(0),
            last: AtomicU64::new(0),
            head: AtomicU64::new(0),
        }
    }

    pub(super) fn now(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    pub(super) fn at(&self, milliseconds: u64) -> Instant {
        self.start + Duration::from_millis(milliseconds)
    }

    /// Something happened.
    pub(super) fn touch(&self) {
        self.last.store(self.now(), Ordering::Relaxed);
    }

    /// A request has come.
    pub(super) fn begin(self: &Arc<Self>, version: Version) -> Working {
        self.multiplexed
            .store(version >= Version::HTTP_2, Ordering::Relaxed);
        self.asked.store(true, Ordering::Relaxed);
        self.head.store(0, Ordering::Relaxed);
        self.working.fetch_add(1, Ordering::AcqRel);
        Working(Arc::clone(self))
    }

    /// Bytes have come.
    pub(super) fn read(&self) {
        let is_head = self.asked.load(Ordering::Relaxed)
            && !self.multiplexed.load(Ordering::Relaxed)
            && self.working.load(Ordering::Acquire) == 0
            && self.head.load(Ordering::Relaxed) == 0;
        if is_head {
            self.head.store(self.now().max(1), Ordering::Relaxed);
        }
    }

    /// So many bytes were sent.
    pub(super) fn written(&self, bytes: usize) {
        if bytes >= AN_ANSWER || !self.multiplexed.load(Ordering::Relaxed) {
            self.touch();
        }
    }

    /// When the connection is to be closed, and why, if nothing happens until then.
    pub(super) fn due(&self, deadlines: &Deadlines) -> (Instant, Late) {
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
    pub(super) async fn old(&self, age: Option<Age>) -> Duration {
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
    pub(super) async fn overdue(&self, deadlines: &Deadlines) -> Late {
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
pub(super) struct Working(pub(super) Arc<Watch>);

impl Drop for Working {
    fn drop(&mut self) {
        self.0.touch();
        self.0.working.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Watching for Arc<Watch> {
    fn moves(&self) {
        self.touch();
    }
}

/// The bytes of a connection.
pub(super) struct Watched<I> {
    pub(super) stream: I,
    pub(super) watch: Arc<Watch>,
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

/// How soon a connection that was too old before its first request is looked at again.
pub(super) const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// With HTTP/2, smaller writes say nothing of an answer: pings are answered with 17 bytes.
pub(super) const AN_ANSWER: usize = 1 << 10;
