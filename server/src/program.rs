//! The `policyd` program: settings from the command line, the environment and a file, and one of a few commands.

use crate::config::Config;
use crate::descriptors;
use crate::server::Server;
use crate::settings::table::{SETTINGS, Setting, flag_of};
use crate::settings::{CONFIG_FILE, Raw};
use crate::storage::Database;
use crate::telemetry::{self, Metrics};
use crate::{audit, check, health_check, manual, sealed_secrets, storage, tools};
use anyhow::Context as _;
use clap::{Arg, ArgAction, ArgMatches, Command};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// The configuration is wrong (`EX_CONFIG` of sysexits).
const BAD_CONFIG: u8 = 78;

/// The flag for trying out.
const DEV: &str = "dev";

/// Spans that wait are given this long at the end.
const LAST_SPANS: Duration = Duration::from_secs(3);

/// What reads a file beside the rest is given this long at the end. What has to be written was waited for before.
const LAST_FILES: Duration = Duration::from_secs(1);

fn command() -> Command {
    let mut command = Command::new("policyd")
        .about(
            "Enforces policies on LLM requests, over REST and gRPC.",
        )
        .version(env!("CARGO_PKG_VERSION"))
        .arg(
            Arg::new("config")
                .long("config")
                .env(CONFIG_FILE)
                .value_name("FILE")
                .global(true)
                .help("TOML file of settings [default: policyd.toml, if it exists]"),
        )
        .arg(
            Arg::new(DEV)
                .long("dev")
                .action(ArgAction::SetTrue)
                .global(true)
                .help("For trying it out: nothing is stored, logs are easy to read"),
        )
        .subcommand(Command::new("run").about("Serve; the default command"))
        .subcommand(
            Command::new("check-config").about("Report everything that is wrong with the settings; exit status 0 or 78"),
        )
        .subcommand(
            Command::new("audit")
                .about("The audit trail")
                .subcommand_required(true)
                .subcommand(
                    Command::new("verify").about(
                        "Check that no record was changed, removed or moved, and that policies and bundles match the records",
                    ),
                ),
        );
    command = health_check::commands(command);
    command = manual::commands(sealed_secrets::commands(tools::commands(command)));
    let dev = command.get_arguments().find(|arg| arg.get_id() == DEV).cloned();
    let mut settings: Vec<(Option<&Setting>, Arg)> = dev.into_iter().map(|dev| (None, dev)).collect();
    for setting in SETTINGS {
        let mut arg = Arg::new(setting.name)
            .long(setting.flag())
            .global(true)
            .value_name(setting.value)
            // So that `-1` is a value that is reported like any other.
            .allow_negative_numbers(true)
            .help_heading(setting.group)
            .help(format!(
                "{}{}",
                setting.help,
                setting
                    .default
                    .map_or(String::new(), |d| format!(" [default: {d}]"))
            ));
        if setting.value == "BOOL" {
            arg = arg
                .num_args(0..=1)
                .default_missing_value("true")
                .require_equals(true);
        }
        if setting.name == "POLICY_STRICT" {
            // As `policyc check --strict`.
            arg = arg.visible_alias("strict");
        }
        if setting.secret {
            // A secret on a command line can be read by everybody on the machine.
            arg = arg.hide(true);
        }
        settings.push((Some(setting), arg.clone()));
        command = command.arg(arg);
        if let Some(name) = setting.file_name() {
            let arg = Arg::new(name.clone())
                .long(flag_of(&name))
                .global(true)
                .value_name("FILE")
                .help_heading(setting.group)
                .help(format!("File that holds the value of {}", setting.name));
            settings.push((Some(setting), arg.clone()));
            command = command.arg(arg);
        }
    }
    own_help(command, "", &settings)
}

