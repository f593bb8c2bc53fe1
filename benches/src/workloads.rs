//! The workloads: a policy, request bodies, and the decision that each must get.
//!
//! Three are files in `workloads/`; they fix random choices that were made once. The tenants workloads are generated,
//! for any number of rules, from a seeded Mersenne Twister, so that they are the same bytes everywhere (and the same as
//! a Python script with `random.Random(n)` makes).

use crate::random::Twister;
use serde::Deserialize;
use std::borrow::Cow;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// A policy and requests to it.
#[derive(Debug, Clone)]
pub struct Workload {
    /// Its name in tables.
    pub name: String,
    /// The policy document.
    pub policy: Cow<'static, str>,
    /// Request bodies, JSON objects.
    pub contexts: Vec<Vec<u8>>,
    /// What each request must get, parallel to `contexts`.
    pub expected: Vec<Expected>,
}

/// The decision that a request must get.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Expected {
    /// `allow` or `deny`.
    pub decision: String,
    /// The rule that denies.
    pub rule: Option<String>,
}

impl Expected {
    fn of(rule: Option<String>) -> Self {
        let decision = if rule.is_some() { "deny" } else { "allow" };
        Self {
            decision: decision.to_owned(),
            rule,
        }
    }
}

impl Workload {
    /// Mean size of a request in bytes.
    #[must_use]
    pub fn mean_bytes(&self) -> usize {
        self.contexts.iter().map(Vec::len).sum::<usize>() / self.contexts.len().max(1)
    }

    /// How many rules the policy has.
    #[must_use]
    pub fn rules(&self) -> usize {
        self.policy
            .lines()
            .filter(|line| line.starts_with("- id: "))
            .count()
    }
}

/// Names of all workloads, smallest first.
pub const NAMES: [&str; 5] = [
    "quickstart",
    "gateway-20",
    "tenants-1k",
    "tenants-10k",
    "prompt-scan-100",
];

/// Every workload of [`NAMES`].
#[must_use]
pub fn all() -> Vec<Workload> {
    NAMES.iter().filter_map(|name| by_name(name)).collect()
}

/// The folder of test data: where `POLICY_TEST_DATA` points, or beside the project. It need not exist.
#[must_use]
pub fn data_folder() -> PathBuf {
    std::env::var_os("POLICY_TEST_DATA").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data"),
        PathBuf::from,
    )
}

/// The workload of this name. `tenants-N` and `tenants-Nk` exist for every `N` above 0.
#[must_use]
pub fn by_name(name: &str) -> Option<Workload> {
    match name {
        "quickstart" => Some(quickstart()),
        "gateway-20" => Some(gateway_20()),
        "prompt-scan-100" => Some(prompt_scan_100()),
        other => {
            let count = other.strip_prefix("tenants-")?;
            let rules = match count.strip_suffix('k') {
                Some(thousands) => thousands.parse::<usize>().ok()?.checked_mul(1000)?,
                None => count.parse().ok()?,
            };
            (rules > 0).then(|| tenants(other, rules))
        }
    }
}

macro_rules! files {
    ($name:literal) => {
        from_files(
            $name,
            include_str!(concat!("../workloads/", $name, "/policy.yaml")),
            include_str!(concat!("../workloads/", $name, "/contexts.jsonl")),
            include_str!(concat!("../workloads/", $name, "/expected.jsonl")),
        )
    };
}

/// One rule: a cost limit for a tier.
#[must_use]
pub fn quickstart() -> Workload {
    files!("quickstart")
}

/// Twenty rules of a gateway, with every operator, on requests of 1.5 KB.
#[must_use]
pub fn gateway_20() -> Workload {
    files!("gateway-20")
}

/// A hundred patterns for secrets, personal data and injections, on prompts of 4 KB.
#[must_use]
pub fn prompt_scan_100() -> Workload {
    files!("prompt-scan-100")
}

fn from_files(name: &str, policy: &'static str, contexts: &str, expected: &str) -> Workload {
    Workload {
        name: name.to_owned(),
        policy: Cow::Borrowed(policy),
        contexts: contexts.lines().map(|line| line.as_bytes().to_vec()).collect(),
        // The files are part of this crate; the tests read all of them.
        expected: expected
            .lines()
            .filter_map(|line| serde_json::from_str(line).ok())
            .collect(),
    }
}

const PROVIDERS: [&str; 4] = ["openai", "anthropic", "google", "azure"];

/// The limit of one tenant.
#[derive(Debug, Clone, Copy)]
pub struct Tenant {
    /// Provider that the limit is for.
    pub provider: &'static str,
    /// Dollars.
    pub limit: f64,
}

/// The tenants of the workload with this many rules.
#[must_use]
pub fn tenant_limits(rules: usize) -> Vec<Tenant> {
    limits(&mut Twister::new(rules), rules)
}

