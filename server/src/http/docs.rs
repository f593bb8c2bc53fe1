//! `/openapi.json`, `/docs`, a page that shows it, and `/`, which leads there. The page is written once, when the server starts:
//! it runs no script and needs nothing from other hosts, because clusters often reach none.

mod page;

pub use page::render;

use crate::state::App;
use axum::Router;
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use axum::response::{Html, IntoResponse as _, Redirect, Response};
use axum::routing::get;
use bytes::Bytes;

/// The page loads nothing but its own style, and is shown by no other page.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// What a browser must not guess: the type of what it gets.
const NOSNIFF: (HeaderName, HeaderValue) = (
    header::X_CONTENT_TYPE_OPTIONS,
    HeaderValue::from_static("nosniff"),
);

const DOCS: &str = "/docs";
const OPENAPI: &str = "/openapi.json";

pub(super) fn router(document: &utoipa::openapi::OpenApi) -> Router<App> {
    let value = serde_json::to_value(document).unwrap_or_default();
    let json = Bytes::from(document.to_json().unwrap_or_default());
    let html = Bytes::from(render(&value));
    let serve = move || {
        let json = json.clone();
        let kind = (header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        async move { ([kind, NOSNIFF], json) }
    };
    let page = move || {
        let html = html.clone();
        let policy = (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
        // For browsers that do not know `frame-ancestors`.
        let frames = (header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
        async move { ([policy, frames, NOSNIFF], Html(html)).into_response() }
    };
    Router::new()
        .route("/", get(root))
        .route(OPENAPI, get(serve))
        .route(DOCS, get(page))
}

/// Browsers are led to the page; programs are told where things are.
async fn root(headers: HeaderMap) -> Response {
    let mut accepts = headers.get_all(header::ACCEPT).iter();
    // What keeps one of the answers must not give it to who asks for the other one.
    let vary = [(header::VARY, HeaderValue::from_static("accept"))];
    if accepts.any(|value| value.to_str().is_ok_and(|text| text.contains("text/html"))) {
        return (vary, Redirect::permanent(DOCS)).into_response();
    }
    let places = serde_json::json!({
        "name": "policyd",
        "version": env!("CARGO_PKG_VERSION"),
        "docs": DOCS,
        "openapi": OPENAPI,
        "health": "/health",
    });
    (vary, axum::Json(places)).into_response()
}
