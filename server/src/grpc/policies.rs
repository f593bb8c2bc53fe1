//! `llmpolicy.v1.PolicyService`: each method takes a message apart, calls one function of the service layer and puts the
//! answer together. Who calls stands beside the request, put there by the shell.

use super::shell::Caller;
use super::{convert, status, stream};
use crate::body::{self, Unread};
use crate::document::Format;
use crate::error::{Code, Result, ServiceError};
use crate::heavy::Stop;
use crate::json_text::explain;
use crate::request_id;
use crate::service;
use crate::service::evaluate::Question;
use crate::service::policies::{PolicyName, Wanted, Written};
use crate::service::simulate::{Contexts, Draft, Simulation};
use crate::state::App;
use crate::storage::model::{DecisionFilter, DecisionRecord, PolicyVersion};
use policy_proto::v1;
use policy_proto::v1::policy_service_server::PolicyService;
use prost_types::Struct;
use serde_json::value::RawValue;
use std::future::Future;
use std::sync::Arc;
use tonic::{Request, Response, Status, Streaming};

/// The service.
#[derive(Debug)]
pub(super) struct Policies {
    app: App,
}

impl Policies {
    pub(super) fn new(app: App) -> Self {
        Self { app }
    }
}

/// Takes the caller from beside the request, runs the operation, and makes a status of its error.
async fn answer<T, R, F>(request: Request<T>, run: impl FnOnce(Caller, T) -> F) -> Result<Response<R>, Status>
where
    F: Future<Output = Result<R>>,
{
    let (_, mut extensions, message) = request.into_parts();
    let caller = caller(&mut extensions)?;
    let id = caller.request_id.clone();
    run(caller, message)
        .await
        .map(Response::new)
        .map_err(|error| status::status(&error, &id))
}

/// Without a caller no method runs, however the routes were put together.
fn caller(extensions: &mut tonic::Extensions) -> Result<Caller, Status> {
    extensions.remove::<Caller>().ok_or_else(|| {
        let error = ServiceError::internal("a method was called without a caller");
        status::status(&error, "")
    })
}

/// A context in either form, as a message holds it.
#[derive(Debug)]
pub(super) enum Context {
    /// As messages.
    Struct(Struct),
    /// As JSON text.
    Json(bytes::Bytes),
}

impl Context {
    /// The context as JSON. Of what came as JSON, only a byte order mark before it is taken away.
    fn json(self) -> Result<bytes::Bytes> {
        match self {
            Self::Json(bytes) => Ok(body::without_mark(bytes)),
            Self::Struct(object) => {
                let mut out = Vec::new();
                convert::write_context(&object, &mut out)?;
                Ok(out.into())
            }
        }
    }
}

fn missing_context() -> ServiceError {
    ServiceError::new(Code::MalformedRequest, "give one of context and context_json")
}

/// JSON text that is one value, for the service layer.
fn raw(json: &[u8]) -> Result<&RawValue> {
    serde_json::from_slice(json)
        .map_err(|error| ServiceError::new(Code::MalformedContext, explain(&error, "context_json")))
}

/// Decides about one request.
pub(super) async fn evaluate(
    app: &App,
    caller: &Caller,
    request: v1::EvaluatePolicyRequest,
) -> Result<v1::EvaluatePolicyResponse> {
    use v1::evaluate_policy_request::Input;
    let context = match request.input.ok_or_else(missing_context)? {
        Input::Context(object) => Context::Struct(object),
        Input::ContextJson(bytes) => Context::Json(bytes),
    };
    let question = Question {
        request_id: (!request.request_id.is_empty()).then_some(request.request_id),
        context: context.json()?,
        namespace: request.namespace,
        // An empty list cannot be told from none, and none is all.
        policies: (!request.policy_ids.is_empty()).then_some(request.policy_ids),
        trace: request.trace,
        dry_run: request.dry_run,
    };
    let response = app.service.evaluate(&caller.asker(), question).await?;
    convert::response(response, request.json_response)
}

