//! The product behind the [`Engine`] interface: every configuration that must decide alike.

use crate::engine::{Engine, LoadFailure, Loaded, Refusal, RequestOptions, Settings};
use crate::reference::{Derive, Mode, RefMatch, RefResponse, RefRuleError, numbers};
use policy_bytecode::bundle;
use policy_compiler::{Compiled, OptLevel, Options};
use policy_grammar::ast::Decision;
use policy_grammar::{SourceFile, SourceMap};
use policy_runtime::{
    DefaultDecision, DeriveMode, EvaluateError, EvaluateOptions, Policies, PolicyEngine, Response,
    UnknownNamespace, Verb, Verdict, Worker,
};
use std::borrow::Cow;
use std::cell::RefCell;

/// One configuration of the product.
#[derive(Debug, Clone)]
pub struct Product {
    name: String,
    level: OptLevel,
    bundled: bool,
    dfa_limit_bytes: Option<usize>,
    index_always: bool,
    /// Whether the bundle says where its instructions were written.
    places: bool,
}

impl Product {
    /// Compiled at a level and run as it is.
    #[must_use]
    pub fn at(level: OptLevel) -> Self {
        Self {
            name: format!("-O{}", level.number()),
            level,
            bundled: false,
            dfa_limit_bytes: None,
            index_always: false,
            places: true,
        }
    }

    /// Compiled at the highest level, encoded as a bundle, decoded, verified and run.
    #[must_use]
    pub fn bundle() -> Self {
        Self {
            name: "bundle".to_owned(),
            level: OptLevel::O2,
            bundled: true,
            dfa_limit_bytes: None,
            index_always: false,
            places: true,
        }
    }

    /// Like [`Product::bundle`], without what a bundle may lack: automata, so that patterns run from their sources, and the places
    /// of instructions.
    #[must_use]
    pub fn bare() -> Self {
        Self {
            name: "bare bundle".to_owned(),
            level: OptLevel::O2,
            bundled: true,
            dfa_limit_bytes: Some(0),
            index_always: false,
            places: false,
        }
    }

    /// Like [`Product::bundle`], with every rule behind the index that can be, whether it pays or not.
    #[must_use]
    pub fn indexed() -> Self {
        Self {
            name: "indexed".to_owned(),
            level: OptLevel::O2,
            bundled: true,
            dfa_limit_bytes: None,
            index_always: true,
            places: true,
        }
    }

    /// Every configuration.
    #[must_use]
    pub fn all() -> Vec<Self> {
        let mut all: Vec<Self> = OptLevel::ALL.iter().map(|level| Self::at(*level)).collect();
        all.push(Self::bundle());
        all.push(Self::bare());
        all.push(Self::indexed());
        all
    }

    fn compile(&self, policies: &str) -> Result<Compiled, LoadFailure> {
        let mut sources = SourceMap::new();
        sources.add(SourceFile::new("policies", policies));
        let mut options = Options {
            opt_level: self.level,
            index_always: self.index_always,
            ..Options::default()
        };
        if let Some(bytes) = self.dfa_limit_bytes {
            options.dfa_limit_bytes = bytes;
        }
        policy_compiler::compile(&sources, &options).map_err(|failed| {
            let errors = crate::engine::describe(&sources, &failed.diagnostics);
            // An internal error is never a refusal.
            match errors.iter().find(|e| e.starts_with('B')) {
                Some(bug) => LoadFailure::Other(bug.clone()),
                None => LoadFailure::Refused(errors),
            }
        })
    }
}

impl Engine for Product {
    fn name(&self) -> &str {
        &self.name
    }

    fn load(&self, policies: &str, settings: Settings) -> Result<Box<dyn Loaded>, LoadFailure> {
        let other = |error: &dyn std::fmt::Display| LoadFailure::Other(error.to_string());
        let compiled = self.compile(policies)?;
        let loaded = if self.bundled {
            let bytes = bundle::encode(bundle::Contents {
                module: &compiled.module,
                manifest: &compiled.manifest,
                source_map: &compiled.source_map,
                certificate: &compiled.certificate,
                debug: Some(&compiled.debug).filter(|_| self.places),
            })
            .map_err(|e| other(&e))?;
            Policies::from_bundle(&bytes, &[]).map_err(|e| other(&e))?
        } else {
            Policies::from_compiled(compiled).map_err(|e| other(&e))?
        };
        let engine = PolicyEngine::builder()
            .policies(loaded)
            .derive(match settings.derive {
                Derive::Never => DeriveMode::Never,
                Derive::Missing => DeriveMode::Missing,
                Derive::Always => DeriveMode::Always,
            })
            .default_decision(match settings.default_decision {
                Decision::Deny => DefaultDecision::Deny,
                Decision::Allow | Decision::Warn | Decision::Modify => DefaultDecision::Allow,
            })
            .unknown_namespace(match settings.global_for_unknown {
                true => UnknownNamespace::Global,
                false => UnknownNamespace::Error,
            })
            .build()
            .map_err(|e| other(&e))?;
        Ok(Box::new(Running {
            engine,
            worker: RefCell::default(),
        }))
    }
}

struct Running {
    engine: PolicyEngine,
    worker: RefCell<Worker>,
}

