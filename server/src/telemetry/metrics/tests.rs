//! The exposition, the table of families, and what counting costs.

use super::{FAMILIES, Metrics, ORIGINS, Status, Transport, Withheld, names};
use crate::active::Origin;
use crate::cache::CacheStats;
use crate::settings::Url;
use crate::shares::Full;
use policy_runtime::Verb;
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

/// Value of a series, by the text before its value.
fn value(text: &str, series: &str) -> Option<f64> {
    text.lines()
        .find_map(|line| line.strip_prefix(series)?.strip_prefix(' ')?.parse().ok())
}

/// Metrics in which every family has a series.
fn everything() -> Metrics {
    let metrics = Metrics::new();
    metrics
        .evaluations(Transport::Grpc)
        .record(Verb::Deny, Duration::from_micros(3), 2);
    metrics.activated(3, 20, "r1", "sha256:aa", 1_700_000_000_123);
    metrics.store_revision(7);
    metrics.reload_failed(Origin::Store.label());
    let route = metrics.route(Transport::Rest, "/api/v1/evaluate");
    let _guard = route.start();
    route.record(Status::Http(200), Duration::from_millis(3));
    route.record(Status::Http(418), Duration::from_millis(3));
    metrics
        .route(Transport::Grpc, "EvaluatePolicy")
        .record(Status::Grpc(tonic::Code::NotFound), Duration::from_millis(3));
    metrics.shed("concurrency");
    metrics.rate_limited("evaluate");
    metrics.rate_limit_fallbacks().inc();
    metrics.auth_failed("expired");
    let counted = CacheStats {
        l1_hits: 1,
        l2_hits: 1,
        misses: 1,
        bypassed: 1,
        saved_ns: 250_000_000,
        ..CacheStats::default()
    };
    counted.count_since(&CacheStats::default(), metrics.cache());
    metrics.dependency("postgres", false);
    metrics.connections(3);
    metrics.connection_refused(Full::Address);
    metrics.connection_closed("idle");
    metrics
        .enrich(["deadline"])
        .asked("deadline", Duration::from_millis(150));
    let log = metrics.decision_log(10, 1 << 20);
    log.queue.inc();
    log.spool.set(300.0);
    log.spooled.inc_by(3);
    log.replayed.inc_by(2);
    log.pruned.inc();
    log.written("store").inc();
    log.errors("file").inc();
    log.withheld(Withheld::Mask).inc();
    let webhook = metrics.webhook(1 << 20);
    webhook.spool.set(300.0);
    webhook.lag.set(1.5);
    webhook.answered(Some(422));
    webhook.skipped.inc();
    metrics
}

#[test]
fn every_family_of_the_table_is_in_the_exposition_and_nothing_else() {
    let text = everything().encode();
    let shown: BTreeSet<&str> = text
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE "))
        .filter_map(|line| line.split(' ').next())
        .collect();
    let table: BTreeSet<&str> = FAMILIES
        .iter()
        .map(|family| family.name.strip_suffix("_total").unwrap_or(family.name))
        .collect();
    assert_eq!(shown, table);
    for family in FAMILIES {
        let bare = family.name.strip_suffix("_total").unwrap_or(family.name);
        assert!(
            text.contains(&format!("# TYPE {bare} {}\n", family.kind)),
            "{bare}"
        );
        assert_eq!(family.name != bare, family.kind == "counter", "{}", family.name);
        assert!(
            !family.help.ends_with('.'),
            "the encoder adds the full stop: {bare}"
        );
    }
    assert!(text.ends_with("# EOF\n"));
}

