//! Pods as the objects that make them describe them, and what `policyd` is told in them.

use super::finding::Findings;
use super::objects::{Object, Set, at, list, text};
use policy_server::config::table::{SETTINGS, Setting};
use policy_server::config::{Config, Raw};
use serde_json::Value;
use std::collections::BTreeMap;

/// Kinds that make pods.
pub(crate) const WORKLOADS: &[&str] = &["Deployment", "StatefulSet"];

/// Name of the container that runs `policyd`.
pub(crate) const CONTAINER: &str = "policyd";

/// The setting whose value stands in the file that this variable names.
pub(crate) fn from_file(variable: &str) -> Option<&'static Setting> {
    SETTINGS
        .iter()
        .find(|setting| setting.file_name().as_deref() == Some(variable))
}

/// Whether `policyd` reads this variable.
pub(crate) fn is_setting(variable: &str) -> bool {
    SETTINGS.iter().any(|setting| setting.name == variable)
        || from_file(variable).is_some()
        || variable == policy_server::config::CONFIG_FILE
}

/// An object that makes pods.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Workload<'s> {
    pub(crate) object: &'s Object,
}

impl<'s> Workload<'s> {
    /// All of a set.
    pub(crate) fn all(set: &'s Set) -> impl Iterator<Item = Self> {
        set.objects
            .iter()
            .filter(|object| WORKLOADS.contains(&object.kind()))
            .map(|object| Self { object })
    }

    /// The specification of its pods.
    pub(crate) fn pod(self) -> &'s Value {
        self.object.at("/spec/template/spec")
    }

    /// The labels of its pods.
    pub(crate) fn labels(self) -> &'s Value {
        self.object.at("/spec/template/metadata/labels")
    }

    /// Every container of a pod.
    pub(crate) fn containers(self) -> impl Iterator<Item = &'s Value> {
        ["/containers", "/initContainers", "/ephemeralContainers"]
            .into_iter()
            .flat_map(move |kind| list(self.pod(), kind))
    }

    /// The container that runs `policyd`.
    pub(crate) fn policyd(self) -> Option<&'s Value> {
        list(self.pod(), "/containers")
            .iter()
            .find(|container| text(container, "/name") == CONTAINER)
    }

    /// The number of a port of its containers, by name.
    pub(crate) fn port(self, name: &str) -> Option<u64> {
        list(self.pod(), "/containers")
            .iter()
            .flat_map(|container| list(container, "/ports"))
            .find(|port| text(port, "/name") == name)
            .and_then(|port| at(port, "/containerPort").as_u64())
    }

    /// Whether a port, by name or number, is one of its containers.
    pub(crate) fn has_port(self, port: &Value) -> bool {
        match (port.as_str(), port.as_u64()) {
            (Some(name), _) => self.port(name).is_some(),
            (_, Some(number)) => list(self.pod(), "/containers")
                .iter()
                .flat_map(|container| list(container, "/ports"))
                .any(|port| at(port, "/containerPort").as_u64() == Some(number)),
            _ => false,
        }
    }

    /// The volume of this name, among those of the pod and those that are claimed for each pod.
    pub(crate) fn volume(self, name: &str) -> Option<Volume<'s>> {
        let of_pod = list(self.pod(), "/volumes")
            .iter()
            .find(|volume| text(volume, "/name") == name);
        let claimed = list(&self.object.value, "/spec/volumeClaimTemplates")
            .iter()
            .find(|claim| text(claim, "/metadata/name") == name);
        of_pod.map(Volume::OfPod).or(claimed.map(Volume::Claimed))
    }

    /// The mount of the container of `policyd` that holds this path: the deepest one.
    pub(crate) fn mount(self, path: &str) -> Option<&'s Value> {
        let mounts = self
            .policyd()
            .map_or(&[] as &[Value], |c| list(c, "/volumeMounts"));
        mounts
            .iter()
            .filter(|mount| is_below(path, text(mount, "/mountPath")))
            .max_by_key(|mount| text(mount, "/mountPath").len())
    }

    /// The autoscaler of its pods.
    pub(crate) fn autoscaler(self, set: &'s Set) -> Option<&'s Object> {
        set.of("HorizontalPodAutoscaler").find(|hpa| {
            hpa.namespace() == self.object.namespace()
                && hpa.text("/spec/scaleTargetRef/kind") == self.object.kind()
                && hpa.text("/spec/scaleTargetRef/name") == self.object.name()
        })
    }

    /// Whether its pods have these labels.
    pub(crate) fn matches(self, match_labels: &Value) -> bool {
        match_labels.as_object().is_some_and(|wanted| {
            !wanted.is_empty()
                && wanted
                    .iter()
                    .all(|(key, value)| self.labels().get(key) == Some(value))
        })
    }

    /// The variables of the container of `policyd`.
    pub(crate) fn environment(self, set: &Set) -> Environment {
        let mut environment = Environment::default();
        let Some(container) = self.policyd() else {
            environment
                .problems
                .push(format!("there is no container `{CONTAINER}`"));
            return environment;
        };
        for source in list(container, "/envFrom") {
            let name = text(source, "/configMapRef/name");
            let map = set.find("ConfigMap", self.object.namespace(), name);
            if name.is_empty() || !text(source, "/prefix").is_empty() {
                environment.problems.push(
                    "`envFrom` of something but a ConfigMap without a prefix: what it sets cannot be checked"
                        .to_owned(),
                );
            }
            // One that is missing is found by the rule `reference`.
            for (key, value) in map.and_then(|m| m.at("/data").as_object()).into_iter().flatten() {
                match value.as_str() {
                    Some(value) => environment.set(key, Some(value.to_owned())),
                    None => environment.problems.push(format!(
                        "{key} in the ConfigMap {name} is no text: put it into quotes"
                    )),
                }
            }
        }
        for variable in list(container, "/env") {
            let name = text(variable, "/name");
            let key = at(variable, "/valueFrom/configMapKeyRef");
            let value = if let Some(value) = at(variable, "/value").as_str() {
                if value.contains("$(") {
                    environment.problems.push(format!(
                        "{name} is put together from other variables: what it is cannot be checked"
                    ));
                }
                Some(value.to_owned())
            } else if !key.is_null() {
                set.find("ConfigMap", self.object.namespace(), text(key, "/name"))
                    .and_then(|map| map.at("/data").get(text(key, "/key")))
                    .and_then(Value::as_str)
                    .map(str::to_owned)
            } else if at(variable, "/valueFrom/secretKeyRef").is_object() {
                None
            } else {
                environment.problems.push(format!(
                    "{name} has neither a text nor a key of a ConfigMap or Secret: what it is cannot be checked"
                ));
                None
            };
            environment.set(name, value);
        }
        environment
    }
}

