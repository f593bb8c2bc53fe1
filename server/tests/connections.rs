//! What connections may take: places, files, time. Floods come from another address of this machine than the callers that must
//! be served meanwhile.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a helper of tests fails as tests do"
)]

#[path = "support/http2.rs"]
mod http2;
#[path = "support/process.rs"]
mod process;
#[path = "support/server.rs"]
mod server;
#[path = "support/tls.rs"]
mod tls;

use bytes::Bytes;
use http2::{Connection, PATIENCE, closed, exchange, grpc, narrow_socket, rest, socket, soon};
use policy_proto::Message as _;
use policy_proto::v1::{self, evaluate_policy_request::Input};
use process::{Client, Policyd};
use serde_json::json;
use server::Running;
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::mpsc;
use tokio_stream::StreamExt as _;
use tokio_stream::wrappers::ReceiverStream;

const POLICY: &str = "metadata: {id: p, name: P}\nrules:\n- id: r\n  condition: {operator: eq, field: llm.model, value: bad}\n  \
                      action: {decision: deny}\n";
const EVALUATE: &str = "/llmpolicy.v1.PolicyService/EvaluatePolicy";

fn policies() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("p.yaml"), POLICY).unwrap();
    directory
}

/// A request whose body has only begun.
fn begun(length: usize) -> String {
    format!(
        "POST /api/v1/evaluate HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\nconnection: \
         close\r\ncontent-length: {length}\r\n\r\n{{"
    )
}

const BODY: &str = r#"{"context":{"llm":{"model":"bad"}}}"#;

/// A decision over REST, on a connection of its own.
async fn decided(to: SocketAddr) -> String {
    let head = begun(BODY.len());
    exchange(to, [head.as_bytes(), &BODY.as_bytes()[1..]].concat().as_slice()).await
}

