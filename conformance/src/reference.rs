//! The reference evaluator: the semantics page read word for word, over the AST and `serde_json` values.
//!
//! Engines are compared with it, so it is written to be checked against the page by eye: one function per paragraph,
//! each naming its section, no caching, no indexing, no optimising, everything cloned. It shares the AST with the
//! product and, because there is no second source of truth for them, the translation of patterns and the token, price and
//! PII primitives (see [`derived`]). It shares no line with the compiler, the bytecode or the VM.
//!
//! What the page leaves open is decided here, each marked "Ruling".
//!
//! # Not done here
//!
//! Policies are not checked: what the compiler refuses (a pattern that is none, an operand of the wrong type) never
//! arrives. Duplicate keys in a request cannot be told from a `serde_json::Value`; the cases under `cases/context`
//! hold the engines to that rule.

#![expect(
    clippy::expect_used,
    clippy::panic,
    reason = "what the compiler refuses never arrives; reading on regardless would hide a mistake"
)]

pub mod asked;
pub mod derived;
mod modifications;
pub mod numbers;
mod operators;
pub mod requests;

use operators::{Place, equal_ignoring_case, found_ignoring_case};
use policy_grammar::ast::{
    Condition, Decision, FieldPath, Literal, Number as Written, OnError, Operand, Operator, Policy, Rule,
    Segment, Status, Template, TemplatePart, Test, Verb,
};
use policy_primitives::pii;
use serde_json::{Map, Value};
use std::cmp::Ordering;

pub use derived::Derive;
use modifications::Asked;

/// Whether evaluation stops at the first deny (1.5, rule 5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mode {
    /// Stops there.
    #[default]
    FirstDeny,
    /// Evaluates every rule in scope.
    All,
}

/// The parts of a request and of the engine's settings that decide beside policies and context.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefOptions {
    /// `namespace` of the request.
    pub namespace: Option<String>,
    /// `policies` of the request.
    pub policies: Option<Vec<String>>,
    /// Decision when no rule fires.
    pub default_decision: Decision,
    /// Whether evaluation stops at the first deny.
    pub mode: Mode,
    /// How derived fields come about (1.2).
    pub derive: Derive,
    /// Whether the policies of `global` decide for a namespace without an active policy.
    pub global_for_unknown: bool,
}

impl Default for RefOptions {
    fn default() -> Self {
        Self {
            namespace: None,
            policies: None,
            default_decision: Decision::Allow,
            mode: Mode::FirstDeny,
            derive: Derive::Always,
            global_for_unknown: false,
        }
    }
}

/// The answer, without what a test cannot know beforehand (request id, times).
#[derive(Debug, Clone, PartialEq)]
pub struct RefResponse {
    /// The decision.
    pub decision: Decision,
    /// Reason of the first fired rule with that decision.
    pub reason: Option<String>,
    /// Policies of the fired rules, in order, each once.
    pub matched_policies: Vec<String>,
    /// The fired rules, in order.
    pub matched_rules: Vec<String>,
    /// The same rules, each with what it decides and why.
    pub matched: Vec<RefMatch>,
    /// New values by canonical path; `null` also for what is to be removed.
    pub modifications: Map<String, Value>,
    /// Action metadata of the fired rules.
    pub metadata: Map<String, Value>,
    /// What could not be evaluated.
    pub errors: Vec<RefRuleError>,
    /// Whether the second look decided; `None` where that is not known.
    pub overruled: Option<bool>,
}

/// A fired rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefMatch {
    /// Its policy, named as in `matched_policies`.
    pub policy: String,
    /// Rule id, never qualified.
    pub rule: String,
    /// What it decides.
    pub decision: Decision,
    /// Its reason.
    pub reason: Option<String>,
}

/// Something in a rule that could not be evaluated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefRuleError {
    /// Its policy, named as in `matched_policies`.
    pub policy: String,
    /// Rule id, never qualified.
    pub rule: String,
    /// Canonical path of the field at fault.
    pub field: String,
    /// Type of what was found at the field.
    pub found: String,
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RefError {
    /// The context is not a JSON object.
    NotAnObject,
    /// A known root is no object, or two spellings of one field hold different values.
    Malformed,
    /// `policies` names none.
    EmptyPolicies,
    /// `policies` names one that is not loaded or not active.
    UnknownPolicy(String),
    /// `policies` names one twice.
    DuplicatePolicy(String),
    /// No active policy is of the namespace.
    UnknownNamespace(String),
    /// No policy is active.
    NothingActive,
    /// Modifications are larger than a request may be.
    ModificationsTooLarge,
}

/// Decides one request.
///
/// # Errors
///
/// - [`RefError::NotAnObject`] — the context is not an object.
/// - [`RefError::Malformed`] — see 1.2.
/// - [`RefError::EmptyPolicies`], [`RefError::UnknownPolicy`], [`RefError::DuplicatePolicy`],
///   [`RefError::UnknownNamespace`], [`RefError::NothingActive`] — see 1.5, rule 1.
/// - [`RefError::ModificationsTooLarge`] — see 1.5, rule 6.
///
/// # Panics
///
/// For policies that the compiler refuses, such as a `matches` whose pattern is none.
pub fn evaluate(policies: &[Policy], context: &Value, options: &RefOptions) -> Result<RefResponse, RefError> {
    if !context.is_object() || numbers::is_number(context) {
        return Err(RefError::NotAnObject);
    }
    let seen = seen(policies, options)?;
    let rules = rules_in_order(&seen, options)?;
    let request = Request {
        context,
        derive: options.derive,
        item: None,
    };
    if malformed(&paths_read(policies), context) {
        return Err(RefError::Malformed);
    }
    let first = run(&seen, &rules, &request, options);
    let mut response = RefResponse {
        decision: first.decision,
        reason: first.reason(&request),
        matched_policies: Vec::new(),
        matched_rules: Vec::new(),
        matched: Vec::new(),
        modifications: Map::new(),
        metadata: Map::new(),
        errors: first.errors.clone(),
        overruled: Some(false),
    };
    first.list(&mut response, &seen, |_| true, &request);
    // 1.5, rule 6: with a deny there are none.
    if first.decision == Decision::Deny {
        return Ok(response);
    }
    let mut asked = Vec::new();
    let mut blamed = Vec::new();
    for (policy, rule) in &first.fired {
        for modification in &rule.action.modifications {
            asked.push(Asked {
                path: canonical(&modification.path.value),
                verb: &modification.verb,
            });
            blamed.push((policy, rule));
        }
    }
    let composed = modifications::compose(&asked, &request);
    // Ruling: what modifications give is no larger than a request may be; beyond that nothing is decided.
    if composed.given > MAX_BODY {
        return Err(RefError::ModificationsTooLarge);
    }
    for (i, found) in &composed.errors {
        let (policy, rule) = blamed[*i];
        response.errors.push(RefRuleError {
            policy: policy_name(&seen, policy),
            rule: rule.id.value.clone(),
            field: asked[*i].path.to_string(),
            found: found.clone(),
        });
    }

    // 1.5, rule 6: "the modified context is evaluated once more; a deny there is the decision (its reason, its rules
    // added); nothing else of the second pass is applied, and there is no third". Where no rule reads what changed, it
    // says what the first pass said.
    let context = modifications::modified(context, &composed);
    let request = Request {
        context: &context,
        derive: options.derive,
        item: None,
    };
    let second = run(&seen, &rules, &request, options);
    if second.decision != Decision::Deny {
        response.modifications = composed.entries;
        return Ok(response);
    }
    response.decision = Decision::Deny;
    response.overruled = Some(true);
    let denies = |rule: &Rule| rule.action.decision.value == Decision::Deny;
    response.reason = second.reason(&request);
    second.list(&mut response, &seen, denies, &request);
    for fired in &second.fired {
        if denies(fired.1) {
            // Ruling: errors of other rules are those of a request that nobody sends.
            let own = |error: &&RefRuleError| {
                error.policy == policy_name(&seen, fired.0) && error.rule == fired.1.id.value
            };
            response.errors.extend(second.errors.iter().filter(own).cloned());
        }
    }
    Ok(response)
}

