//! What an operation answers when it cannot be done: one table of codes for REST and gRPC.
//!
//! The service layer returns [`ServiceError`]; `http/problem.rs` makes RFC 9457 documents of it and `grpc/status.rs`
//! makes statuses. A code never changes its meaning. Details are for people and never hold secrets.

use serde::Serialize;
use std::fmt;
use std::time::Duration;
use utoipa::ToSchema;

/// Calls `$consumer!` once with every code: name, spelling, HTTP status, gRPC status, what it means.
macro_rules! for_each_code {
    ($consumer:ident) => {
        $consumer! {
            MalformedRequest, "malformed_request", 400, InvalidArgument, "The body or a parameter is not what the operation takes.";
            MalformedContext, "malformed_context", 400, InvalidArgument, "The context is not a JSON object that can be evaluated.";
            UnknownPolicy, "unknown_policy", 400, InvalidArgument, "A policy that the request names is not active, or is of another namespace.";
            DuplicatePolicy, "duplicate_policy", 400, InvalidArgument, "The list of policies names one twice.";
            NoPolicies, "no_policies", 400, InvalidArgument, "The list of policies is empty.";
            UnknownNamespace, "unknown_namespace", 400, InvalidArgument, "The namespace that the request names has no active policy.";
            InvalidBundle, "invalid_bundle", 400, InvalidArgument, "The bytes are not a bundle that this server can run.";
            UntrustedBundle, "untrusted_bundle", 403, PermissionDenied, "No trusted key signed the bundle.";
            Unauthenticated, "unauthenticated", 401, Unauthenticated, "No valid token or API key was given.";
            Forbidden, "forbidden", 403, PermissionDenied, "The identity lacks the scope or the namespace.";
            QuotaExceeded, "quota_exceeded", 403, ResourceExhausted, "The namespace, or the caller, would hold more than it may; remove something, or have the quota raised.";
            ForeignHost, "foreign_host", 403, PermissionDenied, "Authentication is off, and `Host` or `Origin` is not a name of this server.";
            SelfApproval, "self_approval", 403, PermissionDenied, "Who wrote a text or deployed a bundle may not approve it, nor may a key that they made or rotated.";
            NotFound, "not_found", 404, NotFound, "There is no such thing, or not for this identity.";
            MethodNotAllowed, "method_not_allowed", 405, Unimplemented, "The route does not know this method.";
            BodyTimeout, "body_timeout", 408, DeadlineExceeded, "The body took longer to arrive than a body may.";
            Idle, "idle", 408, DeadlineExceeded, "Nothing was asked for too long; only streams end with it.";
            AlreadyExists, "already_exists", 409, AlreadyExists, "A policy of this id exists in its namespace.";
            AmbiguousPolicy, "ambiguous_policy", 409, FailedPrecondition, "Several namespaces of this identity have a policy of this id; name one with `namespace`.";
            Conflict, "conflict", 409, Aborted, "Somebody else changed it at the same time; read again and retry.";
            NotWaiting, "not_waiting", 409, FailedPrecondition, "The version does not wait for approval: another one is the newest, or it decides, is a draft, or was rejected.";
            Rejected, "rejected", 409, FailedPrecondition, "Somebody rejected this version, so it does not become active any more; write a new version.";
            ReadOnly, "read_only", 409, FailedPrecondition, "The active policies come from elsewhere, not from this API.";
            VersionMismatch, "version_mismatch", 412, FailedPrecondition, "`If-Match` names another version than the current one.";
            TooLarge, "too_large", 413, ResourceExhausted, "The body or the batch is larger than the limit.";
            UnsupportedMediaType, "unsupported_media_type", 415, InvalidArgument, "The content type is not one that the operation takes, or the body is compressed.";
            PolicyInvalid, "policy_invalid", 422, InvalidArgument, "The policy does not compile; `diagnostics` say where and why.";
            ModificationRefused, "modification_refused", 422, FailedPrecondition, "The request as the policies modify it cannot be evaluated, so it may not pass.";
            PreconditionRequired, "precondition_required", 428, FailedPrecondition, "An activation does not name what was reviewed: `If-Match` with the version, or the digest of a bundle.";
            RateLimited, "rate_limited", 429, ResourceExhausted, "Too many requests, or too many of this address without a valid token or key; wait as long as `Retry-After` says.";
            TextChanged, "text_changed", 500, DataLoss, "A policy or a bundle in the database is not the one that was stored, so nothing is done with it.";
            Internal, "internal", 500, Internal, "A fault of the server; its log has the request id.";
            Overloaded, "overloaded", 503, Unavailable, "The server sheds load; retry.";
            StoreUnavailable, "store_unavailable", 503, Unavailable, "The database cannot be reached, or takes nothing now; nothing was changed.";
            NotReady, "not_ready", 503, Unavailable, "No policy is active, so nothing is decided.";
            ShuttingDown, "shutting_down", 503, Unavailable, "The server is about to stop.";
            DeadlineExceeded, "deadline_exceeded", 504, DeadlineExceeded, "It took longer than the request may take.";
        }
    };
}

