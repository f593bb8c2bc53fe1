//! Tests of `remote`.

use super::args::is_loopback;
use super::{Answer, Problem, ServerArgs, clean, encode, in_namespace, policy_path};
use crate::exit::Exit;
use ureq::http::HeaderMap;

fn answer(status: u16, headers: &[(&'static str, &str)], body: &str) -> Answer {
    Answer {
        status,
        headers: headers
            .iter()
            .map(|(k, v)| (k.parse().unwrap(), v.parse().unwrap()))
            .collect::<HeaderMap>(),
        body: body.as_bytes().to_vec(),
    }
}

#[test]
fn exits_tell_no_from_cannot() {
    let exit = |status, code: &str| {
        Problem {
            status,
            code: code.to_owned(),
            ..Problem::default()
        }
        .exit()
    };
    for (status, code) in [
        (403, "forbidden"),
        (409, "conflict"),
        (412, "version_mismatch"),
        (428, ""),
    ] {
        assert_eq!(exit(status, code), Exit::No, "{code}");
    }
    for status in [301, 400, 401, 404, 413, 422, 429, 500, 503] {
        assert_eq!(exit(status, ""), Exit::Usage, "{status}");
    }
    assert_eq!(exit(403, "untrusted_bundle"), Exit::Usage);
}

#[test]
fn a_refusal_is_read_whatever_it_looks_like() {
    let full = answer(
        422,
        &[("x-request-id", "r-1"), ("retry-after", "3")],
        r#"{"type":"about:blank","title":"T","status":422,"detail":"D","code":"policy_invalid",
                "diagnostics":[{"severity":"error","code":"E0105","message":"m","line":2,"column":3}]}"#,
    )
    .problem();
    assert_eq!(full.headline(), "D (policy_invalid)");
    assert_eq!(
        (full.request_id.as_str(), full.retry_after.as_deref()),
        ("r-1", Some("3"))
    );
    assert_eq!(
        full.diagnostics[0].line_of("a.yaml"),
        "a.yaml:2:3: error[E0105]: m"
    );
    let page = answer(502, &[], "<html>\n<b>Bad   gateway</b>").problem();
    assert_eq!(page.headline(), "<html> <b>Bad gateway</b> (status 502)");
    let moved = answer(302, &[("location", "http://evil")], "").problem();
    assert!(moved.headline().contains("`http://evil`, which is not followed"));
    assert_eq!(
        answer(500, &[], "").problem().headline(),
        "no reason given (status 500)"
    );
}

#[test]
fn texts_of_servers_and_ids_cannot_break_out() {
    assert_eq!(clean("a\u{1b}[31mb\r"), "a\\u{1b}[31mb\\r");
    assert_eq!(encode("a b/c?ü"), "a%20b%2Fc%3F%C3%BC");
    assert_eq!(
        policy_path("a/b", "/versions").unwrap(),
        "/api/v1/policies/a%2Fb/versions"
    );
    assert!(policy_path("..", "").is_err());
    assert_eq!(in_namespace("/p", None), "/p");
    assert_eq!(in_namespace("/p", Some("a&b")), "/p?namespace=a%26b");
}

#[test]
fn loopback_is_told_from_the_rest() {
    for host in ["localhost", "127.0.0.1", "127.9.9.9", "[::1]"] {
        assert!(is_loopback(host), "{host}");
    }
    for host in ["localhost.evil.example", "10.0.0.1", "::2"] {
        assert!(!is_loopback(host), "{host}");
    }
}

#[test]
fn what_is_no_server_is_refused_before_anything_is_sent() {
    for url in [
        "ftp://x",
        "localhost:3000",
        "http://",
        "http://u:p@h",
        "http://h/?q=1",
        "x y",
    ] {
        let args = ServerArgs {
            server: Some(url.to_owned()),
            ..ServerArgs::default()
        };
        assert!(args.connect().is_err(), "{url}");
    }
}
