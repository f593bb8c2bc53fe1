//! The bound that we measure against: each policy as the Rust that an experienced programmer would write for it.
//!
//! Requests are read by `serde_json` into structs that borrow from the body and hold only the fields that the policy
//! reads; the rules are `if`s in order, patterns and lookup tables are built once. It returns the rule that denies, and
//! nothing else: no reasons, no response, no errors for values of wrong types (those refuse the request). A field that
//! may be missing has a default that decides as the missing field does.

use crate::workloads::{self, Tenant};
use foldhash::fast::FixedState;
use regex::{Regex, RegexSet};
use serde::Deserialize;
use std::borrow::Cow;
use std::collections::HashMap;

/// A hand-written policy.
#[derive(Debug)]
pub struct HandWritten(Policy);

#[derive(Debug)]
enum Policy {
    Quickstart,
    Gateway(Box<Gateway>),
    Tenants(HashMap<String, (Tenant, String), FixedState>),
    PromptScan(RegexSet, Vec<String>),
}

impl HandWritten {
    /// The hand-written form of a workload; `None` where there is none.
    #[must_use]
    pub fn of(workload: &workloads::Workload) -> Option<Self> {
        let policy = match workload.name.as_str() {
            "quickstart" => Policy::Quickstart,
            "gateway-20" => Policy::Gateway(Box::new(Gateway::new()?)),
            "prompt-scan-100" => {
                let (rules, patterns): (Vec<_>, Vec<_>) = patterns(&workload.policy).into_iter().unzip();
                // What they mean in policies, in this engine's syntax.
                let translated: Result<Vec<String>, _> = patterns
                    .iter()
                    .map(|p| policy_grammar::text::pattern::translate(p))
                    .collect();
                Policy::PromptScan(RegexSet::new(translated.ok()?).ok()?, rules)
            }
            name if name.starts_with("tenants-") => {
                let tenants = workloads::tenant_limits(workload.policy.matches("- id: tenant-").count());
                let named = tenants.into_iter().enumerate();
                Policy::Tenants(
                    named
                        .map(|(i, t)| (format!("team-{i}"), (t, format!("tenant-{i}"))))
                        .collect(),
                )
            }
            _other => return None,
        };
        Some(Self(policy))
    }

    /// The rule that denies a request, or `None` where it is allowed.
    ///
    /// # Errors
    ///
    /// When the body is not the JSON that the policy expects.
    #[inline]
    pub fn decide(&self, body: &[u8]) -> Result<Option<&str>, serde_json::Error> {
        match &self.0 {
            Policy::Quickstart => quickstart(body),
            Policy::Gateway(gateway) => gateway.decide(body),
            Policy::Tenants(tenants) => tenant(tenants, body),
            Policy::PromptScan(set, rules) => {
                let first = set.matches(&prompt(body)?).iter().next();
                Ok(first.and_then(|i| rules.get(i)).map(String::as_str))
            }
        }
    }
}

/// A string of a list: without the attribute `serde` would copy it.
#[derive(Debug, Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

fn has(list: &[Text<'_>], item: &str) -> bool {
    list.iter().any(|text| text.0 == item)
}

fn quickstart(body: &[u8]) -> Result<Option<&'static str>, serde_json::Error> {
    #[derive(Deserialize)]
    struct Request<'a> {
        llm: Llm,
        #[serde(borrow)]
        team: Team<'a>,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Llm {
        estimated_cost: f64,
    }
    #[derive(Deserialize)]
    struct Team<'a> {
        #[serde(borrow)]
        tier: Cow<'a, str>,
    }
    let request: Request<'_> = serde_json::from_slice(body)?;
    let denied = request.llm.estimated_cost > 1.0 && request.team.tier == "free";
    Ok(denied.then_some("deny-expensive-models"))
}

fn tenant<'t>(
    tenants: &'t HashMap<String, (Tenant, String), FixedState>,
    body: &[u8],
) -> Result<Option<&'t str>, serde_json::Error> {
    #[derive(Deserialize)]
    struct Request<'a> {
        #[serde(borrow)]
        llm: Llm<'a>,
        #[serde(borrow)]
        team: Team<'a>,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Llm<'a> {
        #[serde(borrow)]
        provider: Cow<'a, str>,
        estimated_cost: f64,
    }
    #[derive(Deserialize)]
    struct Team<'a> {
        #[serde(borrow)]
        id: Cow<'a, str>,
    }
    let request: Request<'_> = serde_json::from_slice(body)?;
    let Some((tenant, rule)) = tenants.get(&*request.team.id) else {
        return Ok(None);
    };
    let denied = request.llm.estimated_cost > tenant.limit && request.llm.provider == tenant.provider;
    Ok(denied.then_some(rule))
}

