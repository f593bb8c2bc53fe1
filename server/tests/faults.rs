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

use process::{Answered, Client, Load, Policyd, Redis, Wire, finished, until};
use serde_json::{Value, json};
use sqlx::Connection as _;
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

        let revision = policyd.admin.ready()["revision"].clone();
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
        assert_eq!(policyd.admin.ready()["revision"], revision);
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
    let answered = load.finish();
    println!("{answered}");
    assert!(answered.slowest < PROMPT, "{answered}");
    logged_once_and_in_order(&policyd, &url, &answered);

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
        ("DECISION_LOG_SPOOL", "0"),
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

/// An answer that nothing held up, on a machine with other things to do. `REQUEST_TIMEOUT` is 10 s.
const PROMPT: Duration = Duration::from_secs(5);

/// Request ids of the decisions in a database, in the order in which they were stored.
fn logged(url: &str) -> Vec<String> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let mut connection = sqlx::PgConnection::connect(url).await.unwrap();
        sqlx::query_scalar("SELECT request_id FROM decisions ORDER BY seq")
            .fetch_all(&mut connection)
            .await
            .unwrap()
    })
}

/// Waits until no decision waits to be stored.
fn nothing_waits(policyd: &Policyd) {
    until("every decision is in the database", || {
        policyd.metric("llm_policy_decision_log_queue") == 0
            && policyd.metric("llm_policy_decision_log_spool_bytes") == 0
    });
}

/// Every decision of the load is in the database, once, and those of one client in the order of its requests.
fn logged_once_and_in_order(policyd: &Policyd, url: &str, answered: &Answered) {
    nothing_waits(policyd);
    let logged = logged(url);
    for ids in &answered.ids {
        let (client, _) = ids[0].rsplit_once('-').unwrap();
        let of_client: Vec<&String> = logged
            .iter()
            .filter(|id| id.rsplit_once('-').is_some_and(|(of, _)| of == client))
            .collect();
        assert!(
            of_client.iter().copied().eq(ids),
            "{} were answered, {} are logged",
            ids.len(),
            of_client.len()
        );
    }
}

#[test]
fn a_long_outage_of_postgresql_delays_no_decision_and_loses_none() {
    let Some(server) = postgres::Server::start() else {
        return postgres::missing("a_long_outage_of_postgresql_delays_no_decision_and_loses_none");
    };
    let url = server.url("postgres");
    // Full within milliseconds: without a place on disk every evaluation would wait for the database.
    let policyd = Policyd::start(&[("DATABASE_URL", &url), ("DECISION_LOG_QUEUE", "20")]);
    create(&policyd.client, &policy("limit", 10, 1));
    let load = Load::start(&policyd.client, &cases());
    server.crash();
    let begin = Instant::now();
    while begin.elapsed() < PROMPT {
        load.goes_on("evaluations go on without PostgreSQL");
    }
    until("readiness says that decisions wait on disk", || {
        policyd.admin.ready()["reasons"]
            .to_string()
            .contains("bytes wait on disk")
    });
    assert_eq!(policyd.client.get("/readyz").status, 200);
    server.resume();
    let back = until("all is well again", || policyd.client.is("ready"));
    println!("ready {back:?} after PostgreSQL was back");
    let answered = load.finish();
    println!("{answered}");
    assert!(answered.slowest < PROMPT, "{answered}");
    logged_once_and_in_order(&policyd, &url, &answered);
    let spooled = policyd.metric("llm_policy_decision_log_spooled_total");
    assert!(spooled > 20, "{spooled}");
    assert_eq!(spooled, policyd.metric("llm_policy_decision_log_replayed_total"));
}

/// Decides with these ids.
fn decide(client: &Client, ids: &[String]) {
    for id in ids {
        let body = json!({"requestId": id, "context": context(11)});
        client.json("POST", "/api/v1/evaluate", &body).expect(200);
    }
}

fn some_ids(of: &str, count: usize) -> Vec<String> {
    (0..count).map(|n| format!("{of}-{n}")).collect()
}

