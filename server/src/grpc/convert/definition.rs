//! Typed policies: a definition as a JSON document, which is compiled like any other, and a stored document as a definition.
//!
//! # Invariants
//!
//! - Nothing is rounded silently: an integer that a double cannot hold for certain is refused in both directions.
//! - An enum number that this server does not know is refused, never read as the default.
//!
//! Recursion follows the nesting of messages, which the decoder bounds, and of documents, which the parser bounds.

use super::json::{AsJson, value};
use super::{decision_message, malformed, status_filter};
use crate::error::{Result, ServiceError};
use crate::storage::model::PolicyStatus;
use policy_grammar::{SourceFile, SourceMap, ast};
use policy_proto::v1;
use prost_types::{Struct, Value, value::Kind};
use serde::Serialize;
use std::collections::BTreeMap;

/// The largest integer that is the only one to become its double: 2^53 − 1.
const SAFE: f64 = 9_007_199_254_740_991.0;

/// A typed policy as a JSON document. What is not given is left out, so that the compiler fills in, or misses, the same as in
/// any other document.
///
/// # Errors
///
/// `malformed_request` for an enum number that is not known, and for numbers that are not certain or not JSON.
pub fn definition_json(definition: &v1::PolicyDefinition) -> Result<String> {
    let document = DefinitionJson {
        metadata: definition.metadata.as_ref().map(metadata_json),
        rules: definition
            .rules
            .iter()
            .enumerate()
            .map(|(i, rule)| rule_json(rule).map_err(|e| malformed(format!("rules[{i}]: {}", e.detail))))
            .collect::<Result<_>>()?,
        status: status_filter(definition.status)?.map(PolicyStatus::as_str),
        on_error: match v1::OnError::try_from(definition.on_error) {
            Ok(v1::OnError::Unspecified) => None,
            Ok(v1::OnError::Match) => Some(ast::OnError::Match.as_str()),
            Ok(v1::OnError::Skip) => Some(ast::OnError::Skip.as_str()),
            Err(_) => {
                return Err(malformed(format!(
                    "on_error: there is no OnError {}",
                    definition.on_error
                )));
            }
        },
    };
    serde_json::to_string_pretty(&document).map_err(|e| malformed(format!("policy: {e}")))
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct DefinitionJson<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    metadata: Option<MetadataJson<'a>>,
    rules: Vec<RuleJson<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    on_error: Option<&'static str>,
}

#[derive(Serialize)]
struct MetadataJson<'a> {
    #[serde(skip_serializing_if = "str::is_empty")]
    id: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    namespace: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'a str>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    tags: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    priority: Option<i64>,
}

#[derive(Serialize)]
struct RuleJson<'a> {
    #[serde(skip_serializing_if = "str::is_empty")]
    id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    enabled: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    condition: Option<ConditionJson<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    action: Option<ActionJson<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ConditionJson<'a> {
    #[serde(skip_serializing_if = "str::is_empty")]
    operator: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<AsJson<'a, Value>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    value_from: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    conditions: Option<Vec<ConditionJson<'a>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    condition: Option<Box<ConditionJson<'a>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ignore_case: Option<bool>,
}

#[derive(Serialize)]
struct ActionJson<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    decision: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    metadata: Option<AsJson<'a, Struct>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    modifications: Option<AsJson<'a, Struct>>,
}

fn metadata_json(metadata: &v1::PolicyMetadata) -> MetadataJson<'_> {
    MetadataJson {
        id: &metadata.id,
        name: &metadata.name,
        version: metadata.version.as_deref(),
        namespace: metadata.namespace.as_deref(),
        description: metadata.description.as_deref(),
        tags: &metadata.tags,
        priority: metadata.priority,
    }
}

fn rule_json(rule: &v1::Rule) -> Result<RuleJson<'_>> {
    Ok(RuleJson {
        id: &rule.id,
        name: rule.name.as_deref(),
        description: rule.description.as_deref(),
        enabled: rule.enabled,
        condition: rule.condition.as_ref().map(condition_json).transpose()?,
        action: rule.action.as_ref().map(action_json).transpose()?,
    })
}

fn condition_json(condition: &v1::Condition) -> Result<ConditionJson<'_>> {
    if let Some(value) = &condition.value {
        certain(value)?;
    }
    // proto3 cannot tell an empty list from none; `and` of nothing has to be one, for the compiler to refuse.
    let logic = matches!(condition.operator.as_str(), "and" | "or" | "not");
    let conditions = condition
        .conditions
        .iter()
        .map(condition_json)
        .collect::<Result<Vec<_>>>()?;
    Ok(ConditionJson {
        operator: &condition.operator,
        field: condition.field.as_deref(),
        value: condition.value.as_ref().map(AsJson),
        value_from: condition.value_from.as_deref(),
        conditions: (logic || !conditions.is_empty()).then_some(conditions),
        condition: match &condition.condition {
            Some(body) => Some(Box::new(condition_json(body)?)),
            None => None,
        },
        ignore_case: condition.ignore_case,
    })
}

