//! Commands of `policyd` beside serving: tokens and keys for first steps, exports.

use crate::auth;
use crate::config::Config;
use crate::identity::{Identity, Role};
use crate::service::keys::{NewKey, make_key};
use crate::storage;
use anyhow::{Context as _, bail};
use clap::{Arg, ArgMatches, Command};
use secrecy::ExposeSecret as _;
use std::process::ExitCode;
use std::time::Duration;

fn roles_arg() -> Arg {
    Arg::new("roles")
        .long("roles")
        .value_name("ROLE,…")
        .value_delimiter(',')
        .default_value("evaluator")
        .help("admin, policy.author, policy.approver, policy.viewer, auditor, evaluator")
}

fn namespaces_arg() -> Arg {
    Arg::new("namespaces")
        .long("namespaces")
        .value_name("NAME,…")
        .value_delimiter(',')
        .help("Namespaces that it may touch; all when absent")
}

/// Adds the commands.
#[must_use]
pub fn commands(command: Command) -> Command {
    command
        .subcommand(
            Command::new("token")
                .about("Make a token, signed with JWT_SECRET")
                .arg(
                    Arg::new("subject")
                        .long("subject")
                        .value_name("NAME")
                        .required(true),
                )
                .arg(roles_arg())
                .arg(namespaces_arg()),
        )
        .subcommand(
            Command::new("key")
                .about(
                    "Make an API key in the database; for the first one, before there is anybody to make it",
                )
                .arg(Arg::new("name").long("name").value_name("NAME").required(true))
                .arg(roles_arg())
                .arg(namespaces_arg())
                .arg(
                    Arg::new("expires-in")
                        .long("expires-in")
                        .value_name("SECONDS")
                        .value_parser(clap::value_parser!(u64))
                        .help("For ever when absent"),
                ),
        )
}

fn many(arguments: &ArgMatches, name: &str) -> Vec<String> {
    arguments
        .get_many::<String>(name)
        .map(|values| values.cloned().collect())
        .unwrap_or_default()
}

/// Runs one of them.
///
/// # Errors
///
/// What went wrong, for people.
pub async fn run(name: &str, arguments: &ArgMatches, config: Config) -> anyhow::Result<ExitCode> {
    let namespaces = arguments
        .try_contains_id("namespaces")
        .unwrap_or(false)
        .then(|| many(arguments, "namespaces"));
    match name {
        "token" => {
            let jwt = config.auth.jwt.context("tokens need JWT_SECRET")?;
            let roles = many(arguments, "roles")
                .iter()
                .map(|role| Role::parse(role).with_context(|| format!("there is no role `{role}`")))
                .collect::<anyhow::Result<Vec<_>>>()?;
            let subject = arguments.get_one::<String>("subject").map_or("", String::as_str);
            let token = auth::issue(&jwt, subject, &roles, namespaces.as_deref(), jwt.life)?;
            println!("{}", token.expose_secret());
        }
        "key" => {
            let store = storage::open(&config.store).await?;
            let new = NewKey {
                name: arguments.get_one::<String>("name").cloned().unwrap_or_default(),
                roles: many(arguments, "roles"),
                scopes: Vec::new(),
                namespaces,
                life: arguments
                    .get_one::<u64>("expires-in")
                    .copied()
                    .map(Duration::from_secs),
            };
            let operator = Identity {
                subject: "operator".into(),
                ..Identity::anonymous()
            };
            let (_, secret) = make_key(&*store, &operator, "command line", new).await?;
            println!("{}", secret.expose_secret());
            store.close().await;
        }
        other => bail!("there is no command `{other}`"),
    }
    Ok(ExitCode::SUCCESS)
}
