//! What happens when something breaks: `policyd` processes as they are shipped, real databases and a real Redis, stopped,
//! killed and cut off while work goes on.
//!
//! What has to hold: every evaluation is answered and right, whatever is away; what was acknowledged is there afterwards,
//! with its version; nothing is changed by what was refused; readiness names what is missing.
//!
//! Without PostgreSQL or Redis the tests that need it say that they are skipped, and fail where `REQUIRE_SERVERS` is set.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

#[path = "support/postgres.rs"]
mod postgres;
#[path = "support/process.rs"]
mod process;

use process::{Client, Load, Policyd, Redis, Wire, finished, until};
use serde_json::{Value, json};
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// A policy that denies above a weight, with a number in its reason.
fn policy(id: &str, most: u32, number: u64) -> Value {
    json!({
        "metadata": {"id": id, "name": id},
        "rules": [{
            "id": "weight",
            "condition": {"operator": "gt", "field": "metadata.weight", "value": most},
            "action": {"decision": "deny", "reason": format!("number {number}")},
        }],
    })
}

fn create(client: &Client, document: &Value) -> Value {
    client.json("POST", "/api/v1/policies", document).expect(201)
}

fn context(weight: u32) -> Value {
    json!({"llm": {"model": "gpt-4o", "prompt": "hello"}, "metadata": {"weight": weight}})
}

/// Decisions under `policy("limit", 10, _)`.
fn cases() -> [(Value, &'static str); 2] {
    [(context(11), "deny"), (context(9), "allow")]
}

/// The number in the reason of the decision, where it is a deny.
fn number(client: &Client) -> Option<u64> {
    let body = json!({"context": context(u32::MAX), "dryRun": true});
    let answer = client.json("POST", "/api/v1/evaluate", &body).expect(200);
    let reason = answer["decision"]["reason"].as_str()?;
    Some(reason.strip_prefix("number ").unwrap().parse().unwrap())
}

fn database() -> Option<postgres::Database> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(postgres::Database::create())
}

fn remove(database: postgres::Database) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(database.remove());
}

/// `host:port` and the name of the database.
fn parts(url: &str) -> (String, String) {
    let (_, rest) = url.split_once('@').unwrap();
    let (address, database) = rest.split_once('/').unwrap();
    (address.to_owned(), database.to_owned())
}

#[test]
fn decisions_go_on_while_postgresql_is_away() {
    let Some(server) = postgres::Server::start() else {
        return postgres::missing("decisions_go_on_while_postgresql_is_away");
    };
    let url = server.url("postgres");
    let policyd = Policyd::start(&[("DATABASE_URL", &url)]);
    let client = &policyd.client;
    create(client, &policy("limit", 10, 1));
    let load = Load::start(client, &cases());

    let mut acknowledged = Vec::new();
    for round in 0..2 {
        let id = format!("before-{round}");
        create(client, &policy(&id, 1000, 0));
        acknowledged.push(id);

        server.crash();
        until("readiness says that the store is away", || client.is("degraded"));
        let ready = client.ready();
        assert_eq!(ready["dependencies"]["store"], "down", "{ready}");
        let reasons = ready["reasons"].to_string();
        assert!(reasons.contains("store"), "{ready}");
        assert_eq!(client.get("/readyz").status, 200);
        load.goes_on("evaluations go on without PostgreSQL");

        let revision = ready["revision"].clone();
        let id = format!("refused-{round}");
        // It would deny what the load expects to be allowed.
        let refused = client
            .json("POST", "/api/v1/policies", &policy(&id, 1, 0))
            .expect(503);
        assert_eq!(refused["code"], "store_unavailable", "{refused}");
        let refused = client
            .json("PUT", "/api/v1/policies/limit", &policy("limit", 1, 2))
            .expect(503);
        assert_eq!(refused["code"], "store_unavailable", "{refused}");
        assert_eq!(client.ready()["revision"], revision);
        load.goes_on("evaluations go on after refused writes");

        server.resume();
        let back = until("readiness says that the store is back", || client.is("ready"));
        println!("ready {back:?} after PostgreSQL was back");
        client.get(&format!("/api/v1/policies/{id}")).expect(404);
        for id in &acknowledged {
            client.get(&format!("/api/v1/policies/{id}")).expect(200);
        }
        assert_eq!(client.get("/api/v1/policies/limit").expect(200)["version"], 1);
        let id = format!("after-{round}");
        create(client, &policy(&id, 1000, 0));
        acknowledged.push(id);
    }
    let (answered, slowest) = load.finish();
    println!("{answered} evaluations, the slowest took {slowest:?}");

    // A server that starts without its database decides nothing, and least of all that something is allowed.
    drop(policyd);
    server.crash();
    let policyd = Policyd::launch(&[("DATABASE_URL", &url)]);
    let body = json!({"context": context(9)});
    let refused = policyd.client.json("POST", "/api/v1/evaluate", &body).expect(503);
    assert_eq!(refused["code"], "not_ready");
    assert_eq!(policyd.client.get("/readyz").status, 503);
    assert_eq!(policyd.client.get("/livez").status, 200);
    server.resume();
    until("the server finds its database", || policyd.client.is("ready"));
    assert_eq!(policyd.client.decide(&context(11)), "deny");
}

