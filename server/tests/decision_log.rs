//! The decision log on real sinks: files, SQLite and PostgreSQL. What is accepted is written, whatever happens to the sink;
//! what is not written is counted, exactly.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "support/postgres.rs"]
mod postgres;

use bytes::Bytes;
use policy_server::decisions::config::{self, Kept, Sink};
use policy_server::decisions::{Entry, Log, LogError, LogTask, MAX_BYTES, Reader, Seal, export};
use policy_server::storage::Store;
use policy_server::storage::model::{DecisionFilter, DecisionRecord, Page};
use policy_server::storage::postgres::Postgres;
use policy_server::storage::sqlite::Sqlite;
use policy_server::telemetry::Metrics;
use serde_json::Value;
use sqlx::{Connection as _, Executor as _, SqliteConnection};
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tokio::runtime::Handle;
use tokio::time::timeout;

const LONG: Duration = Duration::from_secs(30);
const SHORT: Duration = Duration::from_millis(200);

fn settings(sinks: Vec<Sink>, queue: usize, block: bool) -> config::Config {
    config::Config {
        sinks,
        context: Kept::Masked,
        masks: vec!["llm.prompt".to_owned()],
        queue,
        block,
        spool: None,
        segments: None,
        webhook: None,
        retention: Duration::ZERO,
        keys: Vec::new(),
    }
}

fn now() -> i64 {
    jiff::Timestamp::now().as_millisecond()
}

fn record(id: impl ToString) -> DecisionRecord {
    DecisionRecord {
        seq: 0,
        id: None,
        request_id: id.to_string(),
        at_ms: now(),
        namespace: "global".to_owned(),
        subject: "gateway".to_owned(),
        decision: "deny".to_owned(),
        reason: Some("`the plan` is not for jane@example.com".to_owned()),
        matched_rules: vec!["p/r".to_owned()],
        matched_policies: vec!["p".to_owned()],
        errors: 0,
        revision: "sha256:aa".to_owned(),
        duration_ns: 1500,
        cached: false,
        context: None,
    }
}

fn entry_of(record: DecisionRecord) -> Entry {
    let context = format!(
        r#"{{"llm": {{"prompt": "the plan", "model": "m"}}, "metadata": {{"n": "{}"}}}}"#,
        record.request_id
    );
    Entry {
        record: Box::new(record),
        context: Some(Bytes::from(context)),
        owner: anybody(),
    }
}

fn owner(n: usize) -> [u8; 32] {
    let mut owner = [0; 32];
    owner[..8].copy_from_slice(&n.to_be_bytes());
    owner
}

/// Somebody who never asked before: nobody's part of the queue is in the way.
fn anybody() -> [u8; 32] {
    static LAST: AtomicUsize = AtomicUsize::new(1 << 32);
    owner(LAST.fetch_add(1, Ordering::Relaxed))
}

fn entry(id: impl ToString) -> Entry {
    entry_of(record(id))
}

/// Value of a series.
fn metric(metrics: &Metrics, series: &str) -> u64 {
    let text = metrics.encode();
    let value = text
        .lines()
        .find_map(|line| line.strip_prefix(series)?.strip_prefix(' ')?.parse::<f64>().ok());
    value.map_or(0, |value| value as u64)
}

fn dropped(metrics: &Metrics, reason: &str) -> u64 {
    metric(
        metrics,
        &format!("llm_policy_decision_log_dropped_total{{reason=\"{reason}\"}}"),
    )
}

fn written(metrics: &Metrics, sink: &str) -> u64 {
    metric(
        metrics,
        &format!("llm_policy_decision_log_written_total{{sink=\"{sink}\"}}"),
    )
}

fn errors(metrics: &Metrics, sink: &str) -> u64 {
    metric(
        metrics,
        &format!("llm_policy_decision_log_errors_total{{sink=\"{sink}\"}}"),
    )
}

