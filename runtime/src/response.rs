//! The response: its owned form for library users, and its JSON form written without allocating.
//!
//! Both are made from one view in the evaluation arena, so they cannot differ.

use crate::trace::Trace;
use policy_bytecode::module::Decision as Verb;
use policy_vm::{Value, write_json_str};
use serde::Serialize;

/// Answer to one request.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Response {
    /// As given, or generated.
    pub request_id: String,
    /// What was decided, and why.
    pub decision: Decision,
    /// When, in milliseconds since the epoch.
    pub timestamp: u64,
    /// Whether it came from a cache.
    pub cached: bool,
    /// Which policies decided.
    pub bundle: BundleRef,
}

/// Which policies decided.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BundleRef {
    /// Revision of the policy set.
    pub revision: String,
}

/// A decision.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Decision {
    /// `allow`, `deny`, `warn` or `modify`.
    #[serde(serialize_with = "verb")]
    pub decision: Verb,
    /// Everything but `deny`.
    pub allowed: bool,
    /// Reason of the first fired rule with this decision.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Policies with fired rules, in evaluation order: `policyId`, or `namespace/policyId` where the request sees two of one id.
    pub matched_policies: Vec<String>,
    /// Fired rules, in evaluation order: `ruleId`, or with its policy in front where the request sees two of one id.
    pub matched_rules: Vec<String>,
    /// The same rules, each with what it decides and why.
    pub matched: Vec<Match>,
    /// Time from request bytes to decision, in milliseconds.
    pub evaluation_time_ms: f64,
    /// New values by path.
    #[serde(skip_serializing_if = "serde_json::Map::is_empty")]
    pub modifications: serde_json::Map<String, serde_json::Value>,
    /// Action metadata of the fired rules.
    #[serde(skip_serializing_if = "serde_json::Map::is_empty")]
    pub metadata: serde_json::Map<String, serde_json::Value>,
    /// Conditions and modifications that could not be evaluated.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<ErrorEntry>,
    /// Every rule and condition, when asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trace: Option<Trace>,
}

/// A fired rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Match {
    /// Policy of the rule, named as in `matched_policies`.
    pub policy: String,
    /// The rule, by its id in that policy.
    pub rule: String,
    /// What it decides.
    #[serde(serialize_with = "verb")]
    pub decision: Verb,
    /// Its reason.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature that serde calls")]
fn verb<S: serde::Serializer>(verb: &Verb, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(verb.as_str())
}

/// Something that could not be evaluated.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ErrorEntry {
    /// Policy of the rule.
    pub policy: String,
    /// The rule.
    pub rule: String,
    /// The field that was looked at.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub field: String,
    /// What stood there.
    pub found: String,
    /// What could have been evaluated.
    pub expected: String,
    /// One sentence.
    pub message: String,
}

/// A fired rule in the evaluation arena.
#[derive(Debug, Clone, Copy)]
pub(crate) struct MatchView<'a> {
    pub(crate) policy: &'a str,
    pub(crate) rule: &'a str,
    pub(crate) decision: Verb,
    pub(crate) reason: Option<&'a str>,
}

/// One error in the evaluation arena.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ErrorView<'a> {
    pub(crate) policy: &'a str,
    pub(crate) rule: &'a str,
    pub(crate) field: &'a str,
    pub(crate) found: &'a str,
    pub(crate) expected: &'a str,
    pub(crate) message: &'a str,
}

/// A decision in the evaluation arena.
#[derive(Debug, Clone, Copy)]
pub(crate) struct DecisionView<'a> {
    pub(crate) verb: Verb,
    pub(crate) reason: Option<&'a str>,
    pub(crate) matched_policies: &'a [&'a str],
    pub(crate) matched_rules: &'a [&'a str],
    pub(crate) matched: &'a [MatchView<'a>],
    pub(crate) modifications: &'a [(&'a str, Value<'a>)],
    pub(crate) metadata: &'a [(&'a str, Value<'a>)],
    pub(crate) errors: &'a [ErrorView<'a>],
}

/// What surrounds a decision in a response.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Envelope<'a> {
    pub(crate) request_id: &'a str,
    pub(crate) timestamp_ms: u64,
    pub(crate) evaluation_time_ns: u64,
    pub(crate) revision: &'a str,
}

