//! Settings of the receiver of webhooks: `DECISION_LOG=webhook:URL`, and `WEBHOOK_…`.

use super::{LEAST_SPOOL, Spool};
use crate::settings::{Parser, Url, value};
use crate::storage;
use policy_integrations::costops;
use policy_integrations::webhook::Key;
use secrecy::{ExposeSecret as _, SecretString};
use std::path::PathBuf;
use std::time::Duration;

/// The folder of what waits for the receiver, in `DATA_DIR`.
pub(crate) const SPOOL: &str = "webhook-spool";

/// The file in `DATA_DIR` that says how far the audit trail was sent.
const CURSOR: &str = "webhook-audit.json";

/// Events in a request at most, whatever the settings say.
const MOST: usize = costops::MAX_BATCH;

/// What webhooks hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WebhookFormat {
    /// CloudEvents of decisions.
    CloudEvents,
    /// Audit entries for LLM Governance.
    Governance,
    /// Usage for LLM CostOps.
    CostOps,
}

/// The receiver of webhooks.
#[derive(Debug, Clone)]
pub struct Webhook {
    /// Where it is.
    pub url: Url,
    /// What requests are signed with: each of these.
    pub secrets: Vec<SecretString>,
    /// What the receiver is sent to prove who asks.
    pub token: Option<SecretString>,
    /// What it gets.
    pub format: WebhookFormat,
    /// `source` of events.
    pub source: String,
    /// Events in a request at most.
    pub batch: usize,
    /// Bytes of a body with more than one.
    pub batch_bytes: usize,
    /// Time of an attempt.
    pub timeout: Duration,
    /// The longest pause.
    pub backoff: Duration,
    /// Certificates that are trusted instead of the public ones.
    pub ca: Option<PathBuf>,
    /// Where events wait.
    pub spool: Spool,
    /// How the audit trail is sent, where it is.
    pub audit: Option<WebhookAudit>,
}

/// How the audit trail is sent.
#[derive(Debug, Clone)]
pub struct WebhookAudit {
    /// The first time from its first record on, and not from its end.
    pub all: bool,
    /// The file that says how far it was sent.
    pub cursor: PathBuf,
}

/// The receiver that an item of `DECISION_LOG` names. No message repeats the URL: its path may be a secret.
pub(super) fn read(p: &mut Parser<'_>, store: &storage::Config, item: &str) -> Option<Webhook> {
    let url = item.strip_prefix("webhook:").and_then(Url::parse);
    match &url {
        None => p.problem(
            "DECISION_LOG",
            "`webhook:` is followed by http://… or https://…, with `%2C` for a comma",
        ),
        Some(url) if url.has_credentials() => p.problem(
            "DECISION_LOG",
            "the URL of the webhook holds a user or a password; give the receiver WEBHOOK_TOKEN",
        ),
        Some(url) if url.expose().contains('#') => {
            p.problem("DECISION_LOG", "the URL of the webhook has a fragment");
        }
        Some(_) => {}
    }
    let format = p.value("WEBHOOK_FORMAT", WebhookFormat::CloudEvents, |text| match text {
        "cloudevents" => Some(WebhookFormat::CloudEvents),
        "governance" => Some(WebhookFormat::Governance),
        "costops" => Some(WebhookFormat::CostOps),
        _ => None,
    });
    if format == WebhookFormat::CostOps {
        // Tokens stand in the context, and who cannot read it knows of no usage.
        for (name, unreadable) in [
            ("ENCRYPTION_KEYS", p.text("ENCRYPTION_KEYS").is_some()),
            (
                "DECISION_LOG_CONTEXT",
                p.text("DECISION_LOG_CONTEXT") == Some("none"),
            ),
        ] {
            if unreadable {
                let place = p.raw.problem(name, "").setting;
                p.problem(
                    "WEBHOOK_FORMAT",
                    format!("`costops` reads usage from contexts, which {place} keeps from it"),
                );
            }
        }
    }
    let audit = audit(p, store, format);
    let source = p.text("WEBHOOK_SOURCE").unwrap_or_default().to_owned();
    if source.is_empty() || !source.bytes().all(|byte| byte.is_ascii_graphic()) {
        p.problem("WEBHOOK_SOURCE", "expected a URI, such as /policyd/eu-1");
    }
    let batch = p.at_least_one("WEBHOOK_BATCH");
    if batch > MOST {
        p.problem("WEBHOOK_BATCH", format!("must be at most {MOST}"));
    }
    let bytes = p.value("WEBHOOK_SPOOL", LEAST_SPOOL, value::bytes);
    if bytes < LEAST_SPOOL {
        p.problem("WEBHOOK_SPOOL", "must be at least 1MB: events wait nowhere else");
    }
    let secrets = secrets(p);
    let token = token(p, url.as_ref());
    Some(Webhook {
        url: url?,
        secrets,
        token,
        format,
        source,
        batch,
        batch_bytes: p.size("WEBHOOK_BATCH_BYTES"),
        timeout: p.pause("WEBHOOK_TIMEOUT"),
        backoff: p.pause("WEBHOOK_BACKOFF"),
        ca: p.path("WEBHOOK_TLS_CA"),
        spool: Spool {
            directory: store.data_dir.join(SPOOL),
            bytes,
            required: true,
        },
        audit,
    })
}

fn audit(p: &mut Parser<'_>, store: &storage::Config, format: WebhookFormat) -> Option<WebhookAudit> {
    let all = p.value("WEBHOOK_AUDIT", None, |text| match text {
        "new" => Some(Some(false)),
        "all" => Some(Some(true)),
        "off" => Some(None),
        _ => None,
    });
    if format == WebhookFormat::CostOps {
        if all.is_some() && p.raw.given("WEBHOOK_AUDIT").is_some() {
            p.problem("WEBHOOK_AUDIT", "`costops` sends usage, and no audit records");
        }
        return None;
    }
    Some(WebhookAudit {
        all: all?,
        cursor: store.data_dir.join(CURSOR),
    })
}

fn secrets(p: &mut Parser<'_>) -> Vec<SecretString> {
    let secrets: Vec<SecretString> = p
        .list("WEBHOOK_SECRET")
        .into_iter()
        .map(SecretString::from)
        .collect();
    if secrets.is_empty() {
        let name = if p.raw.has("WEBHOOK_SECRET") {
            "WEBHOOK_SECRET"
        } else {
            "DECISION_LOG"
        };
        p.problem(name, "`webhook:` needs a WEBHOOK_SECRET to sign with");
    }
    for (at, secret) in secrets.iter().enumerate() {
        if let Err(error) = Key::parse(secret) {
            p.problem("WEBHOOK_SECRET", format!("entry {}: {error}", at + 1));
        }
    }
    secrets
}

fn token(p: &mut Parser<'_>, url: Option<&Url>) -> Option<SecretString> {
    let token = p.secret("WEBHOOK_TOKEN")?;
    if !token.expose_secret().bytes().all(|byte| byte.is_ascii_graphic()) {
        p.problem("WEBHOOK_TOKEN", "holds characters that a token cannot have");
    }
    if url.is_some_and(|url| !url.is_encrypted() && !url.is_local()) {
        p.problem(
            "WEBHOOK_TOKEN",
            "would be sent without TLS: only https and loopback addresses get a token",
        );
    }
    Some(token)
}
