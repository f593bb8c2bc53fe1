//! Manifests as objects: what the files of a folder hold, in the order in which `kubectl apply -f` takes them.

use anyhow::{Context as _, bail};
use serde::Deserialize as _;
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};

/// Nothing.
const NULL: &Value = &Value::Null;

/// One object of a manifest.
#[derive(Debug, Clone)]
pub(crate) struct Object {
    /// The file that it stands in.
    pub(crate) file: String,
    /// All of it.
    pub(crate) value: Value,
}

impl Object {
    pub(crate) fn kind(&self) -> &str {
        self.text("/kind")
    }

    pub(crate) fn name(&self) -> &str {
        self.text("/metadata/name")
    }

    pub(crate) fn namespace(&self) -> &str {
        self.text("/metadata/namespace")
    }

    /// How messages name it.
    pub(crate) fn label(&self) -> String {
        format!("{}/{}", self.kind(), self.name())
    }

    /// What stands at a JSON pointer; null where nothing does.
    pub(crate) fn at(&self, pointer: &str) -> &Value {
        at(&self.value, pointer)
    }

    /// The text at a JSON pointer; empty where there is none.
    pub(crate) fn text(&self, pointer: &str) -> &str {
        text(&self.value, pointer)
    }
}

/// What stands at a JSON pointer; null where nothing does.
pub(crate) fn at<'v>(value: &'v Value, pointer: &str) -> &'v Value {
    value.pointer(pointer).unwrap_or(NULL)
}

/// The text at a JSON pointer; empty where there is none.
pub(crate) fn text<'v>(value: &'v Value, pointer: &str) -> &'v str {
    at(value, pointer).as_str().unwrap_or_default()
}

/// The elements of the list at a JSON pointer; none where there is no list.
pub(crate) fn list<'v>(value: &'v Value, pointer: &str) -> &'v [Value] {
    at(value, pointer).as_array().map_or(&[], Vec::as_slice)
}

/// Objects that are applied together.
#[derive(Debug, Clone, Default)]
pub(crate) struct Set {
    /// In order of files, and within a file.
    pub(crate) objects: Vec<Object>,
    /// Files that cannot be read as manifests, and why.
    pub(crate) problems: Vec<(String, String)>,
}

impl Set {
    /// Reads files, and of folders every `*.yaml`, `*.yml` and `*.json` in them, as `kubectl apply -f` does: folders below are
    /// not looked at.
    pub(crate) fn read(paths: &[PathBuf]) -> anyhow::Result<Self> {
        let mut set = Self::default();
        for path in paths {
            if path.is_dir() {
                let mut files: Vec<PathBuf> = fs::read_dir(path)
                    .with_context(|| format!("cannot list {}", path.display()))?
                    .map(|entry| entry.map(|e| e.path()))
                    .collect::<Result<_, _>>()?;
                files.retain(|file| {
                    let ending = file.extension().and_then(|e| e.to_str()).unwrap_or_default();
                    file.is_file() && ["yaml", "yml", "json"].contains(&ending)
                });
                files.sort();
                for file in files {
                    set.read_file(&file)?;
                }
            } else if path.is_file() {
                set.read_file(path)?;
            } else {
                bail!("{} is no file and no folder", path.display());
            }
        }
        Ok(set)
    }

    fn read_file(&mut self, path: &Path) -> anyhow::Result<()> {
        let name = path.display().to_string();
        let text = fs::read_to_string(path).with_context(|| format!("cannot read {name}"))?;
        self.add(&name, &text);
        Ok(())
    }

    /// Adds the objects of a text.
    pub(crate) fn add(&mut self, file: &str, text: &str) {
        for document in serde_yaml::Deserializer::from_str(text) {
            // Not read to JSON at once, which would keep the last of two equal keys.
            let value = serde_yaml::Value::deserialize(document)
                .map_err(|error| error.to_string())
                .and_then(|value| serde_json::to_value(value).map_err(|error| error.to_string()));
            match value {
                Ok(Value::Null) => {}
                Ok(value) if value.is_object() => self.objects.push(Object {
                    file: file.to_owned(),
                    value,
                }),
                Ok(_) => self
                    .problems
                    .push((file.to_owned(), "a document is no object".to_owned())),
                Err(error) => {
                    // What stands behind it cannot be told.
                    self.problems.push((file.to_owned(), error));
                    return;
                }
            }
        }
    }

    /// Objects of a kind.
    pub(crate) fn of<'s>(&'s self, kind: &'s str) -> impl Iterator<Item = &'s Object> {
        self.objects.iter().filter(move |object| object.kind() == kind)
    }

    /// The object of a kind, by namespace and name.
    pub(crate) fn find(&self, kind: &str, namespace: &str, name: &str) -> Option<&Object> {
        self.objects
            .iter()
            .find(|o| o.kind() == kind && o.namespace() == namespace && o.name() == name)
    }
}
