//! Public keys of those who issue tokens: a PEM file, a key set (JWKS) in a file, or one at a URL.
//!
//! [`super::jwt`] asks [`KeySet::key`] for the key of a token. A task of the set's own reads the source again: a file when
//! it changed, a URL every five minutes. A `kid` that is not known makes it read at once, but not more often than
//! [`Pace::demand`] says, so that made-up tokens cannot be turned against the issuer.
//!
//! # Invariants
//!
//! - A key is bound to one algorithm when it is read: RSA (2048 bits and more) to RS256, P-256 to ES256, Ed25519 to EdDSA.
//!   Shared secrets (`oct`) and private keys are not taken out of a key set.
//! - When a source cannot be read, the last good keys stay. When it says that there are no keys, there are none.
//! - Never more than [`MAX_BYTES`] are read. A set at `https://` is never fetched over anything else, nor from
//!   another server than the one that is named.
//!
//! Connections to a URL trust the web's certificate authorities only.

use super::jwt::{TokenError, algorithm};
use super::{AuthError, config};
use crate::fetch;
use crate::file_stamp::FileStamp;
use crate::settings::{Url, scrubbed};
use arc_swap::ArcSwapOption;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, DecodingKey};
use rustls_pki_types::pem::{PemObject as _, SectionKind};
use serde::Deserialize;
use std::collections::BTreeSet;
use std::fmt;
use std::io::Read as _;
use std::path::PathBuf;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};
use tokio::sync::Mutex;

/// Largest source, in bytes.
const MAX_BYTES: u64 = 1024 * 1024;

/// Longest time of one request to a URL.
const FETCH_TIMEOUT: Duration = Duration::from_secs(5);

/// What is wrong with a file that was understood.
const NO_KEY: &str = "it holds no key that can be used";

/// Shortest and longest RSA modulus, in bits.
const RSA_BITS: std::ops::RangeInclusive<usize> = 2048..=8192;

/// A key and the algorithm that it checks.
#[derive(Debug, Clone)]
pub(super) struct PublicKey {
    /// Its name in the set.
    kid: Option<String>,
    /// The only algorithm that it is good for.
    pub(super) algorithm: Algorithm,
    /// The key.
    pub(super) key: DecodingKey,
}

/// What a source held when it was last read.
#[derive(Debug)]
struct Held {
    /// Grows with each reading that changed something or may have.
    generation: u64,
    keys: Vec<PublicKey>,
}

/// Where keys come from.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Source {
    /// One public key.
    Pem(PathBuf),
    /// A key set.
    File(PathBuf),
    /// A key set.
    Url(Url),
}

impl Source {
    fn path(&self) -> Option<&PathBuf> {
        match self {
            Self::Pem(path) | Self::File(path) => Some(path),
            Self::Url(_) => None,
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pem(path) | Self::File(path) => write!(f, "{}", path.display()),
            Self::Url(url) => write!(f, "{url}"),
        }
    }
}

/// How often a source is read.
#[derive(Debug, Clone, Copy)]
struct Pace {
    /// By the clock.
    poll: Duration,
    /// At most, when a token names a key that is not known.
    demand: Duration,
}

impl Pace {
    fn of(source: &Source) -> Self {
        match source {
            // A look at a small file costs next to nothing.
            Source::Pem(_) | Source::File(_) => Self {
                poll: Duration::from_secs(2),
                demand: Duration::from_secs(1),
            },
            Source::Url(_) => Self {
                poll: Duration::from_secs(300),
                demand: Duration::from_secs(10),
            },
        }
    }
}

/// What happened when the source was last read.
#[derive(Debug, Default)]
struct Attempt {
    at: Option<Instant>,
    /// Of the file whose keys are in use.
    stamp: Option<FileStamp>,
    /// Said in the log already.
    error: Option<String>,
}

/// The keys of one source.
#[derive(Debug)]
pub(super) struct KeySet {
    source: Source,
    only: Option<Algorithm>,
    pace: Pace,
    /// `None` until the source was read once.
    held: ArcSwapOption<Held>,
    attempt: Mutex<Attempt>,
}

