//! Who is listened to: one credential and no second one, not many wrong ones, no pages of other servers, no ids that nobody can
//! read. REST and gRPC alike.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a helper of tests fails as tests do"
)]

#[path = "support/http2.rs"]
mod http2;
#[path = "support/server.rs"]
mod server;

use http2::{exchange, grpc};
use policy_proto::v1::{self, evaluate_policy_request::Input};
use server::Running;
use std::net::SocketAddr;
use tonic::metadata::{AsciiMetadataKey, AsciiMetadataValue};
use tonic::{Code, Request, Status};

/// A header, or a key of metadata, with its value.
type Given<'g> = (&'g str, &'g [u8]);

const SECRET: &str = "a secret of the tests, with more than 32 bytes";
const BODY: &str = r#"{"context":{}}"#;
const POLICY: &str = "metadata: {id: p, name: P}\nrules:\n- id: r\n  condition: {operator: eq, field: llm.model, value: bad}\n  \
                      action: {decision: deny}\n";

/// Status and text of an answer.
async fn sent(to: SocketAddr, head: &str, body: &str) -> (u16, String) {
    let text = format!(
        "{head}\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    let answer = exchange(to, text.as_bytes()).await;
    (answer[9..12].parse().unwrap(), answer)
}

/// Asks for a decision with these headers, which end with a line break each.
async fn asked(to: SocketAddr, headers: &str, body: &str) -> (u16, String) {
    let head = format!(
        "POST /api/v1/evaluate HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n{headers}"
    );
    sent(to, head.trim_end(), body).await
}

async fn called(
    to: SocketAddr,
    request: v1::EvaluatePolicyRequest,
    metadata: &[Given<'_>],
) -> Result<v1::EvaluatePolicyResponse, Status> {
    let mut client = grpc(to).await;
    let mut request = Request::new(request);
    for (name, value) in metadata {
        let name: AsciiMetadataKey = name.parse().unwrap();
        request
            .metadata_mut()
            .append(name, AsciiMetadataValue::try_from(*value).unwrap());
    }
    Ok(client.evaluate_policy(request).await?.into_inner())
}

fn question(context: &str) -> v1::EvaluatePolicyRequest {
    v1::EvaluatePolicyRequest {
        input: Some(Input::ContextJson(context.to_owned().into())),
        ..Default::default()
    }
}

fn policies() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("p.yaml"), POLICY).unwrap();
    directory
}

