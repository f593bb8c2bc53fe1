//! The trace of a decision as a collector gets it, from a whole server.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a helper of tests fails as tests do"
)]

#[path = "support/collector.rs"]
mod collector;
#[path = "support/process.rs"]
mod process;
#[path = "support/server.rs"]
mod server;

use collector::Collector;
use opentelemetry_proto::tonic::trace::v1::Span;
use policy_proto::v1;
use policy_proto::v1::policy_service_client::PolicyServiceClient;
use policy_server::telemetry;
use policy_server::telemetry::config::{Config, LogFormat};
use serde_json::json;
use server::Running;
use std::net::SocketAddr;
use std::time::Duration;
use tonic::Request;

const PROMPT: &str = "Zaphod-Beeblebrox-asks";

fn trace_id(n: u8) -> String {
    format!("{n:032x}")
}

fn parent(n: u8) -> String {
    format!("00-{}-b7ad6b7169203331-01", trace_id(n))
}

fn of(spans: &[Span], n: u8) -> Vec<&Span> {
    let hex = |bytes: &[u8]| -> String { bytes.iter().map(|byte| format!("{byte:02x}")).collect() };
    spans
        .iter()
        .filter(|span| hex(&span.trace_id) == trace_id(n))
        .collect()
}

/// A text that a span has.
fn attribute(span: &Span, name: &str) -> String {
    let found = span.attributes.iter().find(|attribute| attribute.key == name);
    format!("{:?}", found.and_then(|attribute| attribute.value.clone()))
}

async fn post(to: SocketAddr, path: &str, n: u8, kind: &'static str, body: String) -> (u16, String) {
    let url = format!("http://{to}{path}");
    tokio::task::spawn_blocking(move || {
        let agent: ureq::Agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(Duration::from_secs(20)))
            .build()
            .into();
        let request = agent
            .post(&url)
            .header("content-type", kind)
            .header("traceparent", parent(n));
        let mut response = request.send(body).unwrap();
        let text = response.body_mut().read_to_string().unwrap();
        (response.status().as_u16(), text)
    })
    .await
    .unwrap()
}

