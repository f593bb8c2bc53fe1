//! `policyc eval`: one decision, or one for each line of a file; or the decision of a server.

mod server;
mod stream;

use crate::args::Format;
use crate::engine::{self, EngineArgs, RequestArgs, RuleEntry};
use crate::exit::Exit;
use crate::output::shown;
use crate::remote::ServerArgs;
use crate::{Host, contexts, output, project};
use anyhow::bail;
use owo_colors::{OwoColorize as _, Style};
use policy_runtime::{ConditionTrace, ErrorEntry, Response, RuleTrace, Trace, Verb, Worker};
use std::io::Write;
use std::path::PathBuf;

/// Evaluate policies on a context
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Ends with 0 when the request is allowed and with 1 when it is denied. With --contexts, each line \
of the file is a context, a request of the REST API or a decision of `policyc decisions` or `policyd decisions export`, and one \
JSON response is written per line, in order; with the `requestId` of the line, where that is a request or a decision that has one. A \
line that cannot be decided gives an object with `error` and `line` in its place, and the exit \
code is 2; else it is 0 whatever the responses say. Where the policies cannot be used, the exit code is 2 as well, and nothing is \
written.\n\nWith --server, the policies of that \
server decide.\n\nExamples:\n  \
policyc eval my-policy.yaml --context '{\"llm\": {\"model\": \"gpt-4o\"}}'\n  \
policyc eval policies.bundle --public-key team.pub.pem --context @request.json --format json\n  \
policyc eval policies/ --contexts requests.jsonl > responses.jsonl\n  \
policyc eval --server http://127.0.0.1:3000 --context @request.json"
)]
pub(crate) struct Args {
    /// Policy files, directories, or one bundle; `-` is standard input [default: `paths` of policyc.toml]
    #[arg(conflicts_with = "server", value_name = "PATH|BUNDLE")]
    paths: Vec<PathBuf>,
    /// The context: JSON text, @FILE, or - for standard input
    #[arg(
        long,
        short = 'c',
        value_name = "JSON|@FILE|-",
        required_unless_present = "contexts"
    )]
    context: Option<String>,
    /// A file with one context, or one decision of a log, a line, or - for standard input
    #[arg(long, value_name = "FILE|-", conflicts_with_all = ["context", "server"])]
    contexts: Option<PathBuf>,
    /// Output [default: text, with --contexts json]
    #[arg(long, value_enum)]
    format: Option<Format>,
    /// Show the outcome of every rule and condition
    #[arg(long)]
    trace: bool,
    #[command(flatten)]
    request: RequestArgs,
    #[command(flatten)]
    engine: EngineArgs,
    #[command(flatten)]
    server: ServerArgs,
}

/// Asks the server of `--server`.
fn remote(args: &Args) -> anyhow::Result<Exit> {
    let engine = &args.engine;
    let local = [
        (args.request.all, "--all"),
        (engine.derive.is_some(), "--derive"),
        (engine.default_decision.is_some(), "--default-decision"),
        (engine.prices.is_some(), "--prices"),
        (!engine.public_keys.is_empty(), "--public-key"),
    ];
    if let Some((_, flag)) = local.iter().find(|(given, _)| *given) {
        bail!("{flag} is not for --server: the server has its own settings");
    }
    let context = engine::context(args.context.as_deref().unwrap_or("-"))?;
    contexts::mention_unknown(&context);
    let question = server::Question {
        namespace: args.request.scope.namespace.as_deref().or(project::namespace()),
        policies: args.request.scope.policies.as_deref(),
        trace: args.trace,
    };
    server::run(
        &args.server,
        &context,
        &question,
        args.format.unwrap_or(Format::Text),
    )
}

pub(crate) fn run(args: Args, _host: Host) -> anyhow::Result<Exit> {
    if args.server.server.is_some() {
        return remote(&args);
    }
    if let Some(flag) = args.server.given() {
        bail!("{flag} is for --server");
    }
    let paths = project::paths(&args.paths)?;
    let policies_from_stdin = paths.iter().any(|p| p.as_os_str() == "-");
    let contexts_from_stdin = args.context.as_deref() == Some("-")
        || args.contexts.as_deref().is_some_and(|p| p.as_os_str() == "-");
    if policies_from_stdin && contexts_from_stdin {
        bail!("standard input can hold the policies or the context, not both");
    }
    let options = args.request.options();
    if let Some(path) = &args.contexts {
        // The namespace of a line comes before that of the project.
        let options = options.evaluate(args.trace);
        let (engine, parts) = args.engine.load_with_parts(&paths)?;
        return stream::run(
            &engine,
            &parts,
            path,
            &options,
            args.format.unwrap_or(Format::Json),
        );
    }
    let options = options.or_project();
    let options = options.evaluate(args.trace);
    let context = engine::context(args.context.as_deref().unwrap_or("-"))?;
    contexts::mention_unknown(&context);
    let no_decision = |error| contexts::no_decision(&context, error);
    let response = match args.format.unwrap_or(Format::Text) {
        Format::Json => {
            let engine = args.engine.load(&paths)?;
            let mut worker = Worker::new();
            let evaluated = engine
                .evaluate_into(&mut worker, &context, &options)
                .map_err(no_decision)?;
            // As it is written: the owned response cannot hold every number.
            output::json_text(evaluated.json)?;
            return Ok(if evaluated.decision == Verb::Deny {
                Exit::No
            } else {
                Exit::Ok
            });
        }
        Format::Text => {
            let (engine, parts) = args.engine.load_with_parts(&paths)?;
            let response = engine
                .evaluate_json_with(&context, &options)
                .map_err(no_decision)?;
            let mut out = output::stdout();
            let policies = engine.policies();
            let place = |label: &str| parts.rule(&policies, options.namespace, label);
            verdict(&mut out, &response, place)?;
            if let Some(trace) = &response.decision.trace {
                self::trace(&mut out, trace)?;
            }
            out.flush()?;
            response
        }
    };
    Ok(if response.decision.allowed {
        Exit::Ok
    } else {
        Exit::No
    })
}

