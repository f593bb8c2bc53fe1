//! The admin listener, on a port of its own: metrics, health, log level. Health is served on the REST port as well.
//!
//! # Invariants
//!
//! - Nobody is asked here who they are, so nothing can be changed where others than this machine can reach it.

use crate::state::App;
use crate::telemetry::metrics::CONTENT_TYPE;
use axum::Router;
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, put};
use std::net::SocketAddr;

/// `/livez`, `/readyz`, `/health`.
pub fn health_router() -> Router<App> {
    Router::new()
        .route("/livez", get(async || "ok\n"))
        .route("/readyz", get(ready))
        .route("/health", get(ready))
}

/// Everything on the admin port, which listens on this address.
pub fn router(app: App, address: SocketAddr) -> Router {
    // The address of the listener decides, not that of the caller: a proxy beside the server makes everybody local.
    let log_level = if address.ip().is_loopback() {
        put(log_level)
    } else {
        put(async || {
            let refusal = "the log level can be changed only where METRICS_HOST is loopback\n";
            (StatusCode::FORBIDDEN, refusal)
        })
    };
    health_router()
        .route("/metrics", get(metrics))
        .route("/loglevel", log_level)
        .with_state(app)
}

async fn ready(State(app): State<App>) -> Response {
    let readiness = app.health.readiness(&app.service.active.info());
    let status = match readiness.status {
        "unready" => StatusCode::SERVICE_UNAVAILABLE,
        _ => StatusCode::OK,
    };
    (status, axum::Json(readiness)).into_response()
}

async fn metrics(State(app): State<App>) -> Response {
    let kind = HeaderValue::from_static(CONTENT_TYPE);
    ([(header::CONTENT_TYPE, kind)], app.scrape()).into_response()
}

async fn log_level(State(app): State<App>, directives: String) -> Response {
    let Some(level) = &app.log_level else {
        return (StatusCode::CONFLICT, "logs are not this server's\n").into_response();
    };
    match level.set(directives.trim()) {
        Ok(()) => StatusCode::NO_CONTENT.into_response(),
        Err(error) => (StatusCode::BAD_REQUEST, format!("{error}\n")).into_response(),
    }
}
