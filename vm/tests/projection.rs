//! Projection against `serde_json::Value`: any document, any set of fields; then bodies that mean harm.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

mod common;

use common::TestHost;
use policy_bytecode::context::{Holds, Known};
use policy_bytecode::module::{
    Decision, DecisionRule, Field, Function, Limits, Module, PathSegment, PolicyRange,
};
use policy_bytecode::verify::{HostLimits, verify};
use policy_bytecode::{FieldIdx, FuncIdx, Instr, PolicyIdx};
use policy_vm::{JsonError, JsonErrorKind, LoadedModule, Scratch, Value};
use proptest::collection::vec;
use proptest::prelude::*;
use std::time::{Duration, Instant};

fn key(name: &str, alias: Option<&str>) -> PathSegment {
    PathSegment::Key {
        name: name.to_owned(),
        aliases: alias.into_iter().map(str::to_owned).collect(),
    }
}

/// `a.b|other.0`: keys with aliases; a number is an index.
fn path(text: &str) -> Vec<PathSegment> {
    let segment = |s: &str| match s.parse() {
        Ok(n) => PathSegment::Index(n),
        Err(_) => {
            let mut spellings = s.split('|').map(str::to_owned);
            PathSegment::Key {
                name: spellings.next().unwrap(),
                aliases: spellings.collect(),
            }
        }
    };
    text.split('.').map(segment).collect()
}

/// What is known of the requests of these tests.
fn known() -> Vec<Known> {
    let place = |path: &str, holds| Known {
        path: path.split('.').map(str::to_owned).collect(),
        holds,
        answered: false,
    };
    let roots = ["llm", "user", "team", "project", "request", "metadata", "budget"];
    let roots = roots.into_iter().map(|root| place(root, Holds::Object));
    let lists = ["user.roles", "llm.messages"]
        .into_iter()
        .map(|list| place(list, Holds::List));
    roots.chain(lists).collect()
}

fn loaded(paths: &[Vec<PathSegment>], limits: Limits) -> LoadedModule {
    let module = Module {
        limits,
        fields: paths
            .iter()
            .map(|path| Field {
                path: path.clone(),
                derived: None,
            })
            .collect(),
        known: known(),
        functions: vec![Function {
            code: vec![Instr::RetTrue {}],
            ..Function::default()
        }],
        rules: vec![DecisionRule {
            condition: FuncIdx(0),
            policy: PolicyIdx(0),
            decision: Decision::Deny,
            fires_on_error: true,
        }],
        policies: vec![PolicyRange {
            first_rule: 0,
            rule_count: 1,
        }],
        ..Module::default()
    };
    LoadedModule::new(&verify(module, &HostLimits::default()).unwrap()).unwrap()
}

fn reading(paths: &[&str]) -> LoadedModule {
    let paths: Vec<_> = paths.iter().map(|p| path(p)).collect();
    loaded(&paths, Limits::default())
}

fn to_json(value: Value<'_>) -> Option<serde_json::Value> {
    if !value.is_present() {
        return None;
    }
    let mut text = String::new();
    value.write_json(&mut text).unwrap();
    Some(serde_json::from_str(&text).unwrap_or_else(|e| panic!("{e}: {text}")))
}

/// The fields of a body as `serde_json` has them, or why it is refused.
fn project(module: &LoadedModule, body: &[u8]) -> Result<Vec<Option<serde_json::Value>>, JsonError> {
    let mut scratch = Scratch::new();
    let mut host = TestHost::default();
    let mut eval = module.begin(&mut scratch, &mut host, body)?;
    let mut field = 0;
    let mut out = Vec::new();
    while module.field_path(FieldIdx(field)).is_some() {
        out.push(to_json(eval.field(FieldIdx(field))));
        field += 1;
    }
    Ok(out)
}

fn one(path: &str, body: &str) -> Option<serde_json::Value> {
    project(&reading(&[path]), body.as_bytes()).unwrap().remove(0)
}

fn refused(paths: &[&str], body: &[u8]) -> JsonErrorKind {
    project(&reading(paths), body).unwrap_err().kind
}

