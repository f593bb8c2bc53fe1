//! Decisions: one, or a batch.
//!
//! The context of a request is passed on as the bytes that came in. Short ones are decided where they arrive, which takes
//! microseconds; long ones go to the bounded pool, so that no async thread is held up.

use super::{Call, Service};
use crate::active::Active;
use crate::error::{Code, Result, ServiceError};
use crate::identity::Scope;
use policy_runtime::{EvaluateOptions, Verb, Worker};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::cell::RefCell;

/// Bodies from this size on are decided in the pool: tokens and patterns take up to 30 ns a byte, so this is a millisecond.
pub const LONG: usize = 32 << 10;

/// A request for a decision.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Evaluation<'a> {
    /// Echoed; generated when absent.
    #[serde(borrow, default)]
    pub request_id: Option<Cow<'a, str>>,
    /// What is to be judged, as JSON.
    #[serde(borrow)]
    pub context: &'a RawValue,
    /// Only policies of this namespace and of `global`.
    #[serde(borrow, default)]
    pub namespace: Option<Cow<'a, str>>,
    /// Only these policies.
    #[serde(borrow, default)]
    pub policies: Option<Vec<Cow<'a, str>>>,
    /// Whether to explain every rule.
    #[serde(default)]
    pub trace: bool,
    /// Whether the decision is neither logged nor kept.
    #[serde(default)]
    pub dry_run: bool,
}

/// A decision as it is sent.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// What was decided.
    pub verb: Verb,
    /// The response of the contract, as JSON.
    pub json: String,
}

thread_local! {
    static WORKER: RefCell<Worker> = RefCell::new(Worker::new());
}

/// Runs with the memory of this thread.
fn with_worker<R>(f: impl FnOnce(&mut Worker) -> R) -> R {
    WORKER.with(|worker| match worker.try_borrow_mut() {
        Ok(mut worker) => f(&mut worker),
        Err(_busy) => f(&mut Worker::new()),
    })
}

/// Reads the body of a request for a decision.
///
/// # Errors
///
/// [`Code::MalformedRequest`] with line and column.
pub fn parse(body: &[u8]) -> Result<Evaluation<'_>> {
    serde_json::from_slice(body).map_err(|error| ServiceError::new(Code::MalformedRequest, error.to_string()))
}

impl Service {
    /// Decides, on this thread.
    ///
    /// # Errors
    ///
    /// [`Code::Forbidden`], [`Code::NotReady`], [`Code::MalformedContext`], [`Code::UnknownPolicy`],
    /// [`Code::NoPolicies`].
    pub fn evaluate(&self, call: Call<'_>, request: &Evaluation<'_>) -> Result<Outcome> {
        call.require(Scope::Evaluate)?;
        let namespace = call.namespace(request.namespace.as_deref())?;
        let engine = Active::engine(&self.active)?;
        let options = EvaluateOptions {
            request_id: Some(request.request_id.as_deref().unwrap_or(call.request_id)),
            namespace,
            policies: request.policies.as_deref(),
            trace: request.trace,
            ..EvaluateOptions::default()
        };
        with_worker(|worker| {
            let evaluated = engine.evaluate_into(worker, request.context.get().as_bytes(), &options)?;
            Ok(Outcome {
                verb: evaluated.decision,
                json: evaluated.json.to_owned(),
            })
        })
    }
}

/// A request for several decisions.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Batch<'a> {
    /// What is to be judged.
    #[serde(borrow)]
    pub contexts: Vec<&'a RawValue>,
    /// As in [`Evaluation`].
    #[serde(borrow, default)]
    pub namespace: Option<Cow<'a, str>>,
    /// As in [`Evaluation`].
    #[serde(borrow, default)]
    pub policies: Option<Vec<Cow<'a, str>>>,
    /// As in [`Evaluation`].
    #[serde(default)]
    pub trace: bool,
    /// As in [`Evaluation`].
    #[serde(default)]
    pub dry_run: bool,
}

/// Reads the body of a batch.
///
/// # Errors
///
/// [`Code::MalformedRequest`] with line and column, [`Code::TooLarge`] for more than `most` contexts.
pub fn parse_batch(body: &[u8], most: usize) -> Result<Batch<'_>> {
    let batch: Batch<'_> = serde_json::from_slice(body)
        .map_err(|error| ServiceError::new(Code::MalformedRequest, error.to_string()))?;
    if batch.contexts.len() > most {
        return Err(ServiceError::new(
            Code::TooLarge,
            format!("{} contexts, at most {most} are taken", batch.contexts.len()),
        ));
    }
    Ok(batch)
}

impl Service {
    /// Decides on every context of a batch, in order, on this thread. A context that gets no decision does not keep the
    /// others from theirs.
    ///
    /// # Errors
    ///
    /// What concerns all: [`Code::Forbidden`], [`Code::NotReady`].
    pub fn evaluate_batch(&self, call: Call<'_>, batch: &Batch<'_>) -> Result<Vec<Result<Outcome>>> {
        call.require(Scope::Evaluate)?;
        call.namespace(batch.namespace.as_deref())?;
        Active::engine(&self.active)?;
        let one = |(i, context): (usize, &&RawValue)| {
            let request = Evaluation {
                request_id: Some(Cow::Owned(format!("{}-{i}", call.request_id))),
                context,
                namespace: batch.namespace.clone(),
                policies: batch.policies.clone(),
                trace: batch.trace,
                dry_run: batch.dry_run,
            };
            self.evaluate(call, &request)
        };
        Ok(batch.contexts.iter().enumerate().map(one).collect())
    }
}
