//! Tokens (JWT): from the text after `Bearer` to an [`Identity`], and the making of tokens for development.
//!
//! Called by [`super::Authenticator`]; keys of issuers come from [`super::jwks`], signatures are checked by
//! [`super::provider`].
//!
//! # Rules
//!
//! - Nothing of a token is believed before its signature is checked, but for `alg` and `kid`, which only pick the key.
//! - A key checks one algorithm. What the token says must be that, so a public key is never taken for a secret and `none`
//!   is no algorithm at all.
//! - `iss`, `aud`, `exp` and `sub` must be there and right; `nbf` and `iat` must be right where they are there. Clocks may
//!   differ by [`LEEWAY_SECONDS`].
//! - A subject that is written as that of a key, or is `operator` or `anonymous`, in whatever case, refuses the token, and so
//!   does one with something at its ends or inside that nobody sees.
//! - A claim of the wrong type refuses the token. An unknown role or scope is passed over: it gives nothing.
//! - No namespace claim means all namespaces, or with `JWT_REQUIRE_NAMESPACES` a refusal; an empty list means none.
//! - A token that was found good is remembered by its hash (a signature costs more to check than a decision). It is good
//!   again until it expires, its secret is gone, or the public keys change, whichever comes first.
//! - There may be two secrets. A token that is not signed with the one may be signed with the other.

use super::api_key::id_in_subject;
use super::jwks::KeySet;
use super::{AuthError, config, provider};
use crate::clock;
use crate::identity::{Identity, Owner, Proof, Role, Scope, Scopes, is_nobody};
use crate::request_id::is_printable;
use arc_swap::ArcSwap;
use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use quick_cache::sync::Cache;
use ring::digest;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Map, Value};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Longest token that is looked at, in bytes.
pub const MAX_TOKEN_BYTES: usize = 8 * 1024;

/// How far the clocks of issuer and server may differ.
pub const LEEWAY_SECONDS: u64 = 30;

/// Shortest secret of HS256, in bytes: as long as the hash.
const MIN_SECRET_BYTES: usize = 32;

/// Good tokens that are remembered at most.
const REMEMBERED: usize = 4096;

/// Longest subject, in bytes. Subjects stand in every decision and audit record.
const MAX_SUBJECT_BYTES: usize = 256;

/// Why a token was refused. Says nothing that the caller did not send, and nothing of keys.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// It has more than [`MAX_TOKEN_BYTES`].
    #[error("the token is longer than {most} bytes", most = MAX_TOKEN_BYTES)]
    TooLong,
    /// It is not three parts of base64url with JSON in them.
    #[error("the token cannot be read, or names an algorithm that is never accepted")]
    Malformed,
    /// Its algorithm is not the one of the key.
    #[error("the token is signed with an algorithm that is not accepted")]
    Algorithm,
    /// Its header has `crit`, and this server knows no extension.
    #[error("the token needs an extension (`crit`) that is not known")]
    Critical,
    /// Its header has no `kid`, and there are several keys.
    #[error("the token does not name its key (`kid`)")]
    NoKeyId,
    /// No key has its `kid`.
    #[error("the token names a key (`kid`) that is not known")]
    UnknownKey,
    /// No key was ever loaded, so nothing can be said about the token.
    #[error("the keys of tokens cannot be read at the moment")]
    KeysUnavailable,
    /// Its signature is wrong.
    #[error("the signature of the token is wrong")]
    Signature,
    /// `exp` has passed.
    #[error("the token has expired")]
    Expired,
    /// `nbf` or `iat` lies ahead.
    #[error("the token is not valid yet")]
    NotYetValid,
    /// `iss` is another.
    #[error("the token is of another issuer (`iss`)")]
    Issuer,
    /// `aud` does not hold this server.
    #[error("the token is for another audience (`aud`)")]
    Audience,
    /// It lives longer than this server accepts.
    #[error("the token lives longer than is accepted")]
    Life,
    /// A claim is not there.
    #[error("the token has no `{0}`")]
    Missing(String),
    /// A claim is not what it should be.
    #[error("`{0}` of the token is not what it should be")]
    Claim(String),
}

