//! Authentication: from what a caller sends to an [`Identity`], or to a refusal.
//!
//! REST passes the headers `Authorization` and `X-API-Key`, gRPC the metadata of the same names; both call
//! [`Authenticator::authenticate`] and nothing else. What an identity may do is decided in the service layer.
//!
//! ```text
//! Authorization: Bearer lpk_…  ─┐
//! X-API-Key: lpk_…             ─┴─> api_key   record in the store, hash, expiry, revocation
//! Authorization: Bearer …      ───> jwt       key by `kid` (jwks), signature (provider), claims
//! ```
//!
//! # Invariants
//!
//! - With authentication configured, no request without a valid token or key gets an identity, whatever else fails.
//! - Only one credential counts: two of them are refused, because whoever stands in front may look at the other one.
//! - Refusals tell the honest what is wrong (expired, other issuer) and say nothing of keys, secrets or records.

pub mod api_key;
#[cfg(test)]
mod fixtures;
mod jwks;
mod jwt;
mod provider;

use crate::config;
use crate::error::{Code, ServiceError};
use crate::identity::Identity;
use crate::storage::Store;
pub use api_key::KeyError;
pub use jwt::{LEEWAY_SECONDS, MAX_TOKEN_BYTES, TokenError, issue};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// Why authentication could not be set up, or a token or key not be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AuthError {
    /// Another cryptography for tokens is installed in this process.
    Provider,
    /// The algorithm does not go with the keys.
    Algorithm(&'static str),
    /// The secret of HS256 has fewer than 32 bytes.
    SecretTooShort,
    /// The public keys cannot be read or used.
    Keys {
        /// File or URL.
        source: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The system gives no random bytes.
    Random,
    /// The token to make would be refused.
    Token(TokenError),
}

impl fmt::Display for AuthError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Provider => f.write_str("another cryptography for tokens is installed in this process"),
            Self::Algorithm(what) => f.write_str(what),
            Self::SecretTooShort => f.write_str("the secret of tokens needs at least 32 bytes"),
            Self::Keys { source, reason } => write!(f, "cannot use the keys of tokens in {source}: {reason}"),
            Self::Random => f.write_str("the system gives no random bytes"),
            Self::Token(error) => write!(f, "this server would refuse the token: {error}"),
        }
    }
}

impl std::error::Error for AuthError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Token(error) => Some(error),
            Self::Provider | Self::Algorithm(_) | Self::SecretTooShort | Self::Keys { .. } | Self::Random => {
                None
            }
        }
    }
}

impl From<AuthError> for ServiceError {
    fn from(error: AuthError) -> Self {
        Self::internal(error)
    }
}

/// Tells who is asking.
#[derive(Debug)]
pub struct Authenticator {
    required: bool,
    tokens: Option<jwt::Tokens>,
    keys: Option<api_key::Keys>,
}

/// Whether the keys of tokens can be used, as far as that can be said without asking another server. Blocks for the
/// reading.
///
/// # Errors
///
/// [`AuthError::Keys`].
pub fn check(jwt: &config::Jwt) -> Result<(), AuthError> {
    jwks::check(jwt)
}

impl Authenticator {
    /// Sets up what the configuration asks for: reads keys of tokens and starts watching them. Needs a Tokio runtime.
    ///
    /// # Errors
    ///
    /// Keys of tokens that cannot be used; see [`AuthError`]. A key set at a URL that does not answer is no error: tokens
    /// are refused until it does.
    pub async fn build(config: &config::Auth, store: Arc<dyn Store>) -> Result<Self, AuthError> {
        Ok(Self {
            required: config.required(),
            tokens: match &config.jwt {
                Some(jwt) => Some(jwt::Tokens::build(jwt).await?),
                None => None,
            },
            keys: config.api_keys.then(|| api_key::Keys::new(store)),
        })
    }

    /// Who is asking, by the `Authorization` header (`Bearer` and a token or an API key) or the `X-API-Key` header. With
    /// authentication off, everybody is [`Identity::anonymous`].
    ///
    /// # Errors
    ///
    /// - [`Code::Unauthenticated`]: no credential, a wrong one, or two.
    /// - [`Code::StoreUnavailable`]: the record of an API key cannot be read.
    /// - [`Code::NotReady`]: the keys of tokens could never be read since the server started.
    pub async fn authenticate(
        &self,
        authorization: Option<&str>,
        api_key: Option<&str>,
    ) -> Result<Identity, ServiceError> {
        if !self.required {
            return Ok(Identity::anonymous());
        }
        let refuse = |detail: &str| ServiceError::new(Code::Unauthenticated, detail);
        match (authorization, api_key) {
            (None, None) => Err(refuse("give a token or an API key")),
            (Some(_), Some(_)) => Err(refuse("give either `Authorization` or `X-API-Key`, not both")),
            (None, Some(key)) => self.key(key.trim()).await,
            (Some(header), None) => {
                let credential = bearer(header).ok_or_else(|| refuse("`Authorization` must be `Bearer`"))?;
                if credential.starts_with(api_key::PREFIX) {
                    self.key(credential).await
                } else {
                    self.token(credential).await
                }
            }
        }
    }

    /// Forgets what is remembered of an API key, after it was changed through this server. Others see the change within
    /// five seconds.
    pub fn forget_key(&self, id: &str) {
        if let Some(keys) = &self.keys {
            keys.forget(id);
        }
    }

    async fn key(&self, key: &str) -> Result<Identity, ServiceError> {
        match &self.keys {
            Some(keys) => keys.verify(key).await,
            None => Err(ServiceError::new(
                Code::Unauthenticated,
                "API keys are not accepted here",
            )),
        }
    }

    async fn token(&self, token: &str) -> Result<Identity, ServiceError> {
        let Some(tokens) = &self.tokens else {
            return Err(ServiceError::new(
                Code::Unauthenticated,
                "tokens are not accepted here",
            ));
        };
        tokens.verify(token).await.map_err(|error| {
            let detail = error.to_string();
            match error {
                TokenError::KeysUnavailable => {
                    ServiceError::new(Code::NotReady, detail).retry_after(Duration::from_secs(10))
                }
                TokenError::TooLong
                | TokenError::Malformed
                | TokenError::Algorithm
                | TokenError::Critical
                | TokenError::NoKeyId
                | TokenError::UnknownKey
                | TokenError::Signature
                | TokenError::Expired
                | TokenError::NotYetValid
                | TokenError::Issuer
                | TokenError::Audience
                | TokenError::Life
                | TokenError::Missing(_)
                | TokenError::Claim(_) => ServiceError::new(Code::Unauthenticated, detail),
            }
        })
    }
}

/// What stands after `Bearer` in a header.
fn bearer(header: &str) -> Option<&str> {
    let (scheme, credential) = header.trim().split_once(' ')?;
    scheme
        .eq_ignore_ascii_case("bearer")
        .then_some(credential.trim_start_matches(' '))
}
