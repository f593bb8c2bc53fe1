//! Answers in parts.

use super::{Answers, PART, Watching};
use crate::body::SMALL;
use crate::shares::Address;
use crate::telemetry::Metrics;
use axum::body::{Body, Bytes, HttpBody as _};
use axum::response::Response;
use http_body_util::BodyExt as _;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

struct Nobody;

impl Watching for Nobody {
    fn moves(&self) {}
}

fn bytes(length: usize) -> Bytes {
    (0..length)
        .map(|i| u8::try_from(i % 251).unwrap())
        .collect::<Vec<_>>()
        .into()
}

fn answers(memory: usize) -> Answers {
    Answers::new(memory, Arc::new(Metrics::new()))
}

fn at(last: u8) -> Address {
    Address::of(IpAddr::V4(Ipv4Addr::new(10, 0, 0, last)))
}

#[tokio::test]
async fn what_comes_out_in_parts_is_what_went_in() {
    for length in [0, 1, PART, PART + 1, 3 * PART, 3 * PART + 7] {
        let text = bytes(length);
        let response = Response::new(Body::from(text.clone()));
        let mut body = answers(1 << 20).give(response, at(1), Nobody).into_body();
        let mut all = Vec::new();
        loop {
            let left = u64::try_from(length - all.len()).unwrap();
            assert_eq!(body.size_hint().exact(), Some(left));
            assert_eq!(body.is_end_stream(), left == 0);
            let Some(frame) = body.frame().await else { break };
            let part = frame.unwrap().into_data().unwrap();
            assert!(part.len() <= PART);
            all.extend_from_slice(&part);
        }
        assert_eq!(all, text);
    }
}

#[tokio::test]
async fn answers_that_are_not_taken_share_their_memory() {
    let answers = answers(8 * SMALL);
    let large = || Response::new(Body::from(bytes(3 * SMALL)));
    let give = |address| answers.give(large(), address, Nobody);
    let held = [give(at(1)), give(at(1))];
    assert!(held.iter().all(|answer| answer.status() == 200));
    let refused = give(at(1));
    assert_eq!(refused.status(), 503);
    assert_eq!(refused.headers()["retry-after"], "1");
    // Small ones, and those of others, are answered.
    let small = answers.give(Response::new(Body::from(bytes(SMALL))), at(1), Nobody);
    let other = give(at(2));
    assert_eq!((small.status().as_u16(), other.status().as_u16()), (200, 200));
    drop(held);
    assert_eq!(give(at(1)).status(), 200);
    // What is larger than any share is answered alone.
    let huge = || answers.give(Response::new(Body::from(bytes(20 * SMALL))), at(1), Nobody);
    let alone = huge();
    assert_eq!((alone.status().as_u16(), huge().status().as_u16()), (200, 503));
    drop(alone);
    let whole = huge().into_body().collect().await.unwrap().to_bytes();
    assert_eq!(whole.len(), 20 * SMALL);
}

#[tokio::test]
async fn a_message_without_room_ends_the_call() {
    let answers = answers(8 * SMALL);
    let held = answers.give(Response::new(Body::from(bytes(5 * SMALL))), at(1), Nobody);
    let call = |length| {
        let response = Response::builder()
            .header("content-type", "application/grpc")
            .header("x-request-id", "r");
        let response = response.body(Body::from(bytes(length))).unwrap();
        answers.give(response, at(1), Nobody).into_body()
    };
    let mut refused = call(2 * SMALL);
    let end = refused.frame().await.unwrap().unwrap().into_trailers().unwrap();
    assert_eq!(
        (&end["grpc-status"], &end["error-code"]),
        (&"14".parse().unwrap(), &"overloaded".parse().unwrap())
    );
    assert!(refused.frame().await.is_none());
    assert_eq!(call(SMALL).collect().await.unwrap().to_bytes().len(), SMALL);
    drop(held);
    assert_eq!(
        call(2 * SMALL).collect().await.unwrap().to_bytes().len(),
        2 * SMALL
    );
    assert_eq!(answers.memory.taken(), 0);
}
