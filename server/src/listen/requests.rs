//! The requests of one connection, each on its way to an answer.

use super::watch::{Watch, Working};
use super::{Answer, Serve};
use crate::answer::{self, Answers};
use crate::body::Arriving;
use crate::shares::Address;
use http::{HeaderValue, Request, header};
use hyper::body::Incoming;
use std::convert::Infallible;
use std::future::Future;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};

/// The requests of one connection.
pub(super) struct Requests<S>(pub(super) Arc<Own<S>>);

/// What they have in common, and no other connection has: what all share is not counted for each request.
pub(super) struct Own<S> {
    pub(super) front: Arc<S>,
    pub(super) address: IpAddr,
    pub(super) answers: Answers,
    pub(super) watch: Arc<Watch>,
    /// Set when the server is about to stop.
    pub(super) leaves: Arc<AtomicBool>,
}

impl<S: Serve> hyper::service::Service<Request<Incoming>> for Requests<S> {
    type Response = http::Response<Answered>;
    type Error = Infallible;
    type Future = Answering<S>;

    fn call(&self, request: Request<Incoming>) -> Answering<S> {
        let Self(own) = self;
        let working = own.watch.begin(request.version());
        Answering {
            answer: Arc::clone(&own.front).serve(own.address, Arriving::of(request)),
            working,
            own: Arc::clone(own),
        }
    }
}

/// An answer that is being made, on its connection.
pub(super) struct Answering<S> {
    pub(super) answer: Answer,
    pub(super) working: Working,
    pub(super) own: Arc<Own<S>>,
}

impl<S> Future for Answering<S> {
    type Output = Result<http::Response<Answered>, Infallible>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut response = ready!(self.answer.as_mut().poll(context));
        let Own {
            address,
            answers,
            leaves,
            ..
        } = &*self.own;
        let watch = Arc::clone(&self.working.0);
        if leaves.load(Ordering::Acquire) && !watch.multiplexed.load(Ordering::Relaxed) {
            let close = HeaderValue::from_static("close");
            response.headers_mut().insert(header::CONNECTION, close);
        }
        Poll::Ready(Ok(answers.give(response, Address::of(*address), watch)))
    }
}

/// The body of an answer on its connection.
pub(super) type Answered = answer::Answer<Arc<Watch>>;
