//! Logs: one line an event, JSON or text, to stderr, with a level that can be changed while the server runs.
//!
//! [`layer`] makes the part of the subscriber that `telemetry::start` assembles. Whatever is logged during a request carries
//! its `request_id`, `route` and `trace_id`, from [`super::request`]. In JSON, the fields of all spans around an event stand
//! in its line beside its own.
//!
//! # Invariants
//!
//! - stdout stays free for the decision log.
//! - Of lines that callers can bring about, few of a kind are written in a second (`sparing.rs`); the next one says how many
//!   were left out.
//! - A line is one JSON object. A field of an event wins over that of a span, an inner span over an outer one.
//!
//! # Not done here
//!
//! Masking: no code may log a secret or a context in the first place.

use super::TelemetryError;
use super::config::{self, LogFormat};
use super::request;
use super::sparing::Sparing;
use super::traces::SPANS;
use serde_json::{Map, Value};
use std::fmt;
use std::io::IsTerminal as _;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::filter::{FilterExt as _, LevelFilter, filter_fn};
use tracing_subscriber::fmt::format::{Format, Full, JsonFields, Writer};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, FormattedFields, MakeWriter};
use tracing_subscriber::layer::Layer;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::{EnvFilter, reload};

/// Changes the log level of a running server. Cheap to clone.
#[derive(Clone)]
pub struct LevelHandle {
    current: Arc<Mutex<String>>,
    apply: Arc<dyn Fn(EnvFilter) -> Result<(), reload::Error> + Send + Sync>,
}

impl fmt::Debug for LevelHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("LevelHandle").field(&self.get()).finish()
    }
}

impl LevelHandle {
    /// The directives in force.
    #[must_use]
    pub fn get(&self) -> String {
        self.current
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Puts other directives in force, such as `debug` or `info,policy_server=trace`.
    ///
    /// # Errors
    ///
    /// [`TelemetryError::Level`] when they are none; those before stay in force.
    pub fn set(&self, directives: &str) -> Result<(), TelemetryError> {
        let filter = filter(directives)?;
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        (self.apply)(filter).map_err(|error| TelemetryError::Level(error.to_string()))?;
        *current = directives.to_owned();
        Ok(())
    }
}

/// Reads filter directives.
///
/// # Errors
///
/// [`TelemetryError::Level`] when they are none.
pub(crate) fn filter(directives: &str) -> Result<EnvFilter, TelemetryError> {
    for directive in directives.split(',').map(str::trim) {
        // The library takes a bare word that is no level for a target, so that `inof` would silence everything.
        let bare = !directive.contains(['=', '[']);
        // Nothing at all is a level to it as well.
        if directive.is_empty() || bare && directive.parse::<LevelFilter>().is_err() {
            return Err(TelemetryError::Level(format!("`{directive}` is not a level")));
        }
    }
    EnvFilter::builder()
        .parse(directives)
        .map_err(|error| TelemetryError::Level(error.to_string()))
}

/// A layer that formats events, as a subscriber of type `S` takes it.
pub type LogLayer<S> = Box<dyn Layer<S> + Send + Sync>;

/// The layer that writes logs to `writer`, and the handle to its level.
///
/// # Errors
///
/// [`TelemetryError::Level`] when the level is not a filter.
pub fn layer<S, W>(config: &config::Config, writer: W) -> Result<(LogLayer<S>, LevelHandle), TelemetryError>
where
    S: Subscriber + for<'a> LookupSpan<'a> + Send + Sync,
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let (filter, reload) = reload::Layer::new(filter(&config.level)?);
    // Where nobody else asks for them either, they are not even made.
    let filter = filter.and(filter_fn(|meta| meta.target() != SPANS));
    let layer: LogLayer<S> = match config.format {
        LogFormat::Json => tracing_subscriber::fmt::layer()
            .fmt_fields(JsonFields::new())
            .event_format(JsonLine(Sparing::default()))
            .with_writer(writer)
            .with_filter(filter)
            .boxed(),
        LogFormat::Text => tracing_subscriber::fmt::layer()
            .with_ansi(std::io::stderr().is_terminal())
            .event_format(TextLine(
                Format::default().without_time().with_level(false),
                Sparing::default(),
            ))
            .with_writer(writer)
            .with_filter(filter)
            .boxed(),
    };
    let handle = LevelHandle {
        current: Arc::new(Mutex::new(config.level.clone())),
        apply: Arc::new(move |filter| reload.reload(filter)),
    };
    Ok((layer, handle))
}

