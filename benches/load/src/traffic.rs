//! What is sent and what must come back: requests with the decision that each bundle must give.
//!
//! There are two bundles. The second decides everything otherwise than the first: its rules have other names, and what the
//! first allows it denies. So an answer from the wrong one is always seen. An answer names its revision; [`Traffic::check`]
//! holds its decision against the bundle of that revision, and the revision against the bundles that may have been active
//! while the request was under way.

use anyhow::{Context as _, bail};
use memchr::memmem;
use policy_grammar::{SourceFile, SourceMap};
use serde::Deserialize;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

/// Revisions of the two bundles.
pub(crate) const REVISIONS: [&str; 2] = ["load-even", "load-odd"];

/// The decision that a request must get.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
struct Expected {
    decision: String,
    /// The first rule that fires.
    rule: Option<String>,
}

/// A folder of `benches/workloads`.
#[derive(Debug, Clone)]
struct Workload {
    policy: String,
    contexts: Vec<Vec<u8>>,
    expected: Vec<Expected>,
}

impl Workload {
    fn read(name: &str) -> anyhow::Result<Self> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../workloads")
            .join(name);
        let read = |file: &str| {
            let path = folder.join(file);
            std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))
        };
        let expected = read("expected.jsonl")?;
        Ok(Self {
            policy: read("policy.yaml")?,
            contexts: read("contexts.jsonl")?
                .lines()
                .map(|line| line.as_bytes().to_vec())
                .collect(),
            expected: expected
                .lines()
                .map(serde_json::from_str)
                .collect::<Result<_, _>>()?,
        })
    }
}

/// Which deployment is active. Deployment `n` is of bundle `n % 2`.
#[derive(Debug, Default)]
pub(crate) struct Generation {
    /// The last one that was asked for.
    pub(crate) begun: AtomicU64,
    /// The last one that the server acknowledged.
    pub(crate) acknowledged: AtomicU64,
}

/// In which order requests are sent.
#[derive(Debug, Clone)]
enum Order {
    /// One after another.
    InTurn,
    /// By chance, the `n`-th with a weight of `1/n`; the sums of the weights up to each.
    Zipf(Vec<f64>),
}

/// Requests and expectations.
#[derive(Debug)]
pub(crate) struct Traffic {
    /// Bodies.
    pub(crate) bodies: Vec<Vec<u8>>,
    /// For each bundle and each body.
    expected: [Vec<Expected>; 2],
    /// The bundles.
    pub(crate) bundles: [Vec<u8>; 2],
    /// Which is active.
    pub(crate) generation: Generation,
    order: Order,
}

/// The workload that a replay is made of.
const SCAN: &str = "prompt-scan-100";
/// Prompts of a replay.
const PROMPTS: usize = 5000;

fn bundle(policy: &str, revision: &str) -> anyhow::Result<Vec<u8>> {
    let mut sources = SourceMap::new();
    sources.add(SourceFile::new("policy.yaml", policy));
    let options = policy_compiler::Options {
        revision: Some(revision.to_owned()),
        ..policy_compiler::Options::default()
    };
    Ok(policy_compiler::compile(&sources, &options)?.to_bundle()?)
}

/// The same policy with other rule names, and a last rule that denies what nothing else did.
fn other(policy: &str) -> anyhow::Result<String> {
    let (head, status) = policy
        .split_once("\nstatus:")
        .context("the policy of the workload ends with its status")?;
    Ok(format!(
        "{}\n- id: closed\n  condition:\n    operator: not\n    conditions:\n    - operator: eq\n      field: \
         metadata.thatNobodySends\n      value: x\n  action:\n    decision: deny\n    reason: closed\nstatus:{status}",
        head.replace("\n- id: ", "\n- id: other-")
    ))
}

fn other_expected(expected: &Expected) -> Expected {
    let rule = expected
        .rule
        .as_ref()
        .map_or_else(|| "closed".to_owned(), |rule| format!("other-{rule}"));
    Expected {
        decision: "deny".to_owned(),
        rule: Some(rule),
    }
}

fn body(context: &[u8]) -> Vec<u8> {
    [b"{\"context\":" as &[u8], context, b"}"].concat()
}

impl Traffic {
    /// The requests of the workload of this name, in turn.
    pub(crate) fn named(name: &str) -> anyhow::Result<Self> {
        Self::of(&Workload::read(name)?)
    }

    fn of(workload: &Workload) -> anyhow::Result<Self> {
        let odd: Vec<Expected> = workload.expected.iter().map(other_expected).collect();
        Ok(Self {
            bodies: workload.contexts.iter().map(|context| body(context)).collect(),
            expected: [workload.expected.clone(), odd],
            bundles: [
                bundle(&workload.policy, REVISIONS[0])?,
                bundle(&other(&workload.policy)?, REVISIONS[1])?,
            ],
            generation: Generation::default(),
            order: Order::InTurn,
        })
    }

