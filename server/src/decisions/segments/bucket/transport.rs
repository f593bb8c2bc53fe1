//! HTTP to buckets: `object_store` says what to ask, and this asks, over the transport of all our clients.
//!
//! # Invariants
//!
//! - Plain HTTP only where it was allowed (`AWS_ALLOW_HTTP` and its like), or where the cloud gives its own machines credentials.
//! - What an attempt takes is bounded: to connect, for the head, and for the body, which is read whole.
//! - Of an answer that is an error only its code is passed on. Clouds quote in its body what was signed, the session token among it.
//! - An option of `object_store` that has no effect here is an error, not passed over.
//!
//! # Not done here
//!
//! Trying again: `object_store`. Redirects are not followed; proxies are not asked.

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use http_body_util::BodyExt as _;
use hyper::body::{Body as _, Incoming};
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpRequestBody, HttpResponse,
    HttpService,
};
use object_store::{ClientConfigKey, ClientOptions};
use policy_integrations::Anywhere;
use std::error::Error as StdError;
use std::fmt;
use std::time::Duration;
use tokio::time::timeout;

/// Time for a head, and for the next piece of a body, where the environment says nothing else.
const TIME: Duration = Duration::from_secs(15);

/// More of it for each byte that is sent: an uplink of 1 Mbit/s is the slowest that is waited for.
const BYTES_A_SECOND: usize = 128 << 10;

/// Time for a whole body, as a multiple of that of a head.
const BODY: u32 = 4;

/// Bytes of an answer at most: ranges and lists are shorter.
const ANSWER: usize = 64 << 20;

/// How long a connection that nobody uses is kept.
const IDLE: Duration = Duration::from_secs(30);

/// Makes clients for the parts of `object_store`: one for the bucket, others for credentials.
#[derive(Debug)]
pub(super) struct Connect(pub(super) Anywhere);

/// Options that have an effect here, or none that anybody could miss.
const KNOWN: [ClientConfigKey; 8] = [
    ClientConfigKey::AllowHttp,
    ClientConfigKey::ConnectTimeout,
    ClientConfigKey::DefaultContentType,
    ClientConfigKey::Http1Only,
    ClientConfigKey::PoolIdleTimeout,
    ClientConfigKey::PoolMaxIdlePerHost,
    ClientConfigKey::Timeout,
    ClientConfigKey::UserAgent,
];

/// All of them that could be given, by the names that they have behind `AWS_`, `GOOGLE_` or `AZURE_`.
const ALL: [(&str, ClientConfigKey); 19] = [
    ("ALLOW_HTTP", ClientConfigKey::AllowHttp),
    (
        "ALLOW_INVALID_CERTIFICATES",
        ClientConfigKey::AllowInvalidCertificates,
    ),
    ("CONNECT_TIMEOUT", ClientConfigKey::ConnectTimeout),
    ("DEFAULT_CONTENT_TYPE", ClientConfigKey::DefaultContentType),
    ("HTTP1_ONLY", ClientConfigKey::Http1Only),
    (
        "HTTP2_KEEP_ALIVE_INTERVAL",
        ClientConfigKey::Http2KeepAliveInterval,
    ),
    ("HTTP2_KEEP_ALIVE_TIMEOUT", ClientConfigKey::Http2KeepAliveTimeout),
    (
        "HTTP2_KEEP_ALIVE_WHILE_IDLE",
        ClientConfigKey::Http2KeepAliveWhileIdle,
    ),
    ("HTTP2_MAX_FRAME_SIZE", ClientConfigKey::Http2MaxFrameSize),
    ("HTTP2_ONLY", ClientConfigKey::Http2Only),
    ("NO_SYSTEM_CERTIFICATES", ClientConfigKey::NoSystemCertificates),
    ("POOL_IDLE_TIMEOUT", ClientConfigKey::PoolIdleTimeout),
    ("POOL_MAX_IDLE_PER_HOST", ClientConfigKey::PoolMaxIdlePerHost),
    ("PROXY_CA_CERTIFICATE", ClientConfigKey::ProxyCaCertificate),
    ("PROXY_EXCLUDES", ClientConfigKey::ProxyExcludes),
    ("PROXY_URL", ClientConfigKey::ProxyUrl),
    ("READ_TIMEOUT", ClientConfigKey::ReadTimeout),
    ("TIMEOUT", ClientConfigKey::Timeout),
    ("USER_AGENT", ClientConfigKey::UserAgent),
];

