//! Decides inside of tokio: short requests where they come, long ones beside the async threads, both with an end.
//!
//! `cargo run -p policy-runtime --example async_gateway`

use policy_runtime::{EvaluateError, EvaluateOptions, PolicyEngine, Response, Stop};
use std::error::Error;
use std::time::{Duration, Instant};
use tokio::task::{JoinSet, spawn_blocking};

/// From this size on, a request is decided beside the async threads.
const LONG: usize = 256 << 10;

const POLICY: &str = "
metadata: { id: secrets, name: Secrets }
rules:
  - id: no-keys
    condition: { operator: contains, field: llm.piiTypes, value: api_key }
    action: { decision: deny, reason: take the key out of the prompt }
";

async fn decide(engine: PolicyEngine, request: Vec<u8>) -> Result<Response, EvaluateError> {
    let is_long = request.len() > LONG;
    let stop = Stop::at(Instant::now() + Duration::from_secs(30));
    let decide = move || {
        let options = EvaluateOptions {
            stop: Some(&stop),
            ..EvaluateOptions::default()
        };
        engine.evaluate_json_with(&request, &options)
    };
    if !is_long {
        return decide();
    }
    // A task that cannot end has decided nothing.
    spawn_blocking(decide)
        .await
        .unwrap_or(Err(EvaluateError::Stopped))
}

async fn serve() -> Result<(), Box<dyn Error>> {
    let engine = PolicyEngine::builder().policies_from_yaml(POLICY)?.build()?;
    let key = format!("sk-{}", "aB3dE5gH7jK9mN1pQ2rS4tU6".repeat(2));
    let mut requests = JoinSet::new();
    for n in 0..16 {
        // Every fourth one is long, and every other one holds a key.
        let filler = if n % 4 == 0 {
            "words and more words ".repeat(LONG / 16)
        } else {
            String::new()
        };
        let text = if n % 2 == 0 {
            format!("{filler}my api key is {key}")
        } else {
            filler
        };
        let request = serde_json::to_vec(&serde_json::json!({"llm": {"prompt": text}}))?;
        let engine = engine.clone();
        requests.spawn(async move { (n, decide(engine, request).await) });
    }
    let mut denied = Vec::new();
    while let Some(done) = requests.join_next().await {
        let (n, response) = done?;
        // Whatever is no decision is a refusal.
        if !response.is_ok_and(|response| response.decision.allowed) {
            denied.push(n);
        }
    }
    denied.sort_unstable();
    println!("denied: {denied:?}");
    assert_eq!(denied, (0..16).step_by(2).collect::<Vec<_>>());
    Ok(())
}

pub(crate) fn main() -> Result<(), Box<dyn Error>> {
    tokio::runtime::Builder::new_multi_thread()
        .build()?
        .block_on(serve())
}
