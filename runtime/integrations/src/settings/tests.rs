//! Tests of `settings`.

use super::{BaseUrl, Settings, SettingsError};
use std::time::Duration;

#[test]
fn urls() {
    let url = BaseUrl::parse("https://Shield.example.org/base/").unwrap();
    assert_eq!(
        (url.host.as_str(), url.port, url.encrypted),
        ("shield.example.org", 443, true)
    );
    assert_eq!(url.join("/v1/scan"), "https://Shield.example.org/base/v1/scan");
    assert_eq!(url.join(""), "https://Shield.example.org/base");
    assert_eq!(format!("{url:?}"), "https://Shield.example.org/…");
    let url = BaseUrl::parse("http://[::1]:8080").unwrap();
    assert_eq!((url.host.as_str(), url.port, url.local), ("::1", 8080, true));
    assert_eq!(url.join(""), "http://[::1]:8080/");
    assert!(BaseUrl::parse("http://127.8.9.10").unwrap().local);
    assert!(!BaseUrl::parse("http://localhost.example.org").unwrap().local);
    for bad in [
        "",
        "shield",
        "shield:8080",
        "ftp://shield",
        "//shield",
        "http://",
        "http://user:secret@shield",
        "http://shield?x=1",
        "http://shield/#x",
        "http://shield:0",
        "http://shield:99999",
        "http://shield:",
        "http://sh ield",
    ] {
        let error = BaseUrl::parse(bad).unwrap_err();
        assert!(!error.to_string().contains("secret"), "{bad}");
    }
}

#[test]
fn redirects_stay_on_the_server() {
    let url = BaseUrl::parse("http://shield.example.org:8080/base").unwrap();
    let to = |location: &str| url.redirected(location);
    assert_eq!(to("/v2").as_deref(), Some("http://shield.example.org:8080/v2"));
    assert_eq!(
        to("http://SHIELD.example.org:8080/v2").as_deref(),
        Some("http://SHIELD.example.org:8080/v2")
    );
    for elsewhere in [
        "",
        "v2",
        "//evil.example.org/v2",
        "http://evil.example.org:8080/v2",
        "http://shield.example.org/v2",
        "https://shield.example.org:8080/v2",
        "http://shield.example.org:8080@evil.example.org/v2",
        "http://a:b@shield.example.org:8080/v2",
        "javascript:alert(1)",
        "/a b",
    ] {
        assert_eq!(to(elsewhere), None, "{elsewhere}");
    }
}

#[test]
fn credentials_need_tls_or_this_machine() {
    let with = |url: &str| Settings::new(url).unwrap().bearer("token".to_owned().into());
    assert_eq!(
        with("http://shield").check(),
        Err(SettingsError::PlainCredentials)
    );
    assert_eq!(with("http://shield").plain_http_credentials(true).check(), Ok(()));
    assert_eq!(with("https://shield").check(), Ok(()));
    assert_eq!(with("http://127.0.0.1:1").check(), Ok(()));
    for token in ["", "two words", "line\nbreak", "ü"] {
        let settings = Settings::new("https://shield")
            .unwrap()
            .bearer(token.to_owned().into());
        assert!(
            matches!(settings.check(), Err(SettingsError::Credentials(_))),
            "{token}"
        );
    }
    for (id, secret) in [("", "s"), ("a|b", "s"), ("a", "")] {
        let settings = Settings::new("https://shield").unwrap();
        let settings = settings.caller(id.to_owned(), secret.to_owned().into());
        assert!(
            matches!(settings.check(), Err(SettingsError::Credentials(_))),
            "{id} {secret}"
        );
    }
}

#[test]
fn certificates_are_read_or_refused_and_deadlines_are_not_zero() {
    let settings = Settings::new("https://shield").unwrap();
    for pem in [
        "",
        "no PEM",
        "-----BEGIN CERTIFICATE-----\n!!\n-----END CERTIFICATE-----\n",
    ] {
        let result = settings.clone().ca_pem(pem.as_bytes());
        assert!(matches!(result, Err(SettingsError::Certificate(_))), "{pem}");
    }
    let zero = settings.attempt_timeout(Duration::ZERO);
    assert!(matches!(zero.check(), Err(SettingsError::Deadlines(_))));
}
