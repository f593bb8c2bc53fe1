//! What stands around every route, outermost first: request id, alias paths, metrics and span, panic catch, names of the
//! server, who calls, body, load shed, time limit, and the problem documents of whatever failed inside.
//!
//! [`Front`] is what a listener serves. Decisions go from here straight to their handler, without a look at the other
//! routes: routing, boxing and extracting would take longer than deciding. Everything else goes through the router.
//!
//! A body is read here, after its caller has proved who it is and before the request takes a place in the gate: the time limit
//! is that of the work, and who sends slowly takes no place.

use super::evaluate;
use super::extract;
use super::problem::Failure;
use crate::body::Arriving;
use crate::clock::in_time;
use crate::error::{Code, ServiceError};
use crate::listen::{Answer, Serve};
use crate::request_id;
use crate::shares::Address;
use crate::state::App;
use crate::telemetry;
use crate::telemetry::metrics::Status;
use crate::telemetry::request::refused;
use axum::Router;
use axum::body::Body;
use axum::http::uri::PathAndQuery;
use axum::http::{Method, Request, Uri, header};
use axum::response::Response;
use futures_util::FutureExt as _;
use std::net::IpAddr;
use std::panic::AssertUnwindSafe;
use std::pin::{Pin, pin};
use std::sync::Arc;
use tokio::time::Instant;
use tower::Service as _;

/// All of REST as one service. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Front(Arc<(App, Router)>);

/// Puts everything around the routes.
pub(super) fn around(routes: Router<App>, app: App) -> Front {
    let routes = routes.with_state(app.clone());
    Front(Arc::new((app, routes)))
}

impl Serve for Front {
    fn serve(self: Arc<Self>, address: IpAddr, request: Request<Arriving>) -> Answer {
        Box::pin(async move { self.answer(Address::of(address), request).await })
    }
}

/// `/api/x` is `/api/v1/x`.
fn unalias(uri: &mut Uri) {
    let path = uri.path();
    let Some(rest) = path.strip_prefix("/api/") else {
        return;
    };
    let version = rest.split('/').next().and_then(|first| first.strip_prefix('v'));
    if version.is_some_and(|number| number.parse::<u32>().is_ok()) {
        return;
    }
    let query = uri.query().map_or(String::new(), |query| format!("?{query}"));
    if let Ok(new) = PathAndQuery::from_maybe_shared(format!("/api/v1/{rest}{query}")) {
        let mut parts = uri.clone().into_parts();
        parts.path_and_query = Some(new);
        if let Ok(new) = Uri::from_parts(parts) {
            *uri = new;
        }
    }
}

/// Health must answer however busy the server is.
fn always_served(path: &str) -> bool {
    matches!(path, "/livez" | "/readyz" | "/health")
}

/// What stands under it asks who calls.
const API: &str = "/api/v1/";

/// A handler's refusal stands beside its response.
fn said(response: &Response) {
    if let Some(Failure(error)) = response.extensions().get::<Failure>() {
        refused(error);
    }
}

impl Front {
    async fn answer(&self, address: Address, mut request: Request<Arriving>) -> Response {
        let (app, _) = &*self.0;
        let start = Instant::now();
        let id = request_id::of(request.headers());
        unalias(request.uri_mut());
        let path = request.uri().path();
        let served = always_served(path);
        let route = app.routes.find(path);
        let scope = telemetry::Request::begin(request.headers(), route.name, Arc::clone(&id));
        let in_flight = route.metrics.start();
        let run = self.run(request, address, &id, route.name.starts_with(API));
        // Said while it is known whose request it is.
        let run = pin!(async {
            run.await
                .inspect(said)
                .inspect_err(|Failure(error)| refused(error))
        });
        let caught = pin!(AssertUnwindSafe(run).catch_unwind());
        let mut response = match scope.run(caught).await {
            Ok(Ok(response)) => response,
            Ok(Err(failure)) => failure.respond(Some(&id)),
            Err(_panic) => Failure(ServiceError::internal("a handler panicked")).respond(Some(&id)),
        };
        if let Some(failure) = response.extensions_mut().remove::<Failure>() {
            let allow = response.headers_mut().remove(header::ALLOW);
            response = failure.respond(Some(&id));
            if let Some(allow) = allow {
                response.headers_mut().insert(header::ALLOW, allow);
            }
        }
        if let Some(value) = request_id::header(&id) {
            response.headers_mut().insert(request_id::HEADER, value);
        }
        let status = response.status().as_u16();
        scope.ended(i64::from(status));
        // Probes of a server that is not ready say nothing new.
        if status >= 500 && !served {
            scope.enter(|| tracing::warn!(status, "request failed"));
        }
        drop(in_flight);
        route.metrics.record(Status::Http(status), start.elapsed());
        response
    }

