//! REST: routes by resource, each with its own `router()`; the middleware stack; the OpenAPI document.
//!
//! Handlers take a request apart, call one function of the service layer, and put the answer together. Errors become RFC 9457
//! documents in [`problem`]. `/api/*` answers as `/api/v1/*`.

mod audit;
mod bundle;
mod decisions;
pub mod docs;
mod edges;
mod evaluate;
mod extract;
mod keys;
pub mod openapi;
mod policies;
pub mod problem;
pub mod routes;
mod shell;
mod view;

pub use shell::Front;

use crate::state::App;
use axum::Router;
use utoipa::OpenApi as _;
use utoipa_axum::router::OpenApiRouter;

/// All routes with what stands around them.
#[must_use]
pub fn service(app: App) -> Front {
    let (api, document) = api().split_for_parts();
    let document = openapi::finish(document);
    let routes = Router::new()
        .merge(api)
        .merge(docs::router(&document))
        .merge(crate::admin::health_router());
    let routes = routes
        .fallback(problem::unknown_route)
        .method_not_allowed_fallback(problem::unknown_method);
    shell::around(routes, app)
}

/// The routes and their description.
fn api() -> OpenApiRouter<App> {
    OpenApiRouter::with_openapi(openapi::Head::openapi())
        .merge(evaluate::router())
        .merge(policies::router())
        .merge(bundle::router())
        .merge(decisions::router())
        .merge(audit::router())
        .merge(keys::router())
        .merge(edges::router())
}

/// The OpenAPI document, as `/openapi.json` serves it.
#[must_use]
pub fn document() -> utoipa::openapi::OpenApi {
    openapi::finish(api().split_for_parts().1)
}
