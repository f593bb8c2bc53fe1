//! `policyc keys`: the API keys of a server: list, create, rotate, revoke.
//!
//! **Invariant.** A secret is in no message and in no file: it goes to standard output once, alone, or with `--format json` as
//! `key` of the answer. All else about a new secret goes to standard error, so that standard output can be stored as it is.

use crate::args::Format;
use crate::exit::Exit;
use crate::remote::{self, Call, Server, ServerArgs};
use crate::{Host, output, span};
use anyhow::{Context as _, bail};
use clap::Subcommand;
use serde_json::{Map, Value, json};
use std::io::Write as _;
use ureq::http::Method;

/// List, create, rotate and revoke the API keys of a server
#[derive(Debug, clap::Args)]
#[command(
    subcommand_required = true,
    arg_required_else_help = true,
    after_help = concat!(
        "Needs the scope `keys:manage`. A key is named by its id, the part between the first and the second `_`; only the server's \
         answer to `create` and `rotate` holds the whole key.\n\n",
        crate::remote::exits!(),
        "\n\nExamples:\n  policyc keys list\n  policyc keys create --name gateway --roles evaluator --expires-in 90d > gateway.key\n  \
         policyc keys rotate 0123456789abcdef --overlap 1h > gateway.key\n  policyc keys revoke 0123456789abcdef"
    )
)]
pub(crate) struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    List(List),
    Create(Create),
    Rotate(Rotate),
    Revoke(Revoke),
}

/// List API keys, without their secrets
#[derive(Debug, clap::Args)]
struct List {
    /// Show at most this many keys [default: all]
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
    /// How to report
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
    #[command(flatten)]
    server: ServerArgs,
}

/// Make an API key; prints it on standard output, once
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Nobody makes a key that may do more, or is good for longer, than the key that makes it.\n\n\
                        Example:\n  policyc keys create --name gateway --roles evaluator --namespaces production --expires-in 90d"
)]
struct Create {
    /// What people call it
    #[arg(long, value_name = "TEXT")]
    name: String,
    /// Roles: admin, policy.author, policy.approver, policy.viewer, auditor, evaluator, edge
    #[arg(
        long,
        value_name = "ROLE,…",
        value_delimiter = ',',
        required_unless_present = "scopes"
    )]
    roles: Vec<String>,
    /// Scopes beside those of the roles, such as policy:evaluate or audit:read
    #[arg(long, value_name = "SCOPE,…", value_delimiter = ',')]
    scopes: Vec<String>,
    /// Namespaces that it may touch [default: all that its maker may]
    #[arg(long, value_name = "NAME,…", value_delimiter = ',')]
    namespaces: Option<Vec<String>>,
    /// How long it is good, such as 12h or 90d [default: until it is revoked]
    #[arg(long, value_name = "SPAN", value_parser = span::seconds)]
    expires_in: Option<u64>,
    /// The key alone, or the server's answer
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
    #[command(flatten)]
    server: ServerArgs,
}

/// Give an API key a new secret; prints the key on standard output, once
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  policyc keys rotate 0123456789abcdef --overlap 1h --expires-in 90d")]
struct Rotate {
    /// The id of the key
    #[arg(value_name = "ID")]
    id: String,
    /// How long the old secret stays good, such as 0s or 1h [default: a day]
    #[arg(long, value_name = "SPAN", value_parser = span::seconds)]
    overlap: Option<u64>,
    /// How long the key is good from now on [default: as before]
    #[arg(long, value_name = "SPAN", value_parser = span::seconds)]
    expires_in: Option<u64>,
    /// The key alone, or the server's answer
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
    #[command(flatten)]
    server: ServerArgs,
}

/// Revoke an API key
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Servers know within five seconds.\n\nExample:\n  policyc keys revoke 0123456789abcdef"
)]
struct Revoke {
    /// The id of the key
    #[arg(value_name = "ID")]
    id: String,
    #[command(flatten)]
    server: ServerArgs,
}

pub(crate) fn run(args: Args, _host: Host) -> anyhow::Result<Exit> {
    match args.what {
        What::List(args) => list(&args),
        What::Create(args) => create(args),
        What::Rotate(args) => rotate(&args),
        What::Revoke(args) => revoke(&args),
    }
}

