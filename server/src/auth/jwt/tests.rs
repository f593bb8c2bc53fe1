//! Every way that a token can be bad, with what it gets; tokens of every algorithm that pass; what claims give.

use super::*;
use crate::auth::fixtures::{
    Pair, RSA_PUBLIC, b64, claims, claims_at, hs256, key_set, now, raw_token, token,
};
use proptest::prelude::*;
use serde_json::json;
use std::io::Write as _;
use tempfile::NamedTempFile;

/// Seconds that pass in no test.
const FAR: i64 = 24 * 3600;

const SECRET: &str = "a secret of the tests, with more than 32 bytes";

fn config(keys: config::JwtKeys, algorithm: Option<config::Algorithm>) -> config::Jwt {
    config::Jwt {
        algorithm,
        keys,
        issuer: "issuer".to_owned(),
        audience: "audience".to_owned(),
        life: Duration::from_secs(3600),
        require_namespaces: false,
    }
}

fn secret_config() -> config::Jwt {
    config(secrets(SECRET, None), Some(config::Algorithm::Hs256))
}

fn secrets(current: &str, previous: Option<&str>) -> config::JwtKeys {
    config::JwtKeys::Secret {
        current: SecretString::from(current),
        previous: previous.map(SecretString::from),
    }
}

fn file(content: impl AsRef<[u8]>) -> NamedTempFile {
    let mut file = NamedTempFile::new().unwrap();
    file.write_all(content.as_ref()).unwrap();
    file
}

async fn hs() -> Tokens {
    Tokens::build(&secret_config()).await.unwrap()
}

fn header() -> Value {
    json!({"typ": "JWT", "alg": "HS256"})
}

/// A token that is right but for these claims.
fn with(change: Value) -> String {
    token(&header(), &claims(change), hs256(SECRET))
}

/// The token with one part replaced.
fn replaced(token: &str, part: usize, with: &str) -> String {
    let mut parts: Vec<&str> = token.split('.').collect();
    parts[part] = with;
    parts.join(".")
}

fn missing(claim: &str) -> TokenError {
    TokenError::Missing(claim.to_owned())
}

fn claim(claim: &str) -> TokenError {
    TokenError::Claim(claim.to_owned())
}

