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

pub mod derived;
mod operators;

use operators::{Place, equal_ignoring_case, found_ignoring_case};
use policy_grammar::ast::{
    Condition, Decision, FieldPath, Literal, Number as Written, OnError, Operand, Operator, Policy, Rule,
    Segment, Status, Template, TemplatePart, Test, Verb,
};
use policy_primitives::pii;
use serde_json::{Map, Number, Value};
use std::cmp::Ordering;

pub use derived::Derive;

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
}

impl Default for RefOptions {
    fn default() -> Self {
        Self {
            namespace: None,
            policies: None,
            default_decision: Decision::Allow,
            mode: Mode::FirstDeny,
            derive: Derive::Always,
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
    /// New values by canonical path; `null` also for what is to be removed.
    pub modifications: Map<String, Value>,
    /// Action metadata of the fired rules.
    pub metadata: Map<String, Value>,
    /// What could not be evaluated.
    pub errors: Vec<RefRuleError>,
}

/// Something in a rule that could not be evaluated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefRuleError {
    /// Policy id.
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
    /// `policies` names none.
    EmptyPolicies,
    /// `policies` names one that is not loaded or not active.
    UnknownPolicy(String),
}

/// Decides one request.
///
/// # Errors
///
/// - [`RefError::NotAnObject`] — the context is not an object.
/// - [`RefError::EmptyPolicies`], [`RefError::UnknownPolicy`] — see 1.5, rule 1.
///
/// # Panics
///
/// For policies that the compiler refuses, such as a `matches` whose pattern is none.
pub fn evaluate(policies: &[Policy], context: &Value, options: &RefOptions) -> Result<RefResponse, RefError> {
    if !context.is_object() {
        return Err(RefError::NotAnObject);
    }
    let request = Request {
        context,
        derive: options.derive,
    };
    let rules = rules_in_order(policies, options)?;

    // 1.5, rules 3 and 5: which rules fire, up to and with the first deny.
    let mut fired: Vec<(&Policy, &Rule)> = Vec::new();
    let mut told = false;
    let mut errors = Vec::new();
    for (policy, rule) in rules {
        let outcome = condition(&rule.condition, &request);
        // "Every such error is listed." Ruling: also for rules that do not fire because of it.
        for (field, found) in condition_errors(&rule.condition, &request) {
            errors.push(RefRuleError {
                policy: policy.metadata.id.value.clone(),
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
    // "`reason` is that of the first fired rule, in order, with that decision." Ruling: none, if that rule has none.
    let reason = fired
        .iter()
        .find(|(_, rule)| rule.action.decision.value == decision)
        .and_then(|(_, rule)| rule.action.reason.as_ref())
        .map(|reason| expand(&reason.value, &request));

    // 1.5, rule 5: what fired, in order.
    let mut matched_policies: Vec<String> = Vec::new();
    let mut matched_rules = Vec::new();
    for (policy, rule) in &fired {
        if !matched_policies.contains(&policy.metadata.id.value) {
            matched_policies.push(policy.metadata.id.value.clone());
        }
        matched_rules.push(matched_rule_name(policies, policy, rule));
    }

    // 1.5, rule 7: metadata of fired rules, the first in order wins.
    let mut metadata = Map::new();
    for (_, rule) in &fired {
        for (key, value) in &rule.action.metadata {
            if !metadata.contains_key(&key.value) {
                metadata.insert(key.value.clone(), expand_literal(&value.value, &request));
            }
        }
    }

    // 1.5, rule 6: modifications merged by path, the rule first in order wins; with a deny there are none.
    let mut modifications = Map::new();
    if decision != Decision::Deny {
        for (policy, rule) in &fired {
            for modification in &rule.action.modifications {
                let path = canonical(&modification.path.value).to_string();
                // Ruling: a verb that changes nothing, such as `$default` of what is there, leaves the path to the next
                // rule, so that it cannot switch off another rule's `$cap`.
                if modifications.contains_key(&path) {
                    continue;
                }
                let current = look_up(&modification.path.value, &request);
                let applied = apply(&modification.verb, current, &request);
                if let Some(value) = applied.entry {
                    modifications.insert(path.clone(), value);
                }
                if let Some(found) = applied.error {
                    errors.push(RefRuleError {
                        policy: policy.metadata.id.value.clone(),
                        rule: rule.id.value.clone(),
                        field: path,
                        found,
                    });
                }
            }
        }
    }

    Ok(RefResponse {
        decision,
        reason,
        matched_policies,
        matched_rules,
        modifications,
        metadata,
        errors,
    })
}

// ---------------------------------------------------------------------------------------------------------------------
// 1.5 Decision: scope, order, names
// ---------------------------------------------------------------------------------------------------------------------

/// 1.5, rules 1 and 2: the rules in scope, in order.
fn rules_in_order<'a>(
    policies: &'a [Policy],
    options: &RefOptions,
) -> Result<Vec<(&'a Policy, &'a Rule)>, RefError> {
    // "In scope: active policies".
    let active: Vec<&Policy> = policies.iter().filter(|p| p.status == Status::Active).collect();
    // "with `namespace` in the request, those of that namespace and of `global`"
    let visible: Vec<&Policy> = active
        .into_iter()
        .filter(|p| {
            options.namespace.as_ref().is_none_or(|wanted| {
                p.metadata.namespace.value == *wanted || p.metadata.namespace.value == "global"
            })
        })
        .collect();
    // "an unknown id or an empty list is an error". Ruling: a policy that is not active, or not of the namespace, is
    // unknown here, because otherwise naming it would mean "nothing to check, so allow".
    if let Some(ids) = &options.policies {
        if ids.is_empty() {
            return Err(RefError::EmptyPolicies);
        }
        for id in ids {
            if !visible.iter().any(|p| p.metadata.id.value == *id) {
                return Err(RefError::UnknownPolicy(id.clone()));
            }
        }
    }
    let mut scope: Vec<&Policy> = visible
        .into_iter()
        // "with `policies: [ids]`, only those"
        .filter(|p| {
            options
                .policies
                .as_ref()
                .is_none_or(|ids| ids.contains(&p.metadata.id.value))
        })
        .collect();
    // "Order: priority descending, then policy id". Ids by code point.
    scope.sort_by(|a, b| {
        b.metadata
            .priority
            .value
            .cmp(&a.metadata.priority.value)
            .then_with(|| by_code_point(&a.metadata.id.value, &b.metadata.id.value))
    });
    // "rules in document order"; a disabled rule never fires.
    Ok(scope
        .into_iter()
        .flat_map(|p| p.rules.iter().filter(|r| r.enabled).map(move |r| (p, r)))
        .collect())
}

/// 1.5, rule 5: `policyId/ruleId` where two policies share a rule id, else `ruleId`. Ruling: among active policies and
/// enabled rules, whatever is in scope of this request.
fn matched_rule_name(policies: &[Policy], policy: &Policy, rule: &Rule) -> String {
    let shared = policies.iter().any(|other| {
        other.status == Status::Active
            && other.metadata.id.value != policy.metadata.id.value
            && other
                .rules
                .iter()
                .any(|r| r.enabled && r.id.value == rule.id.value)
    });
    if shared {
        format!("{}/{}", policy.metadata.id.value, rule.id.value)
    } else {
        rule.id.value.clone()
    }
}

// ---------------------------------------------------------------------------------------------------------------------
// 1.2 Field paths
// ---------------------------------------------------------------------------------------------------------------------

/// A request as conditions see it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Request<'a> {
    pub(crate) context: &'a Value,
    pub(crate) derive: Derive,
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

/// 1.2: known context fields with their other spelling.
pub const ALIASES: &[(&str, &str, &str)] = &[
    ("llm", "maxTokens", "max_tokens"),
    ("llm", "estimatedTokens", "estimated_tokens"),
    ("llm", "estimatedCost", "estimated_cost"),
    ("llm", "maxCost", "max_cost"),
    ("llm", "containsPII", "contains_pii"),
    ("llm", "piiTypes", "pii_types"),
    ("request", "ipAddress", "ip_address"),
    ("request", "userAgent", "user_agent"),
];

/// 1.2: "Known context fields have one canonical camelCase name". A policy may spell the other one; it means the same.
#[must_use]
pub fn canonical(path: &FieldPath) -> FieldPath {
    let mut path = path.clone();
    if let [Segment::Key(first), Segment::Key(second), ..] = path.segments.as_mut_slice()
        && let Some((_, camel, _)) = ALIASES.iter().find(|(o, _, s)| o == first && s == second)
    {
        *second = (*camel).to_owned();
    }
    path
}

/// The value at a path of the request, derived fields included.
fn look_up(path: &FieldPath, request: &Request<'_>) -> Found {
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
    sent(&path.segments, request.context)
}

/// What the caller sent at a canonical path. 1.2: snake_case is accepted, "camelCase wins if both occur".
pub(crate) fn sent(segments: &[Segment], context: &Value) -> Found {
    if let [Segment::Key(object), Segment::Key(name), rest @ ..] = segments
        && let Some((_, camel, snake)) = ALIASES.iter().find(|(o, c, _)| o == object && c == name)
        && let Some(Value::Object(members)) = context.get(object)
    {
        return match members.get(*camel).or_else(|| members.get(*snake)) {
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
    let next = match (value, first) {
        (Value::Object(members), Segment::Key(key)) => members.get(key),
        (Value::Object(members), Segment::Index(n)) => members.get(&n.to_string()),
        (Value::Array(items), Segment::Index(n)) => items.get(*n as usize),
        (Value::Array(_), Segment::Key(_))
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
        Condition::Test(test) => self::test(test, request),
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
    if right.1 == "unknown" {
        return right;
    }
    if left.1 == "unknown" {
        return left;
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
        | Operator::TimeBetween => false,
    };
    if right_is_at_fault { right } else { left }
}

/// Name of a value's type, as error entries have it.
#[must_use]
pub fn type_name(value: &Value) -> &'static str {
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
    let outcome = if positive == Operator::Exists {
        exists(&field, &operand)
    } else {
        match (&field, &operand) {
            // Column "missing F"; "a missing V counts like a missing F". 1.6: "comparisons on it are errors". Ruling:
            // where one is missing and the other unknown, F decides.
            (Found::Missing, _) => Outcome::False,
            (Found::Unknown, _) => Outcome::Error,
            (_, Found::Missing) => Outcome::False,
            (_, Found::Unknown) => Outcome::Error,
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
                (Value::Number(f), Value::Number(v)) => compare_numbers(f, v),
                (Value::String(f), Value::String(v)) => by_code_point(f, v),
                _ => return Outcome::Error,
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
                let pattern = policy_grammar::regex::translate(pattern).expect("the compiler refuses others");
                let regex = regex::Regex::new(&pattern).expect("the compiler refuses other patterns");
                Outcome::from(regex.is_match(f))
            }
            (_, _, Operand::Path(_)) => panic!("`matches` takes a constant"),
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
    match (a, b) {
        (Value::Null, Value::Null) => true,
        (Value::Bool(a), Value::Bool(b)) => a == b,
        (Value::Number(a), Value::Number(b)) => compare_numbers(a, b).is_eq(),
        (Value::String(a), Value::String(b)) => a == b,
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| equal(a, b)),
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(k, a)| b.get(k).is_some_and(|b| equal(a, b)))
        }
        _ => false,
    }
}

/// 1.3: numbers "exactly (no rounding of 64-bit integers)".
fn compare_numbers(a: &Number, b: &Number) -> Ordering {
    match (integer(a), integer(b)) {
        (Some(a), Some(b)) => a.cmp(&b),
        (Some(a), None) => compare_integer(a, double(b)),
        (None, Some(b)) => compare_integer(b, double(a)).reverse(),
        (None, None) => double(a).partial_cmp(&double(b)).expect("JSON has no NaN"),
    }
}

fn integer(n: &Number) -> Option<i128> {
    n.as_i64().map(i128::from).or_else(|| n.as_u64().map(i128::from))
}

fn double(n: &Number) -> f64 {
    n.as_f64().expect("every JSON number has a nearest double")
}

/// An integer of 64 bits against a double: against the double's whole part, then against the rest.
fn compare_integer(a: i128, b: f64) -> Ordering {
    let floor = b.floor();
    if floor >= 1e30 {
        return Ordering::Less;
    }
    if floor <= -1e30 {
        return Ordering::Greater;
    }
    #[expect(
        clippy::cast_possible_truncation,
        reason = "a whole number well inside the range"
    )]
    let whole = floor as i128;
    if a == whole && b > floor {
        Ordering::Less
    } else {
        a.cmp(&whole)
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
        Literal::Number(n) => number_value(*n),
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

fn number_value(number: Written) -> Value {
    match number {
        Written::Int(n) => Value::from(n),
        Written::UInt(n) => Value::from(n),
        Written::Float(x) => Value::Number(Number::from_f64(x).expect("written numbers are finite")),
    }
}

// ---------------------------------------------------------------------------------------------------------------------
// 1.5 Modifications and templates
// ---------------------------------------------------------------------------------------------------------------------

/// What a verb did.
struct Applied {
    /// The entry of the response.
    entry: Option<Value>,
    /// The type that the verb cannot work on.
    error: Option<String>,
}

impl Applied {
    fn entry(value: Value) -> Self {
        Self {
            entry: Some(value),
            error: None,
        }
    }

    fn nothing() -> Self {
        Self {
            entry: None,
            error: None,
        }
    }
}

/// 1.5: "`modifications: {path: value}` sets. A single-key object with `$` is a verb, and the response holds the
/// result".
fn apply(verb: &Verb, current: Found, request: &Request<'_>) -> Applied {
    // 1.6: an unknown cost is missing; derived fields are not modified anyway.
    let current = match current {
        Found::Present(value) => Some(value),
        Found::Missing | Found::Unknown => None,
    };
    match verb {
        Verb::Set(literal) => Applied::entry(expand_literal(literal, request)),
        // "min of current and n; n if missing". Ruling: n and an error for what is no number, null included.
        Verb::Cap(n) => limit(*n, current, Ordering::Greater),
        Verb::Floor(n) => limit(*n, current, Ordering::Less),
        // "only if missing". Ruling: null is not missing.
        Verb::Default(literal) => match current {
            None => Applied::entry(expand_literal(literal, request)),
            Some(_) => Applied::nothing(),
        },
        // Ruling: null counts as an empty list here; a string takes a string; anything else is an error.
        Verb::Append(literal) => {
            let more = expand_literal(literal, request);
            match (current, more) {
                (None | Some(Value::Null), more) => Applied::entry(Value::Array(vec![more])),
                (Some(Value::Array(mut items)), more) => {
                    items.push(more);
                    Applied::entry(Value::Array(items))
                }
                (Some(Value::String(text)), Value::String(more)) => {
                    Applied::entry(Value::String(text + &more))
                }
                (Some(other), _) => Applied {
                    entry: None,
                    error: Some(type_name(&other).to_owned()),
                },
            }
        }
        // Ruling: null stands for "gone"; nothing to say where there was nothing.
        Verb::Remove => match current {
            Some(_) => Applied::entry(Value::Null),
            None => Applied::nothing(),
        },
        // "PII of these types replaced". Ruling: in every string of the value; missing stays missing.
        Verb::Redact(types) => match current {
            Some(value) => {
                let names: Vec<&str> = types.iter().map(|t| t.value.as_str()).collect();
                Applied::entry(redact(&value, &names))
            }
            None => Applied::nothing(),
        },
    }
}

/// `$cap` replaces what lies above `n`, `$floor` what lies below.
fn limit(n: Written, current: Option<Value>, replaced: Ordering) -> Applied {
    let n = number_value(n);
    let Value::Number(bound) = &n else {
        unreachable!("a number")
    };
    match &current {
        None => Applied::entry(n),
        Some(Value::Number(now)) if compare_numbers(now, bound) == replaced => Applied::entry(n),
        Some(Value::Number(now)) => Applied::entry(Value::Number(now.clone())),
        Some(other) => Applied {
            error: Some(type_name(other).to_owned()),
            entry: Some(n),
        },
    }
}

/// Redacts every string of a value; keys stay.
fn redact(value: &Value, types: &[&str]) -> Value {
    match value {
        Value::String(text) => Value::String(redact_text(text, types)),
        Value::Array(items) => Value::Array(items.iter().map(|i| redact(i, types)).collect()),
        Value::Object(members) => Value::Object(
            members
                .iter()
                .map(|(k, v)| (k.clone(), redact(v, types)))
                .collect(),
        ),
        Value::Null | Value::Bool(_) | Value::Number(_) => value.clone(),
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
                // "missing → empty". Ruling: null likewise; strings as they are; everything else as compact JSON.
                Found::Missing | Found::Unknown | Found::Present(Value::Null) => {}
                Found::Present(Value::String(s)) => out.push_str(&s),
                Found::Present(other) => out.push_str(&json_text(&other)),
            },
        }
    }
    out
}

/// Compact JSON, keys by code point. Ruling: doubles in the fewest digits that read back as the same double, with a
/// fraction or an exponent, the exponent without a plus sign.
fn json_text(value: &Value) -> String {
    match value {
        Value::Number(n) if n.is_f64() => format!("{:?}", double(n)),
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