    async fn run(
        &self,
        request: Request<Arriving>,
        address: Address,
        id: &Arc<str>,
        is_api: bool,
    ) -> Result<Response, Failure> {
        let (app, _) = &*self.0;
        if let Some(hosts) = &app.hosts {
            hosts.check(request.uri(), request.headers())?;
        }
        if request.uri().path() == evaluate::PATH && request.method() == Method::POST {
            return evaluate::answer(app, request, address, Arc::clone(id)).await;
        }
        // In memory of its own, so that requests for decisions are not as large.
        Box::pin(self.route(request, address, id, is_api)).await
    }

    /// Answers through the router.
    async fn route(
        &self,
        request: Request<Arriving>,
        address: Address,
        id: &Arc<str>,
        is_api: bool,
    ) -> Result<Response, Failure> {
        let (app, routes) = &*self.0;
        if !is_api {
            let served = always_served(request.uri().path());
            let _place = if served { None } else { Some(extract::enter(app)?) };
            let answer = pin!(routes.clone().call(request.map(Body::new)));
            let Ok(response) = within(app, answer).await?;
            return Ok(response);
        }
        let (mut parts, body) = request.into_parts();
        let (caller, body) = extract::taken(app, &parts, body, address, id).await?;
        let _place = extract::enter(app)?;
        parts.extensions.insert(caller);
        let request = Request::from_parts(parts, Body::from(body.bytes));
        let answer = pin!(routes.clone().call(request));
        let Ok(response) = within(app, answer).await?;
        Ok(response)
    }
}

/// Work of a request, in the time that it may take.
pub(super) async fn within<T>(app: &App, work: Pin<&mut impl Future<Output = T>>) -> Result<T, Failure> {
    let limit = app.service.limits.timeout;
    let late = |_elapsed| {
        Failure(ServiceError::new(
            Code::DeadlineExceeded,
            format!("took longer than {limit:?}"),
        ))
    };
    in_time(limit, work).await.map_err(late)
}

#[cfg(test)]
mod tests {
    use super::{Address, Arriving, Front, unalias};
    use axum::http::{Request, Uri};

    #[test]
    fn api_is_api_v1() {
        for (given, expected) in [
            ("/api/evaluate", "/api/v1/evaluate"),
            ("/api/v1/evaluate", "/api/v1/evaluate"),
            ("/api/policies/v1?limit=1", "/api/v1/policies/v1?limit=1"),
            ("/api/v1", "/api/v1"),
            ("/api/v2/policies", "/api/v2/policies"),
            ("/api/vx", "/api/v1/vx"),
            ("/apis/x", "/apis/x"),
            ("/readyz", "/readyz"),
        ] {
            let mut uri: Uri = given.parse().unwrap();
            unalias(&mut uri);
            assert_eq!(uri.to_string(), expected, "{given}");
        }
    }

    #[test]
    fn a_request_that_waits_for_nothing_is_small() {
        fn size<A, F: Future>(_: impl FnOnce(A) -> F) -> usize {
            size_of::<F>()
        }
        // It is copied whole where it begins. Without optimisation it is half as large again.
        let size = size(
            |(front, address, request): (&'static Front, Address, Request<Arriving>)| {
                front.answer(address, request)
            },
        );
        assert!(size <= 6 << 10, "{size} bytes");
    }
}
