//! `/policies`: documents, versions, status.

use super::extract::{Caller, Document, IfMatch, Json, Path, Query};
use super::problem::{Answer, ProblemDocument};
use super::view::{List, Policy, Version};
use crate::error::Problem;
use crate::identity::Scope;
use crate::service;
use crate::service::policies::{PolicyName, Validated, Wanted};
use crate::state::App;
use crate::storage::model::{Approval, PolicyStatus};
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{self, MethodRouter};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(super) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list, create))
        .routes(routes!(validate))
        .routes(routes!(get, update, delete))
        .routes(routes!(set_status))
        .routes(routes!(versions))
        .routes(routes!(version))
        .routes(routes!(rollback))
        .routes(routes!(reject))
        .route(VALIDATE, named_validate())
}

/// Where documents are checked; the other methods are those of a policy of this id.
const VALIDATE: &str = "/api/v1/policies/validate";

/// The routes of a policy whose id is `validate`. A path without a parameter hides the one with it, whatever the method.
fn named_validate() -> MethodRouter<App> {
    let id = || Path("validate".to_owned());
    routing::get(move |app, caller, query| get(app, caller, id(), query))
        .put(move |app, caller, query, tag, document| update(app, caller, id(), query, tag, document))
        .delete(move |app, caller, query, tag| delete(app, caller, id(), query, tag))
}

/// Which policy, beside its id.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct NamespaceQuery {
    /// Namespace of the policy. Needed where several of the caller's namespaces have a policy of this id; the caller's own
    /// come before `global`.
    namespace: Option<String>,
}

impl NamespaceQuery {
    fn of<'n>(&'n self, id: &'n str) -> PolicyName<'n> {
        PolicyName {
            id,
            namespace: self.namespace.as_deref(),
        }
    }
}

/// A policy with its `ETag`.
fn tagged(status: StatusCode, policy: &Policy) -> Response {
    let mut response = (status, axum::Json(policy)).into_response();
    if let Ok(tag) = HeaderValue::from_str(&format!("\"{}\"", policy.version)) {
        response.headers_mut().insert(header::ETAG, tag);
    }
    response
}

/// Whether a change of what somebody else may have written is answered with its text.
fn may_read(caller: &Caller) -> bool {
    caller.identity.scopes.has(Scope::Read)
}

/// Which policies to list.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct ListQuery {
    /// Only of this namespace.
    namespace: Option<String>,
    /// Only where the newest version has this status.
    status: Option<PolicyStatus>,
    /// Only where the newest version waits for approval, or was rejected.
    #[param(inline)]
    approval: Option<Approval>,
    /// Number of entries, 1 to 500; default 50.
    #[param(minimum = 1, maximum = 500)]
    limit: Option<u32>,
    /// `next` of the part before.
    cursor: Option<String>,
}

/// List policies.
///
/// Needs `policy:read`. Somebody bound to namespaces sees policies of these and of `global`. A list has a `next`
/// where there are more: give it as `cursor`.
#[utoipa::path(
    get, path = "/api/v1/policies", tag = "policies", operation_id = "listPolicies", params(ListQuery),
    responses(
        (status = 200, description = "Policies in the order of their ids, then of their namespaces, without documents.", body = List<Policy>),
        (status = "default", description = "Refused.", body = ProblemDocument, content_type = "application/problem+json"),
    )
)]
async fn list(State(app): State<App>, caller: Caller, Query(query): Query<ListQuery>) -> Answer<Response> {
    let page = service::page(query.limit, query.cursor)?;
    let wanted = Wanted {
        namespace: query.namespace.as_deref(),
        status: query.status,
        approval: query.approval,
    };
    let slice = app.service.policies(caller.call(), wanted, &page).await?;
    Ok(axum::Json(List::of(slice, |seen| Policy::of(seen, false))).into_response())
}

/// Store a policy that is not there yet.
///
/// Needs `policy:write`. The body is the document, YAML or JSON. With status `active`, which is the default, it
/// decides at once, unless it has to be approved.
#[utoipa::path(
    post, path = "/api/v1/policies", tag = "policies", operation_id = "createPolicy",
    request_body(description = "The document.", content((Object = "application/json"), (String = "application/yaml"))),
    responses(
        (status = 201, description = "Stored, and active unless it is a draft or waits for approval.", body = Policy),
        (status = "default", description = "Refused; nothing was stored.", body = ProblemDocument, content_type = "application/problem+json"),
    )
)]
async fn create(State(app): State<App>, caller: Caller, document: Document) -> Answer<Response> {
    let written = app
        .service
        .create_policy(caller.call(), document.source, document.format)
        .await?;
    Ok(tagged(StatusCode::CREATED, &Policy::written(written)))
}

/// Read a policy.
///
/// Needs `policy:read`. The `ETag` is the number of the newest version; give it as `If-Match` with a change.
#[utoipa::path(
    get, path = "/api/v1/policies/{id}", tag = "policies", operation_id = "getPolicy",
    params(("id" = String, Path, description = "Id of the policy."), NamespaceQuery),
    responses(
        (status = 200, description = "The newest version.", body = Policy),
        (status = "default", description = "Refused.", body = ProblemDocument, content_type = "application/problem+json"),
    )
)]
async fn get(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
    Query(query): Query<NamespaceQuery>,
) -> Answer<Response> {
    let seen = app.service.policy(caller.call(), query.of(&id)).await?;
    Ok(tagged(StatusCode::OK, &Policy::of(seen, true)))
}

