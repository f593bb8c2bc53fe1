//! Commands of `policyd` beside serving: tokens and keys for first steps, exports.

use crate::auth;
use crate::config::Config;
use crate::decisions;
use crate::identity::{Identity, Role};
use crate::seal::Sealer;
use crate::service::keys::{NewKey, make_key};
use crate::storage;
use crate::storage::model::DecisionFilter;
use crate::tls;
use anyhow::{Context as _, bail};
use clap::{Arg, ArgMatches, Command};
use secrecy::ExposeSecret as _;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;
use tonic::transport::{Certificate, ClientTlsConfig, Endpoint, Identity as Shown};

/// `policyd call` got no decision; `policyc` ends with the same where it cannot do what it was asked for.
const UNDECIDED: u8 = 2;

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
        .subcommand(call_command())
        .subcommand(
            Command::new("decisions")
                .about("The decision log")
                .subcommand_required(true)
                .subcommand(
                    Command::new("export")
                        .about("Write the decisions in the database to standard output as JSON lines, newest first")
                        .arg(
                            Arg::new("decision")
                                .long("decision")
                                .value_name("OUTCOME")
                                .value_parser(["allow", "deny", "warn", "modify"])
                                .help("Only with this outcome"),
                        )
                        .arg(
                            Arg::new("output")
                                .long("output")
                                .value_name("FILE")
                                .help("A new file, for its owner only, instead of standard output"),
                        )
                        .arg(
                            Arg::new("open")
                                .long("open")
                                .action(clap::ArgAction::SetTrue)
                                .help("Decrypt contexts with ENCRYPTION_KEYS; otherwise as they are stored"),
                        ),
                ),
        )
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
                    "Make an API key in the database; use it for the first key of a server",
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
        "call" => {
            return Ok(call(arguments).await.unwrap_or_else(|error| {
                eprintln!("policyd: {error:#}");
                ExitCode::from(UNDECIDED)
            }));
        }
        "decisions" => return export(arguments, &config).await,
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
            let operator = Identity::operator();
            let (_, secret) = make_key(&*store, &operator, "command line", new, 0).await?;
            println!("{}", secret.expose_secret());
            store.close().await;
        }
        other => bail!("there is no command `{other}`"),
    }
    Ok(ExitCode::SUCCESS)
}

/// Adds the client command.
fn call_command() -> Command {
    Command::new("call")
        .about("Ask a running server over gRPC for a decision; prints the response as JSON; ends with 0 when allowed, 1 when denied, 2 when there is no decision")
        .arg(
            Arg::new("server")
                .long("server")
                .env("POLICY_GRPC_SERVER")
                .value_name("URL")
                .default_value("http://127.0.0.1:50051"),
        )
        .arg(
            Arg::new("context")
                .long("context")
                .value_name("JSON|@FILE|-")
                .required(true)
                .help("The context, a file that holds it, or standard input"),
        )
        .arg(Arg::new("namespace").long("namespace").value_name("NAME"))
        .arg(
            Arg::new("token-file")
                .long("token-file")
                .value_name("FILE")
                .help("File with a token or an API key; the environment variable POLICY_TOKEN also works"),
        )
        .arg(
            Arg::new("ca")
                .long("ca")
                .value_name("FILE")
                .help("PEM certificates to trust instead of the public ones"),
        )
        .arg(
            Arg::new("client-cert")
                .long("client-cert")
                .value_name("FILE")
                .requires("client-key")
                .help("PEM certificate chain to show, where the server has a TLS_CLIENT_CA"),
        )
        .arg(
            Arg::new("client-key")
                .long("client-key")
                .value_name("FILE")
                .requires("client-cert")
                .help("PEM private key of the certificate to show"),
        )
}

