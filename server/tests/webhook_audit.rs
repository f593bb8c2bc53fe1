//! The audit trail by webhook: `policyd` as it is shipped, its database, and a receiver that verifies what comes.
//!
//! What has to hold: every record that is written from the first start on arrives at least once, in order, signed, whatever ends or is
//! away meanwhile; what comes again has the ids that it had; what arrived is a chain that can be checked.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

#[path = "support/postgres.rs"]
mod postgres;
#[path = "support/process.rs"]
mod process;
#[path = "support/receiver.rs"]
mod receiver;

use policy_server::audit::Verifier;
use policy_server::storage::model::{AuditRecord, NewAudit};
use process::{Client, Policyd, finished, until};
use receiver::{Mode, Receiver, SECRET};
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Connection as _, Executor as _};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tempfile::TempDir;

const TYPE: &str = "dev.llm-policy-engine.audit.v1";
const SENT: &str = "llm_policy_webhook_audit_sent_total";
const MISSING: &str = "llm_policy_webhook_audit_missing_total";

/// A server's disk, with its database where it has one there.
struct Place(TempDir);

impl Place {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> String {
        self.0.path().join(name).to_str().unwrap().to_owned()
    }

    fn cursor(&self) -> String {
        self.path("data/webhook-audit.json")
    }

    /// Whether this is the last record that the receiver is known to have.
    fn noted(&self, seq: u64) -> bool {
        let text = std::fs::read_to_string(self.cursor()).unwrap();
        text.contains(&format!("\"seq\":{seq},"))
    }

    fn sqlite(&self) -> String {
        format!("sqlite:{}", self.path("policies.db"))
    }

    /// Sends webhooks to this receiver, if any.
    fn start(&self, receiver: Option<&Receiver>, url: &str, more: &[(&str, &str)]) -> Policyd {
        let settings = self.settings(receiver, url, more);
        let settings: Vec<(&str, &str)> = settings
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        Policyd::start(&settings)
    }

    fn settings(
        &self,
        receiver: Option<&Receiver>,
        url: &str,
        more: &[(&str, &str)],
    ) -> Vec<(String, String)> {
        let data = self.path("data");
        let log = receiver.map_or("off".to_owned(), |receiver| format!("webhook:{}", receiver.url()));
        let mut all = vec![
            ("DATA_DIR", data.as_str()),
            ("DATABASE_URL", url),
            ("DECISION_LOG", &log),
        ];
        if receiver.is_some() {
            all.extend([
                ("WEBHOOK_SECRET", SECRET),
                ("WEBHOOK_BACKOFF", "50ms"),
                ("WEBHOOK_TIMEOUT", "300ms"),
            ]);
        }
        all.extend(more);
        all.into_iter()
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect()
    }
}

fn policy(id: &str, most: u64) -> Value {
    json!({
        "metadata": {"id": id, "name": id},
        "rules": [{
            "id": "weight",
            "condition": {"operator": "gt", "field": "metadata.weight", "value": most},
            "action": {"decision": "deny", "reason": "too heavy"},
        }],
    })
}

fn create(client: &Client, id: &str) {
    client
        .json("POST", "/api/v1/policies", &policy(id, 10))
        .expect(201);
}

fn update(client: &Client, id: &str, most: u64) {
    let path = format!("/api/v1/policies/{id}");
    client.json("PUT", &path, &policy(id, most)).expect(200);
}

/// Audit events that were acknowledged, each where it came first.
fn audit(receiver: &Receiver) -> Vec<Value> {
    let mut events = receiver.events();
    events.retain(|event| event["type"] == TYPE);
    events
}

fn seqs(receiver: &Receiver) -> Vec<u64> {
    let seq = |event: &Value| event["data"]["seq"].as_u64().unwrap();
    audit(receiver).iter().map(seq).collect()
}

fn actions(receiver: &Receiver) -> Vec<String> {
    let about = |event: &Value| {
        let text = |name: &str| event["data"][name].as_str().unwrap().to_owned();
        format!("{} {}", text("action"), text("target"))
    };
    audit(receiver).iter().map(about).collect()
}

