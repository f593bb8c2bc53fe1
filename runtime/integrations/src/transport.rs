//! The one way from all clients to their services.
//!
//! A [`Call`] says what to ask and which statuses are answers; [`Transport::call`] gives an [`Answer`] with one of these, or a
//! [`Failure`]. HTTP/1.1 over TCP or TLS, connections are kept for a while and used again. Needs a tokio runtime with time and I/O.
//!
//! # Invariants
//!
//! - A call ends within its total time, whatever the server does, and keeps no more of a body than the allowed bytes.
//! - A call is made again only if it says that this does no harm ([`Repeat`]), after: no connection, a connection that ended before
//!   the head of an answer, 429, 502, 503, 504. What takes too long is not made again: a slow server gets no more work.
//!   (Not counted: a kept connection that the server had closed before anything was sent on it; another one is taken.)
//! - Nobody but the server of the settings is ever connected to. No proxy is taken from the environment.
//! - Each attempt asks the circuit breaker first. Failures are: no connection, a broken one, no answer in time, 429 and 5xx.

use crate::breaker::{Breaker, BreakerState};
use crate::clock::LONGEST;
use crate::connect::{ConnectError, Connector};
use crate::failure::{Deadline, Failure};
#[cfg(any(feature = "shield", feature = "costops"))]
use crate::json::write_json;
use crate::retry::{self, retry_after};
use crate::settings::{Credentials, DEFAULT_MAX_ANSWER, Settings, SettingsError};
use crate::sign;
use bytes::{Bytes, BytesMut};
use http::header::{
    AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE, HeaderName, HeaderValue, LOCATION, USER_AGENT,
};
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use secrecy::ExposeSecret as _;
use std::error::Error as _;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout};

/// Redirects within the same server that are followed.
const REDIRECTS: usize = 3;

/// How long a connection that nobody uses is kept.
const IDLE: Duration = Duration::from_secs(30);

/// Bytes of the buffer that the head of an answer is read into: a head of several times as many is refused.
const MAX_HEAD: usize = 64 * 1024;

/// Connections that are kept for later.
const MAX_IDLE: usize = 32;

/// Whether a call may be made again where it is not known what became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Repeat {
    /// It is made once.
    Never,
    /// Making it twice is the same as making it once.
    Idempotent,
    /// The server is told this key in `Idempotency-Key`, so that it can tell the second from another.
    Key(String),
}

/// What to ask of a server.
#[derive(Clone, Debug)]
pub struct Call {
    method: Method,
    path: String,
    headers: HeaderMap,
    body: Bytes,
    repeat: Repeat,
    expect: Vec<StatusCode>,
    status_only: bool,
}

impl Call {
    /// `GET` of a path behind the URL of the settings; it is idempotent. 200 is its answer.
    #[must_use]
    pub fn get(path: &str) -> Self {
        Self {
            method: Method::GET,
            path: path.to_owned(),
            headers: HeaderMap::new(),
            body: Bytes::new(),
            repeat: Repeat::Idempotent,
            expect: vec![StatusCode::OK],
            status_only: false,
        }
    }

