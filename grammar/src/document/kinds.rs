//! What a file holds that a search of directories found: policies, or something of another kind.
//!
//! For tools that are pointed at whole repositories. A file is of another kind only when that is certain: it has the marks
//! of a known kind (a Kubernetes manifest, an OpenAPI document, …) and nothing of ours that these do not have, or no key
//! in it is one of a policy or like one. Everything else counts as policies, broken ones too: a policy that is passed
//! over is an allow. Nothing is reported here; the parser does that.

use super::problems::Problems;
use super::scalar::Scalar;
use super::tree::{Children, Kind, NodeId, Tree};
use super::{Format, json, yaml};
use crate::codes::Code;
use crate::diagnostic::Diagnostic;
use crate::limits::Limits;
use crate::names::looks_like_policy;
use crate::source::{FileId, SourceFile};

/// What a file holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holds {
    /// Policies, or what may be meant as such.
    Policies,
    /// Certainly something else: what, in a few words.
    Other(&'static str),
}

/// Where nothing is known but that no key is one of a policy.
const FOREIGN: &str = "none of its keys is one of a policy";

/// What a file holds, going by its name and its text.
///
/// # Examples
///
/// ```
/// use policy_grammar::{Holds, SourceFile, holds};
///
/// let file = |text: &str| SourceFile::new("a.yaml", text);
/// assert_eq!(holds(&file("metadata: {id: a}\nrule: []\n")), Holds::Policies);
/// let manifest = file("apiVersion: v1\nkind: Service\nmetadata: {name: a}\n");
/// assert_eq!(holds(&manifest), Holds::Other("a Kubernetes manifest"));
/// ```
#[must_use]
pub fn holds(file: &SourceFile) -> Holds {
    let text = file.text();
    let limits = Limits::default();
    // What is plainly a policy is not read twice; in JSON, its keys may stand in something else. What is too large to be
    // read is not known to be anything else.
    let format = Format::of(file);
    let plainly = format == Format::Yaml && looks_like_policy(file.name(), text.as_bytes());
    if plainly || text.len() > limits.max_bytes {
        return Holds::Policies;
    }
    let mut problems = Problems::new(FileId(0), &limits, None);
    let mut other = None;
    let mut policies = false;
    let mut look = |tree: &Tree<'_>, root: NodeId| match document(tree, root) {
        Some(Holds::Policies) => policies = true,
        Some(Holds::Other(what)) => {
            other.get_or_insert(what);
        }
        None => {}
    };
    match format {
        Format::Json => json::read(text, &limits, &mut problems, |tree, root, _| look(tree, root)),
        Format::Yaml | Format::Rego => {
            yaml::read(text, &limits, &mut problems, |tree, root, _, _| look(tree, root));
        }
    }
    if policies {
        return Holds::Policies;
    }
    // A tag that is not known is no reason to doubt the rest.
    let unread =
        |d: &Diagnostic| matches!(d.code, Code::Limit | Code::Syntax) && !d.message.starts_with("the tag `");
    if problems.into_sorted().iter().any(unread) {
        return unreadable(text, format);
    }
    // A file without any document is an empty one, which may have been a policy.
    other.map_or(Holds::Policies, Holds::Other)
}

/// What is no YAML or JSON is something else if it is a template of a manifest, or if nothing in it that reads like a key is
/// one of a policy.
fn unreadable(text: &str, format: Format) -> Holds {
    let mut keys = keys_of_text(text).peekable();
    if keys.peek().is_none() {
        return Holds::Policies;
    }
    let at_margin = |line: &str| {
        let (key, value) = line.split_once(':')?;
        let plain = key.chars().all(|c| c.is_ascii_alphanumeric());
        (plain && !key.is_empty()).then(|| (key.to_owned(), value.trim().to_owned()))
    };
    let roots: Vec<_> = text.lines().filter_map(at_margin).collect();
    let value = |name: &str| {
        let found = roots.iter().find(|(key, _)| key == name);
        found.map(|(_, value)| value.trim_matches(['"', '\'']))
    };
    let rules = roots.iter().any(|(key, _)| is_rules(key));
    if format == Format::Yaml
        && text.contains("{{")
        && !rules
        && let (Some(version), Some(kind)) = (value("apiVersion"), value("kind"))
        && is_manifest(version, kind)
    {
        return Holds::Other("a template of a Kubernetes manifest");
    }
    let ours = |key: &str| {
        is_anchor(key)
            || ["condition", "conditions", "decision", "operator", "action"]
                .iter()
                .any(|word| near(key, word))
    };
    if keys.any(ours) {
        Holds::Policies
    } else {
        Holds::Other(FOREIGN)
    }
}

