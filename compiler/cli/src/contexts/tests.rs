//! Tests of `contexts`.

use super::read;

#[test]
fn each_kind_of_line_is_told_from_the_others() {
    let context = |line: &'static str| {
        let line = read(line.as_bytes()).unwrap();
        (
            line.context,
            line.namespace.map(|namespace| namespace.into_owned()),
        )
    };
    for plain in [
        r#"{"llm":{"model":"x"}}"#,
        r#"{"llm":{"prompt":"a \"context\""},"context":{"a":1}}"#,
        r#"{"custom":{"decision":"context"}}"#,
        r#"{"context":7}"#,
        r#"["context"]"#,
        "{\"context\":",
    ] {
        assert_eq!(context(plain), (plain.as_bytes(), None), "{plain}");
    }
    let sent = &br#"{"llm":{}}"#[..];
    assert_eq!(context(r#"{"context":{"llm":{}},"trace":true}"#), (sent, None));
    let logged = r#"{"id":"1","namespace":"prod","decision":"deny","context":{"llm":{}}}"#;
    assert_eq!(context(logged), (sent, Some("prod".to_owned())));
    let id = |line: &'static str| read(line.as_bytes()).unwrap().request_id;
    assert_eq!(
        id(r#"{"context":{},"requestId":"a\"b"}"#).as_deref(),
        Some("a\"b")
    );
    assert_eq!(
        id(r#"{"requestId":"q","llm":{},"context":{}}"#),
        None,
        "a context"
    );
    for (line, why) in [
        (r#"{"id":"1","decision":"deny"}"#, "no context"),
        (r#"{"id":"1","decision":"deny","context":null}"#, "no context"),
        (
            r#"{"id":"1","decision":"deny","context":"enc:v1:x"}"#,
            "encrypted",
        ),
    ] {
        let error = read(line.as_bytes()).unwrap_err().message;
        assert!(error.contains(why), "{error}");
    }
}
