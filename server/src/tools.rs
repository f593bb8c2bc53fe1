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
use std::io::{self, Write as _};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
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
        .help("admin, policy.author, policy.approver, policy.viewer, auditor, evaluator, edge")
}

fn namespaces_arg() -> Arg {
    Arg::new("namespaces")
        .long("namespaces")
        .value_name("NAME,…")
        .value_delimiter(',')
        .help("Namespaces that it may use; all when absent")
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
                        .about("Write the decisions in the log to standard output as JSON lines, newest first")
                        .arg(
                            Arg::new("decision")
                                .long("decision")
                                .value_name("OUTCOME")
                                .value_parser(["allow", "deny", "warn", "modify"])
                                .help("Only decisions with this outcome"),
                        )
                        .arg(
                            Arg::new("output")
                                .long("output")
                                .value_name("FILE")
                                .help("Write to a new file, readable by its owner only, instead of standard output"),
                        )
                        .arg(
                            Arg::new("open")
                                .long("open")
                                .action(clap::ArgAction::SetTrue)
                                .help("Decrypt contexts with ENCRYPTION_KEYS; otherwise they are written as stored"),
                        ),
                )
                .subcommand(
                    Command::new("migrate")
                        .about("Copy the decisions in the database to segments; may be repeated, and copies none twice")
                        .arg(
                            Arg::new("remove")
                                .long("remove")
                                .action(clap::ArgAction::SetTrue)
                                .help("Remove them from the database afterwards; stop servers that write there first"),
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
                        .required(true)
                        .help("Who the token is for: the claim `sub`, which logs and approvals name"),
                )
                .arg(roles_arg())
                .arg(namespaces_arg()),
        )
        .subcommand(
            Command::new("key")
                .about(
                    "Make an API key in the database, such as the first key of a server",
                )
                .arg(
                    Arg::new("name")
                        .long("name")
                        .value_name("NAME")
                        .required(true)
                        .help("Name of the key, which logs and approvals show"),
                )
                .arg(roles_arg())
                .arg(namespaces_arg())
                .arg(
                    Arg::new("expires-in")
                        .long("expires-in")
                        .value_name("SPAN")
                        .value_parser(span)
                        .help("How long the key is good, such as 12h or 90d; without a unit, seconds [default: until it is revoked]"),
                ),
        )
}

/// A span of time.
fn span(text: &str) -> Result<Duration, String> {
    crate::settings::duration(text)
        .ok_or_else(|| format!("`{text}` is not a span of time such as 12h or 90d"))
}

/// Whether the reader of standard output has gone, as `head` does.
fn is_closed(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::BrokenPipe
}

/// Writes a line of a report to standard output. Nobody is left to tell when its reader has gone, and the exit status says the
/// same still.
///
/// # Errors
///
/// It cannot be written for another reason: a disk is full.
pub fn say(line: &str) -> io::Result<()> {
    print_line(line).or_else(|error| if is_closed(&error) { Ok(()) } else { Err(error) })
}

/// Writes a line to standard output.
fn print_line(line: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{line}")?;
    out.flush()
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
                .map(|role| Role::parse(role).with_context(|| Role::unknown(role)))
                .collect::<anyhow::Result<Vec<_>>>()?;
            let subject = arguments.get_one::<String>("subject").map_or("", String::as_str);
            let token = auth::issue(&jwt, subject, &roles, namespaces.as_deref(), jwt.life)?;
            print_line(token.expose_secret()).context("cannot write the token")?;
        }
        "key" => {
            let store = storage::open(&config.store).await?;
            let new = NewKey {
                name: arguments.get_one::<String>("name").cloned().unwrap_or_default(),
                roles: many(arguments, "roles"),
                scopes: Vec::new(),
                namespaces,
                life: arguments.get_one::<Duration>("expires-in").copied(),
            };
            let operator = Identity::operator();
            let (key, secret) = make_key(&*store, &operator, "command line", new, 0).await?;
            store.close().await;
            print_line(secret.expose_secret())
                .with_context(|| format!("the key {} was made but cannot be written; revoke it", key.id))?;
        }
        other => bail!("there is no command `{other}`"),
    }
    Ok(ExitCode::SUCCESS)
}

