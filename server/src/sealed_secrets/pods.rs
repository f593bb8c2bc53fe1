//! Which keys of which Secrets pods read: what the manifests of a Deployment or a StatefulSet say of it.
//!
//! A key is read where a variable takes it (`secretKeyRef`), where a whole Secret becomes variables (`secretRef`), and where the
//! value of a variable, or an argument, is the path of its file in a volume: `DATABASE_PASSWORD_FILE=/etc/…/password`.
//!
//! # Invariants
//!
//! - What a pod refers to and is not in the manifests is an error, unless the manifests call it optional.
//! - A Secret that is mounted without a setting that names a file of it is an error: it would be sealed for nobody.

use super::{mapping, text};
use anyhow::{Context as _, bail};
use serde::Deserialize as _;
use serde_yaml::{Mapping, Value};
use std::collections::BTreeMap;

/// A Secret that pods read.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Read {
    /// Its keys, each with what reads it and whether pods start without it.
    pub keys: BTreeMap<String, Key>,
    /// What makes variables of all its keys, whatever they are.
    pub whole: Option<String>,
    /// Whether pods start without it.
    pub optional: bool,
}

/// A key that pods read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    /// The setting or the argument that reads it.
    pub reader: String,
    /// Whether pods start without it.
    pub optional: bool,
}

/// What the pods of some manifests read, by namespace and name.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Pods {
    secrets: BTreeMap<(String, String), Read>,
}

/// The objects of a text of manifests: its documents, and the items of its lists.
///
/// # Errors
///
/// A text that is not YAML, and a document that is not a mapping.
pub fn objects(manifests: &str) -> anyhow::Result<Vec<Mapping>> {
    let mut found = Vec::new();
    let mut open = Vec::new();
    for document in serde_yaml::Deserializer::from_str(manifests) {
        open.push(Value::deserialize(document)?);
    }
    open.reverse();
    while let Some(value) = open.pop() {
        let map = match value {
            Value::Null => continue,
            Value::Mapping(map) => map,
            Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Sequence(_) | Value::Tagged(_) => {
                bail!("a document is not a mapping")
            }
        };
        let kind = text(&map, "kind", "the manifest's")?.unwrap_or_default();
        if kind.ends_with("List") && map.contains_key("items") {
            open.extend(list(&map, "items", "the list's")?.into_iter().rev());
        } else {
            found.push(map);
        }
    }
    Ok(found)
}

fn list(map: &Mapping, key: &str, of: &str) -> anyhow::Result<Vec<Value>> {
    match map.get(key) {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(Value::Sequence(inner)) => Ok(inner.clone()),
        Some(_) => bail!("{of} `{key}` is not a list"),
    }
}

/// The mappings of a list.
fn mappings(map: &Mapping, key: &str, of: &str) -> anyhow::Result<Vec<Mapping>> {
    let entries = list(map, key, of)?.into_iter();
    entries
        .map(|entry| match entry {
            Value::Mapping(inner) => Ok(inner),
            _ => bail!("an entry of {of} `{key}` is not a mapping"),
        })
        .collect()
}

fn named(map: &Mapping, key: &str, of: &str) -> anyhow::Result<String> {
    text(map, key, of)?.with_context(|| format!("{of} `{key}` is missing"))
}

fn is_optional(map: &Mapping) -> anyhow::Result<bool> {
    match map.get("optional") {
        None | Some(Value::Null) => Ok(false),
        Some(Value::Bool(optional)) => Ok(*optional),
        Some(_) => bail!("`optional` is not true or false"),
    }
}

/// A Secret in a volume.
#[derive(Debug, Clone)]
struct Mounted {
    secret: String,
    /// Paths that are not the names of their keys.
    items: Option<BTreeMap<String, String>>,
    optional: bool,
}

impl Mounted {
    fn of(source: &Mapping, name: &str) -> anyhow::Result<Self> {
        let mut items = None;
        for item in mappings(source, "items", "the volume's")? {
            let (key, path) = (
                named(&item, "key", "the item's")?,
                named(&item, "path", "the item's")?,
            );
            items.get_or_insert_with(BTreeMap::new).insert(path, key);
        }
        Ok(Self {
            secret: named(source, name, "the volume's")?,
            items,
            optional: is_optional(source)?,
        })
    }

    /// The key whose file has this path in the volume.
    fn key(&self, path: &str) -> Option<String> {
        match &self.items {
            Some(items) => items.get(path).cloned(),
            None => super::is_key(path).then(|| path.to_owned()),
        }
    }
}

