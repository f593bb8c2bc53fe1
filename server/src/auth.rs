//! Authentication: from what a caller sends to an [`Identity`], or to a refusal.
//!
//! REST passes headers and gRPC metadata, which are one to HTTP: [`Credentials::of`] takes `Authorization` and `X-API-Key` out
//! of them, and [`Authenticator::identify`] is the only way from there to an identity. What an identity may do is decided in
//! the service layer.
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
//! - A request has one credential. Two are refused, in two headers or in one header twice, because whoever stands in front
//!   may look at the other one; and so is one that is no text.
//! - Callers of an address that failed too often are refused unread (`failures`), but for credentials that were good before.
//! - Refusals tell the honest what is wrong (expired, other issuer) and say nothing of keys, secrets or records.

pub mod api_key;
pub mod config;
mod failures;
#[cfg(test)]
mod fixtures;
mod jwks;
mod jwt;
mod provider;

use crate::error::{Code, ServiceError};
use crate::identity::Identity;
use crate::shares::Address;
use crate::storage::Store;
pub use api_key::KeyError;
use failures::Failures;
use http::{HeaderMap, HeaderName, HeaderValue, header};
pub use jwt::{LEEWAY_SECONDS, MAX_TOKEN_BYTES, TokenError, issue};
use std::fmt;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

/// Header of an API key, and key of gRPC metadata.
const API_KEY: HeaderName = HeaderName::from_static("x-api-key");

/// What a request gives to prove who makes it.
#[derive(Clone)]
pub enum Credentials {
    /// Nothing.
    None,
    /// The `Authorization` header.
    Authorization(HeaderValue),
    /// The `X-API-Key` header.
    ApiKey(HeaderValue),
    /// More than one of these.
    Several,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "Credentials::None",
            Self::Authorization(_) => "Credentials::Authorization(***)",
            Self::ApiKey(_) => "Credentials::ApiKey(***)",
            Self::Several => "Credentials::Several",
        })
    }
}

impl Credentials {
    /// Those in these headers.
    #[must_use]
    pub fn of(headers: &HeaderMap) -> Self {
        let mut authorization = headers.get_all(header::AUTHORIZATION).iter();
        let mut api_key = headers.get_all(API_KEY).iter();
        let found = match (authorization.next(), api_key.next()) {
            (None, None) => Self::None,
            (Some(value), None) => Self::Authorization(value.clone()),
            (None, Some(value)) => Self::ApiKey(value.clone()),
            (Some(_), Some(_)) => Self::Several,
        };
        if authorization.next().is_some() || api_key.next().is_some() {
            return Self::Several;
        }
        found
    }

    /// Whether there is something.
    #[must_use]
    pub fn is_given(&self) -> bool {
        !matches!(self, Self::None)
    }
}