/// Formats an event as one JSON object in one line.
struct JsonLine(Sparing);

impl<S, N> FormatEvent<S, N> for JsonLine
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let Some(left_out) = self.0.admits(event) else {
            return Ok(());
        };
        let meta = event.metadata();
        let mut fields = Fields(Map::new());
        event.record(&mut fields);
        let Fields(mut fields) = fields;
        let message = fields.remove("message").unwrap_or_default();
        if left_out > 0 {
            fields.insert("left_out".to_owned(), Value::from(left_out));
        }
        // From the inside out, so that the inner span wins.
        for span in context.event_scope().into_iter().flatten() {
            fields.entry("span").or_insert_with(|| Value::from(span.name()));
            let extensions = span.extensions();
            let Some(text) = extensions.get::<FormattedFields<N>>() else {
                continue;
            };
            // The text was made by `JsonFields`; a span without fields has an empty one.
            if let Ok(own) = serde_json::from_str::<Map<String, Value>>(text) {
                for (name, value) in own {
                    // `otel.…` speaks to the exporter.
                    if !name.starts_with("otel.") {
                        fields.entry(name).or_insert(value);
                    }
                }
            }
        }
        let mut add = |name: &str, value: &str| {
            fields.entry(name).or_insert_with(|| Value::from(value));
        };
        request::current(|names| {
            add("request_id", &names.request_id);
            add("route", names.route);
            if let Some(trace_id) = &names.trace_id {
                add("trace_id", trace_id);
            }
        });
        let timestamp = jiff::Timestamp::try_from(SystemTime::now()).map_err(|_| fmt::Error)?;
        write!(
            writer,
            "{{\"timestamp\":\"{timestamp:.6}\",\"level\":\"{}\",\"target\":{},\"message\":{message}",
            meta.level(),
            Value::from(meta.target()),
        )?;
        for (name, value) in &fields {
            if !matches!(name.as_str(), "timestamp" | "level" | "target" | "message") {
                write!(writer, ",{}:{value}", Value::from(name.as_str()))?;
            }
        }
        writer.write_str("}\n")
    }
}

/// Formats an event for people: its time, its level, the request that it belongs to, and then as the library does.
struct TextLine(Format<Full, ()>, Sparing);

impl<S, N> FormatEvent<S, N> for TextLine
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let Some(left_out) = self.1.admits(event) else {
            return Ok(());
        };
        let timestamp = jiff::Timestamp::try_from(SystemTime::now()).map_err(|_| fmt::Error)?;
        write!(writer, "{timestamp:.6} {:>5} ", event.metadata().level())?;
        if left_out > 0 {
            write!(writer, "[{left_out} like this were left out] ")?;
        }
        request::current(|names| write!(writer, "[{} {}] ", names.route, names.request_id)).transpose()?;
        self.0.format_event(context, writer, event)
    }
}

/// Collects the fields of an event.
struct Fields(Map<String, Value>);

impl Fields {
    fn put(&mut self, field: &Field, value: Value) {
        self.0.insert(field.name().to_owned(), value);
    }
}

impl Visit for Fields {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field, Value::from(value));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, Value::from(value));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, Value::from(value));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, Value::from(value));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, Value::from(value));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.put(field, Value::from(format!("{value:?}")));
    }
}

#[cfg(test)]
mod tests;
