//! The OpenAPI document: what is not said by a handler.

use utoipa::OpenApi;
use utoipa::openapi::security::{
    ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme,
};

/// Title, licence, groups.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "LLM-Policy-Engine",
        description = "Policy decisions for LLM traffic. `/api/…` answers as `/api/v1/…` does. Every response carries \
                       `X-Request-Id`; errors are RFC 9457 problem documents with a stable `code`.",
        license(name = "Apache-2.0", identifier = "Apache-2.0")
    ),
    tags(
        (name = "decisions", description = "Ask for decisions."),
        (name = "policies", description = "Write, read, activate, roll back."),
        (name = "bundles", description = "Deploy what `policyc build` made."),
        (name = "decision log", description = "What was decided."),
        (name = "audit", description = "What was changed, hash-chained."),
        (name = "keys", description = "API keys.")
    )
)]
pub(super) struct Head;

/// Adds how callers prove who they are.
pub(super) fn finish(mut document: utoipa::openapi::OpenApi) -> utoipa::openapi::OpenApi {
    let components = document.components.get_or_insert_default();
    components.add_security_scheme(
        "token",
        SecurityScheme::Http(
            HttpBuilder::new()
                .scheme(HttpAuthScheme::Bearer)
                .bearer_format("JWT")
                .build(),
        ),
    );
    components.add_security_scheme(
        "key",
        SecurityScheme::ApiKey(ApiKey::Header(ApiKeyValue::new("X-API-Key"))),
    );
    let none: [&str; 0] = [];
    document.security = Some(vec![
        SecurityRequirement::default(),
        SecurityRequirement::new("token", none),
        SecurityRequirement::new("key", none),
    ]);
    document
}
