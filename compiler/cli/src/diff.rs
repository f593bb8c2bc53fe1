//! `policyc diff`: how two policy sets differ in meaning, and on which contexts they decide differently.
//!
//! Both sides are compared as compiled, so sources and bundles can be mixed, and layout, comments, key order and
//! optimisation do not show. Inactive policies and disabled rules are not part of what is compared. The old side may be what
//! decides on a server; both sides are compiled and evaluated here, with the flags of this command.

mod server;

use crate::args::Format;
use crate::contexts::{self, Masked};
use crate::engine::{EngineArgs, Parts, RequestArgs, RuleEntry};
use crate::exit::Exit;
use crate::remote::ServerArgs;
use crate::{Host, inputs, output, project};
use anyhow::{Context as _, bail};
use owo_colors::OwoColorize as _;
use policy_bytecode::manifest::{CondNode, Manifest, TemplatePart, ValueNode, VerbInfo};
use policy_bytecode::module::PathSegment;
use policy_bytecode::predicate::{PredOperand, Predicate};
use policy_bytecode::quantifier::{ItemOperand, Node, Subject};
use policy_bytecode::{BodyIdx, Const, Module, Number, disasm};
use policy_runtime::{EvaluateError, EvaluateOptions, Response};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::path::{Path, PathBuf};

/// Compare two policy sets in meaning, and over contexts
#[derive(Debug, clap::Args)]
#[command(
    after_help = "With --contexts, ends with 1 when a decision differs; without, when the policies differ in meaning. Lines may \
be contexts, requests of the REST API or decisions of `policyc decisions` and `policyd decisions export`; what nothing can be \
decided on ends the comparison with 2.\n\n\
With --server, the old side is what decides on that server, as far as the caller may read it, and the new side is the only \
path, or `paths` of policyc.toml. Needs the scope `policy:read`. Both sides are evaluated here: with the engine's flags of this command, not with the \
settings of the server.\n\n\
Examples:\n  policyc diff live.bundle policies/ --contexts requests.jsonl\n  \
policyc diff policies/ --server https://policy.example.com --token-file token"
)]
pub(crate) struct Args {
    /// Policy file, directory or bundle; the new side with --server [default with --server: `paths` of policyc.toml]
    #[arg(value_name = "OLD", required_unless_present = "server")]
    old: Option<PathBuf>,
    /// Policy file, directory or bundle [default: `paths` of policyc.toml]
    #[arg(value_name = "NEW", conflicts_with = "server")]
    new: Option<PathBuf>,
    /// A file with one context, or one decision of a log, a line, or - for standard input
    #[arg(long, value_name = "FILE|-")]
    contexts: Option<PathBuf>,
    /// Contexts to show in text; all are counted
    #[arg(long, value_name = "N", default_value_t = 20)]
    show: usize,
    /// Output
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
    #[command(flatten)]
    request: RequestArgs,
    #[command(flatten)]
    engine: EngineArgs,
    #[command(flatten)]
    server: ServerArgs,
}

/// One difference in meaning.
struct Change {
    kind: &'static str,
    what: &'static str,
    /// Policy id, or `policy/rule`; the namespace in front where policies share an id.
    id: String,
    /// For a changed one: aspect, old, new.
    aspects: Vec<(String, String, String)>,
}

