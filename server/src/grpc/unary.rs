//! One message in, one message out, both whole in memory: `EvaluatePolicy` without the library around it, which reads a body
//! as a stream of messages, into buffers of its own, and writes the answer the same way.
//!
//! What is not one plain message is left to the library, with its answers.

use super::shell::FRAMING;
use axum::body::{Body, HttpBody};
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::Response;
use bytes::{BufMut as _, Bytes, BytesMut};
use http::HeaderName;
use hyper::body::Frame;
use policy_proto::Message;
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

const GRPC_ENCODING: HeaderName = HeaderName::from_static("grpc-encoding");
const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");

/// The message of a body that holds one, not compressed, and nothing else.
pub(super) fn message<M: Message + Default>(headers: &HeaderMap, body: &Bytes) -> Option<M> {
    if headers.get(GRPC_ENCODING).is_some_and(|how| how != "identity") {
        return None;
    }
    let (&[0, a, b, c, d], rest) = body.split_first_chunk::<FRAMING>()? else {
        return None;
    };
    let length = usize::try_from(u32::from_be_bytes([a, b, c, d])).ok()?;
    if rest.len() != length {
        return None;
    }
    M::decode(body.slice(FRAMING..)).ok()
}

/// The answer of a call that went well. `None` where a message is too long for its frame.
pub(super) fn response(message: &impl Message) -> Option<Response> {
    let length = message.encoded_len();
    let mut bytes = BytesMut::with_capacity(FRAMING + length);
    bytes.put_u8(0);
    bytes.put_u32(u32::try_from(length).ok()?);
    message.encode(&mut bytes).ok()?;
    let mut response = Response::new(Body::new(Whole {
        message: Some(bytes.freeze()),
        ended: false,
    }));
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    Some(response)
}

/// A message and the status that ends the call.
#[derive(Debug)]
struct Whole {
    message: Option<Bytes>,
    ended: bool,
}

impl HttpBody for Whole {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if let Some(message) = self.message.take() {
            return Poll::Ready(Some(Ok(Frame::data(message))));
        }
        if std::mem::replace(&mut self.ended, true) {
            return Poll::Ready(None);
        }
        let mut trailers = HeaderMap::with_capacity(1);
        trailers.insert(GRPC_STATUS, HeaderValue::from_static("0"));
        Poll::Ready(Some(Ok(Frame::trailers(trailers))))
    }

    fn is_end_stream(&self) -> bool {
        self.ended
    }
}

#[cfg(test)]
mod tests {
    use super::{message, response};
    use axum::http::HeaderMap;
    use bytes::Bytes;
    use http_body_util::BodyExt as _;
    use policy_proto::{Message as _, v1};

    fn request() -> v1::EvaluatePolicyRequest {
        v1::EvaluatePolicyRequest {
            request_id: "r".to_owned(),
            ..Default::default()
        }
    }

    fn framed(flag: u8, length: usize, rest: &[u8]) -> Bytes {
        let mut bytes = vec![flag];
        bytes.extend_from_slice(&u32::try_from(length).unwrap().to_be_bytes());
        bytes.extend_from_slice(rest);
        bytes.into()
    }

    #[test]
    fn only_one_plain_message_is_read_here() {
        let read = |headers: &HeaderMap, body: &Bytes| message::<v1::EvaluatePolicyRequest>(headers, body);
        let plain = request().encode_to_vec();
        let n = plain.len();
        let mut headers = HeaderMap::new();
        assert_eq!(read(&headers, &framed(0, n, &plain)), Some(request()));
        assert_eq!(read(&headers, &framed(0, 0, &[])), Some(Default::default()));
        let twice = [framed(0, n, &plain), framed(0, n, &plain)].concat().into();
        for body in [
            Bytes::new(),
            Bytes::from_static(&[0, 0, 0, 0]),
            framed(1, n, &plain),
            framed(0, n + 1, &plain),
            framed(0, n - 1, &plain),
            framed(0, 2, &[0xff, 0xff]),
            twice,
        ] {
            assert_eq!(read(&headers, &body), None, "{body:?}");
        }
        headers.insert("grpc-encoding", "identity".parse().unwrap());
        assert_eq!(read(&headers, &framed(0, n, &plain)), Some(request()));
        headers.insert("grpc-encoding", "gzip".parse().unwrap());
        assert_eq!(read(&headers, &framed(0, n, &plain)), None);
    }

    #[tokio::test]
    async fn an_answer_is_a_frame_and_a_status() {
        let response = response(&request()).unwrap();
        assert_eq!(response.headers()["content-type"], "application/grpc");
        let plain = request().encode_to_vec();
        let whole = response.into_body().collect().await.unwrap();
        assert_eq!(whole.trailers().unwrap()["grpc-status"], "0");
        assert_eq!(whole.to_bytes(), framed(0, plain.len(), &plain));
    }
}