// One test: the subscriber is of the whole process.
#[tokio::test(flavor = "multi_thread")]
async fn the_parts_of_a_decision_are_spans_of_the_trace_of_its_caller() {
    let collector = Collector::default();
    let address = collector.start().await;
    let running = telemetry::start(&Config {
        level: "error".to_owned(),
        format: LogFormat::Json,
        otlp: Some(format!("http://{address}")),
        sample: 0.0,
    })
    .unwrap();
    let server = Running::start(&[]).await;
    let http = server.addresses.http;
    let policy = "metadata: {id: p, name: P}\nrules:\n- id: r\n  condition: {operator: eq, field: llm.model, value: a}\n  \
                  action: {decision: deny, reason: 'no {{ llm.prompt }}'}\n";
    let made = post(http, "/api/v1/policies", 1, "application/yaml", policy.to_owned()).await;
    assert_eq!(made.0, 201, "{}", made.1);
    let context = json!({"llm": {"model": "a", "prompt": PROMPT}});
    let body = json!({ "context": context }).to_string();
    let decided = post(http, "/api/v1/evaluate", 2, "application/json", body).await;
    assert!(decided.0 == 200 && decided.1.contains(PROMPT), "{}", decided.1);
    // Long ones are decided by another thread.
    let long = json!({"context": {"llm": {"model": "b", "prompt": PROMPT.repeat(2000)}}}).to_string();
    assert_eq!(
        post(http, "/api/v1/evaluate", 3, "application/json", long)
            .await
            .0,
        200
    );
    let broken = post(http, "/api/v1/evaluate", 5, "application/json", "{".to_owned()).await;
    assert_eq!(broken.0, 400);

    let channel =
        tonic::transport::Channel::from_shared(format!("http://{}", server.addresses.grpc)).unwrap();
    let mut client = PolicyServiceClient::new(channel.connect().await.unwrap());
    let mut request = Request::new(v1::EvaluatePolicyRequest {
        input: Some(v1::evaluate_policy_request::Input::ContextJson(
            context.to_string().into(),
        )),
        ..Default::default()
    });
    request
        .metadata_mut()
        .insert("traceparent", parent(4).parse().unwrap());
    client.evaluate_policy(request).await.unwrap();
    server.stopped().await;
    let with_redis = process::Redis::start("the_parts_of_a_decision_are_spans_of_the_trace_of_its_caller");
    if let Some(redis) = &with_redis {
        let server = Running::start(&[("REDIS_URL", &redis.url()), ("CACHE_ENABLED", "true")]).await;
        let http = server.addresses.http;
        let made = post(http, "/api/v1/policies", 6, "application/yaml", policy.to_owned()).await;
        assert_eq!(made.0, 201, "{}", made.1);
        while server.app.service.cache.shared_is_up() != Some(true) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let body = json!({ "context": context }).to_string();
        assert_eq!(
            post(http, "/api/v1/evaluate", 7, "application/json", body)
                .await
                .0,
            200
        );
        server.stopped().await;
    }
    // Nobody is there to be asked, which is a part of the request all the same.
    let server = Running::start(&[("SHIELD_URL", "http://127.0.0.1:1")]).await;
    let http = server.addresses.http;
    let scanned = policy.replace(
        "eq, field: llm.model, value: a",
        "eq, field: shield.safe, value: false",
    );
    let made = post(http, "/api/v1/policies", 8, "application/yaml", scanned).await;
    assert_eq!(made.0, 201, "{}", made.1);
    let body = json!({ "context": context }).to_string();
    let decided = post(http, "/api/v1/evaluate", 9, "application/json", body).await;
    assert!(decided.1.contains("\"deny\""), "{}", decided.1);
    server.stopped().await;
    assert!(running.shutdown(Duration::from_secs(5)).await);

    let spans = collector.spans();
    for (n, route, decision) in [
        (2, "/api/v1/evaluate", "deny"),
        (3, "/api/v1/evaluate", "allow"),
        (4, "/llmpolicy.v1.PolicyService/EvaluatePolicy", "deny"),
    ] {
        let trace = of(&spans, n);
        let mut names: Vec<&str> = trace.iter().map(|span| span.name.as_str()).collect();
        names.sort_unstable();
        let mut expected = vec![route, "authenticate", "evaluate", "store"];
        expected.sort_unstable();
        assert_eq!(names, expected);
        let root = trace.iter().find(|span| span.name == route).unwrap();
        for part in trace.iter().filter(|span| span.name != route) {
            assert_eq!(part.parent_span_id, root.span_id, "{}", part.name);
            assert!(
                part.start_time_unix_nano >= root.start_time_unix_nano
                    && part.end_time_unix_nano <= root.end_time_unix_nano,
                "{}",
                part.name
            );
        }
        let evaluate = trace.iter().find(|span| span.name == "evaluate").unwrap();
        assert!(attribute(evaluate, "decision").contains(decision), "{evaluate:?}");
        assert!(attribute(evaluate, "cache").contains("not asked"), "{evaluate:?}");
    }
    if with_redis.is_some() {
        let names: Vec<&str> = of(&spans, 7).iter().map(|span| span.name.as_str()).collect();
        assert_eq!(names, ["authenticate", "cache", "store", "/api/v1/evaluate"]);
        assert!(attribute(of(&spans, 7)[1], "decision").contains("deny"));
    }
    let asked = of(&spans, 9);
    let names: Vec<&str> = asked.iter().map(|span| span.name.as_str()).collect();
    assert_eq!(
        names,
        ["authenticate", "enrich", "evaluate", "store", "/api/v1/evaluate"]
    );
    assert!(
        attribute(asked[1], "outcome").contains("connect"),
        "{:?}",
        asked[1]
    );
    // Nothing is decided, so nothing is stored.
    let broken: Vec<&str> = of(&spans, 5).iter().map(|span| span.name.as_str()).collect();
    assert_eq!(broken, ["authenticate", "/api/v1/evaluate"]);
    assert!(!format!("{spans:?}").contains(PROMPT), "a prompt is in a span");
}
