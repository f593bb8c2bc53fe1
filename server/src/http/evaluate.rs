//! `/evaluate`, `/evaluate/batch`, `/simulate`.

use super::extract::{Body, Caller, Json, admit, begin, enter, read, require_json};
use super::problem::{Answer, Failure, ProblemDocument};
use super::shell::within;
use crate::body::{self, Arriving};
use crate::cache;
use crate::document::Format;
use crate::error::{Code, Result, ServiceError};
use crate::json_text::explain;
use crate::limits::Route;
use crate::service::evaluate::{Batch, Evaluation, Whole, numbered};
use crate::service::simulate::{Contexts, Draft, Simulated, Simulation};
use crate::shares::Address;
use crate::state::App;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, Request, header};
use axum::response::Response;
use bytes::Bytes;
use policy_runtime::Verb;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::pin::pin;
use std::sync::Arc;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// Where decisions are asked for.
pub(super) const PATH: &str = "/api/v1/evaluate";

pub(super) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(evaluate))
        .routes(routes!(batch))
        .routes(routes!(simulate))
}

/// Answer to a request.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
#[expect(dead_code, reason = "describes what the runtime writes")]
pub(super) struct EvaluateResponse {
    /// As given, or generated.
    request_id: String,
    /// What was decided, and why.
    decision: DecisionView,
    /// When, in milliseconds since the epoch.
    timestamp: u64,
    /// Whether it came from a cache.
    cached: bool,
    /// Which policies decided.
    bundle: BundleView,
}

/// Which policies decided.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes what the runtime writes")]
pub(super) struct BundleView {
    /// Revision of the policy set.
    revision: String,
}

/// A decision.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
#[expect(dead_code, reason = "describes what the runtime writes")]
pub(super) struct DecisionView {
    /// `allow`, `deny`, `warn` or `modify`.
    decision: String,
    /// Everything but `deny`.
    allowed: bool,
    /// Reason of the first fired rule with this decision.
    reason: Option<String>,
    /// Policies with fired rules, in evaluation order: `policyId`, or `namespace/policyId` where the request sees two of one id.
    matched_policies: Vec<String>,
    /// Fired rules, in evaluation order: `ruleId`, or with its policy in front where the request sees two of one id.
    matched_rules: Vec<String>,
    /// The same rules, each with what it decides and why.
    matched: Vec<MatchView>,
    /// Time from request bytes to decision, in milliseconds.
    evaluation_time_ms: f64,
    /// New values by path.
    #[schema(value_type = Option<Object>)]
    modifications: Option<serde_json::Value>,
    /// Action metadata of the fired rules.
    #[schema(value_type = Option<Object>)]
    metadata: Option<serde_json::Value>,
    /// Conditions that could not be evaluated.
    #[schema(value_type = Option<Vec<Object>>)]
    errors: Option<serde_json::Value>,
    /// Every rule and condition, when asked for; under `secondLook` once more for the modified request, where that is what
    /// is denied.
    #[schema(value_type = Option<Object>)]
    trace: Option<serde_json::Value>,
}

/// A fired rule.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes what the runtime writes")]
pub(super) struct MatchView {
    /// Policy of the rule, named as in `matchedPolicies`.
    policy: String,
    /// Its id in that policy.
    rule: String,
    /// `allow`, `deny`, `warn` or `modify`.
    decision: String,
    /// Its reason.
    reason: Option<String>,
}

/// Answers to a batch.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
#[expect(dead_code, reason = "describes what `batch` writes")]
pub(super) struct BatchResponse {
    /// One response, or `{requestId, "error": {code, detail}}`, for each context, in their order. Their ids are that of the
    /// request and a number from 0: `ID-0`, `ID-1` …
    #[schema(value_type = Vec<Object>)]
    results: Vec<serde_json::Value>,
    /// How many.
    count: usize,
    /// How many of each outcome.
    summary: Summary,
}

/// How many of each outcome.
#[derive(Default, ToSchema)]
struct Summary {
    /// Allowed.
    allow: usize,
    /// Denied.
    deny: usize,
    /// Allowed with a warning.
    warn: usize,
    /// Allowed with changes.
    modify: usize,
    /// Not decided.
    errors: usize,
}

