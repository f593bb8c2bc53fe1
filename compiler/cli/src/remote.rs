//! A server's REST interface, as the commands that talk to one need it: where it is, who is asking, one call, and how an
//! answer that is a refusal is shown.
//!
//! Used by `push`, `list`, `get`, `history`, `approvals`, `activate`, `reject`, `rollback`, `delete`, `keys`, `edges`,
//! `decisions`, `eval --server` and `diff --server`. `args` has the flags and the connection, `answer` what comes back, `text`
//! what is written into URLs and tables; this file makes calls.
//!
//! **Invariants.** Secrets come from files or the environment, never from the command line, and are in no message.
//! Redirects are not followed, so that secrets go to the named server only. What a server says is shown without control
//! characters: it may come from anybody. An answer that is not understood is an error, never a success.
//!
//! # Exit codes
//!
//! A refusal ends with 1 where the server says no because of who asks or of what it holds: no right to do it, the policy
//! exists or has changed meanwhile. It ends with 2 where the request could not be carried out: no connection, no or bad
//! credentials, something that does not exist, a policy that does not compile, a bundle that is refused, an overloaded
//! server.

mod answer;
mod args;
mod text;

use crate::exit::Shown;
pub(crate) use answer::{Answer, Problem, Reported};
use anyhow::Context as _;
pub(crate) use args::ServerArgs;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::time::Duration;
pub(crate) use text::{cell, clean, encode, in_namespace, policy_path, table, version_tag};
use ureq::http::{Method, Request, header};

/// Longest time of one call: longer than a server takes before it gives up itself.
const TIMEOUT: Duration = Duration::from_secs(60);
/// Largest answer that is read: the largest bundle that a server sends, with room.
const ANSWER_LIMIT: u64 = 256 << 20;
/// What is asked of whoever named something that answers, and not as policyd does.
const REST_PORT: &str = "is this the REST port of policyd?";
/// Entries that are asked for at once.
const PAGE: usize = 100;

/// Note on exit codes for the help of the commands.
macro_rules! exits {
    () => {
        "Ends with 1 when the server says no: no right to do it, or it holds another version than expected. Ends with 2 \
         when it cannot be asked or cannot do it: no connection or credentials, no such thing, a policy that does not \
         compile, a bundle that is refused."
    };
}
pub(crate) use exits;

/// A server to call.
pub(crate) struct Server {
    agent: ureq::Agent,
    /// Without a slash at the end.
    base: String,
    credentials: Option<Credentials>,
}

/// What proves who is asking. Has no `Debug`: it is secret.
struct Credentials {
    header: &'static str,
    value: header::HeaderValue,
}

/// A body to send.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Content<'a> {
    /// Its content type.
    pub(crate) kind: &'static str,
    /// The whole body.
    pub(crate) bytes: &'a [u8],
}

/// A call to a server.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Call<'a> {
    /// `GET` and so on.
    pub(crate) method: &'a Method,
    /// Below the server's URL, percent-encoded, with its query.
    pub(crate) path: &'a str,
    /// `If-Match`, as it is sent.
    pub(crate) if_match: Option<&'a str>,
    /// What is sent.
    pub(crate) body: Option<Content<'a>>,
}

impl Server {
    /// Makes a call and reads the whole answer. Fails when there is none; a refusal is an answer.
    pub(crate) fn call(&self, call: Call<'_>) -> anyhow::Result<Answer> {
        self.ask(call, "application/json, application/problem+json")
    }

    /// Reads bytes.
    pub(crate) fn download(&self, path: &str) -> anyhow::Result<Answer> {
        self.ask(
            Call::get(path),
            "application/octet-stream, application/problem+json",
        )
    }

    /// Whether TLS was begun with a port that answered with something else.
    fn speaks_plain_http(&self, error: &anyhow::Error) -> bool {
        self.base.starts_with("https:")
            && error
                .chain()
                .any(|e| e.to_string().contains("InvalidContentType"))
    }

    fn ask(&self, call: Call<'_>, accept: &'static str) -> anyhow::Result<Answer> {
        let mut request = Request::builder()
            .method(call.method)
            .uri(format!("{}{}", self.base, call.path))
            .header(header::ACCEPT, accept);
        if let Some(credentials) = &self.credentials {
            request = request.header(credentials.header, credentials.value.clone());
        }
        if let Some(version) = call.if_match {
            request = request.header(header::IF_MATCH, version);
        }
        let failed = || format!("no answer from {}", clean(&self.base));
        let response = match call.body {
            Some(content) => {
                let request = request.header(header::CONTENT_TYPE, content.kind);
                self.agent.run(request.body(content.bytes)?)
            }
            None => self.agent.run(request.body(())?),
        };
        let response = response.map_err(|error| match error {
            ureq::Error::Io(error) => anyhow::Error::new(error),
            ureq::Error::Protocol(error) => anyhow::anyhow!("{error}: {REST_PORT}"),
            error => anyhow::Error::new(error),
        });
        let response = response.map_err(|error| match self.speaks_plain_http(&error) {
            true => error.context("the port does not speak TLS; write http:// where that is meant"),
            false => error,
        });
        let (parts, mut body) = response.with_context(failed)?.into_parts();
        let body = body
            .with_config()
            .limit(ANSWER_LIMIT)
            .read_to_vec()
            .with_context(failed)?;
        Ok(Answer {
            status: parts.status.as_u16(),
            headers: parts.headers,
            body,
        })
    }