/// A context on which the two sides differ.
struct Differing {
    line: usize,
    aspects: Vec<(&'static str, Value, Value)>,
}

pub(crate) fn run(args: Args, _host: Host) -> anyhow::Result<Exit> {
    let is_stdin = |path: &Path| path.as_os_str() == "-";
    let paths = [args.old.as_ref(), args.new.as_ref(), args.contexts.as_ref()];
    if paths.into_iter().flatten().filter(|path| is_stdin(path)).count() > 1 {
        bail!("standard input can hold one side, or the contexts");
    }
    let of_path = |path: &PathBuf| inputs::read(std::slice::from_ref(path));
    let of_new = |path: &Option<PathBuf>| inputs::read(&project::paths(path.as_slice())?);
    let (old, new) = if args.server.server.is_some() {
        // Before the server is asked: what is wrong with the files shows at once.
        let new = args.engine.with_parts(of_new(&args.old)?)?;
        let old = args
            .engine
            .with_parts(server::deciding(&args.server.connect()?)?)
            .context("what decides on the server cannot be compared")?;
        (old, new)
    } else {
        if let Some(flag) = args.server.given() {
            bail!("{flag} is for --server");
        }
        let old = args.old.as_ref().context("no old side is named")?;
        (
            args.engine.with_parts(of_path(old)?)?,
            args.engine.with_parts(of_new(&args.new)?)?,
        )
    };
    let ((old_engine, old), (new_engine, new)) = (old, new);
    let changes = changes(&old, &new);
    let mut differing = Vec::new();
    let mut total = 0;
    let mut masked = Masked::default();
    if let Some(path) = &args.contexts {
        let text = output::read(path)?;
        let options = args.request.options();
        let options = options.evaluate(false);
        for (i, line) in text.split(|b| *b == b'\n').enumerate() {
            let line = output::unmarked(line).trim_ascii();
            if line.is_empty() {
                continue;
            }
            total += 1;
            let read = match contexts::read(line) {
                Ok(read) => read,
                Err(error) => bail!("line {} of `{}`: {}", i + 1, path.display(), error.message),
            };
            masked.add(read.context);
            let options = EvaluateOptions {
                namespace: options
                    .namespace
                    .or(read.namespace.as_deref())
                    .or(project::namespace()),
                ..options.clone()
            };
            let old = old_engine.evaluate_json_with(read.context, &options);
            let new = new_engine.evaluate_json_with(read.context, &options);
            if let (Err(error @ EvaluateError::Context(_)), Err(_)) = (&old, &new) {
                bail!("line {} of `{}` is no context: {error}", i + 1, path.display());
            }
            let aspects = compare(old, new);
            if !aspects.is_empty() {
                differing.push(Differing { line: i + 1, aspects });
            }
        }
        if total == 0 {
            bail!("`{}` holds no contexts", path.display());
        }
        masked.mention(&[&old, &new]);
    }
    match args.format {
        Format::Json => output::json(&document(
            &changes,
            &differing,
            args.contexts.is_some().then_some(total),
        ))?,
        Format::Text => text(&args, &changes, &differing, total)?,
    }
    let differs = if args.contexts.is_some() {
        !differing.is_empty()
    } else {
        !changes.is_empty()
    };
    Ok(if differs { Exit::No } else { Exit::Ok })
}

fn document(changes: &[Change], differing: &[Differing], contexts: Option<usize>) -> Value {
    let changes: Vec<Value> = changes
        .iter()
        .map(|c| {
            let aspects: Vec<Value> = c
                .aspects
                .iter()
                .map(|(what, old, new)| json!({ "what": what, "old": old, "new": new }))
                .collect();
            json!({ "change": c.kind, "kind": c.what, "id": c.id, "aspects": aspects })
        })
        .collect();
    let decisions: Vec<Value> = differing
        .iter()
        .map(|d| {
            let aspects: Vec<Value> = d
                .aspects
                .iter()
                .map(|(what, old, new)| json!({ "what": what, "old": old, "new": new }))
                .collect();
            json!({ "line": d.line, "aspects": aspects })
        })
        .collect();
    json!({ "policies": changes, "contexts": contexts, "decisions": decisions })
}

fn text(args: &Args, changes: &[Change], differing: &[Differing], total: usize) -> anyhow::Result<()> {
    let mut out = output::stdout();
    if changes.is_empty() {
        writeln!(out, "the policies mean the same")?;
    }
    for change in changes {
        let sign = match change.kind {
            "added" => "+".green().to_string(),
            "removed" => "-".red().to_string(),
            _ => "~".yellow().to_string(),
        };
        writeln!(out, "{sign} {} {}", change.what, output::shown(&change.id).bold())?;
        for (what, old, new) in &change.aspects {
            writeln!(out, "    {}", output::shown(what))?;
            writeln!(out, "      {} {}", "-".red(), output::shown(old))?;
            writeln!(out, "      {} {}", "+".green(), output::shown(new))?;
        }
    }
    if args.contexts.is_some() {
        writeln!(
            out,
            "\n{} of {} decided differently",
            differing.len(),
            output::count(total, "context", "contexts")
        )?;
    }
    for d in differing.iter().take(args.show) {
        writeln!(out, "  {}", format!("line {}", d.line).bold())?;
        for (what, old, new) in &d.aspects {
            let [old, new] = [old, new].map(|value| output::shown(&value.to_string()).into_owned());
            writeln!(out, "    {what}: {} {} {}", old.red(), "→".dimmed(), new.green())?;
        }
    }
    if differing.len() > args.show {
        writeln!(
            out,
            "  … {} more (--show, or --format json)",
            differing.len() - args.show
        )?;
    }
    out.flush()?;
    Ok(())
}

/// The aspects in which two answers differ.
fn compare(
    old: Result<Response, EvaluateError>,
    new: Result<Response, EvaluateError>,
) -> Vec<(&'static str, Value, Value)> {
    let aspects = |answer: Result<Response, EvaluateError>| -> Vec<(&'static str, Value)> {
        match answer {
            Ok(response) => {
                let d = response.decision;
                vec![
                    ("decision", json!(d.decision.as_str())),
                    ("reason", json!(d.reason)),
                    ("matchedRules", json!(d.matched_rules)),
                    ("modifications", json!(d.modifications)),
                    ("metadata", json!(d.metadata)),
                    ("errors", json!(d.errors)),
                ]
            }
            Err(error) => vec![("decision", json!(format!("refused: {error}")))],
        }
    };
    let mut new: BTreeMap<&str, Value> = aspects(new).into_iter().collect();
    let mut differences = Vec::new();
    for (what, old) in aspects(old) {
        let new = new.remove(what).unwrap_or(Value::Null);
        if old != new {
            differences.push((what, old, new));
        }
    }
    differences
}

/// How policies of both sides are named: by their ids, where no side has two of one id. So a policy that moves to another
/// namespace is still the same one.
struct Names {
    shared: BTreeSet<String>,
}

impl Names {
    fn of(sides: &[&Parts]) -> Self {
        let mut shared = BTreeSet::new();
        for parts in sides {
            let mut seen = BTreeSet::new();
            let ids = parts.manifest.policies.iter().map(|p| &p.id);
            shared.extend(ids.filter(|id| !seen.insert(*id)).cloned());
        }
        Self { shared }
    }

