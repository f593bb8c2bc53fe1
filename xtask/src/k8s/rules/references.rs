//! Rules about what objects name: pods by labels, ports, other objects, keys.

use super::Facts;
use crate::k8s::finding::Findings;
use crate::k8s::objects::{Object, Set, at, list, text};
use crate::k8s::pod::{self, Volume, Workload};
use policy_server::config::table::SETTINGS;
use serde_json::Value;

/// Workloads of a namespace whose pods have these labels.
fn selected<'s>(set: &'s Set, namespace: &str, match_labels: &Value) -> Vec<Workload<'s>> {
    Workload::all(set)
        .filter(|w| w.object.namespace() == namespace && w.matches(match_labels))
        .collect()
}

/// Rule `selector`.
pub(super) fn selector(set: &Set, _: &Facts, findings: &mut Findings) {
    for object in &set.objects {
        let pointer = match object.kind() {
            "Service" => "/spec/selector",
            "PodDisruptionBudget" | "PodMonitor" | "Deployment" | "StatefulSet" => {
                "/spec/selector/matchLabels"
            }
            _ => continue,
        };
        if pod::WORKLOADS.contains(&object.kind()) {
            if !(Workload { object }).matches(object.at(pointer)) {
                findings.at(
                    object,
                    format!(
                        "its selector {} does not match the labels of its own pods",
                        object.at(pointer)
                    ),
                    "give `spec.selector.matchLabels` and `spec.template.metadata.labels` the same labels",
                );
            }
        } else if selected(set, object.namespace(), object.at(pointer)).is_empty() {
            findings.at(
                object,
                format!(
                    "its selector {} matches no pod of these manifests",
                    object.at(pointer)
                ),
                "select by the labels of `spec.template.metadata.labels`",
            );
        }
        if object.kind() != "Service" && !object.at("/spec/selector/matchExpressions").is_null() {
            findings.at(
                object,
                "`matchExpressions` are not read here",
                "select by `matchLabels`",
            );
        }
    }
    for workload in Workload::all(set) {
        for constraint in list(workload.pod(), "/topologySpreadConstraints") {
            if !workload.matches(at(constraint, "/labelSelector/matchLabels")) {
                findings.at(
                    workload.object,
                    "a topologySpreadConstraint counts other pods than its own",
                    "give its labelSelector the labels of the pods",
                );
            }
        }
    }
}

/// Rule `port`.
pub(super) fn port(set: &Set, _: &Facts, findings: &mut Findings) {
    let no_port = |port: &Value| format!("no container has the port {port}");
    let help = "name a port of `spec.template.spec.containers[].ports`";
    for service in set.of("Service") {
        for workload in selected(set, service.namespace(), service.at("/spec/selector")) {
            for port in list(&service.value, "/spec/ports") {
                let target = port.get("targetPort").unwrap_or_else(|| at(port, "/port"));
                if !workload.has_port(target) {
                    findings.at(service, no_port(target), help);
                    continue;
                }
                let name = text(port, "/name");
                let number = target
                    .as_str()
                    .map_or(target.as_u64(), |name| workload.port(name));
                if workload.port(name).is_some_and(|own| Some(own) != number) {
                    findings.at(
                        service,
                        format!("its port `{name}` leads to {target}, and the container has a port `{name}`"),
                        "lead to the port of that name, or name it otherwise",
                    );
                }
            }
        }
    }
    for workload in Workload::all(set) {
        for container in workload.containers() {
            for (probe, port) in probe_ports(container) {
                if !workload.has_port(port) {
                    findings.at(workload.object, format!("{probe}: {}", no_port(port)), help);
                }
            }
        }
    }
    for policy in set.of("NetworkPolicy") {
        for workload in policed(set, policy) {
            for port in list(&policy.value, "/spec/ingress")
                .iter()
                .flat_map(|rule| list(rule, "/ports"))
            {
                if !workload.has_port(at(port, "/port")) {
                    findings.at(policy, no_port(at(port, "/port")), help);
                }
            }
        }
    }
    for monitor in set.of("PodMonitor") {
        for workload in selected(set, monitor.namespace(), monitor.at("/spec/selector/matchLabels")) {
            for endpoint in list(&monitor.value, "/spec/podMetricsEndpoints") {
                if !workload.has_port(at(endpoint, "/port")) {
                    findings.at(monitor, no_port(at(endpoint, "/port")), help);
                }
            }
        }
    }
    for object in &set.objects {
        for (service, port) in backends(object) {
            // A Service that is missing is found by `reference`.
            let Some(found) = set.find("Service", object.namespace(), service) else {
                continue;
            };
            let known = list(&found.value, "/spec/ports")
                .iter()
                .any(|p| port == at(p, "/port") || (port.is_string() && port == at(p, "/name")));
            if !known {
                findings.at(
                    object,
                    format!("the Service {service} has no port {port}"),
                    "name a port of the Service",
                );
            }
        }
    }
}

