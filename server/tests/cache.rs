//! Both caches together, on a real Redis. Each test starts one of its own: they look at all that is in it, and stop it.
//! Without `redis-server` they say that they are skipped, and fail where `REQUIRE_SERVERS=1`.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

use policy_runtime::{
    CacheOptions, EvaluateOptions, KeptDecision, LocalCache, PolicyEngine, Verb, Worker, Worth,
};
use policy_server::cache::redis::{RedisCache, RedisOptions};
use policy_server::cache::{DecisionCache, Layer, Response};
use policy_server::{cache, redis_client};
use redis::AsyncCommands as _;
use secrecy::SecretString;
use serde_json::{Value, json};
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

const POLICIES: &str = r#"
metadata: { id: tokens, name: Tokens }
rules:
  - id: long
    condition: { operator: gt, field: llm.estimatedTokens, value: 50 }
    action: { decision: deny, reason: '{{ llm.estimatedTokens }} "tokens"' }
  - id: mail
    condition: { operator: eq, field: llm.containsPII, value: true }
    action: { decision: warn, reason: 'found {{ llm.piiTypes }}', metadata: { model: '{{ llm.model }}' } }
"#;

fn at(url: &str) -> redis_client::Config {
    SecretString::from(url).into()
}

/// Generous where machines are busy: what is tested is what is found, not how fast.
const PATIENT: RedisOptions = RedisOptions {
    timeout: Duration::from_secs(2),
    pause: Duration::from_millis(100),
    queue: 256,
};

struct Redis {
    url: String,
    child: Child,
}

impl Redis {
    fn start() -> Option<Self> {
        let port = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let own = Self::on(port);
        if own.is_none() {
            assert!(
                std::env::var("REQUIRE_SERVERS").as_deref() != Ok("1"),
                "redis-server is not installed"
            );
            eprintln!("SKIPPED: redis-server is not installed");
        }
        own
    }

    /// A Redis of its own, which keeps nothing on disk.
    fn on(port: u16) -> Option<Self> {
        let child = Command::new("redis-server")
            .args([
                "--port",
                &port.to_string(),
                "--bind",
                "127.0.0.1",
                "--save",
                "",
                "--appendonly",
                "no",
            ])
            .args(["--dir", std::env::temp_dir().to_str().unwrap()])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .ok()?;
        Some(Self {
            url: format!("redis://127.0.0.1:{port}/0"),
            child,
        })
    }

