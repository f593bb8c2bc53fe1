//! CloudEvents 1.0 in JSON, as bodies of webhooks.

use crate::failure::Failure;
use crate::json::{read_json, write_json};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// The `Content-Type` of an event.
pub const CONTENT_TYPE: &str = "application/cloudevents+json; charset=utf-8";

/// The `Content-Type` of a list of events.
pub const BATCH_CONTENT_TYPE: &str = "application/cloudevents-batch+json; charset=utf-8";

/// An event of CloudEvents 1.0 with an object as its data.
///
/// ```
/// use policy_integrations::event::CloudEvent;
///
/// let mut event = CloudEvent::new("1", "https://policies.example.org", "com.example.test")?;
/// event.data.insert("cost".to_owned(), 0.into());
/// let text = event.to_json()?;
/// assert_eq!(CloudEvent::from_json(&text)?, event);
/// assert!(CloudEvent::from_json(b"{\"specversion\":\"1.0\"}").is_err());
/// # Ok::<(), policy_integrations::Failure>(())
/// ```
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub struct CloudEvent {
    specversion: String,
    /// With `source`, tells this event from all others. The same when it is sent again.
    pub id: String,
    /// Where it happened: a URI or a path.
    pub source: String,
    /// What kind of event it is.
    #[serde(rename = "type")]
    pub kind: String,
    /// What it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// When it happened, as RFC 3339 writes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time: Option<String>,
    datacontenttype: String,
    /// What happened; the members depend on the type of the event.
    pub data: Map<String, Value>,
}

impl CloudEvent {
    /// An event without data.
    ///
    /// # Errors
    ///
    /// [`Failure::InvalidRequest`] where id, source or type are empty.
    pub fn new(id: &str, source: &str, kind: &str) -> Result<Self, Failure> {
        let event = Self {
            specversion: "1.0".to_owned(),
            id: id.to_owned(),
            source: source.to_owned(),
            kind: kind.to_owned(),
            subject: None,
            time: None,
            datacontenttype: "application/json".to_owned(),
            data: Map::new(),
        };
        event
            .check()
            .map_err(|why| Failure::InvalidRequest(why.to_owned()))?;
        Ok(event)
    }

    /// The event as JSON.
    ///
    /// # Errors
    ///
    /// [`Failure::InvalidRequest`] where it is no event of CloudEvents 1.0: an empty attribute, a time that is none.
    pub fn to_json(&self) -> Result<Vec<u8>, Failure> {
        self.check()
            .map_err(|why| Failure::InvalidRequest(why.to_owned()))?;
        write_json(self)
    }

    /// Reads an event.
    ///
    /// # Errors
    ///
    /// [`Failure::OddAnswer`] where it is no event of CloudEvents 1.0 with an object as its data.
    pub fn from_json(text: &[u8]) -> Result<Self, Failure> {
        let event: Self = read_json(text)?;
        event.check().map_err(|why| Failure::OddAnswer(why.to_owned()))?;
        Ok(event)
    }

    fn check(&self) -> Result<(), &'static str> {
        if self.specversion != "1.0" || self.datacontenttype != "application/json" {
            return Err("it is no CloudEvent 1.0 with JSON data");
        }
        let named = [
            Some(&self.id),
            Some(&self.source),
            Some(&self.kind),
            self.subject.as_ref(),
        ];
        if named.into_iter().flatten().any(String::is_empty) {
            return Err("an attribute of the event is empty");
        }
        if self.time.as_ref().is_some_and(|time| !is_rfc3339(time)) {
            return Err("the time of the event is no RFC 3339 time");
        }
        Ok(())
    }
}

/// Whether it is a time as RFC 3339 writes it. jiff reads more: blanks for `T`, commas, parts left out, names of time zones.
fn is_rfc3339(time: &str) -> bool {
    let bytes = time.as_bytes();
    let head = matches!(
        bytes,
        [_, _, _, _, b'-', _, _, b'-', _, _, b'T' | b't', _, _, b':', _, _, b':', _, _, after, ..] if *after != b','
    );
    let offset = matches!(bytes, [.., b'Z' | b'z'] | [.., b'+' | b'-', _, _, b':', _, _]);
    head && offset && time.parse::<Timestamp>().is_ok()
}