fn json(body: impl Into<axum::body::Body>) -> Response {
    let mut response = Response::new(body.into());
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// Decide on one request.
///
/// Needs `policy:evaluate`. The answer is 200 for every decision, also for `deny`. Where a rule modifies, send the
/// request to the provider as `modifications` say.
#[utoipa::path(
    post, path = PATH, tag = "decisions", operation_id = "evaluate",
    request_body = Evaluation<'static>,
    responses(
        (status = 200, description = "The decision, whatever it is.", body = EvaluateResponse),
        (status = "default", description = "No decision was made.", body = ProblemDocument, content_type = "application/problem+json"),
    )
)]
async fn evaluate(
    State(app): State<App>,
    caller: Caller,
    headers: HeaderMap,
    Body(body): Body,
) -> Answer<Response> {
    require_json(&headers)?;
    decide(&app, &caller, body).await
}

async fn decide(app: &App, caller: &Caller, body: Bytes) -> Answer<Response> {
    let whole = Whole(body::object(body)?);
    Ok(json(app.service.evaluate(caller, whole).await?.json))
}

/// Decides on a request that is on its way: what the shell, the router and [`evaluate`] do, without the router.
pub(super) async fn answer(
    app: &App,
    request: Request<Arriving>,
    address: Address,
    id: Arc<str>,
) -> Answer<Response> {
    let (parts, body) = request.into_parts();
    let mut caller = admit(app, &parts, address, Route::Evaluate, id).await?;
    require_json(&parts.headers)?;
    let body = read(app, &parts, body, address).await?;
    begin(app, &mut caller);
    let _place = enter(app)?;
    let answer = pin!(decide(app, &caller, body.bytes));
    within(app, answer).await?
}

/// Decide on several requests.
///
/// Needs `policy:evaluate`. Contexts are decided in their order, each on its own: one that cannot be decided has an
/// `error` in its place.
#[utoipa::path(
    post, path = "/api/v1/evaluate/batch", tag = "decisions", operation_id = "evaluateBatch",
    request_body = Batch<'static>,
    responses(
        (status = 200, description = "A result for each context, in their order.", body = BatchResponse),
        (status = "default", description = "No decision was made.", body = ProblemDocument, content_type = "application/problem+json"),
    )
)]
async fn batch(
    State(app): State<App>,
    caller: Caller,
    headers: HeaderMap,
    Body(body): Body,
) -> Answer<Response> {
    require_json(&headers)?;
    let outcomes = app.service.evaluate_batch(&caller, body::object(body)?).await?;
    Ok(json(results(
        caller.call().request_id,
        outcomes.into_iter().map(|o| o.map(Shown::from)).collect(),
    )))
}

/// A response as results show it.
struct Shown {
    verb: Verb,
    json: String,
}

impl From<cache::Response> for Shown {
    fn from(response: cache::Response) -> Self {
        Self {
            verb: response.verb,
            json: String::from_utf8_lossy(&response.json).into_owned(),
        }
    }
}

impl From<Simulated> for Shown {
    fn from(outcome: Simulated) -> Self {
        Self {
            verb: outcome.verb,
            json: outcome.json,
        }
    }
}

/// The document of several outcomes.
fn results(request_id: &str, outcomes: Vec<Result<Shown>>) -> String {
    let mut summary = Summary::default();
    let count = outcomes.len();
    let mut out = String::from("{\"results\":[");
    for (i, outcome) in outcomes.into_iter().enumerate() {
        if i > 0 {
            out.push(',');
        }
        match outcome {
            Ok(outcome) => {
                *match outcome.verb {
                    Verb::Allow => &mut summary.allow,
                    Verb::Deny => &mut summary.deny,
                    Verb::Warn => &mut summary.warn,
                    Verb::Modify => &mut summary.modify,
                } += 1;
                out.push_str(&outcome.json);
            }
            Err(error) => {
                summary.errors += 1;
                let error = serde_json::json!({
                    "requestId": numbered(request_id, i),
                    "error": {"code": error.code.as_str(), "detail": error.detail},
                });
                out.push_str(&error.to_string());
            }
        }
    }
    let Summary {
        allow,
        deny,
        warn,
        modify,
        errors,
    } = summary;
    out.push_str(&format!(
        "],\"count\":{count},\"summary\":{{\"allow\":{allow},\"deny\":{deny},\"warn\":{warn},\"modify\":{modify},\"errors\":{errors}}}}}"
    ));
    out
}

