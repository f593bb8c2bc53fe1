//! What stands around every route, outermost first: request id, alias paths, metrics and span, panic catch, load shed,
//! time limit, and the problem documents of whatever failed inside.
//!
//! [`Front`] is what a listener serves. Decisions go from here straight to their handler, without a look at the other
//! routes: routing, boxing and extracting would take longer than deciding. Everything else goes through the router.
//!
//! Authentication, rate limits and the size of bodies come after routing, in `extract`, because they depend on the route.

use super::evaluate;
use super::extract::RequestId;
use super::problem::Failure;
use crate::error::{Code, ServiceError};
use crate::request_id;
use crate::state::App;
use crate::telemetry;
use crate::telemetry::metrics::Status;
use axum::Router;
use axum::body::{Body, HttpBody};
use axum::http::uri::PathAndQuery;
use axum::http::{HeaderValue, Method, Request, Uri, header};
use axum::response::Response;
use bytes::Bytes;
use futures_util::FutureExt as _;
use std::convert::Infallible;
use std::panic::AssertUnwindSafe;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::time::{Instant, timeout_at};
use tower::{BoxError, Service};

/// All of REST as one service. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Front(Arc<(App, Router)>);

/// Puts everything around the routes.
pub(super) fn around(routes: Router<App>, app: App) -> Front {
    let routes = routes.with_state(app.clone());
    Front(Arc::new((app, routes)))
}

impl<B> Service<Request<B>> for Front
where
    B: HttpBody<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    type Response = Response;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let front = self.clone();
        Box::pin(async move { Ok(front.answer(request).await) })
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

impl Front {
    async fn answer<B>(&self, mut request: Request<B>) -> Response
    where
        B: HttpBody<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        let (app, _) = &*self.0;
        let start = Instant::now();
        let id = request_id::of(request.headers());
        unalias(request.uri_mut());
        let path = request.uri().path();
        let served = always_served(path);
        let route = app.routes.find(path);
        let scope = telemetry::Request::begin(request.headers(), route.name, Arc::clone(&id));
        let in_flight = route.metrics.start();
        let place = if served {
            Ok(None)
        } else {
            app.gate.enter().map(Some)
        };
        let mut response = match place {
            Err(error) => {
                app.metrics.shed("concurrency");
                Failure(error).respond(Some(&id))
            }
            Ok(place) => {
                let limit = app.service.limits.timeout;
                let run = pin!(self.run(request, &id));
                let limited = pin!(timeout_at(start + limit, AssertUnwindSafe(run).catch_unwind()));
                let result = scope.run(limited).await;
                drop(place);
                match result {
                    Ok(Ok(response)) => response,
                    Ok(Err(_panic)) => {
                        Failure(ServiceError::internal("a handler panicked")).respond(Some(&id))
                    }
                    Err(_elapsed) => Failure(ServiceError::new(
                        Code::DeadlineExceeded,
                        format!("took longer than {limit:?}"),
                    ))
                    .respond(Some(&id)),
                }
            }
        };
        if let Some(failure) = response.extensions_mut().remove::<Failure>() {
            let allow = response.headers_mut().remove(header::ALLOW);
            response = failure.respond(Some(&id));
            if let Some(allow) = allow {
                response.headers_mut().insert(header::ALLOW, allow);
            }
        }
        if let Ok(value) = HeaderValue::from_str(&id) {
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

    async fn run<B>(&self, mut request: Request<B>, id: &Arc<str>) -> Response
    where
        B: HttpBody<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        let (app, routes) = &*self.0;
        if request.uri().path() == evaluate::PATH && request.method() == Method::POST {
            let answer = evaluate::answer(app, request, Arc::clone(id)).await;
            return answer.unwrap_or_else(|failure| failure.respond(Some(id)));
        }
        request.extensions_mut().insert(RequestId(Arc::clone(id)));
        let Ok(response) = routes.clone().call(request.map(Body::new)).await;
        response
    }
}

#[cfg(test)]
mod tests {
    use super::unalias;
    use axum::http::Uri;

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
}
