//! Messages and their limits.

use super::{METHODS, PREFIX, STREAM, timeout};
use axum::http::HeaderMap;
use std::time::Duration;

#[test]
fn every_method_of_the_proto_is_counted() {
    let text = include_str!("../../../../proto/policy.proto");
    let methods: Vec<&str> = text
        .lines()
        .filter_map(|line| line.trim().strip_prefix("rpc "))
        .filter_map(|line| line.split('(').next())
        .collect();
    assert_eq!(methods.len(), METHODS.len());
    for method in methods {
        let path = format!("{PREFIX}{method}");
        assert!(METHODS.iter().any(|(name, _)| *name == path), "{path}");
    }
    assert!(STREAM.starts_with(PREFIX));
}

#[test]
fn deadlines_are_read_or_refused() {
    let read = |text: &'static str| {
        let mut headers = HeaderMap::new();
        headers.insert("grpc-timeout", text.parse().unwrap());
        timeout(&headers)
    };
    assert_eq!(timeout(&HeaderMap::new()), Ok(None));
    for (text, expected) in [
        ("1H", Duration::from_secs(3600)),
        ("2M", Duration::from_secs(120)),
        ("3S", Duration::from_secs(3)),
        ("100m", Duration::from_millis(100)),
        ("5u", Duration::from_micros(5)),
        ("99999999n", Duration::from_nanos(99_999_999)),
    ] {
        assert_eq!(read(text), Ok(Some(expected)), "{text}");
    }
    for text in ["", "m", "5", "1s", "-1S", "123456789S", "1.5S", "5 S"] {
        assert!(read(text).is_err(), "{text}");
    }
}
