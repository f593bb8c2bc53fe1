//! Bodies of answers: given out in parts, so that it shows whether their callers take them, and held in bounded memory until
//! they do.
//!
//! An answer is made at once, however slowly it is taken. hyper asks for the next part of a body when there is room for it: with
//! HTTP/1 in its buffer, with HTTP/2 in the window that the caller opens for the stream.
//!
//! # Invariants
//!
//! - Memory of answers that are not taken yet is bounded, and callers of one address have a share of it at most. [`SMALL`]
//!   bytes of each do not count: connections and their streams are bounded, and so are they. Who has no room left gets an error
//!   instead of an answer.
//! - With HTTP/2, the stream of an answer of which [`PART`] bytes are not taken within a time is reset, and all others go on
//!   ([`Streams`]). With HTTP/1 the connection is idle then, and closed (`listen.rs`).
//! - What counts as given out and is not taken keeps no more memory than a part.

use crate::body::SMALL;
use crate::error::{Code, ServiceError};
use crate::grpc::status::status;
use crate::http::problem::Failure;
use crate::request_id;
use crate::shares::{Address, Full, Shares, Taken};
use crate::telemetry::Metrics;
use axum::body::{Body, HttpBody};
use axum::response::Response;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, header};
use hyper::body::{Frame, SizeHint};
use hyper::rt::Executor;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::time::{Instant, Sleep, sleep_until};

/// Bytes of a body that are given out at once.
pub const PART: usize = 32 << 10;

tokio::task_local! {
    /// Of the stream that a task serves.
    static TAKING: Arc<Taking>;
}

/// Whether the answer of a stream is taken.
#[derive(Debug)]
struct Taking {
    start: Instant,
    /// When the last part was given out, in milliseconds after `start` and one more; 0 while the next one is asked for.
    given: AtomicU64,
}

impl Taking {
    fn new() -> Self {
        Self {
            start: Instant::now(),
            given: AtomicU64::new(0),
        }
    }

    fn asked(&self) {
        self.given.store(0, Ordering::Relaxed);
    }

    fn gave(&self) {
        let after = u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.given.store(after.saturating_add(1), Ordering::Relaxed);
    }

    /// When the last part was given out, if it is not known to be taken.
    fn waits_since(&self) -> Option<Instant> {
        let after = self.given.load(Ordering::Relaxed).checked_sub(1)?;
        Some(self.start + Duration::from_millis(after))
    }
}

/// Serves the streams of HTTP/2 connections, each until its answer is taken or not taken for too long. What ends then is one
/// stream: others of its connection may be those of other people, behind a proxy.
#[derive(Debug, Clone)]
pub struct Streams {
    /// How long a part of an answer may wait.
    pub patience: Duration,
    /// Counts streams that end.
    pub metrics: Arc<Metrics>,
}

impl<F> Executor<F> for Streams
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    fn execute(&self, stream: F) {
        let Self { patience, metrics } = self.clone();
        tokio::spawn(async move {
            let taking = Arc::new(Taking::new());
            let mut stream = pin!(TAKING.scope(Arc::clone(&taking), stream));
            let mut late = pin!(None::<Sleep>);
            poll_fn(|context| {
                if stream.as_mut().poll(context).is_ready() {
                    return Poll::Ready(());
                }
                let Some(since) = taking.waits_since() else {
                    late.set(None);
                    return Poll::Pending;
                };
                let due = since + patience;
                if late.is_none() {
                    late.set(Some(sleep_until(due)));
                }
                let Some(mut sleep) = late.as_mut().as_pin_mut() else {
                    return Poll::Pending;
                };
                if sleep.deadline() != due {
                    sleep.as_mut().reset(due);
                }
                ready!(sleep.as_mut().poll(context));
                // Whatever is dropped before its end is reset.
                metrics.connection_closed("unread");
                Poll::Ready(())
            })
            .await;
        });
    }
}

/// Memory of answers. Cheap to clone; clones share it.
#[derive(Debug, Clone)]
pub struct Answers {
    memory: Shares,
    metrics: Arc<Metrics>,
}

/// Who watches an answer on its way.
pub trait Watching: Send + Unpin {
    /// A part of it is given out.
    fn moves(&self);
}

impl Answers {
    /// So much memory, half of it for callers of one address.
    #[must_use]
    pub fn new(memory: usize, metrics: Arc<Metrics>) -> Self {
        Self {
            memory: Shares::new(memory, memory / 2),
            metrics,
        }
    }

    /// An answer to a caller at this address as it is given out, or the error in its place.
    pub fn give<W: Watching>(
        &self,
        mut response: Response,
        address: Address,
        watch: W,
    ) -> http::Response<Answer<W>> {
        let is_grpc = response
            .headers()
            .get(header::CONTENT_TYPE)
            .is_some_and(|kind| kind.as_bytes().starts_with(b"application/grpc"));
        let mut room = None;
        // The length of what comes message by message is not known.
        if let Some(bytes) = response.body().size_hint().exact().filter(|_| !is_grpc) {
            match self.take(address, usize::try_from(bytes).unwrap_or(usize::MAX)) {
                Ok(taken) => room = taken,
                Err(full) => response = self.refused(&response, full),
            }
        }
        let id = is_grpc.then(|| response.headers().get(request_id::HEADER).cloned());
        response.map(|body| Answer {
            body,
            rest: Bytes::new(),
            is_part: false,
            room,
            messages: id.map(|id| Messages {
                answers: self.clone(),
                address,
                id,
            }),
            taking: TAKING.try_with(Arc::clone).ok(),
            watch,
        })
    }

