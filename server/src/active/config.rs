//! Settings of what decides: where policies come from, and how they decide.

use crate::settings::{Parser, Url};
use policy_runtime::{DefaultDecision, DeriveMode, UnknownNamespace};
use secrecy::{ExposeSecret as _, SecretString};
use std::path::PathBuf;
use std::time::Duration;

/// Where the active policies come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// The store, written through the API.
    Store,
    /// A directory.
    Directory(PathBuf),
    /// A bundle in a file.
    BundleFile(PathBuf),
    /// A bundle at a URL.
    BundleUrl(Url),
}

impl Origin {
    /// As metrics call it: one of [`ORIGINS`](crate::telemetry::metrics::ORIGINS).
    #[must_use]
    pub fn label(&self) -> &'static str {
        match self {
            Self::Store => "store",
            Self::Directory(_) => "directory",
            Self::BundleFile(_) => "bundle_file",
            Self::BundleUrl(_) => "bundle_url",
        }
    }

    /// In a word, for people.
    #[must_use]
    pub fn describe(&self) -> String {
        match self {
            Self::Store => "the store".to_owned(),
            Self::Directory(path) => format!("the directory {}", path.display()),
            Self::BundleFile(path) => format!("the bundle {}", path.display()),
            Self::BundleUrl(url) => format!("the bundle at {url}"),
        }
    }
}

/// Where policies come from and how they decide.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where they come from.
    pub origin: Origin,
    /// How often a URL is asked.
    pub poll: Duration,
    /// What the server of the URL is sent to prove who asks.
    pub token: Option<SecretString>,
    /// Files of public keys.
    pub keys: Vec<PathBuf>,
    /// Derived fields.
    pub derive: DeriveMode,
    /// Decision where no rule fires.
    pub default_decision: DefaultDecision,
    /// What becomes of a namespace without active policies.
    pub unknown_namespace: UnknownNamespace,
    /// Prices instead of the built-in ones.
    pub prices: Option<PathBuf>,
    /// Whether somebody other than the author has to approve.
    pub approval: bool,
    /// Whether warnings are errors.
    pub strict: bool,
}

pub(crate) fn read(p: &mut Parser<'_>) -> Config {
    let origin = match (p.path("POLICIES"), p.text("BUNDLE").map(str::to_owned)) {
        (Some(dir), _) => Origin::Directory(dir),
        (None, Some(text)) if text.contains("://") => {
            p.url("BUNDLE").map_or(Origin::Store, Origin::BundleUrl)
        }
        (None, Some(file)) => Origin::BundleFile(PathBuf::from(file)),
        (None, None) => Origin::Store,
    };
    let token = p.secret("BUNDLE_TOKEN");
    if let (Some(token), Origin::BundleUrl(url)) = (&token, &origin) {
        bundle_token(p, token, url);
    }
    let keys: Vec<PathBuf> = p.list("BUNDLE_KEYS").into_iter().map(PathBuf::from).collect();
    Config {
        origin,
        poll: p.pause("BUNDLE_POLL"),
        token,
        keys,
        derive: p.value("DERIVE", DeriveMode::Always, |text| match text {
            "always" => Some(DeriveMode::Always),
            "missing" => Some(DeriveMode::Missing),
            "never" => Some(DeriveMode::Never),
            _ => None,
        }),
        default_decision: p.value("DEFAULT_DECISION", DefaultDecision::Allow, |text| match text {
            "allow" => Some(DefaultDecision::Allow),
            "deny" => Some(DefaultDecision::Deny),
            _ => None,
        }),
        unknown_namespace: p.value("UNKNOWN_NAMESPACE", UnknownNamespace::Error, |text| match text {
            "error" => Some(UnknownNamespace::Error),
            "global" => Some(UnknownNamespace::Global),
            _ => None,
        }),
        prices: p.path("PRICES_FILE"),
        approval: p.flag("APPROVAL_REQUIRED"),
        strict: p.flag("POLICY_STRICT"),
    }
}

/// Checks that a token can be sent to the server of a bundle, and that only this server reads it.
fn bundle_token(p: &mut Parser<'_>, token: &SecretString, url: &Url) {
    if !token.expose_secret().bytes().all(|byte| byte.is_ascii_graphic()) {
        p.problem("BUNDLE_TOKEN", "holds characters that a token cannot have");
    }
    if url.has_credentials() {
        p.problem(
            "BUNDLE_TOKEN",
            "contradicts the user and password in BUNDLE: a request proves who asks in one way",
        );
    }
    if !url.is_encrypted() && !url.is_local() {
        p.problem(
            "BUNDLE_TOKEN",
            format!("would be sent without TLS to {url}: only https and loopback addresses get a token"),
        );
    }
}
