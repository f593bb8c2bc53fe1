//! `policyd seal` and `policyd unseal`: manifests in, manifests out, without a cluster.

use super::{Scope, Secret, certificate, private_keys, unseal};
use anyhow::{Context as _, bail};
use clap::{Arg, ArgMatches, Command};
use std::collections::BTreeMap;
use std::io::Write as _;
use zeroize::Zeroizing;

/// Adds the commands.
#[must_use]
pub fn commands(command: Command) -> Command {
    let file =
        |name: &'static str, help: &'static str| Arg::new(name).long(name).value_name("FILE").help(help);
    let text =
        |name: &'static str, help: &'static str| Arg::new(name).long(name).value_name("NAME").help(help);
    command
        .subcommand(
            Command::new("seal")
                .about("Encrypt a Kubernetes Secret for the controller of Sealed Secrets")
                .long_about(
                    "Encrypt a Kubernetes Secret for the controller of Sealed Secrets.\n\nReads a manifest of kind Secret from \
                     standard input, or the values of --from-env-file, and prints a SealedSecret, which may lie in git. Needs \
                     the controller's certificate and no cluster.",
                )
                .after_help(
                    "Example:\n  policyd seal --cert controller-cert.pem < secret.yaml > sealed-secret.yaml",
                )
                .arg(file("cert", "PEM certificate of the controller (`kubeseal --fetch-cert`)").required(true))
                .arg(
                    Arg::new("scope")
                        .long("scope")
                        .value_name("SCOPE")
                        .value_parser(Scope::ALL.map(Scope::as_str))
                        .default_value(Scope::Strict.as_str())
                        .help("Where the secret may be used: under its name, in its namespace, or in the whole cluster"),
                )
                .arg(text("namespace", "Namespace of the secret; must be the manifest's where that names one"))
                .arg(text("name", "Name of the secret; must be the manifest's where that has one"))
                .arg(file(
                    "from-env-file",
                    "File of lines NAME=value to seal; standard input is not read then",
                )),
        )
        .subcommand(
            Command::new("unseal")
                .about("Decrypt a SealedSecret with the controller's private key, for tests and recovery")
                .after_help("Example:\n  policyd unseal --key controller-key.pem < sealed-secret.yaml")
                .arg(file("key", "PEM private keys of the controller, RSA in PKCS#1 or PKCS#8").required(true)),
        )
}

/// Runs one of them, where `matches` asks for one.
///
/// # Errors
///
/// What went wrong, for people; nothing of a value.
pub fn run(matches: &ArgMatches) -> Option<anyhow::Result<()>> {
    let (name, own) = matches.subcommand()?;
    let made = match name {
        "seal" => sealed(own),
        "unseal" => unsealed(own),
        _ => return None,
    };
    Some(made.and_then(|manifest| Ok(std::io::stdout().write_all(manifest.as_bytes())?)))
}

fn read(arguments: &ArgMatches, name: &str) -> anyhow::Result<Option<Zeroizing<String>>> {
    let path = arguments.get_one::<String>(name);
    path.map(|path| {
        let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {path}"))?;
        Ok(Zeroizing::new(text))
    })
    .transpose()
}

fn stdin() -> anyhow::Result<Zeroizing<String>> {
    let text = std::io::read_to_string(std::io::stdin()).context("standard input cannot be read")?;
    Ok(Zeroizing::new(text))
}

fn sealed(arguments: &ArgMatches) -> anyhow::Result<String> {
    let pem = read(arguments, "cert")?.unwrap_or_default();
    let key = certificate(pem.as_bytes()).context("--cert")?;
    let wanted = arguments.get_one::<String>("scope").map_or("", String::as_str);
    let scope = Scope::ALL
        .into_iter()
        .find(|scope| scope.as_str() == wanted)
        .unwrap_or(Scope::Strict);
    let mut secret = match read(arguments, "from-env-file")? {
        Some(lines) => {
            let mut secret = Secret {
                name: String::new(),
                namespace: String::new(),
                kind: None,
                immutable: None,
                metadata: serde_yaml::Mapping::new(),
                data: BTreeMap::new(),
            };
            secret.add_env(&lines).context("--from-env-file")?;
            secret
        }
        None => Secret::parse(&stdin()?)?,
    };
    for (what, own) in [("name", &mut secret.name), ("namespace", &mut secret.namespace)] {
        match (arguments.get_one::<String>(what), own.is_empty()) {
            (Some(given), true) => own.clone_from(given),
            (Some(given), false) if given != own => {
                bail!("--{what} is `{given}`, and the manifest says `{own}`")
            }
            (None, true) => bail!("the secret has no {what}: give --{what}"),
            (Some(_) | None, false) => {}
        }
    }
    secret.seal(&key, scope)
}

fn unsealed(arguments: &ArgMatches) -> anyhow::Result<String> {
    let pem = read(arguments, "key")?.unwrap_or_default();
    let keys = private_keys(&pem).context("--key")?;
    unseal(&stdin()?, &keys)
}