/// What a path means, in the plainest way.
fn resolve<'v>(document: &'v serde_json::Value, path: &[PathSegment]) -> Option<&'v serde_json::Value> {
    path.iter().try_fold(document, |value, segment| match segment {
        PathSegment::Key { name, aliases } => {
            let spelled = || {
                std::iter::once(name)
                    .chain(aliases)
                    .filter_map(|key| value.get(key.as_str()))
            };
            spelled().find(|v| !v.is_null()).or_else(|| spelled().next())
        }
        PathSegment::Index(n) => match value {
            serde_json::Value::Array(items) => items.get(*n as usize),
            object => object.get(n.to_string().as_str()),
        },
        PathSegment::FromEnd(n) => {
            let items = value.as_array()?;
            items.get(items.len().checked_sub(*n as usize)?)
        }
    })
}

/// Whether a path leads through a key whose spellings hold different values.
fn conflicts(document: &serde_json::Value, path: &[PathSegment]) -> bool {
    (0..path.len()).any(|steps| {
        let (PathSegment::Key { name, aliases }, Some(at)) =
            (&path[steps], resolve(document, &path[..steps]))
        else {
            return false;
        };
        let spelled = std::iter::once(name).chain(aliases);
        let mut values = spelled
            .filter_map(|key| at.get(key.as_str()))
            .filter(|v| !v.is_null());
        values
            .next()
            .is_some_and(|first| values.any(|other| other != first))
    })
}

/// A document as text: the strategy below decides on spaces, escapes and the order of keys.
#[derive(Debug, Clone)]
enum Doc {
    Scalar(String),
    Text(String, bool),
    Array(Vec<Doc>),
    Object(Vec<(String, bool, Doc)>),
}

impl Doc {
    fn write(&self, space: &mut dyn FnMut(&mut String), out: &mut String) {
        match self {
            Self::Scalar(text) => out.push_str(text),
            Self::Text(text, escaped) => write_text(text, *escaped, out),
            Self::Array(items) => {
                out.push('[');
                for (i, item) in items.iter().enumerate() {
                    out.push_str(if i > 0 { "," } else { "" });
                    space(out);
                    item.write(space, out);
                    space(out);
                }
                out.push(']');
            }
            Self::Object(members) => {
                out.push('{');
                for (i, (key, escaped, value)) in members.iter().enumerate() {
                    out.push_str(if i > 0 { "," } else { "" });
                    space(out);
                    write_text(key, *escaped, out);
                    space(out);
                    out.push(':');
                    space(out);
                    value.write(space, out);
                    space(out);
                }
                out.push('}');
            }
        }
    }

    fn text(&self, spaces: &[u8]) -> String {
        let mut out = String::new();
        let mut choices = spaces.iter().cycle();
        let mut space = |out: &mut String| {
            let choice = choices.next().copied().unwrap_or(0);
            out.push_str(["", "", "", " ", "\n\t "][usize::from(choice % 5)]);
        };
        self.write(&mut space, &mut out);
        out
    }
}

fn write_text(text: &str, escaped: bool, out: &mut String) {
    if !escaped {
        out.push_str(&serde_json::to_string(text).unwrap());
        return;
    }
    out.push('"');
    for unit in text.encode_utf16() {
        out.push_str(&format!("\\u{unit:04x}"));
    }
    out.push('"');
}

fn document() -> impl Strategy<Value = Doc> {
    let name = || prop_oneof![8 => "[abcAB01]", 1 => any::<String>(), 1 => "[a-c]{7,10}"];
    let numbers = [
        "0",
        "-0",
        "1",
        "-1.5e3",
        "1E400",
        "0.1",
        "9223372036854775807",
        "9223372036854775808",
        "-9223372036854775809",
        "18446744073709551616",
        "123456789012345678901234567890",
        "1e-400",
        "5e-324",
        "1.7976931348623157e308",
    ];
    let leaf = prop_oneof![
        proptest::sample::select(numbers.to_vec())
            .prop_filter("a double", |n| *n != "1E400")
            .prop_map(|n| Doc::Scalar(n.to_owned())),
        proptest::sample::select(vec!["true", "false", "null"]).prop_map(|w| Doc::Scalar(w.to_owned())),
        (any::<String>(), any::<bool>()).prop_map(|(text, escaped)| Doc::Text(text, escaped)),
    ];
    let value = leaf.prop_recursive(5, 60, 6, move |inner| {
        prop_oneof![
            vec(inner.clone(), 0..5).prop_map(Doc::Array),
            vec((name(), any::<bool>(), inner), 0..7).prop_map(object),
        ]
    });
    let name = || prop_oneof![8 => "[abcAB01]", 1 => any::<String>()];
    vec((name(), any::<bool>(), value), 0..8).prop_map(object)
}

