//! What asks for a decision: one JSON text, or a question in parts; and the ways to read it.

use super::envelope;
use crate::error::{Code, Result};
use crate::json_text;
use crate::request_id;
use bytes::Bytes;
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::result::Result as StdResult;
use utoipa::ToSchema;

/// A request for a decision.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(as = EvaluateRequest)]
pub struct Evaluation<'a> {
    /// Echoed in the response; generated when absent or empty. At most 128 bytes, all of them visible.
    #[serde(borrow, default)]
    pub request_id: Option<Cow<'a, str>>,
    /// What is to be judged: `llm`, `user`, `team`, `project`, `request`, `metadata` and anything else.
    // As JSON. Where it did not come out of a larger text, nobody has looked at it yet.
    #[serde(borrow, deserialize_with = "bytes_of_json")]
    #[schema(value_type = Object)]
    pub context: &'a [u8],
    /// Only policies of this namespace and of `global`. One without an active policy is an error, unless
    /// `UNKNOWN_NAMESPACE` is `global`.
    #[serde(borrow, default)]
    pub namespace: Option<Cow<'a, str>>,
    /// Only these policies: of each id every one that the request sees. An id that is not active there or that stands there
    /// twice is an error, and so is an empty list.
    #[serde(borrow, default)]
    pub policies: Option<Vec<Cow<'a, str>>>,
    /// Whether to explain every rule.
    #[serde(default)]
    pub trace: bool,
    /// Whether the decision is neither logged nor kept.
    #[serde(default)]
    pub dry_run: bool,
}

fn bytes_of_json<'de: 'a, 'a, D: Deserializer<'de>>(deserializer: D) -> StdResult<&'a [u8], D::Error> {
    <&RawValue>::deserialize(deserializer).map(|raw| raw.get().as_bytes())
}

/// What asks for a decision.
pub trait Ask: Send + Sync + 'static {
    /// Where the context stands.
    fn text(&self) -> &Bytes;

    /// The request.
    ///
    /// # Errors
    ///
    /// [`Code::MalformedRequest`] with line and column.
    fn ask(&self) -> Result<Evaluation<'_>>;

    /// The request, where it can be told without reading the context. A context that turns out to be no JSON may mean that
    /// this was not how to read it.
    fn shortcut(&self) -> Option<Evaluation<'_>>;
}

/// The request as one JSON text.
#[derive(Debug, Clone)]
pub struct Whole(pub Bytes);

impl Ask for Whole {
    fn text(&self) -> &Bytes {
        &self.0
    }

    fn ask(&self) -> Result<Evaluation<'_>> {
        serde_json::from_slice(&self.0).map_err(|error| json_text::malformed(&error))
    }

    fn shortcut(&self) -> Option<Evaluation<'_>> {
        envelope::read(&self.0)
    }
}

impl Ask for Question {
    fn text(&self) -> &Bytes {
        &self.context
    }

    fn ask(&self) -> Result<Evaluation<'_>> {
        Ok(Evaluation {
            request_id: self.request_id.as_deref().map(Cow::Borrowed),
            context: &self.context,
            namespace: self.namespace.as_deref().map(Cow::Borrowed),
            policies: self
                .policies
                .as_ref()
                .map(|ids| ids.iter().map(|id| Cow::Borrowed(id.as_str())).collect()),
            trace: self.trace,
            dry_run: self.dry_run,
        })
    }

    fn shortcut(&self) -> Option<Evaluation<'_>> {
        None
    }
}

/// A question that is not one JSON text.
#[derive(Debug, Clone)]
pub struct Question {
    /// As in [`Evaluation`].
    pub request_id: Option<String>,
    /// As in [`Evaluation`].
    pub context: Bytes,
    /// As in [`Evaluation`].
    pub namespace: Option<String>,
    /// As in [`Evaluation`].
    pub policies: Option<Vec<String>>,
    /// As in [`Evaluation`].
    pub trace: bool,
    /// As in [`Evaluation`].
    pub dry_run: bool,
}

/// Checks what a caller chose for an id.
fn checked(request: &Evaluation<'_>) -> Result<()> {
    request_id::given(request.request_id.as_deref().unwrap_or_default()).map(drop)
}

/// The ways to read a request, the short one first where there is one.
pub(super) struct Readings<'a, A> {
    asked: &'a A,
    /// Whether the short way is still to be tried.
    begins: bool,
    /// Whether the last one was the short way.
    is_short: bool,
}

impl<'a, A: Ask> Readings<'a, A> {
    pub(super) fn of(asked: &'a A) -> Self {
        Self {
            asked,
            begins: true,
            is_short: false,
        }
    }

    /// The request, read in the next way. After [`Readings::is_over`] nobody asks again.
    ///
    /// # Errors
    ///
    /// [`Code::MalformedRequest`].
    pub(super) fn next(&mut self) -> Result<Evaluation<'a>> {
        let short = match std::mem::take(&mut self.begins) {
            true => self.asked.shortcut(),
            false => None,
        };
        self.is_short = short.is_some();
        let request = match short {
            Some(request) => request,
            None => self.asked.ask()?,
        };
        checked(&request)?;
        Ok(request)
    }

    /// Whether this is what becomes of the request: whoever reads all of it knows better what is wrong with its context.
    pub(super) fn is_over<T>(&self, done: &Result<T>) -> bool {
        !(self.is_short && matches!(done, Err(error) if error.code == Code::MalformedContext))
    }
}

/// Does something with a request, read the short way where that can be told.
pub(super) fn read<'a, T>(asked: &'a impl Ask, work: impl Fn(Evaluation<'a>) -> Result<T>) -> Result<T> {
    let mut readings = Readings::of(asked);
    loop {
        let done = work(readings.next()?);
        if readings.is_over(&done) {
            return done;
        }
    }
}
