//! Keys: how they are made and written, what makes one bad, and what the store is asked.

use super::*;
use crate::clock::now_ms;
use crate::identity::{Role, Scopes};
use secrecy::ExposeSecret as _;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex as StdMutex;
use std::sync::atomic::{AtomicUsize, Ordering};

const HOUR: i64 = 3_600_000;

fn record(generated: &Generated) -> ApiKey {
    ApiKey {
        id: generated.id.clone(),
        name: "gateway".to_owned(),
        hash: generated.hash,
        previous: None,
        scopes: Role::Evaluator.scopes(),
        namespaces: Some(vec!["team".to_owned()]),
        author: "alice".to_owned(),
        rotated_by: Vec::new(),
        owner: None,
        created_ms: now_ms(),
        expires_ms: None,
        revoked_ms: None,
    }
}

/// How the store of a test behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mood {
    Good,
    Down,
    Hanging,
}

/// Records that can be slow to come, or not come at all, which no database does on request; counts the questions.
#[derive(Debug, Clone)]
struct Shelf(Arc<Inside>);

#[derive(Debug)]
struct Inside {
    keys: StdMutex<BTreeMap<String, ApiKey>>,
    mood: StdMutex<Mood>,
    asked: AtomicUsize,
}

impl Shelf {
    fn new(keys: impl IntoIterator<Item = ApiKey>) -> Self {
        Self(Arc::new(Inside {
            keys: StdMutex::new(keys.into_iter().map(|key| (key.id.clone(), key)).collect()),
            mood: StdMutex::new(Mood::Good),
            asked: AtomicUsize::new(0),
        }))
    }

    fn keys(&self) -> Keys {
        Keys::over(Box::new(self.clone()))
    }

    fn asked(&self) -> usize {
        self.0.asked.load(Ordering::SeqCst)
    }

    fn be(&self, mood: Mood) {
        *self.0.mood.lock().unwrap() = mood;
    }

    fn put(&self, key: ApiKey) {
        self.0.keys.lock().unwrap().insert(key.id.clone(), key);
    }
}

#[async_trait]
impl Records for Shelf {
    async fn record(&self, id: &str) -> Result<Option<ApiKey>, StoreError> {
        self.0.asked.fetch_add(1, Ordering::SeqCst);
        let mood = *self.0.mood.lock().unwrap();
        match mood {
            Mood::Good => Ok(self.0.keys.lock().unwrap().get(id).cloned()),
            Mood::Down => Err(StoreError::Unavailable("down".to_owned())),
            Mood::Hanging => std::future::pending().await,
        }
    }
}

fn refused(result: Result<Identity, ServiceError>) -> (Code, String) {
    let error = result.expect_err("refused");
    (error.code, error.detail)
}

#[test]
fn keys_are_random_and_written_as_documented() {
    let keys: Vec<Generated> = (0..200).map(|_| generate().unwrap()).collect();
    let mut seen = BTreeSet::new();
    for key in &keys {
        let text = key.secret.expose_secret();
        assert_eq!(text.len(), 4 + 16 + 1 + 64);
        let (id, secret) = parts(text).unwrap();
        assert_eq!(id, key.id);
        assert_eq!(hash(secret), key.hash);
        assert!(seen.insert(id.to_owned()) && seen.insert(secret.to_owned()));
        assert!(!format!("{key:?}").contains(secret));
    }
    let renewed = generate_for(&keys[0].id).unwrap();
    assert_eq!(renewed.id, keys[0].id);
    assert_ne!(renewed.hash, keys[0].hash);
}

#[test]
fn what_is_not_written_as_a_key_is_none() {
    let good = generate().unwrap();
    let text = good.secret.expose_secret();
    for bad in [
        "",
        "lpk_",
        "lpk__",
        &text[4..],
        &text[..text.len() - 1],
        &format!("{text}0"),
        &format!(" {text}"),
        &text.to_uppercase(),
        &text.replacen("lpk_", "LPK_", 1),
        &text.replace('_', "-"),
        &format!("lpk_{}_{}", "g".repeat(16), "0".repeat(64)),
        &format!("lpk_{}_{}", "0".repeat(16), "é".repeat(32)),
        &format!("lpk_{}_{}", "0".repeat(64), "0".repeat(16)),
        &"lpk_".repeat(1_000_000),
    ] {
        assert_eq!(parts(bad), None);
    }
}

