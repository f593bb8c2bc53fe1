//! Settings of the scanner that is asked: `SHIELD_…`.

use crate::settings::Parser;
use secrecy::SecretString;
use std::path::PathBuf;
use std::time::Duration;

/// The scanner that is asked about the texts of a request.
#[derive(Debug, Clone)]
pub struct Config {
    /// Its address.
    pub url: String,
    /// How long one request waits for it.
    pub timeout: Duration,
    /// What it is sent to prove who asks.
    pub token: Option<SecretString>,
    /// Certificates that are trusted instead of the public ones.
    pub ca: Option<PathBuf>,
}

/// The scanner; what is wrong with its address is found where its client is made ([`crate::check`]).
pub(crate) fn read(p: &mut Parser<'_>) -> Option<Config> {
    let () = p.value("SHIELD_ON_FAILURE", (), |text| (text == "unknown").then_some(()));
    let timeout = p.pause("SHIELD_TIMEOUT");
    let (token, ca) = (p.secret("SHIELD_TOKEN"), p.path("SHIELD_CA_FILE"));
    p.text("SHIELD_URL")?;
    let url = p.url("SHIELD_URL")?;
    Some(Config {
        url: url.expose().to_owned(),
        timeout,
        token,
        ca,
    })
}
