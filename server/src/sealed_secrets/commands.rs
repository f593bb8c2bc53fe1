//! `policyd seal` and `policyd unseal`: manifests in, manifests out, without a cluster. `policyd check-sealed`: what is wrong with
//! the manifests of a folder.

use super::check::{Checked, Severity, missing, twice};
use super::pods::Pods;
use super::{Scope, Secret, certificate, private_keys, unseal};
use crate::tools;
use anyhow::{Context as _, bail};
use clap::{Arg, ArgAction, ArgMatches, Command};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use zeroize::Zeroizing;

/// The manifests could not be checked, so nothing is known of them.
const UNCHECKED: u8 = 3;

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
        .subcommand(
            Command::new("check-sealed")
                .about("Check manifests of SealedSecrets against the pods that read the secrets")
                .long_about(
                    "Check manifests of SealedSecrets against the pods that read the secrets.\n\nEach value has to be built as the \
                     controller expects, each secret to be sealed for its own name and namespace, and its keys to be those that the \
                     pods read. Plain Secrets are errors. Needs neither a cluster nor a key.\n\nExit status: 0 nothing is wrong, \
                     1 something is, 2 wrong arguments, 3 a file cannot be read.",
                )
                .after_help(
                    "Example:\n  policyd check-sealed --pods k8s k8s/sealed-secrets/manifests/jwt-sealedsecret.yaml",
                )
                .arg(
                    Arg::new("files")
                        .value_name("FILE")
                        .num_args(1..)
                        .required_unless_present("all")
                        .conflicts_with("all")
                        .help("Manifests of SealedSecrets; `-` is standard input"),
                )
                .arg(
                    Arg::new("all").long("all").value_name("DIR").help(
                        "All manifests in and below a directory, but for those of names that begin with `.env`; one for each \
                         secret that the pods read",
                    ),
                )
                .arg(
                    Arg::new("pods")
                        .long("pods")
                        .value_name("FILE|DIR")
                        .action(ArgAction::Append)
                        .required(true)
                        .help("Manifests of the pods that read the secrets; a directory stands for its *.yaml, `-` for standard input"),
                )
                .arg(
                    Arg::new("deny-warnings")
                        .long("deny-warnings")
                        .action(ArgAction::SetTrue)
                        .help("Warnings count as errors"),
                )
                .arg(
                    Arg::new("format")
                        .long("format")
                        .value_name("FORMAT")
                        .value_parser(["text", "json", "github"])
                        .default_value("text")
                        .help("Lines for people, one JSON document, or annotations of GitHub Actions"),
                ),
        )
}

