//! The admin listener, on a port of its own: metrics, health, log level. Health is served on the REST port as well, in outline.
//!
//! # Invariants
//!
//! - Nobody is asked here who they are, so nothing can be changed where others than this machine can reach it, nor by pages
//!   of other servers that a browser on this machine shows.
//! - A request takes no longer than [`LONGEST`].

use crate::body::Arriving;
use crate::error::{Code, ServiceError};
use crate::hosts::Hosts;
use crate::http::problem::Failure;
use crate::listen::{Answer, Serve};
use crate::state::App;
use crate::telemetry::metrics::CONTENT_TYPE;
use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderValue, Request, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{MethodRouter, get, put};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;
use tower::Service as _;

/// Longest time of a request here, its body included.
pub const LONGEST: Duration = Duration::from_secs(10);

/// The admin port as a listener serves it. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Front {
    router: Router,
    /// Names that it is asked under; none where it is open to other machines beside listeners that ask who calls: then what
    /// asks it is no browser, and goes by names of its own.
    hosts: Option<Hosts>,
}

impl Front {
    /// What stands on the admin port, which listens on this address.
    #[must_use]
    pub fn new(app: App, address: SocketAddr, hosts: Option<Hosts>) -> Self {
        Self {
            router: router(app, address),
            hosts,
        }
    }
}

impl Serve for Front {
    fn serve(self: Arc<Self>, _: IpAddr, request: Request<Arriving>) -> Answer {
        let Self { mut router, hosts } = Self::clone(&self);
        Box::pin(async move {
            if let Some(hosts) = hosts
                && let Err(foreign) = hosts.check(request.uri(), request.headers())
            {
                return Failure(foreign).respond(None);
            }
            match timeout(LONGEST, router.call(request.map(Body::new))).await {
                Ok(Ok(response)) => response,
                Err(_elapsed) => {
                    let detail = format!("the body did not arrive in {LONGEST:?}");
                    Failure(ServiceError::new(Code::BodyTimeout, detail)).respond(None)
                }
            }
        })
    }
}

/// `/livez`, `/readyz`, `/health` for everybody: which part is not ready, and not why.
pub fn health_router() -> Router<App> {
    health(get(outline))
}

fn health(ready: MethodRouter<App>) -> Router<App> {
    Router::new()
        .route("/livez", get(async || "ok\n"))
        .route("/readyz", ready.clone())
        .route("/health", ready)
}

fn router(app: App, address: SocketAddr) -> Router {
    // The address of the listener decides, not that of the caller: a proxy beside the server makes everybody local.
    let log_level = if address.ip().is_loopback() {
        put(log_level)
    } else {
        put(async || {
            let refusal = "the log level can be changed only where METRICS_HOST is loopback\n";
            (StatusCode::FORBIDDEN, refusal)
        })
    };
    health(get(ready))
        .route("/metrics", get(metrics))
        .route("/loglevel", log_level)
        .with_state(app)
}

async fn ready(State(app): State<App>) -> Response {
    let readiness = app.health.readiness(&app.service.active.info());
    (status_of(readiness.status), axum::Json(readiness)).into_response()
}

async fn outline(State(app): State<App>) -> Response {
    let outline = app.health.readiness(&app.service.active.info()).outline;
    (status_of(outline.status), axum::Json(outline)).into_response()
}

fn status_of(readiness: &str) -> StatusCode {
    match readiness {
        "unready" => StatusCode::SERVICE_UNAVAILABLE,
        _ => StatusCode::OK,
    }
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
