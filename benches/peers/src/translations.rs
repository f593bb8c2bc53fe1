//! Each workload's policy in the languages of the contenders.
//!
//! Those of the fixed workloads are files in `translations/`, written by hand after `policy.yaml`; those of tenants are
//! generated for any number of rules, as `policy_benches::workloads` generates ours.

use policy_benches::workloads::{self, Tenant, Workload};
use std::borrow::Cow;
use std::fmt::Write as _;

/// The language of a translation.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Language {
    /// One rule with `else` for policies with an order, a set of denials for tenants.
    Rego,
    /// A set of denials, where the other form is too long for the virtual machine.
    RegoSet,
    Cedar,
    Cel,
    JsonLogic,
    Zen,
    Casbin,
}

/// The files in a folder; `$cedar` and `$set` where not every folder has them.
macro_rules! files {
    ($language:expr, $folder:literal, $cedar:expr, $set:expr) => {
        match $language {
            Language::Rego => include_str!(concat!("../translations/", $folder, "/policy.rego")),
            Language::Cel => include_str!(concat!("../translations/", $folder, "/policy.cel.json")),
            Language::JsonLogic => {
                include_str!(concat!("../translations/", $folder, "/policy.jsonlogic.json"))
            }
            Language::Zen => include_str!(concat!("../translations/", $folder, "/policy.zen.json")),
            Language::Casbin => include_str!(concat!("../translations/", $folder, "/policy.casbin.json")),
            Language::Cedar => $cedar,
            Language::RegoSet => $set,
        }
    };
}

/// The policy of a workload in a language; `None` where it cannot be said.
pub(crate) fn of(workload: &Workload, language: Language) -> Option<Cow<'static, str>> {
    let file = match workload.name.as_str() {
        "quickstart" => files!(
            language,
            "quickstart",
            include_str!("../translations/quickstart/policy.cedar"),
            return None
        ),
        "gateway-20" => files!(
            language,
            "gateway-20",
            include_str!("../translations/gateway-20/policy.cedar"),
            return None
        ),
        "prompt-scan-100" => files!(
            language,
            "prompt-scan-100",
            return None,
            include_str!("../translations/prompt-scan-100/policy.set.rego")
        ),
        _tenants => return Some(Cow::Owned(generated(&tenants_of(workload)?, language))),
    };
    Some(Cow::Borrowed(file))
}

/// The tenants of a tenants workload.
pub(crate) fn tenants_of(workload: &Workload) -> Option<Vec<Tenant>> {
    workload
        .name
        .starts_with("tenants-")
        .then(|| workloads::tenant_limits(workload.rules()))
}