/// Variables of ConfigMaps.
type Maps = BTreeMap<(String, String), Mapping>;

impl Pods {
    /// What the pods of these manifests read; each text has a name for errors.
    ///
    /// # Errors
    ///
    /// Manifests that cannot be read, in which no pod is, or that refer to what is not in them.
    pub fn of(manifests: &[(String, String)]) -> anyhow::Result<Self> {
        let mut workloads = Vec::new();
        let mut maps = Maps::new();
        for (file, content) in manifests {
            for object in objects(content).with_context(|| file.clone())? {
                let kind = text(&object, "kind", "the manifest's")?.unwrap_or_default();
                let metadata = mapping(&object, "metadata", "the manifest's")?;
                let name = text(&metadata, "name", "the metadata's")?.unwrap_or_default();
                let namespace = text(&metadata, "namespace", "the metadata's")?.unwrap_or_default();
                match kind.as_str() {
                    "ConfigMap" => {
                        maps.insert((namespace, name), mapping(&object, "data", "the ConfigMap's")?);
                    }
                    "Deployment" | "StatefulSet" => {
                        workloads.push((format!("{file}: {kind} {name}"), namespace, object));
                    }
                    _ => {}
                }
            }
        }
        if workloads.is_empty() {
            let files: Vec<&str> = manifests.iter().map(|(file, _)| file.as_str()).collect();
            bail!("there is no Deployment or StatefulSet in {}", files.join(", "));
        }
        let mut pods = Self::default();
        for (what, namespace, object) in workloads {
            let mut one = || {
                if namespace.is_empty() {
                    bail!("it names no namespace");
                }
                let spec = mapping(&object, "spec", "the manifest's")?;
                let template = mapping(&spec, "template", "the spec's")?;
                let pod = mapping(&template, "spec", "the template's")?;
                let mut claims = Vec::new();
                for claim in mappings(&spec, "volumeClaimTemplates", "the spec's")? {
                    let metadata = mapping(&claim, "metadata", "the claim's")?;
                    claims.push(named(&metadata, "name", "the metadata's")?);
                }
                pods.pod(&pod, claims, &namespace, &maps)
            };
            one().context(what)?;
        }
        Ok(pods)
    }

    /// The Secrets that are read, each with its namespace and name.
    pub fn secrets(&self) -> impl Iterator<Item = (&str, &str, &Read)> {
        self.secrets
            .iter()
            .map(|((namespace, name), read)| (namespace.as_str(), name.as_str(), read))
    }

    fn secret(&mut self, namespace: &str, name: String, optional: bool) -> &mut Read {
        let read = self
            .secrets
            .entry((namespace.to_owned(), name))
            .or_insert_with(|| Read {
                optional: true,
                ..Read::default()
            });
        // Whoever needs it most decides.
        read.optional &= optional;
        read
    }

    fn key(&mut self, namespace: &str, secret: String, key: String, reader: &str, optional: bool) {
        let read = self.secret(namespace, secret, optional);
        let known = read.keys.entry(key).or_insert_with(|| Key {
            reader: reader.to_owned(),
            optional: true,
        });
        known.optional &= optional;
    }

    /// `claims` are volumes that are no part of the pod.
    fn pod(
        &mut self,
        pod: &Mapping,
        claims: Vec<String>,
        namespace: &str,
        maps: &Maps,
    ) -> anyhow::Result<()> {
        let mut volumes: BTreeMap<String, Vec<Mounted>> = BTreeMap::new();
        volumes.extend(claims.into_iter().map(|claim| (claim, Vec::new())));
        for volume in mappings(pod, "volumes", "the pod's")? {
            let mut sources = Vec::new();
            if volume.contains_key("secret") {
                sources.push(Mounted::of(
                    &mapping(&volume, "secret", "the volume's")?,
                    "secretName",
                )?);
            }
            let projected = mapping(&volume, "projected", "the volume's")?;
            for source in mappings(&projected, "sources", "the volume's")? {
                if source.contains_key("secret") {
                    sources.push(Mounted::of(&mapping(&source, "secret", "the source's")?, "name")?);
                }
            }
            volumes.insert(named(&volume, "name", "the volume's")?, sources);
        }
        let mut containers = mappings(pod, "containers", "the pod's")?;
        if containers.is_empty() {
            bail!("it has no container");
        }
        containers.extend(mappings(pod, "initContainers", "the pod's")?);
        for container in &containers {
            let name = text(container, "name", "the container's")?.unwrap_or_default();
            let values = self
                .variables(container, namespace, maps)
                .with_context(|| format!("container {name}"))?;
            self.files(container, namespace, &volumes, &values)
                .with_context(|| format!("container {name}"))?;
        }
        Ok(())
    }

