//! Whether manifests of sealed secrets are what a cluster can use and a repository may hold.
//!
//! Without the controller's key nobody can say what a value is. All around it can be checked: that each value is built as the controller expects, that it is
//! bound to the name and the namespace of its secret, and that the pods read that secret under these keys.
//!
//! # Invariants
//!
//! - What is not understood is an error, never passed over.
//! - Messages hold names and keys, nothing of values.

use super::pods::{Pods, objects};
use super::{LAST_APPLIED, Scope, is_dns, is_key, known, mapping, parts, text};
use anyhow::{Context as _, bail};
use serde::Serialize;
use serde_yaml::{Mapping, Value};

/// How bad a problem is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The cluster, or a reader of the repository, would be harmed.
    Error,
    /// It works, and is probably not meant.
    Warning,
}

impl Severity {
    /// Its name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
        }
    }
}

/// What is wrong with a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// How bad it is.
    pub severity: Severity,
    /// What it is.
    pub message: String,
}

/// What was found in a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Checked {
    /// Its path.
    pub file: String,
    /// The sealed secrets in it, as `namespace/name`.
    pub secrets: Vec<String>,
    /// What is wrong with it.
    pub problems: Vec<Problem>,
}

impl Checked {
    /// Nothing found yet.
    #[must_use]
    pub fn new(file: &str) -> Self {
        Self {
            file: file.to_owned(),
            secrets: Vec::new(),
            problems: Vec::new(),
        }
    }

    /// Adds a problem.
    pub fn push(&mut self, severity: Severity, message: impl Into<String>) {
        let message = message.into();
        self.problems.push(Problem { severity, message });
    }

    fn error(&mut self, message: impl Into<String>) {
        self.push(Severity::Error, message);
    }

    /// Checks the manifests of a file against what `pods` read.
    pub fn manifests(&mut self, content: &str, pods: &Pods) {
        let objects = match objects(content) {
            Ok(objects) => objects,
            Err(error) => return self.error(format!("the manifest cannot be read: {error:#}")),
        };
        for object in objects {
            match text(&object, "kind", "the manifest's").map(Option::unwrap_or_default) {
                Ok(kind) if kind == "SealedSecret" => self.sealed(&object, pods),
                Ok(kind) if kind == "Secret" && !is_template(&object) => {
                    self.error(
                        "a plain Secret: whoever reads the repository reads its values. Take it out, and change them",
                    );
                }
                Ok(kind) if kind.is_empty() => self.error("the manifest has no `kind`"),
                Ok(_) => {}
                Err(error) => self.error(error.to_string()),
            }
        }
    }

    fn sealed(&mut self, object: &Mapping, pods: &Pods) {
        let (namespace, name) = match head(object) {
            Ok(found) => found,
            Err(error) => return self.error(format!("{error:#}")),
        };
        let secret = format!("{namespace}/{name}");
        if self.secrets.contains(&secret) {
            self.error(format!("`{secret}` is there twice"));
        }
        self.secrets.push(secret.clone());
        if let Err(error) = self.body(object, &namespace, &name, pods) {
            self.error(format!("{error:#}"));
        }
    }

    /// The parts of a manifest whose names are known.
    fn body(&mut self, object: &Mapping, namespace: &str, name: &str, pods: &Pods) -> anyhow::Result<()> {
        let metadata = mapping(object, "metadata", "the manifest's")?;
        let spec = mapping(object, "spec", "the manifest's")?;
        known(&spec, &["encryptedData", "template"], "`spec`")?;
        let mut keys = Vec::new();
        for (key, value) in mapping(&spec, "encryptedData", "the spec's")? {
            let key = key.as_str().context("a key of `encryptedData` is not a text")?;
            if !is_key(key) {
                self.error(format!(
                    "a key of a secret has letters, digits, `-`, `_` and `.`, `{key}` does not"
                ));
            }
            match value.as_str().map(parts) {
                None => self.error(format!("`{key}` is not a text")),
                Some(Err(error)) => self.error(format!("`{key}`: {error}")),
                Some(Ok(_)) => {}
            }
            keys.push(key.to_owned());
        }
        if keys.is_empty() {
            self.error("`encryptedData` has no value");
        }
        let template = mapping(&spec, "template", "the spec's")?;
        known(
            &template,
            &["metadata", "type", "immutable", "data"],
            "`template`",
        )?;
        if !mapping(&template, "data", "the template's")?.is_empty() {
            self.error("`template.data` lies here in the clear; seal it into `encryptedData`");
        }
        if text(&template, "type", "the template's")?.is_some_and(|kind| kind != "Opaque") {
            self.push(
                Severity::Warning,
                "the `type` of the template is not `Opaque`, which is all that the pods need",
            );
        }
        let inner = mapping(&template, "metadata", "the template's")?;
        for (metadata, of) in [(&metadata, "`metadata`"), (&inner, "`template.metadata`")] {
            known(
                metadata,
                &["name", "namespace", "labels", "annotations", "creationTimestamp"],
                of,
            )?;
            self.annotations(&mapping(metadata, "annotations", of)?, of);
        }
        if kept(&metadata) != kept(&inner) {
            self.error(
                "`metadata` and `template.metadata` differ: when the controller seals it again, the first replaces the second",
            );
        }
        self.readers(namespace, name, &keys, pods);
        Ok(())
    }