    async fn client(&self) -> redis::aio::MultiplexedConnection {
        let client = redis::Client::open(self.url.as_str()).unwrap();
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            match client.get_multiplexed_async_connection().await {
                Ok(connection) => return connection,
                Err(error) => assert!(Instant::now() < deadline, "{error}"),
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    async fn cache(&self) -> DecisionCache {
        self.client().await;
        let shared = RedisCache::connect(&at(&self.url), Duration::from_secs(300), PATIENT, None).unwrap();
        let cache = DecisionCache::new(Some(options()), Some(shared));
        until("Redis answers", || cache.shared_is_up() == Some(true)).await;
        cache
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        self.child.kill().unwrap_or_default();
        self.child.wait().map(drop).unwrap_or_default();
    }
}

fn options() -> CacheOptions {
    CacheOptions {
        worth: Worth::ALWAYS,
        ..CacheOptions::default()
    }
}

async fn until(what: &str, condition: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !condition() {
        assert!(Instant::now() < deadline, "not in time: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

fn engine(policies: &str) -> PolicyEngine {
    PolicyEngine::builder()
        .policies_from_yaml(policies)
        .unwrap()
        .build()
        .unwrap()
}

/// A request that no other test and no other run of this one makes.
fn context(prompt: &str) -> String {
    let run = format!("{:?} {}", std::time::SystemTime::now(), std::process::id());
    json!({"llm": {"model": "gpt-4o", "prompt": format!("{prompt} {run}")}}).to_string()
}

fn lasting(json: &[u8]) -> Value {
    let mut response: Value = serde_json::from_slice(json).unwrap();
    for part in ["timestamp", "cached", "requestId"] {
        response[part].take();
    }
    response["decision"]["evaluationTimeMs"].take();
    response
}

async fn ask(cache: &DecisionCache, engine: &PolicyEngine, body: &str) -> Response {
    let options = EvaluateOptions {
        request_id: Some("r-1"),
        ..EvaluateOptions::default()
    };
    let outcome = cache.evaluate(engine, body.as_bytes(), &options).await.unwrap();
    let direct = cache
        .evaluate_uncached(engine, body.as_bytes(), &options)
        .unwrap();
    assert_eq!(lasting(&outcome.json), lasting(&direct.json), "{body}");
    let response: Value = serde_json::from_slice(&outcome.json).unwrap();
    let decision = &response["decision"];
    assert_eq!(response["requestId"], "r-1");
    assert_eq!(response["cached"], outcome.cached());
    assert_eq!(response["timestamp"], outcome.at_ms);
    assert_eq!(response["bundle"]["revision"], outcome.told().revision());
    assert_eq!(decision["decision"], outcome.verb.as_str());
    assert_eq!(decision["matchedRules"], json!(outcome.told().matched_rules()));
    assert_eq!(
        decision["matchedPolicies"],
        json!(outcome.told().matched_policies())
    );
    assert_eq!(
        decision.get("reason"),
        outcome.told().reason().map(Value::from).as_ref()
    );
    assert_eq!(decision["evaluationTimeMs"], outcome.duration_ns as f64 / 1e6);
    outcome
}

#[tokio::test]
async fn without_redis_the_cache_in_process_answers() {
    let cache = DecisionCache::new(Some(options()), None);
    let engine = engine(POLICIES);
    let body = context("mail jo@example.org");
    let first = ask(&cache, &engine, &body).await;
    assert_eq!(
        (first.layer, first.verb, first.errors),
        (Layer::Missed, Verb::Warn, 0)
    );
    assert_eq!(ask(&cache, &engine, &body).await.layer, Layer::Local);
    let stats = cache.stats();
    assert_eq!(
        (stats.l1_hits, stats.misses, stats.stored, stats.entries),
        (1, 1, 1, 1)
    );
    assert_eq!(
        (stats.redis_errors, stats.dropped, cache.shared_is_up()),
        (0, 0, None)
    );
    assert!((stats.hit_ratio() - 0.5).abs() < 1e-9);
}

#[tokio::test]
async fn off_means_that_nothing_is_kept() {
    let config = cache::config::Config {
        enabled: false,
        ttl: Duration::from_secs(300),
        bytes: 1 << 20,
        redis: Some(at("redis://127.0.0.1:1/0")),
    };
    let cache = DecisionCache::build(&config, None).unwrap();
    let engine = engine(POLICIES);
    let body = context(&"text ".repeat(5_000));
    for _ in 0..3 {
        assert_eq!(ask(&cache, &engine, &body).await.layer, Layer::Decided);
    }
    assert_eq!((cache.stats(), cache.shared_is_up()), (Default::default(), None));
}

#[tokio::test]
async fn two_servers_share_what_one_of_them_decided() {
    let Some(redis) = Redis::start() else { return };
    let (one, two) = (redis.cache().await, redis.cache().await);
    // Two processes compile the same policies for themselves.
    let (engine_one, engine_two) = (engine(POLICIES), engine(POLICIES));
    let body = context(&"many words ".repeat(40));
    assert_eq!(ask(&one, &engine_one, &body).await.layer, Layer::Missed);
    let mut connection = redis.client().await;
    let deadline = Instant::now() + Duration::from_secs(20);
    while connection
        .keys::<_, Vec<String>>("lpe:d:*")
        .await
        .unwrap()
        .is_empty()
    {
        assert!(Instant::now() < deadline, "nothing was written");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let outcome = ask(&two, &engine_two, &body).await;
    assert_eq!((outcome.layer, outcome.verb), (Layer::Shared, Verb::Deny));
    assert!(outcome.told().reason().unwrap().ends_with(" \"tokens\""));
    assert_eq!(
        ask(&two, &engine_two, &body).await.layer,
        Layer::Local,
        "it was taken over"
    );
    let stats = two.stats();
    assert_eq!((stats.l1_hits, stats.l2_hits, stats.misses), (1, 1, 0));

    // Other policies on the same Redis do not find it, and it ends by itself.
    let other = engine(&POLICIES.replace("50", "51"));
    assert_eq!(ask(&two, &other, &body).await.layer, Layer::Missed);
    for name in connection.keys::<_, Vec<String>>("lpe:d:*").await.unwrap() {
        let left: i64 = connection.pttl(&name).await.unwrap();
        assert!((1..=300_000).contains(&left), "{left}");
    }
}

#[tokio::test]
async fn what_is_damaged_in_redis_is_a_miss() {
    let Some(redis) = Redis::start() else { return };
    let writer = RedisCache::connect(&at(&redis.url), Duration::from_secs(300), PATIENT, None).unwrap();
    let mut connection = redis.client().await;
    until("Redis answers", || writer.is_up()).await;

    let engine = engine(POLICIES);
    let (local, mut worker) = (LocalCache::new(options()), Worker::new());
    let body = context("hello");
    let (_, fresh) = engine
        .decide_absent(&mut worker, &local, body.as_bytes(), &EvaluateOptions::default())
        .unwrap();
    let fresh = fresh.unwrap();
    let (key, decision) = (fresh.key.to_vec(), fresh.decision);
    assert_eq!(writer.get(&key).await, None);
    writer.put(&key, Arc::clone(&decision));
    let mut found = None;
    let deadline = Instant::now() + Duration::from_secs(20);
    while found.is_none() {
        assert!(Instant::now() < deadline, "nothing was written");
        found = writer.get(&key).await;
    }
    assert_eq!(found.as_ref(), Some(&*decision));

    let digest: String = {
        use sha2::Digest as _;
        sha2::Sha256::digest(&key)
            .iter()
            .map(|b| format!("{b:02x}"))
            .collect()
    };
    let name = format!("lpe:d:{digest}");
    let whole: Vec<u8> = connection.get(&name).await.unwrap();
    assert_eq!(KeptDecision::decode(&whole, &key).as_ref(), Some(&*decision));
    let mut other = key.clone();
    other.push(0);
    let mut bad: Vec<Vec<u8>> = vec![
        Vec::new(),
        vec![0; 400],
        whole[..whole.len() - 1].to_vec(),
        decision.encode(&other),
    ];
    for at in (0..whole.len()).step_by(7) {
        let mut flipped = whole.clone();
        flipped[at] ^= 0x10;
        bad.push(flipped);
    }
    let mut longer = whole.clone();
    longer.push(0);
    bad.push(longer);
    for value in bad {
        let () = connection.set(&name, &value).await.unwrap();
        assert_eq!(writer.get(&key).await, None, "{} bytes", value.len());
    }
    // Of another type.
    let () = connection.del(&name).await.unwrap();
    let () = connection.lpush(&name, "x").await.unwrap();
    assert_eq!(writer.get(&key).await, None);
    let () = connection.del(&name).await.unwrap();
    let () = connection.set(&name, &whole).await.unwrap();
    assert_eq!(
        writer.get(&key).await.as_ref(),
        Some(&*decision),
        "and what is whole is found"
    );
}

#[tokio::test]
async fn errors_of_decisions_never_reach_redis() {
    let Some(redis) = Redis::start() else { return };
    let cache = redis.cache().await;
    let engine = engine(
        "metadata: {id: p, name: P}\nrules:\n- id: r\n  condition: {operator: gt, field: user.age, value: 1}\n  \
         action: {decision: deny}\n",
    );
    let body = json!({"user": {"age": "old"}, "llm": {"model": "m"}}).to_string();
    let mut connection = redis.client().await;
    let before = connection.keys::<_, Vec<String>>("lpe:d:*").await.unwrap().len();
    for _ in 0..3 {
        let outcome = ask(&cache, &engine, &body).await;
        assert_eq!((outcome.layer, outcome.errors), (Layer::Missed, 1));
    }
    tokio::time::sleep(Duration::from_millis(100)).await;
    let after = connection.keys::<_, Vec<String>>("lpe:d:*").await.unwrap().len();
    assert_eq!((before, after), (0, 0));
    assert_eq!(cache.stats().stored, 0);
}

#[tokio::test]
async fn a_redis_that_is_not_there_costs_nothing_and_one_that_comes_back_is_used_again() {
    let Some(mut redis) = Redis::start() else { return };
    let cache = redis.cache().await;
    let engine = engine(POLICIES);
    let port: u16 = redis
        .url
        .trim_end_matches("/0")
        .rsplit(':')
        .next()
        .unwrap()
        .parse()
        .unwrap();
    assert_eq!(
        ask(&cache, &engine, &context("before")).await.layer,
        Layer::Missed
    );

    redis.child.kill().unwrap();
    redis.child.wait().unwrap();
    let mut asked = 0;
    while cache.shared_is_up() == Some(true) {
        let outcome = ask(&cache, &engine, &context("while it is down")).await;
        assert_eq!(outcome.layer, Layer::Missed);
        asked += 1;
        assert!(asked < 200, "the breaker never opens");
    }
    let errors = cache.stats().redis_errors;
    assert!(errors >= 3, "{errors}");
    // Nobody waits any more.
    let start = Instant::now();
    for _ in 0..50 {
        assert_eq!(ask(&cache, &engine, &context("down")).await.layer, Layer::Missed);
    }
    assert!(start.elapsed() < PATIENT.timeout * 10, "{:?}", start.elapsed());
    assert!(cache.stats().dropped > 0);

    redis = Redis::on(port).unwrap();
    until("it is noticed that Redis is back", || {
        cache.shared_is_up() == Some(true)
    })
    .await;
    let other = redis.cache().await;
    let body = context("after");
    assert_eq!(ask(&cache, &engine, &body).await.layer, Layer::Missed);
    let deadline = Instant::now() + Duration::from_secs(20);
    let mut connection = redis.client().await;
    while connection
        .keys::<_, Vec<String>>("lpe:d:*")
        .await
        .unwrap()
        .is_empty()
    {
        assert!(Instant::now() < deadline, "nothing was written");
    }
    assert_eq!(ask(&other, &engine, &body).await.layer, Layer::Shared);
}

#[tokio::test]
async fn a_redis_that_does_not_answer_is_left_alone_soon() {
    // Takes connections and says nothing.
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = silent.local_addr().unwrap().port();
    let holder = tokio::spawn(async move {
        let mut held = Vec::new();
        while let Ok((socket, _)) = silent.accept().await {
            held.push(socket);
        }
    });
    let config = cache::config::Config {
        enabled: true,
        ttl: Duration::from_secs(300),
        bytes: 1 << 20,
        redis: Some(at(&format!("redis://:secret@127.0.0.1:{port}/0"))),
    };
    let cache = DecisionCache::with_worth(&config, Worth::ALWAYS, None).unwrap();
    let engine = engine(POLICIES);
    let start = Instant::now();
    for n in 0..20 {
        assert_eq!(
            ask(&cache, &engine, &context(&n.to_string())).await.layer,
            Layer::Missed
        );
    }
    assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
    assert_eq!(cache.shared_is_up(), Some(false));
    assert!(!format!("{cache:?}").contains("secret"));
    holder.abort();
}

#[tokio::test]
async fn many_at_once_agree() {
    let Some(redis) = Redis::start() else { return };
    let caches = [Arc::new(redis.cache().await), Arc::new(redis.cache().await)];
    let engine = engine(POLICIES);
    let bodies: Arc<Vec<String>> =
        Arc::new((0..20).map(|n| context(&format!("{n} jo@example.org"))).collect());
    let tasks: Vec<_> = (0..40)
        .map(|n| {
            let (cache, engine, bodies) = (Arc::clone(&caches[n % 2]), engine.clone(), Arc::clone(&bodies));
            tokio::spawn(async move {
                for i in 0..bodies.len() {
                    ask(&cache, &engine, &bodies[(i + n) % bodies.len()]).await;
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    for cache in &caches {
        let stats = cache.stats();
        assert_eq!(stats.l1_hits + stats.l2_hits + stats.misses, 400, "{stats:?}");
        assert!(stats.hit_ratio() > 0.8, "{stats:?}");
    }
}