impl KeySet {
    /// Reads a source and starts the task that reads it again; the task ends with the set.
    ///
    /// # Errors
    ///
    /// [`AuthError::Keys`] when a file holds no key that can be used. A URL that does not answer is logged and asked again.
    pub(super) async fn build(jwt: &config::Jwt) -> Result<Arc<Self>, AuthError> {
        let source = match &jwt.keys {
            config::JwtKeys::Secret { .. } => return Err(AuthError::Algorithm("a secret is no public key")),
            config::JwtKeys::PublicKey(path) => Source::Pem(path.clone()),
            config::JwtKeys::JwksFile(path) => Source::File(path.clone()),
            config::JwtKeys::JwksUrl(url) => Source::Url(url.clone()),
        };
        let pace = Pace::of(&source);
        Self::with_pace(source, jwt.algorithm.map(algorithm), pace).await
    }

    async fn with_pace(source: Source, only: Option<Algorithm>, pace: Pace) -> Result<Arc<Self>, AuthError> {
        let set = Arc::new(Self {
            source,
            only,
            pace,
            held: ArcSwapOption::empty(),
            attempt: Mutex::new(Attempt::default()),
        });
        let outcome = set.read(&mut *set.attempt.lock().await).await;
        if set.source.path().is_some() {
            outcome.map_err(|reason| set.failure(reason))?;
            if set.held.load().as_ref().is_none_or(|held| held.keys.is_empty()) {
                return Err(set.failure(NO_KEY.to_owned()));
            }
        }
        if let Source::Url(url) = &set.source
            && !url.is_encrypted()
        {
            tracing::warn!(%url, "the keys of tokens are fetched without TLS: who can change them on the way can make tokens");
        }
        tokio::spawn(poll(Arc::downgrade(&set)));
        Ok(set)
    }

    fn failure(&self, reason: String) -> AuthError {
        AuthError::Keys {
            place: self.source.to_string(),
            reason,
        }
    }

    /// The key for a token with this algorithm and `kid`.
    pub(super) async fn key(&self, algorithm: Algorithm, kid: Option<&str>) -> Result<PublicKey, TokenError> {
        match self.find(algorithm, kid) {
            Err(TokenError::UnknownKey | TokenError::KeysUnavailable | TokenError::NoKeyId) => {
                self.read_on_demand().await;
                self.find(algorithm, kid)
            }
            found => found,
        }
    }

    /// Which keys these are: while the number stays, no key came or went. 0 is none.
    pub(super) fn generation(&self) -> u64 {
        self.held.load().as_ref().map_or(0, |held| held.generation)
    }

    fn find(&self, algorithm: Algorithm, kid: Option<&str>) -> Result<PublicKey, TokenError> {
        let held = self.held.load();
        let Some(Held { keys, .. }) = held.as_deref() else {
            return Err(TokenError::KeysUnavailable);
        };
        let key = match (&self.source, kid) {
            // A file of one key has no names for it.
            (Source::Pem(_), _) => keys.first().ok_or(TokenError::UnknownKey)?,
            (Source::File(_) | Source::Url(_), Some(kid)) => keys
                .iter()
                .find(|key| key.kid.as_deref() == Some(kid))
                .ok_or(TokenError::UnknownKey)?,
            (Source::File(_) | Source::Url(_), None) => match keys.as_slice() {
                [key] => key,
                [] => return Err(TokenError::UnknownKey),
                [_, _, ..] => return Err(TokenError::NoKeyId),
            },
        };
        if key.algorithm == algorithm {
            Ok(key.clone())
        } else {
            Err(TokenError::Algorithm)
        }
    }

    /// Reads the source, unless that was tried a moment ago. Who comes meanwhile waits for the outcome.
    async fn read_on_demand(&self) {
        let mut attempt = self.attempt.lock().await;
        if attempt.at.is_none_or(|at| at.elapsed() >= self.pace.demand) {
            drop(self.read(&mut attempt).await);
        }
    }