impl From<jsonwebtoken::errors::Error> for TokenError {
    fn from(error: jsonwebtoken::errors::Error) -> Self {
        match error.into_kind() {
            ErrorKind::InvalidToken | ErrorKind::Base64(_) | ErrorKind::Json(_) | ErrorKind::Utf8(_) => {
                Self::Malformed
            }
            ErrorKind::InvalidAlgorithm
            | ErrorKind::InvalidAlgorithmName
            | ErrorKind::MissingAlgorithm
            | ErrorKind::UnsupportedAlgorithm
            | ErrorKind::InvalidKeyFormat => Self::Algorithm,
            ErrorKind::ExpiredSignature => Self::Expired,
            ErrorKind::ImmatureSignature => Self::NotYetValid,
            ErrorKind::InvalidIssuer => Self::Issuer,
            ErrorKind::InvalidAudience => Self::Audience,
            ErrorKind::InvalidSubject => Self::Claim("sub".to_owned()),
            ErrorKind::MissingRequiredClaim(claim) => Self::Missing(claim),
            ErrorKind::InvalidClaimFormat(claim) => Self::Claim(claim),
            // What is left are keys that do not work, and kinds to come: no token passes by one.
            _ => Self::Signature,
        }
    }
}

/// The algorithm as `jsonwebtoken` calls it.
pub(super) fn algorithm(of: config::Algorithm) -> Algorithm {
    match of {
        config::Algorithm::Hs256 => Algorithm::HS256,
        config::Algorithm::Rs256 => Algorithm::RS256,
        config::Algorithm::Es256 => Algorithm::ES256,
        config::Algorithm::EdDsa => Algorithm::EdDSA,
    }
}

/// Where keys are looked up.
#[derive(Debug)]
enum Keys {
    /// Secrets, for HS256.
    Secrets(Secrets),
    /// Public keys.
    Set(Arc<KeySet>),
}

/// A secret whose tokens are accepted.
struct Secret {
    /// No other secret of this process ever had it.
    serial: u64,
    text: SecretString,
    key: DecodingKey,
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Secret")
            .field("serial", &self.serial)
            .finish_non_exhaustive()
    }
}

/// The secrets whose tokens are accepted, which may be replaced.
#[derive(Debug)]
struct Secrets {
    /// INVARIANT: not empty; the first is the one that tokens are made with.
    held: ArcSwap<Vec<Secret>>,
    next: AtomicU64,
}

impl Secrets {
    fn new(current: &SecretString, previous: Option<&SecretString>) -> Result<Self, AuthError> {
        let secrets = Self {
            held: ArcSwap::default(),
            next: AtomicU64::new(1),
        };
        secrets.replace(current, previous)?;
        Ok(secrets)
    }

    /// Accepts tokens of these secrets from now on, and of no others. Tokens of secrets that stay are still remembered.
    fn replace(&self, current: &SecretString, previous: Option<&SecretString>) -> Result<(), AuthError> {
        let before = self.held.load();
        let secrets = std::iter::once(current).chain(previous).map(|text| {
            let key = DecodingKey::from_secret(long_enough(text)?);
            let same = before
                .iter()
                .find(|secret| secret.text.expose_secret() == text.expose_secret());
            Ok(Secret {
                serial: same.map_or_else(|| self.next.fetch_add(1, Ordering::Relaxed), |same| same.serial),
                text: text.clone(),
                key,
            })
        });
        self.held.store(Arc::new(secrets.collect::<Result<_, _>>()?));
        Ok(())
    }
}

/// A token that was found good.
#[derive(Debug, Clone)]
struct Known {
    identity: Identity,
    /// Last second at which it has not expired.
    until: u64,
    /// Of the public keys that it was checked with, or the serial of its secret.
    generation: u64,
}

/// What a token is remembered by.
fn hash(token: &str) -> [u8; 32] {
    let mut hash = [0; 32];
    hash.copy_from_slice(digest::digest(&digest::SHA256, token.as_bytes()).as_ref());
    hash
}

/// Checks tokens.
#[derive(Debug)]
pub(super) struct Tokens {
    keys: Keys,
    /// By SHA-256 of the whole token.
    known: Cache<[u8; 32], Known>,
    /// The only algorithm, where the configuration fixes it.
    only: Option<Algorithm>,
    issuer: String,
    audience: String,
    life: Duration,
    require_namespaces: bool,
}