fn lines(path: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(path).unwrap();
    assert!(text.is_empty() || text.ends_with('\n'));
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn ids(lines: &[Value]) -> BTreeSet<String> {
    let ids: BTreeSet<String> = lines
        .iter()
        .map(|line| line["requestId"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(ids.len(), lines.len(), "one of them is there twice");
    ids
}

async fn stored(store: &dyn Store) -> Vec<DecisionRecord> {
    let mut all = Vec::new();
    let mut page = Page {
        limit: 500,
        after: None,
    };
    loop {
        let slice = store.decisions(&DecisionFilter::default(), &page).await.unwrap();
        all.extend(slice.items);
        match slice.next {
            Some(next) => page.after = Some(next),
            None => return all,
        }
    }
}

async fn until(what: &str, mut done: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !done() {
        assert!(begin.elapsed() < LONG, "waited in vain until {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// A log to a file, not running yet.
fn to_file(path: &Path, queue: usize, block: bool) -> (Arc<Metrics>, Log, LogTask) {
    let metrics = Arc::new(Metrics::new());
    let config = settings(vec![Sink::File(path.to_owned())], queue, block);
    let (log, task) = Log::start(&config, None, &metrics, None).unwrap();
    (metrics, log, task)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_recorded_before_the_flush_is_in_the_file() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("d.jsonl");
    // A small queue: most of them have to wait for a place.
    let (metrics, log, task) = to_file(&path, 16, true);
    let running = tokio::spawn(task.run());
    let mut jobs = Vec::new();
    for job in 0..6 {
        let log = log.clone();
        jobs.push(tokio::spawn(async move {
            for n in 0..500 {
                log.record(entry(format!("a{job}-{n}"))).await;
            }
        }));
    }
    for job in 0..2 {
        let log = log.clone();
        let runtime = Handle::current();
        jobs.push(tokio::task::spawn_blocking(move || {
            for n in 0..250 {
                runtime.block_on(log.record(entry(format!("b{job}-{n}"))));
            }
        }));
    }
    for job in jobs {
        job.await.unwrap();
    }
    assert_eq!(log.flush(LONG).await, 0);
    running.await.unwrap();
    let lines = lines(&path);
    assert_eq!(ids(&lines).len(), 3500);
    assert_eq!(written(&metrics, "file"), 3500);
    assert_eq!(metric(&metrics, "llm_policy_decision_log_queue"), 0);
    assert_eq!(lines[0]["context"]["llm"]["prompt"], "[masked]");
    assert_eq!(lines[0]["reason"], "`[masked]` is not for [EMAIL]");

    // What comes later is refused and counted; nobody waits.
    log.record(entry("late")).await;
    assert!(log.try_record(entry("later")).is_ok());
    log.record(entry("latest")).await;
    assert_eq!(dropped(&metrics, "closed"), 3);
    assert_eq!(log.flush(LONG).await, 0);
}

#[tokio::test]
async fn overflow_drops_and_counts_exactly() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("d.jsonl");
    let (metrics, log, task) = to_file(&path, 5, false);
    for n in 0..12 {
        log.record(entry(n)).await;
    }
    assert_eq!(log.pending(), 5);
    assert_eq!(dropped(&metrics, "overflow"), 7);
    assert_eq!(metric(&metrics, "llm_policy_decision_log_queue"), 5);
    assert_eq!(metric(&metrics, "llm_policy_decision_log_capacity"), 5);
    tokio::spawn(task.run());
    assert_eq!(log.flush(LONG).await, 0);
    let expected: BTreeSet<String> = (0..5).map(|n| n.to_string()).collect();
    assert_eq!(ids(&lines(&path)), expected);
    assert_eq!(written(&metrics, "file") + dropped(&metrics, "overflow"), 12);
}

/// Whatever one caller asks for while the sinks are slow: half of the queue is for others, in decisions and in bytes.
#[tokio::test]
async fn one_caller_has_half_of_the_queue() {
    let by = |who: usize, entry: Entry| Entry {
        owner: owner(who),
        ..entry
    };
    for block in [true, false] {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("d.jsonl");
        // Not running yet: a sink that takes nothing.
        let (metrics, log, task) = to_file(&path, 8, block);
        let mut floods = Vec::new();
        for n in 0..20 {
            let (log, entry) = (log.clone(), by(1, entry(format!("flood-{n}"))));
            let flood = tokio::spawn(async move { log.record(entry).await });
            if n < 4 {
                flood.await.unwrap();
            } else {
                floods.push(flood);
            }
        }
        tokio::time::sleep(SHORT).await;
        assert_eq!(log.pending(), 4);
        for n in 0..4 {
            let others = log.record(by(2, entry(format!("other-{n}"))));
            assert!(timeout(LONG, others).await.is_ok(), "others wait for nobody");
        }
        assert_eq!(log.pending(), 8);
        assert!(floods.iter().all(|flood| flood.is_finished() != block));
        tokio::spawn(task.run());
        for flood in floods {
            flood.await.unwrap();
        }
        assert_eq!(log.flush(LONG).await, 0);
        let (all, lost) = if block { (24, 0) } else { (8, 16) };
        let written = ids(&lines(&path));
        assert_eq!((written.len(), dropped(&metrics, "overflow")), (all, lost));
        assert_eq!(written.iter().filter(|id| id.starts_with("other")).count(), 4);
    }
}

#[tokio::test]
async fn one_caller_has_half_of_the_memory() {
    let directory = tempfile::tempdir().unwrap();
    let (_metrics, log, task) = to_file(&directory.path().join("d.jsonl"), 100, true);
    let context = Bytes::from(format!(r#"{{"x":"{}"}}"#, "x".repeat(MAX_BYTES / 8 * 3)));
    let large = |who, context: &Bytes| Entry {
        context: Some(context.clone()),
        owner: owner(who),
        ..entry(who)
    };
    log.record(large(1, &context)).await;
    assert!(timeout(SHORT, log.record(large(1, &context))).await.is_err());
    let others = log.record(large(2, &context));
    assert!(timeout(LONG, others).await.is_ok(), "others wait for nobody");
    // One that is larger than half has to be alone, and fits.
    drop((log, task));
    let (_metrics, log, _task) = to_file(&directory.path().join("d.jsonl"), 100, true);
    let larger = Bytes::from(vec![b' '; MAX_BYTES / 4 * 3]);
    assert!(timeout(LONG, log.record(large(1, &larger))).await.is_ok());
}

#[tokio::test]
async fn overflow_blocks_until_there_is_a_place() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("d.jsonl");
    let (metrics, log, task) = to_file(&path, 5, true);
    for n in 0..5 {
        log.record(entry(n)).await;
    }
    assert_eq!(
        log.try_record(entry("back"))
            .unwrap_err()
            .record
            .read()
            .request_id,
        "back"
    );
    // A caller who goes away while waiting takes the decision along.
    assert!(timeout(SHORT, log.record(entry("gone"))).await.is_err());
    let waiting = tokio::spawn({
        let log = log.clone();
        async move { log.record(entry("waits")).await }
    });
    tokio::time::sleep(SHORT).await;
    assert!(!waiting.is_finished());
    assert_eq!(log.pending(), 5);
    tokio::spawn(task.run());
    waiting.await.unwrap();
    assert_eq!(log.flush(LONG).await, 0);
    let expected: BTreeSet<String> = ["0", "1", "2", "3", "4", "waits"].map(str::to_owned).into();
    assert_eq!(ids(&lines(&path)), expected);
    for reason in ["overflow", "closed", "refused", "shutdown"] {
        assert_eq!(dropped(&metrics, reason), 0, "{reason}");
    }
}

#[test]
fn evaluations_that_wait_on_every_blocking_thread_do_not_stop_the_writer() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .max_blocking_threads(2)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("d.jsonl");
        let (_, log, task) = to_file(&path, 1, true);
        let jobs: Vec<_> = (0..2)
            .map(|job| {
                let (log, runtime) = (log.clone(), Handle::current());
                tokio::task::spawn_blocking(move || {
                    for n in 0..50 {
                        runtime.block_on(log.record(entry(format!("{job}-{n}"))));
                    }
                })
            })
            .collect();
        tokio::time::sleep(SHORT).await;
        tokio::spawn(task.run());
        for job in jobs {
            timeout(LONG, job).await.unwrap().unwrap();
        }
        assert_eq!(log.flush(LONG).await, 0);
        assert_eq!(ids(&lines(&path)).len(), 100);
    });
}

/// The log of a process of its own, whose standard output can be read; without the variable, nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn child_that_writes_to_stdout() {
    if std::env::var_os("DECISION_LOG_CHILD").is_none() {
        return;
    }
    let metrics = Metrics::new();
    let config = settings(vec![Sink::Stdout], 100, true);
    let (log, task) = Log::start(&config, None, &metrics, None).unwrap();
    tokio::spawn(task.run());
    for n in 0..50 {
        log.record(entry(n)).await;
    }
    assert_eq!(log.flush(LONG).await, 0);
    assert_eq!(written(&metrics, "stdout"), 50);
}

#[test]
fn standard_output_gets_lines_of_json() {
    let output = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child_that_writes_to_stdout", "--nocapture"])
        .env("DECISION_LOG_CHILD", "1")
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    // The test harness of the child writes there as well.
    let lines: Vec<Value> = text
        .lines()
        .filter_map(|line| serde_json::from_str(&line[line.find('{')?..]).ok())
        .collect();
    assert_eq!(ids(&lines).len(), 50);
}

#[tokio::test]
async fn large_answers_are_bounded_by_bytes() {
    let directory = tempfile::tempdir().unwrap();
    let (metrics, log, _task) = to_file(&directory.path().join("d.jsonl"), 1000, false);
    let reason = "x".repeat(MAX_BYTES / 4);
    for n in 0..6 {
        let large = DecisionRecord {
            reason: Some(reason.clone()),
            ..record(n)
        };
        let large = Entry {
            record: Box::new(large),
            context: None,
            owner: anybody(),
        };
        log.record(large).await;
    }
    assert_eq!((log.pending(), dropped(&metrics, "overflow")), (4, 2));
}

#[tokio::test]
async fn large_contexts_are_bounded_by_bytes() {
    let directory = tempfile::tempdir().unwrap();
    let (metrics, log, task) = to_file(&directory.path().join("d.jsonl"), 1000, false);
    let context = Bytes::from(vec![b' '; MAX_BYTES / 4]);
    for n in 0..6 {
        let large = Entry {
            context: Some(context.clone()),
            ..entry(n)
        };
        log.record(large).await;
    }
    assert_eq!((log.pending(), dropped(&metrics, "overflow")), (4, 2));
    // Small ones without a context still find a place.
    let small = Entry {
        context: None,
        ..entry("small")
    };
    log.record(small).await;
    assert_eq!(log.pending(), 5);
    drop(task);
    assert_eq!(log.flush(SHORT).await, 5);
    assert_eq!(dropped(&metrics, "shutdown"), 5);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_may_be_rotated_away() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("d.jsonl");
    let (metrics, log, task) = to_file(&path, 100, true);
    tokio::spawn(task.run());
    let mut rotated = Vec::new();
    for round in 0..5 {
        for n in 0..20 {
            log.record(entry(format!("{round}-{n}"))).await;
        }
        if round % 2 == 0 {
            // Between two batches; otherwise in the middle of whatever happens.
            until("it is written", || written(&metrics, "file") == (round + 1) * 20).await;
        }
        let away = directory.path().join(format!("d.{round}"));
        if path.exists() {
            std::fs::rename(&path, &away).unwrap();
            rotated.push(away);
        }
    }
    log.record(entry("last")).await;
    assert_eq!(log.flush(LONG).await, 0);
    rotated.push(path);
    let all: Vec<Value> = rotated.iter().flat_map(|path| lines(path)).collect();
    assert_eq!(ids(&all).len(), 101);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_cannot_be_written_holds_decisions_back_and_gets_all_of_them() {
    let directory = tempfile::tempdir().unwrap();
    let inner = directory.path().join("inner");
    std::fs::create_dir(&inner).unwrap();
    let path = inner.join("d.jsonl");
    let (metrics, log, task) = to_file(&path, 10, true);
    tokio::spawn(task.run());
    std::fs::rename(&inner, directory.path().join("away")).unwrap();
    for n in 0..8 {
        log.record(entry(n)).await;
    }
    until("it fails", || errors(&metrics, "file") > 2).await;
    assert_eq!((log.pending(), written(&metrics, "file")), (8, 0));
    std::fs::create_dir(&inner).unwrap();
    assert_eq!(log.flush(LONG).await, 0);
    assert_eq!(ids(&lines(&path)).len(), 8);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_locked_sqlite_holds_decisions_back_and_gets_all_of_them() {
    let directory = tempfile::tempdir().unwrap();
    let database = directory.path().join("policyd.db");
    let file = directory.path().join("d.jsonl");
    let store: Arc<dyn Store> = Arc::new(Sqlite::open(&database, 2).await.unwrap());
    let metrics = Arc::new(Metrics::new());
    let config = settings(vec![Sink::File(file.clone()), Sink::Store], 10, true);
    let (log, task) = Log::start(&config, Some(Arc::clone(&store)), &metrics, None).unwrap();
    tokio::spawn(task.run());

    let url = format!("sqlite:{}", database.display());
    let mut other = SqliteConnection::connect(&url).await.unwrap();
    other.execute("BEGIN IMMEDIATE").await.unwrap();
    log.record(entry("first")).await;
    until("the file has it", || written(&metrics, "file") == 1).await;
    let mut accepted = 1;
    while timeout(SHORT, log.record(entry(accepted))).await.is_ok() {
        accepted += 1;
    }
    // One batch on its way, another one that is ready, and a full queue.
    assert!((11..=511).contains(&accepted), "{accepted}");
    assert_eq!(log.pending(), accepted);
    until("the database refuses", || errors(&metrics, "store") > 0).await;
    other.execute("ROLLBACK").await.unwrap();

    for n in 0..100 {
        log.record(entry(format!("after-{n}"))).await;
    }
    assert_eq!(log.flush(LONG).await, 0);
    let stored: BTreeSet<String> = stored(&*store)
        .await
        .into_iter()
        .map(|record| record.request_id)
        .collect();
    assert_eq!(stored.len() as u64, accepted + 100);
    assert_eq!(ids(&lines(&file)), stored, "each sink has all of them once");
    assert_eq!(written(&metrics, "store"), accepted + 100);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_may_crash_while_decisions_are_made() {
    let Some(server) = tokio::task::spawn_blocking(postgres::Server::start)
        .await
        .unwrap()
    else {
        return postgres::missing("postgres_may_crash_while_decisions_are_made");
    };
    let settings_of = policy_server::storage::config::Postgres::by_url(server.url("postgres").into());
    let store: Arc<dyn Store> = Arc::new(Postgres::connect(&settings_of, 4).unwrap());
    let metrics = Arc::new(Metrics::new());
    let config = settings(vec![Sink::Store], 50, true);
    let (log, task) = Log::start(&config, Some(Arc::clone(&store)), &metrics, None).unwrap();
    tokio::spawn(task.run());
    let (enough, decided) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let deciding = tokio::spawn({
        let (log, enough, decided) = (log.clone(), Arc::clone(&enough), Arc::clone(&decided));
        async move {
            while !enough.load(Ordering::Relaxed) {
                log.record(entry(decided.load(Ordering::Relaxed))).await;
                decided.fetch_add(1, Ordering::Relaxed);
            }
        }
    });
    until("some are written", || written(&metrics, "store") > 100).await;
    let server = tokio::task::spawn_blocking(|| {
        server.crash();
        server
    })
    .await
    .unwrap();
    until("the crash is noticed", || errors(&metrics, "store") > 1).await;
    until("the queue is full, and those who decide wait", || {
        let before = decided.load(Ordering::Relaxed);
        std::thread::sleep(Duration::from_millis(100));
        decided.load(Ordering::Relaxed) == before
    })
    .await;
    assert!(!deciding.is_finished());
    enough.store(true, Ordering::Relaxed);
    let server = tokio::task::spawn_blocking(|| {
        server.resume();
        server
    })
    .await
    .unwrap();
    deciding.await.unwrap();
    let decided = decided.load(Ordering::Relaxed);
    assert_eq!(log.flush(LONG).await, 0);
    let stored = stored(&*store).await;
    let ids: BTreeSet<&str> = stored.iter().map(|record| record.request_id.as_str()).collect();
    assert_eq!((stored.len(), ids.len()), (decided, decided));
    store.close().await;
    tokio::task::spawn_blocking(|| drop(server)).await.unwrap();
}

/// A server of its own, and a handle on it.
async fn own_postgres(test: &str) -> Option<(Arc<postgres::Server>, Arc<dyn Store>)> {
    let Some(server) = tokio::task::spawn_blocking(postgres::Server::start)
        .await
        .unwrap()
    else {
        postgres::missing(test);
        return None;
    };
    let url = policy_server::storage::config::Postgres::by_url(server.url("postgres").into());
    let store: Arc<dyn Store> = Arc::new(Postgres::connect(&url, 4).unwrap());
    // Up to date before anything happens to it.
    while store.ping().await.is_err() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Some((Arc::new(server), store))
}

async fn crash(server: &Arc<postgres::Server>) {
    let server = Arc::clone(server);
    tokio::task::spawn_blocking(move || server.crash()).await.unwrap();
}

async fn resume(server: &Arc<postgres::Server>) {
    let server = Arc::clone(server);
    tokio::task::spawn_blocking(move || server.resume())
        .await
        .unwrap();
}

fn spooled_settings(directory: &Path, queue: usize, block: bool, bytes: u64) -> config::Config {
    config::Config {
        spool: Some(config::Spool {
            directory: directory.join("decisions-spool"),
            bytes,
            required: true,
        }),
        ..settings(vec![Sink::Store], queue, block)
    }
}

/// Request ids in the order in which they were stored; each once.
async fn stored_in_order(store: &dyn Store) -> Vec<String> {
    let mut all = stored(store).await;
    all.sort_by_key(|record| record.seq);
    let ids: Vec<String> = all.into_iter().map(|record| record.request_id).collect();
    assert_eq!(
        ids.iter().collect::<BTreeSet<_>>().len(),
        ids.len(),
        "one of them is there twice"
    );
    ids
}

fn numbers(numbers: std::ops::Range<usize>) -> Vec<String> {
    numbers.map(|n| n.to_string()).collect()
}

const SPOOLED: &str = "llm_policy_decision_log_spooled_total";
const REPLAYED: &str = "llm_policy_decision_log_replayed_total";
const SPOOL_BYTES: &str = "llm_policy_decision_log_spool_bytes";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_outage_holds_nobody_up_and_all_decisions_arrive_once_and_in_order() {
    let test = "an_outage_holds_nobody_up_and_all_decisions_arrive_once_and_in_order";
    let Some((server, store)) = own_postgres(test).await else {
        return;
    };
    let directory = tempfile::tempdir().unwrap();
    let metrics = Arc::new(Metrics::new());
    // A queue that would be full at once.
    let config = spooled_settings(directory.path(), 50, true, 64 << 20);
    let (log, task) = Log::start(&config, Some(Arc::clone(&store)), &metrics, None).unwrap();
    tokio::spawn(task.run());
    let (mut next, mut slowest) = (0, Duration::ZERO);
    for _ in 0..2 {
        for away in [false, true] {
            if away {
                crash(&server).await;
            }
            for _ in 0..2000 {
                let begin = Instant::now();
                log.record(entry(next)).await;
                slowest = slowest.max(begin.elapsed());
                next += 1;
            }
            if away {
                until("all of it is on disk", || log.pending() == 0).await;
                assert!(log.on_disk() > 0);
                assert_eq!(metric(&metrics, SPOOL_BYTES), log.on_disk());
            }
        }
        let end = next + 500;
        let (deciding, deciding_log) = (next..end, log.clone());
        let deciding = tokio::spawn(async move {
            // What comes while the spool is emptied goes behind it.
            for n in deciding {
                deciding_log.record(entry(n)).await;
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        });
        resume(&server).await;
        deciding.await.unwrap();
        next = end;
        until("the spool is empty", || log.on_disk() == 0).await;
    }
    assert_eq!(log.flush(LONG).await, 0);
    println!("{next} decisions, the slowest waited {slowest:?}");
    // `REQUEST_TIMEOUT` is 10 s, and PostgreSQL was away for longer than any one waited.
    assert!(slowest < Duration::from_secs(3), "{slowest:?}");
    assert_eq!(stored_in_order(&*store).await, numbers(0..next));
    assert_eq!(written(&metrics, "store"), next as u64);
    assert!(metric(&metrics, SPOOLED) >= 4000);
    assert_eq!(metric(&metrics, SPOOLED), metric(&metrics, REPLAYED));
    assert_eq!(metric(&metrics, SPOOL_BYTES), 0);
    for reason in ["overflow", "closed", "refused", "shutdown", "damaged", "torn"] {
        assert_eq!(dropped(&metrics, reason), 0, "{reason}");
    }
    store.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_on_disk_outlives_the_process_and_damage_is_counted() {
    let Some((server, store)) =
        own_postgres("what_is_on_disk_outlives_the_process_and_damage_is_counted").await
    else {
        return;
    };
    let directory = tempfile::tempdir().unwrap();
    let config = spooled_settings(directory.path(), 1000, true, 64 << 20);
    crash(&server).await;
    let metrics = Arc::new(Metrics::new());
    let (log, task) = Log::start(&config, Some(Arc::clone(&store)), &metrics, None).unwrap();
    let running = tokio::spawn(task.run());
    for n in 0..300 {
        log.record(entry(n)).await;
    }
    until("all of it is on disk", || log.pending() == 0).await;
    // As a kill: nothing is told, nothing is finished.
    running.abort();
    assert!(running.await.unwrap_err().is_cancelled());
    drop(log);

    let folder = &config.spool.as_ref().unwrap().directory;
    let mut segments: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "v3"))
        .collect();
    segments.sort();
    let mut bytes = std::fs::read(&segments[0]).unwrap();
    let needle = b"\"n\":\"7\"";
    let at = bytes
        .windows(needle.len())
        .position(|window| window == needle)
        .unwrap();
    bytes[at] ^= 1;
    std::fs::write(&segments[0], bytes).unwrap();
    let last = segments.last().unwrap();
    let file = std::fs::OpenOptions::new().write(true).open(last).unwrap();
    file.set_len(file.metadata().unwrap().len() - 1).unwrap();

    // Once more without the database: nothing that is not stored is removed.
    let metrics = Arc::new(Metrics::new());
    let begin = Instant::now();
    // A process that is killed takes its threads along; here one may be at work a moment longer.
    let (log, task) = loop {
        match Log::start(&config, Some(Arc::clone(&store)), &metrics, None) {
            Ok(started) => break started,
            Err(error) => assert!(begin.elapsed() < LONG, "{error}"),
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    };
    tokio::spawn(task.run());
    assert_eq!(metric(&metrics, SPOOL_BYTES), log.on_disk());
    until("the database is asked", || errors(&metrics, "store") > 0).await;
    log.record(entry(300)).await;
    until("it is on disk", || log.pending() == 0).await;
    let begin = Instant::now();
    assert_eq!(log.flush(LONG).await, 0);
    assert!(begin.elapsed() < Duration::from_secs(10), "{:?}", begin.elapsed());
    assert!(log.on_disk() > 0);
    drop(log);

    let metrics = Arc::new(Metrics::new());
    let (log, task) = Log::start(&config, Some(Arc::clone(&store)), &metrics, None).unwrap();
    tokio::spawn(task.run());
    resume(&server).await;
    until("the spool is empty", || log.on_disk() == 0).await;
    let mut expected = numbers(0..301);
    expected.retain(|id| id != "7" && id != "299");
    assert_eq!(stored_in_order(&*store).await, expected);
    assert_eq!((dropped(&metrics, "damaged"), dropped(&metrics, "torn")), (1, 1));
    assert_eq!(log.flush(LONG).await, 0);
    store.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flush_without_the_database_puts_the_queue_on_disk() {
    let Some((server, store)) = own_postgres("a_flush_without_the_database_puts_the_queue_on_disk").await
    else {
        return;
    };
    let directory = tempfile::tempdir().unwrap();
    let config = spooled_settings(directory.path(), 2000, true, 64 << 20);
    crash(&server).await;
    let mut next = 0;
    for (count, grace) in [(1500, LONG), (100, Duration::ZERO)] {
        let metrics = Arc::new(Metrics::new());
        let (log, task) = Log::start(&config, Some(Arc::clone(&store)), &metrics, None).unwrap();
        for n in next..next + count {
            log.record(entry(n)).await;
        }
        next += count;
        let running = tokio::spawn(task.run());
        let begin = Instant::now();
        // Also where there is no time at all: a disk is quick.
        assert_eq!(log.flush(grace).await, 0);
        assert!(begin.elapsed() < Duration::from_secs(10), "{:?}", begin.elapsed());
        running.await.unwrap();
        assert_eq!(dropped(&metrics, "shutdown"), 0);
    }
    resume(&server).await;
    let metrics = Arc::new(Metrics::new());
    let (log, task) = Log::start(&config, Some(Arc::clone(&store)), &metrics, None).unwrap();
    tokio::spawn(task.run());
    while store.ping().await.is_err() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    // While the database takes it, a flush gives it what is on disk as well.
    assert_eq!(log.flush(LONG).await, 0);
    until("the spool is empty", || log.on_disk() == 0).await;
    assert_eq!(stored_in_order(&*store).await, numbers(0..next));
    store.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_spool_blocks_or_drops_as_the_queue_does() {
    let Some((server, store)) = own_postgres("a_full_spool_blocks_or_drops_as_the_queue_does").await else {
        return;
    };
    const MOST: u64 = 1 << 20;
    let full = |log: &Log| log.on_disk() >= MOST / 10 * 9 && log.pending() >= 10;
    let large = |n: usize| {
        let context = format!(r#"{{"metadata": {{"n": "{}"}}}}"#, "word ".repeat(2000));
        Entry {
            context: Some(Bytes::from(context)),
            ..entry(n)
        }
    };
    let mut accepted = 0;
    for block in [true, false] {
        let directory = tempfile::tempdir().unwrap();
        let metrics = Arc::new(Metrics::new());
        let config = spooled_settings(directory.path(), 10, block, MOST);
        let (log, task) = Log::start(&config, Some(Arc::clone(&store)), &metrics, None).unwrap();
        tokio::spawn(task.run());
        crash(&server).await;
        let before = accepted;
        let begin = Instant::now();
        if block {
            // A slow disk makes a decision wait as well, before there is no room.
            loop {
                match timeout(Duration::from_secs(3), log.record(large(accepted))).await {
                    Ok(()) => accepted += 1,
                    Err(_) if full(&log) => break,
                    Err(_) => {}
                }
                assert!(begin.elapsed() < LONG, "it never blocks");
            }
        } else {
            let mut seen = 0;
            // A slow disk drops some before there is no room.
            while dropped(&metrics, "overflow") < 20 || !full(&log) {
                log.record(large(accepted)).await;
                let overflow = dropped(&metrics, "overflow");
                // One at a time, so that it is known which one was dropped.
                if overflow == seen {
                    accepted += 1;
                }
                seen = overflow;
                tokio::time::sleep(Duration::from_millis(1)).await;
                assert!(begin.elapsed() < LONG, "it never drops");
            }
        }
        assert!(accepted - before > 90, "{accepted}");
        assert!(log.on_disk() <= MOST, "{}", log.on_disk());
        resume(&server).await;
        until("the spool is empty", || log.on_disk() == 0 && log.pending() == 0).await;
        assert_eq!(log.flush(LONG).await, 0);
        assert_eq!(stored_in_order(&*store).await, numbers(0..accepted));
    }
    store.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_record_that_is_refused_does_not_hold_up_what_waits_on_disk() {
    let directory = tempfile::tempdir().unwrap();
    let database = directory.path().join("policyd.db");
    let store: Arc<dyn Store> = Arc::new(Sqlite::open(&database, 2).await.unwrap());
    let url = format!("sqlite:{}", database.display());
    let mut other = SqliteConnection::connect(&url).await.unwrap();
    other
        .execute(
            "CREATE TRIGGER refuse BEFORE INSERT ON decisions WHEN NEW.request_id = '13' \
             BEGIN SELECT RAISE(ABORT, 'not this one'); END",
        )
        .await
        .unwrap();
    let metrics = Arc::new(Metrics::new());
    let config = spooled_settings(directory.path(), 100, true, 64 << 20);
    let (log, task) = Log::start(&config, Some(Arc::clone(&store)), &metrics, None).unwrap();
    for n in 0..40 {
        log.record(entry(n)).await;
    }
    tokio::spawn(task.run());
    until("the others are stored", || written(&metrics, "store") == 39).await;
    until("nothing waits", || log.on_disk() == 0).await;
    assert_eq!(dropped(&metrics, "refused"), 1);
    // A database that is locked is one that is away.
    other.execute("BEGIN IMMEDIATE").await.unwrap();
    for n in 40..60 {
        log.record(entry(n)).await;
    }
    until("they are on disk", || log.pending() == 0).await;
    assert!(log.on_disk() > 0);
    other.execute("ROLLBACK").await.unwrap();
    until("nothing waits", || log.on_disk() == 0).await;
    assert_eq!(log.flush(LONG).await, 0);
    let mut expected = numbers(0..60);
    expected.retain(|id| id != "13");
    assert_eq!(stored_in_order(&*store).await, expected);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_read_for_now_is_stored_later_and_holds_up_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let database = directory.path().join("policyd.db");
    let store: Arc<dyn Store> = Arc::new(Sqlite::open(&database, 2).await.unwrap());
    let url = format!("sqlite:{}", database.display());
    let mut other = SqliteConnection::connect(&url).await.unwrap();
    other.execute("BEGIN IMMEDIATE").await.unwrap();
    let config = spooled_settings(directory.path(), 100, true, 64 << 20);
    let metrics = Arc::new(Metrics::new());
    let (log, task) = Log::start(&config, Some(Arc::clone(&store)), &metrics, None).unwrap();
    for n in 0..10 {
        log.record(entry(n)).await;
    }
    tokio::spawn(task.run());
    assert_eq!(log.flush(LONG).await, 0);
    assert!(log.on_disk() > 0);
    drop(log);
    other.execute("ROLLBACK").await.unwrap();

    // In its place is something that nobody can read.
    let folder = &config.spool.as_ref().unwrap().directory;
    let segment = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find(|path| path.extension().is_some_and(|ending| ending == "v3"))
        .unwrap();
    let aside = directory.path().join("aside");
    std::fs::rename(&segment, &aside).unwrap();
    std::fs::create_dir(&segment).unwrap();
    let metrics = Arc::new(Metrics::new());
    let (log, task) = Log::start(&config, Some(Arc::clone(&store)), &metrics, None).unwrap();
    tokio::spawn(task.run());
    for n in 10..20 {
        log.record(entry(n)).await;
    }
    until("the others are stored", || written(&metrics, "store") == 10).await;
    assert!(log.on_disk() > 0);
    until("it is said that it cannot be read", || {
        log.failing()
            .iter()
            .any(|reason| reason.starts_with("spool takes no decisions"))
    })
    .await;
    std::fs::remove_dir(&segment).unwrap();
    std::fs::rename(&aside, &segment).unwrap();
    until("nothing waits", || log.on_disk() == 0).await;
    assert_eq!(log.failing(), [] as [String; 0]);
    assert_eq!(log.flush(LONG).await, 0);
    let expected = [numbers(10..20), numbers(0..10)].concat();
    assert_eq!(stored_in_order(&*store).await, expected);
    for reason in ["overflow", "closed", "refused", "shutdown", "damaged", "torn"] {
        assert_eq!(dropped(&metrics, reason), 0, "{reason}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flush_does_not_wait_for_a_database_that_hangs() {
    let directory = tempfile::tempdir().unwrap();
    let database = directory.path().join("policyd.db");
    let store: Arc<dyn Store> = Arc::new(Sqlite::open(&database, 2).await.unwrap());
    let url = format!("sqlite:{}", database.display());
    let mut other = SqliteConnection::connect(&url).await.unwrap();
    // Its answer comes after the five seconds that SQLite waits for a lock.
    other.execute("BEGIN IMMEDIATE").await.unwrap();
    let metrics = Arc::new(Metrics::new());
    let config = spooled_settings(directory.path(), 100, true, 64 << 20);
    let (log, task) = Log::start(&config, Some(Arc::clone(&store)), &metrics, None).unwrap();
    for n in 0..10 {
        log.record(entry(n)).await;
    }
    tokio::spawn(task.run());
    let begin = Instant::now();
    assert_eq!(log.flush(LONG).await, 0);
    assert!(begin.elapsed() < Duration::from_secs(4), "{:?}", begin.elapsed());
    assert!(log.on_disk() > 0);
    other.execute("ROLLBACK").await.unwrap();
    drop(log);
    let (log, task) = Log::start(&config, Some(Arc::clone(&store)), &metrics, None).unwrap();
    tokio::spawn(task.run());
    until("nothing waits", || log.on_disk() == 0).await;
    assert_eq!(log.flush(LONG).await, 0);
    assert_eq!(stored_in_order(&*store).await, numbers(0..10));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_decision_that_is_larger_than_the_spool_waits_for_the_database() {
    let directory = tempfile::tempdir().unwrap();
    let database = directory.path().join("policyd.db");
    let store: Arc<dyn Store> = Arc::new(Sqlite::open(&database, 2).await.unwrap());
    let url = format!("sqlite:{}", database.display());
    let mut other = SqliteConnection::connect(&url).await.unwrap();
    let metrics = Arc::new(Metrics::new());
    let config = spooled_settings(directory.path(), 100, true, 1000);
    let (log, task) = Log::start(&config, Some(Arc::clone(&store)), &metrics, None).unwrap();
    other.execute("BEGIN IMMEDIATE").await.unwrap();
    let large = format!(r#"{{"metadata": {{"n": "{}"}}}}"#, "word ".repeat(500));
    for n in 0..3 {
        let context = (n == 1).then(|| Bytes::from(large.clone()));
        let entry = entry(n);
        log.record(Entry {
            context: context.or(entry.context.clone()),
            ..entry
        })
        .await;
    }
    tokio::spawn(task.run());
    until("the first is on disk", || log.on_disk() > 0).await;
    tokio::time::sleep(SHORT).await;
    assert_eq!((log.pending(), metric(&metrics, SPOOLED)), (3, 1));
    other.execute("ROLLBACK").await.unwrap();
    until("nothing waits", || log.on_disk() == 0 && log.pending() == 0).await;
    assert_eq!(log.flush(LONG).await, 0);
    assert_eq!(stored_in_order(&*store).await, numbers(0..3));
}

#[tokio::test]
async fn a_folder_that_cannot_be_had_is_an_error_where_it_was_asked_for() {
    let directory = tempfile::tempdir().unwrap();
    let store: Arc<dyn Store> = Arc::new(Sqlite::in_memory().await.unwrap());
    let metrics = Metrics::new();
    let start = |config: &config::Config| Log::start(config, Some(Arc::clone(&store)), &metrics, None);
    let with = |directory: &Path, required, bytes| {
        let mut config = spooled_settings(directory, 10, true, bytes);
        config.spool.as_mut().unwrap().required = required;
        config
    };
    // A file where the folder should be: nobody's permissions help.
    let file = directory.path().join("file");
    std::fs::write(&file, "").unwrap();
    match start(&with(&file, true, 1 << 20)) {
        Err(error @ LogError::Spool(..)) => {
            let text = error.to_string();
            assert!(
                text.contains("DECISION_LOG_SPOOL") && text.contains("file/decisions-spool"),
                "{text}"
            );
        }
        other => panic!("{other:?}"),
    }
    let (log, task) = start(&with(&file, false, 1 << 20)).unwrap();
    tokio::spawn(task.run());
    log.record(entry(0)).await;
    assert_eq!(log.flush(LONG).await, 0);
    assert_eq!(
        metric(&metrics, "llm_policy_decision_log_spool_capacity_bytes"),
        0
    );
    // One that another server has is an error in any case.
    let first = start(&with(directory.path(), false, 1 << 20)).unwrap();
    for required in [true, false] {
        match start(&with(directory.path(), required, 1 << 20)) {
            Err(error @ LogError::Spool(..)) => assert!(error.to_string().contains("DATA_DIR"), "{error}"),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(
        metric(&metrics, "llm_policy_decision_log_spool_capacity_bytes"),
        1 << 20
    );
    drop(first);
    start(&with(directory.path(), true, 1 << 20)).map(drop).unwrap();
    // Off, it takes nothing.
    let other = directory.path().join("other");
    start(&with(&other, true, 0)).map(drop).unwrap();
    assert!(!other.exists());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flush_that_runs_out_of_time_says_how_many_are_missing() {
    let directory = tempfile::tempdir().unwrap();
    let database = directory.path().join("policyd.db");
    let store: Arc<dyn Store> = Arc::new(Sqlite::open(&database, 2).await.unwrap());
    let metrics = Arc::new(Metrics::new());
    let config = settings(vec![Sink::Store], 100, true);
    let (log, task) = Log::start(&config, Some(Arc::clone(&store)), &metrics, None).unwrap();
    let running = tokio::spawn(task.run());
    for n in 0..10 {
        log.record(entry(n)).await;
    }
    until("they are written", || written(&metrics, "store") == 10).await;
    let url = format!("sqlite:{}", database.display());
    let mut other = SqliteConnection::connect(&url).await.unwrap();
    other.execute("BEGIN IMMEDIATE").await.unwrap();
    for n in 10..17 {
        log.record(entry(n)).await;
    }
    let begin = Instant::now();
    assert_eq!(log.flush(SHORT).await, 7);
    assert!(begin.elapsed() < Duration::from_secs(2), "{:?}", begin.elapsed());
    running.await.unwrap();
    assert_eq!(dropped(&metrics, "shutdown"), 7);
    assert_eq!(log.flush(SHORT).await, 0, "counted once");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_record_that_the_database_refuses_does_not_hold_up_the_others() {
    let directory = tempfile::tempdir().unwrap();
    let database = directory.path().join("policyd.db");
    let store: Arc<dyn Store> = Arc::new(Sqlite::open(&database, 2).await.unwrap());
    let url = format!("sqlite:{}", database.display());
    let mut other = SqliteConnection::connect(&url).await.unwrap();
    other
        .execute(
            "CREATE TRIGGER refuse BEFORE INSERT ON decisions WHEN NEW.request_id = '13' \
             BEGIN SELECT RAISE(ABORT, 'not this one'); END",
        )
        .await
        .unwrap();
    let metrics = Arc::new(Metrics::new());
    let config = settings(vec![Sink::Store], 100, true);
    let (log, task) = Log::start(&config, Some(Arc::clone(&store)), &metrics, None).unwrap();
    for n in 0..40 {
        log.record(entry(n)).await;
    }
    tokio::spawn(task.run());
    assert_eq!(log.flush(LONG).await, 0);
    assert_eq!(stored(&*store).await.len(), 39);
    assert_eq!(
        (dropped(&metrics, "refused"), written(&metrics, "store")),
        (1, 39)
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_id_that_is_used_again_hides_no_decision() {
    let store: Arc<dyn Store> = Arc::new(Sqlite::in_memory().await.unwrap());
    let metrics = Metrics::new();
    let config = settings(vec![Sink::Store], 2000, true);
    let (log, task) = Log::start(&config, Some(Arc::clone(&store)), &metrics, None).unwrap();
    let at_ms = now();
    for n in 0..1200 {
        let record = DecisionRecord {
            at_ms,
            duration_ns: n,
            ..record("same")
        };
        log.record(entry_of(record)).await;
    }
    tokio::spawn(task.run());
    assert_eq!(log.flush(LONG).await, 0);
    let stored = stored(&*store).await;
    assert_eq!(stored.len(), 1200);
    // Nor does it move one in time.
    assert!(stored.iter().all(|decision| decision.at_ms == at_ms));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn contexts_are_sealed_in_every_sink_and_opened_by_an_export() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("d.jsonl");
    let store: Arc<dyn Store> = Arc::new(Sqlite::in_memory().await.unwrap());
    let metrics = Metrics::new();
    let seal: Seal = Arc::new(|text, data| {
        // Reversed: enough to see that no plaintext passes, and what it is bound to.
        let hidden: String = text.chars().rev().collect();
        Ok(format!("enc:v1:{data}|{hidden}"))
    });
    let config = settings(vec![Sink::Store, Sink::File(file.clone())], 2000, true);
    let (log, task) = Log::start(&config, Some(Arc::clone(&store)), &metrics, Some(seal)).unwrap();
    tokio::spawn(task.run());
    for n in 0..1234 {
        log.record(entry(n)).await;
    }
    assert_eq!(log.flush(LONG).await, 0);
    let text = std::fs::read_to_string(&file).unwrap();
    assert!(!text.contains("metadata") && text.contains("enc:v1:decision:0:"));

    let open = |text: &str, data: &str| {
        let hidden = text
            .strip_prefix(&format!("enc:v1:{data}|"))
            .ok_or("bound to another")?;
        Ok(hidden.chars().rev().collect())
    };
    let mut out = Vec::new();
    let filter = DecisionFilter::default();
    let count = export(&Reader::Store(Arc::clone(&store)), &filter, Some(&open), &mut out)
        .await
        .unwrap();
    let exported: Vec<Value> = String::from_utf8(out)
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!((count, ids(&exported).len()), (1234, 1234));
    assert_eq!(exported[0]["requestId"], "1233", "newest first");
    assert_eq!(exported[0]["context"]["metadata"]["n"], "1233");
    assert_eq!(exported[0]["context"]["llm"]["prompt"], "[masked]");

    let mut closed = Vec::new();
    let one = DecisionFilter {
        to_ms: Some(0),
        ..filter.clone()
    };
    assert_eq!(
        export(&Reader::Store(Arc::clone(&store)), &one, None, &mut closed)
            .await
            .unwrap(),
        0
    );
    assert_eq!(
        export(&Reader::Store(Arc::clone(&store)), &filter, None, &mut closed)
            .await
            .unwrap(),
        1234
    );
    assert!(
        !String::from_utf8(closed).unwrap().contains("[masked]\","),
        "still sealed"
    );
    let wrong = |_: &str, _: &str| Err("no such key".to_owned());
    assert!(
        export(
            &Reader::Store(Arc::clone(&store)),
            &filter,
            Some(&wrong),
            &mut Vec::new()
        )
        .await
        .is_err()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ids_of_any_kind_are_stored_and_stay_bound_to_their_contexts() {
    let store: Arc<dyn Store> = Arc::new(Sqlite::in_memory().await.unwrap());
    let metrics = Metrics::new();
    let seal: Seal = Arc::new(|_, data| Ok(format!("enc:v1:{data}")));
    let config = settings(vec![Sink::Store], 2000, true);
    let (log, task) = Log::start(&config, Some(Arc::clone(&store)), &metrics, Some(seal)).unwrap();
    tokio::spawn(task.run());
    // Two that differ only where they are cut, and what PostgreSQL has no letters for.
    let ids = [
        "é".repeat(400),
        format!("{}x", "é".repeat(399)),
        "nul\0\0".to_owned(),
        String::new(),
    ];
    for id in &ids {
        log.record(entry(id)).await;
    }
    assert_eq!(log.flush(LONG).await, 0);
    let open = |text: &str, data: &str| match text == format!("enc:v1:{data}") {
        true => Ok("{}".to_owned()),
        false => Err(format!("{data} is not what it was sealed with")),
    };
    let filter = DecisionFilter::default();
    let count = export(
        &Reader::Store(Arc::clone(&store)),
        &filter,
        Some(&open),
        &mut Vec::new(),
    )
    .await
    .unwrap();
    assert_eq!(count, 4);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn old_decisions_are_removed_even_where_the_log_is_off() {
    let store: Arc<dyn Store> = Arc::new(Sqlite::in_memory().await.unwrap());
    let record = |id: String, at_ms| DecisionRecord { at_ms, ..record(id) };
    let old: Vec<DecisionRecord> = (0..2500)
        .map(|n| record(format!("old-{n}"), now() - 60_000))
        .collect();
    store.append_decisions(&old).await.unwrap();
    store
        .append_decisions(&[record("new".to_owned(), now())])
        .await
        .unwrap();
    let metrics = Metrics::new();
    let mut config = settings(Vec::new(), 10, true);
    config.retention = Duration::from_secs(30);
    let (log, task) = Log::start(&config, Some(Arc::clone(&store)), &metrics, None).unwrap();
    assert!(!log.is_on());
    let running = tokio::spawn(task.run());
    log.record(entry("nowhere")).await;
    until("they are gone", || {
        metric(&metrics, "llm_policy_decision_log_pruned_total") == 2500
    })
    .await;
    let left = stored(&*store).await;
    assert_eq!(left.len(), 1);
    assert_eq!(left[0].request_id, "new");
    assert_eq!(log.flush(LONG).await, 0);
    running.await.unwrap();
    assert_eq!(dropped(&metrics, "closed"), 0);
}

#[tokio::test]
async fn what_cannot_work_is_refused_at_the_start() {
    let metrics = Metrics::new();
    let start = |config: &config::Config| Log::start(config, None, &metrics, None).map(drop);
    assert!(matches!(
        start(&settings(vec![Sink::Store], 1, true)),
        Err(LogError::NoStore)
    ));
    let nowhere = Sink::File("/nowhere/at/all/d.jsonl".into());
    assert!(matches!(
        start(&settings(vec![nowhere], 1, true)),
        Err(LogError::File(..))
    ));
    let mut keys = settings(vec![Sink::Stdout], 1, true);
    keys.keys = vec![("k1".to_owned(), Box::new([7; 32]).into())];
    assert!(matches!(start(&keys), Err(LogError::NoSeal)));
}
