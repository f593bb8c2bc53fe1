//! Authentication as the transports use it: headers in, identity or refusal out, with API keys in a real database.
//!
//! Every kind of bad token is in `src/auth/jwt/tests.rs`, keys of issuers in `src/auth/jwks/tests.rs`, a database that fails
//! or hangs in `src/auth/api_key/tests.rs`.

#![expect(clippy::unwrap_used, reason = "helpers of tests may panic like the tests")]

use policy_server::auth::api_key::{Generated, generate, generate_for};
use policy_server::auth::config::{self, Algorithm, JwtKeys};
use policy_server::auth::{Authenticator, issue};
use policy_server::error::{Code, ServiceError};
use policy_server::identity::{Identity, Proof, Role, Scope};
use policy_server::storage::Store;
use policy_server::storage::model::{ApiKey, KeyChange, NewAudit};
use policy_server::storage::sqlite::Sqlite;
use secrecy::{ExposeSecret as _, SecretString};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

const SECRET: &str = "a secret of the tests, with more than 32 bytes";

fn jwt() -> config::Jwt {
    config::Jwt {
        algorithm: Some(Algorithm::Hs256),
        keys: JwtKeys::Secret {
            current: SecretString::from(SECRET),
            previous: None,
        },
        issuer: "issuer".to_owned(),
        audience: "audience".to_owned(),
        life: Duration::from_secs(3600),
        require_namespaces: false,
    }
}

async fn store() -> Arc<dyn Store> {
    Arc::new(Sqlite::in_memory().await.unwrap())
}

async fn build(jwt: Option<config::Jwt>, api_keys: bool, store: &Arc<dyn Store>) -> Authenticator {
    let config = config::Config { jwt, api_keys };
    Authenticator::build(&config, Arc::clone(store)).await.unwrap()
}

fn token() -> String {
    let roles = [Role::Author, Role::Auditor];
    let token = issue(&jwt(), "alice", &roles, None, Duration::from_secs(600)).unwrap();
    token.expose_secret().to_owned()
}

fn now_ms() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    i64::try_from(now.as_millis()).unwrap()
}

async fn change(store: &Arc<dyn Store>, change: KeyChange) {
    let audit = NewAudit {
        at_ms: now_ms(),
        actor: "test".to_owned(),
        action: "key.change".to_owned(),
        target: "key".to_owned(),
        namespace: String::new(),
        request_id: "r".to_owned(),
        detail: "{}".to_owned(),
    };
    store.change_key(&change, &audit).await.unwrap();
}

async fn create(store: &Arc<dyn Store>, alter: impl FnOnce(&mut ApiKey)) -> Generated {
    let generated = generate().unwrap();
    let mut key = ApiKey {
        id: generated.id.clone(),
        name: "gateway".to_owned(),
        hash: generated.hash,
        previous: None,
        scopes: Role::Evaluator.scopes(),
        namespaces: Some(vec!["team".to_owned()]),
        author: "alice".to_owned(),
        rotated_by: Vec::new(),
        owner: None,
        created_ms: now_ms(),
        expires_ms: None,
        revoked_ms: None,
    };
    alter(&mut key);
    change(store, KeyChange::Create { key, most: 0 }).await;
    generated
}

fn refusal(result: Result<Identity, ServiceError>) -> (Code, String) {
    let error = result.unwrap_err();
    (error.code, error.detail)
}

#[tokio::test]
async fn without_authentication_everybody_is_anonymous() {
    let store = store().await;
    let open = build(None, false, &store).await;
    for (authorization, key) in [
        (None, None),
        (Some("Bearer x"), None),
        (Some(""), Some("")),
        (None, Some("lpk_x")),
    ] {
        let identity = open.authenticate(authorization, key).await.unwrap();
        assert_eq!(identity, Identity::anonymous());
    }
}