/// Where the parts of a response lie in its JSON text, for those who log or keep a decision without reading it again.
///
/// Each part is JSON itself: a text with its quotes, a list with its brackets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Parts {
    /// Behind the request id.
    pub(crate) decision: usize,
    /// Empty where there is no reason.
    pub(crate) reason: Part,
    pub(crate) policies: Part,
    pub(crate) rules: Part,
    pub(crate) matched: Part,
    pub(crate) time: Part,
    pub(crate) timestamp: Part,
    pub(crate) cached: Part,
    pub(crate) revision: Part,
}

/// A part of a text, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Part {
    pub(crate) start: usize,
    pub(crate) end: usize,
}

impl Part {
    pub(crate) fn of(self, text: &str) -> Option<&str> {
        text.get(self.start..self.end)
    }

    /// The same part where it stands in a text that begins `by` later.
    #[cfg(feature = "cache")]
    pub(crate) fn moved(self, by: usize) -> Self {
        Self {
            start: self.start + by,
            end: self.end + by,
        }
    }
}

/// How every response begins.
const REQUEST_ID: &str = "{\"requestId\":";

/// What stands between the decision and its time.
const TIMESTAMP: &str = "},\"timestamp\":";

impl Parts {
    /// The reason, when there is one.
    #[must_use]
    pub fn reason(self, response: &str) -> Option<&str> {
        self.reason.of(response).filter(|reason| !reason.is_empty())
    }

    /// Whether there is a reason.
    #[must_use]
    pub fn has_reason(&self) -> bool {
        self.reason.start < self.reason.end
    }

    /// The list of the policies with fired rules.
    #[must_use]
    pub fn matched_policies(self, response: &str) -> &str {
        self.policies.of(response).unwrap_or("[]")
    }

    /// The list of the fired rules.
    #[must_use]
    pub fn matched_rules(self, response: &str) -> &str {
        self.rules.of(response).unwrap_or("[]")
    }

    /// The list of the fired rules, each with its policy, what it decides and why.
    #[must_use]
    pub fn matched(self, response: &str) -> &str {
        self.matched.of(response).unwrap_or("[]")
    }

    /// The request id.
    #[must_use]
    pub fn request_id(self, response: &str) -> &str {
        let id = response.get(REQUEST_ID.len()..self.decision);
        id.unwrap_or("\"\"")
    }

    /// Whatever else there is of the decision, as members behind commas: modifications, metadata, errors, trace. Empty for
    /// most.
    #[must_use]
    pub fn more(self, response: &str) -> &str {
        let end = self.timestamp.start.saturating_sub(TIMESTAMP.len());
        response.get(self.time.end..end).unwrap_or_default()
    }

    /// The revision of the policies.
    #[must_use]
    pub fn revision(self, response: &str) -> &str {
        self.revision.of(response).unwrap_or("\"\"")
    }
}

/// Appends a part, and says where it is.
fn part(out: &mut String, write: impl FnOnce(&mut String)) -> Part {
    let start = out.len();
    write(out);
    Part {
        start,
        end: out.len(),
    }
}