impl Tokens {
    /// Reads the keys and installs the cryptography.
    ///
    /// # Errors
    ///
    /// Keys that cannot be read or used. A key set at a URL that does not answer is no error: it is asked again.
    pub(super) async fn build(jwt: &config::Jwt) -> Result<Self, AuthError> {
        provider::install()?;
        let keys = match &jwt.keys {
            config::JwtKeys::Secret { current, previous } => {
                if jwt.algorithm.is_some_and(|a| a != config::Algorithm::Hs256) {
                    return Err(AuthError::Algorithm("a secret is for HS256"));
                }
                Keys::Secrets(Secrets::new(current, previous.as_ref())?)
            }
            config::JwtKeys::PublicKey(_) | config::JwtKeys::JwksFile(_) | config::JwtKeys::JwksUrl(_) => {
                if jwt.algorithm == Some(config::Algorithm::Hs256) {
                    return Err(AuthError::Algorithm("public keys cannot check HS256"));
                }
                Keys::Set(KeySet::build(jwt).await?)
            }
        };
        Ok(Self {
            only: match keys {
                Keys::Secrets(_) => Some(Algorithm::HS256),
                Keys::Set(_) => jwt.algorithm.map(algorithm),
            },
            keys,
            known: Cache::new(REMEMBERED),
            issuer: jwt.issuer.clone(),
            audience: jwt.audience.clone(),
            life: jwt.life,
            require_namespaces: jwt.require_namespaces,
        })
    }

    /// Accepts tokens of these secrets from now on, and of no others.
    ///
    /// # Errors
    ///
    /// A secret that is too short, or none where there were some; what was accepted before stays then.
    pub(super) fn replace_secrets(&self, jwt: &config::Jwt) -> Result<(), AuthError> {
        match (&self.keys, &jwt.keys) {
            (Keys::Secrets(secrets), config::JwtKeys::Secret { current, previous }) => {
                secrets.replace(current, previous.as_ref())
            }
            _ => Err(AuthError::Algorithm("a secret does not replace public keys")),
        }
    }

    /// Whether a token that was checked with this key, or these keys, is good as far as they go.
    fn holds(&self, generation: u64) -> bool {
        match &self.keys {
            Keys::Secrets(secrets) => {
                let held = secrets.held.load();
                held.iter().any(|secret| secret.serial == generation)
            }
            Keys::Set(set) => set.generation() == generation,
        }
    }

    /// Who a token speaks for.
    pub(super) async fn verify(&self, token: &str) -> Result<Identity, TokenError> {
        if token.len() > MAX_TOKEN_BYTES {
            return Err(TokenError::TooLong);
        }
        let hash = hash(token);
        if let Some(known) = self.known.get(&hash)
            && self.holds(known.generation)
            && now_seconds() <= known.until
        {
            return Ok(known.identity);
        }
        let (claims, generation) = self.checked(token).await?;
        let identity = identity(&claims, self.require_namespaces)?;
        if let Some(expires) = claims.get("exp").and_then(seconds) {
            let known = Known {
                identity: identity.clone(),
                // Too large a number becomes the largest, a fraction is cut off.
                until: (expires as u64).saturating_add(LEEWAY_SECONDS),
                generation,
            };
            self.known.insert(hash, known);
        }
        Ok(identity)
    }

    /// Whether a token was found good, and has not expired since.
    pub(super) fn is_known(&self, token: &str) -> bool {
        token.len() <= MAX_TOKEN_BYTES
            && self
                .known
                .get(&hash(token))
                .is_some_and(|known| now_seconds() <= known.until && self.is_of_a_secret_here(&known))
    }

    /// Whether a token is of a secret that is still accepted. Public keys are looked up before anything is refused.
    fn is_of_a_secret_here(&self, known: &Known) -> bool {
        match &self.keys {
            Keys::Secrets(_) => self.holds(known.generation),
            Keys::Set(_) => true,
        }
    }

