//! `policyd`: policy decisions for LLM traffic over REST and gRPC.

#![forbid(unsafe_code)]

pub mod auth;
pub mod config;
pub mod error;
mod file_stamp;
pub mod identity;
pub mod limits;
pub mod seal;
pub mod storage;
pub mod tls;