    fn policy(&self, namespace: &str, id: &str) -> String {
        if self.shared.contains(id) {
            format!("{namespace}/{id}")
        } else {
            id.to_owned()
        }
    }

    fn rule(&self, rule: &RuleEntry<'_>) -> String {
        format!("{}/{}", self.policy(rule.namespace, rule.policy), rule.rule)
    }
}

/// A policy or rule as comparable texts.
type Aspects = Vec<(String, String)>;

fn changes(old: &Parts, new: &Parts) -> Vec<Change> {
    let mut changes = Vec::new();
    let names = Names::of(&[old, new]);
    pair(
        "policy",
        policies(old, &names),
        policies(new, &names),
        &mut changes,
    );
    pair("rule", rules(old, &names), rules(new, &names), &mut changes);
    let orders = (order(old, &names), order(new, &names));
    if changes.is_empty() && orders.0 != orders.1 {
        changes.push(Change {
            kind: "changed",
            what: "order",
            id: "of rules".to_owned(),
            aspects: vec![(
                "evaluation order".to_owned(),
                orders.0.join(", "),
                orders.1.join(", "),
            )],
        });
    }
    changes
}

fn pair(
    what: &'static str,
    old: BTreeMap<String, Aspects>,
    mut new: BTreeMap<String, Aspects>,
    changes: &mut Vec<Change>,
) {
    for (id, before) in old {
        let Some(after) = new.remove(&id) else {
            changes.push(Change {
                kind: "removed",
                what,
                id,
                aspects: Vec::new(),
            });
            continue;
        };
        let mut after: BTreeMap<String, String> = after.into_iter().collect();
        let mut aspects = Vec::new();
        for (name, before) in before {
            let after = after.remove(&name).unwrap_or_else(|| "none".to_owned());
            if before != after {
                aspects.push((name, before, after));
            }
        }
        aspects.extend(
            after
                .into_iter()
                .map(|(name, after)| (name, "none".to_owned(), after)),
        );
        if !aspects.is_empty() {
            changes.push(Change {
                kind: "changed",
                what,
                id,
                aspects,
            });
        }
    }
    for id in new.into_keys() {
        changes.push(Change {
            kind: "added",
            what,
            id,
            aspects: Vec::new(),
        });
    }
}

fn policies(parts: &Parts, names: &Names) -> BTreeMap<String, Aspects> {
    parts
        .manifest
        .policies
        .iter()
        .map(|p| {
            let aspects = vec![
                ("version".to_owned(), p.version.clone()),
                ("namespace".to_owned(), p.namespace.clone()),
                ("priority".to_owned(), p.priority.to_string()),
            ];
            (names.policy(&p.namespace, &p.id), aspects)
        })
        .collect()
}

fn rules(parts: &Parts, names: &Names) -> BTreeMap<String, Aspects> {
    let show = Show {
        module: &parts.module,
        manifest: &parts.manifest,
    };
    parts
        .rules()
        .zip(parts.manifest.rules.iter().zip(&parts.module.rules))
        .map(|(entry, (info, rule))| {
            let mut aspects = vec![
                ("decision".to_owned(), rule.decision.as_str().to_owned()),
                ("condition".to_owned(), show.condition(info.condition)),
                (
                    "on error".to_owned(),
                    if rule.fires_on_error {
                        "fires"
                    } else {
                        "is skipped"
                    }
                    .to_owned(),
                ),
            ];
            if let Some(reason) = info.reason {
                aspects.push(("reason".to_owned(), show.template(reason)));
            }
            for (key, value) in &info.metadata {
                aspects.push((format!("metadata {key}"), show.value(*value).to_string()));
            }
            for m in &info.modifications {
                aspects.push((format!("modification {}", m.path), show.verb(&m.verb)));
            }
            (names.rule(&entry), aspects)
        })
        .collect()
}

fn order(parts: &Parts, names: &Names) -> Vec<String> {
    parts.rules().map(|rule| names.rule(&rule)).collect()
}

/// Prints what a manifest holds, in full.
struct Show<'p> {
    module: &'p Module,
    manifest: &'p Manifest,
}