    /// The claims of a token, once header, signature and standard claims are found to be right, and which keys say so.
    async fn checked(&self, token: &str) -> Result<(Map<String, Value>, u64), TokenError> {
        let header = jsonwebtoken::decode_header(token)?;
        if header.crit.is_some() {
            return Err(TokenError::Critical);
        }
        if self.only.is_some_and(|only| only != header.alg) {
            return Err(TokenError::Algorithm);
        }
        match &self.keys {
            Keys::Secrets(secrets) => {
                let mut result = Err(TokenError::Signature);
                for Secret { serial, key, .. } in secrets.held.load().iter() {
                    result = self
                        .claims(token, key, Algorithm::HS256)
                        .map(|claims| (claims, *serial));
                    if !matches!(result, Err(TokenError::Signature)) {
                        break;
                    }
                }
                result
            }
            Keys::Set(set) => {
                // ORDER: before the key is looked up. When keys change in between, what is remembered is of no use, not wrong.
                let generation = set.generation();
                let key = set.key(header.alg, header.kid.as_deref()).await?;
                let claims = self.claims(token, &key.key, key.algorithm)?;
                Ok((claims, generation))
            }
        }
    }

    /// The claims of a token, once signature and standard claims are found to be right with this key.
    fn claims(
        &self,
        token: &str,
        key: &DecodingKey,
        algorithm: Algorithm,
    ) -> Result<Map<String, Value>, TokenError> {
        let mut rules = Validation::new(algorithm);
        rules.leeway = LEEWAY_SECONDS;
        rules.validate_nbf = true;
        rules.set_issuer(&[&self.issuer]);
        rules.set_audience(&[&self.audience]);
        rules.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
        let claims = jsonwebtoken::decode::<Map<String, Value>>(token, key, &rules)?.claims;
        // The crate takes a list of issuers as well, of which one has to fit: who issued it is then not said.
        if claims.get("iss").and_then(Value::as_str) != Some(self.issuer.as_str()) {
            return Err(TokenError::Issuer);
        }
        if let Some(issued) = claims.get("iat") {
            let issued = seconds(issued).ok_or_else(|| TokenError::Claim("iat".to_owned()))?;
            let expires = claims.get("exp").and_then(seconds);
            let expires = expires.ok_or_else(|| TokenError::Claim("exp".to_owned()))?;
            if issued > (now_seconds() + LEEWAY_SECONDS) as f64 {
                return Err(TokenError::NotYetValid);
            }
            if expires - issued > self.life.as_secs_f64() {
                return Err(TokenError::Life);
            }
        }
        Ok(claims)
    }
}

fn now_seconds() -> u64 {
    clock::since_epoch().as_secs()
}

/// A time claim, in seconds since the epoch.
fn seconds(value: &Value) -> Option<f64> {
    value
        .as_f64()
        .filter(|seconds| seconds.is_finite() && *seconds >= 0.0)
}

/// The identity that checked claims describe.
fn identity(claims: &Map<String, Value>, require_namespaces: bool) -> Result<Identity, TokenError> {
    let bad = |claim: &str| TokenError::Claim(claim.to_owned());
    let subject = claims
        .get("sub")
        .and_then(Value::as_str)
        .ok_or_else(|| bad("sub"))?;
    // Records name callers by it: whoever reads it sees all of it.
    let seen = is_printable(subject) && subject.trim() == subject;
    if subject.is_empty() || subject.len() > MAX_SUBJECT_BYTES || !seen {
        return Err(bad("sub"));
    }
    // Who approves what is told by subjects: nobody comes under the name of a key, or one that several share, or under one
    // that is taken for it.
    let lower = subject.to_ascii_lowercase();
    if is_nobody(&lower) || id_in_subject(&lower).is_some() {
        return Err(bad("sub"));
    }
    let mut words = [Vec::new(), Vec::new()];
    for (list, names) in words.iter_mut().zip([["roles", "role"], ["scope", "scopes"]]) {
        for name in names {
            match claims.get(name) {
                None | Some(Value::Null) => {}
                Some(value) => list.extend(words_of(value).ok_or_else(|| bad(name))?),
            }
        }
    }
    let [roles, scopes] = words;
    let mut namespaces = None;
    for name in ["namespaces", "namespace", "tenant"] {
        // A `null` here is a refusal, not the absence that means all namespaces.
        let Some(value) = claims.get(name) else { continue };
        let list = match (name, value) {
            ("namespaces", value) => words_of(value),
            (_, Value::String(one)) => Some(vec![one.as_str()]),
            _ => None,
        };
        let list = list
            .filter(|list| {
                list.iter()
                    .all(|n| !n.is_empty() && !n.chars().any(char::is_control))
            })
            .ok_or_else(|| bad(name))?;
        namespaces = Some(list.into_iter().map(str::to_owned).collect::<Arc<[String]>>());
        break;
    }
    if require_namespaces && namespaces.is_none() {
        return Err(TokenError::Missing("namespaces".to_owned()));
    }
    Ok(Identity {
        subject: Arc::from(subject),
        proof: Proof::Token,
        scopes: granted(roles, scopes),
        owner: Some(Owner::token(subject, namespaces.as_deref())),
        namespaces,
        key_ends_ms: None,
    })
}

