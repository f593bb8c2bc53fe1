//! What happens when the disk is full, fails or is read-only for a while: `policyd` processes as they are shipped, under load.
//!
//! What has to hold: no decision that was acknowledged is missing in the log afterwards, and none is there twice; what was
//! written of policies is there and nothing else; readiness names what is away; all of it works again without a restart.
//!
//! A disk that is really full needs root, the other faults need `cc`, the spool needs PostgreSQL: where they are missing, the
//! tests say that they are skipped.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

#[path = "support/disk.rs"]
mod disk;
#[path = "support/postgres.rs"]
mod postgres;
#[path = "support/process.rs"]
mod process;

use disk::{BadDisk, Fault, SmallDisk, missing};
use process::{Client, Policyd, finished, until};
use serde_json::{Value, json};
use sqlx::Connection as _;
use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

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

fn body(id: &str) -> String {
    let context = json!({"llm": {"model": "m", "prompt": "hello"}, "metadata": {"weight": 11}});
    json!({"requestId": id, "context": context}).to_string()
}

/// Asks for decisions all the time, and notes which were acknowledged: an answer other than a decision (the log takes
/// nothing more, and the time of the request is over) is none.
struct Asking {
    stop: Arc<AtomicBool>,
    acknowledged: Arc<AtomicUsize>,
    threads: Vec<JoinHandle<Vec<String>>>,
}

impl Asking {
    fn start(client: &Client) -> Self {
        let (stop, acknowledged) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let threads = (0..2).map(|thread| {
            let (client, stop, acknowledged) = (client.clone(), Arc::clone(&stop), Arc::clone(&acknowledged));
            std::thread::spawn(move || {
                let mut ids = Vec::new();
                for n in 0.. {
                    if stop.load(Ordering::SeqCst) {
                        break;
                    }
                    let id = format!("asked-{thread}-{n}");
                    let answer = client
                        .try_send("POST", "/api/v1/evaluate", "application/json", &body(&id))
                        .unwrap();
                    match answer.status {
                        200 => {
                            assert_eq!(answer.body["decision"]["decision"], "deny", "{}", answer.body);
                            ids.push(id);
                            acknowledged.fetch_add(1, Ordering::SeqCst);
                        }
                        503 | 504 => {}
                        status => panic!("{status}: {}", answer.body),
                    }
                    std::thread::sleep(Duration::from_millis(1));
                }
                ids
            })
        });
        let threads = threads.collect();
        let asking = Self {
            stop,
            acknowledged,
            threads,
        };
        asking.goes_on("the load has begun");
        asking
    }

    fn goes_on(&self, what: &str) {
        let before = self.acknowledged.load(Ordering::SeqCst);
        until(what, || {
            self.acknowledged.load(Ordering::SeqCst) > before + 20
                || self.threads.iter().any(JoinHandle::is_finished)
        });
    }

    /// Request ids of the decisions that were acknowledged, those of each who asked in their order.
    fn finish(self) -> Vec<Vec<String>> {
        self.stop.store(true, Ordering::SeqCst);
        let threads = self.threads.into_iter();
        threads
            .map(|thread| {
                thread
                    .join()
                    .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
            })
            .collect()
    }
}

/// Every acknowledged decision is logged, and every logged one once, those of one who asked in their order.
fn nothing_is_lost(acknowledged: &[Vec<String>], logged: &[String], place: &str) {
    let once: BTreeSet<&String> = logged.iter().collect();
    assert_eq!(once.len(), logged.len(), "{place}: one is there twice");
    for ids in acknowledged {
        let own: BTreeSet<&String> = ids.iter().collect();
        let kept: Vec<&String> = logged.iter().filter(|id| own.contains(id)).collect();
        assert_eq!(
            kept.len(),
            ids.len(),
            "{place}: acknowledged decisions are missing"
        );
        assert!(kept.into_iter().eq(ids), "{place}: another order");
    }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
}

const LOGGED: &str = "SELECT request_id FROM decisions ORDER BY seq";

fn in_sqlite(file: &Path) -> Vec<String> {
    runtime().block_on(async {
        let url = format!("sqlite:{}", file.display());
        let mut connection = sqlx::SqliteConnection::connect(&url).await.unwrap();
        sqlx::query_scalar(LOGGED)
            .fetch_all(&mut connection)
            .await
            .unwrap()
    })
}

fn in_postgres(url: &str) -> Vec<String> {
    runtime().block_on(async {
        let mut connection = sqlx::PgConnection::connect(url).await.unwrap();
        sqlx::query_scalar(LOGGED)
            .fetch_all(&mut connection)
            .await
            .unwrap()
    })
}