/// Store a new version of a policy. The namespace is that of the document.
///
/// Needs `policy:write`. With `If-Match`, the answer is 412 where another version is the newest meanwhile.
#[utoipa::path(
    put, path = "/api/v1/policies/{id}", tag = "policies", operation_id = "updatePolicy",
    params(
        ("id" = String, Path, description = "Id of the policy."),
        NamespaceQuery,
        ("If-Match" = Option<String>, Header, description = "Version that is to be replaced, such as \"3\"."),
    ),
    request_body(description = "The document.", content((Object = "application/json"), (String = "application/yaml"))),
    responses(
        (status = 200, description = "Stored.", body = Policy),
        (status = "default", description = "Refused; nothing was stored.", body = ProblemDocument, content_type = "application/problem+json"),
    )
)]
async fn update(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
    Query(query): Query<NamespaceQuery>,
    tag: IfMatch,
    document: Document,
) -> Answer<Response> {
    let expected = tag.version()?;
    let written = app
        .service
        .update_policy(
            caller.call(),
            query.of(&id),
            document.source,
            document.format,
            expected,
        )
        .await?;
    Ok(tagged(StatusCode::OK, &Policy::written(written)))
}

/// Remove a policy. Its versions stay readable.
///
/// Needs `policy:write`. It decides no more.
#[utoipa::path(
    delete, path = "/api/v1/policies/{id}", tag = "policies", operation_id = "deletePolicy",
    params(
        ("id" = String, Path, description = "Id of the policy."),
        NamespaceQuery,
        ("If-Match" = Option<String>, Header, description = "Version that is to be removed."),
    ),
    responses(
        (status = 204, description = "Removed."),
        (status = "default", description = "Refused; nothing was removed.", body = ProblemDocument, content_type = "application/problem+json"),
    )
)]
async fn delete(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
    Query(query): Query<NamespaceQuery>,
    tag: IfMatch,
) -> Answer<StatusCode> {
    app.service
        .delete_policy(caller.call(), query.of(&id), tag.version()?)
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

/// A status to set.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct StatusRequest {
    /// `active` activates the newest version; the others deactivate the policy.
    status: PolicyStatus,
}

/// Activate the newest version of a policy, or deactivate the policy.
///
/// Needs `policy:write`, or `policy:approve` to activate where approval is required, and then of somebody other
/// than its author.
#[utoipa::path(
    patch, path = "/api/v1/policies/{id}/status", tag = "policies", operation_id = "setPolicyStatus",
    params(
        ("id" = String, Path, description = "Id of the policy."),
        NamespaceQuery,
        ("If-Match" = Option<String>, Header, description = "Version that is meant. Where approval is required, an activation must name the version that was reviewed."),
    ),
    request_body = StatusRequest,
    responses(
        (status = 200, description = "Done.", body = Policy),
        (status = "default", description = "Refused; nothing was changed.", body = ProblemDocument, content_type = "application/problem+json"),
    )
)]
async fn set_status(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
    Query(query): Query<NamespaceQuery>,
    tag: IfMatch,
    Json(request): Json<StatusRequest>,
) -> Answer<Response> {
    let expected = tag.version()?;
    let seen = app
        .service
        .set_policy_status(caller.call(), query.of(&id), request.status, expected)
        .await?;
    Ok(tagged(StatusCode::OK, &Policy::of(seen, may_read(&caller))))
}

/// Part of a list.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct PageQuery {
    /// Number of entries, 1 to 500; default 50.
    #[param(minimum = 1, maximum = 500)]
    pub(super) limit: Option<u32>,
    /// `next` of the part before.
    pub(super) cursor: Option<String>,
}

/// Which versions.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct VersionsQuery {
    /// Namespace of the policy. Needed where several of the caller's namespaces have a policy of this id; the caller's own
    /// come before `global`.
    namespace: Option<String>,
    /// Number of entries, 1 to 500; default 50.
    #[param(minimum = 1, maximum = 500)]
    limit: Option<u32>,
    /// `next` of the part before.
    cursor: Option<String>,
}

/// List the versions of a policy, newest first.
///
/// Needs `policy:read`. Documents are left out: read a version by its number for its document.
#[utoipa::path(
    get, path = "/api/v1/policies/{id}/versions", tag = "policies", operation_id = "listPolicyVersions",
    params(("id" = String, Path, description = "Id of the policy."), VersionsQuery),
    responses(
        (status = 200, description = "Versions without documents.", body = List<Version>),
        (status = "default", description = "Refused.", body = ProblemDocument, content_type = "application/problem+json"),
    )
)]
async fn versions(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
    Query(query): Query<VersionsQuery>,
) -> Answer<Response> {
    let page = service::numbered_page(query.limit, query.cursor)?;
    let name = PolicyName {
        id: &id,
        namespace: query.namespace.as_deref(),
    };
    let slice = app.service.policy_versions(caller.call(), name, &page).await?;
    Ok(axum::Json(List::of(slice, |version| Version::of(version, false))).into_response())
}

