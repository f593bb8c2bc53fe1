//! Rules about files and objects as such.

use super::Facts;
use crate::k8s::finding::Findings;
use crate::k8s::objects::{Object, Set, list, text};
use crate::k8s::pod::Workload;
use policy_server::config::table::SETTINGS;
use std::collections::BTreeSet;

/// Kinds that the rules know, with their API.
const KINDS: &[(&str, &str)] = &[
    ("Namespace", "v1"),
    ("ServiceAccount", "v1"),
    ("ConfigMap", "v1"),
    // Known in order to be refused.
    ("Secret", "v1"),
    ("PersistentVolumeClaim", "v1"),
    ("Service", "v1"),
    ("Deployment", "apps/v1"),
    ("StatefulSet", "apps/v1"),
    ("HorizontalPodAutoscaler", "autoscaling/v2"),
    ("PodDisruptionBudget", "policy/v1"),
    ("NetworkPolicy", "networking.k8s.io/v1"),
    ("Ingress", "networking.k8s.io/v1"),
    ("Gateway", "gateway.networking.k8s.io/v1"),
    ("HTTPRoute", "gateway.networking.k8s.io/v1"),
    ("GRPCRoute", "gateway.networking.k8s.io/v1"),
    ("PodMonitor", "monitoring.coreos.com/v1"),
    ("PrometheusRule", "monitoring.coreos.com/v1"),
    ("SealedSecret", "bitnami.com/v1alpha1"),
];

/// Rule `form`.
pub(super) fn form(set: &Set, _: &Facts, findings: &mut Findings) {
    for (file, problem) in &set.problems {
        findings.file(
            file,
            format!("cannot be read: {problem}"),
            "write YAML, each key once",
        );
    }
    let mut seen = BTreeSet::new();
    for object in &set.objects {
        match KINDS.iter().find(|(kind, _)| *kind == object.kind()) {
            Some((_, api)) if *api == object.text("/apiVersion") => {}
            Some((_, api)) => findings.at(
                object,
                format!("`apiVersion: {}` is not read here", object.text("/apiVersion")),
                format!("write `apiVersion: {api}`"),
            ),
            None if object.kind() == "Kustomization" || object.kind() == "Component" => findings.at(
                object,
                "`kubectl apply -f` takes a kustomization for an object, and finds no such kind",
                "keep it in a folder below, and apply what it renders",
            ),
            None => findings.at(
                object,
                "no rule knows this kind, so nothing of it is checked",
                "add the kind to xtask/src/k8s/rules/form.rs, with the rules that it needs",
            ),
        }
        if !seen.insert((object.kind(), object.namespace(), object.name())) {
            findings.at(object, "is there twice: the later one wins", "keep one");
        }
    }
}

/// Whether this is a DNS label (RFC 1123) of at most so many characters.
fn is_label(name: &str, most: usize) -> bool {
    let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    !name.is_empty()
        && name.len() <= most
        && name.chars().all(inner)
        && !name.starts_with('-')
        && !name.ends_with('-')
}

/// Whether this is a DNS subdomain: labels with dots between.
fn is_subdomain(name: &str) -> bool {
    name.len() <= 253 && name.split('.').all(|label| is_label(label, 253))
}

/// Rule `name`.
pub(super) fn name(set: &Set, _: &Facts, findings: &mut Findings) {
    let mut wrong = |object: &Object, what: &str, name: &str, rule: &str| {
        findings.at(
            object,
            format!("{what} `{name}` is not {rule}"),
            "use small letters, digits and `-`, with a letter or digit at both ends",
        );
    };
    for object in &set.objects {
        let (right, rule) = match object.kind() {
            // Part of host names; a Service begins with a letter as well.
            "Service" => (
                is_label(object.name(), 63) && object.name().starts_with(|c: char| c.is_ascii_lowercase()),
                "a DNS-1035 label",
            ),
            "Namespace" => (is_label(object.name(), 63), "a DNS-1123 label"),
            // Names of pods get a number behind it, and are host names.
            "StatefulSet" => (
                is_label(object.name(), 52),
                "a DNS-1123 label of at most 52 characters",
            ),
            _ => (is_subdomain(object.name()), "a DNS-1123 subdomain"),
        };
        if !right {
            wrong(object, "the name", object.name(), rule);
        }
    }
    for workload in Workload::all(set) {
        for container in workload.containers() {
            let name = text(container, "/name");
            if !is_label(name, 63) {
                wrong(workload.object, "the container", name, "a DNS-1123 label");
            }
            for port in list(container, "/ports") {
                let name = text(port, "/name");
                if !is_label(name, 15) {
                    wrong(
                        workload.object,
                        "the port",
                        name,
                        "a DNS-1123 label of at most 15 characters",
                    );
                }
            }
        }
        for volume in list(workload.pod(), "/volumes") {
            let name = text(volume, "/name");
            if !is_label(name, 63) {
                wrong(workload.object, "the volume", name, "a DNS-1123 label");
            }
        }
    }
}

/// Rule `namespace`.
pub(super) fn namespace(set: &Set, _: &Facts, findings: &mut Findings) {
    let mut made = BTreeSet::new();
    let comes: BTreeSet<&str> = set.of("Namespace").map(Object::name).collect();
    for object in &set.objects {
        if object.kind() == "Namespace" {
            made.insert(object.name());
            continue;
        }
        if object.namespace().is_empty() {
            findings.at(
                object,
                "has no namespace: it goes where the context of kubectl points",
                "set `metadata.namespace`",
            );
        } else if !comes.is_empty() && !made.contains(object.namespace()) {
            let (message, help) = if comes.contains(object.namespace()) {
                (
                    "is applied before its namespace",
                    "put the Namespace into the first file",
                )
            } else {
                (
                    "is in a namespace that no file makes",
                    "make the Namespace, or use the one that is made",
                )
            };
            findings.at(object, message, help);
        }
    }
}

/// Rule `plain-secret`.
pub(super) fn plain_secret(set: &Set, _: &Facts, findings: &mut Findings) {
    for object in set.of("Secret") {
        findings.at(
            object,
            "holds secrets in clear text",
            "seal it: k8s/sealed-secrets/README.md",
        );
    }
    let secret = |name: &str| SETTINGS.iter().any(|s| s.secret && s.name == name);
    for map in set.of("ConfigMap") {
        for key in map
            .at("/data")
            .as_object()
            .into_iter()
            .flat_map(|data| data.keys())
        {
            if secret(key) {
                findings.at(
                    map,
                    format!("{key} is a secret in a ConfigMap"),
                    format!("put it into a Secret, and name its file in {key}_FILE"),
                );
            }
        }
    }
    for workload in Workload::all(set) {
        for variable in workload.policyd().map_or(&[][..], |c| list(c, "/env")) {
            let name = text(variable, "/name");
            if secret(name) && variable.get("value").is_some() {
                findings.at(
                    workload.object,
                    format!("{name} is a secret in clear text"),
                    format!("put it into a Secret, and name its file in {name}_FILE"),
                );
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{is_label, is_subdomain};

    #[test]
    fn names_are_those_of_rfc_1123() {
        for name in ["a", "a-1", "9"] {
            assert!(is_label(name, 63), "{name}");
        }
        for name in ["", "-a", "a-", "A", "a_b", "a.b"] {
            assert!(!is_label(name, 63), "{name}");
        }
        assert!(!is_label(&"a".repeat(64), 63));
        assert!(is_subdomain("a.b-c.d"));
        assert!(!is_subdomain("a..b"));
    }
}