fn digits(text: &Value) -> [u8; 32] {
    let text = text.as_str().unwrap();
    let byte = |at: usize| u8::from_str_radix(&text[at..at + 2], 16).unwrap();
    let bytes: Vec<u8> = (0..text.len()).step_by(2).map(byte).collect();
    bytes.try_into().unwrap()
}

/// The record that an event is of, with nothing but what the event says.
fn record(event: &Value) -> AuditRecord {
    let data = &event["data"];
    let text = |name: &str| data[name].as_str().unwrap().to_owned();
    let at: jiff::Timestamp = text("at").parse().unwrap();
    AuditRecord {
        seq: data["seq"].as_u64().unwrap(),
        entry: NewAudit {
            at_ms: at.as_millisecond(),
            actor: text("actor"),
            action: text("action"),
            target: text("target"),
            namespace: text("namespace"),
            request_id: text("requestId"),
            detail: data["detail"].to_string(),
        },
        revision: data["revision"].as_u64().unwrap(),
        previous: digits(&data["previous"]),
        hash: digits(&data["hash"]),
    }
}

/// Checks the chain of what arrived, from its first record on.
fn holds(receiver: &Receiver) {
    let records: Vec<AuditRecord> = audit(receiver).iter().map(record).collect();
    let first = records.first().unwrap();
    let mut verifier = Verifier::after(first.seq - 1, first.previous);
    for record in &records {
        verifier.push(record).unwrap();
    }
}

/// What the server says of its trail, as the events say it.
fn trail(client: &Client) -> Vec<Value> {
    client.get("/api/v1/audit?limit=100").expect(200)["items"]
        .as_array()
        .unwrap()
        .clone()
}

fn reasons(policyd: &Policyd) -> String {
    policyd.admin.ready()["reasons"].to_string()
}

fn run(url: &str, sql: &str) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let mut connection = sqlx::SqliteConnection::connect(url).await.unwrap();
        connection.execute(AssertSqlSafe(sql.to_owned())).await.unwrap();
        connection.close().await.unwrap();
    });
}

