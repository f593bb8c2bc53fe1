//! One decision of the log, what tells it from others, and which ones a query asks for.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;
use std::time::Instant;

/// What tells a decision from all others. Made by the server, and in the order of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct DecisionId([u8; 16]);

impl DecisionId {
    /// Bytes of an id that say when it was made.
    const TIME: usize = 6;

    /// One that was not there before.
    #[must_use]
    pub fn fresh() -> Self {
        Self(uuid::Uuid::now_v7().into_bytes())
    }

    /// That of a decision of an earlier version, which told those of one request apart by their times.
    #[must_use]
    pub fn of_time(at_ms: i64) -> Self {
        let mut bytes = [0; 16];
        let time = at_ms.to_be_bytes();
        for (to, from) in bytes.iter_mut().take(Self::TIME).zip(time.iter().skip(2)) {
            *to = *from;
        }
        Self(bytes)
    }

    /// Whether it is that of an earlier version.
    #[must_use]
    pub fn is_of_time(&self) -> bool {
        self.0.iter().skip(Self::TIME).all(|byte| *byte == 0)
    }

    /// Its bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl From<[u8; 16]> for DecisionId {
    fn from(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }
}

impl fmt::Display for DecisionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        uuid::Uuid::from_bytes(self.0).simple().fmt(f)
    }
}

/// What is no id of a decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an id of a decision has 32 hexadecimal digits")]
pub struct NoDecisionId;

impl FromStr for DecisionId {
    type Err = NoDecisionId;

    fn from_str(text: &str) -> Result<Self, NoDecisionId> {
        // Uuids have other spellings as well; as a cursor there is one.
        if text.len() != 32 {
            return Err(NoDecisionId);
        }
        let id = uuid::Uuid::try_parse(text).map_err(|_| NoDecisionId)?;
        Ok(Self(id.into_bytes()))
    }
}

impl TryFrom<String> for DecisionId {
    type Error = NoDecisionId;

    fn try_from(text: String) -> Result<Self, NoDecisionId> {
        text.parse()
    }
}

impl TryFrom<&[u8]> for DecisionId {
    type Error = NoDecisionId;

    fn try_from(bytes: &[u8]) -> Result<Self, NoDecisionId> {
        bytes.try_into().map(Self).map_err(|_| NoDecisionId)
    }
}

impl From<DecisionId> for String {
    fn from(id: DecisionId) -> Self {
        id.to_string()
    }
}

/// One decision in the log. Its serialisation is what the spool of the decision log holds: a change of it is a version of
/// that, unless what was written before is still read, and means the same.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct DecisionRecord {
    /// Order in the log, given by the store; 0 before it is stored.
    pub seq: u64,
    /// What tells it from all others; `None` before it is prepared, and in spools of earlier versions. Then it is its time
    /// that does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<DecisionId>,
    /// Of the request.
    pub request_id: String,
    /// When it was decided.
    pub at_ms: i64,
    /// Of the request; empty when it named none.
    pub namespace: String,
    /// Who asked.
    pub subject: String,
    /// `allow`, `deny`, `warn` or `modify`.
    pub decision: String,
    /// The reason that the caller was told.
    pub reason: Option<String>,
    /// Rules that fired.
    pub matched_rules: Vec<String>,
    /// Policies that fired.
    pub matched_policies: Vec<String>,
    /// How many conditions could not be evaluated.
    pub errors: u32,
    /// Which policies decided.
    pub revision: String,
    /// How long it took, in nanoseconds.
    pub duration_ns: u64,
    /// Whether it came from a cache.
    pub cached: bool,
    /// The masked context as JSON, or encrypted (`enc:v1:` in front); `None` where contexts are not kept.
    pub context: Option<String>,
}

impl DecisionRecord {
    /// What tells it from all others.
    #[must_use]
    pub fn id(&self) -> DecisionId {
        self.id.unwrap_or_else(|| DecisionId::of_time(self.at_ms))
    }
}

/// Which decisions to look at.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DecisionFilter {
    /// Only of these namespaces.
    pub namespaces: Option<Vec<String>>,
    /// Only with this outcome.
    pub decision: Option<String>,
    /// Only asked by this one.
    pub subject: Option<String>,
    /// Only where this rule fired, named as decisions name it.
    pub rule: Option<String>,
    /// Only where a rule of this policy fired, named as decisions name it.
    pub policy: Option<String>,
    /// From this time on.
    pub from_ms: Option<i64>,
    /// Before this time.
    pub to_ms: Option<i64>,
    /// Until when the answer is of use: the database stops looking then. `None` is as long as a query may take.
    pub until: Option<Instant>,
}

impl DecisionFilter {
    /// Whether a decision is among those that are asked for.
    #[must_use]
    pub fn matches(&self, record: &DecisionRecord) -> bool {
        // All fields by name: a new one does not compile until it narrows.
        let Self {
            namespaces,
            decision,
            subject,
            rule,
            policy,
            from_ms,
            to_ms,
            until: _,
        } = self;
        namespaces
            .as_ref()
            .is_none_or(|all| all.contains(&record.namespace))
            && decision.as_ref().is_none_or(|one| *one == record.decision)
            && subject.as_ref().is_none_or(|one| *one == record.subject)
            && rule.as_ref().is_none_or(|one| record.matched_rules.contains(one))
            && policy
                .as_ref()
                .is_none_or(|one| record.matched_policies.contains(one))
            && from_ms.is_none_or(|from| record.at_ms >= from)
            && to_ms.is_none_or(|to| record.at_ms < to)
    }
}

/// The place of a decision in the order of the log: its id, and the request where one id stands for several, as those of an
/// early version do. As text it is the cursor of a list.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// Its id.
    pub id: DecisionId,
    /// Its request.
    pub request_id: String,
}

impl Key {
    /// That of a decision.
    #[must_use]
    pub fn of(record: &DecisionRecord) -> Self {
        Self {
            id: record.id(),
            request_id: record.request_id.clone(),
        }
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.id, self.request_id)
    }
}

impl FromStr for Key {
    type Err = NoDecisionId;

    fn from_str(text: &str) -> Result<Self, NoDecisionId> {
        let (id, request_id) = text.split_at_checked(32).ok_or(NoDecisionId)?;
        Ok(Self {
            id: id.parse()?,
            request_id: request_id.to_owned(),
        })
    }
}
