//! Webhooks: `policyd` as it is shipped, and a receiver that is away, slow, odd or full of refusals.
//!
//! What has to hold: every decision arrives at least once, in the order in which it was made, signed; what comes again has the
//! ids that it had; nothing is acknowledged but by 2xx.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

#[path = "support/mounted.rs"]
mod mounted;
#[path = "support/process.rs"]
mod process;
#[path = "support/receiver.rs"]
mod receiver;
#[path = "support/tls.rs"]
mod tls;

use mounted::Mounted;
use process::{Policyd, finished, until};
use receiver::{Mode, OTHER, Receiver, SECRET, answer};
use serde_json::{Value, json};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tempfile::TempDir;
use tls::{Authority, Files};

/// What a server has on disk: policies, and what waits.
struct Place(TempDir);

impl Place {
    fn new(reason: &str) -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        std::fs::create_dir(place.0.path().join("policies")).unwrap();
        let policy = json!({
            "metadata": {"id": "limit", "name": "Limit"},
            "rules": [{
                "id": "weight",
                "condition": {"operator": "gt", "field": "metadata.weight", "value": 10},
                "action": {"decision": "deny", "reason": reason},
            }],
        });
        std::fs::write(place.0.path().join("policies/limit.json"), policy.to_string()).unwrap();
        place
    }

    fn path(&self, name: &str) -> String {
        self.0.path().join(name).to_str().unwrap().to_owned()
    }

    fn start(&self, log: &str, settings: &[(&str, &str)]) -> Policyd {
        let (data, policies) = (self.path("data"), self.path("policies"));
        let mut all = vec![
            ("DATA_DIR", data.as_str()),
            ("POLICIES", policies.as_str()),
            ("DECISION_LOG", log),
        ];
        if log.contains("webhook:") {
            all.extend([("WEBHOOK_BACKOFF", "50ms"), ("WEBHOOK_TIMEOUT", "300ms")]);
            if !settings.iter().any(|(name, _)| *name == "WEBHOOK_SECRET_FILE") {
                all.push(("WEBHOOK_SECRET", SECRET));
            }
        }
        all.extend(settings);
        let policyd = Policyd::start(&all);
        until("policies decide", || {
            policyd.client.ready()["status"] != "unready"
        });
        policyd
    }

    /// Files of events that wait.
    fn waiting(&self) -> usize {
        let files = std::fs::read_dir(self.0.path().join("data/webhook-spool")).unwrap();
        files
            .map(|file| file.unwrap().file_name())
            .filter(|name| name != "lock")
            .count()
    }
}

fn decide(policyd: &Policyd, ids: &mut Vec<String>, count: usize) {
    for _ in 0..count {
        let id = format!("r-{}", ids.len());
        let body = json!({"requestId": id, "context": {"metadata": {"weight": 11}}});
        let answer = policyd.client.json("POST", "/api/v1/evaluate", &body).expect(200);
        assert_eq!(answer["decision"]["decision"], "deny");
        ids.push(id);
    }
}

const QUEUE: &str = "llm_policy_decision_log_queue";
const WRITTEN: &str = "llm_policy_decision_log_written_total{sink=\"webhook\"}";
const ERRORS: &str = "llm_policy_decision_log_errors_total{sink=\"webhook\"}";

/// Waits until all that was decided is on disk.
fn all_kept(policyd: &Policyd) {
    until("decisions are on disk", || policyd.metric(QUEUE) == 0);
}

/// Waits until so many more attempts failed.
fn fails(policyd: &Policyd, more: u64) {
    let before = policyd.metric(ERRORS);
    until("attempts fail", || policyd.metric(ERRORS) >= before + more);
}

fn reasons(policyd: &Policyd) -> String {
    policyd.admin.ready()["reasons"].to_string()
}