/// Whether an option is on, as `object_store` reads it.
pub(super) fn is_on(option: Option<&str>) -> bool {
    let text = option.unwrap_or_default().to_ascii_lowercase();
    ["1", "true", "on", "yes", "y"].contains(&text.as_str())
}

fn unsupported(why: String) -> object_store::Error {
    object_store::Error::NotSupported { source: why.into() }
}

/// A time among the options; `None` where it is the one that is there without being given.
fn time(options: &ClientOptions, name: &str, key: ClientConfigKey) -> object_store::Result<Option<Duration>> {
    let given = options.get_config_value(&key);
    if given == ClientOptions::default().get_config_value(&key) {
        return Ok(None);
    }
    let Some(given) = given else {
        return Err(unsupported(format!("{name} cannot be turned off")));
    };
    let parsed = given.parse::<jiff::SignedDuration>().ok();
    let parsed = parsed.and_then(|time| Duration::try_from(time).ok());
    match parsed {
        Some(time) if !time.is_zero() => Ok(Some(time)),
        _ => Err(unsupported(format!("{name} is no time such as `20s`"))),
    }
}

impl HttpConnector for Connect {
    fn connect(&self, options: &ClientOptions) -> object_store::Result<HttpClient> {
        let default = ClientOptions::default();
        for (name, key) in ALL {
            if !KNOWN.contains(&key) && options.get_config_value(&key) != default.get_config_value(&key) {
                return Err(unsupported(format!(
                    "the option {name} of the environment has no effect in policyd; remove it"
                )));
            }
        }
        let anywhere = match time(options, "CONNECT_TIMEOUT", ClientConfigKey::ConnectTimeout)? {
            Some(time) => self.0.within(time),
            None => self.0.clone(),
        };
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE)
            .build(anywhere);
        let http = options.get_config_value(&ClientConfigKey::AllowHttp);
        Ok(HttpClient::new(Transport {
            client,
            http: is_on(http.as_deref()),
            time: time(options, "TIMEOUT", ClientConfigKey::Timeout)?.unwrap_or(TIME),
            headers: options.get_default_headers().cloned().unwrap_or_default(),
        }))
    }
}

/// One of the clients.
#[derive(Debug)]
struct Transport {
    client: Client<Anywhere, HttpRequestBody>,
    /// Whether plain HTTP is allowed.
    http: bool,
    time: Duration,
    headers: HeaderMap,
}

/// Why there is no answer.
#[derive(Debug)]
struct NoAnswer(String);

impl fmt::Display for NoAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl StdError for NoAnswer {}

fn no_answer(kind: HttpErrorKind, why: impl Into<String>) -> HttpError {
    HttpError::new(kind, NoAnswer(why.into()))
}

/// What an error says, and what is behind it.
fn chain(error: &dyn StdError) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        source = cause.source();
    }
    text
}