/// What running the rules comes to.
struct Pass<'a> {
    /// In order, up to and with the first deny where evaluation stops there.
    fired: Vec<(&'a Policy, &'a Rule)>,
    errors: Vec<RefRuleError>,
    decision: Decision,
}

impl Pass<'_> {
    /// 1.5, rule 4: "`reason` is that of the first fired rule, in order, with that decision." Ruling: none, if that rule
    /// has none.
    fn reason(&self, request: &Request<'_>) -> Option<String> {
        self.fired
            .iter()
            .find(|(_, rule)| rule.action.decision.value == self.decision)
            .and_then(|(_, rule)| rule.action.reason.as_ref())
            .map(|reason| cut(&expand(&reason.value, request), LIMIT))
    }

    /// 1.5, rules 5 and 7: lists the fired rules that are wanted, and merges their metadata, of which the first in order
    /// wins. Ruling: reasons have a mebibyte of text together, that of the decision first and then the others in order;
    /// what is beyond is cut. Metadata have another one; a value that does not fit into what is left of it is `…`.
    fn list(
        &self,
        response: &mut RefResponse,
        seen: &[&Policy],
        wanted: impl Fn(&Rule) -> bool,
        request: &Request<'_>,
    ) {
        let decisive = self
            .fired
            .iter()
            .position(|(_, rule)| rule.action.decision.value == self.decision);
        let own = self.reason(request);
        // What is cut has taken everything.
        let mut reasons = match &own {
            Some(own) if own.len() <= LIMIT => LIMIT - own.len(),
            Some(_) => 0,
            None => LIMIT,
        };
        let mut sizes = LIMIT;
        let mut new: Vec<String> = Vec::new();
        for (at, (policy, rule)) in self.fired.iter().enumerate() {
            if !wanted(rule) {
                continue;
            }
            let name = policy_name(seen, policy);
            if !response.matched_policies.contains(&name) {
                response.matched_policies.push(name.clone());
            }
            response.matched_rules.push(matched_rule_name(seen, policy, rule));
            let reason = if decisive == Some(at) {
                own.clone()
            } else {
                rule.action.reason.as_ref().map(|reason| {
                    let whole = expand(&reason.value, request);
                    let text = cut(&whole, reasons);
                    reasons -= if text == whole { text.len() } else { reasons };
                    text
                })
            };
            response.matched.push(RefMatch {
                policy: name,
                rule: rule.id.value.clone(),
                decision: rule.action.decision.value,
                reason,
            });
            for (key, value) in &rule.action.metadata {
                if new.contains(&key.value) {
                    continue;
                }
                new.push(key.value.clone());
                let value = expand_literal(&value.value, request);
                let value = match sizes.checked_sub(size(&value)) {
                    Some(left) => {
                        sizes = left;
                        value
                    }
                    None => Value::from(CUT),
                };
                response.metadata.entry(key.value.clone()).or_insert(value);
            }
        }
    }
}

/// Bytes that a request may have.
const MAX_BODY: usize = 16 << 20;
/// Bytes of the reasons of a look, and size of its metadata.
const LIMIT: usize = 1 << 20;
/// What stands for what is left out.
const CUT: &str = "…";

/// The text, as far as it fits.
fn cut(text: &str, left: usize) -> String {
    if text.len() <= left {
        return text.to_owned();
    }
    let mut end = left;
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}{CUT}", &text[..end])
}

/// The size of a value: one for each value in it, and the bytes of its texts and keys.
fn size(value: &Value) -> usize {
    if numbers::is_number(value) {
        return 1;
    }
    1 + match value {
        Value::String(text) => text.len(),
        Value::Array(items) => items.iter().map(size).sum(),
        Value::Object(members) => members.iter().map(|(key, value)| key.len() + size(value)).sum(),
        Value::Null | Value::Bool(_) | Value::Number(_) => 0,
    }
}