fn limits(random: &mut Twister, rules: usize) -> Vec<Tenant> {
    (0..rules)
        .map(|_| {
            let provider = random.choice(&PROVIDERS);
            Tenant {
                provider,
                limit: cents(random.uniform(0.5, 4.0)),
            }
        })
        .collect()
}

/// One rule per tenant: its id, a cost limit, a provider. Each request belongs to one tenant or to none.
#[must_use]
pub fn tenants(name: &str, rules: usize) -> Workload {
    let mut random = Twister::new(rules);
    let tenants = limits(&mut random, rules);
    let mut policy = String::from(
        "metadata:\n  id: tenant-limits\n  name: Per tenant limits\n  version: 1.0.0\n  namespace: production\n  \
         priority: 100\nrules:\n",
    );
    for (i, Tenant { provider, limit }) in tenants.iter().enumerate() {
        push(
            &mut policy,
            format_args!(
                "- id: tenant-{i}\n  name: Tenant {i} limit\n  enabled: true\n  condition:\n    operator: and\n    \
                 conditions:\n    - operator: eq\n      field: team.id\n      value: team-{i}\n    - operator: gt\n      \
                 field: llm.estimatedCost\n      value: {limit:?}\n    - operator: eq\n      field: llm.provider\n      \
                 value: {provider}\n  action:\n    decision: deny\n    reason: limit of tenant {i}\n"
            ),
        );
    }
    policy.push_str("status: active\n");

    let mut contexts = Vec::with_capacity(256);
    let mut expected = Vec::with_capacity(256);
    for user in 0..256 {
        let kind = random.choice(&["hit", "hit", "cost", "prov", "none"]);
        let i = random.below(rules);
        let Tenant { mut provider, limit } = tenants.get(i).copied().unwrap_or(Tenant {
            provider: "",
            limit: 0.0,
        });
        let mut cost = cents(limit + 0.5);
        let mut team = i;
        match kind {
            "cost" => cost = cents(limit - 0.4),
            "prov" => {
                let others: Vec<&str> = PROVIDERS.into_iter().filter(|p| *p != provider).collect();
                provider = random.choice(&others);
            }
            "none" => team = rules + i,
            _hit => {}
        }
        let model = random.choice(&["gpt-5-mini", "claude-3-haiku", "gemini-1.5-flash"]);
        contexts.push(
            format!(
                "{{\"llm\":{{\"provider\":\"{provider}\",\"model\":\"{model}\",\"prompt\":\"Explain the refund policy to \
                 this customer in two sentences, politely.\",\"maxTokens\":512,\"temperature\":0.2,\
                 \"estimatedTokens\":180,\"estimatedCost\":{cost:?}}},\"user\":{{\"id\":\"user-{user}\",\"email\":\
                 \"u{user}@corp.example\",\"roles\":[\"employee\"]}},\"team\":{{\"id\":\"team-{team}\",\"name\":\
                 \"Tenant team\",\"tier\":\"pro\"}},\"project\":{{\"id\":\"p1\",\"environment\":\"production\"}}}}"
            )
            .into_bytes(),
        );
        expected.push(Expected::of((kind == "hit").then(|| format!("tenant-{i}"))));
    }
    Workload {
        name: name.to_owned(),
        policy: Cow::Owned(policy),
        contexts,
        expected,
    }
}

/// The rules of `tenants-N` as policies of their own, one file each: its name and its text. What a host compiles whose
/// customers write their policies themselves.
#[must_use]
pub fn tenant_policies(count: usize) -> Vec<(String, String)> {
    let policy = |(i, tenant): (usize, Tenant)| (format!("tenant-{i}.yaml"), tenant_policy(i, tenant));
    tenant_limits(count).into_iter().enumerate().map(policy).collect()
}

/// The policy of one tenant.
#[must_use]
pub fn tenant_policy(i: usize, Tenant { provider, limit }: Tenant) -> String {
    format!(
        "metadata:\n  id: tenant-{i}\n  name: Limit of tenant {i}\n  version: 1.0.0\n  namespace: production\n  \
         priority: 100\nrules:\n- id: limit\n  condition:\n    operator: and\n    conditions:\n    - operator: eq\n      \
         field: team.id\n      value: team-{i}\n    - operator: gt\n      field: llm.estimatedCost\n      value: \
         {limit:?}\n    - operator: eq\n      field: llm.provider\n      value: {provider}\n  action:\n    decision: \
         deny\n    reason: limit of tenant {i}\nstatus: active\n"
    )
}

fn push(out: &mut String, args: std::fmt::Arguments<'_>) {
    // Writing to a string cannot fail.
    if out.write_fmt(args).is_err() {
        out.clear();
    }
}

/// Rounded to two decimals.
fn cents(x: f64) -> f64 {
    format!("{x:.2}").parse().unwrap_or(x)
}
