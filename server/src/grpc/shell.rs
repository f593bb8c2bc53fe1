//! What stands around every gRPC method ([`Front`] is what a listener serves), outermost first: request id, metrics and span,
//! panic catch, names of the server, authentication and rate limit, message, load shed, deadline, and statuses in our own
//! words for what the library refuses.
//!
//! A message is read here, after its caller has proved who it is and before the request takes a place in the gate; those of a
//! stream are read by the stream. The deadline is the shorter of the caller's `grpc-timeout` and our own; a stream only has the caller's, and keeps it
//! itself. Health and reflection are served to everybody, however busy the server is.

use super::policies::{self, Policies};
use super::{status, unary};
use crate::auth::Credentials;
use crate::body::Arriving;
use crate::clock::in_time;
use crate::error::{Code, ServiceError};
use crate::identity::Identity;
use crate::limits::Route;
use crate::listen::{Answer, Serve};
use crate::request_id;
use crate::service::{self, Call};
use crate::shares::Address;
use crate::state::App;
use crate::telemetry;
use crate::telemetry::metrics::{RouteMetrics, Status as Counted, Transport};
use crate::telemetry::request::refused;
use axum::Router;
use axum::body::Body;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Request, StatusCode, Version, header};
use axum::response::Response;
use bytes::Bytes;
use futures_util::FutureExt as _;
use http_body_util::Full;
use policy_proto::v1::policy_service_server::PolicyServiceServer;
use std::net::IpAddr;
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;
use tower::Service as _;

/// The service whose methods need credentials.
const PREFIX: &str = "/llmpolicy.v1.PolicyService/";

/// Its methods, the busiest first, with the class that rate limits are set for.
const METHODS: &[(&str, Route)] = &[
    (EVALUATE, Route::Evaluate),
    (STREAM, Route::Evaluate),
    ("/llmpolicy.v1.PolicyService/Simulate", Route::Policies),
    ("/llmpolicy.v1.PolicyService/GetPolicy", Route::Policies),
    ("/llmpolicy.v1.PolicyService/ListPolicies", Route::Policies),
    ("/llmpolicy.v1.PolicyService/CreatePolicy", Route::Policies),
    ("/llmpolicy.v1.PolicyService/UpdatePolicy", Route::Policies),
    ("/llmpolicy.v1.PolicyService/DeletePolicy", Route::Policies),
    ("/llmpolicy.v1.PolicyService/RejectPolicy", Route::Policies),
    ("/llmpolicy.v1.PolicyService/ListDecisions", Route::Decisions),
];

/// The method that answers one request.
const EVALUATE: &str = "/llmpolicy.v1.PolicyService/EvaluatePolicy";

/// The method that answers many requests.
const STREAM: &str = "/llmpolicy.v1.PolicyService/EvaluatePolicyStream";

/// Who calls, how it was proved, and until when it wants an answer. Put beside the request for the method.
#[derive(Debug, Clone)]
pub(super) struct Caller {
    identity: Identity,
    pub(super) request_id: Arc<str>,
    /// When the caller gives up.
    pub(super) deadline: Option<Instant>,
    /// When this request is over, for the caller or for us.
    until: Option<Instant>,
    pub(super) proof: Arc<Proof>,
}

/// What a caller gave to prove who it is, and from where.
#[derive(Debug)]
pub(super) struct Proof {
    credentials: Credentials,
    address: Address,
}

impl Proof {
    /// Where the caller is.
    pub(super) fn address(&self) -> Address {
        self.address
    }

    /// Lets the caller in, once more for each request of a stream but its first: credentials end, and limits count requests.
    pub(super) async fn admit(&self, app: &App, route: Route) -> Result<Identity, ServiceError> {
        app.admit(&self.credentials, self.address, route).await
    }

    /// Who the caller is by now, where the request has been counted already.
    pub(super) async fn identify(&self, app: &App) -> Result<Identity, ServiceError> {
        app.identify(&self.credentials, self.address).await
    }
}

impl Caller {
    /// For the service layer.
    pub(super) fn call(&self) -> Call<'_> {
        Call {
            identity: &self.identity,
            request_id: &self.request_id,
            until: self.until.map(Instant::into_std),
        }
    }

    /// Who calls, for the log.
    pub(super) fn subject(&self) -> Arc<str> {
        Arc::clone(&self.identity.subject)
    }

    /// For decisions.
    pub(super) fn asker(&self) -> service::Caller {
        service::Caller {
            identity: self.identity.clone(),
            request_id: Arc::clone(&self.request_id),
            transport: Transport::Grpc,
            until: self.until.map(Instant::into_std),
        }
    }

    /// The same caller, proved again, in a request of another id that may take until `until`.
    pub(super) fn again(&self, identity: Identity, request_id: Arc<str>, until: Option<Instant>) -> Self {
        Self {
            identity,
            request_id,
            until,
            ..self.clone()
        }
    }
}

/// A method with what counts it.
#[derive(Debug)]
struct Method {
    name: &'static str,
    class: Route,
    metrics: RouteMetrics,
}

