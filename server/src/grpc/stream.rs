//! `EvaluatePolicyStream`: answers in the order of the requests, however long each takes.
//!
//! # Invariants
//!
//! - Each request counts by itself: for the rate limit, for the load shed, with the time limit of a request. One that gets
//!   no decision gets an error in its place, and the stream goes on.
//! - Credentials are looked at again for each request; when they are no longer good, the stream ends. A stream never
//!   outlives the right to ask.
//! - What was sent and is no whole message yet counts as the bodies of requests do.
//! - At most [`IN_FLIGHT`] requests are read ahead of the answers. A caller that does not read its answers is not read
//!   either: the window of HTTP/2 holds it up. Large answers that wait for their turn share the memory of answers; who has no
//!   room left gets an error in their place.
//! - The stream ends when the server stops, at the latest a second after: an idle caller does not hold up the end. It ends as
//!   well when nothing was asked for as long as a connection may be idle.

use super::policies;
use super::shell::{Caller, FRAMING, late};
use super::status;
use crate::body::Unread;
use crate::error::{Code, ServiceError};
use crate::limits::Route;
use crate::request_id;
use crate::shares::{Address, Taken};
use crate::state::App;
use crate::telemetry::request;
use futures_util::FutureExt as _;
use futures_util::stream::{self, Stream, StreamExt as _};
use policy_proto::v1::evaluate_policy_stream_response::Outcome;
use policy_proto::{Message as _, v1};
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, timeout, timeout_at};
use tonic::{Status, Streaming};

/// Requests of one stream that are under way at once.
const IN_FLIGHT: usize = 16;

/// How often a stream that waits for a request looks whether the server stops.
const LOOK: Duration = Duration::from_secs(1);

/// The answers of a stream.
pub(super) type Answers =
    Pin<Box<dyn Stream<Item = Result<v1::EvaluatePolicyStreamResponse, Status>> + Send>>;

/// A request that was let in or refused, or what ends the stream.
enum Step {
    Decide(u64, Caller, Box<v1::EvaluatePolicyRequest>),
    Refuse(u64, Arc<str>, Arc<str>, ServiceError),
    End(Status),
}

/// The stream while it is read.
struct Reading {
    app: App,
    caller: Caller,
    unread: Arc<Unread>,
    incoming: Streaming<v1::EvaluatePolicyRequest>,
    /// Position of the next request.
    next: u64,
    ended: bool,
}

/// Answers the requests of a stream.
pub(super) fn answers(
    app: App,
    caller: Caller,
    unread: Arc<Unread>,
    incoming: Streaming<v1::EvaluatePolicyRequest>,
) -> Answers {
    let (deadline, address) = (caller.deadline, caller.proof.address());
    let opened_by = Arc::clone(&caller.request_id);
    let reading = Reading {
        app: app.clone(),
        caller,
        unread,
        incoming,
        next: 0,
        ended: false,
    };
    let steps = stream::unfold(reading, |mut reading| async move {
        if reading.ended {
            return None;
        }
        let step = reading.step().await?;
        reading.ended = matches!(step, Step::End(_));
        Some((step, reading))
    });
    let answers = steps
        .map(move |step| {
            let app = app.clone();
            async move { carry_out(&app, step, address).await }
        })
        .buffered(IN_FLIGHT)
        // Whoever gives an answer out counts it itself.
        .map(|answer| answer.map(|(answer, _room)| answer));
    match deadline {
        None => Box::pin(answers),
        Some(deadline) => Box::pin(until(answers, deadline, opened_by)),
    }
}