/// The prompt of a request.
///
/// # Errors
///
/// When the body is not JSON, or holds no prompt.
pub fn prompt(body: &[u8]) -> Result<Cow<'_, str>, serde_json::Error> {
    serde_json::from_slice::<Scan<'_>>(body).map(|request| request.llm.prompt)
}

#[derive(Deserialize)]
struct Scan<'a> {
    #[serde(borrow)]
    llm: ScanLlm<'a>,
}

#[derive(Deserialize)]
struct ScanLlm<'a> {
    #[serde(borrow)]
    prompt: Cow<'a, str>,
}

/// Rule and pattern of every rule of a policy that consists of patterns, in order.
#[must_use]
pub fn patterns(policy: &str) -> Vec<(String, String)> {
    use policy_grammar::ast::{Condition, Literal, Operand};
    let mut sources = policy_grammar::SourceMap::new();
    let file = sources.add(policy_grammar::SourceFile::new("policy.yaml", policy));
    let parsed = policy_grammar::parse_source(&sources, file);
    let rules = parsed.policies.into_iter().flat_map(|policy| policy.rules);
    rules
        .filter_map(|rule| match rule.condition {
            Condition::Test(test) => match test.operand {
                Operand::Value(value) => match value.value {
                    Literal::String(pattern) => Some((rule.id.value, pattern)),
                    _other => None,
                },
                Operand::Path(_) | Operand::Condition(_) => None,
            },
            _other => None,
        })
        .collect()
}

/// The gateway policy's tables and patterns.
#[derive(Debug)]
struct Gateway {
    blocked: Set,
    providers: Set,
    restricted: Set,
    deprecated: Set,
    gpt4: Regex,
    opus: Regex,
    preview: Regex,
    partner: Regex,
    acme: Regex,
}

type Set = std::collections::HashSet<&'static str, FixedState>;

#[derive(Deserialize)]
struct Request<'a> {
    #[serde(borrow)]
    llm: Llm<'a>,
    #[serde(borrow)]
    user: User<'a>,
    #[serde(borrow)]
    team: Team<'a>,
    #[serde(borrow)]
    project: Project<'a>,
    #[serde(borrow)]
    metadata: Metadata<'a>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Llm<'a> {
    #[serde(borrow)]
    provider: Cow<'a, str>,
    #[serde(borrow)]
    model: Cow<'a, str>,
    #[serde(borrow)]
    prompt: Cow<'a, str>,
    max_tokens: u64,
    temperature: f64,
    estimated_tokens: u64,
    estimated_cost: f64,
    #[serde(rename = "containsPII")]
    contains_pii: bool,
    #[serde(borrow)]
    pii_types: Vec<Text<'a>>,
}

#[derive(Deserialize)]
struct User<'a> {
    #[serde(borrow)]
    email: Cow<'a, str>,
    #[serde(borrow)]
    roles: Vec<Text<'a>>,
    #[serde(borrow)]
    permissions: Vec<Text<'a>>,
}

#[derive(Deserialize)]
struct Team<'a> {
    #[serde(borrow)]
    id: Cow<'a, str>,
    #[serde(borrow)]
    tier: Cow<'a, str>,
}

#[derive(Deserialize)]
struct Project<'a> {
    #[serde(borrow)]
    environment: Cow<'a, str>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metadata<'a> {
    #[serde(borrow)]
    region: Cow<'a, str>,
    #[serde(borrow)]
    data_classification: Cow<'a, str>,
    risk_budget: f64,
    quota_remaining: f64,
    #[serde(borrow)]
    priority: Cow<'a, str>,
    retries: i64,
    export_license: bool,
    #[serde(borrow)]
    tags: Vec<Text<'a>>,
    #[serde(borrow, default)]
    experiment: Cow<'a, str>,
}