/// 1.5, rules 3 to 5: which rules fire, and the decision.
fn run<'a>(
    seen: &[&Policy],
    rules: &[(&'a Policy, &'a Rule)],
    request: &Request<'_>,
    options: &RefOptions,
) -> Pass<'a> {
    // 1.5, rules 3 and 5: which rules fire, up to and with the first deny.
    let mut fired: Vec<(&Policy, &Rule)> = Vec::new();
    let mut told = false;
    let mut errors = Vec::new();
    for (policy, rule) in rules.iter().copied() {
        let outcome = condition(&rule.condition, request);
        // "Every such error is listed." Ruling: also for rules that do not fire because of it.
        for (field, found) in condition_errors(&rule.condition, request) {
            errors.push(RefRuleError {
                policy: policy_name(seen, policy),
                rule: rule.id.value.clone(),
                field,
                found,
            });
        }
        let fires = match outcome {
            Outcome::True => true,
            Outcome::False => false,
            Outcome::Error => {
                rule.action.decision.value != Decision::Allow && policy.on_error == OnError::Match
            }
        };
        if !fires {
            continue;
        }
        told |= outcome == Outcome::True;
        fired.push((policy, rule));
        if rule.action.decision.value == Decision::Deny && options.mode == Mode::FirstDeny {
            break;
        }
    }

    // 1.5, rule 4: deny > modify > warn > allow; with none, the default decision.
    let strongest = [Decision::Deny, Decision::Modify, Decision::Warn, Decision::Allow]
        .into_iter()
        .find(|d| fired.iter().any(|(_, rule)| rule.action.decision.value == *d));
    // Ruling: what cannot be evaluated never allows, so rules that fired only because of errors do not take the place of
    // a stronger default.
    let decision = match strongest {
        Some(decision) if told => decision,
        Some(decision) => decision.max(options.default_decision),
        None => options.default_decision,
    };
    Pass {
        fired,
        errors,
        decision,
    }
}

// ---------------------------------------------------------------------------------------------------------------------
// 1.5 Decision: scope, order, names
// ---------------------------------------------------------------------------------------------------------------------

/// 1.5, rule 1: what the namespace of the request sees.
fn seen<'a>(policies: &'a [Policy], options: &RefOptions) -> Result<Vec<&'a Policy>, RefError> {
    // "In scope: active policies".
    let active: Vec<&Policy> = policies.iter().filter(|p| p.status == Status::Active).collect();
    // "Nothing to ask (no active policy at all …) is not ready … never an allow."
    if active.is_empty() {
        return Err(RefError::NothingActive);
    }
    // "A namespace that no active policy has (also by other case, or empty) is an error 400, unless
    // `UNKNOWN_NAMESPACE=global` lets the policies of `global` decide, and there are some."
    let is_known = |name: &str| active.iter().any(|p| p.metadata.namespace.value == name);
    if let Some(wanted) = &options.namespace
        && !is_known(wanted)
        && !(options.global_for_unknown && is_known("global"))
    {
        return Err(RefError::UnknownNamespace(wanted.clone()));
    }
    // "with `namespace` in the request, those of that namespace and of `global`"
    Ok(active
        .into_iter()
        .filter(|p| {
            options.namespace.as_ref().is_none_or(|wanted| {
                p.metadata.namespace.value == *wanted || p.metadata.namespace.value == "global"
            })
        })
        .collect())
}

/// 1.5, rules 1 and 2: the rules in scope, in order.
fn rules_in_order<'a>(
    seen: &[&'a Policy],
    options: &RefOptions,
) -> Result<Vec<(&'a Policy, &'a Rule)>, RefError> {
    // "an unknown id or an empty list is an error". Ruling: a policy that is not active, or not of the namespace, is
    // unknown here, because otherwise naming it would mean "nothing to check, so allow".
    if let Some(ids) = &options.policies {
        if ids.is_empty() {
            return Err(RefError::EmptyPolicies);
        }
        // Ruling: a list that names a policy twice is refused, because nobody means it, and it makes a list as long as its
        // sender likes.
        for (i, id) in ids.iter().enumerate() {
            if !seen.iter().any(|p| p.metadata.id.value == *id) {
                return Err(RefError::UnknownPolicy(id.clone()));
            }
            if ids.iter().take(i).any(|earlier| earlier == id) {
                return Err(RefError::DuplicatePolicy(id.clone()));
            }
        }
    }
    let mut scope: Vec<&Policy> = seen
        .iter()
        .copied()
        // "with `policies: [ids]`, only those". Ruling: an id names every policy of it that the request sees.
        .filter(|p| {
            options
                .policies
                .as_ref()
                .is_none_or(|ids| ids.contains(&p.metadata.id.value))
        })
        .collect();
    // "Order: priority descending, then policy id". Ids by code point. Ruling: then the namespace.
    scope.sort_by(|a, b| {
        b.metadata
            .priority
            .value
            .cmp(&a.metadata.priority.value)
            .then_with(|| by_code_point(&a.metadata.id.value, &b.metadata.id.value))
            .then_with(|| by_code_point(&a.metadata.namespace.value, &b.metadata.namespace.value))
    });
    // "rules in document order"; a disabled rule never fires.
    Ok(scope
        .into_iter()
        .flat_map(|p| p.rules.iter().filter(|r| r.enabled).map(move |r| (p, r)))
        .collect())
}

/// 1.5, rule 5: `policyId/ruleId` where two policies share a rule id, else `ruleId`. Ruling: among the active policies and
/// enabled rules that the namespace of the request sees, whichever of them the request names in `policies`. What it does not
/// see changes no name.
fn matched_rule_name(seen: &[&Policy], policy: &Policy, rule: &Rule) -> String {
    let shared = seen.iter().any(|other| {
        !is_same(other, policy)
            && other
                .rules
                .iter()
                .any(|r| r.enabled && r.id.value == rule.id.value)
    });
    if shared {
        format!("{}/{}", policy_name(seen, policy), rule.id.value)
    } else {
        rule.id.value.clone()
    }
}

/// Ruling: `namespace/policyId` where the request sees two policies of one id, else `policyId`.
fn policy_name(seen: &[&Policy], policy: &Policy) -> String {
    let id = &policy.metadata.id.value;
    let shared = seen
        .iter()
        .any(|other| !is_same(other, policy) && other.metadata.id.value == *id);
    if shared {
        format!("{}/{id}", policy.metadata.namespace.value)
    } else {
        id.clone()
    }
}

/// Policies are told apart by namespace and id.
fn is_same(a: &Policy, b: &Policy) -> bool {
    a.metadata.namespace.value == b.metadata.namespace.value && a.metadata.id.value == b.metadata.id.value
}

// ---------------------------------------------------------------------------------------------------------------------
// 1.2 Field paths
// ---------------------------------------------------------------------------------------------------------------------

/// A request as conditions see it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Request<'a> {
    pub(crate) context: &'a Value,
    pub(crate) derive: Derive,
    /// The element at hand, inside the condition of `any` or `all`.
    pub(crate) item: Option<&'a Value>,
}

/// What is at a path.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Found {
    /// The path leads nowhere. Not null, and not an error.
    Missing,
    /// A cost that cannot be told (1.6): missing for `exists`, an error for everything else.
    Unknown,
    /// A value, possibly null.
    Present(Value),
}

