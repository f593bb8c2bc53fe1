//! Every odd answer and every fault of the network, through real sockets: nothing of it makes a verdict, a call ends in time, and
//! what is asked again is only what may be.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::let_underscore_must_use,
    reason = "tests fail with a panic"
)]

mod common;

use common::{Mock, Reply, http};
use policy_integrations::{
    AuditEntry, BreakerSettings, BreakerState, Call, Deadline, Failure, GovernanceClient, ManualClock,
    Repeat, RetrySettings, ScanRequest, Settings, ShieldClient, Transport, Verdict,
};
use rustls_pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};
use tokio_rustls::TlsAcceptor;

const SAFE: &str = r#"{"result":{"isValid":true,"riskScore":0.0,"scannerResults":[
    {"scanner":"secrets","isValid":true,"riskScore":0.0,"riskFactors":[],"entities":[]}]},
    "execution":{"executionId":"exec-1"}}"#;

fn settings(mock: &Mock) -> Settings {
    Settings::new(&mock.url)
        .unwrap()
        .attempt_timeout(Duration::from_secs(5))
        .total_timeout(Duration::from_secs(10))
        .retry(RetrySettings {
            retries: 2,
            base: Duration::from_millis(1),
            cap: Duration::from_millis(5),
        })
}

fn request() -> ScanRequest {
    ScanRequest::prompt("Hello").trace("exec-1", "span-1")
}

async fn scan(settings: Settings) -> Verdict {
    ShieldClient::from_settings(settings)
        .unwrap()
        .scan(&request())
        .await
}

async fn scan_of(reply: Reply) -> (Verdict, usize) {
    let mock = Mock::start(move |_, _| reply.clone()).await;
    let verdict = scan(settings(&mock)).await;
    (verdict, mock.asked().len())
}

fn entry() -> AuditEntry {
    AuditEntry::new("evt-1", "policy.deny", "policy", "limit-cost")
}

#[tokio::test]
async fn the_plain_answer_is_safe() {
    let (verdict, asked) = scan_of(Reply::json(200, "", SAFE)).await;
    assert!(verdict.is_safe(), "{verdict:?}");
    assert_eq!(asked, 1);
}

#[tokio::test]
async fn deadlines_may_be_as_far_away_as_can_be_said() {
    let mock = Mock::start(|_, _| Reply::json(200, "", SAFE)).await;
    let settings = settings(&mock)
        .attempt_timeout(Duration::MAX)
        .total_timeout(Duration::MAX);
    assert!(scan(settings).await.is_safe());
}

#[tokio::test]
async fn statuses_other_than_200_are_no_verdict_even_with_a_safe_body() {
    for (status, times) in [
        (201, 1),
        (202, 1),
        (203, 1),
        (206, 1),
        (400, 1),
        (401, 1),
        (404, 1),
        (422, 1),
        (429, 3),
        (500, 1),
        (501, 1),
        (502, 3),
        (503, 3),
        (504, 3),
    ] {
        let (verdict, asked) = scan_of(Reply::json(status, "", SAFE)).await;
        let expected = Failure::Status {
            status,
            retry_after: None,
        };
        assert_eq!(verdict, Verdict::Unknown(expected));
        assert_eq!(asked, times, "{status}");
    }
    let (verdict, _) = scan_of(Reply::Bytes(
        b"HTTP/1.1 204 X\r\nconnection: close\r\n\r\n".to_vec(),
    ))
    .await;
    assert!(matches!(
        verdict,
        Verdict::Unknown(Failure::Status { status: 204, .. })
    ));
}

