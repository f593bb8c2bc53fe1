//! gRPC interface of the policy decision point: what is generated from `policy.proto`, and nothing else.
//!
//! [`v1`] holds the messages, the client and the server trait of the package `llmpolicy.v1`; [`rpc`] the status that
//! details of errors travel in. Conversions to and from the types of the server stand in the server.

#![forbid(unsafe_code)]

/// Encoding and decoding of the messages.
pub use prost::Message;

/// The package `llmpolicy.v1`.
#[allow(
    missing_debug_implementations,
    unreachable_pub,
    rust_2018_idioms,
    clippy::all,
    clippy::allow_attributes_without_reason,
    clippy::match_wildcard_for_single_variants,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "generated code is as its generator writes it"
)]
pub mod v1 {
    include!(concat!(env!("OUT_DIR"), "/llmpolicy.v1.rs"));
}

/// The package `google.rpc`, as far as it is needed.
#[allow(
    clippy::all,
    clippy::allow_attributes_without_reason,
    reason = "generated code is as its generator writes it"
)]
pub mod rpc {
    include!(concat!(env!("OUT_DIR"), "/google.rpc.rs"));
}

/// The descriptors of everything here and of what it imports, for reflection: an encoded
/// `google.protobuf.FileDescriptorSet`.
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));
