//! Bodies within their limits.

use super::{SMALL, Unread, object, plain, without_mark};
use crate::shares::{Address, Full, Shares};
use http::{HeaderMap, HeaderValue, header};

#[test]
fn marks_are_skipped_once_and_arrays_are_no_objects() {
    assert_eq!(without_mark("\u{feff}{}".into()), "{}");
    assert_eq!(without_mark("\u{feff}\u{feff}{}".into()), "\u{feff}{}");
    for text in ["[]", " \r\n\t[{}]", "\u{feff} ["] {
        assert!(object(text.into()).is_err(), "{text}");
    }
    // Whatever else is wrong, the parser says better.
    for text in ["{\"a\":[]}", "", "1", "x["] {
        assert_eq!(object(text.into()).unwrap(), text);
    }
}

#[test]
fn what_a_stream_sends_counts_until_it_is_read() {
    let memory = Shares::new(100, 60);
    let stream = || Unread {
        memory: memory.clone(),
        address: Address::of([192, 0, 2, 1].into()),
        state: std::sync::Mutex::default(),
    };
    let one = stream();
    one.arrived(SMALL).unwrap();
    assert_eq!(memory.taken(), 0);
    one.arrived(50).unwrap();
    assert_eq!(memory.taken(), 50);
    one.read(20);
    assert_eq!(memory.taken(), 30);
    one.read(SMALL);
    one.arrived(SMALL).unwrap();
    assert_eq!(memory.taken(), 30);
    let other = stream();
    assert_eq!(other.arrived(SMALL + 31), Err(Full::Address));
    assert!(other.refusal().is_some() && one.refusal().is_none());
    drop(one);
    assert_eq!(memory.taken(), 0);
}

#[test]
fn only_plain_bodies_are_taken() {
    for (values, taken) in [
        (&[] as &[&str], true),
        (&["identity"], true),
        (&["gzip"], false),
        (&["identity", "br"], false),
        (&["identity, gzip"], false),
        (&[""], false),
    ] {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(header::CONTENT_ENCODING, HeaderValue::from_static(value));
        }
        assert_eq!(plain(&headers).is_ok(), taken, "{values:?}");
    }
}
