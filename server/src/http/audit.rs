//! `/audit`: the hash-chained record of every change.

use super::extract::{Caller, Query};
use super::policies::PageQuery;
use super::problem::{Answer, ProblemDocument};
use super::view::{Audit, List};
use crate::service;
use crate::state::App;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(super) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(list))
}

/// List changes in their order.
///
/// Needs `audit:read`. Every change of policies, bundles and keys is a record; each holds the hash of the one
/// before it, so that a record that is changed or missing shows. Somebody bound to namespaces sees the records of
/// these.
#[utoipa::path(
    get, path = "/api/v1/audit", tag = "audit", operation_id = "listAudit", params(PageQuery),
    responses(
        (status = 200, description = "Records; `next` is the sequence number to go on from.", body = List<Audit>),
        (status = "default", description = "Refused.", body = ProblemDocument, content_type = "application/problem+json"),
    )
)]
async fn list(State(app): State<App>, caller: Caller, Query(query): Query<PageQuery>) -> Answer<Response> {
    let after = service::number(query.cursor.as_deref())?.unwrap_or(0);
    let page = service::page(query.limit, None)?;
    let (records, last) = app.service.audit(caller.call(), after, page.limit).await?;
    Ok(axum::Json(List {
        items: records.into_iter().map(Audit::of).collect(),
        next: last.map(|seq| seq.to_string()),
    })
    .into_response())
}
