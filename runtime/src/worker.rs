//! The allocation-free path: one worker per thread, its buffers reused from request to request.

use crate::decision;
use crate::derive::{DeriveHost, DeriveMode, DeriveScratch};
use crate::engine::{EvaluateOptions, Settings};
use crate::error::EvaluateError;
use crate::explain;
use crate::response::{Envelope, Response};
use crate::snapshot::Policies;
use policy_bytecode::module::Decision as Verb;
use policy_vm::{Mode, Scope, Scratch};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// Decision where no rule fires.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DefaultDecision {
    /// Let it pass.
    #[default]
    Allow,
    /// Refuse it.
    Deny,
}

impl DefaultDecision {
    fn verb(self) -> Verb {
        match self {
            Self::Allow => Verb::Allow,
            Self::Deny => Verb::Deny,
        }
    }
}

/// Reusable memory of one thread that evaluates requests.
///
/// Once its buffers have grown to the size of the traffic, an evaluation allocates nothing.
#[derive(Debug, Default)]
pub struct Worker {
    scratch: Scratch,
    derive: DeriveScratch,
    mask: Vec<bool>,
    rule: String,
    out: String,
}

/// What [`crate::PolicyEngine::evaluate_into`] decided. The response is JSON in the worker's buffer.
#[derive(Debug, Clone, Copy)]
pub struct Evaluated<'w> {
    /// `allow`, `deny`, `warn` or `modify`.
    pub decision: Verb,
    /// The response as JSON.
    pub json: &'w str,
}

/// What [`crate::PolicyEngine::decide`] decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verdict<'w> {
    /// `allow`, `deny`, `warn` or `modify`.
    pub decision: Verb,
    /// The fired rule that decided, named as in responses; `None` where no rule fired.
    pub rule: Option<&'w str>,
    /// Whether the condition of some rule could not be evaluated.
    pub errors: bool,
}

