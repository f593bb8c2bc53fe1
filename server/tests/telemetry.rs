//! Starting and stopping telemetry as `main` does: the one subscriber of the process, its level, its exporter.

use policy_server::telemetry::config::{Config, LogFormat};
use policy_server::telemetry::{self, TelemetryError};
use std::time::{Duration, Instant};

fn config(level: &str, otlp: Option<&str>) -> Config {
    Config {
        level: level.to_owned(),
        format: LogFormat::Json,
        otlp: otlp.map(str::to_owned),
        sample: 1.0,
    }
}

// One test: the subscriber is of the whole process.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_starts_once_changes_its_level_and_stops_in_time() {
    let wrong = telemetry::start(&config("loud", None));
    assert!(matches!(wrong, Err(TelemetryError::Level(_))));
    let wrong = telemetry::start(&config("info", Some("not an address")));
    assert!(matches!(wrong, Err(TelemetryError::Exporter(_))));

    // Nobody listens there.
    let running = telemetry::start(&config("error", Some("http://127.0.0.1:9"))).unwrap();
    let again = telemetry::start(&config("error", None));
    assert!(matches!(again, Err(TelemetryError::AlreadyStarted)));

    let headers = http::HeaderMap::new();
    let request = telemetry::Request::begin(&headers, "/api/v1/evaluate", "r1".into());
    assert!(!request.span().is_disabled());
    request.enter(|| {
        assert!(!tracing::event_enabled!(tracing::Level::DEBUG));
        running.level.set("debug").unwrap();
        assert!(tracing::event_enabled!(tracing::Level::DEBUG));
    });
    drop(request);
    let begin = Instant::now();
    running.shutdown(Duration::from_millis(200)).await;
    assert!(begin.elapsed() < Duration::from_secs(2), "{:?}", begin.elapsed());
}
