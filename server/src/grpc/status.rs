//! Errors of the service layer as gRPC statuses.
//!
//! The status code comes from the one table of codes. Metadata holds the stable word, the request id and the time to wait;
//! `grpc-status-details-bin` holds a `google.rpc.Status` with one [`v1::ErrorDetails`], which client libraries decode.
//!
//! Statuses travel in HTTP/2 headers, which clients limit to as little as 8 KB: diagnostics that do not fit are left out, and
//! the message says how many.

use super::convert;
use crate::error::ServiceError;
use crate::request_id;
use bytes::Bytes;
use policy_proto::{Message as _, rpc, v1};
use std::time::Duration;
use tonic::Status;
use tonic::metadata::{AsciiMetadataValue, MetadataMap};

/// Metadata key of the stable word.
pub const ERROR_CODE: &str = "error-code";
/// Metadata key of the seconds to wait.
pub const RETRY_AFTER: &str = "retry-after";

/// Bytes that details may take: with base64 and the message, clients with 8 KB of headers still read them.
const DETAILS_LIMIT: usize = 4 << 10;
/// Bytes that a message may take; percent-encoding triples them at the worst.
const MESSAGE_LIMIT: usize = 512;

/// The status of an error, in answer to the request of this id.
#[must_use]
pub fn status(error: &ServiceError, request_id: &str) -> Status {
    let mut details = details(error, request_id);
    let total = details.diagnostics.len();
    let mut message = clip(&error.detail);
    let mut size = details.encoded_len();
    while size > DETAILS_LIMIT
        && let Some(last) = details.diagnostics.pop()
    {
        // Key and length take up to six bytes; too low an estimate of what is won only drops one more.
        size = size.saturating_sub(last.encoded_len());
    }
    let left_out = total - details.diagnostics.len();
    if left_out > 0 {
        message.push_str(&format!(" ({left_out} more diagnostics do not fit)"));
    }
    let code = error.code.grpc();
    let packed = rpc::Status {
        code: code.into(),
        message: message.clone(),
        details: vec![prost_types::Any {
            type_url: "type.googleapis.com/llmpolicy.v1.ErrorDetails".to_owned(),
            value: details.encode_to_vec(),
        }],
    };
    let mut metadata = MetadataMap::new();
    metadata.insert(ERROR_CODE, AsciiMetadataValue::from_static(error.code.as_str()));
    // An id that is no header value is in the details all the same.
    if let Ok(id) = AsciiMetadataValue::try_from(request_id) {
        metadata.insert(request_id::NAME, id);
    }
    if let Some(wait) = error.retry_after {
        metadata.insert(RETRY_AFTER, AsciiMetadataValue::from(whole_seconds(wait)));
    }
    Status::with_details_and_metadata(code, message, Bytes::from(packed.encode_to_vec()), metadata)
}

/// What is wrong with one request of a stream.
#[must_use]
pub fn failure(error: &ServiceError, request_id: &str) -> v1::EvaluationFailure {
    v1::EvaluationFailure {
        status: error.code.grpc().into(),
        message: error.detail.clone(),
        details: Some(details(error, request_id)),
    }
}

fn details(error: &ServiceError, request_id: &str) -> v1::ErrorDetails {
    v1::ErrorDetails {
        code: error.code.as_str().to_owned(),
        request_id: request_id.to_owned(),
        diagnostics: error.diagnostics.iter().map(convert::diagnostic).collect(),
        retry_after: error.retry_after.map(|wait| prost_types::Duration {
            seconds: i64::try_from(wait.as_secs()).unwrap_or(i64::MAX),
            nanos: i32::try_from(wait.subsec_nanos()).unwrap_or(0),
        }),
    }
}

/// Seconds to wait, rounded up: who comes back early is refused again.
fn whole_seconds(wait: Duration) -> u64 {
    wait.as_secs()
        .saturating_add(u64::from(wait.subsec_nanos() > 0))
        .max(1)
}

