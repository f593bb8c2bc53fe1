//! The gRPC interface as clients see it: a whole server, real connections, the generated client.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a helper of tests fails as tests do"
)]

#[path = "support/server.rs"]
mod server;

use policy_compiler::{Compiler, Options};
use policy_proto::v1::evaluate_policy_request::Input;
use policy_proto::v1::evaluate_policy_stream_response::Outcome;
use policy_proto::v1::policy_document::Document;
use policy_proto::v1::policy_service_client::PolicyServiceClient;
use policy_proto::{Message as _, rpc, v1};
use policy_server::heavy::Work;
use policy_server::identity::{Identity, Role};
use policy_server::service::Call;
use policy_server::service::keys::NewKey;
use policy_server::shares::Address;
use policy_server::turns::Owner;
use prost_types::{Struct, Value, value::Kind};
use secrecy::ExposeSecret as _;
use serde_json::{Value as Json, json};
use server::Running;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio_stream::StreamExt as _;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Channel;
use tonic::{Code, Request, Status, Streaming};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

const COST: &str = "\
metadata: { id: cost, name: Cost, namespace: production, priority: 5 }
rules:
  - id: dear
    condition: { operator: gt, field: llm.estimatedCost, value: 1 }
    action: { decision: deny, reason: 'too dear for {{ team.tier }}' }
  - id: cap
    condition: { operator: gt, field: llm.maxTokens, value: 100 }
    action: { decision: modify, modifications: { llm.maxTokens: { $cap: 100 } }, metadata: { by: cost } }
";

type Client = PolicyServiceClient<Channel>;

async fn channel(server: &Running) -> Channel {
    Channel::from_shared(format!("http://{}", server.addresses.grpc))
        .unwrap()
        .connect()
        .await
        .unwrap()
}

async fn client(server: &Running) -> Client {
    PolicyServiceClient::new(channel(server).await)
}

fn yaml(text: &str) -> Option<v1::PolicyDocument> {
    Some(v1::PolicyDocument {
        document: Some(Document::Yaml(text.to_owned())),
    })
}

fn typed(definition: v1::PolicyDefinition) -> Option<v1::PolicyDocument> {
    Some(v1::PolicyDocument {
        document: Some(Document::Definition(definition)),
    })
}

async fn create(client: &mut Client, text: &str) -> v1::Policy {
    let request = v1::CreatePolicyRequest { policy: yaml(text) };
    client.create_policy(request).await.unwrap().into_inner()
}

fn about(context: &str) -> v1::EvaluatePolicyRequest {
    v1::EvaluatePolicyRequest {
        input: Some(Input::ContextJson(context.to_owned().into())),
        ..Default::default()
    }
}

/// The stable word of a status, checked against its details.
#[track_caller]
fn word(status: &Status) -> String {
    let word = status
        .metadata()
        .get("error-code")
        .unwrap()
        .to_str()
        .unwrap()
        .to_owned();
    assert_eq!(details(status).code, word);
    assert!(status.metadata().get("x-request-id").is_some());
    word
}

#[track_caller]
fn details(status: &Status) -> v1::ErrorDetails {
    let packed = rpc::Status::decode(status.details()).unwrap();
    assert_eq!(
        packed.details[0].type_url,
        "type.googleapis.com/llmpolicy.v1.ErrorDetails"
    );
    v1::ErrorDetails::decode(packed.details[0].value.as_slice()).unwrap()
}

#[track_caller]
fn refused<T: std::fmt::Debug>(result: Result<T, Status>, code: Code, expected: &str) -> Status {
    let status = result.unwrap_err();
    assert_eq!(
        (status.code(), word(&status).as_str()),
        (code, expected),
        "{status:?}"
    );
    status
}

fn message(json: &Json) -> Value {
    let kind = match json {
        Json::Null => Kind::NullValue(0),
        Json::Bool(b) => Kind::BoolValue(*b),
        Json::Number(n) => Kind::NumberValue(n.as_f64().unwrap()),
        Json::String(s) => Kind::StringValue(s.clone()),
        Json::Array(items) => Kind::ListValue(prost_types::ListValue {
            values: items.iter().map(message).collect(),
        }),
        Json::Object(_) => Kind::StructValue(object(json)),
    };
    Value { kind: Some(kind) }
}

