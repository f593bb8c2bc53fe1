//! What handlers take from a request: the caller, the body, parameters, `If-Match`. Whatever is wrong becomes a problem
//! document, never one of axum's plain texts.

use super::problem::Failure;
use crate::document::Format;
use crate::error::{Code, ServiceError};
use crate::limits::Route;
pub(super) use crate::service::Caller;
use crate::state::App;
use crate::telemetry::metrics::Transport;
use axum::body::HttpBody;
use axum::extract::{ConnectInfo, FromRequest, FromRequestParts, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, header};
use bytes::Bytes;
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use serde::de::DeserializeOwned;
use std::net::{IpAddr, SocketAddr};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::time::timeout;
use tower::BoxError;

/// Id of the request, put in by the outermost layer.
#[derive(Debug, Clone)]
pub(super) struct RequestId(pub(super) Arc<str>);

/// How much of a body that is too large is read all the same, and for how long.
const MOST_DISCARDED: usize = 64 << 20;
const DISCARDING: Duration = Duration::from_secs(2);

const API_KEY: HeaderName = HeaderName::from_static("x-api-key");

fn text(headers: &HeaderMap, name: HeaderName) -> Option<&str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

/// Where a request comes from, which listeners put beside it.
fn address(parts: &Parts) -> Option<IpAddr> {
    let ConnectInfo(address) = parts.extensions.get::<ConnectInfo<SocketAddr>>()?;
    Some(address.ip())
}

/// Proving who calls, and the rate limit, come first, before the body is read.
pub(super) async fn admit(
    app: &App,
    parts: &Parts,
    route: Route,
    request_id: Arc<str>,
) -> Result<Caller, Failure> {
    let until = Instant::now().checked_add(app.service.limits.timeout);
    let identity = app
        .admit(
            text(&parts.headers, header::AUTHORIZATION),
            text(&parts.headers, API_KEY),
            address(parts),
            route,
        )
        .await?;
    Ok(Caller {
        identity,
        request_id,
        transport: Transport::Rest,
        until,
    })
}

impl FromRequestParts<App> for Caller {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Failure> {
        let request_id = parts
            .extensions
            .get::<RequestId>()
            .map_or_else(|| Arc::from(""), |id| Arc::clone(&id.0));
        admit(app, parts, route_class(parts.uri.path()), request_id).await
    }
}

/// The class that rate limits are set for.
fn route_class(path: &str) -> Route {
    let path = path.strip_prefix("/api").unwrap_or(path);
    let path = path.strip_prefix("/v1").unwrap_or(path);
    let first = path.split('/').nth(1).unwrap_or_default();
    match first {
        "evaluate" => Route::Evaluate,
        "bundle" => Route::Bundle,
        "decisions" => Route::Decisions,
        "audit" => Route::Audit,
        "keys" => Route::Keys,
        _ => Route::Policies,
    }
}

/// The body, limited in size.
#[derive(Debug)]
pub(super) struct Body(pub(super) Bytes);

impl Body {
    /// Reads it to its end, and no further than `limit` bytes.
    pub(super) async fn read<B>(headers: &HeaderMap, body: B, limit: usize) -> Result<Self, Failure>
    where
        B: HttpBody<Data = Bytes>,
        B::Error: Into<BoxError>,
    {
        let mut body = pin!(body);
        let too_large = || {
            Failure(ServiceError::new(
                Code::TooLarge,
                format!("the body is larger than {limit} bytes"),
            ))
        };
        let declared = text(headers, header::CONTENT_LENGTH).and_then(|n| n.parse::<usize>().ok());
        if declared.is_some_and(|length| length > limit) {
            // Who asks first has sent nothing yet, and need not.
            if !headers.contains_key(header::EXPECT) {
                discard(body).await;
            }
            return Err(too_large());
        }
        match Limited::new(body.as_mut(), limit).collect().await {
            Ok(body) => Ok(Self(body.to_bytes())),
            Err(error) if error.is::<LengthLimitError>() => {
                discard(body).await;
                Err(too_large())
            }
            Err(error) => Err(Failure(ServiceError::new(
                Code::MalformedRequest,
                format!("the body could not be read: {error}"),
            ))),
        }
    }
}

/// Reads on for nothing, within limits. Many clients send all of a body before they look for the answer; closed before, they
/// would see a broken connection instead.
async fn discard<B>(mut body: Pin<&mut B>)
where
    B: HttpBody<Data = Bytes>,
{
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
    // Whoever is slower or sends more does without the answer.
    drop(timeout(DISCARDING, reading).await);
}

