//! The lines of the log, and its level.

use super::layer;
use crate::heavy::{Heavy, Work};
use crate::telemetry::Request;
use crate::telemetry::config::{Config, LogFormat};
use http::HeaderMap;
use serde_json::Value;
use std::io::{self, Write};
use std::sync::{Arc, Mutex};
use tracing_subscriber::layer::SubscriberExt as _;

#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Lines {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }

    fn json(&self) -> Vec<Value> {
        self.text()
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }
}

fn config(level: &str, format: LogFormat) -> Config {
    Config {
        level: level.to_owned(),
        format,
        otlp: None,
        sample: 0.0,
    }
}

fn run(level: &str, format: LogFormat, events: impl FnOnce(&super::LevelHandle)) -> Lines {
    let lines = Lines::default();
    let writer = lines.clone();
    let (layer, handle) = layer(&config(level, format), move || writer.clone()).unwrap();
    let subscriber = tracing_subscriber::registry().with(layer);
    tracing::subscriber::with_default(subscriber, || events(&handle));
    lines
}

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";

fn headers() -> HeaderMap {
    let mut headers = HeaderMap::new();
    let value = format!("00-{TRACE}-b7ad6b7169203331-01");
    headers.insert("traceparent", value.parse().unwrap());
    headers
}

#[test]
fn each_line_of_a_request_carries_its_ids() {
    let lines = run("info", LogFormat::Json, |_| {
        let request = Request::begin(&headers(), "/api/v1/evaluate", "req-1".into());
        assert!(request.span().is_disabled(), "nobody reads it");
        request.enter(|| {
            tracing::info!(answer = 42, ok = true, "plain \"text\"\nof two lines");
            let inner = tracing::info_span!("compile", policy = "p1");
            inner.in_scope(|| tracing::warn!(policy = "p2", "inside"));
        });
        tracing::info!("outside");
    });
    let lines = lines.json();
    assert_eq!(lines.len(), 3);
    assert_eq!(lines[0]["message"], "plain \"text\"\nof two lines");
    assert_eq!(lines[0]["answer"], 42);
    assert_eq!(lines[0]["ok"], true);
    assert_eq!(lines[0]["level"], "INFO");
    assert_eq!(lines[0]["target"], "policy_server::telemetry::logs::tests");
    for line in &lines[..2] {
        assert_eq!(line["request_id"], "req-1");
        assert_eq!(line["trace_id"], TRACE);
        assert_eq!(line["route"], "/api/v1/evaluate");
        assert_eq!(line.get("otel.kind"), None);
        let timestamp = line["timestamp"].as_str().unwrap();
        assert!(timestamp.parse::<jiff::Timestamp>().is_ok(), "{timestamp}");
    }
    assert_eq!(lines[1]["span"], "compile");
    assert_eq!(lines[1]["policy"], "p2", "the event wins over its span");
    assert_eq!(lines[2].get("request_id"), None);
}

#[test]
fn ids_are_there_when_only_errors_are_logged() {
    let lines = run("error", LogFormat::Json, |_| {
        Request::begin(&headers(), "/x", "req-2".into()).enter(|| {
            tracing::info!("not shown");
            tracing::error!("shown");
        });
    });
    let lines = lines.json();
    assert_eq!(lines.len(), 1);
    assert_eq!(lines[0]["request_id"], "req-2");
    assert_eq!(lines[0]["trace_id"], TRACE);
}

#[test]
fn fields_cannot_pose_as_the_head_of_a_line() {
    let lines = run("info", LogFormat::Json, |_| {
        tracing::info!(timestamp = "never", level = "NONE", target = "x", "head");
    });
    let line = lines.json().remove(0);
    assert_eq!(line["level"], "INFO");
    assert_eq!(lines.text().matches("\"level\"").count(), 1);
}

#[test]
fn the_level_changes_while_running_and_mistakes_change_nothing() {
    let lines = run("warn", LogFormat::Json, |level| {
        tracing::info!("one");
        level.set("info").unwrap();
        tracing::info!("two");
        for wrong in ["inof", "", "policy_server=loud", "info,,warn"] {
            assert!(level.set(wrong).is_err(), "{wrong}");
        }
        assert_eq!(level.get(), "info");
        tracing::info!("three");
        level.set("info,policy_server::telemetry=error").unwrap();
        tracing::info!("four");
    });
    let messages: Vec<Value> = lines.json().iter().map(|line| line["message"].clone()).collect();
    assert_eq!(messages, ["two", "three"]);
}