impl Reading {
    /// The next request, let in or refused; `None` when the caller has no more.
    async fn step(&mut self) -> Option<Step> {
        let since = Instant::now();
        let idle = self.app.idle;
        let message = loop {
            if since.elapsed() >= idle {
                let error = ServiceError::new(Code::Idle, format!("nothing was asked for {idle:?}"));
                return Some(Step::End(status::status(&error, &self.caller.request_id)));
            }
            if self.app.health.is_stopping() {
                let error = ServiceError::new(Code::ShuttingDown, "the server is about to stop");
                return Some(Step::End(status::status(&error, &self.caller.request_id)));
            }
            // An idle caller must not keep the server from stopping.
            if let Ok(message) = timeout(LOOK.min(idle), self.incoming.next()).await {
                break message?;
            }
        };
        let request = match message {
            Ok(request) => request,
            Err(error) => return Some(Step::End(self.not_a_message(&error))),
        };
        self.unread.read(FRAMING + request.encoded_len());
        let sequence = self.next;
        self.next += 1;
        let id: Arc<str> = Arc::from(format!("{}-{sequence}", self.caller.request_id));
        let own = Instant::now() + self.app.service.limits.timeout;
        let until = self.caller.deadline.map_or(own, |deadline| deadline.min(own));
        let proof = &self.caller.proof;
        let admitted = if sequence == 0 {
            // The stream was counted when it was opened, and that may be long ago.
            proof.identify(&self.app).await
        } else {
            proof.admit(&self.app, Route::Evaluate).await
        };
        Some(match admitted {
            Ok(identity) => {
                let caller = self.caller.again(identity, id, Some(until));
                Step::Decide(sequence, caller, Box::new(request))
            }
            Err(error) if error.code == Code::Unauthenticated => {
                request::refused_in_stream(&error, &id, &self.caller.subject());
                Step::End(status::status(&error, &id))
            }
            Err(error) => Step::Refuse(sequence, id, self.caller.subject(), error),
        })
    }

    /// What the library says of bytes that are not a request.
    fn not_a_message(&self, error: &Status) -> Status {
        if let Some(refusal) = self.unread.refusal() {
            self.app.metrics.shed("bodies");
            return status::status(&refusal, &self.caller.request_id);
        }
        let limit = self.app.service.limits.body;
        let (code, detail) = match error.code() {
            tonic::Code::OutOfRange => (Code::TooLarge, format!("a message is larger than {limit} bytes")),
            tonic::Code::Cancelled => return error.clone(),
            _ => (Code::MalformedRequest, error.message().to_owned()),
        };
        status::status(&ServiceError::new(code, detail), &self.caller.request_id)
    }
}

/// The answer to one step, with room for it until it is its turn.
async fn carry_out(
    app: &App,
    step: Step,
    address: Address,
) -> Result<(v1::EvaluatePolicyStreamResponse, Option<Taken>), Status> {
    let (sequence, id, result) = match step {
        Step::End(status) => return Err(status),
        Step::Refuse(sequence, id, subject, error) => {
            request::refused_in_stream(&error, &id, &subject);
            (sequence, id, Err(error))
        }
        Step::Decide(sequence, caller, request) => {
            let given = request_id::given(&request.request_id).ok().flatten();
            let id = given.map_or_else(|| Arc::clone(&caller.request_id), Arc::from);
            (sequence, id, decide(app, &caller, *request).await)
        }
    };
    let held = result.and_then(|response| {
        let room = app.answers.room(address, response.encoded_len())?;
        Ok((Outcome::Result(response), room))
    });
    let (outcome, room) = held.unwrap_or_else(|error| (Outcome::Error(status::failure(&error, &id)), None));
    let answer = v1::EvaluatePolicyStreamResponse {
        sequence,
        outcome: Some(outcome),
    };
    Ok((answer, room))
}

/// One decision, with everything that surrounds that of a call.
async fn decide(
    app: &App,
    caller: &Caller,
    request: v1::EvaluatePolicyRequest,
) -> Result<v1::EvaluatePolicyResponse, ServiceError> {
    let _place = app
        .gate
        .enter()
        .inspect_err(|_| app.metrics.shed("concurrency"))?;
    let limit = app.service.limits.timeout;
    let run = AssertUnwindSafe(policies::evaluate(app, caller, request)).catch_unwind();
    match timeout(limit, run).await {
        Ok(Ok(result)) => result,
        Ok(Err(_panic)) => Err(ServiceError::internal("a method panicked")),
        Err(_elapsed) => Err(late(limit)),
    }
}

/// The answers until the caller's deadline, and the status of a deadline then.
fn until<S>(
    answers: S,
    deadline: Instant,
    request_id: Arc<str>,
) -> impl Stream<Item = Result<v1::EvaluatePolicyStreamResponse, Status>> + Send
where
    S: Stream<Item = Result<v1::EvaluatePolicyStreamResponse, Status>> + Send + 'static,
{
    let start = Instant::now();
    stream::unfold(Some((Box::pin(answers), request_id)), move |state| async move {
        let (mut answers, request_id) = state?;
        match timeout_at(deadline, answers.next()).await {
            Ok(answer) => Some((answer?, Some((answers, request_id)))),
            Err(_elapsed) => {
                let error = late(deadline.saturating_duration_since(start));
                Some((Err(status::status(&error, &request_id)), None))
            }
        }
    })
}
