//! Rules about what `policyd` is told: by its own table, and read as it reads it.

use super::Facts;
use crate::k8s::finding::Findings;
use crate::k8s::objects::{Set, at, list, text};
use crate::k8s::pod::{self, Workload};
use policy_server::config::Raw;

/// Rule `setting-name`.
pub(super) fn name(set: &Set, _: &Facts, findings: &mut Findings) {
    for workload in Workload::all(set) {
        for name in workload.environment(set).variables.keys() {
            if !pod::is_setting(name) {
                // What the server says of it when it starts, as far as it guesses what is meant.
                let mut help = Raw::strangers(std::iter::once(name.clone()));
                help.push("see docs/configuration.md".to_owned());
                findings.at(
                    workload.object,
                    format!("{name} is no setting: policyd does not read it"),
                    help.join("; "),
                );
            }
        }
    }
}

/// Rule `setting-value`.
pub(super) fn value(set: &Set, _: &Facts, findings: &mut Findings) {
    for workload in Workload::all(set) {
        let environment = workload.environment(set);
        pod::untold(findings, workload, &environment);
        if let Err(problems) = environment.config() {
            for problem in problems {
                findings.at(
                    workload.object,
                    format!("policyd does not start: {problem}"),
                    "see docs/configuration.md",
                );
            }
        }
    }
}

/// Rule `listen`.
pub(super) fn listen(set: &Set, _: &Facts, findings: &mut Findings) {
    for (workload, _, config) in pod::configured(set) {
        for (name, address) in [("HOST", config.net.http), ("METRICS_HOST", config.net.admin)] {
            if address.ip().is_loopback() {
                findings.at(
                    workload.object,
                    format!(
                        "{name} is {}: nothing outside of the pod reaches it",
                        address.ip()
                    ),
                    "set it to 0.0.0.0, or to :: where the cluster has IPv6 only",
                );
            }
        }
        let ports = workload
            .policyd()
            .map_or(&[][..], |container| list(container, "/ports"));
        for (name, setting, address) in [
            ("http", "PORT", config.net.http),
            ("grpc", "GRPC_PORT", config.net.grpc),
            ("metrics", "METRICS_PORT", config.net.admin),
        ] {
            if address.port() == 0 {
                findings.at(
                    workload.object,
                    format!("{setting} is 0, any port: no Service and no probe finds it"),
                    "give it a number",
                );
                continue;
            }
            let port = ports.iter().find(|port| text(port, "/name") == name);
            if port.and_then(|port| at(port, "/containerPort").as_u64()) != Some(u64::from(address.port())) {
                findings.at(
                    workload.object,
                    format!(
                        "the container has no port `{name}` {}, where {setting} listens",
                        address.port()
                    ),
                    "give `containerPort` and the setting one number",
                );
            }
        }
    }
}