#[test]
fn a_full_decision_log_that_may_drop_holds_up_no_decision() {
    let Some(server) = postgres::Server::start() else {
        return postgres::missing("a_full_decision_log_that_may_drop_holds_up_no_decision");
    };
    let policyd = Policyd::start(&[
        ("DATABASE_URL", &server.url("postgres")),
        ("DECISION_LOG_QUEUE", "10"),
        ("DECISION_LOG_OVERFLOW", "drop"),
        ("REQUEST_TIMEOUT", "1s"),
    ]);
    create(&policyd.client, &policy("limit", 10, 1));
    let load = Load::start(&policyd.client, &cases());
    server.crash();
    for _ in 0..5 {
        load.goes_on("evaluations go on with a full log");
    }
    server.resume();
    until("PostgreSQL is back", || policyd.client.is("ready"));
    load.finish();
}

#[test]
fn decisions_go_on_while_redis_is_away() {
    let Some(mut redis) = Redis::start("decisions_go_on_while_redis_is_away") else {
        return;
    };
    let policyd = Policyd::start(&[("REDIS_URL", &redis.url())]);
    let client = &policyd.client;
    let pii = json!({
        "metadata": {"id": "pii", "name": "pii"},
        "rules": [{
            "id": "pii",
            "condition": {"operator": "eq", "field": "llm.containsPII", "value": true},
            "action": {"decision": "deny", "reason": "personal data"},
        }],
    });
    create(client, &pii);
    // Redis is asked where deciding takes longer: texts that are long, and new each time.
    let text = "the quarterly report of the platform team is late again ".repeat(1500);
    let cases = [
        (json!({"llm": {"prompt": format!("%n% {text}")}}), "allow"),
        (
            json!({"llm": {"prompt": format!("%n% {text} jo@example.org")}}),
            "deny",
        ),
    ];
    let load = Load::start(client, &cases);
    for round in 0..2 {
        until("Redis is known to be up", || {
            client.ready()["dependencies"]["redis"] == "up"
        });
        redis.stop();
        until("readiness says that Redis is away", || client.is("degraded"));
        let ready = client.ready();
        assert!(ready["reasons"].to_string().contains("redis"), "{ready}");
        load.goes_on("evaluations go on without Redis");
        // Policies are no business of Redis.
        create(client, &policy(&format!("meanwhile-{round}"), 1000, 0));
        assert!(redis.resume());
        let back = until("readiness says that Redis is back", || client.is("ready"));
        println!("ready {back:?} after Redis was back");
        load.goes_on("evaluations go on with Redis");
    }
    let (answered, slowest) = load.finish();
    println!("{answered} evaluations, the slowest took {slowest:?}");
}

/// Kills `policyd` in a stream of writes, again and again, and looks at what is there afterwards.
fn killed_in_a_stream_of_writes(settings: &[(&str, &str)]) {
    let directory = tempfile::tempdir().unwrap();
    let mut newest = 0;
    for round in 0..3 {
        let policyd = Policyd::start(settings);
        let client = policyd.client.clone();
        if round == 0 {
            create(&client, &policy("stream", 10, 1));
            newest = 1;
        }
        let acknowledged = AtomicU64::new(newest);
        std::thread::scope(|scope| {
            let writer = scope.spawn(|| {
                for n in newest + 1.. {
                    let document = policy("stream", 10, n).to_string();
                    match client.try_send("PUT", "/api/v1/policies/stream", "application/json", &document) {
                        Ok(answer) => {
                            let written = answer.expect(200);
                            assert_eq!(written["version"], n, "{written}");
                            acknowledged.store(n, Ordering::SeqCst);
                        }
                        // Killed while this was under way.
                        Err(_) => return n,
                    }
                }
                0
            });
            until("some writes were acknowledged", || {
                writer.is_finished() || acknowledged.load(Ordering::SeqCst) >= newest + 15
            });
            policyd.kill();
            assert_eq!(writer.join().unwrap(), acknowledged.load(Ordering::SeqCst) + 1);
        });
        let last = acknowledged.load(Ordering::SeqCst);

        let (code, stdout, stderr) = finished(settings, &["audit", "verify"], directory.path());
        assert_eq!(code, 0, "{stdout}{stderr}");
        assert!(stdout.contains("unbroken"), "{stdout}");

        let policyd = Policyd::start(settings);
        let client = &policyd.client;
        let found = client.get("/api/v1/policies/stream").expect(200);
        let version = found["version"].as_u64().unwrap();
        assert!(
            version == last || version == last + 1,
            "acknowledged {last}, found {version}"
        );
        assert_eq!(found["activeVersion"], version);
        for n in newest..=version {
            let kept = client
                .get(&format!("/api/v1/policies/stream/versions/{n}"))
                .expect(200);
            let source = kept["source"].as_str().unwrap();
            assert!(source.contains(&format!("number {n}\"")), "{kept}");
        }
        assert_eq!(number(client), Some(version));
        // One revision and one record of the audit trail for each version, and none for anything else.
        assert_eq!(client.ready()["storeRevision"], version);
        assert_eq!(found["revision"], version);
        assert!(stdout.starts_with(&format!("{version} records")), "{stdout}");
        println!("killed after {last} acknowledged writes; {version} are there");
        newest = version;
    }
}

