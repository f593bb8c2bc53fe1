//! Secrets that change while the server runs: looks at the files that hold them, and gives new values to whoever uses them.
//!
//! ```text
//! NAME_FILE ─► config::secret_files (all files of a part, and every rule of settings) ─► tokens, PostgreSQL, Redis, sealer, bundle, scanner
//! ```
//!
//! # Invariants
//!
//! - A value that is not good, or that a server does not let in, replaces nothing. It is tried again until it is good, or until
//!   the file holds what is in use; the log says so once for each change of the file.
//! - A failure of one part holds up no other. Readiness is degraded meanwhile, and says which files cannot be used.
//!
//! Files of certificates and public keys are watched where they are used: [`crate::tls`] and `auth`.

use crate::config::Config;
use crate::config::secret_files::{Candidate, Look, Part, SecretFiles};
use crate::settings::in_one_line;
use crate::state::App;
use crate::storage::Database;
use crate::storage::Login;
use crate::sync::bundle::Token;
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// How often files are looked at.
const LOOK: Duration = Duration::from_secs(1);

/// Longest pause between two attempts with a value that a server did not let in.
const RETRY: Duration = Duration::from_secs(5);

/// How long a look may take before readiness tells of it. A folder of another machine that is away does not answer at all.
const PATIENCE: Duration = Duration::from_secs(5);

/// What readiness calls the files.
const DEPENDENCY: &str = "secret files";

/// Looks at files of secrets.
#[derive(Debug)]
pub struct Rotation {
    /// The files.
    pub files: SecretFiles,
    /// Whom connections to PostgreSQL log in as, where it is used.
    pub login: Option<Login>,
    /// What a bundle at a URL is asked for with.
    pub token: Token,
    /// What reports are sent with.
    pub status: Token,
}

/// An attempt that failed.
#[derive(Debug)]
struct Failed {
    reason: String,
    pause: Duration,
    next: Instant,
}

impl Rotation {
    /// Runs until cancelled.
    pub async fn run(mut self, app: App, stop: CancellationToken) {
        let mut failed: BTreeMap<Part, Failed> = BTreeMap::new();
        let mut is_noted = false;
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(LOOK) => {}
            }
            let mut files = self.files;
            let mut looked = tokio::task::spawn_blocking(move || {
                let found: Vec<(Part, Look)> = files
                    .parts()
                    .into_iter()
                    .map(|part| (part, files.look(part)))
                    .collect();
                (files, found)
            });
            let looked = loop {
                tokio::select! {
                    () = stop.cancelled() => return,
                    looked = &mut looked => break looked,
                    () = tokio::time::sleep(PATIENCE) => {
                        is_noted = true;
                        app.health.note(DEPENDENCY, Some("reading them takes too long".to_owned()));
                    }
                }
            };
            let found = match looked {
                Ok((files, found)) => {
                    self.files = files;
                    found
                }
                Err(error) => {
                    tracing::error!(%error, "files of secrets are not looked at any more");
                    app.health
                        .note(DEPENDENCY, Some("they are not looked at any more".to_owned()));
                    return;
                }
            };
            for (part, look) in found {
                // A server that does not answer holds up no stop.
                tokio::select! {
                    () = stop.cancelled() => return,
                    () = self.attend(&app, part, look, &mut failed) => {}
                }
            }
            let reasons: Vec<&str> = failed.values().map(|failed| failed.reason.as_str()).collect();
            if is_noted || !reasons.is_empty() {
                is_noted = true;
                let reason = (!reasons.is_empty()).then(|| reasons.join("; "));
                app.health.note(DEPENDENCY, reason);
            }
        }
    }

    /// Does what a look at a part asks for.
    async fn attend(&mut self, app: &App, part: Part, look: Look, failed: &mut BTreeMap<Part, Failed>) {
        let (candidate, news) = match look {
            Look::Same => {
                failed.remove(&part);
                return;
            }
            Look::Unsettled => return,
            Look::Other { candidate, news } => (candidate, news),
        };
        let now = Instant::now();
        if !news && failed.get(&part).is_some_and(|failed| now < failed.next) {
            return;
        }
        let outcome = match candidate {
            Ok(candidate) => self.apply(app, part, &candidate.config).await.map(|()| candidate),
            Err(problems) => Err(in_one_line(&problems)),
        };
        match outcome {
            Ok(candidate) => {
                failed.remove(&part);
                self.took(part, *candidate);
            }
            Err(reason) => {
                // Said once for each state of the files.
                if news {
                    tracing::warn!(settings = %part, %reason, "new values cannot be used, the last good ones stay");
                }
                let pause = match failed.get(&part) {
                    Some(failed) if !news => (failed.pause * 2).min(RETRY),
                    Some(_) | None => LOOK,
                };
                failed.insert(
                    part,
                    Failed {
                        reason,
                        pause,
                        next: Instant::now() + pause,
                    },
                );
            }
        }
    }

    fn took(&mut self, part: Part, candidate: Candidate) {
        tracing::info!(settings = %part, "took the new values of files");
        for note in &candidate.config.notes {
            let name = note.setting.to_ascii_uppercase().replace('-', "_");
            let name = name.trim_start_matches('_');
            if part.settings().iter().any(|setting| name.starts_with(setting)) {
                tracing::warn!(setting = note.setting, source = %note.source, "{}", note.message);
            }
        }
        self.files.take(candidate);
    }

    /// Gives new values to whoever uses them.
    async fn apply(&self, app: &App, part: Part, config: &Config) -> Result<(), String> {
        let said = |error: &dyn std::fmt::Display| error.to_string();
        match part {
            Part::Tokens => match &config.auth.jwt {
                Some(jwt) => app.auth.replace_secrets(jwt).map_err(|error| said(&error)),
                None => Err("there is no secret of tokens".to_owned()),
            },
            Part::Database => match (&config.store.database, &self.login) {
                (Database::Postgres(settings), Some(login)) => {
                    login.change(settings).await.map_err(|error| said(&error))
                }
                (Database::Postgres(_) | Database::SqliteFile(_) | Database::SqliteMemory, _) => {
                    Err("another database needs a restart".to_owned())
                }
            },
            Part::Redis => match &config.cache.redis {
                Some(redis) => {
                    let used = [app.service.cache.redis(), app.service.limiter.redis()];
                    let used: Vec<_> = used.into_iter().flatten().collect();
                    crate::redis_client::replace(&used, redis)
                        .await
                        .map_err(|e| said(&e))
                }
                None => Err("there is no Redis any more".to_owned()),
            },
            Part::Encryption => match &app.sealer {
                Some(sealer) => sealer.replace(&config.log.keys).map_err(|error| said(&error)),
                None => Err("there is no encryption key".to_owned()),
            },
            Part::Bundle => {
                self.token.replace(config.policies.token.clone());
                Ok(())
            }
            Part::Status => {
                let token = config.status.as_ref().and_then(|status| status.token.clone());
                self.status.replace(token);
                Ok(())
            }
            Part::Webhook => match (&config.log.webhook, app.service.log.webhook()) {
                (Some(webhook), Some(secrets)) => secrets.replace(webhook).map_err(|error| said(&error)),
                (None, _) | (_, None) => Err("there is no webhook".to_owned()),
            },
            Part::Shield => match (&config.shield, &app.service.enricher) {
                (Some(shield), Some(enricher)) => enricher.replace(shield),
                (Some(_) | None, _) => Err("there is no SHIELD_URL".to_owned()),
            },
        }
    }
}