#[test]
fn text_is_for_people() {
    let lines = run("info", LogFormat::Text, |_| {
        Request::begin(&headers(), "/x", "req-3".into()).enter(|| tracing::info!("hello"));
    });
    let text = lines.text();
    let (time, line) = text.split_once(' ').unwrap();
    assert!(time.parse::<jiff::Timestamp>().is_ok(), "{text}");
    let target = module_path!();
    assert_eq!(line, format!(" INFO [/x req-3] {target}: hello\n"));
}

#[tokio::test]
async fn other_threads_know_the_request_too() {
    let lines = Lines::default();
    let writer = lines.clone();
    let (layer, _) = layer(&config("info", LogFormat::Json), move || writer.clone()).unwrap();
    let subscriber = tracing::Dispatch::new(tracing_subscriber::registry().with(layer));
    let request = Request::begin(&headers(), "/x", "req-4".into());
    let pool = Heavy::new(1, &crate::telemetry::Metrics::new());
    let work = std::pin::pin!(async {
        let subscriber = subscriber.clone();
        let job = move |_: &_| tracing::dispatcher::with_default(&subscriber, || tracing::info!("there"));
        pool.run(Work::SERVER, job).await.unwrap();
    });
    request.run(work).await;
    let lines = lines.json();
    assert_eq!(lines.len(), 1);
    assert_eq!(lines[0]["request_id"], "req-4");
    assert_eq!(lines[0]["trace_id"], TRACE);
}

/// Parts of requests are spans for traces only: whatever the level of the log, they are not even made.
#[test]
fn without_traces_no_part_of_a_request_is_a_span() {
    let lines = run("trace", LogFormat::Json, |_| {
        let request = Request::begin(&headers(), "/api/v1/evaluate", "req-5".into());
        request.enter(|| {
            let span = crate::telemetry::request::part!("evaluate", decision);
            assert!(span.is_disabled());
            span.in_scope(|| tracing::trace!("within"));
        });
    });
    let line = lines.json().remove(0);
    assert_eq!(
        (&line["message"], line.get("span")),
        (&Value::from("within"), None)
    );
}

/// What is refused is told, and not told a thousand times; what was changed is told more often.
#[test]
fn refusals_are_told_with_who_and_what_and_few_of_each_status() {
    use crate::error::{Code, ServiceError};
    use crate::telemetry::request::{About, is_about, is_by, refused, refused_in_stream};
    use crate::telemetry::{WARNINGS, WRITES};
    let lines = run("info", LogFormat::Json, |_| {
        let request = Request::begin(&headers(), "/a", "req-6".into());
        request.enter(|| {
            is_by(&"ann (key 0123456789abcdef)".into());
            is_about(About {
                action: "policy.update",
                policy: Some("p\n\u{1b}[31m".to_owned()),
                namespace: Some("team".to_owned()),
                version: Some(3),
                ..About::default()
            });
            for _ in 0..100 {
                refused(&ServiceError::new(Code::Forbidden, "the detail stays out"));
            }
            refused(&ServiceError::new(Code::VersionMismatch, ""));
            // What was sent is wrong, or not there: no line.
            refused(&ServiceError::new(Code::MalformedRequest, ""));
            refused(&ServiceError::new(Code::NotFound, ""));
            for _ in 0..100 {
                tracing::info!(target: WRITES, "changed");
                tracing::warn!(target: WARNINGS, "the compiler warns of a policy");
            }
        });
        // Nothing is left of a request when the next one begins, in a stream either.
        let next = Request::begin(&headers(), "/b", "req-7".into());
        next.enter(|| refused(&ServiceError::new(Code::RateLimited, "")));
        for _ in 0..100 {
            refused_in_stream(&ServiceError::new(Code::Unauthenticated, ""), "s-1", "bob");
        }
    });
    let text = lines.text();
    let lines = lines.json();
    let of = |status: u64| -> Vec<&Value> { lines.iter().filter(|line| line["status"] == status).collect() };
    let told: Vec<usize> = [403, 412, 400, 404, 429, 401]
        .iter()
        .map(|s| of(*s).len())
        .collect();
    assert_eq!(told, [10, 1, 0, 0, 1, 10], "{text}");
    let first = of(403)[0];
    for (field, expected) in [
        ("level", "INFO"),
        ("target", "policy_server::refusals"),
        ("message", "request refused"),
        ("code", "forbidden"),
        ("subject", "ann (key 0123456789abcdef)"),
        ("action", "policy.update"),
        ("policy", "p\n\u{1b}[31m"),
        ("namespace", "team"),
        ("request_id", "req-6"),
        ("route", "/a"),
    ] {
        assert_eq!(first[field], expected, "{field}");
    }
    assert_eq!(first["version"], 3);
    assert!(!text.contains("the detail"), "{text}");
    let later = of(429)[0];
    assert_eq!(
        (later.get("subject"), later.get("policy"), &later["request_id"]),
        (None, None, &Value::from("req-7"))
    );
    let streamed = of(401)[0];
    assert_eq!(
        (&streamed["request_id"], &streamed["subject"]),
        (&"s-1".into(), &"bob".into())
    );
    let count = |target: &str| lines.iter().filter(|line| line["target"] == target).count();
    assert_eq!((count(WRITES), count(WARNINGS)), (100, 20));
}

