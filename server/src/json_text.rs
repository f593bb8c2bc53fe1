//! What is wrong with a JSON text that a caller sent, in plain words with line and column.
//!
//! `serde_json` finds the mistakes and names them for people who write Rust: `EOF while parsing a value`, `expected ident`,
//! `invalid type: sequence, expected a string`. The same mistakes are named here for people who write JSON. A message of
//! `serde_json` that is not known here is shown as it is.

use crate::error::{Code, ServiceError};
use serde_json::error::Category;

/// [`Code::MalformedRequest`] for a body that could not be read.
#[must_use]
pub fn malformed(error: &serde_json::Error) -> ServiceError {
    ServiceError::new(Code::MalformedRequest, explain(error, "the body"))
}

/// What is wrong with `what`, such as `the body`.
#[must_use]
pub fn explain(error: &serde_json::Error, what: &str) -> String {
    let (line, column) = (error.line(), error.column());
    let text = error.to_string();
    let place = format!(" at line {line} column {column}");
    let said = text.strip_suffix(&place).unwrap_or(&text);
    match error.classify() {
        Category::Eof if line == 1 && column == 0 => {
            format!("{what} is empty, and a JSON object is expected")
        }
        Category::Syntax | Category::Eof | Category::Io => {
            format!(
                "{what} is not JSON: line {line}, column {column}: {}",
                syntax(said)
            )
        }
        // A value that was read before has no place.
        Category::Data if line == 0 => format!("{what}: {}", data(said)),
        Category::Data => format!("line {line}, column {column} of {what}: {}", data(said)),
    }
}

/// A mistake of JSON.
fn syntax(said: &str) -> &str {
    match said {
        "EOF while parsing a list" => "the text ends inside an array: a `]` is missing",
        "EOF while parsing an object" => "the text ends inside an object: a `}` is missing",
        "EOF while parsing a string" => "the text ends inside a string: a `\"` is missing",
        "EOF while parsing a value" => "the text ends where a value is expected",
        "expected `:`" => "a `:` is expected between a key and its value",
        "expected `,` or `]`" => "a `,` or a `]` is expected after an element of an array",
        "expected `,` or `}`" => "a `,` or a `}` is expected after a member of an object",
        "expected ident" => "`true`, `false` or `null` is expected; texts stand in double quotes",
        "expected value" => "a value is expected; texts stand in double quotes",
        "key must be a string" => "a key is expected here; keys stand in double quotes",
        "trailing comma" => "the comma before this bracket is one too many",
        "trailing characters" => "there is something after the end of the JSON text",
        "invalid escape" => "no such escape; a backslash in a string is written `\\\\`",
        "invalid number" => "this is not a number of JSON",
        "number out of range" => "this number is too large",
        "invalid unicode code point" => "the text is not valid UTF-8",
        "lone leading surrogate in hex escape" | "unexpected end of hex escape" => {
            "half of a pair of `\\u` escapes: the other half is missing"
        }
        "recursion limit exceeded" => "the text is nested too deeply",
        control if control.starts_with("control character") => {
            "a line break or another control character in a string; write `\\n`, or the missing `\"`"
        }
        other => other,
    }
}

/// JSON that is not what the operation takes.
fn data(said: &str) -> String {
    if let Some(unknown) = said.strip_prefix("unknown field `") {
        return unknown_name(unknown, "member", "members");
    }
    if let Some(unknown) = said.strip_prefix("unknown variant `") {
        return unknown_name(unknown, "value", "values");
    }
    if let Some(name) = said.strip_prefix("missing field ") {
        return format!("the member {name} is missing");
    }
    if let Some(name) = said.strip_prefix("duplicate field ") {
        return format!("the member {name} occurs twice");
    }
    let wrong = said
        .strip_prefix("invalid type: ")
        .or_else(|| said.strip_prefix("invalid value: "))
        // A text may hold these words, and what is expected does not.
        .and_then(|wrong| wrong.rsplit_once(", expected "));
    match wrong {
        Some((found, expected)) => format!("found {}, expected {}", kind(found), wanted(expected)),
        None => said.to_owned(),
    }
}

/// A name that is none of those that are known, from the text behind its first backtick.
fn unknown_name(unknown: &str, one: &str, several: &str) -> String {
    // A name may hold a backtick, ours do not.
    let Some((name, known)) = unknown.rsplit_once("`, expected ") else {
        let name = unknown
            .split_once("`, there are no")
            .map_or(unknown, |(name, _)| name);
        return format!("unknown {one} `{}`", name.trim_end_matches('`'));
    };
    let known: Vec<&str> = known.split('`').skip(1).step_by(2).collect();
    match policy_grammar::near(name, known.iter().copied()) {
        Some(near) => format!("unknown {one} `{name}`; did you mean `{near}`?"),
        None => format!("unknown {one} `{name}`; {several} are {}", known.join(", ")),
    }
}

/// What was found, in words of JSON.
fn kind(found: &str) -> String {
    match found {
        "sequence" => "an array".to_owned(),
        "map" => "an object".to_owned(),
        "null" | "unit value" => "null".to_owned(),
        _ => match found.split_once(' ') {
            Some(("integer", value)) => format!("the number {}", value.trim_matches('`')),
            Some(("floating", value)) => {
                let value = value.trim_start_matches("point ");
                format!("the number {}", value.trim_matches('`'))
            }
            Some(("boolean", value)) => value.trim_matches('`').to_owned(),
            // As the caller wrote it.
            Some(("string", value)) => format!("the text {value}"),
            _ => found.replace('`', ""),
        },
    }
}