#[tokio::test]
async fn bodies_that_do_not_say_so_are_no_verdict() {
    let changed = |from: &str, to: &str| {
        assert!(SAFE.contains(from), "{from}");
        SAFE.replacen(from, to, 1)
    };
    let first_valid = r#""isValid":true,"riskScore":0.0,"scannerResults""#;
    let with = |text: &str| changed(first_valid, &format!(r#"{text},"scannerResults""#));
    let bodies = [
        String::new(),
        "{}".to_owned(),
        "[]".to_owned(),
        "null".to_owned(),
        "true".to_owned(),
        "OK".to_owned(),
        "<html>all fine</html>".to_owned(),
        "\u{feff}".to_owned() + SAFE,
        SAFE.to_owned() + SAFE,
        SAFE[..SAFE.len() - 1].to_owned(),
        // The contract of the earlier implementation.
        r#"{"safe":true,"threats":[],"score":1.0}"#.to_owned(),
        // The handler's comment shows it without its envelope.
        r#"{"isValid":true,"riskScore":0.0,"scannerResults":[]}"#.to_owned(),
        r#"{"result":{"isValid":true},"execution":{"executionId":"exec-1"}}"#.to_owned(),
        with(r#""riskScore":0.0"#),
        with(r#""isValid":null,"riskScore":0.0"#),
        with(r#""isValid":1,"riskScore":0.0"#),
        with(r#""isValid":"true","riskScore":0.0"#),
        with(r#""is_valid":true,"riskScore":0.0"#),
        with(r#""isValid":true"#),
        with(r#""isValid":true,"riskScore":null"#),
        with(r#""isValid":true,"riskScore":"0""#),
        with(r#""isValid":true,"riskScore":-0.1"#),
        with(r#""isValid":true,"riskScore":1.5"#),
        with(r#""isValid":true,"riskScore":NaN"#),
        with(r#""isValid":true,"riskScore":1e999"#),
        with(r#""isValid":false,"isValid":true,"riskScore":0.0"#),
        with(r#""isValid":true,"isValid":false,"riskScore":0.0"#),
        changed(r#""scanner":"secrets","isValid":true"#, r#""scanner":"secrets","isValid":false"#),
        changed(r#""scanner":"secrets","isValid":true"#, r#""scanner":"secrets""#),
        changed("exec-1", "exec-2"),
        changed(r#","#, ""),
        // Lists of values in place of objects.
        changed(r#"{"executionId":"exec-1"}"#, r#"["exec-1"]"#),
        r#"{"result":[true,0.0,[{"scanner":"secrets","isValid":true,"riskScore":0.0,"riskFactors":[],"entities":[]}]],
            "execution":{"executionId":"exec-1"}}"#
            .to_owned(),
        r#"{"result":{"isValid":true,"riskScore":0.0,"scannerResults":[["secrets",true,0.0,[],[]]]},
            "execution":{"executionId":"exec-1"}}"#
            .to_owned(),
        r#"[{"isValid":true,"riskScore":0.0,"scannerResults":[
            {"scanner":"secrets","isValid":true,"riskScore":0.0,"riskFactors":[],"entities":[]}]},
            {"executionId":"exec-1"}]"#
            .to_owned(),
        changed(r#""entities":[]"#, r#""entities":[["EMAIL",0,1,null]]"#),
        changed(r#""riskFactors":[]"#, r#""riskFactors":[["x","High",0.5]]"#),
        r#"{"result":{"isValid":true,"riskScore":0.0,"scannerResults":[]},"execution":{"executionId":"exec-1"}}"#
            .to_owned(),
    ];
    for body in bodies {
        let (verdict, asked) = scan_of(Reply::json(200, "", &body)).await;
        assert!(
            matches!(verdict, Verdict::Unknown(Failure::OddAnswer(_))),
            "{body}: {verdict:?}"
        );
        assert_eq!(asked, 1, "asking again does not help");
    }
}

#[tokio::test]
async fn a_body_that_is_not_utf8_somewhere_is_no_verdict() {
    let mut body = SAFE
        .replacen(r#""isValid""#, r#""sanitizedText":"x","isValid""#, 1)
        .into_bytes();
    let at = body.windows(3).position(|three| three == b"\"x\"").unwrap();
    body[at + 1] = 0x80;
    let (verdict, _) = scan_of(Reply::json(200, "", body)).await;
    assert!(
        matches!(verdict, Verdict::Unknown(Failure::OddAnswer(_))),
        "{verdict:?}"
    );
}

#[tokio::test]
async fn what_a_server_sent_is_not_repeated_in_failures() {
    let body = r#"{"result":{"isValid":"sk-a-secret"},"execution":{"executionId":"exec-1"}}"#;
    let (verdict, _) = scan_of(Reply::json(200, "", body)).await;
    assert!(!format!("{verdict:?}").contains("sk-a-secret"));
}

#[tokio::test]
async fn what_is_no_http_or_ends_early_is_no_verdict() {
    let whole = http(200, "", SAFE.as_bytes());
    let half = whole[..whole.len() - 20].to_vec();
    let (verdict, asked) = scan_of(Reply::Bytes(half)).await;
    assert!(
        matches!(verdict, Verdict::Unknown(Failure::Broken(_))),
        "{verdict:?}"
    );
    assert_eq!(asked, 1, "an answer had begun");

    let chunked = format!(
        "HTTP/1.1 200 X\r\ntransfer-encoding: chunked\r\n\r\n{:x}\r\n{SAFE}\r\n",
        SAFE.len()
    );
    let (verdict, _) = scan_of(Reply::Bytes(chunked.into_bytes())).await;
    assert!(
        matches!(verdict, Verdict::Unknown(Failure::Broken(_))),
        "the last chunk is missing: {verdict:?}"
    );

    for garbage in [
        b"\x16\x03\x01\x00\xff garbage".as_slice(),
        b"SSH-2.0-x\r\n\r\n",
        b"HTTP/9.9 200 X\r\n\r\n",
    ] {
        let (verdict, asked) = scan_of(Reply::Bytes(garbage.to_vec())).await;
        assert!(
            matches!(verdict, Verdict::Unknown(Failure::OddAnswer(_))),
            "{verdict:?}"
        );
        assert_eq!(asked, 1);
    }

    let (verdict, asked) = scan_of(Reply::Bytes(Vec::new())).await;
    assert!(
        matches!(verdict, Verdict::Unknown(Failure::Broken(_))),
        "{verdict:?}"
    );
    assert_eq!(asked, 3, "no answer had begun, and scanning may be repeated");

    let encoded = Reply::json(200, "content-encoding: gzip\r\n", SAFE);
    let (verdict, _) = scan_of(encoded).await;
    assert!(
        matches!(verdict, Verdict::Unknown(Failure::OddAnswer(_))),
        "{verdict:?}"
    );
}

#[tokio::test]
async fn reset_connections_are_tried_again_where_that_does_no_harm() {
    let (verdict, asked) = scan_of(Reply::Reset).await;
    assert!(
        matches!(verdict, Verdict::Unknown(Failure::Broken(_))),
        "{verdict:?}"
    );
    assert_eq!(asked, 3);

    let mock = Mock::start(|n, _| {
        if n < 2 {
            Reply::Reset
        } else {
            Reply::json(200, "", SAFE)
        }
    })
    .await;
    assert!(scan(settings(&mock)).await.is_safe());

    let mock = Mock::start(|_, _| Reply::Reset).await;
    let transport = Transport::new(settings(&mock)).unwrap();
    let call = Call::post("/x", "application/json", "{}".into());
    assert!(matches!(transport.call(&call).await, Err(Failure::Broken(_))));
    assert_eq!(mock.asked().len(), 1, "it may have had an effect");
    let call = call.repeat(Repeat::Key("key-1".to_owned()));
    assert!(transport.call(&call).await.is_err());
    assert_eq!(mock.asked().len(), 4);
}

#[tokio::test]
async fn refused_connections_are_unknown() {
    let settings = Settings::new("http://127.0.0.1:1").unwrap();
    let verdict = scan(settings.clone()).await;
    assert!(
        matches!(verdict, Verdict::Unknown(Failure::Connect(_))),
        "{verdict:?}"
    );
    let governance = GovernanceClient::from_settings(settings).unwrap();
    assert!(matches!(
        governance.record(&entry()).await,
        Err(Failure::Connect(_))
    ));
}

#[tokio::test]
async fn slow_answers_end_in_time_and_are_not_asked_for_again() {
    let long = Duration::from_secs(30);
    for reply in [
        Reply::Slow(long, http(200, "", SAFE.as_bytes())),
        Reply::Drip(Duration::from_millis(20), http(200, "", SAFE.as_bytes())),
    ] {
        for (attempt, total, which) in [(500, 20_000, Deadline::Attempt), (20_000, 500, Deadline::Total)] {
            let reply = reply.clone();
            let mock = Mock::start(move |_, _| reply.clone()).await;
            let settings = settings(&mock)
                .attempt_timeout(Duration::from_millis(attempt))
                .total_timeout(Duration::from_millis(total));
            let begin = Instant::now();
            assert_eq!(scan(settings).await, Verdict::Unknown(Failure::Deadline(which)));
            assert!(begin.elapsed() < Duration::from_secs(5));
            assert_eq!(mock.asked().len(), 1);
        }
    }
}

#[tokio::test]
async fn retry_after_is_heeded_within_the_time_of_the_call() {
    let mock = Mock::start(|n, _| match n {
        0 => Reply::json(429, "retry-after: 1\r\n", ""),
        _ => Reply::json(200, "", SAFE),
    })
    .await;
    let begin = Instant::now();
    assert!(scan(settings(&mock)).await.is_safe());
    assert!(begin.elapsed() >= Duration::from_secs(1));
    assert_eq!(mock.asked().len(), 2);

    // Longer than the call lasts: the caller hears at once, and when to come back.
    let mock = Mock::start(|_, _| Reply::json(503, "retry-after: 60\r\n", "")).await;
    let begin = Instant::now();
    let expected = Failure::Status {
        status: 503,
        retry_after: Some(Duration::from_secs(60)),
    };
    assert_eq!(scan(settings(&mock)).await, Verdict::Unknown(expected));
    assert!(begin.elapsed() < Duration::from_secs(5));
    assert_eq!(mock.asked().len(), 1);

    // A call that may not be repeated is not, whatever the server offers.
    let mock = Mock::start(|_, _| Reply::json(429, "retry-after: 0\r\n", "")).await;
    let transport = Transport::new(settings(&mock)).unwrap();
    let call = Call::post("/x", "application/json", "{}".into());
    assert!(matches!(
        transport.call(&call).await,
        Err(Failure::Status { status: 429, .. })
    ));
    assert_eq!(mock.asked().len(), 1);
}

#[tokio::test]
async fn repeated_calls_have_the_same_key() {
    let mock = Mock::start(|_, _| Reply::json(503, "", "")).await;
    let governance = GovernanceClient::from_settings(settings(&mock)).unwrap();
    assert!(governance.record(&entry()).await.is_err());
    let asked = mock.asked();
    assert_eq!(asked.len(), 3);
    assert!(
        asked
            .iter()
            .all(|one| one.header("idempotency-key") == Some("evt-1"))
    );
    assert!(
        asked
            .iter()
            .all(|one| one.json()["details"]["event_id"] == "evt-1")
    );
}

#[tokio::test]
async fn long_answers_are_not_read() {
    let long = format!("{SAFE}{}", " ".repeat(2000));
    let chunked = format!(
        "HTTP/1.1 200 X\r\ntransfer-encoding: chunked\r\n\r\n{:x}\r\n{long}\r\n0\r\n\r\n",
        long.len()
    );
    for bytes in [http(200, "", long.as_bytes()), chunked.into_bytes()] {
        let mock = Mock::start(move |_, _| Reply::Bytes(bytes.clone())).await;
        let verdict = scan(settings(&mock).max_answer(1000)).await;
        assert_eq!(verdict, Verdict::Unknown(Failure::TooLarge { limit: 1000 }));
        assert!(scan(settings(&mock).max_answer(long.len())).await.is_safe());
    }
    // An endless answer ends as well, long before its deadline.
    let endless = format!("HTTP/1.1 200 X\r\n\r\n{}", " ".repeat(4 << 20));
    let (verdict, _) = scan_of(Reply::Bytes(endless.into_bytes())).await;
    assert!(
        matches!(verdict, Verdict::Unknown(Failure::TooLarge { .. })),
        "{verdict:?}"
    );
    let head = format!("x: {}\r\n", "y".repeat(400_000));
    let (verdict, _) = scan_of(Reply::json(200, &head, SAFE)).await;
    assert!(matches!(verdict, Verdict::Unknown(_)), "{verdict:?}");
}

#[tokio::test]
async fn redirects_to_other_servers_are_not_followed_and_see_no_credentials() {
    let other = Mock::start(|_, _| Reply::json(200, "", SAFE)).await;
    for status in [301, 302, 303, 307, 308] {
        let location = format!("location: {}/v1/scan/prompt\r\n", other.url);
        let mock = Mock::start(move |_, _| Reply::json(status, &location, SAFE)).await;
        let settings = settings(&mock).bearer("a-secret-token".to_owned().into());
        assert_eq!(
            scan(settings).await,
            Verdict::Unknown(Failure::Redirect),
            "{status}"
        );
    }
    assert!(other.asked().is_empty());
}

#[tokio::test]
async fn redirects_within_the_server_keep_method_and_body_or_are_not_followed() {
    let mock = Mock::start(|_, asked| match asked.line.as_str() {
        "POST /v1/scan/prompt HTTP/1.1" => Reply::json(307, "location: /v2/scan\r\n", ""),
        _ => Reply::json(200, "", SAFE),
    })
    .await;
    assert!(scan(settings(&mock)).await.is_safe());
    let asked = mock.asked();
    assert_eq!(asked[1].line, "POST /v2/scan HTTP/1.1");
    assert_eq!(asked[1].body, asked[0].body);

    let mock = Mock::start(|_, asked| match asked.line.as_str() {
        "POST /v1/scan/prompt HTTP/1.1" => Reply::json(302, "location: /login\r\n", ""),
        _ => Reply::json(200, "", SAFE),
    })
    .await;
    assert_eq!(
        scan(settings(&mock)).await,
        Verdict::Unknown(Failure::Redirect),
        "302 makes a POST a GET"
    );

    let mock = Mock::start(|_, _| Reply::json(307, "location: /v1/scan/prompt\r\n", "")).await;
    assert_eq!(
        scan(settings(&mock)).await,
        Verdict::Unknown(Failure::Redirect),
        "in a circle"
    );
    assert_eq!(mock.asked().len(), 4);
}

/// A certificate authority, and a server for `localhost` with a certificate of it.
fn tls(names: &[&str]) -> (String, TlsAcceptor) {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let made = rcgen::generate_simple_self_signed(names).unwrap();
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    (made.cert.pem(), TlsAcceptor::from(Arc::new(config)))
}

#[tokio::test]
async fn tls_needs_a_known_authority_and_the_right_name() {
    let (ca, acceptor) = tls(&["localhost"]);
    let mock = Mock::start_tls(acceptor, |_, _| Reply::json(200, "", SAFE)).await;
    let trusting = settings(&mock).ca_pem(ca.as_bytes()).unwrap();
    let trusting = trusting.bearer("a-secret-token".to_owned().into());
    let verdict = scan(trusting).await;
    assert!(verdict.is_safe(), "{verdict:?}");
    assert_eq!(
        mock.asked()[0].header("authorization"),
        Some("Bearer a-secret-token")
    );

    let verdict = scan(settings(&mock)).await;
    assert!(
        matches!(verdict, Verdict::Unknown(Failure::Tls(_))),
        "unknown authority: {verdict:?}"
    );
    let (another, _) = tls(&["localhost"]);
    let verdict = scan(settings(&mock).ca_pem(another.as_bytes()).unwrap()).await;
    assert!(
        matches!(verdict, Verdict::Unknown(Failure::Tls(_))),
        "another authority: {verdict:?}"
    );
    assert_eq!(mock.asked().len(), 1, "nobody was told anything");

    let (ca, acceptor) = tls(&["shield.example.org"]);
    let mock = Mock::start_tls(acceptor, |_, _| Reply::json(200, "", SAFE)).await;
    let verdict = scan(settings(&mock).ca_pem(ca.as_bytes()).unwrap()).await;
    assert!(
        matches!(verdict, Verdict::Unknown(Failure::Tls(_))),
        "another name: {verdict:?}"
    );

    let plain = Mock::start(|_, _| Reply::json(200, "", SAFE)).await;
    let url = plain.url.replace("http://", "https://");
    let verdict = scan(Settings::new(&url).unwrap()).await;
    assert!(
        matches!(verdict, Verdict::Unknown(_)),
        "no TLS there: {verdict:?}"
    );
    assert!(plain.asked().is_empty());
}

#[tokio::test]
async fn the_circuit_breaker_leaves_a_failing_service_alone_and_tries_it_again() {
    let clock = Arc::new(ManualClock::new(SystemTime::now()));
    let mock = Mock::start(|n, _| {
        if n < 3 {
            Reply::json(500, "", "")
        } else {
            Reply::json(200, "", SAFE)
        }
    })
    .await;
    let settings = settings(&mock).clock(clock.clone()).breaker(BreakerSettings {
        failures: 3,
        open_for: Duration::from_secs(10),
        probes: 1,
    });
    let shield = ShieldClient::from_settings(settings).unwrap();
    for _ in 0..3 {
        let verdict = shield.scan(&request()).await;
        assert!(matches!(
            verdict,
            Verdict::Unknown(Failure::Status { status: 500, .. })
        ));
    }
    assert_eq!(shield.transport().breaker_state(), Some(BreakerState::Open));
    let expected = Failure::CircuitOpen {
        retry_in: Duration::from_secs(10),
    };
    assert_eq!(shield.scan(&request()).await, Verdict::Unknown(expected));
    assert_eq!(mock.asked().len(), 3, "nobody was asked");
    clock.advance(Duration::from_secs(10));
    assert!(shield.scan(&request()).await.is_safe());
    assert_eq!(shield.transport().breaker_state(), Some(BreakerState::Closed));
}

#[tokio::test]
async fn a_circuit_that_opens_between_attempts_ends_the_call_with_what_they_met() {
    let mock = Mock::start(|_, _| Reply::json(503, "", "")).await;
    let settings = settings(&mock).breaker(BreakerSettings {
        failures: 2,
        ..BreakerSettings::default()
    });
    let expected = Failure::Status {
        status: 503,
        retry_after: None,
    };
    assert_eq!(scan(settings).await, Verdict::Unknown(expected));
    assert_eq!(mock.asked().len(), 2);
}

#[tokio::test]
async fn paths_do_not_become_hosts() {
    let mock = Mock::start(|_, _| Reply::json(200, "", "{}")).await;
    let transport = Transport::new(settings(&mock)).unwrap();
    for path in ["x", ".example.org/x", "@example.org/x", "/a b"] {
        let result = transport.call(&Call::get(path)).await;
        assert!(
            matches!(result, Err(Failure::InvalidRequest(_))),
            "{path}: {result:?}"
        );
    }
    assert!(mock.asked().is_empty());
    assert!(transport.call(&Call::get("/x?y=z")).await.is_ok());
    assert_eq!(mock.asked()[0].line, "GET /x?y=z HTTP/1.1");
}

#[tokio::test]
async fn odd_answers_and_refusals_do_not_open_the_circuit() {
    for (status, body) in [(200, "{}"), (202, "{}"), (401, "{}"), (422, "{}")] {
        let mock = Mock::start(move |_, _| Reply::json(status, "", body)).await;
        let shield = ShieldClient::from_settings(settings(&mock)).unwrap();
        for _ in 0..10 {
            assert!(!shield.scan(&request()).await.is_safe());
        }
        assert_eq!(
            shield.transport().breaker_state(),
            Some(BreakerState::Closed),
            "{status}"
        );
    }
}

#[tokio::test]
async fn a_call_that_is_given_up_does_not_block_the_circuit() {
    let clock = Arc::new(ManualClock::new(SystemTime::now()));
    let mock = Mock::start(|n, _| match n {
        0 => Reply::json(500, "", ""),
        1 => Reply::Slow(Duration::from_secs(30), Vec::new()),
        _ => Reply::json(200, "", SAFE),
    })
    .await;
    let settings = settings(&mock).clock(clock.clone()).breaker(BreakerSettings {
        failures: 1,
        ..BreakerSettings::default()
    });
    let shield = ShieldClient::from_settings(settings).unwrap();
    assert!(!shield.scan(&request()).await.is_safe());
    clock.advance(Duration::from_secs(10));
    let (probe, arrived) = (request(), async {
        while mock.asked().len() < 2 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    });
    tokio::select! {
        verdict = shield.scan(&probe) => panic!("the service says nothing: {verdict:?}"),
        () = arrived => {} // The caller goes away.
    }
    assert!(
        shield.scan(&request()).await.is_safe(),
        "the next one is the probe"
    );
}

/// Answers to one request on each connection without saying that it closes it.
#[tokio::test]
async fn a_kept_connection_that_the_server_closed_does_no_harm_to_a_call_that_is_made_once() {
    let bytes = b"HTTP/1.1 200 X\r\ncontent-length: 2\r\n\r\n{}".to_vec();
    let mock = Mock::start(move |_, _| Reply::Bytes(bytes.clone())).await;
    let transport = Transport::new(settings(&mock)).unwrap();
    let call = Call::post("/x", "application/json", "{}".into());
    for n in 1..=20 {
        let answer = transport.call(&call).await;
        assert!(answer.is_ok(), "{answer:?}");
        assert_eq!(mock.asked().len(), n, "once each");
    }
}

#[tokio::test]
async fn connections_are_used_again() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    // One connection only, on which it answers twice.
    let server = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let head = format!("HTTP/1.1 200 X\r\ncontent-length: {}\r\n\r\n", SAFE.len());
        for _ in 0..2 {
            let mut bytes = Vec::new();
            while !bytes.ends_with(b"}") {
                assert!(stream.read_buf(&mut bytes).await.unwrap() > 0);
            }
            stream.write_all(head.as_bytes()).await.unwrap();
            stream.write_all(SAFE.as_bytes()).await.unwrap();
        }
    });
    let shield = ShieldClient::new(&url).unwrap();
    assert!(shield.scan(&request()).await.is_safe());
    assert!(shield.scan(&request()).await.is_safe());
    server.await.unwrap();
}
