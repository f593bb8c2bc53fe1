//! The cache of decisions: what is kept, what is never found again, and that a hit is the decision it stands for.

#![cfg(all(feature = "cache", feature = "compile"))]
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

use policy_runtime::primitives::prices::PriceTable;
use policy_runtime::{
    Answer, CacheOptions, Compiler, DefaultDecision, DeriveMode, EngineBuilder, EvaluateError,
    EvaluateOptions, KeptDecision, LocalCache, LookUp, Mode, Origin, Policies, PolicyEngine,
    UnknownNamespace, Worker, Worth,
};
use serde_json::{Value, json};
use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

const POLICIES: &str = r#"
metadata: { id: all, name: All, namespace: global }
rules:
  - id: big
    condition: { operator: gt, field: llm.maxTokens, value: 100 }
    action: { decision: warn, reason: 'asks for {{ llm.maxTokens }}', metadata: { who: '{{ user.id }}' } }
  - id: clamp
    condition: { operator: eq, field: user.tier, value: free }
    action: { decision: modify, modifications: { llm.maxTokens: { $cap: 50 } } }
---
metadata: { id: tokens, name: Tokens, namespace: team-a }
rules:
  - id: long
    condition: { operator: gt, field: llm.estimatedTokens, value: 1000 }
    action: { decision: deny, reason: '{{ llm.estimatedTokens }} tokens' }
  - id: mail
    condition: { operator: eq, field: llm.containsPII, value: true }
    action: { decision: warn, reason: 'found {{ llm.piiTypes }}' }
---
metadata: { id: cost, name: Cost, namespace: team-b }
rules:
  - id: dear
    condition: { operator: gt, field: llm.estimatedCost, value: 0.5 }
    action: { decision: deny, reason: '{{ llm.estimatedCost }} dollars' }
"#;

fn builder(policies: &str) -> EngineBuilder {
    PolicyEngine::builder().policies_from_yaml(policies).unwrap()
}

fn engine(policies: &str) -> PolicyEngine {
    builder(policies).build().unwrap()
}

fn always(bytes: u64) -> LocalCache {
    LocalCache::new(CacheOptions {
        bytes,
        worth: Worth::ALWAYS,
        ..CacheOptions::default()
    })
}

/// The response without what differs from call to call.
fn lasting(json: &str) -> Value {
    let mut response: Value = serde_json::from_str(json).unwrap();
    response["timestamp"].take();
    response["cached"].take();
    response["requestId"].take();
    response["decision"]["evaluationTimeMs"].take();
    response
}

struct Client<'c> {
    cache: &'c LocalCache,
    worker: Worker,
}

impl<'c> Client<'c> {
    fn new(cache: &'c LocalCache) -> Self {
        Self {
            cache,
            worker: Worker::new(),
        }
    }

    /// Evaluates through the cache, checks the answer against an evaluation without it, and says where it came from.
    fn ask(&mut self, engine: &PolicyEngine, body: &str, options: &EvaluateOptions<'_>) -> (Origin, Value) {
        let answer = engine
            .evaluate_cached(&mut self.worker, self.cache, body.as_bytes(), options)
            .unwrap();
        let (origin, found) = (answer.origin, lasting(answer.json));
        check_parts(&answer);
        let mut other = Worker::new();
        let direct = engine.answer(&mut other, body.as_bytes(), options).unwrap();
        check_parts(&direct);
        assert_eq!(found, lasting(direct.json), "{body}");
        assert_eq!(answer.decision, direct.decision);
        assert_eq!(answer.errors, direct.errors);
        (origin, found)
    }

    fn origin(&mut self, engine: &PolicyEngine, body: &str) -> Origin {
        self.ask(engine, body, &EvaluateOptions::default()).0
    }
}