#[tokio::test]
async fn headers_carry_one_credential_in_one_way() {
    let store = store().await;
    let auth = build(Some(jwt()), true, &store).await;
    let key = create(&store, |_| ()).await;
    let (key, token) = (key.secret.expose_secret(), token());
    for header in [
        format!("Bearer {token}"),
        format!("bearer {token}"),
        format!("BEARER  {token} "),
    ] {
        let identity = auth.authenticate(Some(&header), None).await.unwrap();
        assert_eq!((&*identity.subject, identity.proof), ("alice", Proof::Token));
        assert!(identity.scopes.has(Scope::Write) && identity.scopes.has(Scope::Audit));
        assert!(!identity.scopes.has(Scope::Keys) && identity.may_touch("anything"));
    }
    let bearer = format!("Bearer {key}");
    for (authorization, api_key) in [
        (None, Some(key)),
        (Some(bearer.as_str()), None),
        (None, Some(&*format!(" {key} "))),
    ] {
        let identity = auth.authenticate(authorization, api_key).await.unwrap();
        assert!(
            identity.subject.starts_with("gateway (key "),
            "{}",
            identity.subject
        );
        assert_eq!(identity.proof, Proof::Key);
        assert!(identity.may_touch("team") && !identity.may_touch("other"));
    }
    let both = auth
        .authenticate(Some(&format!("Bearer {token}")), Some(key))
        .await;
    let either = "give either `Authorization` or `X-API-Key`, not both".to_owned();
    assert_eq!(refusal(both), (Code::Unauthenticated, either));
    let none = refusal(auth.authenticate(None, None).await);
    assert_eq!(
        none,
        (Code::Unauthenticated, "give a token or an API key".to_owned())
    );
    for header in [
        String::new(),
        " ".to_owned(),
        "Bearer".to_owned(),
        "Bearer ".to_owned(),
        "Basic YWxpY2U6YWxpY2U=".to_owned(),
        format!("Token {token}"),
        token.clone(),
        key.to_owned(),
        format!("Bearer: {token}"),
        format!("Bearer {token} {token}"),
        format!("Bearer {token},{token}"),
        format!("Bearer {key}{key}"),
    ] {
        let (code, detail) = refusal(auth.authenticate(Some(&header), None).await);
        assert_eq!(code, Code::Unauthenticated, "{header}");
        assert!(
            !detail.contains(&token[..20]) && !detail.contains(&key[..20]),
            "{detail}"
        );
    }
    for header in ["", " ", "lpk_", &token, &bearer] {
        let (code, detail) = refusal(auth.authenticate(None, Some(header)).await);
        assert_eq!(
            (code, detail.as_str()),
            (
                Code::Unauthenticated,
                "the API key is not valid: it may be mistyped, or of another server"
            )
        );
    }
}

#[tokio::test]
async fn only_what_is_configured_is_accepted() {
    let store = store().await;
    let key = create(&store, |_| ()).await;
    let (key, bearer) = (key.secret.expose_secret(), format!("Bearer {}", token()));
    let tokens = build(Some(jwt()), false, &store).await;
    assert!(tokens.authenticate(Some(&bearer), None).await.is_ok());
    let refused = refusal(tokens.authenticate(None, Some(key)).await);
    assert_eq!(
        refused,
        (
            Code::Unauthenticated,
            "API keys are not accepted here; send a token in `Authorization: Bearer`".to_owned()
        )
    );
    let keys = build(None, true, &store).await;
    assert!(keys.authenticate(None, Some(key)).await.is_ok());
    let refused = refusal(keys.authenticate(Some(&bearer), None).await);
    assert_eq!(
        refused,
        (
            Code::Unauthenticated,
            "tokens are not accepted here; send an API key in `X-API-Key`".to_owned()
        )
    );
    assert!(!format!("{tokens:?}").contains(SECRET));
}

