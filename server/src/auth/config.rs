//! Settings of authentication: `JWT_…`, `API_KEYS_ENABLED`.

use crate::settings::{Parser, Url};
use secrecy::{ExposeSecret as _, SecretString};
use std::path::PathBuf;
use std::time::Duration;

/// Authentication.
#[derive(Debug)]
pub struct Config {
    /// Keys of tokens; `None` accepts no tokens.
    pub jwt: Option<Jwt>,
    /// Whether API keys are accepted.
    pub api_keys: bool,
}

impl Config {
    /// Whether callers must prove who they are.
    #[must_use]
    pub fn required(&self) -> bool {
        self.jwt.is_some() || self.api_keys
    }
}

/// Tokens.
#[derive(Debug)]
pub struct Jwt {
    /// The only algorithm, when it is fixed; a key set may hold keys of several.
    pub algorithm: Option<Algorithm>,
    /// Where keys are.
    pub keys: JwtKeys,
    /// `iss`.
    pub issuer: String,
    /// `aud`.
    pub audience: String,
    /// Longest life.
    pub life: Duration,
    /// Whether every token has to say which namespaces it is for.
    pub require_namespaces: bool,
}

/// Algorithms of tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Algorithm {
    /// HMAC with SHA-256.
    Hs256,
    /// RSA PKCS #1 1.5 with SHA-256.
    Rs256,
    /// ECDSA on P-256.
    Es256,
    /// Ed25519.
    EdDsa,
}

/// Where the keys of tokens are.
#[derive(Debug)]
pub enum JwtKeys {
    /// A shared secret.
    Secret {
        /// The one that tokens are made with.
        current: SecretString,
        /// Another one, whose tokens are accepted too.
        previous: Option<SecretString>,
    },
    /// A PEM file.
    PublicKey(PathBuf),
    /// A key set in a file.
    JwksFile(PathBuf),
    /// A key set at a URL.
    JwksUrl(Url),
}

pub(crate) fn read(p: &mut Parser<'_>) -> Config {
    let algorithm = p.value("JWT_ALGORITHM", None, |text| match text {
        "HS256" => Some(Some(Algorithm::Hs256)),
        "RS256" => Some(Some(Algorithm::Rs256)),
        "ES256" => Some(Some(Algorithm::Es256)),
        "EdDSA" => Some(Some(Algorithm::EdDsa)),
        _ => None,
    });
    let secret = p
        .text("JWT_SECRET")
        .map(|secret| (secret.len(), SecretString::from(secret)));
    let jwks = p.text("JWT_JWKS").map(str::to_owned);
    let keys = match (secret, p.path("JWT_PUBLIC_KEY"), jwks) {
        (Some((length, secret)), ..) => {
            let too_few = |length| format!("{length} bytes are too few, at least 32 are needed");
            if length < 32 {
                p.problem("JWT_SECRET", too_few(length));
            }
            let previous = p.secret("JWT_SECRET_PREVIOUS");
            if let Some(previous) = &previous {
                let length = previous.expose_secret().len();
                if length < 32 {
                    p.problem("JWT_SECRET_PREVIOUS", too_few(length));
                }
                if previous.expose_secret() == secret.expose_secret() {
                    p.note(
                        "JWT_SECRET_PREVIOUS",
                        "is the same as JWT_SECRET, so it does nothing",
                    );
                }
            }
            if algorithm.is_some_and(|a| a != Algorithm::Hs256) {
                p.problem(
                    "JWT_ALGORITHM",
                    "a secret is for HS256; other algorithms need JWT_PUBLIC_KEY or JWT_JWKS",
                );
            }
            Some(JwtKeys::Secret {
                current: secret,
                previous,
            })
        }
        (None, Some(file), _) => Some(JwtKeys::PublicKey(file)),
        (None, None, Some(text)) if text.contains("://") => p.url("JWT_JWKS").map(JwtKeys::JwksUrl),
        (None, None, Some(file)) => Some(JwtKeys::JwksFile(PathBuf::from(file))),
        (None, None, None) => None,
    };
    if algorithm == Some(Algorithm::Hs256) && matches!(keys, Some(JwtKeys::PublicKey(_))) {
        p.problem("JWT_ALGORITHM", "a public key cannot check HS256");
    }
    let algorithm = match keys {
        Some(JwtKeys::Secret { .. }) => Some(Algorithm::Hs256),
        Some(JwtKeys::PublicKey(_)) => algorithm.or(Some(Algorithm::Rs256)),
        _ => algorithm,
    };
    let require_namespaces = p.flag("JWT_REQUIRE_NAMESPACES");
    let text = |p: &Parser<'_>, name: &str| p.text(name).unwrap_or_default().to_owned();
    Config {
        jwt: keys.map(|keys| Jwt {
            algorithm,
            keys,
            issuer: text(p, "JWT_ISSUER"),
            audience: text(p, "JWT_AUDIENCE"),
            life: p.duration("JWT_EXPIRES_IN"),
            require_namespaces,
        }),
        api_keys: p.flag("API_KEYS_ENABLED"),
    }
}