impl FromRequest<App> for Body {
    type Rejection = Failure;

    async fn from_request(request: Request, app: &App) -> Result<Self, Failure> {
        let (parts, body) = request.into_parts();
        Self::read(&parts.headers, body, app.service.limits.body).await
    }
}

/// A JSON body.
#[derive(Debug)]
pub(super) struct Json<T>(pub(super) T);

impl<T: DeserializeOwned> FromRequest<App> for Json<T> {
    type Rejection = Failure;

    async fn from_request(request: Request, app: &App) -> Result<Self, Failure> {
        require_json(request.headers())?;
        let Body(bytes) = Body::from_request(request, app).await?;
        serde_json::from_slice(&bytes)
            .map(Self)
            .map_err(|error| Failure(ServiceError::new(Code::MalformedRequest, error.to_string())))
    }
}

/// A missing content type is taken for JSON: everything else in this API is.
pub(super) fn require_json(headers: &HeaderMap) -> Result<(), Failure> {
    let Some(found) = text(headers, header::CONTENT_TYPE) else {
        return Ok(());
    };
    if found == "application/json" {
        return Ok(());
    }
    let kind = found.split(';').next().unwrap_or_default().trim();
    if kind.eq_ignore_ascii_case("application/json") || kind.ends_with("+json") {
        return Ok(());
    }
    Err(Failure(ServiceError::new(
        Code::UnsupportedMediaType,
        format!("expected application/json, found `{kind}`"),
    )))
}

/// A policy document: text and language.
#[derive(Debug)]
pub(super) struct Document {
    pub(super) source: String,
    pub(super) format: Format,
}

impl FromRequest<App> for Document {
    type Rejection = Failure;

    async fn from_request(request: Request, app: &App) -> Result<Self, Failure> {
        let content_type = text(request.headers(), header::CONTENT_TYPE)
            .unwrap_or("application/json")
            .to_owned();
        let format = Format::of_content_type(&content_type).ok_or_else(|| {
            Failure(ServiceError::new(
                Code::UnsupportedMediaType,
                format!("expected application/yaml or application/json, found `{content_type}`"),
            ))
        })?;
        let Body(bytes) = Body::from_request(request, app).await?;
        let source = String::from_utf8(bytes.into()).map_err(|error| {
            Failure(ServiceError::new(
                Code::MalformedRequest,
                format!(
                    "the document is not UTF-8, at byte {}",
                    error.utf8_error().valid_up_to()
                ),
            ))
        })?;
        Ok(Self { source, format })
    }
}

/// Query parameters.
#[derive(Debug)]
pub(super) struct Query<T>(pub(super) T);

impl<T: DeserializeOwned + Send> FromRequestParts<App> for Query<T> {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Failure> {
        axum::extract::Query::<T>::from_request_parts(parts, app)
            .await
            .map(|axum::extract::Query(value)| Self(value))
            .map_err(|error| Failure(ServiceError::new(Code::MalformedRequest, error.body_text())))
    }
}

/// Path parameters.
#[derive(Debug)]
pub(super) struct Path<T>(pub(super) T);

impl<T: DeserializeOwned + Send> FromRequestParts<App> for Path<T> {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Failure> {
        axum::extract::Path::<T>::from_request_parts(parts, app)
            .await
            .map(|axum::extract::Path(value)| Self(value))
            .map_err(|error| Failure(ServiceError::new(Code::MalformedRequest, error.body_text())))
    }
}

/// `If-Match`: the tag without its quotes; `None` without the header or with `*`.
#[derive(Debug)]
pub(super) struct IfMatch(pub(super) Option<String>);

impl IfMatch {
    /// The number in the tag.
    pub(super) fn version(&self) -> Result<Option<u64>, Failure> {
        let number = |tag: &String| {
            tag.parse().map_err(|_| {
                Failure(ServiceError::new(
                    Code::MalformedRequest,
                    format!("`If-Match` holds a version such as \"3\", not `{tag}`"),
                ))
            })
        };
        self.0.as_ref().map(number).transpose()
    }
}

impl<S: Sync> FromRequestParts<S> for IfMatch {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Failure> {
        let tag = text(&parts.headers, header::IF_MATCH).map(str::trim);
        Ok(Self(tag.filter(|tag| *tag != "*").map(|tag| {
            // A proxy that compresses answers makes tags weak; a version means the same text all the same.
            let tag = tag.strip_prefix("W/").unwrap_or(tag);
            tag.trim_matches('"').to_owned()
        })))
    }
}