/// How a caller wants the result.
enum Output<'o> {
    Json(&'o mut String),
    Owned(&'o mut Option<Response>),
}

impl Worker {
    /// A worker with empty buffers.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Evaluates and writes the response as JSON into the worker's buffer. The hot path of servers.
    pub(crate) fn evaluate_json(
        &mut self,
        policies: &Policies,
        settings: &Settings,
        context: &[u8],
        options: &EvaluateOptions<'_>,
    ) -> Result<Evaluated<'_>, EvaluateError> {
        let mut out = std::mem::take(&mut self.out);
        out.clear();
        let decided = self.run(policies, settings, context, options, Output::Json(&mut out));
        self.out = out;
        Ok(Evaluated {
            decision: decided?,
            json: &self.out,
        })
    }

    /// Decides, and makes no response.
    pub(crate) fn decide(
        &mut self,
        policies: &Policies,
        settings: &Settings,
        context: &[u8],
        options: &EvaluateOptions<'_>,
    ) -> Result<Verdict<'_>, EvaluateError> {
        let scope = scope(policies, options, &mut self.mask)?;
        let mut host = DeriveHost::new(settings.derive, settings.prices.as_ref(), &mut self.derive);
        let mut eval = policies
            .module
            .begin(&mut self.scratch, &mut host, context)
            .map_err(EvaluateError::Context)?;
        eval.decide(scope, options.mode);
        let errors = eval.hits().iter().any(|hit| hit.error);
        let decision::Strongest { verb, rule } = decision::strongest(settings.default_decision.verb(), &eval);
        self.rule.clear();
        if let Some(label) = rule.and_then(|rule| policies.rule_labels.get(rule.index())) {
            self.rule.push_str(label);
        }
        Ok(Verdict {
            decision: verb,
            rule: rule.map(|_| &*self.rule),
            errors,
        })
    }

    /// Evaluates into an owned response.
    pub(crate) fn evaluate_owned(
        &mut self,
        policies: &Policies,
        settings: &Settings,
        context: &[u8],
        options: &EvaluateOptions<'_>,
    ) -> Result<Response, EvaluateError> {
        let mut response = None;
        self.run(policies, settings, context, options, Output::Owned(&mut response))?;
        // `run` fills it on every successful path.
        response.ok_or_else(|| EvaluateError::Serialize("no response was made".to_owned()))
    }

    fn run(
        &mut self,
        policies: &Policies,
        settings: &Settings,
        context: &[u8],
        options: &EvaluateOptions<'_>,
        output: Output<'_>,
    ) -> Result<Verb, EvaluateError> {
        let start = Instant::now();
        let scope = scope(policies, options, &mut self.mask)?;
        let prices = settings.prices.as_ref();
        let mut host = DeriveHost::new(settings.derive, prices, &mut self.derive);
        let mut eval = policies
            .module
            .begin(&mut self.scratch, &mut host, context)
            .map_err(EvaluateError::Context)?;
        let mode = if options.trace { Mode::All } else { options.mode };
        eval.decide(scope, mode);
        let view = decision::assemble(policies, settings.default_decision.verb(), &mut eval);
        let trace = options.trace.then(|| {
            let in_scope = |policy: usize| match scope {
                Scope::All => true,
                Scope::Only(mask) => mask.get(policy).copied().unwrap_or(false),
            };
            explain::trace(policies, in_scope, &mut eval)
        });
        let evaluation_time_ns = u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX);
        // The clock is asked once; a request id holds the same time.
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let mut buffer = uuid::Uuid::encode_buffer();
        let request_id = match options.request_id {
            Some(id) => id,
            None => {
                let time = uuid::Timestamp::from_unix(uuid::NoContext, now.as_secs(), now.subsec_nanos());
                uuid::Uuid::new_v7(time).hyphenated().encode_lower(&mut buffer)
            }
        };
        let envelope = Envelope {
            request_id,
            timestamp_ms: u64::try_from(now.as_millis()).unwrap_or(u64::MAX),
            evaluation_time_ns,
            revision: policies.revision(),
        };
        match output {
            Output::Json(out) if trace.is_none() => view.write_json(envelope, out),
            Output::Json(out) => {
                let response = view.to_response(envelope, trace);
                let json =
                    serde_json::to_string(&response).map_err(|e| EvaluateError::Serialize(e.to_string()))?;
                out.push_str(&json);
            }
            Output::Owned(response) => *response = Some(view.to_response(envelope, trace)),
        }
        Ok(view.verb)
    }
}

/// Which policies a request asks for. A policy that is not loaded, or not in the namespace, is an error: an empty
/// scope must not turn into an allow.
fn scope<'s>(
    policies: &'s Policies,
    options: &EvaluateOptions<'_>,
    mask: &'s mut Vec<bool>,
) -> Result<Scope<'s>, EvaluateError> {
    let namespace: Option<&'s [bool]> = options
        .namespace
        .map(|n| policies.namespaces.get(n).map_or(&*policies.global, |m| &**m));
    let Some(wanted) = options.policies else {
        return Ok(namespace.map_or(Scope::All, Scope::Only));
    };
    if wanted.is_empty() {
        return Err(EvaluateError::NoPolicies);
    }
    mask.clear();
    mask.resize(policies.manifest.policies.len(), false);
    for id in wanted {
        let index = policies
            .policy_index
            .get(id.as_ref())
            .filter(|i| namespace.is_none_or(|n| n.get(**i).copied().unwrap_or(false)));
        match index.and_then(|i| mask.get_mut(*i)) {
            Some(cell) => *cell = true,
            None => return Err(EvaluateError::UnknownPolicy(id.to_string())),
        }
    }
    Ok(Scope::Only(mask))
}

/// How derived fields are filled, for [`Settings`].
pub(crate) const DEFAULT_DERIVE: DeriveMode = DeriveMode::Always;