#[tokio::test]
async fn every_bad_token_is_refused_for_its_reason() {
    use TokenError as E;
    let tokens = hs().await;
    // One second for all of them, and distances from it that no slow machine makes up for.
    let now = now();
    let claims = |change| claims_at(now, change);
    let with = |change| token(&header(), &claims(change), hs256(SECRET));
    let headed = |header| token(&header, &claims(json!({})), hs256(SECRET));
    let good = with(json!({}));
    assert!(tokens.verify(&good).await.is_ok());
    let signature = good.rsplit('.').next().unwrap();
    let body = claims(json!({})).to_string();
    let later = now + 3600;
    let rows: Vec<(&str, String, TokenError)> = vec![
        // Shape.
        ("empty", String::new(), E::Malformed),
        ("one part", "token".to_owned(), E::Malformed),
        ("dots only", "..".to_owned(), E::Malformed),
        (
            "two parts",
            good.rsplit_once('.').unwrap().0.to_owned(),
            E::Malformed,
        ),
        ("four parts", format!("{good}.{signature}"), E::Malformed),
        ("header is not base64", replaced(&good, 0, "{}"), E::Malformed),
        (
            "header is not JSON",
            replaced(&good, 0, &b64("alg")),
            E::Malformed,
        ),
        (
            "header has no algorithm",
            headed(json!({"typ": "JWT"})),
            E::Malformed,
        ),
        ("header is a list", headed(json!(["HS256"])), E::Malformed),
        (
            "header with padding",
            replaced(&good, 0, &format!("{}==", b64("{}x"))),
            E::Malformed,
        ),
        (
            "claims are not JSON",
            raw_token(&header().to_string(), "sub=alice", hs256(SECRET)),
            E::Malformed,
        ),
        (
            "claims are a list",
            raw_token(&header().to_string(), "[]", hs256(SECRET)),
            E::Malformed,
        ),
        (
            "a claim twice",
            raw_token(
                &header().to_string(),
                &body.replace('{', r#"{"exp":99999999999,"#),
                hs256(SECRET),
            ),
            E::Malformed,
        ),
        (
            "huge",
            with(json!({"x": "x".repeat(MAX_TOKEN_BYTES)})),
            E::TooLong,
        ),
        ("huge rubbish", "x".repeat(10_000_000), E::TooLong),
        // Algorithm.
        (
            "none, unsigned",
            token(&json!({"alg": "none"}), &claims(json!({})), |_| Vec::new()),
            E::Malformed,
        ),
        (
            "None, unsigned",
            token(&json!({"alg": "None"}), &claims(json!({})), |_| Vec::new()),
            E::Malformed,
        ),
        ("none, signed", headed(json!({"alg": "none"})), E::Malformed),
        ("empty algorithm", headed(json!({"alg": ""})), E::Malformed),
        ("small letters", headed(json!({"alg": "hs256"})), E::Malformed),
        ("HS384", headed(json!({"alg": "HS384"})), E::Algorithm),
        ("HS512", headed(json!({"alg": "HS512"})), E::Algorithm),
        (
            "RS256 in name only",
            headed(json!({"alg": "RS256"})),
            E::Algorithm,
        ),
        (
            "RS256 for real",
            Pair::rsa().token(None, &claims(json!({}))),
            E::Algorithm,
        ),
        (
            "an extension",
            headed(json!({"alg": "HS256", "crit": ["b64"], "b64": false})),
            E::Critical,
        ),
        (
            "crit of nothing",
            headed(json!({"alg": "HS256", "crit": []})),
            E::Critical,
        ),
        // Signature.
        (
            "another secret",
            token(
                &header(),
                &claims(json!({})),
                hs256("another secret of 32 bytes, or more"),
            ),
            E::Signature,
        ),
        (
            "no secret",
            token(&header(), &claims(json!({})), hs256("")),
            E::Signature,
        ),
        ("no signature", replaced(&good, 2, ""), E::Signature),
        (
            "signature cut",
            replaced(&good, 2, &signature[..40]),
            E::Signature,
        ),
        (
            "signature of zeros",
            replaced(&good, 2, &b64([0; 32])),
            E::Signature,
        ),
        (
            "other spelling of the signature",
            format!("{}{}", &good[..good.len() - 1], other_spelling(&good)),
            E::Malformed,
        ),
        (
            "changed claims",
            replaced(&good, 1, &b64(claims(json!({"sub": "root"})).to_string())),
            E::Signature,
        ),
        (
            "changed header",
            replaced(&good, 0, &b64(json!({"alg": "HS256", "kid": "x"}).to_string())),
            E::Signature,
        ),
        ("cut", good[..good.len() - 23].to_owned(), E::Signature),
        // Times.
        (
            "expired",
            with(json!({"iat": now - 700, "exp": now - 60})),
            E::Expired,
        ),
        ("expired long ago", with(json!({"iat": 0, "exp": 1})), E::Expired),
        ("no exp", with(json!({"exp": null})), missing("exp")),
        (
            "exp as text",
            with(json!({"exp": later.to_string()})),
            missing("exp"),
        ),
        ("exp below zero", with(json!({"exp": -1})), missing("exp")),
        (
            "exp without end",
            raw_token(
                &header().to_string(),
                &body.replace(&(now + 600).to_string(), "1e400"),
                hs256(SECRET),
            ),
            E::Malformed,
        ),
        ("not yet valid", with(json!({"nbf": now + FAR})), E::NotYetValid),
        ("nbf as text", with(json!({"nbf": "now"})), claim("nbf")),
        (
            "issued later",
            with(json!({"iat": now + FAR, "exp": now + FAR + 600})),
            E::NotYetValid,
        ),
        ("iat as text", with(json!({"iat": "now"})), claim("iat")),
        ("iat below zero", with(json!({"iat": -1})), claim("iat")),
        ("lives too long", with(json!({"exp": now + 3601})), E::Life),
        // Issuer, audience, subject.
        ("another issuer", with(json!({"iss": "somebody"})), E::Issuer),
        ("no issuer", with(json!({"iss": null})), missing("iss")),
        ("empty issuer", with(json!({"iss": ""})), E::Issuer),
        ("issuer in a list", with(json!({"iss": ["issuer"]})), E::Issuer),
        ("issuer and more", with(json!({"iss": "issuer/"})), E::Issuer),
        ("another audience", with(json!({"aud": "somebody"})), E::Audience),
        ("other audiences", with(json!({"aud": ["a", "b"]})), E::Audience),
        ("no audience", with(json!({"aud": null})), missing("aud")),
        ("audience of nobody", with(json!({"aud": []})), E::Audience),
        ("audience as a number", with(json!({"aud": 1})), missing("aud")),
        ("no subject", with(json!({"sub": null})), missing("sub")),
        ("empty subject", with(json!({"sub": ""})), claim("sub")),
        ("subject as a number", with(json!({"sub": 7})), missing("sub")),
        (
            "subject of two lines",
            with(json!({"sub": "alice\nadmin"})),
            claim("sub"),
        ),
        (
            "long subject",
            with(json!({"sub": "a".repeat(257)})),
            claim("sub"),
        ),
        (
            "subject of a key",
            with(json!({"sub": "gateway (key 0123456789abcdef)"})),
            claim("sub"),
        ),
        (
            "subject of the command line",
            with(json!({"sub": "operator"})),
            claim("sub"),
        ),
        (
            "subject of everybody",
            with(json!({"sub": "anonymous"})),
            claim("sub"),
        ),
        (
            "subject that looks like that of the command line",
            with(json!({"sub": "Operator"})),
            claim("sub"),
        ),
        (
            "subject with a blank at its end",
            with(json!({"sub": "operator "})),
            claim("sub"),
        ),
        (
            "subject with a blank at its beginning",
            with(json!({"sub": "\u{a0}alice"})),
            claim("sub"),
        ),
        (
            "subject with what nobody sees",
            with(json!({"sub": "ali\u{200b}ce"})),
            claim("sub"),
        ),
        (
            "subject that turns what stands behind it",
            with(json!({"sub": "alice\u{202e}"})),
            claim("sub"),
        ),
        (
            "subject that looks like that of a key",
            with(json!({"sub": "gateway (key 0123456789ABCDEF)"})),
            claim("sub"),
        ),
        // Rights.
        ("roles as a number", with(json!({"roles": 1})), claim("roles")),
        (
            "a role that is none",
            with(json!({"roles": ["admin", null]})),
            claim("roles"),
        ),
        (
            "role as an object",
            with(json!({"role": {"admin": true}})),
            claim("role"),
        ),
        ("scope as a flag", with(json!({"scope": true})), claim("scope")),
        (
            "scopes in a list in a list",
            with(json!({"scopes": [["policy:read"]]})),
            claim("scopes"),
        ),
        (
            "namespaces are null",
            raw_token(
                &header().to_string(),
                &body.replace('{', r#"{"namespaces":null,"#),
                hs256(SECRET),
            ),
            claim("namespaces"),
        ),
        (
            "a namespace without name",
            with(json!({"namespaces": ["a", ""]})),
            claim("namespaces"),
        ),
        (
            "a namespace that no policy can be of",
            with(json!({"namespaces": ["a\u{0}"]})),
            claim("namespaces"),
        ),
        (
            "namespaces as an object",
            with(json!({"namespaces": {}})),
            claim("namespaces"),
        ),
        (
            "namespace as a list",
            with(json!({"namespace": ["a"]})),
            claim("namespace"),
        ),
        ("empty tenant", with(json!({"tenant": ""})), claim("tenant")),
    ];
    assert!(rows.len() >= 20);
    for (name, token, expected) in rows {
        let error = tokens.verify(&token).await.expect_err(name);
        assert_eq!(error, expected, "{name}");
        assert!(!error.to_string().contains(SECRET), "{name}");
    }
}

/// The last digit of a text in base64, with a bit changed that says nothing.
fn other_spelling(text: &str) -> char {
    let digits = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let last = text.bytes().next_back().unwrap();
    let at = digits.iter().position(|digit| *digit == last).unwrap();
    char::from(digits[at ^ 1])
}

#[tokio::test]
async fn a_public_key_is_never_a_secret() {
    let pair = Pair::rsa();
    let pem = file(RSA_PUBLIC);
    let jwks = file(key_set([pair.jwk("k")]));
    let der = pair.public();
    let good = claims(json!({}));
    for keys in [
        config::JwtKeys::PublicKey(pem.path().to_owned()),
        config::JwtKeys::JwksFile(jwks.path().to_owned()),
    ] {
        for only in [None, Some(config::Algorithm::Rs256)] {
            let keys = match &keys {
                config::JwtKeys::PublicKey(path) => config::JwtKeys::PublicKey(path.clone()),
                config::JwtKeys::JwksFile(path) => config::JwtKeys::JwksFile(path.clone()),
                config::JwtKeys::Secret { .. } | config::JwtKeys::JwksUrl(_) => unreachable!(),
            };
            let tokens = Tokens::build(&config(keys, only)).await.unwrap();
            assert!(tokens.verify(&pair.token(Some("k"), &good)).await.is_ok());
            let trimmed = String::from_utf8(RSA_PUBLIC.to_vec())
                .unwrap()
                .trim_end()
                .to_owned();
            for secret in [
                RSA_PUBLIC,
                trimmed.as_bytes(),
                &der,
                key_set([pair.jwk("k")]).as_bytes(),
            ] {
                for alg in ["HS256", "HS384", "HS512"] {
                    let forged = token(&json!({"alg": alg, "kid": "k"}), &good, hs256(secret));
                    assert_eq!(tokens.verify(&forged).await, Err(TokenError::Algorithm), "{alg}");
                    let renamed = token(&json!({"alg": "RS256", "kid": "k"}), &good, hs256(secret));
                    assert_eq!(tokens.verify(&renamed).await, Err(TokenError::Signature));
                }
            }
            for alg in ["ES256", "EdDSA", "PS256", "RS384", "RS512"] {
                let other = token(&json!({"alg": alg, "kid": "k"}), &good, |m| pair.sign(m));
                assert_eq!(tokens.verify(&other).await, Err(TokenError::Algorithm), "{alg}");
            }
        }
    }
}

#[tokio::test]
async fn every_algorithm_works_with_its_keys() {
    let (rsa, ec, ed) = (Pair::rsa(), Pair::ec(), Pair::ed());
    let set = file(key_set([rsa.jwk("r"), ec.jwk("c"), ed.jwk("d")]));
    let keys = || config::JwtKeys::JwksFile(set.path().to_owned());
    let good = claims(json!({}));
    let any = Tokens::build(&config(keys(), None)).await.unwrap();
    for (pair, kid) in [(&rsa, "r"), (&ec, "c"), (&ed, "d")] {
        let identity = any.verify(&pair.token(Some(kid), &good)).await.unwrap();
        assert_eq!(&*identity.subject, "alice");
        // A key of the set with the name of another, of no name, of a name that is not there.
        let other = if kid == "r" { "c" } else { "r" };
        let cases = [
            (Some(other), TokenError::Algorithm),
            (Some("x"), TokenError::UnknownKey),
            (None, TokenError::NoKeyId),
        ];
        for (kid, expected) in cases {
            assert_eq!(
                any.verify(&pair.token(kid, &good)).await,
                Err(expected),
                "{}",
                pair.alg()
            );
        }
        // Somebody else's key under the name.
        let stranger = match pair {
            Pair::Rsa(_) => continue,
            Pair::Ec(_) => Pair::ec(),
            Pair::Ed(_) => Pair::ed(),
        };
        assert_eq!(
            any.verify(&stranger.token(Some(kid), &good)).await,
            Err(TokenError::Signature)
        );
        // The token brings its own key along.
        let header = json!({"alg": stranger.alg(), "kid": kid, "jwk": stranger.jwk(kid)});
        let own = token(&header, &good, |m| stranger.sign(m));
        assert!(any.verify(&own).await.is_err());
    }
    let only = Tokens::build(&config(keys(), Some(config::Algorithm::Es256)))
        .await
        .unwrap();
    assert!(only.verify(&ec.token(Some("c"), &good)).await.is_ok());
    assert_eq!(
        only.verify(&rsa.token(Some("r"), &good)).await,
        Err(TokenError::Algorithm)
    );
    assert_eq!(
        only.verify(&ed.token(Some("d"), &good)).await,
        Err(TokenError::Algorithm)
    );
}

#[tokio::test]
async fn pem_files_of_every_kind_work() {
    let (ec, ed) = (
        rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap(),
        rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap(),
    );
    let cases = [
        (
            Pair::rsa(),
            String::from_utf8(RSA_PUBLIC.to_vec()).unwrap(),
            config::Algorithm::Rs256,
        ),
        (
            Pair::ec_of(ec.serialized_der()),
            ec.public_key_pem(),
            config::Algorithm::Es256,
        ),
        (
            Pair::ed_of(ed.serialized_der()),
            ed.public_key_pem(),
            config::Algorithm::EdDsa,
        ),
    ];
    for (pair, pem, algorithm) in cases {
        let pem = file(pem);
        let keys = || config::JwtKeys::PublicKey(pem.path().to_owned());
        let tokens = Tokens::build(&config(keys(), Some(algorithm))).await.unwrap();
        for kid in [None, Some("whatever")] {
            let identity = tokens.verify(&pair.token(kid, &claims(json!({})))).await;
            assert!(identity.is_ok(), "{} {identity:?}", pair.alg());
        }
        let wrong = match algorithm {
            config::Algorithm::Rs256 => config::Algorithm::EdDsa,
            config::Algorithm::Hs256 | config::Algorithm::Es256 | config::Algorithm::EdDsa => {
                config::Algorithm::Rs256
            }
        };
        for algorithm in [wrong, config::Algorithm::Hs256] {
            assert!(Tokens::build(&config(keys(), Some(algorithm))).await.is_err());
        }
    }
}

#[tokio::test]
async fn honest_tokens_of_many_kinds_pass() {
    let tokens = hs().await;
    let now = now();
    for (name, change) in [
        ("several audiences", json!({"aud": ["other", "audience"]})),
        ("valid since", json!({"nbf": now - 5})),
        (
            "clock of the issuer a little ahead",
            json!({"nbf": now + 20, "iat": now + 20}),
        ),
        ("expired within the leeway", json!({"exp": now - 1})),
        (
            "times with fractions",
            json!({"exp": now as f64 + 60.5, "iat": now as f64 - 0.5}),
        ),
        ("the longest life", json!({"exp": now + 3600})),
        ("no iat, long life", json!({"iat": null, "exp": now + 1_000_000})),
        ("no rights", json!({"roles": null})),
        (
            "claims of others",
            json!({"email": "a@b", "groups": [1, 2], "x": {"y": null}}),
        ),
    ] {
        let token = token(&header(), &claims_at(now, change), hs256(SECRET));
        let identity = tokens.verify(&token).await;
        assert!(identity.is_ok(), "{name}: {identity:?}");
    }
}

#[tokio::test]
async fn claims_give_rights_and_namespaces() {
    let tokens = hs().await;
    let rights = |names: &[Scope]| names.iter().copied().collect::<Scopes>();
    let (read, audit, evaluate, approve) = (Scope::Read, Scope::Audit, Scope::Evaluate, Scope::Approve);
    for (change, scopes, namespaces) in [
        (json!({"roles": ["evaluator"]}), rights(&[evaluate]), None),
        (
            json!({"roles": "auditor, evaluator"}),
            rights(&[read, audit, evaluate]),
            None,
        ),
        (
            json!({"roles": "auditor evaluator"}),
            rights(&[read, audit, evaluate]),
            None,
        ),
        (
            json!({"roles": ["evaluator"], "role": "auditor"}),
            rights(&[read, audit, evaluate]),
            None,
        ),
        (
            json!({"roles": ["evaluator"], "scope": "policy:approve audit:read"}),
            rights(&[evaluate, approve, audit]),
            None,
        ),
        (
            json!({"roles": null, "scopes": ["policy:approve"]}),
            rights(&[approve]),
            None,
        ),
        (
            json!({"roles": ["root", "Admin", "admin "], "scope": "* policy:*"}),
            Scopes::NONE,
            None,
        ),
        (
            json!({"roles": [], "namespaces": ["a", "b"]}),
            Scopes::NONE,
            Some(vec!["a", "b"]),
        ),
        (json!({"roles": [], "namespaces": []}), Scopes::NONE, Some(vec![])),
        (
            json!({"roles": [], "namespace": "a b"}),
            Scopes::NONE,
            Some(vec!["a b"]),
        ),
        (json!({"roles": [], "tenant": "t"}), Scopes::NONE, Some(vec!["t"])),
        (
            json!({"roles": [], "namespaces": ["a"], "tenant": "t"}),
            Scopes::NONE,
            Some(vec!["a"]),
        ),
    ] {
        let identity = tokens.verify(&with(change.clone())).await.unwrap();
        assert_eq!(identity.scopes, scopes, "{change}");
        assert_eq!(identity.proof, Proof::Token);
        let found = identity
            .namespaces
            .as_deref()
            .map(|list| list.iter().map(String::as_str).collect());
        assert_eq!(found, namespaces, "{change}");
    }
}

#[tokio::test]
async fn a_token_may_have_to_say_its_namespaces() {
    let config = config::Jwt {
        require_namespaces: true,
        ..secret_config()
    };
    let tokens = Tokens::build(&config).await.unwrap();
    let unbound = tokens.verify(&with(json!({"roles": ["admin"]}))).await;
    assert_eq!(unbound.unwrap_err(), missing("namespaces"));
    for (claim, own) in [
        (json!({"namespaces": ["a"]}), Some("a")),
        (json!({"namespace": "a"}), Some("a")),
        (json!({"tenant": "a"}), Some("a")),
        (json!({"namespaces": []}), None),
        // No name stands for all of them.
        (json!({"namespaces": ["*"]}), Some("*")),
    ] {
        let identity = tokens.verify(&with(claim.clone())).await.unwrap();
        let found = identity
            .namespaces
            .as_deref()
            .unwrap()
            .first()
            .map(String::as_str);
        assert_eq!(found, own, "{claim}");
        assert!(!identity.may_touch("b"));
    }
    let hour = Duration::from_secs(3600);
    let made = issue(&config, "dev", &[Role::Author], None, hour).unwrap_err();
    assert_eq!(made, AuthError::Token(missing("namespaces")));
    assert!(issue(&config, "dev", &[Role::Author], Some(&["a".to_owned()]), hour).is_ok());
}

#[tokio::test]
async fn tokens_that_are_made_here_pass_here() {
    let config = secret_config();
    let namespaces = ["a".to_owned()];
    let hour = Duration::from_secs(3600);
    let token = issue(&config, "dev", &[Role::Author], Some(&namespaces), hour).unwrap();
    let identity = hs().await.verify(token.expose_secret()).await.unwrap();
    assert_eq!(&*identity.subject, "dev");
    assert_eq!(identity.scopes, Role::Author.scopes());
    assert!(identity.may_touch("a") && !identity.may_touch("b"));
    assert!(!format!("{token:?}").contains(token.expose_secret()));
    let life = |life| issue(&config, "dev", &[], None, life);
    assert_eq!(life(hour * 2).unwrap_err(), AuthError::Token(TokenError::Life));
    assert_eq!(
        life(Duration::ZERO).unwrap_err(),
        AuthError::Token(TokenError::Life)
    );
    assert_eq!(
        issue(&config, "", &[], None, hour).unwrap_err(),
        AuthError::Token(claim("sub"))
    );
    let many: Vec<String> = (0..2000).map(|n| format!("namespace-{n}")).collect();
    assert_eq!(
        issue(&config, "dev", &[], Some(&many), hour).unwrap_err(),
        AuthError::Token(TokenError::TooLong)
    );
}

#[tokio::test]
async fn a_remembered_token_dies_with_its_time_and_with_its_key() {
    let tokens = hs().await;
    // A second before the leeway is over, or a few more where that passes before the token is looked at.
    let mut late = String::new();
    for ago in [28, 25, 15] {
        late = with(json!({"iat": now() - 600, "exp": now() - ago}));
        if tokens.verify(&late).await.is_ok() {
            break;
        }
    }
    assert_eq!(tokens.known.len(), 1);
    for part in 0..3 {
        let other = replaced(&late, part, &b64("{}"));
        assert!(tokens.verify(&other).await.is_err());
    }
    assert_eq!(tokens.known.len(), 1, "only good tokens are remembered");
    let start = std::time::Instant::now();
    while tokens.verify(&late).await.is_ok() {
        assert!(start.elapsed() < Duration::from_secs(60));
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(tokens.verify(&late).await, Err(TokenError::Expired));

    let (old, new) = (Pair::ec(), Pair::ec());
    let set = file(key_set([old.jwk("k")]));
    let keys = config::JwtKeys::JwksFile(set.path().to_owned());
    let tokens = Tokens::build(&config(keys, None)).await.unwrap();
    let token = old.token(Some("k"), &claims(json!({})));
    assert!(tokens.verify(&token).await.is_ok());
    // Another key under the same name.
    std::fs::write(set.path(), key_set([new.jwk("k")])).unwrap();
    let start = std::time::Instant::now();
    while tokens.verify(&token).await.is_ok() {
        assert!(start.elapsed() < Duration::from_secs(60));
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(tokens.verify(&token).await, Err(TokenError::Signature));
    assert!(
        tokens
            .verify(&new.token(Some("k"), &claims(json!({}))))
            .await
            .is_ok()
    );
}

#[tokio::test]
async fn tokens_of_two_secrets_pass_and_those_of_one_that_is_gone_do_not() {
    const NEXT: &str = "another secret of the tests, of 32 bytes and more";
    const THIRD: &str = "a third secret of the tests, with more than 32 bytes";
    let jwt = |current, previous| config(secrets(current, previous), None);
    let of = |secret: &str, who: &str| token(&header(), &claims(json!({"sub": who})), hs256(secret));
    let (old, new, third) = (of(SECRET, "ann"), of(NEXT, "bob"), of(THIRD, "eve"));
    let tokens = Tokens::build(&jwt(SECRET, None)).await.unwrap();
    assert!(tokens.verify(&old).await.is_ok() && tokens.is_known(&old));
    assert_eq!(tokens.verify(&new).await, Err(TokenError::Signature));

    tokens.replace_secrets(&jwt(NEXT, Some(SECRET))).unwrap();
    assert!(tokens.is_known(&old), "the secret is still accepted");
    for (token, who) in [(&old, "ann"), (&new, "bob"), (&old, "ann")] {
        assert_eq!(&*tokens.verify(token).await.unwrap().subject, who);
    }
    assert_eq!(tokens.verify(&third).await, Err(TokenError::Signature));
    // What is wrong beside the signature is told of the other secret too.
    let expired = |secret| {
        let claims = claims(json!({"iat": now() - FAR - 60, "exp": now() - FAR}));
        token(&header(), &claims, hs256(secret))
    };
    for secret in [SECRET, NEXT] {
        assert_eq!(tokens.verify(&expired(secret)).await, Err(TokenError::Expired));
    }
    assert_eq!(tokens.verify(&expired(THIRD)).await, Err(TokenError::Signature));

    // Remembered or not, it is refused at once.
    tokens.replace_secrets(&jwt(NEXT, None)).unwrap();
    assert!(!tokens.is_known(&old) && tokens.is_known(&new));
    assert_eq!(tokens.verify(&old).await, Err(TokenError::Signature));
    assert!(tokens.verify(&new).await.is_ok());

    // What is no good replaces nothing.
    assert_eq!(
        tokens.replace_secrets(&jwt(THIRD, Some("short"))).unwrap_err(),
        AuthError::SecretTooShort
    );
    let public = config(config::JwtKeys::PublicKey("x.pem".into()), None);
    assert!(tokens.replace_secrets(&public).is_err());
    assert!(tokens.verify(&new).await.is_ok());
    assert_eq!(tokens.verify(&third).await, Err(TokenError::Signature));

    // Ours are made with the first.
    let both = jwt(NEXT, Some(SECRET));
    let made = issue(&both, "ann", &[], None, Duration::from_secs(60)).unwrap();
    assert!(tokens.verify(made.expose_secret()).await.is_ok());
    assert!(Tokens::build(&jwt(SECRET, Some("short"))).await.is_err());
}

#[tokio::test]
async fn keys_that_do_not_fit_stop_the_start() {
    let short = config(secrets(&"x".repeat(31), None), None);
    assert_eq!(
        Tokens::build(&short).await.unwrap_err(),
        AuthError::SecretTooShort
    );
    let hour = Duration::from_secs(1);
    assert_eq!(
        issue(&short, "a", &[], None, hour).unwrap_err(),
        AuthError::SecretTooShort
    );
    let other = config(secrets(SECRET, None), Some(config::Algorithm::Rs256));
    assert!(matches!(
        Tokens::build(&other).await,
        Err(AuthError::Algorithm(_))
    ));
    let public = config(config::JwtKeys::PublicKey("nowhere.pem".into()), None);
    assert!(matches!(
        Tokens::build(&public).await,
        Err(AuthError::Keys { .. })
    ));
    assert!(matches!(
        issue(&public, "a", &[], None, hour),
        Err(AuthError::Algorithm(_))
    ));
}

/// Words of claims: real roles and scopes, and rubbish.
fn words() -> impl Strategy<Value = Vec<String>> {
    let known: Vec<String> = Role::ALL
        .iter()
        .map(|role| role.as_str().to_owned())
        .chain(Scope::ALL.iter().map(|scope| scope.as_str().to_owned()))
        .collect();
    let word = prop_oneof![3 => proptest::sample::select(known), 1 => "[a-z:*.]{0,8}"];
    proptest::collection::vec(word, 0..6)
}

fn give(roles: &[String], scopes: &[String]) -> Scopes {
    granted(
        roles.iter().map(String::as_str),
        scopes.iter().map(String::as_str),
    )
}

proptest! {
    #[test]
    fn rights_are_a_union(a in words(), b in words(), c in words(), d in words()) {
        let (both_roles, both_scopes) = ([a.clone(), b.clone()].concat(), [c.clone(), d.clone()].concat());
        let together = give(&both_roles, &both_scopes);
        // Of the parts, in any order, counted once or often.
        prop_assert_eq!(together, give(&a, &c).with(give(&b, &d)));
        prop_assert_eq!(together, give(&a, &[]).with(give(&[], &c)).with(give(&b, &d)));
        let reversed: Vec<String> = both_roles.iter().rev().cloned().collect();
        prop_assert_eq!(together, give(&reversed, &both_scopes));
        prop_assert_eq!(together, give(&[both_roles.clone(), a.clone()].concat(), &both_scopes));
        prop_assert_eq!(together.with(together), together);
        // More words never take anything away.
        prop_assert_eq!(together.and(give(&a, &c)), give(&a, &c));
        // Nothing comes from nowhere: each right is named, or in a role that is.
        for scope in together.iter() {
            let named = both_scopes.iter().any(|word| word == scope.as_str());
            let in_role = both_roles.iter().filter_map(|word| Role::parse(word)).any(|role| role.scopes().has(scope));
            prop_assert!(named || in_role);
        }
    }

    #[test]
    fn no_text_is_a_token(text in "\\PC{0,200}", parts in proptest::collection::vec("[A-Za-z0-9_-]{0,40}", 0..5)) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let tokens = hs().await;
            assert!(tokens.verify(&text).await.is_err());
            assert!(tokens.verify(&parts.join(".")).await.is_err());
        });
    }
}
