//! A server's REST interface, as the commands that talk to one need it: where it is, who is asking, one call, and how an
//! answer that is a refusal is shown.
//!
//! Used by `push`, `list`, `get`, `history`, `approvals`, `activate`, `reject`, `rollback`, `delete`, `keys`, `edges`,
//! `decisions`, `eval --server` and `diff --server`.
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

use crate::exit::{Exit, Shown};
use crate::{output, project};
use anyhow::{Context as _, bail};
use owo_colors::OwoColorize as _;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;
use ureq::http::{HeaderMap, Method, Request, Uri, header};
#[cfg(feature = "tls")]
use ureq::tls::{PemItem, RootCerts, TlsConfig, parse_pem};

/// Where a server listens when nothing else is said.
const DEFAULT: &str = "http://127.0.0.1:3000";
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

/// Flags of a server.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "Server")]
pub(crate) struct ServerArgs {
    /// The server [default: the variable POLICY_SERVER, else `server` of policyc.toml, else http://127.0.0.1:3000]
    #[arg(long, value_name = "URL")]
    pub(crate) server: Option<String>,
    /// File with a token [default: the token in the variable POLICY_TOKEN]
    #[arg(long, value_name = "FILE", conflicts_with = "api_key_file")]
    pub(crate) token_file: Option<PathBuf>,
    /// File with an API key [default: the key in the variable POLICY_API_KEY]
    #[arg(long, value_name = "FILE")]
    pub(crate) api_key_file: Option<PathBuf>,
    /// PEM certificates to trust instead of the public ones
    #[arg(long, value_name = "FILE")]
    pub(crate) ca: Option<PathBuf>,
}

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

/// What a server answered.
#[derive(Debug)]
pub(crate) struct Answer {
    status: u16,
    headers: HeaderMap,
    body: Vec<u8>,
}

/// A body to send.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Content<'a> {
    /// Its content type.
    pub(crate) kind: &'static str,
    /// The bytes.
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

/// A problem document (RFC 9457), as far as it is shown.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Problem {
    /// HTTP status.
    pub(crate) status: u16,
    /// Stable word.
    pub(crate) code: String,
    /// What the word means.
    pub(crate) title: String,
    /// This case.
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

/// A diagnostic of a server.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, serde::Serialize)]
#[serde(default)]
pub(crate) struct Reported {
    /// `error`, `warning`, `note`.
    pub(crate) severity: String,
    /// Stable code.
    pub(crate) code: String,
    /// What is wrong.
    pub(crate) message: String,
    /// `policy.yaml` or `policy.json` for the document that was sent, else that of another policy.
    pub(crate) file: String,
    /// From 1.
    pub(crate) line: u32,
    /// In characters, from 1.
    pub(crate) column: u32,
    /// Advice.
    pub(crate) help: Vec<String>,
}

impl ServerArgs {
    /// The server that the flags and the environment name.
    pub(crate) fn connect(&self) -> anyhow::Result<Server> {
        let variable = |name: &str| std::env::var(name).ok().filter(|v| !v.is_empty());
        let base = self.server.clone().or_else(|| variable("POLICY_SERVER"));
        let of_project = project::get().filter(|_| base.is_none());
        let of_project = of_project.and_then(|project| Some((project, project.server.clone()?)));
        if let Some((project, server)) = &of_project {
            let given = self.token_file.is_some() || self.api_key_file.is_some();
            let ambient = ["POLICY_TOKEN", "POLICY_API_KEY"]
                .into_iter()
                .find(|name| variable(name).is_some());
            // The file comes with a repository, and may name anybody's server.
            if let (false, Some(ambient)) = (given, ambient) {
                bail!(
                    "{ambient} is not sent to `{}`, which only `{}` names: set POLICY_SERVER or --server, or give --token-file \
                     or --api-key-file",
                    clean(server),
                    project.file.display()
                );
            }
        }
        let base = base.or(of_project.map(|(_, server)| server));
        let base = base
            .as_deref()
            .unwrap_or(DEFAULT)
            .trim_end_matches('/')
            .to_owned();
        let uri: Uri = base
            .parse()
            .with_context(|| format!("`{}` is not a URL", clean(&base)))?;
        let scheme = uri.scheme_str().unwrap_or_default();
        if !matches!(scheme, "http" | "https") || uri.host().is_none() {
            bail!("`{}` is not the URL of a server, such as {DEFAULT}", clean(&base));
        }
        if uri.query().is_some() || uri.authority().is_some_and(|a| a.as_str().contains('@')) {
            bail!("the URL of a server has no user, password or query; see --token-file and --api-key-file");
        }
        if self.ca.is_some() && scheme == "http" {
            bail!("--ca is for https, and `{}` is not", clean(&base));
        }
        let credentials = self.credentials(&variable)?;
        if credentials.is_some() && scheme == "http" && !uri.host().is_some_and(is_loopback) {
            output::note(&format!(
                "{} the credentials travel unencrypted to {}; use https",
                "warning:".bright_yellow().bold(),
                clean(&base)
            ));
        }
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .timeout_global(Some(TIMEOUT))
            .timeout_connect(Some(Duration::from_secs(10)))
            .user_agent(concat!("policyc/", env!("CARGO_PKG_VERSION")));
        Ok(Server {
            agent: secured(config, scheme == "https", self.ca.as_deref())?
                .build()
                .new_agent(),
            base,
            credentials,
        })
    }