    /// Reads the source if it changed, and logs what is new about the outcome.
    async fn read(&self, attempt: &mut Attempt) -> Result<(), String> {
        attempt.at = Some(Instant::now());
        let (source, only, known) = (self.source.clone(), self.only, attempt.stamp);
        let outcome = tokio::task::spawn_blocking(move || load(&source, only, known))
            .await
            .map_err(|error| error.to_string())
            .flatten();
        match outcome {
            Ok(Loaded::Unchanged) => {
                attempt.error = None;
                Ok(())
            }
            Ok(Loaded::Keys(keys, stamp)) => {
                if keys.is_empty() {
                    tracing::warn!(source = %self.source, "there are no keys of tokens; every token is refused");
                } else {
                    tracing::debug!(source = %self.source, keys = keys.len(), "read the keys of tokens");
                }
                let generation = self.generation() + 1;
                self.held.store(Some(Arc::new(Held { generation, keys })));
                (attempt.stamp, attempt.error) = (stamp, None);
                Ok(())
            }
            Err(reason) => {
                if attempt.error.as_deref() != Some(reason.as_str()) {
                    tracing::warn!(source = %self.source, %reason, "cannot read the keys of tokens; the last ones stay");
                    attempt.error = Some(reason.clone());
                }
                Err(reason)
            }
        }
    }
}

/// Whether a file holds a key that can be used. A URL is not asked. Blocks for the reading.
///
/// # Errors
///
/// [`AuthError::Keys`], as [`KeySet::build`].
pub(super) fn check(jwt: &config::Jwt) -> Result<(), AuthError> {
    let source = match &jwt.keys {
        config::JwtKeys::Secret { .. } | config::JwtKeys::JwksUrl(_) => return Ok(()),
        config::JwtKeys::PublicKey(path) => Source::Pem(path.clone()),
        config::JwtKeys::JwksFile(path) => Source::File(path.clone()),
    };
    let reason = match load(&source, jwt.algorithm.map(algorithm), None) {
        Ok(Loaded::Keys(keys, _)) if keys.is_empty() => NO_KEY.to_owned(),
        Ok(Loaded::Keys(..) | Loaded::Unchanged) => return Ok(()),
        Err(reason) => reason,
    };
    Err(AuthError::Keys {
        place: source.to_string(),
        reason,
    })
}

/// Reads a source again and again, as long as somebody has the set.
async fn poll(set: Weak<KeySet>) {
    while let Some(wait) = set.upgrade().map(|set| set.pace.poll) {
        tokio::time::sleep(wait).await;
        let Some(set) = set.upgrade() else { return };
        let mut attempt = set.attempt.lock().await;
        // What is new about the outcome is in the log; the next round tries again.
        drop(set.read(&mut attempt).await);
    }
}

/// What reading a source gave.
enum Loaded {
    /// The file is the one that was read before.
    Unchanged,
    /// Keys, and the stamp of the file that they are from.
    Keys(Vec<PublicKey>, Option<FileStamp>),
}

/// Reads a source. Blocks.
fn load(source: &Source, only: Option<Algorithm>, known: Option<FileStamp>) -> Result<Loaded, String> {
    let stamp = match source.path() {
        Some(path) => Some(FileStamp::of(path).map_err(|e| e.to_string())?),
        None => None,
    };
    if stamp.is_some() && stamp == known {
        return Ok(Loaded::Unchanged);
    }
    let bytes = match source {
        Source::Pem(path) | Source::File(path) => {
            let mut bytes = Vec::new();
            std::fs::File::open(path)
                .and_then(|file| file.take(MAX_BYTES + 1).read_to_end(&mut bytes))
                .map_err(|e| e.to_string())?;
            if bytes.len() as u64 > MAX_BYTES {
                return Err(format!("it has more than {MAX_BYTES} bytes"));
            }
            bytes
        }
        Source::Url(url) => download(url)?,
    };
    let mut keys = match source {
        Source::Pem(_) => vec![pem_key(&bytes)?],
        Source::File(_) | Source::Url(_) => set_keys(&bytes)?,
    };
    if let Some(only) = only {
        keys.retain(|key| key.algorithm == only);
    }
    Ok(Loaded::Keys(keys, stamp))
}

fn download(url: &Url) -> Result<Vec<u8>, String> {
    let mut response = fetch::get(url, &[], FETCH_TIMEOUT)?;
    let body = response.body_mut().with_config().limit(MAX_BYTES);
    body.read_to_vec().map_err(|error| scrubbed(&error.to_string()))
}

