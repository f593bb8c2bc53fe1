//! What is kept of a decision: counters, and what the log reads of its answer later.

use crate::cache::Response;
use crate::decisions::{Entry, Unread};
use crate::service::{Caller, Service};
use crate::storage::model::DecisionRecord;
use crate::telemetry::request::{part, traced};
use bytes::Bytes;
use policy_runtime::EvaluateOptions;
use std::sync::Arc;
use std::time::Duration;

/// An answer that the log has not read yet.
struct UnreadResponse {
    response: Response,
    namespace: Option<Box<str>>,
    subject: Arc<str>,
}

impl Unread for UnreadResponse {
    fn read(&self) -> DecisionRecord {
        let mut record = DecisionRecord::default();
        self.read_into(&mut record);
        record
    }

    fn read_into(&self, record: &mut DecisionRecord) {
        let response = &self.response;
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
        response
            .told()
            .read_into((request_id, reason, revision), (matched_rules, matched_policies));
        for (text, read) in [
            (namespace, self.namespace.as_deref().unwrap_or_default()),
            (subject, &*self.subject),
            (decision, response.verb.as_str()),
        ] {
            text.clear();
            text.push_str(read);
        }
        *at_ms = response.at_ms;
        *errors = response.errors;
        *duration_ns = response.duration_ns;
        *cached = response.cached();
    }

    fn bytes(&self) -> usize {
        self.response.json.len()
    }

    fn has_reason(&self) -> bool {
        self.response.has_reason()
    }
}

impl Service {
    /// What the log keeps; nothing where it is off.
    pub(super) fn entry(
        &self,
        caller: &Caller,
        options: &EvaluateOptions<'_>,
        response: &Response,
        context: impl FnOnce() -> Bytes,
    ) -> Option<Entry> {
        self.log.is_on().then(|| Entry {
            record: Box::new(UnreadResponse {
                response: response.clone(),
                namespace: options.namespace.map(Box::from),
                subject: Arc::clone(&caller.identity.subject),
            }),
            context: self.log.wants_context(response.has_reason()).then(context),
            owner: caller.identity.fingerprint(),
        })
    }

    /// Counts and logs a decision, before it is answered: what the log cannot take yet is not answered yet.
    pub(super) async fn keep(&self, caller: &Caller, response: &Response, entry: Option<Entry>) {
        self.metrics.evaluations(caller.transport).record(
            response.verb,
            Duration::from_nanos(response.duration_ns),
            response.errors as usize,
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