/// What to simulate: one context or several.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct SimulateRequest {
    /// What is to be judged; the answer is one response.
    #[serde(default)]
    #[schema(value_type = Option<Object>)]
    context: Option<Box<RawValue>>,
    /// Several; the answer is that of a batch.
    #[serde(default)]
    #[schema(value_type = Option<Vec<Object>>)]
    contexts: Option<Vec<Box<RawValue>>>,
    /// Policies to try on top of those that decide: a text is YAML, an object is the document itself. A bundle holds no
    /// source text: while one decides, `policies` has to name drafts, and nothing of the bundle.
    #[serde(default)]
    #[schema(value_type = Vec<Object>)]
    drafts: Vec<Box<RawValue>>,
    /// Only these policies; ones that are not active are tried in their newest version.
    #[serde(default)]
    policies: Option<Vec<String>>,
    /// Only policies of this namespace and of `global`.
    #[serde(default)]
    namespace: Option<String>,
    /// Whether to explain every rule; default true.
    #[serde(default)]
    trace: Option<bool>,
}

/// Answer to a simulation.
#[derive(ToSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "describes what `simulate` writes")]
pub(super) enum SimulateResponse {
    /// To `context`.
    One(Box<EvaluateResponse>),
    /// To `contexts`.
    Several(BatchResponse),
}

/// Try policies without storing, counting or logging anything.
///
/// Needs `policy:read`. Give `context`, or `contexts` for several, and policies to try as `drafts`, which count in
/// front of those that decide.
#[utoipa::path(
    post, path = "/api/v1/simulate", tag = "decisions", operation_id = "simulate",
    request_body = SimulateRequest,
    responses(
        (status = 200, description = "The decision; for `contexts`, as a batch.", body = SimulateResponse),
        (status = "default", description = "Nothing was tried.", body = ProblemDocument, content_type = "application/problem+json"),
    )
)]
async fn simulate(
    State(app): State<App>,
    caller: Caller,
    Json(request): Json<SimulateRequest>,
) -> Answer<Response> {
    let text = |context: Box<RawValue>| String::from(Box::<str>::from(context));
    let contexts = match (request.context, request.contexts) {
        (Some(one), None) => Contexts::One(text(one)),
        (None, Some(several)) => Contexts::Several(several.into_iter().map(text).collect()),
        (Some(_), Some(_)) | (None, None) => {
            return Err(Failure(ServiceError::new(
                Code::MalformedRequest,
                "give either `context` or `contexts`",
            )));
        }
    };
    let single = matches!(contexts, Contexts::One(_));
    let simulation = Simulation {
        contexts,
        drafts: request
            .drafts
            .iter()
            .map(|draft| read_draft(draft))
            .collect::<Result<_>>()?,
        policies: request.policies,
        namespace: request.namespace,
        trace: request.trace.unwrap_or(true),
    };
    let mut outcomes = app.service.simulate(caller.call(), simulation).await?;
    if single && let Some(outcome) = outcomes.pop() {
        return Ok(json(outcome?.json));
    }
    Ok(json(results(
        caller.call().request_id,
        outcomes.into_iter().map(|o| o.map(Shown::from)).collect(),
    )))
}

fn read_draft(draft: &RawValue) -> Result<Draft> {
    let text = draft.get();
    if text.starts_with('"') {
        let source = serde_json::from_str(text)
            .map_err(|error| ServiceError::new(Code::MalformedRequest, explain(&error, "a draft")))?;
        return Ok(Draft {
            source,
            format: Format::Yaml,
        });
    }
    Ok(Draft {
        source: text.to_owned(),
        format: Format::Json,
    })
}

#[cfg(test)]
mod tests;
