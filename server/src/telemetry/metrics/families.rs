//! The table of families, and its expansions: their fields and registration, [`FAMILIES`] and [`names`].

use super::series::{BundleInfo, Counters, Evaluations, Gauges, Kind, Requests, Times};
use prometheus_client::registry::Registry;

/// Calls `$consumer!` once with every family: field, constant, kind, name as scraped, labels, help.
///
/// Durations are in seconds, times in seconds since the epoch.
macro_rules! for_each_family {
    ($consumer:ident) => {
        $consumer! {
            evaluations EVALUATIONS: Counters, "llm_policy_evaluations_total", ["decision", "transport"],
                "Decisions made, by outcome and by the interface that asked";
            evaluation_duration EVALUATION_DURATION: Evaluations, "llm_policy_evaluation_duration_seconds", ["transport"],
                "Time of one evaluation, from context to decision";
            evaluation_errors EVALUATION_ERRORS: Counters, "llm_policy_evaluation_errors_total", [],
                "Conditions that could not be evaluated";
            cache_hits CACHE_HITS: Counters, "llm_policy_cache_hits_total", ["layer"],
                "Decisions found in a cache";
            cache_misses CACHE_MISSES: Counters, "llm_policy_cache_misses_total", ["layer"],
                "Decisions looked for in a cache and not found";
            cache_bypassed CACHE_BYPASSED: Counters, "llm_policy_cache_bypassed_total", [],
                "Evaluations that were cheaper than a lookup";
            cache_saved CACHE_SAVED: Times, "llm_policy_cache_saved_seconds_total", [],
                "Evaluation time that the caches saved";
            active_policies ACTIVE_POLICIES: Gauges, "llm_policy_active_policies", [],
                "Policies that decide";
            active_rules ACTIVE_RULES: Gauges, "llm_policy_active_rules", [],
                "Rules that decide";
            bundle_info BUNDLE_INFO: BundleInfo, "llm_policy_bundle_info", ["revision", "digest"],
                "What decides; always 1";
            bundle_activated BUNDLE_ACTIVATED: Gauges, "llm_policy_bundle_activated_timestamp_seconds", [],
                "When the active policies became active";
            bundle_age BUNDLE_AGE: Gauges, "llm_policy_bundle_age_seconds", [],
                "For how long the active policies have been active";
            store_revision STORE_REVISION: Gauges, "llm_policy_store_revision", [],
                "Revision of the store that is active";
            reload_failures RELOAD_FAILURES: Counters, "llm_policy_reload_failures_total", ["origin"],
                "Policies or bundles that were refused; the ones before stay active";
            requests REQUESTS: Counters, "llm_policy_requests_total", ["transport", "route", "status"],
                "Requests answered";
            request_duration REQUEST_DURATION: Requests, "llm_policy_request_duration_seconds", ["transport", "route"],
                "Time of one request, from its headers to the end of the response";
            requests_in_flight REQUESTS_IN_FLIGHT: Gauges, "llm_policy_requests_in_flight", [],
                "Requests under way";
            connections CONNECTIONS: Gauges, "llm_policy_connections", [],
                "Connections of REST and gRPC that are open";
            connections_refused CONNECTIONS_REFUSED: Counters, "llm_policy_connections_refused_total", ["reason"],
                "Connections closed at once because all of MAX_CONNECTIONS were open, or those of one address";
            connections_closed CONNECTIONS_CLOSED: Counters, "llm_policy_connections_closed_total", ["reason"],
                "Connections closed because the head of a request did not come in time, or because they were idle or too old (`GRPC_MAX_CONNECTION_AGE`), and streams reset because their answers were not taken (unread)";
            shed SHED: Counters, "llm_policy_shed_total", ["reason"],
                "Requests refused because the server was busy";
            rate_limited RATE_LIMITED: Counters, "llm_policy_rate_limited_total", ["route"],
                "Requests refused because the caller sent too many";
            rate_limit_fallbacks RATE_LIMIT_FALLBACKS: Counters, "llm_policy_rate_limit_fallbacks_total", [],
                "Requests counted by this server alone, though RATE_LIMIT_SHARED, because Redis did not answer";
            auth_failures AUTH_FAILURES: Counters, "llm_policy_auth_failures_total", ["reason"],
                "Requests without a valid token or key";
            log_queue DECISION_LOG_QUEUE: Gauges, "llm_policy_decision_log_queue", [],
                "Decisions accepted and not written yet";
            log_capacity DECISION_LOG_CAPACITY: Gauges, "llm_policy_decision_log_capacity", [],
                "Decisions that may wait to be written; 0 where the log is off";
            log_written DECISION_LOG_WRITTEN: Counters, "llm_policy_decision_log_written_total", ["sink"],
                "Decisions written";
            log_dropped DECISION_LOG_DROPPED: Counters, "llm_policy_decision_log_dropped_total", ["reason"],
                "Decisions that are not in the log";
            log_spool DECISION_LOG_SPOOL: Gauges, "llm_policy_decision_log_spool_bytes", [],
                "Bytes of decisions that wait on disk for the database, or to be sealed";
            log_spool_capacity DECISION_LOG_SPOOL_CAPACITY: Gauges, "llm_policy_decision_log_spool_capacity_bytes", [],
                "Bytes of decisions that may wait on disk; 0 where none may";
            log_spooled DECISION_LOG_SPOOLED: Counters, "llm_policy_decision_log_spooled_total", [],
                "Decisions put on disk because the database did not take them at once";
            log_replayed DECISION_LOG_REPLAYED: Counters, "llm_policy_decision_log_replayed_total", [],
                "Decisions that waited on disk and are done with: the database has them, or refused them for good";
            log_errors DECISION_LOG_ERRORS: Counters, "llm_policy_decision_log_errors_total", ["sink"],
                "Failed attempts to write; they are repeated";
            log_withheld DECISION_LOG_WITHHELD: Counters, "llm_policy_decision_log_contexts_withheld_total", ["reason"],
                "Contexts left out of the log because they could not be masked or encrypted";
            log_pruned DECISION_LOG_PRUNED: Counters, "llm_policy_decision_log_pruned_total", [],
                "Decisions removed after their retention";
            log_sealed DECISION_LOG_SEALED: Counters, "llm_policy_decision_log_sealed_total", [],
                "Decisions moved from the journal to Parquet files";
            webhook_spool WEBHOOK_SPOOL: Gauges, "llm_policy_webhook_spool_bytes", [],
                "Bytes of events that wait on disk for the receiver of webhooks";
            webhook_spool_capacity WEBHOOK_SPOOL_CAPACITY: Gauges, "llm_policy_webhook_spool_capacity_bytes", [],
                "Bytes of events that may wait on disk for the receiver of webhooks; 0 where there is none";
            webhook_lag WEBHOOK_LAG: Gauges, "llm_policy_webhook_lag_seconds", [],
                "How old the oldest event was that waited, at the last attempt to send it";
            webhook_answers WEBHOOK_ANSWERS: Counters, "llm_policy_webhook_answers_total", ["status"],
                "Webhooks sent, by the answer: `2xx`, `3xx`, `4xx`, `5xx`, or `none`";
            webhook_skipped WEBHOOK_SKIPPED: Counters, "llm_policy_webhook_skipped_total", [],
                "Decisions without usage in their context, which `WEBHOOK_FORMAT=costops` does not send";
            webhook_audit_sent WEBHOOK_AUDIT_SENT: Counters, "llm_policy_webhook_audit_sent_total", [],
                "Audit records that the receiver of webhooks has";
            webhook_audit_lag WEBHOOK_AUDIT_LAG: Gauges, "llm_policy_webhook_audit_lag_seconds", [],
                "How old the oldest audit record was that waited for the receiver of webhooks, at the last attempt to send it";
            webhook_audit_missing WEBHOOK_AUDIT_MISSING: Counters, "llm_policy_webhook_audit_missing_total", [],
                "Audit records that were missing in the trail when they were to be sent, or can be no event";
            enrichments ENRICHMENTS: Counters, "llm_policy_enrich_requests_total", ["service", "outcome"],
                "Contexts that a service was to be asked about, by what is known then: safe, unsafe, or why nothing is";
            enrich_duration ENRICH_DURATION: Requests, "llm_policy_enrich_duration_seconds", ["service"],
                "Time that a service was waited for before a decision";
            dependency_up DEPENDENCY_UP: Gauges, "llm_policy_dependency_up", ["dependency"],
                "Whether a dependency answers: 1 or 0";
        }
    };
}