/// All of gRPC as one service. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Front(Arc<Served>);

#[derive(Debug)]
struct Served {
    app: App,
    methods: Vec<Method>,
    /// Health, reflection, and what does not exist.
    other: Method,
    /// What answers under [`PREFIX`].
    policies: PolicyServiceServer<Policies>,
    /// What answers everything else.
    routes: Router,
}

/// Puts everything around the services.
pub(super) fn around(policies: PolicyServiceServer<Policies>, routes: Router, app: App) -> Front {
    let method = |name, class| Method {
        name,
        class,
        metrics: app.metrics.route(Transport::Grpc, name),
    };
    Front(Arc::new(Served {
        methods: METHODS.iter().map(|(name, class)| method(name, *class)).collect(),
        other: method("other", Route::Policies),
        policies,
        routes,
        app,
    }))
}

impl Serve for Front {
    fn serve(self: Arc<Self>, address: IpAddr, request: Request<Arriving>) -> Answer {
        Box::pin(async move { self.0.answer(Address::of(address), request).await })
    }
}

/// Bytes that stand before a message: whether it is compressed, and its length.
pub(super) const FRAMING: usize = 5;

/// `grpc-timeout`: up to eight digits and a unit.
///
/// # Errors
///
/// `malformed_request` for anything else: a caller whose deadline is not understood must not wait for ever.
fn timeout(headers: &HeaderMap) -> Result<Option<Duration>, ServiceError> {
    let Some(value) = headers.get("grpc-timeout") else {
        return Ok(None);
    };
    let malformed = || {
        ServiceError::new(
            Code::MalformedRequest,
            "`grpc-timeout` is not a time such as 100m",
        )
    };
    let text = value.to_str().map_err(|_| malformed())?;
    let (digits, unit) = text
        .split_at_checked(text.len().saturating_sub(1))
        .ok_or_else(malformed)?;
    if digits.is_empty() || digits.len() > 8 || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err(malformed());
    }
    let n: u64 = digits.parse().map_err(|_| malformed())?;
    Ok(Some(match unit {
        "H" => Duration::from_secs(n * 3600),
        "M" => Duration::from_secs(n * 60),
        "S" => Duration::from_secs(n),
        "m" => Duration::from_millis(n),
        "u" => Duration::from_micros(n),
        "n" => Duration::from_nanos(n),
        _ => return Err(malformed()),
    }))
}

/// The refusal of a method stands in its response.
fn said(response: &Response) {
    let word = response.headers().get(status::ERROR_CODE);
    let word = word.and_then(|word| word.to_str().ok());
    if let Some(code) = word.and_then(Code::parse) {
        refused(&ServiceError::new(code, ""));
    }
}

/// Whether a request was meant for the REST port: gRPC needs HTTP/2.
fn is_rest<B>(request: &Request<B>) -> bool {
    let kind = request.headers().get(header::CONTENT_TYPE);
    let is_grpc = kind.is_some_and(|kind| kind.as_bytes().starts_with(b"application/grpc"));
    request.version() < Version::HTTP_2 && !is_grpc
}

/// What a request for the REST port gets.
fn not_rest() -> Response {
    let mut response = Response::new(Body::from(
        "this is the gRPC port (GRPC_PORT); the REST port is another one (PORT, 3000 by default)\n",
    ));
    *response.status_mut() = StatusCode::BAD_REQUEST;
    let text = HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, text);
    response
}

impl Served {
    async fn answer(&self, address: Address, request: Request<Arriving>) -> Response {
        if is_rest(&request) {
            return not_rest();
        }
        let start = Instant::now();
        let app = &self.app;
        let id = request_id::of(request.headers());
        let path = request.uri().path();
        let guarded = path.starts_with(PREFIX);
        let method = self.methods.iter().find(|method| method.name == path);
        let method = method.unwrap_or(&self.other);
        let scope = telemetry::Request::begin(request.headers(), method.name, Arc::clone(&id));
        let in_flight = method.metrics.start();
        let foreign = app
            .hosts
            .as_ref()
            .and_then(|hosts| hosts.check(request.uri(), request.headers()).err());
        let result = if let Some(foreign) = foreign {
            scope.enter(|| refused(&foreign));
            Err(foreign)
        } else if guarded {
            let work = self.guarded(request, address, method, &id, start);
            // Said while it is known whose request it is.
            let work = async { work.await.inspect(said).inspect_err(refused) };
            let caught = pin!(AssertUnwindSafe(work).catch_unwind());
            let panicked = |_panic| Err(ServiceError::internal("a method panicked"));
            scope.run(caught).await.unwrap_or_else(panicked)
        } else {
            let limit = app.service.limits.timeout;
            let mut routes = self.routes.clone();
            let work = pin!(tokio::time::timeout(limit, routes.call(request.map(Body::new))));
            match scope.run(work).await {
                Ok(Ok(response)) => Ok(response),
                Err(_elapsed) => Err(late(limit)),
            }
        };
        let limit = app.service.limits.body;
        let result = result.and_then(|response| match refused_by_library(&response, limit) {
            Some(error) => Err(error),
            None => Ok(response),
        });
        let mut response = result.unwrap_or_else(|error| status::status(&error, &id).into_http::<Body>());
        if let Some(value) = request_id::header(&id) {
            response.headers_mut().insert(request_id::HEADER, value);
        }
        // Answers that go well say so in trailers, after this.
        let code = tonic::Status::from_header_map(response.headers()).map_or(tonic::Code::Ok, |s| s.code());
        scope.ended(i64::from(i32::from(code)));
        if matches!(code, tonic::Code::Internal | tonic::Code::Unknown) {
            scope.enter(|| tracing::warn!(%code, "request failed"));
        }
        drop(in_flight);
        method.metrics.record(Counted::Grpc(code), start.elapsed());
        response
    }