/// The message of a call, with what stands before it.
fn message() -> Bytes {
    let request = v1::EvaluatePolicyRequest {
        input: Some(Input::ContextJson(r#"{"llm":{"model":"bad"}}"#.into())),
        ..Default::default()
    };
    let message = request.encode_to_vec();
    let length = u32::try_from(message.len()).unwrap().to_be_bytes();
    [&[0][..], &length, &message].concat().into()
}

async fn grpc_decides(to: SocketAddr) -> bool {
    let mut client = grpc(to).await;
    let request = v1::EvaluatePolicyRequest {
        input: Some(Input::ContextJson("{}".into())),
        ..Default::default()
    };
    let answer = soon("a decision over gRPC", client.evaluate_policy(request)).await;
    answer.unwrap().into_inner().allowed
}

/// A process that may open few files, more sockets than that on all three ports, and others who are served all the same.
#[tokio::test(flavor = "multi_thread")]
async fn silent_sockets_starve_nobody_and_are_closed() {
    const FILES: usize = 300;
    let directory = policies();
    let policies = directory.path().to_str().unwrap().to_owned();
    let policyd = tokio::task::spawn_blocking(move || {
        Policyd::with_files(FILES, &[("POLICIES", &policies), ("HEADER_TIMEOUT", "5s")])
    });
    let policyd = policyd.await.unwrap();
    let ports = [policyd.rest, policyd.grpc, policyd.admin_address];
    // The rest of the files is for whatever the server does on its own.
    let mut flood = Vec::new();
    for i in 0..FILES {
        for port in ports {
            let mut socket = socket("127.0.0.2", port).await;
            // Nothing, or what may be the first byte of HTTP/1 and of HTTP/2. Who is refused has no socket to write to.
            if i % 2 == 0 {
                drop(socket.write_all(b"P").await);
            }
            flood.push(socket);
        }
    }
    let (rest, grpc, admin) = (ports[0], ports[1], ports[2]);
    for _ in 0..5 {
        assert!(decided(rest).await.contains("\"decision\":\"deny\""));
        assert!(grpc_decides(grpc).await);
        let scraped = tokio::task::spawn_blocking(move || Client::new(admin).get("/metrics").status);
        assert_eq!(scraped.await.unwrap(), 200);
    }
    for socket in flood {
        assert_eq!(closed("a silent socket is closed", socket).await, b"");
    }
    let counted = tokio::task::spawn_blocking(move || {
        let counted = [
            policyd.metric("llm_policy_connections_closed_total{reason=\"head\"}"),
            policyd.metric("llm_policy_connections_refused_total{reason=\"address\"}"),
        ];
        (
            counted,
            policyd.metric("llm_policy_connections"),
            policyd.logged(),
        )
    });
    let ([closed, refused], open, log) = counted.await.unwrap();
    assert!(closed > 0 && refused > 0, "{closed} closed, {refused} refused");
    // The one on which was asked whether the server is ready is kept.
    assert!(open <= 1, "{open}");
    assert!(
        log.contains("MAX_CONNECTIONS_PER_ADDRESS are open from 127.0.0.2"),
        "{log}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_are_limited_in_all_and_by_address() {
    let server = Running::start(&[("MAX_CONNECTIONS", "5"), ("MAX_CONNECTIONS_PER_ADDRESS", "3")]).await;
    let (rest, grpc) = (server.addresses.http, server.addresses.grpc);
    let served = async |from: &str, to: SocketAddr| {
        let mut stream = socket(from, to).await;
        drop(
            stream
                .write_all(b"GET /livez HTTP/1.1\r\nhost: localhost\r\n\r\n")
                .await,
        );
        let mut first = [0; 8];
        let is_served = matches!(soon("an answer or the end", stream.read(&mut first)).await, Ok(n) if n > 0);
        is_served.then_some(stream)
    };
    let mut held = Vec::new();
    // Both ports count together.
    for (from, to, expected) in [
        ("127.0.0.2", rest, true),
        ("127.0.0.2", grpc, true),
        ("127.0.0.2", rest, true),
        ("127.0.0.2", rest, false),
        ("127.0.0.2", grpc, false),
        ("127.0.0.3", rest, true),
        ("127.0.0.4", rest, true),
        ("127.0.0.5", rest, false),
        ("127.0.0.3", rest, false),
    ] {
        let stream = served(from, to).await;
        assert_eq!(stream.is_some(), expected, "{from} {to}");
        held.extend(stream);
    }
    let text = server.app.scrape();
    assert!(text.contains("llm_policy_connections 5"), "{text}");
    assert!(
        text.contains("llm_policy_connections_refused_total{reason=\"address\"} 2"),
        "{text}"
    );
    assert!(
        text.contains("llm_policy_connections_refused_total{reason=\"all\"} 2"),
        "{text}"
    );
    // A place that is given back is there for others.
    drop(held.remove(0));
    let begin = Instant::now();
    while served("127.0.0.2", rest).await.is_none() {
        assert!(begin.elapsed() < PATIENCE, "the place is not given back");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_request_comes_in_time_or_the_connection_ends() {
    let authority = tls::Authority::new("ours");
    let files = tls::Files::new(&authority.leaf("localhost"));
    let (cert, key) = (files.text("cert.pem"), files.text("key.pem"));
    let time = ("HEADER_TIMEOUT", "500ms");
    let plain = Running::start(&[time]).await;
    let secured = Running::start(&[time, ("TLS_CERT", &cert), ("TLS_KEY", &key)]).await;
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
    let mut open = Vec::new();
    for server in [&plain, &secured] {
        let addresses = server.addresses;
        for port in [addresses.http, addresses.grpc, addresses.admin] {
            for begin in [
                b"" as &[u8],
                b"P",
                b"PRI * HTTP/2.0\r\n",
                b"GET",
                b"GET / HTTP/1.1\r\nhost: local",
                // The beginning of a TLS handshake.
                b"\x16\x03\x01\x02\x00\x01",
                preface,
            ] {
                let mut stream = socket("127.0.0.1", port).await;
                stream.write_all(begin).await.unwrap();
                open.push((port, begin, stream));
            }
        }
    }
    for (port, begin, stream) in open {
        closed(
            &format!("{port} after {:?}", String::from_utf8_lossy(begin)),
            stream,
        )
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn idle_connections_end_and_busy_ones_do_not() {
    let directory = policies();
    let server = Running::start(&[
        ("POLICIES", directory.path().to_str().unwrap()),
        ("IDLE_TIMEOUT", "1s"),
        ("HEADER_TIMEOUT", "60s"),
        ("BODY_TIMEOUT", "60s"),
    ])
    .await;
    let (http, grpc) = (server.addresses.http, server.addresses.grpc);
    // Under way all the time.
    let mut busy = socket("127.0.0.1", http).await;
    busy.write_all(begun(BODY.len()).as_bytes()).await.unwrap();
    // HTTP/1, after an answer.
    let mut kept = socket("127.0.0.1", http).await;
    kept.write_all(b"GET /livez HTTP/1.1\r\nhost: localhost\r\n\r\n")
        .await
        .unwrap();
    let said = closed("an idle connection is closed", kept).await;
    assert!(said.starts_with(b"HTTP/1.1 200"));
    // HTTP/2, whose client answers pings as long as it is asked.
    for (to, path) in [(http, "/livez"), (grpc, EVALUATE)] {
        let mut connection = Connection::open(to).await;
        let mut request = connection
            .begin(to, path, &[("content-type", "application/grpc")])
            .await;
        request.send(message(), true).await.unwrap();
        rest(request.answer().await.unwrap()).await.unwrap();
        let end = soon("an idle connection is closed", &mut connection.driver).await;
        // It is told to go away, and not cut off.
        assert!(end.unwrap().is_ok());
    }
    // A stream on which nothing is asked.
    let mut client = http2::grpc(grpc).await;
    let (send, receive) = mpsc::channel(4);
    send.send(v1::EvaluatePolicyRequest {
        input: Some(Input::ContextJson("{}".into())),
        ..Default::default()
    })
    .await
    .unwrap();
    let answers = client.evaluate_policy_stream(ReceiverStream::new(receive)).await;
    let mut answers = answers.unwrap().into_inner();
    soon("an answer", answers.next()).await.unwrap().unwrap();
    let end = soon("an idle stream ends", answers.next())
        .await
        .unwrap()
        .unwrap_err();
    assert_eq!(end.code(), tonic::Code::DeadlineExceeded);
    assert_eq!(end.metadata().get("error-code").unwrap(), "idle");
    drop(send);

    busy.write_all(&BODY.as_bytes()[1..]).await.unwrap();
    let answer = String::from_utf8(closed("the answer to a long request", busy).await).unwrap();
    assert!(
        answer.starts_with("HTTP/1.1 200") && answer.contains("deny"),
        "{answer}"
    );
    let text = server.app.scrape();
    assert!(
        text.contains("llm_policy_connections_closed_total{reason=\"idle\"}"),
        "{text}"
    );
}

/// Whether a call met the farewell of its connection, so that the server never saw it. Libraries of gRPC try such a call again by
/// themselves; tonic does not.
fn was_not_taken(status: &tonic::Status) -> bool {
    let mut source = std::error::Error::source(status);
    while let Some(error) = source {
        // It was not sent, or was told that it is not looked at.
        if error
            .downcast_ref::<hyper::Error>()
            .is_some_and(hyper::Error::is_canceled)
        {
            return true;
        }
        if let Some(error) = error.downcast_ref::<h2::Error>() {
            return error.is_go_away() && error.is_remote() && error.reason() == Some(h2::Reason::NO_ERROR);
        }
        source = error.source();
    }
    false
}

#[tokio::test(flavor = "multi_thread")]
async fn old_connections_with_http_2_end_and_no_request_with_them() {
    const AGE: Duration = Duration::from_secs(1);
    // A tenth more, and a moment.
    const OLD: Duration = Duration::from_millis(1600);
    let directory = policies();
    let server = Running::start(&[
        ("POLICIES", directory.path().to_str().unwrap()),
        ("GRPC_MAX_CONNECTION_AGE", "1s"),
        ("SHUTDOWN_GRACE", "5s"),
        ("BODY_TIMEOUT", "60s"),
    ])
    .await;
    let (http, grpc) = (server.addresses.http, server.addresses.grpc);
    let kind = [("content-type", "application/grpc")];
    // Calls follow each other: it is not that nothing happens.
    let mut client = http2::grpc(grpc).await;
    let calls = tokio::spawn(async move {
        let begin = Instant::now();
        let (mut count, mut not_taken) = (0, 0);
        while begin.elapsed() < 3 * AGE {
            let request = v1::EvaluatePolicyRequest {
                input: Some(Input::ContextJson("{}".into())),
                ..Default::default()
            };
            match client.evaluate_policy(request).await {
                Ok(_) => count += 1,
                Err(status) => {
                    assert!(was_not_taken(&status), "{status:?}");
                    not_taken += 1;
                }
            }
        }
        assert!(not_taken <= 3, "more than one for each connection: {not_taken}");
        count
    });
    // HTTP/1 is not told.
    let mut kept = socket("127.0.0.1", http).await;
    let ask = b"GET /livez HTTP/1.1\r\nhost: localhost\r\n\r\n";
    kept.write_all(ask).await.unwrap();
    // A stream, and requests on both ports, that are under way when their connections are old.
    let mut streamed = http2::grpc(grpc).await;
    let (send, receive) = mpsc::channel(4);
    let request = || v1::EvaluatePolicyRequest {
        input: Some(Input::ContextJson("{}".into())),
        ..Default::default()
    };
    send.send(request()).await.unwrap();
    let answers = streamed
        .evaluate_policy_stream(ReceiverStream::new(receive))
        .await;
    let mut answers = answers.unwrap().into_inner();
    soon("an answer", answers.next()).await.unwrap().unwrap();
    for (to, path) in [(http, "/api/v1/evaluate"), (grpc, EVALUATE)] {
        let begin = Instant::now();
        let mut connection = Connection::open(to).await;
        let headers = if to == http {
            [("content-type", "application/json")]
        } else {
            kind
        };
        let body = if to == http {
            Bytes::from_static(BODY.as_bytes())
        } else {
            message()
        };
        let mut slow = connection.begin(to, path, &headers).await;
        slow.send(body.slice(..1), false).await.unwrap();
        tokio::time::sleep(OLD).await;
        assert!(!connection.driver.is_finished());
        slow.send(body.slice(1..), true).await.unwrap();
        let answer = slow.answer().await.unwrap();
        assert_eq!(answer.status(), 200);
        rest(answer).await.unwrap();
        let end = soon("an old connection ends", &mut connection.driver).await;
        assert!(end.unwrap().is_ok(), "it is told to go away, and not cut off");
        assert!(begin.elapsed() < Duration::from_secs(5), "{:?}", begin.elapsed());
    }
    send.send(request()).await.unwrap();
    let answer = soon("an answer on an old connection", answers.next()).await;
    assert!(answer.unwrap().is_ok());
    assert!(calls.await.unwrap() > 3);
    kept.write_all(ask).await.unwrap();
    // The first answer was not read yet, and would be there on a closed connection, too.
    soon("a second answer over HTTP/1", async {
        let mut said = Vec::new();
        while String::from_utf8_lossy(&said).matches("HTTP/1.1 200").count() < 2 {
            assert!(kept.read_buf(&mut said).await.unwrap() > 0, "it is closed");
        }
    })
    .await;
    // Whatever goes on ends with the grace.
    let end = soon("a stream on an old connection ends", async {
        while let Some(Ok(_)) = answers.next().await {}
    });
    end.await;
    let text = server.app.scrape();
    assert!(
        text.contains("llm_policy_connections_closed_total{reason=\"age\"}"),
        "{text}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_head_of_a_later_request_has_its_time_too() {
    let server = Running::start(&[("HEADER_TIMEOUT", "500ms"), ("IDLE_TIMEOUT", "1h")]).await;
    let mut kept = socket("127.0.0.1", server.addresses.http).await;
    kept.write_all(b"GET /livez HTTP/1.1\r\nhost: localhost\r\n\r\n")
        .await
        .unwrap();
    let mut first = [0; 12];
    soon("an answer", kept.read_exact(&mut first)).await.unwrap();
    assert_eq!(&first, b"HTTP/1.1 200");
    // Longer than the first one may take, and still open.
    tokio::time::sleep(Duration::from_secs(2)).await;
    kept.write_all(b"GET /li").await.unwrap();
    closed("a head that does not end", kept).await;
}

/// Waits until all places are given back: an answer is read before its request has left.
async fn nobody_inside(server: &Running) {
    let left = async {
        while server.app.gate.inside() > 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    soon("all places are given back", left).await;
}

/// Waits until so many requests have begun and are not answered, and then for as long as looking at the gate takes: who comes while
/// the only place is taken is refused.
async fn under_way(server: &Running, count: usize) {
    let line = format!("llm_policy_requests_in_flight {count}.0");
    let begun = async {
        while !server.app.metrics.encode().lines().any(|found| found == line) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    soon("the requests have begun", begun).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_bodies_hold_no_place() {
    let directory = policies();
    let policies = ("POLICIES", directory.path().to_str().unwrap());
    let server = Running::start(&[policies, ("MAX_CONCURRENCY", "1"), ("BODY_TIMEOUT", "1h")]).await;
    let (http, grpc) = (server.addresses.http, server.addresses.grpc);
    let mut slow = Vec::new();
    for _ in 0..5 {
        let mut stream = socket("127.0.0.1", http).await;
        stream.write_all(begun(BODY.len()).as_bytes()).await.unwrap();
        slow.push(stream);
    }
    let mut connection = Connection::open(grpc).await;
    let headers = [("content-type", "application/grpc"), ("te", "trailers")];
    let mut call = connection.begin(grpc, EVALUATE, &headers).await;
    let mut begin = message();
    let end = begin.split_off(10);
    call.send(begin, false).await.unwrap();
    under_way(&server, slow.len() + 1).await;
    for _ in 0..3 {
        let answer = decided(http).await;
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        nobody_inside(&server).await;
        assert!(grpc_decides(grpc).await);
        nobody_inside(&server).await;
    }
    // They are answered once they have sent everything.
    for mut stream in slow {
        stream.write_all(&BODY.as_bytes()[1..]).await.unwrap();
        let answer = closed("the answer to a slow body", stream).await;
        assert!(
            answer.starts_with(b"HTTP/1.1 200"),
            "{}",
            String::from_utf8_lossy(&answer)
        );
        nobody_inside(&server).await;
    }
    call.send(end, true).await.unwrap();
    let (_, trailers) = rest(call.answer().await.unwrap()).await.unwrap();
    assert_eq!(trailers.get("grpc-status").unwrap(), "0");
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_that_do_not_come_are_not_waited_for() {
    let server = Running::start(&[("BODY_TIMEOUT", "300ms")]).await;
    let (http, grpc) = (server.addresses.http, server.addresses.grpc);
    for path in ["/api/v1/evaluate", "/api/v1/policies", "/api/v1/evaluate/batch"] {
        let request = begun(100).replace("/api/v1/evaluate", path);
        let answer = exchange(http, request.as_bytes()).await;
        assert!(
            answer.starts_with("HTTP/1.1 408") && answer.contains("\"body_timeout\""),
            "{path}: {answer}"
        );
    }
    let mut connection = Connection::open(grpc).await;
    let headers = [("content-type", "application/grpc"), ("te", "trailers")];
    let mut call = connection.begin(grpc, EVALUATE, &headers).await;
    call.send(message().slice(..10), false).await.unwrap();
    let answer = call.answer().await.unwrap();
    assert_eq!(answer.headers().get("grpc-status").unwrap(), "4");
    assert_eq!(answer.headers().get("error-code").unwrap(), "body_timeout");
}

/// Stores a policy whose text is so long, which is the length of its answers.
async fn store_long(to: SocketAddr, length: usize) {
    let text = format!(
        "{POLICY}{}",
        format!("# {}\n", "x".repeat(997)).repeat(length / 1000)
    );
    let request = format!(
        "POST /api/v1/policies HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/yaml\r\nconnection: \
         close\r\ncontent-length: {}\r\n\r\n{text}",
        text.len()
    );
    let answer = exchange(to, request.as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 201"), "{}", &answer[..300]);
}

/// A message of a call.
fn framed(message: &[u8]) -> Bytes {
    let length = u32::try_from(message.len()).unwrap().to_be_bytes();
    [&[0][..], &length, message].concat().into()
}

/// What a server needs for [`large`].
const FOR_LARGE: [(&str, &str); 4] = [
    ("MAX_BODY", "16MB"),
    ("MAX_RESULTS", "64MB"),
    ("MAX_BATCH", "2000"),
    ("DECISION_LOG", "off"),
];

/// A policy that repeats what it is asked about, beside a long text.
fn repeating() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    let text = POLICY.replace("decision: deny", "decision: deny, reason: '{{ llm.prompt }}'");
    let comment = format!("# {}\n", "x".repeat(997)).repeat(200);
    std::fs::write(directory.path().join("p.yaml"), text + &comment).unwrap();
    directory
}

/// A request whose answer has more than 20 MB: more than the buffers of the system hold.
fn large() -> Vec<u8> {
    let context = json!({"llm": {"model": "bad", "prompt": "x".repeat(7000)}});
    let body = json!({"contexts": vec![context; 1500]}).to_string();
    let head = begun(body.len()).replace("/api/v1/evaluate", "/api/v1/evaluate/batch");
    [head.as_bytes(), &body.as_bytes()[1..]].concat()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_is_not_taken_ends_over_http_1() {
    let directory = repeating();
    let mut settings = FOR_LARGE.to_vec();
    settings.extend([
        ("IDLE_TIMEOUT", "1s"),
        ("POLICIES", directory.path().to_str().unwrap()),
    ]);
    let server = Running::start(&settings).await;
    let to = server.addresses.http;
    let mut unread = narrow_socket("127.0.0.1", to).await;
    unread.write_all(&large()).await.unwrap();
    let begin = Instant::now();
    while !server
        .app
        .scrape()
        .contains("llm_policy_connections_closed_total{reason=\"idle\"} 1")
    {
        assert!(begin.elapsed() < PATIENCE, "the connection is not closed");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    // Until then it lingers: who begins to read gets all of it.
    while server.app.connections.taken() > 0 {
        assert!(begin.elapsed() < PATIENCE, "the connection is not given up");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let said = closed("the rest of what was sent", unread).await.len();
    // Whoever reads gets all of it.
    let whole = exchange(to, &large()).await;
    assert!(
        whole.starts_with("HTTP/1.1 200") && said < whole.len(),
        "{said} of {} bytes",
        whole.len()
    );
}

/// Others may ask on the same connection, as behind a proxy: they go on.
#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_is_not_taken_ends_over_http_2_and_grpc_and_no_other_does() {
    let server = Running::start(&[("IDLE_TIMEOUT", "1s")]).await;
    let (http, grpc) = (server.addresses.http, server.addresses.grpc);
    store_long(http, 1 << 20).await;
    let get = v1::GetPolicyRequest {
        id: "p".to_owned(),
        ..Default::default()
    };
    let batch = json!({"contexts": vec![json!({}); 1000], "trace": true}).to_string();
    let headers: &[(&str, &str)] = &[("content-type", "application/grpc"), ("te", "trailers")];
    let service = "/llmpolicy.v1.PolicyService";
    let get_policy = format!("{service}/GetPolicy");
    let stream = format!("{EVALUATE}Stream");
    let questions: Bytes = message().repeat(2000).into();
    let cases = [
        (
            http,
            "/api/v1/evaluate/batch",
            &[("content-type", "application/json")][..],
            batch.into(),
            true,
        ),
        (
            grpc,
            get_policy.as_str(),
            headers,
            framed(&get.encode_to_vec()),
            true,
        ),
        (grpc, stream.as_str(), headers, questions, false),
    ];
    for (to, path, headers, body, whole) in cases {
        let mut connection = Connection::open(to).await;
        let mut unread = connection.begin(to, path, headers).await;
        if whole {
            unread.send(body, true).await.unwrap();
        } else {
            // Whoever does not read is not read either.
            let sending = tokio::time::timeout(Duration::from_millis(500), unread.send(body, false));
            drop(sending.await);
        }
        let mut answer = unread.answer().await.unwrap().into_body();
        let reset = async {
            let (mut read, begin) = (0, Instant::now());
            loop {
                match soon("the end", answer.data()).await {
                    Some(Ok(part)) => read += part.len(),
                    Some(Err(error)) => return (error, read, begin.elapsed()),
                    None => panic!("{path}: the answer ended after {read} bytes"),
                }
            }
        };
        let mut reset = std::pin::pin!(reset);
        let (error, read, after) = loop {
            tokio::select! {
                end = &mut reset => break end,
                () = tokio::time::sleep(Duration::from_millis(100)) => {}
            }
            let (path, headers, body) = if to == http {
                (
                    "/api/v1/evaluate",
                    &[("content-type", "application/json")][..],
                    BODY.into(),
                )
            } else {
                (EVALUATE, headers, message())
            };
            let mut other = connection.begin(to, path, headers).await;
            other.send(body, true).await.unwrap();
            rest(other.answer().await.unwrap()).await.unwrap();
        };
        assert_eq!(error.reason(), Some(h2::Reason::CANCEL), "{path}: {error}");
        assert!(
            read <= 65_535 && after >= Duration::from_millis(500),
            "{path}: {read} bytes, {after:?}"
        );
        // The connection is still there.
        let mut next = connection.begin(to, path, headers).await;
        next.send(Bytes::new(), true).await.unwrap();
        next.answer().await.unwrap();
    }
    let text = server.app.scrape();
    assert!(
        text.contains("llm_policy_connections_closed_total{reason=\"unread\"} 3"),
        "{text}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_that_nobody_reads_share_their_memory() {
    let directory = repeating();
    let mut settings = FOR_LARGE.to_vec();
    settings.extend([
        ("BODY_MEMORY", "32MB"),
        ("IDLE_TIMEOUT", "1h"),
        ("POLICIES", directory.path().to_str().unwrap()),
    ]);
    let server = Running::start(&settings).await;
    let (http, grpc) = (server.addresses.http, server.addresses.grpc);
    let asked = async |from: &str| {
        let mut stream = narrow_socket(from, http).await;
        stream.write_all(&large()).await.unwrap();
        let mut first = [0; 12];
        soon("an answer", stream.read_exact(&mut first)).await.unwrap();
        (String::from_utf8_lossy(&first).into_owned(), stream)
    };
    let (status, held) = asked("127.0.0.2").await;
    assert_eq!(status, "HTTP/1.1 200");
    let (status, mut refused) = asked("127.0.0.2").await;
    assert_eq!(status, "HTTP/1.1 503");
    let mut why = String::new();
    refused.read_to_string(&mut why).await.unwrap();
    assert!(
        why.contains("x-request-id: ")
            && why.contains("retry-after: 1")
            && why.contains("\"code\":\"overloaded\""),
        "{why}"
    );
    let (status, _also_held) = asked("127.0.0.3").await;
    assert_eq!(status, "HTTP/1.1 200");
    // All of it is held now. Over gRPC that is said in the end of the call.
    let mut client = http2::grpc(grpc).await;
    let get = v1::GetPolicyRequest {
        id: "p".to_owned(),
        ..Default::default()
    };
    let status = soon("an answer", client.get_policy(get.clone()))
        .await
        .unwrap_err();
    assert_eq!(status.code(), tonic::Code::Unavailable);
    assert_eq!(status.metadata().get("error-code").unwrap(), "overloaded");
    // Small answers need none of it.
    assert!(decided(http).await.starts_with("HTTP/1.1 200"));
    assert!(grpc_decides(grpc).await);
    let text = server.app.scrape();
    assert!(
        text.contains("llm_policy_shed_total{reason=\"answers\"} 2"),
        "{text}"
    );
    drop(held);
    let begin = Instant::now();
    while client.get_policy(get.clone()).await.is_err() {
        assert!(begin.elapsed() < PATIENCE, "the memory is not given back");
    }
}

/// Nobody is asked who they are for these, so nobody may keep them waiting.
#[tokio::test(flavor = "multi_thread")]
async fn health_waits_for_nobody() {
    let server = Running::start(&[("REQUEST_TIMEOUT", "300ms")]).await;
    let grpc = server.addresses.grpc;
    let headers = [("content-type", "application/grpc"), ("te", "trailers")];
    for method in ["Check", "Watch"] {
        let mut connection = Connection::open(grpc).await;
        let path = format!("/grpc.health.v1.Health/{method}");
        let mut call = connection.begin(grpc, &path, &headers).await;
        call.send(Bytes::from_static(&[0, 0, 0, 0, 9, 10]), false)
            .await
            .unwrap();
        let answer = call.answer().await.unwrap();
        assert_eq!(answer.headers().get("grpc-status").unwrap(), "4", "{method}");
    }
    for (to, path) in [
        (server.addresses.http, "/nothing"),
        (server.addresses.http, "/readyz"),
    ] {
        // Whoever sends a body there is not waited for at all.
        let request = begun(100).replace("/api/v1/evaluate", path);
        let answer = exchange(to, request.as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 40"), "{path}: {answer}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_of_streams_share_the_memory_of_bodies() {
    let server = Running::start(&[("MAX_BODY", "1MB"), ("BODY_MEMORY", "1MB")]).await;
    let grpc = server.addresses.grpc;
    let headers = [("content-type", "application/grpc"), ("te", "trailers")];
    let mut connection = Connection::open(grpc).await;
    let stream = format!("{EVALUATE}Stream");
    // Each is one message of 900 KB that does not end.
    let length = u32::try_from(900 << 10).unwrap().to_be_bytes();
    let mut begin = [&[0][..], &length].concat();
    begin.resize(800 << 10, 0);
    let begin = Bytes::from(begin);
    let mut calls = Vec::new();
    for _ in 0..2 {
        let mut call = connection.begin(grpc, &stream, &headers).await;
        call.send(begin.clone(), false).await.unwrap();
        let answer = call.answer().await.unwrap();
        calls.push((call, rest(answer)));
    }
    // One of them is held, the other ended for want of memory.
    let (_open, second) = calls.pop().unwrap();
    let (_open_too, first) = calls.pop().unwrap();
    let (_, refused) = tokio::select! {
        ended = first => ended,
        ended = second => ended,
    }
    .unwrap();
    assert_eq!(refused.get("grpc-status").unwrap(), "14", "{refused:?}");
    assert_eq!(refused.get("error-code").unwrap(), "overloaded");
    assert_eq!(refused.get("retry-after").unwrap(), "1");
}

#[tokio::test(flavor = "multi_thread")]
async fn large_bodies_share_their_memory() {
    let directory = policies();
    let server = Running::start(&[
        ("POLICIES", directory.path().to_str().unwrap()),
        ("MAX_BODY", "1MB"),
        ("BODY_MEMORY", "1MB"),
        ("BODY_TIMEOUT", "1h"),
    ])
    .await;
    let to = server.addresses.http;
    let large = json!({"context": {"llm": {"prompt": "x".repeat(700 << 10)}}}).to_string();
    let head = begun(large.len());
    let whole = [head.as_bytes(), &large.as_bytes()[1..]].concat();
    let answer = exchange(to, &whole).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{}", &answer[..200]);
    // One that waits for its last byte.
    let mut slow = socket("127.0.0.1", to).await;
    slow.write_all(&whole[..whole.len() - 1]).await.unwrap();
    let begin = Instant::now();
    // Before that it would be refused itself, beside another one.
    while server.app.bodies.held() < 600 << 10 {
        assert!(begin.elapsed() < PATIENCE, "the slow one is not read");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let refused = loop {
        let answer = exchange(to, &whole).await;
        if !answer.starts_with("HTTP/1.1 200") {
            break answer;
        }
        assert!(begin.elapsed() < PATIENCE, "two bodies in the memory for one");
    };
    assert!(
        refused.starts_with("HTTP/1.1 503") && refused.contains("retry-after: 1"),
        "{refused}"
    );
    assert!(refused.contains("memory for large bodies"), "{refused}");
    // Small ones need none of it.
    assert!(decided(to).await.starts_with("HTTP/1.1 200"));
    slow.write_all(&whole[whole.len() - 1..]).await.unwrap();
    assert!(
        closed("the answer to the slow one", slow)
            .await
            .starts_with(b"HTTP/1.1 200")
    );
    // What it held is there again.
    let begin = Instant::now();
    while !exchange(to, &whole).await.starts_with("HTTP/1.1 200") {
        assert!(begin.elapsed() < PATIENCE, "the memory is not given back");
    }
}
