//! Why a call has no answer that can be used.
//!
//! Every client gives a [`Failure`] where it has nothing to say. Nothing of an answer is repeated in it, because it may
//! hold what was sent to the server: prompts, personal data, credentials. Of a certificate that is not accepted, names are.

use std::time::Duration;

/// Why a call has no answer that can be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Failure {
    /// No URL is configured, so nobody was asked.
    #[error("no URL is configured")]
    Disabled,
    /// The circuit breaker is open: too many calls failed one after the other, and nobody was asked.
    #[error("the circuit breaker is open for another {} ms", .retry_in.as_millis())]
    CircuitOpen {
        /// When a call is let through again.
        retry_in: Duration,
    },
    /// There is no connection: name, address, refusal.
    #[error("cannot connect: {0}")]
    Connect(String),
    /// The server's certificate, or the rest of the TLS handshake, is not accepted. Never tried again.
    #[error("TLS handshake failed: {0}")]
    Tls(String),
    /// The connection ended before the whole answer was there.
    #[error("the connection ended before the whole answer was there: {0}")]
    Broken(String),
    /// No whole answer in time.
    #[error("no whole answer within the time of {}", .0.of())]
    Deadline(Deadline),
    /// A status that this route does not answer with, for example 202 of a stub, 422, or 503 after all retries.
    #[error("status {status}, which is no usable answer of this route")]
    Status {
        /// The status code.
        status: u16,
        /// What the server said of when to come back.
        retry_after: Option<Duration>,
    },
    /// The server sends the caller elsewhere: to another host, scheme or port, or with a method that would change.
    #[error("redirect to another server, or with another method, is not followed")]
    Redirect,
    /// The answer is longer than allowed.
    #[error("the answer is longer than {limit} bytes")]
    TooLarge {
        /// The bytes that are allowed.
        limit: usize,
    },
    /// The answer is not what this route is known to answer with, or contradicts itself.
    #[error("the answer is not understood: {0}")]
    OddAnswer(String),
    /// What the caller wants to send is outside of the contract of the route; nobody was asked.
    #[error("the request is not sent: {0}")]
    InvalidRequest(String),
    /// The operating system gives no random numbers; nobody was asked.
    #[error("the operating system gives no random numbers")]
    NoRandomness,
}

/// Which of the two deadlines ended a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deadline {
    /// That of one attempt.
    Attempt,
    /// That of the whole call with its retries.
    Total,
}

impl Deadline {
    /// What it is the deadline of.
    fn of(self) -> &'static str {
        match self {
            Self::Attempt => "one attempt",
            Self::Total => "the call",
        }
    }
}