/// 1.2: known context fields with their other spellings.
pub const ALIASES: &[(&str, &str, &[&str])] = &[
    (
        "llm",
        "maxTokens",
        &[
            "max_tokens",
            "max_completion_tokens",
            "max_output_tokens",
            "maxCompletionTokens",
            "maxOutputTokens",
        ],
    ),
    ("llm", "toolChoice", &["tool_choice"]),
    ("llm", "topP", &["top_p"]),
    ("llm", "responseFormat", &["response_format"]),
    ("llm", "reasoningEffort", &["reasoning_effort"]),
    ("llm", "serviceTier", &["service_tier"]),
    ("llm", "normalizedText", &["normalized_text"]),
    ("llm", "lastUserText", &["last_user_text"]),
    ("llm", "unreadContent", &["unread_content"]),
    ("llm", "canonicalModel", &["canonical_model"]),
    ("llm", "modelFamily", &["model_family"]),
    ("llm", "estimatedTokens", &["estimated_tokens"]),
    ("llm", "estimatedCost", &["estimated_cost"]),
    ("llm", "maxCost", &["max_cost"]),
    ("llm", "containsPII", &["contains_pii"]),
    ("llm", "piiTypes", &["pii_types"]),
    ("llm", "injectionSignals", &["injection_signals"]),
    ("llm", "injectionScore", &["injection_score"]),
    ("request", "ipAddress", &["ip_address"]),
    ("request", "userAgent", &["user_agent"]),
    ("shield", "riskScore", &["risk_score"]),
];

/// 1.2: the known roots, which are objects.
const ROOTS: &[&str] = &[
    "llm", "user", "team", "project", "request", "metadata", "budget", "shield",
];

/// 1.2: known fields that are lists.
pub const LISTS: &[(&str, &str)] = &[
    ("llm", "messages"),
    ("llm", "contents"),
    ("llm", "tools"),
    ("user", "roles"),
    ("user", "permissions"),
    ("shield", "threats"),
];

/// Known fields that a service answers. Ruling: where a request does not hold one, or null, nobody knows it, and "a deny rule that
/// cannot be evaluated must not turn into an allow".
pub const ANSWERED: &[(&str, &str)] = &[
    ("shield", "safe"),
    ("shield", "riskScore"),
    ("shield", "threats"),
    ("shield", "verdict"),
];

/// 1.2: known fields that are single values.
pub const SCALARS: &[(&str, &str)] = &[
    ("llm", "provider"),
    ("llm", "model"),
    ("llm", "maxTokens"),
    ("llm", "n"),
    ("llm", "temperature"),
    ("llm", "topP"),
    ("llm", "seed"),
    ("llm", "stream"),
    ("llm", "store"),
    ("llm", "reasoningEffort"),
    ("llm", "serviceTier"),
    ("llm", "user"),
    ("llm", "region"),
    ("user", "id"),
    ("user", "email"),
    ("team", "id"),
    ("team", "name"),
    ("team", "tier"),
    ("project", "id"),
    ("project", "name"),
    ("project", "environment"),
    ("request", "id"),
    ("request", "ipAddress"),
    ("request", "userAgent"),
    ("shield", "safe"),
    ("shield", "riskScore"),
    ("shield", "verdict"),
    ("shield", "reason"),
];

/// Every path that active policies read or change, canonical, with those that derived fields are computed from.
fn paths_read(policies: &[Policy]) -> Vec<FieldPath> {
    // `inside`: paths that begin with `item` lead into an element, not into the request.
    fn in_condition(node: &Condition, inside: bool, paths: &mut Vec<FieldPath>) {
        let mut push = |path: &FieldPath| {
            let of_item = matches!(path.segments.first(), Some(Segment::Key(key)) if key == "item");
            if !(inside && of_item) {
                paths.push(path.clone());
            }
        };
        match node {
            Condition::And { operands, .. } | Condition::Or { operands, .. } => {
                operands.iter().for_each(|c| in_condition(c, inside, paths));
            }
            Condition::Not { operand, .. } => in_condition(operand, inside, paths),
            Condition::Test(test) => {
                push(&test.field.value);
                match &test.operand {
                    Operand::Path(path) => push(&path.value),
                    Operand::Condition(body) => in_condition(body, true, paths),
                    Operand::Value(_) => {}
                }
            }
        }
    }
    fn in_text(text: &str, paths: &mut Vec<FieldPath>) {
        let template = Template::parse(text).expect("the parser refuses malformed templates");
        for part in template.parts {
            if let TemplatePart::Path(path) = part {
                paths.push(path);
            }
        }
    }
    fn in_literal(literal: &Literal, paths: &mut Vec<FieldPath>) {
        match literal {
            Literal::String(text) => in_text(text, paths),
            Literal::Array(items) => items.iter().for_each(|i| in_literal(&i.value, paths)),
            Literal::Object(members) => members.iter().for_each(|(_, v)| in_literal(&v.value, paths)),
            Literal::Null | Literal::Bool(_) | Literal::Number(_) => {}
        }
    }
    let mut paths = Vec::new();
    let active = policies.iter().filter(|p| p.status == Status::Active);
    for rule in active.flat_map(|p| &p.rules).filter(|r| r.enabled) {
        in_condition(&rule.condition, false, &mut paths);
        if let Some(reason) = &rule.action.reason {
            in_text(&reason.value, &mut paths);
        }
        for (_, value) in &rule.action.metadata {
            in_literal(&value.value, &mut paths);
        }
        for modification in &rule.action.modifications {
            paths.push(modification.path.value.clone());
            match &modification.verb {
                Verb::Set(literal) | Verb::Default(literal) | Verb::Append(literal) => {
                    in_literal(literal, &mut paths);
                }
                Verb::Cap(_) | Verb::Floor(_) | Verb::Remove | Verb::Redact(_) => {}
            }
        }
    }
    let mut paths: Vec<FieldPath> = paths.iter().map(canonical).collect();
    for path in paths.clone() {
        if let [Segment::Key(llm), Segment::Key(name), ..] = path.segments.as_slice()
            && llm == "llm"
            && let Some(field) = derived::Field::named(name)
        {
            paths.extend(field.inputs());
        }
    }
    paths
}

