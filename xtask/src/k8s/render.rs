//! Makes `k8s/*.yaml` of the production overlay, for `cargo xtask gen`.
//!
//! `kubectl kustomize` puts the overlay together; which object goes to which file, in which order and in which form, is decided
//! here, so that the version of kubectl changes no byte. Files are numbered in the order in which their objects need each other:
//! `kubectl apply -f k8s/` goes by name. There is no kustomization.yaml beside them, which `apply` would take for an object.

use super::objects::Set;
use super::yaml;
use anyhow::{Context as _, bail};
use serde_json::Value;
use std::env;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::Path;
use std::process::Command;

/// What is rendered.
const OVERLAY: &str = "k8s/kustomize/overlays/production";

/// Minor version of the first kubectl whose kustomize knows components.
const COMPONENTS: u32 = 21;

/// Which file holds which kinds.
const FILES: &[(&str, &[&str])] = &[
    ("00-namespace.yaml", &["Namespace"]),
    // Before the pods: nothing reaches one that is not meant to.
    ("10-access.yaml", &["ServiceAccount", "NetworkPolicy"]),
    ("20-config.yaml", &["ConfigMap"]),
    (
        "30-deployment.yaml",
        &["PersistentVolumeClaim", "Deployment", "StatefulSet"],
    ),
    ("40-services.yaml", &["Service"]),
    (
        "50-availability.yaml",
        &["HorizontalPodAutoscaler", "PodDisruptionBudget"],
    ),
    (
        "60-ingress.yaml",
        &["Ingress", "Gateway", "HTTPRoute", "GRPCRoute"],
    ),
    ("70-monitoring.yaml", &["PodMonitor", "PrometheusRule"]),
];

/// The first lines of each file.
const HEAD: &str = "# Rendered by `cargo xtask gen` from k8s/kustomize/overlays/production. Do not edit.\n";

/// The rendered files, by their names in the repository, `None` for one that should not be there; or why nothing can be
/// rendered.
#[derive(Debug)]
pub(crate) enum Rendered {
    Files(Vec<(String, Option<String>)>),
    Skipped(String),
}

pub(crate) fn render(root: &Path) -> anyhow::Result<Rendered> {
    let kubectl = env::var_os("KUBECTL").unwrap_or_else(|| OsString::from("kubectl"));
    let output = Command::new(&kubectl)
        .args(["kustomize", OVERLAY])
        .current_dir(root)
        .output();
    let output = match output {
        Ok(output) => output,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound && env::var_os("KUBECTL").is_none() => {
            return Ok(Rendered::Skipped(
                "kubectl is not installed (or set KUBECTL)".to_owned(),
            ));
        }
        Err(error) => return Err(error).with_context(|| format!("cannot run {}", kubectl.display())),
    };
    if !output.status.success() {
        if let Some(minor) = minor(&kubectl)
            && minor < COMPONENTS
        {
            return Ok(Rendered::Skipped(format!(
                "kubectl 1.{minor} knows no components, 1.{COMPONENTS} does"
            )));
        }
        bail!(
            "kubectl kustomize {OVERLAY}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
    let mut set = Set::default();
    set.add(OVERLAY, &String::from_utf8(output.stdout)?);
    let mut files = split(&set)?;
    for entry in fs::read_dir(root.join("k8s"))? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        let name = format!("k8s/{name}");
        if name.ends_with(".yaml") && !files.iter().any(|(file, _)| *file == name) {
            files.push((name, None));
        }
    }
    Ok(Rendered::Files(files))
}

/// Minor version of kubectl; `None` where it does not say.
fn minor(kubectl: &OsStr) -> Option<u32> {
    let output = Command::new(kubectl)
        .args(["version", "--client", "--output=json"])
        .output()
        .ok()?;
    let version: Value = serde_json::from_slice(&output.stdout).ok()?;
    // Some builds write `20+`.
    let text = version.pointer("/clientVersion/minor")?.as_str()?;
    text.trim_end_matches('+').parse().ok()
}

fn split(set: &Set) -> anyhow::Result<Vec<(String, Option<String>)>> {
    if let Some((file, problem)) = set.problems.first() {
        bail!("{file}: {problem}");
    }
    for object in &set.objects {
        if !FILES.iter().any(|(_, kinds)| kinds.contains(&object.kind())) {
            bail!(
                "{}: no file for this kind; add it to FILES in xtask/src/k8s/render.rs",
                object.label()
            );
        }
    }
    let mut files = Vec::new();
    for (file, kinds) in FILES {
        let documents: Vec<String> = kinds
            .iter()
            .flat_map(|kind| set.of(kind))
            .map(|object| yaml::document(&object.value))
            .collect();
        if !documents.is_empty() {
            files.push((
                format!("k8s/{file}"),
                Some(format!("{HEAD}{}", documents.join("---\n"))),
            ));
        }
    }
    Ok(files)
}

/// `PrometheusRule` of the alerts that stand in `server/observability/alerts.yaml`.
pub(crate) fn prometheus_rule() -> String {
    let mut out = String::from(
        "# Written by `cargo xtask gen` from server/observability/alerts.yaml. Do not edit.\n\
         apiVersion: monitoring.coreos.com/v1\n\
         kind: PrometheusRule\n\
         metadata:\n  \
           name: llm-policy-engine\n  \
           namespace: llm-devops\n  \
           labels:\n    \
             app: llm-policy-engine\n    \
             app.kubernetes.io/name: llm-policy-engine\n    \
             app.kubernetes.io/part-of: llm-devops\n\
         spec:\n",
    );
    for line in ALERTS.lines().skip_while(|line| line.starts_with('#')) {
        if !line.is_empty() {
            out.push_str("  ");
            out.push_str(line);
        }
        out.push('\n');
    }
    out
}

/// The alerts as the chart ships them.
pub(crate) fn chart_alerts() -> String {
    let body: Vec<&str> = ALERTS.lines().skip_while(|line| line.starts_with('#')).collect();
    format!(
        "# Written by `cargo xtask gen` from server/observability/alerts.yaml. Do not edit.\n{}",
        body.join("\n")
    )
}

const ALERTS: &str = include_str!("../../../server/observability/alerts.yaml");

#[cfg(test)]
mod tests {
    use super::split;
    use crate::k8s::objects::Set;

    #[test]
    fn files_are_numbered_and_a_kind_without_a_file_is_refused() {
        let mut set = Set::default();
        set.add(
            "x",
            "{kind: Service, metadata: {name: s}}\n---\n{kind: Namespace, metadata: {name: n}}\n",
        );
        let files = split(&set).unwrap();
        let names: Vec<&str> = files.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["k8s/00-namespace.yaml", "k8s/40-services.yaml"]);
        set.add("x", "{kind: Role, metadata: {name: r}}\n");
        assert!(split(&set).unwrap_err().to_string().contains("Role/r"));
    }
}