impl Gateway {
    fn new() -> Option<Self> {
        let set = |items: &[&'static str]| items.iter().copied().collect();
        Some(Self {
            blocked: set(&[
                "team-1221",
                "team-1614",
                "team-1831",
                "team-1845",
                "team-2024",
                "team-2238",
                "team-2387",
                "team-3128",
                "team-3614",
                "team-3682",
                "team-4332",
                "team-4371",
                "team-4681",
                "team-4886",
                "team-5693",
                "team-5756",
                "team-6207",
                "team-6521",
                "team-6621",
                "team-6921",
                "team-7279",
                "team-7444",
                "team-7957",
                "team-8144",
                "team-8208",
                "team-8410",
                "team-8413",
                "team-8417",
                "team-8419",
                "team-8782",
            ]),
            providers: set(&[
                "openai",
                "anthropic",
                "google",
                "azure",
                "bedrock",
                "mistral",
                "cohere",
                "groq",
            ]),
            restricted: set(&[
                "xr-north-1",
                "xr-north-2",
                "xr-north-3",
                "xr-north-4",
                "xr-north-5",
                "xr-south-1",
                "xr-south-2",
                "xr-south-3",
                "xr-south-4",
                "xr-south-5",
                "xr-east-1",
                "xr-east-2",
                "xr-east-3",
                "xr-east-4",
                "xr-east-5",
                "xr-west-1",
                "xr-west-2",
                "xr-west-3",
                "xr-west-4",
                "xr-west-5",
                "xr-mid-1",
                "xr-mid-2",
                "xr-mid-3",
                "xr-mid-4",
                "xr-mid-5",
                "xr-far-1",
                "xr-far-2",
                "xr-far-3",
                "xr-far-4",
                "xr-far-5",
            ]),
            deprecated: set(&[
                "text-davinci-002",
                "text-davinci-003",
                "text-curie-001",
                "text-babbage-001",
                "text-ada-001",
                "code-davinci-002",
                "code-cushman-001",
                "davinci",
                "curie",
                "babbage",
                "ada",
                "claude-1",
                "claude-1.3",
                "claude-2",
                "claude-2.1",
                "claude-instant-1",
                "claude-instant-1.2",
                "gpt-3.5-turbo-0301",
                "gpt-3.5-turbo-0613",
                "gpt-3.5-turbo-16k-0613",
                "palm-2",
                "chat-bison-001",
                "text-bison-001",
                "command",
                "command-light",
                "command-nightly",
                "j2-mid",
                "j2-ultra",
                "llama-2-7b",
                "llama-2-13b",
            ]),
            gpt4: Regex::new("^gpt-4").ok()?,
            opus: Regex::new("^claude-(3-)?opus").ok()?,
            preview: Regex::new("-preview$").ok()?,
            partner: Regex::new(r"@(contoso|fabrikam)\.example$").ok()?,
            acme: Regex::new(r"^ft:gpt-(3\.5|4)-turbo.*:acme:").ok()?,
        })
    }

    fn decide(&self, body: &[u8]) -> Result<Option<&'static str>, serde_json::Error> {
        let Request {
            llm,
            user,
            team,
            project,
            metadata,
        } = serde_json::from_slice(body)?;
        let production = project.environment == "production";
        let denied = |rule| Ok(Some(rule));
        if production && self.blocked.contains(&*team.id) {
            return denied("r01");
        }
        if llm.provider == "openai" && llm.estimated_cost > 5.0 {
            return denied("r02");
        }
        if team.tier == "free" && self.gpt4.is_match(&llm.model) {
            return denied("r03");
        }
        if self.opus.is_match(&llm.model) && !has(&user.roles, "ml-engineer") {
            return denied("r04");
        }
        if llm.max_tokens >= 32_000 && team.tier != "enterprise" {
            return denied("r05");
        }
        if !self.providers.contains(&*llm.provider) {
            return denied("r06");
        }
        if llm.contains_pii
            && project.environment != "development"
            && !matches!(
                &*metadata.data_classification,
                "pii-approved" | "synthetic" | "public"
            )
        {
            return denied("r07");
        }
        if llm.prompt.contains("BEGIN RSA PRIVATE KEY") {
            return denied("r08");
        }
        if llm.prompt.contains("ignore previous instructions")
            || llm.prompt.contains("disregard the system prompt")
            || llm.prompt.contains("reveal your hidden prompt")
        {
            return denied("r09");
        }
        if !metadata.export_license && self.restricted.contains(&*metadata.region) {
            return denied("r10");
        }
        if production && llm.temperature > 1.5 {
            return denied("r11");
        }
        if production && self.preview.is_match(&llm.model) {
            return denied("r12");
        }
        if metadata.risk_budget < 0.05 && !has(&user.roles, "risk-officer") {
            return denied("r13");
        }
        if has(&user.roles, "contractor") && has(&llm.pii_types, "ssn") {
            return denied("r14");
        }
        if self.deprecated.contains(&*llm.model) {
            return denied("r15");
        }
        if llm.estimated_tokens >= 8000 && matches!(&*team.tier, "free" | "trial") {
            return denied("r16");
        }
        if !has(&user.permissions, "llm:invoke") {
            return denied("r17");
        }
        if llm.estimated_cost > 0.5 && self.partner.is_match(&user.email) {
            return denied("r18");
        }
        if metadata.quota_remaining <= 0.0 && metadata.priority != "critical" {
            return denied("r19");
        }
        if metadata.retries < 3
            && (metadata.experiment == "jailbreak-lab" || self.acme.is_match(&llm.model))
            && !has(&metadata.tags, "reviewed")
        {
            return denied("r20");
        }
        Ok(None)
    }
}