/// Ports of the probes of a container.
fn probe_ports(container: &Value) -> impl Iterator<Item = (&'static str, &Value)> {
    ["startupProbe", "livenessProbe", "readinessProbe"]
        .into_iter()
        .filter_map(|probe| {
            let probed = container.get(probe)?;
            ["/httpGet/port", "/tcpSocket/port", "/grpc/port"]
                .into_iter()
                .find_map(|pointer| probed.pointer(pointer))
                .map(|port| (probe, port))
        })
}

/// Workloads that a NetworkPolicy is for.
pub(super) fn policed<'s>(set: &'s Set, policy: &Object) -> Vec<Workload<'s>> {
    let labels = policy.at("/spec/podSelector/matchLabels");
    let all = policy
        .at("/spec/podSelector")
        .as_object()
        .is_some_and(serde_json::Map::is_empty);
    Workload::all(set)
        .filter(|w| w.object.namespace() == policy.namespace() && (all || w.matches(labels)))
        .collect()
}

/// Services that an object leads to, with their ports.
pub(super) fn backends(object: &Object) -> Vec<(&str, &Value)> {
    match object.kind() {
        "Ingress" => {
            let paths = list(&object.value, "/spec/rules")
                .iter()
                .flat_map(|rule| list(rule, "/http/paths"))
                .map(|path| at(path, "/backend"));
            paths
                .chain(object.value.pointer("/spec/defaultBackend"))
                .map(|backend| {
                    let port = at(backend, "/service/port");
                    let port = port.get("name").unwrap_or_else(|| at(port, "/number"));
                    (text(backend, "/service/name"), port)
                })
                .collect()
        }
        "HTTPRoute" | "GRPCRoute" => list(&object.value, "/spec/rules")
            .iter()
            .flat_map(|rule| list(rule, "/backendRefs"))
            .map(|backend| (text(backend, "/name"), at(backend, "/port")))
            .collect(),
        _ => Vec::new(),
    }
}

/// Rule `reference`.
pub(super) fn reference(set: &Set, _: &Facts, findings: &mut Findings) {
    let mut missing = |object: &Object, kind: &str, name: &str| {
        if set.find(kind, object.namespace(), name).is_none() {
            findings.at(
                object,
                format!("names the {kind} `{name}`, which is not in these manifests"),
                format!("name a {kind} that is, or add it"),
            );
        }
    };
    for object in &set.objects {
        for (service, _) in backends(object) {
            missing(object, "Service", service);
        }
        for parent in list(&object.value, "/spec/parentRefs") {
            missing(object, "Gateway", text(parent, "/name"));
        }
    }
    for workload in Workload::all(set) {
        let object = workload.object;
        missing(
            object,
            "ServiceAccount",
            text(workload.pod(), "/serviceAccountName"),
        );
        if object.kind() == "StatefulSet" {
            missing(object, "Service", object.text("/spec/serviceName"));
        }
        for container in workload.containers() {
            for source in list(container, "/envFrom") {
                if let Some(map) = source.get("configMapRef") {
                    missing(object, "ConfigMap", text(map, "/name"));
                }
            }
            for variable in list(container, "/env") {
                if let Some(key) = variable.pointer("/valueFrom/configMapKeyRef") {
                    missing(object, "ConfigMap", text(key, "/name"));
                }
            }
        }
        for volume in list(workload.pod(), "/volumes") {
            if let Some(map) = volume.get("configMap") {
                missing(object, "ConfigMap", text(map, "/name"));
            }
            if let Some(claim) = volume.get("persistentVolumeClaim") {
                missing(object, "PersistentVolumeClaim", text(claim, "/claimName"));
            }
        }
    }
    for workload in Workload::all(set) {
        for container in workload.containers() {
            for mount in list(container, "/volumeMounts") {
                let name = text(mount, "/name");
                if workload.volume(name).is_none() {
                    findings.at(
                        workload.object,
                        format!("mounts the volume `{name}`, which the pod does not have"),
                        "add it to `volumes`",
                    );
                }
            }
            for key in list(container, "/env")
                .iter()
                .filter_map(|variable| variable.pointer("/valueFrom/configMapKeyRef"))
            {
                let map = set.find("ConfigMap", workload.object.namespace(), text(key, "/name"));
                if map.is_some_and(|map| map.at("/data").get(text(key, "/key")).is_none()) {
                    findings.at(
                        workload.object,
                        format!(
                            "the ConfigMap {} has no key `{}`",
                            text(key, "/name"),
                            text(key, "/key")
                        ),
                        "name a key that it has",
                    );
                }
            }
        }
    }
}

/// Keys of a Secret: of one in the manifests, or of one that is known to exist.
fn keys<'s>(set: &'s Set, facts: &'s Facts, namespace: &str, name: &str) -> Option<Vec<&'s str>> {
    let sealed = set
        .find("SealedSecret", namespace, name)
        .map(|secret| secret.at("/spec/encryptedData"));
    let keys = |map: &'s Value| {
        map.as_object()
            .map(|map| map.keys().map(String::as_str).collect())
    };
    match sealed {
        Some(data) => keys(data),
        None => facts
            .secrets
            .get(name)
            .map(|keys| keys.iter().map(String::as_str).collect()),
    }
}

