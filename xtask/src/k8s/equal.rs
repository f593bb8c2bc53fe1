//! Whether two sets of manifests are the same objects, whatever their order and their files.
//!
//! What says that Helm installed an object, and what makes it replace pods when settings change, is not compared.

use super::objects::{Object, Set};
use super::yaml;
use anyhow::bail;
use serde_json::Value;
use similar::TextDiff;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Labels and annotations that only Helm sets.
const OF_HELM: &[&str] = &[
    "helm.sh/chart",
    "app.kubernetes.io/instance",
    "app.kubernetes.io/managed-by",
    "app.kubernetes.io/version",
    "checksum/config",
];

pub(crate) fn run(a: &Path, b: &Path, without: &[String]) -> anyhow::Result<()> {
    let (first, second) = (objects(a, without)?, objects(b, without)?);
    let differences = differences(
        &first,
        &second,
        (&a.display().to_string(), &b.display().to_string()),
    );
    for difference in &differences {
        eprintln!("{difference}");
    }
    if !differences.is_empty() {
        bail!("{} objects differ", differences.len());
    }
    println!("{} objects, equal", first.len());
    Ok(())
}

/// The texts of the objects, by kind, namespace and name.
type Texts = BTreeMap<(String, String, String), String>;

fn objects(path: &Path, without: &[String]) -> anyhow::Result<Texts> {
    let set = Set::read(&[PathBuf::from(path)])?;
    if let Some((file, problem)) = set.problems.first() {
        bail!("{file}: {problem}");
    }
    if set.objects.is_empty() {
        bail!("no manifest found in {}", path.display());
    }
    texts(&set, without)
}

pub(crate) fn texts(set: &Set, without: &[String]) -> anyhow::Result<Texts> {
    let mut texts = Texts::new();
    for object in set
        .objects
        .iter()
        .filter(|o| !without.iter().any(|k| k == o.kind()))
    {
        let key = (
            object.kind().to_owned(),
            object.namespace().to_owned(),
            object.name().to_owned(),
        );
        if texts.insert(key, comparable(object)).is_some() {
            bail!("{}: {} is there twice", object.file, object.label());
        }
    }
    Ok(texts)
}

/// One text for each object that is missing or other, `names` are those of the two sets.
pub(crate) fn differences(a: &Texts, b: &Texts, names: (&str, &str)) -> Vec<String> {
    let mut out = Vec::new();
    for (key, text) in a {
        let (kind, _, name) = key;
        match b.get(key) {
            None => out.push(format!("{kind}/{name}: not in {}", names.1)),
            Some(other) if other == text => {}
            Some(other) => out.push(format!(
                "{kind}/{name}:\n{}",
                TextDiff::from_lines(text, other)
                    .unified_diff()
                    .header(names.0, names.1)
            )),
        }
    }
    for (kind, _, name) in b.keys().filter(|key| !a.contains_key(*key)) {
        out.push(format!("{kind}/{name}: not in {}", names.0));
    }
    out
}

fn comparable(object: &Object) -> String {
    let mut value = object.value.clone();
    for pointer in ["/metadata", "/spec/template/metadata"] {
        let Some(Value::Object(metadata)) = value.pointer_mut(pointer) else {
            continue;
        };
        for part in ["labels", "annotations"] {
            if let Some(Value::Object(map)) = metadata.get_mut(part) {
                map.retain(|key, _| !OF_HELM.contains(&key.as_str()));
                if map.is_empty() {
                    metadata.remove(part);
                }
            }
        }
    }
    yaml::document(&value)
}
