//! Several decisions of one request: all with the same policies, and with answers of bounded length.

use crate::active::Active;
use crate::cache::Response;
use crate::enrich::{AT_ONCE, Answer, Enricher};
use crate::error::{Code, Result, ServiceError};
use crate::heavy::Stop;
use crate::identity::Scope;
use crate::json_text;
use crate::limits::Route;
use crate::service::{Call, Caller, Service};
use bytes::Bytes;
use futures_util::StreamExt as _;
use policy_runtime::{Chosen, EvaluateOptions};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::num::NonZeroU32;
use std::sync::Arc;
use utoipa::ToSchema;

/// As `Known`, of every context of a batch; without answers where no policy reads them.
struct KnownOfBatch {
    chosen: Chosen,
    answers: Option<Vec<Result<Answer>>>,
}

/// A request for several decisions.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(as = BatchRequest)]
pub struct Batch<'a> {
    /// What is to be judged.
    #[serde(borrow)]
    #[schema(value_type = Vec<Object>)]
    pub contexts: Vec<&'a RawValue>,
    /// Only policies of this namespace and of `global`.
    #[serde(borrow, default)]
    pub namespace: Option<Cow<'a, str>>,
    /// Only these policies: of each id every one that the request sees. An id that is not active there or that stands there
    /// twice is an error, and so is an empty list.
    #[serde(borrow, default)]
    pub policies: Option<Vec<Cow<'a, str>>>,
    /// Whether to explain every rule.
    #[serde(default)]
    pub trace: bool,
    /// Whether the decisions are neither logged nor kept.
    #[serde(default)]
    pub dry_run: bool,
}

/// Reads the body of a batch.
///
/// # Errors
///
/// [`Code::MalformedRequest`] with line and column, [`Code::TooLarge`] for more than `most` contexts.
fn parse_batch(body: &[u8], most: usize) -> Result<Batch<'_>> {
    let batch: Batch<'_> = serde_json::from_slice(body).map_err(|error| json_text::malformed(&error))?;
    if batch.contexts.len() > most {
        return Err(ServiceError::new(
            Code::TooLarge,
            format!("{} contexts, at most {most} are taken", batch.contexts.len()),
        ));
    }
    Ok(batch)
}

/// The id of one of several results of a request.
#[must_use]
pub fn numbered(request_id: &str, number: usize) -> String {
    format!("{request_id}-{number}")
}

/// Counts every context of one request but the first, which was counted when its caller was let in.
///
/// # Errors
///
/// [`Code::RateLimited`], [`Code::TooLarge`] for more than the limit ever lets through at once.
pub(in crate::service) async fn count_contexts(
    service: &Service,
    call: Call<'_>,
    route: Route,
    contexts: usize,
) -> Result<()> {
    let more = u32::try_from(contexts.saturating_sub(1)).unwrap_or(u32::MAX);
    let Some(more) = NonZeroU32::new(more) else {
        return Ok(());
    };
    let counted = service.limiter.check_many(call.identity, route, more).await;
    counted.inspect_err(|error| {
        if error.code == Code::RateLimited {
            service.metrics.rate_limited(route.as_str());
        }
    })
}

/// Bytes that the results of one request take together, held to what they may.
#[derive(Debug)]
pub(in crate::service) struct Results {
    left: usize,
    most: usize,
}

impl Results {
    pub(in crate::service) fn new(most: usize) -> Self {
        Self { left: most, most }
    }

    /// Makes room for a result.
    ///
    /// # Errors
    ///
    /// [`Code::TooLarge`] where there is none.
    pub(in crate::service) fn add(&mut self, bytes: usize) -> Result<()> {
        self.left = self.left.checked_sub(bytes).ok_or_else(|| {
            ServiceError::new(
                Code::TooLarge,
                format!(
                    "the results take more than {} bytes; ask for fewer at once, or without `trace`",
                    self.most
                ),
            )
        })?;
        Ok(())
    }
}

fn batch_options<'o>(
    call: &'o Call<'_>,
    batch: &'o Batch<'_>,
    stop: &'o Stop,
) -> Result<EvaluateOptions<'o>> {
    Ok(EvaluateOptions {
        namespace: call.namespace(batch.namespace.as_deref())?,
        policies: batch.policies.as_deref(),
        trace: batch.trace,
        stop: Some(stop.handle()),
        ..EvaluateOptions::default()
    })
}

