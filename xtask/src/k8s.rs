//! `cargo xtask k8s`: what no validator of Kubernetes manifests finds, because it takes two objects, or `policyd`, to see it.
//!
//! Files are read to [`Set`]s of objects ([`objects`]), each rule of [`rules::RULES`] looks at a set, and what it finds names the
//! file, the object, the rule, and what to do. `--equal` compares two sets, which holds the Helm chart to the manifests.
//! [`render`] makes `k8s/*.yaml` from the kustomize sources for `cargo xtask gen`.
//!
//! # Invariants
//!
//! - What is not understood (an object of a kind that no rule knows, a value that cannot be read) is a finding, never passed over.
//! - Nothing here asks a cluster; schemas are the business of `kubernetes-validate` (`ci/k8s.sh`).

mod equal;
mod finding;
mod objects;
mod pod;
mod quantity;
pub(crate) mod render;
mod rules;
#[cfg(test)]
mod tests;
mod yaml;

use anyhow::{Context as _, bail};
use clap::Args;
use objects::Set;
use rules::Facts;
use std::path::{Path, PathBuf};

/// Connections that PostgreSQL gives by default to others than its superusers: `max_connections` 100, of which 3 are reserved.
const CONNECTIONS: u64 = 97;

/// Check Kubernetes manifests
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Files, and folders of which every `*.yaml` is read; `k8s` by default
    paths: Vec<PathBuf>,
    /// Compare two sets of manifests as objects instead
    #[arg(long, num_args = 2, value_names = ["A", "B"], conflicts_with = "paths")]
    equal: Vec<PathBuf>,
    /// Leave objects of this kind out of the comparison
    #[arg(long, requires = "equal", value_name = "KIND")]
    without: Vec<String>,
    /// Connections that the database gives to all pods together
    #[arg(long, default_value_t = CONNECTIONS, value_name = "NUMBER")]
    connections: u64,
    /// A Secret that exists beside those of `policyd`, with its keys
    #[arg(long, value_name = "NAME:KEY,…")]
    secret: Vec<String>,
    /// List the rules instead
    #[arg(long)]
    rules: bool,
}

pub(crate) fn run(root: &Path, arguments: &Arguments) -> anyhow::Result<()> {
    if arguments.rules {
        for rule in rules::RULES {
            println!("{:15} {}", rule.name, rule.finds);
        }
        return Ok(());
    }
    if let [a, b] = arguments.equal.as_slice() {
        return equal::run(a, b, &arguments.without);
    }
    let paths = if arguments.paths.is_empty() {
        vec![root.join("k8s")]
    } else {
        arguments.paths.clone()
    };
    let mut facts = Facts::new(arguments.connections);
    for secret in &arguments.secret {
        let (name, keys) = secret
            .split_once(':')
            .with_context(|| format!("--secret {secret}: expected NAME:KEY,…"))?;
        facts.secret(name, keys.split(','));
    }
    let set = Set::read(&paths)?;
    if set.objects.is_empty() && set.problems.is_empty() {
        bail!("no manifest found in {}", display(&paths));
    }
    let findings = rules::check(&set, &facts);
    for finding in &findings {
        eprintln!("{finding}");
    }
    if findings.is_empty() {
        println!(
            "{} objects in {}, {} rules: nothing found",
            set.objects.len(),
            display(&paths),
            rules::RULES.len()
        );
        return Ok(());
    }
    bail!("{} findings", findings.len())
}

fn display(paths: &[PathBuf]) -> String {
    let names: Vec<String> = paths.iter().map(|path| path.display().to_string()).collect();
    names.join(", ")
}
