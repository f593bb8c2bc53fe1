//! Decisions: one, or a batch.
//!
//! The context of a request is passed on as the bytes that came in, and read once, by the evaluation. Short ones are decided
//! where they arrive, which takes microseconds; long ones go to the bounded pool, so that no async thread is held up.
//!
//! Where a scanner is configured and a policy reads what it says, it is asked first ([`crate::enrich`]): the policies that a request
//! sees are chosen, what is known of it is put into its context, and these very policies decide on that.

mod envelope;

use super::{Call, Caller, Service};
use crate::active::Active;
pub use crate::cache::Outcome;
use crate::decisions::{Entry, Unread};
use crate::enrich::{AT_ONCE, Answer, Enricher, Inquiry};
use crate::error::{Code, Result, ServiceError};
use crate::heavy::Stop;
use crate::identity::Scope;
use crate::json_text;
use crate::limits::Route;
use crate::request_id;
use crate::storage::model::DecisionRecord;
use crate::telemetry;
use crate::telemetry::request::{part, traced};
use bytes::Bytes;
use futures_util::StreamExt as _;
use policy_runtime::{Chosen, EvaluateOptions, PolicyEngine};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::num::NonZeroU32;
use std::result::Result as StdResult;
use std::sync::Arc;
use std::time::{Duration, Instant};
use utoipa::ToSchema;

/// Bodies from this size on are decided in the pool: tokens and patterns take up to 30 ns a byte, so this is a millisecond.
pub const LONG: usize = 32 << 10;

/// A request for a decision.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(as = EvaluateRequest)]
pub struct Evaluation<'a> {
    /// Echoed in the response; generated when absent or empty. At most 128 bytes, all of them visible.
    #[serde(borrow, default)]
    pub request_id: Option<Cow<'a, str>>,
    /// What is to be judged: `llm`, `user`, `team`, `project`, `request`, `metadata` and anything else.
    // As JSON. Where it did not come out of a larger text, nobody has looked at it yet.
    #[serde(borrow, deserialize_with = "bytes_of_json")]
    #[schema(value_type = Object)]
    pub context: &'a [u8],
    /// Only policies of this namespace and of `global`. One without an active policy is an error, unless
    /// `UNKNOWN_NAMESPACE` is `global`.
    #[serde(borrow, default)]
    pub namespace: Option<Cow<'a, str>>,
    /// Only these policies: of each id every one that the request sees. An id that is not active there or that stands there
    /// twice is an error, and so is an empty list.
    #[serde(borrow, default)]
    pub policies: Option<Vec<Cow<'a, str>>>,
    /// Whether to explain every rule.
    #[serde(default)]
    pub trace: bool,
    /// Whether the decision is neither logged nor kept.
    #[serde(default)]
    pub dry_run: bool,
}

fn bytes_of_json<'de: 'a, 'a, D: Deserializer<'de>>(deserializer: D) -> StdResult<&'a [u8], D::Error> {
    <&RawValue>::deserialize(deserializer).map(|raw| raw.get().as_bytes())
}

/// What asks for a decision.
pub trait Ask: Send + Sync + 'static {
    /// Where the context stands.
    fn text(&self) -> &Bytes;

    /// The request.
    ///
    /// # Errors
    ///
    /// [`Code::MalformedRequest`] with line and column.
    fn ask(&self) -> Result<Evaluation<'_>>;

    /// The request, where it can be told without reading the context. A context that turns out to be no JSON may mean that
    /// this was not how to read it.
    fn shortcut(&self) -> Option<Evaluation<'_>>;
}

/// The request as one JSON text.
#[derive(Debug, Clone)]
pub struct Whole(pub Bytes);

impl Ask for Whole {
    fn text(&self) -> &Bytes {
        &self.0
    }

    fn ask(&self) -> Result<Evaluation<'_>> {
        serde_json::from_slice(&self.0).map_err(|error| json_text::malformed(&error))
    }

    fn shortcut(&self) -> Option<Evaluation<'_>> {
        envelope::read(&self.0)
    }
}

impl Ask for Question {
    fn text(&self) -> &Bytes {
        &self.context
    }