    /// `POST` of bytes of a type to a path behind the URL of the settings; it is made once. 200 is its answer.
    #[must_use]
    pub fn post(path: &str, content_type: &'static str, body: Bytes) -> Self {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        Self {
            method: Method::POST,
            path: path.to_owned(),
            headers,
            body,
            repeat: Repeat::Never,
            expect: vec![StatusCode::OK],
            status_only: false,
        }
    }

    /// `POST` of a value as JSON, for an answer in JSON; otherwise as [`Call::post`].
    #[cfg(any(feature = "shield", feature = "costops"))]
    pub(crate) fn json(path: &str, body: &impl serde::Serialize) -> Result<Self, Failure> {
        let body = Bytes::from(write_json(body)?);
        Self::post(path, "application/json", body).header("accept", "application/json")
    }

    /// Whether it may be made again.
    #[must_use]
    pub fn repeat(mut self, repeat: Repeat) -> Self {
        self.repeat = repeat;
        self
    }

    /// The statuses that are answers; every other is a failure.
    #[must_use]
    pub fn expect(mut self, statuses: &[StatusCode]) -> Self {
        self.expect = statuses.to_vec();
        self
    }

    /// Any 2xx is an answer, and only the status is one: of the body nothing is kept, whatever its length and coding. What ends
    /// before its end is still a failure.
    #[must_use]
    pub fn status_only(mut self) -> Self {
        self.expect = (200..300)
            .filter_map(|status| StatusCode::from_u16(status).ok())
            .collect();
        self.status_only = true;
        self
    }

    /// Adds a header.
    ///
    /// # Errors
    ///
    /// [`Failure::InvalidRequest`] where name or value cannot stand in a header.
    pub fn header(mut self, name: &'static str, value: &str) -> Result<Self, Failure> {
        let invalid = || Failure::InvalidRequest(format!("the value of `{name}` cannot stand in a header"));
        let header = HeaderName::from_bytes(name.as_bytes()).map_err(|_| invalid())?;
        let value = HeaderValue::from_str(value).map_err(|_| invalid())?;
        self.headers.insert(header, value);
        Ok(self)
    }
}

/// What a server answered: one of the statuses that the call expects.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The status, one that the call expects.
    pub status: StatusCode,
    /// The headers of the answer.
    pub headers: HeaderMap,
    /// The whole body.
    pub body: Bytes,
}

/// The way to one service, or to none; cheap to clone.
#[derive(Clone, Debug)]
pub struct Transport(Option<Arc<Inner>>);

struct Inner {
    settings: Settings,
    max_answer: usize,
    client: Client<Connector, Full<Bytes>>,
    breaker: Breaker,
}

impl fmt::Debug for Inner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inner")
            .field("settings", &self.settings)
            .field("breaker", &self.breaker)
            .finish_non_exhaustive()
    }
}

/// What became of one attempt, and whether another one may help.
struct Attempt {
    failure: Failure,
    again: bool,
}

impl Attempt {
    fn last(failure: Failure) -> Self {
        Self {
            failure,
            again: false,
        }
    }
}

impl Transport {
    /// The way to the service of the settings. Connects to nobody yet.
    ///
    /// # Errors
    ///
    /// What is wrong with the settings.
    pub fn new(settings: Settings) -> Result<Self, SettingsError> {
        Self::with_max_answer(settings, DEFAULT_MAX_ANSWER)
    }

    /// As [`Transport::new`], with another size of answers where the settings say none.
    pub(crate) fn with_max_answer(settings: Settings, default: usize) -> Result<Self, SettingsError> {
        settings.check()?;
        let connector = Connector::new(&settings)?;
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE)
            .pool_max_idle_per_host(MAX_IDLE)
            .http1_max_buf_size(MAX_HEAD)
            .build(connector);
        Ok(Self(Some(Arc::new(Inner {
            max_answer: settings.max_answer.unwrap_or(default),
            breaker: Breaker::new(settings.breaker, Arc::clone(&settings.clock)),
            client,
            settings,
        }))))
    }

    /// No service: every call is [`Failure::Disabled`].
    #[must_use]
    pub fn disabled() -> Self {
        Self(None)
    }

    /// The state of the circuit breaker; `None` where there is no service.
    #[must_use]
    pub fn breaker_state(&self) -> Option<BreakerState> {
        self.0.as_ref().map(|inner| inner.breaker.state())
    }

    /// Asks, again where that is allowed and may help.
    ///
    /// # Errors
    ///
    /// Why there is no answer that the call expects.
    pub async fn call(&self, call: &Call) -> Result<Answer, Failure> {
        let inner = self.0.as_ref().ok_or(Failure::Disabled)?;
        let until = Instant::now() + inner.settings.total.min(LONGEST);
        let retries = match call.repeat {
            Repeat::Never => 0,
            Repeat::Idempotent | Repeat::Key(_) => inner.settings.retry.retries,
        };
        let mut retry = 0;
        let mut before = None;
        loop {
            let Attempt { failure, again } = match inner.attempt(call, until).await {
                Ok(answer) => return Ok(answer),
                Err(attempt) => attempt,
            };
            // The circuit opened between two attempts: what the attempts met says more.
            if let (Failure::CircuitOpen { .. }, Some(before)) = (&failure, before) {
                return Err(before);
            }
            if !again || retry >= retries {
                return Err(failure);
            }
            let mut pause = inner.settings.retry.pause(retry, retry::random());
            if let Failure::Status {
                retry_after: Some(wait),
                ..
            } = failure
            {
                // After what the server asked for, and not all at once.
                pause = wait.saturating_add(pause);
            }
            // What cannot end in time is not begun: the caller hears now.
            if pause >= until.saturating_duration_since(Instant::now()) {
                return Err(failure);
            }
            sleep(pause).await;
            before = Some(failure);
            retry += 1;
        }
    }
}

