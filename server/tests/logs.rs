//! What a whole server writes into its log: one line a change, a refusal, a warning of the compiler; and at the level of debug a
//! line a decision, without a word of what was asked.
//!
//! The log is of the process, so all tests write into one, and look for the ids of their own requests.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a helper of tests fails as tests do"
)]

#[path = "support/server.rs"]
mod server;

use policy_proto::v1;
use policy_proto::v1::policy_document::Document;
use policy_proto::v1::policy_service_client::PolicyServiceClient;
use policy_server::telemetry::config::{Config, LogFormat};
use policy_server::telemetry::logs;
use serde_json::{Value, json};
use server::Running;
use std::io::{self, Write};
use std::sync::{Mutex, Once};
use std::time::Duration;
use tonic::transport::Channel;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

static LOG: Mutex<Vec<u8>> = Mutex::new(Vec::new());

struct Log;

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        LOG.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A server whose lines are gathered, as `LOG_LEVEL=debug` would have them.
async fn start(settings: &[(&str, &str)]) -> Running {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let config = Config {
            level: "debug".to_owned(),
            format: LogFormat::Json,
            otlp: None,
            sample: 0.0,
        };
        let (layer, _) = logs::layer(&config, || Log).unwrap();
        tracing_subscriber::registry().with(layer).init();
    });
    Running::start(settings).await
}

fn log() -> String {
    String::from_utf8(LOG.lock().unwrap().clone()).unwrap()
}

/// The lines about a part of the server's work, in the order in which they were written.
fn lines(target: &str, fits: impl Fn(&Value) -> bool) -> Vec<Value> {
    let target = format!("policy_server::{target}");
    let all = log();
    let all = all
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap());
    all.filter(|line| line["target"] == target && fits(line))
        .collect()
}

fn of_request(target: &str, id: &str) -> Vec<Value> {
    lines(target, |line| line["request_id"] == id)
}

/// What is asked, under which id of a request.
struct Ask<'a> {
    id: &'a str,
    key: &'a str,
    method: &'a str,
    path: &'a str,
    if_match: Option<&'a str>,
    body: Vec<u8>,
    kind: &'a str,
}

impl<'a> Ask<'a> {
    fn new(id: &'a str, key: &'a str, method: &'a str, path: &'a str) -> Self {
        Self {
            id,
            key,
            method,
            path,
            if_match: None,
            body: Vec::new(),
            kind: "application/json",
        }
    }

    fn yaml(self, text: &str) -> Self {
        Self {
            body: text.as_bytes().to_vec(),
            kind: "application/yaml",
            ..self
        }
    }

    fn json(self, body: &Value) -> Self {
        Self {
            body: body.to_string().into_bytes(),
            ..self
        }
    }

    fn at(self, version: &'a str) -> Self {
        Self {
            if_match: Some(version),
            ..self
        }
    }

    async fn of(self, server: &Running) -> (u16, Value) {
        let url = format!("http://{}{}", server.addresses.http, self.path);
        let mut request = ureq::http::Request::builder()
            .method(self.method)
            .uri(url)
            .header("x-request-id", self.id)
            .header("content-type", self.kind);
        if !self.key.is_empty() {
            request = request.header("x-api-key", self.key);
        }
        if let Some(version) = self.if_match {
            request = request.header("if-match", version);
        }
        let request = request.body(self.body).unwrap();
        tokio::task::spawn_blocking(move || {
            let agent: ureq::Agent = ureq::Agent::config_builder()
                .http_status_as_error(false)
                .allow_non_standard_methods(true)
                .timeout_global(Some(Duration::from_secs(20)))
                .build()
                .into();
            let mut response = agent.run(request).unwrap();
            let body = response.body_mut().read_to_vec().unwrap();
            let body = serde_json::from_slice(&body).unwrap_or_default();
            (response.status().as_u16(), body)
        })
        .await
        .unwrap()
    }
}