    /// Shows that a change was refused because a version is newer than the one that was named, and which one to look at.
    /// `again` says how to go on behind that.
    pub(crate) fn newer(
        &self,
        answer: &Answer,
        id: &str,
        namespace: Option<&str>,
        again: impl Fn(u64) -> String,
    ) -> anyhow::Error {
        let mut problem = answer.problem();
        let newest = || {
            let path = in_namespace(&policy_path(id, "").ok()?, namespace);
            let policy = self.call(Call::get(&path)).ok().filter(Answer::is_success)?;
            policy.json::<Value>().ok()?.get("version")?.as_u64()
        };
        if let Some(version) = newest() {
            let of = namespace.map_or_else(String::new, |name| format!(" --namespace {}", clean(name)));
            let id = clean(id);
            let again = again(version);
            problem.advice = Some(format!(
                "version {version} is newer: review it (`policyc get {id}{of} --version {version}`), then {again}"
            ));
        }
        problem.show();
        Shown(problem.exit()).into()
    }

    /// Sends nothing and reads JSON.
    pub(crate) fn get<T: DeserializeOwned>(&self, path: &str) -> anyhow::Result<T> {
        self.call(Call::get(path))?.accepted()?.json()
    }

    /// Sends JSON and reads JSON.
    pub(crate) fn send<T: DeserializeOwned>(
        &self,
        method: &Method,
        path: &str,
        if_match: Option<&str>,
        body: &Value,
    ) -> anyhow::Result<T> {
        self.change(method, path, if_match, body)?.accepted()?.json()
    }

    /// Sends JSON.
    pub(crate) fn change(
        &self,
        method: &Method,
        path: &str,
        if_match: Option<&str>,
        body: &Value,
    ) -> anyhow::Result<Answer> {
        let bytes = body.to_string();
        self.call(Call {
            method,
            path,
            if_match,
            body: Some(Content {
                kind: "application/json",
                bytes: bytes.as_bytes(),
            }),
        })
    }

    /// The entries of a list, page by page, `limit` of them at most.
    pub(crate) fn list(
        &self,
        path: &str,
        query: &[(&str, &str)],
        limit: Option<usize>,
    ) -> anyhow::Result<Vec<Value>> {
        let mut items = Vec::new();
        self.pages(path, query, limit, |page| {
            items.extend(page);
            Ok(())
        })?;
        Ok(items)
    }

    /// The entries of a list, each page as it comes, `limit` entries at most. Returns whether there are more.
    pub(crate) fn pages<T: DeserializeOwned>(
        &self,
        path: &str,
        query: &[(&str, &str)],
        limit: Option<usize>,
        mut take: impl FnMut(Vec<T>) -> anyhow::Result<()>,
    ) -> anyhow::Result<bool> {
        #[derive(Deserialize)]
        struct Page<T> {
            items: Vec<T>,
            next: Option<String>,
        }
        let mut left = limit.unwrap_or(usize::MAX);
        let mut cursor: Option<String> = None;
        while left > 0 {
            let size = left.min(PAGE).to_string();
            let mut target = format!("{path}?limit={size}");
            let cursor_pair = cursor.as_deref().map(|c| ("cursor", c));
            for (key, value) in query.iter().copied().chain(cursor_pair) {
                target.push_str(&format!("&{key}={}", encode(value)));
            }
            let mut page: Page<T> = self.get(&target)?;
            page.items.truncate(left);
            left -= page.items.len();
            let empty = page.items.is_empty();
            take(page.items)?;
            // A server that goes on without entries would keep us for ever.
            match page.next {
                Some(_) if left == 0 => return Ok(true),
                Some(next) if !empty => cursor = Some(next),
                Some(_) | None => break,
            }
        }
        Ok(false)
    }
}

impl<'a> Call<'a> {
    /// A call that reads.
    pub(crate) fn get(path: &'a str) -> Self {
        Self {
            method: &Method::GET,
            path,
            if_match: None,
            body: None,
        }
    }
}

#[cfg(test)]
mod tests;
