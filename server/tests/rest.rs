//! REST as callers see it: a whole server on loopback, every route, every kind of bad input.
//!
//! The table of bad inputs is a snapshot, which `cargo xtask gen` puts into `docs/api-errors.md`.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a helper of tests fails as tests do"
)]

#[path = "support/server.rs"]
mod server;

use policy_compiler::{Compiler, Options};
use policy_server::document::{self, Format};
use policy_server::error::{Code, ServiceError};
use policy_server::heavy::{Stop, Work};
use policy_server::identity::Identity;
use policy_server::service::evaluate::{LONG, Whole};
use policy_server::service::keys::NewKey;
use policy_server::service::simulate::{Contexts, Draft, Simulation};
use policy_server::service::{Call, Caller};
use policy_server::shares::Address;
use policy_server::storage::model::{
    Activate, DecisionFilter, Expected, NewAudit, Page, PolicyKey, PolicyStatus, PolicyVersion, PolicyWrite,
};
use policy_server::telemetry::metrics::Transport;
use policy_server::turns::Owner;
use serde_json::{Value, json};
use server::Running;
use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// An answer, as far as tests look at it.
struct Answer {
    status: u16,
    headers: ureq::http::HeaderMap,
    body: Vec<u8>,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|e| panic!("{e}: {}", String::from_utf8_lossy(&self.body)))
    }

    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |v| v.to_str().unwrap())
    }
}

/// What is sent.
#[derive(Clone, Default)]
struct Send {
    method: &'static str,
    path: String,
    headers: Vec<(&'static str, String)>,
    body: Vec<u8>,
}

fn send(method: &'static str, path: impl Into<String>) -> Send {
    Send {
        method,
        path: path.into(),
        ..Send::default()
    }
}

impl Send {
    fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    fn json(mut self, body: &Value) -> Self {
        self.body = body.to_string().into_bytes();
        self.header("content-type", "application/json")
    }

    fn yaml(mut self, body: &str) -> Self {
        self.body = body.as_bytes().to_vec();
        self.header("content-type", "application/yaml")
    }

    fn bytes(mut self, content_type: &str, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self.header("content-type", content_type)
    }

    async fn to(self, server: &Running) -> Answer {
        self.at(server.addresses.http).await
    }

    async fn at_admin(self, server: &Running) -> Answer {
        self.at(server.addresses.admin).await
    }

    async fn at(self, port: SocketAddr) -> Answer {
        let url = format!("http://{port}{}", self.path);
        tokio::task::spawn_blocking(move || {
            let agent: ureq::Agent = ureq::Agent::config_builder()
                .http_status_as_error(false)
                .allow_non_standard_methods(true)
                .timeout_global(Some(Duration::from_secs(20)))
                .build()
                .into();
            let mut request = ureq::http::Request::builder().method(self.method).uri(url);
            for (name, value) in self.headers {
                request = request.header(name, value);
            }
            let mut response = agent.run(request.body(self.body).unwrap()).unwrap();
            Answer {
                status: response.status().as_u16(),
                headers: response.headers().clone(),
                body: response.body_mut().read_to_vec().unwrap(),
            }
        })
        .await
        .unwrap()
    }
}

/// A policy that refuses one model.
fn policy(id: &str, namespace: &str, model: &str, status: &str) -> String {
    format!(
        "metadata: {{id: {id}, name: {id}, namespace: {namespace}}}\nrules:\n- id: refuse-{model}\n  condition: \
         {{operator: eq, field: llm.model, value: {model}}}\n  action: {{decision: deny, reason: 'no {model}'}}\n\
         status: {status}\n"
    )
}

async fn decide(server: &Running, model: &str) -> Value {
    let answer = send("POST", "/api/v1/evaluate")
        .json(&json!({"context": {"llm": {"model": model}}}))
        .to(server)
        .await;
    assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(&answer.body));
    answer.json()
}

/// Without an active policy nothing is decided.
async fn nothing_is_decided(server: &Running) {
    let question = json!({"context": {"llm": {"model": "a"}}});
    let answer = send("POST", "/api/v1/evaluate").json(&question).to(server).await;
    assert_eq!(
        (answer.status, answer.json()["code"].as_str()),
        (503, Some("not_ready"))
    );
    let ready = send("GET", "/readyz").to(server).await;
    assert_eq!((ready.status, &ready.json()["status"]), (503, &json!("unready")));
}

async fn decision(server: &Running, model: &str) -> String {
    decide(server, model).await["decision"]["decision"]
        .as_str()
        .unwrap()
        .to_owned()
}

