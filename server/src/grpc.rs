//! gRPC: the service of `policy.proto` over the service layer, health and reflection, and what stands around them.
//!
//! [`service`] is what an HTTP/2 listener serves; `app` serves them with the same TLS as REST. The layers of `shell` come
//! first: request id, span, metrics, panics, load shed, deadline, authentication, rate limit. A method of `policies` then
//! takes a message apart, calls one function of the service layer and puts the answer together ([`convert`]); errors become
//! statuses in [`status`]. One plain message of `EvaluatePolicy` gets there without the library (`unary`).
//!
//! Authentication comes before a message is read: who may not ask is not listened to.

pub mod convert;
mod health;
mod policies;
mod shell;
pub mod status;
mod stream;
mod unary;

pub use shell::Front;

use crate::body::SMALL;
use crate::state::App;
use policies::Policies;
use policy_proto::v1::policy_service_server::PolicyServiceServer;
use tonic::service::Routes;
use tonic_health::pb::health_server::HealthServer;
use tonic_reflection::server::{Builder, Error};

/// All gRPC services with the layers around them.
///
/// # Errors
///
/// When the descriptors for reflection cannot be read, which a test rules out.
pub fn service(app: App) -> Result<Front, Error> {
    let policies = PolicyServiceServer::new(Policies::new(app.clone()))
        .max_decoding_message_size(app.service.limits.body);
    let descriptors = || {
        Builder::configure()
            .register_encoded_file_descriptor_set(policy_proto::FILE_DESCRIPTOR_SET)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
    };
    // Nobody has to prove who they are for these, so they are asked in few words.
    let health = HealthServer::new(health::Readiness::new(app.clone())).max_decoding_message_size(SMALL);
    let routes = Routes::new(health)
        .add_service(descriptors().build_v1()?.max_decoding_message_size(SMALL))
        .add_service(descriptors().build_v1alpha()?.max_decoding_message_size(SMALL));
    Ok(shell::around(policies, routes.into_axum_router(), app))
}
