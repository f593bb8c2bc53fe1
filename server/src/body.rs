//! Bodies of requests: read before a place in the gate is taken, within a time and within memory, and read on for nothing
//! where the answer came first.
//!
//! # Invariants
//!
//! - Who sends slowly holds a connection and what was sent so far, and nothing else.
//! - Memory of bodies that are being read is bounded, and callers of one address have a share of it at most. So is that of
//!   messages of streams. [`SMALL`] bytes of each do not count: connections are bounded, and so are they.
//! - A body that nobody wants any more is not cut off: [`Arriving`] is read on when it is dropped, within limits. Many clients
//!   send all of a body before they look for the answer, and some take the end of a stream for a failure: with HTTP/2 it would
//!   be reset, with HTTP/1 the connection would be closed, and the answer lost.

use crate::clock::in_time;
use crate::error::{Code, ServiceError};
use crate::shares::{Address, Full, Shares, Taken};
use axum::body::HttpBody;
use bytes::Bytes;
use http::{HeaderMap, Request, Version, header};
use http_body_util::BodyExt as _;
use hyper::body::{Frame, Incoming, SizeHint};
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::time::timeout;
use tower::BoxError;

/// Bytes of a body that need no share of the memory for bodies.
pub const SMALL: usize = 64 << 10;

/// How much of a body is read for nothing, and for how long.
const MOST_DISCARDED: usize = 64 << 20;
const DISCARDING: Duration = Duration::from_secs(5);

/// A body on its way. What is not read of it when it is dropped is read for nothing.
#[derive(Debug)]
pub struct Arriving {
    /// `None` once it has ended.
    body: Option<Incoming>,
    /// The caller sends nothing before it is asked to, and need not.
    asks_first: bool,
}

impl Arriving {
    /// A request whose body is on its way.
    #[must_use]
    pub fn of(request: Request<Incoming>) -> Request<Self> {
        let asks_first =
            request.version() < Version::HTTP_2 && request.headers().contains_key(header::EXPECT);
        request.map(|body| Self {
            body: Some(body),
            asks_first,
        })
    }
}

impl HttpBody for Arriving {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let Some(body) = &mut self.body else {
            return Poll::Ready(None);
        };
        let frame = ready!(Pin::new(body).poll_frame(context));
        if !matches!(frame, Some(Ok(_))) {
            self.body = None;
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(HttpBody::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body
            .as_ref()
            .map_or_else(|| SizeHint::with_exact(0), HttpBody::size_hint)
    }
}

impl Drop for Arriving {
    fn drop(&mut self) {
        let unread = self.body.take().filter(|body| !body.is_end_stream());
        if let Some(body) = unread
            && !self.asks_first
            && let Ok(runtime) = Handle::try_current()
        {
            runtime.spawn(discard(body));
        }
    }
}

/// Reads a body for nothing, within limits. Whoever is slower or sends more may lose the answer.
async fn discard(mut body: Incoming) {
    let reading = async {
        let mut left = MOST_DISCARDED;
        while let Some(Ok(frame)) = body.frame().await {
            let length = frame.data_ref().map_or(0, Bytes::len);
            match left.checked_sub(length) {
                Some(rest) => left = rest,
                None => return,
            }
        }
    };
    drop(timeout(DISCARDING, reading).await);
}

/// How bodies are read.
#[derive(Debug)]
pub struct Bodies {
    limit: usize,
    time: Duration,
    memory: Shares,
}

/// A body that was read.
#[derive(Debug)]
pub struct Read {
    /// All of it.
    pub bytes: Bytes,
    /// Its share of the memory, given back when the request has ended.
    pub memory: Option<Taken>,
}

impl Bodies {
    /// Bodies of so many bytes that arrive in so long, in so much memory.
    #[must_use]
    pub fn new(limit: usize, time: Duration, memory: usize) -> Self {
        Self {
            limit,
            time,
            // One body must be possible.
            memory: Shares::new(memory, (memory / 2).max(limit)),
        }
    }