impl Service {
    /// Decides on every context of a batch, in order, with the policies that are active when it begins. A context that gets
    /// no decision does not keep the others from theirs.
    ///
    /// # Errors
    ///
    /// What concerns all: [`Code::MalformedRequest`], [`Code::TooLarge`] for too many contexts or too long results,
    /// [`Code::Forbidden`], [`Code::NotReady`], [`Code::UnknownPolicy`], [`Code::DuplicatePolicy`], [`Code::NoPolicies`],
    /// [`Code::UnknownNamespace`], [`Code::RateLimited`], [`Code::DeadlineExceeded`], and those of
    /// [`Heavy::run`](crate::heavy::Heavy::run).
    pub async fn evaluate_batch(
        self: &Arc<Self>,
        caller: &Caller,
        body: Bytes,
    ) -> Result<Vec<Result<Response>>> {
        let known = match &self.enricher {
            Some(enricher) => Some(Box::pin(self.learn_of_batch(caller, &body, enricher)).await?),
            None => None,
        };
        let (service, asker) = (Arc::clone(self), caller.clone());
        let runtime = tokio::runtime::Handle::current();
        let job = move |stop: &Stop| {
            let batch = parse_batch(&body, service.limits.batch)?;
            let call = asker.call();
            call.require(Scope::Evaluate)?;
            if known.is_none() {
                let counted = count_contexts(&service, call, Route::Evaluate, batch.contexts.len());
                runtime.block_on(counted)?;
            }
            let engine = Active::engine(&service.active)?;
            let options = batch_options(&call, &batch, stop)?;
            let (chosen, answers) = match known {
                Some(known) => (known.chosen, known.answers),
                None => {
                    // What is wrong with the list is wrong with the whole request.
                    (engine.choose(&options)?, None)
                }
            };
            let mut answers = answers.map(Vec::into_iter);
            let mut results = Results::new(service.limits.results);
            let mut decided = Vec::with_capacity(batch.contexts.len());
            for (i, context) in batch.contexts.iter().enumerate() {
                stop.check()?;
                let id = numbered(call.request_id, i);
                let options = EvaluateOptions {
                    request_id: Some(&id),
                    chosen: Some(&chosen),
                    ..options.clone()
                };
                let context = context.get().as_bytes();
                // There is an answer for each context.
                let one = match answers.as_mut().and_then(Iterator::next) {
                    Some(Ok(answer)) => answer.put_into(context).and_then(|body| {
                        let one = service.decide_with(&asker, engine, &body, &body, &options, batch.dry_run);
                        runtime.block_on(one)
                    }),
                    Some(Err(error)) => Err(error),
                    None => {
                        let one =
                            service.decide_with(&asker, engine, &body, context, &options, batch.dry_run);
                        runtime.block_on(one)
                    }
                };
                if let Ok(one) = &one {
                    results.add(one.0.json.len())?;
                }
                decided.push(one);
            }
            Ok::<_, ServiceError>(decided)
        };
        let decided = self.heavy.run(caller.call().work(), job).await??;
        let mut responses = Vec::with_capacity(decided.len());
        for result in decided {
            responses.push(match result {
                Ok((response, entry)) => {
                    self.keep(caller, &response, entry).await;
                    Ok(response)
                }
                Err(error) => Err(error),
            });
        }
        Ok(responses)
    }

    /// Asks about every context of a batch, where a policy reads the answers: some at once, in memory that is bounded by the batch.
    async fn learn_of_batch(
        self: &Arc<Self>,
        caller: &Caller,
        body: &Bytes,
        enricher: &Enricher,
    ) -> Result<KnownOfBatch> {
        let (service, asker, body) = (Arc::clone(self), caller.clone(), body.clone());
        let runtime = tokio::runtime::Handle::current();
        let job = move |stop: &Stop| {
            let batch = parse_batch(&body, service.limits.batch)?;
            let call = asker.call();
            call.require(Scope::Evaluate)?;
            let counted = count_contexts(&service, call, Route::Evaluate, batch.contexts.len());
            runtime.block_on(counted)?;
            let engine = Active::engine(&service.active)?;
            let chosen = engine.choose(&batch_options(&call, &batch, stop)?)?;
            let Some(enricher) = service.enricher.as_ref().filter(|_| chosen.reads_shield()) else {
                return Ok((chosen, None));
            };
            let mut inquiries = Vec::with_capacity(batch.contexts.len());
            for context in &batch.contexts {
                stop.check()?;
                let inquiry = enricher.inquiry(context.get().as_bytes());
                inquiries.push(inquiry.map_err(ServiceError::from));
            }
            Ok::<_, ServiceError>((chosen, Some(inquiries)))
        };
        let (chosen, inquiries) = self.heavy.run(caller.call().work(), job).await??;
        let answers = match inquiries {
            None => None,
            Some(inquiries) => {
                let asking = inquiries.into_iter().map(|inquiry| async move {
                    match inquiry {
                        Ok(inquiry) => Ok(enricher.ask(inquiry, caller.until).await),
                        Err(error) => Err(error),
                    }
                });
                let answers = futures_util::stream::iter(asking).buffered(AT_ONCE);
                Some(answers.collect().await)
            }
        };
        Ok(KnownOfBatch { chosen, answers })
    }
}
