//! What stands around every route, outermost first: request id, alias paths, metrics and span, panic catch, load shed,
//! time limit, and the problem documents of whatever failed inside.
//!
//! Authentication, rate limits and the size of bodies come after routing, in `extract`, because they depend on the route.

use super::extract::RequestId;
use super::problem::Failure;
use crate::error::{Code, ServiceError};
use crate::request_id;
use crate::state::App;
use crate::telemetry::metrics::Status;
use crate::telemetry::traces::request_span;
use axum::Router;
use axum::extract::{Request, State};
use axum::http::uri::PathAndQuery;
use axum::http::{HeaderValue, Uri};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use futures_util::FutureExt as _;
use opentelemetry::trace::TraceContextExt as _;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Instant;
use tracing::Instrument as _;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

/// Puts everything around the routes.
pub(super) fn around(routes: Router<App>, app: App) -> Router {
    // Around routing and not inside it: the path may still be changed here, and what has no route is counted as well.
    let whole = tower::ServiceBuilder::new()
        .layer(from_fn_with_state(app.clone(), outermost))
        .service(routes.with_state(app));
    Router::new().fallback_service(whole)
}

/// `/api/x` is `/api/v1/x`.
fn unalias(uri: &mut Uri) {
    let path = uri.path();
    let Some(rest) = path.strip_prefix("/api/") else {
        return;
    };
    if rest == "v1" || rest.starts_with("v1/") {
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

async fn outermost(State(app): State<App>, mut request: Request, next: Next) -> Response {
    let start = Instant::now();
    let id = request_id::of(request.headers());
    unalias(request.uri_mut());
    let path = request.uri().path();
    let served = always_served(path);
    let route = app.routes.find(path);
    let span = request_span(request.headers(), route.name, &id);
    request.extensions_mut().insert(RequestId(Arc::clone(&id)));
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
            let run = AssertUnwindSafe(next.run(request)).catch_unwind();
            let limited = tokio::time::timeout(app.service.limits.timeout, run).instrument(span.clone());
            let result = limited.await;
            drop(place);
            match result {
                Ok(Ok(response)) => response,
                Ok(Err(_panic)) => Failure(ServiceError::internal("a handler panicked")).respond(Some(&id)),
                Err(_elapsed) => Failure(ServiceError::new(
                    Code::DeadlineExceeded,
                    format!("took longer than {:?}", app.service.limits.timeout),
                ))
                .respond(Some(&id)),
            }
        }
    };
    if let Some(failure) = response.extensions_mut().remove::<Failure>() {
        response = failure.respond(Some(&id));
    }
    if let Ok(value) = HeaderValue::from_str(&id) {
        response.headers_mut().insert(request_id::HEADER, value);
    }
    let status = response.status().as_u16();
    // Only for traces: to note it for log lines, the fields of the span would be parsed and written again, and what is logged
    // here says it anyway. Where no traces are sent, the span has no context.
    if span.context().span().span_context().is_valid() {
        span.record("status", status);
    }
    // Probes of a server that is not ready say nothing new.
    if status >= 500 && !served {
        span.in_scope(|| tracing::warn!(status, "request failed"));
    }
    drop(in_flight);
    route.metrics.record(Status::Http(status), start.elapsed());
    response
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
            ("/apis/x", "/apis/x"),
            ("/readyz", "/readyz"),
        ] {
            let mut uri: Uri = given.parse().unwrap();
            unalias(&mut uri);
            assert_eq!(uri.to_string(), expected, "{given}");
        }
    }
}
