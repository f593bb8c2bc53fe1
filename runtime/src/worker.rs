//! The allocation-free path: one worker per thread, its buffers reused from request to request.
//!
//! An evaluation has two steps: the request is projected, and what was projected is decided. A cache of decisions
//! (feature `cache`) looks for the answer between them.

use crate::decision::{self, Denial};
use crate::derive::{DeriveHost, DeriveScratch};
use crate::error::EvaluateError;
use crate::explain;
use crate::modify;
use crate::names::GLOBAL;
use crate::options::{EvaluateOptions, Settings, UnknownNamespace};
use crate::response::{Envelope, Parts, Response};
use crate::second::{self, Look, Second};
use crate::snapshot::Policies;
use crate::trace::Trace;
use bumpalo::collections::Vec as BumpVec;
use policy_bytecode::module::Decision as Verb;
use policy_vm::{Evaluation, Mode, Scope, Scratch};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Reusable memory of one thread that evaluates requests.
///
/// Once its buffers have grown to the size of the traffic, an evaluation allocates nothing.
#[derive(Debug, Default)]
pub struct Worker {
    pub(crate) scratch: Scratch,
    pub(crate) derive: DeriveScratch,
    pub(crate) mask: Vec<bool>,
    pub(crate) second: Second,
    rule: String,
    pub(crate) out: String,
    /// Key of the request in the cache.
    #[cfg(feature = "cache")]
    pub(crate) key: Vec<u8>,
    /// Whether the last request was worth asking the cache.
    #[cfg(feature = "cache")]
    pub(crate) keyed: bool,
}

/// What [`crate::PolicyEngine::evaluate_into`] decided. The response is JSON in the worker's buffer.
#[derive(Debug, Clone, Copy)]
pub struct Evaluated<'w> {
    /// `allow`, `deny`, `warn` or `modify`.
    pub decision: Verb,
    /// The response as JSON.
    pub json: &'w str,
}

/// A response with what is known about it, for those who log decisions. The response is JSON in the worker's buffer.
#[derive(Debug, Clone, Copy)]
pub struct Answer<'w> {
    /// `allow`, `deny`, `warn` or `modify`.
    pub decision: Verb,
    /// The response as JSON.
    pub json: &'w str,
    /// Where the parts of the response are.
    pub parts: Parts,
    /// Where it comes from.
    pub origin: Origin,
    /// Entries of the decision's `errors`.
    pub errors: usize,
    /// Whether it follows from the fields that the policies read, and may answer other requests that agree in those.
    #[cfg(feature = "cache")]
    pub(crate) reusable: bool,
    /// When, in milliseconds since the epoch.
    pub timestamp_ms: u64,
    /// How long it took, in nanoseconds.
    pub evaluation_time_ns: u64,
}

/// Where an answer comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// It was decided, and no cache was asked.
    Decided,
    /// It was decided, because the cache did not have it.
    Missed,
    /// The cache had it.
    Cached,
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
    Json(&'o mut String, &'o mut Parts),
    Owned(&'o mut Option<Response>),
}

/// What came of an evaluation, beside its output.
struct Finished {
    verb: Verb,
    errors: usize,
    #[cfg_attr(not(feature = "cache"), expect(dead_code, reason = "only caches ask"))]
    reusable: bool,
    now: Now,
}

/// When a response was made.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Now {
    /// Since the epoch.
    pub(crate) since_epoch: Duration,
    /// From the request to the decision, in nanoseconds.
    pub(crate) evaluation_time_ns: u64,
}

impl Now {
    /// The end of what began at `start`.
    pub(crate) fn since(start: Instant) -> Self {
        Self {
            evaluation_time_ns: nanoseconds(start.elapsed()),
            since_epoch: SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default(),
        }
    }

    pub(crate) fn timestamp_ms(self) -> u64 {
        u64::try_from(self.since_epoch.as_millis()).unwrap_or(u64::MAX)
    }

    /// The id that was given, or a new one. It holds the time of the response: the clock is asked once.
    pub(crate) fn request_id<'i>(self, given: Option<&'i str>, buffer: &'i mut [u8]) -> &'i str {
        match given {
            Some(id) => id,
            None => {
                let (seconds, subsec) = (self.since_epoch.as_secs(), self.since_epoch.subsec_nanos());
                let time = uuid::Timestamp::from_unix(uuid::NoContext, seconds, subsec);
                uuid::Uuid::new_v7(time).hyphenated().encode_lower(buffer)
            }
        }
    }
}

