//! Lines of `--contexts`: a context as it is sent, a request of the REST API, or a decision as `policyc decisions`, `policyd
//! decisions export` and the decision log write it.
//!
//! What a log masked is not what was decided on. [`Masked`] gathers which fields that are, and which rules look at them.

use crate::engine::Parts;
use crate::output;
use policy_bytecode::manifest::CondNode;
use policy_bytecode::module::{Field, PathSegment};
use policy_bytecode::predicate::{PredOperand, Predicate};
use policy_bytecode::quantifier::{ItemOperand, Node, Subject};
use policy_bytecode::{BodyIdx, FieldIdx, PredIdx};
use policy_grammar::ast::{FieldPath, Segment};
use policy_grammar::source::Spanned;
use policy_grammar::{FileId, Span};
use policy_runtime::primitives::pii::PiiType;
use policy_runtime::{EvaluateError, JsonErrorKind};
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::collections::BTreeSet;

/// What stands in a log for a value that is not to be in it.
const MASKED: &str = "[masked]";

/// Whether a text of a log is not all of what was sent: the whole of it is masked, or personal data in it.
fn is_masked(text: &str) -> bool {
    text == MASKED || PiiType::ALL.iter().any(|kind| text.contains(kind.placeholder()))
}

/// A line that can be decided.
#[derive(Debug)]
pub(crate) struct Line<'l> {
    /// What was sent, or what is left of it.
    pub(crate) context: &'l [u8],
    /// The namespace that the line names.
    pub(crate) namespace: Option<Cow<'l, str>>,
    /// The id of the request, where the line is one or a decision on one.
    pub(crate) request_id: Option<Cow<'l, str>>,
}

/// A line that cannot be decided.
#[derive(Debug)]
pub(crate) struct Undecided<'l> {
    /// Why it cannot be decided.
    pub(crate) message: &'static str,
    /// The id of the request.
    pub(crate) request_id: Option<Cow<'l, str>>,
}

/// The members of a line that say what kind it is.
#[derive(Deserialize)]
struct Members<'l> {
    #[serde(borrow)]
    context: Option<&'l RawValue>,
    #[serde(borrow)]
    namespace: Option<Cow<'l, str>>,
    #[serde(borrow)]
    decision: Option<&'l RawValue>,
    #[serde(borrow, rename = "requestId")]
    request_id: Option<Cow<'l, str>>,
    llm: Option<serde::de::IgnoredAny>,
    user: Option<serde::de::IgnoredAny>,
    team: Option<serde::de::IgnoredAny>,
    project: Option<serde::de::IgnoredAny>,
    request: Option<serde::de::IgnoredAny>,
    metadata: Option<serde::de::IgnoredAny>,
}

impl Members<'_> {
    fn is_context(&self) -> bool {
        self.llm.is_some()
            || self.user.is_some()
            || self.team.is_some()
            || self.project.is_some()
            || self.request.is_some()
            || self.metadata.is_some()
    }
}

/// Reads a line. What is no JSON object is left to the engine, which says what is wrong with it.
///
/// # Errors
///
/// Why nothing can be decided on it: a decision whose context was not kept, or is encrypted.
pub(crate) fn read(line: &[u8]) -> Result<Line<'_>, Undecided<'_>> {
    let plain = Line {
        context: line,
        namespace: None,
        request_id: None,
    };
    // Most lines are contexts, and are read once.
    if !line.windows(9).any(|at| at == b"\"context\"") && !line.windows(10).any(|at| at == b"\"decision\"") {
        return Ok(plain);
    }
    let Ok(members) = serde_json::from_slice::<Members<'_>>(line) else {
        return Ok(plain);
    };
    let is_logged = members.decision.is_some();
    match members.context.map(RawValue::get) {
        _ if members.is_context() => Ok(plain),
        Some(context) if context.starts_with('{') => Ok(Line {
            context: context.as_bytes(),
            namespace: members.namespace.filter(|namespace| !namespace.is_empty()),
            request_id: members.request_id,
        }),
        Some(context) if is_logged && context.starts_with('"') => Err(Undecided {
            message: "the context of this decision is encrypted; export it with the key (ENCRYPTION_KEYS)",
            request_id: members.request_id,
        }),
        Some(_) | None if is_logged => Err(Undecided {
            message: "this decision has no context (DECISION_LOG_CONTEXT was `none`)",
            request_id: members.request_id,
        }),
        Some(_) | None => Ok(plain),
    }
}

