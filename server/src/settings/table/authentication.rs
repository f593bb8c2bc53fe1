//! Settings below the heading "Authentication".

use super::{AUTHENTICATION, Other, Setting, of, secret};

const GROUP: &str = "Authentication";

/// What turns tokens on.
const TOKENS: &[Other] = &["JWT_SECRET", "JWT_PUBLIC_KEY", "JWT_JWKS"];

/// In the order of the reference page.
pub(super) const ROWS: &[Setting] = &[
    secret(
        GROUP,
        "JWT_SECRET",
        "TEXT",
        "Secret of HS256 tokens, at least 32 bytes. Turns authentication on.",
    ),
    secret(
        GROUP,
        "JWT_SECRET_PREVIOUS",
        "TEXT",
        "A second secret of HS256 tokens, at least 32 bytes: tokens of both are accepted, and none is made with this one. For changing JWT_SECRET.",
    ).needs(&[&["JWT_SECRET"]]),
    of(
        GROUP,
        "JWT_ALGORITHM",
        "",
        "HS256|RS256|ES256|EdDSA",
        "The only algorithm accepted; HS256 with JWT_SECRET, RS256 with a key.",
    ).needs(&[TOKENS]),
    of(
        GROUP,
        "JWT_PUBLIC_KEY",
        "",
        "FILE",
        "PEM public key of RS256, ES256 or EdDSA tokens. Turns authentication on.",
    ).contradicts(&["JWT_SECRET"]),
    of(
        GROUP,
        "JWT_JWKS",
        "",
        "FILE|URL",
        "Key set of tokens, read again when it changes. Turns authentication on.",
    ).contradicts(&["JWT_SECRET", "JWT_PUBLIC_KEY"]),
    of(
        GROUP,
        "JWT_ISSUER",
        "llm-policy-engine",
        "TEXT",
        "`iss` that tokens must have.",
    ).needs(&[TOKENS]),
    of(
        GROUP,
        "JWT_AUDIENCE",
        "llm-policy-engine-api",
        "TEXT",
        "`aud` that tokens must have.",
    ).needs(&[TOKENS]),
    of(
        GROUP,
        "JWT_EXPIRES_IN",
        "1h",
        "DURATION",
        "Life of the tokens that `policyd token` makes, and the longest that is accepted of any token with an `iat`.",
    ).needs(&[TOKENS]),
    of(
        GROUP,
        "JWT_REQUIRE_NAMESPACES",
        "false",
        "BOOL",
        "Whether tokens without a claim `namespaces`, `namespace` or `tenant` are refused; otherwise they are for all namespaces. To use all namespaces then, use an API key.",
    ).needs(&[TOKENS]),
    of(
        GROUP,
        "API_KEYS_ENABLED",
        "false",
        "BOOL",
        "Whether API keys are accepted. Turns authentication on.",
    ),
    of(
        GROUP,
        "INSECURE_NO_AUTH",
        "false",
        "BOOL",
        "Listen on other addresses than loopback without authentication, with HOST and METRICS_HOST.",
    ).contradicts(AUTHENTICATION),
    of(
        GROUP,
        "AUTH_FAILURES",
        "120",
        "NUMBER",
        "Most wrong tokens and keys a minute, also at once, from one IPv4 address or one IPv6 /64 network; over the limit, requests get 429. Credentials that were valid before still work. 0 is no limit.",
    ),
];
