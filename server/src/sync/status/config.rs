//! Settings of the reports of an edge server: `STATUS_URL`, `STATUS_TOKEN`, `STATUS_INTERVAL`, `EDGE_ID`.

use crate::edges;
use crate::settings::{Parser, Url};
use secrecy::{ExposeSecret as _, SecretString};
use std::time::Duration;

/// Where and how this server reports what it runs.
#[derive(Debug, Clone)]
pub struct Config {
    /// The central server.
    pub url: Url,
    /// What this server calls itself.
    pub edge: String,
    /// What the central server is sent to prove who reports.
    pub token: Option<SecretString>,
    /// How often.
    pub interval: Duration,
}

pub(crate) fn read(p: &mut Parser<'_>) -> Option<Config> {
    p.text("STATUS_URL")?;
    let url = p.url("STATUS_URL");
    if let Some(url) = &url
        && (url.has_credentials() || url.expose().contains(['?', '#']))
    {
        p.problem(
            "STATUS_URL",
            "is the URL of a server, without user, password, query and fragment; STATUS_TOKEN proves who reports",
        );
    }
    let edge = p.text("EDGE_ID").unwrap_or_default().to_owned();
    // That it is missing is said by the table.
    if !edge.is_empty() && !edges::is_id(&edge) {
        p.problem("EDGE_ID", edges::ID);
    }
    let token = p.secret("STATUS_TOKEN");
    if let (Some(token), Some(url)) = (&token, &url) {
        if !token.expose_secret().bytes().all(|byte| byte.is_ascii_graphic()) {
            p.problem("STATUS_TOKEN", "holds characters that a token cannot have");
        }
        if !url.is_encrypted() && !url.is_local() {
            p.problem(
                "STATUS_TOKEN",
                format!("would be sent without TLS to {url}: only https and loopback addresses get a token"),
            );
        }
    }
    Some(Config {
        url: url?,
        edge,
        token,
        interval: p.pause("STATUS_INTERVAL"),
    })
}