#[test]
fn every_change_arrives_in_order_over_kills_and_an_absence() {
    let (place, mut receiver) = (Place::new(), Receiver::start());
    let url = place.sqlite();
    let policyd = place.start(None, &url, &[]);
    create(&policyd.client, "before");
    drop(policyd);

    // The first start with a receiver begins at the end, and says so.
    let policyd = place.start(Some(&receiver), &url, &[]);
    assert!(
        policyd
            .logged()
            .contains("is sent by webhook from after this record on")
    );
    let client = &policyd.client;
    create(client, "p");
    update(client, "p", 20);
    let new = json!({"name": "ci", "roles": ["evaluator"]});
    let made = client.json("POST", "/api/v1/keys", &new).expect(201);
    let key = made["id"].as_str().unwrap().to_owned();
    client
        .json("POST", &format!("/api/v1/keys/{key}/rotate"), &json!({}))
        .expect(200);
    until("all arrive", || audit(&receiver).len() == 4);
    assert_eq!(
        actions(&receiver),
        [
            "policy.create p".to_owned(),
            "policy.update p".to_owned(),
            format!("key.create {key}"),
            format!("key.rotate {key}"),
        ]
    );
    assert_eq!(seqs(&receiver), [2, 3, 4, 5]);
    until("the last is counted", || policyd.metric(SENT) == 4);
    // The fields are those of the API, and nothing of them is a secret or a text of a policy.
    let event = &audit(&receiver)[0];
    assert_eq!(event["data"], trail(client)[1]);
    assert_eq!(
        (&event["subject"], &event["source"]),
        (&json!("p"), &json!("/policyd"))
    );
    assert_eq!(event["time"], event["data"]["at"]);
    let id = event["id"].as_str().unwrap();
    assert!(id.starts_with("2-") && event["data"]["hash"].as_str().unwrap().starts_with(&id[2..]));
    let secret = made["key"].as_str().unwrap();
    for request in receiver.requests() {
        let body = String::from_utf8(request.body).unwrap();
        assert!(!body.contains(secret) && !body.contains("too heavy"), "{body}");
    }

    // Away, killed, and away in another way.
    receiver.refuse();
    for most in 30..40 {
        update(client, "p", most);
    }
    until("readiness says so", || {
        reasons(&policyd).contains("the webhook takes no audit records: cannot connect")
    });
    assert!(reasons(&policyd).contains("; audit record 6-"));
    policyd.kill();
    receiver.listen_again();
    receiver.set(Mode::Slow(Duration::from_secs(1), receiver::answer(204, "")));
    let policyd = place.start(Some(&receiver), &url, &[]);
    for most in 40..50 {
        update(&policyd.client, "p", most);
    }
    // An answer that came too late: the receiver has what is sent again.
    until("attempts fail", || {
        policyd.metric("llm_policy_webhook_answers_total{status=\"none\"}") >= 3
    });
    assert_eq!(policyd.metric(SENT), 0);
    receiver.take();
    until("all arrive", || audit(&receiver).len() == 24);
    assert_eq!(seqs(&receiver), (2..=25).collect::<Vec<_>>());
    until("readiness is good again", || {
        !reasons(&policyd).contains("webhook")
    });
    holds(&receiver);

    // A stop sends what is left, and the next start sends nothing twice.
    update(&policyd.client, "p", 50);
    policyd.terminate();
    let mut policyd = policyd;
    assert!(policyd.ended().0.success());
    assert_eq!(audit(&receiver).len(), 25);
    let requests = receiver.requests().len();
    let policyd = place.start(Some(&receiver), &url, &[]);
    update(&policyd.client, "p", 51);
    until("it arrives", || audit(&receiver).len() == 26);
    assert_eq!(receiver.requests().len(), requests + 1);
    assert_eq!(receiver.requests().pop().unwrap().events().len(), 1);
}

#[test]
fn what_is_not_known_to_have_been_sent_is_sent() {
    let (place, receiver) = (Place::new(), Receiver::start());
    let url = place.sqlite();
    let policyd = place.start(Some(&receiver), &url, &[("WEBHOOK_AUDIT", "all")]);
    for id in ["a", "b", "c"] {
        create(&policyd.client, id);
    }
    until("all arrive", || seqs(&receiver) == [1, 2, 3]);
    drop(policyd);
    let copy = std::fs::read(place.path("policies.db")).unwrap();
    let wal = std::fs::read(place.path("policies.db-wal")).unwrap_or_default();

    // A file that cannot be understood: all is sent again, under the ids that it had.
    std::fs::write(place.cursor(), "").unwrap();
    let before = receiver.requests().len();
    let policyd = place.start(Some(&receiver), &url, &[]);
    until("it is sent again", || {
        let again = receiver.requests().split_off(before);
        again.iter().map(|request| request.events().len()).sum::<usize>() == 3
    });
    assert!(
        policyd
            .logged()
            .contains("it is not known up to where the audit trail was sent")
    );
    assert_eq!(seqs(&receiver), [1, 2, 3]);
    create(&policyd.client, "d");
    create(&policyd.client, "e");
    until("it goes on", || {
        seqs(&receiver) == [1, 2, 3, 4, 5] && place.noted(5)
    });
    drop(policyd);

    // A database restored from a backup: what is written from then on has numbers that were there before, and ids that were not.
    std::fs::write(place.path("policies.db"), &copy).unwrap();
    std::fs::write(place.path("policies.db-wal"), &wal).unwrap();
    drop(std::fs::remove_file(place.path("policies.db-shm")));
    let policyd = place.start(Some(&receiver), &url, &[]);
    for id in ["f", "g", "h"] {
        create(&policyd.client, id);
    }
    until("all arrive", || audit(&receiver).len() == 8);
    assert!(
        policyd
            .logged()
            .contains("has not the record up to which it was sent")
    );
    assert_eq!(seqs(&receiver), [1, 2, 3, 4, 5, 4, 5, 6]);
    drop(policyd);

    // Another database.
    let policyd = place.start(Some(&receiver), "sqlite::memory:", &[]);
    create(&policyd.client, "z");
    until("it arrives", || audit(&receiver).len() == 9);
    assert_eq!(actions(&receiver)[8], "policy.create z");
    drop(policyd);

    // A file that cannot be read is no beginning.
    std::fs::remove_file(place.cursor()).unwrap();
    std::fs::create_dir(place.cursor()).unwrap();
    let settings = place.settings(Some(&receiver), &url, &[]);
    let settings: Vec<(&str, &str)> = settings
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    let (code, _, said) = finished(&settings, &[], Path::new(&place.path("")));
    assert!(
        code != 0 && said.contains("how far the audit trail was sent"),
        "{said}"
    );
}