impl Show<'_> {
    fn condition(&self, node: u32) -> String {
        let list = |children: &[u32], word: &str| {
            let parts: Vec<String> = children.iter().map(|c| self.condition(*c)).collect();
            format!("({})", parts.join(&format!(" {word} ")))
        };
        match self.manifest.conditions.get(node as usize) {
            Some(CondNode::Const(value)) => value.to_string(),
            Some(CondNode::And(children)) => list(children, "and"),
            Some(CondNode::Or(children)) => list(children, "or"),
            Some(CondNode::Not(child)) => format!("not {}", self.condition(*child)),
            Some(CondNode::Test { pred, negated, .. }) => {
                let Some(predicate) = self.module.predicates.get(pred.index()) else {
                    return "?".to_owned();
                };
                self.predicate(predicate, *negated)
            }
            None => "?".to_owned(),
        }
    }

    fn predicate(&self, predicate: &Predicate, negated: bool) -> String {
        let not = if negated { "not " } else { "" };
        let field = self.field(predicate.field.index());
        let operand = self.operand(predicate.operand);
        let (op, folded) = predicate.op.unfolded();
        let ignoring = if folded { crate::eval::IGNORING_CASE } else { "" };
        format!("{field} {not}{}{operand}{ignoring}", op.as_str())
    }

    /// An operand with a space in front. What a body names stands before it, so this ends.
    fn operand(&self, operand: PredOperand) -> String {
        match operand {
            PredOperand::None => String::new(),
            PredOperand::Const(k) => format!(" {}", self.constant(k.index())),
            PredOperand::Pattern(p) => {
                let pattern = self.module.patterns.get(p.index());
                format!(" /{}/", pattern.map_or("?", |p| p.source.as_str()))
            }
            PredOperand::Field(f) => format!(" {}", self.field(f.index())),
            PredOperand::Body(q) => format!(" {}", self.body(q)),
        }
    }

    fn body(&self, q: BodyIdx) -> String {
        let item = |path: &[PathSegment]| {
            let mut steps = vec![PathSegment::Key {
                name: "item".to_owned(),
                aliases: Vec::new(),
            }];
            steps.extend_from_slice(path);
            disasm::path_text(&steps)
        };
        let mut texts: Vec<String> = Vec::new();
        let nodes = self
            .module
            .bodies
            .get(q.index())
            .map_or(&[][..], |body| &body.nodes);
        for node in nodes {
            let child = |n: &u32| texts.get(*n as usize).map_or("?", String::as_str);
            let list = |nodes: &[u32], word: &str| {
                let parts: Vec<&str> = nodes.iter().map(child).collect();
                format!("({})", parts.join(&format!(" {word} ")))
            };
            let text = match node {
                Node::And(nodes) => list(nodes, "and"),
                Node::Or(nodes) => list(nodes, "or"),
                Node::Not(n) => format!("not {}", child(n)),
                Node::Pred { pred, negated } => match self.module.predicates.get(pred.index()) {
                    Some(predicate) => self.predicate(predicate, *negated),
                    None => "?".to_owned(),
                },
                Node::Test(test) => {
                    let left = match &test.subject {
                        Subject::Item(path) => item(path),
                        Subject::Field(f) => self.field(f.index()),
                    };
                    let right = match &test.operand {
                        ItemOperand::Item(path) => format!(" {}", item(path)),
                        ItemOperand::Plain(operand) => self.operand(*operand),
                    };
                    let not = if test.negated { "not " } else { "" };
                    let (op, folded) = test.op.unfolded();
                    let ignoring = if folded { crate::eval::IGNORING_CASE } else { "" };
                    format!("{left} {not}{}{right}{ignoring}", op.as_str())
                }
            };
            texts.push(text);
        }
        format!("[{}]", texts.pop().unwrap_or_default())
    }

    fn field(&self, index: usize) -> String {
        self.module
            .fields
            .get(index)
            .map_or_else(|| "?".to_owned(), disasm::field_path)
    }

    /// Constants refer to earlier ones only, so this ends.
    fn constant(&self, index: usize) -> Value {
        match self.module.consts.get(index) {
            Some(Const::Bool(b)) => json!(b),
            Some(Const::Number(Number::Int(n))) => json!(n),
            Some(Const::Number(Number::UInt(n))) => json!(n),
            Some(Const::Number(Number::Float(x))) => json!(x),
            // As a text: it is there to be read and compared, and nothing else holds it.
            Some(Const::Str(s) | Const::Decimal(s)) => json!(s),
            Some(Const::Array(items)) => items.iter().map(|k| self.constant(k.index())).collect(),
            Some(Const::Object(members)) => Value::Object(
                members
                    .iter()
                    .map(|(key, k)| (key.clone(), self.constant(k.index())))
                    .collect(),
            ),
            Some(Const::Null) | None => Value::Null,
        }
    }

    fn template(&self, index: u32) -> String {
        let parts = self
            .manifest
            .templates
            .get(index as usize)
            .map_or(&[][..], Vec::as_slice);
        parts
            .iter()
            .map(|part| match part {
                TemplatePart::Text(text) => text.clone(),
                TemplatePart::Field(f) => format!("{{{{ {} }}}}", self.field(f.index())),
            })
            .collect()
    }

    fn value(&self, index: u32) -> Value {
        match self.manifest.values.get(index as usize) {
            Some(ValueNode::Const(k)) => self.constant(k.index()),
            Some(ValueNode::Template(t)) => Value::String(self.template(*t)),
            Some(ValueNode::Array(items)) => items.iter().map(|v| self.value(*v)).collect(),
            Some(ValueNode::Object(members)) => {
                Value::Object(members.iter().map(|(k, v)| (k.clone(), self.value(*v))).collect())
            }
            None => Value::Null,
        }
    }

    fn verb(&self, verb: &VerbInfo) -> String {
        match verb {
            VerbInfo::Set(v) => format!("set to {}", self.value(*v)),
            VerbInfo::Cap(k) => format!("cap at {}", self.constant(k.index())),
            VerbInfo::Floor(k) => format!("floor at {}", self.constant(k.index())),
            VerbInfo::Default(v) => format!("default {}", self.value(*v)),
            VerbInfo::Append(v) => format!("append {}", self.value(*v)),
            VerbInfo::Remove => "remove".to_owned(),
            VerbInfo::Redact(types) if types.is_empty() => "redact all".to_owned(),
            VerbInfo::Redact(types) => format!("redact {}", types.join(", ")),
        }
    }
}