fn bundle(sources: &[(&str, &str)]) -> Vec<u8> {
    let mut compiler = Compiler::new(Options::default());
    for (name, text) in sources {
        compiler.set(*name, *text);
    }
    compiler.build().unwrap().to_bundle().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_lives_from_create_to_delete() {
    let server = Running::start(&[]).await;
    nothing_is_decided(&server).await;
    let made = send("POST", "/api/v1/policies")
        .yaml(&policy("p", "team", "a", "active"))
        .to(&server)
        .await;
    assert_eq!(
        (made.status, made.header("etag")),
        (201, "\"1\""),
        "{}",
        made.json()
    );
    assert_eq!(made.json()["activeVersion"], 1);
    assert_eq!(decision(&server, "a").await, "deny");

    let revision = decide(&server, "a").await["bundle"]["revision"].clone();
    let text = policy("p", "team", "b", "active");
    let put = send("PUT", "/api/v1/policies/p")
        .header("if-match", "\"1\"")
        .yaml(&text)
        .to(&server)
        .await;
    assert_eq!((put.status, put.header("etag")), (200, "\"2\""));
    assert_eq!(
        [decision(&server, "a").await, decision(&server, "b").await],
        ["allow", "deny"]
    );
    assert_ne!(decide(&server, "a").await["bundle"]["revision"], revision);

    let stale = send("PUT", "/api/v1/policies/p")
        .header("if-match", "\"1\"")
        .yaml(&text)
        .to(&server)
        .await;
    assert_eq!(
        (stale.status, stale.json()["code"].as_str()),
        (412, Some("version_mismatch"))
    );

    let off = send("PATCH", "/api/v1/policies/p/status")
        .json(&json!({"status": "draft"}))
        .to(&server)
        .await;
    assert_eq!((off.status, &off.json()["activeVersion"]), (200, &Value::Null));
    nothing_is_decided(&server).await;
    let on = send("PATCH", "/api/v1/policies/p/status")
        .json(&json!({"status": "active"}))
        .to(&server)
        .await;
    assert_eq!(on.json()["activeVersion"], 4);
    assert_eq!(decision(&server, "b").await, "deny");

    let back = send("POST", "/api/v1/policies/p/rollback")
        .json(&json!({"version": 1}))
        .to(&server)
        .await;
    assert_eq!((back.status, &back.json()["version"]), (200, &json!(5)));
    assert_eq!(
        [decision(&server, "a").await, decision(&server, "b").await],
        ["deny", "allow"]
    );

    let versions = send("GET", "/api/v1/policies/p/versions?limit=3")
        .to(&server)
        .await
        .json();
    let numbers: Vec<_> = versions["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|v| v["version"].clone())
        .collect();
    assert_eq!(numbers, [5, 4, 3]);
    let rest = send(
        "GET",
        format!(
            "/api/v1/policies/p/versions?cursor={}",
            versions["next"].as_str().unwrap()
        ),
    );
    assert_eq!(
        rest.to(&server).await.json()["items"].as_array().unwrap().len(),
        2
    );
    let first = send("GET", "/api/v1/policies/p/versions/1")
        .to(&server)
        .await
        .json();
    assert_eq!(first["source"], policy("p", "team", "a", "active"));
    assert_eq!(first["author"], "anonymous");

    let listed = send("GET", "/api/policies?namespace=team&status=active")
        .to(&server)
        .await
        .json();
    assert_eq!(listed["items"][0]["id"], "p");
    assert_eq!(listed["items"][0].get("source"), None);
    assert_eq!(send("DELETE", "/api/v1/policies/p").to(&server).await.status, 204);
    nothing_is_decided(&server).await;
    assert_eq!(send("GET", "/api/v1/policies/p").to(&server).await.status, 404);
    assert_eq!(
        send("GET", "/api/v1/policies/p/versions")
            .to(&server)
            .await
            .status,
        200
    );

    let audit = send("GET", "/api/v1/audit").to(&server).await.json();
    let actions: Vec<_> = audit["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|r| r["action"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(
        actions,
        [
            "policy.create",
            "policy.update",
            "policy.status",
            "policy.status",
            "policy.rollback",
            "policy.delete"
        ]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_compile_together_is_not_stored() {
    let server = Running::start(&[]).await;
    let broken = policy("p", "team", "a", "active").replace("operator: eq", "operator: equals");
    let answer = send("POST", "/api/v1/policies").yaml(&broken).to(&server).await;
    let problem = answer.json();
    assert_eq!(
        (answer.status, answer.header("content-type")),
        (422, "application/problem+json")
    );
    assert_eq!(problem["diagnostics"][0]["line"], 4);
    assert_eq!(problem["diagnostics"][0]["code"], "E0101");
    assert_eq!(problem["requestId"].as_str(), Some(answer.header("x-request-id")));
    assert_eq!(
        send("GET", "/api/v1/policies").to(&server).await.json()["items"],
        json!([])
    );

    let checked = send("POST", "/api/v1/policies/validate")
        .yaml(&broken)
        .to(&server)
        .await;
    assert_eq!((checked.status, &checked.json()["valid"]), (200, &json!(false)));
    let json_form = json!({
        "metadata": {"id": "j", "name": "J"},
        "rules": [{"id": "r", "condition": {"operator": "exists", "field": "user.id", "value": false},
                   "action": {"decision": "warn"}}],
    });
    let fine = send("POST", "/api/v1/policies/validate")
        .json(&json_form)
        .to(&server)
        .await;
    assert_eq!(
        fine.json(),
        json!({"valid": true, "diagnostics": [], "approvalRequired": false})
    );
    assert_eq!(
        send("POST", "/api/v1/policies")
            .json(&json_form)
            .to(&server)
            .await
            .status,
        201
    );
    assert_eq!(decision(&server, "x").await, "warn");
    // The language may change between versions.
    let yaml = policy("j", "default", "x", "active");
    assert_eq!(
        send("PUT", "/api/v1/policies/j")
            .yaml(&yaml)
            .to(&server)
            .await
            .status,
        200
    );
    assert_eq!(decision(&server, "x").await, "deny");
}

#[tokio::test(flavor = "multi_thread")]
async fn bundles_are_deployed_rolled_back_and_removed() {
    let server = Running::start(&[]).await;
    send("POST", "/api/v1/policies")
        .yaml(&policy("stored", "team", "s", "active"))
        .to(&server)
        .await;
    let [one, two] = ["a", "b"].map(|model| bundle(&[("p.yaml", &policy("p", "team", model, "active"))]));
    let put = |bytes: &[u8]| send("PUT", "/api/v1/bundle").bytes("application/octet-stream", bytes);
    let first = put(&one).to(&server).await;
    assert_eq!((first.status, &first.json()["active"]), (200, &json!(true)));
    assert_eq!(first.header("etag"), format!("{}", first.json()["digest"]));
    assert_eq!(
        [decision(&server, "a").await, decision(&server, "s").await],
        ["deny", "allow"]
    );

    let refused = send("POST", "/api/v1/policies")
        .yaml(&policy("q", "team", "q", "active"))
        .to(&server)
        .await;
    assert_eq!(
        (refused.status, refused.json()["code"].as_str()),
        (409, Some("read_only"))
    );
    let wrong = put(&two).header("if-match", "\"sha256:0\"").to(&server).await;
    assert_eq!(wrong.status, 412);
    assert_eq!(
        put(&two)
            .header("if-match", first.header("etag"))
            .to(&server)
            .await
            .status,
        200
    );
    assert_eq!(
        [decision(&server, "a").await, decision(&server, "b").await],
        ["allow", "deny"]
    );

    let known = send("GET", "/api/v1/bundle").to(&server).await;
    let tag = known.header("etag").to_owned();
    assert_eq!(
        send("GET", "/api/v1/bundle")
            .header("if-none-match", tag)
            .to(&server)
            .await
            .status,
        304
    );
    let bytes = send("GET", "/api/v1/bundle")
        .header("accept", "application/octet-stream")
        .to(&server)
        .await;
    assert_eq!(bytes.body, two);

    let back = send("POST", "/api/v1/bundle/rollback")
        .json(&json!({}))
        .to(&server)
        .await;
    assert_eq!(
        (back.status, &back.json()["digest"]),
        (200, &first.json()["digest"])
    );
    assert_eq!(decision(&server, "a").await, "deny");
    let history = send("GET", "/api/v1/bundle/history").to(&server).await.json();
    assert_eq!(history["items"].as_array().unwrap().len(), 2);
    assert_eq!(history["items"][0]["active"], true);

    // A condition holds wherever it is given: here that of what is replaced.
    let second = json!({"digest": known.json()["digest"]});
    for path in ["/api/v1/bundle/activate", "/api/v1/bundle/rollback"] {
        let switch = |tag: &str| send("POST", path).json(&second).header("if-match", tag);
        let refused = switch("\"sha256:0\"").to(&server).await;
        assert_eq!(
            (refused.status, refused.json()["code"].as_str()),
            (412, Some("version_mismatch")),
            "{path}"
        );
        assert_eq!(decision(&server, "a").await, "deny", "{path}");
        assert_eq!(
            switch(first.header("etag")).to(&server).await.status,
            200,
            "{path}"
        );
        assert_eq!(decision(&server, "b").await, "deny", "{path}");
        let back = send("POST", "/api/v1/bundle/activate").json(&json!({"digest": first.json()["digest"]}));
        assert_eq!(back.to(&server).await.status, 200, "{path}");
    }

    let mut damaged = one.clone();
    let middle = damaged.len() / 2;
    damaged[middle] ^= 1;
    let answer = put(&damaged).to(&server).await;
    assert_eq!(
        (answer.status, answer.json()["code"].as_str()),
        (400, Some("invalid_bundle"))
    );
    assert_eq!(send("DELETE", "/api/v1/bundle").to(&server).await.status, 204);
    assert_eq!(
        [decision(&server, "a").await, decision(&server, "s").await],
        ["allow", "deny"]
    );
}

/// A rollback goes back from what is active when it is done, not from what was when it was asked for.
#[tokio::test(flavor = "multi_thread")]
async fn a_rollback_beside_a_deployment_skips_no_bundle() {
    let server = Running::start(&[]).await;
    let put = |bytes: Vec<u8>| {
        send("PUT", "/api/v1/bundle")
            .bytes("application/octet-stream", bytes)
            .to(&server)
    };
    for round in 0..10 {
        let [one, two, three] = ["a", "b", "c"].map(|model| {
            let model = format!("{model}{round}");
            bundle(&[("p.yaml", &policy("p", "team", &model, "active"))])
        });
        put(one).await;
        let two = put(two).await.json()["digest"].clone();
        let back = send("POST", "/api/v1/bundle/rollback").json(&json!({}));
        let (deployed, back) = tokio::join!(put(three), back.to(&server));
        assert_eq!((deployed.status, back.status), (200, 200));
        let three = deployed.json()["digest"].clone();
        let now = send("GET", "/api/v1/bundle").to(&server).await.json()["digest"].clone();
        assert!(now == two || now == three, "round {round}: {now}");
    }
}

/// Makes a key as an administrator and returns it.
async fn key(server: &Running, admin: &str, name: &str, body: Value) -> (String, String) {
    let mut body = body;
    body["name"] = json!(name);
    let answer = send("POST", "/api/v1/keys")
        .header("x-api-key", admin)
        .json(&body)
        .to(server)
        .await;
    assert_eq!(answer.status, 201, "{}", answer.json());
    let made = answer.json();
    (
        made["id"].as_str().unwrap().to_owned(),
        made["key"].as_str().unwrap().to_owned(),
    )
}

async fn first_key(server: &Running) -> String {
    server.key("root", &["admin"]).await
}

/// However many keys a tenant makes or takes over, they share what one caller may have; keys that operators make do not.
#[tokio::test(flavor = "multi_thread")]
async fn the_keys_of_a_tenant_count_as_one() {
    // A second gives back one request of six hundred: however slow the machine is, that is not half of them.
    let server = Running::start(&[
        ("API_KEYS_ENABLED", "true"),
        ("RATE_LIMIT", "1"),
        ("RATE_LIMIT_BURST", "600"),
    ])
    .await;
    let root = first_key(&server).await;
    let made = send("POST", "/api/v1/policies").header("x-api-key", &root);
    assert_eq!(
        made.yaml(&policy("p", "team", "a", "active"))
            .to(&server)
            .await
            .status,
        201
    );
    let rights = json!({"scopes": ["policy:evaluate", "keys:manage"], "namespaces": ["team"]});
    let (_, tenant) = key(&server, &root, "tenant", rights.clone()).await;
    let (_, other) = key(&server, &root, "other", rights.clone()).await;
    let (taken, _) = key(&server, &root, "taken", rights.clone()).await;
    let (_, child) = key(&server, &tenant, "child", json!({"scopes": rights["scopes"]})).await;
    let (_, grandchild) = key(&server, &child, "grandchild", json!({"scopes": rights["scopes"]})).await;
    let rotate = send("POST", format!("/api/v1/keys/{taken}/rotate")).json(&json!({}));
    let rotated = rotate.header("x-api-key", &grandchild).to(&server).await.json();
    let taken = rotated["key"].as_str().unwrap();
    let ask = async |key: &str, contexts: usize| {
        let batch = json!({"contexts": vec![json!({}); contexts], "namespace": "team"});
        let send = send("POST", "/api/v1/evaluate/batch")
            .header("x-api-key", key)
            .json(&batch);
        send.to(&server).await.status
    };
    assert_eq!(ask(&child, 600).await, 200);
    for one_of_theirs in [&tenant, &child, &grandchild, taken] {
        assert_eq!(ask(one_of_theirs, 300).await, 429);
    }
    assert_eq!(ask(&other, 600).await, 200);
    assert_eq!(ask(&root, 600).await, 200);
}

/// A key that ends hands out no more time than it has.
#[tokio::test]
async fn a_key_that_ends_makes_and_rotates_none_that_ends_later() {
    let server = Running::start(&[("API_KEYS_ENABLED", "true")]).await;
    let root = first_key(&server).await;
    let post = async |by: &str, path: &str, body: Value| {
        let answer = send("POST", path)
            .header("x-api-key", by)
            .json(&body)
            .to(&server)
            .await;
        (answer.status, answer.json())
    };
    let rights = |life: Option<u32>| json!({"name": "k", "roles": ["admin"], "expiresIn": life});
    let (_, ending) = post(&root, "/api/v1/keys", rights(Some(3600))).await;
    let (_, endless) = post(&root, "/api/v1/keys", rights(None)).await;
    let (end, by) = (&ending["expiresAt"], ending["key"].as_str().unwrap());
    // Times are written so that texts are in their order.
    assert!(end.is_string());

    // Made: as it ends, or sooner, and no later.
    let (status, child) = post(by, "/api/v1/keys", rights(None)).await;
    assert_eq!((status, &child["expiresAt"]), (201, end));
    let (status, child) = post(by, "/api/v1/keys", rights(Some(60))).await;
    assert_eq!(status, 201);
    assert!(child["expiresAt"].as_str() < end.as_str());
    let (status, problem) = post(by, "/api/v1/keys", rights(Some(7200))).await;
    assert_eq!((status, &problem["code"]), (403, &json!("forbidden")));

    // Rotated: itself keeps its end, and one without an end gets its end.
    let rotate = |key: &Value| format!("/api/v1/keys/{}/rotate", key["id"].as_str().unwrap());
    let (status, problem) = post(by, &rotate(&ending), json!({"expiresIn": 7200})).await;
    assert_eq!((status, &problem["code"]), (403, &json!("forbidden")));
    let (status, same) = post(by, &rotate(&ending), json!({})).await;
    assert_eq!((status, &same["expiresAt"]), (200, end));
    let (status, problem) = post(by, &rotate(&endless), json!({"expiresIn": 7200})).await;
    assert_eq!((status, &problem["code"]), (403, &json!("forbidden")));
    let (status, ended) = post(by, &rotate(&endless), json!({})).await;
    assert_eq!((status, &ended["expiresAt"]), (200, end));
    // Whoever has no end lets it live on.
    let (status, renewed) = post(&root, &rotate(&ending), json!({"expiresIn": 7200})).await;
    assert_eq!(status, 200);
    assert!(renewed["expiresAt"].as_str() > end.as_str());
}

/// Keys cannot be piled up, and none is for more namespaces than anybody looks through.
#[tokio::test(flavor = "multi_thread")]
async fn keys_and_their_namespaces_are_bounded() {
    let server = Running::start(&[("API_KEYS_ENABLED", "true"), ("QUOTA_KEYS", "2")]).await;
    let root = first_key(&server).await;
    let names = |n: usize| (0..n).map(|i| format!("n{i}")).collect::<Vec<_>>();
    let create = async |by: &str, body: Value| {
        let answer = send("POST", "/api/v1/keys")
            .header("x-api-key", by)
            .json(&body)
            .to(&server)
            .await;
        (answer.status, answer.json())
    };
    let rights = |namespaces: Value| json!({"name": "k", "roles": ["admin"], "namespaces": namespaces});
    for (namespaces, says) in [
        (json!(names(65)), "at most 64 namespaces, not for 65"),
        (json!(["n".repeat(256)]), "longer than 255 bytes"),
    ] {
        let (status, problem) = create(&root, rights(namespaces)).await;
        assert_eq!((status, &problem["code"]), (400, &json!("malformed_request")));
        assert!(problem["detail"].as_str().unwrap().contains(says), "{problem}");
    }
    let (status, tenant) = create(&root, rights(json!(names(64)))).await;
    assert_eq!(status, 201);
    // Of an administrator, the keys that count as themselves are bounded as well.
    assert_eq!(create(&root, rights(json!(["n1"]))).await.0, 201);
    let (status, problem) = create(&root, rights(json!(["n1"]))).await;
    assert_eq!((status, &problem["code"]), (403, &json!("quota_exceeded")));
    let tenant = tenant["key"].as_str().unwrap();
    let (_, child) = create(tenant, rights(json!(["n1"]))).await;
    // Made by another key of the same tenant.
    let (status, second) = create(child["key"].as_str().unwrap(), rights(json!(["n1"]))).await;
    assert_eq!(status, 201);
    for by in [
        tenant,
        child["key"].as_str().unwrap(),
        second["key"].as_str().unwrap(),
    ] {
        let (status, problem) = create(by, rights(json!(["n1"]))).await;
        assert_eq!((status, &problem["code"]), (403, &json!("quota_exceeded")));
        let detail = problem["detail"].as_str().unwrap();
        assert!(
            detail.starts_with("3 keys of the same owner would be live, and 2 may be"),
            "{detail}"
        );
    }
    let id = second["id"].as_str().unwrap();
    let revoke = send("DELETE", format!("/api/v1/keys/{id}")).header("x-api-key", tenant);
    assert_eq!(revoke.to(&server).await.status, 204);
    assert_eq!(create(tenant, rights(json!(["n1"]))).await.0, 201);
    // The command line, beside the database, is not held up.
    for _ in 0..3 {
        server.key("more", &["evaluator"]).await;
    }

    // Whoever is for more namespaces names those that the key is for.
    let many = Identity {
        namespaces: Some(names(65).into()),
        ..Identity::anonymous()
    };
    let call = Call {
        identity: &many,
        request_id: "test",
        until: None,
    };
    let new = |namespaces: Option<Vec<String>>| NewKey {
        name: "k".to_owned(),
        roles: vec!["evaluator".to_owned()],
        namespaces,
        ..NewKey::default()
    };
    let refused = server.app.service.create_key(call, new(None)).await.unwrap_err();
    assert_eq!(refused.code, Code::MalformedRequest);
    server
        .app
        .service
        .create_key(call, new(Some(names(64))))
        .await
        .unwrap();
}

/// Activates the newest version of a policy after a look at it.
async fn approve(server: &Running, key: &str, id: &str) -> Answer {
    let path = format!("/api/v1/policies/{id}");
    let seen = send("GET", &path).header("x-api-key", key).to(server).await;
    send("PATCH", format!("{path}/status"))
        .header("x-api-key", key)
        .header("if-match", seen.header("etag"))
        .json(&json!({"status": "active"}))
        .to(server)
        .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_number_is_a_version_of_the_policy_that_was_looked_at() {
    let server = Running::start(&[("API_KEYS_ENABLED", "true"), ("APPROVAL_REQUIRED", "true")]).await;
    let ann = server.key("ann", &["policy.author"]).await;
    let bob = server.key("bob", &["policy.approver", "policy.author"]).await;
    let as_key = async |key: &str, send: Send| send.header("x-api-key", key).to(&server).await;
    let create =
        |namespace: &str| send("POST", "/api/v1/policies").yaml(&policy("limits", namespace, "m", "active"));
    assert_eq!(as_key(&ann, create("team")).await.status, 201);
    let seen = as_key(&bob, send("GET", "/api/v1/policies/limits")).await;
    assert_eq!(
        (seen.header("etag"), &seen.json()["namespace"]),
        ("\"1\"", &json!("team"))
    );
    // After the look, another policy of the id and the number takes its place.
    let gone = send("DELETE", "/api/v1/policies/limits?namespace=team");
    assert_eq!(as_key(&ann, gone).await.status, 204);
    assert_eq!(as_key(&ann, create("global")).await.status, 201);
    let number = |send: Send| send.header("if-match", "\"1\"");
    let active = json!({"status": "active"});
    for one in [
        send("PATCH", "/api/v1/policies/limits/status").json(&active),
        send("POST", "/api/v1/policies/limits/rollback").json(&json!({"version": 1})),
        send("DELETE", "/api/v1/policies/limits"),
    ] {
        let refused = as_key(&bob, number(one)).await;
        assert_eq!(
            (refused.status, refused.json()["code"].as_str()),
            (409, Some("ambiguous_policy"))
        );
    }
    nothing_active(&as_key(&bob, send("GET", "/api/v1/policies/limits")).await);
    let named = send("PATCH", "/api/v1/policies/limits/status?namespace=global").json(&active);
    assert_eq!(as_key(&bob, number(named)).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_approval_names_what_was_reviewed() {
    let server = Running::start(&[("API_KEYS_ENABLED", "true"), ("APPROVAL_REQUIRED", "true")]).await;
    let ann = server.key("ann", &["policy.author"]).await;
    let bob = server.key("bob", &["policy.approver", "policy.author"]).await;
    let as_key = async |key: &str, send: Send| send.header("x-api-key", key).to(&server).await;
    let word = |answer: &Answer| match answer.status {
        200 | 204 => (answer.status, String::new()),
        status => (status, answer.json()["code"].as_str().unwrap().to_owned()),
    };
    for model in ["a", "b"] {
        let text = policy("p", "team", model, "active");
        let write = match model {
            "a" => send("POST", "/api/v1/policies"),
            _ => send("PUT", "/api/v1/policies/p"),
        };
        assert!(as_key(&ann, write.yaml(&text)).await.status < 300);
    }
    let activate = |tag: Option<&str>| {
        let patch = send("PATCH", "/api/v1/policies/p/status").json(&json!({"status": "active"}));
        match tag {
            Some(tag) => patch.header("if-match", tag),
            None => patch,
        }
    };
    let unnamed = (428, "precondition_required".to_owned());
    let another = (412, "version_mismatch".to_owned());
    for (tag, expected) in [
        (None, &unnamed),
        (Some("*"), &unnamed),
        (Some("\"1\""), &another),
        (Some("\"3\""), &another),
    ] {
        assert_eq!(word(&as_key(&bob, activate(tag)).await), *expected, "{tag:?}");
    }
    nothing_active(&as_key(&bob, send("GET", "/api/v1/policies/p")).await);
    // A version that comes after the look is not approved with it.
    let seen = as_key(&bob, send("GET", "/api/v1/policies/p")).await;
    let next = send("PUT", "/api/v1/policies/p").yaml(&policy("p", "team", "c", "active"));
    assert_eq!(as_key(&ann, next).await.status, 200);
    let late = as_key(&bob, activate(Some(seen.header("etag")))).await;
    assert_eq!(word(&late), another);
    nothing_active(&as_key(&bob, send("GET", "/api/v1/policies/p")).await);
    // Nothing else activates: a rollback and a version beside an active one wait as well.
    assert_eq!(approve(&server, &bob, "p").await.json()["activeVersion"], 3);
    let rollback = send("POST", "/api/v1/policies/p/rollback").json(&json!({"version": 1}));
    let rolled = as_key(&ann, rollback).await.json();
    assert_eq!(
        (&rolled["version"], &rolled["activeVersion"]),
        (&json!(4), &json!(3))
    );
    // What ends needs no name.
    let end = send("PATCH", "/api/v1/policies/p/status").json(&json!({"status": "deprecated"}));
    assert_eq!(as_key(&ann, end).await.status, 200);

    let bytes = bundle(&[("p.yaml", &policy("p", "team", "a", "active"))]);
    let put = send("PUT", "/api/v1/bundle").bytes("application/octet-stream", bytes);
    let digest = as_key(&ann, put).await.json()["digest"]
        .as_str()
        .unwrap()
        .to_owned();
    let by_nothing = send("POST", "/api/v1/bundle/rollback").json(&json!({}));
    assert_eq!(word(&as_key(&bob, by_nothing).await), unnamed);
    let named = send("POST", "/api/v1/bundle/activate").json(&json!({"digest": digest}));
    assert_eq!(as_key(&bob, named).await.status, 200);
    let remove = |tag: Option<String>| {
        let delete = send("DELETE", "/api/v1/bundle");
        match tag {
            Some(tag) => delete.header("if-match", tag),
            None => delete,
        }
    };
    for (tag, expected) in [
        (None, &unnamed),
        (Some("\"sha256:0\"".to_owned()), &another),
        (Some(format!("\"{digest}\"")), &(204, String::new())),
    ] {
        assert_eq!(word(&as_key(&bob, remove(tag)).await), *expected);
    }
}

/// The status and the code of an answer; no code where it went well.
fn outcome(answer: &Answer) -> (u16, String) {
    match answer.status {
        200..300 => (answer.status, String::new()),
        status => (status, answer.json()["code"].as_str().unwrap().to_owned()),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_is_told_and_can_be_rejected() {
    let server = Running::start(&[("API_KEYS_ENABLED", "true"), ("APPROVAL_REQUIRED", "true")]).await;
    let ann = server.key("ann", &["policy.author"]).await;
    let bob = server.key("bob", &["policy.approver"]).await;
    let as_key = async |key: &str, send: Send| send.header("x-api-key", key).to(&server).await;
    let text = |model: &str| policy("p", "team", model, "active");
    let list = async |key: &str, query: &str| {
        let listed = as_key(key, send("GET", format!("/api/v1/policies?{query}"))).await;
        assert_eq!(listed.status, 200);
        listed.json()["items"].clone()
    };
    let made = as_key(&ann, send("POST", "/api/v1/policies").yaml(&text("a")))
        .await
        .json();
    assert_eq!(approve(&server, &bob, "p").await.status, 200);
    assert_eq!(list(&bob, "approval=waiting").await, json!([]));
    let put = as_key(&ann, send("PUT", "/api/v1/policies/p").yaml(&text("b")))
        .await
        .json();
    let author = made["author"].as_str().unwrap();
    let since = as_key(&ann, send("GET", "/api/v1/policies/p/versions/2"))
        .await
        .json()["createdAt"]
        .clone();
    let waiting = |may: bool| json!({"since": since, "scope": "policy:approve", "authors": [author], "mayApprove": may});
    assert_eq!(
        (&put["activeVersion"], &put["version"], &put["approval"]),
        (&json!(1), &json!(2), &waiting(false))
    );
    for (key, may) in [(&ann, false), (&bob, true)] {
        let one = as_key(key, send("GET", "/api/v1/policies/p")).await.json();
        assert_eq!(
            (&one["activeVersion"], &one["approval"]),
            (&json!(1), &waiting(may))
        );
        let listed = list(key, "approval=waiting&namespace=team").await;
        assert_eq!(
            (listed.as_array().unwrap().len(), &listed[0]["approval"]),
            (1, &waiting(may))
        );
        let history = as_key(key, send("GET", "/api/v1/policies/p/versions"))
            .await
            .json();
        let (newest, before) = (&history["items"][0], &history["items"][1]);
        assert_eq!(
            (&newest["active"], &newest["pendingApproval"], &newest["approval"]),
            (&json!(false), &json!(true), &waiting(may))
        );
        assert_eq!(
            (&before["active"], &before["pendingApproval"]),
            (&json!(true), &json!(false))
        );
    }
    assert_eq!(list(&bob, "approval=waiting&namespace=other").await, json!([]));
    assert_eq!(list(&bob, "approval=waiting&status=draft").await, json!([]));

    let reject = |version: u64, comment: &str| {
        send("POST", "/api/v1/policies/p/reject").json(&json!({"version": version, "comment": comment}))
    };
    for version in [0, 1, 3, u64::MAX] {
        let wrong = as_key(&bob, reject(version, "no")).await;
        assert_eq!(outcome(&wrong), (409, "not_waiting".to_owned()), "{version}");
    }
    for comment in [
        "",
        " \t",
        "two\nlines",
        "\u{1b}[31m",
        "\u{202e}txet",
        &"x".repeat(2001),
    ] {
        let wrong = as_key(&bob, reject(2, comment)).await;
        assert_eq!(
            outcome(&wrong),
            (400, "malformed_request".to_owned()),
            "{comment:?}"
        );
    }
    let carol = server.key("carol", &["policy.viewer"]).await;
    let dave = server.key("dave", &["policy.author"]).await;
    for (key, version) in [(&carol, 2), (&dave, 2)] {
        let wrong = as_key(key, reject(version, "no")).await;
        assert_eq!(outcome(&wrong), (403, "forbidden".to_owned()));
    }
    assert_eq!(list(&bob, "approval=waiting").await.as_array().unwrap().len(), 1);

    // Out of it comes no decision, no active version, and something to read for the author.
    let done = as_key(&bob, reject(2, "  b is what we pay for  ")).await;
    assert_eq!((done.status, done.header("etag")), (200, "\"2\""));
    let done = done.json();
    assert_eq!(
        (
            &done["activeVersion"],
            &done["pendingApproval"],
            &done["source"],
            &done["approval"]
        ),
        (&json!(1), &json!(false), &Value::Null, &Value::Null)
    );
    let told = as_key(&ann, send("GET", "/api/v1/policies/p")).await.json()["rejection"].clone();
    assert_eq!(told["comment"], "b is what we pay for");
    assert!(told["by"].as_str().unwrap().starts_with("bob (key "), "{told}");
    let history = as_key(&ann, send("GET", "/api/v1/policies/p/versions"))
        .await
        .json();
    assert_eq!(
        (
            &history["items"][0]["rejection"],
            &history["items"][1]["rejection"]
        ),
        (&told, &Value::Null)
    );
    let rejected = list(&ann, "approval=rejected").await;
    assert_eq!(
        (rejected.as_array().unwrap().len(), &rejected[0]["rejection"]),
        (1, &told)
    );
    assert_eq!(list(&bob, "approval=waiting").await, json!([]));
    assert_eq!(
        outcome(&as_key(&bob, reject(2, "again")).await),
        (409, "not_waiting".to_owned())
    );
    let activate = send("PATCH", "/api/v1/policies/p/status")
        .header("if-match", "\"2\"")
        .json(&json!({"status": "active"}));
    let refused = as_key(&bob, activate).await;
    assert_eq!(outcome(&refused), (409, "rejected".to_owned()));
    let auditor = server.key("eve", &["auditor"]).await;
    let audit = as_key(&auditor, send("GET", "/api/v1/audit?limit=500"))
        .await
        .json();
    let record = audit["items"]
        .as_array()
        .unwrap()
        .iter()
        .find(|r| r["action"] == "policy.reject");
    let record = record.unwrap();
    assert_eq!(
        (&record["target"], &record["namespace"], &record["actor"]),
        (&json!("p"), &json!("team"), &told["by"])
    );
    assert_eq!(
        (&record["detail"]["version"], &record["detail"]["comment"]),
        (&json!(2), &told["comment"])
    );

    // The same text, submitted anew, is a version of its own; and whoever wrote one may take it back.
    let again = as_key(&ann, send("PUT", "/api/v1/policies/p").yaml(&text("b")))
        .await
        .json();
    assert_eq!(
        (&again["version"], &again["pendingApproval"], &again["rejection"]),
        (&json!(3), &json!(true), &Value::Null)
    );
    assert_eq!(as_key(&ann, reject(3, "not yet")).await.status, 200);
    let back = send("POST", "/api/v1/policies/p/rollback").json(&json!({"version": 2}));
    assert_eq!(as_key(&dave, back).await.json()["version"], 4);
    assert_eq!(approve(&server, &bob, "p").await.json()["activeVersion"], 4);
}

/// A rejection of what others see, in a namespace that is not theirs, is that of what is not there.
#[tokio::test(flavor = "multi_thread")]
async fn nobody_rejects_in_namespaces_of_others() {
    let server = Running::start(&[("API_KEYS_ENABLED", "true"), ("APPROVAL_REQUIRED", "true")]).await;
    let root = first_key(&server).await;
    let bound =
        |namespace: &str| json!({"roles": ["policy.approver", "policy.author"], "namespaces": [namespace]});
    let (_, red) = key(&server, &root, "red", bound("red")).await;
    let (_, blue) = key(&server, &root, "blue", bound("blue")).await;
    let as_key = async |key: &str, send: Send| send.header("x-api-key", key).to(&server).await;
    let create = |id: &str, namespace: &str| {
        send("POST", "/api/v1/policies").yaml(&policy(id, namespace, "m", "active"))
    };
    assert_eq!(as_key(&blue, create("p", "blue")).await.status, 201);
    assert_eq!(as_key(&root, create("g", "global")).await.status, 201);
    let reject = |path: &str| {
        send("POST", format!("/api/v1/policies/{path}")).json(&json!({"version": 1, "comment": "no"}))
    };
    for (path, expected) in [
        ("p/reject", (404, "not_found")),
        ("nothing/reject", (404, "not_found")),
        ("p/reject?namespace=blue", (403, "forbidden")),
        ("nothing/reject?namespace=blue", (403, "forbidden")),
        // Everybody reads it, and it is not theirs.
        ("g/reject", (403, "forbidden")),
    ] {
        let refused = as_key(&red, reject(path)).await;
        assert_eq!(outcome(&refused), (expected.0, expected.1.to_owned()), "{path}");
    }
    let seen = as_key(&red, send("GET", "/api/v1/policies?approval=waiting"))
        .await
        .json();
    let items = seen["items"].as_array().unwrap();
    assert_eq!(
        (items.len(), &items[0]["id"], &items[0]["approval"]["mayApprove"]),
        (1, &json!("g"), &json!(false))
    );
    assert_eq!(as_key(&blue, reject("p/reject")).await.status, 200);
    // Not even where approvals are of no concern any more.
    let open = Running::start(&[]).await;
    assert_eq!(create("p", "team").to(&open).await.status, 201);
    assert_eq!(
        outcome(&reject("p/reject").to(&open).await),
        (409, "not_waiting".to_owned())
    );
}

/// Of an approval and a rejection at the same time one comes first, and the other is refused.
#[tokio::test(flavor = "multi_thread")]
async fn of_an_approval_and_a_rejection_one_counts() {
    let server = Running::start(&[("API_KEYS_ENABLED", "true"), ("APPROVAL_REQUIRED", "true")]).await;
    let ann = server.key("ann", &["policy.author"]).await;
    let bob = server.key("bob", &["policy.approver"]).await;
    let carol = server.key("carol", &["policy.approver"]).await;
    for n in 0..8 {
        let id = format!("p{n}");
        let made = send("POST", "/api/v1/policies")
            .header("x-api-key", &ann)
            .yaml(&policy(&id, "team", "m", "active"));
        assert_eq!(made.to(&server).await.status, 201);
        let activate = send("PATCH", format!("/api/v1/policies/{id}/status"))
            .header("x-api-key", &bob)
            .header("if-match", "\"1\"")
            .json(&json!({"status": "active"}));
        let reject = send("POST", format!("/api/v1/policies/{id}/reject"))
            .header("x-api-key", &carol)
            .json(&json!({"version": 1, "comment": "no"}));
        let (activated, rejected) = tokio::join!(activate.to(&server), reject.to(&server));
        let got = (outcome(&activated), outcome(&rejected));
        let active = server
            .app
            .service
            .store
            .policy(&PolicyKey::new("team", &id))
            .await
            .unwrap();
        let active = active.unwrap();
        match (got.0.0, got.1.0) {
            (200, 409) => assert_eq!(active.active_version, Some(1)),
            (409, 200) => assert_eq!((active.active_version, got.0.1.as_str()), (None, "rejected")),
            _ => panic!("{got:?}"),
        }
    }
}

/// A policy that the compiler warns of twice.
fn doubtful(id: &str) -> String {
    policy(id, "team", "a", "active")
        .replace("namespace: team", "namespace: team, version: one")
        .replace("llm.model", "llm.modle")
}

#[tokio::test(flavor = "multi_thread")]
async fn warnings_are_errors_where_that_is_set() {
    let open = Running::start(&[]).await;
    let validate = |text: &str| send("POST", "/api/v1/policies/validate").yaml(text);
    let said = validate(&doubtful("p")).to(&open).await.json();
    assert_eq!(
        (&said["valid"], said["diagnostics"].as_array().unwrap().len()),
        (&json!(true), 2)
    );
    let made = send("POST", "/api/v1/policies")
        .yaml(&doubtful("p"))
        .to(&open)
        .await;
    let codes = |list: &Value| -> Vec<String> {
        let list = list.as_array().unwrap().iter();
        list.map(|w| w["code"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(
        (made.status, codes(&made.json()["warnings"])),
        (201, vec!["W0001".to_owned(), "W0002".to_owned()])
    );

    let server = Running::start(&[("POLICY_STRICT", "true")]).await;
    let refused = |answer: &Answer| {
        let problem = answer.json();
        assert_eq!(outcome(answer), (422, "policy_invalid".to_owned()), "{problem}");
        assert_eq!(codes(&problem["diagnostics"]), ["W0001", "W0002"]);
        assert_eq!(problem["diagnostics"][1]["line"], 4);
        assert!(
            problem["detail"].as_str().unwrap().contains("2 warnings"),
            "{problem}"
        );
    };
    refused(
        &send("POST", "/api/v1/policies")
            .yaml(&doubtful("p"))
            .to(&server)
            .await,
    );
    let said = validate(&doubtful("p")).to(&server).await.json();
    assert_eq!(
        (&said["valid"], &said["diagnostics"][0]["severity"]),
        (&json!(false), &json!("warning"))
    );
    let fine = policy("p", "team", "a", "active");
    assert_eq!(validate(&fine).to(&server).await.json()["valid"], true);
    // What a comment allows with a reason is no warning here either.
    let allowed: String = doubtful("p")
        .lines()
        .map(
            |line| match (line.contains("version: one"), line.contains("llm.modle")) {
                (true, _) => format!("{line} # policyc: allow W0001 -- kept from before\n"),
                (_, true) => format!("{line} # policyc: allow W0002 -- of our gateway\n"),
                _ => format!("{line}\n"),
            },
        )
        .collect();
    assert_eq!(
        validate(&allowed).to(&server).await.json()["valid"],
        true,
        "{allowed}"
    );
    let without_reason = allowed.replace(" -- of our gateway", "");
    assert_eq!(validate(&without_reason).to(&server).await.json()["valid"], false);
    assert_eq!(
        send("POST", "/api/v1/policies")
            .yaml(&fine)
            .to(&server)
            .await
            .status,
        201
    );
    refused(
        &send("PUT", "/api/v1/policies/p")
            .yaml(&doubtful("p"))
            .to(&server)
            .await,
    );
    assert_eq!(
        decision(&server, "a").await,
        "deny",
        "what decided before goes on"
    );

    // One from before goes on being there, and does not begin to decide.
    let text = doubtful("old");
    let stop = Stop::of(Work::SERVER);
    let mut version = document::check(&text, Format::Yaml, &stop).unwrap().version;
    version.author = "somebody".to_owned();
    let store = &server.app.service.store;
    let write = PolicyWrite {
        key: version.key(),
        expected: Expected::Nothing,
        base: store.revision().await.unwrap(),
        version: Some(version),
        activate: Activate::Unchanged,
        approved_by: None,
        quota: server.app.service.limits.quota,
    };
    let entry = NewAudit {
        at_ms: 0,
        actor: "somebody".to_owned(),
        action: "policy.create".to_owned(),
        target: "old".to_owned(),
        namespace: "team".to_owned(),
        request_id: "r".to_owned(),
        detail: "{}".to_owned(),
    };
    store.write_policy(&write, &entry).await.unwrap();
    let activate = send("PATCH", "/api/v1/policies/old/status").json(&json!({"status": "active"}));
    refused(&activate.to(&server).await);
    refused(
        &send("POST", "/api/v1/policies/old/rollback")
            .json(&json!({"version": 1}))
            .to(&server)
            .await,
    );
    let retire = send("PATCH", "/api/v1/policies/old/status").json(&json!({"status": "deprecated"}));
    assert_eq!(retire.to(&server).await.status, 200);
}

/// What a document is compiled to alone goes into the set that decides: see also `document/tests.rs`.
#[tokio::test(flavor = "multi_thread")]
async fn the_set_parses_and_compiles_no_text_that_was_written() {
    let server = Running::start(&[("POLICY_STRICT", "true")]).await;
    let work = || server.app.service.active.sources().compiler.work();
    let before = work();
    for id in ["other", "p"] {
        let make = send("POST", "/api/v1/policies").yaml(&policy(id, "team", "a", "active"));
        assert_eq!(make.to(&server).await.status, 201);
    }
    let change = send("PUT", "/api/v1/policies/p").yaml(&policy("p", "team", "b", "active"));
    assert_eq!(change.to(&server).await.status, 200);
    assert_eq!(decision(&server, "b").await, "deny");
    let back = send("POST", "/api/v1/policies/p/rollback").json(&json!({"version": 1}));
    assert_eq!(back.to(&server).await.status, 200);
    assert_eq!(decision(&server, "a").await, "deny");
    let draft = send("PUT", "/api/v1/policies/p").yaml(&policy("p", "team", "c", "draft"));
    assert_eq!(draft.to(&server).await.status, 200);
    assert_eq!(decision(&server, "c").await, "allow");
    let activate = send("PATCH", "/api/v1/policies/p/status").json(&json!({"status": "active"}));
    assert_eq!(activate.to(&server).await.status, 200);
    assert_eq!(decision(&server, "c").await, "deny");
    assert_eq!(work(), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_strict_server_takes_no_directory_with_warnings() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().to_str().unwrap();
    let write = |text: &str| std::fs::write(dir.path().join("p.yaml"), text).unwrap();
    write(&policy("p", "team", "a", "active"));
    let server = Running::start(&[("POLICIES", path), ("POLICY_STRICT", "true")]).await;
    assert_eq!(decision(&server, "a").await, "deny");
    let status = async || send("GET", "/api/v1/bundle").to(&server).await.json();
    assert_eq!(status().await["failure"], Value::Null);
    write(&doubtful("p"));
    let failure = loop {
        if let Some(failure) = status().await["failure"].as_str() {
            break failure.to_owned();
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    assert!(
        failure.contains("2 warnings") && failure.contains("p.yaml:1:") && failure.contains("p.yaml:4:"),
        "{failure}"
    );
    assert_eq!(decision(&server, "a").await, "deny", "what was good stays active");
    write(&policy("p", "team", "b", "active"));
    while status().await["failure"] != Value::Null {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(decision(&server, "b").await, "deny");
}

fn nothing_active(answer: &Answer) {
    assert_eq!(answer.json()["activeVersion"], Value::Null);
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_approves_what_they_wrote() {
    let server = Running::start(&[("API_KEYS_ENABLED", "true"), ("APPROVAL_REQUIRED", "true")]).await;
    let admin = first_key(&server).await;
    let author = server.key("ann", &["policy.author"]).await;
    let approver = server.key("bob", &["policy.approver", "evaluator"]).await;
    let bob = approver.split('_').nth(1).unwrap();
    let made = send("POST", "/api/v1/policies")
        .header("x-api-key", &author)
        .yaml(&policy("p", "team", "a", "active"))
        .to(&server)
        .await;
    assert_eq!(
        (made.status, &made.json()["pendingApproval"]),
        (201, &json!(true))
    );
    let ask = |key: &str| {
        send("POST", "/api/v1/evaluate")
            .header("authorization", format!("Bearer {key}"))
            .json(&json!({"context": {"llm": {"model": "a"}}}))
    };
    // Nothing is active as long as everything waits.
    let refused = ask(&approver).to(&server).await;
    assert_eq!(
        (refused.status, refused.json()["code"].as_str()),
        (503, Some("not_ready"))
    );
    let own = approve(&server, &author, "p").await;
    assert_eq!(
        (own.status, own.json()["code"].as_str()),
        (403, Some("forbidden"))
    );
    let done = approve(&server, &approver, "p").await.json();
    assert_eq!(
        (&done["approvedBy"], &done["activeVersion"]),
        (&json!(format!("bob (key {bob})")), &json!(1))
    );
    assert_eq!(
        ask(&approver).to(&server).await.json()["decision"]["decision"],
        "deny"
    );

    // A new version waits as well, and the approved one goes on deciding.
    let next = send("PUT", "/api/v1/policies/p")
        .header("x-api-key", &admin)
        .yaml(&policy("p", "team", "b", "active"))
        .to(&server)
        .await
        .json();
    assert_eq!(
        (&next["pendingApproval"], &next["activeVersion"]),
        (&json!(true), &json!(1))
    );
    assert_eq!(
        ask(&approver).to(&server).await.json()["decision"]["decision"],
        "deny"
    );
    let own = approve(&server, &admin, "p").await;
    assert_eq!(
        (own.status, own.json()["code"].as_str()),
        (403, Some("self_approval"))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_text_that_comes_back_is_still_whose_it_was() {
    let server = Running::start(&[("API_KEYS_ENABLED", "true"), ("APPROVAL_REQUIRED", "true")]).await;
    let ann = server.key("ann", &["policy.author", "policy.approver"]).await;
    let bob = server.key("bob", &["policy.author"]).await;
    let carol = server.key("carol", &["policy.approver"]).await;
    let as_key = async |key: &str, send: Send| send.header("x-api-key", key).to(&server).await;
    let set = |status: &str| send("PATCH", "/api/v1/policies/p/status").json(&json!({"status": status}));
    let text = policy("p", "team", "a", "active");
    let made = as_key(&ann, send("POST", "/api/v1/policies").yaml(&text)).await;
    assert_eq!(made.status, 201);
    let author = made.json()["author"].clone();
    let refused = async |how: &str| {
        let own = approve(&server, &ann, "p").await;
        assert_eq!(
            (own.status, own.json()["code"].as_str()),
            (403, Some("self_approval")),
            "{how}"
        );
    };
    refused("written").await;
    for status in ["draft", "deprecated"] {
        let changed = as_key(&bob, set(status)).await.json();
        assert_eq!(
            (&changed["status"], &changed["author"]),
            (&json!(status), &author)
        );
        refused(status).await;
    }
    let other = policy("p", "team", "b", "active");
    let put = as_key(&bob, send("PUT", "/api/v1/policies/p").yaml(&other)).await;
    assert_eq!(put.status, 200);
    // Fillers, so that her version is not among the first that are looked at.
    for i in 0..60 {
        let filler = policy("p", "team", &format!("m{i}"), "active");
        let put = as_key(&bob, send("PUT", "/api/v1/policies/p").yaml(&filler)).await;
        assert_eq!(put.status, 200);
    }
    let rollback = send("POST", "/api/v1/policies/p/rollback").json(&json!({"version": 1}));
    assert_eq!(as_key(&bob, rollback).await.status, 200);
    refused("rolled back").await;
    let deleted = as_key(&bob, send("DELETE", "/api/v1/policies/p")).await;
    assert_eq!(deleted.status, 204);
    let again = as_key(&bob, send("POST", "/api/v1/policies").yaml(&text)).await;
    assert_eq!(again.status, 201);
    refused("written again").await;
    let done = approve(&server, &carol, "p").await;
    assert_eq!(
        (done.status, &done.json()["author"]),
        (200, &again.json()["author"])
    );
    // What somebody else wrote may be approved, by whoever wrote something else.
    assert_eq!(
        as_key(&bob, send("PUT", "/api/v1/policies/p").yaml(&other))
            .await
            .status,
        200
    );
    assert_eq!(approve(&server, &ann, "p").await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_counts_as_who_made_it() {
    let server = Running::start(&[("API_KEYS_ENABLED", "true"), ("APPROVAL_REQUIRED", "true")]).await;
    let ann = first_key(&server).await;
    let carol = server.key("carol", &["policy.approver"]).await;
    let (_, first) = key(&server, &ann, "first", json!({"roles": ["admin"]})).await;
    let (_, second) = key(&server, &first, "second", json!({"roles": ["admin"]})).await;
    let (_, beside) = key(&server, &ann, "beside", json!({"roles": ["admin"]})).await;
    let own = [&ann, &first, &second, &beside];
    let as_key = async |key: &str, send: Send| send.header("x-api-key", key).to(&server).await;
    for (i, author) in own.into_iter().enumerate() {
        let made = send("POST", "/api/v1/policies").yaml(&policy(&format!("p{i}"), "team", "a", "active"));
        assert_eq!(as_key(author, made).await.status, 201);
        let id = format!("p{i}");
        for approver in own {
            let answer = approve(&server, approver, &id).await;
            assert_eq!(
                (answer.status, answer.json()["code"].as_str()),
                (403, Some("self_approval"))
            );
        }
        assert_eq!(approve(&server, &carol, &id).await.status, 200);
    }
    let bytes = bundle(&[("p.yaml", &policy("p", "team", "a", "active"))]);
    let put = send("PUT", "/api/v1/bundle").bytes("application/octet-stream", bytes.clone());
    let digest = as_key(&first, put).await.json()["digest"].clone();
    // Deployed again by somebody else, it is still whose it was.
    let bob = server.key("bob", &["policy.author"]).await;
    let put = send("PUT", "/api/v1/bundle").bytes("application/octet-stream", bytes);
    assert_eq!(as_key(&bob, put).await.status, 200);
    for action in ["activate", "rollback"] {
        let path = format!("/api/v1/bundle/{action}");
        for approver in own {
            let answer = as_key(approver, send("POST", &path).json(&json!({"digest": digest}))).await;
            assert_eq!(
                (answer.status, answer.json()["code"].as_str()),
                (403, Some("self_approval"))
            );
        }
    }
    let answer = as_key(
        &carol,
        send("POST", "/api/v1/bundle/activate").json(&json!({"digest": digest})),
    )
    .await;
    assert_eq!(answer.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_counts_as_who_rotated_it() {
    let server = Running::start(&[("API_KEYS_ENABLED", "true"), ("APPROVAL_REQUIRED", "true")]).await;
    let ann = server.key("ann", &["admin"]).await;
    let carol = server.key("carol", &["policy.approver"]).await;
    let root = server.key("root", &["admin"]).await;
    let dave = server.key("dave", &["policy.approver"]).await;
    let as_key = async |key: &str, send: Send| send.header("x-api-key", key).to(&server).await;
    let rotated = async |key: &str| {
        let id = key.split('_').nth(1).unwrap();
        let rotate = send("POST", format!("/api/v1/keys/{id}/rotate")).json(&json!({}));
        let answer = as_key(&ann, rotate).await;
        assert_eq!(answer.status, 200, "{}", answer.json());
        answer.json()
    };
    let made = send("POST", "/api/v1/policies").yaml(&policy("p", "team", "a", "active"));
    assert_eq!(as_key(&ann, made).await.status, 201);
    let bytes = bundle(&[("p.yaml", &policy("p", "team", "a", "active"))]);
    let put = send("PUT", "/api/v1/bundle").bytes("application/octet-stream", bytes);
    let digest = as_key(&ann, put).await.json()["digest"].clone();

    // Both secrets are of one key, and so is whoever has seen one of them.
    let shown = rotated(&carol).await;
    let author = as_key(&ann, send("GET", "/api/v1/policies/p")).await.json()["author"].clone();
    assert_eq!(shown["rotatedBy"], json!([author]));
    let fresh = shown["key"].as_str().unwrap().to_owned();
    // What a rotated key makes is made by whoever rotated it.
    let root = rotated(&root).await["key"].as_str().unwrap().to_owned();
    let (_, behind) = key(&server, &root, "behind", json!({"roles": ["policy.approver"]})).await;
    for approver in [&fresh, &carol, &root, &behind] {
        for approve in [
            send("PATCH", "/api/v1/policies/p/status")
                .header("if-match", "\"1\"")
                .json(&json!({"status": "active"})),
            send("POST", "/api/v1/bundle/activate").json(&json!({"digest": digest})),
        ] {
            let answer = as_key(approver, approve).await;
            assert_eq!(
                (answer.status, answer.json()["code"].as_str()),
                (403, Some("self_approval"))
            );
        }
    }
    let approve = send("PATCH", "/api/v1/policies/p/status")
        .header("if-match", "\"1\"")
        .json(&json!({"status": "active"}));
    assert_eq!(as_key(&dave, approve).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn to_manage_keys_hands_out_nothing() {
    let server = Running::start(&[("API_KEYS_ENABLED", "true")]).await;
    let admin = first_key(&server).await;
    let made = async |name: &str, body: Value| key(&server, &admin, name, body).await;
    let (_, manager) = made("manager", json!({"scopes": ["keys:manage"]})).await;
    let (other, _) = made("other", json!({"scopes": ["keys:manage"]})).await;
    let (reader, _) = made("reader", json!({"scopes": ["policy:read"]})).await;
    let (approver, approver_key) = made("approver", json!({"roles": ["policy.approver"]})).await;
    let as_key = async |key: &str, send: Send| send.header("x-api-key", key).to(&server).await;
    let root = admin.split('_').nth(1).unwrap();
    let rotate = |id: &str| send("POST", format!("/api/v1/keys/{id}/rotate")).json(&json!({}));
    let revoke = |id: &str| send("DELETE", format!("/api/v1/keys/{id}"));
    for id in [root, &reader, &approver] {
        for change in [rotate(id), revoke(id)] {
            let answer = as_key(&manager, change).await;
            assert_eq!(
                (answer.status, answer.json()["code"].as_str()),
                (403, Some("forbidden"))
            );
        }
    }
    for body in [
        json!({"name": "n", "roles": ["admin"]}),
        json!({"name": "n", "scopes": ["keys:manage", "policy:read"]}),
    ] {
        let answer = as_key(&manager, send("POST", "/api/v1/keys").json(&body)).await;
        assert_eq!(answer.status, 403, "{body}");
    }
    // Everybody still is who they were.
    for key in [&admin, &approver_key] {
        assert_eq!(as_key(key, send("GET", "/api/v1/policies")).await.status, 200);
    }
    // What is no more than one's own may be managed; it is still no more.
    let rotated = as_key(&manager, rotate(&other)).await.json();
    assert_eq!(rotated["scopes"], json!(["keys:manage"]));
    let fresh = rotated["key"].as_str().unwrap();
    assert_eq!(as_key(fresh, send("GET", "/api/v1/policies")).await.status, 403);
    assert_eq!(as_key(&manager, revoke(&other)).await.status, 204);

    // Somebody bound to a namespace manages the keys of that one, whatever they may do.
    let (_, red) = made("red", json!({"roles": ["admin"], "namespaces": ["red"]})).await;
    let (of_red, _) = made("of red", json!({"roles": ["evaluator"], "namespaces": ["red"]})).await;
    let (of_blue, _) = made("of blue", json!({"roles": ["evaluator"], "namespaces": ["blue"]})).await;
    let (of_both, _) = made(
        "of both",
        json!({"roles": ["evaluator"], "namespaces": ["red", "blue"]}),
    )
    .await;
    let (of_none, _) = made("of none", json!({"roles": ["evaluator"], "namespaces": []})).await;
    for id in [root, &reader, &of_blue, &of_both, &of_none] {
        for change in [rotate(id), revoke(id)] {
            assert_eq!(as_key(&red, change).await.status, 404, "{id}");
        }
    }
    assert_eq!(as_key(&red, rotate(&of_red)).await.status, 200);
    for (namespaces, status) in [
        (json!(["blue"]), 403),
        (json!(["red", "blue"]), 403),
        (json!([""]), 400),
    ] {
        let body = json!({"name": "n", "roles": ["evaluator"], "namespaces": namespaces});
        let answer = as_key(&red, send("POST", "/api/v1/keys").json(&body)).await;
        assert_eq!(answer.status, status, "{body}");
    }
    let (_, own) = key(&server, &red, "own", json!({"roles": ["evaluator"]})).await;
    let ask = send("POST", "/api/v1/evaluate").json(&json!({"context": {}, "namespace": "blue"}));
    assert_eq!(as_key(&own, ask).await.status, 403);
    // A list shows these keys, and names no other one as the place to go on from.
    let (mut names, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = as_key(&red, send("GET", format!("/api/v1/keys?limit=1{cursor}")))
            .await
            .json();
        let items = page["items"].as_array().unwrap();
        names.extend(items.iter().map(|key| key["name"].as_str().unwrap().to_owned()));
        let Some(next) = page["next"].as_str() else { break };
        assert_eq!(items.last().unwrap()["id"], next);
        cursor = format!("&cursor={next}");
    }
    names.sort();
    assert_eq!(names, ["of red", "own", "red"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_not_made_dead() {
    let server = Running::start(&[("API_KEYS_ENABLED", "true")]).await;
    let admin = first_key(&server).await;
    let (id, short) = key(
        &server,
        &admin,
        "short",
        json!({"roles": ["policy.viewer"], "expiresIn": 1}),
    )
    .await;
    let rotate = async |body: Value| {
        let rotate = send("POST", format!("/api/v1/keys/{id}/rotate")).json(&body);
        rotate.header("x-api-key", &admin).to(&server).await
    };
    let list = async |key: &str| {
        let list = send("GET", "/api/v1/policies").header("x-api-key", key);
        list.to(&server).await.status
    };
    while list(&short).await != 401 {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    for body in [
        json!({}),
        json!({"expiresIn": 0}),
        json!({"expiresIn": 1_000_000_000_000_000_000_u64}),
        json!({"expiresIn": 60, "overlap": 1_000_000_000_000_000_000_u64}),
    ] {
        let answer = rotate(body.clone()).await;
        assert_eq!(
            (answer.status, answer.json()["code"].as_str()),
            (400, Some("malformed_request")),
            "{body}"
        );
    }
    let fresh = rotate(json!({"expiresIn": 60})).await.json();
    assert_eq!(list(fresh["key"].as_str().unwrap()).await, 200);
    let audit = send("GET", "/api/v1/audit")
        .header("x-api-key", &admin)
        .to(&server)
        .await
        .json();
    let scopes: Vec<_> = audit["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|a| a["detail"]["scopes"].clone())
        .collect();
    assert!(scopes.contains(&json!(["policy:read"])), "{audit}");
}

/// Whoever rotates a key without a word about its life does not give it back what somebody else takes at the same time.
#[tokio::test(flavor = "multi_thread")]
async fn rotations_at_the_same_time_keep_the_shorter_life() {
    let server = Running::start(&[("API_KEYS_ENABLED", "true")]).await;
    let admin = first_key(&server).await;
    for round in 0..20 {
        let new = json!({"roles": ["policy.viewer"], "expiresIn": 1_000_000});
        let (id, _) = key(&server, &admin, "k", new).await;
        let rotate = |body: Value| {
            let rotate = send("POST", format!("/api/v1/keys/{id}/rotate")).json(&body);
            rotate.header("x-api-key", &admin).to(&server)
        };
        let (short, plain) = tokio::join!(rotate(json!({"expiresIn": 60})), rotate(json!({})));
        assert_eq!((short.status, plain.status), (200, 200));
        let short = short.json()["expiresAt"].clone();
        let keys = send("GET", "/api/v1/keys?limit=500").header("x-api-key", &admin);
        let keys = keys.to(&server).await.json();
        let kept = keys["items"]
            .as_array()
            .unwrap()
            .iter()
            .find(|key| key["id"] == *id);
        assert_eq!(kept.unwrap()["expiresAt"], short, "round {round}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_may_be_called_validate() {
    let server = Running::start(&[]).await;
    let text = |model: &str| policy("validate", "team", model, "active");
    let made = send("POST", "/api/v1/policies")
        .yaml(&text("a"))
        .to(&server)
        .await;
    assert_eq!(made.status, 201);
    let path = "/api/v1/policies/validate";
    let read = send("GET", path).to(&server).await;
    assert_eq!((read.status, &read.json()["source"]), (200, &json!(text("a"))));
    let put = send("PUT", path)
        .header("if-match", "\"1\"")
        .yaml(&text("b"))
        .to(&server)
        .await;
    assert_eq!((put.status, put.header("etag")), (200, "\"2\""));
    assert_eq!(decision(&server, "b").await, "deny");
    let checked = send("POST", path).yaml("rules: [").to(&server).await;
    assert_eq!((checked.status, &checked.json()["valid"]), (200, &json!(false)));
    let draft = send("PATCH", format!("{path}/status")).json(&json!({"status": "draft"}));
    assert_eq!(draft.to(&server).await.status, 200);
    assert_eq!(send("DELETE", path).to(&server).await.status, 204);
    assert_eq!(send("GET", path).to(&server).await.status, 404);
    assert_eq!(send("PATCH", path).to(&server).await.status, 405);
}

/// What a simulation for a model says: the status, and the decision or the code of the problem.
async fn simulated(server: &Running, model: &str, mut body: Value) -> String {
    body["context"] = json!({"llm": {"model": model}});
    let answer = send("POST", "/api/v1/simulate").json(&body).to(server).await;
    let json = answer.json();
    let word = match answer.status {
        200 => &json["decision"]["decision"],
        _ => &json["code"],
    };
    format!("{} {}", answer.status, word.as_str().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn drafts_are_tried_on_top_of_what_decides_or_not_at_all() {
    let server = Running::start(&[]).await;
    for (id, status) in [("stored", "active"), ("later", "draft")] {
        let made = send("POST", "/api/v1/policies").yaml(&policy(id, "team", id, status));
        assert_eq!(made.to(&server).await.status, 201);
    }
    let active = async || {
        let one = send("GET", "/api/v1/policies/stored").to(&server).await.json();
        let all = send("GET", "/api/v1/policies").to(&server).await.json();
        let listed = all["items"]
            .as_array()
            .unwrap()
            .iter()
            .find(|p| p["id"] == "stored")
            .unwrap()
            .clone();
        assert_eq!(
            (&one["activeVersion"], &one["pendingApproval"]),
            (&listed["activeVersion"], &json!(false))
        );
        one["activeVersion"].clone()
    };
    assert_eq!(active().await, 1);
    let bytes = bundle(&[("p.yaml", &policy("p", "team", "bad", "active"))]);
    let put = send("PUT", "/api/v1/bundle").bytes("application/octet-stream", bytes);
    assert_eq!(put.to(&server).await.status, 200);
    assert_eq!(active().await, Value::Null);
    let draft = policy("q", "team", "q", "draft");
    for (model, body, expected) in [
        ("bad", json!({}), "200 deny"),
        ("stored", json!({}), "200 allow"),
        ("bad", json!({"policies": ["p"]}), "200 deny"),
        ("bad", json!({"drafts": [draft]}), "409 read_only"),
        (
            "bad",
            json!({"drafts": [draft], "policies": ["p", "q"]}),
            "409 read_only",
        ),
        ("bad", json!({"policies": ["p", "later"]}), "409 read_only"),
        ("q", json!({"drafts": [draft], "policies": ["q"]}), "200 deny"),
        ("later", json!({"policies": ["later"]}), "200 deny"),
        ("bad", json!({"policies": ["nope"]}), "400 unknown_policy"),
        ("bad", json!({"policies": []}), "400 no_policies"),
    ] {
        assert_eq!(simulated(&server, model, body.clone()).await, expected, "{body}");
    }
    assert_eq!(send("DELETE", "/api/v1/bundle").to(&server).await.status, 204);
    assert_eq!(active().await, 1);
    assert_eq!(
        simulated(&server, "stored", json!({"drafts": [draft]})).await,
        "200 deny"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn policies_of_a_directory_are_tried_by_id_and_replaced() {
    let dir = tempfile::tempdir().unwrap();
    let several = format!(
        "{}---\n{}---\n{}",
        policy("one", "team", "a", "active"),
        policy("two", "team", "b", "active"),
        policy("old", "team", "o", "deprecated")
    );
    std::fs::write(dir.path().join("q.yaml"), several).unwrap();
    let server = Running::start(&[("POLICIES", dir.path().to_str().unwrap())]).await;
    // A draft whose file would have the name of the one in the directory, and one that takes a place in it.
    let beside = policy("q", "team", "q", "draft");
    let instead = policy("two", "team", "z", "draft");
    for (model, body, expected) in [
        ("a", json!({"policies": ["one"]}), "200 deny"),
        ("b", json!({"policies": ["one"]}), "200 allow"),
        ("o", json!({}), "200 allow"),
        ("o", json!({"policies": ["old"]}), "200 deny"),
        ("a", json!({"policies": ["nope"]}), "400 unknown_policy"),
        ("a", json!({"drafts": [beside]}), "200 deny"),
        ("q", json!({"drafts": [beside]}), "200 deny"),
        ("o", json!({"drafts": [beside]}), "200 allow"),
        ("a", json!({"drafts": [instead]}), "200 deny"),
        ("b", json!({"drafts": [instead]}), "200 allow"),
        ("z", json!({"drafts": [instead]}), "200 deny"),
        ("z", json!({"drafts": [instead, instead]}), "422 policy_invalid"),
    ] {
        assert_eq!(
            simulated(&server, model, body.clone()).await,
            expected,
            "{model} {body}"
        );
    }
    let versions = send("GET", "/api/v1/policies/one/versions")
        .to(&server)
        .await
        .json();
    assert_eq!(versions["items"].as_array().unwrap().len(), 1, "{versions}");
    let version = send("GET", "/api/v1/policies/one/versions/1")
        .to(&server)
        .await
        .json();
    let shown = send("GET", "/api/v1/policies/one").to(&server).await.json();
    assert_eq!(
        (&version["digest"], &version["source"]),
        (&shown["digest"], &shown["source"])
    );
    for path in ["one/versions/2", "nope/versions", "nope/versions/1"] {
        let answer = send("GET", format!("/api/v1/policies/{path}")).to(&server).await;
        assert_eq!(answer.status, 404, "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_reaches_its_namespaces_and_scopes_only() {
    let server = Running::start(&[("API_KEYS_ENABLED", "true")]).await;
    let admin = first_key(&server).await;
    for (id, namespace, model) in [("one", "red", "a"), ("two", "blue", "b"), ("all", "global", "g")] {
        let made = send("POST", "/api/v1/policies")
            .header("x-api-key", &admin)
            .yaml(&policy(id, namespace, model, "active"))
            .to(&server)
            .await;
        assert_eq!(made.status, 201);
    }
    let (id, red) = key(
        &server,
        &admin,
        "red",
        json!({"roles": ["policy.author"], "namespaces": ["red"]}),
    )
    .await;
    let as_red = |send: Send| send.header("x-api-key", &red);
    let listed = as_red(send("GET", "/api/v1/policies")).to(&server).await.json();
    let ids: Vec<_> = listed["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|p| p["id"].clone())
        .collect();
    assert_eq!(ids, ["all", "one"]);
    assert_eq!(
        as_red(send("GET", "/api/v1/policies/two"))
            .to(&server)
            .await
            .status,
        404
    );
    for (method, path, body) in [
        (
            "PUT",
            "/api/v1/policies/all",
            policy("all", "global", "x", "active"),
        ),
        (
            "PUT",
            "/api/v1/policies/one",
            policy("one", "blue", "x", "active"),
        ),
        ("POST", "/api/v1/policies", policy("new", "blue", "x", "active")),
    ] {
        let answer = as_red(send(method, path).yaml(&body)).to(&server).await;
        assert_eq!(answer.status, 403, "{method} {path}");
    }
    // Without a namespace in the request, the key's own one counts.
    for (model, expected) in [("a", "deny"), ("b", "allow"), ("g", "deny")] {
        let ask = send("POST", "/api/v1/evaluate").json(&json!({"context": {"llm": {"model": model}}}));
        assert_eq!(
            as_red(ask).to(&server).await.json()["decision"]["decision"],
            expected,
            "{model}"
        );
    }
    let ask = send("POST", "/api/v1/evaluate").json(&json!({"context": {}, "namespace": "blue"}));
    assert_eq!(as_red(ask).to(&server).await.status, 403);
    assert_eq!(
        as_red(send("GET", "/api/v1/decisions")).to(&server).await.status,
        403
    );
    let bytes = send("GET", "/api/v1/bundle").header("accept", "application/octet-stream");
    assert_eq!(as_red(bytes).to(&server).await.status, 403);
    let put = send("PUT", "/api/v1/bundle").bytes("application/octet-stream", *b"x");
    assert_eq!(as_red(put).to(&server).await.status, 403);

    // Nobody hands on what they do not have; a rotated key works with both secrets, a revoked one with none.
    let rotated = send("POST", format!("/api/v1/keys/{id}/rotate"))
        .header("x-api-key", &admin)
        .json(&json!({"overlap": 60}));
    let fresh = rotated.to(&server).await.json()["key"]
        .as_str()
        .unwrap()
        .to_owned();
    for key in [&red, &fresh] {
        let list = send("GET", "/api/v1/policies").header("x-api-key", key);
        assert_eq!(list.to(&server).await.status, 200);
    }
    assert_eq!(
        send("DELETE", format!("/api/v1/keys/{id}"))
            .header("x-api-key", &admin)
            .to(&server)
            .await
            .status,
        204
    );
    assert_eq!(
        send("GET", "/api/v1/policies")
            .header("x-api-key", &fresh)
            .to(&server)
            .await
            .status,
        401
    );
    let shown = send("GET", "/api/v1/keys")
        .header("x-api-key", &admin)
        .to(&server)
        .await;
    assert!(!String::from_utf8_lossy(&shown.body).contains(&fresh));
}

/// An administrator, and the keys of two tenants who may do everything in their namespaces.
async fn tenants(settings: &[(&str, &str)]) -> (Running, String, [String; 2]) {
    let server = Running::start(&[&[("API_KEYS_ENABLED", "true")], settings].concat()).await;
    let admin = first_key(&server).await;
    let mut keys = Vec::new();
    for name in ["red", "blue"] {
        let body = json!({"roles": ["admin"], "namespaces": [name]});
        keys.push(key(&server, &admin, name, body).await.1);
    }
    (server, admin, keys.try_into().unwrap())
}

/// What is wrong with a request is said in words of this API, not of its libraries.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_with_a_request_is_said_in_our_words() {
    let (server, admin, [red, _]) = tenants(&[]).await;
    let as_key = async |key: &str, send: Send| send.header("x-api-key", key).to(&server).await;
    as_key(
        &red,
        send("POST", "/api/v1/policies").yaml(&policy("limits", "red", "bad", "active")),
    )
    .await;
    let evaluate = |body: &str| send("POST", "/api/v1/evaluate").bytes("application/json", body);
    for (key, request, says) in [
        (
            &red,
            send("GET", "/api/v1/policies?namspace=red"),
            "unknown parameter `namspace`; did you mean `namespace`?",
        ),
        (
            &red,
            send("GET", "/api/v1/policies?zzz=1"),
            "unknown parameter `zzz`; parameters are ",
        ),
        (
            &red,
            send("GET", "/api/v1/policies?limit=many"),
            "the query string is not understood: limit: invalid digit",
        ),
        (
            &red,
            evaluate("{\n  \"context\": nope}"),
            "the body is not JSON: line 2, column 15: `true`, `false` or `null` is expected",
        ),
        (&red, evaluate("{}"), "the member `context` is missing"),
        (
            &red,
            evaluate(r#"{"context":"#),
            "the body is not JSON: line 1, column 11: the text ends where a value is expected",
        ),
        (
            &red,
            send("POST", "/api/v1/evaluate/batch").bytes("application/json", r#"{"contexts": [{}"#),
            "the body is not JSON: line 1, column 16: the text ends inside an array",
        ),
        (
            &red,
            send("POST", "/api/v1/simulate").bytes("application/json", r#"{"contxt": {}}"#),
            "line 1, column 9 of the body: unknown member `contxt`; did you mean `context`?",
        ),
        (
            &red,
            evaluate(r#"{"context": {"llm": "gpt-4o"}}"#),
            "`llm` must be an object, found a string",
        ),
        (
            &admin,
            evaluate(r#"{"context": {}, "namespace": "hr"}"#),
            "namespace `hr` has no active policy",
        ),
        (
            &red,
            evaluate(r#"{"context": {}, "policies": ["x"]}"#),
            "policy `x` is not active, or is of another namespace",
        ),
        (
            &red,
            send("POST", "/api/v1/policies").yaml(&policy("limits", "red", "bad", "active")),
            "policy `limits` of namespace `red` exists already; `PUT` (`UpdatePolicy` over gRPC) updates it",
        ),
        (
            &red,
            evaluate(r#"{"context": {}, "namespace": "blue"}"#),
            "may not use the namespace `blue`; it may use: red",
        ),
    ] {
        let answer = as_key(key, request).await.json();
        let detail = answer["detail"].as_str().unwrap();
        assert!(detail.contains(says), "{says}: {detail}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn ids_live_in_their_namespace() {
    let (server, admin, [red, blue]) = tenants(&[]).await;
    let as_key = async |key: &str, send: Send| send.header("x-api-key", key).to(&server).await;
    let create = |namespace: &str, model: &str| {
        send("POST", "/api/v1/policies").yaml(&policy("limits", namespace, model, "active"))
    };
    // Whoever comes first takes an id from nobody, and nobody learns that it is in use elsewhere.
    for (key, namespace) in [(&red, "red"), (&blue, "blue"), (&admin, "global")] {
        let made = as_key(key, create(namespace, namespace)).await;
        assert_eq!((made.status, made.header("etag")), (201, "\"1\""), "{namespace}");
    }
    let taken = as_key(&red, create("red", "x")).await;
    assert_eq!(
        (taken.status, taken.json()["code"].as_str()),
        (409, Some("already_exists"))
    );

    let get = |rest: &str| send("GET", format!("/api/v1/policies/limits{rest}"));
    let namespace_of = |answer: &Answer| match answer.status {
        200 => answer.json()["namespace"].as_str().unwrap().to_owned(),
        status => format!("{status} {}", answer.json()["code"].as_str().unwrap()),
    };
    for (key, rest, expected) in [
        (&red, "", "red"),
        (&blue, "", "blue"),
        (&red, "?namespace=red", "red"),
        (&red, "?namespace=global", "global"),
        (&red, "?namespace=blue", "403 forbidden"),
        (&red, "?namespace=nowhere", "403 forbidden"),
        (&red, "/versions/1", "red"),
        (&red, "/versions/1?namespace=global", "global"),
        (&red, "/versions/1?namespace=blue", "403 forbidden"),
        (&red, "?namspace=blue", "400 malformed_request"),
        (&admin, "", "409 ambiguous_policy"),
        (&admin, "/versions/1", "409 ambiguous_policy"),
        (&admin, "/versions", "409 ambiguous_policy"),
        (&admin, "?namespace=blue", "blue"),
        (&admin, "?namespace=nowhere", "404 not_found"),
        (&admin, "/versions/1?namespace=red", "red"),
    ] {
        let answer = as_key(key, get(rest)).await;
        assert_eq!(namespace_of(&answer), expected, "{rest}");
    }
    let which = as_key(&admin, get("")).await.json()["detail"]
        .as_str()
        .unwrap()
        .to_owned();
    assert!(which.contains("blue, global, red"), "{which}");

    // Every other operation means the same policy.
    let put = send("PUT", "/api/v1/policies/limits").yaml(&policy("limits", "red", "y", "active"));
    let put = as_key(&red, put).await;
    assert_eq!((put.status, put.header("etag")), (200, "\"2\""));
    let back = send("POST", "/api/v1/policies/limits/rollback").json(&json!({"version": 1}));
    assert_eq!(as_key(&red, back).await.json()["version"], 3);
    let draft = send("PATCH", "/api/v1/policies/limits/status").json(&json!({"status": "draft"}));
    assert_eq!(as_key(&red, draft).await.json()["namespace"], "red");
    for namespace in ["blue", "global"] {
        let other = as_key(&admin, get(&format!("?namespace={namespace}")))
            .await
            .json();
        assert_eq!(
            (&other["version"], &other["activeVersion"]),
            (&json!(1), &json!(1))
        );
    }
    let versions = as_key(&red, get("/versions")).await.json();
    let numbers: Vec<_> = versions["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|v| v["version"].clone())
        .collect();
    assert_eq!(numbers, [4, 3, 2, 1]);

    // A document says its namespace; a request that says another one means something else.
    let text = policy("limits", "blue", "z", "active");
    let put = |query: &str| send("PUT", format!("/api/v1/policies/limits{query}")).yaml(&text);
    let answer = as_key(&admin, put("?namespace=red")).await;
    assert_eq!(
        (answer.status, answer.json()["code"].as_str()),
        (400, Some("malformed_request"))
    );
    assert_eq!(as_key(&red, put("")).await.status, 403);
    assert_eq!(as_key(&admin, put("")).await.json()["namespace"], "blue");
    let moved = send("PUT", "/api/v1/policies/limits").yaml(&policy("limits", "green", "z", "active"));
    assert_eq!(as_key(&admin, moved).await.status, 404);

    let list = async |key: &str| {
        let (mut seen, mut cursor) = (Vec::new(), String::new());
        loop {
            let page = as_key(key, send("GET", format!("/api/v1/policies?limit=1{cursor}")))
                .await
                .json();
            for item in page["items"].as_array().unwrap() {
                seen.push(item["namespace"].as_str().unwrap().to_owned());
            }
            let Some(next) = page["next"].as_str() else {
                return seen;
            };
            cursor = format!("&cursor={}", next.replace('/', "%2F"));
        }
    };
    assert_eq!(list(&red).await, ["global", "red"]);
    assert_eq!(list(&admin).await, ["blue", "global", "red"]);
    let odd = as_key(&red, send("GET", "/api/v1/policies?cursor=limits")).await;
    assert_eq!(
        (odd.status, odd.json()["code"].as_str()),
        (400, Some("malformed_request"))
    );

    // What a tenant has not, it reads of `global`, and changes nowhere.
    assert_eq!(
        as_key(&red, send("DELETE", "/api/v1/policies/limits"))
            .await
            .status,
        204
    );
    assert_eq!(as_key(&red, get("")).await.json()["namespace"], "global");
    assert_eq!(
        as_key(&red, send("DELETE", "/api/v1/policies/limits"))
            .await
            .status,
        403
    );
    let versions = as_key(&red, get("/versions?namespace=red")).await.json();
    assert_eq!(versions["items"][0]["namespace"], "red");
    for namespace in ["blue", "global"] {
        let gone = send("DELETE", format!("/api/v1/policies/limits?namespace={namespace}"));
        assert_eq!(as_key(&admin, gone).await.status, 204);
    }
    // Of what was removed versions are left: those of the caller.
    assert_eq!(
        as_key(&blue, get("/versions")).await.json()["items"][0]["namespace"],
        "blue"
    );
    assert_eq!(
        namespace_of(&as_key(&admin, get("/versions")).await),
        "409 ambiguous_policy"
    );
    assert_eq!(as_key(&blue, get("")).await.status, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_tenant_changes_what_another_one_is_told() {
    let (server, admin, [red, blue]) = tenants(&[]).await;
    let as_key = async |key: &str, send: Send| send.header("x-api-key", key).to(&server).await;
    let rule = |id: &str, decision: &str| {
        format!(
            "- id: {id}\n  condition: {{operator: exists, field: llm.model}}\n  action: {{decision: {decision}, reason: \
             {decision} of {id}}}\n"
        )
    };
    let document = |id: &str, namespace: &str, rules: &[String]| {
        format!(
            "metadata: {{id: {id}, name: N, namespace: {namespace}}}\nrules:\n{}",
            rules.concat()
        )
    };
    for (key, text) in [
        (&admin, document("house", "global", &[rule("first", "warn")])),
        (
            &red,
            document("own", "red", &[rule("first", "warn"), rule("second", "warn")]),
        ),
        (
            &red,
            document("late", "red", &[rule("third", "deny")]) + "status: draft\n",
        ),
    ] {
        let made = as_key(key, send("POST", "/api/v1/policies").yaml(&text)).await;
        assert_eq!(made.status, 201, "{}", made.json());
    }
    let context = json!({"llm": {"model": "m"}});
    // What surrounds a decision, and what is different each time, is left out.
    let told = async || {
        let mut all = Vec::new();
        for (path, body) in [
            ("evaluate", json!({"context": context, "trace": true})),
            ("evaluate", json!({"context": context, "policies": ["own"]})),
            ("evaluate", json!({"context": context, "policies": ["other"]})),
            ("evaluate", json!({"context": context, "policies": ["late"]})),
            ("evaluate/batch", json!({"contexts": [context, context]})),
            ("simulate", json!({"context": context, "policies": ["late"]})),
            (
                "simulate",
                json!({"context": context, "policies": ["own", "house"]}),
            ),
            ("simulate", json!({"context": context, "policies": ["other"]})),
            (
                "simulate",
                json!({"context": context, "drafts": [document("other", "red", &[rule("first", "warn")])]}),
            ),
        ] {
            let answer = as_key(&red, send("POST", format!("/api/v1/{path}")).json(&body)).await;
            let mut json = answer.json();
            for key in ["requestId", "timestamp", "bundle", "cached"] {
                json.as_object_mut().unwrap().remove(key);
            }
            let results = match json.get_mut("results") {
                Some(Value::Array(results)) => results.iter_mut().collect(),
                _ => vec![&mut json],
            };
            for result in results {
                for key in ["requestId", "timestamp", "bundle", "cached"] {
                    result.as_object_mut().unwrap().remove(key);
                }
                if let Some(decision) = result.get_mut("decision").and_then(Value::as_object_mut) {
                    decision.remove("evaluationTimeMs");
                }
            }
            all.push((path, body, answer.status, json));
        }
        all
    };
    let before = told().await;
    assert_eq!(
        before[0].3["decision"]["matchedRules"],
        json!(["house/first", "own/first", "second"])
    );
    let codes: Vec<u16> = before.iter().map(|(_, _, status, _)| *status).collect();
    assert_eq!(codes, [200, 200, 400, 400, 200, 200, 200, 400, 200]);
    // The same ids, other ones that were asked for, and rules that deny everything.
    for id in ["house", "own", "late", "other"] {
        let rules = ["first", "second", "third"].map(|id| rule(id, "deny"));
        let made = as_key(
            &blue,
            send("POST", "/api/v1/policies").yaml(&document(id, "blue", &rules)),
        )
        .await;
        assert_eq!(made.status, 201, "{}", made.json());
    }
    for (before, after) in before.into_iter().zip(told().await) {
        assert_eq!(before, after);
    }
    // The policies of everybody, and when they came, are nobody's business who is bound to some.
    for (method, path) in [("GET", "bundle"), ("GET", "bundle/history"), ("DELETE", "bundle")] {
        let answer = as_key(&red, send(method, format!("/api/v1/{path}"))).await;
        assert_eq!(
            (answer.status, answer.json()["code"].as_str()),
            (403, Some("forbidden")),
            "{path}"
        );
    }
    for path in ["bundle/rollback", "bundle/activate"] {
        let body = json!({"digest": "sha256:0"});
        let answer = as_key(&red, send("POST", format!("/api/v1/{path}")).json(&body)).await;
        assert_eq!(answer.status, 403, "{path}");
    }
    let known = send("GET", "/api/v1/bundle").header("if-none-match", "*");
    assert_eq!(as_key(&red, known).await.status, 403);
    assert_eq!(as_key(&admin, send("GET", "/api/v1/bundle")).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_compile_tells_nothing_of_other_namespaces() {
    let (server, admin, [red, blue]) = tenants(&[]).await;
    let (_, house) = key(
        &server,
        &admin,
        "house",
        json!({"roles": ["admin"], "namespaces": ["global"]}),
    )
    .await;
    let as_key = async |key: &str, send: Send| send.header("x-api-key", key).to(&server).await;
    let modifies = |id: &str, namespace: &str, place: &str| {
        format!(
            "metadata: {{id: {id}, name: N, namespace: {namespace}}}\nrules:\n- id: r\n  condition: {{operator: exists, \
             field: llm.model}}\n  action: {{decision: modify, modifications: {{'metadata.list{place}': 1}}}}\n"
        )
    };
    let create = |text: String| send("POST", "/api/v1/policies").yaml(&text);
    assert_eq!(
        as_key(&blue, create(modifies("secret", "blue", "[0]")))
            .await
            .status,
        201
    );
    assert_eq!(
        as_key(&admin, create(policy("plain", "default", "m", "active")))
            .await
            .status,
        201
    );
    // It says that there is something, and nothing of it.
    for send in [
        create(modifies("house", "global", "[-1]")),
        send("POST", "/api/v1/simulate").json(&json!({
            "context": {}, "namespace": "global", "drafts": [modifies("house", "global", "[-1]")],
        })),
    ] {
        let refused = as_key(&house, send).await;
        let text = String::from_utf8_lossy(&refused.body).into_owned();
        assert_eq!(
            (refused.status, refused.json()["code"].as_str()),
            (422, Some("policy_invalid")),
            "{text}"
        );
        for foreign in ["secret", "blue", "plain", "default"] {
            assert!(!text.contains(foreign), "{text}");
        }
    }
    // What both see is told to both.
    assert_eq!(
        as_key(&house, create(modifies("house", "global", "[0]")))
            .await
            .status,
        201
    );
    let refused = as_key(&red, create(modifies("own", "red", "[-1]"))).await;
    let text = String::from_utf8_lossy(&refused.body).into_owned();
    assert_eq!(refused.status, 422, "{text}");
    assert!(
        text.contains("global/house.yaml") && text.contains("red/own.yaml"),
        "{text}"
    );
    assert!(!text.contains("secret") && !text.contains("blue"), "{text}");
    let told = as_key(&admin, create(modifies("own", "red", "[-1]"))).await;
    assert_eq!(told.status, 422);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_for_namespaces_that_there_can_be() {
    let (server, admin, _) = tenants(&[]).await;
    let as_key = async |key: &str, send: Send| send.header("x-api-key", key).to(&server).await;
    let made = as_key(
        &admin,
        send("POST", "/api/v1/policies").yaml(&policy("p", "red", "m", "active")),
    )
    .await;
    assert_eq!(made.status, 201);
    // One that is named twice is one, and need not be named in requests.
    let body = json!({"roles": ["admin"], "namespaces": ["red", "red"]});
    let (_, twice) = key(&server, &admin, "twice", body).await;
    let asked = send("POST", "/api/v1/evaluate").json(&json!({"context": {}}));
    assert_eq!(as_key(&twice, asked).await.status, 200);
    // The database takes U+0000 for another character, and no document has a namespace with it.
    for name in ["red\0", "re\nd", "", &"x".repeat(256)] {
        let body = json!({"name": "odd", "roles": ["admin"], "namespaces": ["red", name]});
        let refused = as_key(&admin, send("POST", "/api/v1/keys").json(&body)).await;
        assert_eq!(
            (refused.status, refused.json()["code"].as_str()),
            (400, Some("malformed_request")),
            "{name:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_global_says_holds_as_far_as_the_manual_says() {
    let (server, admin, [red, _]) = tenants(&[]).await;
    let write = async |key: &str, namespace: &str, priority: u32, rules: &[(&str, &str)]| {
        let mut text =
            format!("metadata: {{id: p, name: P, namespace: {namespace}, priority: {priority}}}\nrules:\n");
        for (model, action) in rules {
            text += &format!(
                "- id: {model}\n  condition: {{operator: eq, field: llm.model, value: {model}}}\n  action: {{{action}}}\n"
            );
        }
        let made = send("POST", "/api/v1/policies")
            .header("x-api-key", key)
            .yaml(&text);
        let made = made.to(&server).await;
        assert_eq!(made.status, 201, "{}", made.json());
    };
    let global = [
        ("a", "decision: deny, reason: no"),
        (
            "b",
            "decision: modify, metadata: {k: global}, modifications: {llm.user: global, llm.topP: {$cap: 0.5}, llm.prompt: \
             {$redact: all}, llm.stop: {$remove: true}, llm.maxTokens: {$cap: 100}}",
        ),
    ];
    let own = [
        ("a", "decision: allow"),
        (
            "b",
            "decision: modify, metadata: {k: red}, modifications: {llm.user: red, llm.topP: 1, llm.prompt: 'to a.b@example.org', \
             llm.stop: x, llm.maxTokens: {$remove: true}}",
        ),
    ];
    write(&admin, "global", 1, &global).await;
    write(&red, "red", 2, &own).await;
    let ask = async |model: &str| {
        let context =
            json!({"llm": {"model": model, "prompt": "p", "maxTokens": 500, "topP": 0.9, "stop": "s"}});
        let asked = send("POST", "/api/v1/evaluate").header("x-api-key", &red);
        let answer = asked.json(&json!({"context": context})).to(&server).await;
        answer.json()["decision"].clone()
    };
    assert_eq!(ask("a").await["decision"], "deny");
    let modified = ask("b").await;
    assert_eq!(
        (&modified["modifications"], &modified["metadata"]),
        (
            &json!({
                "llm.user": "red", "llm.topP": 0.5, "llm.prompt": "to [EMAIL]", "llm.stop": null, "llm.maxTokens": null,
            }),
            &json!({"k": "red"})
        )
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_shows_no_text_to_who_may_not_read_it() {
    let (server, admin, _) = tenants(&[]).await;
    let as_key = async |key: &str, send: Send| send.header("x-api-key", key).to(&server).await;
    for model in ["first", "second"] {
        let text = policy("p", "red", model, "active");
        let made = match model {
            "first" => send("POST", "/api/v1/policies"),
            _ => send("PUT", "/api/v1/policies/p"),
        };
        assert!(as_key(&admin, made.yaml(&text)).await.status < 300);
    }
    let scoped = async |scopes: &[&str]| key(&server, &admin, "scoped", json!({"scopes": scopes})).await;
    let (_, writes) = scoped(&["policy:write"]).await;
    let (_, reads) = scoped(&["policy:write", "policy:read"]).await;
    let status = |status: &str| send("PATCH", "/api/v1/policies/p/status").json(&json!({"status": status}));
    let back = || send("POST", "/api/v1/policies/p/rollback").json(&json!({"version": 1}));
    for (key, shown) in [(&writes, false), (&reads, true)] {
        for change in [status("draft"), status("active"), back()] {
            let changed = as_key(key, change).await;
            assert_eq!(changed.status, 200);
            assert_eq!(changed.json()["source"].is_string(), shown);
        }
    }
    // Whoever asks for decisions sees why, and a key goes on when the one that made it is gone.
    let (maker_id, maker) = scoped(&["policy:evaluate", "keys:manage"]).await;
    let (_, asks) = key(&server, &maker, "asks", json!({"scopes": ["policy:evaluate"]})).await;
    let gone = as_key(&admin, send("DELETE", format!("/api/v1/keys/{maker_id}"))).await;
    assert_eq!(gone.status, 204);
    let asked = send("POST", "/api/v1/evaluate").json(&json!({"context": {}, "trace": true}));
    let answer = as_key(&asks, asked).await;
    assert_eq!(answer.status, 200);
    assert!(String::from_utf8_lossy(&answer.body).contains("first"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_of_several_policies_is_shown_to_a_tenant_in_part() {
    let dir = tempfile::tempdir().unwrap();
    let documents = [
        policy("limits", "blue", "b", "active"),
        policy("limits", "red", "a", "active"),
        policy("hidden", "blue", "h", "draft"),
    ];
    std::fs::write(dir.path().join("all.yaml"), documents.join("---\n")).unwrap();
    let (server, admin, [red, _]) = tenants(&[("POLICIES", dir.path().to_str().unwrap())]).await;
    let get = async |key: &str, rest: &str| {
        let get = send("GET", format!("/api/v1/policies/limits{rest}")).header("x-api-key", key);
        get.to(&server).await
    };
    for rest in ["", "/versions/1"] {
        let shown = get(&red, rest).await.json();
        assert_eq!(
            (&shown["namespace"], &shown["source"]),
            (&json!("red"), &json!(documents[1]))
        );
    }
    assert_eq!(get(&red, "?namespace=blue").await.status, 403);
    let which = get(&admin, "").await;
    assert_eq!(
        (which.status, which.json()["code"].as_str()),
        (409, Some("ambiguous_policy"))
    );
    let whole = get(&admin, "?namespace=red").await.json();
    assert!(whole["source"].as_str().unwrap().contains("hidden"));
    // What a directory holds beside is not told by what a draft does to it.
    let draft = send("POST", "/api/v1/simulate")
        .header("x-api-key", &red)
        .json(&json!({"context": {}, "policies": ["hidden"]}));
    let answer = draft.to(&server).await;
    assert_eq!(
        (answer.status, answer.json()["code"].as_str()),
        (400, Some("unknown_policy"))
    );
}

/// What a policy imports stands in the text that a tenant is shown; what the file and the imported one hold for others does not.
#[tokio::test(flavor = "multi_thread")]
async fn a_policy_with_imports_is_shown_to_a_tenant_with_what_it_uses() {
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).unwrap();
    let importing = |id: &str, namespace: &str, constant: &str| {
        format!(
            "metadata: {{id: {id}, name: N, namespace: {namespace}}}\nimport: [shared.yaml]\nrules:\n- id: {namespace}-r\n  \
             condition: {{operator: in, field: llm.model, valueFrom: let.{constant}}}\n  action: {{decision: deny}}\n"
        )
    };
    write(
        "shared.yaml",
        "kind: definitions\nlet:\n  few: [gpt-4o]\n  secret: [blue-model]\n",
    );
    write("red.yaml", &importing("own", "red", "few"));
    write(
        "both.yaml",
        &format!(
            "{}---\n{}---\nkind: definitions\nlet: {{other: 7}}\n",
            importing("limits", "blue", "secret"),
            importing("limits", "red", "few")
        ),
    );
    // Documents that `...` ends, without an import.
    let plain = |namespace: &str, value: &str| {
        format!(
            "metadata: {{id: dots, name: N, namespace: {namespace}}}\nrules:\n- id: {namespace}-r\n  condition: {{operator: eq, \
             field: llm.model, value: {value}}}\n  action: {{decision: deny}}\n"
        )
    };
    let dots = format!("{}...\n{}", plain("red", "gpt-4o"), plain("blue", "blue-model"));
    write("dots.yaml", &dots);
    let (server, _, [red, blue]) = tenants(&[("POLICIES", dir.path().to_str().unwrap())]).await;
    let source = async |key: &str, id: &str| {
        let get = send("GET", format!("/api/v1/policies/{id}")).header("x-api-key", key);
        let shown = get.to(&server).await.json();
        shown["source"].as_str().unwrap().to_owned()
    };
    for (key, id, own, value) in [
        (&red, "own", "red-r", "gpt-4o"),
        (&red, "limits", "red-r", "gpt-4o"),
        (&blue, "limits", "blue-r", "blue-model"),
        (&red, "dots", "red-r", "gpt-4o"),
        (&blue, "dots", "blue-r", "blue-model"),
    ] {
        let text = source(key, id).await;
        assert!(text.contains(own) && text.contains(value), "{text}");
        assert!(!text.contains("import"), "{text}");
        for foreign in ["red-r", "blue-r", "gpt-4o", "blue-model", "other"] {
            assert_eq!(
                text.contains(foreign),
                [own, value].contains(&foreign),
                "{foreign}: {text}"
            );
        }
        // It is a policy of its own: it compiles without the files of the directory.
        let alone = send("POST", "/api/v1/policies/validate")
            .header("x-api-key", key)
            .yaml(&text)
            .to(&server)
            .await
            .json();
        assert_eq!(alone["valid"], true, "{alone}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn batches_and_simulations_answer_in_order() {
    let server = Running::start(&[]).await;
    send("POST", "/api/v1/policies")
        .yaml(&policy("p", "team", "a", "active"))
        .to(&server)
        .await;
    send("POST", "/api/v1/policies")
        .yaml(&policy("d", "team", "d", "draft"))
        .to(&server)
        .await;
    let contexts = json!([{"llm": {"model": "a"}}, [1], {"llm": {"model": "b"}}]);
    let batch = send("POST", "/api/v1/evaluate/batch")
        .json(&json!({"contexts": contexts}))
        .to(&server)
        .await
        .json();
    assert_eq!(batch["count"], 3);
    let ids = |answer: &Answer| -> Vec<String> {
        let json = answer.json();
        let results = json["results"].as_array().unwrap();
        results
            .iter()
            .map(|r| r["requestId"].as_str().unwrap().to_owned())
            .collect()
    };
    for path in ["/api/v1/evaluate/batch", "/api/v1/simulate"] {
        let several = send("POST", path)
            .header("x-request-id", "r")
            .json(&json!({"contexts": contexts}));
        assert_eq!(ids(&several.to(&server).await), ["r-0", "r-1", "r-2"], "{path}");
    }
    let one = send("POST", "/api/v1/simulate")
        .header("x-request-id", "r")
        .json(&json!({"context": {}}));
    assert_eq!(one.to(&server).await.json()["requestId"], "r");
    assert_eq!(batch["results"][0]["decision"]["decision"], "deny");
    assert_eq!(batch["results"][1]["error"]["code"], "malformed_context");
    assert_eq!(batch["results"][2]["decision"]["decision"], "allow");
    assert_eq!(
        batch["summary"],
        json!({"allow": 1, "deny": 1, "warn": 0, "modify": 0, "errors": 1})
    );

    let context = json!({"llm": {"model": "d"}});
    let simulate = |body: Value| send("POST", "/api/v1/simulate").json(&body);
    let without = simulate(json!({"context": context})).to(&server).await.json();
    assert_eq!(without["decision"]["decision"], "allow");
    assert!(without["decision"]["trace"].is_object(), "{without}");
    let by_id = simulate(json!({"context": context, "policies": ["d"]}))
        .to(&server)
        .await
        .json();
    assert_eq!(by_id["decision"]["decision"], "deny");
    let draft = policy("p", "team", "d", "draft");
    let inline = simulate(json!({"context": context, "drafts": [draft], "trace": false}))
        .to(&server)
        .await
        .json();
    assert_eq!(inline["decision"]["matchedPolicies"], json!(["p"]));
    assert_eq!(inline["decision"].get("trace"), None);
    let broken = simulate(json!({"context": context, "drafts": ["metadata: {}"]}))
        .to(&server)
        .await;
    assert_eq!(broken.status, 422);
    assert_eq!(decision(&server, "d").await, "allow");
}

#[tokio::test(flavor = "multi_thread")]
async fn decisions_are_logged_masked_and_counted() {
    let server = Running::start(&[(
        "ENCRYPTION_KEYS",
        "k1:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=",
    )])
    .await;
    send("POST", "/api/v1/policies")
        .yaml(&policy("p", "team", "a", "active"))
        .to(&server)
        .await;
    for (i, model) in ["a", "b", "a"].iter().enumerate() {
        let body = json!({
            "requestId": format!("r{i}"),
            "context": {"llm": {"model": model, "prompt": "secret plan"}, "user": {"id": "mail me at x@example.com"}},
        });
        send("POST", "/api/v1/evaluate").json(&body).to(&server).await;
    }
    // An empty id is none: the decision is logged under the one that its answer names.
    let unnamed = json!({"requestId": "", "context": {"llm": {"model": "b"}}});
    let unnamed = send("POST", "/api/v1/evaluate").json(&unnamed).to(&server).await;
    let unnamed_id = unnamed.json()["requestId"].as_str().unwrap().to_owned();
    assert_eq!(unnamed_id, unnamed.header("x-request-id"));
    let dry = json!({"requestId": "dry", "context": {"llm": {"model": "a"}}, "dryRun": true});
    send("POST", "/api/v1/evaluate").json(&dry).to(&server).await;
    loop {
        let all = send("GET", "/api/v1/decisions").to(&server).await.json();
        if all["items"].as_array().unwrap().len() == 4 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let logged = send("GET", "/api/v1/decisions?decision=deny")
        .to(&server)
        .await
        .json();
    assert_eq!(logged["items"].as_array().unwrap().len(), 2);
    assert_eq!(logged["items"][0]["requestId"], "r2");
    assert_eq!(logged["items"][0]["matchedRules"], json!(["refuse-a"]));
    let policy = logged["items"][0]["matchedPolicies"][0].as_str().unwrap();
    for (query, found) in [
        (format!("policy={policy}"), 2),
        (format!("policy={policy}&rule=refuse-a&limit=1"), 1),
        ("policy=refuse-a".to_owned(), 0),
        ("rule=refuse-a".to_owned(), 2),
    ] {
        let list = send("GET", format!("/api/v1/decisions?{query}"))
            .to(&server)
            .await
            .json();
        assert_eq!(list["items"].as_array().unwrap().len(), found, "{query}");
    }
    let stats = send("GET", format!("/api/v1/decisions/stats?policy={policy}"));
    assert_eq!(stats.to(&server).await.json()["total"], 2);
    let context = &logged["items"][0]["context"];
    assert_eq!(context["llm"]["prompt"], "[masked]");
    assert_eq!(context["llm"]["model"], "a");
    assert!(!logged.to_string().contains("x@example.com"), "{logged}");
    // In the database it is not even that.
    let (all, page) = (
        DecisionFilter::default(),
        Page {
            limit: 5,
            after: None,
        },
    );
    let stored = server
        .app
        .service
        .store
        .decision("r2", &all, &page)
        .await
        .unwrap()
        .items;
    assert!(stored[0].context.as_ref().unwrap().starts_with("enc:v1:k1:"));
    let one = send("GET", "/api/v1/decisions/r1").to(&server).await.json();
    assert_eq!(one["items"][0]["decision"], "allow");
    assert_eq!(send("GET", "/api/v1/decisions/dry").to(&server).await.status, 404);
    let found = send("GET", format!("/api/v1/decisions/{unnamed_id}"))
        .to(&server)
        .await;
    assert_eq!(found.json()["items"][0]["requestId"], unnamed_id);
    let stats = send("GET", "/api/v1/decisions/stats").to(&server).await.json();
    assert_eq!(
        (&stats["total"], &stats["byDecision"]["deny"]),
        (&json!(4), &json!(2))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_is_followed_and_its_last_good_state_kept() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("p.yaml");
    std::fs::write(&file, policy("p", "team", "a", "active")).unwrap();
    std::fs::write(dir.path().join("d.yaml"), policy("d", "team", "d", "draft")).unwrap();
    let path = dir.path().to_str().unwrap();
    let server = Running::start(&[("POLICIES", path)]).await;
    assert_eq!(
        [decision(&server, "a").await, decision(&server, "d").await],
        ["deny", "allow"]
    );
    let until = async |model: &str, expected: &str| {
        for _ in 0..500 {
            if decision(&server, model).await == expected {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("{model} never got {expected}");
    };
    let listed = send("GET", "/api/v1/policies").to(&server).await.json();
    assert_eq!(listed["items"].as_array().unwrap().len(), 1, "{listed}");
    assert_eq!(listed["items"][0]["author"], "p.yaml");
    let shown = send("GET", "/api/v1/policies/p").to(&server).await.json();
    assert_eq!(shown["source"], policy("p", "team", "a", "active"));
    std::fs::write(&file, policy("p", "team", "b", "active")).unwrap();
    until("b", "deny").await;
    std::fs::write(&file, "rules: [").unwrap();
    for _ in 0..500 {
        if server.app.service.active.info().failure.is_some() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let ready = send("GET", "/readyz").to(&server).await;
    assert_eq!((ready.status, &ready.json()["status"]), (200, &json!("degraded")));
    // Everybody is told which part it is, operators why.
    let part = json!({
        "status": "degraded",
        "reasons": ["newer policies cannot be activated"],
        "dependencies": {"decision log": "up", "store": "up"},
    });
    assert_eq!(ready.json(), part);
    assert_eq!(send("GET", "/health").to(&server).await.json(), part);
    let why = send("GET", "/readyz").at_admin(&server).await;
    assert_eq!((why.status, &why.json()["status"]), (200, &json!("degraded")));
    assert!(
        why.json()["reasons"][0].as_str().unwrap().contains("p.yaml:1:"),
        "{}",
        why.json()
    );
    let status = send("GET", "/api/v1/bundle").to(&server).await.json();
    assert!(
        status["failure"].as_str().unwrap().contains("p.yaml:1:"),
        "{status}"
    );
    assert_eq!(decision(&server, "b").await, "deny");
    std::fs::write(&file, policy("p", "team", "c", "active")).unwrap();
    until("c", "deny").await;
    assert_eq!(send("GET", "/readyz").to(&server).await.json()["status"], "ready");
    let refused = send("POST", "/api/v1/policies")
        .yaml(&policy("q", "t", "q", "active"))
        .to(&server)
        .await;
    assert_eq!(refused.status, 409);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replaced_bundle_does_not_come_back() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("policies.bundle");
    let [one, two] = ["a", "b"].map(|model| bundle(&[("p.yaml", &policy("p", "team", model, "active"))]));
    std::fs::write(&file, &one).unwrap();
    let server = Running::start(&[("BUNDLE", file.to_str().unwrap())]).await;
    assert_eq!(decision(&server, "a").await, "deny");
    let shown = send("GET", "/api/v1/policies/p").to(&server).await.json();
    assert_eq!((shown.get("digest"), &shown["activeVersion"]), (None, &json!(1)));
    let simulate = send("POST", "/api/v1/simulate")
        .json(&json!({"context": {"llm": {"model": "a"}}, "policies": ["p"]}));
    assert_eq!(simulate.to(&server).await.json()["decision"]["decision"], "deny");
    std::fs::write(&file, &two).unwrap();
    while decision(&server, "b").await != "deny" {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    std::fs::write(&file, &one).unwrap();
    while server.app.service.active.info().failure.is_none() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(decision(&server, "b").await, "deny");
    let reasons = send("GET", "/readyz").at_admin(&server).await.json()["reasons"].to_string();
    assert!(reasons.contains("was replaced before"), "{reasons}");
    // What is active is there again, so nothing is wrong any more.
    std::fs::write(&file, &two).unwrap();
    while server.app.service.active.info().failure.is_some() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(send("GET", "/readyz").to(&server).await.json()["status"], "ready");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_price_file_adds_to_the_table_unless_it_replaces_it() {
    let dir = tempfile::tempdir().unwrap();
    let policies = dir.path().join("policies");
    std::fs::create_dir(&policies).unwrap();
    std::fs::write(
        policies.join("p.yaml"),
        "metadata: {id: p, name: P}\nrules:\n- id: r\n  condition: {operator: gt, field: llm.estimatedCost, value: 1}\n  \
         action: {decision: deny}\n",
    )
    .unwrap();
    let row = "{provider: openai, input_per_million: 1, output_per_million: 1000000}";
    let context = json!({"context": {"llm": {"model": "gpt-4", "prompt": "hi", "maxTokens": 2}}});
    for (prices, want) in [
        (format!("models:\n  gpt-4: {row}\n"), "deny"),
        (format!("models:\n  house: {row}\n"), "allow"),
        // The cost is unknown then, which is an error.
        (format!("replace: true\nmodels:\n  house: {row}\n"), "deny"),
    ] {
        let file = dir.path().join("prices.yaml");
        std::fs::write(&file, &prices).unwrap();
        let server = Running::start(&[
            ("POLICIES", policies.to_str().unwrap()),
            ("PRICES_FILE", file.to_str().unwrap()),
        ])
        .await;
        let answer = send("POST", "/api/v1/evaluate")
            .json(&context)
            .to(&server)
            .await
            .json();
        assert_eq!(answer["decision"]["decision"], want, "{prices}{answer}");
    }
}

/// Every operation of the document: method, path, and the operation itself.
fn operations(api: &Value) -> Vec<(String, String, Value)> {
    let mut found = Vec::new();
    for (path, methods) in api["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            found.push((method.to_uppercase(), path.clone(), operation.clone()));
        }
    }
    assert!(found.len() > 20);
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn browsers_are_led_to_a_page_without_scripts() {
    let server = Running::start(&[]).await;
    let html = "text/html,application/xhtml+xml,*/*;q=0.8";
    let agent: ureq::Agent = ureq::Agent::config_builder().max_redirects(0).build().into();
    let url = format!("http://{}/", server.addresses.http);
    let root = tokio::task::spawn_blocking(move || agent.get(&url).header("accept", html).call().unwrap())
        .await
        .unwrap();
    assert_eq!(root.status().as_u16(), 308);
    assert_eq!(
        (&root.headers()["location"], &root.headers()["vary"]),
        (&"/docs".parse().unwrap(), &"accept".parse().unwrap())
    );
    let root = send("GET", "/").to(&server).await;
    assert_eq!(root.status, 200);
    for key in ["docs", "openapi", "health"] {
        let place = root.json()[key].as_str().unwrap().to_owned();
        let status = send("GET", place).to(&server).await.status;
        // Nothing is active here.
        assert_eq!(status, if key == "health" { 503 } else { 200 }, "{key}");
    }
    let page = send("GET", "/docs").to(&server).await;
    let policy = page.header("content-security-policy").to_owned();
    assert!(
        policy.starts_with("default-src 'none'") && !policy.contains("script"),
        "{policy}"
    );
    let text = String::from_utf8(page.body).unwrap();
    for bad in [
        "<script", " src=", "url(", "@import", "<link", " onload", "<iframe",
    ] {
        assert!(!text.contains(bad), "{bad}");
    }
    // Every link leads into the page, to this server, or to the web.
    let mut links = 0;
    for link in text
        .split("href=\"")
        .skip(1)
        .map(|rest| rest.split('"').next().unwrap())
    {
        links += 1;
        match link.strip_prefix('#') {
            Some(place) => assert!(text.contains(&format!(" id=\"{place}\"")), "{link}"),
            None => assert!(link == "/openapi.json" || link.starts_with("https://"), "{link}"),
        }
    }
    assert!(links > 100, "{links}");
    let api = send("GET", "/openapi.json").to(&server).await.json();
    for (method, path, operation) in operations(&api) {
        let id = operation["operationId"].as_str().unwrap();
        let start = text.find(&format!("<article id=\"op-{id}\">")).unwrap();
        let part = &text[start..];
        let part = &part[..part.find("</article>").unwrap()];
        assert!(part.contains(&format!("<code>{path}</code>")), "{id}");
        assert!(part.contains("<pre class=\"call\">curl"), "{id}");
        assert!(
            method == "GET" || part.contains(&format!("curl -X {method} ")),
            "{id}"
        );
        // Markdown was rendered.
        assert!(!part.contains('`'), "{part}");
    }
    let schemas = api["components"]["schemas"].as_object().unwrap();
    for (name, schema) in schemas {
        assert!(
            text.contains(&format!("<article id=\"schema-{name}\">")),
            "{name}"
        );
        for field in schema["properties"].as_object().into_iter().flatten() {
            assert!(
                text.contains(&format!("<td><code>{}</code>", field.0)),
                "{name}.{}",
                field.0
            );
        }
    }
    for says in [
        "Authorization: Bearer",
        "X-API-Key",
        "policyd token",
        "<code>policy.author</code>",
    ] {
        assert!(text.contains(says), "{says}");
    }
}

#[test]
fn every_operation_and_field_is_described() {
    fn described(value: &Value, what: &str) {
        let text = value["description"].as_str().unwrap_or_default();
        assert!(text.len() > 2, "{what}: {text:?}");
    }
    let api = serde_json::to_value(policy_server::http::document()).unwrap();
    for tag in api["tags"].as_array().unwrap() {
        described(tag, tag["name"].as_str().unwrap());
    }
    for (method, path, operation) in operations(&api) {
        let what = format!("{method} {path}");
        described(&operation, &what);
        assert!(operation["summary"].as_str().unwrap().len() > 5, "{what}");
        for parameter in operation["parameters"].as_array().into_iter().flatten() {
            described(parameter, &format!("{what} {}", parameter["name"]));
        }
        for (status, answer) in operation["responses"].as_object().unwrap() {
            described(answer, &format!("{what} {status}"));
        }
    }
    for (name, schema) in api["components"]["schemas"].as_object().unwrap() {
        described(schema, name);
        for (field, value) in schema["properties"].as_object().into_iter().flatten() {
            described(value, &format!("{name}.{field}"));
        }
    }
    for (name, scheme) in api["components"]["securitySchemes"].as_object().unwrap() {
        described(scheme, name);
    }
}

/// The calls of the page are understood, and need the scope that they say.
#[tokio::test(flavor = "multi_thread")]
async fn the_calls_of_the_page_are_understood() {
    const SCOPES: [&str; 6] = [
        "policy:read",
        "policy:write",
        "policy:evaluate",
        "audit:read",
        "keys:manage",
        "status:write",
    ];
    let server = Running::start(&[("API_KEYS_ENABLED", "true")]).await;
    let key = async |scopes: &[&str]| {
        use policy_server::service::keys::make_key;
        use secrecy::ExposeSecret as _;
        let new = NewKey {
            name: "k".to_owned(),
            scopes: scopes.iter().map(|scope| (*scope).to_owned()).collect(),
            ..NewKey::default()
        };
        let made = make_key(&*server.app.service.store, &Identity::operator(), "test", new, 0).await;
        made.unwrap().1.expose_secret().to_owned()
    };
    let api = send("GET", "/openapi.json").to(&server).await.json();
    for (method, path, operation) in operations(&api) {
        let id = operation["operationId"].as_str().unwrap();
        let needs = operation["description"].as_str().unwrap();
        let needs = needs
            .strip_prefix("Needs `")
            .and_then(|rest| rest.split('`').next());
        let needs = needs.unwrap_or_else(|| panic!("{id} says no scope"));
        assert!(SCOPES.contains(&needs), "{id}: {needs}");
        let method: &'static str = Box::leak(method.into_boxed_str());
        let ask = async |key: &str| {
            let path = path
                .replace("{id}", "no-gpt-4")
                .replace("{requestId}", "nobody")
                .replace("{version}", "1");
            let mut request = send(method, path).header("x-api-key", key);
            let body = &operation["requestBody"]["content"];
            if let Some(json) = body.get("application/json") {
                let example = json
                    .get("example")
                    .unwrap_or_else(|| panic!("{id} has no example"));
                request = request.json(example);
            } else if body.is_object() {
                request = request.bytes("application/octet-stream", "no bundle");
            }
            let answer = request.to(&server).await;
            let code = if answer.status < 300 || answer.body.is_empty() {
                String::new()
            } else {
                answer.json()["code"].as_str().unwrap_or_default().to_owned()
            };
            (answer.status, code)
        };
        let others: Vec<&str> = SCOPES.into_iter().filter(|scope| *scope != needs).collect();
        let (status, code) = ask(&key(&others).await).await;
        assert_eq!(status, 403, "{id}: {code}");
        let (status, code) = ask(&key(&[needs]).await).await;
        // What the example names is not there, or it is no bundle; making a key needs the scopes that it gets.
        let understood = matches!(status, 200..=204 | 404 | 409 | 412)
            || code == "invalid_bundle"
            || code == "not_ready"
            || (id == "createKey" && status == 403);
        assert!(understood, "{id}: {status} {code}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_shell_answers_for_everything() {
    let server = Running::start(&[]).await;
    let page = send("GET", "/docs").to(&server).await;
    assert_eq!(
        (page.status, page.header("content-type")),
        (200, "text/html; charset=utf-8")
    );
    let api = send("GET", "/openapi.json").to(&server).await.json();
    assert!(api["paths"]["/api/v1/evaluate"]["post"].is_object());
    let own = send("GET", "/livez")
        .header("x-request-id", "mine-1")
        .to(&server)
        .await;
    assert_eq!(own.header("x-request-id"), "mine-1");
    let new = send("GET", "/livez")
        .header("x-request-id", "not one\tword")
        .to(&server)
        .await;
    assert_ne!(new.header("x-request-id"), "not one\tword");
    assert_eq!(new.header("x-request-id").len(), 36);
    let wrong = send("PUT", "/api/v1/evaluate").to(&server).await;
    assert_eq!((wrong.status, wrong.header("allow")), (405, "POST"));
    let metrics = server.app.scrape();
    assert!(
        metrics.contains("llm_policy_requests_total{transport=\"rest\",route=\"/livez\",status=\"200\"} 2"),
        "{metrics}"
    );
    assert_eq!(server.stopped().await, policy_server::server::Cut::default());
}

/// Many clients write all of a body before they read: closed on them, they would never see why.
#[tokio::test(flavor = "multi_thread")]
async fn who_sends_too_much_is_told_after_sending_it() {
    const SENT: usize = 24 << 20;
    let server = Running::start(&[("MAX_BODY", "65536")]).await;
    for chunked in [false, true] {
        let address = server.addresses.http;
        let answer = tokio::task::spawn_blocking(move || {
            let mut socket = std::net::TcpStream::connect(address).unwrap();
            let length = match chunked {
                true => "transfer-encoding: chunked".to_owned(),
                false => format!("content-length: {SENT}"),
            };
            let head = format!(
                "POST /api/v1/evaluate HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\nconnection: close\r\n{length}\r\n\r\n"
            );
            socket.write_all(head.as_bytes()).unwrap();
            let piece = vec![b'x'; 1 << 20];
            for _ in 0..SENT / piece.len() {
                if chunked {
                    socket
                        .write_all(format!("{:x}\r\n", piece.len()).as_bytes())
                        .unwrap();
                }
                socket.write_all(&piece).unwrap();
                if chunked {
                    socket.write_all(b"\r\n").unwrap();
                }
            }
            if chunked {
                socket.write_all(b"0\r\n\r\n").unwrap();
            }
            let mut answer = String::new();
            socket.read_to_string(&mut answer).unwrap();
            answer
        });
        let answer = answer.await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
    }
}

/// A kind of bad input: what it is, the request, and what it gets.
struct Bad {
    what: &'static str,
    send: Send,
    status: u16,
    code: &'static str,
}

fn bad_inputs() -> Vec<Bad> {
    let row = |what, send, status, code| Bad {
        what,
        send,
        status,
        code,
    };
    let evaluate = |body: &str| send("POST", "/api/v1/evaluate").bytes("application/json", body);
    let yaml = |text: &str| send("POST", "/api/v1/policies").yaml(text);
    let good = policy("p", "team", "a", "active");
    vec![
        row("a body that is not JSON", evaluate("{"), 400, "malformed_request"),
        row("no body", evaluate(""), 400, "malformed_request"),
        row(
            "an array where an object is expected",
            evaluate(r#"["r", {"llm": {}}]"#),
            400,
            "malformed_request",
        ),
        row(
            "an array instead of a batch",
            send("POST", "/api/v1/evaluate/batch").bytes("application/json", r#" [[{}]]"#),
            400,
            "malformed_request",
        ),
        row(
            "an array instead of a simulation",
            send("POST", "/api/v1/simulate").bytes("application/json", r#"[{}]"#),
            400,
            "malformed_request",
        ),
        row(
            "an array instead of a key",
            send("POST", "/api/v1/keys").bytes("application/json", r#"["k", ["evaluator"]]"#),
            400,
            "malformed_request",
        ),
        row(
            "an array instead of a status",
            send("PATCH", "/api/v1/policies/taken/status").bytes("application/json", r#"["draft"]"#),
            400,
            "malformed_request",
        ),
        row(
            "a compressed body",
            evaluate(r#"{"context": {}}"#).header("content-encoding", "gzip"),
            415,
            "unsupported_media_type",
        ),
        row(
            "a compressed policy",
            yaml(&good).header("content-encoding", "br"),
            415,
            "unsupported_media_type",
        ),
        row(
            "a body without a content type, without authentication",
            Send {
                body: good.clone().into_bytes(),
                ..send("POST", "/api/v1/policies")
            },
            415,
            "unsupported_media_type",
        ),
        row(
            "an id of the request that nobody can read",
            evaluate(r#"{"requestId": "a\u0007", "context": {}}"#),
            400,
            "malformed_request",
        ),
        row(
            "a page of another server, without authentication",
            evaluate(r#"{"context": {}}"#).header("origin", "http://evil.example"),
            403,
            "foreign_host",
        ),
        row("no `context`", evaluate("{}"), 400, "malformed_request"),
        row(
            "a key that the request does not know",
            evaluate(r#"{"context": {}, "polices": []}"#),
            400,
            "malformed_request",
        ),
        row(
            "the same key twice in the request",
            evaluate(r#"{"context": {}, "context": {}}"#),
            400,
            "malformed_request",
        ),
        row(
            "a value of the wrong type",
            evaluate(r#"{"context": {}, "trace": "yes"}"#),
            400,
            "malformed_request",
        ),
        row(
            "text after the JSON",
            evaluate(r#"{"context": {}} x"#),
            400,
            "malformed_request",
        ),
        row(
            "a context that is not an object",
            evaluate(r#"{"context": []}"#),
            400,
            "malformed_context",
        ),
        row(
            "the same key twice on a path that is read",
            evaluate(r#"{"context": {"llm": {"model": "a", "model": "b"}}}"#),
            400,
            "malformed_context",
        ),
        row(
            "a context nested too deep",
            evaluate(&format!(
                r#"{{"context": {{"x": {}1{}}}}}"#,
                "[".repeat(1000),
                "]".repeat(1000)
            )),
            400,
            "malformed_context",
        ),
        row(
            "bytes that are not UTF-8",
            send("POST", "/api/v1/evaluate")
                .bytes("application/json", b"{\"context\": {\"x\": \"\xff\"}}".to_vec()),
            400,
            "malformed_request",
        ),
        row(
            "an empty list of policies",
            evaluate(r#"{"context": {}, "policies": []}"#),
            400,
            "no_policies",
        ),
        row(
            "a policy that is not active",
            evaluate(r#"{"context": {}, "policies": ["nope"]}"#),
            400,
            "unknown_policy",
        ),
        row(
            "a policy that is named twice",
            evaluate(r#"{"context": {}, "policies": ["taken", "taken"]}"#),
            400,
            "duplicate_policy",
        ),
        row(
            "a namespace without an active policy",
            evaluate(r#"{"context": {}, "namespace": "nowhere"}"#),
            400,
            "unknown_namespace",
        ),
        row(
            "a namespace without a name",
            evaluate(r#"{"context": {}, "namespace": ""}"#),
            400,
            "unknown_namespace",
        ),
        row(
            "a body of another type",
            send("POST", "/api/v1/evaluate").bytes("text/plain", "{}"),
            415,
            "unsupported_media_type",
        ),
        row(
            "a body that is too large",
            evaluate(&format!(r#"{{"context": {{"x": "{}"}}}}"#, "x".repeat(70_000))),
            413,
            "too_large",
        ),
        row(
            "a batch that is too large",
            send("POST", "/api/v1/evaluate/batch").json(&json!({"contexts": vec![json!({}); 11]})),
            413,
            "too_large",
        ),
        row(
            "a batch without contexts",
            send("POST", "/api/v1/evaluate/batch").json(&json!({})),
            400,
            "malformed_request",
        ),
        row(
            "a batch with an empty list of policies",
            send("POST", "/api/v1/evaluate/batch").json(&json!({"contexts": [], "policies": []})),
            400,
            "no_policies",
        ),
        row(
            "a batch with a policy that is not active",
            send("POST", "/api/v1/evaluate/batch").json(&json!({"contexts": [{}], "policies": ["nope"]})),
            400,
            "unknown_policy",
        ),
        row(
            "a batch in a namespace without an active policy",
            send("POST", "/api/v1/evaluate/batch").json(&json!({"contexts": [{}], "namespace": "one"})),
            400,
            "unknown_namespace",
        ),
        row(
            "a simulation in a namespace without an active policy",
            send("POST", "/api/v1/simulate").json(&json!({"contexts": [{}], "namespace": "one"})),
            400,
            "unknown_namespace",
        ),
        row(
            "a batch with a policy that is named twice",
            send("POST", "/api/v1/evaluate/batch")
                .json(&json!({"contexts": [{}], "policies": ["taken", "taken"]})),
            400,
            "duplicate_policy",
        ),
        row(
            "a simulation with a policy that is named twice",
            send("POST", "/api/v1/simulate").json(&json!({"contexts": [{}], "policies": ["taken", "taken"]})),
            400,
            "duplicate_policy",
        ),
        row(
            "a simulation with more policies than a batch may have contexts",
            send("POST", "/api/v1/simulate").json(&json!({"context": {}, "policies": vec!["p"; 11]})),
            413,
            "too_large",
        ),
        row(
            "a simulation with more drafts than a batch may have contexts",
            send("POST", "/api/v1/simulate").json(&json!({"context": {}, "drafts": vec!["x"; 11]})),
            413,
            "too_large",
        ),
        row(
            "a simulation with an empty list of policies",
            send("POST", "/api/v1/simulate").json(&json!({"contexts": [], "policies": []})),
            400,
            "no_policies",
        ),
        row(
            "a simulation with a policy that is not stored",
            send("POST", "/api/v1/simulate").json(&json!({"contexts": [{}], "policies": ["nope"]})),
            400,
            "unknown_policy",
        ),
        row(
            "two drafts of one namespace and id",
            send("POST", "/api/v1/simulate")
                .json(&json!({"context": {}, "drafts": [good, good.clone() + "\n"]})),
            422,
            "policy_invalid",
        ),
        row(
            "a simulation without a context",
            send("POST", "/api/v1/simulate").json(&json!({})),
            400,
            "malformed_request",
        ),
        row(
            "a draft that does not compile",
            send("POST", "/api/v1/simulate").json(&json!({"context": {}, "drafts": [{}]})),
            422,
            "policy_invalid",
        ),
        row(
            "a policy that is not YAML",
            yaml("rules: ["),
            422,
            "policy_invalid",
        ),
        row(
            "a policy with an unknown key",
            yaml(&good.replace("rules:", "ruels:")),
            422,
            "policy_invalid",
        ),
        row(
            "a policy with an invalid pattern",
            yaml(
                &good
                    .replace("operator: eq", "operator: matches")
                    .replace("value: a", "value: '('"),
            ),
            422,
            "policy_invalid",
        ),
        row(
            "two policies in one request",
            yaml(&format!("{good}---\n{}", good.replace("id: p,", "id: q,"))),
            422,
            "policy_invalid",
        ),
        row(
            "a policy with an id of 300 bytes",
            yaml(&good.replace("id: p,", &format!("id: {},", "p".repeat(300)))),
            422,
            "policy_invalid",
        ),
        row(
            "a policy of another type",
            send("POST", "/api/v1/policies").bytes("text/html", good.clone()),
            415,
            "unsupported_media_type",
        ),
        row(
            "a policy whose id is taken",
            yaml(&policy("taken", "team", "a", "active")),
            409,
            "already_exists",
        ),
        row(
            "an id that policies of several namespaces have",
            send("GET", "/api/v1/policies/twice"),
            409,
            "ambiguous_policy",
        ),
        row(
            "a document of another namespace",
            send("PUT", "/api/v1/policies/twice?namespace=one").yaml(&policy("twice", "two", "a", "draft")),
            400,
            "malformed_request",
        ),
        row(
            "a parameter that the route does not know",
            send("GET", "/api/v1/policies/taken?namspace=team"),
            400,
            "malformed_request",
        ),
        row(
            "a document of another policy",
            send("PUT", "/api/v1/policies/taken").yaml(&good),
            400,
            "malformed_request",
        ),
        row(
            "an update of what is not there",
            send("PUT", "/api/v1/policies/p").yaml(&good),
            404,
            "not_found",
        ),
        row(
            "`If-Match` with another version",
            send("DELETE", "/api/v1/policies/taken").header("if-match", "\"7\""),
            412,
            "version_mismatch",
        ),
        row(
            "`If-Match` that is no text",
            send("PUT", "/api/v1/policies/taken")
                .header("if-match", "\u{fc}")
                .yaml(&policy("taken", "team", "b", "active")),
            400,
            "malformed_request",
        ),
        row(
            "`If-Match` that is no text, for a bundle",
            send("PUT", "/api/v1/bundle")
                .header("if-match", "\u{fc}")
                .bytes("application/octet-stream", "no bundle"),
            400,
            "malformed_request",
        ),
        row(
            "`If-Match` twice",
            send("PUT", "/api/v1/policies/taken")
                .header("if-match", "\"1\"")
                .header("if-match", "\"2\"")
                .yaml(&policy("taken", "team", "b", "active")),
            400,
            "malformed_request",
        ),
        row(
            "`If-None-Match` on a write",
            send("PUT", "/api/v1/policies/taken")
                .header("if-none-match", "*")
                .yaml(&policy("taken", "team", "b", "active")),
            400,
            "malformed_request",
        ),
        row(
            "`If-Unmodified-Since` on a write",
            send("DELETE", "/api/v1/policies/taken")
                .header("if-unmodified-since", "Thu, 01 Jan 1970 00:00:00 GMT"),
            400,
            "malformed_request",
        ),
        row(
            "`If-Match` that is no version",
            send("DELETE", "/api/v1/policies/taken").header("if-match", "\"x\""),
            400,
            "malformed_request",
        ),
        row(
            "a status that does not exist",
            send("PATCH", "/api/v1/policies/taken/status").json(&json!({"status": "on"})),
            400,
            "malformed_request",
        ),
        row(
            "a version that does not exist",
            send("GET", "/api/v1/policies/taken/versions/9"),
            404,
            "not_found",
        ),
        row(
            "a version that is no number",
            send("GET", "/api/v1/policies/taken/versions/x"),
            400,
            "malformed_request",
        ),
        row(
            "a rollback to a version that does not exist",
            send("POST", "/api/v1/policies/taken/rollback").json(&json!({"version": 9})),
            404,
            "not_found",
        ),
        row(
            "a `limit` of 0",
            send("GET", "/api/v1/policies?limit=0"),
            400,
            "malformed_request",
        ),
        row(
            "a `cursor` of decisions that no page gave",
            send("GET", "/api/v1/decisions?cursor=x"),
            400,
            "malformed_request",
        ),
        row(
            "a `cursor` of the decisions on a request that no page gave",
            send("GET", "/api/v1/decisions/r?cursor=x"),
            400,
            "malformed_request",
        ),
        row(
            "a `cursor` of versions that no page gave",
            send("GET", "/api/v1/policies/taken/versions?cursor=x"),
            400,
            "malformed_request",
        ),
        row(
            "a `cursor` of bundles that no page gave",
            send("GET", "/api/v1/bundle/history?cursor=x"),
            400,
            "malformed_request",
        ),
        row(
            "another version of this interface",
            send("GET", "/api/v2/policies"),
            404,
            "not_found",
        ),
        row(
            "a parameter that does not exist",
            send("GET", "/api/v1/policies?limt=1"),
            400,
            "malformed_request",
        ),
        row(
            "what may become of a version that does not exist",
            send("GET", "/api/v1/policies?approval=maybe"),
            400,
            "malformed_request",
        ),
        row(
            "a rejection of a version that does not wait",
            send("POST", "/api/v1/policies/taken/reject").json(&json!({"version": 1, "comment": "no"})),
            409,
            "not_waiting",
        ),
        row(
            "a rejection without a comment",
            send("POST", "/api/v1/policies/taken/reject").json(&json!({"version": 1, "comment": " "})),
            400,
            "malformed_request",
        ),
        row(
            "a rejection with a comment that nobody can read",
            send("POST", "/api/v1/policies/taken/reject").json(&json!({"version": 1, "comment": "a\u{7}"})),
            400,
            "malformed_request",
        ),
        row(
            "a time that is none",
            send("GET", "/api/v1/decisions?from=yesterday"),
            400,
            "malformed_request",
        ),
        row(
            "an outcome that does not exist",
            send("GET", "/api/v1/decisions?decision=maybe"),
            400,
            "malformed_request",
        ),
        row(
            "a decision that was not made",
            send("GET", "/api/v1/decisions/nope"),
            404,
            "not_found",
        ),
        row(
            "a bundle that is none",
            send("PUT", "/api/v1/bundle").bytes("application/octet-stream", "nonsense"),
            400,
            "invalid_bundle",
        ),
        row(
            "a bundle that was never deployed",
            send("POST", "/api/v1/bundle/activate").json(&json!({"digest": "sha256:00"})),
            404,
            "not_found",
        ),
        row(
            "a rollback without an earlier bundle",
            send("POST", "/api/v1/bundle/rollback").json(&json!({})),
            404,
            "not_found",
        ),
        row(
            "a key without a name",
            send("POST", "/api/v1/keys").json(&json!({"name": " ", "roles": ["evaluator"]})),
            400,
            "malformed_request",
        ),
        row(
            "a key with a role that does not exist",
            send("POST", "/api/v1/keys").json(&json!({"name": "k", "roles": ["root"]})),
            400,
            "malformed_request",
        ),
        row(
            "a key that is good for no time",
            send("POST", "/api/v1/keys").json(&json!({"name": "k", "roles": ["evaluator"], "expiresIn": 0})),
            400,
            "malformed_request",
        ),
        row(
            "a key that is good for more than a hundred years",
            send("POST", "/api/v1/keys").json(
                &json!({"name": "k", "roles": ["evaluator"], "expiresIn": 1_000_000_000_000_000_000_u64}),
            ),
            400,
            "malformed_request",
        ),
        row(
            "a route that does not exist",
            send("GET", "/api/v1/nope"),
            404,
            "not_found",
        ),
        row(
            "a method that a route does not know",
            send("PUT", "/api/v1/evaluate"),
            405,
            "method_not_allowed",
        ),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn every_bad_input_gets_its_answer() {
    let server = Running::start(&[("MAX_BODY", "65536"), ("MAX_BATCH", "10")]).await;
    for text in [
        policy("taken", "team", "a", "active"),
        policy("twice", "one", "a", "draft"),
        policy("twice", "two", "a", "draft"),
    ] {
        let made = send("POST", "/api/v1/policies").yaml(&text);
        assert_eq!(made.to(&server).await.status, 201);
    }
    let mut table = String::from("| input | status | `code` |\n|---|--:|---|\n");
    let mut wrong = Vec::new();
    for Bad {
        what,
        send,
        status,
        code,
    } in bad_inputs()
    {
        let answer = send.to(&server).await;
        let text = String::from_utf8_lossy(&answer.body).into_owned();
        let found = serde_json::from_str::<Value>(&text).unwrap_or_default();
        if (answer.status, found["code"].as_str()) != (status, Some(code))
            || answer.header("content-type") != "application/problem+json"
            || found["requestId"].as_str() != Some(answer.header("x-request-id"))
            || found["detail"].as_str().is_none_or(str::is_empty)
        {
            wrong.push(format!(
                "{what}: expected {status} {code}, got {} {text}",
                answer.status
            ));
        }
        writeln!(table, "| {what} | {status} | `{code}` |").unwrap();
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert_eq!(
        decision(&server, "a").await,
        "deny",
        "bad input changed something"
    );
    insta::assert_snapshot!("bad_inputs", table);
}

#[tokio::test(flavor = "multi_thread")]
async fn limits_hold_and_say_when_to_come_back() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("p.yaml"), policy("p", "team", "b", "active")).unwrap();
    let server = Running::start(&[
        ("RATE_LIMIT", "2"),
        ("RATE_LIMIT_ROUTES", "evaluate=1000"),
        ("POLICIES", dir.path().to_str().unwrap()),
    ])
    .await;
    let mut statuses = Vec::new();
    for _ in 0..4 {
        let answer = send("GET", "/api/v1/policies").to(&server).await;
        if answer.status == 429 {
            assert_eq!(answer.header("retry-after"), "1");
            assert_eq!(answer.json()["code"], "rate_limited");
        }
        statuses.push(answer.status);
    }
    assert_eq!(statuses[..2], [200, 200]);
    assert!(statuses[2..].contains(&429), "{statuses:?}");
    assert_eq!(decision(&server, "a").await, "allow");
}

/// A document is never compiled where requests are answered: while the pool is full, none is, and decisions go on.
#[tokio::test]
async fn documents_wait_for_the_pool_and_decisions_do_not() {
    const WORKERS: usize = 1;
    let server = Running::start(&[("HEAVY_WORKERS", "1"), ("REQUEST_TIMEOUT", "60s")]).await;
    let other = send("POST", "/api/v1/policies").yaml(&policy("q", "team", "b", "active"));
    assert_eq!(other.to(&server).await.status, 201);
    let draft = policy("p", "team", "a", "draft");
    for (method, path) in [("POST", "/api/v1/policies"), ("PUT", "/api/v1/policies/p")] {
        let stored = send(method, path).yaml(&draft).to(&server).await;
        assert!(stored.status < 300, "{}", String::from_utf8_lossy(&stored.body));
    }
    // None of these compiles anything but the document itself, so the pool is full for that or for nothing.
    let broken = "metadata: {}";
    let requests = [
        send("POST", "/api/v1/policies").yaml(broken),
        send("PUT", "/api/v1/policies/p").yaml(broken),
        send("POST", "/api/v1/policies/p/rollback").json(&json!({"version": 1})),
        send("POST", "/api/v1/policies/validate").yaml(broken),
        send("POST", "/api/v1/simulate").json(&json!({"context": {}, "drafts": [broken]})),
    ];
    let free: Vec<u16> = {
        let mut statuses = Vec::new();
        for request in &requests {
            statuses.push(request.clone().to(&server).await.status);
        }
        statuses
    };
    assert_eq!(free, [422, 422, 200, 200, 422]);

    // One address has all workers and eight places in the queue for each; here, that is this address.
    let here = Identity::anonymous_at(Some(Address::of(server.addresses.http.ip())));
    let full = Held::fill(&server, &[here], WORKERS * 9).await;
    for request in &requests {
        let answer = request.clone().to(&server).await;
        assert_eq!(
            (
                answer.status,
                answer.json()["code"].as_str(),
                answer.header("retry-after")
            ),
            (429, Some("rate_limited"), "1"),
            "{} {}",
            request.method,
            request.path
        );
    }
    assert_eq!(decision(&server, "a").await, "allow");
    full.release().await;
    assert_eq!(requests[3].clone().to(&server).await.status, 200);

    // Others have no more than a place in the queue each, so nobody makes room.
    let others: Vec<_> = (0..WORKERS * 34)
        .map(|n| Identity::anonymous_at(Some(Address::of([10, 0, 0, u8::try_from(n).unwrap()].into()))))
        .collect();
    let full = Held::fill(&server, &others, 1).await;
    let answer = requests[3].clone().to(&server).await;
    assert_eq!(
        (
            answer.status,
            answer.json()["code"].as_str(),
            answer.header("retry-after")
        ),
        (503, Some("overloaded"), "1")
    );
    full.release().await;
    assert_eq!(requests[3].clone().to(&server).await.status, 200);
    let metrics = server.app.scrape();
    for reason in ["share", "queue"] {
        let counted = metrics.contains(&format!("llm_policy_shed_total{{reason=\"{reason}\"}}"));
        assert!(counted, "{metrics}");
    }
}

/// Work that goes on until it is released.
struct Held {
    jobs: Vec<tokio::task::JoinHandle<Result<bool, ServiceError>>>,
    release: std::sync::mpsc::Sender<()>,
}

impl Held {
    /// So many jobs of each identity, all of them in the pool or in front of it.
    async fn fill(server: &Running, of: &[Identity], each: usize) -> Self {
        let (release, wait) = std::sync::mpsc::channel::<()>();
        let held = Arc::new(std::sync::Mutex::new(wait));
        let mut jobs = Vec::new();
        for identity in of {
            let owner = Owner::of(identity);
            for _ in 0..each {
                let (pool, held) = (server.app.service.heavy.clone(), Arc::clone(&held));
                let job = move |_: &Stop| held.lock().unwrap().recv().is_ok();
                let work = Work { owner, until: None };
                jobs.push(tokio::spawn(async move { pool.run(work, job).await }));
            }
        }
        while {
            let (running, waiting) = server.app.service.heavy.load();
            running + waiting < jobs.len()
        } {
            tokio::task::yield_now().await;
        }
        Self { jobs, release }
    }

    async fn release(self) {
        for _ in &self.jobs {
            self.release.send(()).unwrap();
        }
        for job in self.jobs {
            assert!(job.await.unwrap().unwrap());
        }
    }
}

/// What nobody waits for any more is not done: a batch stops when its connection is gone.
#[tokio::test(flavor = "multi_thread")]
async fn a_batch_ends_with_its_connection() {
    const CONTEXTS: usize = 2_000_000;
    let server = Running::start(&[
        ("MAX_BATCH", "10000000"),
        ("MAX_BODY", "64MB"),
        ("MAX_RESULTS", "100GB"),
        ("REQUEST_TIMEOUT", "1h"),
        ("DECISION_LOG", "off"),
    ])
    .await;
    let made = send("POST", "/api/v1/policies").yaml(&policy("p", "team", "a", "active"));
    assert_eq!(made.to(&server).await.status, 201);
    let evaluated = || {
        let stats = server.app.service.cache.stats();
        stats.bypassed + stats.misses + stats.l1_hits
    };
    let body = format!("{{\"contexts\":[{}{{}}]}}", "{},".repeat(CONTEXTS - 1));
    let head = format!(
        "POST /api/v1/evaluate/batch HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    let mut connection = std::net::TcpStream::connect(server.addresses.http).unwrap();
    let connection = tokio::task::spawn_blocking(move || {
        connection.write_all(head.as_bytes()).unwrap();
        connection.write_all(body.as_bytes()).unwrap();
        connection
    })
    .await
    .unwrap();
    while evaluated() == 0 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    drop(connection);
    while server.app.service.heavy.load() != (0, 0) {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let done = usize::try_from(evaluated()).unwrap();
    assert!(done < CONTEXTS, "{done} contexts were decided for nobody");
}

/// One request, and as many searches of its text as policies may have patterns.
#[tokio::test(flavor = "multi_thread")]
async fn one_long_evaluation_ends_with_its_time() {
    const RULES: usize = 60;
    let server = Running::start(&[("DECISION_LOG", "off"), ("REQUEST_TIMEOUT", "1m")]).await;
    let mut text = "metadata: {id: p, name: P}\nrules:\n".to_owned();
    for i in 0..RULES {
        writeln!(
            text,
            "- {{id: r{i}, condition: {{operator: matches, field: llm.prompt, value: '[0-9]+[a-f]{{{}}}'}}, action: \
             {{decision: deny}}}}",
            i + 1
        )
        .unwrap();
    }
    let made = send("POST", "/api/v1/policies").yaml(&text).to(&server).await;
    assert_eq!(made.status, 201, "{}", made.json());
    let service = &server.app.service;
    let context = json!({"llm": {"prompt": "0123456789".repeat(400_000)}});
    // Nothing is kept, so that each time is that of the work.
    let question = axum::body::Bytes::from(json!({"context": context, "dryRun": true}).to_string());
    let ask = async |time| {
        let caller = Caller {
            identity: Identity::anonymous(),
            request_id: "r".into(),
            transport: Transport::Rest,
            until: Some(Instant::now() + time),
        };
        let begin = Instant::now();
        let decided = service.evaluate(&caller, Whole(question.clone())).await;
        (decided.map(|_| ()).map_err(|error| error.code), begin.elapsed())
    };
    let mut whole = Duration::MAX;
    for _ in 0..2 {
        let (decided, took) = ask(Duration::from_secs(60)).await;
        assert_eq!(decided, Ok(()));
        whole = whole.min(took);
    }
    // In a quarter of the time that all of it takes, it is not done.
    assert_eq!(ask(whole / 4).await.0, Err(Code::DeadlineExceeded));
    assert_eq!(service.heavy.load(), (0, 0));
}

/// `REQUEST_TIMEOUT` is how long work takes, not only how long callers wait.
#[tokio::test(flavor = "multi_thread")]
async fn work_ends_with_the_time_of_its_request() {
    const CONTEXTS: usize = 2_000_000;
    let server = Running::start(&[
        ("MAX_BATCH", "10000000"),
        ("MAX_BODY", "64MB"),
        ("MAX_RESULTS", "100GB"),
        ("DECISION_LOG", "off"),
    ])
    .await;
    let made = send("POST", "/api/v1/policies").yaml(&policy("p", "team", "a", "active"));
    assert_eq!(made.to(&server).await.status, 201);
    let service = &server.app.service;
    let body = format!("{{\"contexts\":[{}{{}}]}}", "{},".repeat(CONTEXTS - 1));
    let caller = |until| Caller {
        identity: Identity::anonymous(),
        request_id: "r".into(),
        transport: Transport::Rest,
        until,
    };
    // In the time that it takes to read so many, one of them is decided at most.
    let soon = caller(Some(Instant::now() + Duration::from_millis(5)));
    let late = service.evaluate_batch(&soon, body.into()).await;
    assert_eq!(late.map(|_| ()).unwrap_err().code, Code::DeadlineExceeded);
    let asked = service.cache.stats();
    assert!(asked.bypassed + asked.misses < CONTEXTS as u64);
    // What comes too late is not begun, whatever it is.
    let over = caller(Some(Instant::now()));
    let text = policy("q", "team", "b", "active");
    let write = service
        .create_policy(over.call(), text.clone(), Format::Yaml)
        .await;
    let check = service
        .validate_policy(over.call(), text.clone(), Format::Yaml)
        .await;
    let simulation = Simulation {
        contexts: Contexts::One("{}".to_owned()),
        drafts: vec![Draft {
            source: text,
            format: Format::Yaml,
        }],
        policies: None,
        namespace: None,
        trace: true,
    };
    let simulated = service.simulate(over.call(), simulation).await;
    let deployed = service
        .deploy_bundle(over.call(), Arc::from(bundle(&[])), None)
        .await;
    let long = format!("{{\"context\":{{\"x\":\"{}\"}}}}", "x".repeat(LONG));
    let decided = service.evaluate(&over, Whole(long.into())).await;
    for code in [
        write.unwrap_err().code,
        check.unwrap_err().code,
        simulated.unwrap_err().code,
        deployed.unwrap_err().code,
        decided.unwrap_err().code,
    ] {
        assert_eq!(code, Code::DeadlineExceeded);
    }
}

/// A batch is as many requests as it has contexts.
#[tokio::test(flavor = "multi_thread")]
async fn contexts_count_in_the_rate_limit() {
    let server = Running::start(&[
        ("RATE_LIMIT_ROUTES", "evaluate=1,policies=1"),
        ("RATE_LIMIT_BURST", "1000"),
        ("MAX_BATCH", "2000"),
    ])
    .await;
    let made = send("POST", "/api/v1/policies").yaml(&policy("p", "team", "a", "active"));
    assert_eq!(made.to(&server).await.status, 201);
    for path in ["/api/v1/evaluate/batch", "/api/v1/simulate"] {
        let batch =
            |contexts: usize| send("POST", path).json(&json!({"contexts": vec![json!({}); contexts]}));
        let first = batch(800).to(&server).await;
        assert_eq!(first.status, 200, "{}", first.json());
        let second = batch(800).to(&server).await;
        assert_eq!(
            (second.status, second.json()["code"].as_str()),
            (429, Some("rate_limited")),
            "{path}"
        );
        // One context more comes every second, so 600 are missing, less what this machine took.
        let wait: u32 = second.header("retry-after").parse().unwrap();
        assert!((1..=601).contains(&wait), "{wait}");
        let never = batch(1002).to(&server).await;
        assert_eq!(
            (never.status, never.json()["code"].as_str()),
            (413, Some("too_large")),
            "{path}"
        );
        // What was refused took nothing but its own place.
        assert_eq!(batch(100).to(&server).await.status, 200);
    }
}

/// Results are bounded together, however many there are and however much each explains.
#[tokio::test(flavor = "multi_thread")]
async fn results_are_bounded() {
    let server = Running::start(&[("MAX_RESULTS", "64KB")]).await;
    let made = send("POST", "/api/v1/policies").yaml(&policy("p", "team", "a", "active"));
    assert_eq!(made.to(&server).await.status, 201);
    for path in ["/api/v1/evaluate/batch", "/api/v1/simulate"] {
        let batch = |contexts: usize| {
            send("POST", path).json(&json!({"contexts": vec![json!({}); contexts], "trace": true}))
        };
        assert_eq!(batch(10).to(&server).await.status, 200);
        let large = batch(1000).to(&server).await;
        assert_eq!(
            (large.status, large.json()["code"].as_str()),
            (413, Some("too_large")),
            "{path}"
        );
    }
}

/// A namespace holds no more than it may.
#[tokio::test(flavor = "multi_thread")]
async fn quotas_hold_for_each_namespace() {
    let quota = |answer: &Answer| {
        assert_eq!(
            (answer.status, answer.json()["code"].as_str()),
            (403, Some("quota_exceeded"))
        );
    };
    let create = |text: &str| send("POST", "/api/v1/policies").yaml(text);
    let server = Running::start(&[("QUOTA_POLICIES", "2"), ("QUOTA_RULES", "1")]).await;
    assert_eq!(
        create(&policy("a", "team", "a", "active"))
            .to(&server)
            .await
            .status,
        201
    );
    // Drafts are policies, and their rules do not decide.
    quota(&create(&policy("b", "team", "b", "active")).to(&server).await);
    assert_eq!(
        create(&policy("b", "team", "b", "draft"))
            .to(&server)
            .await
            .status,
        201
    );
    quota(&create(&policy("c", "team", "c", "draft")).to(&server).await);
    let activate = send("PATCH", "/api/v1/policies/b/status").json(&json!({"status": "active"}));
    quota(&activate.clone().to(&server).await);
    assert_eq!(
        create(&policy("d", "other", "d", "active"))
            .to(&server)
            .await
            .status,
        201
    );
    let retire = send("PATCH", "/api/v1/policies/a/status").json(&json!({"status": "draft"}));
    assert_eq!(retire.to(&server).await.status, 200);
    assert_eq!(activate.to(&server).await.status, 200);
    assert_eq!(decision(&server, "b").await, "deny");

    let text = policy("a", "team", "a", "draft");
    let bytes = text.len();
    let (most, kept) = (bytes.to_string(), (2 * bytes).to_string());
    let server = Running::start(&[("QUOTA_BYTES", &most), ("QUOTA_HISTORY", &kept)]).await;
    assert_eq!(create(&text).to(&server).await.status, 201);
    let put = |text: &str| send("PUT", "/api/v1/policies/a").yaml(text);
    quota(&put(&format!("{text}#")).to(&server).await);
    assert_eq!(put(&text).to(&server).await.status, 200);
    quota(&put(&text).to(&server).await);
    // What is full can be emptied.
    assert_eq!(send("DELETE", "/api/v1/policies/a").to(&server).await.status, 204);
}

/// No namespace fills the ceilings that all of them have together, so that nobody's write fails for what others hold.
#[tokio::test(flavor = "multi_thread")]
async fn a_namespace_takes_a_share_of_what_the_compiler_takes() {
    let values = |n: usize| -> String {
        let values: Vec<String> = (0..n).map(|i| i.to_string()).collect();
        format!(
            "{{operator: in, field: metadata.n, value: [{}]}}",
            values.join(",")
        )
    };
    let patterns = |n: usize| -> String {
        let one = |i| format!("{{operator: matches, field: llm.model, value: '{i}[a-z]{{900}}'}}");
        let all: Vec<String> = (0..n).map(one).collect();
        format!("{{operator: or, conditions: [{}]}}", all.join(","))
    };
    let text = |namespace: &str, status: &str, condition: &str| {
        format!(
            "metadata: {{id: p, name: P, namespace: {namespace}}}\nstatus: {status}\nrules:\n- id: r\n  condition: {condition}\n  \
             action: {{decision: deny}}\n"
        )
    };
    let create = |text: &str| send("POST", "/api/v1/policies").yaml(text);
    let server = Running::start(&[("QUOTA_SHARE", "1"), ("REQUEST_TIMEOUT", "5m")]).await;
    let refused = |answer: &Answer, what: &str| {
        let problem = answer.json();
        assert_eq!((answer.status, &problem["code"]), (403, &json!("quota_exceeded")));
        let detail = problem["detail"].as_str().unwrap();
        assert!(detail.contains(what), "{detail}");
    };
    // One percent of 8,000,000 values, the list being one of them, and of 512 MiB for patterns.
    let many = create(&text("team", "active", &values(80_000))).to(&server).await;
    refused(
        &many,
        "`team` that decide would take 80001 values, and may take 80000",
    );
    let large = create(&text("team", "active", &patterns(50))).to(&server).await;
    refused(&large, "bytes of compiled patterns, and may take 5368709");
    // Others are as free as before, and so are the operators.
    for (namespace, condition) in [("other", values(79_000)), ("global", values(80_000))] {
        let answer = create(&text(namespace, "active", &condition)).to(&server).await;
        assert_eq!(answer.status, 201, "{namespace}");
    }
    // Drafts count when they decide.
    let draft = create(&text("team", "draft", &values(80_000))).to(&server).await;
    assert_eq!(draft.status, 201);
    let activate =
        send("PATCH", "/api/v1/policies/p/status?namespace=team").json(&json!({"status": "active"}));
    refused(&activate.to(&server).await, "80001 values");
}

/// What a document of a request may hold is less than what goes on loading.
#[tokio::test(flavor = "multi_thread")]
async fn documents_are_held_to_stricter_limits_than_what_is_stored() {
    let server = Running::start(&[]).await;
    let text = |id: &str, pattern: usize, rule: usize, placeholders: usize| {
        format!(
            "metadata: {{id: {id}, name: P}}\nrules:\n- id: {}\n  condition: {{operator: matches, field: llm.model, value: '{}'}}\n  \
             action: {{decision: deny, reason: '{}'}}\n",
            "r".repeat(rule),
            "a".repeat(pattern),
            "{{ user.id }}".repeat(placeholders)
        )
    };
    let create = |text: &str| send("POST", "/api/v1/policies").yaml(text);
    let within = create(&text("p", 4096, 255, 20_000)).to(&server).await;
    assert_eq!(within.status, 201, "{}", within.json());
    for (beyond, code) in [
        (text("q", 4097, 255, 0), "E0406"),
        (text("q", 1, 256, 0), "E0409"),
        (text("q", 1, 1, 20_001), "E0408"),
    ] {
        let answer = create(&beyond).to(&server).await;
        assert_eq!(answer.status, 422);
        assert_eq!(answer.json()["diagnostics"][0]["code"], code);
    }
    // What a version without these limits stored decides.
    let long = text("before", 9000, 1, 0).replace("operator: matches", "operator: not_matches");
    let store = &server.app.service.store;
    let version = PolicyVersion {
        id: "before".to_owned(),
        version: 0,
        namespace: "default".to_owned(),
        name: "P".to_owned(),
        document_version: String::new(),
        status: PolicyStatus::Active,
        digest: document::digest(&long),
        source: long.into(),
        format: "yaml".to_owned(),
        author: "somebody".to_owned(),
        created_ms: 0,
        rejection: None,
    };
    let write = PolicyWrite {
        key: version.key(),
        expected: Expected::Nothing,
        base: store.revision().await.unwrap(),
        version: Some(version),
        activate: Activate::Latest,
        approved_by: None,
        quota: server.app.service.limits.quota,
    };
    let audit = NewAudit {
        at_ms: 0,
        actor: "somebody".to_owned(),
        action: "policy.create".to_owned(),
        target: "before".to_owned(),
        namespace: "default".to_owned(),
        request_id: "1".to_owned(),
        detail: "{}".to_owned(),
    };
    store.write_policy(&write, &audit).await.unwrap();
    server.app.service.active.follow(&**store).await.unwrap();
    assert_eq!(decision(&server, "b").await, "deny");
    assert_eq!(
        create(&policy("new", "default", "c", "active"))
            .to(&server)
            .await
            .status,
        201
    );
}

/// However often somebody uses a request id: every decision is there, in its time, in pages.
#[tokio::test(flavor = "multi_thread")]
async fn many_decisions_on_one_request_id() {
    let server = Running::start(&[]).await;
    let made = send("POST", "/api/v1/policies").yaml(&policy("p", "team", "a", "active"));
    assert_eq!(made.to(&server).await.status, 201);
    let begin = policy_server::clock::now_ms();
    let ask = json!({
        "requestId": "same",
        "context": {"llm": {"model": "a"}, "request": {"id": "x", "timestamp": "2999-01-01T00:00:00Z"}},
    });
    for _ in 0..50 {
        assert_eq!(
            send("POST", "/api/v1/evaluate")
                .json(&ask)
                .to(&server)
                .await
                .status,
            200
        );
    }
    let end = policy_server::clock::now_ms();
    while server.app.service.log.pending() > 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let mut seen = Vec::new();
    let mut path = "/api/v1/decisions/same?limit=20".to_owned();
    let mut pages = 0;
    loop {
        let page = send("GET", &path).to(&server).await.json();
        for decision in page["items"].as_array().unwrap() {
            let at: jiff::Timestamp = decision["timestamp"].as_str().unwrap().parse().unwrap();
            assert!((begin..=end).contains(&at.as_millisecond()), "{decision}");
            seen.push(decision["id"].as_str().unwrap().to_owned());
        }
        pages += 1;
        match page["next"].as_str() {
            Some(next) => path = format!("/api/v1/decisions/same?limit=20&cursor={next}"),
            None => break,
        }
    }
    assert_eq!((pages, seen.len()), (3, 50));
    seen.dedup();
    assert_eq!(seen.len(), 50);
    assert!(seen.is_sorted_by(|a, b| a > b), "newest first");
}