    /// Flags first, then the environment; not both kinds at once.
    fn credentials(&self, variable: &dyn Fn(&str) -> Option<String>) -> anyhow::Result<Option<Credentials>> {
        let (token, key) = match (&self.token_file, &self.api_key_file) {
            (Some(path), _) => (Some(secret_file(path)?), None),
            (None, Some(path)) => (None, Some(secret_file(path)?)),
            (None, None) => (variable("POLICY_TOKEN"), variable("POLICY_API_KEY")),
        };
        let (header, text) = match (token, key) {
            (Some(_), Some(_)) => bail!("both POLICY_TOKEN and POLICY_API_KEY are set; set one"),
            (Some(token), None) => ("authorization", format!("Bearer {}", token.trim())),
            (None, Some(key)) => ("x-api-key", key.trim().to_owned()),
            (None, None) => return Ok(None),
        };
        // The text stays out of the error.
        let Ok(mut value) = header::HeaderValue::from_str(&text) else {
            bail!("the token or key holds characters that no token or key has");
        };
        value.set_sensitive(true);
        Ok(Some(Credentials { header, value }))
    }

    /// The first of these flags that was given.
    pub(crate) fn given(&self) -> Option<&'static str> {
        [
            (self.token_file.is_some(), "--token-file"),
            (self.api_key_file.is_some(), "--api-key-file"),
            (self.ca.is_some(), "--ca"),
        ]
        .into_iter()
        .find_map(|(given, name)| given.then_some(name))
    }
}

fn secret_file(path: &Path) -> anyhow::Result<String> {
    let text = output::read_text(path)?;
    if text.trim().is_empty() {
        bail!("`{}` is empty", path.display());
    }
    Ok(text)
}

/// What is being set up of an agent.
type Setup = ureq::config::ConfigBuilder<ureq::typestate::AgentScope>;

/// Says how `https` is spoken.
#[cfg(feature = "tls")]
fn secured(setup: Setup, _https: bool, ca: Option<&Path>) -> anyhow::Result<Setup> {
    let mut tls = TlsConfig::builder();
    if let Some(path) = ca {
        tls = tls.root_certs(RootCerts::new_with_certs(&certificates(path)?));
    }
    Ok(setup.tls_config(tls.build()))
}

#[cfg(not(feature = "tls"))]
fn secured(setup: Setup, https: bool, _ca: Option<&Path>) -> anyhow::Result<Setup> {
    if https {
        bail!(
            "this policyc is a quick build without TLS; build one that speaks https with `cargo build --release -p policyc`"
        );
    }
    Ok(setup)
}

#[cfg(feature = "tls")]
fn certificates(path: &Path) -> anyhow::Result<Vec<ureq::tls::Certificate<'static>>> {
    let pem = output::read(path)?;
    let mut certificates = Vec::new();
    for item in parse_pem(&pem) {
        match item.with_context(|| format!("`{}` is not a PEM file", path.display()))? {
            PemItem::Certificate(certificate) => certificates.push(certificate),
            _ => bail!("`{}` holds something other than certificates", path.display()),
        }
    }
    if certificates.is_empty() {
        bail!("`{}` holds no certificate", path.display());
    }
    Ok(certificates)
}

