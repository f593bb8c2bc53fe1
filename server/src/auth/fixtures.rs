//! Keys and tokens for the tests of authentication. Everything is signed for real, by `ring`.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, RSA_PKCS1_SHA256, RsaKeyPair,
};
use rustls_pki_types::PrivatePkcs8KeyDer;
use rustls_pki_types::pem::PemObject as _;
use serde_json::{Value, json};
use std::time::{SystemTime, UNIX_EPOCH};

/// An RSA key of 2048 bits, used by nothing but these tests.
pub(super) const RSA_KEY: &[u8] = include_bytes!("../../tests/data/rsa-2048.key.pem");
/// Its public half.
pub(super) const RSA_PUBLIC: &[u8] = include_bytes!("../../tests/data/rsa-2048.pub.pem");
/// A public RSA key that is too short.
pub(super) const RSA_SHORT: &[u8] = include_bytes!("../../tests/data/rsa-1024.pub.pem");
/// A public key of a curve that is not known here.
pub(super) const P384_PUBLIC: &[u8] = include_bytes!("../../tests/data/p384.pub.pem");

pub(super) fn b64(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

pub(super) fn now() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    i64::try_from(now.as_secs()).unwrap()
}

/// Claims that pass, changed by `change`: a member that is `null` there is taken out.
pub(super) fn claims(change: Value) -> Value {
    claims_at(now(), change)
}

/// As [`claims`], issued at this second. Whoever compares two times, or says one of them, reads the clock once and uses this.
pub(super) fn claims_at(now: i64, change: Value) -> Value {
    let mut claims = json!({
        "sub": "alice", "iss": "issuer", "aud": "audience", "iat": now, "exp": now + 600,
        "roles": ["policy.viewer"],
    });
    for (name, value) in change.as_object().unwrap() {
        if value.is_null() {
            claims.as_object_mut().unwrap().remove(name);
        } else {
            claims[name] = value.clone();
        }
    }
    claims
}

/// A token of these parts.
pub(super) fn token(header: &Value, claims: &Value, sign: impl Fn(&[u8]) -> Vec<u8>) -> String {
    raw_token(&header.to_string(), &claims.to_string(), sign)
}

/// A token of these texts.
pub(super) fn raw_token(header: &str, claims: &str, sign: impl Fn(&[u8]) -> Vec<u8>) -> String {
    let message = format!("{}.{}", b64(header), b64(claims));
    let signature = b64(sign(message.as_bytes()));
    format!("{message}.{signature}")
}

/// Signs with a shared secret.
pub(super) fn hs256(secret: impl AsRef<[u8]>) -> impl Fn(&[u8]) -> Vec<u8> {
    let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, secret.as_ref());
    move |message| ring::hmac::sign(&key, message).as_ref().to_vec()
}

/// A pair of keys: signs, and says its public half as a member of a key set.
pub(super) enum Pair {
    Rsa(RsaKeyPair),
    Ec(EcdsaKeyPair),
    Ed(Ed25519KeyPair),
}

impl Pair {
    pub(super) fn rsa() -> Self {
        let der = PrivatePkcs8KeyDer::from_pem_slice(RSA_KEY).unwrap();
        Self::Rsa(RsaKeyPair::from_pkcs8(der.secret_pkcs8_der()).unwrap())
    }

    pub(super) fn ec() -> Self {
        let random = SystemRandom::new();
        let der = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).unwrap();
        Self::ec_of(der.as_ref())
    }

    pub(super) fn ec_of(pkcs8: &[u8]) -> Self {
        let random = SystemRandom::new();
        Self::Ec(EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8, &random).unwrap())
    }

    pub(super) fn ed() -> Self {
        let der = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap();
        Self::ed_of(der.as_ref())
    }

    pub(super) fn ed_of(pkcs8: &[u8]) -> Self {
        Self::Ed(Ed25519KeyPair::from_pkcs8_maybe_unchecked(pkcs8).unwrap())
    }

    pub(super) fn alg(&self) -> &'static str {
        match self {
            Self::Rsa(_) => "RS256",
            Self::Ec(_) => "ES256",
            Self::Ed(_) => "EdDSA",
        }
    }

    pub(super) fn sign(&self, message: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        match self {
            Self::Rsa(pair) => {
                let mut signature = vec![0; pair.public().modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &random, message, &mut signature)
                    .unwrap();
                signature
            }
            Self::Ec(pair) => pair.sign(&random, message).unwrap().as_ref().to_vec(),
            Self::Ed(pair) => pair.sign(message).as_ref().to_vec(),
        }
    }

    /// A token with this `kid` and these claims.
    pub(super) fn token(&self, kid: Option<&str>, claims: &Value) -> String {
        let mut header = json!({"typ": "JWT", "alg": self.alg()});
        if let Some(kid) = kid {
            header["kid"] = kid.into();
        }
        token(&header, claims, |message| self.sign(message))
    }

    /// The public half as raw bytes: modulus or point.
    pub(super) fn public(&self) -> Vec<u8> {
        match self {
            Self::Rsa(pair) => ring::rsa::PublicKeyComponents::<Vec<u8>>::from(pair.public()).n,
            Self::Ec(pair) => pair.public_key().as_ref().to_vec(),
            Self::Ed(pair) => pair.public_key().as_ref().to_vec(),
        }
    }

    pub(super) fn jwk(&self, kid: &str) -> Value {
        let public = self.public();
        match self {
            Self::Rsa(pair) => {
                let parts = ring::rsa::PublicKeyComponents::<Vec<u8>>::from(pair.public());
                json!({"kty": "RSA", "kid": kid, "use": "sig", "alg": "RS256", "n": b64(parts.n), "e": b64(parts.e)})
            }
            Self::Ec(_) => json!({"kty": "EC", "crv": "P-256", "kid": kid,
                "x": b64(&public[1..33]), "y": b64(&public[33..])}),
            Self::Ed(_) => json!({"kty": "OKP", "crv": "Ed25519", "kid": kid, "x": b64(public)}),
        }
    }
}

/// A key set of these keys.
pub(super) fn key_set(keys: impl IntoIterator<Item = Value>) -> String {
    json!({"keys": keys.into_iter().collect::<Vec<_>>()}).to_string()
}