/// Adds the client command.
fn call_command() -> Command {
    Command::new("call")
        .about("Ask a running server for a decision over gRPC and print the response as JSON; exit status 0 allowed, 1 denied, 2 no decision")
        .arg(
            Arg::new("server")
                .long("server")
                .env("POLICY_GRPC_SERVER")
                .value_name("URL")
                .default_value("http://127.0.0.1:50051")
                .help("URL of the gRPC port of the server"),
        )
        .arg(
            Arg::new("context")
                .long("context")
                .value_name("JSON|@FILE|-")
                .required(true)
                .help("The context, a file that holds it, or standard input"),
        )
        .arg(
            Arg::new("namespace")
                .long("namespace")
                .value_name("NAME")
                .help("Namespace whose policies decide, together with those of `global`"),
        )
        .arg(
            Arg::new("token-file")
                .long("token-file")
                .value_name("FILE")
                .conflicts_with("api-key-file")
                .help("File with a token or an API key [default: what the variable POLICY_TOKEN holds]"),
        )
        .arg(
            Arg::new("api-key-file")
                .long("api-key-file")
                .value_name("FILE")
                .help("File with an API key"),
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
                .help("PEM certificate chain to send, if the server has a TLS_CLIENT_CA"),
        )
        .arg(
            Arg::new("client-key")
                .long("client-key")
                .value_name("FILE")
                .requires("client-cert")
                .help("PEM private key of the certificate to send"),
        )
}

