//! Edge servers: `policyd` that follows a central one, reports to it what it runs, and decides while that is away.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

#[path = "support/process.rs"]
mod process;
#[path = "support/server.rs"]
mod server;

use policy_compiler::{Compiler, Options};
use process::{Policyd, until};
use serde_json::{Value, json};
use server::Running;
use std::net::SocketAddr;

/// A bundle whose policy denies above a weight.
fn bundle(most: u32) -> Vec<u8> {
    let policy = json!({
        "metadata": {"id": "limit", "name": "Limit"},
        "rules": [{
            "id": "weight",
            "condition": {"operator": "gt", "field": "metadata.weight", "value": most},
            "action": {"decision": "deny", "reason": "too heavy"},
        }],
    });
    let mut compiler = Compiler::new(Options::default());
    compiler.set("limit.json", policy.to_string());
    compiler.build().unwrap().to_bundle().unwrap()
}

/// Speaks to a server with a key.
#[derive(Clone)]
struct Caller {
    agent: ureq::Agent,
    base: String,
    key: String,
}

impl Caller {
    fn new(address: SocketAddr, key: &str) -> Self {
        let config = ureq::Agent::config_builder().http_status_as_error(false).build();
        Self {
            agent: config.into(),
            base: format!("http://{address}"),
            key: key.to_owned(),
        }
    }

    fn send(&self, method: &str, path: &str, kind: &str, body: Vec<u8>) -> (u16, Value) {
        let request = ureq::http::Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.base))
            .header("content-type", kind)
            .header("x-api-key", &self.key);
        let mut response = if body.is_empty() {
            self.agent.run(request.body(()).unwrap()).unwrap()
        } else {
            self.agent.run(request.body(body).unwrap()).unwrap()
        };
        let text = response.body_mut().read_to_string().unwrap();
        (
            response.status().as_u16(),
            serde_json::from_str(&text).unwrap_or_default(),
        )
    }

    fn get(&self, path: &str) -> (u16, Value) {
        self.send("GET", path, "application/json", Vec::new())
    }

    fn report(&self, id: &str, report: &Value) -> (u16, Value) {
        let body = report.to_string().into_bytes();
        self.send(
            "POST",
            &format!("/api/v1/edges/{id}/status"),
            "application/json",
            body,
        )
    }

    /// Deploys a bundle; its digest.
    fn deploy(&self, bundle: &[u8]) -> String {
        let (status, body) = self.send(
            "PUT",
            "/api/v1/bundle",
            "application/octet-stream",
            bundle.to_vec(),
        );
        assert_eq!(status, 200, "{body}");
        body["digest"].as_str().unwrap().to_owned()
    }
}

fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> tokio::task::JoinHandle<T> {
    tokio::task::spawn_blocking(work)
}

