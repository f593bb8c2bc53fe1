//! Policies in other dialects: recognises them and says how to write the same thing here.
//!
//! Kubernetes-style documents (`apiVersion`, `kind`, `spec`), documents with `config` and rules of
//! `conditions: match:` expressions and `actions:` lists, and documents with a `policy:` header get one diagnostic
//! with advice instead of one for each key that is not ours. Nothing is converted: only a person knows whether a side
//! effect such as an audit entry may be left out.

use super::tree::{Children, Kind, NodeId, Style};
use super::walk::{Walk, shorten};
use crate::codes::Code;
use crate::diagnostic::Diagnostic;

/// Keys at the top of a document that no policy of ours has and every one of the other dialects does.
const FOREIGN_ROOTS: &[(&str, &str)] = &[
    ("apiVersion", "a Kubernetes-style policy"),
    ("api_version", "a Kubernetes-style policy"),
    ("kind", "a Kubernetes-style policy"),
    ("spec", "a Kubernetes-style policy"),
    ("policy", "a policy with a `policy:` header"),
    ("policies", "a list of policies"),
    ("config", "a policy with `config` and match expressions"),
    ("fallback", "a policy with `config` and match expressions"),
    ("exceptions", "a policy with `config` and match expressions"),
];

/// What a rule has of another dialect.
#[derive(Debug, Default)]
pub(crate) struct Foreign {
    /// `conditions: match:` or the like stands in the place of `condition`.
    pub(crate) condition: bool,
    /// `actions:` stands in the place of `action`.
    pub(crate) action: bool,
    /// How the match expression would be written.
    translation: Option<String>,
}

/// Reports a document of another dialect as a whole. Returns whether it is one.
pub(crate) fn refuse_document(walk: &mut Walk<'_, '_>, root: NodeId, children: Children) -> bool {
    let tree = walk.tree;
    let mut marker = None;
    let mut rules = None;
    let mut ours = false;
    for (key, value) in tree.pairs(children) {
        let Kind::Scalar(text, _) = &tree.node(key).kind else {
            continue;
        };
        match text.as_ref() {
            "rules" => rules = Some(value),
            "onError" | "status" => ours = true,
            _ => {}
        }
        if marker.is_none() {
            marker = FOREIGN_ROOTS
                .iter()
                .find(|(name, _)| name == text)
                .map(|(name, what)| (key, *name, *what));
        }
    }
    let mut total = 0usize;
    let mut foreign_rules = Vec::new();
    let mut translation = None;
    let rule_list = rules.map(|id| match tree.node(id).kind {
        Kind::Sequence(items) => tree.children(items).to_vec(),
        // Rules by name: the rules are the values.
        Kind::Mapping(items) => tree.pairs(items).map(|(_, value)| value).collect(),
        Kind::Scalar(..) | Kind::Broken => Vec::new(),
    });
    for item in rule_list.unwrap_or_default() {
        total += 1;
        let Kind::Mapping(rule) = tree.node(item).kind else {
            continue;
        };
        let foreign = look_at_rule(walk, rule);
        if foreign.condition || foreign.action {
            foreign_rules.push(rule);
            if translation.is_none() {
                translation = foreign.translation;
            }
        }
    }
    let by_rules = !ours && total > 0 && foreign_rules.len() * 2 > total;
    // A stray `config:` in a document of ours is just an unknown key.
    let by_marker = marker.is_some() && (!ours || !foreign_rules.is_empty() || rules.is_none());
    if !by_rules && !by_marker {
        return false;
    }
    let (span, what) = match marker {
        Some((key, _, what)) => (walk.head(key), what),
        None => (walk.head(root), "a policy with match expressions"),
    };
    let mut diagnostic = Diagnostic::new(
        Code::OtherDialect,
        span,
        format!("this document is {what}, which is another dialect"),
    );
    // The first place of each foreign construct.
    let mut shown: Vec<&str> = Vec::new();
    for rule in &foreign_rules {
        for (key, _) in tree.pairs(*rule) {
            let Kind::Scalar(text, _) = &tree.node(key).kind else {
                continue;
            };
            let note = match text.as_ref() {
                "conditions" | "match" => "here `condition:` with an operator tree",
                "actions" => "here `action:` with one decision",
                "priority" => "here the order of rules counts",
                _ => continue,
            };
            if !shown.contains(&note) {
                shown.push(note);
                diagnostic = diagnostic.also(walk.head(key), note);
            }
        }
    }
    diagnostic = diagnostic
        .help("a policy here has `metadata` (with `id` and `name`), `rules`, `status` and `onError`; `version` and `priority` belong to `metadata`")
        .help("conditions are trees, as in `condition: {operator: and, conditions: [{operator: gt, field: llm.estimatedCost, value: 1}]}`; `valueFrom: other.field` compares two fields");
    if let Some(translation) = translation {
        diagnostic = diagnostic.help(translation);
    }
    diagnostic = diagnostic.help(
        "a rule has one `action: {decision: allow|deny|warn|modify, reason: …}`; what else should happen goes into its `metadata` or into rules of their own",
    );
    walk.report(diagnostic);
    true
}