    /// Room for an answer of so many bytes, to be held until it is given out; none is needed for few.
    ///
    /// # Errors
    ///
    /// [`Code::Overloaded`] where there is none.
    pub fn room(&self, address: Address, bytes: usize) -> Result<Option<Taken>, ServiceError> {
        self.take(address, bytes).map_err(|full| self.no_memory(full))
    }

    /// Room for so many bytes; none is needed for few. One answer that is larger than the share of its caller is possible, alone.
    fn take(&self, address: Address, bytes: usize) -> Result<Option<Taken>, Full> {
        let most = self.memory.of_one();
        match bytes.checked_sub(SMALL) {
            None | Some(0) => Ok(None),
            Some(more) => self.memory.take(address, more.min(most)).map(Some),
        }
    }

    fn no_memory(&self, full: Full) -> ServiceError {
        self.metrics.shed("answers");
        let detail = match full {
            Full::All => "the memory for large answers is used up",
            Full::Address => {
                "callers of this address use up their share of the memory for large answers: read those that were asked for"
            }
        };
        ServiceError::new(Code::Overloaded, detail).retry_after(Duration::from_secs(1))
    }

    fn refused(&self, response: &Response, full: Full) -> Response {
        let id = response.headers().get(request_id::HEADER);
        let text = id.and_then(|id| id.to_str().ok());
        let mut refused = Failure(self.no_memory(full)).respond(text);
        if let Some(id) = id {
            refused.headers_mut().insert(request_id::HEADER, id.clone());
        }
        refused
    }
}

/// What an answer of messages needs to know of each.
#[derive(Debug)]
struct Messages {
    answers: Answers,
    address: Address,
    /// Of the request.
    id: Option<HeaderValue>,
}

impl Messages {
    /// The end of a call whose answer finds no room.
    fn end(&self, full: Full) -> Result<Frame<Bytes>, axum::Error> {
        let id = self.id.as_ref().and_then(|id| id.to_str().ok());
        let status = status(&self.answers.no_memory(full), id.unwrap_or_default());
        let mut trailers = HeaderMap::new();
        status.add_header(&mut trailers).map_err(axum::Error::new)?;
        Ok(Frame::trailers(trailers))
    }
}

/// The body of an answer: each part that is asked for is something that happens.
#[derive(Debug)]
pub struct Answer<W: Watching> {
    body: Body,
    /// What is left of the last piece of it.
    rest: Bytes,
    /// A part of that piece was given out.
    is_part: bool,
    /// For what is not given out yet.
    room: Option<Taken>,
    /// Where the answer is one of messages.
    messages: Option<Messages>,
    /// Where the answer has a stream of its own.
    taking: Option<Arc<Taking>>,
    watch: W,
}

impl<W: Watching> Answer<W> {
    /// Takes a piece of the body, to be given out in parts.
    ///
    /// # Errors
    ///
    /// What to say instead, where there is no room for it.
    fn take(&mut self, piece: Bytes) -> Result<(), Result<Frame<Bytes>, axum::Error>> {
        self.is_part = false;
        if let Some(messages) = &self.messages {
            self.room = None;
            match messages.answers.take(messages.address, piece.len()) {
                Ok(room) => self.room = room,
                Err(full) => {
                    self.body = Body::empty();
                    return Err(messages.end(full));
                }
            }
        }
        self.rest = piece;
        Ok(())
    }

    fn part(&mut self) -> Bytes {
        if self.rest.len() > PART {
            self.is_part = true;
            return self.rest.split_to(PART);
        }
        let last = std::mem::take(&mut self.rest);
        if self.is_part {
            // Else all of the piece would stay until this was taken.
            return Bytes::copy_from_slice(&last);
        }
        last
    }
}

impl<W: Watching> HttpBody for Answer<W> {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        if let Some(taking) = &self.taking {
            taking.asked();
        }
        if self.rest.is_empty() {
            let frame = ready!(Pin::new(&mut self.body).poll_frame(context));
            self.watch.moves();
            match frame.map(|frame| frame.map(Frame::into_data)) {
                None => return Poll::Ready(None),
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                Some(Ok(Err(trailers))) => return Poll::Ready(Some(Ok(trailers))),
                Some(Ok(Ok(piece))) => {
                    if let Err(instead) = self.take(piece) {
                        return Poll::Ready(Some(instead));
                    }
                }
            }
        } else {
            self.watch.moves();
        }
        if let Some(taking) = &self.taking {
            taking.gave();
        }
        let part = self.part();
        Poll::Ready(Some(Ok(Frame::data(part))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let (left, more) = (self.rest.len() as u64, self.body.size_hint());
        let mut hint = SizeHint::new();
        hint.set_lower(more.lower().saturating_add(left));
        if let Some(upper) = more.upper() {
            hint.set_upper(upper.saturating_add(left));
        }
        hint
    }
}

#[cfg(test)]
mod tests;
