//! Decisions: one, or a batch.
//!
//! The context of a request is passed on as the bytes that came in, and read once, by the evaluation. Short ones are decided
//! where they arrive, which takes microseconds; long ones go to the bounded pool, so that no async thread is held up.
//!
//! Where a scanner is configured and a policy reads what it says, it is asked first ([`crate::enrich`]): the policies that a request
//! sees are chosen, what is known of it is put into its context, and these very policies decide on that.

mod asked;
mod batch;
mod envelope;
mod kept;

pub use self::asked::{Ask, Evaluation, Question, Whole};
pub use self::batch::{Batch, numbered};
pub(super) use self::batch::{Results, count_contexts};
pub use crate::cache::Response;

use self::asked::{Readings, read};
use super::{Call, Caller, Service};
use crate::active::Active;
use crate::decisions::Entry;
use crate::enrich::{Answer, Enricher, Inquiry};
#[cfg(doc)]
use crate::error::Code;
use crate::error::Result;
use crate::heavy::Stop;
use crate::identity::Scope;
use crate::telemetry;
use bytes::Bytes;
use policy_runtime::{Chosen, EvaluateOptions, PolicyEngine};
use std::sync::Arc;
use std::time::Instant;

/// Bodies from this size on are decided in the pool: tokens and patterns take up to 30 ns a byte, so this is a millisecond.
pub const LONG: usize = 32 << 10;

/// A response, and what the log keeps of its decision.
type Decided = (Response, Option<Entry>);

/// The policies that a request sees, and what a scanner says of it, where one of them reads that.
struct Known {
    chosen: Chosen,
    answer: Option<Answer>,
}

/// As [`Known`], with what a scanner is to be asked.
struct Unasked {
    chosen: Chosen,
    inquiry: Option<Inquiry>,
}

impl Unasked {
    async fn ask(self, enricher: &Enricher, until: Option<Instant>) -> Known {
        let answer = match self.inquiry {
            Some(inquiry) => Some(enricher.ask(inquiry, until).await),
            None => None,
        };
        Known {
            chosen: self.chosen,
            answer,
        }
    }
}

impl Service {
    /// Decides.
    ///
    /// # Errors
    ///
    /// [`Code::MalformedRequest`], [`Code::Forbidden`], [`Code::NotReady`], [`Code::MalformedContext`],
    /// [`Code::UnknownPolicy`], [`Code::DuplicatePolicy`], [`Code::NoPolicies`], [`Code::UnknownNamespace`],
    /// [`Code::ModificationRefused`], and those of [`Heavy::run`](crate::heavy::Heavy::run).
    pub async fn evaluate(self: &Arc<Self>, caller: &Caller, asked: impl Ask) -> Result<Response> {
        let (response, entry) = if asked.text().len() < LONG && self.enricher.is_none() && !self.cache.waits()
        {
            self.decide_at_once(caller, &asked)?
        } else {
            // In memory of its own: a future is copied whole when its request begins, and most requests wait for nothing.
            Box::pin(self.decide_in_time(caller, asked)).await?
        };
        self.keep(caller, &response, entry).await;
        Ok(response)
    }

    /// Decides on a short context where nobody else is asked.
    fn decide_at_once(&self, caller: &Caller, asked: &impl Ask) -> Result<Decided> {
        read(asked, |request| {
            let call = caller.call();
            call.require(Scope::Evaluate)?;
            let options = options(&call, &request, None)?;
            let engine = Active::engine(&self.active)?;
            let (context, dry_run) = (request.context, request.dry_run);
            let response = match dry_run {
                true => self.cache.evaluate_uncached(engine, context, &options)?,
                false => self.cache.evaluate_now(engine, context, &options)?,
            };
            Ok(self.decided(caller, asked.text(), context, &options, response, dry_run))
        })
    }

    /// Decides on a long context, or where a scanner or another cache is asked.
    async fn decide_in_time(self: &Arc<Self>, caller: &Caller, asked: impl Ask) -> Result<Decided> {
        if asked.text().len() < LONG {
            return self.decide_on(caller, &asked, None, None).await;
        }
        if let Some(enricher) = &self.enricher {
            return self.evaluate_long(caller, asked, enricher).await;
        }
        let (service, asker) = (Arc::clone(self), caller.clone());
        let runtime = tokio::runtime::Handle::current();
        let deciding = self.heavy.run(caller.call().work(), move |stop| {
            runtime.block_on(service.decide_on(&asker, &asked, Some(stop), None))
        });
        deciding.await?
    }

    /// Decides on a long context: reads it in the pool, asks outside of it, and decides in the pool.
    async fn evaluate_long(
        self: &Arc<Self>,
        caller: &Caller,
        asked: impl Ask,
        enricher: &Enricher,
    ) -> Result<Decided> {
        let asked = Arc::new(asked);
        let unasked = {
            let (service, asker, asked) = (Arc::clone(self), caller.clone(), Arc::clone(&asked));
            let reading = self
                .heavy
                .run(caller.call().work(), move |_| service.read_on(&asker, &*asked));
            reading.await??
        };
        let known = match unasked {
            Some(unasked) => Some(unasked.ask(enricher, caller.until).await),
            None => None,
        };
        let (service, asker) = (Arc::clone(self), caller.clone());
        let runtime = tokio::runtime::Handle::current();
        let deciding = self.heavy.run(caller.call().work(), move |stop| {
            runtime.block_on(service.decide_on(&asker, &*asked, Some(stop), known.as_ref()))
        });
        deciding.await?
    }