impl Inner {
    async fn attempt(&self, call: &Call, until: Instant) -> Result<Answer, Attempt> {
        let left = until.saturating_duration_since(Instant::now());
        let (time, deadline) = if left < self.settings.attempt {
            (left, Deadline::Total)
        } else {
            (self.settings.attempt, Deadline::Attempt)
        };
        let permit = self
            .breaker
            .admit()
            .map_err(|retry_in| Attempt::last(Failure::CircuitOpen { retry_in }))?;
        let result = timeout(time, self.exchange(call))
            .await
            .unwrap_or_else(|_| Err(Attempt::last(Failure::Deadline(deadline))));
        match &result {
            Err(attempt) if is_outage(&attempt.failure) => permit.failed(),
            Err(Attempt {
                failure: Failure::InvalidRequest(_) | Failure::NoRandomness,
                ..
            }) => drop(permit),
            Ok(_) | Err(_) => permit.succeeded(),
        }
        result
    }

    /// Sends, follows redirects within the server, and reads the answer.
    async fn exchange(&self, call: &Call) -> Result<Answer, Attempt> {
        // Without a slash it would be more of the host's name.
        if !call.path.is_empty() && !call.path.starts_with('/') {
            let why = "the path does not begin with `/`".to_owned();
            return Err(Attempt::last(Failure::InvalidRequest(why)));
        }
        let mut url = self.settings.url.join(&call.path);
        for _ in 0..=REDIRECTS {
            let request = self.request(call, &url).map_err(Attempt::last)?;
            let response = self
                .client
                .request(request)
                .await
                .map_err(|error| unanswered(&error))?;
            let status = response.status();
            if call.expect.contains(&status) {
                return self.read(call, response).await.map_err(Attempt::last);
            }
            let keeps_method = matches!(status.as_u16(), 307 | 308);
            let redirects = keeps_method || matches!(status.as_u16(), 301..=303);
            if !redirects {
                let failure = Failure::Status {
                    status: status.as_u16(),
                    retry_after: retry_after(response.headers(), self.settings.clock.wall()),
                };
                return Err(Attempt {
                    failure,
                    again: matches!(status.as_u16(), 429 | 502 | 503 | 504),
                });
            }
            let next = response
                .headers()
                .get(LOCATION)
                .and_then(|location| location.to_str().ok())
                .filter(|_| keeps_method || call.method == Method::GET)
                .and_then(|location| self.settings.url.redirected(location));
            url = next.ok_or(Attempt::last(Failure::Redirect))?;
        }
        Err(Attempt::last(Failure::Redirect))
    }