#[test]
fn records_that_were_removed_are_counted_and_the_rest_is_sent() {
    let (place, receiver) = (Place::new(), Receiver::start());
    let url = place.sqlite();
    receiver.set(Mode::status(503, ""));
    let policyd = place.start(Some(&receiver), &url, &[]);
    for id in ["a", "b", "c", "d"] {
        create(&policyd.client, id);
    }
    drop(policyd);
    run(&url, "DELETE FROM audit WHERE seq IN (2, 3)");
    receiver.take();
    let policyd = place.start(Some(&receiver), &url, &[]);
    until("the rest arrives", || seqs(&receiver) == [1, 4]);
    until("they are counted", || policyd.metric(MISSING) == 2);
    assert!(policyd.logged().contains("are missing in the database"));
    // Also those that came before the last one that was sent.
    drop(policyd);
    run(&url, "DELETE FROM audit WHERE seq = 4");
    let policyd = place.start(Some(&receiver), &url, &[]);
    create(&policyd.client, "e");
    until("it arrives", || seqs(&receiver) == [1, 4, 5]);
    until("they are counted", || policyd.metric(MISSING) == 3);
}

#[test]
fn each_format_has_its_entries_and_can_do_without() {
    let place = Place::new();
    let url = place.sqlite();
    let receiver = Receiver::start();
    let policyd = place.start(Some(&receiver), &url, &[("WEBHOOK_FORMAT", "governance")]);
    create(&policyd.client, "p");
    policyd
        .client
        .json(
            "POST",
            "/api/v1/keys",
            &json!({"name": "ci", "roles": ["evaluator"]}),
        )
        .expect(201);
    until("both arrive, and that is noted", || {
        receiver.requests().len() == 2 && place.noted(2)
    });
    for (request, (action, kind, record)) in receiver.requests().iter().zip([
        ("policy.create", "policy", &trail(&policyd.client)[0]),
        ("key.create", "key", &trail(&policyd.client)[1]),
    ]) {
        assert!(request.is_signed_with(SECRET));
        let entry = &request.events()[0];
        assert_eq!(
            (&entry["action"], &entry["resource_type"]),
            (&json!(action), &json!(kind))
        );
        assert_eq!(entry["resource_id"], record["target"]);
        for name in [
            "seq",
            "actor",
            "detail",
            "requestId",
            "revision",
            "hash",
            "previous",
        ] {
            assert_eq!(entry["details"][name], record[name], "{name}");
        }
        assert_eq!(entry["details"]["timestamp"], record["at"]);
        assert_eq!(request.header("idempotency-key"), entry["details"]["event_id"]);
        assert_eq!(
            request.header("webhook-id"),
            entry["details"]["event_id"].as_str().unwrap()
        );
    }
    drop(policyd);

    for more in [("WEBHOOK_FORMAT", "costops"), ("WEBHOOK_AUDIT", "off")] {
        let receiver = Receiver::start();
        let policyd = place.start(Some(&receiver), &url, &[more]);
        update(&policyd.client, "p", 20 + u64::from(more.1 == "off"));
        policyd.terminate();
        let mut policyd = policyd;
        assert!(policyd.ended().0.success());
        assert_eq!(receiver.requests().len(), 0, "{more:?}");
    }

    // Turned on again, it goes on where it was.
    let receiver = Receiver::start();
    let _policyd = place.start(Some(&receiver), &url, &[("WEBHOOK_BATCH", "1")]);
    until("both arrive", || seqs(&receiver) == [3, 4]);
    assert!(
        receiver
            .requests()
            .iter()
            .all(|request| request.header("webhook-id") == request.events()[0]["id"])
    );
}