/// Drops repeated keys: those are another test's.
fn object(mut members: Vec<(String, bool, Doc)>) -> Doc {
    let mut seen = std::collections::HashSet::new();
    members.retain(|(key, ..)| seen.insert(key.clone()));
    Doc::Object(members)
}

fn paths() -> impl Strategy<Value = Vec<Vec<PathSegment>>> {
    let segment = prop_oneof![
        // One spelling for each name: an alias belongs to the key. `c` is also a name of its own.
        6 => proptest::sample::select(vec![("a", Some("A")), ("b", Some("c")), ("c", None), ("0", None), ("B", None)])
            .prop_map(|(name, alias)| key(name, alias)),
        2 => (0u32..3).prop_map(PathSegment::Index),
        1 => (1u32..4).prop_map(PathSegment::FromEnd),
        1 => "[a-c]{7,10}".prop_map(|name| key(&name, None)),
    ];
    vec(vec(segment, 1..5), 0..12).prop_map(|mut paths| {
        let name = |path: &Vec<PathSegment>| format!("{path:?}");
        paths.retain(|path| matches!(path.first(), Some(PathSegment::Key { .. })));
        let mut seen = std::collections::HashSet::new();
        paths.retain(|path| seen.insert(name(path)));
        paths
    })
}

proptest! {
    #[test]
    fn fields_are_what_their_paths_lead_to(document in document(), paths in paths(), spaces: Vec<u8>) {
        let text = document.text(&spaces);
        let expected: serde_json::Value = serde_json::from_str(&text).unwrap();
        let actual = project(&loaded(&paths, Limits::default()), text.as_bytes());
        if paths.iter().any(|path| conflicts(&expected, path)) {
            prop_assert_eq!(actual.unwrap_err().kind, JsonErrorKind::ConflictingKeys, "{}", text);
            return Ok(());
        }
        let actual = actual.unwrap();
        for (path, actual) in paths.iter().zip(actual) {
            prop_assert_eq!(actual.as_ref(), resolve(&expected, path), "{:?} in {}", path, text);
        }
    }

    #[test]
    fn what_serde_json_refuses_is_refused(document in document(), paths in paths(), at: prop::sample::Index, byte: u8) {
        let mut bytes = document.text(&[3, 0, 4]).into_bytes();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        let expected = serde_json::from_slice::<serde_json::Value>(&bytes);
        if matches!(&expected, Err(e) if e.to_string().starts_with("number out of range")) {
            // The byte made a number that is no double. Such numbers are read here, and `json::tests` compares them.
            return Ok(());
        }
        match (project(&loaded(&paths, Limits::default()), &bytes), expected) {
            (Ok(actual), Ok(expected)) => {
                for (path, actual) in paths.iter().zip(actual) {
                    prop_assert_eq!(actual.as_ref(), resolve(&expected, path));
                }
            }
            (Ok(_), Err(e)) => prop_assert!(false, "accepted: {}", e),
            // We are stricter: repeated keys, spellings that differ, and documents that are no object.
            (Err(e), Ok(expected)) => prop_assert!(
                matches!(e.kind, JsonErrorKind::DuplicateKey | JsonErrorKind::ConflictingKeys)
                    || !expected.is_object(),
                "{:?}", e),
            (Err(_), Err(_)) => {}
        }
    }
}

#[test]
fn bodies_cut_anywhere_are_refused() {
    let body = r#" {"a" : {"\u0062":[1, -2.5e1, "x\n\ud83d\ude00é", true, null, {"q":[]}]}, "z":[[{"k":"\\"}]] , "c":"日本"} "#;
    let module = reading(&["a.b", "a.b.2", "c", "d.e"]);
    assert!(project(&module, body.as_bytes()).is_ok());
    let end = body.trim_end().len();
    for cut in 0..body.len() {
        let cut_body = &body.as_bytes()[..cut];
        match project(&module, cut_body) {
            Ok(_) => assert!(cut >= end, "{}", String::from_utf8_lossy(cut_body)),
            Err(e) => assert!(e.offset <= cut && cut < end, "{e}"),
        }
    }
}