pub(crate) fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
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
    ) -> Result<Answer<'_>, EvaluateError> {
        let start = Instant::now();
        let scope = scope(policies, settings, options, &mut self.mask)?;
        let mut host = DeriveHost::new(settings.derive, settings.prices.as_ref(), &mut self.derive);
        let mut eval = policies
            .module
            .begin(&mut self.scratch, &mut host, context)
            .map_err(EvaluateError::Context)?;
        let request = Request {
            policies,
            settings,
            scope,
            context,
            options,
            start,
        };
        write(request, &mut eval, &mut self.second, &mut self.out)
    }

    /// Decides, and makes no response.
    pub(crate) fn decide(
        &mut self,
        policies: &Policies,
        settings: &Settings,
        context: &[u8],
        options: &EvaluateOptions<'_>,
    ) -> Result<Verdict<'_>, EvaluateError> {
        let scope = scope(policies, settings, options, &mut self.mask)?;
        let mut host = DeriveHost::new(settings.derive, settings.prices.as_ref(), &mut self.derive);
        let mut eval = policies
            .module
            .begin(&mut self.scratch, &mut host, context)
            .map_err(EvaluateError::Context)?;
        eval.stop_when(options.stop);
        eval.decide(scope, options.mode);
        let mut errors = eval.hits().iter().any(|hit| hit.error);
        let decision::Strongest { mut verb, mut rule } =
            decision::strongest(settings.default_decision.verb(), &eval);
        // Modifications that nobody reads and that always fit need not be made to know that.
        if verb != Verb::Deny && modify::matters(policies, eval.hits()) {
            let look = Look {
                policies,
                names: policies.view(options.namespace),
                scope,
                context,
                mode: options.mode,
                default: settings.default_decision.verb(),
                trace: false,
                stop: options.stop,
            };
            if let Some(denial) = overrule(look, &mut eval, &mut self.second)? {
                (verb, rule) = (Verb::Deny, denial.rule);
                errors |= denial.failed;
            }
        }
        not_stopped(options)?;
        self.rule.clear();
        if let Some(rule) = rule {
            self.rule
                .push_str(policies.rule_name(options.namespace, rule.index()));
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
        let start = Instant::now();
        let scope = scope(policies, settings, options, &mut self.mask)?;
        let mut host = DeriveHost::new(settings.derive, settings.prices.as_ref(), &mut self.derive);
        let mut eval = policies
            .module
            .begin(&mut self.scratch, &mut host, context)
            .map_err(EvaluateError::Context)?;
        let request = Request {
            policies,
            settings,
            scope,
            context,
            options,
            start,
        };
        let mut response = None;
        finish(request, &mut eval, &mut self.second, Output::Owned(&mut response))?;
        // `finish` fills it on every successful path.
        response.ok_or(EvaluateError::Internal("no response was made"))
    }
}

/// A request that has been projected, and what it is decided with.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Request<'r> {
    pub(crate) policies: &'r Policies,
    pub(crate) settings: &'r Settings,
    pub(crate) scope: Scope<'r>,
    /// Its text.
    pub(crate) context: &'r [u8],
    pub(crate) options: &'r EvaluateOptions<'r>,
    pub(crate) start: Instant,
}

/// Decides what was projected, and writes the response into `out`.
pub(crate) fn write<'a, 'o>(
    request: Request<'a>,
    eval: &mut Evaluation<'a, DeriveHost<'_>>,
    second: &mut Second,
    out: &'o mut String,
) -> Result<Answer<'o>, EvaluateError> {
    out.clear();
    let mut parts = Parts::default();
    let finished = finish(request, eval, second, Output::Json(out, &mut parts))?;
    Ok(Answer {
        decision: finished.verb,
        json: out,
        parts,
        origin: Origin::Decided,
        errors: finished.errors,
        #[cfg(feature = "cache")]
        reusable: finished.reusable,
        timestamp_ms: finished.now.timestamp_ms(),
        evaluation_time_ns: finished.now.evaluation_time_ns,
    })
}