/// What a rule has of another dialect; reports a match expression in the place of a condition.
pub(crate) fn look_at_rule(walk: &Walk<'_, '_>, rule: Children) -> Foreign {
    let tree = walk.tree;
    let mut foreign = Foreign::default();
    for (key, value) in tree.pairs(rule) {
        let Kind::Scalar(text, _) = &tree.node(key).kind else {
            continue;
        };
        match text.as_ref() {
            "conditions" => {
                if let Kind::Mapping(inner) = tree.node(value).kind {
                    for (key, value) in tree.pairs(inner) {
                        if let (Kind::Scalar(key, _), Kind::Scalar(expression, _)) =
                            (&tree.node(key).kind, &tree.node(value).kind)
                            && matches!(key.as_ref(), "match" | "expression" | "expr")
                        {
                            foreign.condition = true;
                            foreign.translation = translate(expression);
                        }
                    }
                }
            }
            "condition" => {
                if let Kind::Scalar(expression, super::scalar::Scalar::String) = &tree.node(value).kind {
                    foreign.condition = true;
                    foreign.translation = translate(expression);
                }
            }
            "match" => foreign.condition = true,
            "actions" => foreign.action = true,
            _ => {}
        }
    }
    foreign
}

impl Foreign {
    /// Advice on a rule's key that is not ours.
    pub(crate) fn advise(&self, key: &str) -> Option<(Code, String)> {
        match key {
            "conditions" if self.condition => Some((
                Code::OtherDialect,
                self.translation.clone().unwrap_or_else(condition_advice),
            )),
            "match" => Some((Code::OtherDialect, condition_advice())),
            "actions" => Some((
                Code::OtherDialect,
                "write one `action: {decision: allow|deny|warn|modify, reason: …}`; further effects go into its `metadata` or into rules of their own".to_owned(),
            )),
            "priority" => Some((
                Code::UnknownKey,
                "rules run in the order in which they stand; `metadata.priority` orders policies".to_owned(),
            )),
            "metadata" => Some((
                Code::UnknownKey,
                "put it into the rule's `action`, which returns its `metadata` to the caller".to_owned(),
            )),
            _ => None,
        }
    }
}

/// Advice on a document's key that is not ours.
pub(crate) fn policy_key(key: &str) -> Option<(Code, String)> {
    match key {
        "version" | "name" | "id" | "namespace" | "description" | "tags" | "priority" => {
            Some((Code::UnknownKey, format!("put `{key}` into `metadata`")))
        }
        "enabled" => Some((
            Code::UnknownKey,
            "write `status: active` or `status: draft`".to_owned(),
        )),
        _ => None,
    }
}

/// Advice on a key of `metadata` that is not ours.
pub(crate) fn metadata_key(key: &str) -> Option<(Code, String)> {
    match key {
        "created_at" | "createdAt" | "updated_at" | "updatedAt" | "createdBy" | "created_by" | "revision" => {
            Some((
                Code::UnknownKey,
                "leave it out: the history of a policy is kept beside it, not in it".to_owned(),
            ))
        }
        "owner" => Some((
            Code::UnknownKey,
            "leave it out, or use `tags` or `description`".to_owned(),
        )),
        _ => None,
    }
}

/// The diagnostic for an expression in the place of a condition.
pub(crate) fn expression(walk: &mut Walk<'_, '_>, id: NodeId, expression: &str) {
    let span = match walk.tree.node(id).style {
        Style::Literal | Style::Folded => walk.head(id),
        Style::Plain | Style::Single | Style::Double | Style::Block | Style::Flow | Style::Alias => {
            walk.extent(id)
        }
    };
    walk.report(
        Diagnostic::new(
            Code::OtherDialect,
            span,
            "a condition is a tree of operators, not an expression",
        )
        .help(translate(expression).unwrap_or_else(condition_advice)),
    );
}