    /// What a scanner is to be asked about a request; as [`Service::decide_on`] reads it.
    fn read_on(&self, caller: &Caller, asked: &impl Ask) -> Result<Option<Unasked>> {
        let Some(enricher) = &self.enricher else {
            return Ok(None);
        };
        let unasked = read(asked, |request| {
            let call = caller.call();
            call.require(Scope::Evaluate)?;
            let options = options(&call, &request, None)?;
            unasked(enricher, Active::engine(&self.active)?, &options, request.context)
        });
        unasked.map(Some)
    }

    async fn decide_on(
        &self,
        caller: &Caller,
        asked: &impl Ask,
        stop: Option<&Stop>,
        known: Option<&Known>,
    ) -> Result<Decided> {
        let mut readings = Readings::of(asked);
        loop {
            let request = readings.next()?;
            let decided = self.decide(caller, asked.text(), request, stop, known).await;
            if readings.is_over(&decided) {
                return decided;
            }
        }
    }

    async fn decide(
        &self,
        caller: &Caller,
        body: &Bytes,
        request: Evaluation<'_>,
        stop: Option<&Stop>,
        known: Option<&Known>,
    ) -> Result<Decided> {
        let call = caller.call();
        call.require(Scope::Evaluate)?;
        let options = options(&call, &request, stop)?;
        let engine = Active::engine(&self.active)?;
        let (context, dry_run) = (request.context, request.dry_run);
        if let Some(known) = known {
            return self
                .decide_knowing(caller, engine, (body, context), &options, dry_run, known)
                .await;
        }
        if let Some(enricher) = &self.enricher {
            let asking = async {
                let unasked = unasked(enricher, engine, &options, context)?;
                let known = unasked.ask(enricher, caller.until).await;
                self.decide_knowing(caller, engine, (body, context), &options, dry_run, &known)
                    .await
            };
            // In memory of its own, so that requests without it are not as large.
            return Box::pin(asking).await;
        }
        self.decide_with(caller, engine, body, context, &options, dry_run)
            .await
    }

    /// Decides on a context that stands in a body, with what is known of it.
    async fn decide_knowing(
        &self,
        caller: &Caller,
        engine: &PolicyEngine,
        (body, context): (&Bytes, &[u8]),
        options: &EvaluateOptions<'_>,
        dry_run: bool,
        known: &Known,
    ) -> Result<Decided> {
        // The policies that were looked at decide, whatever became active meanwhile: others might read what nobody was asked.
        let options = EvaluateOptions {
            chosen: Some(&known.chosen),
            ..options.clone()
        };
        match &known.answer {
            Some(answer) => {
                let body = answer.put_into(context)?;
                self.decide_with(caller, engine, &body, &body, &options, dry_run)
                    .await
            }
            None => {
                self.decide_with(caller, engine, body, context, &options, dry_run)
                    .await
            }
        }
    }

    /// Decides on a context that stands in `body`.
    async fn decide_with(
        &self,
        caller: &Caller,
        engine: &PolicyEngine,
        body: &Bytes,
        context: &[u8],
        options: &EvaluateOptions<'_>,
        dry_run: bool,
    ) -> Result<Decided> {
        let response = if dry_run {
            self.cache.evaluate_uncached(engine, context, options)?
        } else {
            self.cache.evaluate(engine, context, options).await?
        };
        Ok(self.decided(caller, body, context, options, response, dry_run))
    }

    /// A decision, with what the log keeps of it.
    fn decided(
        &self,
        caller: &Caller,
        body: &Bytes,
        context: &[u8],
        options: &EvaluateOptions<'_>,
        response: Response,
        dry_run: bool,
    ) -> Decided {
        // Nothing of this is looked at unless somebody asks for such lines.
        tracing::debug!(
            target: telemetry::EVALUATIONS,
            evaluation_id = response.told().request_id(),
            subject = &*caller.identity.subject,
            namespace = options.namespace,
            decision = response.verb.as_str(),
            matched_rules = response.told().matched_rules().join(", "),
            cache = response.layer.as_str(),
            duration_ns = response.duration_ns,
            errors = response.errors,
            revision = response.told().revision(),
            dry_run,
            "decided"
        );
        // A short body lies in the buffer that its connection reads into. To hold on to it would cost a new buffer.
        let kept = || match context.len() < LONG {
            true => Bytes::copy_from_slice(context),
            false => body.slice_ref(context),
        };
        let entry = (!dry_run).then(|| self.entry(caller, options, &response, kept));
        (response, entry.flatten())
    }
}

fn options<'o>(
    call: &'o Call<'_>,
    request: &'o Evaluation<'_>,
    stop: Option<&'o Stop>,
) -> Result<EvaluateOptions<'o>> {
    // Under an empty id, the decision could not be found in the log.
    let given = request.request_id.as_deref().filter(|id| !id.is_empty());
    Ok(EvaluateOptions {
        request_id: Some(given.unwrap_or(call.request_id)),
        namespace: call.namespace(request.namespace.as_deref())?,
        policies: request.policies.as_deref(),
        trace: request.trace,
        stop: stop.map(Stop::handle),
        ..EvaluateOptions::default()
    })
}

/// The policies that a request sees, and what a scanner is to be asked for them.
fn unasked(
    enricher: &Enricher,
    engine: &PolicyEngine,
    options: &EvaluateOptions<'_>,
    context: &[u8],
) -> Result<Unasked> {
    let chosen = engine.choose(options)?;
    let inquiry = chosen.reads_shield().then(|| enricher.inquiry(context));
    Ok(Unasked {
        chosen,
        inquiry: inquiry.transpose()?,
    })
}
