//! What is fetched from other servers by URL: keys of tokens and bundles.
//!
//! # Invariants
//!
//! - Redirects are followed to the host and port that were asked, and to no other: who answers for a URL in the settings must
//!   not choose whom this server talks to. `http` may become `https` on the way, never the other way round.
//! - What is on this machine is asked without a proxy: there is nobody between, and a proxy would read what is sent.
//! - What goes wrong is told without what may be a credential.

use crate::settings::{Url, scrubbed};
use std::time::{Duration, Instant};
use ureq::Body;
use ureq::http::Response;

/// Redirects that are followed.
const REDIRECTS: usize = 3;

/// Asks for what stands at a URL, with these headers, and gives the head of the answer, which is none of an error. The body is
/// to be read within the same time. Blocks.
///
/// # Errors
///
/// Why there is no answer.
pub(crate) fn get(url: &Url, headers: &[(&str, &str)], time: Duration) -> Result<Response<Body>, String> {
    let until = Instant::now() + time;
    let mut next = url.clone();
    for _ in 0..=REDIRECTS {
        let mut agent = ureq::Agent::config_builder();
        if next.is_local() {
            agent = agent.proxy(None);
        }
        let agent: ureq::Agent = agent
            .https_only(next.is_encrypted())
            .timeout_global(Some(until.saturating_duration_since(Instant::now())))
            .max_redirects(0)
            .max_idle_connections(0)
            .build()
            .into();
        let mut request = agent.get(next.expose());
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        // What goes wrong may quote the URL.
        let response = request.call().map_err(|error| scrubbed(&error.to_string()))?;
        if !matches!(response.status().as_u16(), 301 | 302 | 303 | 307 | 308) {
            return Ok(response);
        }
        let location = response
            .headers()
            .get("location")
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default();
        next = next.redirected(location).ok_or_else(|| {
            format!(
                "it sends us on to `{}`, which is another server and not followed",
                scrubbed(location)
            )
        })?;
    }
    Err(format!("it sends us on more than {REDIRECTS} times"))
}