fn is_loopback(host: &str) -> bool {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost"
        || host
            .parse()
            .is_ok_and(|address: std::net::IpAddr| address.is_loopback())
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

    /// The entries of a list, page by page, `limit` of them at the most.
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

    /// The entries of a list, each page as it comes, `limit` entries at the most. Returns whether there are more.
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

impl Answer {
    /// HTTP status.
    pub(crate) fn status(&self) -> u16 {
        self.status
    }

    /// The bytes.
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

/// A text of a server, as [`output::shown`].
pub(crate) fn clean(text: &str) -> String {
    output::shown(text).into_owned()
}

/// A text as part of a URL's path or query.
pub(crate) fn encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

/// The path of a policy.
pub(crate) fn policy_path(id: &str, rest: &str) -> anyhow::Result<String> {
    // URLs with these segments mean another path, however they are spelled.
    if id.is_empty() || id == "." || id == ".." {
        bail!("`{id}` is not the id of a policy");
    }
    Ok(format!("/api/v1/policies/{}{rest}", encode(id)))
}

/// The path in one namespace, or in the one that the caller's identity makes clear.
pub(crate) fn in_namespace(path: &str, namespace: Option<&str>) -> String {
    match namespace {
        Some(namespace) => format!("{path}?namespace={}", encode(namespace)),
        None => path.to_owned(),
    }
}

/// The version of an `If-Match`.
pub(crate) fn version_tag(version: u64) -> String {
    format!("\"{version}\"")
}

/// A member of an object of the server as text: strings as they are, nothing for what is missing or null.
pub(crate) fn cell(object: &Value, key: &str) -> String {
    match object.get(key) {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => clean(text),
        Some(other) => clean(&other.to_string()),
    }
}

/// Prints a table for people: headings, then rows, columns as wide as they need.
pub(crate) fn table(headings: &[&str], rows: &[Vec<String>]) -> anyhow::Result<()> {
    let mut widths: Vec<usize> = headings.iter().map(|h| h.chars().count()).collect();
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let line = |cells: &[String]| {
        let mut text = String::new();
        for (cell, width) in cells.iter().zip(&widths) {
            text.push_str(&format!("{cell:<width$}  "));
        }
        text.trim_end().to_owned()
    };
    let mut out = output::stdout();
    let headings: Vec<String> = headings.iter().map(|h| (*h).to_owned()).collect();
    writeln!(out, "{}", line(&headings).bold())?;
    for row in rows {
        writeln!(out, "{}", line(row))?;
    }
    out.flush()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{Answer, Problem, ServerArgs, clean, encode, in_namespace, is_loopback, policy_path};
    use crate::exit::Exit;
    use ureq::http::HeaderMap;

    fn answer(status: u16, headers: &[(&'static str, &str)], body: &str) -> Answer {
        Answer {
            status,
            headers: headers
                .iter()
                .map(|(k, v)| (k.parse().unwrap(), v.parse().unwrap()))
                .collect::<HeaderMap>(),
            body: body.as_bytes().to_vec(),
        }
    }

    #[test]
    fn exits_tell_no_from_cannot() {
        let exit = |status, code: &str| {
            Problem {
                status,
                code: code.to_owned(),
                ..Problem::default()
            }
            .exit()
        };
        for (status, code) in [
            (403, "forbidden"),
            (409, "conflict"),
            (412, "version_mismatch"),
            (428, ""),
        ] {
            assert_eq!(exit(status, code), Exit::No, "{code}");
        }
        for status in [301, 400, 401, 404, 413, 422, 429, 500, 503] {
            assert_eq!(exit(status, ""), Exit::Usage, "{status}");
        }
        assert_eq!(exit(403, "untrusted_bundle"), Exit::Usage);
    }

    #[test]
    fn a_refusal_is_read_whatever_it_looks_like() {
        let full = answer(
            422,
            &[("x-request-id", "r-1"), ("retry-after", "3")],
            r#"{"type":"about:blank","title":"T","status":422,"detail":"D","code":"policy_invalid",
                "diagnostics":[{"severity":"error","code":"E0105","message":"m","line":2,"column":3}]}"#,
        )
        .problem();
        assert_eq!(full.headline(), "D (policy_invalid)");
        assert_eq!(
            (full.request_id.as_str(), full.retry_after.as_deref()),
            ("r-1", Some("3"))
        );
        assert_eq!(
            full.diagnostics[0].line_of("a.yaml"),
            "a.yaml:2:3: error[E0105]: m"
        );
        let page = answer(502, &[], "<html>\n<b>Bad   gateway</b>").problem();
        assert_eq!(page.headline(), "<html> <b>Bad gateway</b> (status 502)");
        let moved = answer(302, &[("location", "http://evil")], "").problem();
        assert!(moved.headline().contains("`http://evil`, which is not followed"));
        assert_eq!(
            answer(500, &[], "").problem().headline(),
            "no reason given (status 500)"
        );
    }

    #[test]
    fn texts_of_servers_and_ids_cannot_break_out() {
        assert_eq!(clean("a\u{1b}[31mb\r"), "a\\u{1b}[31mb\\r");
        assert_eq!(encode("a b/c?ü"), "a%20b%2Fc%3F%C3%BC");
        assert_eq!(
            policy_path("a/b", "/versions").unwrap(),
            "/api/v1/policies/a%2Fb/versions"
        );
        assert!(policy_path("..", "").is_err());
        assert_eq!(in_namespace("/p", None), "/p");
        assert_eq!(in_namespace("/p", Some("a&b")), "/p?namespace=a%26b");
    }

    #[test]
    fn loopback_is_told_from_the_rest() {
        for host in ["localhost", "127.0.0.1", "127.9.9.9", "[::1]"] {
            assert!(is_loopback(host), "{host}");
        }
        for host in ["localhost.evil.example", "10.0.0.1", "::2"] {
            assert!(!is_loopback(host), "{host}");
        }
    }

    #[test]
    fn what_is_no_server_is_refused_before_anything_is_sent() {
        for url in [
            "ftp://x",
            "localhost:3000",
            "http://",
            "http://u:p@h",
            "http://h/?q=1",
            "x y",
        ] {
            let args = ServerArgs {
                server: Some(url.to_owned()),
                ..ServerArgs::default()
            };
            assert!(args.connect().is_err(), "{url}");
        }
    }
}
