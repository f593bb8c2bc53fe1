//! Keys from files and from an issuer on loopback: which are taken, and what a change, a failure or an attack does.

use super::*;
use crate::auth::fixtures::{P384_PUBLIC, Pair, RSA_KEY, RSA_PUBLIC, RSA_SHORT, b64, key_set};
use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::get;
use serde_json::{Value, json};
use std::io::Write as _;
use std::sync::Mutex as StdMutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use tempfile::NamedTempFile;

const FAST: Pace = Pace {
    poll: Duration::from_millis(20),
    demand: Duration::from_millis(50),
};

/// Never by the clock.
const ON_DEMAND: Pace = Pace {
    poll: Duration::from_secs(3600),
    demand: Duration::from_millis(200),
};

fn file(content: impl AsRef<[u8]>) -> NamedTempFile {
    let mut file = NamedTempFile::new().unwrap();
    file.write_all(content.as_ref()).unwrap();
    file
}

/// Replaces a file at once, as a mounted secret is.
fn replace(file: &NamedTempFile, content: &str) {
    let new = file.path().with_extension("new");
    std::fs::write(&new, content).unwrap();
    std::fs::rename(&new, file.path()).unwrap();
}

async fn eventually(what: &str, done: impl Fn() -> bool) {
    for _ in 0..250 {
        if done() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("{what} did not happen");
}

#[test]
fn only_sound_public_keys_are_taken_from_a_set() {
    let (rsa, ec, ed) = (Pair::rsa().jwk("r"), Pair::ec().jwk("c"), Pair::ed().jwk("d"));
    let changed = |key: &Value, member: &str, value: Value| {
        let mut key = key.clone();
        key[member] = value;
        key
    };
    let short = b64(vec![0xff; 128]);
    let rows = [
        ("RSA", rsa.clone(), true),
        ("P-256", ec.clone(), true),
        ("Ed25519", ed.clone(), true),
        ("no use", changed(&rsa, "use", Value::Null), true),
        ("to verify", changed(&ec, "key_ops", json!(["verify"])), true),
        ("members of others", changed(&ed, "x5c", json!(["…"])), true),
        ("RSA with leading zero", changed(&rsa, "e", json!("AAEAAQ")), true),
        (
            "a shared secret",
            json!({"kty": "oct", "kid": "s", "k": b64([7; 32])}),
            false,
        ),
        (
            "a shared secret for HS256",
            json!({"kty": "oct", "kid": "s", "alg": "HS256", "k": b64([7; 32])}),
            false,
        ),
        ("a private key", changed(&rsa, "d", json!("AQAB")), false),
        ("RSA of 1024 bits", changed(&rsa, "n", json!(short)), false),
        (
            "RSA of 1024 bits with zeros in front",
            changed(&rsa, "n", json!(b64([vec![0; 256], vec![0xff; 128]].concat()))),
            false,
        ),
        ("RSA without modulus", changed(&rsa, "n", json!("")), false),
        ("RSA with exponent 1", changed(&rsa, "e", json!("AQ")), false),
        (
            "RSA with an even exponent",
            changed(&rsa, "e", json!("AQAC")),
            false,
        ),
        ("RSA for encryption", changed(&rsa, "use", json!("enc")), false),
        ("to sign", changed(&ec, "key_ops", json!(["sign"])), false),
        ("RSA for PSS", changed(&rsa, "alg", json!("PS256")), false),
        ("RSA that says HS256", changed(&rsa, "alg", json!("HS256")), false),
        (
            "P-256 that says RS256",
            changed(&ec, "alg", json!("RS256")),
            false,
        ),
        ("P-384", changed(&ec, "crv", json!("P-384")), false),
        ("secp256k1", changed(&ec, "crv", json!("secp256k1")), false),
        ("half a point", changed(&ec, "y", Value::Null), false),
        ("a short point", changed(&ec, "x", json!("AQAB")), false),
        ("X25519", changed(&ed, "crv", json!("X25519")), false),
        ("a short Ed25519 point", changed(&ed, "x", json!("AQAB")), false),
        ("not base64url", changed(&ed, "x", json!("+/+/")), false),
        ("no type", json!({"kid": "x"}), false),
        ("no object", json!(7), false),
    ];
    for (name, key, taken) in rows {
        let keys = set_keys(key_set([key]).as_bytes()).unwrap();
        assert_eq!(keys.len(), usize::from(taken), "{name}");
    }
    // A bad key does not take the good ones along; of two with one name the first counts.
    let other = Pair::ec().jwk("r");
    let set = key_set([json!({"kty": "oct", "k": "AA"}), rsa, other, ed]);
    let names: Vec<_> = set_keys(set.as_bytes())
        .unwrap()
        .into_iter()
        .map(|key| (key.kid.unwrap(), key.algorithm))
        .collect();
    assert_eq!(
        names,
        [
            ("r".to_owned(), Algorithm::RS256),
            ("d".to_owned(), Algorithm::EdDSA)
        ]
    );
    for text in ["", "[]", "{}", r#"{"keys": {}}"#, "<html>"] {
        assert!(set_keys(text.as_bytes()).is_err(), "{text}");
    }
}

#[test]
fn only_sound_public_keys_are_taken_from_pem() {
    assert_eq!(pem_key(RSA_PUBLIC).unwrap().algorithm, Algorithm::RS256);
    let certificate = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    for (name, pem) in [
        ("short RSA", RSA_SHORT),
        ("P-384", P384_PUBLIC),
        ("private key", RSA_KEY),
        ("certificate", certificate.cert.pem().as_bytes()),
        ("nothing", b""),
        (
            "rubbish",
            b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n",
        ),
    ] {
        assert!(pem_key(pem).is_err(), "{name}");
    }
    // Damaged anywhere, it is refused or another key; it never panics.
    let (_, der) = <(SectionKind, Vec<u8>)>::from_pem_slice(RSA_PUBLIC).unwrap();
    for at in 0..der.len() {
        assert!(public_key_info(&der[..at]).is_err());
        for value in [0, 0x7f, 0x80, 0x84, 0xff] {
            let mut damaged = der.clone();
            damaged[at] = value;
            drop(public_key_info(&damaged));
        }
    }
}

#[tokio::test]
async fn a_changed_file_is_taken_and_a_broken_one_is_not() {
    let (old, new) = (Pair::ec(), Pair::ed());
    let file = file(key_set([old.jwk("old")]));
    let set = KeySet::with_pace(Source::File(file.path().to_owned()), None, FAST)
        .await
        .unwrap();
    assert!(set.find(Algorithm::ES256, Some("old")).is_ok());
    replace(&file, "{");
    tokio::time::sleep(FAST.poll * 5).await;
    assert!(set.key(Algorithm::ES256, Some("old")).await.is_ok());
    std::fs::remove_file(file.path()).unwrap();
    tokio::time::sleep(FAST.poll * 5).await;
    assert!(set.key(Algorithm::ES256, Some("old")).await.is_ok());
    replace(&file, &key_set([new.jwk("new")]));
    eventually("the new key", || set.find(Algorithm::EdDSA, Some("new")).is_ok()).await;
    assert!(set.key(Algorithm::ES256, Some("old")).await.is_err());
    // A set that says that there are no keys is no failure.
    replace(&file, &key_set([]));
    eventually("the end of keys", || {
        set.find(Algorithm::EdDSA, Some("new")).is_err()
    })
    .await;
}

#[tokio::test]
async fn a_file_without_a_key_stops_the_start() {
    let big = format!("{}{}", key_set([Pair::ec().jwk("k")]), " ".repeat(1024 * 1024));
    for content in [
        String::new(),
        key_set([]),
        key_set([json!({"kty": "oct", "k": "AA"})]),
        big,
    ] {
        let file = file(content);
        let source = Source::File(file.path().to_owned());
        assert!(matches!(
            KeySet::with_pace(source, None, FAST).await,
            Err(AuthError::Keys { .. })
        ));
    }
}

/// An issuer that serves what it is told, and counts.
#[derive(Clone, Default)]
struct Issuer {
    answer: Arc<StdMutex<(u16, String)>>,
    asked: Arc<AtomicUsize>,
}

impl Issuer {
    fn say(&self, status: u16, body: impl Into<String>) {
        *self.answer.lock().unwrap() = (status, body.into());
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }

    async fn serve(&self) -> Source {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/jwks.json", listener.local_addr().unwrap());
        let answer = async |State(issuer): State<Issuer>| {
            issuer.asked.fetch_add(1, Ordering::SeqCst);
            let (status, body) = issuer.answer.lock().unwrap().clone();
            let mut headers = HeaderMap::new();
            if status == 302 {
                headers.insert("location", "/jwks.json".parse().unwrap());
            }
            (StatusCode::from_u16(status).unwrap(), headers, body)
        };
        let router = Router::new()
            .route("/jwks.json", get(answer))
            .with_state(self.clone());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Source::Url(Url::parse(&url).unwrap())
    }
}

#[tokio::test]
async fn a_key_that_is_new_at_the_issuer_is_found_and_made_up_ones_do_not_ask_it() {
    let (first, second) = (Pair::ec(), Pair::ec());
    let issuer = Issuer::default();
    issuer.say(200, key_set([first.jwk("1")]));
    let set = KeySet::with_pace(issuer.serve().await, None, ON_DEMAND)
        .await
        .unwrap();
    assert_eq!(issuer.asked(), 1);
    for _ in 0..100 {
        assert!(set.key(Algorithm::ES256, Some("1")).await.is_ok());
    }
    assert_eq!(issuer.asked(), 1, "known keys do not ask");
    let start = std::time::Instant::now();
    for n in 0..100 {
        let made_up = set.key(Algorithm::ES256, Some(&format!("x{n}"))).await;
        assert_eq!(made_up.unwrap_err(), TokenError::UnknownKey);
    }
    // Once, and again for as often as the time between two questions passed.
    let most = 2 + (start.elapsed().as_millis() / ON_DEMAND.demand.as_millis()) as usize;
    assert!(issuer.asked() <= most, "asked {} times", issuer.asked());
    // The issuer rotates; the first token with the new key makes the set read again.
    issuer.say(200, key_set([first.jwk("1"), second.jwk("2")]));
    tokio::time::sleep(ON_DEMAND.demand).await;
    let before = issuer.asked();
    let tasks: Vec<_> = (0..20)
        .map(|_| {
            let set = Arc::clone(&set);
            tokio::spawn(async move { set.key(Algorithm::ES256, Some("2")).await.is_ok() })
        })
        .collect();
    for task in tasks {
        assert!(task.await.unwrap());
    }
    assert_eq!(issuer.asked(), before + 1, "one question for all that wait");
}

#[tokio::test]
async fn the_last_good_keys_outlive_an_issuer_in_trouble() {
    let pair = Pair::ed();
    let issuer = Issuer::default();
    issuer.say(200, key_set([pair.jwk("1")]));
    let set = KeySet::with_pace(issuer.serve().await, None, FAST).await.unwrap();
    let troubles = [
        (500, "no".to_owned()),
        (404, String::new()),
        (200, "<html>".to_owned()),
        (302, String::new()),
        (200, format!("{}{}", key_set([]), " ".repeat(2 * 1024 * 1024))),
    ];
    for (status, body) in troubles {
        issuer.say(status, body);
        let before = issuer.asked();
        eventually("two more questions", || issuer.asked() >= before + 2).await;
        assert!(set.key(Algorithm::EdDSA, Some("1")).await.is_ok(), "{status}");
    }
    issuer.say(200, key_set([pair.jwk("2")]));
    eventually("the new key", || set.find(Algorithm::EdDSA, Some("2")).is_ok()).await;
    assert!(set.find(Algorithm::EdDSA, Some("1")).is_err());
    // The task that reads again ends with the set.
    drop(set);
    // A question may be under way.
    for _ in 0..50 {
        let before = issuer.asked();
        tokio::time::sleep(FAST.poll * 5).await;
        if issuer.asked() == before {
            return;
        }
    }
    panic!("the issuer is asked for ever");
}

#[tokio::test]
async fn an_issuer_that_is_down_at_the_start_is_asked_again() {
    let pair = Pair::ed();
    let issuer = Issuer::default();
    issuer.say(503, "");
    let set = KeySet::with_pace(issuer.serve().await, None, ON_DEMAND)
        .await
        .unwrap();
    let early = set.key(Algorithm::EdDSA, Some("1")).await;
    assert_eq!(early.unwrap_err(), TokenError::KeysUnavailable);
    issuer.say(200, key_set([pair.jwk("1")]));
    tokio::time::sleep(ON_DEMAND.demand).await;
    assert!(set.key(Algorithm::EdDSA, Some("1")).await.is_ok());
}

#[test]
fn a_set_at_https_is_not_fetched_over_anything_else() {
    // Nothing listens on the port: the error must be of the connection, not a success over plain HTTP.
    assert!(download(&Url::parse("https://127.0.0.1:1/jwks.json").unwrap()).is_err());
}

#[test]
fn keys_are_read_as_often_as_the_documentation_says() {
    let url = Pace::of(&Source::Url(Url::parse("https://issuer").unwrap()));
    assert_eq!((url.poll.as_secs(), url.demand.as_secs()), (300, 10));
}
