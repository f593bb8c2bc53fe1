//! `policyc decisions`: the decision log of a server.
//!
//! As JSON lines they are what `eval --contexts` and `diff --contexts` read: each entry as the server gave it, digit for digit,
//! and page by page, so that a log of any length needs the memory of one page.

use crate::args::Format;
use crate::exit::{Exit, Shown};
use crate::remote::{self, ServerArgs};
use crate::{Host, output, span};
use anyhow::Context as _;
use clap::ValueEnum;
use jiff::Timestamp;
use serde_json::Value;
use serde_json::value::RawValue;
use std::io::Write as _;

/// Show the decision log of a server, newest first
#[derive(Debug, clap::Args)]
#[command(after_help = concat!(
    "Needs the scope `audit:read`; a caller limited to namespaces sees theirs. With --format json, one decision a line, in the form \
     that `policyc eval --contexts` and `policyc diff --contexts` read. Contexts are in it as far as the server keeps them \
     (DECISION_LOG_CONTEXT). Rules and policies are named as decisions name them: by their ids, and with what stands in front \
     where the request saw two of one id, such as `production/cost-limit`.\n\n",
    crate::remote::exits!(),
    "\n\nExamples:\n  policyc decisions --since 1h --decision deny\n  policyc decisions --rule no-secrets --since \
     2026-11-29T00:00:00Z --limit all\n  policyc decisions --since 7d --limit all --format json > week.jsonl\n  \
     policyc diff live.bundle policies/ --contexts week.jsonl"
))]
pub(crate) struct Args {
    /// From this time on, `from` of the API: how long ago (90s, 15m, 1h, 7d, 2w), or RFC 3339
    #[arg(long, value_name = "TIME", value_parser = span::moment)]
    since: Option<Timestamp>,
    /// Before this time, `to` of the API; written as for --since
    #[arg(long, value_name = "TIME", value_parser = span::moment)]
    until: Option<Timestamp>,
    /// Only where this rule fired
    #[arg(long, value_name = "ID")]
    rule: Option<String>,
    /// Only where a rule of this policy fired
    #[arg(long, value_name = "ID")]
    policy: Option<String>,
    /// Only of this namespace
    #[arg(long, value_name = "NAME")]
    namespace: Option<String>,
    /// Only with this outcome
    #[arg(long, value_enum, value_name = "OUTCOME")]
    decision: Option<Outcome>,
    /// Only asked by this caller
    #[arg(long, value_name = "NAME")]
    subject: Option<String>,
    /// Show at most this many decisions; `all` shows every one
    #[arg(long, value_name = "N|all", default_value = "100", value_parser = limit)]
    limit: Limit,
    /// How to report
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
    #[command(flatten)]
    server: ServerArgs,
}

/// What was decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Outcome {
    /// It could pass
    Allow,
    /// It could not
    Deny,
    /// It could pass, with a reason
    Warn,
    /// It could pass changed
    Modify,
}

impl Outcome {
    /// As the log spells it.
    fn as_str(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Deny => "deny",
            Self::Warn => "warn",
            Self::Modify => "modify",
        }
    }
}

/// How many entries; `None` is all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Limit(Option<usize>);

fn limit(text: &str) -> Result<Limit, String> {
    match text {
        "all" => Ok(Limit(None)),
        _ => match text.parse() {
            Ok(n) if n > 0 => Ok(Limit(Some(n))),
            _ => Err(format!("`{text}` is neither `all` nor a number from 1 on")),
        },
    }
}

pub(crate) fn run(args: Args, _host: Host) -> anyhow::Result<Exit> {
    let server = args.server.connect()?;
    let time = |at: Option<Timestamp>| at.map(|at| at.to_string());
    let (from, to) = (time(args.since), time(args.until));
    let query: Vec<(&str, &str)> = [
        ("from", from.as_deref()),
        ("to", to.as_deref()),
        ("rule", args.rule.as_deref()),
        ("policy", args.policy.as_deref()),
        ("namespace", args.namespace.as_deref()),
        ("decision", args.decision.map(Outcome::as_str)),
        ("subject", args.subject.as_deref()),
    ]
    .into_iter()
    .filter_map(|(name, value)| Some((name, value?)))
    .collect();
    let mut rows = Vec::new();
    let more = server.pages(
        PATH,
        &query,
        args.limit.0,
        |page: Vec<Box<RawValue>>| match args.format {
            Format::Json => lines(&page),
            Format::Text => {
                for entry in page {
                    rows.push(row(&entry)?);
                }
                Ok(())
            }
        },
    )?;
    if args.format == Format::Text {
        remote::table(
            &[
                "TIME",
                "DECISION",
                "NAMESPACE",
                "SUBJECT",
                "RULES",
                "REQUEST",
                "REASON",
            ],
            &rows,
        )?;
    }
    if args.format == Format::Text && rows.is_empty() {
        output::note(match args.rule.as_deref() {
            Some(rule) if rule.contains('/') => {
                "no decision fits; a log names a rule by its id alone, unless two policies of a namespace share it: give --rule ID \
                 and --policy ID"
            }
            _ => "no decision fits",
        });
    }
    if more {
        output::note("there are more; see --limit");
    }
    Ok(Exit::Ok)
}

const PATH: &str = "/api/v1/decisions";

fn lines(page: &[Box<RawValue>]) -> anyhow::Result<()> {
    let mut out = output::machine();
    for entry in page {
        // A line break between the members of an object, which no text in it holds.
        let line = entry.get().replace(['\n', '\r'], " ");
        writeln!(out, "{line}")?;
    }
    out.flush()?;
    if out.get_ref().is_closed() {
        // Nobody reads the next page.
        return Err(Shown(Exit::Ok).into());
    }
    Ok(())
}

fn row(entry: &RawValue) -> anyhow::Result<Vec<String>> {
    let entry: Value =
        serde_json::from_str(entry.get()).context("the server's answer is not what policyd answers")?;
    let rules = entry.get("matchedRules").and_then(Value::as_array);
    let rules = rules.map_or_else(String::new, |rules| {
        let rules: Vec<&str> = rules.iter().filter_map(Value::as_str).collect();
        remote::clean(&rules.join(", "))
    });
    let cell = |key: &str| remote::cell(&entry, key);
    Ok(vec![
        cell("timestamp"),
        cell("decision"),
        cell("namespace"),
        cell("subject"),
        rules,
        cell("requestId"),
        cell("reason"),
    ])
}

#[cfg(test)]
mod tests {
    use super::{Limit, limit, row};
    use serde_json::value::RawValue;

    #[test]
    fn each_column_of_a_decision_is_filled() {
        let entry = r#"{"timestamp":"2026-11-29T00:00:00Z","decision":"deny","namespace":"n","subject":"s",
            "matchedRules":["r"],"requestId":"q","reason":"w"}"#;
        let entry = RawValue::from_string(entry.to_owned()).unwrap();
        assert_eq!(
            row(&entry).unwrap(),
            ["2026-11-29T00:00:00Z", "deny", "n", "s", "r", "q", "w"]
        );
    }

    #[test]
    fn limits_are_numbers_or_all() {
        assert_eq!(limit("all"), Ok(Limit(None)));
        assert_eq!(limit("7"), Ok(Limit(Some(7))));
        for text in ["0", "-1", "", "many"] {
            assert!(limit(text).is_err(), "{text}");
        }
    }
}