fn action_json(action: &v1::Action) -> Result<ActionJson<'_>> {
    for map in [&action.metadata, &action.modifications].into_iter().flatten() {
        map.fields.values().try_for_each(certain)?;
    }
    let decision = match v1::Decision::try_from(action.decision) {
        Ok(v1::Decision::Unspecified) => None,
        Ok(v1::Decision::Allow) => Some(ast::Decision::Allow.as_str()),
        Ok(v1::Decision::Deny) => Some(ast::Decision::Deny.as_str()),
        Ok(v1::Decision::Warn) => Some(ast::Decision::Warn.as_str()),
        Ok(v1::Decision::Modify) => Some(ast::Decision::Modify.as_str()),
        Err(_) => {
            return Err(malformed(format!(
                "action: there is no Decision {}",
                action.decision
            )));
        }
    };
    Ok(ActionJson {
        decision,
        reason: action.reason.as_deref(),
        metadata: action.metadata.as_ref().map(AsJson),
        modifications: action.modifications.as_ref().map(AsJson),
    })
}

/// Refuses whole numbers that may have been another number before they became a double.
fn certain(value: &Value) -> Result<()> {
    match &value.kind {
        Some(Kind::NumberValue(n)) => certain_number(*n),
        Some(Kind::ListValue(list)) => list.values.iter().try_for_each(certain),
        Some(Kind::StructValue(object)) => object.fields.values().try_for_each(certain),
        // What has no kind is refused where it is written.
        Some(Kind::NullValue(_) | Kind::BoolValue(_) | Kind::StringValue(_)) | None => Ok(()),
    }
}

fn certain_number(n: f64) -> Result<()> {
    if n.fract() == 0.0 && n.abs() > SAFE {
        return Err(malformed(format!(
            "{n} is beyond 2^53, where google.protobuf.Value is not exact; use the policy's source text"
        )));
    }
    Ok(())
}

/// A stored document as messages.
///
/// # Errors
///
/// `malformed_request` when the document holds integers that messages cannot carry for certain; `internal` when it is not
/// one well-formed policy.
pub fn definition(source: &str, format: &str) -> Result<v1::PolicyDefinition> {
    let mut map = SourceMap::new();
    let file = map.add(SourceFile::new(format!("policy.{format}"), source));
    let parsed = policy_grammar::parse_source(&map, file);
    match (parsed.has_errors(), parsed.policies.as_slice()) {
        (false, [policy]) => policy_message(policy),
        _ => Err(ServiceError::internal("a stored policy does not parse")),
    }
}

fn policy_message(policy: &ast::Policy) -> Result<v1::PolicyDefinition> {
    let metadata = &policy.metadata;
    Ok(v1::PolicyDefinition {
        metadata: Some(v1::PolicyMetadata {
            id: metadata.id.value.clone(),
            name: metadata.name.value.clone(),
            version: Some(metadata.version.value.clone()),
            namespace: Some(metadata.namespace.value.clone()),
            description: metadata.description.as_ref().map(|d| d.value.clone()),
            tags: metadata.tags.iter().map(|t| t.value.clone()).collect(),
            priority: Some(metadata.priority.value),
        }),
        rules: policy.rules.iter().map(rule_message).collect::<Result<_>>()?,
        status: match policy.status {
            ast::Status::Active => v1::PolicyStatus::Active,
            ast::Status::Draft => v1::PolicyStatus::Draft,
            ast::Status::Deprecated => v1::PolicyStatus::Deprecated,
        }
        .into(),
        on_error: match policy.on_error {
            ast::OnError::Match => v1::OnError::Match,
            ast::OnError::Skip => v1::OnError::Skip,
        }
        .into(),
    })
}

fn rule_message(rule: &ast::Rule) -> Result<v1::Rule> {
    let action = &rule.action;
    let mut modifications = BTreeMap::new();
    for modification in &action.modifications {
        modifications.insert(
            modification.path.value.to_string(),
            modification_message(&modification.verb)?,
        );
    }
    Ok(v1::Rule {
        id: rule.id.value.clone(),
        name: rule.name.as_ref().map(|n| n.value.clone()),
        description: rule.description.as_ref().map(|d| d.value.clone()),
        enabled: Some(rule.enabled),
        condition: Some(condition_message(&rule.condition)?),
        action: Some(v1::Action {
            decision: decision_message(action.decision.value).into(),
            reason: action.reason.as_ref().map(|r| r.value.clone()),
            metadata: some(members(&action.metadata)?),
            modifications: some(modifications),
        }),
    })
}

