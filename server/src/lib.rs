//! `policyd`: policy decisions for LLM traffic over REST and gRPC.

#![forbid(unsafe_code)]
#![warn(missing_docs)]

pub mod active;
pub mod admin;
pub mod answer;
pub mod audit;
pub mod auth;
pub mod body;
pub mod cache;
pub mod check;
pub mod clock;
pub mod config;
pub mod decisions;
pub mod descriptors;
pub mod document;
pub mod edges;
pub mod enrich;
pub mod error;
mod fetch;
pub mod file_stamp;
pub mod gate;
pub mod grpc;
pub mod health;
pub mod health_check;
pub mod heavy;
pub mod hex;
pub mod hosts;
pub mod http;
pub mod identity;
pub mod instance;
pub mod json_text;
pub mod limits;
pub mod listen;
pub mod manual;
pub mod program;
pub mod redis_client;
pub mod request_id;
pub mod rotation;
pub mod seal;
pub mod sealed_secrets;
pub mod server;
pub mod service;
pub mod settings;
pub mod shares;
pub mod state;
pub mod storage;
pub mod sync;
pub mod telemetry;
pub mod tls;
pub mod tools;
pub mod turns;