/// Why a connection was not made: the error and what it comes from, each text once.
fn causes(error: &(dyn std::error::Error + 'static)) -> String {
    let mut texts: Vec<String> = Vec::new();
    let mut next = Some(error);
    while let Some(error) = next {
        let text = error.to_string();
        // The first says only that there was one, and some repeat what the next ones say.
        if text != "transport error" && !texts.contains(&text) {
            texts.push(text);
        }
        next = error.source();
    }
    texts.join(": ")
}

/// Where a server is, and what proves to either side who the other is.
fn endpoint(server: &str, arguments: &ArgMatches) -> anyhow::Result<Endpoint> {
    let endpoint = Endpoint::from_shared(server.to_owned()).with_context(|| format!("{server} is no URL"))?;
    if !matches!(endpoint.uri().scheme_str(), Some("http" | "https")) {
        bail!("{server} is not the URL of a server, such as http://localhost:50051");
    }
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
    let read = |path: &String| std::fs::read_to_string(path).with_context(|| format!("cannot read {path}"));
    let file = |name: &str| arguments.get_one::<String>(name);
    let (header, credential) = match (file("token-file"), file("api-key-file")) {
        (Some(path), _) => ("authorization", Some(format!("Bearer {}", read(path)?.trim()))),
        (None, Some(path)) => ("x-api-key", Some(read(path)?.trim().to_owned())),
        (None, None) => {
            let token = std::env::var("POLICY_TOKEN").ok();
            (
                "authorization",
                token.map(|token| format!("Bearer {}", token.trim())),
            )
        }
    };
    let server = arguments.get_one::<String>("server").cloned().unwrap_or_default();
    let channel = endpoint(&server, arguments)?
        .connect()
        .await
        .map_err(|error| anyhow::anyhow!("{server} cannot be reached: {}", causes(&error)))?;
    let mut client = PolicyServiceClient::new(channel);
    let mut request = tonic::Request::new(v1::EvaluatePolicyRequest {
        input: Some(v1::evaluate_policy_request::Input::ContextJson(context.into())),
        namespace: arguments.get_one::<String>("namespace").cloned(),
        json_response: true,
        ..v1::EvaluatePolicyRequest::default()
    });
    if let Some(credential) = credential {
        request.metadata_mut().insert(
            header,
            credential
                .parse()
                .context("the token or API key holds characters that a header cannot")?,
        );
    }
    let response = client
        .evaluate_policy(request)
        .await
        .map_err(|status| refusal(&server, &status))?
        .into_inner();
    // The decision stands, whether or not somebody reads it.
    match print_line(&String::from_utf8_lossy(&response.response_json)) {
        Err(error) if !is_closed(&error) => return Err(error).context("cannot write the response"),
        _ => {}
    }
    Ok(if response.allowed {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Why there is no decision. `policyd` sends its own errors with details; what has none came from something else.
fn refusal(server: &str, status: &tonic::Status) -> anyhow::Error {
    let said = format!("{:?}: {}", status.code(), status.message());
    let foreign = status.details().is_empty()
        && matches!(
            status.code(),
            tonic::Code::Unknown
                | tonic::Code::Internal
                | tonic::Code::Unimplemented
                | tonic::Code::Unavailable
        );
    if foreign {
        return anyhow::anyhow!(
            "{server} does not answer as the gRPC port of policyd does (GRPC_PORT, 50051 by default): {said}"
        );
    }
    anyhow::anyhow!(said)
}

async fn export(arguments: &ArgMatches, config: &Config) -> anyhow::Result<ExitCode> {
    let arguments = match arguments.subcommand() {
        Some(("export", arguments)) => arguments,
        Some(("migrate", arguments)) => return migrate(arguments, config).await,
        _ => bail!("say what to do with the decisions"),
    };
    let (log, store) = match &config.log.segments {
        Some(segments) => (
            decisions::Reader::Segments(Arc::new(decisions::Segments::look(segments)?)),
            None,
        ),
        None => {
            let store = storage::open(&config.store).await?;
            (decisions::Reader::Store(Arc::clone(&store)), Some(store))
        }
    };
    let close = async {
        if let Some(store) = store {
            store.close().await;
        }
    };
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
        None => match decisions::export(&log, &filter, open, &mut io::stdout()).await {
            // Whoever read it has enough.
            Err(decisions::ExportError::Output(error)) if is_closed(&error) => {
                close.await;
                return Ok(ExitCode::SUCCESS);
            }
            written => written?,
        },
        Some(path) => {
            let mut file = new_file(path).with_context(|| format!("cannot make {path}"))?;
            let count = decisions::export(&log, &filter, open, &mut file).await?;
            file.sync_all().with_context(|| format!("cannot write {path}"))?;
            count
        }
    };
    close.await;
    eprintln!("{count} decisions");
    Ok(ExitCode::SUCCESS)
}

/// Copies decisions from the database to segments.
async fn migrate(arguments: &ArgMatches, config: &Config) -> anyhow::Result<ExitCode> {
    let Some(segments) = &config.log.segments else {
        bail!("DECISION_LOG does not name `segments`, to which decisions would be moved");
    };
    let remove = arguments.get_flag("remove");
    if remove && config.log.sinks.contains(&decisions::config::Sink::Store) {
        bail!("DECISION_LOG names `store`: what is written there would be removed");
    }
    // A staging folder of its own: the journal may belong to a running server.
    let segments = decisions::config::Segments {
        journal: config.store.data_dir.join("decisions-migration"),
        ..segments.clone()
    };
    let store = storage::open(&config.store).await?;
    let segments = decisions::Segments::open(&segments)
        .map_err(|error| anyhow::anyhow!("DECISION_LOG: cannot write segments: {error}"))?;
    let done = decisions::migrate(&store, &Arc::new(segments)).await?;
    eprintln!("{} decisions copied, {} were there", done.moved, done.there);
    if remove {
        let removed = done.remove(&*store).await?;
        eprintln!("{removed} decisions removed from the database");
    }
    store.close().await;
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
