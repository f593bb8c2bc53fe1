//! The file and its connections.

use super::super::Store as _;
use super::super::model::PolicyKey;
use super::*;
use std::sync::atomic::AtomicU64;

#[tokio::test]
async fn every_connection_writes_through_and_checks_references() {
    let directory = tempfile::tempdir().unwrap();
    let store = Sqlite::open(&directory.path().join("db"), 2).await.unwrap();
    for pool in [&store.readers, &store.writer] {
        let pragma =
            async |sql: &'static str| sqlx::query_scalar::<Db, i64>(sql).fetch_one(pool).await.unwrap();
        assert_eq!(pragma("PRAGMA synchronous").await, 2, "full");
        assert_eq!(pragma("PRAGMA foreign_keys").await, 1);
        assert_eq!(pragma("PRAGMA busy_timeout").await, 5000);
        let mode = sqlx::query_scalar::<Db, String>("PRAGMA journal_mode")
            .fetch_one(pool)
            .await
            .unwrap();
        assert_eq!(mode, "wal");
    }
}

#[cfg(unix)]
#[tokio::test]
async fn only_the_owner_may_read_the_files() {
    use std::os::unix::fs::PermissionsExt as _;
    let directory = tempfile::tempdir().unwrap();
    std::fs::set_permissions(directory.path(), std::fs::Permissions::from_mode(0o777)).unwrap();
    let path = directory.path().join("db");
    // As an earlier version left it.
    std::fs::write(&path, "").unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o666)).unwrap();
    let store = Sqlite::open(&path, 2).await.unwrap();
    for name in ["db", "db-wal", "db-shm"] {
        let meta = std::fs::metadata(directory.path().join(name)).unwrap();
        assert_eq!(meta.permissions().mode() & 0o777, 0o600, "{name}");
    }
    store.shut().await;
}

#[tokio::test]
async fn a_connection_that_is_left_in_a_transaction_is_replaced() {
    let directory = tempfile::tempdir().unwrap();
    let store = Sqlite::open(&directory.path().join("db"), 2).await.unwrap();
    {
        // As SQLite does where the disk is full: it ends the transaction, and the roll-back that follows fails.
        let mut write = store.write().await.unwrap();
        sqlx::query::<Db>("ROLLBACK")
            .execute(write.transaction.connection().unwrap())
            .await
            .unwrap();
    }
    for _ in 0..2 {
        store.check_writes(Duration::ZERO).await.unwrap();
    }
    let mut write = store.write().await.unwrap();
    sqlx::query::<Db>("ROLLBACK")
        .execute(write.transaction.connection().unwrap())
        .await
        .unwrap();
    write.transaction.commit().await.unwrap_err();
    store.check_writes(Duration::ZERO).await.unwrap();
}

/// Whoever approves is compared with the authors of the text: what that costs must not be the author's choice.
#[tokio::test]
async fn authors_of_a_text_cost_the_same_however_many_versions_there_are() {
    let steps = async |versions: i64| {
        let store = Sqlite::in_memory().await.unwrap();
        sqlx::query::<Db>(
                "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < $1) INSERT INTO policy_versions \
                 SELECT 'team', 'p', i, 'n', '1.0.0', 'active', 'text', 'yaml', 'digest ' || (i % 2), \
                 'author ' || (i % 3), 1 FROM n",
            )
            .bind(versions)
            .execute(&store.writer)
            .await
            .unwrap();
        let steps = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&steps);
        let mut connection = store.readers.acquire().await.unwrap();
        // There is only one connection.
        connection
            .lock_handle()
            .await
            .unwrap()
            .set_progress_handler(1, move || {
                counted.fetch_add(1, Ordering::Relaxed);
                true
            });
        drop(connection);
        let authors = store.authors(&PolicyKey::new("team", "p"), "digest 1").await;
        let authors = authors.unwrap();
        let expected = [("author 0", 3), ("author 1", 1), ("author 2", 5)];
        assert_eq!(authors, expected.map(|(name, first)| (name.to_owned(), first)));
        steps.load(Ordering::Relaxed)
    };
    let (few, many) = (steps(10).await, steps(10_000).await);
    assert!(
        few > 0 && many < few + few / 10,
        "{few} steps, {many} for many versions"
    );
}

#[tokio::test]
async fn what_is_in_memory_outlives_a_transaction_that_ends_badly() {
    let store = Sqlite::in_memory().await.unwrap();
    sqlx::query::<Db>("UPDATE state SET revision = 7")
        .execute(&store.writer)
        .await
        .unwrap();
    // Given up while it begins, while it works, and while it ends.
    for polls in 0..40 {
        let mut work = Box::pin(store.check_writes(Duration::ZERO));
        for _ in 0..polls {
            if futures_util::poll!(&mut work).is_ready() {
                break;
            }
            tokio::task::yield_now().await;
        }
        drop(work);
        assert_eq!(store.revision().await.unwrap(), 7);
    }
}
