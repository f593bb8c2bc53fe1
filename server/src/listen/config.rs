//! Settings of the listeners: where they are, and how long and how many connections there are.

use crate::hosts;
use crate::settings::Parser;
use crate::tls;
use std::net::SocketAddr;
use std::time::Duration;

/// Listeners.
#[derive(Debug, Clone)]
pub struct Config {
    /// REST.
    pub http: SocketAddr,
    /// gRPC.
    pub grpc: SocketAddr,
    /// Metrics and health.
    pub admin: SocketAddr,
    /// TLS of REST and gRPC.
    pub tls: Option<tls::Config>,
    /// More names that it is asked under.
    pub allowed_hosts: Vec<String>,
    /// Connections of REST and gRPC at most.
    pub connections: usize,
    /// From one address; `None` is half of them.
    pub connections_per_address: Option<usize>,
    /// Time for the first request of a connection, and for heads.
    pub header_timeout: Duration,
    /// Time in which nothing happens.
    pub idle_timeout: Duration,
    /// Time for requests under way after a signal.
    pub shutdown_grace: Duration,
    /// Time after a signal in which the server goes on as before, with readiness off.
    pub shutdown_delay: Duration,
    /// Age at which connections with HTTP/2 end; `None` is no limit.
    pub connection_age: Option<Duration>,
}

pub(crate) fn read(p: &mut Parser<'_>) -> Config {
    let host = p.address("HOST");
    let admin = p.address("METRICS_HOST");
    let tls = tls::config::read(p);
    let net = Config {
        http: SocketAddr::new(host, p.number("PORT")),
        grpc: SocketAddr::new(host, p.number("GRPC_PORT")),
        admin: SocketAddr::new(admin, p.number("METRICS_PORT")),
        tls,
        allowed_hosts: p.list("ALLOWED_HOSTS"),
        connections: p.at_least_one("MAX_CONNECTIONS"),
        connections_per_address: match p.number("MAX_CONNECTIONS_PER_ADDRESS") {
            0 => None,
            most => Some(most),
        },
        header_timeout: p.pause("HEADER_TIMEOUT"),
        idle_timeout: p.pause("IDLE_TIMEOUT"),
        shutdown_grace: p.duration("SHUTDOWN_GRACE"),
        shutdown_delay: p.duration("SHUTDOWN_DELAY"),
        connection_age: Some(p.duration("GRPC_MAX_CONNECTION_AGE")).filter(|age| !age.is_zero()),
    };
    for name in &net.allowed_hosts {
        if !hosts::is_name(name) {
            p.problem(
                "ALLOWED_HOSTS",
                format!("expected names without ports, such as policy.internal, found `{name}`"),
            );
        }
    }
    let mut seen: Vec<(u16, &str)> = Vec::new();
    for (addr, name) in [
        (net.http, "PORT"),
        (net.grpc, "GRPC_PORT"),
        (net.admin, "METRICS_PORT"),
    ] {
        if addr.port() != 0 {
            if let Some((_, other)) = seen.iter().find(|(port, _)| *port == addr.port()) {
                p.problem(name, format!("port {} is that of {other}", addr.port()));
            }
            seen.push((addr.port(), name));
        }
    }
    net
}
