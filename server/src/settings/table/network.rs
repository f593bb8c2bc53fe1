//! Settings below the heading "Network".

use super::{Setting, of};

const GROUP: &str = "Network";

/// In the order of the reference page.
pub(super) const ROWS: &[Setting] = &[
    of(
        GROUP,
        "HOST",
        "127.0.0.1",
        "ADDRESS",
        "Address of the REST and gRPC listeners. Anything but loopback needs authentication.",
    ),
    of(GROUP, "PORT", "3000", "PORT", "REST port; 0 takes a free one."),
    of(
        GROUP,
        "GRPC_PORT",
        "50051",
        "PORT",
        "gRPC port; 0 takes a free one.",
    ),
    of(
        GROUP,
        "METRICS_HOST",
        "127.0.0.1",
        "ADDRESS",
        "Address of the admin listener: metrics, health and, on loopback only, the log level. It has no authentication; any address but loopback needs authentication of the other listeners, or INSECURE_NO_AUTH.",
    ),
    of(
        GROUP,
        "METRICS_PORT",
        "9090",
        "PORT",
        "Port of the admin listener; 0 takes a free one.",
    ),
    of(
        GROUP,
        "TLS_CERT",
        "",
        "FILE",
        "PEM certificate chain for both ports; read again when it changes.",
    )
    .needs(&[&["TLS_KEY"]]),
    of(GROUP, "TLS_KEY", "", "FILE", "PEM private key of TLS_CERT.").needs(&[&["TLS_CERT"]]),
    of(
        GROUP,
        "TLS_CLIENT_CA",
        "",
        "FILE",
        "PEM certificates; only clients with a certificate signed by one of them are let in (mTLS).",
    )
    .needs(&[&["TLS_CERT"]]),
    of(
        GROUP,
        "ALLOWED_HOSTS",
        "",
        "NAME,…",
        "Other host names, without ports, under which clients and web pages may call a server without authentication. `localhost`, loopback addresses and the address of the listener are always allowed.",
    ),
    of(
        GROUP,
        "MAX_CONNECTIONS",
        "10000",
        "NUMBER",
        "Most connections of REST and gRPC together; fewer if the process may not open enough files. Connections over the limit are closed at once.",
    ),
    of(
        GROUP,
        "MAX_CONNECTIONS_PER_ADDRESS",
        "0",
        "NUMBER",
        "Most connections from one IPv4 address or one IPv6 /64 network; 0 is half of MAX_CONNECTIONS.",
    ),
    of(
        GROUP,
        "HEADER_TIMEOUT",
        "10s",
        "DURATION",
        "How long the head of a request may take, from its first byte on; for the first request of a connection from the connect on, TLS included.",
    ),
    of(
        GROUP,
        "IDLE_TIMEOUT",
        "2m",
        "DURATION",
        "How long a connection may be idle between requests, and a stream between messages, before it is closed. Also how long a client may take to read 32 KB of an answer over HTTP/2 before its stream is reset.",
    ),
    of(
        GROUP,
        "BODY_TIMEOUT",
        "10s",
        "DURATION",
        "How long the body of a request may take to arrive.",
    ),
    of(
        GROUP,
        "SHUTDOWN_GRACE",
        "20s",
        "DURATION",
        "How long requests under way may take after a signal to stop.",
    ),
    of(
        GROUP,
        "SHUTDOWN_DELAY",
        "0s",
        "DURATION",
        "How long the server goes on accepting and answering after a signal to stop, with readiness off, before SHUTDOWN_GRACE begins: the time that load balancers need to stop sending requests here.",
    ),
    of(
        GROUP,
        "GRPC_MAX_CONNECTION_AGE",
        "0s",
        "DURATION",
        "Age, give or take 10 %, at which clients with HTTP/2 (gRPC and REST) are told to open another connection. Calls under way go on for SHUTDOWN_GRACE. 0s is no limit.",
    ),
];