    /// The same requests, all of which get this answer from whatever bundle; deployments are none of it.
    pub(crate) fn always(&self, answer: &Seen<'_>) -> Self {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let one = Expected {
            decision: text(answer.decision),
            rule: answer.rule.map(text),
        };
        let all = vec![one; self.bodies.len()];
        Self {
            bodies: self.bodies.clone(),
            expected: [all.clone(), all],
            bundles: Default::default(),
            generation: Generation::default(),
            order: self.order.clone(),
        }
    }

    /// Prompts of 4 KB that are searched for a hundred patterns, the frequent ones again and again.
    pub(crate) fn replay() -> anyhow::Result<Self> {
        let base = Workload::read(SCAN)?;
        let mut workload = base.clone();
        workload.contexts.clear();
        workload.expected.clear();
        for i in 0..PROMPTS {
            let from = i % base.contexts.len();
            let text = std::str::from_utf8(&base.contexts[from])?;
            // Each is another request: a number is put before the prompt.
            let changed = text.replacen("\"prompt\":\"", &format!("\"prompt\":\"Prompt {i}. "), 1);
            if changed == text {
                bail!("a context of {SCAN} has no prompt");
            }
            workload.contexts.push(changed.into_bytes());
            workload.expected.push(base.expected[from].clone());
        }
        let mut sum = 0.0;
        let weights = (1..=PROMPTS).map(|n| {
            sum += 1.0 / n as f64;
            sum
        });
        let order = Order::Zipf(weights.collect());
        Ok(Self {
            order,
            ..Self::of(&workload)?
        })
    }

    /// Which request comes next on a connection; `state` is that connection's own.
    pub(crate) fn next(&self, state: &mut u64) -> usize {
        match &self.order {
            Order::InTurn => {
                *state = state.wrapping_add(1);
                (*state % self.bodies.len() as u64) as usize
            }
            Order::Zipf(sums) => {
                // xorshift64*
                *state ^= *state >> 12;
                *state ^= *state << 25;
                *state ^= *state >> 27;
                let chance = (state.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 11) as f64 / (1_u64 << 53) as f64;
                let at = chance * sums.last().copied().unwrap_or_default();
                sums.partition_point(|sum| *sum <= at).min(sums.len() - 1)
            }
        }
    }

    /// Whether an answer is right. `since` is the deployment that was acknowledged when the request was sent.
    pub(crate) fn check(&self, request: usize, since: u64, answer: &Seen<'_>) -> anyhow::Result<()> {
        let until = self.generation.begun.load(Ordering::SeqCst);
        let which = REVISIONS
            .iter()
            .position(|known| known.as_bytes() == answer.revision)
            .context("an unknown revision")?;
        if !(since..=until).any(|generation| generation % 2 == which as u64) {
            bail!("decided by deployment {which} (mod 2), active were {since} to {until}");
        }
        self.check_decision(which, request, answer)
    }

    /// Whether the decision of an answer is that of a bundle.
    fn check_decision(&self, which: usize, request: usize, answer: &Seen<'_>) -> anyhow::Result<()> {
        let Expected { decision, rule } = &self.expected[which][request];
        if answer.decision != decision.as_bytes() {
            bail!("expected {decision}");
        }
        if answer.rule != rule.as_ref().map(String::as_bytes) {
            bail!("expected the rule {rule:?}");
        }
        Ok(())
    }
}

/// What matters of an answer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Seen<'a> {
    pub(crate) revision: &'a [u8],
    pub(crate) decision: &'a [u8],
    /// The first rule that fired.
    pub(crate) rule: Option<&'a [u8]>,
    pub(crate) cached: bool,
}

impl<'a> Seen<'a> {
    /// Finds it in the text, which is much cheaper than parsing; the servers write no spaces.
    pub(crate) fn in_json(answer: &'a [u8]) -> anyhow::Result<Self> {
        let text = |needle: &[u8]| {
            let rest = after(answer, needle)?;
            rest.split(|byte| *byte == b'"').next()
        };
        Ok(Self {
            decision: text(b"\"decision\":\"").context("no decision")?,
            rule: text(b"\"matchedRules\":[\""),
            revision: text(b"\"revision\":\"").context("no revision")?,
            cached: memmem::find(answer, b"\"cached\":true").is_some(),
        })
    }
}

/// What follows the first place of `needle`.
fn after<'t>(text: &'t [u8], needle: &[u8]) -> Option<&'t [u8]> {
    memmem::find(text, needle).and_then(|at| text.get(at + needle.len()..))
}

#[cfg(test)]
mod tests {
    use super::{REVISIONS, Seen, Traffic};
    use policy_runtime::{DeriveMode, EvaluateOptions, PolicyEngine, Worker};
    use std::sync::atomic::Ordering;

    #[test]
    fn both_bundles_decide_as_expected_and_never_alike() {
        for traffic in [Traffic::named("gateway-20").unwrap(), Traffic::replay().unwrap()] {
            for (which, revision) in REVISIONS.iter().enumerate() {
                let engine = PolicyEngine::builder()
                    .bundle(&*traffic.bundles[which])
                    .derive(DeriveMode::Never)
                    .build()
                    .unwrap();
                let mut worker = Worker::new();
                for (i, body) in traffic.bodies.iter().enumerate().take(100) {
                    let context = &body["{\"context\":".len()..body.len() - 1];
                    let options = EvaluateOptions::default();
                    let answer = engine.evaluate_into(&mut worker, context, &options).unwrap();
                    let answer = Seen::in_json(answer.json.as_bytes()).unwrap();
                    traffic.check_decision(which, i, &answer).unwrap();
                    assert!(traffic.check_decision(1 - which, i, &answer).is_err());
                    traffic.generation.begun.store(which as u64, Ordering::SeqCst);
                    traffic.check(i, which as u64, &answer).unwrap();
                    traffic.generation.begun.store(which as u64 + 1, Ordering::SeqCst);
                    assert!(traffic.check(i, which as u64 + 1, &answer).is_err());
                    assert_eq!(answer.revision, revision.as_bytes());
                }
            }
        }
    }
}
