//! Configuration: the settings of every subsystem, from the one table ([`crate::settings`]) to one typed value.
//!
//! [`Config::parse`] has each subsystem read its own settings (`config.rs` beside it), adds the rules that go over several of them,
//! and reports every problem at once. Of the files that settings name only those are read that hold a value
//! ([`secret_files`]); [`crate::check`] reads the others.
//!
//! # Invariants
//!
//! - Only those who start, check or turn a server's settings use this module; a subsystem gets its own `Config`.

pub mod secret_files;

use crate::settings::Parser;
pub use crate::settings::{CONFIG_FILE, Problem, Raw, earlier, in_one_line, table};
pub use crate::storage::Database;
use crate::sync::status;
use crate::{active, auth, cache, decisions, enrich, limits, listen, storage, telemetry};
use secret_files::SecretFiles;
use std::net::SocketAddr;

/// Everything a server is told.
#[derive(Debug)]
pub struct Config {
    /// Listeners.
    pub net: listen::config::Config,
    /// Where policies come from and how they decide.
    pub policies: active::config::Config,
    /// Storage.
    pub store: storage::Config,
    /// Caches.
    pub cache: cache::config::Config,
    /// Authentication.
    pub auth: auth::config::Config,
    /// Limits.
    pub limits: limits::config::Config,
    /// Decision log.
    pub log: decisions::config::Config,
    /// Where this server reports what it runs.
    pub status: Option<status::config::Config>,
    /// Logs and traces.
    pub telemetry: telemetry::config::Config,
    /// The scanner that is asked, where one is.
    pub shield: Option<enrich::config::Config>,
    /// Files that hold values, where there are some.
    pub secret_files: Option<SecretFiles>,
    /// What is no problem and should be known all the same.
    pub notes: Vec<Problem>,
}

impl Config {
    /// Checks all settings.
    ///
    /// # Errors
    ///
    /// Every problem, in the order of the table.
    pub fn parse(raw: &Raw) -> Result<Self, Vec<Problem>> {
        match Self::read(raw) {
            (config, problems) if problems.is_empty() => Ok(config),
            (_, problems) => Err(problems),
        }
    }

    /// Where the admin listener is, whatever else is wrong with the settings.
    ///
    /// # Errors
    ///
    /// What is wrong with the two settings that say it.
    pub fn admin(raw: &Raw) -> Result<SocketAddr, Vec<Problem>> {
        let mut parser = Parser {
            raw,
            problems: Vec::new(),
            notes: Vec::new(),
        };
        let address = SocketAddr::new(parser.address("METRICS_HOST"), parser.number("METRICS_PORT"));
        if parser.problems.is_empty() {
            Ok(address)
        } else {
            Err(parser.problems)
        }
    }

    /// What could be understood of the settings, and every problem. With problems no server may run with it; it is there to
    /// look for more of them.
    pub(crate) fn read(raw: &Raw) -> (Self, Vec<Problem>) {
        let mut problems = raw.problems.clone();
        problems.extend(raw.empty_secrets());
        problems.extend(raw.unread());
        let mut parser = Parser {
            raw,
            problems,
            notes: Vec::new(),
        };
        let p = &mut parser;
        let store = storage::config::read(p);
        let config = Self {
            net: listen::config::read(p),
            policies: active::config::read(p),
            cache: cache::config::read(p),
            auth: auth::config::read(p),
            limits: limits::config::read(p),
            log: decisions::config::read(p, &store),
            status: status::config::read(p),
            store,
            telemetry: telemetry::config::read(p),
            shield: enrich::config::read(p),
            secret_files: SecretFiles::of(raw),
            notes: std::mem::take(&mut p.notes),
        };
        p.problems.extend(raw.contradictions());
        for (name, addr) in [("HOST", config.net.http), ("METRICS_HOST", config.net.admin)] {
            if !addr.ip().is_loopback() && !config.auth.required() && !p.flag("INSECURE_NO_AUTH") {
                p.problem(
                    name,
                    format!(
                        "refusing to listen on {} without authentication; set JWT_SECRET, JWT_PUBLIC_KEY, JWT_JWKS or \
                         API_KEYS_ENABLED, or INSECURE_NO_AUTH=true (--insecure-no-auth) to let everybody in",
                        addr.ip()
                    ),
                );
            }
        }
        (config, parser.problems)
    }
}

#[cfg(test)]
mod tests;