/// 1.2: "Two spellings of one field with different values: the request is refused as malformed", "so is a known root
/// that is not an object"; both only where they are read, like a duplicate key. Ruling: null is no value here.
fn malformed(paths: &[FieldPath], context: &Value) -> bool {
    let Value::Object(roots) = context else {
        return true;
    };
    let no_object = |root: &str| {
        roots
            .get(root)
            .is_some_and(|v| !v.is_null() && (!v.is_object() || numbers::is_number(v)))
    };
    let starts = |path: &FieldPath, way: &[&str]| {
        let mut steps = path.segments.iter();
        way.iter()
            .all(|key| matches!(steps.next(), Some(Segment::Key(own)) if own == key))
    };
    ROOTS
        .iter()
        .any(|root| no_object(root) && paths.iter().any(|path| starts(path, &[root])))
        || ALIASES.iter().any(|(object, camel, others)| {
            let spellings = std::iter::once(camel).chain(*others);
            let members = roots.get(*object).and_then(Value::as_object);
            let values: Vec<&Value> = spellings
                .filter_map(|name| members?.get(*name))
                .filter(|v| !v.is_null())
                .collect();
            let differ = values.iter().any(|value| !equal(value, values[0]));
            differ && paths.iter().any(|path| starts(path, &[object, camel]))
        })
}

/// 1.2: "A known list field that holds something else is a wrong type, an error in every operator". Ruling: so is a known
/// field of single values that holds a list or an object; null is neither.
fn belongs(path: &FieldPath, value: &Value) -> bool {
    let path = canonical(path);
    let [Segment::Key(object), Segment::Key(name)] = path.segments.as_slice() else {
        return true;
    };
    let known = (object.as_str(), name.as_str());
    if LISTS.contains(&known) {
        value.is_array() || value.is_null()
    } else if SCALARS.contains(&known) {
        numbers::is_number(value) || (!value.is_array() && !value.is_object())
    } else {
        true
    }
}

/// 1.2: "Known context fields have one canonical camelCase name". A policy may spell the other one; it means the same.
#[must_use]
pub fn canonical(path: &FieldPath) -> FieldPath {
    let mut path = path.clone();
    if let [Segment::Key(first), Segment::Key(second), ..] = path.segments.as_mut_slice()
        && let Some((_, camel, _)) = ALIASES
            .iter()
            .find(|(o, _, others)| o == first && others.contains(&second.as_str()))
    {
        *second = (*camel).to_owned();
    }
    path
}

/// The value at a path of the request, derived fields included.
fn look_up(path: &FieldPath, request: &Request<'_>) -> Found {
    // 1.3, `any` and `all`: "every element, which is `item` in its paths". Ruling: elements have no other spellings, and
    // inside a condition on elements the request's own key `item` is hidden.
    if let (Some(item), [Segment::Key(first), rest @ ..]) = (request.item, path.segments.as_slice())
        && first == "item"
    {
        return walk(item, rest);
    }
    let path = canonical(path);
    if let [Segment::Key(llm), Segment::Key(name), rest @ ..] = path.segments.as_slice()
        && llm == "llm"
        && let Some(field) = derived::Field::named(name)
    {
        return match derived::value(field, request) {
            Found::Present(value) => walk(&value, rest),
            Found::Missing => Found::Missing,
            Found::Unknown => Found::Unknown,
        };
    }
    if let [Segment::Key(object), Segment::Key(name), ..] = path.segments.as_slice()
        && ANSWERED.contains(&(object, name))
    {
        let own = path.segments.get(..2).unwrap_or_default();
        match sent(own, request.context) {
            Found::Missing | Found::Unknown | Found::Present(Value::Null) => return Found::Unknown,
            Found::Present(_) => {}
        }
    }
    // Ruling: below a known list that is no list, nothing can be known.
    if let [object, name, _, ..] = path.segments.as_slice() {
        let list = FieldPath {
            segments: vec![object.clone(), name.clone()],
        };
        let is_list = matches!((object, name), (Segment::Key(o), Segment::Key(n)) if LISTS.contains(&(o, n)));
        if is_list
            && let Found::Present(value) = sent(&list.segments, request.context)
            && !belongs(&list, &value)
        {
            return Found::Unknown;
        }
    }
    sent(&path.segments, request.context)
}

/// What the caller sent at a canonical path, in whatever spelling. Where there are several, they agree, or all but one
/// are null; see [`malformed`].
pub(crate) fn sent(segments: &[Segment], context: &Value) -> Found {
    if let [Segment::Key(object), Segment::Key(name), rest @ ..] = segments
        && let Some((_, camel, others)) = ALIASES.iter().find(|(o, c, _)| o == object && c == name)
        && let Some(Value::Object(members)) = context.get(object)
    {
        let spelled: Vec<&Value> = std::iter::once(camel)
            .chain(*others)
            .filter_map(|name| members.get(*name))
            .collect();
        let value = spelled.iter().find(|v| !v.is_null()).or(spelled.first());
        return match value {
            Some(value) => walk(value, rest),
            None => Found::Missing,
        };
    }
    walk(context, segments)
}

/// One step after the other. Ruling: an index is an element of an array or the object key of that decimal spelling; a
/// key is never an element of an array.
fn walk(value: &Value, segments: &[Segment]) -> Found {
    let Some((first, rest)) = segments.split_first() else {
        return Found::Present(value.clone());
    };
    if numbers::is_number(value) {
        return Found::Missing;
    }
    let next = match (value, first) {
        (Value::Object(members), Segment::Key(key)) => members.get(key),
        (Value::Object(members), Segment::Index(n)) => members.get(&n.to_string()),
        (Value::Array(items), Segment::Index(n)) => items.get(*n as usize),
        // "A list index may be negative": counted from the end, of arrays only.
        (Value::Array(items), Segment::FromEnd(n)) => {
            items.len().checked_sub(*n as usize).and_then(|at| items.get(at))
        }
        (Value::Array(_), Segment::Key(_))
        | (Value::Object(_), Segment::FromEnd(_))
        | (Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_), _) => None,
    };
    match next {
        Some(next) => walk(next, rest),
        None => Found::Missing,
    }
}

// ---------------------------------------------------------------------------------------------------------------------
// 1.3 Operators
// ---------------------------------------------------------------------------------------------------------------------

/// Value of a condition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Holds.
    True,
    /// Does not hold.
    False,
    /// Cannot be told.
    Error,
}

impl From<bool> for Outcome {
    fn from(value: bool) -> Self {
        if value { Self::True } else { Self::False }
    }
}