/// Where a server is, and what proves to either side who the other is.
fn endpoint(server: &str, arguments: &ArgMatches) -> anyhow::Result<Endpoint> {
    let endpoint = Endpoint::from_shared(server.to_owned()).with_context(|| format!("{server} is no URL"))?;
    let file = |name: &str| -> anyhow::Result<Option<Vec<u8>>> {
        let path = arguments.get_one::<String>(name);
        path.map(|path| std::fs::read(path).with_context(|| format!("cannot read {path}")))
            .transpose()
    };
    let identity = match (file("client-cert")?, file("client-key")?) {
        (Some(cert), Some(key)) => Some(Shown::from_pem(cert, key)),
        _ => None,
    };
    let ca = arguments.get_one::<String>("ca");
    if endpoint.uri().scheme_str() != Some("https") {
        // Without this, what was meant to be protected would not be, and nobody would know.
        if ca.is_some() || identity.is_some() {
            bail!("{server} is not https, so there are no certificates to look at or to show");
        }
        return Ok(endpoint);
    }
    tls::install_provider();
    let mut config = match ca {
        Some(path) => {
            ClientTlsConfig::new().ca_certificate(Certificate::from_pem(tls::authorities(Path::new(path))?))
        }
        None => ClientTlsConfig::new().with_webpki_roots(),
    };
    if let Some(identity) = identity {
        config = config.identity(identity);
    }
    endpoint
        .tls_config(config)
        .context("the certificates cannot be used")
}

async fn call(arguments: &ArgMatches) -> anyhow::Result<ExitCode> {
    use policy_proto::v1;
    use policy_proto::v1::policy_service_client::PolicyServiceClient;
    let context = match arguments.get_one::<String>("context").map_or("", String::as_str) {
        "-" => std::io::read_to_string(std::io::stdin())?,
        text => match text.strip_prefix('@') {
            Some(path) => std::fs::read_to_string(path).with_context(|| format!("cannot read {path}"))?,
            None => text.to_owned(),
        },
    };
    let credential = match arguments.get_one::<String>("token-file") {
        Some(path) => Some(std::fs::read_to_string(path).with_context(|| format!("cannot read {path}"))?),
        None => std::env::var("POLICY_TOKEN").ok(),
    };
    let server = arguments.get_one::<String>("server").cloned().unwrap_or_default();
    let channel = endpoint(&server, arguments)?
        .connect()
        .await
        .with_context(|| format!("{server} cannot be reached"))?;
    let mut client = PolicyServiceClient::new(channel);
    let mut request = tonic::Request::new(v1::EvaluatePolicyRequest {
        input: Some(v1::evaluate_policy_request::Input::ContextJson(context.into())),
        namespace: arguments.get_one::<String>("namespace").cloned(),
        json_response: true,
        ..v1::EvaluatePolicyRequest::default()
    });
    if let Some(credential) = credential {
        let value = format!("Bearer {}", credential.trim());
        request.metadata_mut().insert(
            "authorization",
            value.parse().context("the token holds what no header can")?,
        );
    }
    let response = client
        .evaluate_policy(request)
        .await
        .map_err(|status| anyhow::anyhow!("{:?}: {}", status.code(), status.message()))?
        .into_inner();
    println!("{}", String::from_utf8_lossy(&response.response_json));
    Ok(if response.allowed {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

async fn export(arguments: &ArgMatches, config: &Config) -> anyhow::Result<ExitCode> {
    let Some(("export", arguments)) = arguments.subcommand() else {
        bail!("say what to do with the decisions");
    };
    let store = storage::open(&config.store).await?;
    let filter = DecisionFilter {
        decision: arguments.get_one::<String>("decision").cloned(),
        ..DecisionFilter::default()
    };
    let sealer = match config.log.keys.as_slice() {
        [] => None,
        keys => Some(Sealer::new(keys)?),
    };
    let open = |text: &str, bound: &str| match &sealer {
        Some(sealer) => sealer.open(text, bound).map_err(|error| error.to_string()),
        None => Err("ENCRYPTION_KEYS are not given".to_owned()),
    };
    let open: Option<decisions::Open<'_>> = if arguments.get_flag("open") {
        Some(&open)
    } else {
        None
    };
    let count = match arguments.get_one::<String>("output") {
        None => decisions::export(&*store, &filter, open, &mut std::io::stdout()).await?,
        Some(path) => {
            let mut file = new_file(path).with_context(|| format!("cannot make {path}"))?;
            let count = decisions::export(&*store, &filter, open, &mut file).await?;
            file.sync_all().with_context(|| format!("cannot write {path}"))?;
            count
        }
    };
    store.close().await;
    eprintln!("{count} decisions");
    Ok(ExitCode::SUCCESS)
}

/// A file that was not there, for its owner only.
fn new_file(path: &str) -> std::io::Result<std::fs::File> {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        options.mode(0o600);
    }
    options.open(path)
}
