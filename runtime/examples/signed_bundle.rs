//! Accepts only bundles that a key signed. The bundle is made here so that the example stands alone; a deployment has
//! `policyc keygen -o team` and `policyc build policies/ -o policies.bundle --sign team.pem` make key and bundle, and ships
//! `team.pub.pem` with the program.
//!
//! `cargo run -p policy-runtime --example signed_bundle`

use policy_bytecode::bundle;
use policy_compiler::Options;
use policy_grammar::{SourceFile, SourceMap};
use policy_runtime::{PolicyEngine, PrivateKey, PublicKey};
use std::error::Error;

fn built(limit: u32) -> Result<Vec<u8>, Box<dyn Error>> {
    let mut sources = SourceMap::new();
    sources.add(SourceFile::new(
        "limits.yaml",
        format!(
            "metadata: {{ id: limits, name: Limits }}\nrules:\n  - id: cap\n    \
             condition: {{ operator: gt, field: llm.maxTokens, value: {limit} }}\n    action: {{ decision: deny }}\n"
        ),
    ));
    let compiled =
        policy_compiler::compile(&sources, &Options::default()).map_err(|_| "the policies do not compile")?;
    Ok(compiled.to_bundle()?)
}

pub(crate) fn main() -> Result<(), Box<dyn Error>> {
    let (ours, theirs) = (PrivateKey::from_seed(&[1; 32]), PrivateKey::from_seed(&[2; 32]));
    let trusted = PublicKey::from_pem(&ours.public().to_pem()?)?;
    let engine = PolicyEngine::builder()
        .bundle(bundle::sign(&built(1000)?, &ours)?)
        .trusted_keys([trusted])
        .build()?;
    let request = br#"{"llm": {"maxTokens": 500}}"#;
    assert!(engine.evaluate_json(request)?.decision.allowed);

    // Neither an unsigned bundle nor one that somebody else signed takes the place of the one that decides.
    for refused in [built(10)?, bundle::sign(&built(10)?, &theirs)?] {
        match engine.activate_bundle(&refused) {
            Err(error) => println!("refused: {error}"),
            Ok(()) => return Err("a bundle without a trusted signature was accepted".into()),
        }
    }
    assert!(engine.evaluate_json(request)?.decision.allowed);

    engine.activate_bundle(&bundle::sign(&built(100)?, &ours)?)?;
    let response = engine.evaluate_json(request)?;
    println!(
        "{} under {}",
        response.decision.decision.as_str(),
        response.bundle.revision
    );
    assert!(!response.decision.allowed);
    Ok(())
}
