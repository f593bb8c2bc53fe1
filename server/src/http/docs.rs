//! `/openapi.json`, and `/docs`, a page that shows it. The page needs nothing from other hosts: clusters often reach none.

use crate::state::App;
use axum::Router;
use axum::http::{HeaderName, HeaderValue, header};
use axum::response::{Html, IntoResponse as _};
use axum::routing::get;
use bytes::Bytes;

const PAGE: &str = include_str!("docs.html");

/// The page runs its own script only, speaks to this server only, and is shown by no other page.
const POLICY: &str = "default-src 'none'; connect-src 'self'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// What a browser must not guess: the type of what it gets.
const NOSNIFF: (HeaderName, HeaderValue) = (
    header::X_CONTENT_TYPE_OPTIONS,
    HeaderValue::from_static("nosniff"),
);

pub(super) fn router(document: &utoipa::openapi::OpenApi) -> Router<App> {
    let json = Bytes::from(document.to_json().unwrap_or_default());
    let serve = move || {
        let json = json.clone();
        let kind = (header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        async move { ([kind, NOSNIFF], json) }
    };
    let page = async || {
        let policy = (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
        // For browsers that do not know `frame-ancestors`.
        let frames = (header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
        ([policy, frames, NOSNIFF], Html(PAGE)).into_response()
    };
    Router::new()
        .route("/openapi.json", get(serve))
        .route("/docs", get(page))
}