impl DecisionView<'_> {
    /// The owned form.
    pub(crate) fn to_response(self, envelope: Envelope<'_>, trace: Option<Trace>) -> Response {
        let texts = |list: &[&str]| list.iter().map(|s| (*s).to_owned()).collect();
        let map =
            |list: &[(&str, Value<'_>)]| list.iter().map(|(k, v)| ((*k).to_owned(), to_json(v))).collect();
        Response {
            request_id: envelope.request_id.to_owned(),
            decision: Decision {
                decision: self.verb,
                allowed: self.verb != Verb::Deny,
                reason: self.reason.map(str::to_owned),
                matched_policies: texts(self.matched_policies),
                matched_rules: texts(self.matched_rules),
                matched: self
                    .matched
                    .iter()
                    .map(|m| Match {
                        policy: m.policy.to_owned(),
                        rule: m.rule.to_owned(),
                        decision: m.decision,
                        reason: m.reason.map(str::to_owned),
                    })
                    .collect(),
                evaluation_time_ms: envelope.evaluation_time_ns as f64 / 1e6,
                modifications: map(self.modifications),
                metadata: map(self.metadata),
                errors: self
                    .errors
                    .iter()
                    .map(|e| ErrorEntry {
                        policy: e.policy.to_owned(),
                        rule: e.rule.to_owned(),
                        field: e.field.to_owned(),
                        found: e.found.to_owned(),
                        expected: e.expected.to_owned(),
                        message: e.message.to_owned(),
                    })
                    .collect(),
                trace,
            },
            timestamp: envelope.timestamp_ms,
            cached: false,
            bundle: BundleRef {
                revision: envelope.revision.to_owned(),
            },
        }
    }

    /// Appends the JSON form, with a trace that is JSON already. Allocates only where `out` has to grow.
    pub(crate) fn write_json(self, envelope: Envelope<'_>, trace: Option<&str>, out: &mut String) -> Parts {
        let mut parts = Parts::default();
        push_request_id(envelope.request_id, out);
        parts.decision = out.len();
        out.push_str(",\"decision\":{\"decision\":\"");
        out.push_str(self.verb.as_str());
        out.push_str(if self.verb == Verb::Deny {
            "\",\"allowed\":false"
        } else {
            "\",\"allowed\":true"
        });
        if let Some(reason) = self.reason {
            out.push_str(",\"reason\":");
            parts.reason = part(out, |out| push_text(reason, out));
        }
        out.push_str(",\"matchedPolicies\":");
        parts.policies = part(out, |out| push_texts(self.matched_policies, out));
        out.push_str(",\"matchedRules\":");
        parts.rules = part(out, |out| push_texts(self.matched_rules, out));
        out.push_str(",\"matched\":");
        parts.matched = part(out, |out| push_matched(self.matched, out));
        out.push_str(",\"evaluationTimeMs\":");
        parts.time = part(out, |out| push_milliseconds(envelope.evaluation_time_ns, out));
        push_map(",\"modifications\":{", self.modifications, out);
        push_map(",\"metadata\":{", self.metadata, out);
        for (i, e) in self.errors.iter().enumerate() {
            out.push_str(if i == 0 {
                ",\"errors\":[{\"policy\":"
            } else {
                ",{\"policy\":"
            });
            push_text(e.policy, out);
            out.push_str(",\"rule\":");
            push_text(e.rule, out);
            if !e.field.is_empty() {
                out.push_str(",\"field\":");
                push_text(e.field, out);
            }
            out.push_str(",\"found\":");
            push_text(e.found, out);
            out.push_str(",\"expected\":");
            push_text(e.expected, out);
            out.push_str(",\"message\":");
            push_text(e.message, out);
            out.push_str(if i + 1 == self.errors.len() { "}]" } else { "}" });
        }
        if let Some(trace) = trace {
            out.push_str(",\"trace\":");
            out.push_str(trace);
        }
        out.push_str(TIMESTAMP);
        parts.timestamp = part(out, |out| push_digits(envelope.timestamp_ms, 1, out));
        out.push_str(",\"cached\":");
        parts.cached = part(out, |out| out.push_str("false"));
        out.push_str(",\"bundle\":{\"revision\":");
        parts.revision = part(out, |out| push_text(envelope.revision, out));
        out.push_str("}}");
        parts
    }
}

/// Appends the beginning of a response, up to the decision.
pub(crate) fn push_request_id(id: &str, out: &mut String) {
    out.push_str(REQUEST_ID);
    push_text(id, out);
}

/// Appends a JSON string. Most texts need no escape, which one pass without branches tells.
fn push_text(text: &str, out: &mut String) {
    let special = |b: u8| u8::from(b < 0x20) | u8::from(b == b'"') | u8::from(b == b'\\');
    if text.bytes().fold(0, |any, b| any | special(b)) == 0 {
        out.push('"');
        out.push_str(text);
        out.push('"');
    } else if write_json_str(text, out).is_err() {
        // Writing to a string cannot fail.
        debug_assert!(false, "a string refused text");
    }
}

fn push_texts(list: &[&str], out: &mut String) {
    out.push('[');
    for (i, text) in list.iter().enumerate() {
        if i > 0 {
            out.push(',');
        }
        push_text(text, out);
    }
    out.push(']');
}

fn push_matched(list: &[MatchView<'_>], out: &mut String) {
    out.push('[');
    for (i, fired) in list.iter().enumerate() {
        out.push_str(if i > 0 { ",{\"policy\":" } else { "{\"policy\":" });
        push_text(fired.policy, out);
        out.push_str(",\"rule\":");
        push_text(fired.rule, out);
        out.push_str(",\"decision\":\"");
        out.push_str(fired.decision.as_str());
        out.push('"');
        if let Some(reason) = fired.reason {
            out.push_str(",\"reason\":");
            push_text(reason, out);
        }
        out.push('}');
    }
    out.push(']');
}

/// Appends a member that is left out when it is empty.
fn push_map(open: &str, map: &[(&str, Value<'_>)], out: &mut String) {
    for (i, (key, value)) in map.iter().enumerate() {
        out.push_str(if i == 0 { open } else { "," });
        push_text(key, out);
        out.push(':');
        if value.write_json(out).is_err() {
            // Writing to a string cannot fail.
            debug_assert!(false, "a string refused a value");
        }
    }
    if !map.is_empty() {
        out.push('}');
    }
}

/// Nanoseconds as milliseconds with a fraction; exact, and the same double as a division would give.
pub(crate) fn push_milliseconds(nanoseconds: u64, out: &mut String) {
    push_digits(nanoseconds / 1_000_000, 1, out);
    out.push('.');
    push_digits(nanoseconds % 1_000_000, 6, out);
    let digits = out.trim_end_matches('0').len();
    out.truncate(digits);
    if out.ends_with('.') {
        out.push('0');
    }
}

/// Decimal digits of a number, zeros in front up to `width`.
pub(crate) fn push_digits(mut n: u64, width: usize, out: &mut String) {
    // No `u64` has more.
    let mut digits = [b'0'; 20];
    let mut count = 0;
    for digit in digits.iter_mut().rev() {
        if n == 0 && count >= width {
            break;
        }
        *digit += u8::try_from(n % 10).unwrap_or(0);
        n /= 10;
        count += 1;
    }
    let written = digits.get(digits.len() - count..).unwrap_or(&digits);
    out.push_str(std::str::from_utf8(written).unwrap_or("0"));
}

/// A value as `serde_json` has it; sets as arrays, what is missing as null. A number that is neither an integer of 64
/// bits nor a double is the nearest double there, or its text where it is beyond all of them.
pub(crate) fn to_json(value: &Value<'_>) -> serde_json::Value {
    use policy_bytecode::Number;
    use serde_json::Value as Json;
    match value {
        Value::Bool(b) => Json::Bool(*b),
        Value::Number(Number::Int(n)) => Json::from(*n),
        Value::Number(Number::UInt(n)) => Json::from(*n),
        Value::Number(Number::Float(x)) => Json::from(*x),
        // What `serde_json` cannot hold; the written response has it as it is.
        Value::Decimal(text) => text
            .parse::<f64>()
            .ok()
            .filter(|x| x.is_finite())
            .map_or_else(|| Json::String((*text).to_owned()), Json::from),
        Value::Str(s) => Json::String((*s).to_owned()),
        Value::Array(items) => Json::Array(items.iter().map(|item| to_json(&item)).collect()),
        Value::Set(items) => Json::Array(items.iter().map(|item| to_json(&item)).collect()),
        Value::Object(members) => {
            Json::Object(members.iter().map(|(k, v)| (k.to_owned(), to_json(&v))).collect())
        }
        other => {
            debug_assert!(!other.is_present() || matches!(other, Value::Null));
            Json::Null
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{DecisionView, Envelope, ErrorView, MatchView, Verb, push_digits, push_milliseconds};
    use crate::trace::Trace;
    use policy_bytecode::Number;
    use policy_vm::{Array, Object, Value};

    fn written<R>(write: impl FnOnce(&mut String) -> R) -> String {
        let mut out = String::new();
        write(&mut out);
        out
    }

    #[test]
    fn numbers_are_written_exactly() {
        for (n, text) in [(0, "0"), (7, "7"), (10, "10"), (u64::MAX, "18446744073709551615")] {
            assert_eq!(written(|out| push_digits(n, 1, out)), text);
        }
        let cases = [
            (0, "0.0"),
            (1, "0.000001"),
            (999_999, "0.999999"),
            (1_000_000, "1.0"),
            (20_500_000, "20.5"),
        ];
        for (n, text) in cases {
            assert_eq!(written(|out| push_milliseconds(n, out)), text);
        }
        for n in (0..64).map(|shift| (0x9e37_79b9_7f4a_7c15_u64 >> shift) % (1 << 53)) {
            let text = written(|out| push_milliseconds(n, out));
            assert_eq!(
                text.parse::<f64>().unwrap().to_bits(),
                (n as f64 / 1e6).to_bits(),
                "{n}"
            );
        }
    }

    #[test]
    fn both_forms_of_a_response_are_the_same_document() {
        let strange = "quote \" backslash \\ newline \n bell \u{7} nul \0 é 😀";
        let error = ErrorView {
            policy: "p",
            rule: strange,
            field: "",
            found: "string",
            expected: strange,
            message: "m",
        };
        let list: &[Value<'_>] = &[Value::Null, Value::Bool(true)];
        let full = DecisionView {
            verb: Verb::Modify,
            reason: Some(strange),
            matched_policies: &["p", strange],
            matched_rules: &["a", "b", "c"],
            matched: &[
                MatchView {
                    policy: "p",
                    rule: "a",
                    decision: Verb::Modify,
                    reason: Some(strange),
                },
                MatchView {
                    policy: strange,
                    rule: strange,
                    decision: Verb::Warn,
                    reason: None,
                },
            ],
            modifications: &[
                ("llm.maxTokens", Value::Number(Number::Int(-5))),
                (strange, Value::Str(strange)),
            ],
            metadata: &[
                ("list", Value::Array(Array::of(&list))),
                ("o", Value::Object(Object::EMPTY)),
            ],
            errors: &[
                error,
                ErrorView {
                    field: "llm.model",
                    ..error
                },
            ],
        };
        let empty = DecisionView {
            verb: Verb::Deny,
            reason: None,
            matched_policies: &[],
            matched_rules: &[],
            matched: &[],
            modifications: &[],
            metadata: &[],
            errors: &[],
        };
        for view in [full, empty] {
            for request_id in ["0190-plain", strange] {
                let envelope = Envelope {
                    request_id,
                    timestamp_ms: 1_760_000_000_123,
                    evaluation_time_ns: 12_345,
                    revision: "r1",
                };
                let text = written(|out| view.write_json(envelope, None, out));
                let written: serde_json::Value = serde_json::from_str(&text).unwrap();
                assert_eq!(
                    written,
                    serde_json::to_value(view.to_response(envelope, None)).unwrap()
                );

                let trace = Trace {
                    rules: Vec::new(),
                    second_look: Some(Vec::new()),
                };
                let json = serde_json::to_string(&trace).unwrap();
                let mut text = String::from("in front ");
                let parts = view.write_json(envelope, Some(&json), &mut text);
                let response = view.to_response(envelope, Some(trace));
                let rest = text.get("in front ".len()..).unwrap();
                let document: serde_json::Value = serde_json::from_str(rest).unwrap();
                assert_eq!(document, serde_json::to_value(&response).unwrap());
                let read = |part: &str| serde_json::from_str::<serde_json::Value>(part).unwrap();
                let decision = serde_json::to_value(&response.decision).unwrap();
                let reason = parts.reason(&text).map(read);
                assert_eq!(reason.as_ref(), decision.get("reason"));
                assert_eq!(read(parts.matched_policies(&text)), decision["matchedPolicies"]);
                assert_eq!(read(parts.matched_rules(&text)), decision["matchedRules"]);
                assert_eq!(read(parts.matched(&text)), decision["matched"]);
                assert_eq!(read(parts.time.of(&text).unwrap()), decision["evaluationTimeMs"]);
                assert_eq!(read(parts.timestamp.of(&text).unwrap()), response.timestamp);
                assert_eq!(parts.cached.of(&text), Some("false"));
                assert_eq!(parts.revision(&text), "\"r1\"");
            }
        }
    }
}
