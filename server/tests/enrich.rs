//! What a scanner says of a request before it is decided, through real sockets: over REST and gRPC, alone, in batches and in
//! streams. No odd answer allows what a rule denies where it is not known to be safe, and nobody is asked for nothing.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a helper of tests fails as tests do"
)]

#[path = "support/scanner.rs"]
mod scanner;
#[path = "support/server.rs"]
mod server;

use policy_proto::v1;
use policy_proto::v1::evaluate_policy_request::Input;
use policy_proto::v1::evaluate_policy_stream_response::Outcome;
use policy_proto::v1::policy_service_client::PolicyServiceClient;
use policy_runtime::PolicyEngine;
use policy_server::check;
use policy_server::config::Raw;
use policy_server::enrich::Reason;
use scanner::{Reply, Scanner, answer, header, safe};
use serde_json::{Value, json};
use server::Running;
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use tempfile::TempDir;
use tokio_stream::StreamExt as _;

/// A deny that is false of what is missing: only because nobody knows it, it fires.
const GUARD: &str = "
metadata: { id: guard, name: Guard, namespace: guarded }
rules:
  - id: unsafe
    condition: { operator: eq, field: shield.safe, value: false }
    action: { decision: deny, reason: 'refused: {{ shield.verdict }} {{ shield.reason }}' }
";

const PLAIN: &str = "
metadata: { id: plain, name: Plain, namespace: plain }
rules:
  - id: model
    condition: { operator: eq, field: llm.model, value: none }
    action: { decision: deny, reason: no }
";

/// How decisions are asked for.
const WAYS: [&str; 4] = ["REST", "batch", "gRPC", "stream"];

struct Guarded {
    server: Running,
    _policies: TempDir,
}

impl Guarded {
    async fn start(settings: &[(&str, &str)]) -> Self {
        Self::with(&[GUARD, PLAIN], settings).await
    }

    async fn with(policies: &[&str], settings: &[(&str, &str)]) -> Self {
        let directory = TempDir::new().unwrap();
        for (n, text) in policies.iter().enumerate() {
            std::fs::write(directory.path().join(format!("{n}.yaml")), text).unwrap();
        }
        let path = directory.path().to_str().unwrap().to_owned();
        let mut all = vec![("POLICIES", path.as_str())];
        all.extend_from_slice(settings);
        Self {
            server: Running::start(&all).await,
            _policies: directory,
        }
    }

    /// One that asks this scanner, with time enough for busy machines.
    async fn by(scanner: &Scanner) -> Self {
        Self::start(&[("SHIELD_URL", &scanner.url), ("SHIELD_TIMEOUT", "5s")]).await
    }

    async fn post(&self, path: &str, body: &Value) -> (u16, Value) {
        post(self.server.addresses.http, path, body.to_string()).await
    }

    /// The decision on a context, in one of the [`WAYS`], and its reason.
    async fn decide(&self, way: &str, namespace: &str, context: &Value) -> (String, String) {
        let texts = |decision: &Value| {
            let text = |name: &str| decision[name].as_str().unwrap_or_default().to_owned();
            (text("decision"), text("reason"))
        };
        let question = v1::EvaluatePolicyRequest {
            input: Some(Input::ContextJson(context.to_string().into())),
            namespace: Some(namespace.to_owned()),
            ..Default::default()
        };
        let client = || async {
            let url = format!("http://{}", self.server.addresses.grpc);
            let channel = tonic::transport::Channel::from_shared(url).unwrap();
            PolicyServiceClient::new(channel.connect().await.unwrap())
        };
        let told = |response: v1::EvaluatePolicyResponse| {
            let decision = response.decision().as_str_name().trim_start_matches("DECISION_");
            (decision.to_lowercase(), response.reason.unwrap_or_default())
        };
        match way {
            "REST" => {
                let body = json!({"namespace": namespace, "context": context});
                let (status, answer) = self.post("/api/v1/evaluate", &body).await;
                assert_eq!(status, 200, "{answer}");
                texts(&answer["decision"])
            }
            "batch" => {
                let body = json!({"namespace": namespace, "contexts": [context, context]});
                let (status, answer) = self.post("/api/v1/evaluate/batch", &body).await;
                assert_eq!(status, 200, "{answer}");
                let [one, other] = [0, 1].map(|n| texts(&answer["results"][n]["decision"]));
                assert_eq!(one.0, other.0, "{answer}");
                one
            }
            "gRPC" => told(
                client()
                    .await
                    .evaluate_policy(question)
                    .await
                    .unwrap()
                    .into_inner(),
            ),
            "stream" => {
                let mut client = client().await;
                let questions = tokio_stream::iter([question]);
                let mut answers = client
                    .evaluate_policy_stream(questions)
                    .await
                    .unwrap()
                    .into_inner();
                match answers.next().await.unwrap().unwrap().outcome.unwrap() {
                    Outcome::Result(response) => told(response),
                    Outcome::Error(error) => panic!("{error:?}"),
                }
            }
            other => panic!("{other}"),
        }
    }

