//! What stands around a context, without a look at the context.
//!
//! Nearly every body is `{"context": {…}}`, perhaps with an id or a namespace before it. Where the context comes last, it ends
//! where the body does, so its end need not be searched for. The evaluation reads the context strictly and to its last byte:
//! if it finds one JSON object there, then the body was what it seemed to be here. If not, or if anything here is out of the
//! ordinary, the body is read again by the book.

use super::Evaluation;
use std::borrow::Cow;

/// The request of a body whose last member is `context`; `None` where that cannot be told so simply.
pub(super) fn read(body: &[u8]) -> Option<Evaluation<'_>> {
    let mut request = Evaluation {
        request_id: None,
        context: &[],
        namespace: None,
        policies: None,
        trace: false,
        dry_run: false,
    };
    let mut rest = past(trim_end(body).strip_suffix(b"}")?, b'{')?;
    loop {
        let (key, after) = plain(rest)?;
        rest = past(after, b':')?;
        let field = match key {
            "context" => {
                request.context = trim_end(trim_start(rest));
                let object = request.context.starts_with(b"{") && request.context.ends_with(b"}");
                return object.then_some(request);
            }
            "requestId" => &mut request.request_id,
            "namespace" => &mut request.namespace,
            _ => return None,
        };
        let (value, after) = plain(rest)?;
        if field.replace(Cow::Borrowed(value)).is_some() {
            return None;
        }
        rest = past(after, b',')?;
    }
}

/// A string without escapes, and what comes after it.
fn plain(text: &[u8]) -> Option<(&str, &[u8])> {
    let text = past(text, b'"')?;
    let end = text.iter().position(|&byte| byte == b'"')?;
    let (string, rest) = text.split_at_checked(end)?;
    if string.iter().any(|&byte| byte < b' ' || byte == b'\\') {
        return None;
    }
    Some((std::str::from_utf8(string).ok()?, past(rest, b'"')?))
}

/// What comes after a byte, and whitespace before it.
fn past(text: &[u8], byte: u8) -> Option<&[u8]> {
    trim_start(text).strip_prefix(&[byte])
}

fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r')
}

fn trim_start(mut text: &[u8]) -> &[u8] {
    while let [first, rest @ ..] = text
        && is_space(*first)
    {
        text = rest;
    }
    text
}

fn trim_end(mut text: &[u8]) -> &[u8] {
    while let [rest @ .., last] = text
        && is_space(*last)
    {
        text = rest;
    }
    text
}

#[cfg(test)]
mod tests {
    use super::read;
    use crate::service::evaluate::{Ask as _, Evaluation, Whole};
    use proptest::prelude::*;

    fn seen<'a>(request: &'a Evaluation<'_>) -> impl PartialEq + std::fmt::Debug + use<'a> {
        (
            request.request_id.as_deref(),
            String::from_utf8_lossy(request.context),
            request.namespace.as_deref(),
            request.policies.is_some(),
            request.trace,
            request.dry_run,
        )
    }

    /// What the evaluation does with a context, as far as it matters here: it takes JSON objects.
    fn is_taken(context: &[u8]) -> bool {
        context.starts_with(b"{") && serde_json::from_slice::<serde::de::IgnoredAny>(context).is_ok()
    }

    /// Whoever takes the shortcut arrives where the other way leads.
    fn agrees(body: &str) -> Result<bool, TestCaseError> {
        let whole = Whole(body.to_owned().into());
        let Some(short) = read(&whole.0).filter(|request| is_taken(request.context)) else {
            return Ok(false);
        };
        let long = whole.ask();
        prop_assert!(long.is_ok(), "{body}: {long:?}");
        let long = long.unwrap();
        prop_assert_eq!(seen(&short), seen(&long), "{}", body);
        Ok(true)
    }

    #[test]
    fn usual_bodies_take_the_shortcut_and_others_do_not() {
        for (body, short) in [
            (r#"{"context":{}}"#, true),
            (" {\n\t\"context\" : {\"llm\": {\"model\": \"a}\"}} \r\n} ", true),
            (
                r#"{"requestId":"r-1","namespace":"größe","context":{"a":[1,{}]}}"#,
                true,
            ),
            // The context is not the last, or not alone.
            (r#"{"context":{},"dryRun":true}"#, false),
            (r#"{"context":{},"policies":{}}"#, false),
            (r#"{"context":{},"context":{}}"#, false),
            (r#"{"context":{}},{}}"#, false),
            // Twice, unknown, escaped, of another type.
            (r#"{"requestId":"a","requestId":"b","context":{}}"#, false),
            (r#"{"other":"a","context":{}}"#, false),
            (r#"{"requestId":"\u0061","context":{}}"#, false),
            (r#"{"requestId":1,"context":{}}"#, false),
            (r#"{"requestId":null,"context":{}}"#, false),
            ("{\"requestId\":\"a\nb\",\"context\":{}}", false),
            ("\u{c}{\"context\":{}}", false),
            (r#"{"context":[]}"#, false),
            (r#"{"context":}"#, false),
            (r#"{"context":{"a":}}"#, false),
            (r#"{"context":{}"#, false),
            (r#"{,"context":{}}"#, false),
            ("", false),
        ] {
            assert_eq!(agrees(body).unwrap(), short, "{body}");
        }
        assert!(read(b"{\"requestId\":\"\xff\",\"context\":{}}").is_none());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(if cfg!(debug_assertions) { 4000 } else { 200_000 }))]

        #[test]
        fn pieces_in_any_order_are_read_alike(
            pieces in prop::collection::vec(
                prop::sample::select(vec![
                    "{", "}", "[", "]", ",", ":", " ", "\n", "\"", "\\", "\"context\":", "\"context\":{", "\"a\":1",
                    "\"requestId\":\"r\",", "\"namespace\":\"n\",", "\"dryRun\":true", "\"policies\":[]", "{}", "}}", "null",
                    "\"x}\"", "{\"context\":", "\u{c}", "ü",
                ]),
                0..12,
            ),
        ) {
            agrees(&pieces.concat())?;
        }
    }
}
