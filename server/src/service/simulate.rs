//! Simulation: decisions with drafts, stored nowhere and counted nowhere.

use super::{Call, Service};
use crate::document::{self, Format, file_name};
use crate::error::{Code, Result, ServiceError};
use crate::identity::Scope;
use policy_compiler::Compiler;
use policy_runtime::{EvaluateOptions, Mode, Policies, Verb};
use std::borrow::Cow;

/// A policy that is to be tried.
#[derive(Debug, Clone)]
pub struct Draft {
    /// The document.
    pub source: String,
    /// Its language.
    pub format: Format,
}

/// A decision that was tried.
#[derive(Debug, Clone)]
pub struct Simulated {
    /// What would be decided.
    pub verb: Verb,
    /// The response of the contract, as JSON.
    pub json: String,
}

/// What to try.
#[derive(Debug, Clone)]
pub struct Simulation {
    /// Contexts as JSON.
    pub contexts: Vec<String>,
    /// Policies that take the place of the stored ones of the same ids, or come beside them.
    pub drafts: Vec<Draft>,
    /// Only these policies; ones that are not active are tried in their newest version.
    pub policies: Option<Vec<String>>,
    /// Only policies of this namespace and of `global`.
    pub namespace: Option<String>,
    /// Whether to explain every rule.
    pub trace: bool,
}

impl Service {
    /// Decides with the active policies, drafts in front, and asks every rule.
    ///
    /// # Errors
    ///
    /// `policy_invalid` with the problems of the drafts, `unknown_policy`, `read_only` while a bundle is active and no draft
    /// is given, and those of an evaluation.
    pub async fn simulate(
        &self,
        call: Call<'_>,
        mut simulation: Simulation,
    ) -> Result<Vec<Result<Simulated>>> {
        call.require(Scope::Read)?;
        let namespace = call
            .namespace(simulation.namespace.as_deref())?
            .map(str::to_owned);
        if simulation.contexts.len() > self.limits.batch {
            return Err(ServiceError::new(
                Code::TooLarge,
                format!(
                    "{} contexts, at most {} are taken",
                    simulation.contexts.len(),
                    self.limits.batch
                ),
            ));
        }
        let mut compiler = {
            let state = self.active.change().await;
            if state.bundle && simulation.drafts.is_empty() && simulation.policies.is_none() {
                return Err(ServiceError::new(
                    Code::ReadOnly,
                    "a bundle is active: give drafts, or ask for decisions",
                ));
            }
            state.compiler.clone()
        };
        for draft in std::mem::take(&mut simulation.drafts) {
            let (version, _) = self.check(draft.source, draft.format).await?;
            call.require_namespace(&version.namespace)?;
            set(&mut compiler, &version.id, &version.format, &version.source);
        }
        for id in simulation.policies.iter().flatten() {
            let known = ["yaml", "json"]
                .iter()
                .any(|f| compiler.file(&file_name(id, f)).is_some());
            if !known {
                let record = self.store.policy(id).await?;
                let record = record
                    .filter(|r| call.identity.may_read(&r.latest.namespace))
                    .ok_or_else(|| {
                        ServiceError::new(Code::UnknownPolicy, format!("policy `{id}` is not stored"))
                    })?;
                set(&mut compiler, id, &record.latest.format, &record.latest.source);
            }
        }
        let settings = self.active.settings().clone();
        let request_id = call.request_id.to_owned();
        self.heavy
            .run(move || {
                let compiled = compiler
                    .build()
                    .map_err(|failed| document::invalid(&compiler.sources(), &failed.diagnostics))?;
                let policies = Policies::from_compiled(compiled).map_err(ServiceError::internal)?;
                let engine = settings.engine(policies).map_err(ServiceError::internal)?;
                let only: Option<Vec<Cow<'_, str>>> = simulation
                    .policies
                    .as_ref()
                    .map(|ids| ids.iter().map(|id| Cow::Borrowed(id.as_str())).collect());
                let options = EvaluateOptions {
                    request_id: Some(&request_id),
                    namespace: namespace.as_deref(),
                    policies: only.as_deref(),
                    mode: Mode::All,
                    trace: simulation.trace,
                };
                let one = |context: &String| {
                    let response = engine.evaluate_json_with(context.as_bytes(), &options)?;
                    let json = serde_json::to_string(&response).map_err(ServiceError::internal)?;
                    Ok(Simulated {
                        verb: response.decision.decision,
                        json,
                    })
                };
                Ok(simulation.contexts.iter().map(one).collect())
            })
            .await?
    }
}

fn set(compiler: &mut Compiler, id: &str, format: &str, source: &str) {
    for other in ["yaml", "json"] {
        compiler.remove(&file_name(id, other));
    }
    compiler.set(file_name(id, format), source);
}