#[test]
fn a_record_that_is_refused_holds_up_no_decisions() {
    let (place, receiver) = (Place::new(), Receiver::start());
    let policyd = place.start(Some(&receiver), &place.sqlite(), &[]);
    receiver.set(Mode::Ask(Arc::new(|request| {
        let refused = request
            .events()
            .iter()
            .any(|event| event["data"]["target"] == "bad");
        if refused { 422 } else { 204 }
    })));
    for id in ["good", "bad", "later"] {
        create(&policyd.client, id);
    }
    until("the one before it arrives, and readiness names it", || {
        seqs(&receiver) == [1] && reasons(&policyd).contains("audit record 2-")
    });
    for _ in 0..5 {
        policyd.client.decide(&json!({"metadata": {"weight": 11}}));
    }
    until("decisions arrive", || receiver.events().len() == 6);
    assert_eq!(seqs(&receiver), [1], "and nothing is passed over");
    receiver.take();
    until("all arrive", || seqs(&receiver) == [1, 2, 3]);
}

#[test]
fn the_next_record_waits_until_the_place_is_on_disk() {
    let (place, receiver) = (Place::new(), Receiver::start());
    let policyd = place.start(Some(&receiver), &place.sqlite(), &[]);
    create(&policyd.client, "a");
    until("it arrives, and that is noted", || place.noted(1));
    // Nothing can be written where the new place is written first.
    let part = place.path("data/webhook-audit.part");
    std::fs::create_dir(&part).unwrap();
    create(&policyd.client, "b");
    until("readiness says so", || {
        reasons(&policyd).contains("webhook-audit.json cannot be written")
    });
    create(&policyd.client, "c");
    std::thread::sleep(Duration::from_millis(1500));
    let sent: Vec<usize> = receiver
        .requests()
        .iter()
        .map(|request| request.events().len())
        .collect();
    assert_eq!(
        (seqs(&receiver), sent),
        (vec![1, 2], vec![1, 1]),
        "and what was sent is not sent again"
    );
    std::fs::remove_dir(&part).unwrap();
    until("it goes on", || seqs(&receiver) == [1, 2, 3]);
    until("readiness is good again", || {
        !reasons(&policyd).contains("webhook")
    });
}

/// Two servers change one database at the same time, and each sends all that both did: a follower that asked between two commits would
/// miss one that came later with a lower number.
#[test]
fn two_writers_on_one_postgresql() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let Some(database) = runtime.block_on(postgres::Database::create()) else {
        return postgres::missing("two_writers_on_one_postgresql");
    };
    let url = database.url();
    let places = [Place::new(), Place::new()];
    let receivers = [Receiver::start(), Receiver::start()];
    let servers: Vec<Policyd> = places
        .iter()
        .zip(&receivers)
        .map(|(place, receiver)| place.start(Some(receiver), &url, &[("WEBHOOK_AUDIT", "all")]))
        .collect();
    let (writers, each) = (4, 40);
    std::thread::scope(|scope| {
        for writer in 0..writers {
            let client = servers[writer % 2].client.clone();
            scope.spawn(move || {
                for number in 0..each {
                    // Keys change nothing that is active, so that no writer has to try again.
                    let key = json!({"name": format!("{writer}-{number}"), "roles": ["evaluator"]});
                    client.json("POST", "/api/v1/keys", &key).expect(201);
                }
            });
        }
    });
    let all: Vec<u64> = (1..=(writers * each) as u64).collect();
    for receiver in &receivers {
        until("each receiver has all", || audit(receiver).len() == all.len());
        assert_eq!(seqs(receiver), all);
        holds(receiver);
    }
    let ids = |receiver: &Receiver| -> Vec<String> {
        audit(receiver)
            .iter()
            .map(|event| event["id"].to_string())
            .collect()
    };
    assert_eq!(
        ids(&receivers[0]),
        ids(&receivers[1]),
        "so that one receiver drops the second"
    );
    drop(servers);
    runtime.block_on(database.remove());
}