/// Why authentication could not be set up, or a token or key not be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AuthError {
    /// Another cryptography for tokens is installed in this process.
    #[error("another cryptography for tokens is installed in this process")]
    Provider,
    /// The algorithm does not go with the keys.
    #[error("{0}")]
    Algorithm(&'static str),
    /// The secret of HS256 has fewer than 32 bytes.
    #[error("the secret of tokens needs at least 32 bytes")]
    SecretTooShort,
    /// The public keys cannot be read or used.
    #[error("cannot use the keys of tokens in {place}: {reason}")]
    Keys {
        /// File or URL.
        place: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The system gives no random bytes.
    #[error("the system gives no random bytes")]
    Random,
    /// The token to make would be refused.
    #[error("this server would refuse the token: {0}")]
    Token(#[source] TokenError),
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
    failures: Option<Failures>,
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
    pub async fn build(config: &config::Config, store: Arc<dyn Store>) -> Result<Self, AuthError> {
        Ok(Self {
            required: config.required(),
            tokens: match &config.jwt {
                Some(jwt) => Some(jwt::Tokens::build(jwt).await?),
                None => None,
            },
            keys: config.api_keys.then(|| api_key::Keys::new(store)),
            failures: None,
        })
    }

    /// Accepts tokens of the secrets of this configuration from now on, and of no others.
    ///
    /// # Errors
    ///
    /// [`AuthError::SecretTooShort`], and [`AuthError::Algorithm`] where tokens are not of secrets; what was accepted before
    /// stays then.
    pub fn replace_secrets(&self, jwt: &config::Jwt) -> Result<(), AuthError> {
        match &self.tokens {
            Some(tokens) => tokens.replace_secrets(jwt),
            None => Err(AuthError::Algorithm("tokens are not accepted here")),
        }
    }

    /// The same, that refuses callers of an address unread once they have failed so often in a minute; 0 is no limit.
    #[must_use]
    pub fn with_most_failures(mut self, most: u32) -> Self {
        self.failures = NonZeroU32::new(most).map(Failures::new);
        self
    }

    /// Who is asking, by what a request from this address gives. With authentication off, everybody is
    /// [`Identity::anonymous`].
    ///
    /// # Errors
    ///
    /// As [`Authenticator::authenticate`], and [`Code::RateLimited`] for an address that has failed too often.
    pub async fn identify(
        &self,
        credentials: &Credentials,
        address: Address,
    ) -> Result<Identity, ServiceError> {
        let refuse = |detail: &str| Err(ServiceError::new(Code::Unauthenticated, detail));
        if !self.required || !credentials.is_given() {
            return self.authenticate(None, None).await;
        }
        let wait = self.failures.as_ref().and_then(|failures| failures.wait(address));
        let limited = |wait: Duration| {
            ServiceError::new(
                Code::RateLimited,
                "too many requests from this address had no valid token or key",
            )
            .retry_after(wait)
        };
        // What is no text is a credential that is wrong, and not none.
        let (authorization, api_key) = match credentials {
            Credentials::Authorization(value) => (value.to_str().ok(), None),
            Credentials::ApiKey(value) => (None, value.to_str().ok()),
            Credentials::None | Credentials::Several => (None, None),
        };
        let given = authorization.or(api_key);
        if let Some(wait) = wait
            && !given.is_some_and(|given| self.was_good(given))
        {
            return Err(limited(wait));
        }
        let result = match credentials {
            Credentials::Several => refuse("give one token or one API key, not several"),
            _ if given.is_none() => refuse("the token or API key is no text"),
            _ => self.authenticate(authorization, api_key).await,
        };
        match (result, &self.failures) {
            (Err(error), Some(failures)) if error.code == Code::Unauthenticated => {
                failures.count(address);
                Err(wait.map_or(error, limited))
            }
            (result, _) => result,
        }
    }

    /// Whether a credential, or a key of its id, was found good before, as far as is remembered.
    fn was_good(&self, given: &str) -> bool {
        let credential = bearer(given).unwrap_or_else(|| given.trim());
        match credential.strip_prefix(api_key::PREFIX) {
            Some(_) => self.keys.as_ref().is_some_and(|keys| keys.is_known(credential)),
            None => self
                .tokens
                .as_ref()
                .is_some_and(|tokens| tokens.is_known(credential)),
        }
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
            // What asks the store or other servers is in memory of its own: most futures of requests hold one of these.
            (None, Some(key)) => Box::pin(self.key(key.trim())).await,
            (Some(header), None) => {
                let credential = bearer(header).ok_or_else(|| refuse("`Authorization` must be `Bearer`"))?;
                if credential.starts_with(api_key::PREFIX) {
                    Box::pin(self.key(credential)).await
                } else {
                    Box::pin(self.token(credential)).await
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
                "API keys are not accepted here; send a token in `Authorization: Bearer`",
            )),
        }
    }

    async fn token(&self, token: &str) -> Result<Identity, ServiceError> {
        let Some(tokens) = &self.tokens else {
            return Err(ServiceError::new(
                Code::Unauthenticated,
                "tokens are not accepted here; send an API key in `X-API-Key`",
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