/// Whether a command reads a setting; `None` is `--dev`.
fn reads(command: &str, setting: Option<&Setting>) -> bool {
    match command {
        "run" | "check-config" => true,
        "audit verify" | "key" => setting.is_some_and(|setting| setting.group == "Storage"),
        "decisions export" | "decisions migrate" => setting.is_some_and(|setting| {
            setting.group == "Storage" || matches!(setting.name, "DECISION_LOG" | "DECISION_LOG_SEGMENTS")
        }),
        "health" => setting.is_some_and(|setting| matches!(setting.name, "METRICS_HOST" | "METRICS_PORT")),
        "token" => setting.is_some_and(|setting| setting.name.starts_with("JWT_")),
        _ => false,
    }
}

/// Every command takes every setting. Its help shows those that it reads.
fn own_help(mut command: Command, path: &str, settings: &[(Option<&Setting>, Arg)]) -> Command {
    let names: Vec<String> = command
        .get_subcommands()
        .map(|command| command.get_name().to_owned())
        .collect();
    for name in names {
        let path = format!("{path} {name}").trim().to_owned();
        command = command.mut_subcommand(&name, |below| {
            settings
                .iter()
                .fold(own_help(below, &path, settings), |below, (setting, arg)| {
                    let hide = arg.is_hide_set() || !reads(&path, *setting);
                    below.arg(arg.clone().hide(hide))
                })
        });
    }
    command
}

fn raw(matches: &ArgMatches) -> anyhow::Result<Raw> {
    let named = matches.get_one::<String>("config");
    let path = named.map_or("policyd.toml", String::as_str);
    let file = match std::fs::read_to_string(path) {
        Ok(text) => Some(text),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound && named.is_none() => None,
        Err(error) => return Err(error).with_context(|| format!("cannot read {path}")),
    };
    let mut raw = Raw::collect(
        file.as_ref().map(|text| (path, text.as_str())),
        |name| std::env::var(name).ok(),
        |name| matches.get_one::<String>(name).cloned(),
    );
    if matches.get_flag(DEV) {
        raw.try_out();
    }
    Ok(raw)
}

/// Runs the program.
#[must_use]
pub fn main() -> ExitCode {
    let matches = command().get_matches();
    let manual = || Some(manual::run(&matches, command())?.map(|()| ExitCode::SUCCESS));
    if let Some(ended) = sealed_secrets::run(&matches).or_else(manual) {
        return ended.unwrap_or_else(|error| {
            eprintln!("policyd: {error:#}");
            ExitCode::FAILURE
        });
    }
    let health = matches.subcommand_matches("health");
    let raw = match raw(&matches) {
        Ok(raw) => raw,
        Err(error) => {
            eprintln!("policyd: {error:#}");
            return health.map_or(ExitCode::from(BAD_CONFIG), |_| ExitCode::FAILURE);
        }
    };
    if let Some(arguments) = health {
        return health_check::run(arguments, &raw);
    }
    let serves = matches!(matches.subcommand(), None | Some(("run" | "check-config", _)));
    // The other commands need a part of the settings only, and no file of a server's.
    let checked = if serves {
        check::settings(&raw)
    } else {
        Config::parse(&raw)
    };
    let config = match checked {
        Ok(config) => config,
        Err(problems) => {
            let plural = if problems.len() == 1 { "" } else { "s" };
            eprintln!("policyd: {} problem{plural} with the settings", problems.len());
            for problem in problems {
                eprintln!("  {problem}");
            }
            // A name that is misspelt may be why.
            for warning in strangers() {
                eprintln!("policyd: warning: {warning}");
            }
            return ExitCode::from(BAD_CONFIG);
        }
    };
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("policyd: {error}");
            return ExitCode::FAILURE;
        }
    };
    let result = match matches.subcommand() {
        None | Some(("run", _)) => runtime.block_on(run(&raw, config)),
        Some(("check-config", _)) => {
            for warning in strangers() {
                eprintln!("policyd: warning: {warning}");
            }
            for note in &config.notes {
                eprintln!("policyd: {note}");
            }
            tools::say("the settings are fine")
                .map(|()| ExitCode::SUCCESS)
                .map_err(Into::into)
        }
        Some(("audit", _)) => runtime.block_on(verify(config)),
        Some((name, arguments)) => runtime.block_on(tools::run(name, arguments, config)),
    };
    // A file that does not answer, as on a folder of another machine, holds up no end.
    runtime.shutdown_timeout(LAST_FILES);
    result.unwrap_or_else(|error| {
        eprintln!("policyd: {error:#}");
        ExitCode::FAILURE
    })
}

