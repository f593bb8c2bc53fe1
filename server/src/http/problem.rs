//! Errors as RFC 9457 problem documents.

use crate::error::{Code, Problem, ServiceError};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

/// A problem document.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ProblemDocument {
    /// `urn:llm-policy:` and the code.
    pub r#type: String,
    /// What the code means.
    pub title: &'static str,
    /// HTTP status.
    pub status: u16,
    /// Stable code.
    pub code: &'static str,
    /// What is wrong in this case.
    pub detail: String,
    /// Of this request; the server's log has it too.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    /// Problems of a policy, with line and column.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub diagnostics: Vec<Problem>,
}

/// An error on its way out. The request id is put in by the outermost layer.
#[derive(Debug, Clone)]
pub struct Failure(pub ServiceError);

impl From<ServiceError> for Failure {
    fn from(error: ServiceError) -> Self {
        Self(error)
    }
}

/// The answer of a handler.
pub type Answer<T> = Result<T, Failure>;

impl Failure {
    /// The response, with the id of the request where it is known.
    #[must_use]
    pub fn respond(self, request_id: Option<&str>) -> Response {
        let Self(error) = self;
        let document = ProblemDocument {
            r#type: format!("urn:llm-policy:{}", error.code.as_str()),
            title: error.code.title(),
            status: error.code.http(),
            code: error.code.as_str(),
            detail: error.detail,
            request_id: request_id.map(str::to_owned),
            diagnostics: error.diagnostics,
        };
        let status = StatusCode::from_u16(document.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let body = serde_json::to_vec(&document).unwrap_or_default();
        let mut response = (status, body).into_response();
        let headers = response.headers_mut();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        );
        if let Some(wait) = error.retry_after {
            // Whole seconds, never too early.
            let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds.max(1)));
        }
        if error.code == Code::Unauthenticated {
            headers.insert(
                header::WWW_AUTHENTICATE,
                HeaderValue::from_static("Bearer realm=\"llm-policy-engine\""),
            );
        }
        response
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        // The outermost layer writes the body, because only it knows the id of the request.
        let mut response = StatusCode::from_u16(self.0.code.http())
            .unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
            .into_response();
        response.extensions_mut().insert(self);
        response
    }
}

pub(super) async fn unknown_route(uri: axum::http::Uri) -> Failure {
    Failure(ServiceError::not_found("route", uri.path()))
}

pub(super) async fn unknown_method(method: axum::http::Method, uri: axum::http::Uri) -> Failure {
    Failure(ServiceError::new(
        Code::MethodNotAllowed,
        format!("{} does not know {method}", uri.path()),
    ))
}