fn generated(tenants: &[Tenant], language: Language) -> String {
    let rows = tenants.iter().enumerate();
    match language {
        Language::Rego | Language::RegoSet => joined(
            "package bench\n\nimport rego.v1\n",
            rows,
            |out, i, Tenant { provider, limit }| {
                write!(
                    out,
                    "\ndeny contains \"tenant-{i}\" if {{\n\tinput.team.id == \"team-{i}\"\n\tinput.llm.estimatedCost > \
                     {limit:?}\n\tinput.llm.provider == \"{provider}\"\n}}\n"
                )
            },
            "",
        ),
        Language::Cedar => joined(
            "permit(principal, action, resource);\n",
            rows,
            |out, i, Tenant { provider, limit }| {
                writeln!(
                    out,
                    "@id(\"tenant-{i}\")\nforbid(principal, action, resource) when {{ context.team.id == \"team-{i}\" && \
                     context.llm.estimatedCost.greaterThan(decimal(\"{limit:.4}\")) && context.llm.provider == \
                     \"{provider}\" }};"
                )
            },
            "",
        ),
        Language::Cel => joined(
            "[",
            rows,
            |out, i, Tenant { provider, limit }| {
                let comma = if i == 0 { "" } else { "," };
                write!(
                    out,
                    "{comma}[\"tenant-{i}\",\"team.id == \\\"team-{i}\\\" && llm.estimatedCost > {limit:?} && \
                     llm.provider == \\\"{provider}\\\"\"]"
                )
            },
            "]",
        ),
        Language::JsonLogic => joined(
            "{\"if\":[",
            rows,
            |out, i, Tenant { provider, limit }| {
                write!(
                    out,
                    "{{\"and\":[{{\"===\":[{{\"var\":\"team.id\"}},\"team-{i}\"]}},{{\">\":[{{\"var\":\
                     \"llm.estimatedCost\"}},{limit:?}]}},{{\"===\":[{{\"var\":\"llm.provider\"}},\"{provider}\"]}}]}},\
                     \"tenant-{i}\","
                )
            },
            "\"allow\"]}",
        ),
        Language::Zen => joined(
            ZEN_HEAD,
            rows,
            |out, i, Tenant { provider, limit }| {
                write!(
                    out,
                    "{{\"_id\":\"tenant-{i}\",\"o\":\"\\\"tenant-{i}\\\"\",\"c0\":\"\\\"team-{i}\\\"\",\"c1\":\"> \
                     {limit:?}\",\"c2\":\"\\\"{provider}\\\"\"}},"
                )
            },
            ZEN_TAIL,
        ),
        Language::Casbin => joined(
            "{\"matcher\":\"r.ctx.team.id == p.team && r.ctx.llm.estimatedCost > num(p.cost) && r.ctx.llm.provider == \
             p.provider\",\"p\":\"id, team, cost, provider, eft\",\"rows\":[",
            rows,
            |out, i, Tenant { provider, limit }| {
                let comma = if i == 0 { "" } else { "," };
                write!(
                    out,
                    "{comma}[\"tenant-{i}\",\"team-{i}\",\"{limit:?}\",\"{provider}\",\"deny\"]"
                )
            },
            "]}",
        ),
    }
}

/// A decision table with a column for each field.
const ZEN_HEAD: &str = r#"{"nodes":[{"id":"in","type":"inputNode","name":"Request","position":{"x":0,"y":0}},
{"id":"t","type":"decisionTableNode","name":"Rules","position":{"x":0,"y":0},"content":{"hitPolicy":"first",
"inputs":[{"id":"c0","name":"team.id","field":"team.id"},
{"id":"c1","name":"llm.estimatedCost","field":"llm.estimatedCost"},{"id":"c2","name":"llm.provider","field":"llm.provider"}],
"outputs":[{"id":"o","name":"rule","field":"rule"}],"rules":["#;

const ZEN_TAIL: &str = r#"{"_id":"default","o":"\"allow\"","c0":"","c1":"","c2":""}],"passThrough":false}},
{"id":"out","type":"outputNode","name":"Response","position":{"x":0,"y":0}}],
"edges":[{"id":"e1","sourceId":"in","targetId":"t","type":"edge"},{"id":"e2","sourceId":"t","targetId":"out","type":"edge"}]}"#;

/// `head`, what `row` writes for every tenant, `tail`.
fn joined<'t>(
    head: &str,
    rows: impl Iterator<Item = (usize, &'t Tenant)>,
    row: impl Fn(&mut String, usize, &Tenant) -> std::fmt::Result,
    tail: &str,
) -> String {
    let mut out = String::from(head);
    for (i, tenant) in rows {
        row(&mut out, i, tenant).expect("a string takes everything");
    }
    out + tail
}

/// The tenants as data for one rule: an object from team to limit.
pub(crate) fn tenants_as_data(tenants: &[Tenant]) -> String {
    let rows = tenants.iter().enumerate();
    joined(
        "{\"tenants\":{",
        rows,
        |out, i, Tenant { provider, limit }| {
            let comma = if i == 0 { "" } else { "," };
            write!(
                out,
                "{comma}\"team-{i}\":{{\"id\":\"tenant-{i}\",\"limit\":{limit:?},\"provider\":\"{provider}\"}}"
            )
        },
        "}}",
    )
}
