//! The rules, in the order in which their findings are shown. `cargo xtask k8s --rules` prints the table.

mod access;
mod form;
mod pods;
mod references;
mod scaling;
mod settings;

use super::finding::{Finding, Findings};
use super::objects::Set;
use std::collections::BTreeMap;

/// One rule.
pub(crate) struct Rule {
    /// Its name.
    pub(crate) name: &'static str,
    /// What it finds.
    pub(crate) finds: &'static str,
    check: fn(&Set, &Facts, &mut Findings),
}

/// Every rule.
pub(crate) const RULES: &[Rule] = &[
    Rule {
        name: "form",
        finds: "files and objects that cannot be understood: no YAML, a key twice, a kind that no rule knows, an object twice",
        check: form::form,
    },
    Rule {
        name: "name",
        finds: "names that are no DNS-1123 names, or longer than their object allows",
        check: form::name,
    },
    Rule {
        name: "namespace",
        finds: "objects without a namespace, in one that no file makes, or applied before it is made",
        check: form::namespace,
    },
    Rule {
        name: "plain-secret",
        finds: "Secrets in clear text, and settings that are secrets outside of Secrets",
        check: form::plain_secret,
    },
    Rule {
        name: "selector",
        finds: "selectors that select no pod",
        check: references::selector,
    },
    Rule {
        name: "port",
        finds: "ports, by name or number, that no container or Service has",
        check: references::port,
    },
    Rule {
        name: "reference",
        finds: "ConfigMaps and their keys, ServiceAccounts, Services, claims and volumes that are named and not there",
        check: references::reference,
    },
    Rule {
        name: "secret-key",
        finds: "Secrets and keys that nothing makes, files of settings that no Secret is mounted at, mounts that do not follow changes",
        check: references::secret_key,
    },
    Rule {
        name: "pdb",
        finds: "PodDisruptionBudgets that let no pod go: minAvailable not below the smallest number of replicas",
        check: scaling::pdb,
    },
    Rule {
        name: "hpa-target",
        finds: "autoscalers whose target is not there, or whose limits are turned round",
        check: scaling::hpa_target,
    },
    Rule {
        name: "replicas",
        finds: "`replicas` where an autoscaler sets them, and no `replicas` where none does",
        check: scaling::replicas,
    },
    Rule {
        name: "connections",
        finds: "more connections of all pods together than the database gives",
        check: scaling::connections,
    },
    Rule {
        name: "setting-name",
        finds: "variables that are no settings of policyd",
        check: settings::name,
    },
    Rule {
        name: "setting-value",
        finds: "settings that policyd refuses",
        check: settings::value,
    },
    Rule {
        name: "listen",
        finds: "listeners on loopback, and ports of containers that policyd does not listen on",
        check: settings::listen,
    },
    Rule {
        name: "grace",
        finds: "terminationGracePeriodSeconds below preStop + SHUTDOWN_DELAY + SHUTDOWN_GRACE + 5 s",
        check: pods::grace,
    },
    Rule {
        name: "data-volume",
        finds: "DATA_DIR without a volume, or with one that is no larger than DECISION_LOG_SPOOL",
        check: pods::data_volume,
    },
    Rule {
        name: "probe",
        finds: "probes that are missing, or that ask another port or path than that of policyd",
        check: pods::probe,
    },
    Rule {
        name: "pod-security",
        finds: "pods outside of the restricted Pod Security Standard, writable root file systems, tokens of accounts",
        check: pods::security,
    },
    Rule {
        name: "service-links",
        finds: "`enableServiceLinks`: a Service named redis sets REDIS_PORT to a URL",
        check: pods::service_links,
    },
    Rule {
        name: "resources",
        finds: "containers without requests and limits of processor and memory, with ones that cannot be read, or with requests above limits",
        check: pods::resources,
    },
    Rule {
        name: "image",
        finds: "images without a version",
        check: pods::image,
    },
    Rule {
        name: "network-policy",
        finds: "pods that no NetworkPolicy selects, policies that let everybody in, or keep pods from what their settings name",
        check: access::network_policy,
    },
    Rule {
        name: "ingress",
        finds: "ways in without TLS, without a class, without limits, with annotations that no controller knows, open below `/`, and past all of that",
        check: access::ingress,
    },
];

/// What the manifests are held to and do not say themselves.
#[derive(Debug)]
pub(crate) struct Facts {
    /// Connections that the database gives.
    pub(crate) connections: u64,
    /// Secrets that exist, with their keys.
    pub(crate) secrets: BTreeMap<String, Vec<String>>,
}

/// The Secrets of `policyd`, with their keys: what the templates in `k8s/sealed-secrets` make, which a test holds.
pub(crate) const SECRETS: &[(&str, &[&str])] = &[
    ("llm-policy-engine-database", &["username", "password"]),
    ("llm-policy-engine-redis", &["username", "password"]),
    (
        "llm-policy-engine-jwt",
        &["secret", "previous-secret", "public-key"],
    ),
];

impl Facts {
    pub(crate) fn new(connections: u64) -> Self {
        let mut facts = Self {
            connections,
            secrets: BTreeMap::new(),
        };
        for (name, keys) in SECRETS {
            facts.secret(name, keys.iter().copied());
        }
        facts
    }

    /// One more Secret.
    pub(crate) fn secret<'k>(&mut self, name: &str, keys: impl Iterator<Item = &'k str>) {
        self.secrets
            .insert(name.to_owned(), keys.map(str::to_owned).collect());
    }
}

/// Everything that the rules find.
pub(crate) fn check(set: &Set, facts: &Facts) -> Vec<Finding> {
    let mut all = Vec::new();
    for rule in RULES {
        let mut findings = Findings::new(rule.name);
        (rule.check)(set, facts, &mut findings);
        all.extend(findings.into_vec());
    }
    all
}
