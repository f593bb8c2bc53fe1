//! `policyd health`: whether a server is ready, asked for by whoever watches a container that has no `curl`.
//!
//! # Invariants
//!
//! - Exit status 0 is an answer of 200 and nothing else: no answer, another status and settings that cannot be read are 1.
//! - Redirects are not followed, and nothing of a URL is printed that may be a credential.

use crate::config::Config;
use crate::settings::{Raw, Url, in_one_line, scrubbed};
use crate::tls;
use clap::{Arg, ArgMatches, Command};
use serde::Deserialize;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::process::ExitCode;
use std::time::Duration;

/// Longest time of the question and its answer.
const LONGEST: Duration = Duration::from_secs(5);

/// Bytes of an answer that are looked at.
const MAX_BYTES: u64 = 64 << 10;

/// Adds the command.
#[must_use]
pub fn commands(command: Command) -> Command {
    command.subcommand(
        Command::new("health")
            .about("Ask a server whether it is ready, and print what it says; exit status 0 ready, 1 not ready or no answer")
            .long_about(
                "Ask a server whether it is ready, and print what it says in one line. Exit status 0 if the answer is 200, else 1.\n\n\
                 Asks /readyz of the admin listener, by METRICS_HOST and METRICS_PORT, so that it can check the health of its \
                 own container. A server that is degraded decides, and is ready.",
            )
            .after_help("Example:\n  policyd health --url http://127.0.0.1:9090")
            .arg(
                Arg::new("url")
                    .long("url")
                    .value_name("URL")
                    .help("URL of the server [default: the admin listener of the settings]; without a path, /readyz is asked"),
            ),
    )
}

/// What `/readyz` answers.
#[derive(Deserialize)]
struct Readiness {
    status: String,
    reasons: Vec<String>,
}

/// Runs the command. Blocks.
#[must_use]
pub fn run(arguments: &ArgMatches, raw: &Raw) -> ExitCode {
    let (line, is_ready) = match url(arguments.get_one::<String>("url"), raw) {
        Ok(url) => match ask(&url) {
            Ok((200, said)) => (said, true),
            Ok((_, said)) => (said, false),
            Err(reason) => (format!("{url}: {reason}"), false),
        },
        Err(reason) => (reason, false),
    };
    // Whoever reads it or does not: the exit status says it too.
    drop(std::io::Write::write_all(
        &mut std::io::stdout(),
        format!("{line}\n").as_bytes(),
    ));
    if is_ready {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// Where to ask.
fn url(given: Option<&String>, raw: &Raw) -> Result<Url, String> {
    let text = match given {
        Some(given) => given.clone(),
        None => {
            let admin = Config::admin(raw).map_err(|problems| in_one_line(&problems))?;
            if admin.port() == 0 {
                return Err("METRICS_PORT is 0, so only --url can say where the server listens".to_owned());
            }
            format!("http://{}", reachable(admin))
        }
    };
    let url = Url::parse(&text).ok_or_else(|| format!("{} is no URL of http or https", scrubbed(&text)))?;
    Ok(url.or_path("/readyz"))
}

/// An address under which a listener on this machine is reached.
fn reachable(listens_on: SocketAddr) -> SocketAddr {
    let ip = match listens_on.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    SocketAddr::new(ip, listens_on.port())
}

/// Status and what the answer says in one line.
fn ask(url: &Url) -> Result<(u16, String), String> {
    tls::install_provider();
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .timeout_global(Some(LONGEST))
        .max_redirects(0)
        .proxy(None)
        .build()
        .into();
    let failed = |error: ureq::Error| scrubbed(&error.to_string());
    let mut response = agent.get(url.expose()).call().map_err(failed)?;
    let status = response.status().as_u16();
    let body = response.body_mut().with_config().limit(MAX_BYTES).read_to_vec();
    let body = body.map_err(failed)?;
    let said = match serde_json::from_slice::<Readiness>(&body) {
        Ok(Readiness { status, reasons }) if reasons.is_empty() => status,
        Ok(Readiness { status, reasons }) => format!("{status}: {}", reasons.join("; ")),
        Err(_) => format!("{url} answers {status}, and not as /readyz does"),
    };
    // One line, whatever it holds.
    Ok((status, said.replace(char::is_control, " ")))
}

#[cfg(test)]
mod tests {
    use super::reachable;

    #[test]
    fn who_listens_everywhere_is_asked_on_loopback() {
        for (listens_on, asked) in [
            ("0.0.0.0:9090", "127.0.0.1:9090"),
            ("[::]:9090", "[::1]:9090"),
            ("10.0.0.1:1", "10.0.0.1:1"),
            ("127.0.0.1:1", "127.0.0.1:1"),
        ] {
            assert_eq!(reachable(listens_on.parse().unwrap()).to_string(), asked);
        }
    }
}
