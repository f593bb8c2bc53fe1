//! `/bundle`: what decides, deployment of precompiled bundles, history.

use super::extract::{Body, Caller, IfMatch, Json, Query};
use super::policies::PageQuery;
use super::problem::{Answer, ProblemDocument};
use super::view::{Bundle, List};
use crate::active::Origin;
use crate::service;
use crate::state::App;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use serde::Deserialize;
use std::sync::Arc;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(super) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(get, deploy, remove))
        .routes(routes!(history))
        .routes(routes!(activate))
        .routes(routes!(rollback))
}

fn tagged(digest: Option<&str>, mut response: Response) -> Response {
    let tag = digest.and_then(|digest| HeaderValue::from_str(&format!("\"{digest}\"")).ok());
    if let Some(tag) = tag {
        response.headers_mut().insert(header::ETAG, tag);
    }
    response
}

/// What decides: with `Accept: application/octet-stream` the bytes of the deployed bundle, else what is known of it.
///
/// Needs `policy:read`, and no caller limited to namespaces may ask. The `ETag` is the digest; with `If-None-
/// Match`, the answer is 304 while nothing changed.
#[utoipa::path(
    get, path = "/api/v1/bundle", tag = "bundles", operation_id = "getBundle",
    params(("If-None-Match" = Option<String>, Header, description = "Digest that the caller has.")),
    responses(
        (status = 200, description = "What decides.", content((Bundle = "application/json"), (Vec<u8> = "application/octet-stream"))),
        (status = 304, description = "The caller has it."),
        (status = "default", description = "Refused.", body = ProblemDocument, content_type = "application/problem+json"),
    )
)]
async fn get(State(app): State<App>, caller: Caller, headers: HeaderMap) -> Answer<Response> {
    let info = app.service.bundle_status(caller.call())?;
    let text = |name: header::HeaderName| headers.get(name).and_then(|v| v.to_str().ok());
    let known = text(header::IF_NONE_MATCH).zip(info.digest.as_deref());
    let is_known = known.is_some_and(|(tags, digest)| {
        let mut tags = tags
            .split(',')
            .map(|tag| tag.trim().trim_start_matches("W/").trim_matches('"'));
        tags.any(|tag| tag == digest || tag == "*")
    });
    if is_known {
        return Ok(tagged(
            info.digest.as_deref(),
            StatusCode::NOT_MODIFIED.into_response(),
        ));
    }
    if text(header::ACCEPT).is_some_and(|accept| accept.contains("application/octet-stream")) {
        let (record, bytes) = app.service.active_bundle(caller.call()).await?;
        let mut response = bytes.into_response();
        response.headers_mut().insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/octet-stream"),
        );
        return Ok(tagged(Some(&record.digest), response));
    }
    let origin = match &app.service.origin {
        Origin::Store if info.digest.is_some() => "api".to_owned(),
        origin => origin.describe(),
    };
    let view = Bundle::active(&info, origin);
    Ok(tagged(info.digest.as_deref(), axum::Json(&view).into_response()))
}

/// Deploy a bundle.
///
/// Needs `policy:write`, and no caller limited to namespaces may. The body is a file that `policyc build` made,
/// signed where `BUNDLE_KEYS` are configured. It decides at once, unless it has to be approved; then `POST
/// /api/v1/bundle/activate` makes it decide.
#[utoipa::path(
    put, path = "/api/v1/bundle", tag = "bundles", operation_id = "deployBundle",
    params(("If-Match" = Option<String>, Header, description = "Digest of the bundle that is to be replaced.")),
    request_body(description = "What `policyc build` made.", content((Vec<u8> = "application/octet-stream"))),
    responses(
        (status = 200, description = "Deployed, and active unless it waits for approval.", body = Bundle),
        (status = "default", description = "Refused; nothing was changed.", body = ProblemDocument, content_type = "application/problem+json"),
    )
)]
async fn deploy(State(app): State<App>, caller: Caller, tag: IfMatch, Body(bytes): Body) -> Answer<Response> {
    let (record, warnings) = app
        .service
        .deploy_bundle(caller.call(), Arc::from(&*bytes), tag.0.as_deref())
        .await?;
    let view = Bundle {
        warnings,
        ..Bundle::of(record)
    };
    Ok(tagged(view.digest.as_deref(), axum::Json(&view).into_response()))
}