/// What was expected, in words of JSON.
fn wanted(expected: &str) -> &str {
    match expected {
        "a sequence" => "an array",
        "a map" | "a JSON object" => "an object",
        "a borrowed string" | "a string" | "a borrowed str" => "a text",
        "a boolean" => "`true` or `false`",
        "u8" | "u16" | "u32" | "u64" | "usize" => "a whole number, not below 0",
        "i8" | "i16" | "i32" | "i64" | "isize" => "a whole number",
        "f32" | "f64" => "a number",
        object if object.starts_with("struct ") => "an object",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::explain;
    use serde::Deserialize;

    #[derive(Debug, Deserialize)]
    #[serde(rename_all = "camelCase", deny_unknown_fields)]
    #[expect(dead_code, reason = "only its errors are looked at")]
    struct Body {
        context: serde_json::Map<String, serde_json::Value>,
        #[serde(default)]
        dry_run: bool,
        #[serde(default)]
        policies: Vec<String>,
        #[serde(default)]
        limit: Option<u32>,
        #[serde(default)]
        status: Option<Status>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(rename_all = "lowercase")]
    enum Status {
        Active,
        Draft,
    }

    #[test]
    fn each_mistake_is_said_in_words_of_json() {
        for (body, says) in [
            ("", "the body is empty, and a JSON object is expected"),
            (
                "{\"context\":",
                "line 1, column 11: the text ends where a value is expected",
            ),
            (
                "{\"context\": {",
                "column 13: the text ends inside an object: a `}` is missing",
            ),
            (
                "{\"policies\": [\"a\"",
                "column 17: the text ends inside an array: a `]` is missing",
            ),
            (
                "{\"policies\": [\"a",
                "column 16: the text ends inside a string: a `\"` is missing",
            ),
            (
                "{\"context\" {}}",
                "column 12: a `:` is expected between a key and its value",
            ),
            (
                "{\"context\": {}\n \"dryRun\": true}",
                "line 2, column 2: a `,` or a `}` is expected after",
            ),
            (
                "{\"policies\": [\"a\" \"b\"]}",
                "column 19: a `,` or a `]` is expected after",
            ),
            (
                "{\"context\": nope}",
                "`true`, `false` or `null` is expected; texts stand in double quotes",
            ),
            (
                "{\"context\": gpt}",
                "a value is expected; texts stand in double quotes",
            ),
            (
                "{context: {}}",
                "column 2: a key is expected here; keys stand in double quotes",
            ),
            (
                "{\"context\": {},}",
                "column 16: the comma before this bracket is one too many",
            ),
            (
                "{\"context\": {}} x",
                "column 17: there is something after the end of the JSON text",
            ),
            (
                "{\"policies\": [\"\\d\"]}",
                "no such escape; a backslash in a string is written `\\\\`",
            ),
            (
                "{\"policies\": [\"a\nb\"]}",
                "a line break or another control character in a string",
            ),
            ("{\"limit\": 01}", "this is not a number of JSON"),
            ("{\"policies\": [\"\\ud800\"]}", "half of a pair of `\\u` escapes"),
            (
                "{\"contxt\": {}}",
                "line 1, column 9 of the body: unknown member `contxt`; did you mean `context`?",
            ),
            (
                "{\"zzz\": 1}",
                "unknown member `zzz`; members are context, dryRun, policies, limit, status",
            ),
            ("{}", "the member `context` is missing"),
            (
                "{\"context\": {}, \"context\": {}}",
                "the member `context` occurs twice",
            ),
            (
                "{\"context\": {}, \"dryRun\": \"yes\"}",
                "found the text \"yes\", expected `true` or `false`",
            ),
            (
                "{\"context\": {}, \"dryRun\": 1}",
                "found the number 1, expected `true` or `false`",
            ),
            (
                "{\"context\": {}, \"policies\": \"a\"}",
                "found the text \"a\", expected an array",
            ),
            (
                "{\"context\": {}, \"policies\": {}}",
                "found an object, expected an array",
            ),
            (
                "{\"context\": {}, \"policies\": [true]}",
                "found true, expected a text",
            ),
            (
                "{\"context\": {}, \"limit\": -1}",
                "found the number -1, expected a whole number, not below 0",
            ),
            (
                "{\"context\": {}, \"limit\": 1.5}",
                "found the number 1.5, expected a whole number, not below 0",
            ),
            ("{\"context\": []}", "found an array, expected an object"),
            (
                "{\"status\": \"activ\"}",
                "unknown value `activ`; did you mean `active`?",
            ),
        ] {
            let error = serde_json::from_str::<Body>(body).unwrap_err();
            let text = explain(&error, "the body");
            assert!(text.contains(says), "{body}\n  {text}\n  {error}");
            // None of the words of the library is left.
            for word in [
                "EOF", "ident", "field", "variant", "sequence", "map", "u32", "trailing",
            ] {
                assert!(!text.contains(word), "{text}");
            }
        }
    }

    #[test]
    fn what_a_caller_wrote_is_not_taken_for_words_of_the_message() {
        let error = serde_json::from_str::<Body>("{\"dryRun\": \"a, expected b\"}").unwrap_err();
        assert!(
            explain(&error, "the body")
                .ends_with("found the text \"a, expected b\", expected `true` or `false`"),
            "{error}"
        );
        let error = serde_json::from_str::<Body>("{\"dryRun\": \"a `b` c\"}").unwrap_err();
        assert!(
            explain(&error, "the body").ends_with("found the text \"a `b` c\", expected `true` or `false`"),
            "{error}"
        );
        let error = serde_json::from_str::<Body>("{\"a`, expected `b\": 1}").unwrap_err();
        assert!(
            explain(&error, "the body").contains("unknown member `a`, expected `b`"),
            "{error}"
        );
    }
}
