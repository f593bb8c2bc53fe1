//! What handlers take from a request: the caller, the body, parameters, `If-Match`. Whatever is wrong becomes a problem
//! document, never one of axum's plain texts.
//!
//! Who calls is found out and the body is read by the shell, before a handler runs: [`taken`].

use super::problem::Failure;
use crate::auth::Credentials;
use crate::body::{self, Arriving, Read};
use crate::document::Format;
use crate::error::{Code, ServiceError};
use crate::gate::Place;
use crate::json_text;
use crate::limits::Route;
pub(super) use crate::service::Caller;
use crate::shares::Address;
use crate::state::App;
use crate::telemetry::metrics::Transport;
use axum::body::HttpBody as _;
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, Method, header};
use bytes::Bytes;
use http_body_util::BodyExt as _;
use serde::de::DeserializeOwned;
use std::error::Error as _;
use std::sync::Arc;
use std::time::Instant;

fn text(headers: &HeaderMap, name: HeaderName) -> Option<&str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

/// A place among the requests that are worked on.
pub(super) fn enter(app: &App) -> Result<Place<'_>, Failure> {
    Ok(app
        .gate
        .enter()
        .inspect_err(|_| app.metrics.shed("concurrency"))?)
}

/// Proving who calls, and the rate limit, come first, before the body is read. Where there is no place for the request now,
/// neither is looked at.
pub(super) async fn admit(
    app: &App,
    parts: &Parts,
    address: Address,
    route: Route,
    request_id: Arc<str>,
) -> Result<Caller, Failure> {
    app.gate.look().inspect_err(|_| app.metrics.shed("concurrency"))?;
    let credentials = Credentials::of(&parts.headers);
    Ok(Caller {
        identity: app.admit(&credentials, address, route).await?,
        request_id,
        transport: Transport::Rest,
        until: None,
    })
}

/// The body of a request that was let in.
pub(super) async fn read(
    app: &App,
    parts: &Parts,
    body: Arriving,
    address: Address,
) -> Result<Read, Failure> {
    if app.hosts.is_some() && !body.is_end_stream() {
        not_simple(&parts.method, &parts.headers)?;
    }
    let read = app.bodies.read(&parts.headers, body, 0, address).await;
    Ok(read.inspect_err(|error| {
        if error.code == Code::Overloaded {
            app.metrics.shed("bodies");
        }
    })?)
}

/// Who calls, and all of the body.
pub(super) async fn taken(
    app: &App,
    parts: &Parts,
    body: Arriving,
    address: Address,
    request_id: &Arc<str>,
) -> Result<(Caller, Read), Failure> {
    let class = route_class(parts.uri.path());
    let mut caller = admit(app, parts, address, class, Arc::clone(request_id)).await?;
    let read = read(app, parts, body, address).await?;
    begin(app, &mut caller);
    Ok((caller, read))
}

/// From now on the time runs that the request may take.
pub(super) fn begin(app: &App, caller: &mut Caller) {
    caller.until = Instant::now().checked_add(app.service.limits.timeout);
}

/// Content types that a page of another server may send without being asked.
const SIMPLE: [&str; 3] = [
    "application/x-www-form-urlencoded",
    "multipart/form-data",
    "text/plain",
];

/// Where nobody is asked who they are, a body that changes something has a content type that no form can send: browsers then
/// ask before they send it for the page of another server, and get no leave.
fn not_simple(method: &Method, headers: &HeaderMap) -> Result<(), Failure> {
    if matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS) {
        return Ok(());
    }
    let given = text(headers, header::CONTENT_TYPE).unwrap_or_default();
    let kind = given.split(';').next().unwrap_or_default().trim();
    if !kind.is_empty() && !SIMPLE.iter().any(|simple| kind.eq_ignore_ascii_case(simple)) {
        return Ok(());
    }
    Err(Failure(ServiceError::new(
        Code::UnsupportedMediaType,
        "without authentication, a body needs a content type, and none that a form can send",
    )))
}

impl FromRequestParts<App> for Caller {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self, Failure> {
        // Without a caller no handler runs, however the routes were put together.
        parts
            .extensions
            .get::<Self>()
            .cloned()
            .ok_or_else(|| Failure(ServiceError::internal("a handler was called without a caller")))
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

/// The body.
#[derive(Debug)]
pub(super) struct Body(pub(super) Bytes);

impl FromRequest<App> for Body {
    type Rejection = Failure;

    async fn from_request(request: Request, _: &App) -> Result<Self, Failure> {
        let body = request.into_body().collect().await;
        body.map(|body| Self(body.to_bytes()))
            .map_err(|error| Failure(ServiceError::internal(error)))
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
        serde_json::from_slice(&body::object(bytes)?)
            .map(Self)
            .map_err(|error| Failure(json_text::malformed(&error)))
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
            .map_err(|error| {
                let said = error
                    .source()
                    .map_or_else(|| error.body_text(), ToString::to_string);
                Failure(ServiceError::new(Code::MalformedRequest, wrong_parameter(&said)))
            })
    }
}

/// What is wrong with a parameter, from what serde says of it.
fn wrong_parameter(said: &str) -> String {
    let Some((_, unknown)) = said.split_once("unknown field `") else {
        return format!("the query string is not understood: {said}");
    };
    // A name may hold a backtick, ours do not.
    let Some((name, known)) = unknown.rsplit_once("`, expected ") else {
        return format!("unknown parameter `{}`", unknown.trim_end_matches('`'));
    };
    let known: Vec<&str> = known.split('`').skip(1).step_by(2).collect();
    match policy_grammar::near(name, known.iter().copied()) {
        Some(near) => format!("unknown parameter `{name}`; did you mean `{near}`?"),
        None => format!("unknown parameter `{name}`; parameters are {}", known.join(", ")),
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

/// Conditions that no write takes: they would have to hold, and nothing here looks whether they do.
const NOT_TAKEN: [HeaderName; 2] = [header::IF_NONE_MATCH, header::IF_UNMODIFIED_SINCE];

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
        let malformed = |detail: &str| Failure(ServiceError::new(Code::MalformedRequest, detail));
        if let Some(name) = NOT_TAKEN.iter().find(|name| parts.headers.contains_key(*name)) {
            return Err(malformed(&format!(
                "`{name}` is no condition of this operation; `If-Match` is"
            )));
        }
        let mut values = parts.headers.get_all(header::IF_MATCH).iter();
        let Some(value) = values.next() else {
            return Ok(Self(None));
        };
        if values.next().is_some() {
            return Err(malformed("give `If-Match` once"));
        }
        // A condition that is not understood must not be taken for none.
        let tag = value
            .to_str()
            .map_err(|_| malformed("`If-Match` is no text"))?
            .trim();
        if tag == "*" {
            return Ok(Self(None));
        }
        // A proxy that compresses answers makes tags weak; a version means the same text all the same.
        let tag = tag.strip_prefix("W/").unwrap_or(tag);
        Ok(Self(Some(tag.trim_matches('"').to_owned())))
    }
}