/// The words of a claim: an array of texts, or one text with blanks or commas between.
fn words_of(value: &Value) -> Option<Vec<&str>> {
    match value {
        Value::String(text) => Some(
            text.split(|c: char| c == ',' || c.is_whitespace())
                .filter(|word| !word.is_empty())
                .collect(),
        ),
        Value::Array(items) => items.iter().map(Value::as_str).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => None,
    }
}

/// What roles and scopes allow together; unknown ones allow nothing.
fn granted<'w>(
    roles: impl IntoIterator<Item = &'w str>,
    scopes: impl IntoIterator<Item = &'w str>,
) -> Scopes {
    let by_role = roles.into_iter().filter_map(Role::parse).map(Role::scopes);
    let by_name: Scopes = scopes.into_iter().filter_map(Scope::parse).collect();
    by_role.fold(by_name, Scopes::with)
}

fn long_enough(secret: &SecretString) -> Result<&[u8], AuthError> {
    let bytes = secret.expose_secret().as_bytes();
    if bytes.len() < MIN_SECRET_BYTES {
        return Err(AuthError::SecretTooShort);
    }
    Ok(bytes)
}

/// Makes a token, signed with the shared secret of the configuration. For development and first steps: in production an
/// issuer does that.
///
/// `namespaces` of `None` are all of them. `life` starts now.
///
/// # Errors
///
/// - [`AuthError::Algorithm`]: the configuration has public keys only.
/// - [`AuthError::SecretTooShort`]: the secret is too short.
/// - [`AuthError::Token`]: this server would refuse the token, for example because it would live too long.
pub fn issue(
    jwt: &config::Jwt,
    subject: &str,
    roles: &[Role],
    namespaces: Option<&[String]>,
    life: Duration,
) -> Result<SecretString, AuthError> {
    provider::install()?;
    let config::JwtKeys::Secret { current, .. } = &jwt.keys else {
        return Err(AuthError::Algorithm("tokens are made with a secret (HS256) only"));
    };
    let secret = long_enough(current)?;
    if life > jwt.life || life.is_zero() {
        return Err(AuthError::Token(TokenError::Life));
    }
    let now = now_seconds();
    let mut claims = Map::new();
    for (name, text) in [("sub", subject), ("iss", &jwt.issuer), ("aud", &jwt.audience)] {
        claims.insert(name.to_owned(), Value::from(text));
    }
    for (name, at) in [("iat", now), ("exp", now.saturating_add(life.as_secs()))] {
        claims.insert(name.to_owned(), Value::from(at));
    }
    let roles: Vec<&str> = roles.iter().map(|role| role.as_str()).collect();
    claims.insert("roles".to_owned(), Value::from(roles));
    if let Some(namespaces) = namespaces {
        claims.insert("namespaces".to_owned(), Value::from(namespaces));
    }
    identity(&claims, jwt.require_namespaces).map_err(AuthError::Token)?;
    let token = jsonwebtoken::encode(
        &Header::new(Algorithm::HS256),
        &claims,
        &EncodingKey::from_secret(secret),
    )
    .map_err(|error| AuthError::Token(error.into()))?;
    if token.len() > MAX_TOKEN_BYTES {
        return Err(AuthError::Token(TokenError::TooLong));
    }
    Ok(SecretString::from(token))
}

#[cfg(test)]
mod tests;