#[test]
fn what_is_counted_is_shown() {
    let text = everything().encode();
    for (series, expected) in [
        (r#"llm_policy_webhook_answers_total{status="4xx"}"#, 1.0),
        (
            r#"llm_policy_evaluations_total{decision="deny",transport="grpc"}"#,
            1.0,
        ),
        // There before anything happened, so that rates work from the first event.
        (
            r#"llm_policy_evaluations_total{decision="allow",transport="rest"}"#,
            0.0,
        ),
        (
            r#"llm_policy_evaluation_duration_seconds_count{transport="grpc"}"#,
            1.0,
        ),
        (
            r#"llm_policy_evaluation_duration_seconds_sum{transport="grpc"}"#,
            0.000_003,
        ),
        (
            r#"llm_policy_evaluation_duration_seconds_bucket{le="0.0000025",transport="grpc"}"#,
            0.0,
        ),
        (
            r#"llm_policy_evaluation_duration_seconds_bucket{le="0.000005",transport="grpc"}"#,
            1.0,
        ),
        (
            r#"llm_policy_evaluation_duration_seconds_bucket{le="+Inf",transport="grpc"}"#,
            1.0,
        ),
        ("llm_policy_evaluation_errors_total", 2.0),
        ("llm_policy_connections", 3.0),
        (r#"llm_policy_connections_refused_total{reason="address"}"#, 1.0),
        (r#"llm_policy_connections_closed_total{reason="idle"}"#, 1.0),
        ("llm_policy_active_rules", 20.0),
        (r#"llm_policy_bundle_info{revision="r1",digest="sha256:aa"}"#, 1.0),
        ("llm_policy_bundle_activated_timestamp_seconds", 1_700_000_000.123),
        (
            r#"llm_policy_requests_total{transport="rest",route="/api/v1/evaluate",status="200"}"#,
            1.0,
        ),
        (
            r#"llm_policy_requests_total{transport="rest",route="/api/v1/evaluate",status="other"}"#,
            1.0,
        ),
        (
            r#"llm_policy_requests_total{transport="grpc",route="EvaluatePolicy",status="not_found"}"#,
            1.0,
        ),
        ("llm_policy_cache_saved_seconds_total", 0.25),
        (r#"llm_policy_cache_hits_total{layer="process"}"#, 1.0),
        (r#"llm_policy_cache_misses_total{layer="process"}"#, 2.0),
        (r#"llm_policy_cache_hits_total{layer="redis"}"#, 1.0),
        (r#"llm_policy_cache_misses_total{layer="redis"}"#, 1.0),
        (r#"llm_policy_decision_log_dropped_total{reason="overflow"}"#, 0.0),
        (r#"llm_policy_decision_log_dropped_total{reason="damaged"}"#, 0.0),
        ("llm_policy_decision_log_spool_bytes", 300.0),
        ("llm_policy_decision_log_spool_capacity_bytes", 1_048_576.0),
        ("llm_policy_decision_log_spooled_total", 3.0),
        ("llm_policy_decision_log_replayed_total", 2.0),
        (r#"llm_policy_dependency_up{dependency="postgres"}"#, 0.0),
        ("llm_policy_requests_in_flight", 0.0),
    ] {
        assert_eq!(value(&text, series), Some(expected), "{series}\n{text}");
    }
    assert!(value(&text, names::BUNDLE_AGE).is_some_and(|age| age > 1_000_000.0));
}

#[test]
fn another_bundle_takes_the_labels_of_the_one_before() {
    let metrics = everything();
    metrics.activated(1, 2, "r2 \"quoted\"\n", "sha256:bb", 1_700_000_001_000);
    let text = metrics.encode();
    let series: Vec<&str> = text
        .lines()
        .filter(|line| line.starts_with("llm_policy_bundle_info{"))
        .collect();
    assert_eq!(
        series,
        [r#"llm_policy_bundle_info{revision="r2 \"quoted\"\n",digest="sha256:bb"} 1"#]
    );
}

#[test]
fn unknown_statuses_make_no_series_of_their_own() {
    let metrics = Metrics::new();
    let route = metrics.route(Transport::Rest, "/x");
    for status in 0..1000 {
        route.record(Status::Http(status), Duration::ZERO);
    }
    for code in -5..40 {
        route.record(Status::Grpc(tonic::Code::from_i32(code)), Duration::ZERO);
    }
    let series = metrics
        .encode()
        .lines()
        .filter(|line| line.starts_with("llm_policy_requests_total{"))
        .count();
    assert_eq!(
        series,
        super::requests::HTTP_STATUSES.len() + super::requests::GRPC_STATUSES.len() + 1
    );
}

#[test]
fn counting_from_many_threads_loses_nothing() {
    let metrics = Metrics::new();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let evaluations = metrics.evaluations(Transport::Rest).clone();
                for n in 0..10_000 {
                    evaluations.record(Verb::Allow, Duration::from_nanos(n), 0);
                }
            });
        }
    });
    let text = metrics.encode();
    let count = value(
        &text,
        r#"llm_policy_evaluation_duration_seconds_count{transport="rest"}"#,
    );
    let allowed = value(
        &text,
        r#"llm_policy_evaluations_total{decision="allow",transport="rest"}"#,
    );
    assert_eq!((count, allowed), (Some(40_000.0), Some(40_000.0)));
}

/// The budget is 200 ns. Unoptimised code on a shared machine is allowed more; a lock, an allocation or a lookup by label
/// would still show.
#[test]
fn counting_an_evaluation_is_cheap() {
    let metrics = Metrics::new();
    let evaluations = metrics.evaluations(Transport::Rest);
    let round = || {
        let start = Instant::now();
        for n in 0..10_000_u64 {
            evaluations.record(Verb::Allow, Duration::from_nanos(n * 37), 0);
        }
        start.elapsed() / 10_000
    };
    let best = (0..20).map(|_| round()).min().unwrap_or_default();
    println!("one evaluation is counted in {best:?}");
    let budget = if cfg!(debug_assertions) { 600 } else { 200 };
    assert!(best < Duration::from_nanos(budget), "{best:?}");
}

#[test]
fn every_origin_of_policies_has_its_series_from_the_start() {
    let origins = [
        Origin::Store,
        Origin::Directory("policies".into()),
        Origin::BundleFile("a.bundle".into()),
        Origin::BundleUrl(Url::parse("https://bundles.example/a.bundle").unwrap()),
    ];
    assert_eq!(origins.each_ref().map(Origin::label), ORIGINS);
}
