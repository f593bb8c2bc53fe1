//! gRPC: the service of `policy.proto` over the service layer.

pub mod convert;
pub mod status;

/// placeholder
pub fn router(_app: crate::state::App) -> axum::Router {
    axum::Router::new()
}