/// Everything in a text that stands before a colon and is made like a key.
fn keys_of_text(text: &str) -> impl Iterator<Item = &str> {
    let word = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '$');
    text.match_indices(':').filter_map(move |(at, _)| {
        let before = text.get(..at)?.trim_end_matches([' ', '"', '\'']);
        let start = before.rfind(|c| !word(c)).map_or(0, |i| {
            i + before
                .get(i..)
                .and_then(|rest| rest.chars().next())
                .map_or(0, char::len_utf8)
        });
        before.get(start..).filter(|key| !key.is_empty())
    })
}

/// What one document holds; `None` for an empty one.
fn document(tree: &Tree<'_>, root: NodeId) -> Option<Holds> {
    let children = match tree.node(root).kind {
        Kind::Scalar(_, Scalar::Null) => return None,
        // A text may be what is left of a policy, such as the pointer that a large file is replaced with.
        Kind::Scalar(..) | Kind::Broken => return Some(Holds::Policies),
        Kind::Sequence(items) => {
            let items = tree.children(items);
            let ours = items.iter().any(|item| is_policy_item(tree, *item));
            return Some(if items.is_empty() || ours || has_parts(tree, root) {
                Holds::Policies
            } else {
                Holds::Other(FOREIGN)
            });
        }
        Kind::Mapping(children) => children,
    };
    if tree.children(children).is_empty() {
        return Some(Holds::Policies);
    }
    if let Some(what) = known(tree, children) {
        return Some(Holds::Other(what));
    }
    Some(if has_anchor(tree, children) || has_parts(tree, root) {
        Holds::Policies
    } else {
        Holds::Other(FOREIGN)
    })
}

fn keys<'t>(tree: &'t Tree<'_>, children: Children) -> impl Iterator<Item = (&'t str, NodeId)> {
    tree.pairs(children)
        .filter_map(|(key, value)| match &tree.node(key).kind {
            Kind::Scalar(text, _) => Some((text.as_ref(), value)),
            Kind::Sequence(_) | Kind::Mapping(_) | Kind::Broken => None,
        })
}

fn value(tree: &Tree<'_>, children: Children, name: &str) -> Option<NodeId> {
    keys(tree, children).find_map(|(key, value)| (key == name).then_some(value))
}

fn text<'t>(tree: &'t Tree<'_>, children: Children, name: &str) -> Option<&'t str> {
    match &tree.node(value(tree, children, name)?).kind {
        Kind::Scalar(text, _) => Some(text.as_ref()),
        Kind::Sequence(_) | Kind::Mapping(_) | Kind::Broken => None,
    }
}

fn is_mapping(tree: &Tree<'_>, id: NodeId) -> bool {
    matches!(tree.node(id).kind, Kind::Mapping(_))
}

fn is_list(tree: &Tree<'_>, id: NodeId) -> bool {
    matches!(tree.node(id).kind, Kind::Sequence(_))
}

