//! `/keys`: API keys.

use super::extract::{Caller, Json, Path, Query};
use super::policies::PageQuery;
use super::problem::{Answer, ProblemDocument};
use super::view::{Key, List};
use crate::service;
use crate::service::keys::NewKey;
use crate::state::App;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use secrecy::ExposeSecret as _;
use serde::Deserialize;
use std::time::Duration;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(super) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list, create))
        .routes(routes!(rotate))
        .routes(routes!(revoke))
}

/// List API keys, without their secrets.
///
/// Needs `keys:manage`. Somebody bound to namespaces sees the keys of these.
#[utoipa::path(
    get, path = "/api/v1/keys", tag = "keys", operation_id = "listKeys", params(PageQuery),
    responses(
        (status = 200, description = "Keys.", body = List<Key>),
        (status = "default", description = "Refused.", body = ProblemDocument, content_type = "application/problem+json"),
    )
)]
async fn list(State(app): State<App>, caller: Caller, Query(query): Query<PageQuery>) -> Answer<Response> {
    let page = service::page(query.limit, query.cursor)?;
    let slice = app.service.keys(caller.call(), &page).await?;
    Ok(axum::Json(List::of(slice, |key| Key::of(key, None))).into_response())
}

/// A key to make.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct CreateKey {
    /// What people call it.
    name: String,
    /// Roles: `admin`, `policy.author`, `policy.approver`, `policy.viewer`, `auditor`, `evaluator`, `edge`.
    #[serde(default)]
    roles: Vec<String>,
    /// Scopes beside those of the roles.
    #[serde(default)]
    scopes: Vec<String>,
    /// Namespaces that it may touch, at most 64; all that the maker has when absent.
    #[serde(default)]
    #[schema(max_items = 64)]
    namespaces: Option<Vec<String>>,
    /// How long it is good, in seconds, at most a hundred years; for ever when absent.
    #[serde(default)]
    #[schema(minimum = 1)]
    expires_in: Option<u64>,
}

/// Make a key. The answer holds it, once. Made by somebody bound to namespaces, it counts as them in limits, shares and quotas.
///
/// Needs `keys:manage`, and every scope that the key is to have.
#[utoipa::path(
    post, path = "/api/v1/keys", tag = "keys", operation_id = "createKey", request_body = CreateKey,
    responses(
        (status = 201, description = "The key, shown once.", body = Key),
        (status = "default", description = "Refused.", body = ProblemDocument, content_type = "application/problem+json"),
    )
)]
async fn create(State(app): State<App>, caller: Caller, Json(request): Json<CreateKey>) -> Answer<Response> {
    let new = NewKey {
        name: request.name,
        roles: request.roles,
        scopes: request.scopes,
        namespaces: request.namespaces,
        life: request.expires_in.map(Duration::from_secs),
    };
    let (key, secret) = app.service.create_key(caller.call(), new).await?;
    let view = Key::of(key, Some(secret.expose_secret().to_owned()));
    Ok((StatusCode::CREATED, axum::Json(view)).into_response())
}

/// How to rotate.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct RotateKey {
    /// How long the old secret stays good, in seconds; a day when absent.
    #[serde(default)]
    overlap: Option<u64>,
    /// How long the key is good from now on, in seconds, at most a hundred years; as before when absent, which a key that
    /// has expired does not take.
    #[serde(default)]
    #[schema(minimum = 1)]
    expires_in: Option<u64>,
}

/// Give a key a new secret. The answer holds it, once. Needs every scope of the key; the key counts as the caller too, and in limits, shares and
/// quotas from then on where the caller is bound to namespaces.
///
/// Needs `keys:manage`. The old secret stays good for `overlap` seconds.
#[utoipa::path(
    post, path = "/api/v1/keys/{id}/rotate", tag = "keys", operation_id = "rotateKey",
    params(("id" = String, Path, description = "Public part of the key.")), request_body = RotateKey,
    responses(
        (status = 200, description = "The key, shown once.", body = Key),
        (status = "default", description = "Refused.", body = ProblemDocument, content_type = "application/problem+json"),
    )
)]
async fn rotate(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
    Json(request): Json<RotateKey>,
) -> Answer<Response> {
    let (overlap, life) = (
        request.overlap.map(Duration::from_secs),
        request.expires_in.map(Duration::from_secs),
    );
    let (key, secret) = app.service.rotate_key(caller.call(), &id, overlap, life).await?;
    app.auth.forget_key(&id);
    let view = Key::of(key, Some(secret.expose_secret().to_owned()));
    Ok(axum::Json(view).into_response())
}

/// Revoke a key. Needs every scope of the key.
///
/// Needs `keys:manage`. Servers that used the key before know it within five seconds.
#[utoipa::path(
    delete, path = "/api/v1/keys/{id}", tag = "keys", operation_id = "revokeKey",
    params(("id" = String, Path, description = "Public part of the key.")),
    responses(
        (status = 204, description = "Revoked; servers know within five seconds."),
        (status = "default", description = "Refused.", body = ProblemDocument, content_type = "application/problem+json"),
    )
)]
async fn revoke(State(app): State<App>, caller: Caller, Path(id): Path<String>) -> Answer<StatusCode> {
    app.service.revoke_key(caller.call(), &id).await?;
    app.auth.forget_key(&id);
    Ok(StatusCode::NO_CONTENT)
}
