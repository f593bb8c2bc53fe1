//! Everything that can be said about settings before a server starts: their values, and the files that they name.
//!
//! `policyd` starts with [`settings`], and `policyd check-config` is nothing else. Files are read by the functions that the
//! server reads them with.
//!
//! # Invariants
//!
//! - Every problem is reported, each with the setting and its source.
//! - Nothing is made or changed, and no other server is asked.
//!
//! # Not done here
//!
//! A bundle may come after the server, so its file need not be there yet. Ports may be taken when it comes to it.

use crate::active::Origin;
use crate::auth::config::JwtKeys;
use crate::config::Config;
use crate::decisions;
use crate::decisions::config::{Archive, Sink};
use crate::enrich;
use crate::redis_client::{self, Unusable};
use crate::settings::{Problem, Raw};
use crate::storage::Database;
use crate::storage::config::Postgres;
use crate::tls;
use crate::{auth, server};
use secrecy::ExposeSecret as _;
use sqlx::postgres::PgConnectOptions;
use std::io::ErrorKind;
use std::path::Path;

/// The configuration, where nothing is wrong with it. Blocks for the reading of files.
///
/// # Errors
///
/// Every problem.
pub fn settings(raw: &Raw) -> Result<Config, Vec<Problem>> {
    let (config, mut problems) = Config::read(raw);
    for (setting, message) in files(raw, &config) {
        problems.push(raw.problem(setting, message));
    }
    if problems.is_empty() {
        Ok(config)
    } else {
        Err(problems)
    }
}

/// Setting and reason for every file and place that cannot be used.
fn files(raw: &Raw, config: &Config) -> Vec<(&'static str, String)> {
    let mut found = Vec::new();
    if let Some(tls) = &config.net.tls {
        let problems = tls::problems(tls).into_iter();
        found.extend(problems.map(|(setting, error)| (setting, error.to_string())));
    }
    if let Origin::Directory(path) = &config.policies.origin
        && let Err(error) = std::fs::read_dir(path)
    {
        found.push(("POLICIES", format!("{}: {error}", path.display())));
    }
    for path in &config.policies.keys {
        if let Err(error) = server::key(path) {
            found.push(("BUNDLE_KEYS", format!("{error:#}")));
        }
    }
    if let Some(Err(error)) = config.policies.prices.as_deref().map(server::prices) {
        found.push(("PRICES_FILE", format!("{error:#}")));
    }
    store(config, &mut found);
    if let Some(Err(error)) = config.cache.redis.as_ref().map(redis_client::open) {
        let by_url = raw.has("REDIS_URL");
        found.push(match error {
            Unusable::Url(kind) => (
                if by_url { "REDIS_URL" } else { "REDIS_HOST" },
                format!("cannot be used: {kind}"),
            ),
            Unusable::Ca(error) => ("REDIS_TLS_CA", error.to_string()),
        });
    }
    if let Some(jwt) = &config.auth.jwt
        && let Err(error) = auth::check(jwt)
    {
        let setting = match jwt.keys {
            JwtKeys::Secret { .. } => "JWT_SECRET",
            JwtKeys::PublicKey(_) => "JWT_PUBLIC_KEY",
            JwtKeys::JwksFile(_) | JwtKeys::JwksUrl(_) => "JWT_JWKS",
        };
        found.push((setting, error.to_string()));
    }
    if let Some(Err(problem)) = config.shield.as_ref().map(enrich::client) {
        found.push(problem);
    }
    for sink in &config.log.sinks {
        if let Sink::File(path) = sink
            && let Err(reason) = appendable(path)
        {
            found.push(("DECISION_LOG", reason));
        }
    }
    if let Some(segments) = &config.log.segments {
        let mut places = vec![("DATA_DIR", &segments.journal)];
        match &segments.archive {
            Archive::Folder(path) => places.push(("DECISION_LOG_SEGMENTS", path)),
            Archive::Bucket(bucket) => {
                if let Err(reason) = decisions::check_bucket(bucket) {
                    found.push(("DECISION_LOG_SEGMENTS", format!("{bucket}: {reason}")));
                }
            }
        }
        for (setting, place) in places {
            if let Err(reason) = directory(place) {
                let place = place.display();
                found.push((setting, format!("cannot keep decisions in {place}: {reason}")));
            }
        }
    }
    if let Some(webhook) = &config.log.webhook {
        if let Err(reason) = directory(&webhook.spool.directory) {
            found.push(("WEBHOOK_SPOOL", reason));
        }
        if let Some(Err(error)) = webhook.ca.as_deref().map(tls::authorities) {
            found.push(("WEBHOOK_TLS_CA", error.to_string()));
        }
    }
    found
}

fn store(config: &Config, found: &mut Vec<(&'static str, String)>) {
    let data_dir = &config.store.data_dir;
    let database_in_it =
        matches!(&config.store.database, Database::SqliteFile(path) if path.starts_with(data_dir));
    let bundle_in_it = matches!(
        config.policies.origin,
        Origin::BundleFile(_) | Origin::BundleUrl(_)
    );
    // Whoever has the database elsewhere may do without the place.
    if (database_in_it || bundle_in_it)
        && let Err(reason) = directory(data_dir)
    {
        found.push(("DATA_DIR", reason));
    }
    if let Some(spool) = config.log.spool.as_ref().filter(|spool| spool.required)
        && let Err(reason) = directory(&spool.directory)
    {
        let place = spool.directory.display();
        found.push((
            "DECISION_LOG_SPOOL",
            format!("cannot keep decisions in {place}: {reason}"),
        ));
    }
    match &config.store.database {
        Database::Postgres(Postgres {
            url, ssl_root_cert, ..
        }) => {
            // The error may quote the URL.
            let url = url
                .as_ref()
                .map(|url| url.expose_secret().parse::<PgConnectOptions>());
            if let Some(Err(_)) = url {
                found.push(("DATABASE_URL", "is no URL of a PostgreSQL database".to_owned()));
            }
            if let Some(Err(error)) = ssl_root_cert.as_deref().map(tls::authorities) {
                found.push(("DATABASE_SSL_ROOT_CERT", error.to_string()));
            }
        }
        Database::SqliteFile(path) => {
            if let Some(Err(reason)) = path.parent().filter(|_| !database_in_it).map(directory) {
                found.push(("DATABASE_URL", reason));
            }
        }
        Database::SqliteMemory => {}
    }
}

/// Whether a directory is there, or can be made as far as names go.
fn directory(path: &Path) -> Result<(), String> {
    for place in path.ancestors().filter(|place| !place.as_os_str().is_empty()) {
        match std::fs::metadata(place) {
            Ok(meta) if meta.is_dir() => return Ok(()),
            Ok(_) => return Err(format!("{} is no directory", place.display())),
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(format!("{}: {error}", place.display())),
        }
    }
    Ok(())
}

/// Whether lines can be appended to a file, which is not made for that.
fn appendable(path: &Path) -> Result<(), String> {
    let failed = |error: std::io::Error| format!("cannot write {}: {error}", path.display());
    match std::fs::OpenOptions::new().append(true).open(path) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
            std::fs::read_dir(parent.unwrap_or(Path::new("."))).map_err(failed)?;
            Ok(())
        }
        Err(error) => Err(failed(error)),
    }
}