/// Away in every way, for as many attempts as the usual pauses make in ten minutes, and over a kill in between.
#[test]
fn a_receiver_that_was_away_gets_every_event_in_order() {
    let (place, mut receiver) = (Place::new("too heavy"), Receiver::start());
    let file = place.path("decisions.jsonl");
    let log = format!("webhook:{},file:{file}", receiver.url());
    let settings = [("WEBHOOK_BATCH", "7")];
    let policyd = place.start(&log, &settings);
    let mut ids = Vec::new();
    decide(&policyd, &mut ids, 20);
    until("all arrive", || receiver.ids().len() == 20);
    assert_eq!(policyd.metric(WRITTEN), 20);

    receiver.refuse();
    decide(&policyd, &mut ids, 20);
    fails(&policyd, 8);
    until("readiness says so", || {
        reasons(&policyd).contains("webhook takes no decisions: cannot connect")
    });
    assert!(policyd.client.is("degraded"), "and decisions go on");
    receiver.listen_again();
    receiver.set(Mode::status(503, ""));
    decide(&policyd, &mut ids, 20);
    fails(&policyd, 8);
    receiver.set(Mode::Slow(Duration::from_secs(2), answer(204, "")));
    decide(&policyd, &mut ids, 20);
    fails(&policyd, 3);
    assert_eq!(policyd.metric(WRITTEN), 20, "none of this says that it has them");
    all_kept(&policyd);
    assert!(policyd.metric("llm_policy_webhook_spool_bytes") > 0);
    policyd.kill();

    receiver.set(Mode::Close);
    let mut policyd = place.start(&log, &settings);
    assert!(policyd.logged().contains("events of an earlier run wait"));
    decide(&policyd, &mut ids, 20);
    fails(&policyd, 3);
    receiver.take();
    until("all arrive", || receiver.ids().len() == ids.len());
    assert_eq!(receiver.ids(), ids, "in the order in which they were made");
    until("nothing waits", || {
        policyd.metric("llm_policy_webhook_spool_bytes") == 0
    });
    until("readiness is good again", || {
        !reasons(&policyd).contains("webhook")
    });
    let event = &receiver.events()[99];
    assert_eq!(event["type"], "dev.llm-policy-engine.decision.v1");
    assert_eq!(event["source"], "/policyd");
    assert_eq!(event["data"]["reason"], "too heavy");
    assert!(
        receiver
            .requests()
            .iter()
            .all(|request| request.events().len() <= 7)
    );

    // The id of an event is that of the logged decision.
    let logged = std::fs::read_to_string(&file).unwrap();
    let logged: Vec<String> = logged
        .lines()
        .map(|line| {
            serde_json::from_str::<Value>(line).unwrap()["id"]
                .as_str()
                .unwrap()
                .to_owned()
        })
        .collect();
    let sent: Vec<String> = receiver
        .events()
        .iter()
        .map(|event| event["id"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(sent, logged);

    // A stop sends what waits, and what the receiver does not take stays where it is, and is said where nobody sends it.
    decide(&policyd, &mut ids, 30);
    policyd.terminate();
    assert!(policyd.ended().0.success());
    assert_eq!(receiver.ids(), ids);
    assert_eq!(place.waiting(), 0);
    receiver.set(Mode::status(503, ""));
    let mut policyd = place.start(&log, &settings);
    decide(&policyd, &mut ids, 30);
    policyd.terminate();
    let (status, logged) = policyd.ended();
    assert!(
        status.success() && logged.contains("events are kept on disk"),
        "{logged}"
    );
    assert!(place.waiting() > 0);
    receiver.take();
    let other = place.start("off", &[]);
    assert!(
        other
            .logged()
            .contains("events wait on disk for a receiver of webhooks")
    );
    drop(other);
    let policyd = place.start(&log, &settings);
    until("all arrive", || receiver.ids().len() == ids.len());
    assert_eq!(receiver.ids(), ids);

    // Each server needs its own place.
    let (data, policies) = (place.path("data"), place.path("policies"));
    let second = [
        ("DATA_DIR", data.as_str()),
        ("POLICIES", policies.as_str()),
        ("DECISION_LOG", log.as_str()),
        ("WEBHOOK_SECRET", SECRET),
    ];
    let (code, _, logged) = finished(&second, &[], place.0.path());
    assert!(
        code != 0 && logged.contains("another policyd uses it"),
        "{logged}"
    );
    drop(policyd);
}

#[test]
fn only_2xx_acknowledges() {
    let (place, receiver) = (Place::new("too heavy"), Receiver::start());
    let log = format!("webhook:{}", receiver.url());
    let policyd = place.start(&log, &[]);
    let mut ids = Vec::new();
    let long = [
        format!(
            "HTTP/1.1 200 X\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
            3 << 20
        )
        .into_bytes(),
        vec![b'x'; 3 << 20],
    ]
    .concat();
    let half = b"HTTP/1.1 200 X\r\nconnection: close\r\ncontent-length: 100\r\n\r\nhalf".to_vec();
    let elsewhere = "location: http://127.0.0.1:1/\r\n";
    for (name, mode, acknowledged) in [
        ("202", Mode::status(202, ""), true),
        ("an answer that is long", Mode::Bytes(long), true),
        (
            "an encoded answer",
            Mode::status(200, "content-encoding: gzip\r\n"),
            true,
        ),
        ("301", Mode::status(301, elsewhere), false),
        ("307 elsewhere", Mode::status(307, elsewhere), false),
        ("404", Mode::status(404, ""), false),
        ("410", Mode::status(410, ""), false),
        ("413", Mode::status(413, ""), false),
        ("422", Mode::status(422, ""), false),
        ("429", Mode::status(429, "retry-after: 1\r\n"), false),
        ("500", Mode::status(500, ""), false),
        (
            "too slow",
            Mode::Slow(Duration::from_secs(1), answer(204, "")),
            false,
        ),
        ("half an answer", Mode::Bytes(half), false),
        (
            "garbage",
            Mode::Bytes(b"\x00\xff no HTTP\r\n\r\n".to_vec()),
            false,
        ),
        ("nothing", Mode::Close, false),
    ] {
        let (before, written) = (receiver.requests().len(), policyd.metric(WRITTEN));
        receiver.set(mode);
        decide(&policyd, &mut ids, 1);
        if acknowledged {
            until(name, || policyd.metric(WRITTEN) == written + 1);
            std::thread::sleep(Duration::from_millis(150));
            assert_eq!(receiver.requests().len(), before + 1, "{name} is sent once");
        } else {
            until(name, || receiver.requests().len() >= before + 2);
            assert_eq!(policyd.metric(WRITTEN), written, "{name}");
            receiver.take();
            until(name, || policyd.metric(WRITTEN) == written + 1);
        }
        let attempts = receiver.requests().split_off(before);
        let first = attempts[0].clone();
        assert_eq!(
            first.events()[0]["data"]["requestId"],
            *ids.last().unwrap(),
            "{name}"
        );
        for again in &attempts {
            assert_eq!(again.header("webhook-id"), first.header("webhook-id"), "{name}");
            assert_eq!(again.body, first.body, "{name}");
        }
        if name == "429" {
            assert!(
                attempts[1].at - attempts[0].at >= Duration::from_millis(990),
                "Retry-After is heeded"
            );
        }
    }
    let answers =
        |class: &str| policyd.metric(&format!("llm_policy_webhook_answers_total{{status=\"{class}\"}}"));
    assert_eq!(answers("2xx"), ids.len() as u64);
    for class in ["3xx", "4xx", "5xx", "none"] {
        assert!(answers(class) > 0, "{class}");
    }
}

#[test]
fn what_is_refused_for_its_size_is_halved_and_a_refused_event_is_named() {
    let (place, receiver) = (Place::new("too heavy"), Receiver::start());
    let log = format!("webhook:{}", receiver.url());
    let policyd = place.start(&log, &[]);
    let mut ids = Vec::new();
    let most = |most: usize| {
        Mode::Ask(Arc::new(
            move |request| if request.events().len() > most { 413 } else { 204 },
        ))
    };
    // Something has to wait, so that batches become large.
    receiver.set(Mode::status(503, ""));
    decide(&policyd, &mut ids, 40);
    all_kept(&policyd);
    fails(&policyd, 2);
    receiver.set(most(3));
    until("all arrive", || receiver.ids().len() == ids.len());
    assert_eq!(receiver.ids(), ids);
    let taken = |receiver: &Receiver| {
        receiver
            .requests()
            .into_iter()
            .filter(|request| request.taken)
            .collect::<Vec<_>>()
    };
    assert!(taken(&receiver).iter().all(|request| request.events().len() <= 3));
    assert!(
        receiver
            .requests()
            .iter()
            .any(|request| request.events().len() > 3)
    );

    // One event is refused for what it is, for ever: nothing behind it goes, nothing is lost, and it is named.
    receiver.set(Mode::status(503, ""));
    let poison = format!("r-{}", ids.len() + 9);
    decide(&policyd, &mut ids, 20);
    all_kept(&policyd);
    let refuse = poison.clone();
    receiver.set(Mode::Ask(Arc::new(move |request| {
        let refused = request
            .events()
            .iter()
            .any(|event| event["data"]["requestId"] == *refuse);
        if refused { 422 } else { 204 }
    })));
    until("what is before it arrives", || receiver.ids().len() == 49);
    fails(&policyd, 5);
    assert_eq!(receiver.ids().len(), 49);
    let waits = receiver
        .requests()
        .into_iter()
        .rev()
        .find(|request| !request.taken)
        .unwrap();
    assert_eq!(waits.events().len(), 1);
    assert_eq!(waits.events()[0]["data"]["requestId"], *poison);
    let id = waits.events()[0]["id"].as_str().unwrap().to_owned();
    until("readiness names it", || {
        reasons(&policyd).contains(&format!(
            "status 422, which is no usable answer of this route; decision {id} waits"
        ))
    });
    receiver.take();
    until("all arrive", || receiver.ids().len() == ids.len());
    assert_eq!(receiver.ids(), ids);
}

#[test]
fn a_full_spool_fills_the_queue_and_what_is_dropped_is_counted() {
    // Of the 1 MB, each event takes 4 KB.
    let (place, receiver) = (Place::new(&"heavy ".repeat(700)), Receiver::start());
    let log = format!("webhook:{}", receiver.url());
    let settings = [
        ("WEBHOOK_SPOOL", "1MB"),
        ("DECISION_LOG_QUEUE", "40"),
        ("DECISION_LOG_OVERFLOW", "drop"),
    ];
    receiver.set(Mode::status(503, ""));
    let policyd = place.start(&log, &settings);
    let dropped = "llm_policy_decision_log_dropped_total{reason=\"overflow\"}";
    let mut ids = Vec::new();
    until("the spool is full, and readiness says so", || {
        decide(&policyd, &mut ids, 10);
        // So that they are gathered before the next ones.
        std::thread::sleep(Duration::from_millis(60));
        reasons(&policyd).contains("webhook spool takes no decisions: it is full")
    });
    assert!(ids.len() > 150, "{}", ids.len());
    until("decisions are dropped", || {
        decide(&policyd, &mut ids, 10);
        policyd.metric(dropped) > 0
    });
    let bytes = policyd.metric("llm_policy_webhook_spool_bytes");
    assert!(bytes <= 1 << 20 && bytes <= policyd.metric("llm_policy_webhook_spool_capacity_bytes"));
    receiver.take();
    let lost = policyd.metric(dropped) as usize;
    until("all others arrive", || receiver.ids().len() == ids.len() - lost);
    let mut rest = ids.iter();
    assert!(
        receiver.ids().iter().all(|id| rest.any(|other| other == id)),
        "in order"
    );
    decide(&policyd, &mut ids, 1);
    until("it goes on", || receiver.ids().last() == ids.last());
    until("readiness is good again", || {
        !reasons(&policyd).contains("webhook")
    });
}

#[test]
fn secrets_change_without_a_pause() {
    let receiver = Receiver::start();
    let secrets = Mounted::new(&[("secret", SECRET), ("token", "first-token")]);
    let (secret, token) = (secrets.path("secret"), secrets.path("token"));
    let settings = [
        ("WEBHOOK_SECRET_FILE", secret.as_str()),
        ("WEBHOOK_TOKEN_FILE", token.as_str()),
        ("WEBHOOK_BATCH", "1"),
    ];
    let place = Place::new("too heavy");
    let policyd = place.start(&format!("webhook:{}", receiver.url()), &settings);
    let mut ids = Vec::new();
    let mut last = || {
        let before = receiver.requests().len();
        decide(&policyd, &mut ids, 1);
        until("it arrives", || receiver.requests().len() > before);
        receiver.requests().pop().unwrap()
    };
    let request = last();
    assert!(request.is_signed_with(SECRET) && !request.is_signed_with(OTHER));
    assert_eq!(request.header("authorization"), "Bearer first-token");
    assert_eq!(
        request.header("content-type"),
        "application/cloudevents+json; charset=utf-8"
    );
    assert_eq!(
        request.header("webhook-id"),
        request.events()[0]["id"].as_str().unwrap()
    );
    let both = format!("{SECRET},{OTHER}");
    secrets.put(&[("secret", &both), ("token", "second-token")]);
    until("both sign", || last().is_signed_with(OTHER));
    let request = last();
    assert!(request.is_signed_with(SECRET));
    assert_eq!(request.header("webhook-signature").split(' ').count(), 2);
    assert_eq!(request.header("authorization"), "Bearer second-token");
    secrets.put(&[("secret", OTHER), ("token", "second-token")]);
    until("one signs", || !last().is_signed_with(SECRET));
    assert!(last().is_signed_with(OTHER));
    // What is no secret replaces nothing.
    secrets.put(&[("secret", "whsec_short"), ("token", "second-token")]);
    until("it is said", || reasons(&policyd).contains("WEBHOOK_SECRET"));
    assert!(last().is_signed_with(OTHER));
    for text in [policyd.logged(), reasons(&policyd)] {
        assert!(
            !text.contains("token\"") || !text.contains("second-token"),
            "{text}"
        );
        assert!(!text.contains(&OTHER[6..]), "{text}");
    }
}

#[test]
fn presets_send_what_their_services_take() {
    let place = Place::new("too heavy");
    let receiver = Receiver::start();
    let log = format!("webhook:{}", receiver.url());
    let mut ids = Vec::new();
    let policyd = place.start(&log, &[("WEBHOOK_FORMAT", "governance")]);
    decide(&policyd, &mut ids, 3);
    until("all arrive", || receiver.requests().len() == 3);
    for (request, id) in receiver.requests().iter().zip(&ids) {
        assert!(request.is_signed_with(SECRET));
        let entry = &request.events()[0];
        assert_eq!(entry["action"], "policy.deny");
        assert_eq!(entry["details"]["requestId"], **id);
        assert_eq!(request.header("idempotency-key"), entry["details"]["event_id"]);
    }
    drop(policyd);

    let receiver = Receiver::start();
    let log = format!("webhook:{}", receiver.url());
    let place = Place::new("too heavy");
    let policyd = place.start(&log, &[("WEBHOOK_FORMAT", "costops")]);
    decide(&policyd, &mut ids, 2);
    let used = json!({"context": {
        "llm": {"provider": "openai", "model": "gpt-4o", "prompt": "Hello"},
        "team": {"id": "example"},
        "metadata": {"weight": 1, "inputTokens": 12, "outputTokens": 3},
    }});
    policyd.client.json("POST", "/api/v1/evaluate", &used).expect(200);
    until("it arrives", || receiver.requests().len() == 1);
    let request = &receiver.requests()[0];
    let batch = &request.events()[0];
    assert_eq!(batch["records"].as_array().unwrap().len(), 1);
    assert_eq!(batch["records"][0]["usage"]["total_tokens"], 15);
    assert!(request.is_signed_with(SECRET) && !batch.to_string().contains("Hello"));
    assert_eq!(
        policyd.metric("llm_policy_webhook_skipped_total"),
        2,
        "two say nothing of tokens"
    );
}

/// Answers every request 204 over TLS, and counts those that it understood.
fn encrypted(files: &Files) -> (u16, Arc<Mutex<usize>>) {
    let config = policy_server::tls::server_config(&files.config(false)).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (port, taken) = (listener.local_addr().unwrap().port(), Arc::new(Mutex::new(0)));
    let count = Arc::clone(&taken);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let connection = rustls::ServerConnection::new(Arc::clone(&config)).unwrap();
            let mut reader = BufReader::new(rustls::StreamOwned::new(connection, stream.unwrap()));
            let (mut line, mut length) = (String::new(), 0);
            loop {
                line.clear();
                match reader.read_line(&mut line) {
                    Ok(0) | Err(_) => break,
                    Ok(_) if line.trim().is_empty() => break,
                    Ok(_) => {}
                }
                if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                    length = value.trim().parse().unwrap();
                }
            }
            let mut body = vec![0; length];
            if length > 0 && reader.read_exact(&mut body).is_ok() {
                *count.lock().unwrap() += 1;
                drop(reader.get_mut().write_all(&answer(204, "")));
                drop(reader.get_mut().flush());
            }
        }
    });
    (port, taken)
}

#[test]
fn a_receiver_behind_tls_is_one_of_the_given_authority() {
    let authority = Authority::new("ours");
    let files = Files::new(&authority.leaf("localhost"));
    files.put("ca.pem", &authority.0.pem());
    files.put("other.pem", &Authority::new("another").0.pem());
    let (port, taken) = encrypted(&files);
    let log = format!("webhook:https://localhost:{port}/in");
    let mut ids = Vec::new();

    let place = Place::new("too heavy");
    let policyd = place.start(&log, &[("WEBHOOK_TLS_CA", &files.text("other.pem"))]);
    decide(&policyd, &mut ids, 1);
    until("it is not trusted", || {
        reasons(&policyd).contains("webhook takes no decisions: TLS handshake failed")
    });
    drop(policyd);
    assert_eq!(*taken.lock().unwrap(), 0, "it is not sent anything");
    let policyd = place.start(&log, &[("WEBHOOK_TLS_CA", &files.text("ca.pem"))]);
    until("it arrives", || policyd.metric(WRITTEN) == 1);
    assert_eq!(*taken.lock().unwrap(), 1);
}