#[test]
fn one_kind_of_lines_can_be_left_out() {
    use crate::telemetry::{EVALUATIONS, REFUSALS, WRITES};
    for (level, expected) in [
        ("info", &["refused", "changed"][..]),
        ("info,policy_server::refusals=off", &["changed"]),
        (
            "info,policy_server::evaluations=debug",
            &["refused", "changed", "decided"],
        ),
    ] {
        let lines = run(level, LogFormat::Json, |_| {
            tracing::info!(target: REFUSALS, "refused");
            tracing::info!(target: WRITES, "changed");
            tracing::debug!(target: EVALUATIONS, "decided");
        });
        let said: Vec<Value> = lines.json().iter().map(|line| line["message"].clone()).collect();
        assert_eq!(said, expected, "{level}");
    }
}

/// Whoever floods the server does not flood its log, and hides nothing there.
#[test]
fn of_what_callers_bring_about_few_lines_are_written() {
    for format in [LogFormat::Json, LogFormat::Text] {
        let refused = |status: u16| tracing::warn!(status, "request failed");
        let lines = run("info", format, |_| {
            let request = Request::begin(&HeaderMap::new(), "/a", Arc::from("1"));
            request.enter(|| {
                for _ in 0..100 {
                    refused(503);
                }
                // Of another status, of another place, and by the server itself: each is a line.
                refused(500);
                tracing::warn!("something else");
                tracing::info!("not worth counting");
                tracing::info!("not worth counting");
                for n in 0..100 {
                    tracing::error!(n, "internal error");
                }
            });
            for _ in 0..3 {
                tracing::warn!("by itself");
            }
            for _ in 0..3 {
                crate::telemetry::request::of_callers(|| tracing::warn!("later"));
                tracing::warn!(target: "h2", "of another crate");
            }
            std::thread::sleep(std::time::Duration::from_millis(1050));
            request.enter(|| refused(503));
        });
        let text = lines.text();
        let count = |message: &str| text.lines().filter(|line| line.contains(message)).count();
        assert_eq!(count("request failed"), 3, "{text}");
        assert_eq!((count("something else"), count("not worth")), (1, 2));
        assert_eq!(count("internal error"), 10);
        assert_eq!(
            (count("by itself"), count("later"), count("of another crate")),
            (3, 1, 1)
        );
        let last = text.lines().last().unwrap();
        match format {
            LogFormat::Json => {
                let last: Value = serde_json::from_str(last).unwrap();
                assert_eq!(
                    (&last["left_out"], &last["status"]),
                    (&Value::from(99), &Value::from(503))
                );
            }
            LogFormat::Text => assert!(last.contains(" [99 like this were left out] [/a 1] "), "{last}"),
        }
    }
}
