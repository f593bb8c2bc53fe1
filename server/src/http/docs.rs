//! `/openapi.json`, and `/docs`, a page that shows it. The page needs nothing from other hosts: clusters often reach none.

use crate::state::App;
use axum::Router;
use axum::http::{HeaderName, HeaderValue, header};
use axum::response::{Html, IntoResponse as _};
use axum::routing::get;
use bytes::Bytes;

const PAGE: &str = include_str!("docs.html");

pub(super) fn router(document: &utoipa::openapi::OpenApi) -> Router<App> {
    let json = Bytes::from(document.to_json().unwrap_or_default());
    let serve = move || {
        let json = json.clone();
        async move {
            (
                [(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))],
                json,
            )
        }
    };
    let policy = (
        HeaderName::from_static("content-security-policy"),
        HeaderValue::from_static(
            "default-src 'none'; connect-src 'self'; script-src 'unsafe-inline'; style-src 'unsafe-inline'",
        ),
    );
    let page = move || {
        let policy = policy.clone();
        async move { ([policy], Html(PAGE)).into_response() }
    };
    Router::new()
        .route("/openapi.json", get(serve))
        .route("/docs", get(page))
}
