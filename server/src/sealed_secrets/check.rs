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
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::{Checked, Severity, missing, twice};
    use crate::sealed_secrets::pods::Pods;
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;

    /// A value as it has to be built, for a key of this many bytes.
    fn value(key: usize) -> String {
        let mut bytes = u16::try_from(key).unwrap().to_be_bytes().to_vec();
        bytes.resize(2 + key + 20, 7);
        STANDARD.encode(bytes)
    }

    fn pods() -> Pods {
        let text = "kind: Deployment\nmetadata: {name: d, namespace: n}\nspec: {template: {spec: {containers: [{name: c, env: \
                    [{name: P, valueFrom: {secretKeyRef: {name: s, key: password}}}, \
                    {name: U, valueFrom: {secretKeyRef: {name: s, key: user, optional: true}}}]}]}}}\n";
        Pods::of(&[("pods".to_owned(), text.to_owned())]).unwrap()
    }

    fn sealed() -> String {
        format!(
            "apiVersion: bitnami.com/v1alpha1\nkind: SealedSecret\nmetadata: {{name: s, namespace: n, creationTimestamp: null}}\n\
             spec:\n  encryptedData:\n    password: {}\n    user: {}\n  template:\n    metadata: {{name: s, namespace: n, labels: {{}}}}\n    \
             type: Opaque\n",
            value(512),
            value(256)
        )
    }

    fn check(text: &str) -> Vec<String> {
        let mut checked = Checked::new("f");
        checked.manifests(text, &pods());
        let problems = checked.problems.iter();
        problems
            .map(|problem| format!("{}: {}", problem.severity.as_str(), problem.message))
            .collect()
    }

    #[test]
    fn what_is_right_passes_whatever_the_length_of_the_key() {
        assert_eq!(check(&sealed()), [""; 0]);
        for key in [256, 384, 512, 1024] {
            let text = sealed().replace(&value(512), &value(key));
            assert_eq!(check(&text), [""; 0], "{key}");
        }
        // A template of a secret is none.
        assert_eq!(
            check("apiVersion: v1\nkind: Secret\nstringData: {password: '${DATABASE_PASSWORD}'}\n"),
            [""; 0]
        );
        assert_eq!(check("kind: Namespace\n"), [""; 0]);
    }

    #[test]
    fn each_mistake_is_told() {
        let cut = &value(512)[..40];
        for (from, to, says) in [
            (
                value(512).as_str(),
                cut,
                "error: `password`: a sealed value holds a session key",
            ),
            (
                &value(512),
                "hunter2!",
                "error: `password`: a sealed value is base64",
            ),
            (&value(512), "5", "error: `password` is not a text"),
            (&value(512), "''", "error: `password`: a sealed value is longer"),
            ("password:", "pass word:", "error: a key of a secret has letters"),
            (
                "password:",
                "pasword:",
                "error: the key `password` is missing, which P reads",
            ),
            ("user:", "username:", "warning: no pod reads the key `username`"),
            (
                "name: s",
                "name: t",
                "error: no pod reads the secret `n/t`; they read n/s",
            ),
            (
                "namespace: n",
                "namespace: m",
                "error: no pod reads the secret `m/s`",
            ),
            ("name: s", "name: S", "error: the name of a secret has lower-case"),
            (
                "namespace: n",
                "namespace: n.n",
                "error: the namespace of a secret",
            ),
            (
                "v1alpha1",
                "v1",
                "error: a SealedSecret is of `bitnami.com/v1alpha1`, this one of",
            ),
            (
                "labels: {}",
                "labels: {a: b}",
                "error: `metadata` and `template.metadata` differ",
            ),
            (
                "creationTimestamp: null",
                "annotations: {sealedsecrets.bitnami.com/cluster-wide: 'true'}",
                "error: `metadata` says `cluster-wide`",
            ),
            (
                "labels: {}",
                "annotations: {sealedsecrets.bitnami.com/namespace-wide: true}",
                "error: `template.metadata` says `namespace-wide`",
            ),
            (
                "labels: {}",
                "annotations: {kubectl.kubernetes.io/last-applied-configuration: x}",
                "error: `template.metadata` has the annotation",
            ),
            (
                "creationTimestamp: null",
                "uid: x",
                "error: `metadata` has the key `uid`",
            ),
            ("type: Opaque", "type: kubernetes.io/tls", "warning: the `type`"),
            (
                "type: Opaque",
                "data: {a: clear}",
                "error: `template.data` lies here in the clear",
            ),
            (
                "type: Opaque",
                "stringData: {a: clear}",
                "error: `template` has the key `stringData`",
            ),
            (
                "spec:\n",
                "status: {}\nspec:\n",
                "error: the manifest has the key `status`",
            ),
            (
                "spec:\n",
                "spec:\n  data: x\n",
                "error: `spec` has the key `data`",
            ),
            ("kind: SealedSecret", "kind: Secret", "error: a plain Secret"),
            ("kind: SealedSecret\n", "", "error: the manifest has no `kind`"),
            (
                "kind: SealedSecret",
                "kind: [",
                "error: the manifest cannot be read",
            ),
        ] {
            let text = sealed().replace(from, to);
            assert_ne!(text, sealed(), "{from}");
            let found = check(&text);
            assert!(
                found.iter().any(|problem| problem.starts_with(says)),
                "{to}: {found:?}"
            );
            assert!(!found.concat().contains("hunter2"), "{found:?}");
        }
        assert_eq!(check("kind: Secret\nstringData: {password: hunter2}\n").len(), 1);
        assert_eq!(check("kind: Secret\ndata: {}\n").len(), 1);
        let applied = "kind: Secret\nmetadata: {annotations: {kubectl.kubernetes.io/last-applied-configuration: hunter2}}\n\
                       stringData: {password: '${A}'}\n";
        assert_eq!(check(applied).len(), 1);
        assert_eq!(
            check("kind: Secret\ndata: {a: aHVudGVyMg==}\nstringData: {password: '${A}'}\n").len(),
            1
        );
        assert_eq!(
            check("kind: List\nitems: [{kind: Secret, data: {a: YQ==}}]\n").len(),
            1
        );
        let empty = sealed().replace(
            &format!("    password: {}\n    user: {}\n", value(512), value(256)),
            "",
        );
        assert!(check(&empty).contains(&"error: `encryptedData` has no value".to_owned()));
        let doubled = format!("{}---\n{}", sealed(), sealed());
        assert_eq!(check(&doubled), ["error: `n/s` is there twice"]);
    }

    #[test]
    fn what_is_missing_and_what_is_there_twice_is_told() {
        let checked = |file: &str| {
            let mut checked = Checked::new(file);
            checked.manifests(&sealed(), &pods());
            checked
        };
        assert_eq!(missing(&[checked("a")], &pods()), []);
        let none = missing(&[Checked::new("a")], &pods());
        assert!(none.len() == 1 && none[0].severity == Severity::Warning);
        assert!(none[0].message.contains("`n/s`"), "{none:?}");
        let mut both = [checked("a"), checked("b")];
        twice(&mut both);
        assert_eq!(both[0].problems, []);
        assert_eq!(both[1].problems[0].message, "`n/s` is in a as well");
    }
}