/// What to say of the environment.
fn strangers() -> Vec<String> {
    // What is no text is no name of a setting.
    Raw::strangers(std::env::vars_os().filter_map(|(name, _)| name.into_string().ok()))
}

async fn run(raw: &Raw, config: Config) -> anyhow::Result<ExitCode> {
    // First of all: until it is caught, it ends the process.
    let hangups = signal(SignalKind::hangup())?;
    let telemetry = telemetry::start(&config.telemetry)?;
    for (name, text, source) in raw.shown() {
        tracing::info!(setting = name, value = text, %source, "setting");
    }
    for warning in strangers() {
        tracing::warn!("{warning}");
    }
    for note in &config.notes {
        tracing::warn!(setting = note.setting, source = %note.source, "{}", note.message);
    }
    descriptors::raise();
    if !config.auth.required() {
        tracing::warn!("authentication is off: everybody who reaches the ports may do everything");
    }
    let server = Server::build(config, Arc::new(Metrics::new()), Some(telemetry.level.clone())).await?;
    let addresses = server.addresses();
    tracing::info!(rest = %addresses.http, grpc = %addresses.grpc, admin = %addresses.admin, "listening");
    let stop = CancellationToken::new();
    let hurry = CancellationToken::new();
    tokio::spawn(signals(stop.clone(), hurry.clone()));
    tokio::spawn(answer_hangups(hangups));
    let cut = server.run_until(stop, hurry).await?;
    let spans_sent = telemetry.shutdown(LAST_SPANS).await;
    if cut.connections == 0 && cut.decisions == 0 && spans_sent {
        return Ok(ExitCode::SUCCESS);
    }
    eprintln!(
        "policyd: stopped with {} connections cut and {} decisions not written",
        cut.connections, cut.decisions
    );
    Ok(ExitCode::FAILURE)
}

/// Says to whoever asks for a reload that there is no need. Ends with the runtime.
async fn answer_hangups(mut hangups: Signal) {
    while hangups.recv().await.is_some() {
        tracing::info!(
            "SIGHUP: nothing to reload; certificates, keys of tokens, files of secrets, policies and bundles are watched, and \
             other settings need a restart"
        );
    }
}

/// Stops the server at the first signal. Another one ends the delay before requests are drained, where that goes on, and else
/// the process.
async fn signals(stop: CancellationToken, hurry: CancellationToken) {
    let (Ok(mut terminate), Ok(mut interrupt)) =
        (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
    else {
        tracing::error!("signals cannot be caught; the process ends without draining");
        return;
    };
    loop {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        if !stop.is_cancelled() {
            stop.cancel();
        } else if !hurry.is_cancelled() {
            hurry.cancel();
        } else {
            std::process::exit(1);
        }
    }
}

async fn verify(config: Config) -> anyhow::Result<ExitCode> {
    const PART: u32 = 1000;
    // Opened, it would be made, and a trail without records holds.
    if let Database::SqliteFile(path) = &config.store.database
        && !path.try_exists()?
    {
        anyhow::bail!("there is no database {}", path.display());
    }
    let store = storage::open(&config.store).await?;
    match audit::verify(&*store, PART).await? {
        Ok(report) => {
            let (seq, hash) = report.head;
            tools::say(&format!(
                "{seq} records, unbroken; head {}",
                crate::hex::of(&hash)
            ))?;
            for changed in &report.changed {
                tools::say(&changed.to_string())?;
            }
            if !report.changed.is_empty() {
                return Ok(ExitCode::FAILURE);
            }
            tools::say(&format!(
                "{} versions of policies and {} bundles are as recorded",
                report.versions, report.bundles
            ))?;
            Ok(ExitCode::SUCCESS)
        }
        Err(broken) => {
            tools::say(&format!("the audit trail is broken: {broken}"))?;
            Ok(ExitCode::FAILURE)
        }
    }
}
