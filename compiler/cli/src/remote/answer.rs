//! Answers of a server, and how one that is a refusal is read and shown.
//!
//! **Invariant.** What a server says is shown without control characters. An answer that is not understood is an error,
//! never a success.

use super::REST_PORT;
use super::text::clean;
use crate::exit::{Exit, Shown};
use crate::output;
use anyhow::Context as _;
use owo_colors::OwoColorize as _;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use ureq::http::{HeaderMap, header};

/// What a server answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<u8>,
}

impl Answer {
    /// The HTTP status of the answer.
    pub(crate) fn status(&self) -> u16 {
        self.status
    }

    /// The whole body.
    pub(crate) fn body(&self) -> &[u8] {
        &self.body
    }

    /// `ETag` as it was sent.
    pub(crate) fn etag(&self) -> Option<&str> {
        self.headers.get(header::ETAG)?.to_str().ok()
    }

    /// Whether the server did it.
    pub(crate) fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// The same answer, or the refusal shown.
    pub(crate) fn accepted(self) -> anyhow::Result<Self> {
        if self.is_success() {
            return Ok(self);
        }
        let problem = self.problem();
        problem.show();
        Err(Shown(problem.exit()).into())
    }

    /// The answer as a value.
    pub(crate) fn json<T: DeserializeOwned>(&self) -> anyhow::Result<T> {
        serde_json::from_slice(&self.body).with_context(|| {
            let status = self.status;
            if self.is_json() {
                format!("the server's answer (status {status}) is not what policyd answers")
            } else {
                format!("the server's answer (status {status}) is not JSON: {REST_PORT}")
            }
        })
    }

    fn is_json(&self) -> bool {
        serde_json::from_slice::<serde::de::IgnoredAny>(&self.body).is_ok()
    }

    /// What a refusal says.
    pub(crate) fn problem(&self) -> Problem {
        let mut problem: Problem = serde_json::from_slice(&self.body).unwrap_or_else(|_| {
            // A proxy in between, say: the beginning of its text is better than nothing.
            let text: String = String::from_utf8_lossy(&self.body).chars().take(200).collect();
            Problem {
                detail: text.split_whitespace().collect::<Vec<_>>().join(" "),
                ..Problem::default()
            }
        });
        problem.status = self.status;
        let header = |name: &str| {
            let text = self.headers.get(name)?.to_str().ok()?;
            Some(text.to_owned())
        };
        if problem.request_id.is_empty() {
            problem.request_id = header("x-request-id").unwrap_or_default();
        }
        problem.retry_after = header("retry-after");
        if matches!(self.status, 400 | 404 | 405 | 415) && !self.is_json() {
            problem.advice = Some(format!("the answer is not JSON: {REST_PORT}"));
        }
        if problem.detail.is_empty() && (300..400).contains(&self.status) {
            let to = header("location").unwrap_or_default();
            problem.detail = format!("the server sends us on to `{to}`, which is not followed");
        }
        problem
    }
}

/// A problem document (RFC 9457), as far as it is shown.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Problem {
    /// HTTP status.
    pub(crate) status: u16,
    /// Stable word for the kind of problem, such as `policy_invalid`.
    pub(crate) code: String,
    /// What the word means.
    pub(crate) title: String,
    /// What is wrong in this case, one sentence.
    pub(crate) detail: String,
    /// To look for in the server's log.
    pub(crate) request_id: String,
    /// Problems of the policy at hand.
    pub(crate) diagnostics: Vec<Reported>,
    /// Seconds to wait.
    #[serde(skip)]
    pub(crate) retry_after: Option<String>,
    /// What to do, where the command knows more than the code says.
    #[serde(skip)]
    pub(crate) advice: Option<String>,
}

impl Problem {
    /// The exit of a command that was refused like this; see the table above.
    pub(crate) fn exit(&self) -> Exit {
        match (self.status, self.code.as_str()) {
            (_, "untrusted_bundle") => Exit::Usage,
            (403 | 409 | 412 | 428, _) => Exit::No,
            _ => Exit::Usage,
        }
    }

    /// One line: what happened, in the server's words.
    pub(crate) fn headline(&self) -> String {
        let what = [&self.detail, &self.title]
            .into_iter()
            .find(|text| !text.is_empty())
            .map_or_else(|| "no reason given".to_owned(), |text| clean(text));
        let code = if self.code.is_empty() {
            format!("status {}", self.status)
        } else {
            clean(&self.code)
        };
        format!("{what} ({code})")
    }

    /// Shows it on stderr: what happened, what to do, where to look.
    pub(crate) fn show(&self) {
        output::error(&self.headline());
        for reported in &self.diagnostics {
            output::note(&format!("  {}", reported.line_of(&reported.file)));
        }
        self.show_rest();
    }

    /// What stands below the headline and the diagnostics.
    pub(crate) fn show_rest(&self) {
        let advice = match (self.status, self.code.as_str()) {
            (401, _) => Some("give a token or an API key: see --token-file and --api-key-file"),
            (412, _) => Some("somebody else changed it: look at `policyc history`"),
            (428, _) => Some(
                "say which version you looked at: --if-match N; for a bundle --if-match DIGEST or --to DIGEST",
            ),
            (_, "ambiguous_policy") => Some("say which one with --namespace NAME"),
            (_, "read_only") => Some(
                "the server takes its policies from a directory or a bundle: change those; a bundle that was pushed ends with `policyc delete --bundle`",
            ),
            _ => None,
        };
        if let Some(advice) = self.advice.as_deref().or(advice) {
            output::note(&format!("  {} {advice}", "help:".bold()));
        }
        if let Some(wait) = &self.retry_after {
            output::note(&format!(
                "  {} try again in {} seconds",
                "help:".bold(),
                clean(wait)
            ));
        }
        if !self.request_id.is_empty() {
            output::note(&format!("  request id {}", clean(&self.request_id)));
        }
    }

    /// For `--format json`.
    pub(crate) fn to_json(&self) -> Value {
        serde_json::json!({
            "status": self.status,
            "code": self.code,
            "title": self.title,
            "detail": self.detail,
            "requestId": self.request_id,
            "diagnostics": self.diagnostics,
        })
    }
}

/// A diagnostic of a server.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, serde::Serialize)]
#[serde(default)]
pub(crate) struct Reported {
    /// `error`, `warning`, `note`.
    pub(crate) severity: String,
    /// Stable code of the diagnostic, such as `E0105`.
    pub(crate) code: String,
    /// What is wrong.
    pub(crate) message: String,
    /// `policy.yaml` or `policy.json` for the document that was sent, else that of another policy.
    pub(crate) file: String,
    /// Line in the file, from 1.
    pub(crate) line: u32,
    /// In characters, from 1.
    pub(crate) column: u32,
    /// Advice, one sentence each.
    pub(crate) help: Vec<String>,
}

impl Reported {
    /// Whether it is about the document that was sent.
    pub(crate) fn is_ours(&self) -> bool {
        matches!(self.file.as_str(), "" | "policy.yaml" | "policy.json")
    }

    /// `file:line:column: severity[code]: message`.
    pub(crate) fn line_of(&self, file: &str) -> String {
        let separator = if file.is_empty() { "" } else { ":" };
        let file = clean(file);
        format!(
            "{file}{separator}{}:{}: {}[{}]: {}",
            self.line,
            self.column,
            clean(&self.severity),
            clean(&self.code),
            clean(&self.message)
        )
    }
}