/// Go back to the stored policies.
///
/// Needs `policy:write`, or `policy:approve` where approval is required; no caller limited to namespaces may. The
/// active policies of the store decide from then on.
#[utoipa::path(
    delete, path = "/api/v1/bundle", tag = "bundles", operation_id = "removeBundle",
    params(("If-Match" = Option<String>, Header, description = "Digest of the bundle that ends; where approval is required, it must be given.")),
    responses(
        (status = 204, description = "The stored policies decide."),
        (status = "default", description = "Refused; nothing was changed.", body = ProblemDocument, content_type = "application/problem+json"),
    )
)]
async fn remove(State(app): State<App>, caller: Caller, tag: IfMatch) -> Answer<StatusCode> {
    app.service.remove_bundle(caller.call(), tag.0.as_deref()).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// List deployed bundles, newest first.
///
/// Needs `policy:read`, and no caller limited to namespaces may ask.
#[utoipa::path(
    get, path = "/api/v1/bundle/history", tag = "bundles", operation_id = "listBundles", params(PageQuery),
    responses(
        (status = 200, description = "Bundles.", body = List<Bundle>),
        (status = "default", description = "Refused.", body = ProblemDocument, content_type = "application/problem+json"),
    )
)]
async fn history(State(app): State<App>, caller: Caller, Query(query): Query<PageQuery>) -> Answer<Response> {
    let page = service::numbered_page(query.limit, query.cursor)?;
    let slice = app.service.bundle_history(caller.call(), &page).await?;
    Ok(axum::Json(List::of(slice, Bundle::of)).into_response())
}

/// A bundle to activate.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ActivateRequest {
    /// Its digest.
    digest: String,
}

/// Activate a stored bundle.
///
/// Needs `policy:write`, or `policy:approve` where approval is required, and then of somebody other than who
/// deployed it first; no caller limited to namespaces may.
#[utoipa::path(
    post, path = "/api/v1/bundle/activate", tag = "bundles", operation_id = "activateBundle",
    params(("If-Match" = Option<String>, Header, description = "Digest of the bundle that is to be replaced.")),
    request_body = ActivateRequest,
    responses(
        (status = 200, description = "Active.", body = Bundle),
        (status = "default", description = "Refused; nothing was changed.", body = ProblemDocument, content_type = "application/problem+json"),
    )
)]
async fn activate(
    State(app): State<App>,
    caller: Caller,
    tag: IfMatch,
    Json(request): Json<ActivateRequest>,
) -> Answer<Response> {
    let record = app
        .service
        .activate_bundle(caller.call(), &request.digest, tag.0.as_deref())
        .await?;
    let view = Bundle::of(record);
    Ok(tagged(view.digest.as_deref(), axum::Json(&view).into_response()))
}

/// A bundle to go back to.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = BundleRollbackRequest)]
struct RollbackRequest {
    /// Its digest; the bundle that was active before when absent. Where approval is required, it must be given.
    #[serde(default)]
    digest: Option<String>,
}

/// Go back to an earlier bundle.
///
/// Needs `policy:write`, or `policy:approve` where approval is required; no caller limited to namespaces may.
/// Without a digest, it is the bundle that was active before.
#[utoipa::path(
    post, path = "/api/v1/bundle/rollback", tag = "bundles", operation_id = "rollbackBundle",
    params(("If-Match" = Option<String>, Header, description = "Digest of the bundle that is to be replaced.")),
    request_body = RollbackRequest,
    responses(
        (status = 200, description = "Active.", body = Bundle),
        (status = "default", description = "Refused; nothing was changed.", body = ProblemDocument, content_type = "application/problem+json"),
    )
)]
async fn rollback(
    State(app): State<App>,
    caller: Caller,
    tag: IfMatch,
    Json(request): Json<RollbackRequest>,
) -> Answer<Response> {
    let record = app
        .service
        .rollback_bundle(caller.call(), request.digest.as_deref(), tag.0.as_deref())
        .await?;
    let view = Bundle::of(record);
    Ok(tagged(view.digest.as_deref(), axum::Json(&view).into_response()))
}