    /// Notes which keys become variables, and gives the other variables and arguments.
    fn variables(
        &mut self,
        container: &Mapping,
        namespace: &str,
        maps: &Maps,
    ) -> anyhow::Result<Vec<(String, String)>> {
        // A later one of the same name replaces an earlier one.
        let mut values = BTreeMap::new();
        let map = |name: String, optional: bool| match maps.get(&(namespace.to_owned(), name.clone())) {
            Some(map) => Ok(Some(map)),
            None if optional => Ok(None),
            None => bail!("the ConfigMap `{name}` is not in the manifests"),
        };
        for from in mappings(container, "envFrom", "the container's")? {
            let prefix = text(&from, "prefix", "envFrom's")?.unwrap_or_default();
            if from.contains_key("secretRef") {
                let source = mapping(&from, "secretRef", "envFrom's")?;
                let name = named(&source, "name", "secretRef's")?;
                self.secret(namespace, name, is_optional(&source)?).whole = Some("envFrom".to_owned());
            } else {
                let source = mapping(&from, "configMapRef", "envFrom's")?;
                let name = named(&source, "name", "configMapRef's")?;
                for (key, value) in map(name, is_optional(&source)?)?.into_iter().flatten() {
                    if let (Some(key), Some(value)) = (key.as_str(), value.as_str()) {
                        values.insert(format!("{prefix}{key}"), value.to_owned());
                    }
                }
            }
        }
        for variable in mappings(container, "env", "the container's")? {
            let name = named(&variable, "name", "the variable's")?;
            let from = mapping(&variable, "valueFrom", "the variable's")?;
            if from.contains_key("secretKeyRef") {
                let source = mapping(&from, "secretKeyRef", "valueFrom's")?;
                let (secret, key) = (
                    named(&source, "name", "secretKeyRef's")?,
                    named(&source, "key", "secretKeyRef's")?,
                );
                self.key(namespace, secret, key, &name, is_optional(&source)?);
                values.remove(&name);
            } else if from.contains_key("configMapKeyRef") {
                let source = mapping(&from, "configMapKeyRef", "valueFrom's")?;
                let key = named(&source, "key", "configMapKeyRef's")?;
                let found = map(
                    named(&source, "name", "configMapKeyRef's")?,
                    is_optional(&source)?,
                )?;
                if let Some(value) = found
                    .and_then(|map| map.get(key.as_str()))
                    .and_then(Value::as_str)
                {
                    values.insert(name, value.to_owned());
                }
            } else {
                values.insert(
                    name,
                    text(&variable, "value", "the variable's")?.unwrap_or_default(),
                );
            }
        }
        let mut values: Vec<(String, String)> = values.into_iter().collect();
        for part in ["command", "args"] {
            for argument in list(container, part, "the container's")? {
                let argument = argument
                    .as_str()
                    .with_context(|| format!("an entry of `{part}` is not a text"))?;
                let (name, value) = argument.split_once('=').unwrap_or((part, argument));
                values.push((name.to_owned(), value.to_owned()));
            }
        }
        Ok(values)
    }

    /// Notes which keys are read as files.
    fn files(
        &mut self,
        container: &Mapping,
        namespace: &str,
        volumes: &BTreeMap<String, Vec<Mounted>>,
        values: &[(String, String)],
    ) -> anyhow::Result<()> {
        for mount in mappings(container, "volumeMounts", "the container's")? {
            let volume = named(&mount, "name", "the mount's")?;
            let path = named(&mount, "mountPath", "the mount's")?;
            let path = path.trim_end_matches('/');
            let file = text(&mount, "subPath", "the mount's")?.filter(|file| !file.is_empty());
            let sources = volumes
                .get(&volume)
                .with_context(|| format!("the volume `{volume}` is not in the pod"))?;
            for source in sources {
                let mut names = false;
                for (reader, value) in values {
                    let inside = match &file {
                        Some(file) if value == path => Some(file.as_str()),
                        Some(_) => None,
                        None => value.strip_prefix(path).and_then(|rest| rest.strip_prefix('/')),
                    };
                    if let Some(key) = inside.and_then(|inside| source.key(inside)) {
                        self.key(namespace, source.secret.clone(), key, reader, source.optional);
                        names = true;
                    }
                }
                if !names {
                    bail!(
                        "the Secret `{}` is mounted at {path}, and no setting names a file of it",
                        source.secret
                    );
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