#[test]
fn a_kill_while_postgresql_is_away_loses_nothing_that_is_on_disk() {
    let Some(server) = postgres::Server::start() else {
        return postgres::missing("a_kill_while_postgresql_is_away_loses_nothing_that_is_on_disk");
    };
    let (url, data) = (server.url("postgres"), tempfile::tempdir().unwrap());
    let settings = [
        ("DATABASE_URL", url.as_str()),
        ("DATA_DIR", data.path().to_str().unwrap()),
    ];
    let policyd = Policyd::start(&settings);
    create(&policyd.client, &policy("limit", 10, 1));
    server.crash();
    let mut expected = some_ids("kept", 150);
    decide(&policyd.client, &expected);
    until("the queue is empty", || {
        policyd.metric("llm_policy_decision_log_queue") == 0
    });
    // These may be in the queue yet, which a kill empties.
    let late = some_ids("late", 20);
    decide(&policyd.client, &late);
    policyd.kill();

    // Killed again before the database is there: what waits goes on waiting.
    let policyd = Policyd::launch(&settings);
    assert!(policyd.metric("llm_policy_decision_log_spool_bytes") > 0);
    until("it tried", || {
        policyd.metric(r#"llm_policy_decision_log_errors_total{sink="store"}"#) > 0
    });
    policyd.kill();

    let policyd = Policyd::launch(&settings);
    server.resume();
    until("the server is ready", || policyd.client.is("ready"));
    nothing_waits(&policyd);
    let mut logged = logged(&url);
    // The late ones that were on disk are a beginning of all of them.
    let kept = logged.len().saturating_sub(expected.len());
    println!(
        "{kept} of {} decisions of the last moment were on disk",
        late.len()
    );
    expected.extend(late.into_iter().take(kept));
    assert_eq!(logged, expected);

    // And it goes on as ever.
    let after = some_ids("after", 10);
    decide(&policyd.client, &after);
    nothing_waits(&policyd);
    logged.extend(after);
    assert_eq!(self::logged(&url), logged);
}

#[test]
fn a_stop_while_postgresql_is_away_loses_nothing() {
    let Some(server) = postgres::Server::start() else {
        return postgres::missing("a_stop_while_postgresql_is_away_loses_nothing");
    };
    let (url, data) = (server.url("postgres"), tempfile::tempdir().unwrap());
    let settings = [
        ("DATABASE_URL", url.as_str()),
        ("DATA_DIR", data.path().to_str().unwrap()),
        ("SHUTDOWN_GRACE", "15s"),
    ];
    let mut policyd = Policyd::start(&settings);
    create(&policyd.client, &policy("limit", 10, 1));
    server.crash();
    let ids = some_ids("kept", 150);
    decide(&policyd.client, &ids);
    policyd.terminate();
    let (status, log) = policyd.ended();
    assert_eq!(status.code(), Some(0), "{log}");
    assert!(log.contains("decisions are kept on disk"), "{log}");
    server.resume();
    let policyd = Policyd::start(&settings);
    until("the server is ready", || policyd.client.is("ready"));
    nothing_waits(&policyd);
    assert_eq!(logged(&url), ids);
}

#[test]
fn a_server_without_a_place_for_decisions_says_so() {
    let directory = tempfile::tempdir().unwrap();
    // Nobody is there, which a start does not wait for.
    let url = "postgres://nobody@127.0.0.1:1/none";
    let data = directory.path().join("data");
    let own = [("DATABASE_URL", url), ("DATA_DIR", data.to_str().unwrap())];
    let first = Policyd::launch(&own);
    assert_eq!(
        first.metric("llm_policy_decision_log_spool_capacity_bytes"),
        1 << 30
    );
    let (code, _, stderr) = finished(&own, &[], directory.path());
    assert_eq!(code, 1, "{stderr}");
    assert!(stderr.contains("another policyd uses it"), "{stderr}");
    drop(first);

    // As in a container whose file system is read-only.
    let nowhere = [("DATABASE_URL", url), ("DATA_DIR", "/dev/null/data")];
    let mut without = Policyd::launch(&nowhere);
    assert_eq!(without.metric("llm_policy_decision_log_spool_capacity_bytes"), 0);
    without.terminate();
    let (_, log) = without.ended();
    assert!(log.contains("there is no place on disk for decisions"), "{log}");
    let asked = [nowhere[0], nowhere[1], ("DECISION_LOG_SPOOL", "64MB")];
    let (code, _, stderr) = finished(&asked, &[], directory.path());
    assert_eq!(code, 78, "{stderr}");
    assert!(
        stderr.contains("DECISION_LOG_SPOOL (environment): cannot keep decisions in /dev/null/data"),
        "{stderr}"
    );
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
    println!("{}", load.finish());
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
        assert_eq!(policyd.admin.ready()["storeRevision"], version);
        assert_eq!(found["revision"], version);
        assert!(stdout.starts_with(&format!("{version} records")), "{stdout}");
        println!("killed after {last} acknowledged writes; {version} are there");
        newest = version;
    }
}

#[test]
fn a_trail_that_is_not_there_is_not_unbroken() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("mistyped.db");
    let url = format!("sqlite:{}", file.display());
    let (code, stdout, stderr) = finished(&[("DATABASE_URL", &url)], &["audit", "verify"], directory.path());
    assert_eq!((code, stdout.as_str()), (1, ""), "{stderr}");
    assert!(stderr.contains("there is no database"), "{stderr}");
    assert!(!file.exists(), "looking made it");
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
            server.admin.ready()["storeRevision"] == last
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
    load.finish();
    // It is degraded for as long as decisions of the outage wait on disk, to which a load on a slow machine adds.
    until("the server is ready again", || b.client.is("ready"));
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
        "POST /api/v1/evaluate HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{begin}",
        body.len()
    )
    .unwrap();
    until("the slow request is under way", || {
        policyd.metric("llm_policy_requests_in_flight") == 1
    });

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