#[test]
fn a_kill_loses_nothing_acknowledged_in_sqlite() {
    let directory = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", directory.path().join("policyd.db").display());
    killed_in_a_stream_of_writes(&[("DATABASE_URL", &url)]);
}

#[test]
fn a_kill_loses_nothing_acknowledged_in_postgresql() {
    let Some(database) = database() else {
        return postgres::missing("a_kill_loses_nothing_acknowledged_in_postgresql");
    };
    killed_in_a_stream_of_writes(&[("DATABASE_URL", &database.url())]);
    remove(database);
}

/// Raises the number in a policy by one, `times` times, against others who do the same: reads, writes what was read plus
/// one if it is still what was read, else begins again. Returns the versions that it wrote.
fn count_up(client: &Client, times: usize) -> Vec<u64> {
    let mut written = Vec::new();
    while written.len() < times {
        let current = client.get("/api/v1/policies/counter").expect(200);
        let document: Value = serde_json::from_str(current["source"].as_str().unwrap()).unwrap();
        let reason = document["rules"][0]["action"]["reason"].as_str().unwrap();
        let n: u64 = reason.strip_prefix("number ").unwrap().parse().unwrap();
        let answer = client.json_if(
            "PUT",
            "/api/v1/policies/counter",
            &current["version"].to_string(),
            &policy("counter", 10, n + 1),
        );
        match answer.status {
            200 => written.push(answer.body["version"].as_u64().unwrap()),
            412 => assert_eq!(answer.body["code"], "version_mismatch"),
            409 => assert_eq!(answer.body["code"], "conflict"),
            status => panic!("{status}: {}", answer.body),
        }
    }
    written
}

#[test]
fn servers_on_one_postgresql_agree() {
    let Some(database) = database() else {
        return postgres::missing("servers_on_one_postgresql_agree");
    };
    let (address, name) = parts(&database.url());
    let wire = Wire::to(&address);
    let cut_url = format!("postgres://postgres@127.0.0.1:{}/{name}", wire.port());
    let a = Policyd::start(&[("DATABASE_URL", &database.url())]);
    let b = Policyd::start(&[("DATABASE_URL", &cut_url)]);

    // What is changed at one decides at the other within a second.
    create(&a.client, &policy("counter", 10, 0));
    let mut slowest = Duration::ZERO;
    for n in 1..=8 {
        let (from, to) = if n % 2 == 0 { (&a, &b) } else { (&b, &a) };
        // Policies are read from the store, so that the other server knows of them at once.
        from.client
            .json("PUT", "/api/v1/policies/counter", &policy("counter", 10, n))
            .expect(200);
        let begin = Instant::now();
        until("the other server follows", || number(&to.client) == Some(n));
        slowest = slowest.max(begin.elapsed());
    }
    println!("the slowest of 8 changes decided at the other server after {slowest:?}");
    assert!(slowest < Duration::from_secs(1), "{slowest:?}");

    // Nobody's change is lost, and no two get the same version.
    const TIMES: usize = 8;
    let mut versions = std::thread::scope(|scope| {
        let writers: Vec<_> = [&a, &b, &a, &b]
            .map(|server| scope.spawn(|| count_up(&server.client, TIMES)))
            .into_iter()
            .collect();
        writers
            .into_iter()
            .flat_map(|writer| writer.join().unwrap())
            .collect::<Vec<_>>()
    });
    versions.sort_unstable();
    let first = versions[0];
    let last = first + 4 * TIMES as u64 - 1;
    assert_eq!(versions, (first..=last).collect::<Vec<_>>());
    let n = 8 + 4 * TIMES as u64;
    for server in [&a, &b] {
        until("both are at the end", || number(&server.client) == Some(n));
        until("both are at the same revision", || {
            server.client.ready()["storeRevision"] == last
        });
    }

    // Cut off, a server decides as before, says so, and takes no writes; then it catches up.
    let load = Load::start(&b.client, &cases());
    wire.cut();
    until("the server notices that it is cut off", || {
        b.client.is("degraded")
    });
    a.client
        .json("PUT", "/api/v1/policies/counter", &policy("counter", 10, n + 1))
        .expect(200);
    let refused = b
        .client
        .json("PUT", "/api/v1/policies/counter", &policy("counter", 5, n + 2))
        .expect(503);
    assert_eq!(refused["code"], "store_unavailable");
    assert_eq!(number(&b.client), Some(n));
    assert_eq!(number(&a.client), Some(n + 1));
    load.goes_on("evaluations go on at the server that is cut off");
    wire.mend();
    let caught_up = until("the server catches up", || number(&b.client) == Some(n + 1));
    println!("caught up {caught_up:?} after the connection was back");
    until("the server is ready again", || b.client.is("ready"));
    load.finish();
    drop((a, b));
    remove(database);
}