fn policy(id: &str, model: &str) -> String {
    format!(
        "metadata: {{id: {id}, name: {id}, namespace: team}}\nrules:\n- id: refuse\n  condition: {{operator: eq, field: \
         llm.model, value: {model}}}\n  action: {{decision: deny, reason: 'no {{{{ llm.prompt }}}}'}}\n"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn every_change_is_one_line() {
    let server = start(&[("API_KEYS_ENABLED", "true")]).await;
    let admin = server.key("root", &["admin"]).await;
    let done = async |ask: Ask<'_>, status: u16| {
        let (got, body) = ask.of(&server).await;
        assert_eq!(got, status, "{body}");
        body
    };
    let ask = |id, method, path| Ask::new(id, &admin, method, path);
    let one = "/api/v1/policies/w";
    done(
        ask("w-create", "POST", "/api/v1/policies").yaml(&policy("w", "a")),
        201,
    )
    .await;
    done(ask("w-update", "PUT", one).yaml(&policy("w", "b")), 200).await;
    let status = "/api/v1/policies/w/status";
    done(
        ask("w-draft", "PATCH", status).json(&json!({"status": "draft"})),
        200,
    )
    .await;
    let back = "/api/v1/policies/w/rollback";
    done(ask("w-back", "POST", back).json(&json!({"version": 1})), 200).await;
    done(ask("w-delete", "DELETE", one), 204).await;
    for (id, action, version, active) in [
        ("w-create", "policy.create", json!(1), json!(1)),
        ("w-update", "policy.update", json!(2), json!(2)),
        ("w-draft", "policy.status", json!(3), Value::Null),
        ("w-back", "policy.rollback", json!(4), json!(4)),
        ("w-delete", "policy.delete", Value::Null, Value::Null),
    ] {
        let told = of_request("writes", id);
        assert_eq!(told.len(), 1, "{id}: {told:?}");
        let line = &told[0];
        assert_eq!(
            (&line["level"], &line["message"], &line["action"]),
            (&json!("INFO"), &json!("changed"), &json!(action))
        );
        assert_eq!(
            (&line["policy"], &line["namespace"]),
            (&json!("w"), &json!("team")),
            "{id}"
        );
        assert_eq!((&line["version"], &line["active"]), (&version, &active), "{id}");
        assert!(line["revision"].as_u64().unwrap() > 0);
        let by = line["subject"].as_str().unwrap();
        assert!(by.starts_with("root (key "), "{by}");
    }

    let new = json!({"name": "new", "roles": ["evaluator"]});
    let made = done(ask("w-key", "POST", "/api/v1/keys").json(&new), 201).await;
    let id = made["id"].as_str().unwrap();
    let rotate = format!("/api/v1/keys/{id}/rotate");
    let rotated = done(ask("w-rotate", "POST", &rotate).json(&json!({})), 200).await;
    let revoke = format!("/api/v1/keys/{id}");
    done(ask("w-revoke", "DELETE", &revoke), 204).await;
    for (request, action) in [
        ("w-key", "key.create"),
        ("w-rotate", "key.rotate"),
        ("w-revoke", "key.revoke"),
    ] {
        let told = of_request("writes", request);
        assert_eq!(told.len(), 1, "{request}: {told:?}");
        assert_eq!(
            (&told[0]["action"], &told[0]["key"]),
            (&json!(action), &json!(id))
        );
    }

    let mut compiler = policy_compiler::Compiler::new(policy_compiler::Options::default());
    compiler.set("w.yaml", policy("w", "a"));
    let bytes = compiler.build().unwrap().to_bundle().unwrap();
    let deploy = Ask {
        body: bytes,
        kind: "application/octet-stream",
        ..ask("w-deploy", "PUT", "/api/v1/bundle")
    };
    let digest = done(deploy, 200).await["digest"].clone();
    done(ask("w-end", "DELETE", "/api/v1/bundle"), 204).await;
    let told = of_request("writes", "w-deploy");
    assert_eq!(
        (told.len(), &told[0]["action"], &told[0]["bundle"]),
        (1, &json!("bundle.deploy"), &digest)
    );
    assert_eq!(of_request("writes", "w-end")[0]["action"], "bundle.remove");
    // What begins to decide is a line as well.
    assert_eq!(
        of_request("active", "w-create")[0]["message"],
        "policies activated"
    );

    let all = log();
    for secret in [
        &admin,
        made["key"].as_str().unwrap(),
        rotated["key"].as_str().unwrap(),
    ] {
        let hidden = secret.rsplit('_').next().unwrap();
        assert!(
            hidden.len() > 20 && !all.contains(hidden),
            "a secret is in the log"
        );
    }
}

async fn grpc(server: &Running) -> PolicyServiceClient<Channel> {
    let channel = Channel::from_shared(format!("http://{}", server.addresses.grpc)).unwrap();
    PolicyServiceClient::new(channel.connect().await.unwrap())
}

fn under<T>(id: &str, key: &str, message: T) -> tonic::Request<T> {
    let mut request = tonic::Request::new(message);
    request.metadata_mut().insert("x-request-id", id.parse().unwrap());
    if !key.is_empty() {
        request.metadata_mut().insert("x-api-key", key.parse().unwrap());
    }
    request
}

#[tokio::test(flavor = "multi_thread")]
async fn every_refusal_is_one_line() {
    let settings = [("API_KEYS_ENABLED", "true"), ("APPROVAL_REQUIRED", "true")];
    let server = start(&settings).await;
    let admin = server.key("root", &["admin"]).await;
    let viewer = server.key("eve", &["policy.viewer"]).await;
    let limited = start(&[("RATE_LIMIT_ROUTES", "policies=1"), ("RATE_LIMIT_BURST", "1")]).await;
    let got = async |server: &Running, ask: Ask<'_>, status: u16| {
        let (got, body) = ask.of(server).await;
        assert_eq!(got, status, "{body}");
    };
    let (list, one, status) = (
        "/api/v1/policies",
        "/api/v1/policies/r",
        "/api/v1/policies/r/status",
    );
    got(
        &server,
        Ask::new("r-made", &admin, "POST", list).yaml(&policy("r", "a")),
        201,
    )
    .await;
    got(
        &server,
        Ask::new("r-401", "lpk_wrong", "POST", list).yaml(&policy("r", "a")),
        401,
    )
    .await;
    got(
        &server,
        Ask::new("r-403", &viewer, "PUT", one).yaml(&policy("r", "b")),
        403,
    )
    .await;
    got(
        &server,
        Ask::new("r-409", &admin, "POST", list).yaml(&policy("r", "a")),
        409,
    )
    .await;
    got(
        &server,
        Ask::new("r-412", &admin, "PUT", one)
            .yaml(&policy("r", "b"))
            .at("\"9\""),
        412,
    )
    .await;
    got(
        &server,
        Ask::new("r-422", &admin, "PUT", one).yaml("rules: 1"),
        422,
    )
    .await;
    let active = json!({"status": "active"});
    got(
        &server,
        Ask::new("r-428", &admin, "PATCH", status).json(&active),
        428,
    )
    .await;
    let own = Ask::new("r-self", &admin, "PATCH", status)
        .json(&active)
        .at("\"1\"");
    got(&server, own, 403).await;
    got(&limited, Ask::new("r-200", "", "GET", list), 200).await;
    got(&limited, Ask::new("r-429", "", "GET", list), 429).await;
    // What is not there, and what cannot be read, is none.
    got(
        &server,
        Ask::new("r-404", &admin, "GET", "/api/v1/policies/none"),
        404,
    )
    .await;
    got(
        &server,
        Ask::new("r-400", &admin, "PATCH", status).json(&json!([])),
        400,
    )
    .await;
    let root = |line: &Value| line["subject"].as_str().unwrap().starts_with("root (key ");
    for (id, status, code, action) in [
        ("r-401", 401, "unauthenticated", Value::Null),
        ("r-403", 403, "forbidden", json!("policy.update")),
        ("r-409", 409, "already_exists", json!("policy.create")),
        ("r-412", 412, "version_mismatch", json!("policy.update")),
        ("r-422", 422, "policy_invalid", json!("policy.update")),
        ("r-428", 428, "precondition_required", json!("policy.status")),
        ("r-self", 403, "self_approval", json!("policy.status")),
        ("r-429", 429, "rate_limited", Value::Null),
    ] {
        let told = of_request("refusals", id);
        assert_eq!(told.len(), 1, "{id}: {told:?}");
        let line = &told[0];
        assert_eq!(
            (&line["level"], &line["status"], &line["code"], &line["action"]),
            (&json!("INFO"), &json!(status), &json!(code), &action),
            "{id}"
        );
        if action != Value::Null {
            assert_eq!(line["policy"], "r", "{id}");
            assert!(id == "r-403" || root(line), "{line}");
        }
        if matches!(id, "r-409" | "r-412" | "r-self") {
            assert_eq!(line["namespace"], "team");
        }
        assert!(line["route"].as_str().unwrap().starts_with("/api/v1/policies"));
    }
    assert_eq!(of_request("refusals", "r-412")[0]["version"], 9);
    for id in ["r-made", "r-200", "r-404", "r-400"] {
        assert_eq!(of_request("refusals", id), Vec::<Value>::new());
    }

    let mut client = grpc(&server).await;
    let document = || {
        Some(v1::PolicyDocument {
            document: Some(Document::Yaml(policy("r", "a"))),
        })
    };
    let create = || v1::CreatePolicyRequest { policy: document() };
    client
        .create_policy(under("g-401", "lpk_wrong", create()))
        .await
        .unwrap_err();
    client
        .create_policy(under("g-403", &viewer, create()))
        .await
        .unwrap_err();
    client
        .create_policy(under("g-409", &admin, create()))
        .await
        .unwrap_err();
    let reject = v1::RejectPolicyRequest {
        id: "r".to_owned(),
        version: 7,
        comment: "no".to_owned(),
        namespace: None,
    };
    client
        .reject_policy(under("g-reject", &admin, reject))
        .await
        .unwrap_err();
    let update = v1::UpdatePolicyRequest {
        id: "r".to_owned(),
        policy: document(),
        ..Default::default()
    };
    client
        .update_policy(under("g-made", &admin, update))
        .await
        .unwrap();
    for (id, code, action) in [
        ("g-401", "unauthenticated", Value::Null),
        ("g-403", "forbidden", json!("policy.create")),
        ("g-409", "already_exists", json!("policy.create")),
        ("g-reject", "not_waiting", json!("policy.reject")),
    ] {
        let told = of_request("refusals", id);
        assert_eq!(told.len(), 1, "{id}: {told:?}");
        assert_eq!(
            (&told[0]["code"], &told[0]["action"]),
            (&json!(code), &action),
            "{id}"
        );
    }
    let reject = &of_request("refusals", "g-reject")[0];
    assert_eq!(
        (&reject["policy"], &reject["namespace"], &reject["version"]),
        (&json!("r"), &json!("team"), &json!(7))
    );
    let made = of_request("writes", "g-made");
    assert_eq!((made.len(), &made[0]["version"]), (1, &json!(2)));
    assert!(!log().contains("lpk_wrong"));

    // What is refused in a stream is told under the id of its message.
    let limited = start(&[("RATE_LIMIT_ROUTES", "evaluate=1"), ("RATE_LIMIT_BURST", "1")]).await;
    let message = || v1::EvaluatePolicyRequest {
        input: Some(v1::evaluate_policy_request::Input::ContextJson("{}".into())),
        ..Default::default()
    };
    let asked = tokio_stream::iter([message(), message()]);
    let stream = grpc(&limited)
        .await
        .evaluate_policy_stream(under("g-stream", "", asked))
        .await;
    let mut answers = stream.unwrap().into_inner();
    while answers.message().await.unwrap().is_some() {}
    let told = lines("refusals", |line| {
        line["request_id"]
            .as_str()
            .is_some_and(|id| id.starts_with("g-stream"))
    });
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!(
        (&told[0]["request_id"], &told[0]["code"], &told[0]["subject"]),
        (&json!("g-stream-1"), &json!("rate_limited"), &json!("anonymous"))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn debug_has_a_line_a_decision_and_no_word_of_what_was_asked() {
    const PROMPT: &str = "Zaphod-Beeblebrox-asks";
    let server = start(&[("CACHE_ENABLED", "true")]).await;
    let (status, _) = Ask::new("d-made", "", "POST", "/api/v1/policies")
        .yaml(&policy("d", "a"))
        .of(&server)
        .await;
    assert_eq!(status, 201);
    let context = json!({"llm": {"model": "a", "prompt": PROMPT}});
    let body = json!({"requestId": "d-1", "namespace": "team", "context": context});
    let (_, answer) = Ask::new("d-http", "", "POST", "/api/v1/evaluate")
        .json(&body)
        .of(&server)
        .await;
    assert_eq!(answer["decision"]["decision"], "deny");
    assert!(answer["decision"]["reason"].as_str().unwrap().contains(PROMPT));
    let batch = json!({"contexts": [context, {"llm": {"model": "b", "prompt": PROMPT}}]});
    Ask::new("d-batch", "", "POST", "/api/v1/evaluate/batch")
        .json(&batch)
        .of(&server)
        .await;
    let mut client = grpc(&server).await;
    let request = v1::EvaluatePolicyRequest {
        request_id: "d-grpc".to_owned(),
        input: Some(v1::evaluate_policy_request::Input::ContextJson(
            context.to_string().into(),
        )),
        ..Default::default()
    };
    client.evaluate_policy(request).await.unwrap();
    // Long ones are decided by another thread.
    let long = json!({"llm": {"model": "a", "prompt": PROMPT.repeat(2000)}});
    let body = json!({"requestId": "d-long", "context": long});
    Ask::new("d-pool", "", "POST", "/api/v1/evaluate")
        .json(&body)
        .of(&server)
        .await;

    let decided = |id: &str| lines("evaluations", |line| line["evaluation_id"] == id);
    for (id, decision, rules) in [
        ("d-1", "deny", "refuse"),
        ("d-batch-0", "deny", "refuse"),
        ("d-batch-1", "allow", ""),
        ("d-grpc", "deny", "refuse"),
        ("d-long", "deny", "refuse"),
    ] {
        let told = decided(id);
        assert_eq!(told.len(), 1, "{id}: {told:?}");
        let line = &told[0];
        assert_eq!(
            (&line["level"], &line["decision"], &line["matched_rules"]),
            (&json!("DEBUG"), &json!(decision), &json!(rules)),
            "{id}"
        );
        assert_eq!(line["revision"], answer["bundle"]["revision"]);
        assert!(line["duration_ns"].as_u64().unwrap() > 0);
        assert_eq!(
            (&line["subject"], &line["errors"]),
            (&json!("anonymous"), &json!(0))
        );
        assert!(
            ["not asked", "miss", "hit"].contains(&line["cache"].as_str().unwrap()),
            "{line}"
        );
    }
    let first = &decided("d-1")[0];
    assert_eq!(
        (&first["namespace"], &first["request_id"], &first["route"]),
        (&json!("team"), &json!("d-http"), &json!("/api/v1/evaluate"))
    );
    assert_eq!(decided("d-long")[0]["request_id"], "d-pool");
    assert!(!log().contains(PROMPT), "a prompt is in the log");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_compiler_warns_of_is_logged() {
    let warned = "metadata: {id: warned, name: W, namespace: team, version: one}\nrules:\n- id: r\n  condition: {operator: eq, \
                  field: llm.modle, value: x}\n  action: {decision: deny}\n";
    let server = start(&[]).await;
    let ask = Ask::new("c-push", "", "POST", "/api/v1/policies").yaml(warned);
    let (status, body) = ask.of(&server).await;
    assert_eq!(
        (status, body["warnings"].as_array().unwrap().len()),
        (201, 2),
        "{body}"
    );
    let told = of_request("warnings", "c-push");
    let said: Vec<_> = told
        .iter()
        .map(|line| {
            assert_eq!(
                (&line["level"], &line["policy"], &line["namespace"]),
                (&json!("WARN"), &json!("warned"), &json!("team"))
            );
            (line["code"].as_str().unwrap(), line["line"].as_u64().unwrap())
        })
        .collect();
    assert_eq!(said, [("W0001", 1), ("W0002", 4)]);

    // Those of a directory, each with the policy that it is in.
    let dir = tempfile::tempdir().unwrap();
    let file = format!(
        "{}---\n{}",
        policy("fine", "a"),
        warned.replace("id: warned", "id: second")
    );
    std::fs::write(dir.path().join("both.yaml"), file).unwrap();
    let server = start(&[("POLICIES", dir.path().to_str().unwrap())]).await;
    let told = lines("warnings", |line| line["file"] == "both.yaml");
    let said: Vec<_> = told
        .iter()
        .map(|line| {
            let text = |name: &str| line[name].as_str().unwrap().to_owned();
            (
                text("policy"),
                text("namespace"),
                text("code"),
                line["line"].as_u64().unwrap(),
            )
        })
        .collect();
    let of = |code: &str, line| ("second".to_owned(), "team".to_owned(), code.to_owned(), line);
    assert_eq!(said, [of("W0001", 7), of("W0002", 10)]);
    let (_, status) = Ask::new("c-status", "", "GET", "/api/v1/bundle")
        .of(&server)
        .await;
    let shown: Vec<_> = status["warnings"]
        .as_array()
        .unwrap()
        .iter()
        .map(|w| w["code"].as_str().unwrap())
        .collect();
    assert_eq!(shown, ["W0001", "W0002"]);
    assert_eq!(status["warnings"][1]["line"], 10);

    // Of very many, the first are shown, and it is said how many there are.
    let rules: String = (0..120)
        .map(|n| {
            format!(
                "- id: r{n}\n  condition: {{operator: eq, field: llm.x{n}, value: y}}\n  action: {{decision: deny}}\n"
            )
        })
        .collect();
    let dir = tempfile::tempdir().unwrap();
    let many = format!("metadata: {{id: many, name: M, namespace: team}}\nrules:\n{rules}");
    std::fs::write(dir.path().join("many.yaml"), many).unwrap();
    let server = start(&[("POLICIES", dir.path().to_str().unwrap())]).await;
    let (_, status) = Ask::new("c-many", "", "GET", "/api/v1/bundle").of(&server).await;
    assert_eq!(status["warnings"].as_array().unwrap().len(), 100);
    assert_eq!(lines("warnings", |line| line["policy"] == "many").len(), 100);
    assert_eq!(lines("active", |line| line["more"] == 20).len(), 1);
}