/// A key set as RFC 7517 writes it; what it has more is ignored.
#[derive(Deserialize)]
struct Document {
    keys: Vec<serde_json::Value>,
}

/// One key of it.
#[derive(Deserialize)]
struct Jwk {
    kty: String,
    kid: Option<String>,
    alg: Option<String>,
    #[serde(rename = "use")]
    usage: Option<String>,
    key_ops: Option<Vec<String>>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
    d: Option<serde::de::IgnoredAny>,
}

/// The keys of a set that can be used; the others are named in the log and left out.
fn set_keys(bytes: &[u8]) -> Result<Vec<PublicKey>, String> {
    let document: Document =
        serde_json::from_slice(bytes).map_err(|error| format!("it is no key set: {error}"))?;
    let (mut keys, mut names) = (Vec::new(), BTreeSet::new());
    for (index, value) in document.keys.into_iter().enumerate() {
        let kid = value.get("kid").and_then(|kid| kid.as_str()).map(str::to_owned);
        let key = serde_json::from_value::<Jwk>(value)
            .map_err(|error| error.to_string())
            .and_then(set_key);
        match key {
            Ok(key) if key.kid.is_some() && !names.insert(key.kid.clone()) => {
                tracing::warn!(
                    index,
                    kid,
                    "two keys of the set have one name; the first is taken"
                );
            }
            Ok(key) => keys.push(key),
            Err(reason) => tracing::warn!(index, kid, %reason, "a key of the set is left out"),
        }
    }
    Ok(keys)
}

fn set_key(jwk: Jwk) -> Result<PublicKey, String> {
    if jwk.d.is_some() {
        return Err("it is a private key, and everybody who reads the set can make tokens".to_owned());
    }
    if jwk.usage.as_deref().is_some_and(|usage| usage != "sig") {
        return Err("it is not for signatures".to_owned());
    }
    if jwk.key_ops.is_some_and(|ops| ops.iter().all(|op| op != "verify")) {
        return Err("it is not for checking signatures".to_owned());
    }
    let bytes = |text: Option<&String>, name: &str| {
        URL_SAFE_NO_PAD
            .decode(text.ok_or_else(|| format!("it has no `{name}`"))?)
            .map_err(|_| format!("`{name}` is not base64url"))
    };
    let (algorithm, key, name) = match (jwk.kty.as_str(), jwk.crv.as_deref()) {
        ("RSA", _) => {
            let key = rsa(&bytes(jwk.n.as_ref(), "n")?, &bytes(jwk.e.as_ref(), "e")?)?;
            (Algorithm::RS256, key, "RS256")
        }
        ("EC", Some("P-256")) => {
            let (x, y) = (bytes(jwk.x.as_ref(), "x")?, bytes(jwk.y.as_ref(), "y")?);
            if x.len() != 32 || y.len() != 32 {
                return Err("its point is not one of P-256".to_owned());
            }
            let point = [&[4][..], &x, &y].concat();
            (Algorithm::ES256, p256(&point)?, "ES256")
        }
        ("OKP", Some("Ed25519")) => (Algorithm::EdDSA, ed25519(&bytes(jwk.x.as_ref(), "x")?)?, "EdDSA"),
        ("oct", _) => return Err("shared secrets do not belong in a key set".to_owned()),
        (kty, crv) => return Err(format!("keys of type {kty} {} are not known", crv.unwrap_or(""))),
    };
    if jwk.alg.as_deref().is_some_and(|alg| alg != name) {
        return Err(format!("its `alg` is not {name}"));
    }
    Ok(PublicKey {
        kid: jwk.kid,
        algorithm,
        key,
    })
}

/// The key of a PEM file, which must say that it is a public one.
fn pem_key(bytes: &[u8]) -> Result<PublicKey, String> {
    let (kind, der) = <(SectionKind, Vec<u8>)>::from_pem_slice(bytes).map_err(|e| e.to_string())?;
    let (algorithm, key) = match kind {
        SectionKind::PublicKey => public_key_info(&der)?,
        _ => return Err("it holds no PUBLIC KEY".to_owned()),
    };
    Ok(PublicKey {
        kid: None,
        algorithm,
        key,
    })
}