    /// A method of ours, after its caller has proved who it is and its message was read.
    async fn guarded(
        &self,
        request: Request<Arriving>,
        address: Address,
        method: &Method,
        id: &Arc<str>,
        start: Instant,
    ) -> Result<Response, ServiceError> {
        let app = &self.app;
        let shed = |_: &ServiceError| app.metrics.shed("concurrency");
        app.gate.look().inspect_err(shed)?;
        let wanted = timeout(request.headers())?;
        let deadline = wanted.map(|wanted| start + wanted);
        let proof = Arc::new(Proof {
            credentials: Credentials::of(request.headers()),
            address,
        });
        let caller = Caller {
            identity: proof.admit(app, method.class).await?,
            request_id: Arc::clone(id),
            deadline,
            until: deadline,
            proof,
        };
        let (mut parts, body) = request.into_parts();
        if method.name == STREAM {
            parts.extensions.insert(caller);
            let _place = app.gate.enter().inspect_err(shed)?;
            let (messages, unread) = app.bodies.stream(body, address);
            parts.extensions.insert(unread);
            let Ok(response) = self
                .policies
                .clone()
                .call(Request::from_parts(parts, messages))
                .await;
            return Ok(response.map(Body::new));
        }
        let reading = app.bodies.read(&parts.headers, body, FRAMING, address);
        let body = until(deadline, start, reading).await?.inspect_err(|error| {
            if error.code == Code::Overloaded {
                app.metrics.shed("bodies");
            }
        })?;
        let _place = app.gate.enter().inspect_err(shed)?;
        let limit = app.service.limits.timeout;
        let now = Instant::now();
        let own = now + limit;
        let until = deadline.map_or(own, |deadline| deadline.min(own));
        let caller = Caller {
            until: Some(until),
            ..caller
        };
        let work = pin!(self.unary(method, parts, body.bytes, caller));
        in_time(until - now, work).await.map_err(|_elapsed| {
            late(match deadline {
                Some(deadline) if deadline < own => deadline.saturating_duration_since(start),
                _ => limit,
            })
        })?
    }

    /// A method that answers one message, which was read, with one.
    async fn unary(
        &self,
        method: &Method,
        mut parts: Parts,
        body: Bytes,
        caller: Caller,
    ) -> Result<Response, ServiceError> {
        if method.name == EVALUATE
            && let Some(request) = unary::message(&parts.headers, &body)
        {
            let answer = policies::evaluate(&self.app, &caller, request).await?;
            return unary::response(&answer).ok_or_else(|| ServiceError::internal("the answer has no frame"));
        }
        parts.extensions.insert(caller);
        let request = Request::from_parts(parts, Full::new(body));
        let Ok(response) = self.policies.clone().call(request).await;
        Ok(response.map(Body::new))
    }
}

/// Work, until its caller gives up.
async fn until<T>(
    deadline: Option<Instant>,
    start: Instant,
    work: impl Future<Output = T>,
) -> Result<T, ServiceError> {
    match deadline {
        None => Ok(work.await),
        Some(deadline) => tokio::time::timeout_at(deadline, work)
            .await
            .map_err(|_elapsed| late(deadline.saturating_duration_since(start))),
    }
}

/// The error of a deadline that has passed.
pub(super) fn late(limit: Duration) -> ServiceError {
    ServiceError::new(Code::DeadlineExceeded, format!("took longer than {limit:?}"))
}

/// What the library refused before a method saw it, in our own words.
fn refused_by_library(response: &Response, limit: usize) -> Option<ServiceError> {
    let headers = response.headers();
    if headers.contains_key(status::ERROR_CODE) {
        return None;
    }
    let status = tonic::Status::from_header_map(headers)?;
    match status.code() {
        tonic::Code::OutOfRange => Some(ServiceError::new(
            Code::TooLarge,
            format!("the message is larger than {limit} bytes"),
        )),
        // Methods never end so without a word of ours: it is a message that does not decode.
        tonic::Code::Internal => Some(ServiceError::new(Code::MalformedRequest, status.message())),
        tonic::Code::Unimplemented => Some(ServiceError::new(
            Code::MethodNotAllowed,
            "there is no such method, or not with this encoding",
        )),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