    fn ask(&self) -> Result<Evaluation<'_>> {
        Ok(Evaluation {
            request_id: self.request_id.as_deref().map(Cow::Borrowed),
            context: &self.context,
            namespace: self.namespace.as_deref().map(Cow::Borrowed),
            policies: self
                .policies
                .as_ref()
                .map(|ids| ids.iter().map(|id| Cow::Borrowed(id.as_str())).collect()),
            trace: self.trace,
            dry_run: self.dry_run,
        })
    }

    fn shortcut(&self) -> Option<Evaluation<'_>> {
        None
    }
}

/// A decision, and what the log keeps of it.
struct Decided {
    outcome: Outcome,
    entry: Option<Entry>,
}

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

/// As [`Known`], of every context of a batch; without answers where no policy reads them.
struct KnownOfBatch {
    chosen: Chosen,
    answers: Option<Vec<Result<Answer>>>,
}

/// An answer that the log has not read yet.
struct Answered {
    outcome: Outcome,
    namespace: Option<Box<str>>,
    subject: Arc<str>,
}

impl Unread for Answered {
    fn read(&self) -> DecisionRecord {
        let mut record = DecisionRecord::default();
        self.read_into(&mut record);
        record
    }

    fn read_into(&self, record: &mut DecisionRecord) {
        let outcome = &self.outcome;
        let DecisionRecord {
            seq: _,
            id: _,
            request_id,
            at_ms,
            namespace,
            subject,
            decision,
            reason,
            matched_rules,
            matched_policies,
            errors,
            revision,
            duration_ns,
            cached,
            context: _,
        } = record;
        outcome
            .told()
            .read_into((request_id, reason, revision), (matched_rules, matched_policies));
        for (text, read) in [
            (namespace, self.namespace.as_deref().unwrap_or_default()),
            (subject, &*self.subject),
            (decision, outcome.decision.as_str()),
        ] {
            text.clear();
            text.push_str(read);
        }
        *at_ms = outcome.at_ms;
        *errors = outcome.errors;
        *duration_ns = outcome.duration_ns;
        *cached = outcome.cached();
    }

    fn bytes(&self) -> usize {
        self.outcome.json.len()
    }

