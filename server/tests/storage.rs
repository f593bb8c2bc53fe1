//! The contract of [`Store`]: one list of cases, run on SQLite in memory, SQLite in a file and PostgreSQL, and what is
//! particular to one of them: survival of a killed process, of a restart, of a crash of the database.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

#[path = "support/postgres.rs"]
mod postgres;

use policy_server::audit::{self, Broken};
use policy_server::identity::{Scope, Scopes};
use policy_server::storage::config;
use policy_server::storage::model::{
    Activate, ApiKey, Approval, DecisionFilter, DecisionId, DecisionRecord, Deployment, Expected, IdPlace,
    KeyChange, NewAudit, NewBundle, Page, PolicyFilter, PolicyKey, PolicyRecord, PolicyStatus, PolicyVersion,
    PolicyWrite, Quota, Rejection,
};
use policy_server::storage::postgres::Postgres;
use policy_server::storage::sqlite::Sqlite;
use policy_server::storage::{self, Store, StoreError};
use sqlx::migrate::Migrator;
use sqlx::{Connection as _, Executor as _};
use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A store under test, and how to reach the database behind it.
struct Bed {
    store: Arc<dyn Store>,
    place: Place,
}

enum Place {
    Memory,
    File(tempfile::TempDir),
    Postgres(postgres::Database),
}

const FILE: &str = "some/where/policyd.db";

impl Bed {
    async fn memory() -> Self {
        Self {
            store: Arc::new(Sqlite::in_memory().await.unwrap()),
            place: Place::Memory,
        }
    }

    async fn file() -> Self {
        let directory = tempfile::tempdir().unwrap();
        Self {
            store: file(&directory.path().join(FILE)).await,
            place: Place::File(directory),
        }
    }

    async fn postgres() -> Option<Self> {
        let database = postgres::Database::create().await?;
        Some(Self {
            store: connect(&database.url()),
            place: Place::Postgres(database),
        })
    }

    /// Another handle on the same database, as another server has; `None` in memory.
    async fn another(&self) -> Option<Arc<dyn Store>> {
        match &self.place {
            Place::Memory => None,
            Place::File(directory) => Some(file(&directory.path().join(FILE)).await),
            Place::Postgres(database) => Some(connect(&database.url())),
        }
    }

    /// Changes the database behind the store's back; `false` in memory, where nothing else reaches.
    async fn sql(&self, statement: &'static str) -> bool {
        match &self.place {
            Place::Memory => return false,
            Place::File(directory) => {
                let url = format!("sqlite:{}", directory.path().join(FILE).display());
                let mut connection = sqlx::SqliteConnection::connect(&url).await.unwrap();
                connection.execute(statement).await.unwrap();
                connection.close().await.unwrap();
            }
            Place::Postgres(database) => {
                let mut connection = sqlx::PgConnection::connect(&database.url()).await.unwrap();
                connection.execute(statement).await.unwrap();
                connection.close().await.unwrap();
            }
        }
        true
    }

    async fn end(self) {
        self.store.close().await;
        if let Place::Postgres(database) = self.place {
            database.remove().await;
        }
    }
}

async fn file(path: &Path) -> Arc<dyn Store> {
    Arc::new(Sqlite::open(path, 4).await.unwrap())
}

/// `host:port` of a pooler that gives away connections for a transaction only, in front of the server that all tests share
/// (`ci/many.sh`).
fn pooler() -> Option<String> {
    std::env::var("TEST_POOLER").ok()
}

/// To a database of the shared server; through the pooler, where there is one.
fn connect(url: &str) -> Arc<dyn Store> {
    let settings = match pooler() {
        Some(pooler) => {
            let (user, rest) = url.split_once('@').unwrap();
            let (_, database) = rest.split_once('/').unwrap();
            let url = format!("{user}@{pooler}/{database}");
            config::Postgres {
                pooled: true,
                ..config::Postgres::by_url(url.into())
            }
        }
        None => config::Postgres::by_url(url.to_owned().into()),
    };
    Arc::new(Postgres::connect(&settings, 8).unwrap())
}

/// To a server of the test's own.
fn connect_directly(url: &str) -> Arc<dyn Store> {
    Arc::new(Postgres::connect(&config::Postgres::by_url(url.to_owned().into()), 8).unwrap())
}

/// Runs each case on each database.
macro_rules! cases {
    ($($case:ident,)+) => {
        mod sqlite_memory {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() {
                let bed = super::Bed::memory().await;
                super::$case(&bed).await;
                bed.end().await;
            })+
        }
        mod sqlite_file {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() {
                let bed = super::Bed::file().await;
                super::$case(&bed).await;
                bed.end().await;
            })+
        }
        mod on_postgres {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() {
                let Some(bed) = super::Bed::postgres().await else {
                    return super::postgres::missing(concat!("on_postgres::", stringify!($case)));
                };
                super::$case(&bed).await;
                bed.end().await;
            })+
        }
    };
}

cases! {
    a_new_store_is_empty,
    policies_are_created_read_and_listed,
    lists_are_filtered_and_come_in_pages,
    namespaces_know_nothing_of_each_others_ids,
    writes_say_what_they_expect,
    a_stale_base_changes_nothing,
    drafts_keep_the_revision,
    activation_names_the_version_that_was_checked,
    approval_and_retirement,
    a_rejected_version_stays_rejected,
    namespaces_hold_no_more_than_they_may,
    bundles_take_no_more_than_they_may,
    racing_writers_lose_nothing,
    writers_that_do_not_clash_queue,
    of_two_on_one_base_one_wins,
    callers_that_leave_do_no_harm,
    readers_see_one_moment,
    deleted_policies_leave_their_versions,
    authors_of_a_text_are_told_once,
    what_a_namespace_holds_is_counted_anew_after_a_changed_text,
    bundles_are_stored_activated_and_rolled_back,
    keys_are_created_rotated_and_revoked,
    keys_of_one_owner_are_bounded,
    decisions_are_logged_once_and_found,
    decisions_are_found_by_what_fired,
    many_decisions_on_one_request_come_in_pages,
    pages_of_decisions_are_bounded_in_bytes,
    queries_of_the_log_end_in_time,
    decisions_are_counted,
    old_decisions_are_pruned_in_parts,
    every_change_is_in_the_audit_trail,
    what_no_database_holds_is_not_found,
    a_tampered_trail_is_found,
    waiting_ends_with_a_change,
    other_handles_see_and_write_the_same,
    awkward_text_is_only_text,
    what_nobody_wrote_is_corrupt,
    a_closed_store_is_unavailable,
}

fn entry(action: &str) -> NewAudit {
    NewAudit {
        at_ms: 1_700_000_000_000,
        actor: "ann".into(),
        action: action.into(),
        target: "target".into(),
        namespace: "team".into(),
        request_id: "request".into(),
        detail: "{}".into(),
    }
}

fn at(at_ms: i64) -> NewAudit {
    NewAudit {
        at_ms,
        ..entry("test")
    }
}

fn version(id: &str, namespace: &str, status: PolicyStatus, source: &str) -> PolicyVersion {
    PolicyVersion {
        id: id.into(),
        version: 0,
        namespace: namespace.into(),
        name: format!("name of {id}"),
        document_version: "1.0.0".into(),
        status,
        source: source.into(),
        format: "yaml".into(),
        digest: policy_server::document::digest(source),
        author: "ann".into(),
        created_ms: 5,
        rejection: None,
    }
}

/// A policy of the namespace that most cases are about.
fn of(id: &str) -> PolicyKey {
    PolicyKey::new("team", id)
}

/// A new active version.
fn active(id: &str, expected: Expected, base: u64, source: &str) -> PolicyWrite {
    PolicyWrite {
        key: of(id),
        expected,
        base,
        version: Some(version(id, "team", PolicyStatus::Active, source)),
        activate: Activate::Latest,
        approved_by: None,
        quota: Quota::default(),
    }
}

/// A new version that waits.
fn draft(id: &str, expected: Expected, base: u64, source: &str) -> PolicyWrite {
    PolicyWrite {
        version: Some(version(id, "team", PolicyStatus::Draft, source)),
        activate: Activate::Unchanged,
        ..active(id, expected, base, source)
    }
}

async fn write(store: &dyn Store, write: &PolicyWrite) -> Result<PolicyRecord, StoreError> {
    store.write_policy(write, &entry("policy.write")).await
}

fn page(limit: u32) -> Page {
    Page { limit, after: None }
}

async fn active_policies(store: &dyn Store) -> Vec<(String, u64)> {
    match store.active().await.unwrap().deployment {
        Deployment::Policies(policies) => policies.into_iter().map(|p| (p.id, p.version)).collect(),
        Deployment::Bundle { digest, .. } => panic!("bundle {digest} is active"),
    }
}

/// The whole trail holds and ends where the store says; returns the number of its records.
async fn verify(store: &dyn Store) -> Result<u64, Broken> {
    // Targets and authors of these tests are made up; what a real trail tells of its store is in `changed.rs`.
    audit::verify(store, 7).await.unwrap().map(|report| report.head.0)
}

async fn a_new_store_is_empty(bed: &Bed) {
    let store = &*bed.store;
    store.ping().await.unwrap();
    assert_eq!(store.revision().await.unwrap(), 0);
    let active = store.active().await.unwrap();
    assert_eq!((active.revision, active.changed_ms), (0, 0));
    assert_eq!(active.deployment, Deployment::Policies(Vec::new()));
    assert_eq!(store.policy(&of("p")).await.unwrap(), None);
    assert_eq!(store.version(&of("p"), 1).await.unwrap(), None);
    assert_eq!(store.version(&of("p"), u64::MAX).await.unwrap(), None);
    assert_eq!(store.versions(&of("p"), &page(5)).await.unwrap().items, []);
    assert_eq!(store.bundles(&page(5)).await.unwrap().items, []);
    assert_eq!(store.bundle("b").await.unwrap(), None);
    assert_eq!(store.active_bundle().await.unwrap(), None);
    assert_eq!(store.bundle_bytes("b").await.unwrap(), None);
    assert_eq!(store.key("k").await.unwrap(), None);
    assert_eq!(on_request(store, "r").await, []);
    assert_eq!(store.audit(0, 5).await.unwrap(), []);
    assert_eq!(store.audit_head().await.unwrap(), (0, [0; 32]));
    let stats = store.decision_stats(&DecisionFilter::default()).await.unwrap();
    assert_eq!(
        (stats.total, stats.mean_evaluation_time_ms, stats.cached_ratio),
        (0, 0.0, 0.0)
    );
}

async fn policies_are_created_read_and_listed(bed: &Bed) {
    let store = &*bed.store;
    let created = store
        .write_policy(&active("p", Expected::Nothing, 0, "text — ü\n"), &at(70))
        .await
        .unwrap();
    let mut want = version("p", "team", PolicyStatus::Active, "text — ü\n");
    want.version = 1;
    assert_eq!(
        created,
        PolicyRecord {
            latest: want.clone(),
            active_version: Some(1),
            pending_approval: false,
            approved_by: None,
            created_ms: 5,
            updated_ms: 70,
            revision: 1,
        }
    );
    assert_eq!(store.policy(&of("p")).await.unwrap(), Some(created.clone()));
    assert_eq!(store.version(&of("p"), 1).await.unwrap(), Some(want.clone()));
    // Lists are as long as their names, not as their texts.
    let mut listed = created;
    listed.latest.source = Arc::from("");
    let items = store
        .policies(&PolicyFilter::default(), &page(9))
        .await
        .unwrap()
        .items;
    assert_eq!(
        (&items[..], items[0].latest.digest.is_empty()),
        (&[listed.clone()][..], false)
    );
    let versions = store.versions(&of("p"), &page(9)).await.unwrap().items;
    assert_eq!(versions, [listed.latest]);
    let set = store.active().await.unwrap();
    assert_eq!((set.revision, set.changed_ms), (1, 70));
    assert_eq!(set.deployment, Deployment::Policies(vec![want]));

    // Written at another time: the policy keeps the time of its first version.
    let mut second = active("p", Expected::Version(1), 1, "second");
    second.version.as_mut().unwrap().created_ms = 80;
    let updated = store.write_policy(&second, &at(80)).await.unwrap();
    assert_eq!(
        (updated.created_ms, updated.updated_ms, updated.revision),
        (5, 80, 2)
    );
    assert_eq!((updated.latest.version, updated.active_version), (2, Some(2)));
    assert_eq!(
        &*store.version(&of("p"), 1).await.unwrap().unwrap().source,
        "text — ü\n"
    );
    assert_eq!(active_policies(store).await, [("p".to_owned(), 2)]);
}

