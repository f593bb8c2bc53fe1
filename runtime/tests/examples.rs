//! The examples run, and what they assert holds.

#![cfg(feature = "compile")]
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "examples show what they do; a test that cannot go on has failed"
)]

#[path = "../examples/async_gateway.rs"]
mod async_gateway;
#[path = "../examples/embed.rs"]
mod embed;
#[path = "../examples/signed_bundle.rs"]
mod signed_bundle;

#[test]
fn embed() {
    embed::main().unwrap();
}

#[test]
fn signed_bundle() {
    signed_bundle::main().unwrap();
}

#[test]
fn async_gateway() {
    async_gateway::main().unwrap();
}