fn some(fields: BTreeMap<String, Value>) -> Option<Struct> {
    (!fields.is_empty()).then_some(Struct { fields })
}

fn condition_message(condition: &ast::Condition) -> Result<v1::Condition> {
    let logic = |operator: &str, operands: &[ast::Condition]| -> Result<v1::Condition> {
        Ok(v1::Condition {
            operator: operator.to_owned(),
            conditions: operands.iter().map(condition_message).collect::<Result<_>>()?,
            ..Default::default()
        })
    };
    match condition {
        ast::Condition::And { operands, .. } => logic("and", operands),
        ast::Condition::Or { operands, .. } => logic("or", operands),
        ast::Condition::Not { operand, .. } => logic("not", std::slice::from_ref(&**operand)),
        ast::Condition::Test(test) => {
            let (value, value_from, body) = match &test.operand {
                ast::Operand::Value(literal) => (Some(literal_message(&literal.value)?), None, None),
                ast::Operand::Path(path) => (None, Some(path.value.to_string()), None),
                ast::Operand::Condition(body) => (None, None, Some(Box::new(condition_message(body)?))),
            };
            Ok(v1::Condition {
                operator: test.operator.value.as_str().to_owned(),
                field: Some(test.field.value.to_string()),
                value,
                value_from,
                conditions: Vec::new(),
                condition: body,
                ignore_case: test.ignore_case.then_some(true),
            })
        }
    }
}

fn modification_message(verb: &ast::Verb) -> Result<Value> {
    let (name, operand) = match verb {
        ast::Verb::Set(literal) => return literal_message(literal),
        ast::Verb::Cap(n) => ("$cap", number_message(n)?),
        ast::Verb::Floor(n) => ("$floor", number_message(n)?),
        ast::Verb::Default(literal) => ("$default", literal_message(literal)?),
        ast::Verb::Append(literal) => ("$append", literal_message(literal)?),
        ast::Verb::Remove => ("$remove", value(Kind::BoolValue(true))),
        ast::Verb::Redact(types) if types.is_empty() => {
            ("$redact", value(Kind::StringValue("all".to_owned())))
        }
        ast::Verb::Redact(types) => {
            let values = types
                .iter()
                .map(|t| value(Kind::StringValue(t.value.clone())))
                .collect();
            (
                "$redact",
                value(Kind::ListValue(prost_types::ListValue { values })),
            )
        }
    };
    Ok(value(Kind::StructValue(Struct {
        fields: BTreeMap::from([(name.to_owned(), operand)]),
    })))
}

type Member = (
    policy_grammar::source::Spanned<String>,
    policy_grammar::source::Spanned<ast::Literal>,
);

fn members(list: &[Member]) -> Result<BTreeMap<String, Value>> {
    list.iter()
        .map(|(key, literal)| Ok((key.value.clone(), literal_message(&literal.value)?)))
        .collect()
}

fn literal_message(literal: &ast::Literal) -> Result<Value> {
    Ok(match literal {
        ast::Literal::Null => value(Kind::NullValue(0)),
        ast::Literal::Bool(b) => value(Kind::BoolValue(*b)),
        ast::Literal::Number(n) => number_message(n)?,
        ast::Literal::String(text) => value(Kind::StringValue(text.clone())),
        ast::Literal::Array(items) => value(Kind::ListValue(prost_types::ListValue {
            values: items
                .iter()
                .map(|item| literal_message(&item.value))
                .collect::<Result<_>>()?,
        })),
        ast::Literal::Object(list) => value(Kind::StructValue(Struct {
            fields: members(list)?,
        })),
    })
}

#[expect(
    clippy::cast_precision_loss,
    reason = "what is not exact is refused in the next line"
)]
fn number_message(n: &ast::Number) -> Result<Value> {
    let double = match n {
        ast::Number::Int(n) => *n as f64,
        ast::Number::UInt(n) => *n as f64,
        ast::Number::Float(n) => *n,
        ast::Number::Decimal(text) => {
            return Err(malformed(format!(
                "{text} is no double, so google.protobuf.Value does not hold it; use the policy's source text"
            )));
        }
    };
    certain_number(double)?;
    Ok(value(Kind::NumberValue(double)))
}