    fn has_reason(&self) -> bool {
        self.outcome.has_reason()
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
    pub async fn evaluate(self: &Arc<Self>, caller: &Caller, asked: impl Ask) -> Result<Outcome> {
        let decided = if asked.text().len() < LONG && self.enricher.is_none() && !self.cache.waits() {
            self.decide_at_once(caller, &asked)?
        } else {
            // In memory of its own: a future is copied whole when its request begins, and most requests wait for nothing.
            Box::pin(self.decide_in_time(caller, asked)).await?
        };
        self.keep(caller, &decided.outcome, decided.entry).await;
        Ok(decided.outcome)
    }

    /// Decides on a short context where nobody else is asked.
    fn decide_at_once(&self, caller: &Caller, asked: &impl Ask) -> Result<Decided> {
        read(asked, |request| {
            let call = caller.call();
            call.require(Scope::Evaluate)?;
            let options = options(&call, &request, None)?;
            let engine = Active::engine(&self.active)?;
            let (context, dry_run) = (request.context, request.dry_run);
            let outcome = match dry_run {
                true => self.cache.evaluate_uncached(engine, context, &options)?,
                false => self.cache.evaluate_now(engine, context, &options)?,
            };
            Ok(self.decided(caller, asked.text(), context, &options, outcome, dry_run))
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
        if let Some(request) = asked.shortcut() {
            checked(&request)?;
            match self.decide(caller, asked.text(), request, stop, known).await {
                // Whoever reads all of it knows better what is wrong.
                Err(error) if error.code == Code::MalformedContext => {}
                decided => return decided,
            }
        }
        let request = asked.ask()?;
        checked(&request)?;
        self.decide(caller, asked.text(), request, stop, known).await
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
        let outcome = if dry_run {
            self.cache.evaluate_uncached(engine, context, options)?
        } else {
            self.cache.evaluate(engine, context, options).await?
        };
        Ok(self.decided(caller, body, context, options, outcome, dry_run))
    }

    /// A decision, with what the log keeps of it.
    fn decided(
        &self,
        caller: &Caller,
        body: &Bytes,
        context: &[u8],
        options: &EvaluateOptions<'_>,
        outcome: Outcome,
        dry_run: bool,
    ) -> Decided {
        // Nothing of this is looked at unless somebody asks for such lines.
        tracing::debug!(
            target: telemetry::EVALUATIONS,
            evaluation_id = outcome.told().request_id(),
            subject = &*caller.identity.subject,
            namespace = options.namespace,
            decision = outcome.decision.as_str(),
            matched_rules = outcome.told().matched_rules().join(", "),
            cache = outcome.layer.as_str(),
            duration_ns = outcome.duration_ns,
            errors = outcome.errors,
            revision = outcome.told().revision(),
            dry_run,
            "decided"
        );
        // A short body lies in the buffer that its connection reads into. To hold on to it would cost a new buffer.
        let kept = || match context.len() < LONG {
            true => Bytes::copy_from_slice(context),
            false => body.slice_ref(context),
        };
        let entry = (!dry_run).then(|| self.entry(caller, options, &outcome, kept));
        Decided {
            outcome,
            entry: entry.flatten(),
        }
    }

    /// What the log keeps; nothing where it is off.
    fn entry(
        &self,
        caller: &Caller,
        options: &EvaluateOptions<'_>,
        outcome: &Outcome,
        context: impl FnOnce() -> Bytes,
    ) -> Option<Entry> {
        self.log.is_on().then(|| Entry {
            record: Box::new(Answered {
                outcome: outcome.clone(),
                namespace: options.namespace.map(Box::from),
                subject: Arc::clone(&caller.identity.subject),
            }),
            context: self.log.wants_context(outcome.has_reason()).then(context),
            owner: caller.identity.fingerprint(),
        })
    }

    /// Counts and logs a decision, before it is answered: what the log cannot take yet is not answered yet.
    async fn keep(&self, caller: &Caller, outcome: &Outcome, entry: Option<Entry>) {
        self.metrics.evaluations(caller.transport).record(
            outcome.decision,
            Duration::from_nanos(outcome.duration_ns),
            outcome.errors as usize,
        );
        let Some(entry) = entry else { return };
        let span = part!("store");
        let waits = match span.is_disabled() {
            true => self.log.try_record(entry).err(),
            false => Some(entry),
        };
        if let Some(entry) = waits {
            // In memory of its own, as all that waits.
            Box::pin(traced(span, self.log.record(entry))).await;
        }
    }
}

/// Does something with a request, read the short way where that can be told.
fn read<'a, T>(asked: &'a impl Ask, work: impl Fn(Evaluation<'a>) -> Result<T>) -> Result<T> {
    if let Some(request) = asked.shortcut() {
        checked(&request)?;
        match work(request) {
            // Whoever reads all of it knows better what is wrong.
            Err(error) if error.code == Code::MalformedContext => {}
            done => return done,
        }
    }
    let request = asked.ask()?;
    checked(&request)?;
    work(request)
}

/// Checks what a caller chose for an id.
fn checked(request: &Evaluation<'_>) -> Result<()> {
    request_id::given(request.request_id.as_deref().unwrap_or_default()).map(drop)
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

/// A question that is not one JSON text.
#[derive(Debug, Clone)]
pub struct Question {
    /// As in [`Evaluation`].
    pub request_id: Option<String>,
    /// As in [`Evaluation`].
    pub context: Bytes,
    /// As in [`Evaluation`].
    pub namespace: Option<String>,
    /// As in [`Evaluation`].
    pub policies: Option<Vec<String>>,
    /// As in [`Evaluation`].
    pub trace: bool,
    /// As in [`Evaluation`].
    pub dry_run: bool,
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
pub(super) async fn count_contexts(
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
pub(super) struct Results {
    left: usize,
    most: usize,
}

impl Results {
    pub(super) fn new(most: usize) -> Self {
        Self { left: most, most }
    }

    /// Makes room for a result.
    ///
    /// # Errors
    ///
    /// [`Code::TooLarge`] where there is none.
    pub(super) fn add(&mut self, bytes: usize) -> Result<()> {
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
    ) -> Result<Vec<Result<Outcome>>> {
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
                    results.add(one.outcome.json.len())?;
                }
                decided.push(one);
            }
            Ok::<_, ServiceError>(decided)
        };
        let decided = self.heavy.run(caller.call().work(), job).await??;
        let mut outcomes = Vec::with_capacity(decided.len());
        for result in decided {
            outcomes.push(match result {
                Ok(Decided { outcome, entry }) => {
                    self.keep(caller, &outcome, entry).await;
                    Ok(outcome)
                }
                Err(error) => Err(error),
            });
        }
        Ok(outcomes)
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