fn in_file(file: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(file).unwrap();
    let id = |line: &str| {
        serde_json::from_str::<Value>(line).unwrap()["requestId"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    text.lines().map(id).collect()
}

fn nothing_waits(policyd: &Policyd) {
    until("every decision is written", || {
        policyd.metric("llm_policy_decision_log_queue") == 0
            && policyd.metric("llm_policy_decision_log_spool_bytes") == 0
    });
}

/// What is counted as lost.
fn dropped(policyd: &Policyd) -> u64 {
    ["overflow", "closed", "refused", "shutdown", "torn", "damaged"]
        .iter()
        .map(|reason| {
            policyd.metric(&format!(
                "llm_policy_decision_log_dropped_total{{reason=\"{reason}\"}}"
            ))
        })
        .sum()
}

/// `policyd` on SQLite in a folder whose disk fails twice and comes back, under load. Decisions go to the database, and to a
/// file beside it where `file` says so.
fn outlives(
    folder: &Path,
    file: bool,
    settings: &[(&str, &str)],
    fail: impl Fn(),
    mend: impl Fn(),
    named: &[&str],
) {
    let (database, lines) = (folder.join("policyd.db"), folder.join("decisions.jsonl"));
    let url = format!("sqlite:{}", database.display());
    let sinks = if file {
        format!("file:{},store", lines.display())
    } else {
        "store".to_owned()
    };
    let mut all = vec![
        ("DATABASE_URL", url.as_str()),
        ("DECISION_LOG", sinks.as_str()),
        ("REQUEST_TIMEOUT", "5s"),
    ];
    all.extend(settings);
    let policyd = Policyd::start(&all);
    let client = &policyd.client;
    client
        .json("POST", "/api/v1/policies", &policy("limit", 10, 1))
        .expect(201);
    let asking = Asking::start(client);
    let mut version = 1;
    for _ in 0..2 {
        until("readiness knows that all is well", || client.is("ready"));
        fail();
        until("readiness names the store and the log", || {
            let ready = policyd.admin.ready();
            let reasons = ready["reasons"].to_string();
            ready["status"] == "degraded"
                && ready["dependencies"]["store"] == "down"
                && reasons.contains("store: takes no writes")
                && reasons.contains("takes no decisions")
                && named.iter().any(|reason| reasons.contains(reason))
        });
        assert_eq!(client.get("/readyz").status, 200);

        // On a disk that is really full there may be room for one or another that is small.
        until("a policy is not taken", || {
            let next = policy("limit", 10, version + 1);
            let answer = client.json("PUT", "/api/v1/policies/limit", &next);
            if answer.status == 200 {
                version += 1;
                return false;
            }
            assert_eq!(answer.expect(503)["code"], "store_unavailable");
            true
        });
        // Nothing of what was refused is there, and what was active goes on deciding.
        let found = client.get("/api/v1/policies/limit").expect(200);
        assert_eq!(
            (&found["version"], &found["activeVersion"]),
            (&json!(version), &json!(version))
        );
        let dry = json!({"context": {"metadata": {"weight": 11}}, "dryRun": true});
        let decided = client.json("POST", "/api/v1/evaluate", &dry).expect(200);
        assert_eq!(
            decided["decision"]["reason"],
            format!("number {version}"),
            "{decided}"
        );

        mend();
        let back = until("all is well again", || client.is("ready"));
        println!("ready {back:?} after the disk was back");
        asking.goes_on("decisions are acknowledged again");
        version += 1;
        let written = client
            .json("PUT", "/api/v1/policies/limit", &policy("limit", 10, version))
            .expect(200);
        assert_eq!(written["version"], version, "{written}");
    }
    let acknowledged = asking.finish();
    nothing_waits(&policyd);
    assert_eq!(dropped(&policyd), 0);
    nothing_is_lost(&acknowledged, &in_sqlite(&database), "SQLite");
    if file {
        nothing_is_lost(&acknowledged, &in_file(&lines), "file");
    }
    println!("{} decisions", acknowledged.iter().map(Vec::len).sum::<usize>());
    let (code, stdout, stderr) = finished(&all[..1], &["audit", "verify"], folder);
    assert_eq!(code, 0, "{stdout}{stderr}");
    assert!(
        stdout.starts_with(&format!("{version} records, unbroken")),
        "{stdout}"
    );
    // And once more after a restart.
    drop(policyd);
    let policyd = Policyd::start(&all);
    assert_eq!(
        policyd.client.get("/api/v1/policies/limit").expect(200)["version"],
        version
    );
}

/// A queue that holds a second of the load, so that those who ask come to wait for it.
const SHORT_QUEUE: (&str, &str) = ("DECISION_LOG_QUEUE", "200");

#[test]
fn a_full_disk_loses_nothing_and_needs_no_restart() {
    let test = "a_full_disk_loses_nothing_and_needs_no_restart";
    // The log of SQLite takes 64 MB before it is written back.
    let Some(disk) = SmallDisk::mount(256) else {
        return missing(test, "nothing can be mounted");
    };
    outlives(
        disk.path(),
        false,
        &[SHORT_QUEUE],
        || disk.fill(),
        || disk.free(),
        &["full"],
    );
}

#[test]
fn a_file_on_a_full_disk_loses_nothing() {
    let Some(disk) = SmallDisk::mount(8) else {
        return missing("a_file_on_a_full_disk_loses_nothing", "nothing can be mounted");
    };
    let file = disk.path().join("decisions.jsonl");
    let sink = format!("file:{}", file.display());
    let policyd = Policyd::start(&[("DECISION_LOG", &sink), ("REQUEST_TIMEOUT", "5s"), SHORT_QUEUE]);
    let client = &policyd.client;
    client
        .json("POST", "/api/v1/policies", &policy("limit", 10, 1))
        .expect(201);
    let asking = Asking::start(client);
    for _ in 0..2 {
        disk.fill();
        until("readiness names the file", || {
            let ready = policyd.admin.ready();
            ready["dependencies"]["store"] == "up"
                && ready["reasons"]
                    .to_string()
                    .contains("file takes no decisions: No space left on device")
        });
        disk.free();
        until("all is well again", || client.is("ready"));
        asking.goes_on("decisions are acknowledged again");
    }
    let acknowledged = asking.finish();
    nothing_waits(&policyd);
    assert_eq!(dropped(&policyd), 0);
    nothing_is_lost(&acknowledged, &in_file(&file), "file");
}

/// Request ids of the decisions in segments, in the order in which they were made.
fn in_segments(settings: &[(&str, &str)], directory: &Path) -> Vec<String> {
    let (code, stdout, stderr) = finished(settings, &["decisions", "export"], directory);
    assert_eq!(code, 0, "{stderr}");
    let mut ids: Vec<String> = stdout
        .lines()
        .map(|line| {
            serde_json::from_str::<Value>(line).unwrap()["requestId"]
                .as_str()
                .unwrap()
                .to_owned()
        })
        .collect();
    ids.reverse();
    ids
}

#[test]
fn segments_on_a_full_disk_lose_nothing() {
    let Some(disk) = SmallDisk::mount(64) else {
        return missing("segments_on_a_full_disk_lose_nothing", "nothing can be mounted");
    };
    let settings = [
        ("DATA_DIR", disk.path().to_str().unwrap()),
        ("DATABASE_URL", "sqlite::memory:"),
        ("DECISION_LOG", "segments"),
        ("DECISION_LOG_SEAL_AFTER", "300ms"),
        ("DECISION_LOG_SEAL_BYTES", "1MB"),
        ("REQUEST_TIMEOUT", "5s"),
        SHORT_QUEUE,
    ];
    let policyd = Policyd::start(&settings);
    let client = &policyd.client;
    client
        .json("POST", "/api/v1/policies", &policy("limit", 10, 1))
        .expect(201);
    let asking = Asking::start(client);
    for _ in 0..2 {
        disk.fill();
        until("readiness names the disk", || {
            policyd.admin.ready()["reasons"]
                .to_string()
                .contains("No space left on device")
        });
        disk.free();
        until("all is well again", || client.is("ready"));
        asking.goes_on("decisions are acknowledged again");
    }
    let acknowledged = asking.finish();
    nothing_waits(&policyd);
    assert_eq!(dropped(&policyd), 0);
    let logged = in_segments(&settings, disk.path());
    nothing_is_lost(&acknowledged, &logged, "segments");
    drop(policyd);
    assert_eq!(
        in_segments(&settings, disk.path()),
        logged,
        "after the end as before"
    );
}

/// Asks for decisions until `policyd` is gone; gives the ids of those that were acknowledged, in their order.
fn ask_until_killed(client: &Client, of: &str) -> JoinHandle<Vec<String>> {
    let (client, of) = (client.clone(), of.to_owned());
    std::thread::spawn(move || {
        let mut ids = Vec::new();
        for n in 0.. {
            let id = format!("{of}-{n}");
            match client.try_send("POST", "/api/v1/evaluate", "application/json", &body(&id)) {
                Ok(answer) if answer.status == 200 => ids.push(id),
                _ => break,
            }
        }
        ids
    })
}

/// Killed at any moment of writing, sealing and moving: what was written is there, once, and so is all that comes later.
#[test]
fn a_kill_under_load_loses_nothing_of_segments_that_was_written() {
    let data = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", data.path().join("policyd.db").display());
    let settings = [
        ("DATA_DIR", data.path().to_str().unwrap()),
        ("DATABASE_URL", url.as_str()),
        ("DECISION_LOG", "segments"),
        ("DECISION_LOG_SEAL_AFTER", "50ms"),
        ("DECISION_LOG_SEAL_BYTES", "1MB"),
    ];
    let mut all = Vec::new();
    let mut least = 0;
    for round in 0..6 {
        let policyd = match round {
            0 => Policyd::start(&settings),
            _ => Policyd::launch(&settings),
        };
        if round == 0 {
            policyd
                .client
                .json("POST", "/api/v1/policies", &policy("limit", 10, 1))
                .expect(201);
        }
        until("the server is ready", || policyd.client.is("ready"));
        let asking: Vec<_> = (0..2)
            .map(|thread| ask_until_killed(&policyd.client, &format!("round-{round}-{thread}")))
            .collect();
        let written = || policyd.metric(r#"llm_policy_decision_log_written_total{sink="segments"}"#);
        until("some are written", || written() > 100 + 77 * round);
        least += written();
        policyd.kill();
        all.extend(asking.into_iter().map(|thread| thread.join().unwrap()));
    }
    let logged = in_segments(&settings, data.path());
    println!(
        "{} of {} decisions",
        logged.len(),
        all.iter().map(Vec::len).sum::<usize>()
    );
    assert!(
        logged.len() as u64 >= least,
        "{} of {least} that were written",
        logged.len()
    );
    // Of each who asked, the first ones without a gap; the last ones were in the queue. The answer to one may have been lost.
    let mut kept = Vec::new();
    for asked in &all {
        let own: BTreeSet<&String> = asked.iter().collect();
        let of_it = logged.iter().filter(|id| own.contains(id)).count();
        kept.push(asked.iter().take(of_it).cloned().collect());
    }
    nothing_is_lost(&kept, &logged, "segments");

    // The same after the next start, where all of it is sealed.
    let policyd = Policyd::launch(&settings);
    until("the server is ready", || policyd.client.is("ready"));
    nothing_waits(&policyd);
    assert_eq!(in_segments(&settings, data.path()), logged);
}

fn a_bad_disk_loses_nothing(test: &str, fault: Fault, named: &[&str]) {
    let Some(disk) = BadDisk::new() else {
        return missing(test, "no cc");
    };
    let mut settings = disk.settings().to_vec();
    settings.push(SHORT_QUEUE);
    outlives(
        disk.path(),
        true,
        &settings,
        || disk.fail(fault),
        || disk.mend(),
        named,
    );
}

#[test]
fn a_failing_sync_loses_nothing_and_needs_no_restart() {
    let test = "a_failing_sync_loses_nothing_and_needs_no_restart";
    a_bad_disk_loses_nothing(test, Fault::Sync, &["disk I/O error"]);
}

#[test]
fn a_failing_disk_loses_nothing_and_needs_no_restart() {
    let test = "a_failing_disk_loses_nothing_and_needs_no_restart";
    a_bad_disk_loses_nothing(test, Fault::Io, &["disk I/O error"]);
}

#[test]
fn a_read_only_disk_loses_nothing_and_needs_no_restart() {
    let test = "a_read_only_disk_loses_nothing_and_needs_no_restart";
    // SQLite says what it tried when it came upon it.
    let named = ["Read-only file system", "readonly database", "disk I/O error"];
    a_bad_disk_loses_nothing(test, Fault::ReadOnly, &named);
}

#[test]
fn a_full_disk_below_the_library_loses_nothing_either() {
    let test = "a_full_disk_below_the_library_loses_nothing_either";
    a_bad_disk_loses_nothing(test, Fault::Full, &["full"]);
}

/// The spool on a disk that fails while PostgreSQL is away.
fn a_spool_loses_nothing(test: &str, fault: Fault) {
    let Some(server) = postgres::Server::start() else {
        return postgres::missing(test);
    };
    let Some(disk) = BadDisk::new() else {
        return missing(test, "no cc");
    };
    let url = server.url("postgres");
    let mut settings = disk.settings().to_vec();
    settings.extend([
        ("DATABASE_URL", url.as_str()),
        ("DATA_DIR", disk.path().to_str().unwrap()),
        ("REQUEST_TIMEOUT", "5s"),
        SHORT_QUEUE,
    ]);
    let policyd = Policyd::start(&settings);
    let client = &policyd.client;
    client
        .json("POST", "/api/v1/policies", &policy("limit", 10, 1))
        .expect(201);
    let asking = Asking::start(client);
    server.crash();
    until("decisions wait on disk", || {
        policyd.metric("llm_policy_decision_log_spool_bytes") > 0
    });
    for _ in 0..2 {
        disk.fail(fault);
        until("readiness names the spool", || {
            let reasons = policyd.admin.ready()["reasons"].to_string();
            reasons.contains("spool takes no decisions") && reasons.contains("store: cannot be reached")
        });
        disk.mend();
        asking.goes_on("decisions are acknowledged again");
        until("the spool takes them again", || {
            !policyd.admin.ready()["reasons"]
                .to_string()
                .contains("spool takes no decisions")
        });
    }
    // Both are away, and PostgreSQL comes back first.
    disk.fail(fault);
    until("readiness names the spool", || {
        policyd.admin.ready()["reasons"]
            .to_string()
            .contains("spool takes no decisions")
    });
    server.resume();
    until("PostgreSQL is asked again", || {
        client.ready()["dependencies"]["store"] == "up"
    });
    disk.mend();
    until("all is well again", || client.is("ready"));
    asking.goes_on("decisions are acknowledged again");
    let acknowledged = asking.finish();
    nothing_waits(&policyd);
    assert_eq!(dropped(&policyd), 0);
    nothing_is_lost(&acknowledged, &in_postgres(&url), "PostgreSQL");
}

#[test]
fn a_spool_on_a_full_disk_loses_nothing() {
    a_spool_loses_nothing("a_spool_on_a_full_disk_loses_nothing", Fault::Full);
}

#[test]
fn a_spool_that_cannot_be_synced_loses_nothing() {
    a_spool_loses_nothing("a_spool_that_cannot_be_synced_loses_nothing", Fault::Sync);
}

#[test]
fn a_spool_on_a_read_only_disk_loses_nothing() {
    a_spool_loses_nothing("a_spool_on_a_read_only_disk_loses_nothing", Fault::ReadOnly);
}

#[test]
fn a_server_that_cannot_write_does_not_start_and_says_why() {
    let Some(disk) = BadDisk::new() else {
        return missing("a_server_that_cannot_write_does_not_start_and_says_why", "no cc");
    };
    let url = format!("sqlite:{}", disk.path().join("policyd.db").display());
    let mut settings = disk.settings().to_vec();
    settings.push(("DATABASE_URL", &url));
    for (fault, reason) in [
        (Fault::ReadOnly, "Read-only file system"),
        (Fault::Full, "No space left on device"),
    ] {
        disk.fail(fault);
        let (code, _, stderr) = finished(&settings, &[], disk.path());
        assert!(
            code == 1 && stderr.contains(reason) && stderr.contains("policyd.db"),
            "{code}: {stderr}"
        );
    }
    disk.mend();
    Policyd::start(&settings);
}

#[test]
fn what_is_kept_is_for_the_owner_only() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o777)).unwrap();
    let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (url, sinks) = (
        format!("sqlite:{}", at("policyd.db")),
        format!("store,file:{}", at("d.jsonl")),
    );
    let settings = [("DATABASE_URL", url.as_str()), ("DECISION_LOG", sinks.as_str())];
    // With a umask that takes nothing away.
    let policyd = Policyd::start_with_umask("000", &settings);
    policyd
        .client
        .json("POST", "/api/v1/policies", &policy("limit", 10, 1))
        .expect(201);
    let answer = policyd
        .client
        .try_send("POST", "/api/v1/evaluate", "application/json", &body("one"));
    answer.unwrap().expect(200);
    nothing_waits(&policyd);
    let export = at("export.jsonl");
    let (code, _, stderr) = finished(
        &settings,
        &["decisions", "export", "--output", &export],
        folder.path(),
    );
    assert_eq!(code, 0, "{stderr}");
    let (code, _, stderr) = finished(
        &settings,
        &["decisions", "export", "--output", &export],
        folder.path(),
    );
    assert!(
        code == 1 && stderr.contains("export.jsonl"),
        "one that is there is not overwritten: {stderr}"
    );
    let names = [
        "policyd.db",
        "policyd.db-wal",
        "policyd.db-shm",
        "policyd.db.lock",
        "d.jsonl",
        "export.jsonl",
    ];
    for name in names {
        let mode = std::fs::metadata(at(name)).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{name}: {mode:o}");
    }
    assert_eq!(in_file(Path::new(&export)), ["one"]);
    // And nothing else is there.
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), names.len());
}