/// Read a version of a policy.
///
/// Needs `policy:read`.
#[utoipa::path(
    get, path = "/api/v1/policies/{id}/versions/{version}", tag = "policies", operation_id = "getPolicyVersion",
    params(
        ("id" = String, Path, description = "Id of the policy."),
        ("version" = u64, Path, description = "Number of the version."),
        NamespaceQuery,
    ),
    responses(
        (status = 200, description = "The version with its document.", body = Version),
        (status = "default", description = "Refused.", body = ProblemDocument, content_type = "application/problem+json"),
    )
)]
async fn version(
    State(app): State<App>,
    caller: Caller,
    Path((id, version)): Path<(String, u64)>,
    Query(query): Query<NamespaceQuery>,
) -> Answer<Response> {
    let name = query.of(&id);
    let version = app.service.policy_version(caller.call(), name, version).await?;
    Ok(axum::Json(Version::of(version, true)).into_response())
}

/// A version to go back to.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct RollbackRequest {
    /// Number of the version.
    version: u64,
}

/// Store an older version of a policy as the newest one.
///
/// Needs `policy:write`. Its text and its status come back as a version of their own. Where approval is required, that
/// one has to be approved.
#[utoipa::path(
    post, path = "/api/v1/policies/{id}/rollback", tag = "policies", operation_id = "rollbackPolicy",
    params(
        ("id" = String, Path, description = "Id of the policy."),
        NamespaceQuery,
        ("If-Match" = Option<String>, Header, description = "Version that is to be replaced."),
    ),
    request_body = RollbackRequest,
    responses(
        (status = 200, description = "Done.", body = Policy),
        (status = "default", description = "Refused; nothing was changed.", body = ProblemDocument, content_type = "application/problem+json"),
    )
)]
async fn rollback(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
    Query(query): Query<NamespaceQuery>,
    tag: IfMatch,
    Json(request): Json<RollbackRequest>,
) -> Answer<Response> {
    let expected = tag.version()?;
    let written = app
        .service
        .rollback_policy(caller.call(), query.of(&id), request.version, expected)
        .await?;
    let mut policy = Policy::written(written);
    policy.source.take_if(|_| !may_read(&caller));
    Ok(tagged(StatusCode::OK, &policy))
}

/// A version to reject.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct RejectRequest {
    /// Number of the version that waits.
    version: u64,
    /// Why, for the author: at most 2000 bytes in one line, without control characters.
    comment: String,
}

/// Reject the version of a policy that waits for approval, with a comment.
///
/// Needs `policy:write`, and where approval is required `policy:approve` for what somebody else wrote. A rejected version never
/// becomes active; its author submits the policy anew as a new version.
#[utoipa::path(
    post, path = "/api/v1/policies/{id}/reject", tag = "policies", operation_id = "rejectPolicy",
    params(
        ("id" = String, Path, description = "Id of the policy."),
        NamespaceQuery,
    ),
    request_body = RejectRequest,
    responses(
        (status = 200, description = "Rejected; what was active before stays active. Without the document.", body = Policy),
        (status = "default", description = "Refused; nothing was changed.", body = ProblemDocument, content_type = "application/problem+json"),
    )
)]
async fn reject(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
    Query(query): Query<NamespaceQuery>,
    Json(request): Json<RejectRequest>,
) -> Answer<Response> {
    let name = query.of(&id);
    let seen = app
        .service
        .reject_policy(caller.call(), name, request.version, &request.comment)
        .await?;
    Ok(tagged(StatusCode::OK, &Policy::of(seen, false)))
}

/// What the compiler says.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct Validation {
    /// Whether there is no error, and no warning where warnings are errors.
    valid: bool,
    /// Errors and warnings, with line and column.
    diagnostics: Vec<Problem>,
    /// Whether a version that is to decide waits here until somebody other than its author approves it.
    approval_required: bool,
}

/// Check a document without storing it.
///
/// Needs `policy:read`. The answer is 200 whatever the document holds: `valid` says whether it compiles,
/// `diagnostics` what is wrong, with line and column.
#[utoipa::path(
    post, path = VALIDATE, tag = "policies", operation_id = "validatePolicy",
    request_body(description = "The document.", content((Object = "application/json"), (String = "application/yaml"))),
    responses(
        (status = 200, description = "What the compiler says.", body = Validation),
        (status = "default", description = "Refused.", body = ProblemDocument, content_type = "application/problem+json"),
    )
)]
async fn validate(State(app): State<App>, caller: Caller, document: Document) -> Answer<Response> {
    let Validated { valid, problems } = app
        .service
        .validate_policy(caller.call(), document.source, document.format)
        .await?;
    let validation = Validation {
        valid,
        diagnostics: problems,
        approval_required: app.service.approval,
    };
    Ok(axum::Json(validation).into_response())
}
