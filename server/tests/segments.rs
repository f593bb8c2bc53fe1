//! The decision log in Parquet segments: what was written is there once, whatever is sealed, moved, pruned or killed
//! meanwhile, and queries give what the database gives for the same decisions.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use bytes::Bytes;
use policy_server::decisions::config::{self, Kept, Sink};
use policy_server::decisions::{Entry, Log, Reader, Segments, export, migrate};
use policy_server::storage::Store;
use policy_server::storage::model::{DecisionFilter, DecisionRecord, Page};
use policy_server::storage::sqlite::Sqlite;
use policy_server::telemetry::Metrics;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

const LONG: Duration = Duration::from_secs(60);
/// 2026-01-01T00:00:00Z.
const NEW_YEAR: i64 = 1_767_225_600_000;

fn segments(directory: &Path) -> config::Segments {
    config::Segments {
        journal: directory.join("journal"),
        bytes: 64 << 20,
        archive: config::Archive::Folder(directory.join("archive")),
        seal_bytes: 32 << 10,
        seal_after: Duration::from_millis(300),
    }
}

fn folder(place: &config::Segments) -> &Path {
    match &place.archive {
        config::Archive::Folder(path) => path,
        config::Archive::Bucket(bucket) => panic!("{bucket} is no folder"),
    }
}

fn settings(sinks: Vec<Sink>, segments: config::Segments) -> config::Config {
    config::Config {
        sinks,
        context: Kept::Masked,
        masks: vec!["llm.prompt".to_owned()],
        queue: 1000,
        block: true,
        spool: None,
        segments: Some(segments),
        webhook: None,
        retention: Duration::ZERO,
        keys: Vec::new(),
    }
}

/// A decision of a small world, in which filters find something. Days go by quickly in it.
fn record(number: u64) -> DecisionRecord {
    DecisionRecord {
        seq: 0,
        id: None,
        request_id: format!("request-{}", number % 400),
        at_ms: NEW_YEAR + i64::try_from(number).unwrap() * 60_000,
        namespace: format!("team-{}", number % 5),
        subject: format!("user-{}", number % 7),
        decision: ["allow", "deny", "warn"][usize::try_from(number % 3).unwrap()].to_owned(),
        reason: (number % 3 == 1).then(|| "because".to_owned()),
        matched_rules: (0..number % 3)
            .map(|at| format!("policy/rule-{}", (number + at) % 4))
            .collect(),
        matched_policies: (0..number % 3)
            .map(|_| format!("policy-{}", number % 2))
            .collect(),
        errors: 0,
        revision: "sha256:aa".to_owned(),
        duration_ns: 1_000 * (number + 1),
        cached: number.is_multiple_of(4),
        context: None,
    }
}

