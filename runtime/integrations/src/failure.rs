//! Why a call has no answer that can be used.
//!
//! Every client gives a [`Failure`] where it has nothing to say. Nothing of an answer is repeated in it, because it may
//! hold what was sent to the server: prompts, personal data, credentials. Of a certificate that is not accepted, names are.

use std::fmt;
use std::time::Duration;

/// Why a call has no answer that can be used.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Failure {
    /// No URL is configured, so nobody was asked.
    Disabled,
    /// The circuit breaker is open: too many calls failed one after the other, and nobody was asked.
    CircuitOpen {
        /// When a call is let through again.
        retry_in: Duration,
    },
    /// There is no connection: name, address, refusal.
    Connect(String),
    /// The server's certificate, or the rest of the TLS handshake, is not accepted. Never tried again.
    Tls(String),
    /// The connection ended before the whole answer was there.
    Broken(String),
    /// No whole answer in time.
    Deadline(Deadline),
    /// A status that this route does not answer with, for example 202 of a stub, 422, or 503 after all retries.
    Status {
        /// The status code.
        status: u16,
        /// What the server said of when to come back.
        retry_after: Option<Duration>,
    },
    /// The server sends the caller elsewhere: to another host, scheme or port, or with a method that would change.
    Redirect,
    /// The answer is longer than allowed.
    TooLarge {
        /// The bytes that are allowed.
        limit: usize,
    },
    /// The answer is not what this route is known to answer with, or contradicts itself.
    OddAnswer(String),
    /// What the caller wants to send is outside of the contract of the route; nobody was asked.
    InvalidRequest(String),
    /// The operating system gives no random numbers; nobody was asked.
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

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Disabled => f.write_str("no URL is configured"),
            Self::CircuitOpen { retry_in } => write!(
                f,
                "the circuit breaker is open for another {} ms",
                retry_in.as_millis()
            ),
            Self::Connect(why) => write!(f, "cannot connect: {why}"),
            Self::Tls(why) => write!(f, "TLS handshake failed: {why}"),
            Self::Broken(why) => write!(f, "the connection ended before the whole answer was there: {why}"),
            Self::Deadline(Deadline::Attempt) => {
                f.write_str("no whole answer within the time of one attempt")
            }
            Self::Deadline(Deadline::Total) => f.write_str("no whole answer within the time of the call"),
            Self::Status { status, .. } => {
                write!(f, "status {status}, which is no usable answer of this route")
            }
            Self::Redirect => {
                f.write_str("redirect to another server, or with another method, is not followed")
            }
            Self::TooLarge { limit } => write!(f, "the answer is longer than {limit} bytes"),
            Self::OddAnswer(why) => write!(f, "the answer is not understood: {why}"),
            Self::InvalidRequest(why) => write!(f, "the request is not sent: {why}"),
            Self::NoRandomness => f.write_str("the operating system gives no random numbers"),
        }
    }
}

impl std::error::Error for Failure {}
