//! `policyd`: policy decisions for LLM traffic over REST and gRPC.

#![forbid(unsafe_code)]

pub mod cache;
pub mod config;
pub mod error;
pub mod identity;
pub mod storage;
