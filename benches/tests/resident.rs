//! A process with every example policy loaded and both tokenizers in use stays small.
//!
//! A test binary of its own: other tests in the process would count.

use policy_benches::machine;
use policy_primitives::tokens::{self, TokenScratch};
use policy_runtime::PolicyEngine;
use std::path::Path;

#[test]
fn all_examples_and_both_tokenizers_fit_in_100_megabytes() {
    if machine::resident_bytes().is_none() {
        println!("skipped: this system does not tell how much memory a process holds");
        return;
    }
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/policies");
    let Ok(files) = std::fs::read_dir(&folder) else {
        println!("skipped: there is no {}", folder.display());
        return;
    };
    let mut paths: Vec<_> = files.map(|entry| entry.unwrap().path()).collect();
    paths.retain(|p| {
        p.to_str()
            .is_some_and(|p| p.ends_with(".yaml") && !p.ends_with("_test.yaml"))
    });
    paths.sort();
    assert!(paths.len() >= 20, "{} examples", paths.len());

    let mut builder = PolicyEngine::builder();
    for path in &paths {
        let name = path.file_name().unwrap().to_str().unwrap();
        builder = builder
            .policies_from_source(name, &std::fs::read_to_string(path).unwrap())
            .unwrap();
    }
    let engine = builder.build().unwrap();
    let text = "Explain the refund policy to this customer in two sentences, politely. ".repeat(500);
    let mut scratch = TokenScratch::new();
    for model in ["gpt-4o", "gpt-4-0613", "claude-sonnet-4-5"] {
        let body = format!(
            r#"{{"llm":{{"provider":"openai","model":"{model}","prompt":"{text}"}},"team":{{"tier":"free"}},"user":{{"id":"u"}}}}"#
        );
        engine.evaluate_json(body).unwrap();
        // Whether an example got as far as counting or not.
        tokens::count(&text, tokens::family_for(model), &mut scratch);
    }
    let megabytes = machine::resident_bytes().unwrap() as f64 / 1e6;
    println!("{} policies, {megabytes:.1} MB", paths.len());
    assert!(megabytes < 100.0, "{megabytes:.1} MB");
}