fn rsa(modulus: &[u8], exponent: &[u8]) -> Result<DecodingKey, String> {
    let strip = |bytes: &[u8]| {
        let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
        bytes.iter().copied().skip(zeros).collect::<Vec<u8>>()
    };
    let (modulus, exponent) = (strip(modulus), strip(exponent));
    let bits = modulus
        .first()
        .map_or(0, |first| modulus.len() * 8 - first.leading_zeros() as usize);
    if !RSA_BITS.contains(&bits) {
        return Err(format!("RSA keys have 2048 to 8192 bits, not {bits}"));
    }
    if exponent.len() > 4 || exponent.last().is_none_or(|last| last % 2 == 0) || exponent == [1] {
        return Err("its exponent is not one of RSA".to_owned());
    }
    Ok(DecodingKey::from_rsa_raw_components(&modulus, &exponent))
}

fn p256(point: &[u8]) -> Result<DecodingKey, String> {
    if point.len() != 65 || point.first() != Some(&4) {
        return Err("its point is not one of P-256".to_owned());
    }
    Ok(DecodingKey::from_ec_der(point))
}

fn ed25519(point: &[u8]) -> Result<DecodingKey, String> {
    if point.len() != 32 {
        return Err("its point is not one of Ed25519".to_owned());
    }
    Ok(DecodingKey::from_ed_der(point))
}

/// Object identifiers in DER: rsaEncryption, id-ecPublicKey, prime256v1, Ed25519.
const OID_RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01];
const OID_EC: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01];
const OID_P256: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];
const OID_ED25519: &[u8] = &[0x2b, 0x65, 0x70];

const SEQUENCE: u8 = 0x30;
const INTEGER: u8 = 0x02;
const BIT_STRING: u8 = 0x03;
const OBJECT: u8 = 0x06;

/// The key of a SubjectPublicKeyInfo (RFC 5280): `SEQUENCE { SEQUENCE { algorithm, parameters }, BIT STRING }`.
fn public_key_info(der: &[u8]) -> Result<(Algorithm, DecodingKey), String> {
    let read = || {
        let (mut info, _) = element(der, SEQUENCE)?;
        let (kind, rest) = element(info, SEQUENCE)?;
        info = rest;
        let (oid, parameters) = element(kind, OBJECT)?;
        let (bits, _) = element(info, BIT_STRING)?;
        // The first byte counts unused bits, of which a key has none.
        Some((oid, parameters, bits.strip_prefix(&[0])?))
    };
    let (oid, parameters, key) = read().ok_or("it is no SubjectPublicKeyInfo")?;
    match oid {
        OID_RSA => {
            let read = || {
                let (numbers, _) = element(key, SEQUENCE)?;
                let (n, rest) = element(numbers, INTEGER)?;
                Some((n, element(rest, INTEGER)?.0))
            };
            let (n, e) = read().ok_or("its RSA key cannot be read")?;
            Ok((Algorithm::RS256, rsa(n, e)?))
        }
        OID_EC if element(parameters, OBJECT).is_some_and(|(curve, _)| curve == OID_P256) => {
            Ok((Algorithm::ES256, p256(key)?))
        }
        OID_ED25519 => Ok((Algorithm::EdDSA, ed25519(key)?)),
        _ => Err("only RSA, P-256 and Ed25519 keys are known".to_owned()),
    }
}

/// The content of the DER element of this tag at the front, and what follows it.
fn element(der: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (&[found, short], mut rest) = der.split_first_chunk::<2>()?;
    if found != tag {
        return None;
    }
    let mut length = usize::from(short);
    if short >= 0x80 {
        let count = usize::from(short & 0x7f);
        if count == 0 || count > 4 {
            return None;
        }
        let (digits, after) = rest.split_at_checked(count)?;
        length = digits.iter().fold(0, |n, digit| n << 8 | usize::from(*digit));
        rest = after;
    }
    rest.split_at_checked(length)
}

#[cfg(test)]
mod tests;
