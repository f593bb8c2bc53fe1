//! `cargo xtask gen`: the pages that are expansions of tables in code.

use crate::{pages, settings};
use anyhow::{Context as _, bail};
use similar::TextDiff;
use std::fs;
use std::path::Path;

/// Makes the text of a page.
type Make = fn() -> anyhow::Result<String>;

/// Every generated page and what makes it.
const PAGES: &[(&str, Make)] = &[
    (".env.example", || Ok(settings::env_example())),
    ("docs/isa.md", || Ok(policy_bytecode::isa_doc::isa_markdown())),
    ("docs/errors.md", || Ok(pages::errors())),
    ("docs/context.md", || Ok(pages::context())),
    ("docs/cli.md", || Ok(policyc::reference())),
    ("docs/policy.schema.json", || {
        pages::json(&policyc::policy_schema())
    }),
    ("docs/policy-test.schema.json", || {
        pages::json(&policyc::test_schema())
    }),
    ("docs/prices.schema.json", || {
        pages::json(&policyc::prices_schema())
    }),
];

/// Lines of a difference that are shown.
const SHOWN: usize = 40;

pub(crate) fn run(root: &Path, check: bool) -> anyhow::Result<()> {
    let mut stale = Vec::new();
    for (name, make) in PAGES {
        let path = root.join(name);
        let mut wanted = make().with_context(|| format!("cannot make {name}"))?;
        wanted.truncate(wanted.trim_end().len());
        wanted.push('\n');
        let present = fs::read_to_string(&path).unwrap_or_default();
        if present == wanted {
            continue;
        }
        stale.push(*name);
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
            continue;
        }
        fs::write(&path, wanted).with_context(|| format!("cannot write {}", path.display()))?;
        eprintln!("wrote {name}");
    }
    if check && !stale.is_empty() {
        bail!(
            "out of date: {}; run `cargo xtask gen` and commit the result",
            stale.join(", ")
        );
    }
    Ok(())
}
