//! `/edges`: edge servers that follow this one, and what they say that they run.

use super::extract::{Caller, Json, Path, Query};
use super::policies::PageQuery;
use super::problem::{Answer, Failure, ProblemDocument};
use super::view::{Edge, List};
use crate::edges::Report;
use crate::error::{Code, ServiceError};
use crate::service;
use crate::state::App;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use serde::Deserialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(super) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(report))
}

/// List edge servers with what they run.
///
/// Needs `policy:read`, and no caller limited to namespaces may ask. This server lists what was reported to it since it started.
#[utoipa::path(
    get, path = "/api/v1/edges", tag = "edges", operation_id = "listEdges", params(PageQuery),
    responses(
        (status = 200, description = "Edge servers, by their ids.", body = List<Edge>),
        (status = "default", description = "Refused.", body = ProblemDocument, content_type = "application/problem+json"),
    )
)]
async fn list(State(app): State<App>, caller: Caller, Query(query): Query<PageQuery>) -> Answer<Response> {
    let page = service::page(query.limit, query.cursor)?;
    let (slice, digest) = app.service.edges(caller.call(), &page)?;
    let list = List::of(slice, |edge| Edge::of(edge, digest.as_deref()));
    Ok(axum::Json(list).into_response())
}

/// What an edge server says. Fields that this server does not know are passed over: edges may be newer.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct EdgeReport {
    /// Its id, which is that of the path.
    #[serde(default)]
    edge_id: Option<String>,
    /// The revision that decides there; null where none does.
    #[serde(default)]
    #[schema(max_length = 512)]
    revision: Option<String>,
    /// The digest of the bundle that decides there; null where none does.
    #[serde(default)]
    #[schema(max_length = 512)]
    digest: Option<String>,
    /// Since when it decides.
    #[serde(default)]
    #[schema(format = DateTime)]
    since: Option<String>,
    /// What goes wrong there, at most 16 texts.
    #[serde(default)]
    #[schema(max_items = 16)]
    errors: Vec<String>,
    /// The version of its program.
    #[serde(default)]
    #[schema(max_length = 512)]
    version: Option<String>,
}

/// Report what an edge server runs.
///
/// Needs `status:write`, and no caller limited to namespaces may. The report replaces the one before it. Reports are kept in memory:
/// after a restart, this server knows an edge again when it reports.
#[utoipa::path(
    post, path = "/api/v1/edges/{id}/status", tag = "edges", operation_id = "reportEdge",
    params(("id" = String, Path, description = "What the edge calls itself: 1 to 128 letters, digits, `.`, `_` and `-`.")),
    request_body = EdgeReport,
    responses(
        (status = 204, description = "Taken."),
        (status = "default", description = "Refused.", body = ProblemDocument, content_type = "application/problem+json"),
    )
)]
async fn report(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
    Json(report): Json<EdgeReport>,
) -> Answer<StatusCode> {
    if report.edge_id.as_ref().is_some_and(|named| *named != id) {
        let detail = "`edgeId` is not the id in the path";
        return Err(Failure(ServiceError::new(Code::MalformedRequest, detail)));
    }
    let report = Report {
        revision: report.revision,
        digest: report.digest,
        since: report.since,
        errors: report.errors,
        version: report.version,
    };
    app.service.report_edge(caller.call(), &id, report)?;
    Ok(StatusCode::NO_CONTENT)
}
