//! The explanation of a decision: every rule and condition, as responses show it.

use serde::Serialize;

/// Every rule in scope, with the outcome of each of its conditions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Trace {
    /// In evaluation order.
    pub rules: Vec<RuleTrace>,
    /// The same rules for the request as it was modified, where that is denied: then they decided.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub second_look: Option<Vec<RuleTrace>>,
}

/// One rule of a [`Trace`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RuleTrace {
    /// Which rule of the manifest it is. Not part of responses.
    #[serde(skip)]
    pub index: usize,
    /// Its policy, named as in `matchedPolicies`.
    pub policy: String,
    /// Its id.
    pub rule: String,
    /// What it decides when it fires.
    pub decision: &'static str,
    /// `true`, `false` or `error`.
    pub outcome: &'static str,
    /// Whether it fired.
    pub fired: bool,
    /// Its condition.
    pub condition: ConditionTrace,
}

/// One node of a condition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ConditionTrace {
    /// `and`, `or`, `not`, `const`, or the comparison's operator.
    pub operator: String,
    /// `true`, `false` or `error`.
    pub outcome: &'static str,
    /// The field that was looked at.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// What stood there; absent when it is missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub actual: Option<serde_json::Value>,
    /// What it was compared with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<serde_json::Value>,
    /// The field that it was compared with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value_from: Option<String>,
    /// The named constant whose value it was compared with, as `let.limit`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub constant: Option<String>,
    /// Texts were compared by simple case folding.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub ignore_case: bool,
    /// Operands.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<ConditionTrace>,
    /// Of `any` and `all`: the first element that decided, or was an error where none did, from 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub element: Option<usize>,
    /// Of `any` and `all`: their condition for that element.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub condition: Option<Box<ConditionTrace>>,
}