/// 1.3, last paragraph: three-valued logic.
fn condition(node: &Condition, request: &Request<'_>) -> Outcome {
    match node {
        Condition::And { operands, .. } => {
            let outcomes: Vec<Outcome> = operands.iter().map(|c| condition(c, request)).collect();
            if outcomes.contains(&Outcome::False) {
                Outcome::False
            } else if outcomes.contains(&Outcome::Error) {
                Outcome::Error
            } else {
                Outcome::True
            }
        }
        Condition::Or { operands, .. } => {
            let outcomes: Vec<Outcome> = operands.iter().map(|c| condition(c, request)).collect();
            if outcomes.contains(&Outcome::True) {
                Outcome::True
            } else if outcomes.contains(&Outcome::Error) {
                Outcome::Error
            } else {
                Outcome::False
            }
        }
        Condition::Not { operand, .. } => negate(condition(operand, request)),
        Condition::Test(test) => match &test.operand {
            Operand::Condition(body) => quantifier(test, body, request),
            Operand::Value(_) | Operand::Path(_) => self::test(test, request),
        },
    }
}

/// 1.3, `any` and `all`: "F a list; `condition` holds for some / every element; three-valued like `or` / `and` over the
/// elements". Missing F: false for `any`, true for `all`; anything else is an error. An empty list is like an `or`, an
/// `and`, of nothing.
fn quantifier(test: &Test, body: &Condition, request: &Request<'_>) -> Outcome {
    let all = test.operator.value == Operator::All;
    let elements = match look_up(&test.field.value, request) {
        Found::Missing => return Outcome::from(all),
        Found::Unknown => return Outcome::Error,
        Found::Present(value) if !belongs(&test.field.value, &value) => return Outcome::Error,
        Found::Present(Value::Array(elements)) => elements,
        Found::Present(_) => return Outcome::Error,
    };
    let outcomes: Vec<Outcome> = elements
        .iter()
        .map(|element| {
            let inside = Request {
                item: Some(element),
                ..*request
            };
            condition(body, &inside)
        })
        .collect();
    let decides = Outcome::from(!all);
    if outcomes.contains(&decides) {
        decides
    } else if outcomes.contains(&Outcome::Error) {
        Outcome::Error
    } else {
        Outcome::from(all)
    }
}

fn negate(outcome: Outcome) -> Outcome {
    match outcome {
        Outcome::True => Outcome::False,
        Outcome::False => Outcome::True,
        Outcome::Error => Outcome::Error,
    }
}

/// 1.5, rule 3: the errors behind a condition that is an error, in document order: field and what was found there.
/// Ruling: a part that is not itself an error contributes nothing.
fn condition_errors(node: &Condition, request: &Request<'_>) -> Vec<(String, String)> {
    if condition(node, request) != Outcome::Error {
        return Vec::new();
    }
    match node {
        Condition::And { operands, .. } | Condition::Or { operands, .. } => operands
            .iter()
            .flat_map(|c| condition_errors(c, request))
            .collect(),
        Condition::Not { operand, .. } => condition_errors(operand, request),
        Condition::Test(test) => vec![fault(test, request)],
    }
}

/// 1.5, rule 3: "field, what was found". Ruling: with `valueFrom`, the field is the one whose value does not fit the
/// other's; where the left one could have been compared with something, that is the right one.
fn fault(test: &Test, request: &Request<'_>) -> (String, String) {
    let describe = |path: &FieldPath| {
        let found = match look_up(path, request) {
            Found::Missing => "missing".to_owned(),
            Found::Unknown => "unknown".to_owned(),
            Found::Present(value) => type_name(&value).to_owned(),
        };
        (canonical(path).to_string(), found)
    };
    let left = describe(&test.field.value);
    let Operand::Path(path) = &test.operand else {
        return left;
    };
    let right = describe(&path.value);
    let stray = |path: &FieldPath| match look_up(path, request) {
        Found::Present(value) => !belongs(path, &value),
        Found::Missing | Found::Unknown => false,
    };
    if right.1 == "unknown" {
        return right;
    }
    if left.1 == "unknown" {
        return left;
    }
    if stray(&test.field.value) {
        return left;
    }
    if stray(&path.value) {
        return right;
    }
    let ordered = |kind: &str| kind == "number" || kind == "string";
    let right_is_at_fault = match test.operator.value {
        Operator::In | Operator::NotIn => true,
        Operator::Gt | Operator::Gte | Operator::Lt | Operator::Lte => ordered(&left.1),
        Operator::Contains
        | Operator::NotContains
        | Operator::StartsWith
        | Operator::NotStartsWith
        | Operator::EndsWith
        | Operator::NotEndsWith => left.1 == "string",
        Operator::InCidr => {
            matches!(look_up(&test.field.value, request), Found::Present(f) if operators::address(&f).is_some())
        }
        Operator::Before | Operator::After => {
            matches!(look_up(&test.field.value, request), Found::Present(f) if operators::instant(&f).is_some())
        }
        Operator::Eq
        | Operator::Ne
        | Operator::Matches
        | Operator::NotMatches
        | Operator::Exists
        | Operator::TimeBetween
        | Operator::Any
        | Operator::All => false,
    };
    if right_is_at_fault { right } else { left }
}

/// Name of a value's type, as error entries have it.
#[must_use]
pub fn type_name(value: &Value) -> &'static str {
    if numbers::is_number(value) {
        return "number";
    }
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

/// 1.3: the operator table.
fn test(test: &Test, request: &Request<'_>) -> Outcome {
    let field = look_up(&test.field.value, request);
    let operand = match &test.operand {
        Operand::Value(literal) => Found::Present(literal_value(&literal.value)),
        Operand::Path(path) => look_up(&path.value, request),
        Operand::Condition(_) => unreachable!("`any` and `all` are not compared"),
    };
    let positive = match test.operator.value {
        Operator::Ne => Operator::Eq,
        Operator::NotIn => Operator::In,
        Operator::NotContains => Operator::Contains,
        Operator::NotStartsWith => Operator::StartsWith,
        Operator::NotEndsWith => Operator::EndsWith,
        Operator::NotMatches => Operator::Matches,
        other => other,
    };
    let stray =
        |path: &FieldPath, found: &Found| matches!(found, Found::Present(value) if !belongs(path, value));
    let outcome = if stray(&test.field.value, &field) {
        Outcome::Error
    } else if positive == Operator::Exists {
        exists(&field, &operand)
    } else {
        match (&field, &operand) {
            // Column "missing F"; "a missing V counts like a missing F". 1.6: "comparisons on it are errors". Ruling:
            // where one is missing and the other unknown, F decides.
            (Found::Missing, _) => Outcome::False,
            (Found::Unknown, _) => Outcome::Error,
            (_, Found::Missing) => Outcome::False,
            (_, Found::Unknown) => Outcome::Error,
            (_, Found::Present(_)) if matches!(&test.operand, Operand::Path(path) if stray(&path.value, &operand)) => {
                Outcome::Error
            }
            (Found::Present(f), Found::Present(v)) if test.ignore_case => {
                compare_ignoring_case(positive, f, v)
            }
            (Found::Present(f), Found::Present(v)) => compare(positive, f, v, &test.operand),
        }
    };
    // "exact negation of the operator without `not_`/`n`; an error stays an error"
    if positive == test.operator.value {
        outcome
    } else {
        negate(outcome)
    }
}