impl Loaded for Running {
    /// Asks three times: for the owned response, for the JSON text of the allocation-free path, which must say the same,
    /// and for the verdict alone.
    fn evaluate(&self, body: &[u8], request: &RequestOptions) -> Result<RefResponse, Refusal> {
        let policies: Option<Vec<Cow<'_, str>>> = request
            .policies
            .as_ref()
            .map(|ids| ids.iter().map(|id| Cow::Borrowed(id.as_str())).collect());
        let options = EvaluateOptions {
            request_id: Some("conformance"),
            namespace: request.namespace.as_deref(),
            policies: policies.as_deref(),
            chosen: None,
            mode: match request.mode {
                Mode::FirstDeny => policy_runtime::Mode::FirstDeny,
                Mode::All => policy_runtime::Mode::All,
            },
            trace: false,
            stop: None,
        };
        let owned = self.engine.evaluate_json_with(body, &options);
        let mut worker = self.worker.borrow_mut();
        let text = self
            .engine
            .evaluate_into(&mut worker, body, &options)
            .map(|e| e.json.to_owned());
        let verdict = self.engine.decide(&mut worker, body, &options);
        match (owned, text, verdict) {
            (Ok(response), Ok(text), Ok(verdict)) => {
                let written = numbers::read(&text).map_err(Refusal::Other)?;
                same_text(&response, &written).map_err(Refusal::Other)?;
                same_verdict(&response, &verdict).map_err(Refusal::Other)?;
                let mut answer = answer(response);
                // The owned response cannot hold every number.
                let part = |name: &str| written["decision"][name].as_object().cloned().unwrap_or_default();
                answer.modifications = part("modifications");
                answer.metadata = part("metadata");
                // Only then can it have been the second look, and only a trace says so.
                let modifies = answer.matched.iter().any(|m| m.decision == Decision::Modify);
                if modifies && answer.decision == Decision::Deny {
                    let traced = EvaluateOptions {
                        trace: true,
                        ..options
                    };
                    let traced = self.engine.evaluate_json_with(body, &traced);
                    let traced = traced.map_err(|e| Refusal::Other(e.to_string()))?;
                    let trace = traced.decision.trace;
                    answer.overruled = Some(trace.is_some_and(|trace| trace.second_look.is_some()));
                }
                Ok(answer)
            }
            (Err(error), Err(second), Err(third)) if error == second && error == third => {
                Err(refusal(&error))
            }
            (owned, text, verdict) => Err(Refusal::Other(format!(
                "different answers: {owned:?}, {text:?} and {verdict:?}"
            ))),
        }
    }
}

/// Whether the verdict is that of the response: its decision, and the first of its rules that decides so.
fn same_verdict(response: &Response, verdict: &Verdict<'_>) -> Result<(), String> {
    let decision = &response.decision;
    let deciding = decision
        .matched
        .iter()
        .position(|m| m.decision == decision.decision);
    let rule = deciding.and_then(|at| decision.matched_rules.get(at));
    // A default that no rule is strong enough to replace is not what the rule decided.
    let same = decision.decision == verdict.decision
        && verdict
            .rule
            .is_none_or(|named| rule.is_some_and(|rule| rule == named));
    same.then_some(())
        .ok_or_else(|| format!("response {decision:?} but verdict {verdict:?}"))
}

/// Whether the JSON text says what the owned response says, but for times.
fn same_text(response: &Response, text: &serde_json::Value) -> Result<(), String> {
    let strip = |mut value: serde_json::Value| {
        value["timestamp"] = 0.into();
        value["decision"]["evaluationTimeMs"] = 0.into();
        value
    };
    let owned = strip(serde_json::to_value(response).map_err(|e| e.to_string())?);
    let text = strip(numbers::rounded(text));
    if owned == text {
        Ok(())
    } else {
        Err(format!("owned {owned} but text {text}"))
    }
}

fn refusal(error: &EvaluateError) -> Refusal {
    match error {
        EvaluateError::Context(_) => Refusal::Malformed,
        EvaluateError::NoPolicies => Refusal::EmptyPolicies,
        EvaluateError::UnknownPolicy(_) => Refusal::UnknownPolicy,
        EvaluateError::DuplicatePolicy(_) => Refusal::DuplicatePolicy,
        EvaluateError::UnknownNamespace(_) => Refusal::UnknownNamespace,
        EvaluateError::NothingActive => Refusal::NothingActive,
        EvaluateError::ModificationsTooLarge => Refusal::ModificationsTooLarge,
        other => Refusal::Other(other.to_string()),
    }
}

fn verb(verb: Verb) -> Decision {
    match verb {
        Verb::Allow => Decision::Allow,
        Verb::Warn => Decision::Warn,
        Verb::Modify => Decision::Modify,
        Verb::Deny => Decision::Deny,
    }
}

fn answer(response: Response) -> RefResponse {
    let decision = response.decision;
    RefResponse {
        decision: verb(decision.decision),
        reason: decision.reason,
        matched_policies: decision.matched_policies,
        matched_rules: decision.matched_rules,
        matched: decision
            .matched
            .into_iter()
            .map(|m| RefMatch {
                policy: m.policy,
                rule: m.rule,
                decision: verb(m.decision),
                reason: m.reason,
            })
            .collect(),
        modifications: decision.modifications,
        metadata: decision.metadata,
        errors: decision
            .errors
            .into_iter()
            .map(|e| RefRuleError {
                policy: e.policy,
                rule: e.rule,
                field: e.field,
                found: e.found,
            })
            .collect(),
        overruled: Some(false),
    }
}