/// Decides what was projected.
fn finish<'a>(
    request: Request<'a>,
    eval: &mut Evaluation<'a, DeriveHost<'_>>,
    second: &mut Second,
    output: Output<'_>,
) -> Result<Finished, EvaluateError> {
    let Request {
        policies,
        settings,
        scope,
        context,
        options,
        start,
    } = request;
    let mode = if options.trace { Mode::All } else { options.mode };
    let names = policies.view(options.namespace);
    eval.stop_when(options.stop);
    eval.decide(scope, mode);
    let (mut view, composed) = decision::assemble(policies, names, settings.default_decision.verb(), eval)?;
    let mut denial = match &composed {
        Some(composed) => {
            let look = Look {
                policies,
                names,
                scope,
                context,
                mode,
                default: settings.default_decision.verb(),
                trace: options.trace,
                stop: options.stop,
            };
            second::look(look, composed, eval, second)?
        }
        None => None,
    };
    if let Some(denial) = &denial {
        view = view.overruled(denial, eval.bump());
    }
    let trace = options.trace.then(|| Trace {
        rules: explain::rules(policies, names, |policy| scope.holds(policy), eval),
        second_look: denial.as_mut().and_then(|denial| denial.trace.take()),
    });
    let now = Now::since(start);
    let mut buffer = uuid::Uuid::encode_buffer();
    let envelope = Envelope {
        request_id: now.request_id(options.request_id, &mut buffer),
        timestamp_ms: now.timestamp_ms(),
        evaluation_time_ns: now.evaluation_time_ns,
        revision: policies.revision(),
    };
    match output {
        Output::Json(out, parts) => {
            let trace = match trace {
                Some(trace) => Some(
                    serde_json::to_string(&trace)
                        .map_err(|_| EvaluateError::Internal("the trace does not serialise"))?,
                ),
                None => None,
            };
            *parts = view.write_json(envelope, trace.as_deref(), out);
        }
        Output::Owned(response) => *response = Some(view.to_response(envelope, trace)),
    }
    not_stopped(options)?;
    Ok(Finished {
        verb: view.verb,
        errors: view.errors.len(),
        reusable: composed.is_none_or(|composed| !(composed.read && composed.in_lists)),
        now,
    })
}

/// Makes the modifications of an evaluation that has decided, and looks whether what they make of the request is denied. Out
/// of line, because most verdicts do not need it.
#[inline(never)]
fn overrule<'a>(
    look: Look<'a>,
    eval: &mut Evaluation<'a, DeriveHost<'_>>,
    second: &mut Second,
) -> Result<Option<Denial<'a>>, EvaluateError> {
    let bump = eval.bump();
    let hits = bump.alloc_slice_copy(eval.hits());
    // A verdict has no place for them.
    let mut errors_of_verbs = BumpVec::new_in(bump);
    let composed = modify::compose(look.policies, look.names, hits, eval, &mut errors_of_verbs)?;
    second::look(look, &composed, eval, second)
}

/// What was stopped on its way looks like a decision, and is none.
#[inline]
fn not_stopped(options: &EvaluateOptions<'_>) -> Result<(), EvaluateError> {
    match options.stop {
        Some(stop) if stop.is_asked() => Err(EvaluateError::Stopped),
        Some(_) | None => Ok(()),
    }
}

/// Which policies a request asks for. A policy that is not loaded, or not in the namespace, is an error, and so is a
/// namespace without policies: an empty scope must not turn into an allow. A policy that is named twice is an error, so
/// that no list is longer than the set of policies, however large a request may be.
#[inline(always)]
pub(crate) fn scope<'s>(
    policies: &'s Policies,
    settings: &Settings,
    options: &EvaluateOptions<'s>,
    mask: &'s mut Vec<bool>,
) -> Result<Scope<'s>, EvaluateError> {
    if let Some(chosen) = options.chosen {
        return Ok(chosen.scope());
    }
    if policies.manifest.policies.is_empty() {
        return Err(EvaluateError::NothingActive);
    }
    let namespace = match options.namespace {
        None => Scope::All,
        Some(name) => {
            let known = policies.namespaces.get(name);
            let instead = match settings.unknown_namespace {
                UnknownNamespace::Error => None,
                UnknownNamespace::Global => policies.namespaces.get(GLOBAL),
            };
            match known.or(instead) {
                Some(own) => Scope::Group {
                    of: &policies.namespace_of,
                    own: *own,
                },
                None => return Err(EvaluateError::UnknownNamespace(name.to_owned())),
            }
        }
    };
    match options.policies {
        None => Ok(namespace),
        Some(wanted) => only(policies, namespace, wanted, mask),
    }
}

/// The policies of a namespace that are named.
fn only<'s>(
    policies: &Policies,
    namespace: Scope<'_>,
    wanted: &[impl AsRef<str>],
    mask: &'s mut Vec<bool>,
) -> Result<Scope<'s>, EvaluateError> {
    if wanted.is_empty() {
        return Err(EvaluateError::NoPolicies);
    }
    mask.clear();
    mask.resize(policies.manifest.policies.len(), false);
    for id in wanted.iter().map(AsRef::as_ref) {
        // An id names every policy of it that the request sees: leaving one out could turn a deny into an allow.
        let mut found = false;
        for index in policies.policy_index.get(id).into_iter().flatten() {
            if let Some(cell) = mask.get_mut(*index).filter(|_| namespace.holds(*index)) {
                if *cell {
                    return Err(EvaluateError::DuplicatePolicy(id.to_owned()));
                }
                *cell = true;
                found = true;
            }
        }
        if !found {
            return Err(EvaluateError::UnknownPolicy(id.to_owned()));
        }
    }
    Ok(Scope::Only(mask))
}
