//! What every contender is to the harness: request bytes in, a decision out.

use policy_benches::workloads::{Expected, Workload};
use std::borrow::Cow;

/// A decision, with the rule that made it where the contender tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Decision<'a> {
    Allow,
    /// Denied by the first rule, in the policy's order, that fires.
    Deny(Cow<'a, str>),
    /// Denied; the contender does not say why.
    DenyUnnamed,
}

impl Decision<'_> {
    fn is(&self, expected: &Expected) -> bool {
        match self {
            Self::Allow => expected.decision == "allow",
            Self::Deny(rule) => expected.decision == "deny" && expected.rule.as_deref() == Some(&**rule),
            Self::DenyUnnamed => expected.decision == "deny",
        }
    }
}

/// One policy in one engine, ready to be asked.
pub(crate) trait Contender {
    /// Reads a request the way that users of the engine would, and decides it.
    fn decide(&mut self, body: &[u8]) -> Result<Decision<'_>, String>;
}

/// An engine of the comparison.
pub(crate) struct Engine {
    /// Its name in tables.
    pub(crate) name: &'static str,
    /// The crate that it is, as `Cargo.lock` spells it; `None` for what this repository holds.
    pub(crate) package: Option<&'static str>,
    /// Loads the policy of a workload, and compiles whatever the engine compiles ahead of requests.
    pub(crate) load: fn(&Workload) -> Result<Box<dyn Contender>, Unable>,
}

/// Why an engine takes no part in a workload.
#[derive(Debug)]
pub(crate) enum Unable {
    /// Its language cannot say what the policy says, or says nothing different from another row.
    Inexpressible(&'static str),
    /// It refused the translation.
    Failed(String),
}

impl std::fmt::Display for Unable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Inexpressible(why) => f.write_str(why),
            Self::Failed(why) => f.write_str(why),
        }
    }
}

/// Turns the error of an engine into [`Unable::Failed`].
pub(crate) fn failed(error: impl std::fmt::Display) -> Unable {
    let text = error.to_string();
    let line = text.lines().map(str::trim).find(|line| !line.is_empty());
    Unable::Failed(line.unwrap_or("no reason given").chars().take(160).collect())
}

/// Holds decisions against what is expected, for the requests at `indices`.
pub(crate) fn check(
    contender: &mut dyn Contender,
    workload: &Workload,
    indices: &[usize],
) -> Result<(), String> {
    for &i in indices {
        let (body, expected) = (&workload.contexts[i], &workload.expected[i]);
        match contender.decide(body) {
            Ok(found) if found.is(expected) => {}
            Ok(found) => return Err(format!("request {i} got {found:?} instead of {expected:?}")),
            Err(error) => return Err(format!("request {i}: {error}")),
        }
    }
    Ok(())
}
