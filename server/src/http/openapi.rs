//! The OpenAPI document: what is not said by a handler.

use crate::identity::Role;
use serde_json::{Value, json};
use utoipa::OpenApi;
use utoipa::openapi::path::Operation;
use utoipa::openapi::schema::{ArrayItems, Schema};
use utoipa::openapi::security::{
    ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme,
};
use utoipa::openapi::{OpenApi as Document, RefOr};

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
        (name = "keys", description = "API keys."),
        (name = "edges", description = "Edge servers, and what they run.")
    )
)]
pub(super) struct Head;

/// How a token is shown, and where it comes from.
const TOKEN: &str = "A JWT in `Authorization: Bearer TOKEN`, where `JWT_SECRET`, `JWT_PUBLIC_KEY` or `JWT_JWKS` is configured. Its \
claims `roles` or `scope` say what its holder may do; with `namespaces`, it is for these tenants only. For first steps, \
`policyd token --subject NAME --roles ROLE,…` makes one, signed with `JWT_SECRET`.

A request has one credential. Without a good one the answer is 401, without the scope that a call needs it is 403. Where neither \
tokens nor keys are configured, everybody who reaches the server may do everything, and no header is needed.

| role | scopes |
|---|---|
";

/// How a key is shown, and where it comes from.
const KEY: &str = "An API key in `X-API-Key`, or as bearer token, where `API_KEYS_ENABLED` is on. `policyd key --name NAME --roles ROLE,…` \
makes the first one in the database, `POST /api/v1/keys` the others. A key is shown once, when it is made or rotated.";

/// Fields that hold one of a few words: schema, field, words.
const WORDS: &[(&str, &str, &[&str])] = &[
    ("DecisionView", "decision", DECISIONS),
    ("MatchView", "decision", DECISIONS),
    ("LoggedDecision", "decision", DECISIONS),
    ("Problem", "severity", &["error", "warning", "note"]),
    ("Policy", "format", FORMATS),
    ("Version", "format", FORMATS),
];
const DECISIONS: &[&str] = &["allow", "deny", "warn", "modify"];
const FORMATS: &[&str] = &["yaml", "json"];

/// Bodies of the operations that take JSON. `server/tests/rest.rs` sends each.
fn example(operation: &str) -> Option<Value> {
    let policy = || {
        json!({
            "metadata": {"id": "no-gpt-4", "name": "No GPT-4"},
            "rules": [{
                "id": "r",
                "condition": {"operator": "eq", "field": "llm.model", "value": "gpt-4"},
                "action": {"decision": "deny", "reason": "Use another model"},
            }],
        })
    };
    let context = || json!({"llm": {"provider": "openai", "model": "gpt-4", "prompt": "Hello"}});
    Some(match operation {
        "evaluate" => json!({"context": context()}),
        "evaluateBatch" => json!({"contexts": [context(), context()]}),
        "simulate" => json!({"context": context(), "drafts": [policy()]}),
        "createPolicy" | "updatePolicy" | "validatePolicy" => policy(),
        "setPolicyStatus" => json!({"status": "active"}),
        "rollbackPolicy" => json!({"version": 1}),
        "rejectPolicy" => json!({"version": 2, "comment": "The limit is too high for the free tier"}),
        "activateBundle" | "rollbackBundle" => {
            json!({"digest": "sha256:0000000000000000000000000000000000000000000000000000000000000000"})
        }
        "createKey" => json!({"name": "gateway", "roles": ["evaluator"], "expiresIn": 31_536_000}),
        "rotateKey" => json!({"overlap": 3600}),
        "reportEdge" => json!({
            "revision": "7",
            "digest": "sha256:0000000000000000000000000000000000000000000000000000000000000000",
            "since": "2025-11-30T12:00:00Z",
            "errors": [],
            "version": "0.1.0",
        }),
        _ => return None,
    })
}

/// Adds how callers prove who they are, examples, words and links among schemas.
pub(super) fn finish(mut document: Document) -> Document {
    let components = document.components.get_or_insert_default();
    let mut token = TOKEN.to_owned();
    for role in Role::ALL {
        let scopes: Vec<String> = role
            .scopes()
            .iter()
            .map(|s| format!("`{}`", s.as_str()))
            .collect();
        token.push_str(&format!("| `{}` | {} |\n", role.as_str(), scopes.join(", ")));
    }
    components.add_security_scheme(
        "token",
        SecurityScheme::Http(
            HttpBuilder::new()
                .scheme(HttpAuthScheme::Bearer)
                .bearer_format("JWT")
                .description(Some(token))
                .build(),
        ),
    );
    components.add_security_scheme(
        "key",
        SecurityScheme::ApiKey(ApiKey::Header(ApiKeyValue::with_description("X-API-Key", KEY))),
    );
    let none: [&str; 0] = [];
    document.security = Some(vec![
        SecurityRequirement::default(),
        SecurityRequirement::new("token", none),
        SecurityRequirement::new("key", none),
    ]);
    for (schema, field, words) in WORDS {
        let schema = document
            .components
            .get_or_insert_default()
            .schemas
            .get_mut(*schema);
        if let Some(RefOr::T(Schema::Object(object))) = schema
            && let Some(RefOr::T(Schema::Object(field))) = object.properties.get_mut(*field)
        {
            field.enum_values = Some(words.iter().map(|word| Value::from(*word)).collect());
        }
    }
    link_lists(&mut document);
    for item in document.paths.paths.values_mut() {
        let operations = [
            &mut item.get,
            &mut item.put,
            &mut item.post,
            &mut item.delete,
            &mut item.patch,
        ];
        operations.into_iter().flatten().for_each(add_example);
    }
    document
}

/// `List_X` holds `X`, and says so instead of repeating it.
fn link_lists(document: &mut Document) {
    let schemas = &mut document.components.get_or_insert_default().schemas;
    let names: Vec<String> = schemas.keys().cloned().collect();
    for (list, schema) in schemas.iter_mut() {
        let Some(of) = list
            .strip_prefix("List_")
            .filter(|of| names.iter().any(|name| name == of))
        else {
            continue;
        };
        if let RefOr::T(Schema::Object(object)) = schema
            && let Some(RefOr::T(Schema::Array(items))) = object.properties.get_mut("items")
        {
            let link = RefOr::Ref(utoipa::openapi::Ref::from_schema_name(of));
            items.items = ArrayItems::RefOrSchema(Box::new(link));
        }
    }
}

fn add_example(operation: &mut Operation) {
    let Some(body) = operation.operation_id.as_deref().and_then(example) else {
        return;
    };
    if let Some(RefOr::T(request)) = &mut operation.request_body
        && let Some(RefOr::T(content)) = request.content.get_mut("application/json")
    {
        content.example = Some(body);
    }
}