fn condition_advice() -> String {
    "write `condition: {operator: …, field: …, value: …}`; combine with `and`, `or`, `not` and `conditions:`; compare two fields with `valueFrom`".to_owned()
}

/// How a simple expression would be written here.
fn translate(expression: &str) -> Option<String> {
    let text = expression.trim();
    if text.len() > 400 {
        return None;
    }
    let (operator, parts) = if text.contains("&&") && !text.contains("||") {
        ("and", text.split("&&").collect::<Vec<_>>())
    } else if text.contains("||") && !text.contains("&&") {
        ("or", text.split("||").collect())
    } else {
        ("and", vec![text])
    };
    let tests = parts
        .iter()
        .map(|part| comparison(part.trim()))
        .collect::<Option<Vec<_>>>()?;
    let tree = match tests.as_slice() {
        [one] => one.clone(),
        many => format!("{{operator: {operator}, conditions: [{}]}}", many.join(", ")),
    };
    Some(format!("write `condition: {tree}`"))
}

/// `path op path`, `path op constant`, `path in [..]` or `path.contains('x')` as a condition.
fn comparison(text: &str) -> Option<String> {
    for (symbol, operator) in [
        (">=", "gte"),
        ("<=", "lte"),
        ("==", "eq"),
        ("!=", "ne"),
        (" in ", "in"),
        (">", "gt"),
        ("<", "lt"),
    ] {
        let Some((left, right)) = text.split_once(symbol) else {
            continue;
        };
        let (left, right) = (left.trim(), right.trim());
        let field = plain_path(left)?;
        let right = match constant(right) {
            Some(constant) => format!("value: {constant}"),
            None => format!("valueFrom: {}", plain_path(right)?),
        };
        return Some(format!("{{operator: {operator}, field: {field}, {right}}}"));
    }
    let (left, argument) = text.strip_suffix(')')?.split_once('(')?;
    let (field, method) = left.rsplit_once('.')?;
    let operator = match method {
        "contains" => "contains",
        "matches" => "matches",
        "startsWith" | "starts_with" => "starts_with",
        "endsWith" | "ends_with" => "ends_with",
        _ => return None,
    };
    Some(format!(
        "{{operator: {operator}, field: {}, value: {}}}",
        plain_path(field)?,
        constant(argument.trim())?
    ))
}

fn plain_path(text: &str) -> Option<&str> {
    let plain = text
        .chars()
        .all(|c| c.is_alphanumeric() || matches!(c, '_' | '.'));
    (plain && text.starts_with(|c: char| c.is_alphabetic())).then_some(text)
}

fn constant(text: &str) -> Option<String> {
    let quoted =
        |t: &str| t.len() >= 2 && t.starts_with('\'') && t.ends_with('\'') && t.matches('\'').count() == 2;
    if let Some(items) = text.strip_prefix('[').and_then(|t| t.strip_suffix(']')) {
        let items = items
            .split(',')
            .map(|i| constant(i.trim()))
            .collect::<Option<Vec<_>>>()?;
        return Some(format!("[{}]", items.join(", ")));
    }
    let simple =
        quoted(text) || text == "true" || text == "false" || text == "null" || text.parse::<f64>().is_ok();
    (simple && !text.contains('\\')).then(|| shorten(text))
}

#[cfg(test)]
mod tests {
    use super::translate;

    #[test]
    fn simple_expressions_are_translated() {
        let t = |e: &str| translate(e).unwrap();
        assert_eq!(
            t("user.budget.monthly_spent >= user.budget.monthly_limit\n"),
            "write `condition: {operator: gte, field: user.budget.monthly_spent, valueFrom: user.budget.monthly_limit}`"
        );
        assert_eq!(
            t("a.b in ['x', 'y'] && c > 1.0"),
            "write `condition: {operator: and, conditions: [{operator: in, field: a.b, value: ['x', 'y']}, {operator: gt, field: c, value: 1.0}]}`"
        );
        assert_eq!(
            t("request.tags.contains('high-risk')"),
            "write `condition: {operator: contains, field: request.tags, value: 'high-risk'}`"
        );
        assert_eq!(translate("a + b > c"), None);
        assert_eq!(translate("f(x)"), None);
        assert_eq!(translate("!a.b"), None);
    }
}