    fn annotations(&mut self, annotations: &Mapping, of: &str) {
        if annotations.contains_key(LAST_APPLIED) {
            self.error(format!(
                "{of} has the annotation `{LAST_APPLIED}`, which may hold the values in the clear"
            ));
        }
        for scope in Scope::ALL {
            let wider = scope.annotation().is_some_and(|key| {
                annotations
                    .get(key)
                    .is_some_and(|on| on.as_str() != Some("false"))
            });
            if wider {
                self.error(format!(
                    "{of} says `{}`: the values may be used under other names; seal them with the scope `{}`",
                    scope.as_str(),
                    Scope::Strict.as_str()
                ));
            }
        }
    }

    /// Compares with what the pods read.
    fn readers(&mut self, namespace: &str, name: &str, keys: &[String], pods: &Pods) {
        let mut near = Vec::new();
        let mut found = None;
        for (its_namespace, its_name, read) in pods.secrets() {
            if (its_namespace, its_name) == (namespace, name) {
                found = Some(read);
            }
            near.push(format!("{its_namespace}/{its_name}"));
        }
        let Some(read) = found else {
            return self.error(format!(
                "no pod reads the secret `{namespace}/{name}`; they read {}",
                if near.is_empty() {
                    "none".to_owned()
                } else {
                    near.join(", ")
                }
            ));
        };
        for (key, by) in &read.keys {
            if !by.optional && !keys.contains(key) {
                self.error(format!("the key `{key}` is missing, which {} reads", by.reader));
            }
        }
        for key in keys {
            if read.whole.is_none() && !read.keys.contains_key(key) {
                self.push(Severity::Warning, format!("no pod reads the key `{key}`"));
            }
        }
    }
}

/// Namespace and name of a sealed secret.
fn head(object: &Mapping) -> anyhow::Result<(String, String)> {
    let version = text(object, "apiVersion", "the manifest's")?.unwrap_or_default();
    if version != "bitnami.com/v1alpha1" {
        bail!("a SealedSecret is of `bitnami.com/v1alpha1`, this one of `{version}`");
    }
    known(
        object,
        &["apiVersion", "kind", "metadata", "spec"],
        "the manifest",
    )?;
    let metadata = mapping(object, "metadata", "the manifest's")?;
    let name = text(&metadata, "name", "the metadata's")?.unwrap_or_default();
    let namespace = text(&metadata, "namespace", "the metadata's")?.unwrap_or_default();
    for (what, name, dots) in [("name", &name, true), ("namespace", &namespace, false)] {
        if !is_dns(name, dots) {
            bail!("the {what} of a secret has lower-case letters, digits and `-`, `{name}` does not");
        }
    }
    Ok((namespace, name))
}

/// Metadata as they count: what is empty is not there.
fn kept(metadata: &Mapping) -> Mapping {
    let is_empty = |value: &Value| match value {
        Value::Null => true,
        Value::Mapping(inner) => inner.is_empty(),
        Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Sequence(_) | Value::Tagged(_) => false,
    };
    let filled = metadata
        .iter()
        .filter(|(key, value)| key.as_str() != Some("creationTimestamp") && !is_empty(value));
    filled.map(|(key, value)| (key.clone(), value.clone())).collect()
}

/// Whether a Secret holds nothing but the names of what will be put in: `password: ${DATABASE_PASSWORD}`.
fn is_template(secret: &Mapping) -> bool {
    let is_name = |value: &Value| {
        value
            .as_str()
            .and_then(|value| value.strip_prefix("${")?.strip_suffix('}'))
            .is_some_and(|name| {
                name.bytes()
                    .all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_')
            })
    };
    let Some(Value::Mapping(data)) = secret.get("stringData") else {
        return false;
    };
    let annotated = secret
        .get("metadata")
        .and_then(|metadata| metadata.get("annotations"))
        .is_some_and(|annotations| annotations.get(LAST_APPLIED).is_some());
    !annotated && !secret.contains_key("data") && data.values().all(is_name)
}

/// That every Secret that pods read is among those that were found: what they miss.
#[must_use]
pub fn missing(checked: &[Checked], pods: &Pods) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (namespace, name, read) in pods.secrets() {
        let secret = format!("{namespace}/{name}");
        let is_there = checked.iter().any(|checked| checked.secrets.contains(&secret));
        if !is_there && !read.optional {
            problems.push(Problem {
                severity: Severity::Warning,
                message: format!(
                    "no manifest is for the secret `{secret}`, without which the pods do not start"
                ),
            });
        }
    }
    problems
}

/// Errors for secrets that occur in several files: the controller would take turns between them.
pub fn twice(checked: &mut [Checked]) {
    let mut seen: Vec<(String, String)> = Vec::new();
    for one in checked {
        for secret in one.secrets.clone() {
            if let Some((_, file)) = seen
                .iter()
                .find(|(known, file)| *known == secret && *file != one.file)
            {
                let message = format!("`{secret}` is in {file} as well");
                one.push(Severity::Error, message);
            }
            seen.push((secret, one.file.clone()));
        }
    }
}

#[cfg(test)]
mod tests;