macro_rules! declare_codes {
    ($($name:ident, $text:literal, $http:literal, $grpc:ident, $title:literal;)+) => {
        /// Stable code of an error.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Code {
            $(#[doc = $title] $name,)+
        }

        impl Code {
            /// Every code.
            pub const ALL: &'static [Self] = &[$(Self::$name,)+];

            /// The code for machines.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)+ }
            }

            /// The code of this word.
            #[must_use]
            pub fn parse(text: &str) -> Option<Self> {
                match text { $($text => Some(Self::$name),)+ _ => None }
            }

            /// HTTP status.
            #[must_use]
            pub fn http(self) -> u16 {
                match self { $(Self::$name => $http,)+ }
            }

            /// gRPC status.
            #[must_use]
            pub fn grpc(self) -> tonic::Code {
                match self { $(Self::$name => tonic::Code::$grpc,)+ }
            }

            /// What it means, in a sentence.
            #[must_use]
            pub fn title(self) -> &'static str {
                match self { $(Self::$name => $title,)+ }
            }
        }
    };
}
for_each_code!(declare_codes);

/// One problem of a policy, with its place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Problem {
    /// `error`, `warning` or `note`.
    pub severity: String,
    /// Stable code, such as `E0105`.
    pub code: String,
    /// What is wrong.
    pub message: String,
    /// File, where policies come from files.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub file: String,
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// What to do about it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub help: Vec<String>,
}

/// Why an operation was not done. Nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}: {}", .code.as_str(), .detail)]
pub struct ServiceError {
    /// Stable code.
    pub code: Code,
    /// One sentence about this case.
    pub detail: String,
    /// Problems of the policy at hand.
    pub diagnostics: Vec<Problem>,
    /// When to try again.
    pub retry_after: Option<Duration>,
}

/// Result of an operation.
pub type Result<T, E = ServiceError> = std::result::Result<T, E>;

impl ServiceError {
    /// An error with a sentence about the case.
    #[must_use]
    pub fn new(code: Code, detail: impl Into<String>) -> Self {
        Self {
            code,
            detail: detail.into(),
            diagnostics: Vec::new(),
            retry_after: None,
        }
    }

    /// Something that is not there.
    #[must_use]
    pub fn not_found(what: &str, id: &str) -> Self {
        Self::new(Code::NotFound, format!("{what} `{id}` does not exist"))
    }

    /// A fault of the server. The detail goes to the log; callers see the request id only.
    #[must_use]
    pub fn internal(detail: impl fmt::Display) -> Self {
        tracing::error!(%detail, "internal error");
        Self::new(Code::Internal, "internal error; see the log of the server")
    }

