//! Limits in process, and on a real Redis: shared, gone, hanging, back again.

use super::*;
use crate::identity::{Owner, Proof, Scopes};
use crate::telemetry::metrics::names;
use secrecy::{ExposeSecret as _, SecretString};
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};

fn identity(subject: &str, proof: Proof, namespaces: Option<&[&str]>) -> Identity {
    let namespaces: Option<Arc<[String]>> =
        namespaces.map(|list| list.iter().map(|n| (*n).to_owned()).collect());
    Identity {
        subject: Arc::from(subject),
        proof,
        scopes: Scopes::NONE,
        owner: match proof {
            Proof::None(_) => None,
            Proof::Token => Some(Owner::token(subject, namespaces.as_deref())),
            Proof::Key => Some(Owner::key(subject)),
        },
        namespaces,
        key_ends_ms: None,
    }
}

fn alice() -> Identity {
    identity("alice", Proof::Token, None)
}

fn rate(per_second: u32, burst: u32, shared: bool) -> config::Rate {
    config::Rate {
        per_second,
        burst,
        routes: Vec::new(),
        shared,
    }
}

fn build(rate: &config::Rate, redis: Option<&redis_client::Config>) -> Result<RateLimiter, LimitError> {
    RateLimiter::build(rate, redis, &Metrics::new())
}

/// How many requests pass in a row.
async fn passing(limiter: &RateLimiter, identity: &Identity, route: Route) -> u32 {
    for n in 0..1000 {
        if limiter.check(identity, route).await.is_err() {
            return n;
        }
    }
    1000
}

/// That a burst passes, and no more than what a machine, however slow, lets be refilled meanwhile.
async fn passes(limiter: &RateLimiter, who: &Identity, route: Route, per_second: u32, burst: u32) {
    let start = Instant::now();
    let passed = passing(limiter, who, route).await;
    let refilled = (start.elapsed().as_secs_f64() * f64::from(per_second)).ceil() as u32;
    assert!(
        (burst..=burst + refilled).contains(&passed),
        "{passed} of {burst} and {refilled}: {who:?}"
    );
}

#[tokio::test]
async fn a_burst_passes_and_then_one_at_a_time() {
    let limiter = build(&rate(2, 5, false), None).unwrap();
    passes(&limiter, &alice(), Route::Evaluate, 2, 5).await;
    let error = refused(&limiter, &alice()).await;
    assert_eq!(error.code, Code::RateLimited);
    let wait = error.retry_after.unwrap();
    assert!(
        wait > Duration::ZERO && wait <= Duration::from_millis(500),
        "{wait:?}"
    );
    let start = Instant::now();
    tokio::time::sleep(wait).await;
    let passed = passing(&limiter, &alice(), Route::Evaluate).await;
    let refilled = (start.elapsed().as_secs_f64() * 2.0).ceil() as u32;
    assert!((1..=refilled).contains(&passed), "{passed} of {refilled}");
}

/// The first refusal: on a slow machine some are refilled before it.
async fn refused(limiter: &RateLimiter, who: &Identity) -> ServiceError {
    loop {
        if let Err(error) = limiter.check(who, Route::Evaluate).await {
            return error;
        }
    }
}

#[tokio::test]
async fn buckets_are_of_an_identity_and_a_class_of_routes() {
    let limiter = build(&rate(1, 2, false), None).unwrap();
    for route in Route::ALL {
        passes(&limiter, &alice(), *route, 1, 2).await;
    }
    let others = [
        identity("bob", Proof::Token, None),
        identity("alice", Proof::Key, None),
        identity("alice", Proof::Token, Some(&[])),
        identity("alice", Proof::Token, Some(&["a"])),
        identity("alice", Proof::Token, Some(&["a", "b"])),
        identity("alice", Proof::Token, Some(&["ab"])),
        identity("alicesome", Proof::Token, None),
    ];
    for other in &others {
        passes(&limiter, other, Route::Evaluate, 1, 2).await;
    }
    let limiter = build(&rate(1, 600, false), None).unwrap();
    // How many pass of 600, where somebody used 400 of them: 600 for somebody else, and 200 for the same, on any machine that
    // does this in three minutes.
    let left = async |limiter: &RateLimiter, first: &Identity, then: &Identity| {
        for _ in 0..400 {
            limiter.check(first, Route::Evaluate).await.unwrap();
        }
        passing(limiter, then, Route::Evaluate).await
    };
    // The order of namespaces makes no other identity.
    let of = |names: &[&str]| identity("alice", Proof::Token, Some(names));
    assert!(left(&limiter, &of(&["a", "b"]), &of(&["b", "a", "b"])).await < 400);
    // A clone shares the buckets.
    let clone = limiter.clone();
    for _ in 0..400 {
        limiter.check(&alice(), Route::Evaluate).await.unwrap();
    }
    assert!(passing(&clone, &alice(), Route::Evaluate).await < 400);
    assert!(left(&limiter, &of(&["c"]), &of(&["d"])).await >= 600);
}