/// Members of a context that are objects.
const ROOTS: [&str; 6] = ["llm", "user", "team", "project", "request", "metadata"];
/// Unknown paths that one note names.
const NAMED: usize = 5;

/// Why nothing could be decided on a context of the command line; it is looked at again, to say more than the engine knows.
pub(crate) fn no_decision(context: &[u8], error: EvaluateError) -> anyhow::Error {
    let message = match &error {
        EvaluateError::Context(error) if matches!(error.kind, JsonErrorKind::RootNotAnObject { .. }) => {
            Some(error.to_string())
        }
        EvaluateError::Context(error) if error.kind == JsonErrorKind::UnexpectedByte => {
            let start = context.trim_ascii_start().strip_prefix(b"{");
            let first = start.and_then(|rest| rest.trim_ascii_start().first());
            let bare = first.is_some_and(|c| c.is_ascii_alphabetic() || matches!(c, b'_' | b'\''));
            match (bare, start) {
                (true, _) => Some(format!(
                    "{error}: JSON has names in double quotes, as in {{\"llm\": …}}"
                )),
                // Nothing that begins like this is a context.
                (false, None) => Some(format!(
                    "{error}: a context is a JSON object such as {{\"llm\": …}}; to read it from a file, write @FILE"
                )),
                (false, Some(_)) => None,
            }
        }
        _ => None,
    };
    match message {
        Some(message) => anyhow::anyhow!("no decision: {message}"),
        None => anyhow::Error::new(error).context("no decision"),
    }
}

/// Says which names below the known parts of a context no request has, as tests warn of; policies never see them.
pub(crate) fn mention_unknown(context: &[u8]) {
    let Ok(Value::Object(members)) = serde_json::from_slice(context) else {
        return;
    };
    let mut unknown = Vec::new();
    for name in members.keys() {
        // A gateway may send what it likes beside the known objects; only what looks like one of them is mentioned.
        let known = ROOTS.iter().chain(&["budget"]).copied();
        if !known.clone().any(|root| root == name)
            && let Some(near) = policy_grammar::near(name, known)
        {
            unknown.push(format!("`{name}` is not a known object (did you mean `{near}`?)"));
        }
    }
    for root in ROOTS {
        if let Some(value) = members.get(root) {
            gather_unknown(value, &mut vec![Segment::Key(root.to_owned())], &mut unknown);
        }
    }
    if unknown.is_empty() {
        return;
    }
    let more = unknown.len().saturating_sub(NAMED);
    unknown.truncate(NAMED);
    let mut text = format!("note: {}", unknown.join("; "));
    if more > 0 {
        text.push_str(&format!("; and {more} more"));
    }
    output::summary(&output::shown(&text));
}

/// The parser bounds how deep this goes.
fn gather_unknown(value: &Value, way: &mut Vec<Segment>, unknown: &mut Vec<String>) {
    let Value::Object(members) = value else {
        return;
    };
    for (key, value) in members {
        way.push(Segment::Key(key.clone()));
        let path = FieldPath {
            segments: way.clone(),
        };
        match policy_compiler::unknown_field(&Spanned::new(path, Span::new(FileId(0), 0, 0)), true) {
            Some(diagnostic) => {
                let help = diagnostic.help.first().map(|help| format!(" ({help})"));
                unknown.push(format!("{}{}", diagnostic.message, help.unwrap_or_default()));
            }
            None => gather_unknown(value, way, unknown),
        }
        way.pop();
    }
}

/// Fields that were masked in the lines of a log.
#[derive(Debug, Default)]
pub(crate) struct Masked {
    paths: BTreeSet<Vec<String>>,
}

impl Masked {
    /// Looks at a line.
    pub(crate) fn add(&mut self, context: &[u8]) {
        let may_hold = context
            .windows(2)
            .any(|at| at[0] == b'[' && (at[1] == b'm' || at[1].is_ascii_uppercase()));
        if may_hold && let Ok(value) = serde_json::from_slice(context) {
            self.gather(&value, &mut Vec::new());
        }
    }