    /// The same error with problems of a policy.
    #[must_use]
    pub fn with_diagnostics(mut self, diagnostics: Vec<Problem>) -> Self {
        self.diagnostics = diagnostics;
        self
    }

    /// The same error with a time to wait.
    #[must_use]
    pub fn retry_after(mut self, wait: Duration) -> Self {
        self.retry_after = Some(wait);
        self
    }
}

impl From<policy_runtime::EvaluateError> for ServiceError {
    fn from(error: policy_runtime::EvaluateError) -> Self {
        use policy_runtime::EvaluateError as E;
        let code = match &error {
            E::Context(_) | E::Serialize(_) => Code::MalformedContext,
            E::UnknownPolicy(_) => Code::UnknownPolicy,
            E::DuplicatePolicy(_) => Code::DuplicatePolicy,
            E::NoPolicies => Code::NoPolicies,
            E::UnknownNamespace(_) => Code::UnknownNamespace,
            E::NothingActive => Code::NotReady,
            E::Modified(_) | E::ModificationsTooLarge => Code::ModificationRefused,
            E::Stopped => Code::DeadlineExceeded,
            // `Internal`, and what a later version of the engine may say: nothing of the caller.
            _ => Code::Internal,
        };
        Self::new(code, error.to_string())
    }
}

impl From<crate::storage::StoreError> for ServiceError {
    fn from(error: crate::storage::StoreError) -> Self {
        use crate::storage::StoreError as E;
        match error {
            E::Missing(what) => Self::new(Code::NotFound, format!("{what} does not exist")),
            E::Exists(what) => Self::new(
                Code::AlreadyExists,
                format!("{what} exists already; `PUT` (`UpdatePolicy` over gRPC) updates it"),
            ),
            E::VersionMismatch { current } => {
                Self::new(Code::VersionMismatch, format!("the current version is {current}"))
            }
            E::Conflict => Self::new(Code::Conflict, "the policies changed meanwhile"),
            waits @ E::NotWaiting(_) => Self::new(Code::NotWaiting, waits.to_string()),
            E::Rejected(what) => Self::new(
                Code::Rejected,
                format!("{what} was rejected, so it does not become active any more; write a new version"),
            ),
            E::Quota(detail) => Self::new(Code::QuotaExceeded, detail),
            E::Unavailable(detail) => {
                tracing::warn!(%detail, "the database cannot be used now");
                Self::new(
                    Code::StoreUnavailable,
                    "the database cannot be reached, or takes nothing now; nothing was changed, and `/readyz` names what is away",
                )
                .retry_after(Duration::from_secs(1))
            }
            changed @ E::Changed(_) => Self::new(Code::TextChanged, changed.to_string()),
            E::Refused(detail) => Self::internal(detail),
            E::Corrupt(detail) => Self::internal(detail),
        }
    }
}

/// The table of codes for `docs/api-errors.md`.
#[must_use]
pub fn markdown() -> String {
    let mut out = String::from("| `code` | HTTP | gRPC | meaning |\n|---|--:|---|---|\n");
    for code in Code::ALL {
        out.push_str(&format!(
            "| `{}` | {} | {:?} | {} |\n",
            code.as_str(),
            code.http(),
            code.grpc(),
            code.title()
        ));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::ServiceError;
    use policy_runtime::{EvaluateError as E, JsonError, JsonErrorKind};

    #[test]
    fn errors_of_the_engine_have_its_codes() {
        let json = JsonError {
            kind: JsonErrorKind::TooDeep,
            offset: 0,
        };
        for error in [
            E::Context(json.clone()),
            E::UnknownPolicy("p".to_owned()),
            E::DuplicatePolicy("p".to_owned()),
            E::NoPolicies,
            E::UnknownNamespace("n".to_owned()),
            E::NothingActive,
            E::Modified(json),
            E::ModificationsTooLarge,
            E::Internal("why"),
        ] {
            let code = error.code();
            assert_eq!(ServiceError::from(error).code.as_str(), code);
        }
    }
}
