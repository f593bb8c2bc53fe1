//! Spans at a collector that speaks OTLP, and at one that is away.

#[path = "../../../tests/support/collector.rs"]
mod collector;

use super::{Traces, extract, inject, inject_metadata};
use crate::telemetry;
use crate::telemetry::TelemetryError;
use collector::Collector;
use http::HeaderMap;
use std::time::{Duration, Instant};
use tracing_subscriber::layer::SubscriberExt as _;

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const PARENT: &str = "b7ad6b7169203331";

fn headers(flags: &str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    let value = format!("00-{TRACE}-{PARENT}-{flags}");
    headers.insert("traceparent", value.parse().unwrap());
    headers
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn spans_arrive_at_a_collector_in_the_trace_of_the_caller() {
    let collector = Collector::default();
    let address = collector.start().await;
    let traces = Traces::start(&format!("http://{address}"), 0.0).unwrap();
    let subscriber = tracing_subscriber::registry().with(traces.layer());
    let mut onward = HeaderMap::new();
    tracing::subscriber::with_default(subscriber, || {
        let request = telemetry::Request::begin(&headers("01"), "/api/v1/evaluate", "req-1".into());
        request.enter(|| tracing::info_span!("compile").in_scope(|| {}));
        inject(request.span(), &mut onward);
        drop(request);
        // Not sampled: neither by its caller, nor by the share of 0.
        drop(telemetry::Request::begin(
            &headers("00"),
            "/unsampled",
            "req-2".into(),
        ));
        drop(telemetry::Request::begin(
            &HeaderMap::new(),
            "/nobody",
            "req-3".into(),
        ));
    });
    assert!(traces.shutdown(Duration::from_secs(5)).await);

    let spans = collector.spans();
    let names: Vec<&str> = spans.iter().map(|span| span.name.as_str()).collect();
    assert_eq!(names, ["compile", "/api/v1/evaluate"]);
    assert!(spans.iter().all(|span| hex(&span.trace_id) == TRACE));
    let (inner, outer) = (&spans[0], &spans[1]);
    assert_eq!(hex(&outer.parent_span_id), PARENT);
    assert_eq!(inner.parent_span_id, outer.span_id);
    assert!(outer.attributes.iter().any(|a| a.key == "request_id"));
    let resource = collector.requests()[0].resource_spans[0]
        .resource
        .clone()
        .unwrap();
    assert!(resource.attributes.iter().any(|a| a.key == "service.name"));
    // Who is called from here continues at the span of the request.
    let expected = format!("00-{TRACE}-{}-01", hex(&outer.span_id));
    assert_eq!(onward["traceparent"], expected.as_str());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_without_a_trace_begins_one() {
    let collector = Collector::default();
    let address = collector.start().await;
    let traces = Traces::start(&format!("http://{address}"), 1.0).unwrap();
    let subscriber = tracing_subscriber::registry().with(traces.layer());
    tracing::subscriber::with_default(subscriber, || {
        drop(telemetry::Request::begin(&HeaderMap::new(), "/a", "req-1".into()));
        drop(telemetry::Request::begin(&HeaderMap::new(), "/b", "req-2".into()));
    });
    assert!(traces.shutdown(Duration::from_secs(5)).await);
    let spans = collector.spans();
    assert_eq!(spans.len(), 2);
    assert_ne!(spans[0].trace_id, spans[1].trace_id);
    for span in spans {
        let recorded = span
            .attributes
            .iter()
            .find(|a| a.key == "trace_id")
            .and_then(|a| a.value.clone());
        assert!(
            format!("{recorded:?}").contains(&hex(&span.trace_id)),
            "{recorded:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_collector_that_is_away_holds_nothing_up() {
    // A port on which nobody listens: bound and let go.
    let address = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap()
    };
    let traces = Traces::start(&format!("http://{address}"), 1.0).unwrap();
    let subscriber = tracing_subscriber::registry().with(traces.layer());
    let start = Instant::now();
    tracing::subscriber::with_default(subscriber, || {
        for _ in 0..10_000 {
            drop(telemetry::Request::begin(
                &headers("01"),
                "/api/v1/evaluate",
                "req-1".into(),
            ));
        }
    });
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
    let start = Instant::now();
    traces.shutdown(Duration::from_millis(300)).await;
    assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
}

#[tokio::test]
async fn an_endpoint_that_is_no_address_is_refused_at_the_start() {
    for wrong in ["", "not a url", "https://collector:4317"] {
        let started = Traces::start(wrong, 1.0);
        assert!(
            matches!(started, Err(TelemetryError::Exporter(_))),
            "{wrong}: {started:?}"
        );
    }
}

#[test]
fn malformed_headers_are_no_trace() {
    let zeros = format!("00-{}-{PARENT}-01", "0".repeat(32));
    for wrong in ["", "00", "ff-x-y-z", zeros.as_str(), "00-abc-def-01"] {
        let mut headers = HeaderMap::new();
        headers.insert("traceparent", wrong.parse().unwrap());
        assert!(extract(&headers).is_none(), "{wrong}");
    }
    assert!(extract(&headers("01")).is_some());
}

#[test]
fn metadata_keeps_what_was_in_it() {
    let mut metadata = tonic::metadata::MetadataMap::new();
    metadata.insert("authorization", "x".parse().unwrap());
    inject_metadata(&tracing::Span::none(), &mut metadata);
    assert!(metadata.contains_key("authorization"));
    assert!(!metadata.contains_key("traceparent"));
}