    fn request(&self, call: &Call, url: &str) -> Result<Request<Full<Bytes>>, Failure> {
        let invalid = |_| Failure::InvalidRequest("the path cannot stand in a URL".to_owned());
        let mut request = Request::builder()
            .method(call.method.clone())
            .uri(url)
            .body(Full::new(call.body.clone()))
            .map_err(invalid)?;
        let headers = request.headers_mut();
        headers.clone_from(&call.headers);
        headers.insert(
            USER_AGENT,
            HeaderValue::from_static(concat!("policy-engine/", env!("CARGO_PKG_VERSION"))),
        );
        let value = |text: &str| {
            HeaderValue::from_str(text)
                .map_err(|_| Failure::InvalidRequest("a value that cannot stand in a header".to_owned()))
        };
        if let Repeat::Key(key) = &call.repeat {
            headers.insert("idempotency-key", value(key)?);
        }
        match &self.settings.credentials {
            Credentials::Nobody => {}
            Credentials::Bearer(token) => {
                let mut token = value(&format!("Bearer {}", token.expose_secret()))?;
                token.set_sensitive(true);
                headers.insert(AUTHORIZATION, token);
            }
            Credentials::Caller { id, secret } => {
                let at = sign::rfc3339(self.settings.clock.wall())
                    .ok_or_else(|| Failure::InvalidRequest("the clock shows no date".to_owned()))?;
                let mut signature = value(&sign::caller(secret.expose_secret().as_bytes(), id, &at))?;
                signature.set_sensitive(true);
                headers.insert("x-caller-id", value(id)?);
                headers.insert("x-caller-issued-at", value(&at)?);
                headers.insert("x-caller-signature", signature);
            }
        }
        Ok(request)
    }

    async fn read(&self, call: &Call, response: Response<Incoming>) -> Result<Answer, Failure> {
        let (head, mut body) = response.into_parts();
        let encoded = head
            .headers
            .get(CONTENT_ENCODING)
            .is_some_and(|coding| coding != "identity");
        if encoded && !call.status_only {
            return Err(Failure::OddAnswer(
                "it is encoded, which was not asked for".to_owned(),
            ));
        }
        let too_large = Failure::TooLarge {
            limit: self.max_answer,
        };
        let (mut bytes, mut passed) = (BytesMut::new(), 0_usize);
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|error| Failure::Broken(error.to_string()))?;
            let Ok(data) = frame.into_data() else {
                continue;
            };
            if call.status_only {
                // To its end, so that the connection can be used again; but not for ever.
                passed = passed.saturating_add(data.len());
                if passed > self.max_answer {
                    break;
                }
                continue;
            }
            if data.len() > self.max_answer - bytes.len() {
                return Err(too_large);
            }
            bytes.extend_from_slice(&data);
        }
        Ok(Answer {
            status: head.status,
            headers: head.headers,
            body: bytes.freeze(),
        })
    }
}

/// No head of an answer.
fn unanswered(error: &hyper_util::client::legacy::Error) -> Attempt {
    let mut source = error.source();
    while let Some(cause) = source {
        match cause.downcast_ref::<ConnectError>() {
            Some(ConnectError::Tls(error)) => return Attempt::last(Failure::Tls(error.to_string())),
            Some(ConnectError::Tcp(error)) => {
                return Attempt {
                    failure: Failure::Connect(error.to_string()),
                    again: true,
                };
            }
            None => {}
        }
        if let Some(error) = cause.downcast_ref::<hyper::Error>()
            && (error.is_parse() || error.is_parse_too_large())
        {
            return Attempt::last(Failure::OddAnswer("it is not HTTP/1.1".to_owned()));
        }
        source = cause.source();
    }
    Attempt {
        failure: Failure::Broken("before the head of an answer".to_owned()),
        again: true,
    }
}

/// What counts against the service in the circuit breaker.
fn is_outage(failure: &Failure) -> bool {
    match failure {
        Failure::Connect(_) | Failure::Tls(_) | Failure::Broken(_) | Failure::Deadline(_) => true,
        Failure::Status { status, .. } => *status == 429 || *status >= 500,
        Failure::Disabled
        | Failure::CircuitOpen { .. }
        | Failure::Redirect
        | Failure::TooLarge { .. }
        | Failure::OddAnswer(_)
        | Failure::InvalidRequest(_)
        | Failure::NoRandomness => false,
    }
}