/// Runs one of them, where `matches` asks for one.
///
/// # Errors
///
/// What went wrong, for people; nothing of a value.
pub fn run(matches: &ArgMatches) -> Option<anyhow::Result<ExitCode>> {
    let (name, own) = matches.subcommand()?;
    let made = match name {
        "seal" => sealed(own),
        "unseal" => unsealed(own),
        "check-sealed" => {
            return Some(checked(own).or_else(|error| {
                eprintln!("policyd: {error:#}");
                Ok(ExitCode::from(UNCHECKED))
            }));
        }
        _ => return None,
    };
    Some(made.and_then(|manifest| {
        std::io::stdout().write_all(manifest.as_bytes())?;
        Ok(ExitCode::SUCCESS)
    }))
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

/// The manifests of a path; the names are in the order of the alphabet.
fn manifests(path: &str) -> anyhow::Result<Vec<(String, String)>> {
    if path == "-" {
        let text = std::io::read_to_string(std::io::stdin()).context("standard input cannot be read")?;
        return Ok(vec![("standard input".to_owned(), text)]);
    }
    let mut files = Vec::new();
    let path = Path::new(path);
    match path.is_dir() {
        true => collect(path, false, &mut files)?,
        false => files.push(path.to_owned()),
    }
    files.sort();
    let read = |path: &PathBuf| {
        let name = path.display().to_string();
        let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {name}"))?;
        Ok((name, text))
    };
    files.iter().map(read).collect()
}

/// Adds the manifests of a directory, with what is below it where `deep`.
fn collect(directory: &Path, deep: bool, files: &mut Vec<PathBuf>) -> anyhow::Result<()> {
    let entries =
        std::fs::read_dir(directory).with_context(|| format!("cannot list {}", directory.display()))?;
    for entry in entries {
        let entry = entry.with_context(|| format!("cannot list {}", directory.display()))?;
        let path = entry.path();
        let is = |endings: &[&str]| {
            path.extension()
                .is_some_and(|ending| endings.iter().any(|e| ending == *e))
        };
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        // Links to directories are not followed: git keeps none of what is behind them.
        if entry.file_type()?.is_dir() {
            if deep {
                collect(&path, deep, files)?;
            }
        } else if is(if deep { &["yaml", "yml", "json"] } else { &["yaml"] }) && !name.starts_with(".env") {
            files.push(path);
        }
    }
    Ok(())
}

fn checked(arguments: &ArgMatches) -> anyhow::Result<ExitCode> {
    let mut pods = Vec::new();
    for path in arguments.get_many::<String>("pods").into_iter().flatten() {
        pods.extend(manifests(path).context("--pods")?);
    }
    let pods = Pods::of(&pods).context("--pods")?;
    let mut found = Vec::new();
    let look = |file: &str, text: &str| {
        let mut one = Checked::new(file);
        one.manifests(text, &pods);
        one
    };
    if let Some(directory) = arguments.get_one::<String>("all") {
        let mut files = Vec::new();
        collect(Path::new(directory), true, &mut files).context("--all")?;
        files.sort();
        for path in files {
            let name = path.display().to_string();
            let text = std::fs::read_to_string(&path).with_context(|| format!("cannot read {name}"))?;
            let one = look(&name, &text);
            // The other manifests of the folder are no business of this command, unless something is wrong with them.
            if !one.secrets.is_empty() || !one.problems.is_empty() {
                found.push(one);
            }
        }
        if found.is_empty() {
            bail!("there is no SealedSecret in {directory}");
        }
        twice(&mut found);
        let problems = missing(&found, &pods);
        if !problems.is_empty() {
            let mut folder = Checked::new(directory);
            folder.problems = problems;
            found.push(folder);
        }
    } else {
        for path in arguments.get_many::<String>("files").into_iter().flatten() {
            for (name, text) in manifests(path)? {
                let mut one = look(&name, &text);
                if one.secrets.is_empty() && one.problems.is_empty() {
                    one.push(Severity::Error, "there is no SealedSecret in it");
                }
                found.push(one);
            }
        }
        twice(&mut found);
    }
    let strict = arguments.get_flag("deny-warnings");
    let is_fatal = |severity: Severity| strict || severity == Severity::Error;
    let problems = found.iter().flat_map(|one| &one.problems);
    let valid = !problems.into_iter().any(|problem| is_fatal(problem.severity));
    let format = arguments.get_one::<String>("format").map_or("", String::as_str);
    tools::say(report(&found, valid, format)?.trim_end()).context("standard output cannot be written")?;
    Ok(if valid {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// What was found, as it is printed.
fn report(found: &[Checked], valid: bool, format: &str) -> anyhow::Result<String> {
    let mut out = String::new();
    if format == "json" {
        let whole = serde_json::json!({ "valid": valid, "files": found });
        writeln!(out, "{}", serde_json::to_string_pretty(&whole)?)?;
        return Ok(out);
    }
    for one in found {
        if one.problems.is_empty() {
            writeln!(out, "{}: ok, {}", one.file, one.secrets.join(", "))?;
        }
        for problem in &one.problems {
            let severity = problem.severity.as_str();
            match format {
                "github" => writeln!(
                    out,
                    "::{severity} file={}::{}",
                    escaped(&one.file).replace(':', "%3A").replace(',', "%2C"),
                    escaped(&problem.message)
                )?,
                _ => writeln!(out, "{}: {severity}: {}", one.file, problem.message)?,
            }
        }
    }
    Ok(out)
}

/// As the commands of a workflow want their texts.
fn escaped(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}