#[test]
fn what_is_no_json_object_is_refused_with_the_reason() {
    use JsonErrorKind::*;
    let cases: &[(&[u8], JsonErrorKind)] = &[
        (b"", UnexpectedEnd),
        (b" \n", UnexpectedEnd),
        (b"\xef\xbb\xbf{}", UnexpectedByte),
        (b"{} x", TrailingBytes),
        (b"{}{}", TrailingBytes),
        (b"{}\0", TrailingBytes),
        (b"\0", UnexpectedByte),
        (b"[]", NotAnObject),
        (b"null", NotAnObject),
        (b"\"a\"", NotAnObject),
        (b"nul", UnexpectedByte),
        (b"{'a':1}", UnexpectedByte),
        (b"{\"a\":1,}", UnexpectedByte),
        (b"{\"a\":01}", BadNumber),
        (b"{\"a\":1e9223372036854775808}", BadNumber),
        (b"{\"b\":1e9223372036854775808}", BadNumber),
        (b"{\"b\":+1}", UnexpectedByte),
        (b"{\"a\":NaN}", UnexpectedByte),
        (b"{\"a\":\"\x01\"}", ControlCharacter),
        (b"{\"b\":\"\n\"}", ControlCharacter),
        (b"{\"b\":\"\\x\"}", BadEscape),
        (b"{\"b\":\"\\ud800\"}", BadEscape),
        (b"{\"a\":\"\xff\"}", NotUtf8),
        (b"{\"b\":\"\xc3\"}", NotUtf8),
        (b"{\"b\":\"\xed\xa0\x80\"}", NotUtf8),
        (b"{\"b\":\"\xc0\xaf\"}", NotUtf8),
    ];
    for (body, kind) in cases {
        assert_eq!(refused(&["a"], body), *kind, "{}", String::from_utf8_lossy(body));
    }
    let error = project(&reading(&["a"]), br#"{"a":1,"a":2}"#).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the same key occurs twice in one object (byte 8)"
    );
}