/// The Secrets of a volume, with their names.
fn secrets_of(volume: &Value) -> Vec<(&str, &Value)> {
    let own = volume
        .get("secret")
        .map(|secret| (text(secret, "/secretName"), secret));
    let projected = list(volume, "/projected/sources")
        .iter()
        .filter_map(|source| source.get("secret"))
        .map(|secret| (text(secret, "/name"), secret));
    own.into_iter().chain(projected).collect()
}

/// Rule `secret-key`.
pub(super) fn secret_key(set: &Set, facts: &Facts, findings: &mut Findings) {
    for workload in Workload::all(set) {
        let object = workload.object;
        let mut named: Vec<(&str, Option<&str>)> = Vec::new();
        for volume in list(workload.pod(), "/volumes") {
            for (name, secret) in secrets_of(volume) {
                named.push((name, None));
                for item in list(secret, "/items") {
                    named.push((name, Some(text(item, "/key"))));
                }
            }
        }
        for container in workload.containers() {
            for variable in list(container, "/env") {
                if let Some(key) = variable.pointer("/valueFrom/secretKeyRef") {
                    named.push((text(key, "/name"), Some(text(key, "/key"))));
                }
            }
            for mount in list(container, "/volumeMounts") {
                let secret = matches!(
                    workload.volume(text(mount, "/name")),
                    Some(Volume::OfPod(volume)) if !secrets_of(volume).is_empty()
                );
                if secret && (mount.get("subPath").is_some() || mount.get("subPathExpr").is_some()) {
                    findings.at(
                        object,
                        format!(
                            "mounts `{}` by `subPath`: a changed Secret never arrives",
                            text(mount, "/name")
                        ),
                        "mount the folder",
                    );
                }
            }
        }
        for pull in list(workload.pod(), "/imagePullSecrets") {
            named.push((text(pull, "/name"), None));
        }
        for (name, key) in named {
            match (keys(set, facts, object.namespace(), name), key) {
                (None, _) => findings.at(
                    object,
                    format!("names the Secret `{name}`, which nothing makes"),
                    "name one of those in k8s/sealed-secrets, or tell of yours with --secret NAME:KEY,…",
                ),
                (Some(keys), Some(key)) if !keys.contains(&key) => findings.at(
                    object,
                    format!("the Secret `{name}` has no key `{key}`"),
                    format!("its keys are {}", keys.join(", ")),
                ),
                (Some(_), _) => {}
            }
        }
        files(workload, set, facts, findings);
    }
}

/// Settings that name files: each in something that is mounted, and those of secrets in a Secret that has it.
fn files(workload: Workload<'_>, set: &Set, facts: &Facts, findings: &mut Findings) {
    let environment = workload.environment(set);
    for (name, path) in &environment.variables {
        let of_secret = pod::from_file(name).is_some();
        let value = SETTINGS.iter().find(|s| s.name == name).map_or("", |s| s.value);
        // DATA_DIR has a rule of its own.
        let names = of_secret || value.starts_with("FILE") || (value == "DIR" && name != "DATA_DIR");
        let Some(paths) = path.as_deref().filter(|path| names && !path.contains("://")) else {
            continue;
        };
        let paths: Vec<&str> = match value {
            "FILE,…" => paths.split(',').map(str::trim).collect(),
            _ => vec![paths],
        };
        for path in paths {
            file(workload, set, facts, name, path, value == "DIR", findings);
        }
    }
}

/// One file or folder that a setting names.
fn file(
    workload: Workload<'_>,
    set: &Set,
    facts: &Facts,
    name: &str,
    path: &str,
    is_folder: bool,
    findings: &mut Findings,
) {
    let Some(mount) = workload.mount(path) else {
        findings.at(
            workload.object,
            format!("{name} is {path}, where nothing is mounted"),
            "mount the volume that holds the file",
        );
        return;
    };
    let volume = match workload.volume(text(mount, "/name")) {
        Some(Volume::OfPod(volume)) => volume,
        Some(Volume::Claimed(_)) | None => &Value::Null,
    };
    let Some(secret) = volume.get("secret") else {
        if pod::from_file(name).is_some() {
            findings.at(
                workload.object,
                format!("{name} is {path}, which is not in a Secret"),
                "mount the Secret there",
            );
        }
        return;
    };
    let secret_name = text(secret, "/secretName");
    let inside = path
        .strip_prefix(text(mount, "/mountPath").trim_end_matches('/'))
        .unwrap_or_default()
        .trim_start_matches('/');
    let given: Vec<&str> = match secret.get("items") {
        Some(_) => list(secret, "/items")
            .iter()
            .map(|item| text(item, "/path"))
            .collect(),
        None => keys(set, facts, workload.object.namespace(), secret_name).unwrap_or_default(),
    };
    if !is_folder && !given.contains(&inside) {
        findings.at(
            workload.object,
            format!("{name} is {path}, and the Secret `{secret_name}` puts no `{inside}` there"),
            format!("its files there are {}", given.join(", ")),
        );
    }
}