fn list(args: &List) -> anyhow::Result<Exit> {
    let items = args.server.connect()?.list(KEYS, &[], args.limit)?;
    if args.format == Format::Json {
        output::json(&items)?;
        return Ok(Exit::Ok);
    }
    let rows: Vec<Vec<String>> = items
        .iter()
        .map(|key| {
            let end = match key.get("revokedAt") {
                None | Some(Value::Null) => remote::cell(key, "expiresAt"),
                Some(_) => format!("revoked {}", remote::cell(key, "revokedAt")),
            };
            vec![
                remote::cell(key, "id"),
                remote::cell(key, "name"),
                words(key, "scopes", ""),
                words(key, "namespaces", "all"),
                remote::cell(key, "author"),
                remote::cell(key, "createdAt"),
                end,
            ]
        })
        .collect();
    remote::table(
        &[
            "KEY",
            "NAME",
            "SCOPES",
            "NAMESPACES",
            "AUTHOR",
            "CREATED",
            "EXPIRES",
        ],
        &rows,
    )?;
    Ok(Exit::Ok)
}

const KEYS: &str = "/api/v1/keys";

/// The path of a key.
fn key_path(id: &str, rest: &str) -> anyhow::Result<String> {
    // A whole key would be in the server's log of requests, and an id with other characters is none.
    if id.is_empty() || !id.bytes().all(|b| b.is_ascii_alphanumeric()) {
        bail!("that is not the id of a key; ids are letters and digits, see `policyc keys list`");
    }
    Ok(format!("{KEYS}/{id}{rest}"))
}

fn create(args: Create) -> anyhow::Result<Exit> {
    let server = args.server.connect()?;
    let mut body = Map::new();
    body.insert("name".to_owned(), args.name.into());
    body.insert("roles".to_owned(), args.roles.into());
    body.insert("scopes".to_owned(), args.scopes.into());
    if let Some(namespaces) = args.namespaces {
        body.insert("namespaces".to_owned(), namespaces.into());
    }
    if let Some(seconds) = args.expires_in {
        body.insert("expiresIn".to_owned(), seconds.into());
    }
    secret(&server, KEYS, body, args.format)
}

fn rotate(args: &Rotate) -> anyhow::Result<Exit> {
    let path = key_path(&args.id, "/rotate")?;
    let server = args.server.connect()?;
    let mut body = Map::new();
    for (name, seconds) in [("overlap", args.overlap), ("expiresIn", args.expires_in)] {
        if let Some(seconds) = seconds {
            body.insert(name.to_owned(), json!(seconds));
        }
    }
    secret(&server, &path, body, args.format)
}

/// Asks for a secret and hands it on.
fn secret(server: &Server, path: &str, body: Map<String, Value>, format: Format) -> anyhow::Result<Exit> {
    let key: Value = server.send(&Method::POST, path, None, &Value::Object(body))?;
    let secret = key.get("key").and_then(Value::as_str);
    let secret = secret.context("the server's answer holds no key")?;
    let mut out = output::machine();
    match format {
        Format::Json => writeln!(out, "{key}")?,
        Format::Text => {
            // It goes into a file or a variable as it is.
            if secret.is_empty() || !secret.bytes().all(|b| b.is_ascii_graphic()) {
                bail!("the server's answer holds characters that no key has");
            }
            writeln!(out, "{secret}")?;
        }
    }
    out.flush()?;
    let end = match remote::cell(&key, "expiresAt") {
        end if end.is_empty() => "until it is revoked".to_owned(),
        end => format!("until {end}"),
    };
    output::note(&format!(
        "key {} ({}): {}; namespaces: {}; good {end}",
        remote::cell(&key, "id"),
        remote::cell(&key, "name"),
        words(&key, "scopes", ""),
        words(&key, "namespaces", "all"),
    ));
    let old = remote::cell(&key, "previousUntil");
    if !old.is_empty() {
        output::note(&format!("the secret before it is good until {old}"));
    }
    output::note("the key is shown this once; no server can show it again");
    Ok(Exit::Ok)
}

fn revoke(args: &Revoke) -> anyhow::Result<Exit> {
    let path = key_path(&args.id, "")?;
    let call = Call {
        method: &Method::DELETE,
        path: &path,
        if_match: None,
        body: None,
    };
    args.server.connect()?.call(call)?.accepted()?;
    output::note(&format!("{} is revoked", output::shown(&args.id)));
    Ok(Exit::Ok)
}

/// A list of words of an object of the server; `otherwise` where there is none.
fn words(object: &Value, key: &str, otherwise: &str) -> String {
    match object.get(key).and_then(Value::as_array) {
        None => otherwise.to_owned(),
        Some(words) => {
            let words: Vec<String> = words
                .iter()
                .filter_map(Value::as_str)
                .map(remote::clean)
                .collect();
            words.join(",")
        }
    }
}