/// Readiness goes first, so that load balancers see it while the server still answers.
#[test]
fn a_stop_with_a_delay_answers_everybody_until_it_is_over() {
    const DELAY: Duration = Duration::from_secs(4);
    let delay = format!("{}s", DELAY.as_secs());
    let mut policyd = Policyd::start(&[("SHUTDOWN_DELAY", &delay), ("SHUTDOWN_GRACE", "5s")]);
    create(&policyd.client, &policy("limit", 10, 1));
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let serves = |grpc: std::net::SocketAddr| {
        runtime.block_on(async {
            let endpoint = tonic::transport::Channel::from_shared(format!("http://{grpc}")).unwrap();
            let channel = endpoint.connect().await.unwrap();
            let mut health = tonic_health::pb::health_client::HealthClient::new(channel);
            let request = tonic_health::pb::HealthCheckRequest::default();
            health.check(request).await.unwrap().into_inner().status
        })
    };
    let (serving, not_serving) = (1, 2);
    assert_eq!(serves(policyd.grpc), serving);
    // A stream that goes on.
    let request = || policy_proto::v1::EvaluatePolicyRequest {
        input: Some(policy_proto::v1::evaluate_policy_request::Input::ContextJson(
            context(11).to_string().into(),
        )),
        ..Default::default()
    };
    let (ask, asked) = tokio::sync::mpsc::channel(4);
    ask.blocking_send(request()).unwrap();
    let mut answers = runtime.block_on(async {
        let endpoint = tonic::transport::Channel::from_shared(format!("http://{}", policyd.grpc)).unwrap();
        let channel = endpoint.connect().await.unwrap();
        let mut client = policy_proto::v1::policy_service_client::PolicyServiceClient::new(channel);
        let asked = tokio_stream::wrappers::ReceiverStream::new(asked);
        client.evaluate_policy_stream(asked).await.unwrap().into_inner()
    });
    assert!(runtime.block_on(answers.message()).unwrap().is_some());
    let mut kept = TcpStream::connect(policyd.rest).unwrap();
    let ask_again = b"GET /livez HTTP/1.1\r\nhost: localhost\r\n\r\n";
    kept.write_all(ask_again).unwrap();
    let mut first = [0; 12];
    kept.read_exact(&mut first).unwrap();
    let begin = Instant::now();
    policyd.terminate();
    until("readiness is off", || policyd.admin.get("/readyz").status == 503);
    let ready = policyd.admin.ready();
    assert_eq!(ready["reasons"][0], "the server is about to stop", "{ready}");
    assert_eq!(serves(policyd.grpc), not_serving);
    // Connections that were open before answer once more, and say that they end.
    kept.write_all(ask_again).unwrap();
    let mut said = String::new();
    kept.read_to_string(&mut said).unwrap();
    assert!(
        said.contains("HTTP/1.1 200") && said.contains("connection: close"),
        "{said}"
    );
    while begin.elapsed() < DELAY / 2 {
        // A connection of its own each time.
        let fresh = Client::new(policyd.rest);
        assert_eq!(fresh.decide(&context(11)), "deny");
        assert_eq!(fresh.get("/readyz").status, 503);
        ask.blocking_send(request()).unwrap();
        assert!(runtime.block_on(answers.message()).unwrap().is_some());
    }
    let end = runtime.block_on(answers.message()).unwrap_err();
    assert_eq!(end.metadata().get("error-code").unwrap(), "shutting_down");
    drop((ask, answers));
    let (status, log) = policyd.ended();
    assert_eq!(status.code(), Some(0), "{log}");
    assert!(begin.elapsed() >= DELAY, "{:?}", begin.elapsed());

    // Another signal ends the delay, and not the requests under way.
    let mut policyd = Policyd::start(&[("SHUTDOWN_DELAY", "10m")]);
    policyd.terminate();
    until("readiness is off", || policyd.admin.get("/readyz").status == 503);
    policyd.terminate();
    let (status, log) = policyd.ended();
    assert_eq!(status.code(), Some(0), "{log}");
    assert!(log.contains("\"message\":\"stopping"), "{log}");
}

#[test]
fn a_request_that_never_ends_is_cut_and_said() {
    let mut policyd = Policyd::start(&[("SHUTDOWN_GRACE", "500ms")]);
    let mut slow = TcpStream::connect(policyd.rest).unwrap();
    write!(
        slow,
        "POST /api/v1/evaluate HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{{"
    )
    .unwrap();
    until("the slow request is under way", || {
        policyd.metric("llm_policy_requests_in_flight") == 1
    });
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
        (&[("APPROVAL_REQUIRED", "true")], "needs JWT_SECRET"),
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