#[tokio::test(flavor = "multi_thread")]
async fn two_credentials_are_refused_however_they_are_given() {
    let directory = policies();
    let server = Running::start(&[
        ("POLICIES", directory.path().to_str().unwrap()),
        ("API_KEYS_ENABLED", "true"),
        ("JWT_SECRET", SECRET),
    ])
    .await;
    let key = server.key("gateway", &["evaluator"]).await;
    let bearer = format!("Bearer {key}");
    let (one, other): (Given<'_>, Given<'_>) = (
        ("x-api-key", key.as_bytes()),
        ("authorization", bearer.as_bytes()),
    );
    let odd: &[u8] = b"\xff\xfe";
    let cases: [(&[Given<'_>], bool); 9] = [
        (&[one], true),
        (&[other], true),
        (&[one, other], false),
        (&[other, one], false),
        (&[one, one], false),
        (&[other, other], false),
        (&[one, ("x-api-key", b"")], false),
        // What is no text is a credential as well.
        (&[one, ("authorization", odd)], false),
        (&[("authorization", odd)], false),
    ];
    for (credentials, taken) in cases {
        let mut request =
            b"POST /api/v1/evaluate HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
                .to_vec();
        for (name, value) in credentials {
            request.extend_from_slice(&[name.as_bytes(), b": ", value, b"\r\n"].concat());
        }
        request.extend_from_slice(
            format!(
                "connection: close\r\ncontent-length: {}\r\n\r\n{BODY}",
                BODY.len()
            )
            .as_bytes(),
        );
        let answer = exchange(server.addresses.http, &request).await;
        let status = if taken { "HTTP/1.1 200" } else { "HTTP/1.1 401" };
        assert!(answer.starts_with(status), "{credentials:?}: {answer}");
        let answer = called(server.addresses.grpc, question("{}"), credentials).await;
        match answer {
            Ok(_) => assert!(taken, "{credentials:?}"),
            Err(status) => {
                assert!(!taken, "{credentials:?}: {status:?}");
                assert_eq!(status.code(), Code::Unauthenticated);
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_fails_too_often_is_not_listened_to_and_others_are() {
    let directory = policies();
    let server = Running::start(&[
        ("POLICIES", directory.path().to_str().unwrap()),
        ("API_KEYS_ENABLED", "true"),
        // One more is allowed after thirty seconds.
        ("AUTH_FAILURES", "2"),
    ])
    .await;
    let (http, grpc) = (server.addresses.http, server.addresses.grpc);
    let (good, late) = (
        server.key("gateway", &["evaluator"]).await,
        server.key("gateway", &["evaluator"]).await,
    );
    assert_eq!(asked(http, &format!("x-api-key: {good}\r\n"), BODY).await.0, 200);
    // Nothing given is no failure: it costs nothing.
    for _ in 0..5 {
        assert_eq!(asked(http, "", BODY).await.0, 401);
    }
    let wrong = |i: usize| format!("x-api-key: lpk_{i:016x}_{}\r\n", "0".repeat(64));
    let mut statuses = Vec::new();
    for i in 0..6 {
        let (status, answer) = asked(http, &wrong(i), BODY).await;
        if status == 429 {
            let wait = answer.lines().find_map(|line| line.strip_prefix("retry-after: "));
            assert!(
                (1..=30).contains(&wait.unwrap().parse::<u32>().unwrap()),
                "{answer}"
            );
            assert!(answer.contains("\"rate_limited\""), "{answer}");
        }
        statuses.push(status);
    }
    assert_eq!(statuses, [401, 401, 429, 429, 429, 429]);
    // Over both ports.
    let status = called(grpc, question("{}"), &[("x-api-key", b"lpk_wrong")])
        .await
        .unwrap_err();
    assert_eq!(status.code(), Code::ResourceExhausted);
    assert!(status.metadata().get("retry-after").is_some());
    // A key that was never seen here is not looked at; one that was good is.
    assert_eq!(asked(http, &format!("x-api-key: {late}\r\n"), BODY).await.0, 429);
    for _ in 0..5 {
        assert_eq!(asked(http, &format!("x-api-key: {good}\r\n"), BODY).await.0, 200);
    }
    assert!(
        called(grpc, question("{}"), &[("x-api-key", good.as_bytes())])
            .await
            .is_ok()
    );
    // Knowing its id is not enough.
    let guessed = format!("x-api-key: {}{}\r\n", &good[..good.len() - 64], "0".repeat(64));
    assert_eq!(asked(http, &guessed, BODY).await.0, 429);
    // Others come from elsewhere.
    let mut other = http2::socket("127.0.0.2", http).await;
    let request = format!(
        "POST /api/v1/evaluate HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\nx-api-key: {late}\r\nconnection: \
         close\r\ncontent-length: {}\r\n\r\n{BODY}",
        BODY.len()
    );
    tokio::io::AsyncWriteExt::write_all(&mut other, request.as_bytes())
        .await
        .unwrap();
    let answer = http2::closed("an answer", other).await;
    assert!(
        answer.starts_with(b"HTTP/1.1 200"),
        "{}",
        String::from_utf8_lossy(&answer)
    );
    let text = server.app.scrape();
    assert!(
        text.contains("llm_policy_auth_failures_total{reason=\"limited\"}"),
        "{text}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_of_other_servers_get_nothing_where_nobody_is_asked_who_they_are() {
    let directory = policies();
    let policies = ("POLICIES", directory.path().to_str().unwrap());
    let open = Running::start(&[policies, ("ALLOWED_HOSTS", "policy.internal")]).await;
    let locked = Running::start(&[policies, ("API_KEYS_ENABLED", "true")]).await;
    let names = |server: &Running| [server.addresses.http, server.addresses.admin];
    for (headers, status) in [
        ("host: localhost", 200),
        ("host: 127.0.0.1:3000", 200),
        ("host: [::1]:3000", 200),
        ("host: policy.internal", 200),
        ("host: localhost:3000\r\norigin: http://localhost:3000", 200),
        ("host: evil.example", 403),
        ("host: localhost.evil.example", 403),
        ("host: localhost\r\nhost: evil.example", 403),
        ("host: localhost:3000\r\norigin: http://evil.example", 403),
        ("host: localhost:3000\r\norigin: null", 403),
    ] {
        for to in names(&open) {
            let (found, answer) = sent(to, &format!("GET /health HTTP/1.1\r\n{headers}"), "").await;
            // hyper refuses two hosts by itself.
            let same = found == status || (status == 403 && found == 400);
            assert!(same, "{to} {headers}: {answer}");
        }
        // Where callers prove who they are, no page can do it for them.
        if headers.matches("host").count() == 1 {
            let (found, _) = sent(
                locked.addresses.http,
                &format!("GET /health HTTP/1.1\r\n{headers}"),
                "",
            )
            .await;
            assert_eq!(found, 200, "{headers}");
        }
    }
    // The admin port asks nobody, whoever is asked elsewhere.
    let evil = "GET /metrics HTTP/1.1\r\nhost: evil.example";
    assert_eq!(sent(locked.addresses.admin, evil, "").await.0, 403);
    let evil = "PUT /loglevel HTTP/1.1\r\nhost: evil.example";
    assert_eq!(sent(open.addresses.admin, evil, "debug").await.0, 403);

    // gRPC, over HTTP/1.1 as a browser would, and over HTTP/2.
    let (_, answer) = sent(
        open.addresses.grpc,
        "POST /llmpolicy.v1.PolicyService/CreatePolicy HTTP/1.1\r\nhost: evil.example\r\ncontent-type: application/grpc",
        "\0\0\0\0\0",
    )
    .await;
    assert!(
        answer.contains("grpc-status: 7") && answer.contains("error-code: foreign_host"),
        "{answer}"
    );
    let origin = [("origin", &b"http://evil.example"[..])];
    let status = called(open.addresses.grpc, question("{}"), &origin)
        .await
        .unwrap_err();
    assert_eq!(status.code(), Code::PermissionDenied);
    assert_eq!(status.metadata().get("error-code").unwrap(), "foreign_host");
    assert!(called(open.addresses.grpc, question("{}"), &[]).await.is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_form_cannot_write() {
    let server = Running::start(&[]).await;
    let json = r#"{"metadata":{"id":"p","name":"P"},"rules":[{"id":"r","condition":{"operator":"exists","field":"a"},"action":{"decision":"deny"}}]}"#;
    for (method, path) in [
        ("POST", "/api/v1/policies"),
        ("PUT", "/api/v1/policies/p"),
        ("PATCH", "/api/v1/policies/p/status"),
        ("POST", "/api/v1/policies/p/reject"),
        ("PUT", "/api/v1/bundle"),
        ("POST", "/api/v1/bundle/rollback"),
        ("POST", "/api/v1/keys"),
        ("POST", "/api/v1/edges/e/status"),
        ("POST", "/api/v1/evaluate"),
        ("POST", "/api/v1/evaluate/batch"),
        ("POST", "/api/v1/simulate"),
    ] {
        for kind in [
            "",
            "content-type: text/plain\r\n",
            "content-type: text/plain; charset=UTF-8\r\n",
            "content-type: application/x-www-form-urlencoded\r\n",
            "content-type: Multipart/Form-Data; boundary=x\r\n",
            "content-type: \r\n",
        ] {
            let head = format!("{method} {path} HTTP/1.1\r\nhost: localhost\r\n{kind}");
            let (status, answer) = sent(server.addresses.http, head.trim_end(), json).await;
            assert_eq!(status, 415, "{method} {path} {kind}: {answer}");
        }
    }
    let head = "POST /api/v1/policies HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json";
    assert_eq!(sent(server.addresses.http, head, json).await.0, 201);
    // Who proves who they are may leave it out: JSON is meant.
    let locked = Running::start(&[("API_KEYS_ENABLED", "true")]).await;
    let head = format!(
        "POST /api/v1/evaluate HTTP/1.1\r\nhost: x\r\nx-api-key: {}",
        locked.key("gateway", &["evaluator"]).await
    );
    assert_eq!(sent(locked.addresses.http, &head, BODY).await.0, 503);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_is_shown_by_no_other_and_guessed_by_nobody() {
    let server = Running::start(&[]).await;
    let get = async |path: &str| {
        let head = format!("GET {path} HTTP/1.1\r\nhost: localhost");
        sent(server.addresses.http, &head, "").await.1
    };
    let page = get("/docs").await;
    for header in [
        "frame-ancestors 'none'",
        "base-uri 'none'",
        "form-action 'none'",
        "x-frame-options: DENY",
        "x-content-type-options: nosniff",
    ] {
        assert!(page.contains(header), "{header}: {page}");
    }
    assert!(
        get("/openapi.json")
            .await
            .contains("x-content-type-options: nosniff")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn ids_that_nobody_can_read_are_refused_everywhere() {
    let directory = policies();
    let server = Running::start(&[("POLICIES", directory.path().to_str().unwrap())]).await;
    let (http, grpc) = (server.addresses.http, server.addresses.grpc);
    let longest = "x".repeat(128);
    for (id, taken) in [
        ("r-1", true),
        ("größe", true),
        (longest.as_str(), true),
        (&"x".repeat(129), false),
        ("a\nb", false),
        ("\u{1b}[31m", false),
        ("a\u{202e}b", false),
    ] {
        let text = serde_json::json!({"requestId": id, "context": {}}).to_string();
        // With and without the context as the last member, which takes another way.
        let other = serde_json::json!({"context": {}, "requestId": id, "trace": false}).to_string();
        for body in [text, other] {
            let (status, answer) = asked(http, "", &body).await;
            assert_eq!(status == 200, taken, "{id:?}: {answer}");
            assert!(
                taken || answer.contains("\"malformed_request\""),
                "{id:?}: {answer}"
            );
        }
        let request = v1::EvaluatePolicyRequest {
            request_id: id.to_owned(),
            ..question("{}")
        };
        match called(grpc, request, &[]).await {
            Ok(answer) => assert!(taken && answer.request_id == id, "{id:?}"),
            Err(status) => assert!(
                !taken && status.code() == Code::InvalidArgument,
                "{id:?}: {status:?}"
            ),
        }
        let simulation = v1::SimulateRequest {
            request_id: id.to_owned(),
            input: Some(v1::simulate_request::Input::ContextJson("{}".into())),
            ..Default::default()
        };
        let mut client = http2::grpc(grpc).await;
        assert_eq!(client.simulate(simulation).await.is_ok(), taken, "{id:?}");
    }
    // The ids of a batch are ours, and longer than the one that they are made of.
    let head = format!(
        "POST /api/v1/evaluate/batch HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\nx-request-id: {longest}"
    );
    let (status, answer) = sent(http, &head, r#"{"contexts":[{}]}"#).await;
    assert!(
        status == 200 && answer.contains(&format!("{longest}-0")),
        "{answer}"
    );
    // Names of keys stand in every record.
    for name in ["a\nb", "a\u{202e}b", &"x".repeat(256)] {
        let body = serde_json::json!({"name": name, "roles": ["evaluator"]}).to_string();
        let head = "POST /api/v1/keys HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json";
        let (status, answer) = sent(http, head, &body).await;
        assert_eq!(status, 400, "{name:?}: {answer}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn marks_before_a_text_are_skipped_over_both_ports() {
    let directory = policies();
    let server = Running::start(&[("POLICIES", directory.path().to_str().unwrap())]).await;
    let context = "\u{feff}{\"llm\":{\"model\":\"bad\"}}";
    let body = "\u{feff}{\"context\":{\"llm\":{\"model\":\"bad\"}}}";
    let (status, answer) = asked(server.addresses.http, "", body).await;
    assert!(status == 200 && answer.contains("\"deny\""), "{answer}");
    let answer = called(server.addresses.grpc, question(context), &[])
        .await
        .unwrap();
    assert!(!answer.allowed);
    let head = "POST /api/v1/evaluate/batch HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json";
    let (status, answer) = sent(server.addresses.http, head, "\u{feff}{\"contexts\":[{}]}").await;
    assert_eq!(status, 200, "{answer}");
}