/// `exists`: "F is present and not null (V defaults to true; `value: false` negates)".
fn exists(field: &Found, operand: &Found) -> Outcome {
    let present = match field {
        Found::Missing | Found::Unknown | Found::Present(Value::Null) => false,
        Found::Present(_) => true,
    };
    match operand {
        Found::Present(Value::Bool(wanted)) => Outcome::from(present == *wanted),
        Found::Missing | Found::Unknown | Found::Present(_) => {
            panic!("`exists` takes a boolean constant")
        }
    }
}

/// The rows of the table where both F and V are present.
fn compare(operator: Operator, f: &Value, v: &Value, written: &Operand) -> Outcome {
    match operator {
        // "same type and equal"; wrong types: false.
        Operator::Eq => Outcome::from(equal(f, v)),
        // "number with number, exactly; string with string, by code point"; wrong types: error.
        Operator::Gt | Operator::Gte | Operator::Lt | Operator::Lte => {
            let order = match (f, v) {
                (Value::String(f), Value::String(v)) => by_code_point(f, v),
                (f, v) => match numbers::compare(f, v) {
                    Some(order) => order,
                    None => return Outcome::Error,
                },
            };
            Outcome::from(match operator {
                Operator::Gt => order.is_gt(),
                Operator::Gte => order.is_ge(),
                Operator::Lt => order.is_lt(),
                _ => order.is_le(),
            })
        }
        // "V is a list: some item equals F; if F is an array: some element of F equals some item"; wrong types: false,
        // but "`in` with a V that is not a list is an error". Ruling: an array F may also equal an item as a whole.
        Operator::In => match v {
            Value::Array(items) => Outcome::from(
                items.iter().any(|item| equal(f, item))
                    || f.as_array().is_some_and(|elements| {
                        elements.iter().any(|e| items.iter().any(|item| equal(e, item)))
                    }),
            ),
            _ => Outcome::Error,
        },
        // "F string: V is a substring; F array: some element equals V"; wrong types: error.
        Operator::Contains => match (f, v) {
            (Value::String(f), Value::String(v)) => Outcome::from(f.contains(v.as_str())),
            (Value::Array(elements), v) => Outcome::from(elements.iter().any(|e| equal(e, v))),
            _ => Outcome::Error,
        },
        // "strings"; wrong types: error.
        Operator::StartsWith => match (f, v) {
            (Value::String(f), Value::String(v)) => Outcome::from(f.starts_with(v.as_str())),
            _ => Outcome::Error,
        },
        Operator::EndsWith => match (f, v) {
            (Value::String(f), Value::String(v)) => Outcome::from(f.ends_with(v.as_str())),
            _ => Outcome::Error,
        },
        // "F string: the regex V is found in it (unanchored)"; wrong types: error.
        Operator::Matches => match (f, v, written) {
            (Value::String(f), Value::String(pattern), Operand::Value(_)) => {
                // The dialect is written down in one place; a table of RE2's answers holds that place to it.
                let pattern =
                    policy_grammar::text::pattern::translate(pattern).expect("the compiler refuses others");
                let regex = regex::Regex::new(&pattern).expect("the compiler refuses other patterns");
                Outcome::from(regex.is_match(f))
            }
            (_, _, Operand::Path(_) | Operand::Condition(_)) => panic!("`matches` takes a constant"),
            _ => Outcome::Error,
        },
        // "an IPv4 or IPv6 address in one of the networks of V"; wrong types: error, "also for text that is no address".
        Operator::InCidr => operators::in_cidr(f, v).map_or(Outcome::Error, Outcome::from),
        // "text without an offset is an error"; strict.
        Operator::Before | Operator::After => match (operators::instant(f), operators::instant(v)) {
            (Some(f), Some(v)) => Outcome::from(if operator == Operator::Before {
                f < v
            } else {
                f > v
            }),
            _ => Outcome::Error,
        },
        Operator::TimeBetween => operators::time_between(f, v).map_or(Outcome::Error, Outcome::from),
        Operator::Ne
        | Operator::NotIn
        | Operator::NotContains
        | Operator::NotStartsWith
        | Operator::NotEndsWith
        | Operator::NotMatches
        | Operator::Exists => {
            unreachable!("made positive above")
        }
        Operator::Any | Operator::All => unreachable!("`any` and `all` are not compared"),
    }
}

/// Whether a constant is an instant, for generators: the compiler refuses others beside `before` and `after`.
#[must_use]
pub fn reads_as_instant(value: &Value) -> bool {
    operators::instant(value).is_some()
}

/// "`ignoreCase: true` … compares with simple Unicode case folding": the same rows with another equality.
fn compare_ignoring_case(operator: Operator, f: &Value, v: &Value) -> Outcome {
    let text = |place: Place| match (f, v) {
        (Value::String(f), Value::String(v)) => Outcome::from(found_ignoring_case(f, v, place)),
        _ => Outcome::Error,
    };
    match operator {
        Operator::Eq => Outcome::from(equal_ignoring_case(f, v)),
        Operator::In => match v {
            Value::Array(items) => {
                let among = |f: &Value| items.iter().any(|item| equal_ignoring_case(f, item));
                Outcome::from(among(f) || f.as_array().is_some_and(|elements| elements.iter().any(among)))
            }
            _ => Outcome::Error,
        },
        Operator::Contains => match f {
            Value::Array(elements) => Outcome::from(elements.iter().any(|e| equal_ignoring_case(e, v))),
            _ => text(Place::Anywhere),
        },
        Operator::StartsWith => text(Place::Start),
        Operator::EndsWith => text(Place::End),
        _ => panic!("the parser refuses `ignoreCase` beside others"),
    }
}

