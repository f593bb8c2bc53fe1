//! `policyd`: policy decisions for LLM traffic over REST and gRPC.

#![forbid(unsafe_code)]

pub mod audit;
pub mod config;
pub mod decisions;
pub mod error;
pub mod identity;
pub mod storage;
pub mod telemetry;
