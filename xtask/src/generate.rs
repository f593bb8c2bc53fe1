//! `cargo xtask gen`: the pages that are expansions of tables in code, and the manifests under `k8s/` that are renderings of
//! their sources.

use crate::k8s::render::{self, Rendered};
use crate::pages;
use anyhow::{Context as _, bail};
use policy_server::config::table;
use similar::TextDiff;
use std::fs;
use std::path::Path;

/// Makes the text of a page of the repository at a path.
type Make = fn(&Path) -> anyhow::Result<String>;

/// Every generated page and what makes it.
const PAGES: &[(&str, Make)] = &[
    (".env.example", |_| Ok(table::env_example())),
    ("docs/isa.md", |_| Ok(policy_bytecode::isa_doc::isa_markdown())),
    ("docs/errors.md", |_| Ok(pages::errors())),
    ("docs/context.md", |_| Ok(pages::context())),
    ("docs/cli.md", |_| Ok(policyc::reference())),
    ("docs/policy.schema.json", |_| {
        pages::json(&policyc::policy_schema())
    }),
    ("docs/policy-test.schema.json", |_| {
        pages::json(&policyc::test_schema())
    }),
    ("docs/prices.schema.json", |_| {
        pages::json(&policyc::prices_schema())
    }),
    (pages::CONFIGURATION, pages::configuration),
    (pages::OBSERVABILITY, pages::observability),
    (pages::API_ERRORS, pages::api_errors),
    ("docs/openapi.json", |_| {
        Ok(policy_server::http::document().to_pretty_json()?)
    }),
    // Before what is rendered from it.
    (
        "k8s/kustomize/components/prometheus-operator/prometheus-rule.yaml",
        |_| Ok(render::prometheus_rule()),
    ),
    ("k8s/helm/llm-policy-engine/files/alerts.yaml", |_| {
        Ok(render::chart_alerts())
    }),
];

/// Lines of a difference that are shown.
const SHOWN: usize = 40;

pub(crate) fn run(root: &Path, check: bool) -> anyhow::Result<()> {
    let mut stale = Vec::new();
    for (name, make) in PAGES {
        let text = make(root).with_context(|| format!("cannot make {name}"))?;
        page(root, name, Some(text), check, &mut stale)?;
    }
    match render::render(root)? {
        Rendered::Files(files) => {
            for (name, text) in files {
                page(root, &name, text, check, &mut stale)?;
            }
        }
        Rendered::Skipped(why) => eprintln!("skipped: k8s/*.yaml is not rendered: {why}"),
    }
    if check && !stale.is_empty() {
        bail!(
            "out of date: {}; run `cargo xtask gen` and commit the result",
            stale.join(", ")
        );
    }
    Ok(())
}

/// Writes one page, or compares it; without a text, the page must not be there.
fn page(
    root: &Path,
    name: &str,
    text: Option<String>,
    check: bool,
    stale: &mut Vec<String>,
) -> anyhow::Result<()> {
    let path = root.join(name);
    let Some(mut wanted) = text else {
        stale.push(name.to_owned());
        if check {
            eprintln!("{name}: nothing makes this file");
            return Ok(());
        }
        fs::remove_file(&path).with_context(|| format!("cannot remove {}", path.display()))?;
        eprintln!("removed {name}");
        return Ok(());
    };
    wanted.truncate(wanted.trim_end().len());
    wanted.push('\n');
    let present = fs::read_to_string(&path).unwrap_or_default();
    if present == wanted {
        return Ok(());
    }
    stale.push(name.to_owned());
    if check {
        let diff = TextDiff::from_lines(&present, &wanted)
            .unified_diff()
            .header(name, "generated")
            .to_string();
        let shown: Vec<&str> = diff.lines().take(SHOWN).collect();
        eprintln!("{}", shown.join("\n"));
        if diff.lines().count() > SHOWN {
            eprintln!("… and more");
        }
        return Ok(());
    }
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    }
    fs::write(&path, wanted).with_context(|| format!("cannot write {}", path.display()))?;
    eprintln!("wrote {name}");
    Ok(())
}
