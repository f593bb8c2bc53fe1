//! Settings below the heading "Telemetry".

use super::{Setting, of};

const GROUP: &str = "Telemetry";

/// In the order of the reference page.
pub(super) const ROWS: &[Setting] = &[
    of(
        GROUP,
        "LOG_LEVEL",
        "info",
        "error|warn|info|debug|trace",
        "What is logged, to stderr; directives like `policy_server=debug` work.",
    ),
    of(
        GROUP,
        "LOG_FORMAT",
        "auto",
        "auto|json|text",
        "`auto` is text on a terminal, else JSON.",
    ),
    of(
        GROUP,
        "TRACE_ENABLED",
        "false",
        "BOOL",
        "Whether traces are sent to OTLP_ENDPOINT.",
    ),
    of(
        GROUP,
        "OTLP_ENDPOINT",
        "http://127.0.0.1:4317",
        "URL",
        "OTLP collector (gRPC without TLS: `http://…` only).",
    )
    .needs(&[&["TRACE_ENABLED"]]),
    of(
        GROUP,
        "TRACE_SAMPLE",
        "0.1",
        "0…1",
        "Share of traces kept, from 0 to 1, for requests whose caller did not decide it.",
    )
    .needs(&[&["TRACE_ENABLED"]]),
];