/// Kinds of documents that have keys of ours, or may have ours in examples. Nothing with rules at its top is one of
/// them, but for the kinds of Kubernetes that have some.
fn known(tree: &Tree<'_>, root: Children) -> Option<&'static str> {
    // What has a policy's id is one, whatever stands beside it.
    let id = |(key, value): (&str, NodeId)| {
        let Kind::Mapping(inner) = tree.node(value).kind else {
            return false;
        };
        near(key, "metadata") && keys(tree, inner).any(|(key, _)| key.eq_ignore_ascii_case("id"))
    };
    if keys(tree, root).any(id) {
        return None;
    }
    let text = |name| text(tree, root, name);
    let at = |name| value(tree, root, name);
    if let (Some(version), Some(kind)) = (text("apiVersion"), text("kind")) {
        let roles = version.starts_with("rbac.authorization.k8s.io/") && kind.ends_with("Role");
        if roles || (is_manifest(version, kind) && !keys(tree, root).any(|(key, _)| is_rules(key))) {
            return Some("a Kubernetes manifest");
        }
        return None;
    }
    if keys(tree, root).any(|(key, _)| is_rules(key) || near(key, "onError")) {
        return None;
    }
    let has = |name, is: fn(&Tree<'_>, NodeId) -> bool| at(name).is_some_and(|id| is(tree, id));
    if text("openapi").or(text("swagger")).is_some() && has("info", is_mapping) {
        return Some("an OpenAPI document");
    }
    if text("$schema").is_some_and(|schema| schema.contains("json-schema.org")) {
        return Some("a JSON Schema");
    }
    if text("AWSTemplateFormatVersion").is_some() || has("Resources", is_mapping) {
        return Some("a CloudFormation template");
    }
    if has("jobs", is_mapping) && (at("on").is_some() || at("true").is_some()) {
        return Some("a workflow of GitHub");
    }
    if has("services", is_mapping) {
        return Some("a Compose file");
    }
    if has("panels", is_list) && text("schemaVersion").is_some() {
        return Some("a Grafana dashboard");
    }
    if text("name").is_some() && text("version").is_some() && has("dependencies", is_mapping) {
        return Some("a package manifest");
    }
    if has("llm", is_mapping) && at("status").is_none() {
        return Some("a context");
    }
    None
}

/// Whether these are `apiVersion` and `kind` of a manifest. A kind of policy is one only in the groups that Kubernetes has
/// itself: ours may be written in that style by mistake.
fn is_manifest(version: &str, kind: &str) -> bool {
    let (group, version) = version.rsplit_once('/').unwrap_or(("", version));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let version = version.strip_prefix('v').is_some_and(|rest| {
        let stable = rest.split_once("alpha").or_else(|| rest.split_once("beta"));
        stable.map_or_else(|| digits(rest), |(major, minor)| digits(major) && digits(minor))
    });
    let built_in = ["", "apps", "batch", "autoscaling", "policy"].contains(&group)
        || group == "k8s.io"
        || group.ends_with(".k8s.io");
    let policy = kind.to_ascii_lowercase().contains("polic");
    let named = kind.starts_with(|c: char| c.is_ascii_uppercase());
    version && named && (built_in || !policy)
}

/// Keys that stand at the top of policies only, or of what surrounds them.
fn is_anchor(key: &str) -> bool {
    is_rules(key)
        || ["metadata", "policies", "policy", "onError"]
            .iter()
            .any(|word| near(key, word))
        || ["let", "import", "imports", "constants", "definitions"].contains(&key)
}

fn is_rules(key: &str) -> bool {
    near(key, "rules") && key != "roles"
}

fn has_anchor(tree: &Tree<'_>, root: Children) -> bool {
    keys(tree, root).any(|(key, value)| {
        let word = match &tree.node(value).kind {
            Kind::Scalar(text, _) => text.as_ref(),
            Kind::Sequence(_) | Kind::Mapping(_) | Kind::Broken => "",
        };
        let states = ["active", "draft", "deprecated"];
        is_anchor(key)
            || (key == "kind" && ["definitions", "policy"].iter().any(|kind| near(word, kind)))
            || (near(key, "status") && states.iter().any(|state| near(word, state)))
    })
}

/// Whether an item of a list at the top is a policy or a rule.
fn is_policy_item(tree: &Tree<'_>, item: NodeId) -> bool {
    match tree.node(item).kind {
        Kind::Mapping(children) => known(tree, children).is_none() && has_anchor(tree, children),
        Kind::Scalar(..) | Kind::Sequence(_) | Kind::Broken => false,
    }
}

/// Whether a rule, a condition or an action stands anywhere below.
fn has_parts(tree: &Tree<'_>, root: NodeId) -> bool {
    let mut open = vec![root];
    // An alias leads to what was looked at already; the bound is for many of them.
    let mut left = Limits::default().max_nodes;
    while let Some(id) = open.pop() {
        left = left.saturating_sub(1);
        if left == 0 {
            return true;
        }
        match tree.node(id).kind {
            Kind::Sequence(items) => open.extend(tree.children(items)),
            Kind::Mapping(children) => {
                if is_part(tree, children) {
                    return true;
                }
                open.extend(tree.pairs(children).map(|(_, value)| value));
            }
            Kind::Scalar(..) | Kind::Broken => {}
        }
    }
    false
}

fn is_part(tree: &Tree<'_>, children: Children) -> bool {
    let has = |words: &[&str]| keys(tree, children).any(|(key, _)| words.iter().any(|word| near(key, word)));
    let rule = has(&["condition", "conditions"]) && has(&["action", "actions"]);
    let condition = has(&["operator"]) && has(&["field", "conditions"]);
    let action = keys(tree, children).any(|(key, value)| {
        let decisions = ["allow", "deny", "warn", "modify"];
        near(key, "decision")
            && matches!(&tree.node(value).kind, Kind::Scalar(text, _) if decisions.iter().any(|d| near(text, d)))
    });
    rule || condition || action
}

/// Whether `word` is `known`, or may be a slip of the hand.
fn near(word: &str, known: &str) -> bool {
    // What is much longer is no slip, and comparing is quadratic in the length.
    if word.len() > known.len() + 4 {
        return false;
    }
    let plain = |text: &str| -> String {
        let kept = text.chars().filter(|c| !matches!(c, '_' | '-' | ' '));
        kept.flat_map(char::to_lowercase).collect()
    };
    let (word, known) = (plain(word), plain(known));
    let slips = if known.len() > 6 { 2 } else { 1 };
    strsim::damerau_levenshtein(&word, &known) <= slips
}

#[cfg(test)]
mod tests;
