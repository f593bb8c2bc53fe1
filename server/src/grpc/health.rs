//! `grpc.health.v1.Health`: whether requests should come here, as `/readyz` says it.
//!
//! Asked for, not kept: each check looks at the state of the server, so that nothing has to be told about a change. A watch
//! looks every [`INTERVAL`] and ends when the server stops. A degraded server serves.

use crate::state::App;
use futures_util::stream::{Stream, unfold};
use std::pin::Pin;
use std::time::Duration;
use tonic::{Request, Response, Status};
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_server::Health;
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};

/// How often a watch looks.
const INTERVAL: Duration = Duration::from_millis(500);

/// The services that are known; the empty name is the server as a whole.
const KNOWN: &[&str] = &["", "llmpolicy.v1.PolicyService"];

/// Readiness over gRPC.
#[derive(Debug)]
pub(super) struct Readiness {
    app: App,
}

impl Readiness {
    pub(super) fn new(app: App) -> Self {
        Self { app }
    }
}

fn state(app: &App, service: &str) -> ServingStatus {
    if !KNOWN.contains(&service) {
        return ServingStatus::ServiceUnknown;
    }
    match app.health.readiness(&app.service.active.info()).status {
        "unready" => ServingStatus::NotServing,
        _ => ServingStatus::Serving,
    }
}

fn response(status: ServingStatus) -> HealthCheckResponse {
    HealthCheckResponse {
        status: status.into(),
    }
}

#[tonic::async_trait]
impl Health for Readiness {
    async fn check(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<HealthCheckResponse>, Status> {
        match state(&self.app, &request.get_ref().service) {
            ServingStatus::ServiceUnknown => Err(Status::not_found("there is no such service")),
            known => Ok(Response::new(response(known))),
        }
    }

    type WatchStream = Pin<Box<dyn Stream<Item = Result<HealthCheckResponse, Status>> + Send>>;

    async fn watch(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        struct Watch {
            app: App,
            service: String,
            told: Option<ServingStatus>,
        }
        let watch = Watch {
            app: self.app.clone(),
            service: request.into_inner().service,
            told: None,
        };
        let stream = unfold(watch, |mut watch| async move {
            loop {
                let now = state(&watch.app, &watch.service);
                if watch.told != Some(now) {
                    watch.told = Some(now);
                    return Some((Ok(response(now)), watch));
                }
                // The last word was said; a watch must not keep the server from stopping.
                if watch.app.health.is_stopping() {
                    return None;
                }
                tokio::time::sleep(INTERVAL).await;
            }
        });
        Ok(Response::new(Box::pin(stream)))
    }
}