/// The parts of an answer say what its document says.
fn check_parts(answer: &Answer<'_>) {
    let document: Value = serde_json::from_str(answer.json).unwrap();
    let read = |part: &str| serde_json::from_str::<Value>(part).unwrap();
    let decision = &document["decision"];
    assert_eq!(decision["decision"], answer.decision.as_str());
    assert_eq!(
        answer.parts.reason(answer.json).map(read).as_ref(),
        decision.get("reason")
    );
    assert_eq!(
        read(answer.parts.matched_rules(answer.json)),
        decision["matchedRules"]
    );
    assert_eq!(
        read(answer.parts.matched_policies(answer.json)),
        decision["matchedPolicies"]
    );
    assert_eq!(
        read(answer.parts.revision(answer.json)),
        document["bundle"]["revision"]
    );
    assert_eq!(document["timestamp"], answer.timestamp_ms);
    assert_eq!(
        decision["evaluationTimeMs"],
        answer.evaluation_time_ns as f64 / 1e6
    );
    assert_eq!(document["cached"], answer.origin == Origin::Cached);
    let errors = decision
        .get("errors")
        .map_or(0, |list| list.as_array().unwrap().len());
    assert_eq!(errors, answer.errors);
}

fn context(prompt: &str) -> String {
    json!({"llm": {"model": "gpt-4o", "prompt": prompt, "maxTokens": 500}, "user": {"id": "u", "tier": "free"}})
        .to_string()
}

#[test]
fn an_equal_request_is_answered_from_the_cache_with_its_own_envelope() {
    let (cache, engine) = (always(1 << 20), engine(POLICIES));
    let mut client = Client::new(&cache);
    let body = context("mail me at jo@example.org");
    assert_eq!(client.origin(&engine, &body), Origin::Missed);
    assert_eq!(client.origin(&engine, &body), Origin::Cached);
    // Layout, order, escapes and what is not read do not matter; `llm` is read as a whole where a rule asks what it says.
    let same = r#"{ "user": {"tier":"free", "id": "\u0075"}, "x": [1],
        "llm": {"maxTokens": 500, "prompt": "mail me at jo\u0040example.org", "model": "gpt-4o"}}"#;
    assert_eq!(client.origin(&engine, same), Origin::Cached);

    for id in ["one", "quote \" and \n"] {
        let options = EvaluateOptions {
            request_id: Some(id),
            ..EvaluateOptions::default()
        };
        let answer = engine
            .evaluate_cached(&mut client.worker, &cache, body.as_bytes(), &options)
            .unwrap();
        let response: Value = serde_json::from_str(answer.json).unwrap();
        assert_eq!(response["requestId"], id);
        assert_eq!(response["cached"], true);
        assert!(response["timestamp"].as_u64().unwrap() > 1_600_000_000_000);
        check_parts(&answer);
    }
    let generated = |client: &mut Client<'_>| {
        let options = EvaluateOptions::default();
        let answer = engine.evaluate_cached(&mut client.worker, &cache, body.as_bytes(), &options);
        let response: Value = serde_json::from_str(answer.unwrap().json).unwrap();
        response["requestId"].as_str().unwrap().to_owned()
    };
    assert_ne!(generated(&mut client), generated(&mut client));
    let stats = cache.stats();
    assert_eq!((stats.misses(), stats.hits(), stats.stored()), (1, 6, 1));
    assert_eq!((cache.len(), stats.bypassed()), (1, 0));
    assert!(
        !format!("{cache:?}").contains("example.org"),
        "prompts do not reach logs"
    );
}