/// 1.3 `eq`: "same type and equal; numbers by value (1 = 1.0); arrays and objects deeply, key order ignored".
#[must_use]
pub fn equal(a: &Value, b: &Value) -> bool {
    if numbers::is_number(a) || numbers::is_number(b) {
        return numbers::compare(a, b).is_some_and(Ordering::is_eq);
    }
    match (a, b) {
        (Value::Null, Value::Null) => true,
        (Value::Bool(a), Value::Bool(b)) => a == b,
        (Value::String(a), Value::String(b)) => a == b,
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| equal(a, b)),
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(k, a)| b.get(k).is_some_and(|b| equal(a, b)))
        }
        _ => false,
    }
}

/// 1.3: strings "by code point".
fn by_code_point(a: &str, b: &str) -> Ordering {
    a.chars().map(u32::from).cmp(b.chars().map(u32::from))
}

/// A constant of a policy as JSON.
#[must_use]
pub fn literal_value(literal: &Literal) -> Value {
    match literal {
        Literal::Null => Value::Null,
        Literal::Bool(b) => Value::Bool(*b),
        Literal::Number(n) => number_value(n),
        Literal::String(s) => Value::String(s.clone()),
        Literal::Array(items) => Value::Array(items.iter().map(|i| literal_value(&i.value)).collect()),
        Literal::Object(members) => Value::Object(
            members
                .iter()
                .map(|(k, v)| (k.value.clone(), literal_value(&v.value)))
                .collect(),
        ),
    }
}

fn number_value(number: &Written) -> Value {
    match number {
        Written::Int(n) => Value::from(*n),
        Written::UInt(n) => Value::from(*n),
        Written::Float(x) => Value::from(*x),
        Written::Decimal(text) => numbers::marked(text),
    }
}

// ---------------------------------------------------------------------------------------------------------------------
// 1.5 Modifications and templates
// ---------------------------------------------------------------------------------------------------------------------

/// 1.5: "`$redact` … in what a model reads of it, in its own shape". `path` is where the value stands.
fn redact(value: &Value, path: &FieldPath, types: &[&str]) -> Value {
    let step = |segment: &Segment| match segment {
        Segment::Key(key) => requests::Step::Key(key.clone()),
        Segment::Index(n) => requests::Step::Index(i64::from(*n)),
        Segment::FromEnd(n) => requests::Step::Index(-i64::from(*n)),
    };
    let steps: Vec<requests::Step> = path.segments.iter().map(step).collect();
    requests::rewrite(value, &steps, &mut |text| {
        let redacted = redact_said(text, types, 4);
        (redacted != text).then_some(redacted)
    })
}

/// A text without personal data: JSON in it stays JSON, looked into `levels` deep, and what shows once escapes are undone
/// goes as well.
fn redact_said(text: &str, types: &[&str], levels: usize) -> String {
    let parsed: Option<Value> = serde_json::from_str(text).ok();
    let inside = parsed.filter(|_| levels > 0 && derived::is_json(text));
    let changed = inside.and_then(|value| {
        let new = requests::rewrite(&value, &[], &mut |text| {
            let redacted = redact_said(text, types, levels - 1);
            (redacted != text).then_some(redacted)
        });
        (new != value).then(|| new.to_string())
    });
    let once = redact_text(&changed.unwrap_or_else(|| text.to_owned()), types);
    match derived::undone(&once) {
        Some(undone) if redact_text(&undone, types) != undone => redact_text(&undone, types),
        Some(_) | None => once,
    }
}

/// No type means all.
fn redact_text(text: &str, types: &[&str]) -> String {
    let set = if types.is_empty() {
        pii::PiiTypeSet::ALL
    } else {
        let mut set = pii::PiiTypeSet::EMPTY;
        for name in types {
            set.insert(name.parse().expect("the compiler refuses unknown types"));
        }
        set
    };
    let mut out = String::new();
    pii::redact(text, set, &mut out);
    out
}

/// 1.5: "`{{ path }}` in `reason` and in string values is replaced by the value at that path".
fn expand(text: &str, request: &Request<'_>) -> String {
    let template = Template::parse(text).expect("the parser refuses malformed templates");
    let mut out = String::new();
    for part in &template.parts {
        match part {
            TemplatePart::Text(text) => out.push_str(text),
            TemplatePart::Path(path) => match look_up(path, request) {
                // "missing → empty". Ruling: null likewise; strings as they are, of a list its elements with commas between;
                // everything else as compact JSON.
                Found::Missing | Found::Present(Value::Null) => {}
                Found::Unknown => out.push_str("unknown"),
                Found::Present(Value::Array(items)) => {
                    out.push_str(&items.iter().map(for_people).collect::<Vec<_>>().join(", "));
                }
                Found::Present(other) => out.push_str(&for_people(&other)),
            },
        }
    }
    out
}

fn for_people(value: &Value) -> String {
    match value.as_str() {
        Some(text) => text.to_owned(),
        None => json_text(value),
    }
}

/// Compact JSON, keys by code point. Ruling: doubles in the fewest digits that read back as the same double, with a
/// fraction or an exponent, the exponent without a plus sign.
fn json_text(value: &Value) -> String {
    if let Some(text) = numbers::mark_of(value) {
        return text.to_owned();
    }
    match value {
        Value::Number(n) if n.is_f64() => format!("{:?}", n.as_f64().expect("a double")),
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(json_text).collect();
            format!("[{}]", items.join(","))
        }
        Value::Object(members) => {
            let mut members: Vec<(&String, &Value)> = members.iter().collect();
            members.sort_by(|(a, _), (b, _)| by_code_point(a, b));
            let members: Vec<String> = members
                .into_iter()
                .map(|(k, v)| format!("{}:{}", Value::from(k.as_str()), json_text(v)))
                .collect();
            format!("{{{}}}", members.join(","))
        }
        other => other.to_string(),
    }
}

/// A constant with the templates in its strings replaced; keys stay as they are.
fn expand_literal(literal: &Literal, request: &Request<'_>) -> Value {
    match literal {
        Literal::String(text) => Value::String(expand(text, request)),
        Literal::Array(items) => {
            Value::Array(items.iter().map(|i| expand_literal(&i.value, request)).collect())
        }
        Literal::Object(members) => Value::Object(
            members
                .iter()
                .map(|(k, v)| (k.value.clone(), expand_literal(&v.value, request)))
                .collect(),
        ),
        Literal::Null | Literal::Bool(_) | Literal::Number(_) => literal_value(literal),
    }
}
