//! The engine on a workload, and its stages alone.

use crate::workloads::{Expected, Workload};
use policy_bytecode::bundle::Bundle;
use policy_bytecode::verify::{HostLimits, verify};
use policy_compiler::{Compiled, OptLevel, Options};
use policy_grammar::{SourceFile, SourceMap};
use policy_runtime::{DeriveMode, EvaluateOptions, PolicyEngine, Worker};
use policy_vm::{AsSent, LoadedModule, Scratch};
use std::borrow::Cow;

/// Compiles the policy of a workload; the text of its errors where it does not compile.
///
/// # Errors
///
/// One line for all problems.
pub fn compile(policy: &str, level: OptLevel) -> Result<Compiled, String> {
    let mut sources = SourceMap::new();
    for (i, part) in parts(policy).into_iter().enumerate() {
        sources.add(SourceFile::new(format!("policy-{i}.yaml"), part));
    }
    let options = Options {
        opt_level: level,
        ..Options::default()
    };
    policy_compiler::compile(&sources, &options).map_err(|failed| failed.to_string())
}

/// The policy as files that are not too large: one, or as many as its rules need, each a policy of its own.
fn parts(policy: &str) -> Vec<Cow<'_, str>> {
    const RULES: usize = 50_000;
    let starts: Vec<usize> = policy.match_indices("\n- id: ").map(|(at, _)| at + 1).collect();
    let (Some(first), Some(id)) = (
        starts.first(),
        policy.lines().find(|line| line.starts_with("  id: ")),
    ) else {
        return vec![Cow::Borrowed(policy)];
    };
    if starts.len() <= RULES {
        return vec![Cow::Borrowed(policy)];
    }
    starts
        .iter()
        .step_by(RULES)
        .enumerate()
        .map(|(i, from)| {
            let to = starts.get((i + 1) * RULES).copied().unwrap_or(policy.len());
            let head = policy[..*first].replacen(id, &format!("{id}-{i}"), 1);
            Cow::Owned(head + &policy[*from..to])
        })
        .collect()
}

/// From policy text to the bytes of a bundle.
///
/// # Errors
///
/// One line for all problems.
pub fn bundle(policy: &str) -> Result<Vec<u8>, String> {
    compile(policy, OptLevel::O2)?
        .to_bundle()
        .map_err(|e| e.to_string())
}

/// An engine on a bundle that derives nothing, as gateways use it that send their own counts.
///
/// # Errors
///
/// One line.
pub fn engine(bundle: &[u8]) -> Result<PolicyEngine, String> {
    PolicyEngine::builder()
        .bundle(bundle)
        .derive(DeriveMode::Never)
        .build()
        .map_err(|e| e.to_string())
}

/// What `engine` decides on a request: the decision of its JSON response and the first rule that it names.
///
/// # Errors
///
/// One line, when the request is refused or the response is not the JSON that it should be.
pub fn decision(engine: &PolicyEngine, worker: &mut Worker, body: &[u8]) -> Result<Expected, String> {
    let evaluated = engine
        .evaluate_into(worker, body, &EvaluateOptions::default())
        .map_err(|e| e.to_string())?;
    let response: serde_json::Value = serde_json::from_str(evaluated.json).map_err(|e| e.to_string())?;
    let decision = &response["decision"];
    let text = |value: &serde_json::Value| value.as_str().map(str::to_owned);
    Ok(Expected {
        decision: text(&decision["decision"]).ok_or("the response holds no decision")?,
        rule: text(&decision["matchedRules"][0]),
    })
}

/// Holds every request of a workload against its expected decision.
///
/// # Errors
///
/// The first request that got another one.
pub fn check(engine: &PolicyEngine, workload: &Workload) -> Result<(), String> {
    let mut worker = Worker::new();
    if workload.contexts.is_empty() || workload.contexts.len() != workload.expected.len() {
        return Err(format!(
            "{}: requests and expected decisions do not pair up",
            workload.name
        ));
    }
    for (i, (body, expected)) in workload.contexts.iter().zip(&workload.expected).enumerate() {
        let found = decision(engine, &mut worker, body)?;
        if found != *expected {
            return Err(format!(
                "{}: request {i} got {found:?} instead of {expected:?}",
                workload.name
            ));
        }
    }
    Ok(())
}

/// Reading a request alone: the first of the two halves of an evaluation.
#[derive(Debug)]
pub struct Projection {
    module: LoadedModule,
    scratch: Scratch,
}

impl Projection {
    /// For the module of a bundle.
    ///
    /// # Errors
    ///
    /// One line.
    pub fn of_bundle(bytes: &[u8]) -> Result<Self, String> {
        let bundle = Bundle::decode(bytes).map_err(|e| e.to_string())?;
        let module = verify(bundle.module, &HostLimits::default()).map_err(|e| e.to_string())?;
        let shown = bundle.manifest.fields();
        let module = LoadedModule::showing(&module, &shown).map_err(|e| e.to_string())?;
        Ok(Self {
            module,
            scratch: Scratch::new(),
        })
    }

    /// Reads the fields of one request; whether it could be read.
    pub fn run(&mut self, body: &[u8]) -> bool {
        self.module.begin(&mut self.scratch, &mut AsSent, body).is_ok()
    }
}
