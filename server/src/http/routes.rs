//! The patterns of the routes, for labels of metrics and names of spans: a path never becomes a label itself.

use crate::telemetry::Metrics;
use crate::telemetry::metrics::{RouteMetrics, Transport};

/// Every pattern, the busiest first. `http/tests.rs` compares them with the OpenAPI document.
pub(super) const PATTERNS: &[&str] = &[
    "/api/v1/evaluate",
    "/api/v1/evaluate/batch",
    "/readyz",
    "/livez",
    "/health",
    "/api/v1/simulate",
    "/api/v1/policies",
    "/api/v1/policies/validate",
    "/api/v1/policies/{id}",
    "/api/v1/policies/{id}/status",
    "/api/v1/policies/{id}/versions",
    "/api/v1/policies/{id}/versions/{version}",
    "/api/v1/policies/{id}/rollback",
    "/api/v1/policies/{id}/reject",
    "/api/v1/bundle",
    "/api/v1/bundle/history",
    "/api/v1/bundle/activate",
    "/api/v1/bundle/rollback",
    "/api/v1/decisions",
    "/api/v1/decisions/stats",
    "/api/v1/decisions/{requestId}",
    "/api/v1/audit",
    "/api/v1/keys",
    "/api/v1/keys/{id}/rotate",
    "/api/v1/keys/{id}",
    "/api/v1/edges",
    "/api/v1/edges/{id}/status",
    "/openapi.json",
    "/docs",
    "/",
];

/// What has no route.
const UNKNOWN: &str = "unknown";

/// A route and what counts it.
#[derive(Debug)]
pub struct Route {
    /// Its pattern.
    pub name: &'static str,
    /// What counts it.
    pub metrics: RouteMetrics,
}

/// All routes.
#[derive(Debug)]
pub struct Routes {
    known: Vec<Route>,
    unknown: Route,
}

impl Routes {
    /// Resolves the metrics of every route once.
    #[must_use]
    pub fn new(metrics: &Metrics) -> Self {
        let route = |name: &'static str| Route {
            name,
            metrics: metrics.route(Transport::Rest, name),
        };
        Self {
            known: PATTERNS.iter().copied().map(route).collect(),
            unknown: route(UNKNOWN),
        }
    }

    /// The route of a path.
    #[must_use]
    pub fn find(&self, path: &str) -> &Route {
        let found = self.known.iter().find(|route| fits(route.name, path));
        found.unwrap_or(&self.unknown)
    }
}

fn fits(pattern: &str, path: &str) -> bool {
    if pattern == path {
        return true;
    }
    if !pattern.contains('{') {
        return false;
    }
    let (mut steps, mut given) = (pattern.split('/'), path.split('/'));
    loop {
        match (steps.next(), given.next()) {
            (None, None) => return true,
            (Some(step), Some(part)) if step == part || (step.starts_with('{') && !part.is_empty()) => {}
            (None | Some(_), Some(_)) | (Some(_), None) => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{PATTERNS, UNKNOWN, fits};

    #[test]
    fn every_path_of_the_document_has_a_pattern() {
        let document = crate::http::document();
        for path in document.paths.paths.keys() {
            assert!(PATTERNS.contains(&path.as_str()), "{path}");
        }
        let extra = ["/readyz", "/livez", "/health", "/openapi.json", "/docs", "/"];
        for pattern in PATTERNS.iter().filter(|p| !extra.contains(p)) {
            assert!(document.paths.paths.contains_key(*pattern), "{pattern}");
        }
    }

    #[test]
    fn paths_find_their_pattern() {
        let find = |path: &str| {
            PATTERNS
                .iter()
                .copied()
                .find(|p| fits(p, path))
                .unwrap_or(UNKNOWN)
        };
        assert_eq!(find("/api/v1/policies/validate"), "/api/v1/policies/validate");
        assert_eq!(find("/api/v1/policies/p%2Fq"), "/api/v1/policies/{id}");
        assert_eq!(
            find("/api/v1/policies/p/versions/3"),
            "/api/v1/policies/{id}/versions/{version}"
        );
        assert_eq!(find("/api/v1/policies//versions"), UNKNOWN);
        assert_eq!(find("/api/v2/policies"), UNKNOWN);
    }
}