macro_rules! declare_families {
    ($($field:ident $constant:ident: $kind:ident, $name:literal, [$($label:literal),*], $help:literal;)+) => {
        /// Names of the families, as a scrape shows them.
        pub mod names {
            $(#[doc = $help] pub const $constant: &str = $name;)+
        }

        /// Every family, in the order of the table.
        pub const FAMILIES: &[FamilyInfo] = &[
            $(FamilyInfo { name: $name, kind: <$kind as Kind>::TYPE, labels: &[$($label),*], help: $help },)+
        ];

        #[derive(Debug)]
        pub(super) struct Families {
            $(pub(super) $field: $kind,)+
        }

        impl Families {
            pub(super) fn register(registry: &mut Registry) -> Self {
                Self {
                    $($field: <$kind as Kind>::register(registry, $name, $help, &[$($label),*]),)+
                }
            }
        }
    };
}
for_each_family!(declare_families);

/// One row of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FamilyInfo {
    /// Name as a scrape shows it, with unit and suffix.
    pub name: &'static str,
    /// `counter`, `gauge` or `histogram`.
    pub kind: &'static str,
    /// Names of its labels.
    pub labels: &'static [&'static str],
    /// What it counts.
    pub help: &'static str,
}

/// The table of families as the page about observability shows it.
#[must_use]
pub fn markdown() -> String {
    let mut page = String::from("| Metric | Type | Labels | What it says |\n|---|---|---|---|\n");
    for family in FAMILIES {
        let labels: Vec<String> = family.labels.iter().map(|label| format!("`{label}`")).collect();
        page.push_str(&format!(
            "| `{}` | {} | {} | {} |\n",
            family.name,
            family.kind,
            labels.join(", "),
            family.help
        ));
    }
    page
}
