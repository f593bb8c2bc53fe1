//! The flags of a server, and the connection that follows from them and the environment: address, TLS, credentials.
//!
//! **Invariant.** Secrets come from files or the environment, never from the command line, and are in no message.

use super::text::clean;
use super::{Credentials, Server, TIMEOUT};
use crate::{output, project};
use anyhow::{Context as _, bail};
use owo_colors::OwoColorize as _;
use std::path::{Path, PathBuf};
use std::time::Duration;
use ureq::http::{Uri, header};
#[cfg(feature = "tls")]
use ureq::tls::{PemItem, RootCerts, TlsConfig, parse_pem};

/// Where a server listens when nothing else is said.
const DEFAULT: &str = "http://127.0.0.1:3000";

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

pub(super) fn is_loopback(host: &str) -> bool {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost"
        || host
            .parse()
            .is_ok_and(|address: std::net::IpAddr| address.is_loopback())
}