    /// Value of a series.
    fn metric(&self, series: &str) -> u64 {
        let text = self.server.app.metrics.encode();
        let value = text
            .lines()
            .find_map(|line| line.strip_prefix(series)?.strip_prefix(' ')?.parse::<f64>().ok());
        value.unwrap_or_else(|| panic!("no {series} in {text}")) as u64
    }

    fn counted(&self, outcome: &str) -> u64 {
        self.metric(&format!(
            "llm_policy_enrich_requests_total{{service=\"shield\",outcome=\"{outcome}\"}}"
        ))
    }

    async fn readiness(&self) -> u16 {
        let url = format!("http://{}/readyz", self.server.addresses.http);
        tokio::task::spawn_blocking(move || {
            let agent: ureq::Agent = ureq::Agent::config_builder()
                .http_status_as_error(false)
                .build()
                .into();
            agent.get(&url).call().unwrap().status().as_u16()
        })
        .await
        .unwrap()
    }
}

async fn post(to: SocketAddr, path: &str, body: String) -> (u16, Value) {
    let url = format!("http://{to}{path}");
    tokio::task::spawn_blocking(move || {
        let agent: ureq::Agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(Duration::from_secs(30)))
            .build()
            .into();
        let request = agent.post(&url).header("content-type", "application/json");
        let mut response = request.send(body).unwrap();
        let status = response.status().as_u16();
        let text = response.body_mut().read_to_string().unwrap();
        (status, serde_json::from_str(&text).unwrap())
    })
    .await
    .unwrap()
}

fn prompt(text: &str) -> Value {
    json!({"llm": {"prompt": text}})
}