#[tokio::test]
async fn routes_have_limits_of_their_own_or_none() {
    let mut config = rate(3, 0, false);
    config.routes = vec![("evaluate".to_owned(), 0), ("keys".to_owned(), 1)];
    let limiter = build(&config, None).unwrap();
    assert_eq!(passing(&limiter, &alice(), Route::Evaluate).await, 1000);
    passes(&limiter, &alice(), Route::Keys, 1, 1).await;
    passes(&limiter, &alice(), Route::Audit, 3, 3).await;
    let off = build(&config::Rate::default(), None).unwrap();
    assert_eq!(passing(&off, &alice(), Route::Evaluate).await, 1000);
    config.routes = vec![("evaluat".to_owned(), 1)];
    let unknown = build(&config, None);
    assert_eq!(
        unknown.unwrap_err(),
        LimitError::UnknownRoute("evaluat".to_owned())
    );
}

#[tokio::test]
async fn routes_are_those_of_the_configuration() {
    for route in Route::ALL {
        let text = format!("{}=5", route.as_str());
        let raw = crate::config::Raw::collect(
            None,
            |_| None,
            |name| (name == "RATE_LIMIT_ROUTES").then(|| text.clone()),
        );
        let config = crate::config::Config::parse(&raw).unwrap();
        assert!(build(&config.limits.rate, None).is_ok());
    }
}

#[tokio::test]
async fn memory_holds_no_full_buckets() {
    let limiter = build(&rate(1000, 1, false), None).unwrap();
    for n in 0..500 {
        let somebody = identity(&n.to_string(), Proof::Token, None);
        limiter.check(&somebody, Route::Evaluate).await.unwrap();
    }
    let local = &limiter.0.limits[0].local;
    assert!(local.len() > 1);
    tokio::time::sleep(Duration::from_millis(20)).await;
    local.retain_recent();
    assert_eq!(local.len(), 0);
}

#[tokio::test]
async fn sharing_needs_a_redis_that_can_be_meant() {
    let none = build(&rate(1, 1, true), None);
    assert_eq!(none.unwrap_err(), LimitError::NoRedis);
    let url = SecretString::from("redis://:hunter2@[::/0").into();
    let error = build(&rate(1, 1, true), Some(&url)).unwrap_err();
    assert!(!error.to_string().contains("hunter2"), "{error}");
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port()
}

/// A Redis of a test; ends with it.
struct Redis {
    child: Option<Child>,
    port: u16,
}

impl Redis {
    fn start(port: u16) -> Option<Self> {
        let arguments = [
            "--save",
            "",
            "--appendonly",
            "no",
            "--bind",
            "127.0.0.1",
            "--port",
        ];
        let child = Command::new("redis-server")
            .args(arguments)
            .arg(port.to_string())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        match child {
            Ok(child) => Some(Self {
                child: Some(child),
                port,
            }),
            Err(error) => {
                assert!(
                    std::env::var("REQUIRE_SERVERS").as_deref() != Ok("1"),
                    "redis-server is required: {error}"
                );
                eprintln!("SKIPPED, NOT TESTED: redis-server cannot be started: {error}");
                None
            }
        }
    }

    fn url(&self) -> redis_client::Config {
        SecretString::from(format!("redis://127.0.0.1:{}/0", self.port)).into()
    }

    fn stop(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        self.stop();
    }
}