/// A decision in capitals and in its colour.
pub(crate) fn headline(verb: Verb) -> String {
    let style = match verb {
        Verb::Allow => Style::new().green(),
        Verb::Warn => Style::new().yellow(),
        Verb::Modify => Style::new().cyan(),
        Verb::Deny => Style::new().red(),
    };
    verb.as_str().to_uppercase().style(style.bold()).to_string()
}

/// A decision for people. `place` finds the rule of a name in `matchedRules`.
fn verdict<'p>(
    out: &mut impl Write,
    response: &Response,
    place: impl Fn(&str) -> Option<RuleEntry<'p>>,
) -> anyhow::Result<()> {
    let decision = &response.decision;
    write!(out, "{}", headline(decision.decision))?;
    match &decision.reason {
        Some(reason) => writeln!(out, "  {}", shown(reason.trim_end()))?,
        None if decision.matched_rules.is_empty() => writeln!(out, "  no rule fired")?,
        None => writeln!(out)?,
    }
    if !decision.matched_rules.is_empty() {
        writeln!(out, "\n{}", "matched rules".bold())?;
    }
    for label in &decision.matched_rules {
        match place(label) {
            Some(rule) => {
                let name = if rule.name == rule.rule { "" } else { rule.name };
                let separator = if name.is_empty() { "" } else { " — " };
                let place = rule.place();
                let (label, name) = (shown(label), shown(name));
                writeln!(out, "  {label}{separator}{name}  {}", shown(&place).dimmed())?;
            }
            None => writeln!(out, "  {}", shown(label))?,
        }
    }
    for (title, map) in [
        ("modifications", &decision.modifications),
        ("metadata", &decision.metadata),
    ] {
        if !map.is_empty() {
            writeln!(out, "\n{}", title.bold())?;
        }
        for (key, value) in map {
            writeln!(out, "  {} = {}", shown(key), shown(&value.to_string()))?;
        }
    }
    if !decision.errors.is_empty() {
        writeln!(out, "\n{}", "errors".bold())?;
    }
    for error in &decision.errors {
        failure(out, error)?;
    }
    Ok(())
}

/// One line for what could not be evaluated.
pub(crate) fn failure(out: &mut impl Write, error: &ErrorEntry) -> anyhow::Result<()> {
    writeln!(
        out,
        "  {}/{}: {}",
        shown(&error.policy),
        shown(&error.rule),
        shown(&error.message)
    )?;
    Ok(())
}

/// The outcome of every rule and condition.
fn trace(out: &mut impl Write, trace: &Trace) -> anyhow::Result<()> {
    rules(out, "trace", &trace.rules)?;
    match &trace.second_look {
        Some(second) => rules(out, "trace of the modified request, which is denied", second),
        None => Ok(()),
    }
}

fn rules(out: &mut impl Write, title: &str, rules: &[RuleTrace]) -> anyhow::Result<()> {
    writeln!(out, "\n{}", title.bold())?;
    for rule in rules {
        let fired = if rule.fired { "fired" } else { "did not fire" };
        writeln!(
            out,
            "  {} {}/{} ({}) {fired}",
            mark(rule.outcome),
            shown(&rule.policy),
            shown(&rule.rule),
            rule.decision
        )?;
        condition(out, &rule.condition, 2)?;
    }
    Ok(())
}

/// One line per node of a condition, indented by depth.
pub(crate) fn condition(out: &mut impl Write, node: &ConditionTrace, depth: usize) -> anyhow::Result<()> {
    writeln!(
        out,
        "{}{} {}",
        "  ".repeat(depth),
        mark(node.outcome),
        describe(node)
    )?;
    for child in &node.conditions {
        condition(out, child, depth + 1)?;
    }
    if let (Some(element), Some(body)) = (node.element, &node.condition) {
        writeln!(out, "{}element {element}:", "  ".repeat(depth + 1))?;
        condition(out, body, depth + 2)?;
    }
    Ok(())
}

/// One word per outcome, in its colour, all of one width.
fn mark(outcome: &str) -> String {
    let style = match outcome {
        "true" => Style::new().green(),
        "error" => Style::new().red(),
        _ => Style::new().dimmed(),
    };
    format!("{outcome:<5}").style(style).to_string()
}

/// Behind the operand of a comparison with `ignoreCase`.
pub(crate) const IGNORING_CASE: &str = " ignoring case";

/// What a comparison compares with, behind a blank; a named constant with its value.
pub(crate) fn operand(node: &ConditionTrace) -> String {
    let ignoring = if node.ignore_case { IGNORING_CASE } else { "" };
    match (&node.value_from, &node.constant, &node.value) {
        (Some(path), _, _) => format!(" {path}{ignoring}"),
        (None, Some(name), Some(value)) => format!(" {name} ({value}){ignoring}"),
        (None, None, Some(value)) => format!(" {value}{ignoring}"),
        (None, _, None) => String::new(),
    }
}

/// A condition with what it looked at.
fn describe(node: &ConditionTrace) -> String {
    let Some(field) = &node.field else {
        return node.operator.clone();
    };
    let operand = operand(node);
    let actual = node
        .actual
        .as_ref()
        .map_or_else(|| "missing".to_owned(), ToString::to_string);
    format!(
        "{}  {}",
        shown(&format!("{field} {}{operand}", node.operator)),
        format!("({})", shown(&actual)).dimmed()
    )
}
