//! Every conformance case on every engine configuration.
//!
//! `KNOWN_FAILURES` is exact: a case that starts to pass fails this test until its line is gone.

use policy_conformance::case::{self, Run};
use policy_conformance::engine::{Engine, Reference};
use policy_conformance::product::Product;
use std::collections::BTreeSet;
use std::path::Path;

/// `<engine>: <case>`; empty when everything conforms.
const KNOWN_FAILURES: &[&str] = &[];

#[test]
fn every_case_on_every_engine() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("cases");
    let cases = case::load_all(&directory).unwrap();
    assert!(cases.len() >= 150, "only {} cases were found", cases.len());
    let mut engines: Vec<Box<dyn Engine>> = vec![Box::new(Reference)];
    engines.extend(Product::all().into_iter().map(|p| Box::new(p) as Box<dyn Engine>));

    let known: BTreeSet<String> = KNOWN_FAILURES.iter().map(|s| (*s).to_owned()).collect();
    let mut failed = BTreeSet::new();
    let mut messages = Vec::new();
    let mut passed = 0;
    for engine in &engines {
        for case in &cases {
            match case.run(engine.as_ref()) {
                Run::Passed => passed += 1,
                Run::NotApplicable => {}
                Run::Failed(why) => {
                    let name = format!("{}: {}", engine.name(), case.name);
                    if !known.contains(&name) {
                        messages.push(format!("{name}\n    {why}"));
                    }
                    failed.insert(name);
                }
            }
        }
    }
    println!(
        "{} cases, {} engines, {passed} runs passed",
        cases.len(),
        engines.len()
    );
    let mended: Vec<&String> = known.difference(&failed).collect();
    assert!(
        messages.is_empty(),
        "{} runs failed:\n{}",
        messages.len(),
        messages.join("\n")
    );
    assert!(
        mended.is_empty(),
        "these pass now; take them off the list: {mended:?}"
    );
}