    /// Bytes of the memory that are taken.
    #[must_use]
    pub fn held(&self) -> usize {
        self.memory.taken()
    }

    /// Reads a body to its end, and no further than the limit and `framing` bytes for what stands around it.
    ///
    /// # Errors
    ///
    /// - [`Code::UnsupportedMediaType`]: it is compressed.
    /// - [`Code::TooLarge`], [`Code::BodyTimeout`]: it is larger than the limit, it takes longer to arrive.
    /// - [`Code::Overloaded`]: there is no memory for it.
    /// - [`Code::MalformedRequest`]: it ended before its time.
    pub async fn read(
        &self,
        headers: &HeaderMap,
        body: Arriving,
        framing: usize,
        address: Address,
    ) -> Result<Read, ServiceError> {
        let limit = self.limit.saturating_add(framing);
        plain(headers)?;
        let declared = headers
            .get(header::CONTENT_LENGTH)
            .and_then(|n| n.to_str().ok()?.parse::<usize>().ok());
        if declared.is_some_and(|length| length > limit) {
            return Err(self.too_large());
        }
        let reading = pin!(self.gather(body, limit, address));
        in_time(self.time, reading).await.map_err(|_elapsed| {
            ServiceError::new(
                Code::BodyTimeout,
                format!("the body did not arrive in {:?}", self.time),
            )
        })?
    }

    fn too_large(&self) -> ServiceError {
        ServiceError::new(
            Code::TooLarge,
            format!("the body is larger than {} bytes", self.limit),
        )
    }

    /// All of a body, however long it takes.
    async fn gather(&self, mut body: Arriving, limit: usize, address: Address) -> Result<Read, ServiceError> {
        let mut memory: Option<Taken> = None;
        // Most bodies are one piece, and are not copied.
        let mut first = Bytes::new();
        let mut all: Vec<u8> = Vec::new();
        while let Some(frame) = body.frame().await {
            let piece = match frame {
                Ok(frame) => frame.into_data().unwrap_or_default(),
                Err(error) => {
                    return Err(ServiceError::new(
                        Code::MalformedRequest,
                        format!("the body could not be read: {error}"),
                    ));
                }
            };
            let length = first.len().max(all.len()) + piece.len();
            if length > limit {
                return Err(self.too_large());
            }
            // What is allocated counts, and it grows as the body arrives, whatever length was announced.
            let most = if length <= SMALL { SMALL.min(limit) } else { limit };
            let room = if first.is_empty() {
                length
            } else if length > all.capacity() {
                (length + length / 2).min(most)
            } else {
                all.capacity()
            };
            let held = SMALL + memory.as_ref().map_or(0, Taken::amount);
            if let Some(more) = room.checked_sub(held).filter(|more| *more > 0) {
                match &mut memory {
                    Some(memory) => memory.more(more),
                    None => self.memory.take(address, more).map(|taken| memory = Some(taken)),
                }
                .map_err(no_memory)?;
            }
            if first.is_empty() {
                first = piece;
                continue;
            }
            all.reserve_exact(room - all.len());
            if all.is_empty() {
                all.extend_from_slice(&first);
            }
            all.extend_from_slice(&piece);
        }
        let bytes = if all.is_empty() { first } else { all.into() };
        Ok(Read { bytes, memory })
    }
}

/// What a stream has sent and nobody has read as messages yet. It counts as the body of a request does.
#[derive(Debug)]
pub struct Unread {
    memory: Shares,
    address: Address,
    state: Mutex<UnreadState>,
}

#[derive(Debug, Default)]
struct UnreadState {
    bytes: usize,
    /// Of the bytes beyond [`SMALL`].
    taken: Option<Taken>,
    /// Why no more was taken.
    refused: Option<Full>,
}

/// The body of a stream of messages.
#[derive(Debug)]
pub struct Messages {
    body: Arriving,
    unread: Arc<Unread>,
}

impl Bodies {
    /// A body that is read message by message, and what is to be told of each.
    #[must_use]
    pub fn stream(&self, body: Arriving, address: Address) -> (Messages, Arc<Unread>) {
        let unread = Arc::new(Unread {
            memory: self.memory.clone(),
            address,
            state: Mutex::default(),
        });
        let messages = Messages {
            body,
            unread: Arc::clone(&unread),
        };
        (messages, unread)
    }
}

impl Unread {
    fn state(&self) -> MutexGuard<'_, UnreadState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn arrived(&self, bytes: usize) -> Result<(), Full> {
        let mut state = self.state();
        state.bytes += bytes;
        let held = state.taken.as_ref().map_or(0, Taken::amount);
        let more = state.bytes.saturating_sub(SMALL + held);
        if more == 0 {
            return Ok(());
        }
        let took = match &mut state.taken {
            Some(taken) => taken.more(more),
            None => self
                .memory
                .take(self.address, more)
                .map(|taken| state.taken = Some(taken)),
        };
        took.inspect_err(|full| state.refused = Some(*full))
    }

