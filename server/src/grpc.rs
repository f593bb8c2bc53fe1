//! gRPC: the service of `policy.proto` over the service layer.

pub mod convert;
pub mod status;