fn object(json: &Json) -> Struct {
    Struct {
        fields: json
            .as_object()
            .unwrap()
            .iter()
            .map(|(k, v)| (k.clone(), message(v)))
            .collect(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_is_written_read_changed_and_removed() {
    let server = Running::start(&[]).await;
    let mut client = client(&server).await;
    let first = create(&mut client, COST).await;
    assert_eq!((first.id.as_str(), first.version), ("cost", 1));
    assert_eq!((first.active_version, first.pending_approval), (Some(1), false));
    assert_eq!(
        (first.status(), first.source.as_str()),
        (v1::PolicyStatus::Active, COST)
    );

    let again = v1::CreatePolicyRequest { policy: yaml(COST) };
    refused(
        client.create_policy(again).await,
        Code::AlreadyExists,
        "already_exists",
    );

    // Read as messages, change one thing, write back: everything else stays.
    let get = |view: v1::PolicyView, version| v1::GetPolicyRequest {
        id: "cost".to_owned(),
        version,
        view: view.into(),
        namespace: None,
    };
    let read = client
        .get_policy(get(v1::PolicyView::Definition, None))
        .await
        .unwrap()
        .into_inner();
    assert!(read.source.is_empty());
    let mut definition = read.definition.unwrap();
    definition.rules[1].enabled = Some(false);
    let update = |expected_version, definition: &v1::PolicyDefinition| v1::UpdatePolicyRequest {
        id: "cost".to_owned(),
        policy: typed(definition.clone()),
        expected_version,
        namespace: None,
    };
    let second = client
        .update_policy(update(Some(1), &definition))
        .await
        .unwrap()
        .into_inner();
    assert_eq!((second.version, second.format.as_str()), (2, "json"));
    let stale = client.update_policy(update(Some(1), &definition)).await;
    refused(stale, Code::FailedPrecondition, "version_mismatch");
    let back = client
        .get_policy(get(v1::PolicyView::Definition, None))
        .await
        .unwrap()
        .into_inner();
    assert_eq!(back.definition.unwrap(), definition);

    // The first version is still there as it was written.
    let old = client
        .get_policy(get(v1::PolicyView::Source, Some(1)))
        .await
        .unwrap()
        .into_inner();
    assert_eq!((old.source.as_str(), old.format.as_str()), (COST, "yaml"));
    let missing = client.get_policy(get(v1::PolicyView::Source, Some(9))).await;
    refused(missing, Code::NotFound, "not_found");

    for i in 0..3 {
        create(&mut client, &COST.replace("id: cost,", &format!("id: p{i},"))).await;
    }
    let mut seen = Vec::new();
    let mut token = String::new();
    loop {
        let page = client
            .list_policies(v1::ListPoliciesRequest {
                page_size: 2,
                page_token: token,
                status: v1::PolicyStatus::Active.into(),
                ..Default::default()
            })
            .await
            .unwrap()
            .into_inner();
        seen.extend(page.policies.into_iter().map(|p| {
            assert!(p.source.is_empty());
            p.id
        }));
        token = page.next_page_token;
        if token.is_empty() {
            break;
        }
    }
    assert_eq!(seen, ["cost", "p0", "p1", "p2"]);
    let strange = client
        .list_policies(v1::ListPoliciesRequest {
            status: 77,
            ..Default::default()
        })
        .await;
    refused(strange, Code::InvalidArgument, "malformed_request");

    let delete = |expected_version| v1::DeletePolicyRequest {
        id: "cost".to_owned(),
        expected_version,
        namespace: None,
    };
    refused(
        client.delete_policy(delete(Some(1))).await,
        Code::FailedPrecondition,
        "version_mismatch",
    );
    client.delete_policy(delete(Some(2))).await.unwrap();
    refused(
        client.delete_policy(delete(None)).await,
        Code::NotFound,
        "not_found",
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn all_forms_of_a_broken_policy_give_the_same_diagnostics() {
    let server = Running::start(&[]).await;
    let mut client = client(&server).await;
    let text = "metadata: { id: p, name: P }\nrules:\n  - id: r\n    condition: { operator: eqq, field: a, value: 1 }\n    \
                action: { decision: deny }\n  - id: r\n    condition: { operator: and, conditions: [] }\n    \
                action: { decision: modify }\n";
    let json = json!({
        "metadata": { "id": "p", "name": "P" },
        "rules": [
            { "id": "r", "condition": { "operator": "eqq", "field": "a", "value": 1 }, "action": { "decision": "deny" } },
            { "id": "r", "condition": { "operator": "and", "conditions": [] }, "action": { "decision": "modify" } },
        ],
    });
    let rule = |condition, decision: v1::Decision| v1::Rule {
        id: "r".to_owned(),
        condition: Some(condition),
        action: Some(v1::Action {
            decision: decision.into(),
            ..Default::default()
        }),
        ..Default::default()
    };
    let definition = v1::PolicyDefinition {
        metadata: Some(v1::PolicyMetadata {
            id: "p".to_owned(),
            name: "P".to_owned(),
            ..Default::default()
        }),
        rules: vec![
            rule(
                v1::Condition {
                    operator: "eqq".to_owned(),
                    field: Some("a".to_owned()),
                    value: Some(message(&json!(1))),
                    ..Default::default()
                },
                v1::Decision::Deny,
            ),
            rule(
                v1::Condition {
                    operator: "and".to_owned(),
                    ..Default::default()
                },
                v1::Decision::Modify,
            ),
        ],
        ..Default::default()
    };
    let documents = [
        yaml(text),
        Some(v1::PolicyDocument {
            document: Some(Document::Json(json.to_string())),
        }),
        typed(definition),
    ];
    let mut found = Vec::new();
    for policy in documents {
        let result = client.create_policy(v1::CreatePolicyRequest { policy }).await;
        let status = refused(result, Code::InvalidArgument, "policy_invalid");
        let mut problems: Vec<_> = details(&status)
            .diagnostics
            .into_iter()
            .map(|d| {
                assert!(d.line > 0 && d.column > 0);
                (d.code, d.message, d.severity)
            })
            .collect();
        assert!(problems.len() >= 3, "{problems:?}");
        // They come in the order of the text, and JSON objects have none.
        problems.sort();
        found.push(problems);
    }
    assert_eq!(found[0], found[1]);
    assert_eq!(found[1], found[2]);
    let none = client
        .create_policy(v1::CreatePolicyRequest { policy: None })
        .await;
    refused(none, Code::InvalidArgument, "malformed_request");
}

/// A question over REST: status, stable word or decision.
async fn rest(server: &Running, body: Json) -> (u16, Json) {
    let url = format!("http://{}/api/v1/evaluate", server.addresses.http);
    tokio::task::spawn_blocking(move || {
        let agent: ureq::Agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .build()
            .into();
        let mut answer = agent
            .post(url)
            .content_type("application/json")
            .send(body.to_string())
            .unwrap();
        (answer.status().as_u16(), answer.body_mut().read_json().unwrap())
    })
    .await
    .unwrap()
}

/// What may differ between two answers to the same question.
fn stripped(mut response: Json) -> Json {
    let members = response.as_object_mut().unwrap();
    members.remove("requestId");
    members.remove("timestamp");
    members.remove("cached");
    members["decision"]
        .as_object_mut()
        .unwrap()
        .remove("evaluationTimeMs");
    response
}

#[tokio::test(flavor = "multi_thread")]
async fn rest_and_grpc_answer_alike() {
    let server = Running::start(&[]).await;
    let mut client = client(&server).await;
    create(&mut client, COST).await;
    let other = "metadata: { id: other, name: Other, namespace: staging }\nrules:\n  - id: warn\n    condition: { operator: \
                 exists, field: metadata.x }\n    action: { decision: warn, reason: seen }\n";
    create(&mut client, other).await;
    let swap = "metadata: { id: swap, name: Swap, namespace: staging }\nrules:\n  - id: swap\n    condition: { operator: \
                exists, field: metadata.swap }\n    action: { decision: modify, modifications: { metadata.with: '{{ \
                metadata.swap }}' } }\n  - id: bad\n    condition: { operator: eq, field: metadata.with, value: bad }\n    \
                action: { decision: deny, reason: swapped for bad }\n";
    create(&mut client, swap).await;
    let contexts = [
        json!({}),
        json!({ "llm": { "model": "gpt-4o", "maxTokens": 100, "n": 2000 }, "team": { "tier": "free" } }),
        json!({ "llm": { "maxTokens": 4000 } }),
        json!({ "llm": { "maxTokens": "many" } }),
        json!({ "metadata": { "swap": "good", "x": 1 } }),
        json!({ "metadata": { "swap": "bad", "x": 1 } }),
        json!({ "llm": { "estimatedCost": null, "maxTokens": 99.5 }, "metadata": { "x": [1, { "é\n": null }] } }),
    ];
    let options = [
        json!({}),
        json!({ "namespace": "production" }),
        json!({ "namespace": "staging", "trace": true }),
        json!({ "policies": ["cost"], "dryRun": true }),
        json!({ "policies": ["nobody"] }),
        json!({ "policies": ["cost", "cost"] }),
        json!({ "namespace": "staging", "policies": ["cost"] }),
        json!({ "namespace": "Staging" }),
        json!({ "namespace": "" }),
    ];
    for context in &contexts {
        for option in &options {
            let mut body = option.clone();
            body["context"] = context.clone();
            let (status, expected) = rest(&server, body).await;
            for exact in [false, true] {
                let input = if exact {
                    Input::ContextJson(context.to_string().into())
                } else {
                    Input::Context(object(context))
                };
                let ids = option["policies"].as_array().into_iter().flatten();
                let request = v1::EvaluatePolicyRequest {
                    input: Some(input),
                    namespace: option["namespace"].as_str().map(str::to_owned),
                    policy_ids: ids.map(|id| id.as_str().unwrap().to_owned()).collect(),
                    trace: option["trace"] == true,
                    dry_run: option["dryRun"] == true,
                    json_response: true,
                    ..Default::default()
                };
                match client.evaluate_policy(request.clone()).await {
                    Ok(answer) => {
                        let answer = answer.into_inner();
                        assert_eq!(status, 200, "{context} {option}");
                        let got: Json = serde_json::from_slice(&answer.response_json).unwrap();
                        assert_eq!(
                            stripped(got.clone()),
                            stripped(expected.clone()),
                            "{context} {option}"
                        );
                        let request = v1::EvaluatePolicyRequest {
                            json_response: false,
                            ..request
                        };
                        let full = client.evaluate_policy(request).await.unwrap().into_inner();
                        let decision = &got["decision"];
                        assert_eq!(full.allowed, decision["allowed"]);
                        assert_eq!(full.reason.as_deref(), decision["reason"].as_str());
                        assert_eq!(json!(full.matched_rules), decision["matchedRules"]);
                        let matched = full.matched.iter().map(|fired| {
                            let verb = fired
                                .decision()
                                .as_str_name()
                                .trim_start_matches("DECISION_")
                                .to_lowercase();
                            let mut one =
                                json!({ "policy": fired.policy, "rule": fired.rule, "decision": verb });
                            if let Some(reason) = &fired.reason {
                                one["reason"] = json!(reason);
                            }
                            one
                        });
                        assert_eq!(matched.collect::<Json>(), decision["matched"]);
                        assert_eq!(full.trace.is_some(), option["trace"] == true);
                        let modified = decision.get("modifications").map(object);
                        assert_eq!(full.modifications, modified);
                    }
                    Err(error) => {
                        assert_eq!(status, 400, "{context} {option}: {error:?}");
                        assert_eq!(word(&error), expected["code"].as_str().unwrap());
                    }
                }
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_list_of_policies_is_all_of_them_and_never_an_allow() {
    let server = Running::start(&[]).await;
    let mut client = client(&server).await;
    create(&mut client, COST).await;
    let answer = client
        .evaluate_policy(about(
            r#"{"llm":{"model":"gpt-4o","maxTokens":100,"n":2000},"team":{"tier":"free"}}"#,
        ))
        .await
        .unwrap();
    assert!(answer.metadata().get("x-request-id").is_some());
    let answer = answer.into_inner();
    assert_eq!((answer.decision(), answer.allowed), (v1::Decision::Deny, false));
    assert_eq!(answer.reason.as_deref(), Some("too dear for free"));
    assert_eq!(answer.matched_rules, ["dear"]);
    assert!(answer.evaluation_time_ns > 0);
    assert!(!answer.bundle_revision.is_empty() && answer.timestamp.is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_context_that_is_none_is_refused() {
    let server = Running::start(&[]).await;
    let mut client = client(&server).await;
    create(&mut client, COST).await;
    let none = client.evaluate_policy(v1::EvaluatePolicyRequest::default()).await;
    refused(none, Code::InvalidArgument, "malformed_request");
    for text in ["", "{", "{} {}", "[]", "null", "{\"a\":\u{1}}"] {
        let result = client.evaluate_policy(about(text)).await;
        refused(result, Code::InvalidArgument, "malformed_context");
    }
    let status = client
        .evaluate_policy(about(r#"{"llm": "gpt-4"}"#))
        .await
        .unwrap_err();
    assert_eq!(
        status.message(),
        "malformed context: `llm` must be an object, found a string (byte 8)"
    );
    refused(
        Err::<tonic::Response<()>, _>(status),
        Code::InvalidArgument,
        "malformed_context",
    );
    let twice = client
        .evaluate_policy(about(r#"{"llm":{"maxTokens":1,"maxTokens":2}}"#))
        .await;
    refused(twice, Code::InvalidArgument, "malformed_context");
    for kind in [None, Some(Kind::NumberValue(f64::NAN))] {
        let context = Struct {
            fields: BTreeMap::from([("x".to_owned(), Value { kind })]),
        };
        let request = v1::EvaluatePolicyRequest {
            input: Some(Input::Context(context)),
            ..Default::default()
        };
        let result = client.evaluate_policy(request).await;
        refused(result, Code::InvalidArgument, "malformed_request");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn integers_that_messages_cannot_carry_go_as_json() {
    let server = Running::start(&[]).await;
    let mut client = client(&server).await;
    let policy = "metadata: { id: exact, name: Exact }\nrules:\n  - id: one\n    condition: { operator: eq, field: metadata.n, \
                  value: 9007199254740993 }\n    action: { decision: modify, modifications: { metadata.m: 9007199254740993 } }\n";
    create(&mut client, policy).await;
    let exact = |json_response| v1::EvaluatePolicyRequest {
        json_response,
        ..about(r#"{"metadata":{"n":9007199254740993}}"#)
    };
    let answer = client.evaluate_policy(exact(true)).await.unwrap().into_inner();
    assert_eq!(answer.decision(), v1::Decision::Modify);
    let text = String::from_utf8(answer.response_json.to_vec()).unwrap();
    assert!(text.contains(r#""metadata.m":9007199254740993"#), "{text}");
    // The neighbour is another number.
    let near = client
        .evaluate_policy(about(r#"{"metadata":{"n":9007199254740992}}"#))
        .await
        .unwrap();
    assert_eq!(near.into_inner().decision(), v1::Decision::Allow);
    let get = v1::GetPolicyRequest {
        id: "exact".to_owned(),
        view: v1::PolicyView::Definition.into(),
        ..Default::default()
    };
    refused(
        client.get_policy(get).await,
        Code::InvalidArgument,
        "malformed_request",
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_answers_in_order_and_survives_errors() {
    let server = Running::start(&[]).await;
    let mut client = client(&server).await;
    create(&mut client, COST).await;
    let long = "words and more words ".repeat(20_000);
    let requests: Vec<_> = (0..200_u32)
        .map(|i| match i % 5 {
            0 => about(&json!({ "llm": { "model": "gpt-4o", "maxTokens": 100, "n": 2000 } }).to_string()),
            1 => about("{broken"),
            // Long ones go to the pool and take longer than those behind them.
            2 => about(&json!({ "llm": { "prompt": long, "model": "gpt-4o", "maxTokens": i } }).to_string()),
            3 => v1::EvaluatePolicyRequest {
                request_id: format!("mine-{i}"),
                policy_ids: vec!["nobody".to_owned()],
                ..about("{}")
            },
            _ => v1::EvaluatePolicyRequest {
                request_id: format!("mine-{i}"),
                ..about("{}")
            },
        })
        .collect();
    let mut answers = client
        .evaluate_policy_stream(tokio_stream::iter(requests))
        .await
        .unwrap()
        .into_inner();
    let mut count = 0_u64;
    while let Some(answer) = answers.next().await {
        let answer = answer.unwrap();
        assert_eq!(answer.sequence, count);
        match (count % 5, answer.outcome.unwrap()) {
            (0, Outcome::Result(result)) => {
                assert_eq!(result.decision(), v1::Decision::Deny);
                assert!(result.request_id.ends_with(&format!("-{count}")));
            }
            (1, Outcome::Error(error)) => {
                assert_eq!(error.status, i32::from(Code::InvalidArgument));
                assert_eq!(error.details.unwrap().code, "malformed_context");
            }
            (2, Outcome::Result(result)) => assert!(!result.request_id.is_empty()),
            (3, Outcome::Error(error)) => {
                let details = error.details.unwrap();
                assert_eq!(details.code, "unknown_policy");
                assert_eq!(details.request_id, format!("mine-{count}"));
            }
            (4, Outcome::Result(result)) => {
                assert_eq!(result.request_id, format!("mine-{count}"));
                assert_eq!(result.decision(), v1::Decision::Allow);
            }
            (_, other) => panic!("{count}: {other:?}"),
        }
        count += 1;
    }
    assert_eq!(count, 200);
}

async fn key(server: &Running, role: Role) -> (String, String) {
    key_in(server, role, None).await
}

/// A key that is bound to a namespace, or to none in particular.
async fn key_in(server: &Running, role: Role, namespace: Option<&str>) -> (String, String) {
    let admin = Identity::anonymous();
    let call = Call {
        identity: &admin,
        request_id: "test",
        until: None,
    };
    let new = NewKey {
        name: role.as_str().to_owned(),
        roles: vec![role.as_str().to_owned()],
        namespaces: namespace.map(|name| vec![name.to_owned()]),
        ..NewKey::default()
    };
    let (key, secret) = server.app.service.create_key(call, new).await.unwrap();
    (key.id, secret.expose_secret().to_owned())
}

fn with_key<T>(message: T, key: &str) -> Request<T> {
    let mut request = Request::new(message);
    request.metadata_mut().insert("x-api-key", key.parse().unwrap());
    request
}

#[tokio::test(flavor = "multi_thread")]
async fn callers_prove_who_they_are_before_anything_is_read() {
    let server = Running::start(&[("API_KEYS_ENABLED", "true")]).await;
    let mut client = client(&server).await;
    let (_, admin) = key(&server, Role::Admin).await;
    let (id, evaluator) = key(&server, Role::Evaluator).await;
    let create = || v1::CreatePolicyRequest { policy: yaml(COST) };
    refused(
        client.create_policy(create()).await,
        Code::Unauthenticated,
        "unauthenticated",
    );
    let wrong = with_key(create(), "lpk_0000000000000000_00");
    refused(
        client.create_policy(wrong).await,
        Code::Unauthenticated,
        "unauthenticated",
    );
    let weak = with_key(create(), &evaluator);
    refused(
        client.create_policy(weak).await,
        Code::PermissionDenied,
        "forbidden",
    );
    client.create_policy(with_key(create(), &admin)).await.unwrap();
    let mut bearer = Request::new(about("{}"));
    let value = format!("Bearer {evaluator}").parse().unwrap();
    bearer.metadata_mut().insert("authorization", value);
    client.evaluate_policy(bearer).await.unwrap();
    let both = {
        let mut request = with_key(about("{}"), &evaluator);
        let value = format!("Bearer {evaluator}").parse().unwrap();
        request.metadata_mut().insert("authorization", value);
        request
    };
    refused(
        client.evaluate_policy(both).await,
        Code::Unauthenticated,
        "unauthenticated",
    );
    // Bytes that are no text are a credential that is wrong, and not none.
    let mut odd = Request::new(about("{}"));
    odd.metadata_mut().insert(
        "x-api-key",
        tonic::metadata::MetadataValue::try_from(b"\xff\xfe".as_slice()).unwrap(),
    );
    refused(
        client.evaluate_policy(odd).await,
        Code::Unauthenticated,
        "unauthenticated",
    );

    // A stream ends when its key is revoked.
    let (send, receive) = mpsc::channel(4);
    send.send(about("{}")).await.unwrap();
    let mut answers = client
        .evaluate_policy_stream(with_key(ReceiverStream::new(receive), &evaluator))
        .await
        .unwrap()
        .into_inner();
    assert!(matches!(
        answers.next().await.unwrap().unwrap().outcome,
        Some(Outcome::Result(_))
    ));
    let identity = Identity::anonymous();
    let call = Call {
        identity: &identity,
        request_id: "test",
        until: None,
    };
    let ends = async |id: &str, send: mpsc::Sender<_>, mut answers: Streaming<_>| {
        server.app.service.revoke_key(call, id).await.unwrap();
        server.app.auth.forget_key(id);
        send.send(about("{}")).await.unwrap();
        let answer: Result<v1::EvaluatePolicyStreamResponse, _> = answers.next().await.unwrap();
        refused(answer.map(|_| ()), Code::Unauthenticated, "unauthenticated");
        assert!(answers.next().await.is_none());
    };
    ends(&id, send, answers).await;

    // So does one that was opened before, and asks only now.
    let (id, evaluator) = key(&server, Role::Evaluator).await;
    let (send, receive) = mpsc::channel(4);
    let answers = client
        .evaluate_policy_stream(with_key(ReceiverStream::new(receive), &evaluator))
        .await
        .unwrap()
        .into_inner();
    ends(&id, send, answers).await;

    // Health needs no credentials.
    let mut health = HealthClient::new(channel(&server).await);
    health.check(HealthCheckRequest::default()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn tenants_do_not_notice_each_other() {
    let server = Running::start(&[("API_KEYS_ENABLED", "true")]).await;
    let mut client = client(&server).await;
    let (_, admin) = key(&server, Role::Admin).await;
    let (_, red) = key_in(&server, Role::Admin, Some("red")).await;
    let (_, blue) = key_in(&server, Role::Admin, Some("blue")).await;
    let document = |namespace: &str, decision: &str| v1::CreatePolicyRequest {
        policy: yaml(&format!(
            "metadata: {{id: limits, name: L, namespace: {namespace}}}\nrules:\n- id: r\n  condition: {{operator: exists, \
             field: llm.model}}\n  action: {{decision: {decision}}}\n"
        )),
    };
    let get = |namespace: Option<&str>| v1::GetPolicyRequest {
        id: "limits".to_owned(),
        namespace: namespace.map(str::to_owned),
        ..Default::default()
    };
    client
        .create_policy(with_key(document("red", "warn"), &red))
        .await
        .unwrap();
    let context = r#"{"llm":{"model":"m"}}"#;
    let named = |ids: &[&str]| v1::EvaluatePolicyRequest {
        policy_ids: ids.iter().map(|id| (*id).to_owned()).collect(),
        ..about(context)
    };
    let told = async |client: &mut Client| {
        let answer = client
            .evaluate_policy(with_key(about(context), &red))
            .await
            .unwrap()
            .into_inner();
        let (send, receive) = mpsc::channel(1);
        send.send(named(&["limits"])).await.unwrap();
        drop(send);
        let stream = client
            .evaluate_policy_stream(with_key(ReceiverStream::new(receive), &red))
            .await;
        let streamed = stream.unwrap().into_inner().next().await.unwrap().unwrap();
        let Some(Outcome::Result(streamed)) = streamed.outcome else {
            panic!("{streamed:?}");
        };
        let tried = v1::SimulateRequest {
            input: Some(v1::simulate_request::Input::ContextJson(context.into())),
            ..Default::default()
        };
        let tried = client
            .simulate(with_key(tried, &red))
            .await
            .unwrap()
            .into_inner()
            .result
            .unwrap();
        [answer, streamed, tried].map(|a| (a.decision(), a.matched_policies, a.matched_rules))
    };
    let before = told(&mut client).await;
    let alone = (
        v1::Decision::Warn,
        vec!["limits".to_owned()],
        vec!["r".to_owned()],
    );
    assert_eq!(before, [alone.clone(), alone.clone(), alone]);
    client
        .create_policy(with_key(document("blue", "deny"), &blue))
        .await
        .unwrap();
    assert_eq!(told(&mut client).await, before);
    // A namespace without active policies is an error, on a stream as well, whoever else has some.
    let (_, green) = key_in(&server, Role::Evaluator, Some("green")).await;
    let refusal = client.evaluate_policy(with_key(about(context), &green)).await;
    refused(refusal, Code::InvalidArgument, "unknown_namespace");
    let (send, receive) = mpsc::channel(1);
    send.send(about(context)).await.unwrap();
    drop(send);
    let stream = client
        .evaluate_policy_stream(with_key(ReceiverStream::new(receive), &green))
        .await;
    let streamed = stream.unwrap().into_inner().next().await.unwrap().unwrap();
    let Some(Outcome::Error(failure)) = streamed.outcome else {
        panic!("{streamed:?}");
    };
    assert_eq!(failure.details.unwrap().code, "unknown_namespace");
    // Who sees both is told which is which.
    let both = client
        .evaluate_policy(with_key(about(context), &admin))
        .await
        .unwrap()
        .into_inner();
    assert_eq!(both.matched_policies, ["blue/limits"]);
    assert_eq!(both.matched_rules, ["blue/limits/r"]);

    for (key, namespace, expected) in [
        (&red, None, "red"),
        (&blue, None, "blue"),
        (&admin, Some("blue"), "blue"),
    ] {
        let found = client
            .get_policy(with_key(get(namespace), key))
            .await
            .unwrap()
            .into_inner();
        assert_eq!(found.namespace, expected);
    }
    let which = client.get_policy(with_key(get(None), &admin)).await;
    refused(which, Code::FailedPrecondition, "ambiguous_policy");
    let foreign = client.get_policy(with_key(get(Some("blue")), &red)).await;
    refused(foreign, Code::PermissionDenied, "forbidden");
    let update = |namespace: Option<&str>| v1::UpdatePolicyRequest {
        id: "limits".to_owned(),
        policy: document("red", "allow").policy,
        expected_version: Some(1),
        namespace: namespace.map(str::to_owned),
    };
    let elsewhere = client.update_policy(with_key(update(Some("blue")), &admin)).await;
    refused(elsewhere, Code::InvalidArgument, "malformed_request");
    let updated = client
        .update_policy(with_key(update(None), &red))
        .await
        .unwrap()
        .into_inner();
    assert_eq!((updated.namespace.as_str(), updated.version), ("red", 2));
    let delete = |namespace: Option<&str>| v1::DeletePolicyRequest {
        id: "limits".to_owned(),
        namespace: namespace.map(str::to_owned),
        ..Default::default()
    };
    let which = client.delete_policy(with_key(delete(None), &admin)).await;
    refused(which, Code::FailedPrecondition, "ambiguous_policy");
    client.delete_policy(with_key(delete(None), &blue)).await.unwrap();
    client
        .delete_policy(with_key(delete(None), &admin))
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn where_approval_is_required_nothing_over_grpc_activates() {
    let server = Running::start(&[("API_KEYS_ENABLED", "true"), ("APPROVAL_REQUIRED", "true")]).await;
    let mut client = client(&server).await;
    let (_, author) = key(&server, Role::Author).await;
    let create = v1::CreatePolicyRequest { policy: yaml(COST) };
    let made = client
        .create_policy(with_key(create, &author))
        .await
        .unwrap()
        .into_inner();
    assert_eq!((made.active_version, made.pending_approval), (None, true));
    for expected_version in [Some(1), None] {
        let update = v1::UpdatePolicyRequest {
            id: "cost".to_owned(),
            policy: yaml(COST),
            expected_version,
            namespace: None,
        };
        let done = client
            .update_policy(with_key(update, &author))
            .await
            .unwrap()
            .into_inner();
        assert_eq!((done.active_version, done.pending_approval), (None, true));
        let waiting = done.approval.unwrap();
        assert_eq!(
            (waiting.scope.as_str(), waiting.may_approve, waiting.authors),
            ("policy:approve", false, vec![done.author])
        );
        assert!(waiting.since.unwrap().seconds > 0);
    }

    // What waits can be asked for and rejected.
    let (_, approver) = key(&server, Role::Approver).await;
    let list = |approval: v1::Approval| v1::ListPoliciesRequest {
        approval: approval.into(),
        ..Default::default()
    };
    let listed = async |client: &mut Client, approval| {
        let answer = client.list_policies(with_key(list(approval), &approver)).await;
        answer.unwrap().into_inner().policies
    };
    let waiting = listed(&mut client, v1::Approval::Waiting).await;
    assert_eq!((waiting.len(), waiting[0].version), (1, 3));
    assert!(waiting[0].approval.as_ref().unwrap().may_approve);
    assert!(listed(&mut client, v1::Approval::Rejected).await.is_empty());
    let strange = v1::ListPoliciesRequest {
        approval: 77,
        ..Default::default()
    };
    let strange = client.list_policies(with_key(strange, &approver)).await;
    refused(strange, Code::InvalidArgument, "malformed_request");
    let reject = |version, comment: &str| v1::RejectPolicyRequest {
        id: "cost".to_owned(),
        version,
        comment: comment.to_owned(),
        namespace: None,
    };
    for version in [0, 2, 4, u64::MAX] {
        let wrong = client
            .reject_policy(with_key(reject(version, "no"), &approver))
            .await;
        refused(wrong, Code::FailedPrecondition, "not_waiting");
    }
    for comment in ["", "a\0b", "two\nlines", &"x".repeat(2001)] {
        let wrong = client
            .reject_policy(with_key(reject(3, comment), &approver))
            .await;
        refused(wrong, Code::InvalidArgument, "malformed_request");
    }
    let nowhere = v1::RejectPolicyRequest {
        id: "nothing".to_owned(),
        ..reject(1, "no")
    };
    let nowhere = client.reject_policy(with_key(nowhere, &approver)).await;
    refused(nowhere, Code::NotFound, "not_found");
    let (_, evaluator) = key(&server, Role::Evaluator).await;
    let not_theirs = client.reject_policy(with_key(reject(3, "no"), &evaluator)).await;
    refused(not_theirs, Code::PermissionDenied, "forbidden");
    let done = client
        .reject_policy(with_key(reject(3, "too dear"), &approver))
        .await
        .unwrap()
        .into_inner();
    assert!(!done.pending_approval && done.approval.is_none() && done.source.is_empty());
    assert_eq!(done.rejection.unwrap().comment, "too dear");
    let rejected = listed(&mut client, v1::Approval::Rejected).await;
    assert_eq!((rejected.len(), rejected[0].version), (1, 3));
    // Its author reads why, also once there is a newer version.
    let update = v1::UpdatePolicyRequest {
        id: "cost".to_owned(),
        policy: yaml(COST),
        ..Default::default()
    };
    let next = client
        .update_policy(with_key(update, &author))
        .await
        .unwrap()
        .into_inner();
    assert!(next.pending_approval && next.rejection.is_none());
    let get = v1::GetPolicyRequest {
        id: "cost".to_owned(),
        version: Some(3),
        ..Default::default()
    };
    let third = client
        .get_policy(with_key(get, &author))
        .await
        .unwrap()
        .into_inner();
    assert_eq!(third.rejection.unwrap().comment, "too dear");
}

#[tokio::test(flavor = "multi_thread")]
async fn quotas_and_shares_are_those_of_rest() {
    let server = Running::start(&[("QUOTA_POLICIES", "1"), ("HEAVY_WORKERS", "1")]).await;
    let mut client = client(&server).await;
    create(&mut client, COST).await;
    let another = COST.replace("id: cost,", "id: dear,");
    let another = v1::CreatePolicyRequest {
        policy: yaml(&another),
    };
    let result = client.create_policy(another).await;
    refused(result, Code::ResourceExhausted, "quota_exceeded");

    // All the long work that one address may have, and one piece more.
    let here = Identity::anonymous_at(Some(Address::of(server.addresses.grpc.ip())));
    let owner = Owner::of(&here);
    let work = Work { owner, until: None };
    let (release, wait) = std::sync::mpsc::channel::<()>();
    let held = Arc::new(std::sync::Mutex::new(wait));
    let jobs: Vec<_> = (0..9)
        .map(|_| {
            let (pool, held) = (server.app.service.heavy.clone(), Arc::clone(&held));
            let job = move |_: &_| held.lock().unwrap().recv().is_ok();
            tokio::spawn(async move { pool.run(work, job).await })
        })
        .collect();
    while server.app.service.heavy.load() != (1, 8) {
        tokio::task::yield_now().await;
    }
    let result = client
        .create_policy(v1::CreatePolicyRequest { policy: yaml(COST) })
        .await;
    let status = refused(result, Code::ResourceExhausted, "rate_limited");
    assert_eq!(status.metadata().get("retry-after").unwrap(), "1");
    for _ in &jobs {
        release.send(()).unwrap();
    }
    for job in jobs {
        assert!(job.await.unwrap().unwrap());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn limits_count_each_request_of_a_stream() {
    let server = Running::start(&[("RATE_LIMIT_ROUTES", "evaluate=3")]).await;
    let mut client = client(&server).await;
    create(&mut client, COST).await;
    let requests: Vec<_> = (0..20).map(|_| about("{}")).collect();
    let answers: Vec<_> = client
        .evaluate_policy_stream(tokio_stream::iter(requests))
        .await
        .unwrap()
        .into_inner()
        .collect()
        .await;
    assert_eq!(answers.len(), 20);
    let mut limited = 0;
    for answer in answers {
        if let Some(Outcome::Error(error)) = answer.unwrap().outcome {
            assert_eq!(error.status, i32::from(Code::ResourceExhausted));
            let details = error.details.unwrap();
            assert_eq!(details.code, "rate_limited");
            assert!(details.retry_after.is_some());
            limited += 1;
        }
    }
    assert!((10..20).contains(&limited), "{limited}");
    let status = refused(
        client.evaluate_policy(about("{}")).await,
        Code::ResourceExhausted,
        "rate_limited",
    );
    assert!(status.metadata().get("retry-after").is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn deadlines_end_calls_and_idle_streams() {
    let server = Running::start(&[]).await;
    let mut client = client(&server).await;
    create(&mut client, COST).await;
    let (send, receive) = mpsc::channel(4);
    send.send(about("{}")).await.unwrap();
    let mut request = Request::new(ReceiverStream::new(receive));
    request.set_timeout(Duration::from_secs(2));
    let mut answers = client.evaluate_policy_stream(request).await.unwrap().into_inner();
    answers.next().await.unwrap().unwrap();
    refused(
        answers.next().await.unwrap().map(|_| ()),
        Code::DeadlineExceeded,
        "deadline_exceeded",
    );
    let mut request = Request::new(about("{}"));
    request
        .metadata_mut()
        .insert("grpc-timeout", "soon".parse().unwrap());
    refused(
        client.evaluate_policy(request).await,
        Code::InvalidArgument,
        "malformed_request",
    );
    drop(send);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_too_large_or_unknown_is_said_in_our_words() {
    let server = Running::start(&[("MAX_BODY", "64KB")]).await;
    let mut client = client(&server).await;
    let large = about(&json!({ "llm": { "prompt": "x".repeat(100_000) } }).to_string());
    refused(
        client.evaluate_policy(large.clone()).await,
        Code::ResourceExhausted,
        "too_large",
    );
    let mut answers = client
        .evaluate_policy_stream(tokio_stream::iter([about("{}"), large]))
        .await
        .unwrap()
        .into_inner();
    answers.next().await.unwrap().unwrap();
    refused(
        answers.next().await.unwrap().map(|_| ()),
        Code::ResourceExhausted,
        "too_large",
    );
    let mut raw = tonic::client::Grpc::new(channel(&server).await);
    raw.ready().await.unwrap();
    let path = http::uri::PathAndQuery::from_static("/llmpolicy.v1.PolicyService/Nothing");
    let codec = tonic_prost::ProstCodec::<v1::DeletePolicyResponse, v1::DeletePolicyResponse>::default();
    let result = raw
        .unary(Request::new(v1::DeletePolicyResponse {}), path, codec)
        .await;
    refused(result, Code::Unimplemented, "method_not_allowed");
    // Bytes that are not the message of the method.
    raw.ready().await.unwrap();
    let path = http::uri::PathAndQuery::from_static("/llmpolicy.v1.PolicyService/GetPolicy");
    let codec = tonic_prost::ProstCodec::<v1::EvaluationError, v1::Policy>::default();
    let wrong = v1::EvaluationError {
        rule: "a length where a number is expected".to_owned(),
        ..Default::default()
    };
    let result = raw.unary(Request::new(wrong), path, codec).await;
    refused(result, Code::InvalidArgument, "malformed_request");
}

#[tokio::test(flavor = "multi_thread")]
async fn simulation_decides_with_drafts_and_keeps_nothing() {
    let server = Running::start(&[]).await;
    let mut client = client(&server).await;
    create(&mut client, COST).await;
    let context = || {
        Some(v1::simulate_request::Input::ContextJson(
            r#"{"llm":{"model":"gpt-4o","maxTokens":100,"n":500}}"#.into(),
        ))
    };
    let draft = COST.replace("value: 1 }", "value: 0.1 }") + "status: draft\n";
    let request = v1::SimulateRequest {
        request_id: "try-1".to_owned(),
        input: context(),
        policies: yaml(&draft).into_iter().collect(),
        ..Default::default()
    };
    let tried = client
        .simulate(request)
        .await
        .unwrap()
        .into_inner()
        .result
        .unwrap();
    assert_eq!(
        (tried.decision(), tried.request_id.as_str()),
        (v1::Decision::Deny, "try-1")
    );
    assert!(tried.trace.is_some());
    let active = client
        .evaluate_policy(about(r#"{"llm":{"model":"gpt-4o","maxTokens":100,"n":500}}"#))
        .await
        .unwrap();
    assert_eq!(active.into_inner().decision(), v1::Decision::Allow);
    let broken = v1::SimulateRequest {
        input: context(),
        policies: yaml("rules: 3").into_iter().collect(),
        ..Default::default()
    };
    let status = refused(
        client.simulate(broken).await,
        Code::InvalidArgument,
        "policy_invalid",
    );
    assert!(!details(&status).diagnostics.is_empty());
    let unknown = v1::SimulateRequest {
        input: context(),
        policy_ids: vec!["nobody".to_owned()],
        ..Default::default()
    };
    refused(
        client.simulate(unknown).await,
        Code::InvalidArgument,
        "unknown_policy",
    );
    let tried = |drafts: &[&str]| v1::SimulateRequest {
        input: context(),
        policies: drafts.iter().filter_map(|text| yaml(text)).collect(),
        ..Default::default()
    };
    refused(
        client.simulate(tried(&[&draft, COST])).await,
        Code::InvalidArgument,
        "policy_invalid",
    );

    // While a bundle decides, no stored policy does, and no draft can be put beside it.
    let get = || v1::GetPolicyRequest {
        id: "cost".to_owned(),
        ..Default::default()
    };
    let stored = client.get_policy(get()).await.unwrap().into_inner();
    assert_eq!(stored.active_version, Some(1));
    let mut compiler = Compiler::new(Options::default());
    compiler.set("p.yaml", COST.replace("id: cost", "id: bundled"));
    let bytes = compiler.build().unwrap().to_bundle().unwrap();
    let caller = Identity::anonymous();
    let call = Call {
        identity: &caller,
        request_id: "test",
        until: None,
    };
    let service = &server.app.service;
    service.deploy_bundle(call, bytes.into(), None).await.unwrap();
    let stored = client.get_policy(get()).await.unwrap().into_inner();
    assert_eq!((stored.active_version, stored.pending_approval), (None, false));
    let listed = client
        .list_policies(v1::ListPoliciesRequest::default())
        .await
        .unwrap();
    assert_eq!(listed.into_inner().policies[0].active_version, None);
    refused(
        client.simulate(tried(&[&draft])).await,
        Code::FailedPrecondition,
        "read_only",
    );
}

/// Without an active policy nothing is decided, on either transport, and the server says that it is not ready; but it takes
/// its first policy.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_without_active_policies_is_not_ready_and_decides_nothing() {
    let server = Running::start(&[("UNKNOWN_NAMESPACE", "global")]).await;
    let mut client = client(&server).await;
    let mut health = HealthClient::new(channel(&server).await);
    let question = |namespace: Option<&str>| v1::EvaluatePolicyRequest {
        input: Some(Input::ContextJson("{}".into())),
        namespace: namespace.map(str::to_owned),
        ..Default::default()
    };
    let refuses = async |client: &mut Client, health: &mut HealthClient<Channel>| {
        let (status, body) = rest(&server, json!({ "context": {} })).await;
        assert_eq!(
            (status, body["code"].as_str()),
            (503, Some("not_ready")),
            "{body}"
        );
        let refusal = client.evaluate_policy(question(Some("global"))).await;
        refused(refusal, Code::Unavailable, "not_ready");
        let readiness = server.app.health.readiness(&server.app.service.active.info());
        assert_eq!(readiness.status, "unready");
        assert_eq!(readiness.reasons, ["no policy is active, so nothing is decided"]);
        let check = HealthCheckRequest::default();
        let answer = health.check(check).await.unwrap().into_inner();
        assert_eq!(answer.status(), ServingStatus::NotServing);
    };
    refuses(&mut client, &mut health).await;
    create(&mut client, COST).await;
    let (status, _) = rest(&server, json!({ "context": {} })).await;
    assert_eq!(status, 200);
    // There is no `global` to ask instead.
    let refusal = client.evaluate_policy(question(Some("nowhere"))).await;
    refused(refusal, Code::InvalidArgument, "unknown_namespace");
    let house = "metadata: { id: house, name: House, namespace: global }\nrules:\n  - id: warn\n    condition: { operator: \
                 exists, field: metadata.x }\n    action: { decision: warn }\n";
    create(&mut client, house).await;
    let answer = client.evaluate_policy(question(Some("nowhere"))).await.unwrap();
    assert!(answer.into_inner().allowed);
    for id in ["cost", "house"] {
        let gone = v1::DeletePolicyRequest {
            id: id.to_owned(),
            ..Default::default()
        };
        client.delete_policy(gone).await.unwrap();
    }
    refuses(&mut client, &mut health).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn health_follows_readiness_and_an_idle_stream_does_not_hold_up_the_end() {
    let server = Running::start(&[]).await;
    let mut client = client(&server).await;
    create(&mut client, COST).await;
    let mut health = HealthClient::new(channel(&server).await);
    let ask = |service: &str| HealthCheckRequest {
        service: service.to_owned(),
    };
    for service in ["", "llmpolicy.v1.PolicyService"] {
        let answer = health.check(ask(service)).await.unwrap().into_inner();
        assert_eq!(answer.status(), ServingStatus::Serving, "{service}");
    }
    assert_eq!(
        health.check(ask("nobody")).await.unwrap_err().code(),
        Code::NotFound
    );
    let mut unknown = health.watch(ask("nobody")).await.unwrap().into_inner();
    assert_eq!(
        unknown.next().await.unwrap().unwrap().status(),
        ServingStatus::ServiceUnknown
    );
    let mut watch = health.watch(ask("")).await.unwrap().into_inner();
    assert_eq!(
        watch.next().await.unwrap().unwrap().status(),
        ServingStatus::Serving
    );

    let (send, receive) = mpsc::channel(4);
    send.send(about("{}")).await.unwrap();
    let mut answers = client
        .evaluate_policy_stream(ReceiverStream::new(receive))
        .await
        .unwrap()
        .into_inner();
    answers.next().await.unwrap().unwrap();
    let stopping = tokio::spawn(server.stopped());
    assert_eq!(
        watch.next().await.unwrap().unwrap().status(),
        ServingStatus::NotServing
    );
    refused(
        answers.next().await.unwrap().map(|_| ()),
        Code::Unavailable,
        "shutting_down",
    );
    drop((watch, unknown, answers, send));
    let cut = tokio::time::timeout(Duration::from_secs(4), stopping)
        .await
        .unwrap()
        .unwrap();
    assert_eq!((cut.connections, cut.decisions), (0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn reflection_lists_the_services() {
    use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
    use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
    use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;
    let server = Running::start(&[("API_KEYS_ENABLED", "true")]).await;
    let mut client = ServerReflectionClient::new(channel(&server).await);
    let ask = |request| tonic_reflection::pb::v1::ServerReflectionRequest {
        host: String::new(),
        message_request: Some(request),
    };
    let requests = [
        ask(MessageRequest::ListServices(String::new())),
        ask(MessageRequest::FileContainingSymbol(
            "llmpolicy.v1.EvaluatePolicyRequest".to_owned(),
        )),
    ];
    let mut answers = client
        .server_reflection_info(tokio_stream::iter(requests))
        .await
        .unwrap()
        .into_inner();
    let Some(MessageResponse::ListServicesResponse(list)) =
        answers.next().await.unwrap().unwrap().message_response
    else {
        panic!("no list")
    };
    let names: Vec<_> = list.service.iter().map(|s| s.name.as_str()).collect();
    for name in ["llmpolicy.v1.PolicyService", "grpc.health.v1.Health"] {
        assert!(names.contains(&name), "{names:?}");
    }
    assert!(matches!(
        answers.next().await.unwrap().unwrap().message_response,
        Some(MessageResponse::FileDescriptorResponse(_))
    ));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_decision_log_is_read_as_over_rest() {
    let server = Running::start(&[("DECISION_LOG_CONTEXT", "full")]).await;
    let mut client = PolicyServiceClient::new(channel(&server).await);
    create(&mut client, COST).await;
    for (i, tokens) in [5, 200, 300].into_iter().enumerate() {
        let context = format!("{{\"llm\":{{\"maxTokens\":{tokens}}},\"n\":12345678901234567890123}}");
        let asked = client.evaluate_policy(v1::EvaluatePolicyRequest {
            request_id: format!("r{i}"),
            input: Some(Input::ContextJson(context.into())),
            ..Default::default()
        });
        asked.await.unwrap();
    }
    let any = v1::ListDecisionsRequest::default;
    let mut all = Vec::new();
    while all.len() < 3 {
        tokio::time::sleep(Duration::from_millis(20)).await;
        all = client.list_decisions(any()).await.unwrap().into_inner().decisions;
    }
    let newest = &all[0];
    assert_eq!(
        (
            newest.request_id.as_str(),
            newest.decision(),
            &newest.matched_rules[..]
        ),
        ("r2", v1::Decision::Modify, &["cap".to_owned()][..])
    );
    assert_eq!(
        newest.context_json.as_deref(),
        Some(&br#"{"llm":{"maxTokens":300},"n":12345678901234567890123}"#[..])
    );
    assert!(newest.id != all[1].id && newest.duration_ns > 0 && !newest.revision.is_empty());
    let at = |decision: &v1::LoggedDecision| decision.at.unwrap();
    let mut filtered = async |request: v1::ListDecisionsRequest| {
        let page = client.list_decisions(request).await.unwrap().into_inner();
        let ids: Vec<_> = page.decisions.into_iter().map(|d| d.request_id).collect();
        (ids, page.next_page_token)
    };
    let none: [&str; 0] = [];
    let cost = Some("cost".to_owned());
    for (request, expected) in [
        (
            v1::ListDecisionsRequest {
                policy: cost.clone(),
                ..any()
            },
            &["r2", "r1"][..],
        ),
        (
            v1::ListDecisionsRequest {
                rule: Some("cap".to_owned()),
                policy: cost,
                ..any()
            },
            &["r2", "r1"],
        ),
        (
            v1::ListDecisionsRequest {
                rule: Some("cost".to_owned()),
                ..any()
            },
            &none,
        ),
        (
            v1::ListDecisionsRequest {
                decision: v1::Decision::Allow.into(),
                ..any()
            },
            &["r0"],
        ),
        (
            v1::ListDecisionsRequest {
                subject: Some("nobody".to_owned()),
                ..any()
            },
            &none,
        ),
        (
            v1::ListDecisionsRequest {
                namespace: Some("other".to_owned()),
                ..any()
            },
            &none,
        ),
        (
            v1::ListDecisionsRequest {
                to: Some(at(&all[2])),
                ..any()
            },
            &none,
        ),
        (
            v1::ListDecisionsRequest {
                from: Some(at(&all[2])),
                ..any()
            },
            &["r2", "r1", "r0"],
        ),
    ] {
        assert_eq!(filtered(request.clone()).await.0, expected, "{request:?}");
    }
    let (first, token) = filtered(v1::ListDecisionsRequest {
        page_size: 2,
        ..any()
    })
    .await;
    assert_eq!(first, ["r2", "r1"]);
    let rest = filtered(v1::ListDecisionsRequest {
        page_token: token,
        ..any()
    })
    .await;
    assert_eq!(rest, (vec!["r0".to_owned()], String::new()));
    for wrong in [
        v1::ListDecisionsRequest {
            decision: 77,
            ..any()
        },
        v1::ListDecisionsRequest {
            page_token: "x".to_owned(),
            ..any()
        },
        v1::ListDecisionsRequest {
            page_size: 501,
            ..any()
        },
        v1::ListDecisionsRequest {
            from: Some(prost_types::Timestamp {
                seconds: i64::MAX,
                nanos: 0,
            }),
            ..any()
        },
    ] {
        refused(
            client.list_decisions(wrong).await,
            Code::InvalidArgument,
            "malformed_request",
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_decision_log_needs_the_scope_to_audit() {
    let server = Running::start(&[("API_KEYS_ENABLED", "true")]).await;
    let mut client = PolicyServiceClient::new(channel(&server).await);
    let admin = Identity::anonymous();
    let call = Call {
        identity: &admin,
        request_id: "test",
        until: None,
    };
    for (role, may) in [
        (Role::Auditor, true),
        (Role::Evaluator, false),
        (Role::Author, false),
    ] {
        let new = NewKey {
            name: role.as_str().to_owned(),
            roles: vec![role.as_str().to_owned()],
            ..NewKey::default()
        };
        let (_, secret) = server.app.service.create_key(call, new).await.unwrap();
        let mut request = Request::new(v1::ListDecisionsRequest::default());
        let key = secret.expose_secret().parse().unwrap();
        request.metadata_mut().insert("x-api-key", key);
        let answer = client.list_decisions(request).await;
        if may {
            assert_eq!(answer.unwrap().into_inner().decisions, []);
        } else {
            refused(answer, Code::PermissionDenied, "forbidden");
        }
    }
    let nobody = client.list_decisions(v1::ListDecisionsRequest::default()).await;
    refused(nobody, Code::Unauthenticated, "unauthenticated");
}