    /// A message of so many bytes was read.
    pub fn read(&self, bytes: usize) {
        let mut state = self.state();
        state.bytes = state.bytes.saturating_sub(bytes);
        let over = state.bytes.saturating_sub(SMALL);
        if let Some(taken) = &mut state.taken {
            taken.less(taken.amount().saturating_sub(over));
        }
    }

    /// Why the stream was ended, where that is for want of memory.
    #[must_use]
    pub fn refusal(&self) -> Option<ServiceError> {
        self.state().refused.map(no_memory)
    }
}

impl HttpBody for Messages {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let frame = match ready!(Pin::new(&mut self.body).poll_frame(context)) {
            Some(Ok(frame)) => frame,
            Some(Err(error)) => return Poll::Ready(Some(Err(error.into()))),
            None => return Poll::Ready(None),
        };
        let arrived = self.unread.arrived(frame.data_ref().map_or(0, Bytes::len));
        Poll::Ready(Some(
            arrived.map(|()| frame).map_err(|full| no_memory(full).into()),
        ))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

fn no_memory(full: Full) -> ServiceError {
    ServiceError::new(
        Code::Overloaded,
        match full {
            Full::All => "the memory for large bodies is used up",
            Full::Address => "callers of this address use up their share of the memory for large bodies",
        },
    )
    .retry_after(Duration::from_secs(1))
}

/// Bodies are taken as they are: what is small when it arrives must not be large when it is unpacked.
fn plain(headers: &HeaderMap) -> Result<(), ServiceError> {
    let packed = headers
        .get_all(header::CONTENT_ENCODING)
        .iter()
        .find(|value| !value.as_bytes().eq_ignore_ascii_case(b"identity"));
    match packed {
        None => Ok(()),
        Some(value) => Err(ServiceError::new(
            Code::UnsupportedMediaType,
            format!(
                "bodies are taken as they are, not with `Content-Encoding: {}`",
                String::from_utf8_lossy(value.as_bytes())
            ),
        )),
    }
}

/// A text without the mark that some editors put before it.
#[must_use]
pub fn without_mark(text: Bytes) -> Bytes {
    const MARK: &[u8] = "\u{feff}".as_bytes();
    match text.starts_with(MARK) {
        true => text.slice(MARK.len()..),
        false => text,
    }
}

/// JSON text of an object, as far as that can be said without reading all of it.
///
/// # Errors
///
/// [`Code::MalformedRequest`] for an array, whose elements would be taken for the members in their order.
pub fn object(text: Bytes) -> Result<Bytes, ServiceError> {
    let text = without_mark(text);
    let first = text.iter().find(|byte| !byte.is_ascii_whitespace());
    if first == Some(&b'[') {
        return Err(ServiceError::new(
            Code::MalformedRequest,
            "the body is a JSON array, and an object is expected",
        ));
    }
    Ok(text)
}

#[cfg(test)]
mod tests;