async fn lists_are_filtered_and_come_in_pages(bed: &Bed) {
    let store = &*bed.store;
    // By bytes, capitals come before small letters.
    let ids = ["B", "a", "a-1", "a_1", "b", "ä"];
    for (i, id) in ids.iter().rev().enumerate() {
        let mut w = active(id, Expected::Nothing, 0, id);
        let status = if i % 2 == 0 {
            PolicyStatus::Draft
        } else {
            PolicyStatus::Deprecated
        };
        let namespace = if i < 2 { "one" } else { "two" };
        w.version = Some(version(id, namespace, status, id));
        w.key = PolicyKey::new(namespace, id);
        w.activate = Activate::Unchanged;
        write(store, &w).await.unwrap();
    }
    let list = async |filter: PolicyFilter, limit| {
        let (mut seen, mut after, mut pages) = (Vec::new(), None, 0);
        loop {
            let slice = store.policies(&filter, &Page { limit, after }).await.unwrap();
            assert!(slice.items.len() <= limit as usize);
            seen.extend(slice.items.into_iter().map(|p| p.latest.id));
            pages += 1;
            after = slice.next;
            if after.is_none() {
                return (seen, pages);
            }
        }
    };
    let all = PolicyFilter::default();
    assert_eq!(list(all.clone(), 100).await, (ids.map(str::to_owned).to_vec(), 1));
    assert_eq!(list(all.clone(), 6).await.1, 1, "a full last page is the last");
    assert_eq!(list(all.clone(), 4).await, (ids.map(str::to_owned).to_vec(), 2));
    assert_eq!(list(all, 1).await, (ids.map(str::to_owned).to_vec(), 6));
    let of = |namespaces: &[&str], status| PolicyFilter {
        namespaces: Some(namespaces.iter().map(|n| (*n).to_owned()).collect()),
        status,
        approval: None,
    };
    assert_eq!(list(of(&["one"], None), 9).await.0, ["b", "ä"]);
    assert_eq!(list(of(&["one", "two", "three"], None), 9).await.0.len(), 6);
    assert_eq!(list(of(&["three"], None), 9).await.0.len(), 0);
    assert_eq!(
        list(of(&[], None), 9).await.0.len(),
        0,
        "no namespace is not every namespace"
    );
    assert_eq!(list(of(&["one"], Some(PolicyStatus::Draft)), 9).await.0, ["ä"]);
    let status = PolicyFilter {
        status: Some(PolicyStatus::Active),
        ..PolicyFilter::default()
    };
    assert_eq!(list(status, 9).await.0.len(), 0);

    for n in 2..=5 {
        let source = format!("{n}");
        let next = PolicyWrite {
            key: PolicyKey::new("two", "a"),
            version: Some(version("a", "two", PolicyStatus::Draft, &source)),
            ..draft("a", Expected::Any, 0, &source)
        };
        write(store, &next).await.unwrap();
    }
    let first = store
        .versions(&PolicyKey::new("two", "a"), &page(2))
        .await
        .unwrap();
    assert_eq!(first.items.iter().map(|v| v.version).collect::<Vec<_>>(), [5, 4]);
    let rest = store
        .versions(
            &PolicyKey::new("two", "a"),
            &Page {
                limit: 9,
                after: first.next,
            },
        )
        .await
        .unwrap();
    assert_eq!(
        rest.items.iter().map(|v| v.version).collect::<Vec<_>>(),
        [3, 2, 1]
    );
    assert_eq!(rest.next, None);
    let wrong = Page {
        limit: 2,
        after: Some("x".into()),
    };
    assert!(matches!(
        store.versions(&PolicyKey::new("two", "a"), &wrong).await,
        Err(StoreError::Missing(_))
    ));
    assert!(matches!(
        store.policies(&PolicyFilter::default(), &wrong).await,
        Err(StoreError::Missing(_))
    ));
}