/// The beginning of a text, whole characters only.
fn clip(text: &str) -> String {
    let mut end = text.len().min(MESSAGE_LIMIT);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or(text).to_owned()
}

#[cfg(test)]
mod tests {
    use super::{DETAILS_LIMIT, failure, status};
    use crate::error::{Code, Problem, ServiceError};
    use policy_proto::{Message as _, rpc, v1};
    use std::time::Duration;

    fn unpack(status: &tonic::Status) -> (rpc::Status, v1::ErrorDetails) {
        let outer = rpc::Status::decode(status.details()).unwrap();
        let inner = v1::ErrorDetails::decode(outer.details[0].value.as_slice()).unwrap();
        (outer, inner)
    }

    fn problem(message: &str) -> Problem {
        Problem {
            severity: "error".to_owned(),
            code: "E0105".to_owned(),
            message: message.to_owned(),
            file: String::new(),
            line: 3,
            column: 7,
            help: vec!["did you mean `eq`?".to_owned()],
        }
    }

    #[test]
    fn every_code_has_its_status_its_word_and_its_id() {
        for code in Code::ALL {
            let got = status(&ServiceError::new(*code, "a sentence"), "r-1");
            assert_eq!(got.code(), code.grpc());
            assert_eq!(got.message(), "a sentence");
            assert_eq!(got.metadata().get("error-code").unwrap(), code.as_str());
            assert_eq!(got.metadata().get("x-request-id").unwrap(), "r-1");
            assert!(got.metadata().get("retry-after").is_none());
            let (outer, inner) = unpack(&got);
            assert_eq!(outer.code, i32::from(code.grpc()));
            assert_eq!(
                (inner.code.as_str(), inner.request_id.as_str()),
                (code.as_str(), "r-1")
            );
        }
    }

    #[test]
    fn diagnostics_and_the_time_to_wait_are_details() {
        let error = ServiceError::new(Code::PolicyInvalid, "does not compile")
            .with_diagnostics(vec![problem("unknown operator")])
            .retry_after(Duration::from_millis(1200));
        let got = status(&error, "r");
        assert_eq!(got.metadata().get("retry-after").unwrap(), "2");
        let (_, inner) = unpack(&got);
        assert_eq!(inner.diagnostics.len(), 1);
        assert_eq!((inner.diagnostics[0].line, inner.diagnostics[0].column), (3, 7));
        assert_eq!(inner.diagnostics[0].help, ["did you mean `eq`?"]);
        let wait = inner.retry_after.unwrap();
        assert_eq!((wait.seconds, wait.nanos), (1, 200_000_000));
        assert_eq!(failure(&error, "r").details.unwrap().diagnostics.len(), 1);
    }

    #[test]
    fn what_does_not_fit_into_headers_is_counted() {
        let many: Vec<_> = (0..500).map(|i| problem(&format!("problem {i}"))).collect();
        let error = ServiceError::new(Code::PolicyInvalid, "é".repeat(5000)).with_diagnostics(many);
        let got = status(&error, "r");
        let (_, inner) = unpack(&got);
        let kept = inner.diagnostics.len();
        assert!(kept > 10 && inner.encoded_len() <= DETAILS_LIMIT, "{kept}");
        assert!(
            got.message()
                .ends_with(&format!(" ({} more diagnostics do not fit)", 500 - kept)),
            "{}",
            got.message()
        );
        assert!(got.message().len() < 600);
        let mut headers = http::HeaderMap::new();
        got.add_header(&mut headers).unwrap();
        let size: usize = headers.iter().map(|(k, v)| k.as_str().len() + v.len()).sum();
        assert!(size < 8 << 10, "{size}");
    }

    #[test]
    fn an_id_that_is_no_header_value_stays_in_the_details() {
        let got = status(&ServiceError::new(Code::NotFound, "no"), "line\nbreak");
        assert!(got.metadata().get("x-request-id").is_none());
        assert_eq!(unpack(&got).1.request_id, "line\nbreak");
    }
}