/// Whether a connection ended: asking again takes another one.
fn is_interrupted(error: &(dyn StdError + 'static)) -> bool {
    let mut source = Some(error);
    while let Some(cause) = source {
        if let Some(error) = cause.downcast_ref::<hyper::Error>()
            && (error.is_closed()
                || error.is_incomplete_message()
                || error.is_canceled()
                || error.is_body_write_aborted())
        {
            return true;
        }
        if let Some(error) = cause.downcast_ref::<std::io::Error>() {
            use std::io::ErrorKind::{
                BrokenPipe, ConnectionAborted, ConnectionReset, TimedOut, UnexpectedEof,
            };
            return matches!(
                error.kind(),
                BrokenPipe | ConnectionAborted | ConnectionReset | TimedOut | UnexpectedEof
            );
        }
        source = cause.source();
    }
    false
}

#[async_trait]
impl HttpService for Transport {
    async fn call(&self, mut request: HttpRequest) -> Result<HttpResponse, HttpError> {
        if request.uri().scheme_str() != Some("https") && !self.http {
            return Err(no_answer(HttpErrorKind::Unknown, PLAIN));
        }
        for (name, value) in &self.headers {
            if !request.headers().contains_key(name) {
                request.headers_mut().append(name.clone(), value.clone());
            }
        }
        let sent = request.body().content_length() / BYTES_A_SECOND;
        let time = self.time + Duration::from_secs(u64::try_from(sent).unwrap_or(u64::MAX));
        let late = || {
            no_answer(
                HttpErrorKind::Timeout,
                format!("no answer in {} s", time.as_secs_f32()),
            )
        };
        let response = timeout(time, self.client.request(request))
            .await
            .map_err(|_| late())?
            .map_err(|error| {
                let kind = if error.is_connect() {
                    HttpErrorKind::Connect
                } else if is_interrupted(&error) {
                    HttpErrorKind::Request
                } else {
                    HttpErrorKind::Unknown
                };
                no_answer(kind, chain(&error))
            })?;
        let (head, body) = response.into_parts();
        let body = timeout(self.time * BODY, self.read(body))
            .await
            .map_err(|_| late())??;
        let body = if head.status.is_client_error() || head.status.is_server_error() {
            code(&body).into()
        } else {
            body
        };
        Ok(HttpResponse::from_parts(head, body.into()))
    }
}

/// What is said of plain HTTP that nobody allowed.
pub(super) const PLAIN: &str = "http:// is not encrypted; where that is meant, allow it by AWS_ALLOW_HTTP=true (GOOGLE_ALLOW_HTTP, AZURE_ALLOW_HTTP)";

impl Transport {
    /// A whole body.
    async fn read(&self, mut body: Incoming) -> Result<Bytes, HttpError> {
        let expected = usize::try_from(body.size_hint().lower()).unwrap_or(ANSWER);
        let mut bytes = BytesMut::with_capacity(expected.min(ANSWER));
        loop {
            let frame = timeout(self.time, body.frame())
                .await
                .map_err(|_| no_answer(HttpErrorKind::Timeout, "the answer stopped half way"))?;
            let Some(frame) = frame else {
                return Ok(bytes.freeze());
            };
            let frame = frame.map_err(|error| no_answer(HttpErrorKind::Interrupted, chain(&error)))?;
            let Ok(data) = frame.into_data() else {
                continue;
            };
            if data.len() > ANSWER - bytes.len() {
                return Err(no_answer(HttpErrorKind::Decode, "the answer is too long"));
            }
            bytes.extend_from_slice(&data);
        }
    }
}

/// The code in the body of an error; empty where there is none.
fn code(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body);
    let xml = || Some(text.split_once("<Code>")?.1.split_once("</Code>")?.0.to_owned());
    let json = || {
        let value: serde_json::Value = serde_json::from_slice(body).ok()?;
        let error = value.get("error").unwrap_or(&value);
        let named = ["status", "code"]
            .into_iter()
            .find_map(|name| error.get(name)?.as_str());
        error.as_str().or(named).map(ToOwned::to_owned)
    };
    let is_code = |code: &String| {
        code.len() <= 64
            && code
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || "_.-".contains(c))
    };
    xml().or_else(json).filter(is_code).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::{Connect, code};
    use object_store::client::HttpConnector as _;
    use object_store::{ClientConfigKey, ClientOptions};
    use policy_integrations::Anywhere;
    use std::time::Duration;

    #[test]
    fn of_an_error_only_the_code_is_left() {
        let s3 = "<?xml version=\"1.0\"?><Error><Code>SignatureDoesNotMatch</Code><Message>S3CRET</Message></Error>";
        let google = r#"{"error": {"code": 403, "status": "PERMISSION_DENIED", "message": "S3CRET"}}"#;
        let token = r#"{"error": "invalid_grant", "error_description": "S3CRET"}"#;
        for (body, expected) in [
            (s3, "SignatureDoesNotMatch"),
            (google, "PERMISSION_DENIED"),
            (token, "invalid_grant"),
            ("S3CRET", ""),
            ("<Code>S3CRET of mine</Code>", ""),
            (r#"{"error": {"code": 7}}"#, ""),
        ] {
            assert_eq!(code(body.as_bytes()), expected);
        }
    }

    #[test]
    fn options_without_effect_are_refused() {
        let connect = Connect(Anywhere::new(None, Duration::from_secs(1)).unwrap());
        let with = |key, value: &str| ClientOptions::default().with_config(key, value);
        for options in [
            ClientOptions::default(),
            with(ClientConfigKey::AllowHttp, "true"),
            with(ClientConfigKey::Timeout, "20s"),
            with(ClientConfigKey::ConnectTimeout, "1s"),
        ] {
            assert!(connect.connect(&options).is_ok(), "{options:?}");
        }
        for (options, name) in [
            (with(ClientConfigKey::ProxyUrl, "http://p"), "PROXY_URL"),
            (
                with(ClientConfigKey::AllowInvalidCertificates, "true"),
                "ALLOW_INVALID_CERTIFICATES",
            ),
            (with(ClientConfigKey::Timeout, "soon"), "TIMEOUT"),
        ] {
            let error = connect.connect(&options).unwrap_err().to_string();
            assert!(error.contains(name), "{error}");
        }
    }
}
