//! Settings of logs and traces: `LOG_…`, `TRACE_…`, `OTLP_ENDPOINT`.

use super::logs;
use crate::settings::{Parser, Url};

/// How logs look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// One JSON object a line.
    Json,
    /// For people.
    Text,
}

/// Logs and traces.
#[derive(Debug, Clone)]
pub struct Config {
    /// Filter directives.
    pub level: String,
    /// How logs look.
    pub format: LogFormat,
    /// Where traces go; `None` is nowhere.
    pub otlp: Option<String>,
    /// Share of traces.
    pub sample: f64,
}

pub(crate) fn read(p: &mut Parser<'_>) -> Config {
    use std::io::IsTerminal as _;
    let auto = if std::io::stderr().is_terminal() {
        LogFormat::Text
    } else {
        LogFormat::Json
    };
    let sample = p.value("TRACE_SAMPLE", 0.0, |text| {
        text.parse::<f64>()
            .ok()
            .filter(|share| (0.0..=1.0).contains(share))
    });
    let level = p.text("LOG_LEVEL").unwrap_or("info").to_owned();
    if let Err(error) = logs::filter(&level) {
        p.problem("LOG_LEVEL", error.to_string());
    }
    let otlp = p.url("OTLP_ENDPOINT");
    if otlp.as_ref().is_some_and(Url::is_encrypted) {
        p.problem(
            "OTLP_ENDPOINT",
            "only http:// is taken: spans are sent without TLS; let a collector on this machine send them on",
        );
    }
    Config {
        level,
        format: p.value("LOG_FORMAT", auto, |text| match text {
            "auto" => Some(auto),
            "json" => Some(LogFormat::Json),
            "text" => Some(LogFormat::Text),
            _ => None,
        }),
        otlp: otlp
            .filter(|_| p.flag("TRACE_ENABLED"))
            .map(|url| url.expose().to_owned()),
        sample,
    }
}
