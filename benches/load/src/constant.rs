//! The servers to compare with: they do nothing but answer a constant, on the same libraries as `policyd`. What they reach
//! is what this machine, these libraries and this generator allow.
//!
//! They run as a process of their own, `policy-load constant`, which reads from stdin what to answer, prints where it
//! listens, and ends with its stdin.

use anyhow::Context as _;
use axum::Router;
use axum::body::Bytes;
use axum::http::{HeaderName, HeaderValue, header};
use axum::routing::post;
use axum::serve::ListenerExt as _;
use policy_proto::v1::policy_service_server::{PolicyService, PolicyServiceServer};
use policy_proto::v1::{self, EvaluatePolicyRequest, EvaluatePolicyResponse};
use serde::{Deserialize, Serialize};
use std::io::{BufRead as _, Read as _};
use std::pin::Pin;
use tokio::net::TcpListener;
use tokio_stream::Stream;
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Response, Status, Streaming};

/// What to answer.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Constant {
    /// Body of the REST answer.
    pub(crate) body: String,
    pub(crate) decision: String,
    pub(crate) rule: Option<String>,
    pub(crate) revision: String,
}

/// Serves until stdin ends.
pub(crate) async fn run() -> anyhow::Result<()> {
    let mut line = String::new();
    std::io::stdin().lock().read_line(&mut line)?;
    let constant: Constant = serde_json::from_str(&line).context("what to answer")?;
    let rest = TcpListener::bind("127.0.0.1:0").await?;
    let grpc = TcpListener::bind("127.0.0.1:0").await?;
    println!("{} {}", rest.local_addr()?, grpc.local_addr()?);
    std::thread::spawn(|| {
        let mut rest = Vec::new();
        // Whatever comes, it is the end.
        let ended = std::io::stdin().lock().read_to_end(&mut rest);
        std::process::exit(i32::from(ended.is_err()));
    });
    let body = Bytes::from(constant.body.clone());
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("application/json")),
        // As long as the one that policyd sends.
        (
            HeaderName::from_static("x-request-id"),
            HeaderValue::from_static("00000000-0000-0000-0000-000000000000"),
        ),
    ];
    // The request is read, as every server must that decides on it.
    let answer = post(async move |_request: Bytes| (headers, body));
    let rest = rest.tap_io(|stream| {
        // As `policyd` does. A connection that cannot be set up so is served all the same.
        let _slower = stream.set_nodelay(true);
    });
    let rest = axum::serve(rest, Router::new().route("/api/v1/evaluate", answer)).into_future();
    let decision: i32 = match constant.decision.as_str() {
        "deny" => v1::Decision::Deny.into(),
        _ => v1::Decision::Allow.into(),
    };
    let reason = Some("pattern".to_owned());
    let policy = || "gateway-policy".to_owned();
    // With everything that an answer of policyd has.
    let matched = constant.rule.clone().map(|rule| v1::MatchedRule {
        policy: policy(),
        rule,
        decision,
        reason: reason.clone(),
    });
    let echo = Echo(EvaluatePolicyResponse {
        request_id: "00000000-0000-0000-0000-000000000000".to_owned(),
        decision,
        allowed: constant.decision != "deny",
        matched_policies: vec![policy()],
        matched_rules: constant.rule.into_iter().collect(),
        matched: matched.into_iter().collect(),
        reason,
        evaluation_time_ns: 1000,
        bundle_revision: constant.revision,
        ..EvaluatePolicyResponse::default()
    });
    let grpc = tonic::transport::Server::builder()
        .add_service(PolicyServiceServer::new(echo))
        .serve_with_incoming(TcpIncoming::from(grpc).with_nodelay(Some(true)));
    let (rest, grpc) = tokio::join!(rest, grpc);
    rest?;
    grpc?;
    Ok(())
}

/// Answers every request alike.
#[derive(Debug, Clone)]
struct Echo(EvaluatePolicyResponse);

fn nothing<T>() -> Result<Response<T>, Status> {
    Err(Status::unimplemented("this server only answers EvaluatePolicy"))
}

#[tonic::async_trait]
impl PolicyService for Echo {
    type EvaluatePolicyStreamStream =
        Pin<Box<dyn Stream<Item = Result<v1::EvaluatePolicyStreamResponse, Status>> + Send>>;

    async fn evaluate_policy(
        &self,
        _request: Request<EvaluatePolicyRequest>,
    ) -> Result<Response<EvaluatePolicyResponse>, Status> {
        Ok(Response::new(self.0.clone()))
    }

    async fn create_policy(
        &self,
        _: Request<v1::CreatePolicyRequest>,
    ) -> Result<Response<v1::Policy>, Status> {
        nothing()
    }

    async fn get_policy(&self, _: Request<v1::GetPolicyRequest>) -> Result<Response<v1::Policy>, Status> {
        nothing()
    }

    async fn update_policy(
        &self,
        _: Request<v1::UpdatePolicyRequest>,
    ) -> Result<Response<v1::Policy>, Status> {
        nothing()
    }

    async fn delete_policy(
        &self,
        _: Request<v1::DeletePolicyRequest>,
    ) -> Result<Response<v1::DeletePolicyResponse>, Status> {
        nothing()
    }

    async fn list_policies(
        &self,
        _: Request<v1::ListPoliciesRequest>,
    ) -> Result<Response<v1::ListPoliciesResponse>, Status> {
        nothing()
    }

    async fn reject_policy(
        &self,
        _: Request<v1::RejectPolicyRequest>,
    ) -> Result<Response<v1::Policy>, Status> {
        nothing()
    }

    async fn evaluate_policy_stream(
        &self,
        _: Request<Streaming<EvaluatePolicyRequest>>,
    ) -> Result<Response<Self::EvaluatePolicyStreamStream>, Status> {
        nothing()
    }

    async fn simulate(
        &self,
        _: Request<v1::SimulateRequest>,
    ) -> Result<Response<v1::SimulateResponse>, Status> {
        nothing()
    }

    async fn list_decisions(
        &self,
        _: Request<v1::ListDecisionsRequest>,
    ) -> Result<Response<v1::ListDecisionsResponse>, Status> {
        nothing()
    }
}