fn weight(weight: u32) -> Value {
    json!({"metadata": {"weight": weight}})
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edge_follows_reports_and_survives_without_the_central_server() {
    let data = tempfile::tempdir().unwrap();
    let database = format!("sqlite:{}", data.path().join("central.db").display());
    let edge_data = data.path().join("edge").to_str().unwrap().to_owned();
    let settings = [("API_KEYS_ENABLED", "true"), ("DATABASE_URL", database.as_str())];
    let central = Running::start(&settings).await;
    let address = central.addresses.http;
    let (admin, edge_key) = (
        central.key("admin", &["admin"]).await,
        central.key("edge", &["edge"]).await,
    );
    let caller = Caller::new(address, &admin);
    let (base, own) = (format!("http://{address}"), caller.clone());
    let edge = blocking(move || {
        let digest = own.deploy(&bundle(10));
        let source = format!("{base}/api/v1/bundle");
        let start = move || {
            let settings = [
                ("BUNDLE", source.as_str()),
                ("BUNDLE_POLL", "100ms"),
                ("BUNDLE_TOKEN", edge_key.as_str()),
                ("STATUS_URL", base.as_str()),
                ("STATUS_TOKEN", edge_key.as_str()),
                ("STATUS_INTERVAL", "200ms"),
                ("EDGE_ID", "edge-1.eu"),
                ("DATA_DIR", edge_data.as_str()),
            ];
            Policyd::start(&settings)
        };
        let edge = start();
        until("the edge decides", || edge.client.is("ready"));
        assert_eq!(edge.client.decide(&weight(11)), "deny");
        let listed = || {
            let (status, list) = own.get("/api/v1/edges");
            assert_eq!(status, 200);
            list["items"].as_array().unwrap().clone()
        };
        until("the edge reports", || listed().len() == 1);
        let one = listed().remove(0);
        assert_eq!(one["id"], "edge-1.eu");
        assert_eq!(one["digest"], *digest);
        assert_eq!(one["current"], true);
        assert!(one["reportedBy"].as_str().unwrap().starts_with("edge (key "));
        assert_eq!(
            (&one["errors"], &one["version"]),
            (&json!([]), &json!(env!("CARGO_PKG_VERSION")))
        );
        assert!(one["since"].as_str().unwrap() <= one["firstSeen"].as_str().unwrap());

        // Another bundle: the edge follows, and says so.
        let digest = own.deploy(&bundle(20));
        until("the edge follows", || edge.client.decide(&weight(11)) == "allow");
        until("and reports", || {
            listed()[0]["digest"] == *digest && listed()[0]["current"] == true
        });
        (edge, start, digest)
    })
    .await
    .unwrap();
    let (edge, start, digest) = edge;
    // Most of the time it is told that it has the bundle.
    let scrape = central.app.scrape();
    let count = |status: &str| {
        let series = format!(
            "llm_policy_requests_total{{transport=\"rest\",route=\"/api/v1/bundle\",status=\"{status}\"}} "
        );
        scrape
            .lines()
            .find_map(|line| line.strip_prefix(&series)?.parse::<f64>().ok())
    };
    assert!(count("304") > Some(0.0), "{scrape}");
    central.stopped().await;

    // The central server is away: the edge decides as before, also after a restart.
    let edge = blocking(move || {
        until("it is missed", || {
            let reasons = edge.admin.ready()["reasons"].to_string();
            reasons.contains("bundle: ") && reasons.contains("status reports: cannot connect")
        });
        assert!(edge.client.is("degraded"));
        let decides = |edge: &Policyd| (edge.client.decide(&weight(21)), edge.client.decide(&weight(11)));
        let expected = ("deny".to_owned(), "allow".to_owned());
        assert_eq!(decides(&edge), expected);
        edge.kill();
        let edge = start();
        until("the last good bundle decides", || edge.client.is("degraded"));
        assert_eq!(decides(&edge), expected);
        edge
    })
    .await
    .unwrap();

    // It comes back, and hears of the edge again, whatever it forgot.
    let port = address.port().to_string();
    let central = Running::start(&[settings[0], settings[1], ("PORT", &port)]).await;
    blocking(move || {
        until("it is known again", || {
            let (_, list) = caller.get("/api/v1/edges");
            list["items"][0]["digest"] == *digest && list["items"][0]["errors"] == json!([])
        });
        until("all is well", || edge.client.is("ready"));
    })
    .await
    .unwrap();
    central.stopped().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn reports_need_their_scope_and_are_bounded() {
    let server = Running::start(&[("API_KEYS_ENABLED", "true")]).await;
    let mut keys = Vec::new();
    for role in ["admin", "edge", "policy.viewer", "evaluator"] {
        keys.push(Caller::new(
            server.addresses.http,
            &server.key(role, &[role]).await,
        ));
    }
    blocking(move || {
        let [admin, edge, viewer, evaluator] = keys.as_slice() else {
            panic!("four keys");
        };
        let report =
            json!({"edgeId": "e1", "revision": "7", "digest": null, "errors": ["disk is full"], "later": 1});
        for (caller, taken) in [(admin, true), (edge, true), (viewer, false), (evaluator, false)] {
            let (status, body) = caller.report("e1", &report);
            assert_eq!(status, if taken { 204 } else { 403 }, "{body}");
        }
        for (caller, status) in [(admin, 200), (edge, 200), (viewer, 200), (evaluator, 403)] {
            assert_eq!(caller.get("/api/v1/edges").0, status);
        }
        let (_, list) = viewer.get("/api/v1/edges");
        assert_eq!(list["items"][0]["errors"], json!(["disk is full"]));
        assert_eq!(list["items"][0]["current"], Value::Null, "no bundle decides here");

        let long = "x".repeat(513);
        for (id, report) in [
            ("e1", json!({"edgeId": "e2"})),
            ("e%20f", json!({})),
            ("e1", json!({"revision": long})),
            ("e1", json!({"errors": vec!["x"; 17]})),
            ("e1", json!({"errors": [long]})),
            ("e1", json!({"since": "yesterday"})),
            ("e1", json!({"revision": 7})),
        ] {
            let (status, body) = edge.report(id, &report);
            assert_eq!(
                (status, &body["code"]),
                (400, &json!("malformed_request")),
                "{id} {report}"
            );
        }
        for n in 0..5 {
            assert_eq!(edge.report(&format!("p{n}"), &json!({})).0, 204);
        }
        let (_, page) = viewer.get("/api/v1/edges?limit=4");
        assert_eq!(page["next"], "p2");
        let (_, page) = viewer.get("/api/v1/edges?limit=4&cursor=p2");
        let ids: Vec<&Value> = page["items"]
            .as_array()
            .unwrap()
            .iter()
            .map(|edge| &edge["id"])
            .collect();
        assert_eq!((ids, page.get("next")), (vec![&json!("p3"), &json!("p4")], None));

        // Bundles span namespaces, and so does what runs where.
        let bound = json!({"name": "bound", "roles": ["edge"], "namespaces": ["a"]}).to_string();
        let (status, made) = admin.send("POST", "/api/v1/keys", "application/json", bound.into_bytes());
        assert_eq!(status, 201, "{made}");
        let bound = Caller {
            key: made["key"].as_str().unwrap().to_owned(),
            ..edge.clone()
        };
        assert_eq!(bound.get("/api/v1/edges").0, 403);
        assert_eq!(bound.report("e1", &json!({})).0, 403);
    })
    .await
    .unwrap();
    server.stopped().await;
}
