//! The command line as a whole: global options and the list of subcommands.

use crate::exit::Exit;
use crate::{
    Host, activate, approvals, bench, build, check, completions, decisions, delete, diff, edges, eval,
    explain, fmt, get, history, inspect, keygen, keys, list, man, push, reject, rollback, schema, sign, test,
    verify,
};
use clap::{Parser, Subcommand, ValueEnum};
use std::path::PathBuf;

/// Compiles, tests and evaluates policies for LLM requests.
#[derive(Debug, Parser)]
#[command(
    name = "policyc",
    version,
    max_term_width = 100,
    propagate_version = false,
    arg_required_else_help = true,
    after_help = "Exit codes: 0 ok or allowed · 1 a policy or a server says no · 2 usage, I/O, or a policy that does not compile · \
                  3 internal error\n\nExample:\n  policyc eval my-policy.yaml --context '{\"llm\": {\"model\": \"gpt-4o\"}}'"
)]
pub(crate) struct Cli {
    /// When to use colours [default: auto, on a terminal unless NO_COLOR is set]
    #[arg(
        long,
        global = true,
        value_enum,
        default_value = "auto",
        value_name = "auto|always|never",
        hide_possible_values = true,
        hide_default_value = true
    )]
    pub(crate) color: Color,
    /// Only errors, warnings and results; no summaries and no progress
    #[arg(long, short, global = true, conflicts_with = "verbose")]
    pub(crate) quiet: bool,
    /// Also which settings are used, and what was passed over
    #[arg(long, short, global = true)]
    pub(crate) verbose: bool,
    /// Settings to use [default: policyc.toml here or above, up to the root of the git repository]
    #[arg(long, global = true, value_name = "FILE", conflicts_with = "no_config")]
    pub(crate) config: Option<PathBuf>,
    /// Use no policyc.toml
    #[arg(long, global = true)]
    pub(crate) no_config: bool,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// When to use colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Color {
    /// On a terminal, unless NO_COLOR is set
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

impl Color {
    pub(crate) fn apply(self) {
        match self {
            Self::Auto => anstream::ColorChoice::Auto,
            Self::Always => anstream::ColorChoice::Always,
            Self::Never => anstream::ColorChoice::Never,
        }
        .write_global();
    }
}

macro_rules! commands {
    ($( $(#[$attribute:meta])* $variant:ident => $module:ident; )*) => {
        #[derive(Debug, Subcommand)]
        pub(crate) enum Command { $( $(#[$attribute])* $variant($module::Args), )* }

        impl Command {
            pub(crate) fn run(self, host: Host) -> anyhow::Result<Exit> {
                match self { $( Self::$variant(args) => $module::run(args, host), )* }
            }
        }
    };
}

commands! {
    #[command(visible_aliases = ["validate", "lint"])]
    Check => check;
    Build => build;
    #[command(visible_alias = "evaluate")]
    Eval => eval;
    Test => test;
    Bench => bench;
    Inspect => inspect;
    Explain => explain;
    Diff => diff;
    Fmt => fmt;
    Keygen => keygen;
    Sign => sign;
    Verify => verify;
    Push => push;
    List => list;
    Get => get;
    History => history;
    Approvals => approvals;
    #[command(visible_alias = "approve")]
    Activate => activate;
    Reject => reject;
    Rollback => rollback;
    Delete => delete;
    Decisions => decisions;
    Keys => keys;
    Edges => edges;
    Schema => schema;
    Completions => completions;
    Man => man;
}

impl Command {
    /// Whether a setting of the project file could change what it does.
    pub(crate) fn has_settings(&self) -> bool {
        !matches!(
            self,
            Self::Inspect(_)
                | Self::Keygen(_)
                | Self::Sign(_)
                | Self::Verify(_)
                | Self::Schema(_)
                | Self::Completions(_)
                | Self::Man(_)
        )
    }
}

/// Output for people or for machines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people
    Text,
    /// For machines
    Json,
}
