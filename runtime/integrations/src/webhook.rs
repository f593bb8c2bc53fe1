//! Signed webhooks, as the Standard Webhooks specification says: `webhook-id`, `webhook-timestamp`, `webhook-signature`.
//!
//! The signature is `v1,` and the base64 of HMAC-SHA256 over `id.timestamp.body`. Several signatures, one for each secret, stand with
//! spaces between: so a secret is changed without a pause. These are plain functions: who sends, from where, and how often is the
//! business of the caller.
//!
//! ```
//! use policy_integrations::webhook::{Key, TOLERANCE, sign, verify};
//! use std::time::{Duration, SystemTime};
//!
//! let key = Key::parse(&"whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=".to_owned().into())?;
//! let now = SystemTime::now();
//! let signed = sign(&[&key], "evt_1", now, b"{}")?;
//!
//! verify(&[&key], &signed, b"{}", now, TOLERANCE)?;
//! assert!(verify(&[&key], &signed, b"{ }", now, TOLERANCE).is_err());
//! assert!(verify(&[&key], &signed, b"{}", now + Duration::from_secs(301), TOLERANCE).is_err());
//! # Ok::<(), policy_integrations::webhook::WebhookError>(())
//! ```

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::hmac;
use secrecy::{ExposeSecret as _, SecretString};
use std::fmt;
use std::time::{Duration, SystemTime};

/// How old, or how far in the future, a webhook may be: five minutes.
pub const TOLERANCE: Duration = Duration::from_secs(300);

/// Bytes of a secret, least and most.
const SECRET_LENGTH: std::ops::RangeInclusive<usize> = 24..=64;

/// Signatures of a header that are looked at.
const MAX_SIGNATURES: usize = 32;

/// A secret that webhooks are signed with. Never printed.
#[derive(Clone)]
pub struct Key(hmac::Key);

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key([REDACTED])")
    }
}

/// The three headers of a webhook.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signed {
    /// `webhook-id`: the same each time that the same event is sent.
    pub id: String,
    /// `webhook-timestamp`: seconds since 1970 of this attempt.
    pub timestamp: String,
    /// `webhook-signature`.
    pub signature: String,
}

/// Why a webhook is not signed, or not accepted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WebhookError {
    /// The secret is not `whsec_` and the base64 of 24 to 64 bytes.
    #[error("the secret is not `whsec_` and the base64 of 24 to 64 bytes")]
    Secret,
    /// There is no secret at all.
    #[error("there is no secret")]
    NoKey,
    /// The id is empty, has a `.` in it, or is no visible ASCII.
    #[error("the id is empty, has a `.` in it, or is no visible ASCII")]
    Id,
    /// The timestamp is no number of seconds since 1970.
    #[error("the timestamp is no number of seconds since 1970")]
    Timestamp,
    /// Older than tolerated.
    #[error("the webhook is too old")]
    TooOld,
    /// Further in the future than tolerated.
    #[error("the webhook is from the future")]
    TooNew,
    /// No signature is one of these secrets'.
    #[error("no signature fits")]
    Signature,
}

impl Key {
    /// Reads a secret: `whsec_` and base64. The prefix may be missing.
    ///
    /// # Errors
    ///
    /// [`WebhookError::Secret`].
    pub fn parse(secret: &SecretString) -> Result<Self, WebhookError> {
        let text = secret.expose_secret();
        let bytes = STANDARD
            .decode(text.strip_prefix("whsec_").unwrap_or(text))
            .map_err(|_| WebhookError::Secret)?;
        if !SECRET_LENGTH.contains(&bytes.len()) {
            return Err(WebhookError::Secret);
        }
        Ok(Self(hmac::Key::new(hmac::HMAC_SHA256, &bytes)))
    }
}

impl Signed {
    /// Names and values of the headers.
    #[must_use]
    pub fn headers(&self) -> [(&'static str, &str); 3] {
        [
            ("webhook-id", &self.id),
            ("webhook-timestamp", &self.timestamp),
            ("webhook-signature", &self.signature),
        ]
    }
}

/// What is signed. An id without `.` and a timestamp of digits make it unambiguous.
fn content(id: &str, timestamp: &str, body: &[u8]) -> Result<Vec<u8>, WebhookError> {
    let plain = |byte: u8| (0x21..=0x7e).contains(&byte) && byte != b'.';
    if id.is_empty() || !id.bytes().all(plain) {
        return Err(WebhookError::Id);
    }
    Ok([id.as_bytes(), b".", timestamp.as_bytes(), b".", body].concat())
}

/// Signs a body with each of these secrets.
///
/// # Errors
///
/// - [`WebhookError::NoKey`]: no secret.
/// - [`WebhookError::Id`]: an id that cannot be signed without doubt.
/// - [`WebhookError::Timestamp`]: before 1970.
pub fn sign(keys: &[&Key], id: &str, at: SystemTime, body: &[u8]) -> Result<Signed, WebhookError> {
    if keys.is_empty() {
        return Err(WebhookError::NoKey);
    }
    let since = at
        .duration_since(SystemTime::UNIX_EPOCH)
        .map_err(|_| WebhookError::Timestamp)?;
    let timestamp = since.as_secs().to_string();
    let content = content(id, &timestamp, body)?;
    let signatures: Vec<String> = keys
        .iter()
        .map(|key| format!("v1,{}", STANDARD.encode(hmac::sign(&key.0, &content))))
        .collect();
    Ok(Signed {
        id: id.to_owned(),
        timestamp,
        signature: signatures.join(" "),
    })
}

/// Whether a body is what somebody signed who knows one of these secrets, lately. Looks at the body as it was received, byte for byte.
/// Who must not act twice on one event remembers ids for as long as `tolerance` reaches.
///
/// # Errors
///
/// Why it is not accepted.
pub fn verify(
    keys: &[&Key],
    signed: &Signed,
    body: &[u8],
    now: SystemTime,
    tolerance: Duration,
) -> Result<(), WebhookError> {
    if keys.is_empty() {
        return Err(WebhookError::NoKey);
    }
    let digits = !signed.timestamp.is_empty() && signed.timestamp.bytes().all(|byte| byte.is_ascii_digit());
    let seconds: u64 = signed.timestamp.parse().map_err(|_| WebhookError::Timestamp)?;
    let at = SystemTime::UNIX_EPOCH
        .checked_add(Duration::from_secs(seconds))
        .filter(|_| digits)
        .ok_or(WebhookError::Timestamp)?;
    if now.duration_since(at).is_ok_and(|age| age > tolerance) {
        return Err(WebhookError::TooOld);
    }
    if at.duration_since(now).is_ok_and(|ahead| ahead > tolerance) {
        return Err(WebhookError::TooNew);
    }
    let content = content(&signed.id, &signed.timestamp, body)?;
    for signature in signed.signature.split(' ').take(MAX_SIGNATURES) {
        let Some(bytes) = signature
            .strip_prefix("v1,")
            .and_then(|text| STANDARD.decode(text).ok())
        else {
            continue;
        };
        // Compares in constant time.
        if keys
            .iter()
            .any(|key| hmac::verify(&key.0, &content, &bytes).is_ok())
        {
            return Ok(());
        }
    }
    Err(WebhookError::Signature)
}