/// A number is never seen before the lower ones: whoever writes second waits until the first one is committed.
#[test]
fn a_writer_waits_for_the_one_before_on_postgresql() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let Some(database) = runtime.block_on(postgres::Database::create()) else {
        return postgres::missing("a_writer_waits_for_the_one_before_on_postgresql");
    };
    let url = database.url();
    let (place, receiver) = (Place::new(), Receiver::start());
    let policyd = place.start(Some(&receiver), &url, &[]);
    create(&policyd.client, "first");
    until("it arrives", || seqs(&receiver) == [1]);
    runtime.block_on(async {
        // A write that takes long: it has the number 2, and nothing of it is to be seen.
        let mut slow = sqlx::PgConnection::connect(&url).await.unwrap();
        for sql in [
            "BEGIN",
            "SELECT 1 FROM state WHERE id = 1 FOR UPDATE",
            "INSERT INTO audit (seq, at_ms, actor, action, target, namespace, request_id, detail, revision, previous, hash) \
             SELECT 2, at_ms, actor, action, 'slow', namespace, request_id, detail, revision, hash, sha256(hash) FROM audit WHERE seq = 1",
            "UPDATE state SET audit_seq = 2, audit_hash = (SELECT hash FROM audit WHERE seq = 2) WHERE id = 1",
        ] {
            slow.execute(sql).await.unwrap();
        }
        let done = Arc::new(AtomicBool::new(false));
        let (client, written) = (policyd.client.clone(), Arc::clone(&done));
        let quick = std::thread::spawn(move || {
            client.json("POST", "/api/v1/keys", &json!({"name": "quick", "roles": ["evaluator"]})).expect(201);
            written.store(true, Ordering::SeqCst);
        });
        // Longer than it takes until the follower looks again.
        tokio::time::sleep(Duration::from_millis(1500)).await;
        assert!(!done.load(Ordering::SeqCst), "the second writer waits");
        assert_eq!(seqs(&receiver), [1]);
        slow.execute("COMMIT").await.unwrap();
        quick.join().unwrap();
        slow.close().await.unwrap();
    });
    until("both arrive", || seqs(&receiver) == [1, 2, 3]);
    assert_eq!(audit(&receiver)[1]["data"]["target"], "slow");
    drop(policyd);
    runtime.block_on(database.remove());
}

#[test]
fn records_wait_for_a_database_that_is_away() {
    let Some(server) = postgres::Server::start() else {
        return postgres::missing("records_wait_for_a_database_that_is_away");
    };
    let url = server.url("postgres");
    let (place, receiver) = (Place::new(), Receiver::start());
    let policyd = place.start(Some(&receiver), &url, &[]);
    create(&policyd.client, "a");
    until("it arrives", || seqs(&receiver) == [1]);
    receiver.set(Mode::status(503, ""));
    create(&policyd.client, "b");
    server.crash();
    until("readiness says that the store is away", || {
        policyd.client.is("degraded")
    });
    receiver.take();
    // What was read before goes; what cannot be read is not taken for nothing.
    until("readiness says it of the trail", || {
        reasons(&policyd).contains("the webhook takes no audit records: the database")
    });
    server.resume();
    create_again(&policyd.client, "c");
    until("all arrive", || seqs(&receiver) == [1, 2, 3]);
    until("readiness is good again", || {
        !reasons(&policyd).contains("webhook")
    });
    holds(&receiver);
}

/// Creates a policy as soon as the database takes it.
fn create_again(client: &Client, id: &str) {
    until("the database takes a policy", || {
        client.json("POST", "/api/v1/policies", &policy(id, 10)).status == 201
    });
}