async fn simulate(app: &App, caller: Caller, request: v1::SimulateRequest) -> Result<v1::SimulateResponse> {
    use v1::simulate_request::Input;
    let context = match request.input.ok_or_else(missing_context)? {
        Input::Context(object) => Context::Struct(object),
        Input::ContextJson(bytes) => Context::Json(bytes),
    };
    let json = context.json()?;
    let drafts = request.policies.into_iter().map(|document| {
        let (source, format) = convert::document(Some(document))?;
        Ok(Draft { source, format })
    });
    let simulation = Simulation {
        contexts: Contexts::One(raw(&json)?.get().to_owned()),
        drafts: drafts.collect::<Result<_>>()?,
        policies: (!request.policy_ids.is_empty()).then_some(request.policy_ids),
        namespace: request.namespace,
        trace: request.trace.unwrap_or(true),
    };
    let mut call = caller.call();
    if let Some(id) = request_id::given(&request.request_id)? {
        call.request_id = id;
    }
    let mut outcomes = app.service.simulate(call, simulation).await?;
    let outcome = outcomes
        .pop()
        .ok_or_else(|| ServiceError::internal("a simulation gave no decision"))??;
    Ok(v1::SimulateResponse {
        result: Some(convert::response_of_text(
            outcome.json.into(),
            request.json_response,
        )?),
    })
}

/// The answer to a write.
fn written(written: Written) -> v1::Policy {
    let source = written.policy.record.latest.source.to_string();
    v1::Policy {
        source,
        warnings: written.warnings.iter().map(convert::diagnostic).collect(),
        ..convert::policy(written.policy)
    }
}

/// Puts the document in, as it was asked for. Messages are made of it in the pool: it may be long.
async fn with_document(
    app: &App,
    caller: &Caller,
    mut policy: v1::Policy,
    version: PolicyVersion,
    view: v1::PolicyView,
) -> Result<v1::Policy> {
    match view {
        v1::PolicyView::Unspecified | v1::PolicyView::Source => policy.source = version.source.to_string(),
        v1::PolicyView::Definition => {
            let format = Format::of_version(&version)?;
            let make = move |_: &Stop| convert::definition(&version.source, format.as_str());
            policy.definition = Some(app.service.heavy.run(caller.call().work(), make).await??);
        }
    }
    Ok(policy)
}

async fn get(app: &App, caller: Caller, request: v1::GetPolicyRequest) -> Result<v1::Policy> {
    let view = v1::PolicyView::try_from(request.view).map_err(|_| {
        ServiceError::new(
            Code::MalformedRequest,
            format!("there is no PolicyView {}", request.view),
        )
    })?;
    let name = PolicyName {
        id: &request.id,
        namespace: request.namespace.as_deref(),
    };
    match request.version {
        Some(number) => {
            let seen = app.service.policy_version(caller.call(), name, number).await?;
            let policy = v1::Policy {
                pending_approval: seen.waiting.is_some(),
                approval: seen.waiting.map(convert::waiting),
                ..convert::version(&seen.version)
            };
            with_document(app, &caller, policy, seen.version, view).await
        }
        None => {
            let seen = app.service.policy(caller.call(), name).await?;
            let version = seen.record.latest.clone();
            with_document(app, &caller, convert::policy(seen), version, view).await
        }
    }
}

async fn list(
    app: &App,
    caller: Caller,
    request: v1::ListPoliciesRequest,
) -> Result<v1::ListPoliciesResponse> {
    let limit = (request.page_size != 0).then_some(request.page_size);
    let token = (!request.page_token.is_empty()).then_some(request.page_token);
    let page = service::page(limit, token)?;
    let wanted = Wanted {
        namespace: request.namespace.as_deref(),
        status: convert::status_filter(request.status)?,
        approval: convert::approval_filter(request.approval)?,
    };
    let slice = app.service.policies(caller.call(), wanted, &page).await?;
    Ok(v1::ListPoliciesResponse {
        policies: slice.items.into_iter().map(convert::policy).collect(),
        next_page_token: slice.next.unwrap_or_default(),
    })
}

async fn decisions(
    app: &App,
    caller: Caller,
    request: v1::ListDecisionsRequest,
) -> Result<v1::ListDecisionsResponse> {
    let limit = (request.page_size != 0).then_some(request.page_size);
    let token = (!request.page_token.is_empty()).then_some(request.page_token);
    let page = app.service.log_page(limit, token)?;
    let filter = DecisionFilter {
        namespaces: request.namespace.map(|namespace| vec![namespace]),
        decision: convert::decision_filter(request.decision)?.map(str::to_owned),
        subject: request.subject,
        rule: request.rule,
        policy: request.policy,
        from_ms: convert::moment("from", request.from)?,
        to_ms: convert::moment("to", request.to)?,
        until: None,
    };
    let slice = app.service.decisions(caller.call(), filter, page).await?;
    let message = |record: DecisionRecord| {
        let context = app.open(&record);
        convert::logged(record, context)
    };
    Ok(v1::ListDecisionsResponse {
        decisions: slice.items.into_iter().map(message).collect::<Result<_>>()?,
        next_page_token: slice.next.unwrap_or_default(),
    })
}

