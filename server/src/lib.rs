//! `policyd`: policy decisions for LLM traffic over REST and gRPC.

#![forbid(unsafe_code)]

pub mod active;
pub mod auth;
pub mod config;
pub mod document;
pub mod error;
mod file_stamp;
pub mod heavy;
pub mod identity;
pub mod limits;
pub mod seal;
pub mod service;
pub mod storage;
pub mod tls;