#[test]
fn a_record_says_when_a_secret_is_good() {
    let (now, key, other) = (now_ms(), generate().unwrap(), generate().unwrap());
    let good = record(&key);
    let secret = |of: &Generated| parts(of.secret.expose_secret()).unwrap().1.to_owned();
    let (mine, previous) = (secret(&key), secret(&other));
    let with = |change: fn(&mut ApiKey, i64, [u8; 32])| {
        let mut record = good.clone();
        change(&mut record, now, other.hash);
        record
    };
    type Row = (&'static str, ApiKey, bool, Result<(), KeyError>);
    let rows: Vec<Row> = vec![
        ("good", good.clone(), true, Ok(())),
        ("another secret", good.clone(), false, Err(KeyError::Invalid)),
        (
            "expires later",
            with(|r, now, _| r.expires_ms = Some(now + 1)),
            true,
            Ok(()),
        ),
        (
            "expires now",
            with(|r, now, _| r.expires_ms = Some(now)),
            true,
            Err(KeyError::Expired),
        ),
        (
            "expired",
            with(|r, now, _| r.expires_ms = Some(now - HOUR)),
            true,
            Err(KeyError::Expired),
        ),
        (
            "revoked",
            with(|r, now, _| r.revoked_ms = Some(now - 1)),
            true,
            Err(KeyError::Revoked),
        ),
        (
            "revoked by a clock ahead",
            with(|r, now, _| r.revoked_ms = Some(now + HOUR)),
            true,
            Err(KeyError::Revoked),
        ),
        (
            "expired, another secret",
            with(|r, now, _| r.expires_ms = Some(now - 1)),
            false,
            Err(KeyError::Invalid),
        ),
        (
            "revoked, another secret",
            with(|r, now, _| r.revoked_ms = Some(now)),
            false,
            Err(KeyError::Invalid),
        ),
        (
            "rotated, new secret",
            with(|r, now, old| r.previous = Some((old, now - 1))),
            true,
            Ok(()),
        ),
        (
            "rotated, old secret in time",
            with(|r, now, old| r.previous = Some((old, now + 1))),
            false,
            Ok(()),
        ),
        (
            "rotated, old secret too late",
            with(|r, now, old| r.previous = Some((old, now))),
            false,
            Err(KeyError::Rotated),
        ),
        (
            "rotated and expired, old secret in time",
            with(|r, now, old| (r.previous, r.expires_ms) = (Some((old, now + HOUR)), Some(now))),
            false,
            Err(KeyError::Expired),
        ),
        (
            "rotated and revoked, old secret in time",
            with(|r, now, old| (r.previous, r.revoked_ms) = (Some((old, now + HOUR)), Some(now))),
            false,
            Err(KeyError::Revoked),
        ),
    ];
    for (name, record, own, expected) in rows {
        let secret = if own { &mine } else { &previous };
        assert_eq!(check(&record, secret, now), expected, "{name}");
    }
    // Every bit of the hash counts.
    for bit in 0..256 {
        let mut record = good.clone();
        record.hash[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(check(&record, &mine, now), Err(KeyError::Invalid));
    }
}

#[test]
fn secrets_are_compared_in_constant_time() {
    // The time itself cannot be measured well enough on a shared machine; what can be held is that no hash is compared
    // any other way.
    let source = include_str!("../api_key.rs");
    let body = source
        .split("fn check(")
        .nth(1)
        .unwrap()
        .split("\n}\n")
        .next()
        .unwrap();
    assert_eq!(body.matches(".ct_eq(").count(), 2);
    for line in body
        .lines()
        .filter(|line| line.contains("hash") || line.contains("given"))
    {
        assert!(!line.contains("==") && !line.contains("!="), "{line}");
    }
}

#[tokio::test]
async fn a_key_gives_its_identity_and_the_store_is_asked_once() {
    let key = generate().unwrap();
    let shelf = Shelf::new([record(&key)]);
    let keys = Arc::new(shelf.keys());
    let tasks: Vec<_> = (0..100)
        .map(|_| {
            let (keys, text) = (Arc::clone(&keys), key.secret.clone());
            tokio::spawn(async move { keys.verify(text.expose_secret()).await })
        })
        .collect();
    for task in tasks {
        let identity = task.await.unwrap().unwrap();
        assert!(
            identity.subject.starts_with("gateway (key "),
            "{}",
            identity.subject
        );
        assert_eq!(identity.proof, Proof::Key);
        assert_eq!(identity.scopes, Role::Evaluator.scopes());
        assert!(identity.may_touch("team") && !identity.may_touch("other"));
    }
    assert_eq!(shelf.asked(), 1);
    // A wrong secret costs no question either.
    let wrong = generate_for(&key.id).unwrap();
    for _ in 0..10 {
        let refusal = refused(keys.verify(wrong.secret.expose_secret()).await);
        assert_eq!(
            refusal,
            (
                Code::Unauthenticated,
                "the API key is not valid: it may be mistyped, or of another server".to_owned()
            )
        );
    }
    assert_eq!(shelf.asked(), 1);
}

#[tokio::test]
async fn guessed_keys_are_remembered_too_in_bounded_memory() {
    let key = generate().unwrap();
    let shelf = Shelf::new([record(&key)]);
    let keys = shelf.keys();
    let guess = generate().unwrap();
    for _ in 0..10 {
        let refusal = refused(keys.verify(guess.secret.expose_secret()).await);
        // The same words as for a wrong secret: ids cannot be found out.
        assert_eq!(
            refusal,
            (
                Code::Unauthenticated,
                "the API key is not valid: it may be mistyped, or of another server".to_owned()
            )
        );
    }
    assert_eq!(shelf.asked(), 1);
    assert!(keys.verify(key.secret.expose_secret()).await.is_ok());
    for n in 0..CACHED * 2 {
        let guess = format!("lpk_{n:016x}_{}", "0".repeat(64));
        assert!(keys.verify(&guess).await.is_err());
    }
    assert!(keys.absent.len() <= CACHED && keys.present.len() == 1);
    let before = shelf.asked();
    assert!(keys.verify(key.secret.expose_secret()).await.is_ok());
    assert_eq!(shelf.asked(), before, "guesses do not push real keys out");
}

#[tokio::test]
async fn a_store_that_fails_or_hangs_lets_nobody_in() {
    let key = generate().unwrap();
    let shelf = Shelf::new([record(&key)]);
    let text = key.secret.expose_secret();
    for mood in [Mood::Down, Mood::Hanging] {
        let keys = Arc::new(shelf.keys());
        shelf.be(mood);
        let start = Instant::now();
        // All that wait for the same key get their answer in the same time, not one after the other.
        let tasks: Vec<_> = (0..5)
            .map(|_| {
                let (keys, text) = (Arc::clone(&keys), text.to_owned());
                tokio::spawn(async move { keys.verify(&text).await })
            })
            .collect();
        for task in tasks {
            let error = task.await.unwrap().unwrap_err();
            assert_eq!(error.code, Code::StoreUnavailable);
            assert!(error.retry_after.is_some());
        }
        assert!(start.elapsed() < LOOKUP_TIMEOUT * 4);
        // The failure is not remembered.
        shelf.be(Mood::Good);
        assert!(keys.verify(text).await.is_ok());
    }
}

#[tokio::test]
async fn a_revoked_key_dies_within_five_seconds() {
    let key = generate().unwrap();
    let shelf = Shelf::new([record(&key)]);
    let keys = shelf.keys();
    let here = shelf.keys();
    let text = key.secret.expose_secret();
    assert!(keys.verify(text).await.is_ok() && here.verify(text).await.is_ok());
    let mut revoked = record(&key);
    revoked.revoked_ms = Some(now_ms());
    shelf.put(revoked);
    let since = Instant::now();
    // On the server that did it, at once.
    here.forget(&key.id);
    let refusal = refused(here.verify(text).await);
    assert_eq!(
        refusal,
        (Code::Unauthenticated, "the API key was revoked".to_owned())
    );
    // On any other, in time, though it is asked all the while.
    loop {
        // Before it is asked: what the machine does meanwhile is not the key's life.
        let asked = since.elapsed();
        if keys.verify(text).await.is_err() {
            break;
        }
        assert!(asked < Duration::from_secs(5));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    // A store that is gone by then does not bring it back to life.
    shelf.be(Mood::Down);
    assert!(keys.verify(text).await.is_err());
}

#[tokio::test]
async fn a_new_key_is_good_at_once_where_it_was_guessed_before() {
    let key = generate().unwrap();
    let shelf = Shelf::new([]);
    let keys = shelf.keys();
    let text = key.secret.expose_secret();
    assert!(keys.verify(text).await.is_err());
    shelf.put(record(&key));
    keys.forget(&key.id);
    let identity = keys.verify(text).await.unwrap();
    assert_ne!(identity.scopes, Scopes::NONE);
}