    /// The parser bounds how deep this goes. Elements of a list stand at the path of the list.
    fn gather(&mut self, value: &Value, way: &mut Vec<String>) {
        match value {
            Value::String(text) if is_masked(text) => {
                self.paths.insert(way.clone());
            }
            Value::Array(items) => items.iter().for_each(|item| self.gather(item, way)),
            Value::Object(members) => {
                for (key, value) in members {
                    if is_masked(key) {
                        self.paths.insert(way.clone());
                    }
                    way.push(key.clone());
                    self.gather(value, way);
                    way.pop();
                }
            }
            Value::String(_) | Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }

    /// Says which rules look at what was masked; nothing where none does.
    pub(crate) fn mention(&self, sides: &[&Parts]) {
        let mut rules = BTreeSet::new();
        for parts in sides {
            let all = parts.rules().zip(&parts.manifest.rules);
            for (entry, info) in all {
                let mut fields = BTreeSet::new();
                condition(parts, info.condition, &mut fields);
                if fields.iter().any(|field| self.hides(parts, *field)) {
                    rules.insert(format!("{}/{}", entry.policy, entry.rule));
                }
            }
        }
        if rules.is_empty() {
            return;
        }
        let paths: Vec<String> = self.paths.iter().map(|path| path.join(".")).collect();
        let rules: Vec<String> = rules.into_iter().collect();
        output::note(&format!(
            "{} {} masked in the log, so these rules may decide differently than they did: {}",
            output::shown(&paths.join(", ")),
            if paths.len() == 1 { "was" } else { "were" },
            output::shown(&rules.join(", "))
        ));
    }

    fn hides(&self, parts: &Parts, field: FieldIdx) -> bool {
        let Some(field) = parts.module.fields.get(field.index()) else {
            return false;
        };
        let args = field.derived.iter().flat_map(|derived| &derived.args);
        let args = args.filter_map(|arg| parts.module.fields.get(arg.index()));
        let mut read = std::iter::once(field).chain(args);
        read.any(|field| self.paths.iter().any(|path| reads(field, path)))
    }
}

/// Whether one of the two stands at the other's path, or above it.
fn reads(field: &Field, path: &[String]) -> bool {
    let keys = field.path.iter().filter_map(|segment| match segment {
        PathSegment::Key { name, aliases } => Some((name, aliases)),
        // Elements of a list stand at the path of the list.
        PathSegment::Index(_) | PathSegment::FromEnd(_) => None,
    });
    keys.zip(path)
        .all(|((name, aliases), key)| same(name, key) || aliases.iter().any(|alias| same(alias, key)))
}

/// As masks compare keys: case, `_` and `-` aside.
fn same(a: &str, b: &str) -> bool {
    let letters = |text: &str| -> String {
        let kept = text.chars().filter(|c| !matches!(c, '_' | '-'));
        kept.flat_map(char::to_lowercase).collect()
    };
    letters(a) == letters(b)
}

/// Fields of a condition. The manifest bounds how deep this goes.
fn condition(parts: &Parts, node: u32, fields: &mut BTreeSet<FieldIdx>) {
    match parts.manifest.conditions.get(node as usize) {
        Some(CondNode::And(children) | CondNode::Or(children)) => {
            for child in children {
                condition(parts, *child, fields);
            }
        }
        Some(CondNode::Not(child)) => condition(parts, *child, fields),
        Some(CondNode::Test { pred, .. }) => predicate(parts, *pred, fields),
        Some(CondNode::Const(_)) | None => {}
    }
}

fn predicate(parts: &Parts, pred: PredIdx, fields: &mut BTreeSet<FieldIdx>) {
    let Some(Predicate { field, operand, .. }) = parts.module.predicates.get(pred.index()) else {
        return;
    };
    fields.insert(*field);
    self::operand(parts, *operand, fields);
}

/// What a body names stands before it, so this ends.
fn operand(parts: &Parts, operand: PredOperand, fields: &mut BTreeSet<FieldIdx>) {
    match operand {
        PredOperand::Field(field) => {
            fields.insert(field);
        }
        PredOperand::Body(q) => body(parts, q, fields),
        PredOperand::None | PredOperand::Const(_) | PredOperand::Pattern(_) => {}
    }
}

fn body(parts: &Parts, q: BodyIdx, fields: &mut BTreeSet<FieldIdx>) {
    let nodes = parts
        .module
        .bodies
        .get(q.index())
        .map_or(&[][..], |body| &body.nodes);
    for node in nodes {
        match node {
            Node::Pred { pred, .. } => predicate(parts, *pred, fields),
            Node::Test(test) => {
                if let Subject::Field(field) = test.subject {
                    fields.insert(field);
                }
                if let ItemOperand::Plain(plain) = &test.operand {
                    operand(parts, *plain, fields);
                }
            }
            Node::And(_) | Node::Or(_) | Node::Not(_) => {}
        }
    }
}

#[cfg(test)]
mod tests;
