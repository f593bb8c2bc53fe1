//! What the manifests of Kubernetes promise of `policyd`: that it answers their probes as they need it.
//!
//! Everything else about the manifests is checked by `cargo xtask k8s`.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

#[path = "support/process.rs"]
mod process;

use process::{Policyd, until};
use serde::Deserialize as _;
use serde_json::Value;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::Path;

const POLICY: &str = "metadata: {id: p, name: P}\nrules:\n- id: r\n  condition: {operator: eq, field: llm.model, value: bad}\n  \
                      action: {decision: deny}\n";

/// What the Deployment has at this place of its container.
fn container(pointer: &str) -> Value {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../k8s/30-deployment.yaml");
    let text = std::fs::read_to_string(file).unwrap();
    let deployment = serde_yaml::Deserializer::from_str(&text)
        .map(|document| Value::deserialize(document).unwrap())
        .find(|object| object["kind"] == "Deployment")
        .unwrap();
    let container = &deployment["spec"]["template"]["spec"]["containers"][0];
    container
        .pointer(pointer)
        .unwrap_or_else(|| panic!("no {pointer} in {container}"))
        .clone()
}

/// The status that a probe gets from the admin port. The kubelet names the address of the pod.
fn probe(policyd: &Policyd, name: &str) -> u16 {
    let path = container(&format!("/{name}/httpGet/path"));
    let to = SocketAddr::from((Ipv4Addr::LOCALHOST, policyd.admin_address.port()));
    let mut stream = TcpStream::connect(to).unwrap();
    write!(
        stream,
        "GET {} HTTP/1.1\r\nHost: 10.244.1.7:9090\r\nUser-Agent: kube-probe/1.36\r\nAccept: */*\r\nConnection: close\r\n\r\n",
        path.as_str().unwrap()
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer.split(' ').nth(1).unwrap().parse().unwrap()
}

#[test]
fn probes_of_the_deployment_are_answered() {
    let directory = tempfile::tempdir().unwrap();
    let secret = "k".repeat(64);
    let policyd = Policyd::launch(&[
        ("METRICS_HOST", "0.0.0.0"),
        ("JWT_SECRET", &secret),
        ("POLICIES", directory.path().to_str().unwrap()),
    ]);
    // Alive without a policy, and not ready.
    assert_eq!(probe(&policyd, "startupProbe"), 200);
    assert_eq!(probe(&policyd, "livenessProbe"), 200);
    assert_eq!(probe(&policyd, "readinessProbe"), 503);
    std::fs::write(directory.path().join("p.yaml"), POLICY).unwrap();
    until("it is ready", || probe(&policyd, "readinessProbe") == 200);
    assert_eq!(probe(&policyd, "livenessProbe"), 200);
}
