//! What is kept of a decision: counters, and what the log reads of its answer later.

use crate::cache::Outcome;
use crate::decisions::{Entry, Unread};
use crate::service::{Caller, Service};
use crate::storage::model::DecisionRecord;
use crate::telemetry::request::{part, traced};
use bytes::Bytes;
use policy_runtime::EvaluateOptions;
use std::sync::Arc;
use std::time::Duration;

/// An answer that the log has not read yet.
struct Answered {
    outcome: Outcome,
    namespace: Option<Box<str>>,
    subject: Arc<str>,
}

impl Unread for Answered {
    fn read(&self) -> DecisionRecord {
        let mut record = DecisionRecord::default();
        self.read_into(&mut record);
        record
    }

    fn read_into(&self, record: &mut DecisionRecord) {
        let outcome = &self.outcome;
        let DecisionRecord {
            seq: _,
            id: _,
            request_id,
            at_ms,
            namespace,
            subject,
            decision,
            reason,
            matched_rules,
            matched_policies,
            errors,
            revision,
            duration_ns,
            cached,
            context: _,
        } = record;
        outcome
            .told()
            .read_into((request_id, reason, revision), (matched_rules, matched_policies));
        for (text, read) in [
            (namespace, self.namespace.as_deref().unwrap_or_default()),
            (subject, &*self.subject),
            (decision, outcome.decision.as_str()),
        ] {
            text.clear();
            text.push_str(read);
        }
        *at_ms = outcome.at_ms;
        *errors = outcome.errors;
        *duration_ns = outcome.duration_ns;
        *cached = outcome.cached();
    }

    fn bytes(&self) -> usize {
        self.outcome.json.len()
    }

    fn has_reason(&self) -> bool {
        self.outcome.has_reason()
    }
}

impl Service {
    /// What the log keeps; nothing where it is off.
    pub(super) fn entry(
        &self,
        caller: &Caller,
        options: &EvaluateOptions<'_>,
        outcome: &Outcome,
        context: impl FnOnce() -> Bytes,
    ) -> Option<Entry> {
        self.log.is_on().then(|| Entry {
            record: Box::new(Answered {
                outcome: outcome.clone(),
                namespace: options.namespace.map(Box::from),
                subject: Arc::clone(&caller.identity.subject),
            }),
            context: self.log.wants_context(outcome.has_reason()).then(context),
            owner: caller.identity.fingerprint(),
        })
    }

    /// Counts and logs a decision, before it is answered: what the log cannot take yet is not answered yet.
    pub(super) async fn keep(&self, caller: &Caller, outcome: &Outcome, entry: Option<Entry>) {
        self.metrics.evaluations(caller.transport).record(
            outcome.decision,
            Duration::from_nanos(outcome.duration_ns),
            outcome.errors as usize,
        );
        let Some(entry) = entry else { return };
        let span = part!("store");
        let waits = match span.is_disabled() {
            true => self.log.try_record(entry).err(),
            false => Some(entry),
        };
        if let Some(entry) = waits {
            // In memory of its own, as all that waits.
            Box::pin(traced(span, self.log.record(entry))).await;
        }
    }
}