#[tonic::async_trait]
impl PolicyService for Policies {
    async fn create_policy(
        &self,
        request: Request<v1::CreatePolicyRequest>,
    ) -> Result<Response<v1::Policy>, Status> {
        answer(request, |caller, message| async move {
            let (source, format): (String, Format) = convert::document(message.policy)?;
            let service = &self.app.service;
            let done = service.create_policy(caller.call(), source, format).await?;
            Ok(written(done))
        })
        .await
    }

    async fn get_policy(
        &self,
        request: Request<v1::GetPolicyRequest>,
    ) -> Result<Response<v1::Policy>, Status> {
        answer(request, |caller, message| get(&self.app, caller, message)).await
    }

    async fn update_policy(
        &self,
        request: Request<v1::UpdatePolicyRequest>,
    ) -> Result<Response<v1::Policy>, Status> {
        answer(request, |caller, message| async move {
            let (source, format) = convert::document(message.policy)?;
            let name = PolicyName {
                id: &message.id,
                namespace: message.namespace.as_deref(),
            };
            let service = &self.app.service;
            let done = service
                .update_policy(caller.call(), name, source, format, message.expected_version)
                .await?;
            Ok(written(done))
        })
        .await
    }

    async fn delete_policy(
        &self,
        request: Request<v1::DeletePolicyRequest>,
    ) -> Result<Response<v1::DeletePolicyResponse>, Status> {
        answer(request, |caller, message| async move {
            let service = &self.app.service;
            let name = PolicyName {
                id: &message.id,
                namespace: message.namespace.as_deref(),
            };
            service
                .delete_policy(caller.call(), name, message.expected_version)
                .await?;
            Ok(v1::DeletePolicyResponse {})
        })
        .await
    }

    async fn reject_policy(
        &self,
        request: Request<v1::RejectPolicyRequest>,
    ) -> Result<Response<v1::Policy>, Status> {
        answer(request, |caller, message| async move {
            let service = &self.app.service;
            let name = PolicyName {
                id: &message.id,
                namespace: message.namespace.as_deref(),
            };
            let seen = service
                .reject_policy(caller.call(), name, message.version, &message.comment)
                .await?;
            Ok(convert::policy(seen))
        })
        .await
    }

    async fn list_policies(
        &self,
        request: Request<v1::ListPoliciesRequest>,
    ) -> Result<Response<v1::ListPoliciesResponse>, Status> {
        answer(request, |caller, message| list(&self.app, caller, message)).await
    }

    async fn evaluate_policy(
        &self,
        request: Request<v1::EvaluatePolicyRequest>,
    ) -> Result<Response<v1::EvaluatePolicyResponse>, Status> {
        answer(request, |caller, message| async move {
            evaluate(&self.app, &caller, message).await
        })
        .await
    }

    type EvaluatePolicyStreamStream = stream::Answers;

    async fn evaluate_policy_stream(
        &self,
        mut request: Request<Streaming<v1::EvaluatePolicyRequest>>,
    ) -> Result<Response<Self::EvaluatePolicyStreamStream>, Status> {
        let caller = caller(request.extensions_mut())?;
        let unread = request.extensions_mut().remove::<Arc<Unread>>().ok_or_else(|| {
            let error = ServiceError::internal("a stream was opened past the shell");
            status::status(&error, &caller.request_id)
        })?;
        Ok(Response::new(stream::answers(
            self.app.clone(),
            caller,
            unread,
            request.into_inner(),
        )))
    }

    async fn simulate(
        &self,
        request: Request<v1::SimulateRequest>,
    ) -> Result<Response<v1::SimulateResponse>, Status> {
        answer(request, |caller, message| simulate(&self.app, caller, message)).await
    }

    async fn list_decisions(
        &self,
        request: Request<v1::ListDecisionsRequest>,
    ) -> Result<Response<v1::ListDecisionsResponse>, Status> {
        answer(request, |caller, message| decisions(&self.app, caller, message)).await
    }
}