fn entry(number: u64) -> Entry {
    let context =
        format!(r#"{{"llm": {{"prompt": "the plan", "model": "m"}}, "metadata": {{"n": "{number}"}}}}"#);
    let mut owner = [0; 32];
    owner[..8].copy_from_slice(&number.to_be_bytes());
    Entry {
        record: Box::new(record(number)),
        context: Some(Bytes::from(context)),
        owner,
    }
}

fn metric(metrics: &Metrics, series: &str) -> u64 {
    let text = metrics.encode();
    let value = text
        .lines()
        .find_map(|line| line.strip_prefix(series)?.strip_prefix(' ')?.parse::<f64>().ok());
    value.map_or(0, |value| value as u64)
}

async fn until(what: &str, mut done: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !done() {
        assert!(begin.elapsed() < LONG, "waited in vain until {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// All that fit, page by page.
async fn all(log: &Reader, filter: &DecisionFilter, limit: u32) -> Vec<DecisionRecord> {
    let mut items = Vec::new();
    let mut page = Page { limit, after: None };
    loop {
        let slice = log.decisions(filter, &page).await.unwrap();
        assert!(slice.items.len() <= limit as usize);
        items.extend(
            slice
                .items
                .into_iter()
                .map(|record| DecisionRecord { seq: 0, ..record }),
        );
        match slice.next {
            Some(next) => page.after = Some(next),
            None => return items,
        }
    }
}

fn files(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory).into_iter().flatten() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => found.extend(files(&path)),
            false => found.push(path),
        }
    }
    found
}

fn filters() -> Vec<DecisionFilter> {
    let all = DecisionFilter::default();
    vec![
        all.clone(),
        DecisionFilter {
            namespaces: Some(vec!["team-1".to_owned(), "team-3".to_owned()]),
            ..all.clone()
        },
        DecisionFilter {
            namespaces: Some(Vec::new()),
            ..all.clone()
        },
        DecisionFilter {
            decision: Some("deny".to_owned()),
            subject: Some("user-2".to_owned()),
            ..all.clone()
        },
        DecisionFilter {
            rule: Some("policy/rule-3".to_owned()),
            ..all.clone()
        },
        DecisionFilter {
            policy: Some("policy-1".to_owned()),
            from_ms: Some(NEW_YEAR + 1000 * 60_000),
            to_ms: Some(NEW_YEAR + 1500 * 60_000),
            ..all.clone()
        },
        DecisionFilter {
            rule: Some("policy/nobody's".to_owned()),
            ..all
        },
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn queries_give_what_the_database_gives() {
    let directory = tempfile::tempdir().unwrap();
    let store: Arc<dyn Store> = Arc::new(Sqlite::in_memory().await.unwrap());
    let metrics = Metrics::new();
    let config = settings(vec![Sink::Store, Sink::Segments], segments(directory.path()));
    let (log, task) = Log::start(&config, Some(Arc::clone(&store)), &metrics, None).unwrap();
    let database = Reader::Store(Arc::clone(&store));
    let ours = Reader::Segments(Arc::clone(log.segments().unwrap()));
    tokio::spawn(task.run());
    for round in 0..4 {
        for number in round * 500..(round + 1) * 500 {
            log.record(entry(number)).await;
        }
        until("all of them are written", || log.pending() == 0).await;
        for filter in filters() {
            let expected = all(&database, &filter, 500).await;
            // Also while what is asked for is sealed and moved.
            for limit in [7, 500] {
                let found = all(&ours, &filter, limit).await;
                assert_eq!(found.len(), expected.len(), "{filter:?}");
                assert_eq!(found, expected, "{filter:?}");
            }
            let counted = ours.decision_stats(&filter).await.unwrap();
            assert_eq!(
                counted,
                database.decision_stats(&filter).await.unwrap(),
                "{filter:?}"
            );
        }
        for id in ["request-3", "request-399", "no such request"] {
            let filter = DecisionFilter::default();
            let page = Page {
                limit: 3,
                after: None,
            };
            let expected = database.decision(id, &filter, &page).await.unwrap();
            let found = ours.decision(id, &filter, &page).await.unwrap();
            let strip = |items: Vec<DecisionRecord>| -> Vec<DecisionRecord> {
                items
                    .into_iter()
                    .map(|record| DecisionRecord { seq: 0, ..record })
                    .collect()
            };
            assert_eq!(found.next.is_some(), expected.next.is_some(), "{id}");
            assert_eq!(strip(found.items), strip(expected.items), "{id}");
        }
    }
    until("most are sealed", || {
        metric(&metrics, "llm_policy_decision_log_sealed_total") == 2000
    })
    .await;
    let archive = directory.path().join("archive");
    // A day has 1,440 of these decisions: two folders, each for its own.
    let days: BTreeSet<_> = files(&archive)
        .iter()
        .map(|path| path.parent().unwrap().file_name().unwrap().to_owned())
        .collect();
    assert_eq!(days, ["day=2026-01-01", "day=2026-01-02"].map(Into::into).into());
    assert_eq!(all(&ours, &filters()[0], 500).await.len(), 2000);
    assert_eq!(log.flush(LONG).await, 0);
    drop((ours, log));

    // The same by a program that only reads, and after the next start.
    let look = Reader::Segments(Arc::new(Segments::look(&segments(directory.path())).unwrap()));
    assert_eq!(
        all(&look, &filters()[0], 500).await,
        all(&database, &filters()[0], 500).await
    );
    let mut out = Vec::new();
    let one = DecisionFilter {
        decision: Some("warn".to_owned()),
        ..DecisionFilter::default()
    };
    let count = export(&look, &one, None, &mut out).await.unwrap();
    assert_eq!(count, 666);
    assert_eq!(out.iter().filter(|byte| **byte == b'\n').count(), 666);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn queries_see_each_decision_once_while_it_moves() {
    let directory = tempfile::tempdir().unwrap();
    let metrics = Arc::new(Metrics::new());
    let mut place = segments(directory.path());
    place.seal_after = Duration::ZERO;
    let config = settings(vec![Sink::Segments], place.clone());
    let (log, task) = Log::start(&config, None, &metrics, None).unwrap();
    tokio::spawn(task.run());
    let stop = Arc::new(AtomicBool::new(false));
    let mut readers = Vec::new();
    for reads_only in [false, true] {
        let reader = match reads_only {
            true => Reader::Segments(Arc::new(Segments::look(&place).unwrap())),
            false => Reader::Segments(Arc::clone(log.segments().unwrap())),
        };
        let (stop, metrics) = (Arc::clone(&stop), Arc::clone(&metrics));
        readers.push(tokio::spawn(async move {
            let mut looks = 0;
            while !stop.load(Ordering::SeqCst) || looks < 3 {
                let series = "llm_policy_decision_log_written_total{sink=\"segments\"}";
                let before = metric(&metrics, series);
                let filter = DecisionFilter::default();
                let counted = reader.decision_stats(&filter).await.unwrap().total;
                let listed = all(&reader, &filter, 400).await.len() as u64;
                assert!(counted >= before, "{counted} of {before} counted");
                assert!(listed >= before, "{listed} of {before} listed");
                assert!(
                    listed <= 3000 && counted <= 3000,
                    "{listed}, {counted}: some twice"
                );
                looks += 1;
            }
            looks
        }));
    }
    for number in 0..3000 {
        log.record(entry(number)).await;
        if number % 50 == 0 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
    until("all are sealed", || {
        metric(&metrics, "llm_policy_decision_log_sealed_total") == 3000
    })
    .await;
    stop.store(true, Ordering::SeqCst);
    for reader in readers {
        assert!(reader.await.unwrap() >= 3);
    }
    let ours = Reader::Segments(Arc::clone(log.segments().unwrap()));
    let filter = DecisionFilter::default();
    let found = all(&ours, &filter, 500).await;
    let numbers: BTreeSet<i64> = found.iter().map(|record| record.at_ms).collect();
    assert_eq!((found.len(), numbers.len()), (3000, 3000));
    assert!(files(folder(&place)).len() > 3, "sealed in several parts");
}

/// Copies a folder as it is.
fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        match entry.path().is_dir() {
            true => copy(&entry.path(), &to),
            false => drop(std::fs::copy(entry.path(), to).unwrap()),
        }
    }
}

async fn write(config: &config::Config, numbers: std::ops::Range<u64>) {
    let metrics = Metrics::new();
    let (log, task) = Log::start(config, None, &metrics, None).unwrap();
    tokio::spawn(task.run());
    for number in numbers {
        log.record(entry(number)).await;
    }
    assert_eq!(log.flush(LONG).await, 0);
}

/// Stops at every moment at which decisions change hands: each is there once afterwards.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_while_decisions_are_sealed_loses_none_and_doubles_none() {
    let directory = tempfile::tempdir().unwrap();
    let mut place = segments(directory.path());
    // Nothing is sealed before the stop.
    place.seal_after = Duration::from_secs(3600);
    place.seal_bytes = 1 << 30;
    write(&settings(vec![Sink::Segments], place.clone()), 0..300).await;
    let journal = place.journal.clone();
    let before = directory.path().join("before");
    copy(&journal, &before);
    let numbers: Vec<_> = files(&journal)
        .iter()
        .filter_map(|path| {
            let name = path.file_name().unwrap().to_str().unwrap();
            name.strip_suffix(".v3")
                .map(|number| number.trim_start_matches('0').to_owned())
        })
        .map(|number| if number.is_empty() { "0".to_owned() } else { number })
        .collect();
    assert_eq!(numbers.len(), 1);

    // Sealed and published, to have the segments.
    place.seal_after = Duration::ZERO;
    let config = settings(vec![Sink::Segments], place.clone());
    let metrics = Metrics::new();
    let (log, task) = Log::start(&config, None, &metrics, None).unwrap();
    tokio::spawn(task.run());
    until("all are sealed and moved", || {
        metric(&metrics, "llm_policy_decision_log_sealed_total") == 300
            && files(&journal)
                .iter()
                .all(|path| !path.to_string_lossy().contains("sealed-"))
    })
    .await;
    assert_eq!(log.flush(LONG).await, 0);
    drop(log);
    let sealed = directory.path().join("sealed");
    copy(folder(&place), &sealed);

    let moments = ["writing", "handed over", "journal removed", "half moved", "moved"];
    for moment in moments {
        drop(std::fs::remove_dir_all(&journal));
        drop(std::fs::remove_dir_all(folder(&place)));
        match moment {
            "writing" => {
                copy(&before, &journal);
                copy(&sealed, &journal.join("sealing"));
            }
            "handed over" => {
                copy(&before, &journal);
                copy(&sealed, &journal.join("sealed-1"));
                std::fs::write(journal.join("sealed-1/journal"), numbers.join("\n")).unwrap();
            }
            "journal removed" => {
                copy(&sealed, &journal.join("sealed-1"));
                std::fs::write(journal.join("sealed-1/journal"), numbers.join("\n")).unwrap();
            }
            "half moved" => {
                copy(&sealed, folder(&place));
                let day = files(folder(&place)).pop().unwrap();
                let name = day.strip_prefix(folder(&place)).unwrap();
                let staged = journal.join("sealed-1").join(name);
                std::fs::create_dir_all(staged.parent().unwrap()).unwrap();
                std::fs::rename(&day, staged).unwrap();
            }
            _ => copy(&sealed, folder(&place)),
        }
        let look = Reader::Segments(Arc::new(Segments::look(&place).unwrap()));
        let filter = DecisionFilter::default();
        assert_eq!(
            all(&look, &filter, 100).await.len(),
            300,
            "{moment}, as it lies there"
        );

        let metrics = Metrics::new();
        let (log, task) = Log::start(&config, None, &metrics, None).unwrap();
        let ours = Reader::Segments(Arc::clone(log.segments().unwrap()));
        assert_eq!(
            all(&ours, &filter, 100).await.len(),
            300,
            "{moment}, after the start"
        );
        tokio::spawn(task.run());
        // Whose numbers may be those of files that were handed over.
        for number in 300..400 {
            log.record(entry(number)).await;
        }
        until("the rest is sealed and moved", || {
            metric(&metrics, "llm_policy_decision_log_sealed_total") >= 100
                && files(&journal)
                    .iter()
                    .all(|path| path.file_name().unwrap() == "lock")
        })
        .await;
        assert_eq!(log.flush(LONG).await, 0);
        let found = all(&ours, &filter, 100).await;
        let numbers: BTreeSet<i64> = found.iter().map(|record| record.at_ms).collect();
        assert_eq!((found.len(), numbers.len()), (400, 400), "{moment}, in the end");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn old_segments_are_removed_and_new_ones_stay() {
    let directory = tempfile::tempdir().unwrap();
    let mut config = settings(vec![Sink::Segments], segments(directory.path()));
    config.retention = Duration::from_secs(3600);
    let metrics = Metrics::new();
    let (log, task) = Log::start(&config, None, &metrics, None).unwrap();
    tokio::spawn(task.run());
    let now = jiff::Timestamp::now().as_millisecond();
    for number in 0..200 {
        let mut entry = entry(number);
        // Half of them long ago.
        let mut record = record(number);
        record.at_ms = if number < 100 { NEW_YEAR } else { now };
        entry.record = Box::new(record);
        log.record(entry).await;
    }
    let ours = Reader::Segments(Arc::clone(log.segments().unwrap()));
    let filter = DecisionFilter::default();
    until("the old ones are removed", || {
        metric(&metrics, "llm_policy_decision_log_pruned_total") == 100
    })
    .await;
    let left = all(&ours, &filter, 500).await;
    assert_eq!(left.len(), 100);
    assert!(left.iter().all(|record| record.at_ms == now));
    let archive = directory.path().join("archive");
    assert!(
        !archive.join("day=2026-01-01").exists(),
        "the folder of that day too"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn decisions_move_from_the_database_once() {
    let directory = tempfile::tempdir().unwrap();
    let store: Arc<dyn Store> = Arc::new(Sqlite::in_memory().await.unwrap());
    let metrics = Metrics::new();
    let mut config = settings(vec![Sink::Store], segments(directory.path()));
    let place = config.segments.take().unwrap();
    let (log, task) = Log::start(&config, Some(Arc::clone(&store)), &metrics, None).unwrap();
    tokio::spawn(task.run());
    for number in 0..1200 {
        log.record(entry(number)).await;
    }
    assert_eq!(log.flush(LONG).await, 0);
    // Those of an early version, told apart by request and time.
    let mut early: Vec<_> = (2000..2010).map(record).collect();
    for record in &mut early {
        record.at_ms = NEW_YEAR;
    }
    store.append_decisions(&early).await.unwrap();

    let database = Reader::Store(Arc::clone(&store));
    let filter = DecisionFilter::default();
    let mut expected = all(&database, &filter, 500).await;
    let segments = Arc::new(Segments::open(&place).unwrap());
    let done = migrate(&store, &segments).await.unwrap();
    assert_eq!((done.moved, done.there), (1210, 0));
    let again = migrate(&store, &segments).await.unwrap();
    assert_eq!((again.moved, again.there), (0, 1210));
    let ours = Reader::Segments(Arc::clone(&segments));
    let mut found = all(&ours, &filter, 500).await;
    for records in [&mut expected, &mut found] {
        records.sort_by(|a, b| (a.id(), &a.request_id).cmp(&(b.id(), &b.request_id)));
        records
            .iter_mut()
            .for_each(|record| record.id = Some(record.id()));
    }
    assert_eq!(found, expected);
    assert_eq!(again.remove(&*store).await.unwrap(), 1210);
    assert_eq!(all(&database, &filter, 500).await, []);
    assert_eq!(all(&ours, &filter, 500).await.len(), 1210);
}

/// Only its owner reads a folder that is made here; one that others may read is for them to read.
#[cfg(unix)]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_may_read_the_folder_may_read_the_segments() {
    use std::os::unix::fs::PermissionsExt as _;
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    for (made, expected, file) in [(None, 0o700, 0o600), (Some(0o750), 0o750, 0o640)] {
        let directory = tempfile::tempdir().unwrap();
        let place = segments(directory.path());
        if let Some(made) = made {
            std::fs::create_dir(folder(&place)).unwrap();
            std::fs::set_permissions(folder(&place), std::fs::Permissions::from_mode(made)).unwrap();
        }
        let metrics = Metrics::new();
        let config = settings(vec![Sink::Segments], place.clone());
        let (log, task) = Log::start(&config, None, &metrics, None).unwrap();
        tokio::spawn(task.run());
        log.record(entry(1)).await;
        until("it is in the archive", || {
            files(folder(&place))
                .iter()
                .any(|path| path.to_string_lossy().ends_with(".parquet"))
        })
        .await;
        let segment = files(folder(&place)).pop().unwrap();
        assert_eq!(mode(folder(&place)), expected);
        assert_eq!(mode(segment.parent().unwrap()), expected);
        assert_eq!(mode(&segment), file);
        assert_eq!(mode(&place.journal), 0o700, "the journal is nobody else's");
    }
}

/// A folder that two processes write to would be two journals in one.
#[tokio::test]
async fn a_journal_has_one_owner() {
    let directory = tempfile::tempdir().unwrap();
    let config = settings(vec![Sink::Segments], segments(directory.path()));
    let metrics = Metrics::new();
    let (_log, _task) = Log::start(&config, None, &metrics, None).unwrap();
    let other = Log::start(&config, None, &Metrics::new(), None).unwrap_err();
    assert!(other.to_string().contains("another policyd uses it"), "{other}");
}

/// What is no segment is neither read nor passed over: the query fails and says which file it was.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_segment_is_an_error_that_names_it() {
    let directory = tempfile::tempdir().unwrap();
    let place = segments(directory.path());
    let metrics = Metrics::new();
    let config = settings(vec![Sink::Segments], place.clone());
    let (log, task) = Log::start(&config, None, &metrics, None).unwrap();
    tokio::spawn(task.run());
    for number in 0..10 {
        log.record(entry(number)).await;
    }
    until("all are sealed", || {
        metric(&metrics, "llm_policy_decision_log_sealed_total") == 10
    })
    .await;
    until("they are in the archive", || !files(folder(&place)).is_empty()).await;
    let file = files(folder(&place)).pop().unwrap();
    let bytes = std::fs::read(&file).unwrap();
    std::fs::write(&file, &bytes[..bytes.len() / 2]).unwrap();
    let look = Reader::Segments(Arc::new(Segments::look(&place).unwrap()));
    let page = Page {
        limit: 5,
        after: None,
    };
    let error = look
        .decisions(&DecisionFilter::default(), &page)
        .await
        .unwrap_err()
        .to_string();
    let name = file.file_name().unwrap().to_str().unwrap();
    assert!(error.contains(name), "{error}");
}