/// A volume.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Volume<'s> {
    /// One of `spec.volumes` of the pod.
    OfPod(&'s Value),
    /// One of `volumeClaimTemplates`.
    Claimed(&'s Value),
}

/// Whether a path is this folder, or below it.
pub(crate) fn is_below(path: &str, folder: &str) -> bool {
    !folder.is_empty()
        && path
            .strip_prefix(folder.trim_end_matches('/'))
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// What the container of `policyd` is told.
#[derive(Debug, Default)]
pub(crate) struct Environment {
    /// Variables; `None` is a secret, whose value stands elsewhere.
    pub(crate) variables: BTreeMap<String, Option<String>>,
    /// What cannot be told about it.
    pub(crate) problems: Vec<String>,
}

impl Environment {
    fn set(&mut self, name: &str, value: Option<String>) {
        self.variables.insert(name.to_owned(), value);
    }

    /// The text of a variable that is no secret.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.variables.get(name).and_then(Option::as_deref)
    }

    /// The text of a setting: secrets, which are not here, as something that is good for them.
    fn value(&self, name: &str) -> Option<String> {
        if from_file(name).is_some() {
            // There is no such file here: its setting is asked for as well.
            return None;
        }
        match self.variables.get(name) {
            Some(Some(value)) => Some(value.clone()),
            Some(None) => Some(example(name)),
            None => self
                .variables
                .keys()
                .any(|variable| from_file(variable).is_some_and(|setting| setting.name == name))
                .then(|| example(name)),
        }
    }

    /// The settings as `policyd` reads them, or what it says against them.
    pub(crate) fn config(&self) -> Result<Config, Vec<String>> {
        let twice: Vec<String> = self
            .variables
            .keys()
            .filter_map(|variable| Some((variable, from_file(variable)?.name)))
            .filter(|(_, name)| self.variables.contains_key(*name))
            .map(|(variable, name)| format!("{variable}: contradicts {name}: give one of the two"))
            .collect();
        if !twice.is_empty() {
            return Err(twice);
        }
        let raw = Raw::collect(None, |name| self.value(name), |_| None);
        Config::parse(&raw).map_err(|problems| {
            problems
                .into_iter()
                .map(|problem| format!("{}: {}", problem.setting, problem.message))
                .collect()
        })
    }
}

/// A value that a secret setting takes.
fn example(name: &str) -> String {
    match name {
        "DATABASE_URL" => "postgresql://postgres/policies".to_owned(),
        "REDIS_URL" => "redis://redis".to_owned(),
        "ENCRYPTION_KEYS" => format!("k:{}=", "A".repeat(43)),
        // Each other than the next one, and as long as a key has to be.
        name => format!("{name:x<64}"),
    }
}

/// Each workload with the settings of its `policyd`; none for what `policyd` does not take, which the rule `setting-value` says.
pub(crate) fn configured(set: &Set) -> impl Iterator<Item = (Workload<'_>, Environment, Config)> {
    Workload::all(set).filter_map(|workload| {
        let environment = workload.environment(set);
        let config = environment.config().ok()?;
        Some((workload, environment, config))
    })
}

/// Says for each thing that could not be told that it could not.
pub(crate) fn untold(findings: &mut Findings, workload: Workload<'_>, environment: &Environment) {
    for problem in &environment.problems {
        findings.at(
            workload.object,
            problem,
            "say it in a way that this checker reads, so that it is checked",
        );
    }
}
