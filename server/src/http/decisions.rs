//! `/decisions`: the decision log.

use super::extract::{Caller, Path, Query};
use super::policies::PageQuery;
use super::problem::{Answer, Failure, ProblemDocument};
use super::view::{List, LoggedDecision};
use crate::error::{Code, ServiceError};
use crate::state::App;
use crate::storage::model::{DecisionFilter, DecisionRecord, DecisionStats};
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(super) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(stats))
        .routes(routes!(get))
}

/// Which decisions.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct DecisionQuery {
    /// Only of this namespace.
    namespace: Option<String>,
    /// Only `allow`, `deny`, `warn` or `modify`.
    decision: Option<String>,
    /// Only asked by this one.
    subject: Option<String>,
    /// Only where this rule fired, as it stands in `matchedRules`.
    rule: Option<String>,
    /// Only where a rule of this policy fired, as it stands in `matchedPolicies`.
    policy: Option<String>,
    /// From this time on, RFC 3339.
    from: Option<String>,
    /// Before this time, RFC 3339.
    to: Option<String>,
    /// Number of entries, 1 to 500; default 50.
    #[param(minimum = 1, maximum = 500)]
    limit: Option<u32>,
    /// `next` of the part before.
    cursor: Option<String>,
}

fn malformed(detail: String) -> Failure {
    Failure(ServiceError::new(Code::MalformedRequest, detail))
}

impl DecisionQuery {
    fn filter(&self) -> Answer<DecisionFilter> {
        let known = ["allow", "deny", "warn", "modify"];
        if let Some(decision) = self.decision.as_deref().filter(|d| !known.contains(d)) {
            return Err(malformed(format!(
                "`decision` is allow, deny, warn or modify, not `{decision}`"
            )));
        }
        let time = |name: &str, text: &Option<String>| {
            text.as_ref()
                .map(|text| {
                    text.parse::<jiff::Timestamp>()
                        .map(jiff::Timestamp::as_millisecond)
                        .map_err(|_| {
                            malformed(format!(
                                "`{name}` is a time of RFC 3339 such as 2026-01-31T08:00:00Z, not `{text}`"
                            ))
                        })
                })
                .transpose()
        };
        Ok(DecisionFilter {
            namespaces: self.namespace.clone().map(|n| vec![n]),
            decision: self.decision.clone(),
            subject: self.subject.clone(),
            rule: self.rule.clone(),
            policy: self.policy.clone(),
            from_ms: time("from", &self.from)?,
            to_ms: time("to", &self.to)?,
            until: None,
        })
    }
}

fn view(app: &App, record: DecisionRecord) -> LoggedDecision {
    let context = app.open(&record);
    LoggedDecision::of(record, context)
}

/// List decisions, newest first.
///
/// Needs `audit:read`. The fields are those of a line of the decision log. Somebody bound to namespaces sees
/// decisions of these. A list has a `next` where there are more: give it as `cursor`.
#[utoipa::path(
    get, path = "/api/v1/decisions", tag = "decision log", operation_id = "listDecisions", params(DecisionQuery),
    responses(
        (status = 200, description = "Decisions.", body = List<LoggedDecision>),
        (status = "default", description = "Refused.", body = ProblemDocument, content_type = "application/problem+json"),
    )
)]
async fn list(
    State(app): State<App>,
    caller: Caller,
    Query(query): Query<DecisionQuery>,
) -> Answer<Response> {
    let filter = query.filter()?;
    let page = app.service.log_page(query.limit, query.cursor)?;
    let slice = app.service.decisions(caller.call(), filter, page).await?;
    Ok(axum::Json(List::of(slice, |record| view(&app, record))).into_response())
}

/// Count decisions.
///
/// Needs `audit:read`. Counts what `GET /api/v1/decisions` would list, with the same filters.
#[utoipa::path(
    get, path = "/api/v1/decisions/stats", tag = "decision log", operation_id = "decisionStats", params(DecisionQuery),
    responses(
        (status = 200, description = "Counts.", body = DecisionStats),
        (status = "default", description = "Refused.", body = ProblemDocument, content_type = "application/problem+json"),
    )
)]
async fn stats(
    State(app): State<App>,
    caller: Caller,
    Query(query): Query<DecisionQuery>,
) -> Answer<Response> {
    let filter = query.filter()?;
    app.service.log_page(query.limit, query.cursor)?;
    let stats = app.service.decision_stats(caller.call(), filter).await?;
    Ok(axum::Json(stats).into_response())
}

/// Read the decisions on a request, newest first. Callers choose request ids, so there may be many on one.
///
/// Needs `audit:read`. The fields are those of a line of the decision log.
#[utoipa::path(
    get, path = "/api/v1/decisions/{requestId}", tag = "decision log", operation_id = "getDecision",
    params(("requestId" = String, Path, description = "Id of the request."), PageQuery),
    responses(
        (status = 200, description = "Decisions.", body = List<LoggedDecision>),
        (status = "default", description = "Refused.", body = ProblemDocument, content_type = "application/problem+json"),
    )
)]
async fn get(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
    Query(query): Query<PageQuery>,
) -> Answer<Response> {
    let page = app.service.request_page(query.limit, query.cursor)?;
    let slice = app.service.decision(caller.call(), &id, page).await?;
    Ok(axum::Json(List::of(slice, |record| view(&app, record))).into_response())
}