#[test]
fn inputs_that_a_decision_could_tell_apart_are_kept_apart() {
    let (cache, engine) = (always(1 << 20), engine(POLICIES));
    let mut client = Client::new(&cache);
    let with = |tokens: &str, user: &str| format!(r#"{{"llm": {{"maxTokens": {tokens}}}, "user": {user}}}"#);
    let bodies = [
        with("101", r#"{"id": "1"}"#),
        with("101.0", r#"{"id": "1"}"#),
        with("101", r#"{"id": 1}"#),
        with("101", r#"{"id": 1.0}"#),
        with("101", r#"{"id": null}"#),
        with("101", "{}"),
        with("0", "{}"),
        with("-0.0", "{}"),
        with("0.0", "{}"),
        with("18446744073709551615", r#"{"id": ["a"]}"#),
        with("101", r#"{"id": ["a", "b"]}"#),
        with("101", r#"{"id": ["ab"]}"#),
        with("101", r#"{"id": {"a": "b"}}"#),
    ];
    for (i, body) in bodies.iter().enumerate() {
        assert_eq!(client.origin(&engine, body), Origin::Missed, "{i}");
    }
    for body in &bodies {
        assert_eq!(client.origin(&engine, body), Origin::Cached, "{body}");
    }
}

#[test]
fn a_hit_refuses_what_a_miss_refuses() {
    let (cache, engine) = (always(1 << 20), engine(POLICIES));
    let mut client = Client::new(&cache);
    let body = context("hello");
    assert_eq!(client.origin(&engine, &body), Origin::Missed);
    let options = EvaluateOptions::default();
    for bad in [
        format!("{body}x"),
        body.replace(r#""user""#, r#""llm""#),
        "[]".to_owned(),
    ] {
        let refused = engine.evaluate_cached(&mut client.worker, &cache, bad.as_bytes(), &options);
        assert!(matches!(refused, Err(EvaluateError::Context(_))), "{bad}");
    }
    for (list, unknown) in [(vec![], false), (vec![Cow::Borrowed("nope")], true)] {
        let options = EvaluateOptions {
            policies: Some(&list),
            ..EvaluateOptions::default()
        };
        let refused = engine.evaluate_cached(&mut client.worker, &cache, body.as_bytes(), &options);
        assert_eq!(unknown, matches!(refused, Err(EvaluateError::UnknownPolicy(_))));
        assert_eq!(!unknown, matches!(refused, Err(EvaluateError::NoPolicies)));
    }
}

#[test]
fn errors_and_traces_are_never_kept() {
    let cache = always(1 << 20);
    let mut client = Client::new(&cache);
    let engine = engine(POLICIES);
    let wrong = r#"{"llm": {"maxTokens": "many"}, "user": {"tier": "free"}}"#;
    for _ in 0..3 {
        let (origin, response) = client.ask(&engine, wrong, &EvaluateOptions::default());
        assert_eq!(origin, Origin::Missed);
        assert!(!response["decision"]["errors"].as_array().unwrap().is_empty());
    }
    let traced = EvaluateOptions {
        trace: true,
        ..EvaluateOptions::default()
    };
    let body = context("hello");
    assert_eq!(client.origin(&engine, &body), Origin::Missed);
    for _ in 0..2 {
        let (origin, response) = client.ask(&engine, &body, &traced);
        assert_eq!(origin, Origin::Decided);
        assert!(response["decision"]["trace"]["rules"].is_array());
    }
    assert_eq!((cache.len(), cache.stats().bypassed()), (1, 2));
}

#[test]
fn namespaces_lists_of_policies_and_modes_do_not_share() {
    let cache = always(1 << 20);
    let engine = builder(POLICIES)
        .unknown_namespace(UnknownNamespace::Global)
        .build()
        .unwrap();
    let mut client = Client::new(&cache);
    let body = context("call 555-0100 or mail jo@example.org");
    let namespaces = [
        None,
        Some("team-a"),
        Some("team-b"),
        Some("nobody"),
        Some("no one"),
        Some("global"),
    ];
    let list = |ids: &[&'static str]| ids.iter().map(|id| Cow::Borrowed(*id)).collect::<Vec<_>>();
    let lists = [
        None,
        Some(list(&["all"])),
        Some(list(&["all", "tokens"])),
        Some(list(&["tokens"])),
    ];
    let ask = |client: &mut Client<'_>, namespace, list: Option<&Vec<Cow<'static, str>>>, mode| {
        let options = EvaluateOptions {
            namespace,
            policies: list.map(Vec::as_slice),
            mode,
            ..EvaluateOptions::default()
        };
        match engine.evaluate_cached(&mut client.worker, &cache, body.as_bytes(), &options) {
            Ok(_) => Some(()),
            Err(_not_there) => None,
        }?;
        Some(client.ask(&engine, &body, &options))
    };
    let mut kept = 0;
    for namespace in namespaces {
        for list in &lists {
            for mode in [Mode::FirstDeny, Mode::All] {
                if ask(&mut client, namespace, list.as_ref(), mode).is_some() {
                    kept += 1;
                }
                assert_eq!(cache.stats().misses(), kept, "each of its own");
            }
        }
    }
    assert!(kept > 20, "{kept}");
    // The same set of policies in another order.
    let turned = list(&["tokens", "all"]);
    assert!(ask(&mut client, None, Some(&turned), Mode::All).is_some());
    assert_eq!(cache.stats().misses(), kept);
}

#[test]
fn decisions_belong_to_the_policies_prices_and_settings_that_made_them() {
    let cache = always(1 << 20);
    let mut client = Client::new(&cache);
    let prices = |dollars: u32| {
        let json = format!(
            r#"{{"models": {{"gpt-4o": {{"provider": "openai", "mode": "chat", "input_per_million": {dollars}, "output_per_million": {dollars}}}}}}}"#
        );
        Arc::new(PriceTable::builtin().with_file("prices.json", &json).unwrap())
    };
    let body = context("hello");
    let (engine, second) = (engine(POLICIES), engine(&POLICIES.replace("1000", "1")));
    let engines = [
        second,
        builder(&POLICIES.replace("asks for", "wants")).build().unwrap(),
        builder(POLICIES).prices(prices(900)).build().unwrap(),
        builder(POLICIES).prices(prices(2)).build().unwrap(),
        builder(POLICIES).derive(DeriveMode::Never).build().unwrap(),
        builder(POLICIES).derive(DeriveMode::Missing).build().unwrap(),
        builder(POLICIES)
            .default_decision(DefaultDecision::Deny)
            .build()
            .unwrap(),
    ];
    assert_eq!(client.origin(&engine, &body), Origin::Missed);
    for (i, other) in engines.iter().enumerate() {
        assert_eq!(client.origin(other, &body), Origin::Missed, "{i}");
    }
    for (i, other) in engines.iter().enumerate() {
        assert_eq!(client.origin(other, &body), Origin::Cached, "{i}");
    }
    // Equal contents are the same policies, whoever compiled them and in whatever form they came.
    assert_eq!(
        client.origin(&builder(POLICIES).build().unwrap(), &body),
        Origin::Cached
    );
    let same = builder(POLICIES)
        .prices(Arc::new(PriceTable::builtin().clone()))
        .build()
        .unwrap();
    assert_eq!(client.origin(&same, &body), Origin::Cached);
}

#[test]
fn activation_leaves_nothing_of_the_old_policies_behind() {
    let policy = |n: u64| {
        format!(
            "metadata: {{id: p, name: P}}\nrules:\n- id: r\n  condition: {{operator: exists, field: llm.model}}\n  \
             action: {{decision: warn, reason: 'version {n}'}}\n"
        )
    };
    let mut compiler = Compiler::default();
    compiler.set("p.yaml", policy(0));
    let engine = PolicyEngine::builder()
        .policies(Policies::from_sources(&mut compiler).unwrap())
        .build()
        .unwrap();
    let cache = always(1 << 20);
    // The newest version that is certainly active, and the newest that may be.
    let (certain, possible, stop) = (AtomicU64::new(0), AtomicU64::new(0), AtomicBool::new(false));
    let hits = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..3)
            .map(|_| {
                scope.spawn(|| {
                    let (mut worker, mut hits) = (Worker::new(), 0_u64);
                    while !stop.load(Ordering::Relaxed) {
                        let from = certain.load(Ordering::SeqCst);
                        let body = br#"{"llm": {"model": "m"}}"#;
                        let answer = engine
                            .evaluate_cached(&mut worker, &cache, body, &EvaluateOptions::default())
                            .unwrap();
                        let to = possible.load(Ordering::SeqCst);
                        let reason = answer.parts.reason(answer.json).unwrap();
                        let version: u64 = reason.trim_matches('"')["version ".len()..].parse().unwrap();
                        assert!((from..=to).contains(&version), "{version} in {from}..={to}");
                        hits += u64::from(answer.origin == Origin::Cached);
                    }
                    hits
                })
            })
            .collect();
        for n in 1..=150 {
            // Forth and back: an old version that comes again may be found again.
            compiler.set("p.yaml", policy(n));
            let next = Policies::from_sources(&mut compiler).unwrap();
            possible.store(n, Ordering::SeqCst);
            engine.activate(next);
            certain.store(n, Ordering::SeqCst);
            std::thread::sleep(Duration::from_millis(1));
        }
        stop.store(true, Ordering::Relaxed);
        threads.into_iter().map(|t| t.join().unwrap()).sum::<u64>()
    });
    assert!(hits > 150, "{hits} hits: the cache took no part");
}

#[test]
fn decisions_end_with_their_time_and_no_time_keeps_nothing() {
    let engine = engine(POLICIES);
    let short = LocalCache::new(CacheOptions {
        ttl: Duration::from_millis(40),
        worth: Worth::ALWAYS,
        ..CacheOptions::default()
    });
    let mut client = Client::new(&short);
    let body = context("hello");
    assert_eq!(client.origin(&engine, &body), Origin::Missed);
    std::thread::sleep(Duration::from_millis(50));
    assert_eq!(client.origin(&engine, &body), Origin::Missed);
    for options in [
        CacheOptions {
            ttl: Duration::ZERO,
            worth: Worth::ALWAYS,
            ..CacheOptions::default()
        },
        CacheOptions {
            bytes: 0,
            worth: Worth::ALWAYS,
            ..CacheOptions::default()
        },
    ] {
        let none = LocalCache::new(options);
        let mut client = Client::new(&none);
        for _ in 0..3 {
            assert_ne!(client.origin(&engine, &body), Origin::Cached);
        }
        assert!(none.is_empty());
    }
}

#[test]
fn memory_stays_within_its_bound() {
    let (cache, engine) = (always(256 << 10), engine(POLICIES));
    let mut worker = Worker::new();
    for n in 0..2_000 {
        let body = context(&format!("{n} {}", "text ".repeat(n % 300)));
        engine
            .evaluate_cached(&mut worker, &cache, body.as_bytes(), &EvaluateOptions::default())
            .unwrap();
        assert!(cache.bytes() <= 256 << 10, "{} bytes", cache.bytes());
    }
    assert!(cache.len() > 50, "{} entries", cache.len());
    // What does not fit is answered all the same.
    let huge = context(&"x".repeat(400 << 10));
    let answer = engine.evaluate_cached(&mut worker, &cache, huge.as_bytes(), &EvaluateOptions::default());
    assert_ne!(answer.unwrap().origin, Origin::Cached);
}

#[test]
fn cheap_requests_pass_by_and_dear_ones_do_not() {
    // The compiler's bound without text: a few hundred units.
    let engine = engine(
        "metadata: {id: p, name: P}\nrules:\n- id: r\n  condition: {operator: gt, field: llm.estimatedTokens, value: 1}\n  \
         action: {decision: warn, reason: '{{ llm.estimatedTokens }} tokens'}\n",
    );
    let cache = LocalCache::new(CacheOptions::default());
    let mut client = Client::new(&cache);
    for _ in 0..3 {
        assert_eq!(
            client.origin(&engine, r#"{"llm": {"model": "m"}}"#),
            Origin::Decided
        );
    }
    let long = context(&"many different words ".repeat(2_000));
    assert_eq!(client.origin(&engine, &long), Origin::Missed);
    assert_eq!(client.origin(&engine, &long), Origin::Cached);
    let stats = cache.stats();
    assert_eq!((stats.bypassed(), stats.misses(), stats.hits()), (3, 1, 1));
    // A hit that had to wait for a processor saves nothing.
    for _ in 0..1_000 {
        if cache.stats().saved_ns() > 0 {
            break;
        }
        client.origin(&engine, &long);
    }
    assert!(cache.stats().saved_ns() > 0);
}

#[test]
fn the_two_halves_do_what_the_whole_does() {
    let (here, there) = (always(1 << 20), always(1 << 20));
    let engine = engine(POLICIES);
    let (mut worker, options) = (Worker::new(), EvaluateOptions::default());
    let body = context("hello");
    let LookUp::Absent { key } = engine
        .look_up(&mut worker, &here, body.as_bytes(), &options)
        .unwrap()
    else {
        panic!("nothing is there");
    };
    let key = key.to_vec();
    let (answer, fresh) = engine
        .decide_absent(&mut worker, &here, body.as_bytes(), &options)
        .unwrap();
    let fresh = fresh.unwrap();
    assert_eq!((answer.origin, fresh.key), (Origin::Missed, key.as_slice()));
    let wire = fresh.decision.encode(fresh.key);
    let expected = lasting(answer.json);

    // Another process adopts it.
    let decision = Arc::new(KeptDecision::decode(&wire, &key).unwrap());
    assert!(there.adopt(&key, Arc::clone(&decision)));
    let mut other = Worker::new();
    let adopted = decision.answer(&mut other, &options, Instant::now());
    check_parts(&adopted);
    assert_eq!(lasting(adopted.json), expected);
    match engine
        .look_up(&mut other, &there, body.as_bytes(), &options)
        .unwrap()
    {
        LookUp::Answered(answer) => assert_eq!(lasting(answer.json), expected),
        LookUp::Absent { .. } => panic!("it was adopted"),
    }
    assert_eq!((here.stats().misses(), here.stats().hits()), (1, 0));
    assert_eq!((there.stats().misses(), there.stats().hits()), (0, 1));

    // No bit of the wire form may change, and nothing may be missing or of another key.
    for bit in 0..wire.len() * 8 {
        let mut damaged = wire.clone();
        damaged[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(KeptDecision::decode(&damaged, &key), None, "bit {bit}");
    }
    for length in 0..wire.len() {
        assert_eq!(
            KeptDecision::decode(&wire[..length], &key),
            None,
            "{length} bytes"
        );
    }
    assert_eq!(KeptDecision::decode(&wire, &key[1..]), None);
    assert_eq!(KeptDecision::decode(&wire, &[]), None);
}

/// Numbers below `n` by Zipf's law, from a seed.
struct Zipf {
    sums: Vec<f64>,
    state: u64,
}

impl Zipf {
    fn new(n: u32, exponent: f64) -> Self {
        let mut sum = 0.0;
        let sums = (1..=n).map(|rank| {
            sum += f64::from(rank).powf(-exponent);
            sum
        });
        Self {
            sums: sums.collect(),
            state: 0x9e37_79b9_7f4a_7c15,
        }
    }

    fn next(&mut self) -> usize {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        let at = (self.state >> 11) as f64 / (1_u64 << 53) as f64 * self.sums.last().unwrap();
        self.sums.partition_point(|sum| *sum < at)
    }
}

#[test]
fn a_replay_of_prompts_that_repeat_hits_four_times_in_five() {
    const PROMPTS: u32 = 5_000;
    const REQUESTS: u32 = 60_000;
    let engine = engine(POLICIES);
    let words = [
        "alpha", "beta", "gamma", "delta", "please", "explain", "the", "code",
    ];
    let prompt = |n: usize| {
        let mut text = format!("Question {n}:");
        for i in 0..60 + n % 90 {
            text.push(' ');
            text.push_str(words[(n * 31 + i * i) % words.len()]);
        }
        text
    };
    let bodies: Vec<String> = (0..PROMPTS as usize).map(|n| context(&prompt(n))).collect();
    let mean = bodies.iter().map(String::len).sum::<usize>() / bodies.len();
    // Room for less than half of them.
    let cache = LocalCache::new(CacheOptions {
        bytes: 3 << 20,
        worth: Worth::ALWAYS,
        ..CacheOptions::default()
    });
    let (mut worker, mut zipf) = (Worker::new(), Zipf::new(PROMPTS, 1.1));
    for _ in 0..REQUESTS {
        let body = bodies[zipf.next()].as_bytes();
        engine
            .evaluate_cached(&mut worker, &cache, body, &EvaluateOptions::default())
            .unwrap();
    }
    let stats = cache.stats();
    let ratio = stats.hits() as f64 / f64::from(REQUESTS);
    println!(
        "{REQUESTS} requests over {PROMPTS} prompts of {mean} bytes: {:.1} % hits, {} decisions in {} KB, {} ms saved",
        ratio * 100.0,
        cache.len(),
        cache.bytes() / 1024,
        stats.saved_ns() / 1_000_000
    );
    assert_eq!(stats.hits() + stats.misses(), u64::from(REQUESTS));
    assert!(cache.len() < PROMPTS as usize / 2, "{} decisions", cache.len());
    assert!(ratio > 0.8, "{ratio}");
}
