//! Settings of Redis: `REDIS_…`.

use crate::settings::{Parser, url, value};
use secrecy::SecretString;
use std::path::PathBuf;

/// How to reach Redis.
#[derive(Debug, Clone)]
pub struct Config {
    /// `redis://` or `rediss://` URL.
    pub url: SecretString,
    /// Certificates that are trusted instead of the public ones.
    pub ca: Option<PathBuf>,
}

impl From<SecretString> for Config {
    fn from(url: SecretString) -> Self {
        Self { url, ca: None }
    }
}

/// Redis, where a URL or a host is given.
pub(crate) fn read(p: &mut Parser<'_>) -> Option<Config> {
    let url = p.text("REDIS_URL").map(str::to_owned);
    let redis = match (url.as_deref(), p.text("REDIS_HOST")) {
        (Some(url), _) if url.starts_with("redis://") || url.starts_with("rediss://") => {
            Some(redis_by_url(p, url))
        }
        (Some(_), _) => {
            p.problem("REDIS_URL", "expected redis://… or rediss://…");
            None
        }
        (None, Some(_)) => Some(redis_by_parts(p)),
        (None, None) => None,
    };
    let ca = p.path("REDIS_TLS_CA");
    redis.map(|url| Config { url, ca })
}

/// Redis logs nobody in by the name alone.
const NO_PASSWORD: &str = "needs REDIS_PASSWORD: Redis logs nobody in without one";

fn redis_by_parts(p: &mut Parser<'_>) -> SecretString {
    let host = p.text("REDIS_HOST").unwrap_or_default().to_owned();
    let scheme = if p.flag("REDIS_TLS_ENABLED") {
        "rediss"
    } else {
        "redis"
    };
    let user = p
        .text("REDIS_USERNAME")
        .map_or(String::new(), value::percent_encoded);
    let password = p.text("REDIS_PASSWORD").map_or(String::new(), |password| {
        format!("{user}:{}@", value::percent_encoded(password))
    });
    if !user.is_empty() && p.raw.given("REDIS_PASSWORD").is_none() {
        p.problem("REDIS_USERNAME", NO_PASSWORD);
    }
    let (port, db) = (p.number::<u16>("REDIS_PORT"), p.number::<u32>("REDIS_DB"));
    SecretString::from(format!("{scheme}://{password}{host}:{port}/{db}"))
}

/// The URL with what it leaves open.
fn redis_by_url(p: &mut Parser<'_>, url: &str) -> SecretString {
    // What is no URL is said by whoever opens it.
    let said = url::redis_says(url).unwrap_or_default();
    let encrypted = said.get("REDIS_TLS_ENABLED").is_some_and(|text| text == "true");
    if p.is_elsewhere("REDIS_URL", "REDIS_HOST", &said) && !encrypted {
        return redis_by_parts(p);
    }
    let before = p.problems.len();
    p.number::<u16>("REDIS_PORT");
    p.number::<u32>("REDIS_DB");
    p.flag("REDIS_TLS_ENABLED");
    let mut open = url::Said::new();
    for name in [
        "REDIS_HOST",
        "REDIS_PORT",
        "REDIS_USERNAME",
        "REDIS_PASSWORD",
        "REDIS_DB",
        "REDIS_TLS_ENABLED",
    ] {
        if let Some(text) = p.left_open("REDIS_URL", name, &said) {
            open.insert(name, text);
        }
    }
    let has_password = p.raw.given("REDIS_PASSWORD").is_some() || said.contains_key("REDIS_PASSWORD");
    if open.contains_key("REDIS_USERNAME") && !has_password {
        p.problem("REDIS_USERNAME", NO_PASSWORD);
    }
    if open.is_empty() || p.problems.len() > before {
        return SecretString::from(url);
    }
    SecretString::from(url::redis_with(url, &open).unwrap_or_else(|| url.to_owned()))
}