#[test]
fn repeated_keys_are_refused_where_they_are_read() {
    let duplicate = JsonErrorKind::DuplicateKey;
    assert_eq!(refused(&["a"], br#"{"a":1,"a":1}"#), duplicate);
    assert_eq!(refused(&["a"], br#"{"a":1,"\u0061":1}"#), duplicate);
    assert_eq!(refused(&["a.b"], br#"{"a":{"b":1,"c":2,"b":3}}"#), duplicate);
    assert_eq!(refused(&["a.b"], br#"{"a":{"b":1},"a":{}}"#), duplicate);
    assert_eq!(refused(&["a.b"], br#"{"a":1,"a":{"b":2}}"#), duplicate);
    assert_eq!(refused(&["a.0.b"], br#"{"a":[{"b":1,"b":2}]}"#), duplicate);
    // A value that is read as a whole is read everywhere.
    assert_eq!(refused(&["a"], br#"{"a":[{"x":{"y":1,"y":2}}]}"#), duplicate);
    assert_eq!(refused(&["a", "a.b"], br#"{"a":{"c":1,"c":2}}"#), duplicate);
    // An alias twice, and an alias inside an alias.
    assert_eq!(refused(&["a|x"], br#"{"x":1,"x":1}"#), duplicate);
    assert_eq!(refused(&["a|x.b|y"], br#"{"x":{"y":1,"y":2}}"#), duplicate);
    // What is not read may say what it likes.
    let body = r#"{"z":1,"z":2,"a":{"b":{"c":1},"q":1,"q":2},"y":{"k":1,"k":2}}"#;
    assert_eq!(one("a.b.c", body), Some(1.into()));
    // Two spellings are not one key twice.
    assert_eq!(one("a|x", r#"{"x":2,"a":2}"#), Some(2.into()));
    // More entries than one word of flags has bits.
    let paths: Vec<_> = (0..200).map(|i| format!("a.k{i}")).collect();
    let module = reading(&paths.iter().map(String::as_str).collect::<Vec<_>>());
    for k in [0, 63, 64, 65, 127, 128, 199] {
        let members: Vec<_> = (0..200).map(|i| format!(r#""k{i}":{i}"#)).collect();
        let once = format!(r#"{{"a":{{{}}}}}"#, members.join(","));
        let read = project(&module, once.as_bytes()).unwrap();
        assert_eq!(read[k], Some(k.into()));
        let twice = format!(r#"{{"a":{{{},"k{k}":0}}}}"#, members.join(","));
        assert_eq!(
            project(&module, twice.as_bytes()).unwrap_err().kind,
            duplicate,
            "{k}"
        );
    }
}

#[test]
fn spellings_agree_or_the_request_is_refused() {
    let json = |text: &str| Some(serde_json::from_str::<serde_json::Value>(text).unwrap());
    let limit = "l.maxTokens|max_tokens|max_completion_tokens";
    for body in [
        r#"{"l":{"maxTokens":1,"max_tokens":2}}"#,
        r#"{"l":{"max_tokens":2,"maxTokens":1}}"#,
        r#"{"l":{"max_tokens":1,"other":1,"max_completion_tokens":1,"maxTokens":2}}"#,
        r#"{"l":{"max_tokens":null,"max_completion_tokens":[1],"maxTokens":[2]}}"#,
        r#"{"l":{"max\u005ftokens":1,"max_completion_tokens":"1"}}"#,
    ] {
        assert_eq!(
            refused(&[limit], body.as_bytes()),
            JsonErrorKind::ConflictingKeys,
            "{body}"
        );
        // Read as a whole, too.
        assert_eq!(
            refused(&[limit, "l"], body.as_bytes()),
            JsonErrorKind::ConflictingKeys,
            "{body}"
        );
    }
    for (body, value) in [
        (r#"{"l":{"max_tokens":2}}"#, "2"),
        (
            r#"{"l":{"maxTokens":2,"max_tokens":2.0,"max_completion_tokens":2}}"#,
            "2",
        ),
        (r#"{"l":{"maxTokens":null,"max_tokens":2}}"#, "2"),
        (r#"{"l":{"max_completion_tokens":2,"max_tokens":null}}"#, "2"),
        (
            r#"{"l":{"max_completion_tokens":null,"max_tokens":null}}"#,
            "null",
        ),
        (
            r#"{"l":{"max_tokens":{"a":[1,null]},"max_completion_tokens":{"a":[1,null]}}}"#,
            r#"{"a":[1,null]}"#,
        ),
    ] {
        assert_eq!(one(limit, body), json(value), "{body}");
    }
    let nested = reading(&["a|x.b", "a|x.c|y.d", "a|x.e.0", "a|x.e.1.f"]);
    let values = r#"{"b":1,"y":{"d":2},"e":[3,{"f":4}]}"#;
    for body in [
        format!(r#"{{"x":{values}}}"#),
        format!(r#"{{"x":null,"a":{values}}}"#),
        format!(r#"{{"a":{values},"x":null}}"#),
        format!(r#"{{"a":{values},"q":[{{}}],"x":{values}}}"#),
    ] {
        assert_eq!(
            project(&nested, body.as_bytes()).unwrap(),
            [json("1"), json("2"), json("3"), json("4")],
            "{body}"
        );
    }
    for body in [
        format!(r#"{{"x":{values},"a":{{}}}}"#),
        format!(r#"{{"a":7,"x":{values}}}"#),
    ] {
        assert_eq!(
            project(&nested, body.as_bytes()).unwrap_err().kind,
            JsonErrorKind::ConflictingKeys,
            "{body}"
        );
    }
    // What is not read may say what it likes.
    assert_eq!(
        one("l.n", r#"{"l":{"maxTokens":1,"max_tokens":2,"n":3}}"#),
        json("3")
    );
    // An alias of one key that is the name of another.
    let both = reading(&["a|b.c", "b.c", "b"]);
    let read = project(&both, br#"{"b":{"c":1}}"#).unwrap();
    assert_eq!(read, [json("1"), json("1"), json(r#"{"c":1}"#)]);
    let error = project(&both, br#"{"b":{"c":1},"a":{}}"#).unwrap_err();
    assert_eq!(error.kind, JsonErrorKind::ConflictingKeys);
    // An alias given for one field of a key counts for all of them.
    let partly = reading(&["a.b", "a|x.c"]);
    assert_eq!(
        project(&partly, br#"{"x":{"b":1,"c":2}}"#).unwrap(),
        [json("1"), json("2")]
    );
}

#[test]
fn known_roots_are_objects_or_the_request_is_refused() {
    for root in ["llm", "user", "team", "project", "request", "metadata", "budget"] {
        for (body, found) in [
            ("1", "a number"),
            ("-0.5", "a number"),
            ("\"x\"", "a string"),
            ("[]", "an array"),
            ("[{}]", "an array"),
            ("true", "a boolean"),
        ] {
            let body = format!(r#"{{"{root}":{body}}}"#);
            for path in [root.to_owned(), format!("{root}.id"), format!("{root}.deep.er")] {
                let refused = refused(&[&path], body.as_bytes());
                assert_eq!(
                    refused,
                    JsonErrorKind::RootNotAnObject {
                        root: root.into(),
                        found
                    },
                    "{body}"
                );
                assert_eq!(
                    refused.to_string(),
                    format!("`{root}` must be an object, found {found}")
                );
            }
            assert_eq!(one("other", &body), None);
        }
        assert_eq!(one(&format!("{root}.id"), &format!(r#"{{"{root}":null}}"#)), None);
    }
    assert_eq!(one("own", r#"{"own":[1]}"#), Some(serde_json::json!([1])));
}

#[test]
fn below_a_known_list_that_is_none_nothing_is_known() {
    let value = |paths: &[&str], body: &str| {
        let module = reading(paths);
        let mut scratch = Scratch::new();
        let mut host = TestHost::default();
        let mut eval = module.begin(&mut scratch, &mut host, body.as_bytes()).unwrap();
        (0..paths.len())
            .map(|field| eval.field(FieldIdx(u32::try_from(field).unwrap())).type_name())
            .collect::<Vec<_>>()
    };
    let paths = ["user.roles.0", "user.roles.0.name", "llm.messages.1.content"];
    for wrong in ["\"admin\"", "1", "{\"0\":\"admin\"}", "true"] {
        let body = format!(r#"{{"user":{{"roles":{wrong}}},"llm":{{"messages":{wrong}}}}}"#);
        assert_eq!(value(&paths, &body), ["unknown"; 3], "{body}");
        // Materialised as a whole, too.
        let whole = [
            "user.roles.0",
            "user.roles.0.name",
            "llm.messages.1.content",
            "user",
            "llm.messages",
        ];
        assert_eq!(value(&whole, &body)[..3], ["unknown"; 3], "{body}");
    }
    let body = r#"{"user":{"roles":null},"llm":{"messages":[]}}"#;
    assert_eq!(value(&paths, body), ["missing"; 3]);
}

#[test]
fn elements_are_counted_from_the_end_too() {
    let last = |n| {
        let mut path = path("a");
        path.push(PathSegment::FromEnd(n));
        path.push(key("b", None));
        path
    };
    let module = loaded(&[last(1), last(2), last(4_294_967_295)], Limits::default());
    let read = |body: &str| project(&module, body.as_bytes()).unwrap();
    assert_eq!(
        read(r#"{"a":[{"b":1},{"b":2},{"b":3}]}"#),
        [Some(3.into()), Some(2.into()), None]
    );
    assert_eq!(read(r#"{"a":[{"b":1}]}"#), [Some(1.into()), None, None]);
    for none in [
        r#"{"a":[]}"#,
        r#"{"a":{"-1":{"b":1},"1":{"b":1}}}"#,
        r#"{"a":"x"}"#,
        "{}",
    ] {
        assert_eq!(read(none), [None, None, None], "{none}");
    }
}

#[test]
fn numbers_and_keys_name_elements_and_members() {
    let module = reading(&["a.0", "a.2.b", "a.4294967295"]);
    let read = |body: &str| project(&module, body.as_bytes()).unwrap();
    assert_eq!(
        read(r#"{"a":[1,2,{"b":3}]}"#),
        [Some(1.into()), Some(3.into()), None]
    );
    assert_eq!(
        read(r#"{"a":{"0":1,"2":{"b":3},"4294967295":4}}"#),
        [Some(1.into()), Some(3.into()), Some(4.into())]
    );
    assert_eq!(read(r#"{"a":{"00":1,"2.0":{"b":3}}}"#), [None, None, None]);
    assert_eq!(read(r#"{"a":"text"}"#), [None, None, None]);
    assert_eq!(read(r#"{"a":[]}"#), [None, None, None]);
    // Keys of up to and more than eight bytes, with the same start, with NUL at the end.
    let keys = [
        "abcdefg",
        "abcdefgh",
        "abcdefghi",
        "abcdefghj",
        "abc",
        "abcd",
        "",
        "a\0",
        "a",
    ];
    let paths: Vec<Vec<_>> = keys.iter().map(|k| vec![key(k, None)]).collect();
    let module = loaded(&paths, Limits::default());
    let members: Vec<_> = keys
        .iter()
        .enumerate()
        .map(|(i, k)| format!("{}:{i}", serde_json::to_string(k).unwrap()))
        .collect();
    let read = project(&module, format!("{{{}}}", members.join(",")).as_bytes()).unwrap();
    assert!(
        read.iter().enumerate().all(|(i, v)| *v == Some(i.into())),
        "{read:?}"
    );
    assert!(
        project(&module, br#"{"abcdefgi":1,"ab":1,"abcde":1}"#)
            .unwrap()
            .iter()
            .all(Option::is_none)
    );
}

#[test]
fn limits_are_respected_to_the_byte() {
    let limits = |f: fn(&mut Limits)| {
        let mut limits = Limits::default();
        f(&mut limits);
        limits
    };
    let small = loaded(&[path("a")], limits(|l| l.body_bytes = 7));
    assert!(project(&small, br#"{"a":1}"#).is_ok());
    assert_eq!(
        project(&small, br#"{"a":1} "#).unwrap_err().kind,
        JsonErrorKind::TooLarge
    );
    let shallow = loaded(&[path("a"), path("c.d")], limits(|l| l.depth = 3));
    for key in ["a", "b", "c", "d"] {
        let nested = |depth| format!(r#"{{"{key}":{}{}}}"#, "[".repeat(depth), "]".repeat(depth));
        assert!(project(&shallow, nested(2).as_bytes()).is_ok(), "{key}");
        assert_eq!(
            project(&shallow, nested(3).as_bytes()).unwrap_err().kind,
            JsonErrorKind::TooDeep,
            "{key}"
        );
    }
    let tight = loaded(&[path("a")], limits(|l| l.arena_bytes = 4096));
    assert!(project(&tight, br#"{"a":[1,2,3,"\n"]}"#).is_ok());
    let body = format!(r#"{{"a":[{}0]}}"#, "1,".repeat(4000));
    assert_eq!(
        project(&tight, body.as_bytes()).unwrap_err().kind,
        JsonErrorKind::TooLarge
    );
    let body = format!(r#"{{"a":"{}"}}"#, "\\n".repeat(4000));
    assert_eq!(
        project(&tight, body.as_bytes()).unwrap_err().kind,
        JsonErrorKind::TooLarge
    );
    // Text without escapes is borrowed, and what is not read is not kept.
    let body = format!(r#"{{"a":"{}","b":[{}0]}}"#, "x".repeat(9000), "1,".repeat(4000));
    assert!(project(&tight, body.as_bytes()).is_ok());
}

#[test]
fn the_deepest_nesting_fits_the_stack() {
    let limits = Limits {
        depth: 1024,
        ..Limits::default()
    };
    let module = loaded(&[path("a"), path("b.c")], limits);
    for (open, close) in [("[", "]"), (r#"{"k":"#, "}")] {
        for key in ["a", "b", "z"] {
            let inner = if open == "[" { "" } else { "1" };
            let body = format!(
                r#"{{"{key}":{}{inner}{}}}"#,
                open.repeat(1023),
                close.repeat(1023)
            );
            let read = project_debug(&module, body.as_bytes());
            assert!(read.is_ok(), "{key} {open}");
            let body = format!(r#"{{"{key}":{}"#, open.repeat(100_000));
            assert_eq!(
                project_debug(&module, body.as_bytes()).unwrap_err().kind,
                JsonErrorKind::TooDeep
            );
        }
    }
    // Elements of arrays on a path, as deep as paths may be.
    let long = format!("a{}", ".0".repeat(63));
    let module = reading(&[&long]);
    let body = format!(r#"{{"a":{}7{}}}"#, "[".repeat(63), "]".repeat(63));
    assert_eq!(project(&module, body.as_bytes()).unwrap(), [Some(7.into())]);
}

/// As [`project`], without going through `serde_json`, whose own limit is lower. Walks every value once.
fn project_debug(module: &LoadedModule, body: &[u8]) -> Result<usize, JsonError> {
    let mut scratch = Scratch::new();
    let mut host = TestHost::default();
    let mut eval = module.begin(&mut scratch, &mut host, body)?;
    let mut out = String::new();
    for field in 0..2 {
        let value = eval.field(FieldIdx(field));
        value.write_json(&mut out).unwrap();
        assert!(!value.is_present() || value.equals(&value));
        assert!(value.total_cmp(&value).is_eq());
    }
    Ok(out.len())
}

/// Time of one projection; the least of a few, because others use the machine too.
fn time(module: &LoadedModule, body: &[u8]) -> Duration {
    let mut scratch = Scratch::new();
    let mut host = TestHost::default();
    (0..5)
        .map(|_| {
            let start = Instant::now();
            drop(module.begin(&mut scratch, &mut host, body));
            start.elapsed()
        })
        .min()
        .unwrap_or_default()
}

/// Eight times the body takes about eight times as long, whatever stands in it.
#[test]
fn hostile_bodies_take_linear_time() {
    let paths: Vec<_> = (0..500).map(|i| format!("m.feature_flag_{i}")).collect();
    let mut names: Vec<_> = paths.iter().map(String::as_str).collect();
    names.extend(["a", "l.x|y.z", "q.0", "q.1000.b"]);
    let module = reading(&names);
    type Body = fn(usize) -> String;
    let bodies: [(&str, Body); 12] = [
        ("skipped keys", |n| object_of(n, |i| format!(r#""key{i}":0"#))),
        ("skipped keys beside many fields", |n| {
            format!(
                r#"{{"m":{}}}"#,
                object_of(n, |i| format!(r#""feature_flag_x{i}":0"#))
            )
        }),
        ("keys that are kept", |n| {
            format!(r#"{{"a":{}}}"#, object_of(n, |i| format!(r#""key{i}":0"#)))
        }),
        ("escaped keys", |n| {
            object_of(n, |i| format!(r#""\u006bey{i}":0"#))
        }),
        ("empty arrays that are kept", |n| {
            format!(r#"{{"a":[{}0]}}"#, "[],".repeat(n))
        }),
        ("arrays that are kept", |n| {
            format!(r#"{{"a":[{}0]}}"#, "[1],".repeat(n))
        }),
        ("objects that are kept", |n| {
            format!(r#"{{"a":[{}0]}}"#, r#"{"a":1},"#.repeat(n))
        }),
        ("elements on a path", |n| {
            format!(r#"{{"q":[{}0]}}"#, r#"{"b":1},"#.repeat(n))
        }),
        ("digits", |n| {
            format!(
                r#"{{"a":{0},"b":0.{0}}}"#,
                "1".repeat(n.min(300)).replace('1', "12")
            )
        }),
        ("long number", |n| format!(r#"{{"b":0.{}}}"#, "1".repeat(n))),
        ("escapes", |n| {
            format!(r#"{{"a":"{}"}}"#, r"\ud83d\ude00\n".repeat(n))
        }),
        ("spaces", |n| format!(r#"{{"a":{}1}}"#, " ".repeat(n))),
    ];
    for (name, body) in bodies {
        let (small, large) = (body(20_000), body(160_000));
        // Quadratic would be 64 times; leaving the caches alone can double the eight. Others use the machine too, so one good measurement out of several will do.
        let measure = |_| (time(&module, small.as_bytes()), time(&module, large.as_bytes()));
        let mut measured = (0..12).map(measure);
        assert!(measured.any(|(small, large)| large < small * 32), "{name}");
    }
}

fn object_of(n: usize, member: impl Fn(usize) -> String) -> String {
    format!("{{{}}}", (0..n).map(member).collect::<Vec<_>>().join(","))
}

/// Bodies as large as is allowed: an answer or an error, and the arena within its limit.
#[test]
fn the_largest_bodies_stay_within_the_arena() {
    let module = reading(&["a", "l.x|y.z"]);
    let limit = usize::try_from(Limits::default().arena_bytes).unwrap();
    let fill = |unit: &str| {
        let n = ((16 << 20) - 16) / unit.len();
        format!(r#"{{"a":[{}0]}}"#, unit.repeat(n))
    };
    let mut scratch = Scratch::new();
    let mut host = TestHost::default();
    let kept = object_of(1_000_000, |i| format!(r#""{i}":0"#));
    let bodies = [
        fill("1,"),
        fill("[],"),
        fill("[[]],"),
        fill("[1],"),
        fill(r#"{"a":1},"#),
        fill(r#"{"a":[{}]},"#),
        fill(r#""\n","#),
        fill(r#""x","#),
        format!(r#"{{"a":{kept}}}"#),
        kept,
        format!(
            r#"{{"a":"{}"}}"#,
            "\\n".repeat(8 << 20).get(..(16 << 20) - 16).unwrap()
        ),
        "[".repeat(16 << 20),
        format!(r#"{{"a":{}"#, "[".repeat(16 << 20).get(..100_000).unwrap()),
    ];
    for body in bodies {
        let start = body.get(..24).unwrap().to_owned();
        let accepted = match module.begin(&mut scratch, &mut host, body.as_bytes()) {
            Ok(eval) => Some(eval.bump().allocated_bytes()),
            Err(e) => {
                assert!(
                    matches!(e.kind, JsonErrorKind::TooLarge | JsonErrorKind::TooDeep),
                    "{start}: {e}"
                );
                None
            }
        };
        // Chunks of an arena double, so what is allocated may be twice what is used.
        assert!(
            accepted.is_none_or(|bytes| bytes <= 2 * limit + (1 << 20)),
            "{start}: {accepted:?}"
        );
    }
}