fn chat() -> Value {
    json!({"llm": {"model": "gpt-4o", "system": "Be kind.", "messages": [
        {"role": "user", "content": "Hello"}, {"role": "assistant", "content": "Hi"},
        {"role": "user", "content": [{"type": "text", "text": "Who are you?"}]}]}})
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_safe_passes_and_what_is_not_does_not_whoever_asks() {
    let scanner = Scanner::start(Reply::Safe).await;
    let guarded = Guarded::by(&scanner).await;
    for way in WAYS {
        scanner.says(Reply::Safe);
        let (decision, _) = guarded.decide(way, "guarded", &chat()).await;
        assert_eq!(decision, "allow", "{way}");
        let asked = scanner.asked();
        assert_eq!(asked.len(), if way == "batch" { 2 } else { 1 }, "{way}");
        for asked in asked {
            assert!(asked.head.starts_with("POST /v1/scan/prompt "), "{}", asked.head);
            assert_eq!(asked.body["prompt"], "Be kind.\nHello\nHi\nWho are you?");
            assert_eq!(header(&asked.head, "authorization"), "");
        }
        scanner.says(Reply::Unsafe("prompt_injection"));
        let (decision, reason) = guarded.decide(way, "guarded", &chat()).await;
        assert_eq!(
            (decision.as_str(), reason.as_str()),
            ("deny", "refused: unsafe "),
            "{way}"
        );
        scanner.asked();
    }
    assert_eq!((guarded.counted("safe"), guarded.counted("unsafe")), (5, 5));
    assert_eq!(
        guarded.metric("llm_policy_enrich_duration_seconds_count{service=\"shield\"}"),
        10
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn no_odd_answer_allows() {
    let other_id = safe().replace("EXECUTION", "another");
    let with = |from: &str, to: &str| {
        let body = safe();
        assert!(body.contains(from), "{body}");
        Reply::Body(200, body.replacen(from, to, 1))
    };
    let stub = r#"{"status":"accepted","execution_id":"EXECUTION"}"#.to_owned();
    let odd = [
        ("202 of a stub", Reply::Body(202, stub.clone()), Reason::Status),
        (
            "a stub's body with 200",
            Reply::Body(200, stub),
            Reason::OddAnswer,
        ),
        ("202 with a safe body", Reply::Body(202, safe()), Reason::Status),
        ("422", Reply::Body(422, safe()), Reason::Status),
        ("429", Reply::Body(429, safe()), Reason::Status),
        ("500", Reply::Body(500, safe()), Reason::Status),
        ("503", Reply::Body(503, safe()), Reason::Status),
        (
            "redirect",
            Reply::Bytes(b"HTTP/1.1 302 X\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n"),
            Reason::Redirect,
        ),
        ("empty body", Reply::Body(200, String::new()), Reason::OddAnswer),
        (
            "garbage",
            Reply::Body(200, "<html>all fine</html>".to_owned()),
            Reason::OddAnswer,
        ),
        (
            "no HTTP",
            Reply::Bytes(b"220 mail.example.org ESMTP\r\n\r\n"),
            Reason::OddAnswer,
        ),
        ("half a body", Reply::Half, Reason::Broken),
        ("the end", Reply::Nothing, Reason::Broken),
        ("another's answer", Reply::Body(200, other_id), Reason::OddAnswer),
        (
            "no isValid",
            with(
                r#""isValid":true,"riskScore":0.0,"sanitizedText""#,
                r#""riskScore":0.0,"sanitizedText""#,
            ),
            Reason::OddAnswer,
        ),
        (
            "valid in words",
            with(
                r#""isValid":true,"riskScore":0.0,"sanitizedText""#,
                r#""isValid":"true","riskScore":0.0,"sanitizedText""#,
            ),
            Reason::OddAnswer,
        ),
        (
            "no scanner looked",
            Reply::Body(200, answer(true, 0.0, &json!([]))),
            Reason::OddAnswer,
        ),
        ("too slow", Reply::Slow(Duration::from_secs(20)), Reason::Deadline),
    ];
    for (what, reply, reason) in odd {
        let scanner = Scanner::start(reply).await;
        let timeout = if reason == Reason::Deadline { "400ms" } else { "5s" };
        let guarded = Guarded::start(&[("SHIELD_URL", &scanner.url), ("SHIELD_TIMEOUT", timeout)]).await;
        for (n, way) in WAYS.into_iter().enumerate() {
            let (decision, why) = guarded.decide(way, "guarded", &chat()).await;
            assert_eq!(decision, "deny", "{what} over {way}");
            // Later ones may find that nobody is asked any more.
            if n == 0 {
                assert_eq!(why, format!("refused: unknown {}", reason.as_str()), "{what}");
            }
            assert!(why.starts_with("refused: unknown "), "{what} over {way}: {why}");
        }
        assert!(!scanner.asked().is_empty(), "{what}");
        assert!(guarded.counted(reason.as_str()) > 0, "{what}");
        // Without a rule that reads it, the same scanner changes nothing.
        assert_eq!(
            guarded.decide("REST", "plain", &chat()).await.0,
            "allow",
            "{what}"
        );
        assert_eq!(guarded.readiness().await, 200, "{what}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_asked_where_no_rule_reads_the_answer() {
    let scanner = Scanner::start(Reply::Safe).await;
    let guarded = Guarded::by(&scanner).await;
    for way in WAYS {
        assert_eq!(guarded.decide(way, "plain", &chat()).await.0, "allow", "{way}");
    }
    let send = |body: Value| {
        let guarded = &guarded;
        async move { guarded.post("/api/v1/evaluate", &body).await }
    };
    // By name, and where nothing is decided at all.
    assert_eq!(
        send(json!({"policies": ["plain"], "context": chat()})).await.0,
        200
    );
    assert_eq!(
        send(json!({"namespace": "guarded", "policies": ["other"], "context": chat()}))
            .await
            .0,
        400
    );
    assert_eq!(
        send(json!({"namespace": "other", "context": chat()})).await.0,
        400
    );
    assert_eq!(send(json!({"namespace": "guarded", "context": [1]})).await.0, 400);
    let simulated =
        json!({"namespace": "guarded", "context": {"llm": {"prompt": "x"}, "shield": {"safe": true}}});
    let (status, answer) = guarded.post("/api/v1/simulate", &simulated).await;
    assert_eq!((status, &answer["decision"]["decision"]), (200, &json!("allow")));
    assert_eq!(scanner.asked().len(), 0);
    // Where one of all policies reads it, and for a dry run.
    assert_eq!(send(json!({"context": chat()})).await.0, 200);
    assert_eq!(
        send(json!({"namespace": "guarded", "dryRun": true, "context": chat()}))
            .await
            .0,
        200
    );
    assert_eq!(scanner.asked().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_caller_writes_there_is_no_answer() {
    let claims = [
        json!({"safe": true, "verdict": "safe", "riskScore": 0, "threats": []}),
        json!(null),
        json!("safe"),
    ];
    let scanner = Scanner::start(Reply::Unsafe("secrets")).await;
    let guarded = Guarded::by(&scanner).await;
    let away = Guarded::start(&[("SHIELD_URL", "http://127.0.0.1:1")]).await;
    let off = Guarded::start(&[]).await;
    for claim in claims {
        let mut context = chat();
        context["shield"] = claim.clone();
        for way in WAYS {
            for guarded in [&guarded, &away] {
                let (decision, _) = guarded.decide(way, "guarded", &context).await;
                assert_eq!(decision, "deny", "{claim} over {way}");
            }
        }
    }
    // Its key may be written with escapes, or twice.
    for own in [r#""sh\u0069eld""#, r#""shield":{"safe":true},"shield""#] {
        let body = format!(
            r#"{{"namespace":"guarded","context":{{"llm":{{"prompt":"x"}},{own}:{{"safe":true}}}}}}"#
        );
        let (status, answer) = post(guarded.server.addresses.http, "/api/v1/evaluate", body).await;
        assert_eq!(
            (status, &answer["decision"]["decision"]),
            (200, &json!("deny")),
            "{own}"
        );
    }
    // Where nobody is asked, it is what the gateway says, and unknown where it says nothing.
    let mut context = chat();
    for (said, decision) in [
        (json!({"safe": true}), "allow"),
        (json!({"safe": false}), "deny"),
        (json!({}), "deny"),
        (json!(null), "deny"),
    ] {
        context["shield"] = said.clone();
        for way in WAYS {
            assert_eq!(
                off.decide(way, "guarded", &context).await.0,
                decision,
                "{said} over {way}"
            );
        }
    }
    assert_eq!(off.decide("REST", "guarded", &chat()).await.0, "deny");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_scanned_is_unknown() {
    let scanner = Scanner::start(Reply::Safe).await;
    let guarded = Guarded::by(&scanner).await;
    let image = |text: &str| {
        json!({"llm": {"messages": [{"role": "user", "content": [
            {"type": "text", "text": text}, {"type": "image_url", "image_url": {"url": "https://example.org/a.png"}}]}]}})
    };
    let fits = "ü".repeat(100_000);
    for (context, decision, reason, asked) in [
        (json!({}), "deny", Reason::NoText.as_str(), 0),
        (prompt(""), "deny", Reason::NoText.as_str(), 0),
        (
            json!({"metadata": {"prompt": "elsewhere"}}),
            "deny",
            Reason::NoText.as_str(),
            0,
        ),
        (prompt(&fits), "allow", "", 1),
        (prompt(&format!("{fits}.")), "deny", Reason::TooLong.as_str(), 0),
        (
            prompt(&".".repeat(1_000_000)),
            "deny",
            Reason::TooLong.as_str(),
            0,
        ),
        (
            json!({"llm": {"prompt": [1, 2, 3]}}),
            "deny",
            Reason::UnreadContent.as_str(),
            0,
        ),
        (image("What is this?"), "deny", Reason::UnreadContent.as_str(), 1),
    ] {
        for way in ["REST", "gRPC"] {
            let (found, why) = guarded.decide(way, "guarded", &context).await;
            let shown = context.to_string();
            let shown = shown.get(..shown.floor_char_boundary(80)).unwrap();
            assert_eq!(found, decision, "{shown} over {way}: {why}");
            assert!(why.ends_with(reason), "{shown}: {why}");
            assert_eq!(scanner.asked().len(), asked, "{shown}");
        }
    }
    // What is there beside an image is unsafe all the same.
    scanner.says(Reply::Unsafe("secrets"));
    let (_, why) = guarded.decide("REST", "guarded", &image("my key")).await;
    assert_eq!(why, "refused: unsafe ");
    // A request that means two things: the model might read the other text.
    let twice = r#"{"namespace":"guarded","context":{"llm":{"prompt":"a","prompt":"b"}}}"#;
    let (status, answer) = post(
        guarded.server.addresses.http,
        "/api/v1/evaluate",
        twice.to_owned(),
    )
    .await;
    assert_eq!(
        (status, &answer["code"]),
        (400, &json!("malformed_context")),
        "{answer}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn long_requests_and_long_batches_are_asked_about_as_well() {
    let scanner = Scanner::start(Reply::Safe).await;
    let guarded = Guarded::by(&scanner).await;
    let long = prompt(&"word ".repeat(15_000));
    for way in WAYS {
        scanner.says(Reply::Safe);
        assert_eq!(guarded.decide(way, "guarded", &long).await.0, "allow", "{way}");
        scanner.says(Reply::Unsafe("secrets"));
        assert_eq!(guarded.decide(way, "guarded", &long).await.0, "deny", "{way}");
        assert_eq!(guarded.decide(way, "plain", &long).await.0, "allow", "{way}");
    }
    assert_eq!(scanner.asked().len(), 2 * 5);
    // Each context has its own answer, and one that cannot be read keeps no other from its own.
    scanner.says(Reply::Slow(Duration::from_millis(20)));
    let mut contexts: Vec<Value> = (0..100).map(|n| prompt(&format!("number {n}"))).collect();
    contexts[7] = json!([]);
    let body = json!({"namespace": "guarded", "contexts": contexts});
    let begin = Instant::now();
    let (status, answer) = guarded.post("/api/v1/evaluate/batch", &body).await;
    assert_eq!(status, 200, "{answer}");
    assert_eq!(
        answer["summary"],
        json!({"allow": 99, "deny": 0, "warn": 0, "modify": 0, "errors": 1})
    );
    assert_eq!(answer["results"][7]["error"]["code"], "malformed_context");
    assert!(
        begin.elapsed() < Duration::from_millis(99 * 20),
        "one after the other"
    );
    let mut prompts: Vec<String> = scanner
        .asked()
        .iter()
        .map(|asked| asked.body["prompt"].as_str().unwrap().to_owned())
        .collect();
    prompts.sort();
    prompts.dedup();
    assert_eq!(prompts.len(), 99);
}

/// A decision that is dear enough to be kept.
const DEAR: &str = "
metadata: { id: dear, name: Dear, namespace: guarded }
rules:
  - id: mail
    condition:
      operator: and
      conditions:
        - { operator: contains, field: llm.piiTypes, value: email }
        - { operator: gt, field: llm.estimatedTokens, value: 100000 }
    action: { decision: deny, reason: no }
";

#[tokio::test(flavor = "multi_thread")]
async fn a_kept_decision_is_only_for_the_same_answer() {
    let scanner = Scanner::start(Reply::Safe).await;
    let settings = [("SHIELD_URL", scanner.url.as_str()), ("SHIELD_TIMEOUT", "5s")];
    let guarded = Guarded::with(&[GUARD, DEAR], &settings).await;
    let body = json!({"namespace": "guarded", "context": prompt(&"ask jane about the plan. ".repeat(300))});
    let ask = || async {
        let (status, answer) = guarded.post("/api/v1/evaluate", &body).await;
        assert_eq!(status, 200, "{answer}");
        let decision = answer["decision"]["decision"].as_str().unwrap().to_owned();
        (decision, answer["cached"].as_bool().unwrap())
    };
    let until_kept = |expected: &'static str| async move {
        for _ in 0..50 {
            let (decision, cached) = ask().await;
            assert_eq!(decision, expected);
            if cached {
                return;
            }
        }
        panic!("never kept");
    };
    until_kept("allow").await;
    scanner.says(Reply::Unsafe("secrets"));
    until_kept("deny").await;
    scanner.says(Reply::Body(202, safe()));
    assert_eq!(ask().await, ("deny".to_owned(), false));
    scanner.says(Reply::Safe);
    assert_eq!(ask().await, ("allow".to_owned(), true));
    assert!(scanner.asked().len() > 4, "it is asked each time");
}

#[tokio::test(flavor = "multi_thread")]
async fn logged_decisions_are_made_again_from_what_was_logged() {
    const SECRET: &str = "Zaphod-Beeblebrox-asks";
    let engine = PolicyEngine::builder()
        .policies_from_yaml(&format!("{GUARD}---{PLAIN}"))
        .unwrap()
        .build()
        .unwrap();
    let echo = json!([{"scanner": SECRET, "isValid": false, "riskScore": 0.9, "riskFactors": [
        {"description": SECRET, "severity": "High", "score": 0.9}],
        "entities": [{"entityType": format!("has {SECRET}"), "start": 0, "end": 3, "confidence": 0.9}]}]);
    for (kept, masked) in [("full", false), ("masked", true)] {
        let scanner = Scanner::start(Reply::Safe).await;
        let data = TempDir::new().unwrap();
        let file = data.path().join("decisions.jsonl");
        let sink = format!("file:{}", file.display());
        let guarded = Guarded::start(&[
            ("SHIELD_URL", &scanner.url),
            ("SHIELD_TIMEOUT", "5s"),
            ("DECISION_LOG", &sink),
            ("DECISION_LOG_CONTEXT", kept),
        ])
        .await;
        let replies = [
            Reply::Safe,
            Reply::Unsafe("secrets"),
            Reply::Body(422, safe()),
            Reply::Body(200, answer(false, 0.9, &echo)),
            Reply::Body(200, "garbage".to_owned()),
        ];
        let mut claim = prompt(SECRET);
        claim["shield"] = json!({"safe": true, "verdict": "safe", "mine": "of the caller"});
        for reply in &replies {
            scanner.says(reply.clone());
            for way in WAYS {
                guarded.decide(way, "guarded", &claim).await;
            }
        }
        guarded.server.stopped().await;
        let text = std::fs::read_to_string(&file).unwrap();
        let lines: Vec<Value> = text
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        assert_eq!(lines.len(), 5 * replies.len());
        let mut seen = std::collections::BTreeMap::new();
        for line in &lines {
            let context = &line["context"];
            let shield = &context["shield"];
            assert!(
                shield["verdict"].is_string() && shield["mine"].is_null(),
                "{shield}"
            );
            assert!(!shield.to_string().contains("Beeblebrox"), "{shield}");
            assert_eq!(context.to_string().contains(SECRET), !masked, "{context}");
            let again = engine.evaluate_json(context.to_string()).unwrap();
            assert_eq!(
                json!(again.decision.decision.as_str()),
                line["decision"],
                "{line}"
            );
            assert_eq!(json!(again.decision.reason), line["reason"], "{line}");
            assert_eq!(
                json!(again.decision.matched_rules),
                line["matchedRules"],
                "{line}"
            );
            *seen
                .entry(line["decision"].as_str().unwrap().to_owned())
                .or_insert(0) += 1;
        }
        assert_eq!(seen, [("allow".to_owned(), 5), ("deny".to_owned(), 20)].into());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scanner_that_is_away_costs_no_time_and_allows_nothing() {
    const TIMEOUT: Duration = Duration::from_secs(1);
    let slow = Scanner::start(Reply::Slow(Duration::from_secs(600))).await;
    for url in [slow.url.as_str(), "http://127.0.0.1:1"] {
        let guarded = Guarded::start(&[("SHIELD_URL", url), ("SHIELD_TIMEOUT", "1s")]).await;
        // A connection that is refused is tried again, so that the circuit opens sooner.
        for _ in 0..5 {
            assert_eq!(guarded.decide("REST", "guarded", &chat()).await.0, "deny");
        }
        let before = slow.asked().len();
        assert!(before <= 5, "{before}");
        let mut times = Vec::new();
        for n in 0..40 {
            let begin = Instant::now();
            let (decision, why) = guarded.decide(WAYS[n % 4], "guarded", &chat()).await;
            times.push(begin.elapsed());
            assert_eq!(
                (decision.as_str(), why.as_str()),
                ("deny", "refused: unknown circuit_open")
            );
        }
        times.sort();
        assert!(times[38] < TIMEOUT, "{times:?}");
        assert_eq!(slow.asked().len(), 0, "nobody is asked while the circuit is open");
        assert_eq!(
            guarded.counted("circuit_open") + guarded.counted("deadline") + guarded.counted("connect"),
            55
        );
        assert_eq!(
            guarded.metric("llm_policy_dependency_up{dependency=\"shield\"}"),
            0
        );
        assert_eq!(guarded.readiness().await, 200);
        assert_eq!(guarded.decide("REST", "plain", &chat()).await.0, "allow");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_waits_longer_than_the_request_may_take() {
    let slow = Scanner::start(Reply::Slow(Duration::from_secs(600))).await;
    let settings = [
        ("SHIELD_URL", slow.url.as_str()),
        ("SHIELD_TIMEOUT", "60s"),
        ("REQUEST_TIMEOUT", "500ms"),
    ];
    let guarded = Guarded::start(&settings).await;
    let short = json!({"namespace": "guarded", "context": chat()});
    let long = json!({"namespace": "guarded", "context": prompt(&"word ".repeat(15_000))});
    let many = json!({"namespace": "guarded", "contexts": vec![chat(); 100]});
    for (path, body) in [("", &short), ("", &long), ("/batch", &many)] {
        let begin = Instant::now();
        let (status, answer) = guarded.post(&format!("/api/v1/evaluate{path}"), body).await;
        assert!(begin.elapsed() < Duration::from_secs(5), "{:?}", begin.elapsed());
        // No answer in time, or one that denies.
        let allowed =
            answer["decision"]["allowed"] == json!(true) || answer["summary"]["allow"].as_u64() > Some(0);
        assert!(matches!(status, 200 | 504) && !allowed, "{status} {answer}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_sent_and_a_new_one_is_taken_from_its_file() {
    let scanner = Scanner::start(Reply::Safe).await;
    let secrets = TempDir::new().unwrap();
    let file = secrets.path().join("token");
    std::fs::write(&file, "token-one\n").unwrap();
    let guarded = Guarded::start(&[
        ("SHIELD_URL", &scanner.url),
        ("SHIELD_TIMEOUT", "5s"),
        ("SHIELD_TOKEN", "token-zero"),
    ])
    .await;
    guarded.decide("REST", "guarded", &chat()).await;
    assert_eq!(
        header(&scanner.asked()[0].head, "authorization"),
        "Bearer token-zero"
    );
    drop(guarded);
    let directory = TempDir::new().unwrap();
    std::fs::write(directory.path().join("p.yaml"), GUARD).unwrap();
    let (path, file_name) = (directory.path().to_str().unwrap(), file.to_str().unwrap());
    let settings = [
        ("POLICIES", path),
        ("SHIELD_URL", scanner.url.as_str()),
        ("SHIELD_TIMEOUT", "5s"),
        ("SHIELD_TOKEN_FILE", file_name),
    ];
    let server = Running::start(&settings).await;
    let body = json!({"context": chat()}).to_string();
    let sent = || async {
        let (status, answer) = post(server.addresses.http, "/api/v1/evaluate", body.clone()).await;
        assert_eq!((status, &answer["decision"]["decision"]), (200, &json!("allow")));
        header(&scanner.asked()[0].head, "authorization")
    };
    assert_eq!(sent().await, "Bearer token-one");
    std::fs::write(&file, "token-two\n").unwrap();
    let begin = Instant::now();
    while sent().await != "Bearer token-two" {
        assert!(begin.elapsed() < Duration::from_secs(20), "not in time");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[test]
fn settings_that_cannot_be_meant_are_problems() {
    let problems = |settings: &[(&str, &str)]| -> String {
        let flag = |name: &str| {
            let own = settings.iter().find(|(key, _)| *key == name);
            own.map(|(_, value)| (*value).to_owned())
        };
        let raw = Raw::collect(None, |_| None, flag);
        let found = check::settings(&raw).err().unwrap_or_default();
        found.iter().map(|problem| format!("{problem}\n")).collect()
    };
    assert_eq!(problems(&[("SHIELD_URL", "https://shield.example.org")]), "");
    for (settings, said) in [
        (&[("SHIELD_URL", "shield.example.org")][..], "expected http"),
        (
            &[("SHIELD_URL", "https://a:pass@shield.example.org")],
            "credentials",
        ),
        (&[("SHIELD_URL", "https://shield.example.org/?key=pass")], "query"),
        (
            &[
                ("SHIELD_URL", "http://shield.example.org"),
                ("SHIELD_TOKEN", "pass"),
            ],
            "plain HTTP",
        ),
        (
            &[
                ("SHIELD_URL", "https://shield.example.org"),
                ("SHIELD_TOKEN", "two words"),
            ],
            "token",
        ),
        (
            &[
                ("SHIELD_URL", "https://shield.example.org"),
                ("SHIELD_TIMEOUT", "0s"),
            ],
            "longer than 0",
        ),
        (
            &[
                ("SHIELD_URL", "https://shield.example.org"),
                ("SHIELD_ON_FAILURE", "allow"),
            ],
            "unknown",
        ),
        (
            &[
                ("SHIELD_URL", "https://shield.example.org"),
                ("SHIELD_CA_FILE", "/nowhere.pem"),
            ],
            "nowhere.pem",
        ),
        (&[("SHIELD_TOKEN", "pass")], "SHIELD_URL"),
        (&[("SHIELD_TIMEOUT", "1s")], "SHIELD_URL"),
    ] {
        let found = problems(settings);
        assert!(
            found.contains(said) && !found.contains("pass\n"),
            "{settings:?}: {found}"
        );
        assert!(
            !found.contains("a:pass") && !found.contains("key=pass"),
            "{found}"
        );
    }
}