/// URL of a Redis: the one of `TEST_REDIS_URL`, or one that is started.
fn redis_url() -> Option<(redis_client::Config, Option<Redis>)> {
    if let Ok(url) = std::env::var("TEST_REDIS_URL") {
        return Some((SecretString::from(url).into(), None));
    }
    let redis = Redis::start(free_port())?;
    Some((redis.url(), Some(redis)))
}

/// A limiter whose Redis answers.
async fn connected(config: &config::Rate, url: &redis_client::Config) -> RateLimiter {
    let limiter = build(config, Some(url)).unwrap();
    let probe = identity(
        &format!("probe {}", uuid::Uuid::now_v7()),
        Proof::None(None),
        None,
    );
    for _ in 0..200 {
        let before = limiter.fallbacks();
        drop(limiter.check(&probe, Route::Keys).await);
        if limiter.fallbacks() == before {
            return limiter;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("redis does not answer");
}

/// Somebody who was never seen, for a Redis that remembers earlier tests.
fn somebody() -> Identity {
    identity(&uuid::Uuid::now_v7().to_string(), Proof::Token, None)
}

#[tokio::test]
async fn two_servers_on_one_redis_share_a_bucket() {
    let Some((url, _redis)) = redis_url() else { return };
    let config = rate(2, 10, true);
    let (a, b) = (connected(&config, &url).await, connected(&config, &url).await);
    let who = somebody();
    let (fell_a, fell_b) = (a.fallbacks(), b.fallbacks());
    let start = Instant::now();
    let mut passed = 0;
    for n in 0..40 {
        let limiter = if n % 2 == 0 { &a } else { &b };
        passed += u32::from(limiter.check(&who, Route::Evaluate).await.is_ok());
    }
    // What was refilled meanwhile may pass too, and what a busy machine let run into the time limit passes in process.
    let refilled = (start.elapsed().as_secs_f64() * 2.0).ceil() as u32;
    let fell = u32::try_from((a.fallbacks() - fell_a) + (b.fallbacks() - fell_b)).unwrap();
    assert!(
        (10..=10 + refilled + fell).contains(&passed),
        "{passed} of {refilled} and {fell}"
    );
    let error = refused(&b, &who).await;
    assert_eq!(error.code, Code::RateLimited);
    let wait = error.retry_after.unwrap();
    assert!(
        wait > Duration::ZERO && wait <= Duration::from_millis(500),
        "{wait:?}"
    );
    // Other routes and other people are not touched.
    assert!(a.check(&who, Route::Audit).await.is_ok());
    assert!(b.check(&somebody(), Route::Evaluate).await.is_ok());
    tokio::time::sleep(wait).await;
    let start = Instant::now();
    assert!(a.check(&who, Route::Evaluate).await.is_ok());
    let again = b.check(&who, Route::Evaluate).await.is_ok();
    assert!(!again || start.elapsed() >= Duration::from_millis(400));
    let fell = (a.fallbacks() - fell_a) + (b.fallbacks() - fell_b);
    assert!(fell < 10, "{fell}: Redis was not asked");
}

#[tokio::test]
async fn requests_at_once_do_not_pass_twice() {
    let Some((url, _redis)) = redis_url() else { return };
    let config = rate(1, 20, true);
    let limiters = [connected(&config, &url).await, connected(&config, &url).await];
    let who = somebody();
    let start = Instant::now();
    let tasks: Vec<_> = (0..60)
        .map(|n| {
            let (limiter, who) = (limiters[n % 2].clone(), who.clone());
            tokio::spawn(async move { limiter.check(&who, Route::Evaluate).await.is_ok() })
        })
        .collect();
    let mut passed = 0;
    for task in tasks {
        passed += u64::from(task.await.unwrap());
    }
    // A busy machine may let a few run into the time limit; they are counted, and pass in process.
    let fell: u64 = limiters.iter().map(RateLimiter::fallbacks).sum();
    let refilled = start.elapsed().as_secs() + 1;
    assert!((20..=20 + refilled + fell).contains(&passed), "{passed}");
}

#[tokio::test]
async fn redis_knows_no_names_and_forgets_full_buckets() {
    let Some((url, _redis)) = redis_url() else { return };
    let limiter = connected(&rate(1, 60, true), &url).await;
    let who = somebody();
    for _ in 0..60 {
        // On a busy machine one may run into the time limit.
        drop(limiter.check(&who, Route::Evaluate).await);
    }
    let client = redis::Client::open(url.url.expose_secret()).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    let keys: Vec<String> = redis::cmd("KEYS")
        .arg("*")
        .query_async(&mut connection)
        .await
        .unwrap();
    assert!(!keys.is_empty() && !keys.iter().any(|key| key.contains(&*who.subject)));
    let digits: String = Sha256::digest(Identity::fingerprint(&who))
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let key = format!("policyd:rate:evaluate:{digits}");
    let left: i64 = redis::cmd("PTTL")
        .arg(&key)
        .query_async(&mut connection)
        .await
        .unwrap();
    assert!((1..=61_000).contains(&left), "{left}");
    // What somebody else wrote there is no reason to let everything through.
    redis::cmd("SET")
        .arg(&key)
        .arg("rubbish")
        .exec_async(&mut connection)
        .await
        .unwrap();
    passes(&limiter, &who, Route::Evaluate, 1, 60).await;
    // A time far ahead, from a clock that was put back, is an empty bucket and not a lock for ever.
    redis::cmd("SET")
        .arg(&key)
        .arg("9000000000000000")
        .exec_async(&mut connection)
        .await
        .unwrap();
    let error = refused(&limiter, &who).await;
    assert!(error.retry_after.unwrap() <= Duration::from_secs(1));
}

#[tokio::test]
async fn without_redis_each_server_counts_by_itself_until_it_is_back() {
    let port = free_port();
    let Some(mut redis) = Redis::start(port) else {
        return;
    };
    let config = rate(1, 5, true);
    let limiter = connected(&config, &redis.url()).await;
    redis.stop();
    let fell = limiter.fallbacks();
    let start = Instant::now();
    passes(&limiter, &somebody(), Route::Evaluate, 1, 5).await;
    assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
    assert!(limiter.fallbacks() >= fell + 5);
    let _again = Redis::start(port).unwrap();
    let back = Instant::now();
    loop {
        let before = limiter.fallbacks();
        drop(limiter.check(&somebody(), Route::Evaluate).await);
        if limiter.fallbacks() == before {
            break;
        }
        assert!(
            back.elapsed() < Duration::from_secs(15),
            "Redis is not used again"
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let other = connected(&config, &redis.url()).await;
    let who = somebody();
    let (start, fell) = (Instant::now(), limiter.fallbacks() + other.fallbacks());
    let both = passing(&limiter, &who, Route::Evaluate).await + passing(&other, &who, Route::Evaluate).await;
    let fell = limiter.fallbacks() + other.fallbacks() - fell;
    let refilled = start.elapsed().as_secs() + 2;
    assert!((5..=5 + refilled + fell).contains(&u64::from(both)), "{both}");
}

#[tokio::test]
async fn a_redis_that_hangs_stalls_nobody() {
    // Takes connections and never answers.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let held = tokio::spawn(async move {
        let mut held = Vec::new();
        while let Ok((socket, _)) = listener.accept().await {
            held.push(socket);
        }
    });
    let url = SecretString::from(format!("redis://:hunter2@{address}/0")).into();
    let metrics = Metrics::new();
    let limiter = RateLimiter::build(&rate(1, 50, true), Some(&url), &metrics).unwrap();
    let shows = |count: u64| {
        let series = format!("{} {count}\n", names::RATE_LIMIT_FALLBACKS);
        assert!(metrics.encode().contains(&series), "{series} is not shown");
    };
    shows(0);
    assert!(!format!("{limiter:?}").contains("hunter2"));
    let start = Instant::now();
    for _ in 0..50 {
        assert!(limiter.check(&alice(), Route::Evaluate).await.is_ok());
    }
    // All of them waiting would be 50 times the limit.
    assert!(start.elapsed() < REDIS_TIMEOUT * 40, "{:?}", start.elapsed());
    assert_eq!(limiter.fallbacks(), 50);
    shows(50);
    let more = passing(&limiter, &alice(), Route::Evaluate).await;
    assert!(
        u64::from(more) <= start.elapsed().as_secs() + 1,
        "the limit holds in process"
    );
    held.abort();
}