async fn namespaces_know_nothing_of_each_others_ids(bed: &Bed) {
    let store = &*bed.store;
    let in_namespace = |namespace: &str, expected, base, source: &str| PolicyWrite {
        key: PolicyKey::new(namespace, "p"),
        version: Some(version("p", namespace, PolicyStatus::Active, source)),
        ..active("p", expected, base, source)
    };
    // The second name looks like an escape of the first.
    let namespaces = ["a/b", "a%2Fb", "global"];
    for (base, namespace) in (0..).zip(namespaces) {
        let made = write(
            store,
            &in_namespace(namespace, Expected::Nothing, base, namespace),
        )
        .await;
        let made = made.unwrap();
        // Versions are counted for each.
        assert_eq!(
            (made.latest.version, made.latest.namespace.as_str()),
            (1, namespace)
        );
    }
    let again = write(store, &in_namespace("global", Expected::Nothing, 3, "x")).await;
    assert_eq!(
        again,
        Err(StoreError::Exists("policy `p` of namespace `global`".into()))
    );
    let second = write(store, &in_namespace("a/b", Expected::Version(1), 3, "second")).await;
    assert_eq!(second.unwrap().latest.version, 2);
    for (namespace, versions) in [("a/b", 2), ("a%2Fb", 1), ("global", 1), ("b", 0)] {
        let key = PolicyKey::new(namespace, "p");
        let found = store.versions(&key, &page(9)).await.unwrap().items;
        assert_eq!(found.len(), versions, "{namespace}");
        assert!(found.iter().all(|version| version.namespace == namespace));
        assert_eq!(store.policy(&key).await.unwrap().is_some(), versions > 0);
        assert_eq!(store.version(&key, 2).await.unwrap().is_some(), versions > 1);
    }
    let Deployment::Policies(all) = store.active().await.unwrap().deployment else {
        panic!("a bundle is active");
    };
    let deciding: Vec<(&str, u64)> = all.iter().map(|v| (v.namespace.as_str(), v.version)).collect();
    assert_eq!(deciding, [("a%2Fb", 1), ("a/b", 2), ("global", 1)]);

    // A list goes on where it stopped, whatever names hold.
    let (mut listed, mut after) = (Vec::new(), None);
    loop {
        let slice = store
            .policies(&PolicyFilter::default(), &Page { limit: 1, after })
            .await
            .unwrap();
        listed.extend(slice.items.into_iter().map(|p| p.latest.namespace));
        after = slice.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(listed, ["a%2Fb", "a/b", "global"]);

    let place = |namespace: &str, exists| IdPlace {
        namespace: namespace.into(),
        exists,
    };
    let deleted = store
        .delete_policy(&PolicyKey::new("a%2Fb", "p"), None, 4, &entry("policy.delete"))
        .await;
    assert_eq!(deleted, Ok(5));
    assert_eq!(
        store.places("p", None).await.unwrap(),
        [place("a/b", true), place("global", true), place("a%2Fb", false)]
    );
    let some = ["a%2Fb".to_owned(), "b".to_owned()];
    assert_eq!(
        store.places("p", Some(&some)).await.unwrap(),
        [place("a%2Fb", false)]
    );
    assert_eq!(store.places("p", Some(&[])).await.unwrap(), []);
    assert_eq!(store.places("q", None).await.unwrap(), []);
}

async fn writes_say_what_they_expect(bed: &Bed) {
    let store = &*bed.store;
    let missing = Err(StoreError::Missing("policy `p`".into()));
    assert_eq!(write(store, &active("p", Expected::Any, 0, "x")).await, missing);
    assert_eq!(
        write(store, &active("p", Expected::Version(1), 0, "x")).await,
        missing
    );
    let nothing = PolicyWrite {
        version: None,
        ..active("p", Expected::Nothing, 0, "x")
    };
    assert_eq!(write(store, &nothing).await, missing);
    let deleted = store
        .delete_policy(&of("p"), None, 0, &entry("policy.delete"))
        .await;
    assert_eq!(deleted, Err(StoreError::Missing("policy `p`".into())));

    write(store, &active("p", Expected::Nothing, 0, "1"))
        .await
        .unwrap();
    let again = write(store, &active("p", Expected::Nothing, 1, "x")).await;
    assert_eq!(
        again,
        Err(StoreError::Exists("policy `p` of namespace `team`".into()))
    );
    let second = write(store, &active("p", Expected::Version(1), 1, "2"))
        .await
        .unwrap();
    assert_eq!(second.latest.version, 2);
    // What the caller expects is looked at before the base.
    for base in [1, 2] {
        let stale = write(store, &active("p", Expected::Version(1), base, "x")).await;
        assert_eq!(stale, Err(StoreError::VersionMismatch { current: 2 }));
        let stale = store
            .delete_policy(&of("p"), Some(1), base, &entry("policy.delete"))
            .await;
        assert_eq!(stale, Err(StoreError::VersionMismatch { current: 2 }));
    }
    let any = write(store, &active("p", Expected::Any, 2, "3")).await.unwrap();
    assert_eq!((any.latest.version, any.revision), (3, 3));
    // Nothing that failed left a trace.
    assert_eq!(store.versions(&of("p"), &page(9)).await.unwrap().items.len(), 3);
    assert_eq!(verify(store).await, Ok(3));
}

async fn a_stale_base_changes_nothing(bed: &Bed) {
    let store = &*bed.store;
    write(store, &active("p", Expected::Nothing, 0, "1"))
        .await
        .unwrap();
    write(store, &active("q", Expected::Nothing, 1, "1"))
        .await
        .unwrap();
    let before = (store.active().await.unwrap(), verify(store).await);
    for base in [0, 1, 3, u64::MAX] {
        let conflict = Err(StoreError::Conflict);
        assert_eq!(
            write(store, &active("p", Expected::Any, base, "2")).await,
            conflict
        );
        assert_eq!(
            write(store, &active("r", Expected::Nothing, base, "2")).await,
            conflict
        );
        let retire = PolicyWrite {
            version: None,
            activate: Activate::None,
            ..active("p", Expected::Any, base, "")
        };
        assert_eq!(write(store, &retire).await, conflict);
        let deleted = store
            .delete_policy(&of("p"), None, base, &entry("policy.delete"))
            .await;
        assert_eq!(deleted, Err(StoreError::Conflict));
        let put = store
            .put_bundle(&bundle("b", true), base, &entry("bundle.put"))
            .await;
        assert_eq!(put.unwrap_err(), StoreError::Conflict);
    }
    assert_eq!((store.active().await.unwrap(), verify(store).await), before);
    assert_eq!(store.policy(&of("r")).await.unwrap(), None);
    assert_eq!(store.versions(&of("p"), &page(9)).await.unwrap().items.len(), 1);
    assert_eq!(store.bundles(&page(9)).await.unwrap().items, []);
}

async fn drafts_keep_the_revision(bed: &Bed) {
    let store = &*bed.store;
    let first = write(store, &draft("p", Expected::Nothing, 0, "1"))
        .await
        .unwrap();
    assert_eq!(
        (first.latest.version, first.active_version, first.revision),
        (1, None, 0)
    );
    write(store, &active("q", Expected::Nothing, 0, "1"))
        .await
        .unwrap();
    // Checked against a revision that has gone: nothing is active that it could contradict.
    let second = write(store, &draft("p", Expected::Version(1), 0, "2"))
        .await
        .unwrap();
    assert_eq!(
        (second.latest.version, second.active_version, second.revision),
        (2, None, 1)
    );
    let later = write(store, &draft("q", Expected::Version(1), 1, "2"))
        .await
        .unwrap();
    assert_eq!((later.latest.version, later.active_version), (2, Some(1)));
    assert_eq!(store.revision().await.unwrap(), 1);
    assert_eq!(active_policies(store).await, [("q".to_owned(), 1)]);
    // Two who write drafts still see each other.
    let stale = write(store, &draft("p", Expected::Version(1), 1, "x")).await;
    assert_eq!(stale, Err(StoreError::VersionMismatch { current: 2 }));
    assert_eq!(
        store
            .delete_policy(&of("p"), None, 0, &entry("policy.delete"))
            .await,
        Ok(1)
    );
    assert_eq!(verify(store).await, Ok(5));
}

async fn activation_names_the_version_that_was_checked(bed: &Bed) {
    let store = &*bed.store;
    write(store, &draft("p", Expected::Nothing, 0, "1"))
        .await
        .unwrap();
    write(store, &draft("p", Expected::Version(1), 0, "2"))
        .await
        .unwrap();
    let activate = |expected, base| PolicyWrite {
        version: None,
        ..active("p", expected, base, "")
    };
    let mismatch = Err(StoreError::VersionMismatch { current: 2 });
    assert_eq!(write(store, &activate(Expected::Any, 0)).await, mismatch);
    assert_eq!(write(store, &activate(Expected::Version(1), 0)).await, mismatch);
    assert_eq!(
        write(store, &activate(Expected::Version(2), 5)).await,
        Err(StoreError::Conflict)
    );
    let done = write(store, &activate(Expected::Version(2), 0)).await.unwrap();
    assert_eq!((done.active_version, done.revision), (Some(2), 1));
    // Again: it is active, nothing changes.
    let again = write(store, &activate(Expected::Version(2), 0)).await.unwrap();
    assert_eq!((again.active_version, again.revision), (Some(2), 1));
}

async fn approval_and_retirement(bed: &Bed) {
    let store = &*bed.store;
    write(store, &draft("p", Expected::Nothing, 0, "1"))
        .await
        .unwrap();
    let approve = PolicyWrite {
        version: None,
        approved_by: Some("bob".into()),
        ..active("p", Expected::Version(1), 0, "")
    };
    let approved = write(store, &approve).await.unwrap();
    assert_eq!(
        (approved.active_version, approved.approved_by.as_deref()),
        (Some(1), Some("bob"))
    );
    // A newer draft leaves alone what decides, and who approved it.
    let waiting = write(store, &draft("p", Expected::Version(1), 1, "2"))
        .await
        .unwrap();
    assert_eq!(
        (waiting.active_version, waiting.approved_by.as_deref()),
        (Some(1), Some("bob"))
    );
    assert_eq!(active_policies(store).await, [("p".to_owned(), 1)]);
    let retire = PolicyWrite {
        version: None,
        activate: Activate::None,
        ..active("p", Expected::Any, 1, "")
    };
    let retired = write(store, &retire).await.unwrap();
    assert_eq!(
        (retired.active_version, retired.approved_by, retired.revision),
        (None, None, 2)
    );
    assert_eq!(active_policies(store).await, []);
}

async fn racing_writers_lose_nothing(bed: &Bed) {
    const WRITERS: usize = 16;
    const EACH: usize = 4;
    let other = bed.another().await;
    write(&*bed.store, &active("shared", Expected::Nothing, 0, "0"))
        .await
        .unwrap();
    let tasks: Vec<_> = (0..WRITERS)
        .map(|writer| {
            let store = match &other {
                Some(other) if writer % 2 == 1 => Arc::clone(other),
                _ => Arc::clone(&bed.store),
            };
            tokio::spawn(async move {
                let (mut revisions, mut conflicts) = (Vec::new(), 0);
                while revisions.len() < EACH {
                    let current = store.policy(&of("shared")).await.unwrap().unwrap();
                    let base = store.revision().await.unwrap();
                    // Adds itself to what it read: a lost update would miss a name.
                    let source = format!("{} {writer}.{}", current.latest.source, revisions.len());
                    match write(
                        &*store,
                        &active("shared", Expected::Version(current.latest.version), base, &source),
                    )
                    .await
                    {
                        Ok(record) => revisions.push(record.revision),
                        Err(StoreError::Conflict | StoreError::VersionMismatch { .. }) => conflicts += 1,
                        Err(error) => panic!("{error}"),
                    }
                }
                (revisions, conflicts)
            })
        })
        .collect();
    let (mut revisions, mut conflicts) = (BTreeSet::new(), 0);
    for task in tasks {
        let (own, lost) = task.await.unwrap();
        assert!(own.is_sorted());
        revisions.extend(own);
        conflicts += lost;
    }
    let count = (WRITERS * EACH) as u64;
    assert_eq!(
        revisions,
        (2..=count + 1).collect(),
        "each success has a revision of its own"
    );
    assert!(conflicts > 0, "the writers never met");
    let last = bed.store.policy(&of("shared")).await.unwrap().unwrap();
    let names: BTreeSet<_> = last.latest.source.split(' ').collect();
    assert_eq!(names.len() as u64, count + 1);
    assert_eq!(last.latest.version, count + 1);
    assert_eq!(verify(&*bed.store).await, Ok(count + 1));
    if let Some(other) = other {
        other.close().await;
    }
}

async fn writers_that_do_not_clash_queue(bed: &Bed) {
    let other = bed.another().await;
    let tasks: Vec<_> = (0..16)
        .map(|n| {
            let store = match &other {
                Some(other) if n % 2 == 1 => Arc::clone(other),
                _ => Arc::clone(&bed.store),
            };
            tokio::spawn(async move {
                for round in 0..3 {
                    store.append_audit(&at(n)).await.unwrap();
                    let id = format!("{n}-{round}");
                    store.change_key(&create(key(&id)), &entry("key")).await.unwrap();
                    write(&*store, &draft(&id, Expected::Nothing, 0, "x"))
                        .await
                        .unwrap();
                    store.append_decisions(&[decision(&id, 1)]).await.unwrap();
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(verify(&*bed.store).await, Ok(16 * 3 * 3));
    assert_eq!(bed.store.revision().await.unwrap(), 0);
    if let Some(other) = other {
        other.close().await;
    }
}

async fn of_two_on_one_base_one_wins(bed: &Bed) {
    // Different policies, which no key of a table keeps apart.
    for base in 0..20 {
        let one = active(&format!("a{base}"), Expected::Nothing, base, "1");
        let two = active(&format!("b{base}"), Expected::Nothing, base, "1");
        let (one, two) = tokio::join!(write(&*bed.store, &one), write(&*bed.store, &two));
        let (winner, loser) = if one.is_ok() { (one, two) } else { (two, one) };
        assert_eq!(winner.unwrap().revision, base + 1);
        assert_eq!(loser, Err(StoreError::Conflict));
    }
    assert_eq!(verify(&*bed.store).await, Ok(20));
}

async fn callers_that_leave_do_no_harm(bed: &Bed) {
    // A client that hangs up drops its operation, at whatever point it is.
    for delay in 0..150_u64 {
        let store = Arc::clone(&bed.store);
        let task = tokio::spawn(async move {
            let base = store.revision().await.unwrap();
            let _ended = write(
                &*store,
                &active(&format!("p{delay}"), Expected::Nothing, base, "1"),
            )
            .await;
            store
                .append_decisions(&[decision(&format!("r{delay}"), 1)])
                .await
                .unwrap();
            store.active().await.unwrap();
        });
        tokio::time::sleep(Duration::from_micros(delay * 53 % 4000)).await;
        task.abort();
        if let Err(error) = task.await {
            assert!(error.is_cancelled(), "{error}");
        }
    }
    bed.store.append_decisions(&[decision("last", 1)]).await.unwrap();
    // What the last one left behind may be committed a moment later; once this is written, nothing is under way.
    let begin = Instant::now();
    let revision = loop {
        let base = bed.store.revision().await.unwrap();
        match write(&*bed.store, &active("last", Expected::Nothing, base, "1")).await {
            Ok(_) => break base + 1,
            Err(StoreError::Conflict) if begin.elapsed() < Duration::from_secs(10) => {}
            Err(error) => panic!("{error}"),
        }
    };
    assert_eq!(active_policies(&*bed.store).await.len() as u64, revision);
    assert_eq!(verify(&*bed.store).await, Ok(revision));
}

async fn readers_see_one_moment(bed: &Bed) {
    // Version n is active since revision n.
    let store = Arc::clone(&bed.store);
    write(&*store, &active("p", Expected::Nothing, 0, "1"))
        .await
        .unwrap();
    let writer = tokio::spawn(async move {
        for n in 1..40 {
            write(&*store, &active("p", Expected::Version(n), n, "x"))
                .await
                .unwrap();
        }
    });
    let mut last = 0;
    while last < 40 {
        let active = bed.store.active().await.unwrap();
        let Deployment::Policies(policies) = active.deployment else {
            panic!("a bundle")
        };
        assert_eq!(policies[0].version, active.revision);
        assert!(active.revision >= last, "the revision went back");
        last = active.revision;
    }
    writer.await.unwrap();
}

async fn deleted_policies_leave_their_versions(bed: &Bed) {
    let store = &*bed.store;
    write(store, &active("p", Expected::Nothing, 0, "1"))
        .await
        .unwrap();
    write(store, &active("p", Expected::Version(1), 1, "2"))
        .await
        .unwrap();
    assert_eq!(
        store
            .delete_policy(&of("p"), Some(2), 2, &entry("policy.delete"))
            .await,
        Ok(3)
    );
    assert_eq!(store.policy(&of("p")).await.unwrap(), None);
    assert_eq!(active_policies(store).await, []);
    assert_eq!(store.versions(&of("p"), &page(9)).await.unwrap().items.len(), 2);
    assert_eq!(&*store.version(&of("p"), 1).await.unwrap().unwrap().source, "1");
    let mut again = active("p", Expected::Nothing, 3, "3");
    again.version.as_mut().unwrap().created_ms = 99;
    let again = write(store, &again).await.unwrap();
    assert_eq!(
        (again.latest.version, again.active_version, again.created_ms),
        (3, Some(3), 99)
    );
    assert_eq!(store.versions(&of("p"), &page(9)).await.unwrap().items.len(), 3);
}

fn bundle(digest: &str, activate: bool) -> NewBundle {
    NewBundle {
        digest: digest.into(),
        revision: format!("manifest {digest}"),
        policies: 3,
        rules: 7,
        author: "ann".into(),
        created_ms: 11,
        activate,
        quota: 0,
        bytes: Arc::from(&b"\0bytes\xff"[..]),
    }
}

async fn authors_of_a_text_are_told_once(bed: &Bed) {
    let store = &*bed.store;
    let by = async |author: &str, key: &PolicyKey, expected, source: &str| {
        let mut change = draft(&key.id, expected, 0, source);
        change.key = key.clone();
        let version = change.version.as_mut().unwrap();
        (version.author, version.namespace) = (author.into(), key.namespace.clone());
        write(store, &change).await.unwrap();
    };
    let authors = async |key: &PolicyKey, source: &str| {
        let digest = policy_server::document::digest(source);
        store.authors(key, &digest).await.unwrap()
    };
    let (p, other) = (of("p"), PolicyKey::new("other", "p"));
    by("carol", &p, Expected::Nothing, "a").await;
    for (author, source) in [("ann", "b"), ("bob", "a"), ("carol", "a"), ("bob", "a")] {
        by(author, &p, Expected::Any, source).await;
    }
    by("dave", &other, Expected::Nothing, "a").await;
    by("erin", &of("q"), Expected::Nothing, "a").await;
    let of_a = [("bob".to_owned(), 3), ("carol".to_owned(), 1)];
    assert_eq!(authors(&p, "a").await, of_a);
    assert_eq!(authors(&p, "b").await, [("ann".to_owned(), 2)]);
    assert_eq!(authors(&p, "c").await, []);
    assert_eq!(authors(&other, "a").await, [("dave".to_owned(), 1)]);
    assert_eq!(authors(&other, "b").await, []);
    // Whoever wrote it before it was removed wrote it.
    store
        .delete_policy(&p, None, 0, &entry("policy.delete"))
        .await
        .unwrap();
    assert_eq!(authors(&p, "a").await, of_a);
}

/// Sizes are counted along; that of a text that somebody else changed is not known.
async fn what_a_namespace_holds_is_counted_anew_after_a_changed_text(bed: &Bed) {
    let store = &*bed.store;
    let within = |mut write: PolicyWrite, bytes| {
        write.quota = Quota {
            policies: 2,
            bytes,
            ..Quota::default()
        };
        write
    };
    let text = "x".repeat(100);
    write(store, &draft("p", Expected::Nothing, 0, &text))
        .await
        .unwrap();
    write(store, &draft("q", Expected::Nothing, 0, &text))
        .await
        .unwrap();
    let change = "UPDATE policy_versions SET source = replace(source, 'x', 'longer text') WHERE version = 1";
    if !bed.sql(change).await {
        return;
    }
    // More would be taken away than was ever counted.
    write(store, &within(draft("p", Expected::Any, 0, &text), 2000))
        .await
        .unwrap();
    let full = write(
        store,
        &within(draft("p", Expected::Any, 0, &"x".repeat(901)), 2000),
    )
    .await;
    assert!(
        matches!(&full, Err(StoreError::Quota(why)) if why.contains("would hold 2001 bytes of policies")),
        "{full:?}"
    );
    store
        .delete_policy(&of("q"), None, 0, &entry("policy.delete"))
        .await
        .unwrap();
    write(store, &within(draft("r", Expected::Nothing, 0, &text), 200))
        .await
        .unwrap();
    let full = write(store, &within(draft("s", Expected::Nothing, 0, ""), 0)).await;
    assert!(
        matches!(&full, Err(StoreError::Quota(why)) if why.contains("would hold 3 policies")),
        "{full:?}"
    );
}

async fn bundles_are_stored_activated_and_rolled_back(bed: &Bed) {
    let store = &*bed.store;
    write(store, &active("p", Expected::Nothing, 0, "1"))
        .await
        .unwrap();

    // Stored to wait: nothing changes.
    let (record, revision) = store.put_bundle(&bundle("a", false), 77, &at(20)).await.unwrap();
    assert_eq!(revision, 1);
    assert_eq!((record.activated_ms, record.active), (None, false));
    assert_eq!(
        (record.policies, record.rules, record.size, record.created_ms),
        (3, 7, 7, 11)
    );
    assert_eq!((&*record.revision, &*record.author), ("manifest a", "ann"));
    assert_eq!(store.activate_bundle(Some("a"), 1, &at(21)).await, Ok(2));

    // Stored and activated at once.
    let (record, revision) = store.put_bundle(&bundle("b", true), 2, &at(22)).await.unwrap();
    assert_eq!(
        (revision, record.activated_ms, record.active),
        (3, Some(22), true)
    );
    let set = store.active().await.unwrap();
    assert_eq!((set.revision, set.changed_ms), (3, 22));
    let bytes: Arc<[u8]> = Arc::from(&b"\0bytes\xff"[..]);
    assert_eq!(
        set.deployment,
        Deployment::Bundle {
            digest: "b".into(),
            bytes: Arc::clone(&bytes)
        }
    );
    assert_eq!(store.bundle_bytes("a").await.unwrap().as_deref(), Some(&*bytes));

    // The same again is what is active already: the caller whose answer was lost may repeat itself.
    let (record, revision) = store.put_bundle(&bundle("b", true), 2, &at(23)).await.unwrap();
    assert_eq!((revision, record.activated_ms), (3, Some(22)));
    // Another author, the same digest: stored once, by the first.
    let other = NewBundle {
        author: "bob".into(),
        ..bundle("a", false)
    };
    assert_eq!(
        store.put_bundle(&other, 3, &at(24)).await.unwrap().0.author,
        "ann"
    );

    // While a bundle decides, the stored policies go on, in the order of revisions.
    let next = write(store, &active("p", Expected::Version(1), 3, "2"))
        .await
        .unwrap();
    assert_eq!(next.revision, 4);

    // What a list says of a bundle, and what is said of it alone, is the same.
    let digests = async || {
        let slice = store.bundles(&page(9)).await.unwrap();
        for record in &slice.items {
            assert_eq!(store.bundle(&record.digest).await.unwrap().as_ref(), Some(record));
        }
        let listed = slice.items.iter().find(|record| record.active);
        assert_eq!(store.active_bundle().await.unwrap().as_ref(), listed);
        assert_eq!(store.bundle("none").await.unwrap(), None);
        slice
            .items
            .into_iter()
            .map(|b| (b.digest, b.active))
            .collect::<Vec<_>>()
    };
    assert_eq!(digests().await, [("b".to_owned(), true), ("a".to_owned(), false)]);
    assert_eq!(
        store.activate_bundle(Some("a"), 3, &at(25)).await,
        Err(StoreError::Conflict)
    );
    assert_eq!(store.activate_bundle(Some("a"), 4, &at(25)).await, Ok(5));
    assert_eq!(digests().await, [("a".to_owned(), true), ("b".to_owned(), false)]);
    let first = store.bundles(&page(1)).await.unwrap();
    assert_eq!(
        (&*first.items[0].digest, first.items[0].activated_ms),
        ("a", Some(25))
    );
    let second = store
        .bundles(&Page {
            limit: 1,
            after: first.next,
        })
        .await
        .unwrap();
    assert_eq!((&*second.items[0].digest, second.next), ("b", None));

    let missing = store.activate_bundle(Some("c"), 5, &at(26)).await;
    assert_eq!(missing, Err(StoreError::Missing("bundle `c`".into())));
    assert_eq!(store.activate_bundle(None, 5, &at(27)).await, Ok(6));
    assert_eq!(active_policies(store).await, [("p".to_owned(), 2)]);
    assert!(digests().await.iter().all(|(_, active)| !active));
    assert_eq!(
        store.activate_bundle(None, 0, &at(28)).await,
        Ok(6),
        "none is active already"
    );
    verify(store).await.unwrap();
}

fn create(key: ApiKey) -> KeyChange {
    KeyChange::Create { key, most: 0 }
}

fn key(id: &str) -> ApiKey {
    ApiKey {
        id: id.into(),
        name: "gateway".into(),
        hash: [1; 32],
        previous: None,
        scopes: [Scope::Evaluate, Scope::Read].into_iter().collect(),
        namespaces: Some(vec!["team".into(), "a \"b\"".into()]),
        author: "ann".into(),
        rotated_by: Vec::new(),
        owner: None,
        created_ms: 3,
        expires_ms: Some(1000),
        revoked_ms: None,
    }
}

/// Live keys of one owner are bounded, whichever way they come to be live; those of others are not in the way.
async fn keys_of_one_owner_are_bounded(bed: &Bed) {
    let store = &*bed.store;
    // Every change is at this time.
    let now = entry("key").at_ms;
    let of = |id: &str, owner: Option<&str>, expires_ms| ApiKey {
        owner: owner.map(str::to_owned),
        author: "ann".to_owned(),
        expires_ms,
        ..key(id)
    };
    let change = async |change: KeyChange| store.change_key(&change, &entry("key")).await;
    let make = async |key: ApiKey, most| change(KeyChange::Create { key, most }).await;
    let refused = |result: Result<ApiKey, StoreError>| match result {
        Err(StoreError::Quota(detail)) => assert!(detail.starts_with("3 keys"), "{detail}"),
        other => panic!("{other:?}"),
    };
    make(of("a1", Some("key a"), None), 2).await.unwrap();
    make(of("a2", Some("key a"), Some(now + 1)), 2).await.unwrap();
    refused(make(of("a3", Some("key a"), None), 2).await);
    assert_eq!(store.key("a3").await.unwrap(), None);
    make(of("a3", Some("key a"), None), 0).await.unwrap();
    // Keys that count as themselves are told by who made them.
    make(of("n1", None, None), 2).await.unwrap();
    make(of("n2", None, None), 2).await.unwrap();
    refused(make(of("n3", None, None), 2).await);
    make(of("b1", Some("key b"), None), 2).await.unwrap();
    // What is no longer live makes room, and has to find room when it is to be live again.
    make(of("b2", Some("key b"), Some(now)), 2).await.unwrap();
    make(of("b3", Some("key b"), None), 2).await.unwrap();
    let rotate = |id: &str, owner: Option<&str>| KeyChange::Rotate {
        id: id.into(),
        hash: [7; 32],
        previous_until_ms: now,
        expires_ms: Some(now + 100),
        at_ms: now,
        by: "ann".into(),
        owner: owner.map(str::to_owned),
        most: 2,
    };
    refused(change(rotate("b2", None)).await);
    assert_eq!(store.key("b2").await.unwrap().unwrap().hash, [1; 32]);
    change(KeyChange::Revoke {
        id: "b3".into(),
        at_ms: now,
    })
    .await
    .unwrap();
    change(rotate("b2", None)).await.unwrap();
    change(rotate("b2", None)).await.unwrap();
    // Above a bound that came later, what is live is rotated as before.
    change(rotate("a1", None)).await.unwrap();
    // Whoever takes a key over has it among their own.
    refused(change(rotate("n1", Some("key b"))).await);
    change(KeyChange::Revoke {
        id: "b1".into(),
        at_ms: now,
    })
    .await
    .unwrap();
    change(rotate("n1", Some("key b"))).await.unwrap();
    assert_eq!(
        store.key("n1").await.unwrap().unwrap().owner.as_deref(),
        Some("key b")
    );
}

async fn keys_are_created_rotated_and_revoked(bed: &Bed) {
    let store = &*bed.store;
    let change = async |change: KeyChange| store.change_key(&change, &entry("key")).await;
    change(create(key("k2"))).await.unwrap();
    let plain = ApiKey {
        namespaces: None,
        scopes: Scopes::all(),
        expires_ms: None,
        previous: Some(([9; 32], 8)),
        ..key("k1")
    };
    change(create(plain.clone())).await.unwrap();
    assert_eq!(store.key("k2").await.unwrap(), Some(key("k2")));
    assert_eq!(store.key("k1").await.unwrap(), Some(plain.clone()));
    let exists = change(create(key("k1"))).await;
    assert_eq!(exists, Err(StoreError::Exists("key `k1`".into())));

    let rotate_by = |id: &str, hash, by: &str| KeyChange::Rotate {
        id: id.into(),
        hash: [hash; 32],
        previous_until_ms: 500,
        expires_ms: Some(2000),
        at_ms: 10,
        by: by.into(),
        owner: None,
        most: 0,
    };
    let rotate = |id: &str, hash| rotate_by(id, hash, "bob");
    change(rotate("k2", 2)).await.unwrap();
    let rotated = store.key("k2").await.unwrap().unwrap();
    assert_eq!(
        (rotated.hash, rotated.previous, rotated.expires_ms),
        ([2; 32], Some(([1; 32], 500)), Some(2000))
    );
    change(rotate("k2", 3)).await.unwrap();
    assert_eq!(
        store.key("k2").await.unwrap().unwrap().previous,
        Some(([2; 32], 500))
    );
    // Whoever rotates is noted, beside the author, and never twice.
    change(rotate_by("k2", 4, "ann")).await.unwrap();
    change(rotate_by("k2", 5, "carol \"c\"")).await.unwrap();
    change(rotate_by("k2", 3, "bob")).await.unwrap();
    let rotated_by = store.key("k2").await.unwrap().unwrap().rotated_by;
    assert_eq!(rotated_by, ["bob", "carol \"c\""]);

    // Whoever names no end leaves the one that is there when the rotation is written, and nobody rotates what has ended.
    let life = |expires_ms, at_ms| KeyChange::Rotate {
        id: "k2".into(),
        hash: [3; 32],
        previous_until_ms: 500,
        expires_ms,
        at_ms,
        by: "bob".into(),
        owner: None,
        most: 0,
    };
    assert_eq!(change(life(Some(700), 10)).await.unwrap().expires_ms, Some(700));
    let kept = change(life(None, 699)).await.unwrap();
    assert_eq!(kept.expires_ms, Some(700));
    assert_eq!(store.key("k2").await.unwrap(), Some(kept));
    assert_eq!(change(life(None, 700)).await, Err(StoreError::Conflict));
    assert_eq!(change(life(Some(800), 700)).await.unwrap().expires_ms, Some(800));

    change(KeyChange::Revoke {
        id: "k2".into(),
        at_ms: 600,
    })
    .await
    .unwrap();
    let revoked = change(KeyChange::Revoke {
        id: "k2".into(),
        at_ms: 700,
    })
    .await
    .unwrap();
    assert_eq!(revoked.revoked_ms, Some(600));
    assert_eq!(store.key("k2").await.unwrap(), Some(revoked));
    assert_eq!(change(rotate("k2", 4)).await, Err(StoreError::Conflict));
    assert_eq!(store.key("k2").await.unwrap().unwrap().hash, [3; 32]);
    let missing = Err(StoreError::Missing("key `k3`".into()));
    assert_eq!(change(rotate("k3", 4)).await, missing);
    assert_eq!(
        change(KeyChange::Revoke {
            id: "k3".into(),
            at_ms: 1
        })
        .await,
        missing
    );

    let first = store.keys(&page(1)).await.unwrap();
    assert_eq!(first.items, [plain]);
    let rest = store
        .keys(&Page {
            limit: 1,
            after: first.next,
        })
        .await
        .unwrap();
    assert_eq!((rest.items[0].id.as_str(), rest.next), ("k2", None));
    // Keys are in the trail and change nothing that is active.
    assert_eq!(store.revision().await.unwrap(), 0);
    assert_eq!(verify(store).await, Ok(12));
}

/// All decisions on a request id, newest first.
async fn on_request(store: &dyn Store, request_id: &str) -> Vec<DecisionRecord> {
    let slice = store
        .decision(request_id, &DecisionFilter::default(), &page(99))
        .await
        .unwrap();
    assert_eq!(slice.next, None);
    slice.items
}

fn decision(request: &str, at_ms: i64) -> DecisionRecord {
    DecisionRecord {
        seq: 0,
        id: Some(DecisionId::of_time(at_ms)),
        request_id: request.into(),
        at_ms,
        namespace: "team".into(),
        subject: "ann".into(),
        decision: "allow".into(),
        reason: None,
        matched_rules: Vec::new(),
        matched_policies: Vec::new(),
        errors: 0,
        revision: "7".into(),
        duration_ns: 1_000_000,
        cached: false,
        context: None,
    }
}

async fn decisions_are_logged_once_and_found(bed: &Bed) {
    let store = &*bed.store;
    store.append_decisions(&[]).await.unwrap();
    let full = DecisionRecord {
        decision: "deny".into(),
        reason: Some("too dear".into()),
        matched_rules: vec!["p/cost".into(), "p/\"odd\" %_'".into()],
        matched_policies: vec!["p".into()],
        errors: 2,
        duration_ns: u64::from(u32::MAX) * 1000,
        cached: true,
        context: Some("{\"a\":1}".into()),
        subject: "bob".into(),
        namespace: String::new(),
        ..decision("r1", 10)
    };
    store
        .append_decisions(&[
            full.clone(),
            decision("r2", 20),
            decision("r1", 11),
            decision("r2", 20),
        ])
        .await
        .unwrap();
    store
        .append_decisions(&[decision("r3", 30), full.clone()])
        .await
        .unwrap();

    let found = on_request(store, "r1").await;
    assert_eq!(
        found.iter().map(|d| d.at_ms).collect::<Vec<_>>(),
        [11, 10],
        "newest first"
    );
    assert_eq!(
        found[1],
        DecisionRecord {
            seq: found[1].seq,
            ..full
        }
    );
    let list = async |filter: DecisionFilter| {
        let slice = store.decisions(&filter, &page(99)).await.unwrap();
        slice
            .items
            .into_iter()
            .map(|d| (d.request_id, d.at_ms))
            .collect::<Vec<_>>()
    };
    let none = DecisionFilter::default;
    let all: Vec<_> = [("r3", 30), ("r1", 11), ("r2", 20), ("r1", 10)]
        .map(|(r, t)| (r.to_owned(), t))
        .into();
    assert_eq!(list(none()).await, all);
    let one = [("r1".to_owned(), 10)];
    assert_eq!(
        list(DecisionFilter {
            decision: Some("deny".into()),
            ..none()
        })
        .await,
        one
    );
    assert_eq!(
        list(DecisionFilter {
            subject: Some("bob".into()),
            ..none()
        })
        .await,
        one
    );
    assert_eq!(
        list(DecisionFilter {
            rule: Some("p/cost".into()),
            ..none()
        })
        .await,
        one
    );
    assert_eq!(
        list(DecisionFilter {
            rule: Some("p/\"odd\" %_'".into()),
            ..none()
        })
        .await,
        one
    );
    assert_eq!(
        list(DecisionFilter {
            rule: Some("p/".into()),
            ..none()
        })
        .await,
        []
    );
    assert_eq!(
        list(DecisionFilter {
            namespaces: Some(vec![String::new()]),
            ..none()
        })
        .await,
        one
    );
    assert_eq!(
        list(DecisionFilter {
            namespaces: Some(vec!["team".into(), "x".into()]),
            ..none()
        })
        .await,
        all[..3]
    );
    assert_eq!(
        list(DecisionFilter {
            namespaces: Some(Vec::new()),
            ..none()
        })
        .await,
        []
    );
    assert_eq!(
        list(DecisionFilter {
            from_ms: Some(11),
            to_ms: Some(30),
            ..none()
        })
        .await,
        all[1..3]
    );
    let both = DecisionFilter {
        subject: Some("bob".into()),
        from_ms: Some(11),
        ..none()
    };
    assert_eq!(list(both).await, []);

    let (mut seen, mut after) = (Vec::new(), None);
    loop {
        let slice = store.decisions(&none(), &Page { limit: 3, after }).await.unwrap();
        seen.extend(slice.items.into_iter().map(|d| (d.request_id, d.at_ms)));
        after = slice.next;
        // What comes meanwhile is newer, and does not shift what follows.
        store.append_decisions(&[decision("late", 40)]).await.unwrap();
        if after.is_none() {
            break;
        }
    }
    assert_eq!(seen, all);
}

async fn decisions_are_found_by_what_fired(bed: &Bed) {
    let store = &*bed.store;
    let fired = |n: i64, policies: &[&str], rules: &[&str]| DecisionRecord {
        matched_policies: policies.iter().map(|p| (*p).to_owned()).collect(),
        matched_rules: rules.iter().map(|r| (*r).to_owned()).collect(),
        decision: if n % 2 == 0 { "deny" } else { "warn" }.into(),
        ..decision(&format!("r{n}"), n)
    };
    let rows = [
        fired(0, &["p"], &["x"]),
        fired(1, &["p", "q"], &["x", "y"]),
        // The id of a policy is not one of a rule, and the other way round.
        fired(2, &["x"], &["p"]),
        fired(3, &[], &[]),
        fired(4, &["q", "q"], &["y", "y"]),
        fired(5, &["p"], &["x"]),
    ];
    store.append_decisions(&rows).await.unwrap();
    store.append_decisions(&rows[..2]).await.unwrap();
    let filter = |policy: Option<&str>, rule: Option<&str>| DecisionFilter {
        policy: policy.map(str::to_owned),
        rule: rule.map(str::to_owned),
        ..DecisionFilter::default()
    };
    let list = async |filter: &DecisionFilter| {
        let (mut seen, mut after) = (Vec::new(), None);
        loop {
            let slice = store.decisions(filter, &Page { limit: 2, after }).await.unwrap();
            assert!(slice.items.len() <= 2);
            seen.extend(slice.items.into_iter().map(|d| d.at_ms));
            after = slice.next;
            if after.is_none() {
                break seen;
            }
        }
    };
    for (policy, rule, expected) in [
        (Some("p"), None, &[5, 1, 0][..]),
        (None, Some("x"), &[5, 1, 0]),
        (Some("q"), None, &[4, 1]),
        (Some("q"), Some("x"), &[1]),
        (Some("x"), Some("p"), &[2]),
        (Some("p"), Some("p"), &[]),
        (Some("nobody"), None, &[]),
    ] {
        let filter = filter(policy, rule);
        assert_eq!(list(&filter).await, expected, "{policy:?} {rule:?}");
        let stats = store.decision_stats(&filter).await.unwrap();
        assert_eq!(stats.total, expected.len() as u64, "{policy:?} {rule:?}");
    }
    let denied = DecisionFilter {
        decision: Some("deny".into()),
        to_ms: Some(5),
        ..filter(Some("p"), None)
    };
    assert_eq!(list(&denied).await, [0]);
    let on_one = store
        .decision("r1", &filter(Some("q"), None), &page(5))
        .await
        .unwrap();
    assert_eq!(on_one.items.len(), 1);
    assert_eq!(
        store
            .decision("r1", &filter(Some("x"), None), &page(5))
            .await
            .unwrap()
            .items,
        []
    );
    assert_eq!(store.prune_decisions(5, 9).await, Ok(5));
    assert_eq!(list(&filter(Some("p"), None)).await, [5]);
    if let Place::File(directory) = &bed.place {
        // What was pruned left nothing behind, and what is looked for is looked for there, not in the whole log.
        let url = format!("sqlite:{}", directory.path().join(FILE).display());
        let mut connection = sqlx::SqliteConnection::connect(&url).await.unwrap();
        let left =
            sqlx::query_as::<_, (i64, String)>("SELECT kind, name FROM decision_matches ORDER BY kind, name");
        let left = left.fetch_all(&mut connection).await.unwrap();
        assert_eq!(left, [(0, "x".to_owned()), (1, "p".to_owned())]);
        connection.execute("DELETE FROM decision_matches").await.unwrap();
        connection.close().await.unwrap();
        assert_eq!(list(&filter(Some("p"), None)).await, [0; 0]);
        assert_eq!(list(&filter(None, Some("x"))).await, [0; 0]);
        assert_eq!(list(&filter(None, None)).await, [5]);
    }
}

async fn many_decisions_on_one_request_come_in_pages(bed: &Bed) {
    let store = &*bed.store;
    // One request id, one moment, several tenants: as a caller may make them.
    let one = |n: u32| DecisionRecord {
        id: Some(DecisionId::fresh()),
        namespace: if n.is_multiple_of(10) { "other" } else { "team" }.into(),
        errors: n,
        ..decision("same", 7)
    };
    let all: Vec<_> = (0..1000).map(one).collect();
    store.append_decisions(&all).await.unwrap();
    // What came already does not come twice.
    store.append_decisions(&all[..600]).await.unwrap();
    store.append_decisions(&[decision("next", 7)]).await.unwrap();
    let team = DecisionFilter {
        namespaces: Some(vec!["team".into()]),
        ..DecisionFilter::default()
    };
    for (filter, expected) in [(DecisionFilter::default(), 1000), (team, 900)] {
        let (mut seen, mut after) = (Vec::new(), None);
        loop {
            let slice = store
                .decision("same", &filter, &Page { limit: 70, after })
                .await
                .unwrap();
            assert!(slice.items.len() <= 70);
            seen.extend(slice.items.into_iter().map(|d| d.errors));
            after = slice.next;
            if after.is_none() {
                break;
            }
        }
        assert_eq!(seen.len(), expected);
        assert!(seen.is_sorted_by(|a, b| a > b), "newest first, each once");
    }
    let nonsense = Page {
        limit: 5,
        after: Some("nonsense".into()),
    };
    let refused = store
        .decision("same", &DecisionFilter::default(), &nonsense)
        .await;
    assert!(matches!(refused, Err(StoreError::Missing(_))));
}

async fn pages_of_decisions_are_bounded_in_bytes(bed: &Bed) {
    let store = &*bed.store;
    let large = |n: u64, bytes: u64| DecisionRecord {
        id: Some(DecisionId::fresh()),
        duration_ns: n,
        context: Some("x".repeat(usize::try_from(bytes).unwrap())),
        ..decision("same", 7)
    };
    let most = storage::PAGE_BYTES;
    // Newest first: two that fit together, one that fits into no page, one that fits with the last.
    let sizes = [10, most / 3, most + 1, most / 3, most / 2];
    for (n, bytes) in (0..).zip(sizes) {
        store.append_decisions(&[large(n, bytes)]).await.unwrap();
    }
    let expected = [vec![4, 3], vec![2], vec![1, 0]];
    for on_request in [false, true] {
        let (mut pages, mut after) = (Vec::new(), None);
        loop {
            let (filter, page) = (DecisionFilter::default(), Page { limit: 50, after });
            let slice = match on_request {
                true => store.decision("same", &filter, &page).await.unwrap(),
                false => store.decisions(&filter, &page).await.unwrap(),
            };
            pages.push(slice.items.iter().map(|d| d.duration_ns).collect::<Vec<_>>());
            after = slice.next;
            if after.is_none() {
                break;
            }
        }
        assert_eq!(pages, expected);
    }
}

async fn queries_of_the_log_end_in_time(bed: &Bed) {
    let store = &*bed.store;
    let rows: Vec<_> = (0..3000)
        .map(|n| DecisionRecord {
            matched_rules: (0..60).map(|rule| format!("p/{rule}")).collect(),
            ..decision(&format!("r{n}"), n)
        })
        .collect();
    store.append_decisions(&rows).await.unwrap();
    let until = |until| DecisionFilter {
        until,
        ..DecisionFilter::default()
    };
    // 180,000 rules are not counted in no time, on any machine.
    let over = until(Some(Instant::now()));
    let refused = store.decision_stats(&over).await;
    assert!(matches!(refused, Err(StoreError::Unavailable(_))), "{refused:?}");
    // And the connection that was cut off serves others.
    for _ in 0..20 {
        assert_eq!(store.decision_stats(&until(None)).await.unwrap().total, 3000);
        let later = until(Some(Instant::now() + Duration::from_secs(3600)));
        assert_eq!(store.decision_stats(&later).await.unwrap().total, 3000);
        assert_eq!(store.revision().await.unwrap(), 0);
    }
}

fn no(comment: &str) -> Rejection {
    Rejection {
        by: "bob".into(),
        comment: comment.into(),
        at_ms: 9,
    }
}

async fn a_rejected_version_stays_rejected(bed: &Bed) {
    let store = &*bed.store;
    let waiting = |id: &str, expected, source: &str| PolicyWrite {
        activate: Activate::Unchanged,
        ..active(id, expected, 0, source)
    };
    let listed = async |approval| {
        let filter = PolicyFilter {
            approval: Some(approval),
            ..PolicyFilter::default()
        };
        let found = store.policies(&filter, &page(9)).await.unwrap().items;
        let ids = found.into_iter().map(|p| (p.latest.id, p.latest.version));
        ids.collect::<Vec<_>>()
    };
    write(store, &active("p", Expected::Nothing, 0, "one"))
        .await
        .unwrap();
    let second = write(store, &waiting("p", Expected::Version(1), "two"))
        .await
        .unwrap();
    assert_eq!((second.active_version, second.pending_approval), (Some(1), true));
    write(store, &draft("d", Expected::Nothing, 0, "d"))
        .await
        .unwrap();
    write(store, &waiting("q", Expected::Nothing, "q")).await.unwrap();
    assert_eq!(
        listed(Approval::Waiting).await,
        [("p".to_owned(), 2), ("q".to_owned(), 1)]
    );
    assert_eq!(listed(Approval::Rejected).await, []);

    let before = (store.audit_head().await.unwrap(), store.revision().await.unwrap());
    let reject = async |id: &str, version, comment| {
        store
            .reject_policy(&of(id), version, &no(comment), &entry("policy.reject"))
            .await
    };
    for (id, version) in [("p", 1), ("p", 3), ("p", 0), ("p", u64::MAX), ("d", 1)] {
        let refused = reject(id, version, "x").await;
        assert!(
            matches!(refused, Err(StoreError::NotWaiting(_))),
            "{id} {version}: {refused:?}"
        );
    }
    assert!(matches!(
        reject("none", 1, "x").await,
        Err(StoreError::Missing(_))
    ));
    assert_eq!(store.audit_head().await.unwrap(), before.0, "nothing was written");

    let why = "too dear \u{1F600}'; DROP TABLE policies; --";
    let rejected = reject("p", 2, why).await.unwrap();
    assert_eq!(rejected.latest.rejection, Some(no(why)));
    assert_eq!(
        (
            rejected.active_version,
            rejected.pending_approval,
            &*rejected.latest.source
        ),
        (Some(1), false, "")
    );
    assert_eq!(rejected.updated_ms, entry("x").at_ms);
    assert_eq!(
        store.revision().await.unwrap(),
        before.1,
        "what decides is the same"
    );
    assert_eq!(listed(Approval::Waiting).await, [("q".to_owned(), 1)]);
    assert_eq!(listed(Approval::Rejected).await, [("p".to_owned(), 2)]);
    let again = reject("p", 2, "again").await;
    assert!(matches!(again, Err(StoreError::NotWaiting(_))), "{again:?}");
    let record = store.audit(before.0.0, 9).await.unwrap().pop().unwrap();
    let detail: serde_json::Value = serde_json::from_str(&record.entry.detail).unwrap();
    assert_eq!((&detail["latest"], &detail["active"]), (&2.into(), &1.into()));

    // It does not become active any more, whoever asks.
    let approve = PolicyWrite {
        version: None,
        approved_by: Some("carol".into()),
        ..active("p", Expected::Version(2), before.1, "")
    };
    let refused = write(store, &approve).await;
    assert!(matches!(refused, Err(StoreError::Rejected(_))), "{refused:?}");
    assert_eq!(active_policies(store).await, [("p".to_owned(), 1)]);

    // The same text in a new version waits anew, and the history keeps the rejection of the other one.
    let third = write(store, &waiting("p", Expected::Version(2), "two"))
        .await
        .unwrap();
    assert_eq!((third.pending_approval, &third.latest.rejection), (true, &None));
    let versions = store.versions(&of("p"), &page(9)).await.unwrap().items;
    let rejections: Vec<bool> = versions.iter().map(|v| v.rejection.is_some()).collect();
    assert_eq!(rejections, [false, true, false]);
    let one = store.version(&of("p"), 2).await.unwrap().unwrap();
    assert_eq!(one.rejection, Some(no(why)));
    // It outlives the policy, and no later version inherits it.
    let revision = store.revision().await.unwrap();
    store
        .delete_policy(&of("p"), None, revision, &entry("policy.delete"))
        .await
        .unwrap();
    let one = store.version(&of("p"), 2).await.unwrap().unwrap();
    assert_eq!(one.rejection, Some(no(why)));
    let anew = write(store, &waiting("p", Expected::Nothing, "two"))
        .await
        .unwrap();
    assert_eq!((anew.latest.version, &anew.latest.rejection), (4, &None));
    verify(store).await.unwrap();
}

async fn namespaces_hold_no_more_than_they_may(bed: &Bed) {
    let store = &*bed.store;
    let text = |n: usize| "x".repeat(n);
    let of = |id: &str, namespace: &str, expected, bytes: usize| {
        let write = draft(id, expected, 0, &text(bytes));
        PolicyWrite {
            key: PolicyKey::new(namespace, id),
            version: Some(version(id, namespace, PolicyStatus::Draft, &text(bytes))),
            quota: Quota {
                policies: 2,
                rules: 0,
                bytes: 100,
                history: 300,
                share: 0,
            },
            ..write
        }
    };
    let put = async |id: &str, namespace: &str, expected, bytes| {
        write(store, &of(id, namespace, expected, bytes))
            .await
            .map(|_| ())
    };
    let quota = |result: Result<(), StoreError>, word: &str| {
        let Err(StoreError::Quota(detail)) = result else {
            panic!("not refused: {result:?}")
        };
        assert!(detail.contains(word) && detail.contains("`team`"), "{detail}");
    };
    use Expected::{Any, Nothing};
    put("a", "team", Nothing, 60).await.unwrap();
    quota(put("b", "team", Nothing, 41).await, "bytes of policies");
    put("b", "team", Nothing, 40).await.unwrap();
    quota(put("c", "team", Nothing, 0).await, "policies");
    // Another namespace is another one's business.
    put("d", "other", Nothing, 100).await.unwrap();
    quota(put("b", "team", Any, 41).await, "bytes of policies");
    // What was refused left nothing behind.
    put("a", "team", Any, 10).await.unwrap();
    put("b", "team", Any, 90).await.unwrap();
    // 60 + 40 + 10 + 90 are kept, and stay when a policy goes.
    store
        .delete_policy(&PolicyKey::new("team", "b"), None, 0, &entry("policy.delete"))
        .await
        .unwrap();
    put("e", "team", Nothing, 90).await.unwrap();
    quota(put("e", "team", Any, 11).await, "bytes of versions");
    put("e", "team", Any, 10).await.unwrap();
    // A policy that goes makes room for one of an id that another namespace has as well.
    store
        .delete_policy(&PolicyKey::new("other", "d"), None, 0, &entry("policy.delete"))
        .await
        .unwrap();
    put("e", "other", Nothing, 10).await.unwrap();
    // Above a quota that came later, everything that takes less goes on.
    let smaller = |id: &str, namespace: &str, bytes| PolicyWrite {
        quota: Quota {
            policies: 1,
            rules: 0,
            bytes: 5,
            history: 0,
            share: 0,
        },
        ..of(id, namespace, Any, bytes)
    };
    put("f", "other", Nothing, 20).await.unwrap();
    write(store, &smaller("f", "other", 19)).await.unwrap();
    let refused = write(store, &smaller("f", "other", 20)).await;
    assert!(matches!(refused, Err(StoreError::Quota(_))), "{refused:?}");
}

async fn bundles_take_no_more_than_they_may(bed: &Bed) {
    let store = &*bed.store;
    let put = async |digest: &str, quota| {
        let bundle = NewBundle {
            quota,
            ..bundle(digest, false)
        };
        store.put_bundle(&bundle, 0, &entry("bundle.put")).await
    };
    let each = bundle("a", false).bytes.len() as u64;
    put("a", 2 * each).await.unwrap();
    put("b", 2 * each).await.unwrap();
    let refused = put("c", 2 * each).await;
    assert!(matches!(refused, Err(StoreError::Quota(_))), "{refused:?}");
    assert_eq!(store.bundle("c").await.unwrap(), None);
    // What is there already takes nothing.
    put("b", each).await.unwrap();
    put("c", 0).await.unwrap();
}

/// What an earlier version left: a policy with two versions, one that was removed, and decisions without ids.
const EARLIER: &str = "
    INSERT INTO policy_versions VALUES
        ('p', 1, 'team', 'P', '1', 'draft', 'xxx', 'yaml', 'd', 'ann', 1),
        ('p', 2, 'team', 'P', '1', 'draft', 'äxxx', 'yaml', 'd', 'ann', 1),
        ('q', 1, 'team', 'Q', '1', 'draft', 'xx', 'yaml', 'd', 'ann', 1);
    INSERT INTO policies VALUES ('p', 2, NULL, NULL, 1, 1, 0);
    INSERT INTO decisions (request_id, at_ms, namespace, subject, decision, reason, matched_rules, matched_policies, errors,
        revision, duration_ns, cached, context) VALUES
        ('r', 1700000000001, 'team', 'ann', 'deny', 'no', '[\"old\"]', '[\"p\"]', 0, '7', 1, TRUE, '{}'),
        ('r', 1700000000002, 'team', 'ann', 'deny', NULL, '[]', '[]', 0, '7', 1, FALSE, NULL),
        ('gone', 1, 'team', 'ann', 'deny', NULL, '[]', '[]', 0, '7', 1, FALSE, NULL);
    DELETE FROM decisions WHERE request_id = 'gone';";

/// The tables of the first version.
fn first_tables(backend: &str) -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    let own = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("migrations")
        .join(backend);
    let name = "1_initial.sql";
    std::fs::copy(own.join(name), directory.path().join(name)).unwrap();
    directory
}

async fn what_an_earlier_version_left_is_there(store: &dyn Store) {
    let found = on_request(store, "r").await;
    let times: Vec<_> = found.iter().map(|d| (d.seq, d.at_ms, d.id)).collect();
    let time = |at_ms| Some(DecisionId::of_time(at_ms));
    assert_eq!(
        times,
        [
            (2, 1_700_000_000_002, time(1_700_000_000_002)),
            (1, 1_700_000_000_001, time(1_700_000_000_001)),
        ]
    );
    assert_eq!(found[1].reason.as_deref(), Some("no"));
    for (rule, policy, expected) in [
        (Some("old"), None, 1),
        (None, Some("p"), 1),
        (Some("p"), None, 0),
        (None, Some("old"), 0),
    ] {
        let filter = DecisionFilter {
            rule: rule.map(str::to_owned),
            policy: policy.map(str::to_owned),
            ..DecisionFilter::default()
        };
        let fired = store.decisions(&filter, &page(9)).await.unwrap().items;
        assert_eq!(fired.len(), expected, "{rule:?} {policy:?}");
    }
    // The spool may hold them still; and numbers are not given twice, so that cursors go on to mean what they meant.
    let again = DecisionRecord {
        id: None,
        ..found[0].clone()
    };
    let new = DecisionRecord {
        id: Some(DecisionId::fresh()),
        ..decision("r", 1_700_000_000_002)
    };
    store.append_decisions(&[again, new]).await.unwrap();
    let found = on_request(store, "r").await;
    assert_eq!(found.len(), 3);
    assert!(found[0].seq > 3, "{}", found[0].seq);
    // 5 bytes are in use, 10 are kept.
    let put = async |bytes: usize, quota| {
        let text = "x".repeat(bytes);
        let write_of = PolicyWrite {
            quota,
            ..draft("n", Expected::Nothing, 0, &text)
        };
        write(store, &write_of).await.map(|_| ())
    };
    let quota = |bytes, history| Quota {
        policies: 2,
        rules: 0,
        bytes,
        history,
        share: 0,
    };
    for (bytes, history) in [(5, 0), (0, 10)] {
        let refused = put(1, quota(bytes, history)).await;
        assert!(matches!(refused, Err(StoreError::Quota(_))), "{refused:?}");
    }
    put(1, quota(6, 11)).await.unwrap();
}

#[tokio::test]
async fn a_file_of_an_earlier_version_is_brought_up_to_date() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("db");
    let tables = first_tables("sqlite");
    let migrator = sqlx::migrate::Migrator::new(tables.path()).await.unwrap();
    let url = format!("sqlite:{}?mode=rwc", path.display());
    let mut connection = sqlx::SqliteConnection::connect(&url).await.unwrap();
    migrator.run(&mut connection).await.unwrap();
    connection.execute(EARLIER).await.unwrap();
    connection.close().await.unwrap();
    let store = file(&path).await;
    what_an_earlier_version_left_is_there(&*store).await;
    store.close().await;
}

#[tokio::test]
async fn a_postgres_of_an_earlier_version_is_brought_up_to_date() {
    let Some(database) = postgres::Database::create().await else {
        return postgres::missing("a_postgres_of_an_earlier_version_is_brought_up_to_date");
    };
    let tables = first_tables("postgres");
    let migrator = sqlx::migrate::Migrator::new(tables.path()).await.unwrap();
    let mut connection = sqlx::PgConnection::connect(&database.url()).await.unwrap();
    migrator.run(&mut connection).await.unwrap();
    connection.execute(EARLIER).await.unwrap();
    connection.close().await.unwrap();
    let store = connect(&database.url());
    what_an_earlier_version_left_is_there(&*store).await;
    store.close().await;
    database.remove().await;
}

async fn decisions_are_counted(bed: &Bed) {
    let store = &*bed.store;
    // More than one statement takes.
    let many: Vec<_> = (0..1203)
        .map(|i| DecisionRecord {
            decision: if i % 3 == 0 { "deny" } else { "allow" }.into(),
            matched_rules: if i % 3 == 0 {
                vec!["p/b".into(), format!("p/{}", i % 60)]
            } else {
                Vec::new()
            },
            cached: i % 2 == 0,
            duration_ns: 2_000_000,
            namespace: if i < 3 { "small" } else { "big" }.into(),
            ..decision(&format!("r{i}"), i)
        })
        .collect();
    store.append_decisions(&many).await.unwrap();
    store.append_decisions(&many[..700]).await.unwrap();
    let stats = store.decision_stats(&DecisionFilter::default()).await.unwrap();
    assert_eq!(stats.total, 1203);
    let by: Vec<_> = stats
        .by_decision
        .iter()
        .map(|(name, n)| (name.as_str(), *n))
        .collect();
    assert_eq!(by, [("allow", 802), ("deny", 401), ("modify", 0), ("warn", 0)]);
    assert_eq!(stats.top_rules.len(), 20);
    assert_eq!(
        (stats.top_rules[0].rule.as_str(), stats.top_rules[0].count),
        ("p/b", 401)
    );
    // Equal counts come in the order of bytes.
    assert_eq!(
        (stats.top_rules[1].rule.as_str(), stats.top_rules[1].count),
        ("p/0", 21)
    );
    assert_eq!(
        (stats.top_rules[2].rule.as_str(), stats.top_rules[2].count),
        ("p/12", 20)
    );
    assert!((stats.mean_evaluation_time_ms - 2.0).abs() < 1e-9);
    assert!((stats.cached_ratio - 602.0 / 1203.0).abs() < 1e-9);
    let small = DecisionFilter {
        namespaces: Some(vec!["small".into()]),
        ..DecisionFilter::default()
    };
    let stats = store.decision_stats(&small).await.unwrap();
    assert_eq!(
        (stats.total, stats.by_decision["deny"], stats.top_rules.len()),
        (3, 1, 2)
    );
}

async fn old_decisions_are_pruned_in_parts(bed: &Bed) {
    let store = &*bed.store;
    let rows: Vec<_> = (0..10).map(|i| decision(&format!("r{i}"), i)).collect();
    store.append_decisions(&rows).await.unwrap();
    let newest = store
        .decisions(&DecisionFilter::default(), &page(1))
        .await
        .unwrap()
        .items[0]
        .seq;
    assert_eq!(store.prune_decisions(7, 4).await, Ok(4));
    assert_eq!(store.prune_decisions(7, 4).await, Ok(3));
    assert_eq!(store.prune_decisions(7, 4).await, Ok(0));
    assert_eq!(on_request(store, "r6").await, []);
    assert_eq!(on_request(store, "r7").await.len(), 1);
    assert_eq!(store.prune_decisions(i64::MAX, 100).await, Ok(3));
    // Numbers are not given twice, or cursors would point elsewhere.
    store.append_decisions(&[decision("new", 50)]).await.unwrap();
    assert!(on_request(store, "new").await[0].seq > newest);
}

async fn every_change_is_in_the_audit_trail(bed: &Bed) {
    let store = &*bed.store;
    write(store, &active("p", Expected::Nothing, 0, "1"))
        .await
        .unwrap();
    store
        .change_key(&create(key("k")), &entry("key.create"))
        .await
        .unwrap();
    let own = store.append_audit(&entry("login.refused")).await.unwrap();
    store
        .put_bundle(&bundle("b", true), 1, &entry("bundle.put"))
        .await
        .unwrap();
    store
        .activate_bundle(None, 2, &entry("bundle.rollback"))
        .await
        .unwrap();
    store
        .delete_policy(&of("p"), None, 3, &entry("policy.delete"))
        .await
        .unwrap();
    let records = store.audit(0, 99).await.unwrap();
    let seen: Vec<_> = records
        .iter()
        .map(|r| (r.seq, r.entry.action.as_str(), r.revision))
        .collect();
    assert_eq!(
        seen,
        [
            (1, "policy.write", 1),
            (2, "key.create", 1),
            (3, "login.refused", 1),
            (4, "bundle.put", 2),
            (5, "bundle.rollback", 3),
            (6, "policy.delete", 4),
        ]
    );
    assert_eq!(records[2], own);
    // What the policy is after the write stands in its record.
    let digest = policy_server::document::digest("1");
    let written = NewAudit {
        detail: format!(r#"{{"active":1,"digest":"{digest}","latest":1}}"#),
        ..entry("policy.write")
    };
    assert_eq!(records[0].entry, written);
    assert_eq!(store.audit(4, 1).await.unwrap(), records[4..5]);
    assert_eq!(store.audit(u64::MAX, 1).await.unwrap(), []);
    assert_eq!(verify(store).await, Ok(6));
}

async fn a_tampered_trail_is_found(bed: &Bed) {
    let store = &*bed.store;
    for n in 0..9 {
        store.append_audit(&at(n)).await.unwrap();
    }
    assert_eq!(verify(store).await, Ok(9));
    if !bed.sql("UPDATE audit SET actor = 'eve' WHERE seq = 3").await {
        return;
    }
    assert_eq!(verify(store).await, Err(Broken::Changed { seq: 3 }));
    bed.sql("UPDATE audit SET actor = 'ann' WHERE seq = 3").await;
    assert_eq!(verify(store).await, Ok(9));
    bed.sql("UPDATE audit SET seq = -seq WHERE seq IN (4, 5)").await;
    bed.sql("UPDATE audit SET seq = 9 + seq WHERE seq IN (-4, -5)")
        .await;
    assert_eq!(
        verify(store).await,
        Err(Broken::Replaced { seq: 4 }),
        "4 and 5 changed places"
    );
    bed.sql("DELETE FROM audit WHERE seq = 4").await;
    assert_eq!(verify(store).await, Err(Broken::Missing { seq: 4 }));
    bed.sql("DELETE FROM audit WHERE seq >= 4").await;
    assert_eq!(
        verify(store).await,
        Err(Broken::Missing { seq: 4 }),
        "the end was cut off"
    );
    bed.sql("DELETE FROM audit").await;
    assert_eq!(verify(store).await, Err(Broken::Missing { seq: 1 }));
}

async fn soon(what: impl Future<Output = ()>) -> bool {
    tokio::time::timeout(Duration::from_secs(10), what).await.is_ok()
}

async fn waiting_ends_with_a_change(bed: &Bed) {
    let store = Arc::clone(&bed.store);
    store.ping().await.unwrap();
    // A change while nobody waits is not missed.
    write(&*store, &active("p", Expected::Nothing, 0, "1"))
        .await
        .unwrap();
    assert!(soon(store.changed()).await);
    let waiting: Vec<_> = (0..2)
        .map(|_| {
            let store = Arc::clone(&store);
            tokio::spawn(async move {
                // Hints may come twice: go on until the change shows.
                while store.revision().await.unwrap() < 2 {
                    store.changed().await;
                }
            })
        })
        .collect();
    tokio::time::sleep(Duration::from_millis(50)).await;
    write(&*store, &active("p", Expected::Version(1), 1, "2"))
        .await
        .unwrap();
    for task in waiting {
        assert!(soon(async { task.await.unwrap() }).await);
    }
}

async fn other_handles_see_and_write_the_same(bed: &Bed) {
    let Some(other) = bed.another().await else { return };
    write(&*bed.store, &active("p", Expected::Nothing, 0, "1"))
        .await
        .unwrap();
    assert_eq!(other.active().await.unwrap(), bed.store.active().await.unwrap());
    assert_eq!(
        write(&*other, &active("q", Expected::Nothing, 0, "1")).await,
        Err(StoreError::Conflict)
    );
    // Nobody is told through a pooler that gives away connections for a transaction only.
    if other.backend() == "postgres" && pooler().is_none() {
        // Hints for what is past may wait; after them comes one for what the other handle writes.
        let reader = Arc::clone(&bed.store);
        let waiting = tokio::spawn(async move {
            while reader.revision().await.unwrap() < 2 {
                reader.changed().await;
            }
        });
        tokio::time::sleep(Duration::from_millis(300)).await;
        write(&*other, &active("q", Expected::Nothing, 1, "1"))
            .await
            .unwrap();
        assert!(
            soon(async { waiting.await.unwrap() }).await,
            "no hint from another handle"
        );
    } else {
        write(&*other, &active("q", Expected::Nothing, 1, "1"))
            .await
            .unwrap();
    }
    assert_eq!(bed.store.revision().await.unwrap(), 2);
    assert_eq!(verify(&*other).await, Ok(2));
    other.close().await;
    bed.store.ping().await.unwrap();
}

async fn awkward_text_is_only_text(bed: &Bed) {
    let store = &*bed.store;
    let odd = "'; DROP TABLE policies; -- \" \\ % _ $1 ? \u{1F600}\u{7f}\r\n\t";
    write(store, &active(odd, Expected::Nothing, 0, odd))
        .await
        .unwrap();
    assert_eq!(
        &*store.policy(&of(odd)).await.unwrap().unwrap().latest.source,
        odd
    );
    let filter = PolicyFilter {
        namespaces: Some(vec![odd.into()]),
        ..PolicyFilter::default()
    };
    assert_eq!(
        store
            .policies(
                &filter,
                &Page {
                    limit: 3,
                    after: Some(PolicyKey::new(odd, odd).cursor())
                }
            )
            .await
            .unwrap()
            .items,
        []
    );
    let record = DecisionRecord {
        namespace: odd.into(),
        subject: odd.into(),
        matched_rules: vec![odd.into()],
        matched_policies: vec![odd.into()],
        ..decision(odd, 1)
    };
    store
        .append_decisions(std::slice::from_ref(&record))
        .await
        .unwrap();
    let filter = DecisionFilter {
        namespaces: Some(vec![odd.into()]),
        subject: Some(odd.into()),
        rule: Some(odd.into()),
        policy: Some(odd.into()),
        decision: Some("allow".into()),
        from_ms: None,
        to_ms: None,
        until: None,
    };
    let found = store.decisions(&filter, &page(3)).await.unwrap().items;
    assert_eq!(
        found,
        [DecisionRecord {
            seq: found[0].seq,
            ..record
        }]
    );
    assert_eq!(
        store.decision_stats(&filter).await.unwrap().top_rules[0].rule,
        odd
    );

    // What PostgreSQL cannot store neither loses a record nor holds up the others.
    let nul = DecisionRecord {
        matched_rules: vec!["a\0b".into()],
        context: Some("{\"a\":\"\0\"}".into()),
        ..decision("nul\0", 2)
    };
    store.append_decisions(&[nul, decision("next", 3)]).await.unwrap();
    let found = on_request(store, "nul\0").await;
    assert_eq!(
        (found[0].request_id.as_str(), found[0].matched_rules[0].as_str()),
        ("nul\u{fffd}", "a\u{fffd}b")
    );
    // Nor does what an index cannot hold: random text, which cannot be compressed.
    let long: String = (0..4000_u64)
        .map(|n| char::from(b'a' + u8::try_from(n.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 59).unwrap() % 26))
        .collect();
    let record = DecisionRecord {
        namespace: long.clone(),
        matched_rules: vec![long.clone()],
        ..decision(&long, 4)
    };
    store
        .append_decisions(&[record, decision("after", 5)])
        .await
        .unwrap();
    assert_eq!(on_request(store, &long).await[0].request_id, long[..512]);
    assert_eq!(on_request(store, "after").await.len(), 1);
    let filter = DecisionFilter {
        namespaces: Some(vec![long.clone()]),
        rule: Some(long),
        ..DecisionFilter::default()
    };
    assert_eq!(store.decision_stats(&filter).await.unwrap().total, 1);

    let audit = NewAudit {
        actor: "a\0".into(),
        ..entry("odd")
    };
    assert_eq!(store.append_audit(&audit).await.unwrap().entry.actor, "a\u{fffd}");
    assert_eq!(verify(store).await, Ok(2));
}

async fn what_no_database_holds_is_not_found(bed: &Bed) {
    let store = &*bed.store;
    let odd = "a\0";
    assert_eq!(store.policy(&of(odd)).await.unwrap(), None);
    assert_eq!(store.version(&of(odd), 1).await.unwrap(), None);
    assert_eq!(store.bundle(odd).await.unwrap(), None);
    assert_eq!(store.bundle_bytes(odd).await.unwrap(), None);
    assert_eq!(store.key(odd).await.unwrap(), None);
    let after = Page {
        limit: 9,
        after: Some(odd.into()),
    };
    let filter = PolicyFilter {
        namespaces: Some(vec![odd.into()]),
        ..PolicyFilter::default()
    };
    let after_policy = Page {
        limit: 9,
        after: Some(PolicyKey::new(odd, odd).cursor()),
    };
    assert_eq!(store.policies(&filter, &after_policy).await.unwrap().items, []);
    assert_eq!(store.places(odd, None).await.unwrap(), []);
    assert_eq!(store.versions(&of(odd), &page(9)).await.unwrap().items, []);
    assert_eq!(store.keys(&after).await.unwrap().items, []);
    let missing = |result: Result<u64, StoreError>| {
        assert!(matches!(result, Err(StoreError::Missing(_))), "{result:?}");
    };
    missing(
        store
            .delete_policy(&of(odd), None, 0, &entry("policy.delete"))
            .await,
    );
    missing(
        store
            .activate_bundle(Some(odd), 0, &entry("bundle.activate"))
            .await,
    );
    let revoke = KeyChange::Revoke {
        id: odd.into(),
        at_ms: 1,
    };
    missing(store.change_key(&revoke, &entry("key.revoke")).await.map(|_| 0));
    // What may have any name keeps as much of it as can be kept.
    let named = ApiKey {
        name: odd.into(),
        ..key("k")
    };
    store
        .change_key(&create(named), &entry("key.create"))
        .await
        .unwrap();
    assert_eq!(store.key("k").await.unwrap().unwrap().name, "a\u{fffd}");
}

async fn what_nobody_wrote_is_corrupt(bed: &Bed) {
    let store = &*bed.store;
    write(store, &active("p", Expected::Nothing, 0, "1"))
        .await
        .unwrap();
    store.change_key(&create(key("k")), &entry("key")).await.unwrap();
    if !bed.sql("UPDATE policy_versions SET status = 'bogus'").await {
        return;
    }
    let corrupt =
        |result: Result<(), StoreError>| assert!(matches!(result, Err(StoreError::Corrupt(_))), "{result:?}");
    corrupt(store.policy(&of("p")).await.map(|_| ()));
    corrupt(store.active().await.map(|_| ()));
    bed.sql("UPDATE api_keys SET scopes = 'policy:read root'").await;
    corrupt(store.key("k").await.map(|_| ()));
    bed.sql("UPDATE state SET revision = -1").await;
    corrupt(store.revision().await.map(|_| ()));
    bed.sql("DELETE FROM state").await;
    corrupt(store.ping().await);
    corrupt(
        write(store, &active("q", Expected::Nothing, 1, "1"))
            .await
            .map(|_| ()),
    );
}

async fn a_closed_store_is_unavailable(bed: &Bed) {
    bed.store.ping().await.unwrap();
    bed.store.close().await;
    assert!(matches!(bed.store.ping().await, Err(StoreError::Unavailable(_))));
    let late = write(&*bed.store, &active("p", Expected::Nothing, 0, "1")).await;
    assert!(matches!(late, Err(StoreError::Unavailable(_))));
}

/// Several servers that start at once make the tables once.
async fn opened_at_once(open: impl AsyncFn() -> Arc<dyn Store>) {
    let stores = futures_util::future::join_all((0..8).map(|_| open())).await;
    futures_util::future::join_all(stores.iter().map(async |store| store.ping().await.unwrap())).await;
    for (base, store) in (0..).zip(&stores) {
        write(
            &**store,
            &active(&format!("p{base}"), Expected::Nothing, base, "1"),
        )
        .await
        .unwrap();
    }
    assert_eq!(verify(&*stores[0]).await, Ok(8));
    for store in stores {
        store.close().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sqlite_opened_by_several_at_once() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join(FILE);
    opened_at_once(async || file(&path).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_prepared_by_several_at_once() {
    let Some(database) = postgres::Database::create().await else {
        return postgres::missing("postgres_prepared_by_several_at_once");
    };
    opened_at_once(async || connect(&database.url())).await;
    database.remove().await;
}

#[tokio::test]
async fn a_reopened_file_has_everything() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join(FILE);
    let store = file(&path).await;
    write(&*store, &active("p", Expected::Nothing, 0, "1"))
        .await
        .unwrap();
    write(&*store, &draft("p", Expected::Version(1), 1, "2"))
        .await
        .unwrap();
    store
        .put_bundle(&bundle("b", true), 1, &entry("bundle.put"))
        .await
        .unwrap();
    store.change_key(&create(key("k")), &entry("key")).await.unwrap();
    store.append_decisions(&[decision("r", 1)]).await.unwrap();
    let all = async |store: &dyn Store| {
        (
            store.active().await.unwrap(),
            store.policy(&of("p")).await.unwrap(),
            store.versions(&of("p"), &page(9)).await.unwrap(),
            store.bundles(&page(9)).await.unwrap(),
            store.key("k").await.unwrap(),
            on_request(store, "r").await,
            store.audit(0, 99).await.unwrap(),
        )
    };
    let before = all(&*store).await;
    store.close().await;
    drop(store);
    let store = file(&path).await;
    assert_eq!(all(&*store).await, before);
    assert_eq!(verify(&*store).await, Ok(4));
}

/// What a server of the first version left behind: a policy, one that moved to another namespace and waits there, one that
/// moved and decides, one that was deleted after it moved, and a key that was rotated.
const BEFORE: &str = "
INSERT INTO policy_versions VALUES
  ('plain', 1, 'team', 'n', '1.0.0', 'active', 'plain 1', 'yaml', 'd', 'ann', 1),
  ('plain', 2, 'team', 'n', '1.0.0', 'active', 'plain 2', 'yaml', 'd', 'ann', 2),
  ('waits', 1, 'here', 'n', '1.0.0', 'active', 'waits 1', 'yaml', 'd', 'ann', 1),
  ('waits', 2, 'here', 'n', '1.0.0', 'draft', 'waits 2', 'yaml', 'd', 'ann', 1),
  ('waits', 3, 'there', 'n', '1.0.0', 'active', 'waits 3', 'yaml', 'd', 'ann', 1),
  ('moved', 1, 'here', 'n', '1.0.0', 'active', 'moved 1', 'yaml', 'd', 'ann', 1),
  ('moved', 2, 'there', 'n', '1.0.0', 'active', 'moved 2', 'yaml', 'd', 'ann', 1),
  ('gone', 1, 'here', 'n', '1.0.0', 'active', 'gone 1', 'yaml', 'd', 'ann', 1),
  ('gone', 2, 'there', 'n', '1.0.0', 'active', 'gone 2', 'yaml', 'd', 'ann', 1);
INSERT INTO policies VALUES
  ('plain', 2, 1, 'bob', 1, 2, 3), ('waits', 3, 1, 'bob', 1, 2, 3), ('moved', 2, 2, 'bob', 1, 2, 3);
INSERT INTO api_keys (id, name, hash, scopes, author, created_ms) VALUES
  ('k1', 'rotated', HASH, 'policy:read', 'ann', 1), ('k2', 'not', HASH, 'policy:read', 'ann', 1);
INSERT INTO api_keys (id, name, hash, scopes, namespaces, author, created_ms) VALUES
  ('0000000000000001', 'bound', HASH, 'policy:read', '[\"team\"]', 'ann', 1),
  ('0000000000000002', 'of it', HASH, 'policy:read', '[\"team\"]', 'bound (key 0000000000000001)', 1),
  ('0000000000000003', 'of that', HASH, 'policy:read', '[\"team\"]', 'of it (key 0000000000000002)', 1),
  ('0000000000000004', 'free', HASH, 'policy:read', NULL, 'ann', 1),
  ('0000000000000005', 'of free', HASH, 'policy:read', '[\"team\"]', 'free (key 0000000000000004)', 1),
  ('0000000000000006', 'of that', HASH, 'policy:read', '[\"team\"]', 'of free (key 0000000000000005)', 1);
INSERT INTO audit VALUES
  (1, 1, 'bob', 'key.rotate', 'k1', '', 'r', '{}', 0, HASH, HASH),
  (2, 1, 'ann', 'key.rotate', 'k1', '', 'r', '{}', 0, HASH, HASH),
  (3, 1, 'bob', 'key.rotate', 'k1', '', 'r', '{}', 0, HASH, HASH),
  (4, 1, 'eve', 'key.revoke', 'k1', '', 'r', '{}', 0, HASH, HASH);
UPDATE state SET revision = 7;";

/// [`BEFORE`] with the digests of its texts.
fn before() -> String {
    let line = |line: &str| match line.split_once(", 'yaml', 'd',") {
        Some((head, tail)) => {
            let source = head.rsplit('\'').nth(1).unwrap();
            format!(
                "{head}, 'yaml', '{}',{tail}\n",
                policy_server::document::digest(source)
            )
        }
        None => format!("{line}\n"),
    };
    BEFORE.lines().map(line).collect()
}

/// The tables as the first version made them.
async fn first_migration(path: &str) -> Migrator {
    let directory = tempfile::tempdir().unwrap();
    std::fs::copy(path, directory.path().join("1_initial.sql")).unwrap();
    Migrator::new(directory.path()).await.unwrap()
}

async fn is_brought_up_to_date(store: &dyn Store) {
    let Deployment::Policies(all) = store.active().await.unwrap().deployment else {
        panic!("a bundle is active");
    };
    let deciding: Vec<String> = all
        .iter()
        .map(|v| format!("{}/{} {}", v.namespace, v.id, v.source))
        .collect();
    assert_eq!(
        deciding,
        ["there/moved moved 2", "team/plain plain 1", "here/waits waits 1"],
        "what was active stays active"
    );
    let record = async |namespace: &str, id: &str| {
        let record = store.policy(&PolicyKey::new(namespace, id)).await.unwrap();
        record.map(|r| {
            (
                r.latest.version,
                r.active_version,
                r.pending_approval,
                r.approved_by,
            )
        })
    };
    let bob = || Some("bob".to_owned());
    assert_eq!(record("team", "plain").await, Some((2, Some(1), true, bob())));
    assert_eq!(record("there", "waits").await, Some((3, None, true, None)));
    assert_eq!(record("here", "waits").await, Some((2, Some(1), false, bob())));
    assert_eq!(record("there", "moved").await, Some((2, Some(2), false, bob())));
    assert_eq!(record("here", "moved").await, None);
    for (namespace, id, numbers) in [
        ("here", "waits", &[2, 1][..]),
        ("there", "waits", &[3]),
        ("here", "moved", &[1]),
        ("here", "gone", &[1]),
        ("there", "gone", &[2]),
    ] {
        let versions = store
            .versions(&PolicyKey::new(namespace, id), &page(9))
            .await
            .unwrap();
        let found: Vec<u64> = versions.items.iter().map(|v| v.version).collect();
        assert_eq!(found, numbers, "{namespace}/{id}");
    }
    let rotated_by = async |id: &str| store.key(id).await.unwrap().unwrap().rotated_by;
    assert_eq!(rotated_by("k1").await, ["bob"]);
    assert_eq!(rotated_by("k2").await, Vec::<String>::new());
    // A key counts as the first one above it that is bound to namespaces.
    let mut owners = Vec::new();
    for n in 1..=6 {
        let key = store.key(&format!("{n:016}")).await.unwrap().unwrap();
        owners.push(
            key.owner
                .map(|owner| owner.trim_start_matches("key 000000000000000").to_owned()),
        );
    }
    assert_eq!(
        owners.iter().map(Option::as_deref).collect::<Vec<_>>(),
        [None, Some("1"), Some("1"), None, None, Some("5")]
    );
    assert_eq!(store.revision().await.unwrap(), 7);
}

#[tokio::test]
async fn a_file_of_before_is_brought_up_to_date() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("db");
    let url = format!("sqlite:{}?mode=rwc", path.display());
    let mut connection = sqlx::SqliteConnection::connect(&url).await.unwrap();
    let first = first_migration("migrations/sqlite/1_initial.sql").await;
    first.run_direct(None, &mut connection, false).await.unwrap();
    let sql = before().replace("HASH", "zeroblob(32)");
    connection.execute(sqlx::AssertSqlSafe(sql)).await.unwrap();
    connection.close().await.unwrap();
    for _ in 0..2 {
        let store = file(&path).await;
        is_brought_up_to_date(&*store).await;
        store.close().await;
    }
}

#[tokio::test]
async fn a_database_of_before_is_brought_up_to_date() {
    let Some(database) = postgres::Database::create().await else {
        return postgres::missing("a_database_of_before_is_brought_up_to_date");
    };
    let mut connection = sqlx::PgConnection::connect(&database.url()).await.unwrap();
    let first = first_migration("migrations/postgres/1_initial.sql").await;
    first.run_direct(None, &mut connection, false).await.unwrap();
    let sql = before().replace("HASH", "decode(repeat('00', 32), 'hex')");
    connection.execute(sqlx::AssertSqlSafe(sql)).await.unwrap();
    connection.close().await.unwrap();
    for _ in 0..2 {
        let store = connect(&database.url());
        is_brought_up_to_date(&*store).await;
        store.close().await;
    }
    database.remove().await;
}

#[tokio::test]
async fn the_configuration_names_the_store() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join(FILE);
    for (database, backend) in [
        (config::Database::SqliteMemory, "sqlite"),
        (config::Database::SqliteFile(path.clone()), "sqlite"),
        (
            config::Database::Postgres(config::Postgres::by_url(
                "postgres://127.0.0.1:1/x".to_owned().into(),
            )),
            "postgres",
        ),
    ] {
        let config = config::Config {
            database,
            data_dir: directory.path().to_owned(),
            pool: 2,
            poll: Duration::from_secs(1),
        };
        let store = storage::open(&config).await.unwrap();
        assert_eq!(store.backend(), backend);
        assert_eq!(store.ping().await.is_ok(), backend == "sqlite");
        store.close().await;
    }
    assert!(path.exists());
}

#[tokio::test]
async fn directories_of_our_making_are_private_and_other_files_are_refused() {
    use std::os::unix::fs::PermissionsExt as _;
    let directory = tempfile::tempdir().unwrap();
    drop(file(&directory.path().join(FILE)).await);
    let mode = std::fs::metadata(directory.path().join("some/where"))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o700);

    let other = directory.path().join("other");
    std::fs::write(&other, "this is a text and no database ".repeat(100)).unwrap();
    let error = Sqlite::open(&other, 1).await.unwrap_err();
    assert!(
        matches!(&error, StoreError::Corrupt(text) if text.contains("other")),
        "{error:?}"
    );
    let error = Sqlite::open(&other.join("below"), 1).await.unwrap_err();
    assert!(matches!(error, StoreError::Unavailable(_)), "{error:?}");

    // A database that a later program has changed.
    let url = format!("sqlite:{}", directory.path().join(FILE).display());
    let mut connection = sqlx::SqliteConnection::connect(&url).await.unwrap();
    connection
        .execute("INSERT INTO _sqlx_migrations VALUES (9999, 'later', CURRENT_TIMESTAMP, TRUE, x'00', 1)")
        .await
        .unwrap();
    connection.close().await.unwrap();
    let error = Sqlite::open(&directory.path().join(FILE), 1).await.unwrap_err();
    assert!(matches!(error, StoreError::Corrupt(_)), "{error:?}");
}

/// Set in the process that is to be killed: the file to write to.
const VICTIM: &str = "STORAGE_TEST_VICTIM";

/// Not a test by itself: the process that [`what_was_acknowledged_survives_a_kill`] kills.
#[tokio::test]
async fn victim() {
    let Some(path) = std::env::var_os(VICTIM) else {
        return;
    };
    let store = file(Path::new(&path)).await;
    // Past the capture of the harness, and at once.
    let mut out = std::io::stdout();
    for n in 0.. {
        let expected = if n == 0 {
            Expected::Nothing
        } else {
            Expected::Version(n)
        };
        write(&*store, &active("p", expected, n, &format!("source {n}")))
            .await
            .unwrap();
        store
            .append_decisions(&[decision(&format!("r{n}"), 1)])
            .await
            .unwrap();
        writeln!(out, "\nacknowledged {n}").unwrap();
        out.flush().unwrap();
    }
}

#[tokio::test]
async fn what_was_acknowledged_survives_a_kill() {
    for round in 1..=3_usize {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(FILE);
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "victim", "--nocapture"])
            .env(VICTIM, &path)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut last = None;
        for line in lines.map_while(Result::ok) {
            if let Some(n) = line.strip_prefix("acknowledged ") {
                last = Some(n.parse::<u64>().unwrap());
                if last == Some(round as u64 * 17) {
                    child.kill().unwrap();
                }
            }
        }
        assert!(!child.wait().unwrap().success());
        let last = last.unwrap();
        assert!(last >= round as u64 * 17);

        let store = file(&path).await;
        let revision = store.revision().await.unwrap();
        assert!(revision > last, "acknowledged {last}, found revision {revision}");
        for n in 0..=last {
            let version = store.version(&of("p"), n + 1).await.unwrap().unwrap();
            assert_eq!(*version.source, format!("source {n}"));
            assert_eq!(on_request(&*store, &format!("r{n}")).await.len(), 1);
        }
        assert_eq!(
            store.policy(&of("p")).await.unwrap().unwrap().latest.version,
            revision
        );
        assert_eq!(verify(&*store).await, Ok(revision));
        store.close().await;
    }
}

/// Waits until the store answers.
async fn recovered(store: &dyn Store) {
    let begin = Instant::now();
    while let Err(error) = store.ping().await {
        assert!(matches!(error, StoreError::Unavailable(_)), "{error:?}");
        assert!(begin.elapsed() < Duration::from_secs(30), "still away: {error}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_may_go_away_and_come_back() {
    let Some(server) = tokio::task::spawn_blocking(postgres::Server::start)
        .await
        .unwrap()
    else {
        return postgres::missing("postgres_may_go_away_and_come_back");
    };
    server.crash();
    // Not there at the start: the handle can be had, operations say why they fail, and soon.
    let store = connect_directly(&server.url("postgres"));
    let begin = Instant::now();
    assert!(matches!(store.ping().await, Err(StoreError::Unavailable(_))));
    let refused = write(&*store, &active("p", Expected::Nothing, 0, "1")).await;
    assert!(matches!(refused, Err(StoreError::Unavailable(_))), "{refused:?}");
    assert!(begin.elapsed() < Duration::from_secs(6), "{:?}", begin.elapsed());
    server.resume();
    recovered(&*store).await;
    let other = connect_directly(&server.url("postgres"));
    recovered(&*other).await;
    for n in 0..5 {
        let expected = if n == 0 {
            Expected::Nothing
        } else {
            Expected::Version(n)
        };
        write(&*store, &active("p", expected, n, "x")).await.unwrap();
    }
    let before = store.active().await.unwrap();

    server.crash();
    let lost = write(&*store, &active("p", Expected::Version(5), 5, "lost")).await;
    assert!(matches!(lost, Err(StoreError::Unavailable(_))), "{lost:?}");
    assert!(matches!(store.active().await, Err(StoreError::Unavailable(_))));
    assert!(matches!(
        store.append_decisions(&[decision("r", 1)]).await,
        Err(StoreError::Unavailable(_))
    ));
    server.resume();
    recovered(&*store).await;
    recovered(&*other).await;
    assert_eq!(
        store.active().await.unwrap(),
        before,
        "acknowledged before the crash, there after it"
    );
    assert_eq!(verify(&*store).await, Ok(5));

    // The hints come again as well.
    let reader = Arc::clone(&other);
    let waiting = tokio::spawn(async move {
        while reader.revision().await.unwrap() < 6 {
            reader.changed().await;
        }
    });
    tokio::time::sleep(Duration::from_secs(3)).await;
    write(&*store, &active("p", Expected::Version(5), 5, "6"))
        .await
        .unwrap();
    assert!(soon(async { waiting.await.unwrap() }).await);
    store.close().await;
    other.close().await;
    tokio::task::spawn_blocking(move || drop(server)).await.unwrap();
}

#[tokio::test]
async fn settings_for_postgres_are_checked_and_kept_secret() {
    let url = config::Postgres::by_url("postgres://ann:hunter2@host:notaport/db".to_owned().into());
    let error = Postgres::connect(&url, 1).unwrap_err();
    assert!(matches!(error, StoreError::Unavailable(_)));
    assert!(!format!("{error:?} {error}").contains("hunter2"));
    let parts = |ssl_mode: &str| config::Postgres {
        host: Some("127.0.0.1".into()),
        port: Some(1),
        user: Some("ann".into()),
        password: Some("hunter2".to_owned().into()),
        database: Some("db".into()),
        ssl_mode: Some(ssl_mode.into()),
        ..config::Postgres::default()
    };
    assert!(Postgres::connect(&parts("sometimes"), 1).is_err());
    let store = Postgres::connect(&parts("verify-full"), 1).unwrap();
    let error = store.ping().await.unwrap_err();
    assert!(matches!(error, StoreError::Unavailable(_)));
    assert!(!format!("{store:?} {error:?}").contains("hunter2"));
    store.close().await;
}