#[tokio::test]
async fn keys_are_rotated_expire_and_are_revoked() {
    let store = store().await;
    let auth = build(None, true, &store).await;
    let ask = async |key: &Generated| {
        auth.forget_key(&key.id);
        auth.authenticate(None, Some(key.secret.expose_secret())).await
    };
    let said = |result| refusal(result).1;

    let old = create(&store, |_| ()).await;
    assert!(ask(&old).await.is_ok());
    let new = generate_for(&old.id).unwrap();
    let rotate = |until| KeyChange::Rotate {
        id: old.id.clone(),
        hash: new.hash,
        previous_until_ms: until,
        expires_ms: None,
        at_ms: now_ms(),
        by: "alice".to_owned(),
        owner: None,
        most: 0,
    };
    change(&store, rotate(now_ms() + 600_000)).await;
    assert!(
        ask(&old).await.is_ok() && ask(&new).await.is_ok(),
        "both are good for a while"
    );
    // Another one, whose while is over.
    let old = create(&store, |_| ()).await;
    let new = generate_for(&old.id).unwrap();
    let rotate = KeyChange::Rotate {
        id: old.id.clone(),
        hash: new.hash,
        previous_until_ms: now_ms() - 1,
        expires_ms: None,
        at_ms: now_ms(),
        by: "admin".to_owned(),
        owner: None,
        most: 0,
    };
    change(&store, rotate).await;
    assert_eq!(said(ask(&old).await), "the API key was replaced by a new one");
    assert!(ask(&new).await.is_ok());
    let stranger = generate_for(&old.id).unwrap();
    assert_eq!(
        said(ask(&stranger).await),
        "the API key is not valid: it may be mistyped, or of another server"
    );

    let revoke = KeyChange::Revoke {
        id: old.id.clone(),
        at_ms: now_ms(),
    };
    change(&store, revoke).await;
    assert_eq!(said(ask(&new).await), "the API key was revoked");
    assert_eq!(
        said(ask(&stranger).await),
        "the API key is not valid: it may be mistyped, or of another server"
    );

    let expired = create(&store, |key| key.expires_ms = Some(now_ms() - 1)).await;
    assert_eq!(said(ask(&expired).await), "the API key has expired");
    // Without being forgotten, too: the time of a record in memory is looked at every time.
    let mut short = expired;
    for life in [500, 5_000, 50_000] {
        short = create(&store, |key| key.expires_ms = Some(now_ms() + life)).await;
        if ask(&short).await.is_ok() {
            break;
        }
        // The machine was away for as long as that.
    }
    let cached = loop {
        let cached = auth.authenticate(None, Some(short.secret.expose_secret())).await;
        if cached.is_err() {
            break cached;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    assert_eq!(said(cached), "the API key has expired");
}

#[tokio::test]
async fn without_the_database_keys_do_not_pass_and_tokens_do() {
    let store = store().await;
    let auth = build(Some(jwt()), true, &store).await;
    let key = create(&store, |_| ()).await;
    store.close().await;
    let error = auth
        .authenticate(None, Some(key.secret.expose_secret()))
        .await
        .unwrap_err();
    assert_eq!(error.code, Code::StoreUnavailable);
    assert!(error.retry_after.is_some());
    let bearer = format!("Bearer {}", token());
    assert!(auth.authenticate(Some(&bearer), None).await.is_ok());
}

#[tokio::test]
async fn an_issuer_that_never_answered_is_a_fault_of_the_server_not_of_the_caller() {
    let closed = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let config = config::Jwt {
        algorithm: None,
        keys: JwtKeys::JwksUrl(
            policy_server::settings::Url::parse(&format!("http://{closed}/jwks.json")).unwrap(),
        ),
        ..jwt()
    };
    let auth = build(Some(config), false, &store().await).await;
    // Its header names RS256 and a key.
    let token = "eyJhbGciOiJSUzI1NiIsImtpZCI6ImsifQ.e30.AAAA";
    let error = auth
        .authenticate(Some(&format!("Bearer {token}")), None)
        .await
        .unwrap_err();
    assert_eq!(error.code, Code::NotReady);
    assert!(error.retry_after.is_some());
}
