//! `policyd`: policy decisions for LLM traffic over REST and gRPC.

#![forbid(unsafe_code)]

pub mod config;
pub mod error;
pub mod grpc;
pub mod identity;
pub mod storage;