#[test]
fn a_stop_answers_what_is_under_way() {
    let mut policyd = Policyd::start(&[("SHUTDOWN_GRACE", "10s")]);
    create(&policyd.client, &policy("limit", 10, 1));
    // One that is idle holds nothing up.
    let mut idle = TcpStream::connect(policyd.rest).unwrap();
    let body = json!({"context": context(11)}).to_string();
    let (begin, end) = body.split_at(10);
    let mut slow = TcpStream::connect(policyd.rest).unwrap();
    write!(
        slow,
        "POST /api/v1/evaluate HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{begin}",
        body.len()
    )
    .unwrap();
    // Answered on another connection, so the first one is under way by now.
    policyd.client.decide(&context(9));
    std::thread::sleep(Duration::from_millis(100));

    policyd.terminate();
    until("new connections are refused", || {
        TcpStream::connect(policyd.rest).is_err()
    });
    slow.write_all(end.as_bytes()).unwrap();
    let mut answer = String::new();
    slow.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert!(answer.contains("\"decision\":\"deny\""), "{answer}");
    let begin = Instant::now();
    let (status, log) = policyd.ended();
    assert_eq!(status.code(), Some(0), "{log}");
    assert!(begin.elapsed() < Duration::from_secs(5), "{:?}", begin.elapsed());
    assert!(log.contains("stopping"), "{log}");
    let mut rest = Vec::new();
    drop(idle.read_to_end(&mut rest));
    assert!(rest.is_empty());
}

#[test]
fn a_request_that_never_ends_is_cut_and_said() {
    let mut policyd = Policyd::start(&[("SHUTDOWN_GRACE", "500ms")]);
    let mut slow = TcpStream::connect(policyd.rest).unwrap();
    write!(
        slow,
        "POST /api/v1/evaluate HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n{{"
    )
    .unwrap();
    std::thread::sleep(Duration::from_millis(100));
    policyd.terminate();
    let (status, log) = policyd.ended();
    assert_eq!(status.code(), Some(1), "{log}");
    assert!(log.contains("1 connections cut"), "{log}");
}

#[test]
fn what_is_unsafe_does_not_start() {
    let directory = tempfile::tempdir().unwrap();
    let key = "0123456789abcdef0123456789abcdef";
    for (settings, reason) in [
        (
            &[("HOST", "0.0.0.0")] as &[(&str, &str)],
            "without authentication",
        ),
        (&[("HOST", "::")], "without authentication"),
        (&[("JWT_SECRET", "short")], "at least 32"),
        (&[("APPROVAL_REQUIRED", "true")], "needs authentication"),
        (&[("RATE_LIMIT_SHARED", "true")], "REDIS_URL"),
        (&[("PORT", "many"), ("MAX_BODY", "-1")], "2 problems"),
        (&[("DATABASE_URL", "mysql://u:hunter2@h/d")], "DATABASE_URL"),
    ] {
        let (code, stdout, stderr) = finished(settings, &[], directory.path());
        assert_eq!(code, 78, "{settings:?}: {stdout}{stderr}");
        assert!(stderr.contains(reason), "{settings:?}: {stderr}");
        assert!(
            !stderr.contains("hunter2") && !stderr.contains("short"),
            "{stderr}"
        );
    }
    for settings in [
        &[("HOST", "0.0.0.0"), ("JWT_SECRET", key)] as &[(&str, &str)],
        &[("HOST", "0.0.0.0"), ("API_KEYS_ENABLED", "true")],
        &[("HOST", "0.0.0.0"), ("INSECURE_NO_AUTH", "true")],
    ] {
        let (code, stdout, stderr) = finished(settings, &["check-config"], directory.path());
        assert_eq!(code, 0, "{settings:?}: {stdout}{stderr}");
    }
    // Nothing was made on the way.
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
}
